//! Random graphs of repositories: roots of all kinds, in layers, with bindings that form cycles.
//!
//! Targets that roots are computed from are named `e…`, and no other target depends on them: what a target-level cache
//! has of them differs from call to call.

use serde_json::{Map, Value, json};

use crate::{Case, Rng};

/// A case with several repositories, and a target of the main one.
pub fn random_repositories(rng: &mut Rng) -> Case {
    let trees = 1 + rng.below(3);
    let repositories = 2 + rng.below(5);
    let mut shape = Shape { rng, trees, repositories };
    let tree = |shape: &mut Shape<'_>| -> Value { shape.tree() };
    let directories: Map<String, Value> =
        (0..trees).map(|number| (format!("t{number}"), tree(&mut shape))).collect();
    let mut all = Map::new();
    for number in 0..repositories {
        all.insert(format!("r{number}"), shape.repository(number));
    }
    // The main repository may be a directory: its files are those of one of the trees.
    let own = directories[&format!("t{}", shape.rng.below(trees))].clone();
    let main = format!("r{}", shape.rng.below(repositories));
    let target = shape.target_name();
    let config = if shape.rng.chance(50) { json!({"V": "v"}) } else { json!({}) };
    Case(json!({
        "files": own,
        "trees": directories,
        "repositories": {"main": main, "repositories": all},
        "config": config,
        "target": [target],
    }))
}

struct Shape<'r> {
    rng: &'r mut Rng,
    trees: usize,
    repositories: usize,
}

