//! A name in an open directory, and what can be done there.
//!
//! A name may be a relative path; then the directories on the way are opened first, beneath the directory and without
//! following links. The last component is never followed, unless an operation's documentation says so.

use std::{
    ffi::OsStr,
    io,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::ffi::OsStrExt,
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{
        AtFlags, Mode, OFlags, Timespec, Timestamps, UTIME_NOW, UTIME_OMIT, linkat, openat, readlinkat,
        renameat, statat, symlinkat, unlinkat, utimensat,
    },
    io::Errno,
};

use crate::{
    Dir, Error, File, FileKind, Identity, Links, Result, Stat,
    dir::{call, set_mode_of_path_only},
    if_exists,
};

/// A name in an open directory. Cheap to copy.
#[derive(Clone, Copy, Debug)]
// A name, not a descriptor: nothing is opened before an operation needs it.
pub struct At<'d> {
    dir: &'d Dir,
    name: &'d Path,
}

/// Checks that a name is one component, as it must be for something to be made, moved or removed there.
// An empty name would mean the directory itself (`AT_EMPTY_PATH`), the others what the caller did not name.
fn checked(name: &OsStr) -> rustix::io::Result<&OsStr> {
    match name.as_bytes() {
        b"" | b"." | b".." => Err(Errno::INVAL),
        _ => Ok(name),
    }
}

