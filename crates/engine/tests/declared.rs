//! More programs on which a plausible engine gives a wrong answer, or does too much. Inputs are declared changed, or
//! set from outside, while the engine knows a task in an unusual way: from the file only, stored nowhere, or by a
//! shared value. Other programs ask what a build did.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Arc, Mutex};

use taut_engine::{Agreement, Build, Cx, Derivation, Engine, Fail, Hash, Options, Policy, Rule, Store};

type World = Arc<Mutex<Vec<u64>>>;

/// A number in the outside world, with a witness that always agrees: its result is valid in every later process.
struct Input(World);

impl Rule for Input {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "input";

    fn policy(&self, _: &u64) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        cx.witness([]);
        Ok(self.0.lock().unwrap()[*key as usize])
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, _: &u64, _: &[u8], _: Hash) -> Agreement {
        Agreement::Yes
    }
}

/// The same, stored nowhere.
struct Unstored(World);

impl Rule for Unstored {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "unstored";

    fn policy(&self, _: &u64) -> Policy {
        Policy::leaf().stored(Store::None)
    }

    async fn value(&self, key: &u64, _: Cx) -> Result<u64, Fail> {
        Ok(self.0.lock().unwrap()[*key as usize])
    }
}

/// Twice an unstored number.
struct Twice;

impl Rule for Twice {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "twice";

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        Ok(2 * cx.get::<Unstored>(*key).await?)
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

/// Input 0, for every key: all its tasks are siblings with the same value.
struct Shared;

impl Rule for Shared {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "shared";

    fn policy(&self, _: &u64) -> Policy {
        Policy::constructive(2)
    }

