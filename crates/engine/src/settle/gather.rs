//! Gathers the leaf set of a run ([`crate::graph::leaves`]).
//!
//! The leaves are in the order in which a build from scratch on one thread would request them. Verification compares
//! one by one and stops at the first changed leaf. So it requests no leaf that such a build would not request.
//!
//! There is a set only if the run follows from the leaves. So there is none above a task that always executes, since no
//! run of it is kept, or that is verified by times or has a set value.

use std::collections::{BTreeMap, HashSet};

use crate::graph::bits::Bits;
use crate::graph::ids::{NodeId, Seq};
use crate::graph::intern::BuildFastHasher;
use crate::graph::leaves::{Leaves, Part, Range};
use crate::graph::run::Edge;
use crate::persist::Numbers;
use crate::schedule::inner::Inner;
use crate::sync::lock;
use crate::{Facets, Rebuild, Store};

/// What is still to be visited.
enum NextVisit {
    /// A task, with the version and facets that were read.
    Task(NodeId, Seq, Facets),
    /// A task that is settled by the numbers of the file.
    Number(u32),
}

/// Leaves being gathered.
struct Gather<'g> {
    inner: &'g Inner,
    numbers: Option<Numbers<'g>>,
    rules: BTreeMap<u16, u32>,
    parts: Vec<Part>,
    // A set, not bits: most of what is visited are numbers of the file, and few tasks have nodes.
    seen: HashSet<NodeId, BuildFastHasher>,
    seen_numbers: Bits,
    /// By number, whether the plain columns of the file do not have its good run.
    not_plain: Bits,
    next: Vec<NextVisit>,
}

impl Inner {
    /// Whether a leaf set is valid with the present rule versions and all changes declared up to this build.
    pub(crate) fn holds(&self, leaves: &Leaves) -> bool {
        // A build of an earlier epoch must not use a set that was gathered after a change that it does not see.
        leaves.made <= self.epoch
            && leaves.is_valid(&self.inputs.leaf_sets_invalidated)
            && leaves.rules.iter().all(|(rule, version)| self.engine.rule_at(*rule).version() == *version)
    }

    /// The leaves below a run with these reads that is good in this build; `None` if it does not follow from them, or
    /// the reads of some task below are no longer known.
    pub(crate) fn leaves_of(&self, edges: &[Edge]) -> Option<Leaves> {
        // In two steps: `Numbers` holds the lock on the walk and borrows the file that `source` keeps.
        let source = self.engine.persist().and_then(|persist| persist.numbers());
        let mut numbers = source.as_ref().map(|source| source.of(self));
        let numbers = numbers.take().flatten();
        let tasks = numbers.as_ref().map_or(0, Numbers::tasks);
        let generation = numbers.as_ref().map_or(0, Numbers::generation);
        let not_plain = numbers.as_ref().map_or_else(|| Bits::new(0), Numbers::not_plain);
        let mut gather = Gather {
            inner: self,
            numbers,
            not_plain,
            rules: BTreeMap::new(),
            parts: Vec::new(),
            seen: HashSet::default(),
            seen_numbers: Bits::new(tasks),
            next: Vec::new(),
        };
        gather.push(edges);
        // A stack in memory, last in first out: depth first, without recursion, as the depth of the graph is not
        // bounded.
        while let Some(next) = gather.next.pop() {
            match next {
                NextVisit::Task(node, read, facets) => gather.task(node, read, facets)?,
                NextVisit::Number(number) => gather.number(number)?,
            }
        }
        let Gather { rules, parts, .. } = gather;
        Some(Leaves { made: self.epoch, rules: rules.into_iter().collect(), generation, parts })
    }
}

