//! Compaction: writes the file anew, without what was replaced or is no longer needed.
//!
//! Tasks with runs are kept, and those that runs read or mention. A task is removed if no request within the retention
//! time (`Builder::keep_unwanted`) had it in its closure, both at an earlier compaction and at this one. It is removed
//! earlier if the requests together take more room than a few of the largest builds, oldest requests first: in a day of
//! edits each build requests other tasks.

use std::collections::HashMap;
use std::io;

use super::leaves::LeafSet;
use super::snapshot_builder::{Image, RunFields, SnapshotBuilder};
use super::stored::Stored;
use super::stored_run::{StoredEdge, StoredRun};
use crate::graph::intern::BuildFastHasher;

/// There is room for this many builds of the size of the largest recent one,
// So that switching among a few branches finds the builds of all of them.
const MAX_LARGEST_BUILDS: usize = 4;

/// of which this many are measured;
// Each measurement is a pass over the closure of a build.
const MEASURED_REQUESTS: usize = 16;

/// and for this many tasks in any case.
// As many as one chunk: below that nothing is saved.
const MIN_KEPT_TASKS: usize = 1024;

/// No number yet.
const NO_NUMBER: u32 = u32::MAX;

fn damaged() -> io::Error {
    io::ErrorKind::InvalidData.into()
}

impl Stored {
    /// The tasks that a task's kept runs read, and the leaves by which they are verified.
    fn reads(&self, task: u32, mut each: impl FnMut(u32)) -> Option<()> {
        if let Some(runs) = self.changed_runs(task) {
            for run in runs {
                run.edges.iter().for_each(|edge| each(edge.dep));
                run.leaves.iter().for_each(|leaves| leaves.each(|leaf, _| each(leaf)));
            }
            return Some(());
        }
        let Some((old, mut views)) = self.views(task) else { return Some(()) };
        for view in views.by_ref() {
            for edge in view.edges() {
                each(edge?.dep);
            }
            if let Some(at) = view.blobs[3] {
                old.leaves(at)?.each(|leaf, _| each(leaf));
            }
        }
        views.is_over().then_some(())
    }

    fn all_wanted(&self) -> Option<HashMap<u32, u32, BuildFastHasher>> {
        let mut wanted = HashMap::default();
        if let Some(snapshot) = &self.snapshot {
            wanted.extend(snapshot.wanted()?);
        }
        wanted.extend(&self.wanted);
        Some(wanted)
    }

    /// Marks the closure of a task, itself included. Returns how many tasks were not marked before.
    fn mark(&self, task: u32, marked: &mut [bool]) -> Option<usize> {
        // A list in place of recursion: the depth of the graph is not bounded.
        let (mut pending, mut count) = (vec![task], 0);
        while let Some(task) = pending.pop() {
            if !std::mem::replace(marked.get_mut(task as usize)?, true) {
                count += 1;
                self.reads(task, |dep| pending.push(dep))?;
            }
        }
        Some(count)
    }

    /// The closure of the tasks that were requested since a time, as far as there is room; and how much room is left.
    fn wanted_since(
        &self,
        wanted: &HashMap<u32, u32, BuildFastHasher>,
        since: u32,
    ) -> Option<(Vec<bool>, usize)> {
        let mut roots: Vec<(u32, u32)> =
            wanted.iter().filter(|(_, at)| **at >= since).map(|(task, at)| (*at, *task)).collect();
        // Newest requests first. Those of one second are taken together, as one build: what is kept is then a whole
        // closure.
        roots.sort_unstable_by(|a, b| b.cmp(a));
        let mut marked = vec![false; self.tasks() as usize];
        let (mut count, mut room) = (0, MIN_KEPT_TASKS);
        for (place, asked) in roots.chunk_by(|a, b| a.0 == b.0).enumerate() {
            // Before a build is added, not after: the newest one is kept whatever its size.
            if count > room {
                break;
            }
            if place < MEASURED_REQUESTS {
                // Marked apart: `marked` has what newer builds share with this one, so its own size does not show
                // there.
                let (mut alone, mut size) = (vec![false; marked.len()], 0);
                for (_, task) in asked {
                    size += self.mark(*task, &mut alone)?;
                }
                room = room.max(size * MAX_LARGEST_BUILDS);
            }
            for (_, task) in asked {
                count += self.mark(*task, &mut marked)?;
            }
        }
        Some((marked, room.saturating_sub(count)))
    }

