//! Diagnostics for programs: `docs/diagnostics.md` holds an example, and this runs it.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{fs, path::Path};

use taut_syntax::json::{Document, Node};
use taut_testkit::{Tool, Workspace};

fn taut() -> Tool {
    Tool::at(env!("CARGO_BIN_EXE_taut"))
}

/// The call's exit code, and the file it writes.
fn written(workspace: &Workspace, words: &[&str]) -> (i32, Document) {
    let file = workspace.beside("diagnostics.json");
    let path = file.to_string_lossy().into_owned();
    let mut all = vec![words[0], "--diagnostics", &path];
    all.extend(&words[1..]);
    let ran = workspace.run(&taut(), &all);
    (ran.code, Document::parse("diagnostics.json", fs::read(file).unwrap()).unwrap())
}

fn messages(document: &Document) -> Vec<String> {
    let all = document.root().get("diagnostics").expect("a list");
    let text = |node: Node<'_>| {
        let key = |key| node.get(key).and_then(|text| text.as_str()).unwrap_or_default();
        format!("{}: {}", key("severity"), key("message"))
    };
    all.items().map(text).collect()
}

#[test]
fn the_example_in_the_documentation_is_right() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/diagnostics.md");
    let page = fs::read_to_string(page).unwrap();
    let blocks: Vec<&str> =
        page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    let workspace = Workspace::new();
    workspace.file("TARGETS", blocks[0]);
    let (code, written) = written(&workspace, &["analyse", "app"]);
    assert_eq!(code, 8);
    let documented = blocks[1].replace("/home/me/project", &workspace.root().to_string_lossy());
    let documented = Document::parse("docs/diagnostics.md", documented).unwrap();
    assert_eq!(
        written.root().canonical_hash(),
        documented.root().canonical_hash(),
        "docs/diagnostics.md has\n{}\nbut written is\n{}",
        documented.text(),
        written.text()
    );
}

#[test]
fn the_file_is_written_however_a_call_ends() {
    let workspace = Workspace::new();
    workspace.file(
        "TARGETS",
        r#"{"fine": {"type": "file_gen"}, "odd": {"type": "file_gen", "nmae": "x"},
            "fails": {"type": "generic", "outs": ["o"], "cmds": ["exit 3"]}}"#,
    );
    let (code, document) = written(&workspace, &["analyse", "fine"]);
    assert_eq!((code, messages(&document)), (0, vec![]));

    let unexpected = r#"warning: target :odd has the unknown field "nmae""#.to_owned();
    for _ in 0..2 {
        // Also if the call is replayed.
        let (code, document) = written(&workspace, &["build", "odd"]);
        assert_eq!((code, messages(&document)), (0, vec![unexpected.clone()]));
    }

    let (code, document) = written(&workspace, &["build", "fails"]);
    assert_eq!(
        (code, messages(&document)[0].as_str()),
        (1, "error: TARGETS:2: :fails: building o failed (exit code 3)\nexit 3")
    );
    let about = document.root().get("diagnostics").and_then(|all| all.item(0)?.get("about")?.as_str());
    assert!(about.is_some_and(|about| about.starts_with("action:")), "{about:?}");

    let (code, document) = written(&workspace, &["analyse", "-D", "[]", "fine"]);
    assert_eq!((code, messages(&document).len()), (1, 1));
    let location = document.root().get("diagnostics").and_then(|all| all.item(0)?.get("location"));
    assert_eq!(location.and_then(|at| at.get("file")?.as_str()), Some("-D"));

    let (code, document) = written(&workspace, &["describe", "--rule", "no such"]);
    assert_eq!((code, messages(&document).len()), (8, 1));
}

#[test]
fn a_dash_is_standard_output() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{"odd": {"type": "file_gen", "nmae": "x"}}"#);
    let ran = workspace.run(&taut(), ["build", "odd", "--diagnostics", "-"]).exits(0);
    let document = Document::parse("standard output", ran.stdout).unwrap();
    assert_eq!(messages(&document).len(), 1);
    assert!(!workspace.root().join("-").exists());
}

