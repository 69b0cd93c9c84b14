//! The concurrent core under many schedules: `RUSTFLAGS="--cfg shuttle" cargo test -p taut-engine --test schedules`.
//!
//! Each test runs some hundred times, every time with other threads going on at other moments; that all of them
//! wait for each other is found, as is whatever a test asserts. A schedule that fails is printed, and can be
//! played again (`shuttle::replay`). `TAUT_SOAK` multiplies the number of schedules.
#![cfg(shuttle)]
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Poll, Waker};

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::Mutex;
use shuttle::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use shuttle::{Config, Runner, thread};
use taut_engine::{Build, Cancel, Cx, Engine, Fail, Hash, HashCx, Options, Policy, Rule};

/// Tries as many schedules: half of them at random, half with few, well-chosen interruptions.
fn explore(schedules: usize, test: fn()) {
    let factor: usize = std::env::var("TAUT_SOAK").map_or(1, |factor| factor.parse().expect("a number"));
    let config = || {
        let mut config = Config::new();
        config.stack_size = 1 << 19;
        config.silence_warnings = true;
        config
    };
    let half = schedules * factor / 2;
    Runner::new(RandomScheduler::new(half), config()).run(test);
    Runner::new(PctScheduler::new(4, half), config()).run(test);
}

fn jobs(jobs: usize) -> Options {
    Options { jobs, ..Options::default() }
}

/// Task `n` reads `n / 2` and `n / 3`; 0 and 1 are leaves.
struct Sum {
    made: Arc<AtomicUsize>,
}

impl Rule for Sum {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "sum";

    fn policy(&self, key: &u64) -> Policy {
        if *key < 2 { Policy::leaf() } else { Policy::constructive(2) }
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        self.made.fetch_add(1, SeqCst);
        if *key < 2 {
            return Ok(*key + 1);
        }
        let both = cx.all::<Sum>(vec![key / 2, key / 3]).await;
        both.into_iter().sum()
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

/// What `sum(key)` is, and which tasks are below it.
fn sum(key: u64, low: [u64; 2], below: &mut BTreeSet<u64>) -> u64 {
    below.insert(key);
    if key < 2 { low[key as usize] } else { sum(key / 2, low, below) + sum(key / 3, low, below) }
}

#[test]
fn each_task_runs_once_however_many_threads_request_it() {
    explore(400, || {
        let made = Arc::new(AtomicUsize::new(0));
        let engine = Engine::builder().rule(Sum { made: made.clone() }).build();
        let build = Arc::new(engine.begin().commit(jobs(2)));
        let others: Vec<_> = [13, 9]
            .map(|key| {
                let build = build.clone();
                thread::spawn(move || build.get::<Sum>(key).unwrap())
            })
            .into();
        let mut below = BTreeSet::new();
        assert_eq!(build.get::<Sum>(12).unwrap(), sum(12, [1, 2], &mut below));
        for (other, key) in others.into_iter().zip([13, 9]) {
            assert_eq!(other.join().unwrap(), sum(key, [1, 2], &mut below));
        }
        assert_eq!(made.load(SeqCst), below.len());
        assert_eq!(build.ran().len(), below.len());
    });
}

#[test]
fn checks_and_early_cutoff_run_nothing_too_much() {
    explore(200, || {
        let made = Arc::new(AtomicUsize::new(0));
        let engine = Engine::builder().rule(Sum { made: made.clone() }).build();
        engine.begin().commit(jobs(1)).get::<Sum>(14).unwrap();
        made.store(0, SeqCst);
        let build = engine.begin().changed::<Sum>(&1).changed::<Sum>(&3).commit(jobs(3));
        let first = build.get::<Sum>(14).unwrap();
        assert_eq!(first, sum(14, [1, 2], &mut BTreeSet::new()));
        let ran: BTreeSet<String> = build.ran().into_iter().collect();
        // Both have the same results as before, and nothing else runs.
        assert_eq!(ran, BTreeSet::from(["sum(1)".to_owned(), "sum(3)".to_owned()]));
        assert_eq!(made.load(SeqCst), 2);
    });
}

#[test]
fn builds_of_two_epochs_at_once_answer_for_their_own() {
    explore(200, || {
        let engine = Engine::builder().rule(Sum { made: Arc::default() }).build();
        let at = |low: [u64; 2]| engine.begin().set::<Sum>(0, low[0]).set::<Sum>(1, low[1]).commit(jobs(1));
        let ask = |build: &Build, low| {
            assert_eq!(build.get::<Sum>(7).unwrap(), sum(7, low, &mut BTreeSet::new()));
        };
        let (old, new) = (at([3, 4]), at([5, 4]));
        let other = thread::spawn(move || ask(&old, [3, 4]));
        ask(&new, [5, 4]);
        other.join().unwrap();
        let last = engine.begin().commit(jobs(2));
        ask(&last, [5, 4]);
        assert!(last.ran().is_empty(), "{:?}", last.ran());
    });
}

/// A task that is clean when an older build requests it may be invalidated by a newer one before the answer is fetched.
#[test]
fn a_task_that_a_build_found_clean_may_be_invalidated_by_a_newer_build() {
    explore(400, || {
        let engine = Engine::builder().rule(Sum { made: Arc::default() }).build();
        let first = engine.begin().set::<Sum>(0, 3).set::<Sum>(1, 4).commit(jobs(1));
        let sum_of = |key, low| sum(key, low, &mut BTreeSet::new());
        assert_eq!(first.get::<Sum>(7).unwrap(), sum_of(7, [3, 4]));
        let old = engine.begin().commit(jobs(1));
        let other = thread::spawn(move || [old.get::<Sum>(15).unwrap(), old.get::<Sum>(7).unwrap()]);
        let new = engine.begin().set::<Sum>(0, 5).commit(jobs(1));
        assert_eq!(new.get::<Sum>(15).unwrap(), sum_of(15, [5, 4]));
        assert_eq!(other.join().unwrap(), [sum_of(15, [3, 4]), sum_of(7, [3, 4])]);
    });
}

/// Reads the next two of a ring, at once.
struct Ring;

impl Rule for Ring {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "ring";

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        if *key >= 5 {
            return Ok(1);
        }
        let both = cx.all::<Ring>(vec![(key + 1) % 5, key + 5]).await;
        both.into_iter().sum()
    }
}

#[test]
fn cycles_are_found_and_always_the_same() {
    explore(200, || {
        let build = Engine::builder().rule(Ring).build().begin().commit(jobs(3));
        let build = Arc::new(build);
        let second = build.clone();
        let other = thread::spawn(move || second.get::<Ring>(4).unwrap_err().to_string());
        let whole = "ring(0) -> ring(1) -> ring(2) -> ring(3) -> ring(4) -> ring(0)";
        assert_eq!(build.get::<Ring>(2).unwrap_err().to_string(), whole);
        assert_eq!(other.join().unwrap(), whole);
    });
}

/// Something outside the engine.
#[derive(Clone, Default)]
struct Gate(Arc<(AtomicBool, Mutex<Vec<Waker>>)>);

impl Gate {
    fn open(&self) {
        self.0.0.store(true, SeqCst);
        let wakers = std::mem::take(&mut *self.0.1.lock().unwrap());
        wakers.into_iter().for_each(Waker::wake);
    }

