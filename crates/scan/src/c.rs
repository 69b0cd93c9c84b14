//! Targets for C, C++ and assembler: a library for each directory with sources, a program or test for each source with
//! a function `main`.
//!
//! What belongs together is decided by includes, and by lists of objects in build files (`lists.rs`). The steps, each
//! of which needs all of the one before:
//!
//! 1. each `#include` is resolved in the tree (`facts.rs`, `includes.rs`);
//! 2. files become libraries and programs (`libraries.rs`, `apart.rs`);
//! 3. libraries get public headers, and names for these (`publish.rs`);
//! 4. each target gets the files that its sources include. This imitates what a compiler will find in the directory of
//!    the action (`staging.rs`), so a layout that the simple rules do not fit still compiles.

mod commands;
mod condition;
mod describe;
mod facts;
mod includes;
mod lex;
mod libraries;
mod lists;
mod package_sources;
mod publish;
mod staging;
mod system;

pub(crate) use commands::is_build_file;
pub(crate) use libraries::is_test;

use std::collections::BTreeSet;

use crate::{names::Names, paths, proposal::Proposal, tree::Tree};

/// What a file is, by its ending.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    C,
    Cxx,
    Assembler,
    Header,
}

/// What the file is; nothing if it is neither a source nor a header.
pub(crate) fn kind(path: &str) -> Option<Kind> {
    // The endings by which GCC chooses a language (gcc(1), "Options Controlling the Kind of Output"), and those usual
    // for headers.
    Some(match paths::ending(path) {
        "c" => Kind::C,
        "cc" | "cpp" | "cxx" | "c++" | "C" => Kind::Cxx,
        "s" | "S" => Kind::Assembler,
        "h" | "hh" | "hpp" | "hxx" | "h++" | "H" | "inl" | "ipp" | "tcc" | "tpp" => Kind::Header,
        _ => return None,
    })
}

pub(crate) fn propose(tree: &Tree, names: &mut Names, proposal: &mut Proposal) {
    if !(0..tree.len()).any(|index| kind(tree.path(index)).is_some()) {
        return;
    }
    for index in
        (0..tree.len()).filter(|index| matches!(paths::ending(tree.path(*index)), "cppm" | "ixx" | "mpp"))
    {
        proposal.note(modules_not_supported(tree.path(index)));
    }
    let facts = facts::of_tree(tree);
    for index in (0..tree.len()).filter(|index| facts[*index].is_module) {
        proposal.note(modules_not_supported(tree.path(index)));
    }
    let includes = includes::resolve(tree, &facts);
    let mut libraries = libraries::divide(tree, &facts, &includes);
    publish::publish(tree, &includes, &mut libraries);
    describe::describe(tree, &includes, &libraries, names, proposal);
}

fn modules_not_supported(path: &str) -> String {
    format!("{path}: C++20 modules are not supported by the rules in the box.")
}

/// How many facts a text has: for tests of the lexer with texts that need not be C.
pub(crate) fn count_facts(text: &[u8]) -> usize {
    let facts = facts::of_text(text, Kind::Cxx, Some(&BTreeSet::new()), &BTreeSet::new());
    facts.includes.len() + facts.defined.len() + usize::from(facts.main.is_some())
}
