//! Deep traces: a result follows from what the leaves saw.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use taut_engine::{
    Agreement, Cx, DeepTrace, Engine, Fail, Hash, Key, Options, Policy, Rule, Terminal, Verdict,
};

/// Contents by name, each with the number of times it was written.
type World = Arc<Mutex<HashMap<String, (u64, u64)>>>;

/// Reads a content; its witness is the number of writes.
struct Leaf(World);

impl Rule for Leaf {
    type Key = String;
    type Value = u64;
    const NAME: &'static str = "leaf";
    const VERSION: u32 = 3;

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

/// The deep trace of a sum.
fn trace(world: &World, number: u64) -> DeepTrace {
    let engine = engine(world);
    let build = engine.begin().commit(Options::default());
    let value = build.get::<Sum>(number).unwrap().to_le_bytes().to_vec();
    DeepTrace { terminals: build.terminals().unwrap(), value }
}

fn seal(bytes: &[u8]) -> Hash {
    Hash::from(
        bytes.iter().fold(bytes.len() as u64, |sum, byte| sum.rotate_left(9) ^ u64::from(*byte) ^ (sum << 3)),
    )
}

#[test]
fn p5_a_trace_holds_in_another_engine_while_no_leaf_sees_anything_else() {
    let world = World::default();
    (0..5).for_each(|number: u64| write(&world, &number.to_string(), number));
    let mut kept = trace(&world, 4);
    let keys: Vec<String> = kept.terminals.iter().map(|t| String::decode(&t.key).unwrap()).collect();
    assert_eq!(keys, ["0", "1", "2", "3", "4"]);
    assert_eq!(engine(&world).agrees(&mut kept), Verdict::Holds { refreshed: false });
    write(&world, "7", 1);
    assert_eq!(engine(&world).agrees(&mut kept), Verdict::Holds { refreshed: false });
}

#[test]
fn what_was_written_without_changing_refreshes_the_witness() {
    let world = World::default();
    write(&world, "1", 6);
    let mut kept = trace(&world, 1);
    write(&world, "1", 6);
    assert_eq!(engine(&world).agrees(&mut kept), Verdict::Holds { refreshed: true });
    assert_eq!(engine(&world).agrees(&mut kept), Verdict::Holds { refreshed: false });
}

#[test]
fn a_leaf_confirms_what_it_saw_or_does_not() {
    let world = World::default();
    (0..3).for_each(|number: u64| write(&world, &number.to_string(), number));
    let engine = engine(&world);
    let confirms = |key: &str| engine.confirms::<Leaf>(&key.to_owned());
    assert!(!confirms("1"), "nobody asked for it");
    let build = engine.begin().commit(Options::default());
    build.get::<Sum>(2).unwrap();
    let _ = build.get::<Leaf>("unaccountable".to_owned());
    assert!(confirms("1"));
    assert!(!confirms("unaccountable"), "it left no witness");
    assert!(!engine.confirms::<Sum>(&2), "it is no leaf");
    write(&world, "1", 1);
    assert!(confirms("1"), "the same was written again");
    write(&world, "1", 5);
    assert!(!confirms("1"));
    // Asking changes nothing: who declares nothing is believed, who declares the change is heard.
    drop(build);
    let deaf = engine.begin().commit(Options::default());
    assert_eq!((deaf.get::<Sum>(2).unwrap(), deaf.ran()), (2, vec![]));
    let heard = engine.begin().changed::<Leaf>(&"1".to_owned()).commit(Options::default());
    assert_eq!(heard.get::<Sum>(2).unwrap(), 4);
    assert!(confirms("1"));
}

#[test]
fn the_first_leaf_that_differs_is_named() {
    let world = World::default();
    let mut kept = trace(&world, 3);
    write(&world, "2", 1);
    assert_eq!(engine(&world).agrees(&mut kept), Verdict::Differs { terminal: 2 });
    // Back again is as good as never changed.
    write(&world, "2", 0);
    assert_eq!(engine(&world).agrees(&mut kept), Verdict::Holds { refreshed: true });
}

#[test]
fn rules_that_are_unknown_or_of_another_version_and_keys_that_mean_nothing_agree_with_nothing() {
    let world = World::default();
    let good = Terminal {
        rule: ("leaf".into(), 3),
        key: b"1".to_vec(),
        witness: 0_u64.to_le_bytes().to_vec(),
        hash: Hash::from(0),
    };
    let with = |terminal: Terminal| {
        engine(&world).agrees(&mut DeepTrace { terminals: vec![terminal], value: Vec::new() })
    };
    assert_eq!(with(good.clone()), Verdict::Holds { refreshed: false });
    let differs = Verdict::Differs { terminal: 0 };
    assert_eq!(with(Terminal { rule: ("leaf".into(), 2), ..good.clone() }), differs);
    assert_eq!(with(Terminal { rule: ("other".into(), 3), ..good.clone() }), differs);
    assert_eq!(with(Terminal { key: vec![0xff], ..good }), differs);
}

#[test]
fn a_leaf_without_witness_leaves_no_trace() {
    let engine = engine(&World::default());
    let build = engine.begin().commit(Options::default());
    build.get::<Leaf>("1".into()).unwrap();
    assert_eq!(build.terminals().map(|terminals| terminals.len()), Some(1));
    build.get::<Leaf>("unaccountable".into()).unwrap();
    assert_eq!(build.terminals(), None);
}

#[test]
fn p7_bytes_are_a_trace_as_a_whole_or_not_at_all() {
    let world = World::default();
    (0..20).for_each(|number: u64| write(&world, &number.to_string(), number));
    let kept = trace(&world, 19);
    let bytes = kept.encode(seal);
    assert_eq!(DeepTrace::decode(&bytes, seal), Some(kept));
    for end in 0..bytes.len() {
        assert_eq!(DeepTrace::decode(&bytes[..end], seal), None, "cut at {end}");
    }
    for at in 0..bytes.len() {
        let mut damaged = bytes.clone();
        damaged[at] ^= 0x10;
        assert_eq!(DeepTrace::decode(&damaged, seal), None, "flipped at {at}");
    }
    // Even with a seal that sees nothing, damaged bytes hurt nobody.
    let blind = |_: &[u8]| Hash::from(0);
    let bytes = trace(&world, 9).encode(blind);
    for at in 48..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let _ = DeepTrace::decode(&damaged, blind);
        }
    }
}
