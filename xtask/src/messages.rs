//! The check of `cargo xtask tidy` for messages that stand in no golden document.
//!
//! A message is a string literal of the product with a sentence in it, wherever it is written: as the argument of a
//! constructor of errors, an arm of a `match`, a constant. It is covered if its words, with anything in place of what is
//! inserted, occur in one of the golden files, which tests compare with what the binary prints. So a message that is new or changed
//! needs a situation that causes it, or a line in `xtask/uncaused-messages.txt` with the reason why there is none.

use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};

/// The messages that no document can have, relative to the root of the repository.
const LIST: &str = "xtask/uncaused-messages.txt";

/// Crates that print nothing to users: what only tests use, and generated sources.
const NOT_OF_THE_PRODUCT: &[&str] = &["parser-checks", "proto", "testkit", "remote/src/server"];

/// Golden files: all of these but the sources and scripts below them.
const GOLDEN: &[&str] = &["crates/cli/tests", "crates/expr/tests/cases"];

/// What is no answer of the binary: sources, scripts, drawings.
const NOT_GOLDEN: &[&str] = &["rs", "sh", "svg"];

/// How far apart two pieces of a message may be in a document: what is inserted between them may be long.
const MAX_INSERTED: usize = 1500;

/// Macros and methods whose texts are for developers.
const FOR_DEVELOPERS: &[&str] = &[
    "assert",
    "assert_eq",
    "assert_ne",
    "debug_assert",
    "debug_assert_eq",
    "debug_assert_ne",
    "expect",
    "expect_err",
    "panic",
    "todo",
    "unreachable",
];

/// A message of the sources.
struct Message {
    /// File and line.
    place: String,
    /// Its text, with `{}` for what is inserted, and one blank for white space.
    text: String,
}

/// Checks all messages of the product.
///
/// # Errors
///
/// If a source or a golden file cannot be read, or the list is malformed.
pub(crate) fn violations(root: &Path, sources: &[PathBuf]) -> Result<Vec<String>> {
    let mut messages = Vec::new();
    for file in sources {
        let name = file.strip_prefix(root)?.to_string_lossy().into_owned();
        if is_of_the_product(&name) {
            messages.extend(messages_of(&name, &fs::read_to_string(file)?)?);
        }
    }
    let golden = golden(root)?;
    let uncaused = Uncaused::parse(&fs::read_to_string(root.join(LIST))?)?;
    Ok(uncovered(&messages, &golden, &uncaused))
}

fn uncovered(messages: &[Message], golden: &[String], uncaused: &Uncaused) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for message in messages {
        places.entry(&message.text).or_default().push(&message.place);
    }
    let mut found = Vec::new();
    let mut used = BTreeSet::new();
    for (text, places) in &places {
        let is_listed = uncaused.texts.contains(*text);
        used.extend(is_listed.then_some(*text));
        match (is_covered(text, golden), is_listed) {
            (true, true) => {
                found
                    .push(format!("{LIST}: a golden document has \"{text}\", which is listed as not caused"));
            }
            (false, false) => {
                found.push(format!("{}: no golden document has \"{text}\"", places.join(", ")));
            }
            _ => {}
        }
    }
    let gone = uncaused.texts.iter().filter(|text| !used.contains(text.as_str()));
    found.extend(gone.map(|text| format!("{LIST}: no message is \"{text}\"")));
    found.sort();
    found
}

fn is_of_the_product(name: &str) -> bool {
    let Some((package, rest)) = name.strip_prefix("crates/").and_then(|name| name.split_once("/src/")) else {
        return false;
    };
    let is_excepted = |place: &&str| {
        name["crates/".len()..].strip_prefix(*place).is_some_and(|rest| rest.starts_with(['/', '.']))
    };
    let is_test = rest.split('/').any(|part| part == "tests" || part == "tests.rs");
    !is_test && !package.contains('/') && !NOT_OF_THE_PRODUCT.iter().any(is_excepted)
}

/// The messages of a source file.
fn messages_of(name: &str, text: &str) -> Result<Vec<Message>> {
    let file = syn::parse_file(text).with_context(|| format!("{name} is not Rust"))?;
    let mut texts = Texts { name, source: text, found: Vec::new() };
    texts.visit_file(&file);
    Ok(texts.found)
}

/// Collects the literals of a file that have a sentence.
struct Texts<'f> {
    name: &'f str,
    source: &'f str,
    found: Vec<Message>,
}

