//! From the options of a subcommand to a request: what it is about, and what cannot be served.

use std::path::Path;

use taut_driver::{Diagnostic, Diagnostics, NO_MODULE, Overrides, Request, SetupError, Words};

use crate::diagnostics::{self, tell_with};
use crate::exit::Exit;
use crate::log::{Level, Log};
use crate::options::{Analysis, Common, Execution, Stores};
use crate::surroundings::not_supported;
use crate::text_file;
use taut_syntax::quoted;

/// Makes the request, or tells why there is none.
///
/// # Errors
///
/// The exit code; what is wrong has been told.
pub(crate) fn request(common: &Common, analysis: &Analysis, log: &Log) -> Result<Request, Exit> {
    // It may have been removed, or be out of reach for this user; with absolute paths all goes well without.
    if let Err(error) = std::env::current_dir() {
        log.say(Level::Warn, format!("Cannot determine the working directory ({error}): taking / for it."));
    }
    let request = quiet_request(common, analysis, log)?;
    log.voice().requested(&request, log);
    if let Some(path) = &analysis.serve_errors_log {
        // Nobody is asked to serve a target, so nobody failed.
        text_file::write(path, "[]\n", log)?;
    }
    Ok(request)
}

/// The same without a word about it.
///
/// # Errors
///
/// The exit code; what is wrong has been told.
pub(crate) fn quiet_request(common: &Common, analysis: &Analysis, log: &Log) -> Result<Request, Exit> {
    quiet_request_for(common, analysis, &analysis.target, log)
}

/// The same about another target than the one that the options name.
///
/// # Errors
///
/// The exit code; what is wrong has been told.
pub(crate) fn quiet_request_for(
    common: &Common,
    analysis: &Analysis,
    target: &[String],
    log: &Log,
) -> Result<Request, Exit> {
    // A deleted working directory matters only if something is relative to it.
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    request_in(&cwd, common, analysis, target).map_err(|error| tell(&error, log))
}

/// The same, with the words as said in a given working directory.
///
/// # Errors
///
/// What is wrong, for [`tell`].
pub(crate) fn request_in(
    cwd: &Path,
    common: &Common,
    analysis: &Analysis,
    target: &[String],
) -> Result<Request, SetupError> {
    let words = Words {
        repository_config: common.repository_config.clone(),
        overrides: Overrides {
            main: common.main.clone(),
            workspace_root: common.workspace_root.clone(),
            target_root: analysis.target_root.clone(),
            rule_root: analysis.rule_root.clone(),
            expression_root: analysis.expression_root.clone(),
            target_file_name: analysis.target_file_name.clone(),
            rule_file_name: analysis.rule_file_name.clone(),
            expression_file_name: analysis.expression_file_name.clone(),
        },
        config: analysis.config.clone().filter(|path| !path.as_os_str().is_empty()),
        defines: analysis.defines.clone(),
        target: target.to_vec(),
        has_typed_names: analysis.has_typed_names,
    };
    Request::new(&words, cwd)
}

/// Tells what is wrong with a description. Problems with the target that the command line names are put as it has to be
/// written there.
pub(crate) fn tell_problems(problems: &Diagnostics, request: &Request, words: &[String], log: &Log) {
    let is_asked_for = |problem: &Diagnostic| problem.location.is_none();
    if log.is_as_reference() || !problems.iter().any(is_asked_for) {
        return diagnostics::tell(problems, Level::Error, log);
    }
    let help = two_words(request, words);
    let on_command_line = |problem: &Diagnostic| {
        let mut problem = problem.clone();
        if !is_asked_for(&problem) {
            return problem;
        }
        problem.suggestion = problem.suggestion.map(|meant| typed(&meant, words));
        match &help {
            Some(help) if problem.message.starts_with(NO_MODULE) => problem.help(&**help),
            _ => problem,
        }
    };
    diagnostics::tell(&problems.iter().map(on_command_line).collect(), Level::Error, log);
}

/// What two words of the command line mean, if there are two.
fn two_words(request: &Request, words: &[String]) -> Option<String> {
    if words.len() != 2 {
        return None;
    }
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    Some(match request.targets_here(words, &cwd)[..] {
        [one, other] => format!(
            "two words are a module and a target in it; {one} and {other} are targets of the module here: a call takes \
             one of them"
        ),
        [one] => format!("two words are a module and a target in it; {one} is a target of the module here"),
        _ => "two words are a module and a target in it".to_owned(),
    })
}

/// A suggestion as it is written on the command line: a JSON list of module and name, or a name of the module in the words.
fn typed(meant: &str, words: &[String]) -> String {
    if let Some((module, name)) = module_and_name(meant) {
        return format!("{module}:{name}");
    }
    match words {
        [word] => word.rsplit_once(':').map_or(meant.to_owned(), |(module, _)| format!("{module}:{meant}")),
        [module, _] => format!("{module}:{meant}"),
        _ => meant.to_owned(),
    }
}

