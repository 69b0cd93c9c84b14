//! Tasks that are verified by the leaves below them only, whose value depends on what they collect there.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex};

use taut_engine::{
    Agreement, Build, Content, Cx, Derivation, Engine, Fail, Failure, Hash, Interned, Options, Policy,
    Reason, Rule,
};

#[derive(Default)]
struct Files {
    contents: BTreeMap<u64, u64>,
    /// Fail for now.
    gone: bool,
}

type World = Arc<Mutex<Files>>;

struct Leaf(World);

impl Rule for Leaf {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "leaf";

    fn policy(&self, _: &u64) -> Policy {
        Policy { leaf: true, ..Policy::constructive(1) }
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let world = self.0.lock().unwrap();
        let content = world.contents.get(key).copied().unwrap_or_default();
        cx.witness(content.to_le_bytes());
        if world.gone && *key == 0 { Err(Fail::transient("gone".to_owned())) } else { Ok(content) }
    }

    fn content_hash(&self, _: &u64, content: &u64) -> Option<Hash> {
        Some(Hash::from(*content))
    }

    fn encode_value(&self, _: &u64, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }

    fn agrees(&self, key: &u64, witness: &[u8], _: Hash) -> Agreement {
        let world = self.0.lock().unwrap();
        let content = world.contents.get(key).copied().unwrap_or_default();
        if witness == content.to_le_bytes() && !(world.gone && *key == 0) {
            Agreement::Yes
        } else {
            Agreement::No
        }
    }
}

#[derive(Debug)]
struct Note(u64);

impl Interned for Note {
    const NAME: &'static str = "note";

    fn hash(&self) -> Hash {
        Hash::from(self.0)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.to_le_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Note> {
        bytes.try_into().ok().map(|bytes| Note(u64::from_le_bytes(bytes)))
    }
}

/// That a leaf is.
#[derive(Debug)]
struct TooMuch(u64);

impl fmt::Display for TooMuch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is too much", self.0)
    }
}

impl Failure for TooMuch {
    fn encode(&self) -> Option<Vec<u8>> {
        Some(self.0.to_string().into_bytes())
    }
}

/// Whether a leaf is odd: mentions the leaf's content, which is not in its hash. Below an odd one is the next.
struct Odd<const VERSION: u32>;

impl<const VERSION: u32> Rule for Odd<VERSION> {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "odd";
    const VERSION: u32 = VERSION;

    fn policy(&self, _: &u64) -> Policy {
        Policy::constructive(1)
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        let content = cx.get::<Leaf>(*key).await?;
        cx.mention(Note(content));
        if content >= 100 {
            return Err(Fail::task(TooMuch(content)));
        }
        if content % 2 == 1 {
            cx.get::<Odd<VERSION>>(key + 1).await?;
        }
        Ok(content % 2)
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

    fn decode_failure(&self, bytes: &[u8]) -> Option<Arc<dyn Failure>> {
        let text = String::from_utf8(bytes.to_vec()).ok()?;
        Some(Arc::new(TooMuch(text.parse().ok()?)))
    }
}

/// A plain task that goes by leaves, over the first of the odd ones.
struct Middle<const VERSION: u32>;

impl<const VERSION: u32> Rule for Middle<VERSION> {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "middle";

    fn policy(&self, (): &()) -> Policy {
        Policy::deep(4)
    }

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        Ok(cx.get::<Odd<VERSION>>(0).await.unwrap_or(7))
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

type Below = (Vec<u64>, Vec<Hash>);

/// What lies below: directly (0), below the middle (1), or below the task 0 (2).
struct Total<const VERSION: u32>;

impl<const VERSION: u32> Rule for Total<VERSION> {
    type Key = u64;
    type Value = Below;
    const NAME: &'static str = "total";

    fn policy(&self, _: &u64) -> Policy {
        Policy::deep(3).only_by_leaves()
    }

    async fn value(&self, key: &u64, cx: Cx) -> Result<Below, Fail> {
        let root = match key {
            0 => {
                let _ = cx.get::<Odd<VERSION>>(0).await;
                cx.task::<Odd<VERSION>>(0)
            }
            1 => {
                cx.get::<Middle<VERSION>>(()).await?;
                cx.task::<Middle<VERSION>>(())
            }
            _ => {
                cx.get::<Total<VERSION>>(0).await?;
                cx.task::<Total<VERSION>>(0)
            }
        };
        let below = cx.collect_two::<Odd<VERSION>, Content<Note>>(vec![root]).await;
        below.ok_or_else(|| Fail::transient("not known".to_owned()))
    }

