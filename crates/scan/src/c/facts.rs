//! What is read from the text of one file: its includes, the macros that it defines, and whether it has a `main`.

use std::collections::BTreeSet;

use super::{
    Kind,
    commands::{self, ConfiguredHeaderMacros, MacroInclude},
    condition::{Macros, Truth},
    kind,
    lex::{Token, tokens},
    system::{self, Origin},
};
use crate::tree::Tree;

/// Facts from the text of a file.
#[derive(Default, Debug)]
pub(crate) struct FileFacts {
    pub(crate) includes: Vec<Include>,
    /// Lines whose `#include` names a macro, and the macro.
    pub(crate) computed: Vec<(u32, String)>,
    /// The macros that it defines, on a condition that may hold.
    // The union over the tree decides, since a macro of one file is seen by those that include it.
    pub(crate) defined: BTreeSet<String>,
    /// Of these, the macros that name a file, with what an `#include` of the macro would include.
    pub(crate) named: Vec<(String, String)>,
    /// Macros that a build passes to the compiler, with their values: macros in an `#include`, and macros of
    /// [`ConfiguredHeaderMacros`] in a condition.
    pub(crate) passed: Vec<(String, String)>,
    /// The functions that it surely defines for other files; in C only, since there a name means one function.
    pub(crate) functions: BTreeSet<String>,
    /// Functions of files that need a library of the system, if their names occur in the parts of this file that may be
    /// compiled.
    pub(crate) mentioned: BTreeSet<String>,
    /// Whether it is a part of a C++20 module.
    pub(crate) is_module: bool,
    /// Where the function `main` is defined, and whether that is compiled; not if it surely is not.
    pub(crate) main: Option<(u32, Truth)>,
}

/// An `#include`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Include {
    pub(crate) spelled: String,
    /// In quotes; else in angle brackets.
    pub(crate) is_quoted: bool,
    pub(crate) line: u32,
    pub(crate) is_compiled: Truth,
}

/// The facts of all files; of those that are not C, nothing.
pub(crate) fn of_tree(tree: &Tree) -> Vec<FileFacts> {
    let configured = ConfiguredHeaderMacros::of_tree(tree);
    let read = |index: usize, defined: Option<&BTreeSet<String>>| {
        let file = tree.file(index);
        let passed = ConfiguredHeaderMacros::of_file(&configured, &file.path);
        match kind(&file.path) {
            Some(kind) => of_text(&file.content, kind, defined, &passed),
            // Other files that are included: `.def`, `.inc`.
            None if matches!(crate::paths::ending(&file.path), "def" | "inc") => {
                of_text(&file.content, Kind::Header, defined, &passed)
            }
            None => FileFacts::default(),
        }
    };
    // Two passes: whether a condition on `HAVE_X` can be true depends on whether any file of the tree defines that
    // macro, so all definitions are collected before any condition is judged.
    let (mut defined, mut named) = (BTreeSet::new(), Vec::new());
    for index in 0..tree.len() {
        let facts = read(index, None);
        defined.extend(facts.defined);
        named.extend(facts.named);
    }
    // Once more: only now it is known which conditions hold, so definitions for other systems are left out.
    let read_all = |defined: &BTreeSet<String>| -> Vec<FileFacts> {
        (0..tree.len()).map(|index| read(index, Some(defined))).collect()
    };
    let defined: BTreeSet<String> = read_all(&defined).into_iter().flat_map(|facts| facts.defined).collect();
    let mut all = read_all(&defined);
    let passed = commands::macro_includes(tree);
    for (index, facts) in all.iter_mut().enumerate() {
        facts.replace_macros(&named);
        facts.replace_passed(&passed, tree.path(index));
    }
    let functions =
        all.iter().filter(|facts| facts.needs_package()).flat_map(|facts| facts.functions.clone());
    let functions: BTreeSet<String> = functions.collect();
    for (index, facts) in all.iter_mut().enumerate().filter(|_| !functions.is_empty()) {
        let file = tree.file(index);
        if let Some(kind) = kind(&file.path) {
            let passed = ConfiguredHeaderMacros::of_file(&configured, &file.path);
            facts.mentioned = mentioned(&file.content, kind, (&defined, &passed), &functions);
        }
    }
    all
}

