//! Objects of the store that are lost or damaged are made again, wherever below a result or an input they are.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Command,
};

use taut_testkit::{Rng, Tool, ToolResult, Workspace, listing, processed, times};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

const TARGETS: &str = r#"{
  "all": {"type": "install", "files": {"made": "made", "tree": "tree", "sources": ["TREE", null, "d"], "use": "use",
    "plain": "plain", "tool": "tool"}},
  "made": {"type": "generic", "out_dirs": ["made"], "cmds": ["mkdir -p made/a/b; echo 1 > made/a/b/c; echo 2 > made/z"]},
  "tree": {"type": "tree", "name": "tree", "deps": ["plain", "d/e/f", "made"]},
  "plain": {"type": "generic", "outs": ["plain"], "cmds": ["echo echo > plain"]},
  "tool": {"type": "generic", "outs": ["tool"], "deps": ["plain"], "cmds": ["cp plain tool; chmod 755 tool"]},
  "use": {"type": "generic", "outs": ["use"], "deps": ["made", "tree", "d/e/f", "other.txt"],
    "cmds": ["cat $(find made tree d -type f | LC_ALL=C sort) other.txt > use"]}
}"#;

fn project() -> Workspace {
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("d/e/f", "f\n").file("d/g/h/i", "i\n").file("other.txt", "0\n");
    workspace
}

fn install(workspace: &Workspace, out: &Path) -> ToolResult {
    let _ = fs::remove_dir_all(out);
    workspace.run(&taut(), ["install", "all", "-o", &out.display().to_string()])
}

/// All files of the store of some kinds.
fn objects(workspace: &Workspace, kinds: &[&str]) -> Vec<PathBuf> {
    let store = workspace.build_root().join("protocol-dependent/generation-0/git-sha1");
    let below = |path: PathBuf| fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut all: Vec<PathBuf> =
        kinds.iter().flat_map(|kind| below(store.join(kind)).flat_map(below)).collect();
    all.sort();
    all
}

/// Removes a file, or leaves other content of the same size there.
fn spoil(path: &Path, remove: bool) {
    let (mut bytes, mode) = (fs::read(path).unwrap(), fs::metadata(path).unwrap().permissions());
    fs::remove_file(path).unwrap();
    if !remove && !bytes.is_empty() {
        let at = bytes.len() / 2;
        bytes[at] ^= 4;
        fs::write(path, bytes).unwrap();
        fs::set_permissions(path, mode).unwrap();
    }
}

#[test]
fn lost_or_damaged_objects_of_a_result_are_made_again() {
    let workspace = project();
    let (out, anew) = (workspace.beside("out"), workspace.beside("anew"));
    install(&workspace, &out).exits(0);
    let right = listing(&out).unwrap();
    let mut rng = Rng::new(3);
    for kind in ["casf", "cast", "casx"] {
        for remove in [true, false] {
            let all = objects(&workspace, &[kind]);
            for _ in 0..times(3) {
                let object = &all[rng.below(all.len())];
                if !object.is_file() {
                    continue;
                }
                spoil(object, remove);
                let stderr = install(&workspace, &anew).exits(0).stderr;
                assert_eq!(listing(&anew).unwrap(), right, "{object:?}, removed: {remove}\n{stderr}");
            }
        }
    }
}

#[test]
fn lost_or_damaged_objects_of_an_input_are_made_again() {
    let workspace = project();
    let (out, anew) = (workspace.beside("out"), workspace.beside("anew"));
    install(&workspace, &out).exits(0);
    let mut rng = Rng::new(5);
    for round in 1..=times(6) {
        let all = objects(&workspace, &["casf", "cast", "casx"]);
        for _ in 0..3 {
            let object = &all[rng.below(all.len())];
            if object.is_file() {
                spoil(object, rng.chance(50));
            }
        }
        // Now the action has to run, and reads all of its inputs.
        workspace.file("other.txt", format!("{round}\n"));
        let stderr = install(&workspace, &anew).exits(0).stderr;
        let used = fs::read_to_string(anew.join("use")).unwrap();
        assert_eq!(used, format!("f\n1\n2\nf\n1\n2\necho\n{round}\n"), "{stderr}");
    }
}

