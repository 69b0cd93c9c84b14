//! A line of the event log: one JSON object, written piece by piece into a buffer.
//!
//! Lines are written for every action of every build, so nothing is allocated for a value that can be written in
//! place, and ids go from bytes to digits directly. Texts of any length are cut: a line is to be read as a whole.

use std::fmt::Write as _;
use std::time::Duration;

use taut_digest::{Digest, Hash};
use taut_value::{Id, escape_into};

/// How many bytes of a text are kept.
pub(crate) const MAX_TEXT_BYTES: usize = 8 << 10;

/// An object that is being written. Its end is written when it is dropped.
pub(crate) struct Line<'b> {
    out: &'b mut String,
    is_first: bool,
    end: &'static str,
}

impl Drop for Line<'_> {
    // In `drop`, so that no way out of a function leaves a line without its end: the next one would be lost with it.
    fn drop(&mut self) {
        self.out.push_str(self.end);
    }
}

impl<'b> Line<'b> {
    /// Begins a line about an event of this kind.
    pub(crate) fn begin(out: &'b mut String, event: &str) -> Line<'b> {
        out.push('{');
        let mut line = Line { out, is_first: true, end: "}\n" };
        line.text("event", event);
        line
    }

    fn key(&mut self, key: &str) -> &mut String {
        if !std::mem::take(&mut self.is_first) {
            self.out.push(',');
        }
        // Paths are keys, too.
        escape_into(key, self.out);
        self.out.push(':');
        self.out
    }

    /// A text; only the beginning of one that is too long.
    pub(crate) fn text(&mut self, key: &str, text: &str) -> &mut Self {
        let out = self.key(key);
        match text.len() > MAX_TEXT_BYTES {
            false => escape_into(text, out),
            // Cut between characters: a line has to be valid UTF-8.
            true => escape_into(&format!("{}…", &text[..text.floor_char_boundary(MAX_TEXT_BYTES)]), out),
        }
        self
    }

    /// A whole number.
    pub(crate) fn number(&mut self, key: &str, number: u64) -> &mut Self {
        let out = self.key(key);
        let _ = write!(out, "{number}");
        self
    }

    /// A truth value.
    pub(crate) fn bool(&mut self, key: &str, is: bool) -> &mut Self {
        self.key(key).push_str(if is { "true" } else { "false" });
        self
    }

    /// A time in seconds, to the microsecond.
    pub(crate) fn seconds(&mut self, key: &str, time: Duration) -> &mut Self {
        let out = self.key(key);
        // From whole numbers: always six digits behind the point, and nothing is rounded.
        let _ = write!(out, "{}.{:06}", time.as_secs(), time.subsec_micros());
        self
    }

    /// An id of an action or tree.
    pub(crate) fn id(&mut self, key: &str, id: &Id) -> &mut Self {
        hex(&id.0, self.key(key));
        self
    }

    /// Several ids.
    pub(crate) fn ids(&mut self, key: &str, ids: &[Id]) -> &mut Self {
        let out = self.key(key);
        out.push('[');
        for (at, id) in ids.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            hex(&id.0, out);
        }
        out.push(']');
        self
    }

    /// The hash of an object.
    pub(crate) fn hash(&mut self, key: &str, hash: &Hash) -> &mut Self {
        hex(hash.as_bytes(), self.key(key));
        self
    }

    /// A file, as objects are shown.
    pub(crate) fn file(&mut self, key: &str, digest: &Digest) -> &mut Self {
        let out = self.key(key);
        let _ = write!(out, "\"[{}:{}:f]\"", digest.hash, digest.size);
        self
    }

    /// Something that is shown without any character that JSON escapes.
    // Without escaping, which spares a copy; `text` is for everything that users or programs have written.
    pub(crate) fn shown(&mut self, key: &str, shown: impl std::fmt::Display) -> &mut Self {
        let out = self.key(key);
        let _ = write!(out, "\"{shown}\"");
        self
    }

    /// JSON text, as it is.
    pub(crate) fn json(&mut self, key: &str, json: &str) -> &mut Self {
        self.key(key).push_str(json);
        self
    }

    /// A list of JSON texts.
    pub(crate) fn list<'j>(&mut self, key: &str, items: impl IntoIterator<Item = &'j str>) -> &mut Self {
        let out = self.key(key);
        out.push('[');
        for (at, item) in items.into_iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            out.push_str(item);
        }
        out.push(']');
        self
    }

    /// A list of texts.
    pub(crate) fn texts<'t>(&mut self, key: &str, texts: impl IntoIterator<Item = &'t str>) -> &mut Self {
        let out = self.key(key);
        out.push('[');
        for (at, text) in texts.into_iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            escape_into(&text[..text.floor_char_boundary(MAX_TEXT_BYTES)], out);
        }
        out.push(']');
        self
    }

    /// An object in the object.
    // Borrows the outer object, so nothing can be written there before this one has its end.
    pub(crate) fn object(&mut self, key: &str) -> Line<'_> {
        let out = self.key(key);
        out.push('{');
        Line { out, is_first: true, end: "}" }
    }
}

/// Lower-case digits in quotes.
fn hex(bytes: &[u8], out: &mut String) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    out.push('"');
    for byte in bytes {
        out.push(char::from(DIGITS[usize::from(byte >> 4)]));
        out.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_one_object() {
        let mut out = String::new();
        let mut line = Line::begin(&mut out, "e");
        line.text("t", "a\"\n").number("n", 7).bool("b", true).seconds("s", Duration::from_micros(1_000_002));
        line.ids("none", &[]).texts("w", ["x", "y"]).json("j", "[1]").list("l", ["{}", "2"]);
        line.object("o").text("p/q", "v");
        drop(line);
        let text = r#"{"event":"e","t":"a\"\n","n":7,"b":true,"s":1.000002,"none":[],"w":["x","y"],"j":[1],"l":[{},2],"o":{"p/q":"v"}}"#;
        assert_eq!(out, format!("{text}\n"));
        out.clear();
        Line::begin(&mut out, "e").text("t", &"ä".repeat(MAX_TEXT_BYTES));
        assert!(out.len() < MAX_TEXT_BYTES + 100 && out.ends_with("ä…\"}\n"));
    }
}
