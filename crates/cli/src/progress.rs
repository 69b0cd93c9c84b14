//! How far a build is: a live display on a terminal, plain lines at growing intervals elsewhere.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use taut_driver::event::{Action, Event, Origins, Sink};
use taut_value::{ActionDescription, Id, JsonWriter};

use crate::log::{Level, Log};

/// When the first plain line is due; later ones at intervals that grow by this factor, as the
/// reference has it.
const FIRST_LINE: Duration = Duration::from_secs(3);
const GROWTH: f64 = 99.0 / 70.0;

/// When the live display appears, and how often it is drawn.
const FIRST_FRAME: Duration = Duration::from_millis(500);
const FRAME: Duration = Duration::from_millis(100);

/// How many running actions the live display shows.
const SHOWN: usize = 8;

/// Counts actions as they go.
#[derive(Default)]
pub(crate) struct Progress {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many actions there are, and who defines each.
    total: usize,
    origins: Option<Origins>,
    begun: u64,
    cached: usize,
    run: usize,
    /// Actions that have begun and have no result yet, in the order in which they began.
    open: BTreeMap<u64, Open>,
    numbers: HashMap<Id, u64>,
}

struct Open {
    name: String,
    /// Since when its process runs.
    runs_since: Option<Instant>,
}

impl State {
    fn percent(&self) -> usize {
        match self.total.saturating_sub(self.cached) {
            0 => 100,
            work => self.run * 100 / work,
        }
    }

    fn name(&self, id: &Id, action: &ActionDescription) -> String {
        let mut quoted = JsonWriter::compact();
        let output = action.outs.first().or(action.out_dirs.first()).map_or("", |path| path.as_str());
        quoted.string(output.rsplit('/').next().unwrap_or(output));
        let origin = self.origins.as_ref().and_then(|origins| origins(id));
        let origin = origin.unwrap_or_else(|| format!("\"{id}\""));
        format!("{origin} {}", quoted.finish())
    }

    /// The line that the reference prints.
    fn line(&self) -> String {
        let sample = self.open.values().next().map(|open| {
            let more = if self.open.len() > 1 { ", ..." } else { "" };
            format!(" ({}{more})", open.name)
        });
        let (percent, cached, run, active) = (self.percent(), self.cached, self.run, self.open.len());
        let sample = sample.unwrap_or_default();
        format!("[{percent:3}%] {cached} cached, {run} run, {active} processing{sample}.")
    }

    /// The live display.
    fn frame(&self, since: Instant, now: Instant) -> Vec<String> {
        let running: Vec<(Duration, &str)> = (self.open.values())
            .filter_map(|open| Some((now.saturating_duration_since(open.runs_since?), &*open.name)))
            .collect();
        let elapsed = now.saturating_duration_since(since).as_secs();
        let mut lines = vec![format!(
            "[{:3}%] {} cached, {} run, {} running, {} waiting, {}:{:02}",
            self.percent(),
            self.cached,
            self.run,
            running.len(),
            self.open.len() - running.len(),
            elapsed / 60,
            elapsed % 60,
        )];
        for (time, name) in running.iter().take(SHOWN) {
            lines.push(format!("{:6.1}s  {name}", time.as_secs_f64()));
        }
        if running.len() > SHOWN {
            lines.push(format!("         and {} more", running.len() - SHOWN));
        }
        lines
    }

    fn close(&mut self, id: &Id) {
        if let Some(number) = self.numbers.remove(id) {
            self.open.remove(&number);
        }
    }
}

impl Progress {
    fn state(&self) -> MutexGuard<'_, State> {
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
                let name = state.name(id, description);
                state.begun += 1;
                let number = state.begun;
                state.open.insert(number, Open { name, runs_since: None });
                state.numbers.insert(**id, number);
            }
            Event::ActionStarted(action) => {
                let mut state = self.state();
                let number = state.numbers.get(action.id).copied();
                if let Some(open) = number.and_then(|number| state.open.get_mut(&number)) {
                    open.runs_since = Some(Instant::now());
                }
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
            }
            _ => {}
        }
    }
}

