//! The check of `cargo xtask tidy` for messages that stand in no golden document.
//!
//! A message is a string literal of the product with a sentence in it, wherever it is written: as the argument of a
//! constructor of errors, an arm of a `match`, a constant. It is covered if its words, with anything in place of what
//! is inserted, occur in an answer of the golden files, which tests compare with what the binary prints. So a message
//! that is new or changed needs a situation that causes it, or a line in `xtask/uncaused-messages.txt` with the reason
//! why no document can cause it.
//!
//! Which voice a message belongs to is seen in the sources: files and `impl` blocks of a voice, and what diagnostics
//! call the reference's text ([`Voice`]). It has to occur in an answer of that voice; one that both have, in any
//! answer.

use anyhow::{Context as _, Result, bail};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use syn::buffer::{Cursor, TokenBuffer};
use syn::visit::{self, Visit};

mod text;

use text::{is_covered, is_list_of_names, is_sentence, is_whole_in, normal, placeholders};

/// The messages that no document can have, relative to the root of the repository.
const LIST: &str = "xtask/uncaused-messages.txt";

/// Crates and modules that print nothing to users: what only tests use, generated sources, and what the engine offers
/// to other users of the library, in place of which taut has words of its own (`driver/src/history`) and its crate
/// `sys`.
const NOT_OF_THE_PRODUCT: &[&str] = &[
    "parser-checks",
    "proto",
    "testkit",
    "engine/src/api/derivation",
    "engine/src/api/files",
    "engine/src/log/reason",
    "engine/src/persist/path",
    "remote/src/server",
];

/// Golden files, below the directory of the repository: files and directories, the kinds of names that count in them,
/// and what of them is answers.
// Listed and not searched for: a file is evidence only if a test compares it with what the binary prints.
const GOLDEN: &[(&str, &[&str], Golden)] = &[
    ("crates/cli/tests/messages", &["md"], Golden::Calls),
    ("crates/cli/tests/diagnostics", &["md"], Golden::Calls),
    ("crates/cli/tests/reference", &["md"], Golden::Calls),
    ("crates/cli/tests/from_sources", &["md"], Golden::Whole(Voice::Taut)),
    ("crates/cli/tests/remote_cache", &["md"], Golden::Calls),
    ("crates/cli/tests/remote_execution", &["md"], Golden::Calls),
    ("crates/cli/tests/help", &["txt", "1"], Golden::Whole(Voice::Taut)),
    ("crates/cli/tests/terminal", &["txt"], Golden::Whole(Voice::Taut)),
    ("crates/cli/tests/cases", &["json"], Golden::Whole(Voice::Just)),
    ("crates/cli/tests/computed_roots", &["txt"], Golden::Whole(Voice::Just)),
    ("crates/cli/tests/export_cache", &["txt"], Golden::Whole(Voice::Just)),
    ("crates/cli/tests/git_roots", &["txt"], Golden::Whole(Voice::Just)),
    ("crates/cli/tests/repositories/just_mr", &["out"], Golden::Whole(Voice::Just)),
    ("crates/expr/tests/cases/errors.txt", &["txt"], Golden::Whole(Voice::Taut)),
];

/// What of a golden file is answers of the binary.
#[derive(Clone, Copy)]
enum Golden {
    /// The blocks below lines with calls, which have the name in them.
    Calls,
    /// All of it.
    Whole(Voice),
}

/// The voice of a message, or of an answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Voice {
    /// The voice under the name `taut`.
    Taut,
    /// The voice under the names `just` and `just-mr`.
    Just,
    /// A message that both have.
    Both,
}

/// Sources that belong to one voice: the beginnings of their names.
const OF_VOICES: &[(&str, Voice)] = &[
    ("crates/cli/src/log/layout/just.rs", Voice::Just),
    ("crates/cli/src/log/layout/taut.rs", Voice::Taut),
    ("crates/cli/src/mr", Voice::Just),
    ("crates/cli/src/voice/just.rs", Voice::Just),
    ("crates/cli/src/voice/taut.rs", Voice::Taut),
];

/// Methods of diagnostics whose arguments are texts of the reference; what they are called on has those of taut.
const REFERENCE_TEXTS: &[&str] = &["reference", "reference_as"];

/// Names with which an error may begin: files of documents, and programs.
const NAMES: &[&str] = &["Git"];

/// Macros and methods whose texts are for developers.
// What they print is never part of a call that works as it should.
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

