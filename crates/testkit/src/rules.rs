//! Random rules around a skeleton that mostly has a value, and targets of them.
//!
//! A rule may have every kind of field, transitions, imports, nodes and fields made from nodes.
//! The targets have to fit their rules, so rules come with a signature.

use crate::expression::{ExpressionKind, Expressions, Kind};
use crate::{Case, Rng, random_expression};
use serde_json::{Map, Value, json};

/// The properties of a rule that are needed to write a target of it.
pub(crate) struct Signature {
    /// Its name, as it can be written in any module.
    pub(crate) name: Value,
    has_strings: bool,
    has_configs: bool,
    has_sources: bool,
    /// The taint of its targets, and whether they or the rule declare it.
    is_tainted: bool,
}

/// The rules and expressions of a project.
pub(crate) struct Rules {
    /// Rules files by module.
    pub(crate) rules: Vec<(String, Map<String, Value>)>,
    /// Expression files by module.
    pub(crate) expressions: Vec<(String, Map<String, Value>)>,
    /// The rules that targets can have.
    pub(crate) signatures: Vec<Signature>,
}

fn var(name: &str) -> Value {
    json!({"type": "var", "name": name})
}

fn field(name: &str) -> Value {
    json!({"type": "FIELD", "name": name})
}

fn union(list: Value) -> Value {
    json!({"type": "map_union", "$1": list})
}

/// The artifacts and so on of a field's targets, in one transition or none.
fn of_field(what: &str, name: &str, transition: Option<&Value>) -> Value {
    let mut get = json!({"type": what, "dep": var("_")});
    if what == "DEP_PROVIDES" {
        get["provider"] = json!("nodes");
    }
    if let Some(transition) = transition {
        get["transition"] = json!({"type": "'", "$1": transition});
    }
    json!({"type": "foreach", "range": field(name), "body": get})
}

/// A handful of rules in the given modules.
pub(crate) fn rules(rng: &mut Rng, modules: &[&str]) -> Rules {
    let empty = || modules.iter().map(|module| ((*module).to_owned(), Map::new())).collect::<Vec<_>>();
    let mut all = Rules { rules: empty(), expressions: empty(), signatures: Vec::new() };
    let home = rng.below(modules.len());
    // The two types of nodes that expressions name.
    for name in ["n", "k"] {
        all.rules[home].1.insert(name.to_owned(), node_rule(rng));
    }
    let place = rng.below(modules.len());
    // `f` may call `g`, and that `h`: a chain, so that calls form no cycle.
    for (name, other) in [("f", "g"), ("g", "h"), ("h", "")] {
        let depth = 1 + rng.below(2);
        let mut body = Expressions { rng, place: ExpressionKind::Rule }.any(depth, Kind::Text);
        let mut function = json!({"vars": ["X", "v"]});
        if !other.is_empty() && rng.chance(50) {
            function["imports"] = json!({"f": other});
            body = json!({"type": "CALL_EXPRESSION", "name": "f"});
        }
        function["expression"] = body;
        all.expressions[place].1.insert(name.to_owned(), function);
    }
    for number in 0..1 + rng.below(3) {
        let module = rng.below(modules.len());
        let function = (modules[place], "f");
        let (signature, rule) = rule(rng, number, modules[module], modules[home], function);
        all.rules[module].1.insert(format!("r{number}"), rule);
        all.signatures.push(signature);
    }
    all
}

/// A rule for nodes: passes on what it gets, below a directory named by its string.
fn node_rule(rng: &mut Rng) -> Value {
    let name = json!({"type": "join", "$1": {"type": "++", "$1": [["n"], field("s")]}, "separator": "_"});
    let below = union(of_field("DEP_ARTIFACTS", "deps", None));
    let own = match rng.below(4) {
        0 => json!({"type": "BLOB", "data": name}),
        1 => json!({"type": "TREE", "$1": below}),
        2 => json!({"type": "BLOB", "data": {"type": "json_encode", "$1": var("X")}}),
        _ => {
            let made = action(rng, below.clone(), &["made"]);
            json!({"type": "lookup", "key": "made", "map": made})
        }
    };
    let own = json!({"type": "singleton_map", "key": name, "value": own});
    let mut rule = json!({"target_fields": ["deps"], "expression":
        {"type": "RESULT", "artifacts": own, "runfiles": below}});
    let kind = *rng.pick(&["string_fields", "config_fields"]);
    rule[kind] = json!(["s"]);
    if rng.chance(50) {
        rule["config_vars"] = json!(["X"]);
    }
    // In which configurations the dependencies are is known only with the field's value, so the result cannot name
    // one of them, and reads nothing of them.
    if kind == "config_fields" && rng.chance(40) {
        rule["config_transitions"] = json!({"deps":
            [{"type": "singleton_map", "key": "Y", "value": {"type": "join", "$1": field("s")}}]});
        rule["expression"]["runfiles"] = json!({"type": "empty_map"});
        let tree = json!({"type": "BLOB", "data": "transitioned"});
        rule["expression"]["artifacts"]["value"] = tree;
    }
    rule
}

