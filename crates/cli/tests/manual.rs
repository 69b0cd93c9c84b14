//! The projects in `docs/language.md`, built.
//!
//! Within one section, a block with `file=PATH` is a file of its project, and a block `console` holds calls
//! of the tool, each followed by what it writes to standard output, and by `! exit N` if it fails.
//! `TAUT_CASES_TOOL=/path/to/just` asks the reference instead.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::path::Path;

use taut_testkit::{Tool, Workspace};

/// The words of a command line, in which a word can be quoted.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("one").push(c),
        }
    }
    words
}

/// A call, what it prints, how it ends.
struct Call {
    words: Vec<String>,
    stdout: String,
    exit: i32,
}

fn calls(block: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = Vec::new();
    for line in block.lines() {
        if let Some(line) = line.strip_prefix("$ taut ") {
            calls.push(Call { words: words(line), stdout: String::new(), exit: 0 });
            continue;
        }
        let call = calls.last_mut().expect("a block begins with a call");
        match line.strip_prefix("! exit ") {
            Some(code) => call.exit = code.parse().expect("an exit code"),
            None => {
                call.stdout.push_str(line);
                call.stdout.push('\n');
            }
        }
    }
    calls
}

/// The blocks of a section: what follows the fence, and the content.
fn blocks(section: &str) -> Vec<(&str, &str)> {
    let parts: Vec<&str> = section.split("```").collect();
    let fenced = parts.iter().skip(1).step_by(2);
    fenced.map(|block| block.split_once('\n').unwrap_or((block, ""))).collect()
}

#[test]
fn the_projects_of_the_manual_do_what_it_says() {
    let manual = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/language.md");
    let manual = std::fs::read_to_string(manual).expect("the manual");
    let other = std::env::var_os("TAUT_CASES_TOOL");
    let tool = Tool::at(other.unwrap_or_else(|| env!("CARGO_BIN_EXE_taut").into()));
    let (mut wrong, mut ran) = (String::new(), 0);
    // A quasi-quotation's mark, in prose, would look like a fence only if tripled.
    for section in manual.split("\n#") {
        let workspace = Workspace::new();
        for (info, content) in blocks(section) {
            if let Some((_, path)) = info.split_once(" file=") {
                workspace.file(path, content);
            }
            let calls = if info == "console" { calls(content) } else { Vec::new() };
            for mut call in calls {
                call.words.insert(1, "--plain-log".into());
                let got = workspace.run(&tool, &call.words);
                // A file need not end with a newline; a console shows it on lines.
                if got.code != call.exit || got.stdout.trim_end() != call.stdout.trim_end() {
                    let title = section.lines().next().unwrap_or_default();
                    wrong.push_str(&format!(
                        "{title}: {:?}\n  expected {} {:?}\n  got      {} {:?}\n{}\n",
                        call.words, call.exit, call.stdout, got.code, got.stdout, got.stderr
                    ));
                }
                ran += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "\n{wrong}");
    assert!(ran > 25, "the manual has only {ran} calls");
}
