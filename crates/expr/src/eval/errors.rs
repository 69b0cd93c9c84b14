//! Errors about arguments: which one, the expected and the actual value, and the location.

use taut_syntax::{JsonPath, Location, PathStep, did_you_mean, enumeration, quoted};
use taut_value::{List, Map, Str, Value};

use super::{Evaluator, Frame, argument::Argument, reference::wrong_argument};
use crate::{
    abbreviate,
    construct::{Construct, SPECIAL_FORMS, vocabulary},
    error::{ErrorData, EvalError},
    kind_of,
    program::{NONE, Op, Program, Variable},
};

impl Evaluator<'_> {
    pub(super) fn shown(&self, value: &Value) -> String {
        abbreviate(value, self.limit)
    }

    /// The location of a node; `None` if there is no such node.
    pub(super) fn place(&self, f: Frame<'_>, node: u32) -> Option<Location> {
        // Composed here, when there is an error, and not while evaluating: most nodes never need their path.
        (node != NONE).then(|| Location::value(f.program.file.clone(), f.program.path(node)))
    }

    /// The location of a part of a construct.
    pub(super) fn part(&self, f: Frame<'_>, node: u32, key: &str) -> Option<Location> {
        Some(Location::value(f.program.file.clone(), f.program.path(node).key(key)))
    }

    /// The error of a malformed or missing part of a construct that is not evaluated.
    pub(super) fn malformed(&self, f: Frame<'_>, node: u32, key: &str, message: &str) -> EvalError {
        let mut error = EvalError::plain(message);
        match f.program.literal(node).as_map().is_some_and(|written| written.get(key).is_some()) {
            true => error.at(self.part(f, node, key)),
            false => {
                error.data().is_incomplete = true;
                error
            }
        }
    }

    /// The error of an object that is no construct. A key that is probably "type", misspelt, is its place.
    pub(super) fn broken(
        &self,
        f: Frame<'_>,
        node: u32,
        message: &str,
        advice: Option<&'static str>,
    ) -> EvalError {
        let mut error = EvalError::plain(message);
        let written = f.program.literal(node);
        let written = written.as_map().filter(|written| written.get("type").is_none());
        let misspelt = written.and_then(|written| {
            written.keys().find(|key| did_you_mean(key.as_str(), ["type"]).is_some()).cloned()
        });
        match misspelt {
            Some(key) => {
                set_misspelt_key(error.data(), f.program, node, &key, "type");
                error
            }
            None => advice.into_iter().fold(error, EvalError::help),
        }
    }

    /// The error of an argument that has another kind than expected.
    pub(super) fn wrong_kind(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        expected: &str,
        value: &Value,
    ) -> EvalError {
        let error =
            EvalError::plain(format!("{argument} has to be {expected}, but is {}", self.described(value)));
        let error = error.reference_as(wrong_argument(argument, expected, value, None));
        error.at(self.place(f, argument.node))
    }

    /// The error of an argument of the right kind with an unsuitable value.
    pub(super) fn unsuitable_value(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        expected: &str,
        value: &Value,
    ) -> EvalError {
        let error =
            EvalError::plain(format!("{argument} has to be {expected}, but is {}", self.shown(value)));
        let error = error.reference_as(wrong_argument(argument, expected, value, None));
        error.at(self.place(f, argument.node))
    }

    /// A value with its kind.
    fn described(&self, value: &Value) -> String {
        match value {
            Value::Null => kind_of(value).to_owned(),
            _ => format!("{}: {}", kind_of(value), self.shown(value)),
        }
    }

    /// The error of an item within an argument that has another kind than expected. `step` leads to the item, if it is
    /// written literally in a list or map.
    pub(super) fn wrong_item_kind(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        expected: &str,
        whole: &Value,
        step: &PathStep,
        item: &Value,
    ) -> EvalError {
        let kind = kind_of(item);
        let at = match step {
            PathStep::Key(key) => format!(" at {}", quoted(&key)),
            PathStep::Index(_) => String::new(),
        };
        let shown = match item {
            Value::Null => String::new(),
            _ => format!(": {}", self.shown(item)),
        };
        let message = format!("{argument} has to be {expected}, but contains {kind}{at}{shown}");
        let key = match step {
            PathStep::Key(key) => Some(&**key),
            PathStep::Index(_) => None,
        };
        let error = EvalError::plain(message).at(self.place_of_item(f, argument.node, step));
        error.reference_as(wrong_argument(argument, expected, whole, Some((item, key))))
    }

    /// The location of an item of a list; that of the list, if its items are computed.
    pub(super) fn place_of_item(&self, f: Frame<'_>, node: u32, step: &PathStep) -> Option<Location> {
        let below = |node: u32, step: &PathStep| {
            let path = f.program.path(node).join(&JsonPath::from_steps([step.clone()]));
            Location::value(f.program.file.clone(), path)
        };
        match (&f.program.nodes.get(node as usize)?.op, step) {
            (Op::List(items), PathStep::Index(index)) => self.place(f, *items.get(*index as usize)?),
            // A constant is one node, whose path ends at the list.
            (Op::Constant(Value::List(_)), PathStep::Index(_)) => Some(below(node, step)),
            (Op::Quote(Value::List(_)), PathStep::Index(_))
            | (Op::Quote(Value::Map(_)), PathStep::Key(_)) => {
                // What is quoted is below the key `$1` of the quotation, which is one node.
                let path = f.program.path(node).key("$1").join(&JsonPath::from_steps([step.clone()]));
                Some(Location::value(f.program.file.clone(), path))
            }
            _ => self.place(f, node),
        }
    }

    // References to the value, and no copies: these checks run for every argument of every construct.
    pub(super) fn list<'v>(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        value: &'v Value,
    ) -> Result<&'v List, EvalError> {
        value.as_list().ok_or_else(|| self.wrong_kind(f, argument, "a list", value))
    }

    pub(super) fn map<'v>(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        value: &'v Value,
    ) -> Result<&'v Map, EvalError> {
        value.as_map().ok_or_else(|| self.wrong_kind(f, argument, "a map", value))
    }

    pub(super) fn string<'v>(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        value: &'v Value,
    ) -> Result<&'v Str, EvalError> {
        value.as_str().ok_or_else(|| self.wrong_kind(f, argument, "a string", value))
    }

    /// The items of an argument that has to be a list of some kind.
    pub(super) fn list_of<'v, T>(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        expected: &str,
        value: &'v Value,
        item: impl Fn(&'v Value) -> Option<T>,
    ) -> Result<Vec<T>, EvalError> {
        let list = value.as_list().ok_or_else(|| self.wrong_kind(f, argument, expected, value))?;
        let items = list.iter().enumerate().map(|(index, part)| {
            let step = PathStep::Index(index as u32);
            item(part).ok_or_else(|| self.wrong_item_kind(f, argument, expected, value, &step, part))
        });
        items.collect()
    }

    pub(super) fn strings(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        value: &Value,
    ) -> Result<Vec<Str>, EvalError> {
        let strings = self.list_of(f, argument, "a list of strings", value, |item| item.as_str().cloned());
        strings.map_err(|error| match value {
            Value::String(_) => error.help(format!("a list of one: [{}]", self.shown(value))),
            _ => error,
        })
    }

    /// An argument that has to be a map of some kind.
    pub(super) fn map_of<'v>(
        &self,
        f: Frame<'_>,
        argument: Argument<'_>,
        expected: &str,
        value: &'v Value,
        is: impl Fn(&Value) -> bool,
    ) -> Result<&'v Map, EvalError> {
        let map = value.as_map().ok_or_else(|| self.wrong_kind(f, argument, expected, value))?;
        match map.iter().find(|(_, item)| !is(item)) {
            None => Ok(map),
            Some((key, item)) => {
                let step = PathStep::Key(key.as_str().into());
                Err(self.wrong_item_kind(f, argument, expected, value, &step, item))
            }
        }
    }

    /// The error of an unknown construct.
    pub(super) fn unknown(&self, f: Frame<'_>, node: u32, name: &str) -> EvalError {
        let context = self.host.context();
        let path = f.program.path(node).key("type");
        let at = Location::value(f.program.file.clone(), path);
        let mut error = EvalError::plain(format!("Unknown syntactical construct {name}")).at(Some(at));
        // It exists, but not in this context.
        if Construct::from_name(name).is_some() {
            return error.help(match name {
                "outs" | "runfiles" => "it exists only in string fields of targets",
                "FIELD" | "CALL_EXPRESSION" => {
                    "it exists only in expressions of rules and in their transitions"
                }
                _ => "it exists only in expressions of rules",
            });
        }
        if f.imports.contains_key(name) {
            let name = quoted(&name);
            return error.help(format!(
                "an imported expression is called by {{\"type\": \"CALL_EXPRESSION\", \"name\": {name}}}"
            ));
        }
        // Only what exists in this context is suggested.
        let known = Construct::ALL.iter().filter(|c| c.exists_in(context)).map(|c| c.name());
        error.data().suggestion =
            did_you_mean(name, known.chain(SPECIAL_FORMS.map(|(form, _)| form)).chain([",@"]))
                .map(Into::into);
        error
    }

    /// The values of the variables that an expression uses, one line each.
    pub(super) fn variables(&self, f: Frame<'_>, node: u32) -> Vec<String> {
        // The innermost expression uses few; more lines would hide the message.
        const MAX_SHOWN_VARIABLES: usize = 8;
        let (start, end) = (f.program.nodes[node as usize].start, f.program.nodes[node as usize].end);
        let mut seen: Vec<&Str> = Vec::new();
        let mut lines = Vec::new();
        // The nodes of an expression follow it in the arena.
        let inner = f.program.nodes[node as usize..].iter();
        for inner in inner.take_while(|inner| start <= inner.start && inner.end <= end) {
            let Op::Var { variable: Ok(variable), .. } = &inner.op else { continue };
            let (name, value) = match variable {
                Variable::Local(slot) => match self.locals.get(f.base + *slot as usize) {
                    Some((name, value)) => (name, value.clone()),
                    None => continue,
                },
                Variable::Global(name) => (name, self.variable(f, variable)),
            };
            if seen.contains(&name) || seen.len() == MAX_SHOWN_VARIABLES {
                continue;
            }
            seen.push(name);
            // Shorter than the values in the message itself.
            let mut line = format!("{name} = {}", abbreviate(&value, self.limit / 2));
            if matches!(variable, Variable::Global(_)) && !f.environment.contains_key(name) {
                line.push_str("; no variable of this name is declared here");
                let locals = self.locals[f.base..].iter().map(|(name, _)| name.as_str());
                let known = f.environment.keys().map(|name| name.as_str()).chain(locals);
                if let Some(meant) = did_you_mean(name, known) {
                    line.push_str(&format!(", did you mean {}?", quoted(&meant)));
                }
            }
            lines.push(line);
        }
        lines
    }
}

