//! Stored objects as files: one routine for installed results and for the inputs of actions.
//! What is written is always a copy, never a hard link to a stored inode: a change of a checked-out file changes only
//! that file. Every file is checked against its name while it is copied. Beneath the directory that the caller holds
//! open, no symbolic link is followed, and no name leads out of it.

use std::{
    cell::OnceCell,
    collections::{BTreeMap, HashMap, HashSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::{Component, Path, PathBuf},
};

use taut_digest::{Hash, ObjectInfo, ObjectType};
use taut_sys::{At, Dir, File, Identity, Stat, if_exists};

use crate::{
    Error, Result, Store,
    pending::{Pending, temporary_name},
};

/// How many paths below an object can become files and directories. A tree whose directories are the same objects has
/// exponentially more paths than objects.
const MAX_PATHS: u64 = 1 << 24;

/// After so many paths it is worth while to count them all before going on.
pub const MIN_COUNTED_PATHS: usize = 1 << 16;

/// Puts objects below a directory of the user.
pub struct Installer<'s> {
    store: &'s Store,
    top: &'s Dir,
    /// The note that is written before the first temporary name; `None` if it could not be written.
    // Made with the first file that is written: an installation that changes nothing writes no note.
    pending: OnceCell<Option<Pending>>,
}

/// The directory of the file that was installed last, held open, since the next one often lies there, too.
struct Parent {
    path: PathBuf,
    /// `None` for the top directory.
    dir: Option<Dir>,
}

impl<'s> Installer<'s> {
    /// Puts an object at `name` below the directory. Directories in between are made; what is there is replaced,
    /// except for directories, which are merged into; what is right already is left alone. Directories without files
    /// are left out, as the reference does. Without recursion. Returns whether anything was written.
    ///
    /// # Errors
    /// [`Error::Refused`] for names that are absolute, lead out of the directory, or lead through a symbolic link.
    pub fn install(&self, object: &ObjectInfo, name: impl AsRef<Path>) -> Result<bool> {
        let name = name.as_ref();
        let refused =
            |reason: &str| Error::Refused { path: name.display().to_string(), reason: reason.to_owned() };
        let mut path = PathBuf::new();
        for part in name.components() {
            match part {
                Component::CurDir => {}
                Component::Normal(part) => path.push(part),
                // By the text alone: a link before it is not followed.
                Component::ParentDir if path.pop() => {}
                Component::ParentDir => return Err(refused("it leaves the output directory")),
                _ => return Err(refused("it is absolute")),
            }
        }
        if path.as_os_str().is_empty() && object.object_type != ObjectType::Tree {
            return Err(refused("it names the output directory itself"));
        }
        if !self.store.has_files(object)? {
            return Ok(false);
        }
        // Links among the components that the caller gave are refused; below the object's own name, what is in the way
        // is replaced.
        let fixed = path.components().count().saturating_sub(1);
        let mut parent = Parent { path: PathBuf::new(), dir: None };
        let mut has_written = false;
        let mut pending = vec![(object.digest.hash, object.object_type, path)];
        let mut looked_at = 0;
        while let Some((hash, object_type, place)) = pending.pop() {
            looked_at += 1;
            if looked_at == MIN_COUNTED_PATHS {
                self.store.check_paths(object, &name.display().to_string())?;
            }
            if object_type == ObjectType::Tree {
                let entries = self.store.read_tree(&hash)?.ok_or_else(|| missing(&hash, object_type))?;
                for (name, entry) in entries {
                    pending.push((entry.hash, entry.object_type, place.join(OsStr::from_bytes(&name))));
                }
                continue;
            }
            let above = place.parent().unwrap_or(Path::new(""));
            if parent.path != above {
                let dir = match self.directory(above, fixed)? {
                    Ok(dir) => dir,
                    Err(in_the_way) => return Err(refused(&format!("it leads through {in_the_way}"))),
                };
                parent = Parent { path: above.to_owned(), dir: Some(dir) };
            }
            let dir = parent.dir.as_ref().unwrap_or(self.top);
            let name = Path::new(place.file_name().unwrap_or_default());
            has_written |= self.install_leaf(&hash, object_type, dir.at(name))?;
        }
        Ok(has_written)
    }

