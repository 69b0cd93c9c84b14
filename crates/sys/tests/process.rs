//! What starting processes promises, as sentences; each test runs real processes.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::future::Future;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use taut_sys::process::{Command, Exit, HelperStart, Processes, Running, Status, helper_main_if_requested};

fn processes() -> Processes {
    Processes::new(HelperStart::this_program())
}

fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh").args(["-c", script]);
    command.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    command
}

fn run(processes: &Processes, command: &Command) -> Exit {
    wait(processes.spawn(command).unwrap()).unwrap()
}

fn exited(status: Status) -> Exit {
    Exit { status, timed_out: false, strays: false }
}

fn alive(pid: &str) -> bool {
    // A zombie whose parent has not looked yet is no longer running.
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Polls for something that must become true; a long limit only so that a failure is not a hang.
fn eventually(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

fn written(path: &Path) -> String {
    assert!(eventually(|| std::fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n'))));
    std::fs::read_to_string(path).unwrap()
}

fn exit_codes_and_signals_are_told_apart() {
    let processes = processes();
    for code in [0, 1, 137, 255] {
        assert_eq!(run(&processes, &sh(&format!("exit {code}"))), exited(Status::Code(code)));
    }
    let killed = run(&processes, &sh("kill -9 $$"));
    assert_eq!(killed, exited(Status::Signal(9)));
    assert_eq!(killed.status.code(), Some(137));
}

fn what_cannot_be_started_ends_with_the_error_number() {
    let processes = processes();
    let missing = run(&processes, &Command::new("/no/such/program"));
    assert_eq!(missing, exited(Status::NotStarted(2)));
    let not_executable = run(&processes, &Command::new("/etc/passwd"));
    assert_eq!(not_executable, exited(Status::NotStarted(13)));
}

fn a_process_sees_exactly_what_the_command_says() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().canonicalize().unwrap();
    std::fs::write(dir.join("in"), "input").unwrap();
    std::fs::write(dir.join("out"), "something longer that is there already").unwrap();
    let command = Command {
        program: "/usr/bin/env".into(),
        args: vec![
            "env".into(),
            "sh".into(),
            "-c".into(),
            "env; cat; pwd >&2; ls /proc/self/fd | wc -l".into(),
        ],
        env: vec![("A".into(), "1 2".into()), ("B".into(), "".into())],
        cwd: dir.clone(),
        stdin: dir.join("in"),
        stdout: dir.join("out"),
        stderr: dir.join("err"),
        timeout: None,
    };
    assert_eq!(run(&processes(), &command), exited(Status::Code(0)));
    let out = std::fs::read_to_string(dir.join("out")).unwrap();
    let mut lines: Vec<&str> = out.lines().filter(|line| !line.starts_with("PWD=")).collect();
    let last = lines.pop().unwrap();
    // Three streams and the directory being listed.
    assert_eq!(last, "input4", "{out}");
    assert!(lines.contains(&"A=1 2") && lines.contains(&"B="), "{out}");
    let own =
        |line: &&&str| !line.starts_with("_=") && !line.starts_with("SHLVL=") && !line.starts_with("OLDPWD");
    assert_eq!(lines.iter().filter(own).count(), 2, "{out}");
    assert_eq!(std::fs::read_to_string(dir.join("err")).unwrap(), format!("{}\n", dir.display()));
}

fn large_arguments_and_outputs_pass() {
    let dir = tempfile::tempdir().unwrap();
    let long = "x".repeat(100_000);
    let mut command = sh("echo $1$1$1; head -c 3000000 /dev/zero >&2").args(["sh", &long]);
    command.stdout = dir.path().join("out");
    command.stderr = dir.path().join("err");
    assert_eq!(run(&processes(), &command), exited(Status::Code(0)));
    assert_eq!(std::fs::metadata(dir.path().join("out")).unwrap().len(), 300_001);
    assert_eq!(std::fs::metadata(dir.path().join("err")).unwrap().len(), 3_000_000);
}

fn a_process_that_exceeds_its_time_is_ended_politely_then_firmly() {
    let processes = processes();
    let limited = |script: &str| Command { timeout: Some(Duration::from_millis(100)), ..sh(script) };
    let polite = run(&processes, &limited("trap 'exit 7' TERM; sleep 1000 & wait"));
    assert_eq!(polite, Exit { status: Status::Code(7), timed_out: true, strays: false });
    let firm = run(&processes, &limited("trap '' TERM; while :; do sleep 1000; done"));
    assert_eq!(firm, Exit { status: Status::Signal(9), timed_out: true, strays: false });
    let quick = Command { timeout: Some(Duration::from_secs(1000)), ..sh("exit 3") };
    assert_eq!(run(&processes, &quick), exited(Status::Code(3)));
}

fn what_a_process_leaves_behind_is_gone_when_its_end_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let processes = processes();
    let pid_file = |name: &str| dir.path().join(name);
    // In the background; in a session of its own; and a child of one in a session of its own.
    let script = "sleep 1000 & echo $! > $1
        setsid sh -c 'echo $$ > $0; exec sleep 1000' $2 &
        setsid sh -c 'setsid sh -c \"echo \\$\\$ > $0; exec sleep 1000\" & wait' $3 &
        while ! test -s $2 || ! test -s $3; do sleep 0.01; done";
    let command = sh(script).args([
        "sh".into(),
        pid_file("a").into_os_string(),
        pid_file("b").into_os_string(),
        pid_file("c").into_os_string(),
    ]);
    assert_eq!(run(&processes, &command), exited(Status::Code(0)));
    for name in ["a", "b", "c"] {
        assert!(!alive(&written(&pid_file(name))), "{name}");
    }
}

fn a_process_of_unclear_origin_is_killed_when_the_last_possible_owner_ends() {
    let dir = tempfile::tempdir().unwrap();
    let processes = processes();
    let stray = dir.path().join("stray");
    let go = dir.path().join("go");
    let slow = sh("while ! test -e $1; do sleep 0.01; done").args(["sh".into(), go.clone().into_os_string()]);
    let slow = processes.spawn(&slow).unwrap();
    let daemon =
        sh("setsid sh -c 'echo $$ > $0; exec sleep 1000' $1 & while ! test -s $1; do sleep 0.01; done")
            .args(["sh".into(), stray.clone().into_os_string()]);
    let exit = run(&processes, &daemon);
    assert_eq!(exit, Exit { strays: true, ..exited(Status::Code(0)) });
    assert!(alive(&written(&stray)));
    std::fs::write(go, "").unwrap();
    assert_eq!(wait(slow).unwrap(), exited(Status::Code(0)));
    assert!(!alive(&written(&stray)));
}

fn a_process_that_nobody_waits_for_any_more_is_ended() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let processes = processes();
    let running =
        processes.spawn(&sh("echo $$ > $1; exec sleep 1000").args([Path::new("sh"), &pid])).unwrap();
    let number = written(&pid);
    drop(running);
    assert!(eventually(|| !alive(&number)));
}

fn all_can_be_ended_at_once() {
    let processes = processes();
    let all: Vec<Running> = (0..5).map(|_| processes.spawn(&sh("exec sleep 1000")).unwrap()).collect();
    processes.kill_all();
    for running in all {
        assert_eq!(wait(running).unwrap(), exited(Status::Signal(15)));
    }
}

/// Plays the build that is killed in [`nothing_outlives_a_build_that_is_killed`].
fn be_a_build_to_be_killed(dir: &Path) {
    let names = ["plain", "deaf", "daemon"].map(|name| dir.join(name));
    let script = "echo $$ > $1; (trap '' TERM; sh -c 'echo $$ > $0; exec sleep 1000' $2) &
        setsid sh -c 'echo $$ > $0; exec sleep 1000' $3 & wait";
    run(&processes(), &sh(script).args([Path::new("sh")]).args(&names));
}

fn nothing_outlives_a_build_that_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut build = std::process::Command::new(std::env::current_exe().unwrap())
        .arg(TO_BE_KILLED)
        .arg(dir.path())
        .spawn()
        .unwrap();
    let pids = ["plain", "deaf", "daemon"].map(|name| written(&dir.path().join(name)));
    assert!(pids.iter().all(|pid| alive(pid)));
    build.kill().unwrap();
    build.wait().unwrap();
    for pid in pids {
        assert!(eventually(|| !alive(&pid)), "{pid}");
    }
}

