//! The content of a file: the snapshot, overlaid by the changes of the journal.

use std::collections::HashMap;

use super::snapshot::{Columns, Runs, Snapshot};
use super::stored_run::StoredRun;
use crate::Hash;
use crate::graph::facet::FacetHashes;
use crate::graph::intern::BuildFastHasher;
use crate::sync::Arc;

/// The changes of a task in the journal.
#[derive(Clone, Default, Debug)]
pub(super) struct Change {
    /// Versions besides those of the snapshot.
    pub(super) hashes: Vec<Hash>,
    /// All its runs, if they changed.
    pub(super) runs: Option<Vec<StoredRun>>,
    pub(super) facet_hashes: Vec<(u32, FacetHashes)>,
    pub(super) share_key: Option<u64>,
}

/// The content of a file.
#[derive(Clone, Default)]
pub(crate) struct Stored {
    // Shared by the copies that a commit makes while another thread reads.
    pub(super) snapshot: Option<Arc<Snapshot>>,
    /// The names of rules: those of the snapshot, then those of the journal.
    pub(super) rules: Vec<Arc<str>>,
    /// The tasks after those of the snapshot: rule and key.
    // Whole in memory, unlike the snapshot: a commit compacts a journal before it is long.
    pub(super) fresh: Vec<(u16, Arc<[u8]>)>,
    /// Their numbers, by rule.
    // A map for each rule, so that a look-up by key needs no pair of rule and key.
    pub(super) index: Vec<HashMap<Arc<[u8]>, u32, BuildFastHasher>>,
    pub(super) changes: HashMap<u32, Change, BuildFastHasher>,
    /// The tasks that were requested from outside since, and the time of the latest request.
    pub(super) wanted: HashMap<u32, u32, BuildFastHasher>,
    /// The siblings of the journal, by rule and share key.
    pub(super) siblings: HashMap<(u16, u64), Vec<u32>, BuildFastHasher>,
}

impl Stored {
    pub(super) fn new(snapshot: Snapshot) -> Stored {
        let rules = snapshot.rules.clone();
        Stored { snapshot: Some(Arc::new(snapshot)), rules, ..Stored::default() }
    }

    /// How many tasks there are.
    pub(crate) fn tasks(&self) -> u32 {
        self.snapshot_tasks() + self.fresh.len() as u32
    }

