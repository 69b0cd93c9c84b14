//! Builds a snapshot ([`super::snapshot`]): tasks first, then their runs in the same order.
//!
//! The caller has its own numbers for tasks and versions. A task gets its number in the file when it is added; a
//! version when it is first mentioned, so that what the latest runs read and resulted in is mostly version 0. Tasks
//! that are only read may be added while runs are written: they come last and have no runs.

use std::collections::HashMap;
use std::io::{self, Write};

use super::bytes::{self, bytes, checksum, put_facet_hashes};
use super::leaves::LeafSet;
use super::pages::{BLOCK_SIZE, sums};
use super::snapshot::tasks::{ENTRY_SIZE, TASKS_PER_CHUNK};
use super::snapshot::{
    BITS, Counts, FACET_ENTRY_SIZE, HEADER_SIZE, Header, SIBLING_ENTRY_SIZE, TIME_ENTRY_SIZE, bucket,
    key_hash, run,
};
use super::stored_run::StoredEdge;
use crate::Hash;
use crate::graph::facet::FacetHashes;
use crate::graph::intern::BuildFastHasher;
use crate::sync::Arc;

/// The fields of a run besides its reads.
pub(super) struct RunFields<'r> {
    pub(super) version: u32,
    pub(super) seq: u32,
    pub(super) traits: u8,
    pub(super) fail: Option<&'r [u8]>,
    pub(super) value: Option<&'r [u8]>,
    pub(super) witness: Option<&'r [u8]>,
    pub(super) leaves: Option<&'r LeafSet>,
}

/// No version yet.
const NO_NUMBER: u32 = u32::MAX;

#[derive(Default)]
pub(super) struct SnapshotBuilder {
    rules: Vec<Arc<str>>,
    // Columns, as in the file: a structure for each task would be taken apart again in the end.
    rule_of: Vec<u16>,
    key_hashes: Vec<u64>,
    key_at: Vec<u8>,
    keys: Vec<u8>,
    /// Where the runs of each task begin, in words.
    runs_at: Vec<u32>,
    words: Vec<u8>,
    codes: Vec<u32>,
    blobs: Chunks,
    /// The caller's number of version 0 of each task, and its hash if that is known yet.
    firsts: Vec<u32>,
    first_hashes: Vec<[u8; 32]>,
    is_known: Vec<bool>,
    /// Other versions, by task and the caller's number; and how many each task has.
    // Version 0 has columns of its own above: most tasks have no other, and a map of all versions would be the
    // largest part.
    others: HashMap<(u32, u32), u32, BuildFastHasher>,
    others_of: Vec<u32>,
    wanted: Vec<(u32, u32)>,
    unwanted: Vec<(u32, u32)>,
    siblings: Vec<(u64, u16, u32)>,
    facet_hashes: HashMap<(u32, u32), u32, BuildFastHasher>,
    /// The reads of the run before, if it is of the same task.
    before: Vec<StoredEdge>,
    has_before: bool,
}

/// Bytes that are only appended to: a vector that grows would need up to three times the memory when it is moved.
#[derive(Default)]
struct Chunks(Vec<Vec<u8>>);

impl Chunks {
    /// A multiple of the size of a block, so that the checksums of the chunks are those of the whole.
    // 256 KiB.
    const SIZE: usize = 64 * BLOCK_SIZE;

    fn len(&self) -> usize {
        self.0.last().map_or(0, |last| (self.0.len() - 1) * Chunks::SIZE + last.len())
    }

    fn extend(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.0.last().is_none_or(|last| last.len() == Chunks::SIZE) {
                // Most files are small.
                self.0.push(Vec::with_capacity(if self.0.is_empty() { 0 } else { Chunks::SIZE }));
            }
            let last = self.0.last_mut().expect("there is one with room");
            let (now, later) = bytes.split_at(bytes.len().min(Chunks::SIZE - last.len()));
            last.extend(now);
            bytes = later;
        }
    }
}

fn put(out: &mut Vec<u8>, word: u32) {
    out.extend(word.to_le_bytes());
}

/// The highest number of a version of a task that has room beside the bits of a read.
const MAX_VERSION: u32 = u32::MAX >> BITS;

/// A snapshot, to be written.
pub(super) struct Image {
    table: Vec<u8>,
    tasks: Vec<u8>,
    /// The sums of the other pages first.
    pages: Vec<Vec<u8>>,
}

