//! Large blobs in chunks: those that are here from other blobs need not come, and what a blob consists of is
//! kept for later ones.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
};

use taut_digest::{Digest, Hash};
use taut_service::{Receiver, Source};
use taut_store::{Incoming, Result, StandardNames};

/// A file on its way into the store.
pub(super) struct ReceivedFile {
    incoming: Incoming,
    names: Arc<StandardNames>,
    chunks: Mutex<Vec<Digest>>,
}

impl ReceivedFile {
    pub(super) fn new(incoming: Incoming, names: &Arc<StandardNames>) -> ReceivedFile {
        ReceivedFile { incoming, names: names.clone(), chunks: Mutex::default() }
    }

    /// Makes an object of what has come; `None` if that is not all of it.
    pub(super) fn finish(&self) -> Result<Option<Digest>> {
        // No expected hash is given: blobs are verified against the SHA-256 of the protocol while they come, and
        // the store's own name is only computed here.
        let Some(object) = self.incoming.finish(None)? else { return Ok(None) };
        let chunks = self.chunks.lock().unwrap_or_else(PoisonError::into_inner);
        self.names.add_parts(&object.hash, &chunks);
        Ok(Some(object))
    }
}

impl Receiver for ReceivedFile {
    fn begin(&self) -> io::Result<()> {
        self.incoming.begin()
    }

    fn piece(&self, bytes: &[u8]) -> io::Result<()> {
        self.incoming.piece(bytes)
    }

    fn chunk(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.names.part(digest)
    }

    fn note_chunks(&self, chunks: &[Digest]) {
        *self.chunks.lock().unwrap_or_else(PoisonError::into_inner) = chunks.to_vec();
    }
}

/// A file of the store that is sent.
pub(super) struct SentFile {
    pub(super) source: Arc<dyn Source>,
    pub(super) names: Arc<StandardNames>,
    pub(super) hash: Hash,
}

impl Source for SentFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read_at(offset, buffer)
    }

    fn note_chunks(&self, chunks: &[Digest]) {
        self.names.add_parts(&self.hash, chunks);
    }
}
