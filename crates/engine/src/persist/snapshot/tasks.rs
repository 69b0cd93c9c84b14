//! The tasks of a snapshot as numbers, in chunks: each has the entries and all runs of a fixed number of tasks.
//!
//! A chunk is read as a whole on first access of one of its tasks, checked against its checksum, and stays in memory.
//! So a build that verifies some tasks reads their neighbours, too, and one that verifies all reads all, with one
//! system call for each chunk. No run is in two chunks, so it can be accessed as one slice.
//!
//! In a chunk: an entry of [`ENTRY_SIZE`] bytes for each task, and one more for the end; then the words of the runs. An
//! entry has the offset of the runs, in words of the chunk (u32), the index of the first version, among all (u32), and
//! the rule (u16).

use std::ops::Range;

use super::super::bytes::checksum;
use super::super::pages::Source;
use crate::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

/// How many tasks a chunk has; the last one may have fewer.
// A chunk has ten kilobytes of entries and, as a rule, more of runs: large enough that a read is worth a system call,
// small enough that a build of a few tasks reads little. Part of the format.
pub(in crate::persist) const TASKS_PER_CHUNK: usize = 1024;

/// Bytes of the entry of a task, without its runs.
pub(in crate::persist) const ENTRY_SIZE: usize = 10;

/// How many chunks this many tasks take.
pub(in crate::persist) fn chunks(tasks: u64) -> u64 {
    tasks.div_ceil(TASKS_PER_CHUNK as u64)
}

/// How many bytes the entries of this many tasks take.
pub(in crate::persist) fn entries(tasks: u64) -> u64 {
    (tasks + chunks(tasks)) * ENTRY_SIZE as u64
}

/// All tasks of a file.
pub(super) struct Tasks {
    source: Arc<Source>,
    count: u32,
    /// Where in the file each chunk begins; one more for the end.
    at: Vec<u64>,
    sums: Vec<u64>,
    /// The chunks that were read.
    // Never freed while the file is in use, so slices of a chunk are handed out without a lock.
    chunks: Vec<OnceLock<Vec<u8>>>,
    /// Whether those are all.
    is_read: AtomicBool,
}

/// The words of runs.
pub(super) type Words<'s> = &'s [[u8; 4]];

/// An entry, and the one after it.
type Entries<'s> = &'s [[u8; ENTRY_SIZE]; 2];

fn word(entry: &[u8; ENTRY_SIZE], at: usize) -> u32 {
    u32::from_le_bytes([entry[at], entry[at + 1], entry[at + 2], entry[at + 3]])
}

impl Tasks {
    /// The chunks from `at` on; for each, how many words its runs are, and its checksum.
    pub(super) fn new(
        source: &Arc<Source>,
        count: u32,
        mut at: u64,
        chunks: impl Iterator<Item = (u32, u64)>,
    ) -> Tasks {
        // The table has only the lengths of the runs, so where a chunk begins follows from those before it.
        let (mut begins, mut sums) = (vec![at], Vec::new());
        let mut left = count as usize;
        for (words, sum) in chunks {
            let tasks = left.min(TASKS_PER_CHUNK);
            left -= tasks;
            at += entries(tasks as u64) + u64::from(words) * 4;
            begins.push(at);
            sums.push(sum);
        }
        let chunks = sums.iter().map(|_| OnceLock::new()).collect();
        let is_read = AtomicBool::new(false);
        Tasks { source: source.clone(), count, at: begins, sums, chunks, is_read }
    }

    /// A chunk; `None` if it is absent, or its checksum is wrong.
    #[inline]
    fn chunk(&self, at: usize) -> Option<&[u8]> {
        match self.chunks.get(at)?.get() {
            Some(chunk) => Some(chunk),
            None => self.fetch(at),
        }
    }

    /// Reads a chunk. Two threads may read the same one at once; the `OnceLock` keeps one of the results.
    #[cold]
    fn fetch(&self, at: usize) -> Option<&[u8]> {
        // Nothing more is taken from a corrupt file.
        let chunk = if self.source.is_damaged() { None } else { self.read(at) };
        let Some(chunk) = chunk else {
            self.source.note_damage();
            return None;
        };
        let _ = self.chunks[at].set(chunk);
        self.chunks[at].get().map(Vec::as_slice)
    }

    /// Reads all chunks that were not read yet; returns whether all checksums are right.
    pub(super) fn read_all(&self) -> bool {
        // Pairs with the store below: a thread that skips the loop sees the chunks that another one has read.
        if !self.is_read.load(Ordering::Acquire) {
            let is_read = (0..self.chunks.len()).all(|at| self.chunk(at).is_some());
            self.is_read.store(is_read, Ordering::Release);
        }
        !self.source.is_damaged()
    }

    fn read(&self, at: usize) -> Option<Vec<u8>> {
        let (from, end) = (self.at[at], self.at[at + 1]);
        let chunk = self.source.read(from, usize::try_from(end - from).ok()?)?;
        (checksum(&chunk) == self.sums[at]).then_some(chunk)
    }

    /// The entry of a task, and the words of all runs of the chunk.
    #[inline]
    fn entry(&self, task: u32) -> Option<(Entries<'_>, &[u8])> {
        if task >= self.count {
            return None;
        }
        let (at, place) = (task as usize / TASKS_PER_CHUNK, task as usize % TASKS_PER_CHUNK);
        let tasks = (self.count as usize - at * TASKS_PER_CHUNK).min(TASKS_PER_CHUNK);
        let (entries, words) = self.chunk(at)?.split_at_checked((tasks + 1) * ENTRY_SIZE)?;
        let entry = entries.as_chunks::<ENTRY_SIZE>().0.get(place..place + 2)?.first_chunk()?;
        Some((entry, words))
    }

    /// The rule of a task.
    #[inline]
    pub(super) fn rule(&self, task: u32) -> Option<u16> {
        let ([entry, _], _) = self.entry(task)?;
        Some(u16::from_le_bytes([entry[8], entry[9]]))
    }

    /// The versions of a task among all.
    pub(super) fn versions(&self, task: u32) -> Option<Range<u32>> {
        let ([entry, end], _) = self.entry(task)?;
        Some(word(entry, 4)..word(end, 4))
    }

    /// The rule of a task and the words of its runs.
    #[inline]
    pub(super) fn runs(&self, task: u32) -> Option<(u16, Words<'_>)> {
        let ([entry, end], words) = self.entry(task)?;
        let rule = u16::from_le_bytes([entry[8], entry[9]]);
        // `get` refuses a begin behind the end as well: the numbers come from the file.
        let words = words.as_chunks().0.get(word(entry, 0) as usize..word(end, 0) as usize)?;
        Some((rule, words))
    }
}
