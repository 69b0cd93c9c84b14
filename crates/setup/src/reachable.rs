//! Which repositories a set-up is about: those that the main one reaches.

use std::collections::{BTreeSet, VecDeque};

use taut_syntax::{Diagnostic, Kind, Location, Node, did_you_mean, quoted};

use crate::{
    description::{Description, LAYERS, TAKEN_OVER},
    problem::{Problem, place},
};

/// The repositories of a set-up.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct ReachedRepositories {
    /// The repositories whose roots are needed: those of the configuration, and those that are only layers of these.
    pub set_up: BTreeSet<String>,
    /// The repositories of the configuration.
    pub included: BTreeSet<String>,
}

/// A finding about a description that keeps nothing from being set up.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Remark {
    /// What it is.
    pub finding: Diagnostic,
    /// Whether it is of interest only for the analysis of a problem: the key of a comment that is not understood.
    pub is_detail: bool,
}

impl Remark {
    /// A value that has no effect since it has another form.
    pub(crate) fn ignored(node: Node<'_>, message: String) -> Remark {
        // The reference reports it only when the entry is used, or not at all; so nothing is reported under its name.
        let finding = Diagnostic::warning(message).reference("").at(place(node));
        Remark { finding: finding.help("it is ignored"), is_detail: false }
    }
}

impl ReachedRepositories {
    /// All repositories of a description.
    ///
    /// # Errors
    /// It has none.
    pub fn all(description: &Description) -> Result<ReachedRepositories, Problem> {
        let names: BTreeSet<String> = description.names()?.into_iter().map(str::to_owned).collect();
        Ok(ReachedRepositories { set_up: names.clone(), included: names })
    }

    /// The repositories that a main one reaches: by bindings, as the repository of a computed root or a tree
    /// structure, and as layers, whose own bindings do not count.
    ///
    /// # Errors
    /// The description has no repositories.
    pub fn from(
        description: &Description,
        main: &str,
    ) -> Result<(ReachedRepositories, Vec<Remark>), Problem> {
        ReachedRepositories::from_several(description, main, &[])
    }

    /// The same with others that are set up in the same call.
    ///
    /// # Errors
    /// The description has no repositories.
    pub(crate) fn from_several(
        description: &Description,
        main: &str,
        others: &[String],
    ) -> Result<(ReachedRepositories, Vec<Remark>), Problem> {
        let all = description.repositories()?;
        let mut reached = ReachedRepositories::default();
        let mut remarks = Vec::new();
        let is_absent = |entry: Option<Node<'_>>| description.is_written_absent(main, entry);
        // An absent root is needed by its id only, which a changing directory does not have.
        let is_main_absent = is_absent(all.get(main));
        // Breadth first: what is nearest to the main repository is reported first.
        let mut queue: VecDeque<String> =
            std::iter::once(main.to_owned()).chain(others.iter().cloned()).collect();
        while let Some(name) = queue.pop_front() {
            if !reached.included.insert(name.clone()) {
                continue;
            }
            reached.set_up.insert(name.clone());
            // A repository that is not described is reported with its place when it is set up (`at_reference`).
            let Some(entry) = all.get(&name).filter(|entry| !entry.is_null()) else { continue };
            remarks.extend(unknown_keys(&name, entry));
            if is_main_absent && is_changing(entry) {
                let (name, main) = (quoted(&name), quoted(main));
                let finding = Diagnostic::warning(format!(
                    "repository {main} is absent, but depends on {name}, whose content is not fixed"
                ));
                let reference = format!(
                    "Found non-content-fixed repository {name} as dependency of absent main repository {main}"
                );
                let finding = finding.reference(reference).at(crate::problem::place(entry));
                remarks.push(Remark { finding, is_detail: false });
            }
            // A root that is computed from a repository needs all that this one reaches, since it is built from it.
            queue.extend(referenced(description, &name));
            if let Some(bindings) = entry.get("bindings") {
                let bound = bindings.entries().filter_map(|(_, bound)| bound.as_str());
                queue.extend(bound.filter(|name| !description.is_provided(name)).map(str::to_owned));
            }
            // Only its root is needed: that alone makes a layer no repository of the configuration.
            for layer in LAYERS.iter().filter_map(|layer| entry.get(layer)?.as_str()) {
                reached.set_up.insert(layer.to_owned());
                queue.extend(referenced(description, layer));
            }
        }
        Ok((reached, remarks))
    }
}

impl Description {
    /// Whether the entry of a repository says, or the list of absent repositories does, that it is absent.
    fn is_written_absent(&self, name: &str, entry: Option<Node<'_>>) -> bool {
        let source = entry.and_then(|entry| entry.get("repository"));
        let Some(source) = source.filter(|source| source.kind() == Kind::Object) else { return false };
        match self.absent() {
            Some(absent) => absent.contains(name),
            None => source.get("pragma").and_then(|pragma| pragma.get("absent")?.as_bool()) == Some(true),
        }
    }
}

/// The repository that determines the root of another one. What is described wrongly is reported when it is set up.
pub(crate) fn referenced(description: &Description, name: &str) -> Option<String> {
    // By the type first, so that sources of other types are not parsed twice.
    description.type_of(name).ok().flatten().filter(|of| matches!(*of, "computed" | "tree structure"))?;
    let source = description.source(name).ok()?.source;
    source.referenced().map(str::to_owned)
}

/// Whether a repository is a directory that is used as it is.
fn is_changing(entry: Node<'_>) -> bool {
    let Some(source) = entry.get("repository") else { return false };
    let pragma = |key: &str| source.get("pragma").and_then(|pragma| pragma.get(key));
    let is_resolved =
        matches!(pragma("special").and_then(Node::as_str), Some("resolve-partially" | "resolve-completely"));
    source.get("type").and_then(Node::as_str) == Some("file")
        && pragma("to_git").and_then(Node::as_bool) != Some(true)
        && !is_resolved
}

/// Whether a key is that of the root in a ready configuration.
fn is_root(key: &str) -> bool {
    // People write the key of a ready configuration into a description, in all the spellings that other keys have.
    key.replace(['-', ' '], "_") == "workspace_root"
}

/// Remarks about keys that mean nothing. Keys of notes that people keep there are details, as in the reference.
fn unknown_keys(name: &str, entry: Node<'_>) -> Vec<Remark> {
    let known = || LAYERS.into_iter().chain(TAKEN_OVER).chain(["repository"]);
    let remark = |key: &str| {
        let finding =
            Diagnostic::warning(format!("unknown key {} in repository {}", quoted(key), quoted(name)))
                .reference(format!("Ignoring unknown field {key} in repository {name}"))
                .at(Location::key(entry.document().label().clone(), entry.get(key).unwrap_or(entry).path()))
                .suggest(did_you_mean(key, known()));
        let finding = match is_root(key) {
            true => finding.help("\"repository\" says what the root is made from"),
            false => finding,
        };
        // The words are the reference's, which reports such keys at a higher level only.
        let is_detail = ["bootstrap", "doc", "extra"].iter().any(|trunk| key.contains(trunk));
        Remark { finding, is_detail }
    };
    let unknown = entry.entries().filter(|(key, _)| !known().any(|known| known == *key));
    unknown.map(|(key, _)| remark(key)).collect()
}
