//! A cache that builds on several machines share: results of actions that run here are looked up there, and stored.
//!
//! An action is described once more in the standard form (`standard`), and the digest of that is the key. A result that
//! is found is checked as what a local action leaves behind, and all of it is fetched before it counts (`fetch`): from
//! then on it is like any other, in the store and in the local action cache. Results of actions that ran here are
//! stored in a thread of its own (`upload`), so nothing waits for that but the end of the build.
//!
//! Whatever is wrong with the cache is not an error of a build: the action runs. What went wrong is kept for one
//! warning.

mod executed;
mod fetch;
mod in_chunks;
mod latest;
mod message;
mod nearest;
mod packed;
mod reads;
mod received_tree;
pub(crate) mod standard;
mod upload;

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use taut_digest::Digest;
use taut_service::{ActionCache, Cas, Error};
use taut_store::Store;

pub(crate) use executed::ExecutedActions;
pub(crate) use message::{NoResult, StandardAction};
pub use nearest::{Difference, Missed, Nearest, Presence, Values, differences, nearest, nearest_executed};
pub use received_tree::{ReceivedTree, TreeFault};
use standard::Standard;
use upload::Uploads;

use crate::{DepfileInputs, Execution, RunKey, RunResult, StopSwitch, reads::RecordedAction};

/// How to reach a shared cache.
#[derive(Clone)]
pub struct SharedService {
    /// How messages name it.
    pub name: String,
    /// Its CAS.
    pub cas: Arc<dyn Cas>,
    /// Results.
    pub results: Arc<dyn ActionCache>,
    /// Whether results are stored there, or only looked up.
    pub may_write: bool,
}

impl fmt::Debug for SharedService {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedService")
            .field("name", &self.name)
            .field("may_write", &self.may_write)
            .finish_non_exhaustive()
    }
}

/// What passed between a build and a shared cache.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// How many runs were saved by it.
    pub hits: u64,
    /// How many results were stored there.
    pub stored: u64,
    /// How many bytes of blobs were fetched.
    pub fetched_bytes: u64,
    /// How many bytes of blobs were sent.
    pub sent_bytes: u64,
}

impl std::ops::Add for Traffic {
    type Output = Traffic;

    fn add(self, other: Traffic) -> Traffic {
        Traffic {
            hits: self.hits + other.hits,
            stored: self.stored + other.stored,
            fetched_bytes: self.fetched_bytes + other.fetched_bytes,
            sent_bytes: self.sent_bytes + other.sent_bytes,
        }
    }
}

/// A shared cache during a build.
pub struct SharedCache {
    shared: Arc<Shared>,
    uploads: Uploads,
}

/// What the threads of a build and the one that stores results have in common.
struct Shared {
    /// How messages name it.
    name: Arc<str>,
    service: SharedService,
    store: Store,
    /// Distinguishes results that depend on more than the standard message of an action says.
    salt: Vec<u8>,
    /// Opened for the first action, since it reads a file; `None` if that failed.
    standard: OnceLock<Option<Standard>>,
    /// Whether storing has ended.
    // Relaxed, like the counts below: a run that misses this is queued in vain. The counts are read after
    // `Uploads::finish`, whose lock orders them.
    refuses: AtomicBool,
    /// How many builds of the process have ended: it may be used for several.
    builds: AtomicU64,
    hits: AtomicU64,
    stored: AtomicU64,
    fetched: AtomicU64,
    sent: AtomicU64,
    problems: Mutex<Problems>,
}

#[derive(Default)]
struct Problems {
    /// The first reason why something was not done.
    first: Option<Problem>,
    /// How many blobs arrived that do not match their digests.
    wrong: u64,
}

/// Why something was not done.
enum Problem {
    /// Because of the cache, and what that is.
    Cache(String),
    /// Because of something on this machine.
    Here(String),
}

/// The step that a fault of the cache prevents.
#[derive(Clone, Copy)]
enum CacheStep {
    /// A result is not taken from the cache.
    LookUp,
    /// Results are not stored there.
    Storing,
}

impl Shared {
    fn standard(&self) -> Option<&Standard> {
        let open = || match Standard::open(&self.store) {
            Ok(standard) => Some(standard),
            Err(error) => {
                self.note(Problem::Here(error.to_string()));
                None
            }
        };
        // A failure is remembered as `None`: one warning, and no further tries in this process.
        self.standard.get_or_init(open).as_ref()
    }

    fn note(&self, problem: Problem) {
        let mut problems = self.problems.lock().unwrap_or_else(PoisonError::into_inner);
        // The first problem is the cause; what follows are mostly consequences.
        problems.first.get_or_insert(problem);
    }

