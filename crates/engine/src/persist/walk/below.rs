//! The leaves in the closure of tasks that were settled by the numbers of a file, found without loading anything.

use super::runs::AnyRuns;
use super::{OTHER_VERSION, RunUpdate, Walk};
use crate::graph::ids::{NodeId, Seq, Unloaded};
use crate::persist::stored::Stored;
use crate::persist::stored_run::StoredRun;
use crate::schedule::inner::Inner;
use crate::sync::{Arc, lock};

/// The leaves below some tasks that are only in the file.
pub(crate) struct Leaves {
    stored: Arc<Stored>,
    leaves: Vec<u32>,
    /// Those that were settled as nodes, below a task that is good by its leaves.
    pub(crate) bound: Vec<(NodeId, Seq)>,
}

/// A leaf that was found good, as it is in the file.
pub(crate) struct StoredLeaf {
    pub(crate) rule: Arc<str>,
    pub(crate) key: Vec<u8>,
}

impl Leaves {
    /// The rules and keys of the leaves; `None` in place of one that cannot be read.
    pub(crate) fn leaves(&self) -> impl Iterator<Item = Option<StoredLeaf>> + '_ {
        self.leaves.iter().map(|task| {
            let rule = self.stored.rules().get(self.stored.rule(*task)? as usize)?.clone();
            let mut key = Vec::new();
            self.stored.key(*task, &mut key)?;
            Some(StoredLeaf { rule, key })
        })
    }
}

impl Inner {
    /// The leaves below these tasks, which are not loaded; tasks for which `is_known` returns true are left out with
    /// what is below. `None`: the leaves are not known.
    pub(crate) fn leaves_below(&self, tasks: &[NodeId], is_known: impl Fn(NodeId) -> bool) -> Option<Leaves> {
        let persist = self.engine.persist()?;
        let generation = lock(&persist.walk).generation;
        let stored = persist.stored_of(generation)?;
        let place = |node: &NodeId| lock(&self.engine.node(*node).hist).unloaded();
        let number = |place: Unloaded| (place.generation == generation).then_some(place.number);
        let pending: Option<Vec<u32>> = tasks.iter().filter_map(place).map(number).collect();
        let mut pending = pending?;
        let walk = &mut *lock(&persist.walk);
        if walk.generation != generation || walk.epoch != self.epoch {
            return None;
        }
        walk.bind(std::mem::take(&mut *lock(&persist.bound)));
        // By number, so a set costs one byte for each task of the file.
        let mut seen = vec![false; walk.verdicts.len()];
        let (mut leaves, mut bound) = (Vec::new(), Vec::new());
        while let Some(task) = pending.pop() {
            if std::mem::replace(seen.get_mut(task as usize)?, true) {
                continue;
            }
            if let Some(node) = self.loaded(walk, task) {
                bound.push((node, self.seq(node)?));
                continue;
            }
            // Not found good by its number, nor loaded: it is not known what it read in this build.
            let now = walk.verdicts.get(task).filter(|now| *now < OTHER_VERSION)?;
            let (mut runs, mut run) = (AnyRuns::of(&stored, task), None);
            for _ in 0..=walk.updates.get(&task).map_or(0, RunUpdate::run) {
                run = runs.next().ok()?;
            }
            // The journal may have other runs since a commit; one with another result is certainly not the good one.
            let mut run = run.filter(|run| run.seq == now)?;
            if run.traits & StoredRun::LEAF != 0 {
                leaves.push(task);
            }
            if walk.by_leaves.contains(&task) {
                run.leaves.read().ok()??.each(|leaf, _| {
                    let is_elsewhere = walk.bound.get(&leaf).is_some_and(|node| is_known(*node));
                    pending.extend((!is_elsewhere).then_some(leaf));
                });
                continue;
            }
            while let Some(edge) = run.edges.next().ok()? {
                let is_elsewhere = walk.bound.get(&edge.dep).is_some_and(|node| is_known(*node));
                if !is_elsewhere {
                    pending.push(edge.dep);
                }
            }
        }
        Some(Leaves { stored, leaves, bound })
    }

    /// The node of a leaf that was not settled by numbers.
    fn loaded(&self, walk: &Walk, task: u32) -> Option<NodeId> {
        let node = *walk.bound.get(&task)?;
        let entry = self.engine.node(node);
        (entry.policy.leaf && lock(&entry.hist).unloaded().is_none()).then_some(node)
    }
}
