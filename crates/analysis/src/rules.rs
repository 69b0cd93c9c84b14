//! User-defined rules and the expressions they import, compiled once for all targets that use them.
//!
//! Their hashes cover what can change a target, and not documentation: editing a `doc` entry invalidates no target.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use taut_engine::{Cx, Fail, Hash, Key, Policy, Rule};
use taut_expr::{Expr, Function, Imports};
use taut_syntax::{
    Diagnostic, Diagnostics, Frame, Kind, Location, Node, Note, did_you_mean, enumeration, quoted,
};
use taut_value::{Decoder, Encoder, EntityName, Id, Map, NamedTarget, ReferenceType, Str, Value};

use crate::{
    EntryPart, ModuleEntry, NameError, NameProblem, Workspace, missing, misspelt,
    module::KEEP_VALUES,
    problem::{all, below, fail, once, settle},
    strings::strings,
    vocabulary::{COMMON, RULE},
    whole_value::whole_as_read,
    workspace::module_file,
};

/// The name of a rule or an expression: the key of its task.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct DefinitionName(pub NamedTarget);

impl Key for DefinitionName {
    fn encode(&self, out: &mut Vec<u8>) {
        let mut encoder = Encoder::new();
        encoder.named(&self.0);
        out.extend(encoder.finish());
    }

    fn decode(bytes: &[u8]) -> Option<DefinitionName> {
        let mut decoder = Decoder::new(bytes);
        let name = decoder.named()?;
        decoder.is_done().then_some(DefinitionName(name))
    }
}

/// A field whose targets are made from nodes.
#[derive(Clone, Debug)]
pub struct AnonymousField {
    /// The target field the nodes are collected from.
    pub target: Str,
    /// The provider that contains them.
    pub provider: Str,
    /// Node type to rule, as name values.
    pub rule_map: Map,
}

/// A user-defined rule.
pub struct UserRule {
    /// Its name.
    pub name: NamedTarget,
    /// Fields of strings.
    pub string_fields: Vec<Str>,
    /// Fields of targets.
    pub target_fields: Vec<Str>,
    /// Fields of strings that transitions may depend on.
    pub config_fields: Vec<Str>,
    /// Targets that each target of the rule depends on.
    pub implicit: BTreeMap<Str, Vec<NamedTarget>>,
    /// Fields made from nodes.
    pub anonymous: BTreeMap<Str, AnonymousField>,
    /// The configuration variables that the expression can read.
    pub config_vars: Vec<Str>,
    /// Transitions by field.
    pub transitions: BTreeMap<Str, Expr>,
    /// The words that targets of the rule are tainted with.
    pub tainted: Vec<Str>,
    /// The defining expression.
    pub expression: Expr,
    /// The functions that it can call.
    pub imports: Imports,
    /// The location of the definition.
    pub entry: ModuleEntry,
    /// Warnings about the rule and the functions that it can call.
    pub warnings: Diagnostics,
}

/// Looks up an entry of a rules or expressions file.
async fn entry(
    workspace: &Workspace,
    cx: &Cx,
    name: &NamedTarget,
    kind: missing::DefinitionKind,
) -> Result<ModuleEntry, Fail> {
    let repository = workspace.repository(&name.repository)?;
    // Rules and expressions have roots of their own: the three kinds of files need not lie in one tree.
    let (root, file) = match kind {
        missing::DefinitionKind::Rule => (&repository.rule_root, &repository.rule_file_name),
        missing::DefinitionKind::Expression => {
            (&repository.expression_root, &repository.expression_file_name)
        }
    };
    let module = module_file(root, &name.module, file);
    // By part: other definitions in the file may change without a second compilation of this one.
    let found = cx.part(module.clone(), EntryPart(name.name.clone())).await;
    let found = found.map_err(|failure| {
        let failure = missing::definition_file(kind, name, workspace, &module, failure);
        below(failure, || match kind {
            missing::DefinitionKind::Rule => {
                format!("While reading rule file for {}:", EntityName::Named(name.clone()).to_json())
            }
            missing::DefinitionKind::Expression => {
                format!("While reading expression file in {}:", name.module)
            }
        })
    })?;
    if let Some(entry) = found {
        return Ok(entry);
    }
    // Only the failure depends on all names of the file.
    let others = cx.get::<crate::ModuleRule>(module.clone()).await?;
    Err(fail(missing::definition(kind, name, workspace, &module, others.names())))
}

