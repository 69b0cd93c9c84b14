//! Analysis of a request: the target's result, and everything reached on the way.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use taut_analysis::{AnalysedTarget, Config, ConfiguredTarget, Problem, TargetRule, Workspace};
use taut_digest::HashFunction;
use taut_engine::{Engine, Fail, Options};
use taut_syntax::{Diagnostic, Diagnostics};
use taut_value::{EntityName, Value};

use crate::Request;
use crate::graph::{ActionGraph, GraphAction, Origin};

/// How to analyse.
#[derive(Clone, Copy, Debug)]
pub struct AnalysisOptions {
    /// Threads to use; at least 1.
    pub jobs: usize,
    /// How many characters of a value to show in messages.
    pub log_limit: usize,
    /// How contents are named.
    pub hash_function: HashFunction,
}

/// What analysis of a request yields.
pub struct Analysis {
    /// The target, in the configuration without variables that are null.
    pub target: ConfiguredTarget,
    /// What it is.
    pub analysed: Arc<AnalysedTarget>,
    /// All configured targets that were needed, each once, in a stable order: by name, then by the part
    /// of the configuration that they depend on.
    pub reached: Vec<Reached>,
}

/// A configured target that was needed.
#[derive(Clone)]
pub struct Reached {
    /// Its name, and the variables it depends on; unset ones are null.
    pub target: ConfiguredTarget,
    /// What it is.
    pub analysed: Arc<AnalysedTarget>,
}

/// Analyses the target of a request.
///
/// # Errors
///
/// Everything that is wrong; at least one diagnostic.
pub fn analyse(request: &Request, options: AnalysisOptions) -> Result<Analysis, Diagnostics> {
    let workspace = Arc::new(Workspace {
        repositories: request.repositories.clone(),
        hash_function: options.hash_function,
        definitions: Default::default(),
        log_limit: options.log_limit,
    });
    let engine = taut_analysis::register(Engine::builder(), &workspace).build();
    let build = engine.begin().commit(Options { jobs: options.jobs.max(1), ..Default::default() });
    let asked = ConfiguredTarget {
        name: EntityName::Named(request.target.clone()),
        config: Config::new(request.configuration.clone()),
    };
    let get = |target: &ConfiguredTarget| build.get::<TargetRule>(target.clone()).map_err(diagnostics);
    let analysed = get(&asked)?;

    let mut reached = BTreeMap::new();
    let mut seen = HashSet::from([asked.to_string()]);
    let mut pending = vec![asked.clone()];
    while let Some(target) = pending.pop() {
        let analysed = get(&target)?;
        pending.extend(analysed.dependencies.iter().filter(|next| seen.insert(next.to_string())).cloned());
        let target = ConfiguredTarget { config: target.config.prune(&analysed.vars), name: target.name };
        reached
            .entry((target.name.to_json(), target.config.to_json()))
            .or_insert(Reached { target, analysed });
    }
    let target = ConfiguredTarget { config: asked.config.without_nulls(), name: asked.name };
    Ok(Analysis { target, analysed, reached: reached.into_values().collect() })
}

fn diagnostics(fail: Fail) -> Diagnostics {
    if let Some(Problem(diagnostics)) = fail.downcast_ref() {
        return diagnostics.clone();
    }
    let text = match &fail {
        Fail::Cycle(cycle) => {
            let mut text = "Cycle detected in target dependencies:".to_owned();
            let targets: Vec<String> = (cycle.keys().iter())
                .map(|key| {
                    key.downcast::<ConfiguredTarget>().map_or_else(|| key.to_string(), ToString::to_string)
                })
                .collect();
            for (place, target) in targets.iter().enumerate() {
                text.push_str(if place == 0 { "\n.-> " } else { "\n|   " });
                text.push_str(target);
            }
            text.push_str(&format!("\n`-- {}", targets[0]));
            text
        }
        Fail::Cancelled => "Analysis was cancelled.".to_owned(),
        Fail::Task(failure) | Fail::Transient(failure) => failure.to_string(),
    };
    Diagnostic::error(text).into()
}

impl Analysis {
    /// All warnings, each once.
    pub fn warnings(&self) -> Diagnostics {
        Diagnostics::merge(self.reached.iter().map(|reached| &reached.analysed.warnings))
    }

    /// How many export targets were needed.
    pub fn export_targets(&self) -> usize {
        self.reached.iter().filter(|reached| reached.analysed.is_export).count()
    }

    /// The definitions of all targets that were needed.
    pub fn graph(&self) -> ActionGraph {
        let mut graph = ActionGraph::default();
        for Reached { target, analysed } in &self.reached {
            for (subtask, action) in analysed.actions.iter().enumerate() {
                let origin = Origin {
                    target: Value::Name(target.name.clone()),
                    subtask: subtask as u64,
                    config: target.config.map().clone(),
                };
                let new = || GraphAction { description: Arc::clone(action), origins: Vec::new() };
                graph.actions.entry(action.id()).or_insert_with(new).origins.push(origin);
            }
            graph.blobs.extend(analysed.blobs.iter().cloned());
            graph.trees.extend(analysed.trees.iter().map(|tree| (tree.id(), tree.clone())));
            graph.overlays.extend(analysed.overlays.iter().map(|overlay| (overlay.id(), overlay.clone())));
        }
        graph
    }
}
