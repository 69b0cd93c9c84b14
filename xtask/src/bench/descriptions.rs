//! The projects whose descriptions are analysed: with expensive rules, expressions and large fields.
//!
//! They are never built. Each one is always the same; the request is its default target.

use anyhow::Result;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use taut_testkit::Rng;

/// How many targets share a module, as the targets of a directory do.
const TARGETS_PER_MODULE: usize = 50;

/// A project to be analysed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Workload {
    /// Ten layers; each target has an action over its source and the artifacts of three to five of the layer
    /// below.
    Layered(usize),
    /// Libraries as a C++ rule describes them: compile actions over all headers below, flags and link
    /// lines collected upwards, command lines joined from them.
    Libraries,
    /// One install target with ten thousand `dirs`.
    InstallDirs,
    /// One large union of small maps, and other operations on it.
    MapUnion,
    /// Thousands of bindings of one `let*`, and long folds.
    Folds,
    /// Ten thousand nodes with as many anonymous targets made from them.
    Nodes,
    /// Sixty levels of nodes, each twice the one below: 2^60 paths.
    Diamonds,
}

impl Workload {
    pub(crate) const ALL: [Self; 9] = [
        Self::Layered(1_000),
        Self::Layered(10_000),
        Self::Layered(100_000),
        Self::Libraries,
        Self::InstallDirs,
        Self::MapUnion,
        Self::Folds,
        Self::Nodes,
        Self::Diamonds,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Layered(1_000) => "layered-1k",
            Self::Layered(10_000) => "layered-10k",
            Self::Layered(_) => "layered-100k",
            Self::Libraries => "libraries",
            Self::InstallDirs => "install-dirs",
            Self::MapUnion => "map-union",
            Self::Folds => "folds",
            Self::Nodes => "nodes",
            Self::Diamonds => "diamonds",
        }
    }

    /// Writes the project into the new directory `root`.
    pub(crate) fn write(self, root: &Path) -> Result<()> {
        let project = Project { root, modules: Vec::new() };
        fs::create_dir_all(root)?;
        // Marks the root of the workspace.
        fs::write(root.join("ROOT"), "")?;
        match self {
            Self::Layered(size) => project.layered(size, "step", step_rule()),
            Self::Libraries => project.libraries(1_000),
            Self::InstallDirs => project.install_dirs(10_000),
            Self::MapUnion => project.map_union(30_000),
            Self::Folds => project.folds(2_000),
            Self::Nodes => project.layered(10_000, "node", node_rules()),
            Self::Diamonds => project.diamonds(60),
        }
    }
}

struct Project<'r> {
    root: &'r Path,
    /// The targets of modules `m0`, `m1`, ….
    modules: Vec<Map<String, Value>>,
}

