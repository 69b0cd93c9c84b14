//! How far a build is: a live display on a terminal, plain lines from time to time elsewhere. The voice has the texts.
//!
//! The remaining time is estimated from how long actions took in earlier calls. The thread of the display reads the
//! event logs of these when the display appears, so that short builds do not read them.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use taut_driver::{
    Step, Timings,
    event::{Action, Event, Origin, Origins, Sink},
};
use taut_remote::{Wait, longest_wait};
use taut_store::Store;
use taut_value::Id;

use crate::{
    log::{Level, Log},
    voice::{self, AwaitedServer, Snapshot, StartedAction},
};

/// When the live display appears, and how often it is drawn.
// Most calls are over before: a display that appears and goes at once would only flicker.
const FIRST_FRAME: Duration = Duration::from_millis(500);
// Ten a second: fast enough to look continuous, and no load for a terminal over a network.
const FRAME_INTERVAL: Duration = Duration::from_millis(100);

/// How often the estimate is computed.
// An estimate goes through all that is left, and one that changes more often cannot be read.
const ESTIMATE_INTERVAL: Duration = Duration::from_secs(1);

/// Answers of servers that take this long are shown: a slow one is not an event.
const MIN_SHOWN_WAIT: Duration = Duration::from_secs(3);

/// The part of the remaining actions whose durations have to be known for an estimate: three of four.
// As a fraction of integers, so that the comparison is exact.
const MIN_KNOWN_PART: (usize, usize) = (3, 4);

/// Counts of actions, from the events of a build.
#[derive(Default)]
pub(crate) struct Progress {
    state: Mutex<ProgressState>,
}

#[derive(Default)]
struct ProgressState {
    /// How many actions there are, and where each is defined.
    total: usize,
    origins: Option<Origins>,
    begun: u64,
    cached: usize,
    run: usize,
    failed: usize,
    /// Actions that have begun and have no result yet, in the order in which they began.
    // By a number of its own, as ids have no order that means anything.
    open: BTreeMap<u64, StartedAction>,
    numbers: HashMap<Id, u64>,
    /// Actions that have a result.
    closed: HashSet<Id>,
    /// How many of the open ones run.
    // Counted along: thousands may be open, and each of them has several events.
    running: usize,
    /// The largest number of processes that ran at the same time.
    // Not the number of jobs: what a graph lets run at once is what it will let run for the rest.
    max_running: usize,
}

/// An estimate of the remaining work, from the records of earlier calls.
#[derive(Clone, Copy, Default)]
struct Estimate {
    to_do: Option<usize>,
    left: Option<Duration>,
}

impl ProgressState {
    fn close(&mut self, id: &Id) {
        self.closed.insert(*id);
        if let Some(open) = self.numbers.remove(id).and_then(|number| self.open.remove(&number)) {
            self.running -= usize::from(open.runs_since.is_some());
        }
    }

    /// An open action is at this server, in this step, and has been running since some time.
    fn note(&mut self, id: &Id, place: Option<(Arc<str>, Step)>, runs_since: Option<Instant>) {
        let number = self.numbers.get(id);
        let Some(open) = number.and_then(|number| self.open.get_mut(number)) else { return };
        let ran = open.runs_since.is_some();
        (open.at, open.step) = place.unzip();
        open.runs_since = runs_since;
        self.running = self.running + usize::from(runs_since.is_some()) - usize::from(ran);
        self.max_running = self.max_running.max(self.running);
    }