/// An action whose command does not depend on the names of its inputs.
fn action(rng: &mut Rng, inputs: Value, outs: &[&str]) -> Value {
    let commands: Vec<String> = outs
        .iter()
        .map(|out| format!("find . -type f | grep -v tmp | wc -l > .tmp && rm -rf {out} && mv .tmp {out}"))
        .collect();
    let mut action = json!({"type": "ACTION", "inputs": inputs, "outs": outs,
        "cmd": ["sh", "-c", commands.join(" && ")]});
    match rng.below(12) {
        0 => action["env"] = json!({"type": "'", "$1": {"A": "1", "PATH": "/bin:/usr/bin"}}),
        1 => action["timeout scaling"] = json!(2),
        2 => action["execution properties"] = json!({"type": "'", "$1": {"p": "1"}}),
        3 => {
            action["out_dirs"] = json!(["od"]);
            action["cmd"] = json!(["sh", "-c", format!("echo x > od/x && {}", commands.join(" && "))]);
        }
        4 => action["may_fail"] = json!(["test"]),
        // It fails after its outputs were made.
        5 => {
            action["may_fail"] = json!(["test"]);
            action["fail_message"] = json!("expected to fail");
            action["cmd"] = json!(["sh", "-c", format!("{}; exit 3", commands.join(" && "))]);
        }
        6 => action["no_cache"] = json!(["test"]),
        // Outputs are named relative to the root of the action, the command runs below it.
        7 => {
            action["cwd"] = json!("w");
            action["outs"] = outs.iter().map(|out| json!(format!("w/{out}"))).collect();
        }
        _ => {}
    }
    action
}

fn rule(
    rng: &mut Rng,
    number: usize,
    module: &str,
    nodes: &str,
    function: (&str, &str),
) -> (Signature, Value) {
    let signature = Signature {
        name: json!([module, format!("r{number}")]),
        has_strings: rng.chance(70),
        has_configs: rng.chance(30),
        has_sources: rng.chance(40),
        is_tainted: rng.chance(12),
    };
    let mut rule = json!({"target_fields": ["deps"], "string_fields": [], "config_fields": []});
    if signature.has_strings {
        rule["string_fields"] = json!(["s"]);
    }
    if signature.has_configs {
        rule["config_fields"] = json!(["c"]);
    }
    if signature.has_sources {
        rule["target_fields"] = json!(["srcs", "deps"]);
    }
    if rng.chance(60) {
        rule["config_vars"] = json!(["X"]);
    }
    if signature.is_tainted {
        rule["tainted"] = json!(["test"]);
    }
    if rng.chance(30) {
        rule["implicit"] = json!({"tool": [["", "run.sh"]]});
    }
    let calls = rng.chance(40);
    if calls {
        rule["imports"] = json!({"f": [function.0, function.1]});
    }
    // The configurations in which the dependencies are analysed.
    let transitions: Vec<Value> = match rng.below(6) {
        0 => vec![json!({"Y": "t"})],
        1 => vec![json!({}), json!({"X": null})],
        2 => vec![json!({"Y": 1}), json!({"X": ["a"], "Y": "u"})],
        _ => vec![json!({})],
    };
    if transitions != [json!({})] {
        rule["config_transitions"] = json!({"deps": {"type": "'", "$1": transitions}});
    }
    let anonymous = rng.chance(30);
    if anonymous {
        rule["anonymous"] = json!({"anon": {"target": "deps", "provider": "nodes",
            "rule_map": {"n": [nodes, "n"], "k": [nodes, "k"]}}});
        if rng.chance(30) {
            rule["config_transitions"]["anon"] = json!([{"type": "'", "$1": {"Y": "anon"}}]);
        }
    }
    if rng.chance(15) {
        rule["doc"] = json!(["Random.", "", "Two lines."]);
        rule["field_doc"] = json!({"deps": ["what is passed on"], "s": ["words"]});
        rule["config_doc"] = json!({"X": ["something"]});
        rule["provides_doc"] = json!({"nodes": ["nodes"]});
        rule["artifacts_doc"] = json!(["made"]);
    }
    rule["expression"] = defining(rng, &rule, &signature, &transitions, calls);
    (signature, rule)
}

