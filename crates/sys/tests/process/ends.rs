//! How processes end: by themselves, in time or not, asked to, and what they leave behind.

use std::time::Duration;

use taut_sys::process::{Command, Exit, Running, Status};

use crate::place::{Place, alive, eventually, exit_of, exited, processes, sh, wait};

pub(crate) const TESTS: crate::Named<fn()> = crate::named![
    a_process_that_exceeds_its_time_is_ended_politely_then_firmly,
    the_time_of_a_process_and_of_those_it_waited_for_is_reported,
    what_a_process_leaves_behind_is_gone_when_its_end_is_reported,
    what_one_process_leaves_behind_is_ended_while_another_runs_on,
    what_is_left_behind_by_what_was_left_behind_is_ended_too,
    a_process_is_ended_when_its_future_is_dropped,
    all_can_be_ended_at_once_and_then_nothing_is_started,
    a_process_that_is_to_end_has_time_to_clean_up_however_often_it_is_asked,
    a_process_that_does_not_end_when_asked_is_killed,
];

fn a_process_that_exceeds_its_time_is_ended_politely_then_firmly() {
    let (processes, place) = (processes(), Place::new());
    let limited = |script: &str| Command { timeout: Some(Duration::from_millis(100)), ..sh(script) };
    let polite =
        Command { grace: Duration::from_secs(60), ..limited("trap 'exit 7' TERM; sleep 1000 & wait") };
    let ended = |status| Exit { status, timed_out: true, cpu: Duration::ZERO, left_behind: false };
    assert_eq!(place.run(&processes, &polite), ended(Status::Code(7)));
    let firm =
        Command { grace: Duration::from_millis(50), ..limited("trap '' TERM; while :; do sleep 1000; done") };
    assert_eq!(place.run(&processes, &firm), ended(Status::Signal(9)));
    for limit in [Duration::from_secs(1000), Duration::MAX] {
        let quick = Command { timeout: Some(limit), ..sh("exit 3") };
        assert_eq!(place.run(&processes, &quick), exited(Status::Code(3)));
    }
}

fn the_time_of_a_process_and_of_those_it_waited_for_is_reported() {
    let (processes, place) = (processes(), Place::new());
    let cpu = |script: &str| wait(place.start(&processes, &sh(script)).unwrap()).unwrap().cpu;
    let busy = "i=0; while [ $i -lt 100000 ]; do i=$((i+1)); done";
    let (idle, own, of_child) = (cpu("exit 0"), cpu(busy), cpu(&format!("sh -c '{busy}'; exit 0")));
    assert!(own > idle + Duration::from_millis(10), "{idle:?} {own:?}");
    assert!(of_child > idle + Duration::from_millis(10), "{idle:?} {of_child:?}");
    // It sleeps: that is no work.
    assert!(cpu("sleep 0.3") < Duration::from_millis(200));
}

fn what_a_process_leaves_behind_is_gone_when_its_end_is_reported() {
    let (processes, place) = (processes(), Place::new());
    // In the background; in a session of its own; and a child of one in a session of its own.
    let script = "sleep 1000 & echo $! > a
        setsid sh -c 'echo $$ > b; exec sleep 1000' &
        setsid sh -c 'setsid sh -c \"echo \\$\\$ > c; exec sleep 1000\" & wait' &
        while ! test -s b || ! test -s c; do sleep 0.01; done";
    assert_eq!(place.run(&processes, &sh(script)), exited(Status::Code(0)));
    for name in ["a", "b", "c"] {
        assert!(!alive(&place.written(name)), "{name}");
    }
}

/// Starts a process in a session of its own that ignores what it can, and ends when that has written its number.
const DAEMON: &str = "setsid sh -c 'trap \"\" TERM HUP INT; echo $$ > daemon; while :; do sleep 1000; done' &
    while ! test -s daemon; do sleep 0.01; done";

fn what_one_process_leaves_behind_is_ended_while_another_runs_on() {
    let (processes, beside, place) = (processes(), Place::new(), Place::new());
    let script =
        "setsid sh -c 'echo $$ > daemon; while ! test -e go; do sleep 0.01; done; echo done > done' &
        while ! test -s done; do sleep 0.01; done";
    let running = beside.start(&processes, &sh(script)).unwrap();
    let daemon_beside = beside.written("daemon");
    assert_eq!(place.run(&processes, &sh(DAEMON)), exited(Status::Code(0)));
    assert!(!alive(&place.written("daemon")));
    assert!(alive(&daemon_beside));
    std::fs::write(beside.path("go"), "").unwrap();
    assert_eq!(exit_of(running), exited(Status::Code(0)));
    assert!(!alive(&daemon_beside));
}

fn what_is_left_behind_by_what_was_left_behind_is_ended_too() {
    let (processes, place) = (processes(), Place::new());
    // A chain of sessions, each the parent of the next.
    let script = "echo 'echo $$ >> all; test $1 = 0 || setsid sh ./link $(($1 - 1)) & sleep 1000' > link
        setsid sh ./link 20 &
        until test \"$(wc -l < all)\" = 21; do sleep 0.01; done";
    assert_eq!(place.run(&processes, &sh(script)), exited(Status::Code(0)));
    let all = place.read("all");
    assert_eq!(all.lines().count(), 21);
    assert_eq!(all.lines().filter(|pid| alive(pid)).count(), 0);
}

fn a_process_is_ended_when_its_future_is_dropped() {
    let (processes, place) = (processes(), Place::new());
    let running = place.start(&processes, &sh("echo $$ > pid; exec sleep 1000")).unwrap();
    let number = place.written("pid");
    drop(running);
    assert!(eventually(|| !alive(&number)));
    // Its runner is free again.
    assert_eq!(place.run(&processes, &sh("exit 3")), exited(Status::Code(3)));
}

fn all_can_be_ended_at_once_and_then_nothing_is_started() {
    let (processes, place) = (processes(), Place::new());
    let start = |_| place.start(&processes, &sh("exec sleep 1000")).unwrap();
    let all: Vec<Running> = (0..5).map(start).collect();
    processes.end_all();
    assert!(place.start(&processes, &sh("exit")).is_err());
    for running in all {
        assert_eq!(exit_of(running), exited(Status::Signal(15)));
    }
}

fn a_process_that_is_to_end_has_time_to_clean_up_however_often_it_is_asked() {
    let (processes, place) = (processes(), Place::new());
    let script =
        "trap 'echo asked >> asked; sleep 0.5; exit 3' TERM; echo > ready; while :; do sleep 0.01; done";
    let command = Command { grace: Duration::from_secs(60), ..sh(script) };
    let running = place.start(&processes, &command).unwrap();
    place.written("ready");
    for _ in 0..3 {
        processes.end_all();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(exit_of(running), exited(Status::Code(3)));
    assert_eq!(place.read("asked"), "asked\n");
}

fn a_process_that_does_not_end_when_asked_is_killed() {
    let (processes, place) = (processes(), Place::new());
    let script = "trap '' TERM; echo > ready; while :; do sleep 1000; done";
    let command = Command { grace: Duration::from_millis(50), ..sh(script) };
    let running = place.start(&processes, &command).unwrap();
    place.written("ready");
    processes.end_all();
    assert_eq!(exit_of(running), exited(Status::Signal(9)));
}
