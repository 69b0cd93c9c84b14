//! The reference's messages about text that is not JSON.
//!
//! The reference uses a library. Its messages name the token at which it stops, the expected token, and the text since
//! the beginning of the latest string or number. This follows the same grammar token by token for the message only;
//! [`super::Document`] decides what is JSON.

use super::Kind;

/// What a token is.
#[derive(Clone, Copy, PartialEq)]
enum Token {
    Literal(&'static str),
    String,
    Number,
    BeginArray,
    EndArray,
    BeginObject,
    EndObject,
    Colon,
    Comma,
    Invalid,
    End,
}

impl Token {
    // The names of `token_type_name` in the library.
    fn name(self) -> &'static str {
        match self {
            Token::Literal("true") => "true literal",
            Token::Literal("false") => "false literal",
            Token::Literal(_) => "null literal",
            Token::String => "string literal",
            Token::Number => "number literal",
            Token::BeginArray => "'['",
            Token::EndArray => "']'",
            Token::BeginObject => "'{'",
            Token::EndObject => "'}'",
            Token::Colon => "':'",
            Token::Comma => "','",
            Token::Invalid => "<parse error>",
            Token::End => "end of input",
        }
    }
}

/// What may begin a value.
const VALUE: &str = "'[', '{', or a literal";

struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    /// The latest byte; `None` at the end.
    current: Option<u8>,
    // One byte of a token may be given back: the end of a number is known only by what follows.
    is_again: bool,
    read: usize,
    column: usize,
    lines: usize,
    /// What was read since the beginning of the latest string or number.
    seen: Vec<u8>,
    error: String,
}

const NO_UTF8: &str = "invalid string: ill-formed UTF-8 byte";

