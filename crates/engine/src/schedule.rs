//! The state of a build, and the threads that work on it. How tasks are settled is not known here.

pub(crate) mod cancel;
pub(crate) mod inner;
pub(crate) mod queue;
pub(crate) mod reads;
pub(crate) mod slot;
pub(crate) mod wait;
pub(crate) mod work;
