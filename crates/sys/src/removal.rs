//! Removing a directory with everything below it, and nothing else.
//!
//! No link is followed and no mount point crossed: it stays, where it is. The directory is the very one that the caller
//! made ([`Identity`]), or it is left. The directories on the way down are open; what lies very deep is first renamed into
//! the top directory, so that depth is bounded by nothing. A process that keeps exchanging or making names ends that after
//! a bounded number of rounds, with an error.

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

/// How many directories on the way down are open at most.
const MAX_DEPTH: usize = 64;

/// A directory on the way down.
struct Level {
    /// Its name in the directory above.
    name: OsString,
    dir: Dir,
    todo: Vec<(OsString, FileKind)>,
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
        disturbances += usize::from(!is_first && entries.iter().any(|(name, _)| !is_ours(name)));
        disturbances += remove_entries(top, entries, &mut moved_up)?;
        if disturbances > MAX_DISTURBANCES || moved_up > MAX_MOVED_UP {
            return Err(restless(top.itself()));
        }
        is_first = false;
    }
}

/// Removes entries of the top directory with all that is below them; what is too deep moves up into the top directory.
/// Returns how often something was not what it was just before: then other processes interfere, and what is left comes
/// with the next round.
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
                // It is a directory by now.
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
                // The rest of this directory waits.
                levels.push(Level { name, dir, todo: std::mem::replace(&mut todo, inner) });
            }
            Ok(None) => {}
            // Something else by now.
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

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use super::*;

    #[test]
    fn deep_trees_go_and_what_links_lead_to_stays() {
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
