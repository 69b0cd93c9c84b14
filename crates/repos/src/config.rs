//! The repository configuration: which roots, file names and bindings each repository has.
//!
//! Format: `just-repository-config(5)`. Roots are directories, git trees, and roots that are computed from other
//! repositories (`computed_root.rs`).

use std::{
    cell::RefCell,
    collections::{BTreeMap, HashMap},
    path::{Path, PathBuf},
    sync::Arc,
};

use taut_digest::Hash;
use taut_git::Repository as GitRepository;
use taut_syntax::{
    Diagnostic, Diagnostics, Dialect, Document, Kind, Location, Node, did_you_mean, json::reference_error,
    quoted,
};
use taut_sys::Named;
use taut_value::{Encoder, Str};

use crate::{
    AbsentRoot, DirectoryRoot, GitTreeRoot, Origin, Root, RootName, Roots, SourceRoot, UnresolvedRoot,
    config_error::{ConfigError, place},
    git_tree::RootLocations,
    misspelt, read_computed_root,
};

/// One repository.
#[derive(Clone, Debug)]
pub struct Repository {
    /// Where source files are taken from.
    pub workspace_root: Root,
    /// Where targets files are taken from.
    pub target_root: Root,
    /// Where rules files are taken from.
    pub rule_root: Root,
    /// Where expressions files are taken from.
    pub expression_root: Root,
    /// Name of targets files.
    pub target_file_name: Str,
    /// Name of rules files.
    pub rule_file_name: Str,
    /// Name of expressions files.
    pub expression_file_name: Str,
    /// Local names of other repositories, and their global ones.
    // Sorted, since shape and identity encode them in this order.
    pub bindings: BTreeMap<Str, Str>,
}

/// All repositories, by global name.
#[derive(Clone, Default, Debug)]
pub struct RepoConfig {
    /// The repository of the targets on the command line.
    pub main: Str,
    /// By global name.
    pub repositories: BTreeMap<Str, Repository>,
    /// The roots of all repositories.
    // Shared with every rule of the engine that reads; unchanged once they are numbered.
    pub roots: Arc<Roots>,
    /// How descriptions are written: those of targets, rules and expressions in all repositories. In the extended
    /// dialect, what taut adds to the reference's language is read, too.
    pub dialect: Dialect,
    /// Warnings about keys of the file that look misspelt.
    pub warnings: Diagnostics,
}

/// The options of the command line for the main repository; roots are always directories.
#[derive(Clone, Debug, Default)]
pub struct Overrides {
    /// Name of the main repository.
    pub main: Option<String>,
    /// `--workspace-root`.
    pub workspace_root: Option<PathBuf>,
    /// `--target-root`.
    pub target_root: Option<PathBuf>,
    /// `--rule-root`.
    pub rule_root: Option<PathBuf>,
    /// `--expression-root`.
    pub expression_root: Option<PathBuf>,
    /// `--target-file-name`.
    pub target_file_name: Option<String>,
    /// `--rule-file-name`.
    pub rule_file_name: Option<String>,
    /// `--expression-file-name`.
    pub expression_file_name: Option<String>,
    /// Whether the library of rules in the binary is a repository (`std`), unless another one has the name.
    pub has_rules: bool,
    /// How descriptions are written, the configuration included.
    pub dialect: Dialect,
}

/// What marks the directory of a workspace, by name; entries of any kind count.
pub const WORKSPACE_MARKERS: [&str; 3] = ["ROOT", "WORKSPACE", ".git"];

/// The nearest directory at or above `from` that is marked as a workspace root by an entry named `ROOT`,
/// `WORKSPACE` or `.git`.
///
/// # Errors
/// The error is `None` if there is no such directory; else it is the error of the system that kept one from being
/// found.
pub fn find_workspace_root(from: &Path) -> Result<PathBuf, Option<taut_sys::Error>> {
    let mut refused = None;
    let mut is_there = |path: PathBuf| match taut_sys::if_exists(Named::lstat(&path)) {
        Ok(found) => found.is_some(),
        Err(error) => {
            // A marker further above may be found all the same.
            refused.get_or_insert(error);
            false
        }
    };
    let mut marked =
        |directory: &&Path| WORKSPACE_MARKERS.iter().any(|marker| is_there(directory.join(marker)));
    // A worktree or submodule has a file `.git`, so any kind of entry counts.
    let found = from.ancestors().find(|directory| marked(directory)).map(Path::to_owned);
    found.ok_or(refused)
}