/// How many bytes of a value are shown.
const MAX_SHOWN_BYTES: usize = 320;

fn string_list(entry: &ModuleEntry, word: &str, field: &str) -> Result<Vec<Str>, Fail> {
    let Some(json) = entry.json().get(field) else { return Ok(Vec::new()) };
    let value = taut_expr::json_to_value(json);
    value.as_list().and_then(|list| strings(list)).ok_or_else(|| {
        let mut path = entry.path().key(field);
        let mut wrong = (&value, "is");
        if let Some(list) = value.as_list()
            && let Some(index) = list.iter().position(|item| item.as_str().is_none())
        {
            path = path.index(index);
            wrong = (&list[index], "contains");
        }
        let (found, how) = wrong;
        let shown = taut_expr::abbreviate(found, MAX_SHOWN_BYTES);
        let kind = taut_expr::kind_of(found);
        let message = format!("{} has to be a list of strings, but {how} {kind}: {shown}", quoted(&field));
        let problem = Diagnostic::error(message).at(entry.value_location(path));
        let problem = problem.reference(match value.as_list() {
            None => format!("Field {field} in {word} {} is not a list", entry.name()),
            Some(_) => format!("List entry in {field} of {word} {} is not a string", entry.name()),
        });
        fail(match found {
            Value::String(_) => problem.help(format!("a list of one: [{shown}]")),
            _ => problem,
        })
    })
}

fn object<'e>(entry: &'e ModuleEntry, word: &str, field: &str) -> Result<Vec<(&'e str, Node<'e>)>, Fail> {
    match entry.json().get(field) {
        None => Ok(Vec::new()),
        Some(json) if json.kind() == Kind::Object => Ok(json.entries().collect()),
        Some(json) => {
            let found = taut_expr::json_to_value(json);
            let (kind, shown) = (taut_expr::kind_of(&found), taut_expr::abbreviate(&found, MAX_SHOWN_BYTES));
            let message = format!("{} has to be a map, but is {kind}: {shown}", quoted(&field));
            let problem = Diagnostic::error(message).at(entry.location(Some(field)));
            let reference = format!("Field {field} in {word} {} is not an object", entry.name());
            let problem = problem.reference(reference);
            Err(fail(match found.as_list().and_then(|list| list.first()?.as_str()) {
                Some(name) if field == "imports" => {
                    let name = quoted(name);
                    problem.help(format!("the names used here, and what they stand for: {{{name}: {name}}}"))
                }
                _ => problem,
            }))
        }
    }
}

fn definition_name(workspace: &Workspace, at: &NamedTarget, name: &Value) -> Result<NamedTarget, NameError> {
    let parsed = crate::parse_name(name, workspace.names(at))?;
    if parsed.reference != ReferenceType::Target {
        let shown = name.to_json();
        return Err(NameError { problem: NameProblem::File, shown });
    }
    Ok(parsed)
}

fn import_of(entry: &ModuleEntry, alias: &str) -> Location {
    entry.value_location(entry.path().key("imports").key(alias))
}

