//! Readers of facets against a model: random programs whose tasks look at some facets of what they read, and random
//! histories of changed leaves, new processes with the same file, scans, evicted values and commits.
//!
//! The model recomputes everything for the outcomes. For the economy it keeps a plain list of runs for each task, each
//! with what it read and which facets it looked at; a task must execute exactly if no kept run looked only at what is
//! as it is now. After a new process has opened the file, the number of tasks that it loads is compared, too: a build
//! that executes nothing is decided over the numbers of the file (`persist/walk.rs`).
//!
//! A failing case is reduced and printed. `TAUT_SOAK` multiplies the number of cases, `TAUT_SEED` chooses the first.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

mod case;
mod model;
mod rules;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once};

use taut_engine::{Deep, Engine, Hash, Options};

use case::{Build, Case, How, Leaf, Look, Restart, Step, Task, Value};
use model::{Going, Model, Reference, closure, reference};
use rules::{InMemory, Leaves, Tasks, World, Zero, number_of};

fn outcome(build: &taut_engine::Build, case: &Case, key: usize) -> Result<Value, Zero> {
    let outcome = match case.is_leaf(key) {
        true => build.get::<Leaves>(key as u64),
        false => build.get::<Tasks>(key as u64),
    };
    outcome.map_err(|fail| fail.downcast_ref::<Zero>().expect("only zeros fail").clone())
}

fn has_hash(build: &taut_engine::Build, case: &Case, key: usize, expected: &Result<Value, Zero>) -> bool {
    let hash = match case.is_leaf(key) {
        true => build.hash_of::<Leaves>(key as u64),
        false => build.hash_of::<Tasks>(key as u64),
    };
    match (hash, expected) {
        (Ok(hash), Ok(value)) => !case.has_content_hash(key) || hash == Some(Hash::from(number_of(*value))),
        (hash, expected) => hash.is_ok() == expected.is_ok(),
    }
}

/// Runs a case; panics where the engine and the model differ.
fn check(case: &Case) {
    let leaves: Vec<u64> = case.leaves.iter().map(|leaf| leaf.content).collect();
    let world = World(Arc::new(case.clone()), Arc::new(Mutex::new(leaves)));
    let file = InMemory::default();
    let open =
        || Engine::builder().rule(Leaves(world.clone())).rule(Tasks(world.clone())).open_with(file.clone());
    let mut engine = open();
    let (mut model, mut stored) = (Model { scanned: 1, ..Model::default() }, Model::default());
    let has_deep = case.tasks.iter().any(|task| task.deep != Deep::No);
    let mut has_committed = false;
    for (at, build) in case.builds.iter().enumerate() {
        let epoch = 2 * at as u64 + 2;
        if let Some(restart) = build.restart {
            if restart == Restart::Committed {
                engine.commit().unwrap();
                stored = model.committed();
            }
            drop(engine);
            engine = open();
            has_committed = false;
            model = Model { scanned: epoch - 1, build: model.build, ..stored.clone() };
        }
        let mut begin = engine.begin();
        for (leaf, content, declared) in &build.changes {
            world.1.lock().unwrap()[*leaf] = *content;
            if *declared {
                begin = begin.changed::<Leaves>(&(*leaf as u64));
                model.declared.insert(*leaf, epoch);
            }
        }
        if build.all {
            begin = begin.changed_all::<Leaves>();
            model.declared.extend((0..case.leaves.len()).map(|leaf| (leaf, epoch)));
        }
        // What is declared of a task in between is for the other oracles where leaves decide.
        let touch = build.touch.filter(|_| !has_deep);
        if let Some(task) = touch {
            begin = begin.changed::<Tasks>(&(task as u64));
            model.declared.insert(task, epoch);
        }
        if build.scan || build.restart.is_none() && build.changes.iter().any(|(.., declared)| !declared) {
            begin = begin.scan();
            model.scanned = epoch;
        }
        // A value that is evicted after a commit is in the file or not, depending on whether its run is written again.
        if build.evict && !has_committed {
            engine.evict_values();
            model.memory.clear();
            model.runs.values_mut().flatten().for_each(|run| run.value = false);
        }
        let all = reference(case, &world.1.lock().unwrap());
        let running = begin.commit(Options { jobs: build.jobs, ..Options::default() });
        for root in &build.roots {
            let expected = &all[*root].outcome;
            match build.by_hash {
                true => {
                    assert!(has_hash(&running, case, *root, expected), "the hash of {root} in build {at}")
                }
                false => assert_eq!(outcome(&running, case, *root), *expected, "task {root} in build {at}"),
            }
        }
        let loaded = engine.tasks();
        let going = model.build(case, &all, &build.roots, build.by_hash);
        let is_stored = |key: &usize| case.task(*key).is_none_or(|task| task.stored);
        let mut ran: Vec<usize> =
            running.log().iter().map(|ran| *ran.key.downcast::<u64>().expect("a key") as usize).collect();
        ran.sort_unstable();
        // What is stored nowhere is executed for each request.
        ran.dedup_by(|a, b| a == b && !is_stored(a));
        let expected: Vec<usize> = going.executes.iter().copied().collect();
        assert_eq!(ran, expected, "what was executed in build {at} (left), and what has to be (right)");
        let below = closure(&all, &build.roots);
        let is_declared =
            build.all || touch.is_some() || build.changes.iter().any(|(.., declared)| *declared);
        if build.restart.is_some() && !is_declared {
            loads_no_more(case, &all, build, (&going, &below), loaded, at);
        }
        let leaves: BTreeSet<usize> = running
            .leaves()
            .unwrap()
            .iter()
            .map(|leaf| *leaf.downcast::<u64>().expect("a key") as usize)
            .collect();
        let expected = below.iter().copied().filter(|key| case.is_leaf(*key)).collect();
        assert_eq!(leaves, expected, "the leaves of build {at}");
        assert!(running.differing().is_empty(), "nothing here is left to chance");
        if build.commit {
            engine.commit().unwrap();
            has_committed = true;
            stored = model.committed();
        }
    }
}

