//! Compilation of JSON to the evaluated form.
//!
//! Variables are bound by literal names only, so their positions on the stack are known here. A malformed part becomes
//! a node that fails when it is evaluated, after the parts that the language evaluates before it.

use std::sync::Arc;

use taut_syntax::{JsonPath, Kind, Node as Json, did_you_mean, quoted};
use taut_value::{Str, Value, deep};

use crate::{
    abbreviate,
    construct::{Construct, parts_of},
    program::{Expr, Literal, MisspeltAt, NONE, Node, Op, Program, Variable, json_to_value},
};

impl Expr {
    /// Compiles an expression. Never fails: an error is reported when, and if, the malformed part is evaluated.
    pub fn compile(json: Json<'_>) -> Expr {
        Expr::compile_at(json, json.path())
    }

    /// As [`Expr::compile`], where the caller knows the path of `json` in its document, which is expensive to compute.
    pub fn compile_at(json: Json<'_>, path: JsonPath) -> Expr {
        compile(json, path)
    }
}

fn compile(json: Json<'_>, base: JsonPath) -> Expr {
    let offset = json.span().start;
    let mut compiler = Compiler { nodes: Vec::new(), misspelt: Vec::new(), scope: Vec::new(), offset };
    let root = compiler.node(json, NONE, (None, [NONE; 2]));
    let program = Program {
        file: json.document().label().clone(),
        base,
        // Only this part of the file: errors show pieces of it, and the file need not be kept for that.
        text: json.source().into(),
        nodes: compiler.nodes,
        misspelt: compiler.misspelt,
    };
    Expr { program: Arc::new(program), root }
}

type At = (Option<Str>, [u32; 2]);

fn field(name: &str) -> At {
    (Some(name.into()), [NONE; 2])
}

fn entry(name: &str, index: usize, second: u32) -> At {
    (Some(name.into()), [index as u32, second])
}

fn shown(json: Json<'_>) -> String {
    // The caller's limit is not known yet; this is the default of `Host::log_limit`.
    abbreviate(&json_to_value(json), 320)
}

struct Compiler {
    nodes: Vec<Node>,
    misspelt: Vec<MisspeltAt>,
    /// The variables that are bound at the present node, outermost first.
    // The position in it is that of the variable on the stack of an evaluation, so no name is looked up there.
    scope: Vec<Str>,
    offset: u32,
}

impl Compiler {
    fn node(&mut self, json: Json<'_>, parent: u32, at: At) -> u32 {
        // No more nodes than values in the text, whose length fits in 31 bits (`json/parse.rs` of `syntax`).
        let index = self.nodes.len() as u32;
        let span = json.span();
        // From the beginning of the expression, since only its text is kept.
        let (start, end) = (span.start - self.offset, span.end - self.offset);
        // Its place is taken before the nodes below it are added, which refer to it as their parent.
        self.nodes.push(Node { op: Op::Constant(Value::Null), start, end, parent, at });
        let op = match json.kind() {
            Kind::List => deep(|| self.list(json, index)),
            Kind::Object => deep(|| self.object(json, index)),
            _ => Op::Constant(json_to_value(json)),
        };
        self.nodes[index as usize].op = op;
        index
    }

    fn list(&mut self, json: Json<'_>, index: u32) -> Op {
        let items: Box<[u32]> = json
            .items()
            .enumerate()
            .map(|(i, item)| self.node(item, index, (None, [i as u32, NONE])))
            .collect();
        let mut values = Vec::with_capacity(items.len());
        for item in &items {
            match &self.nodes[*item as usize].op {
                Op::Constant(value) => values.push(value.clone()),
                _ => return Op::List(items),
            }
        }
        // A list of constants is a constant itself. Its items' nodes, the last ones in the arena, are no longer
        // referred to.
        self.nodes.truncate(index as usize + 1);
        self.misspelt.retain(|misspelt| misspelt.node <= index);
        Op::Constant(Value::List(values.into()))
    }

    fn optional(&mut self, json: Json<'_>, name: &str, parent: u32) -> u32 {
        json.get(name).map_or(NONE, |argument| self.node(argument, parent, field(name)))
    }

    fn arguments(&mut self, construct: Construct, json: Json<'_>, index: u32) -> Box<[u32]> {
        construct.arguments().iter().map(|name| self.optional(json, name, index)).collect()
    }

