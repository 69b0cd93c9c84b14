//! Where a target is defined, for messages about it: the file, and the line of its name, or of its rule's name, there.
//!
//! Events know targets, not places: a place is looked up in the file as it is now, when a message needs it, since that
//! is rare.

use std::path::PathBuf;

use taut_repos::RepoConfig;
use taut_syntax::json::{Document, line_and_column};
use taut_value::{AnonymousTarget, EntityName, NamedTarget, Node, ReferenceType, Value};

/// The place of a name in the file that defines it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DefinedAt {
    /// The file.
    pub file: PathBuf,
    /// The line, from 1.
    pub line: u32,
}

/// Where a target is defined: a named one in its target file, an anonymous one by the rule for its node.
/// `None` if that is not known, or the file no longer defines it.
pub fn defined_at(repositories: &RepoConfig, target: &EntityName) -> Option<DefinedAt> {
    let name = match target {
        EntityName::Named(target) if target.reference == ReferenceType::Target => target,
        EntityName::Named(_) => return None,
        EntityName::Anonymous(anonymous) => rule_of(anonymous)?,
    };
    let repository = repositories.repositories.get(&name.repository)?;
    let (root, file_name) = match target {
        EntityName::Named(_) => (&repository.target_root, &repository.target_file_name),
        EntityName::Anonymous(_) => (&repository.rule_root, &repository.rule_file_name),
    };
    let place = taut_analysis::module_file(root, &name.module, file_name);
    // Any error only leaves the place out of a message.
    let content = place.read(&repositories.roots).ok()??;
    let document = Document::parse_as(repositories.dialect, "", content).ok()?;
    let span = document.root().key_span(&name.name)?;
    let (line, _) = line_and_column(document.text(), span.start as usize);
    Some(DefinedAt { file: place.full(&repositories.roots), line })
}

/// The rule of an anonymous target.
fn rule_of(anonymous: &AnonymousTarget) -> Option<&NamedTarget> {
    let Node::Abstract(node) = &anonymous.node else { return None };
    match anonymous.rule_map.get(&node.node_type) {
        Some(Value::Name(EntityName::Named(rule))) => Some(rule),
        _ => None,
    }
}
