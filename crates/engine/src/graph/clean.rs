//! Whether a task is clean: settled in an earlier build, and not invalidated since. `settle/clean.rs` has the
//! algorithm.
//!
//! All accesses of `settled` and `invalidated` are `SeqCst`: a thread that settles a task stores `settled` and then
//! loads `invalidated`; one that declares a change stores `invalidated` and then loads `settled` and the dependents.
//! With release and acquire alone both could miss the other's store, and a stale task would count as clean.

use crate::graph::ids::{NodeId, Seq};
use crate::sync::{
    Mutex,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

/// Since when a task is clean, and which tasks depend on it.
#[derive(Default)]
pub(crate) struct CleanState {
    /// The epoch in which it was settled last, and the version that it had then, in one word; 0: never.
    // In one word, so that a reader never sees the epoch of one result with the version of another.
    pub(crate) settled: AtomicU64,
    /// The latest epoch in which a change was declared of something in its closure.
    // 32 bits, since `settled` has one word for epoch and version. A new epoch each second would last for over a
    // century.
    pub(crate) invalidated: AtomicU32,
    /// The tasks that read it, and perhaps some that did earlier. [`CleanState::invalidated`] is raised under this
    /// lock. So an added task sees all earlier changes, and all later changes find the task here.
    pub(crate) dependents: Mutex<Vec<NodeId>>,
}

impl CleanState {
    /// The version of the task in `epoch`, if it is clean since `floor` or later.
    pub(crate) fn version(&self, epoch: u64, floor: u64) -> Option<Seq> {
        // In this order: a change that is declared between the two loads makes the answer `None`, which only costs
        // verification.
        let settled = self.settled.load(Ordering::SeqCst);
        let since = settled >> 32;
        let good =
            since >= floor && since <= epoch && since >= self.invalidated.load(Ordering::SeqCst).into();
        (good && settled != 0).then_some(Seq::new(settled as u32))
    }

    /// Invalidates a task that has no dependents yet.
    pub(crate) fn invalidate(&self, epoch: u64) {
        if epoch > 0 {
            // Only ever raised: declarations of two threads may come in either order.
            self.invalidated.fetch_max(epoch as u32, Ordering::SeqCst);
        }
    }
}
