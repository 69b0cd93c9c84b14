//! Siblings: a task takes over the result of another task of its rule that has the same value.

use std::path::Path;
use std::sync::{Arc, Mutex};

use taut_engine::{Agreement, Build, Cx, Engine, Fail, Hash, Options, Policy, Rule};

/// The content of the descriptions.
type World = Arc<Mutex<Content>>;

#[derive(Clone, Copy, PartialEq, Debug, Default)]
enum Content {
    /// The same in all configurations.
    #[default]
    Plain,
    /// The same as that, though the description is another one.
    Commented,
    /// What the configuration is.
    Configured,
    /// Below a configuration of 3: the same as in the next one.
    Next,
    /// The same in the next configuration, for ever.
    Cyclic,
}

struct Description(World);

impl Rule for Description {
    type Key = ();
    type Value = Content;
    const NAME: &'static str = "description";

    fn policy(&self, (): &()) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, (): &(), cx: Cx) -> Result<Content, Fail> {
        cx.witness([]);
        Ok(*self.0.lock().unwrap())
    }

    fn content_hash(&self, (): &(), description: &Content) -> Option<Hash> {
        Some(Hash::from(*description as u64))
    }

    fn agrees(&self, (): &(), _: &[u8], hash: Hash) -> Agreement {
        let now = Hash::from(*self.0.lock().unwrap() as u64);
        if now == hash { Agreement::Yes } else { Agreement::No }
    }
}

/// What goes on while a target is computed, once.
type Meanwhile = Arc<Mutex<Option<Box<dyn FnOnce() + Send>>>>;

/// A target by name and configuration.
#[derive(Default)]
struct Target(Meanwhile);

/// What it comes to, and the configuration that it depends on, if it does.
type Analysed = (u64, Option<u64>);

impl Rule for Target {
    type Key = (String, u64);
    type Value = Analysed;
    const NAME: &'static str = "target";

    fn policy(&self, _: &(String, u64)) -> Policy {
        Policy::constructive(4)
    }

    async fn value(&self, (name, config): &(String, u64), cx: Cx) -> Result<Analysed, Fail> {
        let next = async |cx: &Cx| Ok((cx.get::<Target>((name.clone(), config + 1)).await?.0, Some(*config)));
        let description = cx.get::<Description>(()).await?;
        let meanwhile = self.0.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
        match description {
            Content::Plain | Content::Commented => Ok((name.len() as u64, None)),
            Content::Next if *config < 3 => next(&cx).await,
            Content::Configured | Content::Next => Ok((100 + config, Some(*config))),
            Content::Cyclic if *config < 3 => next(&cx).await,
            Content::Cyclic => Ok((cx.get::<Target>((name.clone(), 0)).await?.0, Some(*config))),
        }
    }

    fn content_hash(&self, _: &(String, u64), (result, config): &Analysed) -> Option<Hash> {
        Some(Hash::from(result << 32 | config.map_or(0, |config| config + 1)))
    }

    fn share_key(&self, (name, _): &(String, u64)) -> Option<u64> {
        Some(name.len() as u64)
    }

    fn serves(&self, key: &(String, u64), other: &(String, u64), (_, config): &Analysed) -> bool {
        key.0 == other.0 && config.is_none_or(|config| config == key.1)
    }

    fn encode_value(&self, _: &(String, u64), (result, config): &Analysed) -> Option<Vec<u8>> {
        Some([result.to_le_bytes(), config.map_or(0, |config| config + 1).to_le_bytes()].concat())
    }

    fn decode_value(&self, _: &(String, u64), bytes: &[u8]) -> Option<Analysed> {
        let (result, config) = bytes.split_first_chunk::<8>()?;
        let config = u64::from_le_bytes(config.try_into().ok()?);
        Some((u64::from_le_bytes(*result), config.checked_sub(1)))
    }
}

fn open(world: &World, file: Option<&Path>) -> Engine {
    let rules = Engine::builder().rule(Description(world.clone())).rule(Target::default());
    match file {
        Some(file) => rules.open(file),
        None => rules.build(),
    }
}

fn build(engine: &Engine) -> Build {
    engine.begin().scan().commit(Options { jobs: 1, ..Options::default() })
}

fn targets(build: &Build) -> Vec<String> {
    build.ran().into_iter().filter(|ran| ran.starts_with("target")).collect()
}

/// What the target `abc` comes to in the configuration, and which targets ran for it.
fn ask(engine: &Engine, config: u64) -> (u64, Vec<String>) {
    let build = build(engine);
    let (result, _) = build.get::<Target>(("abc".to_owned(), config)).expect("it is well defined");
    (result, targets(&build))
}

