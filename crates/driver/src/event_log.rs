//! The event log: what each call did, as lines of JSON, kept in the build root for `explain` and for other programs.
//!
//! One file for each call that makes a request, and for each round of `watch`. `docs/events.md` describes the lines,
//! `schemas/events.schema.json` specifies them.
//!
//! Lines are collected in memory and written together: when the first process starts, when there are many, and once a
//! second while processes run, by a thread that begins with the first of them. So a killed call leaves a log of what
//! ran, and a call that does nothing makes one file with one write. Names of files have what is needed to limit their
//! number (`directory.rs`), so no log is read for that.
//!
//! Rejected: to write no log for null builds. That a call found everything up to date is what one looks for when
//! something should have been built and was not.

mod directory;
mod fields;
mod line;
mod read;
mod tasks;
mod timings;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError, Weak};
use std::time::{Duration, Instant, SystemTime};

use rustc_hash::FxHashMap;
use taut_exec::Step;
use taut_store::Store;
use taut_syntax::Diagnostics;
use taut_value::{EntityName, Id, Str, Value};

use crate::cache_warning::CacheWarning;
use crate::event::{Built, Call, Event, Failed, Finished, Origins, Sink, Status};
use directory::{Kind, LogDirectory, Name, Workspace, micros};
pub(crate) use fields::VERSION;
use line::Line;
pub use read::{EventLogs, parse};
pub use timings::Timings;

/// How many bytes of lines are buffered before they are written.
const MAX_BUFFERED_BYTES: usize = 64 << 10;

/// How long lines stay in the buffer at most, once a process was started.
const MAX_DELAY: Duration = Duration::from_secs(1);

/// After how many bytes of one log only failures of actions, why tasks ran again, and how the call ended are
/// noted; the number of lines that are left out is noted then.
const MAX_LOG_BYTES: u64 = 64 << 20;

/// How many bytes failures of actions, and reasons, may add to that.
const MAX_EXTRA_BYTES: u64 = 8 << 20;

/// How many bytes of the configuration of a request are kept as JSON.
const MAX_CONFIGURATION_BYTES: usize = 1 << 20;

/// How many actions are named whose outputs one action takes.
const MAX_NEEDS: usize = 1000;

/// How many outputs of one action are named.
const MAX_OUTPUTS: usize = 1000;

/// The log of a call.
///
/// One lock, held for the length of an event, so that the lines of an event stay together. `origins` is called under it
/// and takes locks of the engine; the engine's are never held when an event is sent, so there is no cycle.
pub struct EventLog(Arc<Mutex<LogState>>);

struct LogState {
    begin: Instant,
    since: SystemTime,
    process: u32,
    /// Where it is kept, as soon as that is known.
    store: Option<Store>,
    workspace: Workspace,
    /// Lines that are not written yet.
    buffer: String,
    file: Option<(LogDirectory, Name, std::fs::File)>,
    written: u64,
    last_write: Instant,
    /// [`MAX_LOG_BYTES`]; less in tests.
    limit: u64,
    left_out: u64,
    is_closed: bool,
    /// Whether the thread that writes the buffer periodically was started.
    has_writer_thread: bool,
    warning: CacheWarning,
    origins: Option<Origins>,
    /// Actions whose process runs, since when.
    // Ids are hashes, so a fast hasher distributes them well.
    running: FxHashMap<Id, Duration>,
    /// Targets that were analysed for the first time, by configuration: they share lines.
    new_targets: (Str, Vec<Str>),
    uses_state: bool,
    has_begun: bool,
    has_executed: bool,
    built: Option<Built>,
    analysed: u64,
    ran: u64,
    cached: u64,
    failed: u64,
}

impl Default for EventLog {
    fn default() -> EventLog {
        EventLog::new()
    }
}

