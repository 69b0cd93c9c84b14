//! The context of a running task, through which it requests other tasks; the requests are recorded, in order.
//!
//! Nothing happens when a request is made, only when it is first polled (or started). A request that is
//! dropped before its answer is not recorded, since the task cannot depend on it.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use crate::settle::frame::Frame;

/// The context of a running task. Cheap to clone; clones record into the same trace.
#[derive(Clone)]
pub struct Cx {
    pub(crate) frame: Arc<Frame>,
}

impl Cx {
    pub(crate) fn new(frame: Arc<Frame>) -> Cx {
        Cx { frame }
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cx of {}", self.frame.build.engine.key_ref(self.frame.node))
    }
}

/// The context of a task's hash function: all of [`Cx`], and the task's own value.
pub struct HashCx<R> {
    pub(super) cx: Cx,
    rule: PhantomData<fn() -> R>,
}

impl<R> HashCx<R> {
    pub(crate) fn new(frame: Arc<Frame>) -> HashCx<R> {
        HashCx { cx: Cx::new(frame), rule: PhantomData }
    }
}

impl<R> Deref for HashCx<R> {
    type Target = Cx;

    fn deref(&self) -> &Cx {
        &self.cx
    }
}
