//! Traversal of the closure of some tasks, along the runs that are good in a build, for collecting and explaining.
//!
//! Tasks that were settled by the numbers of a file are traversed there, and are not loaded. Below a task that is good
//! by its leaves, the tasks in between were not settled. Either the traversal follows their kept runs and the leaves as
//! they were found, and executes nothing; or it lists the unsettled tasks, and is repeated once they are settled.

use std::collections::HashMap;

use crate::Facets;
use crate::Key;
use crate::graph::bits::Bits;
use crate::graph::ids::{NodeId, Seq, Unloaded};
use crate::graph::intern::BuildFastHasher;
use crate::graph::leaves::Leaves;
use crate::graph::node::Node;
use crate::graph::run::{Edge, Run};
use crate::persist::Numbers;
use crate::schedule::inner::Inner;
use crate::sync::{Arc, MutexGuard, lock};

/// What is collected by a traversal.
pub(crate) trait Visit {
    /// Whether tasks of a rule are of interest.
    fn collects(&self, rule: u16) -> bool;

    /// Called for a task of such a rule, once. `None`: its key cannot be decoded.
    fn visit(&mut self, task: &VisitedTask<'_>) -> Option<()>;

    /// The rule whose tasks are reported to [`Visit::read`] if a task of interest read them.
    fn reads(&self) -> Option<u16> {
        None
    }

    /// Called for a task of that rule that a task read or mentioned; in order, right after [`Visit::visit`] for the
    /// reader.
    fn read(&mut self, _read: TaskRef) {}
}

/// A task of a traversal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum TaskRef {
    Node(NodeId),
    /// A task that is not loaded, by its number in the file.
    Number(u32),
}

/// A task of interest, with access to its key.
pub(crate) struct VisitedTask<'m> {
    pub(crate) rule: u16,
    pub(crate) place: TaskRef,
    source: Source<'m>,
}

enum Source<'m> {
    Node(&'m Node),
    Numbers(&'m Numbers<'m>),
}

impl VisitedTask<'_> {
    pub(crate) fn key<K: Key>(&self) -> Option<K> {
        match (&self.source, self.place) {
            (Source::Node(node), _) => (*node.key).downcast_ref::<K>().cloned(),
            (Source::Numbers(numbers), TaskRef::Number(number)) => K::decode(&numbers.key(number)?),
            _ => None,
        }
    }
}

/// Why a traversal ends before it is complete.
pub(crate) enum Incomplete {
    /// The reads of the good run of some task are not known.
    Unknown,
    /// These tasks have to be settled first.
    Unsettled(Vec<NodeId>),
}

enum NextVisit {
    /// A task, with the version and facets that were read, if it was read.
    Task(NodeId, Option<(Seq, Facets)>, ValidBy),
    /// A task that is not loaded, by its number in the file.
    Number(u32, Option<(u32, Facets)>, ValidBy),
}

/// By what the reading run is good.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ValidBy {
    /// Its reads are unchanged.
    Reads,
    /// The leaves below are unchanged: a read of a task without a content hash may be another version now.
    Leaves,
}

struct Below<'b, V> {
    inner: &'b Inner,
    numbers: Option<Numbers<'b>>,
    /// Unsettled tasks are listed, not followed.
    settles: bool,
    unsettled: Vec<NodeId>,
    // Locked for the whole traversal, so that each task is followed along the reads of one moment.
    unkept: MutexGuard<'b, HashMap<NodeId, Vec<(NodeId, Seq)>>>,
    by_leaves: MutexGuard<'b, HashMap<NodeId, Arc<Leaves>>>,
    seen: Bits,
    /// The version by which each unsettled task was followed.
    versions: HashMap<NodeId, Seq, BuildFastHasher>,
    seen_numbers: Bits,
    /// By number, whether the plain columns of the file do not have its good run.
    not_plain: Bits,
    next: Vec<NextVisit>,
    visitor: &'b mut V,
}

