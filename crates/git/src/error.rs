//! Why a git repository or one of its objects cannot be read or written.

use std::{error, fmt, path::PathBuf};

use taut_digest::Hash;

use crate::{LinkFault, MAX_OBJECT_SIZE, PathFault};

/// Why a repository or an object cannot be read or written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Error {
    /// There is no git repository at a path.
    NoRepository {
        /// The path.
        path: PathBuf,
        /// What is missing there.
        why: String,
    },
    /// A file `.git` does not say where the git directory is.
    Malformed {
        /// The file.
        path: PathBuf,
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
    /// An object that others refer to is not in the repository, or of another kind.
    Missing {
        /// The repository.
        path: PathBuf,
        /// The object.
        id: Hash,
        /// The kind of object that should be there.
        kind: &'static str,
    },
    /// The repository cannot be written.
    Unwritable {
        /// The repository.
        path: PathBuf,
        /// The system's answer, with the file.
        why: String,
    },
    /// The content that was to be stored cannot be read.
    Content {
        /// What reading it answered.
        why: String,
    },
    /// A blob is larger than [`MAX_OBJECT_SIZE`], so it could not be read back.
    TooLarge {
        /// Its size in bytes.
        size: u64,
    },
    /// A path cannot be in a tree.
    Path {
        /// The path, as text.
        path: String,
        /// What is wrong with it.
        fault: PathFault,
    },
    /// A link cannot be replaced by what it leads to.
    Link {
        /// The tree whose links are replaced.
        tree: Hash,
        /// The path of the link in the tree, as text.
        link: String,
        /// What is wrong with it.
        fault: LinkFault,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::NoRepository { path, why } => {
                write!(f, "{} is not a git repository: {why}", path.display())
            }
            Error::Malformed { path } => {
                write!(f, "the file {} does not lead to a git directory (\"gitdir: …\")", path.display())
            }
            Error::Damaged { path, id, why } => {
                write!(f, "object {} of git repository {} cannot be read: {why}", id.to_hex(), path.display())
            }
            Error::Missing { path, id, kind } => {
                write!(f, "git repository {} has no {kind} {}", path.display(), id.to_hex())
            }
            Error::Unwritable { path, why } => {
                write!(f, "git repository {} cannot be written: {why}", path.display())
            }
            Error::Content { why } => f.write_str(why),
            Error::TooLarge { size } => {
                write!(f, "a blob of {size} bytes is too large, the limit is {MAX_OBJECT_SIZE}")
            }
            Error::Path { path, fault } => write!(f, "{path:?} cannot be in a tree: {fault}"),
            Error::Link { tree, link, fault } => {
                write!(f, "symbolic link {link:?} of tree {} {fault}", tree.to_hex())
            }
        }
    }
}

impl error::Error for Error {}

/// The result of reading or writing a repository.
pub type Result<T> = std::result::Result<T, Error>;
