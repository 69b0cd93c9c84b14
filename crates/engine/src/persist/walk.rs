//! The walk: verifies the closure of a task by the numbers of a file, without loading any of it.
//!
//! `settle/check.rs` verifies kept runs task by task; the walk does the same for the whole closure of a task at once,
//! over the columns of the file: a leaf is good if its rule confirms its witness, another task if the reads of one of
//! its runs agree, group by group. No key is decoded but those of leaves, no task is loaded, and the depth of the graph
//! costs a stack in memory. A task that has to execute, failed, is compared by times, or has newer runs in this process
//! than in the file, is left undecided. It is settled the ordinary way when it is requested. So a process loads what a
//! change invalidates, and nothing else: if a file was added to a directory, the readers of the other files agree by
//! their facets.
//!
//! The demand is that of `settle/check.rs`: a group is verified only if all groups before agree.
//!
//! The state of a walk ([`Walk`]) is under one lock, which is held while a task is decided; rules of leaves are called
//! under it, and their panics are caught. It is taken before `Persist::bound`, the state of the file, and the history
//! of any task.

mod below;
mod facets;
mod leaves;
mod numbers;
mod parallel_leaves;
mod runs;

pub(crate) use below::StoredLeaf;
pub(crate) use leaves::ByLeaves;
pub(crate) use numbers::Numbers;
use runs::{AnyRun, AnyRuns};

use std::collections::{HashMap, HashSet};

use super::Persist;
use super::snapshot::{Columns, Plain};
use super::stored::Stored;
use super::stored_run::{StoredEdge, StoredRun};
use crate::graph::core::Core;
use crate::graph::facet::FacetHashes;
use crate::graph::ids::{NodeId, Seq, Unloaded};
use crate::graph::intern::BuildFastHasher;
use crate::schedule::inner::Inner;
use crate::sync::{Arc, atomic::Ordering, lock};
use crate::{Agreement, Hash, Rebuild};

/// Not visited yet.
// The five highest numbers, which are not versions: `MAX_VERSION` is far below them.
const UNVISITED: u32 = u32::MAX;
/// Not visited yet, and the columns alone do not decide it: there may be more in the journal or in this process.
const NOT_PLAIN: u32 = u32::MAX - 1;
/// In progress: on the stack of the walk.
const IN_PROGRESS: u32 = u32::MAX - 2;
/// Visited, and to be settled the ordinary way.
const UNDECIDED: u32 = u32::MAX - 3;
/// It is clean in this process, with a version that is not in the file.
const OTHER_VERSION: u32 = u32::MAX - 4;

/// What is known of each task: the version that is good, or one of the constants above, at first [`UNVISITED`]. Stored
/// as the complement, so that this is zero: zeroed memory takes no room before it is written to, and most tasks are
/// never visited.
#[derive(Default)]
struct Verdicts(Vec<u32>);

