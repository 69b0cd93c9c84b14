//! Opening files beneath an open directory, and only there.
//!
//! A path that is resolved from `/`, or from a name that another process can exchange, can be made to lead anywhere. So
//! resolution begins at a descriptor, and the kernel is asked to refuse what leaves the tree below it: `openat2(2)`
//! with `RESOLVE_BENEATH` and `RESOLVE_NO_MAGICLINKS`. Kernels before 5.6, and sandboxes that filter the call, lack it;
//! there the path is followed component by component with `O_NOFOLLOW`, which costs a descriptor per component and
//! gives the same answers.

use std::{
    ffi::{OsStr, OsString},
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path},
    sync::atomic::{AtomicU8, Ordering::Relaxed},
};

use rustix::{
    fs::{CWD, Mode, OFlags, ResolveFlags, openat, openat2, readlinkat},
    io::{Errno, Result},
};

/// How symbolic links in the middle of a path are treated. The last component is never followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Links {
    /// They are refused (`ELOOP`).
    Refused,
    /// They are followed as long as they stay beneath the directory; others are refused (`EXDEV`).
    Beneath,
}

/// How many links one path may lead through, as in the kernel.
const MAX_LINKS: usize = 40;

/// How often a lookup is repeated that a concurrent rename made ambiguous (`EAGAIN`).
// A process that renames without pause must not hold a build up for ever.
const MAX_ATTEMPTS: usize = 64;

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
    // `NO_SYMLINKS` is about the way; the last component is refused by this flag, whatever `links` says.
    let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    if !has_openat2() {
        return step_by_step(dir, path, flags, mode, links, mounts);
    }
    // Both: at present the first excludes the magic links of `/proc`, too, but openat2(2) says that this may change.
    let mut resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    resolve.set(ResolveFlags::NO_SYMLINKS, links == Links::Refused);
    resolve.set(ResolveFlags::NO_XDEV, !mounts);
    // `EAGAIN`: a rename or mount anywhere on the system while a `..` was resolved; the kernel asks to try again.
    for _ in 0..MAX_ATTEMPTS {
        match openat2(dir, path, flags, mode, resolve) {
            Err(Errno::AGAIN | Errno::INTR) => {}
            other => return other,
        }
    }
    Err(Errno::AGAIN)
}

/// Whether the kernel has `openat2`: 0 not known yet, 1 no, 2 yes. Relaxed: threads that race find out the same.
static HAS_OPENAT2: AtomicU8 = AtomicU8::new(0);

/// For tests: makes this process do without the call even where the kernel has it.
const WITHOUT_OPENAT2_VARIABLE: &str = "TAUT_TEST_WITHOUT_OPENAT2";

fn has_openat2() -> bool {
    match HAS_OPENAT2.load(Relaxed) {
        0 => {
            let flags = OFlags::PATH | OFlags::CLOEXEC;
            // A seccomp filter answers EPERM where an old kernel answers ENOSYS.
            let there = openat2(CWD, ".", flags, Mode::empty(), ResolveFlags::empty());
            let there = !matches!(there, Err(Errno::NOSYS | Errno::PERM));
            let there = there && std::env::var_os(WITHOUT_OPENAT2_VARIABLE).is_none();
            HAS_OPENAT2.store(1 + u8::from(there), Relaxed);
            there
        }
        known => known == 2,
    }
}

/// As [`open`], without `openat2`.
pub(crate) fn step_by_step(
    top: BorrowedFd<'_>,
    path: &Path,
    flags: OFlags,
    mode: Mode,
    links: Links,
    mounts: bool,
) -> Result<OwnedFd> {
    // The directories from `top` down to the present one; `..` goes back along these descriptors, never by name.
    let mut way: Vec<OwnedFd> = Vec::new();
    let mut todo: Vec<OsString> = components(path)?;
    let mut followed = 0;
    let mount = if mounts { None } else { Some(mount_of(top)?) };
    while let Some(name) = todo.pop() {
        let here = way.last().map_or(top, AsFd::as_fd);
        if name == "." {
            continue;
        }
        if name == ".." {
            // Nothing above `top` can be reached.
            way.pop().ok_or(Errno::XDEV)?;
            continue;
        }
        let is_last = todo.is_empty();
        let open_flags = if is_last { flags } else { OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC };
        // Each component is opened relative to the descriptor of the one before, and checked by its own descriptor: a
        // name that is exchanged in between can only lead to another entry of the same directory.
        let found = openat(here, &name, open_flags, mode)?;
        if mount.is_some_and(|mount| mount_of(found.as_fd()) != Ok(mount)) {
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
                // An absolute target is refused there (`EXDEV`), as the kernel does with `RESOLVE_BENEATH`.
                todo.extend(components(Path::new(OsStr::from_bytes(target.as_bytes())))?);
            }
            _ => return Err(Errno::NOTDIR),
        }
    }
    // The path leads back to the current directory.
    let here = way.last().map_or(top, AsFd::as_fd);
    openat(here, ".", flags, mode)
}

