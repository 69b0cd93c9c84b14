//! What is stored of one run: results under their keys, and the blobs that they refer to.

use std::sync::Arc;

use taut_digest::Digest;
use taut_proto::ActionResult;
use taut_service::Blob;

use super::standard::digest_of;

/// A blob that comes in front of those that are there under a key.
pub(super) struct Latest {
    pub(super) key: Digest,
    pub(super) new: Digest,
    /// The result that has them, the latest first.
    pub(super) as_result: fn(&mut dyn Iterator<Item = taut_proto::Digest>) -> ActionResult,
}

/// A result in the standard form, and what it refers to.
#[derive(Default)]
pub(super) struct Packed {
    pub(super) results: Vec<(Digest, ActionResult)>,
    pub(super) blobs: Vec<Blob>,
    /// What comes in front of what is there.
    pub(super) latest: Vec<Latest>,
}

impl Packed {
    /// Adds a blob that is in memory, and returns its name.
    pub(super) fn add(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = digest_of(&bytes);
        self.blobs.push(Blob { digest, source: Arc::new(bytes) });
        digest
    }
}