fn many_processes_run_at_once() {
    let processes = processes();
    let all: Vec<Running> =
        (0..200).map(|i| processes.spawn(&sh(&format!("exit {}", i % 100))).unwrap()).collect();
    for (i, running) in all.into_iter().enumerate() {
        assert_eq!(wait(running).unwrap(), exited(Status::Code(i as i32 % 100)));
    }
}

/// Processes end all the time while the build is killed: whatever moment that is, the helper ends.
fn the_helper_of_a_build_that_is_killed_ends_too() {
    for after in [0, 1, 3, 10, 30, 60] {
        let dir = tempfile::tempdir().unwrap();
        let mut build = std::process::Command::new(std::env::current_exe().unwrap())
            .args([TO_BE_KILLED_BUSY.as_ref(), dir.path().as_os_str()])
            .spawn()
            .unwrap();
        let helper = written(&dir.path().join("helper"));
        std::thread::sleep(Duration::from_millis(after));
        build.kill().unwrap();
        build.wait().unwrap();
        assert!(eventually(|| !alive(&helper)), "killed after {after} ms");
    }
}

/// Plays the build that is killed in [`the_helper_of_a_build_that_is_killed_ends_too`].
fn be_a_busy_build_to_be_killed(dir: &Path) {
    let processes = processes();
    run(&processes, &sh("echo $PPID > $1").args([Path::new("sh"), &dir.join("helper")]));
    loop {
        let some: Vec<Running> =
            (0..20).map(|_| processes.spawn(&sh("sleep 0.001 & exit")).unwrap()).collect();
        some.into_iter().for_each(|running| drop(wait(running)));
    }
}

