//! What a task sees of the engine: it asks for other tasks, and what it asks for is recorded, in order.
//!
//! Nothing is looked up when a request is made, only when it is first polled (or started); requests that are
//! dropped before their answer leave no trace, since the task learned nothing from them.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::erased::leave_to_store;
use crate::executor::Queue;
use crate::frame::{Frame, Read};
use crate::node::{AnyValue, Mode, NodeId, Seq};
use crate::part::PartRule;
use crate::slot::{Answer, Part as Asked, Wait, Who};
use crate::sync::lock;
use crate::{Faceted, Facets, Fail, Hash, Part, Rule};

/// A running task's window on the others. Cheap to clone; clones record into the same trace.
#[derive(Clone)]
pub struct Cx {
    frame: Arc<Frame>,
}

pub(crate) fn downcast<R: Rule>(value: Option<AnyValue>) -> R::Value {
    let value = value.expect("a request for a value is answered with one");
    (*value).downcast_ref::<R::Value>().expect("a node's value has its rule's type").clone()
}

impl Cx {
    pub(crate) fn new(frame: Arc<Frame>) -> Cx {
        Cx { frame }
    }

    fn request<R: Rule>(&self, key: R::Key) -> NodeId {
        self.frame.build.engine.request::<R>(key)
    }

    /// Records reads requested together; returns the index of the first.
    fn reads(&self, nodes: &[NodeId], mode: Mode, later: bool) -> usize {
        let reads = &mut lock(&self.frame.seen).reads;
        let first = reads.len();
        let last = nodes.len().wrapping_sub(1);
        reads.extend(nodes.iter().enumerate().map(|(at, dep)| Read {
            dep: *dep,
            seq: Seq::LATER,
            mode,
            facets: Facets::WHOLE,
            ends_group: at == last,
            later,
        }));
        first
    }

    /// The value of a task. A dependency on its value.
    pub fn get<R: Rule>(&self, key: R::Key) -> impl Future<Output = Result<R::Value, Fail>> + Send + use<R> {
        let request = self.ask(vec![self.request::<R>(key)], Asked::Value, Some(Mode::Value));
        async move { request.await.pop().expect("one answer for one question").result.map(downcast::<R>) }
    }

    /// The values of several tasks, wanted at once: one group of the trace. Waits for all of them, also when
    /// some fail; answers in the order of the keys.
    pub fn all<R: Rule>(
        &self,
        keys: Vec<R::Key>,
    ) -> impl Future<Output = Vec<Result<R::Value, Fail>>> + Send + use<R> {
        let nodes = keys.into_iter().map(|key| self.request::<R>(key)).collect();
        let request = self.ask(nodes, Asked::Value, Some(Mode::Value));
        async move { request.await.into_iter().map(|answer| answer.result.map(downcast::<R>)).collect() }
    }

    /// The values of several tasks, wanted at once like those of [`Cx::all`]. A dependency on those facets only
    /// that are looked at ([`Rule::facets`]), besides that there is a value.
    pub fn facets<R: Rule>(
        &self,
        keys: Vec<R::Key>,
    ) -> impl Future<Output = Vec<Result<Faceted<R::Value>, Fail>>> + Send + use<R> {
        let frame = self.frame.clone();
        let nodes = keys.into_iter().map(|key| self.request::<R>(key)).collect();
        let mut request = self.ask(nodes, Asked::Value, Some(Mode::Value));
        async move {
            let answers = (&mut request).await;
            let first = request.begun.as_ref().map_or(0, |(_, first)| *first);
            let faceted = |(at, answer): (usize, Answer)| {
                let value = downcast::<R>(answer.result?);
                let read = first + at;
                if let Some(read) = lock(&frame.seen).reads.get_mut(read) {
                    read.facets = Facets::NONE;
                }
                Ok(Faceted { frame: frame.clone(), read, value })
            };
            answers.into_iter().enumerate().map(faceted).collect()
        }
    }

    /// A part of a task's value. Only changes of the part disturb this task.
    pub fn part<P: Part>(
        &self,
        of: <P::Of as Rule>::Key,
        part: P,
    ) -> impl Future<Output = Result<P::Value, Fail>> + Send + use<P> {
        self.get::<PartRule<P>>((of, part))
    }

    /// Several parts, of one or more values, wanted at once: one group of the trace.
    pub fn all_parts<P: Part>(
        &self,
        parts: Vec<(<P::Of as Rule>::Key, P)>,
    ) -> impl Future<Output = Vec<Result<P::Value, Fail>>> + Send + use<P> {
        self.all::<PartRule<P>>(parts)
    }

