//! Which actions have a recorded outcome that a build would replay, for `what-if`.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

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

    /// Those in a store. `properties`: what actions require of the platform, by which results of export targets are found.
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

    /// The inputs of an action whose content makes it run, if an earlier run has reported what it reads; `None`: all of them.
    pub(crate) fn counting_inputs(&self, action: &ActionDescription, depfile: &Str) -> Option<BTreeSet<Str>> {
        let session = self.0.as_ref()?;
        let object = |artifact: &Artifact| {
            let kept = session.engine.kept::<ArtifactRule>(&ArtifactKey(artifact.clone()));
            kept.into_iter().next()?.value.map(|built| built.info)
        };
        let input = |(path, value): (&Str, &Value)| Some((path.clone(), object(value.as_artifact()?)?));
        let objects = action.inputs.iter().map(input).collect::<Option<_>>()?;
        session.execution.counting_inputs(action, depfile, objects).ok()?
    }

    /// Whether an action has one, all of which is in the store. The latest run counts: a failure, though allowed, is
    /// never taken for known.
    pub(crate) fn has(&self, action: &Id) -> bool {
        let kept = |session: &Session| session.engine.kept::<ActionRule>(&ActionKey(*action));
        let latest = self.0.as_ref().and_then(|session| kept(session).into_iter().next());
        latest.is_some_and(|kept| kept.value.is_some())
    }
}
