//! What stood in the way of a new user, each as a test: a value that was too large to be kept, a failed call that made
//! `explain` forget, a relative home directory, failures that a script passed over, directories of actions in objects.
//!
//! Suggestions, outputs that are no files, dependencies that contribute nothing and a graph written to `-` are in
//! `diagnostics/first_hour.md`; `-v` and `gc` are in `messages/build.md` and `messages/gc.md`.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::fs;

use taut_testkit::{Tool, Workspace};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// Whether a page has a sentence, wherever its lines end.
fn says(page: &str, sentence: &str) -> bool {
    page.split_whitespace().collect::<Vec<_>>().join(" ").contains(sentence)
}

/// A target that copies a source by a script of so many bytes, at least.
fn copy_by_script(length: usize) -> Workspace {
    let workspace = Workspace::new();
    let comments: Vec<String> = (0..length / 100).map(|n| format!("\"# {n:0>100}\"")).collect();
    let commands = [&["\"cat in > out\"".to_owned()][..], &comments].concat().join(",");
    let targets = format!(
        r#"{{"copy": {{"type": "generic", "outs": ["out"], "deps": ["in"], "cmds": [{commands}]}}}}"#
    );
    workspace.file("TARGETS", targets).file("in", "1\n");
    workspace
}

#[test]
fn no_definition_is_too_large_to_be_kept() {
    let workspace = copy_by_script(60_000);
    workspace.run(&taut(), ["build", "copy"]).exits(0);
    let answer = workspace.run(&taut(), ["what-if", "in"]).exits(0).stdout;
    let expected = "analyse at most 0 of 1 targets,\nrun at most 1 of 1 actions.";
    assert!(answer.contains(expected), "{answer}");
    workspace.file("in", "2\n");
    workspace.run(&taut(), ["build", "copy"]).exits(0);
    let answer = workspace.run(&taut(), ["explain", "copy"]).exits(0).stdout;
    let expected = ["0 targets analysed, 1 action run", "since the source file in changed"];
    assert!(expected.iter().all(|line| answer.contains(line)), "{answer}");
}

#[test]
fn a_call_that_executed_nothing_makes_nothing_forgotten() {
    let workspace = copy_by_script(0);
    workspace.run(&taut(), ["build", "copy"]).exits(0);
    assert_ne!(workspace.run(&taut(), ["build", "copi"]).code, 0);
    let answer = workspace.run(&taut(), ["explain", "copy"]).exits(0).stdout;
    assert!(answer.starts_with("Last build with work to do: build :copy"), "{answer}");
    let answer = workspace.run(&taut(), ["what-if", "in"]).exits(0).stdout;
    assert!(answer.contains("building :copy would"), "{answer}");
}

#[test]
fn a_relative_home_directory_is_relative_to_the_working_directory() {
    let workspace = copy_by_script(0);
    let tool = taut().with_env("HOME", "home");
    tool.run(&workspace.root(), ["build", "copy"]).exits(0);
    assert!(workspace.root().join("home").is_dir());
    tool.run(&workspace.root(), ["install", "copy", "-o", "out"]).exits(0);
    assert_eq!(fs::read_to_string(workspace.root().join("out/out")).unwrap(), "1\n");
}

#[test]
fn the_rules_in_the_box_stop_at_the_first_failure_and_generic_does_not() {
    let workspace = Workspace::new();
    let targets = r#"{
        "goes on": {"type": "generic", "outs": ["out"], "cmds": ["false", "echo fine > out"]},
        "stops": {"type": ["@", "std", "", "genrule"], "outs": ["out"], "cmds": ["false", "echo fine > out"]}
    }"#;
    workspace.file("TARGETS", targets);
    workspace.run(&taut(), ["build", "goes on"]).exits(0);
    workspace.run(&taut(), ["build", "stops"]).exits(1);
}

#[test]
fn objects_with_debug_information_do_not_have_the_directory_of_their_action() {
    let workspace = Workspace::new();
    let targets = r#"{"a": {"type": ["@", "std", "cc", "binary"], "name": ["a"], "srcs": ["src/a.c"], "cflags": ["-g3"]}}"#;
    workspace.file("TARGETS", targets).file("src/a.c", "int main(void) { return 0; }\n");
    workspace.run(&taut(), ["build", "a"]).exits(0);
    let again = workspace.run(&taut(), ["rebuild", "a"]).exits(0);
    assert!(
        again.stderr.contains("3 actions run again and compared with the cache, none differs"),
        "{}",
        again.stderr
    );
    // White space: the object is as before, so nothing is linked.
    workspace.file("src/a.c", "int main(void) { return 0; } \n");
    let edited = workspace.run(&taut(), ["build", "a"]).exits(0);
    assert!(edited.stderr.contains(": 1 action run"), "{}", edited.stderr);
}

#[test]
fn an_action_sees_what_the_user_can_read_and_the_manual_says_so() {
    let workspace = Workspace::new();
    let beside = workspace.beside("undeclared");
    fs::write(&beside, "1").unwrap();
    let command = format!("cat {} > out", beside.display());
    let targets = format!(r#"{{"a": {{"type": "generic", "outs": ["out"], "cmds": ["{command}"]}}}}"#);
    workspace.file("TARGETS", targets);
    workspace.run(&taut(), ["build", "a"]).exits(0);
    let manual = include_str!("../../../docs/security.md");
    assert!(
        manual
            .contains("**Reading.** An action can read whatever the user can: files that it did not declare")
    );
}

#[test]
fn a_relative_root_is_relative_to_the_working_directory_as_in_the_reference_and_the_manual_says_so() {
    let workspace = Workspace::new();
    let file = |text: &str| format!(r#"{{"a": {{"type": "file_gen", "data": "{text}"}}}}"#);
    workspace.file("TARGETS", file("above")).file("sub/TARGETS", file("below"));
    workspace.file("c.json", r#"{"main": "m", "repositories": {"m": {"workspace_root": ["file", "."]}}}"#);
    let root = workspace.build_root().display().to_string();
    for (directory, configuration, expected) in [("", "c.json", "above"), ("sub", "../c.json", "below")] {
        let words = ["build", "--local-build-root", &root, "-C", configuration, "a", "-P", "out.txt"];
        let printed = taut().run(&workspace.root().join(directory), words).exits(0).stdout;
        assert_eq!(printed, expected);
    }
    let manual = include_str!("../../../docs/language.md");
    assert!(says(manual, "`[\"file\", \".\"]` is another root when it is called in a subdirectory"));
}

#[test]
fn the_engine_s_guide_says_when_values_are_encoded() {
    let guide = include_str!("../../../docs/engine.md");
    assert!(says(guide, "for the others, `encode_value` is never called"));
}
