//! The way of a request through a build: analysis, execution, commit, delivery. There is no other: a build in which
//! nothing changed, one after an edit and a first one differ in what the engine finds good on this way.
//!
//! Where the description changes while it is built, or objects of the store turn out to be lost, the request is read
//! again and the way begins anew.

use std::sync::Arc;

use taut_store::Store;
use taut_syntax::Diagnostics;

use crate::{
    Analysed, AnalysisOptions, BuildFailure, BuildOptions, Event, Request, Results, Session, Sink, Traces,
    Wanted,
};

/// How often a request is tried when descriptions change between analysis and execution, or objects are lost.
pub const MAX_TRIES: usize = 3;

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
    /// Whether cached build state is used and left.
    pub is_cached: bool,
    /// Whether all actions that take part are told of, also those that did not have to be looked at.
    pub tells_all: bool,
}

/// Why a request is begun anew.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anew {
    /// What was to be built is not what the description says any more.
    Changed,
    /// Something was not in the store that was taken to be there; it is made again.
    Lost,
}

/// Why results are not where they belong.
pub enum Undelivered<S> {
    /// Something that was built is not in the store, or damaged; it counts as absent now. What to do if that stays so.
    Lost(Box<dyn FnOnce() -> S>),
    /// The call is over.
    Stopped(S),
}

impl<S> From<S> for Undelivered<S> {
    fn from(stop: S) -> Undelivered<S> {
        Undelivered::Stopped(stop)
    }
}

/// What a pass over a request is for: told of each step, and able to stop there.
pub trait Pass {
    /// Why a pass is over before its end.
    type Stop;
    /// What a pass comes to.
    type Done;

    /// A session begins; whether the pass goes on is asked here, after analysis, and after execution.
    ///
    /// # Errors
    /// It does not.
    fn goes_on(&mut self, session: &Session) -> Result<(), Self::Stop>;

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
    ) -> Result<Option<Wanted>, Self::Stop>;

    /// Execution has ended. `is_complete`: everything that was wanted is there.
    fn executed(&mut self, session: &Session, request: &Request, analysed: &Analysed, is_complete: bool);

    /// Something failed in execution. `is_last`: though it may be the description's change, it is not tried again.
    fn build_failed(
        &mut self,
        session: &Session,
        request: &Request,
        failure: &BuildFailure,
        is_last: bool,
    ) -> Self::Stop;

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

/// What a call is for: a pass, tried again where that helps.
pub trait Client: Pass {
    /// What is asked for, as the files say now.
    ///
    /// # Errors
    /// The call is over.
    fn request(&mut self) -> Result<Request, Self::Stop>;

    /// The call is tried again.
    fn begins_anew(&mut self, why: Anew);

    /// Cached build state could not be used or left.
    fn warn_of_cache(&mut self, text: String);
}

/// Why a pass comes to no result.
pub enum Failed<S> {
    /// It was stopped.
    Stopped(S),
    /// It is to be tried again.
    Anew(Anew),
}

impl<S> From<S> for Failed<S> {
    fn from(stop: S) -> Failed<S> {
        Failed::Stopped(stop)
    }
}

impl Run<'_> {
    /// Runs a request, start to finish.
    ///
    /// # Errors
    /// The client stopped it.
    pub fn go<C: Client>(&self, client: &mut C) -> Result<C::Done, C::Stop> {
        let (mut tries, mut is_changed) = (0, false);
        loop {
            tries += 1;
            let request = client.request()?;
            let traces = if self.is_cached { Traces::of(self.store, &request) } else { Traces::none() };
            let Run { store, analysis, options, sink, .. } = *self;
            let session = Session::of_request(&request, analysis, store, &traces, options, sink);
            if is_changed {
                // What is wanted may be known, and what it is defined as be forgotten: every target is asked.
                let _ = session.whole_analysis(&request);
            }
            let done = self.pass(client, &session, &request, tries == MAX_TRIES);
            if let Some(text) = session.cache_warning() {
                client.warn_of_cache(text);
            }
            session.close();
            match done {
                Ok(done) => {
                    session.leave();
                    return Ok(done);
                }
                Err(Failed::Stopped(stop)) => return Err(stop),
                Err(Failed::Anew(why)) => {
                    is_changed = why == Anew::Changed;
                    sink.event(&Event::CallBeganAnew);
                    client.begins_anew(why);
                }
            }
        }
    }

    fn pass<P: Pass>(
        &self,
        client: &mut P,
        session: &Session,
        request: &Request,
        is_last: bool,
    ) -> Result<P::Done, Failed<P::Stop>> {
        let Run { is_cached, tells_all, .. } = *self;
        Way { session, is_cached, tells_all, is_last }.pass(client, request)
    }
}

/// One pass on a session.
pub struct Way<'w> {
    /// The session.
    pub session: &'w Session,
    /// Whether cached build state is used and left.
    pub is_cached: bool,
    /// Whether all actions that take part are told of.
    pub tells_all: bool,
    /// Whether what may be the description's change, or a lost object, counts as a failure.
    pub is_last: bool,
}

impl Way<'_> {
    /// Analyses a request, builds it, keeps what was found out, and has the results delivered.
    ///
    /// # Errors
    /// The client stopped it, or it is to be tried again.
    pub fn pass<P: Pass>(&self, client: &mut P, request: &Request) -> Result<P::Done, Failed<P::Stop>> {
        let Way { session, is_cached, tells_all, is_last } = *self;
        client.goes_on(session)?;
        let analysis = session.analysis_pass(is_cached);
        let analysed =
            analysis.analyse(request).map_err(|problems| client.analysis_failed(request, &problems))?;
        client.goes_on(session)?;
        session.tell_build_begins(request, analysed.counts.actions);
        let other = client.analysed(session, request, &analysed)?;
        let wanted = other.as_ref().map_or_else(|| analysed.wanted(), Wanted::clone);
        let built = match &other {
            Some(wanted) => session.build(wanted).map(Arc::new),
            None => session.result(request, &wanted),
        };
        if tells_all {
            session.tell_all(&wanted);
        }
        session.tell_end(built.as_ref().ok().map(|results| results.actions));
        client.executed(session, request, &analysed, built.is_ok());
        analysis.tell_tasks(request);
        let goes_on = client.goes_on(session);
        let built = goes_on.map_err(Failed::Stopped).and_then(|()| {
            built.map_err(|failure| match failure.anew() {
                Some(why) if !is_last => Failed::Anew(why),
                _ => Failed::Stopped(client.build_failed(session, request, &failure, is_last)),
            })
        });
        // What failures are told with is known by what the engine had until here.
        session.commit();
        let results = built?;
        client.deliver(session, request, &analysed, &results).map_err(|undelivered| match undelivered {
            Undelivered::Lost(_) if !is_last => Failed::Anew(Anew::Lost),
            Undelivered::Lost(stop) => Failed::Stopped(stop()),
            Undelivered::Stopped(stop) => Failed::Stopped(stop),
        })
    }
}
