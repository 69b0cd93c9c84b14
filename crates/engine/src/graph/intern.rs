//! From typed keys to dense node numbers: one sharded map per rule.
//!
//! A shard is locked while a fresh node is made, so that a key gets one number. What is called under that lock
//! (`fresh`) takes the locks of `graph/core.rs`; nothing that holds one of those interns a key of the same rule.

use std::collections::HashMap;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher};

use crate::Key;
use crate::graph::ids::NodeId;
use crate::sync::{Arc, Mutex, lock};

/// Shards of a map, so that threads rarely contend for a lock.
// Four bits of a hash choose one. More would take memory for each rule, and few machines run more threads here.
const SHARDS: usize = 16;

/// A fast, not collision-resistant hasher: keys come from the user's own descriptions.
#[derive(Default)]
// FxHash's scheme (rotate, xor, multiply) with another constant and one more step at the end. `DefaultHasher` is
// SipHash, which resists chosen keys and costs several times as much for short ones.
pub(crate) struct FastHasher(u64);

// The index of keys in a file is ordered by it (`persist/snapshot.rs`, `key_hash`), so it is a part of that format.
impl Hasher for FastHasher {
    fn finish(&self) -> u64 {
        // The map takes its buckets from the low bits and its tags from the high ones: stir once more.
        (self.0 ^ (self.0 >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    // Words of eight bytes, little endian on every machine, since a file may be read on another one. The length is
    // not mixed in here: `Hash` of slices and texts adds it or an end mark.
    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.write_u64(u64::from_le_bytes(*word));
        }
        if !rest.is_empty() {
            let mut word = [0; 8];
            word[..rest.len()].copy_from_slice(rest);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u8(&mut self, value: u8) {
        self.write_u64(value.into());
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(value.into());
    }

    fn write_usize(&mut self, value: usize) {
        self.write_u64(value as u64);
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = (self.0.rotate_left(23) ^ value).wrapping_mul(0xd6e8_feb8_6659_fd93);
    }
}

pub(crate) type BuildFastHasher = BuildHasherDefault<FastHasher>;

/// The keys of one rule that the engine has seen.
pub(crate) struct Interner<K> {
    shards: [Mutex<HashMap<K, NodeId, BuildFastHasher>>; SHARDS],
}

impl<K: Key> Interner<K> {
    pub(crate) fn new() -> Interner<K> {
        Interner { shards: std::array::from_fn(|_| Mutex::default()) }
    }

    fn shard(&self, key: &K) -> &Mutex<HashMap<K, NodeId, BuildFastHasher>> {
        // The high bits: the map of a shard takes its buckets from the low ones, which would then be alike in it.
        &self.shards[(BuildFastHasher::default().hash_one(key) >> 60) as usize % SHARDS]
    }

    /// The number of `key`, if it was seen before.
    pub(crate) fn find(&self, key: &K) -> Option<NodeId> {
        lock(self.shard(key)).get(key).copied()
    }

    /// The number of `key`; `fresh` makes one (and the node) if it was not seen before.
    // The key is kept twice, in the map and in its node: with one shared `Arc` each look-up would follow a pointer
    // for each key that it compares.
    pub(crate) fn intern(&self, key: K, fresh: impl FnOnce(Arc<K>) -> NodeId) -> NodeId {
        let mut shard = lock(self.shard(&key));
        if let Some(id) = shard.get(&key) {
            return *id;
        }
        let id = fresh(Arc::new(key.clone()));
        shard.insert(key, id);
        id
    }
}
