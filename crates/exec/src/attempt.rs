//! Single runs of actions whose failure is a result: those of tests.
//!
//! A test that fails is not a failure of the build, and a test may be run again although nothing changed. So a run of a
//! test is a task of its own beside [`crate::ActionRule`]: it builds the inputs, takes the result from the action cache
//! if it may, and otherwise runs the action. The engine keeps nothing of it. Both rules use the same digest, so a test
//! that passed in a build is cached here, and the other way round.

use std::{sync::Arc, time::Duration};

use taut_digest::ObjectInfo;
use taut_engine::{Cx, Fail, Key, Policy, Rule};
use taut_graph::{Definition, DefinitionKey};
use taut_value::{Id, Str};

use crate::{
    ActionOutcome, Cause, Execution, Missed, Phase, RunKey, RunResult, Undefined,
    failure::fail_at,
    inputs::{self, Inputs},
    message::action_digest,
    result_message::cached_result,
    trees::{self, TreeError},
};

/// Identifies one run of an action.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct AttemptKey {
    /// The action.
    pub action: Id,
    /// Which run it is, counted from 0.
    pub number: u64,
    /// Whether the result may be taken from the action cache, and is added to it if the action succeeds.
    pub is_cached: bool,
    /// The time limit before scaling, if it is not that of the call.
    pub limit: Option<Duration>,
}

impl Key for AttemptKey {
    fn encode(&self, out: &mut Vec<u8>) {
        // No format that is kept: the bytes only have to differ where keys do. 0 means no limit of its own.
        out.extend(self.action.0);
        out.extend(self.number.to_le_bytes());
        out.push(u8::from(self.is_cached));
        out.extend(self.limit.map_or(0, |limit| limit.as_millis() as u64).to_le_bytes());
    }

    // Nothing of a run is kept by the engine, so no key is ever read.
    fn decode(_: &[u8]) -> Option<AttemptKey> {
        None
    }
}

/// How a run of an action ended.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// The result, whether the action succeeded or not.
    pub ran: Arc<RunResult>,
    /// Whether it was taken from the action cache.
    pub was_cached: bool,
}

/// Runs actions once.
pub struct AttemptRule(pub Arc<Execution>);

impl Rule for AttemptRule {
    type Key = AttemptKey;
    type Value = Attempt;
    const NAME: &'static str = "attempt";

    fn policy(&self, _: &AttemptKey) -> Policy {
        // Nothing is recorded: whether a test passes may depend on more than its inputs, and how often it runs is up
        // to the call.
        Policy::always()
    }

    async fn value(&self, key: &AttemptKey, cx: Cx) -> Result<Attempt, Fail> {
        let (execution, id) = (&*self.0, &key.action);
        let definition = execution.definition(&cx, DefinitionKey::action(id)).await;
        let Some(action) = definition.as_deref().and_then(Definition::as_action) else {
            return Err(Cause::Undefined(Undefined::Action(*id)).fail());
        };
        let Inputs { objects, failed } = inputs::build(&cx, &action.inputs).await?;
        let tree = trees::digest_of_stage(&execution.store, &objects).map_err(|error| match error {
            TreeError::Store(error) => Phase::Inputs.failed_in_store(error),
            other => Phase::Inputs.failed(other),
        })?;
        let digest = action_digest(execution, action, &tree);
        if execution.stop.is_stopped() {
            return Err(Fail::Cancelled);
        }
        let (inputs, limit): (Arc<[(Str, ObjectInfo)]>, _) = (objects.into(), key.limit);
        let run = RunKey {
            digest,
            action: action.clone(),
            id: *id,
            inputs,
            limit,
            depfile: None,
            is_fresh: !key.is_cached,
        };
        // A server has an action cache of its own, which it looks up itself.
        let is_local = execution.executor.server_of(action).is_none();
        let is_cached = key.is_cached && !action.no_cache && is_local;
        if is_cached {
            let cached = cached_result(&execution.store, action, &digest);
            if let Some(ran) = cached.map_err(|error| Phase::Lookup.failed_in_store(error))? {
                execution.counters.processed_one(id);
                return Ok(Attempt { ran: Arc::new(ran), was_cached: true });
            }
        }
        // Only now: finding the depfile costs more than the look-up by digest above.
        let run = execution.with_depfile(&run);
        let names = execution.names(&run).map_err(|error| Phase::Lookup.failed_in_store(error))?;
        let names = names.as_ref();
        let mut described = None;
        if is_cached {
            let found;
            let further = execution.look_further(&run, names).await;
            (found, described) = further.map_err(|fail| fail_at(id, action, fail))?;
            if let Some(ran) = found {
                execution.counters.processed_one(id);
                return Ok(Attempt { ran: Arc::new(ran), was_cached: true });
            }
        }
        // An action has events once, however often it is run: sinks identify it by its id.
        // Repetitions are reported with the test, not as actions.
        let has_events = key.number == 0;
        if has_events {
            execution.events.begun(id, action);
        }
        let ran = execution.executed(&run, names).await;
        let mut ran = ran.map_err(|fail| fail_at(id, action, fail))?;
        if execution.stop.is_interrupted() {
            // It did not end by itself.
            return Err(Fail::Cancelled);
        }
        let was_cached = ran.run_as.is_none();
        if !was_cached {
            execution.counters.run_one();
        }
        execution.counters.processed_one(id);
        let recording = |error| Phase::Recording.failed_in_store(error);
        if let Some(described) = described.as_ref().filter(|_| ran.is_success()) {
            ran.missed = Missed::keep(&execution.store, &run, described);
        }
        if is_cached && ran.is_success() && !failed {
            execution.record(&run, names, &ran, described).map_err(recording)?;
        }
        let ran = Arc::new(ran);
        if has_events {
            let outcome =
                ActionOutcome { ran: ran.clone(), cached: was_cached, failed: failed || !ran.is_success() };
            execution.events.finished(id, action, &digest, &outcome);
        }
        Ok(Attempt { ran, was_cached })
    }
}