    /// The directory at a path below the top directory, made if it is absent. `Ok(Err(what))` if something else is in
    /// the way among the first `fixed` components.
    fn directory(&self, path: &Path, fixed: usize) -> Result<std::result::Result<Dir, String>> {
        // One system call in the common case, where the directory exists; the walk by components is only for what is
        // absent or in the way.
        match self.top.sub(path, taut_sys::Links::Refused) {
            Ok(dir) => return Ok(Ok(dir)),
            Err(error) if error.is_absent() || error.is_link_in_the_way() => {}
            Err(error) => return Err(error.into()),
        }
        let mut here: Option<Dir> = None;
        for (depth, name) in path.iter().enumerate() {
            let at = here.as_ref().unwrap_or(self.top).at(name);
            here = Some(match at.make_dir_if_absent() {
                Ok(dir) => dir,
                Err(error) if !error.is_absent() && !error.is_link_in_the_way() => return Err(error.into()),
                Err(_) if depth < fixed => {
                    let shown = at.path().display().to_string();
                    return Ok(Err(match at.read_link() {
                        Ok(target) => format!("{shown}, a symbolic link to {}", target.display()),
                        Err(_) => format!("{shown}, which is not a directory"),
                    }));
                }
                Err(_) => {
                    at.remove_file()?;
                    at.make_dir()?
                }
            });
        }
        here.map_or_else(|| Ok(Ok(self.top.try_clone()?)), |dir| Ok(Ok(dir)))
    }

    fn install_leaf(&self, hash: &Hash, object_type: ObjectType, at: At<'_>) -> Result<bool> {
        if self.store.is_installed(hash, object_type, at)? {
            return Ok(false);
        }
        // Without the note the installation goes on: it only keeps a killed process from leaving a temporary file.
        self.pending.get_or_init(|| Pending::begin(self.store, self.top).ok());
        // First a complete file under a temporary name, then a rename: no reader sees half of a file.
        let name = temporary_name(self.store);
        match self.install_leaf_via(hash, object_type, self.top.at(&name), at) {
            // The note covers the top directory, so the temporary file is made there. A rename does not cross file
            // systems: on another one, the temporary file is made beside the target.
            Err(Error::Sys(error)) if error.is_other_file_system() => {
                self.install_leaf_via(hash, object_type, at.dir().at(&name), at)
            }
            other => other,
        }
        .map(|()| true)
    }

    fn install_leaf_via(
        &self,
        hash: &Hash,
        object_type: ObjectType,
        temporary: At<'_>,
        at: At<'_>,
    ) -> Result<()> {
        let done = self.write_leaf(hash, object_type, temporary, at);
        if done.is_err() {
            // The first error is the one to report; the temporary file is removed if possible.
            let _ = temporary.remove_file();
        }
        done
    }

    fn write_leaf(&self, hash: &Hash, object_type: ObjectType, temporary: At<'_>, at: At<'_>) -> Result<()> {
        match object_type {
            ObjectType::Symlink => {
                self.store.link_new(hash, temporary)?;
                temporary.set_mtime_epoch()?;
            }
            _ => drop(self.store.write_new(hash, object_type, temporary, mode_for_users(object_type))?),
        }
        let renamed = temporary.rename(at);
        if renamed.is_err() && at.lstat().is_ok_and(|there| there.is_dir()) {
            // A directory that is not empty may hold files of the user.
            return at.remove_dir().and_then(|()| temporary.rename(at)).map_err(|_| {
                let reason = "there is a directory that is not empty".to_owned();
                Error::Refused { path: at.path().display().to_string(), reason }
            });
        }
        Ok(renamed?)
    }
}

impl Store {
    /// Puts objects below a directory, which is open.
    pub fn installer<'s>(&'s self, top: &'s Dir) -> Installer<'s> {
        Installer { store: self, top, pending: OnceCell::new() }
    }

    /// Whether an object is a file or link, or a tree that contains one.
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

    /// Checks that an object has no more paths than can become files. `path`: how the error names it.
    ///
    /// # Errors
    /// [`Error::Refused`] if it has; a tree is missing or damaged.
    pub fn check_paths(&self, object: &ObjectInfo, path: &str) -> Result<()> {
        if self.paths_below(object)? <= MAX_PATHS {
            return Ok(());
        }
        let reason = format!("it has more than {MAX_PATHS} files and directories");
        Err(Error::Refused { path: path.to_owned(), reason })
    }

    /// How many paths there are below an object, with itself; each tree is read once. Without recursion.
    fn paths_below(&self, object: &ObjectInfo) -> Result<u64> {
        let mut counts: HashMap<Hash, u64> = HashMap::new();
        let mut pending = vec![object.digest.hash];
        let mut read: HashMap<Hash, BTreeMap<Hash, u64>> = HashMap::new();
        if object.object_type != ObjectType::Tree {
            return Ok(1);
        }
        while let Some(&tree) = pending.last() {
            if !read.contains_key(&tree) {
                let entries = self.read_tree(&tree)?.ok_or_else(|| missing(&tree, ObjectType::Tree))?;
                // The directories in it, with how often each is there; the rest counts at once.
                let mut directories = BTreeMap::new();
                let mut others = 1;
                for entry in entries.values() {
                    match entry.object_type {
                        ObjectType::Tree => *directories.entry(entry.hash).or_default() += 1,
                        _ => others += 1,
                    }
                }
                counts.insert(tree, others);
                pending.extend(directories.keys().filter(|below| !read.contains_key(*below)));
                read.insert(tree, directories);
                continue;
            }
            pending.pop();
            // The trees below are complete. If a tree was pending twice, none are left the second time.
            for (below, times) in std::mem::take(read.entry(tree).or_default()) {
                let sum = times.saturating_mul(counts.get(&below).copied().unwrap_or(0));
                let count = counts.entry(tree).or_default();
                *count = count.saturating_add(sum);
            }
        }
        Ok(counts.get(&object.digest.hash).copied().unwrap_or(1))
    }

