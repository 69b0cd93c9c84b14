//! How far a build is, at one moment: what texts about progress show.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use taut_driver::{Step, event::Origin};
use taut_value::Id;

use crate::log::Names;

/// An action that has begun.
pub(crate) struct StartedAction {
    pub(crate) id: Id,
    pub(crate) origin: Option<Origin>,
    /// Its first output.
    pub(crate) output: String,
    /// The server that takes part, if one does.
    pub(crate) at: Option<Arc<str>>,
    /// In what that takes part.
    pub(crate) step: Option<Step>,
    /// Since when its process runs.
    pub(crate) runs_since: Option<Instant>,
}

/// A server whose answer is waited for.
pub(crate) struct AwaitedServer {
    /// Its address.
    pub(crate) server: Arc<str>,
    /// The call that it is to answer.
    pub(crate) call: &'static str,
    /// For how long.
    pub(crate) time: Duration,
}

/// How far a build is.
pub(crate) struct Snapshot<'s> {
    /// The server that has been waited for longest, if one does not answer for a while.
    pub(crate) waiting: Option<AwaitedServer>,
    /// How many actions there are.
    pub(crate) total: usize,
    /// How many of them are to be done, estimated from earlier calls.
    pub(crate) to_do: Option<usize>,
    pub(crate) cached: usize,
    /// How many were run, failed ones included.
    pub(crate) run: usize,
    pub(crate) failed: usize,
    pub(crate) open: &'s BTreeMap<u64, StartedAction>,
    pub(crate) since: Instant,
    pub(crate) at: Instant,
    /// How long it will take from now on, if enough is known.
    pub(crate) left: Option<Duration>,
    /// How many rows the display may have.
    pub(crate) rows: usize,
    pub(crate) names: &'s Names,
}

impl Snapshot<'_> {
    pub(crate) fn elapsed(&self) -> Duration {
        self.at.saturating_duration_since(self.since)
    }
}