impl Verdicts {
    fn new(tasks: usize) -> Verdicts {
        Verdicts(vec![!UNVISITED; tasks])
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes room for this many tasks; the new ones are [`NOT_PLAIN`].
    fn grow(&mut self, tasks: usize) {
        self.0.resize(tasks, !NOT_PLAIN);
    }

    #[inline]
    fn get(&self, task: u32) -> Option<u32> {
        self.0.get(task as usize).map(|now| !now)
    }

    /// Sets it for an existing task.
    #[inline]
    fn set(&mut self, task: u32, now: u32) {
        self.0[task as usize] = !now;
    }

    /// Marks an unvisited task as [`NOT_PLAIN`], if it exists.
    fn note_not_plain(&mut self, task: u32) {
        if self.get(task) == Some(UNVISITED) {
            self.set(task, NOT_PLAIN);
        }
    }
}

/// What the walk has found out about the tasks of a file.
#[derive(Default)]
pub(super) struct Walk {
    /// The generation of the file, and the epoch for which this is valid.
    generation: u64,
    epoch: u64,
    scanned: u64,
    floor: u64,
    verdicts: Verdicts,
    /// By task, a bit: a leaf that was verified and is good. Kept for later epochs, until a scan or a declared change.
    // Bits: kept from epoch to epoch for all tasks of the file.
    good_leaves: Vec<u64>,
    /// Leaves without a good run in this epoch.
    // Sets and maps below: what they hold is rare beside the tasks of a file.
    stale: HashSet<u32, BuildFastHasher>,
    /// Tasks that were found good by the leaves below them.
    by_leaves: HashSet<u32, BuildFastHasher>,
    /// The tasks that have a node.
    bound: HashMap<u32, NodeId, BuildFastHasher>,
    /// By task, the facet hashes of its versions in the file, if they were compared in this epoch.
    facets: HashMap<u32, Vec<Option<FacetHashes>>, BuildFastHasher>,
    /// By task, the version that is good, if a reader of facets is good that read another version; kept as long as
    /// tasks stay clean.
    equal_in_facets: HashMap<u32, u32, BuildFastHasher>,
    /// What the next commit writes: the order of runs, and refreshed witnesses.
    pub(super) updates: HashMap<u32, RunUpdate, BuildFastHasher>,
    /// How many tasks were found good.
    good: u64,
    /// By place in the file, the rules in this process; `None`: their tasks are settled the ordinary way.
    rules: Vec<Option<LocalRule>>,
}

/// What the walk has found out about the kept runs of a task, and is not in the file yet.
#[derive(Clone, Default, Debug)]
pub(super) struct RunUpdate {
    /// The runs that were good, each once, the latest one first: they come before the others from now on.
    runs: Vec<usize>,
    /// The refreshed witness of the first of them.
    witness: Option<Arc<[u8]>>,
}

impl RunUpdate {
    fn of(run: usize) -> RunUpdate {
        RunUpdate { runs: vec![run], witness: None }
    }

    /// The run that is good.
    pub(super) fn run(&self) -> usize {
        self.runs.first().copied().unwrap_or(0)
    }

    /// Notes that a run is good.
    fn use_run(&mut self, run: usize) {
        if self.run() != run {
            self.runs.retain(|used| *used != run);
            self.runs.insert(0, run);
            self.witness = None;
        }
    }

