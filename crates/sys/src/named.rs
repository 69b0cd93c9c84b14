//! Paths that the user wrote, resolved as the user's shell would resolve them.
//!
//! This is the only way from a path to a file: the directory is opened by its path, everything after that goes through
//! it ([`crate::At`]). Nothing below a build root, a workspace root, an action's directory or an output directory is
//! reached in this way.
#![allow(clippy::disallowed_methods, reason = "this is where paths of the user are resolved")]

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use rustix::{
    fs::{Access, AtFlags, Mode, OFlags, accessat, openat},
    io::Errno,
};

use crate::{
    At, Dir, Error, File, Result, Stat,
    dir::call,
    fault::{self, NamedBy},
};

/// A file that the user named: its directory, which is open, and its name.
#[derive(Debug)]
pub struct Named {
    dir: Dir,
    name: OsString,
}

impl Named {
    /// Opens the directory that the path leads to.
    ///
    /// # Errors
    /// It does not exist.
    pub fn of_user(path: &Path) -> Result<Named> {
        let name = path.file_name();
        let above = path.parent().filter(|above| !above.as_os_str().is_empty());
        match (above, name) {
            (above, Some(name)) => {
                Ok(Named { dir: Dir::of_user(above.unwrap_or(Path::new(".")))?, name: name.to_owned() })
            }
            // The path ends in `..` or is the root.
            (_, None) => Ok(Named { dir: Dir::of_user(path)?, name: ".".into() }),
        }
    }

    /// As [`Named::of_user`]; directories that do not exist are created.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn made_of_user(path: &Path) -> Result<Named> {
        if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
            Dir::made_of_user(above)?;
        }
        Named::of_user(path)
    }

    /// The file as a name in the directory.
    pub fn at(&self) -> At<'_> {
        self.dir.at(&self.name)
    }

    /// The `stat` of what is there; links are followed.
    ///
    /// # Errors
    /// Nothing is there.
    pub fn stat(path: &Path) -> Result<Stat> {
        Ok(Stat::of(&call("stat", || path.to_owned(), || rustix::fs::stat(path))?))
    }

    /// The `stat` of what is there; a link is not followed.
    ///
    /// # Errors
    /// Nothing is there.
    pub fn lstat(path: &Path) -> Result<Stat> {
        Ok(Stat::of(&call("stat", || path.to_owned(), || rustix::fs::lstat(path))?))
    }

    /// The target of the symbolic link that the path leads to.
    ///
    /// # Errors
    /// There is no link.
    pub fn read_link(path: &Path) -> Result<PathBuf> {
        Named::of_user(path)?.at().read_link()
    }

    /// The whole content of what the path leads to, be it a file, a pipe or a device: `<(…)` of a shell is such a path.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn read(path: &Path) -> Result<Vec<u8>> {
        let check = || fault::check(NamedBy::Name, "read", || path.to_owned());
        // `fs::read` rather than a `File`: the size of a pipe is unknown, and it is read once.
        let read = || check().and_then(|()| fs::read(path));
        read().map_err(|source| Error { op: "read", path: path.to_owned(), source })
    }

    /// Opens what the path leads to for writing, be it a file, a pipe or a device; a file is truncated first, unless
    /// `append`.
    ///
    /// # Errors
    /// It cannot be opened for writing.
    pub fn write(&self, append: bool) -> Result<File<'_>> {
        let how = if append { OFlags::APPEND } else { OFlags::TRUNC };
        // Links are followed: a path of the user may well be one, such as `/dev/stdout`.
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::CLOEXEC | how;
        let open = || openat(&self.dir, &self.name, flags, Mode::from_raw_mode(0o666));
        Ok(File::new(call("create", || self.at().path(), open)?.into(), self.at()))
    }

    /// Whether a file could be written at this path now, by a look that changes nothing: it may be overtaken. Neither a
    /// pipe nor a device is looked at, nor what a link leads to that does not exist.
    ///
    /// # Errors
    /// The directory does not exist, or what is there or the directory refuses.
    pub fn check_writable(path: &Path) -> Result<()> {
        let named = Named::of_user(path)?;
        let (dir, name) = (&named.dir, &*named.name);
        let may = |name: &Path, access| accessat(dir, name, access, AtFlags::EACCESS);
        let answer = match (Named::stat(path), Named::lstat(path)) {
            (Ok(stat), _) if stat.is_dir() => Err(Errno::ISDIR),
            (Ok(stat), _) if stat.is_file() => may(Path::new(name), Access::WRITE_OK),
            (Err(_), Err(error)) if error.is_not_found() => {
                may(Path::new("."), Access::WRITE_OK | Access::EXEC_OK)
            }
            _ => Ok(()),
        };
        // The error is that of the call that would be refused.
        answer.map_err(|errno| Error { op: "create", path: named.at().path(), source: errno.into() })
    }
}

/// The absolute path without links; all of it must exist.
///
/// # Errors
/// Something on the way does not exist.
pub fn canonical(path: &Path) -> Result<PathBuf> {
    let check = || fault::check(NamedBy::Name, "resolve", || path.to_owned());
    let resolve = || check().and_then(|()| fs::canonicalize(path));
    resolve().map_err(|source| Error { op: "resolve", path: path.to_owned(), source })
}

/// An absolute path without `.` and `..`, by its text alone: the file need not exist.
pub fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                // As text: `a/link/..` becomes `a`, which differs from what the kernel resolves if `link` is one. For
                // paths that are compared or shown, not opened.
                normal.pop();
            }
            part => normal.push(part),
        }
    }
    normal
}

/// Whether a path leads to a file that can be executed, by the test of a search in `PATH`.
pub fn is_program(path: &Path) -> bool {
    Named::stat(path).is_ok_and(|stat| stat.is_file() && stat.mode() & 0o111 != 0)
}
