//! Deciding a build over the numbers of a file, without making anything of them.
//!
//! What a check of kept runs decides task by task (`settle/check.rs`), this decides for everything below a task at
//! once, as the file has it: a leaf holds if its rule says so, another task if its latest run that fits read
//! what holds now, group by group. No key is decoded but those of leaves, no task is bound, and the depth of the
//! graph costs a stack in memory. Whatever is not that plain is left undecided, and goes the ordinary way when
//! somebody asks for it: what has to run, what failed, what goes by times, what this process knows better than the
//! file. So a process binds what a change invalidates, and nothing else: of a directory in which a file was added, the
//! readers of the other files agree by their facets.
//!
//! Demand is that of a check: a group is looked at only if all groups before agree.

mod ahead;
mod below;
mod facets;
mod leaves;
mod numbers;
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
use crate::graph::intern::BuildMix;
use crate::schedule::inner::Inner;
use crate::sync::{Arc, atomic::Ordering, lock};
use crate::{Agreement, Hash, Rebuild};

/// Nobody has looked yet.
const UNVISITED: u32 = u32::MAX;
/// The same, of a task that the journal or this process may know more of.
const NOT_PLAIN: u32 = u32::MAX - 1;
/// Being looked at.
const IN_PROGRESS: u32 = u32::MAX - 2;
/// To be decided the ordinary way.
const UNDECIDED: u32 = u32::MAX - 3;
/// It has a version that the file does not know.
const OTHER_VERSION: u32 = u32::MAX - 4;

/// A number for each task, at first [`UNVISITED`]; kept as its complement, since memory that holds zeros takes no room
/// before something else is written there: of most tasks nothing is ever known.
#[derive(Default)]
struct Verdicts(Vec<u32>);

impl Verdicts {
    fn new(tasks: usize) -> Verdicts {
        Verdicts(vec![!UNVISITED; tasks])
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    /// Makes room for so many tasks; the new ones are [`NOT_PLAIN`].
    fn grow(&mut self, tasks: usize) {
        self.0.resize(tasks, !NOT_PLAIN);
    }

    #[inline]
    fn get(&self, task: u32) -> Option<u32> {
        self.0.get(task as usize).map(|now| !now)
    }

    /// Notes it of a task that there is.
    #[inline]
    fn set(&mut self, task: u32, now: u32) {
        self.0[task as usize] = !now;
    }

    /// Notes that there may be more to a task of which nothing is known yet, if there is such a task.
    fn note_not_plain(&mut self, task: u32) {
        if self.get(task) == Some(UNVISITED) {
            self.set(task, NOT_PLAIN);
        }
    }
}

/// What was found out about the tasks of a file.
#[derive(Default)]
pub(super) struct Walk {
    /// The file, and the epoch for which it holds.
    generation: u64,
    epoch: u64,
    scanned: u64,
    floor: u64,
    /// By task: the version that is good, or one of the above.
    verdicts: Verdicts,
    /// By task, a bit: a leaf that was looked at and is good.
    good_leaves: Vec<u64>,
    /// Leaves that were looked at in this epoch, of which no run is good any more.
    stale: HashSet<u32, BuildMix>,
    /// Tasks that were found good by the leaves below them.
    by_leaves: HashSet<u32, BuildMix>,
    /// The tasks that this process knows.
    bound: HashMap<u32, NodeId, BuildMix>,
    /// By task, the facet hashes of its versions in the file, of tasks of which they were compared in this epoch.
    facets: HashMap<u32, Vec<Option<FacetHashes>>, BuildMix>,
    /// By task, the version that is good, where a reader of facets is good that read another one; for as long as what was
    /// settled is clean.
    equal_in_facets: HashMap<u32, u32, BuildMix>,
    /// What is not as in the file.
    pub(super) updates: HashMap<u32, RunUpdate, BuildMix>,
    /// How many tasks were found good.
    good: u64,
    /// What the rules of the file are here; `None`: their tasks go the ordinary way.
    rules: Vec<Option<LocalRule>>,
}

/// What was found out about a task's runs.
#[derive(Clone, Default, Debug)]
pub(super) struct RunUpdate {
    /// Those that were good, each once, the latest one first: they come before the others from now on.
    runs: Vec<usize>,
    /// RunUpdate evidence of what the first of them saw.
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

