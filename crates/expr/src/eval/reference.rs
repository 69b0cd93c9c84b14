//! The reference's messages about expressions: what is wrong, and the way there from outside, one step for each
//! expression around it.

use taut_syntax::quoted;
use taut_value::{Map, Str, Value};

use super::{Evaluator, Frame, argument::Argument};
use crate::{error::EvalError, program::Op};

/// How many bytes of a value a message has; the reference's own have all.
const MAX_SHOWN_BYTES: usize = 1 << 16;

/// How many bytes of source are read again for the steps of one error.
pub(crate) const MAX_READ_BYTES: usize = 16 << 20;

// Cut, other than in the reference, since values share their parts: a text of all of it may be
// exponentially long.
pub(super) fn shown(value: &Value) -> String {
    value.to_json_beyond(MAX_SHOWN_BYTES)
}

/// The kind of a value in messages about types.
fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "none",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::List(_) => "list",
        Value::Map(_) => "map",
        Value::Name(_) => "name",
        Value::Artifact(_) => "artifact",
        Value::Result(_) => "result",
        Value::Node(_) => "node",
    }
}

fn no_type(expected: &str, value: &Value) -> String {
    format!("ExpressionTypeError: Expression is not of type '{expected}' but '{}'.", kind(value))
}

/// The message about an argument of the wrong type; `item` is what is wrong in it with its key, if that is a part.
pub(super) fn wrong_argument(
    argument: Argument<'_>,
    expected: &str,
    value: &Value,
    item: Option<(&Value, Option<&str>)>,
) -> String {
    let Argument { construct, name, .. } = argument;
    let found = shown(value);
    let of_item = item.map(|(item, _)| shown(item)).unwrap_or_default();
    let key = item.and_then(|(_, key)| key).unwrap_or_default();
    let is_item = item.is_some();
    // One table by construct and argument, with the reference's spelling: its messages have no common form.
    let text = match (construct, name) {
        ("++", _) if is_item => format!("Non-list entry found for argument in flatten: {of_item}."),
        ("++", _) => format!("Flatten expects list but instead got: {found}."),
        ("+", _) if is_item => format!("Non-number entry found for argument to addition: {of_item}"),
        ("+", _) => format!("Addition expects a list, but found: {found}"),
        ("*", _) if is_item => format!("Non-number entry found for argument to multiplication: {of_item}"),
        ("*", _) => format!("Multiplication expects a list, but found: {found}"),
        ("set", _) if is_item => format!("set expects list of strings found entry: {of_item}."),
        ("set", _) => format!("set expects list of strings but instead got: {found}."),
        ("enumerate" | "reverse" | "length" | "nub_right" | "nub_left", _) => {
            format!("{construct} expects list but instead got: {found}.")
        }
        ("join" | "join_cmd", "$1") if !is_item => {
            format!("Join expects a list of strings, but got: {found}.")
        }
        ("concat_target_name", "$2") if !is_item => {
            format!("Join expects a list of strings or a single string, but got: {found}.")
        }
        ("concat_target_name", "$1") => format!("Unsupported expression for concat: {found}."),
        ("map_union" | "disjoint_map_union", _) if is_item => {
            format!("Map union list element is not a map: {of_item}")
        }
        ("map_union" | "disjoint_map_union", _) => format!("Union expects list of maps but got: {found}."),
        ("lookup", "key") => format!("Key expected to be string but found {found}."),
        ("lookup", "map") => format!("Map expected to be mapping but found {found}."),
        ("[]", "list") => format!("List expected to be list, but found {found}."),
        ("case", "expr") => format!("expr in case must evaluate to string, but found {found}"),
        ("FIELD", "name") => format!("FIELD argument 'name' should evaluate to a string, but got {found}"),
        ("DEP_ARTIFACTS" | "DEP_RUNFILES" | "DEP_PROVIDES", "dep") => format!("Not a target name: {found}"),
        ("BLOB", _) => format!("BLOB data has to be a string, but got {found}"),
        ("SYMLINK", _) if value.as_str().is_some() => {
            format!("SYMLINK data has to be non-upwards relative, but got {found}")
        }
        ("SYMLINK", _) => format!("SYMLINK data has to be a string, but got {found}"),
        ("TREE" | "TREE_OVERLAY" | "DISJOINT_TREE_OVERLAY", _) if expected == "a list of stages" => {
            format!("{construct} argument has to be a list of stages, but found {found}")
        }
        ("TREE" | "TREE_OVERLAY" | "DISJOINT_TREE_OVERLAY", _) => match is_item {
            // The reference fills in the words in this order.
            true => format!("{of_item} has to be a map of artifacts, but found {key} for {}", tree(argument)),
            false => format!("{} has to be a map of artifacts, but found {found}", tree(argument)),
        },
        ("VALUE_NODE", _) => "argument '$1' for VALUE_NODE not a RESULT type.".to_owned(),
        ("ABSTRACT_NODE", "node_type") => "argument 'node_type' for ABSTRACT_NODE not a string.".to_owned(),
        ("ABSTRACT_NODE", _) if !is_item => format!("argument '{name}' for ABSTRACT_NODE not a map."),
        ("ABSTRACT_NODE", _) => match value.as_map().and_then(|map| map.get(key)) {
            Some(Value::List(_)) => {
                let what = if name == "string_fields" { "string" } else { "target node" };
                format!(
                    "list entry for {key} in argument '{name}' for ABSTRACT_NODE is not a {what}:\n{of_item}"
                )
            }
            _ => format!("value for key {key} in argument '{name}' for ABSTRACT_NODE is not a list."),
        },
        ("RESULT", "provides") => format!("provides has to be a map, but found {found}"),
        ("RESULT", _) if is_item => {
            format!("{name} has to be a map of artifacts, but found {of_item} for {key}")
        }
        ("RESULT", _) => format!("{name} has to be a map of artifacts, but found {found}"),
        ("ACTION", "inputs") if is_item => {
            format!("inputs has to be a map of Artifacts, but found {of_item} for {key}")
        }
        ("ACTION", "inputs") => format!("inputs has to be a map of artifacts, but found {found}"),
        ("ACTION", "outs" | "out_dirs" | "cmd") => {
            format!("{name} has to be a list of strings, but found {found}")
        }
        ("ACTION", "cwd") if value.as_str().is_some() => {
            format!("cwd has to be a non-upwards relative path, but found {found}")
        }
        ("ACTION", "cwd") => format!("cwd has to be a string, but found {found}"),
        ("ACTION", "env") => format!("env has to be a map of string, but found {found}"),
        ("ACTION", "fail_message") => format!("fail_message has to evaluate to a string, but got {found}"),
        ("ACTION", "timeout scaling") => {
            format!("timeout scaling has to be number (or null for default), but found {found}")
        }
        ("ACTION", "execution properties") => {
            format!("execution properties has to be a map of strings (or null for empty), but found {found}")
        }
        _ => {
            let value = item.map_or(value, |(item, _)| item);
            return no_type(
                match expected {
                    _ if is_item => "string",
                    _ if expected.contains("list") => "list",
                    _ if expected.contains("map") => "map",
                    _ => "string",
                },
                value,
            );
        }
    };
    format!("EvaluationError: {text}")
}

