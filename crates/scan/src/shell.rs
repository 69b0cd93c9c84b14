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
        let outside = outside(&text);
        if let Some(word) = outside {
            proposal.note(format!(
                "{path}: it names {word}, which is outside of the directory in which a test runs. Give it the paths of the \
                 files in \"data\" by \"args\" or \"env\", or change it."
            ));
        }
        let builds = if outside.is_some() { Builds::Perhaps } else { Builds::Surely };
        proposal.add("test", target, path.to_owned(), builds);
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

/// A path that leads out of the directory in which a test runs, where nothing is that the test could need.
fn outside(text: &str) -> Option<&str> {
    let lines = || text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let words = || lines().flat_map(|line| line.split(|c| !is_of_path(c)));
    // From a directory that the script goes to, the path may lead to one of its own files.
    if words().any(|word| matches!(word, "cd" | "pushd")) {
        return None;
    }
    words().find(|word| {
        let rest = word.strip_prefix("../");
        // No path of a file: `../`, or one with a variable behind it.
        rest.is_some_and(|rest| !rest.is_empty()) && paths::join("", word).is_none()
    })
}

fn is_of_path(c: char) -> bool {
    c.is_alphanumeric() || "/._+-".contains(c)
}

/// The files and programs that a script names: by the path in the module, or as `./name`.
fn data(tree: &Tree, own: &str, text: &str, programs: &BTreeSet<String>) -> BTreeSet<String> {
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
        assert_eq!(outside("# ../not\n../build/hello"), Some("../build/hello"));
        assert_eq!(outside("mkdir x; cd x; ../hello"), None);
        assert_eq!(outside("$(dirname $0)/../hello; sed s,../,,"), None);
        assert_eq!(shell("#!/usr/bin/env bash\n"), Some("bash".into()));
        assert_eq!(shell("#!/bin/sh -e\n"), None);
    }
}