async fn imports(
    workspace: &Workspace,
    cx: &Cx,
    at: &NamedTarget,
    entry: &ModuleEntry,
    kind: missing::DefinitionKind,
) -> Result<Imports, Fail> {
    let (word, shown) = (kind.word(), EntityName::Named(at.clone()).to_json());
    // Two lists by position: tasks are asked for together, and answers come in the order of the keys.
    let mut names = Vec::new();
    let mut keys = Vec::new();
    for (alias, json) in object(entry, word, "imports")? {
        let value = taut_expr::json_to_value(json);
        let name = definition_name(workspace, at, &value).map_err(|why| {
            if why.problem == NameProblem::File {
                let named = crate::parse_name(&value, workspace.names(at)).map(EntityName::Named);
                let named = named.map(|named| named.to_json()).unwrap_or_default();
                let step = reading_expressions(kind, &shown);
                let reference = format!("{step}\n{named} cannot name an expression");
                return fail(
                    Diagnostic::error(why.message()).reference(reference).at(import_of(entry, alias)),
                );
            }
            let step = format!(
                "Parsing entry {} in field imports of {word} {} failed with:",
                whole_as_read(json),
                at.name
            );
            fail(why.of_json(json).below(&step).at(import_of(entry, alias)))
        })?;
        names.push(Str::from(alias));
        keys.push(DefinitionName(name));
    }
    // At once, so that files are read and compiled in parallel, and all errors are reported.
    let functions = cx.all::<ExpressionRule>(keys).await.into_iter().zip(&names).map(|(function, alias)| {
        function.map_err(|failure| {
            let failure = below(failure, || reading_expressions(kind, &shown));
            let written = entry.json().get("imports").and_then(|imports| imports.get(alias));
            settle(missing::named_at(failure, written, &import_of(entry, alias)), |diagnostic| {
                // `named_at` located the error at the import, so a frame with the same place would repeat it.
                if diagnostic.location == Some(import_of(entry, alias)) {
                    return diagnostic;
                }
                let name = taut_value::EntityName::Named(at.clone());
                diagnostic.within(Frame::new(format!("imported by {name}")).at(import_of(entry, alias)))
            })
        })
    });
    let functions = all(functions)?;
    Ok(names.into_iter().zip(functions).collect())
}

/// The step of reading what a definition imports.
fn reading_expressions(kind: missing::DefinitionKind, shown: &str) -> String {
    match kind {
        missing::DefinitionKind::Rule => format!("While reading expression map for rule {shown}:"),
        missing::DefinitionKind::Expression => format!("While handling imports of {shown}:"),
    }
}

/// Compiles named expressions, with what they import.
pub struct ExpressionRule(pub Arc<Workspace>);

impl Rule for ExpressionRule {
    type Key = DefinitionName;
    type Value = Arc<Function>;
    const NAME: &'static str = "expression";

    async fn value(&self, DefinitionName(name): &DefinitionName, cx: Cx) -> Result<Arc<Function>, Fail> {
        let shown = || format!("expression {}", EntityName::Named(name.clone()).to_json());
        self.compiled(name, cx).await.map_err(|failure| once(failure, shown))
    }

    fn content_hash(&self, _: &DefinitionName, function: &Arc<Function>) -> Option<Hash> {
        Some(Hash(function.closure.0))
    }
}

impl ExpressionRule {
    async fn compiled(&self, name: &NamedTarget, cx: Cx) -> Result<Arc<Function>, Fail> {
        let entry = entry(&self.0, &cx, name, missing::DefinitionKind::Expression).await?;
        let kind = missing::DefinitionKind::Expression;
        let vars = string_list(&entry, kind.word(), "vars")?;
        let imports = imports(&self.0, &cx, name, &entry, kind).await?;
        let Some(body) = entry.json().get("expression") else {
            let problem = Diagnostic::error(format!("Missing expression in {}", quoted(&name.name)));
            let reference = match entry.json().kind() {
                Kind::Object => format!("Missing mandatory field expression in expression {}.", name.name),
                _ => format!("expression definition {} is not an object.", name.name),
            };
            return Err(fail(problem.reference(reference).at(entry.location(None))));
        };
        // Without the name: functions with equal definitions are interchangeable, so moving one does not invalidate its
        // callers.
        let closure = closure(&entry, &["vars", "expression"], &imports);
        let body = Expr::compile_at(body, entry.path().key("expression"));
        Ok(Arc::new(Function { vars, imports, body, closure }))
    }
}

