//! The pages of `docs/` do what they say.
//!
//! In a page that is listed here, a fenced block whose info string has a second word is a file of that name,
//! and a block marked `console` is a dialogue: lines that begin with `$ ` are commands for a shell, and what
//! follows up to the next command are lines that its output has, in this order (white space at both ends apart;
//! `…` stands for any text). A heading of the second level begins a new, empty workspace.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, path::Path, process::Command};

use taut_testkit::Workspace;

const PAGES: [&str; 1] = ["equality.md"];

/// Runs a command; gives all that it says.
fn run(workspace: &Workspace, command: &str) -> String {
    let directory = Path::new(env!("CARGO_BIN_EXE_taut")).parent().expect("the binary lies somewhere");
    let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("({command}) 2>&1")).current_dir(workspace.root());
    shell.env("PATH", path).env("HOME", workspace.build_root());
    String::from_utf8_lossy(&shell.output().unwrap().stdout).into_owned()
}

/// Whether a line is as expected; `…` stands for any text.
fn matches(line: &str, expected: &str) -> bool {
    let mut parts = expected.trim().split('…');
    let Some(mut rest) = line.trim().strip_prefix(parts.next().unwrap_or_default()) else { return false };
    let mut last = None;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        last = Some(part);
    }
    rest.is_empty() || last == Some("")
}

/// What a dialogue should have, and has not.
fn dialogue(workspace: &Workspace, block: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    for part in block.split("$ ").skip(1) {
        let mut lines = part.lines();
        let command = lines.next().unwrap_or_default();
        let output = run(workspace, command);
        let mut said = output.lines();
        for expected in lines.filter(|line| !line.trim().is_empty()) {
            if !said.any(|line| matches(line, expected)) {
                wrong
                    .push(format!("$ {command}\nhas no line (or not there)\n{expected}\nbut says\n{output}"));
                break;
            }
        }
    }
    wrong
}

#[test]
fn every_page_says_what_happens() {
    for page in PAGES {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(page);
        let text = fs::read_to_string(&path).unwrap();
        let mut commands = 0;
        for section in text.split("\n## ") {
            let workspace = Workspace::new();
            let mut wrong = Vec::new();
            for block in section.split("```").skip(1).step_by(2) {
                let (info, content) =
                    block.split_once('\n').expect("a block has an info string or an empty one");
                match info.split_once(' ') {
                    Some((_, file)) => {
                        workspace.file(file, content);
                    }
                    None if info == "console" => {
                        commands += content.matches("$ ").count();
                        wrong.extend(dialogue(&workspace, content));
                    }
                    None => {}
                }
            }
            let heading = section.lines().next().unwrap_or_default();
            assert!(wrong.is_empty(), "{page}, {heading}:\n{}", wrong.join("\n"));
        }
        assert!(commands > 0, "{page} shows something");
    }
}

#[test]
fn an_ellipsis_stands_for_any_text() {
    for (line, expected, does) in [
        ("  a b", "a b", true),
        ("a b c", "a b", false),
        ("a b c", "a…", true),
        ("a b c", "…c", true),
        ("a b c d", "a…c", false),
        ("a b c", "a…b…c", true),
        ("x b c", "a…", false),
    ] {
        assert_eq!(matches(line, expected), does, "{line:?} and {expected:?}");
    }
}