    /// Brings the task's runs into this order.
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

/// What a rule of the file is here.
#[derive(Clone, Copy)]
struct LocalRule {
    rule: u16,
    version: u32,
}

/// The file cannot be believed.
struct Damaged;

impl Walk {
    /// Makes it about this file and epoch; `false` if it is about a later one. What this process has come to know of
    /// the file is noted first: of what was declared changed, nothing that was found out before holds.
    fn begin_epoch(&mut self, stored: &Stored, generation: u64, inner: &Inner, persist: &Persist) -> bool {
        let epoch = inner.epoch;
        if generation < self.generation || (generation == self.generation && epoch < self.epoch) {
            return false;
        }
        let tasks = stored.tasks() as usize;
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
            // What was found out holds for the tasks that a commit has added to the file, too: they are in its journal.
            self.verdicts.grow(tasks);
            self.good_leaves.resize(tasks.div_ceil(64), 0);
            self.bind(std::mem::take(&mut *lock(&persist.bound)));
            return true;
        }
        if generation != self.generation {
            // Nothing of the other one has to be told any more, or it was.
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
                    // All of its rule were declared changed.
                    *word &= !(1 << (task % 64));
                } else {
                    self.verdicts.0[task] = before.0[task];
                }
            }
        }
        for task in stored.changed().chain(self.bound.keys().copied()) {
            if self.verdicts.get(task).is_some() {
                self.verdicts.set(task, NOT_PLAIN);
            }
        }
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

    /// A task is decided.
    fn close(&mut self, open: &OpenTask<'_>, step: &Step) {
        let task = open.task;
        if matches!(step, Step::Undecided) {
            self.verdicts.set(task, UNDECIDED);
            if open.is_leaf {
                // Its evidence was for a run that is not good.
                self.updates.remove(&task);
            }
            return;
        }
        if matches!(step, Step::Failed) {
            // How it failed is for others to tell, but it need not be looked at again.
            self.verdicts.set(task, UNDECIDED);
        } else {
            self.verdicts.set(task, open.run.seq);
            self.good += 1;
        }
        if open.is_leaf {
            self.good_leaves[task as usize / 64] |= 1 << (task % 64);
        }
        self.is_good_by(task, open.at);
    }

    /// A leaf that reads nothing holds by one of its runs; `None` in place of its version: as a failure.
    fn leaf_is_good(&mut self, leaf: u32, run: usize, seq: Option<u32>) {
        self.verdicts.set(leaf, seq.unwrap_or(UNDECIDED));
        self.good += u64::from(seq.is_some());
        self.good_leaves[leaf as usize / 64] |= 1 << (leaf % 64);
        self.is_good_by(leaf, run);
    }

    /// Notes that a leaf is good by one of its runs, and better evidence of what that one saw.
    fn refresh_witness(&mut self, leaf: u32, run: usize, witness: Arc<[u8]>) {
        let update = self.updates.entry(leaf).or_insert_with(|| RunUpdate::of(run));
        update.use_run(run);
        update.witness = Some(witness);
    }

    /// Notes which of its runs a task is good by, after those of earlier epochs.
    fn is_good_by(&mut self, task: u32, run: usize) {
        match self.updates.get_mut(&task) {
            Some(update) => update.use_run(run),
            None if run == 0 => {}
            None => drop(self.updates.insert(task, RunUpdate::of(run))),
        }
    }

    /// Takes note of what this process has come to know.
    fn bind(&mut self, bound: impl IntoIterator<Item = (Unloaded, NodeId)>) {
        for (place, node) in bound.into_iter().filter(|(place, _)| place.generation == self.generation) {
            self.bound.insert(place.number, node);
            self.verdicts.note_not_plain(place.number);
        }
    }
}

/// A task being looked at.
struct OpenTask<'s> {
    task: u32,
    runs: AnyRuns<'s>,
    /// Which of them this is.
    at: usize,
    run: AnyRun<'s>,
    /// The read that waits for an answer.
    waits: Option<StoredEdge>,
    /// Of the group: one is different, one is undecided.
    differs: bool,
    undecided: bool,
    is_leaf: bool,
}

/// The same, while its latest run may do.
struct OpenPlainTask<'s> {
    task: u32,
    run: Plain<'s>,
    undecided: bool,
}

enum Frame<'s> {
    Plain(OpenPlainTask<'s>),
    Open(Box<OpenTask<'s>>),
}

/// What became of a group of reads.
enum Group {
    Agrees,
    /// It does not, but there is another run.
    Again,
    Undecided,
}

/// What became of a task.
enum Step {
    Good,
    /// It holds, and is a failure.
    Failed,
    Undecided,
    /// Another one has to be looked at first.
    Below(u32),
}

/// One look at a file.
pub(super) struct Walker<'l> {
    inner: &'l Inner,
    stored: &'l Stored,
    columns: Option<Columns<'l>>,
    walk: &'l mut Walk,
    /// How many leaves are being looked at, each for a task that is read by the one before.
    depth: usize,
    /// Room for a key.
    key: Vec<u8>,
}