/// Methods whose texts are keys of JSON.
const KEYS: &[&str] = &["key"];

/// Methods whose texts are looked for.
// Their arguments are compared with messages, and are not messages themselves.
const SEARCHES: &[&str] =
    &["contains", "ends_with", "find", "rfind", "split_once", "starts_with", "strip_prefix", "strip_suffix"];

/// A message of the sources.
struct Message {
    /// File and line.
    place: String,
    voice: Voice,
    /// Its text, with `{}` for what is inserted, and one blank for white space.
    text: String,
    /// The same of a text that is not a format: braces are part of it.
    plain: String,
    /// The same as a string of a JSON document, in which it is shown if it is a content that is generated.
    quoted: String,
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
    let mut found = uncovered(&messages, &golden, &uncaused);
    found.extend(golden.capitals.iter().map(|text| {
        format!(
            "\"{text}\" begins with a capital letter: write a small one, or add the word to FIRST_WORDS in \
             crates/cli/src/log/layout/taut.rs"
        )
    }));
    Ok(found)
}

fn uncovered(messages: &[Message], golden: &Answers, uncaused: &Uncaused) -> Vec<String> {
    // Equal texts are one message: a document that causes it once is enough.
    let mut places: BTreeMap<(&str, &str, &str, Voice), Vec<&str>> = BTreeMap::new();
    for Message { place, voice, text, plain, quoted } in messages {
        places.entry((text, plain, quoted, *voice)).or_default().push(place);
    }
    let mut found = Vec::new();
    // Listed texts, and whether a document has them in each voice.
    let mut used: BTreeMap<&str, bool> = BTreeMap::new();
    for ((text, plain, quoted, voice), places) in &places {
        let is_covered = golden.of(*voice).any(|answers| {
            is_covered(text, answers)
                // A literal with braces may be a format, or a text in which braces are meant: only
                // the use would show which.
                || (text != plain && is_whole_in(plain, answers))
                || (text != quoted && is_covered(quoted, answers))
        });
        if uncaused.texts.contains(*text) {
            // In all voices: a text that one voice has in no document stays on the list.
            *used.entry(text).or_insert(true) &= is_covered;
        } else if !is_covered {
            let name = match voice {
                Voice::Taut => " under the name taut",
                Voice::Just => " under the name just",
                Voice::Both => "",
            };
            found.push(format!("{}: no golden document has \"{text}\"{name}", places.join(", ")));
        }
    }
    let caused = used.iter().filter(|(_, is_covered)| **is_covered);
    found.extend(
        caused.map(|(text, _)| {
            format!("{LIST}: a golden document has \"{text}\", which is listed as not caused")
        }),
    );
    // The list only shrinks: an entry without a message would hide the next one with the same text.
    let gone = uncaused.texts.iter().filter(|text| !used.contains_key(text.as_str()));
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
    let of_file = OF_VOICES.iter().find(|(begin, _)| name.starts_with(begin));
    let voice = of_file.map_or(Voice::Both, |(_, voice)| *voice);
    let mut texts = Texts { name, source: text, voice, found: Vec::new() };
    texts.visit_file(&file);
    Ok(texts.found)
}

/// Collects the literals of a file that have a sentence.
struct Texts<'f> {
    name: &'f str,
    source: &'f str,
    /// The voice of what is visited.
    voice: Voice,
    found: Vec<Message>,
}

