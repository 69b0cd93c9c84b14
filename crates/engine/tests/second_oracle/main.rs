//! A second opinion of the engine, written against its public interface and the definition of a build alone.
//!
//! Beyond the first (`oracle/main.rs`): hash functions apart from values, values in files that are overwritten, tasks
//! stored nowhere, order-only reads, tasks started early, transient failures, values set from outside, siblings that
//! share a value, rules of which everything changed, what-if builds, and for every function that ran the reason why.
//! What ran must be exactly what the model predicts. If siblings share a value, that depends on the order of requests,
//! and only answers are compared. A build that is not a what-if build must answer like a build from scratch, and its
//! reports must be true.
//!
//! `corpus/*.txt` are cases that once failed, or are worth reading; they come first. A failing random case is
//! made smaller and printed in that form. `TAUT_SOAK` multiplies the number of random cases.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

mod case;
mod model;
mod rules;
mod script;

use case::{Build, Case, Event, Kind, Place, Task};
use model::{Expected, Model, Outcome, Ran, Version, Why};
use rules::{Leaves, Note, Tasks, World, Zero, hash_is_value};
use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once};
use taut_engine::{
    Begin, Builder, Cancel, Content, Derivation, Engine, Executed, Fail, Hash, Options, Reason, WhatIf,
};

/// Declares that a task changed.
fn changed<'e>(begin: Begin<'e>, case: &Case, task: usize) -> Begin<'e> {
    match task < case.leaves.len() {
        true => begin.changed::<Leaves>(&(task as u64)),
        false => begin.changed::<Tasks>(&(task as u64)),
    }
}

/// Sets the value of a task.
fn set<'e>(begin: Begin<'e>, case: &Case, task: usize, value: u64) -> Begin<'e> {
    match task < case.leaves.len() {
        true => begin.set::<Leaves>(task as u64, value),
        false => begin.set::<Tasks>(task as u64, value),
    }
}

fn get(build: &taut_engine::Build, case: &Case, task: usize) -> Result<u64, Fail> {
    match task < case.leaves.len() {
        true => build.get::<Leaves>(task as u64),
        false => build.get::<Tasks>(task as u64),
    }
}

fn hash_of(build: &taut_engine::Build, case: &Case, task: usize) -> Result<Option<Hash>, Fail> {
    match task < case.leaves.len() {
        true => build.hash_of::<Leaves>(task as u64),
        false => build.hash_of::<Tasks>(task as u64),
    }
}

fn number(key: &taut_engine::KeyRef) -> usize {
    *key.downcast::<u64>().expect("a key") as usize
}

/// Applies the events before a build, and declares them.
fn begin<'e>(engine: &'e Engine, world: &Mutex<World>, case: &Case, build: &Build) -> Begin<'e> {
    let mut begin = engine.begin();
    for event in &build.events {
        begin = match event {
            Event::Change(leaf, value) => {
                world.lock().unwrap().leaves[*leaf] = Some(*value);
                world.lock().unwrap().times[*leaf] += 1;
                changed(begin, case, *leaf)
            }
            Event::ChangeAll(leaf, value) => {
                world.lock().unwrap().leaves[*leaf] = Some(*value);
                begin.changed_all::<Leaves>()
            }
            Event::Flaky(leaf) => {
                world.lock().unwrap().leaves[*leaf] = None;
                world.lock().unwrap().times[*leaf] += 1;
                changed(begin, case, *leaf)
            }
            Event::Set(task, value) => set(begin, case, *task, *value),
            Event::Touch(task) => changed(begin, case, *task),
            Event::TouchAll => begin.changed_all::<Tasks>(),
            Event::Scan => begin.scan(),
            Event::Evict => {
                engine.evict_values();
                begin
            }
            Event::Tamper(task, value) => {
                world.lock().unwrap().files.insert(*task, *value);
                begin
            }
        };
    }
    begin
}

