//! `test`: finds the tests among targets and what these depend on, runs them, and reports how each ended.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use taut_driver::{
    BuildFailure, Caller, Closure, Diagnostics, Request, Retry, Run, Session, SetupError, Sink, Test,
    TestClient, TestOptions, TestPlan, TestReport, UnresolvedRequest,
    event::{Event, Origin},
    tests,
};
use taut_store::Store;
use taut_value::{Id, Map, Value};

use crate::{
    diagnostics,
    environment::{build_root, build_root_option, open_store},
    exit::Exit,
    interruption::Interruption,
    log::{Level, Log},
    options,
    profile::Profile,
    progress::{Display, Progress},
    reporting::{Reporting, reported, warn_of_cache},
    reproduce::Reproduction,
    request,
    roots::{RootOptions, Roots},
    settings::{self, analysis_options, build_options, time_limit},
    setup_error::report_error,
    tool_name::Name,
    voice::{self, BuildContext, BuildMessages, count},
};

mod filter;
mod junit;
mod lines;

use filter::Filter;
use lines::Lines;

/// Runs `test`.
pub(crate) fn run(name: Name, o: &options::Test, log: &Arc<Log>) -> Exit {
    let profile = Profile::from_options("test", &o.build.analysis, &o.build.execution);
    reported("test", !o.build.analysis.no_trace, profile, log, |reporting| {
        Call { name, o, log, reporting }.run()
    })
}

struct Call<'o> {
    name: Name,
    o: &'o options::Test,
    log: &'o Arc<Log>,
    reporting: &'o Reporting,
}

/// The messages about what is built for tests. Those about the actions of tests are left out: tests have lines of their own.
struct WithoutTests {
    messages: Arc<dyn BuildMessages>,
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
    call: &'c Call<'c>,
    /// What it asks for, until it is run for the first time.
    first: Option<UnresolvedRequest>,
    store: &'c Store,
    messages: Arc<WithoutTests>,
    progress: Arc<Progress>,
    display: Option<Display>,
    interruption: Interruption,
    lines: Arc<Lines>,
    /// Whether something that tests need could not be built.
    is_incomplete: bool,
    /// How the roots of the request are got.
    roots: Roots<'c>,
}

impl Call<'_> {
    fn run(&self) -> Result<Exit, Exit> {
        let Call { name, log, reporting, .. } = *self;
        let o = &self.o.build;
        request::check(&o.common, &o.stores, &o.execution, log)?;
        self.check_numbers()?;
        let interruption = Interruption::watch(log);
        interruption.finish_log_on_signal(&reporting.log);
        let roots = self.roots(&interruption);
        let first = Some(self.request(&roots)?);
        let store = open_store(name, &o.stores, log).ok_or(Exit::Environment)?;
        reporting.keep_in(&store);
        let messages = voice::of(log).build(BuildContext {
            log,
            store: &store,
            build_root_option: build_root_option(&o.stores),
            build_root: build_root(name, &o.stores).unwrap_or_default(),
            shows_cached_output: o.results.show_cached_output,
            again: Reproduction::of_call(std::env::args()),
            is_rebuild: false,
            time_limit: time_limit(&o.execution),
            begin: log.begin(),
        });
        interruption.report_by(&messages);
        let messages = Arc::new(WithoutTests { messages, actions: Mutex::default() });
        let progress = Arc::new(Progress::default());
        let mut all: Vec<Arc<dyn Sink>> = vec![messages.clone(), progress.clone()];
        all.extend(reporting.sinks());
        let sink: Arc<dyn Sink> = Arc::new(all);
        let mut options = build_options(&o.common, (&o.execution, &o.stores), &o.results, false, log)?;
        // What one test needs is no matter of the others.
        options.keep_going = true;
        let run = Run {
            store: &store,
            analysis: analysis_options(&o.common, &o.analysis, &o.stores),
            options: &options,
            sink: &sink,
            is_cached: reporting.uses_state,
            reports_all_actions: false,
            is_of_root: false,
        };
        let again = Reproduction::of_call(std::env::args());
        let to_see_all =
            format!("{} install-cas{}", again.tool(), build_root_option(&o.stores).unwrap_or_default());
        let lines = Arc::new(Lines::new(log.clone(), store.clone(), to_see_all, self.o));
        let done = run.test(&mut Running {
            call: self,
            first,
            store: &store,
            messages,
            progress,
            display: None,
            interruption: interruption.clone(),
            lines,
            is_incomplete: false,
            roots,
        });
        if let Err(Exit::Signal(_)) = done {
            interruption.report();
        }
        done
    }

    /// Numbers that are zero would mean that nothing is tested.
    fn check_numbers(&self) -> Result<(), Exit> {
        let options::Test { runs, flaky_attempts, timeout, .. } = self.o;
        let all =
            [("--runs", *runs), ("--flaky-attempts", *flaky_attempts), ("--timeout", timeout.map(u64::from))];
        match all.iter().find(|(_, number)| *number == Some(0)) {
            None => Ok(()),
            Some((option, _)) => {
                self.log.say(Level::Error, format!("{option} has to be at least 1"));
                Err(Exit::Syntax)
            }
        }
    }

    fn roots<'c>(&'c self, interruption: &'c Interruption) -> Roots<'c> {
        let o = &self.o.build;
        let of = RootOptions {
            name: self.name,
            common: &o.common,
            stores: &o.stores,
            analysis: &o.analysis,
            execution: &o.execution,
        };
        Roots::new(of, Some(interruption), self.log).reported_to(self.reporting)
    }

    fn request(&self, roots: &Roots<'_>) -> Result<UnresolvedRequest, Exit> {
        let o = &self.o.build;
        if !o.analysis.target.is_empty() {
            return request::request(&o.common, &o.analysis, roots, self.log);
        }
        all_targets(o, roots, self.log)
    }

    fn options(&self) -> TestOptions {
        let options::Test { runs, until_fail, flaky_attempts, timeout, .. } = *self.o;
        TestOptions {
            runs,
            until_fail,
            max_attempts: flaky_attempts.unwrap_or(1),
            limit: timeout.map(settings::seconds),
        }
    }
}

