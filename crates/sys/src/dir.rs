//! Directories that are held open, and the operations on them.
//!
//! An open directory stays the same one even if its name is exchanged. All file access of taut goes through one:
//! [`Dir`] is the directory, [`At`] a name in it. The only way to one from a path is [`Dir::of_user`] (and
//! [`crate::Named`]): a path that the user wrote is resolved as the user's shell would resolve it.

use std::{
    ffi::{OsStr, OsString},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, AtFlags, CWD, FileType, Mode, OFlags, RawDir, accessat, openat},
    io::Errno,
};

use crate::{
    At, Error, FileKind, Links, Named, Result, Stat, beneath,
    fault::{self, NamedBy},
    stat::Identity,
};

/// An open directory.
#[derive(Debug)]
pub struct Dir {
    // The descriptor is the directory; the path is never resolved again.
    fd: OwnedFd,
    /// The path by which it was opened: for messages only.
    path: PathBuf,
}

/// How directories are opened: `O_PATH`, as a starting point of lookups, which needs no permission to read them.
const PATH_ONLY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Makes a system call, unless a fault is injected here.
pub(crate) fn call<T>(
    op: &'static str,
    path: impl Fn() -> PathBuf,
    call: impl FnOnce() -> rustix::io::Result<T>,
) -> Result<T> {
    call_by(NamedBy::Name, op, path, call)
}

fn call_by<T>(
    by: NamedBy,
    op: &'static str,
    path: impl Fn() -> PathBuf,
    call: impl FnOnce() -> rustix::io::Result<T>,
) -> Result<T> {
    fault::check(by, op, &path).and_then(|()| Ok(call()?)).map_err(|source| Error {
        op,
        path: path(),
        source,
    })
}

/// Sets the permission bits of a file whose descriptor was opened with `O_PATH`.
#[allow(clippy::disallowed_methods, reason = "the entry below /proc leads to the very thing that is open")]
pub(crate) fn set_mode_of_path_only(fd: BorrowedFd<'_>, mode: u32) -> rustix::io::Result<()> {
    // `fchmod(2)` fails with EBADF on such descriptors.
    let own = format!("/proc/self/fd/{}", fd.as_raw_fd());
    rustix::fs::chmod(&*own, Mode::from_raw_mode(mode))
}

impl Dir {
    /// The directory at a path that the user named; links are followed.
    ///
    /// # Errors
    /// There is no directory, or it may not be searched.
    pub fn of_user(path: &Path) -> Result<Dir> {
        let open = || openat(CWD, path, PATH_ONLY, Mode::empty());
        let fd =
            call("open", || path.to_owned(), open).map_err(|error| Dir::with_what_is_there(error, path))?;
        Ok(Dir { fd, path: path.to_owned() })
    }

    /// Adds to the error of opening a path of the user which component is not a directory, as far as that can be seen
    /// now.
    fn with_what_is_there(error: Error, path: &Path) -> Error {
        if !error.has_errno(&[Errno::NOTDIR]) {
            return error;
        }
        let mut ends: Vec<&Path> = path.ancestors().filter(|above| !above.as_os_str().is_empty()).collect();
        ends.reverse();
        let found = ends.into_iter().find_map(|above| {
            let stat = Named::stat(above).ok().filter(|stat| !stat.is_dir())?;
            Some((above.to_owned(), stat.kind))
        });
        match found {
            Some((above, kind)) => error.found(above, kind),
            None => error,
        }
    }

    /// As [`Dir::of_user`]; the directory and those above it are created where they do not exist.
    ///
    /// # Errors
    /// It cannot be made, or something else is there.
    pub fn made_of_user(path: &Path) -> Result<Dir> {
        let mut missing: Vec<&Path> = Vec::new();
        for above in path.ancestors() {
            let above = if above.as_os_str().is_empty() { Path::new(".") } else { above };
            match Dir::of_user(above) {
                Ok(mut dir) => {
                    for path in missing.into_iter().rev() {
                        let name = Path::new(path.file_name().unwrap_or_default());
                        let made = match path.components().next_back() {
                            Some(std::path::Component::Normal(_)) => dir.at(name).make_dir_if_absent(),
                            // Such as `a/..`, with `a` just created.
                            _ => Dir::of_user(path),
                        };
                        dir = Dir { path: path.to_owned(), ..made? };
                    }
                    return Ok(dir);
                }
                // From the path upwards, so that a directory that exists is opened once and its parents never.
                Err(error) if error.is_not_found() => missing.push(above),
                Err(error) => return Err(error),
            }
        }
        Dir::of_user(path)
    }

