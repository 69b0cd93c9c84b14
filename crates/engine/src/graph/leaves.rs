//! Leaf sets: the leaves below a run and their versions, by which the run is verified without looking at any task in
//! between ([`crate::Policy::deep`]). They are in terms of this process, or ranges of numbers in a file. In *Build
//! Systems à la Carte* (Mokhov, Mitchell, Peyton Jones, 2018) such a run is a *deep constructive trace*.

use crate::graph::ids::{NodeId, Seq};
use crate::sync::Arc;

/// Leaves with consecutive numbers, all at the same version.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Range {
    pub(crate) first: u32,
    pub(crate) count: u32,
    // One version for all: leaves that did not change since the file was written are mostly at version 0, so ranges
    // are long.
    pub(crate) seq: u32,
}

/// The leaves below a run, in the order in which a build from scratch on one thread would ask for them.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(crate) struct LeafSet {
    /// The rules of the tasks between the run and the leaves, by their place in the file, with the versions they had.
    /// Ascending.
    pub(crate) rules: Vec<(u16, u32)>,
    pub(crate) ranges: Vec<Range>,
}

/// One or more leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// One that has a node in this process.
    Bound(NodeId, Seq),
    /// Leaves by their numbers in a file; they are not loaded.
    Stored(Range),
}

/// The leaves below a run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Leaves {
    /// The epoch of the build that gathered them; 0: they were in the file.
    pub(crate) made: u64,
    /// The rules of the tasks in between, and the versions they had; ascending.
    pub(crate) rules: Arc<[(u16, u32)]>,
    /// The generation of the file that the numbers belong to.
    pub(crate) generation: u64,
    pub(crate) parts: Vec<Part>,
}

impl Leaves {
    /// Whether both have the same leaves at the same versions, in the same representation.
    // Of two representations of the same set it may say no: then the file is updated without need, and nothing else.
    pub(crate) fn is_like(&self, other: &Leaves) -> bool {
        (&self.rules, &self.parts) == (&other.rules, &other.parts)
            && (self.generation == other.generation
                || !self.parts.iter().any(|part| matches!(part, Part::Stored(_))))
    }

    /// How many leaves there are.
    pub(crate) fn count(&self) -> usize {
        let count = |part: &Part| match part {
            Part::Bound(..) => 1,
            Part::Stored(range) => range.count as usize,
        };
        self.parts.iter().map(count).sum()
    }

    /// Whether no change was declared of a task in between since. `between`: by rule, the last epoch in which one was.
    pub(crate) fn is_valid(&self, between: &[u64]) -> bool {
        self.rules.iter().all(|(rule, _)| between[*rule as usize] <= self.made)
    }
}
