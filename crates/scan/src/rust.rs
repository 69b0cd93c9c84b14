//! Targets for Rust: the crates of directories with `src/lib.rs` or `src/main.rs`.
//!
//! Of a `Cargo.toml` the name, the edition and the names of dependencies are used. Crates that are not in the tree are not
//! fetched by the rules in the box, so what needs them is proposed with a note.

use std::collections::BTreeSet;

use crate::{
    names::Names,
    paths,
    proposal::{Builds, Proposal},
    target::{Rule, Target},
    tree::Tree,
};

pub(crate) fn propose(tree: &Tree, names: &mut Names, proposal: &mut Proposal) {
    // The layout that Cargo assumes; other paths would be in `[lib]` and `[[bin]]`.
    let roots = ["src/lib.rs", "src/main.rs"];
    let directories: BTreeSet<&str> = (0..tree.len())
        .filter_map(|file| roots.iter().find_map(|root| paths::without_suffix(tree.path(file), root)))
        .collect();
    // All read before any is written: a dependency is known by the name of a crate, wherever that is.
    let crates: Vec<Crate> =
        directories.into_iter().map(|directory| Crate::read(tree, directory, names)).collect();
    for one in &crates {
        one.write(tree, &crates, names, proposal);
    }
}

/// A directory with a crate.
struct Crate {
    directory: String,
    /// The name in the sources.
    name: String,
    /// The target of `src/main.rs`, if there is one.
    program: Option<String>,
    /// The target of its library, if it has one.
    library: Option<String>,
    edition: Option<String>,
    /// The names of its dependencies, as in sources.
    dependencies: BTreeSet<String>,
}

impl Crate {
    fn read(tree: &Tree, directory: &str, names: &mut Names) -> Crate {
        let at =
            |path: &str| if directory.is_empty() { path.to_owned() } else { format!("{directory}/{path}") };
        let mut one = Crate {
            directory: directory.to_owned(),
            name: String::new(),
            program: None,
            library: None,
            edition: None,
            dependencies: BTreeSet::new(),
        };
        let mut package = names.of_directory(directory);
        if let Some(file) = tree.find(&at("Cargo.toml")) {
            one.read_manifest(&tree.text(file), &mut package);
        }
        one.name = in_sources(&package);
        if tree.find(&at("src/main.rs")).is_some() {
            one.program = Some(names.of_file(&package, &at("src/main.rs")));
        }
        if tree.find(&at("src/lib.rs")).is_some() {
            one.library = Some(
                names.take(&one.name, &[format!("lib{}", one.name), format!("{directory}-{}", one.name)]),
            );
        }
        one
    }

