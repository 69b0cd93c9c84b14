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
    /// The number of entries, and of directories that are made for their names.
    pub entries: u64,
    /// The sum of the sizes of all contents in bytes, decompressed.
    pub bytes: u64,
    /// How many times larger than the archive all contents may be, decompressed. The first
    /// [`Limits::FREE_BYTES`] are not counted.
    pub ratio: u64,
}

impl Limits {
    /// Up to this number of bytes, the ratio is not checked: small archives of zeros are no bombs.
    pub const FREE_BYTES: u64 = 64 << 20;
}

impl Default for Limits {
    /// 10 million entries, 64 GiB, and 1000 times the size of the archive: deflate cannot exceed 1032 times.
    fn default() -> Limits {
        Limits { entries: 10_000_000, bytes: 64 << 30, ratio: 1000 }
    }
}

/// What is left of the limits while an archive is read.
pub(crate) struct Budget {
    limits: Limits,
    entries: u64,
    /// The size of the archive in bytes.
    archive: u64,
    bytes: Rc<Cell<u64>>,
}

impl Budget {
    /// Nothing is used yet of what an archive of a size may contain.
    pub(crate) fn new(limits: Limits, archive: u64) -> Budget {
        Budget { limits, entries: 0, archive, bytes: Rc::default() }
    }

    /// Counts an entry.
    pub(crate) fn entry(&mut self) -> Result<()> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(Error::new(Fault::TooMany(self.limits.entries)));
        }
        Ok(())
    }

    /// The largest number of decompressed bytes, and what is wrong if there are more.
    fn maximum(&self) -> (u64, Fault) {
        let by_ratio = self.archive.saturating_mul(self.limits.ratio).max(Limits::FREE_BYTES);
        if by_ratio < self.limits.bytes {
            (by_ratio, Fault::TooDense(self.limits.ratio))
        } else {
            (self.limits.bytes, Fault::TooLarge(self.limits.bytes))
        }
    }

    /// A reader of decompressed bytes, which fails when too many have been read by all such readers of this budget.
    pub(crate) fn count<R: Read>(&self, inner: R) -> Counted<R> {
        Counted { inner, maximum: self.maximum().0, bytes: self.bytes.clone() }
    }

    /// Counts contents that are known to have a size.
    pub(crate) fn claim(&self, size: u64) -> Result<()> {
        self.bytes.set(self.bytes.get().saturating_add(size));
        self.check()
    }

    /// Fails if too many bytes have been read. The errors of readers pass through libraries that change them, so this
    /// is asked after an error of any of them.
    pub(crate) fn check(&self) -> Result<()> {
        let (maximum, fault) = self.maximum();
        if self.bytes.get() > maximum { Err(Error::new(fault)) } else { Ok(()) }
    }
}

/// A reader that counts.
pub(crate) struct Counted<R> {
    inner: R,
    maximum: u64,
    bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.bytes.set(self.bytes.get() + read as u64);
        if self.bytes.get() > self.maximum {
            return Err(io::Error::other("too many bytes"));
        }
        Ok(read)
    }
}
