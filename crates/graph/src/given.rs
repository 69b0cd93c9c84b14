//! A graph from a file as a task: it mentions all that the graph defines, so that it is found as what analysis defines is.

use std::sync::Arc;

use taut_digest::HashFunction;
use taut_engine::{Cx, Fail, Key, Policy, Rule};

use crate::{ActionGraph, Definition};

/// Names the one graph of an engine.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct GivenGraph;

impl Key for GivenGraph {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(bytes: &[u8]) -> Option<GivenGraph> {
        bytes.is_empty().then_some(GivenGraph)
    }
}

/// Mentions what a graph defines. To be asked for before anything that the graph defines is.
pub struct GivenGraphRule {
    /// The graph.
    pub graph: Arc<ActionGraph>,
    /// How contents are named.
    pub hash_function: HashFunction,
}

impl Rule for GivenGraphRule {
    type Key = GivenGraph;
    type Value = ();
    const NAME: &'static str = "graph";

    fn policy(&self, _: &GivenGraph) -> Policy {
        Policy::always()
    }

    async fn value(&self, _: &GivenGraph, cx: Cx) -> Result<(), Fail> {
        let ActionGraph { actions, blobs, trees, overlays } = &*self.graph;
        for action in actions.values() {
            cx.mention(Definition::Action(action.description.clone()));
        }
        for tree in trees.values() {
            cx.mention(Definition::Tree(tree.clone()));
        }
        for overlay in overlays.values() {
            cx.mention(Definition::Overlay(overlay.clone()));
        }
        for blob in blobs {
            cx.mention(Definition::Blob(self.hash_function.blob(blob.as_bytes()), blob.clone()));
        }
        Ok(())
    }
}
