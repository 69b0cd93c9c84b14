//! Random trees: whatever the sources say, what is proposed can be read, names only what is there, and has no cycle.

use std::collections::{BTreeMap, BTreeSet};

use taut_scan::{Machine, SourceFile, propose};
use taut_syntax::json::{Document, Node};
use taut_testkit::Rng;

const DIRECTORIES: &[&str] = &[
    "",
    "src",
    "include",
    "include/p",
    "lib/a",
    "lib/b",
    "tests",
    "a b",
    "pkg",
    "pkg/sub",
    "src/bin",
    "lib/a/include",
];
const NAMES: &[&str] = &[
    "a.c",
    "b.c",
    "a.h",
    "b.h",
    "main.c",
    "a.cc",
    "main.cpp",
    "x.hpp",
    "a_test.c",
    "test_a.py",
    "__init__.py",
    "__main__.py",
    "m.py",
    "lib.rs",
    "main.rs",
    "run.sh",
    "a_test.sh",
    "Cargo.toml",
    "a.inc",
    "default",
    "tests",
    "a",
];
const LINES: &[&str] = &[
    "#include \"a.h\"",
    "#include \"b.h\"",
    "#include <p/a.h>",
    "#include \"../include/p/b.h\"",
    "#include \"a.c\"",
    "#include <x.hpp>",
    "#include <math.h>",
    "#include <zlib.h>",
    "#include <odd.h>",
    "#include \"gone.h\"",
    "#include <gtest/gtest.h>",
    "#include M",
    "#define M \"b.h\"",
    "#ifdef M",
    "#if 0",
    "#else",
    "#endif",
    "#ifndef G",
    "int main(void) {",
    "}",
    "/*",
    "*/",
    "\"",
    "R\"(",
    "import m",
    "from pkg import a",
    "import pytest",
    "def test_a():",
    "if __name__ == \"__main__\":",
    "[dependencies]",
    "pkg = \"1\"",
    "name = \"a b\"",
    "#[test]",
    "#!/bin/bash",
    "./main",
    "src/a.c",
    "\u{e4}\\",
    "extern \"C\" {",
];

fn tree(rng: &mut Rng) -> Vec<SourceFile> {
    let count = rng.below(25);
    let file = |rng: &mut Rng| {
        let (directory, name) = (*rng.pick(DIRECTORIES), *rng.pick(NAMES));
        let path = if directory.is_empty() { name.to_owned() } else { format!("{directory}/{name}") };
        let lines: Vec<&str> = (0..rng.below(8)).map(|_| *rng.pick(LINES)).collect();
        SourceFile { path, is_executable: rng.below(2) == 0, content: lines.join("\n").into_bytes() }
    };
    (0..count).map(|_| file(rng)).collect()
}

/// What is proposed on a machine on which everything can be read, and some libraries of the system are there.
fn targets(files: Vec<SourceFile>) -> String {
    let machine = Machine { unreadable: &BTreeSet::new(), has_package: &|library| library == "zlib" };
    propose(files, "project", &machine).targets_file()
}

/// The texts of a field, which may have lists in it.
fn texts<'d>(target: Node<'d>, field: &str) -> Vec<&'d str> {
    let items = target.get(field).and_then(Node::as_list);
    items.into_iter().flatten().map(|item| item.as_str().expect("a text")).collect()
}

fn check(seed: u64) {
    let files = tree(&mut Rng::new(seed));
    let paths: BTreeSet<String> = files.iter().map(|file| file.path.clone()).collect();
    let text = targets(files);
    let document =
        Document::parse("TARGETS", text.clone()).unwrap_or_else(|error| panic!("{seed}: {error:?}\n{text}"));
    assert!(document.duplicates().is_empty(), "{seed}: a name twice\n{text}");
    let targets: BTreeMap<&str, Node<'_>> = document.root().entries().collect();
    let mut uses: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (name, target) in &targets {
        // Files of these two names are not sources.
        let is_group = matches!(*name, "default" | "tests");
        assert!(is_group || !paths.contains(*name), "{seed}: {name} is a file, too\n{text}");
        for field in ["srcs", "hdrs", "private hdrs", "main", "src", "data"] {
            for named in texts(*target, field) {
                assert!(
                    targets.contains_key(named) || paths.contains(named),
                    "{seed}: {named} is not there\n{text}"
                );
            }
        }
        for field in ["deps", "private deps", "tests"] {
            for named in texts(*target, field) {
                assert!(
                    targets.contains_key(named),
                    "{seed}: {name} depends on {named}, which is not a target\n{text}"
                );
                uses.entry(name).or_default().push(named);
            }
        }
    }
    for start in targets.keys() {
        let (mut left, mut seen) = (uses.get(start).cloned().unwrap_or_default(), BTreeSet::new());
        while let Some(name) = left.pop() {
            assert_ne!(name, *start, "{seed}: a cycle\n{text}");
            if seen.insert(name) {
                left.extend(uses.get(name).into_iter().flatten());
            }
        }
    }
}

#[test]
fn what_is_proposed_for_random_trees_can_be_read_and_names_what_is_there() {
    let factor: u64 = std::env::var("TAUT_SOAK").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    (0..3000 * factor).for_each(check);
}

#[test]
fn equal_trees_have_equal_proposals() {
    for seed in 0..100 {
        let files = tree(&mut Rng::new(seed));
        let mut reversed = files.clone();
        // Of two files with one path the first one counts.
        reversed.sort_by(|a, b| b.path.cmp(&a.path));
        assert_eq!(targets(files), targets(reversed), "{seed}");
    }
}
