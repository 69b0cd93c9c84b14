//! The snapshot: everything that was known when the file was written, in columns, never changed in place.
//!
//! Three parts. The *table* has the length of everything and the checksums of the rest; it is read when the file is
//! opened. The *tasks* are what verifying a build takes: for each its rule, its kept runs and what they read, all as
//! numbers; they are read chunk by chunk ([`tasks`]). The *pages* are what is needed only for a task that is loaded:
//! hashes, keys, values, the index from keys to numbers; they are read block by block ([`Pages`]).
//!
//! A task is a dense number. Its versions are numbered from 0, the first being, as a rule, the result of its latest
//! run; so most reads are of version 0, and a run that read nothing else is a list of tasks. All offsets are checked
//! before they are used: whatever the bytes are, the answer is right or absent, and nothing panics.

mod runs;
pub(super) mod tasks;

pub(crate) use runs::{BITS, Columns, Edges, Plain, RunView, Runs, run};

use std::hash::Hasher;
use std::ops::Range;

use super::TraceRead;
use super::bytes::{Reader, checksum, facet_hashes};
use super::leaves::LeafSet;
use super::pages::{BLOCK_SIZE, Pages, Source, Sums};
use super::stored_run::{StoredEdge, StoredRun};
use crate::Hash;
use crate::graph::facet::FacetHashes;
use crate::graph::intern::FastHasher;
use crate::sync::Arc;
use tasks::Tasks;

/// Marks the file, and its format.
// The number is raised when bytes get another meaning. Files with another number are replaced, never converted: they
// have nothing that cannot be computed again.
pub(super) const MAGIC: &[u8; 16] = b"taut traces 0005";

/// Whether a file that begins with this is a file of traces in another version of the format.
pub(super) fn is_of_another_format(head: &[u8]) -> bool {
    let (name, format) = MAGIC.split_at(MAGIC.len() - 4);
    head.strip_prefix(name)
        .and_then(|rest| rest.first_chunk::<4>())
        .is_some_and(|digits| digits.iter().all(u8::is_ascii_digit) && digits[..] != *format)
}

/// [`MAGIC`], the file's number, the lengths of the table and of what follows up to the journal, and the sum of all
/// this.
// 16 + 16 + 8 + 8 + 8 bytes.
pub(super) const HEADER_SIZE: usize = 56;

/// The header of a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Header {
    /// A random number, which no other file has ([`super::renumber`] gives a copy its own).
    pub(super) number: [u8; 16],
    /// The length of the table.
    pub(super) table: u64,
    /// The length of the tasks and the pages.
    pub(super) rest: u64,
}

impl Header {
    pub(super) fn encode(self) -> [u8; HEADER_SIZE] {
        let mut bytes = [0; HEADER_SIZE];
        bytes[..16].copy_from_slice(MAGIC);
        bytes[16..32].copy_from_slice(&self.number);
        bytes[32..40].copy_from_slice(&self.table.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.rest.to_le_bytes());
        let sum = checksum(&bytes[..48]);
        bytes[48..].copy_from_slice(&sum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; HEADER_SIZE]) -> Option<Header> {
        let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        // Its own checksum, since the lengths in it decide what is read and allocated next.
        let is_sound = bytes.starts_with(MAGIC) && checksum(&bytes[..48]) == word(48)?;
        let (number, table, rest) = (*bytes[16..].first_chunk()?, word(32)?, word(40)?);
        is_sound.then_some(Header { number, table, rest })
    }

    /// Where the journal begins.
    pub(super) fn end(self) -> Option<u64> {
        (HEADER_SIZE as u64).checked_add(self.table)?.checked_add(self.rest)
    }
}

/// The number of elements of each section, in this order.
#[derive(Clone, Copy, Default, Debug)]
// 64 bits each, so that lengths in bytes are computed from them without a conversion.
pub(super) struct Counts {
    pub(super) tasks: u64,
    pub(super) versions: u64,
    pub(super) words: u64,
    pub(super) keys: u64,
    pub(super) blobs: u64,
    pub(super) rules: u64,
    pub(super) codes: u64,
    pub(super) wanted: u64,
    pub(super) unwanted: u64,
    pub(super) siblings: u64,
    pub(super) facet_hashes: u64,
    pub(super) buckets: u64,
}

