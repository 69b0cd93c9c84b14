//! Removing a directory with everything below it, and nothing else.
//!
//! No link is followed and no mount point crossed. The directory is the very one that the caller made ([`Identity`]),
//! or it is left. However deep the tree is, two directories are open at a time: what lies deeper is first renamed into
//! the top directory, which is emptied in rounds. A process that keeps exchanging or making names ends that after a
//! bounded number of rounds, with an error.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::Path,
};

use rustix::io::Errno;

use crate::{At, Dir, Error, FileKind, Links, Result, if_exists, stat::Identity};

/// How often other processes may be seen to interfere before the removal is given up.
const MAX_DISTURBANCES: usize = 16;

/// How many directories are moved up at most: deeper or larger trees than any file system holds.
const MAX_MOVED_UP: u64 = 1 << 32;

/// What directories are called that were moved up into the top directory, with a number behind it.
const MOVED_UP: &str = ".removing-";

impl At<'_> {
    /// Removes whatever is here, with everything below it; nothing here is fine.
    ///
    /// # Errors
    /// Something cannot be removed: a mount point, or what others keep making anew.
    pub fn remove_all(self) -> Result<()> {
        self.remove_tree(None).map(drop)
    }

    /// Removes the directory here if it is the one with this identity; else it is left. Tells whether nothing is here
    /// any more.
    ///
    /// # Errors
    /// As for [`At::remove_all`].
    pub fn remove_made(self, made: Identity) -> Result<bool> {
        self.remove_tree(Some(made))
    }

    fn remove_tree(self, made: Option<Identity>) -> Result<bool> {
        let Some(stat) = if_exists(self.lstat())? else { return Ok(true) };
        if made.is_some_and(|made| stat.identity() != made) {
            return Ok(false);
        }
        if stat.kind != FileKind::Directory {
            if_exists(self.remove_file())?;
            return Ok(true);
        }
        let Some(top) = if_exists(enter(self))? else { return Ok(true) };
        if top.identity()? != stat.identity() {
            return Err(restless(self));
        }
        empty(&top)?;
        if_exists(self.remove_dir())?;
        Ok(true)
    }
}

/// Opens a directory for removal of what is in it; makes it accessible first, as an action may have left it otherwise.
fn enter(at: At<'_>) -> Result<Dir> {
    let dir = at.dir().open_sub(at.name(), Links::Refused, false).map_err(|error| {
        let is_mount = error.has_errno(&[Errno::XDEV]);
        if is_mount { Error { op: "remove", ..error_with(error, "it is a mount point") } } else { error }
    })?;
    let stat = dir.stat()?;
    if stat.mode() & 0o700 != 0o700 {
        // Where that is not allowed, the attempt to remove says why.
        let _ = dir.set_mode(stat.mode() | 0o700);
    }
    Ok(dir)
}

fn error_with(error: Error, why: &'static str) -> Error {
    Error { source: io::Error::other(why), ..error }
}

fn restless(at: At<'_>) -> Error {
    let source = io::Error::other("another process keeps changing what is there");
    Error { op: "remove", path: at.path(), source }
}

/// Removes everything in an open directory.
fn empty(top: &Dir) -> Result<()> {
    let (mut moved_up, mut disturbances) = (0_u64, 0);
    let mut is_first = true;
    loop {
        let entries = top.list()?;
        if entries.is_empty() {
            return Ok(());
        }
        let is_ours = |name: &OsStr| name.as_encoded_bytes().starts_with(MOVED_UP.as_bytes());
        let mut is_disturbed = !is_first && entries.iter().any(|(name, _)| !is_ours(name));
        for (name, kind) in entries {
            is_disturbed |= !remove_entry(top, &name, kind, &mut moved_up)?;
        }
        disturbances += usize::from(is_disturbed);
        if disturbances > MAX_DISTURBANCES || moved_up > MAX_MOVED_UP {
            return Err(restless(top.itself()));
        }
        is_first = false;
    }
}

/// Removes an entry of the top directory. Directories in it move up into the top directory. Tells whether the entry is
/// gone: if not, another process interferes.
fn remove_entry(top: &Dir, name: &OsStr, kind: FileKind, moved_up: &mut u64) -> Result<bool> {
    let at = top.at(name);
    if kind != FileKind::Directory {
        return match if_exists(at.remove_file()) {
            // It is a directory by now: the next round removes it.
            Err(error) if error.has_errno(&[Errno::ISDIR]) => Ok(false),
            other => other.map(|_| true),
        };
    }
    let dir = match if_exists(enter(at)) {
        Ok(Some(dir)) => dir,
        Ok(None) => return Ok(true),
        // Something else by now.
        Err(error) if error.has_errno(&[Errno::LOOP, Errno::NOTDIR]) => return Ok(false),
        Err(error) => return Err(error),
    };
    for (inner, kind) in dir.list()? {
        let inner = dir.at(&inner);
        let removed =
            if kind == FileKind::Directory { move_up(inner, top, moved_up) } else { inner.remove_file() };
        match if_exists(removed) {
            Err(error) if error.has_errno(&[Errno::ISDIR, Errno::NOTDIR]) => {}
            other => drop(other?),
        }
    }
    match if_exists(at.remove_dir()) {
        Err(error) if error.has_errno(&[Errno::NOTEMPTY, Errno::EXIST, Errno::NOTDIR]) => Ok(false),
        other => other.map(|_| true),
    }
}

/// Renames a directory into the top directory, or removes it if it is empty.
fn move_up(inner: At<'_>, top: &Dir, moved_up: &mut u64) -> Result<()> {
    match inner.remove_dir() {
        Err(error) if error.has_errno(&[Errno::NOTEMPTY, Errno::EXIST]) => {}
        Err(error) if error.has_errno(&[Errno::BUSY]) => {
            return Err(error_with(error, "it is a mount point"));
        }
        other => return other,
    }
    loop {
        *moved_up += 1;
        let name = OsString::from(format!("{MOVED_UP}{moved_up}"));
        let to = top.at(Path::new(&name));
        match inner.rename(to) {
            // The name is taken, by a directory that an earlier attempt moved here.
            Err(error) if error.has_errno(&[Errno::NOTEMPTY, Errno::EXIST, Errno::NOTDIR]) => {}
            Err(error) if error.has_errno(&[Errno::ACCESS]) => {
                // To move a directory is to write to it, too.
                enter(inner)?;
                return inner.rename(to);
            }
            Err(error) if error.has_errno(&[Errno::BUSY, Errno::XDEV]) => {
                return Err(error_with(error, "it is a mount point"));
            }
            other => return other,
        }
    }
}