    /// Brings the task's runs into this order, with the refreshed witness.
    pub(super) fn apply(&self, runs: &mut [StoredRun]) {
        let mut order: Vec<usize> = (0..runs.len()).collect();
        for run in self.runs.iter().rev() {
            let Some(at) = order.iter().position(|other| other == run) else { continue };
            order[..=at].rotate_right(1);
            runs[..=at].rotate_right(1);
        }
        if let Some(run) = runs.first_mut().filter(|_| self.witness.is_some()) {
            run.witness.clone_from(&self.witness);
        }
    }
}

/// A rule of the file as it is in this process.
#[derive(Clone, Copy)]
struct LocalRule {
    rule: u16,
    version: u32,
}

/// The file is corrupt.
struct Damaged;

impl Walk {
    /// Begins the walk of a file in the epoch of a build, if it is not in that epoch already; `false` if a later epoch
    /// has begun. Tasks that became nodes are taken over first, so no earlier verdict is kept for a task that was
    /// declared changed.
    fn begin_epoch(&mut self, stored: &Stored, generation: u64, inner: &Inner, persist: &Persist) -> bool {
        let epoch = inner.epoch;
        // A build of an earlier epoch that is not over must not take back what later ones established; it verifies by
        // the traces.
        if generation < self.generation || (generation == self.generation && epoch < self.epoch) {
            return false;
        }
        let tasks = stored.tasks() as usize;
        // A file never loses tasks without another number; but the walk must not index beyond its end.
        let same = generation == self.generation && self.verdicts.len() <= tasks;
        let here = |name: &Arc<str>| {
            let rule = inner.engine.rule_number(name)?;
            let version = inner.engine.rule_at(rule).version();
            (inner.inputs.rules[rule as usize] == 0).then_some(LocalRule { rule, version })
        };
        if same && epoch == self.epoch {
            if self.rules.len() != stored.rules().len() {
                self.rules = stored.rules().iter().map(here).collect();
            }
            // A commit of this process may have added tasks to the journal.
            self.verdicts.grow(tasks);
            self.good_leaves.resize(tasks.div_ceil(64), 0);
            self.bind(std::mem::take(&mut *lock(&persist.bound)));
            return true;
        }
        if generation != self.generation {
            // The updates of the other file were written with it, or are of no use.
            *self = Walk { good: self.good, generation, ..Walk::default() };
        }
        self.bind(std::mem::take(&mut *lock(&persist.bound)));
        self.rules = stored.rules().iter().map(here).collect();
        let mut good_leaves = if same && self.scanned == inner.inputs.scanned {
            std::mem::take(&mut self.good_leaves)
        } else {
            Vec::new()
        };
        good_leaves.resize(tasks.div_ceil(64), 0);
        let before = std::mem::take(&mut self.verdicts);
        self.verdicts = Verdicts::new(tasks);
        let rules = &self.rules;
        let is_void =
            |task: usize| stored.rule(task as u32).and_then(|rule| *rules.get(usize::from(rule))?).is_none();
        for (at, word) in good_leaves.iter_mut().enumerate().filter(|(_, word)| **word != 0) {
            let bits = *word;
            for task in (at * 64..tasks.min(at * 64 + 64)).filter(|task| bits & 1 << (task % 64) != 0) {
                if is_void(task) {
                    // All tasks of its rule were declared changed.
                    *word &= !(1 << (task % 64));
                } else {
                    // It stays good: a leaf of which a change was declared has a node, and is marked as not plain
                    // below.
                    self.verdicts.0[task] = before.0[task];
                }
            }
        }
        for task in stored.changed().chain(self.bound.keys().copied()) {
            if self.verdicts.get(task).is_some() {
                self.verdicts.set(task, NOT_PLAIN);
            }
        }
        // No task is clean since before the floor, so nothing refers to these.
        if self.floor != inner.inputs.floor {
            self.equal_in_facets.clear();
        }
        (self.generation, self.epoch) = (generation, epoch);
        (self.scanned, self.floor) = (inner.inputs.scanned, inner.inputs.floor);
        self.good_leaves = good_leaves;
        self.stale.clear();
        self.by_leaves.clear();
        self.facets.clear();
        true
    }

    /// Records the verdict of a task.
    fn close(&mut self, open: &OpenTask<'_>, step: &TaskVerdict) {
        let task = open.task;
        if matches!(step, TaskVerdict::Undecided) {
            self.verdicts.set(task, UNDECIDED);
            if open.is_leaf {
                // The refreshed witness was of a run that is not good.
                self.updates.remove(&task);
            }
            return;
        }
        if matches!(step, TaskVerdict::Failed) {
            // The failure itself is in the run, which is loaded on request; the leaf need not be verified again.
            self.verdicts.set(task, UNDECIDED);
        } else {
            self.verdicts.set(task, open.run.seq);
            self.good += 1;
        }
        if open.is_leaf {
            self.good_leaves[task as usize / 64] |= 1 << (task % 64);
        }
        self.note_good_run(task, open.at);
    }

    /// Records that a leaf without reads is good by one of its runs; `None` in place of its version: it is a failure.
    fn leaf_is_good(&mut self, leaf: u32, run: usize, seq: Option<u32>) {
        self.verdicts.set(leaf, seq.unwrap_or(UNDECIDED));
        self.good += u64::from(seq.is_some());
        self.good_leaves[leaf as usize / 64] |= 1 << (leaf % 64);
        self.note_good_run(leaf, run);
    }

