//! Counts bytes of transfers that have not ended: a large blob takes a while to come, and so do many.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use taut_digest::Digest;
use taut_service::Receiver;

/// How many bytes have come of all transfers that have not ended.
#[derive(Clone, Default)]
pub(crate) struct Arriving(Arc<AtomicU64>);

impl Arriving {
    pub(crate) fn bytes(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// What comes for the receiver counts, until the result is dropped.
    pub(crate) fn counting(&self, receiver: Arc<dyn Receiver>) -> Counting {
        Counting { receiver, all: self.clone(), own: AtomicU64::new(0) }
    }
}

/// A receiver whose bytes are counted.
pub(crate) struct Counting {
    receiver: Arc<dyn Receiver>,
    all: Arriving,
    own: AtomicU64,
}

impl Counting {
    fn forget(&self) {
        self.all.0.fetch_sub(self.own.swap(0, Relaxed), Relaxed);
    }
}

impl Receiver for Counting {
    fn begin(&self) -> io::Result<()> {
        self.forget();
        self.receiver.begin()
    }

    fn piece(&self, bytes: &[u8]) -> io::Result<()> {
        self.receiver.piece(bytes)?;
        self.own.fetch_add(bytes.len() as u64, Relaxed);
        self.all.0.fetch_add(bytes.len() as u64, Relaxed);
        Ok(())
    }

    fn again(&self, take: &mut dyn FnMut(&[u8])) -> io::Result<bool> {
        self.receiver.again(take)
    }

    fn chunk(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.receiver.chunk(digest)
    }

    fn note_chunks(&self, digests: &[Digest]) {
        self.receiver.note_chunks(digests);
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.forget();
    }
}
