//! The steps of `test`: analysis, the build of what tests need, then the tests.
//!
//! Tests start when everything that they need is built, so their durations are not those of a machine that compiles.
//! Whatever fails, the rest goes on: a failing test is a result.

use std::sync::Arc;

use taut_syntax::Diagnostics;
use taut_value::Str;

use crate::{
    BuildFailure, Closure, Event, Failed, Request, Retry, Session, TestPlan, TestReport, Wanted, event,
    test_rule::{TestKey, TestRule},
};

/// What the caller does at each step.
pub trait TestClient {
    /// Why it is over before its end.
    type Stop;
    /// The result.
    type Done;

    /// Whether it continues.
    ///
    /// # Errors
    /// It is to stop.
    fn may_continue(&mut self, session: &Session) -> Result<(), Self::Stop>;

    /// Whether the roots of the next request can be mended, if something of them is lost.
    fn mends_roots(&self) -> bool;

    /// The description is wrong.
    fn analysis_failed(&mut self, request: &Request, problems: &Diagnostics) -> Self::Stop;

    /// The targets are known: chooses the tests to run.
    ///
    /// # Errors
    /// There is nothing to run.
    fn found(&mut self, session: &Session, request: &Request, all: &Closure) -> Result<TestPlan, Self::Stop>;

    /// What tests need was built, but for what failed. `is_last`: though it may be the description's change, it is not
    /// tried again.
    fn built(&mut self, session: &Session, request: &Request, failure: Option<&BuildFailure>, is_last: bool);

    /// All tests have ended.
    ///
    /// # Errors
    /// The report cannot be written.
    fn tested(&mut self, reports: Vec<Arc<TestReport>>) -> Result<Self::Done, Self::Stop>;
}

/// One pass on a session.
pub(crate) struct TestPass<'w> {
    pub(crate) session: &'w Session,
    /// Whether cached build state is used and written.
    pub(crate) is_cached: bool,
    /// Whether what may be the description's change, or a lost object, counts as a failure.
    pub(crate) is_last: bool,
}

impl TestPass<'_> {
    /// # Errors
    /// The client stopped it, or it is to be tried again.
    pub(crate) fn run<C: TestClient>(
        &self,
        client: &mut C,
        request: &Request,
    ) -> Result<C::Done, Failed<C::Stop>> {
        let TestPass { session, is_cached, is_last } = *self;
        client.may_continue(session)?;
        let analysis = session.analysis_pass(is_cached);
        let closure = analysis.closure(request).map_err(|problems| {
            match client.mends_roots() && session.has_lost_roots() {
                true => Failed::Retry(Retry::LostRoots),
                false => Failed::Stopped(client.analysis_failed(request, &problems)),
            }
        })?;
        client.may_continue(session)?;
        let plan = client.found(session, request, &closure);
        if plan.is_err() {
            session.commit();
        }
        let plan = Arc::new(plan?);
        let wanted = needed(&plan);
        let actions = closure.actions_of(wanted.artifacts.iter().map(|(_, artifact)| artifact)).len();
        let tests: usize = plan.tests.iter().map(|test| test.shards.len()).sum();
        // It has every target with its definitions: too much to keep in memory while tests run.
        drop(closure);
        let origins = session.origins_of_targets(request);
        let origins: event::Origins = Arc::new(move |id: &taut_value::Id| origins.first(id));
        session.sink.event(&Event::BuildBegan { actions: actions + tests, origins: &origins });
        session.use_depfiles_of(request);
        let built = session.build(&wanted);
        let failure = built.as_ref().err();
        analysis.report_tasks(request);
        let why = failure.and_then(BuildFailure::retry_reason);
        if failure.is_some_and(|failure| failure.may_be_of_roots(why))
            && client.mends_roots()
            && session.has_lost_roots()
        {
            session.commit();
            return Err(Failed::Retry(Retry::LostRoots));
        }
        if let Some(why) = why
            && !is_last
        {
            session.commit();
            return Err(Failed::Retry(why));
        }
        client.built(session, request, failure, is_last);
        session.commit();
        client.may_continue(session)?;
        // Committed before: what was built is kept, even if the tests are interrupted.
        let keys = (0..plan.tests.len()).map(|index| TestKey { index, plan: plan.clone() });
        let reports = session.build.all::<TestRule>(keys).into_iter().flatten().collect();
        session.report_end(built.as_ref());
        client.may_continue(session)?;
        Ok(client.tested(reports)?)
    }
}

/// The inputs of all actions of tests, each once, by numbers.
fn needed(plan: &TestPlan) -> Wanted {
    let shards = plan.tests.iter().flat_map(|test| &test.shards);
    let inputs =
        shards.flat_map(|shard| shard.action.inputs.values()).filter_map(|value| value.as_artifact());
    let mut seen = std::collections::HashSet::new();
    let artifacts = inputs.filter(|artifact| seen.insert((*artifact).clone())).cloned().enumerate();
    let artifacts = artifacts.map(|(place, artifact)| (Str::from(format!("{place:08}")), artifact)).collect();
    Wanted { artifacts, ..Wanted::default() }
}