    fn variable(&self, name: &str) -> Variable {
        // The innermost binding of a name hides the others.
        match self.scope.iter().rposition(|bound| bound == name) {
            Some(slot) => Variable::Local(slot as u32),
            None => Variable::Global(name.into()),
        }
    }

    fn literal(json: Json<'_>, name: &str, default: &str) -> Literal {
        match json.get(name) {
            None => Ok(default.into()),
            Some(value) => string(value),
        }
    }

    fn object(&mut self, json: Json<'_>, index: u32) -> Op {
        let Some(kind) = json.get("type") else {
            let message = format!("an object without \"type\" is not an expression: {}", shown(json));
            // A key that is probably misspelt is looked for when that is an error (`Evaluator::without_type`).
            let advice = "a map is written as {\"type\": \"'\", \"$1\": {…}}, or put together with \"singleton_map\" and \"map_union\"";
            return Op::Broken(message, Some(advice));
        };
        let name = match kind.as_str() {
            Some(name) => name,
            None => {
                let message = format!("\"type\" has to be the name of a construct, but is {}", shown(kind));
                return Op::Broken(message, None);
            }
        };
        self.look_for_misspelt(name, json, index);
        match name {
            "var" => {
                let variable = match json.get("name").map(string) {
                    None => Err(missing("name", "var")),
                    Some(Err(found)) => Err(not_literal("name", "var", found)),
                    Some(Ok(name)) => Ok(self.variable(&name)),
                };
                Op::Var { variable, default: self.optional(json, "default", index) }
            }
            // A quoted part is data: nothing in it is compiled.
            "'" => Op::Quote(json.get("$1").map_or(Value::Null, json_to_value)),
            "`" => match json.get("$1") {
                None => Op::Constant(Value::Null),
                Some(template) => {
                    let template = self.template(template, index, field("$1"), false);
                    Op::QuasiQuote(template)
                }
            },
            "," | ",@" => {
                let message = format!("{} is only evaluated within a quasi-quotation (\"`\")", quoted(&name));
                Op::Broken(message, None)
            }
            "cond" => {
                let (pairs, broken) = match json.get("cond") {
                    None => (Box::default(), None),
                    Some(cond) => self.pairs("\"cond\" of \"cond\"", "cond", cond, index),
                };
                Op::Cond { pairs, broken, default: self.optional(json, "default", index) }
            }
            "case" => self.case(json, index),
            "case*" => {
                let (cases, broken) = match json.get("case") {
                    None => (None, None),
                    Some(cases) => {
                        let (pairs, broken) = self.pairs("\"case\" of \"case*\"", "case", cases, index);
                        // What is not a list fails before `expr` is evaluated, a malformed pair only after it and the
                        // cases in front.
                        ((cases.kind() == Kind::List).then_some(pairs), broken)
                    }
                };
                let expr = self.optional(json, "expr", index);
                Op::CaseStar { expr, cases, broken, default: self.optional(json, "default", index) }
            }
            "let*" => self.bindings(json, index),
            "env" => Op::Env(self.env(json)),
            _ => match Construct::from_name(name) {
                Some(construct) => self.construct(construct, json, index),
                // No error yet: a part that is not evaluated may have any type, as in the reference.
                None => Op::Unknown(name.into()),
            },
        }
    }

    /// Notes the keys that are probably misspelt parts of a construct. Other keys that are not parts have no effect on
    /// purpose: users write comments in them.
    fn look_for_misspelt(&mut self, construct: &str, json: Json<'_>, node: u32) {
        let Some(parts) = parts_of(construct) else { return };
        let parts = parts.into_iter().flatten().copied();
        for (key, _) in json.entries() {
            if key == "type" || parts.clone().any(|part| part == key) {
                continue;
            }
            // If the construct has that part, too, the key is hardly a misspelling of it.
            let absent = parts.clone().filter(|part| json.get(part).is_none());
            if let Some(meant) = did_you_mean(key, absent) {
                let construct = construct.into();
                self.misspelt.push(MisspeltAt { node, construct, key: key.into(), meant });
            }
        }
    }

