//! A line for each test, the log of those that failed, and a line about all of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use taut_digest::Digest;
use taut_driver::{ConfiguredTarget, FailedRun, Shard, Test, TestReport, TestRuns, Verdict};
use taut_store::Store;
use taut_value::Str;

use crate::{
    log::{Escapes, Level, Log},
    options,
    output::Stream,
    settings,
    voice::{count, exit_code, seconds, some_of},
};

/// How many failed runs of one test have their log shown: further ones are mostly the same.
const MAX_LOGS: usize = 3;

/// How many tests the last line names of those that ended in the same way.
const MAX_NAMED: usize = 5;

/// The lines of one call.
pub(super) struct Lines {
    log: Arc<Log>,
    store: Store,
    /// The words of the command that shows all of an output, up to its name.
    to_see_all: String,
    /// The limit of `--timeout`.
    limit: Option<Duration>,
    state: Mutex<LinesState>,
}

#[derive(Default)]
struct LinesState {
    names: HashMap<ConfiguredTarget, String>,
    /// How many tests there are, those that do not run included.
    total: usize,
    /// The tests that have ended.
    ended: Vec<(Verdict, String)>,
}

impl Lines {
    pub(super) fn new(log: Arc<Log>, store: Store, to_see_all: String, o: &options::Test) -> Lines {
        let limit = o.timeout.map(settings::seconds);
        Lines { log, store, to_see_all, limit, state: Mutex::default() }
    }

    /// The tests that will run, and how many there are at all.
    pub(super) fn begin(&self, total: usize, names: impl Iterator<Item = (ConfiguredTarget, String)>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        *state = LinesState { total, names: names.collect(), ended: Vec::new() };
    }

    /// What messages call a test.
    pub(super) fn name(&self, test: &Test) -> String {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.names.get(&test.target).cloned().unwrap_or_else(|| test.target.to_string())
    }

    /// How a test ended, in words behind its name.
    pub(super) fn words(&self, report: &TestReport) -> String {
        let TestReport { test, verdict, runs: all_runs, .. } = report;
        let TestRuns { count: runs, failed, .. } = all_runs;
        let time = seconds(all_runs.duration);
        let shards = match test.shards.len() {
            1 => String::new(),
            all => match all_runs.failed_shards.len() {
                0 => format!(", {}", count(all, "shard")),
                failed => format!(", {failed} of {}", count(all, "shard")),
            },
        };
        let of_runs = |what: &str| match runs {
            0 | 1 => String::new(),
            _ => format!(", {what} {failed} of {runs} runs"),
        };
        match verdict {
            Verdict::Passed if *runs > 1 => format!("passed {runs} times in {time}{shards}"),
            Verdict::Passed => format!("passed in {time}{shards}"),
            Verdict::Cached => format!("passed (cached{shards})"),
            Verdict::Flaky if *runs > 1 => {
                format!(
                    "is flaky: it passed in run {runs}, after {}, in {time}{shards}",
                    count(*failed as usize, "failure")
                )
            }
            Verdict::Flaky => format!("is flaky, as its result says, in {time}{shards}"),
            Verdict::Failed => {
                // A test whose action succeeds may have failed by its result; then there is no code to show.
                let code = all_runs.failures.iter().map(|run| run.ran.exit_code).find(|code| *code != 0);
                // Of several runs each has a code of its own.
                let code = code.filter(|_| *runs == 1).map(|code| format!(" ({})", exit_code(code)));
                format!("failed in {time}{}{shards}{}", code.unwrap_or_default(), of_runs("in"))
            }
            Verdict::TimedOut => {
                let limit = self.limit.map(|limit| format!(" of {} s", limit.as_secs())).unwrap_or_default();
                format!("exceeded its time limit{limit}{shards}{}", of_runs("in"))
            }
            Verdict::NotBuilt => match &report.why {
                Some(why) => format!("could not be run\n{why}"),
                None => "was not run: something that it needs could not be built".to_owned(),
            },
            Verdict::Interrupted => "was interrupted".to_owned(),
        }
    }

    /// A test has ended.
    pub(super) fn ended(&self, report: &TestReport) {
        let name = self.name(&report.test);
        let line = format!("{name} {}", self.words(report));
        self.state.lock().unwrap_or_else(PoisonError::into_inner).ended.push((report.verdict, name));
        match report.verdict {
            Verdict::Passed | Verdict::Cached => self.log.say(Level::Info, line),
            Verdict::Flaky => self.say_with_log(Level::Warn, &line, report),
            Verdict::Failed | Verdict::TimedOut => self.say_with_log(Level::Error, &line, report),
            Verdict::NotBuilt => self.log.say_about(Level::Error, "test", line),
            // The call says that it was interrupted.
            Verdict::Interrupted => {}
        }
    }

