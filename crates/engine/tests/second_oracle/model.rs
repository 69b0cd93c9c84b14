//! What must happen: no threads, no waiting, no memory but the kept runs as a plain list.
//!
//! `wanted` gives the answers of a build from scratch; `Model::build` derives which functions of which tasks must run,
//! why, and what is kept. It goes through the recorded reads of a task group by group, as the definition of a build
//! requires: what is verified is exactly what the task would request if it executed.

use super::case::{Build, Case, Event, Kind, Place, Task};
use super::rules::{has_witness, is_nowhere};
use super::script::{Anew, Ask, How, Played, Request, play};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What a task comes to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Outcome {
    Value(u64),
    /// A failure: the key of the task whose result is zero.
    Failed(usize),
    /// A failure that may go away.
    Flaky,
}

/// What dependents compare.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    Value(u64),
    Failed(usize),
    Made(u64),
    /// Equal to no other, itself among them.
    Never,
}

/// Why something ran.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Why {
    New,
    Always,
    Changed,
    Read(usize),
    Lost,
}

/// A function that ran.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Ran {
    pub(crate) task: usize,
    pub(crate) hash: bool,
    pub(crate) why: Why,
}

#[derive(Clone, Debug)]
struct Read {
    dep: usize,
    version: Version,
    group: usize,
}

#[derive(Clone, Debug)]
struct Run {
    stamp: u64,
    reads: Vec<Read>,
    version: Version,
    outcome: Outcome,
    /// The value, if it is kept with the run.
    value: Option<u64>,
    /// The value, if it was read with the run from the file.
    bytes: Option<u64>,
    /// The evidence of a leaf.
    witness: Option<u64>,
    /// What it is good by, if its task goes by leaves.
    leaves: Option<Leaves>,
}

/// The leaves below a run, in the order in which they are asked for.
#[derive(Clone, PartialEq, Debug)]
struct Leaves {
    /// The epoch in which that was found out.
    made: u64,
    /// Whether other tasks lie in between.
    between: bool,
    all: Vec<(usize, Version)>,
}

/// What is remembered from build to build.
#[derive(Clone, Default)]
pub(crate) struct Model {
    runs: HashMap<usize, Vec<Run>>,
    /// The latest value of a task, and the version it is the value of.
    memory: HashMap<usize, (Version, u64)>,
    pub(crate) files: HashMap<usize, u64>,
    /// What leaves are that are asked.
    pub(crate) leaves: Vec<Option<u64>>,
    /// How often a leaf changed in a way that changes its witness.
    times: Vec<u64>,
    /// The values of tasks that are set from outside.
    pub(crate) given: BTreeMap<usize, u64>,
    /// Tasks whose runs in the file differ from those of this process.
    touched: BTreeSet<usize>,
    declared: HashMap<usize, u64>,
    /// The last epoch in which a change was declared of a task that is not a leaf.
    invalid_leaf_sets: u64,
    scanned: u64,
    epoch: u64,
    builds: u64,
}

/// One build, as it goes.
struct Going<'a> {
    case: &'a Case,
    model: &'a mut Model,
    /// The suspects, if it is a question.
    suspects: Option<&'a [usize]>,
    settled: BTreeMap<usize, (Version, Outcome)>,
    /// Tasks whose value is known in this build.
    values: BTreeMap<usize, Outcome>,
    /// Tasks that were found good by their leaves.
    by_leaves: BTreeMap<usize, Leaves>,
    ran: Vec<Ran>,
    /// For each script in progress, a collected task that failed transiently, if there is one.
    missed: Vec<Option<usize>>,
}

/// What a build must do.
pub(crate) struct Expected {
    pub(crate) ran: Vec<Ran>,
    pub(crate) outcome: Outcome,
    /// The outcome of every task that was settled.
    pub(crate) settled: BTreeMap<usize, Version>,
}

