//! The engine against a model of it: random programs, policies, edits, evictions and thread counts.
//!
//! The model knows no executor, no waiting and no machine: `outcome` computes everything anew (P1), and
//! `Model::predict` says from the reads of all tasks which of them have to run. What ran must be exactly that:
//! nothing more (P3) and nothing less (P4).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use taut_engine::{Cx, Engine, Fail, Failure, Hash, Options, Policy, Rule};

/// Reads of one group: all at once.
#[derive(Clone, Debug)]
struct Step {
    reads: Vec<usize>,
    /// Hashes only.
    hash_only: bool,
    /// Skipped if what was read so far is odd.
    conditional: bool,
}

#[derive(Clone, Debug)]
struct Script {
    steps: Vec<Step>,
    /// The result is what was read, modulo this: small numbers cut changes off.
    modulus: u64,
    /// Fails if the result is zero.
    fails: bool,
    content_hash: bool,
    runs: u8,
    constructive: bool,
}

/// Tasks below `leaves.len()` are leaves; the others read only tasks with smaller numbers.
#[derive(Clone, Debug)]
struct Program {
    leaves: Vec<u64>,
    scripts: Vec<Script>,
}

#[derive(Clone, Debug)]
struct Edit {
    /// Leaves declared changed, with their new values (perhaps the old ones).
    leaves: Vec<(usize, u64)>,
    scan: bool,
    evict: bool,
    root: usize,
    jobs: usize,
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Zero(usize);

impl fmt::Display for Zero {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "task {} is zero", self.0)
    }
}

impl Failure for Zero {
    fn hash(&self) -> Option<Hash> {
        Some(Hash::from(self.0 as u64))
    }
}

/// Mixes what was read into what was read before.
fn mix(sum: u64, read: u64) -> u64 {
    sum.wrapping_mul(3).wrapping_add(read).wrapping_add(1)
}

struct Leaf(Arc<Mutex<Vec<u64>>>);

impl Rule for Leaf {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "Leaf";

    fn policy(&self, _: &u64) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &u64, _: Cx) -> Result<u64, Fail> {
        Ok(self.0.lock().unwrap()[*key as usize])
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

struct Task(Arc<Program>);

impl Task {
    fn script(&self, key: u64) -> &Script {
        &self.0.scripts[key as usize - self.0.leaves.len()]
    }
}

impl Rule for Task {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "Task";

    fn policy(&self, key: &u64) -> Policy {
        let Script { runs, constructive, .. } = *self.script(*key);
        if constructive { Policy::constructive(runs) } else { Policy::verifying(runs) }
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let script = self.script(*key);
        let leaves = self.0.leaves.len();
        let mut sum = 0;
        for step in &script.steps {
            if step.conditional && sum % 2 == 1 {
                continue;
            }
            if step.hash_only {
                for dep in &step.reads {
                    let dep = *dep as u64;
                    if dep < leaves as u64 { cx.depend::<Leaf>(dep) } else { cx.depend::<Task>(dep) }
                }
                continue;
            }
            let (low, high): (Vec<u64>, Vec<u64>) =
                step.reads.iter().map(|dep| *dep as u64).partition(|dep| *dep < leaves as u64);
            for read in cx.all::<Leaf>(low).await.into_iter().chain(cx.all::<Task>(high).await) {
                // A failure that is read counts as a number: this task survives it.
                sum = mix(sum, read.unwrap_or(77));
            }
        }
        let result = sum % script.modulus;
        if script.fails && result == 0 { Err(Fail::task(Zero(*key as usize))) } else { Ok(result) }
    }

    fn content_hash(&self, key: &u64, value: &u64) -> Option<Hash> {
        self.script(*key).content_hash.then(|| Hash::from(*value))
    }
}

type Outcome = Result<u64, Zero>;

/// What a task would do if it ran now.
#[derive(Clone, Debug)]
struct Reference {
    outcome: Outcome,
    /// In order, each once; whether the value was read.
    reads: Vec<(usize, bool)>,
}

/// Everything anew, without a memory.
fn reference(program: &Program) -> Vec<Reference> {
    let mut all: Vec<Reference> =
        program.leaves.iter().map(|leaf| Reference { outcome: Ok(*leaf), reads: Vec::new() }).collect();
    for (at, script) in program.scripts.iter().enumerate() {
        let key = program.leaves.len() + at;
        let (mut sum, mut reads, mut mentioned) = (0, Vec::<(usize, bool)>::new(), None);
        let mut note = |dep: usize, value: bool| match reads.iter_mut().find(|read| read.0 == dep) {
            Some(read) => read.1 |= value,
            None => reads.push((dep, value)),
        };
        for step in &script.steps {
            if step.conditional && sum % 2 == 1 {
                continue;
            }
            let (low, high): (Vec<usize>, Vec<usize>) =
                step.reads.iter().partition(|dep| **dep < program.leaves.len());
            let order = if step.hash_only { step.reads.clone() } else { [low, high].concat() };
            for dep in order {
                note(dep, !step.hash_only);
                match &all[dep].outcome {
                    Err(zero) if step.hash_only => mentioned = mentioned.or(Some(zero.clone())),
                    _ if step.hash_only => {}
                    outcome => sum = mix(sum, outcome.clone().unwrap_or(77)),
                }
            }
        }
        let result = sum % script.modulus;
        let outcome = match mentioned {
            _ if script.fails && result == 0 => Err(Zero(key)),
            Some(zero) => Err(zero),
            None => Ok(result),
        };
        all.push(Reference { outcome, reads });
    }
    all
}

/// A hash as the model has it.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Version {
    Value(u64),
    Failed(usize),
    Build(u64),
}