    /// How many tasks there are in the snapshot.
    pub(super) fn snapshot_tasks(&self) -> u32 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.tasks())
    }

    /// Whether something that was read was found corrupt: then nothing of the file may be used.
    pub(crate) fn is_damaged(&self) -> bool {
        self.snapshot.as_ref().is_some_and(|snapshot| snapshot.is_damaged())
    }

    /// The snapshot, if it has the task.
    fn old(&self, task: u32) -> Option<&Snapshot> {
        self.snapshot.as_deref().filter(|snapshot| task < snapshot.tasks())
    }

    /// A task that is only in the journal: its rule and key.
    fn journal_task(&self, task: u32) -> Option<&(u16, Arc<[u8]>)> {
        self.fresh.get(task.checked_sub(self.snapshot_tasks())? as usize)
    }

    /// The names of the rules, by place.
    pub(crate) fn rules(&self) -> &[Arc<str>] {
        &self.rules
    }

    pub(super) fn rule_named(&self, name: &str) -> Option<u16> {
        self.rules.iter().position(|rule| **rule == *name).map(|at| at as u16)
    }

    /// The rule of a task, by its place.
    pub(crate) fn rule(&self, task: u32) -> Option<u16> {
        match self.old(task) {
            Some(old) => old.rule(task),
            None => self.journal_task(task).map(|(rule, _)| *rule),
        }
    }

    /// Appends the key of a task.
    pub(crate) fn key(&self, task: u32, out: &mut Vec<u8>) -> Option<()> {
        match self.old(task) {
            Some(old) => old.key(task, out),
            None => {
                out.extend(&*self.journal_task(task)?.1);
                Some(())
            }
        }
    }

    /// The number of a task.
    pub(crate) fn find(&self, rule: &str, key: &[u8]) -> Option<u32> {
        self.find_of(self.rule_named(rule)?, key)
    }

    pub(super) fn find_of(&self, rule: u16, key: &[u8]) -> Option<u32> {
        // A key is in one of the two: the journal adds a task only if it was not found here.
        let new = self.index.get(rule as usize).and_then(|keys| keys.get(key)).copied();
        new.or_else(|| self.snapshot.as_ref()?.find(rule, key))
    }

    /// How many versions of the task are known.
    pub(crate) fn versions(&self, task: u32) -> u32 {
        let old = self.old(task).map_or(0, |old| old.versions(task));
        old + self.changes.get(&task).map_or(0, |change| change.hashes.len() as u32)
    }

    pub(crate) fn hash(&self, task: u32, seq: u32) -> Option<Hash> {
        let old = self.old(task).map_or(0, |old| old.versions(task));
        // Versions of the journal count on from those of the snapshot.
        match seq.checked_sub(old) {
            None => self.old(task)?.hash(task, seq),
            Some(new) => self.changes.get(&task)?.hashes.get(new as usize).copied(),
        }
    }

    /// The number of the version with this hash; `Some(None)`: no version has it.
    pub(super) fn version_with(&self, task: u32, hash: Hash) -> Option<Option<u32>> {
        let old = self.old(task).map_or(0, |old| old.versions(task));
        let new = self.changes.get(&task).map_or(&[][..], |change| &change.hashes);
        if let Some(at) = new.iter().rposition(|known| *known == hash) {
            return Some(Some(old + at as u32));
        }
        // Mostly a task comes back to a recent version; each look is a read of one block at most.
        for seq in (0..old).rev() {
            if self.old(task)?.hash(task, seq)? == hash {
                return Some(Some(seq));
            }
        }
        Some(None)
    }

    pub(crate) fn hashes(&self, task: u32) -> Option<Vec<Hash>> {
        let mut hashes = match self.old(task) {
            Some(old) => old.hashes(task)?,
            None => Vec::new(),
        };
        hashes.extend(self.changes.get(&task).iter().flat_map(|change| &change.hashes));
        Some(hashes)
    }

    /// The hashes of the facets of its versions, by version; shorter if the last ones have none.
    pub(crate) fn facets(&self, task: u32) -> Option<Vec<Option<FacetHashes>>> {
        let mut facets = Vec::new();
        let old = match self.old(task) {
            Some(old) => old.all_facet_hashes(task)?,
            None => Vec::new(),
        };
        let new = self.changes.get(&task).into_iter().flat_map(|change| change.facet_hashes.iter().cloned());
        for (seq, facet_hashes) in old.into_iter().chain(new) {
            // The number comes from the file: checked before memory is allocated by it.
            if seq >= self.versions(task) {
                return None;
            }
            if facets.len() <= seq as usize {
                facets.resize(seq as usize + 1, None);
            }
            facets[seq as usize] = Some(facet_hashes);
        }
        Some(facets)
    }

    /// The runs of the task, if the journal changed them.
    pub(crate) fn changed_runs(&self, task: u32) -> Option<&[StoredRun]> {
        self.changes.get(&task)?.runs.as_deref()
    }

    /// The tasks with changes in the journal.
    pub(crate) fn changed(&self) -> impl Iterator<Item = u32> + '_ {
        self.changes.keys().copied()
    }

    /// The value of a version, if it was kept with a run.
    pub(crate) fn value(&self, task: u32, seq: u32) -> Option<Vec<u8>> {
        if let Some(runs) = self.changed_runs(task) {
            let run = runs.iter().find(|run| run.seq == seq && run.value.is_some())?;
            return run.value.as_deref().map(<[u8]>::to_vec);
        }
        let (old, mut views) = self.views(task)?;
        old.blob(views.find(|view| view.seq == seq && view.blobs[1].is_some())?.blobs[1]?)
    }

    /// The runs of the task in the snapshot, if the journal did not change them.
    pub(crate) fn views(&self, task: u32) -> Option<(&Snapshot, Runs<'_>)> {
        let old = self.old(task)?;
        Some((old, old.runs(task)))
    }

    /// The columns of the snapshot, by which most tasks are verified.
    pub(super) fn columns(&self) -> Option<Columns<'_>> {
        self.snapshot.as_deref().map(Snapshot::columns)
    }

    /// Reads all chunks of tasks of the snapshot, in their order in the file. Returns whether all checksums are right.
    pub(super) fn read_all_tasks(&self) -> bool {
        self.snapshot.as_ref().is_none_or(|snapshot| snapshot.read_all_tasks())
    }

    /// The runs of a task, latest use first.
    pub(crate) fn runs(&self, task: u32) -> Option<Vec<StoredRun>> {
        if let Some(runs) = self.changed_runs(task) {
            // The journal has all runs of the task, so those of the snapshot no longer count.
            return Some(runs.to_vec());
        }
        let Some((old, mut views)) = self.views(task) else { return Some(Vec::new()) };
        let runs: Option<Vec<StoredRun>> = views.by_ref().map(|view| old.whole(&view)).collect();
        runs.filter(|_| views.is_over())
    }

    /// Whether the task was a leaf in its latest run.
    pub(super) fn is_leaf(&self, task: u32) -> bool {
        self.has_trait(task, StoredRun::LEAF)
    }

    /// Whether the task was verified by leaves in its latest run.
    pub(super) fn is_deep(&self, task: u32) -> bool {
        self.has_trait(task, StoredRun::VERIFIED_BY_LEAVES)
    }

    /// Whether the task is a content.
    pub(super) fn is_interned(&self, task: u32) -> bool {
        self.has_trait(task, StoredRun::INTERNED)
    }

    // Traits are recorded with runs, not with tasks: a rule's policy may change with its version.
    fn has_trait(&self, task: u32, bit: u8) -> bool {
        let traits = match self.changed_runs(task) {
            // The policy may have been another one in older runs.
            Some(runs) => runs.first().map(|run| run.traits),
            None => self.views(task).and_then(|(_, mut runs)| runs.next()).map(|run| run.traits),
        };
        traits.is_some_and(|traits| traits & bit != 0)
    }

    /// Whether the task has runs.
    pub(super) fn has_runs(&self, task: u32) -> bool {
        match self.changed_runs(task) {
            Some(runs) => !runs.is_empty(),
            None => self.views(task).is_some_and(|(_, runs)| !runs.is_over()),
        }
    }

    /// All tasks of a rule with this share key that executed.
    pub(crate) fn siblings(&self, rule: &str, share_key: u64) -> Option<Vec<u32>> {
        let Some(rule) = self.rule_named(rule) else { return Some(Vec::new()) };
        let mut all = match &self.snapshot {
            Some(snapshot) => snapshot.siblings(rule, share_key)?,
            None => Vec::new(),
        };
        all.extend(self.siblings.get(&(rule, share_key)).into_iter().flatten());
        Some(all)
    }

    /// The time of the latest request for the task from outside.
    pub(super) fn wanted_at(&self, task: u32) -> Option<u32> {
        self.wanted.get(&task).copied().or_else(|| self.old(task)?.wanted_at(task))
    }
}
