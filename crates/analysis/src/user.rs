//! Targets of user-defined rules, named and anonymous.
//!
//! Dependencies are analysed in two steps: first the target fields and the implicit ones together, then the targets
//! made from nodes that the first ones provide. The defining expression sees only their results.

use std::{collections::BTreeMap, rc::Rc, sync::Arc};

use rustc_hash::FxHashMap;
use taut_engine::{Cx, Fail};
use taut_expr::{ErrorKind, Expr, Host, Offer};
use taut_syntax::{
    Diagnostic, Diagnostics, Frame, JsonPath, Location, LocationPart, NEXT_MESSAGE, Note, did_you_mean,
    enumeration, quoted,
};
use taut_value::{
    AbstractNode, AnonymousTarget, EntityName, List, Map, NamedTarget, Node, ReferenceType, Str, Value,
};

use crate::{
    AnalysedTarget, Config, ConfiguredTarget, Dependencies, ModuleEntry, StrSet, TargetRule, Workspace,
    defined::DefinitionNames,
    dependency::Dep,
    foreign_names,
    hosts::{FieldTargets, RuleHost, TransitionHost},
    missing,
    problem::{Problem, after_warnings, all, below, beside, fail, settle},
    reference::RuleKind,
    rules::{AnonymousField, DefinitionName, RuleRule, UserRule},
    scope::{Scope, environment},
    whole_value::whole,
};

/// A dependency in one transition.
struct TransitionDep {
    field: Str,
    transition: Map,
    dep: Dep,
}

/// A target definition that uses a user-defined rule.
pub(crate) async fn evaluate(
    workspace: &Workspace,
    cx: &Cx,
    target: &ConfiguredTarget,
    named: &NamedTarget,
    entry: &ModuleEntry,
    rule: &NamedTarget,
) -> Result<AnalysedTarget, Fail> {
    let name = EntityName::Named(rule.clone());
    let rule = cx.get::<RuleRule>(DefinitionName(rule.clone())).await.map_err(|failure| {
        let of_type = entry.location(Some("type"));
        let failure = below(failure, || looking_up(&name, target));
        settle(missing::named_at(failure, entry.json().get("type"), &of_type), |diagnostic| {
            if diagnostic.location.as_ref() == Some(&of_type) {
                return diagnostic;
            }
            let mut frame = Frame::of_target(target.to_string()).at(entry.location(Some("type")));
            frame.message = format!("wanted as the rule of target {target}");
            diagnostic.within(frame)
        })
    })?;
    let mut scope = Scope::new(workspace, cx, target, named, entry, RuleKind::User(rule.clone()))?;
    // Taken before the scope is moved: an error of the target is reported beside its warnings, as
    // the reference does.
    let warnings = scope.warnings.clone();
    // The reference reads the variables before it begins with the analysis, and says both.
    let read =
        scope.read_variables().map_err(|failure| settle(failure, |problem| unread(problem, target, &name)));
    read.map_err(|failure| after_warnings(beside(failure, &warnings), &warnings))?;
    let analysed = by_rule(scope, &rule).await;
    analysed.map_err(|failure| {
        let failure = below(beside(failure, &warnings), || analysing(workspace, &name, target));
        after_warnings(failure, &warnings)
    })
}

/// A problem of a target whose fields are not even read.
fn unread(problem: Diagnostic, target: &ConfiguredTarget, rule: &EntityName) -> Diagnostic {
    let text = problem.reference_text();
    let target = target.name.to_json();
    let reference =
        format!("{text}{NEXT_MESSAGE}Failed to read data from target {target} with rule {}", rule.to_json());
    problem.reference(reference)
}

