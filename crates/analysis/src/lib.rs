//! Names to modules, targets, configured targets, action graph.
//!
//! Every step is a task of the engine: modules ([`ModuleRule`]) with each entry as a part, rules and
//! expressions ([`rules`]), configured targets ([`TargetRule`]). What is wrong with a description is a
//! value ([`Problem`]) like any other. Nothing here runs an action, reads a file other than through the
//! leaves of `repos`, or prints.

mod analysed;
mod builtin;
mod config;
mod cycle;
mod facets;
mod fnmatch;
mod hosts;
mod module;
mod name;
mod problem;
pub mod rules;
mod scope;
mod source;
mod target;
mod user;
mod wrong;

pub use analysed::{AnalysedTarget, Definitions, Dependencies};
pub use config::{Config, StrSet};
pub use cycle::CycleReport;
pub use module::{EntryPart, Module, ModuleEntry, ModuleKey, ModuleRule};
pub use name::{NameContext, NameError, parse_json_name, parse_name};
pub use problem::Problem;
pub use source::notices_entry;
pub use target::{ConfiguredTarget, TargetRule, Workspace, module_file};

/// The words of description files that mean something, for tests of what else names them.
pub mod vocabulary {
    /// The built-in rules, each with all fields that its targets can have, `type` apart.
    pub fn builtin_rules() -> Vec<(&'static str, Vec<&'static str>)> {
        crate::builtin::vocabulary()
    }

    /// The keys of rules.
    pub const RULE: &[&str] = &crate::rules::KEYS;

    /// The keys of functions in expressions files.
    pub const FUNCTION: &[&str] = &["doc", "expression", "imports", "vars", "vars_doc"];
}

/// Adds the rules of this crate to an engine.
pub fn register(
    builder: taut_engine::Builder,
    workspace: &std::sync::Arc<Workspace>,
) -> taut_engine::Builder {
    let roots = &workspace.repositories.roots;
    builder
        .rule(taut_repos::DirRule(roots.clone()))
        .rule(taut_repos::FileRule(roots.clone()))
        .rule(ModuleRule(roots.clone()))
        .part::<EntryPart>()
        .rule(rules::RuleRule(workspace.clone()))
        .rule(rules::ExpressionRule(workspace.clone()))
        .rule(TargetRule(workspace.clone()))
}
