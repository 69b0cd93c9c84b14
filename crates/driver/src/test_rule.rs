//! Running tests: how often, and what follows from how their actions ended.
//!
//! Each test is a task that asks for runs of its actions ([`AttemptRule`]). So tests, shards and repeated runs share the
//! places of the executor, and an interruption ends them as it ends a build. The engine keeps nothing of these tasks.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use taut_digest::ObjectInfo;
use taut_engine::{Cx, Fail, Key, Policy, Rule};
use taut_exec::{ActionError, Attempt, AttemptKey, AttemptRule, Execution, Ran};

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

/// How one run of one action of a test ended.
#[derive(Clone, Debug)]
pub struct TestRun {
    /// Which action of the test it was.
    pub shard: usize,
    /// Which run of the test it was, counted from 0.
    pub number: u64,
    /// The result.
    pub ran: Arc<Ran>,
    /// Whether it was taken from the action cache.
    pub was_cached: bool,
    /// What it means: `Passed`, `Flaky`, `Failed` or `TimedOut`.
    pub verdict: Verdict,
}

/// How a test ended.
#[derive(Clone, Debug)]
pub struct TestReport {
    /// The test.
    pub test: Arc<Test>,
    /// What it came to.
    pub verdict: Verdict,
    /// All runs of its actions, in the order of runs and shards.
    pub runs: Vec<TestRun>,
    /// How often the test was run, and how often it failed.
    pub count: u64,
    /// See [`TestReport::count`].
    pub failed: u64,
    /// How long it took: of shards the longest, of several runs all.
    pub duration: Duration,
    /// Why it was not run, if that has no message elsewhere.
    pub why: Option<String>,
}

impl TestReport {
    /// The runs that failed.
    pub fn failures(&self) -> impl Iterator<Item = &TestRun> {
        self.runs.iter().filter(|run| !run.verdict.is_success())
    }

    /// How many of the shards failed in some run.
    pub fn failed_shards(&self) -> usize {
        let shards: std::collections::BTreeSet<usize> = self.failures().map(|run| run.shard).collect();
        shards.len()
    }
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
        let mut course = Course { execution: &self.0, cx, plan, test: &test, runs: Vec::new(), why: None };
        let verdict = course.run().await;
        let Course { runs, why, .. } = course;
        let numbers: std::collections::BTreeSet<u64> = runs.iter().map(|run| run.number).collect();
        let of = |number: u64| runs.iter().filter(move |run| run.number == number);
        let failed = numbers.iter().filter(|number| of(**number).any(|run| !run.verdict.is_success()));
        let duration =
            numbers.iter().filter_map(|number| of(*number).map(|run| run.ran.duration).max()).sum();
        let (count, failed) = (numbers.len() as u64, failed.count() as u64);
        let report = TestReport { test: test.clone(), verdict, count, failed, duration, runs, why };
        {
            // One at a time, so that the lines about a test stay together.
            let _held = plan.reporting.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            (plan.on_done)(&report);
        }
        Ok(Arc::new(report))
    }
}

/// A test while it runs.
struct Course<'c> {
    execution: &'c Execution,
    cx: Cx,
    plan: &'c TestPlan,
    test: &'c Test,
    runs: Vec<TestRun>,
    why: Option<String>,
}

impl Course<'_> {
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
                // Only the last one is reported: of an endless repetition not all can be kept.
                self.forget_passed();
            }
            return passed;
        }
        if let Some(runs) = runs {
            return self.runs_of(0..runs, false).await;
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
        let answers = self.cx.all::<AttemptRule>(each.iter().map(key).collect()).await;
        let mut worst = Verdict::Cached;
        for ((number, place, shard), answer) in each.into_iter().zip(answers) {
            let verdict = match answer {
                Ok(Attempt { ran, was_cached }) => {
                    let verdict = self.verdict(shard, &ran);
                    self.runs.push(TestRun { shard: place, number, ran, was_cached, verdict });
                    if was_cached && verdict == Verdict::Passed { Verdict::Cached } else { verdict }
                }
                Err(Fail::Cancelled) => Verdict::Interrupted,
                Err(fail) => {
                    // What inputs need has its own message; an error of the system about this action has none.
                    if let Some(error) = fail.downcast_ref::<ActionError>() {
                        self.why = Some(error.to_string());
                    }
                    Verdict::NotBuilt
                }
            };
            worst = std::cmp::max_by_key(worst, verdict, |verdict| weight(*verdict));
        }
        worst
    }

    fn forget_passed(&mut self) {
        let last = self.runs.iter().map(|run| run.number).max();
        // The results are dropped, which are what takes memory; how long they took is kept.
        for run in self.runs.iter_mut().filter(|run| Some(run.number) != last) {
            run.ran = Arc::new(Ran { duration: run.ran.duration, ..Ran::default() });
        }
    }

    /// What the end of an action means. The content of the result decides where the action itself did not fail.
    fn verdict(&self, shard: &Shard, ran: &Ran) -> Verdict {
        if ran.timed_out {
            return Verdict::TimedOut;
        }
        if !ran.is_success() {
            return Verdict::Failed;
        }
        let read = |info: &ObjectInfo| {
            self.execution.store.read(&info.digest.hash, info.object_type).ok().flatten().unwrap_or_default()
        };
        let content = ran.outputs.get(&shard.result).map(read).unwrap_or_default();
        match content.trim_ascii() {
            b"FAIL" => Verdict::Failed,
            b"FLAKY" => Verdict::Flaky,
            _ => Verdict::Passed,
        }
    }
}

/// Of several runs the one counts that weighs most.
fn weight(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Cached => 0,
        Verdict::Passed => 1,
        Verdict::Flaky => 2,
        Verdict::TimedOut => 3,
        Verdict::Failed => 4,
        Verdict::NotBuilt => 5,
        Verdict::Interrupted => 6,
    }
}
