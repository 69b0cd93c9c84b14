//! What a walk has found out, for who follows the good runs down, partly by numbers.

use super::runs::AnyRuns;
use super::{Look, OTHER, Walk};
use crate::build::Inner;
use crate::leaves::Leaves;
use crate::node::NodeId;
use crate::persist::Persist;
use crate::persist::stored::{Stored, StoredRun};
use crate::sync::{Arc, MutexGuard, lock};

/// The file that the latest walk was about.
pub(crate) struct Source<'p> {
    persist: &'p Persist,
    generation: u64,
    stored: Arc<Stored>,
}

/// The same, while nobody else walks.
pub(crate) struct Numbers<'s> {
    inner: &'s Inner,
    stored: &'s Stored,
    walk: MutexGuard<'s, Walk>,
}

/// What a task was found good by.
pub(crate) struct Good {
    pub(crate) is_leaf: bool,
    pub(crate) seq: u32,
    /// The rule and its version.
    pub(crate) rule: (u16, u32),
    /// The leaves, if it is good by them.
    pub(crate) leaves: Option<Leaves>,
    /// What the run read, in order.
    pub(crate) reads: Vec<u32>,
}

impl Persist {
    /// The file that the latest walk was about, if it is still there.
    pub(crate) fn numbers(&self) -> Option<Source<'_>> {
        let generation = lock(&self.walk).generation;
        let stored = self.told(generation)?;
        Some(Source { persist: self, generation, stored })
    }
}

impl Source<'_> {
    /// What was found out in the epoch of a build; `None` if the latest walk was about another.
    pub(crate) fn of<'s>(&'s self, inner: &'s Inner) -> Option<Numbers<'s>> {
        let mut walk = lock(&self.persist.walk);
        let is_of_build = walk.generation == self.generation && walk.epoch == inner.epoch;
        if !is_of_build || walk.now.len() != self.stored.tasks() as usize {
            return None;
        }
        walk.bind(std::mem::take(&mut *lock(&self.persist.bound)));
        Some(Numbers { inner, stored: &self.stored, walk })
    }
}

impl Numbers<'_> {
    pub(crate) fn generation(&self) -> u64 {
        self.walk.generation
    }

    /// How many tasks the file tells of.
    pub(crate) fn tasks(&self) -> usize {
        self.walk.now.len()
    }

    /// The good version of a task, if it was found.
    pub(crate) fn now(&self, task: u32) -> Option<u32> {
        self.walk.now.get(task as usize).copied().filter(|now| *now < OTHER)
    }

    /// The node of a task of which this process knows more than the file.
    pub(crate) fn known_better(&self, inner: &Inner, task: u32) -> Option<NodeId> {
        let node = *self.walk.bound.get(&task)?;
        let is_loaded = lock(&inner.engine.node(node).hist).unloaded().is_none();
        (is_loaded || inner.engine.is_given(node, inner.epoch)).then_some(node)
    }

    /// What a task was found good by; `None` if it was not, or goes by times.
    pub(crate) fn look(&mut self, task: u32) -> Option<Good> {
        let now = self.now(task)?;
        let at = self.walk.better.get(&task).map_or(0, |better| better.run);
        let (mut runs, mut run) = (AnyRuns::of(self.stored, task), None);
        for _ in 0..=at {
            run = runs.next().ok()?;
        }
        let mut run = run.filter(|run| run.seq == now && run.traits & StoredRun::TIMES == 0)?;
        let here = (*self.walk.rules.get(self.stored.rule(task)? as usize)?)?;
        let mut reads = Vec::new();
        let mut leaves = None;
        if self.walk.by_leaves.contains(&task) {
            let set = run.leaves.read().ok()??;
            leaves = Some(Look::new(self.inner, self.stored, &mut self.walk).leaves_here(&set)?);
        } else {
            while let Some(edge) = run.edges.next().ok()? {
                reads.push(edge.dep);
            }
        }
        let is_leaf = run.traits & StoredRun::LEAF != 0;
        Some(Good { is_leaf, seq: now, rule: (here.rule, here.version), leaves, reads })
    }
}
