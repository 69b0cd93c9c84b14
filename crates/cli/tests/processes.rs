//! The processes of actions, for any caller of taut and any end of a build: what they begin with, and that they end.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::json;
use taut_testkit::{Tool, Workspace, processed};

const TAUT: &str = env!("CARGO_BIN_EXE_taut");

/// A workspace with these targets. In commands, `@` is a directory beside it.
fn workspace(targets: &str) -> Workspace {
    let workspace = Workspace::new();
    let beside = workspace.beside("beside");
    fs::create_dir(&beside).unwrap();
    workspace.file("TARGETS", targets.replace('@', beside.to_str().unwrap()));
    workspace
}

/// The call `taut WORDS` by a caller that does something first; `"$@"` is the call.
fn call(workspace: &Workspace, caller: &str, words: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", caller, "sh", TAUT, words[0], "--local-build-root"]);
    command.arg(workspace.build_root()).args(&words[1..]).current_dir(workspace.root());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn run(workspace: &Workspace, caller: &str, words: &[&str]) -> Output {
    call(workspace, caller, words).output().unwrap()
}

const PLAIN: &str = "exec \"$@\"";

const CALLERS: [&str; 5] = [
    "trap '' CHLD; exec \"$@\"",
    "exec env --ignore-signal=CHLD \"$@\"",
    "exec env --ignore-signal \"$@\"",
    "exec env --block-signal \"$@\"",
    "exec env --ignore-signal --block-signal \"$@\"",
];

fn eventually(what: &str, condition: impl Fn() -> bool) {
    let begin = Instant::now();
    while !condition() {
        assert!(begin.elapsed() < Duration::from_secs(60), "{what}");
        thread::sleep(Duration::from_millis(2));
    }
}

/// The line that an action writes to a file beside the workspace.
fn written(workspace: &Workspace, name: &str) -> String {
    let path = workspace.beside("beside").join(name);
    let read = || fs::read_to_string(&path).unwrap_or_default();
    eventually(name, || read().ends_with('\n'));
    read().trim().to_owned()
}

fn alive(pid: &str) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

fn signal(child: &Child, name: &str) {
    let id = child.id().to_string();
    assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
}

/// `env` looks commands up in the action's `PATH`, whose relative directories are the action's.
#[test]
fn a_program_among_the_inputs_is_found_by_a_relative_directory_of_path() {
    for (path, made) in [("bin:/usr/bin:/bin", "input"), ("/usr/bin:/bin:bin", "system"), ("", "input")] {
        let in_place = if path.is_empty() { "sh" } else { "bin/sh" };
        let workspace = workspace(&format!(
            r#"{{"t": {{"type": "generic", "outs": ["o"], "deps": ["{in_place}"], "cmds": ["echo system > o"],
                "env": {{"type": "singleton_map", "key": "PATH", "value": "{path}"}}}}}}"#
        ));
        workspace.executable(in_place, "#!/bin/sh\necho input > o\n");
        let ran = workspace.run(&Tool::at(TAUT), ["build", "t", "-P", "o"]).exits(0);
        assert_eq!(ran.stdout.trim(), made, "PATH={path}");
    }
}

#[test]
fn a_caller_that_ignores_or_blocks_signals_gets_the_same_builds() {
    for caller in CALLERS {
        let workspace = workspace(
            r#"{"good": {"type": "generic", "outs": ["o"], "cmds": ["sleep 0.01 & echo made > o"]},
                "bad": {"type": "generic", "outs": ["b"], "cmds": ["exit 3"]}}"#,
        );
        let good = run(&workspace, caller, &["build", "good", "-P", "o"]);
        assert_eq!((good.status.code(), &good.stdout[..]), (Some(0), &b"made\n"[..]), "{caller}");
        let bad = run(&workspace, caller, &["build", "bad"]);
        assert_eq!(bad.status.code(), Some(1), "{caller}");
        assert!(String::from_utf8_lossy(&bad.stderr).contains("exit code 3"), "{caller}");
    }
}