impl Repository {
    /// Its roots: of the workspace, of targets, rules and expressions.
    pub fn roots(&self) -> [&Root; 4] {
        [&self.workspace_root, &self.target_root, &self.rule_root, &self.expression_root]
    }

    pub(crate) fn all_roots(&mut self) -> [&mut Root; 4] {
        [&mut self.workspace_root, &mut self.target_root, &mut self.rule_root, &mut self.expression_root]
    }
}

impl RepoConfig {
    /// The configuration without the locations of its roots, as bytes in the encoding of [`Encoder`]: the name of the
    /// main repository; the number of repositories, and of each its name, four roots (of the workspace, of targets,
    /// rules, expressions), three file names (of targets, rules, expressions), the number of bindings and of each the
    /// local and the global name; whether comments and trailing commas are read in descriptions. A root is its number
    /// among all and whether special entries are ignored. The engine's file is named by a hash of it (docs/store.md,
    /// SHAPE).
    pub fn shape(&self) -> Vec<u8> {
        self.encode().finish()
    }

    /// The whole configuration as bytes: its shape, then the number of roots and the identity of each (docs/store.md,
    /// ROOTS).
    pub fn identity(&self) -> Vec<u8> {
        let mut e = self.encode();
        self.roots.encode(&mut e);
        e.finish()
    }

    fn encode(&self) -> Encoder {
        let mut e = Encoder::new();
        e.text(&self.main);
        e.number(self.repositories.len() as u64);
        for (name, repository) in &self.repositories {
            e.text(name);
            for root in repository.roots() {
                e.number(root.name.number as u64);
                e.bool(root.name.ignore_special);
            }
            // By number and not by path: checkouts of one project have the same shape, wherever they lie.
            let Repository { target_file_name, rule_file_name, expression_file_name, bindings, .. } =
                repository;
            [target_file_name, rule_file_name, expression_file_name].iter().for_each(|name| e.text(name));
            e.number(bindings.len() as u64);
            for (local, global) in bindings {
                e.text(local);
                e.text(global);
            }
        }
        // Descriptions that are accepted in one dialect may be errors in the other.
        e.bool(self.dialect.is_extended());
        e
    }

    /// Reads a configuration (`None`: a single repository named "") and applies the options of the command line.
    /// Relative directories are relative to `cwd`.
    ///
    /// # Errors
    /// The fault, with the name of the repository.
    pub fn read(file: Option<&Path>, overrides: &Overrides, cwd: &Path) -> Result<RepoConfig, ConfigError> {
        RepoConfig::read_with(file, None, overrides, cwd)
    }

    /// Reads a configuration that was generated: places in messages are those of what it was generated from.
    ///
    /// # Errors
    /// As for [`RepoConfig::read`].
    pub fn read_generated(
        file: &Path,
        origin: &Origin,
        overrides: &Overrides,
        cwd: &Path,
    ) -> Result<RepoConfig, ConfigError> {
        let read = RepoConfig::read_with(Some(file), Some(origin), overrides, cwd);
        read.map_err(|error| origin.problem(*error.problem).into())
    }

