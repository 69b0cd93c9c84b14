//! Nodes share their parts: each part is made, hashed, printed, dumped, exported, analysed and stored once, however
//! many paths lead to it.
//!
//! The node here has sixty levels of two children that are the same: were it unfolded anywhere, this test
//! would not end.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::collections::BTreeSet;

use serde_json::Value;
use taut_testkit::{Tool, Workspace, processed};

const LEVELS: usize = 60;

const TARGETS: &str = r#"
{ "describe": {"type": "describe", "arguments_config": ["LEAF"], "leaf": [{"type": "var", "name": "LEAF", "default": "leaf"}]}
, "use": {"type": "use", "deps": ["describe"]}
, "exported": {"type": "export", "target": "describe", "flexible_config": ["LEAF"]}
, "through export": {"type": "use", "deps": ["exported"]}
, "both": {"type": "install", "dirs": [["use", "a"], ["through export", "b"]]}
}"#;

const RULES: &str = r#"
{ "describe":
  { "string_fields": ["leaf"]
  , "expression":
    { "type": "RESULT"
    , "provides":
      { "type": "singleton_map", "key": "nodes", "value":
        [{ "type": "foldl", "range": {"type": "range", "$1": 60}
         , "start": {"type": "ABSTRACT_NODE", "node_type": "n", "string_fields":
             {"type": "singleton_map", "key": "name", "value": {"type": "FIELD", "name": "leaf"}}}
         , "body": {"type": "ABSTRACT_NODE", "node_type": "n"
           , "string_fields": {"type": "'", "$1": {"name": ["inner"]}}
           , "target_fields": {"type": "singleton_map", "key": "deps", "value":
               [{"type": "var", "name": "$1"}, {"type": "var", "name": "$1"}]}}}]}}}
, "n":
  { "string_fields": ["name"], "target_fields": ["deps"]
  , "expression":
    { "type": "let*"
    , "bindings":
      [["below", {"type": "disjoint_map_union", "$1":
        {"type": "foreach", "range": {"type": "FIELD", "name": "deps"}, "body":
          {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}]]
    , "body": {"type": "RESULT", "artifacts": {"type": "ACTION", "inputs": {"type": "var", "name": "below"}
      , "outs": [{"type": "join", "$1": {"type": "FIELD", "name": "name"}}]
      , "cmd": ["sh", "-c", {"type": "join", "$1": ["cat * > all 2>/dev/null; (cat all; echo) > ", {"type": "join_cmd", "$1": {"type": "FIELD", "name": "name"}}]}]}}}}
, "use":
  { "target_fields": ["deps"]
  , "anonymous": {"made": {"target": "deps", "provider": "nodes", "rule_map": {"n": "n"}}}
  , "expression":
    { "type": "let*"
    , "bindings": [["made", {"type": "[]", "index": 0, "list": {"type": "FIELD", "name": "made"}}]]
    , "body": {"type": "RESULT", "artifacts": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "made"}}
      , "provides": {"type": "singleton_map", "key": "passed on", "value":
        {"type": "DEP_PROVIDES", "dep": {"type": "[]", "index": 0, "list": {"type": "FIELD", "name": "deps"}}
        , "provider": "nodes"}}}}}
}"#;

const DUMPS: [&str; 14] = [
    "actions",
    "anonymous",
    "artifacts-to-build",
    "blobs",
    "export-targets",
    "graph",
    "nodes",
    "plain-graph",
    "provides",
    "result",
    "targets",
    "targets-graph",
    "trees",
    "vars",
];

#[test]
fn sixty_levels_of_two_shared_children_take_sixty_steps() {
    let taut = Tool::at(env!("CARGO_BIN_EXE_taut"));
    let workspace = Workspace::new();
    workspace.file("TARGETS", TARGETS).file("RULES", RULES);
    let dump = |name: &str| workspace.beside(name).display().to_string();
    for target in ["describe", "use", "exported", "through export", "both"] {
        let mut words = vec!["analyse".to_owned(), target.to_owned()];
        words.extend(DUMPS.iter().flat_map(|name| [format!("--dump-{name}"), dump(name)]));
        let ran = workspace.run(&taut, &words).exits(0);
        assert!(ran.stderr.len() < 4_000, "{target}: {}", ran.stderr);
        workspace.run(&taut, ["describe", target]).exits(0);
    }
    // Of the last one: each level once, though two targets lead to it, and an export.
    let read = |name: &str| std::fs::read_to_string(workspace.beside(name)).unwrap();
    for name in DUMPS {
        assert!(read(name).len() < 200_000, "--dump-{name}");
    }
    let json = |name: &str| -> Value { serde_json::from_str(&read(name)).unwrap() };
    let nodes: BTreeSet<String> = json("anonymous")["nodes"].as_object().unwrap().keys().cloned().collect();
    assert_eq!(nodes.len(), LEVELS + 1);
    assert_eq!(json("graph")["actions"].as_object().unwrap().len(), LEVELS + 1);

    let build = |words: &[&str]| workspace.run(&taut, ["build", "both"].iter().chain(words)).exits(0).stderr;
    let first = build(&[]);
    assert!(processed(&first) == Some((61, 0)), "{first}");
    assert_eq!(processed(&build(&[])), Some((61, 61)));
    // Recorded parts of the nodes are used when something else has changed.
    workspace.file("TARGETS", TARGETS.replace("\"b\"]", "\"c\"]"));
    assert!(processed(&build(&[])) == Some((61, 61)));
    assert!(processed(&build(&["--no-trace"])) == Some((61, 61)));
    let other = build(&["-D", r#"{"LEAF": "other"}"#]);
    assert!(processed(&other).is_some_and(|(all, _)| all == 61), "{other}");
}
