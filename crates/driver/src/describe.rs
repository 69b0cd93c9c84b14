//! `describe` as a task: what targets or rules are for, from their documentation.
//!
//! Nothing is analysed: each definition is looked up and shown as it is written. JSON and text are as the reference has
//! them; apart from that, unless the reference's messages are wanted, there is where a target is defined, and its
//! fields.
//!
//! The hash of an entry leaves documentation out, so a description depends on whole files. It goes by these leaves
//! only: while none of them changed, a later `describe` of the same opens no file of the workspace.

mod fields;

use std::{fmt::Write as _, sync::Arc};

use taut_analysis::{
    DefinitionKind, EntryPart, Module, ModuleEntry, ModuleRule, NameContext, Problem, Workspace, below,
    definition, definition_file, manual, missing_module, module_file, named_at, no_rule_name,
    parse_json_name, relative, target_meant, vocabulary::is_builtin, whole_as_read,
};
use taut_engine::{Cx, Fail, Hash, Key, Part, Policy, Rule};
use taut_repos::{DirRule, Entry, Listing, Repository, RootName, RootPath, Roots};
use taut_syntax::{Diagnostic, Diagnostics, Kind, NEXT_MESSAGE, Node, quoted};
use taut_value::{
    Decoder, Encoder, EntityName, Id, JsonMode, JsonWriter, Map, NamedTarget, ReferenceType, Value,
    path::{join, normal_path},
};

use crate::{configured_text::configured_text, request_key::RequestKey};

/// What is described, and how.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct DescribeOptions {
    /// Whether the name is that of a rule.
    pub rule: bool,
    /// Whether programs will read it.
    pub json: bool,
    /// Whether nothing is wanted that the reference does not have.
    pub as_reference: bool,
}

/// The description of a target or rule; if there is an error, what could be described before it.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Description {
    /// For standard output.
    pub text: String,
    /// What the reference does not have, for standard error, if there is any; its first line names the target. Names of
    /// files stand between zero bytes; what is kept has the number of a root and the path below it there, since the
    /// root may lie elsewhere by then.
    // Zero bytes as marks, since no path and no JSON text has one.
    more: String,
    /// What could not be described.
    pub warnings: Vec<String>,
    /// Whether a file is named explicitly, and not a target.
    pub is_reference: bool,
}

impl Description {
    /// What the reference does not have, with the names of files as the function has them.
    pub fn more_with_files(&self, shown: impl Fn(&str) -> String) -> String {
        let parts = self.more.split('\0').enumerate();
        parts.map(|(at, part)| if at % 2 == 0 { part.to_owned() } else { shown(part) }).collect()
    }

    /// The description with the full paths of files.
    pub(crate) fn located(&self, roots: &Roots) -> Description {
        let full = |file: &str| {
            let (number, path) = file.split_once('/')?;
            // Only the place of the file is needed here; how the root treats special entries has no
            // influence on it.
            let root = RootName { number: number.parse().ok()?, ignore_special: false };
            Some(RootPath { root, path: path.into() }.full(roots).to_string_lossy().into_owned())
        };
        let shown = |file: &str| format!("\0{}\0", full(file).unwrap_or_else(|| file.to_owned()));
        Description { more: self.more_with_files(shown), ..self.clone() }
    }
}

/// The descriptions of a request as they are kept.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredDescriptions {
    /// Of each target, in order, up to one with an error.
    pub(crate) descriptions: Vec<Description>,
    /// Errors in the files that define it, or the error that it is not defined. Files are named without the location of
    /// the root.
    pub(crate) problems: Diagnostics,
}

impl StoredDescriptions {
    /// The number of descriptions; of each the text, what is more, the number of warnings and each of them, and whether
    /// a file is named explicitly; the bytes of the problems.
    fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.number(self.descriptions.len() as u64);
        for Description { text, more, warnings, is_reference } in &self.descriptions {
            e.bytes(text.as_bytes());
            e.bytes(more.as_bytes());
            e.number(warnings.len() as u64);
            warnings.iter().for_each(|text| e.bytes(text.as_bytes()));
            e.bool(*is_reference);
        }
        e.bytes(&self.problems.encode());
        e.finish()
    }

    fn decode(bytes: &[u8]) -> Option<StoredDescriptions> {
        let mut d = Decoder::new(bytes);
        let text = |d: &mut Decoder<'_>| Some(std::str::from_utf8(d.bytes()?).ok()?.to_owned());
        let description = |d: &mut Decoder<'_>| {
            let (whole, more) = (text(d)?, text(d)?);
            let warnings = (0..d.number()?).map(|_| text(d)).collect::<Option<_>>()?;
            Some(Description { text: whole, more, warnings, is_reference: d.bool()? })
        };
        let descriptions = (0..d.number()?).map(|_| description(&mut d)).collect::<Option<_>>()?;
        let problems = Diagnostics::decode(d.bytes()?)?;
        // Bytes that are left over are of another format.
        d.is_done().then_some(StoredDescriptions { descriptions, problems })
    }
}

