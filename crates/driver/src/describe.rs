//! `describe`: what a target or a rule is for, from its documentation.
//!
//! Nothing is analysed: the definition is looked up and shown as it is written. The formats are the
//! reference's.

use std::fmt::Write as _;
use std::sync::Arc;

use taut_analysis::vocabulary::is_builtin;
use taut_analysis::{
    EntryPart, Module, ModuleEntry, ModuleRule, NameContext, Workspace, module_file, parse_json_name,
};
use taut_engine::{Build, Part};
use taut_repos::{Place, Repository};
use taut_syntax::{Diagnostic, Diagnostics, Kind, Node};
use taut_value::{EntityName, JsonMode, JsonWriter, Map, NamedTarget, ReferenceType, Value};

use crate::analyse::diagnostics;
use crate::{Analyser, Request, request::configured_text};

/// What is described, and how.
#[derive(Clone, Copy, Debug)]
pub struct DescribeOptions {
    /// Whether the name is that of a rule.
    pub rule: bool,
    /// Whether programs will read it.
    pub json: bool,
}

/// A description.
#[derive(Debug, Default)]
pub struct Description {
    /// For standard output.
    pub text: String,
    /// What could not be described.
    pub warnings: Vec<String>,
    /// Whether a file was asked for in so many words, and not a target.
    pub is_reference: bool,
}

impl Analyser {
    /// Describes the target of the request, or the rule of that name. What can be said before something turns
    /// out to be wrong is said.
    /// The error is what is wrong with the files that define it, or that it is not defined.
    pub fn describe(
        &self,
        request: &Request,
        options: DescribeOptions,
    ) -> (Description, Result<(), Diagnostics>) {
        let describer = Describer { build: &self.build, workspace: &self.workspace, json: options.json };
        let mut description = Description::default();
        for target in request.targets.iter() {
            let mut one = Description::default();
            let told = if options.rule && target.reference == ReferenceType::Target {
                describer.rule(target, &mut one)
            } else {
                describer.target(target, &request.configuration, &mut one)
            };
            description.text.push_str(&one.text);
            description.warnings.append(&mut one.warnings);
            description.is_reference |= one.is_reference;
            if told.is_err() {
                return (description, told);
            }
        }
        (description, Ok(()))
    }
}

struct Describer<'a> {
    build: &'a Build,
    workspace: &'a Workspace,
    json: bool,
}

