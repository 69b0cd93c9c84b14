//! Which actions have a recorded outcome that a build would replay, for `what-if`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use taut_digest::ObjectInfo;
use taut_exec::{ActionKey, ActionRule, ArtifactKey, ArtifactRule};
use taut_repos::RepoConfig;
use taut_store::Store;
use taut_value::{ActionDescription, Artifact, Id, Str, Value};

use crate::{AnalysisOptions, BuildOptions, Session, Sink, Traces, WriteStrategy};

/// The recorded outcomes of actions.
pub struct Outcomes(Option<Session>);

impl Outcomes {
    /// Nothing was built.
    pub fn none() -> Outcomes {
        Outcomes(None)
    }

    /// The outcomes in a store. `properties`: what actions require of the platform, by which results of export targets
    /// are found.
    pub fn of(
        store: &Store,
        repositories: &RepoConfig,
        how: AnalysisOptions,
        traces: &Traces,
        properties: &[(String, String)],
    ) -> Outcomes {
        // Nothing is run, so what else matters to that does not matter here.
        let options = BuildOptions {
            jobs: how.jobs,
            launcher: Vec::new(),
            timeout: None,
            grace: Duration::ZERO,
            properties: properties.to_vec(),
            keep_going: false,
            compare: false,
            write_strategy: WriteStrategy::Disable,
            remote_cache: None,
            remote_execution: None,
        };
        let sink: Arc<dyn Sink> = Arc::new(Vec::<Arc<dyn Sink>>::new());
        Outcomes(Some(Session::of(repositories, how, store, traces, &options, &sink)))
    }

    /// The inputs of an action whose content makes it run, if an earlier run has reported what it reads; `None`: all of
    /// them.
    pub(crate) fn counting_inputs(&self, action: &ActionDescription, depfile: &Str) -> Option<BTreeSet<Str>> {
        let session = self.0.as_ref()?;
        let objects = input_objects(session, action)?;
        session.execution.counting_inputs(action, depfile, objects).ok()?
    }

    /// Whether an action has an outcome that is completely in the store.
    pub(crate) fn has(&self, id: &Id, action: &ActionDescription, depfile: Option<&Str>) -> bool {
        let Some(session) = &self.0 else { return false };
        // The latest run counts: a failure, though allowed, has no value.
        let latest = session.engine.kept::<ActionRule>(&ActionKey(*id)).into_iter().next();
        if latest.is_some_and(|kept| kept.value.is_some()) {
            return true;
        }
        // The engine keeps no runs of tests: of those that passed, only the action cache knows.
        let objects = input_objects(session, action);
        let has = |objects| session.execution.has_result(action, depfile, objects);
        // Without knowledge it is taken to run: what is named is what at most would run.
        objects.is_some_and(|objects| has(objects).unwrap_or(false))
    }
}

/// The inputs of an action, one by one, as they were last built; `None` if one of them was not, or is lost.
fn input_objects(session: &Session, action: &ActionDescription) -> Option<Vec<(Str, ObjectInfo)>> {
    let object = |artifact: &Artifact| {
        let kept = session.engine.kept::<ArtifactRule>(&ArtifactKey(artifact.clone()));
        kept.into_iter().next()?.value.map(|built| built.info)
    };
    let input = |(path, value): (&Str, &Value)| Some((path.clone(), object(value.as_artifact()?)?));
    action.inputs.iter().map(input).collect()
}
