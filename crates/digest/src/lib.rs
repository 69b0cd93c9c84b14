//! Hash functions, object identifiers, git blobs and trees.
//!
//! Everything taut stores is named by its content. Which function computes the name is a run-time
//! choice ([`HashFunction`]): git's own object ids in native mode, so that a git tree is a root
//! without being read, or plain SHA-256 as standard Remote Execution services use it.
//!
//! What this crate does not know: files, stores, and what an id is used for.

#![deny(missing_docs)]

mod chunk;
mod function;
mod hash;
mod object;
mod tree;

pub use chunk::{MAX_CHUNK_BYTES, first_chunk};
pub use function::{ContentHasher, HashFunction};
pub use hash::{Hash, ParseHashError};
pub use object::{Digest, ObjectInfo, ObjectType, ParseObjectInfoError};
pub use tree::{
    RawTreeEntry, TreeEntry, TreeError, decode_git_tree, encode_git_tree, parse_git_tree, validate_entry_name,
};

/// How many hexadecimal digits of an id messages show, and identify an action in a command line.
pub const ID_DIGITS: usize = 12;
