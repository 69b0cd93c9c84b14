//! A run as it is stored, whether it is in the snapshot or in the journal.

use super::leaves::LeafSet;
use crate::Facets;
use crate::sync::Arc;

/// One read of a stored run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoredEdge {
    pub(crate) dep: u32,
    pub(crate) seq: u32,
    /// How it was read: the constants below.
    pub(crate) bits: u8,
    pub(crate) facets: Facets,
}

impl StoredEdge {
    /// Only the hash was read.
    // Part of the format, as the traits below.
    pub(crate) const HASH_ONLY: u8 = 1;
    /// It is the last one of a group.
    pub(crate) const ENDS_GROUP: u8 = 2;
    /// [`StoredEdge::facets`] are not the whole.
    pub(crate) const HAS_FACETS: u8 = 4;
    /// It was only mentioned.
    pub(crate) const MENTION: u8 = 8;

    pub(crate) fn ends_group(&self) -> bool {
        self.bits & StoredEdge::ENDS_GROUP != 0
    }

    pub(crate) fn has_facets(&self) -> bool {
        self.bits & StoredEdge::HAS_FACETS != 0
    }
}

/// One run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoredRun {
    pub(crate) version: u32,
    pub(crate) seq: u32,
    /// The task's policy, as far as it decides how a run is verified.
    // In the file, since the walk decides by them without decoding the key, which is all that a rule could be asked
    // by.
    pub(crate) traits: u8,
    // Shared: the list of a task's runs is copied when it is changed, mostly without the reads.
    pub(crate) edges: Arc<[StoredEdge]>,
    pub(crate) fail: Option<Arc<[u8]>>,
    pub(crate) value: Option<Arc<[u8]>>,
    pub(crate) witness: Option<Arc<[u8]>>,
    /// The leaves below, by which the run is verified.
    pub(crate) leaves: Option<Arc<LeafSet>>,
}

impl StoredRun {
    /// The task is a leaf.
    pub(crate) const LEAF: u8 = 1;
    /// It is verified by times ([`crate::Rebuild::Times`]).
    pub(crate) const TIMES: u8 = 2;
    /// It is verified by the leaves below ([`crate::Policy::deep`]).
    pub(crate) const VERIFIED_BY_LEAVES: u8 = 4;
    /// It is an interned content, kept as long as a kept run mentions it.
    pub(crate) const INTERNED: u8 = 8;
}