fn module_and_name(list: &str) -> Option<(String, String)> {
    let document = taut_syntax::json::Document::parse("", list.to_owned()).ok()?;
    let mut items = document.root().as_list()?;
    match (items.next()?.as_str()?, items.next()?.as_str()?, items.next()) {
        (module, name, None) => Some((module.to_owned(), name.to_owned())),
        _ => None,
    }
}

/// Tells why there is no request.
pub(crate) fn tell(error: &SetupError, log: &Log) -> Exit {
    tell_with(&(*error.problem).clone().into(), &error.inline, Level::Error, log);
    if error.unsupported { Exit::Environment } else { Exit::BuildFailure }
}

/// Whether the options about services and execution can be served; tells what cannot.
///
/// # Errors
///
/// The exit code; what is wrong has been told.
pub(crate) fn check(common: &Common, stores: &Stores, execution: &Execution, log: &Log) -> Result<(), Exit> {
    let fail = |exit, text: String| {
        log.say(Level::Error, text);
        Err(exit)
    };
    if let Some(text) = execution.local_launcher.as_deref().and_then(|text| launcher(text).err()) {
        let bad = execution.local_launcher.as_deref().unwrap_or_default();
        let text = match taut_syntax::json::reference_error(bad.as_bytes()) {
            why if log.is_as_reference() && !why.is_empty() => why,
            _ => text,
        };
        return fail(Exit::Syntax, format!("Command line parse error: {text}"));
    }
    if let Some(text) = nothing(common, stores, execution) {
        return fail(Exit::Environment, text);
    }
    if let Some(text) = certificates(stores) {
        return fail(Exit::Environment, text);
    }
    if let Some(bad) = execution.remote_execution_property.iter().find(|property| !property.contains(':')) {
        return fail(Exit::Environment, format!("Adding platform property {} failed.", quoted(&bad)));
    }
    if let Some(text) = not_supported(stores) {
        return fail(Exit::Environment, text);
    }
    if let Some(path) = &execution.endpoint_configuration {
        let path = path.display();
        return fail(
            Exit::Environment,
            format!("Remote execution (--endpoint-configuration {path}) is not supported yet."),
        );
    }
    Ok(())
}

/// Which number that must not be zero is.
fn nothing(common: &Common, stores: &Stores, execution: &Execution) -> Option<String> {
    let retries = [
        (stores.max_attempts, "max number of attempts provided"),
        (stores.initial_backoff_seconds, "initial amount of seconds provided"),
        (stores.max_backoff_seconds, "max backoff provided"),
    ];
    match (common.jobs, execution.action_timeout) {
        (Some(0), _) => Some("Setting jobs failed.".to_owned()),
        (_, Some(0)) => Some("Setting action timeout failed.".to_owned()),
        _ => retries
            .iter()
            .find(|(number, _)| *number == Some(0))
            .map(|(_, what)| format!("Invalid {what}: 0.\nValue must be strictly greater than 0.")),
    }
}

/// What is wrong with the certificates that are given, though nobody is asked for any yet.
fn certificates(stores: &Stores) -> Option<String> {
    let files = [
        (&stores.tls_ca_cert, "CA certificate"),
        (&stores.tls_client_cert, "client certificate"),
        (&stores.tls_client_key, "client key"),
    ];
    for (path, what) in files {
        if let Some(path) = path
            && taut_sys::Named::read(path).is_err()
        {
            return Some(format!("Could not read '{}' {what}.", path.display()));
        }
    }
    match (&stores.tls_client_cert, &stores.tls_client_key) {
        (Some(_), None) => Some("Please also provide tls-client-key".to_owned()),
        (None, Some(_)) => Some("Please also provide tls-client-cert".to_owned()),
        _ => None,
    }
}

/// Reads a launcher: a JSON list of strings.
pub(crate) fn launcher(text: &str) -> Result<Vec<String>, String> {
    let document = taut_syntax::json::Document::parse("--local-launcher", text)
        .map_err(|error| format!("--local-launcher: column {}: {}", error.column, error.message))?;
    let words = document
        .root()
        .as_list()
        .and_then(|items| items.map(|item| item.as_str().map(str::to_owned)).collect());
    words.ok_or_else(|| "--local-launcher: expected a JSON list of strings".to_owned())
}

#[cfg(test)]
mod tests {
    use super::launcher;

    #[test]
    fn a_launcher_is_a_list_of_words() {
        assert_eq!(launcher(r#"["env", "--"]"#), Ok(vec!["env".to_owned(), "--".to_owned()]));
        for bad in ["[", "{}", "[1]"] {
            assert!(launcher(bad).is_err(), "{bad}");
        }
    }
}