    /// What is left: the actions that have begun, and those that needed outputs of begun or finished ones in earlier
    /// calls. It takes as long as all of them one after the other, divided by how many ran at once, and not less than
    /// the longest of them.
    fn estimate(&self, timings: &Timings, at: Instant) -> Estimate {
        if timings.is_empty() {
            return Estimate::default();
        }
        let begun = self.open.values().map(|open| open.id).chain(self.closed.iter().copied());
        let dependents = timings.dependents(begun);
        let (mut known, mut all, mut longest) = (0, Duration::ZERO, Duration::ZERO);
        let mut add = |time: Option<Duration>| {
            let Some(time) = time else { return };
            known += 1;
            all += time;
            longest = longest.max(time);
        };
        for open in self.open.values() {
            // How long a server lets it wait is in no record: it may be for what others have asked for.
            if open.step == Some(Step::Queued) {
                continue;
            }
            let origin = open.origin.as_ref().map(Origin::numbered);
            let ran = open.runs_since.map_or(Duration::ZERO, |since| at.saturating_duration_since(since));
            add(timings.of(&open.id, origin.as_deref()).map(|time| time.saturating_sub(ran)));
        }
        dependents.iter().for_each(|id| add(timings.of(id, None)));
        let left = self.open.len() + dependents.len();
        // With fewer durations known, the estimate would jump whenever an unknown action ends.
        let is_known = left > 0 && known * MIN_KNOWN_PART.1 >= left * MIN_KNOWN_PART.0;
        let at_once = u32::try_from(self.max_running.max(1)).unwrap_or(u32::MAX);
        Estimate {
            to_do: Some((self.closed.len() + left).min(self.total)),
            // A lower bound on both sides: work divided by width, and the critical path as far as it is known
            // (Graham's bounds for list scheduling).
            left: is_known.then(|| longest.max(all / at_once)),
        }
    }

    fn snapshot<'s>(&'s self, since: Instant, at: Instant, estimate: Estimate, log: &'s Log) -> Snapshot<'s> {
        Snapshot {
            waiting: None,
            total: self.total,
            to_do: estimate.to_do,
            cached: self.cached,
            run: self.run,
            failed: self.failed,
            open: &self.open,
            since,
            at,
            left: estimate.left,
            rows: log.rows(),
            names: log.names(),
        }
    }
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Progress {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::BuildBegan { actions, origins } => {
                let mut state = self.state();
                state.total = *actions;
                state.origins = Some((*origins).clone());
            }
            Event::ActionBegun(Action { id, description }) => {
                let mut state = self.state();
                let origin = state.origins.as_ref().and_then(|origins| origins(id));
                let output = description.outs.first().or(description.out_dirs.first());
                let output = output.map(|path| path.to_string()).unwrap_or_default();
                state.begun += 1;
                let number = state.begun;
                let (at, step, runs_since) = (None, None, None);
                state.open.insert(number, StartedAction { id: **id, origin, output, at, step, runs_since });
                state.numbers.insert(**id, number);
            }
            // A remote cache may have been asked before.
            Event::ActionStarted(action) => self.state().note(action.id, None, Some(Instant::now())),
            Event::ActionRemote { action, at, step } => {
                // Not all servers say when it runs: until one says that it waits, it counts as running.
                let runs = matches!(step, Step::Given | Step::Running);
                let place = Some(((*at).clone(), *step));
                self.state().note(action.id, place, runs.then(Instant::now));
            }
            Event::ActionFinished(finished) => {
                let mut state = self.state();
                state.close(finished.action.id);
                if finished.outcome.cached {
                    state.cached += 1;
                } else {
                    state.run += 1;
                }
            }
            Event::ActionFailed(failed) => {
                let mut state = self.state();
                state.close(&failed.failure.id);
                state.run += 1;
                // An action that was ended by an interruption has not failed.
                state.failed += usize::from(!failed.was_ended);
            }
            _ => {}
        }
    }
}

/// Reads the times that actions took in earlier calls.
pub(crate) type ReadTimings = Box<dyn FnOnce() -> Timings + Send>;

