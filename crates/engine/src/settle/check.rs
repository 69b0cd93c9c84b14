//! Verification: does a kept run agree with the present, read by read, in the order of its reads?
//!
//! A state machine for each task, driven by the queue: no future, no recursion, so the depth of the graph costs memory
//! only. It stops at the first group with a difference. As long as all groups before agree, the task would request
//! exactly this group again if it executed, so nothing is demanded that an execution would not demand (*Build Systems à
//! la Carte* calls such traces, checked in order, those of a monadic suspending build system; Shake does the same).

use crate::graph::fail::guarded;
use crate::graph::ids::{AnyValue, NodeId, Seq};
use crate::graph::run::Candidate;
use crate::graph::run::{Edge, Run};
use crate::log::entries::Cause;
use crate::schedule::inner::Inner;
use crate::schedule::queue::Queue;
use crate::schedule::slot::{Outcome, Part, Progress, Task};
use crate::schedule::wait::Waiter;
use crate::schedule::work::{Check, Work};
use crate::sync::{Arc, atomic::Ordering, lock};
use crate::{Agreement, Facets, Hash, Rebuild};

impl Inner {
    /// Settles the hash of a task: by a kept run that agrees with the present, else by executing.
    pub(crate) fn begin(self: &Arc<Inner>, task: Task<'_>) {
        let Task { id, node, .. } = task;
        let unloaded = lock(&node.hist).unloaded();
        if node.policy.is_deep() && !self.is_what_if() {
            return self.begin_by_leaves(task, unloaded);
        }
        if let Some(unloaded) = unloaded {
            if let Some(seq) = self.settle_by_numbers(id, unloaded) {
                return self.settle(task, Outcome { seq, fail: None });
            }
            // The walk left it undecided: its runs are loaded and verified one by one.
            self.engine.load(id, unloaded);
        }
        self.begin_by_reads(task);
    }

    /// The same for a task whose runs are loaded, by their reads.
    #[inline]
    pub(crate) fn begin_by_reads(self: &Arc<Inner>, task: Task<'_>) {
        let Task { id, node, .. } = task;
        let rule = self.engine.rule(node);
        if node.policy.leaf && !self.is_what_if() {
            self.confirm(task);
        }
        let cause = {
            let hist = lock(&node.hist);
            let stamp = self.stamp(node, &hist);
            // Before anything is verified: a what-if build looks below its suspects only.
            if self.is_what_if()
                && let Some(run) = hist.runs.first().filter(|_| self.assumes(id)).map(Candidate::new)
            {
                drop(hist);
                // Assumed, not verified: not counted as replayed.
                return self.settle(task, Outcome { seq: run.seq, fail: run.fail.map(Box::new) });
            }
            // The reads do not decide for a task that is verified by leaves only.
            let by_reads = !node.policy.is_only_by_leaves();
            let fits = |run: &&Run| by_reads && run.version == rule.version() && run.stamp == stamp;
            let mut runs = hist.runs.iter().filter(fits).map(Candidate::new);
            match (hist.runs.first(), runs.next()) {
                _ if node.policy.runs == 0 => Cause::Always,
                (None, _) => Cause::New,
                (Some(_), Some(run)) => {
                    let more = runs.collect::<Vec<_>>().into_iter();
                    drop(hist);
                    let (policy, by_time) = (node.policy, node.policy.rebuild == Rebuild::Times);
                    let made = by_time.then(|| guarded(|| rule.modtime(&node.key)).ok().flatten()).flatten();
                    if by_time && made.is_none() {
                        return self.execute(task, Cause::ValueLost);
                    }
                    return self
                        .check(task, Check { run, more, at: 0, is_clean: true, cause: None, policy, made });
                }
                (Some(run), None) if run.version != rule.version() => Cause::RuleChanged,
                (Some(_), None) => Cause::Changed,
            }
        };
        self.take_over_or_execute(task, cause);
    }