/// Names a description.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(crate) struct DescribeKey {
    pub(crate) request: RequestKey,
    pub(crate) options: DescribeOptions,
}

impl Key for DescribeKey {
    /// A byte, 1 for a rule plus 2 for JSON plus 4 for the reference's text; then the request.
    fn encode(&self, out: &mut Vec<u8>) {
        let DescribeOptions { rule, json, as_reference } = self.options;
        out.push(u8::from(rule) | u8::from(json) << 1 | u8::from(as_reference) << 2);
        self.request.encode(out);
    }

    fn decode(bytes: &[u8]) -> Option<DescribeKey> {
        // Three bits are defined; others are not read as something else.
        let (flags, request) = bytes.split_first().filter(|(flags, _)| **flags < 8)?;
        let (rule, json, as_reference) = (flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
        let options = DescribeOptions { rule, json, as_reference };
        Some(DescribeKey { request: RequestKey::decode(request)?, options })
    }
}

/// Describes targets and rules.
pub(crate) struct DescribeRule(pub(crate) Arc<Workspace>);

impl Rule for DescribeRule {
    type Key = DescribeKey;
    type Value = Arc<StoredDescriptions>;
    const NAME: &'static str = "description";
    // Raised when the text changes: kept descriptions of the version before are not replayed.
    const VERSION: u32 = 4;

    fn policy(&self, _: &DescribeKey) -> Policy {
        // By leaves only: the hashes of entries in between leave out the documentation that is shown.
        Policy::deep(1).only_by_leaves()
    }

    async fn value(&self, key: &DescribeKey, cx: Cx) -> Result<Arc<StoredDescriptions>, Fail> {
        let DescribeKey { request, options } = key;
        let DescribeOptions { json, as_reference, .. } = *options;
        let describer = Describer { cx: &cx, workspace: &self.0, json, as_reference };
        let mut described = StoredDescriptions::default();
        for target in request.targets.iter() {
            let mut one = Description::default();
            // A file that is named explicitly is not the name of a rule, whatever the options say.
            let ended = if options.rule && target.reference == ReferenceType::Target {
                describer.rule(target, &mut one).await
            } else {
                describer.target(target, &request.configuration, &mut one).await
            };
            described.descriptions.push(one);
            if let Err(fail) = ended {
                // What was described before the error is shown all the same.
                described.problems = relative(&problems(fail)?, &self.0.repositories.roots);
                break;
            }
        }
        Ok(Arc::new(described))
    }

    fn content_hash(&self, _: &DescribeKey, described: &Arc<StoredDescriptions>) -> Option<Hash> {
        Some(Hash(Id::of(described.encode()).0))
    }

    fn encode_value(&self, _: &DescribeKey, described: &Arc<StoredDescriptions>) -> Option<Vec<u8>> {
        Some(described.encode())
    }

    fn decode_value(&self, _: &DescribeKey, bytes: &[u8]) -> Option<Arc<StoredDescriptions>> {
        StoredDescriptions::decode(bytes).map(Arc::new)
    }
}

/// The diagnostics of a failure. A file that cannot be read is reported in the same way: no run is kept of a task that
/// met such a failure, so it is not replayed.
fn problems(fail: Fail) -> Result<Diagnostics, Fail> {
    match &fail {
        // Neither is a property of what is described: these two end the task without a value.
        Fail::Cycle(_) | Fail::Cancelled => Err(fail),
        Fail::Task(failure) | Fail::Transient(failure) => Ok(match fail.downcast_ref() {
            Some(Problem(problems)) => problems.clone(),
            None => Diagnostic::error(failure.to_string()).into(),
        }),
    }
}

fn wrong(problem: impl Into<Diagnostics>) -> Fail {
    Fail::task(Problem(problem.into()))
}

struct Describer<'a> {
    cx: &'a Cx,
    workspace: &'a Workspace,
    json: bool,
    as_reference: bool,
}