    fn read_with(
        file: Option<&Path>,
        origin: Option<&Origin>,
        overrides: &Overrides,
        cwd: &Path,
    ) -> Result<RepoConfig, ConfigError> {
        let document = read_document(file, overrides.dialect, cwd)?;
        let root = document.root();
        check_form(root, file)?;
        let main_entry = root.get("main");
        let described: BTreeMap<Str, Node<'_>> = root
            .get("repositories")
            .into_iter()
            .flat_map(|all| all.entries())
            .map(|(k, v)| (k.into(), v))
            .collect();
        // As in the reference: the option, the file, else the first repository by name.
        let main: Str = (overrides.main.as_deref())
            .or(main_entry.and_then(|main| main.as_str()))
            .map(Str::from)
            .or_else(|| described.keys().next().cloned())
            .unwrap_or_default();
        let given = overrides.main.is_some() || main_entry.is_some();
        // One that options define needs no description, and neither does that of the rules.
        let is_defined = overrides.workspace_root.is_some()
            || overrides.has_rules && main.as_str() == taut_rules::NAME
            || described.is_empty();
        if overrides.dialect.is_extended() && given && !is_defined && !described.contains_key(&main) {
            // Only in our dialect: the reference makes such a repository the workspace of the working directory.
            return Err(unknown_main(root, &main).into());
        }
        let mut repositories = BTreeMap::new();
        // Values of `all` are nodes of a document, so the missing description needs one, too.
        let empty = Document::parse("", "{}").expect("an empty object");
        let mut all = described.clone();
        // The main repository may be defined by options alone.
        all.entry(main.clone()).or_insert(empty.root());
        let places = Places { cwd, origin, repositories: RefCell::default() };
        for (name, description) in &all {
            // Options of the command line are about the main repository alone.
            let overrides = if *name == main { overrides.clone() } else { Overrides::default() };
            repositories
                .insert(name.clone(), repository(name, *description, &overrides, *name == main, &places)?);
        }
        if overrides.has_rules {
            // Of two with the name, the one of the user counts.
            repositories.entry(taut_rules::NAME.into()).or_insert_with(Repository::of_rules);
        }
        // Before bindings are checked, as these may name the library of rules.
        let config = RepoConfig::numbered(main, repositories, overrides.dialect);
        config.check_bindings(&described)?;
        // Of a file that was generated, no person has written a key.
        let warnings = if origin.is_none() { misspelt::warnings(root) } else { Diagnostics::default() };
        Ok(RepoConfig { warnings, ..config })
    }

    /// A configuration whose roots are numbered in the order in which the repositories name them.
    pub(crate) fn numbered(
        main: Str,
        mut repositories: BTreeMap<Str, Repository>,
        dialect: Dialect,
    ) -> RepoConfig {
        // Repositories come in the order of their names, so roots have the same numbers in each call and in each
        // checkout.
        let mut roots = Roots::default();
        for repository in repositories.values_mut() {
            repository.all_roots().into_iter().for_each(|root| roots.add(root));
        }
        let warnings = Diagnostics::default();
        RepoConfig { main, repositories, roots: Arc::new(roots), dialect, warnings }
    }

    fn check_bindings(&self, described: &BTreeMap<Str, Node<'_>>) -> Result<(), ConfigError> {
        for (name, repository) in &self.repositories {
            for (local, global) in &repository.bindings {
                if !self.repositories.contains_key(global) {
                    let known = self.repositories.keys().map(|known| known.as_str());
                    let mut problem = Diagnostic::error(format!(
                        "Binding {} for {} does not refer to a defined repository: {}",
                        quoted(&local),
                        quoted(&name),
                        quoted(&global)
                    ))
                    .reference(format!(
                        "Binding {} for {local} in {name} does not refer to a defined repository.",
                        quoted(&global)
                    ))
                    .suggest(did_you_mean(global, known));
                    let written = described.get(name).and_then(|at| at.get("bindings")?.get(local));
                    problem.location = written.map(place);
                    return Err(problem.into());
                }
            }
        }
        Ok(())
    }
}

/// The file of a configuration; without one, a document that describes nothing.
fn read_document(file: Option<&Path>, dialect: Dialect, cwd: &Path) -> Result<Document, ConfigError> {
    let Some(file) = file else {
        // As with an empty configuration: what comes after the reading is the same for both.
        return Ok(Document::parse("", "{}").map_err(Diagnostic::from)?);
    };
    let content = Named::read(&cwd.join(file)).map_err(|error| {
        let problem = Diagnostic::error(match error.is_not_found() {
            true => format!("Repository configuration {} does not exist.", file.display()),
            false => error.to_string(),
        });
        // The reference reads nothing then, which is not JSON.
        problem.reference(format!("{}\n{}", parsing(file), reference_error(b"")))
    })?;
    let label = cwd.join(file).to_string_lossy().into_owned();
    let document = Document::parse_as(dialect, label, content.clone()).map_err(|error| {
        Diagnostic::from(error).reference(reference_error(&content)).below(&parsing(file))
    })?;
    Ok(document)
}

