//! Executing a task's own code, and what follows when it ends: waiting for the tasks that it only depends on, hashing,
//! recording the run, notifying.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::graph::erased::ErasedCurr;
use crate::graph::facet;
use crate::graph::fail::guarded;
use crate::graph::ids::{AnyValue, NodeId, Seq};
use crate::graph::intern::BuildFastHasher;
use crate::graph::leaves::Leaves;
use crate::graph::run::{Edge, Mode, RareFields, Run};
use crate::log::entries::{Cause, Executed};
use crate::schedule::inner::Inner;
use crate::schedule::reads::{Read, RecordedReads};
use crate::schedule::slot::{Outcome, Part, Progress, Task};
use crate::schedule::work::{ComputationEnd, Finish, Work};
use crate::settle::frame::Frame;
use crate::settle::reuse::{cached_computation, recycle_reads};
use crate::sync::lock;
use crate::{Fail, Failure, Hash, Rebuild, Store, Trace};

impl Inner {
    /// No kept run is good: executes the task's hash function if it has one, else its value, whose hash is then taken.
    pub(crate) fn execute(self: &Arc<Inner>, task: Task<'_>, cause: Cause) {
        if self.stops() {
            return self.settle(task, Outcome::failed(Fail::Cancelled));
        }
        let entry = task.node;
        // A set value is finished like a computed one: it needs a version, facets, and dependents that can be
        // invalidated.
        let given = lock(&entry.hist).given_value(self.epoch);
        if let Some(value) = given {
            lock(&task.slot.state).value = Progress::Busy;
            return self.made(task, value, RecordedReads::default());
        }
        let rule = self.engine.rule(entry);
        let frame = Frame::new(self, task.id);
        let mut computation = match guarded(|| rule.hash(&entry.key, &frame)) {
            Ok(Some(computation)) => computation,
            Ok(None) => return self.start_value(task, cause, frame, true),
            Err(fail) => return self.settle(task, Outcome::failed(fail)),
        };
        if !rule.is_part() {
            self.log.executes(task.id, Executed::Hash, cause);
        }
        if let Err(fail) = guarded(|| computation.begin(&entry.key, &frame)) {
            return self.hash_made(task, Err(fail), RecordedReads::default());
        }
        // The build may have been cancelled since; that aborts no frame that is not registered, so it is looked at
        // here.
        if lock(&task.slot.state).hash.done().is_none() {
            frame.start_hash(computation);
        }
    }

    /// Settles a task with a value that its own code did not compute (set from outside, or of a sibling).
    pub(crate) fn made(self: &Arc<Inner>, task: Task<'_>, value: AnyValue, seen: RecordedReads) {
        self.finish(task, Finish { result: ComputationEnd::Value(Ok(value)), seen });
    }

    /// Computes the value for the task's own hash function, or again because it is not kept.
    pub(crate) fn construct(self: &Arc<Inner>, task: Task<'_>, cause: Cause) {
        if self.stops() {
            return self.value_made(task, Err(Fail::Cancelled), RecordedReads::default());
        }
        self.start_value(task, cause, Frame::new(self, task.id), false);
    }

    fn start_value(self: &Arc<Inner>, task: Task<'_>, cause: Cause, frame: Arc<Frame>, by_store: bool) {
        {
            let mut state = lock(&task.slot.state);
            state.by_store |= by_store;
            if state.value.done().is_some() || (state.by_store && state.hash.done().is_some()) {
                return;
            }
            state.value = Progress::Busy;
        }
        let entry = task.node;
        let rule = self.engine.rule(entry);
        if !rule.is_part() {
            self.log.executes(task.id, Executed::Value, cause);
        }
        let mut computation = cached_computation(entry.rule).unwrap_or_else(|| rule.value());
        match guarded(|| computation.begin(&entry.key, &frame)) {
            Ok(()) => frame.start(computation),
            Err(fail) => self.value_made(task, Err(fail), RecordedReads::default()),
        }
    }

