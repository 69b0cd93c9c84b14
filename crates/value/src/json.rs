//! JSON text: the form of values that is hashed, dumped and shown in messages.
//!
//! Only `"`, `\` and control characters are escaped; keys are sorted; no white space in the compact form, and in the
//! pretty form empty containers stay on one line. [`JsonWriter`] is the only writer of JSON in taut; dumps that are no
//! values are written with it, too.

use crate::{Node, TargetResult, Value, deep, format_number};

/// The form of values that JSON does not have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum JsonMode {
    /// Artifacts, results, names and nodes as objects; a node one level deep.
    All,
    /// As `All`, but nodes as their ids only. Used inside nodes and results, so that a graph of nodes is never unfolded
    /// into a tree.
    AllButNodes,
    /// All become `null`, as `json_encode` requires.
    PlainOnly,
}

/// Writes JSON text piece by piece. The caller begins and ends containers, gives keys in sorted order where that
/// matters, and takes the text with [`JsonWriter::finish`].
pub struct JsonWriter {
    out: String,
    indent: Option<usize>,
    level: usize,
    /// Whether the innermost container has an entry already.
    filled: bool,
    /// Whether a key was just written, so that the next piece is its value.
    after_key: bool,
    /// The number of bytes after which values are no longer written.
    limit: usize,
}

impl JsonWriter {
    /// Minimal text, without white space.
    pub fn compact() -> Self {
        // Enough for most texts here: a name, an artifact, a small map.
        Self::continuing(String::with_capacity(192))
    }

    /// Minimal text, appended to existing text.
    pub(crate) fn continuing(mut out: String) -> Self {
        out.reserve(192);
        JsonWriter { out, indent: None, level: 0, filled: false, after_key: false, limit: usize::MAX }
    }

    /// One entry per line, `indent` blanks per level.
    pub fn pretty(indent: usize) -> Self {
        JsonWriter { indent: Some(indent), ..JsonWriter::compact() }
    }

    /// Minimal text that ends soon after `limit` bytes: it is complete only if it is no longer than that.
    pub(crate) fn limited(limit: usize) -> Self {
        JsonWriter { limit, ..JsonWriter::compact() }
    }

    /// Whether the limit was reached.
    pub(crate) fn is_full(&self) -> bool {
        self.out.len() > self.limit
    }

    /// The text written so far.
    pub fn finish(self) -> String {
        self.out
    }

    fn item(&mut self) {
        if std::mem::take(&mut self.after_key) {
            return;
        }
        if self.level > 0 {
            if self.filled {
                self.out.push(',');
            }
            self.new_line();
        }
        self.filled = true;
    }

    fn new_line(&mut self) {
        if let Some(indent) = self.indent {
            // Copied in pieces, since dumps of large graphs are mostly indentation.
            const BLANKS: &str = "                                ";
            self.out.push('\n');
            let mut left = indent * self.level;
            while left > 0 {
                let some = left.min(BLANKS.len());
                self.out.push_str(&BLANKS[..some]);
                left -= some;
            }
        }
    }

    fn begin(&mut self, open: char) {
        self.item();
        self.out.push(open);
        self.level += 1;
        self.filled = false;
    }

    fn end(&mut self, close: char) {
        self.level -= 1;
        if self.filled {
            self.new_line();
        }
        self.out.push(close);
        self.filled = true;
    }

    /// Writes an object; `entries` writes its keys and values.
    pub fn object(&mut self, entries: impl FnOnce(&mut Self)) -> &mut Self {
        self.begin('{');
        entries(self);
        self.end('}');
        self
    }

    /// Writes a list; `items` writes its items.
    pub fn list(&mut self, items: impl FnOnce(&mut Self)) -> &mut Self {
        self.begin('[');
        items(self);
        self.end(']');
        self
    }

    /// Writes a key of an object; its value comes next.
    pub fn key(&mut self, key: &str) -> &mut Self {
        self.item();
        escape_into(self.cut(key), &mut self.out);
        self.out.push_str(if self.indent.is_some() { ": " } else { ":" });
        self.after_key = true;
        self
    }

    /// Writes a string.
    pub fn string(&mut self, text: impl AsRef<str>) -> &mut Self {
        self.item();
        escape_into(self.cut(text.as_ref()), &mut self.out);
        self
    }

