//! From the words of a command line to the targets that they name.
//!
//! The forms of the reference come first: words that `just` accepts mean the same here. What it refuses may be several
//! targets, patterns, or paths of files; only the name `taut` has these.

use std::{path::Path, sync::Arc};

use taut_analysis::{NO_TARGETS_FILE, NameContext, parse_name};
use taut_repos::RepoConfig;
use taut_syntax::json::{Document, Kind, reference_error};
use taut_syntax::{Diagnostic, JsonPath, Location, Note, quoted};
use taut_value::path::{join, normal_path};
use taut_value::{NamedTarget, Str, Value};

use crate::{SetupError, Targets, target_patterns::Pattern};

/// The target that a call without words is about, in the nearest module that has one of this name.
const DEFAULT: &str = "default";

/// The words that begin a target name of several words.
pub(crate) const MARKS: [&str; 6] = ["@", "./", "FILE", "TREE", "GLOB", "SYMLINK"];

/// The targets that words name in `cwd`, an absolute path.
///
/// # Errors
/// Words name no target, or a targets file that says which one is malformed.
pub(crate) fn targets(
    repositories: &RepoConfig,
    words: &[String],
    has_typed_names: bool,
    cwd: &Path,
) -> Result<Targets, SetupError> {
    let (module, is_at_module) = current_module(repositories, cwd);
    let here = Here { repositories, cwd, module, is_at_module };
    let words = unbracketed(words);
    if !has_typed_names {
        return here.as_reference(&words, false).map(Targets::from);
    }
    match &words[..] {
        [] => here.without_words(),
        // Nothing is read for it: a build that does nothing opens no description.
        [word] if here.is_plain(word) => Ok(here.in_module(word).into()),
        [word] => Ok(match here.one(word)? {
            Some(targets) => targets,
            None => here.in_module(word).into(),
        }),
        [first, ..] if MARKS.contains(&first.as_str()) => here.as_reference(&words, true).map(Targets::from),
        [module, _] if here.is_module(module) => here.as_reference(&words, true).map(Targets::from),
        several => here.several(several),
    }
}

/// Where words are read.
struct Here<'w> {
    repositories: &'w RepoConfig,
    cwd: &'w Path,
    module: Str,
    /// Whether the working directory is that of the module, and not one below it.
    is_at_module: bool,
}

impl Here<'_> {
    /// Whether a word can only be a name in the module: a target, or a file beside its targets file.
    fn is_plain(&self, word: &str) -> bool {
        self.is_at_module && !word.contains(['/', ':']) && !word.ends_with("...")
    }

    /// Whether a word is a module, by its path from the root: one with a targets file. The root module always is.
    fn is_module(&self, module: &str) -> bool {
        if matches!(module, "" | "." | "./") {
            return true;
        }
        let main = &self.repositories.repositories[&self.repositories.main];
        let file = join(&normal_path(module), &main.target_file_name);
        main.target_root.source.is_file(Path::new(&normal_path(&file)))
    }

    /// One target, by the forms that the reference has.
    fn as_reference(&self, words: &[String], has_typed_names: bool) -> Result<NamedTarget, SetupError> {
        match words {
            [] => first_target(self.repositories, &self.module),
            [name] => Ok(self.in_module(name)),
            // On the command line a module may be written as a path from the root.
            [module, name] => Ok(self.main(module, name)),
            others => named(self.repositories, &self.module, others, has_typed_names),
        }
    }

    fn main(&self, module: &str, name: &str) -> NamedTarget {
        NamedTarget::new(self.repositories.main.clone(), module, name)
    }

    fn in_module(&self, name: &str) -> NamedTarget {
        self.main(&self.module, name)
    }

    /// The target named `default` of the module, else all targets of the workspace.
    fn without_words(&self) -> Result<Targets, SetupError> {
        let main = &self.repositories.main;
        let is_absent = self.repositories.repositories[main].target_root.source.is_absent();
        if has_target(targets_file(self.repositories, main, &self.module).as_ref(), DEFAULT) || is_absent {
            let name = if is_absent { "" } else { DEFAULT };
            return Ok(self.in_module(name).into());
        }
        let all = Pattern::all(main).targets(self.repositories)?;
        match Targets::new(all) {
            Some(all) => Ok(all),
            // The error says what is missing here.
            None => self.as_reference(&[], true).map(Targets::from),
        }
    }

    /// What one word names; `None` if it may only be the name of a target of the module, which analysis decides.
    fn one(&self, word: &str) -> Result<Option<Targets>, SetupError> {
        // What the module has under the whole word wins, so a word that `just` accepts has the same meaning here.
        if is_in_module(self.repositories, &self.module, word) {
            return Ok(Some(self.in_module(word).into()));
        }
        if let Some((repository, below)) = pattern(word, &self.module) {
            let main = &self.repositories.main;
            let repository = match repository {
                None => main.clone(),
                Some(name) => {
                    let root =
                        TypedName { repository: Some(name), module: String::new(), name: String::new() };
                    root.target(self.repositories)?.repository.clone()
                }
            };
            let is_all = below.is_empty() && repository == *main;
            let found = Pattern { repository, below }.targets(self.repositories)?;
            let none = || {
                SetupError::new(match is_all {
                    true => "No module of the workspace defines a target".to_owned(),
                    false => format!("No module has a target that matches {}", quoted(&word)),
                })
            };
            return Targets::new(found).ok_or_else(none).map(Some);
        }
        if let Some(typed) = typed_name(word) {
            return typed.target(self.repositories).map(|target| Some(target.into()));
        }
        Ok(self.file(word).map(Targets::from))
    }

    /// Several words that are no target name of the reference's: each names targets.
    fn several(&self, words: &[String]) -> Result<Targets, SetupError> {
        let (mut all, mut unknown) = (Vec::new(), Vec::new());
        for word in words {
            match self.one(word)? {
                Some(targets) => all.extend(targets.iter().cloned()),
                None => unknown.push(word),
            }
        }
        match (Targets::new(all), unknown.first()) {
            (Some(all), None) => Ok(all),
            // None of them is a target by itself: then it is one name, of a form that the error explains.
            (None, _) => self.as_reference(words, true).map(Targets::from),
            (Some(_), Some(word)) => {
                let place = match self.module.as_str() {
                    "" => "the root module".to_owned(),
                    module => format!("module {}", quoted(&module)),
                };
                let problem = Diagnostic::error(format!("No target or file {} in {place}", quoted(word)));
                Err(match words {
                    [_, _] => problem.help("two words may also be a module and a target in it").into(),
                    _ => problem.into(),
                })
            }
        }
    }

    /// A source file by its path from the working directory, or in a module below by that from the root.
    fn file(&self, word: &str) -> Option<NamedTarget> {
        let source = &self.repositories.repositories[&self.repositories.main].workspace_root.source;
        let workspace = source.directory()?;
        let workspace = taut_sys::canonical(workspace).unwrap_or_else(|_| workspace.to_owned());
        let cwd = taut_sys::canonical(self.cwd).unwrap_or_else(|_| self.cwd.to_owned());
        let path = match Path::new(word).is_absolute() {
            true => Path::new(word).strip_prefix(&workspace).ok()?.to_str()?.to_owned(),
            false => join(cwd.strip_prefix(&workspace).ok()?.to_str()?, word),
        };
        let path = normal_path(&path);
        if path.starts_with("../") || !source.is_file(Path::new(path.as_str())) {
            return None;
        }
        // Of the nearest module upwards, so that a target of this name is preferred to the file.
        let main = &self.repositories.main;
        let (module, name) = path
            .rmatch_indices('/')
            .map(|(at, _)| (&path[..at], &path[at + 1..]))
            .find(|(module, _)| targets_file(self.repositories, main, module).is_some())
            .unwrap_or(("", &path));
        Some(self.main(module, name))
    }
}

