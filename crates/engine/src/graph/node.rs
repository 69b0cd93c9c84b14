//! What the engine knows of one task between builds: its key, the versions it had, the runs kept.
//!
//! A hash that comes back gets its old number back. Hashes are never compared anywhere else.

use std::any::Any;

use crate::graph::clean::CleanState;
use crate::graph::facet::FacetHashes;
use crate::graph::ids::{AnyValue, Seq, Unloaded};
use crate::graph::inline_vec::InlineVec;
use crate::graph::leaves::Leaves;
use crate::graph::run::{Edge, Run};
use crate::sync::{Arc, Mutex};
use crate::{Facets, Hash, Policy};

/// So many versions of a task are told apart at least.
const MIN_VERSIONS: usize = 16;

/// What is known of a task from earlier builds.
#[derive(Default)]
pub(crate) struct Hist {
    /// The hash of each version that was not forgotten.
    hashes: InlineVec<Hash>,
    /// The runs kept, latest use first.
    pub(crate) runs: InlineVec<Run>,
    /// The latest value at hand, and the version it is the value of.
    pub(crate) memory: Option<(Seq, AnyValue)>,
    /// The reads by which others know that this task depends on them.
    pub(crate) noted: Option<Arc<[Edge]>>,
    /// What few tasks have.
    rare: Option<Box<Rare>>,
}

/// What few tasks have, all of it empty for most.
#[derive(Default)]
struct Rare {
    /// Where a file tells of the task, and how many of its versions have the numbers that they have there.
    place: Option<Unloaded>,
    /// Whether the hashes of these versions are here, and whether the runs are.
    has_versions: bool,
    has_runs: bool,
    /// The hashes of the facets, by version; shorter if the last ones have none.
    facets: Vec<Option<FacetHashes>>,
    /// How many versions were forgotten, from the first on.
    forgotten: u32,
    /// The latest epoch in which a leaf was looked at by numbers and none of its runs was good.
    stale_in: u64,
    /// Its only run is a content that nothing but a question has mentioned yet.
    unsaved: bool,
    /// Epochs in which the task was declared changed, ascending.
    changed: Vec<u64>,
    /// The versions and reads of runs that were replaced while an earlier build than the one that replaced them was
    /// still there to be asked, latest last.
    replaced: Vec<(Seq, Arc<[Edge]>)>,
    /// Values given from outside, with the epoch from which they hold, ascending.
    injected: Vec<(u64, AnyValue)>,
}

impl Hist {
    /// Of a task that nobody has asked for yet.
    pub(crate) fn new(unloaded: Option<Unloaded>) -> Hist {
        let rare = unloaded.map(|_| Box::new(Rare { place: unloaded, ..Rare::default() }));
        Hist { rare, ..Hist::default() }
    }

    fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// What a file knows, before anybody has looked.
    pub(crate) fn unloaded(&self) -> Option<Unloaded> {
        let rare = self.rare.as_ref()?;
        rare.place.filter(|_| !rare.has_runs)
    }

    /// Where a file tells of the task.
    pub(crate) fn place(&self) -> Option<Unloaded> {
        self.rare.as_ref()?.place
    }

    /// Whether a version has the same number here and at a place in a file.
    pub(crate) fn is_seq_of(&self, generation: u64, number: u32, seq: Seq) -> bool {
        let Some(rare) = &self.rare else { return false };
        rare.place.is_some_and(|place| {
            (place.generation, place.number) == (generation, number)
                && (!rare.has_versions || seq.number() < place.versions)
        })
    }

    /// The number of `hash` for this node: the old one if it had this hash before, and not too many since.
    pub(crate) fn seq_of(&mut self, hash: Hash) -> Seq {
        if let Some(known) = self.seq_with(hash) {
            return known;
        }
        if self.hashes.len() == 2 * MIN_VERSIONS {
            self.forget_versions();
        }
        self.hashes.push(hash);
        Seq::new(self.forgotten() + self.hashes.len() as u32 - 1)
    }

    /// The number of the version with this hash, if it is known.
    pub(crate) fn seq_with(&self, hash: Hash) -> Option<Seq> {
        let at = self.hashes.iter().rposition(|known| *known == hash)?;
        Some(Seq::new(self.forgotten() + at as u32))
    }

    /// Forgets the older half of the versions. What has read one of them agrees with nothing any more.
    fn forget_versions(&mut self) {
        self.hashes.drop_front(MIN_VERSIONS);
        let rare = self.rare();
        rare.facets.drain(..MIN_VERSIONS.min(rare.facets.len()));
        rare.forgotten += MIN_VERSIONS as u32;
        let first = rare.forgotten;
        self.runs.retain(|run| run.seq.number() >= first);
    }

