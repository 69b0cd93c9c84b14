//! What a call is about: repositories, configuration, target; from words to values.
//!
//! Everything here is answered before analysis starts. Errors of this stage are the user's set-up, not
//! the description's; the reference ends with exit code 1 for them, so they have a type of their own.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taut_analysis::{NO_TARGETS_FILE, NameContext, parse_name};
use taut_repos::{Overrides, RepoConfig};
use taut_syntax::json::{Document, Kind, Node, reference_error};
use taut_syntax::{Diagnostic, Diagnostics, JsonPath, Location, Note, quoted};
use taut_value::{Encoder, Id, JsonWriter, Map, NamedTarget, Str, Value};

use crate::{Targets, configured_text::configured_text, joined};

/// The words that say what a call is about.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// The repository configuration, if one is given.
    pub repository_config: Option<PathBuf>,
    /// What the command line says about the main repository.
    pub overrides: Overrides,
    /// The file with the configuration, if one is given.
    pub config: Option<PathBuf>,
    /// JSON objects laid over it, in order.
    pub defines: Vec<String>,
    /// The target as it is named on the command line.
    pub target: Vec<String>,
    /// Whether one word may be a name like `module:target`.
    pub has_typed_names: bool,
}

/// What a call is about.
#[derive(Clone, Debug)]
pub struct Request {
    /// The repositories.
    pub repositories: RepoConfig,
    /// The targets.
    pub targets: Targets,
    /// Their configuration.
    pub configuration: Map,
}

/// Why a call cannot even start.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SetupError {
    /// What is wrong, and where.
    pub problem: Box<Diagnostic>,
    /// A text that the problem is about and that is in no file, by the name that the problem has for
    /// it.
    pub inline: Option<(Arc<str>, Arc<str>)>,
    /// More that is wrong.
    pub others: Vec<Diagnostic>,
    /// What failed.
    pub failure: SetupFailure,
}

/// What keeps a call from starting.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetupFailure {
    /// The request cannot be understood.
    Request,
    /// Roots cannot be computed.
    Roots,
    /// The call was to end, or roots could not even be tried to compute; this was reported.
    Reported,
}

/// Computes roots that are computed from others. Gives the configuration with them.
pub trait ResolveRoots {
    /// Computes the roots that a repository needs, by its global name.
    ///
    /// # Errors
    /// They cannot be computed.
    fn resolve(&self, repositories: RepoConfig, repository: &str) -> Result<RepoConfig, SetupError>;
}

/// Leaves roots that have to be computed as they are: nothing can be read from them.
pub struct NoComputedRoots;

impl ResolveRoots for NoComputedRoots {
    fn resolve(&self, repositories: RepoConfig, _: &str) -> Result<RepoConfig, SetupError> {
        Ok(repositories)
    }
}

impl SetupError {
    fn new(message: impl Into<String>) -> SetupError {
        Diagnostic::error(message).into()
    }

    /// That the call is over, for a reason that was reported.
    pub fn reported() -> SetupError {
        SetupError { failure: SetupFailure::Reported, ..SetupError::new("") }
    }

    /// All that is wrong.
    pub fn problems(&self) -> Diagnostics {
        std::iter::once(&*self.problem).chain(&self.others).cloned().collect()
    }

    /// What is wrong; may have several lines.
    pub fn message(&self) -> &str {
        &self.problem.message
    }
}

impl From<Diagnostic> for SetupError {
    fn from(problem: Diagnostic) -> SetupError {
        SetupError {
            problem: Box::new(problem),
            inline: None,
            others: Vec::new(),
            failure: SetupFailure::Request,
        }
    }
}

impl fmt::Display for SetupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for SetupError {}

/// The text of a file by its path in messages; `None` if there is none.
pub type RootTexts = Arc<dyn Fn(&str) -> Option<Arc<str>> + Send + Sync>;

