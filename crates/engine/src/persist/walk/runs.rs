//! The runs of a task in the file one by one, whether they are in the snapshot or in the journal.

use super::Damaged;
use crate::persist::leaves::LeafSet;
use crate::persist::snapshot::{Edges, Runs, Snapshot};
use crate::persist::stored::Stored;
use crate::persist::stored_run::{StoredEdge, StoredRun};
use crate::sync::Arc;

/// The runs of a task, latest use first.
// An enum, not a trait object: this is the inner loop of the walk.
pub(super) enum AnyRuns<'s> {
    Snapshot(&'s Snapshot, Runs<'s>),
    Journal(std::slice::Iter<'s, StoredRun>),
}

/// A run, as far as verification needs it.
// The blobs as places: most runs are decided without their witness or leaves.
pub(super) struct AnyRun<'s> {
    pub(super) seq: u32,
    pub(super) traits: u8,
    pub(super) version: u32,
    pub(super) has_failed: bool,
    pub(super) edges: AnyEdges<'s>,
    pub(super) witness: Witness<'s>,
    pub(super) leaves: LeavesAt<'s>,
}

pub(super) enum AnyEdges<'s> {
    Snapshot(Edges<'s>),
    Journal(std::slice::Iter<'s, StoredEdge>),
}

#[derive(Clone, Copy)]
pub(super) enum Witness<'s> {
    None,
    Snapshot(&'s Snapshot, u32),
    Journal(&'s [u8]),
}

/// The place of the leaf set of a run.
#[derive(Clone, Copy)]
pub(super) enum LeavesAt<'s> {
    None,
    Snapshot(&'s Snapshot, u32),
    Journal(&'s Arc<LeafSet>),
}

impl LeavesAt<'_> {
    pub(super) fn read(&self) -> Result<Option<Arc<LeafSet>>, Damaged> {
        match self {
            LeavesAt::None => Ok(None),
            LeavesAt::Snapshot(snapshot, at) => {
                snapshot.leaves(*at).map(|leaves| Some(Arc::new(leaves))).ok_or(Damaged)
            }
            LeavesAt::Journal(leaves) => Ok(Some((*leaves).clone())),
        }
    }
}

impl Witness<'_> {
    pub(super) fn read(&self) -> Option<Option<Vec<u8>>> {
        match self {
            Witness::None => Some(None),
            Witness::Snapshot(snapshot, at) => snapshot.blob(*at).map(Some),
            Witness::Journal(bytes) => Some(Some(bytes.to_vec())),
        }
    }
}

impl<'s> AnyRuns<'s> {
    pub(super) fn of(stored: &'s Stored, task: u32) -> AnyRuns<'s> {
        if let Some(runs) = stored.changed_runs(task) {
            return AnyRuns::Journal(runs.iter());
        }
        match stored.views(task) {
            Some((snapshot, runs)) => AnyRuns::Snapshot(snapshot, runs),
            None => AnyRuns::Journal([].iter()),
        }
    }

    // No `Iterator`: with a `Result` in an `Option` each caller would have to turn the two round.
    pub(super) fn next(&mut self) -> Result<Option<AnyRun<'s>>, Damaged> {
        match self {
            AnyRuns::Snapshot(snapshot, views) => {
                let Some(view) = views.next() else {
                    // The iterator ends early at a run that cannot be decoded, which must not look like the last one.
                    return if views.is_over() { Ok(None) } else { Err(Damaged) };
                };
                // By place: failure, value, witness, leaves.
                let witness = view.blobs[2].map_or(Witness::None, |at| Witness::Snapshot(snapshot, at));
                Ok(Some(AnyRun {
                    seq: view.seq,
                    traits: view.traits,
                    version: view.version,
                    has_failed: view.blobs[0].is_some(),
                    edges: AnyEdges::Snapshot(view.edges()),
                    witness,
                    leaves: view.blobs[3].map_or(LeavesAt::None, |at| LeavesAt::Snapshot(snapshot, at)),
                }))
            }
            AnyRuns::Journal(runs) => Ok(runs.next().map(|run| AnyRun {
                seq: run.seq,
                traits: run.traits,
                version: run.version,
                has_failed: run.fail.is_some(),
                edges: AnyEdges::Journal(run.edges.iter()),
                witness: run.witness.as_deref().map_or(Witness::None, Witness::Journal),
                leaves: run.leaves.as_ref().map_or(LeavesAt::None, LeavesAt::Journal),
            })),
        }
    }
}

impl AnyEdges<'_> {
    pub(super) fn is_empty(&self) -> bool {
        match self {
            AnyEdges::Snapshot(edges) => edges.is_empty(),
            AnyEdges::Journal(edges) => edges.len() == 0,
        }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<Option<StoredEdge>, Damaged> {
        match self {
            AnyEdges::Snapshot(edges) => edges.next().map_or(Ok(None), |edge| edge.map(Some).ok_or(Damaged)),
            AnyEdges::Journal(edges) => Ok(edges.next().copied()),
        }
    }
}
