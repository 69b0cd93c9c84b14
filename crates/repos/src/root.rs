//! The interface of roots: trees of names, files and links from which descriptions and sources are read.
//!
//! Everything above this crate reads a root through [`SourceRoot`], and does not know whether it is a directory, in
//! which anything may change at any time, or a tree of objects, in which nothing does. A root of the second kind knows
//! the objects of its files and directories: it returns them instead of contents, so that nothing is read that is not
//! needed.
//!
//! Rejected: returning open directories, as the first version did. Then each user of a root decides how symbolic
//! links are treated, and a root that is not a directory would have to be checked out.

use std::{
    collections::{HashMap, HashSet},
    error::Error,
    fmt,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use taut_digest::{Hash, ObjectInfo, ObjectType};
use taut_syntax::{Diagnostic, Diagnostics};
use taut_sys::{At, Dir};
use taut_value::Encoder;

use crate::{Handover, Listing, RootPath, computed_root::UnresolvedRoot, content_names::ContentNames};

/// Why a root cannot answer.
#[derive(Debug)]
// Boxed, as roots fail in different ways, and only the text is used.
pub struct RootError(Box<dyn Error + Send + Sync>);

impl RootError {
    /// With a reason that includes the operation and the path.
    pub fn new(reason: impl Into<Box<dyn Error + Send + Sync>>) -> RootError {
        RootError(reason.into())
    }
}

impl fmt::Display for RootError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Error for RootError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}

impl From<taut_sys::Error> for RootError {
    fn from(error: taut_sys::Error) -> RootError {
        RootError::new(error)
    }
}

/// The result of an operation on a root.
pub type Result<T> = std::result::Result<T, RootError>;

/// Whether a symbolic link is followed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Symlinks {
    /// A link is what it leads to.
    Follow,
    /// A link is a link.
    NoFollow,
}

/// A source file by itself; links are not followed.
#[derive(Debug)]
pub enum Source<'p> {
    /// Nothing.
    Absent,
    /// An object that is known without reading it: a file, a link or a directory. [`SourceRoot::object`] returns its
    /// content.
    Known(ObjectInfo),
    /// A regular file.
    File(SourceFile<'p>),
    /// A link, with the bytes of its target.
    Link(Vec<u8>),
    /// Something that is not a source: a directory, a fifo, ….
    Other,
}

/// A regular file on disk.
#[derive(Debug)]
pub struct SourceFile<'p> {
    pub(crate) above: Arc<Dir>,
    pub(crate) name: &'p str,
    /// Whether it was executable when it was found.
    pub is_executable: bool,
}

impl SourceFile<'_> {
    /// Its location.
    pub fn at(&self) -> At<'_> {
        self.above.at(self.name)
    }
}

/// The result of observing a path while it was read.
#[derive(Debug)]
pub struct Observation {
    /// The evidence, for [`SourceRoot::holds`]. Without it, the path is read again in the next build.
    pub witness: Option<Vec<u8>>,
    /// Whether the path did not change meanwhile.
    pub is_steady: bool,
}

/// A tree of names, files and links. Paths are normalised and relative to it, "" is the root itself.
pub trait SourceRoot: Send + Sync {
    /// Bytes that identify this root, and are the same in every call: first a number for the kind of root (0:
    /// directory), then what that kind defines. Roots with equal identities are one.
    fn identity(&self) -> Vec<u8>;

    /// A path in messages.
    fn shown(&self, path: &str) -> PathBuf;

    /// Its directory, if it is one: this is watched, and paths of the user may lead into it.
    fn directory(&self) -> Option<&Path>;

    /// The entries of a directory; a link to one is not a directory. With `ignore_special`, links, fifos and the like
    /// are left out.
    ///
    /// # Errors
    /// The root cannot answer.
    fn list(&self, path: &str, ignore_special: bool) -> Result<Listing>;

    /// Whether there is a regular file, or a link that leads to one, at a path of any bytes.
    fn is_file(&self, path: &Path) -> bool;

