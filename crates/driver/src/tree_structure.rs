//! The structure of a tree: the same tree with empty files.
//!
//! Directories, names and whether files are executable stay. A link has no content that could be left out, and git has
//! no empty link: a tree with one has no structure, as in the reference.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use taut_digest::{Hash, HashFunction, ObjectType, TreeEntry, encode_git_tree, parse_git_tree};
use taut_engine::{Cx, Fail, Key, Policy, Rule};
use taut_git::{Batch, Kind, ObjectSink as _};
use taut_repos::{ComputedRoot, SourceRoot};
use taut_syntax::Diagnostic;
use taut_value::{deep, quoted};

use crate::{
    root_failure::RootFailure,
    root_work::{Work, lock},
};

/// A tree by its id.
#[derive(Clone)]
pub(crate) struct StructureKey {
    pub(crate) tree: Hash,
    /// Where it can be read; not part of the key.
    pub(crate) source: Arc<dyn SourceRoot>,
    /// What it is asked for, for errors; not part of the key.
    pub(crate) root: ComputedRoot,
}

impl fmt::Debug for StructureKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.tree.to_hex())
    }
}

impl PartialEq for StructureKey {
    fn eq(&self, other: &StructureKey) -> bool {
        self.tree == other.tree
    }
}

impl Eq for StructureKey {}

impl std::hash::Hash for StructureKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.tree.hash(state);
    }
}

impl Key for StructureKey {
    /// The bytes of the id.
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.tree.as_bytes());
    }

    // The bytes do not say where the tree is. The task is found by them when the root is asked for again.
    fn decode(_: &[u8]) -> Option<StructureKey> {
        None
    }
}

/// Computes structures.
pub(crate) struct StructureRule(pub(crate) Arc<Work>);

impl Rule for StructureRule {
    type Key = StructureKey;
    type Value = Hash;
    const NAME: &'static str = "tree structure";

    fn policy(&self, _: &StructureKey) -> Policy {
        // One run: a tree has one structure.
        Policy::constructive(1)
    }

    async fn value(&self, key: &StructureKey, _: Cx) -> Result<Hash, Fail> {
        self.0.structure(key).map_err(Fail::transient)
    }

    fn content_hash(&self, _: &StructureKey, tree: &Hash) -> Option<taut_engine::Hash> {
        Some(taut_engine::Hash(taut_value::Id::of(tree.as_bytes()).0))
    }

    fn encode_value(&self, _: &StructureKey, tree: &Hash) -> Option<Vec<u8>> {
        Some(tree.as_bytes().to_vec())
    }

    /// Refuses a tree that is not in the git repository: the run is not good then, and the tree is made again.
    fn decode_value(&self, _: &StructureKey, bytes: &[u8]) -> Option<Hash> {
        Hash::from_bytes(bytes).filter(|tree| self.0.has_tree(tree))
    }
}

impl Work {
    fn structure(&self, key: &StructureKey) -> Result<Hash, RootFailure> {
        if !self.computer.computes {
            return Err(RootFailure::not_known());
        }
        // Held for the whole import (`Work::importing`).
        let _importing = lock(&self.importing);
        let writer = self.writer().map_err(failed)?;
        let mut structure = Structure {
            work: self,
            key,
            batch: writer.batch(),
            empty: HashFunction::GitSha1.blob(b""),
            known: HashMap::new(),
            link: None,
        };
        // Git has no empty file by itself: it has to be written like any other.
        structure.batch.blob(b"").map_err(failed)?;
        // All of it before the first error is reported, as the message needs the id of the result.
        let tree = structure.of(key.tree, "")?;
        // Only now, since the reference's message has the id. The batch is not finished, so nothing of it appears.
        if let Some(link) = structure.link {
            let message = format!("{} is a symbolic link: a tree with links has no structure", quoted(&link));
            let hex = tree.to_hex();
            let reference = format!(
                "While importing the resulting tree structure {hex} to git:\nFailed to stage {hex} to a temporary location."
            );
            return Err(RootFailure::of(Diagnostic::error(message).reference(reference)));
        }
        structure.batch.finish().map_err(failed)?;
        let message = format!("Import {}", tree.to_hex());
        // Git's garbage collection removes what no reference reaches.
        writer.keep_as_commit(&tree, &message).map_err(failed)?;
        Ok(tree)
    }
}

fn failed(error: impl fmt::Display) -> RootFailure {
    RootFailure::of(Diagnostic::error(error.to_string()))
}

struct Structure<'s> {
    work: &'s Work,
    key: &'s StructureKey,
    batch: Batch<'s>,
    empty: Hash,
    /// The structures of trees so far.
    known: HashMap<Hash, Hash>,
    /// The first link.
    link: Option<String>,
}

impl Structure<'_> {
    /// The structure of a tree at a path.
    fn of(&mut self, tree: Hash, path: &str) -> Result<Hash, RootFailure> {
        // Equal trees occur often (vendored copies), and each has one structure.
        if let Some(known) = self.known.get(&tree) {
            return Ok(*known);
        }
        let content = self.content(&tree)?;
        let entries = parse_git_tree(&content, tree.as_bytes().len());
        let entries =
            entries.map_err(|error| failed(format!("Tree {} cannot be used: {error}", tree.to_hex())))?;
        let mut made: BTreeMap<&[u8], TreeEntry> = BTreeMap::new();
        for entry in &entries {
            let name = String::from_utf8_lossy(entry.name);
            let at = if path.is_empty() { name.into_owned() } else { format!("{path}/{name}") };
            let object_type = entry.object_type.ok_or_else(|| {
                failed(format!("{} is a submodule: a tree with submodules has no structure", quoted(&at)))
            })?;
            if object_type == ObjectType::Symlink {
                self.link.get_or_insert_with(|| at.clone());
            }
            let hash = match object_type {
                // With a stack that grows: how deep a tree is, its author decides.
                ObjectType::Tree => deep(|| self.of(entry.hash, &at))?,
                _ => self.empty,
            };
            made.insert(entry.name, TreeEntry { hash, object_type });
        }
        let structure = self.batch.tree(&encode_git_tree(&made)).map_err(failed)?;
        self.known.insert(tree, structure);
        Ok(structure)
    }

    /// A tree in git's encoding: of the root, or of the build root, which may have that of an absent root.
    fn content(&self, tree: &Hash) -> Result<Vec<u8>, RootFailure> {
        let Structure { work, key, .. } = self;
        let of_root = key.source.object(tree, ObjectType::Tree).map_err(failed);
        let of_build_root = || {
            let object = self.batch.writer().repository().read(tree).map_err(failed)?;
            if let Some(object) = object.filter(|object| object.kind == Kind::Tree) {
                return Ok(Some(object.content));
            }
            work.computer.store.read(tree, ObjectType::Tree).map_err(failed)
        };
        let found = of_root.and_then(|found| found.map_or_else(of_build_root, |content| Ok(Some(content))));
        match found {
            Ok(Some(content)) => Ok(content),
            Ok(None) if key.source.is_absent() => Err(RootFailure::tree_is_absent(&key.root, tree)),
            lost => {
                // Relaxed: only ever set, and read when the engine has handed over the failure.
                work.has_lost.store(true, Relaxed);
                let root = key.source.shown("");
                Err(lost.err().unwrap_or_else(|| {
                    failed(format!("There is no tree {} in {}", tree.to_hex(), root.display()))
                }))
            }
        }
    }
}