/// A hash of some keys of a definition and of all its imports; not of its documentation.
fn closure(entry: &ModuleEntry, keys: &[&str], imports: &Imports) -> Id {
    let mut pieces = Vec::new();
    for key in keys {
        if let Some(json) = entry.json().get(key) {
            // Lengths come first, so that the end of a name is never taken for the beginning of what follows.
            pieces.extend((key.len() as u64).to_le_bytes());
            pieces.extend(key.as_bytes());
            // Canonical, so that neither white space nor the order of keys is part of it.
            pieces.extend(json.canonical_hash());
        }
    }
    // By their closures, so that a change anywhere below changes this hash.
    for (alias, function) in imports {
        pieces.extend((alias.len() as u64).to_le_bytes());
        pieces.extend(alias.as_bytes());
        pieces.extend(function.closure.0);
    }
    Id::of(pieces)
}

/// Compiles user-defined rules.
pub struct RuleRule(pub Arc<Workspace>);

impl Rule for RuleRule {
    type Key = DefinitionName;
    type Value = Arc<UserRule>;
    const NAME: &'static str = "rule";

    fn policy(&self, _: &DefinitionName) -> Policy {
        KEEP_VALUES
    }

    async fn value(&self, DefinitionName(name): &DefinitionName, cx: Cx) -> Result<Arc<UserRule>, Fail> {
        let shown = || format!("rule {}", EntityName::Named(name.clone()).to_json());
        self.compiled(name, cx).await.map_err(|failure| once(failure, shown))
    }

    /// Documentation of a rule is not part of its hash; warnings are.
    fn content_hash(&self, DefinitionName(name): &DefinitionName, rule: &Arc<UserRule>) -> Option<Hash> {
        // Imports count by their closures, not by their names.
        let keys: Vec<&str> =
            RULE.iter().copied().filter(|key| *key != "imports" && !is_documentation(key)).collect();
        let closure = closure(&rule.entry, &keys, &rule.imports);
        // The name is part of the hash, since messages and anonymous targets contain it.
        let name = taut_value::EntityName::Named(name.clone()).id();
        let warnings = if rule.warnings.is_empty() { Vec::new() } else { rule.warnings.encode() };
        Some(Hash(Id::of([&closure.0[..], &name.0, &warnings].concat()).0))
    }
}