    /// Only how many tasks there are.
    fn content_hash(&self, _: &u64, (odd, _): &Below) -> Option<Hash> {
        Some(Hash::from(odd.len() as u64))
    }

    fn encode_value(&self, _: &u64, (odd, notes): &Below) -> Option<Vec<u8>> {
        let notes = notes.iter().flat_map(|note| note.0);
        Some(
            [odd.len() as u64]
                .into_iter()
                .chain(odd.iter().copied())
                .flat_map(u64::to_le_bytes)
                .chain(notes)
                .collect(),
        )
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<Below> {
        let (count, rest) = bytes.split_at(8);
        let (odd, notes) = rest.split_at(u64::from_le_bytes(count.try_into().ok()?) as usize * 8);
        let odd = odd.chunks(8).map(|odd| u64::from_le_bytes(odd.try_into().unwrap())).collect();
        Some((odd, notes.chunks(32).map(|note| Hash(note.try_into().unwrap())).collect()))
    }
}

fn open<const VERSION: u32>(world: &World, file: &Path) -> Engine {
    let rules = Engine::builder().rule(Leaf(world.clone())).rule(Odd::<VERSION>).rule(Middle::<VERSION>);
    rules.rule(Total::<VERSION>).rule(Above::<VERSION>).interned::<Note>().open(file)
}

/// Reads the total.
struct Above<const VERSION: u32>;

impl<const VERSION: u32> Rule for Above<VERSION> {
    type Key = ();
    type Value = u64;
    const NAME: &'static str = "above";

    async fn value(&self, (): &(), cx: Cx) -> Result<u64, Fail> {
        Ok(cx.get::<Total<VERSION>>(0).await?.0.len() as u64)
    }

