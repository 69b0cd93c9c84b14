//! Loads tasks from the file: stored runs in terms of the file's numbers become runs in terms of this process's nodes.
//!
//! Only the loaded task's history is filled; the tasks that it read become nodes without a history, which are loaded in
//! turn if they have to be verified read by read.

use super::leaves::Range;
use super::stored::Stored;
use super::stored_run::{StoredEdge, StoredRun};
use crate::Fail;
use crate::graph::core::Core;
use crate::graph::ids::{NodeId, Seq, Unloaded};
use crate::graph::leaves::{Leaves, Part};
use crate::graph::run::{Candidate, Edge, Mode, RareFields, Run};
use crate::sync::{Arc, lock};

/// A file as this process sees it: with the numbers that its rules have here.
struct FileView<'s> {
    stored: &'s Stored,
    generation: u64,
    /// By place in the file, the number of the rule in this process, if it is there.
    // By place, so that a read costs no comparison of names.
    rules: Vec<Option<u16>>,
}

impl Core {
    /// Loads the versions and runs of a task.
    pub(crate) fn load(&self, node: NodeId, place: Unloaded) {
        let Some(persist) = self.persist() else { return };
        let known = persist.stored_of(place.generation).and_then(|stored| {
            self.read(&self.view_of(&stored, place.generation), node, place).or_else(|| {
                persist.mark_corrupt(place.generation);
                None
            })
        });
        match known {
            Some(runs) => lock(&self.node(node).hist).load_runs(runs),
            // The task executes then, as if it had never been in the file.
            None => lock(&self.node(node).hist).drop_unloaded(),
        }
        self.mark_reads_clean(node);
    }

    fn view_of<'s>(&self, stored: &'s Stored, generation: u64) -> FileView<'s> {
        let rules = stored.rules().iter().map(|name| self.rule_number(name)).collect();
        FileView { stored, generation, rules }
    }

    fn read(&self, file: &FileView<'_>, node: NodeId, place: Unloaded) -> Option<Vec<Run>> {
        let versions = (file.stored.hashes(place.number)?, file.stored.facets(place.number)?);
        let mut stored = file.stored.runs(place.number)?;
        // What the walk over the numbers found out about them.
        let (update, stamp, stale) = self.persist()?.findings(place);
        // By the places of the runs in the file, so before any run is dropped below.
        if let Some(update) = update {
            update.apply(&mut stored);
        }
        let good = stamp.and_then(|stamp| Some((stamp, stored.first()?.seq)));
        {
            let mut hist = lock(&self.node(node).hist);
            hist.load_versions(Some(versions));
            if let Some(epoch) = stale {
                hist.note_stale_in(epoch);
            }
        }
        // A run with a part that can no longer be decoded (another rule version, say) is dropped.
        let mut runs: Vec<Run> =
            stored.into_iter().filter_map(|run| self.bind(file, node, place, run)).collect();
        if let Some((stamp, seq)) = good {
            // If the run that was good could not be decoded, the first of the others has not been verified.
            runs.iter_mut().take(1).filter(|run| run.seq.number() == seq).for_each(|run| run.stamp = stamp);
        }
        (!file.stored.is_damaged()).then_some(runs)
    }

    /// A stored run in terms of this process; `None` if something in it can no longer be decoded.
    fn bind(&self, file: &FileView<'_>, node: NodeId, place: Unloaded, run: StoredRun) -> Option<Run> {
        let entry = self.node(node);
        let rule = self.rule(entry);
        // Not under the lock on the history: the tasks that were read take their own, one at a time
        // (`graph/core.rs`).
        let mut edges = Vec::with_capacity(run.edges.len());
        for edge in &*run.edges {
            let mode = match edge.bits & (StoredEdge::HASH_ONLY | StoredEdge::MENTION) {
                0 => Mode::Value,
                StoredEdge::HASH_ONLY => Mode::Hash,
                _ => Mode::Mention,
            };
            let (dep, of_dep) = self.bind_task(file, edge.dep)?;
            let seq = self.seq_here(file, dep, of_dep, edge.seq)?;
            edges.push(Edge { dep, seq, mode, facets: edge.facets, ends_group: edge.ends_group() });
        }
        let fail = match &run.fail {
            None => None,
            // Only failures that follow from the reads are ever written.
            Some(bytes) => Some(Fail::Task(rule.decode_failure(bytes)?)),
        };
        let seq = self.seq_here(file, node, place, run.seq)?;
        let leaves =
            run.leaves.and_then(|leaves| leaves.here(file.generation, |rule| *file.rules.get(rule)?));
        let leaves = leaves.map(Arc::new);
        let rest = RareFields { witness: run.witness, fail, value: None, bytes: run.value, leaves };
        // Stamp 0: it has seen no change that was declared in this process. A leaf gets one when its rule confirms it.
        Some(Run::new(run.version, 0, edges.into(), seq, rest))
    }

    /// The node of a stored task.
    fn bind_task(&self, file: &FileView<'_>, number: u32) -> Option<(NodeId, Unloaded)> {
        let rule = (*file.rules.get(file.stored.rule(number)? as usize)?)?;
        let mut key = Vec::new();
        file.stored.key(number, &mut key)?;
        let versions = file.stored.versions(number);
        let place = Unloaded { generation: file.generation, number, versions };
        Some((self.intern_stored(rule, &key, place)?, place))
    }

    /// The number in this process of a version in the file. It is the same number unless the task was a node before the
    /// file was read, or was loaded from another file.
    fn seq_here(&self, file: &FileView<'_>, dep: NodeId, place: Unloaded, seq: u32) -> Option<Seq> {
        let hist = &self.node(dep).hist;
        if lock(hist).is_seq_of(place.generation, place.number, Seq::new(seq)) {
            return Some(Seq::new(seq));
        }
        let hash = file.stored.hash(place.number, seq)?;
        let unloaded = lock(hist).unloaded();
        // The versions of the file keep their numbers; if they can no longer be loaded, those numbers are given to
        // no other version.
        if unloaded.is_some() && self.load_versions(dep).is_none() {
            lock(hist).load_versions(None);
        }
        Some(lock(hist).seq_of(hash))
    }
}

