//! The steps of a build: analysis, execution, commit, delivery. Every build takes them in this order: a null build, one
//! after an edit and a first build differ only in which recorded runs the engine finds good.
//!
//! If definitions, or objects of the store, turn out to be lost, the request is read again and all steps are repeated.

use std::sync::Arc;

use taut_store::Store;
use taut_syntax::Diagnostics;

use crate::{
    Analysed, AnalysisOptions, BuildFailure, BuildOptions, CommandsClient, Event, Request, Results, Session,
    SetupError, Sink, TestClient, Traces, UnresolvedRequest, WantedArtifacts, closure_pass::ClosurePass,
};

/// How often a request is tried when definitions or objects are lost.
pub const MAX_TRIES: usize = 3;

/// How many losses of servers do not count as tries: a server that is short of space may lose
/// more while what it lost before is made again.
const MAX_LOSSES_AT_SERVERS: usize = 5;

/// What a request is run with.
pub struct Run<'r> {
    /// The store.
    pub store: &'r Store,
    /// How to analyse.
    pub analysis: AnalysisOptions,
    /// How to build.
    pub options: &'r BuildOptions,
    /// Where events go.
    pub sink: &'r Arc<dyn Sink>,
    /// Whether cached build state is used and written.
    pub is_cached: bool,
    /// Whether every action in the closure of the request has an event, also if it did not have to be looked at.
    pub reports_all_actions: bool,
    /// Whether a root of another request is computed from it, so that the process goes on.
    pub is_of_root: bool,
}

/// Why the steps of a request are repeated.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Retry {
    /// Something that is to be built is no longer defined.
    Undefined,
    /// An object that was recorded as stored is missing or damaged; it is made again.
    Lost,
    /// Something of a root is missing or damaged; roots are set up and computed again.
    LostRoots,
}

/// Why results were not delivered.
pub enum Undelivered<S> {
    /// An object that was built is missing or damaged in the store; it counts as absent now. What to return if the
    /// request is not tried again.
    Lost(Box<dyn FnOnce() -> S>),
    /// The call is over.
    Stopped(S),
}

impl<S> From<S> for Undelivered<S> {
    fn from(stop: S) -> Undelivered<S> {
        Undelivered::Stopped(stop)
    }
}

/// What a caller does at each step of a pass over a request; it can stop the pass there.
pub trait Pass {
    /// Why a pass is over before its end.
    type Stop;
    /// The result of a pass.
    type Done;

    /// Whether the pass continues: called when a session begins, after analysis, and after execution.
    ///
    /// # Errors
    /// The pass is to stop.
    fn may_continue(&mut self, session: &Session) -> Result<(), Self::Stop>;

    /// The description is wrong.
    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> Self::Stop;

    /// The request was analysed. Gives what is to be built, unless that is what the targets offer.
    ///
    /// # Errors
    /// The pass is over.
    fn analysed(
        &mut self,
        session: &Session,
        request: &Request,
        analysed: &Arc<Analysed>,
    ) -> Result<Option<WantedArtifacts>, Self::Stop>;

    /// Execution has ended. `is_complete`: everything that was wanted is there.
    fn executed(&mut self, session: &Session, request: &Request, analysed: &Analysed, is_complete: bool);

    /// Something failed in execution.
    fn build_failed(&mut self, session: &Session, request: &Request, failure: &BuildFailure) -> Self::Stop;

    /// Everything is built.
    ///
    /// # Errors
    /// The results are not where they belong.
    fn deliver(
        &mut self,
        session: &Session,
        request: &Request,
        analysed: &Analysed,
        results: &Results,
    ) -> Result<Self::Done, Undelivered<Self::Stop>>;
}

/// Reads the request for each pass, whatever its steps are, and is notified when passes are repeated.
pub trait Caller {
    /// Why the call is over before its end.
    type Stop;

    /// What the call asks for, given the configuration as it is now.
    ///
    /// # Errors
    /// The configuration is wrong; the call is over.
    fn request(&mut self) -> Result<UnresolvedRequest, Self::Stop>;

    /// Whether the roots of the next request can be repaired, if something of them is lost.
    fn repairs_roots(&self) -> bool;

    /// The words of the call name no target; the call is over.
    fn not_understood(&mut self, error: &SetupError) -> Self::Stop;

    /// The targets are known.
    fn requested(&mut self, request: &Request);