impl Image {
    pub(super) fn header(&self, number: [u8; 16]) -> Header {
        let pages: usize = self.pages.iter().map(Vec::len).sum();
        Header { number, table: self.table.len() as u64, rest: (self.tasks.len() + pages) as u64 }
    }

    pub(super) fn write(&self, number: [u8; 16], to: &mut dyn Write) -> io::Result<u64> {
        let header = self.header(number);
        to.write_all(&header.encode())?;
        to.write_all(&self.table)?;
        to.write_all(&self.tasks)?;
        self.pages.iter().try_for_each(|section| to.write_all(section))?;
        Ok(HEADER_SIZE as u64 + header.table + header.rest)
    }
}

impl SnapshotBuilder {
    /// With room for `tasks` tasks, with about `reads` reads each.
    pub(super) fn with_capacity(tasks: usize, reads: usize) -> SnapshotBuilder {
        let mut builder = SnapshotBuilder::default();
        builder.key_at.reserve_exact(tasks * 4 + 64);
        builder.runs_at.reserve_exact(tasks + 16);
        builder.rule_of.reserve_exact(tasks + 16);
        builder.words.reserve(tasks * (1 + reads) * 4);
        builder.key_hashes.reserve(tasks);
        builder.firsts.reserve(tasks);
        builder.first_hashes.reserve(tasks);
        builder.is_known.reserve(tasks);
        builder
    }

    /// The place of a rule.
    pub(super) fn rule(&mut self, name: &str) -> u16 {
        let at = self.rules.iter().position(|rule| **rule == *name);
        let at = at.unwrap_or_else(|| {
            self.rules.push(name.into());
            self.rules.len() - 1
        });
        u16::try_from(at).expect("an engine has fewer than 65,536 rules")
    }

    /// Adds a task; `key` appends its key to the buffer.
    pub(super) fn task(&mut self, rule: u16, key: impl FnOnce(&mut Vec<u8>)) -> u32 {
        let number = self.firsts.len() as u32;
        let at = self.keys.len();
        put(&mut self.key_at, at as u32);
        key(&mut self.keys);
        self.key_hashes.push(key_hash(rule, &self.keys[at..]));
        self.rule_of.push(rule);
        self.firsts.push(NO_NUMBER);
        self.first_hashes.push([0; 32]);
        self.is_known.push(false);
        number
    }

    /// The number in the file of the caller's `version`.
    pub(super) fn version(&mut self, task: u32, version: u32) -> u32 {
        let first = &mut self.firsts[task as usize];
        if *first == version {
            return 0;
        }
        if *first == NO_NUMBER {
            *first = version;
            return 0;
        }
        if self.others_of.len() <= task as usize {
            self.others_of.resize(self.firsts.len(), 0);
        }
        let others = &mut self.others_of[task as usize];
        *self.others.entry((task, version)).or_insert_with(|| {
            *others += 1;
            *others
        })
    }

    /// Sets the hash of the caller's `version`; of use for version 0 only.
    pub(super) fn hash(&mut self, task: u32, version: u32, hash: &Hash) {
        if self.firsts[task as usize] == version {
            self.first_hashes[task as usize] = hash.0;
            self.is_known[task as usize] = true;
        }
    }

    /// Whether the hashes of the facets of a version are set.
    pub(super) fn has_facet_hashes(&self, task: u32, seq: u32) -> bool {
        self.facet_hashes.contains_key(&(task, seq))
    }

    pub(super) fn facet_hashes(&mut self, task: u32, seq: u32, facet_hashes: &FacetHashes) {
        if self.has_facet_hashes(task, seq) {
            return;
        }
        let mut blob = Vec::new();
        put_facet_hashes(&mut blob, facet_hashes);
        let at = self.blob(&blob);
        self.facet_hashes.insert((task, seq), at);
    }

    pub(super) fn sibling(&mut self, share_key: u64, rule: u16, task: u32) {
        self.siblings.push((share_key, rule, task));
    }

    pub(super) fn want(&mut self, task: u32, time: u32) {
        self.wanted.push((task, time));
    }

    pub(super) fn note_unwanted(&mut self, task: u32, time: u32) {
        self.unwanted.push((task, time));
    }

    fn blob(&mut self, blob: &[u8]) -> u32 {
        let at = self.blobs.len() as u32;
        let mut length = Vec::new();
        bytes::number(&mut length, u32::try_from(blob.len()).expect("a record is shorter than 4 GiB"));
        self.blobs.extend(&length);
        self.blobs.extend(blob);
        at
    }

