//! The compiled form of expressions.
//!
//! All nodes of an expression are in one arena and refer to each other by number, so that dropping needs no recursion.
//! Each knows its parent and the step from there, from which its JSON path is composed when a message needs it; its
//! text is a range of the expression's source, which is kept for messages only.

use std::{collections::BTreeMap, sync::Arc};

use taut_syntax::{Dialect, Document, JsonPath, Kind, Location, Node as Json, PathStep, did_you_mean};
use taut_value::{Id, Map, Str, Value, deep};

use crate::construct::Construct;

/// A compiled expression. Cheap to clone.
#[derive(Clone)]
pub struct Expr {
    pub(crate) program: Arc<Program>,
    pub(crate) root: u32,
}

pub(crate) struct Program {
    pub(crate) file: Arc<str>,
    /// The path of the expression in its file.
    pub(crate) base: JsonPath,
    pub(crate) text: Box<str>,
    pub(crate) nodes: Vec<Node>,
    pub(crate) misspelt: Vec<MisspeltAt>,
}

pub(crate) struct Node {
    pub(crate) op: Op,
    // 32 bits, as offsets of documents have.
    pub(crate) start: u32,
    pub(crate) end: u32,
    pub(crate) parent: u32,
    /// The field of the parent and, where that is a list (of lists), the indices in there.
    // Two indices: the deepest place is an item of a pair in a list, as in `cond`.
    pub(crate) at: (Option<Str>, [u32; 2]),
}

/// The number that refers to no node.
pub(crate) const NONE: u32 = u32::MAX;

/// How the value of a variable is found.
#[derive(Clone, Debug)]
// Resolved when an expression is compiled, so that evaluation looks up no name of a bound variable.
pub(crate) enum Variable {
    /// Bound by an enclosing construct: its number, counted from the outermost.
    Local(u32),
    /// From the environment.
    Global(Str),
}

/// A part of a construct that is not evaluated but must be a string.
pub(crate) type Literal = Result<Str, &'static str>;

pub(crate) enum Op {
    /// Evaluates to itself: atoms, and lists of nothing else.
    Constant(Value),
    List(Box<[u32]>),
    /// A part that is not a construct: the message, and possibly advice.
    // In the reference, a mistake in a branch that is never evaluated has no effect, so compilation does not
    // fail.
    Broken(String, Option<&'static str>),
    Unknown(Str),
    Var {
        variable: Result<Variable, String>,
        default: u32,
    },
    Quote(Value),
    /// A quasi-quotation; the nodes below are templates.
    QuasiQuote(u32),
    TemplateList(Box<[u32]>),
    TemplateMap(Box<[(Str, u32)]>),
    Unquote(u32),
    Splice(u32),
    /// `and`, `or` with a literal list.
    Shortcut {
        and: bool,
        items: Box<[u32]>,
    },
    /// Arguments by position in the construct's table; [`NONE`] where missing.
    Call(Construct, Box<[u32]>),
    Cond {
        pairs: Box<[(u32, u32)]>,
        broken: Option<String>,
        default: u32,
    },
    Case {
        expr: u32,
        cases: Option<Box<[(Str, u32)]>>,
        broken: Option<String>,
        default: u32,
    },
    CaseStar {
        expr: u32,
        cases: Option<Box<[(u32, u32)]>>,
        broken: Option<String>,
        default: u32,
    },
    /// Binds `vars` for `body`: `foreach` and similar constructs.
    Bind {
        construct: Construct,
        args: Box<[u32]>,
        vars: [Option<Literal>; 2],
        body: u32,
    },
    Let {
        bindings: Box<[(Str, u32)]>,
        broken: Option<String>,
        body: u32,
    },
    Env(Result<Box<[(Str, Variable)]>, String>),
    /// `may_fail` and `no_cache` are literal.
    Action {
        args: Box<[u32]>,
        may_fail: Result<Box<[Str]>, String>,
        no_cache: Result<Box<[Str]>, String>,
    },
    CallExpression(Result<Str, String>),
}

/// A named expression: what `CALL_EXPRESSION` calls, and the defining expression of a rule.
pub struct Function {
    /// Its variables; those that are not set are null.
    pub vars: Vec<Str>,
    /// The functions that it can call, by its own names for them.
    pub imports: Imports,
    /// Its value.
    pub body: Expr,
    /// A hash of the function and of all functions that it can call: if it is equal, so are the values.
    pub closure: Id,
}

/// Functions by the names under which an expression can call them.
pub type Imports = BTreeMap<Str, Arc<Function>>;

/// A variable without a value where it is used.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MisspeltVariable {
    /// Its name.
    pub name: Str,
    /// The location of the name.
    pub location: Location,
    /// The name that was probably meant.
    pub meant: Str,
}

/// A key of a construct that is not part of it, but similar to a part that the construct lacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MisspeltPart {
    /// The `type` of the construct.
    pub construct: Str,
    /// The key.
    pub key: Str,
    /// The location of the key.
    pub location: Location,
    /// The part that was probably meant.
    pub meant: &'static str,
}

