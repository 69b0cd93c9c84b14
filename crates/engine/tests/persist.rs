//! Traces that outlive the process: what several processes do with one file.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use taut_engine::{Agreement, Committed, Cx, Engine, Fail, Hash, Options, Policy, Rule, renumber};

type World = Arc<Mutex<Vec<u64>>>;

struct Leaf(World);

impl Rule for Leaf {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "leaf";

    fn policy(&self, _: &u64) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let value = self.0.lock().unwrap()[*key as usize];
        cx.witness(value.to_le_bytes());
        Ok(value)
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, key: &u64, witness: &[u8], _: Hash) -> Agreement {
        let value = self.0.lock().unwrap()[*key as usize];
        if witness == value.to_le_bytes() { Agreement::Yes } else { Agreement::No }
    }
}

/// Twice a leaf and half of the next task.
struct Task;

impl Rule for Task {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "task";

    fn policy(&self, _: &u64) -> Policy {
        Policy::constructive(3)
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let own = cx.get::<Leaf>(*key).await?;
        let next = if *key == 0 { 0 } else { cx.get::<Task>(*key - 1).await? };
        Ok(own * 2 + next / 2)
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn encode_value(&self, _: &u64, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

fn open(world: &World, file: &Path) -> Engine {
    Engine::builder().rule(Leaf(world.clone())).rule(Task).open(file)
}

fn get(engine: &Engine, key: u64) -> (u64, Vec<String>) {
    let build = engine.begin().scan().commit(Options { jobs: 1, ..Options::default() });
    (build.get::<Task>(key).unwrap(), build.ran())
}

#[test]
fn another_process_runs_nothing_and_a_null_commit_writes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world: World = Arc::new(Mutex::new(vec![1, 2, 3]));
    let engine = open(&world, &file);
    let (value, ran) = get(&engine, 2);
    assert_eq!(ran.len(), 6);
    assert!(engine.commit().unwrap().bytes > 0);
    assert_eq!(engine.commit().unwrap(), Committed::default());
    let bytes = std::fs::read(&file).unwrap();
    let engine = open(&world, &file);
    assert_eq!(get(&engine, 2), (value, vec![]));
    engine.commit().unwrap();
    assert_eq!(std::fs::read(&file).unwrap(), bytes, "not a byte is written");
}

#[test]
fn early_cutoff_works_across_processes() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world: World = Arc::new(Mutex::new(vec![0, 10, 10]));
    let engine = open(&world, &file);
    get(&engine, 2);
    engine.commit().unwrap();
    // Values of leaves are not kept beyond the process: a task that executes again reads them again.
    world.lock().unwrap()[1] = 11;
    let engine = open(&world, &file);
    assert_eq!(get(&engine, 2).1, ["leaf(1)", "task(1)", "task(2)", "leaf(2)"]);
    engine.commit().unwrap();
    // Back: several runs are kept.
    world.lock().unwrap()[1] = 10;
    let engine = open(&world, &file);
    assert_eq!(get(&engine, 2).1, ["leaf(1)"]);
}

#[test]
fn processes_that_have_the_file_open_together_add_to_it_one_after_the_other() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world: World = Arc::new(Mutex::new(vec![1; 40]));
    let engines: Vec<Engine> = (0..4).map(|_| open(&world, &file)).collect();
    for (number, engine) in engines.iter().enumerate() {
        get(engine, number as u64 * 10 + 9);
    }
    engines.iter().for_each(|engine| {
        engine.commit().unwrap();
    });
    assert_eq!(get(&open(&world, &file), 39).1, Vec::<String>::new());
    // The one that committed first goes on with what it knows, beside what the others know.
    world.lock().unwrap()[5] = 100;
    get(&engines[0], 9);
    engines[0].commit().unwrap();
    assert_eq!(get(&open(&world, &file), 9).1, Vec::<String>::new());
    world.lock().unwrap()[5] = 1;
    assert_eq!(get(&open(&world, &file), 39).1, ["leaf(5)"]);
}

#[test]
fn a_copy_that_takes_the_place_of_a_file_is_another_file() {
    let directory = tempfile::tempdir().unwrap();
    let [here, there] = ["here", "there"].map(|name| directory.path().join(name));
    let copy = |from: &Path, to: &Path| {
        let mut bytes = std::fs::read(from).unwrap();
        assert!(renumber(&mut bytes));
        std::fs::write(to, bytes).unwrap();
    };
    let world: World = Arc::new(Mutex::new(vec![0, 10, 10, 10]));
    let engine = open(&world, &here);
    get(&engine, 2);
    engine.commit().unwrap();
    copy(&here, &there);
    // Different journals with batches of equal lengths.
    world.lock().unwrap()[1] = 110;
    get(&engine, 2);
    engine.commit().unwrap();
    let other_world: World = Arc::new(Mutex::new(vec![0, 120, 10, 10]));
    let other = open(&other_world, &there);
    get(&other, 2);
    other.commit().unwrap();
    assert_eq!(std::fs::metadata(&here).unwrap().len(), std::fs::metadata(&there).unwrap().len());
    let value_there = get(&other, 3).0;
    other.commit().unwrap();
    // The process that has the file open for long meets the copy in its place.
    copy(&there, &here);
    let value = get(&engine, 3).0;
    assert_eq!(value, get(&open(&world, &directory.path().join("none")), 3).0);
    assert_ne!(value, value_there);
    // What it adds to the copy is right in both worlds.
    engine.commit().unwrap();
    assert_eq!(get(&open(&world, &here), 3).0, value);
    assert_eq!(get(&open(&other_world, &here), 3).0, value_there);
}

