//! `test`: finds the tests among targets and what these depend on, runs them, and reports how each ended.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use taut_driver::{
    BuildFailure, BuildOptions, Closure, ClosureClient, Diagnostics, Request, Session, Sink, Test,
    TestClient, TestOptions, TestPlan, TestReport,
    event::{Event, Origin},
    tests,
};
use taut_value::{EntityName, Id, Map, Value};

use crate::{
    call::{self, BuildCall, OpenCall, Product},
    diagnostics,
    environment::build_root_option,
    exit::Exit,
    log::{Level, Log},
    options,
    profile::Profile,
    progress::Display,
    reporting::reported,
    reproduce::Reproduction,
    request, settings,
    tool_name::Name,
    voice::{BuildMessages, count},
};

mod filter;
mod junit;
mod lines;

use filter::Filter;
use lines::Lines;

/// Runs `test`.
pub(crate) fn run(name: Name, o: &options::Test, log: &Arc<Log>) -> Exit {
    let profile = Profile::from_options("test", &o.build.analysis, &o.build.execution, &o.build.stores, log);
    reported("test", !o.build.analysis.no_trace, profile, log, |reporting| {
        let product = Some(Product { name: "the tests", is_partial: false });
        run_command(o, BuildCall { name, o: &o.build, log, reporting, product })
    })
}

fn run_command(o: &options::Test, call: BuildCall<'_>) -> Result<Exit, Exit> {
    let log = call.log;
    request::check(&o.build.common, &o.build.stores, &o.build.execution, log)?;
    check_numbers(o, log)?;
    let (open, mut caller) = call.open(false)?;
    let messages = Arc::new(WithoutTests { messages: open.messages.clone(), actions: Mutex::default() });
    let sink = call::sinks([messages.clone() as Arc<dyn Sink>], &open.progress, call.reporting);
    // What one test needs is not a matter of the others.
    let options = BuildOptions { keep_going: true, ..open.options(None)? };
    let again = Reproduction::of_call(std::env::args());
    let root = build_root_option(&o.build.stores).unwrap_or_default();
    let to_see_all = format!("{} install-cas{root}", again.tool());
    let lines = Arc::new(Lines::new(log.clone(), open.store.clone(), to_see_all, o));
    let mut running = Running { o, open: &open, messages, display: None, lines, is_incomplete: false };
    let done = open.run(&options, &sink).test(&mut caller, &mut running);
    open.ended(done)
}

/// Numbers that are zero would mean that nothing is tested.
fn check_numbers(o: &options::Test, log: &Log) -> Result<(), Exit> {
    let options::Test { runs, flaky_attempts, timeout, .. } = *o;
    let all = [("--runs", runs), ("--flaky-attempts", flaky_attempts), ("--timeout", timeout.map(u64::from))];
    match all.iter().find(|(_, number)| *number == Some(0)) {
        None => Ok(()),
        Some((option, _)) => {
            log.say(Level::Error, format!("{option} has to be at least 1"));
            Err(Exit::Syntax)
        }
    }
}

fn test_options(o: &options::Test) -> TestOptions {
    let options::Test { runs, until_fail, flaky_attempts, timeout, .. } = *o;
    TestOptions {
        runs,
        until_fail,
        max_attempts: flaky_attempts.unwrap_or(1),
        limit: timeout.map(settings::seconds),
    }
}

/// The messages about what is built for tests. Those about the actions of tests are left out: tests have lines of their
/// own.
struct WithoutTests {
    messages: Arc<dyn BuildMessages>,
    // Set when the tests are found, which is before any of them runs.
    actions: Mutex<HashSet<Id>>,
}

impl Sink for WithoutTests {
    fn event(&self, event: &Event<'_>) {
        let id = match event {
            Event::ActionFinished(finished) => Some(finished.action.id),
            Event::ActionFailed(failed) => Some(&failed.failure.id),
            _ => None,
        };
        let actions = self.actions.lock().unwrap_or_else(PoisonError::into_inner);
        if id.is_none_or(|id| !actions.contains(id)) {
            // Released first, as messages may have to wait for the terminal.
            drop(actions);
            self.messages.event(event);
        }
    }
}

