//! Stored objects as files: one routine for installed results and for the inputs of actions.
//!
//! What is written is always a copy, never a name of a stored inode: whoever changes a checked-out file
//! changes nothing but that file. Every content is checked against its name on the way. Below the
//! directory that the caller names, no symbolic link is followed, and no name leaves it.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs::File,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Component, Path, PathBuf},
};

use taut_digest::{Hash, ObjectInfo, ObjectType};
use taut_sys::{FileKind, fs};

use crate::{Error, Result, Store};

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
        // Names are checked even where there is nothing to put.
        let has_files = self.has_files(object)?;
        while let Some(part) = parts.next() {
            match part {
                Component::Normal(part) => path.push(part),
                Component::ParentDir => return Err(refused("it leaves the output directory")),
                _ => return Err(refused("it is absolute")),
            }
            if has_files && parts.peek().is_some() && !make_directory(&path)? {
                return Err(refused("it leads through something that is no directory"));
            }
        }
        self.checkout(object, &path)
    }

    /// Whether there is anything but directories.
    fn has_files(&self, object: &ObjectInfo) -> Result<bool> {
        let mut pending = vec![(object.digest.hash, object.object_type)];
        let mut seen = HashSet::new();
        while let Some((hash, object_type)) = pending.pop() {
            if object_type != ObjectType::Tree {
                return Ok(true);
            }
            if seen.insert(hash) {
                let entries = self.read_tree(&hash)?.ok_or_else(|| missing(&hash, object_type))?;
                pending.extend(entries.values().map(|entry| (entry.hash, entry.object_type)));
            }
        }
        Ok(false)
    }

    /// Puts an object at `path`, the directory of which exists, for users: 0644 or 0755. What is there is
    /// replaced; what is right already is left alone. Directories without files are left out, as the
    /// reference does. Without recursion.
    pub fn checkout(&self, object: &ObjectInfo, path: &Path) -> Result<()> {
        let mut pending = vec![(object.digest.hash, object.object_type, path.to_owned())];
        let mut made: HashSet<PathBuf> = HashSet::new();
        while let Some((hash, object_type, place)) = pending.pop() {
            if object_type != ObjectType::Tree {
                // From `path`, if it is not the object itself, down to where the object lies.
                let above: Vec<&Path> =
                    place.ancestors().skip(1).take_while(|a| a.starts_with(path)).collect();
                for directory in above.into_iter().rev() {
                    if made.insert(directory.to_owned()) && !make_directory(directory)? {
                        fs::remove_file(directory)?;
                        fs::create_dir(directory)?;
                    }
                }
                self.checkout_leaf(&hash, object_type, &place)?;
                continue;
            }
            let entries = self.read_tree(&hash)?.ok_or_else(|| missing(&hash, object_type))?;
            for (name, entry) in entries {
                pending.push((entry.hash, entry.object_type, place.join(OsStr::from_bytes(&name))));
            }
        }
        Ok(())
    }

    fn checkout_leaf(&self, hash: &Hash, object_type: ObjectType, path: &Path) -> Result<()> {
        if self.is_installed(hash, object_type, path)? {
            return Ok(());
        }
        // A complete file under a name of our own first, so that no reader sees half of one.
        let mut name = std::ffi::OsString::from(".taut-");
        name.push(self.temporary_path().file_name().expect("temporary paths have names"));
        let temporary = path.with_file_name(name);
        match object_type {
            ObjectType::Symlink => {
                self.link_new(hash, &temporary)?;
                fs::set_mtime_epoch(&temporary)?;
            }
            _ => self.write_new(hash, object_type, &temporary, mode_for_users(object_type))?,
        }
        let mut renamed = fs::rename(&temporary, path);
        if renamed.is_err() && fs::lstat(path).is_ok_and(|there| there.is_dir()) {
            // A directory with something in it is somebody's.
            renamed = fs::remove_dir(path).and_then(|()| fs::rename(&temporary, path));
            if renamed.is_err() {
                let _ = fs::remove_file(&temporary);
                let reason = "there is a directory that is not empty";
                return Err(Error::Refused { path: path.display().to_string(), reason });
            }
        }
        renamed.inspect_err(|_| {
            // The rename's error is the one to report; the leftover is ours to remove.
            let _ = fs::remove_file(&temporary);
        })?;
        Ok(())
    }

    /// Whether `path` is what installing the object there would make of it.
    fn is_installed(&self, hash: &Hash, object_type: ObjectType, path: &Path) -> Result<bool> {
        let Some(metadata) = fs::if_exists(fs::lstat(path))? else { return Ok(false) };
        if object_type == ObjectType::Symlink {
            return Ok(metadata.is_symlink()
                && self.hash_function().blob(fs::read_link(path)?.as_os_str().as_bytes()) == *hash);
        }
        Ok(metadata.is_file()
            && metadata.modified().is_ok_and(|time| time == std::time::UNIX_EPOCH)
            && metadata.permissions().mode() & 0o7777 == mode_for_users(object_type)
            && self.hash_file(path, metadata.len())? == Some(*hash))
    }

    /// Puts a file or link at `path`, where nothing is, for an action: 0444 or 0555.
    pub fn stage(&self, hash: &Hash, object_type: ObjectType, path: &Path) -> Result<()> {
        match object_type {
            ObjectType::Symlink => self.link_new(hash, path),
            ObjectType::Executable => self.write_new(hash, object_type, path, 0o555),
            _ => self.write_new(hash, object_type, path, 0o444),
        }
    }

    /// As [`Store::stage`], in place of the content of the plain file that is at `path`.
    pub fn restage(&self, hash: &Hash, path: &Path) -> Result<()> {
        match fs::create(path) {
            Err(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => {
                fs::set_mode(path, 0o644)?;
                self.fill(hash, ObjectType::File, fs::create(path)?, path, Some(0o444))
            }
            // Whoever may write in spite of the mode leaves it as it is.
            file => self.fill(hash, ObjectType::File, file?, path, None),
        }
    }

    /// Whether the file at `path` has exactly this content.
    pub fn has_content(&self, path: &Path, hash: &Hash) -> Result<bool> {
        let size = fs::stat(path)?.len();
        Ok(self.hash_file(path, size)? == Some(*hash))
    }

    fn link_new(&self, hash: &Hash, path: &Path) -> Result<()> {
        let target = self.read(hash, ObjectType::Symlink)?;
        let target = target.ok_or_else(|| missing(hash, ObjectType::Symlink))?;
        Ok(fs::symlink(Path::new(OsStr::from_bytes(&target)), path)?)
    }

    fn write_new(&self, hash: &Hash, object_type: ObjectType, path: &Path, mode: u32) -> Result<()> {
        let file = fs::create_new(path, mode)?;
        self.fill(hash, object_type, file, path, Some(mode)).inspect_err(|_| {
            // The first error is the one to report.
            let _ = fs::remove_file(path);
        })
    }

    fn fill(
        &self,
        hash: &Hash,
        object_type: ObjectType,
        mut file: File,
        path: &Path,
        mode: Option<u32>,
    ) -> Result<()> {
        if !self.copy_content(hash, object_type, &mut file, path)? {
            return Err(missing(hash, object_type));
        }
        if let Some(mode) = mode {
            fs::set_file_mode(&file, path, mode)?;
        }
        Ok(fs::set_file_mtime_epoch(&file, path)?)
    }
}

fn mode_for_users(object_type: ObjectType) -> u32 {
    if object_type == ObjectType::Executable { 0o755 } else { 0o644 }
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
