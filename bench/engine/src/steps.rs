//! The edits that are measured, one after the other, the same for all engines.

use crate::cost::{Figures, often};
use crate::graph::{Graph, Shape, leaf_value};

/// A leaf and its new value.
pub type Change = (usize, u64);

/// Measures what the edits cost: `apply` declares the changes and gives the root's new value.
pub fn edits(
    graph: &Graph,
    figures: &mut Figures,
    mut apply: impl FnMut(&mut dyn Iterator<Item = Change>) -> u64,
) {
    // In the middle, so that its cone in a stencil does not depend on the edge.
    let leaf = graph.leaves / 2;
    let mut state = 0;
    if graph.shape != Shape::Chain {
        // Only the lower half of the value, which the first inner layer drops.
        // Each edit is to a new value: going back to an old one would be found among the kept runs.
        let cut = often(|| {
            state += 1;
            let value = leaf_value(leaf, 0) ^ (state & 0xffff_ffff);
            apply(&mut std::iter::once((leaf, value)));
        });
        figures.add("cut", cut);
    }
    let mut state = 1;
    let one = often(|| {
        state += 1;
        apply(&mut std::iter::once((leaf, leaf_value(leaf, state))));
    });
    figures.add("one", one);
    figures.check("one", apply(&mut std::iter::once((leaf, leaf_value(leaf, 1)))));
    if graph.shape == Shape::Chain {
        return;
    }
    let all = often(|| {
        state += 1;
        apply(&mut (0..graph.leaves).map(|leaf| (leaf, leaf_value(leaf, state))));
    });
    figures.add("all", all);
    figures.check("all", apply(&mut (0..graph.leaves).map(|leaf| (leaf, leaf_value(leaf, 1)))));
}
