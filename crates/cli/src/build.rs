//! `build`, `install` and `rebuild`: from a request to artifacts.

use std::{path::Path, sync::Arc};

use taut_driver::{
    Analysed, BuildFailure, Caller, Diagnostics, EventLogs, Pass, Request, Results, Retry, Run, Session,
    SetupError, Sink, Undelivered, UnresolvedRequest, Wanted, joined,
};
use taut_store::Store;
use taut_syntax::quoted;
use taut_value::{ActionDescription, NamedTarget, Str};

use crate::{
    compare::Comparison,
    dumps,
    environment::{build_root, build_root_option, is_address, open_store},
    exit::Exit,
    findings,
    interruption::Interruption,
    log::{Level, Log},
    options::{Build, Install, Rebuild},
    profile::Profile,
    progress::{Display, Progress, ReadTimings},
    report,
    reporting::{Reporting, reported, warn_of_cache},
    reproduce::Reproduction,
    request, rerun,
    results::{self, Delivery, Destination},
    roots::{RootOptions, Roots},
    settings::{analysis_options, build_options, log_limit, time_limit},
    setup_error::report_error,
    tool_name::Name,
    voice::{self, BuildContext, BuildMessages, Found},
};

/// Runs `build`.
pub(crate) fn build(name: Name, o: &Build, log: &Arc<Log>) -> Exit {
    let profile = Profile::from_options("build", &o.analysis, &o.execution);
    reported("build", !o.analysis.no_trace, profile, log, |reporting| {
        let call = Call { name, o, log, reporting, again: None };
        call.run(&Destination::Nowhere)
    })
}

/// Runs `install`.
pub(crate) fn install(name: Name, o: &Install, log: &Arc<Log>) -> Exit {
    let profile = Profile::from_options("install", &o.build.analysis, &o.build.execution);
    reported("install", !o.build.analysis.no_trace, profile, log, |reporting| {
        let call = Call { name, o: &o.build, log, reporting, again: None };
        call.run(&Destination::Directory { path: &o.output_dir, prune: o.prune })
    })
}

/// Runs `rebuild`.
pub(crate) fn rebuild(name: Name, o: &Rebuild, log: &Arc<Log>) -> Exit {
    let profile = Profile::from_options("rebuild", &o.build.analysis, &o.build.execution);
    reported("rebuild", false, profile, log, |reporting| {
        if let Some(address) = o.vs.as_deref().filter(|vs| *vs != "local") {
            let what = if is_address(address) {
                format!("Comparing with a remote cache (--vs {address}) is not supported yet.")
            } else if log.is_as_reference() {
                format!("Failed to set cache endpoint address {}", quoted(address))
            } else {
                format!("--vs: expected \"local\" or HOST:PORT, not {}", quoted(address))
            };
            log.say(Level::Error, what);
            return Err(Exit::Environment);
        }
        let again = RebuildOutput { comparison: Comparison::new(log), dump: o.dump_flaky.as_deref() };
        let call = Call { name, o: &o.build, log, reporting, again: Some(again) };
        call.run(&Destination::Nowhere)
    })
}

/// The comparison of `rebuild`, and the file for its results.
struct RebuildOutput<'o> {
    comparison: Arc<Comparison>,
    dump: Option<&'o Path>,
}

/// A call while it runs.
struct RunningCall<'c> {
    call: &'c Call<'c>,
    /// What it asks for, until it is run for the first time.
    first: Option<UnresolvedRequest>,
    destination: &'c Destination<'c>,
    store: &'c Store,
    messages: Arc<dyn BuildMessages>,
    progress: Arc<Progress>,
    /// Shows progress from the end of analysis to that of execution.
    display: Option<Display>,
    interruption: Interruption,
    /// The action that is run alone, if one is.
    rerun: Option<Arc<ActionDescription>>,
    /// Whether the times that actions took in earlier calls are read.
    is_timed: bool,
    /// How the roots of the request are got.
    roots: Roots<'c>,
}

struct Call<'o> {
    name: Name,
    o: &'o Build,
    log: &'o Arc<Log>,
    reporting: &'o Reporting,
    again: Option<RebuildOutput<'o>>,
}

