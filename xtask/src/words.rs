//! The check of `cargo xtask tidy` for banned words, which are listed with their replacements in
//! `xtask/banned-words.txt`.
//!
//! A list of words cannot judge a text, but it keeps what was cleaned up clean, and it names the replacement where the
//! word is written. The files to be checked are those of the project, without recorded data: their texts and their
//! names.

use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};

/// The list, relative to the root of the repository.
const LIST: &str = "xtask/banned-words.txt";

/// The heading of the paths that are not checked yet.
const NOT_YET_CLEAN: &str = "[not yet clean]";

/// Directories and files that are checked.
// The changelog is left out: it quotes what messages were before.
const CHECKED: &[&str] =
    &["crates", "xtask", "fuzz", "bench", "docs", "examples", "README.md", "CONTRIBUTING.md"];

/// The kinds of files in which a word is banned.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Scope {
    /// Rust files.
    Code,
    /// Rust files and Markdown pages.
    All,
}

/// A banned word, or several that follow each other.
#[derive(Debug)]
struct Banned {
    /// In lower case, split like the text.
    words: Vec<String>,
    scope: Scope,
    /// What to say instead.
    instead: String,
}

/// The list: banned words, and prefixes of paths that are not checked.
#[derive(Debug, Default)]
struct List {
    banned: Vec<Banned>,
    not_yet_clean: Vec<String>,
}

/// Checks all files of the project.
///
/// # Errors
///
/// If the list or a file cannot be read, or the list is malformed.
pub(crate) fn violations(root: &Path) -> Result<Vec<String>> {
    let list = List::parse(&fs::read_to_string(root.join(LIST))?)?;
    let mut found = Vec::new();
    for path in files(root)? {
        let name = path.strip_prefix(root)?.to_string_lossy().into_owned();
        if !list.is_excepted(&name) {
            found.extend(list.violations_of_name(&name));
            found.extend(list.violations(&name, &fs::read_to_string(&path)?));
        }
    }
    // An exception that is no longer needed is removed, so that the path stays clean.
    for path in &list.not_yet_clean {
        if !root.join(path).exists() {
            found.push(format!("{LIST}: there is no {path}"));
        }
    }
    Ok(found)
}

