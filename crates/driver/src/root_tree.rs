//! The artifacts of a target as a tree in a git repository.

use std::collections::BTreeMap;

use taut_digest::{Hash, ObjectType, TreeEntry};
use taut_exec::Built;
use taut_git::{Batch, ObjectSink as _, TreeBuilder, Writer};
use taut_store::Store;
use taut_value::{Str, path::normal_path, quoted};

/// The message of the commits that protect trees, as the reference writes it.
const MESSAGE: &str = "computed root";

/// Writes the tree that has these artifacts at their paths, with all that is below, and protects it from `git gc`.
/// Returns its id.
///
/// # Errors
/// A path leads out of the tree, an object is lost, or something cannot be written.
pub(crate) fn import(store: &Store, writer: &Writer, artifacts: &[(Str, Built)]) -> Result<Hash, String> {
    let failed = |error: taut_git::Error| error.to_string();
    let mut batch = writer.batch();
    let mut tree = TreeBuilder::new();
    let mut whole = None;
    for (path, built) in artifacts {
        let entry = TreeEntry { hash: built.info.digest.hash, object_type: built.info.object_type };
        copy(store, entry, &mut batch)?;
        let normal = normal_path(path);
        if normal == "." && entry.object_type == ObjectType::Tree && artifacts.len() == 1 {
            // The whole root is one artifact.
            whole = Some(entry.hash);
            continue;
        }
        let components: Vec<&str> = normal.split('/').collect();
        if matches!(components[0], "" | "." | "..") {
            return Err(format!("The artifact at {} would be outside of the root", quoted(path)));
        }
        tree.put(&components, entry).map_err(failed)?;
    }
    let tree = match whole {
        Some(tree) => tree,
        None => tree.write(&mut batch).map_err(failed)?,
    };
    batch.finish().map_err(failed)?;
    writer.keep_as_commit(&tree, MESSAGE).map_err(failed)?;
    Ok(tree)
}

/// Copies an object with all that is below, children first. What the repository has is complete there.
fn copy(store: &Store, entry: TreeEntry, batch: &mut Batch<'_>) -> Result<(), String> {
    // Trees whose entries are being copied; the depth of a tree has no limit.
    let mut open: Vec<(Hash, BTreeMap<Vec<u8>, TreeEntry>)> = Vec::new();
    let mut next = Some(entry);
    loop {
        if let Some(entry) = next.take()
            && !batch.has(&entry.hash).map_err(|error| error.to_string())?
        {
            match entry.object_type {
                ObjectType::Tree => {
                    let entries = store.read_tree(&entry.hash).map_err(|error| error.to_string())?;
                    open.push((entry.hash, entries.ok_or_else(|| lost(&entry))?));
                }
                _ => copy_blob(store, &entry, batch)?,
            }
        }
        let Some((hash, entries)) = open.last_mut() else { return Ok(()) };
        match entries.pop_first() {
            Some((_, entry)) => next = Some(entry),
            None => {
                let tree = TreeEntry { hash: *hash, object_type: ObjectType::Tree };
                let encoded = store.read(hash, ObjectType::Tree).map_err(|error| error.to_string())?;
                batch.tree(&encoded.ok_or_else(|| lost(&tree))?).map_err(|error| error.to_string())?;
                open.pop();
            }
        }
    }
}

fn lost(entry: &TreeEntry) -> String {
    format!("Object {} is not in the build root any more", entry.hash.to_hex())
}

fn copy_blob(store: &Store, entry: &TreeEntry, batch: &mut Batch<'_>) -> Result<(), String> {
    let content = store.read(&entry.hash, entry.object_type).map_err(|error| error.to_string())?;
    let content = content.ok_or_else(|| lost(entry))?;
    batch.blob(&content).map(drop).map_err(|error| error.to_string())
}
