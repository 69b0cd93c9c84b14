//! The events of a call, one for each step, for everything that shows, records or counts them.
//!
//! Each [`Event`] is handed to a [`Sink`]. The terminal, the profile and the event log are sinks; so is the record of
//! how actions ended that a build keeps for itself. A new way to show what happens is a new sink, and changes nothing
//! here.
//!
//! `exec` has callbacks of its own, since it knows no targets; `ExecutionEvents` turns them into events.
//!
//! Rejected: a channel and a writer thread. Events borrow, so an event that no sink uses costs nothing; and every sink
//! has handled an event when the call that sent it returns.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use taut_digest::Hash;
use taut_engine::{Content, Engine};
use taut_exec::{ActionFailure, ActionOutcome, Events, RunResult, Step, StopSwitch, Traffic};
pub use taut_graph::Origin;
use taut_graph::{Definition, DefinitionKey};
use taut_repos::RepoConfig;
use taut_syntax::Diagnostics;
use taut_value::{ActionDescription, Artifact, Id, Map, Tree, TreeOverlay};

use crate::{RecordedReason, Request, Subject, Targets, Unbuilt};

/// Takes events. Called from any thread, also from several at once; must not block for long.
// A closed list of events and one method, rather than a method for each event: a sink that ignores
// most of them stays short, and the compiler lists the places that a new event concerns.
pub trait Sink: Send + Sync {
    /// One event.
    fn event(&self, event: &Event<'_>);
}

/// To each, in order.
impl Sink for Vec<Arc<dyn Sink>> {
    fn event(&self, event: &Event<'_>) {
        self.iter().for_each(|sink| sink.event(event));
    }
}

/// A target that defines an action, and the action's number there; `None` if it is not known.
pub type Origins = Arc<dyn Fn(&Id) -> Option<Origin> + Send + Sync>;

/// A step of a call. A call that succeeds sends events in the order of this list, as far as it has such steps; those of
/// actions come in any order between the beginning and the end of the build.
pub enum Event<'e> {
    /// The command line is understood.
    CallBegan(Call<'e>),
    /// All of it is done again: something was lost.
    CallRestarted,
    /// A root was computed before the request could be understood; not sent of those that were known.
    RootComputed(&'e NewRoot),
    /// Analysis begins.
    AnalysisBegan,
    /// What is wrong with the description, but does not keep it from being analysed.
    Warned(&'e Diagnostics),
    /// It is known what has to be built.
    AnalysisFinished(Analysed),
    /// Analysis failed.
    AnalysisFailed(&'e Diagnostics),
    /// Execution begins.
    BuildBegan {
        /// How many actions there are.
        actions: usize,
        /// Where they are defined.
        origins: &'e Origins,
    },
    /// An action's inputs are there.
    ActionBegun(Action<'e>),
    /// An action's process is about to start.
    ActionStarted(Action<'e>),
    /// An action has come to a step in which a server takes part.
    ActionRemote {
        /// The action.
        action: Action<'e>,
        /// The server.
        at: &'e Arc<str>,
        /// The step.
        step: Step,
    },
    /// An action was run again, to be compared with what is cached of an earlier run, if anything is.
    ActionCompared {
        /// The action.
        action: Action<'e>,
        /// How it ran now.
        again: &'e RunResult,
        /// How it ran before.
        cached: Option<&'e RunResult>,
    },
    /// An action has a result.
    ActionFinished(&'e Finished<'e>),
    /// An action failed, or was ended.
    ActionFailed(&'e Failed<'e>),
    /// Something is not built, and no action of it failed: a cause, and what it affects.
    Unbuilt(&'e Unbuilt),
    /// Something went wrong with the remote cache, and this is why the build did not use it, or did not store all.
    RemoteCacheFailed(&'e str),
    /// Execution is over.
    BuildFinished(Built),
    /// A task of the engine was executed in this call: sent when the build is over, or analysis has failed.
    TaskRan {
        /// What the task is about.
        subject: &'e Subject,
        /// Why it was executed.
        why: &'e RecordedReason,
    },
    /// The call is over.
    CallFinished(Status),
}

/// A call whose command line is understood.
#[derive(Clone, Copy)]
pub struct Call<'e> {
    /// The program and its version.
    pub program: &'e str,
    /// The subcommand.
    pub command: &'e str,
    /// The repositories that it is about.
    pub repositories: &'e RepoConfig,
    /// The targets; `None` if it is about a graph.
    pub targets: Option<&'e Targets>,
    /// Their configuration.
    pub configuration: Option<&'e Map>,
    /// Whether it uses cached build state. Only then reasons are known.
    pub uses_state: bool,
}

impl<'e> Call<'e> {
    /// One about a request. `program`: its name and version; `uses_state`: whether it uses cached build state.
    pub fn of(program: &'e str, command: &'e str, request: &'e Request, uses_state: bool) -> Call<'e> {
        let Request { repositories, targets, configuration } = request;
        let (targets, configuration) = (Some(targets), Some(configuration));
        Call { program, command, repositories, targets, configuration, uses_state }
    }
}

/// A root that was computed in this call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewRoot {
    /// The first reference to it: root and repository.
    pub what: String,
    /// What it is computed from: a target as one types it, with its configuration as JSON.
    pub from: String,
    /// Its tree.
    pub tree: Hash,
    /// How many actions were run for it.
    pub ran: usize,
    /// How long it took.
    pub duration: Duration,
}

/// What analysis found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Analysed {
    /// Whether it was replayed from an earlier call.
    pub is_known: bool,
    /// How many actions there are.
    pub actions: usize,
    /// How many trees, if that was counted.
    pub trees: usize,
    /// How many overlays of trees, if that was counted.
    pub overlays: usize,
    /// How many contents the description holds, if that was counted.
    pub blobs: usize,
}

/// An action.
#[derive(Clone, Copy)]
pub struct Action<'e> {
    /// Its id.
    pub id: &'e Id,
    /// Its definition.
    pub description: &'e Arc<ActionDescription>,
}

/// Where the trees among the inputs of actions are defined.
pub trait Trees: Send + Sync {
    /// The tree with this id.
    fn tree(&self, id: &Id) -> Option<Tree>;
    /// The overlay with this id.
    fn overlay(&self, id: &Id) -> Option<TreeOverlay>;
}

/// Looks trees up in an engine. A cell, since the rules of the engine need the sinks, which exist before it.
// The engine's rules hold the sinks, and these hold this: `set(None)` at the end breaks the cycle.
#[derive(Default)]
pub(crate) struct EngineTrees(Mutex<Option<Engine>>);

impl EngineTrees {
    /// Sets the engine; `None` releases it.
    pub(crate) fn set(&self, engine: Option<Engine>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = engine;
    }

    fn definition(&self, name: DefinitionKey) -> Option<Arc<Definition>> {
        // Cloned, so that the lock is released before the engine takes its own.
        let engine = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        engine.kept::<Content<Definition>>(&name.0).into_iter().next()?.value
    }
}

impl Trees for EngineTrees {
    fn tree(&self, id: &Id) -> Option<Tree> {
        match &*self.definition(DefinitionKey::tree(id))? {
            Definition::Tree(tree) => Some(tree.clone()),
            _ => None,
        }
    }

    fn overlay(&self, id: &Id) -> Option<TreeOverlay> {
        match &*self.definition(DefinitionKey::overlay(id))? {
            Definition::Overlay(overlay) => Some(overlay.clone()),
            _ => None,
        }
    }
}

/// An action that has a result.
pub struct Finished<'e> {
    /// The action.
    pub action: Action<'e>,
    /// The digest of its `Action` message, which names its inputs by content; `None` if it was not needed.
    pub inputs: Option<&'e Hash>,
    /// The result.
    pub outcome: &'e ActionOutcome,
    /// Whether its recorded outcome was replayed: the event is sent so that what it printed is shown, or that it is
    /// counted.
    pub is_replayed: bool,
    /// Where trees are defined.
    pub trees: Option<&'e dyn Trees>,
}

/// An action that failed.
pub struct Failed<'e> {
    /// How.
    pub failure: &'e ActionFailure,
    /// Whether its process was ended since the call was interrupted, so that it is not a failure of its own.
    pub was_ended: bool,
    /// Where trees are defined.
    pub trees: Option<&'e dyn Trees>,
}

/// How execution ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// Whether all that was requested is there.
    pub is_complete: bool,
    /// How many actions have a result.
    pub processed: usize,
    /// How many of them were run.
    pub ran: usize,
    /// What passed between this build and the remote cache, if there is one.
    pub traffic: Option<Traffic>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Everything that was requested is there.
    Success,
    /// Execution failed, or what it should start from could not be set up.
    BuildFailed,
    /// There is a result, with artifacts that come from failed actions.
    FailedArtifacts,
    /// The description is wrong.
    AnalysisFailed,
    /// The environment is wrong: the build root, files or permissions.
    Environment,
    /// The command line is wrong.
    Syntax,
    /// A signal of this number ended it.
    Interrupted(i32),
}

impl Status {
    /// One word, as logs have it.
    // Written out, not derived from the names of the variants: the words are part of the format of
    // event logs.
    pub fn word(self) -> &'static str {
        match self {
            Status::Success => "success",
            Status::BuildFailed => "build_failed",
            Status::FailedArtifacts => "failed_artifacts",
            Status::AnalysisFailed => "analysis_failed",
            Status::Environment => "environment",
            Status::Syntax => "syntax",
            Status::Interrupted(_) => "interrupted",
        }
    }
}

impl Finished<'_> {
    /// The actions whose outputs it takes, each once: directly, and through the trees among its inputs.
    pub fn needs(&self) -> Vec<Id> {
        needs(self.action.description, self.trees)
    }
}

