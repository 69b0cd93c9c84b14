//! The built-in rules.

mod export;
mod files;
mod generic;
mod install;
mod trees;

use taut_engine::{Cx, Fail};
use taut_value::NamedTarget;

use crate::{
    AnalysedTarget, ConfiguredTarget, ModuleEntry, Workspace,
    problem::{after_warnings, below, beside},
    reference::RuleKind,
    scope::Scope,
    vocabulary::Builtin,
};

pub(crate) async fn evaluate(
    workspace: &Workspace,
    cx: &Cx,
    target: &ConfiguredTarget,
    named: &NamedTarget,
    entry: &ModuleEntry,
    rule: Builtin,
) -> Result<AnalysedTarget, Fail> {
    let step = || {
        let target = target.in_reference(workspace.log_limit);
        format!("While evaluating {} target {target}:", rule.name())
    };
    let scope = Scope::new(workspace, cx, target, named, entry, RuleKind::Builtin(rule))?;
    // Kept here, since the scope is consumed, and a failure has to show them all the same.
    let warnings = scope.warnings.clone();
    let analysed = by_rule(scope, rule).await;
    let failed = |failure| after_warnings(below(beside(failure, &warnings), step), &warnings);
    analysed.map_err(failed)
}

async fn by_rule(mut scope: Scope<'_>, rule: Builtin) -> Result<AnalysedTarget, Fail> {
    // It has no common fields: all that it has is literal, so its key for the cache is known before anything is
    // evaluated.
    if rule == Builtin::Export {
        return export::export(scope).await;
    }
    scope.read_common()?;
    match rule {
        Builtin::Export => unreachable!("handled above"),
        Builtin::Install => install::install(scope).await,
        Builtin::Generic => generic::generic(scope).await,
        Builtin::FileGen => files::file_gen(scope).await,
        Builtin::Symlink => files::symlink(scope).await,
        Builtin::Tree => trees::tree(scope).await,
        Builtin::TreeOverlay => trees::overlay(scope, false).await,
        Builtin::DisjointTreeOverlay => trees::overlay(scope, true).await,
        Builtin::Configure => export::configure(scope).await,
    }
}