impl Texts<'_> {
    /// Visits something that belongs to a voice, if to any.
    fn within(&mut self, voice: Option<Voice>, visit: impl FnOnce(&mut Self)) {
        let before = self.voice;
        // What belongs to one voice has nothing of the other.
        if let (Voice::Both, Some(voice)) = (before, voice) {
            self.voice = voice;
        }
        visit(self);
        self.voice = before;
    }

    fn note(&mut self, literal: &syn::LitStr) {
        let plain = normal(&literal.value());
        let text = normal(&placeholders(&literal.value()));
        let quoted = literal.value().replace('"', "\\\"").replace('\n', "\\n");
        let quoted = normal(&placeholders(&quoted));
        if is_sentence(&text) && !is_list_of_names(&text) {
            // As it is written, which is in the file at least once.
            let written = literal.token().to_string();
            // The tokens have no lines outside of a compiler, so the place is that of the first
            // equal literal.
            let before = self.source.split(&written).next().unwrap_or_default();
            let place = format!("{}:{}", self.name, before.lines().count().max(1));
            self.found.push(Message { place, voice: self.voice, text, plain, quoted });
        }
    }

    /// The literals among the tokens of a macro.
    // By tokens, since the arguments of a macro need not be expressions.
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
        // Of `matches!`, what a text is compared with.
        if !name.is_some_and(|name| name == "matches" || FOR_DEVELOPERS.contains(&name.as_str())) {
            self.note_tokens(TokenBuffer::new2(called.tokens.clone()).begin());
        }
    }

    fn visit_expr_method_call(&mut self, call: &'a syn::ExprMethodCall) {
        let name = call.method.to_string();
        let is_search = SEARCHES.contains(&name.as_str())
            && call.args.iter().all(|word| matches!(word, syn::Expr::Lit(_) | syn::Expr::Array(_)));
        let is_key = KEYS.contains(&name.as_str()) && matches!(call.args.first(), Some(syn::Expr::Lit(_)));
        if is_search || is_key || FOR_DEVELOPERS.contains(&name.as_str()) {
            self.visit_expr(&call.receiver);
        } else if REFERENCE_TEXTS.contains(&name.as_str()) {
            // `Diagnostic::error(OURS).reference(THEIRS)`: the receiver has our text, and the
            // argument the reference's.
            self.within(Some(Voice::Taut), |this| this.visit_expr(&call.receiver));
            self.within(Some(Voice::Just), |this| call.args.iter().for_each(|word| this.visit_expr(word)));
        } else {
            visit::visit_expr_method_call(self, call);
        }
    }

    /// What something is compared with is not a message.
    fn visit_expr_binary(&mut self, binary: &'a syn::ExprBinary) {
        let is_comparison = matches!(binary.op, syn::BinOp::Eq(_) | syn::BinOp::Ne(_));
        for side in [&binary.left, &binary.right] {
            if !(is_comparison && matches!(**side, syn::Expr::Lit(_))) {
                self.visit_expr(side);
            }
        }
    }

    fn visit_item_const(&mut self, item: &'a syn::ItemConst) {
        if !is_no_message(&item.ident) {
            visit::visit_item_const(self, item);
        }
    }

    fn visit_impl_item_const(&mut self, item: &'a syn::ImplItemConst) {
        // The name of a rule of the engine.
        if item.ident != "NAME" && !is_no_message(&item.ident) {
            visit::visit_impl_item_const(self, item);
        }
    }

    /// What is computed for the reference's text.
    fn visit_local(&mut self, local: &'a syn::Local) {
        // By convention of the sources: such a text is kept in a variable called `reference` until
        // it is handed over.
        let is_reference = is_named_reference(&local.pat);
        self.within(is_reference.then_some(Voice::Just), |this| visit::visit_local(this, local));
    }

    fn visit_expr_assign(&mut self, assign: &'a syn::ExprAssign) {
        let is_reference = matches!(&*assign.left, syn::Expr::Path(path) if path.path.is_ident("reference"));
        self.within(is_reference.then_some(Voice::Just), |this| visit::visit_expr_assign(this, assign));
    }

    /// What a text is compared with.
    fn visit_pat(&mut self, _: &'a syn::Pat) {}

    /// The texts of a voice. What `Debug` shows is for developers.
    fn visit_item_impl(&mut self, block: &'a syn::ItemImpl) {
        let of_trait = block.trait_.as_ref().and_then(|(_, name, _)| name.segments.last());
        if of_trait.is_some_and(|name| name.ident == "Debug") {
            return;
        }
        let syn::Type::Path(of) = &*block.self_ty else { return visit::visit_item_impl(self, block) };
        self.within(voice_called(&of.path), |this| visit::visit_item_impl(this, block));
    }

    /// The arms of a decision between names.
    fn visit_arm(&mut self, arm: &'a syn::Arm) {
        let voice = match &arm.pat {
            syn::Pat::Path(name) => voice_called(&name.path),
            _ => None,
        };
        self.within(voice, |this| visit::visit_arm(this, arm));
    }

    fn visit_impl_item_fn(&mut self, function: &'a syn::ImplItemFn) {
        let is_reference = is_of_reference(&function.sig.ident);
        self.within(is_reference.then_some(Voice::Just), |this| visit::visit_impl_item_fn(this, function));
    }

    fn visit_item_mod(&mut self, module: &'a syn::ItemMod) {
        if !is_for_tests(&module.attrs) {
            visit::visit_item_mod(self, module);
        }
    }

    fn visit_item_fn(&mut self, function: &'a syn::ItemFn) {
        if !is_for_tests(&function.attrs) {
            let is_reference = is_of_reference(&function.sig.ident);
            self.within(is_reference.then_some(Voice::Just), |this| visit::visit_item_fn(this, function));
        }
    }
}

