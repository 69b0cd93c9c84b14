//! Running a task's own code, and what follows when it ends: waiting for what it only mentioned, hashing,
//! recording, telling.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use crate::build::Inner;
use crate::erased::Found;
use crate::executor::spare_computation;
use crate::facet;
use crate::frame::{Frame, Read, Seen};
use crate::log::{Cause, Executed};
use crate::node::{AnyValue, Edge, Mode, NodeId, Run, Seq};
use crate::slot::{Outcome, Part, Progress, Work};
use crate::sync::lock;
use crate::{Fail, Hash, Panicked, Rebuild, Store};

/// A computation that ended, while the trace of it is being finished.
pub(crate) struct Finish {
    result: Ended,
    seen: Seen,
}

enum Ended {
    /// The value, which gives the hash.
    Value(Result<AnyValue, Fail>),
    /// The task's own hash function.
    Hash(Result<Hash, Fail>),
}

impl Ended {
    fn fail(&self) -> Option<&Fail> {
        match self {
            Ended::Value(result) => result.as_ref().err(),
            Ended::Hash(result) => result.as_ref().err(),
        }
    }
}

/// Calls user code that is no future.
pub(crate) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T, Fail> {
    catch_unwind(AssertUnwindSafe(call)).map_err(|payload| Fail::transient(Panicked::new(&*payload)))
}

impl Inner {
    /// No kept run will do: the task's hash function runs, or its value, which then gives the hash.
    pub(crate) fn execute(self: &Arc<Inner>, node: NodeId, cause: Cause) {
        if self.stops() {
            return self.settle(node, Outcome::failed(Fail::Cancelled));
        }
        let entry = self.engine.node(node);
        let injected = lock(&entry.hist).injected(self.epoch);
        if let Some(value) = injected {
            lock(&self.slots.at(node).state).value = Progress::Busy;
            return self.made(node, value, Seen::default());
        }
        let rule = self.engine.rule(entry);
        let frame = Frame::new(self, node);
        let mut computation = match guarded(|| rule.hash(&entry.key, &frame)) {
            Ok(Some(computation)) => computation,
            Ok(None) => return self.start_value(node, cause, frame, true),
            Err(fail) => return self.settle(node, Outcome::failed(fail)),
        };
        if !rule.is_part() {
            self.log.executes(node, Executed::Hash, cause);
        }
        if let Err(fail) = guarded(|| computation.begin(&entry.key, &frame)) {
            return self.hash_made(node, Err(fail), Seen::default());
        }
        if lock(&self.slots.at(node).state).hash.done().is_none() {
            frame.start_hash(computation);
        }
    }

    /// The value came about without the task's own code.
    pub(crate) fn made(self: &Arc<Inner>, node: NodeId, value: AnyValue, seen: Seen) {
        self.finish(node, Finish { result: Ended::Value(Ok(value)), seen });
    }

    /// The value was asked for by the task's own hash function, or is to be made again.
    pub(crate) fn construct(self: &Arc<Inner>, node: NodeId, cause: Cause) {
        if self.stops() {
            return self.value_made(node, Err(Fail::Cancelled), Seen::default());
        }
        self.start_value(node, cause, Frame::new(self, node), false);
    }

    fn start_value(self: &Arc<Inner>, node: NodeId, cause: Cause, frame: Arc<Frame>, by_store: bool) {
        {
            let mut state = lock(&self.slots.at(node).state);
            state.by_store |= by_store;
            if state.value.done().is_some() || (state.by_store && state.hash.done().is_some()) {
                return;
            }
            state.value = Progress::Busy;
        }
        let entry = self.engine.node(node);
        let rule = self.engine.rule(entry);
        if !rule.is_part() {
            self.log.executes(node, Executed::Value, cause);
        }
        let mut computation = spare_computation(entry.rule).unwrap_or_else(|| rule.value());
        match guarded(|| computation.begin(&entry.key, &frame)) {
            Ok(()) => frame.start(computation),
            Err(fail) => self.value_made(node, Err(fail), Seen::default()),
        }
    }

    /// The hash is good and somebody wants the value: from where it lies, else made again.
    pub(crate) fn fetch(self: &Arc<Inner>, node: NodeId) {
        let entry = self.engine.node(node);
        let seq = match lock(&self.slots.at(node).state).hash.done() {
            Some(outcome) => outcome.seq,
            None => return,
        };
        let found = match entry.policy.store {
            Store::Memory => {
                let mut hist = lock(&entry.hist);
                hist.value_of(seq).or_else(|| {
                    let bytes =
                        hist.runs.iter().filter(|run| run.seq == seq).find_map(|run| run.bytes.clone())?;
                    let rule = self.engine.rule(entry);
                    let value = guarded(|| rule.decode_value(&entry.key, &bytes)).ok().flatten()?;
                    hist.memory = Some((seq, value.clone()));
                    Some(value)
                })
            }
            Store::File | Store::Cas => self.verify_curr(node, seq),
            Store::None => None,
        };
        // Whoever is told is never asked, whatever was lost.
        let given = || {
            let mut hist = lock(&entry.hist);
            let value = hist.injected(self.epoch)?;
            if entry.policy.store == Store::Memory && !self.is_what_if() {
                hist.memory = Some((seq, value.clone()));
            }
            Some(value)
        };
        match found.or_else(given) {
            Some(value) => self.give_value(node, Ok(value), Seen::default()),
            None => self.construct(node, Cause::ValueLost),
        }
    }

