//! From words to options, and the error for words that are not a command line.

use std::{
    any::TypeId,
    ffi::{OsStr, OsString},
    path::PathBuf,
};

use clap::{
    ArgAction, Args as _, CommandFactory as _, FromArgMatches as _,
    builder::{OsStringValueParser, StringValueParser, TypedValueParser as _},
    error::{ContextKind, ContextValue, ErrorKind},
};

use super::{
    AddToCas, Analyse, Build, CommandLine, Define, Describe, Install, InstallCas, Question, Rebuild, SetUp,
    WhatIf, help,
    page::{self, Extent},
    refused,
    words::{NotNormal, normalized, unexpected},
    wrong_words::{WrongWords, unknown_command},
};

/// The error of a command line, or the help that it requests.
#[derive(Debug, PartialEq, Eq)]
pub enum NoCommand {
    /// Help: to be printed on standard output.
    Help(String),
    /// The words make no command line: to be printed on standard error as it is.
    Wrong(String),
    /// The same: to be printed as an error.
    Error(String),
    /// The same about a word that is no command: another text if it names a target.
    UnknownCommand {
        /// The word.
        word: String,
        /// The error.
        error: String,
        /// The error if there is such a target.
        of_target: String,
    },
}

/// Options that the reference does not have, by their ids, beside those of [`SetUp`].
// By id and not by name: clap keeps ids when an option is renamed below.
const OWN_OPTIONS: [&str; 14] = [
    "check_traces",
    "color",
    "diagnostics",
    "keep_going",
    "no_trace",
    "prune",
    "quiet",
    "remote_cache",
    "remote_cache_timeout",
    "remote_cache_write",
    "rerun",
    "show_cached_output",
    "termination_grace",
    "verbose",
];

/// Options of the groups of a subcommand that the reference does not list for it.
const NOT_OF_REFERENCE: [(&str, &[&str]); 4] = [
    (
        "gc",
        &[
            "remote_execution_address",
            "remote_instance_name",
            "remote_serve_address",
            "tls_ca_cert",
            "tls_client_cert",
            "tls_client_key",
            "compatible",
            "max_attempts",
            "initial_backoff_seconds",
            "max_backoff_seconds",
        ],
    ),
    ("install-cas", &["remote_serve_address"]),
    ("add-to-cas", &["remote_serve_address"]),
    (
        "traverse",
        &[
            "remote_serve_address",
            "max_attempts",
            "initial_backoff_seconds",
            "max_backoff_seconds",
            "target_cache_write_strategy",
        ],
    ),
];

/// Subcommands that the reference does not have.
const OWN: [&str; 15] = [
    "init",
    "completions",
    "man",
    "explain",
    "compile-commands",
    "test",
    "watch",
    "what-if",
    "setup",
    "setup-env",
    "fetch",
    "update",
    "gc-repo",
    "do",
    "repos",
];

impl CommandLine {
    /// Reads the words of a call; the first is the name of the tool.
    ///
    /// # Errors
    ///
    /// [`NoCommand`], with the text to print.
    pub fn parse_words(name: &str, words: &[OsString]) -> Result<CommandLine, NoCommand> {
        // Before parsing: clap knows these subcommands, and would report what is wrong with their options.
        if name == "just" && words.get(1).is_some_and(|word| OWN.iter().any(|own| word == own)) {
            return Err(NoCommand::wrong("A subcommand is required"));
        }
        // `taut help build` is `taut build --help`.
        if name != "just"
            && let [tool, help, subcommand @ ..] = words
            && help == "help"
        {
            let words = [std::slice::from_ref(tool), subcommand].concat();
            return Err(NoCommand::unknown_topic(subcommand)
                .unwrap_or_else(|| NoCommand::Help(NoCommand::help(&words))));
        }
        // Once per call: the parser takes only names that live as long as the process.
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        let read = |command: clap::Command| -> Result<(CommandLine, clap::ArgMatches), NoCommand> {
            let mut command = as_called(command, name);
            // The words of the reference's parser have forms that clap does not read, so they are
            // brought into one form first.
            let meant =
                normalized(words, &command).map_err(|why| NoCommand::not_normal(name, &why, words))?;
            let first = meant.get(1).and_then(|word| word.to_str()).unwrap_or_default().to_owned();
            let unexpected = command.find_subcommand(&first).map(|below| unexpected(&meant, below));
            let read = command.try_get_matches_from_mut(meant.clone());
            let matches = read.map_err(|error| match name {
                "just" => NoCommand::of_reference(
                    before_unexpected(error, &mut command, meant, unexpected.as_deref()),
                    unexpected.as_deref(),
                ),
                _ => NoCommand::of_taut(error, words),
            })?;
            let line = CommandLine::from_arg_matches(&matches).map_err(|error| match name {
                "just" => NoCommand::of_reference(error, unexpected.as_deref()),
                _ => NoCommand::of_taut(error, words),
            })?;
            Ok((line, matches))
        };
        // Errors and help come from the parser of all subcommands.
        let all = || read(CommandLine::command());
        // A failure of the small parser is not reported: the large one finds it again and knows the
        // other subcommands.
        let quick = words.get(1).and_then(|word| alone(word)).and_then(|command| read(command).ok());
        let (mut line, matches) = quick.map_or_else(all, Ok)?;
        match refused::refusal(&matches) {
            Some(text) => Err(NoCommand::own_error(text, words)),
            None => {
                line.subcommand.complete(name != "just");
                Ok(line)
            }
        }
    }
}

