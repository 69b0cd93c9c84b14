//! How a task is settled: because it stands, by the leaves below it, by what a kept run read, by a kin, or by
//! executing; and the ways down from a settled task.
//!
//! Most of it are methods of `Inner`, the state of a build, each beside the algorithm that it belongs to.

pub(crate) mod agree;
pub(crate) mod below;
pub(crate) mod check;
pub(crate) mod clean;
pub(crate) mod deadlock;
pub(crate) mod demand;
pub(crate) mod execute;
pub(crate) mod frame;
pub(crate) mod gather;
pub(crate) mod kin;
pub(crate) mod spare;
