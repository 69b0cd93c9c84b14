//! The definition of a computed root in terms of requests, and as messages show it.

use taut_repos::{ComputedRoot, RootContent};
use taut_syntax::Document;
use taut_value::{EntityName, Map, NamedTarget, Value, configured_as_typed, configured_with_json, quoted};

use crate::configured_text::configured_text;

/// The configuration in the definition of a root.
pub(crate) fn configuration_of(text: &str) -> Map {
    let document = Document::parse("", text).ok();
    match document.map(|document| taut_expr::json_to_value(document.root())) {
        Some(Value::Map(map)) => map,
        _ => Map::default(),
    }
}

/// A root in messages under the name `taut`.
pub fn shown(root: &ComputedRoot) -> String {
    shown_by(root, configured_as_typed)
}

/// A root in the event log, where programs read its configuration.
pub fn logged(root: &ComputedRoot) -> String {
    shown_by(root, configured_with_json)
}

fn shown_by(root: &ComputedRoot, configured: fn(&EntityName, &Map) -> String) -> String {
    match &root.taken {
        RootContent::Structure => format!("the tree structure of repository {}", quoted(&root.repository)),
        RootContent::Artifacts { module, target, configuration } => {
            let name = NamedTarget::new(root.repository.clone(), module.clone(), target.clone());
            let text = configured(&EntityName::Named(name), &configuration_of(configuration));
            // Without a name and a configuration it ends in its colon, which then would look like one of the sentence.
            if text.ends_with(':') { format!("the target {}", quoted(&text)) } else { text }
        }
    }
}

/// The target of a root in its configuration, as the reference's messages name it; the text of a tree structure.
pub fn as_configured(root: &ComputedRoot) -> String {
    match &root.taken {
        RootContent::Structure => root.to_string(),
        RootContent::Artifacts { module, target, configuration } => {
            let named = NamedTarget::new(root.repository.clone(), module.clone(), target.clone());
            configured_text(&named, &configuration_of(configuration))
        }
    }
}
