//! What is kept of one task between builds: its key, its versions, its kept runs.
//!
//! Hashes are compared here only, when a version gets its number: a hash that the task had before gets the same number
//! again. So verifying a read is comparing two `u32`s. Most tasks have one version, one run and nothing else; the
//! layout (inline vectors, [`RareState`] behind a pointer) keeps these small, since there may be millions.

use std::any::Any;

use crate::graph::clean::CleanState;
use crate::graph::facet::FacetHashes;
use crate::graph::ids::{AnyValue, Seq, Unloaded};
use crate::graph::inline_vec::InlineVec;
use crate::graph::leaves::Leaves;
use crate::graph::run::{Edge, Run};
use crate::sync::{Arc, Mutex};
use crate::{Facets, Hash, Policy};

/// How many versions of a task are distinguished at least; up to twice as many are kept.
// More than the runs that policies usually keep: a version in a kept run of a dependent is rarely dropped. If it is,
// that run agrees with nothing and the dependent executes.
const MIN_VERSIONS: usize = 16;

/// The history of a task: what is kept from earlier builds.
#[derive(Default)]
pub(crate) struct Hist {
    /// The hash of each version that was not dropped.
    hashes: InlineVec<Hash>,
    /// The runs kept, latest use first.
    pub(crate) runs: InlineVec<Run>,
    /// The latest value in memory, and its version.
    // Apart from the runs: a verifying trace keeps no value with its runs, but the latest value is in memory all the
    // same.
    pub(crate) memory: Option<(Seq, AnyValue)>,
    /// The reads for which this task is among the dependents of what it read.
    pub(crate) noted: Option<Arc<[Edge]>>,
    /// What few tasks have, apart so that the others stay small.
    rare: Option<Box<RareState>>,
}

/// What few tasks have, all of it empty for most.
#[derive(Default)]
struct RareState {
    /// The place of the task in a file, and how many of its versions have the same numbers there.
    place: Option<Unloaded>,
    /// Whether the hashes of these versions are loaded, and whether the runs are.
    has_versions: bool,
    has_runs: bool,
    /// The hashes of the facets, by version; shorter if the last ones have none.
    facets: Vec<Option<FacetHashes>>,
    /// How many versions were dropped, from the first on.
    forgotten: u32,
    /// The latest epoch in which a leaf was verified by the numbers of the file and none of its runs was good.
    stale_in: u64,
    /// Its only run is a content that nothing but a what-if build has mentioned yet.
    unsaved: bool,
    /// Epochs in which the task was declared changed, ascending.
    // A list, since builds of several epochs may exist at once and each sees the declarations up to its own.
    changed: Vec<u64>,
    /// The versions and reads of runs that were replaced while an earlier build existed, which may still be asked about
    /// them; latest last.
    replaced: Vec<(Seq, Arc<[Edge]>)>,
    /// Values set from outside, with the epoch from which they hold, ascending.
    given: Vec<(u64, AnyValue)>,
}

impl Hist {
    /// The history of a new node.
    pub(crate) fn new(unloaded: Option<Unloaded>) -> Hist {
        let rare = unloaded.map(|_| Box::new(RareState { place: unloaded, ..RareState::default() }));
        Hist { rare, ..Hist::default() }
    }

    fn rare(&mut self) -> &mut RareState {
        self.rare.get_or_insert_default()
    }

    /// The place in a file, if the runs are not loaded from there yet.
    pub(crate) fn unloaded(&self) -> Option<Unloaded> {
        let rare = self.rare.as_ref()?;
        rare.place.filter(|_| !rare.has_runs)
    }

    /// The place of the task in a file.
    pub(crate) fn place(&self) -> Option<Unloaded> {
        self.rare.as_ref()?.place
    }

    /// Whether a version has the same number here and at this place of a file.
    pub(crate) fn is_seq_of(&self, generation: u64, number: u32, seq: Seq) -> bool {
        let Some(rare) = &self.rare else { return false };
        rare.place.is_some_and(|place| {
            (place.generation, place.number) == (generation, number)
                && (!rare.has_versions || seq.number() < place.versions)
        })
    }

    /// The number of `hash` for this node: the old one if it had this hash before, and few others since.
    pub(crate) fn seq_of(&mut self, hash: Hash) -> Seq {
        if let Some(known) = self.seq_with(hash) {
            return known;
        }
        // A task with a new hash in each build would otherwise take more memory as long as the engine lives.
        if self.hashes.len() == 2 * MIN_VERSIONS {
            self.forget_versions();
        }
        self.hashes.push(hash);
        Seq::new(self.forgotten() + self.hashes.len() as u32 - 1)
    }

