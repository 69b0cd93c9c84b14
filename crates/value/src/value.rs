//! The value type of the expression language.

use std::{
    cmp::Ordering,
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

use crate::{Artifact, EntityName, Id, JsonMode, JsonWriter, Node, SharedArtifact, Str, TargetResult, deep};

/// A value. Cheap to clone; equality is intensional, a comparison of ids.
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
    /// The name of a target. Makes the value unfit for caching.
    Name(EntityName),
    /// A sequence of values.
    List(List),
    /// Values by key.
    Map(Map),
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

    /// The word for the type, as error messages use it.
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

    /// Whether a condition holds: all but null, false, 0, "", [] and {} do.
    pub fn is_true(&self) -> bool {
        match self {
            Value::Null => false,
            Value::Bool(b) => *b,
            Value::Number(n) => *n != 0.0,
            Value::String(s) => !s.is_empty(),
            Value::List(l) => !l.is_empty(),
            Value::Map(m) => !m.is_empty(),
            Value::Artifact(_) | Value::Result(_) | Value::Node(_) | Value::Name(_) => true,
        }
    }

    /// Whether no name occurs in the value. Only such values can be compared, exported, cached.
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

    /// Minimal JSON text with sorted keys.
    pub fn to_json(&self) -> String {
        self.to_json_mode(JsonMode::All)
    }

    /// Minimal JSON text; `mode` says how values appear that JSON does not have.
    pub fn to_json_mode(&self, mode: JsonMode) -> String {
        let mut writer = JsonWriter::compact();
        writer.value(self, mode);
        writer.finish()
    }

    /// JSON text over several lines, `indent` blanks a level.
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

    /// The result, if this is one.
    pub fn as_result(&self) -> Option<&TargetResult> {
        match self {
            Value::Result(result) => Some(result),
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
            // By text, so that 0.0 and -0.0 differ as their ids do.
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

/// A shared list of values.
///
/// Like empty maps, empty lists are nothing at all: they are everywhere, and a shared one would have all
/// threads count its references.
#[derive(Clone, Default)]
pub struct List(Option<Arc<ListData>>);

struct ListData {
    items: Vec<Value>,
    name_free: bool,
    id: OnceLock<Id>,
}

impl List {
    /// The values.
    pub fn as_slice(&self) -> &[Value] {
        self.0.as_ref().map_or(&[], |data| &data.items)
    }

    /// Tells this list's data from all other that lives now; all empty lists are one.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ref().map_or(0, |data| Arc::as_ptr(data) as usize)
    }

    fn is_name_free(&self) -> bool {
        self.0.as_ref().is_none_or(|data| data.name_free)
    }

    /// SHA-256 of `[` and the ids of the values.
    pub fn id(&self) -> Id {
        static EMPTY: LazyLock<Id> = LazyLock::new(|| Id::of("["));
        let Some(data) = &self.0 else { return *EMPTY };
        *data.id.get_or_init(|| {
            deep(|| {
                let mut ids = Vec::with_capacity(1 + 32 * self.len());
                ids.push(b'[');
                self.iter().for_each(|item| ids.extend_from_slice(&item.id().0));
                Id::of(ids)
            })
        })
    }
}

impl std::ops::Deref for List {
    type Target = [Value];
    fn deref(&self) -> &[Value] {
        self.as_slice()
    }
}

impl From<Vec<Value>> for List {
    fn from(items: Vec<Value>) -> Self {
        if items.is_empty() {
            return List(None);
        }
        let name_free = items.iter().all(Value::is_name_free);
        List(Some(Arc::new(ListData { items, name_free, id: OnceLock::new() })))
    }
}

impl FromIterator<Value> for List {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        List::from(items.into_iter().collect::<Vec<_>>())
    }
}

impl PartialEq for List {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address() || (self.len() == other.len() && self.id() == other.id())
    }
}

impl Drop for ListData {
    fn drop(&mut self) {
        if self.items.iter().any(nests) {
            let items = std::mem::take(&mut self.items);
            deep(|| drop(items));
        }
    }
}

/// A shared map, sorted by the bytes of its keys.
#[derive(Clone, Default)]
pub struct Map(Option<Arc<MapData>>);

struct MapData {
    entries: Vec<(Str, Value)>,
    name_free: bool,
    id: OnceLock<Id>,
}

impl Map {
    /// Tells this map's data from all other that lives now; all empty maps are one.
    pub(crate) fn address(&self) -> usize {
        self.0.as_ref().map_or(0, |data| Arc::as_ptr(data) as usize)
    }

    fn entries(&self) -> &[(Str, Value)] {
        self.0.as_ref().map_or(&[], |data| &data.entries)
    }