/// The repository, if one is named, and the module of a pattern: `...`, `src/...`, `//src/...`, `./...` (below `module`),
/// `@repository//src/...`.
fn pattern(word: &str, module: &str) -> Option<(Option<String>, String)> {
    let above = match word.strip_suffix("...")? {
        "" => "",
        above => above.strip_suffix('/')?,
    };
    // Of "//...", one slash is left.
    let from_root = |path: &str| normal_path(path.trim_start_matches('/'));
    let (repository, below) = match above.strip_prefix('@') {
        Some(rest) => {
            let (repository, path) = rest.split_once('/')?;
            (Some(unquoted(repository)?), from_root(path))
        }
        None if above == "." || above.starts_with("./") || above.starts_with("../") || above == ".." => {
            (None, normal_path(&join(module, above)))
        }
        None => (None, from_root(above)),
    };
    let below = if below == "." { String::new() } else { below.to_string() };
    Some((repository, below))
}

/// The module that a directory lies in: the nearest directory upwards, within the main workspace, that
/// has a target file; the root module if there is none. And whether it is the directory itself.
fn current_module(repositories: &RepoConfig, cwd: &Path) -> (Str, bool) {
    let main = &repositories.repositories[&repositories.main];
    let Some(workspace) = main.workspace_root.directory() else { return (Str::default(), true) };
    // Both without links: the working directory may have been entered through one.
    let workspace = taut_sys::canonical(workspace).unwrap_or_else(|_| workspace.to_owned());
    let here = taut_sys::canonical(cwd).unwrap_or_else(|_| cwd.to_owned());
    let Ok(below) = here.strip_prefix(&workspace) else { return (Str::default(), true) };
    let has_targets =
        |module: &Path| main.target_root.source.is_file(&module.join(main.target_file_name.as_str()));
    let module = below.ancestors().find(|module| has_targets(module)).unwrap_or(Path::new(""));
    (module.to_string_lossy().as_ref().into(), module == below)
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
    let document =
        Document::parse_as(repositories.dialect, label.clone(), content.clone()).map_err(|error| {
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

/// The targets file of a module, if there is one that can be read.
pub(crate) fn targets_file(repositories: &RepoConfig, repository: &str, module: &str) -> Option<Document> {
    let dialect = repositories.dialect;
    let repository = repositories.repositories.get(repository)?;
    let file = taut_analysis::module_file(&repository.target_root, module, &repository.target_file_name);
    Document::parse_as(dialect, "", file.read(&repositories.roots).ok()??).ok()
}

fn has_target(file: Option<&Document>, name: &str) -> bool {
    let root = file.map(Document::root);
    root.is_some_and(|root| root.kind() == Kind::Object && root.get(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn patterns_name_a_module_and_what_is_below() {
        for (word, module, below) in [
            ("...", "m", ""),
            ("//...", "m", ""),
            ("src/...", "m", "src"),
            ("//src/lib/...", "m", "src/lib"),
            ("./...", "m", "m"),
            ("./sub/...", "m", "m/sub"),
            ("../...", "m/sub", "m"),
            ("./...", "", ""),
        ] {
            assert_eq!(pattern(word, module), Some((None, below.to_owned())), "{word}");
        }
        assert_eq!(pattern("@r//a/...", ""), Some((Some("r".to_owned()), "a".to_owned())));
        assert_eq!(pattern("@r//...", ""), Some((Some("r".to_owned()), String::new())));
        for word in ["a...", "....", "a/b", "", "a/...b"] {
            assert_eq!(pattern(word, "m"), None, "{word}");
        }
    }
}