/// The first build of a process loads the tasks that are requested, and no other, if it executes nothing but
/// leaves that were requested before any task.
fn loads_no_more(
    case: &Case,
    all: &[Reference],
    build: &Build,
    (going, below): (&Going, &BTreeSet<usize>),
    loaded: usize,
    at: usize,
) {
    let first: Vec<usize> = build.roots.iter().copied().take_while(|root| case.is_leaf(*root)).collect();
    // A failure, or a task with another leaf below it that goes by what it read, has to be loaded.
    let goes_by_leaves = |key: &usize| case.task(*key).is_some_and(|task| task.deep != Deep::No);
    let is_plain = |key: &usize| {
        let is_by_reads =
            goes_by_leaves(key) && going.versions.contains_key(key) && !going.leaves.contains_key(key);
        all[*key].outcome.is_ok() && !is_by_reads
    };
    if going.executes.iter().all(|key| first.contains(key)) && below.iter().all(is_plain) {
        let roots: BTreeSet<usize> = build.roots.iter().copied().collect();
        assert_eq!(loaded, roots.len(), "how many tasks build {at} loads");
    }
}

thread_local! {
    static IS_EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// What is wrong with a case, if anything.
fn failure(case: &Case) -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !IS_EXPECTED.get() {
                usual(panic);
            }
        }));
    });
    IS_EXPECTED.set(true);
    let checked = catch_unwind(AssertUnwindSafe(|| check(case)));
    IS_EXPECTED.set(false);
    let panic = checked.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

#[test]
fn readers_of_facets_execute_exactly_if_what_they_looked_at_changed() {
    let number = |name: &str| std::env::var(name).map_or(1, |number| number.parse().expect("a number"));
    let (first, cases): (u64, u64) = (number("TAUT_SEED"), 3_000 * number("TAUT_SOAK"));
    for seed in first..first + cases {
        let mut case = Case::random(seed);
        if failure(&case).is_none() {
            continue;
        }
        while let Some(smaller) = case.smaller().into_iter().find(|smaller| failure(smaller).is_some()) {
            case = smaller;
        }
        let failure = failure(&case).unwrap_or_else(|| "it does not always happen".to_owned());
        panic!("seed {seed}: {failure}\nreduced:\n{case}");
    }
    // The number of cases, for `cargo xtask soak`.
    if let Some(directory) = std::env::var_os("TAUT_SOAK_REPORT") {
        std::fs::write(std::path::Path::new(&directory).join("facets_cases"), cases.to_string()).unwrap();
    }
}

fn step(how: How, reads: &[(usize, Look)], conditional: bool) -> Step {
    Step { how, reads: reads.to_vec(), conditional }
}

fn leaf(content: u64, runs: u8) -> Leaf {
    Leaf { content, has_witness: true, runs }
}

/// A task of which everything is kept.
fn task(runs: u8, steps: Vec<Step>) -> Task {
    Task {
        steps,
        moduli: [1; 3],
        fails: false,
        content_hash: true,
        has_facets: true,
        runs,
        constructive: true,
        stored: true,
        deep: Deep::No,
    }
}

/// A build after some leaves have got other contents, which are not declared.
fn build(restart: Option<Restart>, changes: &[(usize, u64)], root: usize) -> Build {
    Build {
        restart,
        changes: changes.iter().map(|(leaf, content)| (*leaf, *content, false)).collect(),
        all: false,
        touch: None,
        scan: false,
        evict: false,
        roots: vec![root],
        by_hash: false,
        jobs: 1,
        commit: false,
    }
}

const COMMITTED: Option<Restart> = Some(Restart::Committed);

/// A reader of facets of a value that has none sees the whole: another of its runs may be good, and is found by
/// numbers.
#[test]
fn readers_of_values_without_facets_are_decided_by_numbers() {
    let reads =
        Task { has_facets: false, moduli: [2, 2, 3], ..task(1, vec![step(How::Value, &[(0, 0)], false)]) };
    check(&Case {
        leaves: vec![leaf(4, 1)],
        tasks: vec![reads, task(2, vec![step(How::Facets, &[(1, 0)], false)])],
        builds: vec![
            build(None, &[], 2),
            build(None, &[(0, 1)], 2),
            build(None, &[(0, 4)], 1),
            build(COMMITTED, &[], 2),
        ],
    });
}