impl FileFacts {
    /// Whether it surely includes a header of a library of the system, as the header is called.
    fn needs_package(&self) -> bool {
        self.includes.iter().any(|include| {
            include.is_compiled == Truth::Yes
                && matches!(system::origin(&include.spelled), Some(Origin::Package(_)))
        })
    }

    /// Adds what an `#include` of a macro may include, by the definitions in the tree.
    fn replace_macros(&mut self, named: &[(String, String)]) {
        for (line, name) in &self.computed {
            for (_, value) in named.iter().filter(|(of, _)| of == name) {
                if let Some((spelled, is_quoted)) = file_name(value) {
                    let is_compiled = Truth::Perhaps;
                    self.includes.push(Include { spelled, is_quoted, line: *line, is_compiled });
                }
            }
        }
    }
}

impl FileFacts {
    /// Adds the headers of `#include MACRO` whose macro a makefile above the file passes.
    fn replace_passed(&mut self, passed: &[MacroInclude], path: &str) {
        for (line, name) in &self.computed {
            let is_above = |of: &&MacroInclude| {
                of.name == *name
                    && (of.directory.is_empty() || path.starts_with(&format!("{}/", of.directory)))
            };
            // The nearest.
            let of = passed.iter().filter(is_above).max_by_key(|of| of.directory.len());
            if let Some(MacroInclude { name, value, .. }) = of
                && let Some((spelled, is_quoted)) = file_name(value)
            {
                self.includes.push(Include { spelled, is_quoted, line: *line, is_compiled: Truth::Yes });
                self.passed.push((name.clone(), value.clone()));
            }
        }
    }
}

/// The facts of a text, if these macros are defined somewhere in the tree; `None` if that is not known yet. `passed`:
/// macros that the build surely defines.
pub(crate) fn of_text(
    text: &[u8],
    kind: Kind,
    defined: Option<&BTreeSet<String>>,
    passed: &BTreeSet<String>,
) -> FileFacts {
    // The first pass knows no macros; it collects definitions whatever the conditions around them are
    // (`are_macros_known`).
    let nothing = BTreeSet::new();
    let tokens = tokens(text);
    let mut reader = Reader::new(kind, (defined.unwrap_or(&nothing), passed), defined.is_some());
    reader.facts.is_module = kind == Kind::Cxx && is_module(&tokens);
    // Whether what is declared is for this file only.
    // Set by `static` and `inline`, and reset where the declaration ends.
    let mut is_local = false;
    for (index, (token, line)) in tokens.iter().enumerate() {
        if reader.braces.contains(&true) || matches!(token, Token::Directive(_) | Token::Mark(b';' | b'}')) {
            is_local = false;
        }
        match token {
            Token::Directive(text) => reader.directive(text, *line, &tokens[index + 1..]),
            Token::Mark(b'{') => {
                let before =
                    [index.checked_sub(2), index.checked_sub(1)].map(|at| at.map(|at| &tokens[at].0));
                let is_linkage =
                    matches!(before, [Some(Token::Word(word)), Some(Token::Constant)] if word == "extern");
                reader.braces.push(!is_linkage);
            }
            Token::Mark(b'}') => drop(reader.braces.pop()),
            Token::Word(word) if word == "main" && !reader.braces.contains(&true) => {
                let before = index.checked_sub(1).map(|at| &tokens[at].0);
                let is_member = matches!(before, Some(Token::Mark(b'.' | b':' | b'>')));
                if !is_member && is_definition(&tokens[index + 1..]) {
                    reader.main(*line);
                }
            }
            Token::Word(word) if matches!(word.as_str(), "static" | "inline" | "__inline") => is_local = true,
            Token::Word(word) if kind == Kind::C && !is_local && !reader.braces.contains(&true) => {
                // A name in capitals is a macro.
                let is_name = word.contains(|c: char| c.is_ascii_lowercase());
                let is_compiled = reader.is_compiled() == Truth::Yes;
                if is_name && is_compiled && has_body(&tokens[index + 1..]) {
                    reader.facts.functions.insert(word.clone());
                }
            }
            _ => {}
        }
    }
    reader.facts
}

