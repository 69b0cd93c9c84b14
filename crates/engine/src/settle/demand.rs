//! Requests between tasks of a build: an answer that is there is taken; otherwise a waiter is registered, and the task
//! is run by the requesting thread if it can, else by a thread of the queue.

use crate::Fail;
use crate::graph::ids::{NodeId, Seq};
use crate::log::entries::Cause;
use crate::schedule::cancel::Cancellable;
use crate::schedule::inner::Inner;
use crate::schedule::queue::{Job, Queue, QueueOwner};
use crate::schedule::slot::{Answer, NextStep, Part as Asked, Task};
use crate::schedule::wait::{Suspended, Wait, Waiter};
use crate::schedule::work::Work;
use crate::settle::frame::Frame;
use crate::settle::reuse::CacheScope;
use crate::sync::{Arc, atomic::Ordering, lock};

impl Inner {
    /// The version of `node`, if it is settled.
    pub(crate) fn seq(&self, node: NodeId) -> Option<Seq> {
        self.settled_hash(node).map(|(seq, _)| seq)
    }

    /// The same, and whether the task is clean.
    pub(crate) fn settled_hash(&self, node: NodeId) -> Option<(Seq, bool)> {
        let clean = self.clean_version(node).map(|seq| (seq, true));
        clean.or_else(|| lock(&self.slots.at(node).state).hash.done().map(|outcome| (outcome.seq, false)))
    }

    /// The same; if need be, runs the task on the stack of the calling thread, which is the build's only one.
    pub(crate) fn settle_alone(self: &Arc<Inner>, node: NodeId) -> Option<(Seq, bool)> {
        let task = self.task(node);
        // `None` also for a task that is in progress further down on this stack: then the caller waits, and the cycle
        // is found when all threads are idle.
        let step = self.claim(task, Asked::Hash)?;
        self.step(task, step);
        self.settled_hash(node)
    }

    /// The answer, if it is there. Starts nothing: a task that was clean a moment ago may have been invalidated.
    pub(crate) fn peek(&self, node: NodeId, part: Asked) -> Option<Answer> {
        self.clean_answer(node, part).or_else(|| lock(&self.slots.at(node).state).answer(part))
    }

    /// Requests a part of `node`. Returns the answer if it is there; else registers `waiter`, and returns the job that
    /// has to be run if this is the first request.
    pub(crate) fn ask(
        &self,
        node: NodeId,
        part: Asked,
        waiter: Option<Waiter>,
    ) -> (Option<Answer>, Option<Job>) {
        // A clean task is answered without its slot, so a null build allocates none.
        // Before the switch is looked at: an answer that is there is given in a cancelled build, too.
        if let Some(answer) = self.clean_answer(node, part) {
            return (Some(answer), None);
        }
        let mut state = lock(&self.slots.at(node).state);
        if let Some(answer) = state.answer(part) {
            return (Some(answer), None);
        }
        if self.cancel.is_cancelled() {
            return (Some(Answer::cancelled()), None);
        }
        // Answer, step and waiter are decided under one lock: either this request sees the answer, or the thread that
        // settles the task sees the waiter. Exactly one request gets the job.
        let job = state.wake_up(part).map(|step| Job::Step(node, step));
        if let Some(waiter) = waiter {
            state.open().waiters.push((part, waiter));
        }
        (None, job)
    }

    /// Runs what can be run of these tasks on the stack of the calling thread, which works on the build; meanwhile
    /// other threads may take the next ones.
    pub(crate) fn run_group(self: &Arc<Inner>, nodes: impl Iterator<Item = NodeId>, part: Asked) {
        let claimed = |node| {
            let task = self.task(node);
            Some((task, self.claim(task, part)?))
        };
        let mut steps = nodes.filter_map(claimed);
        // Lazily: each task is claimed when the one before is done, so none is marked as in progress that is not run.
        if self.queue.is_alone() {
            return steps.for_each(|(task, step)| self.step(task, step));
        }
        // The first is run here, the others are offered to other threads; what none of them has taken is run here, too.
        let Some((task, step)) = steps.next() else { return };
        let rest: Vec<Job> = steps.map(|(task, step)| Job::Step(task.id, step)).collect();
        if rest.is_empty() {
            return self.step(task, step);
        }
        // No job is left to this thread, which is busy with the first task: other threads are woken for all of them.
        let group = self.queue.push_all(self, rest.into_iter(), 0);
        self.step(task, step);
        while let Some(job) = self.queue.take_back(group) {
            self.run(job);
        }
    }

