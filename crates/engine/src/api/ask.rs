//! The requests that a running task can make: the methods of [`Cx`].

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use crate::api::part::PartRule;
use crate::api::request::{Question, Request, SingleRequest, downcast};
use crate::api::typed::leave_to_store;
use crate::graph::ids::{AnyValue, NodeId, Seq};
use crate::graph::run::Mode;
use crate::schedule::inner::Inner;
use crate::schedule::reads::Read;
use crate::schedule::slot::Part as Asked;
use crate::settle::frame::Frame;
use crate::sync::lock;
use crate::{Content, Cx, Facets, Fail, Hash, HashCx, Interned, Part, Rule, TaskId};

impl Cx {
    fn request<R: Rule>(&self, key: R::Key) -> NodeId {
        self.frame.build.engine.request::<R>(key, self.frame.build.epoch)
    }

    /// The value of a task. A dependency on its value.
    ///
    /// # Errors
    /// The task failed ([`Fail::Task`], [`Fail::Transient`]), the build was cancelled, or the task is on a cycle.
    pub fn get<R: Rule>(&self, key: R::Key) -> impl Future<Output = Result<R::Value, Fail>> + Send + use<R> {
        let request = self.ask_one::<R>(key, Asked::Value, Some(Mode::Value));
        async move { request.await.result.map(downcast::<R>) }
    }

    /// The values of several tasks, wanted at once: one group of the trace. Waits for all of them, also when
    /// some fail; answers in the order of the keys.
    ///
    /// # Errors
    /// As [`Cx::get`], for each task by itself.
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

