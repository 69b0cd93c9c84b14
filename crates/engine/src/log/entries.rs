//! The log of a build in numbers: which tasks executed, in which order, and why. Keys and hashes are looked up only
//! when the log is read, since most builds log much and show little.

use crate::Hash;
use crate::graph::ids::{NodeId, Seq};
use crate::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
    lock,
};

/// Which computation of a task executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Executed {
    /// `Rule::value`.
    Value,
    /// `Rule::hash`, where a rule has its own.
    Hash,
}

/// Why a task executed, in numbers; [`crate::Reason`] has the keys and hashes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause {
    New,
    Always,
    RuleChanged,
    Changed,
    Read { dep: NodeId, was: Seq, is: Seq },
    Newer { dep: NodeId },
    ValueLost,
}

/// A task, the hash that was assumed, and the hash that it now has.
type Versions = (NodeId, Option<Hash>, Option<Hash>);

/// What happened in a build so far.
#[derive(Default)]
pub(crate) struct Log {
    // One lock for all threads: it is held for one push, by tasks that execute code of a rule.
    ran: Mutex<Vec<(NodeId, Executed, Cause)>>,
    differs: Mutex<Vec<Versions>>,
    replayed: AtomicU64,
}

impl Log {
    pub(crate) fn executes(&self, node: NodeId, what: Executed, cause: Cause) {
        lock(&self.ran).push((node, what, cause));
    }

    // Relaxed here and below: a statistic. A thread that has an answer sees what was counted for it, by the lock of the
    // slot.
    pub(crate) fn replayed(&self) {
        self.replayed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_replayed(&self, tasks: u64) {
        self.replayed.fetch_add(tasks, Ordering::Relaxed);
    }

    pub(crate) fn count_replayed(&self) -> u64 {
        self.replayed.load(Ordering::Relaxed)
    }

    pub(crate) fn differs(&self, node: NodeId, was: Option<Hash>, is: Option<Hash>) {
        lock(&self.differs).push((node, was, is));
    }

    /// What executed so far, mapped by `spelled`.
    pub(crate) fn ran<T>(&self, spelled: impl Fn(NodeId, Executed, Cause) -> T) -> Vec<T> {
        let ran = lock(&self.ran).clone();
        ran.into_iter().map(|(node, what, cause)| spelled(node, what, cause)).collect()
    }

    /// Why the node executed first.
    pub(crate) fn cause(&self, node: NodeId) -> Option<Cause> {
        self.executed(node).map(|(_, cause)| cause)
    }

    /// What executed of the node first, and why.
    pub(crate) fn executed(&self, node: NodeId) -> Option<(Executed, Cause)> {
        // A scan: asked only when a person wants an explanation.
        lock(&self.ran).iter().find(|(ran, ..)| *ran == node).map(|(_, what, cause)| (*what, *cause))
    }

    /// The tasks with differing results, mapped by `spelled`.
    pub(crate) fn all_that_differ<T>(
        &self,
        spelled: impl Fn(NodeId, Option<Hash>, Option<Hash>) -> T,
    ) -> Vec<T> {
        let differs = lock(&self.differs).clone();
        differs.into_iter().map(|(node, was, is)| spelled(node, was, is)).collect()
    }
}
