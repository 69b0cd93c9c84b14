//! What is told of an action that fails other than by its exit code: the target, the command, and the reason that the
//! system or the action's directory gives.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::os::unix::fs::symlink;

use taut_testkit::{Ran, Tool, Workspace};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

fn workspace(targets: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", targets).file("a", "a file\n");
    workspace
}

#[track_caller]
fn says(ran: &Ran, phrases: &[&str]) {
    for phrase in phrases {
        assert!(ran.stderr.contains(phrase), "{phrase:?} is not in:\n{}", ran.stderr);
    }
}

/// Fails to build a target, and says all of this.
#[track_caller]
fn fails(workspace: &Workspace, words: &[&str], phrases: &[&str]) {
    let ran = workspace.run(&taut(), [&["build"], words].concat()).exits(1);
    says(&ran, phrases);
}

#[test]
fn a_path_below_an_input_that_is_a_file_is_told_with_both_paths_and_the_action() {
    let workspace = workspace(
        r#"{"out": {"type": "generic", "outs": ["a/b"], "deps": ["a"], "cmds": ["echo 1 > a/b"]},
            "dir": {"type": "generic", "out_dirs": ["a"], "deps": ["a"], "cmds": ["echo 1 > a/b"]},
            "cwd": {"type": "generic", "outs": ["o"], "cwd": "a/w", "deps": ["a"], "cmds": ["pwd > ../o"]}}"#,
    );
    let told = "action was not run: its inputs do not fit into one directory";
    for (target, why) in [
        ("out", "output a/b lies below a, which is an input that is a file"),
        ("dir", "output directory a is an input that is a file"),
        ("cwd", "working directory a/w lies below a, which is an input that is a file"),
    ] {
        let origin = format!(r#"- [["@","","","{target}"],{{}}]#0"#);
        fails(
            &workspace,
            &[target],
            &[told, why, "Failed to execute command [\"sh\",", &origin, "To run it by hand:"],
        );
    }
}

#[test]
fn what_the_system_refuses_counts_as_a_failed_action() {
    let workspace = workspace(
        r#"{"x": {"type": "generic", "outs": ["a/b"], "deps": ["a"], "cmds": ["echo 1 > a/b"]},
            "y": {"type": "generic", "outs": ["y"], "cmds": ["touch y"]},
            "all": {"type": "install", "files": {"1": "x", "2": "y"}}}"#,
    );
    let summary = "ERROR: 1 failed actions; not built because of that:\n         1\n";
    fails(&workspace, &["all", "--keep-going"], &[summary]);
    let again = workspace.run(&taut(), ["build", "y"]).exits(0);
    says(&again, &["Processed 1 actions, 1 cache hits."]);
}

#[test]
fn a_command_that_is_too_long_is_told_so_and_shown_by_its_ends() {
    let long = "z".repeat(1 << 20);
    let workspace = workspace(&format!(
        r#"{{"word": {{"type": "generic", "outs": ["o"], "cmds": ["echo > o; : {long}"]}},
            "variable": {{"type": "generic", "outs": ["o"], "env": {{"type": "singleton_map", "key": "V", "value": "{long}"}},
                          "cmds": ["echo > o"]}}}}"#
    ));
    let started = "action could not be started: Argument list too long";
    fails(&workspace, &["word"], &[started, "a word of the command has 1048589 bytes; 131071 are possible"]);
    fails(&workspace, &["variable"], &[started, "variable V of the environment has 1048578 bytes"]);
    let ran = workspace.run(&taut(), ["build", "word"]).exits(1);
    assert!(ran.stderr.len() < 20_000, "{} bytes", ran.stderr.len());
    says(&ran, &["[\"sh\",\"-c\",\"echo > o; : zzz", "bytes left out …]zzz"]);
}

#[test]
fn under_the_name_of_the_reference_its_lines_stay() {
    let long = "z".repeat(200_000);
    let workspace = workspace(&format!(
        r#"{{"word": {{"type": "generic", "outs": ["o"], "cmds": ["echo > o; : {long}"]}},
            "missing": {{"type": "generic", "outs": ["o"], "cmds": ["mkdir o"]}}}}"#
    ));
    symlink(env!("CARGO_BIN_EXE_taut"), workspace.beside("just")).unwrap();
    let just = Tool::at(workspace.beside("just"));
    let ran = workspace.run(&just, ["build", "word"]).exits(1);
    says(&ran, &["action returned non-zero exit code 1\n", &long]);
    let ran = workspace.run(&just, ["build", "missing"]).exits(1);
    says(&ran, &["action executed with missing outputs.\n      - o\n"]);
}

