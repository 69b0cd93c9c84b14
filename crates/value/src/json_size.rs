//! The length of the JSON text of a value, computed without writing it.
//!
//! Values share their parts, so a value of sixty lists can have a text of 2^60 entries. Code that would write a text
//! checks its length first; each shared part is measured once.

use rustc_hash::FxHashMap;

use crate::{Id, JsonMode, Map, Node, TargetResult, Value, deep, escape_into};

/// Measures values; parts that were measured before are remembered.
#[derive(Default)]
pub struct JsonSize {
    known: FxHashMap<(Id, bool), u64>,
}

impl JsonSize {
    /// The number of bytes of the compact JSON text with everything in it; saturates at the largest number.
    pub fn of(&mut self, value: &Value) -> u64 {
        self.value(value, JsonMode::All)
    }

    /// As [`JsonSize::of`], for a map.
    pub fn of_map(&mut self, map: &Map) -> u64 {
        self.value(&Value::Map(map.clone()), JsonMode::All)
    }

    fn value(&mut self, value: &Value, mode: JsonMode) -> u64 {
        // A part is measured for each mode: a node in it is its whole text in one, its id in the other.
        let is_all = mode == JsonMode::All;
        match value {
            Value::List(list) => self.once((list.id(), is_all), |sizes| {
                let items = list.iter().map(|item| sizes.value(item, mode).saturating_add(1));
                items.fold(2, u64::saturating_add)
            }),
            Value::Map(map) => self.once((map.id(), is_all), |sizes| {
                let entries = map
                    .iter()
                    .map(|(key, value)| sizes.value(value, mode).saturating_add(text_size(key) + 2));
                entries.fold(2, u64::saturating_add)
            }),
            Value::String(text) => text_size(text),
            Value::Result(result) => self.result(result),
            Value::Node(node) if is_all => self.node(node),
            // These have short texts: atoms, artifacts, names, and nodes as ids.
            other => other.to_json_mode(mode).len() as u64,
        }
    }

    fn once(&mut self, key: (Id, bool), measure: impl FnOnce(&mut JsonSize) -> u64) -> u64 {
        if let Some(size) = self.known.get(&key) {
            return *size;
        }
        let size = deep(|| measure(self));
        self.known.insert(key, size);
        size
    }

    fn maps(&mut self, maps: [&Map; 3]) -> u64 {
        let sizes = maps.map(|map| self.value(&Value::Map(map.clone()), JsonMode::AllButNodes));
        sizes.into_iter().fold(FIELD_NAMES_BYTES, u64::saturating_add)
    }

    /// The size of a result.
    pub fn result(&mut self, result: &TargetResult) -> u64 {
        self.maps([&result.artifacts, &result.provides, &result.runfiles])
    }

    /// The size of a node; the nodes below it count as their ids.
    pub fn node(&mut self, node: &Node) -> u64 {
        match node {
            Node::Value(result) => self.result(result).saturating_add(FIELD_NAMES_BYTES),
            Node::Abstract(node) => {
                let fields = self.maps([&node.string_fields, &node.target_fields, &Map::default()]);
                fields.saturating_add(text_size(&node.node_type))
            }
        }
    }
}

/// An estimate of the bytes of the field names of results and nodes.
// An estimate is enough: the limits that it is compared with are in gibibytes.
const FIELD_NAMES_BYTES: u64 = 60;

fn text_size(text: &str) -> u64 {
    if text.bytes().all(|byte| byte >= b' ' && byte != b'"' && byte != b'\\') {
        return text.len() as u64 + 2;
    }
    // Escapes make it longer; measured in pieces, so that no second text of that length is made.
    let (mut size, mut rest, mut piece) = (2, text, String::new());
    while !rest.is_empty() {
        let (now, later) = rest.split_at(rest.floor_char_boundary(4096.min(rest.len())));
        piece.clear();
        escape_into(now, &mut piece);
        size += piece.len() as u64 - 2;
        rest = later;
    }
    size
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_computed_size_is_the_length_of_the_text() {
        let map: Map = [("k\n", Value::string("a\"b")), ("n", Value::Number(1.5))].into_iter().collect();
        let value = Value::list([Value::Map(map), Value::Null, Value::list([])]);
        let size = JsonSize::default().of(&value);
        // Each container counts one separator too many.
        assert!((value.to_json().len() as u64..value.to_json().len() as u64 + 3).contains(&size), "{size}");
    }

    #[test]
    fn shared_parts_are_measured_once() {
        let mut value = Value::string("x");
        for _ in 0..100 {
            value = Value::list([value.clone(), value]);
        }
        assert_eq!(JsonSize::default().of(&value), u64::MAX);
        let map: Map = [("k", value)].into_iter().collect();
        let label = map.to_label();
        assert!(
            label.len() < 5000 && label.ends_with(&format!("… (the whole of it is {})", map.id())),
            "{label}"
        );
    }

    #[test]
    fn exponentially_large_results_have_an_id() {
        let result = |last: &str| {
            let mut value = Value::string(last);
            for _ in 0..100 {
                value = Value::list([value.clone(), value]);
            }
            TargetResult::new(Map::default(), Map::default(), [("p", value)].into_iter().collect())
        };
        assert_eq!(result("x").id(), result("x").id());
        assert_ne!(result("x").id(), result("y").id());
    }
}