    /// Keeps in mind why something was not answered, and so not done.
    fn note_failure(&self, error: &Error, undone: CacheStep) {
        match error {
            // The protocol does not promise that the blobs of a result are kept as long as the result: an ordinary
            // miss.
            Error::NotFound(_) => {}
            // The reason was noted when that began.
            Error::Off => {}
            Error::Corrupt(_) => {
                self.problems.lock().unwrap_or_else(PoisonError::into_inner).wrong += 1;
            }
            // Not the cache's.
            Error::Local(why) => {
                let what = match undone {
                    CacheStep::LookUp => "a result cannot be taken from",
                    CacheStep::Storing => "results cannot be stored in",
                };
                self.note(Problem::Here(format!("{what} remote cache {}: {why}", self.name)));
            }
            error => {
                let what = match undone {
                    CacheStep::LookUp => "the build goes on without it",
                    CacheStep::Storing => "no more results are stored there",
                };
                self.note(Problem::Cache(format!("{error}; {what}")));
            }
        }
    }
}

impl SharedCache {
    /// Nothing is read, started or asked before the first action needs it. `launcher`: the words in front of each
    /// command.
    pub fn new(
        service: SharedService,
        store: &Store,
        launcher: &[String],
        stop: &Arc<StopSwitch>,
    ) -> SharedCache {
        let shared = Arc::new(Shared {
            name: service.name.as_str().into(),
            service,
            store: store.clone(),
            salt: message::salt(launcher),
            standard: OnceLock::new(),
            refuses: AtomicBool::new(false),
            builds: AtomicU64::new(0),
            hits: AtomicU64::new(0),
            stored: AtomicU64::new(0),
            fetched: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            problems: Mutex::default(),
        });
        SharedCache { uploads: Uploads::new(&shared, stop), shared }
    }

    /// Looks the result of a run up, by all its inputs or by those that it reads. Returns also how the action is
    /// described there; `None` if it has no standard form.
    pub(crate) async fn look_up(
        &self,
        execution: &Execution,
        key: &RunKey,
        names: Option<&DepfileInputs<'_>>,
    ) -> taut_store::Result<(Option<RunResult>, Option<StandardAction>)> {
        let shared = &*self.shared;
        let Some(standard) = shared.standard() else { return Ok((None, None)) };
        let Some(inputs) = standard.stage(&key.inputs)? else { return Ok((None, None)) };
        let mut described = message::describe(execution, &key.action, &inputs, &shared.salt);
        let found = match shared.result(execution, key, &described.action).await? {
            Ok(ran) => Some(ran),
            Err(answer) => {
                // For explanations: a cache without a result and one with half a result are different findings.
                described.answer = answer;
                match names {
                    Some(names) => shared.by_reads(execution, key, names).await?,
                    None => None,
                }
            }
        };
        if found.is_some() {
            // A hit by reads counts like one by digest: both save a run.
            shared.hits.fetch_add(1, Relaxed);
        }
        Ok((found, Some(described)))
    }

    /// Stores the result of a successful run, some time until [`SharedCache::finish`] returns.
    pub(crate) fn store(
        &self,
        execution: &Execution,
        key: &RunKey,
        described: StandardAction,
        ran: &RunResult,
        recorded: Option<RecordedAction<'_>>,
    ) -> taut_store::Result<()> {
        if !self.shared.service.may_write || self.shared.refuses.load(Relaxed) {
            return Ok(());
        }
        let reads = match recorded {
            Some(recorded) => self.shared.reads(execution, &recorded)?,
            None => None,
        };
        self.uploads.add(key, described, ran, reads);
        Ok(())
    }

    /// Waits until everything is stored, or the build is interrupted.
    pub fn finish(&self) {
        self.uploads.finish();
        if let Some(Some(standard)) = self.shared.standard.get()
            && let Err(error) = standard.names.save()
        {
            // Names that are not kept are computed again.
            self.shared.note(Problem::Here(error.to_string()));
        }
    }

    /// Another build begins: what was refused is tried again, and what is at the cache is asked for.
    pub fn begin_anew(&self) {
        self.shared.refuses.store(false, Relaxed);
        self.shared.builds.fetch_add(1, Relaxed);
    }

    /// What passed since this was called before.
    pub fn take_traffic(&self) -> Traffic {
        let Shared { hits, stored, fetched, sent, .. } = &*self.shared;
        Traffic {
            hits: hits.swap(0, Relaxed),
            stored: stored.swap(0, Relaxed),
            fetched_bytes: fetched.swap(0, Relaxed),
            sent_bytes: sent.swap(0, Relaxed),
        }
    }

    /// What went wrong, in one line; returned once.
    pub fn take_problem(&self) -> Option<String> {
        let mut problems = self.shared.problems.lock().unwrap_or_else(PoisonError::into_inner);
        let Problems { first, wrong } = std::mem::take(&mut *problems);
        let wrong = (wrong > 0).then(|| match wrong {
            1 => "a blob arrived that does not match its digest; it was not used".to_owned(),
            _ => format!("{wrong} blobs arrived that do not match their digests; they were not used"),
        });
        let of_cache = |problem| format!("remote cache {}: {problem}", self.shared.service.name);
        match first {
            Some(Problem::Here(problem)) => Some(problem),
            Some(Problem::Cache(problem)) => Some(of_cache(problem)),
            None => wrong.map(of_cache),
        }
    }
}

/// The bytes of some blobs.
fn total(digests: impl Iterator<Item = Digest>) -> u64 {
    digests.map(|digest| digest.size).fold(0, u64::saturating_add)
}