    /// The values of several tasks, wanted at once like those of [`Cx::all`]. A dependency only on the facets that are
    /// read ([`Rule::facets`]), besides that there is a value.
    ///
    /// # Errors
    /// As [`Cx::get`], for each task by itself.
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
                    // Of the whole value at first; from now on of what is read through `Faceted`.
                    read.facets = Facets::NONE;
                }
                Ok(Faceted { frame: frame.clone(), read, value })
            };
            answers.into_iter().enumerate().map(faceted).collect()
        }
    }

    /// A part of a task's value. Only changes of the part invalidate this task.
    ///
    /// # Errors
    /// As [`Cx::get`], if the whole fails.
    pub fn part<P: Part>(
        &self,
        of: <P::Of as Rule>::Key,
        part: P,
    ) -> impl Future<Output = Result<P::Value, Fail>> + Send + use<P> {
        self.get::<PartRule<P>>((of, part))
    }

    /// Several parts, of one or more values, wanted at once: one group of the trace.
    ///
    /// # Errors
    /// As [`Cx::get`], for each part by itself, if the whole fails.
    pub fn all_parts<P: Part>(
        &self,
        parts: Vec<(<P::Of as Rule>::Key, P)>,
    ) -> impl Future<Output = Vec<Result<P::Value, Fail>>> + Send + use<P> {
        self.all::<PartRule<P>>(parts)
    }

    /// The hash of a task: a dependency that does not compute its value if the hash is known otherwise.
    /// `None` for tasks stored nowhere, whose hash equals no other.
    ///
    /// # Errors
    /// As [`Cx::get`].
    pub fn hash_of<R: Rule>(
        &self,
        key: R::Key,
    ) -> impl Future<Output = Result<Option<Hash>, Fail>> + Send + use<R> {
        // The node is taken out first: the request gives its questions away when it is answered.
        let request = self.ask_one::<R>(key, Asked::Hash, Some(Mode::Hash));
        let (engine, node) = (self.frame.build.engine.clone(), request.0.questions[0].node);
        async move {
            let answer = request.await;
            answer.result?;
            Ok(engine.hash_of(node, answer.seq))
        }
    }

    /// Declares that the result depends on the hash of a task, without waiting for it now: it is awaited when
    /// this task is done. If it fails, so does this task.
    pub fn depend<R: Rule>(&self, key: R::Key) {
        self.reads(&[Question::new(self.request::<R>(key))], Mode::Hash, true, true);
    }

    /// Waits until a task is done, without depending on it (an *order-only* dependency): it is not in the trace, unless
    /// it failed; a failure counts as read.
    ///
    /// # Errors
    /// As [`Cx::get`].
    pub fn order<R: Rule>(&self, key: R::Key) -> impl Future<Output = Result<(), Fail>> + Send + use<R> {
        let cx = self.clone();
        let request = self.ask_one::<R>(key, Asked::Value, None);
        let node = request.0.questions[0].node;
        async move {
            let answer = request.await;
            if let Err(fail) = &answer.result {
                let fail = fail.clone();
                // What the task does with a failure may depend on it, so that is in the trace.
                cx.reads(&[Question { node, answer: Some(answer) }], Mode::Value, false, true);
                return Err(fail);
            }
            Ok(())
        }
    }

    /// The value of a task without a dependency on it: for results that follow from their key alone, where the
    /// key follows from what this task has read.
    ///
    /// # Errors
    /// As [`Cx::get`].
    pub fn call<R: Rule>(&self, key: R::Key) -> impl Future<Output = Result<R::Value, Fail>> + Send + use<R> {
        let request = self.ask_one::<R>(key, Asked::Value, None);
        async move { request.await.result.map(downcast::<R>) }
    }

    /// Starts a task, to be awaited later. A dependency only if it is awaited.
    pub fn start<R: Rule>(&self, key: R::Key) -> Pending<R> {
        let mut request = self.ask_one::<R>(key, Asked::Value, Some(Mode::Value));
        // No waker yet: `poll` sets one when the task is awaited.
        request.0.begin(Waker::noop(), false);
        Pending { request, rule: PhantomData }
    }

    /// Sets the witness: evidence of what the task saw of the outside world, by which [`Rule::agrees`] can decide
    /// later, even in another process, whether it would see the same. To be taken before reading, so that what changes
    /// in between makes the evidence fail.
    pub fn witness(&self, evidence: impl Into<Vec<u8>>) {
        // The last one holds: a task has one witness, for all that it saw.
        lock(&self.frame.seen).witness = Some(evidence.into().into());
    }

    /// Names a content by its hash and keeps it for as long as a run of this task is kept: other tasks, and later
    /// processes, find it under that name ([`crate::Content`]) without running anything. What was mentioned is never a
    /// reason to run again.
    pub fn mention<I: Interned>(&self, content: I) -> Hash {
        let (build, hash) = (&self.frame.build, content.hash());
        let node = build.engine.intern::<Content<I>>(hash);
        let is_kept = !build.is_what_if();
        // A what-if build makes it available, and leaves the file as it is.
        // The outer `Arc` is that of any value of a task, the inner one is the value's own type.
        let seq = build.engine.put_content(node, hash, Arc::new(Arc::new(content)), is_kept);
        let task = build.task(node);
        build.mark_clean(task, &mut lock(&task.node.hist), seq);
        let (mode, facets) = (Mode::Mention, Facets::WHOLE);
        let read = Read { dep: node, seq, mode, facets, ends_group: true, later: false, is_clean: true };
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

    /// Whether the task's result may depend on the whole closure of what it read.
    pub(crate) fn may_collect(&self) -> bool {
        let build = &self.frame.build;
        build.engine.node(self.frame.node).policy.is_only_by_leaves() && !build.is_what_if()
    }

    /// Whether all of these were requested, and answered.
    pub(crate) fn has_read(&self, nodes: &[NodeId]) -> bool {
        /// Up to this length a scan is faster than a set.
        const MAX_SCANNED: usize = 8;
        let seen = lock(&self.frame.seen);
        let answered =
            || seen.reads.iter().filter(|read| read.seq != Seq::NOT_YET_KNOWN).map(|read| read.dep);
        if nodes.len() <= MAX_SCANNED {
            return nodes.iter().all(|node| answered().any(|dep| dep == *node));
        }
        let answered: HashSet<NodeId> = answered().collect();
        nodes.iter().all(|node| answered.contains(node))
    }

    /// Settles the hashes of these tasks, which are not in the trace. A transient failure counts as read.
    pub(crate) async fn settle(&self, nodes: Vec<NodeId>) {
        let questions: Vec<Question> = nodes.into_iter().map(Question::new).collect();
        let answers = Request::new(self.frame.clone(), questions, Asked::Hash, None).await;
        let is_lost = |one: &Question| !one.answer.as_ref().is_some_and(|answer| answer.seq.is_known());
        for one in answers.into_iter().filter(is_lost) {
            self.note_missed(Some(one.node));
        }
    }

    /// Notes that a request of this task was not answered, so that no run of it is kept.
    pub(crate) fn note_missed(&self, node: Option<NodeId>) {
        let reads = &mut lock(&self.frame.seen).reads;
        let Some(dep) = node.or_else(|| reads.first().map(|read| read.dep)) else { return };
        let (mode, facets) = (Mode::Hash, Facets::WHOLE);
        let (ends_group, later, is_clean) = (true, false, false);
        // `Seq::NONE` is not a known version, and a run that read one is not recorded.
        reads.push(Read { dep, seq: Seq::NONE, mode, facets, ends_group, later, is_clean });
    }

    fn ask_one<R: Rule>(&self, key: R::Key, part: Asked, mode: Option<Mode>) -> SingleRequest {
        SingleRequest(Request::new(self.frame.clone(), [Question::new(self.request::<R>(key))], part, mode))
    }

    fn ask_all<R: Rule>(&self, keys: Vec<R::Key>) -> Request<Vec<Question>> {
        let questions = keys.into_iter().map(|key| Question::new(self.request::<R>(key))).collect();
        Request::new(self.frame.clone(), questions, Asked::Value, Some(Mode::Value))
    }
}

