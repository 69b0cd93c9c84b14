//! Cases as data: a project and calls of the tool in it, with what they answer.
//!
//! Every JSON file in `cases/` is one case: `files` (path to content; a list of lines is an executable file), `links`
//! (path to target) and `calls`. Each call has `words` (the subcommand first) and what is expected: `exit`, `stdout`
//! (all of it, if given), `stderr` (required lines, without their indentation), `says` (required phrases), `messages`
//! (all of them, with `$W` for the workspace). `$OUT` is a directory beside the workspace, the build root is given by
//! the runner, and so is `--plain-log`.
//!
//! The expected values are the reference's (just 1.6.5). `TAUT_CASES_TOOL=/path/to/just cargo test -p
//! taut --test cases` shows that they still are.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::path::{Path, PathBuf};

use taut_syntax::json::{Document, Kind, Node};
use taut_testkit::{Tool, Workspace, listing};

fn texts(node: Option<Node<'_>>) -> Vec<String> {
    let items = node.into_iter().flat_map(|node| node.items().collect::<Vec<_>>());
    items.map(|item| item.as_str().expect("a string").to_owned()).collect()
}

/// Runs one case; the answer is what differs.
fn differences(tool: &Tool, case: &Path) -> Vec<String> {
    let document = Document::parse(case.to_string_lossy(), std::fs::read(case).unwrap()).unwrap();
    let root = document.root();
    let workspace = Workspace::new();
    for (path, content) in root.get("files").into_iter().flat_map(|files| files.entries()) {
        match content.kind() {
            Kind::List => workspace.executable(path, texts(Some(content)).join("\n")),
            Kind::Object => workspace.file(path, content.source()),
            _ => workspace.file(path, content.as_str().expect("a content")),
        };
    }
    for (path, target) in root.get("links").into_iter().flat_map(|links| links.entries()) {
        workspace.link(path, target.as_str().expect("a target"));
    }
    let out = workspace.beside("out").display().to_string();
    let top = workspace.root().display().to_string();
    let mut wrong = Vec::new();
    for (number, call) in root.get("calls").expect("calls").items().enumerate() {
        let mut words: Vec<String> =
            texts(call.get("words")).iter().map(|word| word.replace("$OUT", &out)).collect();
        if words.len() > 1 || words[0] != "version" {
            words.insert(1, "--plain-log".into());
        }
        let ran = workspace.run(tool, &words);
        let mut differs = |what: &str, expected: &str, is: &str| {
            let name = case.file_name().unwrap().display();
            wrong.push(format!("{name}, call {number}: {what}\n--- expected\n{expected}\n--- is\n{is}\n"));
        };
        let exit = call.get("exit").and_then(Node::as_number).expect("an exit code") as i32;
        if ran.code != exit {
            differs("exit code", &exit.to_string(), &format!("{}\n{}", ran.code, ran.stderr));
        }
        let stdout = call.get("stdout").and_then(Node::as_str).map(|text| text.replace("$OUT", &out));
        if let Some(stdout) = stdout.filter(|stdout| *stdout != ran.stdout) {
            differs("standard output", &stdout, &ran.stdout);
        }
        let messages = call.get("messages").and_then(Node::as_str);
        let messages = messages.map(|text| text.replace("$OUT", &out).replace("$W", &top));
        if let Some(messages) = messages.filter(|messages| *messages != ran.stderr) {
            differs("standard error", &messages, &ran.stderr);
        }
        for line in texts(call.get("stderr")) {
            let line = line.replace("$OUT", &out);
            if !ran.stderr.lines().any(|is| is.trim() == line) {
                differs("a line of standard error", &line, &ran.stderr);
            }
        }
        for phrase in texts(call.get("says")) {
            if !ran.stderr.contains(&phrase) {
                differs("a phrase of standard error", &phrase, &ran.stderr);
            }
        }
        if let Some(installed) = call.get("installed") {
            let found = listing(Path::new(&out)).unwrap_or_default();
            let expected: Vec<(String, String)> = installed
                .entries()
                .map(|(k, v)| (k.to_owned(), v.as_str().expect("text").to_owned()))
                .collect();
            let found: Vec<(String, String)> = found.into_iter().collect();
            if found != expected {
                differs("what is installed", &format!("{expected:#?}"), &format!("{found:#?}"));
            }
        }
    }
    wrong
}

fn cases() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> =
        std::fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    cases
}

#[test]
fn every_case_is_answered_as_the_reference_answers_it() {
    let other = std::env::var_os("TAUT_CASES_TOOL");
    let all = cases();
    assert!(!all.is_empty(), "there are cases");
    let tool = other.map_or_else(|| Tool::at(env!("CARGO_BIN_EXE_taut")).called("just"), Tool::at);
    let wrong: Vec<String> = all.iter().flat_map(|case| differences(&tool, case)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
