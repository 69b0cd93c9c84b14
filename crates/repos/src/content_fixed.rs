//! Repositories whose content is fixed by their description, and the canonical form of that description.
//!
//! A repository is content-fixed if its four roots are trees of known ids, and so are those of all repositories that it
//! can reach by bindings. Its canonical description does not depend on global names, nor on the places of trees.
//! Repositories are the same if their roots and file names are equal, and their bindings lead to repositories that are
//! the same in turn (bisimulation). They are numbered in the order of a depth-first search along the sorted names of
//! bindings. The hash of the description is the *repository key*, by which results of export targets are shared. Text
//! and hash are the reference's, byte for byte.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    path::PathBuf,
};

use taut_digest::{Hash, HashFunction};
use taut_value::{JsonWriter, Str};

use crate::{RepoConfig, Repository, Root};

impl Root {
    /// Scheme and id, if the content is fixed by them.
    fn fixed_content(&self) -> Option<[String; 2]> {
        let scheme = if self.name.ignore_special { "git tree ignore-special" } else { "git tree" };
        Some([scheme.to_owned(), self.source.fixed_content()?])
    }
}

/// A repository without its bindings: four roots and three file names, in the order of their keys.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Base {
    roots: [[String; 2]; 4],
    file_names: [Str; 3],
}

impl Base {
    fn of(repository: &Repository) -> Option<Base> {
        let [workspace, target, rule, expression] = repository.roots().map(Root::fixed_content);
        let Repository { expression_file_name, rule_file_name, target_file_name, .. } = repository;
        Some(Base {
            // In the order of the keys of the canonical description, not of `Repository::roots`.
            roots: [expression?, rule?, target?, workspace?],
            file_names: [expression_file_name, rule_file_name, target_file_name].map(Str::clone),
        })
    }
}

/// The content-fixed repositories of a configuration.
pub struct ContentFixed {
    /// The number of the class of each, by global name.
    classes: BTreeMap<Str, usize>,
    /// By number.
    described: Vec<Class>,
}

/// The class of a repository, and of what each local name leads to.
type Signature<'c> = (usize, Vec<(&'c Str, usize)>);

/// Repositories with the same canonical description.
struct Class {
    /// The text of the description without the bindings. Kept, since a repository is part of the description of each
    /// repository that reaches it, and so is written many times.
    text: String,
    /// The local names as text, and the classes that they lead to, by name.
    bindings: Vec<(String, usize)>,
}

/// A description with one repository up to its bindings.
const BEFORE_BINDINGS: &str = "{\n  \"\": {\n    \"bindings\": {}";

impl Class {
    fn new(base: &Base, bindings: impl Iterator<Item = (Str, usize)>) -> Class {
        let mut writer = JsonWriter::pretty(2);
        writer.object(|w| {
            w.key("").object(|w| {
                w.key("bindings").object(|_| {});
                let [expression, rule, target, workspace] = &base.roots;
                let [expression_file, rule_file, target_file] = &base.file_names;
                w.key("expression_file_name").string(expression_file);
                w.key("expression_root").strings(expression);
                w.key("rule_file_name").string(rule_file);
                w.key("rule_root").strings(rule);
                w.key("target_file_name").string(target_file);
                w.key("target_root").strings(target);
                w.key("workspace_root").strings(workspace);
            });
        });
        let mut text = writer.finish();
        debug_assert!(text.starts_with(BEFORE_BINDINGS) && text.ends_with("\n}"));
        text.drain(..BEFORE_BINDINGS.len());
        text.truncate(text.len() - 2);
        let bindings = bindings.map(|(local, class)| (taut_value::quoted(&local), class)).collect();
        Class { text, bindings }
    }

