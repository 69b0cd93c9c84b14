//! How a task is settled: because it is clean, by the leaves below it, by what a kept run read, by taking over the
//! result of a sibling, or by executing; and the traversals of what lies below a settled task.
//!
//! Most of it are methods of `Inner`, the state of a build, grouped by algorithm.

pub(crate) mod agree;
pub(crate) mod below;
pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod deadlock;
pub(crate) mod demand;
pub(crate) mod execute;
pub(crate) mod frame;
pub(crate) mod gather;
pub(crate) mod reuse;
pub(crate) mod siblings;