fn outcome(answer: Result<u64, Fail>) -> Outcome {
    match answer {
        Ok(value) => Outcome::Value(value),
        Err(Fail::Transient(_)) => Outcome::Flaky,
        Err(fail) => Outcome::Failed(fail.downcast_ref::<Zero>().expect("only zeros fail").0),
    }
}

/// The case as rules, and its world.
fn rules(case: &Case) -> (impl Fn() -> Builder, Arc<Mutex<World>>) {
    let world = Arc::new(Mutex::new(World::new(&case.leaves)));
    let (case, theirs) = (Arc::new(case.clone()), world.clone());
    let tasks = move || Tasks { case: case.clone(), world: theirs.clone() };
    (move || Engine::builder().rule(Leaves(tasks().world)).rule(tasks()).interned::<Note>(), world)
}

/// The case as an engine of one process, and its world.
fn engine(case: &Case) -> (Engine, Arc<Mutex<World>>) {
    let (rules, world) = rules(case);
    (rules().build(), world)
}

/// What a build did, in terms of the model.
fn did(engine: &Engine, world: &Mutex<World>, case: &Case, build: &Build) -> (Vec<Ran>, Outcome) {
    let (ran, outcome, _) = done(engine, world, case, build);
    (ran, outcome)
}

/// The same, and the build itself.
fn done(
    engine: &Engine,
    world: &Mutex<World>,
    case: &Case,
    build: &Build,
) -> (Vec<Ran>, Outcome, taut_engine::Build) {
    let what_if = build.what_if.as_ref().map(|suspects| {
        suspects.iter().fold(WhatIf::new(), |what_if, task| match *task < case.leaves.len() {
            true => what_if.except::<Leaves>(*task as u64),
            false => what_if.except::<Tasks>(*task as u64),
        })
    });
    let running =
        begin(engine, world, case, build).commit(Options { jobs: build.jobs, what_if, ..Options::default() });
    let answer = if build.by_hash {
        hash_of(&running, case, build.root).map(|hash| match hash {
            Some(hash) if hash_is_value(case, build.root) => {
                assert_eq!(hash.0[8..], [0; 24]);
                u64::from_le_bytes(hash.0[..8].try_into().unwrap())
            }
            _ => u64::MAX,
        })
    } else {
        get(&running, case, build.root)
    };
    let outcome = outcome(answer);
    let mut ran: Vec<Ran> = running
        .log()
        .iter()
        .map(|ran| Ran {
            task: number(&ran.key),
            hash: ran.what == Executed::Hash,
            why: match &ran.reason {
                Reason::New => Why::New,
                Reason::Always => Why::Always,
                Reason::Changed => Why::Changed,
                Reason::Read { dep, was, is } => {
                    assert!(was.is_none() || was != is, "a difference differs");
                    Why::Read(number(dep))
                }
                Reason::ValueLost => Why::Lost,
                Reason::RuleChanged | Reason::Newer { .. } => {
                    panic!("no rule has changed, and none goes by time")
                }
            },
        })
        .collect();
    ran.sort();
    assert!(running.differing().is_empty() || build.what_if.is_some(), "nothing here is left to chance");
    (ran, outcome, running)
}

