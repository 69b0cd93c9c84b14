//! Building what analysis found: the same engine, with execution's rules.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use taut_analysis::{ConfiguredTarget, Workspace};
use taut_digest::{Hash, ObjectInfo};
use taut_engine::{Builder, Fail};
use taut_exec::{
    ActionFailure, ArtifactKey, ArtifactRule, Built, Definitions, Events, Execution, LocalExecutor,
    LocalSetup, OverlayConflict, Sources,
};
use taut_store::Store;
use taut_syntax::Diagnostics;
use taut_sys::process::{HelperStart, Processes};
use taut_value::{ActionDescription, Id, Map, Str, Tree, TreeOverlay, Value};

use crate::{Analysis, AnalysisOptions, Reached, Request, analyse::analyse_with};

/// How to build.
#[derive(Clone, Debug)]
pub struct BuildOptions {
    /// How many actions run at once.
    pub jobs: usize,
    /// Words in front of each command.
    pub launcher: Vec<String>,
    /// The time limit of actions; none is enforced unless one is given.
    pub timeout: Option<Duration>,
    /// Properties that all actions ask of the executing platform.
    pub properties: Vec<(String, String)>,
    /// Whether to go on after a failure with all that does not depend on it.
    pub keep_going: bool,
}

/// What analysis found, ready to be built.
pub struct Session {
    /// What is to be built.
    pub analysis: Analysis,
    execution: Arc<Execution>,
    processes: Processes,
}

/// What was built.
pub struct Results {
    /// The target's artifacts, by path.
    pub artifacts: Vec<(Str, Built)>,
    /// The runfiles that are not among them, by path.
    pub runfiles: Vec<(Str, Built)>,
}

/// Why a build has no results.
pub struct BuildFailure {
    /// Failures other than those of actions, which events told about.
    pub others: BTreeSet<String>,
    /// Paths of the result that could not be built.
    pub not_built: Vec<Str>,
}

struct InWorkspace(Arc<Workspace>);

impl Definitions for InWorkspace {
    fn action(&self, id: &Id) -> Option<Arc<ActionDescription>> {
        self.0.definitions.action(id)
    }

    fn tree(&self, id: &Id) -> Option<Tree> {
        self.0.definitions.tree(id)
    }

    fn overlay(&self, id: &Id) -> Option<TreeOverlay> {
        self.0.definitions.overlay(id)
    }

    fn blob(&self, hash: &Hash) -> Option<Str> {
        self.0.definitions.blob(hash)
    }
}

impl Sources for InWorkspace {
    fn file(&self, repository: &str, path: &str) -> Option<PathBuf> {
        let repository = self.0.repositories.repositories.get(repository)?;
        Some(Path::new(repository.workspace_root.path.as_str()).join(path))
    }
}

/// Why there is no session.
pub enum SessionError {
    /// The description is wrong.
    Analysis(Diagnostics),
    /// The build root cannot be used.
    Store(taut_store::Error),
}

impl Session {
    /// Analyses a request, to build it in `store`.
    ///
    /// # Errors
    /// What is wrong with the description or the build root.
    pub fn new(
        request: &Request,
        how: AnalysisOptions,
        store: &Store,
        options: BuildOptions,
        events: Arc<dyn Events>,
    ) -> Result<Session, SessionError> {
        let processes = Processes::new(HelperStart::this_program());
        let executor = LocalExecutor::new(LocalSetup {
            store: store.clone(),
            processes: processes.clone(),
            events: events.clone(),
            launcher: options.launcher,
            timeout: options.timeout,
            jobs: options.jobs,
            keep_going: options.keep_going,
        })
        .map_err(SessionError::Store)?;
        let mut made = None;
        let extend = |builder: Builder, workspace: &Arc<Workspace>| {
            let world = Arc::new(InWorkspace(workspace.clone()));
            let execution = Arc::new(Execution {
                store: store.clone(),
                definitions: world.clone(),
                sources: world,
                events,
                executor: Arc::new(executor),
                properties: options.properties,
                timeout: options.timeout.unwrap_or(Duration::from_secs(300)),
                rerun: false,
                keep_going: options.keep_going,
                counters: Default::default(),
            });
            made = Some(execution.clone());
            taut_exec::register(builder, &execution)
        };
        let analysis =
            analyse_with(request, how, options.keep_going, extend).map_err(SessionError::Analysis)?;
        let execution = made.expect("analysis makes an engine");
        Ok(Session { analysis, execution, processes })
    }