    /// Notes that a leaf is good by one of its runs, with a refreshed witness.
    fn refresh_witness(&mut self, leaf: u32, run: usize, witness: Arc<[u8]>) {
        let update = self.updates.entry(leaf).or_insert_with(|| RunUpdate::of(run));
        update.use_run(run);
        update.witness = Some(witness);
    }

    /// Notes by which of its runs a task is good; the latest such note comes first.
    fn note_good_run(&mut self, task: u32, run: usize) {
        match self.updates.get_mut(&task) {
            Some(update) => update.use_run(run),
            // Its place in the file is that of the latest run already.
            None if run == 0 => {}
            None => drop(self.updates.insert(task, RunUpdate::of(run))),
        }
    }

    /// Takes over the tasks that became nodes.
    fn bind(&mut self, bound: impl IntoIterator<Item = (Unloaded, NodeId)>) {
        for (place, node) in bound.into_iter().filter(|(place, _)| place.generation == self.generation) {
            self.bound.insert(place.number, node);
            self.verdicts.note_not_plain(place.number);
        }
    }
}

/// A task in progress.
struct OpenTask<'s> {
    task: u32,
    runs: AnyRuns<'s>,
    /// The place of the run among them.
    at: usize,
    run: AnyRun<'s>,
    /// The read whose task has to be decided first.
    waits: Option<StoredEdge>,
    /// Of the present group: whether a read differs, and whether one is undecided.
    differs: bool,
    undecided: bool,
    is_leaf: bool,
}

/// A task in progress whose latest run is plain.
struct OpenPlainTask<'s> {
    task: u32,
    run: Plain<'s>,
    undecided: bool,
}

// Two kinds, since nearly all tasks are plain: these take no allocation on the stack of the walk.
enum Frame<'s> {
    Plain(OpenPlainTask<'s>),
    Open(Box<OpenTask<'s>>),
}

/// The verdict of a group of reads.
enum Group {
    Agrees,
    /// It differs, but there is another run to verify.
    Again,
    Undecided,
}

/// The verdict of a task, or what has to be done before.
enum TaskVerdict {
    Good,
    /// It is good, and a failure.
    Failed,
    Undecided,
    /// This task has to be decided first.
    Below(u32),
}

/// A walk in progress.
pub(super) struct Walker<'l> {
    inner: &'l Inner,
    stored: &'l Stored,
    columns: Option<Columns<'l>>,
    walk: &'l mut Walk,
    /// How many leaves are in progress, each below a task that the one before reads.
    depth: usize,
    /// A buffer for keys.
    key: Vec<u8>,
}

impl<'l> Walker<'l> {
    fn new(inner: &'l Inner, stored: &'l Stored, walk: &'l mut Walk) -> Walker<'l> {
        Walker { inner, stored, columns: stored.columns(), walk, depth: 0, key: Vec::new() }
    }

    /// Access to the verdicts of a build; `None` if they are of another epoch or file.
    pub(super) fn of_build(
        inner: &'l Inner,
        stored: &'l Stored,
        generation: u64,
        walk: &'l mut Walk,
    ) -> Option<Walker<'l>> {
        let is_of_build = walk.generation == generation && walk.epoch == inner.epoch && !inner.is_what_if();
        is_of_build.then_some(Walker { inner, stored, columns: None, walk, depth: 0, key: Vec::new() })
    }

