//! Names to modules, targets, configured targets, action graph.
//!
//! Every step is a task of the engine: modules ([`ModuleRule`]) with each entry as a part, rules and expressions
//! ([`rules`]), configured targets ([`TargetRule`]). An error in a description is a value ([`Problem`]) like any other.
//! No code here runs an action, reads a file other than through the leaves of `repos`, or prints.

mod analysed;
mod builtin;
mod cached_target;
mod config;
mod cycle;
mod defined;
mod dependency;
mod evaluate;
mod export;
mod facets;
mod finding;
mod fnmatch;
mod foreign_names;
mod hosts;
mod log_limit;
mod manual;
mod missing;
mod misspelt;
mod module;
mod name;
mod problem;
mod reference;
mod repository_key;
mod respelled;
pub mod rules;
mod scope;
mod source;
mod strings;
mod target;
mod target_cache;
mod undefined_name;
mod user;
pub mod vocabulary;
mod whole_value;
mod workspace;
mod written;

pub use analysed::{AnalysedTarget, Dependencies};
pub use cached_target::{CachedTarget, artifacts_of, entry_references, entry_text, read_entry};
pub use config::{Config, StrSet};
pub use cycle::CycleReport;
pub use defined::DefinitionNames;
pub use evaluate::no_rule_name;
pub use export::Export;
pub use finding::{Finding, located, relative};
pub use foreign_names::RULES_IN_THE_BOX;
pub use log_limit::{LogLimit, LogLimitRule};
pub use manual::{Manual, manual};
pub use missing::{
    DefinitionKind, NO_MODULE, NO_TARGETS_FILE, UNKNOWN_RULE, definition, definition_file, missing_module,
    named_at, no_workspace_root,
};
pub use module::{EntryPart, Module, ModuleEntry, ModuleKey, ModuleRule, NamesRule};
pub use name::{NameContext, NameError, NameProblem, parse_json_name, parse_name};
pub use problem::{Problem, below};
pub use repository_key::{RepositoryKeyRule, RepositoryName};
pub use source::{DEFINES, NO_SOURCE, OUTSIDE, WITHOUT_SPECIAL, notices_entry};
pub use target::{ConfiguredTarget, TargetRule};
pub use target_cache::{
    CacheEntry, CacheEntryRule, CacheKey, NoTargetCache, TargetCache, key_text, repository_of_key,
};
pub use undefined_name::{IS_MODULE, target_meant};
pub use whole_value::whole_as_read;
pub use workspace::{Workspace, module_file};

/// Drops the values of analysis from memory, when it is over: execution needs none of them. What a message needs
/// nevertheless is decoded, or computed again.
pub fn release(build: &taut_engine::Build) {
    // Hashes and traces stay: only values are dropped, and each can be decoded or computed again.
    build.release_values::<TargetRule>();
    build.release_values::<CacheEntryRule>();
    build.release_values::<ModuleRule>();
    build.release_part_values::<EntryPart>();
    build.release_values::<NamesRule>();
    build.release_values::<rules::ExpressionRule>();
    build.release_values::<rules::RuleRule>();
    build.release_values::<taut_repos::DirRule>();
    build.release_values::<taut_repos::FileRule>();
}

/// Adds the rules of this crate to an engine. Results of export targets are looked up in `cache`.
pub fn register(
    builder: taut_engine::Builder,
    workspace: &std::sync::Arc<Workspace>,
    cache: std::sync::Arc<dyn TargetCache>,
) -> taut_engine::Builder {
    let roots = &workspace.repositories.roots;
    taut_graph::register(builder)
        .rule(taut_repos::DirRule(roots.clone()))
        .rule(taut_repos::FileRule(roots.clone()))
        .rule(ModuleRule(workspace.clone()))
        .part::<EntryPart>()
        .rule(NamesRule)
        .interned::<Finding>()
        .rule(LogLimitRule(workspace.log_limit))
        .rule(RepositoryKeyRule::new(workspace.clone()))
        .rule(CacheEntryRule(cache))
        .rule(rules::RuleRule(workspace.clone()))
        .rule(rules::ExpressionRule(workspace.clone()))
        .rule(TargetRule(workspace.clone()))
}
