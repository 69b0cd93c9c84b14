//! Maps from texts to values: sorted, shared, and merged without looking into values that only one of them has.

use std::{
    cmp::Ordering,
    fmt,
    sync::{Arc, LazyLock, OnceLock},
};

use crate::{
    Id, Str, Value, deep,
    value::{is_same_object, nests},
};

/// A shared map, sorted by the bytes of its keys.
#[derive(Clone, Default)]
pub struct Map(Option<Arc<MapData>>);

struct MapData {
    // A sorted vector, not a tree: maps are built once, read often, and merged in linear time.
    entries: Vec<(Str, Value)>,
    name_free: bool,
    id: OnceLock<Id>,
}

impl Map {
    /// The address of this map's data, which no other living data has; that of empty maps is the same for all.
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
        // Strictly: entries in order that have equal keys have to lose some, too.
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
        // From the flags of the values, once: a check never walks down.
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

    /// Whether it is empty.
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

    /// The union; at equal keys `later` wins. Linear in both sizes; returns one of the two itself if it equals the
    /// union.
    pub fn union(&self, later: &Map) -> Map {
        // By address, not by id: to hash two values costs more than the new map that their equality could save.
        match self.merge(later, |_, a, b| Ok::<_, std::convert::Infallible>(is_same_object(a, b))) {
            Ok(map) => map,
            Err(never) => match never {},
        }
    }

    /// The union of maps in which equal keys have equal values.
    ///
    /// # Errors
    /// The first key with different values, this map's and the other's.
    pub fn disjoint_union<'m>(&'m self, other: &'m Map) -> Result<Map, (&'m Str, &'m Value, &'m Value)> {
        self.merge(other, |key, a, b| if a == b { Ok(true) } else { Err((key, a, b)) })
    }

    /// `same` decides whether two values at one key are interchangeable.
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
        // Whether everything from `later` is in this map as well.
        let mut nothing_new = true;
        // A small map is often merged into a large one, as when one entry is added. Then exponential search skips the
        // entries between two keys; for maps of similar sizes it would only cost more comparisons.
        let far_apart = a.len() / 8 > b.len() || b.len() / 8 > a.len();
        while i < a.len() && j < b.len() {
            let ((ka, va), (kb, vb)) = (&a[i], &b[j]);
            // Equal keys are often the same shared text, which needs no comparison of bytes.
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
                    // The later value, also where both are interchangeable: then it is the same object.
                    entries.push(b[j].clone());
                    (i, j) = (i + 1, j + 1);
                }
            }
        }
        nothing_new &= j == b.len();
        // The same object: its id may be computed already, and encoders write a shared object once.
        if nothing_new {
            return Ok(self.clone());
        }
        entries.extend_from_slice(&a[i..]);
        entries.extend_from_slice(&b[j..]);
        // All keys are in `later`, and at each of them its value counts.
        if entries.len() == b.len() {
            return Ok(later.clone());
        }
        // The capacity was for maps without a common key; maps are kept for the whole build.
        entries.shrink_to_fit();
        Ok(Map::from_sorted(entries))
    }

    /// Minimal JSON text; of a text longer than 64 KiB the beginning and the id, which together still identify it. For
    /// messages and records: values that share their parts may be exponentially large as text.
    pub fn to_label(&self) -> String {
        const MAX_LABEL_BYTES: usize = 64 << 10;
        const MAX_SHOWN_BYTES: usize = 256;
        let mut text = Value::Map(self.clone()).to_json_beyond(MAX_LABEL_BYTES);
        if text.len() > MAX_LABEL_BYTES {
            text.truncate(text.floor_char_boundary(MAX_SHOWN_BYTES));
            text.push_str(&format!("… (the whole of it is {})", self.id()));
        }
        text
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
                    // The key as a hash: with parts of one length, different maps never give the same bytes.
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
        // The length first, since an id that was not needed yet is expensive.
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
        f.write_str(&self.to_label())
    }
}

impl Drop for MapData {
    fn drop(&mut self) {
        // Most maps have only atoms, for which the stack need not be checked.
        if self.entries.iter().any(|(_, value)| nests(value)) {
            let entries = std::mem::take(&mut self.entries);
            deep(|| drop(entries));
        }
    }
}

/// The number of entries before a key, by exponential search from the beginning.
fn before(entries: &[(Str, Value)], key: &Str) -> usize {
    let mut step = 1;
    while step < entries.len() && entries[step].0 < *key {
        step *= 2;
    }
    // The last position that is known to be before the key (galloping search; Bentley and Yao, 1976).
    let known = step / 2;
    known + entries[known..step.min(entries.len())].partition_point(|(other, _)| other < key)
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
    fn unions_agree_with_a_naive_model() {
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
    fn the_last_of_equal_keys_counts_and_unions_prefer_the_later_map() {
        let one = Map::from_entries(vec![("a".into(), Value::Null), ("a".into(), Value::Bool(true))]);
        assert_eq!(one.get("a"), Some(&Value::Bool(true)));
        let both = one.union(&[("a", Value::Bool(false)), ("0", Value::Null)].into_iter().collect());
        assert_eq!(Value::Map(both).to_json(), r#"{"0":null,"a":false}"#);
    }
}
