//! What one build knows of one task: how far its hash and its value are, and who waits for them.
//!
//! The states only go forward (idle, busy, done), which is the guard against the recursion value → hash →
//! value: a request for the value first settles the hash; only the task's own hash function may ask for the
//! value of its task directly ([`Part::Own`]), which skips verification and constructs.

use crate::Fail;
use crate::graph::ids::{AnyValue, NodeId, Seq};
use crate::graph::node::Node;
use crate::schedule::reads::Seen;
use crate::schedule::wait::{Suspended, Waiter};
use crate::schedule::work::Work;
use crate::sync::{Arc, Mutex, atomic::AtomicU32};

/// A task, with what is known of it between builds and in one.
#[derive(Clone, Copy)]
pub(crate) struct Task<'b> {
    pub(crate) id: NodeId,
    pub(crate) node: &'b Node,
    pub(crate) slot: &'b Slot,
}

/// What can be done for a task that somebody wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step {
    /// Settle the hash.
    Begin,
    /// The hash is good: get hold of the value.
    Fetch,
    /// Make the value, whatever is known of the hash.
    Construct,
}

/// What is asked of a task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    Hash,
    Value,
    /// The value, asked for by the task's own hash function.
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
    pub(crate) fail: Option<Box<Fail>>,
}

impl Outcome {
    /// Of which nothing is remembered.
    pub(crate) fn failed(fail: Fail) -> Outcome {
        Outcome { seq: Seq::NONE, fail: Some(Box::new(fail)) }
    }
}

/// The answer to a request.
pub(crate) struct Answer {
    pub(crate) seq: Seq,
    /// The task stands ([`crate::graph::clean`]).
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

/// A task in one build. Small: a build that looks at many tasks has one for each.
#[derive(Default)]
pub(crate) struct Slot {
    pub(crate) state: Mutex<State>,
    /// How many answers the [`Work`] still waits for, plus one while it is being set up.
    pub(crate) pending: AtomicU32,
}

#[derive(Default)]
pub(crate) struct State {
    pub(crate) hash: Progress<Outcome>,
    pub(crate) value: Progress<Result<AnyValue, Box<Fail>>>,
    /// Somebody asked for the value: it follows the hash.
    pub(crate) wants_value: bool,
    /// The value being made gives the hash.
    pub(crate) by_store: bool,
    /// What there is only while something waits.
    open: Option<Box<Open>>,
}

#[derive(Default)]
pub(crate) struct Open {
    pub(crate) work: Option<Work>,
    pub(crate) hash_frame: Option<Arc<dyn Suspended>>,
    pub(crate) value_frame: Option<Arc<dyn Suspended>>,
    /// What is notified when a part is settled.
    pub(crate) waiters: Vec<(Part, Waiter)>,
    /// What the value saw, for the hash function that asked for it.
    pub(crate) own_seen: Option<Box<Seen>>,
}

impl State {
    /// What waits, to add to it.
    pub(crate) fn open(&mut self) -> &mut Open {
        self.open.get_or_insert_default()
    }

    /// What waits, if anything does.
    pub(crate) fn opened(&mut self) -> Option<&mut Open> {
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
        let seq = match &result {
            Err(_) if fail.is_none() => Seq::LOST,
            Err(Fail::Cancelled) => Seq::LOST,
            _ => *seq,
        };
        Some(Answer { seq, is_clean: false, result })
    }

    /// What has to be done so that `part` comes about, unless it is on the way.
    pub(crate) fn wake_up(&mut self, part: Part) -> Option<Step> {
        if part == Part::Own {
            return self.value.is_idle().then(|| {
                self.value = Progress::Busy;
                Step::Construct
            });
        }
        self.wants_value |= part == Part::Value;
        match (&self.hash, &self.value) {
            (Progress::Idle, _) => {
                self.hash = Progress::Busy;
                Some(Step::Begin)
            }
            (Progress::Done(_), Progress::Idle) if part == Part::Value => {
                self.value = Progress::Busy;
                Some(Step::Fetch)
            }
            _ => None,
        }
    }

    /// Takes out those whose question can be answered now.
    pub(crate) fn take_answered(&mut self) -> Vec<Waiter> {
        let Some(open) = self.opened().filter(|open| !open.waiters.is_empty()) else { return Vec::new() };
        let mut waiters = std::mem::take(&mut open.waiters);
        let is_answered = |part: &mut (Part, Waiter)| self.is_answered(part.0);
        let answered = waiters.extract_if(.., is_answered).map(|(_, waiter)| waiter).collect();
        self.open().waiters = waiters;
        answered
    }

    /// Incomplete everything of the task that is not done with `fail`; returns computations to abort and whom to tell.
    pub(crate) fn end(&mut self, fail: &Fail) -> (Vec<Arc<dyn Suspended>>, Vec<Waiter>) {
        if self.hash.done().is_none() && !self.hash.is_idle() {
            self.hash = Progress::Done(Outcome::failed(fail.clone()));
        }
        if self.value.done().is_none() && !self.value.is_idle() {
            self.value = Progress::Done(Err(Box::new(fail.clone())));
        }
        let Some(open) = self.opened() else { return (Vec::new(), Vec::new()) };
        open.work = None;
        let frames = [open.hash_frame.take(), open.value_frame.take()].into_iter().flatten().collect();
        (frames, self.take_answered())
    }
}

/// So that a build which looks at many tasks stays small.
#[cfg(not(shuttle))]
const _: () = assert!(size_of::<Slot>() <= 80);
