//! The lexer: directives, words and punctuation of a text in C or C++.
//!
//! Comments and the contents of strings, character constants and raw strings are left out, so nothing in them is taken
//! for code. It accepts any bytes: what is not closed ends with the text.

/// A part of the text that matters here.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Token {
    /// A line that begins with `#`: what is behind that, without comments, with continued lines joined.
    Directive(String),
    /// An identifier, keyword or number.
    Word(String),
    /// A string or character constant.
    Constant,
    /// Any other byte.
    Mark(u8),
}

/// All tokens, each with its line, counted from 1.
// A lexer, not a parser: macros decide what C and C++ mean, and they are not expanded here.
pub(crate) fn tokens(text: &[u8]) -> Vec<(Token, u32)> {
    let mut lexer = Lexer { text, at: 0, line: 1, is_line_start: true };
    let mut all = Vec::new();
    while let Some(token) = lexer.next() {
        all.push(token);
    }
    all
}

// By bytes, not characters: sources need not be UTF-8, and all that matters here is ASCII.
struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    line: u32,
    /// Whether nothing but space and comments was seen in this line.
    is_line_start: bool,
}

fn is_word(byte: u8) -> bool {
    // `$` is a GNU extension; other bytes may be part of a letter in UTF-8.
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'$' || byte >= 0x80
}

impl Lexer<'_> {
    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// The next byte; a line that is continued goes on without a break.
    fn bump(&mut self) -> Option<u8> {
        // Lines are joined before anything else is recognised (phase 2 of translation in the C standard), so a comment,
        // a word or a directive may go on in the next line. Only raw strings are not joined, which do not pass here.
        while self.peek(0) == Some(b'\\') {
            let length = match (self.peek(1), self.peek(2)) {
                (Some(b'\n'), _) => 2,
                (Some(b'\r'), Some(b'\n')) => 3,
                _ => break,
            };
            self.at += length;
            self.line += 1;
        }
        let byte = self.peek(0)?;
        self.at += 1;
        if byte == b'\n' {
            self.line += 1;
        }
        Some(byte)
    }

    fn next(&mut self) -> Option<(Token, u32)> {
        loop {
            if self.skip_comment() {
                continue;
            }
            let line = self.line;
            let byte = self.bump()?;
            let was_line_start = self.is_line_start;
            match byte {
                b'\n' => self.is_line_start = true,
                // 0x0b and 0x0c: vertical tab and form feed.
                b' ' | b'\t' | b'\r' | 0x0b | 0x0c => {}
                b'#' if was_line_start => return Some((Token::Directive(self.directive()), line)),
                _ => {
                    self.is_line_start = false;
                    return Some((self.token(byte), line));
                }
            }
        }
    }

    fn token(&mut self, first: u8) -> Token {
        if first == b'"' || first == b'\'' {
            self.skip_constant(first);
            return Token::Constant;
        }
        if !is_word(first) {
            return Token::Mark(first);
        }
        let is_number = first.is_ascii_digit();
        let mut word = vec![first];
        while let Some(byte) = self.peek(0) {
            // 1'000 is one number.
            let separates = is_number && byte == b'\'' && self.peek(1).is_some_and(is_word);
            let is_part = is_word(byte) || separates || is_number && byte == b'.';
            if !is_part {
                break;
            }
            word.push(byte);
            self.at += 1;
        }
        // The prefixes of raw strings in C++; in C such a word in front of a string is a macro, which hardly any
        // project has.
        if self.peek(0) == Some(b'"') && [&b"R"[..], b"LR", b"uR", b"UR", b"u8R"].contains(&word.as_slice()) {
            self.skip_raw();
            return Token::Constant;
        }
        Token::Word(String::from_utf8_lossy(&word).into_owned())
    }

    /// Passes a comment if one begins here.
    fn skip_comment(&mut self) -> bool {
        match (self.peek(0), self.peek(1)) {
            (Some(b'/'), Some(b'/')) => {
                self.at += 2;
                while self.peek(0).is_some_and(|byte| byte != b'\n') {
                    self.bump();
                }
                true
            }
            (Some(b'/'), Some(b'*')) => {
                self.at += 2;
                let mut before = 0;
                while let Some(byte) = self.bump() {
                    if before == b'*' && byte == b'/' {
                        break;
                    }
                    before = byte;
                }
                true
            }
            _ => false,
        }
    }

    /// Passes the rest of a constant that began with this quote. It ends with its line, closed or not.
    fn skip_constant(&mut self, quote: u8) {
        while self.peek(0).is_some_and(|byte| byte != b'\n') {
            match self.bump() {
                // The escaped byte may be the quote. Not past the end of the line, where a constant that is not closed
                // ends.
                Some(b'\\') if self.peek(0).is_some_and(|byte| byte != b'\n') => drop(self.bump()),
                Some(byte) if byte == quote => return,
                _ => {}
            }
        }
    }

    /// Passes `"delimiter(...)delimiter"`.
    fn skip_raw(&mut self) {
        self.at += 1;
        let rest = &self.text[self.at..];
        // The delimiter has at most 16 characters by the C++ standard. Text without one is not a raw string.
        let Some(open) = rest.iter().take(20).position(|byte| *byte == b'(') else {
            return self.skip_constant(b'"');
        };
        let end = [b")", &rest[..open], b"\""].concat();
        let length =
            rest.windows(end.len()).position(|part| part == end).map_or(rest.len(), |at| at + end.len());
        self.line += rest[..length].iter().filter(|byte| **byte == b'\n').count() as u32;
        self.at += length;
    }

    /// The rest of a line. Constants in it are kept, since they may be what is included.
    fn directive(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            if self.skip_comment() {
                text.push(b' ');
                continue;
            }
            match self.peek(0) {
                None | Some(b'\n') => break,
                Some(quote @ (b'"' | b'\'')) => {
                    let start = self.at;
                    self.at += 1;
                    self.skip_constant(quote);
                    text.extend(&self.text[start..self.at]);
                }
                Some(_) => text.extend(self.bump()),
            }
        }
        String::from_utf8_lossy(&text).trim().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        let token = |(token, line): (Token, u32)| match token {
            Token::Directive(text) => format!("{line}#{text}"),
            Token::Word(word) => format!("{line}:{word}"),
            Token::Constant => format!("{line}:''"),
            Token::Mark(byte) => format!("{line}:{}", byte as char),
        };
        tokens(text.as_bytes()).into_iter().map(token).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_constants_hide_what_is_in_them() {
        for (text, expected) in [
            ("a // b\n/* c\n */ d", "1:a 3:d"),
            (r#"f("/* \" x", '"', 'y')"#, "1:f 1:( 1:'' 1:, 1:'' 1:, 1:'' 1:)"),
            ("R\"x(a\n\" )\" )x\" b", "1:'' 2:b"),
            ("1'000'000 'a' 0x1.8p3", "1:1'000'000 1:'' 1:0x1.8p3"),
            ("\"open\nb", "1:'' 2:b"),
            ("/* open", ""),
            ("// continued \\\nmain\nb", "3:b"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }

    #[test]
    fn directives_are_whole_lines_at_the_start_of_a_line() {
        for (text, expected) in [
            ("  # include \"a//b.h\" // c\nd", "1#include \"a//b.h\" 2:d"),
            ("#define M(x) \\\n  main(x) {\nb", "1#define M(x)   main(x) { 3:b"),
            ("/* c */ #if 1 /* d\n */ + 1\nx # y", "1#if 1   + 1 3:x 3:# 3:y"),
            ("#", "1#"),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
