//! What is stored of one run: results under their keys, and the contents that they refer to.

use std::sync::Arc;

use taut_digest::Digest;
use taut_proto::ActionResult;
use taut_service::Content;

use super::{latest::Latest, standard::digest_of};

/// A result in the standard form, and what it refers to.
#[derive(Default)]
pub(super) struct Packed {
    pub(super) results: Vec<(Digest, ActionResult)>,
    pub(super) contents: Vec<Content>,
    /// What comes in front of what is there.
    pub(super) latest: Vec<Latest>,
}

impl Packed {
    /// Adds a content that is in memory, and returns its name.
    pub(super) fn add(&mut self, bytes: Vec<u8>) -> Digest {
        let digest = digest_of(&bytes);
        self.contents.push(Content { digest, source: Arc::new(bytes) });
        digest
    }
}
