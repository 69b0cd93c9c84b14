//! Messages of a set-up, and how far it is.

use std::{
    collections::BTreeMap,
    sync::{Condvar, Mutex, PoisonError},
    time::{Duration, Instant},
};

use taut_driver::{Diagnostic, Diagnostics};
use taut_setup::{Event, Observer, Remark, Session};
use taut_syntax::{NEXT_MESSAGE, quoted};

use crate::{
    diagnostics,
    interruption::until_signal,
    log::{Level, Log},
    voice::figures::size,
};

/// How long after the begin the first line about progress comes; the live display comes earlier.
const FIRST_LINE: Duration = Duration::from_secs(2);

/// By how much the time to the next line grows.
const GROWTH: f64 = 1.5;

/// The time between two frames of the live display.
const FRAME_INTERVAL: Duration = Duration::from_millis(100);

/// Writes what happens during a set-up to the log.
pub(crate) struct Messages<'l> {
    log: &'l Log,
    /// The reference's step above errors and warnings: `While performing just-mr setup:`.
    step: String,
    state: Mutex<State>,
}

/// How far a set-up is.
#[derive(Default)]
struct State {
    involved: usize,
    missing: usize,
    /// Of how many these are missing.
    all: usize,
    /// Whether a message has named these numbers.
    is_announced: bool,
    ended: usize,
    /// Transfers by repository: URL, bytes, and how many there will be.
    transfers: BTreeMap<String, (String, u64, Option<u64>)>,
    running: BTreeMap<String, &'static str>,
}

