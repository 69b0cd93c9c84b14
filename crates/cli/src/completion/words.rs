//! Candidates for the word at the cursor, by the words before it and the definition of the command line.

use std::{collections::BTreeMap, path::Path};

use clap::{Arg, Command};

use super::{Candidate, actions, repositories::Description, targets};
use crate::options::definition;

/// The candidates for the word at the cursor.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) candidates: Vec<Candidate>,
    pub(super) otherwise: ShellFallback,
}

/// What the shell offers by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ShellFallback {
    Nothing,
    Files,
    Directories,
}

impl Offer {
    /// The candidates that begin like the word at the cursor.
    fn of(candidates: impl IntoIterator<Item = Candidate>, current: &str) -> Offer {
        let mut candidates: Vec<_> = candidates
            .into_iter()
            // A control character would be taken for the end of a candidate.
            .filter(|candidate| {
                candidate.text.starts_with(current) && !candidate.text.contains(char::is_control)
            })
            .collect();
        candidates.sort();
        candidates.dedup_by(|a, b| a.text == b.text);
        Offer { candidates, otherwise: ShellFallback::Nothing }
    }

    fn by_shell(otherwise: ShellFallback) -> Offer {
        Offer { candidates: Vec::new(), otherwise }
    }
}

/// Options whose values are directories.
// By id, as the value names of the definition are for people, and several kinds share one.
const DIRECTORIES: [&str; 8] = [
    "workspace_root",
    "target_root",
    "rule_root",
    "expression_root",
    "local_build_root",
    "output_dir",
    "output_directory",
    "distdir",
];

/// Options whose values are paths in a result, which is not known here.
const IN_RESULTS: [&str; 2] = ["print_to_stdout", "sub_object_path"];

/// The candidates for the word at the cursor, which begins with `current`. `before`: the words before it, the
/// subcommand first.
pub(super) fn offer(before: &[&str], current: &str, cwd: &Path) -> Offer {
    // The definition that words are parsed by, so what is offered is what is accepted.
    let tool = definition("taut");
    let (name, before) = match before {
        // It is followed by another subcommand.
        ["do", rest @ ..] => return offer(rest, current, cwd),
        // The parser reads it as `COMMAND --help`.
        ["help"] => return of_tool(&tool, current),
        [name, before @ ..] => (*name, before),
        [] => return of_tool(&tool, current),
    };
    let Some(command) = tool.find_subcommand(name) else { return Offer::by_shell(ShellFallback::Nothing) };
    let given = TypedWords::of(before, command);
    let value = |arg, lead: &str, begun: &str| value(arg, lead, begun, cwd, &given.values);
    if let Some(arg) = given.unfinished {
        return value(arg, "", current);
    }
    if !given.has_only_names && current.starts_with('-') {
        return match current.split_once('=') {
            None => Offer::of(options(command, current), current),
            Some((option, begun)) => {
                match option.strip_prefix("--").and_then(|long| by_long(command, long)) {
                    Some(arg) => value(arg, &format!("{option}="), begun),
                    None => Offer::by_shell(ShellFallback::Nothing),
                }
            }
        };
    }
    match command.get_positionals().find(|arg| !arg.is_hide_set()) {
        Some(arg) => value(arg, "", current),
        None => Offer::by_shell(ShellFallback::Nothing),
    }
}

fn of_tool(tool: &Command, current: &str) -> Offer {
    let about = |command: &Command| command.get_about().map(ToString::to_string).unwrap_or_default();
    let subcommands = tool
        .get_subcommands()
        .filter(|subcommand| !subcommand.is_hide_set())
        .map(|subcommand| Candidate::new(subcommand.get_name(), about(subcommand)));
    let version = Candidate::new("--version", "Print the version in one line");
    // Options are offered where one is begun.
    let options = options(tool, current).into_iter().chain([version]).filter(|_| current.starts_with('-'));
    Offer::of(subcommands.chain(options), current)
}

/// The options and names between subcommand and cursor.
struct TypedWords<'c> {
    /// An option whose value is still to come.
    unfinished: Option<&'c Arg>,
    /// Whether all that follows is a name.
    has_only_names: bool,
    /// The last value of each option.
    values: BTreeMap<&'c str, String>,
}

impl<'c> TypedWords<'c> {
    fn of(words: &[&str], command: &'c Command) -> TypedWords<'c> {
        let mut given = TypedWords { unfinished: None, has_only_names: false, values: BTreeMap::new() };
        for word in words {
            if let Some(arg) = given.unfinished.take() {
                given.values.insert(arg.get_id().as_str(), (*word).to_owned());
                continue;
            }
            if *word == "--" {
                given.has_only_names = true;
                break;
            }
            if let Some(long) = word.strip_prefix("--") {
                let (long, value) = match long.split_once('=') {
                    Some((long, value)) => (long, Some(value)),
                    None => (long, None),
                };
                match (by_long(command, long).filter(|arg| takes_value(arg)), value) {
                    (Some(arg), Some(value)) => {
                        given.values.insert(arg.get_id().as_str(), value.to_owned());
                    }
                    (arg, _) => given.unfinished = arg,
                }
            } else if let Some(letters) = word.strip_prefix('-') {
                // The first letter that takes a value has the rest of the word, or the next word.
                // As the parser reads a cluster (`options/words.rs`).
                let found = letters.char_indices().find_map(|(at, letter)| {
                    let arg = command.get_arguments().find(|arg| arg.get_short() == Some(letter))?;
                    takes_value(arg).then(|| (arg, &letters[at + letter.len_utf8()..]))
                });
                match found {
                    Some((arg, "")) => given.unfinished = Some(arg),
                    Some((arg, value)) => {
                        given.values.insert(arg.get_id().as_str(), value.to_owned());
                    }
                    None => {}
                }
            }
        }
        given
    }
}

fn by_long<'c>(command: &'c Command, long: &str) -> Option<&'c Arg> {
    command.get_arguments().find(|arg| arg.get_long() == Some(long))
}

