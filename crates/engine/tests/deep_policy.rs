//! Tasks that are verified by the leaves below them (`Policy::deep`): which leaves are asked, how often, and when leaf
//! sets are valid.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use taut_engine::{Agreement, Build, Cx, Derivation, Engine, Fail, Hash, Options, Policy, Rule};

#[derive(Default)]
struct Files {
    /// Content, and how often it was written.
    contents: HashMap<u64, (u64, u64)>,
    /// How often each was asked whether it agrees.
    asked: HashMap<u64, usize>,
    /// How often each was read.
    read: HashMap<u64, usize>,
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
        let mut world = self.0.lock().unwrap();
        *world.read.entry(*key).or_default() += 1;
        let (content, writes) = world.contents.get(key).copied().unwrap_or_default();
        cx.witness(writes.to_le_bytes());
        Ok(content)
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

    fn agrees(&self, key: &u64, witness: &[u8], hash: Hash) -> Agreement {
        let mut world = self.0.lock().unwrap();
        *world.asked.entry(*key).or_default() += 1;
        let (content, writes) = world.contents.get(key).copied().unwrap_or_default();
        match writes.to_le_bytes() {
            same if same == witness => Agreement::Yes,
            other if Hash::from(content) == hash => Agreement::YesBy(other.to_vec()),
            _ => Agreement::No,
        }
    }
}

/// Half of a leaf; of another version after the code changed.
struct Half<const VERSION: u32>;

impl<const VERSION: u32> Rule for Half<VERSION> {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "half";
    const VERSION: u32 = VERSION;

    async fn value(&self, key: &u64, cx: Cx) -> Result<u64, Fail> {
        Ok(cx.get::<Leaf>(*key).await? / 2)
    }

    fn content_hash(&self, _: &u64, half: &u64) -> Option<Hash> {
        Some(Hash::from(*half))
    }

    fn policy(&self, _: &u64) -> Policy {
        Policy::constructive(1)
    }

    fn encode_value(&self, _: &u64, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_le_bytes().to_vec())
    }

    fn decode_value(&self, _: &u64, bytes: &[u8]) -> Option<u64> {
        bytes.try_into().ok().map(u64::from_le_bytes)
    }
}

/// The sum of the halves below a number. Even ones read the sum before.
struct Sum<const VERSION: u32>;

impl<const VERSION: u32> Rule for Sum<VERSION> {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "sum";

    fn policy(&self, _: &u64) -> Policy {
        Policy::deep(4)
    }

