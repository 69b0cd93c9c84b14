//! What a build comes to if everything is computed anew, and which tasks it must execute for that.

use std::collections::{BTreeMap, BTreeSet};

use taut_engine::Deep;

use super::case::{Case, FAILED, How, Look, OPAQUE, Value, WHOLE};
use super::rules::{Zero, content, mix, number_of, result};

/// A read of the model: all that a run learned from another task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Read {
    pub(super) dep: usize,
    pub(super) look: Look,
    /// The value was requested, not only the hash.
    pub(super) value: bool,
    /// The run awaited the answer.
    pub(super) awaited: bool,
}

/// What a task comes to if it is executed now.
pub(super) struct Reference {
    pub(super) outcome: Result<Value, Zero>,
    /// In order, each task once.
    pub(super) reads: Vec<Read>,
}

/// Everything computed anew.
pub(super) fn reference(case: &Case, leaves: &[u64]) -> Vec<Reference> {
    let of_leaf = |(key, now)| Reference { outcome: content(key, now), reads: Vec::new() };
    let mut all: Vec<Reference> = leaves.iter().copied().enumerate().map(of_leaf).collect();
    for (at, task) in case.tasks.iter().enumerate() {
        let key = case.leaves.len() + at;
        let (mut sum, mut reads, mut depends) = (0, Vec::<Read>::new(), None);
        for step in &task.steps {
            if step.conditional && sum % 2 == 1 {
                continue;
            }
            let mut order = step.reads.clone();
            if matches!(step.how, How::Facets | How::Value) {
                // Leaves are requested first.
                order.sort_by_key(|(dep, _)| !case.is_leaf(*dep));
            }
            for (dep, look) in order {
                let outcome = &all[dep].outcome;
                let by_facets = step.how == How::Facets && outcome.is_ok();
                let look = if by_facets { look } else { WHOLE };
                let (value, awaited) =
                    (matches!(step.how, How::Facets | How::Value), step.how != How::Depend);
                match reads.iter_mut().find(|read| read.dep == dep) {
                    Some(read) => {
                        read.look |= look;
                        read.value |= value;
                        read.awaited |= awaited;
                    }
                    None => reads.push(Read { dep, look, value, awaited }),
                }
                match (step.how, outcome) {
                    (How::Depend, Err(zero)) => depends = depends.or(Some(zero.clone())),
                    (How::Depend, Ok(_)) => {}
                    (_, Err(_)) => sum = mix(sum, FAILED),
                    (How::Facets, Ok(value)) => {
                        sum = mix(sum, 9);
                        for facet in (0..2).filter(|facet| look & 1 << facet != 0) {
                            sum = mix(sum, value[facet]);
                        }
                        sum = if look & WHOLE != 0 { mix(sum, number_of(*value)) } else { sum };
                    }
                    (How::Hash, Ok(_)) if !case.has_content_hash(dep) => sum = mix(sum, OPAQUE),
                    (_, Ok(value)) => sum = mix(sum, number_of(*value)),
                }
            }
        }
        let outcome = result(task, key, sum);
        let outcome = match (outcome, depends) {
            (Ok(_), Some(zero)) => Err(zero),
            (outcome, _) => outcome,
        };
        all.push(Reference { outcome, reads });
    }
    all
}

/// What some tasks are made from, themselves included.
pub(super) fn closure(all: &[Reference], roots: &[usize]) -> BTreeSet<usize> {
    let mut closure: BTreeSet<usize> = roots.iter().copied().collect();
    for key in (0..all.len()).rev() {
        if closure.contains(&key) {
            closure.extend(all[key].reads.iter().map(|read| read.dep));
        }
    }
    closure
}

/// What the hash of a task distinguishes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Hashed {
    Value(Value),
    /// Without content hash: made in this build.
    Made(u64),
    Failed(usize),
    /// Equal to no other.
    Never,
}

/// A version of a task: its hash, and its facets if it has any.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Version {
    pub(super) hash: Hashed,
    pub(super) facets: Option<[u64; 2]>,
}

impl Version {
    /// Whether a reader that looked at this much of `self` sees the same in `now`.
    fn is_same(&self, now: &Version, look: Look) -> bool {
        if self.hash == Hashed::Never || now.hash == Hashed::Never {
            return false;
        }
        let facets = self.facets.zip(now.facets).filter(|_| look & WHOLE == 0);
        let in_facets = |(was, is): ([u64; 2], [u64; 2])| {
            (0..2).filter(|facet| look & 1 << facet != 0).all(|facet| was[facet] == is[facet])
        };
        self.hash == now.hash || facets.is_some_and(in_facets)
    }
}

