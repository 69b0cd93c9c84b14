//! The definition of a target in its file, and errors with the location of the value they are about.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
};

use taut_engine::Fail;
use taut_syntax::{
    Diagnostic, Frame, Kind, Location, Node, Note, PathStep, diagnostic::LocationPart, quoted, quoted_list,
};
use taut_value::{EntityName, NamedTarget, Value};

use crate::{
    ModuleEntry, StrSet, Workspace,
    dependency::Dep,
    problem::{as_note, fail},
    reference::RuleKind,
    respelled::respelled,
};

/// The definition of a target in its module.
pub(crate) struct Written<'s> {
    pub(crate) workspace: &'s Workspace,
    pub(crate) named: &'s NamedTarget,
    pub(crate) entry: &'s ModuleEntry,
    /// Its rule.
    pub(crate) kind: RuleKind,
    /// Warnings about undeclared variables in its fields, as far as these have been evaluated.
    // A lock and not a cell: what is written is held while dependencies are awaited, and the task may go on in
    // another thread.
    misspelt: Mutex<Vec<Diagnostic>>,
}

impl<'s> Written<'s> {
    pub(crate) fn new(
        workspace: &'s Workspace,
        named: &'s NamedTarget,
        entry: &'s ModuleEntry,
        kind: RuleKind,
    ) -> Written<'s> {
        Written { workspace, named, entry, kind, misspelt: Mutex::default() }
    }

    /// Adds warnings about variables that are probably misspelt.
    pub(crate) fn add_misspelt(&self, warnings: Vec<Diagnostic>) {
        self.misspelt.lock().unwrap_or_else(PoisonError::into_inner).extend(warnings);
    }

    /// The warnings about misspelt variables, as far as fields have been evaluated.
    pub(crate) fn misspelt(&self) -> Vec<Diagnostic> {
        self.misspelt.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn json(&self, field: &str) -> Option<Node<'_>> {
        self.entry.json().get(field)
    }

    pub(crate) fn shown(&self, value: &Value) -> String {
        taut_expr::abbreviate(value, self.workspace.log_limit)
    }

    /// The warnings about misspelt variables in one field.
    fn misspelt_in(&self, field: &str) -> Vec<Diagnostic> {
        let inside = self.entry.path().key(field);
        let is_inside =
            |warning: &&Diagnostic| match warning.location.as_ref().map(|location| &location.place) {
                Some(LocationPart::Value(path) | LocationPart::Key(path)) => {
                    path.steps().starts_with(inside.steps())
                }
                _ => false,
            };
        let misspelt = self.misspelt();
        misspelt.iter().filter(is_inside).cloned().collect()
    }

    /// A failure at a field.
    pub(crate) fn wrong(&self, field: &str, message: impl Into<String>) -> Fail {
        fail(self.problem(field, message))
    }

    /// An error at a field.
    pub(crate) fn problem(&self, field: &str, message: impl Into<String>) -> Diagnostic {
        // A field that is not there has no place; then the definition is the place.
        let location = self.entry.location(self.json(field).is_some().then_some(field));
        let problem = Diagnostic::error(message).at(location);
        self.misspelt_in(field).iter().map(as_note).fold(problem, Diagnostic::note)
    }

    /// An error about a part of a field's value.
    pub(crate) fn problem_with(&self, field: &str, value: &Value, message: impl Into<String>) -> Diagnostic {
        Diagnostic::error(message).at(self.location_of(field, value))
    }

    /// The location of a text or list that a field's value contains; the field, if the value is composed by an
    /// expression.
    pub(crate) fn location_of(&self, field: &str, value: &Value) -> Location {
        let whole = || self.entry.location(self.json(field).is_some().then_some(field));
        self.find(field, value).unwrap_or_else(whole)
    }

    fn find(&self, field: &str, value: &Value) -> Option<Location> {
        // Beyond it the field as a whole is shown: the bound costs precision, not correctness.
        const MAX_VISITED_NODES: usize = 10_000;
        // Names are never nested that deep, and each step costs its depth.
        const MAX_DEPTH: usize = 64;
        // A stack, pushed in reverse, so the first place in the order of the text is found.
        let mut pending = vec![(self.entry.path().key(field), self.json(field)?)];
        for _ in 0..MAX_VISITED_NODES {
            let (path, node) = pending.pop()?;
            if path.steps().len() > MAX_DEPTH {
                continue;
            }
            match node.kind() {
                Kind::Object => pending.extend(
                    node.entries()
                        .rev()
                        // The type of a construct is a word of the language, never the value that
                        // is looked for.
                        .filter(|(key, _)| *key != "type")
                        .map(|(key, node)| (path.key(key), node)),
                ),
                kind => {
                    let like = match value {
                        Value::String(text) => node.as_str() == Some(text.as_str()),
                        // Cheap tests first: to make a value of each node that is looked at would
                        // copy the field many times.
                        Value::List(list) => kind == Kind::List && list.len() == node.len(),
                        _ => kind != Kind::List,
                    };
                    if like && taut_expr::json_to_value(node) == *value {
                        return Some(self.entry.value_location(path));
                    }
                    pending.extend(node.items().enumerate().rev().map(|(i, node)| (path.index(i), node)));
                }
            }
        }
        None
    }

    /// The failure of a field that has to be a list of strings but is something else.
    pub(crate) fn not_strings(&self, field: &str, value: &Value) -> Fail {
        self.not_a_list(field, value, "strings", |item| item.as_str().is_some())
    }

    pub(crate) fn not_a_list(
        &self,
        field: &str,
        value: &Value,
        of: &str,
        is: impl Fn(&Value) -> bool,
    ) -> Fail {
        let found = self.shown(value);
        let Some(list) = value.as_list() else {
            let message =
                format!("{} has to be a list of {of}, but is {}", quoted(&field), self.described(value));
            let diagnostic = self.of_type(self.problem(field, message), field, value, None);
            return fail(if value.as_str().is_some() {
                diagnostic.help(format!("a list of one: [{found}]"))
            } else {
                diagnostic
            });
        };
        let bad = list.iter().find(|item| !is(item)).unwrap_or(value);
        let message =
            format!("{} has to be a list of {of}, but contains {}", quoted(&field), self.described(bad));
        let problem = self.problem_with(field, bad, message);
        let problem = self.of_type(problem, field, value, Some(bad));
        fail(match (bad, self.undeclared(field)) {
            (Value::Null, Some((variable, all, location))) => {
                problem.at(location).help(to_declare(&variable, &all))
            }
            _ => problem,
        })
    }

    /// A variable that is the field, or an item of it, and not declared, hence always null; all that are to be
    /// declared; the place.
    fn undeclared(&self, field: &str) -> Option<(String, String, Location)> {
        // Most nulls in lists are of variables that the target forgot to declare.
        let declared = self.json("arguments_config");
        let declared: Vec<&str> =
            declared.iter().flat_map(|list| list.items()).filter_map(Node::as_str).collect();
        let path = self.entry.path().key(field);
        let whole = self.json(field)?;
        let items = whole.items().enumerate().map(|(i, item)| (path.index(i), item));
        std::iter::once((path.clone(), whole)).chain(items).find_map(|(path, item)| {
            let of =
                |key| (item.kind() == Kind::Object).then(|| item.get(key)).flatten().and_then(Node::as_str);
            let name = of("name").filter(|name| of("type") == Some("var") && !declared.contains(name))?;
            let all: Vec<&str> = declared.iter().copied().chain([name]).collect();
            Some((name.to_owned(), quoted_list(&all), self.entry.value_location(path)))
        })
    }

    /// The failure of a field whose value has another type.
    pub(crate) fn wrong_type(&self, field: &str, expected: &str, value: &Value) -> Fail {
        let message = format!("{} has to be {expected}, but is {}", quoted(&field), self.described(value));
        let problem = self.of_type(self.problem(field, message), field, value, None);
        fail(match (value, self.undeclared(field)) {
            (Value::Null, Some((variable, all, location))) => {
                problem.at(location).help(to_declare(&variable, &all))
            }
            _ => problem,
        })
    }

    /// A diagnostic about the type of a field, or of an item in it, with the reference's message.
    pub(crate) fn of_type(
        &self,
        diagnostic: Diagnostic,
        field: &str,
        value: &Value,
        item: Option<&Value>,
    ) -> Diagnostic {
        match self.kind.wrong_type(&self.named.name, field, value, item) {
            Some(text) => diagnostic.reference(text),
            None => diagnostic,
        }
    }

    /// The type of a value, and the value, unless the type determines it.
    pub(crate) fn described(&self, value: &Value) -> String {
        match value {
            Value::Null => taut_expr::kind_of(value).to_string(),
            _ => format!("{}: {}", taut_expr::kind_of(value), self.shown(value)),
        }
    }

    /// A diagnostic about a target of a field, with the field added.
    pub(crate) fn wanted(&self, diagnostic: Diagnostic, field: &str, name: &EntityName) -> Diagnostic {
        let (field, location) = self.reference(field, name);
        if diagnostic.location.is_none() {
            let diagnostic = respelled(diagnostic, self.at(&location));
            return diagnostic.at(location).within(Frame::new(format!("in field {}", quoted(&field))));
        }
        diagnostic.within(Frame::new(format!("wanted by field {}", quoted(&field))).at(location))
    }

    /// Where something is named in a field.
    pub(crate) fn location_of_name(&self, field: &str, name: &EntityName) -> Location {
        self.reference(field, name).1
    }

    /// What is written at a place of this definition, if it is the whole of a value.
    fn at(&self, location: &Location) -> Option<Value> {
        let LocationPart::Value(path) = &location.place else { return None };
        let mut node = self.entry.json();
        for step in path.steps().strip_prefix(self.entry.path().steps())? {
            node = match step {
                PathStep::Key(key) if node.kind() == Kind::Object => node.get(key)?,
                PathStep::Index(index) if node.kind() == Kind::List => node.items().nth(*index as usize)?,
                _ => return None,
            };
        }
        Some(taut_expr::json_to_value(node))
    }

    /// Where a target is named: in the given field, or else in another one.
    fn reference<'f>(&'f self, field: &'f str, name: &EntityName) -> (&'f str, Location) {
        let whole = || (field, self.entry.location(self.json(field).is_some().then_some(field)));
        let Some(named) = name.as_named() else { return whole() };
        let local = self.workspace.repositories.repositories.get(&self.named.repository);
        let local = local.and_then(|at| at.bindings.iter().find(|(_, global)| **global == named.repository));
        let text = |text: &str| Value::string(text);
        let mut spellings = Vec::new();
        match named.reference.marker() {
            Some(marker) => spellings.push(Value::list([text(marker), Value::Null, text(&named.name)])),
            None => {
                if (&named.repository, &named.module) == (&self.named.repository, &self.named.module) {
                    spellings.push(text(&named.name));
                }
                spellings.push(Value::list([text(&named.module), text(&named.name)]));
                // The usual ways to write a relative name, not all: this only finds a place for a message.
                let below = named.module.strip_prefix(self.named.module.as_str());
                let below = below.map(|below| below.trim_start_matches('/')).unwrap_or_default();
                // Names as they can be written; `find` compares them as values.
                spellings.push(Value::list([text("./"), text(below), text(&named.name)]));
                if let Some((local, _)) = local {
                    let parts = ["@", local.as_str(), named.module.as_str(), named.name.as_str()];
                    spellings.push(Value::list(parts.map(text)));
                }
            }
        }
        let others = self.entry.json().entries().map(|(other, _)| other);
        let others = others.filter(|other| *other != field && *other != "type");
        // A field may be computed from what other fields name, and then the name is only there.
        let mut fields = std::iter::once(field).chain(others);
        let found = fields.find_map(|field| {
            let location = spellings.iter().find_map(|spelling| self.find(field, spelling))?;
            Some((field, location))
        });
        found.unwrap_or_else(whole)
    }

    /// Two dependencies with a conflict: located at the second, with a note about the first.
    pub(crate) fn conflict(
        &self,
        field: &str,
        message: String,
        first: &EntityName,
        second: &EntityName,
    ) -> Diagnostic {
        let first = self.reference(field, first).1;
        Diagnostic::error(message)
            .at(self.reference(field, second).1)
            .note(Note::at("the other one is named here", first))
    }

    /// A path that is both an artifact and a directory, with the dependencies that have it.
    pub(crate) fn subtree_conflict(&self, message: String, path: &str, deps: &[Dep]) -> Diagnostic {
        const MAX_NOTES: usize = 4;
        let below = format!("{path}/");
        let inside = taut_value::path::is_non_upwards(path);
        let mut problem = self.problem("deps", message).help(if inside {
            format!("{} would be an artifact and a directory with other artifacts at once", quoted(&path))
        } else {
            format!("{} leads out of the directory", quoted(&path))
        });
        for dep in deps {
            let result = dep.result();
            let paths = result.artifacts.keys().chain(result.runfiles.keys());
            let mut normal = paths.map(|path| taut_value::path::normal_path(path));
            if let Some(found) = normal.find(|found| found == path || found.starts_with(&below))
                && problem.notes.len() < MAX_NOTES
            {
                problem = problem.note(format!("{} comes from {}", quoted(&found), dep.name));
            }
        }
        problem
    }
}

/// What to do about a variable that is null since the target does not declare it.
fn to_declare(variable: &str, all: &str) -> String {
    format!("variable {} is null; declare it: \"arguments_config\": {all}", quoted(&variable))
}

/// The error of a target whose dependency is tainted with more words.
pub(crate) fn not_tainted(
    entry: &ModuleEntry,
    own: &StrSet,
    dep: &EntityName,
    tainted: &StrSet,
) -> Diagnostic {
    let missing: BTreeSet<&str> =
        tainted.iter().filter(|word| !own.contains(word)).map(|word| word.as_str()).collect();
    let list = |words: BTreeSet<&str>| Value::list(words.into_iter().map(Value::string)).to_json();
    let all: BTreeSet<&str> = tainted.iter().chain(own.iter()).map(|word| word.as_str()).collect();
    let shown = list(all);
    Diagnostic::error("Not tainted with all strings the dependencies are tainted with")
        .at(entry.location(entry.json().get("tainted").map(|_| "tainted")))
        .note(format!("{dep} is tainted with {}", list(missing)))
        .help(format!("declare it: \"tainted\": {shown}; or do without this dependency"))
}