    /// The content of a regular file, or, in a directory, of what a link there leads to; `None` if that does not exist.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// What is at a path by itself. Reads no content.
    ///
    /// # Errors
    /// The root cannot answer.
    fn source<'p>(&self, path: &'p str) -> Result<Source<'p>>;

    /// The content of an object that this root returned as known; of a directory, its git tree. `None` if it is not an
    /// object of this root.
    ///
    /// # Errors
    /// It cannot be read.
    fn object(&self, _hash: &Hash, _object_type: ObjectType) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// The repository that [`SourceRoot::object`] reads from, if it does: roots of one repository have the same
    /// objects.
    fn object_origin(&self) -> Option<&Path> {
        None
    }

    /// Whether it is a tree whose id is known, but which is not available on this machine.
    fn is_absent(&self) -> bool {
        false
    }

    /// The definition of the root in its place, if that has to be computed first.
    fn unresolved(&self) -> Option<&UnresolvedRoot> {
        None
    }

    /// The id of the tree that it is, if it is one that never changes.
    fn fixed_content(&self) -> Option<String> {
        None
    }

    /// Checks that the root exists. Called after a failure only, since roots are not accessed before they are needed.
    ///
    /// # Errors
    /// It does not exist; the error has the place in the configuration.
    fn check(&self) -> std::result::Result<(), Box<Diagnostic>> {
        Ok(())
    }

    /// Whether something that belongs to it was found to be missing or damaged.
    fn has_lost(&self) -> bool {
        false
    }

    /// Lets `read` read something of a path through this root as a consistent whole: again, and a few times, if the
    /// path changed meanwhile. The last read counts.
    ///
    /// # Errors
    /// The path cannot be looked at; then `read` may not have been called.
    fn observe(&self, path: &str, symlinks: Symlinks, read: &mut dyn FnMut()) -> Result<Observation>;

    /// As [`SourceRoot::observe`], unless the evidence still holds: `None`, and nothing is read.
    ///
    /// # Errors
    /// As for [`SourceRoot::observe`].
    fn observe_unless(
        &self,
        path: &str,
        symlinks: Symlinks,
        witness: &[u8],
        read: &mut dyn FnMut(),
    ) -> Result<Option<Observation>> {
        if self.holds(path, symlinks, witness) {
            return Ok(None);
        }
        self.observe(path, symlinks, read).map(Some)
    }

    /// Whether the evidence that this process took by observing still holds, even for a file that had just changed
    /// then.
    fn holds_in_process(&self, path: &str, symlinks: Symlinks, witness: &[u8]) -> bool {
        self.witness(path, symlinks).is_ok_and(|now| now == witness)
    }

    /// The present evidence of a path; to be taken before its content is read, so that a change in between invalidates
    /// it.
    ///
    /// # Errors
    /// The path cannot be looked at.
    fn witness(&self, path: &str, symlinks: Symlinks) -> Result<Vec<u8>>;

    /// Whether a path must be unchanged since [`SourceRoot::observe`] or [`SourceRoot::witness`] returned this
    /// evidence. Reads no content. Evidence of another kind of root never holds.
    fn holds(&self, path: &str, symlinks: Symlinks, witness: &[u8]) -> bool;

    /// Drops cached handles, since another build begins and names may lead elsewhere.
    fn forget(&self) {}
}

/// A root of a repository.
#[derive(Clone)]
pub struct Root {
    /// Access to its files.
    pub source: Arc<dyn SourceRoot>,
    /// Its name in keys.
    pub name: RootName,
}

impl fmt::Debug for Root {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {}", self.name, self.source.shown("").display())
    }
}

impl Root {
    /// Its directory, if it is one.
    pub fn directory(&self) -> Option<&Path> {
        self.source.directory()
    }
}

/// The name of a root within a configuration. It is the same wherever the roots are located, so that the state recorded
/// for one checkout is valid for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RootName {
    /// Its index in [`Roots`].
    pub number: usize,
    /// Whether special entries (links, fifos, …) are ignored.
    pub ignore_special: bool,
}

/// The roots of a configuration, each once, in the order in which the repositories name them.
#[derive(Default)]
pub struct Roots {
    all: Vec<Arc<dyn SourceRoot>>,
    /// Their numbers, by identity.
    numbers: HashMap<Vec<u8>, usize>,
    /// The index of one root for each repository with objects.
    with_objects: Vec<usize>,
    /// These repositories.
    origins: HashSet<PathBuf>,
    /// Whether an object that some root named was in none.
    has_lost_object: AtomicBool,
    /// Contents that the leaves hand over.
    pub(crate) listings: Handover<RootPath, Listing>,
    pub(crate) contents: Handover<RootPath, Option<Vec<u8>>>,
    /// Objects that have another name in the store.
    pub(crate) content_names: ContentNames,
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|root| root.shown(""))).finish()
    }
}

