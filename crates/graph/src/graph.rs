//! Action graphs as files: what `--dump-graph` writes and `traverse` reads.
//!
//! A graph is a set of definitions, each with the targets that asked for it. In files, definitions refer to each other
//! by keys. Those that taut and the reference write are the definitions' ids, but any other will do: when
//! a graph is read, ids are computed from the definitions, in the order of their dependencies, so that
//! a key is a name and never something to be trusted.

use std::collections::BTreeMap;
use std::sync::Arc;

use taut_value::{ActionDescription, Artifact, EntityName, Id, Map, Str, Tree, TreeOverlay, Value};

use crate::read::{self, GraphError};

/// Definitions of actions and trees, and contents of blobs.
#[derive(Default, Debug)]
pub struct ActionGraph {
    /// The actions, each once.
    pub actions: BTreeMap<Id, GraphAction>,
    /// Contents that artifacts of known content refer to; sorted, unique.
    pub blobs: std::collections::BTreeSet<Str>,
    /// The trees, each once.
    pub trees: BTreeMap<Id, Tree>,
    /// The overlays, each once.
    pub overlays: BTreeMap<Id, TreeOverlay>,
}

/// An action and the targets that asked for it.
#[derive(Clone, Debug)]
pub struct GraphAction {
    /// What is run.
    pub description: Arc<ActionDescription>,
    /// The targets that asked for it; none in plain graphs.
    pub origins: Vec<Origin>,
}

/// A configured target that asks for an action.
#[derive(Clone, PartialEq, Debug)]
pub struct Origin {
    /// The target's name, as JSON or as a name.
    pub target: Value,
    /// The action's place among the definitions of the target, from 0.
    pub subtask: u64,
    /// The target's effective configuration, variables that are unset included.
    pub config: Map,
}

impl Origin {
    /// The target as messages name it, without the variables that are null, and the action's number.
    fn shown(&self) -> String {
        let set = self.config.iter().filter(|(_, value)| !matches!(value, Value::Null));
        let config: Map = set.map(|(name, value)| (name.clone(), value.clone())).collect();
        format!("[{},{}]#{}", self.target_text(), config.to_label(), self.subtask)
    }

    /// What origins of one action are ordered by: the name by its parts, the configuration by its hash, as in
    /// the reference. The order of their texts is another one: of `"a"` and `"a b"`, the second comes first.
    fn order(&self) -> impl Ord + use<> {
        let (named, anonymous) = match self.target.as_name() {
            Some(EntityName::Named(named)) => (Some(named.clone()), None),
            Some(EntityName::Anonymous(target)) => {
                (None, Some((Value::Map(target.rule_map.clone()).id(), target.node.id())))
            }
            None => (None, None),
        };
        // Those without a place come last.
        (named.is_none(), named, anonymous, Value::Map(self.config.clone()).id(), self.subtask)
    }

    /// The target as messages name it, and the action's number there.
    pub fn numbered(&self) -> String {
        format!("{}#{}", self.target_text(), self.subtask)
    }

    /// The target as messages name it.
    pub fn target_text(&self) -> String {
        match &self.target {
            Value::Name(name) => name.to_json(),
            other => other.to_json(),
        }
    }
}

impl GraphAction {
    /// The configured targets that ask for it, as messages name them.
    pub fn shown(&self) -> Vec<String> {
        self.origins.iter().map(Origin::shown).collect()
    }
}

impl ActionGraph {
    /// Brings the origins of each action into their order.
    pub fn sort_origins(&mut self) {
        for action in self.actions.values_mut().filter(|action| action.origins.len() > 1) {
            action.origins.sort_by_cached_key(Origin::order);
        }
    }

    /// The first target that asks for an action, and the action's number there; the id if no target is known.
    pub fn first_origin(&self, action: &Id) -> String {
        let origin = self.actions.get(action).and_then(|action| action.origins.first());
        origin.map_or_else(|| format!("\"{action}\""), Origin::numbered)
    }

    /// The configured targets that ask for an action, as messages name them.
    pub fn origins(&self, action: &Id) -> Vec<String> {
        self.actions.get(action).map(GraphAction::shown).unwrap_or_default()
    }
}

/// A graph that was read, and how its file names things.
#[derive(Debug)]
pub struct NamedGraph {
    /// The definitions.
    pub graph: ActionGraph,
    names: read::Names,
}

impl NamedGraph {
    /// Reads a graph file.
    ///
    /// # Errors
    ///
    /// [`GraphError`] for anything that is no graph, for unknown references and for cycles.
    pub fn read(label: &str, bytes: Vec<u8>) -> Result<NamedGraph, GraphError> {
        let (graph, names) = read::graph(label, bytes)?;
        Ok(NamedGraph { graph, names })
    }

    /// Reads a JSON object from paths to artifacts of this graph: what `--dump-artifacts-to-build`
    /// writes. Sorted by path.
    ///
    /// # Errors
    ///
    /// [`GraphError`], as for the graph itself.
    pub fn stage(&self, label: &str, bytes: Vec<u8>) -> Result<Vec<(Str, Artifact)>, GraphError> {
        read::stage(&self.names, label, bytes)
    }
}
