//! Execution of actions where their inputs are.

use std::sync::Arc;

use taut_digest::Digest;
use taut_proto::ActionResult;

use crate::Answer;

/// An action to be executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Execute {
    /// The digest of its `Action` message. That, the `Command` message and all inputs are there.
    pub action: Digest,
    /// Whether it is executed though its result is known.
    pub skips_cache: bool,
}

/// How far an execution has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// It waits for a worker.
    Queued,
    /// It runs.
    Running,
}

/// Takes what is known of an execution before its end. Called from any thread; must not block.
pub trait Progress: Send + Sync {
    /// It has come to another stage. Not all services say that.
    fn stage(&self, stage: Stage);
}

/// Ignores it.
pub struct NoProgress;

impl Progress for NoProgress {
    fn stage(&self, _: Stage) {}
}

/// How an execution ended.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Executed {
    /// What the action produced, whatever its exit code.
    pub result: ActionResult,
    /// Whether the result was known before.
    pub was_cached: bool,
    /// Whether the action was ended since it took too long.
    pub timed_out: bool,
    /// The message of the service about it, for people.
    pub message: String,
}

/// Executes actions. Each is a question of its own: as many as are wanted can be asked at the same time.
pub trait Executor: Send + Sync {
    /// Executes an action. It is ended where that is possible if the answer is dropped, or the service given up.
    ///
    /// # Errors
    /// [`Error::InputsMissing`](crate::Error::InputsMissing) if inputs are not there; that an action fails is not an
    /// error.
    // One by one, unlike blobs: an execution takes longer than a round trip.
    fn execute(&self, action: Execute, progress: Arc<dyn Progress>) -> Answer<'_, Executed>;
}