#[test]
fn a_loss_is_reported_in_one_line() {
    let workspace = project();
    let out = workspace.beside("out");
    install(&workspace, &out).exits(0);
    // "1\n", which lies only below trees.
    let object = workspace
        .build_root()
        .join("protocol-dependent/generation-0/git-sha1/casf/d0/0491fd7e5bb6fa28c517a0bb32b8b506539d4d");
    fs::remove_file(object).unwrap();
    let words = "objects in the build root were lost or damaged: they are made again";
    let reports = |ran: ToolResult| ran.stderr.lines().filter(|line| line.contains(words)).count();
    assert_eq!(reports(install(&workspace, &out).exits(0)), 1);
    assert_eq!(reports(install(&workspace, &out).exits(0)), 0);
}

#[test]
fn a_directory_or_pipe_in_place_of_a_targets_file_is_no_module_and_is_not_opened() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{"": {"type": "install", "files": {"x": ["m", "x"]}}}"#);
    let targets = r#"{"x": {"type": "file_gen", "name": "x", "data": "x"}}"#;
    workspace.file("m/TARGETS", targets);
    let path = workspace.root().join("m/TARGETS");
    let build = || workspace.run(&taut(), ["build", ""]);
    build().exits(0);
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let stderr = build().exits(8).stderr;
    assert!(stderr.contains("there is no module \"m\""), "{stderr}");
    fs::remove_dir(&path).unwrap();
    workspace.file("m/TARGETS", targets);
    build().exits(0);
    fs::remove_file(&path).unwrap();
    // Where no pipe can be created there is nothing to test.
    if Command::new("mkfifo").arg(&path).status().is_ok_and(|status| status.success()) {
        let stderr = build().exits(8).stderr;
        assert!(stderr.contains("there is no module \"m\""), "{stderr}");
        let stderr = workspace.run(&taut(), ["build", "m", "x"]).exits(8).stderr;
        assert!(stderr.contains("there is no module \"m\""), "{stderr}");
        fs::remove_file(&path).unwrap();
    }
    fs::write(&path, targets).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    build().exits(0);
}

#[test]
fn lost_objects_are_made_again_although_another_action_fails() {
    let workspace = project();
    let more = r#""bad": {"type": "generic", "outs": ["bad"], "cmds": ["echo failing; exit 3"]},
  "both": {"type": "generic", "outs": ["both"], "deps": ["bad", "use"], "cmds": ["touch both"]},
  "beside": {"type": "install", "files": {"bad": "bad", "use": "use"}},"#;
    workspace.file("TARGETS", TARGETS.replacen('{', &format!("{{ {more}"), 1));
    workspace.run(&taut(), ["build", "use"]).exits(0);
    let words = "objects in the build root were lost or damaged: they are made again";
    for (round, target) in ["both", "beside"].iter().enumerate() {
        // "1\n", which lies only below trees that "use" has as inputs.
        let object = workspace
            .build_root()
            .join("protocol-dependent/generation-0/git-sha1/casf/d0/0491fd7e5bb6fa28c517a0bb32b8b506539d4d");
        fs::remove_file(object).unwrap();
        workspace.file("other.txt", format!("{round}, other\n"));
        let stderr = workspace.run(&taut(), ["build", target, "--keep-going"]).exits(1).stderr;
        assert_eq!(stderr.lines().filter(|line| line.contains(words)).count(), 1, "{stderr}");
        assert_eq!(stderr.matches("failed (exit code 3)").count(), 1, "{stderr}");
        let again = workspace.run(&taut(), ["build", "use"]).exits(0).stderr;
        assert!(!again.contains(words) && processed(&again) == Some((3, 3)), "{again}");
    }
}
