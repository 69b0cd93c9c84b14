//! An in-memory cache of small blobs.
//!
//! Outputs of one action are read by the next ones, and most of them are small: to open, read and hash a file of some
//! bytes costs more than to keep it. An entry is never stale, since its key is the hash of its content.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, BuildHasherDefault},
    sync::{Arc, Mutex, PoisonError},
};

use rustc_hash::FxHasher;
use taut_digest::Hash;

/// The largest blob that is cached, in bytes.
// A page: reading more from a file costs little beside opening it.
const MAX_CONTENT_BYTES: usize = 4096;

/// The most bytes that a part holds, and the bytes that an entry counts beside its blob.
// There are 16 parts, so the whole takes 8 MiB at most.
const MAX_PART_BYTES: usize = 512 * 1024;
const ENTRY_OVERHEAD_BYTES: usize = 100;

#[derive(Default)]
struct Part {
    blobs: HashMap<Hash, Arc<[u8]>, BuildHasherDefault<FxHasher>>,
    used_bytes: usize,
}

/// Blobs by hash, in parts with a lock each, so that threads seldom wait for each other.
#[derive(Default)]
pub(crate) struct MemoryCache([Mutex<Part>; 16]);

impl MemoryCache {
    fn part(&self, hash: &Hash) -> &Mutex<Part> {
        // The high bits, since the map chooses buckets by the low ones.
        let spread = BuildHasherDefault::<FxHasher>::default().hash_one(hash);
        &self.0[(spread >> 60) as usize]
    }

    pub(crate) fn get(&self, hash: &Hash) -> Option<Arc<[u8]>> {
        // A panic of another thread leaves the map usable: an entry is inserted by one call. So poisoning is ignored.
        let part = self.part(hash).lock().unwrap_or_else(PoisonError::into_inner);
        part.blobs.get(hash).cloned()
    }

    /// Keeps a blob, if it is small. `hash` is its hash.
    pub(crate) fn keep(&self, hash: &Hash, blob: &[u8]) {
        if blob.len() > MAX_CONTENT_BYTES {
            return;
        }
        let mut part = self.part(hash).lock().unwrap_or_else(PoisonError::into_inner);
        if part.used_bytes + blob.len() + ENTRY_OVERHEAD_BYTES > MAX_PART_BYTES {
            // A full part is emptied rather than ordered by use: what is wanted again is read from disk once.
            *part = Part::default();
        }
        if part.blobs.insert(*hash, blob.into()).is_none() {
            part.used_bytes += blob.len() + ENTRY_OVERHEAD_BYTES;
        }
    }
}

#[cfg(test)]
mod tests {
    use taut_digest::HashFunction;

    use super::*;

    #[test]
    fn small_contents_are_cached_in_bounded_memory() {
        let small = MemoryCache::default();
        let hash = |blob: &[u8]| HashFunction::GitSha1.blob(blob);
        let (a, large) = (b"a".as_slice(), vec![0; MAX_CONTENT_BYTES + 1]);
        small.keep(&hash(a), a);
        small.keep(&hash(&large), &large);
        assert_eq!(small.get(&hash(a)).as_deref(), Some(a));
        assert_eq!(small.get(&hash(&large)), None);
        let blobs: Vec<Vec<u8>> = (0..10_000_u32).map(|at| [at.to_le_bytes(); 500].concat()).collect();
        for blob in &blobs {
            small.keep(&hash(blob), blob);
            small.keep(&hash(blob), blob);
            assert_eq!(small.get(&hash(blob)).as_deref(), Some(&**blob));
        }
        let kept = blobs.iter().filter_map(|blob| small.get(&hash(blob)));
        let kept: usize = kept.map(|blob| blob.len()).sum();
        assert!((MAX_PART_BYTES..=MAX_PART_BYTES * 16).contains(&kept), "{kept}");
    }
}
