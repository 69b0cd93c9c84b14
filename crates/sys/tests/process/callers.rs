//! Callers that ignore or block signals, or have limits of their own: processes that are started are not affected.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use taut_sys::process::{Exit, HelperStart, Processes, Status, on_termination, raise_open_file_limit};

use crate::fixture::{TestDir, alive, exited, processes, sh, wait};

pub(crate) const TESTS: crate::Named<fn()> = crate::named![
    a_process_starts_with_default_signals_whatever_the_caller_ignores_or_blocks,
    the_umask_of_the_caller_is_kept_on_request,
    a_caller_that_ignores_or_blocks_signals_gets_the_same_exit_reports,
    an_ignored_hang_up_stays_ignored_and_other_signals_end_the_call,
];

/// The roles of this binary, if it is called with one of these names and a directory.
pub(crate) const ROLES: crate::Named<fn(&Path)> = crate::named![show_beginnings, see_ends, be_signalled];

/// What the caller does before it executes this binary; `$0` is this binary.
const CALLERS: [&str; 6] = [
    "exec \"$0\" \"$@\"",
    "exec env --ignore-signal=CHLD \"$0\" \"$@\"",
    "exec env --ignore-signal \"$0\" \"$@\"",
    "exec env --block-signal \"$0\" \"$@\"",
    "exec env --ignore-signal --block-signal \"$0\" \"$@\"",
    "exec nohup \"$0\" \"$@\"",
];

fn call(caller: &str, role: &str, dir: &TestDir) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", caller]).arg(std::env::current_exe().unwrap()).arg(role).arg(dir.root());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command
}

fn output(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{:?}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

const BEGINNING: &str =
    "grep -E '^(SigBlk|SigIgn|SigPnd|Umask)' /proc/self/status; ulimit -Sn; ls /proc/self/fd | wc -l
    cut -d' ' -f6 /proc/self/stat | grep -c \"^$$\\$\"";

fn show_beginnings(_: &Path) {
    raise_open_file_limit();
    let dir = TestDir::new();
    assert_eq!(dir.run(&processes(), &sh(BEGINNING)), exited(Status::Code(0)));
    print!("{}", dir.read("out"));
}

fn a_process_starts_with_default_signals_whatever_the_caller_ignores_or_blocks() {
    let dir = TestDir::new();
    let expected = "Umask:\t0022\nSigPnd:\t0000000000000000\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n\
        300\n4\n1\n";
    for caller in CALLERS {
        // Descriptors that are open in the caller are not inherited, either.
        let caller = format!("umask 077; ulimit -Sn 300; exec 5< / 9> /dev/null; {caller}");
        assert_eq!(output(call(&caller, "show_beginnings", &dir)), expected, "{caller}");
    }
}

fn the_umask_of_the_caller_is_kept_on_request() {
    let own = std::process::Command::new("sh").args(["-c", "umask"]).output().unwrap().stdout;
    let dir = TestDir::new();
    let processes = Processes::new(HelperStart::this_program().keep_umask());
    assert_eq!(dir.run(&processes, &sh("umask")), exited(Status::Code(0)));
    assert_eq!(dir.read("out").as_bytes(), own);
}

fn see_ends(_: &Path) {
    let (processes, dir) = (processes(), TestDir::new());
    let mut seen = Vec::new();
    let daemon = "setsid sleep 1000 & echo $! > daemon; kill -HUP $$";
    for script in ["exit 3", "kill -HUP $$", "kill -PIPE $$", "sleep 0.01 & exit 4", daemon] {
        let Exit { status, left_behind, .. } = dir.run(&processes, &sh(script));
        seen.push((status, left_behind));
    }
    println!("{seen:?} {}", alive(&dir.read("daemon")));
}

fn a_caller_that_ignores_or_blocks_signals_gets_the_same_exit_reports() {
    let dir = TestDir::new();
    let expected = "[(Code(3), false), (Signal(1), false), (Signal(13), false), (Code(4), false), (Signal(1), false)] \
        false\n";
    for caller in CALLERS {
        assert_eq!(output(call(caller, "see_ends", &dir)), expected, "{caller}");
    }
}

/// Ends all processes when it is signalled, and exits with 128 + n.
fn be_signalled(directory: &Path) {
    let (processes, dir) = (processes(), TestDir::new());
    let ending = processes.clone();
    let (send, receive) = std::sync::mpsc::channel();
    on_termination(move |signal| {
        ending.end_all();
        send.send(signal).unwrap();
    })
    .unwrap();
    let script = "cd \"$1\"; echo $$ > pid; echo > ready; while ! test -e go; do sleep 0.01; done";
    let exit = wait(dir.start(&processes, &sh(script).args([directory])).unwrap()).unwrap();
    let signal = if exit.status == Status::Code(0) { 0 } else { receive.recv().unwrap() };
    std::process::exit(if signal == 0 { 0 } else { 128 + signal });
}

fn an_ignored_hang_up_stays_ignored_and_other_signals_end_the_call() {
    for caller in CALLERS {
        let ignores_hang_up = caller.contains("nohup") || caller.contains("--ignore-signal ");
        for (signal, code) in [("HUP", 129), ("INT", 130), ("TERM", 143)] {
            let dir = TestDir::new();
            let mut build = call(caller, "be_signalled", &dir).spawn().unwrap();
            dir.written("ready");
            let pid = dir.written("pid");
            let kill = ["-s", signal, &build.id().to_string()];
            assert!(std::process::Command::new("kill").args(kill).status().unwrap().success());
            let code = if signal == "HUP" && ignores_hang_up {
                std::fs::write(dir.path("go"), "").unwrap();
                0
            } else {
                code
            };
            let status = build.wait().unwrap();
            assert_eq!((status.code(), status.signal()), (Some(code), None), "{caller} {signal}");
            assert!(!alive(&pid), "{caller} {signal}");
        }
    }
}