async fn by_rule(mut scope: Scope<'_>, rule: &Arc<UserRule>) -> Result<AnalysedTarget, Fail> {
    scope.read_tainted()?;
    let tainted: StrSet = rule.tainted.iter().cloned().collect();
    // Targets need not repeat the words of their rule.
    scope.tainted = scope.tainted.union(&tainted);
    let mut strings: BTreeMap<Str, Value> = BTreeMap::new();
    // Before all dependencies and without them, since transitions are computed from these fields.
    for field in &rule.config_fields {
        strings.insert(field.clone(), strings_value(scope.strings(field, None)?));
    }
    let mut targets = FieldTargets::new();
    for field in &rule.target_fields {
        let names = scope.names(field)?.into_iter().map(EntityName::Named).collect();
        targets.insert(field.clone(), names);
    }
    let Scope { workspace, cx, target, .. } = scope;
    let entry = scope.written.entry;
    let mut evaluation = Evaluation::new(workspace, cx, target, rule, strings, targets);
    evaluation.scope = Some(&scope);
    evaluation.reach_declared().await?;
    evaluation.reach_anonymous().await?;
    // After all dependencies: those of anonymous fields count as well.
    evaluation.check_taint(&scope.tainted, Some(entry))?;
    // Only now, since the value of a string field may depend on the results of dependencies.
    for field in &rule.string_fields {
        let default = || Value::List(List::default());
        let declared = evaluation.transitioned();
        let value = scope.field_asking(field, default, &declared)?;
        let words = value.as_list().and_then(|list| crate::strings::strings(list));
        let words = words.ok_or_else(|| scope.written.not_strings(field, &value))?;
        evaluation.strings.insert(field.clone(), strings_value(words));
    }
    let (own, tainted) = (scope.own_vars.clone(), scope.tainted.clone());
    let own_warnings = scope.all_warnings();
    let of_rule = rule.warnings.below(&looking_up(&EntityName::Named(rule.name.clone()), target));
    let warnings = Diagnostics::merge([&own_warnings, &of_rule]);
    evaluation.finish(own, tainted, warnings)
}

/// The step of looking up the rule of a named target.
fn looking_up(rule: &EntityName, target: &ConfiguredTarget) -> String {
    format!("While looking up rule {} for {}:", rule.to_json(), target.name.to_json())
}

/// The step of analysing a target. Of an anonymous one the reference does not show the configuration.
fn analysing(workspace: &Workspace, rule: &EntityName, target: &ConfiguredTarget) -> String {
    let shown = match &target.name {
        EntityName::Named(_) => target.in_reference(workspace.log_limit),
        anonymous => anonymous.to_json(),
    };
    format!("While analysing {} target {shown}:", rule.to_json())
}

/// A target made from a node.
pub(crate) async fn anonymous(
    workspace: &Workspace,
    cx: &Cx,
    target: &ConfiguredTarget,
    anonymous: &AnonymousTarget,
) -> Result<AnalysedTarget, Fail> {
    // A value node is a result already: nothing is evaluated, and it has the same result in each configuration.
    let node = match &anonymous.node {
        Node::Abstract(node) => node,
        Node::Value(result) => {
            return Ok(AnalysedTarget {
                result: result.clone(),
                defined: DefinitionNames::default(),
                vars: StrSet::empty(),
                tainted: StrSet::empty(),
                dependencies: Dependencies::default(),
                warnings: Diagnostics::none(),
                is_defined: false,
                provides_null: false,
                export: None,
            });
        }
    };
    let rule = rule_of_node(workspace, cx, target, anonymous, node).await?;
    if let Some((field, kind)) = misplaced_field(&rule, node) {
        return Err(misplaced(workspace, target, anonymous, (node, &rule), field, kind));
    }
    let mut strings: BTreeMap<Str, Value> = BTreeMap::new();
    // The values of a node are not evaluated, so the string fields need not wait for dependencies.
    for field in rule.config_fields.iter().chain(&rule.string_fields) {
        let value = node.string_fields.get(field).cloned().unwrap_or_else(|| Value::List(List::default()));
        strings.insert(field.clone(), value);
    }
    let mut targets = FieldTargets::new();
    for field in &rule.target_fields {
        // Every field of a node is a list of nodes (`Node::new_abstract`), so nothing is lost by the filter.
        let nodes = node.target_fields.get(field).and_then(Value::as_list).cloned().unwrap_or_default();
        let below = nodes.iter().filter_map(Value::as_node).map(|node| {
            EntityName::Anonymous(AnonymousTarget {
                rule_map: anonymous.rule_map.clone(),
                node: node.clone(),
            })
        });
        targets.insert(field.clone(), below.collect());
    }
    let analysed = of_node(Evaluation::new(workspace, cx, target, &rule, strings, targets)).await;
    let name = EntityName::Named(rule.name.clone());
    analysed.map_err(|failure| below(failure, || analysing(workspace, &name, target)))
}

