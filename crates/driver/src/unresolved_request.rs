//! A request as the command line and the configuration describe it: from words to values.
//!
//! Everything here is answered before the engine starts. Errors of this stage are the user's set-up, not the
//! description's; the reference ends with exit code 1 for them, so they have a type of their own.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use taut_analysis::Problem;
use taut_engine::Build;
use taut_repos::{Origin, Overrides, RepoConfig};
use taut_syntax::json::{Document, Kind, reference_error};
use taut_syntax::{Diagnostic, Dialect, JsonPath, Location};
use taut_value::{JsonWriter, Map, NamedTarget, Str, Value};

use crate::{
    Request, SetupError, Targets,
    target_words::{is_one_name, named_by, unbracketed},
    words::{WordsKey, WordsRule},
};

/// The words that say what a call is about.
#[derive(Clone, Debug, Default)]
pub struct Words {
    /// The repository configuration, if one is given.
    pub repository_config: Option<PathBuf>,
    /// Where that comes from, if it was generated.
    pub origin: Option<Origin>,
    /// The settings of the command line for the main repository.
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

/// A request whose targets may be known only when the workspace has been looked at.
#[derive(Clone, Debug)]
pub struct UnresolvedRequest {
    /// The repositories.
    pub repositories: RepoConfig,
    /// The configuration of the targets.
    pub configuration: Map,
    targets: RequestedTargets,
}

/// How the targets are given.
#[derive(Clone, PartialEq, Eq, Debug)]
enum RequestedTargets {
    ByWords(WordsKey),
    Known(Targets),
}

impl From<Request> for UnresolvedRequest {
    fn from(request: Request) -> UnresolvedRequest {
        let Request { repositories, targets, configuration } = request;
        UnresolvedRequest { repositories, configuration, targets: RequestedTargets::Known(targets) }
    }
}

impl UnresolvedRequest {
    /// Interprets the words of a command line given in `cwd`, an absolute path.
    ///
    /// # Errors
    /// [`SetupError`] for the first thing that is wrong: repositories, then configuration.
    pub fn new(words: &Words, cwd: &Path, roots: &dyn ResolveRoots) -> Result<UnresolvedRequest, SetupError> {
        let (file, overrides) = (words.repository_config.as_deref(), &words.overrides);
        let read = match (file, &words.origin) {
            (Some(file), Some(origin)) => RepoConfig::read_generated(file, origin, overrides, cwd),
            _ => RepoConfig::read(file, overrides, cwd),
        };
        let repositories = read.map_err(|error| SetupError::from(*error.problem))?;
        let main = repositories.main.clone();
        // Before words are understood, since that reads the roots.
        let mut repositories = roots.resolve(repositories, &main)?;
        if words.overrides.has_rules {
            repositories.bind_rules();
        }
        // After the repositories: of several errors the reference reports theirs first.
        let configuration = configuration(words, cwd)?;
        let target = unbracketed(&words.target);
        // By the form of words alone: which module they are in is known only when roots can be read.
        let named = named_by(&target, &Str::default(), &repositories);
        for repository in named.into_iter().map(|target| target.repository.clone()) {
            // The roots that the main repository does not reach.
            repositories = roots.resolve(repositories, &repository)?;
        }
        let key = words_key(&repositories, &target, words.has_typed_names, cwd);
        Ok(UnresolvedRequest { repositories, configuration, targets: RequestedTargets::ByWords(key) })
    }

    /// Whether another reading of the same command line asks for the same, in the same repositories.
    pub fn is_same_question(&self, other: &UnresolvedRequest) -> bool {
        self.targets == other.targets && self.configuration == other.configuration
    }

    /// Each word as a question of its own; none if there are no words, or if all of them can only be one name.
    pub fn word_by_word(&self) -> Vec<(String, UnresolvedRequest)> {
        let RequestedTargets::ByWords(key) = &self.targets else { return Vec::new() };
        // `@ repository module target` is one name: its words mean nothing alone.
        if is_one_name(&key.words()) {
            return Vec::new();
        }
        let alone = |word: &Str| {
            let targets = RequestedTargets::ByWords(WordsKey { words: vec![word.clone()], ..key.clone() });
            (word.to_string(), UnresolvedRequest { targets, ..self.clone() })
        };
        key.words.iter().map(alone).collect()
    }

    /// About other targets.
    #[must_use]
    pub fn about(&self, targets: Targets, configuration: Map) -> Request {
        Request { repositories: self.repositories.clone(), targets, configuration }
    }

    /// Modules that will probably be read, as repository and path: those in the words, as far as their form shows it,
    /// and that of the working directory.
    pub(crate) fn likely_modules(&self) -> Vec<(Str, Str)> {
        let of = |target: NamedTarget| (target.repository.clone(), target.module.clone());
        match &self.targets {
            RequestedTargets::Known(targets) => targets.iter().cloned().map(of).collect(),
            RequestedTargets::ByWords(words) => {
                let here = words.here.clone().unwrap_or_default();
                let named = named_by(&words.words(), &here, &self.repositories).into_iter().map(of);
                named.chain([(words.main.clone(), here.clone())]).collect()
            }
        }
    }

