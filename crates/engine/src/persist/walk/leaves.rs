//! Verification of leaf sets by the numbers of the file: no run in between is read.

use super::runs::{AnyRun, AnyRuns};
use super::{Damaged, LocalRule, OTHER_VERSION, RunUpdate, UNDECIDED, Walker};
use crate::graph::ids::{NodeId, Unloaded};
use crate::graph::leaves::Leaves;
use crate::log::entries::Cause;
use crate::persist::leaves::LeafSet;
use crate::persist::stored_run::StoredRun;
use crate::schedule::inner::Inner;
use crate::schedule::work::Position;
use crate::sync::{Arc, atomic::Ordering, lock};

/// A leaf may read other tasks, which may have leaf sets: how deep that may nest, as recursion on the stack, before
/// such a leaf is settled the ordinary way.
// Leaves hardly ever read anything that has leaves below, so this guards the stack and nothing else.
const MAX_DEPTH: usize = 32;

impl Position {
    fn next_run(&mut self) {
        let Position { run, differs, latest, .. } = *self;
        *self = Position { run: run + 1, differs, latest, ..Position::default() };
    }

    fn note(&mut self, leaf: u32, was: u32) {
        // The difference to the latest run is what a user asks about; that to an older one only if there is no other.
        if self.run == self.latest || self.differs.is_none() {
            self.differs = Some((leaf, was));
        }
    }
}

/// The verdict of a task by its leaf sets.
pub(crate) enum ByLeaves {
    /// A run is good.
    Good { seq: u32, leaves: Arc<Leaves>, has_failed: bool },
    /// This leaf has to be settled first.
    Wait(NodeId),
    /// No run is good by its leaves.
    None,
}

/// The same, by numbers only.
pub(super) enum LeafMatch {
    Good {
        run: usize,
        seq: u32,
        has_failed: bool,
        leaves: Arc<LeafSet>,
    },
    /// This leaf is undecided; the version that it had.
    Undecided(u32, u32),
    None,
}

impl Walker<'_> {
    /// Whether the task is verified by leaves.
    pub(super) fn is_deep(&self, task: u32) -> Result<bool, Damaged> {
        // By the latest run: older ones may be from a version of the rule with another policy.
        let first = AnyRuns::of(self.stored, task).next()?;
        Ok(first.is_some_and(|run| run.traits & StoredRun::VERIFIED_BY_LEAVES != 0))
    }

    /// The first run of a task, from a position on, that is good by its leaves.
    pub(super) fn by_leaves(
        &mut self,
        task: u32,
        here: LocalRule,
        at: &mut Position,
    ) -> Result<LeafMatch, Damaged> {
        let mut runs = AnyRuns::of(self.stored, task);
        let mut number = 0;
        at.latest = self.walk.updates.get(&task).map_or(0, RunUpdate::run);
        while let Some(run) = runs.next()? {
            if number > at.run {
                at.next_run();
            }
            if number == at.run
                && run.version == here.version
                && let Some(leaves) = self.leaves_of(&run, at)?
                && self.holds(&leaves)
            {
                match self.compare(&leaves, at)? {
                    None => {
                        let (seq, has_failed) = (run.seq, run.has_failed);
                        return Ok(LeafMatch::Good { run: number, seq, has_failed, leaves });
                    }
                    Some((leaf, seq, false)) => return Ok(LeafMatch::Undecided(leaf, seq)),
                    Some((leaf, seq, true)) => at.note(leaf, seq),
                }
            }
            number += 1;
        }
        Ok(LeafMatch::None)
    }

    fn leaves_of(&self, run: &AnyRun<'_>, at: &mut Position) -> Result<Option<Arc<LeafSet>>, Damaged> {
        // Decoded once for each run: the comparison is resumed after each leaf that has to be settled.
        if at.leaves.is_none() {
            at.leaves = run.leaves.read()?;
        }
        Ok(at.leaves.clone())
    }

    /// Whether a leaf set is valid: the rules in between have the same versions, and no change was declared of their
    /// tasks.
    fn holds(&self, leaves: &LeafSet) -> bool {
        leaves.rules.iter().all(|(rule, version)| {
            let here = self.walk.rules.get(usize::from(*rule)).copied().flatten();
            here.is_some_and(|here| {
                // Sets in the file are from before this process, so any change that it declared invalidates them.
                here.version == *version && self.inner.inputs.leaf_sets_invalidated[here.rule as usize] == 0
            })
        })
    }

    /// The first leaf that does not have the version of the set, with that version, and whether it is known to have
    /// another one (or is undecided).
    fn compare(&mut self, leaves: &LeafSet, at: &mut Position) -> Result<Option<(u32, u32, bool)>, Damaged> {
        // Not when it goes on after a leaf was settled: the others were verified in the first pass.
        if (at.range, at.leaf) == (0, 0) {
            self.verify_ahead(leaves)?;
        }
        while let Some(range) = leaves.ranges.get(at.range) {
            while at.leaf < range.count {
                let leaf = range.first + at.leaf;
                let now = match self.known(leaf) {
                    Some(now) => now,
                    None => self.decide_leaf(leaf)?,
                };
                if now != range.seq {
                    return Ok(Some((leaf, range.seq, now < OTHER_VERSION)));
                }
                at.leaf += 1;
            }
            (at.range, at.leaf) = (at.range + 1, 0);
        }
        Ok(None)
    }

    fn decide_leaf(&mut self, leaf: u32) -> Result<u32, Damaged> {
        if self.depth == MAX_DEPTH {
            return Ok(UNDECIDED);
        }
        self.depth += 1;
        let now = self.decide(leaf);
        self.depth -= 1;
        Ok(now?.unwrap_or(UNDECIDED))
    }

    /// Notes that a task is good by the leaves of one of its runs.
    pub(super) fn close_by_leaves(&mut self, task: u32, run: usize, seq: u32) {
        self.walk.verdicts.set(task, seq);
        self.walk.by_leaves.insert(task);
        self.note_good_run(task, run);
    }

    /// Notes by which of its runs a task is good.
    pub(super) fn note_good_run(&mut self, task: u32, run: usize) {
        self.walk.good += 1;
        self.walk.note_good_run(task, run);
    }

    /// The leaf set in terms of this process. `None`: a rule in between does not exist here.
    pub(super) fn leaves_here(&self, leaves: &LeafSet) -> Option<Leaves> {
        let rules = &self.walk.rules;
        leaves.here(self.walk.generation, |rule| rules.get(rule)?.map(|here| here.rule))
    }
}

