//! JSON, kept with its source spans: strict, or with what people like to add (`dialect.rs`).
//!
//! A [`Document`] is a flat tape of 24 bytes per value beside the text itself, so that parsing, walking, hashing and
//! dropping need no recursion, and nesting is limited by memory only. Strings without escapes are slices of the text.
//! The children of containers are listed in one table: those of lists in order, those of objects sorted by the bytes of
//! their keys, which makes looking up logarithmic.
//!
//! Rejected: a tree of enums (recursion, one allocation a value, no spans) and lazily parsed text
//! (errors would surface at a time that depends on what is read).

mod dialect;
mod hash;
mod parse;
mod path;
mod reference;
mod unusual_chars;

use std::{
    ops::Range,
    sync::{Arc, OnceLock},
};

pub use dialect::Dialect;
pub use parse::SyntaxError;
pub use parse::line_and_column;
pub use path::{JsonPath, PathStep};
pub use reference::{reference_error, reference_type};

/// Bytes `start..end` of a document's text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte.
    pub end: u32,
}

/// The kind of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A double.
    Number,
    /// Text.
    String,
    /// A list.
    List,
    /// An object.
    Object,
}

/// One value on the tape. `payload` is the truth value; the bits of the number; for strings one more than the index of
/// their unescaped text, or zero if they have no escapes; and for containers the index of their first child in the
/// table (upper half) and the number of children (lower half).
// 24 bytes: one for the kind, padded, eight for the span, eight for the payload.
#[derive(Clone, Copy)]
struct Slot {
    kind: Kind,
    span: Span,
    payload: u64,
}

impl Slot {
    /// Where the children of a container are in the table.
    fn children(&self) -> Range<usize> {
        let start = (self.payload >> 32) as usize;
        start..start + (self.payload & 0xffff_ffff) as usize
    }
}

/// A key that occurs twice in one object. The last occurrence counts.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Duplicate {
    /// The key.
    pub key: String,
    /// The key's span where it is ignored.
    pub ignored: Span,
    /// The key's span where it counts.
    pub used: Span,
}

/// A parsed file.
pub struct Document {
    label: Arc<str>,
    text: Arc<str>,
    tape: Vec<Slot>,
    /// Children of all containers: indices of values; the key of an object's value precedes it.
    children: Vec<u32>,
    /// The same with those of objects in the order of the text, once a path needs it.
    children_in_text: OnceLock<Box<[u32]>>,
    unescaped: Vec<Box<str>>,
    duplicates: Vec<Duplicate>,
}

impl Document {
    /// Parses a whole file of strict JSON. `label` is its name in messages. A byte order mark is skipped and not part
    /// of [`Document::text`].
    ///
    /// # Errors
    /// The first violation of JSON's grammar, invalid UTF-8, a lone surrogate, or a number that no
    /// double can hold.
    pub fn parse(label: impl Into<Arc<str>>, bytes: impl Into<Vec<u8>>) -> Result<Document, SyntaxError> {
        Document::parse_as(Dialect::Strict, label, bytes)
    }

    /// The same of a file in a dialect.
    ///
    /// # Errors
    /// As for [`Document::parse`], and a comment that does not end.
    pub fn parse_as(
        dialect: Dialect,
        label: impl Into<Arc<str>>,
        bytes: impl Into<Vec<u8>>,
    ) -> Result<Document, SyntaxError> {
        parse::parse(dialect, label.into(), bytes.into())
    }

    /// The name of the file in messages.
    pub fn label(&self) -> &Arc<str> {
        &self.label
    }

    /// The text, without byte order mark.
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// The outermost value.
    pub fn root(&self) -> Node<'_> {
        Node { document: self, index: 0 }
    }

    /// The keys that occur more than once in an object, by the position of the occurrence that is ignored.
    pub fn duplicates(&self) -> &[Duplicate] {
        &self.duplicates
    }

    /// The value at a path; `None` if the path leads to nothing.
    pub fn at(&self, path: &JsonPath) -> Option<Node<'_>> {
        path.steps().iter().try_fold(self.root(), |node, step| node.step(step))
    }

    /// The value at a path, or the innermost one that exists on the way there.
    pub fn nearest(&self, path: &JsonPath) -> Node<'_> {
        let mut node = self.root();
        for step in path.steps() {
            match node.step(step) {
                Some(next) => node = next,
                // The text may be another one than when the path was made.
                None => break,
            }
        }
        node
    }

    /// The span of the key of the value at a path; if the path leads to nothing, that of the innermost value that
    /// exists on the way.
    pub(crate) fn nearest_key(&self, path: &JsonPath) -> Span {
        if let Some((PathStep::Key(key), outer)) = path.steps().split_last()
            && let Some(object) = self.at(&JsonPath::from_steps(outer))
            && let Some(span) = object.key_span(key)
        {
            return span;
        }
        self.nearest(path).span()
    }
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Document({}, {} values)", self.label, self.tape.len())
    }
}