    /// Whether what is at a place is what installing the object there would make of it.
    fn is_installed(&self, hash: &Hash, object_type: ObjectType, at: At<'_>) -> Result<bool> {
        // Cheap tests first: only a file that looks as the store leaves files is hashed.
        let Some(stat) = if_exists(at.lstat())? else { return Ok(false) };
        if object_type == ObjectType::Symlink {
            return Ok(stat.is_symlink()
                && self.hash_function().blob(at.read_link()?.as_os_str().as_bytes()) == *hash);
        }
        Ok(stat.is_file()
            // The store leaves this time (`set_mtime_epoch`); a file that a person has edited has another one.
            && stat.signature.mtime == 0
            && stat.mode() == mode_for_users(object_type)
            && self.has_content(at, hash)?)
    }

    /// Puts a file or link at a place, where nothing is, for an action: mode 0444 or 0555. Returns its `stat`
    /// afterwards.
    ///
    /// # Errors
    /// [`Error::Missing`] if the object is not stored; else the system refused the write.
    pub fn stage(&self, hash: &Hash, object_type: ObjectType, at: At<'_>) -> Result<Stat> {
        match object_type {
            ObjectType::Symlink => {
                self.link_new(hash, at)?;
                Ok(at.lstat()?)
            }
            // Without the right to write, so that an action does not change an input by mistake.
            ObjectType::Executable => self.write_new(hash, object_type, at, 0o555),
            _ => self.write_new(hash, object_type, at, 0o444),
        }
    }

    /// As [`Store::stage`], by overwriting the plain file with identity `made` that is there. Returns its `stat`
    /// afterwards.
    ///
    /// # Errors
    /// As for [`Store::stage`]; or the file there is not the one that was made.
    pub fn restage(&self, hash: &Hash, at: At<'_>, made: Identity) -> Result<Stat> {
        match at.open_made(made) {
            // The file was staged read-only, and this process is not root: make it writable, by its identity, first.
            Err(error) if error.is_denied() => {
                at.set_mode_of(made, 0o644)?;
                self.fill(hash, ObjectType::File, at.open_made(made)?, Some(0o444))
            }
            // With the rights of root, a read-only file can be opened for writing: its mode is right already.
            file => self.fill(hash, ObjectType::File, file?, None),
        }
    }

    /// Whether the regular file at a place has exactly this content.
    ///
    /// # Errors
    /// There is no regular file, or it cannot be read.
    pub fn has_content(&self, at: At<'_>, hash: &Hash) -> Result<bool> {
        Ok(self.hash_open(&mut at.open()?)? == Some(*hash))
    }

    fn link_new(&self, hash: &Hash, at: At<'_>) -> Result<()> {
        let target = self.read(hash, ObjectType::Symlink)?;
        let target = target.ok_or_else(|| missing(hash, ObjectType::Symlink))?;
        Ok(at.symlink(Path::new(OsStr::from_bytes(&target)))?)
    }

    fn write_new(&self, hash: &Hash, object_type: ObjectType, at: At<'_>, mode: u32) -> Result<Stat> {
        let file = at.create_new(mode)?;
        self.fill(hash, object_type, file, Some(mode)).inspect_err(|_| {
            // The first error is the one to report.
            let _ = at.remove_file();
        })
    }

    fn fill(
        &self,
        hash: &Hash,
        object_type: ObjectType,
        mut file: File<'_>,
        mode: Option<u32>,
    ) -> Result<Stat> {
        // Truncated at the end rather than at the beginning: blocks that stay need not be allocated anew.
        let before = file.size_at_open();
        let Some(size) = self.copy_content(hash, object_type, &mut file)? else {
            return Err(missing(hash, object_type));
        };
        if before > size {
            file.truncate(size)?;
        }
        // Mode before time, since neither alters the other; the caller records the result of `stat` after both.
        if let Some(mode) = mode {
            file.set_mode(mode)?;
        }
        file.set_mtime_epoch()?;
        Ok(file.current_stat()?)
    }
}

fn mode_for_users(object_type: ObjectType) -> u32 {
    // With the right to write, unlike stored objects: the file belongs to the user from now on.
    if object_type == ObjectType::Executable { 0o755 } else { 0o644 }
}

fn missing(hash: &Hash, object_type: ObjectType) -> Error {
    Error::Missing(ObjectInfo { digest: taut_digest::Digest { hash: *hash, size: 0 }, object_type })
}