impl Failed<'_> {
    /// The same of an action that failed.
    pub fn needs(&self) -> Vec<Id> {
        needs(&self.failure.action, self.trees)
    }
}

/// Sorted, without duplicates. Trees in trees are not followed: they are built by tasks of their own.
fn needs(action: &ActionDescription, defined: Option<&dyn Trees>) -> Vec<Id> {
    let mut needs = Vec::new();
    let mut add_stage = |stage: &Map| {
        let artifacts = stage.values().filter_map(|value| value.as_artifact());
        needs.extend(artifacts.filter_map(|artifact| match artifact {
            Artifact::Action { id, .. } => Some(*id),
            _ => None,
        }));
    };
    add_stage(&action.inputs);
    let artifacts = action.inputs.values().filter_map(|value| value.as_artifact());
    let mut trees: Vec<Id> = Vec::new();
    for artifact in artifacts {
        match artifact {
            Artifact::Tree(id) => trees.push(*id),
            Artifact::TreeOverlay(id) => {
                // The parts of an overlay that are trees lie in the input directory like direct
                // ones, so they count as one level.
                let overlay = defined.and_then(|defined| defined.overlay(id));
                let parts = overlay.iter().flat_map(|overlay| overlay.trees());
                trees.extend(parts.filter_map(|part| match part {
                    Artifact::Tree(id) => Some(*id),
                    _ => None,
                }));
            }
            _ => {}
        }
    }
    for id in trees {
        if let Some(tree) = defined.and_then(|defined| defined.tree(&id)) {
            add_stage(tree.stage());
        }
    }
    // Event logs have this list, and equal builds should have equal logs.
    needs.sort_unstable();
    needs.dedup();
    needs
}

