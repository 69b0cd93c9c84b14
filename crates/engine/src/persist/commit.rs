//! Commits: writes to the file the runs of all tasks whose kept runs differ from those in it.
//!
//! A commit takes the lock on the file (between processes), then `Persist::state`, reads what other processes appended,
//! and appends one journal batch; or it writes a whole snapshot, if there is no file, it is corrupt, or its journal has
//! grown too long. If writing fails, what was to be written is noted again, so that the next commit tries again.

use std::collections::HashMap;
use std::io;
use std::time::SystemTime;

use super::file_number::new_number;
use super::journal::{Batch, RunListItem};
use super::leaves::{LeafSet, Range};
use super::snapshot_builder::{Image, RunFields, SnapshotBuilder};
use super::stored::Stored;
use super::stored_run::{StoredEdge, StoredRun};
use super::walk::RunUpdate;
use super::{FileState, Persist, TraceWrite};
use crate::graph::bits::Bits;
use crate::graph::core::Core;
use crate::graph::facet::FacetHashes;
use crate::graph::ids::{NodeId, Seq};
use crate::graph::intern::BuildFastHasher;
use crate::graph::leaves::{Leaves, Part};
use crate::graph::node::Node;
use crate::graph::run::{Edge, Mode, Run};
use crate::sync::{Arc, lock};
use crate::{Facets, Fail, Hash, Rebuild, Trace};

/// The file is written anew when its journal is more than one in this many of its bytes,
// The whole journal is decoded whenever the file is opened, of the snapshot only the table: so the journal has to
// stay a small part.
const MAX_JOURNAL_DIVISOR: u64 = 4;

/// and longer than this: a small file is not worth the work.
// 64 KiB.
const MIN_JOURNAL_BYTES: u64 = 1 << 16;

/// What [`crate::Engine::commit`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Committed {
    /// How many tasks had changes in their kept runs.
    pub tasks: usize,
    /// How many bytes were written.
    pub bytes: u64,
}

impl Core {
    /// Writes what is new to the file.
    pub(crate) fn commit(&self) -> io::Result<Committed> {
        let core = self;
        let Some(persist) = core.persist() else { return Ok(Committed::default()) };
        // Taken out first, so that what another thread notes from here on is left for the next commit.
        let mut dirty = std::mem::take(&mut *lock(&persist.dirty));
        // A task is noted each time its runs change. Ascending, so that tasks that were requested one after the other
        // lie side by side in the file.
        dirty.sort_unstable();
        dirty.dedup();
        let wanted: Vec<NodeId> = std::mem::take(&mut *lock(&persist.wanted)).into_iter().collect();
        let changed_rules = std::mem::take(&mut *lock(&persist.changed_rules));
        let invalid_leaf_sets = std::mem::take(&mut *lock(&persist.invalid_leaf_sets));
        // A null build must not take the lock on the file, nor write.
        let is_quiet = dirty.is_empty() && changed_rules.is_empty() && invalid_leaf_sets.is_empty();
        if is_quiet && !persist.has_updates() && is_noted(core, persist, &wanted) {
            return Ok(Committed::default());
        }
        // Borrowed: if writing fails, the lists are put back.
        let what = CommitInput {
            dirty: &dirty,
            wanted: &wanted,
            changed_rules: &changed_rules,
            invalid_leaf_sets: &invalid_leaf_sets,
        };
        let written = write(core, persist, what);
        if written.is_err() {
            lock(&persist.invalid_leaf_sets).extend(invalid_leaf_sets);
            lock(&persist.changed_rules).extend(changed_rules);
            lock(&persist.dirty).extend(dirty);
            lock(&persist.wanted).extend(wanted);
        }
        written
    }
}

/// The number of a task in the file of a generation, from `numbers` or the place of the task.
fn number_of(core: &Core, numbers: &[u32], generation: u64, node: NodeId) -> Option<u32> {
    let noted = numbers.get(node as usize).and_then(|number| number.checked_sub(1));
    let place = || lock(&core.node(node).hist).place();
    noted.or_else(|| Some(place().filter(|place| place.generation == generation)?.number))
}

