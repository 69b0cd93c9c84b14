//! The forms in which the words of a command line name targets.
//!
//! The forms of the reference come first: words that `just` accepts mean the same here. What it refuses may be several
//! targets, patterns, or paths of files; only the name `taut` has these. What words mean may depend on the files of a
//! workspace, which only `words` reads.

use std::collections::BTreeSet;

use taut_analysis::{NameContext, parse_name};
use taut_repos::RepoConfig;
use taut_syntax::{Diagnostic, did_you_mean, enumeration, json::Document, quoted};
use taut_value::path::{join, normal_path};
use taut_value::{NamedTarget, Str, Value, named_as_typed};

use crate::SetupError;

/// The words that begin a target name of several words.
const MARKS: [&str; 6] = ["@", "./", "FILE", "TREE", "GLOB", "SYMLINK"];

/// Whether words are one target name, by the first of them.
pub(crate) fn is_one_name(words: &[String]) -> bool {
    matches!(words, [first, _, ..] if MARKS.contains(&first.as_str()))
}

/// The targets that words name by their form, in `module`, if nothing there has a name that reads like one of these
/// forms; of a pattern, the module it begins at. Words that are wrong, or plain names, name none.
pub(crate) fn named_by(words: &[String], module: &Str, repositories: &RepoConfig) -> Vec<NamedTarget> {
    let mut found = Vec::new();
    if is_one_name(words) {
        found.extend(named(repositories, module, words).ok());
    } else if let [module, name] = words {
        let module = normal_path(module);
        let module = if module == "." { Str::default() } else { module.as_str().into() };
        // Two words may be a module and a target, or two targets. Both readings are candidates.
        found.push(NamedTarget::new(repositories.main.clone(), module, name.as_str()));
    }
    for word in words {
        let typed = pattern(word, module).or_else(|| typed_name(word));
        // Words that cannot be resolved are passed over: this is a guess about what will be read,
        // and errors come later.
        found.extend(typed.and_then(|typed| typed.target(repositories).ok()));
    }
    found
}

/// A pattern: `...`, `src/...`, `//src/...`, `./...` (below `module`), `@repository//src/...`. The target is that of
/// the empty name in the module that it begins at.
pub(crate) fn pattern(word: &str, module: &str) -> Option<TypedName> {
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
    let module = if below == "." { String::new() } else { below.to_string() };
    Some(TypedName { repository, module, name: String::new() })
}

/// A name in one word: `module:target`, with `//` in front or not, or `@repository//module:target`. The module is a
/// path from the root, as it is in two words.
#[derive(PartialEq, Eq, Debug)]
pub(crate) struct TypedName {
    repository: Option<String>,
    module: String,
    name: String,
}

impl TypedName {
    /// The target, with the global name of its repository.
    ///
    /// # Errors
    /// There is no repository of that name.
    pub(crate) fn target(&self, repositories: &RepoConfig) -> Result<NamedTarget, SetupError> {
        let TypedName { repository, module, name } = self;
        let own = |repository: &Str| NamedTarget::new(repository.clone(), module.as_str(), name.as_str());
        match repository {
            None => Ok(own(&repositories.main)),
            // A global name first, then one bound in the main repository, as messages and dumps
            // show global names.
            Some(repository) if repositories.repositories.contains_key(repository.as_str()) => {
                Ok(own(&repository.as_str().into()))
            }
            Some(local) => match repositories.repositories[&repositories.main].bindings.get(local.as_str()) {
                Some(global) => Ok(own(global)),
                None => Err(no_repository(local, repositories)),
            },
        }
    }
}

/// How many repositories are listed at most.
const MAX_LISTED: usize = 12;

/// The error about a name in one word whose repository is neither bound in the main one nor a global name.
fn no_repository(name: &str, repositories: &RepoConfig) -> SetupError {
    let bound = repositories.repositories[&repositories.main].bindings.keys();
    let all = bound.chain(repositories.repositories.keys()).map(|name| name.as_str());
    // The main repository often has the empty name, which no word can mean.
    let known: BTreeSet<&str> = all.filter(|name| !name.is_empty()).collect();
    let known: Vec<&str> = known.into_iter().collect();
    let problem = Diagnostic::error(format!("There is no repository {}", quoted(&name)));
    SetupError::of_names(match did_you_mean(name, known.iter().copied()) {
        Some(meant) => problem.help(format!("did you mean {meant}?")),
        None if known.is_empty() || known.len() > MAX_LISTED => problem,
        None => problem.note(format!("repositories that are there: {}", enumeration(&known))),
    })
}

