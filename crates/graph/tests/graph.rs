//! Graph files: written as the reference writes them, read whatever their keys are.
//!
//! The files in `graphs/` were written by the reference (just 1.6.5, `analyse --dump-graph` and
//! `--dump-plain-graph`).

use taut_graph::NamedGraph;

fn read(text: &str) -> NamedGraph {
    NamedGraph::read("graph", text.into()).unwrap()
}

fn error(text: &str) -> String {
    NamedGraph::read("graph", text.into()).unwrap_err().message
}

#[test]
fn a_graph_of_the_reference_is_written_back_byte_for_byte() {
    let with_origins = include_str!("graphs/origins.json");
    let plain = include_str!("graphs/plain.json");
    assert_eq!(read(with_origins).graph.to_json(true), with_origins);
    assert_eq!(read(with_origins).graph.to_json(false), plain);
    assert_eq!(read(plain).graph.to_json(false), plain);
}

#[test]
fn keys_need_not_be_ids() {
    let graph = read(
        r#"{"actions": {
            "first": {"command": ["true"], "output": ["x"]},
            "second": {"command": ["true"], "output": ["y"],
                       "input": {"x": {"type": "ACTION", "data": {"id": "first", "path": "x"}}}}}}"#,
    );
    assert_eq!(graph.graph.actions.len(), 2);
    let stage = graph
        .stage("artifacts", br#"{"z": {"type": "ACTION", "data": {"id": "second", "path": "y"}}}"#.into());
    let stage = stage.unwrap();
    let taut_value::Artifact::Action { id, .. } = &stage[0].1 else { panic!("{stage:?}") };
    assert_eq!(graph.graph.actions[id].description.outs, ["y"]);
}

#[test]
fn errors_name_location_and_cause() {
    for (text, message) in [
        ("{", "graph:1:1: "),
        ("[]", "graph:1:1: an action graph must be an object"),
        (r#"{"actions": {"a": {"output": ["x"]}}}"#, "graph:1:19: an action needs a command"),
        (r#"{"actions": {"a": {"command": ["x"]}}}"#, "graph:1:19: an action needs an output"),
        (
            r#"{"trees": {"t": {"x": {"type": "TREE", "data": {"id": "u"}}}}}"#,
            "graph:1:23: there is no tree \"u\"",
        ),
        (
            r#"{"trees": {"t": {"x": {"type": "TREE", "data": {"id": "t"}}}}}"#,
            "graph:1:23: tree \"t\" needs itself",
        ),
        (r#"{"trees": {"t": {"x": 1}}}"#, "graph:1:23: an artifact must be an object"),
    ] {
        assert!(error(text).starts_with(message), "{text}: {}", error(text));
    }
}

#[test]
fn an_output_is_named_once() {
    for lists in [
        r#""output": ["y", "x", "x"]"#,
        r#""output_dirs": ["x", "x"]"#,
        r#""output": ["x"], "output_dirs": ["y", "x"]"#,
    ] {
        let text = format!(r#"{{"actions": {{"a": {{"command": ["true"], {lists}}}}}}}"#);
        let message = "graph:1:19: \"output\" and \"output_dirs\" have to name each output once, but contain \"x\" twice";
        assert_eq!(error(&text), message);
    }
}

#[test]
fn a_long_chain_of_actions_does_not_overflow_the_stack() {
    let length = 20_000;
    let mut text = String::from(r#"{"actions":{"0":{"command":["c"],"output":["x"]}"#);
    for number in 1..length {
        // Numbered so that each is needed before it is met, in the order of the keys.
        text.push_str(&format!(
            r#","{number}":{{"command":["c"],"output":["x"],"input":{{"x":{{"type":"ACTION","data":{{"id":"{}","path":"x"}}}}}}}}"#,
            number - 1
        ));
    }
    text.push_str("}}");
    assert_eq!(read(&text).graph.actions.len(), length);
}
