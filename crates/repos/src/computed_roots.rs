//! The computed roots of a configuration: which ones a repository needs, and the configuration with their trees.
//!
//! Reading a configuration yields such roots as unresolved ([`UnresolvedRoot`]), without files. They are computed elsewhere
//! (`driver`), and replaced by the git trees that they come to ([`RepoConfig::with_computed`]); these are roots like any
//! other.
//!
//! The computation is strict: all computed roots of all repositories that the referenced one reaches come before
//! ([`RepoConfig::computed_roots`]), so that the referenced repository is content-fixed and has a key.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use taut_digest::Hash;
use taut_git::Repository as GitRepository;
use taut_value::Str;

use crate::{
    ComputedRoot, GitTreeRoot, RepoConfig, Repository, Root, RootName, UnresolvedRoot, git_tree::Described,
};

/// Trees of a git repository that computed roots came to, by definition.
#[derive(Clone)]
pub struct ComputedTrees {
    repository: Arc<GitRepository>,
    trees: HashMap<ComputedRoot, Hash>,
}

impl ComputedTrees {
    /// None yet, in a git repository.
    pub fn in_repository(repository: Arc<GitRepository>) -> ComputedTrees {
        ComputedTrees { repository, trees: HashMap::new() }
    }

    /// Adds one. The tree is in the repository.
    pub fn add(&mut self, root: ComputedRoot, tree: Hash) {
        self.trees.insert(root, tree);
    }

    /// The root in place of an unresolved one, if that was computed.
    fn resolved(&self, unresolved: &UnresolvedRoot) -> Option<GitTreeRoot> {
        let UnresolvedRoot { root, place, what } = unresolved;
        let tree = *self.trees.get(root)?;
        let written = self.repository.path().to_string_lossy().into_owned();
        let described =
            Described { id: place.clone(), repository: place.clone(), written, what: what.clone() };
        Some(GitTreeRoot::new(self.repository.clone(), tree, described))
    }
}

impl RepoConfig {
    /// The global names of a repository and of all that its bindings reach, as far as they are defined.
    fn reachable(&self, repository: &str) -> BTreeSet<&Str> {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&Str> =
            self.repositories.get_key_value(repository).map(|(name, _)| name).into_iter().collect();
        while let Some(name) = open.pop() {
            if let Some(repository) = self.repositories.get(name)
                && reached.insert(name)
            {
                open.extend(repository.bindings.values());
            }
        }
        reached
    }

    /// The roots that have to be computed before a repository can be used: those of the repository and of all that its
    /// bindings reach, each once, in the order in which the reference compares them.
    pub fn computed_roots(&self, repository: &str) -> Vec<Arc<UnresolvedRoot>> {
        self.unresolved(self.reachable(repository))
    }

    /// All roots that have to be computed, also those that the main repository does not need.
    pub fn all_computed_roots(&self) -> Vec<Arc<UnresolvedRoot>> {
        self.unresolved(self.repositories.keys())
    }

    fn unresolved<'r>(&'r self, names: impl IntoIterator<Item = &'r Str>) -> Vec<Arc<UnresolvedRoot>> {
        let mut roots: BTreeMap<&ComputedRoot, &UnresolvedRoot> = BTreeMap::new();
        for root in names.into_iter().flat_map(|name| self.repositories[name].roots()) {
            if let Some(unresolved) = root.source.unresolved() {
                roots.entry(&unresolved.root).or_insert(unresolved);
            }
        }
        roots.into_values().cloned().map(Arc::new).collect()
    }

    /// A cycle of computed roots that `roots` need: each needs the next one, and the last one the first. `None` if there
    /// is none.
    pub fn cycle_of_computed_roots(&self, roots: &[Arc<UnresolvedRoot>]) -> Option<Vec<ComputedRoot>> {
        // A depth-first search: what is on the path is in `path`, and what was left is in `done`.
        let mut done: HashSet<ComputedRoot> = HashSet::new();
        for root in roots {
            let mut path: Vec<(ComputedRoot, std::vec::IntoIter<Arc<UnresolvedRoot>>)> = Vec::new();
            let mut next = Some(root.root.clone());
            loop {
                if let Some(root) = next.take()
                    && !done.contains(&root)
                {
                    if let Some(at) = path.iter().position(|(above, _)| *above == root) {
                        return Some(path.drain(at..).map(|(root, _)| root).collect());
                    }
                    let below = self.computed_roots(&root.repository).into_iter();
                    path.push((root, below));
                }
                let Some((_, below)) = path.last_mut() else { break };
                match below.next() {
                    Some(below) => next = Some(below.root.clone()),
                    None => done.extend(path.pop().map(|(root, _)| root)),
                }
            }
        }
        None
    }

    /// The part of the configuration that a repository reaches, with that as the main one. It is the same wherever the
    /// rest differs.
    pub fn part(&self, repository: &str) -> RepoConfig {
        let reached = self.reachable(repository).into_iter();
        let repositories = reached.map(|name| (name.clone(), self.repositories[name].clone())).collect();
        RepoConfig::numbered(repository.into(), repositories)
    }

    /// The configuration with computed roots in place of the unresolved ones, as far as they are given.
    pub fn with_computed(&self, trees: &ComputedTrees) -> RepoConfig {
        let mut repositories = self.repositories.clone();
        for root in repositories.values_mut().flat_map(Repository::all_roots) {
            let resolved = root.source.unresolved().and_then(|unresolved| trees.resolved(unresolved));
            if let Some(resolved) = resolved {
                let name = RootName { ignore_special: root.name.ignore_special, ..RootName::default() };
                *root = Root { source: Arc::new(resolved), name };
            }
        }
        RepoConfig::numbered(self.main.clone(), repositories)
    }
}
