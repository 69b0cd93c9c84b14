//! Which actions have a recorded outcome that a build would replay, for `what-if`.

use std::sync::Arc;
use std::time::Duration;

use taut_exec::{ActionKey, ActionRule};
use taut_repos::RepoConfig;
use taut_store::Store;
use taut_value::Id;

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
            depfiles: true,
            write_strategy: WriteStrategy::Disable,
        };
        let sink: Arc<dyn Sink> = Arc::new(Vec::<Arc<dyn Sink>>::new());
        Outcomes(Some(Session::of(repositories, how, store, traces, &options, &sink)))
    }

    /// Whether an action has one, all of which is in the store. The latest run counts: a failure, though allowed, is
    /// never taken for known.
    pub(crate) fn has(&self, action: &Id) -> bool {
        let kept = |session: &Session| session.engine.kept::<ActionRule>(&ActionKey(*action));
        let latest = self.0.as_ref().and_then(|session| kept(session).into_iter().next());
        latest.is_some_and(|kept| kept.value.is_some())
    }
}
