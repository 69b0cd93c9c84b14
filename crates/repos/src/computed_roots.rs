//! The computed roots of a configuration: which ones a repository needs, and the configuration with their trees.
//!
//! Reading a configuration yields such roots as unresolved ([`UnresolvedRoot`]), without files. They are computed
//! elsewhere (`driver`), and replaced by the git trees that they come to ([`RepoConfig::with_computed`]); these are
//! roots like any other.
//!
//! The computation is strict: all computed roots of all repositories that the referenced one reaches come before
//! ([`RepoConfig::computed_roots`]), so that the referenced repository is content-fixed and has a key.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    hash::Hash,
    sync::Arc,
};

use taut_digest::Hash as ObjectHash;
use taut_git::Repository as GitRepository;
use taut_value::Str;

use crate::{
    ComputedRoot, GitTreeRoot, RepoConfig, Repository, Root, RootName, UnresolvedRoot,
    git_tree::RootLocations,
};

/// Trees of a git repository that computed roots came to, by definition.
#[derive(Clone)]
pub struct ComputedTrees {
    repository: Arc<GitRepository>,
    // By definition, so that a root which several repositories have is computed once.
    trees: HashMap<ComputedRoot, ObjectHash>,
}

impl ComputedTrees {
    /// None yet, in a git repository.
    pub fn in_repository(repository: Arc<GitRepository>) -> ComputedTrees {
        ComputedTrees { repository, trees: HashMap::new() }
    }

    /// Adds one. The tree is in the repository.
    pub fn add(&mut self, root: ComputedRoot, tree: ObjectHash) {
        self.trees.insert(root, tree);
    }

    /// The root in place of an unresolved one, if that was computed.
    fn resolved(&self, unresolved: &UnresolvedRoot) -> Option<GitTreeRoot> {
        let UnresolvedRoot { root, place, what } = unresolved;
        let tree = *self.trees.get(root)?;
        let written = self.repository.path().to_string_lossy().into_owned();
        let described =
            RootLocations { id: place.clone(), repository: place.clone(), written, what: what.clone() };
        Some(GitTreeRoot::new(self.repository.clone(), tree, described))
    }
}

/// Computed roots that need each other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RootCycle {
    /// The way from a root that is wanted to the cycle: each needs the next one, and the last one the first of the
    /// cycle.
    pub before: Vec<ComputedRoot>,
    /// The cycle: each needs the next one, and the last one the first.
    pub roots: Vec<ComputedRoot>,
}

impl RepoConfig {
    /// The global names of a repository and of all that its bindings reach, as far as they are defined.
    fn reachable(&self, repository: &str) -> BTreeSet<&Str> {
        let mut reached = BTreeSet::new();
        // A stack and no recursion: bindings form chains as long as the configuration makes them.
        let mut open: Vec<&Str> =
            self.repositories.get_key_value(repository).map(|(name, _)| name).into_iter().collect();
        while let Some(name) = open.pop() {
            if let Some(repository) = self.repositories.get(name)
                // Bindings may form cycles, also of a repository with itself.
                && reached.insert(name)
            {
                open.extend(repository.bindings.values());
            }
        }
        reached
    }

    /// The roots that have to be computed before a repository can be used: those of the repository and of all
    /// repositories that its bindings reach. Each once, in the order in which the reference compares them.
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
                // The first place in the order of the repositories is the one that messages show.
                roots.entry(&unresolved.root).or_insert(unresolved);
            }
        }
        roots.into_values().cloned().map(Arc::new).collect()
    }

    /// A cycle of computed roots that `roots` need, if there is one.
    pub fn cycle_of_computed_roots(&self, roots: &[Arc<UnresolvedRoot>]) -> Option<RootCycle> {
        let below = |root: &ComputedRoot| {
            self.computed_roots(&root.repository).into_iter().map(|below| below.root.clone()).collect()
        };
        let roots = roots.iter().map(|root| root.root.clone());
        cycle(roots, below).map(|(before, roots)| RootCycle { before, roots })
    }

    /// The part of the configuration that a repository reaches, with that as the main one. It is the same wherever the
    /// rest differs.
    pub fn part(&self, repository: &str) -> RepoConfig {
        let reached = self.reachable(repository).into_iter();
        // Cheap: names and roots are shared.
        let repositories = reached.map(|name| (name.clone(), self.repositories[name].clone())).collect();
        RepoConfig::numbered(repository.into(), repositories, self.dialect)
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
        // Numbered anew: a computed root may come to a tree that another root names, and then both are one root.
        RepoConfig::numbered(self.main.clone(), repositories, self.dialect)
    }
}

