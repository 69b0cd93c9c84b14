//! Archives and the trees that just-mr 1.6.5 makes of them.
//!
//! `golden/trees.txt` has for each archive in that directory the tree of `just-mr setup` (version 1.6.5, in the locale
//! `C`), or `refused`. `golden/differences.txt` has those where taut does something else, with the reason.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
};

use taut_archive::{Kind, Limits, read};
use taut_git::HashOnly;

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The first two words of each line.
fn table(name: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(directory().join(name)).unwrap();
    let words = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        (words.next().unwrap(), words.next().unwrap())
    };
    text.lines().filter(|line| !line.starts_with('#')).map(words).collect()
}

fn tree(name: &str) -> String {
    let mut file = File::open(directory().join(name)).unwrap();
    let kind = if name.ends_with(".zip") || name.ends_with(".7z") { Kind::Zip } else { Kind::Tar };
    match read(&mut file, kind, &Limits::default(), &mut HashOnly) {
        Ok(unpacked) => unpacked.tree.to_hex(),
        Err(error) => format!("refused: {error}"),
    }
}

#[test]
fn trees_are_those_of_the_reference() {
    let reference = table("trees.txt");
    let differences = table("differences.txt");
    assert!(reference.len() > 150);
    let mut wrong = Vec::new();
    for (name, tree_of_reference) in &reference {
        let actual = tree(name);
        let expected = differences.get(name).unwrap_or(tree_of_reference);
        if actual.split(':').next() != Some(expected) {
            wrong.push(format!("{name}: {actual}, not {expected}"));
        }
        let is_needed = differences.get(name).is_none_or(|ours| ours != tree_of_reference);
        assert!(is_needed, "{name} is not a difference");
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(differences.keys().all(|name| reference.contains_key(name)));
}