impl Inner {
    /// Finds a run that is good by its leaves, for a task that is not loaded.
    pub(crate) fn by_stored_leaves(&self, node: NodeId, place: Unloaded, at: &mut Position) -> ByLeaves {
        let core = &*self.engine;
        let Some(persist) = core.persist() else { return ByLeaves::None };
        let entry = core.node(node);
        // Runs in the file have seen no change that was declared in this process.
        let is_declared = self.stamp(entry, &lock(&entry.hist)) != 0;
        if is_declared || core.is_given(node, self.epoch) {
            return ByLeaves::None;
        }
        let Some(stored) = persist.stored_of(place.generation) else { return ByLeaves::None };
        loop {
            // A leaf that is undecided is settled by the caller, which may begin a walk: so the lock ends with this
            // block.
            let found = {
                let walk = &mut *lock(&persist.walk);
                if !walk.begin_epoch(&stored, place.generation, self, persist) {
                    return ByLeaves::None;
                }
                let before = walk.good;
                let mut walker = Walker::new(self, &stored, walk);
                let found = walker.of_task(place.number, at);
                let leaves = match &found {
                    Ok(LeafMatch::Good { run, seq, has_failed: false, leaves }) => {
                        walker.close_by_leaves(place.number, *run, *seq);
                        walker.leaves_here(leaves)
                    }
                    Ok(LeafMatch::Good { run, leaves, .. }) => {
                        walker.note_good_run(place.number, *run);
                        walker.leaves_here(leaves)
                    }
                    _ => None,
                };
                let good = walker.walk.good - before;
                self.log.add_replayed(good);
                if good > 0 {
                    self.has_walked.store(true, Ordering::Relaxed);
                }
                found.map(|found| (found, leaves))
            };
            let (leaf, seq) = match found {
                Ok((LeafMatch::Good { seq, has_failed, .. }, Some(leaves))) if !stored.is_damaged() => {
                    return ByLeaves::Good { seq, leaves: Arc::new(leaves), has_failed };
                }
                Ok((LeafMatch::Undecided(leaf, seq), _)) if !stored.is_damaged() => (leaf, seq),
                // From here on tasks in between are verified, so all chunks are read and checked first.
                Ok((LeafMatch::None, _)) if stored.read_all_tasks() => return ByLeaves::None,
                _ => {
                    persist.mark_corrupt(place.generation);
                    return ByLeaves::None;
                }
            };
            let bound = core.bind_number(&stored, place.generation, leaf);
            // Its rule is not in this process, or its key cannot be decoded: the run cannot be verified by it.
            let Some((node, hash)) = bound.zip(stored.hash(leaf, seq)) else {
                at.next_run();
                continue;
            };
            match self.seq(node) {
                Some(now) if self.has_hash(node, now, hash) => at.leaf += 1,
                Some(_) => {
                    at.note(leaf, seq);
                    at.next_run();
                }
                None => return ByLeaves::Wait(node),
            }
        }
    }
}

impl Inner {
    /// The cause of an execution: a leaf of the file does not have the version that it had.
    pub(crate) fn leaf_differs(&self, generation: u64, leaf: u32, was: u32) -> Option<Cause> {
        let core = &*self.engine;
        let stored = core.persist()?.stored_of(generation)?;
        let dep = core.bind_number(&stored, generation, leaf)?;
        let hash = stored.hash(leaf, was)?;
        // A leaf that was decided by its number has no slot in this build.
        let is = self.seq(dep).or_else(|| self.version_by_numbers(dep))?;
        core.fetch_history(dep);
        let was = lock(&core.node(dep).hist).seq_with(hash)?;
        Some(Cause::Read { dep, was, is })
    }
}

impl Walker<'_> {
    fn of_task(&mut self, task: u32, at: &mut Position) -> Result<LeafMatch, Damaged> {
        let rule = self.stored.rule(task).ok_or(Damaged)?;
        match self.walk.rules.get(rule as usize).copied().flatten() {
            Some(here) => self.by_leaves(task, here, at),
            None => Ok(LeafMatch::None),
        }
    }

    /// Decides a task with leaf sets that the walk visits on its way.
    pub(super) fn decide_by_leaves(&mut self, task: u32, here: LocalRule) -> Result<(), Damaged> {
        let found = self.by_leaves(task, here, &mut Position::default())?;
        match found {
            LeafMatch::Good { run, seq, has_failed: false, .. } => self.close_by_leaves(task, run, seq),
            _ => self.walk.verdicts.set(task, UNDECIDED),
        }
        Ok(())
    }
}
