//! The commits and tags that protect trees from `git gc`.
//!
//! Both are byte for byte those of just-mr 1.6.5 (`tests/writing.rs` has its ids), so a cache that both write has each
//! only once.

use taut_digest::Hash;

use crate::Kind;

/// What the names of the tags begin with; the id of the object follows.
pub(crate) const KEEP: &str = "keep-";

/// Author, committer and tagger: always the same, so that equal trees have equal commits.
const IDENTITY: &str = include_str!("keep_identity.txt");

/// The message of tags.
const MESSAGE: &str = include_str!("keep_message.txt");

/// A commit without parents; a newline follows the message.
pub(crate) fn commit(tree: &Hash, message: &str) -> Vec<u8> {
    format!("tree {}\nauthor {IDENTITY}\ncommitter {IDENTITY}\n\n{message}\n", tree.to_hex()).into_bytes()
}

/// A tag of this name.
pub(crate) fn tag(name: &str, kind: Kind, id: &Hash) -> Vec<u8> {
    let (id, kind) = (id.to_hex(), kind.name());
    // No newline at the end, unlike the tags of `git tag`: just-mr writes none, and it would change the id.
    format!("object {id}\ntype {kind}\ntag {name}\ntagger {IDENTITY}\n\n{MESSAGE}").into_bytes()
}
