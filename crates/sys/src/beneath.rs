//! Opening what lies beneath an open directory, and nothing else.
//!
//! A path that is looked up from `/`, or from a name that another process can exchange, leads wherever that process
//! wants. So lookups begin at a descriptor, and the kernel is told not to leave what is below it: `openat2(2)` with
//! `RESOLVE_BENEATH` and `RESOLVE_NO_MAGICLINKS`. Kernels before 5.6, and sandboxes that filter the call, lack it;
//! there the path is followed component by component with `O_NOFOLLOW`, which costs a descriptor per component and
//! gives the same answers.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path},
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat},
    io::{Errno, Result},
};

/// What becomes of symbolic links in the middle of a path. The last component is never followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    /// They are refused (`ELOOP`).
    Refused,
    /// They are followed as long as they stay beneath the directory; others are refused (`EXDEV`).
    Beneath,
}

/// How many links one path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// How often a lookup is begun anew that a concurrent rename made ambiguous (`EAGAIN`).
const MAX_TRIES: usize = 64;

/// Opens `path`, which is relative, beneath `dir`.
///
/// With `mounts`, mount points are crossed; without, they are refused (`EXDEV`).
pub(crate) fn open(
    dir: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    links: Links,
    mounts: bool,
) -> Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if !has_openat2() {
        return step_by_step(dir, path, flags, mode, links, mounts);
    }
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    resolve.set(ResolveFlags::NO_SYMLINKS, links == Links::Refused);
    resolve.set(ResolveFlags::NO_XDEV, !mounts);
    for _ in 0..MAX_TRIES {
        match openat2(dir, path, flags, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// Not asked yet, no, yes.
static OPENAT2: AtomicU8 = AtomicU8::new(0);

fn has_openat2() -> bool {
    match OPENAT2.load(Relaxed) {
        0 => {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            // Filters of system calls answer EPERM where old kernels answer ENOSYS.
            let there = openat2(CWD, ".", flags, Mode::empty(), ResolveFlags::empty());
            let there = !matches!(there, Err(Errno::NOSYS | Errno::PERM));
            OPENAT2.store(1 + u8::from(there), Relaxed);
            there
        }
        known => known == 2,
    }
}

/// As if the kernel had no `openat2`, from now on: for tests of what is done then.
#[doc(hidden)]
pub fn without_openat2() {
    OPENAT2.store(1, Relaxed);
}

/// The same without `openat2`.
fn step_by_step(
    top: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    links: Links,
    mounts: bool,
) -> Result<OwnedFd> {
    // The directories that lead from `top` to where the walk is; `..` goes back along them, never by name.
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut todo: Vec<OsString> = components(path)?;
    let mut followed = 0;
    let device = if mounts { None } else { Some(rustix::fs::fstat(top)?.st_dev) };
    while let Some(name) = todo.pop() {
        let here = way.last().map_or(top, AsFd::as_fd);
        if name == ".." {
            // Above `top` nothing is to be found.
            way.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let is_last = todo.is_empty();
        let asked = if is_last { flags } else { OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC };
        let found = openat(here, &name, asked, mode)?;
        if let Some(device) = device
            && rustix::fs::fstat(&found)?.st_dev != device
        {
            return Err(Errno::XDEV);
        }
        if is_last {
            return Ok(found);
        }
        match rustix::fs::FileType::from_raw_mode(rustix::fs::fstat(&found)?.st_mode) {
            rustix::fs::FileType::Directory => way.push(found),
            rustix::fs::FileType::Symlink if links == Links::Refused || followed == MAX_LINKS => {
                return Err(Errno::LOOP);
            }
            rustix::fs::FileType::Symlink => {
                followed += 1;
                let target = readlinkat(&found, "", Vec::new())?;
                todo.extend(components(Path::new(OsStr::from_bytes(target.as_bytes())))?);
            }
            _ => return Err(Errno::NOTDIR),
        }
    }
    // The path leads back to where the walk is.
    let here = way.last().map_or(top, AsFd::as_fd);
    openat(here, ".", flags, mode)
}

/// The components of a relative path, the last one first.
fn components(path: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir => names.push("..".into()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err(Errno::XDEV),
        }
    }
    names.reverse();
    Ok(names)
}
