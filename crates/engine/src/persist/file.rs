//! The engine's window on the file that it keeps its runs in: the operations that a caller supplies.
//!
//! The engine knows no paths. Where a path can be trusted, [`PathFile`](super::PathFile) does what is said here; a tool
//! that must not follow links that others plant supplies its own, beneath a directory that it holds open.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// The place of a file of kept runs. There may be no file yet; and what is there may be anything.
pub trait TraceFile: Send + Sync {
    /// Opens the file for reading. It is read for as long as the engine lives, also after another one was put in its
    /// place. No lock is held: another process may be adding to it.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`]: there is none. [`io::ErrorKind::InvalidData`]: what is there is no regular file (a
    /// link, a directory, a fifo, a device) and was not followed or waited for; the engine then says that the file is damaged
    /// and replaces it with the next commit. Any other: the engine works without, and says why.
    fn open(&self) -> io::Result<Box<dyn TraceRead>>;

    /// Waits until no other process or engine writes, and keeps all others from it until the lock is dropped.
    ///
    /// # Errors
    /// Nothing can be written; the commit fails.
    fn lock(&self) -> io::Result<Box<dyn TraceWrite + '_>>;
}

/// A file open for reading.
pub trait TraceRead: Send {
    /// How many bytes the file has now. It may grow.
    ///
    /// # Errors
    /// The system does not say.
    fn length(&mut self) -> io::Result<u64>;

    /// Appends `length` bytes of the file, from `at` on, to `into`; fewer only if the file ends before that.
    ///
    /// # Errors
    /// The file cannot be read, or there is no memory for so much.
    fn read_at(&mut self, at: u64, length: usize, into: &mut Vec<u8>) -> io::Result<()>;
}

/// The right to write, while it is there.
pub trait TraceWrite {
    /// Cuts the file that is there to `end` bytes, which it has at least, and appends `bytes`. If that fails halfway, or the
    /// process is killed, the first `end` bytes are as they were; what follows may be anything.
    ///
    /// # Errors
    /// The file cannot be written, or is no regular file any more.
    fn append(&mut self, end: u64, bytes: &[u8]) -> io::Result<()>;

    /// Puts what `write` writes in the place of whatever is there, as a whole: the new content has reached the disk
    /// before it gets the name, and if anything fails, or the process is killed, what was there is there still. A link
    /// is replaced, not followed.
    ///
    /// # Errors
    /// What `write` says, or that the file cannot be made; also that a directory is in its place.
    fn replace(&mut self, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()>;
}

impl TraceRead for File {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&mut self, at: u64, length: usize, into: &mut Vec<u8>) -> io::Result<()> {
        // Lengths are told by the file itself, which may say anything.
        into.try_reserve_exact(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
        self.seek(SeekFrom::Start(at))?;
        // Into memory that need not be cleared first.
        self.take(length as u64).read_to_end(into)?;
        Ok(())
    }
}
