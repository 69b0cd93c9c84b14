//! The library of rules in the binary: which repositories have it, and its rules for files.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, path::Path, process::Command};

use taut_syntax::Document;
use taut_testkit::{GitRepository, Tool, ToolResult, Workspace};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

#[track_caller]
fn install(workspace: &Workspace, target: &str, more: &[&str]) -> ToolResult {
    let out = workspace.beside("out").display().to_string();
    workspace.run(&taut(), [&["install", target, "-o", &out][..], more].concat())
}

fn out(workspace: &Workspace, name: &str) -> String {
    fs::read_to_string(workspace.beside("out").join(name)).unwrap()
}

const COPY: &str = r#"{"a": {"type": ["@", "std", "", "copy"], "from": ["a.txt"], "to": ["b.txt"]}}"#;

#[test]
fn every_workspace_has_the_rules_unless_it_is_one_of_the_reference() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", COPY).file("a.txt", "a");
    install(&workspace, "a", &[]).exits(0);
    assert_eq!(out(&workspace, "b.txt"), "a");
    let failed = workspace.run(&taut().called("just"), ["build", "a"]).exits(8);
    assert!(failed.stderr.contains("Cannot resolve repository name std"), "{}", failed.stderr);
    // What does not name them is the same under both names.
    workspace.file(
        "TARGETS",
        r#"{"a": {"type": "generic", "outs": ["o"], "cmds": ["cp a.txt o"], "deps": ["a.txt"]}}"#,
    );
    let graph = |tool: Tool| {
        workspace.run(&tool, ["analyse", "a", "--dump-graph", "g", "--dump-result", "-"]).exits(0).stdout
    };
    assert_eq!(graph(taut()), graph(taut().called("just")));
}

#[test]
fn a_workspace_can_use_the_name_for_something_else() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", COPY).file("a.txt", "a");
    workspace.file("own/RULES", r#"{"copy": {"target_fields": ["from"], "string_fields": ["to"], "expression":
        {"type": "RESULT", "artifacts": {"type": "singleton_map", "key": "own", "value": {"type": "BLOB", "data": "own"}}}}}"#);
    let root = workspace.root().display().to_string();
    workspace.file(
        "repos.json",
        format!(
            r#"{{"main": "m", "repositories": {{
        "m": {{"workspace_root": ["file", "{root}"], "bindings": {{"std": "own"}}}},
        "own": {{"workspace_root": ["file", "{root}/own"]}}}}}}"#
        ),
    );
    let built = workspace.run(&taut(), ["build", "a", "-C", "repos.json", "-P", "own"]).exits(0);
    assert_eq!(built.stdout, "own");
    // Another name for the rules of the binary.
    workspace.file("TARGETS", COPY.replace("\"std\"", "\"rules\""));
    workspace.file(
        "repos.json",
        format!(
            r#"{{"main": "m", "repositories": {{
        "m": {{"workspace_root": ["file", "{root}"], "bindings": {{"rules": "std"}}}}}}}}"#
        ),
    );
    let built = workspace.run(&taut(), ["build", "a", "-C", "repos.json", "-P", "b.txt"]).exits(0);
    assert_eq!(built.stdout, "a");
}

