//! A directory in which actions run, one after the other.
//!
//! Creating and removing files is the slowest operation of file systems, so a stage keeps what the next action has in
//! common with the last one. After an action it is compared with what was put there: size, times, inode and mode of
//! every file, the entries of every directory. What differs in any way is removed; what is unchanged stays, moves to
//! another path, or has its inode reused for other content. All files are private copies: an action that changes one,
//! even as root, changes nothing that another action will read.
//!
//! An action can do with its directory what it wants, and also replace it. So the directory is held open, everything in
//! it is reached through that handle, and its name counts only while it leads to the directory that was made here. What
//! an action puts in its place is left alone, and the action fails.

use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    os::unix::ffi::OsStrExt,
    path::Path,
};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_store::{MIN_COUNTED_PATHS, Result, Store};
use taut_sys::{At, Dir, FileKind, Identity, Links, Stat, StatSignature, if_exists};

/// The wanted content of a stage: files and links by path, and all directories but the root.
#[derive(Default, Debug)]
pub(crate) struct StageContent {
    files: BTreeMap<Vec<u8>, (Hash, ObjectType)>,
    directories: BTreeSet<Vec<u8>>,
}

/// The size of the largest file whose inode may be reused for other content, in bytes.
// For a larger file the cost is in writing its content, not in making an inode.
const MAX_REUSED_BYTES: u64 = 1 << 20;

/// How many unused files are kept for their inodes.
// With the limit above, at most 64 MiB for each slot.
const MAX_SPARES: usize = 64;

