//! Rebuilding by times, as `make` has it; and reads that are fixed, which are settled at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use taut_engine::{Curr, Cx, Engine, Fail, Hash, Options, Policy, Reason, Rule};

/// Files: content, and when it was written.
#[derive(Default)]
struct Disk {
    files: BTreeMap<String, (String, u128)>,
    now: u128,
}

type World = Arc<Mutex<Disk>>;

fn write(world: &World, name: &str, content: &str) {
    let mut disk = world.lock().unwrap();
    disk.now += 1;
    let now = disk.now;
    disk.files.insert(name.to_owned(), (content.to_owned(), now));
}

fn read(world: &World, name: &str) -> Option<String> {
    world.lock().unwrap().files.get(name).map(|(content, _)| content.clone())
}

fn time(world: &World, name: &str) -> Option<u128> {
    world.lock().unwrap().files.get(name).map(|(_, time)| *time)
}

/// A source file. Its hash is its time: it is not read to find whether it changed.
struct Source(World);

impl Rule for Source {
    type Key = String;
    type Value = u128;
    const NAME: &'static str = "source";

    fn policy(&self, _: &String) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, name: &String, _: Cx) -> Result<u128, Fail> {
        time(&self.0, name).ok_or_else(|| Fail::task(format!("there is no {name}")))
    }

    fn content_hash(&self, _: &String, time: &u128) -> Option<Hash> {
        Hash::from_slice(&time.to_le_bytes())
    }

    fn modtime(&self, name: &String) -> Option<u128> {
        time(&self.0, name)
    }
}

/// `out` is `a` and `b`, one after the other; `out2` is `out` twice.
struct Made(World);

impl Rule for Made {
    type Key = String;
    type Value = ();
    const NAME: &'static str = "made";

    fn policy(&self, _: &String) -> Policy {
        Policy::timestamps()
    }

    async fn value(&self, name: &String, cx: Cx) -> Result<(), Fail> {
        let content = |name: &str| read(&self.0, name).expect("it was made");
        let made = if name == "out" {
            for source in cx.all::<Source>(vec!["a".to_owned(), "b".to_owned()]).await {
                source?;
            }
            content("a") + &content("b")
        } else {
            cx.get::<Made>("out".to_owned()).await?;
            content("out").repeat(2)
        };
        write(&self.0, name, &made);
        Ok(())
    }

    fn modtime(&self, name: &String) -> Option<u128> {
        time(&self.0, name)
    }

    fn curr(&self, _: &String) -> Curr<()> {
        Curr::There { value: (), hash: Box::new(|| panic!("nothing is hashed with Rebuild::Times")) }
    }
}

fn round(engine: &Engine) -> (Result<(), Fail>, Vec<String>, Option<Reason>) {
    let build = engine.begin().scan().commit(Options { jobs: 1, ..Options::default() });
    let result = build.get::<Made>("out2".to_owned());
    let made = build.ran().into_iter().filter(|ran| ran.starts_with("made")).collect();
    (result, made, build.explain::<Made>(&"out".to_owned()))
}

#[test]
fn an_output_not_older_than_its_inputs_is_good() {
    let world = World::default();
    write(&world, "a", "A");
    write(&world, "b", "B");
    let engine = Engine::builder().rule(Source(world.clone())).rule(Made(world.clone())).build();
    let ran = || {
        let (result, ran, why) = round(&engine);
        result.expect("nothing is missing");
        (ran, why.map(|why| why.to_string()).unwrap_or_default())
    };
    let both = || vec!["made(\"out2\")".to_owned(), "made(\"out\")".to_owned()];
    let mut made = ran().0;
    made.sort();
    assert_eq!(made, ["made(\"out\")", "made(\"out2\")"]);
    assert_eq!(ran(), (vec![], String::new()));

    write(&world, "b", "C");
    let (made, why) = ran();
    assert_eq!(made.len(), 2);
    assert_eq!(why, "source(\"b\") changed");
    assert_eq!(read(&world, "out2").unwrap(), "ACAC");

    // An output edited by hand is newer than all it was made from, hence good; what is made from it is not.
    write(&world, "out", "x");
    assert_eq!(ran(), (vec!["made(\"out2\")".to_owned()], String::new()));
    assert_eq!(read(&world, "out2").unwrap(), "xx");

    // An output that is gone is made again.
    world.lock().unwrap().files.remove("out");
    let (mut made, _) = ran();
    made.sort();
    assert_eq!(made, {
        let mut both = both();
        both.sort();
        both
    });
    assert_eq!(read(&world, "out2").unwrap(), "ACAC");

    // Content does not matter, nor does a time that was set back.
    world.lock().unwrap().files.insert("a".to_owned(), ("Z".to_owned(), 0));
    assert_eq!(ran(), (vec![], String::new()));

    // What is gone was not made by anything.
    world.lock().unwrap().files.remove("a");
    assert!(round(&engine).0.is_err());
    write(&world, "a", "A");
    assert_eq!(ran().0.len(), 2);
}

/// Reads its sources one by one.
struct OneByOne {
    fixed: bool,
}

impl Rule for OneByOne {
    type Key = ();
    type Value = ();
    const NAME: &'static str = "one by one";

    fn policy(&self, (): &()) -> Policy {
        if self.fixed { Policy::constructive(1).with_fixed_reads() } else { Policy::constructive(1) }
    }

    async fn value(&self, (): &(), cx: Cx) -> Result<(), Fail> {
        cx.get::<Source>("a".to_owned()).await?;
        cx.get::<Source>("b".to_owned()).await?;
        Err(Fail::task("it never succeeds, so that a failed first read ends it".to_owned()))
    }
}

#[test]
fn fixed_reads_are_settled_at_once() {
    for fixed in [false, true] {
        let world = World::default();
        write(&world, "a", "A");
        write(&world, "b", "B");
        let engine = Engine::builder().rule(Source(world.clone())).rule(OneByOne { fixed }).build();
        let ran = || {
            let build = engine.begin().scan().commit(Options { jobs: 1, ..Options::default() });
            build.get::<OneByOne>(()).unwrap_err();
            let mut ran = build.ran();
            ran.sort();
            ran
        };
        assert_eq!(ran().len(), 3);
        // The first read fails: a run would not come to the second.
        world.lock().unwrap().files.remove("a");
        let expected: &[&str] = match fixed {
            true => &["one by one(())", "source(\"a\")", "source(\"b\")"],
            false => &["one by one(())", "source(\"a\")"],
        };
        assert_eq!(ran(), expected, "fixed: {fixed}");
    }
}