    fn content_hash(&self, (): &(), value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

fn build(engine: &Engine) -> Build {
    engine.begin().scan().commit(Options { jobs: 1, ..Options::default() })
}

fn write(world: &World, contents: &[u64]) {
    world.lock().unwrap().contents = (0..).zip(contents.iter().copied()).collect();
}

fn below(odd: &[u64], notes: &[u64]) -> Below {
    (odd.to_vec(), notes.iter().copied().map(Hash::from).collect())
}

fn sorted(build: &Build) -> Vec<String> {
    let mut ran = build.ran();
    ran.sort();
    ran
}

/// A world, and each build in a process of its own (`true`) or all in one.
fn each(check: impl Fn(&World, &mut dyn FnMut() -> Engine)) {
    for restarts in [false, true] {
        let (world, directory) = (World::default(), tempfile::tempdir().unwrap());
        let file = directory.path().join("traces");
        let mut engine = open::<1>(&world, &file);
        check(&world, &mut || {
            if restarts {
                engine.commit().unwrap();
                engine = open::<1>(&world, &file);
            }
            engine.clone()
        });
    }
}

#[test]
fn a_task_by_leaves_only_collects_anew_though_all_its_reads_are_unchanged() {
    each(|world, next| {
        write(world, &[3, 2]);
        let total = |engine: &Engine| {
            let build = build(engine);
            (build.get::<Total<1>>(0).unwrap(), sorted(&build))
        };
        assert_eq!(total(&next()).0, below(&[0, 1], &[3, 2]));
        let (value, ran) = total(&next());
        assert_eq!((value, ran), (below(&[0, 1], &[3, 2]), vec![]));
        // The odd ones come to the same hashes.
        write(world, &[3, 4]);
        let engine = next();
        let (value, ran) = total(&engine);
        assert_eq!(value, below(&[0, 1], &[3, 4]));
        assert_eq!(ran, ["leaf(1)", "odd(1)", "total(0)"]);
        // Back: the first run is good by its leaves; the values in memory have the same version, so they are used.
        write(world, &[3, 2]);
        let engine = next();
        let build = build(&engine);
        build.hash_of::<Total<1>>(0).unwrap();
        assert_eq!(build.ran(), ["leaf(1)"]);
        assert_eq!(build.derivation::<Total<1>>(&0), Some(Derivation::Agreed { leaves: 2 }));
    });
}

#[test]
fn early_cutoff_applies_to_dependents_of_a_task_by_leaves_only() {
    each(|world, next| {
        write(world, &[3, 2]);
        build(&next()).get::<Above<1>>(()).unwrap();
        write(world, &[3, 4]);
        let engine = next();
        let build = build(&engine);
        build.hash_of::<Above<1>>(()).unwrap();
        assert_eq!(sorted(&build), ["leaf(1)", "odd(1)", "total(0)"]);
        let why = build.log().into_iter().find(|ran| ran.key.rule() == "total").unwrap().reason;
        let Reason::Read { dep, was, is } = why else { panic!("{why:?}") };
        assert_eq!((dep.to_string().as_str(), was, is), ("leaf(1)", Some(2.into()), Some(4.into())));
    });
}

#[test]
fn collecting_executes_tasks_in_between_that_keep_no_run() {
    each(|world, next| {
        for contents in [[3, 2], [2, 2]] {
            write(world, &contents);
            build(&next()).get::<Middle<1>>(()).unwrap();
        }
        write(world, &[3, 2]);
        let engine = next();
        let build = build(&engine);
        assert_eq!(build.get::<Total<1>>(1).unwrap(), below(&[0, 1], &[3, 2]));
        // Of what keeps one run only, that of another state is left.
        assert_eq!(sorted(&build), ["leaf(0)", "odd(0)", "total(1)"]);
        assert_eq!(build.derivation::<Middle<1>>(&()), Some(Derivation::Agreed { leaves: 2 }));
    });
}

#[test]
fn one_may_read_and_collect_below_another() {
    each(|world, next| {
        write(world, &[3, 2]);
        build(&next()).get::<Total<1>>(0).unwrap();
        let engine = next();
        let build = build(&engine);
        assert_eq!(build.get::<Total<1>>(2).unwrap(), below(&[0, 1], &[3, 2]));
        assert_eq!(build.ran(), ["total(2)"]);
    });
}

#[test]
fn a_root_may_be_a_failure() {
    each(|world, next| {
        write(world, &[3, 100]);
        let engine = next();
        assert_eq!(build(&engine).get::<Total<1>>(0).unwrap(), below(&[0, 1], &[3, 100]));
        let engine = next();
        let again = build(&engine);
        assert_eq!(again.get::<Total<1>>(0).unwrap().0, [0, 1]);
        assert_eq!(again.ran(), Vec::<String>::new());
        assert_eq!(again.get::<Total<1>>(2).unwrap(), below(&[0, 1], &[3, 100]));
        assert_eq!(again.ran(), ["total(2)"]);
        drop(again);
        // One that may go away is not a state that is remembered; what lies below it is collected all the same.
        world.lock().unwrap().gone = true;
        let engine = next();
        assert_eq!(build(&engine).get::<Total<1>>(0).unwrap(), below(&[0], &[]));
        let engine = next();
        let build = build(&engine);
        assert_eq!(build.get::<Total<1>>(0).unwrap(), below(&[0], &[]));
        assert_eq!(sorted(&build), ["leaf(0)", "odd(0)", "total(0)"]);
    });
}

#[test]
fn a_new_rule_version_in_between_makes_a_task_by_leaves_only_execute() {
    let (world, directory) = (World::default(), tempfile::tempdir().unwrap());
    let file = directory.path().join("traces");
    write(&world, &[3, 2]);
    let engine = open::<1>(&world, &file);
    build(&engine).get::<Total<1>>(0).unwrap();
    engine.commit().unwrap();
    let engine = open::<2>(&world, &file);
    let build = build(&engine);
    assert_eq!(build.get::<Total<2>>(0).unwrap(), below(&[0, 1], &[3, 2]));
    assert_eq!(sorted(&build), ["odd(0)", "odd(1)", "total(0)"]);
}

#[test]
fn a_change_declared_in_between_makes_a_task_by_leaves_only_execute_once() {
    each(|world, next| {
        write(world, &[3, 2]);
        build(&next()).get::<Total<1>>(0).unwrap();
        let engine = next();
        let touched = engine.begin().changed::<Odd<1>>(&1).commit(Options::default());
        assert_eq!(touched.get::<Total<1>>(0).unwrap(), below(&[0, 1], &[3, 2]));
        assert_eq!(sorted(&touched), ["odd(1)", "total(0)"]);
        drop(touched);
        let engine = next();
        let build = build(&engine);
        build.hash_of::<Total<1>>(0).unwrap();
        assert_eq!(build.ran(), Vec::<String>::new());
    });
}

#[test]
fn no_other_task_may_collect() {
    struct Plain;

    impl Rule for Plain {
        type Key = ();
        type Value = bool;
        const NAME: &'static str = "plain";

        async fn value(&self, (): &(), cx: Cx) -> Result<bool, Fail> {
            cx.get::<Odd<1>>(0).await?;
            let root = cx.task::<Odd<1>>(0);
            Ok(cx.collect::<Odd<1>>(vec![root]).await.is_none())
        }
    }

    let rules = Engine::builder().rule(Leaf(World::default())).rule(Odd::<1>).rule(Plain);
    let engine = rules.interned::<Note>().build();
    assert!(build(&engine).get::<Plain>(()).unwrap());
}
