//! What the tables ask of whatever outlives the process.
//!
//! The tables stand below the file of traces, which is written in terms of them; so they know it by these few
//! questions only. Who stands above both asks for all of it (`Core::persist`).

use std::any::Any;

use crate::graph::ids::{NodeId, Unloaded};

pub(crate) trait Traces: Any + Send + Sync {
    /// Where a task is told of; `key` gives the bytes of its key.
    fn find(&self, rule: &str, key: &dyn Fn() -> Vec<u8>) -> Option<Unloaded>;
    /// Notes that this process knows a task of the file.
    fn note(&self, place: Unloaded, node: NodeId);
    /// Notes that a task's runs are not as the file says.
    fn touch(&self, node: NodeId);
    /// Notes that something was declared of tasks of these rules that are no leaves.
    fn invalidate_leaf_sets(&self, rules: &[u16]);
}
