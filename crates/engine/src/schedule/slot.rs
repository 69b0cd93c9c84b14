//! The state of one task in one build: how far its hash and its value are, and what waits for them.
//!
//! The states only go forward: idle, busy, done. (A value is released only between requests.) That guards against the
//! recursion value → hash → value. A request for the value first settles the hash. Only the task's own hash function
//! may ask for the value directly ([`Part::Own`]), which skips verification and computes the value.

use crate::Fail;
use crate::graph::ids::{AnyValue, NodeId, Seq};
use crate::graph::node::Node;
use crate::schedule::reads::RecordedReads;
use crate::schedule::wait::{Suspended, Waiter};
use crate::schedule::work::Work;
use crate::sync::{Arc, Mutex, atomic::AtomicU32, lock};

/// A task, with its node (kept between builds) and its slot (of one build).
#[derive(Clone, Copy)]
pub(crate) struct Task<'b> {
    pub(crate) id: NodeId,
    pub(crate) node: &'b Node,
    pub(crate) slot: &'b Slot,
}

/// The next step for a task that is wanted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NextStep {
    /// Settle the hash.
    Begin,
    /// The hash is good: find the value, or compute it again.
    Fetch,
    /// Compute the value, whether or not the hash is known.
    Construct,
}

/// What is requested of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Hash,
    Value,
    /// The value, requested by the task's own hash function.
    Own,
}

#[derive(Default)]
pub(crate) enum Progress<T> {
    #[default]
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
    // Behind a pointer, since hardly any task fails: it keeps a slot in its limit (below).
    pub(crate) fail: Option<Box<Fail>>,
}

impl Outcome {
    /// A failure that is not recorded.
    pub(crate) fn failed(fail: Fail) -> Outcome {
        Outcome { seq: Seq::NONE, fail: Some(Box::new(fail)) }
    }
}

/// The answer to a request.
pub(crate) struct Answer {
    pub(crate) seq: Seq,
    /// The task is clean ([`crate::graph::clean`]).
    pub(crate) is_clean: bool,
    /// `Ok(None)` for a request for the hash.
    pub(crate) result: Result<Option<AnyValue>, Fail>,
}

impl Answer {
    /// The build was cancelled.
    pub(crate) fn cancelled() -> Answer {
        Answer { seq: Seq::LOST, is_clean: false, result: Err(Fail::Cancelled) }
    }
}

/// A task in one build. Small, since a build has one for each task that it looks at.
#[derive(Default)]
pub(crate) struct Slot {
    // A lock for each task, held for a few statements: no lock is shared by tasks that have nothing to do with each
    // other.
    pub(crate) state: Mutex<SlotState>,
    /// How many answers the [`Work`] still waits for, plus one while it is being set up.
    pub(crate) pending: AtomicU32,
}

impl Slot {
    /// Drops the value: a later request fetches it again.
    pub(crate) fn release_value(&self) {
        let mut state = lock(&self.state);
        let is_good = state.hash.done().is_some_and(|outcome| outcome.fail.is_none());
        if is_good && matches!(state.value, Progress::Done(Ok(_))) {
            // The one step back of these states, allowed only while nothing is requested.
            state.value = Progress::Idle;
            // The hash is known from here on, whatever it was taken from.
            state.by_store = false;
        }
    }
}

#[derive(Default)]
pub(crate) struct SlotState {
    pub(crate) hash: Progress<Outcome>,
    pub(crate) value: Progress<Result<AnyValue, Box<Fail>>>,
    /// The value was requested: it is fetched once the hash is settled.
    pub(crate) wants_value: bool,
    /// The task has no hash function of its own: its hash is made from its value, which is being computed.
    pub(crate) by_store: bool,
    /// The fields that are needed only while something waits.
    open: Option<Box<InProgress>>,
}

#[derive(Default)]
pub(crate) struct InProgress {
    pub(crate) work: Option<Work>,
    pub(crate) hash_frame: Option<Arc<dyn Suspended>>,
    pub(crate) value_frame: Option<Arc<dyn Suspended>>,
    /// What is notified when a part is settled.
    pub(crate) waiters: Vec<(Part, Waiter)>,
    /// The reads of the value, for the hash function that requested it.
    pub(crate) own_seen: Option<Box<RecordedReads>>,
}

impl InProgress {
    /// Whether nothing is there but waiters.
    fn is_over(&self) -> bool {
        self.work.is_none()
            && self.hash_frame.is_none()
            && self.value_frame.is_none()
            && self.own_seen.is_none()
    }
}

