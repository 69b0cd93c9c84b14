//! Evaluation of the fields of one target: environment, dependencies, definitions, warnings.

use std::rc::Rc;

use taut_engine::{Cx, Fail};
use taut_expr::{Context, Expr, Host, Imports, NoName, Offer};
use taut_syntax::{Diagnostic, Diagnostics, Frame, Note, named, quoted, with_and};
use taut_value::{EntityName, List, Map, NamedTarget, Str, TargetResult, Value, path::unusable};

use crate::{
    AnalysedTarget, Config, ConfiguredTarget, Dependencies, ModuleEntry, StrSet, TargetRule, Workspace,
    defined::DefinitionNames,
    dependency::Dep,
    foreign_names, misspelt,
    problem::{all, all_of_one, fail, settle},
    reference::RuleKind,
    source,
    strings::strings,
    vocabulary::COMMON,
    written::Written,
};

/// The state of the evaluation of one target.
pub(crate) struct Scope<'s> {
    pub(crate) workspace: &'s Workspace,
    pub(crate) cx: &'s Cx,
    pub(crate) target: &'s ConfiguredTarget,
    /// Its definition.
    pub(crate) written: Written<'s>,
    /// The variables that the target's own fields can read.
    pub(crate) env: Map,
    pub(crate) own_vars: StrSet,
    pub(crate) tainted: StrSet,
    pub(crate) defined: DefinitionNames,
    pub(crate) dependencies: Dependencies,
    pub(crate) warnings: Vec<Diagnostic>,
    /// The variables that the target's own fields may read.
    // As written, beside the set `own_vars`: suggestions are sought in this order.
    declared: Vec<Str>,
}