    /// Decides a task: its good version, if the numbers of the file suffice.
    fn decide(&mut self, task: u32) -> Result<Option<u32>, Damaged> {
        // Of its own, in place of recursion: chains may be as long as memory allows.
        let mut stack: Vec<Frame<'l>> = Vec::new();
        self.enter(task, &mut stack)?;
        while let Some(frame) = stack.last_mut() {
            match frame {
                Frame::Plain(plain) => match self.go_on(plain) {
                    Some(TaskVerdict::Below(dep)) => self.enter(dep, &mut stack)?,
                    Some(step) => {
                        let decided = matches!(step, TaskVerdict::Good);
                        self.walk.verdicts.set(plain.task, if decided { plain.run.seq } else { UNDECIDED });
                        self.walk.good += u64::from(decided);
                        // It is good by its first run, which is of note only where another run was noted as good
                        // before.
                        if decided && !self.walk.updates.is_empty() {
                            self.walk.note_good_run(plain.task, 0);
                        }
                        stack.pop();
                    }
                    // Another run has to be verified, or the facets.
                    None => {
                        let task = plain.task;
                        stack.pop();
                        self.open(task, &mut stack)?;
                    }
                },
                Frame::Open(open) => match self.step(open)? {
                    TaskVerdict::Below(dep) => self.enter(dep, &mut stack)?,
                    step => {
                        self.walk.close(open, &step);
                        stack.pop();
                    }
                },
            }
        }
        Ok(self.known(task).filter(|seq| *seq < OTHER_VERSION))
    }

    /// Verifies the reads of a plain run. `None`: the plain run alone does not decide it.
    #[inline]
    fn go_on(&self, plain: &mut OpenPlainTask<'_>) -> Option<TaskVerdict> {
        while let Some((dep, seq, bits)) = plain.run.read()? {
            let now = self.walk.verdicts.get(dep)?;
            if now != seq {
                match self.known(dep) {
                    None => return Some(TaskVerdict::Below(dep)),
                    Some(UNDECIDED) => plain.undecided = true,
                    Some(now) if now == seq => {}
                    // Another run may agree, or it is equal in the facets that were read.
                    Some(_) => return None,
                }
            }
            plain.run.pass(bits);
            // Only where the group ends: its tasks are requested together, so the others are decided in any case.
            if bits & u32::from(StoredEdge::ENDS_GROUP) != 0 && plain.undecided {
                return Some(TaskVerdict::Undecided);
            }
        }
        Some(if plain.undecided { TaskVerdict::Undecided } else { TaskVerdict::Good })
    }

    /// What is known of a task; `None`: it has to be visited.
    #[inline]
    fn known(&self, task: u32) -> Option<u32> {
        match self.walk.verdicts.get(task).unwrap_or(UNDECIDED) {
            UNVISITED => None,
            // A cycle: the ordinary way reports it.
            IN_PROGRESS => Some(UNDECIDED),
            NOT_PLAIN => self.not_plain(task),
            // It may have been settled the ordinary way meanwhile.
            UNDECIDED => Some(self.settled(task).unwrap_or(UNDECIDED)),
            known => Some(known),
        }
    }

    /// The version of a task that this process has settled in this build.
    fn settled(&self, task: u32) -> Option<u32> {
        let node = *self.walk.bound.get(&task)?;
        if self.inner.engine.is_given(node, self.inner.epoch) {
            // A sibling that took over its result is no longer valid, whatever the version (`settle/siblings.rs`).
            return None;
        }
        // A task that is settled and not clean is valid for one build only, and so are its dependents.
        let seq = self.inner.clean_version(node)?;
        let is_stored = lock(&self.inner.engine.node(node).hist).is_seq_of(self.walk.generation, task, seq);
        Some(if is_stored { seq.number() } else { OTHER_VERSION })
    }

    /// The state in this process of a task that is [`NOT_PLAIN`].
    fn not_plain(&self, task: u32) -> Option<u32> {
        let node = *self.walk.bound.get(&task)?;
        let entry = self.inner.engine.node(node);
        if self.inner.engine.is_given(node, self.inner.epoch) {
            return Some(UNDECIDED);
        }
        if let Some(settled) = self.settled(task) {
            return Some(settled);
        }
        let hist = lock(&entry.hist);
        let is_as_stored =
            hist.unloaded().is_some() && !hist.was_given() && self.inner.declared(entry, &hist) == 0;
        (!is_as_stored).then_some(UNDECIDED)
    }

