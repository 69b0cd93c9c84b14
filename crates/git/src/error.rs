//! Why a git repository or one of its objects cannot be read.

use std::{error, fmt, path::PathBuf};

use taut_digest::Hash;

/// Why a repository or an object cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// There is no git repository at a path.
    NoRepository {
        /// The path.
        path: PathBuf,
        /// What is missing there.
        why: String,
    },
    /// An object is there but cannot be read, or its content does not have its hash.
    Damaged {
        /// The repository.
        path: PathBuf,
        /// The object.
        id: Hash,
        /// What is wrong with it.
        why: String,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoRepository { path, why } => {
                write!(f, "{} is no git repository: {why}", path.display())
            }
            Error::Damaged { path, id, why } => {
                write!(f, "object {} of git repository {} cannot be read: {why}", id.to_hex(), path.display())
            }
        }
    }
}

impl error::Error for Error {}

/// The result of reading a repository.
pub type Result<T> = std::result::Result<T, Error>;