/// Runs a case; panics where the engine and the model differ.
fn check(case: &Case) {
    let (rules, world) = rules(case);
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    // A case with one process needs no file.
    let restarts = case.builds.iter().any(|build| build.restart);
    let begin = || if restarts { rules().open(&file) } else { rules().build() };
    let mut engine = begin();
    let mut model = Model::new(case);
    if restarts {
        model.restart();
    }
    for (at, build) in case.builds.iter().enumerate() {
        if build.restart {
            engine.commit().unwrap();
            drop(engine);
            engine = begin();
        }
        let Expected { ran: must, outcome: expected, settled } = model.build(case, build);
        let (ran, outcome, running) = done(&engine, &world, case, build);
        if case.has_twins() && build.what_if.is_some() {
            // What is assumed is what is remembered, which depends on which of them ran.
            continue;
        }
        let opaque = build.by_hash && !hash_is_value(case, build.root);
        let same = match (outcome, expected) {
            (Outcome::Value(_), Outcome::Value(_)) if opaque => true,
            (outcome, expected) => outcome == expected,
        };
        assert!(same, "build {at} came to {outcome:?}, not to {expected:?}");
        if !case.has_twins() {
            assert_eq!(ran, must, "what ran in build {at} (left), and what must (right)");
        }
        // A query loads tasks that would else be known by their numbers only: so some builds are asked for everything,
        // some for their closure, and some for nothing.
        let curiosity = (at + build.root + case.tasks.len()) % 3;
        if build.what_if.is_none() && curiosity > 0 {
            answers_about(case, &model, build, &running);
        }
        if build.what_if.is_none() && curiosity > 1 {
            check_reasons(case, &model, build, &running, (&ran, &settled));
        }
        if build.what_if.is_none() && !case.has_twins() {
            what_lies_below(&engine, case, &model, build, (&running, &settled));
        }
        // Whatever was inferred is true; and a second request executes nothing.
        for (task, version) in settled.clone().into_iter().filter(|_| curiosity > 1) {
            let hash = hash_of(&running, case, task);
            match version {
                Version::Value(value) => assert_eq!(hash.unwrap(), Some(Hash::from(value)), "task {task}"),
                Version::Made(_) => assert!(hash.unwrap().is_some(), "task {task}"),
                Version::Failed(_) | Version::Never => assert!(hash.is_err(), "task {task}"),
            }
        }
        if build.what_if.is_none() {
            let anew = script::wanted(case, &model.leaves, &model.given)[build.root];
            assert_eq!(anew, expected, "the model of build {at} is right");
        }
        if case.has_twins() {
            continue;
        }
        assert_eq!(running.log().len(), must.len(), "build {at} when asked again");
        assert_eq!(world.lock().unwrap().files, model.files, "files after build {at}");
        if build.what_if.is_none() && curiosity > 1 {
            for (task, reads) in model.latest_reads(&settled) {
                let id = match task < case.leaves.len() {
                    true => engine.task::<Leaves>(task as u64),
                    false => engine.task::<Tasks>(task as u64),
                };
                let read = engine
                    .reads_of(id)
                    .map(|read| read.iter().map(|id| engine.key_of(*id)).collect::<Vec<_>>())
                    .map(|read| read.iter().filter(|key| key.rule() != "N").map(number).collect());
                assert_eq!(read, Some(reads), "what task {task} read, after build {at}");
            }
        }
    }
}

/// The leaves that a build reports.
fn answers_about(case: &Case, model: &Model, build: &Build, running: &taut_engine::Build) {
    let is_leaf = |task: &usize| *task < case.leaves.len();
    let (read, asked) = script::closures(case, model, build.root);
    let leaves: BTreeSet<usize> = running.leaves().unwrap().iter().map(number).collect();
    let needed: BTreeSet<usize> = read.iter().copied().filter(is_leaf).collect();
    assert!(leaves.is_superset(&needed), "the leaves are {leaves:?}, and must be {needed:?} at least");
    let looked_at: BTreeSet<usize> = asked.into_iter().filter(is_leaf).collect();
    if !case.has_twins() {
        assert!(leaves.is_subset(&looked_at), "the leaves are {leaves:?}, and can be {looked_at:?} at most");
    }
}