/// The command line with this subcommand alone, since building the parser of all subcommands takes longer than many
/// calls.
fn alone(word: &OsStr) -> Option<clap::Command> {
    let augment: fn(clap::Command) -> clap::Command = match word.to_str()? {
        "analyse" => Analyse::augment_args,
        "build" => Build::augment_args,
        "describe" => Describe::augment_args,
        "install" => Install::augment_args,
        "rebuild" => Rebuild::augment_args,
        "explain" => Question::augment_args,
        "what-if" => WhatIf::augment_args,
        "install-cas" => InstallCas::augment_args,
        "add-to-cas" => AddToCas::augment_args,
        _ => return None,
    };
    let subcommand = augment(clap::Command::new(word.to_str()?.to_owned()));
    Some(
        // The settings of the whole definition that matter for one subcommand.
        clap::Command::new("alone").args_override_self(true).subcommand_required(true).subcommand(subcommand),
    )
}

/// How targets are named most of the time.
const TARGET_FORMS: &str = "Targets: src:lua, :lua (in the root module), lua (in the current module), a pattern like src/... \
     (all below), or the path of a source; default: the target \"default\" of the current module, else everything";

/// Separates, in [`TARGET_FORMS`] and in the longer text about targets, the forms from the default.
const DEFAULT_TARGETS: &str = "; default: ";

/// The definition of the whole command line of the tool of this name.
pub(crate) fn definition(name: &'static str) -> clap::Command {
    let mut command = as_called(CommandLine::command(), name);
    command.build();
    command
}

/// Two options for help in place of one: the usual options, and all of them.
fn with_help_options(command: clap::Command) -> clap::Command {
    let help = |id: &'static str, text| {
        let arg = clap::Arg::new(id).long(id.replace('_', "-")).action(ArgAction::Help);
        arg.help(text).help_heading(page::COMMON)
    };
    command
        .disable_help_flag(true)
        .arg(help("help", "Print the usual options").short('h'))
        .arg(help("help_all", "Print all options, also those that are rarely needed"))
}

