//! The rc file (`just-mrrc(5)`): defaults for the command line of a set-up, and of what it launches.
//!
//! The file may name others, which are laid over it in their order ([`RcFiles::merged`]).

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use taut_expr::json_to_value;
use taut_syntax::{Diagnostic, Dialect, Document, Kind, Node, json::reference_error, quoted};
use taut_sys::Named;
use taut_value::{Map, Str, Value};

use crate::{
    anchors::{AnchoredPath, Anchors, is_directory, is_file},
    misspelt,
    problem::{Problem, place, text},
    reachable::Remark,
};

/// The rc file and those that it names.
#[derive(Default, Debug)]
pub struct RcFiles {
    // Kept as parsed documents, not as settings: merging is by key, and messages point into the
    // file that a value came from.
    documents: Vec<Document>,
}

/// The settings in rc files. A setting that they do not have is absent or empty.
#[derive(Clone, Default, Debug)]
pub struct Rc {
    /// `local build root`.
    pub local_build_root: Option<PathBuf>,
    /// `checkout locations`.
    pub checkout_locations: Option<PathBuf>,
    /// `distdirs` that exist.
    pub distdirs: Vec<PathBuf>,
    /// `just`.
    pub just: Option<PathBuf>,
    /// `git`.
    pub git: Option<PathBuf>,
    /// The first file of `config` in `just files` that exists.
    pub config: Option<PathBuf>,
    /// The first file of `endpoint-configuration` in `just files` that exists.
    pub endpoint_configuration: Option<PathBuf>,
    /// `just args`, by subcommand.
    pub just_args: BTreeMap<String, Vec<String>>,
    /// `remote-execution properties`.
    pub properties: Vec<String>,
    /// `max attempts`.
    pub max_attempts: Option<i64>,
    /// `initial backoff seconds`.
    pub initial_backoff_seconds: Option<i64>,
    /// `max backoff seconds`.
    pub max_backoff_seconds: Option<i64>,
    /// `local launcher`.
    pub local_launcher: Option<Vec<String>>,
    /// `log limit`.
    pub log_limit: Option<u64>,
    /// `restrict stderr log limit`.
    pub restrict_stderr_log_limit: Option<u64>,
    /// `log files`.
    pub log_files: Vec<PathBuf>,
    /// `address` of `remote execution`.
    pub remote_address: Option<String>,
    /// `instance name` of `remote execution`.
    pub remote_instance_name: Option<String>,
    /// `compatible` of `remote execution`.
    pub compatible: bool,
    /// `address` of `remote serve`.
    pub serve_address: Option<String>,
    /// `ca cert` of `authentication`.
    pub tls_ca_cert: Option<PathBuf>,
    /// `client cert` of `authentication`.
    pub tls_client_cert: Option<PathBuf>,
    /// `client key` of `authentication`.
    pub tls_client_key: Option<PathBuf>,
    /// The first file of `absent` that exists.
    pub absent: Option<PathBuf>,
    /// `invocation log`, if it has a directory.
    pub invocation_log: Option<InvocationLog>,
    /// The first description of repositories that exists, in `config lookup order` or the usual one.
    pub description: Option<AnchoredPath>,
}

/// The entry `remote cache`, which just-mr does not have.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct RemoteCacheRc {
    /// `address`.
    pub address: Option<String>,
    /// `instance name`.
    pub instance_name: Option<String>,
    /// `write`: whether results are stored there, too.
    pub write: bool,
    /// `timeout`, in seconds.
    pub timeout: Option<u32>,
}

/// Where and how calls are logged.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct InvocationLog {
    /// `directory`.
    pub directory: PathBuf,
    /// `project id`.
    pub project_id: Option<String>,
    /// `invocation message`.
    pub message: Option<String>,
    /// `metadata`, the name of a file.
    pub metadata: Option<String>,
    /// `context variables`.
    pub context_variables: Vec<String>,
    /// The names of files for options of the build tool, by option.
    pub files: BTreeMap<&'static str, String>,
}

/// The options whose files an invocation log may have, in the order in which they are given.
pub const LOGGED_OPTIONS: [&str; 5] =
    ["--dump-graph", "--dump-plain-graph", "--dump-artifacts-to-build", "--dump-artifacts", "--profile"];

/// The usual rc file.
fn usual(home: &Path) -> PathBuf {
    home.join(".just-mrrc")
}

