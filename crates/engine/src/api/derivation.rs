//! Explains a build: why a task did not have to execute, and, for one that did, the path down to what changed.

use std::fmt;

use crate::api::build::Build;
use crate::graph::ids::Seq;
use crate::log::entries::Cause;
use crate::sync::{atomic::Ordering, lock};
use crate::{ExecutedTask, KeyRef, Reason, Rule};

/// Why a task's hash is good in a build.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Derivation {
    /// It executed.
    Executed(Reason),
    /// It was settled in an earlier build, and nothing that it was made from was invalidated since.
    Clean,
    /// A kept run agrees with the present in all that it read, in this order (*replay*).
    Replayed {
        /// The reads of the run.
        reads: Vec<KeyRef>,
    },
    /// All leaves below a kept run are unchanged ([`crate::Policy::deep`]).
    Agreed {
        /// How many.
        leaves: usize,
    },
    /// Its result was taken over from a sibling, which has the same value ([`Rule::serves`]).
    TakenOver {
        /// The sibling.
        of: KeyRef,
    },
    /// It was set from outside ([`crate::Begin::set`]).
    Given,
    /// This is a what-if build, and the task is assumed to be as in its latest run.
    Assumed,
}

impl fmt::Display for Derivation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Derivation::Executed(reason) => write!(f, "it executed: {reason}"),
            Derivation::Clean => f.write_str("nothing that it was made from was declared changed"),
            Derivation::Replayed { reads } => write!(f, "all {} that it had read are the same", reads.len()),
            Derivation::Agreed { leaves } => write!(f, "all {leaves} leaves below it are the same"),
            Derivation::TakenOver { of } => write!(f, "it is the same as {of}"),
            Derivation::Given => f.write_str("it was given"),
            Derivation::Assumed => f.write_str("it is assumed to be as it was"),
        }
    }
}

impl Build {
    /// Why the hash of a task is good in this build; `None` if it was not requested, or has none. Tasks that were
    /// found good by the numbers of a file are loaded for the answer.
    pub fn derivation<R: Rule>(&self, key: &R::Key) -> Option<Derivation> {
        let inner = self.inner();
        let core = self.core();
        let node = core.find_known::<R>(key)?;
        // In the order in which a task is settled: what executed is in the log, whatever else is known of it.
        if let Some(cause) = inner.log.cause(node) {
            return Some(Derivation::Executed(core.reason(cause)));
        }
        let settled = lock(&inner.slots.at(node).state).hash.done().cloned();
        let by_numbers = if settled.is_none() { inner.version_by_numbers(node) } else { None };
        let seq: Seq = match settled {
            None => match by_numbers {
                Some(seq) if inner.has_walked.load(Ordering::Relaxed) => seq,
                Some(_) => return Some(Derivation::Clean),
                None => return inner.clean_version(node).map(|_| Derivation::Clean),
            },
            Some(outcome) if outcome.seq.is_known() => outcome.seq,
            Some(_) => return None,
        };
        if inner.assumes(node) {
            return Some(Derivation::Assumed);
        }
        let by_leaves = lock(&inner.by_leaves).get(&node).map(|leaves| leaves.count());
        if let Some(leaves) = by_leaves {
            return Some(Derivation::Agreed { leaves });
        }
        core.fetch_history(node);
        let hist = lock(&core.node(node).hist);
        if hist.given_value(inner.epoch).is_some() {
            return Some(Derivation::Given);
        }
        let edges = hist.runs.iter().find(|run| run.seq == seq)?.edges.clone();
        drop(hist);
        if core.is_taken_over(node, &edges) {
            return Some(Derivation::TakenOver { of: core.key_ref(edges[0].dep) });
        }
        Some(Derivation::Replayed { reads: edges.iter().map(|edge| core.key_ref(edge.dep)).collect() })
    }

    /// Why a task executed, step by step down to the root cause: a changed input, a new task, or a task that always
    /// executes. Empty if it did not execute.
    pub fn causes<R: Rule>(&self, key: &R::Key) -> Vec<ExecutedTask> {
        let (inner, core) = (self.inner(), self.core());
        let mut way: Vec<ExecutedTask> = Vec::new();
        let mut next = core.find::<R>(key);
        while let Some(node) = next {
            // Ends where a task did not execute: what is below it did not change.
            let Some((what, cause)) = inner.log.executed(node) else {
                // Parts are not logged: the whole is what executed.
                let entry = core.node(node);
                // A part reads its whole and nothing else (`PartRule`).
                let whole = || Some(lock(&entry.hist).runs.first()?.edges.first()?.dep);
                next = if core.rule(entry).is_part() { whole() } else { None };
                continue;
            };
            next = match cause {
                Cause::Read { dep, .. } | Cause::Newer { dep } => Some(dep),
                _ => None,
            };
            way.push(ExecutedTask { key: core.key_ref(node), what, reason: core.reason(cause) });
        }
        way
    }
}