impl Texts<'_> {
    fn note(&mut self, literal: &syn::LitStr) {
        let text = normal(&placeholders(&literal.value()));
        if is_sentence(&text) {
            // As it is written, which is in the file at least once.
            let written = literal.token().to_string();
            let before = self.source.split(&written).next().unwrap_or_default();
            let place = format!("{}:{}", self.name, before.lines().count().max(1));
            self.found.push(Message { place, text });
        }
    }

    /// The literals among the tokens of a macro.
    fn note_tokens(&mut self, mut cursor: Cursor<'_>) {
        while !cursor.eof() {
            if let Some((identifier, next)) = cursor.ident()
                && FOR_DEVELOPERS.contains(&identifier.to_string().as_str())
            {
                // With the parenthesis behind it.
                let next = next.punct().map_or(next, |(_, next)| next);
                cursor = next.any_group().map_or(next, |(_, _, _, next)| next);
                continue;
            }
            // Attributes, and with them documentation.
            if let Some((mark, next)) = cursor.punct()
                && mark.as_char() == '#'
                && let Some((_, _, _, next)) = next.any_group()
            {
                cursor = next;
                continue;
            }
            if let Some((literal, next)) = cursor.literal() {
                if let syn::Lit::Str(literal) = syn::Lit::new(literal) {
                    self.note(&literal);
                }
                cursor = next;
            } else if let Some((inside, _, _, next)) = cursor.any_group() {
                self.note_tokens(inside);
                cursor = next;
            } else {
                cursor = cursor.token_tree().map_or(Cursor::empty(), |(_, next)| next);
            }
        }
    }
}

impl<'a> Visit<'a> for Texts<'_> {
    /// Documentation and reasons of exceptions.
    fn visit_attribute(&mut self, _: &'a syn::Attribute) {}

    fn visit_lit_str(&mut self, literal: &'a syn::LitStr) {
        self.note(literal);
    }

    fn visit_macro(&mut self, called: &'a syn::Macro) {
        let name = called.path.segments.last().map(|last| last.ident.to_string());
        if !name.is_some_and(|name| FOR_DEVELOPERS.contains(&name.as_str())) {
            self.note_tokens(TokenBuffer::new2(called.tokens.clone()).begin());
        }
    }

    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        match FOR_DEVELOPERS.contains(&call.method.to_string().as_str()) {
            true => self.visit_expr(&call.receiver),
            false => visit::visit_expr_method_call(self, call),
        }
    }

    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'a syn::ItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }
}

/// Whether an item is compiled for tests only.
fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    let is_test = |attribute: &syn::Attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return attribute.path().is_ident("test") };
        list.path.is_ident("cfg") && list.tokens.to_string() == "test"
    };
    attributes.iter().any(is_test)
}

/// A format string with `{}` for all that it inserts, whatever its name and form.
fn placeholders(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        out.push_str(&rest[..at]);
        let inserted = &rest[at..];
        if let Some(after) = inserted.strip_prefix("{{").or_else(|| inserted.strip_prefix("}}")) {
            out.push(if inserted.starts_with('{') { '{' } else { '}' });
            rest = after;
            continue;
        }
        let is_of_a_name = |c: char| c.is_alphanumeric() || "_:#?.<>$*+-^0 ".contains(c);
        match inserted[1..].split_once('}') {
            Some((name, after)) if inserted.starts_with('{') && name.chars().all(is_of_a_name) => {
                out.push_str("{}");
                rest = after;
            }
            _ => {
                out.push_str(&inserted[..1]);
                rest = &inserted[1..];
            }
        }
    }
    out + rest
}

/// A text with one blank for white space; also for characters of control, which separate the messages of the reference.
fn normal(text: &str) -> String {
    let parts = text.split(|c: char| c.is_whitespace() || c.is_control());
    let mut out = String::new();
    let mut is_apart = text.starts_with(char::is_whitespace);
    for part in parts.filter(|part| !part.is_empty()) {
        if is_apart {
            out.push(' ');
        }
        out.push_str(part);
        is_apart = true;
    }
    if text.ends_with(char::is_whitespace) && !out.is_empty() {
        out.push(' ');
    }
    out
}

/// Whether a text is meant for people: it has two words, one after the other.
fn is_sentence(text: &str) -> bool {
    text.split("{}").any(|piece| {
        let is_word = |word: &str| {
            let letters = word.trim_matches(|c: char| ",.:;()\"'".contains(c));
            letters.chars().any(char::is_alphabetic)
                && letters.chars().all(|c| c.is_alphanumeric() || "-'_".contains(c))
        };
        let words: Vec<bool> = piece.split(' ').map(is_word).collect();
        words.windows(2).any(|pair| pair == [true, true])
    })
}

/// Whether one of the documents has the pieces of a message, one after the other.
fn is_covered(text: &str, golden: &[String]) -> bool {
    // A last full stop is not shown under the name `taut`.
    let text = text.strip_suffix('.').unwrap_or(text);
    let pieces: Vec<&str> = text.split("{}").filter(|piece| !piece.trim().is_empty()).collect();
    golden.iter().any(|document| has_pieces(document, &pieces, document.len()))
}

/// Whether a document has these pieces; the first of them within so many bytes.
fn has_pieces(document: &str, pieces: &[&str], within: usize) -> bool {
    let Some((first, rest)) = pieces.split_first() else { return true };
    let mut end = within.saturating_add(first.len()).min(document.len());
    while !document.is_char_boundary(end) {
        end += 1;
    }
    let mut ends = document[..end].match_indices(first).map(|(at, piece)| at + piece.len());
    ends.any(|end| has_pieces(&document[end..], rest, MAX_INSERTED))
}

