//! Where a task stands between builds: since when it is good, and who read it.

use crate::graph::ids::{NodeId, Seq};
use crate::sync::{
    Mutex,
    atomic::{AtomicU32, AtomicU64, Ordering},
};

/// Where a task stands between builds.
#[derive(Default)]
pub(crate) struct CleanState {
    /// The epoch in which it was settled last, and the version that it had then, in one word; 0: never.
    pub(crate) settled: AtomicU64,
    /// The latest epoch in which something that it was made from was said to have changed.
    pub(crate) invalidated: AtomicU32,
    /// Who read it, and perhaps others who did once. Guards [`CleanState::invalidated`], too: whoever adds itself sees
    /// the changes before, and is seen by those after.
    pub(crate) dependents: Mutex<Vec<NodeId>>,
}

impl CleanState {
    /// The version of the task in `epoch`, if it stands since `floor` or later.
    pub(crate) fn version(&self, epoch: u64, floor: u64) -> Option<Seq> {
        let settled = self.settled.load(Ordering::SeqCst);
        let since = settled >> 32;
        let good =
            since >= floor && since <= epoch && since >= self.invalidated.load(Ordering::SeqCst).into();
        (good && settled != 0).then_some(Seq::new(settled as u32))
    }

    /// Notes that a change in `epoch` invalidates the task, which no other has read yet.
    pub(crate) fn invalidate(&self, epoch: u64) {
        if epoch > 0 {
            self.invalidated.fetch_max(epoch as u32, Ordering::SeqCst);
        }
    }
}
