//! The sections of a file that are accessed here and there: read block by block on first access, each block checked
//! against its checksum.
//!
//! A null build of a new process reads one key of a million, so it must not read all. The checksums of the blocks are a
//! section of blocks themselves; the checksums of that section are in the table, which is always read. So no byte is
//! used before it was checked.

use super::TraceRead;
use super::bytes::checksum;
use super::file::bytes_at;
use crate::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
    lock,
};

/// Bytes of a block; the last one may be shorter.
// A page of the system's file cache: reading less than that would save nothing.
pub(super) const BLOCK_SIZE: usize = 4096;

/// How many blocks are allocated together, and at most are read at once.
// 64, since `Segment::known` has a bit for each.
const BLOCKS_PER_SEGMENT: usize = 64;

/// Where the bytes come from.
pub(super) struct Source {
    // A lock, since reading may move a position (systems without `pread`).
    file: Mutex<Box<dyn TraceRead>>,
    /// A checksum was wrong, or content could not be decoded.
    // Never reset: what was read before is still in use, and nothing says which of it the same defect touched.
    damaged: AtomicBool,
}

impl Source {
    pub(super) fn new(file: Box<dyn TraceRead>) -> Arc<Source> {
        Arc::new(Source { file: Mutex::new(file), damaged: AtomicBool::new(false) })
    }

    /// `length` bytes from `at` on.
    pub(super) fn read(&self, at: u64, length: usize) -> Option<Vec<u8>> {
        let bytes = bytes_at(&mut **lock(&self.file), at, length).ok()?;
        // Fewer bytes mean that the file is shorter than its table says, hence corrupt.
        (bytes.len() == length).then_some(bytes)
    }

    /// The same into a buffer.
    fn fill(&self, at: u64, into: &mut [u8]) -> Option<()> {
        let count = lock(&self.file).read_at(at, into).ok()?;
        (count == into.len()).then_some(())
    }

    /// Notes that the file is corrupt.
    pub(super) fn note_damage(&self) {
        // Relaxed: nothing is published by it. A thread that does not see it yet has bytes whose checksums are right.
        self.damaged.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }
}

/// Where the checksums of a section's blocks are.
pub(super) enum Sums {
    Here(Vec<u64>),
    /// In another section, from one of its sums on.
    In(Arc<Pages>, u64),
}

impl Sums {
    /// The checksums of `count` blocks.
    fn of(&self, first: usize, count: usize) -> Option<Vec<u64>> {
        match self {
            Sums::Here(sums) => sums.get(first..first + count).map(<[u64]>::to_vec),
            Sums::In(pages, from) => {
                let mut bytes = Vec::with_capacity(count * 8);
                pages.read((from + first as u64) * 8, count * 8, &mut bytes)?;
                Some(bytes.as_chunks().0.iter().map(|sum| u64::from_le_bytes(*sum)).collect())
            }
        }
    }
}

/// One such section.
pub(super) struct Pages {
    source: Arc<Source>,
    at: u64,
    length: u64,
    sums: Sums,
    blocks: Mutex<Blocks>,
}

#[derive(Default)]
struct Blocks {
    segments: Vec<Segment>,
    /// How many blocks were read.
    known: usize,
}

/// Some blocks side by side.
#[derive(Clone, Default)]
struct Segment {
    /// Empty until one of them is read.
    bytes: Vec<u8>,
    /// By block, a bit: it was read.
    // One word as a set, so that the next block that was read is found by counting zeros.
    known: u64,
}

impl Pages {
    /// `sums`: one for each block.
    pub(super) fn new(source: &Arc<Source>, at: u64, length: u64, sums: Sums) -> Pages {
        Pages { source: source.clone(), at, length, sums, blocks: Mutex::default() }
    }

    /// Appends the bytes from `from` on; `None` if a checksum is wrong, and then the file is corrupt.
    pub(super) fn read(&self, from: u64, length: usize, out: &mut Vec<u8>) -> Option<()> {
        self.check_damage(self.try_read(from, length, |part| out.extend(part)))
    }

