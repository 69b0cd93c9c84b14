//! Evaluation of the compiled form.
//!
//! Local variables are on one stack, since there are no closures: what a construct binds ends with it. Arguments are
//! evaluated in the reference's order, and checked where it checks them, so that of several errors the same one is
//! reported.

mod argument;
mod bounds;
mod errors;
mod pure;
mod reference;
mod rule;
mod strings;

use std::sync::Arc;

use taut_syntax::{Frame as Way, Location, did_you_mean, enumeration, quoted};
use taut_value::{Id, List, Map, Str, Value, deep};

pub use self::bounds::MAX_STRING_BYTES;
use self::{argument::Argument, errors::add_key_of_no_part};
use crate::{
    abbreviate::abbreviate_json,
    compile::not_literal,
    construct::Construct,
    error::{ErrorKind, EvalError},
    host::Host,
    program::{Expr, Imports, Literal, NONE, Op, Program, Variable},
    user_message::UserMessage,
};

type Evaluated = Result<Value, EvalError>;

/// Evaluates an expression. `environment` has the variables that are set (null counts as not set); `imports` are the
/// functions that it can call; `host` provides everything else that it may use.
///
/// # Errors
/// The first error in the order of evaluation.
pub fn evaluate(expr: &Expr, environment: &Map, imports: &Imports, host: &mut dyn Host) -> Evaluated {
    let limit = host.log_limit();
    let mut evaluator = Evaluator { host, locals: Vec::new(), limit };
    let frame = Frame { program: &expr.program, environment, imports, base: 0 };
    evaluator.eval(frame, expr.root)
}

struct Evaluator<'h> {
    host: &'h mut dyn Host,
    locals: Vec<(Str, Value)>,
    limit: usize,
}

/// A construct that binds variables.
#[derive(Clone, Copy)]
struct Binding<'p> {
    node: u32,
    construct: Construct,
    vars: &'p [Option<Literal>; 2],
    body: u32,
}

impl<'p> Binding<'p> {
    /// The name of a variable; an error if it is not written as a text.
    fn name(self, f: Frame<'_>, position: usize) -> Result<&'p Str, EvalError> {
        let literal = self.vars[position].as_ref().expect("the construct binds it");
        literal.as_ref().map_err(|found| {
            let word = self.construct.bound_by()[position];
            let message = not_literal(word, self.construct.name(), found);
            let path = f.program.path(self.node).key(word);
            EvalError::plain(message).at(Some(Location::value(f.program.file.clone(), path)))
        })
    }
}

/// The constant part of the evaluation of one function.
#[derive(Clone, Copy)]
struct Frame<'f> {
    program: &'f Arc<Program>,
    environment: &'f Map,
    imports: &'f Imports,
    /// The index of its first local variable.
    base: usize,
}

fn plain<T>(message: impl Into<String>) -> Result<T, EvalError> {
    Err(EvalError::plain(message))
}

