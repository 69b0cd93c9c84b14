//! What it costs to collect the tasks below a root that is only in the file, and below one that executed in this
//! process. Run with `--release`; prints nanoseconds for each task passed.

#![allow(clippy::disallowed_methods, reason = "a directory of its own, that nothing else knows of")]

use std::hint::black_box;
use std::time::Instant;

use taut_engine::{Agreement, Build, Cx, Engine, Fail, Hash, Options, Policy, Rule};

const LEAVES: u64 = 20_000;
const WIDTH: u64 = 40_000;
const LAYERS: u64 = 10;

struct Leaf;

impl Rule for Leaf {
    type Key = [u8; 32];
    type Value = u64;
    const NAME: &'static str = "leaf";

    fn policy(&self, _: &[u8; 32]) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &[u8; 32], cx: Cx) -> Result<u64, Fail> {
        cx.witness([0]);
        Ok(number(key))
    }

    fn content_hash(&self, _: &[u8; 32], value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, _: &[u8; 32], _: &[u8], _: Hash) -> Agreement {
        Agreement::Yes
    }
}

fn key(number: u64) -> [u8; 32] {
    let mut key = [7; 32];
    key[..8].copy_from_slice(&number.to_le_bytes());
    key
}

fn number(key: &[u8; 32]) -> u64 {
    u64::from_le_bytes(key[..8].try_into().expect("eight bytes"))
}

/// Reads four of the layer below.
struct Layered;

impl Rule for Layered {
    type Key = [u8; 32];
    type Value = u64;
    const NAME: &'static str = "layered";

    async fn value(&self, key_: &[u8; 32], cx: Cx) -> Result<u64, Fail> {
        let number = number(key_);
        let (layer, at) = (number / WIDTH, number % WIDTH);
        if layer == 0 {
            return cx.get::<Leaf>(key(at % LEAVES)).await;
        }
        let reads = (0..4).map(|more| key((layer - 1) * WIDTH + (at + more) % WIDTH)).collect();
        let all = cx.all::<Layered>(reads).await;
        all.into_iter().try_fold(0u64, |sum, value| Ok(sum.wrapping_add(value?)))
    }

    fn content_hash(&self, _: &[u8; 32], value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

/// Of which a few are collected.
struct Marked;

impl Rule for Marked {
    type Key = [u8; 32];
    type Value = u64;
    const NAME: &'static str = "marked";

    async fn value(&self, marked: &[u8; 32], cx: Cx) -> Result<u64, Fail> {
        cx.get::<Layered>(key((LAYERS - 1) * WIDTH + number(marked))).await
    }

    fn content_hash(&self, _: &[u8; 32], value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

struct Top;

impl Rule for Top {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "top";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        let all = cx.all::<Marked>((0..WIDTH).map(key).collect()).await;
        all.into_iter().try_fold(0u64, |sum, value| Ok(sum.wrapping_add(value?)))
    }

    fn content_hash(&self, (): &(), value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

fn build(engine: &Engine) -> Build {
    let build = engine.begin().commit(Options { jobs: 1, ..Options::default() });
    build.hash_of::<Top>(()).expect("nothing fails");
    build
}

fn measure(what: &str, engine: &Engine, build: &Build) {
    let root = engine.task::<Top>(());
    let tasks = (LEAVES + WIDTH * (LAYERS + 1) + 1) as f64;
    let mut best = f64::MAX;
    for _ in 0..5 {
        let begin = Instant::now();
        let collected = black_box(build.collect::<Marked>([root])).expect("all is known");
        best = best.min(begin.elapsed().as_nanos() as f64 / tasks);
        assert_eq!(collected.len() as u64, WIDTH);
    }
    println!("{what}: {best:.0} ns for each of {tasks} tasks");
}

fn main() {
    let directory = std::env::temp_dir().join(format!("taut-collect-{}", std::process::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let open =
        || Engine::builder().rule(Leaf).rule(Layered).rule(Marked).rule(Top).open(&directory.join("traces"));
    let engine = open();
    let made = build(&engine);
    measure("made in this process", &engine, &made);
    engine.commit().expect("the file is written");
    drop(made);
    let engine = open();
    let found = build(&engine);
    assert!(found.ran().is_empty());
    measure("by the file", &engine, &found);
    std::fs::remove_dir_all(&directory).expect("it is there");
}
