//! The flag that keeps new work from beginning after the first failure or an interruption.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use taut_engine::Fail;
use taut_value::ActionDescription;

use crate::{RunResult, failure::fails_build};

/// Whether new work may begin. Actions that run already run to their end, so that their results are kept.
#[derive(Debug, Default)]
pub struct StopSwitch {
    // Fixed when the build begins, so it needs no atomic.
    keep_going: bool,
    stopped: AtomicBool,
    interrupted: AtomicBool,
}

// All accesses are sequentially consistent: the flags are set before signals are sent to processes, and read a few
// times for each action, so a weaker order would save nothing.
impl StopSwitch {
    /// Nothing has failed yet. With `keep_going`, failures change nothing.
    pub fn new(keep_going: bool) -> StopSwitch {
        StopSwitch { keep_going, ..StopSwitch::default() }
    }

    /// Records a failure.
    pub fn note_failure(&self) {
        if !self.keep_going {
            self.stopped.store(true, SeqCst);
        }
    }

    /// Records the failure of an action, if it ended with one. To be called before its slot is free: the task that
    /// reports the failure runs later, and by then another action could have started in the slot. Runs of tests are
    /// noted alike; a call that tests keeps going.
    pub(crate) fn note_end(&self, action: &ActionDescription, ended: &Result<RunResult, Fail>) {
        if ended.as_ref().map_or_else(fails_build, |ran| ran.is_failure_of(action)) {
            self.note_failure();
        }
    }

    /// Resets the failure for another build. An interruption lasts.
    pub fn reset(&self) {
        self.stopped.store(false, SeqCst);
    }

    /// Records that the call is to end: no new work begins, and running actions will be ended. To be called before they
    /// are, so that their exit codes are not taken for failures of their own.
    pub fn interrupt(&self) {
        self.interrupted.store(true, SeqCst);
    }

    /// Whether no new work may begin.
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(SeqCst) || self.is_interrupted()
    }

    /// Whether the call is to end, so that running actions do not end by themselves.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(SeqCst)
    }
}
