//! Running tests: how often, and what follows from how their actions ended.
//!
//! Each test is a task that asks for runs of its actions ([`AttemptRule`]). So tests, shards and repeated runs share
//! the places of the executor, and an interruption ends them as it ends a build. The engine keeps nothing of these
//! tasks.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use taut_engine::{Cx, Fail, Key, Policy, Rule};
use taut_exec::{ActionError, Attempt, AttemptKey, AttemptRule, Execution, RunResult};

use crate::{Shard, Test};

/// How tests are run.
#[derive(Clone, Debug)]
pub struct TestOptions {
    /// How often each test is run, without the action cache; `None`: once, unless it is known to pass.
    pub runs: Option<u64>,
    /// Whether runs of a test follow each other until one fails, of any test; without `runs` there is no other end.
    pub until_fail: bool,
    /// How often a test that fails is run at most; at least 1. If it passes then, it is flaky.
    pub max_attempts: u64,
    /// How long an action of a test may run, before scaling.
    pub limit: Option<Duration>,
}

impl Default for TestOptions {
    fn default() -> TestOptions {
        TestOptions { runs: None, until_fail: false, max_attempts: 1, limit: None }
    }
}

/// What a test came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// All runs passed.
    Passed,
    /// It passed in an earlier call, and nothing that it depends on has changed.
    Cached,
    /// It failed, and passed when it was run again; or its result says so.
    Flaky,
    /// It failed.
    Failed,
    /// It was ended since it exceeded its time limit.
    TimedOut,
    /// It was not run: something that it needs could not be built.
    NotBuilt,
    /// It was not run, or not to its end, since the call was interrupted.
    Interrupted,
}

impl Verdict {
    /// Whether the call succeeds with it.
    pub fn is_success(self) -> bool {
        matches!(self, Verdict::Passed | Verdict::Cached | Verdict::Flaky)
    }
}

/// How one run of one action of a test failed.
#[derive(Clone, Debug)]
pub struct FailedRun {
    /// Which action of the test it was.
    pub shard: usize,
    /// Which run of the test it was, counted from 0.
    pub number: u64,
    /// The result.
    pub ran: Arc<RunResult>,
}

/// How the runs of a test ended. Of many runs few are kept: how often a test is run may be any number.
#[derive(Clone, Default, Debug)]
pub struct TestRuns {
    /// How often the test was run.
    pub count: u64,
    /// In how many of these something failed.
    pub failed: u64,
    /// How long it took: of shards the longest, of several runs all.
    pub duration: Duration,
    /// The first runs of its actions that failed, in the order of runs and shards.
    pub failures: Vec<FailedRun>,
    /// How many runs of its actions failed.
    pub all_failures: u64,
    /// The actions that failed in some run.
    pub failed_shards: BTreeSet<usize>,
}

/// How many runs that failed are kept of a test.
// Each keeps a result in memory; reports show a few, and count all.
const MAX_FAILURES: usize = 100;

impl TestRuns {
    /// Adds a run of the test: its actions that ran, with what each came to.
    fn add(&mut self, number: u64, shards: &[(usize, Arc<RunResult>, Verdict)]) {
        let Some(longest) = shards.iter().map(|(_, ran, _)| ran.duration).max() else { return };
        let failures = || shards.iter().filter(|(_, _, verdict)| !verdict.is_success());
        self.count += 1;
        self.duration += longest;
        self.failed += u64::from(failures().next().is_some());
        self.all_failures += failures().count() as u64;
        self.failed_shards.extend(failures().map(|(shard, ..)| *shard));
        // Never negative, since no more than what is left is ever added.
        let left = MAX_FAILURES - self.failures.len();
        let failed = |(shard, ran, _): &(usize, Arc<RunResult>, Verdict)| FailedRun {
            shard: *shard,
            number,
            ran: ran.clone(),
        };
        self.failures.extend(failures().take(left).map(failed));
    }
}

/// How a test ended.
#[derive(Clone, Debug)]
pub struct TestReport {
    /// The test.
    pub test: Arc<Test>,
    /// What it came to.
    pub verdict: Verdict,
    /// How its runs ended.
    pub runs: TestRuns,
    /// Why it was not run, if that has no message elsewhere.
    pub why: Option<String>,
}

