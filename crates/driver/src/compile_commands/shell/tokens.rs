//! The words and operators of a shell script, before expansion. Redirections, comments and the texts behind `<<` are
//! not part of a command, and are left out.

/// A part of a word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Piece {
    Text {
        text: String,
        is_quoted: bool,
    },
    Variable {
        name: String,
        change: Change,
        is_quoted: bool,
    },
    /// `$@`, `$*`.
    Arguments {
        is_quoted: bool,
    },
    /// What only a shell that runs can know.
    Unknown,
}

impl Piece {
    /// Whether blanks in it divide a word.
    pub(super) fn is_split(&self) -> bool {
        matches!(self, Piece::Variable { is_quoted: false, .. } | Piece::Arguments { is_quoted: false })
    }

    pub(super) fn is_pattern(&self) -> bool {
        matches!(self, Piece::Text { text, is_quoted: false } if text.contains(['*', '?']))
    }
}

/// What is done with the text of a variable.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Change {
    Nothing,
    /// `${x:-text}`.
    Default(String),
    /// `${x%text}`.
    WithoutEnd(String),
    /// `${x#text}`.
    WithoutBegin(String),
    /// `${x##*/}`.
    LastName,
}

impl Change {
    pub(super) fn apply(&self, value: Option<String>) -> Option<String> {
        // A variable without a known text stays unknown, also with a default: whether it is set is
        // not known, either.
        let value = value?;
        let changed = match self {
            Change::Nothing => None,
            Change::Default(text) => value.is_empty().then(|| text.clone()),
            Change::WithoutEnd(text) => value.strip_suffix(text.as_str()).map(str::to_owned),
            Change::WithoutBegin(text) => value.strip_prefix(text.as_str()).map(str::to_owned),
            Change::LastName => value.rsplit('/').next().map(str::to_owned),
        };
        Some(changed.unwrap_or(value))
    }
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Token {
    Word(Vec<Piece>),
    Operator(&'static str),
}

impl Token {
    /// The text of a word without quotes and variables, as words of the language are.
    pub(super) fn plain(&self) -> Option<&str> {
        match self {
            Token::Word(pieces) => match &pieces[..] {
                [Piece::Text { text, is_quoted: false }] => Some(text),
                _ => None,
            },
            Token::Operator(_) => None,
        }
    }

    /// Name and value of `NAME=VALUE`.
    pub(super) fn assignment(&self) -> Option<(String, Vec<Piece>)> {
        let Token::Word(pieces) = self else { return None };
        let Some(Piece::Text { text, is_quoted: false }) = pieces.first() else { return None };
        let (name, value) = text.split_once('=')?;
        let is_name = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        // As if in quotes: patterns in the value of an assignment are not expanded (POSIX, 2.9.1).
        let first = Piece::Text { text: value.to_owned(), is_quoted: true };
        is_name.then(|| (name.to_owned(), [&[first], &pieces[1..]].concat()))
    }
}

/// The longest comes first.
const OPERATORS: [&str; 12] = [";;", "&&", "||", "|&", ";", "&", "|", "(", ")", "\n", "<", ">"];

/// All of a script. A quote that is never closed ends with the script.
pub(super) fn tokens(script: &str) -> Vec<Token> {
    let mut lexer = Lexer { rest: script, tokens: Vec::new(), texts: Vec::new() };
    while lexer.token() {}
    lexer.tokens
}

struct Lexer<'s> {
    rest: &'s str,
    tokens: Vec<Token>,
    /// The ends of the texts that begin in the next line.
    texts: Vec<String>,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let c = self.rest.chars().next()?;
        self.rest = &self.rest[c.len_utf8()..];
        Some(c)
    }