fn ran(configs: &[u64]) -> Vec<String> {
    configs.iter().map(|config| format!("target((\"abc\", {config}))")).collect()
}

#[test]
fn a_task_that_reads_no_configuration_runs_in_one_configuration_only() {
    let world = World::default();
    let engine = open(&world, None);
    assert_eq!(ask(&engine, 1), (3, ran(&[1])));
    assert_eq!(ask(&engine, 2), (3, ran(&[])));
    assert_eq!(ask(&engine, 2), (3, ran(&[])));
    // A sibling with another name of the same length does not serve.
    let other = build(&engine);
    assert_eq!(other.get::<Target>(("xyz".to_owned(), 2)).unwrap(), (3, None));
    assert_eq!(targets(&other), ["target((\"xyz\", 2))"]);
    // Now it reads the configuration, so that each has its own value. What was taken over is no longer valid.
    *world.lock().unwrap() = Content::Configured;
    assert_eq!(ask(&engine, 1), (101, ran(&[1])));
    assert_eq!(ask(&engine, 2), (102, ran(&[2])));
    *world.lock().unwrap() = Content::Plain;
    assert_eq!(ask(&engine, 2), (3, ran(&[])));
    assert_eq!(ask(&engine, 5), (3, ran(&[])));
}

/// Both builds have the target at the same version. The later one took it over from a sibling, which the earlier one
/// never looked at and which read another description.
#[test]
fn what_a_later_build_takes_over_hides_no_leaves_of_an_earlier_one() {
    let meanwhile = Meanwhile::default();
    let rules = Engine::builder().rule(Description(World::default())).rule(Target(meanwhile.clone()));
    let engine = rules.build();
    let with = |content| {
        engine.begin().set::<Description>((), content).commit(Options { jobs: 1, ..Options::default() })
    };
    let [earlier, later] = [with(Content::Plain), with(Content::Commented)].map(Arc::new);
    let [asked, sibling] = [1, 2].map(|config| ("abc".to_owned(), config));
    // Before the target is there to be a sibling, too.
    let other = later.clone();
    *meanwhile.lock().unwrap() = Some(Box::new(move || {
        assert_eq!(other.get::<Target>(sibling).unwrap(), (3, None));
    }));
    for build in [&earlier, &later] {
        assert_eq!(build.get::<Target>(asked.clone()).unwrap(), (3, None));
    }
    assert_eq!([targets(&earlier), targets(&later)], [ran(&[1]), ran(&[2])]);
    for build in [&earlier, &later] {
        let leaves = build.leaves().expect("nothing is damaged");
        assert_eq!(leaves.iter().map(ToString::to_string).collect::<Vec<_>>(), ["description(())"]);
    }
}

#[test]
fn a_sibling_serves_in_a_later_process() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::default();
    let ask = |config| {
        let engine = open(&world, Some(&directory.path().join("runs")));
        let answer = ask(&engine, config);
        engine.commit().unwrap();
        answer
    };
    assert_eq!(ask(1), (3, ran(&[1])));
    for config in [2, 3, 2, 1] {
        assert_eq!(ask(config), (3, ran(&[])));
    }
    *world.lock().unwrap() = Content::Configured;
    assert_eq!(ask(2), (102, ran(&[1, 2])), "1 is tried first, and does not serve");
    assert_eq!(ask(1), (101, ran(&[])));
}

#[test]
fn a_wait_for_a_sibling_makes_no_cycle() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::default();
    let file = directory.path().join("runs");
    for config in [0, 1, 2, 3] {
        let engine = open(&world, Some(&file));
        ask(&engine, config);
        engine.commit().unwrap();
    }
    // 1, 2 and 3 took over from 0, which now asks for 1.
    *world.lock().unwrap() = Content::Next;
    let engine = open(&world, Some(&file));
    let (result, mut made) = ask(&engine, 0);
    made.sort();
    assert_eq!((result, made), (103, ran(&[0, 1, 2, 3])));
}

#[test]
fn a_cycle_through_a_sibling_is_reported() {
    let world = World::default();
    let engine = open(&world, None);
    for config in [0, 1, 2, 3] {
        ask(&engine, config);
    }
    *world.lock().unwrap() = Content::Cyclic;
    let failed = build(&engine).get::<Target>(("abc".to_owned(), 2)).unwrap_err();
    let Fail::Cycle(cycle) = failed else { panic!("{failed}") };
    assert_eq!(cycle.keys().len(), 4, "{cycle}");
}
