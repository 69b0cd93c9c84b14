//! Messages about actions that fail other than by their exit code, or have no result since something else failed:
//! target, command, and the reason that the system or the directory of the action gives.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, symlink},
        net::UnixListener,
    },
};

use taut_testkit::{Tool, ToolResult, Workspace, processed};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

fn workspace(targets: &str) -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", targets).file("a", "a file\n");
    workspace
}

#[track_caller]
fn says(ran: &ToolResult, phrases: &[&str]) {
    for phrase in phrases {
        assert!(ran.stderr.contains(phrase), "{phrase:?} is not in:\n{}", ran.stderr);
    }
}

/// Asserts that a build fails with these phrases in its messages.
#[track_caller]
fn fails(workspace: &Workspace, words: &[&str], phrases: &[&str]) {
    let ran = workspace.run(&taut(), [&["build"], words].concat()).exits(1);
    says(&ran, phrases);
}

#[test]
fn an_output_below_an_input_that_is_a_file_is_reported_with_both_paths_and_the_action() {
    let workspace = workspace(
        r#"{"out": {"type": "generic", "outs": ["a/b"], "deps": ["a"], "cmds": ["echo 1 > a/b"]},
            "dir": {"type": "generic", "out_dirs": ["a"], "deps": ["a"], "cmds": ["echo 1 > a/b"]},
            "cwd": {"type": "generic", "outs": ["o"], "cwd": "a/w", "deps": ["a"], "cmds": ["pwd > ../o"]}}"#,
    );
    let not_run = "was not run: its inputs do not fit into one directory";
    for (target, why) in [
        ("out", "output a/b lies below a, which is an input that is a file"),
        ("dir", "output directory a is an input that is a file"),
        ("cwd", "working directory a/w lies below a, which is an input that is a file"),
    ] {
        let origin = format!(": :{target}: action for ");
        fails(&workspace, &[target], &["error: TARGETS:", not_run, why, &origin, "  reproduce: "]);
    }
}

#[test]
fn with_one_job_no_action_starts_after_the_one_that_failed() {
    let names = ["a", "b", "c", "d", "e", "f"];
    let target = |name: &&str| {
        format!(r#""t_{name}": {{"type": "generic", "outs": ["{name}"], "cmds": ["echo {name}; exit 1"]}}"#)
    };
    let workspace = workspace(&format!("{{{}}}", names.iter().map(target).collect::<Vec<_>>().join(", ")));
    let build = |more: &[&str]| {
        let targets = names.map(|name| format!("t_{name}"));
        let words =
            ["build", "-J", "1"].iter().chain(more).copied().chain(targets.iter().map(String::as_str));
        let ran = workspace.run(&taut(), words).exits(1);
        (ran.stderr.matches(" failed (exit code 1)").count(), ran.stderr)
    };
    for _ in 0..5 {
        let (failures, messages) = build(&[]);
        assert!(failures == 1 && messages.contains("not started: "), "{messages}");
    }
    let (failures, messages) = build(&["--keep-going"]);
    assert_eq!(failures, names.len(), "{messages}");
}

#[test]
fn an_action_that_fills_the_disk_is_reported_with_a_hint() {
    let workspace =
        workspace(r#"{"t": {"type": "generic", "outs": ["o"], "cmds": ["head -c 30000000 /dev/zero > o"]}}"#);
    let (disk, tool) = (workspace.beside("disk"), taut());
    fs::create_dir(&disk).unwrap();
    let in_namespace = |script: &str| {
        let script = format!("mount -t tmpfs -o size=8m none {} && {script}", disk.display());
        let mut command = std::process::Command::new("unshare");
        command.args(["-Urm", "sh", "-c", &script, "sh"]);
        command
    };
    // Where the system has no namespaces for users, nothing can be mounted.
    if !in_namespace("true").output().is_ok_and(|ran| ran.status.success()) {
        return;
    }
    let mut build = in_namespace("exec \"$@\"");
    build.arg(tool.path()).args(["build", "t", "--local-build-root"]).arg(disk.join("root"));
    let ran = build.current_dir(workspace.root()).output().unwrap();
    let stderr = String::from_utf8_lossy(&ran.stderr);
    let hint = format!("help: the disk with the build root {}/root is full (", disk.display());
    assert!(stderr.contains("building o failed (exit code 1)") && stderr.contains(&hint), "{stderr}");
}

#[test]
fn an_action_whose_inputs_cannot_be_staged_counts_as_failed() {
    let workspace = workspace(
        r#"{"x": {"type": "generic", "outs": ["a/b"], "deps": ["a"], "cmds": ["echo 1 > a/b"]},
            "y": {"type": "generic", "outs": ["y"], "cmds": ["touch y"]},
            "all": {"type": "install", "files": {"1": "x", "2": "y"}}}"#,
    );
    let summary = "1 action failed: :x (a/b); 1 action run\n";
    fails(&workspace, &["all", "--keep-going"], &[summary]);
    let again = workspace.run(&taut(), ["build", "y"]).exits(0);
    assert_eq!(processed(&again.stderr), Some((1, 1)));
}

#[test]
fn a_command_that_is_too_long_is_reported_with_its_length_and_shown_by_both_ends() {
    let long = "z".repeat(1 << 20);
    let workspace = workspace(&format!(
        r#"{{"word": {{"type": "generic", "outs": ["o"], "cmds": ["echo > o; : {long}"]}},
            "variable": {{"type": "generic", "outs": ["o"], "env": {{"type": "singleton_map", "key": "V", "value": "{long}"}},
                          "cmds": ["echo > o"]}}}}"#
    ));
    let started = "the command could not be started: Argument list too long";
    fails(&workspace, &["word"], &[started, "a word of the command has 1048589 bytes; 131071 are possible"]);
    fails(&workspace, &["variable"], &[started, "variable V of the environment has 1048578 bytes"]);
    let ran = workspace.run(&taut(), ["build", "word"]).exits(1);
    assert!(ran.stderr.len() < 20_000, "{} bytes", ran.stderr.len());
    says(&ran, &["\n  echo > o; : zzz", "zzz…zzz"]);
}

