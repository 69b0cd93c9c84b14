//! What happens if builds, helpers and runners are killed or stopped, by actions or from outside.

use std::path::Path;
use std::process::Child;
use std::time::Duration;

use taut_sys::process::{Processes, Running, Status};

use crate::fixture::{TestDir, alive, eventually, exit_of, exited, processes, sh, wait, written};

pub(crate) const TESTS: crate::Named<fn()> = crate::named![
    a_process_that_kills_or_stops_its_runner_fails_alone,
    if_the_helper_is_killed_or_stopped_all_processes_end_and_none_is_started,
    a_process_that_kills_its_runner_and_the_helper_leaves_nothing_behind,
    kill_now_ends_everything,
    no_process_outlives_a_killed_build,
    the_helper_of_a_killed_build_ends_too,
    an_inherited_child_of_the_build_is_not_signalled,
];

/// The roles of this binary, if it is called with one of these names and a directory.
pub(crate) const ROLES: crate::Named<fn(&Path)> =
    crate::named![to_be_killed, to_be_killed_with_stopped_runner, to_be_killed_busy, with_a_child];

fn play(role: &str, dir: &TestDir) -> Child {
    let this = std::env::current_exe().unwrap();
    std::process::Command::new(this).arg(role).arg(dir.root()).spawn().unwrap()
}

/// Leaves a process in a session of its own, which ignores SIGTERM, and writes its number to `daemon`.
const LEAVES_DAEMON: &str = "setsid sh -c 'trap \"\" TERM; echo $$ > daemon; while :; do sleep 1000; done' &
    while ! test -s daemon; do sleep 0.01; done; ";

/// The number of the helper, from within what a runner runs.
const HELPER: &str = "helper=$(sed 's/.*) . //; s/ .*//' /proc/$PPID/stat); ";

fn a_process_that_kills_or_stops_its_runner_fails_alone() {
    for how in ["kill -9 $PPID", "kill -STOP $PPID", "kill -TERM $PPID", "kill -9 -$PPID"] {
        let (processes, beside, dir) = (processes(), TestDir::new(), TestDir::new());
        let script = "echo > ready; while ! test -e go; do sleep 0.01; done; exit 5";
        let running = beside.start(&processes, &sh(script)).unwrap();
        beside.written("ready");
        let script = format!("{LEAVES_DAEMON} echo $$ > pid; {how}; exec sleep 1000");
        let error = wait(dir.start(&processes, &sh(&script)).unwrap()).unwrap_err();
        assert_eq!(error.to_string(), "the process that ran it was killed or stopped", "{how}");
        // The end is reported only now that nothing is left.
        assert!(!alive(&dir.written("pid")) && !alive(&dir.written("daemon")), "{how}");
        // Other processes start and end as before.
        assert_eq!(dir.run(&processes, &sh("exit 4")), exited(Status::Code(4)));
        std::fs::write(beside.path("go"), "").unwrap();
        assert_eq!(exit_of(running), exited(Status::Code(5)));
    }
}

fn if_the_helper_is_killed_or_stopped_all_processes_end_and_none_is_started() {
    for how in ["-9", "-STOP", "-TERM"] {
        let (processes, beside, dir) = (processes(), TestDir::new(), TestDir::new());
        let script = format!("{LEAVES_DAEMON} exec sleep 1000");
        let running = beside.start(&processes, &sh(&script)).unwrap();
        let daemon = beside.written("daemon");
        let script = format!("{HELPER} echo $$ > pid; kill {how} $helper; exec sleep 1000");
        let killer = dir.start(&processes, &sh(&script)).unwrap();
        for running in [running, killer] {
            let error = wait(running).unwrap_err().to_string();
            assert!(error.starts_with("the process helper was killed or stopped"), "{how}: {error}");
        }
        assert!(!alive(&daemon) && !alive(&dir.written("pid")), "{how}");
        assert!(dir.start(&processes, &sh("exit")).is_err());
    }
}

fn a_process_that_kills_its_runner_and_the_helper_leaves_nothing_behind() {
    for how in ["-9 $PPID $helper", "-STOP $PPID $helper", "-9 $helper $PPID"] {
        let (processes, dir) = (processes(), TestDir::new());
        let script = format!("{HELPER} {LEAVES_DAEMON} echo $$ > pid; kill {how}; exec sleep 1000");
        assert!(wait(dir.start(&processes, &sh(&script)).unwrap()).is_err());
        // The runner's death may be reported before the helper's.
        drop(processes);
        assert!(!alive(&dir.written("pid")) && !alive(&dir.written("daemon")), "{how}");
    }
}

