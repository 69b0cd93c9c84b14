//! The messages about values of options, and about files that the command line names, in both voices.

use std::{io::ErrorKind, path::Path};

use taut_syntax::{Document, quoted};
use taut_sys::{canonical, in_words};

use super::{just::Just, taut::Taut};
use crate::log::{Level, Log};

/// A number among the options that must not be zero.
#[derive(Clone, Copy)]
pub(crate) enum Number {
    Jobs,
    ActionTimeout,
    MaxAttempts,
    InitialBackoff,
    MaxBackoff,
    RemoteCacheTimeout,
}

/// What is wrong with the files of certificates.
pub(crate) enum BadCertificate<'o> {
    /// A file that cannot be read: the option that names it, what it should be, and why.
    Unreadable { option: &'static str, what: &'static str, path: &'o Path, why: taut_sys::Error },
    /// Only one of a client's certificate and key is given; `missing` is the option for the other.
    Incomplete { missing: &'static str },
}

/// The texts about arguments of a call.
pub(crate) trait ArgumentTexts {
    /// A launcher that is not a list of words: `given`, and why.
    fn bad_launcher(&self, given: &str, why: String) -> String;

    /// A number that must not be zero, and is.
    fn is_zero(&self, number: Number) -> String;

    /// Certificates that cannot be read, or are incomplete.
    fn bad_certificate(&self, bad: &BadCertificate<'_>, log: &Log) -> String;

    /// A property of execution without a value.
    fn bad_property(&self, given: &str) -> String;

    /// What `rebuild` is to compare with, and is not an address.
    fn bad_comparison(&self, given: &str) -> String;

    /// An argument that is not JSON, where, and why.
    fn bad_artifacts(&self, given: &str, column: u32, why: &str) -> String;

    /// The message, if any, after the error of artifacts to build that are not in the graph.
    fn no_artifacts_to_build(&self) -> Option<&'static str>;

    /// A file that cannot be read or has no graph, and why; that names the file. `text`: what is in it.
    fn bad_graph(&self, file: &str, text: Option<&[u8]>, why: String, log: &Log);

    /// A path at which there is no git repository to take objects from.
    fn no_git_cas(&self, path: &Path, why: &str, log: &Log);

    /// A directory, to install into, that cannot be made or opened.
    fn no_directory(&self, path: &Path, why: &taut_sys::Error, log: &Log);

    /// A file that cannot be written.
    fn not_written(&self, path: &Path, why: &taut_sys::Error, log: &Log);
}

impl ArgumentTexts for Just {
    fn bad_launcher(&self, given: &str, why: String) -> String {
        // The reference parses the JSON with its library, whose words come first.
        let of_parser = taut_syntax::json::reference_error(given.as_bytes());
        format!("Command line parse error: {}", if of_parser.is_empty() { why } else { of_parser })
    }

    fn is_zero(&self, number: Number) -> String {
        let what = match number {
            Number::Jobs => return "Setting jobs failed.".to_owned(),
            Number::ActionTimeout => return "Setting action timeout failed.".to_owned(),
            Number::MaxAttempts => "max number of attempts provided",
            Number::InitialBackoff => "initial amount of seconds provided",
            // The latter is not an option under this name.
            Number::MaxBackoff | Number::RemoteCacheTimeout => "max backoff provided",
        };
        format!("Invalid {what}: 0.\nValue must be strictly greater than 0.")
    }

    fn bad_certificate(&self, bad: &BadCertificate<'_>, log: &Log) -> String {
        match bad {
            BadCertificate::Unreadable { path, what, why, .. } => {
                // As the library puts it with which the reference resolves and reads paths.
                let as_library = match canonical(path) {
                    Err(error) => {
                        let (why, path) = (in_words(&error.source), path.display());
                        Some(format!("filesystem error: cannot make canonical path: {why} [{path}]"))
                    }
                    Ok(_) => (why.source.kind() == ErrorKind::IsADirectory).then(|| {
                        "basic_filebuf::underflow error reading the file: Is a directory".to_owned()
                    }),
                };
                if let Some(text) = as_library {
                    log.say(Level::Error, text);
                }
                format!("Could not read '{}' {what}.", path.display())
            }
            BadCertificate::Incomplete { missing } => format!("Please also provide {missing}"),
        }
    }

    fn bad_property(&self, given: &str) -> String {
        format!("Adding platform property {} failed.", quoted(given))
    }

    fn bad_comparison(&self, given: &str) -> String {
        format!("Failed to set cache endpoint address {}", quoted(given))
    }

    fn bad_artifacts(&self, given: &str, _: u32, why: &str) -> String {
        let of_parser = taut_syntax::json::reference_error(given.as_bytes());
        format!("Command line parse error: {}", if of_parser.is_empty() { why } else { &of_parser })
    }

    fn no_artifacts_to_build(&self) -> Option<&'static str> {
        Some("Build failed.")
    }

    fn bad_graph(&self, file: &str, text: Option<&[u8]>, why: String, log: &Log) {
        let heading = format!("parsing graph from {file}");
        let Some(text) = text else { return log.say(Level::Error, heading) };
        let of_parser = taut_syntax::json::reference_error(text);
        if !of_parser.is_empty() {
            log.say(Level::Error, of_parser);
            return log.say(Level::Error, heading);
        }
        let document = Document::parse(file, text.to_vec());
        // It reads all three keys, and reports each that is missing.
        let is_absent = |key: &&str| document.as_ref().is_ok_and(|graph| graph.root().get(key).is_none());
        let absent: Vec<&str> = ["blobs", "trees", "actions"].into_iter().filter(is_absent).collect();
        for key in &absent {
            let text = format!("can not retrieve value for {} from graph description.", quoted(key));
            log.say(Level::Error, format!("key {key} cannot be found in JSON object\n{text}"));
        }
        if absent.is_empty() {
            log.say(Level::Error, format!("{heading}\n{why}"));
        }
    }

    fn no_git_cas(&self, path: &Path, _: &str, log: &Log) {
        log.say(Level::Warn, format!("Failed set Git CAS {}.", path.display()));
    }

    fn no_directory(&self, path: &Path, why: &taut_sys::Error, log: &Log) {
        // The words of `std::filesystem`, which the reference passes on.
        let reason = match why.source.kind() {
            ErrorKind::NotADirectory => "Not a directory",
            ErrorKind::PermissionDenied => "Permission denied",
            ErrorKind::ReadOnlyFilesystem => "Read-only file system",
            ErrorKind::StorageFull => "No space left on device",
            ErrorKind::NotFound => "No such file or directory",
            // For other errors the words of the system are as good: no script looks for them.
            _ => return log.say(Level::Error, why.to_string()),
        };
        let text = format!("filesystem error: cannot create directories: {reason} [{}]", path.display());
        log.say(Level::Error, text);
    }

    fn not_written(&self, _: &Path, why: &taut_sys::Error, log: &Log) {
        log.say(Level::Error, why.to_string());
    }
}

impl ArgumentTexts for Taut {
    fn bad_launcher(&self, _: &str, why: String) -> String {
        format!("{why}\nhelp: the launcher is a list of words as JSON: [\"env\", \"--\"]")
    }

    fn is_zero(&self, number: Number) -> String {
        let option = match number {
            Number::Jobs => "--jobs",
            Number::ActionTimeout => "--action-timeout",
            Number::MaxAttempts => "--max-attempts",
            Number::InitialBackoff => "--initial-backoff-seconds",
            Number::MaxBackoff => "--max-backoff-seconds",
            Number::RemoteCacheTimeout => "--remote-cache-timeout",
        };
        format!("{option} has to be at least 1")
    }

    fn bad_certificate(&self, bad: &BadCertificate<'_>, _: &Log) -> String {
        match bad {
            BadCertificate::Unreadable { option, why, .. } => format!("{option}: {why}"),
            BadCertificate::Incomplete { missing } => {
                format!("--tls-client-cert and --tls-client-key belong together: --{missing} is missing")
            }
        }
    }

    fn bad_property(&self, given: &str) -> String {
        format!("--remote-execution-property: expected KEY:VALUE, not {}", quoted(given))
    }

    fn bad_comparison(&self, given: &str) -> String {
        format!("--vs: expected \"local\" or HOST:PORT, not {}", quoted(given))
    }

    fn bad_artifacts(&self, _: &str, column: u32, why: &str) -> String {
        format!("--artifacts: column {column}: {why}")
    }

    fn no_artifacts_to_build(&self) -> Option<&'static str> {
        None
    }

    fn bad_graph(&self, _: &str, _: Option<&[u8]>, why: String, log: &Log) {
        log.say(Level::Error, why);
    }

    fn no_git_cas(&self, path: &Path, why: &str, log: &Log) {
        log.say(Level::Warn, format!("--git-cas {} is ignored: {why}", path.display()));
    }

    fn no_directory(&self, _: &Path, why: &taut_sys::Error, log: &Log) {
        log.say(Level::Error, format!("Cannot install: {why}"));
    }

    fn not_written(&self, path: &Path, why: &taut_sys::Error, log: &Log) {
        log.say(Level::Error, format!("Cannot write {}: {why}", path.display()));
    }
}
