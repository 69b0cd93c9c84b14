//! Trees from stages and from other trees.

use std::collections::BTreeMap;

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType, TreeEntry};
use taut_store::{Result, Store};
use taut_value::{Str, deep};

/// Why trees cannot be put together.
pub(crate) enum TreeError {
    Store(taut_store::Error),
    /// Different contents at one path of trees that must not disagree.
    Conflict(String),
}

impl From<taut_store::Error> for TreeError {
    fn from(error: taut_store::Error) -> Self {
        TreeError::Store(error)
    }
}

/// Adds the tree with the given objects at their paths; the paths have been checked for conflicts.
pub(crate) fn from_stage(store: &Store, stage: &[(Str, ObjectInfo)]) -> Result<Digest> {
    made_of(stage, |entries| store.put_tree(entries))
}

/// The digest of that tree, without adding it.
pub(crate) fn digest_of_stage(store: &Store, stage: &[(Str, ObjectInfo)]) -> Result<Digest> {
    made_of(stage, |entries| Ok(store.tree_digest(entries)))
}

fn made_of(
    stage: &[(Str, ObjectInfo)],
    make: impl Fn(&BTreeMap<&str, TreeEntry>) -> Result<Digest>,
) -> Result<Digest> {
    if let [(path, info)] = stage
        && path.as_str() == "."
    {
        return Ok(info.digest);
    }
    let mut directories: BTreeMap<&str, BTreeMap<&str, TreeEntry>> = BTreeMap::from([("", BTreeMap::new())]);
    for (path, info) in stage {
        let path = path.trim_end_matches('/');
        let (mut above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let entry = TreeEntry { hash: info.digest.hash, object_type: info.object_type };
        directories.entry(above).or_default().insert(name, entry);
        while let Some((next, _)) = above.rsplit_once('/') {
            if directories.contains_key(next) {
                break;
            }
            directories.insert(next, BTreeMap::new());
            above = next;
        }
    }
    // From the last to the first, a directory comes before the one it lies in.
    while let Some((path, entries)) = directories.pop_last() {
        let digest = make(&entries)?;
        if path.is_empty() {
            return Ok(digest);
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let entry = TreeEntry { hash: digest.hash, object_type: ObjectType::Tree };
        directories.get_mut(above).expect("directories above were added").insert(name, entry);
    }
    make(&BTreeMap::new())
}

/// Trees over each other, later ones over earlier ones; directories are merged.
pub(crate) fn overlay(
    store: &Store,
    trees: &[Hash],
    disjoint: bool,
) -> std::result::Result<Digest, TreeError> {
    let empty = store.put_tree(&BTreeMap::<&str, TreeEntry>::new())?.hash;
    let mut merged = empty;
    for tree in trees {
        merged = merge(store, merged, *tree, disjoint, "")?;
    }
    let size = store.size(&merged, ObjectType::Tree)?.unwrap_or_default();
    Ok(Digest { hash: merged, size })
}

fn merge(
    store: &Store,
    low: Hash,
    high: Hash,
    disjoint: bool,
    at: &str,
) -> std::result::Result<Hash, TreeError> {
    if low == high {
        return Ok(low);
    }
    let read = |hash: &Hash| -> std::result::Result<BTreeMap<Vec<u8>, TreeEntry>, TreeError> {
        let missing = || {
            let digest = Digest { hash: *hash, size: 0 };
            taut_store::Error::Missing(ObjectInfo { digest, object_type: ObjectType::Tree })
        };
        Ok(store.read_tree(hash)?.ok_or_else(missing)?)
    };
    let mut entries = read(&low)?;
    for (name, entry) in read(&high)? {
        let merged = match entries.get(&name) {
            Some(known) if *known == entry => continue,
            Some(known) if known.object_type == ObjectType::Tree && entry.object_type == ObjectType::Tree => {
                let path = format!("{at}{}/", String::from_utf8_lossy(&name));
                let hash = deep(|| merge(store, known.hash, entry.hash, disjoint, &path))?;
                TreeEntry { hash, object_type: ObjectType::Tree }
            }
            Some(_) if disjoint => {
                return Err(TreeError::Conflict(format!("{at}{}", String::from_utf8_lossy(&name))));
            }
            _ => entry,
        };
        entries.insert(name, merged);
    }
    Ok(store.put_tree(&entries)?.hash)
}
