//! What the hardware allows: arrays and loops. No keys, no laziness, no dynamic reads, no traces; not an engine.

use crate::cost::{Figures, in_use, often, once};
use crate::graph::{FAN_IN, Graph, Shape, leaf_value, mix};
use crate::steps;

/// Values by task, readers by task, and what is to be done, by layer.
struct Floor {
    graph: &'static Graph,
    values: Vec<u64>,
    readers_at: Vec<u32>,
    readers: Vec<u32>,
    queued: Vec<bool>,
    queue: Vec<Vec<u32>>,
}

impl Floor {
    fn new(graph: &'static Graph) -> Floor {
        let mut count = vec![0u32; graph.tasks() + 1];
        // The root of a layered graph is treated separately: it reads the whole last layer.
        let inner = || graph.leaves..graph.root + usize::from(graph.shape == Shape::Chain);
        let each = |task: usize| -> Vec<u32> {
            if graph.shape == Shape::Chain { vec![task as u32 - 1] } else { graph.reads(task).to_vec() }
        };
        inner().for_each(|task| each(task).iter().for_each(|read| count[*read as usize + 1] += 1));
        // Readers as a compressed sparse row: one array, and where each task's part begins.
        for at in 1..count.len() {
            count[at] += count[at - 1];
        }
        let mut fill = count.clone();
        let mut readers = vec![0; *count.last().expect("one more than tasks") as usize];
        for task in inner() {
            for read in each(task) {
                readers[fill[read as usize] as usize] = task as u32;
                fill[read as usize] += 1;
            }
        }
        let layers = graph.root / graph.leaves + 1;
        Floor {
            graph,
            values: vec![0; graph.tasks()],
            readers_at: count,
            readers,
            queued: vec![false; graph.tasks()],
            queue: vec![Vec::new(); if graph.shape == Shape::Chain { 1 } else { layers }],
        }
    }

    fn compute(&self, task: usize) -> u64 {
        let graph = self.graph;
        if graph.shape == Shape::Chain {
            return mix(0, self.values[task - 1]);
        }
        if task == graph.root {
            return graph.last_layer().fold(0, |sum, read| mix(sum, self.values[read]));
        }
        let reads: [u32; FAN_IN] = graph.reads(task);
        reads.iter().fold(0, |sum, read| mix(sum, graph.seen(*read as usize, self.values[*read as usize])))
    }

    fn first(&mut self) {
        for leaf in 0..self.graph.leaves {
            self.values[leaf] = leaf_value(leaf, 0);
        }
        for task in self.graph.leaves..self.graph.tasks() {
            self.values[task] = self.compute(task);
        }
    }

    fn set(&mut self, leaf: usize, value: u64) {
        if self.values[leaf] != value {
            self.values[leaf] = value;
            self.queue_readers(leaf);
        }
    }

    fn queue_readers(&mut self, task: usize) {
        for at in self.readers_at[task]..self.readers_at[task + 1] {
            let reader = self.readers[at as usize] as usize;
            if !self.queued[reader] {
                self.queued[reader] = true;
                // By layer, so that a task is computed after all that it reads.
                let layer = if self.queue.len() == 1 { 0 } else { reader / self.graph.leaves };
                self.queue[layer].push(reader as u32);
            }
        }
        if self.graph.shape != Shape::Chain && self.graph.last_layer().contains(&task) {
            self.queued[self.graph.root] = true;
        }
    }

    /// Computes what was queued, layer by layer.
    fn propagate(&mut self) -> u64 {
        for layer in 0..self.queue.len() {
            let mut at = 0;
            while let Some(task) = self.queue[layer].get(at).copied() {
                at += 1;
                let value = self.compute(task as usize);
                self.queued[task as usize] = false;
                if value != self.values[task as usize] {
                    self.values[task as usize] = value;
                    self.queue_readers(task as usize);
                }
            }
            self.queue[layer].clear();
        }
        let root = self.graph.root;
        if self.graph.shape != Shape::Chain && std::mem::take(&mut self.queued[root]) {
            self.values[root] = self.compute(root);
        }
        self.values[root]
    }

    /// Looks at every edge.
    fn walk(&self) -> u64 {
        (self.graph.leaves..self.graph.root).fold(0, |sum, task| {
            self.graph.reads(task).iter().fold(sum, |sum, read| sum ^ self.values[*read as usize])
        })
    }
}

/// All steps.
pub fn measure(graph: &'static Graph, figures: &mut Figures) {
    let before = in_use();
    let mut floor = Floor::new(graph);
    figures.add("bytes", (in_use() - before) as f64 / graph.tasks() as f64);
    let ((), first) = once(|| floor.first());
    figures.add("first", first);
    figures.check("first", floor.values[graph.root]);
    figures.add("null", often(|| floor.propagate()));
    if graph.shape != Shape::Chain {
        figures.add("walk", often(|| floor.walk()));
    }
    steps::edits(graph, figures, |changes| {
        changes.for_each(|(leaf, value)| floor.set(leaf, value));
        floor.propagate()
    });
}