/// Shows progress until it is dropped.
pub(crate) struct Display {
    // A flag with a condition variable, so that the end of a build wakes the display at once.
    end: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    pub(crate) fn start(progress: &Arc<Progress>, log: &Arc<Log>, timings: Option<ReadTimings>) -> Display {
        let end = Arc::new((Mutex::new(false), Condvar::new()));
        // A thread of its own, so that lines come also while nothing happens.
        // Events only change the state; all writing is done there, so no action waits for a terminal.
        let thread = log.wants(Level::Progress).then(|| {
            let (end, progress, log) = (end.clone(), progress.clone(), log.clone());
            let thread = std::thread::Builder::new().name("progress".into());
            thread.spawn(move || show(&end, &progress, &log, timings))
        });
        // If no thread can be started, the build goes on without a display.
        Display { end, thread: thread.and_then(Result::ok) }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        *self.end.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        // After the flag is set and its lock released: the display finds it set when it wakes.
        self.end.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic of the display does not fail the build.
            let _ = thread.join();
        }
    }
}

fn show(end: &(Mutex<bool>, Condvar), progress: &Progress, log: &Log, mut read: Option<ReadTimings>) {
    let begin = Instant::now();
    let live = log.is_live();
    let (first_line, growth) = voice::of(log).progress_pace();
    let mut interval = first_line;
    let mut due = begin + if live { FIRST_FRAME } else { first_line };
    let mut timings = Timings::default();
    let (mut estimate, mut estimated) = (Estimate::default(), None::<Instant>);
    // Held except while waiting and reading, so the flag cannot be set between a look at it and the wait.
    let mut over = end.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !*over {
        let wait = due.saturating_duration_since(Instant::now());
        over = end.1.wait_timeout(over, wait).unwrap_or_else(PoisonError::into_inner).0;
        // Condition variables may wake without a reason.
        if *over || Instant::now() < due {
            continue;
        }
        if let Some(read) = read.take() {
            // Reading may take some milliseconds; the end of the build can be noted meanwhile.
            drop(over);
            timings = read();
            over = end.0.lock().unwrap_or_else(PoisonError::into_inner);
            if *over {
                break;
            }
        }
        let now = Instant::now();
        let state = progress.state();
        if estimated.is_none_or(|at| now.saturating_duration_since(at) >= ESTIMATE_INTERVAL) {
            (estimate, estimated) = (state.estimate(&timings, now), Some(now));
        }
        let snapshot =
            Snapshot { waiting: server_waited_for(now), ..state.snapshot(begin, now, estimate, log) };
        if live {
            let frame = voice::of(log).progress_frame(&snapshot);
            // The lock of the state is released before writing: a slow terminal must not hold up the build's events.
            drop(state);
            log.show(&frame);
            due = now + FRAME_INTERVAL;
        } else {
            let line = voice::of(log).progress_line(&snapshot);
            drop(state);
            log.say(Level::Progress, line);
            // Under the name `just` the pauses grow, as the reference's do.
            interval = interval.mul_f64(growth);
            due = now + interval;
        }
    }
    log.show(&[]);
}

/// The server whose answer is waited for longest, if that is worth a word.
fn server_waited_for(now: Instant) -> Option<AwaitedServer> {
    let Wait { server, call, since } = longest_wait()?;
    let time = now.saturating_duration_since(since);
    (time >= MIN_SHOWN_WAIT).then_some(AwaitedServer { server, call, time })
}

/// Shows how much of a result has come that is fetched from servers, until it is dropped.
pub(crate) struct Fetching {
    _display: Display,
}

impl Fetching {
    /// `None` where nothing is fetched, or nothing of that shown.
    pub(crate) fn start(store: &Store, log: &Arc<Log>) -> Option<Fetching> {
        if !store.is_attached() || !log.wants(Level::Progress) {
            return None;
        }
        voice::of(log).downloading(0, Duration::ZERO, None)?;
        let end: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let thread = {
            let (end, store, log) = (end.clone(), store.clone(), log.clone());
            let thread = std::thread::Builder::new().name("progress".into());
            thread.spawn(move || show_fetched(&end, &store, &log))
        };
        Some(Fetching { _display: Display { end, thread: thread.ok() } })
    }
}

