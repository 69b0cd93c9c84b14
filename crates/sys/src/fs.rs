//! The one layer for all file access.
//!
//! Every function names its operation and path in the error and passes the place where faults are
//! injected. Nothing here follows a symbolic link in the last component of a path unless it says so.
//! Nothing outside this crate calls `std::fs`.
#![allow(clippy::disallowed_methods, reason = "this is the layer")]

use std::{
    ffi::OsString,
    fs::{self, File, Metadata, OpenOptions, Permissions},
    io::{self, Read, Write},
    os::{
        fd::AsFd,
        unix::fs::{OpenOptionsExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, utimensat};

use crate::{Error, FileKind, Result, fault};

fn run<T>(op: &'static str, path: &Path, call: impl FnOnce() -> io::Result<T>) -> Result<T> {
    fault::check().and_then(|()| call()).map_err(|source| Error::new(op, path, source))
}

/// `None` where the result says that the path does not exist.
pub fn if_exists<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) if error.source.kind() == io::ErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(error),
    }
}

/// Opens a file for reading; follows links.
pub fn open(path: &Path) -> Result<File> {
    run("open", path, || File::open(path))
}

/// Creates a file that must not exist, with the given permission bits (less the umask's).
pub fn create_new(path: &Path, mode: u32) -> Result<File> {
    run("create", path, || OpenOptions::new().write(true).create_new(true).mode(mode).open(path))
}

/// Creates a file or empties the one that is there; follows links.
pub fn create(path: &Path) -> Result<File> {
    run("create", path, || File::create(path))
}

/// Opens a file for appending; creates it if need be.
pub fn append(path: &Path) -> Result<File> {
    run("open", path, || OpenOptions::new().append(true).create(true).open(path))
}

pub(crate) fn open_lock_file(path: &Path) -> Result<File> {
    run("create", path, || OpenOptions::new().write(true).create(true).truncate(false).mode(0o644).open(path))
}

/// The whole content of a file; follows links.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    run("read", path, || fs::read(path))
}

/// The whole content of a regular file, if there is one; follows links. Whatever else is there counts as nothing, and
/// nobody waits for a fifo to be written to.
pub fn read_regular(path: &Path) -> Result<Option<Vec<u8>>> {
    let content = run("read", path, || {
        let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
        let mut file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut content = Vec::with_capacity(metadata.len() as usize + 1);
        file.read_to_end(&mut content)?;
        Ok(Some(content))
    });
    // So answers what can only be connected to.
    let is_socket =
        |error: &Error| error.source.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error());
    if content.as_ref().is_err_and(is_socket) {
        return Ok(None);
    }
    if_exists(content).map(Option::flatten)
}

/// Reads up to `buffer.len()` bytes of an open file.
pub fn read_some(file: &mut File, path: &Path, buffer: &mut [u8]) -> Result<usize> {
    run("read", path, || {
        loop {
            match file.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    })
}

/// Writes all bytes to an open file.
pub fn write_all(file: &mut File, path: &Path, bytes: &[u8]) -> Result<()> {
    run("write", path, || file.write_all(bytes))
}

/// Copies the rest of one open file into another, inside the kernel or by sharing extents where possible.
pub fn copy_contents(from: &mut File, to: &mut File, path: &Path) -> Result<u64> {
    run("write", path, || io::copy(from, to))
}

/// What is at a path, without following a link there.
pub fn lstat(path: &Path) -> Result<Metadata> {
    run("stat", path, || fs::symlink_metadata(path))
}

/// What is at a path; follows links.
pub fn stat(path: &Path) -> Result<Metadata> {
    run("stat", path, || fs::metadata(path))
}

/// What an open file is.
pub fn fstat(file: &File, path: &Path) -> Result<Metadata> {
    run("stat", path, || file.metadata())
}

/// Entries of a directory with their kinds, sorted by the bytes of their names.
pub fn list(path: &Path) -> Result<Vec<(OsString, FileKind)>> {
    let mut entries = run("list", path, || {
        fs::read_dir(path)?
            .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?.into()))))
            .collect::<io::Result<Vec<(OsString, FileKind)>>>()
    })?;
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(entries)
}

/// The target of a symbolic link.
pub fn read_link(path: &Path) -> Result<PathBuf> {
    run("read link", path, || fs::read_link(path))
}

/// Makes a symbolic link that must not exist.
pub fn symlink(target: &Path, path: &Path) -> Result<()> {
    run("create link", path, || std::os::unix::fs::symlink(target, path))
}

