//! A run as it is stored, whether it is in the snapshot or in the journal.

use super::leaves::LeafSet;
use crate::Facets;
use crate::sync::Arc;

/// One read of a stored run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct StoredEdge {
    pub(crate) dep: u32,
    pub(crate) seq: u32,
    /// Bit 0: the hash only. Bit 1: the group ends. Bit 2: [`StoredEdge::facets`] are not the whole. Bit 3: it was only
    /// mentioned.
    pub(crate) bits: u8,
    pub(crate) facets: Facets,
}

/// One run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StoredRun {
    pub(crate) version: u32,
    pub(crate) seq: u32,
    /// The task's policy, as far as it decides how a run is verified.
    pub(crate) traits: u8,
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