pub(super) const COUNT_FIELDS: usize = 12;

impl Counts {
    pub(super) fn words(&self) -> [u64; COUNT_FIELDS] {
        let Counts {
            tasks,
            versions,
            words,
            keys,
            blobs,
            rules,
            codes,
            wanted,
            unwanted,
            siblings,
            facet_hashes,
            buckets,
        } = *self;
        [tasks, versions, words, keys, blobs, rules, codes, wanted, unwanted, siblings, facet_hashes, buckets]
    }

    pub(super) fn decode(bytes: &[u8]) -> Option<Counts> {
        let mut words = bytes.as_chunks::<8>().0.iter().map(|word| u64::from_le_bytes(*word));
        // With this bound no length that is computed from the counts overflows.
        let mut next = || words.next().filter(|count| *count < u64::from(u32::MAX));
        let (tasks, versions, words) = (next()?, next()?, next()?);
        let (keys, blobs, rules, codes) = (next()?, next()?, next()?, next()?);
        let (wanted, unwanted, siblings, facet_hashes) = (next()?, next()?, next()?, next()?);
        let buckets = next()?;
        // `bucket` takes bits of a hash as the number of a bucket.
        buckets.is_power_of_two().then_some(())?;
        Some(Counts {
            tasks,
            versions,
            words,
            keys,
            blobs,
            rules,
            codes,
            wanted,
            unwanted,
            siblings,
            facet_hashes,
            buckets,
        })
    }

    /// The lengths of the sections of pages, in their order; those of their sums apart.
    // Lengths follow from counts, so the table has each number once, and two of them cannot contradict each other.
    pub(super) fn pages(&self) -> [u64; 10] {
        let entries = self.tasks * ENTRY_SIZE as u64;
        let directory = (self.buckets + 1) * 4;
        let key_at = (self.tasks + 1) * 4;
        let (siblings, facet_hashes) =
            (self.siblings * SIBLING_ENTRY_SIZE as u64, self.facet_hashes * FACET_ENTRY_SIZE as u64);
        let (wanted, unwanted) =
            (self.wanted * TIME_ENTRY_SIZE as u64, self.unwanted * TIME_ENTRY_SIZE as u64);
        let (hashes, keys, blobs) = (self.versions * 32, self.keys, self.blobs);
        [hashes, key_at, keys, directory, entries, blobs, siblings, facet_hashes, wanted, unwanted]
    }

    /// The length of the section with the sums of all blocks of the other sections.
    pub(super) fn sums(&self) -> u64 {
        self.pages().iter().map(|length| length.div_ceil(BLOCK_SIZE as u64)).sum::<u64>() * 8
    }

    /// The lengths of the sections of the table, in their order, these counts and the sum apart.
    pub(super) fn table(&self) -> [u64; 4] {
        let chunks = tasks::chunks(self.tasks) * CHUNK_ENTRY_SIZE as u64;
        [self.rules, self.codes * 4, chunks, self.sums().div_ceil(BLOCK_SIZE as u64) * 8]
    }

    /// The length of the entries and runs of all tasks.
    pub(super) fn of_tasks(&self) -> u64 {
        tasks::entries(self.tasks) + self.words * 4
    }
}

/// Bytes of an entry of the index: a task's number, and 16 bits of its key's hash.
pub(super) const ENTRY_SIZE: usize = 6;
/// Bytes of an entry of the siblings: share key, rule, task.
pub(super) const SIBLING_ENTRY_SIZE: usize = 16;
/// Bytes of an entry of the facets: task, version, where their hashes are among the blobs.
pub(super) const FACET_ENTRY_SIZE: usize = 12;

