//! A computation that has started: its future, what it has read so far, and its waker.
//!
//! The future lies on the heap and is polled by the thread that took it, on any stack. Polling one inside another does
//! not tie their lifetimes together, so the requesting future can be dropped without affecting others that wait for
//! the same task.
//!
//! The state is one atomic with these transitions: RUNNING → IDLE or AWAITING_OUTSIDE (suspended) → SCHEDULED (woken,
//! in the queue) → RUNNING; RUNNING → NOTIFIED (woken while it is polled) → RUNNING (polled again); any → ENDED. Each
//! transition is a compare-exchange or swap, so exactly one thread does it, and that thread has the right to what
//! follows: to poll, to push the job, to drop the computation. `AcqRel`, so that the thread that polls next sees what
//! the one before has written.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::{Context, Poll, Wake, Waker};

use crate::graph::erased::{Computation, ErasedOutcome};
use crate::graph::ids::NodeId;
use crate::schedule::inner::Inner;
use crate::schedule::queue::Job;
use crate::schedule::reads::RecordedReads;
use crate::schedule::wait::Suspended;
use crate::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU8, AtomicU32, Ordering},
    lock,
};
use crate::{Fail, Panicked};

pub(crate) struct Frame {
    pub(crate) build: Arc<Inner>,
    pub(crate) node: NodeId,
    pub(super) state: AtomicU8,
    /// Whether the task's slot refers to it, since it was suspended.
    pub(super) known: AtomicBool,
    /// How many of this computation's waits for other tasks are open. If it is suspended with none, it awaits something
    /// foreign.
    pub(crate) waits: AtomicU32,
    /// Whether this is the task's hash function, not its value. Relaxed: set before the first poll, by the thread that
    /// polls.
    pub(crate) is_hash: AtomicBool,
    // Empty while a thread polls it. The lock is hardly ever contended: the state decides which thread may take it.
    pub(super) computation: Mutex<Option<Computation>>,
    // A lock, since a rule may pass clones of its context to threads of its own.
    pub(crate) seen: Mutex<RecordedReads>,
}

// Numbers, since the standard library has no atomic of an enum.
/// Suspended, waiting for other tasks.
const IDLE: u8 = 0;
/// Suspended, awaiting something that the engine does not control.
const AWAITING_OUTSIDE: u8 = 1;
const SCHEDULED: u8 = 2;
pub(super) const RUNNING: u8 = 3;
/// Woken while running.
const NOTIFIED: u8 = 4;
/// Finished or aborted.
const ENDED: u8 = 5;

impl Frame {
    /// Resets a frame that is over, for the next task; false if something is left in it.
    pub(crate) fn renew(&mut self) -> bool {
        let seen = self.seen.get_mut().unwrap_or_else(PoisonError::into_inner);
        seen.reads.clear();
        seen.witness = None;
        self.state = AtomicU8::new(RUNNING);
        self.known = AtomicBool::new(false);
        self.is_hash = AtomicBool::new(false);
        // Relaxed: nothing else refers to the frame, so no other thread counts here.
        self.waits.load(Ordering::Relaxed) == 0 && lock(&self.computation).is_none()
    }

    /// Runs a computation that was begun, until it is done or waits for something.
    pub(crate) fn start(self: Arc<Frame>, computation: Computation) {
        self.poll(computation);
    }

    /// The same for a hash function.
    pub(crate) fn start_hash(self: Arc<Frame>, computation: Computation) {
        self.is_hash.store(true, Ordering::Relaxed);
        self.poll(computation);
    }

