//! What a task sees of the engine: it asks for other tasks, and what it asks for is recorded, in order.
//!
//! Nothing is looked up when a request is made, only when it is first polled (or started); requests that are
//! dropped before their answer leave no trace, since the task learned nothing from them.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::build::Inner;
use crate::erased::leave_to_store;
use crate::executor::Queue;
use crate::frame::{Frame, Read};
use crate::node::{AnyValue, Mode, NodeId, Seq};
use crate::part::PartRule;
use crate::slot::{Answer, Part as Asked, Wait, Who};
use crate::sync::lock;
use crate::{Content, Faceted, Facets, Fail, Hash, Interned, Part, Rule, TaskId};

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
        self.frame.build.engine.request::<R>(key, self.frame.build.epoch)
    }

    /// Records reads requested together; returns the index of the first. A request that is dropped before it has all
    /// its answers, or before it is awaited, has read none of them.
    fn reads(&self, questions: &[Question], mode: Mode, later: bool, is_awaited: bool) -> usize {
        let all = is_awaited && questions.iter().all(|question| question.answer.is_some());
        let reads = &mut lock(&self.frame.seen).reads;
        let first = reads.len();
        let last = questions.len().wrapping_sub(1);
        reads.extend(questions.iter().enumerate().map(|(at, question)| Read {
            dep: question.node,
            seq: question.answer.as_ref().filter(|_| all).map_or(Seq::LATER, |answer| answer.seq),
            mode,
            facets: Facets::WHOLE,
            ends_group: at == last,
            later,
            stands: all && question.answer.as_ref().is_some_and(|answer| answer.stands),
        }));
        first
    }

    /// The value of a task. A dependency on its value.
    pub fn get<R: Rule>(&self, key: R::Key) -> impl Future<Output = Result<R::Value, Fail>> + Send + use<R> {
        let request = self.ask_one::<R>(key, Asked::Value, Some(Mode::Value));
        async move { request.await.result.map(downcast::<R>) }
    }

    /// The values of several tasks, wanted at once: one group of the trace. Waits for all of them, also when
    /// some fail; answers in the order of the keys.
    pub fn all<R: Rule>(
        &self,
        keys: Vec<R::Key>,
    ) -> impl Future<Output = Vec<Result<R::Value, Fail>>> + Send + use<R> {
        let request = self.ask_all::<R>(keys);
        async move {
            let questions = request.await;
            let mut values = Vec::with_capacity(questions.len());
            values.extend(questions.into_iter().map(|one| one.answered().result.map(downcast::<R>)));
            values
        }
    }

    /// The values of several tasks, wanted at once like those of [`Cx::all`]. A dependency on those facets only
    /// that are looked at ([`Rule::facets`]), besides that there is a value.
    pub fn facets<R: Rule>(
        &self,
        keys: Vec<R::Key>,
    ) -> impl Future<Output = Vec<Result<Faceted<R::Value>, Fail>>> + Send + use<R> {
        let frame = self.frame.clone();
        let mut request = self.ask_all::<R>(keys);
        async move {
            let answers = (&mut request).await;
            let first = request.first;
            let faceted = |(at, one): (usize, Question)| {
                let value = downcast::<R>(one.answered().result?);
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
        let request = self.ask_one::<R>(key, Asked::Hash, Some(Mode::Hash));
        let (engine, node) = (self.frame.build.engine.clone(), request.0.questions[0].node);
        async move {
            let answer = request.await;
            answer.result?;
            Ok(engine.hash_of(node, answer.seq))
        }
    }

    /// Says that the result depends on the hash of a task, without waiting for it now: it is awaited when
    /// this task is done. If it fails, so does this task.
    pub fn depend<R: Rule>(&self, key: R::Key) {
        self.reads(&[Question::new(self.request::<R>(key))], Mode::Hash, true, true);
    }

    /// Waits until a task is done, without depending on it: the trace does not mention it. A failure is news,
    /// and counts as read.
    pub fn order<R: Rule>(&self, key: R::Key) -> impl Future<Output = Result<(), Fail>> + Send + use<R> {
        let cx = self.clone();
        let request = self.ask_one::<R>(key, Asked::Value, None);
        let node = request.0.questions[0].node;
        async move {
            let answer = request.await;
            if let Err(fail) = &answer.result {
                let fail = fail.clone();
                cx.reads(&[Question { node, answer: Some(answer) }], Mode::Value, false, true);
                return Err(fail);
            }
            Ok(())
        }
    }

    /// The value of a task without a dependency on it: for results that follow from their key alone, where the
    /// key follows from what this task has read.
    pub fn call<R: Rule>(&self, key: R::Key) -> impl Future<Output = Result<R::Value, Fail>> + Send + use<R> {
        let request = self.ask_one::<R>(key, Asked::Value, None);
        async move { request.await.result.map(downcast::<R>) }
    }

    /// Starts a task, to be awaited later. A dependency only if it is awaited.
    pub fn start<R: Rule>(&self, key: R::Key) -> Pending<R> {
        let mut request = self.ask_one::<R>(key, Asked::Value, Some(Mode::Value));
        request.0.begin(Waker::noop(), false);
        Pending { request, rule: PhantomData }
    }

    /// Leaves evidence of what the task saw of the outside world, by which [`Rule::agrees`] can tell later,
    /// even in another process, that it would see the same. To be gathered before looking: what changes
    /// in between must make the evidence fail.
    pub fn witness(&self, evidence: impl Into<Vec<u8>>) {
        lock(&self.frame.seen).witness = Some(evidence.into().into());
    }

    /// Names a content by its hash and keeps it for as long as a run of this task is kept: other tasks, and later
    /// processes, find it under that name ([`crate::Content`]) without running anything. What was mentioned is never a
    /// reason to run again.
    pub fn mention<I: Interned>(&self, content: I) -> Hash {
        let (build, hash) = (&self.frame.build, content.hash());
        let node = build.engine.intern::<Content<I>>(hash);
        let is_kept = !build.is_what_if();
        let seq = build.engine.put_content(node, hash, Arc::new(Arc::new(content)), is_kept);
        let task = build.task(node);
        build.note_stands(task, &mut lock(&task.node.hist), seq);
        let (mode, facets) = (Mode::Mention, Facets::WHOLE);
        let read = Read { dep: node, seq, mode, facets, ends_group: true, later: false, stands: true };
        lock(&self.frame.seen).reads.push(read);
        hash
    }

    /// The task with this key, to be named as a root of [`Cx::collect`].
    pub fn task<R: Rule>(&self, key: R::Key) -> TaskId {
        TaskId::of(self.frame.build.engine.intern::<R>(key))
    }

    pub(crate) fn build(&self) -> &Inner {
        &self.frame.build
    }

    /// Whether the task's result may depend on everything below what it read.
    pub(crate) fn may_collect(&self) -> bool {
        let build = &self.frame.build;
        build.engine.node(self.frame.node).policy.is_only_by_leaves() && !build.is_what_if()
    }

    /// Whether all of these were asked for, and answered.
    pub(crate) fn has_read(&self, nodes: &[NodeId]) -> bool {
        /// Up to here a scan is faster than a set.
        const SCANNED: usize = 8;
        let seen = lock(&self.frame.seen);
        let answered = || seen.reads.iter().filter(|read| read.seq != Seq::LATER).map(|read| read.dep);
        if nodes.len() <= SCANNED {
            return nodes.iter().all(|node| answered().any(|dep| dep == *node));
        }
        let answered: HashSet<NodeId> = answered().collect();
        nodes.iter().all(|node| answered.contains(node))
    }

    /// Settles the hashes of these tasks, which the trace does not mention. A failure that may go away is news, and counts
    /// as read.
    pub(crate) async fn settle(&self, nodes: Vec<NodeId>) {
        let questions: Vec<Question> = nodes.into_iter().map(Question::new).collect();
        let answers = Request::new(self.frame.clone(), questions, Asked::Hash, None).await;
        let is_lost = |one: &Question| !one.answer.as_ref().is_some_and(|answer| answer.seq.is_known());
        for one in answers.into_iter().filter(is_lost) {
            self.has_missed(Some(one.node));
        }
    }

    /// Notes that this task did not learn what it asked for about another, so that no run of it is kept.
    pub(crate) fn has_missed(&self, node: Option<NodeId>) {
        let reads = &mut lock(&self.frame.seen).reads;
        let Some(dep) = node.or_else(|| reads.first().map(|read| read.dep)) else { return };
        let (mode, facets) = (Mode::Hash, Facets::WHOLE);
        let (ends_group, later, stands) = (true, false, false);
        reads.push(Read { dep, seq: Seq::NONE, mode, facets, ends_group, later, stands });
    }

    fn ask_one<R: Rule>(&self, key: R::Key, part: Asked, mode: Option<Mode>) -> One {
        One(Request::new(self.frame.clone(), [Question::new(self.request::<R>(key))], part, mode))
    }

    fn ask_all<R: Rule>(&self, keys: Vec<R::Key>) -> Request<Vec<Question>> {
        let questions = keys.into_iter().map(|key| Question::new(self.request::<R>(key))).collect();
        Request::new(self.frame.clone(), questions, Asked::Value, Some(Mode::Value))
    }
}

impl fmt::Debug for Cx {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cx of {}", self.frame.build.engine.key_ref(self.frame.node))
    }
}