/// A value in a document.
#[derive(Clone, Copy)]
// Two words, passed by value: a view into the tape, which owns everything.
pub struct Node<'d> {
    document: &'d Document,
    index: u32,
}

impl<'d> Node<'d> {
    fn slot(self) -> &'d Slot {
        &self.document.tape[self.index as usize]
    }

    fn at(self, index: u32) -> Node<'d> {
        #[cfg(test)]
        tests::LOOKED_AT.set(tests::LOOKED_AT.get() + 1);
        Node { document: self.document, index }
    }

    /// The document that contains it.
    pub fn document(self) -> &'d Document {
        self.document
    }

    /// Its kind.
    pub fn kind(self) -> Kind {
        self.slot().kind
    }

    /// Its span in the text.
    pub fn span(self) -> Span {
        self.slot().span
    }

    /// Its own text, as written.
    pub fn source(self) -> &'d str {
        let span = self.span();
        &self.document.text[span.start as usize..span.end as usize]
    }

    /// Its key; only meaningful for values of an object.
    fn key_node(self) -> Node<'d> {
        // The parser puts a key on the tape directly before its value.
        self.at(self.index - 1)
    }

    /// The text, if it is a string.
    pub fn as_str(self) -> Option<&'d str> {
        (self.kind() == Kind::String).then(|| self.text())
    }

    fn text(self) -> &'d str {
        let slot = self.slot();
        match slot.payload {
            // The span includes the quotation marks.
            0 => &self.document.text[slot.span.start as usize + 1..slot.span.end as usize - 1],
            n => &self.document.unescaped[n as usize - 1],
        }
    }

    /// The number, if it is one.
    pub fn as_number(self) -> Option<f64> {
        (self.kind() == Kind::Number).then(|| f64::from_bits(self.slot().payload))
    }

    /// The truth value, if it is one.
    pub fn as_bool(self) -> Option<bool> {
        (self.kind() == Kind::Bool).then(|| self.slot().payload != 0)
    }

    /// Whether it is `null`.
    pub fn is_null(self) -> bool {
        self.kind() == Kind::Null
    }

    /// How many children a container has; zero for atoms.
    #[allow(clippy::len_without_is_empty)]
    pub fn len(self) -> usize {
        self.children().len()
    }

    fn children(self) -> &'d [u32] {
        let slot = self.slot();
        if !matches!(slot.kind, Kind::List | Kind::Object) {
            return &[];
        }
        &self.document.children[slot.children()]
    }

    /// The values of a list in order; nothing for other kinds.
    pub fn items(self) -> impl DoubleEndedIterator<Item = Node<'d>> + ExactSizeIterator + Clone {
        let children = if self.kind() == Kind::List { self.children() } else { &[] };
        children.iter().map(move |index| self.at(*index))
    }

    /// Whether it is a list, and if so its values.
    pub fn as_list(self) -> Option<impl DoubleEndedIterator<Item = Node<'d>> + ExactSizeIterator + Clone> {
        (self.kind() == Kind::List).then(|| self.items())
    }

    /// The entries of an object by the bytes of their keys, the last one of duplicates; nothing for
    /// other kinds.
    pub fn entries(self) -> impl DoubleEndedIterator<Item = (&'d str, Node<'d>)> + ExactSizeIterator + Clone {
        let children = if self.kind() == Kind::Object { self.children() } else { &[] };
        children.iter().map(move |index| (self.at(*index).key_node().text(), self.at(*index)))
    }

    /// The value at a key of an object, in logarithmic time; none for other kinds.
    pub fn get(self, key: &str) -> Option<Node<'d>> {
        if self.kind() != Kind::Object {
            return None;
        }
        let children = self.children();
        // Sorted by the bytes of the keys as they are meant, with escapes resolved (`parse.rs`).
        let found = children.binary_search_by(|index| self.at(*index).key_node().text().cmp(key)).ok()?;
        Some(self.at(children[found]))
    }

    /// The item of a list.
    pub fn item(self, index: usize) -> Option<Node<'d>> {
        (self.kind() == Kind::List).then(|| self.children().get(index).map(|i| self.at(*i)))?
    }

    /// The span of a key of `self`, an object.
    pub fn key_span(self, key: &str) -> Option<Span> {
        self.get(key).map(|value| value.key_node().span())
    }

    fn step(self, step: &PathStep) -> Option<Node<'d>> {
        match step {
            PathStep::Key(key) => self.get(key),
            PathStep::Index(index) => self.item(*index as usize),
        }
    }

    /// The path from the root. The first one that leads through a large object sorts the children of the whole
    /// document.
    pub fn path(self) -> JsonPath {
        let mut steps = Vec::new();
        let mut node = self.document.root();
        // Down from the root, since slots have no link to their containers: that would cost memory for each value.
        while node.index != self.index {
            let Some(position) = node.position_towards(self) else { break };
            let child = node.at(position.child);
            steps.push(match node.kind() {
                Kind::List => PathStep::Index(position.in_list),
                _ => PathStep::Key(Arc::from(child.key_node().text())),
            });
            node = child;
        }
        JsonPath::from_steps(steps)
    }

    /// The child of a container that is, or contains, a value.
    fn position_towards(self, value: Node<'_>) -> Option<Position> {
        // Indices of values ascend with their position in the text, so the child is the last one that is not behind the
        // value. Children of objects are sorted by key: a few of them are searched, of many the order is kept.
        let children = self.children();
        let is_sorted = self.kind() == Kind::List || children.len() > MAX_SEARCHED;
        let in_list = match is_sorted {
            true => self.children_in_text().partition_point(|child| *child <= value.index).checked_sub(1)?,
            false => 0,
        };
        let child = match is_sorted {
            true => *self.children_in_text().get(in_list)?,
            false => children.iter().copied().filter(|child| *child <= value.index).max()?,
        };
        // The value may be in none of them: a key, or what another value of the same key replaces.
        let (outer, inner) = (self.at(child).span(), value.span());
        let contains = outer.start <= inner.start && inner.end <= outer.end;
        contains.then_some(Position { child, in_list: in_list as u32 })
    }

    /// The children of a container in the order of the text.
    fn children_in_text(self) -> &'d [u32] {
        let children = self.children();
        if self.kind() == Kind::List {
            return children;
        }
        let document = self.document;
        let all = document.children_in_text.get_or_init(|| {
            let mut all: Box<[u32]> = document.children.as_slice().into();
            for slot in document.tape.iter().filter(|slot| slot.kind == Kind::Object) {
                all[slot.children()].sort_unstable();
            }
            all
        });
        &all[self.slot().children()]
    }
}