/// Whether each namespace has a largest process number of its own (Linux 6.14). Before, to set it is to set that of the
/// machine.
fn has_numbers_of_its_own() -> bool {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut parts = release.split('.').map_while(|part| part.parse::<u32>().ok());
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    let unshared = || Command::new("unshare").args([&UNSHARE[..], &["true"]].concat()).output();
    version >= (6, 14) && unshared().is_ok_and(|tried| tried.status.success())
}

const UNSHARE: [&str; 4] = ["--fork", "--kill-child", "--pid", "--mount-proc"];

#[test]
fn concurrent_builds_with_reused_process_ids_are_right_and_signal_no_other_process() {
    if !has_numbers_of_its_own() {
        eprintln!("skipped: needs root and a largest process number for each namespace (Linux 6.14)");
        return;
    }
    const ACTIONS: usize = 300;
    let action = |number| {
        let command = format!("sleep 0.01 & echo {number} > o{number}");
        (format!("t{number}"), json!({"type": "generic", "outs": [format!("o{number}")], "cmds": [command]}))
    };
    let mut targets: serde_json::Map<_, _> = (0..ACTIONS).map(action).collect();
    let all: serde_json::Map<_, _> = targets.keys().map(|name| (name.clone(), json!(name))).collect();
    targets.insert("all".to_owned(), json!({"type": "install", "files": all}));
    let workspace = workspace(&serde_json::Value::Object(targets).to_string());
    // Each build uses more process ids than there are, so they are reused; the other processes are started meanwhile.
    let script = r#"
        echo 500 > /proc/sys/kernel/pid_max || exit 9
        ends=; strangers=
        for build in 1 2 3; do
            trap '' CHLD
            "$1" build all -J 4 --local-build-root "$2/$build" > "$2.$build" 2>&1 & ends="$ends $!"
            trap - CHLD
        done
        for stranger in 1 2 3 4 5; do sleep 0.2; setsid sleep 1000 & strangers="$strangers $!"; done
        for end in $ends; do wait $end || echo "a build ended with $?"; done
        for stranger in $strangers; do kill -0 $stranger || echo "a stranger was signalled"; done
        cat "$2".? | grep "^Built" | sed "s/in [0-9.]* s/in N s/"
    "#;
    let mut builds = Command::new("unshare");
    builds.args(UNSHARE).args(["sh", "-c", script, "sh", TAUT]).arg(workspace.build_root());
    let ended = builds.current_dir(workspace.root()).output().unwrap();
    let stdout = String::from_utf8_lossy(&ended.stdout);
    let each = format!("Built :all in N s: {ACTIONS} actions run\n");
    assert_eq!(stdout, each.repeat(3), "{}", String::from_utf8_lossy(&ended.stderr));
}

#[test]
fn the_initial_state_of_an_action_does_not_depend_on_the_caller() {
    let workspace = workspace(
        r#"{"t": {"type": "generic", "outs": ["o"], "cmds":
            ["touch x; (stat -c %a x; grep -E '^Sig(Blk|Ign)' /proc/self/status; ulimit -Sn; ls /proc/self/fd | wc -l) > o"]}}"#,
    );
    for caller in CALLERS {
        let caller = format!("umask 077; ulimit -Sn 300; exec 5< / 8> /dev/null; {caller}");
        let output = run(&workspace, &caller, &["build", "t", "-P", "o"]);
        let seen = String::from_utf8(output.stdout).unwrap();
        assert_eq!(seen, "644\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n300\n4\n", "{caller}");
        fs::remove_dir_all(workspace.build_root()).unwrap();
    }
}