/// The rule that the rule map of an anonymous target has for its node.
async fn rule_of_node(
    workspace: &Workspace,
    cx: &Cx,
    target: &ConfiguredTarget,
    anonymous: &AnonymousTarget,
    node: &AbstractNode,
) -> Result<Arc<UserRule>, Fail> {
    let Some(Value::Name(EntityName::Named(rule))) = anonymous.rule_map.get(&node.node_type) else {
        return Err(no_rule_for_node(workspace, anonymous, node));
    };
    if rule.reference != ReferenceType::Target {
        let name = EntityName::Named(rule.clone());
        let diagnostic = Diagnostic::error(format!("{name} is a reference to a file, not to a rule"));
        return Err(fail(diagnostic.note(format!("wanted for nodes of type {}", quoted(&*node.node_type)))));
    }
    cx.get::<RuleRule>(DefinitionName(rule.clone())).await.map_err(|failure| {
        let failure = below(failure, || format!("While looking up rule for {}:", target.name.to_json()));
        settle(failure, |diagnostic| {
            diagnostic.note(format!("wanted for nodes of type {}", quoted(&*node.node_type)))
        })
    })
}

/// The error for a node of a type that its rule map does not have.
fn no_rule_for_node(workspace: &Workspace, anonymous: &AnonymousTarget, node: &AbstractNode) -> Fail {
    let node_type = node.node_type.as_str();
    let known: Vec<&str> = anonymous.rule_map.keys().map(|known| known.as_str()).collect();
    let meant = did_you_mean(node_type, known.iter().copied());
    let message = format!("Cannot resolve type of node: rule_map has no rule for {}", quoted(&node_type));
    let shown = taut_expr::abbreviate(&Value::Node(anonymous.node.clone()), workspace.log_limit);
    let rule_map = whole(&Value::Map(anonymous.rule_map.clone()));
    let reference = format!(
        "Cannot resolve type of node {} via rule map {rule_map}",
        whole(&Value::Node(anonymous.node.clone()))
    );
    let diagnostic = Diagnostic::error(message).reference(reference);
    let diagnostic = diagnostic.suggest(meant).note(format!("the node is {shown}"));
    fail(diagnostic.note(format!("rule_map has rules for {}", enumeration(&known))))
}

/// A field that a node has among those of the other kind than its rule declares, and the declared kind.
fn misplaced_field<'r>(rule: &'r UserRule, node: &AbstractNode) -> Option<(&'r Str, &'static str)> {
    let strings = rule.config_fields.iter().chain(&rule.string_fields);
    let wrong = |(field, _, of_node): &(&Str, &str, &taut_value::Map)| of_node.contains_key(field);
    let misplaced = strings
        .map(|field| (field, "string", &node.target_fields))
        .chain(rule.target_fields.iter().map(|field| (field, "target", &node.string_fields)))
        .find(wrong);
    misplaced.map(|(field, kind, _)| (field, kind))
}

/// The error for such a field.
fn misplaced(
    workspace: &Workspace,
    target: &ConfiguredTarget,
    anonymous: &AnonymousTarget,
    (node, rule): (&AbstractNode, &UserRule),
    field: &Str,
    kind: &str,
) -> Fail {
    let other = if kind == "string" { "target" } else { "string" };
    let message = format!(
        "Expected {kind} field {} in {kind}_fields of abstract node type {}, and not in {other}_fields",
        quoted(&field),
        quoted(&*node.node_type)
    );
    let shown = taut_expr::abbreviate(&Value::Node(anonymous.node.clone()), workspace.log_limit);
    let rule = EntityName::Named(rule.name.clone());
    let reference = format!(
        "Expected {kind} field '{field}' in {kind}_fields of abstract node type '{}', and not in \
         {other}_fields{NEXT_MESSAGE}Failed to read data from target {} with rule {rule}",
        node.node_type,
        target.name.to_json(),
    );
    let problem = Diagnostic::error(message).reference(reference);
    let problem = problem.note(format!("the rule for such nodes is {rule}"));
    fail(problem.note(format!("the node is {shown}")))
}