    /// The number of the version with this hash, if it is known.
    pub(crate) fn seq_with(&self, hash: Hash) -> Option<Seq> {
        // A scan: most tasks have one version, none more than twice `MIN_VERSIONS`. From the end, since recent
        // versions come back more often.
        let at = self.hashes.iter().rposition(|known| *known == hash)?;
        Some(Seq::new(self.forgotten() + at as u32))
    }

    /// Drops the older half of the versions. A recorded read of one of them then agrees with no version.
    fn forget_versions(&mut self) {
        // Half of them at once, so that moving the rest costs little for each version.
        self.hashes.drop_front(MIN_VERSIONS);
        let rare = self.rare();
        rare.facets.drain(..MIN_VERSIONS.min(rare.facets.len()));
        rare.forgotten += MIN_VERSIONS as u32;
        let first = rare.forgotten;
        self.runs.retain(|run| run.seq.number() >= first);
    }

    /// How many versions were dropped.
    fn forgotten(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.forgotten)
    }

    /// The index of a version in `hashes` and `facets`.
    fn place_of(&self, seq: Seq) -> Option<usize> {
        seq.number().checked_sub(self.forgotten()).map(|place| place as usize)
    }

    pub(crate) fn hash_of(&self, seq: Seq) -> Option<Hash> {
        self.hashes.get(self.place_of(seq)?).copied()
    }

    /// The hashes of the facets of a version, if its rule has any.
    pub(crate) fn facets_of(&self, seq: Seq) -> Option<&FacetHashes> {
        self.rare.as_ref()?.facets.get(self.place_of(seq)?)?.as_ref()
    }

    /// Notes the hashes of the facets of a version.
    pub(crate) fn set_facets(&mut self, seq: Seq, facets: FacetHashes) {
        let Some(place) = self.place_of(seq) else { return };
        // Versions are numbered in order, so a vector by version is dense.
        let known = &mut self.rare().facets;
        if known.len() <= place {
            known.resize(place + 1, None);
        }
        known[place] = Some(facets);
    }

    /// Whether two versions are equal for a reader of only these facets.
    pub(crate) fn are_equal_in_facets(&self, a: Seq, b: Seq, facets: Facets) -> bool {
        let (Some(a), Some(b)) = (self.facets_of(a), self.facets_of(b)) else { return false };
        facets.are_equal_in(a, b)
    }

    /// The value of a version, if it is in memory.
    pub(crate) fn value_of(&self, seq: Seq) -> Option<AnyValue> {
        let in_trace = || self.runs.iter().filter(|run| run.seq == seq).find_map(Run::value);
        self.latest_value(seq).or_else(in_trace).cloned()
    }

    /// The latest value in memory, if it is that of a version.
    pub(crate) fn latest_value(&self, seq: Seq) -> Option<&AnyValue> {
        self.memory.as_ref().filter(|(of, _)| *of == seq).map(|(_, value)| value)
    }

    /// The latest epoch, not after `epoch`, in which the task was declared changed.
    pub(crate) fn stamp(&self, epoch: u64) -> u64 {
        let Some(rare) = &self.rare else { return 0 };
        rare.changed.iter().rev().copied().find(|changed| *changed <= epoch).unwrap_or(0)
    }

    /// Drops the declarations that no build can see; `oldest` is the epoch of the oldest build.
    pub(crate) fn forget_before(&mut self, oldest: u64) {
        let Some(rare) = &mut self.rare else { return };
        // The latest one that the oldest build sees stays: it is the stamp there.
        let seen = rare.changed.partition_point(|changed| *changed <= oldest);
        rare.changed.drain(..seen.saturating_sub(1));
        let seen = rare.given.partition_point(|(from, _)| *from <= oldest);
        rare.given.drain(..seen.saturating_sub(1));
    }

    pub(crate) fn declare_changed(&mut self, epoch: u64) {
        let changed = &mut self.rare().changed;
        if changed.last() != Some(&epoch) {
            changed.push(epoch);
        }
    }

    /// The value set from outside that holds in `epoch`.
    pub(crate) fn given_value(&self, epoch: u64) -> Option<AnyValue> {
        let given = &self.rare.as_ref()?.given;
        given.iter().rev().find(|(from, _)| *from <= epoch).map(|(_, value)| value.clone())
    }

    /// Sets the value from outside, from an epoch on.
    pub(crate) fn give(&mut self, epoch: u64, value: AnyValue) {
        let given = &mut self.rare().given;
        given.retain(|(from, _)| *from != epoch);
        given.push((epoch, value));
        self.declare_changed(epoch);
    }

    /// Whether a value was ever set from outside, as far as a build can see it.
    pub(crate) fn was_given(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.given.is_empty())
    }

    /// Loads the versions that are in a file, and the hashes of their facets, unless they are loaded. `None`: the file
    /// is gone or corrupt. Then no recorded read of the task may agree with any later version.
    pub(crate) fn load_versions(&mut self, known: Option<(Vec<Hash>, Vec<Option<FacetHashes>>)>) {
        let Some(rare) = &mut self.rare else { return };
        let Some(place) = rare.place.as_mut().filter(|_| !rare.has_versions) else { return };
        // With hashes that no task ever has, so that the numbers are taken and equal no version.
        let lost = || ((0..place.versions).map(Hash::lost).collect(), Vec::new());
        let (hashes, facets) = known.unwrap_or_else(lost);
        // Versions with higher numbers are of this process, and have other numbers in the file, or none.
        place.versions = hashes.len() as u32;
        rare.has_versions = true;
        (self.hashes, rare.facets) = (hashes.into(), facets);
    }

    /// Loads the runs that are in a file, unless another thread has done so.
    pub(crate) fn load_runs(&mut self, runs: Vec<Run>) {
        let Some(rare) = &mut self.rare else { return };
        if rare.place.is_some() && !rare.has_runs {
            rare.has_runs = true;
            self.runs = runs.into();
        }
    }

    /// Notes that a content was mentioned, by a what-if build or another one. Returns whether it has to be written to
    /// the file.
    pub(crate) fn note_mention(&mut self, is_new: bool, by_what_if: bool) -> bool {
        if by_what_if {
            if is_new {
                self.rare().unsaved = true;
            }
            return false;
        }
        let was_unsaved = self.rare.as_mut().is_some_and(|rare| std::mem::take(&mut rare.unsaved));
        is_new || was_unsaved
    }

    /// Notes that no run of a leaf is good in an epoch.
    pub(crate) fn note_stale_in(&mut self, epoch: u64) {
        self.rare().stale_in = epoch;
    }

    /// Whether it is known that no run of a leaf is good in an epoch.
    pub(crate) fn is_stale_in(&self, epoch: u64) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.stale_in == epoch)
    }

    /// Sets the leaves below the kept run with these reads and this version. Returns whether they differ from those
    /// before, or those were no longer valid, so that the file has to be updated.
    pub(crate) fn set_leaves(
        &mut self,
        edges: &Arc<[Edge]>,
        seq: Seq,
        leaves: Leaves,
        holds: impl Fn(&Leaves) -> bool,
    ) -> bool {
        // By pointer: a run that another thread recorded since may have other leaves, even with equal reads.
        let same = |run: &&Run| run.seq == seq && Arc::ptr_eq(&run.edges, edges);
        let Some(run) = self.runs.iter().find(same) else { return false };
        let is_new = run.leaves().is_none_or(|known| !known.is_like(&leaves) || !holds(known));
        self.put_leaves(edges, seq, Arc::new(leaves));
        is_new
    }

    /// Sets the leaves, in another representation.
    pub(crate) fn put_leaves(&mut self, edges: &Arc<[Edge]>, seq: Seq, leaves: Arc<Leaves>) {
        let mut runs = self.runs.iter_mut();
        if let Some(run) = runs.find(|run| run.seq == seq && Arc::ptr_eq(&run.edges, edges)) {
            run.set_leaves(leaves);
        }
    }

    /// Replaces what is not loaded yet by nothing: the file that the task was in is gone or corrupt.
    pub(crate) fn drop_unloaded(&mut self) {
        self.load_versions(None);
        self.load_runs(Vec::new());
    }

    /// Notes that the leaf still has the result of a kept run, as of `stamp`.
    pub(crate) fn confirm(&mut self, seq: Seq, stamp: u64, witness: Option<Vec<u8>>) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.seq == seq) {
            run.stamp = stamp;
            if let Some(witness) = witness {
                run.set_witness(witness.into());
            }
        }
    }

    /// Keeps `run` as the latest, in place of a kept one with the same reads; of a task that is verified by leaves
    /// only, in place of those without valid leaves (`leaves_hold`). `is_alone`: no other build exists that may be
    /// asked about the runs that are replaced.
    pub(crate) fn record(
        &mut self,
        run: Run,
        policy: Policy,
        is_alone: bool,
        leaves_hold: impl Fn(&Leaves) -> bool,
    ) {
        // Another build may still ask by which reads it found the task good.
        let others = if is_alone { Vec::new() } else { self.all_reads() };
        let is_replaced = |kept: &Run| {
            if policy.is_only_by_leaves() {
                // Its result may differ even if the reads are the same.
                !kept.leaves().is_some_and(|leaves| leaves_hold(leaves))
            } else {
                same_reads(&kept.edges, &run.edges)
            }
        };
        self.runs
            .retain(|kept| !(kept.version == run.version && kept.stamp == run.stamp && is_replaced(kept)));
        if policy.runs == 0 {
            return;
        }
        // The least recently used ones go: `used` moves a run to the front when it is replayed.
        self.runs.truncate(policy.runs as usize - 1);
        self.runs.push_front(run);
        let is_gone = |(seq, edges): &(Seq, Arc<[Edge]>)| {
            !self.runs.iter().any(|kept| kept.seq == *seq && Arc::ptr_eq(&kept.edges, edges))
        };
        let gone: Vec<_> = others.into_iter().filter(is_gone).collect();
        if !gone.is_empty() {
            let replaced = &mut self.rare().replaced;
            replaced.extend(gone);
            replaced.drain(..replaced.len().saturating_sub(MIN_VERSIONS));
        } else if let Some(rare) = self.rare.as_mut().filter(|_| is_alone) {
            rare.replaced.clear();
        }
    }

    /// The version and the reads of each kept run.
    fn all_reads(&self) -> Vec<(Seq, Arc<[Edge]>)> {
        self.runs.iter().map(|run| (run.seq, run.edges.clone())).collect()
    }

    /// The reads of the run with this version: those of the latest such run; if not `is_alone`, those of all such runs,
    /// since another build may have used one after this one did.
    pub(crate) fn reads_of(&self, seq: Seq, is_alone: bool) -> Vec<Arc<[Edge]>> {
        let kept = self.runs.iter().filter(|run| run.seq == seq).map(|run| run.edges.clone());
        if is_alone {
            return kept.take(1).collect();
        }
        let replaced = self.rare.iter().flat_map(|rare| rare.replaced.iter());
        kept.chain(replaced.filter(|(of, _)| *of == seq).map(|(_, edges)| edges.clone())).collect()
    }

    /// Notes that the kept run with these reads was found good: runs are dropped least recently used first.
    ///
    /// Returns whether the order of the runs changed.
    pub(crate) fn used(&mut self, edges: &Arc<[Edge]>, seq: Seq) -> bool {
        let found = self.runs.iter().position(|kept| kept.seq == seq && Arc::ptr_eq(&kept.edges, edges));
        if let Some(at) = found {
            self.runs[..=at].rotate_right(1);
        }
        found.is_some_and(|at| at > 0)
    }
}

