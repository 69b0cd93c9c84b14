//! An open build root.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
    },
};

use rustc_hash::FxHasher;
use taut_digest::{Hash, HashFunction};
use taut_sys::{Dir, Lock, if_exists};

use crate::{
    ObjectServer, Result,
    layout::{EPHEMERAL, Kind, Layout, shard_and_name},
    memory_cache::MemoryCache,
    server_objects::ServerObjects,
    shards::Shards,
    withheld::Withheld,
};

/// A build root with one hash function. Cheap to clone; all clones share one lock on the root, held until the last of
/// them is dropped, which keeps garbage collection from rotating generations meanwhile.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

/// Objects that this process has seen in the youngest generation. In 16 parts by hash, each with its lock, since every
/// thread asks here before it asks the system.
// Never emptied: an entry is a few dozen bytes, and a process uses far fewer objects than it has memory for.
type Known = Mutex<HashSet<(Kind, Hash), BuildHasherDefault<FxHasher>>>;

struct Inner {
    layout: Layout,
    function: HashFunction,
    /// Distinguishes temporary names from those of other processes, including dead ones with the same process number.
    nonce: String,
    counter: AtomicU64,
    // Positive answers only: that an object is absent is asked again, since any process may add it.
    known: [Known; 16],
    memory_cache: MemoryCache,
    shards: Shards,
    withheld: Withheld,
    lock: Option<Lock>,
    /// The directory of temporary files, once it was made. While it is open, its inode number is not used again, so
    /// that an equal identity means the same directory.
    // Made on first use, so that a null build writes nothing.
    ephemeral: OnceLock<Dir>,
    /// Servers that have objects, too, if there are any.
    // Set once, before other threads use the store: no lock for each look.
    server_objects: OnceLock<ServerObjects>,
    /// Whether the lock was released by [`Store::pause`].
    is_paused: AtomicBool,
}

impl Store {
    /// Opens a build root, making it if need be. Waits while garbage is being collected.
    ///
    /// # Errors
    /// The directory cannot be made, opened or locked.
    pub fn open(build_root: &Path, function: HashFunction) -> Result<Store> {
        let layout = Layout::open(build_root, function)?;
        // After the directories are opened: a collection renames what is in them, never the directories themselves.
        let lock = Lock::shared(layout.gc_lock())?;
        Store::with_lock(layout, Some(lock), function)
    }

    /// For the garbage collector, which holds the lock itself.
    pub(crate) fn open_unlocked(layout: &Layout, function: HashFunction) -> Result<Store> {
        Store::with_lock(layout.with(function)?, None, function)
    }

    fn with_lock(layout: Layout, lock: Option<Lock>, function: HashFunction) -> Result<Store> {
        let (nonce, counter, is_paused) = (nonce(), AtomicU64::new(0), AtomicBool::new(false));
        let (ephemeral, server_objects) = (OnceLock::new(), OnceLock::new());
        let (known, shards, memory_cache, withheld) = Default::default();
        let inner = Inner {
            layout,
            function,
            nonce,
            counter,
            known,
            memory_cache,
            shards,
            withheld,
            lock,
            ephemeral,
            server_objects,
            is_paused,
        };
        Ok(Store(Arc::new(inner)))
    }

    /// Releases the lock, so that garbage can be collected. The build root must not be used before [`Store::resume`].
    ///
    /// # Errors
    /// The build root is no longer there, or no longer usable.
    pub fn pause(&self) -> Result<()> {
        // The flag is read and set by the one thread that runs the rounds of `watch`; no other thread uses the store
        // then. `SeqCst` since it costs nothing here.
        if let (false, Some(lock)) = (self.0.is_paused.load(SeqCst), &self.0.lock) {
            // Opened before the lock is released: `resume` compares its identity.
            self.ephemeral()?;
            lock.release()?;
            // Last: if the lock could not be released, the store is not paused.
            self.0.is_paused.store(true, SeqCst);
        }
        Ok(())
    }

    /// Takes the lock again after [`Store::pause`], waiting for a collection that is under way. Returns whether there
    /// was none meanwhile. If there was, the build root has to be opened anew: objects may be gone, and temporary files
    /// are.
    ///
    /// # Errors
    /// As for [`Store::pause`].
    pub fn resume(&self) -> Result<bool> {
        let (true, Some(lock)) = (self.0.is_paused.swap(false, SeqCst), &self.0.lock) else {
            return Ok(true);
        };
        // Before anything is checked: a collection is now either over or cannot begin.
        lock.acquire_shared()?;
        // Every collection begins by renaming the directory of temporary files away.
        let was = self.ephemeral()?.identity()?;
        Ok(if_exists(self.layout().protocol().at(EPHEMERAL).lstat())?
            .is_some_and(|now| now.identity() == was))
    }

