//! `examples/proto`, as far as it goes without protoc: what would be done, and that nothing would be done twice.
//! `cargo xtask proto` builds it.
#![allow(clippy::disallowed_methods, reason = "tests look from outside")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;
use taut_testkit::{Tool, ToolResult, Workspace};

const DESCRIPTIONS: [&str; 4] = ["area", "path", "point", "town"];

fn example() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/proto")
}

/// Calls `taut analyse` in the example.
fn analyse(scratch: &Workspace, words: &[&str]) -> ToolResult {
    let build_root = scratch.build_root();
    let first = ["analyse", "--local-build-root", build_root.to_str().unwrap()];
    Tool::at(env!("CARGO_BIN_EXE_taut")).run(&example(), [&first, words].concat()).exits(0)
}

/// What is dumped with an option for a target of the example; without name, for the first one.
fn dump(option: &str, target: &[&str]) -> Value {
    let scratch = Workspace::new();
    let file = scratch.beside("dump.json");
    analyse(&scratch, &[&[option, file.to_str().unwrap()], target].concat());
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// How often each call of protoc, of the compiler and of the linker occurs in the graph, without the flags.
fn calls(target: &[&str]) -> BTreeMap<String, usize> {
    let graph = dump("--dump-graph", target);
    let mut calls = BTreeMap::new();
    for action in graph["actions"].as_object().unwrap().values() {
        let words: Vec<&str> =
            action["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
        let call = match words[0] {
            "protoc" => words.join(" "),
            "c++" => match words.iter().position(|word| *word == "-c") {
                Some(at) => format!("compile {}", words[at + 1]),
                None => format!("link {}", words[words.iter().position(|word| *word == "-o").unwrap() + 1]),
            },
            _ => continue,
        };
        *calls.entry(call).or_default() += 1;
    }
    calls
}

fn protoc(flag: &str, names: &[&str]) -> Vec<String> {
    names.iter().map(|name| format!("protoc {flag} geometry/{name}.proto")).collect()
}

fn compile(sources: &[&str]) -> Vec<String> {
    sources.iter().map(|source| format!("compile {source}")).collect()
}

fn once(calls: impl IntoIterator<Item = Vec<String>>) -> BTreeMap<String, usize> {
    calls.into_iter().flatten().map(|call| (call, 1)).collect()
}

#[test]
fn descriptions_depend_on_no_language() {
    assert_eq!(calls(&["geometry", "town"]), BTreeMap::new());
    let nodes = dump("--dump-nodes", &["geometry", "town"]);
    let types: Vec<&str> =
        nodes.as_object().unwrap().values().filter_map(|node| node["node_type"].as_str()).collect();
    assert_eq!(types, ["proto library"; 4]);
}

#[test]
fn a_library_gets_the_bindings_it_needs_and_those_below() {
    let needed = ["path", "point"];
    assert_eq!(
        calls(&["cc", "length"]),
        once([
            protoc("--cpp_out=.", &needed),
            compile(&["length.cc", "geometry/path.pb.cc", "geometry/point.pb.cc"]),
        ])
    );
    assert_eq!(calls(&["py", "length"]), once([protoc("--python_out=.", &needed)]));
}

#[test]
fn of_a_diamond_each_part_is_made_once_for_each_language() {
    let sources = [
        "geometry/area.pb.cc",
        "geometry/path.pb.cc",
        "geometry/point.pb.cc",
        "geometry/town.pb.cc",
        "length.cc",
        "surface.cc",
        "town.cc",
    ];
    assert_eq!(
        calls(&[]),
        once([
            protoc("--cpp_out=.", &DESCRIPTIONS),
            protoc("--python_out=.", &DESCRIPTIONS),
            compile(&sources),
            vec!["link town".to_owned()],
        ])
    );
}

#[test]
fn there_is_one_anonymous_target_for_each_description_and_language() {
    let targets = dump("--dump-targets", &[]);
    let anonymous = targets["#"].as_object().unwrap();
    assert_eq!(anonymous.len(), 2, "rule maps: {targets}");
    for nodes in anonymous.values() {
        let nodes = nodes.as_object().unwrap();
        assert_eq!(nodes.len(), DESCRIPTIONS.len(), "{targets}");
        assert!(nodes.values().all(|configurations| configurations.as_array().unwrap().len() == 1));
    }
}

#[test]
fn the_commands_in_the_readme_work() {
    let readme = fs::read_to_string(example().join("README.md")).unwrap();
    let commands: Vec<&str> =
        readme.lines().filter_map(|line| line.strip_prefix("taut analyse ")?.split('#').next()).collect();
    assert!(commands.len() >= 3, "{readme}");
    for command in commands {
        let scratch = Workspace::new();
        let graph = scratch.beside("graph.json");
        let graph = graph.to_str().unwrap();
        let words: Vec<&str> =
            command.split_whitespace().map(|word| if word == "graph.json" { graph } else { word }).collect();
        let ran = analyse(&scratch, &words);
        assert!(!ran.stdout.is_empty() || Path::new(graph).exists(), "{command}");
    }
}
