//! A directory that actions run in, one after the other.
//!
//! Making and removing files is what file systems are slowest at, so a stage keeps what the next action
//! wants, too. After an action it is compared with what was put there: size, times, inode and mode of
//! every file, the entries of every directory. What differs in any way is removed, whoever changed it;
//! what is unchanged stays, moves to another path, or lends its inode to another content. All files are
//! private copies: an action that changes one, even as root, changes nothing that anybody else will see.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, fs::MetadataExt},
    path::{Path, PathBuf},
};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_store::{Result, Store};
use taut_sys::{FileKind, StatSignature, fs};

/// What is to lie in a stage: files and links by path, and all directories but the root.
#[derive(Default, Debug)]
pub(crate) struct Wanted {
    files: BTreeMap<Vec<u8>, (Hash, ObjectType)>,
    directories: BTreeSet<Vec<u8>>,
}

/// The largest file whose inode another content may take over.
const REUSED: u64 = 1 << 20;

/// How many unused files are kept for their inodes.
const SPARES: usize = 64;

impl Wanted {
    /// The given objects at their paths; trees with all that is in them. Without recursion.
    pub(crate) fn new(store: &Store, inputs: &[(Cow<'_, str>, ObjectInfo)]) -> Result<Wanted> {
        let mut wanted = Wanted::default();
        let mut trees = Vec::new();
        for (path, info) in inputs {
            let path = if path == "." { Vec::new() } else { path.as_bytes().to_vec() };
            wanted.add_parents(&path);
            if info.object_type == ObjectType::Tree {
                trees.push((path, info.digest.hash));
            } else {
                wanted.files.insert(path, (info.digest.hash, info.object_type));
            }
        }
        while let Some((path, hash)) = trees.pop() {
            let digest = Digest { hash, size: 0 };
            let missing = || taut_store::Error::Missing(ObjectInfo { digest, object_type: ObjectType::Tree });
            for (name, entry) in store.read_tree(&hash)?.ok_or_else(missing)? {
                let mut below = path.clone();
                if !below.is_empty() {
                    below.push(b'/');
                }
                below.extend(name);
                match entry.object_type {
                    ObjectType::Tree => trees.push((below, entry.hash)),
                    leaf => {
                        wanted.files.insert(below, (entry.hash, leaf));
                    }
                }
            }
            if !path.is_empty() {
                wanted.directories.insert(path);
            }
        }
        Ok(wanted)
    }

    /// A directory, with those above it.
    pub(crate) fn add_directory(&mut self, path: &str) {
        let path = path.trim_end_matches('/').as_bytes();
        if !path.is_empty() && path != b"." && self.directories.insert(path.to_vec()) {
            self.add_parents(path);
        }
    }

    /// The directories above a path.
    pub(crate) fn add_parents(&mut self, mut path: &[u8]) {
        while let Some(end) = path.iter().rposition(|byte| *byte == b'/') {
            path = &path[..end];
            if !self.directories.insert(path.to_vec()) {
                break;
            }
        }
    }

    /// A path at which both a file and a directory are wanted.
    pub(crate) fn blocked(&self) -> Option<&[u8]> {
        self.directories.iter().find(|path| self.files.contains_key(*path)).map(Vec::as_slice)
    }
}

/// A file that lies in the stage as it was put there.
#[derive(Clone, Copy, Debug)]
struct Staged {
    hash: Hash,
    object_type: ObjectType,
    signature: StatSignature,
}

impl Staged {
    fn lends_its_inode(&self) -> bool {
        self.object_type == ObjectType::File && self.signature.size <= REUSED
    }
}

/// That an action has a stage.
pub(crate) struct Lent;

/// A directory, and what is known to be in it.
#[derive(Debug)]
pub(crate) struct Stage {
    root: PathBuf,
    spare: PathBuf,
    /// Whether the fields below say all there is in `root`; if not, it is made anew.
    is_known: bool,
    files: BTreeMap<Vec<u8>, Staged>,
    directories: BTreeSet<Vec<u8>>,
    /// Numbers of the files in `spare`.
    spares: Vec<usize>,
    spares_made: usize,
    /// Type and permission bits of directories as they are made.
    directory_mode: u32,
    /// Whether times of this file system tell any two changes apart.
    fine_times: bool,
}

impl Stage {
    /// A stage at `directory/root`; `directory` exists and is for this stage alone.
    pub(crate) fn new(directory: &Path, fine_times: bool) -> Result<Stage> {
        let spare = directory.join("spare");
        fs::create_dir(&spare)?;
        Ok(Stage {
            root: directory.join("root"),
            spare,
            is_known: false,
            files: BTreeMap::new(),
            directories: BTreeSet::new(),
            spares: Vec::new(),
            spares_made: 0,
            directory_mode: 0,
            fine_times,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn at(&self, path: &[u8]) -> PathBuf {
        self.root.join(OsStr::from_bytes(path))
    }

    /// Lets an action have the stage. Until it is taken back, nothing is known of it: if it never is, the
    /// next action gets a new one.
    pub(crate) fn lend(&mut self) -> Lent {
        self.is_known = false;
        Lent
    }

    /// Makes the stage contain exactly what is wanted.
    pub(crate) fn prepare(&mut self, store: &Store, wanted: &Wanted) -> Result<()> {
        let blocks = |path: &Vec<u8>| wanted.files.contains_key(path);
        let blocked = |path: &Vec<u8>| wanted.directories.contains(path);
        if self.directories.iter().any(blocks) || self.files.keys().any(blocked) {
            self.is_known = false;
        }
        if !self.is_known {
            fs::remove_all(&self.root)?;
            (self.files, self.directories) = Default::default();
            fs::create_dir(&self.root)?;
            self.directory_mode = fs::lstat(&self.root)?.mode();
        }
        // Until everything is in place, nothing is known.
        self.is_known = false;
        if wanted.blocked().is_some() {
            let error = std::io::Error::other("an input lies below another input that is a file");
            return Err(taut_sys::Error::new("stage", &self.root, error).into());
        }
        for path in wanted.directories.difference(&self.directories) {
            fs::create_dir(&self.at(path))?;
        }
        let mut unused: BTreeMap<Vec<u8>, Staged> = BTreeMap::new();
        self.files.retain(|path, staged| {
            let stays = wanted.files.get(path) == Some(&(staged.hash, staged.object_type));
            if !stays {
                unused.insert(path.clone(), *staged);
            }
            stays
        });
        let missing: Vec<_> =
            wanted.files.iter().filter(|(path, _)| !self.files.contains_key(*path)).collect();
        for &(path, &(hash, object_type)) in &missing {
            let Some(here) = unused.remove(path) else { continue };
            if object_type == ObjectType::File && here.lends_its_inode() {
                self.overwrite(store, path, hash)?;
            } else {
                fs::remove_file(&self.at(path))?;
            }
        }
        let mut by_content: BTreeMap<Hash, Vec<Vec<u8>>> = BTreeMap::new();
        for (path, staged) in &unused {
            by_content.entry(staged.hash).or_default().push(path.clone());
        }
        for (path, &(hash, object_type)) in missing {
            if self.files.contains_key(path) {
                continue;
            }
            let same = by_content.get_mut(&hash).and_then(Vec::pop);
            match same.and_then(|from| unused.remove(&from).map(|staged| (from, staged))) {
                Some((from, staged)) if staged.object_type == object_type => {
                    fs::rename(&self.at(&from), &self.at(path))?;
                    self.note(path, hash, object_type)?;
                    continue;
                }
                Some((from, staged)) => {
                    unused.insert(from, staged);
                }
                None => {}
            }
            if object_type == ObjectType::File {
                let lender = unused.iter().find(|(_, staged)| staged.lends_its_inode());
                let lender = lender.map(|(from, _)| from.clone());
                if let Some(from) = lender {
                    unused.remove(&from);
                    fs::rename(&self.at(&from), &self.at(path))?;
                    self.overwrite(store, path, hash)?;
                    continue;
                }
                if let Some(number) = self.spares.pop() {
                    fs::rename(&self.spare.join(number.to_string()), &self.at(path))?;
                    self.overwrite(store, path, hash)?;
                    continue;
                }
            }
            store.stage(&hash, object_type, &self.at(path))?;
            self.note(path, hash, object_type)?;
        }
        for (path, staged) in unused {
            if staged.lends_its_inode() && self.spares.len() < SPARES {
                self.spares_made += 1;
                fs::rename(&self.at(&path), &self.spare.join(self.spares_made.to_string()))?;
                self.spares.push(self.spares_made);
            } else {
                fs::remove_file(&self.at(&path))?;
            }
        }
        // From the last to the first, what is in a directory comes before it.
        for path in self.directories.iter().rev().filter(|path| !wanted.directories.contains(*path)) {
            fs::remove_dir(&self.at(path))?;
        }
        self.directories.clone_from(&wanted.directories);
        self.is_known = true;
        Ok(())
    }

    /// Gives the plain file at `path` another content.
    fn overwrite(&mut self, store: &Store, path: &[u8], hash: Hash) -> Result<()> {
        store.restage(&hash, &self.at(path))?;
        self.note(path, hash, ObjectType::File)
    }

    fn note(&mut self, path: &[u8], hash: Hash, object_type: ObjectType) -> Result<()> {
        let signature = StatSignature::of(&fs::lstat(&self.at(path))?);
        self.files.insert(path.to_vec(), Staged { hash, object_type, signature });
        Ok(())
    }

    /// Takes the stage back from an action that has ended, when nobody can change it any more; removes
    /// what was not put there.
    pub(crate) fn take_back(&mut self, _: Lent, store: &Store) -> Result<()> {
        let mut found: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut pending = vec![Vec::new()];
        while let Some(directory) = pending.pop() {
            let place = self.at(&directory);
            if fs::lstat(&place)?.mode() != self.directory_mode {
                fs::set_mode(&place, self.directory_mode & 0o7777)?;
            }
            for (name, kind) in fs::list(&place)? {
                let mut path = directory.clone();
                if !path.is_empty() {
                    path.push(b'/');
                }
                path.extend(name.as_bytes());
                let stays = match kind {
                    FileKind::Directory => self.directories.contains(&path),
                    _ => match self.files.get(&path) {
                        Some(staged) => self.is_unchanged(store, &path, staged)?,
                        None => false,
                    },
                };
                if !stays {
                    fs::remove_all(&self.at(&path))?;
                    continue;
                }
                if kind == FileKind::Directory {
                    pending.push(path.clone());
                }
                found.insert(path);
            }
        }
        self.files.retain(|path, _| found.contains(path));
        self.directories.retain(|path| found.contains(path));
        self.is_known = true;
        Ok(())
    }

    fn is_unchanged(&self, store: &Store, path: &[u8], staged: &Staged) -> Result<bool> {
        let place = self.at(path);
        if StatSignature::of(&fs::lstat(&place)?) != staged.signature {
            return Ok(false);
        }
        if self.fine_times || staged.object_type == ObjectType::Symlink {
            return Ok(true);
        }
        // A change in the clock tick of the staging would not be seen in the times.
        store.has_content(&place, &staged.hash)
    }
}
