//! Escape codes in what actions and diagnostics print: colour stays where standard error is in colour, everything else
//! is removed. A code that moves the cursor would spoil the lines of the display, and a log file is not a terminal.

use std::borrow::Cow;

/// A filter of text that comes in pieces; a code may be cut in two by the end of a piece.
pub(crate) struct Escapes {
    keeps_color: bool,
    /// The code that the text so far ends with, without its end.
    open: String,
    /// Whether colour was set and not reset.
    is_colored: bool,
}

impl Escapes {
    /// A filter; whether it keeps codes that set colours and weights.
    pub(crate) fn new(keeps_color: bool) -> Escapes {
        Escapes { keeps_color, open: String::new(), is_colored: false }
    }

    /// What is left of a piece.
    pub(crate) fn pass<'p>(&mut self, piece: &'p str) -> Cow<'p, str> {
        let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\t');
        if self.open.is_empty() && piece.chars().all(is_plain) {
            return Cow::Borrowed(piece);
        }
        let mut out = String::with_capacity(piece.len());
        for c in piece.chars() {
            // A line that is cut within a code must not swallow the next one.
            if self.open.starts_with("\x1b[") && !(' '..='~').contains(&c) {
                self.open.clear();
            }
            if self.open.is_empty() {
                match c {
                    '\x1b' => self.open.push(c),
                    c if is_plain(c) => out.push(c),
                    _ => {}
                }
                continue;
            }
            self.open.push(c);
            // Cursor moves, titles and links are dropped whole, not character by character.
            if is_complete(&self.open) {
                let code = std::mem::take(&mut self.open);
                // SGR (ECMA-48, 8.3.117): colours and weights, which change no position.
                if self.keeps_color && code.starts_with("\x1b[") && c == 'm' {
                    self.is_colored = !matches!(&*code, "\x1b[m" | "\x1b[0m");
                    out.push_str(&code);
                }
            }
        }
        Cow::Owned(out)
    }

    /// What resets the colour at the end of the text, if that is necessary.
    pub(crate) fn end(&mut self) -> &'static str {
        if std::mem::take(&mut self.is_colored) { "\x1b[0m" } else { "" }
    }
}

/// Whether an escape code has come to its end: `ESC [` with parameters up to a letter or the like, `ESC ]` with text up
/// to a bell or `ESC \`, `ESC` with one character otherwise. One that gets too long ends, too: it must not swallow the
/// rest of the output, nor be held without end.
fn is_complete(code: &str) -> bool {
    const MAX_CODE_BYTES: usize = 4096;
    let last = code.chars().last().unwrap_or_default();
    let is_at_end = match code.as_bytes().get(1) {
        // The final byte of a control sequence (ECMA-48, 5.4).
        Some(b'[') => code.len() > 2 && ('\x40'..='\x7e').contains(&last),
        // Operating-system commands end with ST; xterm accepts a bell, and most programs write that.
        Some(b']') => last == '\x07' || code.ends_with("\x1b\\"),
        // Choice of a character set: two bytes follow the escape.
        Some(b'(' | b')') => code.len() > 2,
        _ => true,
    };
    is_at_end || code.len() > MAX_CODE_BYTES
}

/// A text without escape codes.
pub(crate) fn plain(text: &str) -> Cow<'_, str> {
    Escapes::new(false).pass(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colour_stays_and_everything_else_goes() {
        let text = "a\x1b[1;31mred\x1b[2K\x1b]8;;http://x\x07link\x1b[0m\r\nb\x08";
        assert_eq!(plain(text), "aredlink\nb");
        let mut filter = Escapes::new(true);
        assert_eq!(filter.pass(text), "a\x1b[1;31mredlink\x1b[0m\nb");
        assert_eq!(filter.end(), "");
        assert!(matches!(plain("a\n\tb"), Cow::Borrowed("a\n\tb")));
    }

    #[test]
    fn a_code_that_does_not_end_is_dropped_and_swallows_nothing_else() {
        assert_eq!(plain("a\x1b[31\nb\x1b[3ü\x1b[1\x1b[2mc"), "a\nbüc");
        for begin in ["\x1b[", "\x1b]"] {
            let mut filter = Escapes::new(true);
            assert_eq!(filter.pass(&format!("{begin}{}", "0".repeat(10_000))).len(), 10_000 - 4095);
            assert_eq!(filter.pass("text"), "text");
        }
    }

    #[test]
    fn a_code_may_be_cut_by_the_end_of_a_piece() {
        let mut filter = Escapes::new(true);
        let parts: String = ["a\x1b", "[3", "1mb"].map(|piece| filter.pass(piece).into_owned()).concat();
        assert_eq!((&*parts, filter.end()), ("a\x1b[31mb", "\x1b[0m"));
    }
}
