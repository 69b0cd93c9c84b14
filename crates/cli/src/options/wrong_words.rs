//! The errors of a command line under the name `taut`, in the form of all other messages: what is wrong, what was
//! probably meant, and which call shows what there is.

use std::{collections::BTreeMap, error::Error as _, ffi::OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use taut_syntax::{did_you_mean, quoted, with_and};

use super::refused::why_refused;
use crate::reproduce::quoted as for_shell;

/// Options of other build tools, and what they are called here.
const FOREIGN_OPTIONS: [(&str, &str); 1] = [("-k", "--keep-going")];

/// Commands of other build tools, and what does the same here.
const FOREIGN_COMMANDS: [(&[&str], &str); 4] = [
    (&["clean"], "nothing has to be cleaned; gc --all empties the build root"),
    (&["run"], "install writes a program to a directory, where it can be called; test runs tests"),
    (
        &["query", "cquery", "aquery", "list", "ls", "targets"],
        "describe shows targets, analyse what is built from what",
    ),
    (&["compile", "make"], "did you mean build?"),
];

/// Where this is the whole call, it is answered before words are parsed.
const VERSION: &str = "--version";

/// How many commands that have an option are named.
const MAX_OWNERS: usize = 6;

/// What is wrong with the words of a call.
pub(super) struct WrongWords {
    text: String,
    help: Option<String>,
}

impl From<String> for WrongWords {
    fn from(text: String) -> WrongWords {
        WrongWords { text, help: None }
    }
}

impl WrongWords {
    /// What the parser of `tool` found.
    pub(super) fn of(error: &clap::Error, words: &[OsString], tool: &clap::Command) -> WrongWords {
        let all = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => vec![text.clone()],
            Some(ContextValue::Strings(texts)) => texts.clone(),
            _ => Vec::new(),
        };
        let first = |kind| all(kind).into_iter().next().unwrap_or_default();
        let option = first(ContextKind::InvalidArg);
        // `--jobs <NUM>`: the option, and what its value is called.
        let (name, kind) = option.split_once(' ').unwrap_or((&option, ""));
        let given = first(ContextKind::InvalidValue);
        match error.kind() {
            ErrorKind::InvalidSubcommand => unknown_command(&first(ContextKind::InvalidSubcommand), tool),
            ErrorKind::UnknownArgument if name.starts_with('-') => unknown_option(name, words, tool),
            ErrorKind::UnknownArgument => format!("unexpected argument {}", quoted(&option)).into(),
            ErrorKind::InvalidValue if given.is_empty() => {
                format!("{name} needs a value: {}", plain(kind)).into()
            }
            ErrorKind::InvalidValue => {
                let values = all(ContextKind::ValidValue);
                let text = format!(
                    "{} is not a value of {}, which are {}",
                    quoted(&given),
                    plain(name),
                    with_and(&values)
                );
                let meant = did_you_mean(&given, values.iter().map(String::as_str));
                WrongWords { text, help: meant.map(|meant| format!("did you mean {meant}?")) }
            }
            ErrorKind::ValueValidation => {
                let why = error.source().map(ToString::to_string).unwrap_or_default();
                format!("{} is not a value of {}: {why}", quoted(&given), plain(name)).into()
            }
            ErrorKind::MissingRequiredArgument => {
                let command = words.get(1).map(|word| word.to_string_lossy()).unwrap_or_default();
                let options = tool.find_subcommand(&*command);
                let missing = all(ContextKind::InvalidArg);
                let missing: Vec<String> =
                    missing.iter().map(|arg| with_short_name(&plain(arg), options)).collect();
                format!("{command} needs {}", with_and(&missing)).into()
            }
            ErrorKind::ArgumentConflict => {
                let others: Vec<String> = all(ContextKind::PriorArg).iter().map(|arg| name_of(arg)).collect();
                format!("{name} cannot be used with {}", with_and(&others)).into()
            }
            // Not caused by the definition of the command line as it is.
            _ => {
                let text = error.render().to_string();
                let text = text.strip_prefix("error: ").unwrap_or(&text);
                text.lines().next().unwrap_or_default().to_owned().into()
            }
        }
    }

    /// The same about a word that is not known as a command but names a target: other tools take targets without one.
    pub(super) fn of_target(mut self, word: &str) -> Option<WrongWords> {
        if self.help.is_some() {
            return None;
        }
        self.help = Some(format!("a target is built by: taut build {}", for_shell(word)));
        Some(self)
    }

    /// The text of the error; the first of these words is the name of the tool.
    pub(super) fn error(&self, words: &[OsString], tool: &clap::Command) -> String {
        let named = words.get(1).and_then(|word| word.to_str());
        let command = named.filter(|name| tool.find_subcommand(name).is_some());
        let note = match command {
            Some(name) => format!("taut {name} --help lists its options"),
            None => "taut --help lists the commands".to_owned(),
        };
        let help = self.help.as_ref().map(|help| format!("\nhelp: {help}")).unwrap_or_default();
        format!("{}{help}\nnote: {note}", self.text)
    }
}

