//! Random expressions of the description language.
//!
//! Mostly well typed, so that most of them have a value, but not always: errors have to agree, too. Forms that the
//! reference is known to treat wrongly, and that taut treats differently on purpose, are left out.

use crate::Rng;
use serde_json::{Map, Value, json};

/// The kind of an expression, which determines what it can use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExpressionKind {
    /// Only the pure constructs.
    Anywhere,
    /// In the defining expression of a rule: fields `s` and `c` of strings, `deps` and `tool` of
    /// targets, artifacts, nodes, results.
    Rule,
}

/// The kind of value that an expression should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Any,
    Text,
    Texts,
    Map,
    Truth,
    Number,
    Name,
    Names,
    Artifact,
    Stage,
    Node,
    Nodes,
    Result,
}

const PURE: &[Kind] = &[Kind::Text, Kind::Texts, Kind::Map, Kind::Truth, Kind::Number];
// Words that paths, quoting and JSON treat specially, among ordinary ones.
const WORDS: &[&str] = &["", "a", "b", "foo", "x.c", "d/e.h", "a//b", "./x", ".", "1", "ü\"\\\n", "-"];
// `./a` is another key than `a`, and the same path once it is staged.
const KEYS: &[&str] = &["a", "b", "x/y", "./a", "z"];
const VARIABLES: &[&str] = &["X", "Y", "_", "v", "unbound"];
// Numbers that tools print in different ways: exponents, many digits, negative zero.
const NUMBERS: &[&str] =
    &["0", "1", "-1", "2.5", "3", "1e15", "0.0001", "123456789012345", "1e-5", "-0.0", "1e300", "0.1"];

/// A random expression nested at most `depth` deep.
pub fn random_expression(rng: &mut Rng, place: ExpressionKind, depth: usize) -> Value {
    Expressions { rng, place }.any(depth, Kind::Any)
}

/// Writes expressions.
pub(crate) struct Expressions<'r> {
    pub(crate) rng: &'r mut Rng,
    pub(crate) place: ExpressionKind,
}

