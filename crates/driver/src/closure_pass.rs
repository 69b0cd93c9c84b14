//! The first steps of calls that look at targets one by one: analysis, then the build of what the call chooses among
//! all that is below its targets. `test` and `compile-commands` have these steps, and differ in what follows.

use std::sync::Arc;

use taut_syntax::Diagnostics;
use taut_value::Id;

use crate::{
    BuildFailure, Closure, Event, Exports, Failed, Request, Results, Retry, Session, WantedArtifacts, event,
};

/// What the caller does at the steps that these calls have in common.
pub trait ClosureClient {
    /// Why it is over before its end.
    type Stop;

    /// Whether it continues.
    ///
    /// # Errors
    /// It is to stop.
    fn may_continue(&mut self, session: &Session) -> Result<(), Self::Stop>;

    /// Whether targets that cannot be analysed are left out, if others can.
    const LEAVES_OUT: bool = false;

    /// This is wrong, and what is left of the request, `part`, is done without it.
    fn left_out(&mut self, _request: &Request, _part: &Request, _problems: &Diagnostics) {}

    /// The description is wrong.
    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> Self::Stop;

    /// What was chosen is built, except what failed.
    fn built(&mut self, session: &Session, request: &Request, failure: Option<&BuildFailure>);
}

/// What a call chooses.
pub(crate) struct Chosen<T> {
    pub(crate) what: T,
    /// What has to be built for it.
    pub(crate) wanted: WantedArtifacts,
    /// How many actions follow the build.
    pub(crate) later_actions: usize,
}

/// What was chosen, and whether all that it needs is built.
pub(crate) struct BuiltChoice<T> {
    pub(crate) what: T,
    pub(crate) wanted: WantedArtifacts,
    /// The export targets below the request.
    pub(crate) exports: Exports,
    pub(crate) built: Result<Results, BuildFailure>,
    /// The request that was built, if some of its targets were left out.
    pub(crate) part: Option<Request>,
}

/// One pass on a session.
pub(crate) struct ClosurePass<'w> {
    pub(crate) session: &'w Session,
    /// Whether cached build state is used and written.
    pub(crate) is_cached: bool,
    /// Whether another pass repairs the roots of the request, if something of them is lost.
    pub(crate) repairs_roots: bool,
    /// Whether what may be the description's change, or a lost object, counts as a failure.
    pub(crate) is_last: bool,
}

impl ClosurePass<'_> {
    /// Analyses, has the client choose, builds, and commits. A failed build is a result: the client decides what is
    /// still of use.
    ///
    /// # Errors
    /// The client stopped it, or it is to be tried again.
    pub(crate) fn build<C: ClosureClient, T>(
        &self,
        client: &mut C,
        request: &Request,
        choose: impl FnOnce(&mut C, &Closure) -> Result<Chosen<T>, C::Stop>,
    ) -> Result<BuiltChoice<T>, Failed<C::Stop>> {
        let ClosurePass { session, is_cached, repairs_roots, is_last } = *self;
        client.may_continue(session)?;
        let analysis = session.analysis_pass(is_cached);
        // Asked only after a failure, since it looks at the roots.
        let is_of_roots = || repairs_roots && session.has_lost_roots();
        let found = analysis.closure(request, || C::LEAVES_OUT && !is_of_roots());
        let (closure, part) = found.map_err(|problems| match is_of_roots() {
            true => Failed::Retry(Retry::LostRoots),
            false => Failed::Stopped(client.analysis_failed(request, &problems)),
        })?;
        let part = part.map(|(part, problems)| {
            client.left_out(request, &part, &problems);
            part
        });
        let request = part.as_ref().unwrap_or(request);
        client.may_continue(session)?;
        let chosen = choose(client, &closure).inspect_err(|_| session.commit());
        let Chosen { what, wanted, later_actions } = chosen?;
        let actions = closure.actions_of(wanted.artifacts.iter().map(|(_, artifact)| artifact)).len();
        let exports = closure.exports();
        // It has every target with its definitions: too much to keep in memory while actions run.
        drop(closure);
        let origins = session.origins_of_targets(request);
        let origins: event::Origins = Arc::new(move |id: &Id| origins.first(id));
        session.sink.event(&Event::BuildBegan { actions: actions + later_actions, origins: &origins });
        session.use_depfiles_of(request);
        let built = session.build(&wanted).map_err(|mut failure| {
            // Only where another try may help: the failure of an action says nothing about entries of the cache.
            failure.has_lost_entries =
                failure.retry_reason().is_some() && session.remove_incomplete_entries(&exports);
            failure
        });
        let failure = built.as_ref().err();
        match later_actions {
            0 => analysis.report_tasks(request),
            _ => analysis.report_tasks_before_tests(request),
        }
        let why = failure.and_then(BuildFailure::retry_reason);
        let may_be_of_roots = failure.is_some_and(|failure| failure.may_be_of_roots(why));
        let retry = match may_be_of_roots && repairs_roots && session.has_lost_roots() {
            true => Some(Retry::LostRoots),
            false => why.filter(|_| !is_last),
        };
        if let Some(why) = retry {
            session.commit();
            return Err(Failed::Retry(why));
        }
        client.built(session, request, failure);
        // Before what follows: what was built is kept, even if that is interrupted.
        session.commit();
        client.may_continue(session)?;
        Ok(BuiltChoice { what, wanted, exports, built, part })
    }
}
