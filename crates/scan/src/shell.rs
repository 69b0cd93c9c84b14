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
        let obstacle = obstacle(&text);
        let builds = if obstacle.is_some() { Builds::Perhaps } else { Builds::Surely };
        if let Some(obstacle) = obstacle {
            proposal.note(format!("{path}: {obstacle}"));
        }
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

/// Why a script surely is not a test as it is: it cannot pass, or does more than a test may.
fn obstacle(text: &str) -> Option<String> {
    if let Some(word) = outside(text) {
        return Some(format!(
            "it names {word}, which is outside of the directory in which a test runs. Give it the paths of the files in \
             \"data\" by \"args\" or \"env\", or change it."
        ));
    }
    if let Some(program) = other_build(text) {
        return Some(format!(
            "it calls {program}, so it builds or changes more than a test may; it is not in tests."
        ));
    }
    let argument = argument(text)?;
    Some(format!("it reads {argument}, but a test has no arguments unless \"args\" has some."))
}

/// A program that a script calls and that builds, or works on a whole checkout: a test has neither.
fn other_build(text: &str) -> Option<&'static str> {
    const PROGRAMS: [&str; 11] = [
        "make",
        "gmake",
        "cmake",
        "ninja",
        "meson",
        "autoreconf",
        "./configure",
        "./bootstrap",
        "./autogen.sh",
        "cargo",
        "git",
    ];
    // Only the first word of a line: elsewhere it may be any word of a text.
    let mut calls = text.lines().filter_map(|line| line.split_whitespace().next());
    calls.find_map(|word| PROGRAMS.into_iter().find(|program| word == *program))
}

/// An argument that a script reads and that has no default, as `$1`.
fn argument(text: &str) -> Option<String> {
    // Within a function, the arguments are those of the function.
    let mut is_in_function = false;
    text.lines().find_map(|line| {
        let line = line.trim_end();
        if is_in_function {
            is_in_function = line != "}";
            return None;
        }
        let is_function = line.contains("()") || line.starts_with("function ");
        if is_function {
            // On one line, it ends there.
            is_in_function = !line.ends_with('}');
            return None;
        }
        argument_of_line(line)
    })
}

/// An argument that is read outside of single quotation marks, in which programs of awk and sed have names like these.
fn argument_of_line(line: &str) -> Option<String> {
    let (mut is_single, mut is_double) = (false, false);
    let mut rest = line.char_indices();
    let mut before = ' ';
    while let Some((at, c)) = rest.next() {
        match c {
            '\\' if !is_single => drop(rest.next()),
            '\'' if !is_double => is_single = !is_single,
            '"' if !is_single => is_double = !is_double,
            '#' if !is_single && !is_double && before.is_whitespace() => return None,
            '$' if !is_single => {
                let name = line[at + 1..].strip_prefix('{').unwrap_or(&line[at + 1..]);
                let is_braced = name.len() != line[at + 1..].len();
                let digits = name.bytes().take_while(u8::is_ascii_digit).count();
                let digits = if is_braced { digits } else { digits.min(1) };
                // In braces, `-`, `+` and `=` with or without a colon say what is taken if there is none.
                let operator = name[digits..].trim_start_matches(':');
                let has_default = is_braced && operator.starts_with(['-', '+', '=']);
                if digits > 0 && &name[..digits] != "0" && !has_default {
                    return Some(format!("${}", &name[..digits]));
                }
            }
            _ => {}
        }
        before = c;
    }
    None
}

/// A path that leads out of the directory in which a test runs: outside of it, the files of the project do not exist.
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
        for (line, expected) in [
            ("x=$1", Some("$1")),
            ("echo \"${12}\"", Some("$12")),
            ("echo \"$10\"", Some("$1")),
            ("${1:?no argument}", Some("$1")),
            ("x=${1:-y} ${1-y} ${2+z}", None),
            ("awk '{print $1}' | sed \"s/'/$2/\"", Some("$2")),
            ("awk '{print $1}' \\$1 # $1", None),
            ("echo $0 $# \"$@\" $x1", None),
            ("f() {\n  echo $1\n}\ng() { echo $1; }\nf a", None),
            ("f() {\n  echo $1\n}\nf $3", Some("$3")),
        ] {
            assert_eq!(argument(line).as_deref(), expected, "{line}");
        }
        assert_eq!(other_build("set -e\n  make all\n"), Some("make"));
        assert_eq!(other_build("# make all\necho make"), None);
        assert_eq!(shell("#!/usr/bin/env bash\n"), Some("bash".into()));
        assert_eq!(shell("#!/bin/sh -e\n"), None);
    }
}
