//! `build`, `install` and `rebuild`: from a request to artifacts.

use std::{path::Path, sync::Arc};

use taut_driver::{
    Analysed, BuildFailure, Diagnostics, EventLogs, Pass, Request, Results, Run, Session, Sink, Undelivered,
    WantedArtifacts, joined,
};
use taut_value::{ActionDescription, NamedTarget, Str};

use crate::{
    call::{self, BuildCall, OpenCall},
    compare::Comparison,
    dumps,
    environment::is_address,
    exit::Exit,
    findings,
    log::{Level, Log},
    options::{Build, Install, Rebuild},
    profile::Profile,
    progress::{Display, ReadTimings},
    report,
    reporting::{reported, warn_of_cache},
    request, rerun,
    results::{self, Delivery, Destination},
    settings::log_limit,
    tool_name::Name,
    voice::{self, AnalysisOutcome},
};

/// Runs `build`.
pub(crate) fn build(name: Name, o: &Build, log: &Arc<Log>) -> Exit {
    let profile = Profile::from_options("build", &o.analysis, &o.execution, &o.stores, log);
    reported("build", !o.analysis.no_trace, profile, log, |reporting| {
        let call = BuildCall { name, o, log, reporting, product: None };
        run_command(call, &Destination::Nowhere, None)
    })
}

/// Runs `install`.
pub(crate) fn install(name: Name, o: &Install, log: &Arc<Log>) -> Exit {
    let profile =
        Profile::from_options("install", &o.build.analysis, &o.build.execution, &o.build.stores, log);
    reported("install", !o.build.analysis.no_trace, profile, log, |reporting| {
        let call = BuildCall { name, o: &o.build, log, reporting, product: None };
        let destination =
            Destination::Directory { path: &o.output_dir, prune: o.prune, remember: o.remember };
        run_command(call, &destination, None)
    })
}

/// Runs `rebuild`.
pub(crate) fn rebuild(name: Name, o: &Rebuild, log: &Arc<Log>) -> Exit {
    let profile =
        Profile::from_options("rebuild", &o.build.analysis, &o.build.execution, &o.build.stores, log);
    // Build state says what need not run, and `rebuild` runs all of it.
    reported("rebuild", false, profile, log, |reporting| {
        if let Some(address) = o.vs.as_deref().filter(|vs| *vs != "local" && !is_address(vs)) {
            let what = voice::of(log).bad_comparison(address);
            log.say(Level::Error, what);
            return Err(Exit::Environment);
        }
        let (comparison, dump) = (Comparison::new(log), o.dump_flaky.as_deref());
        let again = RebuildOutput { comparison, dump, vs: o.vs.as_deref() };
        let call = BuildCall { name, o: &o.build, log, reporting, product: None };
        run_command(call, &Destination::Nowhere, Some(&again))
    })
}

/// The comparison of `rebuild`, and the file for its results.
struct RebuildOutput<'o> {
    comparison: Arc<Comparison>,
    dump: Option<&'o Path>,
    /// Where the results are that those of now are compared with; `None`: where actions are executed.
    vs: Option<&'o str>,
}

/// A call while it runs.
struct RunningCall<'c> {
    open: &'c OpenCall<'c>,
    destination: &'c Destination<'c>,
    again: Option<&'c RebuildOutput<'c>>,
    /// Shows progress from the end of analysis to that of execution.
    display: Option<Display>,
    /// The action that is run alone, if one is.
    rerun: Option<Arc<ActionDescription>>,
    /// Whether the times that actions took in earlier calls are read.
    is_timed: bool,
}

/// Runs a call. `again`: what is done with the comparison, if actions are run again.
fn run_command(
    call: BuildCall<'_>,
    destination: &Destination<'_>,
    again: Option<&RebuildOutput<'_>>,
) -> Result<Exit, Exit> {
    let BuildCall { o, log, reporting, .. } = call;
    request::check(&o.common, &o.stores, &o.execution, log)?;
    voice::of(log).write_strategy(o.results.target_cache_write_strategy.as_deref(), log);
    let (open, mut caller) = call.open(again.is_some())?;
    // As sinks, since comparisons come as events of single actions, from several threads.
    let comparison = again.map(|again| again.comparison.clone() as Arc<dyn Sink>);
    let own = [open.messages.clone() as Arc<dyn Sink>].into_iter().chain(comparison);
    let sink = call::sinks(own, &open.progress, reporting);
    let options = open.options(again.map(|again| again.vs))?;
    let run = Run { reports_all_actions: reporting.profile.is_some(), ..open.run(&options, &sink) };
    let (display, rerun, is_timed) = (None, None, reporting.uses_state);
    let mut running = RunningCall { open: &open, destination, again, display, rerun, is_timed };
    open.ended(run.run(&mut caller, &mut running))
}