    /// The hash is good and the value is wanted: finds the value by the store policy, else computes it again.
    pub(crate) fn fetch(self: &Arc<Inner>, task: Task<'_>) {
        let entry = task.node;
        let seq = match lock(&task.slot.state).hash.done() {
            Some(outcome) => outcome.seq,
            None => return,
        };
        let found = match entry.policy.store {
            Store::Memory => {
                // The file is read without the lock on the history, so memory is looked at before and after that.
                let at_hand = lock(&entry.hist).value_of(seq);
                let stored = if at_hand.is_none() { self.engine.stored_value(task.id, seq) } else { None };
                let mut hist = lock(&entry.hist);
                hist.value_of(seq).or_else(|| {
                    let of_runs = hist.runs.iter().filter(|run| run.seq == seq);
                    let bytes = of_runs.filter_map(|run| run.bytes().cloned()).next();
                    let bytes = bytes.or_else(|| stored.map(Arc::from))?;
                    let rule = self.engine.rule(entry);
                    let value = guarded(|| rule.decode_value(&entry.key, &bytes)).ok().flatten()?;
                    hist.memory = Some((seq, value.clone()));
                    Some(value)
                })
            }
            // What lies there may have been changed or removed by others, so it is compared each time.
            Store::File | Store::Cas => self.verify_curr(task, seq),
            Store::None => None,
        };
        // A rule is never asked for a value that was set, even if it was evicted.
        let given = || {
            let mut hist = lock(&entry.hist);
            let value = hist.given_value(self.epoch)?;
            // A what-if build leaves the memory of other builds as it is.
            if entry.policy.store == Store::Memory && !self.is_what_if() {
                hist.memory = Some((seq, value.clone()));
            }
            Some(value)
        };
        match found.or_else(given) {
            Some(value) => self.give_value(task, Ok(value), RecordedReads::default()),
            None => self.construct(task, Cause::ValueLost),
        }
    }

    /// The value that lies in the task's place (file or store), if its hash is that of `seq`.
    fn verify_curr(&self, task: Task<'_>, seq: Seq) -> Option<AnyValue> {
        let entry = task.node;
        let wanted = lock(&entry.hist).hash_of(seq)?;
        let rule = self.engine.rule(entry);
        let found = guarded(|| {
            let ErasedCurr { value, hash } = rule.curr(&entry.key)?;
            // With `Rebuild::Times` the times were compared, so no hash is.
            (entry.policy.rebuild == Rebuild::Times || hash() == Some(wanted)).then_some(value)
        });
        // A rule that panics here counts as one that finds nothing: the value is made again.
        found.ok().flatten()
    }

    /// The value function ended.
    pub(crate) fn value_made(
        self: &Arc<Inner>,
        task: Task<'_>,
        value: Result<AnyValue, Fail>,
        seen: RecordedReads,
    ) {
        let known = {
            let mut state = lock(&task.slot.state);
            // Its frame is over; what remains in the slot would only keep it in memory.
            if let Some(open) = state.opened() {
                open.value_frame = None;
            }
            if state.by_store && state.hash.done().is_none() {
                drop(state);
                return self.finish(task, Finish { result: ComputationEnd::Value(value), seen });
            }
            if state.value.done().is_some() {
                // It was aborted.
                return;
            }
            state.hash.done().map(|outcome| outcome.seq)
        };
        // The hash was known: the value was computed again, or for the task's own hash function, which takes over the
        // reads. It is compared with the hash, unless a request was not answered (cancelled): then it may differ.
        let is_itself = seen.reads.iter().all(|read| read.seq != Seq::LOST);
        if let (Some(seq), Ok(value), true) = (known, &value, is_itself) {
            self.compare(task, seq, value);
        }
        if let Err(fail) = &value {
            self.note_transient(fail);
        }
        self.give_value(task, value, seen);
    }

    fn give_value(self: &Arc<Inner>, task: Task<'_>, value: Result<AnyValue, Fail>, seen: RecordedReads) {
        let waiters = {
            let mut state = lock(&task.slot.state);
            if state.value.done().is_some() {
                return;
            }
            state.value = Progress::Done(value.map_err(Box::new));
            if !seen.is_empty() {
                state.open().own_seen = Some(Box::new(seen));
            }
            state.take_answered()
        };
        self.notify(waiters);
    }

    /// The value of a task whose hash was taken for good was computed again: keeps it if it has that hash. If not, the
    /// rule is not deterministic, which is reported ([`crate::Build::differing`]).
    fn compare(self: &Arc<Inner>, task: Task<'_>, good: Seq, value: &AnyValue) {
        if self.is_what_if() {
            return;
        }
        let entry = task.node;
        let rule = self.engine.rule(entry);
        let made = guarded(|| rule.content_hash(&entry.key, value)).ok().flatten();
        let mut hist = lock(&entry.hist);
        let was = hist.hash_of(good);
        match made {
            Some(made) if was.is_some_and(|was| was != made) && self.by_store(task) => {
                // The hash stays for this build, since dependents have seen it; the runs that have it are dropped.
                hist.runs.retain(|run| run.seq != good);
                drop(hist);
                // Dependents may be clean by the runs that were dropped.
                self.engine.invalidate_all();
                self.log.differs(task.id, was, Some(made));
            }
            _ if good.is_known() && entry.policy.store == Store::Memory => {
                hist.memory = Some((good, value.clone()));
            }
            _ => {}
        }
    }