    async fn value(&self, _: &u64, cx: Cx) -> Result<u64, Fail> {
        cx.get::<Input>(0).await
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn share_key(&self, _: &u64) -> Option<u64> {
        Some(0)
    }

    fn serves(&self, _: &u64, _: &u64, _: &u64) -> bool {
        true
    }

    fn encode_value(&self, _: &u64, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

/// Reads and returns the shared value of its key.
struct Reads;

impl Rule for Reads {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "reads";

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        cx.get::<Shared>(*key).await
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

/// Depends on the hash of the shared value of its key, and on input 1.
struct Depends;

impl Rule for Depends {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "depends";

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        cx.depend::<Shared>(*key);
        cx.get::<Input>(1).await
    }
}

/// Starts input 0 and does not wait for it.
struct Starts;

impl Rule for Starts {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "starts";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        drop(cx.start::<Input>(0));
        Ok(7)
    }
}

/// The same, for input 1; then it waits for it.
struct StartsAndWaits;

impl Rule for StartsAndWaits {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "starts and waits";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        let started = cx.start::<Input>(1);
        let zero = cx.get::<Input>(0).await?;
        Ok(zero + started.await?)
    }
}

fn engine(world: &World, file: Option<&Path>) -> Engine {
    let builder = Engine::builder().rule(Input(world.clone())).rule(Unstored(world.clone())).rule(Twice);
    let builder = builder.rule(Shared).rule(Reads).rule(Depends).rule(Starts).rule(StartsAndWaits);
    match file {
        Some(file) => builder.open(file),
        None => builder.build(),
    }
}

fn world(inputs: &[u64]) -> World {
    Arc::new(Mutex::new(inputs.to_vec()))
}

fn one() -> Options {
    Options { jobs: 1, ..Options::default() }
}

fn leaves(build: &Build) -> BTreeSet<String> {
    build.leaves().unwrap().iter().map(ToString::to_string).collect()
}

fn names(of: &[&str]) -> BTreeSet<String> {
    of.iter().map(|name| (*name).to_owned()).collect()
}

/// What is started is read when it is awaited, also if its value is there before that.
#[test]
fn what_is_started_and_not_awaited_is_not_read() {
    let world = world(&[1, 2]);
    for is_settled_before in [false, true] {
        let engine = engine(&world, None);
        let build = engine.begin().commit(one());
        if is_settled_before {
            build.get::<Input>(0).unwrap();
        }
        build.get::<Starts>(()).unwrap();
        assert_eq!(engine.reads_of(engine.task::<Starts>(())), Some(vec![]));
        drop(build);
        let build = engine.begin().changed::<Input>(&0).commit(one());
        build.get::<Starts>(()).unwrap();
        assert!(!build.ran().contains(&"starts(())".to_owned()), "{:?}", build.ran());
    }
}

#[test]
fn what_is_started_and_awaited_later_is_read_where_it_was_started() {
    let world = world(&[1, 2]);
    for is_settled_before in [false, true] {
        let engine = engine(&world, None);
        let build = engine.begin().commit(one());
        if is_settled_before {
            build.get::<Input>(1).unwrap();
        }
        assert_eq!(build.get::<StartsAndWaits>(()).unwrap(), 3);
        let read = engine.reads_of(engine.task::<StartsAndWaits>(())).unwrap();
        assert_eq!(read, [engine.task::<Input>(1), engine.task::<Input>(0)]);
        drop(build);
        let build = engine.begin().set::<Input>(1, 40).commit(one());
        assert_eq!(build.get::<StartsAndWaits>(()).unwrap(), 41);
    }
}

/// Every request for a task that is stored nowhere executes it, unless its value was given.
#[test]
fn a_set_value_is_seen_also_by_a_task_stored_nowhere() {
    let world = world(&[1]);
    let engine = engine(&world, None);
    let before = engine.begin().commit(one());
    let given = engine.begin().set::<Unstored>(0, 50).commit(one());
    assert_eq!((given.get::<Unstored>(0).unwrap(), given.get::<Twice>(0).unwrap()), (50, 100));
    assert_eq!(given.hash_of::<Twice>(0).unwrap(), Some(Hash::from(100)));
    assert_eq!(given.hash_of::<Unstored>(0).unwrap(), None, "it equals no other still");
    assert_eq!(given.ran(), ["twice(0)"]);
    assert_eq!(before.get::<Twice>(0).unwrap(), 2, "an earlier epoch sees what was there then");
    let again = engine.begin().set::<Unstored>(0, 60).commit(one());
    assert_eq!(again.get::<Twice>(0).unwrap(), 120);
    assert_eq!(given.get::<Unstored>(0).unwrap(), 50);
}

#[test]
fn a_set_value_is_not_taken_over_by_siblings() {
    let world = world(&[5]);
    let engine = engine(&world, None);
    let build = engine.begin().commit(one());
    assert_eq!((build.get::<Reads>(0).unwrap(), build.get::<Reads>(1).unwrap()), (5, 5));
    assert!(matches!(build.derivation::<Shared>(&1), Some(Derivation::TakenOver { .. })));
    // Neither does the task whose value was set take over that of a sibling,
    let build = engine.begin().set::<Shared>(1, 50).commit(one());
    assert_eq!((build.get::<Reads>(1).unwrap(), build.get::<Reads>(0).unwrap()), (50, 5));
    assert_eq!(build.get::<Reads>(2).unwrap(), 5);
    // nor do siblings take over the value that was set,
    world.lock().unwrap()[0] = 6;
    let build = engine.begin().changed::<Input>(&0).set::<Shared>(0, 60).commit(one());
    assert_eq!((build.get::<Reads>(0).unwrap(), build.get::<Reads>(2).unwrap()), (60, 6));
    assert_eq!(build.get::<Reads>(1).unwrap(), 50);
    // not even if it is the one that they took over when it was made.
    let build = engine.begin().set::<Shared>(0, 5).set::<Shared>(1, 5).commit(one());
    assert_eq!((build.get::<Reads>(0).unwrap(), build.get::<Reads>(2).unwrap()), (5, 6));
}

/// The same where the shared value is that of another process.
#[test]
fn a_set_value_is_not_taken_over_by_siblings_known_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world = world(&[5]);
    let first = engine(&world, Some(&file));
    let build = first.begin().commit(one());
    build.all::<Reads>([0, 1]).into_iter().for_each(|value| assert_eq!(value.unwrap(), 5));
    drop(build);
    first.commit().unwrap();
    let second = engine(&world, Some(&file));
    world.lock().unwrap()[0] = 6;
    let build = second.begin().changed::<Input>(&0).set::<Shared>(0, 5).commit(one());
    assert_eq!(build.get::<Shared>(0).unwrap(), 5);
    assert_eq!(build.get::<Reads>(1).unwrap(), 6, "its value was another's, which is given now");
}

#[test]
fn changed_all_invalidates_tasks_known_only_from_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world = world(&[5, 1]);
    let first = engine(&world, Some(&file));
    first.begin().commit(one()).get::<Reads>(0).unwrap();
    first.commit().unwrap();
    // Everything is known to be clean by the numbers in the file: no task of the rule is a node.
    let second = engine(&world, Some(&file));
    let build = second.begin().commit(one());
    assert!(build.hash_of::<Reads>(0).is_ok() && build.get::<Shared>(0).is_ok() && build.ran().is_empty());
    world.lock().unwrap()[0] = 6;
    let build = second.begin().changed_all::<Input>().commit(one());
    assert_eq!((build.get::<Shared>(0).unwrap(), build.get::<Reads>(0).unwrap()), (6, 6));
}

/// The declaration outlives the process, whatever that process has built, and what another one adds.
#[test]
fn changed_all_holds_in_later_processes_once_committed() {
    for is_known in [false, true] {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("traces");
        let world = world(&[5, 1]);
        let first = engine(&world, Some(&file));
        first.begin().commit(one()).get::<Reads>(0).unwrap();
        first.commit().unwrap();
        world.lock().unwrap()[0] = 6;
        let second = engine(&world, Some(&file));
        if is_known {
            // It is a node, and clean, before the declaration.
            let seen = second.begin().commit(one()).hash_of::<Input>(0).unwrap();
            assert_eq!(seen, Some(Hash::from(5)), "nothing was declared");
        }
        let build = second.begin().changed_all::<Input>().commit(one());
        assert_eq!(build.get::<Input>(1).unwrap(), 1);
        drop(build);
        second.commit().unwrap();
        assert_eq!(second.commit().unwrap().bytes, 0, "it is written once");
        let third = engine(&world, Some(&file));
        let build = third.begin().commit(one());
        assert_eq!(build.get::<Reads>(0).unwrap(), 6);
        assert_eq!(build.hash_of::<Input>(1).unwrap(), Some(Hash::from(1)));
        assert!(!build.ran().contains(&"input(1)".to_owned()), "it was made after the declaration");
    }
}

