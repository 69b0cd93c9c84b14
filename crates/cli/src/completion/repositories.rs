//! Names of repositories, of the description in the workspace.

use std::{collections::BTreeMap, path::Path};

use taut_driver::find_workspace_root;
use taut_syntax::json::{Dialect, Document, Kind, Node};
use taut_sys::Named;

use super::Candidate;

/// The repositories of the description that the options of a call in a directory name, or of that in its workspace. What
/// rc files say is not read.
pub(super) fn candidates(cwd: &Path, values: &BTreeMap<&str, String>) -> Vec<Candidate> {
    let root = match values.get("workspace_root") {
        Some(root) => Some(cwd.join(root)),
        None => find_workspace_root(cwd).ok(),
    };
    let usual = ["repos.json", "etc/repos.json"].into_iter();
    let places = match values.get("repository_config") {
        Some(path) => vec![cwd.join(path)],
        None => root.iter().flat_map(|root| usual.clone().map(|path| root.join(path))).collect(),
    };
    let content = places.iter().find_map(|path| Named::read(path).ok());
    let document = content.and_then(|content| Document::parse_as(Dialect::Extended, "", content).ok());
    let repositories = document.as_ref().and_then(|document| document.root().get("repositories"));
    let repositories = repositories.filter(|repositories| repositories.kind() == Kind::Object);
    repositories.iter().flat_map(|repositories| repositories.entries()).map(named).collect()
}

fn named((name, entry): (&str, Node<'_>)) -> Candidate {
    // What it is made from: `git`, `archive`; a repository of another name has no type.
    let made_from = entry.get("repository").and_then(|from| from.get("type")).and_then(Node::as_str);
    Candidate::new(name, made_from.unwrap_or_default())
}
