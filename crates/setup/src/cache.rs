//! The repositories of a build root: a git repository with the trees of roots, and maps from sources in descriptions to
//! these trees (docs/store.md). Layout, maps and locks are the reference's, so that both can use one build root.
//!
//! There are two generations. A tree that is used is in the youngest one, or is copied to it; [`collect`] drops the
//! oldest. An entry of a map is written after the tree that it names, so the tree exists.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use taut_digest::Hash;
use taut_store::Usage;
use taut_sys::{Dir, Links, Lock, if_exists};

use crate::source::{ArchiveKind, Special};

/// How many generations there are; the youngest is number 0.
// Two, as just-mr has it for this directory: what was not used between two collections goes with the second.
const GENERATIONS: usize = 2;

/// The repositories of a build root, locked against collection.
#[derive(Debug)]
pub struct Cache {
    path: PathBuf,
    root: Dir,
    // Only held, never read: dropping it is what lets a collection begin.
    lock: Lock,
    /// Held while an entry of a map is written: the temporary name of a file has only the number of the process.
    writing: Mutex<()>,
}

/// A map from keys to trees, one file for each key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// The directories are part of the layout that just-mr reads and writes; taut's own are below `taut`, which just-mr
// passes over.
pub(crate) enum TreeMap {
    /// By the blob id of an archive.
    Archive(ArchiveKind),
    /// By the id of a commit.
    Commit,
    /// By the id of a list of files.
    Distfiles,
    /// By the id of a tree whose special entries are treated.
    Special(Special),
    /// By the id of a root's source in a description ([`crate::Source::identity`]); taut's own.
    Root,
    /// By the same and the path of a repository on this machine that has the commit; taut's own.
    Checkout,
    /// By the same, if that repository does not have it and the one of the build root does; taut's own.
    NotCheckout,
    /// By the state of a directory that is imported; taut's own.
    Directory,
}

impl TreeMap {
    /// Its directory in a generation.
    fn directory(self) -> String {
        match self {
            TreeMap::Archive(kind) => format!("tree-map/{}", kind.word()),
            TreeMap::Commit => "commit-tree-map".to_owned(),
            TreeMap::Distfiles => "distfiles-tree-map".to_owned(),
            TreeMap::Special(special) => format!("special-tree-map/{}", special.word()),
            TreeMap::Root => "taut/root".to_owned(),
            TreeMap::Checkout => "taut/checkout".to_owned(),
            TreeMap::NotCheckout => "taut/not-checkout".to_owned(),
            TreeMap::Directory => "taut/directory".to_owned(),
        }
    }
}

fn generation(number: usize) -> String {
    format!("generation-{number}")
}

impl Cache {
    /// Opens the repositories of a build root, which are made if need be, with a shared lock: they are not collected
    /// before it is dropped.
    ///
    /// # Errors
    /// They cannot be made, opened or locked.
    pub fn open(build_root: &Path) -> taut_sys::Result<Cache> {
        let path = build_root.join("repositories");
        let root = Dir::made_of_user(&path)?;
        // Before anything is looked up: what is found then stays as long as the lock is held.
        let lock = Lock::shared(root.at("gc.lock"))?;
        Ok(Cache { path, root, lock, writing: Mutex::default() })
    }

    /// The lock, to be held by a process that this one becomes.
    pub fn into_lock(self) -> Lock {
        self.lock
    }

    /// The git repository of the youngest generation.
    pub fn git(&self) -> PathBuf {
        self.git_of(0)
    }

    /// Whether the youngest generation has a git repository.
    pub(crate) fn has_git(&self) -> bool {
        self.root.at("generation-0/git/HEAD").lstat().is_ok()
    }

    fn git_of(&self, number: usize) -> PathBuf {
        self.path.join(generation(number)).join("git")
    }

    /// The git repositories of older generations that exist, the younger first.
    pub(crate) fn older(&self) -> impl Iterator<Item = (usize, PathBuf)> {
        let is_there = |number: &usize| {
            self.root.at(&format!("{}/git", generation(*number))).lstat().is_ok_and(|stat| stat.is_dir())
        };
        (1..GENERATIONS).filter(is_there).map(|number| (number, self.git_of(number)))
    }