impl Inner {
    /// Visits the closure of the roots, themselves included, each task once, in the order in which a build from scratch
    /// on one thread would first request them. `settles`: unsettled tasks are listed in the error; else they are
    /// followed as far as kept runs and settled leaves allow.
    pub(crate) fn visit_below(
        &self,
        roots: &[NodeId],
        settles: bool,
        visitor: &mut impl Visit,
    ) -> Result<(), Incomplete> {
        if self.is_what_if() {
            return Err(Incomplete::Unknown);
        }
        let source = self.engine.persist().and_then(|persist| persist.current());
        let numbers = source.as_ref().and_then(|source| source.in_epoch_of(self));
        let tasks = numbers.as_ref().map_or(0, Numbers::tasks);
        let not_plain = numbers.as_ref().map_or_else(|| Bits::new(0), Numbers::not_plain);
        let mut below = Below {
            inner: self,
            numbers,
            settles,
            unsettled: Vec::new(),
            // In the lock order of `schedule/inner.rs`: the walk (in `numbers`), then these two.
            unkept: lock(&self.unkept),
            by_leaves: lock(&self.by_leaves),
            // Nodes that are made during the traversal have higher numbers: the set grows for them.
            seen: Bits::new(self.engine.count()),
            versions: HashMap::default(),
            seen_numbers: Bits::new(tasks),
            not_plain,
            next: roots.iter().rev().map(|root| NextVisit::Task(*root, None, ValidBy::Reads)).collect(),
            visitor,
        };
        while let Some(next) = below.next.pop() {
            let way = match next {
                NextVisit::Task(node, read, by) => below.task(node, read, by),
                NextVisit::Number(number, read, by) => below.number(number, read, by),
            };
            way.ok_or(Incomplete::Unknown)?;
        }
        if below.numbers.as_ref().is_some_and(Numbers::is_damaged) {
            return Err(Incomplete::Unknown);
        }
        if below.unsettled.is_empty() { Ok(()) } else { Err(Incomplete::Unsettled(below.unsettled)) }
    }

    /// Whether a recorded read may agree with the present version.
    // What was not settled counts as unchanged here: it is verified, or listed, where it is visited.
    fn is_as_read(&self, edge: &Edge) -> bool {
        let now = self.seq(edge.dep);
        now.is_none_or(|now| now == edge.seq || edge.facets != Facets::WHOLE)
    }
}

