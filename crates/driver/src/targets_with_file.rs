//! Which targets name a source file in their definitions, for messages: read as they are now, without analysis.

use taut_analysis::{NameContext, module_file, notices_entry, parse_json_name};
use taut_repos::RepoConfig;
use taut_syntax::json::{Document, Kind, Node};
use taut_value::{NamedTarget, ReferenceType, Str};

/// The targets of the nearest module above a source file that name it, each with the field in which they do; the path
/// is from the root of the repository.
pub fn targets_with_file(
    repositories: &RepoConfig,
    repository: &Str,
    path: &str,
) -> Vec<(NamedTarget, String)> {
    let Some(own) = repositories.repositories.get(repository) else { return Vec::new() };
    let mut module = path;
    while !module.is_empty() {
        module = module.rsplit_once('/').map_or("", |(above, _)| above);
        let file = module_file(&own.target_root, module, &own.target_file_name);
        // The nearest module decides: what lies in it belongs to no module above.
        let Ok(Some(text)) = file.read(&repositories.roots) else { continue };
        let Ok(document) = Document::parse_as(repositories.dialect, "", text) else { return Vec::new() };
        let name = path[module.len()..].trim_start_matches('/');
        let context = NameContext { repositories, repository, module };
        let root = document.root();
        let targets = root.entries().filter_map(|(target, definition)| {
            let mut fields = definition.entries().filter(|(field, _)| *field != "type");
            let (field, _) = fields.find(|(_, value)| names(*value, name, context))?;
            Some((NamedTarget::new(repository.clone(), module, target), field.to_owned()))
        });
        return if root.kind() == Kind::Object { targets.collect() } else { Vec::new() };
    }
    Vec::new()
}

/// Whether a file of the module is named somewhere in a value.
fn names(value: Node<'_>, file: &str, context: NameContext<'_>) -> bool {
    // It only improves a message.
    const MAX_VISITED_NODES: usize = 10_000;
    let mut pending = vec![value];
    for _ in 0..MAX_VISITED_NODES {
        let Some(node) = pending.pop() else { return false };
        match node.kind() {
            Kind::String if node.as_str() == Some(file) => return true,
            Kind::List => {
                let is_reference = node.len() == 3 && node.items().all(|item| item.kind() != Kind::Object);
                let named = is_reference.then(|| parse_json_name(node, context).ok()).flatten();
                let has = |named: &NamedTarget| match named.reference {
                    ReferenceType::Target => false,
                    ReferenceType::Glob => !file.contains('/') && notices_entry(named, file, true),
                    ReferenceType::Tree => {
                        file.strip_prefix(named.name.as_str()).is_some_and(|below| below.starts_with('/'))
                    }
                    _ => named.name.as_str() == file,
                };
                if named.as_ref().is_some_and(has) {
                    return true;
                }
                pending.extend(node.items());
            }
            Kind::Object => pending.extend(node.entries().map(|(_, value)| value)),
            _ => {}
        }
    }
    false
}
