//! What waits for answers, and how it is notified.

use std::task::Waker;

use crate::graph::ids::NodeId;
use crate::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    lock,
};

/// A computation that was begun and is suspended. A trait, since the computation itself belongs to `settle`.
pub(crate) trait Suspended: Send + Sync {
    /// The task.
    fn node(&self) -> NodeId;
    /// How many of its waits for other tasks are open; none while it is suspended: it awaits something foreign.
    fn waits(&self) -> &AtomicU32;
    /// Goes on after it was woken. Called by the thread that took it from the queue.
    fn resume(self: Arc<Self>);
    /// Aborts it: it is dropped, now or when its present step returns.
    fn abort(&self);
}

/// What is notified when an answer is there.
#[derive(Clone)]
pub(crate) enum Waiter {
    /// The [`crate::schedule::work::Work`] of this node.
    Node(NodeId),
    Wait(Arc<Wait>),
}

/// A future (or a thread) that waits for one or more answers.
pub(crate) struct Wait {
    // A count in place of a list: what arrived is in the slots.
    remaining: AtomicUsize,
    waker: Mutex<Option<Waker>>,
    open: AtomicBool,
    /// The computation that waits; `None` for a root.
    pub(crate) frame: Option<Arc<dyn Suspended>>,
}

impl Wait {
    /// Holds one count for the caller, to be released by [`Wait::arrive`] after the last registration.
    pub(crate) fn new(frame: Option<Arc<dyn Suspended>>, waker: Waker) -> Arc<Wait> {
        // Relaxed: the computation itself counts up, on its own thread, before it is suspended.
        if let Some(frame) = &frame {
            frame.waits().fetch_add(1, Ordering::Relaxed);
        }
        let waker = Mutex::new(Some(waker));
        Arc::new(Wait { remaining: AtomicUsize::new(1), waker, open: AtomicBool::new(true), frame })
    }

    fn close(&self) {
        // Both the last answer and the dropped request close it: by the swap, exactly one of them counts the frame
        // down.
        if self.open.swap(false, Ordering::AcqRel)
            && let Some(frame) = &self.frame
        {
            frame.waits().fetch_sub(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn expect_one_more(&self) {
        // Relaxed: the caller holds a count, so this one cannot be the last.
        self.remaining.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one down; wakes at zero. `AcqRel`, so that the woken future sees what all others that arrived have
    /// written.
    pub(crate) fn arrive(&self) {
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            // Before the waker: the frame may be polled at once on another thread, where a wait that is over must not
            // count.
            self.close();
            let waker = lock(&self.waker).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        // Acquire: the answers that `arrive` has counted are visible.
        self.remaining.load(Ordering::Acquire) == 0
    }

    /// Whether all answers are in; if not, `waker` is woken when they are.
    pub(crate) fn poll(&self, waker: &Waker) -> bool {
        if self.is_over() {
            return true;
        }
        match &mut *lock(&self.waker) {
            Some(known) => known.clone_from(waker),
            none => *none = Some(waker.clone()),
        }
        // Once more: the last answer may have arrived before the waker was there.
        self.is_over()
    }

    /// The waiting future is dropped with answers missing.
    pub(crate) fn give_up(&self) {
        self.close();
        let waker = lock(&self.waker).take();
        // Outside of the lock: a waker holds its frame, and dropping that may run code of rules.
        drop(waker);
    }
}