    /// The step by which `part` of a task is computed, for a caller that runs it at once.
    fn claim(&self, task: Task<'_>, part: Asked) -> Option<NextStep> {
        if self.cancel.is_cancelled() {
            return None;
        }
        let mut state = lock(&task.slot.state);
        if state.is_answered(part) { None } else { state.wake_up(part) }
    }

    /// Registers a computation that is suspended for the first time, so that it can be aborted. False if its result is
    /// no longer needed.
    pub(crate) fn register_frame(&self, frame: &Arc<Frame>) -> bool {
        // Most computations are never suspended, and so never registered: a slot refers to a frame only while that
        // waits.
        if !frame.is_first_suspension() {
            return true;
        }
        let is_hash = frame.is_hash.load(Ordering::Relaxed);
        // The task may have been ended while this computation was polled. `end` aborts only frames that are registered,
        // so the check and the registration are under one lock.
        let mut state = lock(&self.slots.at(frame.node).state);
        let hash_is_done = state.hash.done().is_some();
        if if is_hash { hash_is_done } else { state.value.done().is_some() || state.by_store && hash_is_done }
        {
            return false;
        }
        let open = state.open();
        *(if is_hash { &mut open.hash_frame } else { &mut open.value_frame }) = Some(frame.clone());
        true
    }

    /// Takes back a request.
    pub(crate) fn withdraw(&self, node: NodeId, part: Asked, wait: &Arc<Wait>) {
        let mut state = lock(&self.slots.at(node).state);
        let Some(open) = state.opened() else { return };
        open.waiters.retain(|(of, waiter)| {
            *of != part || !matches!(waiter, Waiter::Wait(other) if Arc::ptr_eq(other, wait))
        });
    }

    /// Notifies waiters whose answer is there.
    pub(crate) fn notify(self: &Arc<Inner>, waiters: Vec<Waiter>) {
        for waiter in waiters {
            match waiter {
                Waiter::Wait(wait) => wait.arrive(),
                Waiter::Node(node) => {
                    // Pairs with the counts of `wait_for`: the thread that comes to zero sees all answers, and alone
                    // resumes the work.
                    if self.slots.at(node).pending.fetch_sub(1, Ordering::AcqRel) == 1 {
                        self.queue.push(self, Job::Resume(node));
                    }
                }
            }
        }
    }

    fn step(self: &Arc<Inner>, task: Task<'_>, step: NextStep) {
        match step {
            NextStep::Begin => self.begin(task),
            NextStep::Fetch => self.fetch(task),
            NextStep::Construct => self.construct(task, Cause::New),
        }
    }

    /// Ends everything that is in progress of these tasks with `fail`.
    pub(crate) fn end(self: &Arc<Inner>, nodes: impl IntoIterator<Item = NodeId>, fail: &Fail) {
        let mut frames: Vec<Arc<dyn Suspended>> = Vec::new();
        let mut waiters = Vec::new();
        for node in nodes {
            let (more_frames, more_waiters) = lock(&self.slots.at(node).state).end(fail);
            frames.extend(more_frames);
            waiters.extend(more_waiters);
        }
        // Without a lock on any slot: aborting drops futures, which withdraw their requests from other slots.
        frames.iter().for_each(|frame| frame.abort());
        self.notify(waiters);
    }

    pub(crate) fn cancel_all(self: &Arc<Inner>) {
        self.end(self.slots.seen().map(|(node, _)| node), &Fail::Cancelled);
        self.queue.wake_all();
    }
}

impl QueueOwner for Inner {
    type WorkGuard = CacheScope;

    fn queue(&self) -> &Queue {
        &self.queue
    }

    fn begin_work(self: &Arc<Inner>) -> CacheScope {
        CacheScope::begin(self)
    }

    fn run(self: &Arc<Inner>, job: Job) {
        match job {
            Job::Step(node, step) => self.step(self.task(node), step),
            Job::Run(frame) => frame.resume(),
            Job::Resume(node) => {
                let task = self.task(node);
                let work = lock(&task.slot.state).take_work();
                match work {
                    Some(Work::Check(check)) => self.check(task, check),
                    Some(Work::Finish(finish)) => self.finish(task, finish),
                    Some(Work::TakeOver(share_key)) => self.take_over(task, share_key),
                    Some(Work::Agree(agree)) => self.agree(task, *agree),
                    None => {}
                }
            }
        }
    }

    fn break_cycle(self: &Arc<Inner>) -> bool {
        self.break_waits()
    }
}

impl Cancellable for Inner {
    fn end(self: Arc<Inner>) {
        self.cancel_all();
    }
}
