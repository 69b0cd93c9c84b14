//! A round of `watch`: builds, installs, and tells what was done and what came out differently.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::{Instant, SystemTime};

use taut_digest::ObjectInfo;
use taut_driver::{
    Analysed, BuildFailure, Built, Diagnostics, Failed, Pass, Request, Results, Session, Undelivered, Wanted,
    Way, event::Status,
};
use taut_store::Store;
use taut_value::Str;

use super::{Held, Over, SHOWN, Watcher, feedback::Feedback, paths::what_changed};
use crate::{
    diagnostics,
    exit::Exit,
    findings,
    interruption::Interruption,
    log::Level,
    reporting::Reporting,
    results,
    voice::{BuildMessages, count, seconds},
};

/// Why a round is over before its end: it was told, or so are the rounds with this session.
enum Stop {
    Told,
    Over(Over),
}

impl From<Exit> for Stop {
    fn from(exit: Exit) -> Stop {
        Stop::Over(exit.into())
    }
}

impl Watcher<'_> {
    /// Builds, and tells what was done. `changed`: nothing for the first round, then the paths that changed, if
    /// that is why there is a round; other rounds are silent if there was nothing to do.
    pub(super) fn round(
        &self,
        held: &mut Held,
        interruption: &Interruption,
        changed: Option<Option<&[PathBuf]>>,
    ) -> Result<(), Over> {
        let reporting = Arc::new(Reporting::of_round(!self.o.build.analysis.no_trace));
        reporting.requested(&held.request);
        reporting.keep_in(&held.store);
        interruption.ends_log(&reporting.log);
        held.begin = SystemTime::now();
        // Other rounds only make sure that nothing changed meanwhile.
        if changed != Some(None) {
            self.rounds.set(self.rounds.get() + 1);
        }
        *held.present.0.lock().unwrap_or_else(PoisonError::into_inner) =
            (self.messages(&held.store, &held.request), reporting.clone());
        if let Some(Some(paths)) = changed {
            self.log.say(Level::Info, what_changed(&self.here, paths));
        }
        held.so_far.is_built = false;
        let mut round = Round {
            watcher: self,
            interruption,
            changed,
            begin: Instant::now(),
            store: &held.store,
            messages_of_build: held.present.messages(),
            so_far: &mut held.so_far,
            messages: Vec::new(),
        };
        let way = Way {
            session: &held.session,
            is_cached: reporting.uses_state,
            reports_all_actions: false,
            is_last: true,
        };
        let passed = way.pass(&mut round, &held.request);
        let messages = std::mem::take(&mut round.messages);
        let done = match passed {
            Ok(()) | Err(Failed::Stopped(Stop::Told)) => Ok(interruption.check()?),
            Err(Failed::Stopped(Stop::Over(over))) => Err(over),
            Err(Failed::Anew(_)) => unreachable!("a round is not tried again"),
        };
        let status = match &done {
            Err(Over::Exit(exit)) => exit.status(),
            Ok(()) if held.so_far.is_built => Status::Success,
            Ok(()) if !held.so_far.told.is_empty() => Status::AnalysisFailed,
            _ => Status::BuildFailed,
        };
        reporting.finish(status, self.log);
        messages.into_iter().for_each(|text| self.log.say(Level::Info, text));
        done
    }
}

/// What the rounds of a session came to so far.
#[derive(Default)]
pub(super) struct SoFar {
    /// What was wrong with the description in the last round.
    pub(super) told: String,
    /// What the last round that could analyse the description came to.
    pub(super) last: Option<Arc<Analysed>>,
    /// Whether the last round built everything.
    pub(super) is_built: bool,
    /// What the last round that succeeded came to.
    pub(super) results: HashMap<Str, ObjectInfo>,
    /// What installing does to what is watched.
    pub(super) feedback: Feedback,
}

/// A round while it runs.
struct Round<'r> {
    watcher: &'r Watcher<'r>,
    interruption: &'r Interruption,
    changed: Option<Option<&'r [PathBuf]>>,
    begin: Instant,
    store: &'r Store,
    messages_of_build: Arc<dyn BuildMessages>,
    so_far: &'r mut SoFar,
    /// What was done, to be told when it is kept: then the round is over for the user, too.
    messages: Vec<String>,
}

impl Round<'_> {
    fn tell(&mut self) {
        self.messages.drain(..).for_each(|text| self.watcher.log.say(Level::Info, text));
    }
}