#[test]
fn under_nohup_a_hang_up_ends_nothing() {
    for (caller, code) in [("exec nohup \"$@\"", 0), ("trap '' HUP; exec \"$@\"", 0), (PLAIN, 129)] {
        let workspace = workspace(
            r#"{"t": {"type": "generic", "outs": ["o"], "cmds":
                ["echo > @/begun; while ! test -e @/go; do sleep 0.01; done; echo > o"]}}"#,
        );
        let mut build = call(&workspace, caller, &["build", "t"]).spawn().unwrap();
        written(&workspace, "begun");
        signal(&build, "HUP");
        if code == 0 {
            fs::write(workspace.beside("beside/go"), "").unwrap();
        }
        assert_eq!(build.wait().unwrap().code(), Some(code), "{caller}");
    }
}

#[test]
fn an_action_has_time_to_clean_up_when_the_build_is_to_end() {
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        let workspace = workspace(
            r#"{"t": {"type": "generic", "outs": ["o"], "cmds":
                ["trap 'echo asked >> @/asked; sleep 0.5; echo > @/cleaned; exit 3' TERM",
                 "echo > @/begun; while :; do sleep 0.01; done"]}}"#,
        );
        let words = ["build", "t", "--termination-grace", "60"];
        let mut build = call(&workspace, PLAIN, &words).spawn().unwrap();
        written(&workspace, "begun");
        signal(&build, name);
        assert_eq!(build.wait().unwrap().code(), Some(code));
        assert_eq!(written(&workspace, "asked"), "asked");
        assert!(workspace.beside("beside/cleaned").exists());
    }
}

const IGNORES_SIGTERM: &str = r#"{"t": {"type": "generic", "outs": ["o"], "cmds":
    ["trap '' TERM; echo $$ > @/pid; while :; do sleep 1000; done"]}}"#;

#[test]
fn an_action_that_ignores_the_request_to_end_is_killed() {
    let workspace = workspace(IGNORES_SIGTERM);
    for words in [&["build", "t"][..], &["build", "t", "--termination-grace", "0"]] {
        let mut build = call(&workspace, PLAIN, words).spawn().unwrap();
        let pid = written(&workspace, "pid");
        signal(&build, "TERM");
        assert_eq!(build.wait().unwrap().code(), Some(143));
        assert!(!alive(&pid));
        fs::remove_file(workspace.beside("beside/pid")).unwrap();
    }
}

#[test]
fn a_second_signal_ends_the_call_at_once_and_all_that_runs() {
    let workspace = workspace(IGNORES_SIGTERM);
    let mut build = call(&workspace, PLAIN, &["build", "t", "--termination-grace", "1000"]).spawn().unwrap();
    let pid = written(&workspace, "pid");
    signal(&build, "TERM");
    // Were both pending at once, either could come first.
    thread::sleep(Duration::from_millis(50));
    signal(&build, "INT");
    let code = build.wait().unwrap().code();
    assert!(code == Some(130) || code == Some(143), "{code:?}");
    eventually("the action ends", || !alive(&pid));
}

/// As `timeout(1)` does: to the process, and then to its group.
#[test]
fn a_signal_that_is_sent_twice_at_once_counts_once() {
    let workspace = workspace(
        r#"{"t": {"type": "generic", "outs": ["o"], "cmds":
            ["trap 'sleep 0.5; echo > @/cleaned; exit 3' TERM; echo > @/begun; while :; do sleep 0.01; done"]}}"#,
    );
    let words = ["build", "t", "--termination-grace", "60"];
    let mut build = call(&workspace, PLAIN, &words).spawn().unwrap();
    written(&workspace, "begun");
    signal(&build, "TERM");
    signal(&build, "TERM");
    assert_eq!(build.wait().unwrap().code(), Some(143));
    assert!(workspace.beside("beside/cleaned").exists());
}

#[test]
fn processes_that_an_action_left_have_ended_before_its_result_counts() {
    let workspace = workspace(
        r#"{"t": {"type": "generic", "outs": ["o"], "cmds":
            ["echo right > o; setsid sh -c 'echo $$ > @/pid; sleep 0.1; while :; do echo wrong > o; done' &",
             "while ! test -s @/pid; do sleep 0.01; done"]}}"#,
    );
    let output = run(&workspace, PLAIN, &["build", "t", "-P", "o"]);
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"right\n"[..]));
    assert!(!alive(&written(&workspace, "pid")));
}