/// Whether a constant has texts that are never shown, by its name: words of other programs (`WORDS_OF_…`), which are
/// searched for, and what is hashed (`…SALT…`).
fn is_no_message(name: &syn::Ident) -> bool {
    let name = name.to_string();
    name.starts_with("WORDS_OF_") || name.contains("SALT")
}

/// The voice that a type or a name of the tool is named after.
fn voice_called(path: &syn::Path) -> Option<Voice> {
    let last = path.segments.last()?;
    match last.ident.to_string().as_str() {
        "Taut" => Some(Voice::Taut),
        "Just" => Some(Voice::Just),
        _ => None,
    }
}

/// Whether a function gives the reference's text of something.
fn is_of_reference(name: &syn::Ident) -> bool {
    let name = name.to_string();
    ["as_reference", "in_reference", "of_reference"].iter().any(|end| name.ends_with(end))
}

fn is_named_reference(pattern: &syn::Pat) -> bool {
    match pattern {
        syn::Pat::Ident(name) => name.ident == "reference",
        syn::Pat::Type(typed) => is_named_reference(&typed.pat),
        _ => false,
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

/// What the binary prints according to the golden files, with white space as in messages.
#[derive(Default)]
struct Answers {
    taut: Vec<String>,
    just: Vec<String>,
    /// The beginnings of errors and warnings under the name `taut` that are not names and have a capital letter.
    capitals: BTreeSet<String>,
}

impl Answers {
    /// The answers that may contain a message of this voice.
    fn of(&self, voice: Voice) -> impl Iterator<Item = &[String]> {
        let taut = (voice != Voice::Just).then_some(&*self.taut);
        let just = (voice != Voice::Taut).then_some(&*self.just);
        taut.into_iter().chain(just)
    }

    fn add(&mut self, file: &str, how: Golden) {
        let found = match how {
            Golden::Whole(voice) => vec![(voice, file.to_owned())],
            Golden::Calls => answers(file),
        };
        for (voice, text) in found {
            // The reference begins its messages with capital letters.
            if voice != Voice::Just {
                self.capitals.extend(capitals(&text));
            }
            match voice {
                Voice::Just => self.just.push(normal(&text)),
                Voice::Taut | Voice::Both => self.taut.push(normal(&text)),
            }
        }
    }
}

fn golden(root: &Path) -> Result<Answers> {
    let mut found = Answers::default();
    for (place, kinds, how) in GOLDEN {
        let mut pending = vec![root.join(place)];
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                for entry in fs::read_dir(&path)? {
                    pending.push(entry?.path());
                }
            } else if path.extension().is_some_and(|kind| kinds.iter().any(|name| kind == *name)) {
                let text = fs::read_to_string(&path).with_context(|| format!("{}", path.display()))?;
                found.add(&text, *how);
            }
        }
    }
    Ok(found)
}

/// The answers in a document: the blocks below lines with calls, by voice. Those of the reference from which those of
/// taut differ are none of taut.
fn answers(document: &str) -> Vec<(Voice, String)> {
    let mut found: Vec<(Voice, String)> = Vec::new();
    // The voice of the next block, of the block, and of the call that goes on.
    // A line about a call precedes its answer, so the voice is known before the block begins.
    let (mut next, mut inside, mut last) = (None, None, Voice::Taut);
    for line in document.lines() {
        let is_fence = line == "```" || (inside.is_none() && line.starts_with("```"));
        match inside {
            Some(_) if is_fence => inside = None,
            Some(Some(_)) => {
                let (_, text) = found.last_mut().expect("pushed where the block begins");
                text.push_str(line);
                text.push('\n');
            }
            Some(None) => {}
            None if is_fence => {
                let voice: Option<Voice> = next.take();
                found.extend(voice.map(|voice| (voice, String::new())));
                inside = Some(voice);
            }
            None if line.is_empty() => {}
            None => {
                let voice = called(line);
                last = voice.unwrap_or(last);
                let goes_on =
                    line.starts_with("It prints `") || line.starts_with("It is interrupted and exits with ");
                next = match () {
                    // The block is the reference's answer, kept to show the difference.
                    () if line.ends_with(", taut differs:") => None,
                    () if goes_on => Some(last),
                    () => voice,
                };
            }
        }
    }
    found
}