    /// Begins a task.
    fn enter(&mut self, task: u32, stack: &mut Vec<Frame<'l>>) -> Result<(), Damaged> {
        if self.known(task).is_some() {
            return Ok(());
        }
        // A task without changes in the journal and without a node.
        if let (Some(columns), Some(UNVISITED)) = (&self.columns, self.walk.verdicts.get(task)) {
            let plain = columns.task(task).and_then(|(rule, runs)| {
                let here = (*self.walk.rules.get(usize::from(rule))?)?;
                columns.plain(runs, here.version)
            });
            if let Some(run) = plain {
                self.walk.verdicts.set(task, IN_PROGRESS);
                stack.push(Frame::Plain(OpenPlainTask { task, run, undecided: false }));
                return Ok(());
            }
        }
        self.open(task, stack)
    }

    /// Begins a task run by run.
    fn open(&mut self, task: u32, stack: &mut Vec<Frame<'l>>) -> Result<(), Damaged> {
        let rule = self.stored.rule(task).ok_or(Damaged)?;
        if let Some(here) = self.walk.rules.get(rule as usize).copied().flatten()
            && self.is_deep(task)?
        {
            self.walk.verdicts.set(task, IN_PROGRESS);
            return self.decide_by_leaves(task, here);
        }
        let open = match self.walk.rules.get(rule as usize).copied().flatten() {
            Some(here) => self.first_run(task, here)?,
            None => None,
        };
        // Most leaves read nothing, so they are decided.
        if let Some(leaf) = open.as_ref().filter(|open| open.is_leaf && open.run.edges.is_empty()) {
            self.walk.leaf_is_good(task, leaf.at, (!leaf.run.has_failed).then_some(leaf.run.seq));
            return Ok(());
        }
        self.walk.verdicts.set(task, if open.is_some() { IN_PROGRESS } else { UNDECIDED });
        stack.extend(open.map(|open| Frame::Open(Box::new(open))));
        Ok(())
    }

    /// The first run of the present version of the rule, of a leaf the first with a witness that agrees; `None` if
    /// there is none, or it is compared by times.
    fn first_run(&mut self, task: u32, here: LocalRule) -> Result<Option<OpenTask<'l>>, Damaged> {
        let mut runs = AnyRuns::of(self.stored, task);
        let (mut at, mut was_asked) = (0, false);
        while let Some(run) = runs.next()? {
            if run.version == here.version {
                if run.traits & StoredRun::TIMES != 0 {
                    return Ok(None);
                }
                let is_leaf = run.traits & StoredRun::LEAF != 0;
                was_asked |= is_leaf;
                if !is_leaf || self.agrees(task, here, at, &run)? {
                    // No other run of a leaf has a witness that agrees.
                    let runs = if is_leaf { AnyRuns::Journal([].iter()) } else { runs };
                    let (waits, differs, undecided) = (None, false, false);
                    return Ok(Some(OpenTask { task, runs, at, run, waits, differs, undecided, is_leaf }));
                }
            }
            at += 1;
        }
        if was_asked {
            self.walk.stale.insert(task);
        }
        Ok(None)
    }

    /// Whether a leaf's rule confirms the result of this run.
    fn agrees(&mut self, task: u32, here: LocalRule, at: usize, run: &AnyRun<'_>) -> Result<bool, Damaged> {
        match parallel_leaves::ask_rule(self.inner, self.stored, (task, here), run, &mut self.key)? {
            Agreement::Yes => Ok(true),
            Agreement::YesBy(witness) => {
                self.walk.refresh_witness(task, at, witness.into());
                Ok(true)
            }
            Agreement::No => Ok(false),
        }
    }

    /// Verifies a task until it is decided or another one has to be decided first.
    fn step(&mut self, open: &mut OpenTask<'l>) -> Result<TaskVerdict, Damaged> {
        loop {
            let next = match open.waits.take() {
                Some(edge) => Some(edge),
                None => open.run.edges.next()?,
            };
            let Some(edge) = next else {
                match self.end_group(open)? {
                    Group::Again => continue,
                    // To replay a failure, the run has to be loaded.
                    Group::Agrees if !open.run.has_failed => return Ok(TaskVerdict::Good),
                    Group::Agrees => return Ok(TaskVerdict::Failed),
                    _ => return Ok(TaskVerdict::Undecided),
                }
            };
            match self.known(edge.dep) {
                None => {
                    open.waits = Some(edge);
                    return Ok(TaskVerdict::Below(edge.dep));
                }
                Some(UNDECIDED) => open.undecided = true,
                Some(now) if now == edge.seq => {}
                Some(now) => match self.is_equal_in_facets(&edge, now) {
                    Some(true) => {}
                    Some(false) => open.differs = true,
                    None => open.undecided = true,
                },
            }
            if edge.ends_group()
                && let Group::Undecided = self.end_group(open)?
            {
                return Ok(TaskVerdict::Undecided);
            }
        }
    }

    /// All reads of a group are decided.
    fn end_group(&self, open: &mut OpenTask<'l>) -> Result<Group, Damaged> {
        let (undecided, differs) = (std::mem::take(&mut open.undecided), std::mem::take(&mut open.differs));
        if undecided {
            return Ok(Group::Undecided);
        }
        if !differs {
            return Ok(Group::Agrees);
        }
        while let Some(run) = open.runs.next()? {
            open.at += 1;
            if run.version == open.run.version {
                open.run = run;
                return Ok(Group::Again);
            }
        }
        Ok(Group::Undecided)
    }
}