    /// How many versions were forgotten.
    fn forgotten(&self) -> u32 {
        self.rare.as_ref().map_or(0, |rare| rare.forgotten)
    }

    /// The place of what is known of a version.
    fn place_of(&self, seq: Seq) -> Option<usize> {
        seq.number().checked_sub(self.forgotten()).map(|place| place as usize)
    }

    pub(crate) fn hash_of(&self, seq: Seq) -> Option<Hash> {
        self.hashes.get(self.place_of(seq)?).copied()
    }

    /// The hashes of the facets of a version, if its rule tells any apart.
    pub(crate) fn facets_of(&self, seq: Seq) -> Option<&FacetHashes> {
        self.rare.as_ref()?.facets.get(self.place_of(seq)?)?.as_ref()
    }

    /// Notes the hashes of the facets of a version.
    pub(crate) fn set_facets(&mut self, seq: Seq, facets: FacetHashes) {
        let Some(place) = self.place_of(seq) else { return };
        let known = &mut self.rare().facets;
        if known.len() <= place {
            known.resize(place + 1, None);
        }
        known[place] = Some(facets);
    }

    /// Whether two versions are the same for who sees only these facets.
    pub(crate) fn are_equal_in_facets(&self, a: Seq, b: Seq, facets: Facets) -> bool {
        let (Some(a), Some(b)) = (self.facets_of(a), self.facets_of(b)) else { return false };
        facets.are_equal_in(a, b)
    }

    /// The value of a version, if it is in memory.
    pub(crate) fn value_of(&self, seq: Seq) -> Option<AnyValue> {
        let latest = self.memory.as_ref().filter(|(of, _)| *of == seq).map(|(_, value)| value);
        let in_trace = || self.runs.iter().filter(|run| run.seq == seq).find_map(Run::value);
        latest.or_else(in_trace).cloned()
    }

    /// The latest epoch, not after `epoch`, in which the task was declared changed.
    pub(crate) fn stamp(&self, epoch: u64) -> u64 {
        let Some(rare) = &self.rare else { return 0 };
        rare.changed.iter().rev().copied().find(|changed| *changed <= epoch).unwrap_or(0)
    }

    /// Forgets the declarations that no build can see, `oldest` being the epoch of the oldest one.
    pub(crate) fn forget_before(&mut self, oldest: u64) {
        let Some(rare) = &mut self.rare else { return };
        let seen = rare.changed.partition_point(|changed| *changed <= oldest);
        rare.changed.drain(..seen.saturating_sub(1));
        let seen = rare.injected.partition_point(|(from, _)| *from <= oldest);
        rare.injected.drain(..seen.saturating_sub(1));
    }

    pub(crate) fn declare_changed(&mut self, epoch: u64) {
        let changed = &mut self.rare().changed;
        if changed.last() != Some(&epoch) {
            changed.push(epoch);
        }
    }

    /// The value given from outside that holds in `epoch`.
    pub(crate) fn injected(&self, epoch: u64) -> Option<AnyValue> {
        let injected = &self.rare.as_ref()?.injected;
        injected.iter().rev().find(|(from, _)| *from <= epoch).map(|(_, value)| value.clone())
    }

    pub(crate) fn inject(&mut self, epoch: u64, value: AnyValue) {
        let injected = &mut self.rare().injected;
        injected.retain(|(from, _)| *from != epoch);
        injected.push((epoch, value));
        self.declare_changed(epoch);
    }

    pub(crate) fn is_injected(&self) -> bool {
        self.rare.as_ref().is_some_and(|rare| !rare.injected.is_empty())
    }

    /// Takes over the versions that a file knows, and how their facets look, unless they are here. `None`: the file is no more. What others
    /// have recorded of reading the task must then agree with nothing that comes.
    pub(crate) fn know_versions(&mut self, known: Option<(Vec<Hash>, Vec<Option<FacetHashes>>)>) {
        let Some(rare) = &mut self.rare else { return };
        let Some(place) = rare.place.as_mut().filter(|_| !rare.has_versions) else { return };
        let lost = || ((0..place.versions).map(Hash::lost).collect(), Vec::new());
        let (hashes, facets) = known.unwrap_or_else(lost);
        place.versions = hashes.len() as u32;
        rare.has_versions = true;
        (self.hashes, rare.facets) = (hashes.into(), facets);
    }

