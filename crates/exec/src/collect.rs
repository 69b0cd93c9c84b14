//! Outputs of an action that has ended: from its directory into the store.

use std::{
    collections::BTreeMap,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::Path,
};

use taut_digest::{ObjectInfo, ObjectType, TreeEntry};
use taut_expr::path::is_non_upwards;
use taut_store::{Store, Take};
use taut_sys::{FileKind, fs};

use crate::{Instead, missing};

/// What lies where an output is expected.
pub(crate) enum Found {
    Object(ObjectInfo),
    /// Nothing, or something of another kind.
    Missing(Instead),
    /// Something that cannot be an output; why.
    Invalid(String),
}

/// Whether all directories above `name` are directories, not links: an action could lead us astray.
pub(crate) fn lies_within(root: &Path, name: &str) -> taut_store::Result<bool> {
    for (end, _) in name.match_indices('/') {
        let above = root.join(&name[..end]);
        match fs::if_exists(fs::lstat(&above))? {
            Some(metadata) if metadata.is_dir() => {}
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The file or link at `path`.
pub(crate) fn file(store: &Store, path: &Path, name: &str, take: Take) -> taut_store::Result<Found> {
    let Some(metadata) = fs::if_exists(fs::lstat(path))? else { return Ok(nothing(path, name)) };
    match FileKind::from(metadata.file_type()) {
        FileKind::Directory => Ok(Found::Missing(Instead::Directory)),
        FileKind::Special => Ok(Found::Invalid(format!("found invalid special file at {name}"))),
        FileKind::Symlink => link(store, path, name),
        FileKind::File => {
            let executable = metadata.mode() & 0o111 != 0;
            let digest = store.put_file(path, executable, take)?;
            let object_type = if executable { ObjectType::Executable } else { ObjectType::File };
            Ok(Found::Object(ObjectInfo { digest, object_type }))
        }
    }
}

/// Nothing at the path of an output; what else is in that directory may have been meant.
fn nothing(path: &Path, name: &str) -> Found {
    let above = path.parent().and_then(|above| fs::list(above).ok()).unwrap_or_default();
    let (directory, name) = name.rsplit_once('/').map_or(("", name), |(above, name)| (above, name));
    let there = above.into_iter().map(|(name, _)| name.to_string_lossy().into_owned());
    let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
    let similar = missing::similar(name, there).into_iter().map(|name| format!("{prefix}{name}")).collect();
    Found::Missing(Instead::Nothing { similar })
}

fn link(store: &Store, path: &Path, name: &str) -> taut_store::Result<Found> {
    let target = fs::read_link(path)?;
    match target.to_str() {
        Some(text) if is_non_upwards(text) => {
            let digest = store.put_blob(text.as_bytes(), false)?;
            Ok(Found::Object(ObjectInfo { digest, object_type: ObjectType::Symlink }))
        }
        _ => Ok(Found::Invalid(format!(
            "found invalid symlink at {name}: it leads outwards, to {}",
            target.display()
        ))),
    }
}

/// What lies in a directory, and which of the directories found are in it, by name.
type Content = (BTreeMap<Vec<u8>, TreeEntry>, Vec<(Vec<u8>, usize)>);

/// The directory at `path` with all that is below it. Without recursion.
pub(crate) fn directory(store: &Store, path: &Path, name: &str, take: Take) -> taut_store::Result<Found> {
    let Some(metadata) = fs::if_exists(fs::lstat(path))? else { return Ok(nothing(path, name)) };
    match FileKind::from(metadata.file_type()) {
        FileKind::Directory => {}
        FileKind::Symlink => return link(store, path, name),
        FileKind::File => return Ok(Found::Missing(Instead::File)),
        FileKind::Special => return Ok(Found::Invalid(format!("found invalid special file at {name}"))),
    }
    let mut directories = vec![(path.to_owned(), name.to_owned())];
    let mut contents: Vec<Content> = Vec::new();
    while contents.len() < directories.len() {
        let (path, name) = directories[contents.len()].clone();
        let (mut entries, mut below) = (BTreeMap::new(), Vec::new());
        for (entry, kind) in fs::list(&path)? {
            let inner = path.join(&entry);
            let shown = format!("{name}/{}", entry.display());
            if kind == FileKind::Directory {
                below.push((entry.as_bytes().to_vec(), directories.len()));
                directories.push((inner, shown));
                continue;
            }
            match file(store, &inner, &shown, take)? {
                Found::Object(ObjectInfo { digest, object_type }) => {
                    entries.insert(entry.as_bytes().to_vec(), TreeEntry { hash: digest.hash, object_type });
                }
                Found::Missing(_) => {}
                invalid => return Ok(invalid),
            }
        }
        contents.push((entries, below));
    }
    let mut trees = vec![None; contents.len()];
    for (at, (mut entries, below)) in contents.into_iter().enumerate().rev() {
        for (name, child) in below {
            let digest: taut_digest::Digest = trees[child].expect("children come after their directory");
            entries.insert(name, TreeEntry { hash: digest.hash, object_type: ObjectType::Tree });
        }
        trees[at] = Some(store.put_tree(&entries)?);
    }
    let digest = trees[0].expect("at least the directory itself");
    Ok(Found::Object(ObjectInfo { digest, object_type: ObjectType::Tree }))
}
