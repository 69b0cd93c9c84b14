//! The hash function of a build root, chosen at run time.

use sha1::{Digest as _, Sha1};
use sha2::Sha256;

use crate::Hash;

/// How contents are named.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, PartialOrd, Ord)]
// The order is part of nothing that is stored: formats have names, not numbers, for it.
pub enum HashFunction {
    /// Git's object ids: SHA-1 over a typed header and the content. Blobs and trees differ.
    GitSha1,
    /// Plain SHA-256 of the bytes, as in the standard Remote Execution protocol. Trees are
    /// serialised `Directory` messages and hashed like any other content.
    Sha256,
}

impl HashFunction {
    /// The id of a file's (or symlink's) content.
    pub fn blob(self, content: &[u8]) -> Hash {
        self.typed("blob", content)
    }

    /// The id of an encoded tree.
    pub fn tree(self, encoded: &[u8]) -> Hash {
        self.typed("tree", encoded)
    }

    /// An incremental hasher for a file whose size in bytes is known beforehand: git's header, which is hashed first,
    /// contains it.
    pub fn blob_hasher(self, size: u64) -> ContentHasher {
        self.typed_hasher("blob", size)
    }

    /// The same for an encoded tree.
    pub fn tree_hasher(self, size: u64) -> ContentHasher {
        self.typed_hasher("tree", size)
    }

    /// The name of the directory of a build root that holds objects of this kind.
    pub fn layout_name(self) -> &'static str {
        match self {
            HashFunction::GitSha1 => "git-sha1",
            HashFunction::Sha256 => "compatible-sha256",
        }
    }

    fn typed(self, kind: &str, content: &[u8]) -> Hash {
        let mut hasher = self.typed_hasher(kind, content.len() as u64);
        hasher.update(content);
        hasher.finish()
    }

    fn typed_hasher(self, kind: &str, size: u64) -> ContentHasher {
        match self {
            // git hashes `<type> <size>\0` and the content (`git hash-object`), so a blob and a tree with equal bytes
            // differ.
            HashFunction::GitSha1 => {
                let mut hasher = Sha1::new();
                hasher.update(kind.as_bytes());
                hasher.update(b" ");
                hasher.update(size.to_string().as_bytes());
                hasher.update([0]);
                ContentHasher(Inner::Sha1(hasher))
            }
            // Without a header: the protocol names blobs by the hash of their bytes alone.
            HashFunction::Sha256 => ContentHasher(Inner::Sha256(Sha256::new())),
        }
    }
}

/// Hashes a content piece by piece.
pub struct ContentHasher(Inner);

// An enum, not a trait object: two functions, and the choice is one branch for each piece.
enum Inner {
    Sha1(Sha1),
    Sha256(Sha256),
}

impl ContentHasher {
    /// Feeds the next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.0 {
            Inner::Sha1(hasher) => hasher.update(bytes),
            Inner::Sha256(hasher) => hasher.update(bytes),
        }
    }

    /// The id of all bytes fed.
    pub fn finish(self) -> Hash {
        match self.0 {
            Inner::Sha1(hasher) => Hash::sha1(hasher.finalize().into()),
            Inner::Sha256(hasher) => Hash::sha256(hasher.finalize().into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_contents_as_git_does() {
        let git = HashFunction::GitSha1;
        assert_eq!(git.blob(b"").to_hex(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
        assert_eq!(git.blob(b"HELLO WORLD\n").to_hex(), "4e3dffe834ac70600a7cb71fbc1f6a694c9d041f");
        assert_eq!(git.tree(b"").to_hex(), "4b825dc642cb6eb9a060e54bf8d69288fbee4904");
    }

    #[test]
    fn compatible_mode_is_plain_sha256() {
        let hex = HashFunction::Sha256.blob(b"").to_hex();
        assert_eq!(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(Hash::from_hex(&hex).map(|h| h.to_hex()), Ok(hex));
    }
}
