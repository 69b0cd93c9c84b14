//! An open build root.

use std::{
    collections::HashSet,
    fs::{File, Metadata},
    hash::{BuildHasher, BuildHasherDefault},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use rustc_hash::FxHasher;
use taut_digest::{Hash, HashFunction};
use taut_sys::{Lock, fs};

use crate::{
    Result,
    layout::{GENERATIONS, KINDS, Kind, Layout},
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
    /// Whether there is a directory of a kind in a generation, once somebody has looked.
    kinds: [[OnceLock<bool>; KINDS]; GENERATIONS],
    lock: Option<Lock>,
    /// The directory of temporary files as it was when the lock was given up. While it is open, no other directory
    /// can be it.
    resting: Mutex<Option<File>>,
}

impl Store {
    /// Opens a build root, making it if need be. Waits while garbage is being collected.
    pub fn open(build_root: &Path, function: HashFunction) -> Result<Store> {
        let layout = Layout::new(build_root, function);
        fs::create_dir_all(layout.protocol())?;
        let lock = Lock::shared(&layout.gc_lock())?;
        Store::with_lock(layout, function, Some(lock))
    }

    /// For the garbage collector, which holds the lock itself.
    pub(crate) fn open_unlocked(build_root: &Path, function: HashFunction) -> Result<Store> {
        Store::with_lock(Layout::new(build_root, function), function, None)
    }

    fn with_lock(layout: Layout, function: HashFunction, lock: Option<Lock>) -> Result<Store> {
        fs::create_dir_all(&layout.ephemeral())?;
        let (nonce, counter) = (nonce(), AtomicU64::new(0));
        let (known, kinds, small) = Default::default();
        let resting = Mutex::default();
        Ok(Store(Arc::new(Inner { layout, function, nonce, counter, known, small, kinds, lock, resting })))
    }

    /// Lets garbage be collected: nothing in the build root is to be touched, nor counted on, before
    /// [`Store::resume`].
    ///
    /// # Errors
    /// The build root is no longer there, or cannot be used any more.
    pub fn rest(&self) -> Result<()> {
        let mut resting = self.0.resting.lock().expect("no panic with the lock held");
        if let (None, Some(lock)) = (&*resting, &self.0.lock) {
            *resting = Some(fs::open(&self.layout().ephemeral())?);
            lock.give_up()?;
        }
        Ok(())
    }

    /// Ends a rest, after waiting for a collection that is under way. Tells whether there was none meanwhile; if there
    /// was, the build root has to be opened anew: what was there may be gone, and temporary files are.
    ///
    /// # Errors
    /// As for [`Store::rest`].
    pub fn resume(&self) -> Result<bool> {
        let mut resting = self.0.resting.lock().expect("no panic with the lock held");
        let (Some(directory), Some(lock)) = (&*resting, &self.0.lock) else { return Ok(true) };
        lock.share_again()?;
        let place = self.layout().ephemeral();
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        // Every collection begins by taking temporary files away.
        let was = identity(fs::fstat(directory, &place)?);
        let is_the_same = fs::if_exists(fs::lstat(&place))?.is_some_and(|now| identity(now) == was);
        *resting = None;
        Ok(is_the_same)
    }

    /// Whether there can be anything of a kind that only garbage collection makes: in an older generation, or
    /// split. The lock held keeps that as it is, so one look is enough.
    pub(crate) fn can_have(&self, generation: usize, kind: Kind) -> bool {
        self.0.lock.is_none()
            || *self.0.kinds[generation][kind as usize]
                .get_or_init(|| fs::lstat(&self.layout().store(generation, kind)).is_ok())
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

    /// A path below the root's directory for temporary files that nobody else uses.
    pub fn temporary_path(&self) -> PathBuf {
        let number = self.0.counter.fetch_add(1, Relaxed);
        self.layout().ephemeral().join(format!("tmp-{}-{number}", self.0.nonce))
    }

    /// A fresh directory of the given kind ("exec_root") for this process.
    pub fn temporary_directory(&self, kind: &str) -> Result<PathBuf> {
        let number = self.0.counter.fetch_add(1, Relaxed);
        let above = self.layout().ephemeral().join(kind);
        fs::create_dir_all(&above)?;
        let path = above.join(format!("{}-{number}", self.0.nonce));
        fs::create_dir(&path)?;
        Ok(path)
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