/// The words for the argument of a construct that makes trees.
pub(super) fn tree(argument: Argument<'_>) -> String {
    let Argument { construct, name, .. } = argument;
    match name.strip_prefix("item ").and_then(|rest| rest.split_once(' ')) {
        Some((number, _)) => format!("Entry {number} of {construct} argument"),
        None => format!("{construct} argument"),
    }
}

/// The message about a part of a construct that is not evaluated, from the construct's source; `None` if there is no
/// special one.
fn malformed(op: &Op, source: &Value) -> Option<String> {
    // From the source, as the compiled form of a malformed part has only our message.
    let part = |key: &str| source.as_map().and_then(|map| map.get(key));
    let no_key = |key: &str| Some(format!("ExpressionTypeError: Map does not contain key '{key}'."));
    let no_string = |key: &str| match part(key) {
        None => no_key(key),
        Some(value) => Some(no_type("string", value)),
    };
    let evaluation = |text: String| Some(format!("EvaluationError: {text}"));
    let no_pair = |list: &Value| {
        list.as_list().and_then(|list| {
            list.iter().find(|pair| pair.as_list().is_none_or(|pair| pair.len() != 2)).cloned()
        })
    };
    let pairs = |construct: &str, key: &str| {
        let list = part(key)?;
        let what = format!("{key} in {construct} has to be a list of pairs, but found");
        match list {
            Value::List(_) => evaluation(format!("{what} entry {}", shown(&no_pair(list)?))),
            other => evaluation(format!("{what} {}", shown(other))),
        }
    };
    match op {
        Op::Broken(..) => match part("type") {
            None => evaluation(format!("Object without keyword 'type': {}", shown(source))),
            Some(Value::String(name)) if matches!(name.as_str(), "," | ",@") => evaluation(
                "\",\" and \",@\" are only evaluated within quasi-quote (\"`\") environments.".to_owned(),
            ),
            Some(other) => Some(no_type("string", other)),
        },
        Op::Var { variable: Err(_), .. } | Op::CallExpression(Err(_)) => no_string("name"),
        Op::Cond { broken: Some(_), .. } => pairs("cond", "cond"),
        Op::Case { broken: Some(_), .. } => evaluation(format!(
            "case in case has to be a map of expressions, but found {}",
            shown(part("case")?)
        )),
        Op::CaseStar { broken: Some(_), .. } => pairs("case*", "case"),
        Op::Case { expr: crate::program::NONE, .. } | Op::CaseStar { expr: crate::program::NONE, .. } => {
            evaluation("missing expr in case".to_owned())
        }
        Op::Let { broken: Some(_), .. } => pairs("let*", "bindings").or_else(|| {
            let names = part("bindings")?.as_list()?;
            let bad = names.iter().find(|pair| {
                pair.as_list().and_then(|pair| pair.first()).is_some_and(|name| name.as_str().is_none())
            })?;
            evaluation(format!(
                "variable names in let* have to be strings, but found binding entry {}",
                shown(bad)
            ))
        }),
        Op::Env(Err(_)) => {
            let vars = part("vars")?;
            let what = "vars in env has to be a list of strings, but found";
            match vars.as_list() {
                None => evaluation(format!("{what} {}", shown(vars))),
                Some(list) => {
                    let bad = list.iter().find(|item| item.as_str().is_none())?;
                    evaluation(format!("{what} entry {}", shown(bad)))
                }
            }
        }
        Op::Action { may_fail, no_cache, .. } => {
            let (key, list) = match (may_fail, no_cache) {
                (Err(_), _) => ("may_fail", "list of strings"),
                // In the reference's words, which lack the space.
                (_, Err(_)) => ("no_cache", "list ofstrings"),
                _ => return None,
            };
            evaluation(format!("{key} has to be a {list}, but found {}", shown(part(key)?)))
        }
        _ => None,
    }
}

