//! The futures behind the requests of a running task: an answer that is there is taken, others are awaited, and both
//! are recorded.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::api::cx::Cx;
use crate::graph::ids::{AnyValue, NodeId, Seq};
use crate::graph::run::Mode;
use crate::schedule::queue::Queue;
use crate::schedule::reads::Read;
use crate::schedule::slot::{Answer, Part as Asked};
use crate::schedule::wait::{Wait, Waiter};
use crate::settle::frame::Frame;
use crate::sync::lock;
use crate::{Facets, Rule};

pub(crate) fn downcast<R: Rule>(value: Option<AnyValue>) -> R::Value {
    let value = value.expect("a request for a value is answered with one");
    (*value).downcast_ref::<R::Value>().expect("a node's value has its rule's type").clone()
}

impl Cx {
    /// Records reads requested together; returns the index of the first. A request that is dropped before it has all
    /// its answers, or before it is awaited, has read none of them.
    pub(super) fn reads(&self, questions: &[Question], mode: Mode, later: bool, is_awaited: bool) -> usize {
        let all = is_awaited && questions.iter().all(|question| question.answer.is_some());
        let reads = &mut lock(&self.frame.seen).reads;
        let first = reads.len();
        // No question wraps around, and then `at` never equals it.
        let last = questions.len().wrapping_sub(1);
        reads.extend(questions.iter().enumerate().map(|(at, question)| Read {
            dep: question.node,
            seq: question.answer.as_ref().filter(|_| all).map_or(Seq::NOT_YET_KNOWN, |answer| answer.seq),
            mode,
            facets: Facets::WHOLE,
            ends_group: at == last,
            later,
            is_clean: all && question.answer.as_ref().is_some_and(|answer| answer.is_clean),
        }));
        first
    }
}

/// A request for one task, and the answer once it is there.
#[derive(Default)]
pub(super) struct Question {
    pub(super) node: NodeId,
    pub(super) answer: Option<Answer>,
}

impl Question {
    pub(super) fn new(node: NodeId) -> Question {
        Question { node, answer: None }
    }

    pub(super) fn answered(self) -> Answer {
        self.answer.unwrap_or_else(Answer::cancelled)
    }
}

/// One or more tasks requested at once, and the wait for their answers.
///
/// Answers that are there are taken at once, and kept: a clean task may be invalidated before the others are there. The
/// other tasks are run on the stack of the requesting thread, if there is stack left; only what is still missing then
/// is waited for.
pub(super) struct Request<Q: AsRef<[Question]>> {
    frame: Arc<Frame>,
    pub(super) questions: Q,
    part: Asked,
    /// How the reads are recorded; `None`: they are not.
    mode: Option<Mode>,
    begun: bool,
    /// The reads are recorded, their answers are not yet: it was only started.
    is_unread: bool,
    /// The wait, if some answers were not there.
    wait: Option<Arc<Wait>>,
    /// The index of the first read.
    pub(super) first: usize,
}

impl<Q: AsRef<[Question]> + AsMut<[Question]>> Request<Q> {
    pub(super) fn new(frame: Arc<Frame>, questions: Q, part: Asked, mode: Option<Mode>) -> Request<Q> {
        Request { frame, questions, part, mode, begun: false, is_unread: false, wait: None, first: 0 }
    }

    /// Takes the answers that are there; returns whether that is all.
    fn look(&mut self) -> bool {
        let (build, part) = (&self.frame.build, self.part);
        let questions = self.questions.as_mut().iter_mut().filter(|question| question.answer.is_none());
        let mut all = true;
        for question in questions {
            question.answer = build.peek(question.node, part);
            all &= question.answer.is_some();
        }
        all
    }

    /// The tasks without an answer.
    fn missing(&self) -> impl Iterator<Item = NodeId> {
        self.questions.as_ref().iter().filter(|question| question.answer.is_none()).map(|one| one.node)
    }

    /// Makes all requests. `is_awaited`: tasks that have to run may do so on this stack, and answers are recorded; else
    /// only once the request is awaited.
    pub(super) fn begin(&mut self, waker: &Waker, is_awaited: bool) {
        self.begun = true;
        let build = self.frame.build.clone();
        if let (None, Asked::Value, Some(persist)) = (self.mode, self.part, build.engine.persist()) {
            // They are in no trace, so they are noted here.
            self.questions.as_ref().iter().for_each(|question| persist.want(question.node));
        }
        let mut all = self.look();
        // On this stack first: a task that ends here costs neither a waiter nor a switch of threads.
        if !all && is_awaited && Queue::may_nest(&build) {
            build.run_group(self.missing(), self.part);
            all = self.look();
        }
        if let Some(mode) = self.mode {
            let cx = Cx::new(self.frame.clone());
            self.first = cx.reads(self.questions.as_ref(), mode, false, is_awaited);
            self.is_unread = !is_awaited || !all;
        }
        if all {
            return;
        }
        let wait = Wait::new(Some(self.frame.clone()), waker.clone());
        let mut jobs = Vec::new();
        for question in self.questions.as_mut().iter_mut().filter(|question| question.answer.is_none()) {
            wait.expect_one_more();
            let (answer, job) = build.ask(question.node, self.part, Some(Waiter::Wait(wait.clone())));
            if answer.is_some() {
                wait.arrive();
            }
            question.answer = answer;
            jobs.extend(job);
        }
        // A thread of the queue is about to wait, and takes one of the jobs itself: no other thread is woken for that
        // one.
        build.queue.push_all(&build, jobs.into_iter(), usize::from(Queue::is_worker(&build)));
        wait.arrive();
        self.wait = Some(wait);
    }
}

impl<Q: AsRef<[Question]> + AsMut<[Question]> + Default + Unpin> Future for Request<Q> {
    type Output = Q;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Q> {
        if !self.begun {
            self.begin(cx.waker(), true);
        }
        if let Some(wait) = &self.wait {
            if !wait.poll(cx.waker()) {
                return Poll::Pending;
            }
            // The wait is over, so dropping the request has nothing to withdraw.
            self.wait = None;
            self.look();
        }
        if self.is_unread {
            let this = &*self;
            let reads = &mut lock(&this.frame.seen).reads;
            for (read, question) in reads[this.first..].iter_mut().zip(this.questions.as_ref()) {
                // No answer means that the build was cancelled; with `LOST` no run is kept.
                read.seq = question.answer.as_ref().map_or(Seq::LOST, |answer| answer.seq);
            }
        }
        Poll::Ready(std::mem::take(&mut self.questions))
    }
}

impl<Q: AsRef<[Question]>> Drop for Request<Q> {
    fn drop(&mut self) {
        if let Some(wait) = &self.wait {
            // Withdrawn as well: the slots would hold the wait, and with it this frame, until they are settled.
            wait.give_up();
            self.questions
                .as_ref()
                .iter()
                .for_each(|one| self.frame.build.withdraw(one.node, self.part, wait));
        }
    }
}

/// One question.
// An array, so that the most frequent request allocates nothing.
pub(super) struct SingleRequest(pub(super) Request<[Question; 1]>);

impl Future for SingleRequest {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        Pin::new(&mut self.0).poll(cx).map(|[question]| question.answered())
    }
}
