//! The graphs as rules of the engine: one for all tasks but the root, with the task's number as key.

use crate::graph::{Graph, Shape, leaf_value, mix};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use taut_engine::{Agreement, Build, Builder, Cx, Engine, Fail, Hash, Options, Policy, Rule};

/// What the leaves see.
// Atomics, since rules are shared by threads. Relaxed: the world changes only between builds.
pub type World = Arc<Vec<AtomicU64>>;

/// The world in its first state.
pub fn world(graph: &Graph) -> World {
    Arc::new((0..graph.leaves).map(|leaf| AtomicU64::new(leaf_value(leaf, 0))).collect())
}

/// Tasks of the graph.
pub struct Node {
    graph: &'static Graph,
    world: World,
    runs: u8,
}

impl Rule for Node {
    type Key = u32;
    type Value = u64;
    const NAME: &'static str = "node";

    fn policy(&self, key: &u32) -> Policy {
        if (*key as usize) < self.graph.leaves {
            Policy { runs: self.runs, ..Policy::leaf() }
        } else {
            Policy::verifying(self.runs)
        }
    }

    async fn value(&self, key: &u32, cx: Cx) -> Result<u64, Fail> {
        let task = *key as usize;
        if task < self.graph.leaves {
            // Every change is declared, so what was not declared is unchanged without a look at it.
            cx.witness([1]);
            return Ok(self.world[task].load(Relaxed));
        }
        if self.graph.shape == Shape::Chain {
            return Ok(mix(0, cx.get::<Node>(key - 1).await?));
        }
        let reads = self.graph.reads(task);
        let mut sum = 0;
        for (read, value) in reads.iter().zip(cx.all::<Node>(reads.to_vec()).await) {
            sum = mix(sum, self.graph.seen(*read as usize, value?));
        }
        Ok(sum)
    }

    fn content_hash(&self, _: &u32, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, _: &u32, _: &[u8], _: Hash) -> Agreement {
        Agreement::Yes
    }
}

/// The root of a layered graph.
pub struct Top(&'static Graph);

impl Rule for Top {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "top";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        let all = cx.all::<Node>(self.0.last_layer().map(|task| task as u32).collect()).await;
        all.into_iter().try_fold(0, |sum, value| Ok(mix(sum, value?)))
    }

    fn content_hash(&self, (): &(), value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn encode_value(&self, (): &(), value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, (): &(), bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }

    fn policy(&self, (): &()) -> Policy {
        // What is asked of a process that begins is the value.
        Policy::constructive(2)
    }
}

/// An engine's builder with these rules; `runs` are kept of each task.
pub fn builder(graph: &'static Graph, world: &World, runs: u8) -> Builder {
    Engine::builder().rule(Node { graph, world: world.clone(), runs }).rule(Top(graph))
}

/// One thread, as the peers have.
pub fn one_thread() -> Options {
    Options { jobs: 1, ..Options::default() }
}

/// The root's value.
pub fn root(graph: &Graph, build: &Build) -> u64 {
    let value = match graph.shape {
        Shape::Chain => build.get::<Node>(graph.root as u32),
        _ => build.get::<Top>(()),
    };
    value.expect("nothing fails here")
}

/// Declares changes, and builds.
pub fn change(
    graph: &Graph,
    engine: &Engine,
    world: &World,
    changes: &mut dyn Iterator<Item = (usize, u64)>,
) -> (u64, Build) {
    let mut begin = engine.begin();
    for (leaf, value) in changes {
        world[leaf].store(value, Relaxed);
        begin = begin.changed::<Node>(&(leaf as u32));
    }
    let build = begin.commit(one_thread());
    (root(graph, &build), build)
}