const TO_BE_KILLED: &str = "--be-a-build-to-be-killed";
const TO_BE_KILLED_BUSY: &str = "--be-a-busy-build-to-be-killed";

/// A harness of our own: this binary is also the process helper, which has to be alone in its process.
fn main() {
    helper_main_if_requested();
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [TO_BE_KILLED, dir] => return be_a_build_to_be_killed(Path::new(dir)),
        [TO_BE_KILLED_BUSY, dir] => return be_a_busy_build_to_be_killed(Path::new(dir)),
        _ => {}
    }
    macro_rules! tests {
        ($($test:ident),* $(,)?) => { [$((stringify!($test), $test as fn())),*] };
    }
    let tests = tests![
        exit_codes_and_signals_are_told_apart,
        what_cannot_be_started_ends_with_the_error_number,
        a_process_sees_exactly_what_the_command_says,
        large_arguments_and_outputs_pass,
        a_process_that_exceeds_its_time_is_ended_politely_then_firmly,
        what_a_process_leaves_behind_is_gone_when_its_end_is_reported,
        a_process_of_unclear_origin_is_killed_when_the_last_possible_owner_ends,
        a_process_that_nobody_waits_for_any_more_is_ended,
        all_can_be_ended_at_once,
        nothing_outlives_a_build_that_is_killed,
        many_processes_run_at_once,
        the_helper_of_a_build_that_is_killed_ends_too,
    ];
    let wanted: Vec<&String> = args.iter().filter(|arg| !arg.starts_with('-')).collect();
    let mut failed = 0;
    for (name, test) in tests {
        if wanted.is_empty() || wanted.iter().any(|part| name.contains(part.as_str())) {
            let ok = std::panic::catch_unwind(test).is_ok();
            println!("test {name} ... {}", if ok { "ok" } else { "FAILED" });
            failed += i32::from(!ok);
        }
    }
    std::process::exit(i32::from(failed > 0));
}
