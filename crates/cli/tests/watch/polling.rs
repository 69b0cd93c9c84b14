//! Where the system does not report changes: `watch` reports why, and polls.

use std::process::{Command, Stdio};

use super::*;

/// Starts `watch` in a user namespace with a limit of inotify; `None` where the system has no such namespaces.
fn with_limit(workspace: &Workspace, limit: &str, more: &[&str]) -> Option<Watching> {
    // The limit is lifted when there is a file of this name; what waits for it ends with the workspace.
    let lifted = workspace.beside("lifted").display().to_string();
    let lift =
        format!("until [ -e {lifted} ]; do [ -d {} ] || exit; sleep 0.1; done", workspace.root().display());
    let limit = format!("/proc/sys/user/{limit}");
    let script =
        format!("echo 0 > {limit} || exit 1; [ $1 = true ] || ({lift}; echo 1000 > {limit}) & exec \"$@\"");
    let unshare = |script: &str| {
        let mut command = Command::new("unshare");
        command.args(["-Ur", "sh", "-c", script, "sh"]);
        command
    };
    let works = unshare(&script).arg("true").stderr(Stdio::null()).status();
    if !works.is_ok_and(|status| status.success()) {
        return None;
    }
    let mut command = unshare(&script);
    command.arg(taut().path()).args(["watch", "all", "--plain-log", "--local-build-root"]);
    command.arg(workspace.build_root()).args(more);
    command.current_dir(workspace.root()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    Some(Watching::of(command.spawn().unwrap()))
}

fn follows(workspace: &Workspace, watching: &mut Watching) {
    workspace.file("m/u.txt", "seen\n");
    has(&watching.round("m/u.txt changed."), "2 actions of 3 run");
    workspace.file("m/u.txt", "seen again\n");
    has(&watching.round("m/u.txt changed."), "2 actions of 3 run");
}

#[test]
fn without_inotify_instances_watch_polls() {
    let workspace = project();
    let Some(mut watching) = with_limit(&workspace, "max_inotify_instances", &[]) else { return };
    let output = watching.until("as with --poll.");
    has(&output, "fs.inotify.max_user_instances");
    watching.until("checking everything every two seconds");
    follows(&workspace, &mut watching);
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn inotify_instances_that_are_free_again_are_used() {
    let workspace = project();
    let Some(mut watching) = with_limit(&workspace, "max_inotify_instances", &[]) else { return };
    watching.until("checking everything every two seconds");
    fs::write(workspace.beside("lifted"), "").unwrap();
    let end = Instant::now() + PATIENCE;
    while !watching.all().contains("Watching 2 directories. Interrupt to end.") {
        // A watch that is set again is reported with the next round.
        assert!(Instant::now() < end, "{}", watching.all());
        workspace.file("m/u.txt", format!("{:?}\n", Instant::now()));
        thread::sleep(Duration::from_millis(500));
    }
    workspace.file("m/u.txt", "at last\n");
    watching.until("Watching 2 directories.");
    // The last of the earlier changes may be reported once more, after the round that saw it already.
    let mut round = watching.round("m/u.txt changed.");
    if round.contains("0 actions of 3 run") {
        round = watching.round("m/u.txt changed.");
    }
    has(&round, "2 actions of 3 run");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn polling_needs_no_inotify() {
    let workspace = project();
    let Some(mut watching) = with_limit(&workspace, "max_inotify_instances", &["--poll"]) else { return };
    let output = watching.until("checking everything every two seconds");
    assert!(!output.contains("inotify"), "{output}");
    follows(&workspace, &mut watching);
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn without_inotify_watches_watch_polls() {
    let workspace = project();
    let Some(mut watching) = with_limit(&workspace, "max_inotify_watches", &[]) else { return };
    let output = watching.until("as with --poll.");
    has(&output, "fs.inotify.max_user_watches");
    watching.until("checking everything every two seconds");
    follows(&workspace, &mut watching);
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn a_root_goes_and_comes_back_with_polling() {
    let workspace = project();
    let out = workspace.beside("out");
    let mut watching = Watching::start(&workspace, &["--poll", "-o", out.to_str().unwrap()]);
    watching.until("Interrupt to end.");
    fs::rename(workspace.root(), workspace.beside("away")).unwrap();
    watching.until("Waiting until it is there again.");
    fs::write(workspace.beside("away/m/u.txt"), "from afar\n").unwrap();
    fs::rename(workspace.beside("away"), workspace.root()).unwrap();
    becomes(&out.join("shout"), "FROM AFAR\n");
    assert_eq!(watching.interrupt(), 130);
}

#[test]
fn signals_that_do_not_end_watch_start_no_round() {
    let workspace = project();
    let mut watching = Watching::start(&workspace, &[]);
    watching.until("Interrupt to end.");
    let signal = |signal: &str| {
        let id = watching.child.id().to_string();
        assert!(Command::new("kill").args([signal, &id]).status().unwrap().success());
    };
    signal("-STOP");
    signal("-CONT");
    workspace.file("m/u.txt", "after all\n");
    let output = watching.until("m/u.txt changed.");
    assert_eq!(output.lines().count(), 1, "{output}");
    assert_eq!(watching.interrupt(), 130);
}
