//! Traces that outlive the process: bound to tasks when they are first asked for, kept by a commit.
//!
//! One file: what was known when it was written ([`snapshot`]), then what came since ([`journal`]). Several processes
//! may have it open: each reads what the others added before it adds its own, under a lock held for that
//! moment only. Nothing in the file is believed of a leaf but what its rule confirms ([`crate::Rule::agrees`]):
//! nobody watched the world while no process ran.
//!
//! What is found to be damaged only when it is looked at makes the whole file worthless from then on: no answer
//! is built on it any more, and the next commit writes another file. Answers given before stand on what was
//! found sound.

mod bind;
mod bytes;
mod commit;
mod compact;
mod file;
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

/// The traces that an engine was opened with, and what is new.
pub(crate) struct Persist {
    file: Box<dyn TraceFile>,
    state: Mutex<State>,
    walk: Mutex<Walk>,
    /// Tasks that the file tells of and this process has come to know since somebody looked.
    bound: Mutex<Vec<(Unloaded, NodeId)>>,
    /// Tasks whose runs are not as the file says.
    dirty: Mutex<Vec<NodeId>>,
    /// Rules of which all tasks were declared changed: what the file says of their runs is void.
    changed_rules: Mutex<Vec<u16>>,
    /// Rules of which something was declared of a task that is no leaf: by leaves alone, no run above them is good.
    invalid_leaf_sets: Mutex<Vec<u16>>,
    /// Tasks that were asked for from outside.
    wanted: Mutex<HashSet<NodeId>>,
    /// For how many days what nobody asks for is kept.
    days: u32,
}

/// What was wrong with the file that an engine was opened with. It costs time, nothing else.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum FileProblem {
    /// It is not what anybody wrote; it is written anew.
    Damaged,
    /// It cannot be read, and why.
    Unreadable(String),
}

impl Core {
    /// What outlives the process, if anything does: all that it can be asked.
    pub(crate) fn persist(&self) -> Option<&Persist> {
        let traces: &dyn Any = &**self.traces.as_ref()?;
        traces.downcast_ref()
    }

    /// What was wrong with the file, as far as it was looked at; told once.
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
struct State {
    /// `None`: nobody has looked at the file, or it was written anew since.
    stored: Option<Arc<Stored>>,
    /// The file that was read, and how far. Names and inodes are used again; its number is not.
    file: Option<Header>,
    read_to: u64,
    /// Numbers in the file of the tasks of this process, one more than they are; 0: not known.
    numbers: Vec<u32>,
    /// How many other files there were before this one: the numbers of each are its own.
    generation: u64,
    /// The earlier ones of which this process knows tasks.
    older: Vec<(u64, Arc<Stored>)>,
    /// The file that turned out to be damaged.
    corrupt: Option<[u8; 16]>,
    /// What was wrong with the file.
    problem: Option<FileProblem>,
}

impl State {
    /// There is another file, or none.
    fn forget(&mut self) {
        self.generation += 1;
        let old = self.stored.replace(Arc::default());
        self.older.extend(old.map(|old| (self.generation - 1, old)));
        (self.file, self.read_to) = (None, 0);
        self.numbers.clear();
    }

    /// The file is not to be believed, nor is anything that was read of it.
    fn mark_corrupt(&mut self) {
        self.corrupt = self.file.map(|header| header.number).or(self.corrupt);
        self.problem.get_or_insert(FileProblem::Damaged);
        self.forget();
        self.older.clear();
    }