/// Seconds of a day.
const DAY: u32 = 86_400;

/// Whether it is recorded in the file that all these tasks were wanted lately.
fn is_noted(core: &Core, persist: &Persist, wanted: &[NodeId]) -> bool {
    if wanted.is_empty() {
        return true;
    }
    let state = &mut *lock(&persist.state);
    let stored = state.stored(&*persist.file).clone();
    let now = now();
    let is_noted = wanted.iter().all(|node| {
        let number = number_of(core, &state.numbers, state.generation, *node);
        number.is_some_and(|number| !stored.has_runs(number) || !is_late(stored.wanted_at(number), now))
    });
    is_noted && !stored.is_damaged()
}

/// Whether a task that was wanted at a time has to be recorded again: once a day is enough, so that a null build does
/// not write to the file each time.
fn is_late(at: Option<u32>, now: u32) -> bool {
    at.is_none_or(|at| now.saturating_sub(at) >= DAY)
}

/// Seconds since 1970.
// 32 bits of seconds last until 2106, and keep the tables of times small.
fn now() -> u32 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u32::try_from(since.as_secs()).unwrap_or(u32::MAX)
}

/// What is to be written.
#[derive(Clone, Copy)]
struct CommitInput<'c> {
    dirty: &'c [NodeId],
    wanted: &'c [NodeId],
    /// Rules whose tasks were all declared changed since the last commit.
    changed_rules: &'c [u16],
    /// Rules with a declared change, since then, of a task that is not a leaf.
    invalid_leaf_sets: &'c [u16],
}

fn write(core: &Core, persist: &Persist, what: CommitInput<'_>) -> io::Result<Committed> {
    // The lock between processes is taken before `state`, and held to the end: numbers of new tasks must not be given
    // by two processes.
    let file = &mut *persist.file.lock()?;
    let state = &mut *lock(&persist.state);
    state.catch_up(&*persist.file)?;
    let (stamps, leaf_sets_invalidated) = (core.declared_of_rules(), core.leaf_sets_invalidated());
    let commit = Commit { core, stamps, leaf_sets_invalidated, what, now: now() };
    // The walk's lock under `state`: the other way round than elsewhere, which is safe while no build runs.
    let updates = persist.take_updates(state.generation);
    let bytes = if state.read_to > 0 { commit.append_changes(state, persist, file, updates)? } else { None };
    let bytes = match bytes {
        Some(bytes) => bytes,
        // There is no file, or it is corrupt.
        None => commit.write_snapshot(state, file)?,
    };
    Ok(Committed { tasks: what.dirty.len(), bytes })
}

/// A commit.
struct Commit<'c> {
    core: &'c Core,
    /// By rule, the last epoch in which all its tasks were declared changed.
    stamps: Arc<[u64]>,
    /// By rule, the last epoch in which a change was declared of a task that is not a leaf.
    leaf_sets_invalidated: Arc<[u64]>,
    what: CommitInput<'c>,
    /// Seconds since 1970.
    now: u32,
}

/// A run as it is written to the file.
struct KeptRun {
    run: Run,
    hash: Hash,
    facet_hashes: Option<FacetHashes>,
    fail: Option<Vec<u8>>,
    value: Option<Arc<[u8]>>,
    leaves: Option<Arc<Leaves>>,
}