    /// A text, or so much of it that the limit is exceeded.
    fn cut<'t>(&self, text: &'t str) -> &'t str {
        // At or above the limit, so that with its quotation marks it is too long for `is_full`.
        &text[..text.ceil_char_boundary(self.limit)]
    }

    /// Writes bytes as a string of lower-case hexadecimal digits.
    pub(crate) fn hex(&mut self, bytes: &[u8]) -> &mut Self {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.item();
        self.out.push('"');
        for byte in bytes {
            for digit in [byte >> 4, byte & 15] {
                self.out.push(char::from(DIGITS[usize::from(digit)]));
            }
        }
        self.out.push('"');
        self
    }

    /// Writes a whole number.
    // It holds each integer type that is written here, signed or not.
    pub fn integer(&mut self, number: impl Into<i128>) -> &mut Self {
        self.item();
        self.out.push_str(&number.into().to_string());
        self
    }

    /// Writes a double.
    pub fn number(&mut self, number: f64) -> &mut Self {
        self.item();
        format_number(number, &mut self.out);
        self
    }

    /// Writes a truth value.
    pub fn bool(&mut self, truth: bool) -> &mut Self {
        self.item();
        self.out.push_str(if truth { "true" } else { "false" });
        self
    }

    /// Writes null.
    pub fn null(&mut self) -> &mut Self {
        self.item();
        self.out.push_str("null");
        self
    }

    /// Writes a list of strings.
    pub fn strings<S: AsRef<str>>(&mut self, texts: impl IntoIterator<Item = S>) -> &mut Self {
        self.list(|w| {
            for text in texts {
                w.string(text);
            }
        })
    }

    /// Writes a value; `mode` is the form of values that JSON does not have.
    pub fn value(&mut self, value: &Value, mode: JsonMode) -> &mut Self {
        match value {
            Value::Null => self.null(),
            Value::Bool(b) => self.bool(*b),
            Value::Number(n) => self.number(*n),
            Value::String(s) => self.string(s),
            _ if mode == JsonMode::PlainOnly && !matches!(value, Value::List(_) | Value::Map(_)) => {
                self.null()
            }
            Value::Artifact(artifact) => artifact.write_json(self),
            Value::Name(name) => name.write_json(self),
            Value::Result(result) => deep(|| self.result(result)),
            Value::Node(node) if mode == JsonMode::AllButNodes => self.object(|w| {
                w.key("id").string(node.id().to_hex()).key("type").string("NODE");
            }),
            Value::Node(node) => deep(|| self.node(node)),
            Value::List(list) => deep(|| {
                self.list(|w| {
                    for item in list.iter() {
                        if w.is_full() {
                            break;
                        }
                        w.value(item, mode);
                    }
                })
            }),
            Value::Map(map) => deep(|| {
                self.object(|w| {
                    for (key, value) in map.iter() {
                        if w.is_full() {
                            break;
                        }
                        w.key(key).value(value, mode);
                    }
                })
            }),
        }
    }

    /// Writes a result as an object of its three parts.
    pub fn result(&mut self, result: &TargetResult) -> &mut Self {
        self.object(|w| {
            // In byte order of the keys, as the reference's library writes any object: this text is hashed.
            w.key("artifact_stage").map(&result.artifacts);
            w.key("provides").map(&result.provides);
            w.key("runfiles").map(&result.runfiles);
        })
    }

    /// Writes a node, the nodes below it by id only.
    pub fn node(&mut self, node: &Node) -> &mut Self {
        self.object(|w| match node {
            Node::Value(result) => {
                w.key("result").result(result).key("type").string("VALUE_NODE");
            }
            Node::Abstract(node) => {
                // In byte order, too, for the same reason.
                w.key("node_type").string(&node.node_type);
                w.key("string_fields").map(&node.string_fields);
                w.key("target_fields").map(&node.target_fields);
                w.key("type").string("ABSTRACT_NODE");
            }
        })
    }

    fn map(&mut self, map: &crate::Map) -> &mut Self {
        self.object(|w| {
            for (key, value) in map.iter() {
                if w.is_full() {
                    break;
                }
                w.key(key).value(value, JsonMode::AllButNodes);
            }
        })
    }
}

/// A string as a JSON string literal, as messages show it.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    escape_into(text, &mut out);
    out
}

/// Appends a string as a JSON string literal.
pub fn escape_into(text: &str, out: &mut String) {
    out.push('"');
    // The part without escapes, which is nearly everything, is copied in one piece.
    let mut rest = text;
    // Bytes suffice: those of characters beyond ASCII are 0x80 or above. DEL and `/` stay, as in the reference.
    while let Some(at) = rest.bytes().position(|byte| byte < b' ' || byte == b'"' || byte == b'\\') {
        out.push_str(&rest[..at]);
        match rest.as_bytes()[at] {
            b'"' => out.push_str("\\\""),
            b'\\' => out.push_str("\\\\"),
            8 => out.push_str("\\b"),
            12 => out.push_str("\\f"),
            b'\n' => out.push_str("\\n"),
            b'\r' => out.push_str("\\r"),
            b'\t' => out.push_str("\\t"),
            byte => out.push_str(&format!("\\u{byte:04x}")),
        }
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}