    /// The request, once it is known what the words mean in this build.
    ///
    /// # Errors
    /// They name no target, or a file that decides about it is malformed.
    pub(crate) fn resolve(&self, build: &Build) -> Result<Request, SetupError> {
        let UnresolvedRequest { repositories, configuration, targets } = self;
        let targets = match targets {
            RequestedTargets::Known(targets) => targets.clone(),
            // Two kinds of errors reach this point: those of the words, and those of files that had
            // to be read to understand them.
            RequestedTargets::ByWords(words) => (*build.get::<WordsRule>(words.clone()).map_err(|fail| {
                if let Some(error) = fail.downcast_ref::<SetupError>() {
                    return error.clone();
                }
                let problems =
                    fail.downcast_ref::<Problem>().map(|Problem(problems)| problems.iter().cloned());
                match problems.map(Iterator::collect::<Vec<Diagnostic>>) {
                    Some(mut problems) if !problems.is_empty() => {
                        SetupError { others: problems.split_off(1), ..SetupError::from(problems.remove(0)) }
                    }
                    _ => SetupError::new(fail.to_string()),
                }
            })?)
            .clone(),
        };
        let (repositories, configuration) = (repositories.clone(), configuration.clone());
        Ok(Request { repositories, targets, configuration })
    }
}

/// The words with what decides how they are read.
fn words_key(repositories: &RepoConfig, words: &[String], has_typed_names: bool, cwd: &Path) -> WordsKey {
    let directory = repositories.repositories[&repositories.main].workspace_root.directory();
    // Both without links: the working directory may have been entered through one.
    // A directory that was removed is taken as it is written: then no name belongs to it.
    let canonical = |path: &Path| taut_sys::canonical(path).unwrap_or_else(|_| path.to_owned());
    let workspace = directory.map(canonical);
    let here = workspace.as_ref().and_then(|workspace| {
        let below = canonical(cwd).strip_prefix(workspace).ok()?.to_owned();
        Some(below.to_string_lossy().as_ref().into())
    });
    let is_absolute = |word: &String| Path::new(word).is_absolute();
    let workspace = workspace.filter(|_| words.iter().any(is_absolute));
    WordsKey {
        main: repositories.main.clone(),
        words: words.iter().map(|word| word.as_str().into()).collect(),
        here,
        // Only where it matters: the meaning of other words is the same in each checkout.
        workspace: workspace.and_then(|workspace| Some(workspace.to_str()?.into())),
        has_typed_names,
    }
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
        let step = format!("Parsing config file {name} failed with error:");
        all = object(words.overrides.dialect, label, content).map_err(|wrong| match wrong {
            NoObject::Syntax { problem, .. } => SetupError::from(problem.below(&step)),
            NoObject::OtherValue(at) => {
                Diagnostic::error(format!("Config file {name} does not contain a map.")).at(at).into()
            }
        })?;
    }
    for text in &words.defines {
        let mut shown = JsonWriter::compact();
        shown.string(text);
        let shown = shown.finish();
        let expected = || Diagnostic::error(format!("-D {shown}: expected NAME=VALUE or a JSON object"));
        if words.overrides.dialect.is_extended() && is_bare(text) {
            let is_name = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            let help = if is_name { format!("-D {text}=VALUE") } else { "-D NAME=VALUE".to_owned() };
            return Err(SetupError::from(expected().help(help)));
        }
        let label: Arc<str> = "-D".into();
        // Strict in each dialect: a command line needs no comments, and programs write it.
        let defined = object(Dialect::Strict, label.clone(), text.clone().into_bytes()).map_err(|wrong| {
            let problem = match wrong {
                NoObject::Syntax { why, problem } => {
                    let step = format!("Parsing defines entry {shown} failed with error:");
                    let message = format!("-D is not a JSON object: {why}");
                    Diagnostic { message, ..problem.below(&step) }
                }
                NoObject::OtherValue(at) => {
                    expected().at(at).reference(format!("Defines entry {shown} does not contain a map."))
                }
            };
            // There is no file to show the line of, so the text goes along with the error.
            let inline = Some((label.clone(), text.as_str().into()));
            SetupError { inline, ..SetupError::from(problem) }
        })?;
        // Of a variable that both have, the later value counts as a whole: values are not merged.
        all = all.union(&defined);
    }
    Ok(all)
}

/// Whether a definition is neither NAME=VALUE, which was made an object before, nor meant as JSON.
fn is_bare(text: &str) -> bool {
    !text.contains(['{', '[', '"', ':']) && Document::parse("-D", text.as_bytes().to_vec()).is_err()
}

/// Why a text is not a JSON object.
enum NoObject {
    /// It is not JSON: why, and the same as an error that says where.
    Syntax { why: String, problem: Box<Diagnostic> },
    /// It is JSON, but no object.
    OtherValue(Location),
}

/// Reads a JSON object.
fn object(dialect: Dialect, label: Arc<str>, text: Vec<u8>) -> Result<Map, NoObject> {
    let document = Document::parse_as(dialect, label.clone(), text.clone()).map_err(|error| {
        let why = error.message.clone();
        let problem = Diagnostic::from(error).reference(reference_error(&text));
        NoObject::Syntax { why, problem: Box::new(problem) }
    })?;
    match taut_expr::json_to_value(document.root()) {
        Value::Map(map) if document.root().kind() == Kind::Object => Ok(map),
        _ => Err(NoObject::OtherValue(Location::value(label, JsonPath::root()))),
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::fs;

    use taut_digest::HashFunction;

    use super::*;
    use crate::{Analyser, AnalysisOptions, ExportCache, Traces};

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
            let request = UnresolvedRequest::new(&words, &self.0.path().join(cwd), &NoComputedRoots);
            let request = request.and_then(|unresolved| {
                let how = AnalysisOptions { jobs: 1, log_limit: 0, hash_function: HashFunction::GitSha1 };
                let (traces, exports) = (Traces::none(), ExportCache::none());
                Analyser::new(&unresolved.repositories, how, &traces, &exports).request(&unresolved)
            });
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
            (&["@x//m:t"], "There is no repository \"x\""),
            (&["@x//m"], "There is no repository \"x\""),
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
            "-D \"[]\": expected NAME=VALUE or a JSON object"
        );
        assert!(fixture.ask("", &["t"], &["{"]).unwrap_err().starts_with("-D is not a JSON object: "));
    }
}