/// The command line of the tool of this name.
fn as_called(command: clap::Command, name: &'static str) -> clap::Command {
    let is_taut = name != "just";
    let command = if is_taut { with_help_options(command) } else { command };
    command.name(name).bin_name(name).mut_subcommands(|subcommand| {
        let subcommand = match is_taut {
            true if page::is_supported(subcommand.get_name()) => with_help_options(subcommand),
            true => subcommand.hide(true),
            false => subcommand,
        };
        // Subcommands that the reference does not have are hidden under its name.
        let subcommand = match subcommand.get_name() {
            "build" if is_taut => subcommand.about("Build targets"),
            "install" if is_taut => subcommand.about("Build targets and install their artifacts and runfiles"),
            "rebuild" if is_taut => {
                subcommand.about("Run all actions of targets again and compare with the cache")
            }
            "analyse" if is_taut => subcommand.about("Analyse targets: what would be built, and from what"),
            "explain" => subcommand.hide(name == "just").mut_arg("target", |arg| {
                arg.value_name("TARGET|%ACTION|PATH").help(
                    "Targets, the beginnings of actions' ids after %, or paths of sources or results; default: the targets of that build and what ran for them",
                )
            }),
            "init" | "test" | "compile-commands" | "watch" | "setup" | "setup-env" | "fetch" | "update"
            | "gc-repo" | "do" | "repos" | "completions" | "man" => subcommand.hide(name == "just"),
            "what-if" => subcommand.hide(name == "just").mut_arg("target", |arg| {
                arg.value_name("PATH")
                    .required(true)
                    .help("Files, existing or not, or directories with everything in them")
            }),
            _ => subcommand,
        };
        let of = subcommand.get_name().to_owned();
        subcommand.mut_args(|arg| {
            let arg = if name == "just" { without_own(&of, arg) } else { arg };
            let is_target = name == "just" && arg.get_id() == "target";
            let names_targets = |arg: &clap::Arg| {
                matches!(arg.get_value_names(), Some([name]) if name == "TARGET") && arg.is_positional()
            };
            let arg = match is_target {
                true => arg.help("TARGET, or MODULE TARGET, or the parts of any target name"),
                false if is_taut && names_targets(&arg) => {
                    let all_forms = arg.get_help().map(ToString::to_string).unwrap_or_default();
                    // Tests and compilations are looked for everywhere, whatever `default` names.
                    let is_everywhere = matches!(&*of, "test" | "compile-commands");
                    let [short, long] = [TARGET_FORMS, &all_forms].map(|text| match text.split_once(DEFAULT_TARGETS) {
                        Some((forms, _)) if is_everywhere => format!("{forms}{DEFAULT_TARGETS}all of the workspace"),
                        _ => text.to_owned(),
                    });
                    arg.help(short).long_help(long)
                }
                false => arg,
            };
            let arg = match name != "just" && arg.get_id() == "defines" {
                true => arg
                    .value_parser(StringValueParser::new().map(Define::of_word))
                    .value_name("NAME=VALUE|JSON")
                    .help("Set a configuration variable to a text, or several variables by a JSON object; overrides earlier values (accumulates)"),
                false => arg,
            };
            let id = arg.get_id().as_str();
            let is_without_effect = refused::is_refused(&of, id) || (is_taut && !page::is_supported(id));
            let arg = if is_without_effect { arg.hide(true) } else { arg };
            // By the type of the field: an option with a path that is added later is covered as well.
            let is_path = arg.get_value_parser().type_id() == TypeId::of::<PathBuf>();
            // An empty path means no configuration file, and the working directory for all other options.
            let arg = match (is_path, arg.get_id() == "config") {
                (true, false) => arg.value_parser(OsStringValueParser::new().map(or_here)),
                (true, true) => arg.value_parser(OsStringValueParser::new().map(PathBuf::from)),
                _ => arg,
            };
            let takes_value = arg.get_action().takes_values() && !arg.is_positional();
            // As for the reference's parser, the word after an option is its value even if it begins with a dash.
            if takes_value { arg.allow_hyphen_values(true) } else { arg }
        })
    })
}

/// Makes an option unreachable under the name `just` if the reference does not have it: its new name cannot be typed.
fn without_own(subcommand: &str, arg: clap::Arg) -> clap::Arg {
    let id = arg.get_id().as_str();
    let is_unlisted = || NOT_OF_REFERENCE.iter().any(|(name, ids)| *name == subcommand && ids.contains(&id));
    if !OWN_OPTIONS.contains(&id) && !SetUp::OPTIONS.contains(&id) && !is_unlisted() {
        return arg;
    }
    // Once per option and call: the parser takes only names that live as long as the process.
    let unreachable: &'static str = Box::leak(format!("\u{1}{id}").into_boxed_str());
    arg.long(unreachable).short(None).hide(true)
}

/// The error that the reference reports: a missing option comes before unexpected words.
fn before_unexpected(
    error: clap::Error,
    command: &mut clap::Command,
    mut words: Vec<OsString>,
    unexpected: Option<&[String]>,
) -> clap::Error {
    // Clap reports the first thing that it meets; the reference checks for missing options before
    // it looks at leftover words. So the words are read again without the latter.
    let Some(unexpected) = unexpected.filter(|_| error.kind() == ErrorKind::UnknownArgument) else {
        return error;
    };
    words.retain(|word| !unexpected.iter().any(|unexpected| word == unexpected.as_str()));
    match command.try_get_matches_from_mut(words) {
        Err(other) if other.kind() == ErrorKind::MissingRequiredArgument => other,
        _ => error,
    }
}

