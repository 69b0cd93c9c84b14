//! Roots that are computed from other repositories, before a request is understood: the build root is opened for them,
//! their targets are built as calls within the call, and what they do is shown.
//!
//! The messages of such a build are kept until it is over, so that those of several that run at once are not mixed.
//! Under the name `just` they go to the store as a log, which is named in one line, as the reference does it; under the
//! name `taut` they are shown.

use std::{
    cell::Cell,
    path::PathBuf,
    sync::{Arc, Condvar, Mutex, PoisonError},
    thread::JoinHandle,
    time::Instant,
};

use taut_digest::{Digest, ObjectInfo, ObjectType};
use taut_driver::{
    Analysed, AnalysisOptions, BuildFailure, BuildOptions, BuiltTarget, Caller, Diagnostics, NotBuilt, Pass,
    RemoteExecution, RepoConfig, Request, ResolveRoots, Results, Retry, RootComputer, RootOutcome,
    RootTargets, Run, Session, SetupError, SetupFailure, Sink, Undelivered, UnresolvedRequest,
    UnresolvedRoot, WantedArtifacts, event::NewRoot,
};
use taut_store::Store;
use taut_sys::fault::{limit, time_limit};
use taut_value::Str;

use crate::{
    diagnostics,
    environment::{build_root, build_root_exists, open_store},
    exit::Exit,
    findings,
    interruption::Interruption,
    log::{Level, Log},
    options,
    remote_execution::attach,
    reporting::{Reporting, warn_of_cache},
    repositories,
    reproduce::Reproduction,
    retry::LOST_ROOTS,
    root_options::RootOptions,
    settings::{analysis_options, build_options, log_limit},
    setup_error::report_error,
    tool_name::Name,
    voice::{self, AnalysisOutcome, BuildContext, BuildMessages, RootsProgress},
};

/// The git repository for the trees of roots, below the build root; its place is the reference's.
const GIT_REPOSITORY: &str = "repositories/generation-0/git";

/// Computes the roots that a call needs.
pub(crate) struct Roots<'o> {
    of: RootOptions<'o>,
    log: &'o Arc<Log>,
    interruption: Option<Interruption>,
    /// Where the roots that are computed are reported.
    reporting: Option<&'o Reporting>,
    /// Whether roots that are not known are computed.
    computes: bool,
    /// Why the call is over, if that was reported.
    // Cells and no locks: a call resolves its roots in one thread. What the builds of targets share is in
    // `RootBuilds`.
    exit: Cell<Option<Exit>>,
    /// Whether some root is set up or computed by this tool, so that it can be made again.
    are_made: Cell<bool>,
    /// Whether what is there is looked at as a whole, since something was found to be lost.
    verifies: Cell<bool>,
}

impl<'o> Roots<'o> {
    /// For a call that builds. `interruption`: what ends it.
    pub(crate) fn new(of: RootOptions<'o>, interruption: Option<&Interruption>, log: &'o Arc<Log>) -> Self {
        let interruption = interruption.cloned();
        let (exit, are_made, verifies) = Default::default();
        Roots { of, log, interruption, reporting: None, computes: true, exit, are_made, verifies }
    }

    /// The same with events.
    pub(crate) fn reported_to(self, reporting: &'o Reporting) -> Self {
        Roots { reporting: Some(reporting), ..self }
    }

    /// For a question, which runs nothing: roots have to be known.
    pub(crate) fn only_known(of: RootOptions<'o>, log: &'o Arc<Log>) -> Self {
        Roots { computes: false, ..Roots::new(of, None, log) }
    }

