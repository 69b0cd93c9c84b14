//! The state of one build: what its threads and tasks share.
//!
//! Only state: the algorithms are methods in the files of `settle`.
//!
//! Lock order: `unkept`, then `by_leaves`; the state of a slot is taken under neither of the queue's locks. The walk
//! over the file (`Persist::walk`) is taken before both. `first_failure` is taken under any of them, and nothing under
//! it.

use std::collections::{HashMap, HashSet};

use crate::Fail;
use crate::graph::core::{Core, Inputs};
use crate::graph::ids::{NodeId, Seq};
use crate::graph::leaves::Leaves;
use crate::graph::node::{Hist, Node};
use crate::graph::table::Table;
use crate::log::entries::Log;
use crate::schedule::cancel::Cancel;
use crate::schedule::queue::Queue;
use crate::schedule::slot::{Slot, Task};
use crate::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
    lock,
};

/// What the threads and tasks of a build share.
pub(crate) struct Inner {
    pub(crate) engine: Arc<Core>,
    pub(crate) number: u64,
    pub(crate) epoch: u64,
    // A copy: what is declared while the build runs belongs to the next epoch.
    pub(crate) inputs: Inputs,
    /// The tasks that were requested from outside, or by a task of which no run is kept, and the version in the answer,
    /// if there was one at once.
    // A list, not a set: requests from outside are few, and duplicates are removed where it is read.
    pub(crate) asked: Mutex<Vec<(NodeId, Seq)>>,
    /// The reads of tasks that executed, if no run of them is kept.
    pub(crate) unkept: Mutex<HashMap<NodeId, Vec<(NodeId, Seq)>>>,
    // Made on first access: a build that finds its requests clean makes none.
    pub(crate) slots: Table<Slot>,
    /// Whether this build has settled tasks by the numbers of a file. Relaxed: a hint for explanations, set before the
    /// answers that depend on it.
    pub(crate) has_walked: AtomicBool,
    /// The tasks that were found good by the leaves below them, with these.
    pub(crate) by_leaves: Mutex<HashMap<NodeId, Arc<Leaves>>>,
    pub(crate) queue: Queue,
    pub(crate) log: Log,
    pub(crate) keep_going: bool,
    /// A failure was seen after which nothing new is to start.
    pub(crate) failed: AtomicBool,
    /// The first such failure. It reaches no task that was not started before: those are cancelled.
    pub(crate) first_failure: Mutex<Option<Fail>>,
    pub(crate) cancel: Cancel,
    /// The suspects of a what-if build.
    pub(crate) suspects: Option<HashSet<NodeId>>,
}

impl Inner {
    /// The epoch of the latest change of the outside world that a run must have seen to be valid in this build.
    pub(crate) fn stamp(&self, node: &Node, hist: &Hist) -> u64 {
        // A scan is about the outside world; other tasks follow from the leaves.
        let scanned = if node.policy.leaf { self.inputs.scanned } else { 0 };
        self.declared(node, hist).max(scanned)
    }

    /// The epoch of the latest change that was declared of this task, or of all tasks of its rule.
    pub(crate) fn declared(&self, node: &Node, hist: &Hist) -> u64 {
        hist.stamp(self.epoch).max(self.inputs.rules[node.rule as usize])
    }

    pub(crate) fn is_what_if(&self) -> bool {
        self.suspects.is_some()
    }

    /// Whether `node` is assumed to be as in its latest run (what-if).
    pub(crate) fn assumes(&self, node: NodeId) -> bool {
        self.suspects.as_ref().is_some_and(|suspects| !suspects.contains(&node))
    }

    /// Whether nothing new is to start.
    pub(crate) fn stops(&self) -> bool {
        self.cancel.is_cancelled() || (!self.keep_going && self.failed.load(Ordering::Acquire))
    }

    pub(crate) fn failed(&self, fail: &Fail) {
        // Before the flag: where a task is cancelled because of the flag, the reason is there.
        lock(&self.first_failure).get_or_insert_with(|| fail.clone());
        self.failed.store(true, Ordering::Release);
    }

    /// The task of this number.
    pub(crate) fn task(&self, id: NodeId) -> Task<'_> {
        Task { id, node: self.engine.node(id), slot: self.slots.at(id) }
    }

    /// Notes reads that are in no kept run, so that the closure of the build's requests includes them.
    pub(crate) fn asked_for(&self, by: NodeId, nodes: Vec<(NodeId, Seq)>) {
        lock(&self.asked).extend(&nodes);
        lock(&self.unkept).insert(by, nodes);
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.engine.build_ended(self.epoch);
    }
}
