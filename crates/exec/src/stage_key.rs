//! Keys of directories that many actions share: by the definition of all their entries.
//!
//! A key contains the whole definition, so a process that has not split the stage can build it. It begins with its id,
//! which is enough for comparisons. Equal keys are one object in memory: a directory that was split off, or decoded,
//! before is found by its id or by a quick hash (and then compared), so that nothing is made, hashed or kept twice.
//! That needs the static table: [`Key::decode`] has no other argument, and thousands of recorded runs contain the same
//! key.
//!
//! Rejected: names of definitions as keys, looked up like those of actions. A shared directory has no owner that would
//! have to be analysed in the next process; a key that contains everything costs bytes once per directory, not per
//! action.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hash as _, Hasher},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use rustc_hash::FxHasher;
use taut_engine::Key;
use taut_value::path::is_normal;
use taut_value::{Decoder, Encoder, Id, SharedArtifact, Str};

/// How deep keys are nested at most.
// A bound, since keys are written, read and dropped by recursion.
pub(crate) const MAX_NESTING: u8 = 8;

/// A stage, or the rest of it, in parts.
#[derive(Clone, Default, Debug)]
pub(crate) struct Parts {
    /// Artifacts by path.
    pub(crate) entries: Vec<(Str, SharedArtifact)>,
    /// Directories that are tasks of their own, by path.
    pub(crate) below: Vec<(Str, StageKey)>,
}

/// The parts of a key to be looked up, borrowed.
pub(crate) struct PartsRef<'p> {
    pub(crate) entries: Vec<(&'p str, &'p SharedArtifact)>,
    pub(crate) below: Vec<(&'p str, &'p StageKey)>,
}

impl Parts {
    fn as_ref(&self) -> PartsRef<'_> {
        PartsRef {
            entries: self.entries.iter().map(|(path, artifact)| (path.as_str(), artifact)).collect(),
            below: self.below.iter().map(|(path, key)| (path.as_str(), key)).collect(),
        }
    }

    /// A Merkle hash: nested directories contribute their ids.
    fn id(&self) -> Id {
        let mut encoder = Encoder::new();
        encode_entries(&mut encoder, &self.entries);
        for (path, key) in &self.below {
            encoder.text(path);
            encoder.id(&key.id());
        }
        // A prefix of its own, so that the id of no other definition can be the same.
        Id::of([&b"stage"[..], &encoder.finish()].concat())
    }
}

impl PartsRef<'_> {
    fn hash(&self) -> u64 {
        // Only a hint: candidates with the same hash are compared.
        let mut hasher = FxHasher::default();
        for (path, artifact) in &self.entries {
            (path, &***artifact).hash(&mut hasher);
        }
        self.below.hash(&mut hasher);
        hasher.finish()
    }

    /// Whether all paths are normalised, and none is below another. Other stages may be invalid, which is reported for
    /// the whole stage.
    fn is_sound(&self) -> bool {
        let paths = self.entries.iter().map(|(path, _)| *path);
        let mut paths: Vec<&str> = paths.chain(self.below.iter().map(|(path, _)| *path)).collect();
        paths.sort_unstable();
        let lies_in = |path: &str| {
            let inside = format!("{path}/");
            let at = paths.partition_point(|other| *other < inside.as_str());
            paths.get(at).is_some_and(|other| other.starts_with(&inside))
        };
        // Strictly: equal paths are a conflict.
        paths.is_sorted_by(|a, b| a < b) && paths.iter().all(|path| is_normal(path) && !lies_in(path))
    }

    fn is_of(&self, parts: &Parts) -> bool {
        let mut entries = parts.entries.iter().zip(&self.entries);
        let mut below = parts.below.iter().zip(&self.below);
        (parts.entries.len(), parts.below.len()) == (self.entries.len(), self.below.len())
            && entries.all(|(own, (path, artifact))| own.0 == **path && own.1 == **artifact)
            && below.all(|(own, (path, key))| own.0 == **path && own.1 == **key)
    }
}

/// Identifies a directory by the definition of all its entries.
#[derive(Clone)]
pub struct StageKey(Arc<SubStage>);