    /// The entry of a map of a generation, if it has one that is not damaged.
    ///
    /// # Errors
    /// The map cannot be read.
    pub(crate) fn get(&self, number: usize, map: TreeMap, key: &str) -> taut_sys::Result<Option<Hash>> {
        // Keys are hexadecimal ids, so a key is one component of a path.
        let name = format!("{}/{}/{key}", generation(number), map.directory());
        let content = match if_exists(self.root.at(&name).read()) {
            // A directory in the place of a file is as damaged as a cut file.
            Err(error) if error.is_other_kind() => None,
            other => other?,
        };
        // A file that was cut when the machine went down is as good as none.
        let id = content.and_then(|content| Hash::from_hex(std::str::from_utf8(&content).ok()?).ok());
        // The git repository has ids of SHA-1 only.
        Ok(id.filter(|id| id.as_bytes().len() == 20))
    }

    /// Writes an entry of a map of the youngest generation. The tree must be there.
    ///
    /// # Errors
    /// It cannot be written.
    pub(crate) fn put(&self, map: TreeMap, key: &str, tree: &Hash) -> taut_sys::Result<()> {
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let directory = self.root.make_all(&format!("{}/{}", generation(0), map.directory()))?;
        // As a whole: a process that reads at the same time gets the old entry or the new one.
        directory.at(key).replace(tree.to_hex().as_bytes())
    }
}

/// Counts what the git repositories and maps of all generations hold. What other processes add or remove meanwhile may
/// be counted or not.
///
/// # Errors
/// The build root cannot be opened.
pub fn usage(build_root: &Path) -> taut_sys::Result<Usage> {
    let Some(root) = if_exists(Dir::of_user(&build_root.join("repositories")))? else {
        return Ok(Usage::default());
    };
    Ok(Usage::below((0..GENERATIONS).filter_map(|number| root.at(&generation(number)).open_dir().ok())))
}

/// Removes what set-ups that were killed left in the git repositories of a build root, unless another process uses
/// these.
///
/// # Errors
/// The build root cannot be opened or locked, or something cannot be removed.
pub fn remove_leftovers(build_root: &Path) -> taut_sys::Result<()> {
    let path = build_root.join("repositories");
    let Some(root) = if_exists(Dir::of_user(&path))? else { return Ok(()) };
    // Set-ups hold it shared, those of just-mr, too.
    let Some(_lock) = Lock::try_exclusive(root.at("gc.lock"))? else { return Ok(()) };
    remove_leftovers_below(&path)
}

/// The same under the lock.
fn remove_leftovers_below(path: &Path) -> taut_sys::Result<()> {
    (0..GENERATIONS)
        .try_for_each(|number| taut_git::remove_leftovers(&path.join(generation(number)).join("git")))
}

/// Makes the youngest generation the old one, and removes the one that was old; or, with `drop_only`, only the latter.
/// Waits until no other process uses the repositories.
///
/// # Errors
/// A directory cannot be renamed or removed.
pub fn collect(build_root: &Path, drop_only: bool, busy: impl FnOnce()) -> taut_sys::Result<()> {
    let path = build_root.join("repositories");
    let root = Dir::made_of_user(&path)?;
    // The form of just-mr's names (process and number), so that either tool finds what the other has left behind.
    let name = format!("remove-me{}-0", std::process::id());
    {
        // Set-ups and the builds that they become hold it shared, so no process uses a tree that moves.
        let _lock = Lock::exclusive(root.at("gc.lock"), busy)?;
        // It may be from a process that died and had the same number.
        if_exists(root.at(&name).remove_all())?;
        // A rename takes no time however large the generation is, and a crash after it leaves only a directory to
        // remove.
        let removed = root.at(&name).make_dir()?;
        // Renamed into a directory of this process rather than removed in place: under the lock nothing takes long.
        if_exists(root.at(&generation(1)).rename(removed.at("generation-1")))?;
        if !drop_only {
            if_exists(root.at(&generation(0)).rename(root.at(&generation(1))))?;
        }
        remove_leftovers_below(&path)?;
    }
    // The lock is released before the removal, which may take long: the name is of this process only.
    if_exists(root.at(&name).remove_all())?;
    // What others left behind when they died.
    for (left, _) in root.list()? {
        let left = left.to_string_lossy().into_owned();
        let of = left.strip_prefix("remove-me").and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
        // One that runs is still removing it. A number that was given to another process only delays the removal.
        if of.is_some_and(|process| !is_running(process)) {
            if_exists(root.at(&left).remove_all())?;
        }
    }
    Ok(())
}

fn is_running(process: u32) -> bool {
    let proc = Dir::of_user(Path::new("/proc"));
    proc.is_ok_and(|proc| proc.sub(&process.to_string(), Links::Refused).is_ok())
}
