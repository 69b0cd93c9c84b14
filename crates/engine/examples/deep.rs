//! A report of a hundred thousand leaves, requested by one process after the other. Measured are the check that it is
//! still valid (`Policy::deep`), beside a bare loop that compares the same evidence; the cost of one edit; and the
//! collection of contents that the tasks in between mention, without execution. Run with `--release`; prints
//! nanoseconds of wall time per leaf, one thread.
#![allow(clippy::disallowed_methods, reason = "an example has no layer of its own")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use taut_engine::{Agreement, Build, Content, Cx, Engine, Fail, Hash, Interned, Options, Policy, Rule};

const LEAVES: u64 = 100_000;
/// Leaves for each task in between.
const GROUP: u64 = 10;

/// What the leaves see: contents, with a count of writes as evidence.
type World = Arc<Mutex<Vec<(u64, u64)>>>;

struct Leaf(World);

impl Rule for Leaf {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "leaf";

    fn policy(&self, _: &u64) -> Policy {
        Policy { leaf: true, ..Policy::constructive(1) }
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let (content, writes) = self.0.lock().expect("a sound lock")[*key as usize];
        cx.witness(writes.to_le_bytes());
        Ok(content)
    }

    fn content_hash(&self, _: &u64, content: &u64) -> Option<Hash> {
        Some(Hash::from(*content))
    }

    fn agrees(&self, key: &u64, witness: &[u8], _: Hash) -> Agreement {
        let (_, writes) = self.0.lock().expect("a sound lock")[*key as usize];
        if witness == writes.to_le_bytes() { Agreement::Yes } else { Agreement::No }
    }

    fn encode_value(&self, _: &u64, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

/// A note about a group.
struct Note(String);

impl Interned for Note {
    const NAME: &'static str = "note";

    fn hash(&self) -> Hash {
        Hash::from(
            self.0.bytes().fold(5, |sum: u64, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte))),
        )
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Note> {
        String::from_utf8(bytes.to_vec()).ok().map(Note)
    }
}

/// The sum of a group of leaves; every thousandth mentions a note.
struct Group;

impl Rule for Group {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "group";

    fn policy(&self, _: &u64) -> Policy {
        Policy::constructive(1)
    }

    async fn value(&self, group: &u64, cx: Cx) -> Result<u64, Fail> {
        if group.is_multiple_of(1_000) {
            cx.mention(Note(format!("group {group} was here")));
        }
        let all = cx.all::<Leaf>((group * GROUP..(group + 1) * GROUP).collect()).await;
        all.into_iter().try_fold(0u64, |sum, value| Ok(sum.wrapping_add(value?)))
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

/// The sum of all groups: by its leaves, or by what it read.
struct Report<const IS_DEEP: bool>;

impl<const IS_DEEP: bool> Rule for Report<IS_DEEP> {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = if IS_DEEP { "deep report" } else { "report" };

    fn policy(&self, (): &()) -> Policy {
        if IS_DEEP { Policy::deep(4) } else { Policy::constructive(4) }
    }

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        let all = cx.all::<Group>((0..LEAVES / GROUP).collect()).await;
        all.into_iter().try_fold(0u64, |sum, value| Ok(sum.wrapping_add(value?)))
    }

    fn content_hash(&self, (): &(), value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn encode_value(&self, (): &(), value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, (): &(), bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

fn open(world: &World, file: &Path) -> Engine {
    let rules = Engine::builder().rule(Leaf(world.clone())).rule(Group).interned::<Note>();
    rules.rule(Report::<true>).rule(Report::<false>).open(file)
}

fn timed<T>(what: &str, run: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = run();
    println!("{what}: {} ns/leaf", start.elapsed().as_nanos() as u64 / LEAVES);
    out
}

fn begin(engine: &Engine) -> Build {
    engine.begin().commit(Options { jobs: 1, ..Options::default() })
}

fn main() -> std::io::Result<()> {
    let world: World = Arc::new(Mutex::new((0..LEAVES).map(|leaf| (leaf, 0)).collect()));
    let directory = std::env::temp_dir().join(format!("taut-deep-{}", std::process::id()));
    std::fs::create_dir_all(&directory)?;
    let file = directory.join("traces");
    let engine = open(&world, &file);
    let deep = |engine: &Engine| begin(engine).get::<Report<true>>(()).expect("no failure");
    let sum = timed("first, with all that is kept", || {
        let sum = deep(&engine);
        begin(&engine).get::<Report<false>>(()).expect("no failure");
        engine.commit().map(|_| sum)
    })?;
    // The same evidence, kept as such a loop would keep it.
    let rule = Leaf(world.clone());
    let evidence: Vec<(u64, [u8; 8], Hash)> =
        (0..LEAVES).map(|leaf| (leaf, 0_u64.to_le_bytes(), Hash::from(leaf))).collect();
    for _ in 0..3 {
        timed("a loop over the evidence", || {
            let agrees = |(leaf, witness, hash): &(u64, [u8; 8], Hash)| {
                rule.agrees(leaf, witness, *hash) == Agreement::Yes
            };
            assert!(evidence.iter().all(agrees));
        });
        timed("null by leaves", || assert_eq!(deep(&open(&world, &file)), sum));
        timed("null by what was read", || {
            assert_eq!(begin(&open(&world, &file)).get::<Report<false>>(()).expect("no failure"), sum);
        });
    }
    let engine = open(&world, &file);
    let build = begin(&engine);
    build.get::<Report<true>>(()).expect("no failure");
    let notes =
        timed("notes collected", || build.collect::<Content<Note>>([engine.task::<Report<true>>(())]));
    for note in notes.expect("all is known").into_iter().take(2) {
        println!("  {}", build.get::<Content<Note>>(note).expect("it is kept").0);
    }
    for edit in 1..=5 {
        world.lock().expect("a sound lock")[77] = (1_000 + edit, edit);
        let engine = open(&world, &file);
        timed("one leaf edited", || assert_eq!(deep(&engine), sum - 77 + 1_000 + edit));
        timed("  and kept", || engine.commit())?;
    }
    std::fs::remove_dir_all(&directory)
}