/// Checks the form of what a configuration begins with.
fn check_form(root: Node<'_>, file: Option<&Path>) -> Result<(), ConfigError> {
    if root.kind() != Kind::Object {
        let shown = file.unwrap_or(Path::new("")).display();
        let problem = Diagnostic::error("Repository config: not a JSON object").at(place(root));
        let reference = format!("Repository configuration file {shown} does not contain a map.");
        return Err(problem.reference(reference).into());
    }
    if let Some(main) = root.get("main").filter(|main| main.as_str().is_none()) {
        return Err(ConfigError::at(main, "Repository config: main has to be a string"));
    }
    if let Some(all) = root.get("repositories").filter(|all| all.kind() != Kind::Object) {
        return Err(ConfigError::at(all, "Repository config: repositories has to be a map"));
    }
    Ok(())
}

/// The error about a main repository without a description, located at its name in the file, or at the described
/// repositories.
fn unknown_main(root: Node<'_>, main: &str) -> Diagnostic {
    let label = root.document().label().clone();
    let all = root.get("repositories");
    let at = match (root.get("main").filter(|node| node.as_str() == Some(main)), all) {
        (Some(node), _) => place(node),
        (None, Some(all)) => Location::key(label, all.path()),
        (None, None) => Location::file(label),
    };
    let known = all.iter().flat_map(|all| all.entries()).map(|(name, _)| name);
    Diagnostic::error(format!("there is no repository {} in the configuration", quoted(&main)))
        .at(at)
        .suggest(did_you_mean(main, known))
}

/// The locations that roots name.
struct Places<'p> {
    /// What relative paths are relative to.
    cwd: &'p Path,
    /// Where the configuration comes from, if it was generated.
    origin: Option<&'p Origin>,
    /// The git repositories, by path, so that roots of one repository share what is open of it.
    // One thread reads a configuration; the cell only lets the closures below share it.
    repositories: RefCell<HashMap<Arc<Path>, Arc<GitRepository>>>,
}

impl Places<'_> {
    fn git(&self, path: &str) -> Arc<GitRepository> {
        // The path is the key without links resolved: two ways to one repository are opened twice, which costs
        // little, and reading a configuration asks the file system for nothing.
        let path = absolute(self.cwd, Path::new(path));
        let repository = || Arc::new(GitRepository::new(&*path));
        self.repositories.borrow_mut().entry(path.clone()).or_insert_with(repository).clone()
    }

    /// The place of a value, for messages of later.
    fn written(&self, node: Node<'_>) -> Location {
        let place = place(node);
        self.origin.map_or_else(|| place.clone(), |origin| origin.place(&place))
    }
}

const NO_ROOT: &str = "No ROOT, WORKSPACE or .git here or above. Create a file ROOT, or pass -w DIR.";

fn repository(
    name: &str,
    description: Node<'_>,
    overrides: &Overrides,
    is_main: bool,
    places: &Places<'_>,
) -> Result<Repository, ConfigError> {
    let cwd = places.cwd;
    if description.kind() != Kind::Object {
        let message = format!("Repository config: description of {} is not an object", quoted(&name));
        return Err(ConfigError::at(description, message));
    }
    // Roots of the command line never ignore special entries: there is no option for that.
    let from_line = |path: &Option<PathBuf>| path.as_ref().map(|path| directory(absolute(cwd, path), false));
    let configured =
        |key: &str| description.get(key).map(|root| parse_root(name, key, root, places)).transpose();
    let workspace_root = match from_line(&overrides.workspace_root) {
        Some(root) => root,
        None => match configured("workspace_root")? {
            Some(root) => root,
            None if is_main => workspace_root_of(cwd)?,
            None => return Err(no_workspace_root(name, description)),
        },
    };
    let or = |line: &Option<PathBuf>, key: &str, default: &Root| -> Result<Root, ConfigError> {
        Ok(match from_line(line) {
            Some(root) => root,
            None => configured(key)?.unwrap_or_else(|| default.clone()),
        })
    };
    // Each layer has the one before it as its default, in this order.
    let target_root = or(&overrides.target_root, "target_root", &workspace_root)?;
    let rule_root = or(&overrides.rule_root, "rule_root", &target_root)?;
    let expression_root = or(&overrides.expression_root, "expression_root", &rule_root)?;
    let file_name = |line: &Option<String>, key: &str, default: &str| -> Result<Str, ConfigError> {
        match (line, description.get(key)) {
            (Some(name), _) => Ok(name.into()),
            (None, None) => Ok(default.into()),
            (None, Some(value)) => value.as_str().map(Str::from).ok_or_else(|| {
                ConfigError::at(
                    value,
                    format!("Repository config: {key} of {} has to be a string", quoted(&name)),
                )
            }),
        }
    };
    Ok(Repository {
        target_file_name: file_name(&overrides.target_file_name, "target_file_name", "TARGETS")?,
        rule_file_name: file_name(&overrides.rule_file_name, "rule_file_name", "RULES")?,
        expression_file_name: file_name(
            &overrides.expression_file_name,
            "expression_file_name",
            "EXPRESSIONS",
        )?,
        workspace_root,
        target_root,
        rule_root,
        expression_root,
        bindings: bindings(name, description)?,
    })
}