    /// The contents that kept runs of these tasks mention, ascending.
    fn contents_of(&self, tasks: &[u32]) -> Option<Vec<u32>> {
        let mut is_read = vec![false; self.tasks() as usize];
        for task in tasks {
            self.reads(*task, |dep| {
                if let Some(is_read) = is_read.get_mut(dep as usize) {
                    *is_read = true;
                }
            })?;
        }
        let is_content = |task: &u32| is_read[*task as usize] && self.is_interned(*task);
        Some((0..self.tasks()).filter(is_content).collect())
    }

    /// The compacted file; `now` and the retention time `keep` are in seconds.
    ///
    /// # Errors
    /// The file is corrupt, or there is more than the format can hold.
    pub(super) fn compact(&self, now: u32, keep: u32) -> io::Result<Image> {
        let since = now.saturating_sub(keep);
        let wanted = self.all_wanted().ok_or_else(damaged)?;
        let (is_wanted, mut room) = self.wanted_since(&wanted, since).ok_or_else(damaged)?;
        let unwanted = match &self.snapshot {
            Some(snapshot) => snapshot.unwanted().ok_or_else(damaged)?,
            None => Vec::new(),
        };
        let unwanted: HashMap<u32, u32, BuildFastHasher> = unwanted.into_iter().collect();
        let unwanted_since = |task: u32| unwanted.get(&task).copied().unwrap_or(now);
        let mut copier = SnapshotCopier {
            stored: self,
            builder: SnapshotBuilder::default(),
            numbers: vec![NO_NUMBER; self.tasks() as usize],
            olds: Vec::new(),
        };
        let mut is_kept = |task: &u32| {
            // What is found unwanted for the first time (`unwanted_since` is `now`) stays for one more retention time,
            // as far as there is room.
            let is_left = |room: &mut usize| {
                let fits = unwanted_since(*task) >= since && *room > 0;
                *room -= usize::from(fits);
                fits
            };
            self.has_runs(*task)
                && !self.is_interned(*task)
                && (is_wanted[*task as usize] || is_left(&mut room))
        };
        // The latest ones first, as far as there is room.
        // The order of numbers is about that of time: the journal adds at the end.
        let mut kept: Vec<u32> = (0..self.tasks()).rev().filter(|task| is_kept(task)).collect();
        // The old order is kept among those that stay, so tasks of one build stay side by side.
        kept.reverse();
        kept.extend(self.contents_of(&kept).ok_or_else(damaged)?);
        // Leaves side by side: a null build of a later process reads them and little else.
        let (leaves, others): (Vec<u32>, Vec<u32>) = kept.into_iter().partition(|task| self.is_leaf(*task));
        let kept = [leaves, others].concat();
        // All tasks get their numbers before any runs are written: runs are in the order of the tasks.
        for task in &kept {
            copier.task(*task).ok_or_else(damaged)?;
        }
        for task in &kept {
            copier.runs(*task).ok_or_else(damaged)?;
            let number = copier.numbers[*task as usize];
            if !is_wanted[*task as usize] {
                copier.builder.note_unwanted(number, unwanted_since(*task));
            }
            if let Some(at) = wanted.get(task) {
                copier.builder.want(number, *at);
            }
        }
        copier.siblings(kept.len()).ok_or_else(damaged)?;
        let SnapshotCopier { builder, olds, .. } = copier;
        let image = builder.finish(|task, seq| self.hash(*olds.get(task as usize)?, seq));
        if self.is_damaged() { Err(damaged()) } else { image }
    }
}

