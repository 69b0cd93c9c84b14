//! Siblings: tasks of one rule with the same share key ([`crate::Rule::share_key`]), which may have the same value.
//!
//! A key may hold more than the value depends on: a target in two configurations that differ in a variable that it does
//! not read. Where a rule can show from a sibling's value that it is this task's value, too ([`crate::Rule::serves`]),
//! nothing executes: the result is taken over, and the trace records a read of the sibling. Only results of siblings
//! that executed are taken over, not results that these took over themselves. No result is taken over from a sibling in
//! progress: it might wait for this task, and that would be a cycle.

use crate::Facets;
use crate::graph::core::Core;
use crate::graph::fail::guarded;
use crate::graph::ids::{AnyValue, NodeId};
use crate::graph::run::{Edge, Mode};
use crate::log::entries::Cause;
use crate::schedule::inner::Inner;
use crate::schedule::reads::{Read, RecordedReads};
use crate::schedule::slot::{Answer, Part, Progress, Task};
use crate::schedule::work::{TakeOver, Work};
use crate::sync::{Arc, atomic::Ordering, lock};

/// How many siblings are tried, latest first. If none of these serves, the others rarely do.
// Each try is a call of the rule, and may decode a value.
const MAX_TRIED: usize = 8;

/// How many siblings are kept in memory by rule and share key.
// More than are tried, since some are not usable: in progress, set from outside, or without a value.
const MAX_KEPT: usize = 32;

impl Core {
    /// The share key of a task.
    pub(crate) fn share_key(&self, node: NodeId) -> Option<u64> {
        let node = self.node(node);
        self.rule(node).share_key(&node.key)
    }

    /// Whether a run with these reads took over the result of a sibling of `node`.
    pub(crate) fn is_taken_over(&self, node: NodeId, edges: &[Edge]) -> bool {
        let [edge] = edges else { return false };
        self.node(edge.dep).rule == self.node(node).rule
            && edge.dep != node
            && self.share_key(node).is_some_and(|share_key| self.share_key(edge.dep) == Some(share_key))
    }

    /// Notes that a task executed, so that its siblings may take its result over.
    pub(crate) fn note_sibling(&self, node: NodeId, edges: &[Edge]) {
        let Some(share_key) = self.share_key(node).filter(|_| !self.is_taken_over(node, edges)) else {
            return;
        };
        // A thread that does not see it yet only misses a sibling, and executes.
        self.siblings.any.store(true, Ordering::Release);
        let mut siblings = lock(&self.siblings.known);
        let known = siblings.entry((self.node(node).rule, share_key)).or_default();
        known.retain(|other| *other != node);
        known.push(node);
        if known.len() > MAX_KEPT {
            known.remove(0);
        }
    }

    /// The siblings of a task that executed, latest first, at most [`MAX_TRIED`].
    fn siblings(&self, node: NodeId) -> Vec<NodeId> {
        // Most engines have no siblings: this spares them a call of the rule for each task that executes.
        if self.persist().is_none() && !self.siblings.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let Some(share_key) = self.share_key(node) else { return Vec::new() };
        let rule = self.node(node).rule;
        let stored = self
            .persist()
            .into_iter()
            .flat_map(|persist| persist.siblings(self.rule_at(rule).name(), share_key));
        let stored: Vec<NodeId> =
            stored.filter_map(|(key, place)| self.intern_stored(rule, &key, place)).collect();
        let noted = lock(&self.siblings.known).get(&(rule, share_key)).cloned().unwrap_or_default();
        let mut all: Vec<NodeId> = Vec::new();
        // What executed in this process is later than what the file has.
        for other in noted.into_iter().rev().chain(stored.into_iter().rev()) {
            if other != node && !all.contains(&other) {
                all.push(other);
            }
        }
        all.truncate(MAX_TRIED);
        all
    }