/// A call while it runs.
struct Running<'c> {
    o: &'c options::Test,
    open: &'c OpenCall<'c>,
    messages: Arc<WithoutTests>,
    display: Option<Display>,
    lines: Arc<Lines>,
    /// Whether something that tests need could not be built.
    is_incomplete: bool,
}

impl Running<'_> {
    fn log(&self) -> &Arc<Log> {
        self.open.call.log
    }
}

impl ClosureClient for Running<'_> {
    type Stop = Exit;

    fn may_continue(&mut self, session: &Session) -> Result<(), Exit> {
        self.open.interruption.stop_on_signal(session)
    }

    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> Exit {
        request::report_problems(problems, request, &self.o.build.analysis.target, self.log())
    }

    fn built(&mut self, session: &Session, request: &Request, failure: Option<&BuildFailure>) {
        self.open.built(session, request, failure);
        // The last build counts: an earlier one was for a try that was given up.
        self.is_incomplete = failure.is_some();
    }
}

impl TestClient for Running<'_> {
    type Done = Exit;

    fn found(&mut self, _: &Session, request: &Request, all: &Closure) -> Result<TestPlan, Exit> {
        let log = self.log();
        let warnings = all.warnings(&request.repositories.roots);
        diagnostics::report(&warnings, Level::Warn, log);
        let mut found: Vec<(String, Test)> =
            tests(all).into_iter().map(|test| (name_of(&test, &request.configuration, log), test)).collect();
        let total = found.len();
        if total == 0 {
            log.say(
                Level::Error,
                "there is no test among these targets and what they depend on\nhelp: a test is a target of a rule `test`; \
                 docs/testing.md says how tests are recognised",
            );
            return Err(Exit::BuildFailure);
        }
        let filter = Filter::new(&self.o.filter);
        found.retain(|(name, test)| filter.matches(name, target_name(test)));
        if found.is_empty() {
            log.say(Level::Error, format!("none of {} matches --filter", count(total, "test")));
            return Err(Exit::BuildFailure);
        }
        let shards = found.iter().flat_map(|(_, test)| test.shards.iter().map(move |shard| (shard.id, test)));
        let actions: Vec<(Id, Origin)> = shards.map(|(id, test)| (id, origin(test))).collect();
        *self.messages.actions.lock().unwrap_or_else(PoisonError::into_inner) =
            actions.iter().map(|(id, _)| *id).collect();
        self.lines.begin(total, found.iter().map(|(name, test)| (test.target.clone(), name.clone())));
        self.display = Some(Display::start(&self.open.progress, log, None));
        let lines = self.lines.clone();
        self.open.messages.will_run_tests(actions, Box::new(move || lines.so_far()));
        let lines = self.lines.clone();
        let tests = found.into_iter().map(|(_, test)| test).collect();
        Ok(TestPlan::new(tests, test_options(self.o), move |report: &TestReport| lines.ended(report)))
    }

    fn tested(&mut self, reports: Vec<Arc<TestReport>>) -> Result<Exit, Exit> {
        // Before the summary, which is the last line.
        self.display = None;
        let log = self.log().clone();
        // A report without the tests that did not end would be taken for a complete one.
        self.open.interruption.check()?;
        if let Some(path) = &self.o.junit {
            let text = junit::text(&reports, &self.lines, &self.open.store);
            crate::text_file::write_or_print(path, &text, &log)?;
        }
        self.lines.summary(&reports);
        let is_success = !self.is_incomplete && reports.iter().all(|report| report.verdict.is_success());
        Ok(if is_success { Exit::Success } else { Exit::BuildFailure })
    }
}

/// A test as one types it; with its configuration, unless that is the one that was asked for.
fn name_of(test: &Test, configuration: &Map, log: &Log) -> String {
    log.names().origin_within(&origin(test), configuration)
}

/// The target of a test, for names: these do not show the number of an action, which an origin has.
fn origin(test: &Test) -> Origin {
    Origin {
        target: Value::Name(test.target.name.clone()),
        subtask: 0,
        config: test.target.config.map().clone(),
    }
}

/// The name of a test's target in its module.
fn target_name(test: &Test) -> Option<&str> {
    match &test.target.name {
        EntityName::Named(named) => Some(&named.name),
        EntityName::Anonymous(_) => None,
    }
}