/// The requested targets, as the reference's messages name them.
fn requested(request: &Request, o: &Build) -> String {
    let limit = log_limit(&o.analysis);
    let shown =
        |target: &NamedTarget| report::configured(&target.clone().into(), &request.configuration, limit);
    joined(request.targets.iter().map(shown))
}

impl Pass for RunningCall<'_> {
    type Stop = Exit;
    type Done = Exit;

    fn may_continue(&mut self, session: &Session) -> Result<(), Exit> {
        self.open.interruption.stop_on_signal(session)
    }

    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> Exit {
        let BuildCall { o, log, .. } = self.open.call;
        request::report_problems(problems, request, &o.analysis.target, log)
    }

    fn analysed(
        &mut self,
        session: &Session,
        request: &Request,
        analysed: &Arc<Analysed>,
    ) -> Result<Option<WantedArtifacts>, Exit> {
        let BuildCall { o, log, .. } = self.open.call;
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
        let shows_known =
            voice::of(log).repeats_warnings() || log.wants(Level::Debug) || o.results.show_cached_output;
        if shows_known || session.has_analysed(request) {
            findings::report_warnings(analysed, request, log);
            findings::warn_of_unused_variables(analysed, request, &o.analysis, log);
        } else {
            self.open.messages.note_known_warnings(findings::count_warnings(
                analysed,
                request,
                &o.analysis,
                log,
            ));
        }
        let action = match &mut whole {
            Some(analysis) => findings::turn_to_input(analysis, &o.analysis, log)?,
            None => None,
        };
        let found = AnalysisOutcome { request, analysed, limit: log_limit(&o.analysis) };
        self.open.messages.analysed(&found);
        if let Some(analysis) = &whole {
            dumps::of_graphs(analysis, &o.graph, log)?;
        }
        let (action, description) = action.unzip();
        self.rerun = description.filter(|_| o.results.rerun.is_some());
        self.open.messages.building(&requested(request, o), action.as_deref());
        // From here on, since analysis is fast as a rule, and messages about it should not compete with a display.
        self.display = Some(Display::start(&self.open.progress, log, self.timings(request)));
        Ok(whole.filter(|_| asks_for_input).map(|analysis| analysis.wanted()))
    }

    fn executed(&mut self, session: &Session, request: &Request, _: &Analysed, _: bool) {
        // Ends the display before anything is printed, as results may go to the terminal, too.
        self.display = None;
        self.open.messages.executed(&session.origins(request));
    }

    fn build_failed(&mut self, session: &Session, request: &Request, failure: &BuildFailure) -> Exit {
        let origins = session.origins(request);
        self.open.messages.failed(failure, &origins);
        Exit::BuildFailure
    }

    fn deliver(
        &mut self,
        session: &Session,
        request: &Request,
        analysed: &Analysed,
        results: &Results,
    ) -> Result<Exit, Undelivered<Exit>> {
        let BuildCall { o, log, .. } = self.open.call;
        let again = self.again;
        // Under the name `just` results are the last lines, so warnings come before them.
        if voice::of(log).ends_with_result() {
            warn_of_cache(session.cache_warning(), log);
        }
        let comparison = again.map(|again| &*again.comparison);
        if let Some(RebuildOutput { comparison, dump: Some(path), .. }) = again {
            comparison.dump(path, log)?;
        }
        let compared = comparison.map(Comparison::figures);
        self.open.messages.processed(results.actions, session.cache_hits(results.actions), compared.as_ref());
        // The inputs were built as the results of the request (`turn_to_input`).
        if let Some(action) = &self.rerun {
            let limit = o.execution.time_limit();
            return Ok(rerun::run(action, &self.open.store, results, limit, log)?);
        }
        let owner = request.owner();
        let delivery = Delivery { store: &self.open.store, results, owner: &owner, o: &o.results, log };
        let exit = results::deliver(&delivery, self.destination, &*self.open.messages)?;
        if self.open.call.name == Name::Just {
            // The reference does so. Nothing that taut builds needs it.
            session.put_cached_exports_together(analysed);
        }
        voice::of(log).cached_exports(&session.cache_exports(analysed), analysed, log);
        let tainted: Vec<&str> = analysed.tainted.iter().map(Str::as_str).collect();
        self.open.messages.ended(&tainted, exit == Exit::FailedArtifacts);
        Ok(exit)
    }
}

impl RunningCall<'_> {
    /// The function that reads the times that actions took in earlier calls.
    fn timings(&self, request: &Request) -> Option<ReadTimings> {
        let (store, repositories) = (self.open.store.clone(), request.repositories.clone());
        let read = move || {
            let logs = EventLogs::of(&store, &repositories);
            // Without logs there is no estimate of the time left, and nothing else is lost.
            logs.map(|logs| logs.timings()).unwrap_or_default()
        };
        self.is_timed.then(|| Box::new(read) as ReadTimings)
    }
}
