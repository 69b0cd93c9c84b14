//! A file of traces at a path, for users of the library whose directories can be trusted.
//!
//! What lies at the path is not trusted to be a regular file: a link is not followed, a fifo not waited for, a device
//! not opened. The directories above are trusted: a tool that cannot do so gives the engine its own [`TraceFile`].
#![allow(
    clippy::disallowed_methods,
    reason = "this crate does not depend on taut-sys; nothing else in it opens a file"
)]

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::file::{TraceFile, TraceRead, TraceWrite};

/// A file of traces at a path. Beside it lies a lock file of the same name with `.lock`, which is never removed
/// (another process may be waiting for it), and while it is replaced one with `.new`. The directory exists.
#[derive(Clone, Debug)]
pub struct PathFile {
    path: PathBuf,
}

impl PathFile {
    /// At this path.
    pub fn new(path: &Path) -> PathFile {
        PathFile { path: path.to_owned() }
    }

    fn beside(&self, ending: &str) -> PathBuf {
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(ending);
        self.path.with_file_name(name)
    }
}

/// Opens a regular file, and nothing else.
fn open_regular(path: &Path, options: &mut OpenOptions) -> io::Result<File> {
    let other = || {
        let text = format!("{} is not a regular file", path.display());
        io::Error::new(io::ErrorKind::InvalidData, text)
    };
    // Opening a device can have effects, so its type is checked before,
    match fs::symlink_metadata(path) {
        Ok(known) if !known.is_file() => return Err(other()),
        _ => {}
    }
    // and again after opening it without following links or waiting, since it may have been replaced in between.
    let file = unfollowed(options).open(path)?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(other()) }
}

/// `O_NOFOLLOW` and `O_NONBLOCK`, which the standard library does not name.
#[cfg(target_os = "linux")]
const OPEN_FLAGS: i32 = {
    // The numbers are those of the kernel's `fcntl.h`, which differ between architectures.
    let is_other = cfg!(any(
        target_arch = "arm",
        target_arch = "aarch64",
        target_arch = "powerpc",
        target_arch = "powerpc64",
        target_arch = "m68k"
    ));
    let nofollow = if is_other { 0o100_000 } else { 0o400_000 };
    let nonblock = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 0o200 } else { 0o4_000 };
    nofollow | nonblock
};
#[cfg(target_vendor = "apple")]
// From `sys/fcntl.h` of XNU, the same on all its architectures.
const OPEN_FLAGS: i32 = 0x100 | 0x4;

#[cfg(any(target_os = "linux", target_vendor = "apple"))]
fn unfollowed(options: &mut OpenOptions) -> &mut OpenOptions {
    std::os::unix::fs::OpenOptionsExt::custom_flags(options, OPEN_FLAGS)
}

#[cfg(not(any(target_os = "linux", target_vendor = "apple")))]
fn unfollowed(options: &mut OpenOptions) -> &mut OpenOptions {
    options
}

/// Whether the file has another hard link.
#[cfg(unix)]
fn has_other_names(file: &File) -> io::Result<bool> {
    Ok(std::os::unix::fs::MetadataExt::nlink(&file.metadata()?) > 1)
}

#[cfg(not(unix))]
fn has_other_names(_: &File) -> io::Result<bool> {
    Ok(false)
}

/// Whether the path leads to the open file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let (is, lies) = (file.metadata()?, fs::symlink_metadata(path)?);
    Ok((is.dev(), is.ino()) == (lies.dev(), lies.ino()))
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> io::Result<bool> {
    Ok(true)
}

impl TraceFile for PathFile {
    fn open(&self) -> io::Result<Box<dyn TraceRead>> {
        Ok(Box::new(open_regular(&self.path, OpenOptions::new().read(true))?))
    }

    fn lock(&self) -> io::Result<Box<dyn TraceWrite + '_>> {
        let mut options = OpenOptions::new();
        // On a file of its own: the file of traces itself is replaced, and a lock on the old one would exclude no
        // other process.
        let lock = open_regular(&self.beside(".lock"), options.create(true).truncate(false).write(true))?;
        // A lock of the system: it ends with the process that holds it, however that ends.
        lock.lock()?;
        Ok(Box::new(Locked { file: self, _lock: lock }))
    }
}

/// The lock on a file at a path.
struct Locked<'f> {
    file: &'f PathFile,
    /// Holds the lock until it is closed.
    _lock: File,
}

impl Locked<'_> {
    /// A new file under a temporary name. What a killed process left there is removed; where that fails, the next name
    /// is tried.
    fn create(&self) -> io::Result<(PathBuf, File)> {
        // The lock is held, so nothing else of ours uses these names; several, since a directory in place of one
        // cannot be removed.
        const NAMES: [&str; 4] = [".new", ".new1", ".new2", ".new3"];
        let mut failed = None;
        for name in NAMES {
            let path = self.file.beside(name);
            // Removes a link itself, not its target.
            let _ = fs::remove_file(&path);
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Ok((path, file)),
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| io::ErrorKind::AlreadyExists.into()))
    }
}

impl TraceWrite for Locked<'_> {
    fn append(&mut self, end: u64, bytes: &[u8]) -> io::Result<()> {
        let mut file = open_regular(&self.file.path, OpenOptions::new().read(true).write(true))?;
        if has_other_names(&file)? {
            // A file with another hard link belongs to others, too: it is copied, not changed in place.
            return self.replace(&mut |new| {
                file.seek(SeekFrom::Start(0))?;
                io::copy(&mut (&mut file).take(end), new)?;
                new.write_all(bytes)
            });
        }
        // First cut off: behind a batch that was cut short, the new one would never be read. No sync: a batch that a
        // crash of the system loses is executed again.
        file.set_len(end)?;
        file.seek(SeekFrom::End(0))?;
        file.write_all(bytes)
    }

    fn replace(&mut self, write: &mut dyn FnMut(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
        let (temporary, mut file) = self.create()?;
        let path = &self.file.path;
        let mut put = |file: &mut File| {
            write(file)?;
            // After a crash of the system the new name must not refer to content that has not reached the disk.
            file.sync_all()?;
            // The directory is not synced: after a crash of the system the old file may be there again, which is a
            // valid one.
            fs::rename(&temporary, path)
        };
        if let Err(error) = put(&mut file) {
            // The first error is the one to report.
            let _ = fs::remove_file(&temporary);
            return Err(error);
        }
        // A rename of the system is atomic, but a directory in which others write can change right after it: the
        // caller has to know that the file it wrote is not the one at the path.
        if is_at(&file, path)? {
            return Ok(());
        }
        let text = format!("{} was exchanged while it was written", path.display());
        Err(io::Error::new(io::ErrorKind::InvalidData, text))
    }
}