/// What a build collects: the tasks and the contents that its root was made from.
fn what_lies_below(
    engine: &Engine,
    case: &Case,
    model: &Model,
    build: &Build,
    (running, settled): (&taut_engine::Build, &BTreeMap<usize, Version>),
) {
    let is_leaf = |task: &usize| *task < case.leaves.len();
    let id = match is_leaf(&build.root) {
        true => engine.task::<Leaves>(build.root as u64),
        false => engine.task::<Tasks>(build.root as u64),
    };
    let (read, asked) = script::closures(case, model, build.root);
    let nowhere =
        |task: usize| !is_leaf(&task) && case.tasks[task - case.leaves.len()].place == Place::Nowhere;
    let anew = script::wanted(case, &model.leaves, &model.given);
    let is_plain = !asked.iter().any(|task| nowhere(*task) || anew[*task] == Outcome::Flaky);
    let below = running.collect::<Tasks>([id]);
    // What was only waited for and failed is read by the run that saw it.
    let is_settled = asked.iter().all(|task| settled.contains_key(task));
    assert!(below.is_some() || !is_plain || !is_settled, "all was settled");
    let Some(tasks) = below.filter(|_| is_plain) else { return };
    let tasks: Vec<usize> = tasks.into_iter().map(|task| task as usize).collect();
    let unique: BTreeSet<usize> = tasks.iter().copied().collect();
    assert_eq!(unique.len(), tasks.len(), "each once");
    let needed: BTreeSet<usize> = read.iter().copied().filter(|task| !is_leaf(task)).collect();
    assert!(unique.is_superset(&needed), "collected {unique:?}, and must {needed:?} at least");
    assert!(unique.is_subset(&asked), "collected {unique:?}, and can {asked:?} at most");
    if unique != needed {
        return;
    }
    let notes = running.collect::<Content<Note>>([id]).expect("the same runs");
    let hashes: BTreeSet<Hash> = notes.iter().copied().collect();
    let must = script::notes(case, model, build.root);
    assert_eq!(hashes, must.iter().map(|note| Hash::from(*note)).collect(), "what was mentioned");
    assert_eq!(hashes.len(), notes.len(), "each once");
    let before = running.log().len();
    for note in must {
        assert_eq!(running.get::<Content<Note>>(Hash::from(note)).expect("it is kept").0, note);
    }
    assert_eq!(running.log().len(), before, "nothing runs for a content");
}

/// Checks what a build reports of every task in its closure: why it ran or not.
fn check_reasons(
    case: &Case,
    model: &Model,
    build: &Build,
    running: &taut_engine::Build,
    (ran, settled): (&[Ran], &BTreeMap<usize, Version>),
) {
    let is_leaf = |task: &usize| *task < case.leaves.len();
    let (read, _) = script::closures(case, model, build.root);
    let anew = script::wanted(case, &model.leaves, &model.given);
    for task in read {
        let is_nowhere = !is_leaf(&task) && case.tasks[task - case.leaves.len()].place == Place::Nowhere;
        // What is below a task that is good by its leaves is not verified.
        let is_settled = settled.contains_key(&task) || case.has_twins();
        if is_nowhere || !is_settled || anew[task] == Outcome::Flaky || case.has_twins() && task != build.root
        {
            continue;
        }
        let why = match is_leaf(&task) {
            true => running.derivation::<Leaves>(&(task as u64)),
            false => running.derivation::<Tasks>(&(task as u64)),
        };
        let has_run = ran.iter().any(|ran| ran.task == task);
        let executed = why.as_ref().map(|why| matches!(why, Derivation::Executed(_)));
        assert_eq!(executed, Some(has_run), "task {task} is good since {why:?}");
    }
}

thread_local! {
    static EXPECTED: Cell<bool> = const { Cell::new(false) };
}

/// What is wrong with a case, if anything.
fn check_case(case: &Case, check: fn(&Case)) -> Option<String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !EXPECTED.get() {
                usual(panic);
            }
        }));
    });
    EXPECTED.set(true);
    let checked = catch_unwind(AssertUnwindSafe(|| check(case)));
    EXPECTED.set(false);
    let panic = checked.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// The smallest case that is found to be wrong, from one that is.
fn shrink(mut case: Case, check: fn(&Case)) -> Case {
    while let Some(smaller) = case.smaller().into_iter().find(|smaller| check_case(smaller, check).is_some())
    {
        case = smaller;
    }
    case
}

