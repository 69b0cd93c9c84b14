//! Reports of cycles: each step with the location where it is written.
//!
//! The engine knows a cycle as a list of keys; here the definitions of these keys are searched for the value that leads
//! to the next one. A step that is not written as such, since an expression computes the name, is shown at the
//! definition that contains it.

use std::sync::Arc;

use taut_engine::{Cycle, KeyRef};
use taut_repos::{Entry, Listing, RepoConfig, RootPath};
use taut_syntax::{Diagnostic, JsonPath, Kind, Location, Node, Note, quoted};
use taut_value::path::{join, normal_path};
use taut_value::{EntityName, NamedTarget, ReferenceType, Value};

use crate::{
    ConfiguredTarget, Module, NameContext, parse_json_name, rules::DefinitionName, vocabulary::Builtin,
    workspace::module_file,
};

/// How many steps are shown with what is written.
const MAX_SHOWN_STEPS: usize = 20;

/// How many steps are named at most, at the beginning and at the end.
// A cycle may have thousands of steps; beginning and end are what one looks for.
const MAX_NAMED_STEPS: [usize; 2] = [90, 10];

/// What is needed to report a cycle.
pub struct CycleReport<'c> {
    /// All repositories.
    pub repositories: &'c RepoConfig,
    /// A parsed file that the analysis has read.
    // A function, so that nothing is read for a report: files that analysis has not read are passed over.
    pub module: &'c dyn Fn(&RootPath) -> Option<Arc<Module>>,
}

/// A definition that is part of a cycle.
enum Link {
    Target(ConfiguredTarget),
    Expression(NamedTarget),
    Other(String),
}

impl Link {
    fn new(key: &KeyRef) -> Link {
        if let Some(DefinitionName(name)) = key.downcast::<DefinitionName>() {
            return Link::Expression(name.clone());
        }
        key.downcast::<ConfiguredTarget>()
            .map_or_else(|| Link::Other(key.to_string()), |target| Link::Target(target.clone()))
    }

    /// In the form of messages.
    fn shown(&self) -> String {
        match self {
            Link::Target(target) => target.to_string(),
            Link::Expression(name) => EntityName::Named(name.clone()).to_json(),
            Link::Other(text) => text.clone(),
        }
    }

    /// The name without configuration.
    fn name(&self) -> String {
        match self {
            Link::Target(ConfiguredTarget { name: EntityName::Named(_), .. }) | Link::Expression(_) => {
                self.named().map(|name| EntityName::Named(name.clone()).to_json()).unwrap_or_default()
            }
            Link::Target(_) => "an anonymous target".to_owned(),
            Link::Other(text) => text.clone(),
        }
    }

    fn named(&self) -> Option<&NamedTarget> {
        match self {
            Link::Target(target) => target.name.as_named(),
            Link::Expression(name) => Some(name),
            Link::Other(_) => None,
        }
    }
}