    async fn value(&self, number: &u64, cx: Cx) -> Result<u64, Fail> {
        let halves = cx.all::<Half<VERSION>>((0..*number).collect()).await;
        let sum = halves.into_iter().try_fold(0, |sum, half| Ok::<u64, Fail>(sum + half?))?;
        if number.is_multiple_of(2) && *number > 0 {
            return Ok(sum * 1_000 + cx.get::<Sum<VERSION>>(number - 1).await?);
        }
        Ok(sum)
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

fn open<const VERSION: u32>(world: &World, file: &Path) -> Engine {
    let rules = Engine::builder().rule(Leaf(world.clone())).rule(Half::<VERSION>).rule(Sum::<VERSION>);
    rules.open(file)
}

fn build(engine: &Engine) -> Build {
    engine.begin().commit(Options { jobs: 1, ..Options::default() })
}

fn write(world: &World, key: u64, content: u64) {
    let mut world = world.lock().unwrap();
    let entry = world.contents.entry(key).or_default();
    *entry = (content, entry.1 + 1);
}

/// How often the leaves were asked and read since the last time; the most of any one, and all together.
fn looks(world: &World) -> [(usize, usize); 2] {
    let mut world = world.lock().unwrap();
    let (asked, read) = (std::mem::take(&mut world.asked), std::mem::take(&mut world.read));
    [asked, read].map(|of| (of.values().copied().max().unwrap_or(0), of.values().sum()))
}

/// A world, and a file in which the sum of its ten leaves is.
fn begun() -> (World, tempfile::TempDir, std::path::PathBuf) {
    let world = World::default();
    (0..10).for_each(|key| write(&world, key, 10 * key));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("traces");
    let engine = open::<1>(&world, &file);
    let build = build(&engine);
    assert!(build.all::<Sum<1>>([10, 9]).iter().all(Result::is_ok));
    engine.commit().unwrap();
    looks(&world);
    (world, directory, file)
}

#[test]
fn a_null_build_asks_each_leaf_once_and_loads_nothing_in_between() {
    let (world, _directory, file) = begun();
    let engine = open::<1>(&world, &file);
    let build = build(&engine);
    assert_eq!(
        build.all::<Sum<1>>([10, 9]).into_iter().collect::<Result<Vec<_>, _>>().unwrap(),
        [225_180, 180]
    );
    assert_eq!((build.ran(), looks(&world)), (vec![], [(1, 10), (0, 0)]));
    assert_eq!(engine.tasks(), 2, "the two sums");
    assert_eq!(build.derivation::<Sum<1>>(&10), Some(Derivation::Agreed { leaves: 10 }));
    assert_eq!(build.leaves().unwrap().len(), 10);
    assert_eq!(engine.commit().unwrap().bytes, 0, "nothing is new");
}

#[test]
fn after_an_edit_each_leaf_is_asked_once() {
    let (world, _directory, file) = begun();
    for edit in 1..8 {
        write(&world, 3, 30 + 2 * edit);
        let engine = open::<1>(&world, &file);
        let build = build(&engine);
        build.get::<Sum<1>>(10).unwrap();
        let mut ran = build.ran();
        ran.sort();
        assert_eq!(ran, ["half(3)", "leaf(3)", "sum(10)", "sum(9)"]);
        let [(most_asked, _), (_, read)] = looks(&world);
        assert_eq!((most_asked, read), (1, 1), "edit {edit}");
        engine.commit().unwrap();
    }
    // Back to where it was three edits ago: the leaf is read, and nothing else is.
    write(&world, 3, 30 + 2 * 5);
    let engine = open::<1>(&world, &file);
    let build = build(&engine);
    build.get::<Sum<1>>(10).unwrap();
    assert_eq!(build.ran(), ["leaf(3)"]);
    assert_eq!(looks(&world), [(1, 10), (1, 1)]);
}

#[test]
fn a_touched_leaf_refreshes_its_witness_in_the_file() {
    let (world, _directory, file) = begun();
    (0..10).for_each(|key| write(&world, key, 10 * key));
    for refreshed in [true, false] {
        let engine = open::<1>(&world, &file);
        assert_eq!(build(&engine).get::<Sum<1>>(10).unwrap(), 225_180);
        assert_eq!(looks(&world), [(1, 10), (0, 0)]);
        assert_eq!(engine.commit().unwrap().bytes > 0, refreshed);
    }
}

#[test]
fn early_cutoff_applies_where_a_leaf_changed_and_no_read_did() {
    let (world, _directory, file) = begun();
    write(&world, 3, 31);
    for ran in [&["half(3)", "leaf(3)"][..], &[]] {
        let engine = open::<1>(&world, &file);
        let build = build(&engine);
        assert_eq!(build.get::<Sum<1>>(10).unwrap(), 225_180);
        let mut did = build.ran();
        did.sort();
        assert_eq!(did, ran);
        let [(most_asked, _), _] = looks(&world);
        assert_eq!(most_asked, 1);
        engine.commit().unwrap();
    }
    let engine = open::<1>(&world, &file);
    let build = build(&engine);
    build.get::<Sum<1>>(10).unwrap();
    assert_eq!(
        build.derivation::<Sum<1>>(&10),
        Some(Derivation::Agreed { leaves: 10 }),
        "by other leaves now"
    );
}

#[test]
fn a_new_rule_version_in_between_invalidates_leaf_sets() {
    let (world, _directory, file) = begun();
    let engine = open::<2>(&world, &file);
    let build = build(&engine);
    assert_eq!(build.get::<Sum<2>>(10).unwrap(), 225_180);
    assert_eq!(build.ran().len(), 10, "all halves, and no sum");
    assert_eq!(looks(&world), [(1, 10), (0, 0)]);
}

#[test]
fn a_change_declared_in_between_invalidates_leaf_sets_in_this_process_and_the_next() {
    let (world, _directory, file) = begun();
    let engine = open::<1>(&world, &file);
    engine.begin().changed::<Half<1>>(&4).commit(Options::default());
    engine.commit().unwrap();
    for ran in [&["half(4)"][..], &[]] {
        let engine = open::<1>(&world, &file);
        let build = build(&engine);
        assert_eq!(build.get::<Sum<1>>(10).unwrap(), 225_180);
        assert_eq!(build.ran(), ran);
        engine.commit().unwrap();
    }
    // A value from outside is that of this process.
    let engine = open::<1>(&world, &file);
    let given = engine.begin().set::<Half<1>>(4, 0).commit(Options::default());
    assert_eq!(given.get::<Sum<1>>(10).unwrap(), 205_160);
    engine.commit().unwrap();
    let engine = open::<1>(&world, &file);
    assert_eq!(build(&engine).get::<Sum<1>>(10).unwrap(), 225_180);
}

#[test]
fn leaf_sets_are_stored_as_ranges_of_few_bytes() {
    let world = World::default();
    let directory = tempfile::tempdir().unwrap();
    let length = |sums: u64| {
        let file = directory.path().join(sums.to_string());
        let engine = open::<1>(&world, &file);
        let build = build(&engine);
        (0..sums).for_each(|sum| drop(build.get::<Sum<1>>(1_001 + 2 * sum)));
        engine.commit().unwrap();
        std::fs::metadata(file).unwrap().len()
    };
    // The reads of each are stored in any case, with four bytes for each.
    let per_sum = (length(10) - length(1)) / 9;
    assert!(per_sum < 6_000, "{per_sum}");
}