impl Model {
    pub(crate) fn new(case: &Case) -> Model {
        let leaves: Vec<_> = case.leaves.iter().copied().map(Some).collect();
        Model { times: vec![0; leaves.len()], leaves, epoch: 1, ..Model::default() }
    }

    /// A model with these leaves and these set values.
    pub(crate) fn of(leaves: Vec<Option<u64>>, given: BTreeMap<usize, u64>) -> Model {
        Model { leaves, given, ..Model::default() }
    }

    /// What the latest kept runs of these tasks read.
    pub(crate) fn latest_reads(&self, of: &BTreeMap<usize, Version>) -> Vec<(usize, Vec<usize>)> {
        let latest = |task: &usize| {
            let run = self.runs.get(task)?.first()?;
            Some((*task, run.reads.iter().map(|read| read.dep).collect()))
        };
        of.keys().filter_map(latest).collect()
    }

    /// Another process begins with what is in the file; changes are not watched meanwhile.
    pub(crate) fn restart(&mut self) {
        // A set value does not outlive the process.
        let (given, touched) = (&self.given, std::mem::take(&mut self.touched));
        self.runs.retain(|task, _| !given.contains_key(task) || !touched.contains(task));
        for (task, runs) in &mut self.runs {
            let declared = self.declared.get(task).copied().unwrap_or(0);
            // What was made before a change that was declared is forgotten, if it is written again.
            runs.retain(|run| run.stamp >= declared || !touched.contains(task));
            for run in runs {
                run.stamp = 0;
                run.bytes = run.bytes.or(run.value.take());
                let invalid_leaf_sets = self.invalid_leaf_sets;
                run.leaves.take_if(|leaves| leaves.between && leaves.made < invalid_leaf_sets);
                run.leaves.iter_mut().for_each(|leaves| leaves.made = 0);
            }
        }
        self.memory.clear();
        self.given.clear();
        self.declared.clear();
        self.invalid_leaf_sets = 0;
        self.scanned = self.epoch;
    }

    fn happen(&mut self, case: &Case, event: &Event) {
        let (leaves, all) = (case.leaves.len(), case.leaves.len() + case.tasks.len());
        let mut declare = |task: usize| {
            self.declared.insert(task, self.epoch);
        };
        match event {
            Event::Change(leaf, value) => {
                declare(*leaf);
                self.leaves[*leaf] = Some(*value);
                self.times[*leaf] += 1;
            }
            Event::ChangeAll(leaf, value) => {
                (0..leaves).for_each(declare);
                self.leaves[*leaf] = Some(*value);
            }
            Event::Flaky(leaf) => {
                declare(*leaf);
                self.leaves[*leaf] = None;
                self.times[*leaf] += 1;
            }
            Event::Set(task, value) => {
                declare(*task);
                self.given.insert(*task, *value);
            }
            Event::Touch(task) => declare(*task),
            Event::TouchAll => (leaves..all).for_each(declare),
            Event::Scan => self.scanned = self.epoch,
            Event::Evict => {
                self.memory.clear();
                self.runs.values_mut().flatten().for_each(|run| run.value = None);
            }
            Event::Tamper(task, value) => {
                self.files.insert(*task, *value);
            }
        }
    }

    /// What a build must do; what is remembered afterwards is in `self`.
    pub(crate) fn build(&mut self, case: &Case, build: &Build) -> Expected {
        if build.restart {
            self.restart();
        }
        self.epoch += 1;
        for event in &build.events {
            self.happen(case, event);
            let leaves = case.leaves.len();
            let is_between = match event {
                Event::Touch(task) | Event::Set(task, _) => *task >= leaves,
                Event::TouchAll => true,
                _ => false,
            };
            if is_between {
                self.invalid_leaf_sets = self.epoch;
            }
            match event {
                Event::Change(task, _) | Event::Flaky(task) | Event::Touch(task) => {
                    self.touched.insert(*task);
                }
                Event::ChangeAll(..) => self.touched.extend(0..leaves),
                Event::TouchAll => self.touched.extend(leaves..leaves + case.tasks.len()),
                _ => {}
            }
        }
        self.builds += 1;
        let mut going = Going {
            case,
            model: self,
            suspects: build.what_if.as_deref(),
            settled: BTreeMap::new(),
            values: BTreeMap::new(),
            by_leaves: BTreeMap::new(),
            ran: Vec::new(),
            missed: Vec::new(),
        };
        let outcome = going.ask(build.root, !build.by_hash);
        let settled = going.settled.iter().map(|(task, (version, _))| (*task, *version)).collect();
        let mut ran = going.ran;
        ran.sort();
        Expected { ran, outcome, settled }
    }
}