impl Project<'_> {
    fn push(&mut self, number: usize, target: Value) {
        self.modules.resize_with(self.modules.len().max(number / TARGETS_PER_MODULE + 1), Map::new);
        self.modules[number / TARGETS_PER_MODULE].insert(format!("t{number}"), target);
    }

    fn finish(self, top: &Value, rules: &Value) -> Result<()> {
        for (number, targets) in self.modules.iter().enumerate() {
            let dir = self.root.join(format!("m{number}"));
            fs::create_dir_all(&dir)?;
            fs::write(dir.join("TARGETS"), json!(targets).to_string())?;
        }
        fs::write(self.root.join("TARGETS"), json!({"default": top}).to_string())?;
        fs::write(self.root.join("RULES"), rules.to_string())?;
        Ok(())
    }

    // One generator for two workloads: with nodes, the same graph shows what anonymous targets add.
    fn layered(mut self, size: usize, rule: &str, rules: Value) -> Result<()> {
        // A fixed seed: results of different days are compared, so they must be of the same project.
        let mut rng = Rng::new(size as u64);
        let width = (size / 10).max(1);
        for number in 0..size {
            let mut deps = BTreeSet::new();
            for _ in 0..if number < width { 0 } else { 3 + rng.below(3) } {
                deps.insert((number / width - 1) * width + rng.below(width));
            }
            // Every target has a source of its own.
            let source = format!("s{number}");
            let deps: Vec<Value> = deps.into_iter().map(reference).chain([json!(source)]).collect();
            let dir = self.root.join(format!("m{}", number / TARGETS_PER_MODULE));
            fs::create_dir_all(&dir)?;
            fs::write(dir.join(source), format!("{number}\n"))?;
            let name = format!("t{number}");
            self.push(number, json!({"type": ["", rule], "name": [name], "deps": deps}));
        }
        let last: Vec<Value> = (size - width..size).map(reference).collect();
        self.finish(&json!({"type": format!("{rule}s"), "name": ["all"], "deps": last}), &rules)
    }

    fn libraries(mut self, count: usize) -> Result<()> {
        let mut rng = Rng::new(count as u64);
        for number in 0..count {
            let dir = self.root.join(format!("m{}", number / TARGETS_PER_MODULE));
            fs::create_dir_all(&dir)?;
            let files = |kind: &str, count: usize| -> Result<Vec<String>> {
                let names: Vec<String> = (0..count).map(|n| format!("l{number}_{n}.{kind}")).collect();
                for name in &names {
                    fs::write(dir.join(name), "")?;
                }
                Ok(names)
            };
            let mut deps = BTreeSet::new();
            // Three levels of a hundred below each group, as library trees are: broad, not deep.
            for _ in 0..if number < 100 { 0 } else { 2 + rng.below(4) } {
                let group = number / 100;
                deps.insert(rng.below(group * 100));
            }
            let deps: Vec<Value> = deps.into_iter().map(reference).collect();
            let target = json!({
                "type": ["", "library"],
                "name": [format!("lib{number}")],
                "hdrs": files("h", 5)?,
                "srcs": files("cc", 3)?,
                "stage": ["lib", format!("m{}", number / TARGETS_PER_MODULE)],
                "flags": [format!("-DUSE_{number}"), "-O2"],
                "deps": deps,
            });
            self.push(number, target);
        }
        let all: Vec<Value> = (0..count).map(reference).collect();
        let top = json!({"type": "library", "name": ["all"], "deps": all});
        self.finish(&top, &library_rule())
    }

    fn install_dirs(self, count: usize) -> Result<()> {
        let mut targets: Map<String, Value> = (0..100)
            .map(|n| (format!("f{n}"), json!({"type": "file_gen", "name": format!("f{n}"), "data": ""})))
            .collect();
        // A hundred targets for ten thousand places: staging is measured, not analysis of dependencies.
        let dirs: Vec<Value> =
            (0..count).map(|n| json!([format!("f{}", n % 100), format!("d{n}")])).collect();
        targets.insert(String::new(), json!({"type": "install", "dirs": dirs}));
        fs::write(self.root.join("TARGETS"), json!(targets).to_string())?;
        Ok(())
    }

    fn map_union(self, count: usize) -> Result<()> {
        let file = json!({"type": "BLOB", "data": "x"});
        let small = json!({
            "type": "singleton_map",
            "key": {"type": "join", "$1": ["f", var("n")]},
            "value": var("blob"),
        });
        let union = |kind: &str| json!({"type": kind, "$1": var("small")});
        let expression = json!({
            "type": "let*",
            "bindings": [
                ["blob", file],
                ["range", {"type": "range", "$1": count}],
                ["small", {"type": "foreach", "var": "n", "range": var("range"), "body": small}],
                ["one", union("map_union")],
                ["other", union("disjoint_map_union")],
                ["keys", {"type": "nub_left", "$1": {"type": "++", "$1": [
                    {"type": "keys", "$1": var("one")},
                    {"type": "keys", "$1": var("other")},
                ]}}],
                ["staged", {"type": "to_subdir", "subdir": "d", "$1": var("other")}],
            ],
            "body": {"type": "if",
                // The comparison needs both unions whole, so neither can be left out by a lazy evaluator.
                "cond": {"type": "==", "$1": var("one"), "$2": var("other")},
                "then": {"type": "RESULT", "artifacts": var("staged"), "provides": {
                    "type": "singleton_map", "key": "keys", "value": {"type": "join", "$1": var("keys")},
                }},
            },
        });
        self.finish(&json!({"type": "union"}), &json!({"union": {"expression": expression}}))
    }

    fn folds(self, count: usize) -> Result<()> {
        // Each binding needs the one before, so that none can be left out.
        let mut bindings = vec![json!(["v0", "x"])];
        for n in 1..count {
            let earlier = format!("v{}", n - 1);
            bindings
                .push(json!([format!("v{n}"), {"type": "if", "cond": var(&earlier), "then": var(&earlier)}]));
        }
        let single = json!({"type": "singleton_map", "key": var("n"), "value": "x"});
        let range = json!({"type": "range", "$1": count});
        let fold = |start: Value, body: Value| {
            json!({
                "type": "foldl", "range": range, "var": "n", "accum_var": "acc",
                "start": start, "body": body,
            })
        };
        // Accumulators that are copied in each step cost quadratic time.
        let map =
            fold(json!({"type": "empty_map"}), json!({"type": "map_union", "$1": [var("acc"), single]}));
        let list = fold(json!([]), json!({"type": "++", "$1": [var("acc"), [var("n")]]}));
        bindings.push(json!(["map", map]));
        bindings.push(json!(["list", list]));
        let expression = json!({"type": "let*", "bindings": bindings, "body": {
            "type": "RESULT", "provides": {"type": "env", "vars": ["map", "list", format!("v{}", count - 1)]},
        }});
        self.finish(&json!({"type": "folds"}), &json!({"folds": {"expression": expression}}))
    }

    fn diamonds(self, levels: usize) -> Result<()> {
        let mut bindings = vec![json!(["n0", {"type": "VALUE_NODE", "$1": {"type": "RESULT"}}])];
        for level in 1..=levels {
            let below = format!("n{}", level - 1);
            let node = json!({
                "type": "ABSTRACT_NODE",
                "node_type": "node",
                // The same node twice: an implementation that follows paths and not nodes never ends.
                "target_fields": {"type": "singleton_map", "key": "deps", "value": [var(&below), var(&below)]},
            });
            bindings.push(json!([format!("n{level}"), node]));
        }
        let expression = json!({"type": "let*", "bindings": bindings, "body": {
            "type": "RESULT",
            "provides": {"type": "singleton_map", "key": "nodes", "value": [var(&format!("n{levels}"))]},
        }});
        let mut rules = node_rules();
        rules["diamonds"] = json!({"expression": expression});
        fs::write(self.root.join("TARGETS"), {
            json!({"": {"type": "nodes", "deps": ["d"]}, "d": {"type": "diamonds"}}).to_string()
        })?;
        fs::write(self.root.join("RULES"), rules.to_string())?;
        Ok(())
    }
}