/// The workspace of the working directory.
fn workspace_root_of(cwd: &Path) -> Result<Root, ConfigError> {
    let path = find_workspace_root(cwd).map_err(|refused| {
        let problem = Diagnostic::error(NO_ROOT).reference("Could not determine workspace root.");
        match refused {
            Some(error) => problem.note(error.to_string()),
            None => problem,
        }
    })?;
    Ok(directory(path.into(), false))
}

/// The error about a repository that names no workspace root, and is not the main one.
fn no_workspace_root(name: &str, description: Node<'_>) -> ConfigError {
    let message = format!("Unknown root for repository {}: no workspace_root", quoted(&name));
    let problem = Diagnostic::error(message).at(place(description));
    let problem = problem.reference(format!("Unknown workspace root for repository {name}"));
    match misspelt::instead_of("workspace_root", description) {
        Some(key) => problem.at(key).suggest(Some("workspace_root")),
        None => problem.help("\"workspace_root\": [\"file\", \"directory\"]"),
    }
    .into()
}

/// The repositories that names in this one stand for.
fn bindings(name: &str, description: Node<'_>) -> Result<BTreeMap<Str, Str>, ConfigError> {
    let mut bindings = BTreeMap::new();
    let Some(described) = description.get("bindings") else { return Ok(bindings) };
    if described.kind() != Kind::Object {
        let message =
            format!("Repository config: bindings of {} have to be a map from names to names", quoted(&name));
        let found = compact(described);
        let reference = format!("bindings has to be a string-string map, but found {found}");
        return Err(Diagnostic::error(message).at(place(described)).reference(reference).into());
    }
    for (local, written) in described.entries() {
        let global = written.as_str().ok_or_else(|| {
            let message = format!(
                "Repository config: binding {} of {} has to be a string",
                quoted(&local),
                quoted(&name)
            );
            let reference = format!(
                "Binding {} for {local} in {name} does not refer to a defined repository.",
                compact(written)
            );
            Diagnostic::error(message).reference(reference).at(place(written))
        })?;
        bindings.insert(local.into(), global.into());
    }
    Ok(bindings)
}

fn directory(path: Arc<Path>, ignore_special: bool) -> Root {
    named(DirectoryRoot::new(path), ignore_special)
}

/// A root without a number.
fn named(source: impl SourceRoot + 'static, ignore_special: bool) -> Root {
    Root { source: Arc::new(source), name: RootName { ignore_special, ..RootName::default() } }
}

fn absolute(cwd: &Path, path: &Path) -> Arc<Path> {
    let joined = cwd.join(path);
    // Only `.` is removed: behind a link, `..` is not the directory above by the text.
    let clean: PathBuf = joined.components().filter(|part| *part != std::path::Component::CurDir).collect();
    clean.into()
}

/// The step of reading a configuration, in the words of the reference.
fn parsing(file: &Path) -> String {
    format!("Parsing repository configuration file {} failed with error:", file.display())
}

/// A value as compact JSON.
fn compact(json: Node<'_>) -> String {
    let text = json.source();
    let mut out = String::new();
    let (mut is_in_string, mut is_escaped) = (false, false);
    // Control characters are white space here: within strings, JSON has them escaped.
    for c in text.chars().filter(|c| !c.is_control()) {
        let was_in_string = is_in_string;
        match c {
            '"' if !is_escaped => is_in_string = !is_in_string,
            ' ' if !is_in_string => continue,
            _ => {}
        }
        // A backslash that is itself escaped does not escape the next character.
        is_escaped = was_in_string && !is_escaped && c == '\\';
        out.push(c);
    }
    out
}