impl Request {
    /// Interprets the words of a command line given in `cwd`, an absolute path.
    ///
    /// # Errors
    ///
    /// [`SetupError`] for the first thing that is wrong: repositories, then configuration, then target.
    pub fn new(words: &Words, cwd: &Path, roots: &dyn ResolveRoots) -> Result<Request, SetupError> {
        let config_file = words.repository_config.as_deref();
        let repositories = RepoConfig::read(config_file, &words.overrides, cwd)
            .map_err(|error| SetupError::from(*error.problem))?;
        let main = repositories.main.clone();
        // Before the target is looked for, since this reads the roots.
        let mut repositories = roots.resolve(repositories, &main)?;
        if words.overrides.has_rules {
            repositories.bind_rules();
        }
        let configuration = configuration(words, cwd)?;
        let module = current_module(&repositories, cwd);
        let target = match &unbracketed(&words.target)[..] {
            [] => first_target(&repositories, &module)?,
            [name] => {
                let typed = Some(name).filter(|_| words.has_typed_names).and_then(|name| typed_name(name));
                // What the module has under the whole word wins, so a word that `just` accepts has the same meaning
                // here.
                match typed.filter(|_| !is_in_module(&repositories, &module, name)) {
                    Some(typed) => typed.target(&repositories)?,
                    None => NamedTarget::new(repositories.main.clone(), module, name.as_str()),
                }
            }
            // On the command line a module may be written as a path from the root.
            [module, name] => NamedTarget::new(repositories.main.clone(), module, name.as_str()),
            others => named(&repositories, &module, others, words.has_typed_names)?,
        };
        if !repositories.computed_roots(&target.repository).is_empty() {
            // The main repository does not reach that of the target.
            repositories = roots.resolve(repositories, &target.repository)?;
        }
        Ok(Request { repositories, targets: target.into(), configuration })
    }

    /// Identifies the owner of installed results: the targets, in whatever configuration, and the main repository by its
    /// root.
    ///
    /// The hexadecimal hash of the number of targets, each of them, and the identity of the main repository's root of
    /// sources, as [`Encoder`] writes them.
    pub fn owner(&self) -> String {
        let repositories = &self.repositories;
        let main = repositories.repositories.get(&repositories.main);
        let mut e = Encoder::new();
        // Without the configuration: what is installed in another one replaces this.
        self.targets.encode(&mut e);
        e.bytes(&main.map(|main| main.workspace_root.source.identity()).unwrap_or_default());
        Id::of(e.finish()).to_hex()
    }

    /// Those of some words that are targets of the module which `cwd`, an absolute path, lies in.
    pub fn targets_here<'w>(&self, words: &'w [String], cwd: &Path) -> Vec<&'w str> {
        let repositories = &self.repositories;
        let module = current_module(repositories, cwd);
        let document = targets_file(repositories, &repositories.main, &module);
        words.iter().map(String::as_str).filter(|word| has_target(document.as_ref(), word)).collect()
    }

    /// The names of the targets that a module of the targets' repository defines, if it has a file of targets.
    pub fn targets_of(&self, module: &str) -> Option<Vec<String>> {
        let document = targets_file(&self.repositories, &self.targets.first().repository, module)?;
        let root = document.root();
        (root.kind() == Kind::Object).then(|| root.entries().map(|(name, _)| name.to_owned()).collect())
    }

    /// The target of a module whose definition names an output: in `outs`, in `out_dirs`, or as the `name` of a file.
    pub fn target_with_output(&self, module: &str, output: &str) -> Option<String> {
        let document = targets_file(&self.repositories, &self.targets.first().repository, module)?;
        let is_named = |field: Node<'_>| match field.kind() {
            Kind::List => field.items().any(|item| item.as_str() == Some(output)),
            _ => field.as_str() == Some(output),
        };
        let root = document.root();
        if root.kind() != Kind::Object {
            return None;
        }
        let makes = |target: Node<'_>| {
            target.kind() == Kind::Object
                && ["outs", "out_dirs", "name"].iter().any(|field| target.get(field).is_some_and(is_named))
        };
        root.entries().find(|(_, target)| makes(*target)).map(|(name, _)| name.to_owned())
    }

    /// The texts of files in roots that are no directories, by their paths in messages.
    pub fn texts(&self) -> RootTexts {
        root_texts(&self.repositories)
    }

    /// The error that the root with the files of the first target is absent, if it is: only a service could describe it.
    pub fn targets_are_absent(&self) -> Option<Diagnostic> {
        let target = self.targets.first();
        let repository = self.repositories.repositories.get(&target.repository)?;
        let shown = repository.target_root.source.shown("");
        let message = format!(
            "The targets of repository {} are in a git tree that is not here: {}",
            quoted(&*target.repository),
            shown.display()
        );
        let reference = format!(
            "Root for target {} is absent but no serve endpoint was configured. Please provide --remote-serve-address \
             and retry.",
            taut_value::EntityName::Named(target.clone()).to_json()
        );
        let help = "name the git repository that has it: [\"git tree\", \"id\", \"path\"]";
        let problem = Diagnostic::error(message).reference(reference).help(help);
        Some(problem).filter(|_| repository.target_root.source.is_absent())
    }

    /// What is wrong with roots themselves, if anything is: then nothing can be analysed that needs them.
    pub fn problems_of_roots(&self) -> Diagnostics {
        self.repositories.roots.check()
    }

    /// Targets and configuration as messages show them: `[name,configuration]` for each.
    pub fn target_text(&self) -> String {
        joined(self.targets.iter().map(|target| configured_text(target, &self.configuration)))
    }

    /// The first target and its configuration as messages show them.
    pub fn first_target_text(&self) -> String {
        configured_text(self.targets.first(), &self.configuration)
    }
}