impl Commit<'_> {
    /// The runs of a task that are worth keeping.
    fn kept_runs(&self, entry: &Node, runs: &mut Vec<KeptRun>) {
        runs.clear();
        let hist = lock(&entry.hist);
        let stamp = hist.stamp(u64::MAX).max(self.stamps[entry.rule as usize]);
        // A value from outside says nothing about what the rule would compute in another process.
        if hist.was_given() {
            return;
        }
        // A run from before a declared change is invalid.
        for run in hist.runs.iter().filter(|run| run.stamp >= stamp) {
            let Some(hash) = hist.hash_of(run.seq) else { continue };
            let (run, facet_hashes) = (run.clone(), hist.facets_of(run.seq).cloned());
            let leaves = run.leaves().filter(|leaves| leaves.is_valid(&self.leaf_sets_invalidated)).cloned();
            runs.push(KeptRun { run, hash, facet_hashes, fail: None, value: None, leaves });
        }
        // Not under the lock on the history: encoding is code of the rule.
        drop(hist);
        let rule = self.core.rule(entry);
        let constructive = entry.policy.trace == Trace::Constructive;
        runs.retain_mut(|kept| {
            kept.value = match kept.run.value().filter(|_| constructive) {
                Some(value) => rule.encode_value(&entry.key, value).map(Arc::from),
                None => kept.run.bytes().cloned(),
            };
            match kept.run.fail() {
                None => true,
                Some(Fail::Task(failure)) => {
                    kept.fail = failure.encode();
                    kept.fail.is_some()
                }
                // No other failure follows from the reads; `Inner::record` keeps none.
                Some(_) => false,
            }
        });
    }

    fn traits(&self, entry: &Node) -> u8 {
        let interned = if self.core.rule(entry).is_interned() { StoredRun::INTERNED } else { 0 };
        let leaf = if entry.policy.leaf { StoredRun::LEAF } else { 0 };
        let deep = if entry.policy.is_deep() { StoredRun::VERIFIED_BY_LEAVES } else { 0 };
        interned | leaf | deep | if entry.policy.rebuild == Rebuild::Times { StoredRun::TIMES } else { 0 }
    }

    /// The share key of a task that executed; `None` if it took its result over.
    fn share_key(&self, node: NodeId, runs: &[KeptRun]) -> Option<u64> {
        let share_key = self.core.share_key(node)?;
        runs.iter().any(|kept| !self.core.is_taken_over(node, &kept.run.edges)).then_some(share_key)
    }

    /// Writes a snapshot of the state of this process.
    fn write_snapshot(&self, state: &mut FileState, file: &mut dyn TraceWrite) -> io::Result<u64> {
        let tasks = self.what.dirty.len();
        // One task as a sample of how many reads there are: only the capacity of a buffer depends on it.
        let reads = self.what.dirty.get(tasks / 2).map_or(0, |node| {
            lock(&self.core.node(*node).hist).runs.first().map_or(0, |run| run.edges.len())
        });
        let builder = SnapshotBuilder::with_capacity(tasks, reads.min(16));
        let mut snapshot =
            SnapshotWriter { commit: self, builder, numbers: Vec::new(), nodes: Vec::with_capacity(tasks) };
        // Leaves side by side: a null build of a later process reads them and little else.
        let is_leaf = |node: &&NodeId| self.core.node(**node).policy.leaf;
        let has_runs = |node: &&NodeId| !lock(&self.core.node(**node).hist).runs.is_empty();
        let dirty = self.what.dirty.iter().filter(has_runs);
        let (leaves, others): (Vec<&NodeId>, Vec<&NodeId>) = dirty.partition(is_leaf);
        let leaves = self.in_order(leaves, &others);
        let with_runs = leaves.len() + others.len();
        // All tasks with runs get their numbers first; those that are only read come behind them, without runs.
        for node in leaves.iter().chain(&others) {
            snapshot.task(**node);
        }
        let (mut runs, mut edges) = (Vec::new(), Vec::new());
        for node in leaves.into_iter().chain(others) {
            snapshot.runs(*node, &mut runs, &mut edges);
        }
        // Nothing to keep: no file is made. But a corrupt one is replaced, or each later process would find it corrupt
        // again that is answered by what it can read of it, and so has nothing new.
        if snapshot.nodes.is_empty() && state.corrupt.is_none() {
            return Ok(0);
        }
        for node in self.what.wanted {
            // A task without runs is not kept.
            if let Some(number) = snapshot.known(*node).filter(|number| (*number as usize) < with_runs) {
                snapshot.builder.want(number, self.now);
            }
        }
        let SnapshotWriter { builder, numbers, nodes, .. } = snapshot;
        let image = builder.finish(|number, seq| {
            let node = self.core.node(*nodes.get(number as usize)?);
            lock(&node.hist).hash_of(Seq::new(seq))
        })?;
        let bytes = replace_file(state, file, &image)?;
        state.numbers = numbers;
        Ok(bytes)
    }

    /// The leaves in the order of the leaf sets of the tasks that are verified by them, whatever the order was in which
    /// threads settled them: so a leaf set is few ranges.
    fn in_order<'n>(&self, leaves: Vec<&'n NodeId>, others: &[&NodeId]) -> Vec<&'n NodeId> {
        let mut places = HashMap::<NodeId, usize, BuildFastHasher>::default();
        for node in others.iter().map(|node| self.core.node(**node)).filter(|node| node.policy.is_deep()) {
            let below = lock(&node.hist).runs.first().and_then(Run::leaves).cloned();
            for part in below.iter().flat_map(|below| &below.parts) {
                if let Part::Bound(leaf, _) = part {
                    let next = places.len();
                    places.entry(*leaf).or_insert(next);
                }
            }
        }
        let mut leaves = leaves;
        leaves.sort_by_key(|leaf| places.get(*leaf).copied().unwrap_or(usize::MAX));
        leaves
    }

    /// Appends to the file what is new. `None`: it is corrupt.
    fn append_changes(
        &self,
        state: &mut FileState,
        persist: &Persist,
        file: &mut dyn TraceWrite,
        updates: Vec<(u32, RunUpdate)>,
    ) -> io::Result<Option<u64>> {
        let mut batch = Batch::default();
        if self.gather(state, &mut batch, updates).is_none() {
            state.mark_corrupt();
            return Ok(None);
        }
        if batch.is_empty() {
            return Ok(Some(0));
        }
        // The batch is built in any case: it brings `stored` up to date, from which a compaction is made.
        let bytes = batch.seal();
        let end = state.file.and_then(super::Header::end).unwrap_or(0);
        let added = state.read_to + bytes.len() as u64 - end;
        let written = if added > MIN_JOURNAL_BYTES && added > end / MAX_JOURNAL_DIVISOR {
            let stored = state.stored.clone().unwrap_or_default();
            match stored.compact(self.now, persist.days.saturating_mul(DAY)) {
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    state.mark_corrupt();
                    return Ok(None);
                }
                image => image.and_then(|image| replace_file(state, file, &image)),
            }
        } else {
            append(state, file, &bytes)
        };
        if written.is_err() {
            // `stored` has what could not be written: it has to be read again.
            state.forget();
            state.catch_up(&*persist.file)?;
        }
        written.map(Some)
    }

    /// Gathers what is new into a batch. `None`: the file cannot be read.
    fn gather(&self, state: &mut FileState, batch: &mut Batch, updates: Vec<(u32, RunUpdate)>) -> Option<()> {
        let generation = state.generation;
        // A copy, if a thread still reads the content: numbers must not change under it.
        let stored = Arc::make_mut(state.stored.as_mut()?);
        let mut appender =
            JournalAppender { commit: self, stored, numbers: &mut state.numbers, batch, generation };
        // In this order: the updates name runs by their places in the file; then runs from before a declared change
        // go; what this process recorded since comes last.
        for (number, update) in updates {
            let mut runs = appender.stored.runs(number)?;
            update.apply(&mut runs);
            appender.replace(number, runs)?;
        }
        for rule in self.what.changed_rules {
            appender.drop_runs_of(self.core.rule_at(*rule).name())?;
        }
        appender.drop_leaf_sets_above(self.what.invalid_leaf_sets)?;
        let mut runs = Vec::new();
        for node in self.what.dirty {
            appender.keep(*node, &mut runs)?;
        }
        // With a batch that is written anyway, a request costs a few bytes, and its time is noted each time; by
        // itself it is noted once a day.
        let writes = !appender.batch.is_empty();
        for node in self.what.wanted {
            let number = appender.number(*node)?;
            if appender.stored.has_runs(number)
                && (writes || is_late(appender.stored.wanted_at(number), self.now))
            {
                appender.stored.want(appender.batch, number, self.now);
            }
        }
        (!appender.stored.is_damaged()).then_some(())
    }
}