impl<'l> Messages<'l> {
    pub(crate) fn new(log: &'l Log, step: String) -> Messages<'l> {
        Messages { log, step, state: Mutex::default() }
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
            let _ending = Ending(&end);
            task()
        })
    }

    /// Reports errors of a set-up.
    pub(crate) fn failed(&self, problems: &Diagnostics) {
        let problems: Diagnostics = problems.iter().map(|problem| self.below_step(problem.clone())).collect();
        diagnostics::report(&problems, Level::Error, self.log);
    }

    /// An error with the step above it, unless it is one that the reference reports before that.
    fn below_step(&self, problem: Diagnostic) -> Diagnostic {
        const BEFORE: [&str; 3] = [
            "Config: Mandatory key \"repositories\"",
            "Config: Value for key \"repositories\"",
            "Unsupported value ",
        ];
        // The last one is the error itself.
        let text = problem.reference_text().rsplit(NEXT_MESSAGE).next().unwrap_or_default();
        // Only set-ups are under way when they find that a description is wrong.
        let is_before = !self.step.contains(" setup") && text.starts_with("Config: ");
        match is_before || BEFORE.iter().any(|before| text.starts_with(before)) {
            true => problem,
            false => problem.below(&self.step),
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes a remark to the log.
pub(crate) fn report_remark(remark: &Remark, log: &Log) {
    let level = if remark.is_detail { Level::Debug } else { Level::Warn };
    if log.wants(level) {
        diagnostics::report(&remark.finding.clone().into(), level, log);
    }
}

impl Observer for Messages<'_> {
    fn event(&self, event: Event<'_>) {
        let log = self.log;
        match event {
            Event::Remark(remark) => report_remark(remark, log),
            Event::Involved(involved) => {
                self.state().involved = involved;
                if log.is_as_reference() {
                    log.say(Level::Info, format!("Found {involved} repositories involved"));
                }
            }
            Event::Missing { missing, involved } => {
                let mut state = self.state();
                (state.missing, state.all) = (missing, involved);
            }
            Event::Begun { repository, type_name } => {
                let mut state = self.state();
                // A directory of files is compared in each call, which is as quick as finding that nothing is missing.
                if !log.is_as_reference() && type_name != "file" && !state.is_announced {
                    state.is_announced = true;
                    let (missing, of) = (state.missing, repositories(state.all));
                    log.say(Level::Info, format!("Setting up {missing} of {of}."));
                }
                state.running.insert(repository.to_owned(), type_name);
            }
            Event::Transfer { repository, url, bytes, total } => {
                self.state().transfers.insert(repository.to_owned(), (url.to_owned(), bytes, total));
            }
            Event::Retry { repository, url, cause } => {
                let level = if log.is_as_reference() { Level::Debug } else { Level::Warn };
                let of = quoted(repository);
                log.say(level, format!("{url}: {cause}; trying again, for repository {of}"));
            }
            Event::Fetched { repository, from, bytes } => {
                let level = if log.is_as_reference() { Level::Debug } else { Level::Info };
                log.say(level, format!("Fetched {} from {from}, {}.", quoted(repository), size(bytes)));
            }
            Event::Made { repository, command, bytes } => {
                let level = if log.is_as_reference() { Level::Debug } else { Level::Info };
                let (of, command, size) = (quoted(repository), shortened(command), size(bytes));
                log.say(level, format!("Made {of} by the command {command}, {size}."));
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

/// A command, cut if it is long.
fn shortened(command: &str) -> String {
    const MAX_SHOWN: usize = 100;
    match command.char_indices().nth(MAX_SHOWN) {
        Some((end, _)) => format!("{}…", &command[..end]),
        None => command.to_owned(),
    }
}

/// A number of repositories in words.
pub(crate) fn repositories(number: usize) -> String {
    format!("{number} repositor{}", if number == 1 { "y" } else { "ies" })
}

/// Ends the display when it is dropped.
struct Ending<'e>(&'e (Mutex<bool>, Condvar));

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.0.1.notify_all();
    }
}

fn show(end: &(Mutex<bool>, Condvar), state: &Mutex<State>, log: &Log) {
    let live = log.is_live();
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
        if live && !log.is_as_reference() {
            let frame = state.frame(log.rows());
            drop(state);
            log.show(&frame);
            due = Instant::now() + FRAME_INTERVAL;
        } else {
            let line = if log.is_as_reference() { state.reference_line() } else { state.line() };
            drop(state);
            log.say(Level::Progress, line);
            interval = interval.mul_f64(GROWTH);
            due = Instant::now() + interval;
        }
    }
    log.show(&[]);
}

impl State {
    /// The line of the reference.
    fn reference_line(&self) -> String {
        // Events of several threads: the counts need not fit to each other at each moment.
        let found = self.involved - self.missing.min(self.involved);
        let percent = match self.missing {
            0 => 100,
            missing => self.ended * 100 / missing,
        };
        let mut line = format!("[{percent:3}%] 0 computed, 0 local, {found} cached, {} done", self.ended);
        if let Some(first) = self.running.keys().next() {
            let running = self.running.len();
            let others = if running > 1 { ", ..." } else { "" };
            line.push_str(&format!("; {running} fetches ({}{others})", quoted(first)));
        }
        line
    }

    fn line(&self) -> String {
        let transfers = self.transfers.values();
        let bytes: u64 = transfers.map(|(_, bytes, _)| bytes).sum();
        let running: Vec<String> = self.running.keys().take(3).map(|name| quoted(name).to_string()).collect();
        let others = if self.running.len() > 3 { ", …" } else { "" };
        let (ended, of) = (self.ended, repositories(self.missing));
        let names = running.join(", ");
        format!("{ended} of {of} set up; fetching {names}{others} ({})", size(bytes))
    }

    fn frame(&self, rows: usize) -> Vec<String> {
        let of = repositories(self.missing);
        let mut lines = vec![format!("{} of {of} set up", self.ended)];
        for (name, type_name) in &self.running {
            let state = match self.transfers.get(name) {
                Some((url, bytes, Some(total))) => format!("{} of {} from {url}", size(*bytes), size(*total)),
                Some((url, 0, None)) => format!("from {url}"),
                Some((url, bytes, None)) => format!("{} from {url}", size(*bytes)),
                None => (*type_name).to_owned(),
            };
            lines.push(format!("  {}: {state}", quoted(name)));
        }
        lines.truncate(rows.saturating_sub(1).max(1));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::size;

    #[test]
    fn sizes_are_shown_in_the_largest_unit_that_fits() {
        for (bytes, shown) in [
            (0, "0 bytes"),
            (1, "1 byte"),
            (1023, "1023 bytes"),
            (1536, "1.5 KiB"),
            (5 << 20, "5.0 MiB"),
            (u64::MAX, "16777216.0 TiB"),
        ] {
            assert_eq!(size(bytes), shown);
        }
    }
}