    /// The steps are repeated. `server`: the one that turned out not to have something, if one did.
    fn on_retry(&mut self, why: Retry, server: Option<&str>);

    /// Cached build state could not be read or written.
    fn warn_of_cache(&mut self, text: String);
}

/// Why a pass has no result.
pub enum Failed<S> {
    /// It was stopped.
    Stopped(S),
    /// It is to be tried again.
    Retry(Retry),
}

impl<S> From<S> for Failed<S> {
    fn from(stop: S) -> Failed<S> {
        Failed::Stopped(stop)
    }
}

/// What one try may leave to the next.
struct PassAttempt {
    /// Whether the roots of the next request can be repaired, if something of them is lost.
    repairs_roots: bool,
    /// Whether there is no next try for any other reason.
    is_last: bool,
}

impl Run<'_> {
    /// Runs a request, start to finish.
    ///
    /// # Errors
    /// The caller or the client of its passes stopped it.
    pub fn run<P: Pass>(
        &self,
        caller: &mut impl Caller<Stop = P::Stop>,
        client: &mut P,
    ) -> Result<P::Done, P::Stop> {
        let Run { is_cached, reports_all_actions, .. } = *self;
        self.tries(caller, |session, request, PassAttempt { repairs_roots, is_last }| {
            let is_only = true;
            BuildPass { session, is_cached, reports_all_actions, repairs_roots, is_last, is_only }
                .run(client, request)
        })
    }

    /// Runs tests, start to finish.
    ///
    /// # Errors
    /// The caller or the client of its passes stopped it.
    pub fn test<C: TestClient>(
        &self,
        caller: &mut impl Caller<Stop = C::Stop>,
        client: &mut C,
    ) -> Result<C::Done, C::Stop> {
        let is_cached = self.is_cached;
        self.tries(caller, |session, request, PassAttempt { repairs_roots, is_last }| {
            ClosurePass { session, is_cached, repairs_roots, is_last }.test(client, request)
        })
    }

    /// Makes a compilation database, start to finish.
    ///
    /// # Errors
    /// The caller or the client of its passes stopped it.
    pub fn compile_commands<C: CommandsClient>(
        &self,
        caller: &mut impl Caller<Stop = C::Stop>,
        client: &mut C,
    ) -> Result<C::Done, C::Stop> {
        let is_cached = self.is_cached;
        self.tries(caller, |session, request, PassAttempt { repairs_roots, is_last }| {
            ClosurePass { session, is_cached, repairs_roots, is_last }.compile_commands(client, request)
        })
    }

    /// Reads the request and makes a pass, until there is nothing to be tried again.
    fn tries<C: Caller, D>(
        &self,
        caller: &mut C,
        mut pass: impl FnMut(&Session, &Request, PassAttempt) -> Result<D, Failed<C::Stop>>,
    ) -> Result<D, C::Stop> {
        let (mut tries, mut losses_at_servers, mut is_undefined) = (0, 0, false);
        loop {
            tries += 1;
            let unresolved = caller.request()?;
            let repairs_roots = caller.repairs_roots();
            // In each try, since repositories of another shape have another file.
            let traces = match (self.is_cached, self.is_of_root) {
                (false, _) => Traces::none(),
                (true, false) => Traces::of(self.store, &unresolved),
                (true, true) => Traces::of_root(self.store, &unresolved),
            };
            let Run { store, analysis, options, sink, .. } = *self;
            let session = Session::of(&unresolved.repositories, analysis, store, &traces, options, sink);
            let request = match session.request(&unresolved) {
                Ok(request) => request,
                Err(error) => {
                    let is_lost = repairs_roots && session.has_lost_roots();
                    session.close();
                    if is_lost {
                        caller.on_retry(Retry::LostRoots, None);
                        continue;
                    }
                    return Err(caller.not_understood(&error));
                }
            };
            caller.requested(&request);
            if is_undefined {
                // The value of a target may be good while a definition that it mentions is no longer kept: analysing
                // every target interns the definitions again.
                // What is wrong is reported by the pass that follows.
                let _ = session.whole_analysis(&request);
            }
            let done = pass(&session, &request, PassAttempt { repairs_roots, is_last: tries >= MAX_TRIES });
            if let Some(text) = session.cache_warning() {
                caller.warn_of_cache(text);
            }
            // Whatever the outcome: all actions of this session have ended.
            session.close();
            match done {
                Ok(done) => {
                    if !self.is_of_root {
                        // The process ends soon: freeing a large graph would only make the user wait.
                        session.forget();
                    }
                    return Ok(done);
                }
                Err(Failed::Stopped(stop)) => return Err(stop),
                Err(Failed::Retry(why)) => {
                    is_undefined = why == Retry::Undefined;
                    // Errors of this try are not shown; those of the next one must not depend on them.
                    session.try_servers_again();
                    sink.event(&Event::CallRestarted);
                    let server = self.store.make_lost_again();
                    if server.is_some() && losses_at_servers < MAX_LOSSES_AT_SERVERS {
                        losses_at_servers += 1;
                        tries -= 1;
                    }
                    caller.on_retry(why, server);
                }
            }
        }
    }
}