/// What `exec` reports, as events.
pub(crate) struct ExecutionEvents {
    pub(crate) sink: Arc<dyn Sink>,
    pub(crate) trees: Arc<dyn Trees>,
    pub(crate) stop: Arc<StopSwitch>,
}

impl Events for ExecutionEvents {
    fn begun(&self, id: &Id, description: &Arc<ActionDescription>) {
        self.sink.event(&Event::ActionBegun(Action { id, description }));
    }

    fn started(&self, id: &Id, description: &Arc<ActionDescription>) {
        self.sink.event(&Event::ActionStarted(Action { id, description }));
    }

    fn remote(&self, id: &Id, description: &Arc<ActionDescription>, at: &Arc<str>, step: Step) {
        self.sink.event(&Event::ActionRemote { action: Action { id, description }, at, step });
    }

    fn compared(
        &self,
        id: &Id,
        description: &Arc<ActionDescription>,
        again: &RunResult,
        cached: Option<&RunResult>,
    ) {
        let action = Action { id, description };
        self.sink.event(&Event::ActionCompared { action, again, cached });
    }

    fn finished(
        &self,
        id: &Id,
        description: &Arc<ActionDescription>,
        digest: &Hash,
        outcome: &ActionOutcome,
    ) {
        let (action, inputs) = (Action { id, description }, Some(digest));
        let trees = Some(&*self.trees);
        let finished = Finished { action, inputs, outcome, is_replayed: false, trees };
        self.sink.event(&Event::ActionFinished(&finished));
    }

    fn failed(&self, failure: &ActionFailure) {
        let trees = Some(&*self.trees);
        // A failure for another reason (a missing input, a full disk) is one even during an interruption.
        let was_ended = self.stop.is_interrupted() && failure.is_of_process();
        self.sink.event(&Event::ActionFailed(&Failed { failure, was_ended, trees }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use taut_value::{Str, Value};

    #[derive(Default)]
    struct Known(BTreeMap<Id, Tree>, BTreeMap<Id, TreeOverlay>);

    impl Trees for Known {
        fn tree(&self, id: &Id) -> Option<Tree> {
            self.0.get(id).cloned()
        }

        fn overlay(&self, id: &Id) -> Option<TreeOverlay> {
            self.1.get(id).cloned()
        }
    }

    #[test]
    fn an_action_needs_those_whose_outputs_it_takes_by_itself_or_in_trees() {
        let output = |of: &str| Artifact::Action { id: Id::of(of), path: "o".into() };
        let stage = |all: Vec<(&str, Artifact)>| -> Map {
            all.into_iter().map(|(path, artifact)| (Str::from(path), Value::artifact(artifact))).collect()
        };
        let tree = Tree::new(stage(vec![("x", output("in tree")), ("y", output("direct"))]));
        let other = Tree::new(stage(vec![("z", output("in overlay"))]));
        let overlay = TreeOverlay::new(vec![Artifact::Tree(other.id())], false);
        let source = Artifact::Local { path: "s".into(), repository: "r".into() };
        let inputs = vec![
            ("a", output("direct")),
            ("b", Artifact::Tree(tree.id())),
            ("c", Artifact::TreeOverlay(overlay.id())),
            ("d", source),
        ];
        let mut action = ActionDescription::default();
        action.inputs = stage(inputs);
        let mut known = Known::default();
        known.0.extend([(tree.id(), tree), (other.id(), other)]);
        known.1.insert(overlay.id(), overlay);
        let sorted = |names: &[&str]| {
            let mut ids: Vec<Id> = names.iter().map(Id::of).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(needs(&action, Some(&known)), sorted(&["direct", "in tree", "in overlay"]));
        assert_eq!(needs(&action, None), sorted(&["direct"]));
    }
}
