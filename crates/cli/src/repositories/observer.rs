//! Messages of a set-up, and how far it is.

use std::{
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use taut_driver::{Diagnostic, Diagnostics};
use taut_setup::{Event, Observer, Remark, Session};
use taut_syntax::NEXT_MESSAGE;

use crate::{
    cancelled_set_up::until_signal,
    diagnostics,
    log::{Level, Log},
    voice::{self, SetUpProgress},
};

/// How long after the begin the first line about progress comes; the live display comes earlier.
// Shorter than for a build: a set-up is waited for before anything else can happen.
const FIRST_LINE: Duration = Duration::from_secs(2);

/// By how much the time to the next line grows.
const INTERVAL_FACTOR: f64 = 1.5;

/// The time between two frames of the live display.
const FRAME_INTERVAL: Duration = Duration::from_millis(100);

/// Writes what happens during a set-up to the log.
pub(crate) struct Messages<'l> {
    log: &'l Log,
    /// The reference's step above errors and warnings: `While performing just-mr setup:`.
    step: String,
    state: Mutex<SetUpProgress>,
}

impl<'l> Messages<'l> {
    pub(crate) fn new(log: &'l Log, step: String) -> Messages<'l> {
        Messages { log, step, state: Mutex::default() }
    }

    /// For archives that are fetched, with no root made of them: how many was shown already.
    pub(crate) fn of_fetch(self) -> Messages<'l> {
        let state = SetUpProgress { is_fetch: true, is_announced: true, ..SetUpProgress::default() };
        Messages { state: Mutex::new(state), ..self }
    }

    /// Does something with a session, and shows how far it is. A signal ends it, and removes what it began.
    pub(crate) fn with_progress<T>(&self, session: &Session<'_>, task: impl FnOnce() -> T) -> T {
        let task = || until_signal(session.cancellation(), task);
        if !self.log.wants(Level::Progress) {
            return task();
        }
        let end = (Mutex::new(false), Condvar::new());
        std::thread::scope(|scope| {
            // If no thread can be started, it is done without a display.
            let _ = std::thread::Builder::new().spawn_scoped(scope, || show(&end, &self.state, self.log));
            // Also when the task panics: the scope waits for the thread.
            let _ending = DisplayEnd(&end);
            task()
        })
    }

    /// Reports errors of a set-up.
    pub(crate) fn failed(&self, problems: &Diagnostics) {
        let problems: Diagnostics = problems.iter().map(|problem| self.below_step(problem.clone())).collect();
        diagnostics::report(&problems, Level::Error, self.log);
    }

    /// An error with the step above it, unless it is one that the reference reports without it.
    fn below_step(&self, problem: Diagnostic) -> Diagnostic {
        const WITHOUT_STEP: [&str; 5] = [
            "While parsing description of repository ",
            "Config: Mandatory key \"repositories\"",
            "Config: Value for key \"repositories\"",
            "Internal error, ",
            "Unsupported value ",
        ];
        // The last one is the error itself.
        let text = problem.reference_text().rsplit(NEXT_MESSAGE).next().unwrap_or_default();
        // Only set-ups are under way when they find that a description is wrong.
        let is_before = !self.step.contains(" setup") && text.starts_with("Config: ");
        match is_before || WITHOUT_STEP.iter().any(|before| text.starts_with(before)) {
            true => problem,
            false => problem.below(&self.step),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, SetUpProgress> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a remark to the log.
pub(crate) fn report_remark(remark: &Remark, log: &Log) {
    let level = if remark.is_detail { Level::Debug } else { Level::Warn };
    // Asked first, as rendering reads files.
    if log.wants(level) {
        diagnostics::report(&remark.finding.clone().into(), level, log);
    }
}

impl Observer for Messages<'_> {
    fn event(&self, event: Event<'_>) {
        let (log, voice) = (self.log, voice::of(self.log));
        match event {
            Event::Remark(remark) => report_remark(remark, log),
            Event::Involved(involved) => {
                self.state().involved = involved;
                voice.involved(involved, log);
            }
            Event::Branches(number) => voice.updating(number, log),
            Event::Missing { missing, involved } => {
                let mut state = self.state();
                (state.missing, state.all) = (missing, involved);
            }
            Event::Begun { repository, type_name } => {
                let mut state = self.state();
                // A directory of files is compared in each call, which is as quick as finding that nothing is missing.
                if type_name != "file" && !state.is_announced {
                    state.is_announced = true;
                    voice.setting_up(state.missing, state.all, log);
                }
                state.running.insert(repository.to_owned(), type_name);
            }
            Event::Transfer { repository, url, bytes, total } => {
                self.state().transfers.insert(repository.to_owned(), (url.to_owned(), bytes, total));
            }
            Event::Retry { repository, url, cause } => {
                voice.fetched_again(repository, url, cause, log);
            }
            Event::Fetched { repository, from, bytes } => {
                voice.fetched(repository, from, bytes, log);
            }
            Event::Made { repository, command, bytes } => {
                voice.made(repository, command, bytes, log);
            }
            Event::Ended { repository, .. } => {
                let mut state = self.state();
                state.running.remove(repository);
                state.transfers.remove(repository);
                state.ended += 1;
            }
            Event::Warning(warning) => {
                let warning = self.below_step(warning.clone());
                diagnostics::report(&warning.into(), Level::Warn, log);
            }
        }
    }
}

/// Ends the display when it is dropped.
struct DisplayEnd<'e>(&'e (Mutex<bool>, Condvar));

impl Drop for DisplayEnd<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }
}

fn show(end: &(Mutex<bool>, Condvar), state: &Mutex<SetUpProgress>, log: &Log) {
    let (live, voice) = (log.is_live(), voice::of(log));
    let mut interval = FIRST_LINE;
    let mut due = Instant::now() + if live { FRAME_INTERVAL } else { FIRST_LINE };
    let mut over = end.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !*over {
        // One wait for both: the time of the next line, and the end.
        let wait = due.saturating_duration_since(Instant::now());
        over = end.1.wait_timeout(over, wait).unwrap_or_else(PoisonError::into_inner).0;
        if *over || Instant::now() < due {
            continue;
        }
        let state = state.lock().unwrap_or_else(PoisonError::into_inner);
        let frame = if live { voice.set_up_frame(&state, log.rows()) } else { None };
        if let Some(frame) = frame {
            drop(state);
            log.show(&frame);
            due = Instant::now() + FRAME_INTERVAL;
        } else {
            let line = voice.set_up_line(&state);
            drop(state);
            log.say(Level::Progress, line);
            interval = interval.mul_f64(INTERVAL_FACTOR);
            due = Instant::now() + interval;
        }
    }
    log.show(&[]);
}
