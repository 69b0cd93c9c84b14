//! Open files: every operation names the file's path when it fails.

use std::{
    fs,
    io::{self, Read, Write},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::PermissionsExt,
    },
};

use rustix::fs::{Timespec, Timestamps, UTIME_OMIT};

use crate::{
    At, Error, FileKind, Result, Stat,
    fault::{self, NamedBy},
};

/// An open file, and its location.
#[derive(Debug)]
pub struct File<'d> {
    file: fs::File,
    at: At<'d>,
    /// Its `stat` when it was opened, if that was asked for.
    // Kept, since opening has to look at the kind anyway: callers that want the size spare a system call.
    opened: Option<Stat>,
}

// The time of access stays: nothing compares it.
const MTIME_EPOCH: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    last_modification: Timespec { tv_sec: 0, tv_nsec: 0 },
};

impl<'d> File<'d> {
    /// A file that is open already; `at` is its location, for messages.
    pub fn new(file: fs::File, at: At<'d>) -> File<'d> {
        File { file, at, opened: None }
    }

    /// As [`File::new`], unless it is not a regular file.
    pub(crate) fn regular(file: fs::File, at: At<'d>) -> Result<File<'d>> {
        let file = File { file, at, opened: None };
        let stat = file.current_stat()?;
        match stat.kind {
            FileKind::File => Ok(File { opened: Some(stat), ..file }),
            other => Err(at.other_kind(other)),
        }
    }

    /// Where it is.
    pub fn at(&self) -> At<'d> {
        self.at
    }

    /// The `stat` of the file when it was opened.
    ///
    /// # Errors
    /// The system refuses the call.
    pub fn stat(&self) -> Result<Stat> {
        self.opened.map_or_else(|| self.current_stat(), Ok)
    }

    fn run<T>(&self, op: &'static str, call: impl FnOnce(&fs::File) -> io::Result<T>) -> Result<T> {
        let check = fault::check(NamedBy::Descriptor, op, || self.at.path());
        // The path is made only if there is an error: most calls succeed.
        let done = check.and_then(|()| call(&self.file));
        done.map_err(|source| Error { op, path: self.at.path(), source })
    }

    /// The present `stat` of the file.
    ///
    /// # Errors
    /// The system refuses the call.
    pub fn current_stat(&self) -> Result<Stat> {
        self.run("stat", |file| Ok(Stat::of(&rustix::fs::fstat(file)?)))
    }

    /// The size when it was opened; 0 if it was not asked for, as for a new file.
    pub fn size_at_open(&self) -> u64 {
        self.opened.map_or(0, |stat| stat.size())
    }

    /// Everything from the present position to the end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_all(&mut self) -> Result<Vec<u8>> {
        self.read_up_to(u64::MAX)
    }

    /// As [`File::read_all`], but at most `limit` bytes.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_up_to(&mut self, limit: u64) -> Result<Vec<u8>> {
        let size = self.stat()?.signature.size;
        self.run("read", |file| {
            // The size is a hint only, so a wrong one (`/proc`) or an absurd one (a sparse file) does no harm.
            let mut content = Vec::with_capacity(size.min(limit).min(1 << 30) as usize + 1);
            file.take(limit).read_to_end(&mut content)?;
            Ok(content)
        })
    }

    /// Reads up to `buffer.len()` bytes; 0 at the end.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read_some(&mut self, buffer: &mut [u8]) -> Result<usize> {
        self.run("read", |mut file| {
            loop {
                // Interrupted reads are repeated: signals are handled elsewhere.
                match file.read(buffer) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    other => return other,
                }
            }
        })
    }

    /// Sets the position to the beginning.
    ///
    /// # Errors
    /// It is not a file that can be read twice.
    pub fn rewind(&mut self) -> Result<()> {
        self.run("read", |mut file| io::Seek::rewind(&mut file))
    }

    /// Writes all bytes.
    ///
    /// # Errors
    /// They cannot be written; some may have been.
    pub fn write_all(&mut self, bytes: &[u8]) -> Result<()> {
        self.run("write", |mut file| file.write_all(bytes))
    }

    /// Appends the rest of another open file, in the kernel or by sharing extents where possible
    /// (`copy_file_range(2)`). Returns the number of bytes.
    ///
    /// # Errors
    /// It cannot be read or written.
    pub fn copy_from(&mut self, from: &mut File<'_>) -> Result<u64> {
        self.run("write", |mut file| io::copy(&mut from.file, &mut file))
    }

    /// Truncates the file to so many bytes.
    ///
    /// # Errors
    /// It is not open for writing.
    pub fn truncate(&mut self, size: u64) -> Result<()> {
        self.run("write", |file| file.set_len(size))
    }

    /// Sets permission bits.
    ///
    /// # Errors
    /// It belongs to another user.
    pub fn set_mode(&mut self, mode: u32) -> Result<()> {
        self.run("set mode of", |file| file.set_permissions(fs::Permissions::from_mode(mode)))
    }

    /// Sets the modification time to 1970-01-01.
    ///
    /// # Errors
    /// It belongs to another user.
    pub fn set_mtime_epoch(&mut self) -> Result<()> {
        self.run("set time of", |file| Ok(rustix::fs::futimens(file, &MTIME_EPOCH)?))
    }

    /// The file without its location.
    pub fn into_std(self) -> fs::File {
        self.file
    }
}

impl AsFd for File<'_> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}