impl<'d> At<'d> {
    pub(crate) fn new(dir: &'d Dir, name: &'d Path) -> At<'d> {
        At { dir, name }
    }

    /// The directory.
    pub fn dir(self) -> &'d Dir {
        self.dir
    }

    /// The name.
    pub fn name(self) -> &'d Path {
        self.name
    }

    /// The path to show in messages.
    pub fn path(self) -> PathBuf {
        if self.name.as_os_str().is_empty() {
            self.dir.path().to_owned()
        } else {
            self.dir.path().join(self.name)
        }
    }

    /// Calls the system with the directory that contains the last component, and that component.
    fn last<T>(
        self,
        op: &'static str,
        act: impl FnOnce(BorrowedFd<'_>, &OsStr) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let bytes = self.name.as_os_str().as_bytes();
        if bytes == b".." || bytes.ends_with(b"/..") {
            // Nothing above the directory can be named: names only lead downwards.
            return Err(Error::new(op, &self.path(), Errno::XDEV));
        }
        match bytes.iter().rposition(|byte| *byte == b'/') {
            None => call(op, || self.path(), || act(self.dir.as_fd(), self.name.as_os_str())),
            Some(slash) => {
                let above = Path::new(OsStr::from_bytes(&bytes[..slash]));
                if above.as_os_str().is_empty() {
                    return Err(Error::new(op, &self.path(), Errno::XDEV));
                }
                // One lookup for the whole way, which the kernel confines (`beneath.rs`); the descriptor is closed
                // after the call.
                let above = self.dir.sub(above, Links::Refused)?;
                let name = OsStr::from_bytes(&bytes[slash + 1..]);
                call(op, || self.path(), || act(above.as_fd(), name))
            }
        }
    }

    fn stat_with(self, flags: AtFlags) -> Result<Stat> {
        let flags = if self.name.as_os_str().is_empty() { flags | AtFlags::EMPTY_PATH } else { flags };
        let stat = self.last("stat", |dir, name| statat(dir, name, flags))?;
        Ok(Stat::of(&stat))
    }

    /// The `stat` of what is there; a link is not followed.
    ///
    /// # Errors
    /// Nothing is there, or the system refuses the call.
    pub fn lstat(self) -> Result<Stat> {
        self.stat_with(AtFlags::SYMLINK_NOFOLLOW)
    }

    /// The `stat` of what is there; a link is followed, wherever it leads.
    ///
    /// # Errors
    /// As for [`At::lstat`].
    pub fn stat(self) -> Result<Stat> {
        self.stat_with(AtFlags::empty())
    }

    /// Whether anything is there.
    ///
    /// # Errors
    /// The system refuses the call.
    pub fn exists(self) -> Result<bool> {
        Ok(if_exists(self.lstat())?.is_some())
    }

    /// Opens a regular file for reading. Anything else is refused: a link is not followed, and a fifo does not block.
    ///
    /// # Errors
    /// It does not exist ([`Error::is_not_found`]), or something else is there ([`Error::is_other_kind`]).
    pub fn open(self) -> Result<File<'d>> {
        self.open_with(OFlags::RDONLY, OFlags::NOFOLLOW)
    }

    /// As [`At::open`], on the file system of the directory: a mount point is refused.
    ///
    /// # Errors
    /// As for [`At::open`].
    pub fn open_of_mount(self) -> Result<File<'d>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let open = || {
            let dir = self.dir.as_fd();
            crate::beneath::open(dir, self.name, flags, Mode::empty(), Links::Refused, false)
        };
        let file = call("open", || self.path(), open).map_err(|error| {
            // The errors by which `open(2)` reports a link (with `O_NOFOLLOW`), a fifo without reader or a device
            // without driver, and a socket.
            let is_other = error.has_errno(&[Errno::LOOP, Errno::NXIO, Errno::OPNOTSUPP]);
            if is_other { self.other_kind(FileKind::Symlink) } else { error }
        })?;
        File::regular(file.into(), self)
    }

    /// As [`At::open`]; a link is followed, wherever it leads.
    ///
    /// # Errors
    /// As for [`At::open`].
    pub fn open_followed(self) -> Result<File<'d>> {
        self.open_with(OFlags::RDONLY, OFlags::empty())
    }

    /// Opens a regular file for reading and writing, without changing it.
    ///
    /// # Errors
    /// As for [`At::open`].
    pub fn open_for_update(self) -> Result<File<'d>> {
        self.open_with(OFlags::RDWR, OFlags::NOFOLLOW)
    }

    /// Opens a regular file for writing, if it has this identity and no other name (hard link): so nothing but the file
    /// that the caller made is written to.
    ///
    /// # Errors
    /// As for [`At::open`]; or it is another one.
    pub fn open_made(self, made: Identity) -> Result<File<'d>> {
        let file = self.open_with(OFlags::WRONLY, OFlags::NOFOLLOW)?;
        self.check_made(&file.stat()?, made)?;
        Ok(file)
    }

    fn check_made(self, stat: &Stat, made: Identity) -> Result<()> {
        // The identity is of the open file, so no other process can exchange the name between this check and the write.
        if stat.identity() == made && stat.links == 1 {
            return Ok(());
        }
        let source = io::Error::other("it was replaced, or has a second name (hard link)");
        Err(Error { op: "write", path: self.path(), source })
    }

    fn open_with(self, flags: OFlags, links: OFlags) -> Result<File<'d>> {
        // `O_NONBLOCK`: opening a fifo must not wait for its other end.
        let flags = flags | links | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
        let file =
            self.last("open", |dir, name| openat(dir, name, flags, Mode::empty())).map_err(|error| {
                // How `open(2)` reports a link, and a socket or device that cannot be opened.
                let is_other = error.has_errno(&[Errno::LOOP, Errno::NXIO, Errno::OPNOTSUPP]);
                // Where links are followed, `ELOOP` means that there are too many.
                if is_other && links.contains(OFlags::NOFOLLOW) {
                    self.other_kind(FileKind::Symlink)
                } else {
                    error
                }
            })?;
        File::regular(file.into(), self)
    }

    pub(crate) fn other_kind(self, kind: FileKind) -> Error {
        Error { op: "open", path: self.path(), source: io::Error::other(crate::error::OtherKind(kind)) }
    }

    /// The whole content of a regular file.
    ///
    /// # Errors
    /// As for [`At::open`].
    pub fn read(self) -> Result<Vec<u8>> {
        self.open()?.read_all()
    }

    /// As [`At::read`]; a link is followed. `None` if there is no regular file.
    ///
    /// # Errors
    /// A file is there and cannot be read.
    pub fn read_followed(self) -> Result<Option<Vec<u8>>> {
        match self.open_followed() {
            Ok(mut file) => Ok(Some(file.read_all()?)),
            Err(error) if error.is_absent() || error.is_other_kind() => Ok(None),
            // open(2): `ENXIO` for a socket.
            Err(error) if error.has_errno(&[Errno::NXIO, Errno::ISDIR]) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Creates a file that must not exist, with the given permission bits (less those of the umask).
    ///
    /// # Errors
    /// Something is there ([`Error::is_exists`]), or it cannot be made.
    pub fn create_new(self, mode: u32) -> Result<File<'d>> {
        self.create_with(OFlags::WRONLY, mode)
    }

    /// As [`At::create_new`]; the file is open for reading, too.
    ///
    /// # Errors
    /// As for [`At::create_new`].
    pub fn create_new_for_update(self, mode: u32) -> Result<File<'d>> {
        self.create_with(OFlags::RDWR, mode)
    }

    fn create_with(self, access: OFlags, mode: u32) -> Result<File<'d>> {
        // `O_EXCL` also refuses a symbolic link, even a dangling one, so nothing is created elsewhere.
        let flags = access | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let create =
            |dir: BorrowedFd<'_>, name: &OsStr| openat(dir, checked(name)?, flags, Mode::from_raw_mode(mode));
        Ok(File::new(self.last("create", create)?.into(), self))
    }

    /// Replaces the content of a file atomically: readers see the old content or the new one. The temporary name is the
    /// file's own with the number of this process.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn replace(self, content: &[u8]) -> Result<()> {
        let mut name = self.name.as_os_str().to_owned();
        // In the same directory, so that `rename(2)` stays on one file system and is atomic.
        name.push(format!(".tmp-{}", std::process::id()));
        let temporary = At { dir: self.dir, name: Path::new(&name) };
        // An earlier process with the same number may have left one.
        if_exists(temporary.remove_file())?;
        // Not synced: after a power loss the file may be empty, which readers have to detect by its content.
        let written = temporary.create_new(0o644).and_then(|mut file| {
            file.write_all(content)?;
            temporary.rename(self)
        });
        written.inspect_err(|_| {
            // The first error is the one to report.
            let _ = temporary.remove_file();
        })
    }

    /// Opens a file for appending, and creates it if it is absent. A file that has other names (hard links) is refused,
    /// since it may belong to others.
    ///
    /// # Errors
    /// Something else is there, or it cannot be written.
    pub fn append(self) -> Result<File<'d>> {
        let file = self.open_or_create()?;
        // Only for the number of its names: the identity is its own.
        self.check_made(&file.stat()?, file.stat()?.identity())?;
        Ok(file)
    }

    /// As [`At::append`], whatever names the file has: for locks, to which nothing is written.
    pub(crate) fn open_or_create(self) -> Result<File<'d>> {
        // Without `O_EXCL` or `O_TRUNC`: a file that is there is opened as it is.
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW;
        let flags = flags | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = |dir: BorrowedFd<'_>, name: &OsStr| {
            openat(dir, checked(name)?, flags, Mode::from_raw_mode(0o644))
        };
        let file = self.last("open", open).map_err(|error| {
            // How `open(2)` reports a directory, and a fifo without reader or a socket.
            if error.has_errno(&[Errno::ISDIR]) {
                self.other_kind(FileKind::Directory)
            } else if error.has_errno(&[Errno::NXIO]) {
                self.other_kind(FileKind::Special)
            } else {
                error
            }
        });
        File::regular(file?.into(), self)
    }

    /// The target of a symbolic link.
    ///
    /// # Errors
    /// There is no link.
    pub fn read_link(self) -> Result<PathBuf> {
        let target = self.last("read link", |dir, name| readlinkat(dir, name, Vec::new()))?;
        Ok(PathBuf::from(<std::ffi::OsString as std::os::unix::ffi::OsStringExt>::from_vec(
            target.into_bytes(),
        )))
    }

    /// Makes a symbolic link that must not exist.
    ///
    /// # Errors
    /// Something is there, or it cannot be made.
    // The target is not checked: it is a text, which is resolved by whatever follows the link.
    pub fn symlink(self, target: &Path) -> Result<()> {
        self.last("create link", |dir, name| symlinkat(target, dir, checked(name)?))
    }

    /// Creates a hard link `to` to the file here; if this is a symbolic link, the link itself gets the second name.
    ///
    /// # Errors
    /// Something is at `to`, or it cannot be made.
    pub fn hard_link(self, to: At<'_>) -> Result<()> {
        self.both("link", to, |from_dir, from, to_dir, to| {
            linkat(from_dir, from, to_dir, to, AtFlags::empty())
        })
    }

    /// Renames what is here; replaces what is at `to`.
    ///
    /// # Errors
    /// Nothing is here, or it cannot be moved there.
    pub fn rename(self, to: At<'_>) -> Result<()> {
        self.both("rename", to, |from_dir, from, to_dir, to| renameat(from_dir, from, to_dir, to))
    }

    fn both(
        self,
        op: &'static str,
        to: At<'_>,
        act: impl FnOnce(BorrowedFd<'_>, &OsStr, BorrowedFd<'_>, &OsStr) -> rustix::io::Result<()>,
    ) -> Result<()> {
        let mut failed: Option<Error> = None;
        // Both directories are resolved before the call, each beneath its own descriptor.
        let done = to.last(op, |to_dir, to_name| {
            let moved = self.last(op, |from_dir, from_name| {
                act(from_dir, checked(from_name)?, to_dir, checked(to_name)?)
            });
            moved.map_err(|error| {
                let errno = error.errno().unwrap_or(Errno::IO);
                failed = Some(error);
                errno
            })
        });
        // The error of the destination names the better path, unless the directory of the source could not be opened.
        done.map_err(|error| match failed {
            Some(first) if first.op != op => first,
            _ => error,
        })
    }

    /// Opens the directory here, on whatever file system.
    ///
    /// # Errors
    /// It does not exist; a link to a directory does not count as one.
    pub fn open_dir(self) -> Result<Dir> {
        self.dir.sub(self.name, Links::Refused)
    }

    /// As [`At::open_dir`], on the file system of the directory: a mount point is refused.
    ///
    /// # Errors
    /// It does not exist, or something is mounted there.
    pub fn open_dir_of_mount(self) -> Result<Dir> {
        self.dir.open_sub(self.name, Links::Refused, false)
    }

    /// Makes a directory that must not exist.
    ///
    /// # Errors
    /// Something is there, or it cannot be made.
    pub fn make_dir(self) -> Result<Dir> {
        self.make_dir_only()?;
        self.open_dir()
    }

    /// The same, closed to other users.
    ///
    /// # Errors
    /// As for [`At::make_dir`].
    pub fn make_private_dir(self) -> Result<Dir> {
        self.last("create directory", |dir, name| {
            // By the call itself, not by a `chmod` after it: in between others could enter.
            rustix::fs::mkdirat(dir, checked(name)?, Mode::from_raw_mode(0o700))
        })?;
        self.open_dir()
    }

    /// As [`At::make_dir`], without opening it.
    ///
    /// # Errors
    /// As for [`At::make_dir`].
    pub fn make_dir_only(self) -> Result<()> {
        self.last("create directory", |dir, name| {
            rustix::fs::mkdirat(dir, checked(name)?, Mode::from_raw_mode(0o777))
        })
    }

    /// Opens the directory here; creates it if nothing is there.
    ///
    /// # Errors
    /// Something else is there, or it cannot be made.
    pub fn make_dir_if_absent(self) -> Result<Dir> {
        match self.open_dir() {
            // Usually it exists, so opening comes first; another process may create it between the two calls.
            Err(error) if error.is_not_found() => {}
            other => return other,
        }
        match self.make_dir() {
            Err(error) if error.is_exists() => self.open_dir(),
            other => other,
        }
    }

    /// Removes a file or link.
    ///
    /// # Errors
    /// Nothing is there, or a directory.
    pub fn remove_file(self) -> Result<()> {
        self.last("remove", |dir, name| unlinkat(dir, checked(name)?, AtFlags::empty()))
    }

    /// Removes an empty directory.
    ///
    /// # Errors
    /// It is not empty, or no directory.
    pub fn remove_dir(self) -> Result<()> {
        self.last("remove", |dir, name| unlinkat(dir, checked(name)?, AtFlags::REMOVEDIR))
    }

    fn set_times(self, last_modification: Timespec) -> Result<()> {
        // The time of access stays: nothing compares it.
        let last_access = Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT };
        let times = Timestamps { last_access, last_modification };
        self.last("set time of", |dir, name| utimensat(dir, name, &times, AtFlags::SYMLINK_NOFOLLOW))
    }

    /// Sets the modification time to 1970-01-01, so that equal contents have equal times.
    ///
    /// # Errors
    /// Nothing is there, or it belongs to another user.
    pub fn set_mtime_epoch(self) -> Result<()> {
        self.set_times(Timespec { tv_sec: 0, tv_nsec: 0 })
    }

    /// Sets the modification time to the present, of a directory or of a file that has no other name.
    ///
    /// # Errors
    /// As for [`At::set_mtime_epoch`], or the file has another name.
    pub fn set_mtime_now(self) -> Result<()> {
        let stat = self.lstat()?;
        if stat.kind != FileKind::Directory {
            self.check_made(&stat, stat.identity())?;
        }
        self.set_times(Timespec { tv_sec: 0, tv_nsec: UTIME_NOW })
    }

    /// Sets the permission bits of the regular file here, if it has this identity and no other name.
    ///
    /// # Errors
    /// It is another one, or belongs to another user.
    pub fn set_mode_of(self, made: Identity, mode: u32) -> Result<()> {
        // Changed by the descriptor that was checked, not by the name, which another process could exchange in between.
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = self.last("open", |dir, name| openat(dir, name, flags, Mode::empty()))?;
        let stat = call("stat", || self.path(), || rustix::fs::fstat(&file))?;
        self.check_made(&Stat::of(&stat), made)?;
        call("set mode of", || self.path(), || set_mode_of_path_only(file.as_fd(), mode))
    }
}
