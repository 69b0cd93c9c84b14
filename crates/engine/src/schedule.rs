//! The state of a build, and the threads that work on it. The algorithms that settle tasks are in `settle`.

pub(crate) mod cancel;
pub(crate) mod inner;
pub(crate) mod queue;
pub(crate) mod reads;
pub(crate) mod slot;
pub(crate) mod wait;
pub(crate) mod work;
