//! The parser: one pass, with an explicit stack instead of recursion.

use std::{
    fmt,
    sync::{Arc, OnceLock},
};

use super::{
    Dialect, Document, Duplicate, Kind, Slot, Span,
    unusual_chars::{conflict_mark, unusual},
};

/// Why a file is not JSON.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct SyntaxError {
    /// The file's name in messages.
    pub label: Arc<str>,
    /// What is wrong, without the location.
    pub message: String,
    /// The part of the text without byte order mark (up to invalid UTF-8, in bytes).
    pub span: Span,
    /// Line of the span's start, from 1.
    pub line: u32,
    /// Column of the span's start in characters, from 1.
    pub column: u32,
    /// What can be done about it, if that is clear.
    pub help: Option<String>,
    /// The bracket that it is about, and its span.
    pub opened: Option<(String, Span)>,
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.label, self.line, self.column, self.message)
    }
}

impl std::error::Error for SyntaxError {}

/// Line and column, from 1, of an offset.
pub fn line_and_column(text: &str, offset: usize) -> (u32, u32) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.bytes().filter(|b| *b == b'\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (line as u32, before[start..].chars().count() as u32 + 1)
}

pub(super) fn parse(dialect: Dialect, label: Arc<str>, mut bytes: Vec<u8>) -> Result<Document, SyntaxError> {
    // A byte order mark, which some editors on Windows write; parsers may ignore it (RFC 8259, section 8.1).
    if bytes.starts_with(b"\xef\xbb\xbf") {
        bytes.drain(..3);
    }
    let failed = |text: &str, wrong: Wrong| {
        let Wrong { message, span, help, opened } = wrong;
        let (line, column) = line_and_column(text, span.start as usize);
        Err(SyntaxError { label: label.clone(), message, span, line, column, help, opened })
    };
    // Offsets and indices have 32 bits; half of that leaves room for sums of them.
    if bytes.len() > u32::MAX as usize / 2 {
        return failed("", Wrong::new("the file is larger than 2 GiB", span(0, 0)));
    }
    let text: Arc<str> = match String::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(error) => {
            let valid = error.utf8_error().valid_up_to();
            let text = std::str::from_utf8(&error.as_bytes()[..valid]).expect("checked");
            let byte = error.as_bytes()[valid];
            let wrong = Wrong::new(format!("the byte 0x{byte:02X} is not UTF-8"), span(valid, valid + 1));
            return failed(
                text,
                wrong.help("files are read as UTF-8; convert this one, for example with iconv"),
            );
        }
    };
    let mut parser = Parser {
        dialect,
        text: &text,
        at: 0,
        // Estimates from usual descriptions, which save most reallocations.
        tape: Vec::with_capacity(text.len() / 16 + 1),
        children: Vec::with_capacity(text.len() / 24 + 1),
        pending: Vec::new(),
        unescaped: Vec::new(),
        duplicates: Vec::new(),
    };
    match parser.document() {
        Ok(()) => {
            let Parser { mut tape, mut children, unescaped, mut duplicates, .. } = parser;
            // Documents are kept as long as their modules are analysed.
            tape.shrink_to_fit();
            children.shrink_to_fit();
            // Inner objects end before outer ones, so they were not found in the order of the file.
            duplicates.sort_by_key(|duplicate| duplicate.ignored);
            let text = text.clone();
            let children_in_text = OnceLock::new();
            Ok(Document { label, text, tape, children, children_in_text, unescaped, duplicates })
        }
        Err(wrong) => failed(&text, wrong),
    }
}

/// What is wrong, and the span.
struct Wrong {
    message: String,
    span: Span,
    help: Option<String>,
    opened: Option<(String, Span)>,
}

impl Wrong {
    fn new(message: impl Into<String>, span: Span) -> Wrong {
        Wrong { message: message.into(), span, help: None, opened: None }
    }

    fn help(mut self, help: impl Into<String>) -> Wrong {
        self.help = Some(help.into());
        self
    }
}

type Parsed<T> = Result<T, Wrong>;

