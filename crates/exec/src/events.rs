//! What happens during execution, for those who show it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use taut_value::{ActionDescription, Id};

use crate::{ActionFailure, ActionOutcome, Ran};

/// Told about actions as they go. Called from any thread; must not block.
pub trait Events: Send + Sync {
    /// An action's inputs are there.
    fn begun(&self, _id: &Id, _action: &Arc<ActionDescription>) {}
    /// An action's process is about to start.
    fn started(&self, _id: &Id, _action: &Arc<ActionDescription>) {}
    /// An action was run again; what is cached of an earlier run, if anything is.
    fn compared(&self, _id: &Id, _action: &Arc<ActionDescription>, _again: &Ran, _cached: Option<&Ran>) {}
    /// An action has a result, cached or not.
    fn finished(&self, _id: &Id, _action: &Arc<ActionDescription>, _outcome: &ActionOutcome) {}
    /// An action failed.
    fn failed(&self, _failure: &ActionFailure) {}
}

/// Tells nobody.
pub struct NoEvents;

impl Events for NoEvents {}

/// Tells everyone, in order.
impl Events for Vec<Arc<dyn Events>> {
    fn begun(&self, id: &Id, action: &Arc<ActionDescription>) {
        self.iter().for_each(|events| events.begun(id, action));
    }

    fn started(&self, id: &Id, action: &Arc<ActionDescription>) {
        self.iter().for_each(|events| events.started(id, action));
    }

    fn compared(&self, id: &Id, action: &Arc<ActionDescription>, again: &Ran, cached: Option<&Ran>) {
        self.iter().for_each(|events| events.compared(id, action, again, cached));
    }

    fn finished(&self, id: &Id, action: &Arc<ActionDescription>, outcome: &ActionOutcome) {
        self.iter().for_each(|events| events.finished(id, action, outcome));
    }

    fn failed(&self, failure: &ActionFailure) {
        self.iter().for_each(|events| events.failed(failure));
    }
}

/// Counts of actions.
#[derive(Default)]
pub struct Counters {
    processed: AtomicUsize,
    run: AtomicUsize,
}

impl Counters {
    pub(crate) fn processed_one(&self) {
        self.processed.fetch_add(1, Relaxed);
    }

    pub(crate) fn run_one(&self) {
        self.run.fetch_add(1, Relaxed);
    }

    /// How many actions have a result.
    pub fn processed(&self) -> usize {
        self.processed.load(Relaxed)
    }

    /// How many of them did not have to run: their result was cached, or another one's run was theirs.
    pub fn cache_hits(&self) -> usize {
        self.processed().saturating_sub(self.run.load(Relaxed))
    }
}