impl Expressions<'_> {
    fn word(&mut self) -> Value {
        json!(self.rng.pick(WORDS))
    }

    fn literal(&mut self, kind: Kind) -> Value {
        match kind {
            Kind::Text => self.word(),
            Kind::Texts => (0..self.rng.below(4)).map(|_| self.word()).collect(),
            Kind::Number => {
                let at = self.rng.below(NUMBERS.len());
                serde_json::from_str(NUMBERS[at]).expect("a number")
            }
            Kind::Truth => json!(self.rng.chance(50)),
            Kind::Map | Kind::Stage if self.rng.chance(30) => json!({"type": "empty_map"}),
            Kind::Map => {
                let entries: Map<String, Value> = (0..self.rng.below(4))
                    .map(|_| ((*self.rng.pick(KEYS)).to_owned(), self.word()))
                    .collect();
                json!({"type": "'", "$1": entries})
            }
            Kind::Name => {
                json!({"type": "[]", "index": self.rng.below(2), "list": self.literal(Kind::Names)})
            }
            Kind::Names => json!({"type": "FIELD", "name": self.rng.pick(&["deps", "tool"])}),
            Kind::Artifact => json!({"type": "BLOB", "data": self.word()}),
            Kind::Stage => {
                let what = *self.rng.pick(&["DEP_ARTIFACTS", "DEP_RUNFILES"]);
                json!({"type": what, "dep": self.literal(Kind::Name)})
            }
            Kind::Node => json!({"type": "VALUE_NODE", "$1": {"type": "RESULT"}}),
            Kind::Nodes => (0..self.rng.below(3)).map(|_| self.literal(Kind::Node)).collect(),
            Kind::Result => json!({"type": "RESULT"}),
            Kind::Any => match self.rng.below(5) {
                0 => Value::Null,
                1 => self.literal(Kind::Number),
                2 => self.literal(Kind::Text),
                3 => self.literal(Kind::Texts),
                _ => self.literal(Kind::Map),
            },
        }
    }

    /// An expression that should evaluate to something of the kind.
    pub(crate) fn any(&mut self, depth: usize, kind: Kind) -> Value {
        // Some literals come earlier than they have to, so that sizes vary.
        if depth == 0 || self.rng.chance(10) {
            return self.literal(kind);
        }
        let depth = depth - 1;
        // Now and then a value of another kind.
        let kind = if self.rng.chance(4) { Kind::Any } else { kind };
        let mut value = match self.rng.below(100) {
            0..20 => self.control(depth, kind),
            // Seldom, since one error anywhere is the result of the whole expression.
            20 => self.ill_typed(depth),
            _ => match kind {
                Kind::Text => self.text(depth),
                Kind::Texts => self.list(depth),
                Kind::Map => self.map(depth),
                Kind::Truth => self.truth(depth),
                Kind::Number => self.number(depth),
                Kind::Any => {
                    let kind = self.some_kind();
                    self.any(depth, kind)
                }
                other => self.of_rule(depth, other),
            },
        };
        // Now and then an argument is missing, or one too many is there.
        if self.rng.chance(1)
            && let Some(object) = value.as_object_mut()
            && let Some(key) = object.keys().nth(self.rng.below(object.len().max(1))).cloned()
            && key != "type"
        {
            object.remove(&key);
        }
        value
    }

    fn some_kind(&mut self) -> Kind {
        const RULE: &[Kind] = &[
            Kind::Name,
            Kind::Names,
            Kind::Artifact,
            Kind::Stage,
            Kind::Stage,
            Kind::Node,
            Kind::Nodes,
            Kind::Result,
        ];
        if self.place == ExpressionKind::Rule && self.rng.chance(50) {
            return *self.rng.pick(RULE);
        }
        *self.rng.pick(PURE)
    }

    /// Expressions that are probably errors.
    fn ill_typed(&mut self, depth: usize) -> Value {
        let any = self.any(depth, Kind::Any);
        match self.rng.below(9) {
            0 => json!({"type": "fail", "msg": any}),
            1 => json!({"type": "assert_non_empty", "$1": any, "msg": "empty"}),
            2 => json!({"type": "no such construct", "$1": any}),
            3 => json!({"type": "FIELD", "name": any}),
            4 => json!({"$1": any}),
            5 => json!({"type": any, "$1": []}),
            6 => json!({"type": "CALL_EXPRESSION", "name": "f"}),
            7 => json!({"type": "outs", "dep": any}),
            _ => json!({"type": "BLOB", "data": any}),
        }
    }

    /// Forms that can have any value.
    fn control(&mut self, depth: usize, kind: Kind) -> Value {
        let one = self.any(depth, kind);
        let any = self.any(depth, Kind::Any);
        match self.rng.below(14) {
            0 => json!({"type": "var", "name": self.rng.pick(VARIABLES)}),
            1 => json!({"type": "var", "name": self.rng.pick(VARIABLES), "default": one}),
            2 => json!({"type": "if", "cond": any, "then": one, "else": self.any(depth, kind)}),
            3 => {
                let test = self.any(depth, Kind::Truth);
                json!({"type": "cond", "cond": [[test, one]], "default": self.any(depth, kind)})
            }
            4 => {
                let (two, expr) = (self.any(depth, kind), self.any(depth, Kind::Text));
                let default = self.any(depth, kind);
                json!({"type": "case", "expr": expr, "case": {"a": one, "foo": two}, "default": default})
            }
            5 => {
                let expr = self.any(depth, Kind::Any);
                let default = self.any(depth, kind);
                json!({"type": "case*", "expr": expr, "case": [[any, one]], "default": default})
            }
            6 => json!({"type": "let*", "bindings": [["v", any]], "body": one}),
            7 => json!({"type": "context", "msg": "here", "$1": one}),
            8 => {
                let map = self.any(depth, Kind::Map);
                json!({"type": "lookup", "key": self.rng.pick(KEYS), "map": map, "default": one})
            }
            9 => {
                let (index, list) = (self.any(depth, Kind::Number), self.any(depth, Kind::Texts));
                json!({"type": "[]", "index": index, "list": list, "default": one})
            }
            10 => {
                let predicate = self.any(depth, Kind::Truth);
                json!({"type": "assert", "predicate": predicate, "msg": "no", "$1": one})
            }
            11 => json!({"type": "[]", "index": self.rng.below(3), "list": [one, any]}),
            12 => json!({"type": "lookup", "key": "a", "map":
                {"type": "singleton_map", "key": self.rng.pick(KEYS), "value": one}}),
            _ => {
                let body = self.any(depth, kind);
                json!({"type": "foldl", "range": self.any(depth, Kind::Texts), "start": one,
                    "body": {"type": "if", "cond": any, "then": {"type": "var", "name": "$1"}, "else": body}})
            }
        }
    }

    fn text(&mut self, depth: usize) -> Value {
        let texts = self.any(depth, Kind::Texts);
        let one = self.any(depth, Kind::Text);
        match self.rng.below(9) {
            0 => json!({"type": "join", "$1": texts}),
            1 => json!({"type": "join", "$1": texts, "separator": one}),
            2 => json!({"type": "join_cmd", "$1": texts}),
            3 => json!({"type": "json_encode", "$1": self.any(depth, Kind::Any)}),
            4 => json!({"type": "change_ending", "$1": one, "ending": self.rng.pick(&[".o", "", "/x"])}),
            5 => json!({"type": "basename", "$1": one}),
            6 => json!({"type": "escape_chars", "$1": one, "chars": "ab\"", "escape_prefix": "^"}),
            7 => json!({"type": "concat_target_name", "$1": texts, "$2": one}),
            _ => json!({"type": "concat_target_name", "$1": one, "$2": self.any(depth, Kind::Text)}),
        }
    }

    fn list(&mut self, depth: usize) -> Value {
        let texts = self.any(depth, Kind::Texts);
        match self.rng.below(17) {
            0 => json!({"type": "++", "$1": [texts, self.any(depth, Kind::Texts)]}),
            1 => json!({"type": "nub_left", "$1": texts}),
            2 => json!({"type": "nub_right", "$1": texts}),
            3 => json!({"type": "keys", "$1": self.any(depth, Kind::Map)}),
            4 => json!({"type": "values", "$1": self.any(depth, Kind::Map)}),
            5 => json!({"type": "reverse", "$1": texts}),
            6 => json!({"type": "range", "$1": self.literal(Kind::Texts)}),
            7 => json!({"type": "range", "$1": self.rng.below(12)}),
            8 => json!({"type": "foreach", "range": texts, "body": self.any(depth, Kind::Text)}),
            9 => {
                let map = self.any(depth, Kind::Map);
                json!({"type": "foreach_map", "range": map, "body": self.any(depth, Kind::Text)})
            }
            10 => {
                let other = self.any(depth, Kind::Texts);
                let body = self.any(depth, Kind::Any);
                json!({"type": "zip_with", "range_1": texts, "range_2": other, "body": body})
            }
            11 => {
                let body = json!({"type": "++", "$1": [
                    {"type": "var", "name": "$1"}, [{"type": "var", "name": "_"}], texts]});
                json!({"type": "foldl", "range": self.any(depth, Kind::Texts), "body": body})
            }
            12 => json!({"type": "`", "$1": ["a", {"type": ",", "$1": self.any(depth, Kind::Any)},
                {"type": ",@", "$1": texts}]}),
            13 => json!({"type": "concat_target_name", "$1": texts, "$2": texts}),
            14 if self.place == ExpressionKind::Rule => {
                json!({"type": "FIELD", "name": self.rng.pick(&["s", "c"])})
            }
            15 => json!({"type": "range", "$1": self.rng.pick(&["3", "x", "2.7", "1e1", " 4", "+2", "0x3"])}),
            _ => Value::Array((0..self.rng.below(4)).map(|_| self.any(depth, Kind::Text)).collect()),
        }
    }

    fn map(&mut self, depth: usize) -> Value {
        let map = self.any(depth, Kind::Map);
        match self.rng.below(12) {
            0 => json!({"type": "map_union", "$1": [map, self.any(depth, Kind::Map)]}),
            1 => json!({"type": "disjoint_map_union", "$1": [map, self.any(depth, Kind::Map)]}),
            2 => {
                let key = self.any(depth, Kind::Text);
                json!({"type": "singleton_map", "key": key, "value": self.any(depth, Kind::Any)})
            }
            3 => json!({"type": "to_subdir", "$1": map, "subdir": self.word()}),
            4 => json!({"type": "to_subdir", "$1": map, "subdir": "s", "flat": true}),
            5 => json!({"type": "from_subdir", "$1": map, "subdir": self.rng.pick(KEYS)}),
            6 => json!({"type": "set", "$1": self.any(depth, Kind::Texts)}),
            7 => json!({"type": "enumerate", "$1": self.any(depth, Kind::Texts)}),
            8 => json!({"type": "zip_map", "range_key": self.any(depth, Kind::Texts),
                "range_val": self.any(depth, Kind::Texts)}),
            9 if self.place == ExpressionKind::Rule => self.any(depth, Kind::Stage),
            10 => {
                let each =
                    json!({"type": "singleton_map", "key": {"type": "var", "name": "_"}, "value": map});
                json!({"type": "map_union", "$1":
                    {"type": "foreach", "range": self.any(depth, Kind::Texts), "body": each}})
            }
            _ => json!({"type": "env", "vars": ["X", self.rng.pick(VARIABLES)]}),
        }
    }

    fn truth(&mut self, depth: usize) -> Value {
        let (one, two) = (self.any(depth, Kind::Any), self.any(depth, Kind::Any));
        match self.rng.below(5) {
            0 => json!({"type": "==", "$1": one, "$2": two}),
            1 => json!({"type": "and", "$1": [one, two]}),
            2 => json!({"type": "or", "$1": [one, two]}),
            3 => json!({"type": "==", "$1": one, "$2": one}),
            _ => json!({"type": "not", "$1": one}),
        }
    }

    fn number(&mut self, depth: usize) -> Value {
        let (one, two) = (self.any(depth, Kind::Number), self.any(depth, Kind::Number));
        match self.rng.below(3) {
            0 => json!({"type": "+", "$1": [one, two]}),
            1 => json!({"type": "*", "$1": [one, two]}),
            _ => json!({"type": "length", "$1": self.any(depth, Kind::Texts)}),
        }
    }

    /// The constructs that exist only in rules.
    fn of_rule(&mut self, depth: usize, kind: Kind) -> Value {
        match kind {
            Kind::Name => match self.rng.below(2) {
                0 => json!({"type": "[]", "index": self.rng.below(2), "list": self.any(depth, Kind::Names)}),
                _ => self.literal(Kind::Name),
            },
            Kind::Names => match self.rng.below(3) {
                0 => json!({"type": "reverse", "$1": self.any(depth, Kind::Names)}),
                1 => {
                    json!({"type": "++", "$1": [self.any(depth, Kind::Names), [self.any(depth, Kind::Name)]]})
                }
                _ => self.literal(Kind::Names),
            },
            Kind::Artifact => self.artifact(depth),
            Kind::Stage => self.stage(depth),
            Kind::Node => match self.rng.below(3) {
                0 => json!({"type": "VALUE_NODE", "$1": self.any(depth, Kind::Result)}),
                _ => {
                    let (texts, nodes) = (self.any(depth, Kind::Texts), self.any(depth, Kind::Nodes));
                    let strings = json!({"type": "singleton_map", "key": "s", "value": texts});
                    let key = *self.rng.pick(&["deps", "deps", "deps", "s"]);
                    let targets = json!({"type": "singleton_map", "key": key, "value": nodes});
                    let node_type = *self.rng.pick(&["n", "k"]);
                    json!({"type": "ABSTRACT_NODE", "node_type": node_type, "string_fields": strings,
                        "target_fields": targets})
                }
            },
            Kind::Nodes => match self.rng.below(3) {
                0 => {
                    json!({"type": "++", "$1": [self.any(depth, Kind::Nodes), [self.any(depth, Kind::Node)]]})
                }
                1 => {
                    let dep = self.literal(Kind::Name);
                    json!({"type": "DEP_PROVIDES", "dep": dep, "provider": "nodes"})
                }
                _ => (0..self.rng.below(3)).map(|_| self.any(depth, Kind::Node)).collect(),
            },
            _ => {
                let artifacts = self.any(depth, Kind::Stage);
                let runfiles = self.any(depth, Kind::Stage);
                match self.rng.below(3) {
                    0 => json!({"type": "RESULT", "artifacts": artifacts}),
                    1 => json!({"type": "RESULT", "artifacts": artifacts, "runfiles": runfiles}),
                    _ => json!({"type": "RESULT", "artifacts": artifacts, "runfiles": runfiles,
                        "provides": self.any(depth, Kind::Map)}),
                }
            }
        }
    }

    fn artifact(&mut self, depth: usize) -> Value {
        let stage = self.any(depth, Kind::Stage);
        match self.rng.below(7) {
            0 => json!({"type": "BLOB", "data": self.any(depth, Kind::Text)}),
            1 => json!({"type": "SYMLINK", "data": self.any(depth, Kind::Text)}),
            2 | 3 => json!({"type": "TREE", "$1": stage}),
            4 => json!({"type": "TREE_OVERLAY", "$1": [stage, self.any(depth, Kind::Stage)]}),
            5 => json!({"type": "DISJOINT_TREE_OVERLAY", "$1": [stage]}),
            _ => json!({"type": "[]", "index": 0, "list": {"type": "values", "$1": stage},
                "default": self.literal(Kind::Artifact)}),
        }
    }

    fn stage(&mut self, depth: usize) -> Value {
        let stage = self.any(depth, Kind::Stage);
        match self.rng.below(9) {
            0 => json!({"type": "map_union", "$1": [stage, self.any(depth, Kind::Stage)]}),
            1 => json!({"type": "disjoint_map_union", "$1": [stage, self.any(depth, Kind::Stage)]}),
            2 => json!({"type": "to_subdir", "$1": stage, "subdir": self.rng.pick(KEYS)}),
            3 => json!({"type": "from_subdir", "$1": stage, "subdir": self.rng.pick(KEYS)}),
            4 | 5 => self.action(depth, stage),
            6 => self.literal(Kind::Stage),
            _ => {
                let key = self.any(depth, Kind::Text);
                json!({"type": "singleton_map", "key": key, "value": self.any(depth, Kind::Artifact)})
            }
        }
    }

    fn action(&mut self, depth: usize, inputs: Value) -> Value {
        let outs: Vec<&str> = (0..1 + self.rng.below(2)).map(|_| *self.rng.pick(KEYS)).collect();
        let words = json!({"type": "++", "$1": [["sh", "-c"], self.any(depth, Kind::Texts)]});
        let mut action = json!({"type": "ACTION", "inputs": inputs, "outs": outs, "cmd": words});
        match self.rng.below(12) {
            0 => action["out_dirs"] = json!([self.rng.pick(WORDS)]),
            1 => action["cwd"] = self.any(depth, Kind::Text),
            2 => action["env"] = self.any(depth, Kind::Map),
            3 => action["timeout scaling"] = self.any(depth, Kind::Number),
            4 => action["execution properties"] = self.any(depth, Kind::Map),
            5 => action["may_fail"] = json!(["test"]),
            6 => action["no_cache"] = json!(["test"]),
            7 => action["outs"] = self.any(depth, Kind::Texts),
            8 => {
                action["may_fail"] = json!(["test"]);
                action["fail_message"] = self.any(depth, Kind::Text);
            }
            _ => {}
        }
        action
    }
}
