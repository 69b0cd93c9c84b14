//! Many leaves below one task, verified by one thread or two.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};

use taut_engine::{Agreement, Cx, Engine, Fail, Hash, Options, Policy, Rule};

/// How often each leaf was asked whether it agrees.
static ASKED: [AtomicU32; 6_000] = [const { AtomicU32::new(0) }; 6_000];

/// One of many leaves: its content, and how often that was written.
struct Many(Arc<Mutex<Vec<(u64, u64)>>>);

impl Rule for Many {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "many";

    fn policy(&self, _: &u64) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let (content, writes) = self.0.lock().unwrap()[*key as usize];
        cx.witness(writes.to_le_bytes());
        Ok(content)
    }

    fn content_hash(&self, _: &u64, content: &u64) -> Option<Hash> {
        Some(Hash::from(*content))
    }

    fn agrees(&self, key: &u64, witness: &[u8], hash: Hash) -> Agreement {
        ASKED[*key as usize].fetch_add(1, Ordering::Relaxed);
        let (content, writes) = self.0.lock().unwrap()[*key as usize];
        match writes.to_le_bytes() {
            same if same == witness => Agreement::Yes,
            other if Hash::from(content) == hash => Agreement::YesBy(other.to_vec()),
            _ => Agreement::No,
        }
    }
}

/// The sum of all of them.
struct All;

impl Rule for All {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "all";

    fn policy(&self, _: &u64) -> Policy {
        Policy::deep(2).only_by_leaves()
    }

    async fn value(&self, count: &u64, cx: Cx) -> Result<u64, Fail> {
        cx.all::<Many>((0..*count).collect()).await.into_iter().sum()
    }

    fn content_hash(&self, _: &u64, sum: &u64) -> Option<Hash> {
        Some(Hash::from(*sum))
    }

    fn encode_value(&self, _: &u64, sum: &u64) -> Option<Vec<u8>> {
        Some(sum.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

/// Two threads verify many leaves with the same result as one: each leaf is asked once, and the first that differs is
/// the cause.
#[test]
fn many_leaves_are_asked_once_each_by_two_threads() {
    let count = ASKED.len() as u64;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let world = Arc::new(Mutex::new(vec![(1, 0); ASKED.len()]));
    // The sum, what ran, why, and how many leaves were asked; none twice.
    let ask = |jobs: usize| {
        ASKED.iter().for_each(|asked| asked.store(0, Ordering::Relaxed));
        let engine = Engine::builder().rule(Many(world.clone())).rule(All).open(&file);
        let build = engine.begin().commit(Options { jobs, ..Options::default() });
        let sum = build.get::<All>(count).unwrap();
        let why = build.explain::<All>(&count).map(|reason| reason.to_string());
        let asked: Vec<u32> = ASKED.iter().map(|asked| asked.load(Ordering::Relaxed)).collect();
        assert!(asked.iter().all(|times| *times <= 1));
        let ran = build.ran().len();
        drop(build);
        engine.commit().unwrap();
        (sum, ran, why, u64::from(asked.iter().sum::<u32>()))
    };
    assert_eq!(ask(1).0, count);
    for jobs in [1, 2, 4] {
        assert_eq!(ask(jobs), (count, 0, None, count));
    }
    // Written again without a change: better evidence, which is kept.
    world.lock().unwrap().iter_mut().skip(7).step_by(1_000).for_each(|leaf| leaf.1 += 1);
    assert_eq!(ask(2), (count, 0, None, count));
    assert_eq!(ask(2), (count, 0, None, count));
    for (jobs, changed) in [(1, 3_000), (2, 3_001), (4, 5_999), (2, 0), (4, 127)] {
        {
            let mut world = world.lock().unwrap();
            world[changed] = (2, world[changed].1 + 1);
            // One behind it, which is not the cause.
            let behind = (changed + 300).min(ASKED.len() - 1);
            world[behind] = (2, world[behind].1 + 1);
        }
        let twos = world.lock().unwrap().iter().filter(|leaf| leaf.0 == 2).count() as u64;
        let (sum, _, why, _) = ask(jobs);
        assert_eq!((sum, why), (count + twos, Some(format!("many({changed}) changed"))));
        assert_eq!(ask(jobs), (count + twos, 0, None, count), "after {changed}");
    }
}