/// Whether a text in C++ begins as a unit of a module does: `module;`, `module NAME`, `export module NAME`.
fn is_module(tokens: &[(Token, u32)]) -> bool {
    let mut code = tokens
        .iter()
        .map(|(token, _)| token)
        .filter(|token| !matches!(token, Token::Directive(_)))
        .peekable();
    let is_word = |token: &Token, text: &str| matches!(token, Token::Word(word) if word == text);
    code.next_if(|token| is_word(token, "export"));
    code.next().is_some_and(|token| is_word(token, "module"))
        && code.next().is_some_and(|token| matches!(token, Token::Word(_) | Token::Mark(b';')))
}

/// The names that occur in the parts of a text that may be compiled.
fn mentioned(
    text: &[u8],
    kind: Kind,
    macros: (&BTreeSet<String>, &BTreeSet<String>),
    names: &BTreeSet<String>,
) -> BTreeSet<String> {
    let tokens = tokens(text);
    let mut reader = Reader::new(kind, macros, true);
    let mut found = BTreeSet::new();
    for (index, (token, line)) in tokens.iter().enumerate() {
        match token {
            Token::Directive(text) => reader.directive(text, *line, &tokens[index + 1..]),
            Token::Word(word) if names.contains(word) && reader.is_compiled() != Truth::No => {
                found.insert(word.clone());
            }
            _ => {}
        }
    }
    found
}

/// Whether what follows the name of a function is its definition: brackets, then a body.
// By marks alone, without types: `main` has few forms, and a macro in between does no harm.
fn is_definition(rest: &[(Token, u32)]) -> bool {
    let mut open = 0_usize;
    let mut rest = rest.iter().map(|(token, _)| token).filter(|token| !matches!(token, Token::Directive(_)));
    for token in rest.by_ref() {
        match token {
            Token::Mark(b'(') => open += 1,
            Token::Mark(b')') => open = open.saturating_sub(1),
            _ if open == 0 => return false,
            _ => continue,
        }
        if open == 0 {
            break;
        }
    }
    // Between them may be the types of parameters, in the oldest style.
    let mut between = rest.peekable();
    match between.peek() {
        Some(Token::Mark(b'{')) => true,
        // `-` of `->`, the type of a result in C++.
        Some(Token::Word(_) | Token::Mark(b'-')) => {
            between.take_while(|token| **token != Token::Mark(b'}')).any(|token| *token == Token::Mark(b'{'))
        }
        _ => false,
    }
}

/// Whether brackets follow, and right behind them the body of a function.
fn has_body(rest: &[(Token, u32)]) -> bool {
    if !matches!(rest.first(), Some((Token::Mark(b'('), _))) {
        return false;
    }
    let mut open = 0_usize;
    for (at, (token, _)) in rest.iter().enumerate() {
        match token {
            Token::Mark(b'(') => open += 1,
            Token::Mark(b')') => open = open.saturating_sub(1),
            // A statement or a macro with a body as its argument, not a list of parameters.
            Token::Mark(b'{' | b'}' | b';') | Token::Directive(_) => return false,
            _ => {}
        }
        if open == 0 {
            return matches!(rest.get(at + 1), Some((Token::Mark(b'{'), _)));
        }
    }
    false
}

/// An `#if` that is open.
struct Condition {
    /// Whether this branch is compiled, apart from the conditions around it.
    now: Truth,
    /// Whether an earlier branch is.
    before: Truth,
    /// How many braces were open. Each branch begins with these.
    braces: usize,
}

struct Reader<'m> {
    macros: Macros<'m>,
    are_macros_known: bool,
    facts: FileFacts,
    conditions: Vec<Condition>,
    /// The open braces, each with whether it is one of code, not of `extern "C"`.
    // A stack, not a number: branches of an `#if` may open and close other ones (`branch`).
    braces: Vec<bool>,
}

