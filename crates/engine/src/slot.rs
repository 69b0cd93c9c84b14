//! What one build knows of one task: how far its hash and its value are, and who waits for them.
//!
//! The states only go forward (idle, busy, done), which is the guard against the recursion value → hash →
//! value: a request for the value first settles the hash; only the task's own hash function may ask for the
//! value of its task directly ([`Part::Own`]), which skips verification and constructs.

use std::task::Waker;

use crate::Fail;
use crate::check::Check;
use crate::execute::Finish;
use crate::frame::{Frame, Seen};
use crate::kin::Kin;
use crate::node::{AnyValue, NodeId, Seq};
use crate::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering},
    lock,
};

/// What is asked of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Hash,
    Value,
    /// The value, asked for by the task's own hash function.
    Own,
}

pub(crate) enum Progress<T> {
    Idle,
    Busy,
    Done(T),
}

impl<T> Progress<T> {
    pub(crate) fn is_idle(&self) -> bool {
        matches!(self, Progress::Idle)
    }

    pub(crate) fn done(&self) -> Option<&T> {
        match self {
            Progress::Done(done) => Some(done),
            _ => None,
        }
    }
}

/// A task's good hash, or why it has none.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub(crate) seq: Seq,
    pub(crate) fail: Option<Fail>,
}

/// The answer to a request.
pub(crate) struct Answer {
    pub(crate) seq: Seq,
    /// `Ok(None)` for a request for the hash.
    pub(crate) result: Result<Option<AnyValue>, Fail>,
}

/// Work on a task that waits for others; resumed when [`Slot::pending`] reaches zero.
pub(crate) enum Work {
    Check(Check),
    Finish(Finish),
    Kin(Kin),
}

/// Somebody to be told.
#[derive(Clone)]
pub(crate) enum Who {
    /// The [`Work`] of this node.
    Node(NodeId),
    Wait(Arc<Wait>),
}

/// A future (or a thread) that waits for one or more answers.
pub(crate) struct Wait {
    remaining: AtomicUsize,
    waker: Mutex<Option<Waker>>,
    open: AtomicBool,
    /// The computation that waits; `None` for a root.
    pub(crate) frame: Option<Arc<Frame>>,
}

impl Wait {
    /// Holds one count for whoever makes it, to be released by [`Wait::arrive`] after the last registration.
    pub(crate) fn new(frame: Option<Arc<Frame>>, waker: Waker) -> Arc<Wait> {
        if let Some(frame) = &frame {
            frame.waits.fetch_add(1, Ordering::Relaxed);
        }
        let waker = Mutex::new(Some(waker));
        Arc::new(Wait { remaining: AtomicUsize::new(1), waker, open: AtomicBool::new(true), frame })
    }

    fn close(&self) {
        if self.open.swap(false, Ordering::AcqRel)
            && let Some(frame) = &self.frame
        {
            frame.waits.fetch_sub(1, Ordering::AcqRel);
        }
    }

    pub(crate) fn expect_one_more(&self) {
        self.remaining.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts one down; wakes at zero.
    pub(crate) fn arrive(&self) {
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.close();
            let waker = lock(&self.waker).take();
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    pub(crate) fn is_over(&self) -> bool {
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
        self.is_over()
    }

    /// The waiting future is dropped with answers missing.
    pub(crate) fn give_up(&self) {
        self.close();
        let waker = lock(&self.waker).take();
        drop(waker);
    }
}

#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) state: Mutex<State>,
    /// How many answers the [`Work`] still waits for, plus one while it is being set up.
    pub(crate) pending: AtomicU32,
}

pub(crate) struct State {
    pub(crate) hash: Progress<Outcome>,
    pub(crate) value: Progress<Result<AnyValue, Fail>>,
    /// Somebody asked for the value: it follows the hash.
    pub(crate) wants_value: bool,
    /// The value being made gives the hash.
    pub(crate) by_store: bool,
    pub(crate) work: Option<Box<Work>>,
    pub(crate) hash_frame: Option<Arc<Frame>>,
    pub(crate) value_frame: Option<Arc<Frame>>,
    /// Who is to be told, and of what.
    pub(crate) waiters: Vec<(Part, Who)>,
    /// What the value saw, for the hash function that asked for it.
    pub(crate) own_seen: Option<Box<Seen>>,
}

impl Default for State {
    fn default() -> State {
        State {
            hash: Progress::Idle,
            value: Progress::Idle,
            wants_value: false,
            by_store: false,
            work: None,
            hash_frame: None,
            value_frame: None,
            waiters: Vec::new(),
            own_seen: None,
        }
    }
}

impl State {
    pub(crate) fn answer(&self, part: Part) -> Option<Answer> {
        if part == Part::Own {
            let result = self.value.done()?.clone();
            return Some(Answer { seq: Seq::NONE, result: result.map(Some) });
        }
        let Outcome { seq, fail } = self.hash.done()?;
        let result = match (fail, part) {
            (Some(fail), _) => Err(fail.clone()),
            (None, Part::Value) => self.value.done()?.clone().map(Some),
            (None, _) => Ok(None),
        };
        Some(Answer { seq: *seq, result })
    }

    /// Takes out those whose question can be answered now.
    pub(crate) fn answered(&mut self) -> Vec<Who> {
        if self.waiters.is_empty() {
            return Vec::new();
        }
        let mut waiters = std::mem::take(&mut self.waiters);
        let is_answered = |part: &mut (Part, Who)| self.answer(part.0).is_some();
        let told = waiters.extract_if(.., is_answered).map(|(_, who)| who).collect();
        self.waiters = waiters;
        told
    }

    /// Ends everything of the task that is not done with `fail`; returns computations to abort and whom to tell.
    pub(crate) fn end(&mut self, fail: &Fail) -> (Vec<Arc<Frame>>, Vec<Who>) {
        if self.hash.done().is_none() && !self.hash.is_idle() {
            self.hash = Progress::Done(Outcome { seq: Seq::NONE, fail: Some(fail.clone()) });
        }
        if self.value.done().is_none() && !self.value.is_idle() {
            self.value = Progress::Done(Err(fail.clone()));
        }
        self.work = None;
        let frames = [self.hash_frame.take(), self.value_frame.take()].into_iter().flatten().collect();
        (frames, self.answered())
    }
}