    /// Keeps the lock in a program that this process becomes.
    ///
    /// # Errors
    /// The system refuses the call.
    pub fn keep_lock_over_exec(&self) -> Result<()> {
        Ok(self.0.lock.as_ref().map_or(Ok(()), Lock::keep_over_exec)?)
    }

    /// Whether this holds the lock that keeps garbage collection away: not so in the collector itself.
    pub(crate) fn is_locked(&self) -> bool {
        self.0.lock.is_some()
    }

    /// Adds servers whose objects count as present from now on. To be called before the store is used, and once.
    ///
    /// # Errors
    /// What is known of them cannot be read.
    ///
    /// # Panics
    /// There are more than [`crate::MAX_SERVERS`].
    pub fn attach(&self, servers: Vec<ObjectServer>) -> Result<()> {
        if self.0.server_objects.get().is_none() && !servers.is_empty() {
            let _ = self.0.server_objects.set(ServerObjects::open(self, servers)?);
        }
        Ok(())
    }

    /// Whether there are servers that have objects, too.
    pub fn is_attached(&self) -> bool {
        self.server_objects().is_some()
    }

    /// The servers that have objects, too.
    pub(crate) fn server_objects(&self) -> Option<&ServerObjects> {
        self.0.server_objects.get()
    }

    pub(crate) fn shards(&self) -> &Shards {
        &self.0.shards
    }

    /// The directory of temporary files.
    pub(crate) fn ephemeral(&self) -> Result<&Dir> {
        if let Some(dir) = self.0.ephemeral.get() {
            return Ok(dir);
        }
        let made = self.layout().protocol().make_all(EPHEMERAL)?;
        Ok(self.0.ephemeral.get_or_init(|| made))
    }

    /// A number that no other call on this store returns.
    /// Relaxed: only uniqueness matters, no other memory is published by it.
    pub(crate) fn next_number(&self) -> u64 {
        self.0.counter.fetch_add(1, Relaxed)
    }

    /// How objects are named here.
    pub fn hash_function(&self) -> HashFunction {
        self.0.function
    }

    /// The path of a plain file of the youngest generation, be it there or not, for other programs and for people.
    pub fn path_of(&self, hash: &Hash) -> PathBuf {
        let (shard, name) = shard_and_name(hash);
        let store = self.0.layout.store(0, Kind::File);
        self.0.layout.protocol().path().join(store).join(format!("{shard:02x}")).join(name)
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// Distinguishes this process from others, including dead ones with the same number.
    pub(crate) fn nonce(&self) -> &str {
        &self.0.nonce
    }

    /// Blobs that are in memory only.
    pub(crate) fn withheld(&self) -> &Withheld {
        &self.0.withheld
    }

    /// The cache of small blobs.
    pub(crate) fn memory_cache(&self) -> &MemoryCache {
        &self.0.memory_cache
    }

    /// Whether this process has seen the object in the youngest generation. The lock that is held keeps it there.
    pub(crate) fn is_known(&self, kind: Kind, hash: &Hash) -> bool {
        self.known(kind, hash).lock().expect("no panic with the lock held").contains(&(kind, *hash))
    }

    pub(crate) fn set_known(&self, kind: Kind, hash: &Hash) {
        self.known(kind, hash).lock().expect("no panic with the lock held").insert((kind, *hash));
    }

    pub(crate) fn forget(&self, kind: Kind, hash: &Hash) {
        self.known(kind, hash).lock().expect("no panic with the lock held").remove(&(kind, *hash));
    }

    fn known(&self, kind: Kind, hash: &Hash) -> &Known {
        // The high bits, since the set chooses buckets by the low ones.
        let spread = BuildHasherDefault::<FxHasher>::default().hash_one((kind, hash));
        &self.0.known[(spread >> 60) as usize]
    }
}

fn nonce() -> String {
    // The time distinguishes processes with one number, the counter stores that one process opens within one tick of
    // the clock.
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{:x}-{}", std::process::id(), since_epoch.as_nanos(), OPENED.fetch_add(1, Relaxed))
}