/// The texts of files in roots that are no directories, by their paths in messages.
pub fn root_texts(repositories: &RepoConfig) -> RootTexts {
    let roots = repositories.roots.clone();
    Arc::new(move |file| roots.text(file))
}

/// The targets file of a module, if there is one that can be read.
fn targets_file(repositories: &RepoConfig, repository: &str, module: &str) -> Option<Document> {
    let repository = repositories.repositories.get(repository)?;
    let file = taut_analysis::module_file(&repository.target_root, module, &repository.target_file_name);
    Document::parse("", file.read(&repositories.roots).ok()??).ok()
}

fn has_target(file: Option<&Document>, name: &str) -> bool {
    let root = file.map(Document::root);
    root.is_some_and(|root| root.kind() == Kind::Object && root.get(name).is_some())
}

fn configuration(words: &Words, cwd: &Path) -> Result<Map, SetupError> {
    let mut all = Map::default();
    if let Some(file) = &words.config {
        let name = file.display();
        let content = taut_sys::if_exists(taut_sys::Named::read(&cwd.join(file)));
        let content = content
            .map_err(|error| SetupError::new(format!("Reading config file {name} failed: {error}")))?
            .ok_or_else(|| SetupError::new(format!("Config file {name} does not exist.")))?;
        let label: Arc<str> = cwd.join(file).to_string_lossy().into();
        all = object(label, content).map_err(|mut problem| {
            problem.message = match problem.message.is_empty() {
                true => format!("Config file {name} does not contain a map."),
                false => {
                    let step = format!("Parsing config file {name} failed with error:");
                    *problem = problem.clone().below(&step);
                    format!("{step}\n{}", problem.message)
                }
            };
            SetupError::from(*problem)
        })?;
    }
    for text in &words.defines {
        let mut shown = JsonWriter::compact();
        shown.string(text);
        let shown = shown.finish();
        let label: Arc<str> = "-D".into();
        let defined = object(label.clone(), text.clone().into_bytes()).map_err(|mut problem| {
            problem.message = match problem.message.is_empty() {
                true => format!("Defines entry {shown} does not contain a map."),
                false => {
                    let step = format!("Parsing defines entry {shown} failed with error:");
                    *problem = problem.clone().below(&step);
                    format!("{step}\n{}", problem.message)
                }
            };
            if let Some((variable, value)) = text.split_once('=')
                && !text.trim_start().starts_with('{')
            {
                // Written as other tools take variables: advice about the syntax of JSON would not help.
                problem.help.clear();
                let value = Value::string(value).to_json();
                *problem = problem
                    .clone()
                    .help(format!("variables are given as JSON: {{{}: {value}}}", quoted(&variable)));
            }
            let inline = Some((label.clone(), text.as_str().into()));
            SetupError { inline, ..SetupError::from(*problem) }
        })?;
        // Of a variable that both have, the later value counts as a whole: values are not merged.
        all = all.union(&defined);
    }
    Ok(all)
}