    /// `N` bytes from `from` on.
    pub(super) fn array<const N: usize>(&self, from: u64) -> Option<[u8; N]> {
        let (mut bytes, mut at) = ([0; N], 0);
        self.check_damage(self.try_read(from, N, |part| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }))?;
        Some(bytes)
    }

    fn check_damage(&self, read: Option<()>) -> Option<()> {
        if read.is_none() {
            self.source.note_damage();
        }
        read
    }

    fn try_read(&self, from: u64, length: usize, mut each: impl FnMut(&[u8])) -> Option<()> {
        // `from` and `length` come from the file and may be anything: they are checked before memory is allocated.
        let end = from.checked_add(length as u64).filter(|end| *end <= self.length)?;
        // Held while blocks are read: two threads that need the same block read it once.
        // Lock order: the blocks of a section, the blocks of the checksums, the file.
        let (mut at, mut blocks) = (from, lock(&self.blocks));
        while at < end {
            let (block, offset) = ((at / BLOCK_SIZE as u64) as usize, (at % BLOCK_SIZE as u64) as usize);
            let (segment, place) = (block / BLOCKS_PER_SEGMENT, block % BLOCKS_PER_SEGMENT);
            if blocks.segments.get(segment).is_none_or(|segment| segment.known >> place & 1 == 0) {
                self.fetch(&mut blocks, block)?;
            }
            let rest = blocks.segments[segment].bytes.get(place * BLOCK_SIZE + offset..)?;
            let part = &rest[..rest.len().min(BLOCK_SIZE - offset).min((end - at) as usize)];
            if part.is_empty() {
                return None;
            }
            each(part);
            at += part.len() as u64;
        }
        Some(())
    }

    /// Reads a block, and with it the more of the following ones the more were read before: a process that reads few
    /// needs few, one that reads many needs fewer system calls.
    fn fetch(&self, blocks: &mut Blocks, first: usize) -> Option<()> {
        let Blocks { segments, known } = blocks;
        if segments.is_empty() {
            segments.resize(
                self.length.div_ceil((BLOCKS_PER_SEGMENT * BLOCK_SIZE) as u64) as usize,
                Segment::default(),
            );
        }
        let (number, place) = (first / BLOCKS_PER_SEGMENT, first % BLOCKS_PER_SEGMENT);
        let segment = segments.get_mut(number)?;
        if segment.bytes.is_empty() {
            let rest = self.length - (number * BLOCKS_PER_SEGMENT * BLOCK_SIZE) as u64;
            // Zeroed memory takes no room before it is written to.
            segment.bytes = vec![0; rest.min((BLOCKS_PER_SEGMENT * BLOCK_SIZE) as u64) as usize];
        }
        // At most as many blocks as were read so far, up to the end of the segment or the next block that was read.
        let ahead = (*known).clamp(1, BLOCKS_PER_SEGMENT - place);
        let count = ((segment.known >> place).trailing_zeros() as usize).clamp(1, ahead);
        let end = segment.bytes.len().min((place + count) * BLOCK_SIZE);
        let bytes = segment.bytes.get_mut(place * BLOCK_SIZE..end)?;
        self.source.fill(self.at + (first * BLOCK_SIZE) as u64, bytes)?;
        let sums = self.sums.of(first, bytes.len().div_ceil(BLOCK_SIZE))?;
        for (at, (block, sum)) in bytes.chunks(BLOCK_SIZE).zip(sums).enumerate() {
            // A wrong checksum of a block that was read ahead is not damage yet: nothing has asked for that block.
            if checksum(block) == sum {
                segment.known |= 1 << (place + at);
                *known += 1;
            } else if at == 0 {
                return None;
            } else {
                break;
            }
        }
        Some(())
    }
}

/// The checksums of a section's blocks.
pub(super) fn sums(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks(BLOCK_SIZE).map(checksum)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "this crate does not depend on taut-sys")]
mod tests {
    use super::*;
    use std::fs::File;

    /// `length` bytes and their sums, and the same bytes but for one as pages.
    fn pages(directory: &std::path::Path, length: usize, damaged: usize) -> (Vec<u8>, Arc<Source>, Pages) {
        let path = directory.join("pages");
        let bytes: Vec<u8> = (0..length).map(|at| (at / 7) as u8).collect();
        let sums: Vec<u8> = sums(&bytes).flat_map(u64::to_le_bytes).collect();
        let of_sums = super::sums(&sums).collect();
        let mut file = [&sums[..], &bytes[..]].concat();
        file[sums.len() + damaged] ^= 1;
        std::fs::write(&path, &file).unwrap();
        let source = Source::new(Box::new(File::open(&path).unwrap()));
        let own = Arc::new(Pages::new(&source, 0, sums.len() as u64, Sums::Here(of_sums)));
        let pages = Pages::new(&source, sums.len() as u64, bytes.len() as u64, Sums::In(own, 0));
        (bytes, source, pages)
    }

    #[test]
    fn a_damaged_block_is_rejected_and_other_blocks_are_readable() {
        let directory = tempfile::tempdir().unwrap();
        let (bytes, source, pages) = pages(directory.path(), 3 * BLOCK_SIZE + 100, BLOCK_SIZE + 5);
        let mut out = Vec::new();
        assert_eq!(pages.read(BLOCK_SIZE as u64 - 10, 10, &mut out), Some(()));
        assert_eq!(pages.read(2 * BLOCK_SIZE as u64 - 10, 10, &mut out), None, "its block is damaged");
        assert!(source.is_damaged());
        assert_eq!(pages.read(2 * BLOCK_SIZE as u64, BLOCK_SIZE + 100, &mut out), Some(()));
        assert_eq!(out[10..], bytes[2 * BLOCK_SIZE..]);
        assert_eq!(pages.read(3 * BLOCK_SIZE as u64, 101, &mut out), None, "it ends before that");
    }

    #[test]
    fn reads_in_any_order_return_the_content() {
        let directory = tempfile::tempdir().unwrap();
        let last = 2 * BLOCKS_PER_SEGMENT * BLOCK_SIZE + 17;
        let (bytes, source, pages) = pages(directory.path(), last + 1, last);
        for at in [70, 3, 64, 0, 10, 100, 127, 30] {
            let (from, length) = (at * BLOCK_SIZE - at.min(1) * 9, 5 * BLOCK_SIZE);
            let length = length.min(last - 17 - from);
            let mut out = Vec::new();
            assert_eq!(pages.read(from as u64, length, &mut out), Some(()), "block {at}");
            assert!(out == bytes[from..from + length], "block {at}");
        }
        assert!(!source.is_damaged());
        assert_eq!(pages.read(last as u64, 1, &mut Vec::new()), None);
    }
}
