//! The library of rules in the binary as a repository, and which repositories are bound to it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::Arc,
};

use taut_value::Str;

use crate::{EmbeddedRoot, RepoConfig, Repository, Root, RootName, SourceRoot};

impl Repository {
    /// The library of rules in the binary.
    pub(crate) fn of_rules() -> Repository {
        // One root for all four kinds of files: the library is one tree, with its own names of files.
        let root = Root { source: Arc::new(EmbeddedRoot), name: RootName::default() };
        Repository {
            workspace_root: root.clone(),
            target_root: root.clone(),
            rule_root: root.clone(),
            expression_root: root,
            target_file_name: "TARGETS".into(),
            rule_file_name: "RULES".into(),
            expression_file_name: "EXPRESSIONS".into(),
            bindings: BTreeMap::new(),
        }
    }
}

impl RepoConfig {
    /// Binds repositories to the library of rules in the binary, if the configuration has it, by its name, unless they
    /// use that name for something else.
    ///
    /// Content-fixed repositories have only the bindings that are written: the key of such a repository is the
    /// reference's, and must not change with the binary.
    pub fn bind_rules(&mut self) {
        let of_rules = self.repositories.get(taut_rules::NAME);
        // A user's repository of that name is not a library of rules, and is not bound to others.
        if of_rules.is_none_or(|rules| rules.rule_root.source.identity() != EmbeddedRoot.identity()) {
            return;
        }
        let open = self.not_fixed();
        for (name, repository) in &mut self.repositories {
            if open.contains(name) {
                // A binding that is written has precedence: descriptions that use the name mean their own repository.
                repository.bindings.entry(taut_rules::NAME.into()).or_insert(taut_rules::NAME.into());
            }
        }
    }

    /// The repositories that are not content-fixed, whatever roots are still to be computed: a root of theirs is a
    /// directory, or they can reach such a repository.
    fn not_fixed(&self) -> BTreeSet<Str> {
        // Bindings are followed backwards: a repository is open if anything that it can reach is.
        let mut users: HashMap<&Str, Vec<&Str>> = HashMap::new();
        let mut pending: Vec<&Str> = Vec::new();
        for (name, repository) in &self.repositories {
            if repository.roots().iter().any(|root| root.directory().is_some()) {
                pending.push(name);
            }
            repository.bindings.values().for_each(|global| users.entry(global).or_default().push(name));
        }
        let mut open = BTreeSet::new();
        while let Some(name) = pending.pop() {
            if open.insert(name.clone()) {
                pending.extend(users.get(name).into_iter().flatten());
            }
        }
        open
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods, reason = "tests look from outside")]
mod tests {
    use std::path::Path;

    use serde_json::{Value, json};

    use super::*;
    use crate::{ContentFixed, Overrides};

    /// The names that each repository of a configuration can use for the rules.
    fn bound(config: &Value, has_rules: bool) -> Vec<String> {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("repos.json");
        std::fs::write(&file, config.to_string()).unwrap();
        let overrides = Overrides { has_rules, ..Overrides::default() };
        let mut config = RepoConfig::read(Some(&file), &overrides, Path::new("/")).unwrap();
        config.bind_rules();
        let rules = EmbeddedRoot.identity();
        let mut bound = Vec::new();
        for (name, repository) in &config.repositories {
            for (local, global) in &repository.bindings {
                if config.repositories[global].rule_root.source.identity() == rules {
                    bound.push(format!("{name}: {local}"));
                }
            }
        }
        bound
    }

    #[test]
    fn repositories_are_bound_unless_they_use_the_name_or_are_content_fixed() {
        let tree = ["git tree", "7366bd62ca918e6b3ba54ce2465022746b692a62", "/p"];
        let config = json!({"repositories": {
            "plain": {"workspace_root": ["file", "/a"]},
            "other": {"workspace_root": ["file", "/b"], "bindings": {"std": "plain", "rules": "std"}},
            "fixed": {"workspace_root": tree},
            "fixed and bound": {"workspace_root": tree, "bindings": {"std": "std"}},
            "open": {"workspace_root": tree, "bindings": {"a": "plain"}},
            "computed": {"workspace_root": ["computed", "fixed", "", "t", {}], "bindings": {"a": "computed"}},
        }});
        assert_eq!(bound(&config, true), ["fixed and bound: std", "open: std", "other: rules", "plain: std"]);
        let own = json!({"repositories": {
            "plain": {"workspace_root": ["file", "/a"]}, "std": {"workspace_root": ["file", "/b"]}}});
        assert_eq!(bound(&own, true), [""; 0]);
        assert_eq!(
            bound(&json!({"repositories": {"p": {"workspace_root": ["file", "/a"]}}}), false),
            [""; 0]
        );
    }

    #[test]
    fn the_key_of_a_repository_that_uses_the_rules_depends_on_them() {
        let top = tempfile::tempdir().unwrap();
        let file = top.path().join("repos.json");
        let tree = ["git tree", "7366bd62ca918e6b3ba54ce2465022746b692a62", "/p"];
        let config = json!({"repositories": {
            "with": {"workspace_root": tree, "bindings": {"std": "std"}}, "without": {"workspace_root": tree}}});
        std::fs::write(&file, config.to_string()).unwrap();
        let overrides = Overrides { has_rules: true, ..Overrides::default() };
        let mut config = RepoConfig::read(Some(&file), &overrides, Path::new("/")).unwrap();
        config.bind_rules();
        let fixed = ContentFixed::of(&config);
        assert!(fixed.description("with").unwrap().contains(taut_rules::tree()));
        assert!(!fixed.description("without").unwrap().contains(taut_rules::tree()));
    }
}