    /// Whether the task has no hash function of its own.
    fn by_store(self: &Arc<Inner>, task: Task<'_>) -> bool {
        let entry = task.node;
        let frame = Frame::new(self, task.id);
        guarded(|| self.engine.rule(entry).hash(&entry.key, &frame).is_none()).unwrap_or(false)
    }

    /// The task's own hash function ended.
    pub(crate) fn hash_made(
        self: &Arc<Inner>,
        task: Task<'_>,
        hash: Result<Hash, Fail>,
        seen: RecordedReads,
    ) {
        {
            let mut state = lock(&task.slot.state);
            if let Some(open) = state.opened() {
                open.hash_frame = None;
            }
            if state.hash.done().is_some() {
                // It was aborted, and may have observed that.
                return;
            }
        }
        self.finish(task, Finish { result: ComputationEnd::Hash(hash), seen });
    }

    /// Finishes the trace: waits for the hashes of tasks requested by `depend`, then records the run.
    pub(crate) fn finish(self: &Arc<Inner>, task: Task<'_>, mut finish: Finish) {
        if finish.seen.reads.iter().all(|read| read.seq != Seq::NOT_YET_KNOWN) {
            return self.finished(task, finish);
        }
        // A request that was dropped before its answer is not a dependency.
        finish.seen.reads.retain(|read| read.later || read.seq != Seq::NOT_YET_KNOWN);
        let mut missing = Vec::new();
        for read in &mut finish.seen.reads {
            if read.seq == Seq::NOT_YET_KNOWN {
                match self.seq(read.dep) {
                    Some(seq) => read.seq = seq,
                    None => missing.push(read.dep),
                }
            }
        }
        if missing.is_empty() {
            return self.finished(task, finish);
        }
        if let Some(Work::Finish(finish)) = self.wait_for(task, missing, Part::Hash, Work::Finish(finish)) {
            self.finish(task, finish);
        }
    }

    /// All that was read is settled.
    fn finished(self: &Arc<Inner>, task: Task<'_>, Finish { mut result, seen }: Finish) {
        let entry = task.node;
        let rule = self.engine.rule(entry);
        if result.fail().is_none() {
            let mentioned = seen.reads.iter().filter(|read| read.later);
            let fail = mentioned.filter_map(|read| self.peek(read.dep, Part::Hash)?.result.err()).next();
            if let Some(fail) = fail {
                result = ComputationEnd::Hash(Err(fail));
            }
        }
        let (hash, value) = match result {
            ComputationEnd::Value(Err(fail)) | ComputationEnd::Hash(Err(fail)) => (Err(fail), None),
            ComputationEnd::Hash(Ok(hash)) => (Ok(hash), None),
            ComputationEnd::Value(Ok(value)) => match guarded(|| rule.content_hash(&entry.key, &value)) {
                Ok(hash) => (Ok(hash.unwrap_or(Hash::of_build(self.number))), Some(value)),
                Err(fail) => (Err(fail), None),
            },
        };
        let value = value.or_else(|| {
            let state = lock(&task.slot.state);
            state.value.done().and_then(|value| value.clone().ok())
        });
        let outcome = self.record(task, hash, value.as_ref(), seen);
        if let Some(fail) = &outcome.fail {
            self.note_transient(fail);
        }
        self.conclude(task, outcome, value);
    }