/// Whether both runs read the same versions of the same tasks in the same order.
fn same_reads(a: &[Edge], b: &[Edge]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| (a.dep, a.seq) == (b.dep, b.seq))
}

/// A task. A node is never dropped before the engine, so its number is valid for as long.
// Never moved or freed, so nodes are borrowed without counting references.
pub(crate) struct Node {
    pub(crate) rule: u16,
    pub(crate) key: Arc<dyn Any + Send + Sync>,
    // Asked once, when the node is made: the rule is user code.
    pub(crate) policy: Policy,
    pub(crate) hist: Mutex<Hist>,
    pub(crate) clean: CleanState,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recent_versions_keep_their_numbers_and_memory_is_bounded() {
        let mut hist = Hist::new(None);
        let first = hist.seq_of(Hash::from(0));
        hist.set_facets(first, Arc::from([7]));
        for number in 1..MIN_VERSIONS as u64 {
            hist.seq_of(Hash::from(number));
        }
        assert_eq!(hist.seq_of(Hash::from(0)), first);
        let mut seen = vec![first];
        for number in MIN_VERSIONS as u64..1_000 {
            let seq = hist.seq_of(Hash::from(number));
            assert!(!seen.contains(&seq), "a number means one version only");
            assert_eq!(hist.hash_of(seq), Some(Hash::from(number)));
            hist.set_facets(seq, Arc::from([number.into()]));
            seen.push(seq);
        }
        assert_eq!((hist.hash_of(first), hist.facets_of(first)), (None, None));
        assert!(hist.hashes.len() <= 2 * MIN_VERSIONS && hist.rare().facets.len() <= 2 * MIN_VERSIONS);
        let last = seen[seen.len() - MIN_VERSIONS];
        assert_eq!(hist.hash_of(last), Some(Hash::from(1_000 - MIN_VERSIONS as u64)));
        assert_eq!(hist.facets_of(last).unwrap()[..], [1_000 - MIN_VERSIONS as u128]);
    }
}
