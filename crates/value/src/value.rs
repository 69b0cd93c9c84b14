//! The value type of the expression language.

use std::collections::HashSet;
use std::fmt;

use crate::{
    Artifact, EntityName, Id, JsonMode, JsonWriter, List, Map, Node, SharedArtifact, Str, TargetResult,
};

/// A value. Cheap to clone; compared by id (intensional equality).
// Three words: atoms and the address of a text in place, everything else behind one pointer.
#[derive(Clone, Default)]
pub enum Value {
    /// Absence of a value.
    #[default]
    Null,
    /// A truth value.
    Bool(bool),
    /// A double; there are no integers.
    Number(f64),
    /// Text.
    String(Str),
    /// A file, link or tree, by its definition.
    Artifact(SharedArtifact),
    /// Artifacts, runfiles and provided data of a target.
    Result(TargetResult),
    /// A node of a target graph.
    Node(Node),
    /// The name of a target. A value that contains one cannot be cached.
    Name(EntityName),
    /// A sequence of values.
    List(List),
    /// Values by key.
    Map(Map),
}

/// The upper levels of compact JSON text, with `*` for what is below them; and the length of the text.
fn upper_levels_of_text(text: &str, levels: usize) -> (String, usize) {
    let bytes = text.as_bytes();
    let string_end = |begin: usize| {
        let mut at = begin + 1;
        // An escaped quotation mark does not end the string.
        while at < bytes.len() && bytes[at] != b'"' {
            at += if bytes[at] == b'\\' { 2 } else { 1 };
        }
        (at + 1).min(bytes.len())
    };
    match bytes.first() {
        Some(open @ (b'[' | b'{')) => crate::deep(|| {
            let mut out = String::from(char::from(*open));
            let mut at = 1;
            while at < bytes.len() {
                match bytes[at] {
                    b']' | b'}' => {
                        out.push(char::from(bytes[at]));
                        at += 1;
                        break;
                    }
                    b',' => {
                        out.push(',');
                        at += 1;
                    }
                    b'"' if *open == b'{' => {
                        let end = string_end(at);
                        out.push_str(&text[at..end]);
                        out.push(':');
                        let (value, length) = upper_levels_of_text(
                            // The text may be cut anywhere, so the colon is possibly not there.
                            &text[(end + 1).min(text.len())..],
                            levels.saturating_sub(1),
                        );
                        out.push_str(&value);
                        at = end + 1 + length;
                    }
                    _ => {
                        let (value, length) = upper_levels_of_text(&text[at..], levels.saturating_sub(1));
                        out.push_str(&value);
                        // At least one byte, so that this ends for any text.
                        at += length.max(1);
                    }
                }
            }
            (if levels == 0 { "*".to_owned() } else { out }, at)
        }),
        first => {
            let end = match first {
                Some(b'"') => string_end(0),
                _ => text.find([',', ']', '}']).unwrap_or(text.len()),
            };
            (if levels == 0 { "*".to_owned() } else { text[..end].to_owned() }, end)
        }
    }
}

impl Value {
    /// Text as a value.
    pub fn string(text: impl Into<Str>) -> Value {
        Value::String(text.into())
    }

    /// An artifact as a value.
    pub fn artifact(artifact: Artifact) -> Value {
        Value::Artifact(artifact.into())
    }

    /// A list of the given values.
    pub fn list(items: impl IntoIterator<Item = Value>) -> Value {
        Value::List(items.into_iter().collect())
    }