impl CycleReport<'_> {
    /// The report of a cycle.
    pub fn diagnostic(&self, cycle: &Cycle) -> Diagnostic {
        let links: Vec<Link> = cycle.keys().iter().map(Link::new).collect();
        let of_imports = links.iter().all(|link| matches!(link, Link::Expression(_)));
        let what = if of_imports { "expression imports" } else { "target dependencies" };
        let mut text = format!("Cycle detected in {what}:");
        let [first, last] = MAX_NAMED_STEPS;
        let left_out = if links.len() > first + last { first..links.len() - last } else { 0..0 };
        for (place, link) in links.iter().enumerate() {
            if place == left_out.start && !left_out.is_empty() {
                text.push_str(&format!("\n|   … {} more …", left_out.len()));
            }
            if !left_out.contains(&place) {
                text.push_str(if place == 0 { "\n.-> " } else { "\n|   " });
                text.push_str(&link.shown());
            }
        }
        text.push_str(&format!("\n`-- {}", links[0].shown()));
        let mut diagnostic = Diagnostic::error(text);
        if let [Link::Target(target)] = &links[..]
            && let Some(help) = target.name.as_named().and_then(|name| self.hidden_source(name))
        {
            diagnostic = diagnostic.help(help);
        }
        // The engine's cycle begins with the least key, whatever the schedule was, so this message is the same in each
        // build.
        for (place, link) in links.iter().take(MAX_SHOWN_STEPS).enumerate() {
            let next = &links[(place + 1) % links.len()];
            let Some((location, how)) = self.step(link, next) else { continue };
            if diagnostic.location.is_none() && place == 0 {
                diagnostic = diagnostic.at(location);
            } else {
                let message = format!("{} {how} {}", link.name(), next.name());
                diagnostic = diagnostic.note(Note::showing(message, location));
            }
        }
        match links.len().saturating_sub(MAX_SHOWN_STEPS) {
            0 => diagnostic,
            1 => diagnostic.note("and one more step"),
            more => diagnostic.note(format!("and {more} more steps")),
        }
    }

    /// How to name the file or directory that has the name of a target. A target that names itself probably means that
    /// file.
    fn hidden_source(&self, target: &NamedTarget) -> Option<String> {
        let root = &self.repositories.repositories.get(&target.repository)?.workspace_root;
        // Read from the root directly and not as a task: the cycle is not a result that is recorded.
        let path = normal_path(&join(&target.module, &target.name));
        let (directory, base) = path.rsplit_once('/').unwrap_or(("", &path));
        let Ok(Listing::Entries(entries)) = root.source.list(directory, true) else { return None };
        let (what, mark) = match Listing::Entries(entries).get(base)? {
            Entry::Directory => ("directory", "TREE"),
            Entry::File | Entry::Symlink => ("file", "FILE"),
            Entry::NotUtf8 { .. } => return None,
        };
        let name = Value::list([Value::string(mark), Value::Null, Value::String(target.name.clone())]);
        Some(format!(
            "here {} is the target itself; the {what} of this name is {}",
            quoted(&target.name),
            name.to_json()
        ))
    }

    /// The location where a definition leads to the next one, and a verb for it.
    fn step(&self, from: &Link, to: &Link) -> Option<(Location, &'static str)> {
        let name = from.named()?;
        let repository = self.repositories.repositories.get(&name.repository)?;
        match from {
            Link::Target(_) => {
                let (root, file) = (&repository.target_root, &repository.target_file_name);
                let module = (self.module)(&module_file(root, &name.module, file))?;
                let path = JsonPath::root().key(&*name.name);
                let entry = module.json().get(&name.name)?;
                let whole = || (module.key_location(path.clone()), "depends on");
                let Some(next) = to.named() else { return Some(whole()) };
                let rule = self.rule_of(entry, name);
                let fields =
                    rule.as_ref().map_or_else(builtin_fields, |(rule, name)| target_fields(rule, name));
                let written = fields.iter().find_map(|field| {
                    let found = self.find(entry.get(field)?, path.key(field), name, next)?;
                    Some((module.value_location(found), "depends on"))
                });
                let implicit = || {
                    let (rules, rule) = rule.as_ref()?;
                    let path = JsonPath::root().key(&*rule.name).key("implicit");
                    let list = rules.json().get(&rule.name)?.get("implicit")?;
                    let found = self.find(list, path, rule, next)?;
                    Some((rules.value_location(found), "is of a rule that wants"))
                };
                // In the order in which an author would look: what the target says, what its rule adds, and else the
                // definition.
                Some(written.or_else(implicit).unwrap_or_else(whole))
            }
            Link::Expression(_) => {
                let (root, file) = (&repository.expression_root, &repository.expression_file_name);
                let module = (self.module)(&module_file(root, &name.module, file))?;
                let path = JsonPath::root().key(&*name.name).key("imports");
                let imports = module.json().get(&name.name)?.get("imports")?;
                let found = self.find(imports, path, name, to.named()?)?;
                Some((module.value_location(found), "imports"))
            }
            Link::Other(_) => None,
        }
    }

    /// The rules file and the name of a target's rule, unless that is built in.
    fn rule_of(&self, entry: Node<'_>, at: &NamedTarget) -> Option<(Arc<Module>, NamedTarget)> {
        let kind = entry.get("type")?;
        if kind.as_str().is_some_and(|word| Builtin::from_name(word).is_some()) {
            return None;
        }
        let rule = self.read(kind, at)?;
        let repository = self.repositories.repositories.get(&rule.repository)?;
        let file = module_file(&repository.rule_root, &rule.module, &repository.rule_file_name);
        Some(((self.module)(&file)?, rule))
    }

    fn read(&self, json: Node<'_>, at: &NamedTarget) -> Option<NamedTarget> {
        let repositories = self.repositories;
        let context = NameContext { repositories, repository: &at.repository, module: &at.module };
        parse_json_name(json, context).ok()
    }

    /// The path of the first value below `json` that names `wanted`, if it is read as a name in the module of `at`.
    fn find(
        &self,
        json: Node<'_>,
        path: JsonPath,
        at: &NamedTarget,
        wanted: &NamedTarget,
    ) -> Option<JsonPath> {
        const MAX_VISITED_NODES: usize = 10_000;
        // Names are never nested that deep, and each step of a path costs its depth.
        const MAX_DEPTH: usize = 64;
        // A walk without recursion, with limits: it only improves a message.
        let mut pending = vec![(path, json)];
        for _ in 0..MAX_VISITED_NODES {
            let (path, node) = pending.pop()?;
            if path.steps().len() > MAX_DEPTH {
                continue;
            }
            match node.kind() {
                Kind::String => {
                    // Compared first, since most strings are other words, and to read a name costs more.
                    let is_its_name = node.as_str() == Some(&*wanted.name);
                    if is_its_name && self.read(node, at).as_ref() == Some(wanted) {
                        return Some(path);
                    }
                }
                Kind::List => {
                    // Names that are lists have two to four items.
                    let short = (2..=4).contains(&node.len());
                    if short && node.items().all(|item| item.kind() != Kind::Object) {
                        let meant = self.read(node, at);
                        if meant
                            .is_some_and(|meant| meant == *wanted && meant.reference == ReferenceType::Target)
                        {
                            return Some(path);
                        }
                    }
                    // In reverse, so that the stack yields them in the order in which they are written.
                    pending.extend(node.items().enumerate().rev().map(|(i, node)| (path.index(i), node)));
                }
                Kind::Object => pending.extend(
                    (node.entries().rev().filter(|(key, _)| *key != "type"))
                        .map(|(key, node)| (path.key(key), node)),
                ),
                _ => {}
            }
        }
        None
    }
}

/// The fields of built-in rules that contain names of targets.
fn builtin_fields() -> Vec<String> {
    ["target", "deps", "files", "dirs"].map(str::to_owned).into()
}

fn target_fields(rules: &Module, rule: &NamedTarget) -> Vec<String> {
    let fields = rules.json().get(&rule.name).and_then(|rule| rule.get("target_fields"));
    let fields = fields.map(taut_expr::json_to_value);
    let fields = fields.as_ref().and_then(Value::as_list).map(|list| list.iter());
    fields.into_iter().flatten().filter_map(|field| Some(field.as_str()?.as_str().to_owned())).collect()
}
