//! What processes that were killed leave in a repository.
//!
//! Locks of git and of just-mr stay in the way of these two for ever: they are files, which nothing releases. Temporary
//! files, and packs whose index is missing, are in nothing's way, but as large as what was being written.

use std::{collections::HashSet, ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

use taut_sys::{Dir, FileKind, Links, Result, if_exists};

/// Removes what processes that were killed left in the bare repository at a path, if there is one: locks, temporary
/// files, packs without an index. No process may be writing to it.
///
/// # Errors
/// Something cannot be listed or removed.
pub fn remove_leftovers(path: &Path) -> Result<()> {
    let Some(top) = if_exists(Dir::of_user(path))? else { return Ok(()) };
    remove_files(&top, |name| is_lock(name) || is_temporary(name))?;
    if let Some(refs) = below(&top, "refs")? {
        let mut todo = vec![refs];
        while let Some(directory) = todo.pop() {
            for (name, kind) in directory.list()? {
                if kind == FileKind::Directory {
                    todo.extend(below(&directory, &name)?);
                }
            }
            // No reference has such a name.
            remove_files(&directory, is_lock)?;
        }
    }
    let Some(objects) = below(&top, "objects")? else { return Ok(()) };
    for (name, kind) in objects.list()? {
        if kind == FileKind::Directory
            && name != "pack"
            && let Some(directory) = below(&objects, &name)?
        {
            remove_files(&directory, |name| is_lock(name) || is_temporary(name))?;
        }
    }
    remove_files(&objects, is_temporary)?;
    let Some(packs) = below(&objects, "pack")? else { return Ok(()) };
    let names: HashSet<Vec<u8>> =
        packs.list()?.into_iter().map(|(name, _)| name.as_bytes().to_vec()).collect();
    // A pack is there once its index is.
    let has_no_index = |name: &[u8]| {
        let stem = name.strip_suffix(b".pack").or_else(|| name.strip_suffix(b".rev"));
        stem.is_some_and(|stem| stem.starts_with(b"pack-") && !names.contains(&[stem, b".idx"].concat()))
    };
    remove_files(&packs, |name| is_lock(name) || is_temporary(name) || has_no_index(name))
}

fn below(directory: &Dir, name: &(impl AsRef<Path> + ?Sized)) -> Result<Option<Dir>> {
    if_exists(directory.sub(name, Links::Refused))
}

fn remove_files(directory: &Dir, is_left: impl Fn(&[u8]) -> bool) -> Result<()> {
    for (name, kind) in directory.list()? {
        if kind == FileKind::File && is_left(OsStr::as_bytes(&name)) {
            if_exists(directory.at(&name).remove_file())?;
        }
    }
    Ok(())
}

fn is_lock(name: &[u8]) -> bool {
    name.ends_with(b".lock")
}

/// Whether a name is one of a temporary file of git or of this crate (`temporary.rs`).
fn is_temporary(name: &[u8]) -> bool {
    name.starts_with(b"tmp_") || name.starts_with(b".tmp-")
}
