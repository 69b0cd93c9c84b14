//! Contents that tasks mention: found by their hash, kept as long as a run mentions them, and collected.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::path::Path;
use std::sync::{Arc, Mutex};

use taut_engine::{Build, Content, Cx, Engine, Fail, Hash, Interned, Options, Policy, Rule};

#[derive(PartialEq, Eq, Debug)]
struct Text(String);

fn sum(text: &str) -> Hash {
    let bytes = text.bytes();
    Hash::from(
        bytes.fold(text.len() as u64, |sum, byte| sum.rotate_left(9).wrapping_mul(31) ^ u64::from(byte)),
    )
}

impl Interned for Text {
    const NAME: &'static str = "text";

    fn hash(&self) -> Hash {
        sum(&self.0)
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.as_bytes());
    }

    fn decode(bytes: &[u8]) -> Option<Text> {
        String::from_utf8(bytes.to_vec()).ok().map(Text)
    }
}

type World = Arc<Mutex<String>>;

struct Source(World);

impl Rule for Source {
    type Key = ();
    type Value = String;
    const NAME: &'static str = "source";

    fn policy(&self, (): &()) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, (): &(), _: Cx) -> Result<String, Fail> {
        Ok(self.0.lock().unwrap().clone())
    }

    fn content_hash(&self, (): &(), text: &String) -> Option<Hash> {
        Some(sum(text))
    }
}

/// Mentions each word of the source; comes to the hashes.
struct Words;

impl Rule for Words {
    type Key = u64;
    type Value = ();
    const NAME: &'static str = "words";

    async fn value(&self, _: &u64, cx: Cx) -> Result<(), Fail> {
        for word in cx.get::<Source>(()).await?.split_whitespace() {
            cx.mention(Text(word.to_owned()));
        }
        Ok(())
    }

    fn content_hash(&self, _: &u64, (): &()) -> Option<Hash> {
        Some(Hash::from(0))
    }
}

fn open(world: &World, file: &Path) -> Engine {
    Engine::builder().rule(Source(world.clone())).rule(Words).interned::<Text>().open(file)
}

fn build(engine: &Engine) -> Build {
    let build = engine.begin().changed::<Source>(&()).commit(Options { jobs: 1, ..Options::default() });
    build.hash_of::<Words>(0).unwrap();
    build
}

/// What is collected below the words, in order.
fn collected(engine: &Engine, build: &Build) -> Vec<Hash> {
    build.collect::<Content<Text>>([engine.task::<Words>(0)]).unwrap()
}

#[test]
fn mentioned_content_is_found_by_its_hash_in_another_process_without_executing() {
    let (world, directory) = (World::default(), tempfile::tempdir().unwrap());
    let file = directory.path().join("traces");
    *world.lock().unwrap() = "one two three two".into();
    let engine = open(&world, &file);
    let first = build(&engine);
    let must = ["one", "two", "three"].map(sum);
    assert_eq!(collected(&engine, &first), must, "each once, in the order in which they were mentioned");
    engine.evict_values();
    assert_eq!(*first.get::<Content<Text>>(sum("two")).unwrap(), Text("two".into()));
    engine.commit().unwrap();
    drop(first);
    let engine = open(&world, &file);
    let ask = engine.begin().commit(Options::default());
    assert_eq!(*ask.get::<Content<Text>>(sum("three")).unwrap(), Text("three".into()));
    assert!(ask.ran().is_empty());
    assert!(ask.get::<Content<Text>>(sum("four")).is_err(), "it was not mentioned");
}

#[test]
fn declarations_do_not_concern_contents() {
    let (world, directory) = (World::default(), tempfile::tempdir().unwrap());
    let file = directory.path().join("traces");
    *world.lock().unwrap() = "one".into();
    let engine = open(&world, &file);
    drop(build(&engine));
    let begin = engine.begin().changed::<Content<Text>>(&sum("one")).changed_all::<Content<Text>>();
    let build =
        begin.set::<Content<Text>>(sum("one"), Arc::new(Text("two".into()))).commit(Options::default());
    assert_eq!(*build.get::<Content<Text>>(sum("one")).unwrap(), Text("one".into()));
    assert!(build.ran().is_empty());
}

#[test]
fn no_content_is_too_large_to_be_kept() {
    let (world, directory) = (World::default(), tempfile::tempdir().unwrap());
    let file = directory.path().join("traces");
    let large = "x".repeat(20 << 20);
    world.lock().unwrap().clone_from(&large);
    let engine = open(&world, &file);
    drop(build(&engine));
    engine.commit().unwrap();
    let engine = open(&world, &file);
    let ask = engine.begin().commit(Options::default());
    assert!(ask.get::<Content<Text>>(sum(&large)).unwrap().0 == large);
    assert!(ask.ran().is_empty());
}

#[test]
fn the_file_keeps_what_a_kept_run_mentions_and_no_more() {
    let (world, directory) = (World::default(), tempfile::tempdir().unwrap());
    let file = directory.path().join("traces");
    let text = |edit: usize| format!("stays {}", "y".repeat(10_000 + edit));
    let mut longest = 0;
    for edit in 0..60 {
        *world.lock().unwrap() = text(edit);
        let engine = open(&world, &file);
        let build = build(&engine);
        // Requesting a content does not keep it.
        for hash in collected(&engine, &build) {
            build.get::<Content<Text>>(hash).unwrap();
        }
        engine.commit().unwrap();
        longest = longest.max(std::fs::metadata(&file).unwrap().len());
    }
    assert!(longest < 150_000, "{longest} bytes for contents of 600,000");
    let engine = open(&world, &file);
    let ask = engine.begin().commit(Options::default());
    assert_eq!(ask.get::<Content<Text>>(sum("stays")).unwrap().0, "stays");
    assert_eq!(ask.get::<Content<Text>>(sum(&"y".repeat(10_059))).unwrap().0.len(), 10_059);
    assert!(ask.get::<Content<Text>>(sum(&"y".repeat(10_000))).is_err(), "it went with its run");
    assert_eq!(ask.ran(), [format!("text({:?})", sum(&"y".repeat(10_000)))], "in vain");
}

#[test]
fn the_tasks_that_mention_a_content_are_found() {
    let (world, directory) = (World::default(), tempfile::tempdir().unwrap());
    let file = directory.path().join("traces");
    *world.lock().unwrap() = "one two".into();
    let mut engine = open(&world, &file);
    for restarts in [false, true, true] {
        let build = engine.begin().changed::<Source>(&()).commit(Options { jobs: 1, ..Options::default() });
        let keys = [7, 3, 5];
        keys.into_iter().for_each(|key| assert!(build.hash_of::<Words>(key).unwrap().is_some()));
        let roots = keys.map(|key| engine.task::<Words>(key));
        let mentions = build.mentions::<Text, Words>(roots).unwrap();
        assert_eq!(mentions.count(), 6);
        assert_eq!(mentions.first(&sum("two")), Some(7));
        assert_eq!(mentions.all(&sum("one")).collect::<Vec<_>>(), keys);
        assert_eq!(mentions.first(&sum("three")), None);
        drop(build);
        engine.commit().unwrap();
        if restarts {
            engine = open(&world, &file);
        }
    }
}