/// The corpus, then as many random cases (times `TAUT_SOAK`); gives their number.
fn run(cases: u64, check: fn(&Case)) -> u64 {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "there is a corpus");
    for file in files {
        let case = Case::parse(&std::fs::read_to_string(&file).unwrap());
        assert_eq!(Case::parse(&case.to_string()), case, "cases are written as they are read");
        if let Some(failure) = check_case(&case, check) {
            panic!("{}: {failure}", file.display());
        }
    }
    let factor: u64 = std::env::var("TAUT_SOAK").map_or(1, |factor| factor.parse().expect("a number"));
    let first: u64 = std::env::var("TAUT_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    for seed in first..first + cases * factor {
        let case = Case::random(seed);
        if let Some(first) = check_case(&case, check) {
            let smallest = shrink(case, check);
            let failure = check_case(&smallest, check)
                .unwrap_or_else(|| format!("it does not always happen; at first it was: {first}"));
            panic!("seed {seed}: {failure}\nthe case, made smaller:\n{smallest}");
        }
    }
    cases * factor
}

/// Compared are outcomes, what is inferred without executing, exactly what has to run, failures, reasons, mixes of
/// values and hashes, lost values; and what-if builds change nothing. The model looks from the top, so whatever the
/// engine marks from below has to come to the same.
#[test]
fn exactly_the_stale_tasks_run_and_answers_equal_a_clean_build() {
    let cases = run(1_000, check);
    // Prints how much was tried, for `cargo xtask soak`.
    if let Some(directory) = std::env::var_os("TAUT_SOAK_REPORT") {
        std::fs::write(std::path::Path::new(&directory).join("oracle_cases"), cases.to_string()).unwrap();
    }
}

/// Asked again, nothing runs but what is never kept and what failed for now, and what reads that.
#[test]
fn a_second_identical_build_runs_nothing() {
    let _ = run(300, |case| {
        let Some(last) = case.builds.len().checked_sub(1) else { return };
        let mut again = case.clone();
        again.builds[last].what_if = None;
        let is_kept = |task: &Task| {
            // What lies in a file cannot be verified without a hash.
            let is_verified = task.place == Place::File && task.kind != Kind::Unhashed;
            task.runs > 0 && (task.place == Place::Memory || is_verified)
        };
        // A task above one with a set value does not follow from leaves.
        let sets_task = |build: &Build| {
            let is_between =
                |event: &Event| matches!(event, Event::Set(task, _) if *task >= case.leaves.len());
            build.events.iter().any(is_between)
        };
        let is_made_to_fail = |event: &Event| matches!(event, Event::Flaky(_));
        if !again.tasks.iter().all(is_kept)
            || again.builds.iter().flat_map(|build| &build.events).any(is_made_to_fail)
            || again.tasks.iter().any(|task| task.only) && again.builds.iter().any(sets_task)
        {
            return;
        }
        again.builds.push(Build { events: Vec::new(), ..again.builds[last].clone() });
        let all = outcomes(&again, |build| build.jobs);
        let [.., before, (ran, outcome)] = all.as_slice() else { return };
        assert_eq!((ran.as_slice(), outcome), (&[][..], &before.1));
    });
}

/// What the builds of a case do, on this number of threads.
fn outcomes(case: &Case, jobs: impl Fn(&Build) -> usize) -> Vec<(Vec<Ran>, Outcome)> {
    let (engine, world) = engine(case);
    let with = |build: &Build| Build { jobs: jobs(build), ..build.clone() };
    // Which of those runs that share their values depends on the order in which they are asked for, and so does what
    // a question takes for granted.
    let builds = case.builds.iter().filter(|build| !case.has_twins() || build.what_if.is_none());
    let all = builds.map(|build| did(&engine, &world, case, &with(build)));
    all.map(|(ran, outcome)| (ran.into_iter().filter(|_| !case.has_twins()).collect(), outcome)).collect()
}

