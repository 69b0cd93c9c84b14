//! Verification by leaves ([`crate::Policy::deep`]): a kept run is good if all leaves below it are unchanged. The tasks
//! in between are neither verified nor loaded.
//!
//! For a task that is not loaded, the leaves are compared by their numbers in the file; a leaf that cannot be decided
//! by numbers alone (its witness does not agree, or this process has newer runs) is loaded and settled the ordinary
//! way. For a task that is loaded they are compared one by one. Either way a leaf is settled once in a build, whether
//! it is for another run, another task, the walk over the file, or a running task.
//!
//! Where no run is good by its leaves, its reads decide (`settle/check.rs`): a leaf may have changed and the reads be
//! unchanged (early cutoff). A task that is verified by leaves only executes then.

use std::sync::Arc;

use crate::graph::ids::{NodeId, Seq, Unloaded};
use crate::graph::leaves::{Leaves, Part as LeafPart};
use crate::graph::run::{Candidate, Run};
use crate::log::entries::Cause;
use crate::persist::ByLeaves;
use crate::schedule::inner::Inner;
use crate::schedule::queue::Queue;
use crate::schedule::slot::{Outcome, Part, Task};
use crate::schedule::work::{LeafComparison, Position, Work};
use crate::sync::lock;

impl Inner {
    /// Settles a task that is verified by leaves first.
    // Not inlined into the path that most tasks take, which nests on the stack.
    #[inline(never)]
    pub(crate) fn begin_by_leaves(self: &Arc<Inner>, task: Task<'_>, unloaded: Option<Unloaded>) {
        if let Some(place) = unloaded {
            return self.agree(task, LeafComparison::Stored { place, at: Position::default() });
        }
        let version = self.engine.rule(task.node).version();
        let candidates: Vec<(Candidate, Arc<Leaves>)> = {
            let hist = lock(&task.node.hist);
            let stamp = self.stamp(task.node, &hist);
            let fits = |run: &&Run| run.version == version && run.stamp == stamp;
            let of_run = |run: &Run| {
                let leaves = run.leaves().filter(|leaves| self.holds(leaves))?;
                Some((Candidate::new(run), leaves.clone()))
            };
            hist.runs.iter().filter(fits).filter_map(of_run).collect()
        };
        // Copied, so that no lock is held while leaves are settled.
        self.next_run(task, candidates.into_iter(), None);
    }

    /// Goes on with the next run, or without leaves.
    fn next_run(
        self: &Arc<Inner>,
        task: Task<'_>,
        mut runs: std::vec::IntoIter<(Candidate, Arc<Leaves>)>,
        cause: Option<Cause>,
    ) {
        while let Some((run, leaves)) = runs.next() {
            if let Some(leaves) = self.engine.bound_leaves(task.id, &run, &leaves) {
                return self.agree(task, LeafComparison::Bound { runs, run, leaves, at: 0, cause });
            }
        }
        self.without_leaves(task, cause);
    }

    /// No run is good by its leaves: verifies the reads, or executes a task that is verified by leaves only.
    fn without_leaves(self: &Arc<Inner>, task: Task<'_>, cause: Option<Cause>) {
        match cause.filter(|_| task.node.policy.is_only_by_leaves()) {
            Some(cause) => self.take_over_or_execute(task, cause),
            // Also for a task that is verified by leaves only, if no leaf was found to differ: it skips all runs there
            // and gets another cause.
            None => self.begin_by_reads(task),
        }
    }

    /// Compares leaves until the task is settled or has to wait.
    #[inline(never)]
    pub(crate) fn agree(self: &Arc<Inner>, task: Task<'_>, mut agree: LeafComparison) {
        loop {
            // The leaf that has to be settled next.
            let leaf = match &mut agree {
                LeafComparison::Stored { place, at } => {
                    let place = *place;
                    match self.by_stored_leaves(task.id, place, at) {
                        ByLeaves::Wait(leaf) => leaf,
                        ByLeaves::Good { seq, leaves, has_failed } => {
                            lock(&self.by_leaves).insert(task.id, leaves);
                            if !has_failed && self.engine.load_versions(task.id).is_some() {
                                return self.settle(task, Outcome { seq: Seq::new(seq), fail: None });
                            }
                            // To replay a failure, the run has to be loaded.
                            self.engine.load(task.id, place);
                            let latest = lock(&task.node.hist).runs.first().map(Candidate::new);
                            return match latest.filter(|run| run.has_failed() == has_failed) {
                                Some(run) => self.replay(task, run, false),
                                None => {
                                    lock(&self.by_leaves).remove(&task.id);
                                    self.without_leaves(task, None)
                                }
                            };
                        }
                        ByLeaves::None => {
                            let differs = at.differs.filter(|_| task.node.policy.is_only_by_leaves());
                            self.engine.load(task.id, place);
                            let differs = differs
                                .and_then(|(leaf, was)| self.leaf_differs(place.generation, leaf, was));
                            return self.without_leaves(task, differs);
                        }
                    }
                }
                LeafComparison::Bound { leaves, at, .. } => {
                    let Some(part) = leaves.parts.get(*at) else { break };
                    let LeafPart::Bound(leaf, seq) = *part else { unreachable!("they were bound") };
                    match self.seq(leaf) {
                        Some(now) if now == seq => {
                            *at += 1;
                            continue;
                        }
                        Some(is) => {
                            let LeafComparison::Bound { runs, cause, .. } = agree else {
                                unreachable!("just seen")
                            };
                            // Of several runs, the leaf that differs from the latest one is the reported cause.
                            let cause = cause.or(Some(Cause::Read { dep: leaf, was: seq, is }));
                            return self.next_run(task, runs, cause);
                        }
                        None => leaf,
                    }
                }
            };
            // On this stack, as other tasks are. Without room for it, the queue runs the leaf and resumes this work.
            if Queue::may_nest(self) {
                self.run_group(std::iter::once(leaf), Part::Hash);
            }
            if self.seq(leaf).is_none() {
                match self.wait_for(task, vec![leaf], Part::Hash, Work::Agree(Box::new(agree))) {
                    Some(Work::Agree(again)) => agree = *again,
                    _ => return,
                }
                if self.seq(leaf).is_none() {
                    // The build ended.
                    return self.settle(task, Outcome::failed(crate::Fail::Cancelled));
                }
            }
        }
        // The leaves are noted before the task is settled, for traversals that see it settled (`settle/below.rs`). It
        // does not become clean: the tasks in between have no recorded dependents that a change would invalidate.
        let LeafComparison::Bound { run, leaves, .. } = agree else { unreachable!("only that one breaks") };
        lock(&self.by_leaves).insert(task.id, leaves);
        self.replay(task, run, false);
    }

    /// A run was found good by its reads: sets its leaf set to the present leaves.
    #[inline(never)]
    pub(crate) fn note_leaves(&self, task: Task<'_>, run: &Candidate) {
        if self.engine.is_given(task.id, self.epoch) {
            return;
        }
        let Some(leaves) = self.leaves_of(run.edges()) else { return };
        let holds = |known: &Leaves| self.holds(known);
        if lock(&task.node.hist).set_leaves(run.edges(), run.seq(), leaves, holds) {
            self.engine.touch(task.id);
        }
    }

    /// Whether the version `now` of `node` has this hash.
    pub(crate) fn has_hash(&self, node: NodeId, now: Seq, hash: crate::Hash) -> bool {
        now.is_known() && self.engine.hash_of(node, now) == Some(hash)
    }
}
