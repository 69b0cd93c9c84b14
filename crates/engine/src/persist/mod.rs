//! Traces that outlive the process: loaded task by task on first use, written by a commit.
//!
//! One file: a snapshot of all that was known when it was written ([`snapshot`]), then a journal of what was added
//! since ([`journal`]). Several processes may have it open: each reads what the others appended before it appends its
//! own, under a lock on the file that is held for that moment only. The result of a leaf is taken from the file only if
//! its rule confirms it ([`crate::Rule::agrees`]), since changes are not watched while no process runs.
//!
//! Crash safety: a snapshot is written to a file of its own, synced, and renamed; a journal batch counts only if its
//! checksum is right, so a batch that was cut short is as if it were not there.
//!
//! Everything is under checksums, which are checked when a block is first read. Where one is wrong, the whole file
//! counts as corrupt from then on: nothing more is taken from it, and the next commit writes a new one. Answers that
//! were given before depend only on blocks whose checksums were right.

mod bind;
mod bytes;
mod commit;
mod compact;
mod file;
mod file_number;
mod journal;
pub(crate) mod leaves;
mod pages;
mod path;
mod reseal;
mod snapshot;
mod snapshot_builder;
mod stored;
mod stored_run;
#[cfg(test)]
mod tests;
mod walk;

pub use commit::Committed;
pub use file::{TraceFile, TraceRead, TraceWrite};
pub use file_number::renumber;
pub use path::PathFile;
pub use reseal::reseal;
pub(crate) use walk::{ByLeaves, Numbers, StoredLeaf};

use std::any::Any;
use std::collections::HashSet;
use std::io;

use crate::graph::core::Core;
use crate::graph::ids::{NodeId, Unloaded};
use crate::graph::traces::Traces;
use crate::sync::{Arc, Mutex, lock};
use snapshot::{HEADER_SIZE, Header, Snapshot};
use stored::Stored;
use walk::Walk;

/// The file of traces that an engine was opened with, and what a commit has to add to it.
///
/// Locks: `walk` before `bound` and `state`; each other lock is held alone. `state` is taken under a shard of an
/// interner ([`Persist::find`]), so no key is interned under `state`. The exception is a commit, which takes `walk`
/// under `state`: one more reason why no build may run meanwhile ([`crate::Engine::commit`]).
pub(crate) struct Persist {
    file: Box<dyn TraceFile>,
    state: Mutex<FileState>,
    walk: Mutex<Walk>,
    /// Tasks of the file that became nodes since the walk last took them over.
    bound: Mutex<Vec<(Unloaded, NodeId)>>,
    /// Tasks whose kept runs differ from those in the file.
    // A list with duplicates: noting a task must be cheap, and a commit sorts it anyway.
    dirty: Mutex<Vec<NodeId>>,
    /// Rules whose tasks were all declared changed: their runs in the file are invalid.
    changed_rules: Mutex<Vec<u16>>,
    /// Rules with a declared change of a task that is not a leaf: leaf sets above them are invalid.
    invalid_leaf_sets: Mutex<Vec<u16>>,
    /// Tasks that were requested from outside, not by other tasks.
    // A set: a process that watches asks for the same few tasks in each build.
    wanted: Mutex<HashSet<NodeId>>,
    /// For how many days tasks are kept that no request needs.
    days: u32,
}

/// What is wrong with the file that an engine was opened with. It costs time, nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileProblem {
    /// It is corrupt, or no file of traces; the next commit replaces it.
    Damaged,
    /// It cannot be read, and why.
    Unreadable(String),
}

impl Core {
    /// The file of traces with all its operations, if there is one.
    pub(crate) fn persist(&self) -> Option<&Persist> {
        let traces: &dyn Any = &**self.traces.as_ref()?;
        traces.downcast_ref()
    }

    /// What is wrong with the file, as far as it was read; returned once.
    pub(crate) fn file_problem(&self) -> Option<FileProblem> {
        lock(&self.persist()?.state).problem.take()
    }
}

impl Traces for Persist {
    fn find(&self, rule: &str, key: &dyn Fn() -> Vec<u8>) -> Option<Unloaded> {
        Persist::find(self, rule, key)
    }

    fn note(&self, place: Unloaded, node: NodeId) {
        Persist::note(self, place, node);
    }

    fn touch(&self, node: NodeId) {
        Persist::touch(self, node);
    }

    fn invalidate_leaf_sets(&self, rules: &[u16]) {
        Persist::invalidate_leaf_sets(self, rules.iter().copied());
    }
}

