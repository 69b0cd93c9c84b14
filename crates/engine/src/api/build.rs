//! One build: requests for tasks at one epoch.

use std::collections::HashSet;
use std::fmt;
use std::task::{Wake, Waker};

use crate::KeyRef;
use crate::api::options::Options;
use crate::api::part::PartRule;
use crate::api::request::downcast;
use crate::graph::core::{Core, Inputs};
use crate::graph::ids::{NodeId, Seq};
use crate::graph::run::Edge;
use crate::graph::table::Table;
use crate::log::entries::Log;
use crate::persist::StoredLeaf;
use crate::schedule::inner::Inner;
use crate::schedule::queue::Queue;
use crate::schedule::slot::{Answer, Outcome, Part as Asked, Slot};
use crate::schedule::wait::{Wait, Waiter};
use crate::sync::{Arc, Mutex, Weak, atomic::AtomicBool, lock};
use crate::{Differs, ExecutedTask, Facets, Fail, Hash, Part, Reason, Rule};

/// A build, from which tasks are requested. Dropping it aborts what is still running.
///
/// May be shared among threads; each thread that requests something works on the build until its answer is there. A
/// rule's code must not request from the build that runs it: it has a [`crate::Cx`] for that.
pub struct Build {
    inner: Arc<Inner>,
}

/// Wakes the threads of a build when the answer to a request from outside is there.
struct Root(Arc<Inner>);

impl Wake for Root {
    fn wake(self: Arc<Root>) {
        self.0.queue.wake_all();
    }
}

impl Build {
    pub(crate) fn new(engine: Arc<Core>, inputs: Inputs, number: u64, options: Options) -> Build {
        let Options { jobs, keep_going, cancel, what_if } = options;
        // Looked up once, here: the build compares the numbers of tasks only.
        let suspects =
            what_if.map(|what_if| what_if.suspects.iter().filter_map(|suspect| suspect(&engine)).collect());
        let inner = Arc::new(Inner {
            engine,
            number,
            epoch: inputs.epoch,
            inputs,
            asked: Mutex::default(),
            unkept: Mutex::default(),
            slots: Table::new(),
            has_walked: AtomicBool::new(false),
            by_leaves: Mutex::default(),
            queue: Queue::new(jobs),
            log: Log::default(),
            keep_going,
            failed: AtomicBool::new(false),
            first_failure: Mutex::default(),
            cancel: cancel.clone(),
            suspects,
        });
        let build: Weak<Inner> = Arc::downgrade(&inner);
        cancel.note(build);
        Build { inner }
    }

    /// The value of a task. Blocks; the calling thread works on the build meanwhile.
    ///
    /// # Errors
    /// The task failed ([`Fail::Task`], [`Fail::Transient`]), the build was cancelled, or the task is on a cycle.
    pub fn get<R: Rule>(&self, key: R::Key) -> Result<R::Value, Fail> {
        self.all::<R>([key]).pop().expect("one answer for one key")
    }

    /// The values of several tasks, wanted together; answers in the order of the keys.
    ///
    /// # Errors
    /// As [`Build::get`], for each task by itself.
    pub fn all<R: Rule>(&self, keys: impl IntoIterator<Item = R::Key>) -> Vec<Result<R::Value, Fail>> {
        let nodes = keys.into_iter().map(|key| self.request::<R>(key)).collect();
        (self.answers(nodes, Asked::Value).into_iter())
            .map(|answer| answer.result.map(|value| downcast::<R>(value)))
            .collect()
    }

    /// A part of a task's value.
    ///
    /// # Errors
    /// As [`Build::get`], if the whole fails.
    pub fn part<P: Part>(&self, of: <P::Of as Rule>::Key, part: P) -> Result<P::Value, Fail> {
        self.get::<PartRule<P>>((of, part))
    }

    /// The hash of a task, without computing its value if the hash is known otherwise.
    /// `None` for tasks stored nowhere, whose hash equals no other.
    ///
    /// # Errors
    /// As [`Build::get`].
    pub fn hash_of<R: Rule>(&self, key: R::Key) -> Result<Option<Hash>, Fail> {
        let node = self.request::<R>(key);
        let answer = self.answers(vec![node], Asked::Hash).pop().expect("one answer for one question");
        answer.result?;
        Ok(self.inner.engine.hash_of(node, answer.seq))
    }

