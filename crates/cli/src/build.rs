//! `build`, `install` and `rebuild`: from a request to artifacts.

use std::{path::Path, sync::Arc};

use taut_driver::{
    Basis, BuildOptions, Built, Counts, Diagnostics, Ended, Events, History, Meaning, Request, RequestKey,
    Runs, Session, Traces, graph::ActionGraph, joined,
};
use taut_store::Store;
use taut_value::{NamedTarget, Str};

use crate::{
    compare::Comparison,
    diagnostics, dumps,
    exit::Exit,
    findings,
    interruption::Interruption,
    log::{Level, Log},
    options::{Build, Install, Rebuild},
    printer::Printer,
    profile::{Profile, with_profile},
    progress::{Display, Progress},
    recall::{self, Report, Told},
    report,
    reproduce::Reproduction,
    request,
    results::{self, Destination, Undelivered},
    retry::{LOST_OBJECTS, MAX_TRIES},
    settings::{analysis_options, build_options, log_limit},
    surroundings::{Name, is_address, open_store},
};

/// Runs `build`.
pub(crate) fn build(name: Name, o: &Build, log: &Arc<Log>) -> Exit {
    with_profile(Profile::asked_for("build", &o.analysis, &o.execution), log, |profile| {
        let call = Call { name, o, log, profile, again: None };
        call.run(&Destination::Nowhere)
    })
}

/// Runs `install`.
pub(crate) fn install(name: Name, o: &Install, log: &Arc<Log>) -> Exit {
    with_profile(Profile::asked_for("install", &o.build.analysis, &o.build.execution), log, |profile| {
        let call = Call { name, o: &o.build, log, profile, again: None };
        call.run(&Destination::Directory { path: &o.output_dir, prune: o.prune })
    })
}

/// Runs `rebuild`.
pub(crate) fn rebuild(name: Name, o: &Rebuild, log: &Arc<Log>) -> Exit {
    let asked = Profile::asked_for("rebuild", &o.build.analysis, &o.build.execution);
    with_profile(asked, log, |profile| {
        if let Some(address) = o.vs.as_deref().filter(|vs| *vs != "local") {
            let what = if is_address(address) {
                format!("Comparing with a remote cache (--vs {address}) is not supported yet.")
            } else {
                format!("Failed to set cache endpoint address {address:?}")
            };
            log.say(Level::Error, what);
            return Err(Exit::Environment);
        }
        let again = Again { comparison: Comparison::new(log), dump: o.dump_flaky.as_deref() };
        let call = Call { name, o: &o.build, log, profile, again: Some(again) };
        call.run(&Destination::Nowhere)
    })
}

/// What running everything again finds, and where that goes.
struct Again<'o> {
    comparison: Arc<Comparison>,
    dump: Option<&'o Path>,
}

/// What a call is made of once its words are understood.
struct Made {
    request: Request,
    store: Store,
    options: BuildOptions,
    printer: Arc<Printer>,
    progress: Arc<Progress>,
    interruption: Interruption,
    session: Session,
}

/// Why a call comes to no result.
enum Stop {
    /// It failed; that has been told.
    Failed(Exit),
    /// What was to be built is not what the description says any more.
    Changed,
    /// Something was not in the store that was taken to be there; it is made again by who begins anew.
    Lost,
}

impl From<Exit> for Stop {
    fn from(exit: Exit) -> Stop {
        Stop::Failed(exit)
    }
}

struct Call<'o> {
    name: Name,
    o: &'o Build,
    log: &'o Arc<Log>,
    profile: Option<&'o Arc<Profile>>,
    again: Option<Again<'o>>,
}