    /// Begins the runs of the next task.
    pub(super) fn begin_runs(&mut self) {
        self.runs_at.push((self.words.len() / 4) as u32);
        self.has_before = false;
    }

    /// The next run of the task whose runs were begun last.
    pub(super) fn run(&mut self, outcome: &RunFields<'_>, edges: &[StoredEdge]) {
        // The fields of the first word have few bits. A number that does not fit is written as all ones, and follows in
        // a word of its own: here the place of the rule's version, below the number of reads.
        let code = self.codes.iter().position(|code| *code == outcome.version);
        let code = code.or_else(|| {
            self.codes.push(outcome.version);
            // The last code is the mark for "follows"; its place in the list stays unused.
            (self.codes.len() <= run::CODE as usize).then(|| self.codes.len() - 1)
        });
        let code = code.map_or(run::CODE, |code| (code as u32).min(run::CODE));
        let count = (edges.len() as u32).min(run::COUNT);
        let kind = self.kind(edges);
        let wide = kind == run::SAME && edges.iter().any(|edge| edge.seq > 0xff);
        let leaves = outcome.leaves.map(LeafSet::encode);
        let blobs = [
            (run::FAIL, outcome.fail),
            (run::VALUE, outcome.value),
            (run::WITNESS, outcome.witness),
            (run::LEAVES, leaves.as_deref()),
        ];
        // The order of the optional words is that in which `Runs` reads them: number of reads, version of the rule,
        // version of the result, blobs.
        let mut head = count | code << run::CODE_AT | kind | u32::from(outcome.traits) << run::TRAITS_AT;
        head |= if wide { run::WIDE } else { 0 };
        head |= if outcome.seq == 0 { 0 } else { run::SEQ };
        for (bit, blob) in blobs {
            head |= if blob.is_some() { bit } else { 0 };
        }
        put(&mut self.words, head);
        if count == run::COUNT {
            put(&mut self.words, edges.len() as u32);
        }
        if code == run::CODE {
            put(&mut self.words, outcome.version);
        }
        if outcome.seq != 0 {
            put(&mut self.words, outcome.seq);
        }
        for blob in blobs.into_iter().filter_map(|(_, blob)| blob) {
            let at = self.blob(blob);
            put(&mut self.words, at);
        }
        let words = &mut self.words;
        match kind {
            run::TOGETHER | run::EACH => edges.iter().for_each(|edge| put(words, edge.dep)),
            run::FULL => {
                put(words, edges.iter().filter(|edge| edge.has_facets()).count() as u32);
                for edge in edges {
                    put(words, edge.dep);
                    put(words, edge.seq << BITS | u32::from(edge.bits));
                    if edge.has_facets() {
                        put(words, edge.facets.0.into());
                    }
                }
            }
            // The reads are those of the run before: only their versions are written, in bytes if these suffice.
            _ if wide => edges.iter().for_each(|edge| put(words, edge.seq)),
            _ => {
                words.extend(edges.iter().map(|edge| edge.seq as u8));
                words.resize(words.len().next_multiple_of(4), 0);
            }
        }
        self.before.clear();
        self.before.extend(edges);
        self.has_before = true;
    }

    fn kind(&self, edges: &[StoredEdge]) -> u32 {
        let others = |(old, new): (&StoredEdge, &StoredEdge)| *old == StoredEdge { seq: old.seq, ..*new };
        let is_plain = |ends: &dyn Fn(usize) -> bool| {
            let bits = |at: usize| if ends(at) { StoredEdge::ENDS_GROUP } else { 0 };
            edges.iter().enumerate().all(|(at, edge)| edge.seq == 0 && edge.bits == bits(at))
        };
        if is_plain(&|at| at + 1 == edges.len()) {
            run::TOGETHER
        // The latest run comes first and has none before it, so it is never `SAME`: the walk reads it by itself.
        } else if self.has_before
            && self.before.len() == edges.len()
            && self.before.iter().zip(edges).all(others)
        {
            run::SAME
        } else if is_plain(&|_| true) {
            run::EACH
        } else {
            run::FULL
        }
    }

