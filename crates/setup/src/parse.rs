//! From the object that describes a source to the source, with an error for each field that is missing or wrong.

use std::collections::BTreeMap;

use taut_digest::Hash;
use taut_expr::json_to_value;
use taut_syntax::{Diagnostic, Kind, Node, did_you_mean, quoted};
use taut_value::{
    Map, Value,
    path::{basename, is_non_upwards, normal_path, reference_normal_path},
};

use crate::{
    description::Description,
    problem::{Problem, missing, place, text},
    source::{
        Archive, ArchiveKind, Commit, Computed, Content, Directory, Distdir, Distfile, ForeignFile, MadeTree,
        Source, SourceOf, Special, Subdir, TreeStructure,
    },
};

/// All types, as they are written.
const TYPES: [&str; 9] =
    ["file", "git", "git tree", "archive", "zip", "foreign file", "distdir", "computed", "tree structure"];

impl Description {
    /// What a repository is made from. A repository that has the name of another one in place of a source is made from
    /// what that is made from.
    ///
    /// # Errors
    /// It is described wrongly.
    pub fn source(&self, name: &str) -> Result<SourceOf<'_>, Problem> {
        self.source_for(name, Reader::SetUp)
    }

    /// An error about a repository without a source, in the reference's words where nothing is set up.
    fn in_words_without_set_up(&self, name: &str, problem: Problem) -> Problem {
        match self.entry(name) {
            Ok(entry) if entry.get("repository").is_none() => {
                let of = quoted(name);
                problem.reference(format!("Config: Missing repository description for {of}")).into()
            }
            _ => problem,
        }
    }

    /// Whether a repository may be of a type that `fetch` is about.
    pub(crate) fn may_be_fetched(&self, name: &str) -> bool {
        let type_name = self.resolve(name).ok().and_then(|(_, node)| node.get("type")?.as_str());
        !matches!(type_name, Some("file" | "git" | "distdir" | "computed" | "tree structure"))
    }

    /// The same; its errors have the reference's words in a call of `reader`.
    pub(crate) fn source_for(&self, name: &str, reader: Reader) -> Result<SourceOf<'_>, Problem> {
        let (defining, node) = self.resolve(name).map_err(|problem| match reader {
            Reader::SetUp => problem,
            Reader::Fetch | Reader::Update => self.in_words_without_set_up(name, problem),
        })?;
        // By the name of the repository that has the source, not of one that takes it over.
        let is_absent = self.absent().map(|absent| absent.contains(&defining));
        let mut source = source(self, name, node, reader)?;
        // The list of absent repositories decides in place of the pragmas, in both directions.
        if let Some(is_absent) = is_absent {
            source.set_absent(is_absent);
        }
        Ok(SourceOf { source, node })
    }
}

/// What reads a description; the reference reports its errors in other words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reader {
    SetUp,
    Fetch,
    Update,
}

/// Reads what a repository is made from.
fn source(description: &Description, name: &str, node: Node<'_>, reader: Reader) -> Result<Source, Problem> {
    let of = quoted(name);
    let Some(written) = node.get("type").filter(|written| !written.is_null()) else {
        let problem = Diagnostic::error(format!("what repository {of} is made from has no \"type\""))
            .reference(format!("Config: Mandatory key \"type\" missing for repository {of}"));
        return Err(missing(problem, node, "type")
            .help(format!("\"type\" is {}", TYPES.map(|name| quoted(name).to_string()).join(", ")))
            .into());
    };
    let Some(type_name) = written.as_str() else {
        let value = text(written);
        return Err(Diagnostic::error(format!("the type of repository {of} is not a string"))
            .reference(format!("Config: Unsupported value {value} for key \"type\" for repository {of}"))
            .at(place(written))
            .into());
    };
    let is_fetch = reader == Reader::Fetch;
    // The prefixes are the names of the reference's tasks, which it puts in front of messages about fields.
    let fields = |prefix: &'static str| Fields { node, name, type_name, prefix };
    let read = match type_name {
        "file" => directory(description, &fields("FileCheckout: ")),
        "git" => git(&fields("GitCheckout: ")),
        "git tree" => git_tree(&fields(if is_fetch { "Config: " } else { "GitTreeCheckout: " })),
        "archive" => archive(ArchiveKind::Tar, &fields("ArchiveCheckout: ")),
        "zip" => archive(ArchiveKind::Zip, &fields("ArchiveCheckout: ")),
        "foreign file" => foreign_file(&fields("")),
        "distdir" => distdir(description, &fields("DistdirCheckout: ")),
        "computed" => computed(&fields("")).map_err(|problem| precomputed(*problem, name)),
        "tree structure" => tree_structure(&fields("")).map_err(|problem| precomputed(*problem, name)),
        unknown => {
            return Err(Diagnostic::error(format!(
                "{} is not a type of repository; it is the type of {of}",
                quoted(unknown)
            ))
            .reference(match reader {
                Reader::SetUp | Reader::Update => {
                    format!("Config: Unknown type {} for repository {of}", quoted(unknown))
                }
                Reader::Fetch => format!("Config: Unknown repository type {} for {of}", quoted(unknown)),
            })
            .at(place(written))
            .suggest(did_you_mean(unknown, TYPES))
            .help(format!("types are {}", TYPES.map(|name| quoted(name).to_string()).join(", ")))
            .into());
        }
    };
    read.map_err(|problem| match reader {
        Reader::SetUp | Reader::Update => problem.below(&format!("While setting up repository {of}:")).into(),
        Reader::Fetch if type_name == "git tree" => problem,
        Reader::Fetch => problem.below(&format!("While parsing description of repository {of}:")).into(),
    })
}

