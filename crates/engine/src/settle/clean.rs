//! Clean tasks: those that stay good from one build to the next without verification.
//!
//! A task that was settled in some epoch, with everything in its closure, is *clean* in all later epochs until a change
//! is declared of something in its closure. A declared change invalidates all transitive dependents at once, along the
//! reads of the runs by which tasks were settled (the *dirtying* phase of Adapton; the push half of a push-pull
//! algorithm). A request for a clean task has its answer at once: a null build costs the same however large the graph
//! is, and a build after a change verifies only what that change invalidated, as far as it is requested.
//!
//! Dependents are recorded from the first change after a build on, so a process that builds once does not record any.
//! All this is about the latest epoch; a build of an earlier epoch that meets something newer verifies by the traces,
//! as if nothing were clean.
//!
//! `graph/clean.rs` has the reason for `SeqCst`: storing that a task is settled and looking for invalidation must not
//! be reordered, nor declaring a change and looking for settled tasks.

use std::collections::HashSet;

use crate::graph::core::Core;
use crate::graph::ids::{NodeId, Seq};
use crate::graph::intern::BuildFastHasher;
use crate::graph::node::Hist;
use crate::graph::run::Edge;
use crate::schedule::inner::Inner;
use crate::schedule::slot::{Answer, Part, Task};
use crate::sync::{Arc, atomic::Ordering, lock};
use crate::{Rebuild, Store};