    /// Adds the class to a description, as the repository of this number.
    fn describe(&self, number: &str, numbers: &[Option<usize>], out: &mut String) {
        out.extend(["\n  \"", number, "\": {\n    \"bindings\": {"]);
        let mut separator = "\n      ";
        for (local, class) in &self.bindings {
            let number = numbers[*class].unwrap_or_default().to_string();
            out.extend([separator, local, ": \"", &number, "\""]);
            separator = ",\n      ";
        }
        out.push_str(if self.bindings.is_empty() { "}" } else { "\n    }" });
        out.push_str(&self.text);
    }
}

impl ContentFixed {
    /// The content-fixed repositories of a configuration.
    pub fn of(config: &RepoConfig) -> ContentFixed {
        let bases = bases(config);
        let bindings = |name: &Str| config.repositories[name].bindings.iter();
        // Partition refinement: the first classes are the repositories with equal roots and file names; a class is
        // split until all its members agree on the classes of their bindings. With n repositories at most n rounds of n
        // log n; in practice as many rounds as the longest chain of bindings. (Hopcroft's algorithm is faster, and
        // longer.)
        let mut classes: HashMap<&Str, usize> = HashMap::new();
        let mut numbers: HashMap<&Base, usize> = HashMap::new();
        for (name, base) in &bases {
            let next = numbers.len();
            classes.insert(name, *numbers.entry(base).or_insert(next));
        }
        let mut count = numbers.len();
        // Ends, since each round but the last has more classes, and there are at most as many as repositories.
        loop {
            let mut numbers: HashMap<Signature<'_>, usize> = HashMap::new();
            let mut finer: HashMap<&Str, usize> = HashMap::new();
            for name in bases.keys() {
                // All bindings of a content-fixed repository lead to content-fixed ones (`bases`).
                let below = bindings(name).map(|(local, global)| (local, classes[global])).collect();
                let next = numbers.len();
                finer.insert(name, *numbers.entry((classes[name], below)).or_insert(next));
            }
            classes = finer;
            if numbers.len() == count {
                break;
            }
            count = numbers.len();
        }
        let mut described: Vec<Option<Class>> = (0..count).map(|_| None).collect();
        for (name, base) in &bases {
            described[classes[name]].get_or_insert_with(|| {
                Class::new(base, bindings(name).map(|(local, global)| (local.clone(), classes[global])))
            });
        }
        ContentFixed {
            classes: classes.into_iter().map(|(name, class)| (name.clone(), class)).collect(),
            described: described.into_iter().flatten().collect(),
        }
    }

    /// Whether a repository is content-fixed.
    pub fn contains(&self, repository: &str) -> bool {
        self.classes.contains_key(repository)
    }

    /// The canonical description of a repository as JSON; `None` if it is not content-fixed.
    pub fn description(&self, repository: &str) -> Option<String> {
        // The classes in the order of a depth-first search, and the number of each in it.
        let top = *self.classes.get(repository)?;
        let (mut order, mut numbers) = (vec![top], vec![None; self.described.len()]);
        numbers[top] = Some(0);
        // The search keeps its own stack: bindings may form chains of any length.
        let mut path = vec![self.described[top].bindings.iter()];
        while let Some(next) = path.last_mut() {
            let Some((_, class)) = next.next() else {
                path.pop();
                continue;
            };
            if numbers[*class].is_none() {
                numbers[*class] = Some(order.len());
                order.push(*class);
                path.push(self.described[*class].bindings.iter());
            }
        }
        // By the number as a text, as keys of JSON are sorted: "10" comes before "2".
        let mut all: Vec<(String, &Class)> = order
            .iter()
            .enumerate()
            .map(|(number, class)| (number.to_string(), &self.described[*class]))
            .collect();
        all.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        // An estimate of quotes, indentation and numbers, so that the text is allocated once.
        let length =
            all.iter().map(|(_, class)| class.text.len() + 40 + 40 * class.bindings.len()).sum::<usize>();
        let mut text = String::with_capacity(length + 4);
        text.push('{');
        let mut separator = "";
        for (number, class) in &all {
            text.push_str(separator);
            class.describe(number, &numbers, &mut text);
            separator = ",";
        }
        text.push_str("\n}");
        Some(text)
    }

