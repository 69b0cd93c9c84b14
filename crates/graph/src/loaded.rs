//! A graph from a file, as a task. It mentions all definitions, so they are found in the same way as those of analysis.

use std::sync::Arc;

use taut_digest::HashFunction;
use taut_engine::{Cx, Fail, Key, Policy, Rule};

use crate::{ActionGraph, Definition};

/// Identifies the graph of an engine, of which there is one.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct LoadedGraph;

impl Key for LoadedGraph {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(bytes: &[u8]) -> Option<LoadedGraph> {
        bytes.is_empty().then_some(LoadedGraph)
    }
}

/// Mentions the definitions of a graph. It has to be requested before anything that needs a definition.
pub struct LoadedGraphRule {
    /// The graph.
    pub graph: Arc<ActionGraph>,
    /// The hash function of the store.
    pub hash_function: HashFunction,
}

impl Rule for LoadedGraphRule {
    type Key = LoadedGraph;
    type Value = ();
    const NAME: &'static str = "graph";

    // The file is read by each call, so nothing is recorded.
    fn policy(&self, _: &LoadedGraph) -> Policy {
        Policy::always()
    }

    async fn value(&self, _: &LoadedGraph, cx: Cx) -> Result<(), Fail> {
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
