//! Work on a task that waits for others, as it is set aside: how far it is, and nothing of how it goes on.

use crate::graph::ids::{AnyValue, NodeId, Unloaded};
use crate::graph::leaves::{LeafSet, Leaves};
use crate::graph::run::{Candidate, Edge};
use crate::log::entries::Cause;
use crate::schedule::reads::Seen;
use crate::sync::Arc;
use crate::{Fail, Hash, Policy};

/// Work on a task that waits for others; resumed when [`crate::schedule::slot::Slot::pending`] reaches zero.
pub(crate) enum Work {
    Check(Check),
    Finish(Finish),
    TakeOver(TakeOver),
    Agree(Box<Agree>),
}

/// How far the check of a task's kept runs is.
pub(crate) struct Check {
    pub(crate) run: Candidate,
    /// The ones to be looked at after that.
    pub(crate) more: std::vec::IntoIter<Candidate>,
    /// The first read of the group being looked at.
    pub(crate) at: usize,
    /// All that was looked at of the run stands.
    pub(crate) is_clean: bool,
    /// Why the latest run does not match.
    pub(crate) cause: Option<Cause>,
    pub(crate) policy: Policy,
    /// When what lies in the task's place was made, if that decides.
    pub(crate) made: Option<u128>,
}

impl Check {
    /// Why the task executes if its runs are of no use.
    pub(crate) fn into_cause(self) -> Cause {
        self.cause.unwrap_or(Cause::Changed)
    }

    /// What the run that is being looked at read.
    pub(crate) fn edges(&self) -> &[Edge] {
        &self.run.edges
    }

    /// The edges of the group that begins at `at`.
    pub(crate) fn group(&self) -> &[Edge] {
        let rest = &self.run.edges[self.at..];
        if self.policy.fixed_reads {
            return rest;
        }
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
    pub(crate) result: Ended,
    pub(crate) seen: Seen,
}

/// How it ended.
pub(crate) enum Ended {
    /// The value, which gives the hash.
    Value(Result<AnyValue, Fail>),
    /// The task's own hash function.
    Hash(Result<Hash, Fail>),
}

impl Ended {
    pub(crate) fn fail(&self) -> Option<&Fail> {
        match self {
            Ended::Value(result) => result.as_ref().err(),
            Ended::Hash(result) => result.as_ref().err(),
        }
    }
}

/// How far the comparison of a task's leaves is.
pub(crate) enum Agree {
    /// With what the file says.
    Stored { place: Unloaded, at: Position },
    /// With what this process knows.
    Bound {
        runs: std::vec::IntoIter<(Candidate, Arc<Leaves>)>,
        run: Candidate,
        leaves: Arc<Leaves>,
        at: usize,
        /// The first leaf that was found to be different.
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
    /// The first leaf that was found to be different, and the version that it had; of the latest run, if there is one.
    pub(crate) differs: Option<(u32, u32)>,
    /// The latest run.
    pub(crate) latest: usize,
}