fn kill_now_ends_everything() {
    let (processes, dir) = (processes(), TestDir::new());
    let running = dir.start(&processes, &sh(&format!("{LEAVES_DAEMON} exec sleep 1000"))).unwrap();
    let daemon = dir.written("daemon");
    processes.kill_now(Duration::from_secs(60));
    assert!(!alive(&daemon));
    assert!(wait(running).is_err());
}

/// Runs until it is killed.
fn to_be_killed(directory: &Path) {
    std::env::set_current_dir(directory).unwrap();
    let dir = TestDir::new();
    let script = "cd \"$1\"; echo $$ > plain; (trap '' TERM; sh -c 'echo $$ > deaf; exec sleep 1000') &
        setsid sh -c 'echo $$ > daemon; exec sleep 1000' & wait";
    dir.run(&processes(), &sh(script).args([directory]));
}

fn to_be_killed_with_stopped_runner(directory: &Path) {
    let dir = TestDir::new();
    let script = format!(
        "cd \"$1\"; {HELPER} build=$(sed 's/.*) . //; s/ .*//' /proc/$helper/stat)
         for name in deaf daemon plain; do echo $$ > $name; done
         kill -STOP $PPID; kill -9 $build; exec sleep 1000"
    );
    dir.run(&processes(), &sh(&script).args([directory]));
}

fn no_process_outlives_a_killed_build() {
    for role in ["to_be_killed", "to_be_killed_with_stopped_runner"] {
        let dir = TestDir::new();
        let mut build = play(role, &dir);
        let pids = ["plain", "deaf", "daemon"].map(|name| dir.written(name));
        build.kill().unwrap();
        build.wait().unwrap();
        for pid in pids {
            assert!(eventually(|| !alive(&pid)), "{role} {pid}");
        }
    }
}

/// Processes end all the time while the build is killed: whatever moment that is, the helper ends.
fn the_helper_of_a_killed_build_ends_too() {
    for after in [0, 1, 3, 10, 30, 60] {
        let dir = TestDir::new();
        let mut build = play("to_be_killed_busy", &dir);
        let (helper, runner) = (dir.written("helper"), dir.written("runner"));
        std::thread::sleep(Duration::from_millis(after));
        build.kill().unwrap();
        build.wait().unwrap();
        assert!(eventually(|| !alive(&helper) && !alive(&runner)), "killed after {after} ms");
    }
}

fn to_be_killed_busy(directory: &Path) {
    let (processes, dir) = (processes(), TestDir::new());
    let script = format!("{HELPER} cd \"$1\"; echo $PPID > runner; echo $helper > helper");
    dir.run(&processes, &sh(&script).args([directory]));
    loop {
        let start = |_| dir.start(&processes, &sh("sleep 0.001 & exit")).unwrap();
        let some: Vec<Running> = (0..20).map(start).collect();
        some.into_iter().for_each(|running| drop(wait(running)));
    }
}

/// Has its helper killed, then ends.
fn with_a_child(directory: &Path) {
    let processes: Processes = processes();
    let dir = TestDir::new();
    let script = format!("{HELPER} {LEAVES_DAEMON} kill -9 $helper; exec sleep 1000");
    assert!(wait(dir.start(&processes, &sh(&script)).unwrap()).is_err());
    assert!(!alive(&dir.written("daemon")));
    std::fs::write(directory.join("over"), "over\n").unwrap();
}

fn an_inherited_child_of_the_build_is_not_signalled() {
    let dir = TestDir::new();
    // The child has a child of its own, which it leaves to the build.
    let stays = "echo \"$1\" >> up; while ! test -e go; do sleep 0.01; done; echo \"$1\" >> stayed";
    std::fs::write(dir.path("stays"), stays).unwrap();
    let script = "cd \"$1\"; sh ./stays child & sh -c 'sh ./stays grandchild &'
        until test \"$(wc -l < up)\" = 2; do sleep 0.01; done; exec \"$0\" with_a_child .";
    let mut build = std::process::Command::new("sh")
        .args(["-c", script])
        .args([std::env::current_exe().unwrap().as_path(), dir.root()])
        .spawn()
        .unwrap();
    written(&dir.path("over"));
    std::fs::write(dir.path("go"), "").unwrap();
    assert!(eventually(|| std::fs::read_to_string(dir.path("stayed")).is_ok_and(|s| s.lines().count() == 2)));
    assert!(build.wait().unwrap().success());
}