impl Shape<'_> {
    fn target_name(&mut self) -> String {
        format!("x{}", self.rng.below(4))
    }

    fn repository(&mut self, number: usize) -> Value {
        let mut repository = Map::new();
        let workspace_root = self.root(number);
        // Its files of targets are empty.
        let is_structure = workspace_root[0] == "tree structure" && self.rng.chance(90);
        repository.insert("workspace_root".to_owned(), workspace_root);
        if is_structure {
            let tree = format!("t{}", self.rng.below(self.trees));
            repository.insert("target_root".to_owned(), json!(["git tree", tree]));
        }
        for key in ["target_root", "rule_root", "expression_root"] {
            if self.rng.chance(15) && !(is_structure && key == "target_root") {
                let root = self.root(number);
                if root[0] != "tree structure" || self.rng.chance(10) {
                    repository.insert(key.to_owned(), root);
                }
            }
        }
        for (key, names) in [
            ("target_file_name", ["TARGETS", "TARGETS.other"]),
            ("rule_file_name", ["RULES", "RULES.other"]),
            ("expression_file_name", ["EXPRESSIONS", "EXPRESSIONS.other"]),
        ] {
            if self.rng.chance(15) {
                repository.insert(key.to_owned(), json!(self.rng.pick(&names)));
            }
        }
        let mut bindings = Map::new();
        // Now and then `b2`, which targets refer to, is not bound.
        for binding in 0..if self.rng.chance(5) { 2 } else { 3 } {
            bindings.insert(format!("b{binding}"), json!(self.below(number)));
        }
        repository.insert("bindings".to_owned(), Value::Object(bindings));
        Value::Object(repository)
    }

    fn repository_name(&mut self) -> String {
        // Rarely one that is not there.
        match self.rng.chance(1) {
            true => "nowhere".to_owned(),
            false => format!("r{}", self.rng.below(self.repositories)),
        }
    }

    /// Mostly a repository with a smaller number, so that cycles are not the rule.
    fn below(&mut self, number: usize) -> String {
        match (self.rng.chance(4), number) {
            (true, _) => self.repository_name(),
            (false, 0) => "r0".to_owned(),
            (false, number) => format!("r{}", self.rng.below(number)),
        }
    }

    fn root(&mut self, number: usize) -> Value {
        let tree = format!("t{}", self.rng.below(self.trees));
        // The first repository has none below it that a root could be taken from.
        match self.rng.below(if number == 0 { 12 } else { 24 }) {
            0 if self.rng.chance(50) => json!(["file", "."]),
            1 if self.rng.chance(50) => json!(["file ignore-special", "."]),
            2 => json!(["git tree ignore-special", tree]),
            3 if self.rng.chance(20) => json!(["git tree", tree, null]),
            0..12 => json!(["git tree", tree]),
            12..15 => {
                let below = self.below(number);
                match self.rng.below(6) {
                    0 => json!(["tree structure", below, {}]),
                    1 => json!(["tree structure", below, {"absent": null}]),
                    2 if self.rng.chance(30) => json!(["tree structure", below, {"absent": true}]),
                    _ => json!(["tree structure", below]),
                }
            }
            _ => {
                let (below, name) = (self.below(number), format!("e{}", self.rng.below(3)));
                // Seldom a target that is not exported, from which no root can be computed.
                let name = if self.rng.chance(5) { self.target_name() } else { name };
                let config =
                    self.rng.pick(&[json!({}), json!({"V": "a"}), json!({"V": "b", "W": 1})]).clone();
                // Different words for the same module.
                let module = *self.rng.pick(&["", "", "", ".", "d/.."]);
                match self.rng.chance(5) {
                    true => json!(["computed", below, module, name, config, {"absent": self.rng.chance(50)}]),
                    false => json!(["computed", below, module, name, config]),
                }
            }
        }
    }

    /// The files of a tree, with targets that use what other repositories have.
    fn tree(&mut self) -> Value {
        let mut files = Map::new();
        for name in ["a", "b", "d/c"] {
            // Seldom a file that others name is missing.
            if self.rng.chance(98) {
                let text = format!("{name}{}", self.rng.below(3));
                let kind = if self.rng.chance(20) { "exec" } else { "text" };
                files.insert(name.to_owned(), json!({kind: text}));
            }
        }
        if self.rng.chance(15) {
            files.insert("l".to_owned(), json!({"link": "a"}));
        }
        files.insert("TARGETS".to_owned(), json!({"json": self.targets()}));
        files.insert("TARGETS.other".to_owned(), json!({"json": self.targets()}));
        files.insert("next".to_owned(), json!({"json": self.targets()}));
        let rules = |name: &str| {
            json!({name: {
                "target_fields": ["deps"],
                "config_vars": ["V"],
                "imports": {"make": "make"},
                "expression": {"type": "CALL_EXPRESSION", "name": "make"},
            }})
        };
        let expressions = |text: &str| {
            json!({"make": {
                "vars": ["V", "FIELD", "DEP_ARTIFACTS"],
                "expression": {"type": "let*", "bindings": [
                    ["in", {"type": "map_union", "$1": {"type": "foreach", "range": {"type": "FIELD", "name": "deps"},
                        "body": {"type": "DEP_ARTIFACTS", "dep": {"type": "var", "name": "_"}}}}],
                    ["out", {"type": "singleton_map", "key": "made", "value": {"type": "BLOB", "data":
                        {"type": "join", "$1": [text, {"type": "var", "name": "V", "default": "none"}]}}}]],
                    "body": {"type": "RESULT", "artifacts": {"type": "map_union",
                        "$1": [{"type": "var", "name": "in"}, {"type": "var", "name": "out"}]}}},
            }})
        };
        files.insert("RULES".to_owned(), json!({"json": rules("make")}));
        files.insert("RULES.other".to_owned(), json!({"json": rules("make")}));
        files.insert("EXPRESSIONS".to_owned(), json!({"json": expressions("one")}));
        files.insert("EXPRESSIONS.other".to_owned(), json!({"json": expressions("other")}));
        Value::Object(files)
    }

    /// Four targets for use and three that roots are computed from.
    fn targets(&mut self) -> Value {
        let mut targets = Map::new();
        for number in 0..4 {
            targets.insert(format!("x{number}"), self.target(number));
        }
        for number in 0..3 {
            let of = format!("o{number}");
            targets.insert(
                format!("e{number}"),
                match self.rng.chance(70) {
                    true => json!({"type": "export", "target": of, "flexible_config": ["V"]}),
                    false => json!({"type": "export", "target": of}),
                },
            );
            // A computed root has files of targets itself, so that roots can be computed from it in turn.
            let next = *self.rng.pick(&["next", "TARGETS", "TARGETS.other"]);
            let mut made = json!({"TARGETS": next, "RULES": "RULES", "EXPRESSIONS": "EXPRESSIONS", "next": "next", "a": "b"});
            if self.rng.chance(50) {
                made["b"] = json!(self.source());
            }
            if self.rng.chance(30) {
                made["sub//made"] = json!(self.target_name());
            }
            targets.insert(of, json!({"type": "install", "files": made}));
        }
        Value::Object(targets)
    }

    fn source(&mut self) -> Value {
        self.rng
            .pick(&[
                json!("a"),
                json!("b"),
                json!("d/c"),
                json!(["FILE", null, "a"]),
                json!(["TREE", null, "d"]),
            ])
            .clone()
    }

    /// Something that a target of some number may depend on.
    fn dependency(&mut self, number: usize) -> Value {
        match self.rng.below(10) {
            0..3 => self.source(),
            3 => json!(["GLOB", null, "*"]),
            4..8 if number > 0 => json!(format!("x{}", self.rng.below(number))),
            8.. => {
                let (binding, name) = (format!("b{}", self.rng.below(3)), self.target_name());
                json!(["@", binding, "", name])
            }
            _ => json!("a"),
        }
    }

    fn target(&mut self, number: usize) -> Value {
        let deps: Vec<Value> = (0..self.rng.below(3)).map(|_| self.dependency(number)).collect();
        match self.rng.below(7) {
            0 => json!({"type": "file_gen", "arguments_config": ["V"], "name": format!("g{number}"),
                "data": {"type": "var", "name": "V", "default": "no value"}}),
            1 => json!({"type": "generic", "outs": [format!("out{number}")], "deps": deps,
                // The output has the names and contents of all inputs, so that any difference in them shows.
                "cmds": [format!("for f in $(find . -type f | sort); do echo $f; cat $f; done > out{number}")]}),
            2 => json!({"type": "tree", "name": format!("tree{number}"), "deps": deps}),
            3 => json!({"type": "configure", "target": self.dependency(number),
                "config": {"type": "'", "$1": {"V": "configured"}}}),
            4 => json!({"type": "make", "deps": deps}),
            5 => {
                let directories: Vec<Value> =
                    deps.iter().enumerate().map(|(at, dep)| json!([dep, format!("in{at}")])).collect();
                json!({"type": "install", "dirs": directories})
            }
            _ => json!({"type": "install", "deps": deps}),
        }
    }
}
