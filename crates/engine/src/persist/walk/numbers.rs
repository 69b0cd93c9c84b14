//! Access to the verdicts of a walk, for the traversals that follow good runs (`settle/below.rs`, `settle/gather.rs`).

use super::runs::AnyRuns;
use super::{OTHER_VERSION, RunUpdate, Walk, Walker};
use crate::Facets;
use crate::graph::bits::Bits;
use crate::graph::ids::{NodeId, Seq};
use crate::graph::leaves::Leaves;
use crate::persist::Persist;
use crate::persist::snapshot::Columns;
use crate::persist::stored::Stored;
use crate::persist::stored_run::StoredRun;
use crate::schedule::inner::Inner;
use crate::sync::{Arc, MutexGuard, lock};

/// A file that is or was walked.
// Without the lock: the file is kept alive here, so that `Numbers` can borrow from it.
pub(crate) struct Source<'p> {
    persist: &'p Persist,
    generation: u64,
    stored: Arc<Stored>,
}

/// The same with the lock on the walk, so that no other thread walks meanwhile.
pub(crate) struct Numbers<'s> {
    inner: &'s Inner,
    stored: &'s Stored,
    // For a whole traversal: verdicts do not change between two of its steps.
    walk: MutexGuard<'s, Walk>,
    columns: Option<Columns<'s>>,
}

/// Why a task is good: the run, as numbers of the file.
pub(crate) struct Good {
    pub(crate) is_leaf: bool,
    pub(crate) by_times: bool,
    pub(crate) seq: u32,
    /// The rule and its version.
    pub(crate) rule: (u16, u32),
    /// The leaves, if it is good by them.
    pub(crate) leaves: Option<Leaves>,
    /// The reads of the run, in order: the task, its version, and the facets that were read.
    pub(crate) reads: Vec<(u32, u32, Facets)>,
}

impl Persist {
    /// The file of the latest walk, if it is still known.
    pub(crate) fn numbers(&self) -> Option<Source<'_>> {
        let generation = lock(&self.walk).generation;
        let stored = self.stored_of(generation)?;
        Some(Source { persist: self, generation, stored })
    }
}

impl Persist {
    /// The present file.
    pub(crate) fn current(&self) -> Option<Source<'_>> {
        let generation = {
            let mut state = lock(&self.state);
            state.stored(&*self.file);
            state.generation
        };
        let stored = self.stored_of(generation)?;
        Some(Source { persist: self, generation, stored })
    }
}

impl Source<'_> {
    /// Begins or continues the walk in the epoch of a build; `None` if a later epoch has begun.
    pub(crate) fn in_epoch_of<'s>(&'s self, inner: &'s Inner) -> Option<Numbers<'s>> {
        let mut walk = lock(&self.persist.walk);
        let is_of_build = walk.begin_epoch(&self.stored, self.generation, inner, self.persist);
        is_of_build.then(|| Numbers { inner, stored: &self.stored, walk, columns: self.stored.columns() })
    }

    /// Continues the walk in the epoch of a build; `None` if the latest walk was of another file or epoch.
    pub(crate) fn of<'s>(&'s self, inner: &'s Inner) -> Option<Numbers<'s>> {
        let mut walk = lock(&self.persist.walk);
        // What was found in another epoch is not what this build has settled.
        let is_of_build = walk.generation == self.generation && walk.epoch == inner.epoch;
        // Again, though it is in that epoch: tasks that became nodes since are taken over.
        if !is_of_build || !walk.begin_epoch(&self.stored, self.generation, inner, self.persist) {
            return None;
        }
        Some(Numbers { inner, stored: &self.stored, walk, columns: self.stored.columns() })
    }
}