impl RuleRule {
    async fn compiled(&self, name: &NamedTarget, cx: Cx) -> Result<Arc<UserRule>, Fail> {
        let workspace = &*self.0;
        let entry = entry(workspace, &cx, name, missing::DefinitionKind::Rule).await?;
        let rule_name = |field: &str, json: Node<'_>| {
            crate::parse_json_name(json, workspace.names(name)).map_err(|why| {
                let step = format!(
                    "Parsing entry {} in {field} field of rule {} failed with:",
                    whole_as_read(json),
                    name.name
                );
                fail(why.of_json(json).below(&step).at(entry.location(Some(field))))
            })
        };
        let mut implicit = BTreeMap::new();
        for (field, json) in object(&entry, "rule", "implicit")? {
            let list = json.as_list().ok_or_else(|| {
                let value = taut_expr::json_to_value(json);
                let rule = taut_value::EntityName::Named(name.clone());
                let message = format!("Entry in implicit field of rule {rule} is not a list.");
                let reference = format!("Entry in implicit field of rule {} is not a list.", name.name);
                let shown = taut_expr::abbreviate(&value, MAX_SHOWN_BYTES);
                let path = entry.path().key("implicit").key(field);
                let problem = Diagnostic::error(message).reference(reference);
                let problem = problem.at(entry.value_location(path));
                fail(problem.help(format!("a field holds any number of targets: [{shown}]")))
            })?;
            let targets = list.map(|target| rule_name("implicit", target)).collect::<Result<Vec<_>, _>>()?;
            implicit.insert(Str::from(field), targets);
        }
        let mut anonymous = BTreeMap::new();
        for (field, json) in object(&entry, "rule", "anonymous")? {
            anonymous.insert(Str::from(field), anonymous_field(workspace, name, &entry, field, json)?);
        }
        let mut transitions = BTreeMap::new();
        for (field, json) in object(&entry, "rule", "config_transitions")? {
            let path = entry.path().key("config_transitions").key(field);
            transitions.insert(Str::from(field), Expr::compile_at(json, path));
        }
        let expression = entry.json().get("expression").ok_or_else(|| {
            let problem = Diagnostic::error(format!("Missing expression in rule {}", quoted(&name.name)));
            let reference = match entry.json().kind() {
                Kind::Object => format!("Missing mandatory field expression in rule {}.", name.name),
                _ => format!("rule definition {} is not an object.", name.name),
            };
            fail(problem.reference(reference).at(entry.location(None)))
        })?;
        let rule = UserRule {
            name: name.clone(),
            string_fields: string_list(&entry, "rule", "string_fields")?,
            target_fields: string_list(&entry, "rule", "target_fields")?,
            config_fields: string_list(&entry, "rule", "config_fields")?,
            implicit,
            anonymous,
            config_vars: string_list(&entry, "rule", "config_vars")?,
            transitions,
            tainted: string_list(&entry, "rule", "tainted")?,
            expression: Expr::compile_at(expression, entry.path().key("expression")),
            // After the rule's own fields, so that errors in these are reported first.
            imports: imports(workspace, &cx, name, &entry, missing::DefinitionKind::Rule).await?,
            entry: entry.clone(),
            warnings: Diagnostics::none(),
        };
        // Warnings come last: a rule that is refused has none.
        check_fields(&rule)?;
        let rule = UserRule { warnings: warnings(&rule), ..rule };
        Ok(Arc::new(rule))
    }
}

fn is_documentation(key: &str) -> bool {
    key == "doc" || key.ends_with("_doc")
}

fn anonymous_field(
    workspace: &Workspace,
    name: &NamedTarget,
    entry: &ModuleEntry,
    field: &str,
    json: Node<'_>,
) -> Result<AnonymousField, Fail> {
    let place = |key: &str| {
        let path = entry.path().key("anonymous").key(field);
        match json.get(key) {
            Some(_) => entry.value_location(path.key(key)),
            None => entry.key_location(path),
        }
    };
    let text = |key: &str| {
        json.get(key).and_then(|value| value.as_str()).map(Str::from).ok_or_else(|| {
            let message =
                format!("Entry {} of anonymous field {} has to be a string", quoted(&key), quoted(&field));
            let how = if json.get(key).is_some() { "not a string" } else { "missing" };
            let reference =
                format!("Entry {key} for {field} in field anonymous in rule {} is {how}", name.name);
            fail(Diagnostic::error(message).reference(reference).at(place(key)))
        })
    };
    if json.kind() != Kind::Object {
        let found = taut_expr::json_to_value(json);
        let shown = taut_expr::abbreviate(&found, MAX_SHOWN_BYTES);
        let kind = taut_expr::kind_of(&found);
        let message = format!("Anonymous field {} has to be a map, but is {kind}: {shown}", quoted(&field));
        let help = "it has the entries \"target\", \"provider\" and \"rule_map\"";
        let reference = format!("Entry {field} in field anonymous in rule {} is not an object", name.name);
        let at = entry.value_location(entry.path().key("anonymous").key(field));
        return Err(fail(Diagnostic::error(message).reference(reference).at(at).help(help)));
    }
    let mut rule_map = Vec::new();
    let Some(map) = json.get("rule_map").filter(|map| map.kind() == Kind::Object) else {
        let message = format!("Entry \"rule_map\" of anonymous field {} has to be a map", quoted(&field));
        let help = "it maps types of nodes to names of rules";
        let how = if json.get("rule_map").is_some() { "not an object" } else { "missing" };
        let reference =
            format!("Entry rule_map for {field} in field anonymous in rule {} is {how}", name.name);
        return Err(fail(Diagnostic::error(message).reference(reference).at(place("rule_map")).help(help)));
    };
    for (node_type, rule_json) in map.entries() {
        let rule = crate::parse_json_name(rule_json, workspace.names(name)).map_err(|why| {
            let path = entry.path().key("anonymous").key(field).key("rule_map").key(node_type);
            let step = format!(
                "Parsing rule name for entry {field} in field anonymous in rule {} failed with:",
                name.name
            );
            fail(why.of_json(rule_json).below(&step).at(entry.value_location(path)))
        })?;
        // Resolved here: anonymous targets carry the map into other repositories, where the same words would name other
        // rules.
        rule_map.push((Str::from(node_type), Value::Name(rule.into())));
    }
    Ok(AnonymousField {
        target: text("target")?,
        provider: text("provider")?,
        rule_map: Map::from_entries(rule_map),
    })
}