impl<'m> Reader<'m> {
    fn new(
        kind: Kind,
        (defined, passed): (&'m BTreeSet<String>, &'m BTreeSet<String>),
        are_macros_known: bool,
    ) -> Reader<'m> {
        let is_cxx = match kind {
            Kind::C | Kind::Assembler => Some(false),
            Kind::Cxx => Some(true),
            Kind::Header => None,
        };
        Reader {
            macros: Macros { defined, passed, is_cxx },
            are_macros_known,
            facts: FileFacts::default(),
            conditions: Vec::new(),
            braces: Vec::new(),
        }
    }

    fn is_compiled(&self) -> Truth {
        self.conditions.iter().fold(Truth::Yes, |all, condition| all.and(condition.now))
    }

    fn main(&mut self, line: u32) {
        let is_compiled = self.is_compiled();
        // Of several the one that is most surely compiled.
        let better = self.facts.main.is_none_or(|(_, before)| before < is_compiled);
        if is_compiled != Truth::No && better {
            self.facts.main = Some((line, is_compiled));
        }
    }

    fn directive(&mut self, text: &str, line: u32, rest: &[(Token, u32)]) {
        let (word, rest_of_line) = split_word(text);
        if matches!(word, "if" | "ifdef" | "ifndef" | "elif" | "elifdef" | "elifndef") {
            self.note_passed(rest_of_line);
        }
        match word {
            "if" => self.open(self.macros.value_of(rest_of_line)),
            "ifdef" => self.open(self.macros.is_defined(split_word(rest_of_line).0)),
            "ifndef" => {
                let name = split_word(rest_of_line).0;
                // The guard of a header, or a default: it holds at first.
                let is_defined_here = matches!(rest.first(), Some((Token::Directive(next), _))
                    if split_word(next).0 == "define" && split_word(split_word(next).1).0 == name);
                self.open(if is_defined_here { Truth::Yes } else { self.macros.is_defined(name).not() });
            }
            "elif" => self.branch(self.macros.value_of(rest_of_line)),
            "elifdef" => self.branch(self.macros.is_defined(split_word(rest_of_line).0)),
            "elifndef" => self.branch(self.macros.is_defined(split_word(rest_of_line).0).not()),
            "else" => self.branch(Truth::Yes),
            "endif" => drop(self.conditions.pop()),
            "define" => {
                let name = split_word(rest_of_line).0;
                if !name.is_empty() && (!self.are_macros_known || self.is_compiled() != Truth::No) {
                    self.facts.defined.insert(name.to_owned());
                    let value = &rest_of_line[name.len()..];
                    if file_name(value.trim()).is_some() {
                        self.facts.named.push((name.to_owned(), value.trim().to_owned()));
                    }
                }
            }
            // `#import` is an extension of GCC: an include that happens once.
            "include" | "import" => self.include(rest_of_line, line),
            _ => {}
        }
    }

    /// Records the macros of a condition that the build passes: taut has to pass them, too.
    fn note_passed(&mut self, condition: &str) {
        for name in condition.split(|c: char| !c.is_alphanumeric() && c != '_') {
            let pair = (name.to_owned(), "1".to_owned());
            if self.macros.passed.contains(name) && !self.facts.passed.contains(&pair) {
                self.facts.passed.push(pair);
            }
        }
    }

    fn open(&mut self, now: Truth) {
        self.conditions.push(Condition { now, before: Truth::No, braces: self.braces.len() });
    }

    /// The next branch of the innermost `#if`.
    // A branch is compiled only if no earlier one is: `#else` holds if none of them does.
    fn branch(&mut self, holds: Truth) {
        if let Some(condition) = self.conditions.last_mut() {
            condition.before = condition.before.or(condition.now);
            condition.now = condition.before.not().and(holds);
            // Each branch is a complete alternative, so it begins with the braces that were open before the first.
            self.braces.truncate(condition.braces);
        }
    }

    fn include(&mut self, text: &str, line: u32) {
        let is_compiled = self.is_compiled();
        match file_name(text) {
            Some((spelled, is_quoted)) => {
                self.facts.includes.push(Include { spelled, is_quoted, line, is_compiled })
            }
            None if is_compiled != Truth::No => {
                self.facts.computed.push((line, split_word(text).0.to_owned()))
            }
            None => {}
        }
    }
}