fn defining(rng: &mut Rng, rule: &Value, signature: &Signature, transitions: &[Value], calls: bool) -> Value {
    let transition = Some(rng.pick(transitions).clone()).filter(|transition| *transition != json!({}));
    let transition = transition.as_ref();
    let mut bindings = vec![
        json!(["deps", union(of_field("DEP_ARTIFACTS", "deps", transition))]),
        json!(["run", union(of_field("DEP_RUNFILES", "deps", transition))]),
    ];
    let mut inputs = vec![var("deps")];
    if signature.has_sources {
        inputs.push(json!({"type": "to_subdir", "subdir": "src",
            "$1": union(of_field("DEP_ARTIFACTS", "srcs", None))}));
    }
    if rule.get("implicit").is_some() {
        inputs.push(union(of_field("DEP_ARTIFACTS", "tool", None)));
    }
    if rule.get("anonymous").is_some() {
        let anon = rule["config_transitions"].get("anon").map(|list| &list[0]["$1"]);
        inputs.push(union(of_field("DEP_ARTIFACTS", "anon", anon)));
    }
    bindings.push(json!(["all", union(Value::Array(inputs))]));
    let text = match rng.below(4) {
        0 if calls => json!({"type": "CALL_EXPRESSION", "name": "f"}),
        1 if signature.has_strings => json!({"type": "join", "$1": field("s")}),
        2 => json!({"type": "json_encode", "$1": var("X")}),
        _ => json!("text"),
    };
    let own = match rng.below(8) {
        0 => json!({"type": "singleton_map", "key": "blob", "value": {"type": "BLOB", "data": text}}),
        1 => json!({"type": "singleton_map", "key": "t", "value": {"type": "TREE", "$1": var("all")}}),
        2 => json!({"type": "singleton_map", "key": "o", "value":
            {"type": "TREE_OVERLAY", "$1": [var("all"), var("run")]}}),
        3 => json!({"type": "singleton_map", "key": "o", "value":
            {"type": "DISJOINT_TREE_OVERLAY", "$1": [var("deps"), var("all")]}}),
        4 => json!({"type": "to_subdir", "subdir": "sub", "$1": var("all")}),
        5 => json!({"type": "singleton_map", "key": "l", "value": {"type": "SYMLINK", "data": "blob"}}),
        6 => json!({"type": "disjoint_map_union", "$1": [var("deps"),
            {"type": "singleton_map", "key": "d", "value": {"type": "TREE", "$1": var("run")}}]}),
        _ => {
            // The last pair is one path twice.
            let outs = [&["a.out"][..], &["x", "d/y"], &["./z", "z"]][rng.below(3)];
            action(rng, var("all"), outs)
        }
    };
    bindings.push(json!(["own", own]));
    let mut texts = if signature.has_strings { field("s") } else { json!(["w"]) };
    if calls && rng.chance(30) {
        texts = json!([{"type": "CALL_EXPRESSION", "name": "f"}]);
    }
    let below = json!({"type": "++", "$1": of_field("DEP_PROVIDES", "deps", transition)});
    let leaf = json!({"type": "VALUE_NODE", "$1": {"type": "RESULT", "artifacts": var("own")}});
    let targets = json!({"type": "++", "$1": [below, [leaf]]});
    let node = json!({"type": "ABSTRACT_NODE", "node_type": rng.pick(&["n", "k"]),
        "string_fields": {"type": "singleton_map", "key": "s", "value": texts},
        "target_fields": {"type": "singleton_map", "key": "deps", "value": targets}});
    let nodes = match rng.below(4) {
        0 => json!([leaf]),
        1 => json!([node, node]),
        _ => json!([node]),
    };
    let mut provides = vec![json!({"type": "singleton_map", "key": "nodes", "value": nodes})];
    if rng.chance(30) {
        let value = Expressions { rng, place: ExpressionKind::Rule }.any(2, Kind::Any);
        provides.push(json!({"type": "singleton_map", "key": "v", "value": value}));
    }
    if rng.chance(10) {
        provides.push(json!({"type": "singleton_map", "key": "names", "value": field("deps")}));
    }
    let artifacts = rng.pick(&["own", "own", "all", "deps"]);
    let runfiles = rng.pick(&["own", "run", "deps", "all"]);
    let body = json!({"type": "RESULT", "artifacts": var(artifacts), "runfiles": var(runfiles),
        "provides": {"type": "map_union", "$1": provides}});
    json!({"type": "let*", "bindings": bindings, "body": body})
}

