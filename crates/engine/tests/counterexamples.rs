//! Programs on which a plausible engine gives a wrong answer, does too much, or hangs: each was the reason for a
//! part of the design.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::collections::HashMap;
use std::future::poll_fn;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::task::{Poll, Waker};

use taut_engine::{Agreement, Curr, Cx, Engine, Fail, Hash, HashCx, Options, Policy, Rule, Store};

type World = Arc<Mutex<HashMap<String, u64>>>;

fn world(inputs: &[(&str, u64)]) -> World {
    Arc::new(Mutex::new(inputs.iter().map(|(name, number)| ((*name).to_owned(), *number)).collect()))
}

fn jobs(jobs: usize) -> Options {
    Options { jobs, ..Options::default() }
}

/// A number in the outside world.
struct Input(World);

impl Rule for Input {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "input";

    fn policy(&self, _: &String) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &String, _: Cx) -> Result<u64, Fail> {
        self.0.lock().unwrap().get(key).copied().ok_or_else(|| Fail::task(format!("no {key}")))
    }

    fn content_hash(&self, _: &String, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

/// Twice an input, in a file.
struct Output {
    disk: World,
}

impl Rule for Output {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "output";

    fn policy(&self, _: &String) -> Policy {
        Policy::verifying(2).stored(Store::File)
    }

    async fn value(&self, key: &String, cx: Cx) -> Result<u64, Fail> {
        let twice = cx.get::<Input>(key.clone()).await? * 2;
        self.disk.lock().unwrap().insert(key.clone(), twice);
        Ok(twice)
    }

    fn content_hash(&self, _: &String, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn curr(&self, key: &String) -> Curr<u64> {
        match self.disk.lock().unwrap().get(key).copied() {
            Some(value) => Curr::There { value, hash: Box::new(move || Some(Hash::from(value))) },
            None => Curr::None,
        }
    }
}

/// That all inputs of an output are unchanged does not show that the output file is: it may have been edited.
#[test]
fn an_edited_output_is_noticed_although_its_inputs_are_unchanged() {
    let (inputs, disk) = (world(&[("a", 2)]), world(&[]));
    let engine = Engine::builder().rule(Input(inputs)).rule(Output { disk: disk.clone() }).build();
    let get = || {
        let build = engine.begin().commit(jobs(1));
        (build.get::<Output>("a".to_owned()).unwrap(), build.ran())
    };
    assert_eq!(get().0, 4);
    assert_eq!(get(), (4, vec![]));
    disk.lock().unwrap().insert("a".to_owned(), 5);
    assert_eq!(get(), (4, vec![r#"output("a")"#.to_owned()]), "the input was not read again");
    assert_eq!(disk.lock().unwrap()["a"], 4);
    disk.lock().unwrap().remove("a");
    assert_eq!(get(), (4, vec![r#"output("a")"#.to_owned()]));
}

/// Reads `b` only if `a` is not zero.
struct Choice;

impl Rule for Choice {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "choice";

    fn policy(&self, (): &()) -> Policy {
        Policy::constructive(4)
    }

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        match cx.get::<Input>("a".to_owned()).await? {
            0 => Ok(0),
            _ => Ok(100 + cx.get::<Input>("b".to_owned()).await?),
        }
    }
}

/// Two states agree on all that a third one's run has read, and differ from it there: they may go on to read
/// something on which they differ from each other. It would be wrong to infer one from the other through the third.
#[test]
fn states_that_agree_on_what_another_run_read_are_not_the_same_state() {
    let inputs = world(&[("a", 0), ("b", 1)]);
    let engine = Engine::builder().rule(Input(inputs.clone())).rule(Choice).build();
    let get = |a: u64, b: u64| {
        inputs.lock().unwrap().extend([("a".to_owned(), a), ("b".to_owned(), b)]);
        let build = engine.begin().scan().commit(jobs(1));
        let value = build.get::<Choice>(()).unwrap();
        (value, build.ran().contains(&"choice(())".to_owned()))
    };
    assert_eq!(get(0, 1), (0, true));
    assert_eq!(get(1, 1), (101, true));
    assert_eq!(get(1, 2), (102, true));
    assert_eq!(get(0, 7), (0, false));
    assert_eq!(get(1, 2), (102, false));
    assert_eq!(get(1, 1), (101, false));
}

/// Reads the inputs in a list; numbers are names of inputs.
struct Includes;

impl Rule for Includes {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "includes";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        // The name of the list sorts after that of the included.
        match cx.get::<Input>("z list".to_owned()).await? {
            0 => Ok(0),
            _ => cx.get::<Input>("a included".to_owned()).await,
        }
    }
}

/// Reads are verified in the order in which they were made: any other order reads a file that is no longer included,
/// and executes or reports what is not needed.
#[test]
fn a_header_that_is_no_longer_included_is_not_read() {
    let inputs = world(&[("z list", 1), ("a included", 5)]);
    let engine = Engine::builder().rule(Input(inputs.clone())).rule(Includes).build();
    assert_eq!(engine.begin().commit(jobs(1)).get::<Includes>(()).unwrap(), 5);
    inputs.lock().unwrap().remove("a included");
    inputs.lock().unwrap().insert("z list".to_owned(), 0);
    for jobs in [1, 2] {
        let build = engine.begin().scan().commit(self::jobs(jobs));
        assert_eq!(build.get::<Includes>(()).unwrap(), 0);
        assert!(!build.ran().contains(&r#"input("a included")"#.to_owned()), "{:?}", build.ran());
    }
}

/// A value without a hash: it counts as new when it was made.
struct Unhashed;

impl Rule for Unhashed {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "unhashed";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        cx.get::<Input>("a".to_owned()).await
    }
}

/// Reads it.
struct Reader;

impl Rule for Reader {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "reader";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        Ok(cx.get::<Unhashed>(()).await? + 1)
    }
}

/// The number of the build is the hash of a result without one. If each process counted from the same number, the
/// result of its first build would be taken for that of another process's first build.
#[test]
fn builds_of_different_processes_are_never_taken_for_each_other() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let inputs = world(&[("a", 1)]);
    for a in 1..5 {
        inputs.lock().unwrap().insert("a".to_owned(), a);
        let engine = Engine::builder().rule(Input(inputs.clone())).rule(Unhashed).rule(Reader).open(&file);
        assert_eq!(engine.begin().scan().commit(jobs(1)).get::<Reader>(()).unwrap(), a + 1);
        engine.commit().unwrap();
    }
}

/// A file on a file system whose clock ticks rarely.
#[derive(Clone, Copy)]
struct Disk {
    clock: u64,
    modified: u64,
    content: u64,
}

/// Trusts the modification time of a file, unless it is the present tick, within which it may change again.
struct Timed(Arc<Mutex<Disk>>);

impl Rule for Timed {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "timed";

    fn policy(&self, (): &()) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        let disk = *self.0.lock().unwrap();
        if disk.modified < disk.clock {
            cx.witness(disk.modified.to_le_bytes());
        }
        Ok(disk.content)
    }

    fn content_hash(&self, (): &(), value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, (): &(), witness: &[u8], _: Hash) -> Agreement {
        let same = witness == self.0.lock().unwrap().modified.to_le_bytes();
        if same { Agreement::Yes } else { Agreement::No }
    }
}

/// A file that changes twice within one tick of the clock has the same time of modification after both: a leaf
/// without a witness is read again.
#[test]
fn a_witness_taken_within_a_clock_tick_of_a_change_is_not_trusted() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Arc::new(Mutex::new(Disk { clock: 10, modified: 10, content: 1 }));
    let get = || {
        let engine = Engine::builder().rule(Timed(disk.clone())).open(&directory.path().join("traces"));
        let build = engine.begin().scan().commit(jobs(1));
        let out = (build.get::<Timed>(()).unwrap(), build.ran().len());
        engine.commit().unwrap();
        out
    };
    assert_eq!(get(), (1, 1));
    disk.lock().unwrap().content = 2;
    assert_eq!(get(), (2, 1), "the time of modification is the same");
    disk.lock().unwrap().clock = 11;
    assert_eq!(get(), (2, 1), "there was no evidence yet");
    assert_eq!(get().0, 2);
    disk.lock().unwrap().clock = 12;
    disk.lock().unwrap().modified = 12;
    disk.lock().unwrap().content = 3;
    assert_eq!(get(), (3, 1));
}

/// Something outside the engine, awaited by some tasks and opened by one.
#[derive(Clone, Default)]
struct Gate(Arc<(AtomicUsize, Mutex<Vec<Waker>>)>);

impl Gate {
    fn open(&self) {
        self.0.0.store(1, SeqCst);
        self.0.1.lock().unwrap().drain(..).for_each(Waker::wake);
    }

    async fn pass(&self) {
        poll_fn(|cx| {
            self.0.1.lock().unwrap().push(cx.waker().clone());
            if self.0.0.load(SeqCst) == 1 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }
}

/// Its hash is made from its own value, which takes until the gate opens.
struct Slow {
    gate: Gate,
    made: Arc<AtomicUsize>,
}

impl Rule for Slow {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "slow";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        self.made.fetch_add(1, SeqCst);
        self.gate.pass().await;
        cx.get::<Input>("a".to_owned()).await
    }

    async fn hash(&self, (): &(), cx: HashCx<Self>) -> Result<Hash, Fail> {
        Ok(Hash::from(cx.value().await?))
    }
}

/// Several that want the value or the hash of it; the last one opens the gate.
struct Wants(Gate);

impl Rule for Wants {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "wants";

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let slow = cx.start::<Slow>(());
        if *key == 3 {
            self.0.open();
        }
        match key % 2 {
            0 => slow.await,
            _ => {
                drop(slow);
                let hash = cx.hash_of::<Slow>(()).await?.expect("it has one");
                Ok(u64::from(hash.0[0]))
            }
        }
    }
}

/// While a task's hash function waits for the task's own value, others request both: they have to wait, and not to be
/// taken for a recursion, for which the value would be computed a second time.
#[test]
fn a_second_requester_does_not_trip_the_guard_against_recursion() {
    for jobs in [1, 2, 4] {
        for _ in 0..20 {
            let (gate, made) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
            let slow = Slow { gate: gate.clone(), made: made.clone() };
            let engine =
                Engine::builder().rule(Input(world(&[("a", 9)]))).rule(slow).rule(Wants(gate)).build();
            let build = engine.begin().commit(self::jobs(jobs));
            let all: Vec<u64> = build.all::<Wants>(0..4).into_iter().map(Result::unwrap).collect();
            assert_eq!(all, [9; 4]);
            assert_eq!(made.load(SeqCst), 1);
        }
    }
}

/// Begins to wait for the slow one, drops the request, and opens the gate.
struct Impatient(Gate);

impl Rule for Impatient {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "impatient";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        let mut slow = Box::pin(cx.get::<Slow>(()));
        poll_fn(|cx| {
            assert!(slow.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        drop(slow);
        self.0.open();
        Ok(1)
    }
}

/// Waits for both.
struct Both;

impl Rule for Both {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "both";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        let impatient = cx.get::<Impatient>(()).await?;
        Ok(impatient + cx.get::<Slow>(()).await?)
    }
}

/// The first thread that waits for a task runs it on its own stack. If the request is dropped, the task must go on,
/// since others want it; and the dropped request is not a read.
#[test]
fn a_waiter_that_is_dropped_does_not_affect_other_waiters() {
    let (gate, made) = (Gate::default(), Arc::new(AtomicUsize::new(0)));
    let inputs = world(&[("a", 9)]);
    let engine = Engine::builder()
        .rule(Input(inputs.clone()))
        .rule(Slow { gate: gate.clone(), made: made.clone() })
        .rule(Impatient(gate))
        .rule(Both)
        .build();
    let build = engine.begin().commit(jobs(1));
    assert_eq!(build.get::<Both>(()).unwrap(), 10);
    assert_eq!(made.load(SeqCst), 1, "it was not begun again");
    inputs.lock().unwrap().insert("a".to_owned(), 20);
    let build = engine.begin().scan().commit(jobs(1));
    assert_eq!(build.get::<Both>(()).unwrap(), 21);
    assert!(!build.ran().contains(&"impatient(())".to_owned()), "{:?}", build.ran());
}

/// A task whose hash requests its value and whose value requests its own hash, through another task: a true cycle.
struct Loop;

impl Rule for Loop {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "loop";

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let hash = cx.hash_of::<Loop>(1 - key).await?;
        Ok(hash.map_or(0, |hash| u64::from(hash.0[0])))
    }

    async fn hash(&self, _: &u64, cx: HashCx<Self>) -> Result<Hash, Fail> {
        Ok(Hash::from(cx.value().await?))
    }
}

/// Only a cycle through a second task is one, and it is found, not waited for.
#[test]
fn a_cycle_of_hashes_and_values_through_another_task_is_reported() {
    for jobs in [1, 2] {
        let build = Engine::builder().rule(Loop).build().begin().commit(self::jobs(jobs));
        let fail = build.get::<Loop>(1).unwrap_err();
        assert_eq!(fail.to_string(), "loop(0) -> loop(1) -> loop(0)");
    }
}

/// Nothing in the file is needed to be right.
#[test]
fn an_engine_without_a_directory_for_its_file_still_builds() {
    let engine =
        Engine::builder().rule(Input(world(&[("a", 1)]))).open(Path::new("/nonexistent/directory/file"));
    assert_eq!(engine.begin().commit(jobs(1)).get::<Input>("a".to_owned()).unwrap(), 1);
    assert!(engine.commit().is_err());
}
