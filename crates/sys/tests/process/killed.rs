//! What happens if builds, helpers and runners are killed or stopped, by actions or from outside.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use taut_sys::process::{Processes, Running, Status};

use crate::place::{Place, alive, eventually, exit_of, exited, processes, sh, wait, written};

pub(crate) const TESTS: crate::Named<fn()> = crate::named![
    a_process_that_ends_or_stops_its_runner_fails_alone,
    if_the_helper_is_killed_or_stopped_all_ends_and_nothing_is_started,
    a_process_that_kills_all_above_it_leaves_nothing_behind,
    everything_can_be_killed_at_once,
    nothing_outlives_a_build_that_is_killed,
    the_helper_of_a_build_that_is_killed_ends_too,
    a_child_that_the_build_was_started_with_is_let_alone,
];

/// What this binary plays when it is called with the name and a directory.
pub(crate) const ROLES: crate::Named<fn(&Path)> =
    crate::named![to_be_killed, to_be_killed_with_stopped_runner, to_be_killed_busy, with_a_child];

fn play(role: &str, place: &Place) -> Child {
    let this = std::env::current_exe().unwrap();
    std::process::Command::new(this).arg(role).arg(place.root()).spawn().unwrap()
}

/// Leaves a process in a session of its own, which ignores SIGTERM, and writes its number to `daemon`.
const LEAVES_DAEMON: &str = "setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 1000; done' &
    while ! test -s daemon; do sleep 0.01; done; ";

/// The number of the helper, from within what a runner runs.
const HELPER: &str = "helper=$(sed 's/.*) . //; s/ .*//' /proc/$PPID/stat); ";

fn a_process_that_ends_or_stops_its_runner_fails_alone() {
    for how in ["kill -9 $PPID", "kill -STOP $PPID", "kill -TERM $PPID", "kill -9 -$PPID"] {
        let (processes, beside, place) = (processes(), Place::new(), Place::new());
        let script = "echo > ready; while ! test -e go; do sleep 0.01; done; exit 5";
        let running = beside.start(&processes, &sh(script)).unwrap();
        beside.written("ready");
        let script = format!("{LEAVES_DAEMON} echo $$ > pid; {how}; exec sleep 1000");
        let error = wait(place.start(&processes, &sh(&script)).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "the process that ran it was killed or stopped", "{how}");
        // It is told only now that nothing is left.
        assert!(!alive(&place.written("pid")) && !alive(&place.written("daemon")), "{how}");
        // Others begin and end as ever.
        assert_eq!(place.run(&processes, &sh("exit 4")), exited(Status::Code(4)));
        std::fs::write(beside.path("go"), "").unwrap();
        assert_eq!(exit_of(running), exited(Status::Code(5)));
    }
}

fn if_the_helper_is_killed_or_stopped_all_ends_and_nothing_is_started() {
    for how in ["-9", "-STOP", "-TERM"] {
        let (processes, beside, place) = (processes(), Place::new(), Place::new());
        let script = format!("{LEAVES_DAEMON} exec sleep 1000");
        let running = beside.start(&processes, &sh(&script)).unwrap();
        let daemon = beside.written("daemon");
        let script = format!("{HELPER} echo $$ > pid; kill {how} $helper; exec sleep 1000");
        let killer = place.start(&processes, &sh(&script)).unwrap();
        for running in [running, killer] {
            let error = wait(running).unwrap_err().to_string();
            assert!(error.starts_with("the process helper was killed or stopped"), "{how}: {error}");
        }
        assert!(!alive(&daemon) && !alive(&place.written("pid")), "{how}");
        assert!(place.start(&processes, &sh("exit")).is_err());
    }
}

fn a_process_that_kills_all_above_it_leaves_nothing_behind() {
    for how in ["-9 $PPID $helper", "-STOP $PPID $helper", "-9 $helper $PPID"] {
        let (processes, place) = (processes(), Place::new());
        let script = format!("{HELPER} {LEAVES_DAEMON} echo $$ > pid; kill {how}; exec sleep 1000");
        assert!(wait(place.start(&processes, &sh(&script)).unwrap()).is_err());
        // The runner's death may be told before the helper's.
        drop(processes);
        assert!(!alive(&place.written("pid")) && !alive(&place.written("daemon")), "{how}");
    }
}