fn show_fetched(end: &(Mutex<bool>, Condvar), store: &Store, log: &Log) {
    let (begin, live) = (Instant::now(), log.is_live());
    let (interval, _) = voice::of(log).progress_pace();
    let mut due = begin + if live { FIRST_FRAME } else { interval };
    let mut over = end.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !*over {
        let wait = due.saturating_duration_since(Instant::now());
        over = end.1.wait_timeout(over, wait).unwrap_or_else(PoisonError::into_inner).0;
        let now = Instant::now();
        if *over || now < due {
            continue;
        }
        let elapsed = now.duration_since(begin);
        let line = voice::of(log).downloading(store.fetched_so_far(), elapsed, server_waited_for(now));
        let Some(line) = line else { return };
        if live {
            log.show(&[line]);
            due = now + FRAME_INTERVAL;
        } else {
            log.say(Level::Progress, line);
            due = now + interval;
        }
    }
    if live {
        log.show(&[]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{options, tool_name::Name};
    use taut_driver::{ActionOutcome, event::Finished};
    use taut_value::{ActionDescription, EntityName, Map, NamedTarget, Value};

    fn action(out: &str) -> Arc<ActionDescription> {
        let mut action = ActionDescription::default();
        action.outs = vec![out.into()];
        Arc::new(action)
    }

    fn id(text: &str) -> Id {
        Id::of(text)
    }

    fn begin(progress: &Progress, name: &str, out: &str) {
        progress.event(&Event::ActionBegun(Action { id: &id(name), description: &action(out) }));
    }

    fn start(progress: &Progress, name: &str) {
        progress.event(&Event::ActionStarted(Action { id: &id(name), description: &action("x") }));
    }

    fn finish(progress: &Progress, name: &str, cached: bool) {
        let (id, description) = (id(name), action("out"));
        let outcome = ActionOutcome { ran: Arc::default(), cached, failed: false };
        let (action, trees) = (Action { id: &id, description: &description }, None);
        let finished = Finished { action, inputs: None, outcome: &outcome, is_replayed: false, trees };
        progress.event(&Event::ActionFinished(&finished));
    }

    fn log(name: Name) -> Log {
        Log::open(&options::Log::default(), name).unwrap()
    }

    fn of_target(progress: &Progress, actions: usize) {
        let target = Value::Name(EntityName::Named(NamedTarget::new("", "", "t")));
        let origin = Origin { target, subtask: 0, config: Map::default() };
        let origins: Origins = Arc::new(move |of| (*of == id("a")).then(|| origin.clone()));
        progress.event(&Event::BuildBegan { actions, origins: &origins });
    }

    #[test]
    fn a_line_has_counts_and_the_oldest_action() {
        let (progress, log) = (Progress::default(), log(Name::Just));
        let now = Instant::now();
        let line = || {
            let state = progress.state();
            voice::of(&log).progress_line(&state.snapshot(now, now, Estimate::default(), &log))
        };
        of_target(&progress, 3);
        assert_eq!(line(), "[  0%] 0 cached, 0 run, 0 processing.");
        begin(&progress, "a", "d/out");
        begin(&progress, "b", "out");
        assert_eq!(line(), "[  0%] 0 cached, 0 run, 2 processing ([\"@\",\"\",\"\",\"t\"]#0 \"out\", ...).");
        finish(&progress, "b", true);
        finish(&progress, "a", false);
        assert_eq!(line(), "[ 50%] 1 cached, 1 run, 0 processing.");
    }

    #[test]
    fn a_frame_shows_what_runs_and_since_when() {
        let (progress, now) = (Progress::default(), Instant::now());
        for number in 0..10 {
            begin(&progress, &number.to_string(), "x");
            if number > 0 {
                start(&progress, &number.to_string());
            }
        }
        let frame = |name| {
            let (log, state) = (log(name), progress.state());
            let snapshot = state.snapshot(now, now + Duration::from_secs(75), Estimate::default(), &log);
            voice::of(&log).progress_frame(&Snapshot { rows: 24, ..snapshot })
        };
        let just = frame(Name::Just);
        assert_eq!(just[0], "[100%] 0 cached, 0 run, 9 running, 1 waiting, 1:15");
        assert_eq!(just.len(), 1 + 8 + 1);
        // As in `traverse`, where no target is known: the reference shows the action's id.
        assert!(just[1].ends_with(&format!(" \"{}\"", id("1").to_hex())), "{}", just[1]);
        assert_eq!(just[9], "         and 1 more");
        let taut = frame(Name::Taut);
        assert_eq!((&*taut[0], taut.len()), ("[0/10] 9 running, 1:15", 1 + 8 + 1));
        assert_eq!(taut[9], "          and 1 more action");
    }

    #[test]
    fn a_line_says_what_servers_do() {
        let (progress, log, now) = (Progress::default(), log(Name::Taut), Instant::now());
        of_target(&progress, 6);
        let at: Arc<str> = "server:1".into();
        let line = || {
            let state = progress.state();
            let line = voice::of(&log).progress_line(&state.snapshot(now, now, Estimate::default(), &log));
            line.split("; longest").next().unwrap().to_owned()
        };
        let step = |name: &str, step| {
            let (id, description) = (id(name), action("out"));
            let action = Action { id: &id, description: &description };
            progress.event(&Event::ActionRemote { action, at: &at, step });
        };
        ["a", "b", "c"].iter().for_each(|name| begin(&progress, name, "out"));
        ["a", "b"].iter().for_each(|name| step(name, Step::Uploading));
        step("c", Step::Downloading);
        assert_eq!(line(), "[0/6] 0 running, 2 uploading, 1 downloading, 0:00");
        step("a", Step::Given);
        step("b", Step::Queued);
        assert_eq!(line(), "[0/6] 1 running remotely, 1 queued, 1 downloading, 0:00");
        step("b", Step::Running);
        // The result that the cache had was of no use, so the action runs here.
        start(&progress, "c");
        assert_eq!(line(), "[0/6] 3 running (2 remotely), 0:00");
    }

    #[test]
    fn how_long_a_server_lets_an_action_wait_is_not_estimated() {
        let (progress, now) = (Progress::default(), Instant::now());
        of_target(&progress, 1);
        let (action_id, description) = (id("a"), action("out"));
        let mut timings = Timings::default();
        let ran = format!(r#"{{"event":"action","action":"{}","end":"ran","wall":5.0}}"#, action_id.to_hex());
        timings.add(ran.as_bytes());
        let step = |step| {
            let action = Action { id: &action_id, description: &description };
            progress.event(&Event::ActionRemote { action, at: &"server:1".into(), step });
            progress.state().estimate(&timings, now).left
        };
        begin(&progress, "a", "out");
        assert_eq!(step(Step::Uploading), Some(Duration::from_secs(5)));
        assert_eq!(step(Step::Queued), None);
        assert_eq!(step(Step::Running), Some(Duration::from_secs(5)));
    }

    #[test]
    fn what_runs_is_counted_along() {
        let (progress, at): (_, Arc<str>) = (Progress::default(), "server:1".into());
        let remote = |name: &str, step| {
            let (id, description) = (id(name), action("out"));
            let action = Action { id: &id, description: &description };
            progress.event(&Event::ActionRemote { action, at: &at, step });
        };
        let mut counts = Vec::new();
        let mut then = |change: &dyn Fn()| {
            change();
            let state = progress.state();
            let counted = state.open.values().filter(|open| open.runs_since.is_some()).count();
            assert_eq!(state.running, counted);
            counts.push((state.running, state.max_running));
        };
        ["a", "b", "c"].iter().for_each(|name| begin(&progress, name, "out"));
        then(&|| remote("a", Step::Given));
        then(&|| start(&progress, "b"));
        then(&|| remote("a", Step::Running));
        then(&|| remote("a", Step::Queued));
        then(&|| finish(&progress, "b", false));
        // One that never ran, and one whose entry is gone.
        then(&|| finish(&progress, "c", true));
        then(&|| start(&progress, "b"));
        then(&|| remote("a", Step::Running));
        then(&|| finish(&progress, "a", false));
        assert_eq!(counts, [(1, 1), (2, 2), (2, 2), (1, 2), (0, 2), (0, 2), (0, 2), (1, 2), (0, 2)]);
    }

    /// In a line behind the action that has run longest, on a display below the state, where it takes a row of the
    /// actions.
    #[test]
    fn a_server_that_does_not_answer_is_named() {
        let (progress, now) = (Progress::default(), Instant::now());
        of_target(&progress, 9);
        (0..9).for_each(|number| begin(&progress, &number.to_string(), "out"));
        let awaited = || {
            let time = Duration::from_millis(12_900);
            Some(AwaitedServer { server: "server:1".into(), call: "FindMissingBlobs", time })
        };
        let waits = |name: Name, show: &dyn Fn(&Log, &Snapshot<'_>) -> String| {
            let (log, state) = (log(name), progress.state());
            let snapshot = state.snapshot(now, now + Duration::from_secs(20), Estimate::default(), &log);
            show(&log, &Snapshot { waiting: awaited(), rows: 6, ..snapshot })
        };
        let line = |log: &Log, now: &Snapshot<'_>| voice::of(log).progress_line(now);
        let frame = |log: &Log, now: &Snapshot<'_>| voice::of(log).progress_frame(now).join("\n");
        let text = "[0/9] 0 running, 0:20";
        let waiting = "waiting for server server:1 to answer FindMissingBlobs (12 s)";
        assert_eq!(waits(Name::Taut, &line), format!("{text}; {waiting}"));
        assert_eq!(waits(Name::Taut, &frame), format!("{text}\n          {waiting}"));
        (0..9).for_each(|number| start(&progress, &number.to_string()));
        let shown = waits(Name::Taut, &frame);
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(
            (lines.len(), lines[1].trim(), lines[4].trim()),
            (5, waiting, "and 7 more actions"),
            "{shown}"
        );
        // The reference has no such words.
        assert!(!waits(Name::Just, &line).contains("server:1"));
        assert!(!waits(Name::Just, &frame).contains("server:1"));
        let downloading = |name| voice::of(&log(name)).downloading(2048, Duration::from_secs(20), awaited());
        assert_eq!(downloading(Name::Taut), Some(format!("[downloading results] 2.0 KiB, 0:20; {waiting}")));
    }

    #[test]
    fn a_line_of_taut_names_the_action_that_has_run_longest() {
        let (progress, log, now) = (Progress::default(), log(Name::Taut), Instant::now());
        of_target(&progress, 3);
        begin(&progress, "a", "d/out");
        start(&progress, "a");
        begin(&progress, "b", "out");
        finish(&progress, "b", true);
        let state = progress.state();
        let estimate = Estimate { to_do: Some(2), left: Some(Duration::from_secs(90)) };
        let snapshot = state.snapshot(now, now + Duration::from_secs(15), estimate, &log);
        let line = voice::of(&log).progress_line(&snapshot);
        let expected = "[1/2] 1 running, 1 from cache, 0:15, about 1:30 left; longest: :t d/out (14 s)";
        assert_eq!(line.replace("(15 s)", "(14 s)"), expected);
    }

    #[test]
    fn a_line_of_taut_has_no_estimate_once_it_is_overdue() {
        let (progress, log, now) = (Progress::default(), log(Name::Taut), Instant::now());
        of_target(&progress, 1);
        begin(&progress, "a", "out");
        start(&progress, "a");
        let mut timings = Timings::default();
        let ran = format!(r#"{{"event":"action","action":"{}","end":"ran","wall":5.0}}"#, id("a").to_hex());
        timings.add(ran.as_bytes());
        let line_after = |seconds| {
            let (state, at) = (progress.state(), now + Duration::from_secs(seconds));
            let estimate = state.estimate(&timings, at);
            voice::of(&log).progress_line(&state.snapshot(now, at, estimate, &log))
        };
        assert!(line_after(1).contains(" left"), "{}", line_after(1));
        assert!(!line_after(100_000).contains(" left"), "{}", line_after(100_000));
    }
}
