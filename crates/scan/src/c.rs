//! Targets for C, C++ and assembler: a library for each directory with sources, a program or test for each source with
//! a function `main`.
//!
//! What belongs together is decided by includes, and by lists of objects in build files (`lists.rs`). First each
//! `#include` is resolved in the tree (`includes.rs`); then files become libraries and programs (`libraries.rs`,
//! `apart.rs`), libraries get public headers and the names of these (`publish.rs`), and each target gets the files that
//! its sources include. The last step imitates what a compiler will find in the directory of the action (`staging.rs`),
//! so a layout that the simple rules do not fit still compiles.

mod apart;
mod commands;
mod condition;
mod describe;
mod facts;
mod includes;
mod lex;
mod libraries;
mod lists;
mod publish;
mod staging;
mod system;

pub(crate) use commands::is_makefile;
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
    // Each step needs all of the one before: what belongs together depends on the includes of the whole tree.
    let includes = includes::resolve(tree, &facts);
    let mut libraries = libraries::divide(tree, &facts, &includes);
    publish::publish(tree, &includes, &mut libraries);
    describe::describe(tree, &includes, &libraries, names, proposal);
}

fn modules_not_supported(path: &str) -> String {
    format!("{path}: C++20 modules are not supported by the rules in the box.")
}

/// How many things are understood in a text: for the tests of the lexer.
pub(crate) fn weight(text: &[u8]) -> usize {
    let facts = facts::of_text(text, Kind::Cxx, Some(&BTreeSet::new()));
    facts.includes.len() + facts.defined.len() + usize::from(facts.main.is_some())
}
