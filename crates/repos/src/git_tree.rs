//! A git tree as a root: nothing in it ever changes, and every file and directory is an object that is known by its id.
//!
//! The evidence of anything that is read is the id of the root's tree. So a later build compares ids, and neither opens
//! the repository nor asks the system for a file, until something has to be read that no recorded run has.

use std::{
    collections::{BTreeMap, HashMap},
    os::unix::ffi::OsStrExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use taut_digest::{Digest, Hash, ID_DIGITS, ObjectInfo, ObjectType, parse_git_tree};
use taut_git::{Kind, Repository};
use taut_syntax::{Diagnostic, Location, quoted};
use taut_sys::Named;

use crate::{
    Entry, Listed, Listing, Observation, Result, RootError, Source, SourceRoot, Symlinks, root::stays_inside,
};

/// The number of this kind of root in identities and evidence; a directory is 0.
const KIND: u8 = 1;

/// How many entries of trees are kept in memory.
// Some tens of MiB: more than most source trees have, and a bound for the largest.
const MAX_KEPT_ENTRIES: usize = 1 << 18;

/// The location of the parts of a root's description, for messages.
#[derive(Clone, Debug)]
pub(crate) struct RootLocations {
    /// The id.
    pub(crate) id: Location,
    /// The repository.
    pub(crate) repository: Location,
    /// The path of the repository as it was written.
    pub(crate) written: String,
    /// Which root of which repository it is.
    pub(crate) what: String,
}

/// A tree of a git repository that provides files.
pub struct GitTreeRoot {
    repository: Arc<Repository>,
    tree: Hash,
    described: RootLocations,
    // One lock for look-ups only; objects are read without it.
    trees: Mutex<Trees>,
    /// Whether something was missing or damaged.
    has_lost: AtomicBool,
}

/// Trees that were read, by id.
#[derive(Default)]
struct Trees {
    all: HashMap<Hash, Arc<Tree>>,
    /// The number of their entries.
    entries: usize,
}

/// A directory.
struct Tree {
    /// The number of bytes of the object.
    size: u64,
    /// The entries by name; without a type: a submodule.
    // Sorted by bytes, as listings are, and not in git's order, which sorts a directory as if its name ended in a
    // slash.
    entries: BTreeMap<Vec<u8>, (Hash, Option<ObjectType>)>,
}

impl GitTreeRoot {
    /// A tree of a repository; neither need exist.
    pub(crate) fn new(repository: Arc<Repository>, tree: Hash, described: RootLocations) -> GitTreeRoot {
        let (trees, has_lost) = (Mutex::default(), AtomicBool::new(false));
        GitTreeRoot { repository, tree, described, trees, has_lost }
    }

    fn id_in_messages(&self) -> String {
        self.tree.to_hex()[..ID_DIGITS].to_owned()
    }

    fn missing(&self, id: &Hash) -> RootError {
        // Relaxed: only ever set, and read when the error that follows has come up.
        self.has_lost.store(true, Relaxed);
        RootError::new(format!(
            "object {} is not in the git repository {}, which is incomplete",
            id.to_hex(),
            self.repository.path().display()
        ))
    }

    /// The repository is damaged, or the path leads to something else.
    fn unreadable(&self, error: taut_git::Error) -> RootError {
        self.has_lost.store(true, Relaxed);
        RootError::new(error)
    }

    fn wrong(&self, id: &Hash, why: impl std::fmt::Display) -> RootError {
        let path = self.repository.path().display();
        RootError::new(format!("object {} of git repository {path} cannot be used: {why}", id.to_hex()))
    }

    /// The content of an object that a tree of the root names.
    fn content(&self, id: &Hash, kind: Kind) -> Result<Vec<u8>> {
        let object = self
            .repository
            .read(id)
            .map_err(|error| self.unreadable(error))?
            .ok_or_else(|| self.missing(id))?;
        if object.kind != kind {
            let (is, named) = (object.kind.name(), kind.name());
            return Err(self.wrong(id, format_args!("it is a {is}, but named as a {named}")));
        }
        Ok(object.content)
    }

    fn tree(&self, id: &Hash) -> Result<Arc<Tree>> {
        let kept = || self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tree) = kept().all.get(id) {
            return Ok(tree.clone());
        }
        // Read without the lock: at worst two threads read the same tree, and the later one replaces an equal value.
        let content = self.content(id, Kind::Tree)?;
        let parsed = parse_git_tree(&content, id.as_bytes().len()).map_err(|error| self.wrong(id, error))?;
        let entries = parsed.iter().map(|entry| (entry.name.to_vec(), (entry.hash, entry.object_type)));
        let tree = Arc::new(Tree { size: content.len() as u64, entries: entries.collect() });
        let mut kept = kept();
        // Emptied rather than ordered by use: a tree that is wanted again is read again.
        if kept.entries + tree.entries.len() > MAX_KEPT_ENTRIES {
            *kept = Trees::default();
        }
        kept.entries += tree.entries.len();
        kept.all.insert(*id, tree.clone());
        Ok(tree)
    }

    /// The object at a path, and its type; `None` if nothing is there. A link on the way leads nowhere.
    fn find(&self, path: &[u8]) -> Result<Option<(Hash, Option<ObjectType>)>> {
        let mut found = (self.tree, Some(ObjectType::Tree));
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            // Also for a link: the tree that a path names must not depend on where a link happens to lead.
            if found.1 != Some(ObjectType::Tree) {
                return Ok(None);
            }
            match self.tree(&found.0)?.entries.get(name) {
                Some(entry) => found = *entry,
                None => return Ok(None),
            }
        }
        Ok(Some(found))
    }

    fn info(&self, id: &Hash, object_type: ObjectType) -> Result<ObjectInfo> {
        let header = self
            .repository
            .header(id)
            .map_err(|error| self.unreadable(error))?
            .ok_or_else(|| self.missing(id))?;
        let named = if object_type == ObjectType::Tree { Kind::Tree } else { Kind::Blob };
        if header.kind != named {
            let (is, named) = (header.kind.name(), named.name());
            return Err(self.wrong(id, format_args!("it is a {is}, but named as a {named}")));
        }
        Ok(ObjectInfo { digest: Digest { hash: *id, size: header.size }, object_type })
    }

    fn evidence(&self) -> Vec<u8> {
        [&[KIND], self.tree.as_bytes()].concat()
    }
}

