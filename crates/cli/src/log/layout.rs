//! How a message looks on standard error, which depends on the name by which the tool was called.

use std::borrow::Cow;

use super::level::Level;
use crate::tool_name::Name;

mod just;
mod taut;

pub(crate) use taut::sentence;

/// By how much the further lines of a message are indented at most under the name `taut`.
pub(crate) const INDENT: usize = taut::INDENT.len();

/// The layout of messages.
pub(crate) trait Layout: Send + Sync {
    /// A text that both voices share, in the form of this one.
    fn own_text<'t>(&self, level: Level, text: &'t str) -> Cow<'t, str>;

    /// A message as written to standard error, with a line feed at its end.
    fn layout(&self, level: Level, name: Option<&str>, text: &str, color: bool) -> String;

    /// The same for a message that comes in pieces: its prefix, and what a line feed in it becomes.
    fn layout_in_pieces(&self, level: Level, name: &str, color: bool) -> (String, &'static str);

    /// Whether escape codes in a text are removed: in files all of them, on a terminal all but those for colour.
    fn filters_escapes(&self) -> bool;
}

/// The layout under this name.
pub(crate) fn of(name: Name) -> &'static dyn Layout {
    match name {
        Name::Taut => &taut::Taut,
        Name::Just => &just::Just,
    }
}