    /// The hash of a task: a dependency that does not make its value if the hash can be had otherwise.
    /// `None` for tasks stored nowhere, whose hash equals no other.
    pub fn hash_of<R: Rule>(
        &self,
        key: R::Key,
    ) -> impl Future<Output = Result<Option<Hash>, Fail>> + Send + use<R> {
        let node = self.request::<R>(key);
        let request = self.ask(vec![node], Asked::Hash, Some(Mode::Hash));
        let engine = self.frame.build.engine.clone();
        async move {
            let answer = request.await.pop().expect("one answer for one question");
            answer.result?;
            Ok(lock(&engine.node(node).hist).hash_of(answer.seq))
        }
    }

    /// Says that the result depends on the hash of a task, without waiting for it now: it is awaited when
    /// this task is done. If it fails, so does this task.
    pub fn depend<R: Rule>(&self, key: R::Key) {
        self.reads(&[self.request::<R>(key)], Mode::Hash, true);
    }

    /// Waits until a task is done, without depending on it: the trace does not mention it. A failure is news,
    /// and counts as read.
    pub fn order<R: Rule>(&self, key: R::Key) -> impl Future<Output = Result<(), Fail>> + Send + use<R> {
        let (cx, node) = (self.clone(), self.request::<R>(key));
        async move {
            let request = cx.ask(vec![node], Asked::Value, None);
            let Answer { seq, result } = request.await.pop().expect("one answer for one question");
            if result.is_err() {
                let at = cx.reads(&[node], Mode::Value, false);
                lock(&cx.frame.seen).reads[at].seq = seq;
            }
            result.map(drop)
        }
    }

    /// The value of a task without a dependency on it: for results that follow from their key alone, where the
    /// key follows from what this task has read.
    pub fn call<R: Rule>(&self, key: R::Key) -> impl Future<Output = Result<R::Value, Fail>> + Send + use<R> {
        let request = self.ask(vec![self.request::<R>(key)], Asked::Value, None);
        async move { request.await.pop().expect("one answer for one question").result.map(downcast::<R>) }
    }

    /// Starts a task, to be awaited later. A dependency only if it is awaited.
    pub fn start<R: Rule>(&self, key: R::Key) -> Pending<R> {
        let mut request = self.ask(vec![self.request::<R>(key)], Asked::Value, Some(Mode::Value));
        request.begin(Waker::noop(), false);
        Pending { request, rule: PhantomData }
    }

    /// Leaves evidence of what the task saw of the outside world, by which [`Rule::agrees`] can tell later,
    /// even in another process, that it would see the same. To be gathered before looking: what changes
    /// in between must make the evidence fail.
    pub fn witness(&self, evidence: impl Into<Vec<u8>>) {
        lock(&self.frame.seen).witness = Some(evidence.into().into());
    }

    fn ask(&self, nodes: Vec<NodeId>, part: Asked, mode: Option<Mode>) -> Request {
        Request { frame: self.frame.clone(), nodes, part, mode, begun: None, known: Vec::new(), over: false }
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cx of {}", self.frame.build.engine.key_ref(self.frame.node))
    }
}

/// A task that was started ([`Cx::start`]); await it for its value.
pub struct Pending<R> {
    request: Request,
    rule: PhantomData<fn() -> R>,
}

impl<R: Rule> Future for Pending<R> {
    type Output = Result<R::Value, Fail>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let answers = std::task::ready!(Pin::new(&mut self.request).poll(cx));
        Poll::Ready(
            answers.into_iter().next().expect("one answer for one question").result.map(downcast::<R>),
        )
    }
}

/// What a task's hash function sees: all of [`Cx`], and the task's own value.
pub struct HashCx<R> {
    cx: Cx,
    rule: PhantomData<fn() -> R>,
}

impl<R: Rule> HashCx<R> {
    pub(crate) fn new(frame: Arc<Frame>) -> HashCx<R> {
        HashCx { cx: Cx::new(frame), rule: PhantomData }
    }