impl Call<'_> {
    fn run(&self, destination: &Destination<'_>) -> Result<Exit, Exit> {
        let Call { name, o, log, .. } = *self;
        request::check(&o.common, &o.stores, &o.execution, log)?;
        let interruption = Interruption::watch(log);
        let mut store = None;
        let mut tries = 0;
        loop {
            tries += 1;
            let request = request::request(&o.common, &o.analysis, log)?;
            if let Some(profile) = self.profile {
                profile.requested(&request);
            }
            let (store, printer) = match &store {
                Some(opened) => opened,
                None => {
                    let opened = open_store(name, &o.stores, log).ok_or(Exit::Environment)?;
                    let printer = Printer::new(name, &o.stores, log, &opened);
                    store.insert((opened, printer))
                }
            };
            let made = self.make(request, store.clone(), printer.clone(), interruption.clone())?;
            let done = self.go(&made, destination, tries == MAX_TRIES);
            recall::tell_trouble(made.session.trouble(), log);
            made.session.close();
            match done {
                Ok(exit) => {
                    made.session.leave();
                    return Ok(exit);
                }
                Err(Stop::Failed(exit)) => return Err(exit),
                Err(Stop::Changed) => {
                    made.printer.begin_anew();
                    log.say(Level::Info, "The description changed while it was being built: beginning anew.");
                }
                Err(Stop::Lost) => {
                    made.printer.begin_anew();
                    log.say(Level::Warn, LOST_OBJECTS);
                }
            }
        }
    }

    fn make(
        &self,
        request: Request,
        store: Store,
        printer: Arc<Printer>,
        interruption: Interruption,
    ) -> Result<Made, Exit> {
        let Call { o, log, .. } = *self;
        let progress = Arc::new(Progress::default());
        let mut all: Vec<Arc<dyn Events>> = vec![printer.clone(), progress.clone()];
        all.extend(self.profile.map(|profile| profile.clone() as Arc<dyn Events>));
        all.extend(self.again.as_ref().map(|again| again.comparison.clone() as Arc<dyn Events>));
        let events: Arc<dyn Events> = Arc::new(all);

        let how = analysis_options(&o.common, &o.analysis);
        let options = build_options(&o.common, &o.execution, &o.results, self.again.is_some(), log)?;
        let runs = match &self.again {
            None => recall::runs(&request, &o.analysis, &store, &Meaning::of_build(&options)),
            Some(_) => Runs::none(),
        };
        let session = Session::of_request(&request, how, &store, &runs, &options, &events);
        Ok(Made { request, store, options, printer, progress, interruption, session })
    }

    /// `is_last`: whether there is no use in finding that the description has changed meanwhile.
    fn go(&self, made: &Made, destination: &Destination<'_>, is_last: bool) -> Result<Exit, Stop> {
        let Call { o, log, .. } = *self;
        let Made { request, store, options, printer, progress, interruption, session } = made;
        let place = self.place(request, store, options);
        let mut report = None;
        let is_sound = |bytes: &[u8]| {
            report = Report::decode(bytes.to_vec()).filter(|report| report.is_backed_by(store));
            report.is_some()
        };
        let known = place.as_ref().map(|(traces, key)| session.recall_request(traces, *key, is_sound));
        let mut known = known.unwrap_or_default();
        let analysed = known.analysed.take();
        let analysed = analysed.and_then(|(told, wanted, basis)| Some((Told::decode(told)?, wanted, basis)));
        let analysed = match (analysed, report) {
            (Some((told, ..)), Some(report)) => {
                return self.tell_again(&told, &report, made, destination, is_last);
            }
            // What was told of analysis cannot be read.
            (None, Some(_)) => None,
            (analysed, None) => analysed,
        };
        let history = self.history(request, store);
        let note = |ended| {
            if let Some(history) = &history {
                session.note(history, request, self.word(destination), ended);
            }
        };
        let wrong = |problems: Diagnostics| {
            note(Ended::InAnalysis);
            self.analysis_failed(&problems)
        };
        // All that was reached; where only the sum of it is needed, whoever needs more asks for it.
        let mut whole = None;
        let (told, wanted, basis) = match analysed {
            Some((told, wanted, basis)) => {
                told.said.iter().for_each(|said| log.say_again(said));
                interruption.ends(session)?;
                (told, wanted, basis)
            }
            None if place.is_some() => {
                log.record();
                let survey = session.survey(request, &known).map_err(wrong)?;
                interruption.ends(session)?;
                findings::tell_survey(&survey, &o.analysis, log);
                let tainted = findings::taint(&survey.analysed);
                findings::tell_taint(&tainted, log);
                let Counts { actions, overlays, trees, blobs, run_each_time, .. } = survey.counts;
                log.say(Level::Info, report::discovered(actions, overlays, trees, blobs));
                log.say(Level::Info, self.announcement(request, None));
                let told = Told {
                    said: log.recorded(),
                    tainted,
                    actions,
                    runs_each_time: run_each_time > 0,
                    ..Told::default()
                };
                let basis = survey.basis();
                (told, survey.wanted, basis)
            }
            None => {
                let mut analysis = session.analyse(request).map_err(wrong)?;
                interruption.ends(session)?;
                let action = findings::tell_analysed(&mut analysis, &o.analysis, log)?;
                let tainted = findings::taint(&analysis.analysed);
                findings::tell_taint(&tainted, log);
                let graph = analysis.graph();
                let (actions, overlays, trees) =
                    (graph.actions.len(), graph.overlays.len(), graph.trees.len());
                log.say(Level::Info, report::discovered(actions, overlays, trees, graph.blobs.len()));
                dumps::of_graphs(&analysis, &o.graph, log)?;
                log.say(Level::Info, self.announcement(request, action));
                let told =
                    Told { tainted, actions, runs_each_time: graph.runs_each_time(), ..Told::default() };
                let wanted = analysis.wanted();
                whole = Some((analysis, Arc::new(graph)));
                (told, wanted, Basis::default())
            }
        };
        let origins: (Basis, Option<Arc<ActionGraph>>) =
            (basis.clone(), whole.as_ref().map(|(_, graph)| graph.clone()));
        progress.expect(told.actions, move |id| match &origins {
            (_, Some(graph)) => Some(graph.first_origin(id)),
            (basis, None) => basis.origin(id),
        });

        if let Some(profile) = self.profile {
            profile.build_begins();
        }
        let display = Display::start(progress, log);
        let built = session.build_described(&wanted, &basis);
        drop(display);
        if let Some(profile) = self.profile {
            profile.build_ends();
        }
        note(if built.is_ok() { Ended::Well } else { Ended::InExecution });
        interruption.check()?;
        let (processed, hits) = session.counts();
        let built = match built {
            Ok(built) => built,
            Err(failure) => {
                if failure.is_undefined {
                    if !is_last {
                        return Err(Stop::Changed);
                    }
                    log.say(Level::Error, "The description keeps changing while it is being built.");
                } else if failure.is_lost && !is_last {
                    return Err(Stop::Lost);
                } else if let Some((traces, key)) = &place {
                    session.keep(traces, *key, &basis, &told.encode(), None);
                }
                let (analysis, graph) = match whole {
                    Some(whole) => whole,
                    None => {
                        let analysis = match session.analyse(request) {
                            Ok(analysis) => analysis,
                            // It was sound just now.
                            Err(_) if !is_last => return Err(Stop::Changed),
                            Err(problems) => return Err(self.analysis_failed(&problems).into()),
                        };
                        let graph = Arc::new(analysis.graph());
                        (analysis, graph)
                    }
                };
                let words = std::env::args();
                let by_hand =
                    if self.again.is_some() { Reproduction::none() } else { Reproduction::of_call(words) };
                printer.tell_failures(|id| graph.origins(id), &by_hand);
                let origins = |id: &_| analysis.origins_of_overlay(id);
                results::tell_failure(
                    &failure,
                    origins,
                    printer.count_of_failures(),
                    o.results.keep_going,
                    log,
                );
                return Err(Exit::BuildFailure.into());
            }
        };
        match &self.again {
            None => {
                log.say(Level::Info, report::processed(processed, hits));
            }
            Some(Again { comparison, dump }) => {
                if let Some(path) = dump {
                    comparison.dump(path, log)?;
                }
                log.say(Level::Info, comparison.summary());
            }
        }
        let exit = results::deliver(store, &built, destination, &request.owner(), &o.results, log)
            .map_err(|undelivered| self.stop(undelivered, is_last))?;
        findings::tell_taint(&told.tainted, log);
        if exit == Exit::FailedArtifacts {
            log.say(Level::Warn, "Build result contains failed artifacts.");
        }
        if let Some((traces, key)) = place {
            let is_to_be_told_again = exit != Exit::FailedArtifacts && !told.runs_each_time;
            let report = is_to_be_told_again.then(|| {
                let objects = |built: &[(Str, Built)]| {
                    built.iter().map(|(path, built)| (path.clone(), built.info)).collect()
                };
                let (artifacts, runfiles) = (objects(&built.artifacts), objects(&built.runfiles));
                let outputs = printer.outputs();
                Report { outputs, actions: processed, artifacts, runfiles }.encode()
            });
            session.keep(&traces, key, &basis, &told.encode(), report);
        }
        Ok(exit)
    }

    /// Where the record of what ran is kept. Calls that believe nothing know no reasons.
    fn history(&self, request: &Request, store: &Store) -> Option<History> {
        if self.again.is_some() || self.o.analysis.no_trace {
            None
        } else {
            History::of(store, &request.repositories).ok()
        }
    }

    /// The subcommand.
    fn word(&self, destination: &Destination<'_>) -> &'static str {
        match destination {
            _ if self.again.is_some() => "rebuild",
            Destination::Nowhere => "build",
            Destination::Directory { .. } => "install",
        }
    }

    /// Where the report of the call is kept: nowhere if it asks for more than what reports hold.
    fn place(
        &self,
        request: &Request,
        store: &Store,
        options: &BuildOptions,
    ) -> Option<(Traces, RequestKey)> {
        if self.again.is_some() || self.o.graph.any() {
            return None;
        }
        recall::place(request, &self.o.analysis, store, self.log, &Meaning::of_build(options))
    }

    /// What becomes of the call when results are not where they belong.
    fn stop(&self, undelivered: Undelivered, is_last: bool) -> Stop {
        match undelivered {
            Undelivered::Lost(_) if !is_last => Stop::Lost,
            told => told.tell(self.log).into(),
        }
    }

    /// Nothing has changed since the call that the report is of.
    fn tell_again(
        &self,
        told: &Told,
        report: &Report,
        Made { request, store, printer, .. }: &Made,
        destination: &Destination<'_>,
        is_last: bool,
    ) -> Result<Exit, Stop> {
        told.said.iter().for_each(|said| self.log.say_again(said));
        report.outputs.iter().for_each(|output| printer.tell(output));
        self.log.say(Level::Info, report::processed(report.actions, report.actions));
        let (results, owner) = (report.results(), request.owner());
        let exit = results::deliver(store, &results, destination, &owner, &self.o.results, self.log)
            .map_err(|undelivered| self.stop(undelivered, is_last))?;
        findings::tell_taint(&told.tainted, self.log);
        Ok(exit)
    }

    fn announcement(&self, request: &Request, action: Option<String>) -> String {
        let word = if self.again.is_some() { "Rebuilding" } else { "Building" };
        let input = action.map(|action| format!(" input of action {action} of")).unwrap_or_default();
        let limit = log_limit(&self.o.analysis);
        let shown =
            |target: &NamedTarget| report::configured(&target.clone().into(), &request.configuration, limit);
        format!("{word}{input} {}.", joined(request.targets.iter().map(shown)))
    }

    fn analysis_failed(&self, problems: &Diagnostics) -> Exit {
        let errors = diagnostics::tell(problems, Level::Error, self.log);
        if let Some(profile) = self.profile {
            profile.analysis_failed(errors);
        }
        Exit::AnalysisFailure
    }
}