impl SlotState {
    /// What waits, made if there is nothing yet.
    pub(crate) fn open(&mut self) -> &mut InProgress {
        self.open.get_or_insert_default()
    }

    /// What waits, if anything does.
    pub(crate) fn opened(&mut self) -> Option<&mut InProgress> {
        self.open.as_deref_mut()
    }

    /// The work that was set aside.
    pub(crate) fn take_work(&mut self) -> Option<Work> {
        self.opened()?.work.take()
    }

    /// Whether there is an answer.
    pub(crate) fn is_answered(&self, part: Part) -> bool {
        let (hash, value) = (self.hash.done(), self.value.done().is_some());
        match part {
            Part::Own => value,
            Part::Value => hash.is_some_and(|outcome| outcome.fail.is_some() || value),
            Part::Hash => hash.is_some(),
        }
    }

    pub(crate) fn answer(&self, part: Part) -> Option<Answer> {
        let value = || self.value.done().map(|value| value.clone().map_err(|fail| *fail));
        if part == Part::Own {
            return Some(Answer { seq: Seq::NONE, is_clean: false, result: value()?.map(Some) });
        }
        let Outcome { seq, fail } = self.hash.done()?;
        let result = match (fail, part) {
            (Some(fail), _) => Err((**fail).clone()),
            (None, Part::Value) => value()?.map(Some),
            (None, _) => Ok(None),
        };
        // A cancelled build, and a value that is lost although its hash is good, leave no version: runs that read them
        // are not kept.
        let seq = match &result {
            Err(_) if fail.is_none() => Seq::LOST,
            Err(Fail::Cancelled) => Seq::LOST,
            _ => *seq,
        };
        Some(Answer { seq, is_clean: false, result })
    }

    /// The step by which `part` is computed, unless that is in progress; marks it as in progress.
    pub(crate) fn wake_up(&mut self, part: Part) -> Option<NextStep> {
        // The hash is being computed, by the function that asks: the value is computed without it.
        if part == Part::Own {
            return self.value.is_idle().then(|| {
                self.value = Progress::Busy;
                NextStep::Construct
            });
        }
        // Also while the hash is in progress: the thread that settles it fetches the value then (`conclude`).
        self.wants_value |= part == Part::Value;
        match (&self.hash, &self.value) {
            (Progress::Idle, _) => {
                self.hash = Progress::Busy;
                Some(NextStep::Begin)
            }
            (Progress::Done(_), Progress::Idle) if part == Part::Value => {
                self.value = Progress::Busy;
                Some(NextStep::Fetch)
            }
            _ => None,
        }
    }

    /// Takes out the waiters whose request can be answered now.
    pub(crate) fn take_answered(&mut self) -> Vec<Waiter> {
        let Some(open) = self.opened().filter(|open| !open.waiters.is_empty()) else { return Vec::new() };
        // Taken out, because `is_answered` reads the state that they are in.
        let mut waiters = std::mem::take(&mut open.waiters);
        let is_answered = |part: &mut (Part, Waiter)| self.is_answered(part.0);
        let answered = waiters.extract_if(.., is_answered).map(|(_, waiter)| waiter).collect();
        match &mut self.open {
            // Most tasks are over when they are settled: what only waiting needs is freed, not kept to the end of the
            // build.
            Some(open) if waiters.is_empty() && open.is_over() => self.open = None,
            Some(open) => open.waiters = waiters,
            None => {}
        }
        answered
    }

    /// Ends everything of the task that is not done with `fail`; returns the computations to abort and the waiters to
    /// notify.
    pub(crate) fn end(&mut self, fail: &Fail) -> (Vec<Arc<dyn Suspended>>, Vec<Waiter>) {
        // What is idle was not requested, so nothing waits for it.
        if self.hash.done().is_none() && !self.hash.is_idle() {
            self.hash = Progress::Done(Outcome::failed(fail.clone()));
        }
        if self.value.done().is_none() && !self.value.is_idle() {
            self.value = Progress::Done(Err(Box::new(fail.clone())));
        }
        let Some(open) = self.opened() else { return (Vec::new(), Vec::new()) };
        // If it is in the queue already, the thread that takes it finds no work and does nothing.
        open.work = None;
        // Aborted by the caller, without this lock: dropping futures runs code of rules.
        let frames = [open.hash_frame.take(), open.value_frame.take()].into_iter().flatten().collect();
        (frames, self.take_answered())
    }
}

// The memory of a build grows with this size. Not under `shuttle`, whose locks are larger.
#[cfg(not(shuttle))]
const _: () = assert!(size_of::<Slot>() <= 80);