struct Parser<'t> {
    dialect: Dialect,
    text: &'t str,
    at: usize,
    tape: Vec<Slot>,
    children: Vec<u32>,
    /// Children seen so far of the containers that are still open.
    // One list for all open containers: the children of the innermost one are its end.
    pending: Vec<u32>,
    unescaped: Vec<Box<str>>,
    duplicates: Vec<Duplicate>,
}

/// A container that is still open: its index on the tape, and how many children were pending when it was opened.
struct OpenContainer {
    index: u32,
    pending: usize,
}

impl Parser<'_> {
    fn document(&mut self) -> Parsed<()> {
        // The stack in place of recursion: how deep a file is nested is not bounded.
        let mut open: Vec<OpenContainer> = Vec::new();
        loop {
            // A value starts here.
            let container = self.value(&open)?;
            if let Some(kind) = container {
                let index = self.tape.len() as u32 - 1;
                open.push(OpenContainer { index, pending: self.pending.len() });
                if self.peek() != Some(closing(kind)) {
                    if kind == Kind::Object {
                        self.key("a key or }", &open)?;
                    }
                    // Before the value is read: its slot is the next one, whatever it contains.
                    self.pending.push(self.tape.len() as u32);
                    continue;
                }
            }
            // A value has ended, or an empty container is about to.
            loop {
                let Some(innermost) = open.last() else {
                    return match self.peek() {
                        None => Ok(()),
                        Some(_) => self.unexpected("the end of the file", &open),
                    };
                };
                let kind = self.tape[innermost.index as usize].kind;
                let list = kind == Kind::List;
                match self.peek() {
                    // A value came before: an empty container gets here only with its closing bracket next.
                    Some(b',') => {
                        self.at += 1;
                        if self.dialect.is_extended() && self.peek() == Some(closing(kind)) {
                            self.close(&mut open);
                            continue;
                        }
                        if !list {
                            self.key("a key", &open)?;
                        }
                        self.pending.push(self.tape.len() as u32);
                        break;
                    }
                    Some(byte) if byte == closing(kind) => self.close(&mut open),
                    _ if list => return self.unexpected("a comma or ]", &open),
                    _ => return self.unexpected("a comma or }", &open),
                }
            }
        }
    }

    /// Ends the innermost container: its children move to the table.
    fn close(&mut self, open: &mut Vec<OpenContainer>) {
        let OpenContainer { index, pending } = open.pop().expect("a container is open");
        self.at += 1;
        // Those of inner containers were moved before, so the children of each are contiguous.
        let start = self.children.len();
        let mut children = self.pending.split_off(pending);
        if self.tape[index as usize].kind == Kind::Object {
            // Already sorted keys, which generators usually write, cost one comparison each. Equal neighbours count as
            // unsorted.
            let key = |child: &u32| self.string_at(*child - 1);
            if !children.is_sorted_by(|a, b| key(a) < key(b)) {
                // The sort is stable, so of equal keys the last in the file is the last here; it is the one that
                // counts.
                children.sort_by(|a, b| key(a).cmp(key(b)));
                let mut unique: Vec<u32> = Vec::with_capacity(children.len());
                let mut found = Vec::new();
                for child in children {
                    if let Some(last) = unique.last_mut()
                        && key(last) == key(&child)
                    {
                        let span = |child: u32| self.tape[child as usize - 1].span;
                        found.push(Duplicate {
                            key: key(last).into(),
                            ignored: span(*last),
                            used: span(child),
                        });
                        *last = child;
                    } else {
                        unique.push(child);
                    }
                }
                self.duplicates.append(&mut found);
                children = unique;
            }
        }
        self.children.append(&mut children);
        let count = self.children.len() - start;
        let slot = &mut self.tape[index as usize];
        slot.payload = (start as u64) << 32 | count as u64;
        slot.span.end = self.at as u32;
    }

    fn string_at(&self, index: u32) -> &str {
        let slot = &self.tape[index as usize];
        match slot.payload {
            0 => &self.text[slot.span.start as usize + 1..slot.span.end as usize - 1],
            n => &self.unescaped[n as usize - 1],
        }
    }

    /// Skips white space and comments; returns the next byte. A comment that does not end is not skipped: nothing that
    /// is expected begins with a slash, so it is reported as unexpected.
    fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            self.at += match byte {
                b' ' | b'\t' | b'\n' | b'\r' => 1,
                b'/' => match self.dialect.comment(&self.text[self.at..]) {
                    Some(length) => length,
                    None => return Some(b'/'),
                },
                byte => return Some(*byte),
            };
        }
        None
    }

    fn push(&mut self, kind: Kind, start: usize, payload: u64) {
        let span = Span { start: start as u32, end: self.at as u32 };
        self.tape.push(Slot { kind, span, payload });
    }

    /// Reads an atom, or the opening bracket of a container, and returns the kind of the container.
    fn value(&mut self, open: &[OpenContainer]) -> Parsed<Option<Kind>> {
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'{' | b'[') => {
                self.at += 1;
                let kind = if first == Some(b'[') { Kind::List } else { Kind::Object };
                self.push(kind, start, 0);
                return Ok(Some(kind));
            }
            Some(b'"') => self.string()?,
            Some(b'-' | b'0'..=b'9') => self.number()?,
            Some(_) => {
                let rest = &self.text[start..];
                let words = [("null", Kind::Null, 0), ("true", Kind::Bool, 1), ("false", Kind::Bool, 0)];
                // What follows the word is judged as the next token: `nullx` fails there.
                let Some((word, kind, payload)) = words.into_iter().find(|(word, ..)| rest.starts_with(word))
                else {
                    return self.unexpected("a value", open);
                };
                self.at += word.len();
                self.push(kind, start, payload);
            }
            None => return self.unexpected("a value", open),
        }
        Ok(None)
    }

    fn key(&mut self, expected: &str, open: &[OpenContainer]) -> Parsed<()> {
        if self.peek() != Some(b'"') {
            return self.unexpected(expected, open);
        }
        self.string()?;
        if self.peek() != Some(b':') {
            return self.unexpected(": after the key", open);
        }
        self.at += 1;
        Ok(())
    }

    fn number(&mut self) -> Parsed<()> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |at: &mut usize| {
            let first = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at > first
        };
        let mut at = start + usize::from(bytes[start] == b'-');
        let mut integer = true;
        let mut good = match bytes.get(at) {
            Some(b'0') => {
                at += 1;
                true
            }
            _ => digits(&mut at),
        };
        if good && bytes.get(at) == Some(&b'.') {
            integer = false;
            at += 1;
            good = digits(&mut at);
        }
        if good && matches!(bytes.get(at), Some(b'e' | b'E')) {
            integer = false;
            at += 1;
            at += usize::from(matches!(bytes.get(at), Some(b'+' | b'-')));
            good = digits(&mut at);
        }
        let text = &self.text[start..at];
        let span = Span { start: start as u32, end: at as u32 };
        if !good {
            return Err(Wrong::new(format!("the number {text} is incomplete"), span));
        }
        // By the grammar two numbers without a comma in between; but one is what was meant.
        if matches!(text, "0" | "-0") && bytes.get(at).is_some_and(u8::is_ascii_digit) {
            let end = at + bytes[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
            let span = Span { start: start as u32, end: end as u32 };
            return Err(Wrong::new("a number cannot begin with 0 and another digit", span));
        }
        // Numbers of the description language are doubles; Rust rounds to the nearest one.
        let mut number: f64 = text.parse().expect("the grammar of numbers is a part of Rust's");
        if number.is_infinite() {
            return Err(Wrong::new(format!("the number {text} is too large"), span));
        }
        if integer && number == 0.0 {
            // Whole numbers have no negative zero.
            number = 0.0;
        }
        self.at = at;
        self.push(Kind::Number, start, number.to_bits());
        Ok(())
    }

    fn string(&mut self) -> Parsed<()> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start + 1;
        let mut unescaped: Option<String> = None;
        // The end of the text that was copied to `unescaped`.
        let mut copied = at;
        loop {
            match bytes.get(at) {
                None => {
                    // Marked up to the end of the line: the missing quote is usually there, and the rest may be the
                    // whole file.
                    let end = self.text[start..].find('\n').map_or(self.text.len(), |n| start + n);
                    return Err(Wrong::new("this string does not end", span(start, end)));
                }
                Some(b'"') => break,
                Some(b'\\') => {
                    let text = unescaped.get_or_insert_default();
                    text.push_str(&self.text[copied..at]);
                    let (c, length) = self.escape(at)?;
                    text.push(c);
                    at += length;
                    copied = at;
                }
                Some(byte) if *byte < 0x20 => {
                    return Err(match byte {
                        b'\n' | b'\r' => Wrong::new("this string does not end in its line", span(start, at))
                            .help("close it with \", or write a line break within it as \\n"),
                        b'\t' => {
                            Wrong::new("a tab within a string", span(at, at + 1)).help("write it as \\t")
                        }
                        _ => Wrong::new(
                            format!("control character U+{byte:04X} within a string"),
                            span(at, at + 1),
                        )
                        .help(format!("write it as \\u{byte:04x}")),
                    });
                }
                Some(_) => at += 1,
            }
        }
        // Zero means no escapes: the text is a slice of the file.
        let payload = match unescaped {
            None => 0,
            Some(mut text) => {
                text.push_str(&self.text[copied..at]);
                self.unescaped.push(text.into());
                self.unescaped.len() as u64
            }
        };
        self.at = at + 1;
        self.push(Kind::String, start, payload);
        Ok(())
    }

    /// The character of the escape at `at`, and the length of the escape.
    fn escape(&self, at: usize) -> Parsed<(char, usize)> {
        let bytes = self.text.as_bytes();
        let c = match bytes.get(at + 1) {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let first = self.code_unit(at)?;
                let lone = || {
                    Err(Wrong::new("half a surrogate pair is not a character", span(at, at + 6))
                        .help("characters above U+FFFF are written as two escapes, or directly"))
                };
                return match first {
                    // Only a pair of surrogates is a character; `char::from_u32` refuses each half.
                    0xd800..=0xdbff if bytes[at + 6..].starts_with(b"\\u") => match self.code_unit(at + 6)? {
                        second @ 0xdc00..=0xdfff => {
                            // UTF-16 (RFC 8259, section 7): ten bits of each half above 0x10000.
                            let code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
                            Ok((char::from_u32(code).expect("a pair of surrogates"), 12))
                        }
                        _ => lone(),
                    },
                    _ => match char::from_u32(first) {
                        Some(c) => Ok((c, 6)),
                        None => lone(),
                    },
                };
            }
            _ => {
                let end = self.text.ceil_char_boundary((at + 2).min(self.text.len()));
                let unusual_char = self.text[at + 1..end].chars().next().and_then(unusual);
                let shown = unusual_char
                    .map_or_else(|| self.text[at..end].to_owned(), |(shown, _)| format!("\\ and {shown}"));
                let wrong = Wrong::new(format!("unknown escape {shown}"), span(at, end));
                return Err(wrong.help("a backslash itself is written as \\\\"));
            }
        };
        Ok((c, 2))
    }

    fn code_unit(&self, at: usize) -> Parsed<u32> {
        let digits = self.text.as_bytes().get(at + 2..at + 6).unwrap_or_default();
        if digits.len() == 4 && digits.iter().all(u8::is_ascii_hexdigit) {
            let digits = std::str::from_utf8(digits).expect("hexadecimal digits");
            return Ok(u32::from_str_radix(digits, 16).expect("hexadecimal digits"));
        }
        let end = self.text.ceil_char_boundary((at + 2).min(self.text.len()));
        Err(Wrong::new("\\u needs four hexadecimal digits", span(at, end)))
    }

    /// Reports the next token, or the end of the file, where `expected` was expected.
    fn unexpected<T>(&mut self, expected: &str, open: &[OpenContainer]) -> Parsed<T> {
        self.peek();
        let rest = &self.text[self.at..];
        let innermost = open.last().map(|open| self.tape[open.index as usize].span.start as usize);
        let bracket = innermost.map(|at| &self.text[at..at + 1]).unwrap_or_default();
        // At the end of the file the bracket that is open is the better place for the error.
        let Some(first) = rest.chars().next() else {
            let end = span(self.at, self.at);
            return Err(match innermost {
                None => Wrong::new("the file is empty", end).help("a file without entries holds {}"),
                Some(at) => Wrong {
                    opened: Some(("the file ends here".to_owned(), end)),
                    ..Wrong::new(format!("this {bracket} is never closed"), span(at, at + 1))
                },
            });
        };
        let is_at_line_start = self.at == 0 || self.text[..self.at].ends_with('\n');
        if let Some(mark) = conflict_mark(rest).filter(|_| is_at_line_start) {
            let here = span(self.at, self.at + mark.len());
            return Err(Wrong::new(format!("expected {expected}, found the conflict mark {mark}"), here)
                .help("a merge left its conflicts here: choose between the sides and remove the marks"));
        }
        if self.dialect.is_extended() && rest.starts_with("/*") {
            let here = span(self.at, self.at + 2);
            return Err(Wrong::new("this comment does not end", here).help("close it with */"));
        }
        if let Some((shown, help)) = unusual(first) {
            let here = span(self.at, self.at + first.len_utf8());
            return Err(Wrong::new(format!("expected {expected}, found {shown}"), here).help(help));
        }
        let word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-' | '$');
        let length = match first {
            '"' => 1 + rest[1..].find(['"', '\n']).map_or(rest.len() - 1, |n| n + 1),
            '\'' => 1 + rest[1..].find(['\'', '\n']).map_or(rest.len() - 1, |n| n + 1),
            '/' if rest.starts_with("//") || rest.starts_with("/*") => 2,
            c if word(&c) => rest.chars().take_while(word).map(char::len_utf8).sum(),
            c => c.len_utf8(),
        };
        let mut shown: String = rest[..length].chars().take(40).collect();
        if shown.len() < length {
            shown.push('…');
        }
        let here = span(self.at, self.at + length);
        let before = self.text[..self.at].trim_end();
        // The comma is marked, not the bracket: it is what has to go.
        if matches!(first, ']' | '}') && before.ends_with(',') && !self.dialect.is_extended() {
            let comma = span(before.len() - 1, before.len());
            return Err(Wrong::new(format!("a comma before the closing {first}"), comma)
                .help("JSON has no trailing commas; remove it"));
        }
        let wrong = Wrong::new(format!("expected {expected}, found {shown}"), here);
        let needs_comma = expected.starts_with("a comma");
        let is_other_bracket = matches!((bracket, first), ("[", '}') | ("{", ']'));
        Err(match first {
            '/' | '#' if self.dialect.is_extended() => {
                wrong.help("a comment begins with //, or is between /* and */")
            }
            '/' | '#' if length == 2 || first == '#' => {
                wrong.help("JSON has no comments; where documentation is wanted there are fields for it")
            }
            '\'' => wrong.help("strings are written in double quotes"),
            ']' | '}' | ':' if innermost.is_some() && (needs_comma || is_other_bracket) => Wrong {
                opened: innermost.map(|at| (format!("this {bracket} is open"), span(at, at + 1))),
                ..wrong
            },
            c if expected.starts_with("a key") && word(&c) => {
                wrong.help(format!("keys are strings: \"{shown}\""))
            }
            _ if expected.starts_with(": after") => wrong.help("an entry is written as \"key\": value"),
            '"' | '{' | '[' | '0'..='9' | 't' | 'f' | 'n' if needs_comma => {
                wrong.help("entries are separated by commas; is one missing before this?")
            }
            c if expected == "a value" && word(&c) => match &*shown.to_ascii_lowercase() {
                word @ ("true" | "false" | "null") => wrong.help(format!("it is written as {word}")),
                "none" | "nil" | "undefined" => wrong.help("it is written as null"),
                _ => wrong.help(format!("text is written in double quotes: \"{shown}\"")),
            },
            _ => wrong,
        })
    }
}

fn closing(kind: Kind) -> u8 {
    if kind == Kind::List { b']' } else { b'}' }
}

fn span(start: usize, end: usize) -> Span {
    Span { start: start as u32, end: end as u32 }
}