/// The leaves below a run, in the order in which they are read, each once.
pub(super) type Below = Vec<(usize, Hashed)>;

/// A kept run.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The latest change that it has seen.
    pub(super) stamp: u64,
    pub(super) reads: Vec<(Read, Version)>,
    pub(super) version: Version,
    /// The value is kept with the run: in memory, as bytes from the file.
    pub(super) value: bool,
    pub(super) bytes: bool,
    /// For tasks that go by leaves.
    pub(super) leaves: Option<Below>,
}

/// What is remembered from build to build.
#[derive(Clone, Default)]
pub(super) struct Model {
    /// Latest use first.
    pub(super) runs: BTreeMap<usize, Vec<Run>>,
    pub(super) memory: BTreeMap<usize, Hashed>,
    pub(super) declared: BTreeMap<usize, u64>,
    pub(super) scanned: u64,
    pub(super) build: u64,
}

/// One build.
#[derive(Default)]
pub(super) struct Going {
    pub(super) versions: BTreeMap<usize, Version>,
    pub(super) executes: BTreeSet<usize>,
    /// The leaves by which tasks were found good.
    pub(super) leaves: BTreeMap<usize, Below>,
}

impl Model {
    /// What the file has after a commit.
    pub(super) fn committed(&self) -> Model {
        let mut runs = self.runs.clone();
        for (key, runs) in &mut runs {
            let declared = self.declared.get(key).copied().unwrap_or(0);
            runs.retain(|run| run.stamp >= declared);
            for run in runs {
                run.stamp = 0;
                run.bytes |= run.value;
                run.value = false;
            }
        }
        Model { runs, ..Model::default() }
    }

    /// The change that a run of a task must have seen. A run of a leaf whose witness is right counts as having seen a
    /// scan.
    fn stamp(&mut self, case: &Case, all: &[Reference], key: usize) -> u64 {
        let declared = self.declared.get(&key).copied().unwrap_or(0);
        if !case.is_leaf(key) {
            return declared;
        }
        let stamp = declared.max(self.scanned);
        let runs = self.runs.entry(key).or_default();
        if runs.iter().all(|run| run.stamp != stamp) {
            let now = hashed(case, all, key, 0);
            let is_right = |run: &&mut Run| {
                case.leaves[key].has_witness
                    && (declared..stamp).contains(&run.stamp)
                    && run.version.hash == now
            };
            if let Some(run) = runs.iter_mut().find(is_right) {
                run.stamp = stamp;
            }
        }
        stamp
    }

    /// What the requests execute; changes what is remembered.
    pub(super) fn build(&mut self, case: &Case, all: &[Reference], roots: &[usize], by_hash: bool) -> Going {
        self.build += 1;
        let mut going = Going::default();
        for root in roots {
            self.settle(case, all, &mut going, *root);
            let mut wanted: BTreeSet<usize> = (!by_hash).then_some(*root).into_iter().collect();
            for key in closure(all, &[*root]).into_iter().rev() {
                // Below what is good by its leaves nothing was looked at, unless its value has to be made.
                if wanted.contains(&key) {
                    self.settle(case, all, &mut going, key);
                }
                let Some(version) = going.versions.get(&key) else { continue };
                if !going.executes.contains(&key) {
                    let hash = &version.hash;
                    let is_at_hand = self.memory.get(&key) == Some(hash)
                        || self.runs[&key].iter().any(|run| run.version.hash == *hash && run.value);
                    if !wanted.contains(&key) || all[key].outcome.is_err() || is_at_hand {
                        continue;
                    }
                    let is_stored = self.runs[&key].iter().any(|run| run.version.hash == *hash && run.bytes);
                    self.memory.insert(key, hash.clone());
                    if is_stored {
                        continue;
                    }
                    going.executes.insert(key);
                }
                // A value that is made again for a known hash does not await what it only depends on.
                for read in all[key].reads.iter().filter(|read| read.awaited) {
                    self.settle(case, all, &mut going, read.dep);
                    wanted.extend(read.value.then_some(read.dep));
                }
            }
        }
        going
    }