impl<'l> Walker<'l> {
    fn new(inner: &'l Inner, stored: &'l Stored, walk: &'l mut Walk) -> Walker<'l> {
        Walker { inner, stored, columns: stored.columns(), walk, depth: 0, key: Vec::new() }
    }

    /// At what a build has found out by now; `None` if that is about something else.
    pub(super) fn again(
        inner: &'l Inner,
        stored: &'l Stored,
        generation: u64,
        walk: &'l mut Walk,
    ) -> Option<Walker<'l>> {
        let is_of_build = walk.generation == generation && walk.epoch == inner.epoch && !inner.is_what_if();
        is_of_build.then_some(Walker { inner, stored, columns: None, walk, depth: 0, key: Vec::new() })
    }

    /// The good version of a task, if that can be told plain_reads.
    fn decide(&mut self, task: u32) -> Result<Option<u32>, Damaged> {
        let mut stack: Vec<Frame<'l>> = Vec::new();
        self.enter(task, &mut stack)?;
        while let Some(frame) = stack.last_mut() {
            match frame {
                Frame::Plain(plain) => match self.go_on(plain) {
                    Some(Step::Below(dep)) => self.enter(dep, &mut stack)?,
                    Some(step) => {
                        let decided = matches!(step, Step::Good);
                        self.walk.verdicts.set(plain.task, if decided { plain.run.seq } else { UNDECIDED });
                        self.walk.good += u64::from(decided);
                        if decided && !self.walk.updates.is_empty() {
                            self.walk.is_good_by(plain.task, 0);
                        }
                        stack.pop();
                    }
                    // There is more to it.
                    None => {
                        let task = plain.task;
                        stack.pop();
                        self.open(task, &mut stack)?;
                    }
                },
                Frame::Open(open) => match self.step(open)? {
                    Step::Below(dep) => self.enter(dep, &mut stack)?,
                    step => {
                        self.walk.close(open, &step);
                        stack.pop();
                    }
                },
            }
        }
        Ok(self.known(task).filter(|seq| *seq < OTHER_VERSION))
    }

    /// Goes on with a plain run. `None`: it is not as plain as that.
    #[inline]
    fn go_on(&self, plain: &mut OpenPlainTask<'_>) -> Option<Step> {
        while let Some((dep, seq, bits)) = plain.run.read()? {
            let now = self.walk.verdicts.get(dep)?;
            if now != seq {
                match self.known(dep) {
                    None => return Some(Step::Below(dep)),
                    Some(UNDECIDED) => plain.undecided = true,
                    Some(now) if now == seq => {}
                    // Others may agree, or it is the same in what was looked at.
                    Some(_) => return None,
                }
            }
            plain.run.pass(bits);
            if bits & 2 != 0 && plain.undecided {
                return Some(Step::Undecided);
            }
        }
        Some(if plain.undecided { Step::Undecided } else { Step::Good })
    }

    /// What is known of a task; `None`: it has to be looked at.
    #[inline]
    fn known(&self, task: u32) -> Option<u32> {
        match self.walk.verdicts.get(task).unwrap_or(UNDECIDED) {
            UNVISITED => None,
            // What waits for itself is for others to find out.
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
            // What took over its result is not as it was, whatever the version (`settle/siblings.rs`).
            return None;
        }
        // What is settled and does not stand holds for one build only, and so does what is made from it.
        let seq = self.inner.clean_version(node)?;
        let is_stored = lock(&self.inner.engine.node(node).hist).is_seq_of(self.walk.generation, task, seq);
        Some(if is_stored { seq.number() } else { OTHER_VERSION })
    }