impl Describer<'_> {
    fn repository(&self, name: &NamedTarget) -> Result<&Repository, Diagnostics> {
        let repository = self.workspace.repositories.repositories.get(&name.repository);
        repository
            .ok_or_else(|| Diagnostic::error(format!("Unknown repository {:?}", &*name.repository)).into())
    }

    fn names<'c>(&'c self, at: &'c NamedTarget) -> NameContext<'c> {
        let repositories = &self.workspace.repositories;
        NameContext { repositories, repository: &at.repository, module: &at.module }
    }

    fn module(&self, place: Place) -> Result<Arc<Module>, Diagnostics> {
        self.build
            .get::<ModuleRule>(place)
            .map_err(|fail| diagnostics(fail, self.build, &self.workspace.repositories))
    }

    fn target(
        &self,
        target: &NamedTarget,
        configuration: &Map,
        out: &mut Description,
    ) -> Result<(), Diagnostics> {
        let shown = configured_text(target, configuration);
        let kind = match target.reference {
            ReferenceType::Target => None,
            ReferenceType::File => Some("source file"),
            ReferenceType::Tree => Some("tree"),
            ReferenceType::Glob => Some("glob"),
            ReferenceType::Symlink => Some("symlink"),
        };
        if let Some(kind) = kind {
            out.is_reference = true;
            out.text = format!("{shown} is a {kind}.\n");
            return Ok(());
        }
        let repository = self.repository(target)?;
        let place = module_file(&repository.target_root, &target.module, &repository.target_file_name);
        let Some(entry) = EntryPart(target.name.clone()).project(&self.module(place)?) else {
            out.text = format!("{shown} is implicitly a source file.\n");
            return Ok(());
        };
        let Some(kind) = entry.json().get("type") else {
            let error = Diagnostic::error(format!("{shown} is a target without specified type."));
            return Err(error.at(entry.location(None)).into());
        };
        if let Some(name) = kind.as_str().filter(|name| is_builtin(name)) {
            self.builtin(name, &shown, &entry, out);
            return Ok(());
        }
        let rule = parse_json_name(kind, self.names(target)).map_err(|why| {
            let kind = taut_expr::json_to_value(kind).to_json();
            let error =
                Diagnostic::error(format!("Parsing rule name {kind} for target {shown} failed with:\n{why}"));
            Diagnostics::from(error.at(entry.location(Some("type"))))
        })?;
        if !self.json {
            let rule = EntityName::Named(rule.clone()).to_json();
            out.text = format!("{shown} is defined by user-defined rule {rule}.\n\n");
        }
        self.rule(&rule, out)
    }

    fn builtin(&self, name: &str, shown: &str, entry: &ModuleEntry, out: &mut Description) {
        if self.json {
            let mut writer = JsonWriter::pretty(2);
            writer.object(|w| {
                w.key("type").string(name);
            });
            out.text = writer.finish() + "\n";
            return;
        }
        out.text = format!("{shown} is defined by built-in rule \"{name}\".\n");
        let entry = entry.json();
        if name == "export" || name == "configure" {
            doc(entry.get("doc"), " | ", &mut out.text);
        }
        if name == "export" {
            let variables = entry.get("flexible_config");
            section("Flexible configuration variables", variables, entry.get("config_doc"), &mut out.text);
        }
        if name == "configure"
            && let Some(target) = entry.get("target")
        {
            let target = taut_expr::json_to_value(target).to_json();
            let _ = writeln!(out.text, "The target to be configured is defined as {target}.");
        }
    }

    fn rule(&self, name: &NamedTarget, out: &mut Description) -> Result<(), Diagnostics> {
        let repository = self.repository(name)?;
        let place = module_file(&repository.rule_root, &name.module, &repository.rule_file_name);
        let module = self.module(place)?;
        let shown = EntityName::Named(name.clone()).to_json();
        let Some(entry) = EntryPart(name.name.clone()).project(&module) else {
            let meant = taut_syntax::did_you_mean(&name.name, module.names()).map(str::to_owned);
            return Err(Diagnostic::error(format!("Rule definition of {shown} is missing"))
                .suggest(meant)
                .into());
        };
        if self.json {
            out.text.push_str(&as_json(entry.json(), name));
        } else {
            self.as_text(entry.json(), name, out);
        }
        Ok(())
    }

    fn as_text(&self, rule: Node<'_>, name: &NamedTarget, out: &mut Description) {
        let text = &mut out.text;
        let docs = rule.get("field_doc");
        doc(rule.get("doc"), " | ", text);
        section("String fields", rule.get("string_fields"), docs, text);
        section("Target fields", rule.get("target_fields"), docs, text);
        for (field, targets) in rule.get("implicit").into_iter().flat_map(entries) {
            text.push_str(" - implicit dependency\n");
            doc(docs.and_then(|docs| get(docs, field)), "   | ", text);
            for target in items(Some(targets)) {
                match parse_json_name(target, self.names(name)) {
                    Ok(target) => {
                        let _ = writeln!(text, "   - {}", EntityName::Named(target).to_json());
                    }
                    Err(why) => out.warnings.push(format!(
                        "Failed to resolve {} relative to {}:\n{why}",
                        taut_expr::json_to_value(target).to_json(),
                        EntityName::Named(name.clone()).to_json()
                    )),
                }
            }
        }
        section("Config fields", rule.get("config_fields"), docs, text);
        let variables = rule.get("config_vars");
        section("Variables taken from the configuration", variables, rule.get("config_doc"), text);
        text.push_str(" Result\n - Artifacts\n");
        doc(rule.get("artifacts_doc"), "   | ", text);
        text.push_str(" - Runfiles\n");
        doc(rule.get("runfiles_doc"), "   | ", text);
        if let Some(providers) = rule.get("provides_doc") {
            text.push_str(" - Documented providers\n");
            for (provider, lines) in entries(providers) {
                let _ = writeln!(text, "   - {provider}");
                doc(Some(lines), "     | ", text);
            }
        }
        text.push('\n');
    }
}

