//! What the engine itself costs per task: a layered graph with four reads per task, and a chain of a million on
//! a stack of 2 MB. Run with `--release`; prints nanoseconds of wall time per task, one thread.

use std::time::Instant;

use taut_engine::{Cx, Engine, Fail, Hash, Options, Policy, Rule};

const WIDTH: u64 = 2_000;
const LAYERS: u64 = 50;

/// Task `i` reads four neighbours of the layer below; the tasks of layer 0 are leaves.
struct Layered;

impl Rule for Layered {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "layered";

    fn policy(&self, key: &u64) -> Policy {
        if *key < WIDTH { Policy::leaf() } else { Policy::default() }
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let Some(below) = key.checked_sub(WIDTH) else { return Ok(*key) };
        let layer = below / WIDTH * WIDTH;
        let reads = (0..4).map(|at| layer + (below + at) % WIDTH).collect();
        let all = cx.all::<Layered>(reads).await;
        all.into_iter().try_fold(0u64, |sum, value| Ok(sum.wrapping_add(value?)))
    }

    fn content_hash(&self, _: &u64, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

/// The top reads all of the last layer.
struct Top;

impl Rule for Top {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "top";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        let last = WIDTH * (LAYERS - 1);
        let all = cx.all::<Layered>((last..last + WIDTH).collect()).await;
        all.into_iter().try_fold(0u64, |sum, value| Ok(sum.wrapping_add(value?)))
    }
}

/// Task `i` reads `i - 1`.
struct Chain;

impl Rule for Chain {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "chain";

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        match key.checked_sub(1) {
            Some(below) => Ok(cx.get::<Chain>(below).await? + 1),
            None => Ok(0),
        }
    }
}

fn timed<T>(what: &str, tasks: u64, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = run();
    println!("{what}: {} ns/task", start.elapsed().as_nanos() as u64 / tasks);
    out
}

fn main() {
    let options = || Options { jobs: 1, ..Options::default() };
    let engine = Engine::builder().rule(Layered).rule(Top).rule(Chain).build();
    let tasks = WIDTH * LAYERS;
    timed("layered, first", tasks, || engine.begin().commit(options()).get::<Top>(())).expect("no failure");
    timed("layered, null", tasks, || engine.begin().commit(options()).get::<Top>(())).expect("no failure");
    timed("layered, all leaves verified", tasks, || engine.begin().scan().commit(options()).get::<Top>(()))
        .expect("no failure");
    let million = 1_000_000;
    let chain = move || {
        let run = || engine.begin().commit(options()).get::<Chain>(million);
        timed("chain, first", million, run).expect("no failure");
        timed("chain, null", million, run).expect("no failure");
    };
    std::thread::Builder::new()
        .stack_size(2 << 20)
        .spawn(chain)
        .expect("a thread")
        .join()
        .expect("no overflow");
}
