//! Queries of the history: which runs of a task are kept, their reads and results.
//!
//! For tools that explain builds, or find what a change would invalidate. Nothing here executes, verifies or records
//! anything; answers are from the latest builds, whether or not they are still valid.

use crate::graph::core::Core;
use crate::graph::ids::NodeId;
use crate::graph::ids::TaskId;
use crate::sync::lock;
use crate::{Engine, Hash, KeyRef, Rule};

/// The result of a kept run.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptRun<V> {
    /// The hash of the task by this run.
    pub hash: Option<Hash>,
    /// The value, if it was kept with the run.
    pub value: Option<V>,
}

impl Engine {
    /// The task with this key, whether or not anything is known of it.
    pub fn task<R: Rule>(&self, key: R::Key) -> TaskId {
        TaskId::of(self.core().intern::<R>(key))
    }

    /// The task's rule and key.
    pub fn key_of(&self, task: TaskId) -> KeyRef {
        self.core().key_ref(task.node())
    }

    /// Whether the task is a leaf: reads the outside world.
    pub fn is_leaf(&self, task: TaskId) -> bool {
        self.core().node(task.node()).policy.leaf
    }

    /// The reads of the latest kept run of the task, in order; `None` if no run is kept.
    pub fn reads_of(&self, task: TaskId) -> Option<Vec<TaskId>> {
        let core = self.core();
        core.fetch_history(task.node());
        let hist = lock(&core.node(task.node()).hist);
        hist.runs.first().map(|run| run.edges.iter().map(|edge| TaskId::of(edge.dep)).collect())
    }

    /// The results of the kept runs of a task, latest use first.
    pub fn kept<R: Rule>(&self, key: &R::Key) -> Vec<KeptRun<R::Value>> {
        let core = self.core();
        let id = core.intern::<R>(key.clone());
        core.fetch_history(id);
        let node = core.node(id);
        let rule = core.rule(node);
        let hist = lock(&node.hist);
        let runs = hist.runs.iter().map(|run| {
            let decode = || rule.decode_value(&node.key, run.bytes()?);
            let value = run.value().or_else(|| hist.latest_value(run.seq)).cloned().or_else(decode);
            let value = value.and_then(|value| value.downcast_ref::<R::Value>().cloned());
            KeptRun { hash: hist.hash_of(run.seq), value }
        });
        runs.collect()
    }

    /// The value that a task had when it had this hash, if it was kept with a run.
    pub fn value_with<R: Rule>(&self, key: &R::Key, hash: Hash) -> Option<R::Value> {
        let core = self.core();
        let id = core.find::<R>(key)?;
        let node = core.node(id);
        let rule = core.rule(node);
        // Versions only: loading the runs of a task makes nodes of all that it read.
        let is_stored = lock(&node.hist).unloaded().is_some();
        if is_stored {
            core.load_versions(id)?;
        }
        let (known, seq) = {
            let hist = lock(&node.hist);
            let seq = hist.seq_with(hash)?;
            let run = hist.runs.iter().find(|run| run.seq == seq);
            let decode = || rule.decode_value(&node.key, run?.bytes()?);
            (hist.latest_value(seq).or_else(|| run?.value()).cloned().or_else(decode), seq)
        };
        // A task that is only in the file need not be loaded for that.
        let stored = || rule.decode_value(&node.key, &core.stored_value(id, seq)?);
        let value = known.or_else(|| is_stored.then(stored)?)?;
        value.downcast_ref::<R::Value>().cloned()
    }
}

impl Core {
    /// Loads a task from the file, unless it is loaded.
    pub(crate) fn fetch_history(&self, node: NodeId) {
        let unloaded = lock(&self.node(node).hist).unloaded();
        if let Some(unloaded) = unloaded {
            self.load(node, unloaded);
        }
    }
}
