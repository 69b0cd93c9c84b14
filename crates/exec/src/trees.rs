//! Trees made from stages and from other trees.

use std::{borrow::Cow, collections::BTreeMap};

use taut_digest::{Digest, Hash, HashFunction, ObjectInfo, ObjectType, TreeEntry};
use taut_store::Store;
use taut_value::path::{is_normal, normal_path};
use taut_value::{Str, deep, quoted};

/// Why a tree cannot be made.
pub(crate) enum TreeError {
    Store(taut_store::Error),
    /// Different objects at one path of trees that have to be disjoint.
    Conflict(String),
    /// A stage with an entry at this path forms no directory.
    NoDirectory(String),
}

impl std::fmt::Display for TreeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TreeError::Store(error) => error.fmt(f),
            TreeError::Conflict(path) => write!(f, "Naming conflict detected at path {}", quoted(path)),
            TreeError::NoDirectory(path) => {
                write!(
                    f,
                    "failed to add artifact at {} to the directory: its path leads out of it, or another artifact lies below it",
                    quoted(path)
                )
            }
        }
    }
}

impl From<taut_store::Error> for TreeError {
    fn from(error: taut_store::Error) -> Self {
        TreeError::Store(error)
    }
}

/// The objects of a stage at their normalised paths.
///
/// Analysis has not checked all stages: those of overlays may contain anything, and several rules compare paths as they
/// are written. A single tree at the top is the directory itself; no other entry can be there.
///
/// # Errors
///
/// [`TreeError::NoDirectory`] for paths at which nothing can be staged.
pub(crate) fn normalised_stage(
    stage: &[(Str, ObjectInfo)],
) -> Result<Vec<(Cow<'_, str>, ObjectInfo)>, TreeError> {
    let mut normal = Vec::with_capacity(stage.len());
    for (path, info) in stage {
        if is_normal(path) {
            normal.push((Cow::Borrowed(path.as_str()), *info));
            continue;
        }
        let path_there = normal_path(path);
        // A tree at `.` replaces the directory; two of them would have to be merged, which no rule asks for.
        let is_all = path_there == "." && stage.len() == 1 && info.object_type == ObjectType::Tree;
        if !is_all && !is_normal(&path_there) {
            return Err(TreeError::NoDirectory(path.as_str().to_owned()));
        }
        normal.push((Cow::Owned(path_there), *info));
    }
    Ok(normal)
}

/// Adds the tree with the given objects at their paths.
pub(crate) fn from_stage(store: &Store, stage: &[(Str, ObjectInfo)]) -> Result<Digest, TreeError> {
    git_tree(stage, |entries| Ok(store.put_tree(entries)?))
}

/// The digest of that tree, without adding it; in compatible mode it is added, since a directory has the sizes of those
/// in it.
pub(crate) fn digest_of_stage(store: &Store, stage: &[(Str, ObjectInfo)]) -> Result<Digest, TreeError> {
    if store.hash_function() == HashFunction::Sha256 {
        return from_stage(store, stage);
    }
    git_tree(stage, |entries| Ok(store.tree_digest(entries)?))
}

fn git_tree(
    stage: &[(Str, ObjectInfo)],
    make: impl Fn(&BTreeMap<&str, TreeEntry>) -> Result<Digest, TreeError>,
) -> Result<Digest, TreeError> {
    let stage = normalised_stage(stage)?;
    if let Some(info) = whole(&stage) {
        return Ok(info.digest);
    }
    let entry = |info: &ObjectInfo| TreeEntry { hash: info.digest.hash, object_type: info.object_type };
    let above = |tree: &Digest| TreeEntry { hash: tree.hash, object_type: ObjectType::Tree };
    let stage: Vec<(&str, TreeEntry)> = stage.iter().map(|(path, info)| (&**path, entry(info))).collect();
    build_tree(&stage, make, above)
}

/// The tree that is all of a stage, if one is.
pub(crate) fn whole(stage: &[(Cow<'_, str>, ObjectInfo)]) -> Option<ObjectInfo> {
    match stage {
        [(path, info)] if path == "." => Some(*info),
        _ => None,
    }
}

/// Makes the directories of a stage, each after those in it, in whatever form. `make`: from entries by name. `entry`:
/// what a directory is in the one above.
pub(crate) fn build_tree<E: Clone, T>(
    stage: &[(&str, E)],
    make: impl Fn(&BTreeMap<&str, E>) -> Result<T, TreeError>,
    entry: impl Fn(&T) -> E,
) -> Result<T, TreeError> {
    // All directories by path; each gets its entries, and then becomes an entry of the one above.
    let mut directories: BTreeMap<&str, BTreeMap<&str, E>> = BTreeMap::from([("", BTreeMap::new())]);
    for (path, staged) in stage {
        let (mut above, name) = path.rsplit_once('/').unwrap_or(("", path));
        if directories.entry(above).or_default().insert(name, staged.clone()).is_some() {
            return Err(TreeError::NoDirectory((*path).to_owned()));
        }
        while let Some((next, _)) = above.rsplit_once('/') {
            // Those above a known directory were added with it.
            if directories.contains_key(next) {
                break;
            }
            directories.insert(next, BTreeMap::new());
            above = next;
        }
    }
    // In reverse order of paths, a directory comes before the one that contains it.
    while let Some((path, entries)) = directories.pop_last() {
        let made = make(&entries)?;
        if path.is_empty() {
            return Ok(made);
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let above = directories.get_mut(above).expect("directories above were added");
        // A file or tree was staged at the path of this directory itself.
        if above.insert(name, entry(&made)).is_some() {
            return Err(TreeError::NoDirectory(path.to_owned()));
        }
    }
    make(&BTreeMap::new())
}

/// Merges trees, later ones over earlier ones.
pub(crate) fn overlay(store: &Store, trees: &[Hash], disjoint: bool) -> Result<Digest, TreeError> {
    let empty = store.put_tree(&BTreeMap::<&str, TreeEntry>::new())?.hash;
    // Also the result of an overlay of no trees.
    let mut merged = empty;
    for tree in trees {
        merged = merge(store, merged, *tree, disjoint, "")?;
    }
    let size = store.size(&merged, ObjectType::Tree)?.ok_or_else(|| missing(merged))?;
    Ok(Digest { hash: merged, size })
}

fn missing(tree: Hash) -> taut_store::Error {
    let digest = Digest { hash: tree, size: 0 };
    taut_store::Error::Missing(ObjectInfo { digest, object_type: ObjectType::Tree })
}

fn merge(store: &Store, low: Hash, high: Hash, disjoint: bool, at: &str) -> Result<Hash, TreeError> {
    // Equal trees need not be read.
    if low == high {
        return Ok(low);
    }
    let read = |hash: &Hash| -> Result<BTreeMap<Vec<u8>, TreeEntry>, TreeError> {
        Ok(store.read_tree(hash)?.ok_or_else(|| missing(*hash))?)
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
            // The later tree wins, also where one has a file and the other a directory.
            _ => entry,
        };
        entries.insert(name, merged);
    }
    Ok(store.put_tree(&entries)?.hash)
}