fn reference(number: usize) -> Value {
    json!([format!("m{}", number / TARGETS_PER_MODULE), format!("t{number}")])
}

fn var(name: &str) -> Value {
    json!({"type": "var", "name": name})
}

fn field(name: &str) -> Value {
    json!({"type": "FIELD", "name": name})
}

/// The `kind` of all targets of a field, as a list: one of the `DEP_*` constructs.
fn each(kind: &str, name: &str) -> Value {
    json!({
        "type": "foreach", "var": "dep", "range": field(name),
        "body": {"type": kind, "dep": var("dep")},
    })
}

fn union(list: Value) -> Value {
    json!({"type": "map_union", "$1": list})
}

/// A rule that runs one command over the artifacts of its dependencies.
fn step_rule() -> Value {
    let rule = json!({
        "target_fields": ["deps"],
        "string_fields": ["name"],
        "expression": {
            "type": "let*",
            "bindings": [
                ["inputs", union(each("DEP_ARTIFACTS", "deps"))],
                ["out", {"type": "join", "$1": field("name")}],
                ["cmd", {"type": "join", "separator": " ", "$1": {"type": "++", "$1": [
                    ["cat"], {"type": "keys", "$1": var("inputs")}, [">", var("out")],
                ]}}],
                ["outs", {
                    "type": "ACTION", "outs": [var("out")], "inputs": var("inputs"),
                    "cmd": ["sh", "-c", var("cmd")],
                }],
            ],
            "body": {"type": "RESULT", "artifacts": var("outs")},
        },
    });
    json!({"step": rule.clone(), "steps": rule})
}

