//! The evaluator compared with a direct interpreter of the JSON text, on random expressions of a subset:
//! atoms, lists, variables, `let*`, `foreach`, `foldl`, `if`, `and`, `or`, `not`, `++`, `==`, quotes.

use std::collections::BTreeMap;

use proptest::prelude::*;
use taut_expr::{Expr, Imports, Pure, evaluate, json_to_value};
use taut_syntax::{Document, Kind, Node};
use taut_value::{Map, Value};

type Env = BTreeMap<String, Value>;

/// The value; `None` for an error.
fn naive(json: Node<'_>, env: &Env) -> Option<Value> {
    match json.kind() {
        Kind::List => {
            return json.items().map(|item| naive(item, env)).collect::<Option<Vec<_>>>().map(Value::list);
        }
        Kind::Object => {}
        _ => return Some(json_to_value(json)),
    }
    let argument = |name: &str, env: &Env| json.get(name).map(|argument| naive(argument, env));
    let or_empty = |name: &str, env: &Env| argument(name, env).unwrap_or(Some(Value::list([])));
    let bind = |name: &str, value: &Value, env: &Env| {
        let mut inner = env.clone();
        inner.insert(name.into(), value.clone());
        inner
    };
    let name = |field: &str, default: &'static str| json.get(field).map_or(Some(default), Node::as_str);
    Some(match json.get("type")?.as_str()? {
        "var" => match env.get(json.get("name")?.as_str()?) {
            Some(value) if *value != Value::Null => value.clone(),
            _ => argument("default", env).unwrap_or(Some(Value::Null))?,
        },
        "'" => json.get("$1").map_or(Value::Null, json_to_value),
        "let*" => {
            let mut inner = env.clone();
            for pair in json.get("bindings")?.items() {
                let value = naive(pair.item(1)?, &inner)?;
                inner = bind(pair.item(0)?.as_str()?, &value, &inner);
            }
            argument("body", &inner)??
        }
        "foreach" => {
            let range = or_empty("range", env)?;
            let items = range.as_list()?.iter();
            let each = |item| or_empty("body", &bind(name("var", "_")?, item, env));
            Value::list(items.map(each).collect::<Option<Vec<_>>>()?)
        }
        "foldl" => {
            let range = argument("range", env)??;
            let start = or_empty("start", env)?;
            range.as_list()?.iter().try_fold(start, |accumulated, item| {
                let inner = bind(name("accum_var", "$1")?, &accumulated, env);
                or_empty("body", &bind(name("var", "_")?, item, &inner))
            })?
        }
        "if" if argument("cond", env)??.is_true() => or_empty("then", env)?,
        "if" => or_empty("else", env)?,
        word @ ("and" | "or") => {
            let Some(items) = json.get("$1") else { return Some(Value::Bool(word == "and")) };
            if items.kind() == Kind::List {
                for item in items.items() {
                    if naive(item, env)?.is_true() != (word == "and") {
                        return Some(Value::Bool(word != "and"));
                    }
                }
                return Some(Value::Bool(word == "and"));
            }
            let items = naive(items, env)?;
            let items = items.as_list()?;
            Value::Bool(if word == "and" {
                items.iter().all(Value::is_true)
            } else {
                items.iter().any(Value::is_true)
            })
        }
        "not" => Value::Bool(!argument("$1", env)??.is_true()),
        "++" => {
            let lists = argument("$1", env)??;
            let mut all = Vec::new();
            for list in lists.as_list()?.iter() {
                all.extend(list.as_list()?.iter().cloned());
            }
            Value::list(all)
        }
        "==" => Value::Bool(argument("$1", env)?? == argument("$2", env)??),
        _ => return None,
    })
}

fn expression() -> impl Strategy<Value = String> {
    let name = || proptest::sample::select(vec!["_", "$1", "x", "y"]);
    let atom = prop_oneof![
        proptest::sample::select(vec![
            "null",
            "true",
            "0",
            "1",
            "\"\"",
            "\"s\"",
            "[]",
            "{}",
            "{\"type\":\"nope\"}"
        ])
        .prop_map(str::to_owned),
        name().prop_map(|name| format!(r#"{{"type":"var","name":"{name}"}}"#)),
        name().prop_map(|name| format!(r#"{{"type":"var","name":"{name}"}}"#)),
    ];
    atom.prop_recursive(5, 40, 3, move |inner| {
        let e = || inner.clone();
        prop_oneof![
            proptest::collection::vec(e(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            proptest::collection::vec(e(), 0..4).prop_map(|items| format!("[{}]", items.join(","))),
            (name(), e(), name(), e(), e()).prop_map(|(a, v, b, w, body)| format!(
                r#"{{"type":"let*","bindings":[["{a}",{v}],["{b}",{w}]],"body":{body}}}"#
            )),
            (name(), e(), e())
                .prop_map(|(x, range, body)| format!(r#"{{"type":"foreach","var":"{x}","range":{range},"body":{body}}}"#)),
            (name(), name(), e(), e(), e()).prop_map(|(x, a, range, start, body)| format!(
                r#"{{"type":"foldl","var":"{x}","accum_var":"{a}","range":{range},"start":{start},"body":{body}}}"#
            )),
            (e(), e(), e()).prop_map(|(c, t, f)| format!(r#"{{"type":"if","cond":{c},"then":{t},"else":{f}}}"#)),
            (proptest::sample::select(vec!["and", "or", "not", "++", "'"]), e())
                .prop_map(|(word, a)| format!(r#"{{"type":"{word}","$1":{a}}}"#)),
            (e(), e()).prop_map(|(a, b)| format!(r#"{{"type":"==","$1":{a},"$2":{b}}}"#)),
            (name(), e()).prop_map(|(x, d)| format!(r#"{{"type":"var","name":"{x}","default":{d}}}"#)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_evaluator_agrees_with_a_direct_interpreter(text in expression()) {
        let document = Document::parse("f", text.clone()).expect("valid JSON");
        let environment: Env = [("x".to_owned(), Value::string("outer"))].into_iter().collect();
        let set: Map = environment.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
        let expr = Expr::compile(document.root());
        let first = evaluate(&expr, &set, &Imports::new(), &mut Pure);
        prop_assert_eq!(first.clone().ok(), naive(document.root(), &environment), "{}", text);
        // Compiled once, evaluated twice: evaluation leaves no state behind.
        prop_assert_eq!(evaluate(&expr, &set, &Imports::new(), &mut Pure), first);
    }
}