#[test]
fn an_action_that_kills_or_stops_what_runs_it_fails_alone() {
    for how in ["-9", "-STOP"] {
        let targets = r#"{"bad": {"type": "generic", "outs": ["b"], "cmds": ["kill HOW $PPID; exec sleep 1000"]},
            "good": {"type": "generic", "outs": ["g"], "cmds": ["sleep 0.2; echo good > g"]},
            "all": {"type": "install", "files": {"b": "bad", "g": "good"}}}"#;
        let workspace = workspace(&targets.replace("HOW", how));
        let output = run(&workspace, PLAIN, &["build", "--keep-going", "-J", "2", "all"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("the process that ran it was killed or stopped"), "{stderr}");
        let good = run(&workspace, PLAIN, &["build", "good"]);
        let stderr = String::from_utf8_lossy(&good.stderr);
        assert!(processed(&stderr) == Some((1, 1)), "{stderr}");
    }
}

#[test]
fn if_the_helper_is_killed_or_stopped_the_build_fails_and_nothing_is_left() {
    for how in ["-9", "-STOP"] {
        let targets = r#"{"bad": {"type": "generic", "outs": ["b"], "cmds":
                ["while ! test -s @/pid; do sleep 0.01; done; helper=$(sed 's/.*) . //; s/ .*//' /proc/$PPID/stat)",
                 "kill HOW $helper; exec sleep 1000"]},
            "other": {"type": "generic", "outs": ["o"], "cmds":
                ["setsid sh -c 'echo $$ > @/pid; exec sleep 1000' & exec sleep 1000"]},
            "all": {"type": "install", "files": {"b": "bad", "o": "other"}}}"#;
        let workspace = workspace(&targets.replace("HOW", how));
        let output = run(&workspace, PLAIN, &["build", "-J", "2", "all"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("the process helper was killed or stopped"), "{stderr}");
        assert!(!alive(&written(&workspace, "pid")));
    }
}

#[test]
fn nothing_outlives_a_call_that_is_killed() {
    let workspace = workspace(
        r#"{"t": {"type": "generic", "outs": ["o"], "cmds":
            ["echo $$ > @/action; setsid sh -c 'trap \"\" TERM; echo $$ > @/daemon; while :; do sleep 1000; done' & wait"]}}"#,
    );
    let mut build = call(&workspace, PLAIN, &["build", "t"]).spawn().unwrap();
    let pids = ["action", "daemon"].map(|name| written(&workspace, name));
    build.kill().unwrap();
    build.wait().unwrap();
    for pid in pids {
        eventually("what was started ends", || !alive(&pid));
    }
}

#[test]
fn a_limit_on_the_size_of_files_causes_an_error_message() {
    let workspace = workspace(r#"{"t": {"type": "generic", "outs": ["o"], "cmds": ["echo > o"]}}"#);
    let output = run(&workspace, "ulimit -f 0; exec \"$@\"", &["build", "t"]);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code().is_some_and(|code| code < 128), "{:?} {stderr}", output.status);
    assert!(stderr.contains("File too large"), "{stderr}");
}

#[test]
fn a_file_that_the_system_cannot_execute_is_a_script_for_the_shell() {
    let workspace =
        workspace(r#"{"t": {"type": "generic", "outs": ["o"], "sh -c": ["@/script"], "cmds": ["made"]}}"#);
    let script = workspace.beside("beside/script");
    fs::write(&script, "printf %s $1 > o\n").unwrap();
    fs::set_permissions(&script, PermissionsExt::from_mode(0o755)).unwrap();
    let ran = workspace.run(&Tool::at(TAUT), ["build", "t", "-P", "o"]).exits(0);
    assert_eq!(ran.stdout, "made");
}
