//! A round of `watch`: builds, installs, and reports what was done and which results changed.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Instant, SystemTime};

use taut_digest::ObjectInfo;
use taut_driver::{
    Analysed, BuildFailure, BuildPass, Built, Diagnostics, Failed, Pass, Request, Results, Session,
    SetupError, Undelivered, WantedArtifacts, event::Status,
};
use taut_store::Store;
use taut_value::Str;

use super::{
    MAX_SHOWN, SessionEnd, WatchState, Watcher, database::Commands, feedback::Feedback, paths::what_changed,
};
use crate::{
    exit::Exit,
    findings,
    interruption::Interruption,
    log::Level,
    reporting::Reporting,
    request, results,
    setup_error::report_error,
    voice::{self, BuildMessages, count, seconds},
};

/// Why a round ends early: its failure was reported, or no more rounds are possible with this session.
enum RoundStop {
    Reported,
    EndSession(SessionEnd),
}

impl From<Exit> for RoundStop {
    fn from(exit: Exit) -> RoundStop {
        RoundStop::EndSession(exit.into())
    }
}

impl Watcher<'_> {
    /// Builds, and reports what was done. `changed`: `None` for the first round; then the paths that changed, if they
    /// are the reason for the round; `Some(None)` for a round that checks everything, and is silent if there is nothing
    /// to do.
    pub(super) fn round(
        &self,
        state: &mut WatchState,
        interruption: &Interruption,
        changed: Option<Option<&[PathBuf]>>,
    ) -> Result<(), SessionEnd> {
        // Each round has an event log of its own: `explain` answers about one round as about one call.
        let reporting = Arc::new(Reporting::of_round(!self.o.build.analysis.no_trace));
        reporting.keep_in(&state.store);
        interruption.finish_log_on_signal(&reporting.log);
        // Before anything is read: `settle` compares the times of new files with it.
        state.begin = SystemTime::now();
        // A round that checks everything is not counted.
        if changed != Some(None) {
            self.rounds.set(self.rounds.get() + 1);
        }
        // From here on events go to this round; the sink itself stays the same.
        *state.present.0.lock().unwrap_or_else(PoisonError::into_inner) =
            (self.messages(&state.store), reporting.clone());
        if let Some(Some(paths)) = changed {
            self.log.say(Level::Info, what_changed(&self.here, &state.relevant_paths(paths)));
        }
        state.history.is_built = false;
        let request = match state.session.request(&state.asked) {
            Ok(request) => request,
            Err(error) => return self.not_understood(state, error, changed.is_none()),
        };
        state.reported_words_error = None;
        if state.request.is_none() {
            voice::of(self.log).requested(&request, self.log);
        }
        reporting.requested(&request);
        let name = voice::of(self.log).name_of_request(&request, self.log);
        state.present.messages().requested(&request.repositories, name);
        let request = &*state.request.insert(request);
        let mut round = Round {
            watcher: self,
            interruption,
            changed,
            begin: Instant::now(),
            session: &state.session,
            store: &state.store,
            messages_of_build: state.present.messages(),
            history: &mut state.history,
            messages: Vec::new(),
            did_nothing: false,
        };
        let pass = BuildPass {
            session: &state.session,
            is_cached: reporting.uses_state,
            reports_all_actions: false,
            // A round finds lost roots itself: they end the session.
            repairs_roots: false,
            is_last: true,
            is_only: false,
        };
        let passed = pass.run(&mut round, request);
        let mut messages = std::mem::take(&mut round.messages);
        let done = match passed {
            Ok(()) | Err(Failed::Stopped(RoundStop::Reported)) => Ok(interruption.check()?),
            Err(Failed::Stopped(RoundStop::EndSession(over))) => Err(over),
            // Excluded by `is_last` above: the next change is the next try.
            Err(Failed::Retry(_)) => unreachable!("a round is not tried again"),
        };
        let done = done.and_then(|()| {
            messages.extend(self.keep_database(state)?);
            Ok(interruption.check()?)
        });
        let status = match &done {
            Err(SessionEnd::Exit(exit)) => exit.status(),
            Ok(()) if state.history.is_built => Status::Success,
            Ok(()) if !state.history.reported_errors.is_empty() => Status::AnalysisFailed,
            _ => Status::BuildFailed,
        };
        reporting.finish(status, self.log);
        // After the event log is complete, since these lines are the end of the round for a user.
        messages.into_iter().for_each(|text| self.log.say(Level::Info, text));
        done
    }
}

