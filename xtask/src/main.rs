//! Development commands, called as `cargo xtask COMMAND`.
//!
//! All tasks of a developer or a build machine that are more than one cargo command are here, in Rust, so that they run
//! wherever the project compiles. taut is used from outside only, as a binary.
#![allow(clippy::disallowed_methods, reason = "development tools are not a part of the product")]

mod answers;
mod apt;
mod bench;
mod cargo;
mod ci;
mod clangd;
mod demo;
mod diff;
mod edits;
mod engines;
mod fuzz;
mod header_edits;
mod import_cycles;
mod licences;
mod measure;
mod messages;
mod pages;
mod proto;
mod realworld;
mod recording;
mod reference_scripts;
mod rulesets;
mod soak;
mod stdrules;
mod tidy;
mod words;

use std::process::ExitCode;

use anyhow::{Result, bail};

// Written by hand: the commands read their words themselves, as each has its own few options.
const USAGE: &str = "\
cargo xtask COMMAND

  demo                 build taut, then an example with it; install and run the result
  ci [CHECK…]          every check a change must pass, or some: tidy, format, clippy, documentation, tests
  clangd               clangd opens the files of the examples by what compile-commands writes
  diff --messages
  diff [--cases N | --expressions N] [--seed S] [--only analyse] [--shrink N] [--out DIR]
                       random projects or expressions, taut and the reference side by side
  edits [lua | redis] [--edits N] [--batch N] [--seconds S] [--seed S]
                       random edits of a real project; after each batch a build from nothing has to give the same
  edits headers [--edits N] [--seconds S] [--seed S]
                       random edits of C++ with deep headers, beside builds from nothing and ninja (or what NINJA names)
  engines [SCRIPTS [DIR]]
                       the calls on the page about servers, against real ones; scripts in SCRIPTS start them
  fuzz TARGET [SECONDS]
                       a coverage-guided fuzzer on one of the targets of fuzz/; wants a nightly compiler
  expressions N SEED   random expressions, one a line, as cases for crates/expr/tests/cases
  proto                examples/proto built with the real protoc; its programs run
  recording            the picture in the README, drawn from a real run on a terminal
  reference-scripts DIR [--only WORD]… [--kind plain|remote|serve]… [--jobs N] [--limit SECONDS] [--compatible]
                       the end-to-end scripts of a checkout of justbuild, with taut in its place
  realworld            a C library from the registry built with taut; its tests run
  rulesets [--rules DIR] [--if-available]
                       small projects with justbuild's own rule sets, unchanged
  stdrules [lua] [redis]
                       Lua and Redis, described with the rules in the box, beside what make builds
  soak                 the long versions of the tests: hundreds of kills, many random cases
  soak servers [SEEDS [TEST]…]
                       what goes wrong with servers, on a thousand seeds
  bench build [--json FILE] [--quick] [--size N] [--shape S] [--rounds N] [--jobs N]
                       cost of builds beside just and ninja, where they are installed
  bench analysis [--json FILE] [--quick] [--workload W] [--rounds N] [--write DIR]
                       cost of analysing descriptions beside just; or only the projects
  bench engine [--json FILE] [--quick] [--rounds N] [--only WORD]
                       the engine beside salsa, Incremental, LMDB and bare loops, by its goals
  bench exports [--json FILE] [--quick] [--repositories N] [--rounds N]
                       cost of a build whose dependencies are all in the target-level cache, beside just
  bench remote [--json FILE] [--quick] [--size N] [--rounds N] [--jobs N] [--round-trip MS]
                       cost of a remote cache: without it, with an empty one, with one that has everything
  bench remote-execution [--json FILE] [--quick] [--size N] [--rounds N] [--standard] [--library]
                    [--cores N] [--takes MS] [--round-trip MS]
                       cost of execution by a server beside just; or of a C library that a cache has
  bench setup [--archives N] [--files N] [--json FILE] [--quick] [--rounds N]
                       cost of setting up repositories beside just-mr
  bench incremental [--json FILE] [--quick] [--size N] [--shape S] [--rounds N] [--jobs N]
                    [--only PHASE,…] [--without TOOL,…] [--edits N] [--syscalls]
                       cost of cold builds and of building again, by what changed, beside just, ninja, n2
                       and a statx loop; the bars, and whether they are reached
  tidy                 only the house rules: crate directions, file headers, licences
";

fn main() -> ExitCode {
    // Not by returning the error: with RUST_BACKTRACE, which developers set, that prints a backtrace below each
    // message.
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    // The words are passed on as they are: no command shares options with another.
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some((command, rest)) = args.split_first() else {
        bail!("no command given\n\n{USAGE}");
    };
    match command.as_str() {
        "demo" => demo::run(),
        "ci" => ci::run(rest),
        "bench" => bench::run(rest),
        // Both are started by `bench` itself: one runs what is measured, the other is compared with it.
        "measure" => measure::run(rest),
        "statx-loop" => measure::statx_loop::run(rest),
        "clangd" => clangd::run(),
        "proto" => proto::run(),
        "realworld" => realworld::run(),
        "recording" => recording::run(),
        "reference-scripts" => reference_scripts::run(rest),
        "diff" => diff::run(rest),
        "edits" => match rest {
            [word, rest @ ..] if word == "headers" => header_edits::run(rest),
            _ => edits::run(rest),
        },
        "engines" => engines::run(rest),
        "fuzz" => fuzz::run(rest),
        "rulesets" => rulesets::run(rest),
        "soak" => soak::run(rest),
        "stdrules" => stdrules::run(rest),
        "expressions" => diff::print_expressions(rest),
        "tidy" => tidy::run(),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(())
        }
        other => bail!("unknown command {other} {rest:?}\n\n{USAGE}"),
    }
}