/// The reference's step of a root that another target or repository determines.
fn precomputed(problem: Diagnostic, name: &str) -> Problem {
    problem.below(&format!("Checkout of precomputed root {} failed:", quoted(name))).into()
}

/// The fields of a source.
struct Fields<'d> {
    node: Node<'d>,
    /// The repository.
    name: &'d str,
    type_name: &'d str,
    /// What the reference puts in front of messages about fields.
    prefix: &'static str,
}

impl<'d> Fields<'d> {
    // Null counts as missing, as in the reference.
    fn get(&self, key: &str) -> Option<Node<'d>> {
        self.node.get(key).filter(|value| !value.is_null())
    }

    /// An error about a field.
    fn wrong(&self, at: Node<'_>, message: impl std::fmt::Display, reference: String) -> Problem {
        Diagnostic::error(message.to_string())
            .reference(format!("{}{reference}", self.prefix))
            .at(place(at))
            .note(format!("it is about repository {} of type {}", quoted(self.name), quoted(self.type_name)))
            .into()
    }

    fn missing(&self, key: &str, word: &str) -> Problem {
        let message = format!(
            "repository {} of type {} has no {}",
            quoted(self.name),
            quoted(self.type_name),
            quoted(key)
        );
        let reference = format!("{}Mandatory {word} {} is missing", self.prefix, quoted(key));
        missing(Diagnostic::error(message).reference(reference), self.node, key).into()
    }

    /// A field that has to be there.
    fn value(&self, key: &str) -> Result<Node<'d>, Problem> {
        self.get(key).ok_or_else(|| self.missing(key, "field"))
    }

    fn unsupported(&self, at: Node<'_>, key: &str, what: &str) -> Problem {
        let reference = format!("Unsupported value {} for mandatory field {}", text(at), quoted(key));
        self.wrong(at, format!("{} is {what}", quoted(key)), reference)
    }

    /// A string that has to be there.
    fn string(&self, key: &str) -> Result<&'d str, Problem> {
        let value = self.value(key)?;
        value.as_str().ok_or_else(|| self.unsupported(value, key, "a string"))
    }

    /// A string that may be there; the reference ignores other values.
    fn optional_string(&self, key: &str) -> Option<&'d str> {
        self.get(key)?.as_str()
    }

    /// An id of git, 40 hexadecimal digits.
    fn id(&self, key: &str, what: &str) -> Result<Hash, Problem> {
        let written = self.string(key)?;
        // Digits of either case; the length excludes ids of SHA-256.
        let hash = Hash::from_hex(&written.to_ascii_lowercase()).ok();
        hash.filter(|hash| hash.as_bytes().len() == 20).ok_or_else(|| {
            let at = self.value(key).unwrap_or(self.node);
            // Two messages, as in the reference's own check of hashes.
            let why = match written.len() {
                40 => format!("HashInfo: Invalid hash {written}"),
                length => format!(
                    "HashInfo: hash {written} is expected to be git-SHA1.\n It must have a length of 40, but its length \
                     is {length}."
                ),
            };
            let reference = format!("Unsupported value {} for mandatory field {}\n{why}", text(at), quoted(key));
            let message =
                format!("{} is not the id of {what}, which has 40 hexadecimal digits", quoted(written));
            self.wrong(at, message, reference)
        })
    }

    /// A directory within the contents; all of them if it is not there.
    fn subdir(&self) -> Result<Subdir, Problem> {
        let written = self.optional_string("subdir").unwrap_or(".");
        let (path, reference) = (normal_path(written), reference_normal_path(written));
        if is_non_upwards(&path) {
            return Ok(Subdir { path, reference });
        }
        let reference = format!("Expected field \"subdir\" to be a non-upwards path, but found {reference}");
        let at = self.value("subdir")?;
        Err(self.wrong(at, "\"subdir\" leads out of the contents of the repository", reference))
    }

    /// A list of strings that may be there.
    fn strings(
        &self,
        key: &str,
        not_a_list: impl FnOnce(String) -> String,
        no_string: impl FnOnce(String) -> String,
    ) -> Result<Vec<String>, Problem> {
        let Some(value) = self.get(key) else { return Ok(Vec::new()) };
        let message = format!("{} is a list of strings", quoted(key));
        let Some(items) = value.as_list() else {
            return Err(self.wrong(value, message, not_a_list(text(value))));
        };
        match items.clone().find(|item| item.as_str().is_none()) {
            Some(wrong) => Err(self.wrong(wrong, message, no_string(text(wrong)))),
            None => Ok(items.filter_map(|item| item.as_str().map(str::to_owned)).collect()),
        }
    }

    fn mirrors(&self) -> Result<Vec<String>, Problem> {
        self.strings(
            "mirrors",
            |found| format!("Optional field \"mirrors\" should be a list of strings, but found: {found}"),
            |found| format!("Unsupported list entry {found} in optional field \"mirrors\""),
        )
    }

    fn pragma(&self, key: &str) -> Option<Node<'d>> {
        self.get("pragma")?.get(key)
    }

    /// As in the reference, other values than the three words mean nothing.
    fn special(&self) -> Option<Special> {
        self.pragma("special")?.as_str().and_then(Special::of_word)
    }

    fn is_set(&self, key: &str) -> bool {
        self.pragma(key).and_then(Node::as_bool) == Some(true)
    }

    fn is_absent(&self) -> bool {
        self.is_set("absent")
    }

    /// The fields that say what a file is and where it is fetched from.
    fn content(&self) -> Result<Content, Problem> {
        let id = self.id("content", "a git blob")?;
        let fetch = self.string("fetch")?.to_owned();
        // The same default as in the reference, so that one directory of archives serves both.
        let distfile = self.optional_string("distfile").unwrap_or_else(|| basename(&fetch)).to_owned();
        Ok(Content {
            id,
            mirrors: self.mirrors()?,
            distfile,
            sha256: self.checksum("sha256", 64)?,
            sha512: self.checksum("sha512", 128)?,
            fetch,
        })
    }

    /// A checksum; the reference ignores what is not a string, and reports a wrong one when it has fetched the file.
    fn checksum(&self, key: &str, digits: usize) -> Result<Option<String>, Problem> {
        let Some(written) = self.optional_string(key) else { return Ok(None) };
        // Checked before the transfer, so that a mistake in a checksum costs no download.
        if written.len() == digits && written.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Some(written.to_ascii_lowercase()));
        }
        let at = self.value(key)?;
        let message = format!("{} has {digits} hexadecimal digits", quoted(key));
        let reference = format!("Unsupported value {} for field {}", text(at), quoted(key));
        Err(self.wrong(at, message, reference))
    }
}