impl Watcher<'_> {
    /// The words of the command line no longer name a target, which a further change may correct. If they
    /// never did, the call is over.
    fn not_understood(
        &self,
        state: &mut WatchState,
        error: SetupError,
        is_first: bool,
    ) -> Result<(), SessionEnd> {
        if self.repairs_roots.get() && state.session.has_lost_roots() {
            return Err(SessionEnd::LostRoots);
        }
        if is_first && state.request.is_none() {
            return Err(report_error(&error, self.log).into());
        }
        // Each poll makes a round: the same error is reported once.
        if state.reported_words_error.as_ref() != Some(&error) {
            report_error(&error, self.log);
            self.log.say(Level::Info, "Nothing is built; waiting for a change.");
        }
        state.reported_words_error = Some(error);
        Ok(())
    }
}

/// What later rounds of a session use of the earlier ones.
#[derive(Default)]
pub(super) struct RoundHistory {
    /// The errors of the description that the last round reported.
    pub(super) reported_errors: Diagnostics,
    /// The analysis of the last round in which it succeeded.
    pub(super) last: Option<Arc<Analysed>>,
    /// Whether the last round built everything.
    pub(super) is_built: bool,
    /// The results of the last round that succeeded.
    pub(super) results: HashMap<Str, ObjectInfo>,
    /// What installing changes among the watched files.
    pub(super) feedback: Feedback,
    /// The commands of the compilation database.
    pub(super) commands: Option<Commands>,
}

/// A round while it runs.
struct Round<'r> {
    watcher: &'r Watcher<'r>,
    interruption: &'r Interruption,
    changed: Option<Option<&'r [PathBuf]>>,
    begin: Instant,
    session: &'r Session,
    store: &'r Store,
    messages_of_build: Arc<dyn BuildMessages>,
    history: &'r mut RoundHistory,
    /// Messages about what was done. They are written when the round is committed: for the user, the round ends with
    /// them.
    messages: Vec<String>,
    /// Whether nothing had to be analysed or built.
    did_nothing: bool,
}

impl Round<'_> {
    /// Whether something of the roots is lost that can be made again.
    fn repairs_roots(&self) -> bool {
        self.watcher.repairs_roots.get() && self.session.has_lost_roots()
    }

    fn write_messages(&mut self) {
        self.messages.drain(..).for_each(|text| self.watcher.log.say(Level::Info, text));
    }
}

