//! Leaf sets as they are stored: ranges of task numbers of the file.
//!
//! A file has its leaves side by side, in about the order in which builds request them; so the leaves below a task are
//! a few ranges, however many they are. A set has only numbers and versions: key, witness and hash of a leaf are stored
//! once, with the leaf, whatever number of sets contain it.
//!
//! As bytes, every number with seven bits a byte (see [`super::bytes`]): how many rules; of each its place among the
//! file's rules and its version; how many ranges; of each its first task, how many tasks, and the version that
//! all of them had.

use super::bytes::{Reader, number};
pub(crate) use crate::graph::leaves::{LeafSet, Range};
use crate::graph::leaves::{Leaves, Part};

impl LeafSet {
    /// Adds a leaf behind the others.
    pub(crate) fn push(&mut self, leaf: u32, seq: u32) {
        push(&mut self.ranges, Range { first: leaf, count: 1, seq });
    }

    /// Calls `visit` for each leaf with its version.
    pub(crate) fn each(&self, mut visit: impl FnMut(u32, u32)) {
        for Range { first, count, seq } in &self.ranges {
            (*first..first + count).for_each(|leaf| visit(leaf, *seq));
        }
    }

    /// The set in terms of this process, of a file of this generation. `rule`: the number here of a rule by its place
    /// in the file. `None`: a rule in between does not exist here, so the set is not valid.
    pub(super) fn here(&self, generation: u64, rule: impl Fn(usize) -> Option<u16>) -> Option<Leaves> {
        let here = |(place, version): &(u16, u32)| Some((rule(usize::from(*place))?, *version));
        let mut rules = self.rules.iter().map(here).collect::<Option<Vec<_>>>()?;
        // By the numbers of this process, which need not be in the order of the file.
        rules.sort_unstable();
        let parts = self.ranges.iter().copied().map(Part::Stored).collect();
        Some(Leaves { made: 0, rules: rules.into(), generation, parts })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(8 + self.ranges.len() * 8);
        number(&mut out, self.rules.len() as u32);
        for (rule, version) in &self.rules {
            number(&mut out, u32::from(*rule));
            number(&mut out, *version);
        }
        number(&mut out, self.ranges.len() as u32);
        for Range { first, count, seq } in &self.ranges {
            [first, count, seq].into_iter().for_each(|field| number(&mut out, *field));
        }
        out
    }

    /// Decodes a set in a file with this many rules and tasks; `None` if the bytes cannot be one.
    pub(super) fn decode(bytes: &[u8], rules: usize, tasks: u32) -> Option<LeafSet> {
        let mut reader = Reader(bytes);
        let mut set = LeafSet::default();
        for _ in 0..reader.number()? {
            // Everything is checked here, once, so that users of a set can index with what is in it.
            let rule = u16::try_from(reader.number()?).ok().filter(|rule| usize::from(*rule) < rules)?;
            set.rules.push((rule, reader.number()?));
        }
        let mut leaves = 0_u32;
        for _ in 0..reader.number()? {
            let range = Range { first: reader.number()?, count: reader.number()?, seq: reader.number()? };
            range.first.checked_add(range.count).filter(|end| *end <= tasks && range.count > 0)?;
            // Each leaf is in one range only.
            leaves = leaves.checked_add(range.count).filter(|leaves| *leaves <= tasks)?;
            set.ranges.push(range);
        }
        reader.0.is_empty().then_some(set)
    }
}

/// Adds a range behind others, as part of the last one if it goes on where that ends.
pub(crate) fn push(ranges: &mut Vec<Range>, range: Range) {
    match ranges.last_mut() {
        Some(last) if last.first + last.count == range.first && last.seq == range.seq => {
            last.count += range.count;
        }
        _ => ranges.push(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn adjacent_leaves_are_one_range_and_read_back() {
        let mut set = LeafSet { rules: vec![(0, 3), (2, 0)], ..LeafSet::default() };
        (10..100_000).for_each(|leaf| set.push(leaf, u32::from(leaf == 500)));
        set.push(3, 7);
        assert_eq!(set.ranges.len(), 4);
        let bytes = set.encode();
        assert_eq!(bytes.len(), 23);
        assert_eq!(LeafSet::decode(&bytes, 3, 100_000), Some(set));
        assert_eq!(LeafSet::decode(&bytes, 2, 100_000), None, "there is no such rule");
        assert_eq!(LeafSet::decode(&bytes, 3, 99_999), None, "there is no such task");
        assert!((0..bytes.len()).all(|end| LeafSet::decode(&bytes[..end], 3, 100_000).is_none()));
    }
}
