//! A second opinion of the engine, written against its public interface and the definition of a build alone.
//!
//! Beyond the first (`oracle.rs`): hash functions apart from values, values in files that somebody writes into,
//! tasks stored nowhere, order-only reads, tasks started early, failures that go away, values told from outside,
//! questions (*what if*) that change nothing, and for every function that ran the reason why. What ran must be
//! what the model says, no more and no less; and a build without questions must answer as if made anew.
//!
//! `corpus/*.txt` are cases that once failed, or are worth reading; they come first. A failing random case is
//! made smaller and printed in that form. `TAUT_SOAK` multiplies the number of random cases.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

mod case;
mod model;
mod rules;

use case::{Build, Case, Event};
use model::{Expected, Model, Outcome, Ran, Why};
use rules::{Tasks, World, Zero, tells};
use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};
use taut_engine::{Engine, Executed, Fail, Hash, Options, Reason, WhatIf};

/// What a build did, in the model's words.
fn did(engine: &Engine, world: &Mutex<World>, case: &Case, build: &Build) -> (Vec<Ran>, Outcome) {
    let mut begin = engine.begin();
    for event in &build.events {
        begin = match event {
            Event::Change(leaf, value) => {
                world.lock().unwrap().leaves[*leaf] = Some(*value);
                begin.changed::<Tasks>(&(*leaf as u64))
            }
            Event::Flaky(leaf) => {
                world.lock().unwrap().leaves[*leaf] = None;
                begin.changed::<Tasks>(&(*leaf as u64))
            }
            Event::Set(leaf, value) => begin.set::<Tasks>(*leaf as u64, *value),
            Event::Touch(task) => begin.changed::<Tasks>(&(*task as u64)),
            Event::Scan => begin.scan(),
            Event::Evict => {
                engine.evict_values();
                begin
            }
            Event::Tamper(task, value) => {
                world.lock().unwrap().files.insert(*task, *value);
                begin
            }
        };
    }
    let what_if = build.what_if.as_ref().map(|suspects| {
        suspects.iter().fold(WhatIf::new(), |what_if, task| what_if.but::<Tasks>(*task as u64))
    });
    let running = begin.commit(Options { jobs: build.jobs, what_if, ..Options::default() });
    let root = build.root as u64;
    let answer = if build.by_hash {
        running.hash_of::<Tasks>(root).map(|hash| match hash {
            Some(hash) if tells(case, build.root) => {
                assert_eq!(hash.0[8..], [0; 24]);
                u64::from_le_bytes(hash.0[..8].try_into().unwrap())
            }
            _ => u64::MAX,
        })
    } else {
        running.get::<Tasks>(root)
    };
    let outcome = match answer {
        Ok(value) => Outcome::Value(value),
        Err(Fail::Transient(_)) => Outcome::Flaky,
        Err(fail) => Outcome::Failed(fail.downcast_ref::<Zero>().expect("only zeros fail").0),
    };
    let key = |key: &taut_engine::KeyRef| *key.downcast::<u64>().expect("a key") as usize;
    let mut ran: Vec<Ran> = running
        .log()
        .iter()
        .map(|ran| Ran {
            task: key(&ran.key),
            hash: ran.what == Executed::Hash,
            why: match &ran.reason {
                Reason::New => Why::New,
                Reason::Always => Why::Always,
                Reason::Changed => Why::Changed,
                Reason::Read { dep, was, is } => {
                    assert!(was.is_none() || was != is, "a difference differs");
                    Why::Read(key(dep))
                }
                Reason::ValueLost => Why::Lost,
                Reason::RuleChanged => panic!("no rule has changed"),
            },
        })
        .collect();
    ran.sort();
    assert!(running.differing().is_empty() || build.what_if.is_some(), "nothing here is left to chance");
    (ran, outcome)
}

/// Runs a case; panics where the engine and the model differ.
fn check(case: &Case) {
    let world = World { leaves: case.leaves.iter().copied().map(Some).collect(), files: HashMap::new() };
    let world = Arc::new(Mutex::new(world));
    let tasks = Tasks { case: Arc::new(case.clone()), world: world.clone() };
    let engine = Engine::builder().rule(tasks).build();
    let mut model = Model::new(case);
    for (at, build) in case.builds.iter().enumerate() {
        let Expected { ran: must, outcome: expected } = model.build(case, build);
        let (ran, outcome) = did(&engine, &world, case, build);
        let opaque = build.by_hash && !tells(case, build.root);
        let same = match (outcome, expected) {
            (Outcome::Value(_), Outcome::Value(_)) if opaque => true,
            (outcome, expected) => outcome == expected,
        };
        assert!(same, "build {at} came to {outcome:?}, not to {expected:?}");
        assert_eq!(ran, must, "what ran in build {at} (left), and what must (right)");
        if build.what_if.is_none() {
            let anew = model::wanted(case, &model.leaves)[build.root];
            assert_eq!(anew, expected, "the model of build {at} is right");
        }
        assert_eq!(world.lock().unwrap().files, model.files, "files after build {at}");
    }
}

/// What is wrong with a case, if anything.
fn trouble(case: &Case) -> Option<String> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let checked = catch_unwind(AssertUnwindSafe(|| check(case)));
    std::panic::set_hook(hook);
    let panic = checked.err()?;
    let text = panic.downcast_ref::<String>().cloned();
    Some(text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned())).unwrap_or_default())
}

/// The smallest case that is found to be wrong, from one that is.
fn shrink(mut case: Case) -> Case {
    while let Some(smaller) = case.smaller().into_iter().find(|smaller| trouble(smaller).is_some()) {
        case = smaller;
    }
    case
}

/// All that is checked runs one after the other: cases silence panics, which is for the whole process.
#[test]
fn what_runs_is_what_must_and_every_answer_is_as_if_made_anew() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut files: Vec<_> = std::fs::read_dir(corpus).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "there is a corpus");
    for file in files {
        let case = Case::parse(&std::fs::read_to_string(&file).unwrap());
        assert_eq!(Case::parse(&case.to_string()), case, "cases are written as they are read");
        if let Some(trouble) = trouble(&case) {
            panic!("{}: {trouble}", file.display());
        }
    }
    let factor: u64 = std::env::var("TAUT_SOAK").map_or(1, |factor| factor.parse().expect("a number"));
    let first: u64 = std::env::var("TAUT_SEED").map_or(1, |seed| seed.parse().expect("a number"));
    for seed in first..first + 1_000 * factor {
        let case = Case::random(seed);
        if trouble(&case).is_some() {
            let smallest = shrink(case);
            let trouble = trouble(&smallest).unwrap_or_else(|| "it does not always happen".to_owned());
            panic!("seed {seed}: {trouble}\nthe case, made smaller:\n{smallest}");
        }
    }
    // Hashes of small numbers are those numbers: the model counts on it.
    assert_eq!(Hash::from(7).0[0], 7);
}