impl Evaluator<'_> {
    fn eval(&mut self, f: Frame<'_>, node: u32) -> Evaluated {
        let op = &f.program.nodes[node as usize].op;
        match op {
            // Without a check of the stack, unlike what follows: most nodes are of these two kinds.
            Op::Constant(value) | Op::Quote(value) => Ok(value.clone()),
            Op::Var { variable: Ok(variable), default } => {
                let value = self.variable(f, variable);
                match value {
                    // A variable that is null counts as not set.
                    Value::Null if *default != NONE => deep(|| self.eval(f, *default)),
                    value => Ok(value),
                }
            }
            Op::List(items) => deep(|| {
                let mut values = Vec::with_capacity(items.len());
                for item in items {
                    let value = self.eval(f, *item).map_err(|mut error| {
                        if error.traced {
                            // A step only: `trace` would make the list the place of the error, which is that of the
                            // item.
                            self.add_step(f, node, op, self.locals.len(), &mut error);
                        }
                        error
                    });
                    values.push(value?);
                }
                Ok(Value::List(values.into()))
            }),
            // Expressions are nested as deeply as their author likes.
            _ => deep(|| {
                let locals = self.locals.len();
                let result = self.construct(f, node, op);
                if result.is_err() {
                    // The variables are still needed to describe the error.
                    let result = result.map_err(|error| self.trace(f, node, op, locals, error));
                    self.locals.truncate(locals);
                    return result;
                }
                result
            }),
        }
    }

    /// An argument, or a default for a missing one.
    fn or(&mut self, f: Frame<'_>, node: u32, default: impl FnOnce() -> Value) -> Evaluated {
        if node == NONE { Ok(default()) } else { self.eval(f, node) }
    }

    /// The default of a choice by an unknown key. If it is a `fail`, the user of a rule chose wrongly, and reads which
    /// of the keys was probably meant.
    fn or_meant<'k>(
        &mut self,
        f: Frame<'_>,
        node: u32,
        key: &str,
        known: impl Iterator<Item = &'k str>,
        default: impl FnOnce() -> Value,
    ) -> Evaluated {
        let is_fail =
            node != NONE && matches!(&f.program.nodes[node as usize].op, Op::Call(Construct::Fail, _));
        self.or(f, node, default).map_err(|mut error| match did_you_mean(key, known) {
            // A message that cannot be evaluated is an error of the language.
            Some(meant) if is_fail && error.data().kind == ErrorKind::User => {
                error.help(format!("did you mean {}?", quoted(meant)))
            }
            _ => error,
        })
    }

    /// An argument that must be given.
    fn need(&mut self, f: Frame<'_>, construct: Construct, args: &[u32], position: usize) -> Evaluated {
        match args[position] {
            NONE => {
                let name = construct.arguments()[position];
                // To the reference an expression is a map, in which it looks the argument up.
                let error = EvalError::lacks(name, construct.name());
                let text = format!("ExpressionTypeError: Map does not contain key '{name}'.");
                Err(error.reference_as(text))
            }
            node => self.eval(f, node),
        }
    }

    /// An argument that must be given, and that errors name as the reference does.
    fn need_named(&mut self, f: Frame<'_>, construct: Construct, args: &[u32], position: usize) -> Evaluated {
        let name = construct.arguments()[position];
        self.need(f, construct, args, position)
            .map_err(|error| error.step(|| format!("Evaluating argument {name}:")))
    }

    fn variable(&self, f: Frame<'_>, variable: &Variable) -> Value {
        match variable {
            Variable::Local(slot) => self.locals[f.base + *slot as usize].1.clone(),
            Variable::Global(name) => f.environment.get(name).cloned().unwrap_or_default(),
        }
    }

    /// Adds context to an error while it is passed outwards.
    fn trace(&self, f: Frame<'_>, node: u32, op: &Op, locals: usize, mut error: EvalError) -> EvalError {
        let program = f.program;
        let at = || Location::value(program.file.clone(), program.path(node));
        let data = error.data();
        if data.location.is_none() {
            data.location = Some(at());
            if data.is_incomplete {
                add_key_of_no_part(data, program, node);
            }
        }
        if !data.traced {
            return error;
        }
        if data.variables.is_none() {
            data.variables = Some(self.variables(f, node));
        }
        self.add_step(f, node, op, locals, &mut error);
        match op {
            // A loop's variables are on the stack only while its body is evaluated.
            Op::Bind { construct, .. } if *construct != Construct::Assert && self.locals.len() > locals => {
                let bound = self.locals[locals..].iter();
                let bound: Vec<String> =
                    bound.map(|(name, value)| format!("{name} = {}", self.shown(value))).collect();
                let message = format!("in {} for {}", quoted(&construct.name()), bound.join(", "));
                error.push_frame(|| Way::new(message).at(at()));
            }
            // The error may be in the call itself.
            Op::CallExpression(Ok(name)) if f.imports.contains_key(name) => {
                error.push_frame(|| Way::new(format!("called as {}", quoted(&name))).at(at()));
            }
            _ => {}
        }
        error
    }

    fn construct(&mut self, f: Frame<'_>, node: u32, op: &Op) -> Evaluated {
        match op {
            Op::Constant(_) | Op::Quote(_) | Op::List(_) => unreachable!("evaluated without a construct"),
            Op::Broken(message, advice) => Err(self.broken(f, node, message, *advice)),
            Op::Unknown(name) => Err(self.unknown(f, node, name)),
            Op::Var { variable: Err(message), .. } => Err(self.malformed(f, node, "name", message)),
            Op::Var { .. } => unreachable!("evaluated without a construct"),
            Op::QuasiQuote(template) => self.expand(f, *template),
            Op::TemplateList(_) | Op::TemplateMap(_) | Op::Unquote(_) | Op::Splice(_) => {
                unreachable!("templates are expanded")
            }
            // Only a literal list is evaluated item by item; a computed one is evaluated as a whole
            // (`junction`).
            Op::Shortcut { and, items } => {
                for item in items {
                    if self.eval(f, *item)?.is_true() != *and {
                        return Ok(Value::Bool(!*and));
                    }
                }
                Ok(Value::Bool(*and))
            }
            Op::Cond { pairs, broken, default } => {
                // In order, and no further than the first that holds: later ones may have errors.
                for (condition, value) in pairs {
                    if self.eval(f, *condition)?.is_true() {
                        return self.eval(f, *value);
                    }
                }
                match broken {
                    Some(message) => Err(self.malformed(f, node, "cond", message)),
                    None => self.or(f, *default, empty_list),
                }
            }
            Op::Case { expr, cases, broken, default } => {
                self.case(f, node, *expr, cases.as_deref(), broken.as_deref(), *default)
            }
            Op::CaseStar { expr, cases, broken, default } => {
                let broken = broken.as_ref().map(|message| self.malformed(f, node, "case", message));
                self.case_star(f, *expr, cases.as_deref(), broken, *default)
            }
            Op::Let { bindings, broken, body } => {
                self.bind_in_order(f, node, bindings, broken.as_deref(), *body)
            }
            Op::Env(vars) => {
                let vars = vars.as_ref().map_err(|message| self.malformed(f, node, "vars", message))?;
                let values = vars.iter().map(|(name, variable)| (name.clone(), self.variable(f, variable)));
                Ok(Value::Map(values.collect()))
            }
            Op::Call(construct, args) => {
                if !construct.exists_in(self.host.context()) {
                    return Err(self.unknown(f, node, construct.name()));
                }
                self.call(f, *construct, args)
            }
            Op::Bind { construct, args, vars, body } => {
                self.bind(f, Binding { node, construct: *construct, vars, body: *body }, args)
            }
            Op::Action { args, may_fail, no_cache } => {
                if !Construct::Action.exists_in(self.host.context()) {
                    return Err(self.unknown(f, node, "ACTION"));
                }
                self.action(f, node, args, may_fail, no_cache)
            }
            Op::CallExpression(name) => {
                if !Construct::CallExpression.exists_in(self.host.context()) {
                    return Err(self.unknown(f, node, "CALL_EXPRESSION"));
                }
                let name = name.as_ref().map_err(|message| self.malformed(f, node, "name", message))?;
                self.call_expression(f, node, name)
            }
        }
    }

    /// `let*`: each binding sees those before it.
    fn bind_in_order(
        &mut self,
        f: Frame<'_>,
        node: u32,
        bindings: &[(Str, u32)],
        broken: Option<&str>,
        body: u32,
    ) -> Evaluated {
        let outer = self.locals.len();
        for (position, (name, value)) in bindings.iter().enumerate() {
            let value = self.eval(f, *value).map_err(|error| {
                let name = Value::String(name.clone());
                error.step(|| {
                    let name = name.to_json();
                    format!("Evaluating entry {position} in bindings, binding {name}:")
                })
            })?;
            self.locals.push((name.clone(), value));
        }
        if let Some(message) = broken {
            let help = "each pair is a name and an expression for its value: [[\"name\", …], …]";
            return Err(self.malformed(f, node, "bindings", message).help(help));
        }
        if body == NONE {
            // The reference evaluates `{}` in place of a missing body; these are the messages about that.
            let error = EvalError::lacks("body", "let*").reference("Object without keyword 'type': {}");
            let step = || "* {}\n  environment \n".to_owned();
            return Err(error.step(step).step(|| "Evaluating the body:".to_owned()));
        }
        let result = self.eval(f, body);
        let result = result.map_err(|error| error.step(|| "Evaluating the body:".to_owned()))?;
        self.locals.truncate(outer);
        Ok(result)
    }

    /// `case`: the value for a key that is written literally.
    fn case(
        &mut self,
        f: Frame<'_>,
        node: u32,
        expr: u32,
        cases: Option<&[(Str, u32)]>,
        broken: Option<&str>,
        default: u32,
    ) -> Evaluated {
        if let Some(message) = broken {
            return Err(self.malformed(f, node, "case", message));
        }
        if let Some(cases) = cases {
            if expr == NONE {
                return Err(EvalError::lacks("expr", "case"));
            }
            let key = self.eval(f, expr)?;
            let key = self.string(f, Argument::new("case", "expr", expr), &key)?;
            // In the order of the keys of an object, by bytes.
            if let Ok(found) = cases.binary_search_by(|(label, _)| label.cmp(key)) {
                return self.eval(f, cases[found].1);
            }
            let labels = cases.iter().map(|(label, _)| label.as_str());
            return self.or_meant(f, default, key, labels, empty_list);
        }
        self.or(f, default, empty_list)
    }

    fn case_star(
        &mut self,
        f: Frame<'_>,
        expr: u32,
        cases: Option<&[(u32, u32)]>,
        broken: Option<EvalError>,
        default: u32,
    ) -> Evaluated {
        let Some(cases) = cases else {
            return match broken {
                Some(error) => Err(error),
                None => self.or(f, default, empty_list),
            };
        };
        if expr == NONE {
            return Err(EvalError::lacks("expr", "case*"));
        }
        let value = self.eval(f, expr)?;
        // Names of targets have no identity of their own, so nothing can be equal to them.
        if !value.is_name_free() {
            let found = self.shown(&value);
            let error = EvalError::plain(format!("Comparison of name-containing values: {found}"));
            let whole = reference::shown(&value);
            let error = error.reference(format!("Comparison of name-containing values: {whole}"));
            return Err(error.at(self.place(f, expr)));
        }
        for (label, result) in cases {
            if self.eval(f, *label)? == value {
                return self.eval(f, *result);
            }
        }
        match broken {
            Some(error) => Err(error),
            None => self.or(f, default, empty_list),
        }
    }

    /// Constructs that bind variables.
    fn bind(&mut self, f: Frame<'_>, binding: Binding<'_>, args: &[u32]) -> Evaluated {
        let construct = binding.construct;
        let argument = |position: usize| Argument::of(construct, args, position);
        let mut results = Vec::new();
        match construct {
            Construct::Foreach => {
                let range = self.or(f, args[0], empty_list)?;
                for item in self.list(f, argument(0), &range)?.iter() {
                    results.push(self.body(f, binding, [item.clone()])?);
                }
            }
            Construct::ForeachMap => {
                let range = self.or(f, args[0], || Value::Map(Map::default()))?;
                for (key, value) in self.map(f, argument(0), &range)?.iter() {
                    results.push(self.body(f, binding, [Value::String(key.clone()), value.clone()])?);
                }
            }
            Construct::ZipWith => {
                let first = self.or(f, args[0], empty_list)?;
                let first = self.list(f, argument(0), &first)?;
                // The result is known: the second range is not evaluated, so its errors do not come up.
                if first.is_empty() {
                    return Ok(empty_list());
                }
                let second = self.or(f, args[1], empty_list)?;
                for (a, b) in first.iter().zip(self.list(f, argument(1), &second)?.iter()) {
                    results.push(self.body(f, binding, [a.clone(), b.clone()])?);
                }
            }
            Construct::Foldl => {
                let range = self.need(f, construct, args, 0)?;
                let mut accumulated = self.or(f, args[1], empty_list)?;
                for item in self.list(f, argument(0), &range)?.iter() {
                    accumulated = self.body(f, binding, [accumulated, item.clone()])?;
                }
                return Ok(accumulated);
            }
            Construct::Assert => {
                let value = self.need(f, construct, args, 0)?;
                let outer = self.locals.len();
                self.locals.push((binding.name(f, 0)?.clone(), value.clone()));
                let holds = self.need(f, construct, args, 1)?.is_true();
                if !holds {
                    // The message may use the variable, too.
                    let message = self.message(f, args[2]);
                    return Err(EvalError::user(&message));
                }
                self.locals.truncate(outer);
                return Ok(value);
            }
            other => unreachable!("{} binds no variables", other.name()),
        }
        Ok(Value::List(results.into()))
    }

    /// The value of the body of a construct, with values of its variables.
    fn body<const COUNT: usize>(
        &mut self,
        f: Frame<'_>,
        binding: Binding<'_>,
        values: [Value; COUNT],
    ) -> Evaluated {
        let outer = self.locals.len();
        for (position, value) in values.into_iter().enumerate() {
            // The names are checked here, so a malformed one is not an error where the range is empty.
            self.locals.push((binding.name(f, position)?.clone(), value));
        }
        let result = self.or(f, binding.body, empty_list)?;
        self.locals.truncate(outer);
        Ok(result)
    }

    /// The text of an error message that a rule's author wrote; if that fails, a text without it.
    fn message(&mut self, f: Frame<'_>, node: u32) -> UserMessage {
        // The limit is for values that taut quotes; this is a text for users, so it is shown even where the limit is
        // small.
        let limit = self.limit.max(4096);
        if node == NONE {
            return UserMessage::new(&Value::Null, limit);
        }
        let locals = self.locals.len();
        match self.eval(f, node) {
            Ok(message) => UserMessage::new(&message, limit),
            Err(_) => {
                self.locals.truncate(locals);
                UserMessage::not_evaluating(&abbreviate_json(&f.program.literal(node), self.limit))
            }
        }
    }

    /// Quasi-quotation: the template with its unquoted parts evaluated.
    fn expand(&mut self, f: Frame<'_>, node: u32) -> Evaluated {
        match &f.program.nodes[node as usize].op {
            Op::Constant(value) => Ok(value.clone()),
            Op::Unquote(inner) => self.or(f, *inner, || Value::Null),
            Op::Broken(message, advice) => {
                let source = reference::shown(&f.program.literal(node));
                let error = EvalError::plain(message).at(self.place(f, node));
                let text = format!("\",@\"-expression found in non-list context: {source}");
                let error = error.reference(text);
                Err(advice.iter().fold(error, |error, advice| error.help(*advice)))
            }
            Op::TemplateMap(entries) => deep(|| {
                let mut map = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    map.push((key.clone(), self.expand(f, *value)?));
                }
                Ok(Value::Map(Map::from_entries(map)))
            }),
            Op::TemplateList(items) => deep(|| {
                let mut list = Vec::with_capacity(items.len());
                for item in items {
                    let Op::Splice(inner) = f.program.nodes[*item as usize].op else {
                        list.push(self.expand(f, *item)?);
                        continue;
                    };
                    let spliced = self.or(f, inner, empty_list)?;
                    let Some(spliced) = spliced.as_list() else {
                        let text = format!(
                            "Argument of \",@\"-expresion {} should evaluate to a list, but obtained {}",
                            reference::shown(&f.program.literal(*item)),
                            reference::shown(&spliced)
                        );
                        let error = self.wrong_kind(f, Argument::new(",@", "$1", inner), "a list", &spliced);
                        return Err(error.reference(text));
                    };
                    list.extend(spliced.iter().cloned());
                }
                Ok(Value::List(list.into()))
            }),
            _ => unreachable!("not a template"),
        }
    }

    fn call_expression(&mut self, f: Frame<'_>, node: u32, name: &Str) -> Evaluated {
        let Some(function) = f.imports.get(name) else {
            let known: Vec<&str> = f.imports.keys().map(|known| known.as_str()).collect();
            let mut error = self.malformed(f, node, "name", &format!("Unknown expression '{name}'."));
            error.data().suggestion = did_you_mean(name, known.iter().copied()).map(Into::into);
            return Err(match (&error.suggestion, known.as_slice()) {
                (Some(_), _) => error,
                (None, []) => error.help("nothing is imported; \"imports\" maps names to expressions"),
                (None, known) => error.help(format!("\"imports\" has {}", enumeration(known))),
            });
        };
        let value = |var: &Str| {
            // The innermost binding hides the others and the environment, as for the caller itself.
            let local = self.locals[f.base..].iter().rev().find(|(name, _)| name == var);
            local.map(|(_, value)| value).or_else(|| f.environment.get(var)).cloned().unwrap_or_default()
        };
        // Nothing but what it declares: a function does not see the other variables of its caller.
        let environment: Map = function.vars.iter().map(|var| (var.clone(), value(var))).collect();
        let body = &function.body;
        let inner = Frame {
            program: &body.program,
            environment: &environment,
            imports: &function.imports,
            // What is bound by the caller lies below, out of the function's reach.
            base: self.locals.len(),
        };
        // This ends: imports have no cycles, since loading them would have failed.
        deep(|| self.eval(inner, body.root)).map_err(|mut error| {
            // The way within the expression becomes one step, below the call.
            if error.kind == ErrorKind::Language {
                let name = Value::String(name.clone()).to_json();
                let inside = error.traceback();
                let data = error.data();
                data.reference = Some(format!("This call to {name} failed in the following way:\n{inside}"));
                data.steps.clear();
            }
            error
        })
    }
}

fn empty_list() -> Value {
    Value::List(List::default())
}

fn ids(items: &[Value]) -> impl DoubleEndedIterator<Item = (Id, &Value)> {
    items.iter().map(|item| (item.id(), item))
}
