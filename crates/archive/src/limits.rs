//! Limits of what an archive may contain: a small file can claim to be a huge tree.

use std::{
    cell::Cell,
    io::{self, Read},
    rc::Rc,
};

use crate::{Error, Fault, Result};

/// What an archive may contain at most.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The number of entries.
    pub entries: u64,
    /// The sum of the sizes of all contents in bytes, decompressed.
    pub bytes: u64,
    /// How many times larger than the archive all contents may be, decompressed.
    pub ratio: u64,
    /// Up to this number of bytes of contents the ratio is not checked.
    pub ratio_from: u64,
    /// The number of components in the name of an entry.
    pub depth: usize,
    /// The number of directories, also those that only names imply: a few bytes can name thousands. More are allowed if
    /// they are at most four for each entry, as in a large archive that has an entry for each directory.
    pub directories: u64,
}

impl Default for Limits {
    /// 10 million entries, 64 GiB, more than 1.5 GiB only if that is at most 1000 times the size of the archive, 2048
    /// components: more are not in a path that a system takes; 1 million directories.
    fn default() -> Limits {
        Limits {
            entries: 10_000_000,
            bytes: 64 << 30,
            ratio: 1000,
            ratio_from: 3 << 29,
            depth: 2048,
            directories: 1_000_000,
        }
    }
}

/// What is left of the limits while an archive is read.
pub(crate) struct Budget {
    pub(crate) limits: Limits,
    entries: u64,
    /// The largest number of decompressed bytes.
    maximum: u64,
    bytes: Rc<Cell<u64>>,
}

impl Budget {
    /// The whole budget, for an archive of that size in bytes.
    pub(crate) fn new(limits: &Limits, archive: u64) -> Budget {
        // Both limits become one number here, so reading compares once per call.
        let by_ratio = archive.saturating_mul(limits.ratio).max(limits.ratio_from);
        Budget { limits: *limits, entries: 0, maximum: by_ratio.min(limits.bytes), bytes: Rc::default() }
    }

    /// Counts an entry.
    pub(crate) fn entry(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Error::new(Fault::TooMany(self.limits.entries)));
        }
        Ok(())
    }

    /// A reader of decompressed bytes, which fails when too many have been read by all such readers of this budget.
    pub(crate) fn count<R: Read>(&self, inner: R) -> CountingReader<R> {
        CountingReader { inner, maximum: self.maximum, bytes: self.bytes.clone() }
    }

    /// Counts bytes that a file has without being read through [`Budget::count`].
    // A sparse file costs nothing in the archive: without this, zeros of any amount would be hashed.
    pub(crate) fn claim(&self, size: u64) -> Result<()> {
        self.bytes.set(self.bytes.get().saturating_add(size));
        self.check()
    }

    /// Fails if too many bytes have been read. The errors of readers pass through libraries that change them, so this
    /// is asked after an error of any of them.
    pub(crate) fn check(&self) -> Result<()> {
        if self.bytes.get() <= self.maximum {
            return Ok(());
        }
        let fault = if self.maximum == self.limits.bytes {
            Fault::TooLarge(self.limits.bytes)
        } else {
            Fault::TooDense(self.limits.ratio)
        };
        Err(Error::new(fault))
    }
}

/// A reader that counts.
pub(crate) struct CountingReader<R> {
    inner: R,
    maximum: u64,
    bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for CountingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.set(self.bytes.get().saturating_add(read as u64));
        // After the read, so up to one buffer more than the limit is decompressed.
        if self.bytes.get() > self.maximum {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(read)
    }
}