    async fn pass(&self) {
        poll_fn(|cx| {
            self.0.1.lock().unwrap().push(cx.waker().clone());
            if self.0.0.load(SeqCst) { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Waits for the gate; its hash is made from its own value.
struct Slow {
    gate: Gate,
    made: Arc<AtomicUsize>,
}

impl Rule for Slow {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "slow";

    async fn value(&self, key: &u64, _: Cx) -> Result<u64, Fail> {
        self.made.fetch_add(1, SeqCst);
        self.gate.pass().await;
        Ok(*key)
    }

    async fn hash(&self, _: &u64, cx: HashCx<Self>) -> Result<Hash, Fail> {
        Ok(Hash::from(cx.value().await?))
    }
}

/// Odd ones request the hash, even ones the value; the first drops its request.
struct Wants;

impl Rule for Wants {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "wants";

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        if *key == 0 {
            let mut slow = Box::pin(cx.get::<Slow>(7));
            poll_fn(|cx| {
                let _ = slow.as_mut().poll(cx);
                Poll::Ready(())
            })
            .await;
            return Ok(7);
        }
        if key % 2 == 1 {
            let hash = cx.hash_of::<Slow>(7).await?;
            return Ok(u64::from(hash.expect("it has one").0[0]));
        }
        cx.get::<Slow>(7).await
    }
}

#[test]
fn a_second_requester_is_not_taken_for_recursion() {
    explore(400, || {
        let (gate, made) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
        let engine =
            Engine::builder().rule(Slow { gate: gate.clone(), made: made.clone() }).rule(Wants).build();
        let build = engine.begin().commit(jobs(3));
        let opens = thread::spawn(move || gate.open());
        let all: Vec<u64> = build.all::<Wants>(0..4).into_iter().map(Result::unwrap).collect();
        assert_eq!(all, [7; 4]);
        assert_eq!(made.load(SeqCst), 1);
        opens.join().unwrap();
    });
}

#[test]
fn a_cancelled_build_answers_all_requests_and_records_nothing_wrong() {
    explore(400, || {
        let engine = Engine::builder().rule(Sum { made: Arc::default() }).build();
        let cancel = Cancel::default();
        let build = engine.begin().commit(Options { jobs: 2, cancel: cancel.clone(), ..Options::default() });
        let cancels = thread::spawn(move || cancel.cancel());
        let right = sum(12, [1, 2], &mut BTreeSet::new());
        match build.get::<Sum>(12) {
            Ok(value) => assert_eq!(value, right),
            Err(Fail::Cancelled) => {}
            Err(other) => panic!("{other}"),
        }
        cancels.join().unwrap();
        drop(build);
        assert_eq!(engine.begin().commit(jobs(2)).get::<Sum>(12).unwrap(), right);
        let null = engine.begin().commit(jobs(1));
        assert_eq!(null.get::<Sum>(12).unwrap(), right);
        assert!(null.ran().is_empty(), "{:?}", null.ran());
    });
}

#[test]
fn cancelling_ends_what_waits_for_something_foreign() {
    explore(200, || {
        let (gate, cancel) = (Gate::default(), Cancel::default());
        let engine =
            Engine::builder().rule(Slow { gate: gate.clone(), made: Arc::default() }).rule(Wants).build();
        let build = engine.begin().commit(Options { jobs: 2, cancel: cancel.clone(), ..Options::default() });
        // Perhaps the gate opens as well, before or after.
        let others = [thread::spawn(move || cancel.cancel()), thread::spawn(move || gate.open())];
        for answer in build.all::<Wants>(1..4) {
            assert!(matches!(answer, Ok(7) | Err(Fail::Cancelled)));
        }
        others.into_iter().for_each(|other| other.join().unwrap());
    });
}

#[test]
fn a_build_that_is_dropped_ends_with_all_its_threads() {
    explore(200, || {
        let gate = Gate::default();
        let engine =
            Engine::builder().rule(Slow { gate: gate.clone(), made: Arc::default() }).rule(Wants).build();
        let build = Arc::new(engine.begin().commit(jobs(2)));
        let (asks, cancel) = (build.clone(), gate.clone());
        let other = thread::spawn(move || asks.get::<Wants>(2).unwrap());
        cancel.open();
        drop(build);
        assert_eq!(other.join().unwrap(), 7);
        drop(engine);
    });
}

#[test]
fn two_builds_of_one_engine_share_what_is_known_and_do_not_wait_for_each_other() {
    explore(200, || {
        let engine = Engine::builder().rule(Sum { made: Arc::default() }).build();
        let right = sum(9, [1, 2], &mut BTreeSet::new());
        let second = engine.clone();
        let other = thread::spawn(move || second.begin().commit(jobs(1)).get::<Sum>(9).unwrap());
        let build = engine.begin().changed::<Sum>(&1).commit(jobs(2));
        assert_eq!(build.get::<Sum>(9).unwrap(), right);
        assert_eq!(other.join().unwrap(), right);
        engine.evict_values();
        assert_eq!(engine.begin().commit(jobs(1)).get::<Sum>(9).unwrap(), right);
    });
}

/// What lies below a sum (even), or below the total before (odd): the keys, added up.
struct Total;

impl Rule for Total {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "total";

    fn policy(&self, _: &u64) -> Policy {
        Policy::deep(2).only_by_leaves()
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let root = if key.is_multiple_of(2) {
            cx.get::<Sum>(*key).await?;
            cx.task::<Sum>(*key)
        } else {
            cx.get::<Total>(key - 1).await?;
            cx.task::<Total>(key - 1)
        };
        let below = cx.collect::<Sum>(vec![root]).await;
        Ok(below.ok_or_else(|| Fail::transient("not known".to_owned()))?.into_iter().sum())
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

#[test]
fn what_is_collected_depends_on_no_schedule() {
    explore(200, || {
        let engine = Engine::builder().rule(Sum { made: Arc::default() }).rule(Total).build();
        let mut below = BTreeSet::new();
        sum(12, [1, 2], &mut below);
        let right: u64 = below.into_iter().sum();
        for _ in 0..2 {
            let build = Arc::new(engine.begin().changed::<Sum>(&1).changed::<Sum>(&3).commit(jobs(2)));
            let second = build.clone();
            let other = thread::spawn(move || second.get::<Total>(13).unwrap());
            assert_eq!(build.get::<Total>(12).unwrap(), right);
            assert_eq!(other.join().unwrap(), right);
        }
    });
}

#[test]
fn builds_of_two_epochs_collect_for_their_own() {
    explore(200, || {
        let engine = Engine::builder().rule(Sum { made: Arc::default() }).rule(Total).build();
        let at = |low: u64| engine.begin().set::<Sum>(0, low).commit(jobs(1));
        let mut below = BTreeSet::new();
        sum(12, [1, 2], &mut below);
        let right: u64 = below.into_iter().sum();
        let ask = move |build: &Build| assert_eq!(build.get::<Total>(13).unwrap(), right);
        let (old, new) = (at(3), at(5));
        let other = thread::spawn(move || ask(&old));
        ask(&new);
        other.join().unwrap();
    });
}
