//! How to build, and what.

use std::time::Duration;

use taut_exec::{ArtifactKey, SharedService};
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
}

/// What is to be built, by path; sorted, and no path twice.
#[derive(Clone, Default, Debug)]
pub struct Wanted {
    /// What was requested.
    pub artifacts: Vec<(Str, Artifact)>,
    /// What is needed to run it, unless it is requested anyway.
    pub runfiles: Vec<(Str, Artifact)>,
    /// What export targets offer whose results are to be cached: all of it is built, whatever of it is requested. The paths
    /// are for messages.
    pub exported: Vec<(Str, Artifact)>,
}

impl Wanted {
    /// What a target offers, and export targets below it.
    pub(crate) fn of(result: &TargetResult, exported: &[Artifact]) -> Wanted {
        let stage = |stage: &Map| -> Vec<(Str, Artifact)> {
            // Stages can be large, and a vector that grows would be twice as large.
            let mut wanted = Vec::with_capacity(stage.len());
            wanted.extend(
                stage.iter().filter_map(|(path, value)| Some((path.clone(), value.as_artifact()?.clone()))),
            );
            wanted
        };
        let mut runfiles = stage(&result.runfiles);
        runfiles.retain(|(path, _)| !result.artifacts.contains_key(path));
        runfiles.shrink_to_fit();
        let exported = exported.iter().map(|artifact| (path_of(artifact), artifact.clone())).collect();
        Wanted { artifacts: stage(&result.artifacts), runfiles, exported }
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