impl<'s> Scope<'s> {
    /// Begins with the steps that all targets have in common; warns about fields that are not in `known`.
    pub(crate) fn new(
        workspace: &'s Workspace,
        cx: &'s Cx,
        target: &'s ConfiguredTarget,
        named: &'s NamedTarget,
        entry: &'s ModuleEntry,
        kind: RuleKind,
    ) -> Result<Scope<'s>, Fail> {
        let mut scope = Scope {
            workspace,
            cx,
            target,
            written: Written::new(workspace, named, entry, kind.clone()),
            env: Map::default(),
            own_vars: StrSet::empty(),
            tainted: StrSet::empty(),
            defined: DefinitionNames::default(),
            dependencies: Dependencies::default(),
            warnings: entry.warnings().iter().cloned().collect(),
            declared: Vec::new(),
        };
        match &kind {
            RuleKind::Builtin(rule) => scope.warn_unknown(rule.all_fields()),
            RuleKind::User(rule) => {
                let fields = [&rule.target_fields, &rule.string_fields, &rule.config_fields];
                let fields = fields.into_iter().flatten().map(|field| field.as_str());
                // Not the implicit and anonymous fields: a target cannot set those.
                scope.warn_unknown(COMMON.iter().copied().chain(fields));
            }
        }
        Ok(scope)
    }

    /// The warnings, as far as the fields have been evaluated.
    pub(crate) fn all_warnings(&self) -> Diagnostics {
        self.warnings.iter().cloned().chain(self.written.misspelt()).collect()
    }

    fn warn_unknown<'k>(&mut self, known: impl Iterator<Item = &'k str> + Clone) {
        let unknown: Vec<&str> = self
            .written
            .entry
            .json()
            .entries()
            .map(|(field, _)| field)
            .filter(|field| !known.clone().any(|k| k == *field))
            .collect();
        let Some(first) = unknown.first() else { return };
        let list = Value::list(unknown.iter().map(|field| Value::string(*field))).to_json();
        let fields = with_and(&unknown.iter().map(|field| quoted(field).to_string()).collect::<Vec<_>>());
        let what = if unknown.len() == 1 { "the unknown field" } else { "the unknown fields" };
        let message = format!("target {} has {what} {fields}", self.target.name.to_json());
        let meant = |field| foreign_names::field(field, known.clone());
        let key = |field: &str| self.written.entry.key_location(self.written.entry.path().key(field));
        let (kind, name) = (&self.written.kind, self.target.name.to_json());
        let reference = format!("{} {name} has unexpected parameters {list}", kind.of_target());
        // One warning about all of them, as in the reference.
        let mut warning = Diagnostic::warning(message).reference(reference);
        if let RuleKind::Builtin(rule) = kind {
            let target = self.target.in_reference(self.workspace.log_limit);
            warning = warning.below(&format!("While evaluating {} target {target}:", rule.name()));
        }
        let mut warning = warning.at(key(first)).suggest(meant(first));
        if meant(first).is_none() {
            let fields: Vec<&str> = known.clone().filter(|field| !COMMON.contains(field)).collect();
            warning = warning.help(match fields.as_slice() {
                [] => "its rule has no fields".to_owned(),
                fields => format!("its rule has the {}", named("field", fields)),
            });
        }
        for field in &unknown[1..] {
            let hint =
                meant(field).map(|meant| format!("; did you mean {}?", quoted(&meant))).unwrap_or_default();
            warning = warning.note(Note::at(format!("also {}{hint}", quoted(&field)), key(field)));
        }
        self.warnings.push(warning);
    }

    /// Reads `arguments_config` and `tainted`.
    pub(crate) fn read_common(&mut self) -> Result<(), Fail> {
        // First: `tainted` is evaluated with these variables.
        self.read_variables()?;
        self.read_tainted()
    }

    /// Reads `arguments_config`.
    pub(crate) fn read_variables(&mut self) -> Result<(), Fail> {
        let vars = self.literal_strings("arguments_config")?;
        self.own_vars = vars.iter().cloned().collect();
        self.env = environment(&self.target.config, vars.iter());
        self.declared = vars;
        Ok(())
    }

    /// Reads `tainted`.
    pub(crate) fn read_tainted(&mut self) -> Result<(), Fail> {
        let tainted = self.field("tainted", || Value::List(List::default()))?;
        let words = tainted.as_list().and_then(|list| strings(list));
        self.tainted =
            words.ok_or_else(|| self.written.not_strings("tainted", &tainted))?.into_iter().collect();
        Ok(())
    }

    /// A field that is not evaluated but is literally a list of strings.
    pub(crate) fn literal_strings(&self, field: &str) -> Result<Vec<Str>, Fail> {
        let Some(json) = self.written.json(field) else { return Ok(Vec::new()) };
        let value = taut_expr::json_to_value(json);
        value.as_list().and_then(|list| strings(list)).ok_or_else(|| self.written.not_strings(field, &value))
    }

    /// The value of a field, evaluated with the pure constructs only.
    pub(crate) fn field(&self, field: &str, default: impl FnOnce() -> Value) -> Result<Value, Fail> {
        self.field_in(field, default, &mut FieldHost { scope: self, deps: None })
    }

    /// The value of a field that may use `outs` and `runfiles` of dependencies.
    pub(crate) fn field_with(
        &self,
        field: &str,
        default: impl FnOnce() -> Value,
        deps: &[Dep],
    ) -> Result<Value, Fail> {
        let deps = untransitioned(deps);
        self.field_in(field, default, &mut FieldHost { scope: self, deps: Some(&deps) })
    }

    /// The value of a field that may use `outs` and `runfiles` of dependencies in their transitions.
    pub(crate) fn field_asking(
        &self,
        field: &str,
        default: impl FnOnce() -> Value,
        deps: &[(Map, Dep)],
    ) -> Result<Value, Fail> {
        self.field_in(field, default, &mut FieldHost { scope: self, deps: Some(deps) })
    }

    fn field_in(
        &self,
        field: &str,
        default: impl FnOnce() -> Value,
        host: &mut dyn Host,
    ) -> Result<Value, Fail> {
        let Some(json) = self.written.json(field) else { return Ok(default()) };
        // Most fields are literals: these need no compilation.
        // A list or map without any construct that could be evaluated.
        if let Some(value) = taut_expr::literal_value(json) {
            return Ok(value);
        }
        // Compiled for one evaluation: a field is evaluated once, and the target is kept, not its expressions.
        let expr = Expr::compile_at(json, self.written.entry.path().key(field));
        if !expr.is_constant() {
            self.written.add_misspelt(misspelt::warnings(&expr, &self.declared));
        }
        taut_expr::evaluate(&expr, &self.env, &Imports::new(), host).map_err(|error| {
            let diagnostic = error.into_diagnostic().below(&self.written.kind.evaluating(field));
            fail(diagnostic.within(Frame::new(format!("in field {}", quoted(&field)))))
        })
    }

    /// A field that is a list of strings; given dependencies, it may use their `outs` and `runfiles`.
    pub(crate) fn strings(&self, field: &str, deps: Option<&[Dep]>) -> Result<Vec<Str>, Fail> {
        let deps = deps.map(untransitioned);
        let host = &mut FieldHost { scope: self, deps: deps.as_deref() };
        let value = self.field_in(field, || Value::List(List::default()), host)?;
        value.as_list().and_then(|list| strings(list)).ok_or_else(|| self.written.not_strings(field, &value))
    }

    /// Checks that the value of a field is a string.
    pub(crate) fn string(&self, field: &str, value: Value) -> Result<Str, Fail> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(self.written.wrong_type(field, "a string", &other)),
        }
    }

    /// Checks a path that a field gives for something in the target. The reference notices a mistake later, with other
    /// messages, or not at all.
    pub(crate) fn check_path(&self, field: &str, path: &Str, is_file: bool) -> Result<(), Fail> {
        let is_extended = self.workspace.repositories.dialect.is_extended();
        let Some(why) = unusable(path, is_file).filter(|_| is_extended) else { return Ok(()) };
        let value = Value::String(path.clone());
        let verb = if field == "name" { "is" } else { "contains" };
        let message = format!("{} {verb} {}, which {why}", quoted(&field), value.to_json());
        Err(fail(self.written.problem_with(field, &value, message)))
    }

    /// The names in a field that is a list of target names.
    pub(crate) fn names(&mut self, field: &str) -> Result<Vec<NamedTarget>, Fail> {
        let value = self.field(field, || Value::List(List::default()))?;
        let Some(list) = value.as_list() else {
            return Err(self.written.not_a_list(field, &value, "target names", |_| false));
        };
        let names = all_of_one(list.iter().map(|name| self.name(field, name)))?;
        for (name, written) in names.iter().zip(list.iter()) {
            let warning = source::beyond_directory(name);
            self.warnings.extend(warning.map(|warning| warning.at(self.written.location_of(field, written))));
        }
        Ok(names)
    }

    /// A name in a field.
    pub(crate) fn name(&self, field: &str, name: &Value) -> Result<NamedTarget, Fail> {
        self.name_in(field, name, || self.written.kind.parsing(field, name))
    }

    /// A name in a field, with the step of reading it in the reference's words.
    pub(crate) fn name_in(
        &self,
        field: &str,
        name: &Value,
        step: impl FnOnce() -> String,
    ) -> Result<NamedTarget, Fail> {
        crate::parse_name(name, self.workspace.names(self.written.named)).map_err(|why| {
            let mut diagnostic = why.into_diagnostic(name).below(&step());
            diagnostic.location = Some(self.written.location_of(field, name));
            fail(diagnostic)
        })
    }

    /// Analyses dependencies in this target's configuration, in parallel.
    pub(crate) async fn deps(&mut self, field: &str, names: Vec<NamedTarget>) -> Result<Vec<Dep>, Fail> {
        let config = self.target.config.clone();
        let keys: Vec<ConfiguredTarget> = names
            .into_iter()
            .map(|name| ConfiguredTarget { name: EntityName::Named(name), config: config.clone() })
            .collect();
        self.dependencies.declared.extend(keys.iter().cloned());
        self.analyse(field, keys).await
    }

    /// Analyses configured targets, in parallel.
    pub(crate) async fn analyse(&self, field: &str, keys: Vec<ConfiguredTarget>) -> Result<Vec<Dep>, Fail> {
        let names: Vec<EntityName> = keys.iter().map(|key| key.name.clone()).collect();
        // By facets: a change of what the rule does not read of a dependency does not invalidate this target.
        let results = self.cx.facets::<TargetRule>(keys).await;
        let results = results.into_iter().zip(&names).map(|(result, name)| {
            // An error without location, such as a source file that does not exist, is located where it is named.
            result
                .map_err(|failure| settle(failure, |diagnostic| self.written.wanted(diagnostic, field, name)))
        });
        let results = all(results)?;
        Ok(results.into_iter().zip(names).map(|(target, name)| Dep { name, target }).collect())
    }

    /// Finishes a target whose dependencies were all analysed in its own configuration.
    pub(crate) fn finish(self, result: TargetResult, deps: &[Dep]) -> Result<AnalysedTarget, Fail> {
        // All variables of the dependencies, since they were asked for in this target's configuration.
        let vars = deps.iter().fold(self.own_vars.clone(), |vars, dep| vars.union(dep.vars()));
        self.finish_with(result, vars, deps.iter())
    }

    /// Finishes a target that depends on the given variables.
    pub(crate) fn finish_with<'d>(
        self,
        result: TargetResult,
        vars: StrSet,
        deps: impl Iterator<Item = &'d Dep>,
    ) -> Result<AnalysedTarget, Fail> {
        for dep in deps {
            if !dep.tainted().is_subset_of(&self.tainted) {
                return Err(fail(crate::written::not_tainted(
                    self.written.entry,
                    &self.tainted,
                    &dep.name,
                    dep.tainted(),
                )));
            }
        }
        Ok(self.finish_unchecked(result, vars))
    }

    pub(crate) fn finish_unchecked(self, result: TargetResult, vars: StrSet) -> AnalysedTarget {
        let warnings = self.all_warnings();
        AnalysedTarget {
            result,
            defined: self.defined,
            vars,
            tainted: self.tainted,
            dependencies: self.dependencies,
            warnings,
            is_defined: true,
            provides_null: false,
            export: None,
        }
    }
}