    /// The repository key: the hash of the canonical description; `None` if the repository is not content-fixed.
    pub fn key(&self, repository: &str, function: HashFunction) -> Option<Hash> {
        Some(function.blob(self.description(repository)?.as_bytes()))
    }
}

/// Why the content of a repository is not fixed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Obstacle {
    /// The local names of the bindings that lead from it to the repository with the obstacle; none if that is itself.
    pub bindings: Vec<Str>,
    /// The global name of that repository.
    pub repository: Str,
    /// The key of a root of it that may change.
    pub root: &'static str,
    /// Where that root lies, in messages.
    pub shown: PathBuf,
}

impl Obstacle {
    /// The nearest reason why a repository is not content-fixed, along its bindings; `None` if it is content-fixed or
    /// does not exist.
    pub fn of(config: &RepoConfig, repository: &str) -> Option<Obstacle> {
        const ROOTS: [&str; 4] = ["workspace_root", "target_root", "rule_root", "expression_root"];
        let (name, _) = config.repositories.get_key_value(repository)?;
        let mut seen: HashSet<&Str> = HashSet::from([name]);
        // Breadth first, so that the chain of bindings that is shown is a shortest one.
        let mut pending = VecDeque::from([(name, Vec::new())]);
        while let Some((name, bindings)) = pending.pop_front() {
            let repository = config.repositories.get(name)?;
            let mut roots = ROOTS.into_iter().zip(repository.roots());
            if let Some((root, at)) = roots.find(|(_, root)| root.fixed_content().is_none()) {
                let shown = at.source.shown("");
                return Some(Obstacle { bindings, repository: name.clone(), root, shown });
            }
            for (local, global) in &repository.bindings {
                if seen.insert(global) {
                    pending.push_back((global, [&bindings[..], std::slice::from_ref(local)].concat()));
                }
            }
        }
        None
    }

    /// Whether a repository is pinned at least in part: one of its roots is a tree of a known id.
    pub fn is_pinned(repository: &Repository) -> bool {
        repository.roots().iter().any(|root| root.fixed_content().is_some())
    }
}

