//! How to build, and what.

use std::{collections::BTreeMap, time::Duration};

use taut_exec::{ArtifactKey, Compared, Endpoint, SharedService};
use taut_store::ObjectServer;
use taut_value::{Artifact, Map, Str, TargetResult};

use crate::WriteStrategy;

/// How to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// How many actions run at once.
    pub jobs: usize,
    /// Words in front of each command.
    pub launcher: Vec<String>,
    /// The time limit of actions; none is enforced unless one is given.
    pub timeout: Option<Duration>,
    /// How long an action that is to end may take before it is killed.
    pub grace: Duration,
    /// Properties that all actions ask of the executing platform.
    pub properties: Vec<(String, String)>,
    /// Whether to go on after a failure with all that does not depend on it.
    pub keep_going: bool,
    /// Whether all actions are run, to be compared with what is cached.
    pub compare: bool,
    /// How results of export targets are added to the target-level cache.
    pub write_strategy: WriteStrategy,
    /// The cache that other builds use, too, if there is one.
    pub remote_cache: Option<SharedService>,
    /// The servers that execute actions, if there are any.
    pub remote_execution: Option<RemoteExecution>,
}

/// Servers that execute actions. They are attached to the store, in this order.
#[derive(Clone, Debug, Default)]
pub struct RemoteExecution {
    /// The servers.
    pub endpoints: Vec<Endpoint>,
    /// The one for actions that `dispatch` says nothing of, by number; `None` if they run here.
    pub main: Option<usize>,
    /// Properties, and the server for actions that have them all; the first that fits counts.
    pub dispatch: Vec<(BTreeMap<String, String>, usize)>,
    /// What results of actions that run again are compared with, if not with what is known where they are executed.
    pub compared_with: Option<Compared>,
    /// How many actions are executed at once.
    pub jobs: usize,
    /// How the target-level cache identifies them, without the properties of the call.
    pub backend: Backend,
}

/// Where actions are executed, as the target-level cache describes it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Backend {
    /// The server's address; `None` for this machine.
    pub address: Option<String>,
    /// The properties of actions that have another server, and its address.
    pub dispatch: Vec<(BTreeMap<String, String>, String)>,
}

impl RemoteExecution {
    /// The servers as those that have objects.
    pub fn object_servers(&self) -> Vec<ObjectServer> {
        self.endpoints.iter().map(Endpoint::object_server).collect()
    }
}

/// What is to be built, by path; sorted, and no path twice.
#[derive(Clone, Default, Debug)]
pub struct WantedArtifacts {
    /// What was requested.
    pub artifacts: Vec<(Str, Artifact)>,
    /// What is needed to run it, unless it is requested anyway.
    pub runfiles: Vec<(Str, Artifact)>,
    /// What export targets offer whose results are to be cached: all of it is built, whatever of it is requested. The
    /// paths are for messages.
    pub exported: Vec<(Str, Artifact)>,
}

impl WantedArtifacts {
    /// What a target offers, and export targets below it.
    pub(crate) fn of(result: &TargetResult, exported: &[Artifact]) -> WantedArtifacts {
        let stage = |stage: &Map| -> Vec<(Str, Artifact)> {
            // Stages can be large, and a vector that grows would be twice as large.
            let mut wanted = Vec::with_capacity(stage.len());
            wanted.extend(
                stage.iter().filter_map(|(path, value)| Some((path.clone(), value.as_artifact()?.clone()))),
            );
            wanted
        };
        let mut runfiles = stage(&result.runfiles);
        // An artifact at the same path has priority, as in the reference's installation.
        runfiles.retain(|(path, _)| !result.artifacts.contains_key(path));
        runfiles.shrink_to_fit();
        let exported = exported.iter().map(|artifact| (path_of(artifact), artifact.clone())).collect();
        WantedArtifacts { artifacts: stage(&result.artifacts), runfiles, exported }
    }

    /// All of it: artifacts, then runfiles, then what is exported.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Str, Artifact)> {
        self.artifacts.iter().chain(&self.runfiles).chain(&self.exported)
    }

    pub(crate) fn len(&self) -> usize {
        self.artifacts.len() + self.runfiles.len() + self.exported.len()
    }

    /// The tasks that build it.
    pub(crate) fn keys(&self) -> impl Iterator<Item = ArtifactKey> {
        self.iter().map(|(_, artifact)| ArtifactKey(artifact.clone()))
    }
}

/// How messages name an artifact that is at no path: an output by its path, others by their ids.
fn path_of(artifact: &Artifact) -> Str {
    match artifact {
        Artifact::Local { path, .. } | Artifact::Action { path, .. } => path.clone(),
        Artifact::Known(info) => info.to_string().into(),
        Artifact::Tree(id) => format!("tree {id}").into(),
        Artifact::TreeOverlay(id) => format!("tree overlay {id}").into(),
    }
}