/// The ways to specify a root.
const SCHEMES: [&str; 6] =
    ["file", "file ignore-special", "git tree", "git tree ignore-special", "computed", "tree structure"];

fn parse_root(repository: &str, key: &str, root: Node<'_>, places: &Places<'_>) -> Result<Root, ConfigError> {
    let words: Vec<Option<&str>> =
        root.as_list().map(|items| items.map(|item| item.as_str()).collect()).unwrap_or_default();
    let described = DescribedRoot { repository, key, root };
    match words[..] {
        [Some(scheme @ ("file" | "file ignore-special")), Some(path)] => {
            Ok(directory(absolute(places.cwd, Path::new(path)), scheme != "file"))
        }
        [Some(scheme @ ("git tree" | "git tree ignore-special")), Some(id)] => {
            Ok(named(AbsentRoot::new(id), scheme != "git tree"))
        }
        [Some(scheme @ ("git tree" | "git tree ignore-special")), Some(id), Some(path)] => {
            Ok(named(described.git_tree(id, path, places)?, scheme != "git tree"))
        }
        [Some(scheme @ ("git tree" | "git tree ignore-special")), ..] => {
            let form = format!("[{}, \"id of a tree\", \"path of a git repository\"]", quoted(&scheme));
            Err(described.wrong_arguments(scheme, "one or two string arguments", form))
        }
        [Some(scheme @ ("file" | "file ignore-special")), ..] => {
            let form = format!("[{}, \"path of a directory\"]", quoted(&scheme));
            Err(described.wrong_arguments(scheme, "precisely one string argument", form))
        }
        [Some(scheme @ ("computed" | "tree structure")), ..] => {
            let written = places.written(root);
            let root = read_computed_root::parse(scheme, root, key, repository)?;
            Ok(named(UnresolvedRoot { place: written, ..root }, false))
        }
        _ => Err(described.unknown_scheme(words.first().copied().flatten())),
    }
}

/// A root as a configuration describes it.
#[derive(Clone, Copy)]
struct DescribedRoot<'d> {
    /// The repository that has it.
    repository: &'d str,
    /// Which of its roots it is.
    key: &'d str,
    /// The description.
    root: Node<'d>,
}

