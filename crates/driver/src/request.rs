//! What a call is about: repositories, configuration, target; from words to values.
//!
//! Everything here is answered before analysis starts. Errors of this stage are the user's set-up, not
//! the description's; the reference ends with exit code 1 for them, so they have a type of their own.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use taut_repos::{Origin, Overrides, RepoConfig};
use taut_syntax::json::{Document, Kind, Node, reference_error};
use taut_syntax::{Diagnostic, Diagnostics, JsonPath, Location, quoted};
use taut_value::{Encoder, Id, JsonWriter, Map, Str, Value};

use crate::{
    SetupError, Targets,
    configured_text::configured_text,
    joined,
    target_words::{self, targets_file},
};

/// The words that say what a call is about.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// The repository configuration, if one is given.
    pub repository_config: Option<PathBuf>,
    /// Where that comes from, if it was generated.
    pub origin: Option<Origin>,
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

/// The text of a file by its path in messages; `None` if there is none.
pub type RootTexts = Arc<dyn Fn(&str) -> Option<Arc<str>> + Send + Sync>;

impl Request {
    /// Interprets the words of a command line given in `cwd`, an absolute path.
    ///
    /// # Errors
    ///
    /// [`SetupError`] for the first thing that is wrong: repositories, then configuration, then target.
    pub fn new(words: &Words, cwd: &Path, roots: &dyn ResolveRoots) -> Result<Request, SetupError> {
        let (file, overrides) = (words.repository_config.as_deref(), &words.overrides);
        let read = match (file, &words.origin) {
            (Some(file), Some(origin)) => RepoConfig::read_generated(file, origin, overrides, cwd),
            _ => RepoConfig::read(file, overrides, cwd),
        };
        let repositories = read.map_err(|error| SetupError::from(*error.problem))?;
        let main = repositories.main.clone();
        // Before the target is looked for, since this reads the roots.
        let mut repositories = roots.resolve(repositories, &main)?;
        if words.overrides.has_rules {
            repositories.bind_rules();
        }
        let configuration = configuration(words, cwd)?;
        let targets = target_words::targets(&repositories, &words.target, words.has_typed_names, cwd)
            .map_err(|error| SetupError { has_lost_roots: repositories.roots.has_lost(), ..error })?;
        let others: BTreeSet<Str> = targets.iter().map(|target| target.repository.clone()).collect();
        for repository in others {
            if !repositories.computed_roots(&repository).is_empty() {
                // The main repository does not reach that of the target.
                repositories = roots.resolve(repositories, &repository)?;
            }
        }
        Ok(Request { repositories, targets, configuration })
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

    /// Whether something that belongs to a root was found to be missing or damaged.
    pub fn has_lost_roots(&self) -> bool {
        self.repositories.roots.has_lost()
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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use super::*;
    use std::fs;

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
            self.ask_as(true, cwd, target, defines)
        }

        fn ask_as(
            &self,
            is_taut: bool,
            cwd: &str,
            target: &[&str],
            defines: &[&str],
        ) -> Result<String, String> {
            let words = Words {
                has_typed_names: is_taut,
                target: target.iter().map(|word| (*word).to_owned()).collect(),
                defines: defines.iter().map(|word| (*word).to_owned()).collect(),
                ..Default::default()
            };
            let request = Request::new(&words, &self.0.path().join(cwd), &NoComputedRoots);
            request.map(|request| request.target_text()).map_err(|error| error.message().to_owned())
        }
    }

    #[test]
    fn without_a_name_the_default_target_or_all_are_meant() {
        let fixture = Fixture::new();
        let all = [r#"[["@","","","Z"],{}]"#, r#"[["@","","","a"],{}]"#, r#"[["@","","","b"],{}]"#];
        let all = [&all[..], &[r#"[["@","","","m:b"],{}]"#]].concat().join(", ");
        // The nearest module has no target of this name.
        assert_eq!(fixture.ask("m", &[], &[]), Ok(all.clone()));
        assert_eq!(fixture.ask("", &[], &[]), Ok(all));
        fs::write(fixture.0.path().join("m/TARGETS"), r#"{"a": 1, "default": 1}"#).unwrap();
        assert_eq!(fixture.ask("m/sub", &[], &[]).as_deref(), Ok(r#"[["@","","m","default"],{}]"#));
    }

    #[test]
    fn without_a_name_the_first_target_is_meant_as_in_the_reference() {
        let fixture = Fixture::new();
        assert_eq!(fixture.ask_as(false, "", &[], &[]).as_deref(), Ok(r#"[["@","","","Z"],{}]"#));
        assert_eq!(fixture.ask_as(false, "m", &[], &[]).unwrap_err(), "m/TARGETS defines no targets");
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
