//! The history can be queried in the same process and in a later one, and querying changes nothing.

use std::path::Path;
use std::sync::{Arc, Mutex};

use taut_engine::{Agreement, Cx, Engine, Fail, Hash, Options, Policy, Rule};

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
        cx.witness([0]);
        Ok(self.0.lock().unwrap()[*key as usize])
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, key: &u64, _: &[u8], hash: Hash) -> Agreement {
        let same = Hash::from(self.0.lock().unwrap()[*key as usize]) == hash;
        if same { Agreement::Yes } else { Agreement::No }
    }
}

struct Sum;

impl Rule for Sum {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "sum";

    fn policy(&self, _: &u64) -> Policy {
        Policy::constructive(2)
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let mut sum = 0;
        for leaf in cx.all::<Leaf>((0..*key).collect()).await {
            sum += leaf?;
        }
        Ok(sum)
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
    Engine::builder().rule(Leaf(world.clone())).rule(Sum).open(file)
}

/// The values of the kept runs, and what the latest one read.
fn past_of(engine: &Engine, key: u64) -> (Vec<Option<u64>>, Option<Vec<String>>) {
    let values = engine.kept::<Sum>(&key).into_iter().map(|kept| kept.value).collect();
    let reads = engine.reads_of(engine.task::<Sum>(key));
    let name = |task| format!("{} {}", engine.key_of(task), engine.is_leaf(task));
    (values, reads.map(|reads| reads.into_iter().map(name).collect()))
}

#[test]
fn a_later_process_knows_the_reads_and_values_of_kept_runs() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("runs");
    let world: World = Arc::new(Mutex::new(vec![1, 2, 3]));
    let engine = open(&world, &file);
    assert_eq!(past_of(&engine, 2), (vec![], None), "nothing is known before the first build");
    for second in [2, 5] {
        world.lock().unwrap()[1] = second;
        let build = engine.begin().scan().commit(Options { jobs: 1, ..Options::default() });
        assert_eq!(build.get::<Sum>(2).unwrap(), 1 + second);
    }
    engine.commit().unwrap();
    let read = || Some(vec!["leaf(0) true".to_owned(), "leaf(1) true".to_owned()]);
    assert_eq!(past_of(&engine, 2), (vec![Some(6), Some(3)], read()));

    // The world moves on; the past does not, and nothing becomes known by asking.
    world.lock().unwrap()[0] = 100;
    let later = open(&world, &file);
    assert_eq!(past_of(&later, 2), (vec![Some(6), Some(3)], read()));
    assert_eq!(past_of(&later, 3), (vec![], None));
    assert_eq!(later.commit().unwrap().bytes, 0);
}

#[test]
fn the_value_of_a_hash_is_known_wherever_it_was_kept() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("runs");
    let world: World = Arc::new(Mutex::new(vec![1, 2, 3]));
    let engine = open(&world, &file);
    let value = |engine: &Engine, sum: u64| engine.value_with::<Sum>(&2, Hash::from(sum));
    assert_eq!(value(&engine, 3), None, "the task was never requested");
    for second in [2, 5] {
        world.lock().unwrap()[1] = second;
        let build = engine.begin().scan().commit(Options { jobs: 1, ..Options::default() });
        build.get::<Sum>(2).unwrap();
    }
    engine.commit().unwrap();
    assert_eq!([3, 6, 4].map(|sum| value(&engine, sum)), [Some(3), Some(6), None]);

    let later = open(&world, &file);
    assert_eq!(value(&later, 6), None, "the task was never requested here");
    let build = later.begin().scan().commit(Options { jobs: 1, ..Options::default() });
    build.hash_of::<Sum>(2).unwrap();
    // By the file alone, and by what is read in for other questions.
    for _ in 0..2 {
        assert_eq!([3, 6, 4].map(|sum| value(&later, sum)), [Some(3), Some(6), None]);
        assert_eq!(later.kept::<Sum>(&2).len(), 2);
    }
}