impl Persist {
    /// Whether there are updates to write.
    pub(super) fn has_updates(&self) -> bool {
        !lock(&self.walk).updates.is_empty()
    }

    /// Takes the updates out, ascending by task.
    pub(super) fn take_updates(&self, generation: u64) -> Vec<(u32, RunUpdate)> {
        let mut walk = lock(&self.walk);
        let updates = std::mem::take(&mut walk.updates);
        // They name runs by their places in one file.
        let mut updates: Vec<_> = updates.into_iter().filter(|_| walk.generation == generation).collect();
        updates.sort_unstable_by_key(|(task, _)| *task);
        updates
    }

    /// The update of a task; the epoch of the scan after which a leaf was found good, if any; and the epoch in which
    /// the task was found stale, if any.
    pub(super) fn findings(&self, place: Unloaded) -> (Option<RunUpdate>, Option<u64>, Option<u64>) {
        let walk = lock(&self.walk);
        if walk.generation != place.generation {
            return (None, None, None);
        }
        let word = walk.good_leaves.get(place.number as usize / 64).copied().unwrap_or(0);
        let good_leaves = word & 1 << (place.number % 64) != 0;
        let stale = walk.stale.contains(&place.number).then_some(walk.epoch);
        (walk.updates.get(&place.number).cloned(), good_leaves.then_some(walk.scanned), stale)
    }
}

