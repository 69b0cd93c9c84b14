//! Removal of a directory with everything below it, and nothing else.
//!
//! No link is followed and no mount point crossed: they fail the removal. The directory is removed only if it has the
//! identity that the caller recorded when it made it ([`Identity`]). The directories on the way down are open; a
//! directory that is very deep is first renamed into the top directory, so that depth is not limited by descriptors or
//! stack. If another process keeps exchanging or creating names, the removal fails after a bounded number of rounds.

use std::{
    ffi::{OsStr, OsString},
    io,
    path::Path,
};

use rustix::io::Errno;

use crate::{At, Dir, Error, FileKind, Links, Result, fault, if_exists, stat::Identity};

/// How often interference of other processes may be observed before the removal fails.
// More than happen by accident when two processes clean up at the same time.
const MAX_DISTURBANCES: usize = 16;

/// How many directories are moved up at most: more than any file system holds.
const MAX_MOVED_UP: u64 = 1 << 32;

/// The prefix of the names of directories that were moved up into the top directory; a number follows.
const MOVED_UP: &str = ".removing-";

impl At<'_> {
    /// Removes whatever is here, with everything below it; it is not an error if there is nothing.
    ///
    /// # Errors
    /// Something cannot be removed: a mount point, or what other processes keep creating.
    pub fn remove_all(self) -> Result<()> {
        self.remove_tree(None).map(drop)
    }

    /// Removes the directory here if it has this identity; another one is left. Returns whether nothing is here any
    /// more.
    ///
    /// # Errors
    /// As for [`At::remove_all`].
    pub fn remove_made(self, made: Identity) -> Result<bool> {
        self.remove_tree(Some(made))
    }

    fn remove_tree(self, made: Option<Identity>) -> Result<bool> {
        // The identity is compared by name first, and again after opening: the open directory is what is emptied.
        let Some(stat) = if_exists(self.lstat())? else { return Ok(true) };
        if made.is_some_and(|made| stat.identity() != made) {
            return Ok(false);
        }
        if stat.kind != FileKind::Directory {
            // A link, too, is removed itself; what it leads to is not touched.
            if_exists(self.remove_file())?;
            return Ok(true);
        }
        let Some(top) = if_exists(enter(self))? else { return Ok(true) };
        // The name may have been exchanged between the two calls; only the open directory counts from here on.
        if top.identity()? != stat.identity() || fault::point("empty", &self.path()).is_err() {
            return Err(interference(self));
        }
        empty_directory(&top)?;
        // An empty directory that took the name meanwhile may be removed here; one with content fails with ENOTEMPTY.
        if_exists(self.remove_dir())?;
        Ok(true)
    }
}

/// Opens a directory whose content is to be removed; makes it accessible first, since an action may have changed its
/// mode.
fn enter(at: At<'_>) -> Result<Dir> {
    let dir = at.dir().open_sub(at.name(), Links::Refused, false).map_err(|error| {
        let is_mount = error.has_errno(&[Errno::XDEV]);
        if is_mount { Error { op: "remove", ..error_with(error, "it is a mount point") } } else { error }
    })?;
    let stat = dir.stat()?;
    if stat.mode() & 0o700 != 0o700 {
        // If that is not allowed, the removal of an entry fails with the reason.
        let _ = dir.set_mode(stat.mode() | 0o700);
    }
    Ok(dir)
}

fn error_with(error: Error, why: &'static str) -> Error {
    Error { source: io::Error::other(why), ..error }
}

fn interference(at: At<'_>) -> Error {
    let source = io::Error::other("another process keeps changing what is there");
    Error { op: "remove", path: at.path(), source }
}

/// How many directories on the way down are open at most.
// Each level takes a descriptor; a process may have 1,024 by default.
const MAX_DEPTH: usize = 64;

/// A directory on the way down.
struct Level {
    /// Its name in the directory above.
    name: OsString,
    dir: Dir,
    todo: Vec<(OsString, FileKind)>,
}