/// Tests to be run.
pub struct TestPlan {
    /// The tests.
    pub tests: Vec<Arc<Test>>,
    /// How they are run.
    pub options: TestOptions,
    /// Called when a test has ended; from any thread, but for one test at a time.
    pub on_done: Box<dyn Fn(&TestReport) + Send + Sync>,
    /// Whether a test has failed, so that no test is repeated until it does.
    has_failed: AtomicBool,
    /// Held while a test is reported.
    reporting: std::sync::Mutex<()>,
}

impl TestPlan {
    /// Tests to be run; `on_done` is called for each when it has ended.
    pub fn new(
        tests: Vec<Test>,
        options: TestOptions,
        on_done: impl Fn(&TestReport) + Send + Sync + 'static,
    ) -> TestPlan {
        TestPlan {
            tests: tests.into_iter().map(Arc::new).collect(),
            options,
            on_done: Box::new(on_done),
            has_failed: AtomicBool::new(false),
            reporting: std::sync::Mutex::default(),
        }
    }
}

impl fmt::Debug for TestPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestPlan").field("tests", &self.tests.len()).finish_non_exhaustive()
    }
}

/// Identifies a test of the one plan of a call.
#[derive(Clone, Debug)]
pub(crate) struct TestKey {
    pub(crate) index: usize,
    pub(crate) plan: Arc<TestPlan>,
}

impl PartialEq for TestKey {
    fn eq(&self, other: &TestKey) -> bool {
        // A call has one plan.
        self.index == other.index
    }
}

impl Eq for TestKey {}

impl std::hash::Hash for TestKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.index.hash(state);
    }
}

impl Key for TestKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend((self.index as u64).to_le_bytes());
    }

    // It needs the plan, and nothing is kept of it.
    fn decode(_: &[u8]) -> Option<TestKey> {
        None
    }
}

/// Runs tests.
pub(crate) struct TestRule(pub(crate) Arc<Execution>);

impl Rule for TestRule {
    type Key = TestKey;
    type Value = Arc<TestReport>;
    const NAME: &'static str = "test";

    fn policy(&self, _: &TestKey) -> Policy {
        Policy::always()
    }

    async fn value(&self, TestKey { index, plan }: &TestKey, cx: Cx) -> Result<Arc<TestReport>, Fail> {
        let test = plan.tests[*index].clone();
        let runs = TestRuns::default();
        let mut course = RunningTest { execution: &self.0, cx, plan, test: &test, runs, why: None };
        let verdict = course.run().await;
        let RunningTest { runs, why, .. } = course;
        let report = TestReport { test: test.clone(), verdict, runs, why };
        {
            // One at a time, so that the lines about a test stay together.
            let _held = plan.reporting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (plan.on_done)(&report);
        }
        Ok(Arc::new(report))
    }
}

/// How many runs of actions of a test are asked for at a time, with `--runs`. There is room for fewer on most machines,
/// so they are not kept waiting for the last one of each time.
const MAX_AT_ONCE: u64 = 1_000;

/// A test while it runs.
struct RunningTest<'c> {
    execution: &'c Execution,
    cx: Cx,
    plan: &'c TestPlan,
    test: &'c Test,
    runs: TestRuns,
    why: Option<String>,
}