fn directory(description: &Description, fields: &Fields<'_>) -> Result<Source, Problem> {
    let path = fields.string("path")?;
    // An empty path is the base itself.
    let path = taut_sys::normal(&description.base().join(if path.is_empty() { "." } else { path }));
    let special = fields.special();
    // A directory of the system has its links as they are: to resolve them needs a tree.
    let is_resolved = special.is_some_and(|special| special != Special::Ignore);
    // Ignored links need no tree: they are left out whenever the directory is read.
    let to_git = is_resolved || fields.is_set("to_git");
    Ok(Source::File(Directory { path, special, to_git, absent: fields.is_absent() }))
}

fn git(fields: &Fields<'_>) -> Result<Source, Problem> {
    let commit = fields.id("commit", "a commit")?;
    let repository = fields.string("repository")?.to_owned();
    // The order of these fields is that of the reference's checks.
    let branch = fields.string("branch")?.to_owned();
    let subdir = fields.subdir()?;
    let mirrors = fields.mirrors()?;
    let inherit_env = fields.strings(
        "inherit env",
        |found| format!("optional field \"inherit env\" should be a list of strings, but found {found}"),
        |found| {
            format!("optional field \"inherit env\" should be a list of strings, but found entry {found}")
        },
    )?;
    Ok(Source::Git(Commit {
        repository,
        commit,
        branch,
        mirrors,
        subdir,
        inherit_env,
        ignore_special: fields.special() == Some(Special::Ignore),
        absent: fields.is_absent(),
    }))
}