impl Going<'_> {
    fn task(&self, key: usize) -> Option<&Task> {
        let case: &Case = self.case;
        key.checked_sub(case.leaves.len()).map(|at| &case.tasks[at])
    }

    fn is_nowhere(&self, key: usize) -> bool {
        self.task(key).is_some_and(|task| task.place == Place::Nowhere)
    }

    fn kept(&self, key: usize) -> u8 {
        match self.task(key) {
            None => 1,
            Some(task) if task.place == Place::Nowhere => 0,
            Some(task) => task.runs,
        }
    }

    fn log(&mut self, task: usize, hash: bool, why: Why) {
        // A task with a set value does not execute.
        if !self.model.given.contains_key(&task) {
            self.ran.push(Ran { task, hash, why });
        }
    }

    /// The answer to a request for a value, or only for the hash.
    fn ask(&mut self, key: usize, value: bool) -> Outcome {
        if self.is_nowhere(key) {
            return self.fresh(key, value);
        }
        self.settle(key);
        if value { self.value(key) } else { self.settled[&key].1 }
    }

    /// A request for a task that is stored nowhere: it runs, each time.
    fn fresh(&mut self, key: usize, value: bool) -> Outcome {
        let (_, outcome, made) = self.execute(key, &Why::Always);
        if value && made.is_none() && matches!(outcome, Outcome::Value(_)) {
            self.log(key, false, Why::Lost);
            let task = self.task(key).expect("no leaf is stored nowhere").clone();
            return self.run_script(key, &task, How::Again).1.returned;
        }
        outcome
    }

    /// The version of a task, made if need be.
    fn settle(&mut self, key: usize) -> Version {
        if let Some((version, _)) = self.settled.get(&key) {
            return *version;
        }
        let (version, outcome) = self.decide(key);
        self.settled.insert(key, (version, outcome));
        version
    }

    fn decide(&mut self, key: usize) -> (Version, Outcome) {
        let runs = self.model.runs.get(&key).cloned().unwrap_or_default();
        if self.suspects.is_some_and(|suspects| !suspects.contains(&key))
            && let Some(latest) = runs.first()
        {
            return (latest.version, latest.outcome);
        }
        let stamp = self.stamp(key);
        let runs = self.model.runs.get(&key).cloned().unwrap_or(runs);
        let is_deep = self.task(key).is_some_and(|task| task.deep) && self.suspects.is_none();
        let is_only = self.task(key).is_some_and(|task| task.only);
        let mut why = None;
        if is_deep {
            match self.by_leaves(key, &runs, stamp) {
                Ok(settled) => return settled,
                Err(leaf) if is_only => why = leaf.map(Why::Read),
                Err(_) => {}
            }
        }
        for (at, run) in runs.iter().enumerate().filter(|(_, run)| run.stamp == stamp && !is_only) {
            match self.first_difference(run, self.task(key).is_some_and(|task| task.fixed)) {
                None => {
                    if is_deep
                        && !self.model.given.contains_key(&key)
                        && let Some(leaves) = self.leaves_of(&run.reads)
                    {
                        self.model.runs.get_mut(&key).expect("it has runs")[at].leaves = Some(leaves);
                    }
                    if self.suspects.is_none() {
                        self.model.runs.get_mut(&key).expect("it has runs")[..=at].rotate_right(1);
                    }
                    return (run.version, run.outcome);
                }
                Some(dep) => why = why.or(Some(Why::Read(dep))),
            }
        }
        let why = match why {
            _ if self.kept(key) == 0 => Why::Always,
            Some(why) => why,
            None if runs.is_empty() => Why::New,
            None => Why::Changed,
        };
        let (reads, outcome, value) = self.execute(key, &why);
        let unhashed = self.task(key).is_some_and(|task| task.kind == Kind::Unhashed);
        let version = match outcome {
            Outcome::Value(_) if unhashed => Version::Made(self.model.builds),
            Outcome::Value(value) => Version::Value(value),
            Outcome::Failed(task) => Version::Failed(task),
            Outcome::Flaky => Version::Never,
        };
        let is_evident = self.task(key).is_none() && has_witness(key) && !self.model.given.contains_key(&key);
        let witness = is_evident.then(|| self.model.times[key]);
        let is_known = !self.model.given.contains_key(&key);
        let leaves = if is_deep && is_known { self.leaves_of(&reads) } else { None };
        self.remember(key, Run { stamp, reads, version, outcome, value, bytes: None, witness, leaves });
        (version, outcome)
    }

    /// Settles a task by the first run of which all leaves are unchanged; verifies them one by one, no further than
    /// the first that changed. `Err`: no run is good, and the first leaf that changed.
    fn by_leaves(
        &mut self,
        key: usize,
        runs: &[Run],
        stamp: u64,
    ) -> Result<(Version, Outcome), Option<usize>> {
        let invalid_leaf_sets = self.model.invalid_leaf_sets;
        let mut differs = None;
        for (at, run) in runs.iter().enumerate().filter(|(_, run)| run.stamp == stamp) {
            let Some(leaves) = &run.leaves else { continue };
            if leaves.between && leaves.made < invalid_leaf_sets {
                continue;
            }
            match leaves.all.iter().find(|(leaf, version)| self.settle(*leaf) != *version) {
                Some((leaf, _)) => differs = differs.or(Some(*leaf)),
                None => {
                    self.by_leaves.insert(key, leaves.clone());
                    self.model.runs.get_mut(&key).expect("it has runs")[..=at].rotate_right(1);
                    return Ok((run.version, run.outcome));
                }
            }
        }
        Err(differs)
    }

    /// What lies below some tasks, as a number, after all of it was settled.
    fn below(&mut self, of: &Task, roots: &[usize]) -> Outcome {
        if !of.only || self.suspects.is_some() {
            return Outcome::Flaky;
        }
        let anew = Anew::of(self.case, &self.model.leaves, &self.model.given);
        let mut met = Vec::new();
        let below = anew.below(self.case, roots, &mut |task| met.push(task));
        for task in met.into_iter().filter(|task| !is_nowhere(self.case, *task)) {
            if !self.settled.contains_key(&task) && self.settle(task) == Version::Never {
                *self.missed.last_mut().expect("a script is played") = Some(task);
            }
        }
        below
    }

    /// The leaves below a run that read this; `None` if it does not follow from them.
    fn leaves_of(&self, reads: &[Read]) -> Option<Leaves> {
        let mut leaves = Leaves { made: self.model.epoch, between: false, all: Vec::new() };
        let (mut seen, mut next) = (BTreeSet::new(), Vec::new());
        next.extend(reads.iter().rev().map(|read| (read.dep, read.version)));
        while let Some((key, was)) = next.pop() {
            let is_leaf = self.task(key).is_none();
            let version = self.settled.get(&key)?.0;
            if self.kept(key) == 0 || version == Version::Never || version != was {
                return None;
            }
            if self.model.given.contains_key(&key) && !is_leaf {
                return None;
            }
            if !seen.insert(key) {
                continue;
            }
            leaves.between |= !is_leaf;
            if is_leaf {
                leaves.all.push((key, version));
            } else if let Some(below) = self.by_leaves.get(&key) {
                leaves.between |= below.between;
                leaves.all.extend(below.all.iter().filter(|(leaf, _)| seen.insert(*leaf)));
            } else {
                let run = self.model.runs.get(&key)?.iter().find(|run| run.version == version)?;
                next.extend(run.reads.iter().rev().map(|read| (read.dep, read.version)));
            }
        }
        Some(leaves)
    }

    /// The change of the world that a task's run must have seen. A leaf that is merely stale after a scan, and whose
    /// witness still agrees, is valid.
    fn stamp(&mut self, key: usize) -> u64 {
        let declared = self.model.declared.get(&key).copied().unwrap_or(0);
        if self.task(key).is_some() {
            return declared;
        }
        let stamp = declared.max(self.model.scanned);
        let time = self.model.times[key];
        let runs = self.model.runs.entry(key).or_default();
        if self.suspects.is_none() && runs.iter().all(|run| run.stamp != stamp) {
            let holds = |run: &&mut Run| (declared..stamp).contains(&run.stamp) && run.witness == Some(time);
            if let Some(run) = runs.iter_mut().find(holds) {
                run.stamp = stamp;
            }
        }
        stamp
    }

    /// The first read of a run that is different now, looking no further than its group.
    fn first_difference(&mut self, run: &Run, fixed: bool) -> Option<usize> {
        let mut rest = run.reads.as_slice();
        if fixed {
            // All would be asked for again, whatever the answers.
            for read in rest {
                self.settle(read.dep);
            }
        }
        while let Some(first) = rest.first() {
            let (group, after) =
                rest.split_at(rest.iter().position(|read| read.group != first.group).unwrap_or(rest.len()));
            for read in group {
                self.settle(read.dep);
            }
            let differs = |read: &&Read| {
                let now = self.settled[&read.dep].0;
                now == Version::Never || now != read.version
            };
            if let Some(read) = group.iter().find(differs) {
                return Some(read.dep);
            }
            rest = after;
        }
        None
    }

    /// Runs what gives the task its hash: the reads, what it comes to, and the value if that was made.
    fn execute(&mut self, key: usize, why: &Why) -> (Vec<Read>, Outcome, Option<u64>) {
        if let Some(value) = self.model.given.get(&key).copied() {
            if !self.is_nowhere(key) {
                self.values.insert(key, Outcome::Value(value));
            }
            return (Vec::new(), Outcome::Value(value), Some(value));
        }
        let Some(task) = self.task(key).cloned() else {
            self.log(key, false, why.clone());
            let outcome = self.model.leaves[key].map_or(Outcome::Flaky, Outcome::Value);
            self.values.insert(key, outcome);
            return (Vec::new(), outcome, self.model.leaves[key]);
        };
        let how = if task.kind == Kind::Apart { How::Apart } else { How::Value };
        self.log(key, task.kind == Kind::Apart || task.kind == Kind::FromValue, why.clone());
        if task.kind == Kind::FromValue {
            // Its own hash function asks for it, whatever is known.
            self.log(key, false, Why::New);
        }
        let (reads, played) = self.run_script(key, &task, how);
        let outcome = played.outcome;
        let value = match outcome {
            Outcome::Value(value) if how == How::Value => Some(value),
            _ => None,
        };
        if how == How::Value && task.place != Place::Nowhere {
            self.values.insert(key, outcome);
        }
        (reads, outcome, value)
    }

    /// Plays the script against the present; asks for what it asks for.
    fn run_script(&mut self, key: usize, task: &Task, how: How) -> (Vec<Read>, Played) {
        let case = self.case;
        self.missed.push(None);
        let played = play(case, key, task, how, &mut |request| match request {
            Request::Task(dep, value) => self.ask(dep, value),
            Request::Below(roots) => self.below(task, roots),
        });
        let missed = self.missed.pop().flatten();
        if let (Place::File, How::Value | How::Again, Outcome::Value(value)) =
            (task.place, how, played.returned)
        {
            self.model.files.insert(key, value);
        }
        let mut reads: Vec<Read> = Vec::new();
        for Ask { dep, recorded, group, .. } in &played.asks {
            if *recorded && !reads.iter().any(|read| read.dep == *dep) {
                let version = self.settled.get(dep).map_or(Version::Never, |settled| settled.0);
                reads.push(Read { dep: *dep, version, group: *group });
            }
        }
        reads.extend(missed.map(|dep| Read { dep, version: Version::Never, group: usize::MAX }));
        (reads, played)
    }

    /// Keeps a run.
    fn remember(&mut self, key: usize, run: Run) {
        if self.suspects.is_some() {
            return;
        }
        let place = self.task(key).map_or(Place::Memory, |task| task.place);
        let constructive = self.task(key).is_some_and(|task| task.constructive);
        if let (Some(value), Place::Memory) = (run.value, place) {
            self.model.memory.insert(key, (run.version, value));
        }
        if run.version == Version::Never || run.reads.iter().any(|read| read.version == Version::Never) {
            return;
        }
        self.model.touched.insert(key);
        let most = self.kept(key) as usize;
        let (only, invalid_leaf_sets) =
            (self.task(key).is_some_and(|task| task.only), self.model.invalid_leaf_sets);
        let holds = |leaves: &Leaves| !leaves.between || leaves.made >= invalid_leaf_sets;
        let same = |old: &Run| {
            if only {
                return old.stamp == run.stamp && !old.leaves.as_ref().is_some_and(holds);
            }
            old.stamp == run.stamp
                && old.reads.len() == run.reads.len()
                && old.reads.iter().zip(&run.reads).all(|(a, b)| (a.dep, a.version) == (b.dep, b.version))
        };
        let runs = self.model.runs.entry(key).or_default();
        runs.retain(|old| !same(old));
        if most == 0 {
            return;
        }
        runs.truncate(most - 1);
        let value = run.value.filter(|_| constructive && place == Place::Memory);
        runs.insert(0, Run { value, ..run });
    }

    /// The value of a task whose version is settled: from where it is kept, else computed again.
    fn value(&mut self, key: usize) -> Outcome {
        let (version, outcome) = self.settled[&key];
        if !matches!(outcome, Outcome::Value(_)) {
            return outcome;
        }
        if let Some(outcome) = self.values.get(&key) {
            return *outcome;
        }
        let place = self.task(key).map_or(Place::Memory, |task| task.place);
        let found = match place {
            Place::Memory => {
                let memory =
                    self.model.memory.get(&key).filter(|(of, _)| *of == version).map(|known| known.1);
                let runs = self.model.runs.get(&key).map_or(&[][..], Vec::as_slice);
                let mut of = runs.iter().filter(|run| run.version == version);
                let held = memory.or_else(|| of.clone().find_map(|run| run.value));
                held.or_else(|| {
                    let bytes = of.find_map(|run| run.bytes)?;
                    self.model.memory.insert(key, (version, bytes));
                    Some(bytes)
                })
            }
            _ => self.model.files.get(&key).copied().filter(|lies| version == Version::Value(*lies)),
        };
        if let Some(value) = found {
            self.values.insert(key, Outcome::Value(value));
            return Outcome::Value(value);
        }
        self.log(key, false, Why::Lost);
        let given = self.model.given.get(&key).copied();
        let made = match self.task(key).cloned() {
            _ if given.is_some() => Outcome::Value(given.unwrap_or_default()),
            None => self.model.leaves[key].map_or(Outcome::Flaky, Outcome::Value),
            Some(task) => self.run_script(key, &task, How::Again).1.returned,
        };
        self.values.insert(key, made);
        if let (Outcome::Value(value), Place::Memory, None) = (made, place, self.suspects) {
            self.model.memory.insert(key, (version, value));
        }
        made
    }
}