impl RcFiles {
    /// Whether the usual rc file is in the home directory.
    pub fn usual_exists(home: &Path) -> bool {
        is_file(&usual(home))
    }

    /// Reads the rc file at a path, and those of its `rc files` that exist. Without a path it is the usual one in the
    /// home directory, which need not exist.
    ///
    /// # Errors
    /// One cannot be read, or is not a JSON object.
    pub fn read(
        dialect: Dialect,
        path: Option<&Path>,
        anchors: &Anchors,
        remarks: &mut Vec<Remark>,
    ) -> Result<RcFiles, Problem> {
        let usual = usual(&anchors.home);
        let path = match path {
            Some(path) if !is_file(path) => {
                let shown = path.display();
                return Err(Diagnostic::error(format!("there is no rc file {shown}"))
                    .reference(format!("Cannot read RC file {shown}."))
                    .into());
            }
            Some(path) => path,
            // Only a file that was given has to exist.
            None if is_file(&usual) => &usual,
            None => return Ok(RcFiles::default()),
        };
        let first = object(dialect, path, "")?;
        let mut others = Vec::new();
        if let Some(files) = first.root().get("rc files").filter(|files| !files.is_null()) {
            let Some(locations) = files.as_list() else {
                let reference =
                    format!("'rc files' has to be a list of location objects, but found {}", text(files));
                return Err(wrong(files, "\"rc files\" is a list of locations", reference));
            };
            for location in locations {
                // One level only: `rc files` in these files means nothing.
                if let Some(found) = anchors.read(location, remarks)?.filter(|found| is_file(&found.path)) {
                    others.push(object(dialect, &found.path, "extra ")?);
                }
            }
        }
        let mut documents = vec![first];
        documents.append(&mut others);
        Ok(RcFiles { documents })
    }

    /// The entries of all files, later files over earlier ones: `distdirs` are joined, those of later files first, and
    /// `just args`, `just files` and `invocation log` are merged by their keys.
    // The rules of merging are those of just-mr 1.6 (`--dump-rc` shows its result).
    fn merged(&self) -> Merged<'_> {
        let mut all: Merged<'_> = Merged::default();
        for document in &self.documents {
            for (key, node) in document.root().entries() {
                match key {
                    "distdirs" if node.kind() == Kind::List => {
                        let mut joined: Vec<Node<'_>> = node.items().collect();
                        // Later files come first, since the first directory that has an archive is taken.
                        joined.append(&mut all.distdirs);
                        all.distdirs = joined;
                        all.entries.insert(key, node);
                    }
                    "just args" | "just files" | "invocation log" if node.kind() == Kind::Object => {
                        // Whole values by key: lists of arguments are replaced, not joined.
                        all.maps.entry(key).or_default().extend(node.entries());
                        all.entries.insert(key, node);
                    }
                    // All other keys are replaced as a whole, lists included.
                    _ => {
                        all.entries.insert(key, node);
                    }
                }
            }
        }
        all
    }

    /// All of it as one JSON object, without `rc files`, as `--dump-rc` writes it.
    pub fn dump(&self) -> String {
        let merged = self.merged();
        let object = |entries: &BTreeMap<&str, Node<'_>>| {
            let entries = entries.iter().map(|(key, node)| (Str::from(*key), json_to_value(*node)));
            Value::Map(Map::from_entries(entries.collect()))
        };
        let mut entries: BTreeMap<&str, Value> =
            merged.entries.iter().map(|(key, node)| (*key, json_to_value(*node))).collect();
        entries.remove("rc files");
        // As in the reference, merging leaves these keys behind, be there something to merge or not.
        if self.documents.len() > 1 {
            entries.insert("distdirs", Value::list(merged.distdirs.iter().map(|node| json_to_value(*node))));
            for key in ["just args", "just files", "invocation log"] {
                entries.insert(key, merged.maps.get(key).map_or(Value::Map(Map::default()), object));
            }
        }
        let entries = entries.into_iter().map(|(key, value)| (Str::from(key), value));
        format!("{}\n", Value::Map(Map::from_entries(entries.collect())).to_json_pretty(2))
    }

    /// The settings in the files.
    ///
    /// # Errors
    /// A value has another form, or the file of checkout locations does not exist.
    pub fn settings(&self, anchors: &Anchors, remarks: &mut Vec<Remark>) -> Result<Rc, Problem> {
        let merged = self.merged();
        let mut reader = Reader { merged: &merged, anchors, remarks };
        let mut rc = Rc { local_build_root: reader.location("local build root")?, ..Rc::default() };
        reader.tools(&mut rc)?;
        reader.launching(&mut rc)?;
        reader.messages(&mut rc)?;
        reader.services(&mut rc)?;
        rc.absent = reader.absent()?;
        rc.invocation_log = reader.invocation_log()?;
        rc.description = reader.description()?;
        Ok(rc)
    }

    /// Keys that look misspelt. `subcommands`: those that `just args` may have.
    pub fn check(&self, subcommands: &[&str], remarks: &mut Vec<Remark>) {
        for document in &self.documents {
            let twice = Diagnostic::of_duplicates(document, document.root().span());
            remarks.extend(twice.map(|finding| Remark { finding, is_detail: false }));
            misspelt::in_rc(document.root(), subcommands, remarks);
        }
    }

    /// The settings of the files about a cache that builds share.
    ///
    /// # Errors
    /// A value has another form.
    pub fn remote_cache(&self) -> Result<RemoteCacheRc, Problem> {
        let merged = self.merged();
        let mut found = RemoteCacheRc::default();
        let Some(map) = merged.entries.get("remote cache").filter(|node| !node.is_null()) else {
            return Ok(found);
        };
        // The reference does not read it, and so has no words.
        let bad = |node: Node<'_>, message: &str| wrong(node, message, String::new());
        if map.kind() != Kind::Object {
            return Err(bad(*map, "\"remote cache\" is a map"));
        }
        for (key, node) in map.entries().filter(|(_, node)| !node.is_null()) {
            let string = || {
                let text = node.as_str().map(str::to_owned);
                text.map(Some).ok_or_else(|| bad(node, &format!("{} is a string", quoted(&key))))
            };
            match key {
                "address" => found.address = string()?,
                "instance name" => found.instance_name = string()?,
                "write" => {
                    found.write = node.as_bool().ok_or_else(|| bad(node, "\"write\" is true or false"))?;
                }
                "timeout" => {
                    // A time limit of zero would be no limit to some and no time to others.
                    let seconds = node.as_number().filter(|seconds| *seconds >= 1.0);
                    let seconds =
                        seconds.ok_or_else(|| bad(node, "\"timeout\" is a number of seconds, at least 1"));
                    // `as` saturates, so a very large number means the largest time.
                    found.timeout = Some(seconds?.round() as u32);
                }
                // An error and no warning: in an object that only taut reads, an unknown key can only be a mistake.
                _ => {
                    let known = "address, instance name, timeout, write";
                    return Err(bad(
                        node,
                        &format!("\"remote cache\" has no entry {}; it may have: {known}", quoted(&key)),
                    ));
                }
            }
        }
        Ok(found)
    }
}

