//! A repository as a map from ids to objects.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use gix_object::Find;
use gix_odb::Header as _;
use sha1::{Digest, Sha1};
use taut_digest::{Hash, HashFunction};
use taut_sys::Named;

use crate::{Error, Result, locate::objects_directory};

/// The largest object that is read, in bytes.
// Objects are read as a whole, so it is a limit of memory, too. Hosts of archives take no larger files.
pub const MAX_OBJECT_SIZE: usize = 2 << 30;

/// Up to this size in bytes the memory for an object is allocated before its content is looked at.
// The library allocates and fills what a header claims. A larger claim is compared with the file first.
const MAX_UNCHECKED_SIZE: usize = 64 << 20;

/// How many times larger than its deflated form data can be.
// <https://zlib.net/zlib_tech.html>: the limit of the format is 1032.
const MAX_DEFLATED_RATIO: u64 = 1032;

/// How many bytes of bases of deltas each handle keeps.
// Per handle and so per reading thread: it pays for trees of neighbouring commits, which share their bases.
const MAX_DELTA_BASES: usize = 16 << 20;

/// The kind of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// The content of a file, or the target of a link.
    Blob,
    /// A directory.
    Tree,
    /// A commit.
    Commit,
    /// A tag with a message.
    Tag,
}

impl Kind {
    fn of(kind: gix_object::Kind) -> Kind {
        match kind {
            gix_object::Kind::Blob => Kind::Blob,
            gix_object::Kind::Tree => Kind::Tree,
            gix_object::Kind::Commit => Kind::Commit,
            gix_object::Kind::Tag => Kind::Tag,
        }
    }

    /// The word for it in git's formats.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Blob => "blob",
            Kind::Tree => "tree",
            Kind::Commit => "commit",
            Kind::Tag => "tag",
        }
    }
}

/// Kind and size of an object.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Header {
    /// Its kind.
    pub kind: Kind,
    /// The number of bytes of its content.
    pub size: u64,
}

/// An object; its content has the hash that it was asked for by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Object {
    /// Its kind.
    pub kind: Kind,
    /// Its content, without git's header.
    pub content: Vec<u8>,
}

/// The id of the tree without entries, which is in every repository without being stored.
const EMPTY_TREE: [u8; 20] = [
    0x4b, 0x82, 0x5d, 0xc6, 0x42, 0xcb, 0x6e, 0xb9, 0xa0, 0x60, 0xe5, 0x4b, 0xf8, 0xd6, 0x92, 0x88, 0xfb,
    0xee, 0x49, 0x04,
];

type Handle = gix_odb::HandleArc;

/// A git repository; nothing is opened before the first object is asked for.
pub struct Repository {
    path: PathBuf,
    /// The object database, as soon as it is open.
    database: Mutex<Option<Arc<gix_odb::Store>>>,
    /// Handles that no thread uses at the moment.
    idle: Mutex<Vec<Handle>>,
    /// The largest object that is read, in bytes.
    limit: usize,
    /// The same repository without the limit of unchecked sizes.
    unlimited: OnceLock<Box<Repository>>,
}

impl Repository {
    /// The repository at an absolute path: a worktree, a git directory or a bare repository, which need not exist.
    pub fn new(path: impl Into<PathBuf>) -> Repository {
        Repository::limited(path.into(), MAX_UNCHECKED_SIZE)
    }

