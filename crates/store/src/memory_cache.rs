//! Small contents that were read lately, in memory.
//!
//! What one action made, the next ones read, and most of it is small: to open, read and hash a file of some bytes
//! costs more than to keep them. A content is its name's, so what is here needs no look at the disk.

use std::{
    collections::HashMap,
    hash::{BuildHasher as _, BuildHasherDefault},
    sync::{Arc, Mutex, PoisonError},
};

use rustc_hash::FxHasher;
use taut_digest::Hash;

/// The largest content that is kept, in bytes.
const SMALL: usize = 4096;

/// How many bytes each part keeps at most, and the bytes that a content counts for itself.
const ROOM: usize = 512 * 1024;
const EACH: usize = 100;

#[derive(Default)]
struct Part {
    contents: HashMap<Hash, Arc<[u8]>, BuildHasherDefault<FxHasher>>,
    taken: usize,
}

/// Contents by hash, in parts that are locked one by one.
#[derive(Default)]
pub(crate) struct Small([Mutex<Part>; 16]);

impl Small {
    fn part(&self, hash: &Hash) -> &Mutex<Part> {
        let spread = BuildHasherDefault::<FxHasher>::default().hash_one(hash);
        &self.0[(spread >> 60) as usize]
    }

    pub(crate) fn get(&self, hash: &Hash) -> Option<Arc<[u8]>> {
        let part = self.part(hash).lock().unwrap_or_else(PoisonError::into_inner);
        part.contents.get(hash).cloned()
    }

    /// Keeps a content, if it is small. `hash` is its hash.
    pub(crate) fn keep(&self, hash: &Hash, content: &[u8]) {
        if content.len() > SMALL {
            return;
        }
        let mut part = self.part(hash).lock().unwrap_or_else(PoisonError::into_inner);
        if part.taken + content.len() + EACH > ROOM {
            // What is wanted again comes back.
            *part = Part::default();
        }
        if part.contents.insert(*hash, content.into()).is_none() {
            part.taken += content.len() + EACH;
        }
    }
}

#[cfg(test)]
mod tests {
    use taut_digest::HashFunction;

    use super::*;

    #[test]
    fn small_contents_are_kept_in_bounded_room() {
        let small = Small::default();
        let hash = |content: &[u8]| HashFunction::GitSha1.blob(content);
        let (a, large) = (b"a".as_slice(), vec![0; SMALL + 1]);
        small.keep(&hash(a), a);
        small.keep(&hash(&large), &large);
        assert_eq!(small.get(&hash(a)).as_deref(), Some(a));
        assert_eq!(small.get(&hash(&large)), None);
        let contents: Vec<Vec<u8>> = (0..10_000_u32).map(|at| [at.to_le_bytes(); 500].concat()).collect();
        for content in &contents {
            small.keep(&hash(content), content);
            small.keep(&hash(content), content);
            assert_eq!(small.get(&hash(content)).as_deref(), Some(&**content));
        }
        let kept = contents.iter().filter_map(|content| small.get(&hash(content)));
        let kept: usize = kept.map(|content| content.len()).sum();
        assert!((ROOM..=ROOM * 16).contains(&kept), "{kept}");
    }
}
