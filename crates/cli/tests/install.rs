//! Installing again into a directory: what is right is not written, what was changed is restored, what is no longer
//! part of the result is removed with `--prune`, unless a user changed it.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use taut_testkit::{Tool, ToolResult, Workspace, listing};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

const TARGETS: &str = r#"{
  "all": {"type": "install", "deps": ["tree"], "files": {"plain": "a.txt", "bin/run": "run.sh", "made": "made"}},
  "other": {"type": "install", "files": {"plain": "a.txt", "theirs": "b.txt"}},
  "tree": {"type": "install", "dirs": [[["TREE", null, "sub"], "t"]]},
  "made": {"type": "generic", "outs": ["made"], "deps": ["a.txt"], "cmds": ["cat a.txt a.txt > made"]}
}"#;

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("a.txt", "a\n").file("b.txt", "b\n");
    workspace.executable("run.sh", "#!/bin/sh\n").file("sub/s", "s\n").file("sub/deep/d", "d\n");
    workspace.link("sub/link", "s");
    workspace
}

fn install(workspace: &Workspace, target: &str, more: &[&str]) -> ToolResult {
    let out = workspace.beside("out").display().to_string();
    workspace.run(&taut(), [&["install", target, "-o", &out], more].concat()).exits(0)
}

/// What every write changes: inodes and times of everything, directories included.
fn untouched(out: &Path) -> BTreeMap<String, (u64, i64, i64, i64, i64)> {
    let mut found = BTreeMap::new();
    let mut open = vec![out.to_path_buf()];
    while let Some(path) = open.pop() {
        let m = fs::symlink_metadata(&path).unwrap();
        let signature = (m.ino(), m.mtime(), m.mtime_nsec(), m.ctime(), m.ctime_nsec());
        found.insert(path.display().to_string(), signature);
        if m.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

#[test]
fn files_that_are_right_are_not_written_again() {
    let workspace = project();
    let out = workspace.beside("out");
    install(&workspace, "all", &[]);
    let before = untouched(&out);
    // Compared by content, then (old enough) by evidence, then without recorded runs, then without the record.
    install(&workspace, "all", &[]);
    assert_eq!(untouched(&out), before);
    std::thread::sleep(std::time::Duration::from_millis(2_100));
    for more in [&[][..], &[], &["--no-trace"], &["--prune"]] {
        install(&workspace, "all", more);
        assert_eq!(untouched(&out), before, "{more:?}");
    }
    fs::remove_dir_all(workspace.build_root().join("taut")).unwrap();
    install(&workspace, "all", &[]);
    assert_eq!(untouched(&out), before);
}

#[test]
fn changed_files_are_restored_and_nothing_else_is_written() {
    let workspace = project();
    let out = workspace.beside("out");
    install(&workspace, "all", &[]);
    let (right, before) = (listing(&out).unwrap(), untouched(&out));
    type Spoil = dyn Fn(&Path);
    let spoil: [(&str, &Spoil); 5] = [
        ("made", &|path| fs::write(path, "mine\n").unwrap()),
        ("plain", &|path| fs::remove_file(path).unwrap()),
        ("bin", &|path| fs::remove_dir_all(path).unwrap()),
        ("t/sub/deep/d", &|path| fs::write(path, "e\n").unwrap()),
        ("t/sub/link", &|path| {
            fs::remove_file(path).unwrap();
            std::os::unix::fs::symlink("elsewhere", path).unwrap();
        }),
    ];
    for (name, spoil) in spoil {
        spoil(&out.join(name));
        assert_ne!(listing(&out).unwrap(), right, "{name}");
        install(&workspace, "all", &[]);
        assert_eq!(listing(&out).unwrap(), right, "{name}");
    }
    let after = untouched(&out);
    let run = out.join("t/sub/s").display().to_string();
    assert_eq!(after[&run], before[&run], "this one was not changed");
}

#[test]
fn files_no_longer_in_the_result_are_removed_with_prune_if_they_are_as_installed() {
    let workspace = project();
    let out = workspace.beside("out");
    install(&workspace, "all", &[]);
    install(&workspace, "other", &[]);
    fs::write(out.join("mine"), "not from here\n").unwrap();
    fs::write(out.join("made"), "changed since\n").unwrap();
    workspace.file(
        "TARGETS",
        TARGETS.replace(
            r#""deps": ["tree"], "files": {"plain": "a.txt", "bin/run": "run.sh", "made": "made"}"#,
            r#""files": {"new": "b.txt"}"#,
        ),
    );
    install(&workspace, "all", &[]);
    for there in ["plain", "bin/run", "made", "t/sub/s", "new", "mine", "theirs"] {
        assert!(out.join(there).exists(), "{there}: nothing is removed unless asked for");
    }
    let ran = install(&workspace, "all", &["--prune"]);
    let names: Vec<String> = listing(&out).unwrap().into_keys().collect();
    // `plain` was installed for the other target, too.
    assert_eq!(names, ["made", "mine", "new", "plain", "theirs"]);
    assert!(ran.stderr.contains("removed 4 files no longer part of the result: bin/run, "), "{}", ran.stderr);
    assert!(
        ran.stderr.contains("warning: made is no longer part of the result, but was changed"),
        "{}",
        ran.stderr
    );
    let again = install(&workspace, "all", &["--prune"]);
    assert!(
        !again.stderr.contains("no longer part"),
        "what stays is the user's from now on: {}",
        again.stderr
    );
    workspace.file("TARGETS", TARGETS.replace(r#""plain": "a.txt", "theirs""#, r#""theirs""#));
    install(&workspace, "other", &["--prune"]);
    assert!(!out.join("plain").exists() && out.join("theirs").exists());
}

#[test]
fn pruning_follows_no_link_that_took_the_place_of_a_directory() {
    let workspace = project();
    let (out, elsewhere) = (workspace.beside("out"), workspace.beside("elsewhere"));
    install(&workspace, "all", &[]);
    fs::rename(out.join("t"), &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, out.join("t")).unwrap();
    workspace.file("TARGETS", TARGETS.replace(r#""deps": ["tree"], "#, ""));
    install(&workspace, "all", &["--prune"]);
    assert!(elsewhere.join("sub/deep/d").exists() && elsewhere.join("sub/s").exists());
}

#[test]
fn with_a_damaged_record_files_are_compared_and_none_is_removed() {
    let workspace = project();
    let out = workspace.beside("out");
    install(&workspace, "all", &[]);
    let (right, before) = (listing(&out).unwrap(), untouched(&out));
    let records = workspace.build_root().join("taut/installed");
    let record = fs::read_dir(records).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&record).unwrap();
    for at in [0, 20, 60, whole.len() - 1] {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        fs::write(&record, bytes).unwrap();
        workspace.file("TARGETS", TARGETS);
        install(&workspace, "all", &["--prune"]);
        assert_eq!((listing(&out).unwrap(), untouched(&out)), (right.clone(), before.clone()));
    }
}

#[test]
fn a_changed_mode_is_restored() {
    use std::os::unix::fs::PermissionsExt as _;
    let workspace = project();
    let out = workspace.beside("out");
    install(&workspace, "all", &[]);
    for (name, mode, right) in [
        ("plain", 0o755, 0o644),
        ("plain", 0o600, 0o644),
        ("bin/run", 0o644, 0o755),
        ("bin/run", 0o777, 0o755),
    ] {
        let path = out.join(name);
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        install(&workspace, "all", &[]);
        let is = fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        assert_eq!(is, right, "{name} was {mode:o}");
    }
}

#[test]
fn what_is_in_the_place_of_a_file_is_replaced_unless_it_is_a_nonempty_directory() {
    let workspace = project();
    let out = workspace.beside("out");
    let plain = out.join("plain");
    install(&workspace, "all", &[]);
    let right = listing(&out).unwrap();
    fs::remove_file(&plain).unwrap();
    fs::create_dir(&plain).unwrap();
    install(&workspace, "all", &[]);
    assert_eq!(listing(&out).unwrap(), right);
    fs::remove_file(&plain).unwrap();
    fs::write(workspace.beside("mine"), "mine\n").unwrap();
    std::os::unix::fs::symlink(workspace.beside("mine"), &plain).unwrap();
    install(&workspace, "all", &[]);
    assert_eq!(listing(&out).unwrap(), right);
    assert_eq!(fs::read_to_string(workspace.beside("mine")).unwrap(), "mine\n");
    fs::remove_file(&plain).unwrap();
    fs::create_dir(&plain).unwrap();
    fs::write(plain.join("mine"), "mine\n").unwrap();
    let words = ["install", "all", "-o", &out.display().to_string()];
    let ran = workspace.run(&taut(), words).exits(1);
    assert!(ran.stderr.contains("plain: there is a directory that is not empty"), "{}", ran.stderr);
    assert_eq!(fs::read_to_string(plain.join("mine")).unwrap(), "mine\n");
}

#[test]
fn files_replace_pruned_directories_and_the_reverse() {
    let workspace = Workspace::new();
    let out = workspace.beside("out");
    let names = || listing(&out).unwrap().into_keys().collect::<Vec<_>>();
    let files = |files: &str| {
        workspace.file("TARGETS", format!(r#"{{"all": {{"type": "install", "files": {{{files}}}}}}}"#));
    };
    workspace.file("a.txt", "a\n");
    files(r#""x/y/z": "a.txt", "v": "a.txt""#);
    install(&workspace, "all", &[]);
    files(r#""x": "a.txt", "v/w": "a.txt""#);
    let words = ["install", "all", "-o", &out.display().to_string()];
    workspace.run(&taut(), words).exits(1);
    install(&workspace, "all", &["--prune"]);
    assert_eq!(names(), ["v", "v/w", "x"]);
    files(r#""x/y/z": "a.txt", "v": "a.txt""#);
    fs::write(out.join("x"), "changed since\n").unwrap();
    // What a user changed stays, also where it is in the way.
    workspace.run(&taut(), [&words[..], &["--prune"]].concat()).exits(1);
    assert_eq!(fs::read_to_string(out.join("x")).unwrap(), "changed since\n");
}

/// Where the reference installs it, too; what is in place is left alone, and pruned like anything else.
#[test]
fn a_path_with_dots_that_stays_inside_is_installed() {
    let workspace = Workspace::new();
    workspace.file("f", "content\n");
    workspace.file("TARGETS", r#"{"t": {"type": "install", "files": {"x/../d": "f", "y/./e": "f"}}}"#);
    let out = workspace.beside("out");
    install(&workspace, "t", &[]);
    let before = untouched(&out);
    assert_eq!(fs::read(out.join("d")).unwrap(), b"content\n");
    assert_eq!(fs::read(out.join("y/e")).unwrap(), b"content\n");
    assert_eq!(before.len(), 4, "{before:?}");
    install(&workspace, "t", &[]);
    assert_eq!(untouched(&out), before);
    workspace.file("TARGETS", r#"{"t": {"type": "install", "files": {"y/./e": "f"}}}"#);
    install(&workspace, "t", &["--prune"]);
    assert!(!out.join("d").exists());
    assert_eq!(fs::read(out.join("y/e")).unwrap(), b"content\n");
}