/// The pattern for all targets of the workspace, from any directory of it.
const ALL: &str = "//...";

/// A request for all targets of the workspace.
///
/// # Errors
/// The exit code; the errors have been reported.
pub(crate) fn all_targets(
    o: &options::Build,
    roots: &Roots<'_>,
    log: &Log,
) -> Result<UnresolvedRequest, Exit> {
    request::quiet_request_for(&o.common, &o.analysis, &[ALL.to_owned()], roots, log)
}

impl Running<'_> {
    fn log(&self) -> &Arc<Log> {
        self.call.log
    }
}

impl TestClient for Running<'_> {
    type Stop = Exit;
    type Done = Exit;

    fn may_continue(&mut self, session: &Session) -> Result<(), Exit> {
        self.interruption.stop_on_signal(session)
    }

    fn mends_roots(&self) -> bool {
        self.roots.mends()
    }

    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> Exit {
        request::report_problems(problems, request, &self.call.o.build.analysis.target, self.log())
    }

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
        let filter = Filter::new(&self.call.o.filter);
        found.retain(|(name, _)| filter.matches(name));
        if found.is_empty() {
            log.say(Level::Error, format!("none of {} matches --filter", count(total, "test")));
            return Err(Exit::BuildFailure);
        }
        let ids = found.iter().flat_map(|(_, test)| &test.shards).map(|shard| shard.id).collect();
        *self.messages.actions.lock().unwrap_or_else(PoisonError::into_inner) = ids;
        self.lines.begin(total, found.iter().map(|(name, test)| (test.target.clone(), name.clone())));
        self.display = Some(Display::start(&self.progress, log, None));
        let lines = self.lines.clone();
        let tests = found.into_iter().map(|(_, test)| test).collect();
        Ok(TestPlan::new(tests, self.call.options(), move |report: &TestReport| lines.ended(report)))
    }

    fn built(&mut self, session: &Session, request: &Request, failure: Option<&BuildFailure>, is_last: bool) {
        let origins = session.origins_of_targets(request);
        let messages = &self.messages.messages;
        messages.executed(&origins);
        if let Some(failure) = failure {
            if failure.is_undefined() && is_last {
                self.log().say(Level::Error, "The description keeps changing while it is being built.");
            }
            messages.failed(failure, &origins, true);
        }
        self.is_incomplete = failure.is_some();
    }

    fn tested(&mut self, reports: Vec<Arc<TestReport>>) -> Result<Exit, Exit> {
        // Before the summary, which is the last line.
        self.display = None;
        let log = self.log().clone();
        self.interruption.check()?;
        if let Some(path) = &self.call.o.junit {
            let text = junit::text(&reports, &self.lines, self.store);
            crate::text_file::write_or_print(path, &text, &log)?;
        }
        self.lines.summary(&reports);
        let is_success = !self.is_incomplete && reports.iter().all(|report| report.verdict.is_success());
        Ok(if is_success { Exit::Success } else { Exit::BuildFailure })
    }
}

impl Caller for Running<'_> {
    type Stop = Exit;

    fn request(&mut self) -> Result<UnresolvedRequest, Exit> {
        self.first.take().map_or_else(|| self.call.request(&self.roots), Ok)
    }

    fn not_understood(&mut self, error: &SetupError) -> Exit {
        report_error(error, self.log())
    }

    fn requested(&mut self, request: &Request) {
        voice::of(self.log()).requested(request, self.log());
        self.call.reporting.requested(request);
        self.messages.messages.requested(&request.repositories, "the tests".to_owned());
    }

    fn on_retry(&mut self, why: Retry) {
        if why == Retry::LostRoots {
            self.roots.verify();
        }
        self.messages.messages.on_retry(why);
    }

    fn warn_of_cache(&mut self, text: String) {
        warn_of_cache(Some(text), self.log());
    }
}

/// A test as one types it; with its configuration, unless that is the one that was asked for.
fn name_of(test: &Test, configuration: &Map, log: &Log) -> String {
    let origin = Origin {
        target: Value::Name(test.target.name.clone()),
        subtask: 0,
        config: test.target.config.map().clone(),
    };
    log.names().origin_within(&origin, configuration)
}
