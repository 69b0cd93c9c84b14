//! The engine's file of runs: damaged, and valid but with meaningless content.

use std::path::Path;
use std::sync::{Arc, Mutex};

use taut_engine::{
    Agreement, Build, Cx, Engine, Fail, Failure, Hash, Key, Options, Panicked, Part, Policy, Rule, reseal,
};

/// A test rule: each number is one more than its predecessor.
struct Successor(Arc<Mutex<u64>>);

impl Rule for Successor {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "successor";

    fn policy(&self, key: &u64) -> Policy {
        if *key == 0 { Policy::leaf() } else { Policy::constructive(2) }
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        if *key == 0 {
            let first = *self.0.lock().expect("no panic");
            cx.witness(first.to_le_bytes());
            return Ok(first);
        }
        Ok(cx.get::<Successor>(*key - 1).await? + 1)
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn encode_value(&self, _: &u64, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        Some(u64::from_le_bytes(bytes.try_into().ok()?))
    }

    fn agrees(&self, _: &u64, witness: &[u8], _: Hash) -> Agreement {
        let first = *self.0.lock().expect("no panic");
        if witness == first.to_le_bytes() { Agreement::Yes } else { Agreement::No }
    }
}

fn count(file: &Path, first: u64) -> u64 {
    let engine = Engine::builder().rule(Successor(Arc::new(Mutex::new(first)))).open(file);
    // One worker, so that the same input takes the same way each time.
    let build = engine.begin().commit(Options { jobs: 1, ..Options::default() });
    let last = build.get::<Successor>(5).expect("a number");
    drop(build);
    engine.commit().expect("a file that can be written");
    last
}

/// The engine's file of runs: with any content, results are right.
pub(crate) fn runs(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("runs");
    std::fs::write(&file, bytes).expect("written");
    // Once with the leaf of the corpus: stored results may be used. Once with another leaf: they must not be used.
    assert_eq!(count(&file, 10), 15);
    assert_eq!(count(&file, 20), 25);
}

pub(crate) fn run_files() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("runs");
    count(&file, 10);
    let one = std::fs::read(&file).expect("a file of runs");
    count(&file, 11);
    vec![one, std::fs::read(&file).expect("a file of runs")]
}

/// The inputs of leaves.
type LeafValues = Arc<Mutex<[u64; 4]>>;

/// A leaf: one of the numbers.
struct Leaf(LeafValues);

impl Rule for Leaf {
    type Key = u8;
    type Value = u64;
    const NAME: &'static str = "leaf";

    fn policy(&self, _: &u8) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &u8, cx: Cx) -> Result<u64, Fail> {
        let seen = self.0.lock().expect("no panic")[*key as usize % 4];
        cx.witness(seen.to_le_bytes());
        Ok(seen)
    }

    fn content_hash(&self, _: &u8, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, key: &u8, witness: &[u8], _: Hash) -> Agreement {
        let seen = self.0.lock().expect("no panic")[*key as usize % 4].to_le_bytes();
        match witness {
            _ if witness == seen => Agreement::Yes,
            [first, ..] if *first == seen[0] => Agreement::YesBy(seen.to_vec()),
            _ => Agreement::No,
        }
    }
}

/// A part of a leaf's value: half of the number.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Half;

impl Key for Half {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(bytes: &[u8]) -> Option<Half> {
        bytes.is_empty().then_some(Half)
    }
}

impl Part for Half {
    type Of = Leaf;
    type Value = u64;
    const NAME: &'static str = "half";

    fn project(&self, whole: &u64) -> u64 {
        whole / 2
    }

    fn content_hash(&self, part: &u64) -> Hash {
        Hash::from(*part)
    }
}

/// The failure for odd numbers.
#[derive(Debug)]
struct Odd(u64);

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is odd", self.0)
    }
}

impl Failure for Odd {
    fn hash(&self) -> Option<Hash> {
        Some(Hash::from(self.0))
    }

    fn encode(&self) -> Option<Vec<u8>> {
        Some(self.0.to_le_bytes().to_vec())
    }
}

/// Two numbers at each level, computed from the level below with every kind of read that tasks can do.
struct Level;

impl Rule for Level {
    type Key = u8;
    type Value = [u64; 2];
    const NAME: &'static str = "level";

    fn policy(&self, level: &u8) -> Policy {
        match level % 5 {
            0 => Policy::verifying(2),
            4 => Policy::always(),
            _ => Policy::constructive(3),
        }
    }

