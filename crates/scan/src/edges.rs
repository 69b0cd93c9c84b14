//! Dependencies between things that are numbered: for each number those that it depends on.

use std::collections::BTreeSet;

/// Whether one depends on another, directly or through others, or is the other one. What has no edges yet may be left
/// out at the end of the list.
pub(crate) fn reaches(edges: &[BTreeSet<usize>], from: usize, to: usize) -> bool {
    // A list in place of recursion: a chain may be of any length.
    let mut left = vec![from];
    let mut seen = BTreeSet::new();
    while let Some(node) = left.pop() {
        if node == to {
            return true;
        }
        if seen.insert(node) {
            left.extend(edges.get(node).into_iter().flatten());
        }
    }
    false
}
