//! `build`, `install` and `rebuild`: from a request to artifacts.

use std::{path::Path, sync::Arc};

use taut_driver::{
    Analysed, Anew, BuildFailure, Client, Diagnostics, Pass, Request, Results, Run, Session, Sink,
    Undelivered, Wanted, joined,
};
use taut_store::Store;
use taut_syntax::quoted;
use taut_value::NamedTarget;

use crate::{
    compare::Comparison,
    dumps,
    exit::Exit,
    failures::{self, Defined},
    findings,
    interruption::Interruption,
    log::{Level, Log},
    options::{Build, Install, Rebuild},
    printer::Printer,
    profile::Profile,
    progress::{Display, Progress},
    report,
    reporting::{Reporting, reported, warn_of_cache},
    reproduce::Reproduction,
    request,
    results::{self, Destination},
    retry::LOST_OBJECTS,
    settings::{analysis_options, build_options, log_limit},
    surroundings::{Name, is_address, open_store},
};

/// Runs `build`.
pub(crate) fn build(name: Name, o: &Build, log: &Arc<Log>) -> Exit {
    let profile = Profile::asked_for("build", &o.analysis, &o.execution);
    reported("build", !o.analysis.no_trace, profile, log, |reporting| {
        let call = Call { name, o, log, reporting, again: None };
        call.run(&Destination::Nowhere)
    })
}

/// Runs `install`.
pub(crate) fn install(name: Name, o: &Install, log: &Arc<Log>) -> Exit {
    let profile = Profile::asked_for("install", &o.build.analysis, &o.build.execution);
    reported("install", !o.build.analysis.no_trace, profile, log, |reporting| {
        let call = Call { name, o: &o.build, log, reporting, again: None };
        call.run(&Destination::Directory { path: &o.output_dir, prune: o.prune })
    })
}

/// Runs `rebuild`.
pub(crate) fn rebuild(name: Name, o: &Rebuild, log: &Arc<Log>) -> Exit {
    let asked = Profile::asked_for("rebuild", &o.build.analysis, &o.build.execution);
    reported("rebuild", false, asked, log, |reporting| {
        if let Some(address) = o.vs.as_deref().filter(|vs| *vs != "local") {
            let what = if is_address(address) {
                format!("Comparing with a remote cache (--vs {address}) is not supported yet.")
            } else {
                format!("Failed to set cache endpoint address {}", quoted(address))
            };
            log.say(Level::Error, what);
            return Err(Exit::Environment);
        }
        let again = Again { comparison: Comparison::new(log), dump: o.dump_flaky.as_deref() };
        let call = Call { name, o: &o.build, log, reporting, again: Some(again) };
        call.run(&Destination::Nowhere)
    })
}

/// What running everything again finds, and where that goes.
struct Again<'o> {
    comparison: Arc<Comparison>,
    dump: Option<&'o Path>,
}

/// A call while it runs.
struct Running<'c> {
    call: &'c Call<'c>,
    /// The request, until it is run for the first time.
    first: Option<Request>,
    destination: &'c Destination<'c>,
    store: &'c Store,
    printer: Arc<Printer>,
    progress: Arc<Progress>,
    /// Shows progress from the end of analysis to that of execution.
    display: Option<Display>,
    interruption: Interruption,
}

struct Call<'o> {
    name: Name,
    o: &'o Build,
    log: &'o Arc<Log>,
    reporting: &'o Reporting,
    again: Option<Again<'o>>,
}

impl Call<'_> {
    fn run(&self, destination: &Destination<'_>) -> Result<Exit, Exit> {
        let Call { name, o, log, .. } = *self;
        request::check(&o.common, &o.stores, &o.execution, log)?;
        let interruption = Interruption::watch(log);
        interruption.ends_log(&self.reporting.log);
        // What is wrong with the words is told before the build root is made.
        let first = Some(self.request()?);
        let store = open_store(name, &o.stores, log).ok_or(Exit::Environment)?;
        self.reporting.keep_in(&store);
        let printer = Printer::new(name, &o.stores, log, &store);
        let progress = Arc::new(Progress::default());
        let mut all: Vec<Arc<dyn Sink>> = vec![printer.clone(), progress.clone()];
        all.extend(self.reporting.sinks());
        all.extend(self.again.as_ref().map(|again| again.comparison.clone() as Arc<dyn Sink>));
        let sink: Arc<dyn Sink> = Arc::new(all);
        let options = build_options(&o.common, &o.execution, &o.results, self.again.is_some(), log)?;
        let run = Run {
            store: &store,
            analysis: analysis_options(&o.common, &o.analysis),
            options: &options,
            sink: &sink,
            is_cached: self.reporting.uses_state,
            reports_all_actions: self.reporting.profile.is_some(),
        };
        let (store, display) = (&store, None);
        run.go(&mut Running {
            call: self,
            first,
            destination,
            store,
            printer,
            progress,
            display,
            interruption,
        })
    }

    fn request(&self) -> Result<Request, Exit> {
        request::request(&self.o.common, &self.o.analysis, self.log)
    }

    fn announcement(&self, request: &Request, action: Option<String>) -> String {
        let word = if self.again.is_some() { "Rebuilding" } else { "Building" };
        let input = action.map(|action| format!(" input of action {action} of")).unwrap_or_default();
        format!("{word}{input} {}.", self.requested(request))
    }

    /// The requested targets, as messages name them.
    fn requested(&self, request: &Request) -> String {
        let limit = log_limit(&self.o.analysis);
        let shown =
            |target: &NamedTarget| report::configured(&target.clone().into(), &request.configuration, limit);
        joined(request.targets.iter().map(shown))
    }
}