#[derive(Default)]
struct FileState {
    /// `None`: the file was not read yet, or was written anew since.
    stored: Option<Arc<Stored>>,
    /// The header of the file that was read, and how far it was read. A file is identified by the random number in its
    /// header, since names and inodes are used again.
    file: Option<Header>,
    read_to: u64,
    /// By node, the number of the task in the file plus one; 0: not known.
    // Plus one, so that a vector that grows is filled with zeros.
    numbers: Vec<u32>,
    /// How many files were read before this one. Task numbers belong to one generation.
    generation: u64,
    /// Earlier files, by generation: tasks of this process may have their place there.
    // Kept as long as the engine lives: a task that was found in such a file is loaded from there when it is needed.
    older: Vec<(u64, Arc<Stored>)>,
    /// The number of the file that turned out to be corrupt: it is not read again.
    corrupt: Option<[u8; 16]>,
    /// What is wrong with the file, to be reported.
    problem: Option<FileProblem>,
}

impl FileState {
    /// Forgets the file: there is another one, or none.
    fn forget(&mut self) {
        self.generation += 1;
        let old = self.stored.replace(Arc::default());
        self.older.extend(old.map(|old| (self.generation - 1, old)));
        (self.file, self.read_to) = (None, 0);
        self.numbers.clear();
    }

    /// Drops all files that were read, and has the present one not read again.
    fn mark_corrupt(&mut self) {
        // By its number, not for good: another process may replace it with a sound one.
        self.corrupt = self.file.map(|header| header.number).or(self.corrupt);
        self.problem.get_or_insert(FileProblem::Damaged);
        self.forget();
        // `forget` has put the corrupt file there. Those before it go, too, which only costs executions.
        self.older.clear();
    }

    /// Reads the part of the journal that was not read yet; everything, if it is another file.
    fn catch_up(&mut self, place: &dyn TraceFile) -> io::Result<()> {
        let mut file = match place.open() {
            // Also if the file was there before: numbers of its tasks mean nothing in the next one.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget();
                return Ok(());
            }
            // What is there is no regular file.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.problem.get_or_insert(FileProblem::Damaged);
                self.forget();
                return Ok(());
            }
            other => other?,
        };
        // Taken once: what another process appends from here on is read by the next call.
        let length = file.length()?;
        let head = file::bytes_at(&mut *file, 0, HEADER_SIZE)?;
        let header = head.first_chunk().and_then(Header::decode);
        // A file that was found corrupt counts as one without a header, which is replaced.
        let header = header.filter(|header| self.corrupt != Some(header.number));
        // Appends only make it longer: a shorter file of the same number is a copy that was put back, or what a crash
        // of the system left of it.
        let is_other = self.file.is_none() || self.file != header || length < self.read_to;
        if is_other {
            self.forget();
        }
        let is_read = !is_other && self.stored.is_some();
        let begins = match header.map(|header| header.end().filter(|end| *end <= length)) {
            _ if is_read => Some(self.read_to),
            // `None` for a snapshot that is longer than the file: it was cut, and counts as corrupt below.
            Some(begins) => begins,
            // A file in another format counts as absent, and is not reported.
            None if snapshot::is_of_another_format(&head) => {
                self.file = None;
                return Ok(());
            }
            None => {
                self.file = None;
                self.problem.get_or_insert(FileProblem::Damaged);
                return Ok(());
            }
        };
        // From the open file: another one may be put in its place meanwhile.
        let mut added = Vec::new();
        // The bytes of the journal before the snapshot is opened: opening takes the file.
        if let Some(begins) = begins.filter(|begins| *begins > 0 && length > *begins) {
            let length = usize::try_from(length - begins).unwrap_or(usize::MAX);
            added = file::bytes_at(&mut *file, begins, length)?;
        }
        if !is_read {
            self.file = header;
            let snapshot = begins.zip(header).and_then(|(_, header)| Snapshot::open(file, header));
            let (Some(snapshot), Some(begins)) = (snapshot, begins) else {
                self.mark_corrupt();
                return Ok(());
            };
            self.stored = Some(Arc::new(Stored::new(snapshot)));
            self.read_to = begins;
        }
        if !added.is_empty() {
            // A copy, if a thread still reads the content; the snapshot in it is shared, only the changes of the
            // journal are copied.
            let stored = Arc::make_mut(self.stored.as_mut().expect("just read"));
            match stored.read(&added) {
                // Only whole batches: another process may be appending one at this moment.
                Some(sound) if !stored.is_damaged() => self.read_to += sound as u64,
                _ => self.mark_corrupt(),
            }
        }
        Ok(())
    }

    /// The content of the file, which is read if it was not yet.
    fn stored(&mut self, place: &dyn TraceFile) -> &Arc<Stored> {
        if self.stored.is_none()
            && let Err(error) = self.catch_up(place)
        {
            // An engine works without a file, too: it only executes more.
            self.problem.get_or_insert(FileProblem::Unreadable(error.to_string()));
            self.forget();
        }
        self.stored.get_or_insert_default()
    }
}

