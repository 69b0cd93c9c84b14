//! Messages as the reference writes them.

use std::borrow::Cow;

use super::Layout;
use crate::log::level::Level;

/// By how much the lines of a message with a name are indented.
const INDENT: &str = "\n     ";

pub(super) struct Just;

/// In 24 bits, as justbuild writes them whatever the terminal has.
fn color_of(level: Level) -> &'static str {
    match level {
        Level::Error => "\x1b[38;2;255;000;000m",
        Level::Warn => "\x1b[38;2;255;165;000m",
        Level::Info => "\x1b[38;2;050;205;050m",
        Level::Progress => "\x1b[38;2;000;100;000m",
        Level::Performance => "\x1b[38;2;135;206;250m",
        Level::Debug => "\x1b[38;2;135;206;235m",
        Level::Trace => "\x1b[38;2;000;191;255m",
    }
}

/// The prefix of the text, up to the colon.
fn prefix(level: Level, name: Option<&str>, color: bool) -> String {
    let name = name.map(|name| format!(" ({name})")).unwrap_or_default();
    let (begin, end) = if color { (color_of(level), "\x1b[0m") } else { ("", "") };
    format!("{begin}{}{name}:{end}", level.word())
}

impl Layout for Just {
    fn own_text<'t>(&self, _: Level, text: &'t str) -> Cow<'t, str> {
        text.into()
    }

    /// `LEVEL: text`, further lines indented so that they stand below the text; with a name and several lines, the text
    /// begins on a line of its own.
    fn layout(&self, level: Level, name: Option<&str>, text: &str, color: bool) -> String {
        let own_line = name.is_some() && text.contains('\n');
        // Without the line feed that `INDENT` begins with.
        let indent = if own_line { INDENT.len() - 1 } else { prefix(level, name, false).len() + 1 };
        let mut lines = prefix(level, name, color);
        if own_line {
            lines.push('\n');
        }
        for (number, line) in text.split('\n').enumerate() {
            let width = if number == 0 && !own_line { 1 } else { indent };
            lines.extend(std::iter::repeat_n(' ', width));
            lines.push_str(line);
            lines.push('\n');
        }
        lines
    }

    fn layout_in_pieces(&self, level: Level, name: &str, color: bool) -> (String, &'static str) {
        (format!("{}{INDENT}", prefix(level, Some(name), color)), INDENT)
    }

    fn filters_escapes(&self) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn further_lines_stand_below_the_first() {
        let lines = |level, name, text| Just.layout(level, name, text, false);
        assert_eq!(lines(Level::Info, None, "a\nb"), "INFO: a\n      b\n");
        assert_eq!(lines(Level::Warn, Some("x"), "a"), "WARN (x): a\n");
        assert_eq!(lines(Level::Error, Some("x"), "a\nb"), "ERROR (x):\n     a\n     b\n");
    }
}