impl Pass for Round<'_> {
    type Stop = RoundStop;
    type Done = ();

    fn may_continue(&mut self, _: &Session) -> Result<(), RoundStop> {
        Ok(self.interruption.check()?)
    }

    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> RoundStop {
        if self.repairs_roots() {
            return RoundStop::EndSession(SessionEnd::LostRoots);
        }
        // Errors of analysis only follow from roots that are not there.
        let of_roots = request.problems_of_roots();
        let problems = if of_roots.is_empty() { problems } else { &of_roots };
        // Compared one by one: equal errors that were found in parallel need not be merged in the same way.
        let is_new = !problems.iter().eq(self.history.reported_errors.iter());
        if self.changed != Some(None) || is_new {
            let words = &self.watcher.o.build.analysis.target;
            request::report_problems(problems, request, words, self.watcher.log);
            self.watcher.log.say(Level::Info, "Analysis failed; waiting for a change.");
        }
        self.history.reported_errors = problems.clone();
        RoundStop::Reported
    }

    fn analysed(
        &mut self,
        session: &Session,
        request: &Request,
        analysed: &Arc<Analysed>,
    ) -> Result<Option<WantedArtifacts>, RoundStop> {
        self.history.reported_errors = Diagnostics::default();
        let log = self.watcher.log;
        voice::of(log).unusable_entries(&session.take_entry_problems(), analysed, log);
        // The same value means that the analysis was replayed: its warnings were shown by the round
        // that executed it.
        if self.history.last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, analysed)) {
            findings::report_warnings(analysed, request, self.watcher.log);
        }
        self.history.last = Some(analysed.clone());
        Ok(None)
    }

    /// Reports what was done, unless that was nothing, and nothing had changed either.
    fn executed(&mut self, session: &Session, request: &Request, analysed: &Analysed, is_complete: bool) {
        self.history.is_built = is_complete;
        if is_complete {
            // What is lost from now on is another incident.
            self.watcher.verifies.set(false);
        }
        self.messages_of_build.executed(&session.origins(request));
        let done = session.done();
        let is_silent = self.changed == Some(None) && done.ran.is_empty() && done.analysed == 0;
        if is_silent || self.interruption.check().is_err() {
            return;
        }
        self.did_nothing = done.ran.is_empty() && done.cached == 0 && done.analysed == 0;
        if self.changed.is_none() && self.did_nothing && is_complete {
            let name = voice::of(self.watcher.log).name_of_request(request, self.watcher.log);
            let verb = if request.targets.iter().nth(1).is_some() { "are" } else { "is" };
            self.messages.push(format!(
                "{name} {verb} up to date ({}, {}, {})",
                count(analysed.counts.actions, "action"),
                count(analysed.counts.targets, "target"),
                seconds(self.begin.elapsed()),
            ));
            return;
        }
        let mut text = format!(
            "{}: {} analysed, {} of {} run, {} from cache, {}",
            voice::of(self.watcher.log).name_of_request(request, self.watcher.log),
            count(done.analysed, "target"),
            count(done.ran.len(), "action"),
            analysed.counts.actions,
            done.cached,
            seconds(self.begin.elapsed()),
        );
        let origins = session.origins(request);
        for id in done.ran.iter().take(MAX_SHOWN) {
            let origin = origins.first_of_all(id);
            let origin = origin.map(|origin| self.watcher.log.names().origin(&origin));
            let what = if done.failed.contains(id) { "failed" } else { "ran" };
            text.push_str(&format!("\n  {what} {}", origin.unwrap_or_else(|| format!("action {id}"))));
        }
        if done.ran.len() > MAX_SHOWN {
            text.push_str(&format!("\n  and {} more", done.ran.len() - MAX_SHOWN));
        }
        self.messages.push(text);
    }

    fn build_failed(&mut self, session: &Session, request: &Request, failure: &BuildFailure) -> RoundStop {
        self.write_messages();
        let log = self.watcher.log;
        if !failure.is_lost() && self.repairs_roots() {
            return RoundStop::EndSession(SessionEnd::LostRoots);
        }
        if failure.is_lost() {
            let causes = failure.unbuilt.iter().map(|unbuilt| unbuilt.cause.to_string());
            let (text, log) = (causes.take(MAX_SHOWN).collect::<Vec<_>>().join("\n"), log.clone());
            // Not reported yet: a new session makes the object again, unless that has failed several times.
            return RoundStop::EndSession(SessionEnd::Lost(Box::new(move || {
                log.say(Level::Error, text);
                Exit::BuildFailure
            })));
        }
        let origins = session.origins(request);
        self.messages_of_build.failed(failure, &origins);
        RoundStop::Reported
    }

    /// Installs with `-o`, and reports which results differ from those of the round before.
    fn deliver(
        &mut self,
        session: &Session,
        request: &Request,
        analysed: &Analysed,
        built: &Results,
    ) -> Result<(), Undelivered<RoundStop>> {
        let Watcher { output, o, log, .. } = self.watcher;
        let history = &mut *self.history;
        let is_new = |(path, built): &&(Str, Built)| history.results.get(path) != Some(&built.info);
        let new: Vec<&(Str, Built)> = built.artifacts.iter().filter(is_new).collect();
        if let Some(directory) = output {
            history.feedback.before_install();
            // Between the two calls of `feedback`, which have to see exactly what the installation changes.
            let put = results::put(self.store, built, directory, &request.owner(), o.prune, log);
            put.map_err(|undelivered| {
                RoundStop::EndSession(match undelivered {
                    Undelivered::Lost(stop) => SessionEnd::Lost(stop),
                    Undelivered::Stopped(exit) => SessionEnd::Exit(exit),
                })
            })?;
            let all = built.runfiles.iter().chain(&built.artifacts);
            history.feedback.after_install(all.map(|(path, built)| (path.clone(), built.info)).collect());
        }
        voice::of(log).cached_exports(&session.cache_exports(analysed), analysed, log);
        let has_ids = log.wants(Level::Debug);
        let object = |built: &Built| if has_ids { format!(" {}", built.info) } else { String::new() };
        let shown: String =
            new.iter().take(MAX_SHOWN).map(|(path, built)| format!("\n  {path}{}", object(built))).collect();
        let is_shown = self.changed.is_some() || !self.did_nothing;
        if is_shown && !new.is_empty() {
            let more = new.len().saturating_sub(MAX_SHOWN);
            let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
            self.messages.push(format!("New results:{shown}{more}"));
        }
        history.results = built.artifacts.iter().map(|(path, built)| (path.clone(), built.info)).collect();
        Ok(())
    }
}