impl DescribedRoot<'_> {
    /// A tree that the git repository at a path has.
    fn git_tree(self, id: &str, path: &str, places: &Places<'_>) -> Result<GitTreeRoot, ConfigError> {
        let DescribedRoot { repository, key, root } = self;
        let what = format!("{key} of repository {}", quoted(&repository));
        let item = |at| root.item(at).unwrap_or(root);
        // Digits of either case; the length excludes ids of SHA-256.
        let tree = Hash::from_hex(&id.to_ascii_lowercase()).ok().filter(|hash| hash.as_bytes().len() == 20);
        let Some(tree) = tree else {
            let message =
                format!("{} is not the id of a git tree, which has 40 hexadecimal digits", quoted(&id));
            let reference = format!(
                "Could not create file root for git repository {} and tree id {}",
                quoted(&path),
                quoted(&id)
            );
            let problem = Diagnostic::error(message).at(place(item(1))).reference(reference);
            return Err(problem.note(format!("it is the {what}")).into());
        };
        let (id, repository) = (places.written(item(1)), places.written(item(2)));
        let described = RootLocations { id, repository, written: path.to_owned(), what };
        Ok(GitTreeRoot::new(places.git(path), tree, described))
    }

    /// The error about a scheme with other arguments than it has; `expected`: which these are, in the reference's
    /// words.
    fn wrong_arguments(self, scheme: &str, expected: &str, form: String) -> ConfigError {
        let DescribedRoot { repository, key, root } = self;
        let scheme_expects = format!("{} scheme expects {expected}", quoted(&scheme));
        let of = format!("for {key} of repository");
        let found = root.source();
        let message = format!("{scheme_expects}, but found {found} {of} {}", quoted(&repository));
        let reference = format!("{scheme_expects}, but found {} {of} {repository}", compact(root));
        Diagnostic::error(message).at(place(root)).reference(reference).help(form).into()
    }

    /// The error about a root that begins with no known scheme.
    fn unknown_scheme(self, scheme: Option<&str>) -> ConfigError {
        let DescribedRoot { repository, key, root } = self;
        let (source, of) = (root.source(), quoted(&repository));
        let message = match scheme {
            Some(_) => {
                format!("Unknown scheme in the specification {source} of the {key} of repository {of}")
            }
            None => {
                format!("The {key} of repository {of} is a list that begins with a scheme, not {source}")
            }
        };
        let shown = compact(root);
        let reference = match root.item(0) {
            Some(_) => {
                format!("Unknown scheme in the specification {shown} of {key} of repository {repository}")
            }
            None => format!(
                "Expected {key} for {repository} to be of the form [<scheme>, ...], but found {shown}"
            ),
        };
        let problem = Diagnostic::error(message).reference(reference);
        let problem = problem.at(place(root.item(0).unwrap_or(root)));
        let meant = scheme.and_then(|word| did_you_mean(word, SCHEMES));
        match meant {
            Some(_) => problem.suggest(meant),
            None => problem.help("a directory is written as [\"file\", \"path\"]"),
        }
        .into()
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt};

    use taut_value::Id;

    use super::*;

    /// A configuration with two repositories, one of them in a directory whose name is not UTF-8.
    fn config(top: &Path, main_root: &[u8]) -> RepoConfig {
        let file = top.join("repos.json");
        let text = r#"{"main": "m", "repositories": {
            "m": {"workspace_root": ["file", "w"], "bindings": {"o": "other"}, "rule_file_name": "R"},
            "other": {"workspace_root": ["file ignore-special", "/o"]}}}"#;
        fs::write(&file, text).unwrap();
        let workspace_root = Some(PathBuf::from(OsStr::from_bytes(main_root)));
        let overrides = Overrides { workspace_root, ..Overrides::default() };
        RepoConfig::read(Some(&file), &overrides, Path::new("/work")).unwrap()
    }

    #[test]
    fn encodings_of_a_configuration_are_stable() {
        let top = tempfile::tempdir().unwrap();
        let config = config(top.path(), b"/a\xff");
        assert_eq!(
            Id::of(config.shape()).to_hex(),
            "82bc1ec70a66b9b227c0312e3183c3a35caabff349c6fa989ed921090b14f5ee"
        );
        assert_eq!(
            Id::of(config.identity()).to_hex(),
            "c0437555449837c1889643159e52b0d049d9c4a276c938d640ca9c0bc438051a"
        );
    }

    #[test]
    fn shape_and_identity_depend_on_how_descriptions_are_written() {
        let top = tempfile::tempdir().unwrap();
        let strict = config(top.path(), b"/a");
        let extended = RepoConfig { dialect: Dialect::Extended, ..strict.clone() };
        assert_ne!(strict.shape(), extended.shape());
        assert_ne!(strict.identity(), extended.identity());
        assert_eq!(extended.part("other").dialect, Dialect::Extended);
    }

    #[test]
    fn a_configuration_has_any_number_of_roots() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("repos.json");
        let count = 70_000;
        let root = |at: usize| format!(r#""{at:05}": {{"workspace_root": ["file", "/roots/{at}"]}}"#);
        let all: Vec<String> = (0..count).map(root).collect();
        fs::write(&file, format!(r#"{{"repositories": {{{}}}}}"#, all.join(","))).unwrap();
        let config = RepoConfig::read(Some(&file), &Overrides::default(), Path::new("/")).unwrap();
        for at in [0, 65_535, 65_536, count - 1] {
            let name = config.repositories[&*format!("{at:05}")].workspace_root.name;
            let directory = config.roots.get(name).unwrap().directory().unwrap().to_owned();
            assert_eq!(directory, Path::new(&format!("/roots/{at}")));
        }
    }

    #[test]
    fn paths_are_part_of_the_identity_by_their_bytes_and_no_part_of_the_shape() {
        let top = tempfile::tempdir().unwrap();
        let [one, other] = [&b"/a\xfe"[..], b"/a\xff"].map(|root| config(top.path(), root));
        assert_eq!(one.shape(), other.shape());
        assert_ne!(one.identity(), other.identity());
    }
}
