//! What a computation has read so far.

use crate::Facets;
use crate::graph::ids::{NodeId, Seq};
use crate::graph::run::Mode;
use crate::sync::Arc;

/// A request of a computation.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) dep: NodeId,
    pub(crate) seq: Seq,
    pub(crate) mode: Mode,
    /// The facets that were read, once the answer is there.
    pub(crate) facets: Facets,
    pub(crate) ends_group: bool,
    /// Requested by `depend`: its hash is awaited when the trace is finished.
    // Kept as a read, not in a list of its own: the order of the trace is that of the requests.
    pub(crate) later: bool,
    /// The task that was read is clean.
    pub(crate) is_clean: bool,
}

/// What a computation has seen.
#[derive(Default)]
pub(crate) struct RecordedReads {
    /// Of other tasks, in order.
    pub(crate) reads: Vec<Read>,
    /// Of the outside world ([`crate::Cx::witness`]).
    pub(crate) witness: Option<Arc<[u8]>>,
}

impl RecordedReads {
    pub(crate) fn is_empty(&self) -> bool {
        self.reads.is_empty() && self.witness.is_none()
    }
}