impl Describer<'_> {
    fn repository(&self, name: &NamedTarget) -> Result<&Repository, Fail> {
        let repository = self.workspace.repositories.repositories.get(&name.repository);
        let unknown = || Diagnostic::error(format!("Unknown repository {}", quoted(&*name.repository)));
        repository.ok_or_else(|| wrong(unknown()))
    }

    fn names<'c>(&'c self, at: &'c NamedTarget) -> NameContext<'c> {
        let repositories = &self.workspace.repositories;
        NameContext { repositories, repository: &at.repository, module: &at.module }
    }

    async fn module(&self, place: RootPath) -> Result<Arc<Module>, Fail> {
        self.cx.get::<ModuleRule>(place).await
    }

    async fn target(
        &self,
        target: &NamedTarget,
        configuration: &Map,
        out: &mut Description,
    ) -> Result<(), Fail> {
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
            if !self.as_reference {
                out.more = format!("{shown} is a source, not a target of a rule.\n");
            }
            return Ok(());
        }
        let repository = self.repository(target)?;
        let place = module_file(&repository.target_root, &target.module, &repository.target_file_name);
        let file = place.clone();
        let module = match self.module(place.clone()).await {
            Ok(module) => module,
            Err(failure) => {
                let failure = missing_module(self.workspace, self.cx, target, &place, failure).await;
                return Err(below(failure, || "While searching for target description:".to_owned()));
            }
        };
        let Some(entry) = EntryPart(target.name.clone()).project(&module) else {
            out.text = format!("{shown} is implicitly a source file.\n");
            if !self.as_reference && !self.is_source(repository, target).await {
                let mut warning = format!("{shown} is neither a target in {} nor a file", file.path);
                if let Some(meant) = target_meant(self.workspace, self.cx, target).await {
                    let meant = EntityName::Named(meant).to_json();
                    let _ = write!(warning, "\nhelp: did you mean {meant}?");
                }
                out.warnings.push(warning);
            }
            return Ok(());
        };
        let Some(kind) = entry.json().get("type") else {
            let error = Diagnostic::error(format!("{shown} has no \"type\""))
                .reference(format!("{shown} is a target without specified type."));
            return Err(wrong(error.at(entry.location(None))));
        };
        // Built-in names first: in the reference, too, no rules file can redefine them.
        if let Some(name) = kind.as_str().filter(|name| is_builtin(name)) {
            self.builtin(name, &shown, &entry, out);
            if !self.as_reference && !self.json {
                out.more = fields::builtin_target(name, &shown, &file, &entry).unwrap_or_default();
            }
            return Ok(());
        }
        let rule = parse_json_name(kind, self.names(target)).map_err(|why| {
            let problem = no_rule_name(why, &entry, kind, &shown);
            // Here the reference ends each message with one more full stop than in a build.
            let texts = problem.reference_text().split(NEXT_MESSAGE).map(|text| format!("{text}."));
            let texts = texts.collect::<Vec<_>>().join(NEXT_MESSAGE);
            wrong(problem.reference(texts))
        })?;
        let of_type = entry.location(Some("type"));
        let at_type = |failure| named_at(failure, Some(kind), &of_type);
        if self.json {
            // As JSON, only the rule is written: a program that reads it expects one value.
            return self.rule(&rule, out).await.map_err(at_type);
        }
        let name = EntityName::Named(rule.clone()).to_json();
        out.text = format!("{shown} is defined by user-defined rule {name}.\n\n");
        if !self.as_reference {
            out.more = fields::target(&name, &shown, &file, &entry);
        }
        self.rule(&rule, out).await.map_err(at_type)
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
        // Of the built-in rules, only these two have documentation fields in the reference's description.
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

    /// Whether there is a source file of that name. If the directory cannot be read, that is for a build to report.
    async fn is_source(&self, repository: &Repository, target: &NamedTarget) -> bool {
        let path = normal_path(&join(&target.module, &target.name));
        let (directory, base) = path.rsplit_once('/').unwrap_or(("", &path));
        let place = RootPath { root: repository.workspace_root.name, path: directory.into() };
        let listing = self.cx.get::<DirRule>(place).await;
        listing.is_ok_and(|listing| match &*listing {
            Listing::Unreadable(_) => true,
            listing => matches!(listing.get(base), Some(Entry::File | Entry::Symlink)),
        })
    }

    async fn rule(&self, name: &NamedTarget, out: &mut Description) -> Result<(), Fail> {
        let repository = self.repository(name)?;
        let place = module_file(&repository.rule_root, &name.module, &repository.rule_file_name);
        let kind = DefinitionKind::Rule;
        let module = self.module(place.clone()).await;
        let module = module.map_err(|failure| {
            let failure = definition_file(kind, name, self.workspace, &place, failure);
            below(failure, || "While searching for rule definition:".to_owned())
        });
        let found = module.as_ref().map(|module| EntryPart(name.name.clone()).project(module));
        // Built-in rules are in no module. A rule of the same name in a rules file of the root module has priority.
        let builtin =
            manual(&name.name).filter(|_| !self.as_reference && !self.json && name.module.is_empty());
        let entry = match (found, builtin) {
            (Ok(Some(entry)), _) => entry,
            (_, Some(manual)) => {
                // The reference has nothing to say of these.
                fields::builtin_rule(&name.name, &manual, None, &mut out.text);
                return Ok(());
            }
            (_, None) => {
                let module = module?;
                let shown = EntityName::Named(name.clone()).to_json();
                let missing = definition(kind, name, self.workspace, &place, module.names());
                return Err(wrong(missing.reference(format!("Rule definition of {shown} is missing"))));
            }
        };
        if self.json {
            out.text.push_str(&as_json(entry.json(), name));
        } else {
            self.as_text(entry.json(), name, out);
        }
        Ok(())
    }

    // The order of the sections, and what of them is left out if empty, is that of the reference (`PrettyPrintRule`
    // in `describe.cpp`).
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
                    Err(why) => {
                        let rule = EntityName::Named(name.clone()).to_json();
                        let step = format!("Failed to resolve {} relative to {rule}:", whole_as_read(target));
                        match self.as_reference {
                            true => {
                                let problem = why.of_json(target).below(&step);
                                let texts = problem.reference_text().split(NEXT_MESSAGE);
                                out.warnings.extend(texts.map(str::to_owned));
                            }
                            false => out.warnings.push(format!("{step}\n{why}")),
                        }
                    }
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
        // What is malformed is shown as if it were empty: a build reports it, and a description
        // should show the rest.
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
// As a loop over a value of the reference's library (nlohmann/json) goes: a plain value is visited once, null never.
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
    // What is not a list is not documentation.
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