impl Persist {
    /// The generation of the present file.
    pub(crate) fn generation(&self) -> u64 {
        let mut state = lock(&self.state);
        state.stored(&*self.file);
        state.generation
    }

    /// The number of a task in a file.
    pub(crate) fn number_of(&self, generation: u64, rule: &str, key: &[u8]) -> Option<u32> {
        self.stored_of(generation)?.find(rule, key)
    }

    /// For a file, which is read on first use.
    pub(crate) fn new(file: Box<dyn TraceFile>, days: u32) -> Persist {
        let (state, dirty, wanted) = (Mutex::default(), Mutex::default(), Mutex::default());
        let (walk, bound, changed_rules) = (Mutex::default(), Mutex::default(), Mutex::default());
        Persist {
            file,
            state,
            walk,
            bound,
            dirty,
            changed_rules,
            invalid_leaf_sets: Mutex::default(),
            wanted,
            days,
        }
    }

    /// Notes that a task was requested from outside.
    pub(crate) fn want(&self, node: NodeId) {
        lock(&self.wanted).insert(node);
    }

    /// Notes that a task of the file has a node.
    pub(crate) fn note(&self, place: Unloaded, node: NodeId) {
        lock(&self.bound).push((place, node));
    }

    /// Notes that the kept runs of a task differ from those in the file.
    pub(crate) fn touch(&self, node: NodeId) {
        lock(&self.dirty).push(node);
    }

    /// Notes that all tasks of these rules were declared changed.
    pub(crate) fn invalidate_rules(&self, rules: &[u16]) {
        lock(&self.changed_rules).extend(rules);
    }

    /// Notes that a change was declared of tasks of these rules that are not leaves.
    pub(crate) fn invalidate_leaf_sets(&self, rules: impl IntoIterator<Item = u16>) {
        lock(&self.invalid_leaf_sets).extend(rules);
    }

    /// The place of a task in the file.
    pub(crate) fn find(&self, rule: &str, key: impl FnOnce() -> Vec<u8>) -> Option<Unloaded> {
        let mut state = lock(&self.state);
        let stored = state.stored(&*self.file);
        // Before the key is encoded: a first build asks for every task that it makes.
        if stored.tasks() == 0 {
            return None;
        }
        let found = stored.find(rule, &key()).map(|number| (number, stored.versions(number)));
        // In a corrupt file a key may seem to be absent, so the answer counts only after this.
        if stored.is_damaged() {
            state.mark_corrupt();
            return None;
        }
        let (number, versions) = found?;
        Some(Unloaded { generation: state.generation, number, versions })
    }

    /// The tasks of the file with this share key: key and place.
    pub(crate) fn siblings(&self, rule: &str, share_key: u64) -> Vec<(Arc<[u8]>, Unloaded)> {
        let mut state = lock(&self.state);
        let generation = state.generation;
        let stored = state.stored(&*self.file);
        let place = |number: u32| {
            let mut key = Vec::new();
            stored.key(number, &mut key)?;
            let versions = stored.versions(number);
            (!stored.is_damaged()).then(|| (Arc::from(key), Unloaded { generation, number, versions }))
        };
        let all: Option<Vec<_>> =
            stored.siblings(rule, share_key).and_then(|tasks| tasks.into_iter().map(place).collect());
        all.unwrap_or_else(|| {
            state.mark_corrupt();
            Vec::new()
        })
    }

    /// The file of a generation; `None` if it is corrupt.
    pub(crate) fn stored_of(&self, generation: u64) -> Option<Arc<Stored>> {
        let mut state = lock(&self.state);
        if state.generation == generation {
            // Reading the file, which may happen here, can find another one in its place: that is another generation.
            return Some(state.stored(&*self.file).clone()).filter(|_| state.generation == generation);
        }
        state.older.iter().find(|(number, _)| *number == generation).map(|(_, stored)| stored.clone())
    }

    /// Marks the file of a generation as corrupt.
    fn mark_corrupt(&self, generation: u64) {
        let mut state = lock(&self.state);
        if state.generation == generation {
            state.mark_corrupt();
        } else {
            state.older.retain(|(number, _)| *number != generation);
        }
    }
}