#[derive(Clone, PartialEq, Eq, Debug)]
struct Run {
    stamp: u64,
    reads: Vec<(usize, Version)>,
    version: Version,
}

#[derive(Default)]
struct Model {
    /// Latest first; whether the value is kept with the run.
    runs: BTreeMap<usize, Vec<(Run, bool)>>,
    memory: BTreeMap<usize, Version>,
    stamps: BTreeMap<usize, u64>,
    build: u64,
}

impl Model {
    /// Which values are made, and the change of what is remembered.
    fn predict(&mut self, program: &Program, all: &[Reference], root: usize) -> BTreeSet<usize> {
        self.build += 1;
        let leaves = program.leaves.len();
        let mut closure = BTreeSet::from([root]);
        for key in (0..=root).rev() {
            if closure.contains(&key) {
                closure.extend(all[key].reads.iter().map(|read| read.0));
            }
        }
        let mut versions = BTreeMap::<usize, Version>::new();
        let mut executes = BTreeSet::new();
        for key in &closure {
            let stamp = self.stamps.get(key).copied().unwrap_or(0);
            let kept = self.runs.entry(*key).or_default();
            let matching = kept.iter().position(|(run, _)| {
                run.stamp == stamp && run.reads.iter().all(|(dep, was)| versions.get(dep) == Some(was))
            });
            if let Some(at) = matching {
                versions.insert(*key, kept[at].0.version.clone());
                kept[..=at].rotate_right(1);
                continue;
            }
            executes.insert(*key);
            let (content, runs, constructive) = match key.checked_sub(leaves) {
                None => (true, 1, false),
                Some(at) => {
                    let script = &program.scripts[at];
                    (script.content_hash, script.runs, script.constructive)
                }
            };
            let version = match &all[*key].outcome {
                Err(zero) => Version::Failed(zero.0),
                Ok(value) if content => Version::Value(*value),
                Ok(_) => Version::Build(self.build),
            };
            let reads = all[*key].reads.iter().map(|(dep, _)| (*dep, versions[dep].clone())).collect();
            let run = Run { stamp, reads, version: version.clone() };
            if runs > 0 {
                kept.retain(|(old, _)| (old.stamp, &old.reads) != (run.stamp, &run.reads));
                kept.truncate(runs as usize - 1);
                kept.insert(0, (run, constructive && all[*key].outcome.is_ok()));
            }
            if all[*key].outcome.is_ok() {
                self.memory.insert(*key, version.clone());
            }
            versions.insert(*key, version);
        }
        let mut wanted = BTreeSet::from([root]);
        for key in closure.iter().rev() {
            let version = &versions[key];
            let at_hand = self.memory.get(key) == Some(version)
                || self.runs[key].iter().any(|(run, value)| *value && run.version == *version);
            if !executes.contains(key) {
                if !wanted.contains(key) || at_hand || all[*key].outcome.is_err() {
                    continue;
                }
                executes.insert(*key);
                self.memory.insert(*key, version.clone());
            }
            wanted.extend(all[*key].reads.iter().filter(|(_, value)| *value).map(|(dep, _)| *dep));
        }
        executes
    }
}