/// The note below a message that the author of a rule wrote, which is shown as it is written.
const OF_RULE: &str = "note: the rule says so here";

/// The beginnings of errors and warnings that have a capital letter, without those that users wrote.
fn capitals(answer: &str) -> Vec<String> {
    let lines: Vec<&str> = answer.lines().collect();
    let is_next = |line: &&&str| line.starts_with("error: ") || line.starts_with("warning: ");
    let is_of_user = |at: usize| {
        let end =
            lines[at + 1..].iter().position(|line| is_next(&line)).map_or(lines.len(), |next| at + 1 + next);
        lines[at..end].iter().any(|line| line.contains(OF_RULE))
    };
    let found = lines.iter().enumerate().filter_map(|(at, line)| Some((at, capitalized(line)?)));
    found.filter(|(at, _)| !is_of_user(*at)).map(|(_, text)| text).collect()
}

/// The beginning of an error or a warning if its first word is not a name and has a capital letter.
fn capitalized(line: &str) -> Option<String> {
    let text = line.strip_prefix("error: ").or_else(|| line.strip_prefix("warning: "))?;
    let (first, rest) = text.split_once(' ')?;
    // One capital and then small letters: `JSON` and `LocalExecution` are names.
    let is_capital = first.starts_with(|c: char| c.is_ascii_uppercase())
        && first[1..].chars().all(|c| c.is_ascii_lowercase())
        && !NAMES.contains(&first);
    is_capital.then(|| format!("{first} {}", rest.chars().take(40).collect::<String>()))
}