#[test]
fn the_file_does_not_grow_without_end() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world: World = Arc::new(Mutex::new(vec![0; 60]));
    let bystander = open(&world, &file);
    get(&bystander, 20);
    bystander.commit().unwrap();
    let mut longest = 0;
    for edit in 0..150 {
        world.lock().unwrap()[edit % 60] = edit as u64 * 1_000_003 + 1;
        let engine = open(&world, &file);
        get(&engine, 59);
        engine.commit().unwrap();
        longest = longest.max(std::fs::metadata(&file).unwrap().len());
    }
    assert!(longest < 300_000, "{longest}");
    // A process that has the old file open is not affected by the new one.
    let (value, _) = get(&bystander, 59);
    bystander.commit().unwrap();
    let engine = open(&world, &file);
    assert_eq!(get(&engine, 59), (value, vec![]));
}

#[test]
fn builds_succeed_where_the_file_cannot_be_read_or_written() {
    let directory = tempfile::tempdir().unwrap();
    let world: World = Arc::new(Mutex::new(vec![1, 2]));
    for content in [&b""[..], b"something else entirely, and long enough", b"taut traces 9999"] {
        let file = directory.path().join("traces");
        std::fs::write(&file, content).unwrap();
        let engine = open(&world, &file);
        assert_eq!(get(&engine, 1).1.len(), 4);
        engine.commit().unwrap();
        assert_eq!(get(&open(&world, &file), 1).1.len(), 0);
    }
    // Nothing is wrong with what an earlier program wrote.
    for (content, problem) in
        [("taut traces 0003", None), ("taut traces 000x", Some(taut_engine::FileProblem::Damaged))]
    {
        let file = directory.path().join("earlier");
        std::fs::write(&file, content.repeat(20)).unwrap();
        let engine = open(&world, &file);
        assert_eq!(get(&engine, 1).1.len(), 4);
        assert_eq!(engine.file_problem(), problem);
        engine.commit().unwrap();
        assert_eq!(get(&open(&world, &file), 1).1.len(), 0);
    }
    let absent = directory.path().join("no/such/directory/traces");
    let engine = open(&world, &absent);
    assert_eq!(get(&engine, 1).1.len(), 4);
    assert!(engine.commit().is_err());
    assert_eq!(get(&engine, 1).1.len(), 0);
}

/// The leaves of the build.
fn leaves(build: &taut_engine::Build) -> Vec<u64> {
    let mut leaves: Vec<u64> =
        build.leaves().unwrap().iter().filter_map(|key| key.downcast().copied()).collect();
    leaves.sort_unstable();
    leaves
}

/// What was decided by the numbers of the file is known whole, however much of it was bound since: the leaves
/// below it, and what a change reaches.
#[test]
fn tasks_decided_by_the_file_are_complete_when_they_are_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let options = || Options { jobs: 1, ..Options::default() };
    let ways: [&[u64]; 5] = [&[], &[3], &[2], &[3, 2], &[0, 3]];
    for (at, looked_at) in ways.into_iter().enumerate() {
        let world: World = Arc::new(Mutex::new(vec![1, 2, 3, at as u64 + 4]));
        let engine = open(&world, &file);
        get(&engine, 3);
        engine.commit().unwrap();
        let engine = open(&world, &file);
        let build = engine.begin().commit(options());
        build.get::<Task>(3).unwrap();
        for key in looked_at {
            let task = engine.task::<Task>(*key);
            engine.reads_of(task);
        }
        assert_eq!(leaves(&build), [0, 1, 2, 3], "{looked_at:?} looked at");
        assert_eq!(build.ran(), Vec::<String>::new());
        // Another build that nothing happened before.
        let build = engine.begin().commit(options());
        build.get::<Task>(3).unwrap();
        assert_eq!((leaves(&build), build.ran()), (vec![0, 1, 2, 3], vec![]));
        // A leaf that was not requested in this session.
        let engine = open(&world, &file);
        engine.begin().commit(options()).get::<Task>(3).unwrap();
        for key in looked_at {
            let task = engine.task::<Task>(*key);
            engine.reads_of(task);
        }
        world.lock().unwrap()[0] += 10;
        let build = engine.begin().changed::<Leaf>(&0).commit(options());
        build.get::<Task>(3).unwrap();
        let ran = build.ran();
        assert_eq!(ran[..2], ["leaf(0)", "task(0)"], "{looked_at:?} looked at: {ran:?}");
        assert_eq!(leaves(&build), [0, 1, 2, 3]);
    }
}
