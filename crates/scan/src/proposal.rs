//! What is proposed: targets, a line about each, and what could not be decided.

use std::collections::BTreeSet;

use crate::{
    is_foreign,
    target::{Field, Rule, Target, targets_file},
};

/// Targets for a tree of sources.
#[derive(Default, Debug)]
pub struct Proposal {
    targets: Vec<Target>,
    /// Tests that surely build.
    tests: Vec<String>,
    /// What is installed, by the paths.
    installed: Vec<(String, String)>,
    /// Libraries that something else in the proposal uses.
    used: BTreeSet<String>,
    libraries: Vec<String>,
    summaries: Vec<Summary>,
    notes: Vec<String>,
}

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

    /// Adds a target; programs and scripts that surely build are installed by `default`, and tests that surely build are in
    /// `tests`, but for those of other projects.
    pub(crate) fn add(&mut self, kind: &'static str, target: Target, from: String, builds: Builds) {
        let name = target.name.clone();
        let is_foreign_test = kind == "test" && is_foreign(&from);
        if builds == Builds::Surely {
            match kind {
                "program" | "script" => self.installed.push((format!("bin/{name}"), name.clone())),
                "library" => self.libraries.push(name.clone()),
                "test" if !is_foreign_test => self.tests.push(name.clone()),
                _ => {}
            }
        }
        self.summaries.push(Summary { kind, name, from });
        self.targets.push(target);
    }

    /// Says that a program uses the library, so that `default` need not name it.
    pub(crate) fn uses(&mut self, library: &str) {
        self.used.insert(library.to_owned());
    }

    /// Takes out of the groups what needs such a file, directly or through others.
    fn leave_out(&mut self, is_unreadable: impl Fn(&str) -> bool) {
        let mut out: BTreeSet<String> = BTreeSet::new();
        loop {
            let needs = |target: &&Target| {
                target.texts_of_all().any(|text| is_unreadable(text) || out.contains(text))
            };
            let names = self.targets.iter().filter(|target| !out.contains(&target.name)).filter(needs);
            let more: Vec<String> = names.map(|target| target.name.clone()).collect();
            if more.is_empty() {
                break;
            }
            out.extend(more);
        }
        self.tests.retain(|name| !out.contains(name));
        self.installed.retain(|(_, name)| !out.contains(name));
        self.libraries.retain(|name| !out.contains(name));
    }

    /// Adds the target that is built if a call names none, and one of all tests.
    /// `is_unreadable`: whether a text is the path of a file that cannot be read as it is.
    pub(crate) fn add_groups(&mut self, is_unreadable: impl Fn(&str) -> bool) {
        self.leave_out(is_unreadable);
        if !self.tests.is_empty() {
            let all = Target::new("tests", Rule::InTheBox("", "suite")).texts("tainted", ["test"]);
            self.targets.insert(0, all.texts("tests", self.tests.clone()));
        }
        let unused = self.libraries.iter().filter(|name| !self.used.contains(*name));
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