impl Signature {
    /// A target of the rule with these dependencies.
    pub(crate) fn target(&self, rng: &mut Rng, deps: Vec<Value>, sources: Vec<Value>) -> Value {
        let mut target = json!({"type": self.name, "deps": deps});
        if self.has_strings {
            target["s"] = match rng.below(4) {
                0 => json!([{"type": "join", "$1": {"type": "var", "name": "X", "default": "x"}}]),
                1 if !deps_of(&target).is_empty() => {
                    json!({"type": "outs", "dep": deps_of(&target)[0]})
                }
                2 => json!(["one", "two"]),
                _ => json!([]),
            };
            target["arguments_config"] = json!(["X"]);
        }
        if self.has_configs {
            target["c"] = json!([rng.pick(&["x", "y"])]);
        }
        if self.has_sources {
            target["srcs"] = Value::Array(sources);
        }
        if self.is_tainted && rng.chance(50) {
            target["tainted"] = json!(["test"]);
        }
        target
    }
}

fn deps_of(target: &Value) -> &[Value] {
    target["deps"].as_array().map_or(&[], Vec::as_slice)
}

/// Many expressions as one project: target `all` provides the values of the targets `e0`, `e1`, … as
/// a list, `v`; with the numbers of those that are left out.
pub fn expressions_case(expressions: &[Value], config: &Value, without: &[usize]) -> Case {
    let rule = |expression: &Value| {
        json!({"string_fields": ["s"], "config_fields": ["c"], "target_fields": ["deps"],
            "implicit": {"tool": ["tool.sh"]}, "config_vars": ["X", "Y"], "tainted": ["test"],
            "expression": {"type": "RESULT", "provides":
                {"type": "singleton_map", "key": "v", "value": expression}}})
    };
    let values = json!({"type": "foreach", "range": field("deps"), "body":
        {"type": "DEP_PROVIDES", "dep": var("_"), "provider": "v"}});
    let all = json!({"target_fields": ["deps"], "tainted": ["test"], "expression":
        {"type": "RESULT", "provides": {"type": "singleton_map", "key": "v", "value": values}}});
    // Always the same, so that the library does not depend on which expressions are left out.
    let leaf = random_expression(&mut Rng::new(7), ExpressionKind::Anywhere, 0);
    let library = json!({"expression": {"type": "RESULT",
        "artifacts": {"type": "singleton_map", "key": "lib/a", "value": {"type": "BLOB", "data": "a"}},
        "runfiles": {"type": "singleton_map", "key": "b", "value": {"type": "BLOB", "data": "b"}},
        "provides": {"type": "map_union", "$1": [
            {"type": "singleton_map", "key": "a", "value": leaf},
            {"type": "singleton_map", "key": "nodes", "value": [{"type": "ABSTRACT_NODE", "node_type": "n"}]}]}}});
    let mut rules = Map::from_iter([("all".to_owned(), all), ("lib".to_owned(), library)]);
    let mut targets = Map::from_iter([("lib".to_owned(), json!({"type": "lib"}))]);
    let mut deps = Vec::new();
    for (number, expression) in expressions.iter().enumerate() {
        if without.contains(&number) {
            continue;
        }
        let name = format!("e{number}");
        rules.insert(name.clone(), rule(expression));
        targets.insert(
            name.clone(),
            json!({"type": name, "s": ["a", "b"], "c": ["x"], "deps": ["lib", "src.txt"]}),
        );
        deps.push(name);
    }
    targets.insert("all".to_owned(), json!({"type": "all", "deps": deps}));
    Case(json!({
        "files": {"RULES": {"json": rules}, "TARGETS": {"json": targets}, "src.txt": {"text": "source"},
            "tool.sh": {"exec": "#!/bin/sh"}},
        "config": config, "target": ["all"],
    }))
}
