//! The built-in rules.

mod export;
mod files;
mod generic;
mod install;
mod trees;

use taut_engine::{Cx, Fail};
use taut_value::NamedTarget;

use crate::{
    AnalysedTarget, ConfiguredTarget, ModuleEntry, Workspace, problem::beside, scope::Scope,
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
    let scope = Scope::new(workspace, cx, target, named, entry, rule.all_fields())?;
    let warnings = scope.warnings.clone();
    by_rule(scope, rule).await.map_err(|failure| beside(failure, &warnings))
}

async fn by_rule(mut scope: Scope<'_>, rule: Builtin) -> Result<AnalysedTarget, Fail> {
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