impl Roots {
    /// Gives a root its number. If a root with the same identity was added before, that one replaces it.
    pub fn add(&mut self, root: &mut Root) {
        let next = self.all.len();
        // The first repository that names a root determines its number, which is part of keys.
        let number = *self.numbers.entry(root.source.identity()).or_insert_with(|| {
            let origin = root.source.object_origin();
            // One root for each repository: an object is looked for by its hash, and each would look into the same
            // database.
            if origin.is_some_and(|origin| self.origins.insert(origin.to_owned())) {
                self.with_objects.push(next);
            }
            self.all.push(root.source.clone());
            next
        });
        // Shared from now on: what one use of the root has read or opened serves the others.
        root.source = self.all[number].clone();
        root.name.number = number;
    }

    /// The root with a name; `None` for a name of another configuration.
    pub fn get(&self, root: RootName) -> Option<&dyn SourceRoot> {
        self.all.get(root.number).map(|root| &**root)
    }

    /// The content of an object that some root returned as known; `None` if no root has it.
    ///
    /// # Errors
    /// No root has it, and at least one cannot be read.
    pub fn object(&self, hash: &Hash, object_type: ObjectType) -> Result<Option<Vec<u8>>> {
        // Git repositories have SHA-1 ids here; a longer hash is a name in the store.
        if hash.as_bytes().len() != 20 {
            return self.content_named(hash);
        }
        let mut error = None;
        for at in &self.with_objects {
            match self.all[*at].object(hash, object_type) {
                Ok(Some(content)) => return Ok(Some(content)),
                Ok(None) => {}
                // Another root may have it; the error counts only if none has.
                Err(failed) => drop(error.get_or_insert(failed)),
            }
        }
        // Relaxed, like the flags of the roots: it is read when the build has failed, after its threads were waited
        // for.
        self.has_lost_object.store(true, Relaxed);
        error.map_or(Ok(None), Err)
    }

    /// Whether something that belongs to a root was found to be missing or damaged since the roots were made.
    pub fn has_lost(&self) -> bool {
        self.has_lost_object.load(Relaxed) || self.all.iter().any(|root| root.has_lost())
    }

    /// The roots that know objects.
    pub(crate) fn with_known_objects(&self) -> impl Iterator<Item = &dyn SourceRoot> {
        self.all.iter().filter(|root| root.object_origin().is_some()).map(|root| &**root)
    }

    /// The text of a file below a root that is not a directory, by its path in messages.
    pub fn text(&self, label: &str) -> Option<Arc<str>> {
        // Files of directories are read by their paths; only these roots are not files of the system.
        let mut without_directory = self.all.iter().filter(|root| root.directory().is_none());
        let content = without_directory.find_map(|root| {
            let root_label = root.shown("");
            let path = label.strip_prefix(&*root_label.to_string_lossy())?.strip_prefix('/')?;
            root.read(path).ok()?
        })?;
        Some(String::from_utf8_lossy(&content).into_owned().into())
    }

    /// What is wrong with roots themselves, at their places in the configuration. Empty if all are there.
    pub fn check(&self) -> Diagnostics {
        // All of them, so that one call reports every root that is missing.
        self.all.iter().filter_map(|root| root.check().err()).map(|problem| *problem).collect()
    }

    /// The locations of all roots in messages, by number.
    pub fn labels(&self) -> impl Iterator<Item = Arc<str>> {
        self.all.iter().map(|root| root.shown("").to_string_lossy().into())
    }

    /// Drops cached handles and contents, since another build begins and names may lead elsewhere.
    pub fn forget(&self) {
        self.all.iter().for_each(|root| root.forget());
        self.listings.forget();
        self.contents.forget();
    }

    /// Appends the number of roots and the bytes of each one's identity.
    pub(crate) fn encode(&self, e: &mut Encoder) {
        e.number(self.all.len() as u64);
        self.all.iter().for_each(|root| e.bytes(&root.identity()));
    }
}

/// Whether a link's target is relative and never leads above the directory of the link.
pub fn stays_inside(target: &[u8]) -> bool {
    // Signed, so that the check after each part sees the step above.
    let mut depth = 0i64;
    !target.starts_with(b"/")
        && target.split(|byte| *byte == b'/').all(|part| {
            match part {
                b"" | b"." => {}
                b".." => depth -= 1,
                _ => depth += 1,
            }
            depth >= 0
        })
}