    /// Verifies a stale leaf that was not declared changed: if its rule confirms a kept run by the witness, that run is
    /// valid again.
    fn confirm(&self, Task { id, node: entry, .. }: Task<'_>) {
        let rule = self.engine.rule(entry);
        let (stamp, stale) = {
            let hist = lock(&entry.hist);
            let (stamp, declared) = (self.stamp(entry, &hist), self.declared(entry, &hist));
            // No run from before a declared change: the declaration overrules every witness.
            let is_stale = |run: &&Run| {
                run.version == rule.version()
                    && (declared..stamp).contains(&run.stamp)
                    && run.witness().is_some()
            };
            // A run with the present stamp is valid without evidence; and what the walk has asked is not asked again.
            if hist.runs.iter().any(|run| run.stamp == stamp) || hist.is_stale_in(self.epoch) {
                return;
            }
            let stale: Vec<(Run, Option<Hash>)> =
                hist.runs.iter().filter(is_stale).map(|run| (run.clone(), hist.hash_of(run.seq))).collect();
            (stamp, stale)
        };
        for (run, hash) in stale {
            let (Some(witness), Some(hash)) = (run.witness(), hash) else { continue };
            let witness = match guarded(|| rule.agrees(&entry.key, witness, hash)) {
                Ok(Agreement::Yes) => None,
                Ok(Agreement::YesBy(witness)) => {
                    // The new witness has to reach the file: with the old one each later process would read the content
                    // again.
                    self.engine.touch(id);
                    Some(witness)
                }
                // A rule that panics confirms nothing, so the leaf is read.
                Ok(Agreement::No) | Err(_) => continue,
            };
            return lock(&entry.hist).confirm(run.seq, stamp, witness);
        }
    }

    /// Verifies runs until the task is settled or has to wait.
    pub(crate) fn check(self: &Arc<Inner>, task: Task<'_>, mut check: Check) {
        let nests = Queue::may_nest(self);
        // The only thread of a build settles each read at once, so it never has to be resumed.
        let alone = nests && self.queue.is_alone();
        // Once for each group: what is still missing after that waits for another thread.
        let mut tried = alone || !nests;
        loop {
            if check.at == check.run.edges.len() {
                if task.node.policy.is_deep() && !self.is_what_if() {
                    self.note_leaves(task, &check.run);
                }
                return self.replay(task, check.run, check.is_clean);
            }
            let (mut missing, mut differs, mut all_clean) = (false, None, check.is_clean);
            let group = check.group();
            let after = check.at + group.len();
            for edge in group {
                let settled = self.settled_hash(edge.dep);
                let settled = settled.or_else(|| if alone { self.settle_alone(edge.dep) } else { None });
                let Some((now, is_clean)) = settled else {
                    missing = true;
                    continue;
                };
                all_clean &= is_clean;
                if !self.reads_the_same(&check, edge, now) {
                    // The first difference in the order of the reads is reported, whichever task was settled first.
                    differs = differs.or(Some((*edge, now)));
                }
            }
            if !missing && differs.is_none() && self.is_from_given(task.id, &check.run.edges) {
                differs = group.first().map(|edge| (*edge, Seq::NONE));
            }
            // The whole group is settled even if one read differs already: an execution would request all of it, too.
            if missing && !tried {
                tried = true;
                let unknown = group.iter().filter(|edge| self.seq(edge.dep).is_none());
                self.run_group(unknown.map(|edge| edge.dep), Part::Hash);
            } else if missing {
                match self.wait_for_group(task, check) {
                    Some(again) => check = again,
                    None => return,
                }
            } else if let Some((edge, now)) = differs {
                // The reported cause is that of the latest run. An equal version differs only where times are compared.
                check.cause.get_or_insert(if now == edge.seq {
                    Cause::Newer { dep: edge.dep }
                } else {
                    Cause::Read { dep: edge.dep, was: edge.seq, is: now }
                });
                match check.more.next() {
                    Some(run) => (check.run, check.at, check.is_clean) = (run, 0, true),
                    None => {
                        let cause = check.cause.expect("a run was verified");
                        return self.take_over_or_execute(task, cause);
                    }
                }
            } else {
                (check.at, check.is_clean, tried) = (after, all_clean, alone || !nests);
            }
        }
    }

    /// Whether a read agrees with the present version, in the facets that were read.
    fn reads_the_same(&self, check: &Check, edge: &Edge, now: Seq) -> bool {
        // Stored nowhere, or failed for now: such a result agrees with no recorded read, by time either.
        if now == Seq::NONE {
            return false;
        }
        if let Some(made) = check.made {
            let dep = self.engine.node(edge.dep);
            let rule = self.engine.rule(dep);
            let has_failed = self.clean_version(edge.dep).is_none()
                && lock(&self.slots.at(edge.dep).state).hash.done().is_some_and(|dep| dep.fail.is_some());
            let time = || guarded(|| rule.modtime(&dep.key)).ok().flatten();
            // What lies in the place of a task that failed is not its result, so its time means nothing.
            if !has_failed && let Some(of_dep) = time() {
                return of_dep <= made;
            }
        }
        if now == edge.seq {
            return true;
        }
        if edge.facets == Facets::WHOLE {
            return false;
        }
        // It may be clean by its number alone, without its versions being loaded.
        let _ = self.engine.load_versions(edge.dep);
        lock(&self.engine.node(edge.dep).hist).are_equal_in_facets(edge.seq, now, edge.facets)
    }