impl Gather<'_> {
    /// The first read is visited first.
    fn push(&mut self, edges: &[Edge]) {
        self.next.extend(edges.iter().rev().map(|edge| NextVisit::Task(edge.dep, edge.seq, edge.facets)));
    }

    fn push_number(&mut self, leaf: u32, seq: u32) {
        match self.parts.last_mut() {
            // Only in ascending order: the order of the set is that of verification, so ranges are never sorted.
            Some(Part::Stored(last)) if last.first + last.count == leaf && last.seq == seq => last.count += 1,
            _ => self.parts.push(Part::Stored(Range { first: leaf, count: 1, seq })),
        }
    }

    /// Adds the leaf set of a task below.
    fn splice(&mut self, leaves: &Leaves) -> Option<()> {
        self.rules.extend(leaves.rules.iter().copied());
        for part in &leaves.parts {
            match *part {
                Part::Bound(node, seq) if self.seen.insert(node) => self.parts.push(Part::Bound(node, seq)),
                Part::Bound(..) => {}
                // Numbers belong to one file; in another one they mean other tasks.
                Part::Stored(_) if self.numbers.as_ref()?.generation() != leaves.generation => return None,
                Part::Stored(Range { first, count, seq }) => {
                    for leaf in first..first + count {
                        if self.seen_numbers.insert(leaf) {
                            self.push_number(leaf, seq);
                        }
                    }
                }
            }
        }
        Some(())
    }

    fn task(&mut self, node: NodeId, read: Seq, facets: Facets) -> Option<()> {
        let core = &self.inner.engine;
        let entry = core.node(node);
        let policy = entry.policy;
        if policy.runs == 0 || policy.store == Store::None || policy.rebuild == Rebuild::Times {
            return None;
        }
        let is_given = core.is_given(node, self.inner.epoch);
        if is_given && !policy.leaf {
            return None;
        }
        let unloaded = lock(&entry.hist).unloaded();
        let settled = self.inner.seq(node);
        let generation = self.numbers.as_ref().map(Numbers::generation);
        let place = lock(&entry.hist).place().filter(|place| Some(place.generation) == generation);
        // Its history may have been loaded after it was settled by numbers.
        let decided = place.filter(|place| {
            settled.is_none()
                && self.numbers.as_ref().is_some_and(|numbers| numbers.now(place.number).is_some())
        });
        if let (Some(place), false) = (unloaded.or(decided), is_given) {
            let numbers = self.numbers.as_ref().filter(|numbers| numbers.generation() == place.generation)?;
            // If it is settled, then by these numbers.
            numbers.now(place.number)?;
            self.seen.insert(node);
            self.next.push(NextVisit::Number(place.number));
            return Some(());
        }
        let now = settled.filter(|now| now.is_known())?;
        // A reader of facets may have read another version that is equal in them. Any other difference means that
        // what was read does not follow from the present leaves.
        if now != read
            && (facets == Facets::WHOLE || !lock(&entry.hist).are_equal_in_facets(read, now, facets))
        {
            return None;
        }
        // Only here, after the comparison: the task may have been read at another version elsewhere.
        if !self.seen.insert(node) {
            return Some(());
        }
        if let Some(place) = place {
            self.seen_numbers.insert(place.number);
        }
        let version = core.rule(entry).version();
        if policy.leaf {
            self.parts.push(Part::Bound(node, now));
        } else {
            self.rules.insert(entry.rule, version);
        }
        let by_leaves = lock(&self.inner.by_leaves).get(&node).cloned();
        if let Some(leaves) = by_leaves {
            return self.splice(&leaves);
        }
        let edges = {
            let hist = lock(&entry.hist);
            let run = hist.runs.iter().find(|run| run.seq == now && run.version == version)?;
            run.edges.clone()
        };
        self.push(&edges);
        Some(())
    }

    fn number(&mut self, number: u32) -> Option<()> {
        // It was settled as a node, so its good run is in memory and may not be in the file.
        if let Some(node) = self.numbers.as_ref()?.loaded_node(self.inner, number) {
            let now = self.inner.seq(node)?;
            return self.task(node, now, Facets::WHOLE);
        }
        if !self.seen_numbers.insert(number) {
            return Some(());
        }
        if !self.not_plain.has(number) {
            let first = self.next.len();
            let next = &mut self.next;
            let plain = self
                .numbers
                .as_ref()?
                .plain_reads(number, Numbers::GOOD_BY_READS, |dep, _, _| next.push(NextVisit::Number(dep)));
            if let Some(rule) = plain {
                self.next[first..].reverse();
                self.rules.insert(rule, self.inner.engine.rule_at(rule).version());
                return Some(());
            }
            // Some reads may have been pushed before the run turned out not to be plain.
            self.next.truncate(first);
        }
        let found = self.numbers.as_mut()?.good_by_hashes(number)?;
        if found.is_leaf {
            self.push_number(number, found.seq);
        } else {
            self.rules.insert(found.rule.0, found.rule.1);
        }
        if let Some(leaves) = found.leaves {
            return self.splice(&leaves);
        }
        self.next.extend(found.reads.into_iter().rev().map(|(dep, ..)| NextVisit::Number(dep)));
        Some(())
    }
}