/// A task that was started ([`Cx::start`]); await it for its value.
pub struct Pending<R> {
    request: SingleRequest,
    rule: PhantomData<fn() -> R>,
}

impl<R: Rule> Future for Pending<R> {
    type Output = Result<R::Value, Fail>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.request).poll(cx).map(|answer| answer.result.map(downcast::<R>))
    }
}

impl<R: Rule> HashCx<R> {
    /// The task's own value, computed now if need be. Its reads count as reads of the hash, too.
    ///
    /// # Errors
    /// As [`Cx::get`]: the value cannot be computed.
    pub fn value(&self) -> impl Future<Output = Result<R::Value, Fail>> + Send + use<R> {
        let frame = self.cx.frame.clone();
        let own = [Question::new(frame.node)];
        // No read of itself in the trace: what the value read is added below.
        let request = SingleRequest(Request::new(frame.clone(), own, Asked::Own, None));
        async move {
            let answer = request.await;
            let own = {
                let mut state = lock(&frame.build.slots.at(frame.node).state);
                state.opened().and_then(|open| open.own_seen.take())
            };
            let own = own.map(|own| *own).unwrap_or_default();
            let mut seen = lock(&frame.seen);
            // Behind those of the hash function: it asked for its value after it had read them.
            seen.reads.extend(own.reads);
            // The witness of the hash function covers all reads, that of the value only a part of them.
            seen.witness = seen.witness.take().or(own.witness);
            drop(seen);
            answer.result.map(downcast::<R>)
        }
    }

    /// The hash that the task's store policy gives it: the content hash of its value, or, for values
    /// without one, the number of the build in which the task executed.
    ///
    /// # Errors
    /// As [`Cx::get`]: a value is needed, and cannot be computed.
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

/// A value whose facets are recorded when they are read. To be used only by the computation that requested it: reads
/// elsewhere, or after it has ended, are not recorded.
#[derive(Clone)]
pub struct Faceted<V> {
    frame: Arc<Frame>,
    /// The place of the read in the frame's.
    read: usize,
    value: V,
}

impl<V> Faceted<V> {
    /// The value, to read these facets of it.
    pub fn at(&self, facets: Facets) -> &V {
        if let Some(read) = lock(&self.frame.seen).reads.get_mut(self.read) {
            read.facets = read.facets.and(facets);
        }
        &self.value
    }

    /// The value, to read anything in it.
    pub fn whole(&self) -> &V {
        self.at(Facets::WHOLE)
    }
}

impl<V: fmt::Debug> fmt::Debug for Faceted<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.value, f)
    }
}