    fn read_manifest(&mut self, text: &str, package: &mut String) {
        let mut section = "";
        // Line by line: of TOML, only the forms that `cargo new` and people write in these sections are read. What
        // is missed is missing in the proposal, and compilers name it.
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix('[') {
                section = name.trim_end_matches(']').trim();
                // [dependencies.name]
                if let Some(name) = section.strip_prefix("dependencies.") {
                    self.dependencies.insert(in_sources(name));
                }
                continue;
            }
            let Some((key, value)) = line.split_once('=') else { continue };
            let (key, value) = (key.trim(), value.trim());
            let text = value.strip_prefix('"').and_then(|value| value.split('"').next());
            match (section, key) {
                ("package", "name") => {
                    if let Some(name) = text.filter(|name| is_name(name)) {
                        *package = name.to_owned();
                    }
                }
                ("package", "edition") => self.edition = text.filter(|text| is_name(text)).map(str::to_owned),
                ("dependencies", _) => {
                    // `name.workspace = true`
                    let name = key.split('.').next().unwrap_or_default();
                    self.dependencies.insert(in_sources(name));
                }
                _ => {}
            }
        }
    }

    fn write(&self, tree: &Tree, crates: &[Crate], names: &mut Names, proposal: &mut Proposal) {
        let at = |path: &str| match self.directory.as_str() {
            "" => path.to_owned(),
            directory => format!("{directory}/{path}"),
        };
        let below = |directory: &str| {
            let files = tree.with_ending("rs").map(|file| tree.path(file).to_owned());
            files.filter(|path| paths::is_within(path, &at(directory))).collect::<Vec<_>>()
        };
        let mut deps = Vec::new();
        let mut missing = Vec::new();
        for name in &self.dependencies {
            let other = crates.iter().find(|other| other.name == *name && other.directory != self.directory);
            match other.and_then(|other| other.library.clone()) {
                Some(target) => deps.push(target),
                None => missing.push(name.as_str()),
            }
        }
        let builds = if missing.is_empty() { Builds::Surely } else { Builds::Perhaps };
        if !missing.is_empty() {
            proposal.note(format!(
                "{}: its crate needs {}, which are not here; the rules in the box do not fetch crates.",
                at("Cargo.toml"),
                missing.join(", ")
            ));
        }
        // Not run here: what it asks of Cargo is known only when it runs.
        if tree.find(&at("build.rs")).is_some() {
            proposal.note(format!("{}: what it makes has to be made by a genrule.", at("build.rs")));
        }
        let sources = below("src");
        // Modules that a program and the library have in common are compiled in both, as Cargo does it for
        // `src/main.rs`.
        let (programs, shared): (Vec<String>, Vec<String>) = sources
            .into_iter()
            .partition(|path| paths::is_within(path, &at("src/bin")) || *path == at("src/main.rs"));
        let target_of =
            |rule, name: &str, crate_name: &str, root: &str, sources: &[String], deps: &[String]| {
                Target::new(name, Rule::InTheBox("rust", rule))
                    .texts("name", [crate_name])
                    .texts("root", [root])
                    .texts("edition", self.edition.clone())
                    .texts("srcs", sources)
                    .texts("deps", deps)
            };
        let mut of_users = deps.clone();
        if let Some(library) = &self.library {
            let root = at("src/lib.rs");
            let target = target_of("library", library, &self.name, &root, &shared, &deps);
            proposal.add("library", target, root.clone(), builds);
            // As with Cargo, programs and integration tests see the library of their crate.
            of_users.push(library.clone());
            // Only if there is a test: a target without one would pass without meaning anything.
            if shared.iter().any(|path| has_tests(tree, path)) {
                let name = names.take(&format!("{}-test", self.name), &[at(&format!("{}-test", self.name))]);
                let target = target_of("test", &name, &self.name, &root, &shared, &deps);
                proposal.add("test", target, root, builds);
            }
        }
        for path in &programs {
            // Files below `src/bin` in directories are modules of the program there.
            let is_root = *path == at("src/main.rs") || paths::parent(path) == at("src/bin");
            if !is_root {
                continue;
            }
            let of_main = self.program.as_ref().filter(|_| *path == at("src/main.rs"));
            let name = of_main.cloned().unwrap_or_else(|| names.of_file(paths::stem(path), path));
            let mut sources: Vec<String> =
                shared.iter().filter(|other| **other != at("src/lib.rs")).cloned().collect();
            sources.push(path.clone());
            let target = target_of("binary", &name, &name, path, &sources, &of_users);
            proposal.add("program", target, path.clone(), builds);
        }
        for path in below("tests").iter().filter(|path| paths::parent(path) == at("tests")) {
            let name = names.of_file(paths::stem(path), path);
            let helpers = below("tests").into_iter().filter(|other| paths::parent(other) != at("tests"));
            let sources: Vec<String> = std::iter::once(path.clone()).chain(helpers).collect();
            let target = target_of("test", &name, &in_sources(&name), path, &sources, &of_users);
            proposal.add("test", target, path.clone(), builds);
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

/// The name of a crate as sources write it.
fn in_sources(name: &str) -> String {
    name.trim().trim_matches('"').replace(['-', '.', '+'], "_")
}

fn has_tests(tree: &Tree, path: &str) -> bool {
    tree.find(path).is_some_and(|file| tree.text(file).lines().any(|line| line.trim() == "#[test]"))
}
