//! Verification of many leaves by two threads.
//!
//! Asking a leaf's rule whether it agrees is mostly waiting for the system. Below a task with a large leaf set a second
//! thread takes its share of the leaves, batch by batch in their order, until one has changed. The verdicts are
//! recorded afterwards, by the thread of the walk; so each leaf is asked once, and which one is the first that changed
//! does not depend on the schedule. Some leaves behind that one may have been asked in vain.

use super::runs::{AnyRun, AnyRuns};
use super::{Damaged, LocalRule, UNDECIDED, UNVISITED, Walker};
use crate::Agreement;
use crate::graph::fail::guarded;
use crate::persist::leaves::LeafSet;
use crate::persist::stored::Stored;
use crate::persist::stored_run::StoredRun;
use crate::schedule::inner::Inner;
use crate::sync::{
    atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

/// How many leaves are worth a second thread; few where tests run under many schedules.
// A few leaves are verified before a second thread has started.
const MIN_SHARED_LEAVES: usize = if cfg!(shuttle) { 2 } else { 2000 };

/// How many leaves a thread takes at once.
// Small, so that both threads end at about the same time; large, so that the counter is rarely contended.
const LEAVES_PER_BATCH: usize = if cfg!(shuttle) { 1 } else { 128 };

/// The verdict of a leaf by its kept runs.
enum LeafVerdict {
    /// It is a leaf, and this run is good, with a refreshed witness if there is one.
    Good { run: usize, seq: u32, has_failed: bool, witness: Option<Vec<u8>> },
    /// It is a leaf, and no run is good.
    Stale,
    /// It is not a leaf without reads: nothing was asked.
    Other,
}

/// Asks a leaf's rule whether a run is good.
pub(super) fn ask_rule(
    inner: &Inner,
    stored: &Stored,
    (task, here): (u32, LocalRule),
    run: &AnyRun<'_>,
    key: &mut Vec<u8>,
) -> Result<Agreement, Damaged> {
    let Some(witness) = run.witness.read().ok_or(Damaged)? else { return Ok(Agreement::No) };
    key.clear();
    stored.key(task, key).ok_or(Damaged)?;
    let hash = stored.hash(task, run.seq).ok_or(Damaged)?;
    let rule = inner.engine.rule_at(here.rule);
    let agreement = guarded(|| Some(rule.agrees(&rule.decode(key)?, &witness, hash)));
    Ok(agreement.ok().flatten().unwrap_or(Agreement::No))
}

/// What a thread needs to verify leaves: shared, and nothing that it changes.
#[derive(Clone, Copy)]
struct LeafCheck<'e> {
    inner: &'e Inner,
    stored: &'e Stored,
    rules: &'e [Option<LocalRule>],
}

impl LeafCheck<'_> {
    /// Verifies a task, if it is a leaf without reads in all its kept runs.
    fn verify(self, task: u32, key: &mut Vec<u8>) -> Result<LeafVerdict, Damaged> {
        let rule = self.stored.rule(task).ok_or(Damaged)?;
        let Some(here) = self.rules.get(usize::from(rule)).copied().flatten() else {
            return Ok(LeafVerdict::Other);
        };
        let mut runs = AnyRuns::of(self.stored, task);
        let mut count = 0;
        while let Some(run) = runs.next()? {
            // Anything else needs the walk, which only one thread has.
            if run.traits & !StoredRun::INTERNED != StoredRun::LEAF || !run.edges.is_empty() {
                return Ok(LeafVerdict::Other);
            }
            count += usize::from(run.version == here.version);
        }
        if count == 0 {
            return Ok(LeafVerdict::Other);
        }
        let mut runs = AnyRuns::of(self.stored, task);
        let mut at = 0;
        while let Some(run) = runs.next()? {
            if run.version == here.version {
                let witness = match ask_rule(self.inner, self.stored, (task, here), &run, key)? {
                    Agreement::Yes => Some(None),
                    Agreement::YesBy(witness) => Some(Some(witness)),
                    Agreement::No => None,
                };
                if let Some(witness) = witness {
                    let AnyRun { seq, has_failed, .. } = run;
                    return Ok(LeafVerdict::Good { run: at, seq, has_failed, witness });
                }
            }
            at += 1;
        }
        Ok(LeafVerdict::Stale)
    }
}

impl Walker<'_> {
    /// Verifies the unvisited leaves of a set, if there are many and the build may use two threads.
    pub(super) fn verify_ahead(&mut self, leaves: &LeafSet) -> Result<(), Damaged> {
        let count: usize = leaves.ranges.iter().map(|range| range.count as usize).sum();
        if count < MIN_SHARED_LEAVES || self.inner.queue.is_alone() {
            return Ok(());
        }
        let mut unknown = Vec::new();
        leaves.each(|leaf, seq| {
            if self.walk.verdicts.get(leaf) == Some(UNVISITED) {
                unknown.push((leaf, seq));
            }
        });
        if unknown.len() < MIN_SHARED_LEAVES {
            return Ok(());
        }
        let check = LeafCheck { inner: self.inner, stored: self.stored, rules: &self.walk.rules };
        // Relaxed: `next` only hands out batches, `is_over` only saves work; the verdicts are read after the join.
        let (next, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
        let work = || {
            let (mut found, mut key) = (Vec::with_capacity(unknown.len() / 2 + LEAVES_PER_BATCH), Vec::new());
            while !is_over.load(Ordering::Relaxed) {
                let from = next.fetch_add(LEAVES_PER_BATCH, Ordering::Relaxed).min(unknown.len());
                let block = &unknown[from..unknown.len().min(from + LEAVES_PER_BATCH)];
                if block.is_empty() {
                    break;
                }
                for (leaf, was) in block {
                    let verdict = check.verify(*leaf, &mut key);
                    let is_same = matches!(&verdict, Ok(LeafVerdict::Good { seq, .. }) if seq == was);
                    let ends = !is_same && !matches!(verdict, Ok(LeafVerdict::Other));
                    found.push((*leaf, verdict));
                    if ends {
                        // All leaves before it are in batches that were taken before, which are finished.
                        is_over.store(true, Ordering::Relaxed);
                        break;
                    }
                }
            }
            found
        };
        let all = thread::scope(|scope| {
            // Without a second thread it is slower, not wrong.
            #[cfg(not(shuttle))]
            let other = thread::Builder::new().name("leaves".into()).spawn_scoped(scope, work).ok();
            #[cfg(shuttle)]
            let other = Some(scope.spawn(work));
            let own = work();
            // After a panic there its leaves are as if not visited, and are asked one by one.
            [Some(own), other.and_then(|other| other.join().ok())]
        });
        for (leaf, verdict) in all.into_iter().flatten().flatten() {
            self.note(leaf, verdict?);
        }
        Ok(())
    }

    fn note(&mut self, leaf: u32, verdict: LeafVerdict) {
        match verdict {
            LeafVerdict::Good { run, seq, has_failed, witness } => {
                if let Some(witness) = witness {
                    self.walk.refresh_witness(leaf, run, witness.into());
                }
                self.walk.leaf_is_good(leaf, run, (!has_failed).then_some(seq));
            }
            LeafVerdict::Stale => {
                self.walk.stale.insert(leaf);
                self.walk.verdicts.set(leaf, UNDECIDED);
            }
            LeafVerdict::Other => {}
        }
    }
}