/// Warnings about keys and variables that are probably misspelt. Other unknown keys are accepted, since users may add
/// keys of their own.
fn warnings(rule: &UserRule) -> Diagnostics {
    let entry = &rule.entry;
    let mut found: Vec<Diagnostic> = entry.warnings().iter().cloned().collect();
    let unexpected: Vec<Value> = (entry.json().entries().map(|(key, _)| key))
        .filter(|key| !RULE.contains(key))
        .map(Value::string)
        .collect();
    let unexpected = Value::list(unexpected).to_json();
    let mut is_first = true;
    for (key, _) in entry.json().entries().filter(|(key, _)| !RULE.contains(key)) {
        // If the rule has the known key, too, the unknown one is hardly a misspelling of it.
        if let Some(meant) =
            did_you_mean(key, RULE.iter().copied()).filter(|meant| entry.json().get(meant).is_none())
        {
            let name = taut_value::EntityName::Named(rule.name.clone());
            let place = entry.key_location(entry.path().key(key));
            let message = format!("rule {name} has an entry {}, which means nothing", quoted(&key));
            // The reference has one warning about all unknown keys.
            let reference = match std::mem::replace(&mut is_first, false) {
                true => format!("rule {name} has unexpected parameters {unexpected}"),
                false => String::new(),
            };
            found.push(Diagnostic::warning(message).reference(reference).at(place).suggest(Some(meant)));
        }
    }
    found.extend(without_nodes(rule));
    let expressions = rule.transitions.values().chain([&rule.expression]);
    found.extend(expressions.flat_map(|expr| misspelt::warnings(expr, &rule.config_vars)));
    // Each function once, however many imports lead to it; compared by address, as the task of a function has one
    // value, which all importers share.
    let mut seen: Vec<*const Function> = Vec::new();
    let mut pending: Vec<&Arc<Function>> = rule.imports.values().collect();
    while let Some(function) = pending.pop() {
        if !seen.contains(&Arc::as_ptr(function)) {
            seen.push(Arc::as_ptr(function));
            found.extend(misspelt::warnings(&function.body, &function.vars));
            pending.extend(function.imports.values());
        }
    }
    found.into_iter().collect()
}