impl Core {
    /// The node of a task of a file.
    pub(crate) fn bind_number(&self, stored: &Stored, generation: u64, number: u32) -> Option<NodeId> {
        self.bind_task(&self.view_of(stored, generation), number).map(|(node, _)| node)
    }

    /// The leaves of a kept run, each as a node; the run keeps them so. `None`: the file that some are in is gone.
    pub(crate) fn bound_leaves(
        &self,
        node: NodeId,
        run: &Candidate,
        leaves: &Arc<Leaves>,
    ) -> Option<Arc<Leaves>> {
        if leaves.parts.iter().all(|part| matches!(part, Part::Bound(..))) {
            return Some(leaves.clone());
        }
        let parts = self.bound_parts(leaves)?.into_iter().map(|(leaf, seq)| Part::Bound(leaf, seq)).collect();
        let bound = Arc::new(Leaves { parts, ..(**leaves).clone() });
        lock(&self.node(node).hist).put_leaves(run.edges(), run.seq(), bound.clone());
        Some(bound)
    }

    /// The leaves, each as a node, with their versions.
    pub(crate) fn bound_parts(&self, leaves: &Leaves) -> Option<Vec<(NodeId, Seq)>> {
        let bound = |part: &Part| match *part {
            Part::Bound(leaf, seq) => Some((leaf, seq)),
            Part::Stored(_) => None,
        };
        if let Some(all) = leaves.parts.iter().map(bound).collect() {
            return Some(all);
        }
        let generation = leaves.generation;
        let stored = self.persist()?.stored_of(generation)?;
        let file = self.view_of(&stored, generation);
        let mut parts = Vec::with_capacity(leaves.parts.len());
        for part in &leaves.parts {
            match *part {
                Part::Bound(leaf, seq) => parts.push((leaf, seq)),
                Part::Stored(Range { first, count, seq }) => {
                    for leaf in first..first + count {
                        let (leaf, place) = self.bind_task(&file, leaf)?;
                        parts.push((leaf, self.seq_here(&file, leaf, place, seq)?));
                    }
                }
            }
        }
        Some(parts)
    }
}

/// A thread may read the file's content while another one commits.
const _: fn(Arc<Stored>) -> Box<dyn Send> = |stored| Box::new(stored);
