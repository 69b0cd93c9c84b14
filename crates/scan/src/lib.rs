//! Targets for a tree of sources, proposed from their contents.
//!
//! The answer is a targets file for the top of the tree, with the rules in the box, and notes about what cannot be
//! known from sources. Nothing here reads a file or runs a program: a tree is a list of paths and contents, and the
//! same tree gives the same targets on every machine. So a header is known to be one of the system by its name only
//! (`c/system.rs`). Which of the targets surely build, and are in `default` and `tests`, depends on the machine, too:
//! [`Machine`].
//!
//! All targets are in one module, since a source may include files of any directory above it, and a path of a module
//! does not lead out of it.

mod c;
mod edges;
mod names;
mod packages;
mod paths;
mod proposal;
mod python;
mod rust;
mod shell;
mod target;
mod tree;

pub use proposal::{Proposal, Summary};
pub use tree::SourceFile;

use std::collections::BTreeSet;

use names::Names;
use tree::Tree;

/// The endings of the names of files whose contents are needed.
// `def` and `inc`: files of macros and tables, which sources include and which include others.
const READ: [&str; 6] = ["py", "rs", "sh", "toml", "def", "inc"];

/// Whether the content of the file decides anything. Of other files the path is enough.
pub fn is_read(path: &str) -> bool {
    READ.contains(&paths::ending(path)) || c::kind(path).is_some() || c::is_build_file(path)
}

/// What decides, apart from sources, whether a target builds.
pub struct Machine<'m> {
    /// Directories that taut cannot read as they are.
    pub unreadable: &'m BTreeSet<String>,
    /// Whether pkg-config finds a library. It is asked for those that the targets need, once for each.
    pub has_package: &'m dyn Fn(&str) -> bool,
}

/// Proposes targets for all files of a directory. `project` is the name of what is in it, e.g. that of the directory.
pub fn propose(files: Vec<SourceFile>, project: &str, machine: &Machine<'_>) -> Proposal {
    let tree = Tree::new(files);
    let mut names = Names::new(&tree, project);
    let mut proposal = Proposal::of(projects_in_tests(&tree));
    // C first: of names that two languages would have, its targets get the short ones.
    c::propose(&tree, &mut names, &mut proposal);
    python::propose(&tree, &mut names, &mut proposal);
    rust::propose(&tree, &mut names, &mut proposal);
    shell::propose(&tree, &mut names, &mut proposal);
    let is_unreadable =
        |path: &str| tree.find(path).is_some() && machine.unreadable.contains(paths::parent(path));
    proposal.add_groups(is_unreadable, machine.has_package);
    proposal
}

/// The lexer of C and what is understood of its lines, for texts that need not be C.
#[doc(hidden)]
pub fn read_c(text: &[u8]) -> usize {
    c::count_facts(text)
}

/// Whether a path is that of a file of another project, whose sources are kept in this one: below one of some
/// directories, or by a name on the way.
fn is_foreign(path: &str, others: &BTreeSet<String>) -> bool {
    // The usual names; a project that uses another one only gets tests too many.
    let mut names = paths::parent(path).split('/');
    names.any(|name| matches!(name, "deps" | "third_party" | "vendor"))
        || others.iter().any(|directory| paths::is_within(path, directory))
}

/// The directories of projects that are kept among the tests, as test frameworks are: those with a licence of their
/// own.
// Among tests only: elsewhere each part of one project may have a copy of the licence.
fn projects_in_tests(tree: &Tree) -> BTreeSet<String> {
    let licences = (0..tree.len()).map(|file| tree.path(file)).filter(|path| {
        let name = paths::name(path).to_ascii_lowercase();
        ["license", "licence", "copying"].iter().any(|word| name.starts_with(word))
    });
    let directories = licences.map(|path| {
        let directory = paths::parent(path);
        let is_of_documents = matches!(paths::name(directory), "doc" | "docs");
        if is_of_documents { paths::parent(directory) } else { directory }
    });
    let is_among_tests = |directory: &&str| c::is_test(&format!("{}/x", paths::parent(directory)));
    directories.filter(is_among_tests).map(str::to_owned).collect()
}
