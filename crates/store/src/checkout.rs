//! Stored objects as files: one routine for installed results and for the inputs of actions.
//!
//! What is written is always a copy, never a name of a stored inode: whoever changes a checked-out file
//! changes nothing but that file. Every content is checked against its name on the way. Below the
//! directory that the caller names, no symbolic link is followed, and no name leaves it.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use taut_digest::{Hash, ObjectInfo, ObjectType};
use taut_sys::{FileKind, fs};

use crate::{Error, Result, Store, cas::is_executable};

/// The permission bits of checked-out files.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Permissions {
    /// For users: 0644 or 0755. What is there is replaced; what is right already is left alone.
    Installed,
    /// For actions: 0444 or 0555. Nothing may be there yet.
    Staged,
}

impl Store {
    /// Puts an object at `name` below `directory`, which exists. Directories in between are made;
    /// what is there is replaced, except for directories, which are merged into.
    ///
    /// # Errors
    /// [`Error::Refused`] for names that are absolute, contain `..`, or lead through a symbolic link.
    pub fn install(&self, object: &ObjectInfo, directory: &Path, name: &str) -> Result<()> {
        let refused = |reason| Error::Refused { path: name.to_owned(), reason };
        let mut path = directory.to_owned();
        let mut parts = Path::new(name).components().filter(|part| *part != Component::CurDir).peekable();
        if parts.peek().is_none() && object.object_type != ObjectType::Tree {
            return Err(refused("it names the output directory itself"));
        }
        while let Some(part) = parts.next() {
            match part {
                Component::Normal(part) => path.push(part),
                Component::ParentDir => return Err(refused("it leaves the output directory")),
                _ => return Err(refused("it is absolute")),
            }
            if parts.peek().is_some() && !make_directory(&path)? {
                return Err(refused("it leads through something that is no directory"));
            }
        }
        self.checkout(object, &path, Permissions::Installed)
    }

    /// Puts an object at `path`, the directory of which exists. Without recursion.
    pub fn checkout(&self, object: &ObjectInfo, path: &Path, permissions: Permissions) -> Result<()> {
        let mut pending = vec![(object.digest.hash, object.object_type, path.to_owned())];
        while let Some((hash, object_type, path)) = pending.pop() {
            if object_type != ObjectType::Tree {
                self.checkout_leaf(&hash, object_type, &path, permissions)?;
                continue;
            }
            let entries = self.read_tree(&hash)?.ok_or_else(|| missing(&hash, object_type))?;
            match permissions {
                Permissions::Staged => fs::create_dir(&path)?,
                Permissions::Installed if make_directory(&path)? => {}
                Permissions::Installed => {
                    fs::remove_file(&path)?;
                    fs::create_dir(&path)?;
                }
            }
            for (name, entry) in entries {
                pending.push((entry.hash, entry.object_type, path.join(OsStr::from_bytes(&name))));
            }
        }
        Ok(())
    }

    fn checkout_leaf(
        &self,
        hash: &Hash,
        object_type: ObjectType,
        path: &Path,
        how: Permissions,
    ) -> Result<()> {
        let content = self.read(hash, object_type)?.ok_or_else(|| missing(hash, object_type))?;
        let executable = object_type == ObjectType::Executable;
        let mode = match (how, executable) {
            (Permissions::Installed, false) => 0o644,
            (Permissions::Installed, true) => 0o755,
            (Permissions::Staged, false) => 0o444,
            (Permissions::Staged, true) => 0o555,
        };
        let target = Path::new(OsStr::from_bytes(&content));
        if how == Permissions::Staged {
            return match object_type {
                ObjectType::Symlink => Ok(fs::symlink(target, path)?),
                _ => write_new(path, &content, mode),
            };
        }
        if is_right(path, object_type, &content)? {
            return Ok(());
        }
        // A complete file under a name of our own first, so that no reader sees half of one.
        let temporary = beside(path);
        fs::if_exists(fs::remove_file(&temporary))?;
        match object_type {
            ObjectType::Symlink => {
                fs::symlink(target, &temporary)?;
                fs::set_mtime_epoch(&temporary)?;
            }
            _ => write_new(&temporary, &content, mode)?,
        }
        fs::rename(&temporary, path).inspect_err(|_| {
            // The rename's error is the one to report; the leftover is ours to remove.
            let _ = fs::remove_file(&temporary);
        })?;
        Ok(())
    }
}

fn missing(hash: &Hash, object_type: ObjectType) -> Error {
    Error::Missing(ObjectInfo { digest: taut_digest::Digest { hash: *hash, size: 0 }, object_type })
}

/// Makes a directory unless it is there; `false` if something else is, a link to a directory included.
fn make_directory(path: &Path) -> Result<bool> {
    match fs::create_dir(path) {
        Err(error) if error.is_exists() => {
            Ok(FileKind::from(fs::lstat(path)?.file_type()) == FileKind::Directory)
        }
        other => Ok(other.map(|()| true)?),
    }
}

fn write_new(path: &Path, content: &[u8], mode: u32) -> Result<()> {
    let mut file = fs::create_new(path, mode)?;
    let written = fs::write_all(&mut file, path, content)
        .and_then(|()| fs::set_file_mode(&file, path, mode))
        .and_then(|()| fs::set_file_mtime_epoch(&file, path));
    written.inspect_err(|_| {
        // The first error is the one to report.
        let _ = fs::remove_file(path);
    })?;
    Ok(())
}

fn beside(path: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".taut-tmp-");
    name.push(std::process::id().to_string());
    path.with_file_name(name)
}

/// Whether `path` is what installing `content` there would make of it.
fn is_right(path: &Path, object_type: ObjectType, content: &[u8]) -> Result<bool> {
    let Some(metadata) = fs::if_exists(fs::lstat(path))? else { return Ok(false) };
    let epoch = metadata.modified().is_ok_and(|time| time == std::time::UNIX_EPOCH);
    Ok(match object_type {
        ObjectType::Symlink => {
            metadata.is_symlink() && fs::read_link(path)?.as_os_str().as_bytes() == content
        }
        _ => {
            metadata.is_file()
                && epoch
                && metadata.len() == content.len() as u64
                && is_executable(&metadata) == (object_type == ObjectType::Executable)
                && fs::read(path)? == content
        }
    })
}