    fn eat(&mut self, text: &str) -> bool {
        match self.rest.strip_prefix(text) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Reads one; whether there was one.
    fn token(&mut self) -> bool {
        loop {
            if self.eat("\\\n") || self.eat(" ") || self.eat("\t") || self.eat("\r") {
                continue;
            }
            if self.rest.starts_with('#') {
                self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
            }
            break;
        }
        let Some(operator) = OPERATORS.iter().find(|operator| self.rest.starts_with(**operator)) else {
            if self.rest.is_empty() {
                return false;
            }
            let word = self.word();
            // The number of what is redirected is not a word, either.
            let is_number = matches!(&word[..], [Piece::Text { text, is_quoted: false }]
                if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()));
            // `2>file`: a number counts as one of a stream only without a blank behind it.
            if !(is_number && self.rest.starts_with(['<', '>'])) {
                self.tokens.push(Token::Word(word));
            }
            return true;
        };
        match *operator {
            "<" | ">" => self.redirection(),
            "&" if self.rest.starts_with("&>") => {
                self.eat("&");
                self.redirection();
            }
            operator => {
                self.eat(operator);
                self.tokens.push(Token::Operator(operator));
                if operator == "\n" {
                    self.skip_texts();
                }
            }
        }
        true
    }

    fn redirection(&mut self) {
        let is_text = self.rest.starts_with("<<") && !self.rest.starts_with("<<<");
        // All forms at once: `>>`, `>&`, `>|`, `<<-`, `<>`.
        while self.rest.starts_with(['<', '>', '&', '|', '-']) {
            self.next();
        }
        while self.eat(" ") || self.eat("\t") || self.eat("\\\n") {}
        if self.rest.starts_with('(') {
            // `<(…)`: read as a subshell behind the command.
            return;
        }
        let word = self.word();
        if is_text {
            let text = |piece: &Piece| match piece {
                Piece::Text { text, .. } => text.clone(),
                _ => String::new(),
            };
            self.texts.push(word.iter().map(text).collect());
        }
    }

    fn skip_texts(&mut self) {
        for end in std::mem::take(&mut self.texts) {
            while !self.rest.is_empty() {
                let (line, rest) = self.rest.split_once('\n').unwrap_or((self.rest, ""));
                self.rest = rest;
                // Of `<<-` tabs are not part of the line; for `<<` this is a little too generous, which ends a text
                // earlier at worst.
                if line.trim_start_matches('\t') == end {
                    break;
                }
            }
        }
    }

