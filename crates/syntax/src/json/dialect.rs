//! How JSON is written: as programs exchange it, or as people write it by hand.
//!
//! The dialect decides what is accepted, never what it means: a document that is accepted in both is the same in both,
//! and one with comments is the same as without them.

/// What is accepted as JSON.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Debug)]
pub enum Dialect {
    /// The grammar of RFC 8259.
    #[default]
    Strict,
    /// Also comments where white space may be, from `//` to the end of the line and from `/*` to the next `*/`, and a
    /// comma behind the last entry of an object or list.
    Extended,
}

impl Dialect {
    /// Whether comments and trailing commas are accepted.
    pub fn is_extended(self) -> bool {
        self == Dialect::Extended
    }

    /// The length of the comment that `text` begins with; `None` if it begins with none, or with one that does not end.
    pub(super) fn comment(self, text: &str) -> Option<usize> {
        if !self.is_extended() {
            return None;
        }
        if text.starts_with("//") {
            // Without the end of the line, which is white space by itself.
            return Some(text.find(['\n', '\r']).unwrap_or(text.len()));
        }
        const OPEN: &str = "/*";
        const CLOSE: &str = "*/";
        // Behind the opening, so that its star does not close it.
        let inner = text.strip_prefix(OPEN)?;
        Some(OPEN.len() + inner.find(CLOSE)? + CLOSE.len())
    }
}
