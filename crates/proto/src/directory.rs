//! Directories in the standard form of the API, as services have them: git's trees are those of taut's own store.
//!
//! Tags are those of `build/bazel/remote/execution/v2/remote_execution.proto`. A digest of a `Directory` is a name only
//! if the message is canonical: entries of each kind sorted by name, no name twice. What comes from others is therefore
//! kept as the bytes that were hashed ([`TreeBytes`]), and checked when it is read.

use prost::Message;

use crate::Digest;

/// A directory.
#[derive(Clone, PartialEq, Message)]
pub struct Directory {
    /// Sorted by name.
    #[prost(message, repeated, tag = "1")]
    pub files: Vec<FileNode>,
    /// Sorted by name.
    #[prost(message, repeated, tag = "2")]
    pub directories: Vec<DirectoryNode>,
    /// Sorted by name.
    #[prost(message, repeated, tag = "3")]
    pub symlinks: Vec<SymlinkNode>,
    // 5, properties of the directory, is not read: what others made is named by its bytes, which are kept.
}

/// A file in a directory.
#[derive(Clone, PartialEq, Message)]
pub struct FileNode {
    /// One component of a path.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its content.
    #[prost(message, optional, tag = "2")]
    pub digest: Option<Digest>,
    /// Whether it is executable.
    #[prost(bool, tag = "4")]
    pub is_executable: bool,
}

/// A directory in a directory.
#[derive(Clone, PartialEq, Message)]
pub struct DirectoryNode {
    /// One component of a path.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Of its [`Directory`] message.
    #[prost(message, optional, tag = "2")]
    pub digest: Option<Digest>,
}

/// A symbolic link in a directory.
#[derive(Clone, PartialEq, Message)]
pub struct SymlinkNode {
    /// One component of a path.
    #[prost(string, tag = "1")]
    pub name: String,
    /// The path it points to.
    #[prost(string, tag = "2")]
    pub target: String,
}

/// A `Tree` message: a [`Directory`] with all that are below it, each as its bytes, which its digest is about.
#[derive(Clone, PartialEq, Message)]
pub struct TreeBytes {
    /// The directory at the top.
    #[prost(bytes = "vec", tag = "1")]
    pub root: Vec<u8>,
    /// The directories below, each once.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub children: Vec<Vec<u8>>,
}