impl Pass for Round<'_> {
    type Stop = Stop;
    type Done = ();

    fn goes_on(&mut self, _: &Session) -> Result<(), Stop> {
        Ok(self.interruption.check()?)
    }

    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> Stop {
        let of_roots = request.problems_of_roots();
        let problems = if of_roots.is_empty() { problems } else { &of_roots };
        let told = format!("{problems:?}");
        if self.changed != Some(None) || told != self.so_far.told {
            diagnostics::tell(problems, Level::Error, self.watcher.log);
            self.watcher.log.say(Level::Info, "Analysis failed; waiting for a change.");
        }
        self.so_far.told = told;
        Stop::Told
    }

    fn analysed(
        &mut self,
        _: &Session,
        request: &Request,
        analysed: &Arc<Analysed>,
    ) -> Result<Option<Wanted>, Stop> {
        self.so_far.told.clear();
        if self.so_far.last.as_ref().is_none_or(|last| !Arc::ptr_eq(last, analysed)) {
            findings::tell_warnings(analysed, request, self.watcher.log);
        }
        self.so_far.last = Some(analysed.clone());
        Ok(None)
    }

    /// Tells what was done, unless that was nothing, and nothing had changed either.
    fn executed(&mut self, session: &Session, request: &Request, analysed: &Analysed, is_complete: bool) {
        self.so_far.is_built = is_complete;
        self.messages_of_build.executed(&session.origins(request));
        let done = session.done();
        let is_silent = self.changed == Some(None) && done.ran.is_empty() && done.analysed == 0;
        if is_silent || self.interruption.check().is_err() {
            return;
        }
        let mut text = format!(
            "{}: {} analysed, {} of {} run, {} from cache, {}",
            self.watcher.log.voice().name_of_request(request, self.watcher.log),
            count(done.analysed, "target"),
            count(done.ran.len(), "action"),
            analysed.counts.actions,
            done.cached,
            seconds(self.begin.elapsed()),
        );
        let origins = session.origins(request);
        for id in done.ran.iter().take(SHOWN) {
            let origin = origins.first_of_all(id);
            let origin = origin.map(|origin| self.watcher.log.names().origin(&origin));
            text.push_str(&format!("\n  ran {}", origin.unwrap_or_else(|| format!("action {id}"))));
        }
        if done.ran.len() > SHOWN {
            text.push_str(&format!("\n  and {} more", done.ran.len() - SHOWN));
        }
        self.messages.push(text);
    }

    fn build_failed(
        &mut self,
        session: &Session,
        request: &Request,
        failure: &BuildFailure,
        _: bool,
    ) -> Stop {
        self.tell();
        let log = self.watcher.log;
        if failure.is_lost() {
            let causes = failure.unbuilt.iter().map(|unbuilt| unbuilt.cause.to_string());
            let (text, log) = (causes.take(SHOWN).collect::<Vec<_>>().join("\n"), log.clone());
            return Stop::Over(Over::Lost(Box::new(move || {
                log.say(Level::Error, text);
                Exit::BuildFailure
            })));
        }
        let origins = session.origins(request);
        let keep_going = self.watcher.o.build.results.keep_going;
        self.messages_of_build.failed(failure, &origins, keep_going);
        Stop::Told
    }

    /// Installs if asked to, and tells what is different from the round before.
    fn deliver(
        &mut self,
        _: &Session,
        request: &Request,
        _: &Analysed,
        built: &Results,
    ) -> Result<(), Undelivered<Stop>> {
        let Watcher { output, o, log, .. } = self.watcher;
        let so_far = &mut *self.so_far;
        let is_new = |(path, built): &&(Str, Built)| so_far.results.get(path) != Some(&built.info);
        let new: Vec<&(Str, Built)> = built.artifacts.iter().filter(is_new).collect();
        if let Some(directory) = output {
            so_far.feedback.before_install();
            let put = results::put(self.store, built, directory, &request.owner(), o.prune, log);
            put.map_err(|undelivered| {
                Stop::Over(match undelivered {
                    Undelivered::Lost(stop) => Over::Lost(stop),
                    Undelivered::Stopped(exit) => Over::Exit(exit),
                })
            })?;
            let all = built.runfiles.iter().chain(&built.artifacts);
            so_far.feedback.after_install(all.map(|(path, built)| (path.clone(), built.info)).collect());
        }
        let has_ids = log.wants(Level::Debug);
        let object = |built: &Built| if has_ids { format!(" {}", built.info) } else { String::new() };
        let shown: String =
            new.iter().take(SHOWN).map(|(path, built)| format!("\n  {path}{}", object(built))).collect();
        if !new.is_empty() {
            let more = new.len().saturating_sub(SHOWN);
            let more = if more > 0 { format!("\n  and {more} more") } else { String::new() };
            self.messages.push(format!("New results:{shown}{more}"));
        }
        so_far.results = built.artifacts.iter().map(|(path, built)| (path.clone(), built.info)).collect();
        Ok(())
    }
}