    /// Takes over the runs that a file knows, unless another thread was faster.
    pub(crate) fn remember(&mut self, runs: Vec<Run>) {
        let Some(rare) = &mut self.rare else { return };
        if rare.place.is_some() && !rare.has_runs {
            rare.has_runs = true;
            self.runs = runs.into();
        }
    }

    /// Notes that a content was mentioned: by a question only, or else. Tells whether the file is to have it now.
    pub(crate) fn is_mentioned(&mut self, is_new: bool, by_question: bool) -> bool {
        if by_question {
            if is_new {
                self.rare().unsaved = true;
            }
            return false;
        }
        let was_unsaved = self.rare.as_mut().is_some_and(|rare| std::mem::take(&mut rare.unsaved));
        is_new || was_unsaved
    }

    /// Notes that none of the runs of a leaf holds in an epoch.
    pub(crate) fn note_stale_in(&mut self, epoch: u64) {
        self.rare().stale_in = epoch;
    }

    /// Whether it is known that none of the runs of a leaf holds in an epoch.
    pub(crate) fn is_stale_in(&self, epoch: u64) -> bool {
        self.rare.as_ref().is_some_and(|rare| rare.stale_in == epoch)
    }

    /// Notes the leaves below the kept run that read this and came to `seq`. Tells whether they are others than those
    /// before, or those do not hold any more, so that the file may not have them.
    pub(crate) fn set_leaves(
        &mut self,
        edges: &Arc<[Edge]>,
        seq: Seq,
        leaves: Leaves,
        holds: impl Fn(&Leaves) -> bool,
    ) -> bool {
        let same = |run: &&Run| run.seq == seq && Arc::ptr_eq(&run.edges, edges);
        let Some(run) = self.runs.iter().find(same) else { return false };
        let is_new = run.leaves().is_none_or(|known| !known.is_like(&leaves) || !holds(known));
        self.put_leaves(edges, seq, Arc::new(leaves));
        is_new
    }

    /// The same, told otherwise.
    pub(crate) fn put_leaves(&mut self, edges: &Arc<[Edge]>, seq: Seq, leaves: Arc<Leaves>) {
        let mut runs = self.runs.iter_mut();
        if let Some(run) = runs.find(|run| run.seq == seq && Arc::ptr_eq(&run.edges, edges)) {
            run.set_leaves(leaves);
        }
    }

    /// The file that knew the task is no more.
    pub(crate) fn lose(&mut self) {
        self.know_versions(None);
        self.remember(Vec::new());
    }

    /// Notes that the leaf still comes to the result of a kept run, as of `stamp`.
    pub(crate) fn confirm(&mut self, seq: Seq, stamp: u64, witness: Option<Vec<u8>>) {
        if let Some(run) = self.runs.iter_mut().find(|run| run.seq == seq) {
            run.stamp = stamp;
            if let Some(witness) = witness {
                run.set_witness(witness.into());
            }
        }
    }

    /// Keeps `run` as the latest, in place of a kept one that read the same; of a task that goes by leaves only, in place
    /// of those of which `leaves_hold` says that no leaves tell any more that they are good. `is_alone`: no build but the
    /// one that made the run can be asked what it was made from.
    pub(crate) fn record(
        &mut self,
        run: Run,
        policy: Policy,
        is_alone: bool,
        leaves_hold: impl Fn(&Leaves) -> bool,
    ) {
        let others = if is_alone { Vec::new() } else { self.all_reads() };
        let is_replaced = |kept: &Run| {
            if policy.is_only_by_leaves() {
                // Its result may be another one, whatever it read.
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

    /// What the run read that came to a version: that of the latest such run; if not `is_alone`, those of all there
    /// were, since another build may have used one after this one did.
    pub(crate) fn reads_of(&self, seq: Seq, is_alone: bool) -> Vec<Arc<[Edge]>> {
        let kept = self.runs.iter().filter(|run| run.seq == seq).map(|run| run.edges.clone());
        if is_alone {
            return kept.take(1).collect();
        }
        let replaced = self.rare.iter().flat_map(|rare| rare.replaced.iter());
        kept.chain(replaced.filter(|(of, _)| *of == seq).map(|(_, edges)| edges.clone())).collect()
    }

    /// Notes that the kept run that came to `seq` by these reads was found good: the one to be dropped is the one
    /// longest unused.
    ///
    /// Tells whether that changes which one it is.
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

/// A task, for as long as the engine lives.
pub(crate) struct Node {
    pub(crate) rule: u16,
    pub(crate) key: Arc<dyn Any + Send + Sync>,
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
