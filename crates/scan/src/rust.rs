//! Targets for Rust: the crates of directories with `src/lib.rs` or `src/main.rs`.
//!
//! Of a `Cargo.toml` the name, the edition and the names of dependencies are used. Crates that are not in the tree are
//! not fetched by the rules in the box, so what needs them is proposed with a note.

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
    let doubtful = doubtful_libraries(tree, &crates);
    for one in &crates {
        one.write(tree, &crates, &doubtful, names, proposal);
    }
}

/// The targets of libraries that may not build: something that they need is missing, or they use such a library.
fn doubtful_libraries(tree: &Tree, crates: &[Crate]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    loop {
        let is_doubtful = |one: &&Crate| {
            let (deps, missing) = one.dependencies(crates);
            let sources = one.sources(tree).1;
            !missing.is_empty()
                || deps.iter().any(|dep| all.contains(dep))
                || sources.iter().any(|path| !environment(tree, path).is_empty())
        };
        let doubtful = crates.iter().filter(is_doubtful).filter_map(|one| one.library.clone());
        let more: Vec<String> = doubtful.filter(|library| !all.contains(library)).collect();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
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

    /// The path of a file of the crate in the tree.
    fn at(&self, path: &str) -> String {
        match self.directory.as_str() {
            "" => path.to_owned(),
            directory => format!("{directory}/{path}"),
        }
    }

    /// The sources below a directory of the crate.
    fn below(&self, tree: &Tree, directory: &str) -> Vec<String> {
        let files = tree.with_ending("rs").map(|file| tree.path(file).to_owned());
        files.filter(|path| paths::is_within(path, &self.at(directory))).collect()
    }

    /// The sources of programs, and those of the library.
    // Modules that a program and the library have in common are compiled in both, as Cargo does it for `src/main.rs`.
    fn sources(&self, tree: &Tree) -> (Vec<String>, Vec<String>) {
        self.below(tree, "src")
            .into_iter()
            .partition(|path| paths::is_within(path, &self.at("src/bin")) || *path == self.at("src/main.rs"))
    }

    /// The targets of the dependencies that are here, and the names of those that are not.
    fn dependencies(&self, crates: &[Crate]) -> (Vec<String>, Vec<&str>) {
        let mut deps = Vec::new();
        let mut missing = Vec::new();
        for name in &self.dependencies {
            let other = crates.iter().find(|other| other.name == *name && other.directory != self.directory);
            match other.and_then(|other| other.library.clone()) {
                Some(target) => deps.push(target),
                None => missing.push(name.as_str()),
            }
        }
        (deps, missing)
    }

    fn write(
        &self,
        tree: &Tree,
        crates: &[Crate],
        doubtful: &BTreeSet<String>,
        names: &mut Names,
        proposal: &mut Proposal,
    ) {
        let at = |path: &str| self.at(path);
        let (deps, missing) = self.dependencies(crates);
        // What is compiled from these sources with these libraries.
        let builds = |sources: &[String], deps: &[String]| {
            let is_sure = missing.is_empty()
                && !deps.iter().any(|dep| doubtful.contains(dep))
                && sources.iter().all(|path| environment(tree, path).is_empty());
            if is_sure { Builds::Surely } else { Builds::Perhaps }
        };
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
        let (programs, shared) = self.sources(tree);
        let of_tests = self.below(tree, "tests");
        for path in shared.iter().chain(&programs).chain(&of_tests) {
            note_environment(path, &environment(tree, path), proposal);
        }
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
            let builds = builds(&shared, &deps);
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
            proposal.add("program", target, path.clone(), builds(&sources, &of_users));
        }
        for path in of_tests.iter().filter(|path| paths::parent(path) == at("tests")) {
            let name = names.of_file(paths::stem(path), path);
            let helpers = of_tests.iter().filter(|other| paths::parent(other) != at("tests"));
            let sources: Vec<String> = std::iter::once(path).chain(helpers).cloned().collect();
            let target = target_of("test", &name, &in_sources(&name), path, &sources, &of_users);
            proposal.add("test", target, path.clone(), builds(&sources, &of_users));
        }
    }
}

/// The variables of the environment without which a source does not compile: those of `env!`, but not of `option_env!`.
fn environment(tree: &Tree, path: &str) -> BTreeSet<String> {
    let Some(file) = tree.find(path) else { return BTreeSet::new() };
    let text = tree.text(file);
    // Comments at the end of a line stay: a variable too many takes a target out of `default` and is in a note, one too
    // few leaves in `default` what does not compile.
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let calls = text.match_indices("env!").filter(|(at, _)| !text[..*at].ends_with(is_of_name));
    let named = calls.filter_map(|(at, call)| {
        let inner = text[at + call.len()..].trim_start().strip_prefix(['(', '[', '{'])?;
        let (name, _) = inner.trim_start().strip_prefix('"')?.split_once('"')?;
        Some(name.to_owned())
    });
    named.collect()
}

fn note_environment(path: &str, names: &BTreeSet<String>, proposal: &mut Proposal) {
    let Some(first) = names.first() else { return };
    let more = match names.len() {
        1 => String::new(),
        count => format!(" (and {} more)", count - 1),
    };
    proposal.note(format!(
        "{path}: env!(\"{first}\"){more} needs a variable that Cargo or a build script sets, and the rules in the box do \
         not. Write the value into the source, or use option_env!."
    ));
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
