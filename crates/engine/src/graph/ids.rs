//! The numbers of tasks and versions, in this process and in a file of traces.
//!
//! A task is a dense number. A version ("seq") is the dense number of a distinct hash that the task had, so that
//! comparing a recorded read with the present is comparing two `u32`s.

use std::any::Any;

use crate::sync::Arc;

/// A key, its type erased.
pub(crate) type AnyKey = Arc<dyn Any + Send + Sync>;

/// Dense number of a task.
// 32 bits: a read of a run has one, and runs are most of the memory. Four thousand million tasks do not fit into
// memory anyway.
pub(crate) type NodeId = u32;

/// A value, its type erased.
pub(crate) type AnyValue = Arc<dyn Any + Send + Sync>;

/// Number of a distinct hash of one node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Seq(u32);

impl Seq {
    /// Equals no recorded seq: the outcome must not be recorded, nor that of any task that read it.
    // The special numbers are the highest ones, so that `is_known` is one comparison. No task has that many versions:
    // they are dropped (`Hist::seq_of`), and the file has fewer bits for them (`MAX_VERSION`).
    pub(crate) const NONE: Seq = Seq(u32::MAX);
    /// Not known yet.
    pub(crate) const NOT_YET_KNOWN: Seq = Seq(u32::MAX - 1);
    /// The answer is not a result of the task: the build was cancelled, or the hash is good and the value could not be
    /// computed.
    pub(crate) const LOST: Seq = Seq(u32::MAX - 2);

    pub(crate) fn new(number: u32) -> Seq {
        Seq(number)
    }

    pub(crate) fn number(self) -> u32 {
        self.0
    }

    pub(crate) fn is_known(self) -> bool {
        self.0 < Seq::LOST.0
    }
}

/// The place of a task in the file of traces.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unloaded {
    /// The generation of the file: how many files this process read before it. Task numbers belong to one generation.
    pub(crate) generation: u64,
    /// The task's number there.
    pub(crate) number: u32,
    /// How many versions of it are in the file.
    pub(crate) versions: u32,
}

/// A task of an engine. Means nothing to another engine.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
// Opaque: nodes are numbered in the order in which threads first ask for them, which differs from run to run.
pub struct TaskId(NodeId);

impl TaskId {
    pub(crate) fn of(node: NodeId) -> TaskId {
        TaskId(node)
    }

    pub(crate) fn node(self) -> NodeId {
        self.0
    }
}