async fn of_node(mut evaluation: Evaluation<'_>) -> Result<AnalysedTarget, Fail> {
    evaluation.reach_declared().await?;
    evaluation.reach_anonymous().await?;
    let rule = evaluation.rule;
    let tainted: StrSet = rule.tainted.iter().cloned().collect();
    evaluation.check_taint(&tainted, None)?;
    // It has no definition whose fields could read variables of their own.
    evaluation.finish(StrSet::empty(), tainted, rule.warnings.clone())
}

/// Whether an error has no location yet.
fn has_no_location(failure: &Fail) -> bool {
    failure.downcast_ref::<Problem>().is_some_and(|problem| problem.0.has_no_location())
}

fn strings_value(words: Vec<Str>) -> Value {
    Value::list(words.into_iter().map(Value::String))
}

struct Evaluation<'e> {
    workspace: &'e Workspace,
    cx: &'e Cx,
    target: &'e ConfiguredTarget,
    rule: &'e Arc<UserRule>,
    /// The fields of the target's definition, if it is a named one.
    scope: Option<&'e Scope<'e>>,
    /// Config and string fields.
    strings: BTreeMap<Str, Value>,
    /// Target, implicit and anonymous fields.
    targets: FieldTargets,
    // A list, not a map: messages and anonymous fields follow the order of the definition.
    reached: Vec<TransitionDep>,
    deps: Dependencies,
}

