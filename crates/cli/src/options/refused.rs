//! Options of a group that a subcommand cannot use are refused: no option is ignored silently.
//!
//! The subcommands that the reference has accept all options that they accept there, used or not, since wrappers pass
//! the same options to all of them.

use clap::{ArgMatches, parser::ValueSource};

/// Options about what a build delivers, and where it ends. Commands that build for a purpose of their own decide these.
const ABOUT_RESULTS: [&str; 11] = [
    "check_traces",
    "request_action_input",
    "dump_graph",
    "dump_plain_graph",
    "dump_artifacts_to_build",
    "dump_artifacts",
    "show_runfiles",
    "print_to_stdout",
    "print_unique_artifact",
    "rerun",
    "target_cache_write_strategy",
];

/// An option that is not a choice where nothing else is done.
const KEEP_GOING: [&str; 1] = ["keep_going"];

const ABOUT_REMOTE_CACHE: [&str; 3] = ["remote_cache", "remote_cache_write", "remote_cache_timeout"];

/// Subcommands, what they refuse, and why: one row for each reason, so that a subcommand may have several.
pub(super) const REFUSED: [(&str, &[&str], &str); 12] = [
    ("analyse", &ABOUT_REMOTE_CACHE, "it runs nothing"),
    ("rebuild", &ABOUT_REMOTE_CACHE, "it compares with what is cached here"),
    (
        "watch",
        &[
            "check_traces",
            "profile",
            "request_action_input",
            "dump_graph",
            "dump_plain_graph",
            "dump_artifacts_to_build",
            "dump_artifacts",
            "show_runfiles",
            "print_to_stdout",
            "print_unique_artifact",
            "rerun",
        ],
        "it does not end; use build or install",
    ),
    ("test", &ABOUT_RESULTS, "it runs tests, all of them, and delivers nothing else; use build or install"),
    ("compile-commands", &ABOUT_RESULTS, "it builds only what sources include; use build or install"),
    ("test", &KEEP_GOING, "it goes on after failures in any case"),
    ("compile-commands", &KEEP_GOING, "it goes on after failures in any case"),
    (
        "explain",
        &["check_traces", "no_trace", "profile", "request_action_input"],
        "it reads the record of an earlier call and runs nothing",
    ),
    ("what-if", &["profile", "request_action_input"], "it runs nothing"),
    ("traverse", &["rerun"], "a graph has no targets to analyse; use build or install"),
    ("rebuild", &["rerun"], "it runs all actions again; use build or install"),
    ("rebuild", &["check_traces"], "it ignores cached build state anyway"),
];

/// Whether a subcommand has no use for an option.
pub(crate) fn is_refused(subcommand: &str, option: &str) -> bool {
    REFUSED.iter().any(|(name, options, _)| *name == subcommand && options.contains(&option))
}

/// Why a subcommand has no use for an option, if it has none; the option as it is typed.
pub(super) fn why_refused(subcommand: &str, option: &str) -> Option<&'static str> {
    let id = option.strip_prefix("--")?.replace('-', "_");
    let refused = REFUSED.iter().find(|(name, options, _)| *name == subcommand && options.contains(&&*id));
    refused.map(|(_, _, why)| *why)
}

/// The error for an option that the subcommand has no use for.
pub(super) fn refusal(matches: &ArgMatches) -> Option<String> {
    let (name, matches) = matches.subcommand()?;
    // Defaults do not count as given.
    let given = |option: &&&str| matches.value_source(option) == Some(ValueSource::CommandLine);
    REFUSED.iter().filter(|(refusing, ..)| *refusing == name).find_map(|(_, options, why)| {
        let option = options.iter().find(given)?.replace('_', "-");
        Some(format!("--{option} is not for {name}: {why}"))
    })
}