fn bits(edge: &Edge) -> u8 {
    let mode = match edge.mode {
        Mode::Value => 0,
        Mode::Hash => StoredEdge::HASH_ONLY,
        Mode::Mention => StoredEdge::MENTION,
    };
    let ends = if edge.ends_group { StoredEdge::ENDS_GROUP } else { 0 };
    let facets = if edge.facets == Facets::WHOLE { 0 } else { StoredEdge::HAS_FACETS };
    mode | ends | facets
}

/// Builds a snapshot from the state of a process.
struct SnapshotWriter<'c> {
    commit: &'c Commit<'c>,
    builder: SnapshotBuilder,
    /// By node, the number of the task in the file plus one; 0: none yet.
    numbers: Vec<u32>,
    /// The tasks by their number in the file.
    nodes: Vec<NodeId>,
}

impl SnapshotWriter<'_> {
    fn known(&self, node: NodeId) -> Option<u32> {
        self.numbers.get(node as usize)?.checked_sub(1)
    }

    fn task(&mut self, node: NodeId) -> u32 {
        if let Some(number) = self.known(node) {
            return number;
        }
        let core = self.commit.core;
        let entry = core.node(node);
        let rule = core.rule(entry);
        let place = self.builder.rule(rule.name());
        let number = self.builder.task(place, |out| rule.encode_into(&entry.key, out));
        if self.numbers.len() <= node as usize {
            self.numbers.resize((node as usize + 1).max(self.numbers.len() * 2), 0);
        }
        self.numbers[node as usize] = number + 1;
        self.nodes.push(node);
        number
    }

    fn runs(&mut self, node: NodeId, runs: &mut Vec<KeptRun>, edges: &mut Vec<StoredEdge>) {
        let core = self.commit.core;
        let entry = core.node(node);
        let number = self.task(node);
        self.commit.kept_runs(entry, runs);
        self.builder.begin_runs();
        if runs.is_empty() {
            return;
        }
        if let Some(share_key) = self.commit.share_key(node, runs) {
            let rule = self.builder.rule(core.rule(entry).name());
            self.builder.sibling(share_key, rule, number);
        }
        let traits = self.commit.traits(entry);
        for KeptRun { run, hash, facet_hashes, fail, value, leaves } in runs {
            edges.clear();
            for edge in &*run.edges {
                let dep = self.task(edge.dep);
                let seq = self.builder.version(dep, edge.seq.number());
                let bits = bits(edge);
                if bits & StoredEdge::HAS_FACETS != 0 && !self.builder.has_facet_hashes(dep, seq) {
                    let facet_hashes = lock(&core.node(edge.dep).hist).facets_of(edge.seq).cloned();
                    if let Some(facet_hashes) = facet_hashes {
                        self.builder.facet_hashes(dep, seq, &facet_hashes);
                    }
                }
                edges.push(StoredEdge { dep, seq, bits, facets: edge.facets });
            }
            let seq = self.builder.version(number, run.seq.number());
            self.builder.hash(number, run.seq.number(), hash);
            if let Some(facet_hashes) = facet_hashes {
                self.builder.facet_hashes(number, seq, facet_hashes);
            }
            let (version, witness) = (run.version, run.witness().map(|witness| &**witness));
            let (fail, value) = (fail.as_deref(), value.as_deref());
            let leaves = leaves.as_ref().and_then(|leaves| self.leaves(leaves));
            let leaves = leaves.as_ref();
            self.builder.run(&RunFields { version, seq, traits, fail, value, witness, leaves }, edges);
        }
    }

    /// The leaves below a run, by their numbers. `None`: some are numbers of another file.
    fn leaves(&mut self, leaves: &Leaves) -> Option<LeafSet> {
        let core = self.commit.core;
        let mut set = LeafSet::default();
        for (rule, version) in &*leaves.rules {
            set.rules.push((self.builder.rule(core.rule_at(*rule).name()), *version));
        }
        set.rules.sort_unstable();
        for part in &leaves.parts {
            let Part::Bound(leaf, seq) = *part else { return None };
            let leaf = self.task(leaf);
            set.push(leaf, self.builder.version(leaf, seq.number()));
        }
        Some(set)
    }
}