    /// Whether [`Dir::made_of_user`] could succeed now, by a look that changes nothing: it may be overtaken.
    ///
    /// # Errors
    /// Something else is at the path or above it, or the lowest directory that exists refuses another.
    pub fn check_makeable(path: &Path) -> Result<()> {
        let mut missing = None;
        for above in path.ancestors() {
            match (Dir::of_user(if above.as_os_str().is_empty() { Path::new(".") } else { above }), missing) {
                (Ok(_), None) => return Ok(()),
                // The error is that of the call that would be refused.
                (Ok(dir), Some(missing)) => {
                    let may = accessat(&dir, ".", Access::WRITE_OK | Access::EXEC_OK, AtFlags::EACCESS);
                    let refused =
                        |errno: Errno| Error { op: "create directory", path: missing, source: errno.into() };
                    return may.map_err(refused);
                }
                (Err(error), _) if error.is_not_found() => missing = Some(above.to_owned()),
                (Err(error), _) => return Err(error),
            }
        }
        Ok(())
    }

    /// The path by which it was opened.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The present absolute path of the directory, without links.
    ///
    /// # Errors
    /// The system refuses the call.
    #[allow(
        clippy::disallowed_methods,
        reason = "the entry below /proc is of the very directory that is open"
    )]
    pub fn real_path(&self) -> Result<PathBuf> {
        let own = format!("/proc/self/fd/{}", self.fd.as_raw_fd());
        let target = call("resolve", || self.path.clone(), || rustix::fs::readlink(own, Vec::new()))?;
        Ok(PathBuf::from(OsStr::from_bytes(target.as_bytes())))
    }

    /// A name in the directory, or a relative path below it.
    pub fn at<'d, N: AsRef<Path> + ?Sized>(&'d self, name: &'d N) -> At<'d> {
        At::new(self, name.as_ref())
    }

    /// The directory itself, for `stat`.
    pub fn itself(&self) -> At<'_> {
        At::new(self, Path::new(""))
    }

    /// The directory at a relative path beneath this one, on whatever file system.
    ///
    /// # Errors
    /// It does not exist, or a link is in the way that is not to be followed.
    pub fn sub(&self, path: &(impl AsRef<Path> + ?Sized), links: Links) -> Result<Dir> {
        self.open_sub(path.as_ref(), links, true)
    }

    /// As [`Dir::sub`], on the file system of this one: mount points on the way, and there, are refused.
    ///
    /// # Errors
    /// As for [`Dir::sub`].
    pub fn sub_of_mount(&self, path: &(impl AsRef<Path> + ?Sized), links: Links) -> Result<Dir> {
        self.open_sub(path.as_ref(), links, false)
    }

    pub(crate) fn open_sub(&self, path: &Path, links: Links, mounts: bool) -> Result<Dir> {
        let shown = || self.path.join(path);
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let open = || beneath::open(self.as_fd(), path, PATH_ONLY, Mode::empty(), links, mounts);
        let fd = call("open", shown, open).map_err(|error| self.with_what_is_in_the_way(error, path))?;
        Ok(Dir { fd, path: self.path.join(path) })
    }

    /// Adds to the error of opening a directory which component is not a directory that may be entered. Only for the
    /// message: what is found may have changed since.
    fn with_what_is_in_the_way(&self, error: Error, path: &Path) -> Error {
        if !error.has_errno(&[Errno::LOOP, Errno::NOTDIR, Errno::XDEV]) {
            return error;
        }
        let ends = path.ancestors().filter(|above| !above.as_os_str().is_empty() && !above.ends_with("."));
        let mut ends: Vec<&Path> = ends.collect();
        ends.reverse();
        for above in ends {
            match self.at(above).lstat() {
                Ok(stat) if stat.is_dir() => {}
                Ok(stat) => return error.found(self.path.join(above), stat.kind),
                Err(_) => break,
            }
        }
        error
    }

    /// The directory that a link in this one leads to, also outside. For sources, as in the reference.
    ///
    /// # Errors
    /// It does not exist.
    // Not confined: a source tree may have links that lead out of it.
    pub fn sub_anywhere(&self, path: &Path) -> Result<Dir> {
        let open = || openat(self.as_fd(), path, PATH_ONLY, Mode::empty());
        Ok(Dir { fd: call("open", || self.path.join(path), open)?, path: self.path.join(path) })
    }

    /// Another handle of the same directory.
    ///
    /// # Errors
    /// No descriptors are left.
    pub fn try_clone(&self) -> Result<Dir> {
        // From 3 on: a standard stream that is closed must not become a directory.
        let fd = call("open", || self.path.clone(), || rustix::io::fcntl_dupfd_cloexec(&self.fd, 3))?;
        Ok(Dir { fd, path: self.path.clone() })
    }

    /// How many bytes this user can still write to the file system; 0 if it has no room for another file.
    ///
    /// # Errors
    /// The system refuses the call.
    pub fn free_space(&self) -> Result<u64> {
        let of = call("statfs", || self.path.clone(), || rustix::fs::fstatvfs(&self.fd))?;
        // File systems that make room for files as they come count none.
        let has_files = of.f_files == 0 || of.f_favail > 0;
        Ok(if has_files { of.f_bavail.saturating_mul(of.f_frsize) } else { 0 })
    }

    /// Creates the directories of a relative path where they do not exist. No link is followed.
    ///
    /// # Errors
    /// They cannot be made, or something else is in the way.
    pub fn make_all(&self, path: &(impl AsRef<Path> + ?Sized)) -> Result<Dir> {
        let path = path.as_ref();
        match self.sub(path, Links::Refused) {
            Err(error) if error.is_not_found() => {}
            other => return other,
        }
        let mut here: Option<Dir> = None;
        for name in path.components() {
            let name = Path::new(name.as_os_str());
            here = Some(here.as_ref().unwrap_or(self).at(name).make_dir_if_absent()?);
        }
        here.map_or_else(|| self.try_clone(), Ok)
    }

    /// The `stat` of the directory.
    ///
    /// # Errors
    /// The system refuses the call.
    pub fn stat(&self) -> Result<Stat> {
        let stat =
            call_by(NamedBy::Descriptor, "stat", || self.path.clone(), || rustix::fs::fstat(&self.fd))?;
        Ok(Stat::of(&stat))
    }

    /// The device and inode number, which no other existing directory has.
    ///
    /// # Errors
    /// As for [`Dir::stat`].
    pub fn identity(&self) -> Result<Identity> {
        Ok(self.stat()?.identity())
    }

    /// Entries with their kinds, sorted by the bytes of their names.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn list(&self) -> Result<Vec<(OsString, FileKind)>> {
        let shown = || self.path.clone();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // An `O_PATH` descriptor cannot be read: `.` is opened again for reading.
        let fd = call("list", shown, || openat(&self.fd, ".", flags, Mode::empty()))?;
        // Some hundreds of names in one system call.
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        let mut raw = RawDir::new(&fd, &mut buffer);
        let mut entries = Vec::new();
        while let Some(entry) = raw.next() {
            let entry = match entry {
                Err(Errno::INTR) => continue,
                other => other.map_err(|errno| Error::new("list", &self.path, errno))?,
            };
            let name = entry.file_name().to_bytes();
            if name == b"." || name == b".." {
                // Every directory has them; no caller asks for them.
                continue;
            }
            let name = OsStr::from_bytes(name);
            let kind = match entry.file_type() {
                FileType::RegularFile => FileKind::File,
                FileType::Directory => FileKind::Directory,
                FileType::Symlink => FileKind::Symlink,
                // Some file systems do not report types.
                FileType::Unknown => match crate::if_exists(self.at(name).lstat())? {
                    Some(stat) => stat.kind,
                    None => continue,
                },
                _ => FileKind::Special,
            };
            entries.push((name.to_owned(), kind));
        }
        // The order of `getdents64(2)` depends on the file system; listings are hashed and shown.
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(entries)
    }

    /// Sets the permission bits of the directory, whatever its present name is.
    ///
    /// # Errors
    /// It belongs to another user.
    pub fn set_mode(&self, mode: u32) -> Result<()> {
        call("set mode of", || self.path.clone(), || set_mode_of_path_only(self.as_fd(), mode))
    }

    /// Whether the change times of the file system distinguish any two changes if the file was looked at in between,
    /// however close they are (Linux 6.13 or newer, multigrain timestamps).
    ///
    /// # Errors
    /// No file can be made here.
    pub fn distinguishes_changes(&self) -> Result<bool> {
        let mut file = self.at("clock").create_new(0o600)?;
        let mut apart = true;
        let mut last = None;
        // A coarse clock may tick once during these calls, but not at each of them.
        // A change of the mode alters the change time and costs no data.
        for mode in [0o400, 0o600, 0o400, 0o600, 0o400] {
            file.set_mode(mode)?;
            let now = Some(file.current_stat()?.signature.ctime);
            apart &= last != now;
            last = now;
        }
        self.at("clock").remove_file()?;
        Ok(apart)
    }

    /// Whether every write of an action of this user to a read-only file here updates the file's times. File systems in
    /// memory do not notice writes through a mapping; only root can map such a file for writing without changing its
    /// mode first.
    pub fn dates_all_writes(&self) -> bool {
        // `f_type` of statfs(2), from `linux/magic.h`.
        const TMPFS: u32 = 0x0102_1994;
        const RAMFS: u32 = 0x8584_58f6;
        const OVERLAYFS: u32 = 0x794c_7630;
        if !rustix::process::geteuid().is_root() {
            return true;
        }
        let on = rustix::fs::fstatfs(&self.fd);
        on.is_ok_and(|on| ![TMPFS, RAMFS, OVERLAYFS].contains(&(on.f_type as u32)))
    }

    /// Whether another machine may change files here.
    pub(crate) fn is_remote(&self) -> bool {
        rustix::fs::fstatfs(&self.fd).is_ok_and(|on| crate::evidence::is_remote(&on))
    }
}

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
