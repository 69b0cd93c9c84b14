//! Collecting: which tasks of a rule lie below some tasks, by the runs that are good in a build.
//!
//! What was decided by the numbers of a file is followed there, and nothing that lies between is bound: only the keys
//! of what is collected are decoded. What is good by its leaves was not looked at below; it is now, by its kept runs and
//! the leaves as they were found. Nothing is executed for that.

use std::collections::HashMap;

use crate::build::{Build, Inner};
use crate::intern::BuildMix;
use crate::log::TaskId;
use crate::node::{Edge, NodeId, Seq, Unloaded};
use crate::persist::Numbers;
use crate::sync::{Arc, lock};
use crate::{Facets, Key, Rule};

enum Next {
    /// A task, and the version that was read, if one was, with what of it was looked at.
    Task(NodeId, Option<(Seq, Facets)>),
    /// One that only the file tells of, by its number there.
    Number(u32, Option<(u32, Facets)>),
}

struct Collect<'c, K> {
    inner: &'c Inner,
    numbers: Option<Numbers<'c>>,
    rule: u16,
    keys: Vec<K>,
    seen: HashMap<NodeId, Option<Seq>, BuildMix>,
    seen_numbers: Vec<bool>,
    next: Vec<Next>,
}

impl Build {
    /// The tasks of a rule that these tasks were made from, themselves included, by the runs that are good in this
    /// build, which settled them; contents that were mentioned, too ([`crate::Content`]). Each once, in the order in which
    /// a run without any memory, one task after the other, would come to them first; so the order does not depend on
    /// threads, nor on what was known before.
    ///
    /// `None`: of some task it is not known (any more) what it was made from. That is so of roots that this build was not
    /// asked for, of questions (what-if), and may be so below a task that is good by its leaves
    /// ([`crate::Policy::deep`]), if something in between keeps no run of that state.
    pub fn collect<R: Rule>(&self, roots: impl IntoIterator<Item = TaskId>) -> Option<Vec<R::Key>> {
        let (inner, core) = (self.inner(), self.core());
        if inner.is_what_if() {
            return None;
        }
        let rule = core.rule_id::<R>();
        let source = core.persist.as_ref().and_then(|persist| persist.current());
        let numbers = source.as_ref().and_then(|source| source.turned(inner));
        let tasks = numbers.as_ref().map_or(0, Numbers::tasks);
        let mut collect = Collect::<R::Key> {
            inner,
            numbers,
            rule,
            keys: Vec::new(),
            seen: HashMap::default(),
            seen_numbers: vec![false; tasks],
            next: roots.into_iter().map(|root| Next::Task(root.node(), None)).collect(),
        };
        collect.next.reverse();
        while let Some(next) = collect.next.pop() {
            match next {
                Next::Task(node, read) => collect.task(node, read)?,
                Next::Number(number, read) => collect.number(number, read)?,
            }
        }
        Some(collect.keys)
    }
}

impl<K: Key> Collect<'_, K> {
    fn task(&mut self, node: NodeId, read: Option<(Seq, Facets)>) -> Option<()> {
        let core = &self.inner.engine;
        let entry = core.node(node);
        let settled = self.inner.seq(node);
        let unloaded = lock(&entry.hist).unloaded();
        let generation = self.numbers.as_ref().map(Numbers::generation);
        let place = lock(&entry.hist).place().filter(|place| Some(place.generation) == generation);
        let is_decided = |place: &Unloaded| {
            self.numbers.as_ref().is_some_and(|numbers| numbers.now(place.number).is_some())
        };
        let by_number = place.filter(|place| unloaded.is_some() || settled.is_none() && is_decided(place));
        if let Some(place) = by_number {
            let is_stored =
                |(seq, _): &(Seq, Facets)| lock(&entry.hist).is_seq_of(place.generation, place.number, *seq);
            let read = read.filter(is_stored).map(|(seq, facets)| (seq.number(), facets));
            self.next.push(Next::Number(place.number, read));
            return Some(());
        }
        let now = settled.or(read.map(|(seq, _)| seq))?;
        if let Some((was, facets)) = read
            && now != was
            && (facets == Facets::WHOLE || !lock(&entry.hist).look_the_same(was, now, facets))
        {
            return None;
        }
        match self.seen.insert(node, Some(now)) {
            None => {}
            // The same task at two versions: which is the good one is not known.
            Some(other) => return (other == Some(now)).then_some(()),
        }
        if let Some(place) = place
            && std::mem::replace(self.seen_numbers.get_mut(place.number as usize)?, true)
        {
            return Some(());
        }
        if entry.rule == self.rule {
            self.keys.push((*entry.key).downcast_ref::<K>()?.clone());
        }
        if settled.is_none() && entry.policy.leaf {
            // It was not looked at, so nothing that read it is known to be good.
            return None;
        }
        let unkept = lock(&self.inner.unkept).get(&node).cloned();
        if let Some(reads) = unkept {
            let reads = reads
                .iter()
                .rev()
                .map(|(dep, seq)| Next::Task(*dep, seq.is_known().then_some((*seq, Facets::WHOLE))));
            self.next.extend(reads);
            return Some(());
        }
        let is_as_read = |edge: &Edge| {
            let now = self.inner.seq(edge.dep);
            now.is_none_or(|now| now == edge.seq || edge.facets != Facets::WHOLE)
        };
        let version = core.rule(entry).version();
        let edges: Arc<[Edge]> = {
            let hist = lock(&entry.hist);
            let runs = hist.runs.iter().filter(|run| run.seq == now && run.version == version);
            runs.map(|run| run.edges.clone()).find(|edges| edges.iter().all(is_as_read))?
        };
        let below = |edge: &Edge| Next::Task(edge.dep, Some((edge.seq, edge.facets)));
        self.next.extend(edges.iter().rev().map(below));
        Some(())
    }

    fn number(&mut self, number: u32, read: Option<(u32, Facets)>) -> Option<()> {
        let numbers = self.numbers.as_mut()?;
        if let Some(node) = numbers.known_better(self.inner, number) {
            let read = match read {
                Some((seq, facets)) => Some((numbers.seq_here(node, number, seq)?, facets)),
                None => None,
            };
            return self.task(node, read);
        }
        if std::mem::replace(self.seen_numbers.get_mut(number as usize)?, true) {
            return Some(());
        }
        let found = numbers.follow(number, read.map(|(seq, _)| seq))?;
        if found.rule.0 == self.rule {
            self.keys.push(K::decode(&numbers.key(number)?)?);
        }
        self.next.extend(
            found.reads.into_iter().rev().map(|(dep, seq, facets)| Next::Number(dep, Some((seq, facets)))),
        );
        Some(())
    }
}