/// Adds to the error of a construct that lacks a part: the key that is not one of its parts. If that is probably the
/// missing part, misspelt, it is the place of the error.
pub(super) fn add_key_of_no_part(error: &mut ErrorData, program: &Program, node: u32) {
    let Value::Map(written) = program.literal(node) else { return };
    let Some(construct) = written.get("type").and_then(Value::as_str) else { return };
    let all = vocabulary();
    let Some((_, parts)) = all.iter().find(|(name, _)| *name == construct.as_str()) else { return };
    let is_part = |key: &str| key == "type" || parts.contains(&key);
    let wrong = || written.keys().map(|key| key.as_str()).filter(|key| !is_part(key));
    let absent = parts.iter().copied().filter(|part| written.get(part).is_none());
    let misspelt = wrong().find_map(|key| Some((key, did_you_mean(key, absent.clone())?)));
    if let Some((key, meant)) = misspelt {
        set_misspelt_key(error, program, node, key, meant);
    } else if let Some(key) = wrong().next() {
        let (key, construct) = (quoted(key), quoted(construct.as_str()));
        error
            .help
            .push(format!("{key} is not a part of {construct}, whose parts are {}", enumeration(parts)));
    }
}

/// The place of an error is a key of an object that was probably meant as another one.
fn set_misspelt_key(error: &mut ErrorData, program: &Program, node: u32, key: &str, meant: &str) {
    error.location = Some(Location::key(program.file.clone(), program.path(node).key(key)));
    error.suggestion = Some(meant.to_owned());
}