fn or_here(path: OsString) -> PathBuf {
    if path.is_empty() { ".".into() } else { path.into() }
}

impl NoCommand {
    /// What is wrong in the words of the reference. `unexpected`: the words that the subcommand has no use for, if the
    /// first word is a subcommand.
    fn of_reference(error: clap::Error, unexpected: Option<&[String]>) -> NoCommand {
        let context = |kind| match error.get(kind) {
            Some(ContextValue::String(text)) => Some(text.clone()),
            Some(ContextValue::Strings(texts)) => texts.first().cloned(),
            _ => None,
        };
        // `--defines <JSON>`: the option and the kind of its value.
        let option = context(ContextKind::InvalidArg).unwrap_or_default();
        let (name, kind) = option.split_once(' ').unwrap_or((&option, ""));
        // Two kinds of values have another name in the reference's messages than the help shows here.
        let kind = match name {
            "--print-to-stdout" => "LOGICAL_PATH",
            "--resolve-special" => "TEXT",
            _ => kind.trim_matches(['<', '>']),
        };
        let text = match error.kind() {
            ErrorKind::InvalidSubcommand
            | ErrorKind::MissingSubcommand
            | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => "A subcommand is required".to_owned(),
            ErrorKind::UnknownArgument => match unexpected {
                None => "A subcommand is required".to_owned(),
                Some([]) => not_expected(std::slice::from_ref(&option)),
                Some(all) => not_expected(all),
            },
            ErrorKind::InvalidValue
                if context(ContextKind::InvalidValue).is_none_or(|value| value.is_empty()) =>
            {
                format!("{name}: 1 required {kind} missing")
            }
            ErrorKind::InvalidValue | ErrorKind::ValueValidation => {
                let value = context(ContextKind::InvalidValue).unwrap_or_default();
                format!("Could not convert: {name} = {value}")
            }
            // Positional words have other names in the reference's messages than in the help here.
            ErrorKind::MissingRequiredArgument => match name {
                "<OBJECT>" => "object_id is required".to_owned(),
                "<PATH>" => "location is required".to_owned(),
                name => format!("{name} is required"),
            },
            ErrorKind::DisplayHelp => return NoCommand::Help(error.render().to_string()),
            // The only options that exclude each other under this name.
            ErrorKind::ArgumentConflict => "--no-rotate excludes --all".to_owned(),
            // Not caused by the definition of the command line as it is.
            _ => error.render().to_string(),
        };
        NoCommand::wrong(&text)
    }

    /// The help that the words of a call request, or what is wrong in them.
    fn of_taut(error: clap::Error, words: &[OsString]) -> NoCommand {
        match error.kind() {
            ErrorKind::DisplayHelp => NoCommand::Help(NoCommand::help(words)),
            ErrorKind::MissingSubcommand => {
                NoCommand::Wrong(format!("error: no command is given\n\n{}", NoCommand::help(&[])))
            }
            _ => {
                let tool = definition("taut");
                let text = WrongWords::of(&error, words, &tool).error(words, &tool);
                // Whether there is such a target is not a matter of the command line.
                let unknown = error.get(ContextKind::InvalidSubcommand).and_then(|word| match word {
                    ContextValue::String(word) => {
                        let wrong = WrongWords::of(&error, words, &tool).of_target(word)?;
                        Some((word.clone(), wrong.error(words, &tool)))
                    }
                    _ => None,
                });
                match unknown {
                    Some((word, of_target)) => NoCommand::UnknownCommand { word, error: text, of_target },
                    None => NoCommand::Error(text),
                }
            }
        }
    }

    /// The help that the words of a call request: of their subcommand, or of the tool.
    fn help(words: &[OsString]) -> String {
        let tool = definition("taut");
        let is_all = words.iter().any(|word| word == "--help-all");
        let extent = if is_all { Extent::All } else { Extent::Own };
        let subcommand = words.get(1).and_then(|word| word.to_str());
        let page = subcommand.and_then(|name| page::of_subcommand(&tool, name, extent));
        help::text(&page.unwrap_or_else(|| page::of_tool(&tool)))
    }

