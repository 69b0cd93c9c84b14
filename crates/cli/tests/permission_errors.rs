//! Errors of the system are reported with their reason: the directory, its owner and its mode.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    os::unix::{
        fs::{PermissionsExt as _, chown},
        process::CommandExt as _,
    },
    path::Path,
    process::Command,
};

use taut_testkit::{Tool, Workspace};

/// A user that owns nothing.
const OTHER: u32 = 65_534;

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

fn workspace() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{"o": {"type": "generic", "outs": ["o"], "cmds": ["echo made > o"]}}"#);
    workspace
}

/// Runs taut as an ordinary user: as this one, unless that is root. The binary is copied to where that user can run it.
fn as_user(workspace: &Workspace, words: &[&str], succeeds: bool) -> String {
    let root = workspace.root();
    let above = root.parent().unwrap();
    let tool = above.join("taut");
    if !tool.exists() {
        fs::copy(env!("CARGO_BIN_EXE_taut"), &tool).unwrap();
    }
    fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(&tool);
    command.args(words).arg("--local-build-root").arg(workspace.build_root()).current_dir(&root);
    if rustix::process::geteuid().is_root() {
        command.uid(OTHER).gid(OTHER);
    }
    // Another thread that forks at the wrong moment holds the copy open for writing for as long as its child needs.
    let output = loop {
        match command.output() {
            Err(error) if error.kind() == std::io::ErrorKind::ExecutableFileBusy => std::thread::yield_now(),
            other => break other.unwrap(),
        }
    };
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.success(), succeeds, "{stderr}");
    stderr
}

fn give_away(directory: &Path) {
    if rustix::process::geteuid().is_root() {
        chown(directory, Some(OTHER), Some(OTHER)).unwrap();
    }
}

#[test]
fn a_directory_that_denies_access_is_reported_with_its_mode() {
    let workspace = workspace();
    fs::create_dir(workspace.build_root()).unwrap();
    give_away(&workspace.build_root());
    fs::set_permissions(workspace.build_root(), fs::Permissions::from_mode(0o555)).unwrap();
    let stderr = as_user(&workspace, &["build", "o"], false);
    let root = workspace.build_root();
    let expected = format!("the directory {} has mode 0555, which does not allow it", root.display());
    assert!(stderr.contains("Permission denied") && stderr.contains(&expected), "{stderr}");
}

#[test]
fn a_directory_that_may_not_be_listed_is_named_with_its_mode_where_all_targets_are_wanted() {
    let workspace = workspace();
    fs::create_dir(workspace.build_root()).unwrap();
    give_away(&workspace.build_root());
    let closed = workspace.root().join("closed");
    fs::create_dir(&closed).unwrap();
    give_away(&closed);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o000)).unwrap();
    let stderr = as_user(&workspace, &["build", "..."], false);
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o755)).unwrap();
    let place = format!("cannot open {}: Permission denied", closed.display());
    let reason = "the directory has mode 0000, which does not allow it; chmod changes that";
    assert!(stderr.contains(&place) && stderr.contains(reason), "{stderr}");
}

#[test]
fn a_build_root_of_another_user_is_reported_with_its_owner_and_a_hint() {
    if !rustix::process::geteuid().is_root() {
        // Only root can give directories to others.
        return;
    }
    let workspace = workspace();
    workspace.run(&taut(), ["build", "o"]).exits(0);
    let root = workspace.build_root();
    // A null build writes nothing.
    as_user(&workspace, &["build", "o"], true);
    workspace.file("TARGETS", r#"{"o": {"type": "generic", "outs": ["o"], "cmds": ["echo other > o"]}}"#);
    let stderr = as_user(&workspace, &["build", "o"], false);
    for expected in [
        "belongs to user root (mode 0755), and this is user ".to_owned(),
        format!("it helps to give all of {} to one user", root.display()),
    ] {
        assert!(stderr.contains(&expected), "{expected} is not in:\n{stderr}");
    }
}

#[test]
fn an_error_during_the_search_for_the_workspace_is_reported() {
    let workspace = workspace();
    let mut command = taut().command(&workspace.root());
    let output = command.args(["build", "o"]).env("TAUT_TEST_FAULT", "stat@/ROOT:5").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    let root = workspace.root().display().to_string();
    assert!(stderr.contains("no ROOT, WORKSPACE or .git here or above."), "{stderr}");
    assert!(stderr.contains(&format!("cannot stat {root}/ROOT: Input/output error")), "{stderr}");
}