    fn construct(&mut self, construct: Construct, json: Json<'_>, index: u32) -> Op {
        let vars: &[(&str, &str)] = match construct {
            Construct::And | Construct::Or => {
                // Of a literal list only as many items are evaluated as decide the result; any other argument is
                // evaluated as a whole.
                if let Some(items) = json.get("$1").and_then(Json::as_list) {
                    let items = items.enumerate();
                    let items = items.map(|(i, item)| self.node(item, index, entry("$1", i, NONE))).collect();
                    return Op::Shortcut { and: construct == Construct::And, items };
                }
                &[]
            }
            // Names and defaults in the order in which values are bound to them.
            Construct::Foreach => &[("var", "_")],
            Construct::ForeachMap => &[("var_key", "_"), ("var_val", "$_")],
            Construct::ZipWith => &[("var_1", "$1"), ("var_2", "$2")],
            Construct::Foldl => &[("accum_var", "$1"), ("var", "_")],
            Construct::Assert => return self.assert(json, index),
            Construct::CallExpression => {
                return Op::CallExpression(match json.get("name").map(string) {
                    None => Err(missing("name", "CALL_EXPRESSION")),
                    Some(Err(found)) => Err(not_literal("name", "CALL_EXPRESSION", found)),
                    Some(Ok(name)) => Ok(name),
                });
            }
            Construct::Action => {
                let words = |name: &str| match json.get(name) {
                    None => Ok(Box::default()),
                    Some(list) => string_list(list).ok_or_else(|| {
                        format!(
                            "{} of \"ACTION\" has to be a list of strings, written literally, but is {}",
                            quoted(&name),
                            shown(list)
                        )
                    }),
                };
                let (may_fail, no_cache) = (words("may_fail"), words("no_cache"));
                return Op::Action { args: self.arguments(construct, json, index), may_fail, no_cache };
            }
            _ => &[],
        };
        let args = self.arguments(construct, json, index);
        if vars.is_empty() {
            return Op::Call(construct, args);
        }
        let mut names = vars.iter().map(|(name, default)| Self::literal(json, name, default));
        let vars = [names.next(), names.next()];
        // A name that is not a string is left out here: evaluation fails when the first item is bound to it.
        let bound = vars.iter().flatten().flatten().cloned().collect::<Vec<_>>();
        let body = self.body(json, "body", index, bound);
        Op::Bind { construct, args, vars, body }
    }

    /// Compiles a part in which more variables are bound.
    fn body(&mut self, json: Json<'_>, name: &str, index: u32, bound: Vec<Str>) -> u32 {
        let outer = self.scope.len();
        self.scope.extend(bound);
        let body = self.optional(json, name, index);
        self.scope.truncate(outer);
        body
    }

    fn assert(&mut self, json: Json<'_>, index: u32) -> Op {
        let var = Self::literal(json, "var", "_");
        let value = self.optional(json, "$1", index);
        let bound: Vec<Str> = var.iter().cloned().collect();
        let predicate = self.body(json, "predicate", index, bound.clone());
        let message = self.body(json, "msg", index, bound);
        let args = [value, predicate, message].into();
        Op::Bind { construct: Construct::Assert, args, vars: [Some(var), None], body: NONE }
    }

    fn case(&mut self, json: Json<'_>, index: u32) -> Op {
        let (cases, broken) = match json.get("case") {
            None => (None, None),
            Some(cases) if cases.kind() != Kind::Object => (
                None,
                Some(format!("\"case\" of \"case\" has to be a map of expressions, but is {}", shown(cases))),
            ),
            Some(cases) => {
                let case = self.nodes.len() as u32;
                // A node of its own, so that the cases' paths have both steps.
                let span = cases.span();
                let (start, end) = (span.start - self.offset, span.end - self.offset);
                let op = Op::Constant(Value::Null);
                self.nodes.push(Node { op, start, end, parent: index, at: field("case") });
                let compiled =
                    // Sorted by the bytes of the keys: evaluation searches in them.
                    cases.entries().map(|(key, value)| (Str::from(key), self.node(value, case, field(key))));
                (Some(compiled.collect()), None)
            }
        };
        let expr = self.optional(json, "expr", index);
        Op::Case { expr, cases, broken, default: self.optional(json, "default", index) }
    }

    fn pairs(
        &mut self,
        what: &str,
        name: &str,
        list: Json<'_>,
        index: u32,
    ) -> (Box<[(u32, u32)]>, Option<String>) {
        let problem = format!("{what} has to be a list of pairs, but");
        let Some(items) = list.as_list() else {
            return (Box::default(), Some(format!("{problem} is {}", shown(list))));
        };
        let mut pairs = Vec::new();
        for (i, pair) in items.enumerate() {
            let (2, Some(first), Some(second)) = (pair.len(), pair.item(0), pair.item(1)) else {
                // The pairs before it are kept: one of them may decide, and then this is not an error.
                return (pairs.into(), Some(format!("{problem} contains {}", shown(pair))));
            };
            let first = self.node(first, index, entry(name, i, 0));
            pairs.push((first, self.node(second, index, entry(name, i, 1))));
        }
        (pairs.into(), None)
    }