    /// The log of the call.
    pub(crate) fn log(&self) -> &'o Log {
        self.log
    }

    /// Makes a call which answers `None` if something of the roots is lost that can be made again: once more then, with
    /// all of them verified.
    pub(crate) fn with_lost_made_again(
        &self,
        interruption: &Interruption,
        call: impl Fn() -> Result<Option<Exit>, Exit>,
    ) -> Result<Exit, Exit> {
        if let Some(exit) = interruption.reported(call())? {
            return Ok(exit);
        }
        self.log.say(Level::Warn, LOST_ROOTS);
        self.verify();
        // The second call verifies, so it cannot find more to make again.
        Ok(interruption.reported(call())?.unwrap_or(Exit::AnalysisFailure))
    }

    /// From now on, what is there is looked at as a whole, and made again if something is lost.
    pub(crate) fn verify(&self) {
        self.verifies.set(true);
    }

    pub(crate) fn verifies(&self) -> bool {
        self.verifies.get()
    }

    /// Notes that roots of the call were set up.
    pub(crate) fn are_set_up(&self) {
        self.are_made.set(true);
    }

    /// Whether a root that is lost may be made again: once, and not under the name of the reference, which reports it.
    pub(crate) fn repairs(&self) -> bool {
        self.of.name == Name::Taut && self.computes && self.are_made.get() && !self.verifies.get()
    }

    /// Reports why there is no request.
    pub(crate) fn report(&self, error: &SetupError) -> Exit {
        match error.failure {
            SetupFailure::Reported => self.exit.get().unwrap_or(Exit::Environment),
            _ => report_error(error, self.log),
        }
    }

    /// The call is over; that was reported.
    fn over(&self, exit: Exit) -> SetupError {
        self.exit.set(Some(exit));
        SetupError::reported()
    }
}

impl Roots<'_> {
    /// The build root, in which the roots that a repository needs are looked for, and its store.
    fn open_build_root(&self, repository: &str) -> Result<(PathBuf, Store), SetupError> {
        let Roots { of: RootOptions { name, stores, .. }, log, .. } = *self;
        let environment = |text: String| {
            log.say(Level::Error, text);
            self.over(Exit::Environment)
        };
        // Only now, as a call without computed roots may need no build root at all.
        let root = build_root(name, stores).map_err(environment)?;
        if !self.computes && !build_root_exists(&root) {
            return Err(environment(format!(
                "There is no build root {}: the roots that repository {} needs were not computed.",
                root.display(),
                taut_syntax::quoted(repository)
            )));
        }
        // Before a tree is looked for: it is read as long as the call goes on.
        repositories::hold_those_of(&root)
            .map_err(|why| environment(format!("Cannot use build root {}: {why}", root.display())))?;
        let store = open_store(name, stores, log).ok_or_else(|| self.over(Exit::Environment))?;
        Ok((root, store))
    }
}

impl ResolveRoots for Roots<'_> {
    fn resolve(&self, repositories: RepoConfig, repository: &str) -> Result<RepoConfig, SetupError> {
        let roots = repositories.computed_roots(repository);
        if roots.is_empty() {
            return Ok(repositories);
        }
        let Roots { of: RootOptions { common, stores, analysis, execution, .. }, log, .. } = *self;
        self.are_made.set(true);
        voice::of(log).needs_roots(repository, roots.len(), log);
        let (root, store) = self.open_build_root(repository)?;
        // Options about results concern the target of the call, not those of roots.
        let results = options::Results::default();
        let options = build_options(common, (execution, stores), &results, false, log)
            .and_then(|options| attach(&options, &store, log).map(|()| options))
            .map_err(|exit| self.over(exit))?;
        let how = analysis_options(common, analysis, stores);
        let main = repositories.main.clone();
        let targets = Arc::new(RootBuilds {
            log: log.clone(),
            main,
            store: store.clone(),
            // The words of the call do not name the target of a root, so no form of them runs one of its actions.
            context: BuildContext::of_call(&self.of, &results, &store, Reproduction::none()),
            analysis: how,
            log_limit: log_limit(analysis),
            options: options.clone(),
            is_cached: !analysis.no_trace,
            interruption: self.interruption.clone(),
            repairs: self.repairs(),
            has_lost_roots: Mutex::default(),
            progress: Arc::default(),
            ticker: Mutex::default(),
            new: Mutex::default(),
        });
        let computer = RootComputer {
            store,
            repository: root.join(GIT_REPOSITORY),
            jobs: options.jobs,
            context: options.root_context(),
            is_cached: !analysis.no_trace,
            computes: self.computes,
            verifies: self.verifies(),
            targets: targets.clone(),
        };
        let computed = computer.compute(&repositories, &roots);
        // Before errors are reported, so that no line of progress comes after them.
        drop(targets.ticker.lock().unwrap_or_else(PoisonError::into_inner).take());
        let new = std::mem::take(&mut *targets.new.lock().unwrap_or_else(PoisonError::into_inner));
        if let Some(reporting) = self.reporting {
            new.into_iter().for_each(|root| reporting.computed(root));
        }
        if let Some(interruption) = &self.interruption {
            // Before the check: a signal from now on concerns the call itself.
            interruption.forget_roots();
            interruption.check().map_err(|exit| self.over(exit))?;
        }
        match computed {
            Ok((repositories, warning)) => {
                warn_of_cache(warning, log);
                Ok(repositories)
            }
            Err(failed) => {
                log.shows_texts_in(&failed.repositories);
                let has_lost_roots = failed.has_lost_roots
                    || *targets.has_lost_roots.lock().unwrap_or_else(PoisonError::into_inner);
                Err(SetupError { has_lost_roots, ..failed.into() })
            }
        }
    }
}