/// Removes everything in an open directory.
fn empty_directory(top: &Dir) -> Result<()> {
    // Each round removes everything that it listed, counts a disturbance, or moves directories up: all are bounded.
    let (mut moved_up, mut disturbances) = (0_u64, 0);
    let mut is_first = true;
    loop {
        let entries = top.list()?;
        if entries.is_empty() {
            return Ok(());
        }
        let is_ours = |name: &OsStr| name.as_encoded_bytes().starts_with(MOVED_UP.as_bytes());
        // In later rounds there should be only directories that were moved up; anything else was created by another
        // process.
        disturbances += usize::from(!is_first && entries.iter().any(|(name, _)| !is_ours(name)));
        disturbances += remove_entries(top, entries, &mut moved_up)?;
        if disturbances > MAX_DISTURBANCES || moved_up > MAX_MOVED_UP {
            return Err(interference(top.itself()));
        }
        is_first = false;
    }
}

/// Removes entries of the top directory with all that is below them; what is too deep is moved up into the top
/// directory. Returns how often an entry was not what it was a moment before: then other processes interfere, and the
/// rest is left to the next round.
fn remove_entries(top: &Dir, entries: Vec<(OsString, FileKind)>, moved_up: &mut u64) -> Result<usize> {
    let mut disturbances = 0;
    let mut levels: Vec<Level> = Vec::new();
    let mut todo = entries;
    loop {
        let here = levels.last().map_or(top, |level| &level.dir);
        let Some((name, kind)) = todo.pop() else {
            let Some(done) = levels.pop() else { return Ok(disturbances) };
            let above = levels.last().map_or(top, |level| &level.dir);
            match if_exists(above.at(&done.name).remove_dir()) {
                Err(error) if error.has_errno(&[Errno::NOTEMPTY, Errno::EXIST, Errno::NOTDIR]) => {
                    disturbances += 1;
                }
                other => drop(other?),
            }
            todo = done.todo;
            continue;
        };
        let at = here.at(&name);
        if kind != FileKind::Directory {
            match if_exists(at.remove_file()) {
                // It has become a directory meanwhile.
                Err(error) if error.has_errno(&[Errno::ISDIR]) => disturbances += 1,
                other => drop(other?),
            }
            continue;
        }
        if levels.len() == MAX_DEPTH {
            match if_exists(move_up(at, top, moved_up)) {
                Err(error) if error.has_errno(&[Errno::NOTDIR]) => disturbances += 1,
                other => drop(other?),
            }
            continue;
        }
        match if_exists(enter(at)) {
            Ok(Some(dir)) => {
                let inner = dir.list()?;
                // The rest of this directory waits until the inner one is empty.
                levels.push(Level { name, dir, todo: std::mem::replace(&mut todo, inner) });
            }
            Ok(None) => {}
            // It has become something else meanwhile.
            Err(error) if error.has_errno(&[Errno::LOOP, Errno::NOTDIR]) => disturbances += 1,
            Err(error) => return Err(error),
        }
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
            // The name is taken by a directory that an earlier attempt moved here.
            Err(error) if error.has_errno(&[Errno::NOTEMPTY, Errno::EXIST, Errno::NOTDIR]) => {}
            Err(error) if error.has_errno(&[Errno::ACCESS]) => {
                // Moving a directory rewrites its `..`, which needs the right to write to it.
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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use super::*;

    #[test]
    fn deep_trees_are_removed_and_link_targets_are_kept() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("f"), "precious").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let top = Dir::of_user(directory.path()).unwrap();
        let mut here = top.at("tree").make_dir().unwrap();
        for depth in 0..500 {
            here.at("file").create_new(0o644).unwrap();
            here.at("link").symlink(outside.path()).unwrap();
            here.at("empty").make_dir().unwrap();
            if depth % 100 == 0 {
                here.at("closed").make_dir().unwrap().set_mode(0).unwrap();
            }
            here = here.at("d").make_dir().unwrap();
        }
        drop(here);
        let made = top.at("tree").open_dir().unwrap().identity().unwrap();
        assert!(top.at("tree").remove_made(made).unwrap());
        assert_eq!(top.list().unwrap(), []);
        assert_eq!(std::fs::read(outside.path().join("f")).unwrap(), b"precious");
        // Another directory under the name is left.
        top.at("tree").make_dir().unwrap();
        std::fs::write(directory.path().join("tree/f"), "").unwrap();
        assert!(!top.at("tree").remove_made(top.identity().unwrap()).unwrap());
        assert!(directory.path().join("tree/f").exists());
    }
}
