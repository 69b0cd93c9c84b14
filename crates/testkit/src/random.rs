//! Random projects: target files with the built-in rules, and rules around expressions.
//!
//! Names come from small pools, so that conflicts, sharing and re-keying happen often. Names that lead out of a
//! directory are left out: the reference follows them, taut refuses them.

use crate::rules::{Rules, rules};
use crate::{Case, Rng, mutated};
use serde_json::{Map, Value, json};

const PATHS: &[&str] = &["a", "b", "out.txt", "d/a", "d/b", "d", "./a", "e//f"];
const MODULES: &[&str] = &["", "m", "m/n"];

/// The random project of this stream; a quarter of them contain an error.
pub fn random_case(rng: &mut Rng) -> Case {
    let case = target_case(rng);
    if rng.chance(75) {
        return case;
    }
    let mut case = case.0;
    // Few changes, so that most of the project keeps its meaning.
    for _ in 0..1 + rng.below(2) {
        let files = case["files"].as_object_mut().expect("files");
        let described: Vec<String> = files
            .iter()
            .filter(|(_, file)| file.get("json").is_some())
            .map(|(path, _)| path.clone())
            .collect();
        let file = &mut files[rng.pick(&described)]["json"];
        *file = mutated(rng, file);
    }
    Case(case)
}

/// Two small values for the configuration.
pub fn random_config(rng: &mut Rng) -> Value {
    let mut config = Map::new();
    for name in ["X", "Y"] {
        let value = match rng.below(6) {
            0 => Value::Null,
            1 => json!("a"),
            2 => json!(["a", "b"]),
            3 => json!({"a": "b"}),
            4 => json!(rng.below(3)),
            _ => continue,
        };
        config.insert(name.to_owned(), value);
    }
    Value::Object(config)
}

/// A dozen targets over three modules, each using earlier ones and source files.
fn target_case(rng: &mut Rng) -> Case {
    let mut modules: Vec<Map<String, Value>> = vec![Map::new(); MODULES.len()];
    let mut names: Vec<Value> = Vec::new();
    let own = if rng.chance(75) { Some(rules(rng, MODULES)) } else { None };
    for _ in 0..2 + rng.below(10) {
        let module = rng.below(MODULES.len());
        let name = format!("t{}", names.len());
        let target = match &own {
            Some(Rules { signatures, .. }) if rng.chance(50) => {
                let (deps, sources) = (dependencies(rng, &names, false), dependencies(rng, &[], false));
                rng.pick(signatures).target(rng, deps, sources)
            }
            // Where the project has rules of its own, one of them might read what is passed on, which source trees do
            // not allow.
            _ => target(rng, &names, own.is_none()),
        };
        modules[module].insert(name.clone(), target);
        names.push(json!([MODULES[module], name]));
    }
    // The last one, which all others may be below.
    let last = names.last().and_then(Value::as_array).cloned().unwrap_or_default();
    let mut files = Map::new();
    let place = |module: &str, name: &str| match module {
        "" => name.to_owned(),
        module => format!("{module}/{name}"),
    };
    for (module, targets) in MODULES.iter().zip(modules) {
        let place = |name| place(module, name);
        files.insert(place("TARGETS"), json!({"json": targets}));
        files.insert(place("s.txt"), json!({"text": format!("source of {module}\n")}));
        files.insert(place("run.sh"), json!({"exec": "#!/bin/sh\necho run\n"}));
        files.insert(place("tree/x"), json!({"text": "x"}));
        files.insert(place("tree/sub/y"), json!({"text": "y"}));
        files.insert(place("tree/l"), json!({"link": "sub/y"}));
    }
    files.insert("link".to_owned(), json!({"link": "s.txt"}));
    for (name, all) in own.iter().flat_map(|own| [("RULES", &own.rules), ("EXPRESSIONS", &own.expressions)]) {
        for (module, definitions) in all.iter().filter(|(_, definitions)| !definitions.is_empty()) {
            files.insert(place(module, name), json!({"json": definitions}));
        }
    }
    let mut case = json!({"files": files, "config": random_config(rng), "target": last});
    if rng.chance(20) {
        case["base"] = random_config(rng);
    }
    Case(case)
}