/// Builds the targets of roots.
struct RootBuilds {
    log: Arc<Log>,
    /// The main repository of the call.
    main: Str,
    store: Store,
    /// What messages depend on.
    context: BuildContext,
    analysis: AnalysisOptions,
    log_limit: usize,
    options: BuildOptions,
    is_cached: bool,
    interruption: Option<Interruption>,
    /// Whether roots that are lost are made again, so that this is not a failure yet.
    repairs: bool,
    /// Whether a build found that something of a root is lost.
    has_lost_roots: Mutex<bool>,
    // Several roots are built at the same time, by threads of the engine. No two of these locks are ever held together.
    progress: Arc<Mutex<RootsProgress>>,
    /// Shows the progress, once something is built.
    ticker: Mutex<Option<Ticker>>,
    /// The roots that were computed.
    new: Mutex<Vec<NewRoot>>,
}

impl RootBuilds {
    fn progress(&self) -> std::sync::MutexGuard<'_, RootsProgress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends the log of a build to the server that executes, so that it can be read wherever the server can be reached.
    fn offer_log(&self, digest: Digest) {
        let Some(RemoteExecution { endpoints, main: Some(main), .. }) = &self.options.remote_execution else {
            return;
        };
        let object = ObjectInfo { digest, object_type: ObjectType::File };
        // What it is about is reported in any case.
        let _ = taut_driver::send(&self.store, &endpoints[*main], &object);
    }
}

impl RootTargets for RootBuilds {
    fn build(&self, root: &UnresolvedRoot, request: &Request, jobs: usize) -> Result<BuiltTarget, NotBuilt> {
        self.progress().open.push(root.clone());
        let show = || Ticker::start(self.log.clone(), self.progress.clone());
        self.ticker.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(show);
        let begin = Instant::now();
        // Each build has a log of its own, so that messages of builds at the same time are not mixed.
        let log = Arc::new(self.log.nested(&self.main));
        let messages = voice::of(&log).build(self.context.clone(), begin, &log);
        let sink: Arc<dyn Sink> = messages.clone();
        let options = BuildOptions { jobs, ..self.options.clone() };
        let run = Run {
            store: &self.store,
            analysis: self.analysis,
            options: &options,
            sink: &sink,
            is_cached: self.is_cached,
            reports_all_actions: false,
            is_of_root: true,
        };
        voice::of(&log).root_requested(request, &log);
        let mut caller = RootCaller { builds: self, request, log: &log, messages: messages.clone() };
        let built = run.run(&mut caller, &mut RootPass { builds: self, log: &log, messages });
        let mut progress = self.progress();
        // By the definition: the same root may be open once only.
        progress.open.retain(|open| open.root != root.root);
        progress.built += usize::from(built.is_ok());
        // Released before anything is written: a terminal may be slow.
        drop(progress);
        if built.is_err() && request.has_lost_roots() {
            *self.has_lost_roots.lock().unwrap_or_else(PoisonError::into_inner) = true;
            // It is built again from what is made anew, so this failure need not be shown.
            if self.repairs {
                return Err(NotBuilt::Failed { log: String::new() });
            }
        }
        let voice = voice::of(&log);
        let recorded = log.recorded();
        let is_cached = matches!(&built, Ok(Delivered { is_cached: true, .. }));
        for message in &recorded {
            if voice.is_of_call(message, is_cached) {
                self.log.repeat(message);
            }
        }
        let kept = match voice.keeps_root_logs() {
            true => self.log_of(&crate::log::as_file(&recorded, &request.first_target_text())),
            false => String::new(),
        };
        match built {
            Ok(Delivered { results, ran, is_cached }) => {
                let duration = begin.elapsed();
                Ok(BuiltTarget { results, log: kept, ran, is_cached, duration })
            }
            Err(RootStop::Interrupted) => Err(NotBuilt::Stopped),
            Err(RootStop::Failed) => Err(NotBuilt::Failed { log: kept }),
            Err(RootStop::Analysis(problems)) => {
                // The log of the root has them as text; for programs they are collected here, as the nested log
                // collects nothing.
                if voice.keeps_root_logs() {
                    diagnostics::only_collect(&problems, &None, &self.log);
                } else {
                    self.log.shows_texts_in(&request.repositories);
                    diagnostics::report(&problems, Level::Error, &self.log);
                }
                Err(NotBuilt::Failed { log: kept })
            }
        }
    }