    /// The finished snapshot. `hash` gives the hash of a version by the caller's number; a version for which it has
    /// none gets a hash that no task ever has.
    ///
    /// # Errors
    /// There is more than the format can hold.
    pub(super) fn finish(mut self, mut hash: impl FnMut(u32, u32) -> Option<Hash>) -> io::Result<Image> {
        let tasks = self.firsts.len();
        self.runs_at.resize(tasks + 1, (self.words.len() / 4) as u32);
        put(&mut self.key_at, self.keys.len() as u32);
        for task in 0..tasks {
            if !self.is_known[task] && self.firsts[task] != NO_NUMBER {
                let hash = hash(task as u32, self.firsts[task]).unwrap_or(Hash::lost(0));
                self.first_hashes[task] = hash.0;
            }
        }
        let (versions_at, hashes) = self.versions(&mut hash);
        // What is no longer needed is dropped step by step: the sections are as large as all of it.
        (self.first_hashes, self.firsts, self.others) = Default::default();
        // About eight keys in a bucket: a look-up reads one entry of the directory and one or two blocks.
        let buckets = (tasks as u64 / 8).next_power_of_two();
        let (directory, entries) = self.index(buckets);
        self.key_hashes = Vec::new();
        // Sorted, since these sections are searched by bisection.
        // Stable: of one share key, the task that executed last stays the last, and is tried first
        // (`settle/siblings.rs`).
        self.siblings.sort_by_key(|(share_key, rule, _)| (*share_key, *rule));
        self.wanted.sort_unstable();
        self.unwanted.sort_unstable();
        let mut rules = Vec::new();
        self.rules.iter().for_each(|rule| bytes(&mut rules, rule.as_bytes()));
        let (siblings, facet_hashes) = (self.sibling_entries(), self.facet_entries());
        let counts = Counts {
            tasks: tasks as u64,
            versions: hashes.len() as u64 / 32,
            words: self.words.len() as u64 / 4,
            keys: self.keys.len() as u64,
            blobs: self.blobs.len() as u64,
            rules: rules.len() as u64,
            codes: self.codes.len() as u64,
            wanted: self.wanted.len() as u64,
            unwanted: self.unwanted.len() as u64,
            siblings: self.siblings.len() as u64,
            facet_hashes: self.facet_hashes.len() as u64,
            buckets,
        };
        // Places in the file are u32, and the highest number has a meaning of its own. Versions share a word with bits.
        let most_versions = self.others_of.iter().max().copied().unwrap_or_default();
        if counts.words().iter().any(|count| *count >= u64::from(u32::MAX)) || most_versions > MAX_VERSION {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        let [wanted, unwanted] = [&self.wanted, &self.unwanted].map(|times| time_entries(times));
        let (key_at, keys, blobs) = (self.key_at, self.keys, self.blobs);
        let mut pages = vec![hashes, key_at, keys, directory, entries];
        pages.extend(blobs.0);
        pages.extend([siblings, facet_hashes, wanted, unwanted]);
        // The checksums of the blocks are a section themselves, whose checksums are in the table: so opening a file
        // reads the table only, and a block is read with one block of checksums.
        let all_sums: Vec<u8> =
            pages.iter().flat_map(|section| sums(section)).flat_map(u64::to_le_bytes).collect();
        let mut table = Vec::new();
        counts.words().iter().for_each(|count| table.extend(count.to_le_bytes()));
        table.extend(rules);
        self.codes.iter().for_each(|code| put(&mut table, *code));
        let tasks = put_tasks(&mut table, &self.rule_of, &self.runs_at, &versions_at, &self.words);
        sums(&all_sums).for_each(|sum| table.extend(sum.to_le_bytes()));
        let sum = checksum(&table);
        table.extend(sum.to_le_bytes());
        pages.insert(0, all_sums);
        Ok(Image { table, tasks, pages })
    }

    /// Where the versions of each task begin, and the hashes of all of them.
    fn versions(&mut self, hash: &mut impl FnMut(u32, u32) -> Option<Hash>) -> (Vec<u32>, Vec<u8>) {
        let tasks = self.firsts.len();
        // As a rule each task has one version: then versions have the numbers of their tasks, and the hashes are in
        // order already.
        if self.others.is_empty() && !self.firsts.contains(&NO_NUMBER) {
            let at = (0..=tasks as u32).collect();
            return (at, std::mem::take(&mut self.first_hashes).into_flattened());
        }
        let mut others: Vec<(u32, u32, u32)> =
            self.others.iter().map(|((task, version), seq)| (*task, *seq, *version)).collect();
        // The file has the versions of a task side by side, in the order of their numbers.
        others.sort_unstable();
        let mut others = others.into_iter().peekable();
        let mut at = Vec::with_capacity(tasks + 1);
        let mut hashes = Vec::with_capacity((tasks + others.len()) * 32);
        for task in 0..tasks {
            at.push((hashes.len() / 32) as u32);
            if self.firsts[task] != NO_NUMBER {
                hashes.extend(self.first_hashes[task]);
            }
            while let Some((_, seq, version)) = others.next_if(|(of, ..)| *of == task as u32) {
                hashes.extend(hash(task as u32, version).unwrap_or(Hash::lost(seq)).0);
            }
        }
        at.push((hashes.len() / 32) as u32);
        (at, hashes)
    }

    /// The section of siblings: share key, rule and task of each, in their present order.
    fn sibling_entries(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.siblings.len() * SIBLING_ENTRY_SIZE);
        for (share_key, rule, task) in &self.siblings {
            out.extend(share_key.to_le_bytes());
            put(&mut out, u32::from(*rule));
            put(&mut out, *task);
        }
        out
    }

