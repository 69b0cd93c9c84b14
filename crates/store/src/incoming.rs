//! A blob that arrives piece by piece from elsewhere, and becomes an object when it is complete.

use std::{
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use taut_digest::{ContentHasher, Digest, Hash};
use taut_service::Receiver;
use taut_sys::File;

use crate::{
    Result, Store,
    cas::{kind_of_file, mode_of},
    layout::Kind,
    temporary::PartialFile,
};

/// A blob on its way into a store, under a temporary name until [`Incoming::finish`]; removed if it is dropped
/// before.
pub struct Incoming {
    store: Store,
    kind: Kind,
    /// How many bytes will come: git's hash begins with that.
    size: u64,
    // Never contended: one transfer calls from one thread at a time (`Receiver`). The trait takes `&self`.
    state: Mutex<PartialContent>,
}

struct PartialContent {
    file: PartialFile,
    // Hashed while it comes, so that it need not be read again.
    hasher: ContentHasher,
    received: u64,
}

impl Store {
    /// Takes a blob of a known size from elsewhere. Nothing is written before it begins.
    pub fn incoming(&self, size: u64, executable: bool) -> Incoming {
        let hasher = self.hash_function().blob_hasher(size);
        let state = Mutex::new(PartialContent { file: PartialFile::default(), hasher, received: 0 });
        Incoming { store: self.clone(), kind: kind_of_file(executable), size, state }
    }
}

impl Incoming {
    fn state(&self) -> MutexGuard<'_, PartialContent> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes an object of what has come; `None` if that is not all of it, or not what is `expected`.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn finish(&self, expected: Option<&Hash>) -> Result<Option<Digest>> {
        let mut state = self.state();
        let Some((temporary, file)) = state.file.take(&self.store)? else { return Ok(None) };
        let hasher = std::mem::replace(&mut state.hasher, self.store.hash_function().blob_hasher(self.size));
        let hash = hasher.finish();
        if state.received != self.size || expected.is_some_and(|expected| *expected != hash) {
            // The temporary file is removed.
            return Ok(None);
        }
        let digest = Digest { hash, size: self.size };
        // Another process, or another transfer, may have added it meanwhile.
        if !self.store.present(self.kind, &hash, Some(self.size))? {
            File::new(file, temporary.at()).set_mtime_epoch()?;
            self.store.commit(temporary, self.kind, &hash)?;
        }
        Ok(Some(digest))
    }
}

impl Receiver for Incoming {
    fn begin(&self) -> io::Result<()> {
        let mut state = self.state();
        state.hasher = self.store.hash_function().blob_hasher(self.size);
        state.received = 0;
        state.file.begin(&self.store, mode_of(self.kind)).map_err(io::Error::other)
    }

    fn piece(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.hasher.update(bytes);
        state.received += bytes.len() as u64;
        state.file.write(&self.store, bytes).map_err(io::Error::other)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        self.state().file.discard(&self.store);
    }
}