impl SourceRoot for GitTreeRoot {
    /// 1 and the id of the tree. Its repository is not part of it: the same tree has the same content everywhere.
    fn identity(&self) -> Vec<u8> {
        self.evidence()
    }

    fn shown(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("git tree {}", self.id_in_messages()));
        if path.is_empty() { root } else { root.join(path) }
    }

    fn directory(&self) -> Option<&Path> {
        None
    }

    fn list(&self, path: &str, ignore_special: bool) -> Result<Listing> {
        let Some((id, Some(ObjectType::Tree))) = self.find(path.as_bytes())? else {
            return Ok(Listing::Absent);
        };
        let tree = self.tree(&id)?;
        let full = |name: &str| self.shown(path).join(name);
        let mut entries = Vec::with_capacity(tree.entries.len());
        for (name, (id, object_type)) in &tree.entries {
            let shown = String::from_utf8_lossy(name);
            let entry = match object_type {
                None if ignore_special => continue,
                None => {
                    let path = full(&shown);
                    return Ok(Listing::Unreadable(format!("{} is a submodule", path.display())));
                }
                Some(ObjectType::Symlink) if ignore_special => continue,
                Some(ObjectType::Symlink) => {
                    // Here and not where the link is used: as in a directory, a link that leads outwards makes the
                    // whole listing unusable.
                    let target = self.content(id, Kind::Blob)?;
                    if !stays_inside(&target) {
                        return Ok(Listing::Unreadable(format!(
                            "{} is a symbolic link that leads outwards (to {})",
                            full(&shown).display(),
                            String::from_utf8_lossy(&target)
                        )));
                    }
                    Entry::Symlink
                }
                Some(ObjectType::Tree) => Entry::Directory,
                Some(ObjectType::File | ObjectType::Executable) => Entry::File,
            };
            if std::str::from_utf8(name).is_err() {
                if !ignore_special {
                    let is_directory = entry == Entry::Directory;
                    entries.push(Listed::new(shown.as_ref(), Entry::NotUtf8 { is_directory }));
                }
                continue;
            }
            // Of a directory, the listing of itself has the object: a change below does not change this listing.
            let known = match object_type.filter(|object_type| *object_type != ObjectType::Tree) {
                Some(object_type) => Some(Box::new(self.info(id, object_type)?)),
                None => None,
            };
            entries.push(Listed { known, ..Listed::new(shown.as_ref(), entry) });
        }
        // Names with replacement characters may sort differently than their bytes did.
        entries.sort_by(|a: &Listed, b| a.name.as_str().cmp(b.name.as_str()));
        // Without its special entries, the directory is another tree than the object.
        if ignore_special {
            return Ok(Listing::filtered(entries, id));
        }
        let itself =
            ObjectInfo { digest: Digest { hash: id, size: tree.size }, object_type: ObjectType::Tree };
        Ok(Listing::of(entries, Some(itself)))
    }

    fn is_file(&self, path: &Path) -> bool {
        let found = self.find(path.as_os_str().as_bytes());
        matches!(found, Ok(Some((_, Some(ObjectType::File | ObjectType::Executable)))))
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        match self.find(path.as_bytes())? {
            Some((id, Some(ObjectType::File | ObjectType::Executable))) => {
                self.content(&id, Kind::Blob).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn source<'p>(&self, path: &'p str) -> Result<Source<'p>> {
        Ok(match self.find(path.as_bytes())? {
            None => Source::Absent,
            Some((_, None)) => Source::Other,
            Some((id, Some(object_type))) => Source::Known(self.info(&id, object_type)?),
        })
    }

    fn object(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<Vec<u8>>> {
        let kind = if object_type == ObjectType::Tree { Kind::Tree } else { Kind::Blob };
        // Of the whole repository, not only below this tree: content with the right hash is the object, wherever it
        // lies.
        let object = self.repository.read(hash).map_err(|error| self.unreadable(error))?;
        Ok(object.filter(|object| object.kind == kind).map(|object| object.content))
    }

    fn fixed_content(&self) -> Option<String> {
        Some(self.tree.to_hex())
    }

    fn object_origin(&self) -> Option<&Path> {
        Some(self.repository.path())
    }

    fn has_lost(&self) -> bool {
        self.has_lost.load(Relaxed)
    }

    fn check(&self) -> std::result::Result<(), Box<Diagnostic>> {
        let RootLocations { id, repository, written, what } = &self.described;
        let reference = format!(
            "Could not create file root for git repository {} and tree id {}",
            quoted(written),
            quoted(&self.tree.to_hex())
        );
        let wrong = |message: String, place: &Location| {
            let note = format!("it is the {what}");
            Diagnostic::error(message).at(place.clone()).reference(reference.clone()).note(note)
        };
        let (path, hex) = (self.repository.path().display(), self.tree.to_hex());
        let problem = match self.repository.header(&self.tree) {
            Ok(Some(header)) if header.kind == Kind::Tree => return Ok(()),
            Ok(Some(header)) => {
                let kind = header.kind.name();
                let problem =
                    wrong(format!("Object {hex} of git repository {path} is a {kind}, not a tree"), id);
                match header.kind {
                    Kind::Commit | Kind::Tag => {
                        problem.help(format!("git -C {path} rev-parse {hex}^{{tree}} prints the tree of it"))
                    }
                    _ => problem,
                }
            }
            Ok(None) => wrong(format!("There is no tree {hex} in the git repository {path}"), id),
            Err(error @ taut_git::Error::NoRepository { .. }) => {
                // Two messages of libgit2, by whether there is something at the path.
                let cause = match Named::stat(self.repository.path()) {
                    Ok(_) => format!("error code 6: could not find repository at '{written}'"),
                    Err(_) => {
                        format!("error code 2: failed to resolve path '{written}': No such file or directory")
                    }
                };
                // A message of the reference only: what is opened here is this one.
                let text = format!("Opening git repository {written} failed with:\n{cause}");
                let opening = Diagnostic::warning("").reference(text);
                wrong(error.to_string(), repository).after_warnings(std::iter::once(&opening))
            }
            Err(error) => wrong(error.to_string(), id),
        };
        Err(Box::new(problem))
    }

    fn observe(&self, path: &str, symlinks: Symlinks, read: &mut dyn FnMut()) -> Result<Observation> {
        read();
        Ok(Observation { witness: Some(self.witness(path, symlinks)?), is_steady: true })
    }

    fn witness(&self, _: &str, _: Symlinks) -> Result<Vec<u8>> {
        Ok(self.evidence())
    }

    // The same tree has the same content wherever it is, so the path plays no part.
    fn holds(&self, _: &str, _: Symlinks, witness: &[u8]) -> bool {
        witness == self.evidence()
    }

    fn forget(&self) {
        self.repository.forget();
    }
}

/// A git tree whose repository is not named: it is not there, and nothing of it can be read.
pub struct AbsentRoot {
    id: String,
}

impl AbsentRoot {
    /// The tree with an id, as it was written.
    pub fn new(id: impl Into<String>) -> AbsentRoot {
        AbsentRoot { id: id.into() }
    }

    fn cannot<T>(&self, what: impl std::fmt::Display) -> Result<T> {
        Err(RootError::new(format!("Would have to read {what} of absent root {}", self.id)))
    }
}

impl SourceRoot for AbsentRoot {
    /// 2 and the id as it was written.
    fn identity(&self) -> Vec<u8> {
        // As it was written: an absent root is never read, so its id need not be one.
        [&[2], self.id.as_bytes()].concat()
    }

    fn shown(&self, path: &str) -> PathBuf {
        let root = PathBuf::from(format!("absent git tree {}", self.id));
        if path.is_empty() { root } else { root.join(path) }
    }

    fn directory(&self) -> Option<&Path> {
        None
    }

    fn is_absent(&self) -> bool {
        true
    }

    fn fixed_content(&self) -> Option<String> {
        Some(self.id.clone())
    }

    fn list(&self, _: &str, _: bool) -> Result<Listing> {
        self.cannot("directory entries")
    }

    fn is_file(&self, _: &Path) -> bool {
        false
    }

    fn read(&self, path: &str) -> Result<Option<Vec<u8>>> {
        self.cannot(format_args!("JSON file {path}"))
    }

    fn source<'p>(&self, path: &'p str) -> Result<Source<'p>> {
        self.cannot(path)
    }

    fn observe(&self, _: &str, _: Symlinks, read: &mut dyn FnMut()) -> Result<Observation> {
        // What is read is an error, which is not recorded.
        read();
        Ok(Observation { witness: None, is_steady: true })
    }

    fn witness(&self, _: &str, _: Symlinks) -> Result<Vec<u8>> {
        self.cannot("anything")
    }

    fn holds(&self, _: &str, _: Symlinks, _: &[u8]) -> bool {
        false
    }
}