    /// The name of the type in error messages.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "none",
            Value::Bool(_) => "bool",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Artifact(_) => "artifact",
            Value::Result(_) => "result",
            Value::Node(_) => "node",
            Value::Name(_) => "name",
            Value::List(_) => "list",
            Value::Map(_) => "map",
        }
    }

    /// Whether a condition is true: all values but null, false, 0, "", [] and {} are.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(b) => *b,
            // NaN is true, as in the reference, where it is compared with zero.
            Value::Number(n) => *n != 0.0,
            Value::String(s) => !s.is_empty(),
            Value::List(l) => !l.is_empty(),
            Value::Map(m) => !m.is_empty(),
            Value::Artifact(_) | Value::Result(_) | Value::Node(_) | Value::Name(_) => true,
        }
    }

    /// Whether the value contains no name. Only such values can be compared, exported and cached.
    pub fn is_name_free(&self) -> bool {
        match self {
            Value::Name(_) => false,
            Value::Result(result) => result.is_name_free(),
            Value::Node(node) => node.is_name_free(),
            Value::List(list) => list.is_name_free(),
            Value::Map(map) => map.is_name_free(),
            _ => true,
        }
    }

    /// The value's identity: SHA-256 of its JSON text for atoms, with a prefix for artifacts (`@`),
    /// results (`=`), nodes (`#`) and names (`$`); Merkle for lists and maps, and computed once.
    pub fn id(&self) -> Id {
        match self {
            Value::List(list) => list.id(),
            Value::Map(map) => map.id(),
            Value::Artifact(artifact) => artifact.id(),
            Value::Result(result) => result.id(),
            Value::Node(node) => node.id(),
            Value::Name(name) => name.id(),
            Value::String(text) => Id::of_json_string(text),
            atom => Id::of(atom.to_json()),
        }
    }

    /// Whether `part` is this value, or occurs in it at any depth of lists and maps. Shared parts are searched once.
    pub fn contains(&self, part: &Value) -> bool {
        let (part, mut left, mut searched) = (part.id(), vec![self], HashSet::new());
        while let Some(value) = left.pop() {
            let id = value.id();
            if id == part {
                return true;
            }
            match value {
                Value::List(list) if searched.insert(id) => left.extend(list.iter()),
                Value::Map(map) if searched.insert(id) => left.extend(map.iter().map(|(_, value)| value)),
                _ => {}
            }
        }
        false
    }

    /// Minimal JSON text with sorted keys.
    pub fn to_json(&self) -> String {
        self.to_json_mode(JsonMode::All)
    }

    /// Minimal JSON text; `mode` is the form of values that JSON does not have.
    pub fn to_json_mode(&self, mode: JsonMode) -> String {
        let mut writer = JsonWriter::compact();
        writer.value(self, mode);
        writer.finish()
    }

    /// Minimal JSON text, if it is no longer than `limit` bytes; takes time in proportion to the limit.
    pub fn to_json_within(&self, limit: usize) -> Option<String> {
        self.to_json_mode_within(JsonMode::All, limit)
    }

    /// As [`Value::to_json_within`], in another mode.
    pub fn to_json_mode_within(&self, mode: JsonMode, limit: usize) -> Option<String> {
        let mut writer = JsonWriter::limited(limit);
        writer.value(self, mode);
        if writer.is_full() { None } else { Some(writer.finish()) }
    }

    /// Minimal JSON text, or a part of it that is longer than `limit` bytes.
    pub fn to_json_beyond(&self, limit: usize) -> String {
        let mut writer = JsonWriter::limited(limit);
        writer.value(self, JsonMode::All);
        writer.finish()
    }

    /// JSON text of at most `limit` bytes: of a longer one, only so many upper levels as fit, at least one, with `*`
    /// for what is below them.
    pub fn to_json_abbreviated(&self, limit: usize) -> String {
        let mut shown = self.to_json_beyond(limit);
        if shown.len() > limit {
            // Each level adds bytes, so this ends, and does not go deeper than the limit.
            let mut levels = 1;
            shown = self.upper_levels(levels);
            loop {
                levels += 1;
                let more = self.upper_levels(levels);
                if more.len() > limit || more == shown {
                    break;
                }
                shown = more;
            }
        }
        shown
    }

    fn upper_levels(&self, levels: usize) -> String {
        // Of a longer text the beginning is shown.
        const MAX_SHOWN_BYTES: usize = 1 << 16;
        const MAX_SHOWN_ITEMS: usize = 1 << 14;
        let joined = |items: Vec<String>| items.join(",");
        match self {
            _ if levels == 0 => "*".to_owned(),
            Value::Map(map) => {
                let entry = |(key, value): (&Str, &Value)| {
                    let key = Value::String(key.clone()).to_json_beyond(MAX_SHOWN_BYTES);
                    format!("{key}:{}", value.upper_levels(levels - 1))
                };
                format!("{{{}}}", joined(map.iter().take(MAX_SHOWN_ITEMS).map(entry).collect()))
            }
            Value::List(list) => {
                format!(
                    "[{}]",
                    joined(
                        list.iter().take(MAX_SHOWN_ITEMS).map(|item| item.upper_levels(levels - 1)).collect()
                    )
                )
            }
            Value::String(_) => self.to_json_beyond(MAX_SHOWN_BYTES),
            // Names and artifacts are lists and maps as text.
            other => upper_levels_of_text(&other.to_json_beyond(MAX_SHOWN_BYTES), levels).0,
        }
    }

    /// JSON text over several lines, `indent` blanks per level.
    pub fn to_json_pretty(&self, indent: usize) -> String {
        let mut writer = JsonWriter::pretty(indent);
        writer.value(self, JsonMode::All);
        writer.finish()
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&Str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if this is one.
    pub fn as_number(&self) -> Option<f64> {
        match self {
            Value::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The list, if this is one.
    pub fn as_list(&self) -> Option<&List> {
        match self {
            Value::List(list) => Some(list),
            _ => None,
        }
    }

    /// The map, if this is one.
    pub fn as_map(&self) -> Option<&Map> {
        match self {
            Value::Map(map) => Some(map),
            _ => None,
        }
    }

    /// The artifact, if this is one.
    pub fn as_artifact(&self) -> Option<&Artifact> {
        match self {
            Value::Artifact(artifact) => Some(artifact),
            _ => None,
        }
    }

    /// The name, if this is one.
    pub fn as_name(&self) -> Option<&EntityName> {
        match self {
            Value::Name(name) => Some(name),
            _ => None,
        }
    }

    /// The node, if this is one.
    pub fn as_node(&self) -> Option<&Node> {
        match self {
            Value::Node(node) => Some(node),
            _ => None,
        }
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Value::Null, Value::Null) => true,
            (Value::Bool(a), Value::Bool(b)) => a == b,
            (Value::String(a), Value::String(b)) => a == b,
            (Value::List(a), Value::List(b)) => a == b,
            (Value::Map(a), Value::Map(b)) => a == b,
            (Value::Artifact(a), Value::Artifact(b)) => a == b,
            (Value::Name(a), Value::Name(b)) => a == b,
            // By bits, so that 0.0 and -0.0 differ as their ids do.
            (Value::Number(a), Value::Number(b)) => a.to_bits() == b.to_bits(),
            (Value::Result(a), Value::Result(b)) => a.id() == b.id(),
            (Value::Node(a), Value::Node(b)) => a.id() == b.id(),
            _ => false,
        }
    }
}