    /// What lies there now, if its hash is that of `seq`.
    fn verify_curr(&self, node: NodeId, seq: Seq) -> Option<AnyValue> {
        let entry = self.engine.node(node);
        let wanted = lock(&entry.hist).hash_of(seq)?;
        let rule = self.engine.rule(entry);
        let found = guarded(|| {
            let Found { value, hash } = rule.curr(&entry.key)?;
            // Who goes by times believes what lies there.
            (entry.policy.rebuild == Rebuild::Times || hash() == Some(wanted)).then_some(value)
        });
        found.ok().flatten()
    }

    /// The value function ended.
    pub(crate) fn value_made(self: &Arc<Inner>, node: NodeId, value: Result<AnyValue, Fail>, seen: Seen) {
        let slot = self.slots.at(node);
        let known = {
            let mut state = lock(&slot.state);
            if let Some(open) = state.opened() {
                open.value_frame = None;
            }
            if state.by_store && state.hash.done().is_none() {
                drop(state);
                return self.finish(node, Finish { result: Ended::Value(value), seen });
            }
            if state.value.done().is_some() {
                // It was given up.
                return;
            }
            state.hash.done().map(|outcome| outcome.seq)
        };
        // Made again, or made for the task's own hash function, which takes over what was read. What missed
        // something that there is may be another value.
        let is_itself = seen.reads.iter().all(|read| read.seq != Seq::LOST);
        if let (Some(seq), Ok(value), true) = (known, &value, is_itself) {
            self.compare(node, seq, value);
        }
        if let Err(fail) = &value {
            self.note_transient(fail);
        }
        self.give_value(node, value, seen);
    }

    fn give_value(self: &Arc<Inner>, node: NodeId, value: Result<AnyValue, Fail>, seen: Seen) {
        let told = {
            let mut state = lock(&self.slots.at(node).state);
            if state.value.done().is_some() {
                return;
            }
            state.value = Progress::Done(value.map_err(Box::new));
            if !seen.is_empty() {
                state.open().own_seen = Some(Box::new(seen));
            }
            state.answered()
        };
        self.tell(told);
    }

    /// A value was made again of a task whose hash was taken as good: keeps it, if it is the same.
    fn compare(self: &Arc<Inner>, node: NodeId, good: Seq, value: &AnyValue) {
        if self.is_what_if() {
            return;
        }
        let entry = self.engine.node(node);
        let rule = self.engine.rule(entry);
        let made = guarded(|| rule.content_hash(&entry.key, value)).ok().flatten();
        let mut hist = lock(&entry.hist);
        let was = hist.hash_of(good);
        match made {
            Some(made) if was.is_some_and(|was| was != made) && self.by_store(node) => {
                // The hash given out stays for this build; the next one sees no run that gave it.
                hist.runs.retain(|run| run.seq != good);
                drop(hist);
                self.engine.doubt_all();
                self.log.differs(node, was, Some(made));
            }
            _ if good.is_known() && entry.policy.store == Store::Memory => {
                hist.memory = Some((good, value.clone()));
            }
            _ => {}
        }
    }

    /// Whether the task's hash is that of its value.
    fn by_store(self: &Arc<Inner>, node: NodeId) -> bool {
        let entry = self.engine.node(node);
        let frame = Frame::new(self, node);
        guarded(|| self.engine.rule(entry).hash(&entry.key, &frame).is_none()).unwrap_or(false)
    }

    /// The task's own hash function ended.
    pub(crate) fn hash_made(self: &Arc<Inner>, node: NodeId, hash: Result<Hash, Fail>, seen: Seen) {
        {
            let mut state = lock(&self.slots.at(node).state);
            if let Some(open) = state.opened() {
                open.hash_frame = None;
            }
            if state.hash.done().is_some() {
                // It was given up, and may have seen that.
                return;
            }
        }
        self.finish(node, Finish { result: Ended::Hash(hash), seen });
    }

    /// Finishes the trace: waits for the hashes of what was only mentioned, then records.
    pub(crate) fn finish(self: &Arc<Inner>, node: NodeId, mut finish: Finish) {
        // A request that was dropped before its answer told the task nothing.
        finish.seen.reads.retain(|read| read.later || read.seq != Seq::LATER);
        let mut missing = Vec::new();
        for read in &mut finish.seen.reads {
            if read.seq == Seq::LATER {
                match self.seq(read.dep) {
                    Some(seq) => read.seq = seq,
                    None => missing.push(read.dep),
                }
            }
        }
        if missing.is_empty() {
            return self.finished(node, finish);
        }
        if let Some(Work::Finish(finish)) = self.wait_for(node, missing, Part::Hash, Work::Finish(finish)) {
            self.finish(node, finish);
        }
    }