/// Checks that each field has one kind and no reserved name.
fn check_fields(rule: &UserRule) -> Result<(), Fail> {
    let mut count: BTreeMap<&Str, usize> = BTreeMap::new();
    // A name that occurs twice in one list is one field.
    let mut kinds: Vec<BTreeSet<&Str>> = [&rule.string_fields, &rule.target_fields, &rule.config_fields]
        .map(|list| list.iter().collect())
        .into();
    kinds.extend([rule.implicit.keys().collect(), rule.anonymous.keys().collect()]);
    for field in kinds.iter().flatten() {
        *count.entry(field).or_default() += 1;
    }
    // Sorted by the map, so the message is the same in each build.
    let more: Vec<&str> = count.iter().filter(|(_, n)| **n > 1).map(|(field, _)| field.as_str()).collect();
    if !more.is_empty() {
        let message =
            format!("a field can have only one type, but the following have more: {}", enumeration(&more));
        let mut places = more.iter().flat_map(|field| declared(rule, field));
        let reference =
            format!("A field can have only one type, but the following have more: [{}]", more.join(","));
        let mut problem = Diagnostic::error(message).reference(reference);
        problem.location = places.next().map(|(_, place)| place);
        problem
            .notes
            .extend(places.map(|(list, place)| Note::at(format!("also in {}", quoted(&list)), place)));
        return Err(fail(problem));
    }
    if let Some(reserved) = count.keys().find(|field| COMMON.contains(&field.as_str())) {
        let message = format!("{} is a reserved name and cannot be a field", quoted(&reserved));
        let reference =
            "User-defined fields cannot be any of the reserved fields [arguments_config,tainted,type]";
        let mut problem = Diagnostic::error(message).reference(reference);
        problem.location = declared(rule, reserved).into_iter().next().map(|(_, place)| place);
        return Err(fail(problem.help("targets of any rule have it, with a meaning of its own")));
    }
    let has_targets = |field: &Str| {
        let declared = rule.target_fields.contains(field) || rule.implicit.contains_key(field);
        declared || rule.anonymous.contains_key(field)
    };
    if let Some(field) = rule.transitions.keys().find(|field| !has_targets(field)) {
        let field = field.as_str();
        let message = "Config transitions has to be a map from target fields to transition expressions, but";
        let message = format!("{message} {} is not a target field", quoted(&field));
        let path = rule.entry.path().key("config_transitions").key(field);
        let known = rule.target_fields.iter().chain(rule.implicit.keys()).chain(rule.anonymous.keys());
        // The reference lists every transition here, not only the wrong one.
        let all: Vec<&str> = rule.transitions.keys().map(|field| field.as_str()).collect();
        let reference = format!(
            "Config transitions has to be a map from target fields to transition expressions, but found [{}]",
            all.join(",")
        );
        let problem = Diagnostic::error(message).reference(reference);
        let problem = problem.at(rule.entry.key_location(path));
        return Err(fail(problem.suggest(did_you_mean(field, known.map(|known| known.as_str())))));
    }
    Ok(())
}

/// Warnings about anonymous fields that are always empty, since the field that they refer to does not exist.
fn without_nodes(rule: &UserRule) -> impl Iterator<Item = Diagnostic> {
    let is_lost = |(_, anonymous): &(&Str, &AnonymousField)| {
        !rule.target_fields.contains(&anonymous.target) && !rule.implicit.contains_key(&anonymous.target)
    };
    rule.anonymous.iter().filter(is_lost).map(|(field, AnonymousField { target, .. })| {
        let (field, shown) = (field.as_str(), target.as_str());
        let message = format!(
            "Anonymous field {} refers to {}, which is not a target field",
            quoted(&field),
            quoted(&shown)
        );
        let known = rule.target_fields.iter().chain(rule.implicit.keys()).map(|known| known.as_str());
        let path = rule.entry.path().key("anonymous").key(field).key("target");
        // The reference says nothing about it.
        let warning = Diagnostic::warning(message).reference("");
        let warning = warning.at(rule.entry.value_location(path));
        warning.suggest(did_you_mean(shown, known))
    })
}

/// Where a rule declares a field: in which list, and its location there.
fn declared(rule: &UserRule, field: &str) -> Vec<(&'static str, Location)> {
    let entry = &rule.entry;
    let mut places = Vec::new();
    for list in ["string_fields", "target_fields", "config_fields"] {
        let items = entry.json().get(list).into_iter().flat_map(|json| json.items()).enumerate();
        let here = items.filter(|(_, item)| item.as_str() == Some(field));
        places.extend(here.map(|(i, _)| (list, entry.value_location(entry.path().key(list).index(i)))));
    }
    for list in ["implicit", "anonymous"] {
        if entry.json().get(list).is_some_and(|map| map.get(field).is_some()) {
            places.push((list, entry.key_location(entry.path().key(list).key(field))));
        }
    }
    places
}