/// Reads a JSON object. The error has no message if it is JSON, but no object.
fn object(label: Arc<str>, text: Vec<u8>) -> Result<Map, Box<Diagnostic>> {
    let document = Document::parse(label.clone(), text.clone())
        .map_err(|error| Box::new(Diagnostic::from(error).reference(reference_error(&text))))?;
    match taut_expr::json_to_value(document.root()) {
        Value::Map(map) if document.root().kind() == Kind::Object => Ok(map),
        _ => Err(Box::new(Diagnostic::error("").at(Location::value(label, JsonPath::root())))),
    }
}

/// The module that a directory lies in: the nearest directory upwards, within the main workspace, that
/// has a target file; the root module if there is none.
fn current_module(repositories: &RepoConfig, cwd: &Path) -> Str {
    let main = &repositories.repositories[&repositories.main];
    let Some(workspace) = main.workspace_root.directory() else { return Str::default() };
    // Both without links: the working directory may have been entered through one.
    let workspace = taut_sys::canonical(workspace).unwrap_or_else(|_| workspace.to_owned());
    let here = taut_sys::canonical(cwd).unwrap_or_else(|_| cwd.to_owned());
    let Ok(below) = here.strip_prefix(&workspace) else { return Str::default() };
    let has_targets =
        |module: &Path| main.target_root.source.is_file(&module.join(main.target_file_name.as_str()));
    let module = below.ancestors().find(|module| has_targets(module)).unwrap_or(Path::new(""));
    module.to_string_lossy().as_ref().into()
}

/// A name in one word: `module:target`, with `//` in front or not, or `@repository//module:target`. The module is a path
/// from the root, as it is in two words.
struct TypedName {
    repository: Option<String>,
    module: String,
    name: String,
}

impl TypedName {
    fn target(&self, repositories: &RepoConfig) -> Result<NamedTarget, SetupError> {
        let TypedName { repository, module, name } = self;
        let own = |repository: &Str| NamedTarget::new(repository.clone(), module.as_str(), name.as_str());
        match repository {
            None => Ok(own(&repositories.main)),
            Some(repository) if repositories.repositories.contains_key(repository.as_str()) => {
                Ok(own(&repository.as_str().into()))
            }
            // As a target file of the main repository would name it.
            Some(repository) => {
                let words = ["@", repository, module, name].map(str::to_owned);
                named(repositories, &Str::default(), &words, true)
            }
        }
    }
}

fn typed_name(word: &str) -> Option<TypedName> {
    let (repository, rest) = match word.strip_prefix('@') {
        Some(rest) => {
            let (repository, rest) = rest.split_once("//")?;
            (Some(unquoted(repository)?), rest)
        }
        None => (None, word.strip_prefix("//").unwrap_or(word)),
    };
    // A colon within quotes is none.
    let quoted_end = rest.strip_prefix('"').and_then(|rest| rest.find("\":")).map_or(0, |end| end + 2);
    let colon = quoted_end + rest[quoted_end..].find(':')?;
    let (module, name) = (unquoted(&rest[..colon])?, unquoted(&rest[colon + 1..])?);
    Some(TypedName { repository, module, name })
}

/// A part of a name, which may be in quotes as JSON has them.
fn unquoted(part: &str) -> Option<String> {
    if !part.starts_with('"') {
        return Some(part.to_owned());
    }
    Document::parse("", part.as_bytes().to_vec()).ok()?.root().as_str().map(str::to_owned)
}

/// Whether a module has a target of this name, or a file. Asked only for names that could be read in another way.
fn is_in_module(repositories: &RepoConfig, module: &Str, name: &str) -> bool {
    let main = &repositories.repositories[&repositories.main];
    has_target(targets_file(repositories, &repositories.main, module).as_ref(), name)
        || main.workspace_root.source.is_file(&Path::new(module.as_str()).join(name))
}