    fn bindings(&mut self, json: Json<'_>, index: u32) -> Op {
        let outer = self.scope.len();
        let mut bindings = Vec::new();
        let mut broken = None;
        let problem = "\"bindings\" of \"let*\" has to be a list of pairs, but";
        match json.get("bindings") {
            None => {}
            Some(list) if list.kind() != Kind::List => broken = Some(format!("{problem} is {}", shown(list))),
            Some(list) => {
                for (i, pair) in list.items().enumerate() {
                    let (2, Some(name), Some(value)) = (pair.len(), pair.item(0), pair.item(1)) else {
                        // The bindings before it are evaluated first, so their errors come first.
                        broken = Some(format!("{problem} contains {}", shown(pair)));
                        break;
                    };
                    let Some(name) = name.as_str() else {
                        let what = "variables of \"let*\" have to be strings, but there is a binding";
                        broken = Some(format!("{what} {}", shown(pair)));
                        break;
                    };
                    let value = self.node(value, index, entry("bindings", i, 1));
                    // Only now: a binding sees the ones before it, but not itself.
                    self.scope.push(name.into());
                    bindings.push((name.into(), value));
                }
            }
        }
        let body = self.optional(json, "body", index);
        self.scope.truncate(outer);
        Op::Let { bindings: bindings.into(), broken, body }
    }

    fn env(&self, json: Json<'_>) -> Result<Box<[(Str, Variable)]>, String> {
        let Some(vars) = json.get("vars") else { return Ok(Box::default()) };
        let problem = "\"vars\" of \"env\" has to be a list of strings, but";
        let items = vars.as_list().ok_or_else(|| format!("{problem} is {}", shown(vars)))?;
        items
            .map(|var| match var.as_str() {
                Some(name) => Ok((name.into(), self.variable(name))),
                None => Err(format!("{problem} contains {}", shown(var))),
            })
            .collect()
    }

    fn template(&mut self, json: Json<'_>, parent: u32, at: At, in_list: bool) -> u32 {
        let index = self.nodes.len() as u32;
        let span = json.span();
        let (start, end) = (span.start - self.offset, span.end - self.offset);
        self.nodes.push(Node { op: Op::Constant(Value::Null), start, end, parent, at });
        let op = match json.kind() {
            Kind::List => deep(|| {
                let items = json.items().enumerate();
                Op::TemplateList(
                    items
                        .map(|(i, item)| self.template(item, index, (None, [i as u32, NONE]), true))
                        .collect(),
                )
            }),
            Kind::Object => deep(|| match json.get("type").and_then(Json::as_str) {
                Some(",") => Op::Unquote(self.optional(json, "$1", index)),
                Some(",@") if in_list => Op::Splice(self.optional(json, "$1", index)),
                Some(",@") => {
                    let message = format!("\",@\" is not inside a list: {}", shown(json));
                    Op::Broken(message, Some("to insert one value, use \",\""))
                }
                _ => {
                    // In a template an object is data: no other `type` has a meaning.
                    let entries = json.entries();
                    let entries = entries
                        .map(|(key, value)| (Str::from(key), self.template(value, index, field(key), false)));
                    Op::TemplateMap(entries.collect())
                }
            }),
            _ => Op::Constant(json_to_value(json)),
        };
        self.nodes[index as usize].op = op;
        index
    }
}

fn type_name(json: Json<'_>) -> &'static str {
    match json.kind() {
        Kind::Null => "null",
        Kind::Bool => "truth value",
        Kind::Number => "number",
        Kind::String => "string",
        Kind::List => "list",
        Kind::Object => "map",
    }
}

fn string(json: Json<'_>) -> Literal {
    json.as_str().map(Str::from).ok_or_else(|| type_name(json))
}

fn string_list(json: Json<'_>) -> Option<Box<[Str]>> {
    json.as_list()?.map(|item| item.as_str().map(Str::from)).collect()
}

pub(crate) fn missing(key: &str, construct: &str) -> String {
    format!("{} lacks {}", quoted(&construct), quoted(&key))
}

pub(crate) fn not_literal(key: &str, construct: &str, found: &str) -> String {
    format!(
        "{} of {} has to be a string, written literally, but is a {found}",
        quoted(&key),
        quoted(&construct)
    )
}
