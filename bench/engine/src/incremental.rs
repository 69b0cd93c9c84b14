//! The Rust port of Jane Street's Incremental: eager, bottom-up by height, one thread, no keys, static reads.

use crate::cost::{Figures, in_use, often, once};
use crate::graph::{Graph, Shape, leaf_value, mix};
use crate::steps;
use incremental::{Incr, IncrState, Var};

/// All steps. A chain is left out: heights are limited, and freeing it recurses.
pub fn measure(graph: &'static Graph, figures: &mut Figures) {
    assert!(graph.shape != Shape::Chain);
    let before = in_use();
    let ((state, leaves, root), first) = once(|| {
        let state = IncrState::new();
        let leaves: Vec<Var<u64>> = (0..graph.leaves).map(|leaf| state.var(leaf_value(leaf, 0))).collect();
        let mut below: Vec<Incr<u64>> = leaves.iter().map(Var::watch).collect();
        for layer in 1..graph.root / graph.leaves {
            let this = (0..graph.leaves).map(|at| {
                let reads = graph.reads(layer * graph.leaves + at);
                let [a, b, c, d] = reads.map(|read| &below[read as usize % graph.leaves]);
                // The cutoff of `Graph::seen`.
                let shift = if layer == 1 { 32 } else { 0 };
                a.map4(b, c, d, move |a, b, c, d| {
                    [a, b, c, d].into_iter().fold(0, |sum, read| mix(sum, read >> shift))
                })
            });
            below = this.collect();
        }
        let root = state.fold(below, 0, |sum, read| mix(sum, *read)).observe();
        state.stabilise();
        (state, leaves, root)
    });
    figures.add("first", first);
    figures.check("first", root.value());
    figures.add("bytes", (in_use() - before) as f64 / graph.tasks() as f64);
    figures.add("null", often(|| state.stabilise()));
    steps::edits(graph, figures, |changes| {
        changes.for_each(|(leaf, value)| leaves[leaf].set(value));
        state.stabilise();
        root.value()
    });
    // How it is taken apart is not measured.
    std::mem::forget((state, leaves, root));
}
