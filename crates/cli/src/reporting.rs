//! A call as a source of events: how it begins and ends, and the sinks that every call has.
//!
//! A subcommand that makes a request runs inside [`reported`]. That owns the event log and the profile, so both are
//! complete however the subcommand returns; a signal that ends the process at once ends the log, too
//! (`interruption.rs`).

use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, PoisonError};

use taut_driver::event::{Call, Event, NewRoot, Sink, Status};
use taut_driver::{EventLog, Request};
use taut_store::Store;

use crate::{
    exit::Exit,
    log::{Level, Log},
    profile::Profile,
};

/// The program as logs name it.
const PROGRAM: &str = concat!("taut ", env!("CARGO_PKG_VERSION"));

/// Where the events of a call go.
pub(crate) struct Reporting {
    command: &'static str,
    /// Whether the call uses the build state of earlier calls.
    pub(crate) uses_state: bool,
    pub(crate) log: Arc<EventLog>,
    pub(crate) profile: Option<Arc<Profile>>,
    /// The roots that were computed before the request is known.
    roots: Mutex<Vec<NewRoot>>,
}

impl Sink for Reporting {
    fn event(&self, event: &Event<'_>) {
        self.log.event(event);
        if let Some(profile) = &self.profile {
            profile.event(event);
        }
    }
}

impl Reporting {
    /// The reporting of one round of `watch`.
    pub(crate) fn of_round(uses_state: bool) -> Reporting {
        Reporting {
            command: "watch",
            uses_state,
            log: Arc::default(),
            profile: None,
            roots: Mutex::default(),
        }
    }

    /// The sinks that every call has.
    pub(crate) fn sinks(&self) -> Vec<Arc<dyn Sink>> {
        let mut sinks: Vec<Arc<dyn Sink>> = vec![self.log.clone()];
        sinks.extend(self.profile.clone().map(|profile| profile as Arc<dyn Sink>));
        sinks
    }

    /// The request is known.
    pub(crate) fn requested(&self, request: &Request) {
        self.event(&Event::CallBegan(Call::of(PROGRAM, self.command, request, self.uses_state)));
        self.report_roots();
    }

    /// A root was computed: events are sent in order, so that of this one comes after that of the request.
    pub(crate) fn computed(&self, root: NewRoot) {
        self.roots.lock().unwrap_or_else(PoisonError::into_inner).push(root);
    }

    fn report_roots(&self) {
        // Taken, so that a request that is made again does not report them twice.
        let roots = std::mem::take(&mut *self.roots.lock().unwrap_or_else(PoisonError::into_inner));
        roots.iter().for_each(|root| self.event(&Event::RootComputed(root)));
    }

    /// The same, of a graph with source files in these repositories.
    pub(crate) fn requested_graph(&self, repositories: &taut_driver::RepoConfig) {
        let (program, command, uses_state) = (PROGRAM, self.command, self.uses_state);
        let (targets, configuration) = (None, None);
        let call = Call { program, command, repositories, targets, configuration, uses_state };
        self.event(&Event::CallBegan(call));
        self.report_roots();
    }

    /// Where the log is to be kept.
    pub(crate) fn keep_in(&self, store: &Store) {
        self.log.keep_in(store);
    }

    /// The call, or round, is over.
    pub(crate) fn finish(&self, status: Status, log: &Log) {
        self.event(&Event::CallFinished(status));
        // What prevents the log from being written has probably been reported already: the build root is not writable.
        // SeqCst, as where it is set: it happens once in a call, and costs nothing.
        if !log.has_cache_warning.load(SeqCst) {
            warn_of_cache(self.log.take_warning(), log);
        }
    }
}

/// Runs a subcommand with its events; writes the profile when it is over. `uses_state`: whether it uses the
/// build state of earlier calls.
pub(crate) fn reported(
    command: &'static str,
    uses_state: bool,
    profile: Option<Arc<Profile>>,
    log: &Log,
    run_command: impl FnOnce(&Reporting) -> Result<Exit, Exit>,
) -> Exit {
    let (log_of_events, roots) = Default::default();
    let reporting = Reporting { command, uses_state, log: log_of_events, profile, roots };
    // Both arms are exit codes: errors were reported where they occurred.
    let exit = run_command(&reporting).unwrap_or_else(|exit| exit);
    reporting.finish(exit.status(), log);
    match reporting.profile.map(|profile| profile.write(exit, log)) {
        Some(Err(failed)) if exit == Exit::Success => failed,
        _ => exit,
    }
}

/// Warns that cached build state could not be used or written, in one line.
pub(crate) fn warn_of_cache(warning: Option<String>, log: &Log) {
    if let Some(text) = warning {
        log.has_cache_warning.store(true, SeqCst);
        log.say(Level::Warn, text);
    }
}
