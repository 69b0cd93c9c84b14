//! Random expressions of the description language.
//!
//! Mostly well typed, so that most of them have a value, but not always: what is an error and
//! what is not must agree too. Left out are the forms whose treatment by the reference is a
//! known mistake that we do not copy.

use crate::Rng;
use serde_json::{Value, json};

/// What an expression shall evaluate to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Any,
    Text,
    Texts,
    Map,
    Truth,
    Number,
}

const WORDS: &[&str] = &["", "a", "b", "foo", "x.c", "d/e.h", "a//b", "./x", ".", "1", "ü\"\\\n", "-"];
const KEYS: &[&str] = &["a", "b", "x/y", "./a", "z"];
const VARIABLES: &[&str] = &["X", "Y", "_", "v", "unbound"];
const NUMBERS: &[&str] = &["0", "1", "-1", "2.5", "3", "1e15", "0.0001", "123456789012345", "1e-5"];

/// A random expression nested at most `depth` deep.
pub fn random_expression(rng: &mut Rng, depth: usize) -> Value {
    any(rng, depth, Kind::Any)
}

fn literal(rng: &mut Rng, kind: Kind) -> Value {
    match kind {
        Kind::Text => json!(rng.pick(WORDS)),
        Kind::Texts => (0..rng.below(4)).map(|_| json!(rng.pick(WORDS))).collect(),
        Kind::Number => {
            let text = *rng.pick(NUMBERS);
            serde_json::from_str(text).expect("a number")
        }
        Kind::Truth => json!(rng.chance(50)),
        Kind::Map => match rng.below(3) {
            0 => json!({"type": "empty_map"}),
            _ => {
                let entries =
                    (0..rng.below(4)).map(|_| ((*rng.pick(KEYS)).to_owned(), json!(rng.pick(WORDS))));
                json!({"type": "'", "$1": entries.collect::<serde_json::Map<_, _>>()})
            }
        },
        Kind::Any => match rng.below(5) {
            0 => Value::Null,
            1 => literal(rng, Kind::Number),
            2 => literal(rng, Kind::Text),
            3 => literal(rng, Kind::Texts),
            _ => literal(rng, Kind::Map),
        },
    }
}

fn any(rng: &mut Rng, depth: usize, kind: Kind) -> Value {
    if depth == 0 || rng.chance(10) {
        return literal(rng, kind);
    }
    let depth = depth - 1;
    // Now and then something of another kind.
    let kind = if rng.chance(4) { Kind::Any } else { kind };
    if rng.chance(20) {
        return control(rng, depth, kind);
    }
    match kind {
        Kind::Text => text(rng, depth),
        Kind::Texts => list(rng, depth),
        Kind::Map => map(rng, depth),
        Kind::Truth => truth(rng, depth),
        Kind::Number => number(rng, depth),
        Kind::Any => {
            let kinds = [Kind::Text, Kind::Texts, Kind::Map, Kind::Truth, Kind::Number];
            let kind = *rng.pick(&kinds);
            any(rng, depth, kind)
        }
    }
}

/// Forms that may yield anything.
fn control(rng: &mut Rng, depth: usize, kind: Kind) -> Value {
    let part = |rng: &mut Rng| any(rng, depth, kind);
    match rng.below(11) {
        0 => json!({"type": "var", "name": rng.pick(VARIABLES)}),
        1 => json!({"type": "var", "name": rng.pick(VARIABLES), "default": part(rng)}),
        2 => {
            let (then, or) = (part(rng), part(rng));
            json!({"type": "if", "cond": any(rng, depth, Kind::Any), "then": then, "else": or})
        }
        3 => {
            let (one, two) = (part(rng), part(rng));
            let test = any(rng, depth, Kind::Truth);
            json!({"type": "cond", "cond": [[test, one]], "default": two})
        }
        4 => {
            let (one, two) = (part(rng), part(rng));
            let expr = any(rng, depth, Kind::Text);
            json!({"type": "case", "expr": expr, "case": {"a": one, "foo": two}, "default": part(rng)})
        }
        5 => {
            let (one, label) = (part(rng), any(rng, depth, Kind::Any));
            let expr = any(rng, depth, Kind::Any);
            json!({"type": "case*", "expr": expr, "case": [[label, one]], "default": part(rng)})
        }
        6 => {
            let bound = any(rng, depth, Kind::Any);
            json!({"type": "let*", "bindings": [["v", bound]], "body": part(rng)})
        }
        7 => json!({"type": "context", "msg": "here", "$1": part(rng)}),
        8 => {
            let map = any(rng, depth, Kind::Map);
            json!({"type": "lookup", "key": rng.pick(KEYS), "map": map, "default": part(rng)})
        }
        9 => {
            let (index, list) = (any(rng, depth, Kind::Number), any(rng, depth, Kind::Texts));
            json!({"type": "[]", "index": index, "list": list, "default": part(rng)})
        }
        _ => {
            let predicate = any(rng, depth, Kind::Truth);
            json!({"type": "assert", "predicate": predicate, "msg": "no", "$1": part(rng)})
        }
    }
}