/// The values of the given variables in a configuration.
pub(crate) fn environment<'v>(config: &Config, vars: impl Iterator<Item = &'v Str>) -> Map {
    // With null for those that are not set: a variable that is declared can always be read.
    let get = |var: &Str| (var.clone(), config.map().get(var).cloned().unwrap_or_default());
    vars.map(get).collect()
}

/// Dependencies in the configuration of the target itself.
fn untransitioned(deps: &[Dep]) -> Vec<(Map, Dep)> {
    deps.iter().map(|dep| (Map::default(), dep.clone())).collect()
}

/// The host of expressions in fields.
struct FieldHost<'h, 's> {
    scope: &'h Scope<'s>,
    /// The dependencies that can be asked for, each in a transition.
    deps: Option<&'h [(Map, Dep)]>,
}

impl Host for FieldHost<'_, '_> {
    fn context(&self) -> Context {
        if self.deps.is_some() { Context::Field } else { Context::Pure }
    }

    fn log_limit(&self) -> usize {
        self.scope.workspace.log_limit
    }

    fn reference(&mut self, reference: &Value, transition: &Map) -> Result<Option<Rc<dyn Offer>>, NoName> {
        let name =
            crate::parse_name(reference, self.scope.workspace.names(self.scope.written.named)).map_err(
                |error| NoName { message: error.to_string(), reference: error.in_reference(reference) },
            )?;
        let mut deps = self.deps.unwrap_or_default().iter();
        // By the name that it means, so any spelling of a dependency finds it.
        let found = deps.find(|(in_it, dep)| in_it == transition && dep.name.as_named() == Some(&name));
        Ok(found.map(|(_, dep)| Rc::new(dep.clone()) as Rc<dyn Offer>))
    }
}