impl Pass for Running<'_> {
    type Stop = Exit;
    type Done = Exit;

    fn goes_on(&mut self, session: &Session) -> Result<(), Exit> {
        self.interruption.ends(session)
    }

    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> Exit {
        let Call { o, log, .. } = *self.call;
        request::tell_problems(problems, request, &o.analysis.target, log);
        Exit::AnalysisFailure
    }

    fn analysed(
        &mut self,
        session: &Session,
        request: &Request,
        analysed: &Arc<Analysed>,
    ) -> Result<Option<Wanted>, Exit> {
        let Call { o, log, .. } = *self.call;
        let asks_for_input = o.analysis.request_action_input.is_some();
        let mut whole = if asks_for_input || o.graph.any() {
            Some(
                session
                    .whole_analysis(request)
                    .map_err(|problems| self.analysis_failed(request, &problems))?,
            )
        } else {
            None
        };
        findings::tell_warnings(analysed, request, log);
        findings::tell_unused(analysed, request, &o.analysis, log);
        let action = match &mut whole {
            Some(analysis) => findings::turn_to_input(analysis, &o.analysis, log)?,
            None => None,
        };
        findings::tell_targets(analysed, request, &o.analysis, log);
        findings::tell_taint(&analysed.tainted, log);
        let counts = &analysed.counts;
        let discovered = report::discovered(counts.actions, counts.overlays, counts.trees, counts.blobs);
        log.say(Level::Info, discovered);
        if let Some(analysis) = &whole {
            dumps::of_graphs(analysis, &o.graph, log)?;
        }
        log.say(Level::Info, self.call.announcement(request, action));
        self.display = Some(Display::start(&self.progress, log));
        Ok(whole.filter(|_| asks_for_input).map(|analysis| analysis.wanted()))
    }

    fn executed(&mut self, _: &Session, _: &Request, _: &Analysed, _: bool) {
        self.display = None;
    }

    fn build_failed(
        &mut self,
        session: &Session,
        request: &Request,
        failure: &BuildFailure,
        is_last: bool,
    ) -> Exit {
        let Call { o, log, again, .. } = self.call;
        if failure.is_undefined() && is_last {
            log.say(Level::Error, "The description keeps changing while it is being built.");
        }
        let by_hand =
            if again.is_some() { Reproduction::none() } else { Reproduction::of_call(std::env::args()) };
        let origins = session.origins(request);
        let defined = Defined {
            action: &|id| origins.of(id),
            overlay: &|id| origins.of_overlay(id),
            requested: self.call.requested(request),
        };
        failures::tell(failure, &defined, &self.printer, &by_hand, o.results.keep_going);
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
        match again {
            None => {
                let hits = session.cache_hits(results.actions);
                log.say(Level::Info, report::processed(results.actions, hits));
            }
            Some(Again { comparison, dump }) => {
                if let Some(path) = dump {
                    comparison.dump(path, log)?;
                }
                log.say(Level::Info, comparison.summary());
            }
        }
        let owner = request.owner();
        let exit = results::deliver(self.store, results, self.destination, &owner, &o.results, log)?;
        findings::tell_taint(&analysed.tainted, log);
        if exit == Exit::FailedArtifacts {
            log.say(Level::Warn, "Build result contains failed artifacts.");
        }
        Ok(exit)
    }
}

impl Client for Running<'_> {
    fn request(&mut self) -> Result<Request, Exit> {
        let request = self.first.take().map_or_else(|| self.call.request(), Ok)?;
        self.call.reporting.requested(&request);
        Ok(request)
    }

    fn begins_anew(&mut self, why: Anew) {
        self.printer.begin_anew();
        match why {
            Anew::Changed => {
                let text = "The description changed while it was being built: beginning anew.";
                self.call.log.say(Level::Info, text);
            }
            Anew::Lost => self.call.log.say(Level::Warn, LOST_OBJECTS),
        }
    }

    fn warn_of_cache(&mut self, text: String) {
        warn_of_cache(Some(text), self.call.log);
    }
}