fn everything_can_be_killed_at_once() {
    let (processes, place) = (processes(), Place::new());
    let running = place.start(&processes, &sh(&format!("{LEAVES_DAEMON} exec sleep 1000"))).unwrap();
    let daemon = place.written("daemon");
    processes.kill_now(Duration::from_secs(60));
    assert!(!alive(&daemon));
    assert!(wait(running).is_err());
}

/// Runs until it is killed.
fn to_be_killed(directory: &Path) {
    std::env::set_current_dir(directory).unwrap();
    let place = Place::new();
    let script = "cd \"$1\"; echo $$ > plain; (trap '' TERM; sh -c 'echo $$ > deaf; exec sleep 1000') &
        setsid sh -c 'echo $$ > daemon; exec sleep 1000' & wait";
    place.run(&processes(), &sh(script).args([directory]));
}

fn to_be_killed_with_stopped_runner(directory: &Path) {
    let place = Place::new();
    let script = format!(
        "cd \"$1\"; {HELPER} build=$(sed 's/.*) . //; s/ .*//' /proc/$helper/stat)
         for name in deaf daemon plain; do echo $$ > $name; done
         kill -STOP $PPID; kill -9 $build; exec sleep 1000"
    );
    place.run(&processes(), &sh(&script).args([directory]));
}

fn nothing_outlives_a_build_that_is_killed() {
    for role in ["to_be_killed", "to_be_killed_with_stopped_runner"] {
        let place = Place::new();
        let mut build = play(role, &place);
        let pids = ["plain", "deaf", "daemon"].map(|name| place.written(name));
        build.kill().unwrap();
        build.wait().unwrap();
        for pid in pids {
            assert!(eventually(|| !alive(&pid)), "{role} {pid}");
        }
    }
}

/// Processes end all the time while the build is killed: whatever moment that is, the helper ends.
fn the_helper_of_a_build_that_is_killed_ends_too() {
    for after in [0, 1, 3, 10, 30, 60] {
        let place = Place::new();
        let mut build = play("to_be_killed_busy", &place);
        let (helper, runner) = (place.written("helper"), place.written("runner"));
        std::thread::sleep(Duration::from_millis(after));
        build.kill().unwrap();
        build.wait().unwrap();
        assert!(eventually(|| !alive(&helper) && !alive(&runner)), "killed after {after} ms");
    }
}

fn to_be_killed_busy(directory: &Path) {
    let (processes, place) = (processes(), Place::new());
    let script = format!("{HELPER} cd \"$1\"; echo $PPID > runner; echo $helper > helper");
    place.run(&processes, &sh(&script).args([directory]));
    loop {
        let start = |_| place.start(&processes, &sh("sleep 0.001 & exit")).unwrap();
        let some: Vec<Running> = (0..20).map(start).collect();
        some.into_iter().for_each(|running| drop(wait(running)));
    }
}

/// Has its helper killed, then ends.
fn with_a_child(directory: &Path) {
    let processes: Processes = processes();
    let place = Place::new();
    let script = format!("{HELPER} {LEAVES_DAEMON} kill -9 $helper; exec sleep 1000");
    assert!(wait(place.start(&processes, &sh(&script)).unwrap()).is_err());
    assert!(!alive(&place.written("daemon")));
    std::fs::write(directory.join("over"), "over\n").unwrap();
}

fn a_child_that_the_build_was_started_with_is_let_alone() {
    let place = Place::new();
    // The child has a child of its own, which it leaves to the build.
    let stays = "echo \"$1\" >> up; while ! test -e go; do sleep 0.01; done; echo \"$1\" >> stayed";
    std::fs::write(place.path("stays"), stays).unwrap();
    let script = "cd \"$1\"; sh ./stays child & sh -c 'sh ./stays grandchild &'
        until test \"$(wc -l < up)\" = 2; do sleep 0.01; done; exec \"$0\" with_a_child .";
    let mut build = std::process::Command::new("sh")
        .args(["-c", script])
        .args([std::env::current_exe().unwrap().as_path(), place.root()])
        .spawn()
        .unwrap();
    written(&place.path("over"));
    std::fs::write(place.path("go"), "").unwrap();
    assert!(eventually(
        || std::fs::read_to_string(place.path("stayed")).is_ok_and(|s| s.lines().count() == 2)
    ));
    assert!(build.wait().unwrap().success());
}
