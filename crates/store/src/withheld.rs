//! Sources that are in memory only, when servers execute actions. A server that lacks one gets it from here; usually
//! nothing on this machine reads it. A file for each would cost more than everything else that is done for a source.
//!
//! Such a blob counts as present. All other readers of the store call [`Store::present`], which writes it first, so
//! they need not know of it. If this process ends before, the blob is lost like a collected object: the source is
//! read again when it is needed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use taut_digest::{Digest, Hash, ObjectType};
use taut_service::Source;

use crate::{
    Result, Store,
    cas::{kind_of_file, mode_of},
    layout::Kind,
};

/// The largest blob that is withheld, and how many bytes all take at most; what is more is written.
// 64 KiB and 32 MiB: few sources are larger, and thousands of usual size fit.
const MAX_CONTENT_BYTES: usize = 64 << 10;
const MAX_BYTES: usize = 32 << 20;

/// What an entry takes beside its blob.
const OVERHEAD_BYTES: usize = 100;

#[derive(Default)]
struct Blobs {
    by_name: HashMap<(Kind, Hash), Arc<[u8]>>,
    bytes: usize,
}

/// Blobs by kind and hash.
#[derive(Default)]
pub(crate) struct Withheld(Mutex<Blobs>);

impl Withheld {
    fn lock(&self) -> MutexGuard<'_, Blobs> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a blob; returns whether it does.
    fn keep(&self, kind: Kind, hash: &Hash, blob: &[u8]) -> bool {
        let mut blobs = self.lock();
        if blobs.by_name.contains_key(&(kind, *hash)) {
            return true;
        }
        let bytes = blobs.bytes + blob.len() + OVERHEAD_BYTES;
        let fits = blob.len() <= MAX_CONTENT_BYTES && bytes <= MAX_BYTES;
        if fits {
            blobs.bytes = bytes;
            blobs.by_name.insert((kind, *hash), blob.into());
        }
        fits
    }

    fn get(&self, kind: Kind, hash: &Hash) -> Option<Arc<[u8]>> {
        self.lock().by_name.get(&(kind, *hash)).cloned()
    }

    fn remove(&self, kind: Kind, hash: &Hash) {
        let mut blobs = self.lock();
        if let Some(blob) = blobs.by_name.remove(&(kind, *hash)) {
            blobs.bytes -= blob.len() + OVERHEAD_BYTES;
        }
    }
}

impl Store {
    /// As [`Store::put_blob`]; where servers are attached, a small blob stays in memory until it is read here.
    pub(crate) fn put_blob_later(&self, blob: &[u8], executable: bool) -> Result<Digest> {
        let digest = Digest { hash: self.hash_function().blob(blob), size: blob.len() as u64 };
        let kind = kind_of_file(executable);
        let is_withheld = self.is_attached()
            && (self.is_known(kind, &digest.hash) || self.withheld().keep(kind, &digest.hash, blob));
        if !is_withheld {
            self.put(kind, &digest, blob)?;
        }
        Ok(digest)
    }

    /// The blob of a file that is in memory only, to be sent elsewhere.
    pub fn withheld_source(&self, hash: &Hash, object_type: ObjectType) -> Option<Arc<dyn Source>> {
        Some(Arc::new(self.withheld_content(hash, object_type)?))
    }

    pub(crate) fn withheld_content(&self, hash: &Hash, object_type: ObjectType) -> Option<Arc<[u8]>> {
        if !self.is_attached() || object_type == ObjectType::Tree {
            return None;
        }
        // The blob is the same with either mode.
        [Kind::File, Kind::Executable].iter().find_map(|kind| self.withheld().get(*kind, hash))
    }

    /// Writes an object that is in memory only; returns whether there is one.
    pub(crate) fn write_withheld(&self, kind: Kind, hash: &Hash) -> Result<bool> {
        if !self.is_attached() {
            return Ok(false);
        }
        // Two threads may write it at once, which is not an error: both write the same.
        let Some(blob) = self.withheld().get(kind, hash) else { return Ok(false) };
        // First the object, so that it is found by all that look for it meanwhile.
        self.commit(self.write_temporary(&blob, mode_of(kind))?, kind, hash)?;
        self.withheld().remove(kind, hash);
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use taut_digest::HashFunction;

    use super::*;

    #[test]
    fn what_is_withheld_is_bounded() {
        let (withheld, name) =
            (Withheld::default(), |number: usize| HashFunction::GitSha1.blob(number.to_string().as_bytes()));
        assert!(!withheld.keep(Kind::File, &name(0), &vec![0; MAX_CONTENT_BYTES + 1]));
        let blob = vec![0; MAX_CONTENT_BYTES];
        let kept = (0..1000).filter(|number| withheld.keep(Kind::File, &name(*number), &blob)).count();
        assert_eq!(kept, MAX_BYTES / (MAX_CONTENT_BYTES + OVERHEAD_BYTES));
        // What is there already needs no room, and what is written gives it back.
        assert!(withheld.keep(Kind::File, &name(0), &blob));
        assert!(!withheld.keep(Kind::Executable, &name(0), &blob));
        withheld.remove(Kind::File, &name(0));
        assert!(withheld.keep(Kind::Executable, &name(0), &blob));
        assert!(withheld.get(Kind::File, &name(0)).is_none());
        assert!(withheld.get(Kind::Executable, &name(0)).is_some());
    }
}