impl Eq for Value {}

impl std::hash::Hash for Value {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_json())
    }
}

impl From<Str> for Value {
    fn from(text: Str) -> Self {
        Value::String(text)
    }
}

impl From<List> for Value {
    fn from(list: List) -> Self {
        Value::List(list)
    }
}

impl From<Map> for Value {
    fn from(map: Map) -> Self {
        Value::Map(map)
    }
}

/// Whether both are one object or plainly equal, as far as that is known without computing anything.
pub(crate) fn is_same_object(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::String(a), Value::String(b)) => a == b,
        (Value::Artifact(a), Value::Artifact(b)) => a == b,
        (Value::List(a), Value::List(b)) => a.address() == b.address(),
        (Value::Map(a), Value::Map(b)) => a.address() == b.address(),
        _ => false,
    }
}

/// Whether dropping the value may drop further values below it.
pub(crate) fn nests(value: &Value) -> bool {
    matches!(value, Value::List(_) | Value::Map(_) | Value::Node(_) | Value::Result(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_at_any_depth_and_shared_parts_are_searched_once() {
        let (part, other) = (Value::string("a"), Value::string("b"));
        // Two to the power of 200 paths lead to the part.
        let wrap = |part: &Value| {
            (0..200).fold(part.clone(), |inner, _| {
                Value::list([inner.clone(), Value::Map(Map::from_iter([(Str::from("k"), inner)]))])
            })
        };
        assert!(part.contains(&part));
        assert!(wrap(&part).contains(&part));
        assert!(!wrap(&other).contains(&part));
    }

    #[test]
    fn a_text_that_is_too_long_is_not_written_whole() {
        let long = "x".repeat(1_000_000);
        let map: Map = [(&*long, Value::Null)].into_iter().collect();
        let name = crate::NamedTarget::new("", "", &*long);
        let values = [
            Value::string(&*long),
            Value::Map(map),
            Value::list([Value::string(&*long)]),
            Value::artifact(Artifact::Local { path: (&*long).into(), repository: "".into() }),
            Value::Name(crate::EntityName::Named(name)),
        ];
        for value in values {
            let text = value.to_json_beyond(100);
            assert!((101..300).contains(&text.len()), "{}", text.len());
            assert_eq!(value.to_json_within(100), None);
            assert!(value.to_json_within(2_000_000).is_some());
        }
    }

    #[test]
    fn json_text_is_canonical() {
        let map: Map =
            [("b", Value::list([Value::Null, Value::Bool(true)])), ("a", Value::string("x\n\u{7f}"))]
                .into_iter()
                .collect();
        let value = Value::list([Value::Map(map), Value::Map(Map::default()), Value::Number(1.0)]);
        assert_eq!(value.to_json(), "[{\"a\":\"x\\n\u{7f}\",\"b\":[null,true]},{},1.0]");
        assert_eq!(Value::list([Value::list([])]).to_json_pretty(2), "[\n  []\n]");
    }

    /// The expected texts are the reference's (just 1.6.5).
    #[test]
    fn long_values_are_shown_by_their_upper_levels() {
        let file: taut_digest::ObjectInfo = "[43dd47ea691c90a5fa7827892c70241913351963:3:f]".parse().unwrap();
        let artifact = Value::artifact(crate::Artifact::Known(file));
        let stage = Value::Map([("x.txt", artifact)].into_iter().collect());
        let value = Value::list([stage, Value::string("a,]"), Value::Number(1.0)]);
        let whole = value.to_json();
        assert_eq!(value.to_json_abbreviated(whole.len()), whole);
        for (limit, expected) in [
            (0, "[*,*,*]"),
            (24, r#"[{"x.txt":*},"a,]",1.0]"#),
            (50, r#"[{"x.txt":{"data":*,"type":*}},"a,]",1.0]"#),
            (90, r#"[{"x.txt":{"data":{"file_type":*,"id":*,"size":*},"type":"KNOWN"}},"a,]",1.0]"#),
        ] {
            assert_eq!(value.to_json_abbreviated(limit), expected, "{limit}");
        }
    }

    #[test]
    fn deep_values_are_hashed_printed_and_dropped_without_overflow() {
        let mut value = Value::Null;
        for level in 0..100_000 {
            value = if level % 2 == 0 {
                Value::list([value])
            } else {
                Value::Map([("k", value)].into_iter().collect())
            };
        }
        value.id();
        assert!(value.to_json().len() > 200_000);
    }

    #[test]
    fn ids_and_equality_never_unfold_sharing() {
        let mut node = Node::new_abstract("leaf".into(), Map::default(), Map::default());
        for _ in 0..60 {
            let both = Value::list([Value::Node(node.clone()), Value::Node(node)]);
            node = Node::new_abstract("inner".into(), Map::default(), [("deps", both)].into_iter().collect());
        }
        node.id();
        assert!(Value::Node(node).to_json().len() < 1000);
    }
}