struct SubStage {
    id: Id,
    parts: Parts,
}

impl StageKey {
    /// The key for these parts; `None` if they may form no directory.
    pub(crate) fn of(wanted: &PartsRef<'_>) -> Option<StageKey> {
        let hash = wanted.hash();
        // The lock is released for the comparison, which can be long; `interned` looks the id up again under the lock.
        let candidates = INTERNED.lock().unwrap_or_else(PoisonError::into_inner).by_quick_hash(hash);
        if let Some(key) = candidates.into_iter().find(|key| wanted.is_of(key.parts())) {
            return Some(key);
        }
        if !wanted.is_sound() {
            return None;
        }
        let entries = wanted.entries.iter().map(|(path, artifact)| (Str::from(*path), (*artifact).clone()));
        let below = wanted.below.iter().map(|(path, key)| (Str::from(*path), (*key).clone()));
        let parts = Parts { entries: entries.collect(), below: below.collect() };
        Some(StageKey::interned(parts.id(), parts, hash))
    }

    fn interned(id: Id, parts: Parts, hash: u64) -> StageKey {
        let mut known = INTERNED.lock().unwrap_or_else(PoisonError::into_inner);
        // Another thread may have added the same key since the lock was released.
        known.by_id(&id).unwrap_or_else(|| {
            let key = StageKey(Arc::new(SubStage { id, parts }));
            known.add(hash, &key);
            key
        })
    }

    /// The id of the definition. It is internal: it occurs only in this process and the engine's files.
    pub fn id(&self) -> Id {
        self.0.id
    }

    pub(crate) fn parts(&self) -> &Parts {
        &self.0.parts
    }

    fn write(&self, encoder: &mut Encoder) {
        encode_entries(encoder, &self.parts().entries);
        encoder.number(self.parts().below.len() as u64);
        for (path, key) in &self.parts().below {
            encoder.text(path);
            key.write(encoder);
        }
    }

    fn read(decoder: &mut Decoder<'_>, level: u8) -> Option<StageKey> {
        // Bytes from a file must not decide how deep this recursion goes.
        if level > MAX_NESTING {
            return None;
        }
        // No capacity is reserved: the counts come from a file, and each entry is decoded before the next.
        let mut parts = Parts::default();
        for _ in 0..decoder.number()? {
            parts.entries.push((decoder.text()?, decoder.artifact()?.into()));
        }
        for _ in 0..decoder.number()? {
            parts.below.push((decoder.text()?, StageKey::read(decoder, level + 1)?));
        }
        let hash = parts.as_ref().hash();
        Some(StageKey::interned(parts.id(), parts, hash))
    }
}

fn encode_entries(encoder: &mut Encoder, entries: &[(Str, SharedArtifact)]) {
    encoder.number(entries.len() as u64);
    for (path, artifact) in entries {
        encoder.text(path);
        encoder.artifact(artifact);
    }
}

impl PartialEq for StageKey {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for StageKey {}

impl std::hash::Hash for StageKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl std::fmt::Debug for StageKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Parts { entries, below } = self.parts();
        write!(f, "{} of {} artifacts and {} stages", self.id(), entries.len(), below.len())
    }
}

impl Key for StageKey {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new();
        encoder.id(&self.id());
        self.write(&mut encoder);
        out.extend(encoder.finish());
    }

    fn decode(bytes: &[u8]) -> Option<StageKey> {
        let mut decoder = Decoder::new(bytes);
        let id = decoder.id()?;
        if let Some(key) = INTERNED.lock().unwrap_or_else(PoisonError::into_inner).by_id(&id) {
            return Some(key);
        }
        let key = StageKey::read(&mut decoder, 0)?;
        // The id is recomputed from the parts: damaged bytes never yield a wrong key.
        (decoder.is_done() && key.id() == id).then_some(key)
    }
}

type ByQuickHash<K, V> = HashMap<K, V, BuildHasherDefault<FxHasher>>;

/// The keys in use. Weak references: the table keeps no key alive.
struct InternTable {
    ids: ByQuickHash<Id, Weak<SubStage>>,
    quick_hashes: ByQuickHash<u64, Vec<Weak<SubStage>>>,
    /// The number of keys at which unused ones are removed. Afterwards it is twice the number of keys that remain, so
    /// removal takes constant time per key on average.
    limit: usize,
}

