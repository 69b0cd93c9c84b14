//! The built-in rules.

mod export;
mod files;
mod generic;
mod install;
mod trees;

use taut_engine::{Cx, Fail};
use taut_expr::Offer;
use taut_value::{Map, NamedTarget, TargetResult};

use crate::{
    AnalysedTarget, ConfiguredTarget, ModuleEntry, Workspace,
    problem::beside,
    scope::{COMMON, Dep, Scope},
};

/// A rule that needs no rules file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Builtin {
    Export,
    Install,
    Generic,
    FileGen,
    Symlink,
    Tree,
    TreeOverlay,
    DisjointTreeOverlay,
    Configure,
}

impl Builtin {
    pub(crate) const NAMES: [(&str, Builtin); 9] = [
        ("export", Builtin::Export),
        ("install", Builtin::Install),
        ("generic", Builtin::Generic),
        ("file_gen", Builtin::FileGen),
        ("symlink", Builtin::Symlink),
        ("tree", Builtin::Tree),
        ("tree_overlay", Builtin::TreeOverlay),
        ("disjoint_tree_overlay", Builtin::DisjointTreeOverlay),
        ("configure", Builtin::Configure),
    ];

    pub(crate) fn from_name(name: &str) -> Option<Builtin> {
        Builtin::NAMES.iter().find(|(known, _)| *known == name).map(|(_, rule)| *rule)
    }

    /// The fields that most targets have.
    fn common(self) -> &'static [&'static str] {
        if self == Builtin::Export { &COMMON[..1] } else { &COMMON }
    }

    /// The fields beside those that all targets have.
    fn fields(self) -> &'static [&'static str] {
        match self {
            Builtin::Export => &["target", "flexible_config", "fixed_config", "doc", "config_doc"],
            Builtin::Install => &["deps", "files", "dirs"],
            Builtin::Generic => &[
                "cmds",
                "outs",
                "out_dirs",
                "cwd",
                "env",
                "sh -c",
                "deps",
                "timeout scaling",
                "execution properties",
            ],
            Builtin::FileGen | Builtin::Symlink => &["name", "data", "deps"],
            Builtin::Tree | Builtin::TreeOverlay | Builtin::DisjointTreeOverlay => &["deps", "name"],
            Builtin::Configure => &["target", "config", "doc"],
        }
    }
}

/// The rules, with their fields, `type` apart.
pub(crate) fn vocabulary() -> Vec<(&'static str, Vec<&'static str>)> {
    let fields = |rule: Builtin| [&rule.common()[1..], rule.fields()].concat();
    Builtin::NAMES.iter().map(|(name, rule)| (*name, fields(*rule))).collect()
}

pub(crate) async fn evaluate(
    workspace: &Workspace,
    cx: &Cx,
    target: &ConfiguredTarget,
    named: &NamedTarget,
    entry: &ModuleEntry,
    rule: Builtin,
) -> Result<AnalysedTarget, Fail> {
    let known = rule.common().iter().chain(rule.fields()).copied();
    let scope = Scope::new(workspace, cx, target, named, entry, known)?;
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

/// A result whose artifacts are its runfiles, too.
fn both(stage: Map) -> TargetResult {
    TargetResult::new(stage.clone(), stage, Map::default())
}

/// The artifacts of a dependency over its runfiles.
fn artifacts_over_runfiles(dep: &Dep) -> Map {
    dep.runfiles().union(dep.artifacts())
}