/// The name of an existing target or source; rarely of one that does not exist. Source trees have no provides in the
/// reference, so no rule may read them.
fn dependency(rng: &mut Rng, names: &[Value], trees: bool) -> Value {
    if !names.is_empty() && rng.chance(70) {
        return rng.pick(names).clone();
    }
    let module = *rng.pick(MODULES);
    match rng.below(9) {
        0 | 1 => json!([module, "s.txt"]),
        2 => json!([module, "run.sh"]),
        3 => json!([module, "tree/x"]),
        4 => json!(["FILE", null, "s.txt"]),
        5 if trees => json!(["TREE", null, "tree"]),
        5 => json!(["FILE", ".", "tree/x"]),
        6 => json!(["GLOB", null, rng.pick(&["*.txt", "*", "r?n.sh", "none*"])]),
        7 => json!(["SYMLINK", null, "tree/l"]),
        _ => match rng.below(4) {
            0 => json!([module, "missing"]),
            _ => json!(["./", ".", "s.txt"]),
        },
    }
}

fn dependencies(rng: &mut Rng, names: &[Value], trees: bool) -> Vec<Value> {
    (0..rng.below(4)).map(|_| dependency(rng, names, trees)).collect()
}

fn maybe_configured(rng: &mut Rng, text: Value) -> Value {
    if rng.chance(75) {
        return text;
    }
    // Both branches are the same: the variable is read, and decides nothing.
    json!({"type": "if", "cond": {"type": "var", "name": "X"}, "then": text.clone(), "else": text})
}

/// A target of a built-in rule; `forwards` is whether targets without provides may be passed on.
fn target(rng: &mut Rng, names: &[Value], forwards: bool) -> Value {
    let deps = dependencies(rng, names, true);
    let path = *rng.pick(PATHS);
    let mut target = match rng.below(13) {
        0..=3 => return generic(rng, deps),
        4 => json!({"type": "file_gen", "name": path, "data": rng.pick(&["", "data\n", "ü"])}),
        5 => json!({"type": "symlink", "name": path, "data": rng.pick(&["a", "d/b", "./s.txt"])}),
        6 => json!({"type": "tree", "deps": deps, "name": rng.pick(&["t", "d", ""])}),
        7 => json!({"type": "tree_overlay", "deps": deps, "name": "o"}),
        8 => json!({"type": "disjoint_tree_overlay", "deps": deps, "name": "o"}),
        9 | 10 => {
            let mut files = Map::new();
            for _ in 0..rng.below(3) {
                files.insert((*rng.pick(PATHS)).to_owned(), dependency(rng, names, true));
            }
            let dirs: Vec<Value> = (0..rng.below(2))
                .map(|_| json!([dependency(rng, names, true), rng.pick(&["d", "e", ".", "d/x"])]))
                .collect();
            json!({"type": "install", "deps": deps, "files": files, "dirs": dirs})
        }
        11 => {
            let name = dependency(rng, names, forwards);
            return json!({"type": "export", "target": name, "flexible_config": ["X"]});
        }
        _ => {
            let value = rng.pick(&["a", "z"]);
            json!({"type": "configure", "target": dependency(rng, names, forwards),
                "config": {"type": "singleton_map", "key": "X", "value": value}})
        }
    };
    if rng.chance(30) {
        target["arguments_config"] = json!(["X"]);
        if let Some(data) = target.get_mut("data") {
            *data = maybe_configured(rng, data.clone());
        }
    }
    // What depends on it mostly lacks the taint, which is an error.
    if rng.chance(4) {
        target["tainted"] = json!(["test"]);
    }
    target
}

fn generic(rng: &mut Rng, deps: Vec<Value>) -> Value {
    let outs: Vec<&str> = (0..1 + rng.below(2)).map(|_| *rng.pick(PATHS)).collect();
    let mut commands: Vec<Value> = outs
        .iter()
        .map(|out| {
            let text = rng.pick(&["echo made", "ls", "cat s.txt a 2>/dev/null || true", "echo $V"]);
            // Never into an input: the reference lets such a change affect other actions.
            json!(format!("{{ {text}; }} > .tmp && rm -rf {out} && mv .tmp {out}"))
        })
        .collect();
    // Without its command an output may be missing, which both tools have to notice.
    if rng.chance(5) {
        commands.pop();
    }
    let mut target = json!({"type": "generic", "outs": outs, "deps": deps, "cmds": commands});
    if rng.chance(20) {
        target["env"] = json!({"type": "'", "$1": {"PATH": "/bin:/usr/bin", "V": "1"}});
    }
    if rng.chance(10) {
        target["out_dirs"] = json!(["made"]);
        let mut all = vec![json!("mkdir -p made/in"), json!("echo x > made/in/x")];
        all.extend(target["cmds"].as_array().cloned().unwrap_or_default());
        target["cmds"] = Value::Array(all);
    }
    if rng.chance(10) {
        target["cwd"] = json!("d");
    }
    if rng.chance(10) {
        target["arguments_config"] = json!(["Y"]);
        target["timeout scaling"] = json!(2.5);
    }
    target
}
