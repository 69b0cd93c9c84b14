//! What is proposed: targets, a line about each, and what could not be decided.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    is_foreign,
    packages::packaged,
    target::{Field, Rule, Target, targets_file},
};

/// Targets for a tree of sources.
#[derive(Default, Debug)]
pub struct Proposal {
    // In the order in which languages add them, so that what belongs together is side by side in the file.
    targets: Vec<Target>,
    /// Tests that surely build.
    tests: Vec<String>,
    /// What is installed, by the paths.
    installed: Vec<(String, String)>,
    /// Libraries of the system, by the names that pkg-config and the proposal have for them.
    packages: Vec<(&'static str, String)>,
    libraries: Vec<String>,
    summaries: Vec<Summary>,
    notes: Vec<String>,
    /// Directories of other projects.
    others: BTreeSet<String>,
}

/// How many targets a note names.
// Enough to recognise what is meant.
const MAX_SHOWN: usize = 3;

/// One target, for people.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Summary {
    /// What it is: library, program, test, script.
    pub kind: &'static str,
    /// Its name.
    pub name: String,
    /// What it is made from.
    pub from: String,
}

/// Whether a target surely builds, as far as its sources say: the targets `default` and `tests` have no others.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Builds {
    Surely,
    Perhaps,
}

impl Proposal {
    /// A proposal without targets, for a tree in which these directories are other projects.
    pub(crate) fn of(others: BTreeSet<String>) -> Proposal {
        Proposal { others, ..Proposal::default() }
    }

    /// The text of the targets file.
    pub fn targets_file(&self) -> String {
        targets_file(&self.targets)
    }

    /// Whether nothing was found that a target can be made from.
    pub fn is_empty(&self) -> bool {
        self.targets.is_empty()
    }

    /// Whether there is a target `tests`.
    pub fn has_tests(&self) -> bool {
        !self.tests.is_empty()
    }

    /// Whether there is something to compile by `rustc`.
    pub fn has_rust(&self) -> bool {
        self.targets.iter().any(|target| matches!(target.rule, Rule::InTheBox("rust", _)))
    }

    /// Whether there is something that `default` builds.
    // By its place, since `default` is written first or not at all (`add_groups`).
    pub fn has_default(&self) -> bool {
        self.targets.first().is_some_and(|target| target.name == "default")
    }

    /// The targets, in the order of the file.
    pub fn summaries(&self) -> &[Summary] {
        &self.summaries
    }

    /// What could not be decided from the sources, and what to do about it.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(crate) fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    /// Adds a target that others need, but that is nothing by itself.
    pub(crate) fn add_part(&mut self, target: Target) {
        self.targets.push(target);
    }

    /// Adds a target; programs and scripts that surely build are installed by `default`, and tests that surely build
    /// are in `tests`, but for those of other projects.
    pub(crate) fn add(&mut self, kind: &'static str, target: Target, from: String, builds: Builds) {
        let name = target.name.clone();
        let is_foreign_test = kind == "test" && is_foreign(&from, &self.others);
        if builds == Builds::Surely {
            match kind {
                // Where `make install` and `cmake --install` put them.
                "program" | "script" => self.installed.push((format!("bin/{name}"), name.clone())),
                "library" => self.libraries.push(name.clone()),
                // Tests of other projects are for those that work on these.
                "test" if !is_foreign_test => self.tests.push(name.clone()),
                _ => {}
            }
        }
        self.summaries.push(Summary { kind, name, from });
        self.targets.push(target);
    }

    /// Adds a library of the system.
    pub(crate) fn add_package(&mut self, package: &'static str, target: Target) {
        self.packages.push((package, target.name.clone()));
        self.targets.push(target);
    }