/// The target that is meant if none is named: the first one, by the bytes of their names.
fn first_target(repositories: &RepoConfig, module: &Str) -> Result<NamedTarget, SetupError> {
    let main = &repositories.repositories[&repositories.main];
    if main.target_root.source.is_absent() {
        // What its first target is cannot be seen. The reference asks a service for this one.
        return Ok(NamedTarget::new(repositories.main.clone(), "", ""));
    }
    let directory = if module.is_empty() { "." } else { module.as_str() };
    let name = format!("{directory}/{}", main.target_file_name);
    let place = taut_analysis::module_file(&main.target_root, module, &main.target_file_name);
    let file = place.full(&repositories.roots);
    let content = (place.read(&repositories.roots))
        .map_err(|error| SetupError::new(error.to_string()))?
        .ok_or_else(|| {
            let note = Note::at("looked for", Location::file(&*file.to_string_lossy()));
            let problem = Diagnostic::error(NO_TARGETS_FILE).note(note);
            SetupError::from(problem.reference(format!("Expected file at {name}.")).help(A_TARGETS_FILE))
        })?;
    let label: Arc<str> = file.to_string_lossy().into();
    let document = Document::parse(label.clone(), content.clone()).map_err(|error| {
        let step = format!("While searching for the default target in {name}:");
        let reference = format!("Failed to parse json with error {}", reference_error(&content));
        SetupError::from(Diagnostic::from(error).reference(reference).below(&step))
    })?;
    if document.root().kind() != Kind::Object {
        let problem = Diagnostic::error("A targets file is a JSON object");
        let problem = problem.reference(format!("Invalid content in target file {name}."));
        let problem = problem.at(Location::value(label, JsonPath::root()));
        return Err(problem.help(A_TARGETS_FILE).into());
    }
    match document.root().entries().next() {
        Some((first, _)) => Ok(NamedTarget::new(repositories.main.clone(), module.clone(), first)),
        None => {
            let problem =
                Diagnostic::error(format!("{} defines no targets", place.path)).help(A_TARGETS_FILE);
            Err(problem.reference(format!("Missing target descriptions in file {name}.")).into())
        }
    }
}

const A_TARGETS_FILE: &str = "a file maps names to definitions: {\"name\": {\"type\": …}}";

/// The reference's command line takes a word in brackets for several words, with commas in between.
fn unbracketed(words: &[String]) -> Vec<String> {
    let split = |word: &String| {
        let mut inner = word.trim();
        while let Some(within) = inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            inner = within.trim();
        }
        if inner.len() == word.trim().len() {
            return vec![word.clone()];
        }
        inner.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    words.iter().flat_map(split).collect()
}

/// How a target can be named in one word, where that is possible.
const TYPED_FORMS: &str = "on the command line a target is named in one of these ways:
MODULE:TARGET, or :TARGET in the root module
@REPOSITORY//MODULE:TARGET
";

/// How a target can be named on the command line.
const FORMS: &str = "on the command line a target is named in one of these ways:
TARGET (of the module that the working directory is in)
MODULE TARGET
./ RELATIVE-MODULE TARGET
@ REPOSITORY MODULE TARGET
FILE . NAME, also with TREE, GLOB or SYMLINK";