/// A name in one word, if it is one.
pub(crate) fn typed_name(word: &str) -> Option<TypedName> {
    let (repository, rest) = match word.strip_prefix('@') {
        Some(rest) => {
            let (repository, rest) = rest.split_once("//")?;
            (Some(unquoted(repository)?), rest)
        }
        None => (None, word.strip_prefix("//").unwrap_or(word)),
    };
    // A colon within quotes separates nothing.
    let quoted_end = rest.strip_prefix('"').and_then(|rest| rest.find("\":")).map_or(0, |end| end + 2);
    // The first colon: names of modules have none, while names of targets may.
    let colon = quoted_end + rest[quoted_end..].find(':')?;
    let (module, name) = (unquoted(&rest[..colon])?, unquoted(&rest[colon + 1..])?);
    Some(TypedName { repository, module, name })
}

/// The error about a missing repository at the beginning of a word without a colon: `@foo//x`.
pub(crate) fn unknown_repository(word: &str, repositories: &RepoConfig) -> Option<SetupError> {
    let (repository, name) = word.strip_prefix('@')?.split_once("//")?;
    let repository = Some(unquoted(repository)?);
    TypedName { repository, module: String::new(), name: name.to_owned() }.target(repositories).err()
}

/// A part of a name, which may be in quotes as JSON has them.
fn unquoted(part: &str) -> Option<String> {
    if !part.starts_with('"') {
        return Some(part.to_owned());
    }
    Document::parse("", part.as_bytes().to_vec()).ok()?.root().as_str().map(str::to_owned)
}

/// The reference's command line takes a word in brackets for several words, with commas in between.
pub(crate) fn unbracketed(words: &[String]) -> Vec<String> {
    let split = |word: &String| {
        let mut inner = word.trim();
        while let Some(within) = inner.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
            inner = within.trim();
        }
        // No brackets were removed: the word stays whole, commas and blanks included.
        if inner.len() == word.trim().len() {
            return vec![word.clone()];
        }
        inner.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    };
    words.iter().flat_map(split).collect()
}

/// How a target can be named on the command line.
const FORMS: &str = "on the command line a target is named in one of these ways:
MODULE:TARGET, or :TARGET in the root module
@REPOSITORY//MODULE:TARGET
TARGET (of the module that the working directory is in)
MODULE TARGET
./ RELATIVE-MODULE TARGET
@ REPOSITORY MODULE TARGET
FILE . NAME, also with TREE, GLOB or SYMLINK";

/// A name of several words: the items of a target name in a targets file of the current module.
///
/// # Errors
/// The words are not such a name.
pub(crate) fn named(
    repositories: &RepoConfig,
    module: &Str,
    words: &[String],
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
            problem.help = vec![FORMS.to_owned()];
        }
        let meant = problem.suggestion.as_deref().and_then(words_of_list);
        // The suggestion is written as in a targets file; on the command line one types another form.
        if let Some([mark, repository, module, name]) = meant.as_deref()
            && mark == "@"
        {
            problem.suggestion = None;
            let meant = NamedTarget::new(repository.as_str(), module.as_str(), name.as_str());
            problem.help.insert(0, format!("did you mean {}?", named_as_typed(&meant)));
        }
        SetupError::from(problem)
    })
}

/// The words of a name that is written as a list of strings.
pub fn words_of_list(list: &str) -> Option<Vec<String>> {
    let document = Document::parse("", list.to_owned()).ok()?;
    document.root().as_list()?.map(|item| item.as_str().map(str::to_owned)).collect()
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
        let at = |repository: Option<&str>, module: &str| TypedName {
            repository: repository.map(str::to_owned),
            module: module.to_owned(),
            name: String::new(),
        };
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
            assert_eq!(pattern(word, module), Some(at(None, below)), "{word}");
        }
        assert_eq!(pattern("@r//a/...", ""), Some(at(Some("r"), "a")));
        assert_eq!(pattern("@r//...", ""), Some(at(Some("r"), "")));
        for word in ["a...", "....", "a/b", "", "a/...b"] {
            assert_eq!(pattern(word, "m"), None, "{word}");
        }
    }
}
