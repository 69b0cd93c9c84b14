//! How to build, and what.

use std::time::Duration;

use taut_exec::ArtifactKey;
use taut_value::{Artifact, Map, Str, TargetResult};

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
}

/// What is to be built, by path; sorted, and no path twice.
#[derive(Clone, Default, Debug)]
pub struct Wanted {
    /// What was requested.
    pub artifacts: Vec<(Str, Artifact)>,
    /// What is needed to run it, unless it is requested anyway.
    pub runfiles: Vec<(Str, Artifact)>,
}

impl Wanted {
    /// What a target offers.
    pub(crate) fn of(result: &TargetResult) -> Wanted {
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
        Wanted { artifacts: stage(&result.artifacts), runfiles }
    }

    /// All of it: artifacts, then runfiles.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &(Str, Artifact)> {
        self.artifacts.iter().chain(&self.runfiles)
    }

    pub(crate) fn len(&self) -> usize {
        self.artifacts.len() + self.runfiles.len()
    }

    /// The tasks that build it.
    pub(crate) fn keys(&self) -> impl Iterator<Item = ArtifactKey> {
        self.iter().map(|(_, artifact)| ArtifactKey(artifact.clone()))
    }
}
