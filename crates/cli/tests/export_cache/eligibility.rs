//! Which export targets are cached, and the warning where a user would expect one to be.

use serde_json::json;

use crate::project::{Project, taut};

const TARGETS: &str = r#"{"t": {"type": "file_gen", "name": "t"}, "e": {"type": "export", "target": "t"}}"#;

#[test]
fn a_pinned_repository_that_is_not_content_fixed_is_reported_with_the_reason() {
    let project = Project::new();
    let tree = project.tree(&[("TARGETS", TARGETS)]);
    let root = || project.root(&tree);
    project.workspace.file("dir/TARGETS", TARGETS);
    project.workspace.file(
        "TARGETS",
        r#"{"all": {"type": "install", "dirs": [[["@", "fixed", "", "e"], "f"], [["@", "half", "", "e"], "h"],
             [["@", "near", "", "e"], "n"], [["@", "far", "", "e"], "r"]]},
            "fixed": {"type": "install", "deps": [["@", "fixed", "", "e"]]}}"#,
    );
    project.configure(&[
        ("fixed", json!({"workspace_root": root()})),
        ("directory", json!({"workspace_root": ["file", "dir"]})),
        ("half", json!({"workspace_root": ["file", "dir"], "target_root": root()})),
        ("near", json!({"workspace_root": root(), "bindings": {"d": "directory", "f": "fixed"}})),
        ("far", json!({"workspace_root": root(), "bindings": {"a": "fixed", "n": "near"}})),
    ]);
    let built = project.run(&taut(), &["build", "-v", "all"]).exits(0);
    let dir = project.workspace.root().join("dir");
    let dir = dir.display();
    for expected in [
        format!(
            "export targets of the pinned repository \"half\" are not cached: its workspace_root is the directory {dir}"
        ),
        format!(
            "export targets of the pinned repository \"near\" are not cached: its binding \"d\" leads to repository \
             \"directory\", and its workspace_root is the directory {dir}"
        ),
        format!(
            "export targets of the pinned repository \"far\" are not cached: its bindings \"n\" → \"d\" lead to repository \
             \"directory\", and its workspace_root is the directory {dir}"
        ),
        "help: they are cached if all roots of all repositories that its bindings reach are git trees"
            .to_owned(),
        "4 export targets (1 not cached yet, 3 not eligible for caching)".to_owned(),
    ] {
        assert!(built.stderr.contains(&expected), "{expected} is not in\n{}", built.stderr);
    }
    assert_eq!(built.stderr.matches("warning").count(), 3, "{}", built.stderr);
    assert_eq!(project.stored("tc").len(), 1);
    // Where there is nothing to expect, there is no warning; and the reference has none.
    let fixed = project.run(&taut(), &["build", "fixed"]).exits(0);
    assert!(!fixed.stderr.contains("warning"), "{}", fixed.stderr);
    let just = project.run(&taut().called("just"), &["build", "all"]).exits(0);
    assert!(!just.stderr.contains("WARN"), "{}", just.stderr);
    project.configure(&[("fixed", json!({"workspace_root": ["file", "dir"]}))]);
    let directory = project.run(&taut(), &["build", "fixed"]).exits(0);
    assert!(!directory.stderr.contains("warning"), "{}", directory.stderr);
}

/// The key of a repository changes with anything below it, though its own files are the same.
#[test]
fn another_pin_anywhere_below_is_another_key() {
    let project = Project::new();
    let low = |text: &str| {
        let targets =
            r#"{"t": {"type": "r", "name": ["t"], "deps": ["s"]}, "e": {"type": "export", "target": "t"}}"#;
        project.tree(&[("TARGETS", targets), ("s", text)])
    };
    let high = project.tree(&[(
        "TARGETS",
        r#"{"t": {"type": "r", "name": ["high"], "deps": [["@", "low", "", "e"]]}, "e": {"type": "export", "target": "t"}}"#,
    )]);
    project
        .workspace
        .file("TARGETS", r#"{"all": {"type": "install", "dirs": [[["@", "high", "", "e"], "."]]}}"#);
    let pin = |tree: &str| {
        project.configure(&[
            ("high", json!({"workspace_root": project.root(&high), "bindings": {"low": "low"}})),
            ("low", json!({"workspace_root": project.root(tree)})),
        ]);
        let built = project.run(&taut(), &["install", "-o", "out", "all"]).exits(0);
        (std::fs::read_to_string(project.workspace.root().join("out/o-high")).unwrap(), built.stderr)
    };
    let (one, other) = (low("one\n"), low("other\n"));
    for (tree, text) in [(&one, "one"), (&other, "other"), (&one, "one"), (&other, "other"), (&one, "one")] {
        let (found, stderr) = pin(tree);
        assert_eq!(found, format!("{text}\nnow tnull\nnow highnull\n"), "{stderr}");
    }
    assert_eq!(project.stored("tc").len(), 4);
}
