//! The graphs that all engines compute: the same for each, known before, and as expensive to walk for one as for
//! another.
//!
//! Fifty layers; every task of a layer reads four of the layer below, one root reads the whole last layer. In a
//! *stencil* the four are neighbours, so that one leaf reaches a cone of 3,726 tasks; in a *random* graph they are
//! any, so that one leaf reaches most of it. Tasks of the first inner layer look at the upper half of their
//! leaves only: a change of the lower half stops there (early cutoff).

use std::sync::OnceLock;

/// Layers, the leaves among them.
// Deep enough that walking layer by layer shows, wide enough that a graph of a million tasks has 20,000 leaves.
pub const LAYERS: usize = 50;

/// How many others each task reads.
// About what tasks of a build read (a source, a rule, some dependencies).
pub const FAN_IN: usize = 4;

/// What reads what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Shape {
    /// Neighbours.
    Stencil,
    /// Any of the layer below.
    Random,
    /// The one before; there is one leaf, and the last task is the root.
    Chain,
}

impl Shape {
    /// The shape of that name.
    pub fn named(name: &str) -> Shape {
        match name {
            "stencil" => Shape::Stencil,
            "random" => Shape::Random,
            "chain" => Shape::Chain,
            _ => panic!("no graph {name:?}"),
        }
    }
}

/// A graph. Tasks are numbers: leaves first, readers after what they read, the root last.
pub struct Graph {
    /// Its shape.
    pub shape: Shape,
    /// Tasks below this number are leaves.
    pub leaves: usize,
    /// Number of the root. There are as many other tasks.
    pub root: usize,
    // An array for all: the graph itself is not a part of what is measured.
    reads: Vec<[u32; FAN_IN]>,
}

// Global, since the functions that salsa tracks are no closures.
static GRAPH: OnceLock<Graph> = OnceLock::new();

impl Graph {
    /// Makes the graph of this process, with about `size` tasks.
    pub fn install(shape: Shape, size: usize) -> &'static Graph {
        GRAPH.get_or_init(|| Graph::new(shape, size))
    }

    /// The graph of this process.
    pub fn get() -> &'static Graph {
        GRAPH.get().expect("the graph is made first")
    }

    fn new(shape: Shape, size: usize) -> Graph {
        if shape == Shape::Chain {
            return Graph { shape, leaves: 1, root: size, reads: Vec::new() };
        }
        let width = size / LAYERS;
        // A fixed seed: all engines, and all runs, have the same graph.
        let mut random = 0x9e37_79b9_u64;
        let mut reads = Vec::with_capacity(size - width);
        for task in width..width * LAYERS {
            let (below, at) = ((task / width - 1) * width, task % width);
            reads.push(std::array::from_fn(|n| {
                let place = match shape {
                    Shape::Stencil => (at + n) % width,
                    _ => (next(&mut random) % width as u64) as usize,
                };
                (below + place) as u32
            }));
        }
        Graph { shape, leaves: width, root: width * LAYERS, reads }
    }

    /// Tasks, the root among them.
    pub fn tasks(&self) -> usize {
        self.root + 1
    }

    /// What an inner task reads; the root of layered graphs apart.
    pub fn reads(&self, task: usize) -> [u32; FAN_IN] {
        self.reads[task - self.leaves]
    }

    /// What the root of a layered graph reads.
    pub fn last_layer(&self) -> std::ops::Range<usize> {
        self.root - self.leaves..self.root
    }

    /// The value that an inner task sees of another one.
    pub fn seen(&self, task: usize, value: u64) -> u64 {
        if task < self.leaves && self.shape != Shape::Chain { value >> 32 } else { value }
    }
}

/// Adds what was read to what was read before.
pub fn mix(sum: u64, read: u64) -> u64 {
    (sum ^ read).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23)
}

/// The value of a leaf in state `state` of the world: all leaves differ, and both halves with the state.
pub fn leaf_value(leaf: usize, state: u64) -> u64 {
    let mut seed = (leaf as u64) << 20 ^ state.wrapping_mul(0xd134_2543_de82_ef95);
    next(&mut seed)
}

/// The next of a series of random numbers (SplitMix64).
pub fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
