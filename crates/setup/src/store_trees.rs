//! Trees of the store, copied into a git repository, and the other way: both name objects by the same ids.

use std::path::Path;

use taut_digest::{Hash, HashFunction, ObjectInfo, ObjectType, decode_git_tree};
use taut_git::{Batch, Kind, ObjectSink, Repository};
use taut_store::Store;
use taut_sys::Dir;

use crate::cache::Cache;

/// Copies a tree with all that is below it. Returns whether all of it was there.
pub(crate) fn copy_tree(store: &Store, tree: &Hash, batch: &mut Batch<'_>) -> Result<bool, String> {
    enum CopyStep {
        Enter(Hash),
        /// Everything below was copied.
        Leave(Vec<u8>),
    }
    let mut todo = vec![CopyStep::Enter(*tree)];
    while let Some(step) = todo.pop() {
        let tree = match step {
            CopyStep::Enter(tree) => tree,
            CopyStep::Leave(encoded) => {
                batch.tree(&encoded).map_err(|error| error.to_string())?;
                continue;
            }
        };
        // With all below it, since trees are written last.
        if batch.has(&tree).map_err(|error| error.to_string())? {
            continue;
        }
        // The bytes as they are: of entries alone, others could be made, with another name.
        let encoded = store.read(&tree, ObjectType::Tree).map_err(|error| error.to_string())?;
        let Some(encoded) = encoded else { return Ok(false) };
        let Ok(entries) = decode_git_tree(&encoded, 20) else { return Ok(false) };
        todo.push(CopyStep::Leave(encoded));
        for entry in entries.values() {
            if entry.object_type == ObjectType::Tree {
                todo.push(CopyStep::Enter(entry.hash));
                continue;
            }
            let content = store.read(&entry.hash, entry.object_type).map_err(|error| error.to_string())?;
            // What was copied so far stays in the batch, which the caller drops.
            let Some(content) = content else { return Ok(false) };
            batch.blob(&content).map_err(|error| error.to_string())?;
        }
    }
    Ok(true)
}

/// Copies an object with all that is below it into the store, if a git repository of the build root has all of it.
/// Returns whether one does.
///
/// # Errors
/// The store cannot be written, or the repositories of the build root cannot be locked.
pub fn take_from_git(
    build_root: &Path,
    store: &Store,
    id: &Hash,
    object_type: ObjectType,
) -> Result<bool, String> {
    // Where nothing was ever set up, nothing is made.
    if Dir::of_user(&build_root.join("repositories")).is_err() {
        return Ok(false);
    }
    // With its lock, so that a concurrent `gc` does not remove what is being read.
    let cache = Cache::open(build_root).map_err(|error| error.to_string())?;
    let youngest = cache.has_git().then(|| cache.git());
    for path in youngest.into_iter().chain(cache.older().map(|(_, path)| path)) {
        if take(&Repository::new(path), store, id, object_type)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Copies objects that the store lacks into it, each with all that is below it, if the git repository at a path has
/// them.
///
/// # Errors
/// There is no repository, or the store cannot be read or written.
pub fn take_from_repository(
    path: &Path,
    store: &Store,
    objects: impl IntoIterator<Item = ObjectInfo>,
) -> Result<(), TakeError> {
    let repository = Repository::new(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    // What git calls the empty tree: asked for to find out whether there is a repository at all.
    repository.read(&HashFunction::GitSha1.tree(b"")).map_err(TakeError::NoRepository)?;
    for ObjectInfo { digest, object_type } in objects {
        take(&repository, store, &digest.hash, object_type).map_err(TakeError::Store)?;
    }
    Ok(())
}

/// Why objects of a git repository cannot be copied into the store.
#[derive(Debug)]
pub enum TakeError {
    /// There is no repository, or it is damaged.
    NoRepository(taut_git::Error),
    /// The store cannot be read or written, and why.
    Store(String),
}

/// Copies an object with all that is below it into the store, if one git repository has all of it.
pub(crate) fn take(
    repository: &Repository,
    store: &Store,
    id: &Hash,
    object_type: ObjectType,
) -> Result<bool, String> {
    enum CopyStep {
        Enter(Hash, ObjectType),
        /// Everything below was copied.
        Leave(Vec<u8>),
    }
    let failed = |error: taut_store::Error| error.to_string();
    let mut todo = vec![CopyStep::Enter(*id, object_type)];
    while let Some(step) = todo.pop() {
        let (id, object_type) = match step {
            CopyStep::Enter(id, object_type) => (id, object_type),
            CopyStep::Leave(content) => {
                store.put_tree_bytes(&content).map_err(failed)?;
                continue;
            }
        };
        // A tree gets into the store after its contents, so nothing below has to be visited.
        if store.contains(&id, object_type).map_err(failed)? {
            continue;
        }
        // A repository that is damaged, or has only a part, is as good as none.
        let Ok(Some(object)) = repository.read(&id) else { return Ok(false) };
        match (object_type, object.kind) {
            (ObjectType::Tree, Kind::Tree) => {
                // A submodule is in another repository.
                let Ok(entries) = decode_git_tree(&object.content, 20) else { return Ok(false) };
                todo.push(CopyStep::Leave(object.content));
                todo.extend(entries.values().map(|entry| CopyStep::Enter(entry.hash, entry.object_type)));
            }
            (ObjectType::File | ObjectType::Executable | ObjectType::Symlink, Kind::Blob) => {
                let is_executable = object_type == ObjectType::Executable;
                store.put_blob(&object.content, is_executable).map_err(failed)?;
            }
            _ => return Ok(false),
        }
    }
    Ok(true)
}
