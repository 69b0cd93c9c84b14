//! Dependency files in make syntax, as compilers write them.
//!
//! Only what compilers write is accepted: rules of targets and prerequisites. Other files are refused, since a name
//! that is read wrongly would be a missing dependency. With a refused file, all inputs of the action count as read.

/// Why a text is not a dependency file, with the line. No message has it: all inputs count then.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What is there.
    pub found: Unsupported,
}

/// What compilers do not write, so that it is not read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsupported {
    /// The last line has no end: the text may be cut off.
    NoEndOfLine,
    /// A recipe.
    Recipe,
    /// There is no rule.
    NoRule,
    /// A name is not UTF-8.
    NotUtf8,
    /// A rule without a target.
    NoTarget,
    /// Names without a colon.
    NoColon,
    /// A second colon.
    SecondColon,
    /// Backslashes that have several meanings.
    AmbiguousBackslashes,
    /// A variable.
    Variable,
    /// A comment.
    Comment,
    /// A control character.
    ControlCharacter,
    /// Something of make that is not a name: `|`, `;` or an assignment.
    MakeSyntax,
    /// A double colon.
    DoubleColon,
}

/// The names on the right-hand sides of all rules, in the order in which they are written.
///
/// - Names are separated by spaces and tabs; a backslash before the end of a line (LF or CRLF) continues it.
/// - 2n+1 backslashes before a space or tab are n backslashes and that character; 2n are n, at the end of a name.
/// - `\#` is `#`, `\:` is `:`, `$$` is `$`. Any other backslash is itself.
/// - A colon before a space, a tab, or the end of a line ends the targets; any other one is part of a name.
///
/// Source: the manual of GNU make, "Rule Syntax", "Using Wildcard Characters"; `mkdeps.cc` of GCC.
///
/// # Errors
/// The text is cut off, or has something else: variables, comments, recipes, order-only or double-colon rules, or no
/// rule at all.
pub fn prerequisites(text: &[u8]) -> Result<Vec<String>, Malformed> {
    let mut lexer = Lexer { text, at: 0, line: 1 };
    if !text.ends_with(b"\n") {
        // Compilers end the last line: the text may be cut off, and what is missing may name more.
        return Err(lexer.malformed(Unsupported::NoEndOfLine));
    }
    let mut names = Vec::new();
    let mut has_rule = false;
    while lexer.at < text.len() {
        // Make takes a line after a rule that begins with a tab as a command.
        if lexer.text[lexer.at] == b'\t' {
            return Err(lexer.malformed(Unsupported::Recipe));
        }
        has_rule |= lexer.rule(&mut names)?;
    }
    if !has_rule {
        return Err(lexer.malformed(Unsupported::NoRule));
    }
    Ok(names)
}

/// What a lexer finds next.
enum Token {
    Name(Vec<u8>),
    /// The colon behind the targets.
    Colon,
    EndOfLine,
}

struct Lexer<'t> {
    text: &'t [u8],
    at: usize,
    line: usize,
}