    /// What this process knows of a task.
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
            hist.unloaded().is_some() && !hist.is_injected() && self.inner.declared(entry, &hist) == 0;
        (!is_as_stored).then_some(UNDECIDED)
    }

    /// Begins to look at a task.
    fn enter(&mut self, task: u32, stack: &mut Vec<Frame<'l>>) -> Result<(), Damaged> {
        if self.known(task).is_some() {
            return Ok(());
        }
        // What the journal says nothing of, nor this process knows.
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

    /// Begins to look at a task run by run.
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
        // Most leaves read nothing, and that is all there is to them.
        if let Some(leaf) = open.as_ref().filter(|open| open.is_leaf && open.run.edges.is_empty()) {
            self.walk.leaf_is_good(task, leaf.at, (!leaf.run.has_failed).then_some(leaf.run.seq));
            return Ok(());
        }
        self.walk.verdicts.set(task, if open.is_some() { IN_PROGRESS } else { UNDECIDED });
        stack.extend(open.map(|open| Frame::Open(Box::new(open))));
        Ok(())
    }

    /// The first run that fits, of a leaf also its evidence; `None` if there is none, or none that is plain.
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
                    // Another run of a leaf has no evidence that holds.
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

    /// Whether a leaf's rule says that it would come to the result of this run.
    fn agrees(&mut self, task: u32, here: LocalRule, at: usize, run: &AnyRun<'_>) -> Result<bool, Damaged> {
        match ahead::ask_rule(self.inner, self.stored, (task, here), run, &mut self.key)? {
            Agreement::Yes => Ok(true),
            Agreement::YesBy(witness) => {
                self.walk.refresh_witness(task, at, witness.into());
                Ok(true)
            }
            Agreement::No => Ok(false),
        }
    }

    /// Goes on with a task until it is decided or has to wait.
    fn step(&mut self, open: &mut OpenTask<'l>) -> Result<Step, Damaged> {
        loop {
            let next = match open.waits.take() {
                Some(edge) => Some(edge),
                None => open.run.edges.next()?,
            };
            let Some(edge) = next else {
                match self.end_group(open)? {
                    Group::Again => continue,
                    // Who asks for what failed is told how, which takes more than a number.
                    Group::Agrees if !open.run.has_failed => return Ok(Step::Good),
                    Group::Agrees => return Ok(Step::Failed),
                    _ => return Ok(Step::Undecided),
                }
            };
            match self.known(edge.dep) {
                None => {
                    open.waits = Some(edge);
                    return Ok(Step::Below(edge.dep));
                }
                Some(UNDECIDED) => open.undecided = true,
                Some(now) if now == edge.seq => {}
                Some(now) => match self.is_equal_in_facets(&edge, now) {
                    Some(true) => {}
                    Some(false) => open.differs = true,
                    None => open.undecided = true,
                },
            }
            if edge.bits & 2 != 0
                && let Group::Undecided = self.end_group(open)?
            {
                return Ok(Step::Undecided);
            }
        }
    }

    /// All that was asked for together is known.
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
    /// Whether the file should say something else of what is as it was.
    pub(super) fn has_updates(&self) -> bool {
        !lock(&self.walk).updates.is_empty()
    }

    /// What the file should say instead, in a certain order.
    pub(super) fn take_updates(&self, generation: u64) -> Vec<(u32, RunUpdate)> {
        let mut walk = lock(&self.walk);
        let updates = std::mem::take(&mut walk.updates);
        let mut updates: Vec<_> = updates.into_iter().filter(|_| walk.generation == generation).collect();
        updates.sort_unstable_by_key(|(task, _)| *task);
        updates
    }

    /// What was found out about the runs of a task; of a leaf that was looked at and is good, when; and the epoch in
    /// which it was and is not.
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
    /// The good version of a task that a file tells of, if the file tells that plain_reads: it is settled then, and
    /// stands, and nothing of it is bound but its versions.
    pub(crate) fn settle_by_numbers(&self, node: NodeId, place: Unloaded) -> Option<Seq> {
        let core = &*self.engine;
        let persist = core.persist()?;
        let policy = core.node(node).policy;
        let is_plain = policy.runs > 0 && policy.rebuild == Rebuild::Hashes;
        if !is_plain || self.is_what_if() || core.notes_dependents.load(Ordering::SeqCst) {
            return None;
        }
        // From here on, whoever declares a change asks what stood.
        core.has_clean.store(true, Ordering::SeqCst);
        let stored = persist.stored_of(place.generation)?;
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
        self.log.replayed_so_many(good);
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
        core.know_versions(node)?;
        self.mark_clean_as_stored(node, seq);
        Some(seq)
    }
}

impl Inner {
    /// The version of a task that a walk in the epoch of this build found good, whether or not the task was bound then.
    pub(crate) fn version_by_numbers(&self, node: NodeId) -> Option<Seq> {
        let core = &*self.engine;
        let persist = core.persist()?;
        let place = lock(&core.node(node).hist).place()?;
        let stored = persist.stored_of(place.generation)?;
        let (seq, hash) = {
            let walk = &mut *lock(&persist.walk);
            let walker = Walker::again(self, &stored, place.generation, walk)?;
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
        hist.seq_with(hash?)
    }
}

impl Core {
    /// Fetches the hashes of what the file knows of a task, not its runs. `None`: the file is no more.
    pub(crate) fn know_versions(&self, node: NodeId) -> Option<()> {
        let hist = &self.node(node).hist;
        let place = lock(hist).unloaded()?;
        let persist = self.persist()?;
        let stored = persist.stored_of(place.generation)?;
        let known = stored.hashes(place.number).zip(stored.facets(place.number));
        if known.is_none() {
            persist.mark_corrupt(place.generation);
        }
        lock(hist).know_versions(Some(known?));
        Some(())
    }

    /// The hash of a version of a task, fetched if only the file tells of it: a task that is clean because one that read
    /// it is, by the numbers of the file, has not been looked at.
    pub(crate) fn hash_of(&self, node: NodeId, seq: Seq) -> Option<Hash> {
        let hist = &self.node(node).hist;
        let known = lock(hist).hash_of(seq);
        known.or_else(|| {
            self.know_versions(node)?;
            lock(hist).hash_of(seq)
        })
    }

    /// The value of a version as bytes, of a task of which only the versions are here.
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
