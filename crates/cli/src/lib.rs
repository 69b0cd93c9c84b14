//! The command line: from words to a request, and from its events to messages, progress and an exit code.
//!
//! Only this crate reads environment variables, writes to standard output and standard error, and has the numbers of
//! exit codes. `driver` does the rest, so that it can be used, and tested, without a terminal.

mod add_to_cas;
mod analyse;
mod build;
mod call;
mod cancelled_set_up;
mod check_traces;
mod compare;
mod compile_commands;
mod completion;
mod describe;
mod diagnostics;
mod diagnostics_file;
mod dumps;
mod environment;
pub mod exit;
mod explain;
mod findings;
mod gc;
mod given_server;
mod init;
mod install_cas;
mod interruption;
pub mod log;
mod man;
mod mr;
pub mod options;
mod output;
mod output_files;
mod profile;
mod progress;
mod rc_words;
mod remote_cache;
mod remote_execution;
pub mod report;
mod reporting;
mod repositories;
mod repository_commands;
mod reproduce;
mod request;
mod rerun;
mod results;
mod retry;
mod root_options;
mod roots;
mod set_up_server;
mod settings;
mod setup_error;
mod standard_streams;
mod testing;
mod text_file;
mod tool_name;
mod traverse;
mod typed_target;
mod utc;
mod version;
mod voice;
mod watch;
mod what_if;

use std::ffi::OsString;
use std::sync::Arc;

pub use completion::complete_line;
use exit::Exit;
use log::Log;
use options::{Command, CommandLine, NoCommand};
use output_files::OutputFiles;
use standard_streams::{eprint_error, eprint_text, print};
pub use taut_driver::{helper_main_if_requested, raise_open_file_limit};
use tool_name::Name;

/// Runs one call; the first word is the name by which the tool was called. Returns the exit code.
pub fn run(words: Vec<OsString>) -> i32 {
    if mr::is_called(words.first()) {
        // Before anything is parsed: messages of the parser have the name, too.
        Name::Just.set_current();
        return mr::run(&words);
    }
    let name = Name::of_call(words.first());
    name.set_current();
    // Not left to the parser: under the other name there is no such option.
    if name == Name::Taut && words.len() == 2 && words[1] == "--version" {
        return print(version::line().as_bytes()).code();
    }
    // Before the parser: the words are those of an unfinished call, which is not to be judged.
    if name == Name::Taut && words.get(1).is_some_and(|word| word == completion::COMMAND) {
        return completion::complete(&words[2..]).code();
    }
    call(name, &words).code()
}

fn call(name: Name, words: &[OsString]) -> Exit {
    // Parsed before the rc file is looked for, as the options say whether and which one is read.
    let parsed = CommandLine::parse_words(name.word(), words);
    // Under the other name, just-mr passes on what the rc file says.
    if name == Name::Taut && !matches!(parsed, Err(NoCommand::Help(_))) {
        match rc_words::with_rc(words, parsed.as_ref().ok().map(|line| &line.subcommand)) {
            Ok(None) => {}
            Ok(Some(words)) => return call_with(name, &words, CommandLine::parse_words(name.word(), &words)),
            Err(error) => {
                return with_log(name, &options::Log::default(), |log| {
                    setup_error::report_error(&error, log)
                });
            }
        }
    }
    call_with(name, words, parsed)
}

fn call_with(name: Name, words: &[OsString], parsed: Result<CommandLine, NoCommand>) -> Exit {
    match parsed {
        Ok(line) => match checked(&line.subcommand) {
            Some((subject, options)) => {
                with_log(name, options, |log| check_traces::run(name, words, &subject, log))
            }
            None => dispatch(name, line.subcommand),
        },
        Err(NoCommand::Help(text)) => print(text.as_bytes()),
        Err(NoCommand::Wrong(text)) => {
            eprint_text(&text);
            Exit::Syntax
        }
        Err(NoCommand::Error(text)) => {
            eprint_error(&text);
            Exit::Syntax
        }
        Err(NoCommand::UnknownCommand { word, error, of_target }) => {
            eprint_error(if completion::is_target(&word) { &of_target } else { &error });
            Exit::Syntax
        }
    }
}

/// The parts of a command line that `--check-traces` needs, and its log options; `None` without that option.
fn checked(command: &Command) -> Option<(check_traces::Subject<'_>, &options::Log)> {
    let (mut output_dir, mut is_question) = (None, false);
    let runs_actions = matches!(command, Command::Build(_) | Command::Install(_));
    let (common, analysis, stores, log) = match command {
        Command::Analyse(o) => (&o.common, &o.analysis, &o.stores, &o.log),
        Command::Build(o) => (&o.common, &o.analysis, &o.stores, &o.log),
        Command::Describe(o) => (&o.common, &o.analysis, &o.stores, &o.log),
        Command::Install(options::Install { build: o, output_dir: path, .. }) => {
            output_dir = Some(path.as_path());
            (&o.common, &o.analysis, &o.stores, &o.log)
        }
        Command::WhatIf(options::WhatIf { question: o, .. }) => {
            is_question = true;
            (&o.common, &o.analysis, &o.stores, &o.log)
        }
        // The other subcommands refuse the option.
        _ => return None,
    };
    let subject = check_traces::Subject { common, analysis, stores, output_dir, runs_actions, is_question };
    analysis.check_traces.then_some((subject, log))
}

