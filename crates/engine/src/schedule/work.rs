//! Work on a task that is suspended until other tasks are settled. Only the data: the algorithms are in `settle`. Plain
//! state machines, not futures, so that no depth of the graph needs stack.

use crate::graph::ids::{AnyValue, NodeId, Unloaded};
use crate::graph::leaves::{LeafSet, Leaves};
use crate::graph::run::{Candidate, Edge};
use crate::log::entries::Cause;
use crate::schedule::reads::RecordedReads;
use crate::sync::Arc;
use crate::{Fail, Hash, Policy};

/// Work on a task that waits for others; resumed when [`crate::schedule::slot::Slot::pending`] reaches zero.
// In the slot of the task that waits, so that any thread can resume it.
pub(crate) enum Work {
    Check(Check),
    Finish(Finish),
    TakeOver(TakeOver),
    // Boxed: the others are small, and only tasks that are verified by leaves have it.
    Agree(Box<LeafComparison>),
}

/// How far the check of a task's kept runs is.
pub(crate) struct Check {
    pub(crate) run: Candidate,
    /// The runs to be verified after that.
    // Copied when verification begins: what another build records meanwhile is left to the next one.
    pub(crate) more: std::vec::IntoIter<Candidate>,
    /// The first read of the group being verified.
    pub(crate) at: usize,
    /// All reads of the run so far are clean.
    pub(crate) is_clean: bool,
    /// Why the latest run does not match.
    pub(crate) cause: Option<Cause>,
    pub(crate) policy: Policy,
    /// The modification time of what lies in the task's place, for [`crate::Rebuild::Times`].
    pub(crate) made: Option<u128>,
}

impl Check {
    /// Why the task executes if none of its runs is good.
    pub(crate) fn into_cause(self) -> Cause {
        self.cause.unwrap_or(Cause::Changed)
    }

    /// The reads of the run being verified.
    pub(crate) fn edges(&self) -> &[Edge] {
        &self.run.edges
    }

    /// The edges of the group that begins at `at`.
    pub(crate) fn group(&self) -> &[Edge] {
        let rest = &self.run.edges[self.at..];
        if self.policy.fixed_reads {
            return rest;
        }
        // A run from a file may lack the mark at its end: the rest is one group then.
        let len = rest.iter().position(|edge| edge.ends_group).map_or(rest.len(), |last| last + 1);
        &rest[..len]
    }
}

/// A task that takes over the result of a sibling once that is settled (`settle/siblings.rs`).
pub(crate) struct TakeOver {
    pub(crate) of: NodeId,
    /// Why it executes if the result cannot be taken over.
    pub(crate) cause: Cause,
}

/// A computation that ended, while the trace of it is being finished.
pub(crate) struct Finish {
    pub(crate) result: ComputationEnd,
    pub(crate) seen: RecordedReads,
}

/// How it ended.
pub(crate) enum ComputationEnd {
    /// The value, which gives the hash.
    Value(Result<AnyValue, Fail>),
    /// The task's own hash function.
    Hash(Result<Hash, Fail>),
}

impl ComputationEnd {
    pub(crate) fn fail(&self) -> Option<&Fail> {
        match self {
            ComputationEnd::Value(result) => result.as_ref().err(),
            ComputationEnd::Hash(result) => result.as_ref().err(),
        }
    }
}

/// How far the comparison of a task's leaves is.
pub(crate) enum LeafComparison {
    /// By the numbers of the file.
    Stored { place: Unloaded, at: Position },
    /// By the runs that are loaded.
    Bound {
        runs: std::vec::IntoIter<(Candidate, Arc<Leaves>)>,
        run: Candidate,
        leaves: Arc<Leaves>,
        at: usize,
        /// The first leaf that has changed.
        cause: Option<Cause>,
    },
}

/// How far a comparison with the runs of a task is.
#[derive(Default)]
pub(crate) struct Position {
    pub(crate) run: usize,
    pub(crate) range: usize,
    pub(crate) leaf: u32,
    /// The leaves of the run, once they were read.
    pub(crate) leaves: Option<Arc<LeafSet>>,
    /// The first leaf that has changed, and the version that it had; of the latest run, if there is one.
    pub(crate) differs: Option<(u32, u32)>,
    /// The latest run.
    pub(crate) latest: usize,
}