#[test]
fn under_the_name_of_the_reference_its_lines_are_unchanged() {
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
    says(
        &ran,
        &[
            "action executed with missing outputs.\n     Action outputs should be the following artifacts:\n       - file: o\n",
        ],
    );
}

/// The logger of an action has another name when it is run again.
#[test]
fn under_the_name_of_the_reference_a_rebuild_names_itself() {
    let workspace = workspace(
        r#"{"says": {"type": "generic", "outs": ["o"], "cmds": ["echo > o; echo printed"]},
            "fails": {"type": "generic", "outs": ["o"], "cmds": ["echo > o; exit 3"]}}"#,
    );
    symlink(env!("CARGO_BIN_EXE_taut"), workspace.beside("just")).unwrap();
    let just = Tool::at(workspace.beside("just"));
    for (command, name) in [("build", "action"), ("rebuild", "rebuild")] {
        let ran = workspace.run(&just, [command, "--plain-log", "says"]).exits(0);
        says(&ran, &[&format!("INFO ({name}:")]);
        let ran = workspace.run(&just, [command, "--plain-log", "fails"]).exits(1);
        says(&ran, &[&format!("ERROR ({name}:"), "action returned non-zero exit code 3\n"]);
    }
}

#[test]
fn a_missing_program_or_interpreter_is_named() {
    let workspace = workspace(r#"{"launcher": {"type": "generic", "outs": ["o"], "cmds": ["echo > o"]}}"#);
    fails(
        &workspace,
        &["launcher", "-L", r#"["nosuch"]"#],
        &["the command could not be started: No such file or directory", "there is no program nosuch"],
    );
    let script = workspace.beside("s").display().to_string();
    workspace.executable("../s", "#!/nosuch/interpreter\necho > o\n");
    let targets =
        format!(r#"{{"o": {{"type": "generic", "outs": ["o"], "sh -c": ["{script}"], "cmds": []}}}}"#);
    workspace.file("TARGETS", &targets);
    fails(
        &workspace,
        &["o"],
        &["the command could not be started: No such file", "s asks for the interpreter /nosuch/interpreter"],
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
fn for_a_missing_output_what_is_there_instead_is_shown() {
    let workspace = workspace(
        r#"{"o": {"type": "generic", "outs": ["o"], "cmds": ["mkdir o"]},
            "d": {"type": "generic", "out_dirs": ["d"], "cmds": ["rmdir d; touch d"]},
            "c": {"type": "generic", "outs": ["x/Out.txt"], "cmds": ["touch x/out.txt x/other"]}}"#,
    );
    let missing = "the command succeeded, but did not create ";
    fails(&workspace, &["o"], &[missing, "\n  missing: o is a directory (out_dirs is for those)\n"]);
    fails(&workspace, &["d"], &[missing, "\n  missing: d is a file (outs is for those)\n"]);
    fails(&workspace, &["c"], &[missing, "\n  missing: x/Out.txt; there is x/out.txt\n"]);
}

#[test]
fn of_a_large_output_both_ends_are_shown_and_the_command_shows_the_rest() {
    let workspace =
        workspace(r#"{"o": {"type": "generic", "outs": ["o"], "cmds": ["seq 100000; touch o"]}}"#);
    for more in ["--keep-going", "--show-cached-output"] {
        let ran = workspace.run(&taut(), ["build", "o", more]).exits(0);
        assert!(ran.stderr.len() < 400_000, "{} bytes", ran.stderr.len());
        says(&ran, &[":o: output of building o:\n", "  1\n  2\n", "  100000\n"]);
        let (_, command) = ran.stderr.split_once(" lines left out; -v shows all, and so does: ").unwrap();
        let (command, _) = command.split_once(" …]").unwrap();
        let all = Tool::at("/bin/sh").run(&workspace.root(), ["-c", command]).exits(0);
        assert!(all.stdout.ends_with("\n99999\n100000\n") && all.stdout.lines().count() == 100_000);
    }
}

#[test]
fn an_action_that_may_fail_and_was_not_started_is_reported_with_the_reason() {
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
    let started = "the command could not be started: Argument list too long";
    fails(&workspace, &["t"], &[": :t: may fail (exit code 1)\n", started, "\n  missing: o\n"]);
}

/// A workspace with a graph of one action for each source, and that of the artifacts of these actions.
fn graph(sources: &[&str]) -> (Workspace, String) {
    let workspace = Workspace::new();
    let (mut actions, mut artifacts) = (Vec::new(), Vec::new());
    for (number, path) in sources.iter().enumerate() {
        actions.push(format!(
            r#""{number}": {{"command": ["cp", "in", "o{number}"], "output": ["o{number}"],
                "input": {{"in": {{"type": "LOCAL", "data": {{"path": "{path}", "repository": ""}}}}}},
                "origins": [{{"target": ["@", "", "m", "t{number}"], "subtask": 0, "config": {{}}}}]}}"#
        ));
        artifacts.push(format!(
            r#""p{number}": {{"type": "ACTION", "data": {{"id": "{number}", "path": "o{number}"}}}}"#
        ));
    }
    workspace.file("g", format!(r#"{{"actions": {{{}}}, "blobs": [], "trees": {{}}}}"#, actions.join(",\n")));
    (workspace, artifacts.join(", "))
}

fn traverse(tool: &Tool, workspace: &Workspace, artifacts: &str, more: &[&str]) -> ToolResult {
    let out = workspace.beside("out").display().to_string();
    let artifacts = format!("{{{artifacts}}}");
    let words = ["traverse", "-g", "g", "-a", &artifacts, "-o", &out];
    workspace.run(tool, [&words, more].concat()).exits(1)
}

#[test]
fn a_source_that_cannot_be_used_is_reported_with_target_output_and_command() {
    for (source, why) in [
        ("none", "no source file \"none\" in repository \"\"".to_owned()),
        ("socket", "socket is neither a file nor a link".to_owned()),
        ("loop/x", "loop/x cannot be read: cannot open ".to_owned()),
    ] {
        let (workspace, artifacts) = graph(&[source]);
        let _socket = UnixListener::bind(workspace.root().join("socket")).unwrap();
        symlink("loop", workspace.root().join("loop")).unwrap();
        let ran = traverse(&taut(), &workspace, &artifacts, &["--keep-going"]);
        says(&ran, &["error: ", &why, "\n  needed by m:t0 to build o0\n  cp in o0\n"]);
    }
}

#[test]
fn a_cause_that_affects_many_actions_is_reported_once() {
    let (workspace, artifacts) = graph(&["none"; 12]);
    let more = r#"{"type": "LOCAL", "data": {"path": "none", "repository": ""}}"#;
    let artifacts = format!(r#"{artifacts}, "q": {more}, "r": {more}"#);
    let ran = traverse(&taut(), &workspace, &artifacts, &["--keep-going"]);
    says(&ran, &["needed by m:t0 to build o0, and by 11 more actions\n"]);
    says(
        &ran,
        &[
            "error: build of graph g failed after ",
            ": 1 error; not built: m:t1, m:t10, m:t11, m:t2, m:t3 and 8 more\n",
        ],
    );
    assert_eq!(ran.stderr.matches("no source file").count(), 1, "{}", ran.stderr);
}

#[test]
fn of_many_causes_ten_are_reported() {
    let sources: Vec<String> = (0..14).map(|number| format!("none{number}")).collect();
    let (workspace, artifacts) = graph(&sources.iter().map(String::as_str).collect::<Vec<_>>());
    let ran = traverse(&taut(), &workspace, &artifacts, &["--keep-going"]);
    assert_eq!(ran.stderr.matches("no source file").count(), 10, "{}", ran.stderr);
    says(&ran, &["error: 4 more errors like these\n"]);
}

#[test]
fn under_the_name_of_the_reference_a_missing_source_is_reported_alone() {
    let (workspace, artifacts) = graph(&["none"]);
    symlink(env!("CARGO_BIN_EXE_taut"), workspace.beside("just")).unwrap();
    let ran = traverse(&Tool::at(workspace.beside("just")), &workspace, &artifacts, &[]);
    let lines = "ERROR: no source file \"none\" in repository \"\"\nERROR: Build failed.";
    says(&ran, &[lines]);
}

#[test]
fn an_undefined_object_is_reported_with_the_path_it_is_needed_for() {
    let (workspace, _) = graph(&[]);
    let object = r#"{"type": "KNOWN", "data": {"id": "f244228aff57ef96cb88087c0cec7c526bcc352d", "size": 6, "file_type": "f"}}"#;
    let ran = traverse(&taut(), &workspace, &format!(r#""p": {object}"#), &["--keep-going"]);
    let why = "object [f244228aff57ef96cb88087c0cec7c526bcc352d:6:f] is neither defined nor in the store\n";
    says(&ran, &[why, "  needed for p of graph g\n"]);
}

#[test]
fn a_store_that_cannot_be_written_is_reported_once_with_the_action_that_needed_it() {
    let workspace = Workspace::new();
    let target = |n: usize| {
        format!(
            r#""t{n}": {{"type": "generic", "outs": ["o{n}"], "deps": ["s{n}"], "cmds": ["cp s{n} o{n}"]}}"#
        )
    };
    let files: Vec<String> = (0..5).map(|n| format!(r#""{n}": "t{n}""#)).collect();
    let targets: Vec<String> = (0..5).map(target).collect();
    let all = format!(r#""all": {{"type": "install", "files": {{{}}}}}"#, files.join(", "));
    workspace.file("TARGETS", format!("{{{}, {all}}}", targets.join(", ")));
    let change = |to: &str| {
        for n in 0..5 {
            workspace.file(&format!("s{n}"), format!("{to} {n}\n"));
        }
    };
    change("first");
    workspace.run(&taut(), ["build", "all"]).exits(0);
    change("second");
    let files = workspace.build_root().join("protocol-dependent/generation-0/git-sha1/casf");
    fs::remove_dir_all(&files).unwrap();
    fs::write(&files, "no directory").unwrap();
    let ran = workspace.run(&taut(), ["build", "all", "--keep-going"]).exits(1);
    assert_eq!(ran.stderr.matches("cannot use the store: ").count(), 1, "{}", ran.stderr);
    says(&ran, &["needed by :t0 to build o0, and by 4 more actions\n  cp s0 o0\n"]);
    fs::remove_file(&files).unwrap();
    workspace.run(&taut(), ["build", "all"]).exits(0);
}

#[test]
fn output_of_replayed_actions_is_shown_if_a_dependent_fails() {
    let workspace = workspace(
        r#"{"warns": {"type": "generic", "outs": ["x"], "cmds": ["echo a warning of old >&2; touch x"]},
            "checks": {"type": "generic", "outs": ["y"], "deps": ["warns", "a"], "cmds": ["grep -q file a && cat x > y"]},
            "top": {"type": "generic", "outs": ["z"], "deps": ["checks"], "cmds": ["cat y > z"]}}"#,
    );
    let build = |code| workspace.run(&taut(), ["build", "top"]).exits(code).stderr;
    let shown = |stderr: &str| stderr.lines().filter(|line| line.trim() == "a warning of old").count();
    assert_eq!(shown(&build(0)), 1);
    assert_eq!(shown(&build(0)), 0, "it is not new");
    workspace.file("a", "wrong\n");
    assert_eq!(shown(&build(1)), 1, "it was not run again");
    assert_eq!(shown(&build(1)), 1);
}

#[test]
fn the_command_in_a_failure_message_runs_the_action_alone() {
    let workspace = workspace(
        r#"{"t": {"type": "generic", "outs": ["d/x"], "out_dirs": ["e/f"], "deps": [["./", ".", "made"], "a"], "cwd": "",
                  "env": {"type": "singleton_map", "key": "GREETING", "value": "hello"},
                  "cmds": ["echo $GREETING", "cat a made/in", "ls -d d e/f", "env | grep -c ^HOME", "exit 5"]},
            "made": {"type": "generic", "outs": ["made/in"], "cmds": ["echo an input > made/in"]}}"#,
    );
    let failed = workspace.run(&taut(), ["build", "t"]).exits(1);
    let (_, command) = failed.stderr.split_once("  reproduce: ").unwrap();
    let command = command.lines().next().unwrap();
    let temporary = workspace.beside("temporary");
    fs::create_dir(&temporary).unwrap();
    let tool = Tool::at("/bin/sh").with_env("TMPDIR", &temporary);
    for _ in 0..2 {
        let again = tool.run(&workspace.root(), ["-c", command]).exits(1);
        assert_eq!(again.stdout, "hello\na file\nan input\nd\ne/f\n0\n");
        says(
            &again,
            &[
                "error: the action failed (exit code 5); its directory is kept: ",
                &*temporary.to_string_lossy(),
            ],
        );
    }
    let directories: Vec<_> = fs::read_dir(&temporary).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(directories.len(), 2, "each call has a directory of its own");
    for directory in directories {
        assert_eq!(fs::metadata(&directory).unwrap().permissions().mode() & 0o777, 0o700);
        assert_eq!(fs::read_to_string(directory.join("made/in")).unwrap(), "an input\n");
    }
    // No result is kept.
    let built = workspace.run(&taut(), ["build", "t"]).exits(1);
    says(&built, &["building d/x failed (exit code 5)"]);
}

/// What `:first` made is removed from the store, so it is made again in the same call, and fails then. Its output was
/// shown when it succeeded, which does not replace the message about the failure.
#[test]
fn an_action_that_fails_when_its_lost_result_is_made_again_is_reported() {
    let workspace = Workspace::new();
    let flag = workspace.beside("flag");
    // Large: small objects are installed from memory.
    let targets = format!(
        r#"{{"first": {{"type": "generic", "outs": ["a"], "cmds": ["echo begun; test ! -e {flag} && seq 200000 > a"]}},
            "then": {{"type": "generic", "outs": ["b"], "deps": ["first"],
                     "cmds": ["touch {flag}; find {root}/protocol-dependent -type f -size +500k -delete; echo b > b"]}},
            "last": {{"type": "install", "files": {{"a": "first", "b": "then"}}}}}}"#,
        flag = flag.display(),
        root = workspace.build_root().display(),
    );
    workspace.file("TARGETS", targets);
    let out = workspace.beside("out").display().to_string();
    let ran = workspace.run(&taut(), ["install", "-J", "1", "-o", &out, "last"]).exits(1);
    says(&ran, &["begun", ":first: building a failed (exit code 1)", "1 action failed: :first (a)"]);
    assert!(flag.exists());
}