    fn computed(&self, root: &UnresolvedRoot, outcome: &RootOutcome) {
        match &outcome.built {
            None => self.progress().known += 1,
            Some(BuiltTarget { ran, duration, .. }) => {
                let new = NewRoot {
                    what: root.what.clone(),
                    from: taut_driver::logged_root(&root.root),
                    tree: outcome.tree,
                    ran: *ran,
                    duration: *duration,
                };
                self.new.lock().unwrap_or_else(PoisonError::into_inner).push(new);
            }
        }
        voice::of(&self.log).root_computed(root, outcome, &self.log);
    }

    fn log_of(&self, text: &str) -> String {
        match self.store.put_blob(text.as_bytes(), false) {
            Ok(digest) => {
                self.offer_log(digest);
                digest.hash.to_hex()
            }
            // As in the reference.
            Err(_) => "???".to_owned(),
        }
    }
}

/// The target of a root, built.
struct Delivered {
    results: Arc<Results>,
    /// How many actions were run.
    ran: usize,
    /// Whether the target-level cache had it.
    is_cached: bool,
}

/// Why the target of a root is not built.
enum RootStop {
    Interrupted,
    Failed,
    Analysis(Diagnostics),
}

/// One build of the target of a root.
struct RootPass<'c> {
    builds: &'c RootBuilds,
    log: &'c Arc<Log>,
    messages: Arc<dyn BuildMessages>,
}