impl EventLog {
    /// Begins now; nothing is written before [`EventLog::keep_in`].
    pub fn new() -> EventLog {
        let now = Instant::now();
        EventLog(Arc::new(Mutex::new(LogState {
            begin: now,
            since: SystemTime::now(),
            process: std::process::id(),
            store: None,
            workspace: [b'0'; 16],
            buffer: String::new(),
            file: None,
            written: 0,
            last_write: now,
            limit: MAX_LOG_BYTES,
            left_out: 0,
            is_closed: false,
            has_writer_thread: false,
            warning: CacheWarning::default(),
            origins: None,
            running: FxHashMap::default(),
            new_targets: Default::default(),
            uses_state: false,
            has_begun: false,
            has_executed: false,
            built: None,
            analysed: 0,
            ran: 0,
            cached: 0,
            failed: 0,
        })))
    }

    fn state(&self) -> MutexGuard<'_, LogState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps the log in this store; without this call, nothing is written.
    pub fn keep_in(&self, store: &Store) {
        let mut state = self.state();
        if !state.is_closed && state.store.is_none() {
            state.store = Some(store.clone());
        }
    }

    /// Why it could not be written, if so; returned once.
    pub fn take_warning(&self) -> Option<String> {
        self.state().warning.take()
    }

    /// Ends the log in a process that ends now, whatever other threads do: one that hangs while it writes to the log
    /// does not keep the process from ending.
    pub fn finish_at_once(&self, status: Status) {
        const MAX_TRIES: u32 = 20;
        // `lock` would wait for a thread that hangs in a write; within a tenth of a second the log is complete or given
        // up.
        for _ in 0..MAX_TRIES {
            match self.0.try_lock() {
                Ok(mut state) => return state.finish(status),
                Err(TryLockError::Poisoned(poisoned)) => return poisoned.into_inner().finish(status),
                Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
            }
        }
    }
}

impl Sink for EventLog {
    fn event(&self, event: &Event<'_>) {
        let mut state = self.state();
        if !state.is_closed {
            state.note(event);
            // This event is sent before the process exists: if the call is killed from now on, its log has what it ran.
            // Transfers come before and after an execution: they start nothing on a server.
            let begins = |step: &Step| !matches!(step, Step::Uploading | Step::Downloading);
            let is_process = matches!(event, Event::ActionStarted(_))
                || matches!(event, Event::ActionRemote { step, .. } if begins(step));
            let is_first_process = is_process && state.is_first_process();
            if state.buffer.len() >= MAX_BUFFERED_BYTES || state.is_due() || is_first_process {
                state.write();
            }
            // Not with the log: a call that starts no process needs no thread.
            if is_first_process {
                // Weak, so that the thread ends when the log is dropped without having ended.
                let log = Arc::downgrade(&self.0);
                let thread = std::thread::Builder::new().name("event log".to_owned());
                // Without the thread, lines are written when events come.
                let _ = thread.spawn(move || write_periodically(&log));
            }
        }
    }
}

/// Writes the buffer periodically, until the log is complete.
fn write_periodically(log: &Weak<Mutex<LogState>>) {
    loop {
        std::thread::sleep(MAX_DELAY);
        let Some(log) = log.upgrade() else { return };
        let mut state = log.lock().unwrap_or_else(PoisonError::into_inner);
        if state.is_closed {
            return;
        }
        if !state.buffer.is_empty() {
            state.write();
        }
    }
}

impl LogState {
    /// A target that defines an action, and the action's number there.
    pub(super) fn origin(&self, action: &Id) -> Option<String> {
        Some(self.origins.as_ref()?(action)?.numbered())
    }

    fn at(&self) -> Duration {
        self.begin.elapsed()
    }

    /// Whether a process that starts is the first one since it is known where the log is to be kept.
    fn is_first_process(&mut self) -> bool {
        self.has_begun && self.store.is_some() && !std::mem::replace(&mut self.has_writer_thread, true)
    }

    /// Whether lines have been in the buffer for long enough.
    fn is_due(&self) -> bool {
        self.store.is_some() && !self.buffer.is_empty() && self.last_write.elapsed() >= MAX_DELAY
    }

