//! The guarantees of the engine, one test each. Most assert what did *not* run.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
};

use taut_engine::{Cx, Engine, Fail, Failure, Hash, HashCx, Key, Options, Part, Policy, Rule};

/// The outside world: numbers by name.
#[derive(Clone, Default)]
struct World(Arc<Mutex<HashMap<&'static str, u64>>>);

impl World {
    fn of(inputs: &[(&'static str, u64)]) -> World {
        World(Arc::new(Mutex::new(inputs.iter().copied().collect())))
    }
    fn set(&self, name: &'static str, number: u64) {
        self.0.lock().unwrap().insert(name, number);
    }
}

/// A failure that knows when it is the same as before.
#[derive(Debug)]
struct Absent(String);

impl std::fmt::Display for Absent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "no {}", self.0)
    }
}

impl Failure for Absent {
    fn hash(&self) -> Option<Hash> {
        Hash::from_slice(self.0.as_bytes())
    }
}

struct Input(World);

impl Rule for Input {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "input";
    fn policy(&self, _: &String) -> Policy {
        Policy::leaf()
    }
    async fn value(&self, key: &String, _: Cx) -> Result<u64, Fail> {
        self.0.0.lock().unwrap().get(key.as_str()).copied().ok_or_else(|| Fail::task(Absent(key.clone())))
    }
    fn content_hash(&self, _: &String, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

/// `"a+b"` adds, `"a/2"` halves, `"?c:a:b"` reads `a` if `c` is not zero, else `b`; all else is an input.
struct Formula;

impl Rule for Formula {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "formula";
    fn policy(&self, _: &String) -> Policy {
        Policy::verifying(3)
    }
    async fn value(&self, key: &String, cx: Cx) -> Result<u64, Fail> {
        if let Some(choice) = key.strip_prefix('?') {
            let names: Vec<&str> = choice.split(':').collect();
            let chosen = if cx.get::<Input>(names[0].into()).await? != 0 { names[1] } else { names[2] };
            return cx.get::<Formula>(chosen.into()).await;
        }
        if let Some(half) = key.strip_suffix("/2") {
            return Ok(cx.get::<Formula>(half.into()).await? / 2);
        }
        if let Some((a, b)) = key.rsplit_once('+') {
            let both = cx.all::<Formula>(vec![a.into(), b.into()]).await;
            return both.into_iter().sum();
        }
        cx.get::<Input>(key.clone()).await
    }
    fn content_hash(&self, _: &String, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

fn engine(world: &World) -> Engine {
    Engine::builder().rule(Input(world.clone())).rule(Formula).build()
}

/// Builds after a scan; returns the result and what ran, without inputs.
fn build(engine: &Engine, key: &str) -> (Result<u64, String>, Vec<String>) {
    let build = engine.begin().scan().commit(Options { jobs: 2, ..Options::default() });
    let result = build.get::<Formula>(key.into()).map_err(|fail| fail.to_string());
    let mut ran = build.ran();
    ran.retain(|task| !task.starts_with("input"));
    ran.sort();
    (result, ran)
}

#[test]
fn nothing_runs_when_nothing_changed() {
    let engine = engine(&World::of(&[("a", 1), ("b", 2)]));
    assert_eq!(build(&engine, "a+b").0, Ok(3));
    assert_eq!(build(&engine, "a+b"), (Ok(3), vec![]));
}

#[test]
fn early_cutoff_stops_at_an_equal_result() {
    let world = World::of(&[("a", 4), ("b", 1)]);
    let engine = engine(&world);
    assert_eq!(build(&engine, "a/2+b").0, Ok(3));
    world.set("a", 5);
    let (result, ran) = build(&engine, "a/2+b");
    assert_eq!(result, Ok(3));
    assert_eq!(ran, [r#"formula("a")"#, r#"formula("a/2")"#], "the sum did not run");
}

#[test]
fn going_back_to_an_earlier_state_runs_nothing_but_for_lost_values() {
    let world = World::of(&[("a", 1), ("b", 2)]);
    let engine = engine(&world);
    assert_eq!(build(&engine, "a+b").0, Ok(3));
    world.set("a", 7);
    assert_eq!(build(&engine, "a+b").0, Ok(9));
    world.set("a", 1);
    let (result, ran) = build(&engine, "a+b");
    assert_eq!(result, Ok(3));
    assert!(ran.len() <= 2, "at most the values that are not kept: {ran:?}");
}

#[test]
fn a_dependency_no_longer_requested_is_not_executed() {
    let world = World::of(&[("c", 1), ("a", 1), ("b", 2)]);
    let engine = engine(&world);
    assert_eq!(build(&engine, "?c:a:b").0, Ok(1));
    world.set("c", 0);
    world.set("a", 100);
    let (result, ran) = build(&engine, "?c:a:b");
    assert_eq!(result, Ok(2));
    assert!(!ran.contains(&r#"formula("a")"#.to_owned()), "{ran:?}");
}

#[test]
fn failures_that_follow_from_the_inputs_are_replayed() {
    let world = World::of(&[("a", 1)]);
    let engine = engine(&world);
    assert_eq!(build(&engine, "a+b").0, Err("no b".into()));
    assert_eq!(build(&engine, "a+b"), (Err("no b".into()), vec![]));
    world.set("b", 2);
    assert_eq!(build(&engine, "a+b").0, Ok(3));
}

/// Task `n` of `(n, end)` depends on `n + 1`; the last one on `end`, if there is one.
struct Chain;

impl Rule for Chain {
    type Key = (u32, u32);
    type Value = u32;
    const NAME: &'static str = "chain";
    async fn value(&self, (at, length): &(u32, u32), cx: Cx) -> Result<u32, Fail> {
        if at == length { Ok(0) } else { Ok(cx.get::<Chain>((at + 1, *length)).await? + 1) }
    }
}

#[test]
fn a_chain_of_a_hundred_thousand_tasks_needs_no_stack() {
    let run = || {
        let engine = Engine::builder().rule(Chain).build();
        for jobs in [1, 2] {
            let build = engine.begin().changed_all::<Chain>().commit(Options { jobs, ..Options::default() });
            assert_eq!(build.get::<Chain>((0, 100_000)).ok(), Some(100_000));
        }
        let build = engine.begin().commit(Options::default());
        assert_eq!(build.get::<Chain>((0, 100_000)).ok(), Some(100_000));
        assert!(build.ran().is_empty());
    };
    std::thread::Builder::new().stack_size(2 << 20).spawn(run).unwrap().join().unwrap();
}

struct Ring;

impl Rule for Ring {
    type Key = u32;
    type Value = u32;
    const NAME: &'static str = "ring";
    async fn value(&self, at: &u32, cx: Cx) -> Result<u32, Fail> {
        match at {
            0..10 => cx.get::<Ring>((at + 1) % 10).await,
            _ => cx.get::<Ring>(3).await,
        }
    }
}

#[test]
fn a_cycle_is_reported_from_its_least_key_whichever_task_is_requested() {
    for (jobs, start) in [(1, 7), (2, 42), (2, 0)] {
        let build =
            Engine::builder().rule(Ring).build().begin().commit(Options { jobs, ..Options::default() });
        let fail = build.get::<Ring>(start).unwrap_err();
        let Fail::Cycle(cycle) = fail else { panic!("{fail}") };
        let keys: Vec<u32> = cycle.keys().iter().map(|key| *key.downcast().unwrap()).collect();
        assert_eq!(keys, (0..10).collect::<Vec<_>>());
    }
}

struct Text(World);

impl Rule for Text {
    type Key = ();
    type Value = Arc<Vec<u64>>;
    const NAME: &'static str = "text";
    fn policy(&self, _: &()) -> Policy {
        Policy::leaf()
    }
    async fn value(&self, _: &(), _: Cx) -> Result<Self::Value, Fail> {
        let world = self.0.0.lock().unwrap();
        Ok(Arc::new(vec![world["first"], world["second"]]))
    }
}

#[derive(Clone, Copy, PartialEq, Eq, std::hash::Hash, Debug)]
struct Line(u8);

impl Key for Line {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.0);
    }
    fn decode(bytes: &[u8]) -> Option<Line> {
        u8::decode(bytes).map(Line)
    }
}

impl Part for Line {
    type Of = Text;
    type Value = u64;
    const NAME: &'static str = "line";
    fn project(&self, whole: &Arc<Vec<u64>>) -> u64 {
        whole[self.0 as usize]
    }
    fn content_hash(&self, part: &u64) -> taut_engine::Hash {
        taut_engine::Hash::from(*part)
    }
}

struct ReadsFirst;

impl Rule for ReadsFirst {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "reads first";
    async fn value(&self, _: &(), cx: Cx) -> Result<u64, Fail> {
        cx.part((), Line(0)).await
    }
}

#[test]
fn a_reader_of_a_part_is_not_invalidated_by_changes_elsewhere() {
    let world = World::of(&[("first", 1), ("second", 2)]);
    let engine = Engine::builder().rule(Text(world.clone())).rule(ReadsFirst).part::<Line>().build();
    let ran = |changed: bool| {
        let build = engine.begin().scan().commit(Options::default());
        build.get::<ReadsFirst>(()).unwrap();
        assert_eq!(build.ran().contains(&"reads first(())".to_owned()), changed);
    };
    ran(true);
    world.set("second", 3);
    ran(false);
    world.set("first", 9);
    ran(true);
}

/// A value that must not be made when only its hash is wanted.
struct Tagged(Arc<AtomicUsize>);

impl Rule for Tagged {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "tagged";
    async fn value(&self, _: &(), _: Cx) -> Result<u64, Fail> {
        self.0.fetch_add(1, SeqCst);
        Ok(0)
    }
    async fn hash(&self, _: &(), _: HashCx<Self>) -> Result<Hash, Fail> {
        Ok(Hash::from(7))
    }
}

#[test]
fn asking_for_the_hash_does_not_make_the_value() {
    let made = Arc::new(AtomicUsize::new(0));
    let engine = Engine::builder().rule(Tagged(made.clone())).build();
    let build = engine.begin().commit(Options::default());
    assert_eq!(build.hash_of::<Tagged>(()).unwrap(), Some(Hash::from(7)));
    assert_eq!(made.load(SeqCst), 0);
    assert_eq!(build.get::<Tagged>(()).ok(), Some(0));
    assert_eq!(build.get::<Tagged>(()).ok(), Some(0));
    assert_eq!(made.load(SeqCst), 1);
}

/// Awaits a thread outside the engine.
struct Foreign;

impl Rule for Foreign {
    type Key = u32;
    type Value = u32;
    const NAME: &'static str = "foreign";
    async fn value(&self, at: &u32, _: Cx) -> Result<u32, Fail> {
        let shared = Arc::new((AtomicUsize::new(0), Mutex::new(None::<std::task::Waker>)));
        let theirs = shared.clone();
        std::thread::spawn(move || {
            std::thread::sleep(std::time::Duration::from_millis(5));
            theirs.0.store(1, SeqCst);
            theirs.1.lock().unwrap().take().into_iter().for_each(std::task::Waker::wake);
        });
        std::future::poll_fn(|cx| {
            *shared.1.lock().unwrap() = Some(cx.waker().clone());
            if shared.0.load(SeqCst) == 1 { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
        })
        .await;
        Ok(*at)
    }
}

#[test]
fn tasks_may_await_foreign_futures() {
    let engine = Engine::builder().rule(Foreign).build();
    let build = engine.begin().commit(Options { jobs: 1, ..Options::default() });
    let sum: u32 = build.all::<Foreign>(0..50).into_iter().map(Result::unwrap).sum();
    assert_eq!(sum, (0..50).sum());
}

struct Panics;

impl Rule for Panics {
    type Key = ();
    type Value = ();
    const NAME: &'static str = "panics";
    async fn value(&self, _: &(), _: Cx) -> Result<(), Fail> {
        panic!("oh no")
    }
}

#[test]
fn a_panic_is_a_failure_of_its_task() {
    let build = Engine::builder().rule(Panics).build().begin().commit(Options::default());
    assert!(build.get::<Panics>(()).unwrap_err().to_string().contains("oh no"));
}

/// Waits for an input without reading it; returns whether it was there.
struct After;

impl Rule for After {
    type Key = String;
    type Value = bool;
    const NAME: &'static str = "after";
    async fn value(&self, key: &String, cx: Cx) -> Result<bool, Fail> {
        Ok(cx.order::<Input>(key.clone()).await.is_ok())
    }
}

#[test]
fn an_order_only_dependency_may_change_unless_it_failed() {
    let world = World::of(&[("a", 1)]);
    let engine = Engine::builder().rule(Input(world.clone())).rule(After).build();
    let ask = |key: &str| {
        let build = engine.begin().scan().commit(Options { jobs: 1, ..Options::default() });
        (build.get::<After>(key.to_owned()).unwrap(), build.ran())
    };
    assert!(ask("a").0);
    world.set("a", 2);
    assert_eq!(ask("a"), (true, vec![]));
    assert!(!ask("b").0);
    world.set("b", 1);
    assert!(ask("b").0, "the failure was read");
}