/// Copies tasks.
struct SnapshotCopier<'s> {
    stored: &'s Stored,
    builder: SnapshotBuilder,
    /// The new numbers of the old tasks, and the other way round.
    numbers: Vec<u32>,
    olds: Vec<u32>,
}

impl SnapshotCopier<'_> {
    /// The new number of a task.
    fn task(&mut self, task: u32) -> Option<u32> {
        let known = *self.numbers.get(task as usize)?;
        if known != NO_NUMBER {
            return Some(known);
        }
        let rule = self.stored.rules.get(self.stored.rule(task)? as usize)?;
        let rule = self.builder.rule(rule);
        let mut read = Some(());
        let number = self.builder.task(rule, |out| read = self.stored.key(task, out));
        self.numbers[task as usize] = number;
        self.olds.push(task);
        read.map(|()| number)
    }

    fn runs(&mut self, task: u32) -> Option<()> {
        self.builder.begin_runs();
        let number = self.task(task)?;
        let facets = self.stored.facets(task)?;
        for run in self.stored.runs(task)? {
            let mut edges = Vec::with_capacity(run.edges.len());
            for edge in &*run.edges {
                let dep = self.task(edge.dep)?;
                let seq = self.builder.version(dep, edge.seq);
                if edge.has_facets() && !self.builder.has_facet_hashes(dep, seq) {
                    let facets = self.stored.facets(edge.dep)?;
                    if let Some(Some(facet_hashes)) = facets.get(edge.seq as usize) {
                        self.builder.facet_hashes(dep, seq, facet_hashes);
                    }
                }
                edges.push(StoredEdge { dep, seq, ..*edge });
            }
            let seq = self.builder.version(number, run.seq);
            if let Some(Some(facet_hashes)) = facets.get(run.seq as usize) {
                self.builder.facet_hashes(number, seq, facet_hashes);
            }
            let leaves = match &run.leaves {
                Some(leaves) => Some(self.leaves(leaves)?),
                None => None,
            };
            let StoredRun { version, traits, fail, value, witness, .. } = &run;
            let (version, traits) = (*version, *traits);
            let (fail, value, witness) = (fail.as_deref(), value.as_deref(), witness.as_deref());
            let leaves = leaves.as_ref();
            self.builder.run(&RunFields { version, seq, traits, fail, value, witness, leaves }, &edges);
        }
        Some(())
    }

    /// The siblings among the first `kept` tasks: those have runs. Nothing can be taken over from a task that is only
    /// read by others.
    fn siblings(&mut self, kept: usize) -> Option<()> {
        let stored = self.stored;
        let old = match &stored.snapshot {
            Some(snapshot) => snapshot.all_siblings()?,
            None => Vec::new(),
        };
        let new = (stored.siblings.iter())
            .flat_map(|((rule, share_key), tasks)| tasks.iter().map(|task| (*share_key, *rule, *task)));
        for (share_key, rule, task) in old.into_iter().chain(new) {
            let number = *self.numbers.get(task as usize)?;
            if (number as usize) < kept {
                let rule = self.builder.rule(stored.rules.get(rule as usize)?);
                self.builder.sibling(share_key, rule, number);
            }
        }
        Some(())
    }

    /// The same leaves, by their new numbers.
    fn leaves(&mut self, old: &LeafSet) -> Option<LeafSet> {
        let mut new = LeafSet::default();
        for (rule, version) in &old.rules {
            let name = self.stored.rules.get(usize::from(*rule))?;
            new.rules.push((self.builder.rule(name), *version));
        }
        new.rules.sort_unstable();
        let mut known = Some(());
        old.each(|leaf, seq| {
            known = known.and_then(|()| {
                let leaf = self.task(leaf)?;
                let seq = self.builder.version(leaf, seq);
                new.push(leaf, seq);
                Some(())
            });
        });
        known.map(|()| new)
    }
}