/// The Rust files and Markdown pages of the project, in a fixed order.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = CHECKED.iter().map(|path| root.join(path)).collect();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name == "target") {
                continue;
            }
            for entry in fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl List {
    fn parse(text: &str) -> Result<List> {
        let mut list = List::default();
        let mut is_exception = false;
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line == NOT_YET_CLEAN {
                is_exception = true;
                continue;
            }
            if is_exception {
                list.not_yet_clean.push(line.to_owned());
                continue;
            }
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            let [phrase, scope, instead] = fields[..] else {
                bail!("{LIST}:{}: not of the form WORD | WHERE | INSTEAD", number + 1);
            };
            let scope = match scope {
                "code" => Scope::Code,
                "all" => Scope::All,
                _ => bail!("{LIST}:{}: WHERE is `code` or `all`", number + 1),
            };
            // By the same splitting as texts, so that a phrase in the list matches wherever it occurs.
            let words = words(phrase).map(str::to_lowercase).collect::<Vec<_>>();
            words.first().with_context(|| format!("{LIST}:{}: no word", number + 1))?;
            list.banned.push(Banned { words, scope, instead: instead.to_owned() });
        }
        Ok(list)
    }

    fn is_excepted(&self, name: &str) -> bool {
        // By whole components: `crates/cli` does not cover `crates/client`.
        let is_below = |path: &String| {
            name.strip_prefix(path.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.not_yet_clean.iter().any(is_below)
    }

    fn violations(&self, name: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        for (number, line) in text.lines().enumerate() {
            // Line by line: a phrase that is broken over two lines is not found, which keeps places
            // exact and the check simple.
            for Banned { words, instead, .. } in self.banned_in(name, line) {
                found.push(format!("{name}:{}: \"{}\"; say: {instead}", number + 1, words.join(" ")));
            }
        }
        found
    }

    /// Banned words in the path of a file.
    fn violations_of_name(&self, name: &str) -> Vec<String> {
        let violation = |Banned { words, instead, .. }: &Banned| {
            format!("{name}: \"{}\" in the name; say: {instead}", words.join(" "))
        };
        self.banned_in(name, name).map(violation).collect()
    }

    /// The entries of the list that a line of a file has.
    fn banned_in(&self, name: &str, line: &str) -> impl Iterator<Item = &Banned> {
        let is_code = name.ends_with(".rs");
        let line: Vec<String> = words(line).map(str::to_lowercase).collect();
        self.banned.iter().filter(move |banned| {
            (is_code || banned.scope == Scope::All)
                && line.windows(banned.words.len()).any(|part| part == banned.words)
        })
    }
}

/// The words of a text: sequences of letters, split before each capital that begins a word.
fn words(text: &str) -> impl Iterator<Item = &str> {
    // Names of types and functions count as words, so that identifiers are clean as well.
    text.split(|c: char| !c.is_alphabetic()).flat_map(split_capitals).filter(|word| !word.is_empty())
}

/// Splits `camelCase` and `CamelCase`, but neither `CONSTANT` nor `JSONValue` within its first part.
fn split_capitals(word: &str) -> Vec<&str> {
    let letters: Vec<(usize, char)> = word.char_indices().collect();
    let mut parts = Vec::new();
    let mut start = 0;
    for at in 1..letters.len() {
        let (offset, letter) = letters[at];
        let is_after_small = letters[at - 1].1.is_lowercase();
        // `JSONValue` is `JSON` and `Value`: the capital before a small letter begins a word.
        let is_before_small = letters.get(at + 1).is_some_and(|(_, next)| next.is_lowercase());
        if letter.is_uppercase() && (is_after_small || is_before_small) {
            parts.push(&word[start..offset]);
            start = offset;
        }
    }
    parts.push(&word[start..]);
    parts
}

#[cfg(test)]
mod tests {
    use super::{List, words};

    // In pieces, so that this file does not contain the words.
    const EXAMPLE: &str = concat!(
        "# a comment\n\nnob",
        "ody | all | no task\nw",
        "ho | code | the task\nconst mo",
        "st | code | MAX_…\n",
        "[not yet clean]\ncrates/old\ndocs/old.md\n"
    );

    fn found(name: &str, text: &str) -> Vec<String> {
        List::parse(EXAMPLE).unwrap().violations(name, text)
    }

    #[test]
    fn text_is_split_into_words_at_underscores_and_capitals() {
        let split = |text| words(text).collect::<Vec<_>>();
        assert_eq!(split("a_task isDone, MAX_LINES: 80"), ["a", "task", "is", "Done", "MAX", "LINES"]);
        assert_eq!(split("JSONValue HashMap x"), ["JSON", "Value", "Hash", "Map", "x"]);
    }

    #[test]
    fn banned_words_are_reported_with_line_and_replacement() {
        let text = concat!("fn f() {}\n// Nob", "ody reads it.\n");
        assert_eq!(
            found("crates/a/src/b.rs", text),
            [concat!("crates/a/src/b.rs:2: \"nob", "ody\"; say: no task")]
        );
    }

    #[test]
    fn names_of_files_are_checked_as_their_texts_are() {
        let list = List::parse(EXAMPLE).unwrap();
        assert_eq!(list.violations_of_name("crates/a/src/knobs.rs"), [] as [&str; 0]);
        for name in [concat!("crates/a/src/w", "ho_asked.rs"), concat!("docs/nob", "ody.md")] {
            assert_eq!(list.violations_of_name(name).len(), 1, "{name}");
        }
    }

    #[test]
    fn only_whole_words_are_banned_and_identifiers_are_split() {
        assert_eq!(found("crates/a/src/b.rs", "the whole knobs almost const MAX: u8"), [] as [&str; 0]);
        for text in [
            concat!("fn nob", "ody_asks()"),
            concat!("enum W", "hoAsked {}"),
            concat!("const MO", "ST: u8 = 1;"),
        ] {
            assert_eq!(found("crates/a/src/b.rs", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn words_about_people_are_allowed_in_pages() {
        let text = concat!("For people w", "ho build.");
        assert_eq!(found("docs/page.md", text), [] as [&str; 0]);
        assert_eq!(found("crates/a/src/b.rs", text).len(), 1);
    }

    #[test]
    fn paths_that_are_not_yet_clean_are_excepted_with_all_below() {
        let list = List::parse(EXAMPLE).unwrap();
        assert!(list.is_excepted("crates/old/src/a.rs") && list.is_excepted("docs/old.md"));
        assert!(!list.is_excepted("crates/older/src/a.rs") && !list.is_excepted("docs/new.md"));
    }

    #[test]
    fn a_malformed_list_is_an_error() {
        for text in ["word", "word | everywhere | instead", " | all | instead"] {
            assert!(List::parse(text).is_err(), "{text}");
        }
    }
}