fn takes_value(arg: &Arg) -> bool {
    arg.get_action().takes_values()
}

/// The options of a command; short ones only where the word is no more than a dash.
fn options(command: &Command, current: &str) -> Vec<Candidate> {
    let visible = command.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional());
    visible
        .flat_map(|arg| {
            let help = arg.get_help().map(ToString::to_string).unwrap_or_default();
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().filter(|_| current == "-").map(|short| format!("-{short}"));
            [long, short].into_iter().flatten().map(move |text| Candidate::new(text, help.clone()))
        })
        .collect()
}

/// The values of an option or argument that begin with `begun`. `lead`: the part of the word before the value. `given`:
/// the values of other options.
fn value(arg: &Arg, lead: &str, begun: &str, cwd: &Path, given: &BTreeMap<&str, String>) -> Offer {
    if !takes_value(arg) {
        return Offer::by_shell(ShellFallback::Nothing);
    }
    let of = |values: Vec<Candidate>| {
        // With what is before it in the word: shells replace the whole word at the cursor.
        let led = |value: Candidate| Candidate { text: format!("{lead}{}", value.text), ..value };
        Offer::of(values.into_iter().map(led), &format!("{lead}{begun}"))
    };
    let possible = arg.get_possible_values();
    if !possible.is_empty() {
        return of(possible.iter().map(|value| Candidate::new(value.get_name(), "")).collect());
    }
    let id = arg.get_id().as_str();
    let names = arg.get_value_names().unwrap_or_default();
    let is = |kind: &str| names.iter().any(|name| name.split('|').any(|name| name == kind));
    // By the names of values in the help: they say what kind of word is expected, and a new option
    // needs no entry here.
    if is("ACTION") || is("%ACTION") && begun.starts_with('%') {
        return of(actions::candidates(cwd, given));
    }
    if is("TARGET") {
        return of(targets::candidates(begun, cwd, given));
    }
    if is("MAIN") || is("REPOSITORY") || id == "main" {
        return of(Description::of(cwd, given).map(|all| all.candidates()).unwrap_or_default());
    }
    Offer::by_shell(match () {
        () if IN_RESULTS.contains(&id) => ShellFallback::Nothing,
        () if DIRECTORIES.contains(&id) || is("DIR") => ShellFallback::Directories,
        () if is("PATH") || is("FILE") => ShellFallback::Files,
        () => ShellFallback::Nothing,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(before: &[&str], current: &str) -> Vec<String> {
        let offer = offer(before, current, Path::new("/"));
        offer.candidates.into_iter().map(|candidate| candidate.text).collect()
    }

    fn otherwise(before: &[&str], current: &str) -> ShellFallback {
        offer(before, current, Path::new("/")).otherwise
    }

    #[test]
    fn subcommands_come_first() {
        assert_eq!(texts(&[], "in"), ["init", "install", "install-cas"]);
        assert_eq!(texts(&[], "--v"), ["--version"]);
        assert_eq!(texts(&["do"], "buil"), ["build"]);
        assert!(!texts(&[], "").contains(&"serve".to_owned()), "it is not supported");
    }

    #[test]
    fn options_are_those_of_the_subcommand() {
        assert_eq!(texts(&["test"], "--fi"), ["--filter"]);
        assert_eq!(texts(&["build"], "--fi"), [""; 0]);
        assert_eq!(texts(&["test", "--", "a"], "--fi"), [""; 0]);
        // Refused by `test`.
        assert_eq!(texts(&["test"], "--rer"), [""; 0]);
        assert!(texts(&["build"], "-").contains(&"-D".to_owned()));
    }

    #[test]
    fn values_are_those_of_the_option() {
        assert_eq!(texts(&["build", "--color"], "a"), ["always", "auto"]);
        assert_eq!(texts(&["build"], "--color=n"), ["--color=never"]);
        assert_eq!(texts(&["init", "--template"], "p"), ["python"]);
        assert_eq!(texts(&["completions"], ""), ["bash", "fish", "zsh"]);
    }

    #[test]
    fn paths_are_left_to_the_shell() {
        assert_eq!(otherwise(&["build", "-c"], ""), ShellFallback::Files);
        assert_eq!(otherwise(&["build", "-vc"], ""), ShellFallback::Files);
        assert_eq!(otherwise(&["build", "-cx"], "--fi"), ShellFallback::Nothing);
        assert_eq!(otherwise(&["build", "--log-file="], ""), ShellFallback::Nothing);
        assert_eq!(otherwise(&["build"], "--log-file=a"), ShellFallback::Files);
        assert_eq!(otherwise(&["install", "-o"], "ou"), ShellFallback::Directories);
        assert_eq!(otherwise(&["what-if"], ""), ShellFallback::Files);
        assert_eq!(otherwise(&["build", "-P"], ""), ShellFallback::Nothing);
        assert_eq!(otherwise(&["init"], ""), ShellFallback::Directories);
    }
}