#[test]
fn a_content_fixed_repository_has_the_rules_if_it_says_so() {
    let workspace = Workspace::new();
    let git = GitRepository::new(workspace.beside("git"));
    let [targets, file] = [git.blob(COPY), git.blob("a")];
    let tree = git.tree(&[("100644", b"TARGETS", &targets), ("100644", b"a.txt", &file)]);
    let config = |bindings: &str| {
        let path = git.path().display();
        format!(
            r#"{{"repositories": {{"m": {{"workspace_root": ["git tree", "{tree}", "{path}"]{bindings}}}}}}}"#
        )
    };
    workspace.file("repos.json", config(r#", "bindings": {"std": "std"}"#));
    let build = || workspace.run(&taut(), ["build", "-C", "repos.json", "", "a", "-P", "b.txt"]);
    assert_eq!(build().exits(0).stdout, "a");
    workspace.file("repos.json", config(""));
    let failed = build().exits(8).stderr;
    assert!(failed.contains("\"bindings\": {\"std\": \"std\"}"), "{failed}");
}

#[test]
fn messages_name_the_rule_and_no_line_within_the_binary() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", COPY.replace(r#"["a.txt"]"#, "[]")).file("a.txt", "a");
    let failed = install(&workspace, "a", &[]).exits(8);
    for text in ["have to have one artifact in all", "in rule @std//:copy, in target :", "TARGETS:1:2"] {
        assert!(failed.stderr.contains(text), "{text} in {}", failed.stderr);
    }
    assert!(!failed.stderr.contains("built-in std/"), "{}", failed.stderr);
    workspace.file("TARGETS", COPY.replace("\"copy\"", "\"copi\""));
    let failed = install(&workspace, "a", &[]).exits(8);
    assert!(failed.stderr.contains("copy"), "{}", failed.stderr);
    let described = workspace.run(&taut(), ["describe", "--rule", "@", "std", "", "copy"]).exits(0);
    assert!(described.stdout.contains("A target that has one artifact."), "{}", described.stdout);
}

#[test]
fn a_genrule_stops_at_the_first_failure() {
    let workspace = Workspace::new();
    for (commands, code) in [
        (r#""false", "echo fine > o""#, 1),
        (r#""echo $UNSET", "echo fine > o""#, 1),
        (r#""echo $SET > o""#, 0),
    ] {
        workspace.file("TARGETS", format!(
            r#"{{"g": {{"type": ["@", "std", "", "genrule"], "outs": ["o"], "cmds": [{commands}], "env": ["SET=a  b"]}}}}"#));
        install(&workspace, "g", &[]).exits(code);
    }
    assert_eq!(out(&workspace, "o"), "a b\n");
}

const FILES: &str = r#"{
  "group": {"type": ["@", "std", "", "files"], "srcs": ["src/a.txt", "src/sub/b.txt"], "strip": ["src"], "dir": ["d"]},
  "flat": {"type": ["@", "std", "", "files"], "srcs": ["src/a.txt", "src/sub/b.txt"], "flat": ["yes"]},
  "without": {"type": ["@", "std", "", "files"], "srcs": ["group"], "exclude": ["d/sub/b.txt"]},
  "typo": {"type": ["@", "std", "", "files"], "srcs": ["group"], "exclude": ["d/sub/c.txt"]},
  "clash": {"type": ["@", "std", "", "files"], "srcs": ["src/a.txt", "src/sub/a.txt"], "flat": ["yes"]},
  "tar": {"type": ["@", "std", "", "archive"], "name": ["x-1.2.tar.gz"], "srcs": ["group", ["TREE", null, "src"]], "dir": ["x-1.2"]},
  "zip": {"type": ["@", "std", "", "archive"], "name": ["x.zip"], "srcs": ["group", "run.sh"]},
  "rar": {"type": ["@", "std", "", "archive"], "name": ["x.rar"], "srcs": ["group"]}
}"#;

fn with_files() -> Workspace {
    let workspace = Workspace::new();
    workspace
        .file("TARGETS", FILES)
        .file("src/a.txt", "a")
        .file("src/sub/b.txt", "b")
        .file("src/sub/a.txt", "other");
    workspace.executable("run.sh", "#!/bin/sh\n");
    workspace
}

#[test]
fn groups_have_files_at_other_paths() {
    let workspace = with_files();
    install(&workspace, "group", &[]).exits(0);
    assert_eq!([out(&workspace, "d/a.txt"), out(&workspace, "d/sub/b.txt")], ["a", "b"]);
    install(&workspace, "flat", &[]).exits(0);
    assert_eq!([out(&workspace, "a.txt"), out(&workspace, "b.txt")], ["a", "b"]);
    let built = workspace.run(&taut(), ["build", "without", "--dump-artifacts", "-"]).exits(0);
    assert!(built.stdout.contains("d/a.txt") && !built.stdout.contains("b.txt"), "{}", built.stdout);
    let failed = install(&workspace, "typo", &[]).exits(8);
    assert!(failed.stderr.contains("not among the files: d/sub/c.txt"), "{}", failed.stderr);
    let failed = install(&workspace, "clash", &[]).exits(8);
    assert!(failed.stderr.contains("two files of the group have the same path"), "{}", failed.stderr);
}

#[test]
fn archives_depend_on_names_and_contents_only() {
    let (one, other) = (with_files(), with_files());
    let read = |workspace: &Workspace, name: &str| fs::read(workspace.beside("out").join(name)).unwrap();
    for workspace in [&one, &other] {
        install(workspace, "tar", &[]).exits(0);
    }
    assert_eq!(read(&one, "x-1.2.tar.gz"), read(&other, "x-1.2.tar.gz"));
    let listed = Command::new("tar").arg("-tf").arg(one.beside("out/x-1.2.tar.gz")).output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&listed.stdout),
        "x-1.2/d/a.txt\nx-1.2/d/sub/b.txt\nx-1.2/src/\nx-1.2/src/a.txt\nx-1.2/src/sub/\nx-1.2/src/sub/a.txt\nx-1.2/src/sub/b.txt\n"
    );
    let failed = install(&one, "rar", &[]).exits(8);
    assert!(
        failed.stderr.contains("the name of an archive ends in one of .tar, .tar.gz"),
        "{}",
        failed.stderr
    );
    let Some(python) = python() else { return };
    for workspace in [&one, &other] {
        install(workspace, "zip", &["-D", &python]).exits(0);
    }
    assert_eq!(read(&one, "x.zip"), read(&other, "x.zip"));
}

/// The definition of PYTHON as an interpreter of this machine, if it has one.
fn python() -> Option<String> {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| format!(r#"{{"PYTHON": "{}"}}"#, path.trim_end()))
}

#[test]
fn the_rules_are_strict_json_so_that_other_tools_can_read_them() {
    let mut pending = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../rules")];
    let mut count = 0;
    while let Some(path) = pending.pop() {
        if path.is_dir() {
            pending.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else if ["TARGETS", "RULES", "EXPRESSIONS"].iter().any(|name| path.ends_with(name)) {
            count += 1;
            let label = path.to_string_lossy().into_owned();
            let parsed = Document::parse(label, fs::read(path).unwrap());
            assert!(parsed.is_ok(), "{}", parsed.unwrap_err());
        }
    }
    assert!(count > 5, "{count} files");
}