    pub(crate) fn is_name_free(&self) -> bool {
        self.0.as_ref().is_none_or(|data| data.name_free)
    }

    /// A map from entries in any order; of entries with equal keys the last one counts.
    pub fn from_entries(mut entries: Vec<(Str, Value)>) -> Map {
        if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            // Keep the last of equal keys: the sort is stable, so it is the last of its run.
            entries.reverse();
            entries.dedup_by(|(a, _), (b, _)| a == b);
            entries.reverse();
        }
        Map::from_sorted(entries)
    }

    fn from_sorted(entries: Vec<(Str, Value)>) -> Map {
        if entries.is_empty() {
            return Map(None);
        }
        let name_free = entries.iter().all(|(_, value)| value.is_name_free());
        Map(Some(Arc::new(MapData { entries, name_free, id: OnceLock::new() })))
    }

    /// The value at a key.
    pub fn get(&self, key: &str) -> Option<&Value> {
        let entries = self.entries();
        let at = entries.binary_search_by(|(k, _)| k.as_str().cmp(key)).ok()?;
        Some(&entries[at].1)
    }

    /// Whether there is a value at a key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.entries().len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// All entries, by key.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Str, &Value)> + ExactSizeIterator {
        self.entries().iter().map(|(key, value)| (key, value))
    }

    /// All keys, sorted.
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Str> + ExactSizeIterator {
        self.entries().iter().map(|(key, _)| key)
    }

    /// All values, by key.
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.entries().iter().map(|(_, value)| value)
    }

    /// Both maps together; at equal keys `later` wins. Linear in both sizes; one of the two itself if it is the
    /// result.
    pub fn union(&self, later: &Map) -> Map {
        match self.merge(later, |_, a, b| Ok::<_, std::convert::Infallible>(is_same_object(a, b))) {
            Ok(map) => map,
            Err(never) => match never {},
        }
    }

    /// Both maps together, where equal keys have equal values.
    ///
    /// # Errors
    /// The first key with different values, this map's and the other's.
    pub fn disjoint_union<'m>(&'m self, other: &'m Map) -> Result<Map, (&'m Str, &'m Value, &'m Value)> {
        self.merge(other, |key, a, b| if a == b { Ok(true) } else { Err((key, a, b)) })
    }

    /// `same` says whether two values at the same key are interchangeable.
    fn merge<'m, E>(
        &'m self,
        later: &'m Map,
        mut same: impl FnMut(&'m Str, &'m Value, &'m Value) -> Result<bool, E>,
    ) -> Result<Map, E> {
        if later.is_empty() || self.address() == later.address() {
            return Ok(self.clone());
        }
        if self.is_empty() {
            return Ok(later.clone());
        }
        let (a, b) = (self.entries(), later.entries());
        let mut entries = Vec::with_capacity(a.len() + b.len());
        let (mut i, mut j) = (0, 0);
        // Whether all that was taken from `later` is in this map, too.
        let mut nothing_new = true;
        let far_apart = a.len() / 8 > b.len() || b.len() / 8 > a.len();
        while i < a.len() && j < b.len() {
            let ((ka, va), (kb, vb)) = (&a[i], &b[j]);
            let order = if std::ptr::eq(ka.as_ptr(), kb.as_ptr()) && ka.len() == kb.len() {
                Ordering::Equal
            } else {
                ka.cmp(kb)
            };
            match order {
                Ordering::Less => {
                    let run = if far_apart { before(&a[i..], kb) } else { 1 };
                    entries.extend_from_slice(&a[i..i + run]);
                    i += run;
                }
                Ordering::Greater => {
                    let run = if far_apart { before(&b[j..], ka) } else { 1 };
                    entries.extend_from_slice(&b[j..j + run]);
                    nothing_new = false;
                    j += run;
                }
                Ordering::Equal => {
                    nothing_new &= same(ka, va, vb)?;
                    entries.push(b[j].clone());
                    (i, j) = (i + 1, j + 1);
                }
            }
        }
        nothing_new &= j == b.len();
        if nothing_new {
            return Ok(self.clone());
        }
        entries.extend_from_slice(&a[i..]);
        entries.extend_from_slice(&b[j..]);
        if entries.len() == b.len() {
            return Ok(later.clone());
        }
        entries.shrink_to_fit();
        Ok(Map::from_sorted(entries))
    }

    /// SHA-256 of `{` and, by key, SHA-256 of the key and the value's id.
    pub fn id(&self) -> Id {
        static EMPTY: LazyLock<Id> = LazyLock::new(|| Id::of("{"));
        let Some(data) = &self.0 else { return *EMPTY };
        *data.id.get_or_init(|| {
            deep(|| {
                let mut ids = Vec::with_capacity(1 + 64 * self.len());
                ids.push(b'{');
                for (key, value) in self.iter() {
                    ids.extend_from_slice(&Id::of(key.as_str()).0);
                    ids.extend_from_slice(&value.id().0);
                }
                Id::of(ids)
            })
        })
    }
}

