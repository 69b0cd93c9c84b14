//! Every parser as a function of bytes, with the properties that hold for all of them.
//!
//! A target takes any bytes and returns. It panics if the parser does, or if decoded data does not survive encoding.
//! The same functions are used by a coverage-guided fuzzer (`fuzz/` at the root, a workspace of its own since it needs
//! a nightly compiler) and by the ordinary tests, which give them the corpus and some thousand mutations of it that are
//! the same on every machine.
//!
//! The corpus of texts is in `fuzz/corpus/TARGET`, where people can read it; that of binary formats is in code, for the
//! same reason.
#![allow(clippy::disallowed_methods, reason = "a test tool: files of its own, in temporary directories")]

mod archives;
mod binary;
mod descriptions;
mod dialect;
mod project;
mod runs;
mod text;

/// A parser of untrusted bytes.
#[derive(Clone, Copy)]
pub struct Target {
    /// Its name, and that of the directory of its corpus.
    pub name: &'static str,
    /// Parses the bytes.
    pub run: fn(&[u8]),
    /// Valid inputs, for binary formats.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// How many inputs the ordinary tests can afford.
    pub share: usize,
}

fn none() -> Vec<Vec<u8>> {
    Vec::new()
}

const fn text(name: &'static str, share: usize, run: fn(&[u8])) -> Target {
    Target { name, run, seeds: none, share }
}

const fn binary(name: &'static str, run: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>) -> Target {
    Target { name, run, seeds, share: 3000 }
}

/// All targets.
pub const TARGETS: &[Target] = &[
    // How many depends on what one input takes: those that open files or begin a build have the fewest.
    text("json", 3000, text::json),
    text("dialect", 5000, dialect::dialect),
    text("expression", 3000, text::expression),
    text("name", 2000, text::name),
    text("object_id", 2000, text::object_id),
    text("command_line", 100, text::command_line),
    text("completion", 100, text::completion),
    text("graph", 2000, text::graph),
    text("cache_entry", 1000, text::cache_entry),
    text("event_log", 2000, text::event_log),
    text("depfile", 3000, text::depfile),
    text("c_source", 3000, text::c_source),
    text("repositories", 500, project::repositories),
    text("description", 1000, descriptions::description),
    text("rc", 1000, descriptions::rc),
    text("project", 150, project::project),
    binary("git_tree", binary::git_tree, binary::git_trees),
    binary("message", binary::message, binary::messages),
    binary("received_tree", binary::received_tree, binary::received_trees),
    binary("value", binary::value, binary::values),
    Target { name: "archive", run: archives::archive, seeds: archives::archives, share: 1000 },
    Target { name: "runs", run: runs::runs, seeds: runs::run_files, share: 200 },
    Target { name: "sealed_runs", run: runs::sealed_runs, seeds: runs::sealed_run_files, share: 300 },
];

/// The target of that name.
///
/// # Panics
///
/// If no target has that name.
pub fn target(name: &str) -> Target {
    *TARGETS.iter().find(|target| target.name == name).expect("a target of that name")
}