fn git_tree(fields: &Fields<'_>) -> Result<Source, Problem> {
    let id = fields.id("id", "a git tree")?;
    let command = fields.value("cmd")?;
    let Some(words) = command.as_list() else {
        return Err(fields.unsupported(command, "cmd", "a list of strings"));
    };
    if let Some(wrong) = words.clone().find(|word| word.as_str().is_none()) {
        let reference = format!("Unsupported entry {} in mandatory field \"cmd\"", text(wrong));
        return Err(fields.wrong(wrong, "\"cmd\" is a list of strings", reference));
    }
    let mut env = BTreeMap::new();
    // A value that is not a map has no entries, and is not an error.
    for (key, value) in fields.get("env").iter().flat_map(|env| env.entries()) {
        let Some(value) = value.as_str() else {
            let reference = format!(
                // The key is `env`; the reference's message has it misspelt.
                "Unsupported value {} for key {} in optional field \"envs\"",
                text(value),
                quoted(key)
            );
            return Err(fields.wrong(value, format!("the variable {} is a string", quoted(key)), reference));
        };
        env.insert(key.to_owned(), value.to_owned());
    }
    let mut inherit_env = Vec::new();
    for variable in fields.get("inherit env").iter().flat_map(|variables| variables.items()) {
        let Some(variable) = variable.as_str() else {
            let reference =
                format!("Not a variable name in the specification of \"inherit env\": {}", text(variable));
            return Err(fields.wrong(variable, "the name of a variable is a string", reference));
        };
        inherit_env.push(variable.to_owned());
    }
    Ok(Source::GitTree(MadeTree {
        id,
        command: words.filter_map(|word| word.as_str().map(str::to_owned)).collect(),
        env,
        inherit_env,
        ignore_special: fields.special() == Some(Special::Ignore),
        absent: fields.is_absent(),
    }))
}

fn archive(kind: ArchiveKind, fields: &Fields<'_>) -> Result<Source, Problem> {
    Ok(Source::Archive(Archive {
        content: fields.content()?,
        kind,
        subdir: fields.subdir()?,
        special: fields.special(),
        absent: fields.is_absent(),
    }))
}

fn foreign_file(fields: &Fields<'_>) -> Result<Source, Problem> {
    let content = fields.content()?;
    let Some(name) = fields.get("name") else {
        let mut problem = fields.missing("name", "field");
        // This field has a message of its own in the reference.
        problem.reference =
            Some("Mandatory field \"name\" for foreign file repository is missing".to_owned());
        return Err(problem);
    };
    let Some(written) = name.as_str() else {
        let reference =
            format!("Field \"name\" has to be a file name, given as string, but found {}", text(name));
        return Err(fields.wrong(name, "\"name\" is the name of a file, a string", reference));
    };
    // It becomes an entry of a tree.
    if written.is_empty() || matches!(written, "." | "..") || written.contains(['/', '\0']) {
        let reference = format!("Field \"name\" has to be valid a file name, but found {}", text(name));
        return Err(fields.wrong(name, format!("{} is not the name of a file", quoted(written)), reference));
    }
    let executable = fields.get("executable");
    if let Some(wrong) = executable.filter(|value| value.as_bool().is_none()) {
        let reference = format!("Field \"executable\" has to be a boolean, but found {}", text(wrong));
        return Err(fields.wrong(wrong, "\"executable\" is true or false", reference));
    }
    Ok(Source::ForeignFile(ForeignFile {
        content,
        name: written.to_owned(),
        executable: executable.and_then(Node::as_bool) == Some(true),
        absent: fields.is_absent(),
    }))
}