impl<K: Into<Str>> FromIterator<(K, Value)> for Map {
    fn from_iter<I: IntoIterator<Item = (K, Value)>>(entries: I) -> Self {
        Map::from_entries(entries.into_iter().map(|(key, value)| (key.into(), value)).collect())
    }
}

impl PartialEq for Map {
    fn eq(&self, other: &Self) -> bool {
        self.address() == other.address() || (self.len() == other.len() && self.id() == other.id())
    }
}

impl Eq for Map {}

impl std::hash::Hash for Map {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl fmt::Debug for Map {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Value::Map(self.clone()).to_json())
    }
}

impl Drop for MapData {
    fn drop(&mut self) {
        if self.entries.iter().any(|(_, value)| nests(value)) {
            let entries = std::mem::take(&mut self.entries);
            deep(|| drop(entries));
        }
    }
}

/// How many entries come before a key; the first one does.
fn before(entries: &[(Str, Value)], key: &Str) -> usize {
    let mut step = 1;
    while step < entries.len() && entries[step].0 < *key {
        step *= 2;
    }
    let known = step / 2;
    known + entries[known..step.min(entries.len())].partition_point(|(other, _)| other < key)
}

/// Whether both are one object or plainly equal, as far as that can be seen without computing anything.
fn is_same_object(a: &Value, b: &Value) -> bool {
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

/// Collects the entries of a map in any order.
#[derive(Default)]
pub struct MapBuilder(Vec<(Str, Value)>);

impl MapBuilder {
    /// Adds an entry; a later one with the same key replaces it.
    pub fn insert(&mut self, key: impl Into<Str>, value: impl Into<Value>) -> &mut Self {
        self.0.push((key.into(), value.into()));
        self
    }

    /// The map.
    pub fn build(&mut self) -> Map {
        Map::from_entries(std::mem::take(&mut self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn unions_of_maps_of_any_size_are_those_of_a_naive_model() {
        use std::collections::BTreeMap;
        let numbers = |count: usize, step: usize, from: usize, value: f64| -> BTreeMap<String, f64> {
            (0..count).map(|n| (format!("{:04}", from + n * step), value)).collect()
        };
        let map = |model: &BTreeMap<String, f64>| -> Map {
            model.iter().map(|(key, number)| (key.as_str(), Value::Number(*number))).collect()
        };
        for (count, step) in [(0, 1), (1, 1), (3, 7), (40, 3), (200, 1)] {
            for (other_count, other_step, from) in
                [(1, 1, 0), (1, 1, 20), (1, 1, 900), (5, 40, 3), (60, 2, 10)]
            {
                let (a, b) = (numbers(count, step, 5, 1.0), numbers(other_count, other_step, from, 2.0));
                let mut both = a.clone();
                both.extend(b.clone());
                assert_eq!(map(&a).union(&map(&b)), map(&both));
                let first = a.keys().find(|key| b.contains_key(*key));
                let (a, b) = (map(&a), map(&b));
                match a.disjoint_union(&b) {
                    Ok(union) => assert_eq!((first, union), (None, map(&both))),
                    Err((key, ..)) => assert_eq!(first.map(String::as_str), Some(key.as_str())),
                }
                assert_eq!(a.disjoint_union(&a), Ok(a.clone()));
            }
        }
    }

    #[test]
    fn of_equal_keys_the_last_counts_and_unions_prefer_the_later_map() {
        let one = Map::from_entries(vec![("a".into(), Value::Null), ("a".into(), Value::Bool(true))]);
        assert_eq!(one.get("a"), Some(&Value::Bool(true)));
        let both = one.union(&[("a", Value::Bool(false)), ("0", Value::Null)].into_iter().collect());
        assert_eq!(Value::Map(both).to_json(), r#"{"0":null,"a":false}"#);
    }

    #[test]
    fn a_hundred_thousand_levels_are_hashed_printed_and_dropped() {
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
    fn sharing_is_never_unfolded() {
        let mut node = Node::new_abstract("leaf".into(), Map::default(), Map::default());
        for _ in 0..60 {
            let both = Value::list([Value::Node(node.clone()), Value::Node(node)]);
            node = Node::new_abstract("inner".into(), Map::default(), [("deps", both)].into_iter().collect());
        }
        node.id();
        assert!(Value::Node(node).to_json().len() < 1000);
    }
}