#[test]
fn what_is_missing_is_told_with_its_reason() {
    let workspace = workspace(r#"{"launcher": {"type": "generic", "outs": ["o"], "cmds": ["echo > o"]}}"#);
    fails(
        &workspace,
        &["launcher", "-L", r#"["nosuch"]"#],
        &["action could not be started: No such file or directory", "there is no program nosuch"],
    );
    let script = workspace.beside("s").display().to_string();
    workspace.executable("../s", "#!/nosuch/interpreter\necho > o\n");
    let targets =
        format!(r#"{{"o": {{"type": "generic", "outs": ["o"], "sh -c": ["{script}"], "cmds": []}}}}"#);
    workspace.file("TARGETS", &targets);
    fails(
        &workspace,
        &["o"],
        &["action could not be started: No such file", "s asks for the interpreter /nosuch/interpreter"],
    );
}

#[test]
fn a_script_without_a_first_line_that_names_an_interpreter_is_run_by_the_shell() {
    let workspace = Workspace::new();
    workspace.executable("../s", "echo made > o\n");
    let script = workspace.beside("s").display().to_string();
    let targets =
        format!(r#"{{"o": {{"type": "generic", "outs": ["o"], "sh -c": ["{script}"], "cmds": []}}}}"#);
    workspace.file("TARGETS", &targets);
    let ran = workspace.run(&taut(), ["build", "o", "-P", "o"]).exits(0);
    assert_eq!(ran.stdout, "made\n");
}

#[test]
fn what_was_made_in_place_of_an_output_is_told() {
    let workspace = workspace(
        r#"{"o": {"type": "generic", "outs": ["o"], "cmds": ["mkdir o"]},
            "d": {"type": "generic", "out_dirs": ["d"], "cmds": ["rmdir d; touch d"]},
            "c": {"type": "generic", "outs": ["x/Out.txt"], "cmds": ["touch x/out.txt x/other"]}}"#,
    );
    let missing = "action executed with missing outputs.\n      - ";
    fails(&workspace, &["o"], &[&format!("{missing}o is a directory (out_dirs is for those)\n")]);
    fails(&workspace, &["d"], &[&format!("{missing}d is a file (outs is for those)\n")]);
    fails(&workspace, &["c"], &[&format!("{missing}x/Out.txt; there is x/out.txt\n")]);
}

#[test]
fn of_a_large_output_both_ends_are_shown_and_the_command_shows_the_rest() {
    let workspace =
        workspace(r#"{"o": {"type": "generic", "outs": ["o"], "cmds": ["seq 100000; touch o"]}}"#);
    for _ in 0..2 {
        let ran = workspace.run(&taut(), ["build", "o"]).exits(0);
        assert!(ran.stderr.len() < 400_000, "{} bytes", ran.stderr.len());
        says(&ran, &["Stdout of command", "       1\n       2\n", "       100000\n"]);
        let (_, command) = ran.stderr.split_once("bytes left out; all of it: taut install-cas ").unwrap();
        let (words, _) = command.split_once(" …]").unwrap();
        let words: Vec<&str> =
            words.split(' ').filter(|word| !word.contains('/') && !word.starts_with('-')).collect();
        let all = workspace.run(&taut(), [&["install-cas"], &words[..]].concat()).exits(0);
        assert!(all.stdout.ends_with("\n99999\n100000\n") && all.stdout.lines().count() == 100_000);
    }
}

#[test]
fn of_an_action_that_may_fail_it_is_told_too_that_it_was_not_started() {
    let workspace = Workspace::new();
    let long = "z".repeat(200_000);
    workspace.file(
        "RULES",
        format!(
            r#"{{"r": {{"tainted": ["test"], "expression": {{"type": "RESULT", "artifacts": {{"type": "ACTION", "outs": ["o"],
                "inputs": {{"type": "empty_map"}}, "cmd": ["sh", "-c", ": {long}"], "may_fail": ["test"],
                "fail_message": "may fail"}}}}}}}}"#
        ),
    );
    workspace.file("TARGETS", r#"{"t": {"type": "r", "tainted": ["test"]}}"#);
    let started = "may fail (exit code 1)\n     action could not be started: Argument list too long";
    fails(&workspace, &["t"], &[started, "Moreover action executed with missing outputs.\n      - o\n"]);
}