fn distdir(description: &Description, fields: &Fields<'_>) -> Result<Source, Problem> {
    let repositories = fields.value("repositories")?;
    let Some(names) = repositories.as_list() else {
        return Err(fields.unsupported(repositories, "repositories", "a list of names"));
    };
    let mut files = BTreeMap::new();
    for (number, written) in names.enumerate() {
        let Some(name) = written.as_str() else {
            let reference = format!("Unsupported value {} for \"repositories\" list entry", text(written));
            return Err(fields.wrong(written, "the name of a repository is a string", reference));
        };
        let all = description.repositories()?;
        if all.get(name).is_none() {
            let message = format!("there is no repository {} in the description", quoted(name));
            let reference = format!("No repository named {}", quoted(name));
            let known = all.entries().map(|(name, _)| name);
            return Err(fields.wrong(written, message, reference).suggest(did_you_mean(name, known)).into());
        }
        // A distdir that names itself, or another one, has nothing of it: only archives count.
        let is_archive = description.type_of(name)?.is_some_and(|of| matches!(of, "archive" | "zip"));
        if !is_archive {
            continue;
        }
        let of = description.source(name)?;
        let (place, url) = (of.place(), of.field("fetch"));
        if let Source::Archive(Archive { content, .. }) = of.source {
            // By the name in the directory: of two archives with one name the later one counts.
            let name_in_root = content.distfile.clone();
            let repository = name.to_owned();
            files.insert(name_in_root, Distfile { number, repository, content, place, url });
        }
    }
    Ok(Source::Distdir(Distdir { files, absent: fields.is_absent() }))
}

fn computed(fields: &Fields<'_>) -> Result<Source, Problem> {
    let repository = key(fields, "repo")?;
    let Some(repository) = repository.as_str() else {
        return Err(unsupported_key(fields, repository, "repo", "the name of a repository, a string"));
    };
    let target = key(fields, "target")?;
    let words: Vec<Option<&str>> =
        target.as_list().map(|words| words.map(|word| word.as_str()).collect()).unwrap_or_default();
    let [Some(module), Some(name)] = words[..] else {
        let mut problem = unsupported_key(fields, target, "target", "a list of a module and a target in it");
        if words.len() == 2 {
            problem.reference = Some(format!("Unsupported format for key \"target\":\n{}", text(target)));
        }
        return Err(problem);
    };
    let config = match fields.get("config") {
        None => Map::default(),
        Some(config) => match json_to_value(config) {
            Value::Map(config) => config,
            _ => return Err(unsupported_key(fields, config, "config", "a map from variables to values")),
        },
    };
    Ok(Source::Computed(Computed {
        repository: repository.to_owned(),
        module: module.to_owned(),
        name: name.to_owned(),
        config,
        absent: strict_absent(fields)?,
    }))
}

fn tree_structure(fields: &Fields<'_>) -> Result<Source, Problem> {
    let repository = key(fields, "repo")?;
    let Some(repository) = repository.as_str() else {
        return Err(unsupported_key(fields, repository, "repo", "the name of a repository, a string"));
    };
    Ok(Source::TreeStructure(TreeStructure {
        repository: repository.to_owned(),
        absent: strict_absent(fields)?,
    }))
}

/// A required field of a root that is determined by something else; in the reference's messages it is a "key".
fn key<'d>(fields: &Fields<'d>, key: &str) -> Result<Node<'d>, Problem> {
    fields.get(key).ok_or_else(|| fields.missing(key, "key"))
}

fn unsupported_key(fields: &Fields<'_>, at: Node<'_>, key: &str, what: &str) -> Problem {
    let reference = format!("Unsupported value for key {}:\n{}", quoted(key), text(at));
    fields.wrong(at, format!("{} is {what}", quoted(key)), reference)
}

/// The pragma `absent` of a root that something else determines, where the reference takes no other values.
fn strict_absent(fields: &Fields<'_>) -> Result<bool, Problem> {
    let Some(pragma) = fields.get("pragma") else { return Ok(false) };
    if pragma.kind() != Kind::Object {
        let reference = format!("Key \"pragma\", if given, should be a map, but found {}", text(pragma));
        return Err(fields.wrong(pragma, "\"pragma\" is a map", reference));
    }
    match pragma.get("absent").filter(|absent| !absent.is_null()) {
        None => Ok(false),
        Some(absent) => absent.as_bool().ok_or_else(|| {
            let reference = format!("Expected pragma \"absent\" to be boolean, but found {}", text(absent));
            fields.wrong(absent, "\"absent\" is true or false", reference)
        }),
    }
}