    /// Gives the outcome its version number, and keeps the run if it may be kept.
    fn record(
        &self,
        task: Task<'_>,
        hash: Result<Hash, Fail>,
        value: Option<&AnyValue>,
        seen: RecordedReads,
    ) -> Outcome {
        let entry = task.node;
        let rule = self.engine.rule(entry);
        let is_kept = entry.policy.runs > 0 && entry.policy.store != Store::None;
        let is_lost = matches!(hash, Err(Fail::Transient(_)));
        if !is_kept || is_lost || seen.reads.iter().any(|read| !read.seq.is_known()) {
            // No kept run has these reads.
            // Otherwise what is below would seem to be needed by nothing, and `Build::leaves` would miss it.
            self.asked_for(task.id, seen.reads.iter().map(|read| (read.dep, read.seq)).collect());
        }
        let (hash, fail) = match hash {
            Ok(hash) => (hash, None),
            Err(Fail::Task(failure)) => (self.hash_of_failure(&*failure), Some(Fail::Task(failure))),
            Err(fail) => return Outcome::failed(fail),
        };
        let outcome = |seq| Outcome { seq, fail: fail.clone().map(Box::new) };
        if entry.policy.store == Store::None {
            return outcome(Seq::NONE);
        }
        let is_known = seen.reads.iter().all(|read| read.seq.is_known());
        let is_given = || self.engine.is_given(task.id, self.epoch);
        let leaves = if entry.policy.is_deep() && is_kept && is_known && !self.is_what_if() && !is_given() {
            self.leaves_of(&edges(&seen.reads)).map(Arc::new)
        } else {
            None
        };
        let facets = value.filter(|_| fail.is_none());
        let facets = facets.and_then(|value| guarded(|| rule.facets(&entry.key, value)).ok());
        let mut hist = lock(&entry.hist);
        // Also in a what-if build, whose readers compare versions, too; it only keeps no run.
        let seq = hist.seq_of(hash);
        if let Some(facets) = facets.filter(|facets| !facets.is_empty()) {
            hist.set_facets(seq, facet::facet_hashes(&facets));
        }
        if self.is_what_if() {
            return outcome(seq);
        }
        if let Some(value) = value.filter(|_| fail.is_none() && entry.policy.store == Store::Memory) {
            hist.memory = Some((seq, value.clone()));
        }
        if is_known {
            let (edges, is_clean) = (edges(&seen.reads), seen.reads.iter().all(|read| read.is_clean));
            recycle_reads(seen.reads);
            let keeps_value = fail.is_none()
                && entry.policy.store == Store::Memory
                && entry.policy.trace == Trace::Constructive;
            let rest = RareFields {
                fail: fail.clone(),
                witness: seen.witness,
                value: value.filter(|_| keeps_value).cloned(),
                bytes: None,
                leaves,
            };
            let stamp = self.stamp(entry, &hist);
            let run = Run::new(rule.version(), stamp, edges.clone(), seq, rest);
            let holds = |leaves: &Leaves| leaves.is_valid(&self.inputs.leaf_sets_invalidated);
            hist.record(run, entry.policy, self.engine.is_only_build(), holds);
            match &fail {
                // The answer for a clean task is always a success, so a failure is verified again in each build.
                Some(_) => {}
                None if is_clean => self.mark_clean(task, &mut hist, seq),
                // What was not clean when it was read may be so by now.
                None => self.mark_clean_if_reads_are(task, &mut hist, &edges, seq),
            }
            drop(hist);
            // Without the lock on the history, since this calls the rule (`share_key`).
            self.engine.note_sibling(task.id, &edges);
            self.engine.touch(task.id);
        }
        outcome(seq)
    }

    /// The hash by which dependents compare a failure.
    fn hash_of_failure(&self, failure: &dyn Failure) -> Hash {
        // A failure without a hash of its own is a new version in each build, like a value without one.
        let own = guarded(|| failure.hash()).ok().flatten();
        let hash = own.unwrap_or(Hash::of_build(self.number));
        // Never equal to the hash of a value. Any fixed change of the bits would do.
        Hash(hash.0.map(|byte| byte ^ 0xa5))
    }

    /// Unless the build keeps going, a transient failure stops it from starting more tasks.
    fn note_transient(&self, fail: &Fail) {
        if let Fail::Transient(_) = fail {
            self.failed(fail);
        }
    }
}

/// The reads of a run, each task once.
fn edges(reads: &[Read]) -> Arc<[Edge]> {
    let edge = |read: &Read| {
        let Read { dep, seq, mode, facets, ends_group, .. } = *read;
        Edge { dep, seq, mode, facets, ends_group }
    };
    if !has_repeated(reads) {
        return reads.iter().map(edge).collect();
    }
    let mut edges: Vec<Edge> = Vec::with_capacity(reads.len());
    let mut places = HashMap::<NodeId, usize, BuildFastHasher>::default();
    for edge in reads.iter().map(edge) {
        // A task that was read again keeps its first place, so it is verified no later than it was requested.
        let place = *places.entry(edge.dep).or_insert(edges.len());
        let Some(known) = edges.get_mut(place) else {
            edges.push(edge);
            continue;
        };
        // A read of the value includes one of the hash; and the group ends nevertheless.
        known.facets = known.facets.and(edge.facets);
        if edge.mode == Mode::Value {
            known.mode = Mode::Value;
        }
        if let Some(last) = edges.last_mut().filter(|_| edge.ends_group) {
            last.ends_group = true;
        }
    }
    edges.into()
}

/// Whether some task was read twice.
fn has_repeated(reads: &[Read]) -> bool {
    /// Up to this length a scan is faster than a set.
    // Sixteen reads are at most 120 comparisons of numbers, and no allocation.
    const MAX_SCANNED: usize = 16;
    if reads.len() <= MAX_SCANNED {
        return (1..reads.len()).any(|at| reads[..at].iter().any(|before| before.dep == reads[at].dep));
    }
    let mut seen =
        HashSet::<NodeId, BuildFastHasher>::with_capacity_and_hasher(reads.len(), BuildFastHasher::default());
    !reads.iter().all(|read| seen.insert(read.dep))
}
