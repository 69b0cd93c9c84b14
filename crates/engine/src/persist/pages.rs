//! The parts of a file that are looked at here and there: read block by block, each against its sum, when something
//! in it is wanted for the first time.
//!
//! A process that finds everything as it was reads one key of a million. The sums themselves lie in the part of
//! the file that is always read, so a block is believed or it is not there.

use super::TraceRead;
use super::bytes::checksum;
use crate::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
    lock,
};

/// Bytes of a block; the last one may be shorter.
pub(super) const BLOCK: usize = 4096;

/// At most so many blocks are read at once.
const AHEAD: usize = 64;

/// Where the bytes come from.
pub(super) struct Source {
    file: Mutex<Box<dyn TraceRead>>,
    /// Something in it was not what it should be.
    pub(super) damaged: AtomicBool,
}

impl Source {
    pub(super) fn new(file: Box<dyn TraceRead>) -> Arc<Source> {
        Arc::new(Source { file: Mutex::new(file), damaged: AtomicBool::new(false) })
    }

    /// `length` bytes from `at` on.
    pub(super) fn read(&self, at: u64, length: usize) -> Option<Vec<u8>> {
        let mut bytes = Vec::new();
        lock(&self.file).read_at(at, length, &mut bytes).ok()?;
        (bytes.len() == length).then_some(bytes)
    }
}

/// One such part.
pub(super) struct Pages {
    source: Arc<Source>,
    at: u64,
    length: u64,
    sums: Vec<u64>,
    blocks: Mutex<Blocks>,
}

struct Blocks {
    all: Vec<Option<Arc<[u8]>>>,
    known: usize,
}

impl Pages {
    /// `sums`: one for each block.
    pub(super) fn new(source: &Arc<Source>, at: u64, length: u64, sums: Vec<u64>) -> Pages {
        let blocks = Mutex::new(Blocks { all: Vec::new(), known: 0 });
        Pages { source: source.clone(), at, length, sums, blocks }
    }

    /// Appends the bytes from `from` on; `None` if they cannot be believed, and then nothing of the file can.
    pub(super) fn read(&self, from: u64, length: usize, out: &mut Vec<u8>) -> Option<()> {
        self.told(self.try_read(from, length, |part| out.extend(part)))
    }

    /// So many bytes.
    pub(super) fn array<const N: usize>(&self, from: u64) -> Option<[u8; N]> {
        let (mut bytes, mut at) = ([0; N], 0);
        self.told(self.try_read(from, N, |part| {
            bytes[at..at + part.len()].copy_from_slice(part);
            at += part.len();
        }))?;
        Some(bytes)
    }

    fn told(&self, read: Option<()>) -> Option<()> {
        if read.is_none() {
            self.source.damaged.store(true, Ordering::Relaxed);
        }
        read
    }

    fn try_read(&self, from: u64, length: usize, mut each: impl FnMut(&[u8])) -> Option<()> {
        let end = from.checked_add(length as u64).filter(|end| *end <= self.length)?;
        let (mut at, mut blocks) = (from, lock(&self.blocks));
        while at < end {
            let (block, offset) = ((at / BLOCK as u64) as usize, (at % BLOCK as u64) as usize);
            let bytes = match blocks.all.get(block) {
                Some(Some(known)) => known,
                _ => {
                    self.fetch(&mut blocks, block)?;
                    blocks.all[block].as_ref()?
                }
            };
            let rest = bytes.get(offset..)?;
            let part = &rest[..rest.len().min((end - at) as usize)];
            if part.is_empty() {
                return None;
            }
            each(part);
            at += part.len() as u64;
        }
        Some(())
    }

    /// Reads a block, and the more after it the more were read before.
    fn fetch(&self, blocks: &mut Blocks, first: usize) -> Option<()> {
        if blocks.all.is_empty() {
            blocks.all.resize(self.sums.len(), None);
        }
        let ahead = blocks.known.clamp(1, AHEAD);
        let unknown = blocks.all.get(first..)?.iter().take(ahead).take_while(|block| block.is_none());
        let count = unknown.count();
        let from = (first * BLOCK) as u64;
        let length = (self.length - from).min((count * BLOCK) as u64) as usize;
        let bytes = self.source.read(self.at + from, length)?;
        for (at, block) in bytes.chunks(BLOCK).enumerate() {
            let sound = checksum(block) == *self.sums.get(first + at)?;
            if sound {
                blocks.all[first + at] = Some(block.into());
                blocks.known += 1;
            } else if at == 0 {
                return None;
            } else {
                break;
            }
        }
        Some(())
    }
}

/// The sums of a part's blocks.
pub(super) fn sums(bytes: &[u8]) -> impl Iterator<Item = u64> {
    bytes.chunks(BLOCK).map(checksum)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "this crate stands alone")]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_damaged_block_is_not_there_and_the_others_are() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pages");
        let mut bytes: Vec<u8> = (0..3 * BLOCK + 100).map(|at| (at / 7) as u8).collect();
        let sums: Vec<u64> = sums(&bytes).collect();
        bytes[BLOCK + 5] ^= 1;
        std::fs::write(&path, &bytes).unwrap();
        let source = Source::new(Box::new(File::open(&path).unwrap()));
        let pages = Pages::new(&source, 0, bytes.len() as u64, sums);
        let mut out = Vec::new();
        assert_eq!(pages.read(BLOCK as u64 - 10, 10, &mut out), Some(()));
        assert_eq!(pages.read(2 * BLOCK as u64 - 10, 10, &mut out), None, "its block is damaged");
        assert!(source.damaged.load(Ordering::Relaxed));
        assert_eq!(pages.read(2 * BLOCK as u64, BLOCK + 100, &mut out), Some(()));
        assert_eq!(out[10..], bytes[2 * BLOCK..]);
        assert_eq!(pages.read(3 * BLOCK as u64, 101, &mut out), None, "it ends before that");
    }
}