#[test]
fn an_error_shown_once_for_many_targets_is_in_the_file_for_each() {
    let workspace = Workspace::new();
    workspace
        .file(
            "TARGETS",
            r#"{"t": {"type": "install", "deps": ["a", "b"]}, "a": {"type": "r"}, "b": {"type": "r"}}"#,
        )
        .file("RULES", r#"{"r": {"expression": {"type": "basename", "$1": 1}}}"#);
    let (_, document) = written(&workspace, &["analyse", "t"]);
    assert_eq!(messages(&document).len(), 2);
    let ran = workspace.run(&taut(), ["analyse", "t"]);
    assert_eq!(ran.stderr.matches("error: ").count(), 1, "{}", ran.stderr);
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_before_anything_is_analysed() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{"t": {"type": "file_gen"}, "bad": {}}"#);
    let call = |target| workspace.run(&taut(), ["analyse", "--diagnostics", "no/such/file", target]).code;
    assert_eq!((call("t"), call("bad")), (16, 16));
}

#[test]
fn under_the_name_just_there_is_no_such_option() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{"t": {"type": "file_gen"}}"#);
    let just = workspace.beside("just");
    std::os::unix::fs::symlink(taut().path(), &just).unwrap();
    let just = Tool::at(&just);
    let words = ["analyse", "--diagnostics", "x", "t"];
    assert_eq!(workspace.run(&just, words).code, 32);
    let help = just.run(&workspace.root(), ["analyse", "--help"]).stdout;
    assert!(help.contains("--log-limit") && !help.contains("--diagnostics"), "{help}");
}

#[test]
fn thousands_of_errors_along_a_chain_are_all_reported_in_order() {
    const LENGTH: usize = 3_000;
    let workspace = Workspace::new();
    let target = |i: usize| {
        let next = if i + 1 < LENGTH { format!("\"{}\", ", i + 1) } else { String::new() };
        format!("\"{i}\": {{\"type\": \"install\", \"deps\": [\"missing {i}\", {next}\"missing too {i}\"]}}")
    };
    let targets: Vec<String> = (0..LENGTH).map(target).collect();
    workspace.file("TARGETS", format!("{{{}}}", targets.join(",\n")));
    let ran = workspace.run(&taut(), ["analyse", "--log-limit", "0", "0"]).exits(8);
    let errors: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("error: ")).collect();
    assert_eq!(errors.len(), 2 * LENGTH);
    assert!(
        errors[0].contains("\"missing 0\"")
            && errors[LENGTH - 1].contains(&format!("\"missing {}\"", LENGTH - 1))
    );
    assert!(errors[LENGTH].contains(&format!("\"missing too {}\"", LENGTH - 1)), "{}", errors[LENGTH]);
    assert!(errors[2 * LENGTH - 1].contains("\"missing too 0\""));
}

#[test]
fn an_error_below_a_node_with_many_paths_to_it_is_reported_once() {
    let workspace = Workspace::new();
    workspace.file("TARGETS", r#"{"t": {"type": "consume", "deps": ["p"]}, "p": {"type": "provide"}}"#).file(
        "RULES",
        r#"{ "provide": {"expression": {"type": "RESULT", "provides": {"type": "singleton_map", "key": "nodes", "value":
               [{ "type": "foldl", "range": {"type": "range", "$1": 60}, "start": {"type": "ABSTRACT_NODE", "node_type": "leaf"}
                , "body": {"type": "ABSTRACT_NODE", "node_type": "pair", "target_fields": {"type": "`", "$1":
                    {"a": [{"type": ",", "$1": {"type": "var", "name": "$1"}}], "b": [{"type": ",", "$1": {"type": "var", "name": "$1"}}]}}}}]}}}
           , "consume":
             { "target_fields": ["deps"], "expression": {"type": "RESULT"}
             , "anonymous": {"nodes": {"target": "deps", "provider": "nodes", "rule_map": {"pair": "pair", "leaf": "leaf"}}}
             }
           , "pair": {"target_fields": ["a", "b"], "expression": {"type": "RESULT"}}
           , "leaf": {"expression": {"type": "fail", "msg": "at the leaf"}}
           }"#,
    );
    let (code, document) = written(&workspace, &["analyse", "t"]);
    assert_eq!((code, messages(&document)), (8, vec!["error: at the leaf".to_owned()]));
}