impl<V: Visit> Below<'_, V> {
    fn task(&mut self, node: NodeId, read: Option<(Seq, Facets)>, by: ValidBy) -> Option<()> {
        let core = &self.inner.engine;
        let entry = core.node(node);
        let settled = self.inner.seq(node);
        let (unloaded, place) = {
            let hist = lock(&entry.hist);
            (hist.unloaded(), hist.place())
        };
        let generation = self.numbers.as_ref().map(Numbers::generation);
        let place = place.filter(|place| Some(place.generation) == generation);
        // It may have been loaded after it was settled by its number; then it is followed by number all the same.
        let is_decided = |place: &Unloaded| {
            self.numbers.as_ref().is_some_and(|numbers| numbers.now(place.number).is_some())
        };
        // A task with a set value is not traversed by the file.
        let is_given = core.is_given(node, self.inner.epoch);
        let by_number =
            place.filter(|place| !is_given && (unloaded.is_some() || settled.is_none() && is_decided(place)));
        if let Some(place) = by_number {
            let is_stored =
                |(seq, _): &(Seq, Facets)| lock(&entry.hist).is_seq_of(place.generation, place.number, *seq);
            let read = read.filter(is_stored).map(|(seq, facets)| (seq.number(), facets));
            self.next.push(NextVisit::Number(place.number, read, by));
            return Some(());
        }
        if self.settles && settled.is_none() {
            self.unsettled.push(node);
            return Some(());
        }
        // A root that was not settled in this build has no version to follow.
        let now = settled.or(read.map(|(seq, _)| seq))?;
        if let Some((was, facets)) =
            read.filter(|_| !self.settles && (by == ValidBy::Reads || settled.is_none()))
            && now != was
            && (facets == Facets::WHOLE || !lock(&entry.hist).are_equal_in_facets(was, now, facets))
        {
            return None;
        }
        if settled.is_none() && self.versions.insert(node, now).is_some_and(|other| other != now) {
            // The same task was read at two versions: which one is good is not known.
            return None;
        }
        if !self.seen.insert(node) {
            return Some(());
        }
        if let Some(place) = place
            // It may have been visited by its number before it was loaded.
            && !self.seen_numbers.insert(place.number)
        {
            return Some(());
        }
        let is_wanted = self.visitor.collects(entry.rule);
        if is_wanted {
            let at = place.map_or(TaskRef::Node(node), |place| TaskRef::Number(place.number));
            self.visitor.visit(&VisitedTask { rule: entry.rule, place: at, source: Source::Node(entry) })?;
        }
        if settled.is_none() && entry.policy.leaf {
            // It was not verified, so no task that read it is known to be good.
            return None;
        }
        let first = self.next.len();
        self.push_reads(node, entry, now)?;
        if is_wanted {
            self.report_reads(first);
        }
        Some(())
    }

    /// Has the reads of the good run of a task visited next, the first one first.
    fn push_reads(&mut self, node: NodeId, entry: &Node, now: Seq) -> Option<()> {
        // Of a task that executed in this build and keeps no run, the reads are only here.
        if let Some(reads) = self.unkept.get(&node) {
            let read = |(dep, seq): &(NodeId, Seq)| {
                NextVisit::Task(*dep, seq.is_known().then_some((*seq, Facets::WHOLE)), ValidBy::Reads)
            };
            self.next.extend(reads.iter().rev().map(read));
        } else {
            let edges = self.good_run(node, entry, now)?;
            let by = if self.by_leaves.contains_key(&node) { ValidBy::Leaves } else { ValidBy::Reads };
            let below = |edge: &Edge| NextVisit::Task(edge.dep, Some((edge.seq, edge.facets)), by);
            self.next.extend(edges.iter().rev().map(below));
        }
        Some(())
    }

    /// Reports the reads that were pushed from `first` on, those of the rule that the visitor wants.
    fn report_reads(&mut self, first: usize) {
        let Some(kind) = self.visitor.reads() else { return };
        let core = &self.inner.engine;
        let generation = self.numbers.as_ref().map(Numbers::generation);
        for next in self.next[first..].iter().rev() {
            if let NextVisit::Task(dep, ..) = *next
                && core.node(dep).rule == kind
            {
                let place = lock(&core.node(dep).hist).place();
                let place = place.filter(|place| Some(place.generation) == generation);
                self.visitor.read(place.map_or(TaskRef::Node(dep), |place| TaskRef::Number(place.number)));
            }
        }
    }

    /// The reads of the good run of a task at a version. Another build may have replaced that run by another one with
    /// the same version. So where unsettled tasks are listed, a run is only taken if it certainly is the good one; else
    /// its unsettled reads are listed, and none is taken yet.
    fn good_run(&mut self, node: NodeId, entry: &Node, now: Seq) -> Option<Arc<[Edge]>> {
        let version = self.inner.engine.rule(entry).version();
        let (runs, replaced) = {
            let hist = lock(&entry.hist);
            let of_version = hist.runs.iter().filter(|run| run.seq == now && run.version == version);
            if let Some(leaves) = self.by_leaves.get(&node) {
                let is_by =
                    |run: &&Run| run.leaves().is_some_and(|by| Arc::ptr_eq(by, leaves) || by.is_like(leaves));
                let run = of_version.clone().find(is_by);
                // Another build may have replaced its leaf set; where nothing may be settled, any run of this version
                // is taken.
                let run = run.or_else(|| of_version.clone().next().filter(|_| !self.settles));
                if let Some(run) = run {
                    return Some(run.edges.clone());
                }
            }
            let runs: Vec<Arc<[Edge]>> = of_version.map(|run| run.edges.clone()).collect();
            (runs, if self.settles { hist.reads_of(now, false) } else { Vec::new() })
        };
        let mut all = runs.into_iter().chain(replaced);
        if !self.settles {
            return all.find(|edges| self.are_as_read(edges));
        }
        let all: Vec<_> = all.filter(|edges| self.are_as_read(edges)).collect();
        let is_settled = |edge: &Edge| self.inner.seq(edge.dep).is_some();
        if let Some(edges) = all.iter().find(|edges| edges.iter().all(is_settled)) {
            return Some(edges.clone());
        }
        let unsettled = all.first()?.iter().filter(|edge| !is_settled(edge)).map(|edge| edge.dep);
        self.unsettled.extend(unsettled);
        Some(Arc::from([]))
    }

    fn are_as_read(&self, edges: &[Edge]) -> bool {
        edges
            .iter()
            .all(|edge| self.inner.is_as_read(edge) && (!self.settles || self.is_equal_in_facets(edge)))
    }

    /// The same for the facets that were read.
    fn is_equal_in_facets(&self, edge: &Edge) -> bool {
        let core = &self.inner.engine;
        match self.inner.seq(edge.dep) {
            Some(now) if now != edge.seq => {
                // Versions that cannot be loaded have no facets, and so are equal to none.
                let _ = core.load_versions(edge.dep);
                lock(&core.node(edge.dep).hist).are_equal_in_facets(edge.seq, now, edge.facets)
            }
            _ => true,
        }
    }

    fn number(&mut self, number: u32, read: Option<(u32, Facets)>, by: ValidBy) -> Option<()> {
        let numbers = self.numbers.as_mut()?;
        if let Some(node) = numbers.loaded_node(self.inner, number) {
            let read = match read {
                Some((seq, facets)) => Some((numbers.seq_here(node, number, seq)?, facets)),
                None => None,
            };
            return self.task(node, read, by);
        }
        if !self.seen_numbers.insert(number) {
            return Some(());
        }
        // Most tasks of the file go this way, without an allocation for the reads.
        if numbers.now(number).is_some() && !self.not_plain.has(number) {
            let first = self.next.len();
            let (next, seen) = (&mut self.next, &self.seen_numbers);
            let wanted = self.visitor.reads();
            let kind = wanted.and_then(|rule| numbers.rule_in_file(rule));
            let found = numbers.plain_reads(number, 0, |dep, seq, facets| {
                // Each task is visited once.
                if wanted.is_some() || !seen.has(dep) {
                    next.push(NextVisit::Number(dep, Some((seq, facets)), ValidBy::Reads));
                }
            });
            if let Some(rule) = found {
                if self.visitor.collects(rule) {
                    let (place, source) = (TaskRef::Number(number), Source::Numbers(numbers));
                    self.visitor.visit(&VisitedTask { rule, place, source })?;
                    if kind.is_some() {
                        for next in &self.next[first..] {
                            if let NextVisit::Number(dep, ..) = next
                                && numbers.is_of(*dep, kind)
                            {
                                self.visitor.read(TaskRef::Number(*dep));
                            }
                        }
                    }
                }
                self.next[first..].reverse();
                return Some(());
            }
            self.next.truncate(first);
        }
        // Where unsettled tasks are listed, a failure is settled rather than followed by what was read of it.
        let seq = read.map(|(seq, _)| seq).filter(|_| !self.settles);
        let Some(found) = numbers.follow(number, seq) else {
            if !self.settles {
                return None;
            }
            self.unsettled.push(numbers.bound(number)?);
            return Some(());
        };
        let is_wanted = self.visitor.collects(found.rule.0);
        if is_wanted {
            let (place, source) = (TaskRef::Number(number), Source::Numbers(numbers));
            self.visitor.visit(&VisitedTask { rule: found.rule.0, place, source })?;
            let kind = self.visitor.reads().and_then(|rule| numbers.rule_in_file(rule));
            let of_kind = found.reads.iter().filter(|(dep, ..)| numbers.is_of(*dep, kind));
            of_kind.for_each(|(dep, ..)| self.visitor.read(TaskRef::Number(*dep)));
        }
        let by = if found.leaves.is_some() { ValidBy::Leaves } else { ValidBy::Reads };
        let below = |(dep, seq, facets)| NextVisit::Number(dep, Some((seq, facets)), by);
        self.next.extend(found.reads.into_iter().rev().map(below));
        Some(())
    }
}