    /// The names of all targets in which such a text is, or which need one of these targets, directly or through
    /// others.
    fn needing(&self, is_needed: impl Fn(&str) -> bool) -> BTreeSet<String> {
        let mut all: BTreeSet<String> = BTreeSet::new();
        loop {
            let needs =
                |target: &&Target| target.texts_of_all().any(|text| is_needed(text) || all.contains(text));
            // Texts of fields are names of targets as well as paths, so what is left out may be named by other
            // targets: until nothing more is found.
            let names = self.targets.iter().filter(|target| !all.contains(&target.name)).filter(needs);
            let more: Vec<String> = names.map(|target| target.name.clone()).collect();
            if more.is_empty() {
                return all;
            }
            all.extend(more);
        }
    }

    /// Takes these out of the groups.
    fn leave_out(&mut self, out: &BTreeSet<String>) {
        self.tests.retain(|name| !out.contains(name));
        self.installed.retain(|(_, name)| !out.contains(name));
        self.libraries.retain(|name| !out.contains(name));
    }

    /// Takes out of the groups what needs libraries of the system that are not there, and says what to do.
    fn leave_out_packages(&mut self, missing: &[(&'static str, String)]) {
        let mut note = "pkg-config does not find some libraries of the system, so default and tests have nothing that needs \
                        them. Install the packages that have their headers and .pc files:"
            .to_owned();
        for (package, target) in missing {
            let mut out = self.needing(|text| text == target);
            out.remove(target);
            self.leave_out(&out);
            let shown: Vec<&str> = out.iter().take(MAX_SHOWN).map(String::as_str).collect();
            let more = match out.len() - shown.len() {
                0 => String::new(),
                count => format!(" and {count} more"),
            };
            note += &format!("\n    {package}, for {}{more}: {}", shown.join(", "), packaged(package));
        }
        if !missing.is_empty() {
            self.notes.push(note);
        }
    }

    /// The libraries that are built with something else in `default`. A program needs all of its libraries, but a
    /// library in C or C++ is made without those that it uses, of which it needs the headers only.
    fn built_with_others(&self) -> BTreeSet<&String> {
        let by_name: BTreeMap<&String, &Target> =
            self.targets.iter().map(|target| (&target.name, target)).collect();
        // Building one in C or C++ does not build those that it uses.
        let is_of_cc = |name: &&String| matches!(by_name[*name].rule, Rule::InTheBox("cc", _));
        let programs = self.installed.iter().map(|(_, name)| name);
        let mut left: Vec<&String> =
            programs.chain(self.libraries.iter().filter(|name| !is_of_cc(name))).collect();
        let mut used = BTreeSet::new();
        while let Some(target) = left.pop().and_then(|name| by_name.get(name)) {
            left.extend(target.dependencies().filter(|name| used.insert(*name)));
        }
        used
    }

    /// Adds the target that is built if a call names none, and one of all tests. `is_unreadable`: whether a text is the
    /// path of a file that cannot be read as it is; `has_package`: whether pkg-config finds a library.
    pub(crate) fn add_groups(
        &mut self,
        is_unreadable: impl Fn(&str) -> bool,
        has_package: impl Fn(&str) -> bool,
    ) {
        let out = self.needing(is_unreadable);
        self.leave_out(&out);
        // Asked once for each library, since each question starts a process.
        let mut missing = std::mem::take(&mut self.packages);
        missing.retain(|(package, _)| !has_package(package));
        self.leave_out_packages(&missing);
        if !self.tests.is_empty() {
            let all = Target::new("tests", Rule::InTheBox("", "suite")).texts("tainted", ["test"]);
            self.targets.insert(0, all.texts("tests", self.tests.clone()));
        }
        let used = self.built_with_others();
        let unused = self.libraries.iter().filter(|name| !used.contains(name));
        // A directory for each: libraries may have headers of the same name.
        let directories: Vec<_> = unused.map(|name| (name.clone(), format!("lib/{name}"))).collect();
        if self.installed.is_empty() && directories.is_empty() {
            return;
        }
        let mut target = Target::new("default", Rule::BuiltIn("install"));
        if !self.installed.is_empty() {
            target = target.with("files", Field::Map(self.installed.clone()));
        }
        if !directories.is_empty() {
            target = target.with("dirs", Field::Pairs(directories));
        }
        // First in the file, where readers look for what a project builds, and `has_default` does, too.
        self.targets.insert(0, target);
    }
}
