//! Messages under the name `taut`.

use super::Layout;
use crate::log::level::Level;

/// By how much further lines of an error or a warning are indented.
pub(super) const INDENT: &str = "       ";

pub(super) struct Taut;

/// The prefix of a message.
fn prefix(level: Level, color: bool) -> &'static str {
    match (level, color) {
        (Level::Error, false) => "error: ",
        (Level::Error, true) => "\x1b[1;31merror:\x1b[0m ",
        (Level::Warn, false) => "warning: ",
        // Not yellow, which cannot be read on a light background.
        (Level::Warn, true) => "\x1b[1;35mwarning:\x1b[0m ",
        _ => "",
    }
}

/// A message of one sentence ends without a full stop; some are shared with the other voice, which has one.
pub(crate) fn without_full_stop(text: &str) -> &str {
    match text.strip_suffix('.') {
        Some(sentence)
            if !sentence.contains(['\n', '\u{1b}'])
                && !sentence.contains(". ")
                && sentence.ends_with(|c: char| c.is_alphanumeric() || ")\"'}]".contains(c)) =>
        {
            sentence
        }
        _ => text,
    }
}

impl Layout for Taut {
    /// Errors and warnings begin with what they are; of one about an action, further lines are its parts, and of another
    /// they are aligned with the text. Everything else is shown as it is.
    fn layout(&self, level: Level, name: Option<&str>, text: &str, color: bool) -> String {
        let indent = match (level, name) {
            (Level::Error | Level::Warn, Some(_)) => "  ",
            (Level::Error | Level::Warn, None) => INDENT,
            _ => "",
        };
        let mut lines = prefix(level, color).to_owned();
        // Not in other messages, which may be data that was asked for, such as what an action printed.
        let text = if level <= Level::Warn { without_full_stop(text) } else { text };
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 && !line.is_empty() {
                lines.push_str(indent);
            }
            lines.push_str(line);
            lines.push('\n');
        }
        lines
    }

    fn layout_in_pieces(&self, level: Level, _: &str, color: bool) -> (String, &'static str) {
        (prefix(level, color).to_owned(), "\n")
    }

    fn filters_escapes(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_and_warnings_begin_with_what_they_are() {
        let lines = |level, name, text| Taut.layout(level, name, text, false);
        assert_eq!(lines(Level::Info, None, "a\nb"), "a\nb\n");
        assert_eq!(lines(Level::Warn, Some("x"), "a\nb"), "warning: a\n  b\n");
        assert_eq!(lines(Level::Error, None, "a\n\nb"), "error: a\n\n       b\n");
        assert_eq!(Taut.layout(Level::Error, None, "a", true), "\x1b[1;31merror:\x1b[0m a\n");
    }
}