/// Shows progress until it is dropped.
pub(crate) struct Display {
    end: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Display {
    pub(crate) fn start(progress: &Arc<Progress>, log: &Arc<Log>) -> Display {
        let end = Arc::new((Mutex::new(false), Condvar::new()));
        let thread = log.wants(Level::Progress).then(|| {
            let (end, progress, log) = (end.clone(), progress.clone(), log.clone());
            std::thread::Builder::new().name("progress".into()).spawn(move || show(&end, &progress, &log))
        });
        // Without a thread there is no display; that is no reason to fail.
        Display { end, thread: thread.and_then(Result::ok) }
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        *self.end.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.end.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // It has nothing to say that could be lost.
            let _ = thread.join();
        }
    }
}

fn show(end: &(Mutex<bool>, Condvar), progress: &Progress, log: &Log) {
    let begin = Instant::now();
    let live = log.is_live();
    let mut line_due = begin + FIRST_LINE;
    let mut interval = FIRST_LINE;
    let mut frame_due = begin + FIRST_FRAME;
    let mut over = end.0.lock().unwrap_or_else(PoisonError::into_inner);
    while !*over {
        let due = if live { frame_due } else { line_due };
        let wait = due.saturating_duration_since(Instant::now());
        over = end.1.wait_timeout(over, wait).unwrap_or_else(PoisonError::into_inner).0;
        let now = Instant::now();
        if *over || now < due {
            continue;
        }
        if live {
            log.show(&progress.state().frame(begin, now));
            frame_due = now + FRAME;
        } else {
            log.say(Level::Progress, progress.state().line());
            interval = interval.mul_f64(GROWTH);
            line_due = now + interval;
        }
    }
    log.show(&[]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use taut_driver::{ActionOutcome, event::Finished};

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

    fn finish(progress: &Progress, name: &str, cached: bool) {
        let (id, description) = (id(name), action("out"));
        let outcome = ActionOutcome { ran: Arc::default(), cached, failed: false };
        let (action, trees) = (Action { id: &id, description: &description }, None);
        let finished = Finished { action, inputs: None, outcome: &outcome, is_replayed: false, trees };
        progress.event(&Event::ActionFinished(&finished));
    }

    #[test]
    fn a_line_tells_counts_and_the_oldest_action() {
        let progress = Progress::default();
        let origin = "[\"@\",\"\",\"\",\"t\"]#0".to_owned();
        let origins: Origins = Arc::new(move |of| (*of == id("a")).then(|| origin.clone()));
        progress.event(&Event::BuildBegan { actions: 3, origins: &origins });
        assert_eq!(progress.state().line(), "[  0%] 0 cached, 0 run, 0 processing.");
        begin(&progress, "a", "d/out");
        begin(&progress, "b", "out");
        assert_eq!(
            progress.state().line(),
            "[  0%] 0 cached, 0 run, 2 processing ([\"@\",\"\",\"\",\"t\"]#0 \"out\", ...)."
        );
        finish(&progress, "b", true);
        finish(&progress, "a", false);
        assert_eq!(progress.state().line(), "[ 50%] 1 cached, 1 run, 0 processing.");
    }

    #[test]
    fn a_frame_shows_what_runs_and_since_when() {
        let progress = Progress::default();
        let now = Instant::now();
        for number in 0..10 {
            begin(&progress, &number.to_string(), "x");
            if number > 0 {
                let (id, description) = (id(&number.to_string()), action("x"));
                progress.event(&Event::ActionStarted(Action { id: &id, description: &description }));
            }
        }
        let frame = progress.state().frame(now, now + Duration::from_secs(75));
        assert_eq!(frame[0], "[100%] 0 cached, 0 run, 9 running, 1 waiting, 1:15");
        assert_eq!(frame.len(), 1 + SHOWN + 1);
        assert!(frame[1].ends_with(" \"x\""), "{}", frame[1]);
        assert_eq!(frame[9], "         and 1 more");
    }
}