impl Core {
    /// Invalidates `nodes`, which changed in `epoch`, and their transitive dependents. `false`: the dependents of some
    /// are not known, so the caller has to treat no task as clean.
    #[must_use]
    pub(crate) fn invalidate(&self, nodes: impl IntoIterator<Item = NodeId>, epoch: u64) -> bool {
        let epoch = epoch as u32;
        let mark = |node: NodeId, above: &mut Vec<NodeId>| {
            let clean = &self.node(node).clean;
            let dependents = lock(&clean.dependents);
            // A task whose epoch was raised already adds none, so each is visited once.
            if clean.invalidated.fetch_max(epoch, Ordering::SeqCst) < epoch {
                // Copied under the lock, since marking one of them takes its lock.
                above.extend(dependents.iter());
            }
        };
        let nodes: Vec<NodeId> = nodes.into_iter().collect();
        if nodes.is_empty() {
            return true;
        }
        let mut is_known = true;
        // A task that is settled later sees that these changed; a task that was settled earlier is among the
        // dependents.
        let mut pending = Vec::new();
        nodes.iter().for_each(|node| mark(*node, &mut pending));
        // After the changed tasks are marked: what becomes clean from here on sees the marks.
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

    /// Loads what is clean by the numbers of a file, so that every task in the closure of a clean task has a node.
    /// `false`: the reads of some are not known.
    #[must_use]
    pub(crate) fn note_dependents_of_clean(&self) -> bool {
        !self.has_clean.load(Ordering::SeqCst) || self.note_dependents()
    }

    /// Records dependents from now on, and now those of all tasks that are clean. `false`: the reads of some are not
    /// known.
    fn note_dependents(&self) -> bool {
        // Set before the tasks are visited: one that becomes clean meanwhile adds itself to the dependents
        // (`mark_clean`).
        // Never reset: from now on each task that becomes clean keeps the lists up to date itself.
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

    /// The reads of the run by which a task was settled by the numbers of a file, now that it is loaded.
    fn clean_reads(&self, node: NodeId) -> Option<Arc<[Edge]>> {
        let entry = self.node(node);
        let settled = entry.clean.settled.load(Ordering::SeqCst);
        let hist = lock(&entry.hist);
        let run = hist.runs.first().filter(|run| settled != 0 && run.seq.number() == settled as u32);
        run.map(|run| run.edges.clone())
    }

    /// A task was loaded that was settled by the numbers of a file: marks its reads as settled since the same epoch.
    pub(crate) fn mark_reads_clean(&self, node: NodeId) {
        let settled = self.node(node).clean.settled.load(Ordering::SeqCst);
        let edges = self.clean_reads(node);
        // Below a task that was found good by leaves nothing was verified.
        let below =
            edges.iter().flat_map(|edges| edges.iter()).filter(|edge| !self.node(edge.dep).policy.is_deep());
        for edge in below {
            let Some(seq) = self.version_when_clean(edge) else { continue };
            let clean = &self.node(edge.dep).clean.settled;
            let since = settled >> 32 << 32 | u64::from(seq.number());
            // Unless it was settled otherwise before.
            let _ = clean.compare_exchange(0, since, Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    /// Loads what was settled by the numbers of a file, with its closure, which is as clean as it is. `false`: the file
    /// is gone or corrupt.
    pub(crate) fn bind_clean(&self) -> bool {
        let is_settled = |node: NodeId| self.node(node).clean.settled.load(Ordering::SeqCst) != 0;
        let of_file = |node: NodeId| {
            (is_settled(node) && lock(&self.node(node).hist).place().is_some()).then_some(node)
        };
        // Also what is loaded already: another thread may not have marked its reads yet.
        let mut pending: Vec<NodeId> = self.all_nodes().filter_map(|(node, _)| of_file(node)).collect();
        let mut seen: HashSet<NodeId, BuildFastHasher> = HashSet::default();
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
                // Changes below a deep task do not invalidate it: the tasks in between have no recorded dependents.
                Some(edges) if edges.iter().any(|edge| self.node(edge.dep).policy.is_deep()) => return false,
                // Nor is the closure of a reader of facets known, if it is not known which version was good.
                Some(edges) if !edges.iter().all(|edge| is_settled(edge.dep)) => return false,
                Some(edges) => pending.extend(edges.iter().filter_map(|edge| of_file(edge.dep))),
                None if unloaded.is_some() => return false,
                None => {}
            }
        }
        true
    }

    /// Adds a task to the dependents of what its latest run read. Returns the latest epoch in which any of these was
    /// invalidated before, of which the task was not notified.
    fn note_reads(&self, node: NodeId, hist: &mut Hist) -> u32 {
        let Some(edges) = hist.runs.first().map(|run| run.edges.clone()) else { return 0 };
        // What was noted stays among the dependents of old reads, too: a task that is invalidated without need is
        // verified, which is correct and rare.
        let before = hist.noted.replace(edges.clone());
        let same = |before: &Arc<[Edge]>| {
            before.len() == edges.len() && before.iter().zip(&*edges).all(|(a, b)| a.dep == b.dep)
        };
        if before.as_ref().is_some_and(same) {
            // It was among the dependents all the time.
            return 0;
        }
        let before: HashSet<NodeId, BuildFastHasher> =
            before.iter().flat_map(|edges| edges.iter()).map(|edge| edge.dep).collect();
        let mut latest = 0;
        for Edge { dep, .. } in &*edges {
            let clean = &self.node(*dep).clean;
            let mut dependents = lock(&clean.dependents);
            if !before.contains(dep) {
                // Duplicates are removed only where the vector would have to grow, so adding takes constant time on
                // average.
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
    /// The version of a task, if it is clean in this build.
    pub(crate) fn clean_version(&self, node: NodeId) -> Option<Seq> {
        if self.is_what_if() {
            return None;
        }
        self.engine.node(node).clean.version(self.epoch, self.inputs.floor)
    }

    /// The answer to a request, if the task is clean and its value, if that is wanted, is in memory.
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

    /// Marks a task that was settled by the numbers of a file, with its closure, as clean.
    pub(crate) fn mark_clean_as_stored(&self, node: NodeId, seq: Seq) {
        let entry = self.engine.node(node);
        // Changes that a later epoch declared are not in the verdict of the walk.
        self.engine.in_latest(self.epoch, || {
            let hist = lock(&entry.hist);
            // Once dependents are recorded, it is not: its reads are not loaded, so it could not be added to theirs.
            let is_noted = self.engine.notes_dependents.load(Ordering::SeqCst);
            if hist.unloaded().is_some() && !is_noted {
                let settled = self.epoch << 32 | u64::from(seq.number());
                entry.clean.settled.store(settled, Ordering::SeqCst);
            }
        });
    }

    /// Marks a task as clean that its latest run settled, if everything that it read is clean, too, at the version that
    /// it read.
    pub(crate) fn mark_clean_if_reads_are(&self, task: Task<'_>, hist: &mut Hist, edges: &[Edge], seq: Seq) {
        let by_hash = task.node.policy.rebuild == Rebuild::Hashes;
        let is_clean =
            |edge: &Edge| self.clean_version(edge.dep).is_some_and(|now| now == edge.seq || !by_hash);
        // With `Rebuild::Times` versions are not compared: the times were, and the reads only have to be unchanged
        // since.
        if edges.iter().all(is_clean) {
            self.mark_clean(task, hist, seq);
        }
    }

    /// The same where that is known.
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
        // A build of an earlier epoch must not replace what a later one has settled.
        if settled.load(Ordering::SeqCst) >> 32 >= self.epoch {
            return;
        }
        // First the task is added to the dependents, so that later changes invalidate it; changes before that are in
        // the result. If dependents are not recorded yet, the thread that begins to record them locks the history of
        // each task. This history is locked here, so that thread then sees that the task is settled.
        let notes = core.notes_dependents.load(Ordering::SeqCst);
        if notes && u64::from(core.note_reads(task.id, hist)) > self.epoch {
            return;
        }
        settled.store(self.epoch << 32 | u64::from(seq.number()), Ordering::SeqCst);
    }
}