/// A declaration that could not be written is written by the next commit.
#[test]
fn a_declaration_survives_a_commit_that_fails() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world = world(&[5]);
    let first = engine(&world, Some(&file));
    first.begin().commit(one()).get::<Reads>(0).unwrap();
    first.commit().unwrap();
    let second = engine(&world, Some(&file));
    world.lock().unwrap()[0] = 6;
    drop(second.begin().changed_all::<Input>().commit(one()));
    let elsewhere = directory.path().join("elsewhere");
    std::fs::rename(directory.path().join("traces.lock"), &elsewhere).unwrap();
    std::fs::create_dir(directory.path().join("traces.lock")).unwrap();
    second.commit().unwrap_err();
    std::fs::remove_dir(directory.path().join("traces.lock")).unwrap();
    second.commit().unwrap();
    assert_eq!(engine(&world, Some(&file)).begin().commit(one()).get::<Reads>(0).unwrap(), 6);
}

#[test]
fn the_derivation_of_a_task_settled_by_the_numbers_of_the_file_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world = world(&[5, 1]);
    let first = engine(&world, Some(&file));
    let build = first.begin().commit(one());
    build.all::<Reads>([0, 1]).into_iter().for_each(|value| assert_eq!(value.unwrap(), 5));
    drop(build);
    first.commit().unwrap();
    let second = engine(&world, Some(&file));
    let text = |build: &Build| {
        let all = [
            build.derivation::<Reads>(&1),
            build.derivation::<Shared>(&1),
            build.derivation::<Shared>(&0),
            build.derivation::<Input>(&0),
            build.derivation::<Input>(&1),
            build.derivation::<Reads>(&0),
        ];
        all.map(|why| why.map_or("-".to_owned(), |why| why.to_string()))
    };
    let build = second.begin().commit(one());
    build.hash_of::<Reads>(1).unwrap();
    let expected = [
        "all 1 that it had read are the same",
        "it is the same as shared(0)",
        "all 1 that it had read are the same",
        "all 0 that it had read are the same",
        // They were not requested.
        "-",
        "-",
    ];
    assert_eq!(text(&build), expected);
    assert_eq!(leaves(&build), names(&["input(0)"]), "asking binds tasks, and changes nothing");
    assert_eq!(text(&build), expected);
    // In the next build all is clean, without the numbers of the file.
    let build = second.begin().commit(one());
    build.hash_of::<Reads>(1).unwrap();
    let clean = "nothing that it was made from was declared changed";
    assert_eq!(text(&build)[..4], [clean; 4].map(str::to_owned));
    assert_eq!(leaves(&build), names(&["input(0)"]));
}

/// A build can be asked what it was made from for as long as it is there, whatever others have settled since.
#[test]
fn the_leaves_of_a_build_are_not_those_of_a_later_epoch() {
    let world = world(&[5, 1]);
    let engine = engine(&world, None);
    let first = engine.begin().commit(one());
    first.all::<Reads>([0, 1]).into_iter().for_each(|value| assert_eq!(value.unwrap(), 5));
    first.get::<Depends>(1).unwrap();
    drop(first);
    // All is clean here,
    let second = engine.begin().commit(one());
    second.get::<Depends>(1).unwrap();
    assert_eq!(leaves(&second), names(&["input(0)", "input(1)"]));
    // and is replaced there.
    let third = engine.begin().set::<Shared>(1, 50).set::<Input>(1, 9).commit(one());
    third.get::<Depends>(1).unwrap();
    let fourth = engine.begin().set::<Shared>(1, 51).commit(one());
    fourth.get::<Depends>(1).unwrap();
    let fifth = engine.begin().set::<Input>(0, 3).commit(one());
    fifth.get::<Reads>(0).unwrap();
    assert_eq!(leaves(&third), names(&["input(1)"]), "a value that is given is made from nothing");
    assert_eq!(leaves(&fourth), names(&["input(1)"]));
    assert_eq!(leaves(&second), names(&["input(0)", "input(1)"]));
}

/// A task that is clean because a task that read it is has a hash, though only its number was read from the file.
#[test]
fn the_hash_of_a_task_marked_clean_by_its_reader_is_known() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world = world(&[5]);
    let first = engine(&world, Some(&file));
    first.begin().commit(one()).get::<Reads>(0).unwrap();
    first.commit().unwrap();
    let second = engine(&world, Some(&file));
    let build = second.begin().commit(one());
    build.hash_of::<Reads>(0).unwrap();
    assert_eq!(second.reads_of(second.task::<Reads>(0)), Some(vec![second.task::<Shared>(0)]));
    assert_eq!(build.hash_of::<Shared>(0).unwrap(), Some(Hash::from(5)));
}