impl Numbers<'_> {
    /// For [`Numbers::plain_reads`]: no leaf, nor compared by times or verified by leaves.
    pub(crate) const GOOD_BY_READS: u8 = StoredRun::LEAF | StoredRun::TIMES | StoredRun::VERIFIED_BY_LEAVES;

    pub(crate) fn generation(&self) -> u64 {
        self.walk.generation
    }

    /// Whether the file was found corrupt: then no answer counts.
    pub(crate) fn is_damaged(&self) -> bool {
        self.stored.is_damaged()
    }

    /// How many tasks are in the file.
    pub(crate) fn tasks(&self) -> usize {
        self.walk.verdicts.len()
    }

    /// The good version of a task, if it was found.
    pub(crate) fn now(&self, task: u32) -> Option<u32> {
        self.walk.verdicts.get(task).filter(|now| *now < OTHER_VERSION)
    }

    /// The node of a task that was not found good by its number, and is loaded or has a set value. A task that was
    /// found good by its number is followed by numbers throughout the epoch, even if it was loaded since.
    pub(crate) fn loaded_node(&self, inner: &Inner, task: u32) -> Option<NodeId> {
        if self.now(task).is_some() {
            return None;
        }
        let node = *self.walk.bound.get(&task)?;
        // A node without its runs has nothing that the file does not have.
        let is_loaded = lock(&inner.engine.node(node).hist).unloaded().is_none();
        (is_loaded || inner.engine.is_given(node, inner.epoch)).then_some(node)
    }

    /// The number in this process of a version in the file, for a task that has a node.
    pub(crate) fn seq_here(&self, node: NodeId, task: u32, seq: u32) -> Option<Seq> {
        let hist = lock(&self.inner.engine.node(node).hist);
        if hist.is_seq_of(self.walk.generation, task, Seq::new(seq)) {
            return Some(Seq::new(seq));
        }
        hist.seq_with(self.stored.hash(task, seq)?)
    }

    /// By task, whether its latest run in the snapshot may not be its good run.
    // Made once for a traversal: three look-ups in maps for each task would cost more than following its reads.
    pub(crate) fn not_plain(&self) -> Bits {
        let mut special = Bits::new(self.tasks());
        self.stored
            .changed()
            .chain(self.walk.updates.keys().copied())
            .chain(self.walk.by_leaves.iter().copied())
            .for_each(|task| {
                special.insert(task);
            });
        special
    }

    /// The rule of a task that is plain ([`Numbers::not_plain`]), if its latest run is good, has none of the traits
    /// `without`, and has reads only; `each` is called for each read, in order, as in [`Good::reads`].
    #[inline]
    pub(crate) fn plain_reads(
        &self,
        task: u32,
        without: u8,
        mut each: impl FnMut(u32, u32, Facets),
    ) -> Option<u16> {
        let columns = self.columns.as_ref()?;
        let now = self.walk.verdicts.get(task)?;
        let (rule, runs) = columns.task(task)?;
        let here = (*self.walk.rules.get(usize::from(rule))?)?;
        let mut plain = columns.latest(runs, here.version, without).filter(|plain| plain.seq == now)?;
        while let Some((dep, seq, bits)) = plain.read()? {
            each(dep, seq, plain.facets(bits)?);
            plain.pass(bits);
        }
        Some(here.rule)
    }

    /// The place of a rule in the file.
    pub(crate) fn rule_in_file(&self, rule: u16) -> Option<u16> {
        let name = self.inner.engine.rule_at(rule).name();
        self.stored.rules().iter().position(|there| **there == *name).map(|at| at as u16)
    }

    /// Whether a task is of a rule of the file.
    pub(crate) fn is_of(&self, task: u32, rule: Option<u16>) -> bool {
        rule.is_some() && self.stored.rule(task) == rule
    }

    /// The node of a task, made if need be.
    pub(crate) fn bound(&self, task: u32) -> Option<NodeId> {
        self.inner.engine.bind_number(self.stored, self.walk.generation, task)
    }

    /// The key of a task.
    pub(crate) fn key(&self, task: u32) -> Option<Vec<u8>> {
        let mut key = Vec::new();
        self.stored.key(task, &mut key).map(|()| key)
    }

    /// The good run of a task, which is decided now if it is not yet (below a task that is good by its leaves). Nothing
    /// is executed, and leaves are not asked again. `read`: the version that was read of it.
    pub(crate) fn follow(&mut self, task: u32, read: Option<u32>) -> Option<Good> {
        if self.now(task).is_none() {
            let decided = Walker::new(self.inner, self.stored, &mut self.walk).decide(task).ok()?;
            if decided.is_none() {
                // `None` for `read`: the caller settles it instead.
                return self.failed(task, read?);
            }
        }
        self.found(task)
    }

    /// The run by which a task failed, as far as its reads are decided: the walk leaves failures undecided. The caller
    /// verifies the rest on its way down.
    fn failed(&self, task: u32, read: u32) -> Option<Good> {
        let here = (*self.walk.rules.get(self.stored.rule(task)? as usize)?)?;
        let good_leaves = self.walk.good_leaves.get(task as usize / 64)? & 1 << (task % 64) != 0;
        let mut runs = AnyRuns::of(self.stored, task);
        while let Some(mut run) = runs.next().ok()? {
            let is_leaf = run.traits & StoredRun::LEAF != 0;
            if run.seq != read || !run.has_failed || run.version != here.version || is_leaf && !good_leaves {
                continue;
            }
            let (mut reads, mut agrees) = (Vec::new(), true);
            while let Some(edge) = run.edges.next().ok()? {
                let now = self.now(edge.dep);
                // Undecided reads and those of facets are verified where they are visited.
                agrees &= now.is_none_or(|now| now == edge.seq || edge.has_facets());
                reads.push((edge.dep, edge.seq, edge.facets));
            }
            if agrees {
                let (rule, by_times) = ((here.rule, here.version), false);
                return Some(Good { is_leaf, by_times, seq: read, rule, leaves: None, reads });
            }
        }
        None
    }

    /// The good run of a task; `None` if none was found, or it is compared by times.
    pub(crate) fn good_by_hashes(&mut self, task: u32) -> Option<Good> {
        self.found(task).filter(|found| !found.by_times)
    }

    fn found(&mut self, task: u32) -> Option<Good> {
        let now = self.now(task)?;
        // The walk records the index of a good run unless it is the first.
        let at = self.walk.updates.get(&task).map_or(0, RunUpdate::run);
        let (mut runs, mut run) = (AnyRuns::of(self.stored, task), None);
        // From the first run on, since runs are of different lengths: few tasks have more than four.
        for _ in 0..=at {
            run = runs.next().ok()?;
        }
        let mut run = run.filter(|run| run.seq == now)?;
        let by_times = run.traits & StoredRun::TIMES != 0;
        let here = (*self.walk.rules.get(self.stored.rule(task)? as usize)?)?;
        let mut reads = Vec::new();
        let mut leaves = None;
        if self.walk.by_leaves.contains(&task) {
            let set = run.leaves.read().ok()??;
            leaves = Some(Walker::new(self.inner, self.stored, &mut self.walk).leaves_here(&set)?);
        }
        while let Some(edge) = run.edges.next().ok()? {
            reads.push((edge.dep, edge.seq, edge.facets));
        }
        let is_leaf = run.traits & StoredRun::LEAF != 0;
        Some(Good { is_leaf, by_times, seq: now, rule: (here.rule, here.version), leaves, reads })
    }
}