/// The content-fixed repositories with their descriptions.
fn bases(config: &RepoConfig) -> BTreeMap<&Str, Base> {
    let mut fixed = BTreeMap::new();
    // The edges backwards, as the search goes from what is not fixed to what uses it.
    let mut users: HashMap<&Str, Vec<&Str>> = HashMap::new();
    let mut open: VecDeque<&Str> = VecDeque::new();
    for (name, repository) in &config.repositories {
        match Base::of(repository) {
            Some(base) => drop(fixed.insert(name, base)),
            None => open.push_back(name),
        }
        repository.bindings.values().for_each(|global| users.entry(global).or_default().push(name));
    }
    // What can reach a repository that is not fixed is not fixed.
    while let Some(name) = open.pop_front() {
        let users = users.get(name).into_iter().flatten();
        // Each repository is removed once, so this ends also for cycles of bindings.
        open.extend(users.filter(|user| fixed.remove(**user).is_some()));
    }
    fixed
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};
    use taut_testkit::Rng;

    use super::*;
    use crate::Overrides;

    fn fixed(config: &Value) -> ContentFixed {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("repos.json");
        std::fs::write(&file, config.to_string()).unwrap();
        ContentFixed::of(&RepoConfig::read(Some(&file), &Overrides::default(), Path::new("/")).unwrap())
    }

    fn key(fixed: &ContentFixed, repository: &str) -> Option<String> {
        fixed.key(repository, HashFunction::GitSha1).map(|hash| hash.to_hex())
    }

    /// Expected keys are those of the reference (just 1.6.5), from the `repo_key` of its target-cache keys.
    #[test]
    fn keys_are_those_of_the_reference() {
        let [a, b] = ["7366bd62ca918e6b3ba54ce2465022746b692a62", "16e463b471b833cc542dc3f39db32e3fb4035aeb"];
        let fixed = fixed(&json!({"repositories": {
            "a1": {"workspace_root": ["git tree", a, "/p"], "bindings": {"x": "b1", "self": "a2", "ä\"q": "c"}},
            "a2": {"workspace_root": ["git tree", a, "/q"], "bindings": {"x": "b2", "self": "a1", "ä\"q": "c"}},
            "b1": {"workspace_root": ["git tree ignore-special", b, "/p"]},
            "b2": {"workspace_root": ["git tree ignore-special", b, "/p"]},
            "c": {"workspace_root": ["git tree", b, "/p"], "target_root": ["git tree", b], "target_file_name": "T",
                  "bindings": {"back": "a1"}},
            "f": {"workspace_root": ["file", "."], "target_root": ["git tree", a, "/p"], "bindings": {"x": "b1"}},
            "g": {"workspace_root": ["git tree", a, "/p"], "bindings": {"x": "b1", "f": "f"}},
        }}));
        let keys = ["a1", "a2", "b1", "b2", "f", "g"].map(|repository| key(&fixed, repository));
        let [of_a, of_b] =
            ["cba092775a7f4534564ce6137b0ae3bd76ea31e5", "5d8d34ed82d477e8049f812a9e895b3960504be7"]
                .map(|hex| Some(hex.to_owned()));
        assert_eq!(keys, [of_a.clone(), of_a, of_b.clone(), of_b, None, None]);
        assert!(fixed.contains("c") && !fixed.contains("f"));
    }

    /// A configuration of repositories by number: the tree of each, and its bindings.
    fn configuration(names: &[String], trees: &[usize], bindings: &[Vec<usize>]) -> Value {
        let repository = |number: usize| {
            let bound: BTreeMap<String, &String> =
                bindings[number].iter().enumerate().map(|(at, to)| (format!("b{at}"), &names[*to])).collect();
            json!({"workspace_root": ["git tree", format!("{:040x}", trees[number]), "/p"], "bindings": bound})
        };
        let all: BTreeMap<&String, Value> =
            names.iter().enumerate().map(|(number, name)| (name, repository(number))).collect();
        json!({"repositories": all})
    }

    #[test]
    fn keys_do_not_depend_on_names_and_copies() {
        let mut rng = Rng::new(7);
        for _ in 0..taut_testkit::times(200) {
            let count = 1 + rng.below(6);
            let trees: Vec<usize> = (0..count).map(|_| rng.below(2)).collect();
            let bindings: Vec<Vec<usize>> =
                (0..count).map(|_| (0..rng.below(3)).map(|_| rng.below(count)).collect()).collect();
            let names: Vec<String> = (0..count).map(|number| format!("r{number}")).collect();
            let plain = fixed(&configuration(&names, &trees, &bindings));
            // Each repository three times, with bindings to any of the copies, under other names.
            let copies: Vec<String> =
                (0..3 * count).map(|number| format!("c{:x}", number * 7919 % 1009)).collect();
            let of = |copy: usize| copy % count;
            let copied: Vec<Vec<usize>> = (0..3 * count)
                .map(|copy| bindings[of(copy)].iter().map(|to| to + count * rng.below(3)).collect())
                .collect();
            let trees_of_copies: Vec<usize> = (0..3 * count).map(|copy| trees[of(copy)]).collect();
            let unfolded = fixed(&configuration(&copies, &trees_of_copies, &copied));
            for (copy, name) in copies.iter().enumerate() {
                let original = plain.description(&names[of(copy)]);
                assert!(original.is_some());
                assert_eq!(unfolded.description(name), original);
            }
            // Another tree anywhere below is another key.
            let changed = rng.below(count);
            let mut other_trees = trees.clone();
            other_trees[changed] = 2;
            let other = fixed(&configuration(&names, &other_trees, &bindings));
            assert_ne!(other.description(&names[changed]), plain.description(&names[changed]));
        }
    }
}
