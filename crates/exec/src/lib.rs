//! Artifacts to stored objects: sources, trees, overlays, and the outputs of actions.
//!
//! Everything is a task of the engine. [`ArtifactRule`] knows artifacts and [`ActionRule`] actions by their
//! definition (intensional); [`RunRule`] knows what is run by the digest of command and input contents
//! (extensional), so that differently defined actions with equal inputs share one run, also when both are
//! in flight. What many actions and trees have in common in their inputs, [`StageRule`] builds once, directory by
//! directory. Order belongs to the engine alone; [`Executor`] runs one action.
//!
//! What this crate does not know: targets, and what the artifacts are wanted for. It prints nothing.

mod action;
mod artifact;
mod blocked;
mod built;
mod cause;
mod collect;
mod context;
mod each_time;
mod events;
mod failure;
mod halt;
mod inputs;
mod local;
mod message;
mod missing;
mod not_started;
mod printed;
mod run;
mod slots;
mod source;
mod split;
mod stage;
mod stage_key;
mod trees;

use std::{sync::Arc, time::Duration};

pub use action::{ActionKey, ActionOutcome, ActionRule};
pub use built::{ArtifactKey, ArtifactRule, Built};
pub use cause::{Cause, ExecutionFailure, SourceProblem, Undefined};
pub use context::{Context, ContextRule};
pub use each_time::{EachTime, EachTimeRule};
pub use events::{Counters, Events, NoEvents};
pub use failure::{ActionError, ActionFailure, Phase};
pub use halt::Halt;
pub use inputs::StageRule;
pub use local::{LocalExecutor, LocalSetup};
pub use missing::{Instead, MissingOutput};
pub use printed::Printed;
pub use run::{Executor, Ran, RunKey, RunRule};
use source::TakenSources;
pub use stage_key::StageKey;
use taut_engine::{Content, Cx};
use taut_graph::{Definition, DefinitionKey};
use taut_repos::SourceRoot;
use taut_store::Store;

/// Where source files lie.
pub trait Sources: Send + Sync {
    /// The root that the sources of a repository lie in; `None` if there is no such repository.
    fn root(&self, repository: &str) -> Option<&dyn SourceRoot>;
}

/// What the rules of this crate share.
pub struct Execution {
    /// Where contents go.
    pub store: Store,
    /// What results depend on besides definitions and inputs, as [`ContextRule`] has it.
    pub context: Vec<u8>,
    /// Where sources come from.
    pub sources: Arc<dyn Sources>,
    /// Where events go.
    pub events: Arc<dyn Events>,
    /// Runs actions.
    pub executor: Arc<dyn Executor>,
    /// Properties that all actions ask of the executing platform, sorted by name.
    pub properties: Vec<(String, String)>,
    /// The time limit that is part of an action's identity; 300 s unless the user says otherwise.
    pub timeout: Duration,
    /// Whether everything runs, to be compared with what is cached; nothing is cached then.
    pub compare: bool,
    /// Whether anything new may begin; shared with the executor.
    pub halt: Arc<Halt>,
    /// What happened so far.
    pub counters: Counters,
}

/// Adds the rules of this crate to an engine.
pub fn register(builder: taut_engine::Builder, execution: &Arc<Execution>) -> taut_engine::Builder {
    builder
        .rule(ArtifactRule(execution.clone(), TakenSources::default()))
        .rule(ActionRule(execution.clone()))
        .rule(StageRule(execution.clone()))
        .rule(RunRule(execution.clone()))
        .rule(ContextRule(execution.context.clone()))
        .rule(EachTimeRule)
        .interned::<Printed>()
}

impl Execution {
    /// A definition; `None` if none of that name is known.
    pub(crate) async fn definition(&self, cx: &Cx, name: DefinitionKey) -> Option<Arc<Definition>> {
        // It follows from its name, so it is no reason to run again.
        cx.call::<Content<Definition>>(name.0).await.ok()
    }
}

/// An error of the store, met when some objects were to be used. Where one of them turns out to be lost, all that is of
/// no use without it goes, too, so that the next try makes it again.
pub(crate) fn lost(
    store: &Store,
    error: taut_store::Error,
    objects: impl Iterator<Item = taut_digest::ObjectInfo>,
) -> taut_store::Error {
    if matches!(error, taut_store::Error::Missing(_)) {
        // What cannot be removed stays lost; the first error is the one to report.
        objects.for_each(|object| drop(store.discard_unsound(&object)));
    }
    error
}
