//! Every target, run on its corpus and on mutations of it that are the same on every machine.
//!
//! `TAUT_SOAK` multiplies their number. A failure is reported with the input, which should then be added to the corpus.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::panic::catch_unwind;
use std::path::Path;

use taut_parser_checks::{TARGETS, Target};
use taut_testkit::Rng;

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target.name);
    let mut files: Vec<_> =
        std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let texts = files.iter().map(|file| std::fs::read(file).unwrap());
    texts.chain((target.seeds)()).collect()
}

/// Bytes with a special meaning in some formats.
const TOKENS: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"null",
    b"1e400",
    b"-",
    b"\xff",
    b"\0",
    b"\n",
    b"\\ud800",
    b"\"type\"",
    b"\"$1\"",
    b"..",
    b"/",
    b"//",
    b"/*",
    b"*/",
    b",]",
    b",}",
    b".",
    b"\xef\xbb\xbf",
    b"40000 ",
    b"100644 ",
    b"\x80\x80\x80\x80\x10",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"[[[[[[[[[[[[[[[[",
    b"{\"a\":{\"a\":{\"a\":",
];

fn mutated(rng: &mut Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = rng.pick(corpus).clone();
    for _ in 0..1 + rng.below(4) {
        let at = rng.below(bytes.len() + 1);
        let end = (at + rng.below(12)).min(bytes.len());
        match rng.below(7) {
            0 => drop(bytes.drain(at..end)),
            1 => drop(bytes.splice(at..at, rng.pick(TOKENS).iter().copied())),
            2 if at < bytes.len() => bytes[at] ^= 1 << rng.below(8),
            3 => {
                let part = bytes[at..end].to_vec();
                let to = rng.below(bytes.len() + 1);
                bytes.splice(to..to, part);
            }
            4 => {
                let other = rng.pick(corpus);
                let from = rng.below(other.len() + 1);
                bytes.truncate(at);
                bytes.extend(&other[from..]);
            }
            5 => {
                // A part of one file replaces a part of another.
                let other = rng.pick(corpus);
                let from = rng.below(other.len() + 1);
                let to = (from + rng.below(40)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => bytes.truncate(at),
        }
    }
    bytes
}

fn check(name: &str) {
    let target = taut_parser_checks::target(name);
    let corpus = corpus(&target);
    assert!(!corpus.is_empty(), "{name} has a corpus");
    let fails = |bytes: &[u8]| {
        let run = catch_unwind(|| (target.run)(bytes));
        assert!(run.is_ok(), "{name} fails on {:?}", String::from_utf8_lossy(bytes));
    };
    corpus.iter().for_each(|bytes| fails(bytes));
    for seed in 0..taut_testkit::times(target.share) {
        fails(&mutated(&mut Rng::new(seed as u64), &corpus));
    }
}

macro_rules! targets {
    ($($name:ident)*) => {
        $(#[test] fn $name() { check(stringify!($name)); })*
        const CHECKED: &[&str] = &[$(stringify!($name)),*];
    };
}

targets! {
    json dialect expression name object_id command_line completion graph cache_entry event_log depfile c_source repositories description rc project git_tree message received_tree value archive runs sealed_runs
}

#[test]
fn every_target_is_checked_and_has_a_fuzzer() {
    let names: Vec<&str> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, CHECKED);
    let fuzz = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz");
    let manifest = std::fs::read_to_string(fuzz.join("Cargo.toml")).unwrap();
    for name in names {
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{name} has a binary in fuzz/Cargo.toml");
        let source = std::fs::read_to_string(fuzz.join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(source.contains(&format!("target(\"{name}\")")), "fuzz_targets/{name}.rs runs {name}");
    }
}
