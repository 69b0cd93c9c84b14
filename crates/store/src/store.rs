//! An open build root.

use std::{
    collections::HashSet,
    hash::{BuildHasher, BuildHasherDefault},
    path::Path,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed, Ordering::SeqCst},
    },
};

use rustc_hash::FxHasher;
use taut_digest::{Hash, HashFunction};
use taut_sys::{Dir, Lock, if_exists};

use crate::{
    Result,
    layout::{EPHEMERAL, Kind, Layout},
    shards::Shards,
    small::Small,
};

/// A build root with one hash function. Cheap to clone; all clones share one lock on the root, held
/// until the last of them is gone, which keeps garbage collection from rotating generations away.
#[derive(Clone)]
pub struct Store(Arc<Inner>);

type Known = Mutex<HashSet<(Kind, Hash), BuildHasherDefault<FxHasher>>>;

struct Inner {
    layout: Layout,
    function: HashFunction,
    /// Tells temporary names apart from those of other processes, dead ones with our number included.
    nonce: String,
    counter: AtomicU64,
    known: [Known; 16],
    small: Small,
    shards: Shards,
    lock: Option<Lock>,
    /// The directory of temporary files, once one was made. While it is open, no other directory can be it.
    ephemeral: OnceLock<Dir>,
    /// Whether the lock was given up.
    rests: AtomicBool,
}

impl Store {
    /// Opens a build root, making it if need be. Waits while garbage is being collected.
    pub fn open(build_root: &Path, function: HashFunction) -> Result<Store> {
        let layout = Layout::open(build_root, function)?;
        let lock = Lock::shared(layout.gc_lock())?;
        Store::with_lock(layout, Some(lock), function)
    }

    /// For the garbage collector, which holds the lock itself.
    pub(crate) fn open_unlocked(layout: &Layout, function: HashFunction) -> Result<Store> {
        Store::with_lock(layout.with(function)?, None, function)
    }

    fn with_lock(layout: Layout, lock: Option<Lock>, function: HashFunction) -> Result<Store> {
        let (nonce, counter, rests) = (nonce(), AtomicU64::new(0), AtomicBool::new(false));
        let ephemeral = OnceLock::new();
        let (known, shards, small) = Default::default();
        let inner = Inner { layout, function, nonce, counter, known, small, shards, lock, ephemeral, rests };
        Ok(Store(Arc::new(inner)))
    }

    /// Lets garbage be collected: nothing in the build root is to be touched, nor counted on, before
    /// [`Store::resume`].
    ///
    /// # Errors
    /// The build root is no longer there, or cannot be used any more.
    pub fn rest(&self) -> Result<()> {
        if let (false, Some(lock)) = (self.0.rests.load(SeqCst), &self.0.lock) {
            self.ephemeral()?;
            lock.give_up()?;
            self.0.rests.store(true, SeqCst);
        }
        Ok(())
    }

    /// Ends a rest, after waiting for a collection that is under way. Tells whether there was none meanwhile; if there
    /// was, the build root has to be opened anew: what was there may be gone, and temporary files are.
    ///
    /// # Errors
    /// As for [`Store::rest`].
    pub fn resume(&self) -> Result<bool> {
        let (true, Some(lock)) = (self.0.rests.swap(false, SeqCst), &self.0.lock) else { return Ok(true) };
        lock.share_again()?;
        // Every collection begins by taking temporary files away.
        let was = self.ephemeral()?.identity()?;
        Ok(if_exists(self.layout().protocol().at(EPHEMERAL).lstat())?
            .is_some_and(|now| now.identity() == was))
    }

    /// Whether the lock is held that keeps garbage collection away.
    pub(crate) fn is_locked(&self) -> bool {
        self.0.lock.is_some()
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

    /// A number that no other call of this gives.
    pub(crate) fn next_number(&self) -> u64 {
        self.0.counter.fetch_add(1, Relaxed)
    }

    /// How contents are named here.
    pub fn hash_function(&self) -> HashFunction {
        self.0.function
    }

    pub(crate) fn layout(&self) -> &Layout {
        &self.0.layout
    }

    /// Tells this process from others, dead ones with its number included.
    pub(crate) fn nonce(&self) -> &str {
        &self.0.nonce
    }

    /// Small contents that were read lately.
    pub(crate) fn small(&self) -> &Small {
        &self.0.small
    }

    /// Whether this process has seen the object in the youngest generation. The lock held keeps it there.
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
        let spread = BuildHasherDefault::<FxHasher>::default().hash_one((kind, hash));
        &self.0.known[(spread >> 60) as usize]
    }
}

fn nonce() -> String {
    static OPENED: AtomicU64 = AtomicU64::new(0);
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    format!("{}-{:x}-{}", std::process::id(), since_epoch.as_nanos(), OPENED.fetch_add(1, Relaxed))
}
