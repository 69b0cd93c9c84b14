//! Tasks of different definition whose inputs come out the same share one run: each finds out what its inputs
//! are, and calls the task that is named by them.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use taut_engine::{Agreement, Cx, Engine, Fail, Hash, Options, Policy, Rule};

type World = Arc<Mutex<HashMap<String, u64>>>;

struct Input(World);

impl Rule for Input {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "input";

    fn policy(&self, _: &String) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, name: &String, cx: Cx) -> Result<u64, Fail> {
        cx.witness([]);
        Ok(self.0.lock().unwrap().get(name).copied().unwrap_or_default())
    }

    fn content_hash(&self, _: &String, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }

    fn agrees(&self, name: &String, _: &[u8], hash: Hash) -> Agreement {
        let now = self.0.lock().unwrap().get(name).copied().unwrap_or_default();
        if Hash::from(now) == hash { Agreement::Yes } else { Agreement::No }
    }
}

/// An action on the inputs that it names.
struct Action;

impl Rule for Action {
    type Key = Vec<u8>;
    type Value = u64;
    const NAME: &'static str = "action";

    fn policy(&self, _: &Vec<u8>) -> Policy {
        Policy::constructive(2)
    }

    async fn value(&self, names: &Vec<u8>, cx: Cx) -> Result<u64, Fail> {
        let keys = names.iter().map(|name| char::from(*name).to_string()).collect();
        let inputs: Result<Vec<u64>, Fail> = cx.all::<Input>(keys).await.into_iter().collect();
        let named = inputs?.into_iter().flat_map(u64::to_be_bytes).collect();
        cx.call::<Run>(named).await
    }

    fn content_hash(&self, _: &Vec<u8>, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

/// What the action comes to for these inputs, wherever they are from.
struct Run;

impl Rule for Run {
    type Key = Vec<u8>;
    type Value = u64;
    const NAME: &'static str = "run";

    fn policy(&self, _: &Vec<u8>) -> Policy {
        Policy::constructive(1)
    }

    async fn value(&self, inputs: &Vec<u8>, _: Cx) -> Result<u64, Fail> {
        Ok(inputs.iter().map(|byte| u64::from(*byte)).sum())
    }

    fn encode_value(&self, _: &Vec<u8>, value: &u64) -> Option<Vec<u8>> {
        Some(value.to_be_bytes().to_vec())
    }

    fn decode_value(&self, _: &Vec<u8>, bytes: &[u8]) -> Option<u64> {
        Some(u64::from_be_bytes(bytes.try_into().ok()?))
    }
}

fn build(world: &World, file: &Path, actions: &[&str]) -> (Vec<u64>, Vec<String>) {
    let rules = Engine::builder().rule(Input(world.clone())).rule(Action).rule(Run);
    let engine = rules.open(file);
    let build = engine.begin().commit(Options { jobs: 1, ..Options::default() });
    let values = build.all::<Action>(actions.iter().map(|action| action.as_bytes().to_vec()));
    let ran = build.ran().into_iter().filter(|ran| ran.starts_with("run")).collect();
    let values = values.into_iter().map(|value| value.expect("nothing fails")).collect();
    drop(build);
    engine.commit().unwrap();
    (values, ran)
}

#[test]
fn equal_inputs_run_once_in_one_build_and_never_again() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("runs");
    let world = World::default();
    let set = |name: &str, value| world.lock().unwrap().insert(name.to_owned(), value);
    for (name, value) in [("a", 1), ("b", 2), ("x", 1), ("y", 2)] {
        set(name, value);
    }
    let (values, ran) = build(&world, &file, &["ab", "xy", "ay"]);
    assert_eq!((values, ran.len()), (vec![3, 3, 3], 1), "{ran:?}");
    // Another process, another definition, the same inputs.
    let (values, ran) = build(&world, &file, &["xb"]);
    assert_eq!((values, ran.len()), (vec![3], 0), "{ran:?}");
    set("b", 5);
    assert_eq!(build(&world, &file, &["ab"]).1.len(), 1);
    // The inputs of one are now what another's were.
    set("y", 5);
    let (values, ran) = build(&world, &file, &["xy"]);
    assert_eq!((values, ran.len()), (vec![6], 0), "{ran:?}");
}
