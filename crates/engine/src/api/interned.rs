//! Interned tasks: content that is named by its hash.
//!
//! A task may produce something that others have to find again without execution. It *mentions* that content
//! ([`crate::Cx::mention`]), and the content becomes a task: the key is the content's hash, the value is the content.
//! It reads nothing and is always good. A mention is recorded as a read of a special kind. The file keeps the content,
//! however large it is, exactly as long as a kept run has such a read.

use std::marker::PhantomData;

use crate::graph::core::Core;
use crate::graph::ids::{AnyValue, NodeId, Seq};
use crate::graph::run::{RareFields, Run};
use crate::sync::{Arc, lock};
use crate::{Cx, Fail, Hash, Key, Policy, Rule};

/// Content that tasks mention. To be given to the engine by [`crate::Builder::interned`].
pub trait Interned: Send + Sync + Sized + 'static {
    /// Stable name, unique in the engine among rules and parts.
    const NAME: &'static str;

    /// Names the content: two contents have the same hash if and only if they are equal, in every process.
    fn hash(&self) -> Hash;

    /// Appends the content as bytes.
    fn encode(&self, out: &mut Vec<u8>);

    /// The content that [`Interned::encode`] wrote. `None` if the bytes cannot be decoded, or no longer.
    fn decode(bytes: &[u8]) -> Option<Self>;
}

/// The rule whose tasks are the contents of a kind, each under its hash. What is declared of them
/// ([`crate::Begin::changed`], [`crate::Begin::changed_all`], [`crate::Begin::set`]) is ignored. To ask for content
/// that was not mentioned, or is no longer kept, is a failure that is not recorded.
pub struct Content<I>(pub(crate) PhantomData<fn() -> I>);

impl Key for Hash {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0);
    }

    fn decode(bytes: &[u8]) -> Option<Hash> {
        bytes.try_into().ok().map(Hash)
    }
}

impl<I: Interned> Rule for Content<I> {
    type Key = Hash;
    type Value = Arc<I>;
    // One name space for rules and kinds of content: both are rules in the file.
    const NAME: &'static str = I::NAME;

    fn policy(&self, _: &Hash) -> Policy {
        // With its value, since nothing can compute it again; one run, since a hash has one content.
        Policy::constructive(1)
    }

    async fn value(&self, key: &Hash, _: Cx) -> Result<Arc<I>, Fail> {
        // Reached only if the content is not there: one that was mentioned is in memory or in the file.
        Err(Fail::transient(format!("no value of the kind {} with the hash {key} is recorded", I::NAME)))
    }

    fn content_hash(&self, key: &Hash, _: &Arc<I>) -> Option<Hash> {
        Some(*key)
    }

    fn encode_value(&self, _: &Hash, content: &Arc<I>) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        content.encode(&mut bytes);
        Some(bytes)
    }

    fn decode_value(&self, key: &Hash, bytes: &[u8]) -> Option<Arc<I>> {
        // The key is the content's hash, so damage that the checksums miss is noticed here, and so is another encoding.
        I::decode(bytes).filter(|content| content.hash() == *key).map(Arc::new)
    }
}

impl Core {
    /// Adds a content, unless it is there already; returns its only version. `is_kept`: it is to be written to the
    /// file.
    pub(crate) fn put_content(&self, node: NodeId, hash: Hash, content: AnyValue, is_kept: bool) -> Seq {
        // Loaded first, so that a content of the file gets no second copy.
        self.fetch_history(node);
        let entry = self.node(node);
        let mut hist = lock(&entry.hist);
        let seq = hist.seq_of(hash);
        let rest = RareFields { value: Some(content), ..RareFields::default() };
        let has_it = |run: &Run| run.seq == seq && (run.value().is_some() || run.bytes().is_some());
        let is_new = !hist.runs.iter().any(has_it);
        if is_new {
            let run = Run::new(self.rule(entry).version(), 0, Arc::from([]), seq, rest);
            hist.record(run, entry.policy, self.is_only_build(), |_| true);
        }
        // A content that a what-if build mentioned is written once another build mentions it.
        let is_written = hist.note_mention(is_new, !is_kept);
        drop(hist);
        if is_written {
            self.touch(node);
        }
        seq
    }
}