impl Call<'_> {
    fn run(&self, destination: &Destination<'_>) -> Result<Exit, Exit> {
        let Call { name, o, log, .. } = *self;
        request::check(&o.common, &o.stores, &o.execution, log)?;
        voice::of(log).write_strategy(o.results.target_cache_write_strategy.as_deref(), log);
        let interruption = Interruption::watch(log);
        interruption.finish_log_on_signal(&self.reporting.log);
        // Errors of the command line are reported before the build root is created.
        let roots = self.roots(&interruption);
        let first = Some(request::request(&o.common, &o.analysis, &roots, log)?);
        let store = open_store(name, &o.stores, log).ok_or(Exit::Environment)?;
        self.reporting.keep_in(&store);
        let messages = voice::of(log).build(self.context(&store));
        interruption.report_by(&messages);
        let progress = Arc::new(Progress::default());
        let sink_of_messages: Arc<dyn Sink> = messages.clone();
        let mut all: Vec<Arc<dyn Sink>> = vec![sink_of_messages, progress.clone()];
        all.extend(self.reporting.sinks());
        all.extend(self.again.as_ref().map(|again| again.comparison.clone() as Arc<dyn Sink>));
        let sink: Arc<dyn Sink> = Arc::new(all);
        let options =
            build_options(&o.common, (&o.execution, &o.stores), &o.results, self.again.is_some(), log)?;
        let run = Run {
            store: &store,
            analysis: analysis_options(&o.common, &o.analysis, &o.stores),
            options: &options,
            sink: &sink,
            is_cached: self.reporting.uses_state,
            reports_all_actions: self.reporting.profile.is_some(),
            is_of_root: false,
        };
        let (store, display) = (&store, None);
        let (rerun, is_timed) = (None, self.reporting.uses_state);
        let done = run.run(&mut RunningCall {
            call: self,
            first,
            destination,
            store,
            messages: messages.clone(),
            progress,
            display,
            interruption: interruption.clone(),
            rerun,
            is_timed,
            roots,
        });
        if let Err(Exit::Signal(_)) = done {
            interruption.report();
        }
        done
    }

    /// The context of the messages of this call.
    fn context<'c>(&'c self, store: &'c Store) -> BuildContext<'c> {
        let Call { name, o, log, again, .. } = self;
        BuildContext {
            log,
            store,
            build_root_option: build_root_option(&o.stores),
            build_root: build_root(*name, &o.stores).unwrap_or_default(),
            shows_cached_output: o.results.show_cached_output,
            again: Reproduction::of_call(std::env::args()),
            is_rebuild: again.is_some(),
            time_limit: time_limit(&o.execution),
            begin: log.begin(),
        }
    }

    fn roots<'c>(&'c self, interruption: &'c Interruption) -> Roots<'c> {
        let Call { name, o, log, .. } = *self;
        let of = RootOptions {
            name,
            common: &o.common,
            stores: &o.stores,
            analysis: &o.analysis,
            execution: &o.execution,
        };
        Roots::new(of, Some(interruption), log).reported_to(self.reporting)
    }

    /// The requested targets, as the reference's messages name them.
    fn requested(&self, request: &Request) -> String {
        let limit = log_limit(&self.o.analysis);
        let shown =
            |target: &NamedTarget| report::configured(&target.clone().into(), &request.configuration, limit);
        joined(request.targets.iter().map(shown))
    }
}

