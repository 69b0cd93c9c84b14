//! The interface of the tables to the file of traces.
//!
//! The file is written in terms of the tables, so `persist` depends on `graph` and not the other way round: the tables
//! call it through this trait. `settle` and `api` depend on both and use all of it (`Core::persist`).

use std::any::Any;

use crate::graph::ids::{NodeId, Unloaded};

pub(crate) trait Traces: Any + Send + Sync {
    /// The place of a task in the file; `key` gives the bytes of its key.
    fn find(&self, rule: &str, key: &dyn Fn() -> Vec<u8>) -> Option<Unloaded>;
    /// Notes that a task of the file has a node.
    fn note(&self, place: Unloaded, node: NodeId);
    /// Notes that the kept runs of a task differ from those in the file.
    fn touch(&self, node: NodeId);
    /// Notes that a change was declared of tasks of these rules that are not leaves.
    fn invalidate_leaf_sets(&self, rules: &[u16]);
}
