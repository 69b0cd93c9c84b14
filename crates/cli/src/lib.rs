//! The terminal: words in, reports, progress and an exit code out.
//!
//! This crate alone reads environment variables, owns standard output and standard error, and knows
//! the numbers of exit codes. What a request does is `driver`'s business.

mod cas;
mod exit;
mod log;
mod options;
mod surroundings;
mod version;

use std::ffi::OsString;
use std::io::Write as _;

use exit::Exit;
use log::{Level, Log};
use options::{Command, CommandLine, NoCommand};
use surroundings::Name;

/// Runs one call; the first word is the name by which the tool was called. Returns the exit code.
pub fn run(words: Vec<OsString>) -> i32 {
    let name = Name::of_call(words.first());
    let outcome = match CommandLine::parse_words(name.word(), &words) {
        Ok(line) => dispatch(name, line.subcommand),
        Err(NoCommand::Help(text)) => print(text.as_bytes()),
        Err(NoCommand::Wrong(text)) => {
            eprint_text(&text);
            Exit::Syntax
        }
    };
    outcome.code()
}

fn dispatch(name: Name, command: Command) -> Exit {
    match command {
        Command::Version => print(version::text(name).as_bytes()),
        Command::InstallCas(options) => with_log(&options.log, |log| cas::install(name, &options, log)),
        Command::AddToCas(options) => with_log(&options.log, |log| cas::add(name, &options, log)),
        Command::Gc(options) => with_log(&options.log, |log| cas::collect_garbage(name, &options, log)),
        Command::Execute(_) => not_supported("`execute` (running an execution service)"),
        Command::Serve(_) => not_supported("`serve` (running a target-serving service)"),
        Command::Describe(options) => with_log(&options.log, |log| unsupported(log, "`describe`")),
        Command::Analyse(options) => with_log(&options.log, |log| unsupported(log, "`analyse`")),
        Command::Build(options) => with_log(&options.log, |log| unsupported(log, "`build`")),
        Command::Install(options) => with_log(&options.build.log, |log| unsupported(log, "`install`")),
        Command::Rebuild(options) => with_log(&options.build.log, |log| unsupported(log, "`rebuild`")),
        Command::Traverse(options) => with_log(&options.log, |log| unsupported(log, "`traverse`")),
    }
}

fn with_log(options: &options::Log, go: impl FnOnce(&Log) -> Exit) -> Exit {
    match Log::open(options) {
        Ok(log) => go(&log),
        Err(text) => {
            eprint_text(&format!("ERROR: {text}\n"));
            Exit::Environment
        }
    }
}

fn not_supported(what: &str) -> Exit {
    eprint_text(&format!("ERROR: {what} is not supported yet.\n"));
    Exit::Environment
}

fn unsupported(log: &Log, what: &str) -> Exit {
    log.say(Level::Error, format!("{what} is not supported yet."));
    Exit::Environment
}

/// Writes requested data to standard output. Whoever closed it wants no more: that is no failure. Any
/// other error is one, since the data is what the call was for.
fn print(bytes: &[u8]) -> Exit {
    let mut out = std::io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprint_text(&format!("ERROR: cannot write to standard output: {error}\n"));
            Exit::Environment
        }
        _ => Exit::Success,
    }
}

fn eprint_text(text: &str) {
    // Nowhere to complain if standard error is gone.
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}
