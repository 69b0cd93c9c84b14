//! What people see when something is wrong: `diagnostics/*.md` is the specification, and this runs it.
//!
//! A file is about one theme; a heading of second level begins a case. In a case, a line that is just
//! `` `path` `` names the file whose content follows as a fenced block (`` `path` → `target` `` is a
//! symbolic link, a content that begins with `#!` makes the file executable), and a line
//! `` `$ taut words…` exits with N: `` is a call, followed by a fenced block with all that is told at the
//! levels error and warning (`--log-limit 1`), after standard output if the call is one of `describe`. All
//! files of a case are there before its first call.
//! Words are separated by blanks; single quotes keep them together. Everything else is for the reader.
//!
//! `TAUT_BLESS=1 cargo test -p taut --test diagnostics` writes what is told now; then read it, as someone
//! who has just made that mistake. `$ROOT` stands for the workspace, `$BUILD` for the build root, `$OUT`
//! for a directory beside them.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fmt::Write as _, fs, path::Path};

use taut_testkit::{Tool, Workspace};

/// The words of a call.
fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => {
                quoted = !quoted;
                word.get_or_insert_default();
            }
            ' ' if !quoted => words.extend(word.take()),
            c => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    words
}

/// What a line between blocks means.
enum Line<'l> {
    File(&'l str),
    Link(&'l str, &'l str),
    Call(&'l str),
    Text,
}

fn meaning(line: &str) -> Line<'_> {
    if let Some((call, _)) = line.strip_prefix("`$ taut ").and_then(|rest| rest.split_once("` exits with ")) {
        return Line::Call(call);
    }
    let Some(inner) = line.strip_prefix('`').and_then(|rest| rest.strip_suffix('`')) else {
        return Line::Text;
    };
    match inner.split_once("` → `") {
        Some((path, target)) => Line::Link(path, target),
        None if inner.contains('`') => Line::Text,
        None => Line::File(inner),
    }
}

/// A case, and what became of it.
struct Case {
    workspace: Workspace,
    calls: Vec<String>,
}

/// The block that begins at a line, and the line behind it.
fn block(lines: &[&str], at: usize) -> Option<(String, usize)> {
    let begin = (at..lines.len()).find(|line| !lines[*line].is_empty())?;
    if !lines[begin].starts_with("```") {
        return None;
    }
    let end = (begin + 1..lines.len()).find(|line| *lines[*line] == *"```")?;
    let content: String = lines[begin + 1..end].iter().map(|line| format!("{line}\n")).collect();
    Some((content, end + 1))
}

impl Case {
    fn new(lines: &[&str]) -> Case {
        let workspace = Workspace::new();
        let mut calls = Vec::new();
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at];
            at += 1;
            match meaning(line) {
                Line::File(path) => {
                    let (content, next) = block(lines, at).unwrap_or_else(|| panic!("a block after {line}"));
                    at = next;
                    let content = content.replace("$ROOT", &workspace.root().to_string_lossy());
                    if content.starts_with("#!") {
                        workspace.executable(path, content);
                    } else if let Some(directory) = path.strip_suffix('/') {
                        fs::create_dir_all(workspace.root().join(directory)).unwrap();
                    } else {
                        // Some of the errors are about how a file ends.
                        workspace.file(path, content.trim_end_matches('\n'));
                    }
                }
                Line::Link(path, target) => {
                    workspace.link(path, target);
                }
                Line::Call(call) => calls.push(call.to_owned()),
                Line::Text => {}
            }
        }
        Case { workspace, calls }
    }

    /// The exit code and what is told.
    fn run(&self, call: &str) -> (i32, String) {
        let workspace = &self.workspace;
        let out = workspace.beside("out").display().to_string();
        let mut words: Vec<String> = words(call).iter().map(|word| word.replace("$OUT", &out)).collect();
        if !words.first().is_some_and(|word| word.starts_with('-') || word == "frobnicate") {
            for word in ["1", "--log-limit", "--plain-log"] {
                words.insert(1, word.to_owned());
            }
        }
        let ran = workspace.run(&Tool::at(env!("CARGO_BIN_EXE_taut")), &words);
        let stdout = if words[0] == "describe" { ran.stdout } else { String::new() };
        let told = (stdout + &ran.stderr).replace(&*workspace.root().to_string_lossy(), "$ROOT");
        let told = told.replace(&*workspace.build_root().to_string_lossy(), "$BUILD").replace(&out, "$OUT");
        (ran.code, told)
    }
}

/// The document with what is told now; counts its cases.
fn now(text: &str, count: &mut usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let headings = (0..lines.len()).filter(|line| lines[*line].starts_with("## "));
    let mut begins: Vec<usize> = headings.collect();
    *count += begins.len();
    let mut out: String = lines[..begins[0]].iter().map(|line| format!("{line}\n")).collect();
    begins.push(lines.len());
    for pair in begins.windows(2) {
        let lines = &lines[pair[0]..pair[1]];
        let case = Case::new(lines);
        assert!(!case.calls.is_empty(), "{} has a call", lines[0]);
        let mut at = 0;
        while at < lines.len() {
            let line = lines[at];
            at += 1;
            match meaning(line) {
                Line::Call(call) => {
                    let (code, told) = case.run(call);
                    assert!(!told.contains("```"), "{call}");
                    let _ = write!(out, "`$ taut {call}` exits with {code}:\n\n```\n{told}```\n");
                    if let Some((_, next)) = block(lines, at) {
                        at = next;
                    }
                }
                Line::File(_) => {
                    let (_, next) = block(lines, at).expect("seen before");
                    lines[at - 1..next].iter().for_each(|line| out.push_str(&format!("{line}\n")));
                    at = next;
                }
                Line::Link(..) | Line::Text => out.push_str(&format!("{line}\n")),
            }
        }
    }
    out
}

#[test]
fn every_mistake_is_answered_as_it_is_written_down() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let bless = std::env::var_os("TAUT_BLESS").is_some();
    let only = std::env::var("TAUT_ONLY").unwrap_or_default();
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.to_string_lossy().contains(&only));
    files.sort();
    let mut count = 0;
    for path in files {
        let text = fs::read_to_string(&path).unwrap();
        let told = now(&text, &mut count);
        if bless {
            fs::write(&path, told).unwrap();
        } else {
            expect_test::expect_file![path].assert_eq(&told);
        }
    }
    assert!(!only.is_empty() || count >= 100, "{count} mistakes");
}
