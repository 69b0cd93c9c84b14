//! Nodes of target graphs: dependency structures without names.
//!
//! The unfolding of a node can be exponentially larger than the graph; so ids are computed once per node, and printing
//! shows one level only.

use std::sync::{Arc, OnceLock};

use crate::{Id, JsonWriter, Map, Str, TargetResult, deep};

/// A node, from which an anonymous target can be made.
#[derive(Clone, Debug)]
pub enum Node {
    /// A target that has this result in any configuration.
    Value(TargetResult),
    /// An inner node; its type is the key into a rule map.
    Abstract(Arc<AbstractNode>),
}

/// The definition of an abstract node.
pub struct AbstractNode {
    /// Key into the rule map.
    pub node_type: Str,
    /// Field to list of strings.
    pub string_fields: Map,
    /// Field to list of nodes; disjoint from the string fields.
    pub target_fields: Map,
    /// How many nodes it would be, itself included, if nothing were shared; saturates at the largest number.
    pub(crate) unfolded: u32,
    id: OnceLock<Id>,
}

impl Node {
    /// An abstract node. The caller has checked that the fields are disjoint and of the right types.
    pub fn new_abstract(node_type: Str, string_fields: Map, target_fields: Map) -> Node {
        let below = target_fields.values().filter_map(|nodes| nodes.as_list());
        let below = below.flat_map(|nodes| nodes.iter()).filter_map(|node| node.as_node());
        // Saturating: the number grows exponentially with depth, and only limits are compared with it.
        let unfolded = below.fold(1, |sum: u32, node| sum.saturating_add(node.unfolded()));
        let id = OnceLock::new();
        Node::Abstract(Arc::new(AbstractNode { node_type, string_fields, target_fields, unfolded, id }))
    }

    fn unfolded(&self) -> u32 {
        match self {
            Node::Value(_) => 1,
            Node::Abstract(node) => node.unfolded,
        }
    }

    /// Whether no name occurs in the node.
    pub fn is_name_free(&self) -> bool {
        match self {
            Node::Value(result) => result.is_name_free(),
            // The string fields are lists of strings.
            Node::Abstract(node) => node.target_fields.is_name_free(),
        }
    }

    /// SHA-256 of `#` and the JSON text, in which the nodes below are written as their ids.
    pub fn id(&self) -> Id {
        match self {
            // Not kept, unlike that of abstract nodes: the result that it is made of keeps its own.
            Node::Value(_) => deep(|| Id::of(format!("#{}", self.to_json()))),
            Node::Abstract(node) => *node.id.get_or_init(|| deep(|| Id::of(format!("#{}", self.to_json())))),
        }
    }

    /// Minimal JSON text of the definition, one level deep.
    pub fn to_json(&self) -> String {
        let mut writer = JsonWriter::compact();
        writer.node(self);
        writer.finish()
    }
}

impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl Eq for Node {}

impl std::fmt::Debug for AbstractNode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "node of type {}", self.node_type)
    }
}