impl RunningTest<'_> {
    async fn run(&mut self) -> Verdict {
        let TestOptions { runs, until_fail, max_attempts, .. } = self.plan.options;
        if until_fail {
            let mut number = 0;
            let mut passed = Verdict::Passed;
            while runs.is_none_or(|runs| number < runs) {
                match self.runs_of(number..number + 1, false).await {
                    Verdict::Flaky => passed = Verdict::Flaky,
                    verdict if verdict.is_success() => {}
                    verdict => {
                        // `SeqCst` since it costs nothing: it is read once for each run of a test, and one run too
                        // many does no harm.
                        self.plan.has_failed.store(true, SeqCst);
                        return verdict;
                    }
                }
                number += 1;
                if self.plan.has_failed.load(SeqCst) {
                    break;
                }
            }
            return passed;
        }
        if let Some(runs) = runs {
            // Each run asks for all shards at once.
            let at_once = (MAX_AT_ONCE / self.test.shards.len().max(1) as u64).max(1);
            let mut worst = Verdict::Cached;
            let mut next = 0;
            // What cannot be built, or was interrupted, would have the same result in further runs.
            while next < runs && weight(worst) < weight(Verdict::NotBuilt) {
                let end = next.saturating_add(at_once).min(runs);
                worst = worse(worst, self.runs_of(next..end, false).await);
                next = end;
            }
            return worst;
        }
        let mut verdict = self.runs_of(0..1, true).await;
        for number in 1..max_attempts {
            if !matches!(verdict, Verdict::Failed | Verdict::TimedOut) {
                break;
            }
            verdict = match self.runs_of(number..number + 1, false).await {
                again if again.is_success() => Verdict::Flaky,
                again => again,
            };
        }
        verdict
    }

    /// Runs all shards so often, at the same time as far as there is room.
    async fn runs_of(&mut self, numbers: std::ops::Range<u64>, is_cached: bool) -> Verdict {
        let limit = self.plan.options.limit;
        let shards = || self.test.shards.iter().enumerate();
        let each: Vec<(u64, usize, &Shard)> =
            numbers.flat_map(|number| shards().map(move |(place, shard)| (number, place, shard))).collect();
        let key = |(number, _, shard): &(u64, usize, &Shard)| {
            // The first run of a call that does not use the cache is another task than one that does.
            AttemptKey { action: shard.id, number: *number, is_cached, limit }
        };
        // All at once, so that the executor can fill its places; answers come in the order of the questions.
        let mut answers = each.iter().zip(self.cx.all::<AttemptRule>(each.iter().map(key).collect()).await);
        let mut worst = Verdict::Cached;
        // One run of the test is a chunk: its shards count together.
        for run in each.chunk_by(|(one, ..), (other, ..)| one == other) {
            let mut ran = Vec::with_capacity(run.len());
            for ((_, place, shard), answer) in answers.by_ref().take(run.len()) {
                worst = worse(worst, self.answer(*place, shard, answer, &mut ran));
            }
            self.runs.add(run[0].0, &ran);
        }
        worst
    }

    /// What a run of a shard came to; it is added to `ran` if it ran.
    fn answer(
        &mut self,
        place: usize,
        shard: &Shard,
        answer: Result<Attempt, Fail>,
        ran: &mut Vec<(usize, Arc<RunResult>, Verdict)>,
    ) -> Verdict {
        match answer {
            Ok(attempt) => match self.verdict(shard, &attempt.ran) {
                Ok(verdict) => {
                    ran.push((place, attempt.ran, verdict));
                    let is_cached = attempt.was_cached && verdict == Verdict::Passed;
                    if is_cached { Verdict::Cached } else { verdict }
                }
                Err(why) => {
                    self.why = Some(why);
                    Verdict::NotBuilt
                }
            },
            Err(Fail::Cancelled) => Verdict::Interrupted,
            Err(fail) => {
                // What inputs need has its own message; an error of the system about this action has none.
                if let Some(error) = fail.downcast_ref::<ActionError>() {
                    self.why = Some(error.to_string());
                }
                Verdict::NotBuilt
            }
        }
    }

    /// What the end of an action means. The content of the result decides where the action itself did not fail.
    ///
    /// # Errors
    /// Why the result cannot be read.
    fn verdict(&self, shard: &Shard, ran: &RunResult) -> Result<Verdict, String> {
        // Before the exit code: a process that is ended at its limit has one, too, which says
        // nothing of the test.
        if ran.timed_out {
            return Ok(Verdict::TimedOut);
        }
        if !ran.is_success() {
            return Ok(Verdict::Failed);
        }
        let Some(info) = ran.outputs.get(&shard.result) else { return Ok(Verdict::Passed) };
        let content = self.execution.store.read(&info.digest.hash, info.object_type);
        let lost = || format!("its result {info} was damaged or lost; the next call runs it again");
        let content = content.map_err(|error| error.to_string())?.ok_or_else(lost)?;
        Ok(match content.trim_ascii() {
            // The convention of justbuild's rule sets: a test action succeeds, and its `result` says how the test
            // ended.
            b"FAIL" => Verdict::Failed,
            b"FLAKY" => Verdict::Flaky,
            _ => Verdict::Passed,
        })
    }
}

/// The verdict about two runs.
fn worse(one: Verdict, other: Verdict) -> Verdict {
    std::cmp::max_by_key(one, other, |verdict| weight(*verdict))
}

/// Of several runs, the one with the greatest weight counts.
fn weight(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Cached => 0,
        Verdict::Passed => 1,
        Verdict::Flaky => 2,
        Verdict::TimedOut => 3,
        Verdict::Failed => 4,
        Verdict::NotBuilt => 5,
        // An interruption weighs most: what was not run may have failed.
        Verdict::Interrupted => 6,
    }
}
