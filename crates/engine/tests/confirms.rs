//! `Engine::confirms`: verifying a leaf by its witness outside of a build.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use taut_engine::{Agreement, Cx, Engine, Fail, Hash, Options, Policy, Rule};

/// Contents by name, each with the number of times it was written.
type World = Arc<Mutex<HashMap<String, (u64, u64)>>>;

/// Reads a content; its witness is the number of writes.
struct Leaf(World);

impl Rule for Leaf {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "leaf";

    fn policy(&self, _: &String) -> Policy {
        Policy::leaf()
    }

    async fn value(&self, key: &String, cx: Cx) -> Result<u64, Fail> {
        let (content, writes) = self.0.lock().unwrap().get(key).copied().unwrap_or_default();
        if key != "unaccountable" {
            cx.witness(writes.to_le_bytes());
        }
        Ok(content)
    }

    fn content_hash(&self, _: &String, content: &u64) -> Option<Hash> {
        Some(Hash::from(*content))
    }

    fn agrees(&self, key: &String, witness: &[u8], hash: Hash) -> Agreement {
        let (content, writes) = self.0.lock().unwrap().get(key).copied().unwrap_or_default();
        match writes.to_le_bytes() {
            same if same == witness => Agreement::Yes,
            other if Hash::from(content) == hash => Agreement::YesBy(other.to_vec()),
            _ => Agreement::No,
        }
    }
}

/// Adds up the leaf of each number below its own, and half of the next sum.
struct Sum;

impl Rule for Sum {
    type Key = u64;
    type Value = u64;
    const NAME: &'static str = "sum";

    async fn value(&self, number: &u64, cx: Cx) -> Result<u64, Fail> {
        let own = cx.get::<Leaf>(number.to_string()).await?;
        match number.checked_sub(1) {
            Some(next) => Ok(own + cx.get::<Sum>(next).await? / 2),
            None => Ok(own),
        }
    }
}

fn engine(world: &World) -> Engine {
    Engine::builder().rule(Leaf(world.clone())).rule(Sum).build()
}

fn write(world: &World, key: &str, content: u64) {
    let mut world = world.lock().unwrap();
    let entry = world.entry(key.to_owned()).or_default();
    *entry = (content, entry.1 + 1);
}

#[test]
fn a_leaf_confirms_what_it_saw_or_does_not() {
    let world = World::default();
    (0..3).for_each(|number: u64| write(&world, &number.to_string(), number));
    let engine = engine(&world);
    let confirms = |key: &str| engine.confirms::<Leaf>(&key.to_owned());
    assert!(!confirms("1"), "it was never requested");
    let build = engine.begin().commit(Options::default());
    build.get::<Sum>(2).unwrap();
    let _ = build.get::<Leaf>("unaccountable".to_owned());
    assert!(confirms("1"));
    assert!(!confirms("unaccountable"), "it left no witness");
    assert!(!engine.confirms::<Sum>(&2), "it is not a leaf");
    write(&world, "1", 1);
    assert!(confirms("1"), "the same was written again");
    write(&world, "1", 5);
    assert!(!confirms("1"));
    // Confirming changes nothing: without a declaration the leaf stays clean, with one it is stale.
    drop(build);
    let deaf = engine.begin().commit(Options::default());
    assert_eq!((deaf.get::<Sum>(2).unwrap(), deaf.ran()), (2, vec![]));
    let heard = engine.begin().changed::<Leaf>(&"1".to_owned()).commit(Options::default());
    assert_eq!(heard.get::<Sum>(2).unwrap(), 4);
    assert!(confirms("1"));
}