/// The id of the mount that an open file is on; a device number would not distinguish bind mounts.
#[allow(clippy::disallowed_methods, reason = "the only source of it on kernels that lack openat2")]
fn mount_of(open: BorrowedFd<'_>) -> Result<u64> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", open.as_raw_fd()));
    let info = info.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))?;
    let number = info.lines().find_map(|line| line.strip_prefix("mnt_id:")?.trim().parse().ok());
    number.ok_or(Errno::IO)
}

/// The components of a relative path, the last one first. A dot at the end counts: the component before it is then
/// followed.
fn components(path: &Path) -> Result<Vec<OsString>> {
    let mut names = Vec::new();
    let ends_in_dot = matches!(path.as_os_str().as_bytes(), [.., b'/', b'.'] | [.., b'/']);
    for part in path.components() {
        match part {
            Component::Normal(name) => names.push(name.to_owned()),
            Component::ParentDir => names.push("..".into()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err(Errno::XDEV),
        }
    }
    if ends_in_dot {
        names.push(".".into());
    }
    names.reverse();
    Ok(names)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::{Dir, Identity, Stat};

    const FLAGS: OFlags = OFlags::PATH;

    fn identity(open: Result<OwnedFd>) -> std::result::Result<Identity, Errno> {
        Ok(Stat::of(&rustix::fs::fstat(open?)?).identity())
    }

    /// With and without `openat2`, the same paths are found and the same refused.
    #[test]
    fn only_paths_beneath_the_directory_are_found() {
        let outside = tempfile::tempdir().unwrap();
        std::fs::write(outside.path().join("f"), "").unwrap();
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        std::fs::create_dir_all(at("d/e")).unwrap();
        std::fs::write(at("d/f"), "").unwrap();
        symlink("d", at("in")).unwrap();
        symlink("../d/f", at("d/up")).unwrap();
        symlink("e/../../d", at("d/back")).unwrap();
        symlink("loop", at("loop")).unwrap();
        symlink(outside.path(), at("out")).unwrap();
        symlink("../..", at("d/above")).unwrap();
        symlink("/proc/self/root", at("magic")).unwrap();
        let top = Dir::of_user(directory.path()).unwrap();
        let (refused, beneath) = (Links::Refused, Links::Beneath);
        for (path, links, found) in [
            ("d/f", refused, Ok("d/f")),
            ("d/e/../f", refused, Ok("d/f")),
            ("./d//f", refused, Ok("d/f")),
            (".", refused, Ok(".")),
            ("d/..", refused, Ok(".")),
            ("in/f", refused, Err(Errno::LOOP)),
            ("in/f", beneath, Ok("d/f")),
            ("in/.", beneath, Ok("d")),
            ("d/back/f", beneath, Ok("d/f")),
            ("loop/f", beneath, Err(Errno::LOOP)),
            ("out/f", beneath, Err(Errno::XDEV)),
            ("out/f", refused, Err(Errno::LOOP)),
            ("d/above/f", beneath, Err(Errno::XDEV)),
            ("magic/etc", beneath, Err(Errno::XDEV)),
            ("..", beneath, Err(Errno::XDEV)),
            ("d/../..", beneath, Err(Errno::XDEV)),
            ("/", beneath, Err(Errno::XDEV)),
            ("d/f/x", beneath, Err(Errno::NOTDIR)),
            ("nothing", beneath, Err(Errno::NOENT)),
        ] {
            let path = Path::new(path);
            let expected = found.map(|name: &str| crate::Named::stat(&at(name)).unwrap().identity());
            for mounts in [true, false] {
                let by_kernel = open(top.as_fd(), path, FLAGS, Mode::empty(), links, mounts);
                assert_eq!(identity(by_kernel), expected, "{path:?} {links:?}");
                let flags = FLAGS | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let by_steps = step_by_step(top.as_fd(), path, flags, Mode::empty(), links, mounts);
                assert_eq!(identity(by_steps), expected, "{path:?} {links:?} step by step");
            }
        }
    }
}
