//! What a root is: a tree of names, files and links that descriptions and sources are taken from.
//!
//! Everything above this crate asks a root through [`SourceRoot`], and does not know whether it is a directory, in which
//! anything may change at any time, or a tree of objects, in which nothing does. A root of the second kind knows the
//! objects of its files and directories: it tells them instead of contents, and nothing is read that is not needed.
//!
//! Rejected: handing out open directories, as the first version did. Then each user of a root decides how a file is
//! looked at, and a root that is no directory would have to be checked out.

use std::{
    collections::HashMap,
    error::Error,
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use taut_digest::{Hash, ObjectInfo, ObjectType};
use taut_sys::{At, Dir};
use taut_value::Encoder;

use crate::{Handover, Listing, Place};

/// Why a root does not tell what it has.
#[derive(Debug)]
pub struct RootError(Box<dyn Error + Send + Sync>);

impl RootError {
    /// For a reason that says what was tried, and where.
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

/// The answer of a root.
pub type Result<T> = std::result::Result<T, RootError>;

/// How a path is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Look {
    /// A link there is what it leads to.
    Followed,
    /// A link there is a link.
    Itself,
}

/// What is at a path, links not followed.
#[derive(Debug)]
pub enum Source<'p> {
    /// Nothing.
    Absent,
    /// An object that is known without reading it: a file, a link or a directory. [`SourceRoot::object`] has its content.
    Known(ObjectInfo),
    /// A regular file.
    File(SourceFile<'p>),
    /// A link; the bytes of its target.
    Link(Vec<u8>),
    /// Something that is no source: a directory, a fifo, ….
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
    /// Where it is.
    pub fn at(&self) -> At<'_> {
        self.above.at(self.name)
    }
}

/// How a path was while it was read.
#[derive(Debug)]
pub struct Observed {
    /// The evidence of what was seen, for [`SourceRoot::holds`]. Without any, it is read again in the next build.
    pub witness: Option<Vec<u8>>,
    /// Whether the path held still.
    pub is_steady: bool,
}

/// A tree of names, files and links. Paths are normalised and relative to it, "" is the root itself.
pub trait SourceRoot: Send + Sync {
    /// The bytes that tell this root from all others, and stay the same from call to call: first a number for the kind
    /// of root (0: directory), then what the kind says. Roots with equal identities are one.
    fn identity(&self) -> Vec<u8>;

    /// A path as messages name it.
    fn shown(&self, path: &str) -> PathBuf;

    /// Its directory, if it is one: what is to be watched, and where a path of the user may lead.
    fn directory(&self) -> Option<&Path>;

    /// What lies in a directory; a link to one is none. `ignore_special`: links, fifos and the like count as not there.
    ///
    /// # Errors
    /// It cannot be told.
    fn list(&self, path: &str, ignore_special: bool) -> Result<Listing>;

    /// Whether there is a regular file, or a link that leads to one, at a path of any bytes.
    fn is_file(&self, path: &Path) -> bool;

    /// The content of a regular file, or of what a link there leads to; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&self, path: &str) -> Result<Option<Vec<u8>>>;

    /// What is at a path by itself. Reads no content.
    ///
    /// # Errors
    /// It cannot be told.
    fn source<'p>(&self, path: &'p str) -> Result<Source<'p>>;

    /// The content of an object that this root told as known: of a directory, its git tree. `None` if it is none of this
    /// root.
    ///
    /// # Errors
    /// It cannot be read.
    fn object(&self, _hash: &Hash, _object_type: ObjectType) -> Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Lets `read` read something of a path through this root so that it was there as a whole: again, and a few times,
    /// if the path changed meanwhile. What was read last counts.
    ///
    /// # Errors
    /// The path cannot be looked at; then `read` may not have been called.
    fn observe(&self, path: &str, look: Look, read: &mut dyn FnMut()) -> Result<Observed>;

    /// The same, unless the place must be what it was when this evidence was left: `None`, and nothing is read.
    ///
    /// # Errors
    /// As for [`SourceRoot::observe`].
    fn observe_unless(
        &self,
        path: &str,
        look: Look,
        witness: &[u8],
        read: &mut dyn FnMut(),
    ) -> Result<Option<Observed>> {
        if self.holds(path, look, witness) {
            return Ok(None);
        }
        self.observe(path, look, read).map(Some)
    }

    /// Whether a place looks as it did when this process observed it and got this evidence.
    fn looks_the_same(&self, path: &str, look: Look, witness: &[u8]) -> bool {
        self.witness(path, look).is_ok_and(|now| now == witness)
    }

    /// The evidence of what a path is now; to be asked for before its content is read, so that a change in between makes
    /// it fail.
    ///
    /// # Errors
    /// The path cannot be looked at.
    fn witness(&self, path: &str, look: Look) -> Result<Vec<u8>>;

    /// Whether what is at a path must be what was there when [`SourceRoot::observe`] or [`SourceRoot::witness`] gave
    /// this. Reads no content. Bytes of another root's kind prove nothing.
    fn holds(&self, path: &str, look: Look, witness: &[u8]) -> bool;

    /// Another build begins: names may lead elsewhere.
    fn forget(&self) {}
}

/// A root of a repository.
#[derive(Clone)]
pub struct Root {
    /// Where files are.
    pub source: Arc<dyn SourceRoot>,
    /// What keys have of it.
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

/// A root among those of a configuration. What it stands for is the same wherever the roots lie, so that what is
/// recorded of one checkout serves another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct RootName {
    /// Its place in [`Roots`].
    pub number: u16,
    /// Whether special entries (links, fifos, …) count as not there.
    pub ignore_special: bool,
}

/// The roots of a configuration, each once, in the order in which the repositories name them.
#[derive(Default)]
pub struct Roots {
    all: Vec<Arc<dyn SourceRoot>>,
    /// Their numbers, by identity.
    numbers: HashMap<Vec<u8>, u16>,
    /// What the leaves hand over.
    pub(crate) listings: Handover<Place, Listing>,
    pub(crate) contents: Handover<Place, Option<Vec<u8>>>,
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|root| root.shown(""))).finish()
    }
}

impl Roots {
    /// Numbers a root, which becomes the one that is known by its identity, if there is one.
    pub fn add(&mut self, root: &mut Root) {
        let next = self.all.len();
        let number = *self.numbers.entry(root.source.identity()).or_insert_with(|| {
            self.all.push(root.source.clone());
            u16::try_from(next).expect("a configuration has fewer roots")
        });
        root.source = self.all[usize::from(number)].clone();
        root.name.number = number;
    }

    /// The root with a name; `None` for a name of another configuration.
    pub fn get(&self, root: RootName) -> Option<&dyn SourceRoot> {
        self.all.get(usize::from(root.number)).map(|root| &**root)
    }

    /// The names of all roots as messages have them, by number.
    pub fn labels(&self) -> impl Iterator<Item = Arc<str>> {
        self.all.iter().map(|root| root.shown("").to_string_lossy().into())
    }

    /// Another build begins: what was open is looked up again, since names may lead elsewhere.
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