impl Lexer<'_> {
    // Bytes, lines and columns are counted as in the library (nlohmann/json, `lexer::get`): its messages have them.
    fn get(&mut self) -> Option<u8> {
        // Also at the end and for a byte that was given back: the library counts calls, and the
        // positions in its messages follow from that.
        self.read += 1;
        self.column += 1;
        if !std::mem::take(&mut self.is_again) {
            self.current = self.text.get(self.at).copied();
            self.at += 1;
        }
        self.seen.extend(self.current);
        if self.current == Some(b'\n') {
            self.lines += 1;
            self.column = 0;
        }
        self.current
    }

    fn unget(&mut self) {
        self.is_again = true;
        self.read -= 1;
        match self.column {
            // The column before the line feed is lost, as in the library.
            0 => self.lines = self.lines.saturating_sub(1),
            _ => self.column -= 1,
        }
        if self.current.is_some() {
            self.seen.pop();
        }
    }

    fn invalid(&mut self, why: impl Into<String>) -> Token {
        self.error = why.into();
        Token::Invalid
    }

    fn token(&mut self) -> Token {
        // A byte order mark is skipped only at the very beginning, as in the library (`skip_bom`).
        if self.read == 0 {
            match self.get() {
                Some(0xEF) if self.get() == Some(0xBB) && self.get() == Some(0xBF) => {}
                Some(0xEF) => return self.invalid("invalid BOM; must be 0xEF 0xBB 0xBF if given"),
                _ => self.unget(),
            }
        }
        while matches!(self.get(), Some(b' ' | b'\t' | b'\n' | b'\r')) {}
        match self.current {
            Some(b'[') => Token::BeginArray,
            Some(b']') => Token::EndArray,
            Some(b'{') => Token::BeginObject,
            Some(b'}') => Token::EndObject,
            Some(b':') => Token::Colon,
            Some(b',') => Token::Comma,
            Some(b't') => self.literal("true"),
            Some(b'f') => self.literal("false"),
            Some(b'n') => self.literal("null"),
            Some(b'"') => self.string(),
            Some(b'-' | b'0'..=b'9') => self.number(),
            // The reference's parser takes a zero byte for the end of the text.
            None | Some(0) => Token::End,
            Some(_) => self.invalid("invalid literal"),
        }
    }

    fn literal(&mut self, word: &'static str) -> Token {
        for byte in word.bytes().skip(1) {
            // The byte that differs was read, too, so the message shows it.
            if self.get() != Some(byte) {
                return self.invalid("invalid literal");
            }
        }
        Token::Literal(word)
    }

    fn restart(&mut self) {
        self.seen.clear();
        self.seen.extend(self.current);
    }

    fn string(&mut self) -> Token {
        self.restart();
        loop {
            // The ranges of RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
            let trail: &[(u8, u8)] = match self.get() {
                None => return self.invalid("invalid string: missing closing quote"),
                Some(b'"') => return Token::String,
                Some(b'\\') => match self.escape() {
                    Ok(()) => &[],
                    Err(why) => return self.invalid(why),
                },
                Some(control @ 0..=0x1F) => return self.control(control),
                Some(0x20..=0x7F) => &[],
                Some(0xC2..=0xDF) => &[(0x80, 0xBF)],
                Some(0xE0) => &[(0xA0, 0xBF), (0x80, 0xBF)],
                Some(0xE1..=0xEC | 0xEE | 0xEF) => &[(0x80, 0xBF); 2],
                Some(0xED) => &[(0x80, 0x9F), (0x80, 0xBF)],
                Some(0xF0) => &[(0x90, 0xBF), (0x80, 0xBF), (0x80, 0xBF)],
                Some(0xF1..=0xF3) => &[(0x80, 0xBF); 3],
                Some(0xF4) => &[(0x80, 0x8F), (0x80, 0xBF), (0x80, 0xBF)],
                Some(_) => return self.invalid(NO_UTF8),
            };
            for (from, to) in trail {
                if !self.get().is_some_and(|byte| (*from..=*to).contains(&byte)) {
                    return self.invalid(NO_UTF8);
                }
            }
        }
    }

    fn control(&mut self, control: u8) -> Token {
        const NAMES: [&str; 32] = [
            "NUL", "SOH", "STX", "ETX", "EOT", "ENQ", "ACK", "BEL", "BS", "HT", "LF", "VT", "FF", "CR", "SO",
            "SI", "DLE", "DC1", "DC2", "DC3", "DC4", "NAK", "SYN", "ETB", "CAN", "EM", "SUB", "ESC", "FS",
            "GS", "RS", "US",
        ];
        // Only these five have a short escape in JSON (RFC 8259, 7).
        let short = match control {
            8 => " or \\b",
            9 => " or \\t",
            10 => " or \\n",
            12 => " or \\f",
            13 => " or \\r",
            _ => "",
        };
        let name = NAMES[usize::from(control)];
        self.invalid(format!(
            "invalid string: control character U+{control:04X} ({name}) must be escaped to \\u{control:04X}{short}"
        ))
    }

    fn escape(&mut self) -> Result<(), &'static str> {
        const NO_DIGITS: &str = "invalid string: '\\u' must be followed by 4 hex digits";
        const NO_SECOND: &str = "invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF";
        match self.get() {
            Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(()),
            Some(b'u') => match self.code().ok_or(NO_DIGITS)? {
                0xD800..=0xDBFF => {
                    if self.get() != Some(b'\\') || self.get() != Some(b'u') {
                        return Err(NO_SECOND);
                    }
                    match self.code().ok_or(NO_DIGITS)? {
                        0xDC00..=0xDFFF => Ok(()),
                        _ => Err(NO_SECOND),
                    }
                }
                0xDC00..=0xDFFF => Err("invalid string: surrogate U+DC00..U+DFFF must follow U+D800..U+DBFF"),
                _ => Ok(()),
            },
            _ => Err("invalid string: forbidden character after backslash"),
        }
    }

    fn code(&mut self) -> Option<u32> {
        let mut code = 0;
        for _ in 0..4 {
            code = code * 16 + char::from(self.get()?).to_digit(16)?;
        }
        Some(code)
    }

    fn digits(&mut self) {
        while matches!(self.get(), Some(b'0'..=b'9')) {}
    }

    fn number(&mut self) -> Token {
        self.restart();
        if self.current == Some(b'-') && !matches!(self.get(), Some(b'0'..=b'9')) {
            return self.invalid("invalid number; expected digit after '-'");
        }
        match self.current {
            // A number does not continue after a leading zero: `01` is the number 0, followed by
            // another token.
            Some(b'0') => _ = self.get(),
            _ => self.digits(),
        }
        if self.current == Some(b'.') {
            if !matches!(self.get(), Some(b'0'..=b'9')) {
                return self.invalid("invalid number; expected digit after '.'");
            }
            self.digits();
        }
        if matches!(self.current, Some(b'e' | b'E')) {
            match self.get() {
                Some(b'+' | b'-') => {
                    if !matches!(self.get(), Some(b'0'..=b'9')) {
                        return self.invalid("invalid number; expected digit after exponent sign");
                    }
                }
                Some(b'0'..=b'9') => {}
                _ => return self.invalid("invalid number; expected '+', '-', or digit after exponent"),
            }
            self.digits();
        }
        self.unget();
        Token::Number
    }

    /// What was read, with control characters by their numbers.
    fn shown(&self) -> String {
        let mut out: Vec<u8> = Vec::new();
        for byte in &self.seen {
            match byte {
                // As the library shows them (`get_token_string`).
                0..=0x1F => out.extend(format!("<U+{byte:04X}>").bytes()),
                byte => out.push(*byte),
            }
        }
        String::from_utf8_lossy(&out).into_owned()
    }

    fn wrong(&self, token: Token, context: &str, expected: &str) -> String {
        let mut text = format!("syntax error while parsing {context} - ");
        text += &match token {
            Token::Invalid => format!("{}; last read: '{}'", self.error, self.shown()),
            token => format!("unexpected {}", token.name()),
        };
        // The grammar of `exception_message` in the library: context, what is wrong, what was last
        // read, what was expected.
        if !expected.is_empty() {
            text += &format!("; expected {expected}");
        }
        self.at_position(&text)
    }

    fn at_position(&self, text: &str) -> String {
        let (line, column) = (self.lines + 1, self.column);
        format!("[json.exception.parse_error.101] parse error at line {line}, column {column}: {text}")
    }

    /// A key and the colon behind it; the token before the key is given.
    fn key(&mut self, token: Token) -> Result<(), String> {
        if token != Token::String {
            return Err(self.wrong(token, "object key", Token::String.name()));
        }
        match self.token() {
            Token::Colon => Ok(()),
            token => Err(self.wrong(token, "object separator", Token::Colon.name())),
        }
    }

    fn parse(&mut self) -> Result<(), String> {
        // Whether each open container is a list.
        // A stack of its own in place of recursion, as in the library: depth is bounded by memory only.
        let mut open: Vec<bool> = Vec::new();
        let mut token = self.token();
        loop {
            match token {
                Token::BeginObject => {
                    let first = self.token();
                    if first != Token::EndObject {
                        // An empty object has no key, so the first token decides.
                        self.key(first)?;
                        open.push(false);
                        token = self.token();
                        continue;
                    }
                }
                Token::BeginArray => {
                    token = self.token();
                    if token != Token::EndArray {
                        open.push(true);
                        continue;
                    }
                }
                Token::Number => {
                    let text = self.shown();
                    // The reference's library checks the range after the token, so this error has no position.
                    if text.parse::<f64>().is_ok_and(f64::is_infinite) {
                        let text = format!("number overflow parsing '{text}'");
                        return Err(format!("[json.exception.out_of_range.406] {text}"));
                    }
                }
                Token::Literal(_) | Token::String => {}
                Token::Invalid => return Err(self.wrong(token, "value", "")),
                // The first read was already the end: this text has a message of its own.
                Token::End if self.read == 1 => {
                    let help = "check that your input string or stream contains the expected JSON";
                    return Err(self.at_position(&format!("attempting to parse an empty input; {help}")));
                }
                _ => return Err(self.wrong(token, "value", VALUE)),
            }
            loop {
                let Some(is_list) = open.last().copied() else {
                    return match self.token() {
                        Token::End => Ok(()),
                        token => Err(self.wrong(token, "value", Token::End.name())),
                    };
                };
                let (end, context) =
                    if is_list { (Token::EndArray, "array") } else { (Token::EndObject, "object") };
                let next = self.token();
                if next == Token::Comma {
                    token = self.token();
                    if !is_list {
                        self.key(token)?;
                        token = self.token();
                    }
                    break;
                }
                if next != end {
                    return Err(self.wrong(next, context, end.name()));
                }
                open.pop();
            }
        }
    }
}

