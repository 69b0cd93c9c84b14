//! Facets: a reader of some aspects of a value is not invalidated by changes of the others.

use std::sync::{Arc, Mutex};

use taut_engine::{Agreement, Cx, Engine, Facets, Fail, Hash, Options, Policy, Rule};

/// Three numbers by name, as the outside world has them.
type World = Arc<Mutex<[u64; 3]>>;

/// All three; the first two are facets, the third is seen only by readers of the whole.
struct Source(World);

impl Rule for Source {
    type Key = ();
    type Value = [u64; 3];
    const NAME: &'static str = "source";

    fn policy(&self, (): &()) -> Policy {
        Policy { runs: 3, ..Policy::leaf() }
    }

    async fn value(&self, (): &(), cx: Cx) -> Result<[u64; 3], Fail> {
        cx.witness([]);
        let now = *self.0.lock().unwrap();
        if now[0] == 99 { Err(Fail::task("ninety-nine".to_owned())) } else { Ok(now) }
    }

    fn content_hash(&self, (): &(), value: &[u64; 3]) -> Option<Hash> {
        let bytes: Vec<u8> = value.iter().flat_map(|number| number.to_le_bytes()).collect();
        Hash::from_slice(&bytes)
    }

    fn facets(&self, (): &(), value: &[u64; 3]) -> Vec<Hash> {
        value[..2].iter().map(|number| Hash::from(*number)).collect()
    }

    fn agrees(&self, (): &(), _: &[u8], hash: Hash) -> Agreement {
        match self.content_hash(&(), &self.0.lock().unwrap()) {
            Some(now) if now == hash => Agreement::Yes,
            _ => Agreement::No,
        }
    }
}

/// Looks at the facets that its key names: `a`, `b`, `w` for the whole, in that order.
struct Reader;

impl Rule for Reader {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "reader";

    fn policy(&self, _: &String) -> Policy {
        Policy::constructive(1)
    }

    async fn value(&self, key: &String, cx: Cx) -> Result<u64, Fail> {
        let source = cx.facets::<Source>(vec![()]).await.pop().expect("one for one")?;
        Ok(key
            .chars()
            .map(|look| match look {
                'a' => source.at(Facets::of(0))[0],
                'b' => source.at(Facets::of(1))[1],
                _ => source.whole()[2],
            })
            .sum())
    }

    fn content_hash(&self, _: &String, sum: &u64) -> Option<Hash> {
        Some(Hash::from(*sum))
    }

    fn encode_value(&self, _: &String, sum: &u64) -> Option<Vec<u8>> {
        Some(sum.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &String, bytes: &[u8]) -> Option<u64> {
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

const READERS: [&str; 5] = ["", "a", "b", "ab", "w"];

fn engine(world: &World, file: Option<&std::path::Path>) -> Engine {
    let rules = Engine::builder().rule(Source(world.clone())).rule(Reader);
    match file {
        Some(file) => rules.open(file),
        None => rules.build(),
    }
}

/// The readers that ran, and what all of them came to.
fn round(engine: &Engine) -> (Vec<String>, Vec<Option<u64>>) {
    let build = engine.begin().scan().commit(Options { jobs: 1, ..Options::default() });
    let values = build.all::<Reader>(READERS.map(str::to_owned)).into_iter().map(Result::ok).collect();
    let ran = build.ran().into_iter().filter(|ran| ran.starts_with("reader")).collect();
    (ran, values)
}

fn names(readers: &[&str]) -> Vec<String> {
    readers.iter().map(|reader| format!("reader({reader:?})")).collect()
}

/// Sets the world, builds, and asserts which readers run.
fn after(world: &World, engine: &Engine, now: [u64; 3], run: &[&str]) {
    *world.lock().unwrap() = now;
    let (ran, values) = round(engine);
    assert_eq!(ran, names(run), "for {now:?}");
    let [a, b, w] = now;
    assert_eq!(values, [0, a, b, a + b, w].map(Some), "for {now:?}");
}

#[test]
fn only_readers_of_a_changed_facet_run() {
    let world = World::default();
    let engine = engine(&world, None);
    after(&world, &engine, [1, 2, 3], &READERS);
    after(&world, &engine, [1, 2, 3], &[]);
    after(&world, &engine, [5, 2, 3], &["a", "ab", "w"]);
    after(&world, &engine, [5, 6, 3], &["b", "ab", "w"]);
    after(&world, &engine, [5, 6, 7], &["w"]);
}

#[test]
fn a_failure_has_no_facets() {
    let world = World::default();
    let engine = engine(&world, None);
    after(&world, &engine, [1, 2, 3], &READERS);
    world.lock().unwrap()[0] = 99;
    let (ran, values) = round(&engine);
    assert_eq!((ran, values), (names(&READERS), vec![None; 5]));
    // The runs that were kept are those that failed.
    after(&world, &engine, [1, 2, 3], &READERS);
}

#[test]
fn facets_that_were_read_are_known_in_a_later_process() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("runs");
    let world = World::default();
    let run = |now, readers: &[&str]| {
        let engine = engine(&world, Some(&file));
        after(&world, &engine, now, readers);
        engine.commit().unwrap();
    };
    run([1, 2, 3], &READERS);
    run([1, 2, 3], &[]);
    run([1, 2, 4], &["w"]);
    run([1, 5, 4], &["b", "ab", "w"]);
    // Back to a version that the file knows.
    run([1, 2, 4], &["b", "ab", "w"]);
    run([1, 2, 3], &["w"]);
}

/// Reads the readers of the first number; 0 reads 1 for that, and is good by its leaves alone.
struct Sum;

impl Rule for Sum {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "sum";

    fn policy(&self, key: &u64) -> Policy {
        let policy = Policy::constructive(2);
        if *key == 0 { policy.only_by_leaves() } else { policy }
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        if *key == 0 {
            return cx.get::<Sum>(1).await;
        }
        let readers = cx.all::<Reader>(["", "a"].map(str::to_owned).into()).await;
        readers.into_iter().sum()
    }

    fn content_hash(&self, _: &u64, sum: &u64) -> Option<Hash> {
        Some(Hash::from(*sum))
    }

    fn encode_value(&self, _: &u64, sum: &u64) -> Option<Vec<u8>> {
        Some(sum.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }
}

#[test]
fn readers_of_other_facets_are_decided_by_the_file_and_not_loaded() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("runs");
    let world = World::default();
    let run = |now: [u64; 3], ran: usize, tasks: usize| {
        *world.lock().unwrap() = now;
        let rules = Engine::builder().rule(Source(world.clone())).rule(Reader).rule(Sum);
        let engine = rules.open(&file);
        let build = engine.begin().scan().commit(Options { jobs: 1, ..Options::default() });
        assert_eq!(build.get::<Sum>(0).ok(), Some(now[0]));
        assert_eq!((build.ran().len(), engine.tasks()), (ran, tasks), "for {now:?}");
        engine.commit().unwrap();
    };
    run([1, 2, 3], 5, 5);
    // A version that the file does not know: the source and the sum by leaves run.
    run([1, 9, 3], 2, 3);
    // One that it knows.
    run([1, 2, 3], 0, 1);
}

#[test]
fn names_share_the_facets_that_are_left() {
    let numbers: Vec<usize> =
        ["", "a", "b", "some/path", "other"].map(|name| Facets::shared(4, name)).to_vec();
    assert!(numbers.iter().all(|number| (4..Facets::MAX_COUNT).contains(number)), "{numbers:?}");
    assert_eq!(Facets::shared(4, "a"), numbers[1]);
}
