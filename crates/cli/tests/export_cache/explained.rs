//! What `explain` says of actions below export targets that the target-level cache has.

use serde_json::json;

use crate::project::{Project, taut};

/// The id of an action in what `explain` printed.
fn id_in(text: &str) -> &str {
    let (_, after) = text.split_once("Action %").expect(text);
    after.split(' ').next().expect("a word")
}

#[test]
fn an_action_below_a_cached_export_target_is_named_by_the_build_that_ran_it() {
    let project = Project::new();
    let tree = project.tree(&[(
        "TARGETS",
        r#"{"e": {"type": "export", "target": "inner"},
            "inner": {"type": "generic", "outs": ["o"], "cmds": ["echo 1 > o"]}}"#,
    )]);
    project.workspace.file(
        "TARGETS",
        r#"{"all": {"type": "generic", "outs": ["all"], "cmds": ["cat o f > all"], "deps": ["f", ["@", "e", "", "e"]]}}"#,
    );
    project.configure(&[("e", json!({"workspace_root": project.root(&tree)}))]);
    project.workspace.file("f", "1");
    project.run(&taut(), &["build", "all"]).exits(0);
    let explained = project.run(&taut(), &["explain", "@e//:inner"]).exits(0).stdout;
    let action = format!("%{}", id_in(&explained));
    assert!(
        project
            .run(&taut(), &["explain", &action])
            .exits(0)
            .stdout
            .contains(" ran: no earlier run of it is recorded.\n")
    );
    project.workspace.file("f", "2");
    project.run(&taut(), &["build", "all"]).exits(0);
    let explained = project.run(&taut(), &["explain", &action]).exits(0).stdout;
    for expected in [
        format!("No action has an id that begins with {action}.\n"),
        "Nothing is known of what is below export target @e//:e: the target-level cache has the result.\n"
            .to_owned(),
        "An earlier build had one: build ".to_owned(),
        format!("  action {action} (@e//:inner#0: o)\n"),
    ] {
        assert!(explained.contains(&expected), "{expected:?} is not in\n{explained}");
    }
    // A target below, and an action that no build had.
    let unknown = project.run(&taut(), &["explain", "@e//:inner"]).exits(1).stdout;
    assert!(unknown.contains("below export target @e//:e"), "{unknown}");
    let unknown = project.run(&taut(), &["explain", "%0123456789abcdef"]).exits(1).stdout;
    assert!(!unknown.contains("An earlier build"), "{unknown}");
}