    /// Requests the whole group; returns the check if all answers are there already.
    fn wait_for_group(self: &Arc<Inner>, task: Task<'_>, check: Check) -> Option<Check> {
        let deps: Vec<NodeId> = check.group().iter().map(|edge| edge.dep).collect();
        match self.wait_for(task, deps, Part::Hash, Work::Check(check))? {
            Work::Check(check) => Some(check),
            _ => unreachable!("the work of a task in check is its check"),
        }
    }

    /// Suspends `work` until `part` of each of `deps` is settled; returns it if they are already, and drops it if the
    /// task was ended meanwhile.
    pub(crate) fn wait_for(
        self: &Arc<Inner>,
        Task { id, slot, .. }: Task<'_>,
        deps: Vec<NodeId>,
        part: Part,
        work: Work,
    ) -> Option<Work> {
        // One count for this function itself, so that the answers that arrive meanwhile do not resume the work before
        // all waiters are registered. Whichever thread counts down to zero takes the work.
        slot.pending.store(1, Ordering::Release);
        {
            let mut state = lock(&slot.state);
            if state.hash.done().is_some() {
                return None;
            }
            state.open().work = Some(work);
        }
        let mut jobs = Vec::new();
        for dep in deps {
            // Before the request: its answer may arrive at once.
            slot.pending.fetch_add(1, Ordering::AcqRel);
            let (answer, job) = self.ask(dep, part, Some(Waiter::Node(id)));
            if answer.is_some() {
                slot.pending.fetch_sub(1, Ordering::AcqRel);
            }
            jobs.extend(job);
        }
        // This thread is about to take one of them itself.
        self.queue.push_all(self, jobs.into_iter(), 1);
        // `AcqRel`, as where answers count down: whichever thread comes to zero sees all that the others wrote.
        if slot.pending.fetch_sub(1, Ordering::AcqRel) > 1 {
            return None;
        }
        lock(&slot.state).take_work()
    }

    /// Replays `run`, which was found good. `is_clean`: all that it read is clean, so the task becomes clean.
    pub(crate) fn replay(self: &Arc<Inner>, task: Task<'_>, run: Candidate, is_clean: bool) {
        if !self.is_what_if() {
            let mut hist = lock(&task.node.hist);
            let reordered = hist.used(&run.edges, run.seq);
            let stamp = self.stamp(task.node, &hist);
            // Only by the run that is first now: dependents are recorded along its reads. This run may have been
            // replaced by another build.
            let is_latest = |kept: &Run| kept.stamp == stamp && Arc::ptr_eq(&kept.edges, &run.edges);
            if is_clean && run.fail.is_none() && hist.runs.first().is_some_and(is_latest) {
                self.mark_clean(task, &mut hist, run.seq);
            }
            drop(hist);
            if reordered {
                self.engine.touch(task.id);
            }
        }
        self.log.replayed();
        self.settle(task, Outcome { seq: run.seq, fail: run.fail.map(Box::new) });
    }

    /// Settles a task whose hash is known: notifies the waiters, and fetches the value if it is wanted.
    pub(crate) fn settle(self: &Arc<Inner>, task: Task<'_>, outcome: Outcome) {
        self.conclude(task, outcome, None);
    }

    /// The same; with the value, if it was computed with the hash.
    pub(crate) fn conclude(self: &Arc<Inner>, task: Task<'_>, outcome: Outcome, value: Option<AnyValue>) {
        let (waiters, fetch) = {
            let mut state = lock(&task.slot.state);
            if state.hash.done().is_some() {
                return;
            }
            match (&outcome.fail, value) {
                (None, Some(value)) => state.value = Progress::Done(Ok(value)),
                (Some(fail), _) if state.by_store => state.value = Progress::Done(Err(fail.clone())),
                _ => {}
            }
            let fetch = outcome.fail.is_none() && state.wants_value && state.value.is_idle();
            if fetch {
                state.value = Progress::Busy;
            }
            // With the waiters taken under the same lock, a request sees the answer or is among them.
            state.hash = Progress::Done(outcome);
            (state.take_answered(), fetch)
        };
        self.notify(waiters);
        if fetch {
            self.fetch(task);
        }
    }
}