impl Inner {
    /// Settles a task by the numbers of the file, if these suffice: returns its good version. It is clean then, and
    /// only its versions are loaded.
    pub(crate) fn settle_by_numbers(&self, node: NodeId, place: Unloaded) -> Option<Seq> {
        let core = &*self.engine;
        let persist = core.persist()?;
        let policy = core.node(node).policy;
        let is_plain = policy.runs > 0 && policy.rebuild == Rebuild::Hashes;
        // Once dependents are recorded, a task becomes clean only with its reads loaded (`mark_clean_as_stored`).
        if !is_plain || self.is_what_if() || core.notes_dependents.load(Ordering::SeqCst) {
            return None;
        }
        // Set before the walk, so that a change that is declared from here on looks for clean tasks.
        core.has_clean.store(true, Ordering::SeqCst);
        let stored = persist.stored_of(place.generation)?;
        // All at once, in the order of the file: the walk would read the chunks in the order of the graph. And no
        // verdict rests on a file of which a part is corrupt.
        if !stored.read_all_tasks() {
            persist.mark_corrupt(place.generation);
            return None;
        }
        let (decided, good) = {
            let walk = &mut *lock(&persist.walk);
            if !walk.begin_epoch(&stored, place.generation, self, persist) {
                return None;
            }
            let before = walk.good;
            let mut walker = Walker::new(self, &stored, walk);
            let decided = walker.decide(place.number);
            (decided, walker.walk.good - before)
        };
        self.log.add_replayed(good);
        if good > 0 {
            self.has_walked.store(true, Ordering::Relaxed);
        }
        let seq = Seq::new(match decided {
            Ok(seq) if !stored.is_damaged() => seq?,
            _ => {
                persist.mark_corrupt(place.generation);
                return None;
            }
        });
        // Dependents compare its version; its runs are not needed for that.
        core.load_versions(node)?;
        self.mark_clean_as_stored(node, seq);
        Some(seq)
    }
}

impl Inner {
    /// The version of a task that a walk in the epoch of this build found good, whether or not it had a node then.
    pub(crate) fn version_by_numbers(&self, node: NodeId) -> Option<Seq> {
        let core = &*self.engine;
        let persist = core.persist()?;
        let place = lock(&core.node(node).hist).place()?;
        let stored = persist.stored_of(place.generation)?;
        let (seq, hash) = {
            let walk = &mut *lock(&persist.walk);
            // Begins no epoch of the walk: this only looks up what was found.
            let walker = Walker::of_build(self, &stored, place.generation, walk)?;
            let seq = walker.walk.verdicts.get(place.number).filter(|now| *now < OTHER_VERSION)?;
            (seq, stored.hash(place.number, seq))
        };
        if stored.is_damaged() {
            persist.mark_corrupt(place.generation);
            return None;
        }
        core.fetch_history(node);
        let hist = lock(&core.node(node).hist);
        if hist.is_seq_of(place.generation, place.number, Seq::new(seq)) {
            return Some(Seq::new(seq));
        }
        // A task that was a node before the file was read numbers its versions by itself.
        hist.seq_with(hash?)
    }
}

impl Core {
    /// Loads the versions of a task with their hashes, not its runs. `None`: they are loaded, or the file is gone.
    pub(crate) fn load_versions(&self, node: NodeId) -> Option<()> {
        let hist = &self.node(node).hist;
        let place = lock(hist).unloaded()?;
        let persist = self.persist()?;
        let stored = persist.stored_of(place.generation)?;
        let known = stored.hashes(place.number).zip(stored.facets(place.number));
        if known.is_none() {
            persist.mark_corrupt(place.generation);
        }
        lock(hist).load_versions(Some(known?));
        Some(())
    }

    /// The hash of a version of a task. It may have to be loaded: by the numbers of the file, a task can be clean
    /// because a dependent of it is, without having been loaded itself.
    pub(crate) fn hash_of(&self, node: NodeId, seq: Seq) -> Option<Hash> {
        let hist = &self.node(node).hist;
        let known = lock(hist).hash_of(seq);
        known.or_else(|| {
            self.load_versions(node)?;
            lock(hist).hash_of(seq)
        })
    }

    /// The value of a version as bytes, from the file, of a task whose runs are not loaded.
    pub(crate) fn stored_value(&self, node: NodeId, seq: Seq) -> Option<Vec<u8>> {
        let (place, is_stored) = {
            let hist = lock(&self.node(node).hist);
            let place = hist.unloaded()?;
            (place, hist.is_seq_of(place.generation, place.number, seq))
        };
        let persist = self.persist().filter(|_| is_stored)?;
        let stored = persist.stored_of(place.generation)?;
        let value = stored.value(place.number, seq.number());
        if stored.is_damaged() {
            persist.mark_corrupt(place.generation);
            return None;
        }
        value
    }
}
