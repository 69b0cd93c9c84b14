//! Derivations: why a task executed, down to the input; or why it did not.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use taut_engine::{Cx, Derivation, Engine, Fail, Hash, Options, Part, Policy, Rule, WhatIf};

type World = Arc<Mutex<HashMap<String, u64>>>;

struct Input(World);

impl Rule for Input {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "input";

    fn policy(&self, _: &String) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, name: &String, _: Cx) -> Result<u64, Fail> {
        Ok(self.0.lock().unwrap().get(name).copied().unwrap_or_default())
    }

    fn content_hash(&self, _: &String, value: &u64) -> Option<Hash> {
        Some(Hash::from(*value))
    }
}

/// The last digit.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
struct Digit;

impl taut_engine::Key for Digit {
    fn encode(&self, _: &mut Vec<u8>) {}

    fn decode(_: &[u8]) -> Option<Digit> {
        Some(Digit)
    }
}

impl Part for Digit {
    type Of = Input;
    type Value = u64;
    const NAME: &'static str = "digit";

    fn project(&self, whole: &u64) -> u64 {
        whole % 10
    }

    fn content_hash(&self, part: &u64) -> Hash {
        Hash::from(*part)
    }
}

/// The last digits of the inputs, a letter each, added up; the same for the reversed word.
struct Sum;

impl Rule for Sum {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "sum";

    async fn value(&self, word: &String, cx: Cx) -> Result<u64, Fail> {
        let parts = word.chars().map(|letter| (letter.to_string(), Digit)).collect();
        cx.all_parts(parts).await.into_iter().sum()
    }

    fn content_hash(&self, _: &String, sum: &u64) -> Option<Hash> {
        Some(Hash::from(*sum))
    }

    fn share_key(&self, word: &String) -> Option<u64> {
        Some(word.len() as u64)
    }

    fn serves(&self, word: &String, other: &String, _: &u64) -> bool {
        word.chars().rev().eq(other.chars())
    }
}

struct Twice;

impl Rule for Twice {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "twice";

    async fn value(&self, word: &String, cx: Cx) -> Result<u64, Fail> {
        Ok(2 * cx.get::<Sum>(word.clone()).await?)
    }
}

fn one() -> Options {
    Options { jobs: 1, ..Options::default() }
}

#[test]
fn each_derivation_is_reported() {
    let world = World::default();
    let rules = Engine::builder().rule(Input(world.clone())).rule(Sum).rule(Twice);
    let engine = rules.part::<Digit>().build();
    let set = |name: &str, value| world.lock().unwrap().insert(name.to_owned(), value);
    let [a, b, ab, ba] = ["a", "b", "ab", "ba"].map(str::to_owned);
    let text = |derivation: Option<Derivation>| derivation.map(|why| why.to_string()).unwrap_or_default();

    let build = engine.begin().commit(one());
    build.get::<Twice>(ab.clone()).unwrap();
    assert_eq!(text(build.derivation::<Twice>(&ab)), "it executed: it was never made before");
    build.get::<Sum>(ba.clone()).unwrap();
    assert_eq!(text(build.derivation::<Sum>(&ba)), "it is the same as sum(\"ab\")");
    assert_eq!(build.derivation::<Twice>(&ba), None);

    // A change of something that nothing depends on.
    let build = engine.begin().changed::<Input>(&"c".to_owned()).commit(one());
    build.get::<Twice>(ab.clone()).unwrap();
    assert_eq!(build.derivation::<Twice>(&ab), Some(Derivation::Clean));
    assert!(build.causes::<Twice>(&ab).is_empty());

    // A change that those above do not notice.
    set("b", 10);
    let build = engine.begin().changed::<Input>(&b).commit(one());
    build.get::<Twice>(ab.clone()).unwrap();
    assert_eq!(text(build.derivation::<Input>(&b)), "it executed: it was declared changed");
    assert_eq!(text(build.derivation::<Sum>(&ab)), "all 2 that it had read are the same");
    assert_eq!(build.derivation::<Input>(&a), Some(Derivation::Clean));

    // One that is.
    set("b", 15);
    let build = engine.begin().changed::<Input>(&b).commit(one());
    build.get::<Twice>(ab.clone()).unwrap();
    let causes: Vec<String> =
        build.causes::<Twice>(&ab).iter().map(|ran| format!("{ran}: {}", ran.reason)).collect();
    assert_eq!(
        causes,
        [
            "twice(\"ab\"): sum(\"ab\") changed",
            "sum(\"ab\"): digit((\"b\", Digit)) changed",
            "input(\"b\"): it was declared changed",
        ]
    );

    let build = engine.begin().set::<Input>(b.clone(), 7).commit(one());
    build.get::<Sum>(ab.clone()).unwrap();
    assert_eq!(build.derivation::<Input>(&b), Some(Derivation::Given));

    let what_if = Some(WhatIf::new().except::<Twice>(ab.clone()));
    let build = engine.begin().commit(Options { what_if, ..one() });
    build.get::<Twice>(ab.clone()).unwrap();
    assert_eq!(build.derivation::<Sum>(&ab), Some(Derivation::Assumed));
    assert_eq!(build.replayed(), 0, "assumed, not verified");

    let what_if = Some(WhatIf::new().except::<Sum>(ab.clone()));
    let build = engine.begin().commit(Options { what_if, ..one() });
    build.get::<Sum>(ab.clone()).unwrap();
    assert!(matches!(build.derivation::<Sum>(&ab), Some(Derivation::Replayed { .. })));
    assert_eq!(build.replayed(), 1, "only the suspect was looked after");
}
