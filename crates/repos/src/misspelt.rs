//! Keys of a configuration that look misspelt. Other unknown keys are notes of people; the reference passes over both.

use taut_syntax::{Diagnostic, Diagnostics, Location, Node, did_you_mean, quoted};

/// The keys of a configuration.
const CONFIGURATION_KEYS: &[&str] = &["main", "repositories"];

/// The keys of a repository. The last one is that of a description, which is known by it: if it is misspelt, the file
/// is taken for a configuration.
const ENTRY: &[&str] = &[
    "workspace_root",
    "target_root",
    "rule_root",
    "expression_root",
    "target_file_name",
    "rule_file_name",
    "expression_file_name",
    "bindings",
    "repository",
];

/// Warnings about such keys.
pub(crate) fn warnings(root: Node<'_>) -> Diagnostics {
    let entries = root.get("repositories").into_iter().flat_map(|all| all.entries());
    let of_entries = entries.flat_map(|(name, entry)| {
        let of = format!("repository {}", quoted(name));
        keys(entry, ENTRY, &of)
    });
    keys(root, CONFIGURATION_KEYS, "the repository configuration").into_iter().chain(of_entries).collect()
}

/// The place of a key that was probably meant to be another one.
pub(crate) fn instead_of(meant: &str, object: Node<'_>) -> Option<Location> {
    let mut entries = object.entries();
    let (_, value) = entries.find(|(key, _)| did_you_mean(key, [meant]).is_some())?;
    Some(key_of(value))
}

fn keys(object: Node<'_>, known: &[&str], of: &str) -> Vec<Diagnostic> {
    let warning = |(key, value): (&str, Node<'_>)| {
        let meant = did_you_mean(key, known.iter().copied()).filter(|_| !known.contains(&key))?;
        let warning = Diagnostic::warning(format!("unknown key {} in {of}", quoted(key))).reference("");
        Some(warning.at(key_of(value)).suggest(Some(meant)))
    };
    object.entries().filter_map(warning).collect()
}

fn key_of(value: Node<'_>) -> Location {
    Location::key(value.document().label().clone(), value.path())
}