impl Pass for RootPass<'_> {
    type Stop = RootStop;
    type Done = Delivered;

    fn may_continue(&mut self, session: &Session) -> Result<(), RootStop> {
        match &self.builds.interruption {
            Some(interruption) => {
                interruption.stop_root_on_signal(session).map_err(|_| RootStop::Interrupted)
            }
            None => Ok(()),
        }
    }

    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> RootStop {
        let of_roots = request.problems_of_roots();
        let problems = if of_roots.is_empty() { problems.clone() } else { of_roots };
        let voice = voice::of(self.log);
        // Where its messages are shown, the call reports the problems.
        if voice.keeps_root_logs() {
            self.log.shows_texts_in(&request.repositories);
            diagnostics::report(&problems, Level::Error, self.log);
            voice.root_not_analysed(request, self.log);
        }
        RootStop::Analysis(problems)
    }

    fn analysed(
        &mut self,
        session: &Session,
        request: &Request,
        analysed: &Arc<Analysed>,
    ) -> Result<Option<WantedArtifacts>, RootStop> {
        if voice::of(self.log).repeats_warnings() || session.has_analysed(request) {
            findings::report_warnings(analysed, request, self.log);
        }
        self.messages.analysed(&AnalysisOutcome { request, analysed, limit: self.builds.log_limit });
        Ok(None)
    }

    fn executed(&mut self, session: &Session, request: &Request, _: &Analysed, _: bool) {
        self.messages.executed(&session.origins(request));
    }

    fn build_failed(&mut self, session: &Session, request: &Request, failure: &BuildFailure) -> RootStop {
        self.messages.failed(failure, &session.origins(request));
        voice::of(self.log).root_not_built(request, self.log);
        RootStop::Failed
    }

    fn deliver(
        &mut self,
        session: &Session,
        _: &Request,
        analysed: &Analysed,
        results: &Results,
    ) -> Result<Delivered, Undelivered<RootStop>> {
        let hits = session.cache_hits(results.actions);
        self.messages.processed(results.actions, hits, None);
        voice::of(self.log).root_built(results, self.log);
        voice::of(self.log).cached_exports(&session.cache_exports(analysed), analysed, self.log);
        // Below a target that was taken from the cache nothing is analysed.
        let is_cached = analysed.exports.cached == 1 && analysed.exports.len() == 1;
        Ok(Delivered { results: Arc::new(results.clone()), ran: results.actions - hits, is_cached })
    }
}

/// Gives the request for the target of a root to each build of it.
struct RootCaller<'c> {
    builds: &'c RootBuilds,
    request: &'c Request,
    log: &'c Arc<Log>,
    messages: Arc<dyn BuildMessages>,
}

impl Caller for RootCaller<'_> {
    type Stop = RootStop;

    fn request(&mut self) -> Result<UnresolvedRequest, RootStop> {
        Ok(self.request.clone().into())
    }

    fn repairs_roots(&self) -> bool {
        // The roots of the call, in which this one is a step.
        false
    }

    fn not_understood(&mut self, error: &SetupError) -> RootStop {
        RootStop::Analysis(error.problems())
    }

    fn requested(&mut self, request: &Request) {
        // How messages name its targets: as seen from the main repository of the call.
        let repositories = RepoConfig { main: self.builds.main.clone(), ..request.repositories.clone() };
        let name = voice::of(self.log).name_of_request(request, self.log);
        self.messages.requested(&repositories, name);
    }

    fn on_retry(&mut self, why: Retry, server: Option<&str>) {
        self.messages.on_retry(why, server);
    }

    fn warn_of_cache(&mut self, text: String) {
        warn_of_cache(Some(text), &self.builds.log);
    }
}

/// Shows from time to time how far the roots are, while they are computed.
struct Ticker {
    thread: Option<JoinHandle<()>>,
    over: Arc<(Mutex<bool>, Condvar)>,
}

impl Ticker {
    fn start(log: Arc<Log>, progress: Arc<Mutex<RootsProgress>>) -> Ticker {
        let over: Arc<(Mutex<bool>, Condvar)> = Arc::default();
        let shared = over.clone();
        let tick = move || {
            let (pause, growth) = voice::of(&log).progress_pace();
            let mut pause = time_limit("progress", pause);
            // Documents wait for the first line only.
            let growth = limit("progress-growth", 0).max(1) as f64 * growth;
            let (is_over, changed) = &*shared;
            let mut over = is_over.lock().unwrap_or_else(PoisonError::into_inner);
            while !*over {
                let (locked, waited) =
                    changed.wait_timeout(over, pause).unwrap_or_else(PoisonError::into_inner);
                over = locked;
                if waited.timed_out() && !*over {
                    let now = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
                    if now.open.is_empty() {
                        continue;
                    }
                    log.say(Level::Progress, voice::of(&log).roots_progress(&now));
                    pause = pause.mul_f64(growth);
                }
            }
        };
        Ticker { thread: std::thread::Builder::new().spawn(tick).ok(), over }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        let (is_over, changed) = &*self.over;
        *is_over.lock().unwrap_or_else(PoisonError::into_inner) = true;
        changed.notify_all();
        if let Some(thread) = self.thread.take() {
            // A panic there was reported by itself, and concerns messages only.
            let _ = thread.join();
        }
    }
}
