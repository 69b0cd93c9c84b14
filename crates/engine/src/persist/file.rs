//! The operations on the file of traces that the engine needs, as traits that a caller can implement.
//!
//! The engine itself handles no paths. [`PathFile`](super::PathFile) implements the traits for a path in a trusted
//! directory; a tool that must not follow links planted by others implements them beneath a directory that it holds
//! open.

use std::fs::File;
use std::io::{self, Write};

/// The place of a file of kept runs. There may be no file yet; and what is there may be anything.
pub trait TraceFile: Send + Sync {
    /// Opens the file for reading. It is read for as long as the engine lives, also after another one was put in its
    /// place. No lock is held: another process may be adding to it.
    ///
    /// # Errors
    /// [`io::ErrorKind::NotFound`]: it does not exist. [`io::ErrorKind::InvalidData`]: what is there is not a regular
    /// file (a link, a directory, a fifo, a device) and was not followed or waited for; the engine then reports that
    /// the file is corrupt and replaces it with the next commit. Any other: the engine works without a file, and
    /// reports the error.
    fn open(&self) -> io::Result<Box<dyn TraceRead>>;

    /// Waits until no other process or engine writes, and keeps all others from it until the lock is dropped.
    ///
    /// # Errors
    /// Nothing can be written; the commit fails.
    // The operations of writing are on what the lock returns, so that nothing can be written without it.
    fn lock(&self) -> io::Result<Box<dyn TraceWrite + '_>>;
}

/// A file open for reading.
pub trait TraceRead: Send {
    /// How many bytes the file has now. It may grow.
    ///
    /// # Errors
    /// The length cannot be determined.
    fn length(&mut self) -> io::Result<u64>;

    /// Fills `into` with the bytes of the file from `at` on, and returns how many there are: fewer than asked for only
    /// if the file ends before that.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize>;
}

/// The right to write, while it is there.
pub trait TraceWrite {
    /// Cuts the file that is there to `end` bytes, which it has at least, and appends `bytes`. If that fails halfway,
    /// or the process is killed, the first `end` bytes are as they were; what follows may be anything.
    ///
    /// # Errors
    /// The file cannot be written, or is no longer a regular file.
    fn append(&mut self, end: u64, bytes: &[u8]) -> io::Result<()>;

    /// Puts what `write` writes in the place of whatever is there, as a whole: the new content has reached the disk
    /// before it gets the name, and if anything fails, or the process is killed, what was there is there still. A link
    /// is replaced, not followed.
    ///
    /// # Errors
    /// An error of `write`, or the file cannot be created; also if a directory is in its place.
    // A function that writes, not bytes: a snapshot is written section by section, without a copy of the whole in
    // memory.
    fn replace(&mut self, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()>;
}

impl TraceRead for File {
    fn length(&mut self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn read_at(&mut self, at: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < into.len() {
            match read_some(self, at + filled as u64, &mut into[filled..]) {
                // The end of the file; callers compare the count with what they need.
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }
}

/// One system call, where that is enough to read at a place.
#[cfg(unix)]
fn read_some(file: &File, at: u64, into: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, into, at)
}

// Moves the position of the file, which does not matter: nothing else uses it.
#[cfg(not(unix))]
fn read_some(mut file: &File, at: u64, into: &mut [u8]) -> io::Result<usize> {
    use std::io::{Read, Seek, SeekFrom};
    file.seek(SeekFrom::Start(at))?;
    file.read(into)
}

/// `length` bytes from `at` on; fewer only if the file ends before that.
///
/// # Errors
/// The file cannot be read, or there is not enough memory: lengths come from the file itself, which may be corrupt.
pub(super) fn bytes_at(file: &mut dyn TraceRead, at: u64, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(length).map_err(|_| io::Error::from(io::ErrorKind::OutOfMemory))?;
    bytes.resize(length, 0);
    let count = file.read_at(at, &mut bytes)?;
    bytes.truncate(count);
    Ok(bytes)
}
