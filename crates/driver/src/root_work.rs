//! What the tasks of computed roots share: how targets are built, where trees go, and what was done.

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use taut_digest::Hash;
use taut_git::{Kind, Repository, Writer};
use taut_repos::{ComputedRoot, ComputedTrees, RepoConfig, UnresolvedRoot};
use taut_store::Store;

use crate::{Request, Results, root_failure::RootFailure};

/// Makes the requests that roots are computed from, and reports how roots are computed. Called from several threads.
pub trait RootTargets: Send + Sync + 'static {
    /// Builds the target of a root. Errors are reported. `jobs`: how many actions may run at once.
    ///
    /// # Errors
    /// It is not built.
    fn build(&self, root: &UnresolvedRoot, request: &Request, jobs: usize) -> Result<BuiltTarget, NotBuilt>;

    /// The tree of a root is known.
    fn computed(&self, root: &UnresolvedRoot, outcome: &RootOutcome);

    /// Keeps the text of an error that is of no build. Returns where it is, for the reference's message.
    fn log_of(&self, text: &str) -> String;
}

/// The target of a root, built.
#[derive(Clone, Debug)]
pub struct BuiltTarget {
    /// What was built.
    pub results: Arc<Results>,
    /// Where the messages of this build are, for the reference's message.
    pub log: String,
    /// How many of the actions were run.
    pub ran: usize,
    /// Whether the target-level cache had it, so that nothing was built.
    pub is_cached: bool,
    /// How long it took.
    pub duration: Duration,
}

/// Why the target of a root is not built.
#[derive(Clone, Debug)]
pub enum NotBuilt {
    /// Something is wrong, and reported; where the messages are, for the reference's message.
    Failed {
        /// Where.
        log: String,
    },
    /// The call is to end.
    Stopped,
}

/// The result of a root.
#[derive(Clone, Debug)]
pub struct RootOutcome {
    /// The tree.
    pub tree: Hash,
    /// The target, if it was built in this call; else the tree was known.
    pub built: Option<BuiltTarget>,
}

/// Computes roots.
pub struct RootComputer {
    /// Where objects and records are kept.
    pub store: Store,
    /// The git repository for the trees; made if need be.
    pub repository: PathBuf,
    /// How many threads and actions may be used.
    pub jobs: usize,
    /// What results depend on besides descriptions and sources, as bytes ([`crate::BuildOptions::root_context`]).
    pub context: Vec<u8>,
    /// Whether records of earlier calls are used and written.
    pub is_cached: bool,
    /// Whether what is not known is computed; else it is an error.
    pub computes: bool,
    /// Whether trees count as known only if all that is below them is intact.
    pub verifies: bool,
    /// Builds targets.
    pub targets: Arc<dyn RootTargets>,
}

/// The work of one call.
pub(crate) struct Work {
    pub(crate) config: RepoConfig,
    pub(crate) computer: RootComputer,
    /// The git repository, for reading.
    pub(crate) repository: Arc<Repository>,
    /// The same, once something is written.
    writer: OnceLock<Writer>,
    /// Held while trees are imported.
    // Held for the whole import: a batch of objects and its tag belong together, and packs of two threads would
    // repeat objects.
    pub(crate) importing: Mutex<()>,
    permits: Permits,
    at_once: usize,
    /// How many targets are being built.
    running: Mutex<usize>,
    pub(crate) failures: Mutex<BTreeMap<ComputedRoot, RootFailure>>,
    /// The targets that were built, by key.
    pub(crate) built: Mutex<BTreeMap<Vec<u8>, BuiltTarget>>,
    /// The roots that were computed.
    pub(crate) computed: Mutex<ComputedTrees>,
    /// Whether something that a root is computed from was missing or damaged.
    // Both flags are only ever set, and read after all tasks have ended.
    pub(crate) has_lost: AtomicBool,
    /// Whether anything was computed that can be recorded.
    pub(crate) is_changed: AtomicBool,
}

impl Work {
    /// Nothing is done yet. `at_once`: how many targets are built at once.
    pub(crate) fn new(computer: RootComputer, config: RepoConfig, at_once: usize) -> Work {
        let repository = Arc::new(Repository::new(&*computer.repository));
        Work {
            config,
            computer,
            computed: Mutex::new(ComputedTrees::in_repository(repository.clone())),
            repository,
            writer: OnceLock::new(),
            importing: Mutex::default(),
            permits: Permits { free: Mutex::new(at_once), freed: Condvar::new() },
            at_once,
            running: Mutex::new(0),
            failures: Mutex::default(),
            built: Mutex::default(),
            has_lost: AtomicBool::new(false),
            is_changed: AtomicBool::new(false),
        }
    }
}

/// A running build of a root; that it is over is noted in any case, since others wait for it.
struct Permit<'w>(&'w Work);

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        // One lock at a time, here as everywhere in this type, so their order cannot matter.
        *lock(&self.0.running) -= 1;
        *lock(&self.0.permits.free) += 1;
        // One permit lets one build begin.
        self.0.permits.freed.notify_one();
    }
}

/// How many targets may be built at once.
struct Permits {
    free: Mutex<usize>,
    freed: Condvar,
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Work {
    /// The git repository, for writing.
    pub(crate) fn writer(&self) -> taut_git::Result<&Writer> {
        // Relaxed: read when all answers are there, and the engine's locks order that.
        self.is_changed.store(true, Relaxed);
        if let Some(writer) = self.writer.get() {
            return Ok(writer);
        }
        let writer = Writer::open(&self.computer.repository)?.rewriting(self.computer.verifies);
        // Callers hold `importing`, so no second one was opened meanwhile.
        Ok(self.writer.get_or_init(|| writer))
    }

    /// Whether the git repository has a tree.
    pub(crate) fn has_tree(&self, tree: &Hash) -> bool {
        // If that cannot be found out, the tree counts as missing and is made again.
        if self.computer.verifies {
            let _importing = lock(&self.importing);
            return self.writer().and_then(|writer| writer.verify(tree)).unwrap_or(false);
        }
        matches!(self.repository.header(tree), Ok(Some(header)) if header.kind == Kind::Tree)
    }

    /// Runs a build of a target when there is a place for it, with its share of the jobs.
    pub(crate) fn with_permit<T>(&self, build: impl FnOnce(usize) -> T) -> T {
        let mut free = lock(&self.permits.free);
        while *free == 0 {
            free = self.permits.freed.wait(free).unwrap_or_else(PoisonError::into_inner);
        }
        *free -= 1;
        // Released before the build begins: the lock guards the number only.
        drop(free);
        let running = {
            let mut running = lock(&self.running);
            *running += 1;
            *running
        };
        // As of now: a build that began alone keeps its share when others begin.
        let share = self.computer.jobs.div_ceil(running.min(self.at_once)).max(1);
        let _permit = Permit(self);
        build(share)
    }

    /// Notes that a target was built.
    pub(crate) fn note_built(&self, key: &[u8], built: BuiltTarget) {
        lock(&self.built).insert(key.to_vec(), built);
    }
}