/// Bytes of an entry of the times: task, seconds.
pub(super) const TIME_ENTRY_SIZE: usize = 8;
/// Bytes of an entry of the table for a chunk of tasks: how many words its runs are, and its checksum.
pub(super) const CHUNK_ENTRY_SIZE: usize = 12;

/// The snapshot of a file, opened.
pub(crate) struct Snapshot {
    source: Arc<Source>,
    pub(super) counts: Counts,
    pub(super) rules: Vec<Arc<str>>,
    codes: Vec<u32>,
    tasks: Tasks,
    hashes: Pages,
    key_at: Pages,
    keys: Pages,
    directory: Pages,
    entries: Pages,
    blobs: Pages,
    siblings: Pages,
    facet_hashes: Pages,
    wanted: Pages,
    unwanted: Pages,
}

/// The place of a key in the index.
pub(super) fn key_hash(rule: u16, key: &[u8]) -> u64 {
    // Part of the format, as is `FastHasher`: other processes find keys by it.
    let mut mix = FastHasher::default();
    mix.write_u64(u64::from(rule) << 32 | key.len() as u64);
    mix.write(key);
    // The high bits choose the bucket.
    mix.finish().wrapping_mul(0xd6e8_feb8_6659_fd93)
}

/// The bucket of a key, and the 16 bits by which most other keys of the bucket are excluded.
// A directory of buckets, not open addressing: a look-up reads two neighbouring entries of the directory and one run
// of entries, which mostly are one block each.
pub(super) fn bucket(hash: u64, buckets: u64) -> (u64, u16) {
    // Of disjoint bits: keys of one bucket have the bits in common that chose it.
    ((hash >> 20) & (buckets - 1), hash as u16)
}

impl Snapshot {
    /// Opens the snapshot of `file`; `None` if it is corrupt.
    pub(super) fn open(file: Box<dyn TraceRead>, header: Header) -> Option<Snapshot> {
        let source = Source::new(file);
        let table = source.read(HEADER_SIZE as u64, usize::try_from(header.table).ok()?)?;
        let (body, sum) = table.split_last_chunk::<8>()?;
        if checksum(body) != u64::from_le_bytes(*sum) {
            return None;
        }
        // From here on lengths are those that were written. They are checked nevertheless: they index memory.
        let counts = Counts::decode(body)?;
        let mut rest = body.get(COUNT_FIELDS * 8..)?;
        // In the order in which `SnapshotBuilder::finish` writes them: names of rules, versions of rules, chunks,
        // sums.
        let mut sections = [&[][..]; 4];
        for (section, length) in sections.iter_mut().zip(counts.table()) {
            (*section, rest) = rest.split_at_checked(usize::try_from(length).ok()?)?;
        }
        let [names, codes, chunks, of_sums] = sections;
        // The sum of the sections has to be the length in the header: otherwise table and header are of two files.
        let length = counts.of_tasks() + counts.sums() + counts.pages().iter().sum::<u64>();
        if !rest.is_empty() || length != header.rest {
            return None;
        }
        let mut rules = Vec::new();
        let mut reader = Reader(names);
        while !reader.0.is_empty() {
            rules.push(Arc::from(std::str::from_utf8(reader.bytes()?).ok()?));
        }
        let codes = codes.as_chunks().0.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let chunk = |chunk: &[u8; CHUNK_ENTRY_SIZE]| {
            let [a, b, c, d, sum @ ..] = *chunk;
            (u32::from_le_bytes([a, b, c, d]), u64::from_le_bytes(sum))
        };
        let chunks = chunks.as_chunks().0.iter().map(chunk);
        // The chunks lie one behind the other, so a wrong length would shift all sections behind them.
        if chunks.clone().map(|(words, _)| u64::from(words)).sum::<u64>() != counts.words {
            return None;
        }
        let mut at = HEADER_SIZE as u64 + header.table;
        let tasks = Tasks::new(&source, counts.tasks as u32, at, chunks);
        at += counts.of_tasks();
        let of_sums = of_sums.as_chunks().0.iter().map(|sum| u64::from_le_bytes(*sum)).collect();
        let sums = Arc::new(Pages::new(&source, at, counts.sums(), Sums::Here(of_sums)));
        at += counts.sums();
        // The sections of pages follow one another; `block` counts their blocks, as their checksums do.
        let mut block = 0;
        let mut pages = counts.pages().into_iter().map(|length| {
            let pages = Pages::new(&source, at, length, Sums::In(sums.clone(), block));
            (at, block) = (at + length, block + length.div_ceil(BLOCK_SIZE as u64));
            pages
        });
        let mut next = || pages.next();
        let (hashes, key_at, keys, directory) = (next()?, next()?, next()?, next()?);
        let (entries, blobs, siblings, facet_hashes) = (next()?, next()?, next()?, next()?);
        let (wanted, unwanted) = (next()?, next()?);
        Some(Snapshot {
            counts,
            rules,
            codes,
            tasks,
            hashes,
            key_at,
            keys,
            directory,
            entries,
            blobs,
            siblings,
            facet_hashes,
            wanted,
            unwanted,
            source,
        })
    }