/// Gives the file at `from` (not what it may link to) a second name.
pub fn hard_link(from: &Path, to: &Path) -> Result<()> {
    run("link", to, || Ok(rustix::fs::linkat(CWD, from, CWD, to, AtFlags::empty())?))
}

/// Renames; replaces what is at `to`.
pub fn rename(from: &Path, to: &Path) -> Result<()> {
    run("rename", to, || fs::rename(from, to))
}

/// Makes one directory that must not exist.
pub fn create_dir(path: &Path) -> Result<()> {
    run("create directory", path, || fs::create_dir(path))
}

/// Makes a directory and those above it, as far as they do not exist.
pub fn create_dir_all(path: &Path) -> Result<()> {
    run("create directory", path, || fs::create_dir_all(path))
}

/// Removes a file or link.
pub fn remove_file(path: &Path) -> Result<()> {
    run("remove", path, || fs::remove_file(path))
}

/// Removes an empty directory.
pub fn remove_dir(path: &Path) -> Result<()> {
    run("remove", path, || fs::remove_dir(path))
}

/// Removes whatever is at a path, with everything below it, following no link; nothing there is fine.
/// Directories that deny access are made accessible first: an action may have left them so.
pub fn remove_all(path: &Path) -> Result<()> {
    let kind = match if_exists(lstat(path))? {
        None => return Ok(()),
        Some(metadata) => FileKind::from(metadata.file_type()),
    };
    if kind != FileKind::Directory {
        return remove_file(path);
    }
    let removed = run("remove", path, || fs::remove_dir_all(path));
    match removed {
        Err(error) if error.source.kind() == io::ErrorKind::PermissionDenied => {
            make_accessible(path)?;
            run("remove", path, || fs::remove_dir_all(path))
        }
        other => other,
    }
}

fn make_accessible(root: &Path) -> Result<()> {
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        set_mode(&directory, 0o755)?;
        for (name, kind) in list(&directory)? {
            if kind == FileKind::Directory {
                pending.push(directory.join(name));
            }
        }
    }
    Ok(())
}

/// Sets permission bits; follows links.
pub fn set_mode(path: &Path, mode: u32) -> Result<()> {
    run("set mode of", path, || fs::set_permissions(path, Permissions::from_mode(mode)))
}

/// Sets permission bits of an open file.
pub fn set_file_mode(file: &File, path: &Path, mode: u32) -> Result<()> {
    run("set mode of", path, || file.set_permissions(Permissions::from_mode(mode)))
}

/// Sets the modification time to the epoch, so that contents do not carry the time at which they were made.
pub fn set_mtime_epoch(path: &Path) -> Result<()> {
    run("set time of", path, || Ok(utimensat(CWD, path, &EPOCH, AtFlags::SYMLINK_NOFOLLOW)?))
}

/// Sets the modification time to the present.
pub fn set_mtime_now(path: &Path) -> Result<()> {
    let now = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: 0, tv_nsec: UTIME_NOW },
    };
    run("set time of", path, || Ok(utimensat(CWD, path, &now, AtFlags::SYMLINK_NOFOLLOW)?))
}

/// As [`set_mtime_epoch`], for an open file.
pub fn set_file_mtime_epoch(file: &File, path: &Path) -> Result<()> {
    run("set time of", path, || Ok(rustix::fs::futimens(file.as_fd(), &EPOCH)?))
}

const EPOCH: Timestamps = Timestamps {
    last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
    last_modification: Timespec { tv_sec: 0, tv_nsec: 0 },
};

/// Whether the change times of the file system at `directory` tell any two changes apart once the first
/// has been looked at, however close they are (Linux 6.13 or newer, multigrain timestamps).
pub fn tells_changes_apart(directory: &Path) -> Result<bool> {
    let path = directory.join("clock");
    let file = create_new(&path, 0o600)?;
    let mut apart = true;
    let mut last = None;
    // A coarse clock may tick once meanwhile, but not every time.
    for mode in [0o400, 0o600, 0o400, 0o600, 0o400] {
        set_file_mode(&file, &path, mode)?;
        let now = Some(crate::StatSignature::of(&fstat(&file, &path)?).ctime);
        apart &= last != now;
        last = now;
    }
    remove_file(&path)?;
    Ok(apart)
}

/// Waits until the content of an open file is on disk.
pub fn sync(file: &File, path: &Path) -> Result<()> {
    run("sync", path, || file.sync_all())
}

/// The absolute path without links; all of it must exist.
pub fn canonicalize(path: &Path) -> Result<PathBuf> {
    run("resolve", path, || fs::canonicalize(path))
}

/// An absolute path without `.` and `..`, by its text alone: what it names need not exist.
pub fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}
