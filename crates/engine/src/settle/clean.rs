//! What stays good from one build to the next, without a look at what it was made from.
//!
//! A task that was settled in some epoch, and everything below it too, is good in all later epochs until
//! something below it is said to have changed. So changes are carried upwards when they are declared, along
//! the reads of the runs that tasks were settled by, and a build that asks for a task that nothing reached has
//! its answer at once: a build after no change costs the same however large the graph is, and one after a
//! change looks at what that change can have reached, as far as somebody asks for it.
//!
//! Who reads whom is noted from the first change on that comes after a build: a process that builds once does
//! without. All this is about the latest epoch; a build of an earlier one that meets something newer verifies
//! by the traces, as if nothing stood.

use std::collections::HashSet;

use crate::graph::core::Core;
use crate::graph::ids::{NodeId, Seq};
use crate::graph::intern::BuildMix;
use crate::graph::node::Hist;
use crate::graph::run::Edge;
use crate::schedule::inner::Inner;
use crate::schedule::slot::{Answer, Part, Task};
use crate::sync::{Arc, atomic::Ordering, lock};
use crate::{Rebuild, Store};

impl Core {
    /// Says that `nodes` are not in `epoch` what they were before, nor perhaps whatever was made from them.
    /// `false`: nobody knows any more what was made from what, so nothing stands since before.
    #[must_use]
    pub(crate) fn invalidate(&self, nodes: impl IntoIterator<Item = NodeId>, epoch: u64) -> bool {
        let epoch = epoch as u32;
        let mark = |node: NodeId, above: &mut Vec<NodeId>| {
            let clean = &self.node(node).clean;
            let dependents = lock(&clean.dependents);
            if clean.invalidated.fetch_max(epoch, Ordering::SeqCst) < epoch {
                above.extend(dependents.iter());
            }
        };
        let nodes: Vec<NodeId> = nodes.into_iter().collect();
        if nodes.is_empty() {
            return true;
        }
        let mut is_known = true;
        // Whoever settles from here on sees that these changed; whoever did before is noted.
        let mut pending = Vec::new();
        nodes.iter().for_each(|node| mark(*node, &mut pending));
        if self.has_clean.load(Ordering::SeqCst) && !self.notes_dependents.load(Ordering::SeqCst) {
            is_known = self.note_dependents();
            pending.clear();
            for node in nodes {
                pending.extend(lock(&self.node(node).clean.dependents).iter());
            }
        }
        while let Some(node) = pending.pop() {
            mark(node, &mut pending);
        }
        is_known
    }

    /// Binds what stands by the numbers of a file, so that every task that something standing was made from has a node.
    /// `false`: of some it is not known what they were made from.
    #[must_use]
    pub(crate) fn note_dependents_of_clean(&self) -> bool {
        !self.has_clean.load(Ordering::SeqCst) || self.note_dependents()
    }

    /// From now on, all who read are noted; and now those who did. `false`: of some nobody knows.
    fn note_dependents(&self) -> bool {
        if self.notes_dependents.swap(true, Ordering::SeqCst) {
            return true;
        }
        let is_known = self.bind_clean();
        for (node, entry) in self.all_nodes() {
            let mut hist = lock(&entry.hist);
            if entry.clean.settled.load(Ordering::SeqCst) != 0 {
                self.note_reads(node, &mut hist);
            }
        }
        is_known
    }

    /// The reads by which a task stands that was settled by the numbers of a file, now that they are bound.
    fn clean_reads(&self, node: NodeId) -> Option<Arc<[Edge]>> {
        let entry = self.node(node);
        let settled = entry.clean.settled.load(Ordering::SeqCst);
        let hist = lock(&entry.hist);
        let run = hist.runs.first().filter(|run| settled != 0 && run.seq.number() == settled as u32);
        run.map(|run| run.edges.clone())
    }