    /// Whether something that was read was found corrupt.
    pub(crate) fn is_damaged(&self) -> bool {
        self.source.is_damaged()
    }

    pub(crate) fn tasks(&self) -> u32 {
        self.counts.tasks as u32
    }

    /// Reads the chunks of all tasks; returns whether all checksums are right.
    pub(super) fn read_all_tasks(&self) -> bool {
        self.tasks.read_all()
    }

    /// The rule of a task, by its place among the rules.
    pub(crate) fn rule(&self, task: u32) -> Option<u16> {
        self.tasks.rule(task)
    }

    /// How many versions of the task there are, and the place of the first among all.
    fn versions_at(&self, task: u32) -> Option<Range<u32>> {
        let range = self.tasks.versions(task)?;
        // A checksum detects damage; it does not show that the numbers in a chunk are meaningful.
        (range.start <= range.end && u64::from(range.end) <= self.counts.versions).then_some(range)
    }

    pub(crate) fn versions(&self, task: u32) -> u32 {
        self.versions_at(task).map_or(0, |range| range.end - range.start)
    }

    pub(crate) fn hash(&self, task: u32, seq: u32) -> Option<Hash> {
        let range = self.versions_at(task)?;
        let at = range.start.checked_add(seq).filter(|at| *at < range.end)?;
        self.hashes.array::<32>(u64::from(at) * 32).map(Hash)
    }

    pub(crate) fn hashes(&self, task: u32) -> Option<Vec<Hash>> {
        let range = self.versions_at(task)?;
        let mut bytes = Vec::new();
        let length = range.end.checked_sub(range.start)? as usize * 32;
        self.hashes.read(u64::from(range.start) * 32, length, &mut bytes)?;
        Some(bytes.as_chunks::<32>().0.iter().map(|hash| Hash(*hash)).collect())
    }