    /// Drops the values of all tasks of a rule. A value that is wanted again is decoded from its kept run, or computed
    /// again. For tasks that will not be requested again, to free their memory. Not to be called while something is
    /// requested.
    pub fn release_values<R: Rule>(&self) {
        let core = self.core();
        let number = core.rule_id::<R>();
        let rule = core.rule_at(number);
        // The value of a content is kept: before it is in the file there is no other copy.
        if rule.is_interned() {
            return;
        }
        for (id, node) in core.all_nodes().filter(|(_, node)| node.rule == number) {
            self.inner.task(id).slot.release_value();
            let mut hist = lock(&node.hist);
            hist.memory = None;
            for run in hist.runs.iter_mut() {
                run.pack(|value| rule.encode_value(&node.key, value));
            }
        }
    }

    /// The same for the tasks of a part.
    pub fn release_part_values<P: Part>(&self) {
        self.release_values::<PartRule<P>>();
    }

    fn request<R: Rule>(&self, key: R::Key) -> NodeId {
        self.inner.engine.request::<R>(key, self.inner.epoch)
    }

    fn answers(&self, nodes: Vec<NodeId>, part: Asked) -> Vec<Answer> {
        let inner = &self.inner;
        let wait = Wait::new(None, Waker::from(Arc::new(Root(inner.clone()))));
        let (mut jobs, mut known) = (Vec::new(), Vec::new());
        for node in &nodes {
            // One count for each task, added before its answer can arrive.
            wait.expect_one_more();
            let (answer, job) = inner.ask(*node, part, Some(Waiter::Wait(wait.clone())));
            if answer.is_some() {
                wait.arrive();
            } else if let Some(persist) = inner.engine.persist() {
                persist.want(*node);
            }
            known.push(answer);
            jobs.extend(job);
        }
        let seq = |answer: &Option<Answer>| answer.as_ref().map_or(Seq::NOT_YET_KNOWN, |answer| answer.seq);
        // With the versions of the answers: a later epoch may settle a clean task otherwise, and this build is asked
        // about its own.
        lock(&inner.asked).extend(nodes.iter().copied().zip(known.iter().map(seq)));
        // No thread is woken for answers that are known.
        if known.iter().all(Option::is_some) {
            return known.into_iter().flatten().collect();
        }
        // Before the jobs are there: cycles are only searched while a request from outside is open.
        lock(&inner.queue.roots).push(wait.clone());
        inner.queue.push_all(inner, jobs.into_iter(), 1);
        wait.arrive();
        inner.queue.work(inner, &mut || wait.is_over());
        lock(&inner.queue.roots).retain(|known| !Arc::ptr_eq(known, &wait));
        let answers = nodes.into_iter().zip(known);
        answers
            .map(|(node, known)| known.or_else(|| inner.peek(node, part)).unwrap_or_else(Answer::cancelled))
            .collect()
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    pub(crate) fn core(&self) -> &Core {
        &self.inner.engine
    }

    /// The closure of this build's requests, with the version of each task: the tasks that it settled, and the clean
    /// tasks below them. They are found along the reads of the runs that settled them. `binds`: tasks that are only in
    /// the file are loaded on the way; else they are listed without what is below. `false`: the reads of some are no
    /// longer known.
    pub(crate) fn settled(&self, binds: bool) -> (Vec<(NodeId, Seq)>, bool) {
        let inner = &self.inner;
        let of_slot =
            |(node, slot): (NodeId, &Slot)| lock(&slot.state).hash.done().map(|outcome| (node, outcome.seq));
        let mut settled: Vec<(NodeId, Seq)> = inner.slots.seen().filter_map(of_slot).collect();
        if inner.is_what_if() {
            // A what-if build does not look below a task that is assumed to be as it was.
            return (settled, true);
        }
        let mut seen: HashSet<NodeId> = settled.iter().map(|(node, _)| *node).collect();
        let is_alone = inner.engine.is_only_build();
        // The tasks before this index have a slot, those behind it were found below them.
        let of_slots = settled.len();
        let (mut at, mut is_complete) = (0, true);
        let of_build = |(node, read): (NodeId, Seq)| self.version_read(node, read);
        let more = lock(&inner.asked).iter().copied().filter_map(of_build).collect::<Vec<_>>();
        settled.extend(more.into_iter().filter(|(node, _)| seen.insert(*node)));
        let requested = settled.len();
        let mut without_reads: HashSet<NodeId> = HashSet::new();
        while let Some((node, seq)) = settled.get(at).copied() {
            let leaves = lock(&inner.by_leaves).get(&node).cloned();
            if let Some(leaves) = leaves {
                // Nothing below it was verified but these.
                let is_stored = lock(&inner.engine.node(node).hist).unloaded().is_some();
                if binds || !is_stored {
                    match inner.engine.bound_parts(&leaves) {
                        Some(below) => {
                            settled.extend(below.into_iter().filter(|(node, _)| seen.insert(*node)))
                        }
                        None => is_complete = false,
                    }
                }
                at += 1;
                continue;
            }
            if binds {
                inner.engine.fetch_history(node);
            }
            let (place, is_stored) = {
                let hist = lock(&inner.engine.node(node).hist);
                (hist.place(), hist.unloaded().is_some())
            };
            let runs = self.runs_read(node, seq, is_alone);
            // The reads of a task that executed in this build and is not kept are in `asked`. A task that was found
            // good by the numbers of a file that is gone did not execute.
            let is_made = || at < of_slots && (place.is_none() || inner.log.executed(node).is_some());
            if runs.is_empty() && !is_stored && seq.is_known() && !is_made() {
                without_reads.insert(node);
            }
            at += 1;
            let below = runs.iter().flat_map(|edges| edges.iter());
            let below = below.filter_map(|edge| of_build((edge.dep, edge.seq)));
            settled.extend(below.filter(|(node, _)| seen.insert(*node)));
        }
        let is_known = without_reads.is_empty()
            || !is_alone && self.has_closure_without(&without_reads, &settled, requested);
        (settled, is_complete && is_known)
    }

    /// The version that a task had in this build, if a run of the build read `read`.
    fn version_read(&self, node: NodeId, read: Seq) -> Option<(NodeId, Seq)> {
        // A later epoch may have settled it otherwise: in this build it had the version that was read.
        let seq = self.inner.clean_version(node).or_else(|| read.is_known().then_some(read))?;
        Some((node, seq))
    }

    /// The reads of the runs by which this build may have settled a task at a version. If it `is_alone`, there is one
    /// at most.
    fn runs_read(&self, node: NodeId, seq: Seq, is_alone: bool) -> Vec<Arc<[Edge]>> {
        let mut runs = lock(&self.core().node(node).hist).reads_of(seq, is_alone);
        // A run with the same result and other reads is not the one of this build.
        let is_as_read = |edge: &Edge| {
            let now = self.inner.seq(edge.dep);
            now.is_none_or(|now| now == edge.seq || edge.facets != Facets::WHOLE)
        };
        runs.retain(|edges| edges.iter().all(is_as_read));
        runs
    }

    /// Whether the first `requested` tasks of a closure each have a run whose closure avoids the tasks `without_reads`.
    ///
    /// Another build may have settled a task at the same version by other reads. If that run does not contradict this
    /// build, it is followed, too. It may lead to a task that this build never looked at, whose reads do not agree. The
    /// closure is still known as long as there is another run.
    fn has_closure_without(
        &self,
        without_reads: &HashSet<NodeId>,
        closure: &[(NodeId, Seq)],
        requested: usize,
    ) -> bool {
        // A least fixed point: tasks may read each other in a cycle, each in a run of another build.
        let mut known: HashSet<NodeId> = HashSet::new();
        loop {
            let before = known.len();
            // What is read comes after what reads it, as a rule, so one round is mostly enough.
            for (node, seq) in closure.iter().rev().filter(|(node, _)| !without_reads.contains(node)) {
                let is_known = |edge: &Edge| {
                    self.version_read(edge.dep, edge.seq).is_none_or(|(dep, _)| known.contains(&dep))
                };
                let is_by_leaves = || lock(&self.inner.by_leaves).contains_key(node);
                let runs = self.runs_read(*node, *seq, false);
                if runs.is_empty() || runs.iter().any(|edges| edges.iter().all(is_known)) || is_by_leaves() {
                    known.insert(*node);
                }
            }
            if known.len() == before {
                return closure[..requested].iter().all(|(node, _)| known.contains(node));
            }
        }
    }

    /// The leaves in the closure of this build's requests: the tasks that read the outside world. `None`: that is not
    /// known, since the file turned out to be damaged after tasks were found good by it.
    pub fn leaves(&self) -> Option<Vec<KeyRef>> {
        let core = self.core();
        let (settled, below) = self.settled_and_below()?;
        let leaves = settled.into_iter().filter(|(node, _)| core.node(*node).policy.leaf);
        let leaves = leaves.map(|(node, _)| core.key_ref(node));
        let below = below.into_iter().filter_map(|leaf| {
            let rule = core.rule_named(&leaf.rule)?;
            let key = rule.decode(&leaf.key)?;
            Some(KeyRef { rule: rule.name(), key, bytes: leaf.key, debug: rule.debug() })
        });
        Some(leaves.chain(below).collect())
    }

    /// The result of [`Build::settled`], and the leaves below that are only in the file; `None`: the file is gone, or
    /// the reads of some task are not known.
    #[allow(clippy::type_complexity, reason = "two lists")]
    fn settled_and_below(&self) -> Option<(Vec<(NodeId, Seq)>, Vec<StoredLeaf>)> {
        let core = self.core();
        let (mut settled, is_complete) = self.settled(false);
        let by_numbers = |(node, _): &mut (NodeId, Seq)| lock(&core.node(*node).hist).unloaded().is_some();
        let known: HashSet<NodeId> = settled.iter().map(|(node, _)| *node).collect();
        let above: Vec<NodeId> = settled.extract_if(.., by_numbers).map(|(node, _)| node).collect();
        if above.is_empty() {
            return is_complete.then_some((settled, Vec::new()));
        }
        let is_elsewhere = |node| known.contains(&node) && lock(&core.node(node).hist).unloaded().is_none();
        let below = self.inner.leaves_below(&above, is_elsewhere);
        if let Some((leaves, bound)) =
            below.and_then(|below| Some((below.leaves().collect::<Option<Vec<_>>>()?, below.bound)))
        {
            settled.extend(bound.into_iter().filter(|(node, _)| !known.contains(node)));
            return is_complete.then_some((settled, leaves));
        }
        let (settled, is_complete) = self.settled(true);
        is_complete.then_some((settled, Vec::new()))
    }

    /// What executed so far, in the order in which it started. Parts are left out: they only project.
    pub fn log(&self) -> Vec<ExecutedTask> {
        let core = self.core();
        self.inner.log.ran(|node, what, cause| core.spelled(node, what, cause))
    }

    /// The same as text, `Rule(key)` or `hash of Rule(key)`, for tests.
    pub fn ran(&self) -> Vec<String> {
        self.log().iter().map(ExecutedTask::to_string).collect()
    }

    /// Why a task executed in this build: `None` if it did not (or not yet).
    pub fn explain<R: Rule>(&self, key: &R::Key) -> Option<Reason> {
        let cause = self.inner.log.cause(self.inner.engine.find::<R>(key)?)?;
        Some(self.inner.engine.reason(cause))
    }

    /// The first transient failure of this build, if there was one. Without `keep_going` nothing starts after it, so it
    /// need not reach a task that was asked for: that one may be cancelled before it could read what failed.
    pub fn first_failure(&self) -> Option<Fail> {
        lock(&self.inner.first_failure).clone()
    }

    /// How many tasks were found good by a kept run; those that a what-if build assumes to be good are not counted.
    pub fn replayed(&self) -> u64 {
        self.inner.log.count_replayed()
    }

    /// Tasks that executed again with the same inputs and had another result: their rules are not deterministic.
    pub fn differing(&self) -> Vec<Differs> {
        let core = self.core();
        self.inner.log.all_that_differ(|node, was, is| Differs { key: core.key_ref(node), was, is })
    }
}

impl fmt::Debug for Build {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Build {{ number: {}, epoch: {} }}", self.inner.number, self.inner.epoch)
    }
}

impl Drop for Build {
    /// Computations hold a reference to their build, so they have to be dropped for it to be dropped.
    fn drop(&mut self) {
        // First, so that no thread polls a computation that is aborted below.
        self.inner.queue.shut();
        for (_, slot) in self.inner.slots.seen() {
            let mut state = std::mem::take(&mut *lock(&slot.state));
            let Some(open) = state.opened() else { continue };
            for frame in [open.hash_frame.take(), open.value_frame.take()].into_iter().flatten() {
                frame.abort();
            }
        }
    }
}

#[allow(dead_code, reason = "proves at compile time that builds may be shared")]
fn builds_are_shared(build: Build) -> impl Send + Sync {
    build
}

/// An [`Outcome`] is copied often: it is a number and, for failures, a pointer.
const _: () = assert!(size_of::<Outcome>() <= 32);
