//! Obstacles for a new user, each as a test: a value too large to be kept, a failed call after which `explain` had
//! nothing to show, a relative home directory, failures that a script ignored, directories of actions in objects.
//!
//! Suggestions, outputs that are not files, dependencies that contribute nothing and a graph written to `-` are in
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

#[test]
fn a_rule_by_the_name_of_another_build_system_leads_to_the_one_in_the_box_which_exists() {
    let workspace = Workspace::new();
    for (written, meant) in [
        (r#""cc_binary""#, r#"["@", "std", "cc", "binary"]"#),
        (r#""cc_library""#, r#"["@", "std", "cc", "library"]"#),
        (r#""cc_test""#, r#"["@", "std", "cc", "test"]"#),
        (r#""py_binary""#, r#"["@", "std", "python", "binary"]"#),
        (r#""py_library""#, r#"["@", "std", "python", "library"]"#),
        (r#""py_test""#, r#"["@", "std", "python", "test"]"#),
        (r#""rust_binary""#, r#"["@", "std", "rust", "binary"]"#),
        (r#""rust_library""#, r#"["@", "std", "rust", "library"]"#),
        (r#""rust_test""#, r#"["@", "std", "rust", "test"]"#),
        (r#""sh_binary""#, r#"["@", "std", "shell", "script"]"#),
        (r#""sh_test""#, r#"["@", "std", "shell", "test"]"#),
        (r#""proto_library""#, r#"["@", "std", "proto", "library"]"#),
        (r#""genrule""#, r#"["@", "std", "", "genrule"]"#),
        (r#""filegroup""#, r#"["@", "std", "", "files"]"#),
        (r#""copy_file""#, r#"["@", "std", "", "copy"]"#),
        (r#""pkg_tar""#, r#"["@", "std", "", "archive"]"#),
        (r#""test_suite""#, r#"["@", "std", "", "suite"]"#),
        (r#"["cc", "binary"]"#, r#"["@", "std", "cc", "binary"]"#),
        (r#"["@", "std", "CC", "binary"]"#, r#"["@", "std", "cc", "binary"]"#),
        (r#"["@", "std", "cc", "program"]"#, r#"["@", "std", "cc", "binary"]"#),
    ] {
        workspace.file("TARGETS", format!(r#"{{"x": {{"type": {written}}}}}"#));
        let failed = workspace.run(&taut(), ["analyse", "x"]).exits(8).stderr;
        assert!(failed.contains(&format!("did you mean {meant}?")), "{written}: {failed}");
        // It is applicable as it is: whatever is wrong then, the rule is known.
        workspace.file("TARGETS", format!(r#"{{"x": {{"type": {meant}}}}}"#));
        let next = workspace.run(&taut(), ["analyse", "x"]).stderr;
        assert!(!next.contains("unknown rule"), "{meant}: {next}");
    }
    // Of several, and of none.
    workspace.file("TARGETS", r#"{"x": {"type": "binary"}, "y": {"type": "java_library"}}"#);
    let failed = workspace.run(&taut(), ["analyse", "x"]).exits(8).stderr;
    let list = r#"have ["@", "std", "cc", "binary"], ["@", "std", "python", "binary"], ["@", "std", "rust", "binary"]"#;
    assert!(failed.contains(list), "{failed}");
    let failed = workspace.run(&taut(), ["analyse", "y"]).exits(8).stderr;
    assert!(failed.contains("the built-in rules are"), "{failed}");
    // A repository of that name is the user's.
    let own = Workspace::new();
    own.file("TARGETS", r#"{"x": {"type": "cc_binary"}}"#).file("other/RULES", "{}").file(
        "c.json",
        r#"{"main": "m", "repositories": {"m": {"workspace_root": ["file", "."], "bindings": {"std": "o"}}, "o": {"workspace_root": ["file", "other"]}}}"#,
    );
    let failed = own.run(&taut(), ["analyse", "-C", "c.json", "x"]).exits(8).stderr;
    assert!(!failed.contains("std"), "{failed}");
}

#[test]
fn a_pattern_for_another_directory_is_a_warning_since_it_matches_nothing() {
    let workspace = Workspace::new();
    workspace.file("src/a.c", "").file(
        "TARGETS",
        "{\"x\": {\"type\": [\"@\", \"std\", \"\", \"files\"],\n  \"srcs\": [[\"GLOB\", null, \"src/*.c\"]]},\n \"y\": {\"type\": \"install\", \"deps\": [[\"GLOB\", null, \"src/*.c\"]]}}",
    );
    for (target, place) in [("x", "TARGETS:2:12"), ("y", "TARGETS:3:36")] {
        let warned = workspace.run(&taut(), ["analyse", target]).exits(0).stderr;
        assert!(warned.contains("glob src/*.c matches nothing"), "{warned}");
        assert!(warned.contains(place), "{warned}");
    }
    let just = taut().called("just");
    assert!(!workspace.run(&just, ["analyse", "y"]).exits(0).stderr.contains("matches nothing"));
}

#[test]
fn of_many_warnings_that_say_the_same_one_is_shown_with_the_number_of_the_others() {
    let workspace = Workspace::new();
    let made = |n: usize| format!(r#""p{n}": {{"type": "generic", "outs": ["p{n}"], "cmds": [": > p{n}"]}}"#);
    let all: Vec<String> = (0..200).map(made).collect();
    let names: Vec<String> = (0..200).map(|n| format!("\"p{n}\"")).collect();
    workspace.file(
        "TARGETS",
        format!(
            "{{{}, \"all\": {{\"type\": \"install\", \"deps\": [{}]}}}}",
            all.join(",\n"),
            names.join(",\n")
        ),
    );
    let warned = workspace.run(&taut(), ["analyse", "all", "--diagnostics", "d.jsonl"]).exits(0).stderr;
    assert_eq!(warned.matches("contributes nothing").count(), 1, "{warned}");
    assert!(warned.contains("warning: 199 more like this one; -v shows all\n"), "{warned}");
    let verbose = workspace.run(&taut(), ["analyse", "-v", "all"]).exits(0).stderr;
    assert_eq!(verbose.matches("contributes nothing").count(), 200);
    let collected = fs::read_to_string(workspace.root().join("d.jsonl")).unwrap();
    let lines = collected.lines().filter(|line| line.contains("contributes nothing"));
    assert_eq!(lines.count(), 200, "programs get all");
}

#[test]
fn an_output_that_is_no_file_is_an_error_of_analysis_and_as_in_the_reference_under_its_name() {
    let workspace = Workspace::new();
    workspace.file("RULES", r#"{"made": {"string_fields": ["name"], "expression": {"type": "RESULT", "artifacts": {"type": "ACTION",
        "outs": [{"type": "join", "$1": {"type": "FIELD", "name": "name"}}], "cmd": ["true"]}}}}"#);
    workspace.file(
        "TARGETS",
        r#"{"a": {"type": "generic", "outs": [""], "cmds": ["true"]},
        "b": {"type": "generic", "outs": ["x", "./."], "cmds": ["true"]},
        "c": {"type": "made"}, "d": {"type": "made", "name": ["fine"]}}"#,
    );
    for (target, place) in [("a", "TARGETS:1:36"), ("b", "TARGETS:2:"), ("c", "RULES:2:18")] {
        let failed = workspace.run(&taut(), ["analyse", target]).exits(8).stderr;
        assert!(failed.contains("the directory of the action itself"), "{failed}");
        assert!(failed.contains(place), "{target}: {failed}");
        assert!(failed.contains(&format!("in target :{target}, TARGETS")), "{failed}");
    }
    for target in ["a", "c"] {
        workspace.run(&taut().called("just"), ["analyse", target]).exits(0);
    }
    workspace.run(&taut(), ["analyse", "d"]).exits(0);
}
