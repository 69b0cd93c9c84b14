//! Names of targets: short, typed without quotes, and each used once.
//!
//! A name in a field is that of a target, or else of a file of the module. So no target has the name of a file.

use std::collections::BTreeSet;

use crate::{paths, tree::Tree};

/// The names that are in use.
pub(crate) struct Names {
    // With all paths of files: in a field a name of a target is found first, and would hide the file.
    taken: BTreeSet<String>,
    project: String,
}

/// Directories whose name says nothing about what is in them.
// A target `src` would say no more than its directory.
const NAMELESS: [&str; 8] = ["src", "source", "sources", "lib", "include", "inc", "core", "code"];

impl Names {
    pub(crate) fn new(tree: &Tree, project: &str) -> Names {
        let mut taken: BTreeSet<String> = (0..tree.len()).map(|index| tree.path(index).to_owned()).collect();
        // The two targets that every proposal has (`proposal.rs`).
        taken.extend(["default", "tests"].map(str::to_owned));
        Names { taken, project: word(project) }
    }

    /// What a directory is called: its last component that says something, or else the project.
    pub(crate) fn of_directory(&self, directory: &str) -> String {
        let says_something = |part: &&str| !part.is_empty() && !NAMELESS.contains(part);
        directory.split('/').rev().find(says_something).map_or_else(|| self.project.clone(), word)
    }

    /// The first of these names that is not in use, or the last one with a number. `more` are longer names.
    pub(crate) fn take(&mut self, name: &str, more: &[String]) -> String {
        let wishes: Vec<String> =
            std::iter::once(name).chain(more.iter().map(String::as_str)).map(word).collect();
        let last = wishes.last().cloned().unwrap_or_default();
        // From 2: the first one has no number.
        let numbered = (2..).map(|number| format!("{last}-{number}"));
        for wish in wishes.into_iter().chain(numbered) {
            if self.taken.insert(wish.clone()) {
                return wish;
            }
        }
        last
    }

    /// The name for what is made from a file.
    pub(crate) fn of_file(&mut self, name: &str, path: &str) -> String {
        let directory = paths::parent(path);
        let long = format!("{}-{name}", self.of_directory(directory));
        self.take(name, &[long, format!("{directory}-{name}")])
    }

    /// The name for what is made from a directory, or from the sources there that need a library of the system. If
    /// something has its name already, it is the library of that.
    pub(crate) fn of_library(&mut self, directory: &str, package: Option<&str>) -> String {
        let name = self.of_directory(directory);
        if let Some(package) = package {
            return self.take(&format!("{name}-{package}"), &[format!("{directory}-{package}")]);
        }
        self.take(&name, &[format!("lib{name}"), format!("lib-{directory}")])
    }
}

/// A text as a name that needs no quotes in a shell, and is neither a path nor an option.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_+-.".contains(c);
    let plain: String = text
        .chars()
        .map(|c| {
            if is_plain(c) {
                c
            } else if c == '/' {
                '-'
            } else {
                '_'
            }
        })
        .collect();
    // At the beginning these would make an option or a hidden file of it.
    let plain = plain.trim_matches(|c| "-.+".contains(c));
    if plain.is_empty() { "project".to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_words_and_each_is_used_once() {
        let mut names = Names::new(&Tree::new(Vec::new()), "my project");
        assert_eq!(names.of_directory("src"), "my_project");
        assert_eq!(names.of_directory("net/src"), "net");
        assert_eq!(names.of_file("lua", "src/lua.c"), "lua");
        assert_eq!(names.of_library("deps/lua/src", None), "liblua");
        assert_eq!(names.of_library("deps/lua/src", None), "lib-deps-lua-src");
        assert_eq!(names.of_library("deps/lua/src", Some("zlib")), "lua-zlib");
        assert_eq!(names.of_file("default", "a b/default.c"), "a_b-default");
        assert_eq!(word("--"), "project");
    }
}