/// A rule that provides its target as a node, and one that makes targets of the nodes.
fn node_rules() -> Value {
    let provided = |provider: &str| {
        json!({"type": "++", "$1": {
            "type": "foreach", "var": "dep", "range": field("deps"),
            "body": {"type": "DEP_PROVIDES", "dep": var("dep"), "provider": provider, "default": []},
        }})
    };
    let node = json!({
        "type": "ABSTRACT_NODE", "node_type": "node",
        "string_fields": {"type": "singleton_map", "key": "name", "value": field("name")},
        "target_fields": {"type": "singleton_map", "key": "deps", "value": provided("nodes")},
    });
    let mut rules = step_rule();
    let made = rules["step"].take();
    json!({
        "node": {
            "target_fields": ["deps"],
            "string_fields": ["name"],
            "expression": {
                "type": "RESULT",
                "provides": {"type": "singleton_map", "key": "nodes", "value": [node]},
            },
        },
        "made": made,
        "nodes": {
            "target_fields": ["deps"],
            "string_fields": ["name"],
            "anonymous": {"made": {"target": "deps", "provider": "nodes", "rule_map": {"node": "made"}}},
            "expression": {"type": "RESULT", "artifacts": union(each("DEP_ARTIFACTS", "made"))},
        },
    })
}

/// A library: compile actions with all headers below, an archive, and the information for its users.
fn library_rule() -> Value {
    let provided = |provider: &str, default: Value| {
        json!({
            "type": "foreach", "var": "dep", "range": field("deps"),
            "body": {"type": "DEP_PROVIDES", "dep": var("dep"), "provider": provider, "default": default},
        })
    };
    // A linker needs a library behind all that use it, so the last occurrence stays.
    let together = |list: Value| json!({"type": "nub_right", "$1": {"type": "++", "$1": list}});
    let compile = json!({
        "type": "foreach_map", "var_key": "path", "var_val": "source", "range": var("srcs"),
        "body": {
            "type": "let*",
            "bindings": [
                ["object", {"type": "change_ending", "$1": var("path"), "ending": ".o"}],
                ["inputs", union(json!([
                    {"type": "to_subdir", "subdir": "include", "$1": var("headers")},
                    {"type": "singleton_map", "key": var("path"), "value": var("source")},
                ]))],
                ["cmd", {"type": "join", "separator": " ", "$1": {"type": "++", "$1": [
                    ["c++"], var("flags"), ["-I", "include", "-c", var("path"), "-o", var("object")],
                ]}}],
            ],
            "body": {
                "type": "ACTION", "outs": [var("object")], "inputs": var("inputs"),
                "cmd": ["sh", "-c", var("cmd")],
            },
        },
    });
    let stage = json!({"type": "join", "separator": "/", "$1": field("stage")});
    let own = |name: &str| json!({"type": "to_subdir", "subdir": var("stage"), "$1": union(each("DEP_ARTIFACTS", name))});
    // A long text made of all headers: large strings are part of what such rules compute.
    let module_map = json!({
        "type": "join", "separator": "\n",
        "$1": {"type": "foreach", "var": "header", "range": {"type": "keys", "$1": var("headers")}, "body": {
            "type": "join", "$1": ["header \"", var("header"), "\""],
        }},
    });
    let archive = json!({"type": "join", "$1": ["lib", {"type": "join", "$1": field("name")}, ".a"]});
    let bindings = json!([
        ["stage", stage],
        ["srcs", own("srcs")],
        ["below", {"type": "disjoint_map_union", "$1": provided("headers", json!({"type": "empty_map"}))}],
        ["headers", {"type": "disjoint_map_union", "$1": [own("hdrs"), var("below")]}],
        ["flags", together(json!([field("flags"), {"type": "++", "$1": provided("flags", json!([]))}]))],
        ["objects", union(compile)],
        ["archive", archive],
        ["lib", {
            "type": "ACTION", "outs": [var("archive")], "inputs": var("objects"),
            "cmd": {"type": "++", "$1": [
                ["ar", "cqs", var("archive")], {"type": "keys", "$1": var("objects")},
            ]},
        }],
        ["link", together(json!([[var("archive")], {"type": "++", "$1": provided("link", json!([]))}]))],
        ["map", {"type": "singleton_map", "key": "module.map", "value": {
            "type": "BLOB", "data": module_map,
        }}],
        ["libs", union(json!([var("lib"), union(provided("libs", json!({"type": "empty_map"})))]))],
    ]);
    json!({"library": {
        "target_fields": ["hdrs", "srcs", "deps"],
        "string_fields": ["name", "stage", "flags"],
        "expression": {
            "type": "let*",
            "bindings": bindings,
            "body": {
                "type": "RESULT",
                "artifacts": union(json!([var("lib"), var("map")])),
                "runfiles": var("headers"),
                "provides": {"type": "env", "vars": ["headers", "flags", "link", "libs"]},
            },
        },
    }})
}
