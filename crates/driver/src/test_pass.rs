//! The steps of `test`: analysis, the build of what tests need, then the tests.
//!
//! Tests start when everything that they need is built, so their durations are not those of a machine that compiles.
//! Whatever fails, the rest goes on: a failing test is a result.

use std::{collections::HashSet, sync::Arc};

use taut_value::Str;

use crate::{
    Closure, Failed, Request, Session, TestPlan, TestReport, WantedArtifacts,
    closure_pass::{BuiltChoice, Chosen, ClosureClient, ClosurePass},
    test_rule::{TestKey, TestRule},
};

/// What the caller does at each step.
pub trait TestClient: ClosureClient {
    /// The result.
    type Done;

    /// The targets are known: chooses the tests to run.
    ///
    /// # Errors
    /// There is nothing to run.
    fn found(&mut self, session: &Session, request: &Request, all: &Closure) -> Result<TestPlan, Self::Stop>;

    /// All tests have ended.
    ///
    /// # Errors
    /// The report cannot be written.
    fn tested(&mut self, reports: Vec<Arc<TestReport>>) -> Result<Self::Done, Self::Stop>;
}

impl ClosurePass<'_> {
    /// # Errors
    /// The client stopped it, or it is to be tried again.
    pub(crate) fn test<C: TestClient>(
        &self,
        client: &mut C,
        request: &Request,
    ) -> Result<C::Done, Failed<C::Stop>> {
        let session = self.session;
        let BuiltChoice { what: plan, built, .. } = self.build(client, request, |client, closure| {
            let plan = client.found(session, request, closure)?;
            let wanted = needed(&plan);
            let later_actions = plan.tests.iter().map(|test| test.shards.len()).sum();
            Ok(Chosen { what: Arc::new(plan), wanted, later_actions })
        })?;
        let keys = (0..plan.tests.len()).map(|index| TestKey { index, plan: plan.clone() });
        // A task that was cancelled has no report; the interruption is reported by the caller.
        let reports = session.build.all::<TestRule>(keys).into_iter().flatten().collect();
        session.report_end(built.as_ref());
        client.may_continue(session)?;
        Ok(client.tested(reports)?)
    }
}

/// The inputs of all actions of tests, each once, by numbers.
fn needed(plan: &TestPlan) -> WantedArtifacts {
    let shards = plan.tests.iter().flat_map(|test| &test.shards);
    let inputs =
        shards.flat_map(|shard| shard.action.inputs.values()).filter_map(|value| value.as_artifact());
    let mut seen = HashSet::new();
    let artifacts = inputs.filter(|artifact| seen.insert((*artifact).clone())).cloned().enumerate();
    let artifacts = artifacts.map(|(place, artifact)| (Str::from(format!("{place:08}")), artifact)).collect();
    WantedArtifacts { artifacts, ..WantedArtifacts::default() }
}