/// `-o PATH (--output-dir)` for `--output-dir PATH`, where `command` has a short name of the option: what one types.
fn with_short_name(usage: &str, command: Option<&clap::Command>) -> String {
    let (name, value) = usage.split_once(' ').unwrap_or((usage, ""));
    let long = name.strip_prefix("--");
    let arg = command.and_then(|command| command.get_arguments().find(|arg| arg.get_long() == long));
    match arg.filter(|_| long.is_some() && !value.is_empty()).and_then(clap::Arg::get_short) {
        Some(short) => format!("-{short} {value} ({name})"),
        None => usage.to_owned(),
    }
}

pub(super) fn unknown_command(word: &str, tool: &clap::Command) -> WrongWords {
    let names = tool.get_subcommands().filter(|command| !command.is_hide_set()).map(clap::Command::get_name);
    // A similar word first: `test` for `tset` is more likely than another tool's command.
    let meant = did_you_mean(word, names).map(|meant| format!("did you mean {meant}?"));
    let foreign = || FOREIGN_COMMANDS.iter().find(|(words, _)| words.contains(&word));
    let help = meant.or_else(|| Some(foreign()?.1.to_owned()));
    WrongWords { text: format!("unknown command {}", quoted(word)), help }
}

/// The error for an option that the command does not have. It lists the commands that have it, or suggests a similar
/// option.
fn unknown_option(option: &str, words: &[OsString], tool: &clap::Command) -> WrongWords {
    let command = words.get(1).and_then(|word| tool.find_subcommand(word));
    if option == VERSION {
        let text = match command {
            Some(command) => format!("{} has no option {VERSION}", command.get_name()),
            None => format!("{VERSION} takes no value, and no words beside it"),
        };
        return WrongWords { text, help: Some(format!("taut {VERSION} prints the version")) };
    }
    // Of all commands: an option that is known elsewhere was most probably typed behind the wrong command.
    let owners: Vec<String> = (tool.get_subcommands())
        .filter(|command| options_of(command).any(|own| own == option))
        .map(|command| command.get_name().to_owned())
        .collect();
    let own: Vec<String> = match command {
        Some(command) => options_of(command).collect(),
        // The parser adds them itself.
        None => ["--help", VERSION].map(str::to_owned).into(),
    };
    let similar = || match option.strip_prefix("--") {
        // Without the dashes, which all have: they would count as letters that are right.
        Some(name) => {
            let names = own.iter().filter_map(|own| Some((own.strip_prefix("--")?, own.as_str())));
            let names: BTreeMap<&str, &str> = names.collect();
            names.get(did_you_mean(name, names.keys().copied())?).copied()
        }
        // Each short option resembles each other one.
        None => own.iter().map(String::as_str).find(|own| own.eq_ignore_ascii_case(option)),
    };
    let called_here = FOREIGN_OPTIONS.iter().find(|(foreign, _)| *foreign == option).map(|(_, own)| *own);
    let meant = match called_here {
        Some(meant) if own.iter().any(|own| own == meant) => Some(meant),
        _ => similar(),
    };
    let needless = || why_refused(command?.get_name(), called_here?);
    let help = match (&owners[..], meant) {
        ([], None) if let Some(why) = needless() => Some(format!("it needs none: {why}")),
        ([], Some(meant)) => Some(format!("did you mean {meant}?")),
        ([], None) => None,
        _ if command.is_none() => Some(format!("options stand behind the command: taut COMMAND {option}")),
        ([_, others @ ..], _) if others.len() >= MAX_OWNERS => {
            Some(format!("{} other commands have it", owners.len()))
        }
        _ => Some(format!("it is an option of {}", with_and(&owners))),
    };
    let text = match command {
        Some(command) => format!("{} has no option {option}", command.get_name()),
        None => format!("there is no option {option} before a command"),
    };
    WrongWords { text, help }
}

/// The options of a command that its help has, as they are typed.
fn options_of(command: &clap::Command) -> impl Iterator<Item = String> {
    command.get_arguments().filter(|arg| !arg.is_hide_set()).flat_map(|arg| {
        let long = arg.get_long().map(|long| format!("--{long}"));
        let short = arg.get_short().map(|short| format!("-{short}"));
        [long, short].into_iter().flatten()
    })
}

/// `--output-dir <PATH>` without the marks.
fn plain(arg: &str) -> String {
    arg.replace(['<', '>'], "")
}

/// The name of an option without what its value is called.
fn name_of(arg: &str) -> String {
    arg.split(' ').next().unwrap_or_default().to_owned()
}
