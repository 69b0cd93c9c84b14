//! A content that arrives piece by piece from elsewhere, and becomes an object when it is complete.

use std::{
    fs,
    io::{self, Seek as _, Write as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use taut_digest::{ContentHasher, Digest, Hash};
use taut_service::Receiver;
use taut_sys::File;

use crate::{
    Result, Store,
    cas::{kind_of_file, mode_of},
    layout::Kind,
    temporary::Temporary,
};

/// A content on its way into a store, under a temporary name until [`Incoming::finish`]; removed if it is dropped before.
pub struct Incoming {
    store: Store,
    kind: Kind,
    /// How many bytes will come: git's hash begins with that.
    size: u64,
    // Never contended: one transfer calls from one thread at a time (`Receiver`). The trait takes `&self`.
    state: Mutex<PartialContent>,
}

struct PartialContent {
    /// The temporary file, once there is one.
    open: Option<(String, fs::File)>,
    hasher: ContentHasher,
    received: u64,
}

impl Store {
    /// Takes a content of a known size from elsewhere. Nothing is written before it begins.
    pub fn incoming(&self, size: u64, executable: bool) -> Incoming {
        let hasher = self.hash_function().blob_hasher(size);
        let state = Mutex::new(PartialContent { open: None, hasher, received: 0 });
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
        let Some((name, file)) = state.open.take() else { return Ok(None) };
        let temporary = Temporary::of_name(&self.store, name)?;
        let hasher = std::mem::replace(&mut state.hasher, self.store.hash_function().blob_hasher(self.size));
        let hash = hasher.finish();
        if state.received != self.size || expected.is_some_and(|expected| *expected != hash) {
            // The temporary file is removed.
            return Ok(None);
        }
        let digest = Digest { hash, size: self.size };
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
        if let Some((_, file)) = &mut state.open {
            file.set_len(0)?;
            return file.rewind();
        }
        let temporary = self.store.temporary().map_err(io::Error::other)?;
        let file = temporary.create(mode_of(self.kind)).map_err(io::Error::other)?.into_std();
        state.open = Some((temporary.keep(), file));
        Ok(())
    }

    fn piece(&self, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        state.hasher.update(bytes);
        state.received += bytes.len() as u64;
        match &mut state.open {
            Some((_, file)) => file.write_all(bytes),
            None => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if let Some((name, _)) = self.state().open.take() {
            // Dropped at once, which removes the file; else garbage collection does.
            drop(Temporary::of_name(&self.store, name));
        }
    }
}