fn check(mut program: Program, edits: Vec<Edit>) {
    let world = Arc::new(Mutex::new(program.leaves.clone()));
    let engine = Engine::builder().rule(Leaf(world.clone())).rule(Task(Arc::new(program.clone()))).build();
    let mut model = Model::default();
    for (at, edit) in edits.into_iter().enumerate() {
        let epoch = at as u64 + 1;
        let mut begin = engine.begin();
        for (leaf, value) in &edit.leaves {
            program.leaves[*leaf] = *value;
            world.lock().unwrap()[*leaf] = *value;
            begin = begin.changed::<Leaf>(&(*leaf as u64));
            model.stamps.insert(*leaf, epoch);
        }
        if edit.scan {
            begin = begin.scan();
            model.stamps.extend((0..program.leaves.len()).map(|leaf| (leaf, epoch)));
        }
        if edit.evict {
            engine.evict_values();
            model.memory.clear();
            model.runs.values_mut().flatten().for_each(|run| run.1 = false);
        }
        let build = begin.commit(Options { jobs: edit.jobs, ..Options::default() });
        let root = edit.root as u64;
        let is_leaf = edit.root < program.leaves.len();
        let outcome = if is_leaf { build.get::<Leaf>(root) } else { build.get::<Task>(root) };
        let all = reference(&program);
        let outcome = outcome.map_err(|fail| fail.downcast_ref::<Zero>().cloned().expect("only zeros fail"));
        assert_eq!(outcome, all[edit.root].outcome, "P1: the outcome of build {epoch}");
        let predicted = model.predict(&program, &all, edit.root);
        let mut ran: Vec<String> = build.ran();
        ran.sort();
        let name = |key: &usize| match *key < program.leaves.len() {
            true => format!("Leaf({key})"),
            false => format!("Task({key})"),
        };
        let mut expected: Vec<String> = predicted.iter().map(name).collect();
        expected.sort();
        assert_eq!(ran, expected, "P3 and P4: what ran in build {epoch}");
        assert!(build.differing().is_empty(), "nothing here is non-deterministic");
    }
}

fn script(below: usize) -> impl Strategy<Value = Script> {
    let step = (prop::collection::vec(0..below, 1..4), prop::bool::weighted(0.2), any::<bool>())
        .prop_map(|(reads, hash_only, conditional)| Step { reads, hash_only, conditional });
    (
        prop::collection::vec(step, 0..4),
        prop::sample::select(vec![2, 3, 5, 1000]),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.7),
        0..4u8,
        any::<bool>(),
    )
        .prop_map(|(steps, modulus, fails, content_hash, runs, constructive)| Script {
            steps,
            modulus,
            fails,
            content_hash,
            runs,
            constructive,
        })
}

fn cases() -> impl Strategy<Value = (Program, Vec<Edit>)> {
    (1..4usize, 1..9usize).prop_flat_map(|(leaves, inner)| {
        let scripts: Vec<_> = (0..inner).map(|at| script(leaves + at)).collect();
        let edit = (
            prop::collection::vec((0..leaves, 0..4u64), 0..3),
            prop::bool::weighted(0.2),
            prop::bool::weighted(0.2),
            0..leaves + inner,
            1..4usize,
        )
            .prop_map(|(leaves, scan, evict, root, jobs)| Edit { leaves, scan, evict, root, jobs });
        let program = (prop::collection::vec(0..4u64, leaves), scripts)
            .prop_map(|(leaves, scripts)| Program { leaves, scripts });
        (program, prop::collection::vec(edit, 1..10))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn outcomes_are_those_of_a_build_without_memory_and_exactly_the_predicted_tasks_run(
        (program, edits) in cases()
    ) {
        check(program, edits);
    }
}