impl StageContent {
    /// The given objects at their paths; trees with all that is in them. Without recursion.
    pub(crate) fn new(store: &Store, inputs: &[(Cow<'_, str>, ObjectInfo)]) -> Result<StageContent> {
        let mut wanted = StageContent::default();
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
        let mut has_counted = false;
        while let Some((path, hash)) = trees.pop() {
            if !has_counted && wanted.files.len() + wanted.directories.len() >= MIN_COUNTED_PATHS {
                has_counted = true;
                for (path, info) in inputs {
                    store.check_paths(info, path)?;
                }
            }
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
            // Those above a known directory are known, too, so each path costs only its new part.
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

/// A file of the stage, as it was put there.
#[derive(Clone, Copy, Debug)]
struct Staged {
    hash: Hash,
    object_type: ObjectType,
    signature: StatSignature,
    identity: Identity,
}

impl Staged {
    fn is_inode_reusable(&self) -> bool {
        // `restage` makes plain files only.
        self.object_type == ObjectType::File && self.signature.size <= MAX_REUSED_BYTES
    }
}

/// Proof that an action has the stage.
pub(crate) struct StageLease;

/// How many names for its directory a stage tries.
// A bound, since an action can create all the names that are tried.
const MAX_ROOTS: usize = 100_000;

/// The mode of all directories, whatever the umask of the caller.
const DIRECTORY_MODE: u32 = 0o755;

/// The directory in which actions run, as it was made.
#[derive(Debug)]
struct Root {
    name: String,
    dir: Dir,
    identity: Identity,
}

/// A directory, and its known content.
#[derive(Debug)]
pub(crate) struct Stage {
    /// The directory above.
    place: Dir,
    root: Option<Root>,
    /// How many directories were made so far: one that an action may still use, or has replaced, is left, and another
    /// one is made.
    made: usize,
    spare: Dir,
    /// Whether the fields below are all that is in `root`; if not, it is made anew.
    is_known: bool,
    // Sorted by path, so neighbours share a directory and `Cursor` opens each once.
    files: BTreeMap<Vec<u8>, Staged>,
    directories: BTreeSet<Vec<u8>>,
    /// The numbers of the files in `spare`, and their identities.
    spares: Vec<(usize, Identity)>,
    spares_made: usize,
    /// Whether the umask removes bits of [`DIRECTORY_MODE`].
    sets_modes: bool,
    /// Whether times of this file system distinguish any two changes.
    fine_times: bool,
}

/// Splits a path below the stage into the directory and the name.
fn split(path: &[u8]) -> (&[u8], &Path) {
    let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => (&path[..slash], &path[slash + 1..]),
        None => (&b""[..], path),
    };
    (above, Path::new(OsStr::from_bytes(name)))
}

/// The directory of the last path, held open: that of the next path is mostly the same.
struct Cursor<'s> {
    root: &'s Dir,
    path: Vec<u8>,
    dir: Option<Dir>,
}

impl<'s> Cursor<'s> {
    fn new(root: &'s Dir) -> Cursor<'s> {
        Cursor { root, path: Vec::new(), dir: None }
    }

    /// The directory of a path, and the name in it.
    fn locate<'c, 'p>(&'c mut self, path: &'p [u8]) -> Result<(&'c Dir, &'p Path)> {
        let (above, name) = split(path);
        if self.path != above {
            self.dir = None;
            if !above.is_empty() {
                // Without links: an action could have put one in the place of a directory.
                self.dir = Some(self.root.sub(OsStr::from_bytes(above), Links::Refused)?);
            }
            self.path = above.to_vec();
        }
        Ok((self.dir.as_ref().unwrap_or(self.root), name))
    }
}

impl Stage {
    /// A stage in the directory `place`, which is used by this stage only.
    pub(crate) fn new(place: Dir, fine_times: bool) -> Result<Stage> {
        let spare = place.at("spare").make_dir()?;
        // A directory that was just made shows what the umask leaves of the mode.
        let sets_modes = spare.stat()?.mode() & 0o777 != DIRECTORY_MODE;
        Ok(Stage {
            place,
            root: None,
            made: 0,
            spare,
            is_known: false,
            files: BTreeMap::new(),
            directories: BTreeSet::new(),
            spares: Vec::new(),
            spares_made: 0,
            sets_modes,
            fine_times,
        })
    }

    /// The directory, after [`Stage::prepare`].
    pub(crate) fn root(&self) -> &Dir {
        &self.root.as_ref().expect("prepared before it is used").dir
    }

    /// Gives the stage to an action. Until it is taken back, its content is unknown: if it never is, the next action
    /// gets a new directory.
    pub(crate) fn lend(&mut self) -> StageLease {
        self.is_known = false;
        StageLease
    }

    /// An empty directory for the next action.
    fn make_root(&mut self) -> Result<()> {
        (self.files, self.directories) = Default::default();
        self.root = None;
        // An action may have created the next names.
        let (name, dir) = loop {
            self.made += 1;
            let name = if self.made == 1 { "root".to_owned() } else { format!("root-{}", self.made) };
            match self.place.at(&name).make_dir() {
                Err(error) if error.is_exists() && self.made < MAX_ROOTS => {}
                made => break (name, made?),
            }
        };
        if self.sets_modes {
            dir.set_mode(DIRECTORY_MODE)?;
        }
        let identity = dir.identity()?;
        self.root = Some(Root { name, dir, identity });
        Ok(())
    }

    /// Makes the content of the stage exactly what is wanted.
    pub(crate) fn prepare(&mut self, store: &Store, wanted: &StageContent) -> Result<()> {
        let blocks = |path: &Vec<u8>| wanted.files.contains_key(path);
        let blocked = |path: &Vec<u8>| wanted.directories.contains(path);
        // A path that changes between file and directory would need a certain order of steps; a new directory is
        // simpler, and this is rare.
        if self.directories.iter().any(blocks) || self.files.keys().any(blocked) {
            // A known directory is removed; one with unknown content may still be in use, and is removed with `place`.
            if let (true, Some(root)) = (self.is_known, &self.root) {
                self.place.at(&root.name).remove_made(root.identity)?;
            }
            self.is_known = false;
        }
        if !self.is_known {
            self.make_root()?;
        }
        // If a step below fails, the content stays unknown.
        self.is_known = false;
        if let Some(path) = wanted.blocked() {
            // The caller reports both paths before it comes here.
            let path = Path::new(OsStr::from_bytes(path));
            return Err(taut_sys::Error::new("stage", path, std::io::ErrorKind::NotADirectory).into());
        }
        let mut steps = Steps {
            store,
            root: &self.root.as_ref().expect("made above").dir,
            spare: &self.spare,
            files: &mut self.files,
            spares: &mut self.spares,
            spares_made: &mut self.spares_made,
            sets_modes: self.sets_modes,
        };
        // Directories are made first and removed last: files move from the old ones into the new ones.
        // A sorted set has a directory before those in it, which is the order of creation.
        steps.make_directories(wanted.directories.difference(&self.directories))?;
        let unused = steps.place_files(wanted)?;
        steps.put_away(unused)?;
        steps
            .remove_directories(self.directories.iter().filter(|path| !wanted.directories.contains(*path)))?;
        self.directories.clone_from(&wanted.directories);
        self.is_known = true;
        Ok(())
    }

    /// Takes the stage back from an action that has ended, when no process can change it, and removes everything that
    /// was not put there.
    ///
    /// # Errors
    /// The action has replaced its directory, or something in it cannot be removed. That is left, and the next action
    /// gets another directory.
    pub(crate) fn take_back(&mut self, _: StageLease, store: &Store) -> Result<()> {
        let root = self.root.as_ref().expect("prepared before it was lent");
        // The name is compared with the open directory: what is under another identity was put there by the action.
        let there = if_exists(self.place.at(&root.name).lstat())?;
        if there.is_none_or(|there| there.identity() != root.identity) {
            let what = there.map_or(
                "removed its own directory",
                |_| "put something else in the place of its own directory",
            );
            let error = std::io::Error::other(format!("the action {what}; what is there is left alone"));
            return Err(taut_sys::Error::new("take back", root.dir.path(), error).into());
        }
        let mut found: BTreeSet<Vec<u8>> = BTreeSet::new();
        let mut pending: Vec<(Vec<u8>, Option<Dir>)> = vec![(Vec::new(), None)];
        while let Some((path, dir)) = pending.pop() {
            let dir = dir.as_ref().unwrap_or(&root.dir);
            // Before the listing: the action may have taken away the permissions that it needs.
            if dir.stat()?.mode() != DIRECTORY_MODE {
                dir.set_mode(DIRECTORY_MODE)?;
            }
            for (name, kind) in dir.list()? {
                let mut inner = path.clone();
                if !inner.is_empty() {
                    inner.push(b'/');
                }
                inner.extend(name.as_bytes());
                let at = dir.at(&name);
                // Kinds come from the listing, so a directory in the place of a file is removed as a whole.
                let stays = match kind {
                    FileKind::Directory => self.directories.contains(&inner),
                    _ => match self.files.get(&inner) {
                        Some(staged) => self.is_unchanged(store, at, staged)?,
                        None => false,
                    },
                };
                if !stays {
                    at.remove_all()?;
                    continue;
                }
                if kind == FileKind::Directory {
                    // Something that was mounted there is not entered, so the stage is not taken back.
                    pending.push((inner.clone(), Some(at.open_dir_of_mount()?)));
                }
                found.insert(inner);
            }
        }
        // What the action removed is staged again when it is wanted.
        self.files.retain(|path, _| found.contains(path));
        self.directories.retain(|path| found.contains(path));
        self.is_known = true;
        Ok(())
    }

    fn is_unchanged(&self, store: &Store, at: At<'_>, staged: &Staged) -> Result<bool> {
        // The change time is part of the signature: no user can set it, so a write that restores size and modification
        // time is detected.
        if at.lstat()?.signature != staged.signature {
            return Ok(false);
        }
        if self.fine_times || staged.object_type == ObjectType::Symlink {
            return Ok(true);
        }
        // A change within the clock tick in which the file was staged would not alter its times: compare the content.
        store.has_content(at, &staged.hash)
    }
}

/// The steps of preparing a stage, whose content is exactly `files`.
struct Steps<'s> {
    store: &'s Store,
    root: &'s Dir,
    spare: &'s Dir,
    files: &'s mut BTreeMap<Vec<u8>, Staged>,
    spares: &'s mut Vec<(usize, Identity)>,
    spares_made: &'s mut usize,
    sets_modes: bool,
}

impl<'s> Steps<'s> {
    fn make_directories<'p>(&self, paths: impl Iterator<Item = &'p Vec<u8>>) -> Result<()> {
        let mut cursor = Cursor::new(self.root);
        for path in paths {
            let (dir, name) = cursor.locate(path)?;
            if self.sets_modes {
                dir.at(name).make_dir()?.set_mode(DIRECTORY_MODE)?;
            } else {
                dir.at(name).make_dir_only()?;
            }
        }
        Ok(())
    }

    /// Puts all files in their places: first over files with the same path, then by moving files with the same content,
    /// then into inodes of unused files, and only then as new files. Returns the files that are not wanted.
    fn place_files(&mut self, wanted: &StageContent) -> Result<BTreeMap<Vec<u8>, Staged>> {
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
        let (mut to, mut from) = (Cursor::new(self.root), Cursor::new(self.root));
        // The paths that are occupied come first: a rename onto one would destroy a file that is still listed as
        // unused.
        for &(path, &(hash, object_type)) in &missing {
            let Some(here) = unused.remove(path) else { continue };
            let (dir, name) = to.locate(path)?;
            if object_type == ObjectType::File && here.is_inode_reusable() {
                self.overwrite(path, dir.at(name), hash, here.identity)?;
            } else {
                dir.at(name).remove_file()?;
            }
        }
        // By hash alone; whether kind and mode fit is compared when one is taken.
        let mut by_content: BTreeMap<Hash, Vec<Vec<u8>>> = BTreeMap::new();
        for (path, staged) in &unused {
            by_content.entry(staged.hash).or_default().push(path.clone());
        }
        for (path, &(hash, object_type)) in missing {
            if self.files.contains_key(path) {
                continue;
            }
            let (dir, name) = to.locate(path)?;
            let at = dir.at(name);
            // A rename is less work than writing even a small file. It changes the time of change, so the file is noted
            // anew.
            let same = by_content.get_mut(&hash).and_then(Vec::pop);
            match same.and_then(|source| unused.remove(&source).map(|staged| (source, staged))) {
                Some((source, staged)) if staged.object_type == object_type => {
                    let (dir, name) = from.locate(&source)?;
                    dir.at(name).rename(at)?;
                    self.note(path, at.lstat()?, hash, object_type);
                    continue;
                }
                Some((source, staged)) => {
                    unused.insert(source, staged);
                }
                None => {}
            }
            if object_type == ObjectType::File {
                let lender = unused.iter().find(|(_, staged)| staged.is_inode_reusable());
                let lender = lender.map(|(source, staged)| (source.clone(), staged.identity));
                if let Some((source, identity)) = lender {
                    unused.remove(&source);
                    let (dir, name) = from.locate(&source)?;
                    dir.at(name).rename(at)?;
                    self.overwrite(path, at, hash, identity)?;
                    continue;
                }
                if self.take_spare(path, at, hash)? {
                    continue;
                }
            }
            let stat = self.store.stage(&hash, object_type, at)?;
            self.note(path, stat, hash, object_type);
        }
        Ok(unused)
    }

    /// Keeps unused files for their inodes, or removes them.
    fn put_away(&mut self, unused: BTreeMap<Vec<u8>, Staged>) -> Result<()> {
        let mut from = Cursor::new(self.root);
        for (path, staged) in unused {
            let (dir, name) = from.locate(&path)?;
            if staged.is_inode_reusable() && self.spares.len() < MAX_SPARES {
                *self.spares_made += 1;
                dir.at(name).rename(self.spare.at(&self.spares_made.to_string()))?;
                self.spares.push((*self.spares_made, staged.identity));
            } else {
                dir.at(name).remove_file()?;
            }
        }
        Ok(())
    }

    /// In reverse order of paths, the content of a directory comes before it.
    fn remove_directories<'p>(&self, paths: impl DoubleEndedIterator<Item = &'p Vec<u8>>) -> Result<()> {
        for path in paths.rev() {
            self.root.at(OsStr::from_bytes(path)).remove_dir()?;
        }
        Ok(())
    }

    /// Moves a spare file to its place and overwrites it. Returns whether there was one: an action can reach the
    /// directory of spares, so a file that is not the one that was put there is not used.
    fn take_spare(&mut self, path: &[u8], at: At<'_>, hash: Hash) -> Result<bool> {
        while let Some((number, identity)) = self.spares.pop() {
            let name = number.to_string();
            let spare = self.spare.at(&name);
            let is_ours = |stat: Stat| stat.identity() == identity && stat.links == 1 && stat.is_file();
            if if_exists(spare.lstat())?.is_some_and(is_ours) {
                spare.rename(at)?;
                self.overwrite(path, at, hash, identity)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Replaces the content of the plain file at a place.
    fn overwrite(&mut self, path: &[u8], at: At<'_>, hash: Hash, made: Identity) -> Result<()> {
        let stat = self.store.restage(&hash, at, made)?;
        self.note(path, stat, hash, ObjectType::File);
        Ok(())
    }

    fn note(&mut self, path: &[u8], stat: Stat, hash: Hash, object_type: ObjectType) {
        let (signature, identity) = (stat.signature, stat.identity());
        self.files.insert(path.to_vec(), Staged { hash, object_type, signature, identity });
    }
}