/// The voice of the call in a line.
fn called(line: &str) -> Option<Voice> {
    match line {
        _ if line.starts_with("`$ taut ") => Some(Voice::Taut),
        _ if line.starts_with("`$ just ") || line.starts_with("`$ just-mr ") => Some(Voice::Just),
        _ if line.starts_with("Under the name `just` it exits with ") => Some(Voice::Just),
        _ => None,
    }
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
            // Each entry says why no document has it, so that the list is not a place to put anything.
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
        Answers, Uncaused, Voice, answers, is_covered, is_of_the_product, messages_of, normal, placeholders,
        uncovered,
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
                text.contains("what is searched");
                assert!(x, "it has to be");
                list!(#[doc = "of a macro"] unreachable!("never comes here"));
                match text { "what it may be" | "or this one" => matches!(text, "what it is") }
            }
            impl fmt::Debug for A { fn fmt(&self) { f.write_str("what it looks like") } }
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
    fn lists_of_names_are_no_messages_and_generated_contents_are_found_in_json() {
        let names = format!("const NAMES: &str = \"{}\";", "name of ".repeat(20));
        assert_eq!(texts(&names), [] as [&str; 0]);
        let source = r#"fn f() { write(format!("import it\nrun \"{it}\"")); }"#;
        let messages = messages_of("a.rs", source).unwrap();
        let golden =
            Answers { taut: vec![r#""data": "import it\nrun \"x\"""#.to_owned()], ..Answers::default() };
        assert_eq!(uncovered(&messages, &golden, &Uncaused::default()), [] as [&str; 0]);
    }

    #[test]
    fn what_is_compared_searched_for_hashed_or_a_key_is_no_message() {
        let source = r#"
            const WORDS_OF_GIT: [&str; 1] = ["early end of the file"];
            const SALT: &str = "kept names 1";
            impl Rule for A { const NAME: &'static str = "name of a rule"; }
            fn f() -> String {
                const WORDS_OF_ENDS: &[&str] = &["ends too early"];
                writer.key("start time").integer(1);
                if text == "closed by peer" || "not found" != text { return "it is shown".into() }
                match text { "first case" | "second case" => "what is shown", other if matches!(other, "a b") => "shown, too" }
            }
        "#;
        assert_eq!(texts(source), ["it is shown", "what is shown", "shown, too"]);
    }

    #[test]
    fn what_is_inserted_may_be_anything() {
        assert_eq!(placeholders("{a} of {:>3} and {{}} {b:#?}"), "{} of {} and {} {}");
        let golden = [normal("error: the file\n  a/b  has 3 lines, too many")];
        assert!(is_covered("the file {} has {} lines", &golden));
        assert!(is_covered("too many.", &golden));
        assert!(is_covered("The file {} has", &golden));
        assert!(!is_covered("{} lines of the file", &golden));
    }

    #[test]
    fn a_message_is_in_a_document_or_listed_with_a_reason_and_never_both() {
        let source =
            r#"const A: &str = "in the document"; const B: &str = "in the list"; const C: &str = "in none";"#;
        let messages = messages_of("a.rs", source).unwrap();
        let golden = Answers { taut: vec!["it is in the document".to_owned()], ..Answers::default() };
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
    fn what_belongs_to_one_voice_is_looked_for_in_its_answers_only() {
        let source = r#"
            impl Texts for Just { fn a(&self) { say("of just alone"); } }
            impl Texts for Taut { fn a(&self) { say("of taut alone"); } }
            fn wrong(name: Name) {
                let reference = format!("for the reference {name}");
                match name { Name::Just => say("arm of just"), Name::Taut => say("arm of taut") }
                error("first as taut").reference("second as just");
                error("of both names")
            }
            fn in_reference() -> String { "text as reference".into() }
        "#;
        let messages = messages_of("a.rs", source).unwrap();
        let of = |voice: Voice| {
            let texts = messages.iter().filter(|message| message.voice == voice);
            texts.map(|message| message.text.as_str()).collect::<Vec<_>>()
        };
        assert_eq!(of(Voice::Taut), ["of taut alone", "arm of taut", "first as taut"]);
        assert_eq!(
            of(Voice::Just),
            ["of just alone", "for the reference {}", "arm of just", "second as just", "text as reference"]
        );
        assert_eq!(of(Voice::Both), ["of both names"]);
        let of_file = |name: &str| messages_of(name, r#"const A: &str = "a b";"#).unwrap()[0].voice;
        assert_eq!(of_file("crates/cli/src/mr/words.rs"), Voice::Just);
        assert_eq!(of_file("crates/cli/src/watch.rs"), Voice::Both);

        let all: Vec<String> = messages.iter().map(|message| message.text.replace("{}", "x")).collect();
        let golden = Answers { taut: vec![all.join("; ")], ..Answers::default() };
        let found = uncovered(&messages, &golden, &Uncaused::default());
        assert_eq!(found.len(), 5, "{found:#?}");
        assert!(found.iter().all(|found| found.ends_with(" under the name just")), "{found:#?}");
    }

    #[test]
    fn errors_begin_with_a_small_letter() {
        let mut golden = Answers::default();
        let text = "error: Cannot read it\nwarning: cannot\nerror: TREE conflict\nerror: Git is absent\nerror: C++20 is\n";
        golden.add(text, super::Golden::Whole(Voice::Just));
        assert_eq!(golden.capitals.len(), 0);
        golden.add(text, super::Golden::Whole(Voice::Taut));
        assert_eq!(Vec::from_iter(&golden.capitals), ["Cannot read it"]);
    }
    #[test]
    fn what_the_author_of_a_rule_wrote_may_have_a_capital_letter() {
        let of_rule = "error: Ask Legal\n  --> TARGETS:1:2\n  note: the rule says so here: RULES:1:9\n";
        assert_eq!(super::capitals(of_rule), [] as [&str; 0]);
        let of_both = format!("error: Cannot read it\n{of_rule}");
        assert_eq!(super::capitals(&of_both), ["Cannot read it"]);
    }

    #[test]
    fn answers_are_the_blocks_below_calls() {
        let document = "`$ just a` exits with 1:\n\n```\nequal\n```\n\n`$ just b` exits with 1, taut differs:\n\n\
            ```\nother\n```\n\n`f`\n\n```json\na file\n```\n\n`$ taut c` exits with 0:\n\n```\nours\n```\n\n\
            Under the name `just` it exits with 0:\n\n```\ntheirs\n```\n\n`$ taut d` goes on after `x`:\n\n```\nx\n```\n\n\
            It is interrupted and exits with 3:\n\n```\nthe end\n```\nProse.\n";
        let found = answers(document);
        let found: Vec<_> = found.iter().map(|(voice, text)| (*voice, text.as_str())).collect();
        assert_eq!(
            found,
            [
                (Voice::Just, "equal\n"),
                (Voice::Taut, "ours\n"),
                (Voice::Just, "theirs\n"),
                (Voice::Taut, "x\n"),
                (Voice::Taut, "the end\n"),
            ]
        );
    }
}
