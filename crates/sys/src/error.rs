//! Errors of file operations: the operation, the path, the cause.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::FileKind;

/// A file-system operation that failed.
#[derive(Debug)]
pub struct Error {
    /// What was tried, as a verb: "create", "rename".
    pub op: &'static str,
    /// Where it was tried.
    pub path: PathBuf,
    /// What the system answered.
    pub source: io::Error,
}

/// The result of a file-system operation.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// An error of operation `op` at `path`.
    pub fn new(op: &'static str, path: &Path, source: impl Into<io::Error>) -> Error {
        Error { op, path: path.to_owned(), source: source.into() }
    }

    /// Whether the path, or one above it, does not exist.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether there is nothing, since the path, or one above it, does not exist or is not a directory.
    pub fn is_absent(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
    }

    /// Whether there is something else than a regular file: a link, a directory, a fifo.
    pub fn is_other_kind(&self) -> bool {
        self.source.get_ref().is_some_and(|inner| inner.is::<OtherKind>())
    }

    /// The system's error number.
    pub(crate) fn errno(&self) -> Option<rustix::io::Errno> {
        let inner = self.source.get_ref().and_then(|inner| inner.downcast_ref::<Obstruction>());
        inner.map(|found| found.errno).or_else(|| rustix::io::Errno::from_io_error(&self.source))
    }

    /// What the system answered, in its words and without what was found in the way.
    pub fn answer(&self) -> String {
        self.errno().map_or_else(|| in_words(&self.source), |errno| in_words(&errno.into()))
    }

    /// The same error, with what was found in the place of a directory on the way.
    pub(crate) fn found(self, path: PathBuf, kind: FileKind) -> Error {
        let Some(errno) = self.errno() else { return self };
        let path = Some(path).filter(|path| *path != self.path);
        let inner = Obstruction { errno, path, kind };
        Error { source: io::Error::new(self.source.kind(), inner), ..self }
    }

    /// Whether the system's error number is one of these.
    pub(crate) fn has_errno(&self, numbers: &[rustix::io::Errno]) -> bool {
        self.errno().is_some_and(|errno| numbers.contains(&errno))
    }

    /// Whether two paths are on different file systems.
    pub fn is_other_file_system(&self) -> bool {
        self.source.kind() == io::ErrorKind::CrossesDevices
    }

    /// Whether permission is denied.
    pub fn is_denied(&self) -> bool {
        self.source.kind() == io::ErrorKind::PermissionDenied
    }

    /// Whether a symbolic link is in the way that is not followed, or that leads out of the directory.
    pub fn is_link_in_the_way(&self) -> bool {
        self.has_errno(&[rustix::io::Errno::LOOP, rustix::io::Errno::XDEV])
    }

    /// Whether there is something already.
    pub fn is_exists(&self) -> bool {
        self.source.kind() == io::ErrorKind::AlreadyExists
    }

    /// Whether the disk or the quota is full.
    pub fn is_full(&self) -> bool {
        matches!(self.source.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A directory may have been opened by "." in itself.
        // `components` leaves out single dots.
        let path: PathBuf = self.path.components().collect();
        write!(f, "cannot {} {}: {}", self.op, path.display(), in_words(&self.source))?;
        match crate::permission::reason(self.op, &path, &self.source) {
            Some(reason) => write!(f, "\n{reason}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// An error of the system in its words, without the number that the standard library adds: it says nothing that the
/// words do not say.
pub fn in_words(error: &io::Error) -> String {
    // The suffix is that of `Display` of `io::Error` in the standard library. Should that change, messages only get
    // longer.
    const WORDS_OF_NUMBERS: &str = " (os error ";
    let text = error.to_string();
    let words = error.raw_os_error().and_then(|_| Some(text.rsplit_once(WORDS_OF_NUMBERS)?.0));
    words.map_or(text.clone(), str::to_owned)
}

/// Something that is not a directory in the place of one, and the system's error number.
#[derive(Debug)]
struct Obstruction {
    errno: rustix::io::Errno,
    /// Where it is, unless that is the path of the error, which the message has already.
    path: Option<PathBuf>,
    kind: FileKind,
}

impl fmt::Display for Obstruction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FileKind::Symlink => "a symbolic link, which is not followed",
            FileKind::Special => "a fifo, socket or device, not a directory",
            // Nothing is found in the place of a directory where there is one.
            FileKind::File | FileKind::Directory => "a file, not a directory",
        };
        match &self.path {
            Some(path) => write!(f, "{} is {what}", path.display()),
            None => write!(f, "it is {what}"),
        }
    }
}

impl std::error::Error for Obstruction {}

/// Something is not a regular file.
#[derive(Debug)]
pub(crate) struct OtherKind(pub(crate) FileKind);

impl fmt::Display for OtherKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            FileKind::Directory => "it is a directory, not a file",
            FileKind::Symlink => "it is a symbolic link, which is not followed",
            FileKind::Special => "it is a fifo, socket or device, not a file",
            FileKind::File => "it is a file",
        })
    }
}

impl std::error::Error for OtherKind {}

/// `None` where the result is that nothing is there.
///
/// # Errors
/// All others.
pub fn if_exists<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}