    fn limited(path: PathBuf, limit: usize) -> Repository {
        let (database, idle) = (Mutex::default(), Mutex::default());
        Repository { path, database, idle, limit, unlimited: OnceLock::new() }
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Kind and size of an object, without its content; `None` if the repository does not have it. Neither is
    /// compared with the hash of the object, which only [`Repository::read`] computes.
    ///
    /// # Errors
    /// There is no repository, or it is damaged.
    pub fn header(&self, id: &Hash) -> Result<Option<Header>> {
        let Some(object_id) = object_id(id) else { return Ok(None) };
        let header = self.with_handle(|handle| handle.try_header(&object_id))?;
        let header = header.map_err(|error| self.damaged(id, error))?;
        if header.is_none() && id.as_bytes() == EMPTY_TREE {
            return Ok(Some(Header { kind: Kind::Tree, size: 0 }));
        }
        Ok(header.map(|header| Header { kind: Kind::of(header.kind()), size: header.size() }))
    }

    /// An object; `None` if the repository does not have it.
    ///
    /// # Errors
    /// There is no repository, the object is damaged or larger than [`MAX_OBJECT_SIZE`].
    pub fn read(&self, id: &Hash) -> Result<Option<Object>> {
        let Some(object_id) = object_id(id) else { return Ok(None) };
        let mut content = Vec::new();
        let kind = self.with_handle(|handle| {
            handle.try_find(&object_id, &mut content).map(|found| found.map(|data| data.kind))
        })?;
        let kind = match kind {
            Ok(kind) => kind,
            // The error may be that the object, or one that it is a delta of, is above the limit.
            Err(_) if self.limit < MAX_OBJECT_SIZE => {
                self.check_claimed_size(id)?;
                let path = || Box::new(Repository::limited(self.path.clone(), MAX_OBJECT_SIZE));
                return self.unlimited.get_or_init(path).read(id);
            }
            Err(error) => return Err(self.damaged(id, error)),
        };
        let Some(kind) = kind else {
            let is_empty_tree = id.as_bytes() == EMPTY_TREE;
            return Ok(is_empty_tree.then(|| Object { kind: Kind::Tree, content: Vec::new() }));
        };
        let kind = Kind::of(kind);
        // The library verifies no hash on reading; a changed byte in a loose object or a pack would pass as content.
        if hash_of(kind, &content) != *id {
            return Err(self.damaged(id, "its content has another hash"));
        }
        Ok(Some(Object { kind, content }))
    }

    /// Fails if the file of a loose object is too small for the size in its header.
    fn check_claimed_size(&self, id: &Hash) -> Result<()> {
        let hex = id.to_hex();
        let (shard, rest) = hex.split_at(2);
        let file = objects_directory(&self.path)?.join(shard).join(rest);
        // Objects in packs, which git verified when it fetched them, and in other databases have no such file.
        let (Ok(Some(header)), Ok(file)) = (self.header(id), Named::stat(&file)) else { return Ok(()) };
        if header.size > file.size().saturating_mul(MAX_DEFLATED_RATIO) {
            let why =
                format!("its header has a size of {} bytes, but its file has {}", header.size, file.size());
            return Err(self.damaged(id, why));
        }
        Ok(())
    }

    /// The objects that the repository has at present, without those that others add later.
    ///
    /// # Errors
    /// There is no repository.
    pub(crate) fn present(&self) -> Result<ObjectSnapshot> {
        let mut handle = self.database()?.to_cache_arc();
        // An absent object is the usual case for a writer; with refreshes each would list the packs again.
        handle.refresh_never();
        Ok(ObjectSnapshot(handle))
    }

    /// Closes the object database, so that the next read opens what lies at the path then.
    pub fn forget(&self) {
        *lock(&self.database) = None;
        // They keep the old database open. One that another thread uses now is put back later, and dropped after its
        // next error.
        lock(&self.idle).clear();
        if let Some(unlimited) = self.unlimited.get() {
            unlimited.forget();
        }
    }

    pub(crate) fn damaged(&self, id: &Hash, why: impl std::fmt::Display) -> Error {
        Error::Damaged { path: self.path.clone(), id: *id, why: why.to_string() }
    }

    /// Runs `read` with a handle that no other thread uses. After an error the database is opened anew, once: packs may
    /// have been removed by `git gc`, or there are more of them than the library made room for when it opened them.
    fn with_handle<T, E>(
        &self,
        mut read: impl FnMut(&Handle) -> std::result::Result<T, E>,
    ) -> Result<std::result::Result<T, E>> {
        match self.with_present_handle(&mut read)? {
            Ok(value) => Ok(Ok(value)),
            // Whatever the error is: from outside, a removed pack looks the same as a damaged one, and a second look
            // is cheap.
            Err(_) => {
                self.forget();
                self.with_present_handle(&mut read)
            }
        }
    }

    fn with_present_handle<T>(&self, read: impl FnOnce(&Handle) -> T) -> Result<T> {
        // A handle has caches of its own and serves one thread at a time: there are as many as threads that read at
        // once.
        let idle = lock(&self.idle).pop();
        let handle = match idle {
            Some(handle) => handle,
            None => self.database()?.to_cache_arc().with_pack_cache(|| {
                Box::new(gix_pack::cache::lru::MemoryCappedHashmap::new(MAX_DELTA_BASES))
            }),
        };
        let value = read(&handle);
        lock(&self.idle).push(handle);
        Ok(value)
    }

    fn database(&self) -> Result<Arc<gix_odb::Store>> {
        let mut database = lock(&self.database);
        if let Some(database) = &*database {
            return Ok(database.clone());
        }
        let objects = objects_directory(&self.path)?;
        let options = gix_odb::store::init::Options {
            alloc_limit_bytes: Some(self.limit),
            ..gix_odb::store::init::Options::default()
        };
        // No replacements (`refs/replace`): an object is what its id says.
        let opened = gix_odb::Store::at_opts(objects, gix_hash::Kind::Sha1, &mut std::iter::empty(), options);
        let opened = opened.map_err(|error| Error::NoRepository {
            path: self.path.clone(),
            why: format!("its object database cannot be opened: {error}"),
        })?;
        Ok(database.insert(Arc::new(opened)).clone())
    }
}

/// The objects that a repository had at some time.
pub(crate) struct ObjectSnapshot(Handle);

impl ObjectSnapshot {
    /// Whether an object is among them.
    pub(crate) fn contains(&self, id: &Hash) -> bool {
        // The empty tree is written like any other if it is missing: `git fsck` wants it in trees that name it.
        object_id(id).is_some_and(|id| gix_object::Exists::exists(&self.0, &id))
    }
}

/// The hash of an object, by which it is named.
pub(crate) fn hash_of(kind: Kind, content: &[u8]) -> Hash {
    match kind {
        Kind::Blob => HashFunction::GitSha1.blob(content),
        Kind::Tree => HashFunction::GitSha1.tree(content),
        // The digest crate has only what a CAS holds, blobs and trees; git's header is the same for all kinds.
        Kind::Commit | Kind::Tag => {
            let mut hasher = Sha1::new();
            hasher.update(format!("{} {}\0", kind.name(), content.len()));
            hasher.update(content);
            Hash::sha1(hasher.finalize().into())
        }
    }
}

/// The id as git's library has it; `None` for a hash of another length, which no object of a repository has.
fn object_id(id: &Hash) -> Option<gix_hash::ObjectId> {
    (id.as_bytes().len() == 20).then(|| gix_hash::ObjectId::try_from(id.as_bytes()).ok()).flatten()
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
