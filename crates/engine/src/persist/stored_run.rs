//! What a file tells of one run: as a whole, whichever part of the file tells of it.

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
    /// What the task's policy was, as far as it decides how a run is found to agree with the present.
    pub(crate) traits: u8,
    pub(crate) edges: Arc<[StoredEdge]>,
    pub(crate) fail: Option<Arc<[u8]>>,
    pub(crate) value: Option<Arc<[u8]>>,
    pub(crate) witness: Option<Arc<[u8]>>,
    /// The leaves below, by which the run is found good.
    pub(crate) leaves: Option<Arc<LeafSet>>,
}

impl StoredRun {
    /// The task looks at the outside world.
    pub(crate) const LEAF: u8 = 1;
    /// It goes by times.
    pub(crate) const TIMES: u8 = 2;
    /// It goes by the leaves below.
    pub(crate) const DEEP: u8 = 4;
    /// It is a content, and kept for those who mention it.
    pub(crate) const INTERNED: u8 = 8;
}