    /// What ends all actions that run.
    pub fn processes(&self) -> Processes {
        self.processes.clone()
    }

    /// Builds the artifacts and runfiles of the target.
    ///
    /// # Errors
    /// Everything that failed.
    pub fn build(&self) -> Result<Results, BuildFailure> {
        let result = &self.analysis.analysed.result;
        let wanted = |stage: &Map| -> Vec<(Str, ArtifactKey)> {
            let artifact = |(path, value): (&Str, &Value)| {
                Some((path.clone(), ArtifactKey(value.as_artifact()?.clone())))
            };
            stage.iter().filter_map(artifact).collect()
        };
        let artifacts = wanted(&result.artifacts);
        let mut runfiles = wanted(&result.runfiles);
        runfiles.retain(|(path, _)| !result.artifacts.contains_key(path));
        let keys: Vec<ArtifactKey> = artifacts.iter().chain(&runfiles).map(|(_, key)| key.clone()).collect();
        let paths = artifacts.iter().chain(&runfiles).map(|(path, _)| path);
        let mut built = Vec::with_capacity(keys.len());
        let mut failure = BuildFailure { others: BTreeSet::new(), not_built: Vec::new() };
        for (path, result) in paths.zip(self.analysis.build.all::<ArtifactRule>(keys)) {
            match result {
                Ok(object) => built.push(object),
                Err(fail) => failure.add(path, &fail, &self.analysis.reached),
            }
        }
        if !failure.not_built.is_empty() {
            return Err(failure);
        }
        let mut built = built.into_iter();
        let mut with = |wanted: Vec<(Str, ArtifactKey)>| -> Vec<(Str, Built)> {
            wanted.into_iter().map(|(path, _)| path).zip(built.by_ref()).collect()
        };
        Ok(Results { artifacts: with(artifacts), runfiles: with(runfiles) })
    }

    /// How many actions have a result, and how many of those were cached.
    pub fn counts(&self) -> (usize, usize) {
        (self.execution.counters.processed(), self.execution.counters.cache_hits())
    }

    /// The configured targets that define an action, with its number among theirs.
    pub fn origins(&self, id: &Id) -> Vec<String> {
        let mut origins = Vec::new();
        for reached in &self.analysis.reached {
            for (number, action) in reached.analysed.actions.iter().enumerate() {
                if action.id() == *id {
                    origins.push(format!("{}#{number}", shown(reached)));
                }
            }
        }
        origins
    }
}

/// A target as messages name it: without the variables that are null.
fn shown(reached: &Reached) -> ConfiguredTarget {
    ConfiguredTarget { name: reached.target.name.clone(), config: reached.target.config.without_nulls() }
}

impl BuildFailure {
    fn add(&mut self, path: &Str, fail: &Fail, reached: &[Reached]) {
        self.not_built.push(path.clone());
        if let Some(conflict) = fail.downcast_ref::<OverlayConflict>() {
            let defines =
                |reached: &&Reached| reached.analysed.overlays.iter().any(|o| o.id() == conflict.id);
            let origins = reached.iter().filter(defines).map(|reached| format!("\n - {}", shown(reached)));
            self.others.insert(format!("{conflict}\nrequested by{}", origins.collect::<String>()));
        } else if fail.downcast_ref::<ActionFailure>().is_none() && !matches!(fail, Fail::Cancelled) {
            self.others.insert(fail.to_string());
        }
    }
}

/// An object at a path of the result; below a tree if need be.
pub fn find(store: &Store, results: &Results, path: &str) -> Option<ObjectInfo> {
    let all = || results.artifacts.iter().chain(&results.runfiles);
    if let Some((_, built)) = all().find(|(known, _)| known.as_str() == path) {
        return Some(built.info);
    }
    all().find_map(|(known, built)| {
        let rest = if known.as_str() == "." {
            path
        } else {
            path.strip_prefix(known.as_str())?.strip_prefix('/')?
        };
        let mut info = built.info;
        for part in rest.split('/').filter(|part| !part.is_empty()) {
            let entry = *store.read_tree(&info.digest.hash).ok()??.get(part.as_bytes())?;
            let size = store.size(&entry.hash, entry.object_type).ok()??;
            info = ObjectInfo {
                digest: taut_digest::Digest { hash: entry.hash, size },
                object_type: entry.object_type,
            };
        }
        Some(info)
    })
}