impl<'e> Evaluation<'e> {
    fn new(
        workspace: &'e Workspace,
        cx: &'e Cx,
        target: &'e ConfiguredTarget,
        rule: &'e Arc<UserRule>,
        strings: BTreeMap<Str, Value>,
        targets: FieldTargets,
    ) -> Evaluation<'e> {
        let (reached, deps) = (Vec::new(), Dependencies::default());
        Evaluation { workspace, cx, target, rule, scope: None, strings, targets, reached, deps }
    }

    fn env(&self) -> Map {
        environment(&self.target.config, self.rule.config_vars.iter())
    }

    /// The changes of the configuration in which a field's targets are analysed.
    fn transitions(&self, field: &str) -> Result<Vec<Map>, Fail> {
        let Some(expr) = self.rule.transitions.get(field) else { return Ok(vec![Map::default()]) };
        let mut host = TransitionHost { fields: &self.strings, limit: self.workspace.log_limit };
        let kind = match () {
            () if self.rule.implicit.contains_key(field) => "implicit ",
            () if self.rule.anonymous.contains_key(field) => "anonymous ",
            () => "",
        };
        let step = format!("While evaluating config transition for {kind}{field}:");
        let what = || Some(format!("in the transition of field {}", quoted(&field)));
        let value = self.evaluate(expr, &mut host, &step, what)?;
        let maps = value.as_list().and_then(|list| list.iter().map(|map| map.as_map().cloned()).collect());
        maps.ok_or_else(|| {
            let shown = taut_expr::abbreviate(&value, self.workspace.log_limit);
            let message = format!("The transition of field {} has to be a list of maps, but is {shown}", quoted(&field));
            let path = self.rule.entry.path().key("config_transitions").key(field);
            let location = self.rule.entry.value_location(path);
            let found = whole(&value);
            let reference = match value {
                Value::List(_) => format!("expected list of dicts, but found {found}"),
                _ => format!("expected list, but got {found}"),
            };
            let diagnostic = Diagnostic::error(message).reference(reference).below(&step).at(location);
            fail(match value {
                Value::Map(_) => diagnostic.help("a field's targets may be wanted in several configurations, hence the list; put the map into one"),
                _ => diagnostic,
            }.within(self.rule_frame()))
        })
    }

    fn evaluate(
        &self,
        expr: &Expr,
        host: &mut dyn Host,
        step: &str,
        what: impl FnOnce() -> Option<String>,
    ) -> Result<Value, Fail> {
        taut_expr::evaluate(expr, &self.env(), &self.rule.imports, host).map_err(|error| {
            let origins = self.origins(&error.involved);
            let for_users = error.kind == ErrorKind::User;
            let annotation = if error.annotated { self.annotation(&error.involved) } else { String::new() };
            let mut diagnostic = error.into_diagnostic();
            if !annotation.is_empty() {
                let text = format!("{}{annotation}", diagnostic.reference_text());
                diagnostic = diagnostic.reference(text);
            }
            diagnostic = diagnostic.below(step);
            if for_users && let Some(scope) = self.scope {
                // A message of the rule's author is for the author of the target: the
                // location of the target comes first.
                let raised = diagnostic.location.replace(scope.written.entry.location(None));
                // The rules in the binary have no file that a user could open.
                let raised = raised.filter(|_| !self.is_in_the_box());
                diagnostic.notes.extend(raised.map(|raised| Note::at("the rule says so here", raised)));
            }
            diagnostic = what().into_iter().map(Frame::new).fold(diagnostic, Diagnostic::within);
            fail(self.attributed(origins.into_iter().fold(diagnostic, Diagnostic::note)))
        })
    }

    fn rule_frame(&self) -> Frame {
        let rule = EntityName::Named(self.rule.name.clone());
        let frame = Frame::new(format!("in rule {rule}"));
        if self.is_in_the_box() { frame } else { frame.at(self.rule.entry.location(None)) }
    }

    /// Whether the rule is one of those in the binary.
    fn is_in_the_box(&self) -> bool {
        foreign_names::is_in_the_box(self.workspace, &self.rule.name.repository)
    }

    /// Adds the rule to a diagnostic. Named targets add themselves, with their location; anonymous ones are added here,
    /// since they have none.
    fn attributed(&self, diagnostic: Diagnostic) -> Diagnostic {
        let diagnostic = diagnostic.within(self.rule_frame());
        if self.scope.is_some() {
            return diagnostic;
        }
        let EntityName::Anonymous(AnonymousTarget { node, .. }) = &self.target.name else {
            return diagnostic;
        };
        // Shorter than other values: chains of nodes have many of these frames.
        let node = taut_expr::abbreviate(&Value::Node(node.clone()), self.workspace.log_limit.min(160));
        diagnostic.within(Frame::new(format!("in the anonymous target of node {node}")))
    }

    /// For conflicting values: the dependencies that offer them.
    fn origins(&self, involved: &[(String, Value)]) -> Vec<String> {
        let mut notes = Vec::new();
        for (name, value) in involved {
            // By value, since the expression has lost where its parts came from; several
            // dependencies may offer the same.
            let offers = |reached: &&TransitionDep| {
                let result = reached.dep.result();
                [&result.artifacts, &result.runfiles, &result.provides]
                    .into_iter()
                    .any(|map| Value::Map(map.clone()).contains(value))
            };
            for TransitionDep { transition, dep, .. } in self.reached.iter().filter(offers) {
                let config = self.target.config.update(transition).prune(dep.vars()).without_nulls();
                let target = ConfiguredTarget { name: dep.name.clone(), config };
                notes.push(format!("{name} comes from {target}"));
            }
        }
        notes
    }

    /// For conflicting values, what the reference says about the dependencies that offer them.
    fn annotation(&self, involved: &[(String, Value)]) -> String {
        let mut text = String::new();
        for (_, value) in involved.iter().filter(|(_, value)| value.as_artifact().is_some()) {
            let shown = whole(value);
            let mut found = String::new();
            for TransitionDep { transition, dep, .. } in &self.reached {
                let config = self.target.config.update(transition).prune(dep.vars());
                let target = ConfiguredTarget { name: dep.name.clone(), config };
                let target = target.in_reference(self.workspace.log_limit);
                let result = dep.result();
                for (map, what) in [(&result.artifacts, "artifact"), (&result.runfiles, "runfile")] {
                    for (path, _) in map.iter().filter(|(_, there)| *there == value) {
                        found +=
                            &format!("\n - {target}, {what} at {}", Value::String(path.clone()).to_json());
                    }
                }
                if Value::Map(result.provides.clone()).contains(value) {
                    found += &format!("\n - {target}, in provided data");
                }
            }
            text += &match found.is_empty() {
                true => format!("\nArtifact {shown} unknown to direct dependencies"),
                false => format!("\nArtifact {shown} occurs in direct dependencies{found}"),
            };
        }
        text
    }

    /// Analyses targets of fields in all their transitions, in parallel.
    async fn reach(&mut self, fields: Vec<(Str, Vec<EntityName>)>) -> Result<Vec<ConfiguredTarget>, Fail> {
        let mut keys = Vec::new();
        let mut places = Vec::new();
        for (field, names) in fields {
            for transition in self.transitions(&field)? {
                // Not pruned to the variables that the dependency reads, which are not known before it is analysed. The
                // engine takes over the result of a configuration that agrees on them (`TargetRule::share_key`).
                let config: Config = self.target.config.update(&transition);
                for name in &names {
                    // In the order of fields, transitions and names, on which `reach_declared` relies.
                    keys.push(ConfiguredTarget { name: name.clone(), config: config.clone() });
                    places.push((field.clone(), transition.clone(), name.clone()));
                }
            }
        }
        // In parallel; by facets, so that a change of a part that the rule does not read does not invalidate this
        // target.
        let results = self.cx.facets::<TargetRule>(keys.clone()).await.into_iter().zip(&places);
        let results = results.map(|(result, (field, _, name))| {
            result.map_err(|failure| {
                // Nodes can form chains of any length with shared parts, so the frames of an error among them begin at
                // the named target that uses them.
                if self.scope.is_none() && !has_no_location(&failure) {
                    return failure;
                }
                settle(failure, |diagnostic| self.wanted(diagnostic, field, name))
            })
        });
        let results = all(results)?;
        for ((field, transition, name), target) in places.into_iter().zip(results) {
            self.reached.push(TransitionDep { field, transition, dep: Dep { name, target } });
        }
        Ok(keys)
    }

    /// A diagnostic about a target of a field, with the field added.
    fn wanted(&self, diagnostic: Diagnostic, field: &str, name: &EntityName) -> Diagnostic {
        let at = |path: JsonPath| self.rule.entry.value_location(path);
        if self.scope.is_none() && diagnostic.location.is_some() {
            return diagnostic;
        }
        if let Some(scope) =
            self.scope.filter(|_| self.rule.target_fields.iter().any(|known| **known == *field))
        {
            return scope.written.wanted(diagnostic, field, name);
        }
        let path = self.rule.entry.path();
        let anonymous = self.rule.anonymous.contains_key(field);
        let path = if anonymous { path.key("anonymous").key(field) } else { path.key("implicit").key(field) };
        let path = match name {
            EntityName::Anonymous(AnonymousTarget { node: Node::Abstract(node), .. }) => {
                path.key("rule_map").key(&*node.node_type)
            }
            _ => path,
        };
        let kind = if anonymous { "anonymous" } else { "implicit" };
        let frame = Frame::new(format!("in the {kind} field {}", quoted(&field)));
        let diagnostic = match diagnostic.location {
            None => diagnostic.at(at(path)).within(frame),
            Some(_) => diagnostic.within(frame.at(at(path))),
        };
        self.attributed(diagnostic)
    }

    async fn reach_declared(&mut self) -> Result<(), Fail> {
        let declared: Vec<_> =
            self.targets.iter().map(|(field, names)| (field.clone(), names.clone())).collect();
        let implicit: Vec<(Str, Vec<EntityName>)> = (self.rule.implicit.iter())
            .map(|(field, names)| (field.clone(), names.iter().cloned().map(EntityName::Named).collect()))
            .collect();
        self.targets.extend(implicit.iter().cloned());
        // `reach` returns the keys of all fields in one list: so many of them are of declared fields.
        let split: usize = {
            let mut count = 0;
            for (field, names) in &declared {
                count += self.transitions(field)?.len() * names.len();
            }
            count
        };
        let mut keys = self.reach(declared.into_iter().chain(implicit).collect()).await?;
        self.deps.implicit = keys.split_off(split);
        self.deps.declared = keys;
        Ok(())
    }

    async fn reach_anonymous(&mut self) -> Result<(), Fail> {
        let mut fields = Vec::new();
        for (field, anonymous) in &self.rule.anonymous {
            let mut names = Vec::new();
            for reached in self.reached.iter().filter(|reached| reached.field == anonymous.target) {
                let nodes = self.nodes_of(field, anonymous, &reached.dep)?;
                names.extend(nodes.into_iter().map(|node| {
                    EntityName::Anonymous(AnonymousTarget { rule_map: anonymous.rule_map.clone(), node })
                }));
            }
            // Also of fields without nodes: `FIELD` has an empty list for them.
            self.targets.insert(field.clone(), names.clone());
            fields.push((field.clone(), names));
        }
        if !fields.is_empty() {
            self.deps.anonymous = self.reach(fields).await?;
        }
        Ok(())
    }

    /// The nodes that a dependency provides for an anonymous field.
    fn nodes_of(&self, field: &Str, anonymous: &AnonymousField, dep: &Dep) -> Result<Vec<Node>, Fail> {
        let provided = dep.provided(&anonymous.provider);
        let provided = provided.ok_or_else(|| self.no_provider(field, anonymous, dep))?;
        let nodes =
            provided.as_list().and_then(|list| list.iter().map(|node| node.as_node().cloned()).collect());
        nodes.ok_or_else(|| self.no_nodes(field, anonymous, dep, provided))
    }

    /// The error for a provider that a dependency does not have.
    fn no_provider(&self, field: &Str, anonymous: &AnonymousField, dep: &Dep) -> Fail {
        let provides = &dep.result().provides;
        let provider = anonymous.provider.as_str();
        let known: Vec<&str> = provides.keys().map(|known| known.as_str()).collect();
        let meant = did_you_mean(provider, known.iter().copied());
        let mut diagnostic =
            Diagnostic::error(format!("Provider {provider} in {} does not exist", anonymous.target))
                .note(format!("the nodes of field {} are taken from there", quoted(&field)));
        let name = &dep.name;
        diagnostic = diagnostic.note(match known.as_slice() {
            [] => format!("{name} provides nothing"),
            _ => format!("{name} provides {}", enumeration(&known)),
        });
        let path = self.rule.entry.path().key("anonymous").key(field).key("provider");
        let location = self.rule.entry.value_location(path);
        fail(self.attributed(diagnostic.suggest(meant).at(location)))
    }

    /// The error for a provider that is not a list of nodes.
    fn no_nodes(&self, field: &Str, anonymous: &AnonymousField, dep: &Dep, found: &Value) -> Fail {
        let provider = anonymous.provider.as_str();
        let text = whole(found);
        let mut items = found.as_list().into_iter().flat_map(|list| list.iter());
        let wrong = items.find(|item| item.as_node().is_none()).cloned();
        let found = taut_expr::abbreviate(found, self.workspace.log_limit);
        let path = self.rule.entry.path().key("anonymous").key(field).key("provider");
        let reference = match &wrong {
            None => format!(
                "Provider {provider} in {} must be list of target nodes but found: {text}",
                anonymous.target
            ),
            Some(item) => format!(
                "Entry in provider {provider} in {} must be target node but found: {}",
                anonymous.target,
                whole(item)
            ),
        };
        let diagnostic = Diagnostic::error(format!(
            "Provider {provider} in {} has to be a list of nodes, but is {found}",
            anonymous.target
        ));
        let diagnostic = diagnostic.reference(reference);
        let diagnostic = diagnostic.note(format!("provided by {}", dep.name));
        let location = self.rule.entry.value_location(path);
        fail(self.attributed(diagnostic.at(location)))
    }

    fn check_taint(&self, tainted: &StrSet, entry: Option<&ModuleEntry>) -> Result<(), Fail> {
        let Some(reached) = self.reached.iter().find(|reached| !reached.dep.tainted().is_subset_of(tainted))
        else {
            return Ok(());
        };
        // An anonymous target has no definition: what is to be changed is its rule.
        let (own, dep) = (entry.unwrap_or(&self.rule.entry), &reached.dep);
        let diagnostic = crate::written::not_tainted(own, tainted, &dep.name, dep.tainted());
        Err(fail(if entry.is_some() { diagnostic } else { self.attributed(diagnostic) }))
    }

    /// The declared dependencies, for `outs` and `runfiles` in fields.
    fn transitioned(&self) -> Vec<(Map, Dep)> {
        self.reached.iter().map(|reached| (reached.transition.clone(), reached.dep.clone())).collect()
    }

    fn finish(self, own: StrSet, tainted: StrSet, warnings: Diagnostics) -> Result<AnalysedTarget, Fail> {
        #[allow(
            clippy::mutable_key_type,
            reason = "what is mutable is the memo of the id, which is the key's hash"
        )]
        let mut results: FxHashMap<(EntityName, Map), Rc<dyn Offer>> = FxHashMap::default();
        for TransitionDep { transition, dep, .. } in &self.reached {
            // By transition, not by configuration: two transitions of a field may lead to the same one, and the
            // expression asks by what it wrote.
            // `Rc`: expressions are evaluated in one go in one thread, without waiting for tasks.
            results.insert((dep.name.clone(), transition.clone()), Rc::new(dep.clone()));
        }
        let mut host = RuleHost {
            workspace: self.workspace,
            cx: self.cx,
            strings: &self.strings,
            targets: &self.targets,
            results,
            tainted: &self.rule.tainted,
            defined: DefinitionNames::default(),
        };
        let step = "While evaluating defining expression of rule:";
        // Those about keys: the values of variables are beside the error already.
        let is_of_key = |warning: &&Diagnostic| {
            matches!(&warning.location, Some(Location { place: LocationPart::Key(_), .. }))
        };
        let of_rule = || self.rule.warnings.iter().filter(is_of_key);
        let value = self.evaluate(&self.rule.expression, &mut host, step, || None);
        let value = value.map_err(|failure| beside(failure, of_rule()))?;
        let RuleHost { defined, .. } = host;
        let Value::Result(result) = value else {
            let message = format!(
                "Defining expression should evaluate to a RESULT, but got: {}",
                taut_expr::abbreviate(&value, self.workspace.log_limit)
            );
            let reference =
                format!("Defining expression should evaluate to a RESULT, but got: {}", whole(&value));
            let diagnostic = Diagnostic::error(message).reference(reference);
            let diagnostic = diagnostic.at(self.rule.entry.location(Some("expression")));
            let help = "wrap it: {\"type\": \"RESULT\", \"artifacts\": …}";
            let diagnostic = if value.as_map().is_some() { diagnostic.help(help) } else { diagnostic };
            return Err(beside(fail(self.attributed(diagnostic)), of_rule()));
        };
        // All that the expression may read: which of them it did read is not recorded.
        let rule_vars: StrSet = self.rule.config_vars.iter().cloned().collect();
        // Variables that a transition sets have the same values whatever this target's configuration is.
        let vars = (self.reached.iter()).fold(own.union(&rule_vars), |vars, reached| {
            vars.union(&reached.dep.vars().without(&reached.transition))
        });
        Ok(AnalysedTarget {
            result,
            defined,
            vars,
            tainted,
            dependencies: self.deps,
            warnings,
            is_defined: true,
            provides_null: false,
            export: None,
        })
    }
}