    fn word(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while let Some(c) = self.rest.chars().next() {
            match c {
                ' ' | '\t' | '\r' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\'' => {
                    self.next();
                    // Nothing is special between single quotes, not even a backslash.
                    let (text, rest) = self.rest.split_once('\'').unwrap_or((self.rest, ""));
                    self.rest = rest;
                    pieces.push(Piece::Text { text: text.to_owned(), is_quoted: true });
                }
                '"' => {
                    self.next();
                    self.quoted(&mut pieces);
                }
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') | None => {}
                        Some(c) => push(&mut pieces, c, true),
                    }
                }
                '$' | '`' => pieces.push(self.expansion(false)),
                c => {
                    self.next();
                    push(&mut pieces, c, false);
                }
            }
        }
        pieces
    }

    fn quoted(&mut self, pieces: &mut Vec<Piece>) {
        // Also an empty one makes a word.
        pieces.push(Piece::Text { text: String::new(), is_quoted: true });
        while let Some(c) = self.rest.chars().next() {
            match c {
                '"' => {
                    self.next();
                    break;
                }
                '$' | '`' => {
                    let piece = self.expansion(true);
                    // Alone in quotes, `"$@"` is as many words as there are arguments.
                    if piece == (Piece::Arguments { is_quoted: true })
                        && matches!(&pieces[..], [Piece::Text { text, .. }] if text.is_empty())
                    {
                        pieces.clear();
                    }
                    pieces.push(piece);
                }
                '\\' => {
                    self.next();
                    match self.next() {
                        Some('\n') | None => {}
                        // Within double quotes a backslash quotes these four and the end of a line only (POSIX,
                        // 2.2.3).
                        Some(c @ ('$' | '`' | '"' | '\\')) => push(pieces, c, true),
                        Some(c) => {
                            push(pieces, '\\', true);
                            push(pieces, c, true);
                        }
                    }
                }
                c => {
                    self.next();
                    push(pieces, c, true);
                }
            }
        }
    }

    /// What begins with `$` or a back quote.
    fn expansion(&mut self, is_quoted: bool) -> Piece {
        let directory =
            || Piece::Variable { name: "PWD".to_owned(), change: Change::Nothing, is_quoted: true };
        if self.eat("`") {
            let (inside, rest) = self.rest.split_once('`').unwrap_or((self.rest, ""));
            // The only substitution whose output is known: paths here are relative to the directory of the action.
            let is_directory = inside.trim() == "pwd";
            self.rest = rest;
            return if is_directory { directory() } else { Piece::Unknown };
        }
        self.next();
        if self.eat("(") {
            let inside = self.until_closed('(', ')');
            return if inside.trim() == "pwd" { directory() } else { Piece::Unknown };
        }
        if self.eat("{") {
            let inside = self.until_closed('{', '}');
            return braced(&inside, is_quoted);
        }
        if self.eat("@") || self.eat("*") {
            return Piece::Arguments { is_quoted };
        }
        let is_digit = self.rest.starts_with(|c: char| c.is_ascii_digit());
        // One digit: `$10` is `$1` and a zero.
        let length = match is_digit {
            true => 1,
            false => name_length(self.rest),
        };
        if length == 0 {
            // Special parameters (POSIX, 2.5.2), which only a running shell has.
            if self.rest.starts_with(['?', '$', '!', '#', '-']) {
                self.next();
                return Piece::Unknown;
            }
            // A dollar sign in front of anything else is itself.
            return Piece::Text { text: "$".to_owned(), is_quoted: true };
        }
        let name = self.rest[..length].to_owned();
        self.rest = &self.rest[length..];
        Piece::Variable { name, change: Change::Nothing, is_quoted }
    }

    /// What is before the bracket that closes, which is read, too.
    fn until_closed(&mut self, open: char, close: char) -> String {
        let mut inside = String::new();
        let mut depth = 1;
        let mut quote = None;
        while let Some(c) = self.next() {
            match (quote, c) {
                (Some(mark), c) if mark == c => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None, c) if c == open => depth += 1,
                (None, c) if c == close => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            inside.push(c);
            if c == '\\' {
                inside.extend(self.next());
            }
        }
        inside
    }
}

/// How many bytes of the text are the name of a variable.
fn name_length(text: &str) -> usize {
    text.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(text.len())
}

/// `${…}`.
fn braced(inside: &str, is_quoted: bool) -> Piece {
    if matches!(inside, "@" | "*") {
        return Piece::Arguments { is_quoted };
    }
    let (name, rest) = inside.split_at(name_length(inside));
    // A pattern or an expansion in the change is not evaluated here: then the word is unknown.
    let is_plain = |text: &str| !text.contains(['$', '`', '\\', '"', '\'', '*', '?', '[']);
    let change = match rest {
        "" => Some(Change::Nothing),
        "##*/" => Some(Change::LastName),
        _ => {
            let operator = [":-", "-", "%", "#"].into_iter().find(|operator| rest.starts_with(operator));
            operator.and_then(|operator| {
                let text = rest[operator.len()..].to_owned();
                (is_plain(&text) && !text.starts_with(['%', '#'])).then_some(match operator {
                    "%" => Change::WithoutEnd(text),
                    "#" => Change::WithoutBegin(text),
                    _ => Change::Default(text),
                })
            })
        }
    };
    match change {
        Some(change) if !name.is_empty() => Piece::Variable { name: name.to_owned(), change, is_quoted },
        _ => Piece::Unknown,
    }
}

fn push(pieces: &mut Vec<Piece>, c: char, quoted: bool) {
    match pieces.last_mut() {
        Some(Piece::Text { text, is_quoted }) if *is_quoted == quoted => text.push(c),
        _ => pieces.push(Piece::Text { text: c.into(), is_quoted: quoted }),
    }
}
