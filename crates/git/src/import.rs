//! A directory of the file system as a tree.
//!
//! Directories are opened beneath the top one and links are never followed, so nothing outside of it is read.

use std::{
    ffi::OsString,
    io::{self, Read},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::PathBuf,
};

use taut_digest::{ObjectType, TreeEntry};
use taut_sys::{Dir, FileKind, Links};

use crate::{Error, ObjectSink, Result, TreeBuilder};

/// What is done with entries that no tree can have: devices, fifos, sockets.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SpecialFiles {
    /// They are left out, and so are symbolic links.
    Ignore,
    /// They are errors.
    Refuse,
}

/// Gives all files below a directory to a sink, and returns the tree, which is not written yet. Empty directories are
/// in it. `is_wanted` is asked for each entry of the top directory by its name.
///
/// # Errors
/// Something cannot be read, or is not a file, directory or link.
pub fn import(
    top: &Dir,
    special: SpecialFiles,
    is_wanted: &dyn Fn(&[u8]) -> bool,
    sink: &mut (impl ObjectSink + ?Sized),
) -> Result<TreeBuilder> {
    let unreadable = |error: taut_sys::Error| Error::Content { why: error.to_string() };
    let mut tree = TreeBuilder::new();
    // Paths rather than open directories: a deep tree would exhaust the descriptors.
    let mut todo: Vec<Vec<OsString>> = vec![Vec::new()];
    while let Some(path) = todo.pop() {
        let relative: PathBuf = path.iter().collect();
        let opened;
        let directory = if path.is_empty() {
            top
        } else {
            // A directory that was replaced by a link since it was listed is an error, not a way out of the top
            // directory.
            opened = top.sub(&relative, Links::Refused).map_err(unreadable)?;
            &opened
        };
        let components = |name: &OsString| -> Vec<Vec<u8>> {
            path.iter().chain([name]).map(|component| component.as_bytes().to_vec()).collect()
        };
        for (name, kind) in directory.list().map_err(unreadable)? {
            if path.is_empty() && !is_wanted(name.as_bytes()) {
                continue;
            }
            let at = directory.at(&name);
            match kind {
                FileKind::Directory => {
                    // Put before its entries are read, so that it is in the tree even if it has none.
                    tree.directory(&components(&name))?;
                    let mut below = path.clone();
                    below.push(name);
                    todo.push(below);
                }
                FileKind::Symlink if special == SpecialFiles::Refuse => {
                    let target = at.read_link().map_err(unreadable)?.into_os_string().into_vec();
                    let entry = TreeEntry { hash: sink.blob(&target)?, object_type: ObjectType::Symlink };
                    tree.put(&components(&name), entry)?;
                }
                FileKind::File => {
                    let mut file = at.open().map_err(unreadable)?;
                    let stat = file.stat().map_err(unreadable)?;
                    let executable = stat.is_executable();
                    let object_type = if executable { ObjectType::Executable } else { ObjectType::File };
                    // The size is that of the open file; if it shrinks while it is read, that is an error.
                    let hash = sink.blob_from(stat.size(), &mut OpenFile(&mut file))?;
                    tree.put(&components(&name), TreeEntry { hash, object_type })?;
                }
                FileKind::Special if special == SpecialFiles::Refuse => {
                    let why = format!("{} is not a file, directory or symbolic link", at.path().display());
                    return Err(Error::Content { why });
                }
                FileKind::Symlink | FileKind::Special => {}
            }
        }
    }
    Ok(tree)
}

/// An open file as a stream.
struct OpenFile<'f, 'd>(&'f mut taut_sys::File<'d>);

impl Read for OpenFile<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_some(buffer).map_err(io::Error::other)
    }
}