    /// The runs of an existing task.
    pub(crate) fn runs(&self, task: u32) -> Runs<'_> {
        Runs::new(self.tasks.runs(task).map(|(_, words)| words), &self.codes)
    }

    /// The columns by which most tasks are decided.
    pub(super) fn columns(&self) -> Columns<'_> {
        Columns { tasks: &self.tasks, codes: &self.codes }
    }

    /// Appends the key of a task.
    pub(crate) fn key(&self, task: u32, out: &mut Vec<u8>) -> Option<()> {
        if u64::from(task) >= self.counts.tasks {
            return None;
        }
        // The entry of the next task, too: there the key ends.
        let at = self.key_at.array::<8>(u64::from(task) * 4)?;
        let [first, end] = *at.as_chunks::<4>().0.first_chunk()?;
        let (first, end) = (u32::from_le_bytes(first), u32::from_le_bytes(end));
        self.keys.read(u64::from(first), end.checked_sub(first)? as usize, out)
    }

    /// The number of a task.
    pub(crate) fn find(&self, rule: u16, key: &[u8]) -> Option<u32> {
        let (bucket, tag) = bucket(key_hash(rule, key), self.counts.buckets);
        let ends = self.directory.array::<8>(bucket * 4)?;
        let [first, end] = *ends.as_chunks::<4>().0.first_chunk()?;
        let (first, end) = (u32::from_le_bytes(first), u32::from_le_bytes(end));
        let mut entries = Vec::new();
        let length = end.checked_sub(first)? as usize * ENTRY_SIZE;
        self.entries.read(u64::from(first) * ENTRY_SIZE as u64, length, &mut entries)?;
        let mut known = Vec::new();
        for entry in entries.as_chunks::<ENTRY_SIZE>().0 {
            let [a, b, c, d, tag_a, tag_b] = *entry;
            let task = u32::from_le_bytes([a, b, c, d]);
            // The tag excludes nearly all other keys, so that few keys are read.
            if u16::from_le_bytes([tag_a, tag_b]) == tag && self.rule(task) == Some(rule) {
                known.clear();
                self.key(task, &mut known)?;
                // The tag and the bucket are taken from a hash that is not collision-resistant: only the key decides.
                if known == key {
                    return Some(task);
                }
            }
        }
        None
    }

    /// The blob at a place: a failure, a value, a witness.
    pub(crate) fn blob(&self, at: u32) -> Option<Vec<u8>> {
        /// Most witnesses are not longer, so that one read is enough.
        const FIRST_READ_SIZE: u64 = 64;
        let rest = self.counts.blobs.checked_sub(u64::from(at))?;
        let mut bytes = Vec::with_capacity(FIRST_READ_SIZE as usize);
        self.blobs.read(u64::from(at), rest.min(FIRST_READ_SIZE) as usize, &mut bytes)?;
        let mut reader = Reader(&bytes);
        // Whatever it is: `Pages` refuses what lies behind the end of the section before memory is allocated.
        let length = reader.number()? as usize;
        let head = bytes.len() - reader.0.len();
        if let Some(more) = (head + length).checked_sub(bytes.len()).filter(|more| *more > 0) {
            self.blobs.read(u64::from(at) + bytes.len() as u64, more, &mut bytes)?;
        }
        bytes.drain(..head);
        bytes.truncate(length);
        Some(bytes)
    }

    /// The leaf set at a place among the blobs.
    pub(crate) fn leaves(&self, at: u32) -> Option<LeafSet> {
        LeafSet::decode(&self.blob(at)?, self.rules.len(), self.tasks())
    }

    /// A run with its failure, value, witness and leaves.
    pub(crate) fn whole(&self, view: &RunView<'_>) -> Option<StoredRun> {
        let blob = |at: Option<u32>| match at {
            None => Some(None),
            Some(at) => self.blob(at).map(|bytes| Some(Arc::from(bytes))),
        };
        let [fail, value, witness, leaves_at] = view.blobs;
        let (fail, value, witness) = (blob(fail), blob(value), blob(witness));
        let leaves = match leaves_at {
            Some(at) => Some(Arc::new(self.leaves(at)?)),
            None => None,
        };
        let edges: Option<Vec<StoredEdge>> = view.edges().collect();
        let RunView { version, seq, traits, .. } = *view;
        let edges = edges?.into();
        let (fail, value, witness) = (fail?, value?, witness?);
        Some(StoredRun { version, seq, traits, edges, fail, value, witness, leaves })
    }

    /// The hashes of the facets of the task's versions, by version.
    pub(crate) fn all_facet_hashes(&self, task: u32) -> Option<Vec<(u32, FacetHashes)>> {
        let mut found = Vec::new();
        let entry_at = |at: u64| {
            let [a, b, c] = *self
                .facet_hashes
                .array::<FACET_ENTRY_SIZE>(at * FACET_ENTRY_SIZE as u64)?
                .as_chunks::<4>()
                .0
                .first_chunk()?;
            Some((u32::from_le_bytes(a), u32::from_le_bytes(b), u32::from_le_bytes(c)))
        };
        let mut at = lower_bound(self.counts.facet_hashes, |at| Some(entry_at(at)?.0 < task))?;
        while at < self.counts.facet_hashes {
            let (of, seq, blob) = entry_at(at)?;
            if of != task {
                break;
            }
            found.push((seq, facet_hashes(&mut Reader(&self.blob(blob)?))?));
            at += 1;
        }
        Some(found)
    }

    /// All tasks of a rule with this share key, in the order in which they were recorded.
    pub(crate) fn siblings(&self, rule: u16, share_key: u64) -> Option<Vec<u32>> {
        let entry_at = |at: u64| {
            let bytes = self.siblings.array::<SIBLING_ENTRY_SIZE>(at * SIBLING_ENTRY_SIZE as u64)?;
            let (share_key, rest) = bytes.split_first_chunk::<8>()?;
            let [rule, task] = *rest.as_chunks::<4>().0.first_chunk()?;
            Some((u64::from_le_bytes(*share_key), u32::from_le_bytes(rule), u32::from_le_bytes(task)))
        };
        let wanted = (share_key, u32::from(rule));
        let before = |at| entry_at(at).map(|(share_key, rule, _)| (share_key, rule) < wanted);
        let mut at = lower_bound(self.counts.siblings, before)?;
        let mut found = Vec::new();
        while at < self.counts.siblings {
            let (share_key, rule, task) = entry_at(at)?;
            if (share_key, rule) != wanted {
                break;
            }
            found.push(task);
            at += 1;
        }
        Some(found)
    }

    /// All entries: share key, rule, task.
    pub(crate) fn all_siblings(&self) -> Option<Vec<(u64, u16, u32)>> {
        let mut bytes = Vec::new();
        self.siblings.read(0, (self.counts.siblings as usize) * SIBLING_ENTRY_SIZE, &mut bytes)?;
        let decode = |entry: &[u8; SIBLING_ENTRY_SIZE]| {
            let (share_key, rest) = entry.split_first_chunk::<8>()?;
            let [rule, task] = *rest.as_chunks::<4>().0.first_chunk()?;
            let rule = u16::try_from(u32::from_le_bytes(rule)).ok()?;
            Some((u64::from_le_bytes(*share_key), rule, u32::from_le_bytes(task)))
        };
        bytes.as_chunks().0.iter().map(decode).collect()
    }

    /// The tasks that were requested from outside, ascending, and the time of the latest request.
    pub(crate) fn wanted(&self) -> Option<Vec<(u32, u32)>> {
        times(&self.wanted, self.counts.wanted)
    }

    /// The time of the latest request for a task from outside.
    pub(crate) fn wanted_at(&self, task: u32) -> Option<u32> {
        let entry_at = |at: u64| Some(time(&self.wanted.array(at * TIME_ENTRY_SIZE as u64)?));
        let at = lower_bound(self.counts.wanted, |at| Some(entry_at(at)?.0 < task))?;
        let (of, time) = if at < self.counts.wanted { entry_at(at)? } else { return None };
        (of == task).then_some(time)
    }

    /// The tasks that no request needed at an earlier compaction, and the time of the first such one.
    pub(crate) fn unwanted(&self) -> Option<Vec<(u32, u32)>> {
        times(&self.unwanted, self.counts.unwanted)
    }
}

fn time(entry: &[u8; TIME_ENTRY_SIZE]) -> (u32, u32) {
    let [a, b, c, d, time @ ..] = *entry;
    (u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes(time))
}

fn times(pages: &Pages, count: u64) -> Option<Vec<(u32, u32)>> {
    let mut bytes = Vec::new();
    pages.read(0, count as usize * TIME_ENTRY_SIZE, &mut bytes)?;
    Some(bytes.as_chunks().0.iter().map(time).collect())
}

/// The first of `count` places that is not `before`.
fn lower_bound(count: u64, before: impl Fn(u64) -> Option<bool>) -> Option<u64> {
    let (mut low, mut high) = (0, count);
    while low < high {
        let middle = low + (high - low) / 2;
        if before(middle)? {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Some(low)
}