    /// All that was read is settled.
    fn finished(self: &Arc<Inner>, node: NodeId, Finish { mut result, seen }: Finish) {
        let entry = self.engine.node(node);
        let rule = self.engine.rule(entry);
        if result.fail().is_none() {
            let mentioned = seen.reads.iter().filter(|read| read.later);
            let fail = mentioned.filter_map(|read| self.peek(read.dep, Part::Hash)?.result.err()).next();
            if let Some(fail) = fail {
                result = Ended::Hash(Err(fail));
            }
        }
        let (hash, value) = match result {
            Ended::Value(Err(fail)) | Ended::Hash(Err(fail)) => (Err(fail), None),
            Ended::Hash(Ok(hash)) => (Ok(hash), None),
            Ended::Value(Ok(value)) => match guarded(|| rule.content_hash(&entry.key, &value)) {
                Ok(hash) => (Ok(hash.unwrap_or(Hash::of_build(self.number))), Some(value)),
                Err(fail) => (Err(fail), None),
            },
        };
        let value = value.or_else(|| {
            let state = lock(&self.slots.at(node).state);
            state.value.done().and_then(|value| value.clone().ok())
        });
        let outcome = self.record(node, hash, value.as_ref(), seen);
        if let Some(fail) = &outcome.fail {
            self.note_transient(fail);
        }
        self.conclude(node, outcome, value);
    }

    /// Gives the outcome its number, and keeps the run if it may be kept.
    fn record(
        &self,
        node: NodeId,
        hash: Result<Hash, Fail>,
        value: Option<&AnyValue>,
        seen: Seen,
    ) -> Outcome {
        let entry = self.engine.node(node);
        let rule = self.engine.rule(entry);
        let (hash, fail) = match hash {
            Ok(hash) => (hash, None),
            Err(Fail::Task(failure)) => {
                let own = guarded(|| failure.hash()).ok().flatten();
                let hash = own.unwrap_or(Hash::of_build(self.number));
                // Never the hash of a value.
                (Hash(hash.0.map(|byte| byte ^ 0xa5)), Some(Fail::Task(failure)))
            }
            Err(fail) => return Outcome::failed(fail),
        };
        let outcome = |seq| Outcome { seq, fail: fail.clone().map(Box::new) };
        if entry.policy.store == Store::None {
            return outcome(Seq::NONE);
        }
        let facets = value.filter(|_| fail.is_none());
        let facets = facets.and_then(|value| guarded(|| rule.facets(&entry.key, value)).ok());
        let mut hist = lock(&entry.hist);
        let seq = hist.seq_of(hash);
        if let Some(facets) = facets.filter(|facets| !facets.is_empty()) {
            hist.set_facets(seq, facet::looks(&facets));
        }
        if self.is_what_if() {
            return outcome(seq);
        }
        if let Some(value) = value.filter(|_| fail.is_none() && entry.policy.store == Store::Memory) {
            hist.memory = Some((seq, value.clone()));
        }
        if seen.reads.iter().all(|read| read.seq.is_known()) {
            let run = Run {
                version: rule.version(),
                stamp: self.stamp(entry, &hist),
                edges: edges(&seen.reads),
                seq,
                fail: fail.clone(),
                witness: seen.witness,
                value: value.filter(|_| fail.is_none() && entry.policy.store == Store::Memory).cloned(),
                bytes: None,
            };
            let edges = run.edges.clone();
            hist.record(run, entry.policy);
            drop(hist);
            self.engine.note_kin(node, &edges);
            self.engine.touch(node);
        }
        outcome(seq)
    }

    /// Unless the build keeps going, a failure that is no property of the inputs stops new starts.
    fn note_transient(&self, fail: &Fail) {
        if let Fail::Transient(_) = fail {
            self.failed();
        }
    }
}

/// What was read, without what was read before.
fn edges(reads: &[Read]) -> Arc<[Edge]> {
    /// Up to here a scan is faster than a set.
    const SCANNED: usize = 24;
    let mut edges: Vec<Edge> = Vec::with_capacity(reads.len());
    let mut seen = std::collections::HashSet::new();
    for read in reads {
        let Read { dep, seq, mode, facets, ends_group, .. } = *read;
        let edge = Edge { dep, seq, mode, facets, ends_group };
        let known = if reads.len() <= SCANNED {
            edges.iter().any(|known| known.dep == edge.dep)
        } else {
            !seen.insert(edge.dep)
        };
        if !known {
            edges.push(edge);
            continue;
        }
        // The group ends nevertheless; and a value read weighs more than a hash read.
        if let Some(last) = edges.last_mut().filter(|_| edge.ends_group) {
            last.ends_group = true;
        }
        if let Some(known) = edges.iter_mut().find(|known| known.dep == edge.dep) {
            known.facets = known.facets.and(edge.facets);
            if edge.mode == Mode::Value {
                known.mode = Mode::Value;
            }
        }
    }
    edges.into()
}