impl Evaluator<'_> {
    /// The line before the message about a value that an argument was evaluated to.
    pub(super) fn having_evaluated(&self, value: &Value) -> String {
        format!("Having evaluated the argument to {}:", value.to_json_abbreviated(self.limit))
    }

    /// Adds the step of evaluating an expression to an error; `end` is the number of variables that are bound around
    /// it.
    pub(super) fn add_step(&self, f: Frame<'_>, node: u32, op: &Op, end: usize, error: &mut EvalError) {
        let source = &f.program.nodes[node as usize];
        let length = (source.end - source.start) as usize;
        let data = error.data();
        // Each level reads all that is below it again: without a bound, deep expressions would take quadratic time.
        if data.read.saturating_add(length) > MAX_READ_BYTES {
            return;
        }
        data.read += length;
        let source = f.program.literal(node);
        // Only for the innermost expression: the error is about a part of it, not about those around it.
        if data.reference.is_none() && data.steps.is_empty() {
            data.reference = malformed(op, &source);
        }
        let kind = source.as_map().and_then(|map| map.get("type")).filter(|kind| kind.as_str().is_some());
        let kind = kind.map(|kind| format!("{}-expression ", kind.to_json())).unwrap_or_default();
        let shown = source.to_json_abbreviated(self.limit);
        let variables = self.environment(f, end);
        data.steps.push(format!("* {kind}{shown}\n  environment \n{variables}"));
    }

    /// The variables of an expression with their values, one line each.
    fn environment(&self, f: Frame<'_>, end: usize) -> String {
        const PREFIX: &str = "  - ";
        let mut all: Map = f.environment.clone();
        let locals: Vec<(Str, Value)> = self.locals[f.base..end].to_vec();
        if !locals.is_empty() {
            all = all.union(&Map::from_entries(locals));
        }
        let mut text = String::new();
        let Some(width) = self.limit.checked_sub(PREFIX.len()).filter(|width| *width > 0) else {
            return text;
        };
        for (name, value) in all.iter() {
            let name = quoted(name).to_string();
            text += PREFIX;
            match width.checked_sub(name.len() + 3).filter(|rest| *rest > 0) {
                // The reference cuts lines at the limit of its log, prefix and name included.
                Some(rest) => {
                    let value = value.to_json_abbreviated(rest);
                    text += &name;
                    text += " : ";
                    if value.len() >= rest {
                        text += &value[..value.floor_char_boundary(rest.saturating_sub(3))];
                        text += "...";
                    } else {
                        text += &value;
                    }
                }
                None => text += &name[..name.floor_char_boundary(width)],
            }
            text.push('\n');
        }
        text
    }
}
