//! What a failed system call says: the operation, the path, the cause.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

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

    /// Whether something is there already.
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
        write!(f, "cannot {} {}: {}", self.op, self.path.display(), self.source)?;
        match crate::refused::reason(self.op, &self.path, &self.source) {
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