/// What comes out, what ran and why depends on no schedule.
#[test]
fn the_number_of_threads_makes_no_difference() {
    let _ = run(150, |case| {
        let one = outcomes(case, |_| 1);
        for jobs in [2, 4] {
            assert_eq!(outcomes(case, |_| jobs), one, "on {jobs} threads (left), on one (right)");
        }
    });
}

/// Whatever was cancelled, and wherever, the next answers are those of a build from scratch.
#[test]
fn cancelled_builds_leave_no_wrong_state() {
    let _ = run(300, |case| {
        let (rules, world) = rules(case);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("traces");
        let restarts = case.builds.iter().any(|build| build.restart);
        let open = || if restarts { rules().open(&file) } else { rules().build() };
        let mut engine = open();
        let mut model = Model::new(case);
        for (at, build) in case.builds.iter().enumerate().filter(|(_, build)| build.what_if.is_none()) {
            model.build(case, build);
            if build.restart {
                engine.commit().unwrap();
                drop(engine);
                engine = open();
            }
            let cancel = Cancel::default();
            let after = (case.leaves.len() * 7 + at * 5) % 6;
            world.lock().unwrap().cancel = Some((after, cancel.clone()));
            let running = begin(&engine, &world, case, build).commit(Options {
                jobs: build.jobs,
                cancel,
                ..Options::default()
            });
            let _ = get(&running, case, build.root);
            drop(running);
            world.lock().unwrap().cancel = None;
            let again = Build { events: Vec::new(), by_hash: false, ..build.clone() };
            let anew = script::wanted(case, &model.leaves, &model.given)[build.root];
            assert_eq!(did(&engine, &world, case, &again).1, anew, "after build {at} was cancelled");
        }
    });
}

/// Builds of several epochs, open at once and asked from several threads, each answer for their own.
#[test]
fn builds_of_different_epochs_are_independent() {
    let _ = run(150, |case| {
        let (engine, _) = engine(case);
        let leaves: Vec<Option<u64>> = case.leaves.iter().copied().map(Some).collect();
        let mut given = BTreeMap::new();
        let all: Vec<_> = (case.builds.iter().enumerate())
            .map(|(at, build)| {
                let mut begin = engine.begin();
                for leaf in 0..leaves.len() {
                    if at == 0 || (build.root + leaf).is_multiple_of(2) {
                        let value = (build.root + at * 3 + leaf) as u64 % 4;
                        begin = set(begin, case, leaf, value);
                        given.insert(leaf, value);
                    }
                }
                for event in &build.events {
                    if let Event::Set(task, value) = event {
                        begin = set(begin, case, *task, *value);
                        given.insert(*task, *value);
                    }
                }
                let running = begin.commit(Options { jobs: build.jobs, ..Options::default() });
                (running, Model::of(leaves.clone(), given.clone()), build.root)
            })
            .collect();
        let ask = |(running, model, root): &(taut_engine::Build, Model, usize)| {
            let outcome = outcome(get(running, case, *root));
            assert_eq!(outcome, script::wanted(case, &model.leaves, &model.given)[*root]);
        };
        // The closure of a build is that of its own epoch, whatever others have settled since.
        let look_back = |(running, model, root): &(taut_engine::Build, Model, usize)| {
            let leaves = running.leaves().expect("the closure of a build that is answered is known");
            let leaves: BTreeSet<usize> = leaves.iter().map(number).collect();
            let (read, _) = script::closures(case, model, *root);
            let needed: BTreeSet<usize> = read.into_iter().filter(|task| *task < case.leaves.len()).collect();
            assert!(
                leaves.is_superset(&needed),
                "the leaves of {root} {running:?} are {leaves:?}, and must be {needed:?} at least"
            );
        };
        std::thread::scope(|scope| {
            let half = scope.spawn(|| all.iter().rev().step_by(2).for_each(ask));
            all.iter().step_by(2).for_each(ask);
            half.join().unwrap();
        });
        all.iter().step_by(2).for_each(look_back);
        all.iter().for_each(ask);
        all.iter().for_each(look_back);
    });
}