    /// Reads what the file has that was not read yet; everything, if it is another file.
    fn catch_up(&mut self, place: &dyn TraceFile) -> io::Result<()> {
        let mut file = match place.open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.forget();
                return Ok(());
            }
            // Something else is in its place.
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                self.problem.get_or_insert(FileProblem::Damaged);
                self.forget();
                return Ok(());
            }
            other => other?,
        };
        let length = file.length()?;
        let head = file::bytes_at(&mut *file, 0, HEADER_SIZE)?;
        let header = head.first_chunk().and_then(Header::decode);
        let header = header.filter(|header| self.corrupt != Some(header.number));
        let is_other = self.file.is_none() || self.file != header || length < self.read_to;
        if is_other {
            self.forget();
        }
        let is_read = !is_other && self.stored.is_some();
        let begins = match header.map(|header| header.end().filter(|end| *end <= length)) {
            _ if is_read => Some(self.read_to),
            Some(begins) => begins,
            // One of an earlier format is as good as none, and nothing is wrong with it.
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
        // What was added since, from the same file, whatever is put in its place meanwhile.
        let mut added = Vec::new();
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
            let stored = Arc::make_mut(self.stored.as_mut().expect("just read"));
            match stored.read(&added) {
                Some(sound) if !stored.is_damaged() => self.read_to += sound as u64,
                _ => self.mark_corrupt(),
            }
        }
        Ok(())
    }

    /// What the file says.
    fn stored(&mut self, place: &dyn TraceFile) -> &Arc<Stored> {
        if self.stored.is_none()
            && let Err(error) = self.catch_up(place)
        {
            // Whatever is wrong with the file costs what it would have saved.
            self.problem.get_or_insert(FileProblem::Unreadable(error.to_string()));
            self.forget();
        }
        self.stored.get_or_insert_default()
    }
}

impl Persist {
    /// The file as it is known now, by how many there were before it.
    pub(crate) fn generation(&self) -> u64 {
        let mut state = lock(&self.state);
        state.stored(&*self.file);
        state.generation
    }

    /// The number of a task in a file.
    pub(crate) fn number_of(&self, generation: u64, rule: &str, key: &[u8]) -> Option<u32> {
        self.stored_of(generation)?.find(rule, key)
    }

    /// For a file, which is read when something in it is asked for.
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

    /// Notes that a task was asked for from outside.
    pub(crate) fn want(&self, node: NodeId) {
        lock(&self.wanted).insert(node);
    }

    /// Notes that this process knows a task of the file.
    pub(crate) fn note(&self, place: Unloaded, node: NodeId) {
        lock(&self.bound).push((place, node));
    }

    /// Notes that a task's runs are not as the file says.
    pub(crate) fn touch(&self, node: NodeId) {
        lock(&self.dirty).push(node);
    }

    /// Notes that all tasks of these rules were declared changed.
    pub(crate) fn invalidate_rules(&self, rules: &[u16]) {
        lock(&self.changed_rules).extend(rules);
    }

    /// Notes that something was declared of tasks of these rules that are no leaves.
    pub(crate) fn invalidate_leaf_sets(&self, rules: impl IntoIterator<Item = u16>) {
        lock(&self.invalid_leaf_sets).extend(rules);
    }

    /// Where the file tells of a task.
    pub(crate) fn find(&self, rule: &str, key: impl FnOnce() -> Vec<u8>) -> Option<Unloaded> {
        let mut state = lock(&self.state);
        let stored = state.stored(&*self.file);
        if stored.tasks() == 0 {
            return None;
        }
        let found = stored.find(rule, &key()).map(|number| (number, stored.versions(number)));
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

    /// The file that a task's place is in; `None` if it is not to be believed.
    pub(crate) fn stored_of(&self, generation: u64) -> Option<Arc<Stored>> {
        let mut state = lock(&self.state);
        if state.generation == generation {
            return Some(state.stored(&*self.file).clone()).filter(|_| state.generation == generation);
        }
        state.older.iter().find(|(number, _)| *number == generation).map(|(_, stored)| stored.clone())
    }

    /// The file of this generation is damaged.
    fn mark_corrupt(&self, generation: u64) {
        let mut state = lock(&self.state);
        if state.generation == generation {
            state.mark_corrupt();
        } else {
            state.older.retain(|(number, _)| *number != generation);
        }
    }
}