    async fn value(&self, level: &u8, cx: Cx) -> Result<[u64; 2], Fail> {
        let Some(below) = level.checked_sub(1) else {
            let seen = cx.all::<Leaf>(vec![0, 1]).await;
            return Ok([seen[0].clone()?, seen[1].clone()?]);
        };
        match level % 3 {
            0 => {
                let half = cx.part(*level, Half).await?;
                let both = cx.all::<Level>(vec![below, level.saturating_sub(2)]).await;
                let sum = both.into_iter().flatten().map(|pair| pair[0]).fold(half, u64::wrapping_add);
                if sum % 2 == 1 { Err(Fail::task(Odd(sum))) } else { Ok([sum, half]) }
            }
            1 => {
                let faceted = cx.facets::<Level>(vec![below]).await.pop().expect("one answer")?;
                Ok([faceted.at(taut_engine::Facets::of((below % 2) as usize))[(below % 2) as usize], 7])
            }
            _ => {
                let hash = cx.hash_of::<Level>(below).await;
                let seen = cx.get::<Leaf>(level % 4).await?;
                Ok([seen, u64::from(hash.is_ok())])
            }
        }
    }

    fn content_hash(&self, _: &u8, [a, b]: &[u64; 2]) -> Option<Hash> {
        Some(Hash::from(a.rotate_left(32) ^ b))
    }

    fn facets(&self, _: &u8, pair: &[u64; 2]) -> Vec<Hash> {
        pair.iter().map(|number| Hash::from(*number)).collect()
    }

    fn share_key(&self, level: &u8) -> Option<u64> {
        Some(u64::from(level % 3))
    }

    fn serves(&self, level: &u8, other: &u8, _: &[u64; 2]) -> bool {
        level.wrapping_add(6) == *other
    }

    fn encode_value(&self, _: &u8, pair: &[u64; 2]) -> Option<Vec<u8>> {
        Some(pair.map(u64::to_le_bytes).as_flattened().to_vec())
    }

    fn decode_value(&self, _: &u8, bytes: &[u8]) -> Option<[u64; 2]> {
        let [a, b] = bytes.as_chunks::<8>().0.first_chunk()?;
        Some([u64::from_le_bytes(*a), u64::from_le_bytes(*b)])
    }

    fn decode_failure(&self, bytes: &[u8]) -> Option<Arc<dyn Failure>> {
        Some(Arc::new(Odd(u64::from_le_bytes(bytes.try_into().ok()?))))
    }
}

/// Evaluates many tasks and stores their runs; also uses the remaining interfaces.
fn ask(file: &Path, leaf_values: [u64; 4], levels: &[u8]) {
    let leaf_values: LeafValues = Arc::new(Mutex::new(leaf_values));
    let engine = Engine::builder().rule(Leaf(leaf_values)).rule(Level).part::<Half>().open(file);
    let build = engine.begin().commit(Options { jobs: 1, ..Options::default() });
    for result in build.all::<Level>(levels.iter().copied()) {
        let is_panic = result.is_err_and(|fail| fail.downcast_ref::<Panicked>().is_some());
        assert!(!is_panic, "a task is asked for what is not there");
    }
    look_back(&engine, &build, levels);
    drop(build);
    engine.commit().expect("a file that can be written");
}

fn look_back(engine: &Engine, build: &Build, levels: &[u8]) {
    build.leaves();
    for place in 0..4 {
        engine.confirms::<Leaf>(&place);
    }
    let mut seen = std::collections::HashSet::new();
    let mut pending: Vec<_> = levels.iter().map(|level| engine.task::<Level>(*level)).collect();
    // Meaningless content may claim any number of reads.
    while let Some(task) = pending.pop().filter(|_| seen.len() < 1000) {
        engine.key_of(task);
        pending
            .extend(engine.reads_of(task).unwrap_or_default().into_iter().filter(|task| seen.insert(*task)));
    }
    for level in levels {
        engine.kept::<Level>(level);
        build.explain::<Level>(level);
        build.derivation::<Level>(level);
        build.causes::<Level>(level);
    }
}

/// The same file with valid checksums over any content: results may be wrong, but there are some.
pub(crate) fn sealed_runs(bytes: &[u8]) {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("runs");
    let mut bytes = bytes.to_vec();
    reseal(&mut bytes);
    std::fs::write(&file, bytes).expect("written");
    // With the leaves of the corpus, then with others, so that stored runs are found right, corrected and thrown
    // away.
    ask(&file, [1, 2, 3, 4], &[9, 12, 5]);
    ask(&file, [1, 2, 3, 5], &[14, 3]);
    ask(&file, [6, 2, 3, 4], &[12, 11]);
}

pub(crate) fn sealed_run_files() -> Vec<Vec<u8>> {
    let directory = tempfile::tempdir().expect("a directory");
    let file = directory.path().join("runs");
    let steps: [([u64; 4], &[u8]); 4] =
        [([1, 2, 3, 4], &[9]), ([1, 2, 3, 4], &[12]), ([6, 2, 3, 4], &[12, 5]), ([1, 2, 3, 5], &[14])];
    let mut files = Vec::new();
    for (leaf_values, levels) in steps {
        ask(&file, leaf_values, levels);
        files.push(std::fs::read(&file).expect("a file of runs"));
    }
    files
}
