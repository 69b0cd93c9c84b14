//! Action graphs as files: written by `--dump-graph`, read by `traverse`.
//!
//! A graph is a set of definitions, each with the targets that define it. In files, definitions refer to each other
//! by keys. taut and the reference write the definitions' ids as keys, but any other key is valid: ids are computed
//! from the definitions when a graph is read, in the order of their dependencies. So a key is only a name, and a wrong
//! one cannot make a definition pass for another.

use std::collections::BTreeMap;
use std::sync::Arc;

use taut_digest::ObjectInfo;
use taut_value::{ActionDescription, Artifact, EntityName, Id, Map, Str, Tree, TreeOverlay, Value};

use crate::read::{self, GraphError};

/// Definitions of actions and trees, and contents of blobs.
#[derive(Default, Debug)]
pub struct ActionGraph {
    /// The actions, each once.
    // Sorted by id, which is the order in the file.
    pub actions: BTreeMap<Id, GraphAction>,
    /// Contents that artifacts of known content refer to; sorted, unique.
    pub blobs: std::collections::BTreeSet<Str>,
    /// The trees, each once.
    pub trees: BTreeMap<Id, Tree>,
    /// The overlays, each once.
    pub overlays: BTreeMap<Id, TreeOverlay>,
}

/// An action and the targets that define it.
#[derive(Clone, Debug)]
pub struct GraphAction {
    /// The action's definition.
    pub description: Arc<ActionDescription>,
    /// The targets that define it; none in plain graphs.
    pub origins: Vec<Origin>,
}

/// A configured target that defines an action.
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
    /// The target in the form of messages, without the variables that are null, and the action's number.
    fn shown(&self) -> String {
        let set = self.config.iter().filter(|(_, value)| !matches!(value, Value::Null));
        let config: Map = set.map(|(name, value)| (name.clone(), value.clone())).collect();
        // As the reference prints a configured target in its messages.
        format!("[{},{}]#{}", self.target_text(), config.to_label(), self.subtask)
    }

    /// The order of the origins of one action: by the parts of the name, then by the hash of the configuration, as in
    /// the reference. The order of their texts is another one: of `"a"` and `"a b"`, the second comes first.
    fn order(&self) -> impl Ord + use<> {
        let (named, anonymous) = match self.target.as_name() {
            Some(EntityName::Named(named)) => (Some(named.clone()), None),
            Some(EntityName::Anonymous(target)) => {
                (None, Some((Value::Map(target.rule_map.clone()).id(), target.node.id())))
            }
            None => (None, None),
        };
        // Anonymous targets come last.
        (named.is_none(), named, anonymous, Value::Map(self.config.clone()).id(), self.subtask)
    }

    /// The target as messages name it, and the action's number there.
    pub fn numbered(&self) -> String {
        format!("{}#{}", self.target_text(), self.subtask)
    }

    /// The target in the form of messages.
    pub fn target_text(&self) -> String {
        match &self.target {
            // Names that analysis made, and those that were read from a file as JSON, are shown alike.
            Value::Name(name) => name.to_json(),
            other => other.to_json(),
        }
    }
}

impl GraphAction {
    /// The configured targets that define the action, in the form of messages.
    pub fn shown(&self) -> Vec<String> {
        self.origins.iter().map(Origin::shown).collect()
    }
}

impl ActionGraph {
    /// Sorts the origins of each action.
    pub fn sort_origins(&mut self) {
        for action in self.actions.values_mut().filter(|action| action.origins.len() > 1) {
            // Cached, since the order of one origin takes the hash of a configuration.
            action.origins.sort_by_cached_key(Origin::order);
        }
    }

    /// The known objects that something in the graph is made from; some more than once.
    pub fn known_objects(&self) -> impl Iterator<Item = ObjectInfo> + '_ {
        let inputs = self.actions.values().flat_map(|action| action.description.inputs.values());
        let staged = self.trees.values().flat_map(|tree| tree.stage().values());
        let artifacts = inputs.chain(staged).filter_map(Value::as_artifact);
        let merged = self.overlays.values().flat_map(TreeOverlay::trees);
        artifacts.chain(merged).filter_map(|artifact| match artifact {
            Artifact::Known(object) => Some(*object),
            _ => None,
        })
    }

    /// The first target that defines an action, and the action's number there; the id if no target is known.
    pub fn first_origin(&self, action: &Id) -> String {
        let origin = self.actions.get(action).and_then(|action| action.origins.first());
        origin.map_or_else(|| format!("\"{action}\""), Origin::numbered)
    }

    /// The configured targets that define an action, in the form of messages.
    pub fn origins(&self, action: &Id) -> Vec<String> {
        self.actions.get(action).map(GraphAction::shown).unwrap_or_default()
    }
}

/// A graph that was read, with the keys of its file.
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
    /// [`GraphError`] for anything that is not a graph, for unknown references and for cycles.
    pub fn read(label: &str, bytes: Vec<u8>) -> Result<NamedGraph, GraphError> {
        let (graph, names) = read::graph(label, bytes)?;
        Ok(NamedGraph { graph, names })
    }

    /// Reads a JSON object from paths to artifacts of this graph, as `--dump-artifacts-to-build` writes it. Sorted by
    /// path.
    ///
    /// # Errors
    ///
    /// [`GraphError`], as for the graph itself.
    pub fn stage(&self, label: &str, bytes: Vec<u8>) -> Result<Vec<(Str, Artifact)>, GraphError> {
        read::stage(&self.names, label, bytes)
    }
}
