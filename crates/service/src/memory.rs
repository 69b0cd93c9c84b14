//! Blobs and results in memory: what the others are compared with, and what a server for tests answers from.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use taut_digest::{Digest, Hash, HashFunction};
use taut_proto::ActionResult;

use crate::{ActionCache, Answer, Blob, Cas, Error, Receiver, Result};

/// Blobs and results in memory.
pub struct Memory {
    function: HashFunction,
    // One lock for both: what is done under it takes no time worth a second one.
    held: Mutex<MemoryTables>,
}

#[derive(Default)]
struct MemoryTables {
    blobs: HashMap<Hash, Arc<[u8]>>,
    results: HashMap<Hash, ActionResult>,
}

impl Memory {
    /// An empty one, in which blobs are named by `function`.
    pub fn new(function: HashFunction) -> Memory {
        Memory { function, held: Mutex::default() }
    }

    fn held(&self) -> MutexGuard<'_, MemoryTables> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A blob.
    pub fn blob(&self, hash: &Hash) -> Option<Arc<[u8]>> {
        self.held().blobs.get(hash).cloned()
    }

    /// Whether bytes have a name: one of the native protocol says of itself how it is made.
    pub fn is_name_of(&self, hash: &Hash, bytes: &[u8]) -> bool {
        match hash.untagged() {
            Some((id, true)) => HashFunction::GitSha1.tree(bytes) == id,
            Some((id, false)) => HashFunction::GitSha1.blob(bytes) == id,
            None => self.function.blob(bytes) == *hash,
        }
    }

    /// Adds a blob under a name that was compared with it. What is there stays, as it does at real servers.
    pub fn insert(&self, hash: Hash, bytes: Vec<u8>) {
        self.held().blobs.entry(hash).or_insert_with(|| bytes.into());
    }

    /// Adds a blob under the name that it has.
    pub fn add(&self, bytes: Vec<u8>) -> Digest {
        let digest = Digest { hash: self.function.blob(&bytes), size: bytes.len() as u64 };
        self.held().blobs.insert(digest.hash, bytes.into());
        digest
    }

    /// A result.
    pub fn result(&self, action: &Hash) -> Option<ActionResult> {
        self.held().results.get(action).cloned()
    }

    /// Adds a result.
    pub fn add_result(&self, action: Hash, result: ActionResult) {
        self.held().results.insert(action, result);
    }

    /// Removes a result.
    pub fn remove_result(&self, action: &Hash) {
        self.held().results.remove(action);
    }

    /// Removes a blob.
    pub fn remove(&self, hash: &Hash) {
        self.held().blobs.remove(hash);
    }

    /// The names of all blobs, sorted.
    pub fn blobs(&self) -> Vec<Hash> {
        // Sorted, since the order of a hash table differs from run to run, and tests compare.
        let mut all: Vec<Hash> = self.held().blobs.keys().copied().collect();
        all.sort_unstable();
        all
    }

    /// All results, sorted by action.
    pub fn results(&self) -> Vec<(Hash, ActionResult)> {
        let mut all: Vec<_> =
            self.held().results.iter().map(|(action, result)| (*action, result.clone())).collect();
        all.sort_unstable_by_key(|(action, _)| *action);
        all
    }

    fn get_one(&self, digest: &Digest, receiver: &dyn Receiver) -> Result<()> {
        // A digest is hash and size: one with another size names no blob, even if the hash is known.
        let blob = self.blob(&digest.hash).filter(|blob| blob.len() as u64 == digest.size);
        let blob = blob.ok_or(Error::NotFound(*digest))?;
        let taken = receiver.begin().and_then(|()| receiver.piece(&blob));
        taken.map_err(|error| Error::Local(error.to_string()))
    }

    fn put_one(&self, blob: &Blob) -> Result<()> {
        let bytes = blob.read().map_err(|error| Error::Local(error.to_string()))?;
        // Checked on arrival, so everything here has its right name. Tests rely on that to notice wrong blobs from a
        // client.
        if !self.is_name_of(&blob.digest.hash, &bytes) {
            return Err(Error::Corrupt(blob.digest));
        }
        self.insert(blob.digest.hash, bytes);
        Ok(())
    }
}

impl Cas for Memory {
    fn hash_function(&self) -> HashFunction {
        self.function
    }

    fn missing(&self, digests: Vec<Digest>) -> Answer<'_, Vec<Digest>> {
        // One lock for the whole question: the answer is of one moment, as that of a server need not be.
        let (held, mut seen) = (self.held(), HashSet::new());
        let is_missing = |digest: &Digest| !held.blobs.contains_key(&digest.hash) && seen.insert(*digest);
        let missing = digests.into_iter().filter(is_missing).collect();
        drop(held);
        Box::pin(std::future::ready(Ok(missing)))
    }

    fn get(&self, wanted: Vec<(Digest, Arc<dyn Receiver>)>) -> Answer<'_, Vec<Result<()>>> {
        let got = wanted.iter().map(|(digest, receiver)| self.get_one(digest, &**receiver)).collect();
        Box::pin(std::future::ready(Ok(got)))
    }

    fn put(&self, blobs: Vec<Blob>) -> Answer<'_, Vec<Result<()>>> {
        let put = blobs.iter().map(|blob| self.put_one(blob)).collect();
        Box::pin(std::future::ready(Ok(put)))
    }
}

impl ActionCache for Memory {
    fn look_up(&self, action: Digest) -> Answer<'_, Option<ActionResult>> {
        Box::pin(std::future::ready(Ok(self.result(&action.hash))))
    }

    fn store(&self, action: Digest, result: ActionResult) -> Answer<'_, ()> {
        self.add_result(action.hash, result);
        Box::pin(std::future::ready(Ok(())))
    }
}