fn dispatch(name: Name, command: Command) -> Exit {
    let files = OutputFiles::of(name, &command);
    match command {
        Command::Version => print(version::text(name).as_bytes()),
        Command::Init(options) => init::run(&options),
        Command::Completions(options) => completion::print_script(&options.shell),
        Command::Man(options) => man::run(&options),
        Command::InstallCas(options) => {
            with_log(name, &options.log, |log| install_cas::run(name, &options, log))
        }
        Command::AddToCas(options) => {
            with_log(name, &options.log, |log| add_to_cas::run(name, &options, log))
        }
        Command::Gc(options) => with_log(name, &options.log, |log| gc::run(name, &options, log)),
        // In the command line, since the reference has them; hidden on pages of help (`options::page`).
        Command::Execute(_) => not_supported("`execute` (running an execution service)"),
        Command::Serve(_) => not_supported("`serve` (running a target-serving service)"),
        Command::Setup(o) => with_log(name, &o.log, |log| repository_commands::set_up(&o, false, log)),
        Command::SetupEnv(o) => with_log(name, &o.log, |log| repository_commands::set_up(&o, true, log)),
        Command::Fetch(o) => with_log(name, &o.log, |log| repository_commands::fetch(&o, log)),
        Command::Update(o) => with_log(name, &o.log, |log| repository_commands::update(&o, log)),
        Command::Repos(o) => with_log(name, &o.log, |log| repository_commands::list(&o, log)),
        Command::GcRepo(o) => with_log(name, &o.log, |log| repository_commands::collect(&o, log)),
        // `do` says nothing that a call without it does not do.
        Command::Do(o) => call(name, &std::iter::once(name.word().into()).chain(o.words).collect::<Vec<_>>()),
        Command::Describe(o) => with_log_and_files(name, &files, &o.log, |log| describe::run(name, &o, log)),
        Command::CompileCommands(o) => {
            with_log_and_files(name, &files, &o.build.log, |log| compile_commands::run(name, &o, log))
        }
        Command::Test(o) => with_log_and_files(name, &files, &o.build.log, |log| testing::run(name, &o, log)),
        Command::Watch(o) => with_log_and_files(name, &files, &o.build.log, |log| watch::run(name, &o, log)),
        Command::WhatIf(o) => with_log(name, &o.question.log, |log| what_if::run(name, &o, log)),
        Command::Explain(o) => with_log(name, &o.log, |log| explain::run(name, &o, log)),
        Command::Analyse(o) => with_log_and_files(name, &files, &o.log, |log| analyse::run(name, &o, log)),
        Command::Build(o) => with_log_and_files(name, &files, &o.log, |log| build::build(name, &o, log)),
        Command::Install(o) => {
            with_log_and_files(name, &files, &o.build.log, |log| build::install(name, &o, log))
        }
        Command::Rebuild(o) => {
            with_log_and_files(name, &files, &o.build.log, |log| build::rebuild(name, &o, log))
        }
        Command::Traverse(o) => with_log_and_files(name, &files, &o.log, |log| traverse::run(name, &o, log)),
    }
}

fn with_log(name: Name, options: &options::Log, run_command: impl FnOnce(&Arc<Log>) -> Exit) -> Exit {
    with_log_and_files(name, &OutputFiles::default(), options, run_command)
}

/// `files`: those that the call writes at its end, which are checked before it begins.
fn with_log_and_files(
    name: Name,
    files: &OutputFiles,
    options: &options::Log,
    run_command: impl FnOnce(&Arc<Log>) -> Exit,
) -> Exit {
    match Log::open(options, name) {
        Ok(log) => {
            let log = Arc::new(log);
            // Before the others, since it gets the error about them.
            if name == Name::Taut
                && let Some(path) = &options.diagnostics
                && let Err(exit) = files.check_one(path, &log)
            {
                return exit;
            }
            let exit = files.check(&log).map_or_else(|exit| exit, |()| run_command(&log));
            // Also after a failure, which is what the diagnostics are about.
            let written = match log.collected() {
                Some((path, text)) => text_file::write_or_print(path, &text, &log),
                None => Ok(()),
            };
            // The first failure determines the exit code.
            if exit == Exit::Success { written.err().unwrap_or(exit) } else { exit }
        }
        Err(text) => {
            eprint_error(&text);
            Exit::Environment
        }
    }
}

fn not_supported(what: &str) -> Exit {
    eprint_error(&format!("{what} is not supported yet."));
    Exit::Environment
}