/// The golden files, with white space as in messages.
fn golden(root: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut pending: Vec<PathBuf> = GOLDEN.iter().map(|place| root.join(place)).collect();
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            for entry in fs::read_dir(&path)? {
                pending.push(entry?.path());
            }
        } else if !path.extension().is_some_and(|kind| NOT_GOLDEN.iter().any(|not| kind == *not)) {
            let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
            found.push(normal(&answers(&text)));
        }
    }
    Ok(found)
}

/// A document without the answers of the reference from which those of taut differ.
fn answers(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(", taut differs:\n\n```\n") {
        out.push_str(before);
        rest = after.split_once("\n```\n").map_or("", |(_, rest)| rest);
    }
    out + rest
}

/// The list of messages that no document can have.
#[derive(Default)]
struct Uncaused {
    texts: BTreeSet<String>,
}

impl Uncaused {
    fn parse(text: &str) -> Result<Uncaused> {
        let mut list = Uncaused::default();
        let mut has_reason = false;
        for (number, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if line.starts_with('[') && line.ends_with(']') {
                has_reason = true;
                continue;
            }
            // The marks keep blanks at both ends.
            let Some(message) = line.strip_prefix('|').and_then(|line| line.strip_suffix('|')) else {
                bail!("{LIST}:{}: neither [REASON] nor |MESSAGE|", number + 1);
            };
            if !has_reason {
                bail!("{LIST}:{}: no reason comes before it", number + 1);
            }
            if !list.texts.insert(message.to_owned()) {
                bail!("{LIST}:{}: listed twice", number + 1);
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Uncaused, answers, is_covered, is_of_the_product, messages_of, normal, placeholders, uncovered,
    };

    fn texts(source: &str) -> Vec<String> {
        messages_of("crates/a/src/b.rs", source).unwrap().into_iter().map(|message| message.text).collect()
    }

    #[test]
    fn sentences_are_found_wherever_they_are_written() {
        let source = r#"
            const HINT: &str = "try it again";
            fn f() -> String {
                match x { 1 => "one word is none".into(), _ => "word".into() }
                log(format!("there is no {name:?} in {}", g("a b")));
            }
        "#;
        assert_eq!(texts(source), ["try it again", "one word is none", "there is no {} in {}", "a b"]);
    }

    #[test]
    fn texts_for_developers_and_tests_are_no_messages() {
        let source = r#"
            //! A document.
            /// Of a function.
            #[allow(dead_code, reason = "not used yet")]
            fn f() {
                x.expect("there is one");
                assert!(x, "it has to be");
                list!(#[doc = "of a macro"] unreachable!("never comes here"));
            }
            #[cfg(test)]
            mod tests { const A: &str = "only in tests"; }
            #[test]
            fn t() { f("only in tests"); }
        "#;
        assert_eq!(texts(source), [] as [&str; 0]);
        assert!(is_of_the_product("crates/cli/src/voice.rs"));
        for name in
            ["crates/cli/tests/a.rs", "crates/testkit/src/a.rs", "crates/a/src/b/tests.rs", "xtask/src/a.rs"]
        {
            assert!(!is_of_the_product(name), "{name}");
        }
    }

    #[test]
    fn what_is_inserted_may_be_anything() {
        assert_eq!(placeholders("{a} of {:>3} and {{}} {b:#?}"), "{} of {} and {} {}");
        let golden = [normal("error: the file\n  a/b  has 3 lines, too many")];
        assert!(is_covered("the file {} has {} lines", &golden));
        assert!(is_covered("too many.", &golden));
        assert!(!is_covered("{} lines of the file", &golden));
    }

    #[test]
    fn a_message_is_in_a_document_or_listed_with_a_reason_and_never_both() {
        let source =
            r#"const A: &str = "in the document"; const B: &str = "in the list"; const C: &str = "in none";"#;
        let messages = messages_of("a.rs", source).unwrap();
        let golden = ["it is in the document".to_owned()];
        let check = |list: &str| uncovered(&messages, &golden, &Uncaused::parse(list).unwrap());
        assert_eq!(check("[reason]\n|in the list|\n"), ["a.rs:1: no golden document has \"in none\""]);
        let found = check("[reason]\n|in the list|\n|in none|\n|in the document|\n|in no source|\n");
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(
            found[0].ends_with("a golden document has \"in the document\", which is listed as not caused")
        );
        assert!(found[1].ends_with("no message is \"in no source\""));
    }

    #[test]
    fn a_list_without_reasons_is_an_error() {
        for list in ["|a message|", "[reason]\na message", "[reason]\n|a b|\n|a b|"] {
            assert!(Uncaused::parse(list).is_err(), "{list}");
        }
    }

    #[test]
    fn answers_of_the_reference_count_where_those_of_taut_are_equal() {
        let equal = "`$ just a` exits with 1:\n\n```\nequal\n```\n";
        let other = "`$ just b` exits with 1, taut differs:\n\n```\nother\n```\nend";
        let kept = answers(&format!("{equal}{other}"));
        assert!(kept.contains("equal") && kept.contains("end") && !kept.contains("other"));
    }
}
