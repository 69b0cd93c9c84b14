//! The artifacts of a target as a tree in a git repository.
//!
//! Empty directories are left out, at any depth: the reference commits a directory with the artifacts, and so does git.

use std::collections::{BTreeMap, HashMap};

use taut_digest::{Hash, HashFunction, ObjectType, TreeEntry, encode_git_tree};
use taut_exec::Built;
use taut_git::{Batch, ObjectSink as _, TreeBuilder, Writer};
use taut_store::Store;
use taut_value::{Str, deep, path::normal_path, quoted};

/// The message of the commits that protect trees, as the reference writes it.
const MESSAGE: &str = "computed root";

/// Writes the tree that has these artifacts at their paths, with all that is below, and protects it from `git gc`.
/// Returns its id.
///
/// # Errors
/// A path leads out of the tree, an object is lost, or something cannot be written.
pub(crate) fn import(store: &Store, writer: &Writer, artifacts: &[(Str, Built)]) -> Result<Hash, String> {
    let failed = |error: taut_git::Error| error.to_string();
    let mut import = Import { store, batch: writer.batch(), trees: HashMap::new() };
    let mut tree = TreeBuilder::new();
    let mut whole = None;
    for (path, built) in artifacts {
        let entry = TreeEntry { hash: built.info.digest.hash, object_type: built.info.object_type };
        let normal = normal_path(path);
        let is_whole = normal == "." && entry.object_type == ObjectType::Tree && artifacts.len() == 1;
        let components: Vec<&str> = normal.split('/').collect();
        // The first component suffices: after normalising, `..` is only at the beginning, and "" only of absolute
        // paths.
        if matches!(components[0], "" | "." | "..") && !is_whole {
            return Err(format!("The artifact at {} would be outside of the root", quoted(path)));
        }
        let Some(entry) = import.object(entry)? else { continue };
        if is_whole {
            whole = Some(entry.hash);
        } else {
            tree.put(&components, entry).map_err(failed)?;
        }
    }
    let Import { mut batch, .. } = import;
    let tree = match whole {
        Some(tree) => tree,
        None => tree.write(&mut batch).map_err(failed)?,
    };
    batch.finish().map_err(failed)?;
    // Last: a tag never names a tree that is not complete.
    writer.keep_as_commit(&tree, MESSAGE).map_err(failed)?;
    Ok(tree)
}

struct Import<'i> {
    store: &'i Store,
    batch: Batch<'i>,
    /// The trees so far, without empty directories; `None`: nothing is left of it.
    // By the hash of the store: a tree that occurs at many paths is written once.
    trees: HashMap<Hash, Option<Hash>>,
}

impl Import<'_> {
    /// Writes an object with all that is below, children first; `None` if it is a directory without files.
    fn object(&mut self, entry: TreeEntry) -> Result<Option<TreeEntry>, String> {
        let failed = |error: taut_store::Error| error.to_string();
        if entry.object_type != ObjectType::Tree {
            // Another root may have brought it: then it is not even read from the store. In compatible mode git has
            // another name for it.
            let is_id = self.store.hash_function() == HashFunction::GitSha1;
            if is_id && self.batch.has(&entry.hash).map_err(|error| error.to_string())? {
                return Ok(Some(entry));
            }
            let content = self.store.read(&entry.hash, entry.object_type).map_err(failed)?;
            let content = content.ok_or_else(|| lost(&entry))?;
            let hash = self.batch.blob(&content).map_err(|error| error.to_string())?;
            return Ok(Some(TreeEntry { hash, ..entry }));
        }
        let tree = match self.trees.get(&entry.hash) {
            Some(known) => *known,
            None => {
                let entries = self.store.read_tree(&entry.hash).map_err(failed)?;
                let tree = self.directory(entries.ok_or_else(|| lost(&entry))?)?;
                self.trees.insert(entry.hash, tree);
                tree
            }
        };
        Ok(tree.map(|hash| TreeEntry { hash, object_type: ObjectType::Tree }))
    }

    fn directory(&mut self, entries: BTreeMap<Vec<u8>, TreeEntry>) -> Result<Option<Hash>, String> {
        let mut left = BTreeMap::new();
        for (name, entry) in entries {
            if let Some(entry) = deep(|| self.object(entry))? {
                left.insert(name, entry);
            }
        }
        if left.is_empty() {
            return Ok(None);
        }
        self.batch.tree(&encode_git_tree(&left)).map(Some).map_err(|error| error.to_string())
    }
}

fn lost(entry: &TreeEntry) -> String {
    format!("Object {} is no longer in the build root", entry.hash.to_hex())
}
