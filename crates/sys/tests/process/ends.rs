//! How processes end: by themselves, by timeout, on request; and what they leave behind.

use std::time::Duration;

use taut_sys::process::{Command, Exit, Running, Status};

use crate::fixture::{TestDir, alive, eventually, exit_of, exited, processes, sh, wait};

pub(crate) const TESTS: crate::Named<fn()> = crate::named![
    a_process_that_exceeds_its_time_gets_sigterm_then_sigkill,
    the_processor_time_of_a_process_and_its_waited_for_children_is_reported,
    leftovers_of_a_process_are_gone_when_its_end_is_reported,
    leftovers_of_one_process_are_ended_while_another_process_runs_on,
    leftovers_of_leftovers_are_ended_too,
    a_process_is_ended_when_its_future_is_dropped,
    after_end_all_no_process_is_started,
    a_process_that_is_to_end_gets_one_sigterm_and_time_to_clean_up,
    a_process_that_ignores_sigterm_is_killed,
];

fn a_process_that_exceeds_its_time_gets_sigterm_then_sigkill() {
    let (processes, dir) = (processes(), TestDir::new());
    let limited = |script: &str| Command { timeout: Some(Duration::from_millis(100)), ..sh(script) };
    let polite =
        Command { grace: Duration::from_secs(60), ..limited("trap 'exit 7' TERM; sleep 1000 & wait") };
    let ended = |status| Exit { status, timed_out: true, cpu: Duration::ZERO, left_behind: false };
    assert_eq!(dir.run(&processes, &polite), ended(Status::Code(7)));
    let firm =
        Command { grace: Duration::from_millis(50), ..limited("trap '' TERM; while :; do sleep 1000; done") };
    assert_eq!(dir.run(&processes, &firm), ended(Status::Signal(9)));
    for limit in [Duration::from_secs(1000), Duration::MAX] {
        let quick = Command { timeout: Some(limit), ..sh("exit 3") };
        assert_eq!(dir.run(&processes, &quick), exited(Status::Code(3)));
    }
}

fn the_processor_time_of_a_process_and_its_waited_for_children_is_reported() {
    let (processes, dir) = (processes(), TestDir::new());
    let cpu = |script: &str| wait(dir.start(&processes, &sh(script)).unwrap()).unwrap().cpu;
    let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let (idle, own, of_child) = (cpu("exit 0"), cpu(busy), cpu(&format!("sh -c '{busy}'; exit 0")));
    assert!(own > idle + Duration::from_millis(10), "{idle:?} {own:?}");
    assert!(of_child > idle + Duration::from_millis(10), "{idle:?} {of_child:?}");
    // Sleeping uses no processor time.
    assert!(cpu("sleep 0.3") < Duration::from_millis(200));
}

fn leftovers_of_a_process_are_gone_when_its_end_is_reported() {
    let (processes, dir) = (processes(), TestDir::new());
    // In the background; in a session of its own; and a child of one in a session of its own.
    let script = "sleep 1000 & echo $! > a
        setsid sh -c 'echo $$ > b; exec sleep 1000' &
        setsid sh -c 'setsid sh -c \"echo \\$\\$ > c; exec sleep 1000\" & wait' &
        while ! test -s b || ! test -s c; do sleep 0.01; done";
    assert_eq!(dir.run(&processes, &sh(script)), exited(Status::Code(0)));
    for name in ["a", "b", "c"] {
        assert!(!alive(&dir.written(name)), "{name}");
    }
}

/// Starts a process in a session of its own that ignores what it can, and ends when that has written its number.
const DAEMON: &str = "setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > daemon; while :; do sleep 1000; done' &
    while ! test -s daemon; do sleep 0.01; done";

fn leftovers_of_one_process_are_ended_while_another_process_runs_on() {
    let (processes, beside, dir) = (processes(), TestDir::new(), TestDir::new());
    let script =
        "setsid sh -c 'echo $$ > daemon; while ! test -e go; do sleep 0.01; done; echo done > done' &
        while ! test -s done; do sleep 0.01; done";
    let running = beside.start(&processes, &sh(script)).unwrap();
    let daemon_beside = beside.written("daemon");
    assert_eq!(dir.run(&processes, &sh(DAEMON)), exited(Status::Code(0)));
    assert!(!alive(&dir.written("daemon")));
    assert!(alive(&daemon_beside));
    std::fs::write(beside.path("go"), "").unwrap();
    assert_eq!(exit_of(running), exited(Status::Code(0)));
    assert!(!alive(&daemon_beside));
}

fn leftovers_of_leftovers_are_ended_too() {
    let (processes, dir) = (processes(), TestDir::new());
    // A chain of sessions, each the parent of the next.
    let script = "echo 'echo $$ >> all; test $1 = 0 || setsid sh ./link $(($1 - 1)) & sleep 1000' > link
        setsid sh ./link 20 &
        until test \"$(wc -l < all)\" = 21; do sleep 0.01; done";
    assert_eq!(dir.run(&processes, &sh(script)), exited(Status::Code(0)));
    let all = dir.read("all");
    assert_eq!(all.lines().count(), 21);
    assert_eq!(all.lines().filter(|pid| alive(pid)).count(), 0);
}

fn a_process_is_ended_when_its_future_is_dropped() {
    let (processes, dir) = (processes(), TestDir::new());
    let running = dir.start(&processes, &sh("echo $$ > pid; exec sleep 1000")).unwrap();
    let number = dir.written("pid");
    drop(running);
    assert!(eventually(|| !alive(&number)));
    // Its runner is idle again.
    assert_eq!(dir.run(&processes, &sh("exit 3")), exited(Status::Code(3)));
}

fn after_end_all_no_process_is_started() {
    let (processes, dir) = (processes(), TestDir::new());
    let start = |_| dir.start(&processes, &sh("exec sleep 1000")).unwrap();
    let all: Vec<Running> = (0..5).map(start).collect();
    processes.end_all();
    assert!(dir.start(&processes, &sh("exit")).is_err());
    for running in all {
        assert_eq!(exit_of(running), exited(Status::Signal(15)));
    }
}

fn a_process_that_is_to_end_gets_one_sigterm_and_time_to_clean_up() {
    let (processes, dir) = (processes(), TestDir::new());
    let script =
        "trap 'echo asked >> asked; sleep 0.5; exit 3' TERM; echo > ready; while :; do sleep 0.01; done";
    let command = Command { grace: Duration::from_secs(60), ..sh(script) };
    let running = dir.start(&processes, &command).unwrap();
    dir.written("ready");
    for _ in 0..3 {
        processes.end_all();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(exit_of(running), exited(Status::Code(3)));
    assert_eq!(dir.read("asked"), "asked\n");
}

fn a_process_that_ignores_sigterm_is_killed() {
    let (processes, dir) = (processes(), TestDir::new());
    let script = "trap '' TERM; echo > ready; while :; do sleep 1000; done";
    let command = Command { grace: Duration::from_millis(50), ..sh(script) };
    let running = dir.start(&processes, &command).unwrap();
    dir.written("ready");
    processes.end_all();
    assert_eq!(exit_of(running), exited(Status::Signal(9)));
}
