//! Targets for shell scripts: scripts that may be executed, and tests by their names.
//!
//! A test gets the files and programs that its text names by a path.

use std::collections::BTreeSet;

use crate::{
    c,
    names::Names,
    paths,
    proposal::{Builds, Proposal},
    target::{Rule, Target},
    tree::Tree,
};

pub(crate) fn propose(tree: &Tree, names: &mut Names, proposal: &mut Proposal) {
    let mut tests = Vec::new();
    for file in tree.with_ending("sh") {
        let path = tree.path(file);
        let text = tree.text(file);
        if is_test(path) {
            tests.push(file);
        } else if tree.file(file).is_executable && text.starts_with("#!") {
            let name = names.of_file(paths::stem(path), path);
            let target = Target::new(&name, Rule::InTheBox("shell", "script"))
                .texts("name", [&name])
                .texts("src", [path]);
            proposal.add("script", target, path.to_owned(), Builds::Surely);
        }
    }
    // After the scripts: a test may call them.
    let programs: BTreeSet<String> = proposal
        .summaries()
        .iter()
        .filter(|summary| matches!(summary.kind, "program" | "script"))
        .map(|summary| summary.name.clone())
        .collect();
    for file in tests {
        let path = tree.path(file);
        let text = tree.text(file);
        let name = names.of_file(paths::stem(path), path);
        let target = Target::new(&name, Rule::InTheBox("shell", "test"))
            .texts("name", [&name])
            .texts("src", [path])
            .texts("shell", shell(&text))
            .texts("data", data(tree, path, &text, &programs));
        proposal.add("test", target, path.to_owned(), Builds::Surely);
    }
}

/// Whether the name itself says so: in a directory of tests there are other scripts, too.
fn is_test(path: &str) -> bool {
    c::is_test(paths::name(path))
}

/// The shell of the first line, if it is not `sh`.
fn shell(text: &str) -> Option<String> {
    let line = text.lines().next()?.strip_prefix("#!")?;
    let program = line.split_whitespace().find(|word| !word.ends_with("/env"))?;
    let name = paths::name(program);
    // Any other program runs no shell script.
    matches!(name, "bash" | "dash" | "ksh" | "zsh" | "busybox").then(|| name.to_owned())
}

/// The files and programs that a script names: by the path in the module, or as `./name`.
fn data(tree: &Tree, own: &str, text: &str, programs: &BTreeSet<String>) -> BTreeSet<String> {
    let is_of_path = |c: char| c.is_alphanumeric() || "/._+-".contains(c);
    let words = text.split(|c| !is_of_path(c)).filter(|word| !word.is_empty());
    // A word that happens to be the path of a file adds an input too many, which does no harm; one too few fails
    // the test.
    let named = words.filter_map(|word| {
        let path = paths::join("", word)?;
        if word.starts_with("./") && programs.contains(&path) {
            return Some(path);
        }
        (path != own && tree.find(&path).is_some()).then_some(path)
    });
    named.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_gets_what_it_names() {
        let file =
            |path: &str| crate::SourceFile { path: path.into(), is_executable: false, content: Vec::new() };
        let tree = Tree::new(vec![file("data/a.txt"), file("t.sh")]);
        let programs = BTreeSet::from(["hello".to_owned()]);
        let text = "./hello < data/a.txt > hello # t.sh\n";
        assert_eq!(
            data(&tree, "t.sh", text, &programs).into_iter().collect::<Vec<_>>(),
            ["data/a.txt", "hello"]
        );
        assert_eq!(shell("#!/usr/bin/env bash\n"), Some("bash".into()));
        assert_eq!(shell("#!/bin/sh -e\n"), None);
    }
}