/// In one process, a leaf goes back and forth between contents that the file knows. The leaves that a build reports
/// follow from the runs that are good now, not from those of the build before.
#[test]
fn leaves_are_those_of_the_run_that_is_good_now() {
    let reads_more = step(How::Value, &[(1, 0)], true);
    check(&Case {
        leaves: vec![leaf(0, 3), leaf(0, 1)],
        tasks: vec![
            task(2, vec![step(How::Facets, &[(0, 1)], false), reads_more]),
            task(1, vec![step(How::Value, &[(2, 0)], false)]),
        ],
        builds: vec![
            build(None, &[], 3),
            build(None, &[(0, 1)], 3),
            build(COMMITTED, &[(0, 0)], 3),
            build(None, &[(0, 1)], 3),
        ],
    });
}

/// The run that is dropped is the one that was not used for longest, also if the others were found good by the numbers
/// of the file only, in several builds of a process.
#[test]
fn the_run_that_was_not_used_for_longest_is_dropped() {
    let by_hash = vec![step(How::Hash, &[(0, 0)], false)];
    check(&Case {
        leaves: vec![leaf(8, 3)],
        tasks: vec![task(3, by_hash.clone())],
        builds: vec![
            build(None, &[], 1),
            build(None, &[(0, 6)], 1),
            build(COMMITTED, &[(0, 8)], 1),
            build(None, &[(0, 5)], 1),
            build(None, &[(0, 2)], 1),
            build(None, &[(0, 8)], 1),
        ],
    });
    check(&Case {
        leaves: vec![leaf(8, 3)],
        tasks: vec![task(3, by_hash.clone()), task(1, vec![step(How::Value, &[(1, 0)], false)])],
        builds: vec![
            build(None, &[], 2),
            build(None, &[(0, 2)], 2),
            build(None, &[(0, 11)], 2),
            build(COMMITTED, &[(0, 2)], 2),
            build(None, &[(0, 8)], 2),
            build(None, &[(0, 9)], 2),
            build(None, &[(0, 2)], 2),
            build(None, &[(0, 8)], 2),
        ],
    });
}

/// A task that is clean since the first build of the process has leaves in the second one, after a commit.
#[test]
fn what_is_clean_by_the_numbers_of_a_file_has_leaves_after_a_commit() {
    let reads = step(How::Value, &[(1, 0), (2, 0), (2, 0)], false);
    let only = Task { deep: Deep::Only, ..task(1, vec![step(How::Facets, &[(2, 0)], false)]) };
    let first = Build { commit: true, ..build(COMMITTED, &[(1, 10)], 4) };
    check(&Case {
        leaves: vec![leaf(11, 1), leaf(9, 1)],
        tasks: vec![
            task(1, vec![]),
            task(1, vec![]),
            task(1, vec![reads, step(How::Facets, &[(3, 0)], true)]),
            only,
        ],
        builds: vec![build(None, &[], 4), first, build(None, &[], 5), build(None, &[], 5)],
    });
}

/// A task has another version than the one that its reader read, but the reader looked at no facet. The new version
/// counts, also after the reader was loaded, which is clean by the numbers of the file.
#[test]
fn below_a_clean_reader_of_facets_the_version_is_the_good_one() {
    let reads = |how, dep, moduli| Task { moduli, ..task(1, vec![step(how, &[(dep, 0)], false)]) };
    check(&Case {
        leaves: vec![Leaf { has_witness: false, ..leaf(4, 1) }],
        tasks: vec![
            reads(How::Hash, 0, [2, 7, 7]),
            reads(How::Hash, 1, [1, 2, 3]),
            reads(How::Facets, 2, [1; 3]),
        ],
        builds: vec![
            Build { roots: vec![3, 2], ..build(None, &[], 3) },
            build(None, &[(0, 11)], 2),
            build(COMMITTED, &[], 1),
            build(None, &[], 3),
            Build { by_hash: true, ..build(None, &[], 2) },
        ],
    });
}

/// The file has a version of a leaf by its hash only. This process has come to it again, and knows its facets: the
/// reader is decided by numbers.
#[test]
fn facets_of_a_version_that_this_process_came_to_are_known() {
    let three = task(3, vec![step(How::Value, &[(0, 0)], false)]);
    check(&Case {
        leaves: vec![leaf(1, 1)],
        tasks: vec![three, task(1, vec![step(How::Facets, &[(1, 0), (0, 0)], false)])],
        builds: vec![
            build(None, &[(0, 7)], 1),
            build(None, &[(0, 1)], 2),
            build(COMMITTED, &[], 2),
            Build { roots: vec![0, 2], ..build(Some(Restart::Killed), &[(0, 7)], 2) },
        ],
    });
}
