//! Kin: tasks of one rule that may have each other's results.
//!
//! Keys say where a task stands, not what its value depends on. Where a rule can tell from another task's value
//! that it is this one's too ([`crate::Rule::serves`]), nothing has to run: the result is taken over, and the
//! trace says so, as a read of the other task. Only tasks that were made by themselves are taken from, and none
//! that is just being made, so that nobody waits for one that may come to wait for it.

use crate::Facets;
use crate::graph::core::Core;
use crate::graph::fail::guarded;
use crate::graph::ids::{AnyValue, NodeId};
use crate::graph::run::{Edge, Mode};
use crate::log::entries::Cause;
use crate::schedule::inner::Inner;
use crate::schedule::reads::{Read, Seen};
use crate::schedule::slot::{Answer, Part, Progress, Task};
use crate::schedule::work::{Kin, Work};
use crate::sync::{Arc, atomic::Ordering, lock};

/// How many of the kin are looked at, latest first: what serves does so early or not at all.
const LOOKED_AT: usize = 8;

/// How many of the kin are remembered.
const REMEMBERED: usize = 32;

impl Core {
    /// The kinship of a task.
    pub(crate) fn kin(&self, node: NodeId) -> Option<u64> {
        let node = self.node(node);
        self.rule(node).kin(&node.key)
    }

    /// Whether a run with these reads took over the result of a kin of `node`.
    pub(crate) fn is_by_kin(&self, node: NodeId, edges: &[Edge]) -> bool {
        let [edge] = edges else { return false };
        self.node(edge.dep).rule == self.node(node).rule
            && edge.dep != node
            && self.kin(node).is_some_and(|kin| self.kin(edge.dep) == Some(kin))
    }

    /// Notes that a task was made by itself.
    pub(crate) fn note_kin(&self, node: NodeId, edges: &[Edge]) {
        let Some(kin) = self.kin(node).filter(|_| !self.is_by_kin(node, edges)) else { return };
        self.kinships.any.store(true, Ordering::Release);
        let mut kinships = lock(&self.kinships.known);
        let known = kinships.entry((self.node(node).rule, kin)).or_default();
        known.retain(|other| *other != node);
        known.push(node);
        if known.len() > REMEMBERED {
            known.remove(0);
        }
    }

    /// All kin of a task that were made by themselves, latest first.
    fn all_kin(&self, node: NodeId) -> Vec<NodeId> {
        if self.persist().is_none() && !self.kinships.any.load(Ordering::Acquire) {
            return Vec::new();
        }
        let Some(kin) = self.kin(node) else { return Vec::new() };
        let rule = self.node(node).rule;
        let stored =
            self.persist().into_iter().flat_map(|persist| persist.kin(self.rule_at(rule).name(), kin));
        let stored: Vec<NodeId> =
            stored.filter_map(|(key, place)| self.intern_stored(rule, &key, place)).collect();
        let noted = lock(&self.kinships.known).get(&(rule, kin)).cloned().unwrap_or_default();
        let mut all: Vec<NodeId> = Vec::new();
        for other in noted.into_iter().rev().chain(stored.into_iter().rev()) {
            if other != node && !all.contains(&other) {
                all.push(other);
            }
        }
        all.truncate(LOOKED_AT);
        all
    }

    /// The value of a task's latest run, if it is at hand.
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
        let in_memory = hist.memory.as_ref().filter(|(of, _)| *of == seq).map(|(_, value)| value.clone());
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
    /// No kept run of the task's own will do: it takes over the result of a kin, or executes.
    pub(crate) fn seek(self: &Arc<Inner>, task: Task<'_>, cause: Cause) {
        let of = if self.engine.is_given(task.id, self.epoch) { None } else { self.find_kin(task.id) };
        let Some(of) = of else { return self.execute(task, cause) };
        let work = Work::Kin(Kin { of, cause });
        if let Some(Work::Kin(kin)) = self.wait_for(task, vec![of], Part::Value, work) {
            self.take_over(task, kin);
        }
    }

    fn find_kin(&self, node: NodeId) -> Option<NodeId> {
        if self.is_what_if() || self.engine.node(node).policy.runs == 0 {
            return None;
        }
        let is_being_made =
            |other: &NodeId| matches!(lock(&self.slots.at(*other).state).hash, Progress::Busy);
        self.engine.all_kin(node).into_iter().find(|other| {
            // A value from outside is that of one task only.
            !is_being_made(other)
                && !self.engine.is_given(*other, self.epoch)
                && self.engine.latest(*other).is_some_and(|value| self.engine.serves(node, *other, &value))
        })
    }

    /// Whether a run took over the result of a task that now has its value from outside: what held of the value that
    /// its rule makes holds of that one no longer, even if they are equal.
    pub(crate) fn is_from_given(&self, node: NodeId, edges: &[Edge]) -> bool {
        matches!(edges, [edge] if self.engine.is_given(edge.dep, self.epoch))
            && self.engine.is_by_kin(node, edges)
    }

    /// The kin is settled.
    pub(crate) fn take_over(self: &Arc<Inner>, task: Task<'_>, Kin { of, cause }: Kin) {
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
        let read = Read { dep: of, seq, mode, facets, ends_group: true, later: false, is_clean: false };
        self.log.replayed();
        self.made(task, value, Seen { reads: vec![read], witness: None });
    }
}