/// A cycle that is reached from one of `all`, and the way to it. Each node is asked once what is below it.
fn cycle<N: Clone + Eq + Hash>(
    all: impl Iterator<Item = N>,
    mut below: impl FnMut(&N) -> Vec<N>,
) -> Option<(Vec<N>, Vec<N>)> {
    // A depth-first search: where what is on the path is, and no more where what was left was.
    let mut reached: HashMap<N, Option<usize>> = HashMap::new();
    // A search from each, with what is reached shared between them.
    for first in all {
        let mut path: Vec<(N, std::vec::IntoIter<N>)> = Vec::new();
        let mut next = Some(first);
        loop {
            if let Some(node) = next.take() {
                match reached.get(&node) {
                    Some(Some(at)) => {
                        let mut before: Vec<N> = path.into_iter().map(|(node, _)| node).collect();
                        let cycle = before.split_off(*at);
                        return Some((before, cycle));
                    }
                    Some(None) => {}
                    // On a stack of its own instead of recursion: the configuration decides how long such chains are.
                    None => {
                        reached.insert(node.clone(), Some(path.len()));
                        let below = below(&node).into_iter();
                        path.push((node, below));
                    }
                }
            }
            let Some((_, below)) = path.last_mut() else { break };
            next = below.next();
            if next.is_none()
                && let Some((left, _)) = path.pop()
            {
                reached.insert(left, None);
            }
        }
    }
    None
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::{cell::Cell, path::Path};

    use serde_json::{Value, json};
    use taut_digest::HashFunction;
    use taut_testkit::Rng;

    use super::*;
    use crate::{ContentFixed, Overrides};

    fn read(config: &Value) -> RepoConfig {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("repos.json");
        std::fs::write(&file, config.to_string()).unwrap();
        RepoConfig::read(Some(&file), &Overrides::default(), Path::new("/")).unwrap()
    }

    fn texts(roots: &[Arc<UnresolvedRoot>]) -> Vec<String> {
        roots.iter().map(|root| root.root.to_string()).collect()
    }

    const TREE: &str = "7366bd62ca918e6b3ba54ce2465022746b692a62";

    fn git(tree: &str) -> Value {
        json!(["git tree", tree, "/p"])
    }

    #[test]
    fn the_roots_that_a_repository_needs_are_those_that_it_reaches() {
        let config = read(&json!({"main": "m", "repositories": {
            "m": {"workspace_root": ["file", "."], "bindings": {"a": "a", "b": "b"}},
            "a": {"workspace_root": ["computed", "base", "", "t", {"Y": 1, "X": "x"}]},
            "b": {"workspace_root": ["computed", "base", "", "t", {"X": "x", "Y": 1}],
                  "target_root": ["tree structure", "base"], "bindings": {"a": "a", "c": "c"}},
            "c": {"workspace_root": ["computed", "base", "", "t", {"X": "x", "Y": 1}, {"absent": true}],
                  "bindings": {"m": "m"}},
            "unused": {"workspace_root": ["computed", "a", "", "t", {}]},
            "base": {"workspace_root": git(TREE)},
        }}));
        let of_base = r#"(["@", "base", "", "t"], {"X":"x","Y":1})"#;
        let absent = r#"(["@", "base", "", "t", {"absent": true}], {"X":"x","Y":1})"#;
        let structure = r#"["tree structure", "base"]"#;
        assert_eq!(texts(&config.computed_roots("m")), [absent, of_base, structure]);
        assert_eq!(texts(&config.computed_roots("a")), [of_base]);
        assert_eq!(texts(&config.computed_roots("base")), [""; 0]);
        assert_eq!(texts(&config.computed_roots("nowhere")), [""; 0]);
        assert_eq!(config.all_computed_roots().len(), 4);
        assert_eq!(config.computed_roots("a")[0].what, "workspace_root of repository \"a\"");
    }

    #[test]
    fn a_computed_root_is_a_git_tree_afterwards() {
        let config = read(&json!({"main": "m", "repositories": {
            "m": {"workspace_root": ["computed", "base", "", "t", {}], "bindings": {"b": "base"}},
            "base": {"workspace_root": git(TREE)},
        }}));
        assert!(!ContentFixed::of(&config).contains("m"));
        let root = config.computed_roots("m").remove(0);
        let mut trees = ComputedTrees::in_repository(Arc::new(GitRepository::new("/g")));
        let tree = "16e463b471b833cc542dc3f39db32e3fb4035aeb";
        trees.add(root.root.clone(), ObjectHash::from_hex(tree).unwrap());
        let computed = config.with_computed(&trees);
        assert_eq!(texts(&computed.computed_roots("m")), [""; 0]);
        // As if the tree had been named.
        let named = read(&json!({"main": "m", "repositories": {
            "m": {"workspace_root": git(tree), "bindings": {"b": "base"}},
            "base": {"workspace_root": git(TREE)},
        }}));
        assert_eq!(computed.identity(), named.identity());
        let key = |config: &RepoConfig| ContentFixed::of(config).key("m", HashFunction::GitSha1);
        assert!(key(&computed).is_some());
        assert_eq!(key(&computed), key(&named));
        // A root that has the same tree as another one is that root.
        let mut trees = ComputedTrees::in_repository(Arc::new(GitRepository::new("/g")));
        trees.add(root.root.clone(), ObjectHash::from_hex(TREE).unwrap());
        let same = config.with_computed(&trees);
        let number = |name: &str| same.repositories[name].workspace_root.name.number;
        assert_eq!(number("m"), number("base"));
    }

    #[test]
    fn the_part_that_a_repository_reaches_does_not_depend_on_the_rest() {
        let base = json!({"workspace_root": git(TREE), "bindings": {"self": "base", "o": "other"}});
        let other = json!({"workspace_root": ["computed", "base", "", "t", {}]});
        let more = json!({"workspace_root": ["file", "/x"], "bindings": {"b": "base"}});
        let one = read(&json!({"main": "a", "repositories": {"a": more, "base": base, "other": other}}));
        let two = read(&json!({"repositories": {"base": base, "other": other}}));
        assert_eq!(one.part("base").identity(), two.part("base").identity());
        assert_ne!(one.identity(), two.identity());
        assert!(one.part("nowhere").repositories.is_empty());
    }

    /// A node that counts how often it is compared.
    #[derive(Clone)]
    struct Counted<'c>(usize, &'c Cell<usize>);

    impl PartialEq for Counted<'_> {
        fn eq(&self, other: &Self) -> bool {
            self.1.set(self.1.get() + 1);
            self.0 == other.0
        }
    }

    impl Eq for Counted<'_> {}

    impl Hash for Counted<'_> {
        fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
            self.0.hash(state);
        }
    }

    /// However long it is, a chain costs a few comparisons for each root in it.
    #[test]
    fn a_chain_is_walked_over_once() {
        const LENGTH: usize = 5000;
        let (asked, compared) = (Cell::new(0), Cell::new(0));
        let all = (0..LENGTH).map(|number| Counted(number, &compared));
        let found = cycle(all, |node| {
            asked.set(asked.get() + 1);
            (node.0 > 0).then(|| Counted(node.0 - 1, &compared)).into_iter().collect()
        });
        assert!(found.is_none());
        let found = cycle(std::iter::once(Counted(0, &compared)), |node| {
            asked.set(asked.get() + 1);
            // The last one leads back into the middle.
            vec![Counted(if node.0 + 1 < LENGTH { node.0 + 1 } else { LENGTH / 2 }, &compared)]
        });
        let (before, roots) = found.unwrap();
        assert_eq!((before.len(), roots[0].0, roots.len()), (LENGTH / 2, LENGTH / 2, LENGTH / 2));
        assert_eq!(asked.get(), 2 * LENGTH);
        assert!(compared.get() < 20 * LENGTH, "{} comparisons", compared.get());
    }

    /// Against the definition: a root needs itself along some way.
    #[test]
    fn cycles_are_found_in_random_configurations() {
        let mut rng = Rng::new(11);
        let (mut with, mut without) = (0, 0);
        for _ in 0..taut_testkit::times(300) {
            let count = 1 + rng.below(6);
            let mut all = serde_json::Map::new();
            for number in 0..count {
                let bindings: BTreeMap<String, String> = (0..rng.below(3))
                    .map(|binding| (format!("b{binding}"), format!("r{}", rng.below(count))))
                    .collect();
                let of = format!("r{}", rng.below(count));
                let root = match rng.below(4) {
                    0 => json!(["computed", of, "", "t", {}]),
                    1 => json!(["tree structure", of]),
                    _ => git(TREE),
                };
                all.insert(format!("r{number}"), json!({"workspace_root": root, "bindings": bindings}));
            }
            let config = read(&json!({"main": "r0", "repositories": all}));
            let roots = config.computed_roots("r0");
            let needs = |root: &ComputedRoot| -> Vec<ComputedRoot> {
                let below = config.computed_roots(&root.repository).into_iter();
                below.map(|below| below.root.clone()).collect()
            };
            // All that is reached from each root, the slow way.
            let mut is_cyclic = false;
            for root in &roots {
                let mut open = vec![root.root.clone()];
                let mut reached: Vec<ComputedRoot> = Vec::new();
                while let Some(next) = open.pop() {
                    for below in needs(&next) {
                        if !reached.contains(&below) {
                            reached.push(below.clone());
                            open.push(below);
                        }
                    }
                }
                is_cyclic |= reached.contains(&root.root)
                    || reached.iter().any(|below| {
                        let mut open = vec![below.clone()];
                        let mut seen: Vec<ComputedRoot> = Vec::new();
                        while let Some(next) = open.pop() {
                            for more in needs(&next) {
                                if !seen.contains(&more) {
                                    seen.push(more.clone());
                                    open.push(more);
                                }
                            }
                        }
                        seen.contains(below)
                    });
            }
            match config.cycle_of_computed_roots(&roots) {
                None => {
                    without += 1;
                    assert!(!is_cyclic);
                }
                Some(RootCycle { before, roots: cycle }) => {
                    with += 1;
                    assert!(is_cyclic);
                    for (at, root) in cycle.iter().enumerate() {
                        assert!(needs(root).contains(&cycle[(at + 1) % cycle.len()]));
                    }
                    for (at, root) in before.iter().enumerate() {
                        assert!(needs(root).contains(before.get(at + 1).unwrap_or(&cycle[0])));
                    }
                }
            }
        }
        assert!(with > 10 && without > 10, "{with} {without}");
    }
}