/// The message about a text that is not JSON; empty if its parser accepts the text.
pub fn reference_error(text: &[u8]) -> String {
    let mut lexer = Lexer {
        text,
        at: 0,
        current: None,
        is_again: false,
        read: 0,
        column: 0,
        lines: 0,
        seen: Vec::new(),
        error: String::new(),
    };
    lexer.parse().err().unwrap_or_default()
}

/// What that library calls a kind of value in its errors about types.
pub fn reference_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Null => "null",
        Kind::Bool => "boolean",
        Kind::Number => "number",
        Kind::String => "string",
        Kind::List => "array",
        Kind::Object => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::reference_error;

    /// The expected texts are those of just 1.6.5.
    #[test]
    fn texts_that_are_no_json_have_the_messages_of_the_reference() {
        for (text, at, message) in [
            (
                "",
                (1, 1),
                "attempting to parse an empty input; check that your input string or stream contains the expected JSON",
            ),
            (
                "{\"A\": }",
                (1, 7),
                "syntax error while parsing value - unexpected '}'; expected '[', '{', or a literal",
            ),
            ("A=1", (1, 1), "syntax error while parsing value - invalid literal; last read: 'A'"),
            (
                "{DEBUG:1}",
                (1, 2),
                "syntax error while parsing object key - invalid literal; last read: '{D'; expected string literal",
            ),
            ("[01]", (1, 3), "syntax error while parsing array - unexpected number literal; expected ']'"),
            (
                "{\"a\": 1\n",
                (2, 1),
                "syntax error while parsing object - unexpected end of input; expected '}'",
            ),
        ] {
            let (line, column) = at;
            let expected = format!(
                "[json.exception.parse_error.101] parse error at line {line}, column {column}: {message}"
            );
            assert_eq!(reference_error(text.as_bytes()), expected, "{text}");
        }
        assert_eq!(reference_error(b"{\"a\": [1, -2.5e3, true, null, \"\\u00e4\"]}"), "");
    }
}