    /// Finds the version of a task: by the leaves of a run, by what a run read, or by executing it.
    fn settle(&mut self, case: &Case, all: &[Reference], going: &mut Going, key: usize) {
        if going.versions.contains_key(&key) {
            return;
        }
        let stamp = self.stamp(case, all, key);
        let task = case.task(key);
        let deep = task.filter(|task| task.stored).map_or(Deep::No, |task| task.deep);
        if deep != Deep::No {
            for at in 0..self.runs.entry(key).or_default().len() {
                let run = self.runs[&key][at].clone();
                let Some(leaves) = run.leaves.filter(|_| run.stamp == stamp) else { continue };
                let agrees = |(leaf, was): &(usize, Hashed)| {
                    self.settle(case, all, going, *leaf);
                    going.versions[leaf].hash == *was
                };
                if leaves.iter().all(agrees) {
                    self.runs.get_mut(&key).expect("it has runs")[..=at].rotate_right(1);
                    going.versions.insert(key, run.version);
                    going.leaves.insert(key, leaves);
                    return;
                }
            }
        }
        for read in &all[key].reads {
            self.settle(case, all, going, read.dep);
        }
        let leaves = (deep != Deep::No).then(|| leaves_below(case, all, going, key)).flatten();
        let runs = self.runs.entry(key).or_default();
        let is_good = |run: &Run| {
            let agrees = |(read, was): &(Read, Version)| {
                going.versions.get(&read.dep).is_some_and(|now| was.is_same(now, read.look))
            };
            run.stamp == stamp && deep != Deep::Only && run.reads.iter().all(agrees)
        };
        if let Some(at) = runs.iter().position(is_good) {
            runs[..=at].rotate_right(1);
            runs[0].leaves = leaves.or(runs[0].leaves.take());
            going.versions.insert(key, runs[0].version.clone());
            return;
        }
        going.executes.insert(key);
        let (kept, constructive, has_facets) = match task {
            None => (case.leaves[key].runs, false, true),
            Some(task) if !task.stored => (0, false, false),
            Some(task) => (task.runs, task.constructive, task.has_facets),
        };
        let hash = hashed(case, all, key, self.build);
        let value = all[key].outcome.as_ref().ok();
        let facets = value.filter(|_| has_facets).map(|value| [value[0], value[1]]);
        let version = Version { hash, facets };
        let reads: Vec<_> =
            all[key].reads.iter().map(|read| (read.clone(), going.versions[&read.dep].clone())).collect();
        let is_known = reads.iter().all(|(_, version)| version.hash != Hashed::Never);
        if kept > 0 && is_known {
            let hashes = |run: &Run| {
                run.reads.iter().map(|(read, was)| (read.dep, was.hash.clone())).collect::<Vec<_>>()
            };
            let run = Run { stamp, reads, version: version.clone(), value: false, bytes: false, leaves };
            let run = Run { value: constructive && value.is_some(), ..run };
            runs.retain(|old| {
                let is_replaced =
                    if deep == Deep::Only { old.leaves.is_none() } else { hashes(old) == hashes(&run) };
                !(old.stamp == stamp && is_replaced)
            });
            runs.truncate(kept as usize - 1);
            runs.insert(0, run);
        }
        if value.is_some() && version.hash != Hashed::Never {
            self.memory.insert(key, version.hash.clone());
        }
        going.versions.insert(key, version);
    }
}

/// The hash of a task that is executed in this build.
fn hashed(case: &Case, all: &[Reference], key: usize, build: u64) -> Hashed {
    match (&all[key].outcome, case.task(key)) {
        (_, Some(task)) if !task.stored => Hashed::Never,
        (Err(zero), _) => Hashed::Failed(zero.0),
        (Ok(_), Some(task)) if !task.content_hash => Hashed::Made(build),
        (Ok(value), _) => Hashed::Value(*value),
    }
}

/// The leaves below a task; `None` if something below it is executed in every build.
fn leaves_below(case: &Case, all: &[Reference], going: &Going, key: usize) -> Option<Below> {
    let mut leaves = Below::new();
    for read in &all[key].reads {
        let below = match (case.task(read.dep), going.leaves.get(&read.dep)) {
            (None, _) => vec![(read.dep, going.versions[&read.dep].hash.clone())],
            (Some(task), _) if task.runs == 0 || !task.stored => return None,
            (Some(_), Some(leaves)) => leaves.clone(),
            (Some(_), None) => leaves_below(case, all, going, read.dep)?,
        };
        for leaf in below {
            if !leaves.contains(&leaf) {
                leaves.push(leaf);
            }
        }
    }
    Some(leaves)
}