/// So many children of an object are searched one by one for a path.
const MAX_SEARCHED: usize = 16;

/// Where a child of a container is.
struct Position {
    child: u32,
    /// Its number, if the container is a list.
    in_list: u32,
}

impl std::fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.source())
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        /// How many values this thread has looked at.
        pub(super) static LOOKED_AT: Cell<usize> = const { Cell::new(0) };
    }

    /// Each entry of a large object has a path that costs a few values to look at, whatever the number of entries.
    #[test]
    fn paths_into_a_large_object_look_at_few_values() {
        const COUNT: usize = 5000;
        // Equal keys, too, and an order in the text that is not that of the keys.
        let keys = (0..COUNT).rev().chain([7, COUNT - 1]);
        let entries: Vec<String> = keys.map(|key| format!("\"{key}\": {{\"x\": [{key}]}}")).collect();
        let document = Document::parse("f", format!("[{{{}}}]", entries.join(","))).unwrap();
        let all = document.root().item(0).unwrap();
        LOOKED_AT.set(0);
        for (key, value) in all.entries() {
            let inner = value.get("x").and_then(|list| list.item(0)).unwrap();
            let steps = [
                PathStep::Index(0),
                PathStep::Key(key.into()),
                PathStep::Key("x".into()),
                PathStep::Index(0),
            ];
            assert_eq!(inner.path().steps(), steps);
        }
        assert!(LOOKED_AT.get() < 100 * COUNT, "{} values", LOOKED_AT.get());
    }
}