    /// The error about a command that help is requested of, if no command has this name.
    fn unknown_topic(words: &[OsString]) -> Option<NoCommand> {
        let word = words.first()?.to_string_lossy();
        let tool = definition("taut");
        let is_known = word.starts_with('-') || word == "help" || tool.find_subcommand(&*word).is_some();
        (!is_known).then(|| NoCommand::Error(unknown_command(&word, &tool).error(&[], &tool)))
    }

    fn own_error(text: String, words: &[OsString]) -> NoCommand {
        NoCommand::Error(WrongWords::from(text).error(words, &definition("taut")))
    }

    fn not_normal(name: &str, why: &NotNormal, words: &[OsString]) -> NoCommand {
        match (name, why) {
            ("just", NotNormal::Names(names)) => NoCommand::wrong(&not_expected(names)),
            ("just", NotNormal::NoBoolean { option, value }) => {
                NoCommand::wrong(&format!("Could not convert: {option} = {value}"))
            }
            _ => NoCommand::own_error(why.to_string(), words),
        }
    }

    fn wrong(text: &str) -> NoCommand {
        NoCommand::Wrong(format!("{text}\nRun with --help for more information.\n"))
    }
}

/// Words that the reference has no use for.
fn not_expected(words: &[String]) -> String {
    let (noun, verb) = if words.len() == 1 { ("argument", "was") } else { ("arguments", "were") };
    format!("The following {noun} {verb} not expected: {}", words.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Build, Command};
    use taut_value::{Map, Value};

    fn parse(words: &[&str]) -> Result<Command, NoCommand> {
        let words: Vec<OsString> =
            std::iter::once("taut").chain(words.iter().copied()).map(Into::into).collect();
        CommandLine::parse_words("taut", &words).map(|line| line.subcommand)
    }

    fn build(words: &[&str]) -> Build {
        match parse(words) {
            Ok(Command::Build(build)) => build,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_subcommand_alone_is_read_as_among_all() {
        let subcommands = [
            "analyse",
            "build",
            "describe",
            "install",
            "rebuild",
            "explain",
            "what-if",
            "install-cas",
            "add-to-cas",
        ];
        for name in subcommands {
            let described = |command: clap::Command| {
                let mut command = as_called(command, "taut");
                command.build();
                let subcommand = command.find_subcommand(name).expect("a subcommand");
                subcommand.get_arguments().map(|arg| format!("{arg:?}")).collect::<Vec<_>>()
            };
            let alone = alone(name.as_ref()).expect("has arguments");
            let among_all = CommandLine::command();
            assert_eq!(alone.is_subcommand_required_set(), among_all.is_subcommand_required_set());
            assert_eq!(alone.is_args_override_self(), among_all.is_args_override_self());
            assert_eq!(described(alone), described(among_all), "{name}");
        }
        assert!(alone("version".as_ref()).is_none());
    }

    fn json_of(defines: Vec<Define>) -> Vec<String> {
        defines.into_iter().map(|define| define.json).collect()
    }

    #[test]
    fn the_last_occurrence_of_an_option_wins_unless_it_accumulates() {
        let build = build(&["build", "-J", "1", "-J2", "-D", "{}", "-D", "[]", "--main=a", "--main", "b"]);
        assert_eq!(build.execution.build_jobs, Some(2));
        assert_eq!(json_of(build.analysis.defines), ["{}", "[]"]);
        assert_eq!(build.common.main.as_deref(), Some("b"));
    }

    #[test]
    fn a_variable_may_be_set_without_json() {
        let defines = |words: &[&str]| json_of(build(&[&["build"], words].concat()).analysis.defines);
        assert_eq!(defines(&["-D", "CC=gcc -O2=x"]), [r#"{"CC": "gcc -O2=x"}"#]);
        assert_eq!(defines(&["-DA=", "--defines=B=\"é\""]), [r#"{"A": ""}"#, r#"{"B": "\"é\""}"#]);
        for json in [r#"{"A":"b=c"}"#, "[1]", "=x", "A", "\"a=b\"", r#" {"A":"b=c"}"#] {
            assert_eq!(defines(&["-D", json]), [json]);
        }
    }

    /// The words of a line, by the quoting of shells that messages use.
    fn words_of_shell(line: &str) -> Vec<String> {
        let (mut words, mut is_quoted) = (vec![String::new()], false);
        let mut chars = line.chars();
        while let Some(c) = chars.next() {
            match c {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                c => {
                    let c = if c == '\\' && !is_quoted { chars.next() } else { Some(c) };
                    words.last_mut().expect("a word").extend(c);
                }
            }
        }
        words
    }

    #[test]
    fn a_configuration_that_a_message_shows_can_be_typed() {
        let text = |text: &str| Value::string(text);
        let list = Value::list([text("a b"), text("it's"), Value::Bool(true), Value::Number(1.0)]);
        let map = Value::Map([("k", list.clone())].into_iter().collect());
        let values =
            ["", "a", "a b", "it's", "\"q\"", "{}", "[1]", "-x", "$HOME `x` \\", "#", "~", "a=b", "\n", "ü"];
        let values = values.map(text).into_iter().chain([list, map, Value::Number(-1.5)]);
        let target = taut_value::NamedTarget::new("", "", "t").into();
        for value in values {
            for variable in ["A", "", "{A", "[", "\"", " ", "A B", "A=B", "-A", "@", "\n", "it's"] {
                let set: Map = [(variable, value.clone()), ("Z", text("z"))].into_iter().collect();
                let line = taut_value::configured_as_typed(&target, &set);
                let words = words_of_shell(&line);
                let words: Vec<&str> = words.iter().map(String::as_str).collect();
                let read = build(&[&["build"], &words[..]].concat()).analysis;
                assert_eq!(read.target, [":t"], "{line}");
                let parsed = read.defines.iter().flat_map(|Define { json, .. }| {
                    let document = taut_syntax::Document::parse("-D", json.clone()).expect("JSON");
                    let map = taut_expr::json_to_value(document.root()).as_map().cloned();
                    let map = map.expect("an object");
                    map.iter().map(|(name, value)| (name.clone(), value.clone())).collect::<Vec<_>>()
                });
                assert_eq!(parsed.collect::<Map>(), set, "{line}");
            }
        }
    }

    #[test]
    fn options_and_names_may_be_interleaved() {
        let interleaved = build(&["build", "m", "-J", "1", "t", "-s"]);
        assert_eq!(interleaved.analysis.target, ["m", "t"]);
        assert!(interleaved.results.show_runfiles);
        let build = build(&["build", "-s", "--", "-x", "--"]);
        assert_eq!(build.analysis.target, ["-x", "--"]);
        let Err(NoCommand::Error(text)) = parse(&["build", "m", "--", "-x"]) else {
            panic!("-x is accepted")
        };
        assert!(text.contains("-x"), "{text}");
    }

    #[test]
    fn a_value_may_look_like_an_option() {
        let build = build(&["build", "--request-action-input", "-1", "-P", "--odd"]);
        assert_eq!(build.analysis.request_action_input.as_deref(), Some("-1"));
        assert_eq!(build.results.print_to_stdout.as_deref(), Some("--odd"));
    }

    #[test]
    fn wrong_words_cause_an_error_with_a_hint() {
        for words in [&["buld"][..], &["build", "--no-such"], &["install"], &["gc", "--all", "--no-rotate"]] {
            let Err(NoCommand::Error(text)) = parse(words) else { panic!("{words:?} is accepted") };
            assert!(text.contains("\nnote: taut "), "{text}");
        }
    }

    #[test]
    fn options_that_a_subcommand_cannot_use_are_refused() {
        for (words, option) in [
            (&["watch", "t", "--check-traces"][..], "--check-traces"),
            (&["watch", "-P", "out"], "--print-to-stdout"),
            (&["watch", "--dump-graph", "-"], "--dump-graph"),
            (&["explain", "t", "--check-traces"], "--check-traces"),
            (&["explain", "--no-trace"], "--no-trace"),
            (&["what-if", "f", "--profile", "p"], "--profile"),
            (&["rebuild", "--check-traces", "t"], "--check-traces"),
        ] {
            let Err(NoCommand::Error(text)) = parse(words) else { panic!("{words:?} is accepted") };
            assert!(text.starts_with(&format!("{option} is not for {}: ", words[0])), "{text}");
            let Err(NoCommand::Help(help)) = parse(&[words[0], "--help"]) else { panic!("no help") };
            assert!(!help.contains(&format!("{option} ")), "{help}");
        }
        assert!(parse(&["what-if", "f", "--check-traces"]).is_ok());
    }

    #[test]
    fn every_option_that_is_refused_is_one() {
        let command = CommandLine::command();
        for (name, options, _) in refused::REFUSED {
            let subcommand = command.find_subcommand(name).expect("a subcommand");
            for option in options {
                let found = subcommand.get_arguments().find(|arg| arg.get_id() == option);
                let long = found.and_then(|arg| arg.get_long()).map(|long| long.replace('-', "_"));
                assert_eq!(long.as_deref(), Some(*option));
            }
        }
    }

    #[test]
    fn under_the_name_just_own_words_are_refused() {
        for words in [
            &["just", "explain", "t"][..],
            &["just", "what-if", "f"],
            &["just", "watch"],
            &["just", "what-if", "--help"],
            &["just", "install", "-o", "d", "--prune"],
            &["just", "build", "--check-traces"],
            &["just", "build", "--termination-grace", "3"],
            &["just", "traverse", "-g", "g", "-o", "d", "--termination-grace", "3"],
            &["just", "build", "--diagnostics", "f"],
            &["just", "build", "--color", "always"],
            &["just", "analyse", "--no-trace"],
            &["just", "install", "-o", "d", "--keep-going"],
            &["just", "build", "--remote-cache", "grpc://localhost:1", "--remote-cache-write"],
        ] {
            let parse = |name| {
                let words: Vec<OsString> = words.iter().map(Into::into).collect();
                CommandLine::parse_words(name, &words)
            };
            assert!(!matches!(parse("taut"), Err(NoCommand::Wrong(_) | NoCommand::Error(_))), "{words:?}");
            let Err(NoCommand::Wrong(text)) = parse("just") else { panic!("{words:?} is accepted") };
            let is_subcommand = OWN.contains(&words[1]);
            let expected = if is_subcommand { "A subcommand is required" } else { "The following argument" };
            assert!(text.starts_with(expected), "{text}");
        }
    }

    #[test]
    fn under_the_name_just_unexpected_words_are_listed_as_the_reference_does() {
        for (words, expected) in [
            (&["build", "--rerun=abc", "a"][..], "argument was not expected: --rerun=abc"),
            (&["build", "--color", "always", "a"], "argument was not expected: --color"),
            (&["build", "--foo", "1", "--bar", "a"], "arguments were not expected: --foo --bar"),
            (&["build", "--main", "--foo", "-sx", "--bar"], "arguments were not expected: -x --bar"),
            (&["gc", "x", "--foo"], "arguments were not expected: x --foo"),
            (&["install-cas", "a", "b", "--foo", "c"], "arguments were not expected: b --foo c"),
            (&["build", "a", "--", "b"], "argument was not expected: b"),
            (&["build", "a", "-s", "--", "b", "-c"], "arguments were not expected: b -c"),
        ] {
            let words: Vec<OsString> = std::iter::once(&"just").chain(words).map(Into::into).collect();
            let text = format!("The following {expected}\nRun with --help for more information.\n");
            assert_eq!(CommandLine::parse_words("just", &words).err(), Some(NoCommand::Wrong(text)));
        }
    }

    #[test]
    fn help_about_an_unknown_command_is_an_error() {
        for (words, answer) in [
            (&["help", "bild"][..], "unknown command \"bild\"\nhelp: did you mean build?\n"),
            (&["help", "nothing"], "unknown command \"nothing\"\nnote: "),
        ] {
            let answered = parse(words);
            assert!(
                matches!(&answered, Err(NoCommand::Error(text)) if text.starts_with(answer)),
                "{words:?}: {answered:?}"
            );
        }
        for words in [&["help", "help"][..], &["help", "--help-all"], &["help", "completions"]] {
            assert!(matches!(parse(words), Err(NoCommand::Help(_))), "{words:?}");
        }
    }

    #[test]
    fn help_is_no_error() {
        for (words, usage) in [
            (&["build", "--help"][..], "Usage: taut build "),
            (&["--help"], "Usage: taut COMMAND "),
            (&["build", "-h", "--help-all"], "Usage: taut build "),
            (&["help", "build"], "Usage: taut build "),
            (&["help"], "Usage: taut COMMAND "),
        ] {
            assert!(matches!(parse(words), Err(NoCommand::Help(text)) if text.contains(usage)), "{words:?}");
        }
        let Err(NoCommand::Wrong(text)) = parse(&[]) else { panic!("no words are accepted") };
        assert!(text.starts_with("error: no command is given\n") && text.contains("  build "), "{text}");
    }
}