/// Appends the state of a process to the journal of a file.
struct JournalAppender<'c> {
    commit: &'c Commit<'c>,
    stored: &'c mut Stored,
    numbers: &'c mut Vec<u32>,
    batch: &'c mut Batch,
    generation: u64,
}

impl JournalAppender<'_> {
    /// The number of a task in the file, if it is known without a look at its key.
    fn known(&self, node: NodeId) -> Option<u32> {
        number_of(self.commit.core, self.numbers, self.generation, node)
    }

    /// The number of a task in the file.
    fn number(&mut self, node: NodeId) -> Option<u32> {
        let core = self.commit.core;
        let number = match self.known(node) {
            Some(number) => number,
            None => {
                let entry = core.node(node);
                let rule = core.rule(entry);
                let mut key = Vec::new();
                rule.encode_into(&entry.key, &mut key);
                self.stored.node(self.batch, rule.name(), &key)?
            }
        };
        if self.numbers.len() <= node as usize {
            self.numbers.resize((node as usize + 1).max(self.numbers.len() * 2), 0);
        }
        self.numbers[node as usize] = number + 1;
        Some(number)
    }

    /// The number in the file of a version of a task; the hashes of its facets are recorded, too, if only some of them
    /// were read (`partial`).
    fn version(&mut self, node: NodeId, seq: Seq, partial: bool) -> Option<(u32, u32)> {
        let number = self.number(node)?;
        let (same, hash, facet_hashes) = {
            let hist = lock(&self.commit.core.node(node).hist);
            let same = hist.is_seq_of(self.generation, number, seq);
            let facet_hashes = if partial { hist.facets_of(seq).cloned() } else { None };
            (same, hist.hash_of(seq), facet_hashes)
        };
        let seq = match (same, hash) {
            (true, _) => seq.number(),
            // It was dropped or never loaded: a version that no task ever has.
            (false, hash) => self.stored.seq(self.batch, number, hash.unwrap_or(Hash::lost(u32::MAX)))?,
        };
        if let Some(facet_hashes) = facet_hashes {
            self.stored.note_facet_hashes(self.batch, number, seq, &facet_hashes)?;
        }
        Some((number, seq))
    }

    /// Brings the runs of a task in the file up to date.
    fn keep(&mut self, node: NodeId, runs: &mut Vec<KeptRun>) -> Option<()> {
        let entry = self.commit.core.node(node);
        self.commit.kept_runs(entry, runs);
        if runs.is_empty() && self.known(node).is_none() {
            // Nothing is kept of a task that is stored nowhere.
            return Some(());
        }
        let number = self.number(node)?;
        if let Some(share_key) = self.commit.share_key(node, runs) {
            self.stored.note_sibling(self.batch, number, share_key)?;
        }
        let traits = self.commit.traits(entry);
        let mut kept = Vec::new();
        for new in runs.drain(..) {
            let run = new.run;
            let mut edges = Vec::with_capacity(run.edges.len());
            for edge in &*run.edges {
                let bits = bits(edge);
                let (dep, seq) = self.version(edge.dep, edge.seq, bits & StoredEdge::HAS_FACETS != 0)?;
                edges.push(StoredEdge { dep, seq, bits, facets: edge.facets });
            }
            let (_, seq) = self.version(node, run.seq, false)?;
            if let Some(facet_hashes) = &new.facet_hashes {
                self.stored.note_facet_hashes(self.batch, number, seq, facet_hashes)?;
            }
            let (fail, value) = (new.fail.map(Arc::from), new.value);
            let leaves = match &new.leaves {
                Some(leaves) => self.leaves(leaves)?.map(Arc::new),
                None => None,
            };
            let (version, witness, edges) = (run.version, run.witness().cloned(), edges.into());
            kept.push(StoredRun { version, seq, traits, edges, fail, value, witness, leaves });
        }
        self.replace(number, kept)
    }

    /// The leaves below a run, by their numbers. `Some(None)`: some are numbers of another file.
    fn leaves(&mut self, leaves: &Leaves) -> Option<Option<LeafSet>> {
        let core = self.commit.core;
        let mut set = LeafSet::default();
        for (rule, version) in &*leaves.rules {
            let rule = self.stored.rule_place(self.batch, core.rule_at(*rule).name());
            set.rules.push((rule, *version));
        }
        set.rules.sort_unstable();
        // A leaf may be in the set both as a node and by its number.
        let mut seen = Bits::new(0);
        for part in &leaves.parts {
            match *part {
                Part::Bound(leaf, seq) => {
                    let (leaf, seq) = self.version(leaf, seq, false)?;
                    if seen.insert(leaf) {
                        set.push(leaf, seq);
                    }
                }
                Part::Stored(_) if leaves.generation != self.generation => return Some(None),
                Part::Stored(Range { first, count, seq }) => {
                    for leaf in (first..first + count).filter(|leaf| seen.insert(*leaf)) {
                        set.push(leaf, seq);
                    }
                }
            }
        }
        Some(Some(set))
    }

    /// Drops the leaf sets of all runs above tasks of these rules.
    fn drop_leaf_sets_above(&mut self, rules: &[u16]) -> Option<()> {
        let core = self.commit.core;
        let names = rules.iter().map(|rule| core.rule_at(*rule).name());
        let places: Vec<u16> = names.filter_map(|name| self.stored.rule_named(name)).collect();
        if places.is_empty() {
            return Some(());
        }
        // A pass over all tasks: such declarations are too rare for an index from rules to leaf sets.
        for task in 0..self.stored.tasks() {
            if !self.stored.is_deep(task) {
                continue;
            }
            let mut runs = self.stored.runs(task)?;
            for run in &mut runs {
                run.leaves.take_if(|leaves| leaves.rules.iter().any(|(rule, _)| places.contains(rule)));
            }
            self.replace(task, runs)?;
        }
        Some(())
    }

    /// Drops the runs of all tasks of a rule: newer ones are among what is to be written.
    fn drop_runs_of(&mut self, rule: &str) -> Option<()> {
        let Some(rule) = self.stored.rule_named(rule) else { return Some(()) };
        let is_of_rule = |task: &u32| self.stored.rule(*task) == Some(rule) && self.stored.has_runs(*task);
        let tasks: Vec<u32> = (0..self.stored.tasks()).filter(is_of_rule).collect();
        tasks.into_iter().try_for_each(|task| self.replace(task, Vec::new()))
    }

    /// Sets the runs of a task.
    fn replace(&mut self, number: u32, kept: Vec<StoredRun>) -> Option<()> {
        let old = self.stored.runs(number)?;
        // A task that was touched may be as it is in the file again; then nothing is written.
        if old == kept {
            return Some(());
        }
        // A scan: the runs of a task are few.
        let kept = kept.into_iter().map(|run| match old.iter().position(|old| *old == run) {
            Some(at) => RunListItem::Old(at as u32),
            None => RunListItem::New(run),
        });
        let kept = kept.collect();
        self.stored.set_runs(self.batch, number, &old, kept);
        Some(())
    }
}

fn append(state: &mut FileState, file: &mut dyn TraceWrite, bytes: &[u8]) -> io::Result<u64> {
    // What follows `read_to` is a batch that was cut short, else it would have been read.
    file.append(state.read_to, bytes)?;
    state.read_to += bytes.len() as u64;
    Ok(bytes.len() as u64)
}

/// Replaces the file by `image`, which has all that is known. All tasks get new numbers, so the generation changes.
fn replace_file(state: &mut FileState, file: &mut dyn TraceWrite, image: &Image) -> io::Result<u64> {
    let number = new_number();
    // Readers that have the old file open are not affected: it is replaced by name, not overwritten.
    let mut length = 0;
    file.replace(&mut |to| {
        length = image.write(number, to)?;
        Ok(())
    })?;
    state.forget();
    // It is read on first use.
    (state.stored, state.file, state.read_to) = (None, Some(image.header(number)), length);
    Ok(length)
}