/// The same by node.
pub(crate) struct MisspeltAt {
    pub(crate) node: u32,
    pub(crate) construct: Str,
    pub(crate) key: Str,
    pub(crate) meant: &'static str,
}

impl Expr {
    /// The keys of its constructs that have no effect and are probably misspelt.
    pub fn misspelt_parts(&self) -> Vec<MisspeltPart> {
        let part = |MisspeltAt { node, construct, key, meant }: &MisspeltAt| MisspeltPart {
            construct: construct.clone(),
            key: key.clone(),
            location: Location::key(self.program.file.clone(), self.program.path(*node).key(key.as_str())),
            meant,
        };
        self.program.misspelt.iter().map(part).collect()
    }

    /// Whether it has the same value in any environment, as literals have.
    pub fn is_constant(&self) -> bool {
        matches!(self.program.nodes[self.root as usize].op, Op::Constant(_))
    }

    /// The unset variables that it uses, if a set variable has a similar name and was probably meant. `declared`: the
    /// variables of the environment.
    pub fn misspelt_variables<'e>(&'e self, declared: &'e [Str]) -> Vec<MisspeltVariable> {
        let nodes = &self.program.nodes;
        let mut found: Vec<MisspeltVariable> = Vec::new();
        for (index, node) in nodes.iter().enumerate() {
            // A default shows that the variable may be unset on purpose.
            // Bound variables are resolved when they are compiled, so those that are left are of the environment or
            // misspelt.
            let Op::Var { variable: Ok(Variable::Global(name)), default: NONE } = &node.op else { continue };
            if declared.contains(name) || found.iter().any(|other| other.name == *name) {
                continue;
            }
            let bound = nodes.iter().flat_map(|node| -> Box<dyn Iterator<Item = &str>> {
                match &node.op {
                    Op::Bind { vars, .. } => {
                        Box::new(vars.iter().flatten().flatten().map(|name| name.as_str()))
                    }
                    Op::Let { bindings, .. } => Box::new(bindings.iter().map(|(name, _)| name.as_str())),
                    _ => Box::new(std::iter::empty()),
                }
            });
            let known = declared.iter().map(|name| name.as_str()).chain(bound);
            let Some(meant) = did_you_mean(name, known).map(Str::from) else { continue };
            let path = self.program.path(index as u32).key("name");
            let location = Location::value(self.program.file.clone(), path);
            found.push(MisspeltVariable { name: name.clone(), location, meant });
        }
        found
    }
}

impl Program {
    /// The path of a node in its file.
    pub(crate) fn path(&self, mut node: u32) -> JsonPath {
        let mut steps = Vec::new();
        while self.nodes[node as usize].parent != NONE {
            let Node { parent, at: (field, indices), .. } = &self.nodes[node as usize];
            // From the inside out, since each node knows only the step from its parent; reversed at the end.
            let indices = indices.iter().rev().filter(|index| **index != NONE);
            steps.extend(indices.map(|index| PathStep::Index(*index)));
            steps.extend(field.iter().map(|field| PathStep::Key(Arc::from(field.as_str()))));
            node = *parent;
        }
        steps.reverse();
        self.base.join(&JsonPath::from_steps(steps))
    }

    /// A node as the value in the source, for messages.
    pub(crate) fn literal(&self, node: u32) -> Value {
        let Node { start, end, op, .. } = &self.nodes[node as usize];
        if let Op::Constant(value) = op {
            return value.clone();
        }
        let text = &self.text[*start as usize..*end as usize];
        // Parsed once already, as a part of its document, which may have had comments: this cannot fail.
        Document::parse_as(Dialect::Extended, "", text)
            .map_or(Value::Null, |document| json_to_value(document.root()))
    }
}

/// The value of JSON without objects, which evaluates to itself; `None` if there is an object in it.
pub fn literal_value(json: Json<'_>) -> Option<Value> {
    match json.kind() {
        // An object may be a construct, whose value depends on more than the text.
        Kind::Object => None,
        Kind::List => deep(|| {
            let items = json.items().map(literal_value).collect::<Option<Vec<_>>>()?;
            Some(Value::List(items.into()))
        }),
        _ => Some(json_to_value(json)),
    }
}

/// JSON as a value.
pub fn json_to_value(json: Json<'_>) -> Value {
    match json.kind() {
        Kind::Null => Value::Null,
        Kind::Bool => Value::Bool(json.as_bool() == Some(true)),
        Kind::Number => Value::Number(json.as_number().unwrap_or_default()),
        Kind::String => Value::string(json.as_str().unwrap_or_default()),
        Kind::List => deep(|| Value::list(json.items().map(json_to_value))),
        Kind::Object => deep(|| {
            let entries = json.entries().map(|(key, value)| (Str::from(key), json_to_value(value)));
            Value::Map(Map::from_entries(entries.collect()))
        }),
    }
}