    /// Writes a line, unless the log has reached its limit plus `more` bytes: then it is only counted.
    fn bounded_line(&mut self, more: u64, event: &str, fill: impl FnOnce(&mut Line<'_>)) {
        if self.written + self.buffer.len() as u64 >= self.limit.saturating_add(more) {
            self.left_out += 1;
        } else {
            fill(&mut Line::begin(&mut self.buffer, event));
        }
    }

    fn line(&mut self, event: &str, fill: impl FnOnce(&mut Line<'_>)) {
        self.bounded_line(0, event, fill);
    }

    fn note(&mut self, event: &Event<'_>) {
        let at = self.at();
        match event {
            Event::CallBegan(call) => self.begin(call),
            Event::CallRestarted => {
                self.line("begun_anew", |line| {
                    line.seconds("at", at);
                });
            }
            Event::RootComputed(root) => self.line("root", |line| {
                line.seconds("at", at).text("what", &root.what).text("from", &root.from);
                line.hash("tree", &root.tree).number("ran", root.ran as u64).seconds("wall", root.duration);
            }),
            Event::AnalysisBegan => self.line("analysis_began", |line| {
                line.seconds("at", at);
            }),
            Event::Warned(diagnostics) => self.diagnostics(diagnostics),
            Event::AnalysisFailed(diagnostics) => {
                self.diagnostics(diagnostics);
                self.line("analysis_failed", |line| {
                    line.seconds("at", at);
                });
            }
            Event::AnalysisFinished(found) => {
                self.line("analysis_finished", |line| fields::analysed(line, at, found));
            }
            Event::BuildBegan { actions, origins } => {
                self.origins = Some((*origins).clone());
                let actions = *actions as u64;
                self.line("build_began", |line| {
                    line.seconds("at", at).number("actions", actions);
                });
            }
            Event::ActionBegun(_) | Event::ActionCompared { .. } => {}
            Event::ActionStarted(action) => self.started(at, action.id, None),
            Event::ActionRemote { action, at: server, step: Step::Given } => {
                self.started(at, action.id, Some(server));
            }
            Event::ActionRemote { action, step, .. } => {
                let stage = match step {
                    Step::Queued => "queued",
                    Step::Running => "running",
                    // How long that took is in the line about the end.
                    _ => return,
                };
                self.line("action_stage", |line| {
                    fields::action(line, at, action.id, None).shown("stage", stage);
                });
            }
            Event::ActionFinished(finished) => self.finished(at, finished),
            Event::ActionFailed(failed) => self.failed(at, failed),
            Event::Unbuilt(unbuilt) => {
                let first = unbuilt.actions.first().map(|(id, _)| id);
                let origin = first.and_then(|id| self.origin(id));
                self.bounded_line(MAX_EXTRA_BYTES, "unbuilt", |line| {
                    fields::unbuilt(line, at, unbuilt, origin.as_deref());
                });
            }
            Event::BuildFinished(built) => {
                self.built = Some(*built);
                let built = *built;
                // Whatever the limit: how the call ended is read from this line.
                self.bounded_line(u64::MAX, "build_finished", |line| {
                    line.seconds("at", at).bool("complete", built.is_complete);
                    line.number("processed", built.processed as u64).number("ran", built.ran as u64);
                    if let Some(traffic) = &built.traffic {
                        fields::traffic(line, traffic);
                    }
                });
            }
            Event::RemoteCacheFailed(why) => self.line("remote_cache_failed", |line| {
                line.seconds("at", at).text("error", why);
            }),
            Event::TaskRan { subject, why } => self.task(subject, why),
            Event::CallFinished(status) => self.finish(*status),
        }
    }

    fn begin(&mut self, call: &Call<'_>) {
        let workspace = Id::of(call.repositories.identity());
        let digits = workspace.to_hex();
        // As text, since names of logs have it; 64 bits are enough to distinguish the checkouts of one machine.
        self.workspace.copy_from_slice(&digits.as_bytes()[..16]);
        self.uses_state = call.uses_state;
        // A call whose steps are repeated has one first line; only its workspace may be another one now.
        if self.has_begun {
            return;
        }
        self.has_begun = true;
        let (since, process) = (Duration::from_micros(micros(self.since)), self.process);
        let targets: Option<Vec<String>> = call.targets.map(|targets| {
            targets.iter().map(|target| EntityName::Named(target.clone()).to_json()).collect()
        });
        self.line("call", |line| {
            line.number("schema", VERSION).text("program", call.program).text("command", call.command);
            line.seconds("time", since).number("process", process.into());
            line.text("workspace", &digits).bool("uses_state", call.uses_state);
            if let Some(targets) = &targets {
                line.list("targets", targets.iter().map(String::as_str));
            }
            if let Some(configuration) = call.configuration {
                let json = Value::Map(configuration.clone()).to_json();
                match json.len() <= MAX_CONFIGURATION_BYTES {
                    true => line.json("configuration", &json),
                    false => line.text("configuration", &configuration.to_label()),
                };
            }
        });
    }

    fn diagnostics(&mut self, diagnostics: &Diagnostics) {
        for diagnostic in diagnostics.iter() {
            self.line("diagnostic", |line| fields::diagnostic(line, diagnostic));
        }
    }

    /// `server`: what executes the action, if it is not this machine.
    fn started(&mut self, at: Duration, id: &Id, server: Option<&str>) {
        self.running.insert(*id, at);
        let origin = self.origin(id);
        self.line("action_started", |line| {
            let line = fields::action(line, at, id, origin.as_deref());
            if let Some(server) = server {
                line.text("executed_by", server);
            }
        });
    }

    fn finished(&mut self, at: Duration, finished: &Finished<'_>) {
        if finished.is_replayed {
            return;
        }
        let Finished { action, outcome, .. } = finished;
        // A cached action may have been looked up for other reasons than that there is work, as with other settings.
        self.has_executed |= !outcome.cached;
        self.running.remove(action.id);
        let end = match outcome.cached {
            true if outcome.ran.by_reads => "unread",
            true => "cached",
            false => "ran",
        };
        *(if outcome.cached { &mut self.cached } else { &mut self.ran }) += 1;
        let origin = self.origin(action.id);
        self.line("action", |line| {
            fields::action(line, at, action.id, origin.as_deref()).shown("end", end);
            fields::inputs(line, finished.inputs, &finished.needs());
            fields::outcome(line, &outcome.ran, outcome.cached);
            if outcome.cached && outcome.ran.run_as.is_none() {
                fields::taken_from(line, &outcome.ran);
            }
            if let Some(missed) = &outcome.ran.missed {
                fields::missed(line, missed, outcome.ran.lacked.as_deref());
            }
            if outcome.failed {
                line.bool("tainted", true);
            }
        });
    }

    fn failed(&mut self, at: Duration, failed: &Failed<'_>) {
        let failure = failed.failure;
        self.has_executed = true;
        let since = self.running.remove(&failure.id);
        let origin = self.origin(&failure.id);
        // No failure of the action: `explain` reports it as stopped, not as failed.
        if failed.was_ended {
            return self.bounded_line(MAX_EXTRA_BYTES, "action", |line| {
                fields::action(line, at, &failure.id, origin.as_deref()).shown("end", "unfinished");
                fields::inputs(line, failure.digest.as_ref(), &failed.needs());
                line.seconds("wall", at.saturating_sub(since.unwrap_or(at)));
            });
        }
        self.failed += 1;
        self.bounded_line(MAX_EXTRA_BYTES, "action", |line| {
            fields::action(line, at, &failure.id, origin.as_deref()).shown("end", "failed");
            fields::inputs(line, failure.digest.as_ref(), &failed.needs());
            fields::outcome(line, &failure.ran, failure.error.is_some());
            line.text("error", &failure.to_string());
        });
    }

    /// The last lines; nothing is noted afterwards.
    fn finish(&mut self, status: Status) {
        if std::mem::replace(&mut self.is_closed, true) {
            return;
        }
        let at = self.at();
        self.write_new_targets();
        let mut running: Vec<(Id, Duration)> = self.running.drain().collect();
        // The order of the hash table would differ from call to call.
        running.sort_unstable_by_key(|(_, since)| *since);
        for (id, since) in running {
            let origin = self.origin(&id);
            self.bounded_line(MAX_EXTRA_BYTES, "action", |line| {
                fields::action(line, at, &id, origin.as_deref()).shown("end", "unfinished");
                line.seconds("wall", at.saturating_sub(since));
            });
        }
        // Releases the engine that it refers to.
        self.origins = None;
        let left_out = self.left_out;
        if left_out > 0 {
            Line::begin(&mut self.buffer, "cut").number("lines", left_out);
        }
        let built = self.built.unwrap_or_default();
        let mut line = Line::begin(&mut self.buffer, "summary");
        line.seconds("at", at).text("status", status.word());
        if let Status::Interrupted(signal) = status {
            line.number("signal", u64::try_from(signal).unwrap_or_default());
        }
        line.number("analysed", self.analysed).number("processed", built.processed as u64);
        line.number("ran", self.ran).number("cached", self.cached).number("failed", self.failed);
        // Its end is written when it is dropped.
        drop(line);
        // A call whose steps were repeated may have failed in analysis in the end.
        let is_through = self.built.is_some() && status != Status::AnalysisFailed;
        let is_work = self.uses_state && is_through && self.has_executed;
        let kind = if is_work { Kind::Work } else { Kind::Other };
        self.write();
        if let Some((directory, name, file)) = self.file.take() {
            drop(file);
            // The new name makes it a log that `explain` reads: not before it is complete.
            if kind != name.kind
                && let Err(error) = directory.rename(name, kind)
            {
                self.warning.log_not_written(error);
            }
            // After the renaming: the name decides which logs are kept longer.
            directory.drop_old(self.written);
        }
        (self.buffer, self.store) = Default::default();
    }

    /// After a failed write: nothing is tried again for each line, and no more lines are collected.
    fn give_up(&mut self) {
        self.is_closed = true;
        // Also releases the engine behind `origins`, as at the end.
        (self.store, self.buffer, self.origins) = Default::default();
    }

    /// Writes what there is.
    fn write(&mut self) {
        self.last_write = Instant::now();
        let Some(store) = self.store.as_ref().filter(|_| self.has_begun) else { return };
        if self.file.is_none() {
            let open = || {
                let directory = LogDirectory::of(store)?;
                let (micros, process) = (micros(self.since), self.process);
                // A log of a call that is killed keeps this kind, so `explain` does not take it for a complete one.
                let name = Name { micros, process, workspace: self.workspace, kind: Kind::Other };
                let (name, file) = directory.create(name)?;
                Ok((directory, name, file))
            };
            match open() {
                Ok(opened) => self.file = Some(opened),
                Err(error) => {
                    let error: taut_store::Error = error;
                    self.warning.log_not_written(error);
                    return self.give_up();
                }
            }
        }
        if let Some((.., file)) = &mut self.file
            && let Err(error) = directory::write(file, self.buffer.as_bytes())
        {
            self.warning.log_not_written(error);
            return self.give_up();
        }
        self.written += self.buffer.len() as u64;
        self.buffer.clear();
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::sync::Arc;

    use taut_digest::HashFunction;
    use taut_exec::ActionOutcome;
    use taut_repos::RepoConfig;
    use taut_value::{ActionDescription, Map, NamedTarget};

    use super::*;
    use crate::event::Action;
    use crate::{RecordedReason, Subject, Targets};

    /// Sends the event of an action that ran.
    fn send(log: &EventLog, name: &str) {
        let (id, description) = (Id::of(name), Arc::new(ActionDescription::default()));
        let outcome = ActionOutcome { ran: Arc::default(), cached: false, failed: false };
        let (action, inputs, trees) = (Action { id: &id, description: &description }, None, None);
        let finished = Finished { action, inputs, outcome: &outcome, is_replayed: false, trees };
        log.event(&Event::ActionFinished(&finished));
    }

    /// A log of a call for a target, kept in a store.
    fn begun(store: &Store, repositories: &RepoConfig) -> EventLog {
        let log = EventLog::new();
        let targets = Targets::from(NamedTarget::new("", "", "t"));
        let configuration = Map::default();
        let (targets, configuration) = (Some(&targets), Some(&configuration));
        let (program, command, uses_state) = ("taut", "build", true);
        let call = Call { program, command, repositories, targets, configuration, uses_state };
        log.event(&Event::CallBegan(call));
        log.keep_in(store);
        log
    }

    fn finish(log: &EventLog) {
        let built = Built { is_complete: true, processed: 2, ran: 2, traffic: None };
        log.event(&Event::BuildFinished(built));
        log.event(&Event::CallFinished(Status::Success));
        assert_eq!(log.take_warning(), None);
    }

    #[test]
    fn a_log_that_would_be_too_long_is_cut_and_counts_the_missing_lines() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let repositories = RepoConfig::default();
        let log = begun(&store, &repositories);
        log.state().limit = 10_000;
        for number in 0..1_000 {
            send(&log, &number.to_string());
        }
        let subject = &Subject::Action(Id::of("999"));
        log.event(&Event::TaskRan { subject, why: &RecordedReason::Always });
        finish(&log);
        let record = EventLogs::of(&store, &repositories).unwrap().records().next().unwrap();
        assert!(record.left_out > 900 && record.actions.len() < 100, "{}", record.left_out);
        assert_eq!(record.left_out as usize + record.actions.len(), 1_000);
        // Why something ran is kept where that is known.
        assert!(record.done.iter().any(|done| done.why == RecordedReason::Always));
        let log = begun(&store, &repositories);
        send(&log, "one");
        finish(&log);
        let logs = EventLogs::of(&store, &repositories).unwrap();
        assert_eq!(logs.records().next().map(|record| (record.left_out, record.actions.len())), Some((0, 1)));
    }

    #[test]
    fn a_call_ended_as_the_last_of_its_builds_did() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let repositories = RepoConfig::default();
        for (builds, ended) in [
            ([false, true], crate::history::BuildEnd::Well),
            ([true, false], crate::history::BuildEnd::InExecution),
        ] {
            let log = begun(&store, &repositories);
            send(&log, "one");
            for is_complete in builds {
                log.event(&Event::BuildFinished(Built { is_complete, processed: 1, ran: 1, traffic: None }));
            }
            log.event(&Event::CallFinished(Status::Success));
            let record = EventLogs::of(&store, &repositories).unwrap().records().next().unwrap();
            assert_eq!(record.ended, ended);
        }
    }

    #[test]
    fn events_after_the_end_are_not_logged() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let repositories = RepoConfig::default();
        let log = begun(&store, &repositories);
        send(&log, "one");
        log.finish_at_once(Status::Interrupted(2));
        send(&log, "two");
        finish(&log);
        // Its build had not ended, so it has no reasons.
        assert_eq!(EventLogs::of(&store, &repositories).unwrap().records().next(), None);
        let nowhere = EventLog::new();
        send(&nowhere, "one");
        finish(&nowhere);
    }

    #[test]
    fn lines_are_written_in_few_pieces_and_within_the_maximum_delay() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::open(root.path(), HashFunction::GitSha1).unwrap();
        let log = begun(&store, &RepoConfig::default());
        send(&log, "one");
        assert!(log.state().file.is_none());
        log.state().last_write -= MAX_DELAY;
        send(&log, "two");
        assert!(log.state().file.is_some() && log.state().buffer.is_empty());
        let written = log.state().written;
        send(&log, "three");
        assert_eq!(log.state().written, written);
        // A process starts: what is known is written now, and what comes then does not wait for more.
        let (id, description) = (Id::of("four"), Arc::new(ActionDescription::default()));
        log.event(&Event::ActionStarted(Action { id: &id, description: &description }));
        assert!(log.state().written > written && log.state().buffer.is_empty());
        log.event(&Event::ActionStarted(Action { id: &id, description: &description }));
        assert!(!log.state().buffer.is_empty());
        let begin = Instant::now();
        while !log.state().buffer.is_empty() {
            assert!(begin.elapsed() < 60 * MAX_DELAY);
            std::thread::sleep(MAX_DELAY / 20);
        }
    }
}