static INTERNED: Mutex<InternTable> = Mutex::new(InternTable {
    ids: HashMap::with_hasher(BuildHasherDefault::new()),
    quick_hashes: HashMap::with_hasher(BuildHasherDefault::new()),
    // Small builds never come so far, and never search the table.
    limit: 1024,
});

impl InternTable {
    fn by_id(&self, id: &Id) -> Option<StageKey> {
        self.ids.get(id)?.upgrade().map(StageKey)
    }

    fn by_quick_hash(&self, hash: u64) -> Vec<StageKey> {
        let known = self.quick_hashes.get(&hash).into_iter().flatten();
        known.filter_map(|known| known.upgrade().map(StageKey)).collect()
    }

    fn add(&mut self, hash: u64, key: &StageKey) {
        if self.ids.len() >= self.limit {
            let is_in_use = |known: &Weak<SubStage>| known.strong_count() > 0;
            self.ids.retain(|_, known| is_in_use(known));
            self.quick_hashes.retain(|_, known| {
                known.retain(is_in_use);
                !known.is_empty()
            });
            self.limit = 1024.max(2 * self.ids.len());
        }
        self.ids.insert(key.id(), Arc::downgrade(&key.0));
        self.quick_hashes.entry(hash).or_default().push(Arc::downgrade(&key.0));
    }
}

#[cfg(test)]
mod tests {
    use taut_value::Artifact;

    use super::*;

    fn key(names: &[&str], below: &[(&str, &StageKey)]) -> StageKey {
        let artifact = |name: &str| Artifact::Local { path: name.into(), repository: "".into() };
        let artifacts: Vec<(&str, SharedArtifact)> =
            names.iter().map(|name| (*name, artifact(name).into())).collect();
        let entries = artifacts.iter().map(|(path, artifact)| (*path, artifact)).collect();
        StageKey::of(&PartsRef { entries, below: below.to_vec() }).unwrap()
    }

    fn bytes(key: &StageKey) -> Vec<u8> {
        let mut bytes = Vec::new();
        key.encode(&mut bytes);
        bytes
    }

    #[test]
    fn equal_keys_are_one_object_whether_split_or_decoded() {
        let inner = key(&["inner", "x"], &[]);
        let outer = key(&["outer"], &[("a/b", &inner), ("c", &inner)]);
        let (id, written) = (outer.id(), bytes(&outer));
        let same = |other: &StageKey| Arc::ptr_eq(&other.0, &outer.0);
        assert!(same(&key(&["outer"], &[("a/b", &inner), ("c", &inner)])));
        assert!(same(&StageKey::decode(&written).unwrap()));
        // As in another process: no key is in use.
        drop((inner, outer));
        let read = StageKey::decode(&written).unwrap();
        assert_eq!((read.id(), bytes(&read)), (id, written));
        let inner = key(&["inner", "x"], &[]);
        assert!(Arc::ptr_eq(&read.parts().below[0].1.0, &inner.0));
        assert!(Arc::ptr_eq(&read.0, &key(&["outer"], &[("a/b", &inner), ("c", &inner)]).0));
    }

    #[test]
    fn damaged_keys_do_not_decode() {
        let whole = bytes(&key(&["damaged"], &[("below", &key(&["damaged below"], &[]))]));
        for end in 0..whole.len() {
            assert_eq!(StageKey::decode(&whole[..end]), None, "{end}");
        }
        let mut other = whole.clone();
        *other.last_mut().unwrap() ^= 1;
        assert_eq!(StageKey::decode(&other), None);
        let mut other = whole;
        other[0] ^= 1;
        assert_eq!(StageKey::decode(&other), None);
    }

    #[test]
    fn keys_out_of_use_are_removed_from_the_table() {
        for round in 0..3000 {
            key(&["forgotten", &round.to_string()], &[]);
        }
        assert!(INTERNED.lock().unwrap_or_else(PoisonError::into_inner).ids.len() < 2500);
    }
}
