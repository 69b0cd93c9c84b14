//! From artifacts to stored objects: sources, trees, overlays, and the outputs of actions.
//!
//! Everything is a task of the engine. [`ArtifactRule`] identifies artifacts and [`ActionRule`] actions by their
//! definition (intensional). [`RunRule`] identifies runs by the digest of command and input contents (extensional): so
//! differently defined actions with equal inputs share one run, also when both are in flight. Directories that many
//! actions and trees have in common in their inputs are built once, by [`StageRule`]. The engine alone decides the
//! order; [`Executor`] runs one action.
//!
//! This crate does not depend on targets, nor on what the artifacts are wanted for. It prints nothing.

mod action;
mod artifact;
mod attempt;
mod built;
mod cause;
mod collect;
mod context;
mod depfile;
mod each_time;
mod events;
mod failure;
mod inputs;
mod local;
mod message;
mod missing_output;
mod not_started;
mod path_conflict;
mod printed;
mod reads;
mod remote;
mod result_message;
mod run;
mod run_result;
mod server_fault;
mod shared;
mod slots;
mod source;
mod split;
mod stage;
mod stage_key;
mod stop;
mod system_dirs;
mod trees;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

pub use action::{ActionKey, ActionOutcome, ActionRule};
pub use attempt::{Attempt, AttemptKey, AttemptRule};
pub use built::{ArtifactKey, ArtifactRule, Built};
pub use cause::{Cause, ExecutionFailure, SourceProblem, Undefined};
pub use context::{Context, ContextRule};
pub use depfile::{Malformed, Unsupported, prerequisites};
pub use each_time::{EachTime, EachTimeRule};
pub use events::{Counters, Events, NoEvents, Step};
pub use failure::{ActionError, ActionFailure, AtServer, NotExecuted, Phase};
pub use inputs::StageRule;
pub use local::{LocalExecutor, LocalSetup};
pub use missing_output::{ActualEntry, MissingOutput};
pub use printed::Printed;
pub use reads::DepfileInputs;
pub use remote::{
    CommandPart, Compared, Endpoint, Lacked, RemoteExecutor, RemoteSetup, SentObjects, command_parts, send,
};
pub use run::{Executor, KnownFuture, KnownResult, RunEnd, RunRule};
pub use run_result::{ResultSource, RunKey, RunResult};
pub use server_fault::{ServerFault, Unreached, Unsent, with_artifact};
pub use shared::{
    Difference, Missed, Nearest, Presence, ReceivedTree, SharedCache, SharedService, Traffic, TreeFault,
    Values, differences, nearest, nearest_executed,
};
use source::TakenSources;
pub use stage_key::StageKey;
pub use stop::StopSwitch;
use taut_digest::{Hash, ObjectType};
use taut_engine::{Content, Cx};
use taut_graph::{Definition, DefinitionKey};
use taut_repos::SourceRoot;
use taut_store::Store;
use taut_value::{ActionDescription, Id, Str};

/// Access to source files.
pub trait Sources: Send + Sync {
    /// The root of the sources of a repository; `None` if there is no such repository.
    fn root(&self, repository: &str) -> Option<&dyn SourceRoot>;

    /// The content of an object that some root names; of a directory, its git tree. `None` if no root has it.
    ///
    /// # Errors
    /// It cannot be read.
    fn object(&self, _hash: &Hash, _object_type: ObjectType) -> taut_repos::Result<Option<Vec<u8>>> {
        Ok(None)
    }

    /// Whether a file is in a directory that sources are taken from; by its path without links.
    fn has(&self, _path: &Path) -> bool {
        false
    }

    /// The path of a file or directory of this machine without links; `None` if nothing is there.
    fn real_path(&self, path: &Path) -> Option<PathBuf> {
        // A path that cannot be resolved is treated like one that leads nowhere; nothing is opened by it.
        taut_sys::canonical(path).ok()
    }
}

/// Access to what the description says of actions besides their definitions.
pub trait Depfiles: Send + Sync {
    /// The output of an action that says what the action reads; `None` if it has none. Called only for actions whose
    /// result is not in the action cache, from within their tasks.
    fn of(&self, id: &Id, action: &ActionDescription) -> Option<Str>;
}

/// No action has a depfile.
pub struct NoDepfiles;

impl Depfiles for NoDepfiles {
    // For builds from a graph file, which has no such key, and for tests.
    fn of(&self, _: &Id, _: &ActionDescription) -> Option<Str> {
        None
    }
}

/// What the rules of this crate share.
pub struct Execution {
    /// Where objects go.
    pub store: Store,
    /// What results depend on besides definitions and inputs, the value of [`ContextRule`].
    pub context: Vec<u8>,
    /// Where sources come from.
    pub sources: Arc<dyn Sources>,
    /// Where events go.
    pub events: Arc<dyn Events>,
    /// Runs actions.
    pub executor: Arc<dyn Executor>,
    /// Properties that all actions require of the executing platform, sorted by name.
    pub properties: Vec<(String, String)>,
    /// The time limit that is part of an action's identity; 300 s unless the user says otherwise.
    pub timeout: Duration,
    /// Whether everything runs, to be compared with cached results; nothing is cached then.
    pub compare: bool,
    /// Which actions have a depfile.
    pub depfiles: Arc<dyn Depfiles>,
    /// A cache that others use, too, if there is one.
    pub shared: Option<SharedCache>,
    /// Whether anything new may begin; shared with the executor.
    pub stop: Arc<StopSwitch>,
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
        .rule(AttemptRule(execution.clone()))
        .rule(ContextRule(execution.context.clone()))
        .rule(EachTimeRule)
        .interned::<Printed>()
}

impl Execution {
    /// A definition; `None` if none of that name is known.
    pub(crate) async fn definition(&self, cx: &Cx, name: DefinitionKey) -> Option<Arc<Definition>> {
        // `call`, not `get`: a definition is determined by its name (a hash), so it is not a dependency that could
        // change.
        cx.call::<Content<Definition>>(name.0).await.ok()
    }
}

/// Handles an error of the store from using some objects. If one of them is lost, everything
/// that is incomplete without it is removed, too, so that the next try makes it again.
pub(crate) fn lost(
    store: &Store,
    error: taut_store::Error,
    objects: impl Iterator<Item = taut_digest::ObjectInfo>,
) -> taut_store::Error {
    if matches!(error, taut_store::Error::Missing(_)) {
        // An object that cannot be removed counts as lost all the same; the first error is the one to report.
        objects.for_each(|object| drop(store.discard_unsound(&object)));
    }
    error
}