/// What is between quotes or angle brackets, and whether these are quotes.
fn file_name(text: &str) -> Option<(String, bool)> {
    let (is_quoted, end) = match text.chars().next() {
        Some('"') => (true, '"'),
        Some('<') => (false, '>'),
        _ => return None,
    };
    let spelled = text[1..].split_once(end)?.0.trim();
    (!spelled.is_empty()).then(|| (spelled.to_owned(), is_quoted))
}

/// The first word, and what is behind it.
fn split_word(text: &str) -> (&str, &str) {
    let text = text.trim_start();
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    (&text[..end], text[end..].trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(text: &str) -> FileFacts {
        of_text(text.as_bytes(), Kind::C, Some(&BTreeSet::from(["HAVE_X".to_owned()])), &BTreeSet::new())
    }

    fn main_of(text: &str) -> Option<Truth> {
        facts(text).main.map(|(_, truth)| truth)
    }

    #[test]
    fn main_is_found_where_it_is_defined() {
        for text in [
            "int main(void) { return 0; }",
            "int\nmain(int argc, char **argv)\n{",
            "main(argc, argv) int argc; char **argv; {",
            "extern \"C\" {\nint main() {}\n}",
            "auto main() -> int { }",
            "#if A\nint f(int a) {\n#else\nint f(void) {\n#endif\n}\nint main() {}",
            "#ifdef _WIN32\nint wmain() {}\n#else\nint main() {}\n#endif",
            "#if !defined(NO_MAIN)\nint main() {}\n#endif",
        ] {
            assert_eq!(main_of(text), Some(Truth::Yes), "{text}");
        }
    }

    #[test]
    fn what_only_looks_like_main_is_none() {
        for text in [
            "// int main() {}",
            "const char *s = \"int main() {}\";",
            "int main(int, char **);\nint f(void) {}",
            "void f(void) { main(); }",
            "int A::main() {}",
            "#if 0\nint main() {}\n#endif",
            "#ifdef TEST_MAIN\nint main() {}\n#endif",
            "#define MAIN int main() {}",
            "int main_loop() {}",
            "int x = main",
            "",
        ] {
            assert_eq!(main_of(text), None, "{text}");
        }
        assert_eq!(main_of("#ifdef HAVE_X\nint main() {}\n#endif"), Some(Truth::Perhaps));
    }

    #[test]
    fn functions_for_others_are_those_that_are_surely_defined() {
        let text = "int a(void) { return c(1); }\nstatic int b(int x) { if (x) { } return x; }\nint c(int (*f)(int));\n\
                    #ifdef HAVE_X\nint d(void) { }\n#endif\nchar *\ne(const char *s)\n{\n}\nTEST(name) { f(); }\n\
                    static inline int\ng(void) { }\nint h = 1, i[] = { sizeof(int) };\nint j(void) { }";
        let functions = facts(text).functions;
        assert_eq!(functions.iter().map(String::as_str).collect::<Vec<_>>(), ["a", "e", "j"]);
    }

    #[test]
    fn names_of_files_that_macros_stand_for_are_known() {
        let facts = facts("#define A \"a.h\"\n#define B <b.h> // c\n#define C 1\n#define D(x) \"d.h\"\n");
        let named: Vec<_> = facts.named.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(named, [("A", "\"a.h\""), ("B", "<b.h>")]);
    }

    #[test]
    fn includes_have_their_condition() {
        let text = "#ifndef A_H\n#define A_H\n#include <a.h>\n#if HAVE_X\n# include \"b.h\"\n#elif 1\n#include \"c.h\"\n\
                    #endif\n#ifdef _WIN32\n#include <windows.h>\n#endif\n#include MACRO\n#endif";
        let facts = facts(text);
        let all: Vec<_> = facts
            .includes
            .iter()
            .map(|include| (include.spelled.as_str(), include.is_quoted, include.line, include.is_compiled))
            .collect();
        let expected = [
            ("a.h", false, 3, Truth::Yes),
            ("b.h", true, 5, Truth::Perhaps),
            ("c.h", true, 7, Truth::Perhaps),
            ("windows.h", false, 10, Truth::No),
        ];
        assert_eq!(
            (all.as_slice(), facts.computed.as_slice()),
            (&expected[..], &[(12, "MACRO".to_owned())][..])
        );
    }
}