    /// The section of facets, ascending: task, version, and the place of their hashes among the blobs.
    fn facet_entries(&self) -> Vec<u8> {
        let mut all: Vec<_> = self.facet_hashes.iter().map(|((task, seq), at)| (*task, *seq, *at)).collect();
        all.sort_unstable();
        let mut out = Vec::with_capacity(all.len() * FACET_ENTRY_SIZE);
        for (task, seq, at) in all {
            [task, seq, at].into_iter().for_each(|word| put(&mut out, word));
        }
        out
    }

    /// Where each bucket begins, and what is in them.
    fn index(&self, buckets: u64) -> (Vec<u8>, Vec<u8>) {
        // A counting sort: `begins` is first the size of each bucket, then where it begins, then the next free place
        // in it. The directory is written before the last step.
        let mut begins = vec![0_u32; buckets as usize + 1];
        for hash in &self.key_hashes {
            begins[bucket(*hash, buckets).0 as usize + 1] += 1;
        }
        for at in 1..begins.len() {
            begins[at] += begins[at - 1];
        }
        let mut directory = Vec::with_capacity(begins.len() * 4);
        begins.iter().for_each(|begin| put(&mut directory, *begin));
        let mut entries = vec![[0; 6]; self.key_hashes.len()];
        for (task, hash) in self.key_hashes.iter().enumerate() {
            let (bucket, tag) = bucket(*hash, buckets);
            let at = &mut begins[bucket as usize];
            let ([a, b, c, d], [e, f]) = ((task as u32).to_le_bytes(), tag.to_le_bytes());
            entries[*at as usize] = [a, b, c, d, e, f];
            *at += 1;
        }
        (directory, entries.into_flattened())
    }
}

/// A section of times: task and seconds of each.
fn time_entries(times: &[(u32, u32)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(times.len() * TIME_ENTRY_SIZE);
    for (task, time) in times {
        put(&mut out, *task);
        put(&mut out, *time);
    }
    out
}

/// Writes the tasks, chunk by chunk; `table` gets for each chunk how many words its runs are, and its checksum.
fn put_tasks(
    table: &mut Vec<u8>,
    rules: &[u16],
    runs_at: &[u32],
    versions_at: &[u32],
    words: &[u8],
) -> Vec<u8> {
    let mut out =
        Vec::with_capacity(words.len() + (rules.len() + rules.len() / TASKS_PER_CHUNK + 1) * ENTRY_SIZE);
    for first in (0..rules.len()).step_by(TASKS_PER_CHUNK) {
        let (begin, end) = (out.len(), rules.len().min(first + TASKS_PER_CHUNK));
        for task in first..=end {
            // Runs lie in the chunk, so that it can be read and checked alone; hashes lie elsewhere, so versions
            // count on.
            put(&mut out, runs_at[task] - runs_at[first]);
            put(&mut out, versions_at[task]);
            // The end of the chunk is of no rule.
            let rule = if task < end { rules[task] } else { 0 };
            out.extend(rule.to_le_bytes());
        }
        out.extend(&words[runs_at[first] as usize * 4..runs_at[end] as usize * 4]);
        put(table, runs_at[end] - runs_at[first]);
        table.extend(checksum(&out[begin..]).to_le_bytes());
    }
    out
}