fn entries<'d>(node: Node<'d>) -> Box<dyn Iterator<Item = (&'d str, Node<'d>)> + 'd> {
    match node.kind() {
        Kind::Object => Box::new(node.entries()),
        _ => Box::new(std::iter::empty()),
    }
}

fn get<'d>(node: Node<'d>, key: &str) -> Option<Node<'d>> {
    if node.kind() == Kind::Object { node.get(key) } else { None }
}

fn texts(list: Option<Node<'_>>) -> Vec<&str> {
    items(list).into_iter().filter_map(Node::as_str).collect()
}

/// The items of a list or the values of a map; what is neither is taken for a list of one.
fn items(list: Option<Node<'_>>) -> Vec<Node<'_>> {
    let Some(list) = list else { return Vec::new() };
    match list.kind() {
        Kind::List => list.items().collect(),
        Kind::Object => list.entries().map(|(_, value)| value).collect(),
        Kind::Null => Vec::new(),
        _ => vec![list],
    }
}

/// The lines of a documentation, each after the given prefix.
fn doc(lines: Option<Node<'_>>, prefix: &str, text: &mut String) {
    // What is no list is no documentation.
    for line in texts(lines.filter(|lines| lines.kind() == Kind::List)) {
        text.push_str(&format!("{prefix}{line}\n"));
    }
}

/// Names below a heading, each with its documentation; nothing if there are none.
fn section(heading: &str, names: Option<Node<'_>>, docs: Option<Node<'_>>, text: &mut String) {
    let names = items(names);
    if names.is_empty() {
        return;
    }
    let _ = writeln!(text, " {heading}");
    for name in names {
        text.push_str(" - ");
        match name.as_str() {
            Some(name) => taut_value::escape_into(name, text),
            None => text.push_str(name.source()),
        }
        text.push('\n');
        let name = name.as_str();
        doc(docs.zip(name).and_then(|(docs, name)| get(docs, name)), "   | ", text);
    }
}

fn as_json(rule: Node<'_>, name: &NamedTarget) -> String {
    let value = |field: &str| rule.get(field).map(taut_expr::json_to_value);
    let list = |field: &str| {
        value(field).filter(|list| match list {
            Value::Null => false,
            Value::List(list) => !list.is_empty(),
            Value::Map(map) => !map.is_empty(),
            _ => true,
        })
    };
    let documented = |docs: &str, lists: &[&str]| -> Vec<(String, Value)> {
        let docs = value(docs);
        let docs = docs.as_ref().and_then(Value::as_map).cloned().unwrap_or_else(Map::default);
        let names = lists.iter().flat_map(|list| texts(rule.get(list)));
        names.filter_map(|name| Some((name.to_owned(), docs.get(name)?.clone()))).collect()
    };
    let mut writer = JsonWriter::pretty(2);
    writer.object(|w| {
        EntityName::Named(name.clone()).write_json(w.key("type"));
        let plain = |w: &mut JsonWriter, field: &str, found: Option<Value>| {
            if let Some(found) = found {
                w.key(field).value(&found, JsonMode::All);
            }
        };
        let docs = |w: &mut JsonWriter, field: &str, found: Vec<(String, Value)>| {
            if !found.is_empty() {
                w.key(field).object(|w| {
                    for (name, lines) in &found {
                        w.key(name).value(lines, JsonMode::All);
                    }
                });
            }
        };
        plain(w, "doc", value("doc"));
        for field in ["string_fields", "target_fields", "config_fields"] {
            plain(w, field, list(field));
        }
        docs(w, "field_doc", documented("field_doc", &["string_fields", "target_fields", "config_fields"]));
        plain(w, "config_vars", list("config_vars"));
        docs(w, "config_doc", documented("config_doc", &["config_vars"]));
        for field in ["artifacts_doc", "runfiles_doc", "provides_doc"] {
            plain(w, field, value(field));
        }
    });
    writer.finish() + "\n"
}