    /// The task's own value, made now if need be. What it read counts as read by the hash, too.
    pub fn value(&self) -> impl Future<Output = Result<R::Value, Fail>> + Send + use<R> {
        let frame = self.cx.frame.clone();
        let request = self.cx.ask(vec![frame.node], Asked::Own, None);
        async move {
            let answer = request.await.pop().expect("one answer for one question");
            let own = lock(&frame.build.slots.at(frame.node).state).own_seen.take();
            let own = own.map(|own| *own).unwrap_or_default();
            let mut seen = lock(&frame.seen);
            seen.reads.extend(own.reads);
            seen.witness = seen.witness.take().or(own.witness);
            drop(seen);
            answer.result.map(downcast::<R>)
        }
    }

    /// The hash that the task's store policy gives it: the content hash of its value, or, for values
    /// without one, the number of the build in which the task executed.
    pub fn by_store(self) -> impl Future<Output = Result<Hash, Fail>> + Send + use<R> {
        leave_to_store();
        async move {
            let value = self.value().await?;
            let (build, node) = (&self.cx.frame.build, self.cx.frame.node);
            let entry = build.engine.node(node);
            let value: AnyValue = Arc::new(value);
            let hash = build.engine.rule(entry).content_hash(&entry.key, &value);
            Ok(hash.unwrap_or(Hash::of_build(build.number)))
        }
    }
}

impl<R> Deref for HashCx<R> {
    type Target = Cx;

    fn deref(&self) -> &Cx {
        &self.cx
    }
}

/// One or more questions asked at once, and the wait for their answers.
struct Request {
    frame: Arc<Frame>,
    nodes: Vec<NodeId>,
    part: Asked,
    /// How the reads are recorded; `None`: they are not.
    mode: Option<Mode>,
    /// The wait, and the index of the first read.
    begun: Option<(Arc<Wait>, usize)>,
    /// The answers that were there when it was asked. They are kept: what stands may not stand any more when the
    /// others are in.
    known: Vec<Option<Answer>>,
    over: bool,
}

impl Request {
    /// Asks all questions. If `in_place`, the first task that has to run does so on this stack.
    fn begin(&mut self, waker: &Waker, in_place: bool) {
        let (build, cx) = (&self.frame.build, Cx::new(self.frame.clone()));
        let first = self.mode.map_or(0, |mode| cx.reads(&self.nodes, mode, false));
        if let (None, Asked::Value, Some(persist)) = (self.mode, self.part, &build.engine.persist) {
            // No trace mentions them, so nothing but this keeps them.
            self.nodes.iter().for_each(|node| persist.want(*node));
        }
        let wait = Wait::new(Some(self.frame.clone()), waker.clone());
        let mut jobs = Vec::new();
        for node in &self.nodes {
            wait.expect_one_more();
            let (answer, job) = build.ask(*node, self.part, Some(Who::Wait(wait.clone())));
            if answer.is_some() {
                wait.arrive();
            }
            self.known.push(answer);
            jobs.extend(job);
        }
        self.begun = Some((wait.clone(), first));
        let mut jobs = jobs.into_iter();
        if in_place && let Some(own) = jobs.next() {
            build.queue.push_all(build, jobs, 0);
            if let Some(own) = build.queue.in_place(build, own) {
                build.queue.push_all(build, std::iter::once(own), 1);
            }
        } else {
            build.queue.push_all(build, jobs, usize::from(Queue::is_worker(build)));
        }
        wait.arrive();
    }
}

impl Future for Request {
    type Output = Vec<Answer>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Vec<Answer>> {
        if self.begun.is_none() {
            self.begin(cx.waker(), true);
        }
        let this = &mut *self;
        let Some((wait, first)) = &this.begun else { unreachable!("just begun") };
        if !wait.poll(cx.waker()) {
            return Poll::Pending;
        }
        let build = &this.frame.build;
        let cancelled = || Answer { seq: Seq::NONE, result: Err(Fail::Cancelled) };
        let answers: Vec<Answer> = this
            .nodes
            .iter()
            .zip(std::mem::take(&mut this.known))
            .map(|(node, known)| known.or_else(|| build.peek(*node, this.part)).unwrap_or_else(cancelled))
            .collect();
        if this.mode.is_some() {
            let reads = &mut lock(&this.frame.seen).reads;
            for (read, answer) in reads[*first..].iter_mut().zip(&answers) {
                read.seq = answer.seq;
            }
        }
        self.over = true;
        Poll::Ready(answers)
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let (Some((wait, _)), false) = (&self.begun, self.over) {
            wait.give_up();
            self.nodes.iter().for_each(|node| self.frame.build.withdraw(*node, self.part, wait));
        }
    }
}