    /// A task was bound that was settled by the numbers of a file: what it read was settled with it.
    pub(crate) fn mark_reads_clean(&self, node: NodeId) {
        let settled = self.node(node).clean.settled.load(Ordering::SeqCst);
        let edges = self.clean_reads(node);
        // Below what was found good by leaves nothing was looked at.
        let below =
            edges.iter().flat_map(|edges| edges.iter()).filter(|edge| !self.node(edge.dep).policy.is_deep());
        for Edge { dep, seq, .. } in below {
            let clean = &self.node(*dep).clean.settled;
            let since = settled >> 32 << 32 | u64::from(seq.number());
            // Whoever settled it otherwise was there before.
            let _ = clean.compare_exchange(0, since, Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    /// Binds what was settled by the numbers of a file, and all below: it stands as they do. `false`: the file is
    /// no more.
    pub(crate) fn bind_clean(&self) -> bool {
        let of_file = |node: NodeId| {
            let entry = self.node(node);
            let is_settled = entry.clean.settled.load(Ordering::SeqCst) != 0;
            (is_settled && lock(&entry.hist).place().is_some()).then_some(node)
        };
        // Also what is bound already: another thread may be about to hand down.
        let mut pending: Vec<NodeId> = self.all_nodes().filter_map(|(node, _)| of_file(node)).collect();
        let mut seen: HashSet<NodeId, BuildMix> = HashSet::default();
        while let Some(node) = pending.pop() {
            if !seen.insert(node) {
                continue;
            }
            let unloaded = lock(&self.node(node).hist).unloaded();
            if let Some(place) = unloaded {
                self.load(node, place);
            }
            self.mark_reads_clean(node);
            match self.clean_reads(node) {
                // Changes do not reach what is above it: none was noted to read what lies below.
                Some(edges) if edges.iter().any(|edge| self.node(edge.dep).policy.is_deep()) => return false,
                Some(edges) => pending.extend(edges.iter().filter_map(|edge| of_file(edge.dep))),
                None if unloaded.is_some() => return false,
                None => {}
            }
        }
        true
    }

    /// Notes what the latest run of a task read; returns the latest change that it came too late to see.
    fn note_reads(&self, node: NodeId, hist: &mut Hist) -> u32 {
        let Some(edges) = hist.runs.first().map(|run| run.edges.clone()) else { return 0 };
        let before = hist.noted.replace(edges.clone());
        let same = |before: &Arc<[Edge]>| {
            before.len() == edges.len() && before.iter().zip(&*edges).all(|(a, b)| a.dep == b.dep)
        };
        if before.as_ref().is_some_and(same) {
            // It was seen by all changes since.
            return 0;
        }
        let before: HashSet<NodeId, BuildMix> =
            before.iter().flat_map(|edges| edges.iter()).map(|edge| edge.dep).collect();
        let mut latest = 0;
        for Edge { dep, .. } in &*edges {
            let clean = &self.node(*dep).clean;
            let mut dependents = lock(&clean.dependents);
            if !before.contains(dep) {
                if dependents.len() == dependents.capacity() && dependents.len() > 64 {
                    dependents.sort_unstable();
                    dependents.dedup();
                }
                dependents.push(node);
            }
            latest = latest.max(clean.invalidated.load(Ordering::SeqCst));
        }
        latest
    }
}

impl Inner {
    /// The version of a task in this build, if it stands since an earlier one.
    pub(crate) fn clean_version(&self, node: NodeId) -> Option<Seq> {
        if self.is_what_if() {
            return None;
        }
        self.engine.node(node).clean.version(self.epoch, self.inputs.floor)
    }

    /// The answer to a request, if the task stands and what is wanted of it is at hand.
    pub(crate) fn clean_answer(&self, node: NodeId, part: Part) -> Option<Answer> {
        if part == Part::Own {
            return None;
        }
        if self.is_what_if() {
            return None;
        }
        let entry = self.engine.node(node);
        let seq = entry.clean.version(self.epoch, self.inputs.floor)?;
        if part == Part::Hash {
            return Some(Answer { seq, is_clean: true, result: Ok(None) });
        }
        if entry.policy.store != Store::Memory {
            return None;
        }
        let value = lock(&entry.hist).value_of(seq)?;
        Some(Answer { seq, is_clean: true, result: Ok(Some(value)) })
    }

    /// Notes that a task was settled by the numbers of a file, and all that it read, too.
    pub(crate) fn mark_clean_as_stored(&self, node: NodeId, seq: Seq) {
        let entry = self.engine.node(node);
        self.engine.in_latest(self.epoch, || {
            let hist = lock(&entry.hist);
            // Once it is noted who reads whom, somebody would have to do so here.
            let is_noted = self.engine.notes_dependents.load(Ordering::SeqCst);
            if hist.unloaded().is_some() && !is_noted {
                let settled = self.epoch << 32 | u64::from(seq.number());
                entry.clean.settled.store(settled, Ordering::SeqCst);
            }
        });
    }

    /// Notes that a task was settled by its latest run, for the builds to come, if all that it read stands, too, as it
    /// was read.
    pub(crate) fn mark_clean_if_reads_are(&self, task: Task<'_>, hist: &mut Hist, edges: &[Edge], seq: Seq) {
        let by_hash = task.node.policy.rebuild == Rebuild::Hashes;
        let is_clean =
            |edge: &Edge| self.clean_version(edge.dep).is_some_and(|now| now == edge.seq || !by_hash);
        if edges.iter().all(is_clean) {
            self.mark_clean(task, hist, seq);
        }
    }

    /// The same where that was so when it was read.
    pub(crate) fn mark_clean(&self, task: Task<'_>, hist: &mut Hist, seq: Seq) {
        let policy = task.node.policy;
        let is_kept = policy.runs > 0 && policy.store != Store::None && !policy.is_only_by_leaves();
        if !seq.is_known() || self.is_what_if() || !is_kept {
            return;
        }
        let core = &self.engine;
        if !core.has_clean.load(Ordering::Relaxed) {
            core.has_clean.store(true, Ordering::SeqCst);
        }
        let settled = &task.node.clean.settled;
        if settled.load(Ordering::SeqCst) >> 32 >= self.epoch {
            return;
        }
        // First it is noted, so that changes from here on reach it; what a change before has reached, it was too late
        // to see. If nobody notes yet, whoever begins to will lock the task and see that it is settled.
        let notes = core.notes_dependents.load(Ordering::SeqCst);
        if notes && u64::from(core.note_reads(task.id, hist)) > self.epoch {
            return;
        }
        settled.store(self.epoch << 32 | u64::from(seq.number()), Ordering::SeqCst);
    }
}
