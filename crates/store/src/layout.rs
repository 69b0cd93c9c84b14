//! The layout of a build root, and the directories of it that are held open (docs/store.md).

use std::path::Path;

use taut_digest::{Hash, HashFunction, ObjectType};
use taut_sys::{At, Dir};

use crate::Result;

/// How many generations there are; the youngest is number 0.
// Fixed by the reference, as is all of the layout: both tools use and collect one build root.
pub(crate) const GENERATIONS: usize = 2;

/// A kind of stored thing, one directory each, sharded by the first two digits of the name.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub(crate) enum Kind {
    File,
    Executable,
    Tree,
    LargeFile,
    LargeTree,
    ActionCache,
}

/// How many kinds there are.
/// The discriminants are indices into `shards.rs`'s table.
pub(crate) const KIND_COUNT: usize = 6;

impl Kind {
    // The names are those of the reference. In compatible mode a tree lies among the files, since its name is that of
    // its bytes; it is a kind of its own here, too, since it is there only with all that is below it.
    fn directory(self, function: HashFunction) -> &'static str {
        match (self, function) {
            (Kind::File, _) | (Kind::Tree, HashFunction::Sha256) => "casf",
            (Kind::Executable, _) => "casx",
            (Kind::Tree, HashFunction::GitSha1) => "cast",
            (Kind::LargeFile, _) | (Kind::LargeTree, HashFunction::Sha256) => "cas-large-f",
            (Kind::LargeTree, HashFunction::GitSha1) => "cas-large-t",
            (Kind::ActionCache, _) => "ac",
        }
    }

    /// Where the lists of chunks of split objects of this kind lie. Executables are never split: they are made from the
    /// plain file.
    pub(crate) fn in_chunks(self) -> Option<Kind> {
        match self {
            Kind::File => Some(Kind::LargeFile),
            Kind::Tree => Some(Kind::LargeTree),
            _ => None,
        }
    }

    /// The kind of objects of a type.
    pub(crate) fn of(object_type: ObjectType) -> Kind {
        match object_type {
            ObjectType::File | ObjectType::Symlink => Kind::File,
            ObjectType::Executable => Kind::Executable,
            ObjectType::Tree => Kind::Tree,
        }
    }
}

/// What lies below one build root, which is open. Everything else is named relative to that.
#[derive(Debug)]
pub(crate) struct Layout {
    root: Dir,
    // Held open, so that everything below is reached by few components.
    protocol: Dir,
    function: HashFunction,
}

/// The directory of everything that only taut uses, below the build root.
const TAUT_DIRECTORY: &str = "taut";

/// The directory of everything that depends on the hash function.
const PROTOCOL_DIRECTORY: &str = "protocol-dependent";

/// The directory of a generation, below [`PROTOCOL_DIRECTORY`].
pub(crate) fn generation(number: usize) -> String {
    format!("generation-{number}")
}

/// The link of a generation whose target names the epoch directory that belongs to it (`epoch_dirs.rs`).
pub(crate) fn epoch_link(number: usize) -> String {
    format!("generation-{number}/taut")
}

/// Temporary files and directories; on the file system of the stores, so that renames work.
// In the youngest generation, so that the next collection removes what killed processes left.
pub(crate) const EPHEMERAL: &str = "generation-0/ephemeral";

impl Layout {
    /// Opens a build root, making it if need be.
    pub(crate) fn open(build_root: &Path, function: HashFunction) -> Result<Layout> {
        let root = Dir::made_of_user(build_root)?;
        let protocol = root.make_all(PROTOCOL_DIRECTORY)?;
        Ok(Layout { root, protocol, function })
    }

    /// The same, with another hash function.
    pub(crate) fn with(&self, function: HashFunction) -> Result<Layout> {
        Ok(Layout { root: self.root.try_clone()?, protocol: self.protocol.try_clone()?, function })
    }

    /// The directory of everything that depends on the hash function.
    pub(crate) fn protocol(&self) -> &Dir {
        &self.protocol
    }

    pub(crate) fn gc_lock(&self) -> At<'_> {
        self.protocol.at("gc.lock")
    }

    /// The directory of everything that only taut uses.
    pub(crate) fn taut_directory(&self) -> At<'_> {
        self.root.at(TAUT_DIRECTORY)
    }

    /// The directory of one kind in one generation, below [`Layout::protocol`].
    pub(crate) fn store(&self, generation: usize, kind: Kind) -> String {
        format!("generation-{generation}/{}/{}", self.function.layout_name(), kind.directory(self.function))
    }
}

/// The shard and the name in it of an object.
pub(crate) fn shard_and_name(hash: &Hash) -> (u8, String) {
    // The shard is the first byte, as in git's object database.
    let mut hex = hash.to_hex();
    (hash.as_bytes()[0], hex.split_off(2))
}
