//! Values share their parts: sixty lists, each with the one before it twice, are 2^60 entries as text. No message,
//! label or record has that text; a dump that would need it is an error.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::process::{Command, Stdio};

use taut_testkit::{ToolResult, Workspace};

/// A target `top` that builds `inner` in a configuration that is too long as text.
fn workspace(command: &str) -> Workspace {
    let mut bindings = vec![r#"["x0", "v"]"#.to_owned()];
    for number in 1..=60 {
        let before = format!(r#"{{"type": "var", "name": "x{}"}}"#, number - 1);
        bindings.push(format!(r#"["x{number}", [{before}, {before}]]"#));
    }
    let transition = format!(
        r#"{{"type": "let*", "bindings": [{}],
            "body": {{"type": "singleton_map", "key": "X", "value": {{"type": "var", "name": "x60"}}}}}}"#,
        bindings.join(", ")
    );
    let artifacts = r#"{"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "var": "d",
        "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "d"}, "transition": {"type": "var", "name": "t"}}}}"#;
    let rules = format!(
        r#"{{"in X": {{"target_fields": ["deps"], "config_transitions": {{"deps": [{transition}]}},
            "expression": {{"type": "let*", "bindings": [["t", {transition}], ["artifacts", {artifacts}]],
                "body": {{"type": "RESULT", "artifacts": {{"type": "var", "name": "artifacts"}},
                          "provides": {{"type": "var", "name": "t"}}}}}}}}}}"#
    );
    let targets = format!(
        r#"{{"inner": {{"type": "generic", "arguments_config": ["X"], "outs": ["o"],
                "cmds": [{{"type": "if", "cond": {{"type": "var", "name": "X"}}, "then": "{command}"}}]}},
            "top": {{"type": "in X", "deps": ["inner"]}}}}"#
    );
    let workspace = Workspace::new();
    workspace.file("RULES", rules).file("TARGETS", targets);
    workspace
}

/// Runs taut with so little memory that such a text would soon end it.
fn run(workspace: &Workspace, words: &str) -> ToolResult {
    let taut = env!("CARGO_BIN_EXE_taut");
    let root = workspace.build_root().display().to_string();
    let mut command = Command::new("sh");
    command.args(["-c", &format!("ulimit -v 3000000; exec {taut} {words} --local-build-root {root}")]);
    let output = command.current_dir(workspace.root()).stdin(Stdio::null()).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    ToolResult {
        code: output.status.code().unwrap_or(-1),
        stdout: text(&output.stdout),
        stderr: text(&output.stderr),
    }
}

#[track_caller]
fn is_short(ran: &ToolResult) {
    let length = ran.stdout.len() + ran.stderr.len();
    assert!(length < 50_000, "{length} bytes");
}

#[test]
fn a_configuration_that_is_too_long_as_text_can_be_built_and_explained() {
    let workspace = workspace("echo built > o");
    for words in [
        "build top -P o",
        "build top -P o",
        "build top -P o --no-trace",
        "rebuild top -P o",
        "build top -P o --dump-plain-graph graph",
    ] {
        let ran = run(&workspace, words).exits(0);
        is_short(&ran);
        assert_eq!(ran.stdout, "built\n", "{words}");
    }
    for words in
        ["explain top", "explain o", "what-if TARGETS top", "describe top", "analyse top --dump-actions -"]
    {
        is_short(&run(&workspace, words).exits(0));
    }
    let shown = run(&workspace, "analyse top --no-trace").exits(0);
    is_short(&shown);
    assert!(shown.stderr.contains("is longer than 1 GiB as text"), "{}", shown.stderr);
}

#[test]
fn dumps_that_would_be_too_long_are_refused() {
    let workspace = workspace("echo built > o");
    for words in
        ["build top --dump-graph graph", "analyse top --dump-targets -", "analyse top --dump-provides -"]
    {
        let ran = run(&workspace, words).exits(16);
        is_short(&ran);
        assert!(ran.stderr.contains("cannot write dumps: "), "{words}: {}", ran.stderr);
    }
}

#[test]
fn an_error_in_a_configuration_that_is_too_long_as_text_has_a_short_message() {
    let workspace = workspace("exit 3");
    for words in ["build top", "build top --keep-going"] {
        let ran = run(&workspace, words).exits(1);
        is_short(&ran);
        assert!(ran.stderr.contains("failed (exit code 3)"), "{}", ran.stderr);
    }
}