impl Pass for RunningCall<'_> {
    type Stop = Exit;
    type Done = Exit;

    fn may_continue(&mut self, session: &Session) -> Result<(), Exit> {
        self.interruption.stop_on_signal(session)
    }

    fn mends_roots(&self) -> bool {
        self.roots.mends()
    }

    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> Exit {
        let Call { o, log, .. } = *self.call;
        request::report_problems(problems, request, &o.analysis.target, log)
    }

    fn analysed(
        &mut self,
        session: &Session,
        request: &Request,
        analysed: &Arc<Analysed>,
    ) -> Result<Option<Wanted>, Exit> {
        let Call { o, log, .. } = *self.call;
        let asks_for_input = o.analysis.request_action_input.is_some();
        // Only where it is needed: a null build does not load the analysis of all targets.
        let mut whole = if asks_for_input || o.graph.any() {
            Some(
                session
                    .whole_analysis(request)
                    .map_err(|problems| self.analysis_failed(request, &problems))?,
            )
        } else {
            None
        };
        // What an earlier call has shown is only counted, unless everything is to be shown.
        voice::of(log).unusable_entries(&session.take_entry_problems(), analysed, log);
        let shows_known = log.is_as_reference() || log.wants(Level::Debug) || o.results.show_cached_output;
        if shows_known || session.has_analysed(request) {
            findings::report_warnings(analysed, request, log);
            findings::warn_of_unused_variables(analysed, request, &o.analysis, log);
        } else {
            self.messages.has_known_warnings(findings::count_warnings(analysed, request, &o.analysis, log));
        }
        let action = match &mut whole {
            Some(analysis) => findings::turn_to_input(analysis, &o.analysis, log)?,
            None => None,
        };
        let found = Found { request, analysed, limit: log_limit(&o.analysis) };
        self.messages.analysed(&found);
        if let Some(analysis) = &whole {
            dumps::of_graphs(analysis, &o.graph, log)?;
        }
        let (action, description) = action.unzip();
        self.rerun = description.filter(|_| o.results.rerun.is_some());
        self.messages.building(&self.call.requested(request), action.as_deref());
        self.display = Some(Display::start(&self.progress, log, self.timings(request)));
        Ok(whole.filter(|_| asks_for_input).map(|analysis| analysis.wanted()))
    }

    fn executed(&mut self, session: &Session, request: &Request, _: &Analysed, _: bool) {
        // Ends the display before anything is printed, as results may go to the terminal, too.
        self.display = None;
        self.messages.executed(&session.origins(request));
    }

    fn build_failed(
        &mut self,
        session: &Session,
        request: &Request,
        failure: &BuildFailure,
        is_last: bool,
    ) -> Exit {
        let Call { o, log, .. } = self.call;
        if failure.is_undefined() && is_last {
            log.say(Level::Error, "The description keeps changing while it is being built.");
        }
        let origins = session.origins(request);
        self.messages.failed(failure, &origins, o.results.keep_going);
        Exit::BuildFailure
    }

    fn deliver(
        &mut self,
        session: &Session,
        request: &Request,
        analysed: &Analysed,
        results: &Results,
    ) -> Result<Exit, Undelivered<Exit>> {
        let Call { o, log, again, .. } = self.call;
        if !log.is_as_reference() {
            // The line about what was built is the last one.
            warn_of_cache(session.cache_warning(), log);
        }
        let comparison = again.as_ref().map(|again| &*again.comparison);
        if let Some(RebuildOutput { comparison, dump: Some(path) }) = again {
            comparison.dump(path, log)?;
        }
        let compared = comparison.map(Comparison::figures);
        self.messages.processed(results.actions, session.cache_hits(results.actions), compared.as_ref());
        // The inputs were built as the results of the request (`turn_to_input`).
        if let Some(action) = &self.rerun {
            let limit = time_limit(&o.execution);
            return Ok(rerun::run(action, self.store, results, limit, log)?);
        }
        let owner = request.owner();
        let delivery = Delivery { store: self.store, results, owner: &owner, o: &o.results, log };
        let exit = results::deliver(&delivery, self.destination, &*self.messages)?;
        voice::of(log).cached_exports(&session.cache_exports(analysed), analysed, log);
        let tainted: Vec<&str> = analysed.tainted.iter().map(Str::as_str).collect();
        self.messages.ended(&tainted, exit == Exit::FailedArtifacts);
        Ok(exit)
    }
}

impl RunningCall<'_> {
    /// The function that reads the times that actions took in earlier calls.
    fn timings(&self, request: &Request) -> Option<ReadTimings> {
        let (store, repositories) = (self.store.clone(), request.repositories.clone());
        let read = move || {
            let logs = EventLogs::of(&store, &repositories);
            // Without logs there is no estimate of the time left, and nothing else is lost.
            logs.map(|logs| logs.timings()).unwrap_or_default()
        };
        self.is_timed.then(|| Box::new(read) as ReadTimings)
    }
}

impl Caller for RunningCall<'_> {
    type Stop = Exit;

    fn request(&mut self) -> Result<UnresolvedRequest, Exit> {
        // Read again for each further try, since the configuration may have changed meanwhile.
        let Call { o, log, .. } = *self.call;
        let again = || request::request(&o.common, &o.analysis, &self.roots, log);
        self.first.take().map_or_else(again, Ok)
    }

    fn not_understood(&mut self, error: &SetupError) -> Exit {
        report_error(error, self.call.log)
    }

    fn requested(&mut self, request: &Request) {
        let log = self.call.log;
        voice::of(log).requested(request, log);
        self.call.reporting.requested(request);
        self.messages.requested(&request.repositories, voice::of(log).name_of_request(request, log));
    }

    fn on_retry(&mut self, why: Retry) {
        if why == Retry::LostRoots {
            self.roots.verify();
        }
        self.messages.on_retry(why);
    }

    fn warn_of_cache(&mut self, text: String) {
        warn_of_cache(Some(text), self.call.log);
    }
}