impl Lexer<'_> {
    fn malformed(&self, found: Unsupported) -> Malformed {
        Malformed { line: self.line, found }
    }

    fn peek(&self, ahead: usize) -> Option<u8> {
        self.text.get(self.at + ahead).copied()
    }

    /// How long the end of a line is that begins so far ahead; 0 if no line ends there. The end of the text does not
    /// count.
    fn end_of_line(&self, ahead: usize) -> usize {
        match (self.peek(ahead), self.peek(ahead + 1)) {
            (Some(b'\n'), _) => 1,
            (Some(b'\r'), Some(b'\n')) => 2,
            _ => 0,
        }
    }

    /// Reads a logical line. Whether it is a rule; otherwise it is empty.
    fn rule(&mut self, names: &mut Vec<String>) -> Result<bool, Malformed> {
        let (mut targets, mut is_behind) = (0, false);
        loop {
            match self.token(!is_behind)? {
                Token::Name(name) if is_behind => {
                    let name = String::from_utf8(name).map_err(|_| self.malformed(Unsupported::NotUtf8))?;
                    // A path in a description is UTF-8, so another name cannot be matched with an input.
                    names.push(name);
                }
                Token::Name(_) => targets += 1,
                Token::Colon if targets == 0 => return Err(self.malformed(Unsupported::NoTarget)),
                Token::Colon => is_behind = true,
                Token::EndOfLine if targets > 0 && !is_behind => {
                    return Err(self.malformed(Unsupported::NoColon));
                }
                Token::EndOfLine => return Ok(is_behind),
            }
        }
    }

    fn token(&mut self, in_targets: bool) -> Result<Token, Malformed> {
        if self.skip_blanks() {
            return Ok(Token::EndOfLine);
        }
        // A colon elsewhere belongs to a name, as in `C:\file` or in generated headers; make decides by what follows,
        // too.
        if in_targets && self.peek(0) == Some(b':') && self.is_boundary(1) {
            self.at += 1;
            return Ok(Token::Colon);
        }
        let name = self.name(in_targets)?;
        // `::`, `|` and assignments are make's own, and no compiler writes them.
        match name.as_slice() {
            b"|" | b";" | b"=" | b":=" | b":" => Err(self.malformed(Unsupported::MakeSyntax)),
            _ if in_targets && name.ends_with(b":") => Err(self.malformed(Unsupported::DoubleColon)),
            _ => Ok(Token::Name(name)),
        }
    }

    /// Skips what separates names, and the end of the logical line. Whether that, or the end of the text, was reached.
    fn skip_blanks(&mut self) -> bool {
        loop {
            let end = self.end_of_line(0);
            match self.peek(0) {
                None => return true,
                Some(b' ' | b'\t') => self.at += 1,
                Some(b'\\') if self.end_of_line(1) > 0 => {
                    self.at += 1 + self.end_of_line(1);
                    self.line += 1;
                }
                Some(_) if end > 0 => {
                    self.at += end;
                    self.line += 1;
                    return true;
                }
                Some(_) => return false,
            }
        }
    }

    /// Reads a name, up to what ends it.
    fn name(&mut self, in_targets: bool) -> Result<Vec<u8>, Malformed> {
        let mut name = Vec::new();
        while let Some(byte) = self.peek(0) {
            match byte {
                b' ' | b'\t' => break,
                _ if self.end_of_line(0) > 0 => break,
                b':' if self.is_boundary(1) => {
                    if in_targets {
                        // The colon is the next token.
                        break;
                    }
                    return Err(self.malformed(Unsupported::SecondColon));
                }
                b'\\' => {
                    if self.backslashes(&mut name)? {
                        break;
                    }
                }
                b'$' if self.peek(1) == Some(b'$') => {
                    name.push(b'$');
                    self.at += 2;
                }
                // The value of a variable is not in the file.
                b'$' => return Err(self.malformed(Unsupported::Variable)),
                b'#' => return Err(self.malformed(Unsupported::Comment)),
                // A NUL cannot be in a file name; a CR that ends no line is read differently by different programs.
                0 | b'\r' => return Err(self.malformed(Unsupported::ControlCharacter)),
                _ => {
                    name.push(byte);
                    self.at += 1;
                }
            }
        }
        Ok(name)
    }

    /// Reads backslashes with what they stand for. Whether the name ends behind them.
    fn backslashes(&mut self, name: &mut Vec<u8>) -> Result<bool, Malformed> {
        let count = self.text[self.at..].iter().take_while(|byte| **byte == b'\\').count();
        match self.peek(count) {
            Some(next @ (b' ' | b'\t')) => {
                name.extend(std::iter::repeat_n(b'\\', count / 2));
                self.at += count;
                if count % 2 == 0 {
                    return Ok(true);
                }
                name.push(next);
                self.at += 1;
            }
            // Compilers differ in what more than one means.
            Some(b'#' | b':') if count > 1 => return Err(self.malformed(Unsupported::AmbiguousBackslashes)),
            Some(next @ (b'#' | b':')) => {
                name.push(next);
                self.at += 2;
            }
            Some(_) if self.end_of_line(count) > 0 => {
                if count > 1 {
                    return Err(self.malformed(Unsupported::AmbiguousBackslashes));
                }
                return Ok(true);
            }
            _ => {
                name.extend(std::iter::repeat_n(b'\\', count));
                self.at += count;
            }
        }
        Ok(false)
    }

    /// Whether a name ends there at the latest.
    fn is_boundary(&self, ahead: usize) -> bool {
        match self.peek(ahead) {
            None | Some(b' ' | b'\t') => true,
            Some(b'\\') => self.end_of_line(ahead + 1) > 0,
            Some(_) => self.end_of_line(ahead) > 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, names: &[&str]) {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(prerequisites(text.as_bytes()), Ok(names));
    }

    #[track_caller]
    fn refused(text: &[u8], line: usize, found: Unsupported) {
        let error = prerequisites(text).unwrap_err();
        assert_eq!(error, Malformed { line, found });
    }

    #[test]
    fn what_compilers_write_is_read() {
        reads("a.o: a.c a.h\n", &["a.c", "a.h"]);
        reads("a.o: a.c \\\n a.h \\\r\n  b.h\r\n", &["a.c", "a.h", "b.h"]);
        reads("a.o a.d: a.c\n", &["a.c"]);
        reads("a.o:\\\n a.c\n\na.h:\n\nb.h:\n", &["a.c"]);
        reads("a.o : a.c\n", &["a.c"]);
        reads("a.o: a.c\nb.o: b.c a.c\n", &["a.c", "b.c", "a.c"]);
    }

    #[test]
    fn odd_names_are_read() {
        reads("a.o: a\\ b.h a\\#.h a$$b.h a\\:b.h c:d.h\n", &["a b.h", "a#.h", "a$b.h", "a:b.h", "c:d.h"]);
        reads(
            "a.o: a\\b.h a\\\\b.h x\\\\ y a\\\\\\ b é;%*.h\n",
            &["a\\b.h", "a\\\\b.h", "x\\", "y", "a\\ b", "é;%*.h"],
        );
        reads("a\\ b.o c:d.o: x\n", &["x"]);
        reads("a.o: \\\tx\n", &["\tx"]);
    }

    #[test]
    fn what_no_compiler_writes_is_refused() {
        refused(b"", 1, Unsupported::NoEndOfLine);
        refused(b"a: b", 1, Unsupported::NoEndOfLine);
        refused(b"\n\n", 3, Unsupported::NoRule);
        refused(b"hello\n", 2, Unsupported::NoColon);
        refused(b"a: b $(c)\n", 1, Unsupported::Variable);
        refused(b"a: b # c\n", 1, Unsupported::Comment);
        refused(b"a: b\n\tcc b\n", 2, Unsupported::Recipe);
        refused(b"a:: b\n", 1, Unsupported::DoubleColon);
        refused(b"a: b | c\n", 1, Unsupported::MakeSyntax);
        refused(b"a: b: c\n", 1, Unsupported::SecondColon);
        refused(b": b\n", 1, Unsupported::NoTarget);
        refused(b"a: b\\\\\n", 1, Unsupported::AmbiguousBackslashes);
        refused(b"a: b\\\\# c\n", 1, Unsupported::AmbiguousBackslashes);
        refused(b"a: \xff\n", 1, Unsupported::NotUtf8);
        refused(b"a: b\0c\n", 1, Unsupported::ControlCharacter);
        refused(b"a: b\rc\n", 1, Unsupported::ControlCharacter);
    }
}