/// A name of several words: the items of a target name in a target file of the current module.
fn named(
    repositories: &RepoConfig,
    module: &Str,
    words: &[String],
    has_typed_names: bool,
) -> Result<NamedTarget, SetupError> {
    let given = words.join(" ");
    let words = Value::list(words.iter().map(|word| Value::string(word.as_str())));
    let context = NameContext { repositories, repository: &repositories.main, module };
    parse_name(&words, context).map_err(|why| {
        let step = format!("Parsing target name {} failed with:", words.to_json());
        let has_no_form = why.has_no_form();
        let mut problem = why.into_diagnostic(&words).below(&step);
        if has_no_form {
            problem.message = format!("{} names no target", quoted(&given));
            let heading = FORMS.lines().next().unwrap_or_default();
            problem.help = vec![match has_typed_names {
                true => TYPED_FORMS.to_owned() + FORMS[heading.len()..].trim_start(),
                false => FORMS.to_owned(),
            }];
        }
        SetupError::from(problem)
    })
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_word_in_brackets_is_several() {
        let words = |word: &str| unbracketed(&[word.to_owned()]);
        for (word, several) in [
            ("[m, t]", &["m", "t"][..]),
            ("[[m,t,]]", &["m", "t"]),
            ("[,t]", &["t"]),
            ("[]", &[]),
            ("[m,t", &["[m,t"]),
            ("m,t", &["m,t"]),
            ("", &[""]),
        ] {
            assert_eq!(words(word), several, "{word}");
        }
    }

    struct Fixture(tempfile::TempDir);

    impl Fixture {
        fn new() -> Fixture {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir_all(dir.path().join("m/sub")).unwrap();
            fs::write(dir.path().join("ROOT"), "").unwrap();
            fs::write(dir.path().join("TARGETS"), r#"{"b": 1, "a": 1, "Z": 1, "m:b": 1}"#).unwrap();
            fs::write(dir.path().join("m/TARGETS"), "{}").unwrap();
            fs::write(dir.path().join("f:g"), "").unwrap();
            Fixture(dir)
        }

        fn ask(&self, cwd: &str, target: &[&str], defines: &[&str]) -> Result<String, String> {
            let words = Words {
                has_typed_names: true,
                target: target.iter().map(|word| (*word).to_owned()).collect(),
                defines: defines.iter().map(|word| (*word).to_owned()).collect(),
                ..Default::default()
            };
            let request = Request::new(&words, &self.0.path().join(cwd), &NoComputedRoots);
            request.map(|request| request.target_text()).map_err(|error| error.message().to_owned())
        }
    }

    #[test]
    fn without_a_name_the_first_target_is_meant() {
        assert_eq!(Fixture::new().ask("", &[], &[]).as_deref(), Ok(r#"[["@","","","Z"],{}]"#));
    }

    #[test]
    fn a_name_belongs_to_the_module_one_is_in() {
        let fixture = Fixture::new();
        for (cwd, words, target) in [
            ("", &["t"][..], r#"["@","","","t"]"#),
            ("m", &["t"], r#"["@","","m","t"]"#),
            ("m/sub", &["t"], r#"["@","","m","t"]"#),
            ("m/sub", &["./m/../x/", "t"], r#"["@","","x","t"]"#),
            ("m/sub", &["./", "..", "t"], r#"["@","","","t"]"#),
            ("m", &["./", "a/b", "t"], r#"["@","","m/a/b","t"]"#),
            ("m", &["/", "t"], r#"["@","","","t"]"#),
            ("", &["FILE", "", "f"], r#"["@","","FILE","","f"]"#),
            ("m", &["GLOB", ".", "*.c"], r#"["@","","GLOB","m","*.c"]"#),
            ("m/sub", &[":a"], r#"["@","","","a"]"#),
            ("", &["m:t"], r#"["@","","m","t"]"#),
            ("m", &["@//m:t"], r#"["@","","m","t"]"#),
            ("", &["n:t"], r#"["@","","n","t"]"#),
            ("", &["f:g"], r#"["@","","","f:g"]"#),
            ("", &["m:b"], r#"["@","","","m:b"]"#),
            ("m", &[":"], r#"["@","","",""]"#),
            ("", &["m:"], r#"["@","","m",""]"#),
            ("", &["@//:"], r#"["@","","",""]"#),
            ("m", &["TREE", "m", "d"], r#"["@","","TREE","m","d"]"#),
        ] {
            assert_eq!(fixture.ask(cwd, words, &[]), Ok(format!("[{target},{{}}]")), "{cwd} {words:?}");
        }
    }

    #[test]
    fn wrong_names_are_explained() {
        let fixture = Fixture::new();
        for (words, reason) in [
            (&["@", "x", "", "t"][..], "Cannot resolve repository name x"),
            (&["@x//m:t"], "Cannot resolve repository name x"),
            (&["a", "b", "c"], "\"a b c\" names no target"),
            (&["./", "../../..", "t"], "Relative module name \"../../..\" is outside of workspace"),
            (&["FILE", "n", "t"], "Invalid module name \"n\" for file reference"),
        ] {
            let error = fixture.ask("m", words, &[]).unwrap_err();
            assert!(error.contains(reason), "{words:?}: {error}");
        }
        assert_eq!(fixture.ask("m", &[], &[]).unwrap_err(), "m/TARGETS defines no targets");
    }

    #[test]
    fn later_definitions_of_a_variable_win_as_a_whole() {
        let fixture = Fixture::new();
        let text = fixture.ask("", &["t"], &[r#"{"B":{"x":1},"A":null}"#, r#"{"B":{"y":2}}"#]);
        assert_eq!(text.as_deref(), Ok(r#"[["@","","","t"],{"A":null,"B":{"y":2.0}}]"#));
        assert_eq!(
            fixture.ask("", &["t"], &["[]"]).unwrap_err(),
            "Defines entry \"[]\" does not contain a map."
        );
        assert!(
            fixture.ask("", &["t"], &["{"]).unwrap_err().starts_with("Parsing defines entry \"{\" failed")
        );
    }
}
