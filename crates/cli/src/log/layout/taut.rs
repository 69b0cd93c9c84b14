//! Messages under the name `taut`.

use std::borrow::Cow;

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
fn without_full_stop(text: &str) -> &str {
    match text.strip_suffix('.') {
        Some(sentence)
            // Several sentences keep their stops, and a text with colours or several lines is laid out already.
            if !sentence.contains(['\n', '\u{1b}'])
                && !sentence.contains(". ")
                && sentence.ends_with(|c: char| c.is_alphanumeric() || ")\"'}]".contains(c)) =>
        {
            sentence
        }
        _ => text,
    }
}

/// First words of texts that both voices share. In the reference's voice they have a capital letter; under the name
/// `taut` an error or a warning begins with a small one. A list, not a rule for all words, since a text may begin with
/// the name of a file.
// Sorted, so that a word that is added twice is seen.
const FIRST_WORDS: &[&str] = &[
    "Anonymous",
    "Argument",
    "At",
    "Binding",
    "Cache",
    "Cached",
    "Cannot",
    "Comparison",
    "Config",
    "Contents",
    "Could",
    "Cycle",
    "Defines",
    "Defining",
    "Directories",
    "Each",
    "Entry",
    "Expected",
    "Failed",
    "Flat",
    "Having",
    "Ignoring",
    "Implicit",
    "In",
    "Input",
    "Invalid",
    "Invocation",
    "Key",
    "Libraries",
    "Malformed",
    "Missing",
    "More",
    "No",
    "Not",
    "Nothing",
    "Object",
    "Objects",
    "Only",
    "Optional",
    "Parsing",
    "Provider",
    "Reading",
    "Reference",
    "Relative",
    "Repository",
    "Server",
    "Setting",
    "Source",
    "Staging",
    "Storing",
    "String",
    "Syntactically",
    "Target",
    "The",
    "There",
    "This",
    "Tree",
    "Trees",
    "Two",
    "Unknown",
    "Unsupported",
    "Update",
    "Variable",
    "Variables",
    "Which",
    "While",
    "Workspace",
    "Would",
    "Writing",
];

/// A text that begins with a small letter, if its first word is one of ours.
fn in_small_letters(text: &str) -> Cow<'_, str> {
    let end = text.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(text.len());
    match text.as_bytes().get(end) {
        // A blank has to follow: `Target.java` is the name of a file.
        Some(b' ') if FIRST_WORDS.contains(&&text[..end]) => {
            format!("{}{}", text[..1].to_ascii_lowercase(), &text[1..]).into()
        }
        _ => text.into(),
    }
}

/// The text of an error or a warning that was not written by a user.
pub(crate) fn sentence(text: &str) -> Cow<'_, str> {
    in_small_letters(without_full_stop(text))
}

impl Layout for Taut {
    fn own_text<'t>(&self, level: Level, text: &'t str) -> Cow<'t, str> {
        // Other messages may be data that was asked for, such as what an action printed.
        if level <= Level::Warn { sentence(text) } else { text.into() }
    }

    /// Errors and warnings begin with their prefix. Further lines are indented by two blanks if the message is about an
    /// action, and otherwise aligned with the text. Everything else is shown as it is.
    fn layout(&self, level: Level, name: Option<&str>, text: &str, color: bool) -> String {
        let indent = match (level, name) {
            (Level::Error | Level::Warn, Some(_)) => "  ",
            (Level::Error | Level::Warn, None) => INDENT,
            _ => "",
        };
        let mut lines = prefix(level, color).to_owned();
        for (number, line) in text.split('\n').enumerate() {
            if number > 0 && !line.is_empty() {
                lines.push_str(indent);
                // As below diagnostics.
                if indent == INDENT && (line.starts_with("help: ") || line.starts_with("note: ")) {
                    lines.push_str("  ");
                }
            }
            lines.push_str(line);
            lines.push('\n');
        }
        lines
    }

    fn layout_in_pieces(&self, level: Level, _: &str, color: bool) -> (String, &'static str) {
        (prefix(level, color).to_owned(), "\n")
    }

    // What actions print goes to the terminal through this layout, and must not move its cursor.
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
        assert_eq!(lines(Level::Error, None, "a\nhelp: b"), "error: a\n         help: b\n");
        assert_eq!(Taut.layout(Level::Error, None, "a", true), "\x1b[1;31merror:\x1b[0m a\n");
        assert_eq!(Taut.own_text(Level::Warn, "Cannot read it."), "cannot read it");
        assert_eq!(Taut.own_text(Level::Info, "Cannot read it."), "Cannot read it.");
        for text in ["Makefile is absent", "No.txt is absent", "TREE conflict", "Git is absent"] {
            assert_eq!(Taut.own_text(Level::Error, text), text);
        }
    }
}
