//! Where things lie below a build root.

use std::path::{Path, PathBuf};

use taut_digest::{Hash, HashFunction, ObjectType};

/// How many generations there are; the youngest is number 0.
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
pub(crate) const KINDS: usize = 6;

impl Kind {
    fn directory(self) -> &'static str {
        match self {
            Kind::File => "casf",
            Kind::Executable => "casx",
            Kind::Tree => "cast",
            Kind::LargeFile => "cas-large-f",
            Kind::LargeTree => "cas-large-t",
            Kind::ActionCache => "ac",
        }
    }

    /// Where objects of a type lie. In compatible mode a tree is a file like any other.
    pub(crate) fn of(object_type: ObjectType, function: HashFunction) -> Kind {
        match object_type {
            ObjectType::File | ObjectType::Symlink => Kind::File,
            ObjectType::Executable => Kind::Executable,
            ObjectType::Tree if function == HashFunction::Sha256 => Kind::File,
            ObjectType::Tree => Kind::Tree,
        }
    }
}

/// Paths below one build root.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    protocol: PathBuf,
    function: HashFunction,
}

impl Layout {
    pub(crate) fn new(build_root: &Path, function: HashFunction) -> Layout {
        Layout { protocol: build_root.join("protocol-dependent"), function }
    }

    /// The directory of everything that depends on the hash function.
    pub(crate) fn protocol(&self) -> &Path {
        &self.protocol
    }

    pub(crate) fn gc_lock(&self) -> PathBuf {
        self.protocol.join("gc.lock")
    }

    pub(crate) fn generation(&self, number: usize) -> PathBuf {
        self.protocol.join(format!("generation-{number}"))
    }

    /// What names what taut keeps of a generation.
    pub(crate) fn epoch(&self, number: usize) -> PathBuf {
        self.generation(number).join("taut")
    }

    /// The directory of everything that only taut knows.
    pub(crate) fn own(&self) -> PathBuf {
        self.protocol.with_file_name("taut")
    }

    /// Temporary directories; on the file system of the stores, so that renames work.
    pub(crate) fn ephemeral(&self) -> PathBuf {
        self.generation(0).join("ephemeral")
    }

    /// The directory of one kind in one generation.
    pub(crate) fn store(&self, generation: usize, kind: Kind) -> PathBuf {
        self.generation(generation).join(self.function.layout_name()).join(kind.directory())
    }

    /// The file of one object.
    pub(crate) fn object(&self, generation: usize, kind: Kind, hash: &Hash) -> PathBuf {
        let hex = hash.to_hex();
        let (shard, rest) = hex.split_at(2);
        let mut path = self.store(generation, kind);
        path.push(shard);
        path.push(rest);
        path
    }
}