/// A task that was started ([`Cx::start`]); await it for its value.
pub struct Pending<R> {
    request: One,
    rule: PhantomData<fn() -> R>,
}

impl<R: Rule> Future for Pending<R> {
    type Output = Result<R::Value, Fail>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.request).poll(cx).map(|answer| answer.result.map(downcast::<R>))
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
        let own = [Question::new(frame.node)];
        let request = One(Request::new(frame.clone(), own, Asked::Own, None));
        async move {
            let answer = request.await;
            let own = {
                let mut state = lock(&frame.build.slots.at(frame.node).state);
                state.opened().and_then(|open| open.own_seen.take())
            };
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

/// What is asked of a task, and the answer once it is there.
#[derive(Default)]
struct Question {
    node: NodeId,
    answer: Option<Answer>,
}

impl Question {
    fn new(node: NodeId) -> Question {
        Question { node, answer: None }
    }

    fn answered(self) -> Answer {
        self.answer.unwrap_or_else(Answer::cancelled)
    }
}

/// One or more questions asked at once, and the wait for their answers.
///
/// What is there is taken at once, and kept: what stands may not stand any more when the others are in. What is
/// not is run on the stack of who asks, if there is stack left; only for what is still missing then is there
/// anything to wait for.
struct Request<Q: AsRef<[Question]>> {
    frame: Arc<Frame>,
    questions: Q,
    part: Asked,
    /// How the reads are recorded; `None`: they are not.
    mode: Option<Mode>,
    begun: bool,
    /// The reads are recorded, the answers are not: it was only started.
    is_unread: bool,
    /// The wait, if some answers were not there.
    wait: Option<Arc<Wait>>,
    /// The index of the first read.
    first: usize,
}

impl<Q: AsRef<[Question]> + AsMut<[Question]>> Request<Q> {
    fn new(frame: Arc<Frame>, questions: Q, part: Asked, mode: Option<Mode>) -> Request<Q> {
        Request { frame, questions, part, mode, begun: false, is_unread: false, wait: None, first: 0 }
    }

    /// Takes the answers that are there; whether that is all.
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

    /// The tasks of which the answer is missing.
    fn missing(&self) -> impl Iterator<Item = NodeId> {
        self.questions.as_ref().iter().filter(|question| question.answer.is_none()).map(|one| one.node)
    }

    /// Asks all questions. `is_awaited`: tasks that have to run may do so on this stack, and what is answered is read;
    /// else only once the request is awaited.
    fn begin(&mut self, waker: &Waker, is_awaited: bool) {
        self.begun = true;
        let build = self.frame.build.clone();
        if let (None, Asked::Value, Some(persist)) = (self.mode, self.part, &build.engine.persist) {
            // No trace mentions them, so nothing but this keeps them.
            self.questions.as_ref().iter().for_each(|question| persist.want(question.node));
        }
        let mut all = self.look();
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
            let (answer, job) = build.ask(question.node, self.part, Some(Who::Wait(wait.clone())));
            if answer.is_some() {
                wait.arrive();
            }
            question.answer = answer;
            jobs.extend(job);
        }
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
            self.wait = None;
            self.look();
        }
        if self.is_unread {
            let this = &*self;
            let reads = &mut lock(&this.frame.seen).reads;
            for (read, question) in reads[this.first..].iter_mut().zip(this.questions.as_ref()) {
                read.seq = question.answer.as_ref().map_or(Seq::LOST, |answer| answer.seq);
            }
        }
        Poll::Ready(std::mem::take(&mut self.questions))
    }
}

impl<Q: AsRef<[Question]>> Drop for Request<Q> {
    fn drop(&mut self) {
        if let Some(wait) = &self.wait {
            wait.give_up();
            self.questions
                .as_ref()
                .iter()
                .for_each(|one| self.frame.build.withdraw(one.node, self.part, wait));
        }
    }
}

/// One question.
struct One(Request<[Question; 1]>);

impl Future for One {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Answer> {
        Pin::new(&mut self.0).poll(cx).map(|[question]| question.answered())
    }
}