/// A JSON object from a file; `what`: `extra ` for a file that another one names.
fn object(dialect: Dialect, path: &Path, what: &str) -> Result<Document, Problem> {
    let shown = path.display();
    let step = format!("Parsing {what}RC file {shown} as JSON failed with error:");
    let content = Named::read(path)
        .map_err(|error| Diagnostic::error(format!("the rc file cannot be read: {error}")))?;
    let document = Document::parse_as(dialect, path.to_string_lossy(), content.clone())
        .map_err(|error| Diagnostic::from(error).reference(reference_error(&content)).below(&step))?;
    let root = document.root();
    if root.kind() != Kind::Object {
        let reference = format!("In {what}RC file {shown}: expected an object but found:\n{}", text(root));
        return Err(wrong(root, "an rc file is a JSON object", reference));
    }
    Ok(document)
}

fn wrong(at: Node<'_>, message: impl Into<String>, reference: String) -> Problem {
    Diagnostic::error(message).reference(reference).at(place(at)).into()
}

/// The entries of several rc files.
#[derive(Default)]
struct Merged<'d> {
    entries: BTreeMap<&'d str, Node<'d>>,
    distdirs: Vec<Node<'d>>,
    maps: BTreeMap<&'d str, BTreeMap<&'d str, Node<'d>>>,
}

struct Reader<'m, 'd> {
    merged: &'m Merged<'d>,
    anchors: &'m Anchors,
    remarks: &'m mut Vec<Remark>,
}