    /// Goes on after it was woken. Called by the thread that took its job.
    pub(crate) fn run(self: Arc<Frame>) {
        if self.state.compare_exchange(SCHEDULED, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_err() {
            return;
        }
        let computation = lock(&self.computation).take();
        if let Some(computation) = computation {
            self.poll(computation);
        }
    }

    fn poll(self: Arc<Frame>, mut computation: Computation) {
        let waker = Waker::from(self.clone());
        let mut cx = Context::from_waker(&waker);
        let made = loop {
            // A panic of a rule is a failure of its task: other tasks of the build go on.
            let polled = catch_unwind(AssertUnwindSafe(|| computation.poll(&mut cx)));
            match polled {
                Ok(Poll::Pending) => {
                    // Put away before the state lets another thread take it.
                    *lock(&self.computation) = Some(computation);
                    if !self.build.register_frame(&self) {
                        self.abort();
                    }
                    if self.suspend() {
                        return;
                    }
                    match lock(&self.computation).take() {
                        Some(again) => computation = again,
                        None => return,
                    }
                }
                Ok(Poll::Ready(made)) => break made,
                Err(payload) => {
                    let fail = Fail::transient(Panicked::new(&*payload));
                    // Relaxed here and below: set before the first poll; the state publishes the frame to other
                    // threads.
                    let is_hash = self.is_hash.load(Ordering::Relaxed);
                    break if is_hash {
                        ErasedOutcome::Hash(Err(fail))
                    } else {
                        ErasedOutcome::Value(Err(fail))
                    };
                }
            }
        };
        // It refers to the frame, which can be used again only if nothing else does (`recycle`).
        drop(waker);
        // A future's locals may panic when they are dropped; the outcome is valid nevertheless.
        let ended = catch_unwind(AssertUnwindSafe(|| computation.end()));
        // The result of a computation that was aborted while it ran is dropped: its task was ended with another
        // outcome.
        if self.state.swap(ENDED, Ordering::AcqRel) != ENDED {
            self.finished(made);
        }
        if ended.is_ok() && !self.is_hash.load(Ordering::Relaxed) {
            let rule = self.build.engine.node(self.node).rule;
            self.recycle(rule, computation);
        }
    }

    fn finished(self: &Arc<Frame>, made: ErasedOutcome) {
        let seen = std::mem::take(&mut *lock(&self.seen));
        match made {
            ErasedOutcome::Value(value) => self.build.value_made(self.build.task(self.node), value, seen),
            ErasedOutcome::Hash(hash) => self.build.hash_made(self.build.task(self.node), hash, seen),
        }
    }

    /// Whether this is the first time it is suspended.
    pub(crate) fn is_first_suspension(&self) -> bool {
        // Relaxed: only the thread that polls the frame comes here.
        !self.known.swap(true, Ordering::Relaxed)
    }

    /// After a poll that did not finish; false if it is to be polled again at once.
    fn suspend(&self) -> bool {
        // Counted before the state changes: a waker may take it out of `AWAITING_OUTSIDE` at once, and counts down.
        // An answer that arrives right now makes it look foreign: then its waker is about to run, and counts down
        // again.
        let foreign = self.waits.load(Ordering::Acquire) == 0;
        if foreign {
            self.build.queue.foreign.fetch_add(1, Ordering::AcqRel);
        }
        let next = if foreign { AWAITING_OUTSIDE } else { IDLE };
        match self.state.compare_exchange(RUNNING, next, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => return true,
            // A waker or an abort came first and found `RUNNING`; neither counts down then.
            Err(_) if foreign => {
                self.build.queue.foreign.fetch_sub(1, Ordering::AcqRel);
            }
            Err(_) => {}
        }
        if self.state.compare_exchange(NOTIFIED, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_ok() {
            return false;
        }
        // Aborted meanwhile.
        self.drop_computation();
        true
    }

    /// Aborts the computation: it is dropped, now or when its present poll returns.
    pub(crate) fn abort(&self) {
        match self.state.swap(ENDED, Ordering::AcqRel) {
            // The thread that polls drops it when the poll returns; if it is over, it was dropped.
            RUNNING | NOTIFIED | ENDED => return,
            AWAITING_OUTSIDE => {
                self.build.queue.foreign.fetch_sub(1, Ordering::AcqRel);
            }
            _ => {}
        }
        self.drop_computation();
    }

    fn drop_computation(&self) {
        let computation = lock(&self.computation).take();
        let _ = catch_unwind(AssertUnwindSafe(|| drop(computation)));
    }
}

impl Suspended for Frame {
    fn node(&self) -> NodeId {
        self.node
    }

    fn waits(&self) -> &AtomicU32 {
        &self.waits
    }

    fn resume(self: Arc<Frame>) {
        self.run();
    }

    fn abort(&self) {
        Frame::abort(self);
    }
}

impl Wake for Frame {
    fn wake(self: Arc<Frame>) {
        Frame::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Frame>) {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            let next = match state {
                IDLE | AWAITING_OUTSIDE => SCHEDULED,
                RUNNING => NOTIFIED,
                // Already scheduled, or over: a waker may outlive the computation.
                _ => return,
            };
            // Weak: it is in a loop anyway.
            match self.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        if state == RUNNING {
            return;
        }
        // First into the queue, then out of the count of foreign waits: an idle thread sees one or the other, and does
        // not search for a cycle meanwhile.
        self.build.queue.push(&self.build, Job::Run(self.clone()));
        // A thread may have run the job and gone idle between the two. It has seen the count too high and has not
        // searched for cycles, so the threads are woken once more.
        if state == AWAITING_OUTSIDE && self.build.queue.foreign.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.build.queue.wake_all();
        }
    }
}
