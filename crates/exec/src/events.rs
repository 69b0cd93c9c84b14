//! Callbacks for what happens during execution; `driver` makes events of them.

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use taut_digest::Hash;
use taut_service::Stage;
use taut_value::{ActionDescription, Id};

use crate::{ActionFailure, ActionOutcome, RunResult};

/// A step of an action in which a server takes part.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// The inputs that the server lacks are sent.
    Uploading,
    /// The action was sent to the server. Not all servers report more.
    Given,
    /// The server reports that the action waits.
    Queued,
    /// The server reports that the action runs.
    Running,
    /// The blobs of the result are fetched from the server.
    Downloading,
}

impl From<Stage> for Step {
    fn from(stage: Stage) -> Step {
        match stage {
            // The two enums stay apart: `service` does not depend on what this crate reports.
            Stage::Queued => Step::Queued,
            Stage::Running => Step::Running,
        }
    }
}

/// Receives what happens to actions. Called from any thread; must not block.
pub trait Events: Send + Sync {
    /// All inputs of an action are in the store.
    fn begun(&self, _id: &Id, _action: &Arc<ActionDescription>) {}
    /// An action's process is about to start.
    fn started(&self, _id: &Id, _action: &Arc<ActionDescription>) {}
    /// An action has come to a step in which a server takes part.
    fn remote(&self, _id: &Id, _action: &Arc<ActionDescription>, _at: &Arc<str>, _step: Step) {}
    /// An action was run again, for comparison with the cached result, if there is one.
    fn compared(
        &self,
        _id: &Id,
        _action: &Arc<ActionDescription>,
        _again: &RunResult,
        _cached: Option<&RunResult>,
    ) {
    }
    /// An action has a result, cached or not. `digest`: of its `Action` message, which names its inputs by content.
    fn finished(&self, _id: &Id, _action: &Arc<ActionDescription>, _digest: &Hash, _outcome: &ActionOutcome) {
    }
    /// An action failed.
    fn failed(&self, _failure: &ActionFailure) {}
}

/// Ignores all events.
pub struct NoEvents;

impl Events for NoEvents {}

/// Counts of what happened to actions. Relaxed atomics: the counts are read after the build.
#[derive(Default)]
pub struct Counters {
    // A set: actions that were replayed are counted afterwards, and none counts twice.
    processed: Mutex<HashSet<Id>>,
    run: AtomicUsize,
}

impl Counters {
    fn ids(&self) -> MutexGuard<'_, HashSet<Id>> {
        self.processed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an action that has a result. Returns whether it was not counted yet.
    pub fn processed_one(&self, id: &Id) -> bool {
        self.ids().insert(*id)
    }

    /// Whether an action was counted.
    pub fn has_processed(&self, id: &Id) -> bool {
        self.ids().contains(id)
    }

    /// Resets the counts for another build.
    pub fn reset(&self) {
        self.ids().clear();
        self.run.store(0, Relaxed);
    }

    pub(crate) fn run_one(&self) {
        self.run.fetch_add(1, Relaxed);
    }

    /// How many actions have a result.
    pub fn processed(&self) -> usize {
        self.ids().len()
    }

    /// How many actions were run.
    pub fn ran(&self) -> usize {
        self.run.load(Relaxed)
    }

    /// How many of them did not have to run: their result was cached, or another definition's run had the same digest.
    // Saturating: both counts grow while builds run, and a display may read them between the two.
    pub fn cache_hits(&self) -> usize {
        self.processed().saturating_sub(self.ran())
    }
}