impl<'d> Reader<'_, 'd> {
    fn get(&self, key: &str) -> Option<Node<'d>> {
        self.merged.entries.get(key).copied().filter(|node| !node.is_null())
    }

    fn at(&mut self, node: Node<'_>) -> Result<Option<PathBuf>, Problem> {
        Ok(self.anchors.read(node, self.remarks)?.map(|found| found.path))
    }

    fn location(&mut self, key: &str) -> Result<Option<PathBuf>, Problem> {
        self.get(key).map_or(Ok(None), |node| self.at(node))
    }

    /// Warns of a value that is not a list; the reference takes it for an empty one.
    fn expect_list_of_locations(&mut self, key: &str, node: Node<'_>) {
        if node.kind() != Kind::List {
            let message = format!("{} is a list of locations", quoted(key));
            self.remarks.push(Remark::ignored(node, message));
        }
    }

    /// The first of the locations in a list that leads to a file.
    fn first_file(&mut self, list: Node<'_>) -> Result<Option<PathBuf>, Problem> {
        for location in list.items() {
            if let Some(found) = self.at(location)?.filter(|path| is_file(path)) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// A list of strings, the value of `key`; `not_a_list` and `no_string` are the reference's words for what is not.
    fn strings(
        &self,
        key: &str,
        node: Node<'_>,
        not_a_list: impl FnOnce(String) -> String,
        no_string: impl FnOnce(Node<'_>) -> String,
    ) -> Result<Vec<String>, Problem> {
        let message = &format!("{} is a list of strings", quoted(key));
        let Some(items) = node.as_list() else { return Err(wrong(node, message, not_a_list(text(node)))) };
        match items.clone().find(|item| item.as_str().is_none()) {
            Some(found) => Err(wrong(found, message, no_string(found))),
            None => Ok(items.filter_map(|item| item.as_str().map(str::to_owned)).collect()),
        }
    }

    fn number(&self, key: &str, words: impl FnOnce(String) -> String) -> Result<Option<f64>, Problem> {
        let Some(node) = self.get(key) else { return Ok(None) };
        let number = node.as_number();
        number.map(Some).ok_or_else(|| wrong(node, format!("{} is a number", quoted(key)), words(text(node))))
    }

    fn tools(&mut self, rc: &mut Rc) -> Result<(), Problem> {
        rc.checkout_locations = self.location("checkout locations")?;
        if let Some(missing) = rc.checkout_locations.as_ref().filter(|path| !is_file(path)) {
            let shown = missing.display();
            let at = self.get("checkout locations").map(place);
            let mut problem = Diagnostic::error(format!("there is no file of checkout locations {shown}"))
                .reference(format!("Cannot find checkout locations file {shown}."));
            problem.location = at;
            return Err(problem.into());
        }
        if let Some(distdirs) = self.get("distdirs") {
            if distdirs.kind() != Kind::List {
                let reference = format!(
                    "Configuration-file provided distdirs has to be a list of strings, but found {}",
                    text(distdirs)
                );
                return Err(wrong(distdirs, "\"distdirs\" is a list of locations", reference));
            }
            // A directory that is missing is passed over with a remark: one rc file often serves
            // several machines.
            for location in &self.merged.distdirs {
                let Some(path) = self.at(*location)? else { continue };
                if is_directory(&path) {
                    rc.distdirs.push(path);
                    continue;
                }
                let shown = path.display();
                let finding = Diagnostic::warning(format!("there is no directory {shown}"))
                    .reference(format!("Ignoring non-existing distdir {shown}."))
                    .at(place(*location));
                self.remarks.push(Remark { finding, is_detail: false });
            }
        }
        rc.just = self.location("just")?;
        rc.git = self.location("git")?;
        Ok(())
    }

    fn launching(&mut self, rc: &mut Rc) -> Result<(), Problem> {
        self.just_files(rc)?;
        self.just_args(rc)?;
        if let Some(properties) = self.get("remote-execution properties") {
            let list_of =
                "Configuration-file provided remote-execution properties have to be a list of strings";
            rc.properties = self.strings(
                "remote-execution properties",
                properties,
                |found| format!("{list_of}, but found {found}"),
                |found| format!("{list_of}, but found entry {}", text(found)),
            )?;
        }
        if let Some(launcher) = self.get("local launcher") {
            let words = self.strings(
                "local launcher",
                launcher,
                |found| {
                    format!(
                        "Configuration-file provided launcher has to be a list of strings, but found {found}"
                    )
                },
                |_| {
                    let shown = text(launcher);
                    format!("Configuration-file provided launcher {shown} is not a list of strings")
                },
            )?;
            rc.local_launcher = Some(words);
        }
        Ok(())
    }

    /// The files that the build tool is given by options.
    fn just_files(&mut self, rc: &mut Rc) -> Result<(), Problem> {
        let merged = self.merged;
        if let Some(files) = self.get("just files") {
            if files.kind() != Kind::Object {
                let reference = format!(
                    "Configuration-file provided 'just files' has to be a map, but found {}.",
                    text(files)
                );
                return Err(wrong(files, "\"just files\" is a map from options to locations", reference));
            }
            let mut file = |key: &str| -> Result<Option<PathBuf>, Problem> {
                let list = merged.maps.get("just files").and_then(|files| files.get(key));
                let Some(list) = list.filter(|list| !list.is_null()) else { return Ok(None) };
                if list.kind() != Kind::List {
                    let reference = format!(
                        "Argument '{key}' in 'just files' has to be a list, but found {}",
                        text(*list)
                    );
                    return Err(wrong(*list, format!("{} is a list of locations", quoted(key)), reference));
                }
                self.first_file(*list)
            };
            rc.config = file("config")?;
            rc.endpoint_configuration = file("endpoint-configuration")?;
        }
        Ok(())
    }

    /// The words that the build tool is given, by subcommand.
    fn just_args(&self, rc: &mut Rc) -> Result<(), Problem> {
        let merged = self.merged;
        if let Some(args) = self.get("just args") {
            if args.kind() != Kind::Object {
                let reference = format!(
                    "Configuration-file provided 'just' arguments has to be a map, but found {}",
                    text(args)
                );
                return Err(wrong(args, "\"just args\" is a map from subcommands to lists", reference));
            }
            let each = merged.maps.get("just args");
            for (command, list) in each.iter().flat_map(|all| all.iter()) {
                let words = self.strings(
                    command,
                    *list,
                    |found| {
                        format!(
                            "Configuration-file provided 'just' argument key {command} has to have as value a list of \
                             strings, but found {found}"
                        )
                    },
                    |found| {
                        format!(
                            "Configuration-file provided 'just' argument key {command} must have strings in its list \
                             value, but found {}",
                            text(found)
                        )
                    },
                )?;
                rc.just_args.insert((*command).to_owned(), words);
            }
        }
        Ok(())
    }

    fn messages(&mut self, rc: &mut Rc) -> Result<(), Problem> {
        // The range of the log levels.
        let limit = |number: f64| number.clamp(0.0, 6.0) as u64;
        let words =
            |found| format!("Configuration-file specified log-limit has to be a number, but found {found}");
        rc.log_limit = self.number("log limit", words)?.map(limit);
        rc.restrict_stderr_log_limit = self.number("restrict stderr log limit", words)?.map(limit);
        if let Some(files) = self.get("log files") {
            let Some(locations) = files.as_list() else {
                let reference = format!(
                    "Configuration-provided log files have to be a list of location objects, but found {}",
                    text(files)
                );
                return Err(wrong(files, "\"log files\" is a list of locations", reference));
            };
            for location in locations {
                rc.log_files.extend(self.at(location)?);
            }
        }
        Ok(())
    }

    fn services(&mut self, rc: &mut Rc) -> Result<(), Problem> {
        let retry = |key: &str| {
            let words = |found| {
                format!("Configuration-file provided {} has to be a number, but found {found}", quoted(key))
            };
            // `as` saturates; a tool has its own limits.
            Ok::<_, Problem>(self.number(key, words)?.map(|number| number.round() as i64))
        };
        rc.max_attempts = retry("max attempts")?;
        rc.initial_backoff_seconds = retry("initial backoff seconds")?;
        rc.max_backoff_seconds = retry("max backoff seconds")?;
        let map = |key: &str, what: &str| -> Result<Option<Node<'d>>, Problem> {
            let Some(node) = self.get(key) else { return Ok(None) };
            if node.kind() != Kind::Object {
                let reference = format!(
                    "Configuration-provided {what} arguments has to be a map, but found {}",
                    text(node)
                );
                return Err(wrong(node, format!("{} is a map", quoted(key)), reference));
            }
            Ok(Some(node))
        };
        let string = |map: Node<'_>, key: &str, what: &str| -> Result<Option<String>, Problem> {
            // Null means absent everywhere in an rc file, as in the reference's reader.
            let Some(node) = map.get(key).filter(|node| !node.is_null()) else { return Ok(None) };
            let reference =
                || format!("Configuration-provided {what} has to be a string, but found {}", text(node));
            let found = node.as_str().map(|text| Some(text.to_owned()));
            found.ok_or_else(|| wrong(node, format!("{} is a string", quoted(key)), reference()))
        };
        if let Some(remote) = map("remote execution", "remote execution")? {
            rc.remote_address = string(remote, "address", "remote execution address")?;
            rc.remote_instance_name = string(remote, "instance name", "remote instance name")?;
            if let Some(flag) = remote.get("compatible").filter(|flag| !flag.is_null()) {
                let reference = || {
                    let found = text(flag);
                    format!(
                        "Configuration-provided remote execution compatibility has to be a flag, but found {found}"
                    )
                };
                let set = flag.as_bool();
                rc.compatible =
                    set.ok_or_else(|| wrong(flag, "\"compatible\" is true or false", reference()))?;
            }
        }
        // Read although nothing is served: a wrong value is an error in just-mr, and `cli` warns of
        // a right one.
        if let Some(serve) = map("remote serve", "remote serve service")? {
            rc.serve_address = string(serve, "address", "remote serve service address")?;
        }
        if let Some(files) = map("authentication", "authentication")? {
            let mut file = |key: &str| {
                files.get(key).filter(|node| !node.is_null()).map_or(Ok(None), |node| self.at(node))
            };
            rc.tls_ca_cert = file("ca cert")?;
            rc.tls_client_cert = file("client cert")?;
            rc.tls_client_key = file("client key")?;
        }
        Ok(())
    }

    fn absent(&mut self) -> Result<Option<PathBuf>, Problem> {
        let Some(list) = self.get("absent") else { return Ok(None) };
        self.expect_list_of_locations("absent", list);
        self.first_file(list)
    }

    fn invocation_log(&mut self) -> Result<Option<InvocationLog>, Problem> {
        let Some(node) = self.get("invocation log") else { return Ok(None) };
        if node.kind() != Kind::Object {
            let reference = format!("Value of \"invocation log\" has to be a map, but found {}", text(node));
            return Err(wrong(node, "\"invocation log\" is a map", reference));
        }
        let merged = self.merged;
        let all = merged.maps.get("invocation log");
        let get = |key: &str| all.and_then(|all| all.get(key).copied()).filter(|node| !node.is_null());
        // Without a directory there is no log: the other keys may come from a shared file that a site has.
        let Some(directory) = get("directory") else { return Ok(None) };
        let Some(directory) = self.at(directory)? else { return Ok(None) };
        let mut wrong = Vec::new();
        for key in LOGGED_OPTIONS.into_iter().chain(["project id", "invocation message", "metadata"]) {
            if let Some(node) = get(key).filter(|node| node.as_str().is_none()) {
                wrong.push((node, format!("{} of \"invocation log\" is a string", quoted(key))));
            }
        }
        if let Some(node) = get("context variables") {
            let is_right = |node: Node<'_>| {
                node.as_list().is_some_and(|mut items| items.all(|item| item.as_str().is_some()))
            };
            if !is_right(node) {
                let message = "\"context variables\" of \"invocation log\" is a list of strings".to_owned();
                wrong.push((node, message));
            }
        }
        // Remarks and no errors: just-mr takes values of another form for absent, and the log is
        // not needed for a build.
        self.remarks.extend(wrong.into_iter().map(|(node, message)| Remark::ignored(node, message)));
        let string = |key: &str| get(key).and_then(Node::as_str).map(str::to_owned);
        let files = LOGGED_OPTIONS.into_iter().filter_map(|option| Some((option, string(option)?)));
        let variables = get("context variables");
        Ok(Some(InvocationLog {
            directory,
            project_id: string("project id"),
            message: string("invocation message"),
            metadata: string("metadata"),
            context_variables: variables
                .iter()
                .flat_map(|list| list.items())
                .filter_map(|name| name.as_str().map(str::to_owned))
                .collect(),
            files: files.collect(),
        }))
    }

    fn description(&mut self) -> Result<Option<AnchoredPath>, Problem> {
        let places = match self.get("config lookup order") {
            None => self.anchors.usual(self.remarks),
            Some(order) => {
                self.expect_list_of_locations("config lookup order", order);
                // One after the other: those behind the first that exists need not be right.
                for location in order.items() {
                    let found = self.anchors.read(location, self.remarks)?;
                    if let Some(found) = found.filter(|found| is_file(&found.path)) {
                        return Ok(Some(found));
                    }
                }
                return Ok(None);
            }
        };
        Ok(places.into_iter().find(|found| is_file(&found.path)))
    }
}