    /// The value of a task's latest run, if it is in memory or kept with the run.
    fn latest(&self, node: NodeId) -> Option<AnyValue> {
        let entry = self.node(node);
        let unloaded = lock(&entry.hist).unloaded();
        if let Some(unloaded) = unloaded {
            self.load(node, unloaded);
        }
        let rule = self.rule(entry);
        let mut hist = lock(&entry.hist);
        let run = hist.runs.first().filter(|run| run.fail().is_none() && run.version == rule.version())?;
        let (seq, in_trace, bytes) = (run.seq, run.value().cloned(), run.bytes().cloned());
        let in_memory = hist.latest_value(seq).cloned();
        in_memory.or(in_trace).or_else(|| {
            let value = guarded(|| rule.decode_value(&entry.key, &bytes?)).ok().flatten()?;
            hist.memory = Some((seq, value.clone()));
            Some(value)
        })
    }

    fn serves(&self, node: NodeId, other: NodeId, value: &AnyValue) -> bool {
        let (node, other) = (self.node(node), self.node(other));
        let rule = self.rule(node);
        guarded(|| rule.serves(&node.key, &other.key, value)).unwrap_or(false)
    }
}

impl Inner {
    /// No kept run of the task is good: takes over the result of a sibling, or executes the task.
    pub(crate) fn take_over_or_execute(self: &Arc<Inner>, task: Task<'_>, cause: Cause) {
        let of = if self.engine.is_given(task.id, self.epoch) { None } else { self.find_sibling(task.id) };
        let Some(of) = of else { return self.execute(task, cause) };
        let work = Work::TakeOver(TakeOver { of, cause });
        if let Some(Work::TakeOver(share_key)) = self.wait_for(task, vec![of], Part::Value, work) {
            self.take_over(task, share_key);
        }
    }

    fn find_sibling(&self, node: NodeId) -> Option<NodeId> {
        if self.is_what_if() || self.engine.node(node).policy.runs == 0 {
            return None;
        }
        // One in progress may be waiting for this very task, so it is not waited for.
        let is_being_made =
            |other: &NodeId| matches!(lock(&self.slots.at(*other).state).hash, Progress::Busy);
        self.engine.siblings(node).into_iter().find(|other| {
            // A value that was set from outside belongs to that one task.
            !is_being_made(other)
                && !self.engine.is_given(*other, self.epoch)
                && self.engine.latest(*other).is_some_and(|value| self.engine.serves(node, *other, &value))
        })
    }

    /// Whether a run took over the result of a task whose value is now set from outside. `Rule::serves` was asked about
    /// the value that the rule computed, so the answer does not hold for the set value, even if the two are equal.
    pub(crate) fn is_from_given(&self, node: NodeId, edges: &[Edge]) -> bool {
        matches!(edges, [edge] if self.engine.is_given(edge.dep, self.epoch))
            && self.engine.is_taken_over(node, edges)
    }

    /// The sibling is settled: takes its result over if `Rule::serves` still agrees, else executes the task.
    pub(crate) fn take_over(self: &Arc<Inner>, task: Task<'_>, TakeOver { of, cause }: TakeOver) {
        // `find_sibling` asked about the latest kept value, which may have been outdated: the rule is asked again.
        let served = match self.peek(of, Part::Value) {
            Some(Answer { seq, result: Ok(Some(value)), .. }) if seq.is_known() => {
                self.engine.serves(task.id, of, &value).then_some((seq, value))
            }
            _ => None,
        };
        let Some((seq, value)) = served else { return self.execute(task, cause) };
        {
            let mut state = lock(&task.slot.state);
            if state.hash.done().is_some() {
                return;
            }
            state.value = Progress::Busy;
        }
        let (mode, facets) = (Mode::Value, Facets::WHOLE);
        // Whether the sibling is clean is looked up when the run is recorded (`mark_clean_if_reads_are`).
        // The whole value: `Rule::serves` was asked about all of it.
        let read = Read { dep: of, seq, mode, facets, ends_group: true, later: false, is_clean: false };
        self.log.replayed();
        self.made(task, value, RecordedReads { reads: vec![read], witness: None });
    }
}