/// One pass on a session.
pub struct BuildPass<'w> {
    /// The session.
    pub session: &'w Session,
    /// Whether cached build state is used and written.
    pub is_cached: bool,
    /// Whether every action in the closure of the request has an event.
    pub reports_all_actions: bool,
    /// Whether another pass repairs the roots of the request, if something of them is lost.
    pub repairs_roots: bool,
    /// Whether what is lost counts as a failure.
    pub is_last: bool,
    /// Whether the session makes no other pass: what only analysis needs is dropped from memory before execution.
    pub is_only: bool,
}

impl BuildPass<'_> {
    /// Analyses a request, builds it, commits the new runs, and has the results delivered.
    ///
    /// # Errors
    /// The client stopped it, or it is to be tried again.
    pub fn run<P: Pass>(&self, client: &mut P, request: &Request) -> Result<P::Done, Failed<P::Stop>> {
        let BuildPass { session, is_cached, reports_all_actions, repairs_roots, is_last, .. } = *self;
        client.may_continue(session)?;
        let analysis = session.analysis_pass(is_cached);
        let analysed = analysis.analyse(request).map_err(|problems| {
            match repairs_roots && session.has_lost_roots() {
                true => Failed::Retry(Retry::LostRoots),
                false => Failed::Stopped(client.analysis_failed(request, &problems)),
            }
        })?;
        client.may_continue(session)?;
        session.report_build_begin(request, analysed.counts.actions);
        let other = client.analysed(session, request, &analysed)?;
        let wanted = other.as_ref().map_or_else(|| analysed.wanted(), WantedArtifacts::clone);
        if self.is_only {
            session.release_analysis();
        }
        let built = match &other {
            Some(wanted) => session.build(wanted).map(Arc::new),
            None => session.result(request, &wanted),
        };
        let built = built.and_then(|results| session.offer(&results, &wanted).map(|()| results));
        // After execution: actions that were executed have sent their events by then, and are left out here.
        if reports_all_actions {
            session.report_all_actions(&wanted);
        }
        session.report_end(built.as_deref());
        client.executed(session, request, &analysed, built.is_ok());
        // Only now it is known which tasks this build executed.
        analysis.report_tasks(request);
        // Not returned at once: what was executed is committed even if the call is interrupted.
        let may_continue = client.may_continue(session);
        let built = may_continue.map_err(Failed::Stopped).and_then(|()| {
            built.map_err(|mut failure| {
                // Only where another try may help: the failure of an action says nothing about entries of the cache.
                failure.has_lost_entries =
                    failure.retry_reason().is_some() && session.remove_incomplete_entries(&analysed.exports);
                match failure.retry_reason() {
                    why if failure.may_be_of_roots(why) && repairs_roots && session.has_lost_roots() => {
                        Failed::Retry(Retry::LostRoots)
                    }
                    Some(why) if !is_last => Failed::Retry(why),
                    _ => Failed::Stopped(client.build_failed(session, request, &failure)),
                }
            })
        });
        // After failures are reported, since their messages refer to kept runs that a commit may drop; before delivery,
        // so that an interrupted installation repeats no action.
        session.commit();
        let results = built?;
        client.deliver(session, request, &analysed, &results).map_err(|undelivered| match undelivered {
            Undelivered::Lost(stop) => {
                // What was taken from the target-level cache is analysed and built in the next try.
                session.remove_incomplete_entries(&analysed.exports);
                if is_last { Failed::Stopped(stop()) } else { Failed::Retry(Retry::Lost) }
            }
            Undelivered::Stopped(stop) => Failed::Stopped(stop),
        })
    }
}