fn text(rng: &mut Rng, depth: usize) -> Value {
    let texts = any(rng, depth, Kind::Texts);
    let one = any(rng, depth, Kind::Text);
    match rng.below(8) {
        0 => json!({"type": "join", "$1": texts}),
        1 => json!({"type": "join", "$1": texts, "separator": one}),
        2 => json!({"type": "join_cmd", "$1": texts}),
        3 => json!({"type": "json_encode", "$1": any(rng, depth, Kind::Any)}),
        4 => json!({"type": "change_ending", "$1": one, "ending": ".o"}),
        5 => json!({"type": "basename", "$1": one}),
        6 => json!({"type": "escape_chars", "$1": one, "chars": "ab\"", "escape_prefix": "^"}),
        _ => json!({"type": "concat_target_name", "$1": one, "$2": any(rng, depth, Kind::Text)}),
    }
}

fn list(rng: &mut Rng, depth: usize) -> Value {
    let texts = any(rng, depth, Kind::Texts);
    match rng.below(14) {
        0 => json!({"type": "++", "$1": [texts, any(rng, depth, Kind::Texts)]}),
        1 => json!({"type": "nub_left", "$1": texts}),
        2 => json!({"type": "nub_right", "$1": texts}),
        3 => json!({"type": "keys", "$1": any(rng, depth, Kind::Map)}),
        4 => json!({"type": "values", "$1": any(rng, depth, Kind::Map)}),
        5 => json!({"type": "reverse", "$1": texts}),
        6 => json!({"type": "range", "$1": literal(rng, Kind::Texts)}),
        7 => json!({"type": "range", "$1": rng.below(12)}),
        8 => json!({"type": "foreach", "range": texts, "body": any(rng, depth, Kind::Text)}),
        9 => {
            let map = any(rng, depth, Kind::Map);
            json!({"type": "foreach_map", "range": map, "body": any(rng, depth, Kind::Text)})
        }
        10 => {
            let other = any(rng, depth, Kind::Texts);
            let body = any(rng, depth, Kind::Any);
            json!({"type": "zip_with", "range_1": texts, "range_2": other, "body": body})
        }
        11 => {
            let body = json!({"type": "++", "$1": [
                {"type": "var", "name": "$1"}, [{"type": "var", "name": "_"}], texts]});
            json!({"type": "foldl", "range": any(rng, depth, Kind::Texts), "body": body})
        }
        12 => json!({"type": "`", "$1": ["a", {"type": ",", "$1": any(rng, depth, Kind::Any)},
            {"type": ",@", "$1": texts}]}),
        _ => Value::Array((0..rng.below(4)).map(|_| any(rng, depth, Kind::Text)).collect()),
    }
}

fn map(rng: &mut Rng, depth: usize) -> Value {
    let map = any(rng, depth, Kind::Map);
    match rng.below(10) {
        0 => json!({"type": "map_union", "$1": [map, any(rng, depth, Kind::Map)]}),
        1 => json!({"type": "disjoint_map_union", "$1": [map, any(rng, depth, Kind::Map)]}),
        2 => {
            let key = any(rng, depth, Kind::Text);
            json!({"type": "singleton_map", "key": key, "value": any(rng, depth, Kind::Any)})
        }
        3 => json!({"type": "to_subdir", "$1": map, "subdir": rng.pick(WORDS)}),
        4 => json!({"type": "to_subdir", "$1": map, "subdir": "s", "flat": true}),
        5 => json!({"type": "from_subdir", "$1": map, "subdir": rng.pick(KEYS)}),
        6 => json!({"type": "set", "$1": any(rng, depth, Kind::Texts)}),
        7 => json!({"type": "enumerate", "$1": any(rng, depth, Kind::Texts)}),
        8 => json!({"type": "zip_map", "range_key": any(rng, depth, Kind::Texts),
            "range_val": any(rng, depth, Kind::Texts)}),
        _ => json!({"type": "env", "vars": ["X", rng.pick(VARIABLES)]}),
    }
}

fn truth(rng: &mut Rng, depth: usize) -> Value {
    let (one, two) = (any(rng, depth, Kind::Any), any(rng, depth, Kind::Any));
    match rng.below(4) {
        0 => json!({"type": "==", "$1": one, "$2": two}),
        1 => json!({"type": "and", "$1": [one, two]}),
        2 => json!({"type": "or", "$1": [one, two]}),
        _ => json!({"type": "not", "$1": one}),
    }
}

fn number(rng: &mut Rng, depth: usize) -> Value {
    let (one, two) = (any(rng, depth, Kind::Number), any(rng, depth, Kind::Number));
    match rng.below(3) {
        0 => json!({"type": "+", "$1": [one, two]}),
        1 => json!({"type": "*", "$1": [one, two]}),
        _ => json!({"type": "length", "$1": any(rng, depth, Kind::Texts)}),
    }
}