// The order of the fields is that of the reference (`PrintRuleAsOrderedJson` in `describe.cpp`).
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

#[cfg(test)]
mod tests {
    use taut_syntax::Location;

    use super::*;

    fn key(rule: bool, json: bool, as_reference: bool) -> DescribeKey {
        let configuration: Map = [("V", Value::Bool(true))].into_iter().collect();
        let request = RequestKey { targets: NamedTarget::new("r", "m", "t").into(), configuration };
        DescribeKey { request, options: DescribeOptions { rule, json, as_reference } }
    }

    #[test]
    fn keys_are_written_as_specified() {
        for flags in 0..8_u8 {
            let key = || key(flags & 1 != 0, flags & 2 != 0, flags & 4 != 0);
            let mut bytes = Vec::new();
            key().encode(&mut bytes);
            let request = b"\x01\x00\x03\x00\x01r\x00\x01m\x00\x01t\x00\x01\x00\x01V\x02";
            assert_eq!(bytes, [&[flags], &request[..]].concat());
            assert_eq!(DescribeKey::decode(&bytes), Some(key()));
            assert!((0..bytes.len()).all(|end| DescribeKey::decode(&bytes[..end]).is_none()));
        }
    }

    #[test]
    fn values_are_written_as_specified() {
        let description = Description {
            text: "t\n".into(),
            more: "m".into(),
            warnings: vec!["w".into()],
            is_reference: true,
        };
        let problems: Diagnostics = Diagnostic::error("e").at(Location::file("f")).into();
        let described = StoredDescriptions { descriptions: vec![description], problems: problems.clone() };
        let bytes = described.encode();
        let encoded_problems = problems.encode();
        assert_eq!(
            bytes,
            [&b"\x01\x02t\n\x01m\x01\x01w\x01"[..], &[encoded_problems.len() as u8], &encoded_problems]
                .concat()
        );
        let read = StoredDescriptions::decode(&bytes).unwrap();
        assert_eq!((read.descriptions, read.problems.encode()), (described.descriptions, encoded_problems));
        assert!((0..bytes.len()).all(|end| StoredDescriptions::decode(&bytes[..end]).is_none()));
    }
}