    /// A line, and below it what the runs that failed printed.
    fn say_with_log(&self, level: Level, line: &str, report: &TestReport) {
        self.log.note(level, Some("test"), line);
        let to_see_all = Some(&*self.to_see_all).filter(|_| !self.log.wants(Level::Debug));
        let TestRuns { count: runs, failures, all_failures, .. } = &report.runs;
        let shards = report.test.shards.len();
        // Opened before anything is printed: nothing waits for the store while the log is locked.
        let logs = failures.iter().take(MAX_LOGS).map(|run| {
            let digests = outputs(&report.test.shards[run.shard], run);
            (
                run,
                digests
                    .iter()
                    .filter_map(|digest| Stream::open_unless_blank(&self.store, digest))
                    .collect::<Vec<_>>(),
            )
        });
        let logs: Vec<_> = logs.collect();
        self.log.say_in_pieces(level, "test", |give| {
            give(line);
            for (run, streams) in logs {
                let mut head = Vec::new();
                if shards > 1 {
                    // As the outputs of shards are named, so that they can be found by it.
                    head.push(format!("shard-{} of {shards}", run.shard));
                }
                if *runs > 1 {
                    head.push(format!("run {}", run.number + 1));
                }
                if !head.is_empty() {
                    let what = if streams.is_empty() { " printed nothing" } else { ":" };
                    give(&format!("\n  {}{what}", head.join(", ")));
                }
                for stream in streams {
                    give("\n");
                    let mut escapes = Escapes::new(true);
                    stream.show_lines(to_see_all, &mut |piece| give(&escapes.pass(piece)));
                    give(escapes.end());
                }
            }
            let more = (*all_failures as usize).saturating_sub(MAX_LOGS);
            if more > 0 {
                give(&format!("\n  {}", count(more, "more failed run")));
            }
        });
    }

    /// How many tests have ended until now, and how; `None` before the first.
    pub(super) fn so_far(&self) -> Option<String> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let (stopped, done): (Vec<_>, Vec<_>) =
            state.ended.iter().cloned().partition(|(verdict, _)| *verdict == Verdict::Interrupted);
        if state.ended.is_empty() {
            return None;
        }
        let mut text = format!("{} of {} done", done.len(), count(state.names.len(), "test"));
        if !done.is_empty() {
            text += &format!(": {}", figures(&done, true));
        }
        if !stopped.is_empty() {
            text += &format!("; {} stopped", count(stopped.len(), "running test"));
        }
        Some(text)
    }

    /// The line about all tests.
    pub(super) fn summary(&self, reports: &[Arc<TestReport>]) {
        let ended: Vec<(Verdict, String)> =
            reports.iter().map(|report| (report.verdict, self.name(&report.test))).collect();
        let total = self.state.lock().unwrap_or_else(PoisonError::into_inner).total;
        let left_out = match total.saturating_sub(reports.len()) {
            0 => String::new(),
            others => format!(", {others} left out"),
        };
        let time = seconds(self.log.begin().elapsed());
        let (tests, figures) = (count(reports.len(), "test"), figures(&ended, ended.len() > 1));
        self.log.say(Level::Info, format!("{tests}: {figures} in {time}{left_out}"));
    }
}

/// How many tests ended in which way. `with_names`: those that did not pass are named.
fn figures(ended: &[(Verdict, String)], with_names: bool) -> String {
    let number = |wanted: Verdict| ended.iter().filter(|(verdict, _)| *verdict == wanted).count();
    let cached = number(Verdict::Cached);
    let passed = number(Verdict::Passed) + cached;
    let mut parts = Vec::new();
    if passed > 0 {
        let cached = match cached {
            0 => String::new(),
            _ if cached == passed => " (cached)".to_owned(),
            _ => format!(" ({cached} cached)"),
        };
        parts.push(format!("{passed} passed{cached}"));
    }
    let others = [
        (Verdict::Flaky, "flaky"),
        (Verdict::Failed, "failed"),
        (Verdict::TimedOut, "timed out"),
        (Verdict::NotBuilt, "not run"),
    ];
    for (wanted, word) in others {
        let ended = ended.iter().filter(|(verdict, _)| *verdict == wanted);
        let names: Vec<String> = ended.map(|(_, name)| name.clone()).collect();
        // The lines above are long if tests failed, and in the order in which tests ended.
        let shown = match names.len() {
            0 => continue,
            _ if !with_names => String::new(),
            _ => format!(" ({})", some_of(&names, MAX_NAMED)),
        };
        parts.push(format!("{} {word}{shown}", names.len()));
    }
    parts.join(", ")
}

/// What a run printed: what its action printed, or if that is nothing the outputs that have it.
pub(super) fn outputs(shard: &Shard, run: &FailedRun) -> Vec<Option<Digest>> {
    let printed = [run.ran.stdout, run.ran.stderr];
    if printed.iter().any(Option::is_some) {
        return printed.to_vec();
    }
    let output = |path: &Str| run.ran.outputs.get(path).map(|info| info.digest);
    shard.streams.iter().map(|path| path.as_ref().and_then(output)).collect()
}
