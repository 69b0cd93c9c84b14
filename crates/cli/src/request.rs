//! From the options of a subcommand to a request, and the check for options that are not supported.

use std::path::Path;

use taut_driver::{
    Diagnostic, Diagnostics, NO_MODULE, Overrides, Request, SetupError, UnresolvedRequest, Words,
};

use crate::diagnostics;
use crate::environment::not_supported;
use crate::exit::Exit;
use crate::log::{Level, Log};
use crate::options::{Analysis, Common, Execution, Stores};
use crate::remote_cache::remote_cache;
use crate::repositories;
use crate::retry::LOST_ROOTS;
use crate::roots::Roots;
use crate::settings::launcher;
use crate::text_file;
use crate::typed_target;
use taut_syntax::quoted;

/// What the call asks for, or reports why that is wrong.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn request(
    common: &Common,
    analysis: &Analysis,
    roots: &Roots<'_>,
    log: &Log,
) -> Result<UnresolvedRequest, Exit> {
    // It may have been removed, or not be accessible to this user. Absolute paths do not need it.
    if let Err(error) = std::env::current_dir() {
        log.say(Level::Warn, format!("Cannot determine the working directory ({error}): taking / for it."));
    }
    let request = quiet_request(common, analysis, roots, log)?;
    if let Some(path) = &analysis.serve_errors_log {
        // No target is served by another machine, so there are no errors of that.
        text_file::write(path, "[]\n", log)?;
    }
    Ok(request)
}

/// The same without messages, except about errors.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn quiet_request(
    common: &Common,
    analysis: &Analysis,
    roots: &Roots<'_>,
    log: &Log,
) -> Result<UnresolvedRequest, Exit> {
    quiet_request_for(common, analysis, &analysis.target, roots, log)
}

/// The same about other targets than those that the options name.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn quiet_request_for(
    common: &Common,
    analysis: &Analysis,
    target: &[String],
    roots: &Roots<'_>,
    log: &Log,
) -> Result<UnresolvedRequest, Exit> {
    // A deleted working directory matters only if something is relative to it.
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let request = request_in(&cwd, common, analysis, target, roots).map_err(|error| roots.report(&error))?;
    log.shows_texts_in(&request.repositories);
    log.names().set_main(&request.repositories.main);
    Ok(request)
}

/// The same, with words that are relative to a given working directory.
///
/// # Errors
///
/// What is wrong, for [`report_error`](crate::setup_error::report_error).
pub(crate) fn request_in(
    cwd: &Path,
    common: &Common,
    analysis: &Analysis,
    target: &[String],
    roots: &Roots<'_>,
) -> Result<UnresolvedRequest, SetupError> {
    match request_once(cwd, common, analysis, target, roots) {
        // Found while the request was read; what a build finds later is its own affair.
        Err(error) if error.has_lost_roots && roots.mends() => {
            roots.log().say(Level::Warn, LOST_ROOTS);
            roots.verify();
            request_once(cwd, common, analysis, target, roots)
        }
        done => done,
    }
}

fn request_once(
    cwd: &Path,
    common: &Common,
    analysis: &Analysis,
    target: &[String],
    roots: &Roots<'_>,
) -> Result<UnresolvedRequest, SetupError> {
    let configured = repositories::configured(common, roots.verifies(), cwd, roots.log())?;
    if configured.origin.is_some() {
        roots.are_set_up();
    }
    let words = Words {
        repository_config: configured.file.clone(),
        origin: configured.origin.clone(),
        overrides: Overrides {
            main: common.main.clone(),
            workspace_root: common.workspace_root.clone().or(configured.workspace.clone()),
            target_root: analysis.target_root.clone(),
            rule_root: analysis.rule_root.clone(),
            expression_root: analysis.expression_root.clone(),
            target_file_name: analysis.target_file_name.clone(),
            rule_file_name: analysis.rule_file_name.clone(),
            expression_file_name: analysis.expression_file_name.clone(),
            // The library of rules is taut's alone.
            has_rules: analysis.has_typed_names,
            dialect: analysis.dialect(),
        },
        config: analysis.config.clone().filter(|path| !path.as_os_str().is_empty()),
        defines: analysis.defines.clone(),
        target: target.to_vec(),
        has_typed_names: analysis.has_typed_names,
    };
    let request = UnresolvedRequest::new(&words, cwd, roots)?;
    // The reference passes over what they are about.
    if analysis.has_typed_names {
        diagnostics::report(&request.repositories.warnings, Level::Warn, roots.log());
    }
    Ok(request)
}

/// Reports why analysis failed, and returns the exit code. If roots are not there, that is the reason. In errors about the
/// target that the command line names, names are in the form of the command line.
pub(crate) fn report_problems(
    problems: &Diagnostics,
    request: &Request,
    words: &[String],
    log: &Log,
) -> Exit {
    let of_roots = request.problems_of_roots();
    // Everything else follows from a root that is not there.
    if !of_roots.is_empty() {
        diagnostics::report(&of_roots, Level::Error, log);
        return Exit::BuildFailure;
    }
    let is_asked_for = |problem: &Diagnostic| problem.location.is_none();
    if log.is_as_reference() || !problems.iter().any(is_asked_for) {
        diagnostics::report(problems, Level::Error, log);
        return Exit::AnalysisFailure;
    }
    let on_command_line = |problem: &Diagnostic| {
        let mut problem = problem.clone();
        if !is_asked_for(&problem) {
            return problem;
        }
        if words.len() == 2 && problem.message.starts_with(NO_MODULE) {
            problem =
                problem.help("two words are a module and a target in it, or two targets of the module here");
        }
        typed_target::as_typed(problem, request, words)
    };
    diagnostics::report(&problems.iter().map(on_command_line).collect(), Level::Error, log);
    Exit::AnalysisFailure
}

/// Checks the options about services and execution; reports those that are malformed or not supported.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn check(common: &Common, stores: &Stores, execution: &Execution, log: &Log) -> Result<(), Exit> {
    let fail = |exit, text: String| {
        log.say(Level::Error, text);
        Err(exit)
    };
    if let Some(text) = execution.local_launcher.as_deref().and_then(|text| launcher(text).err()) {
        let bad = execution.local_launcher.as_deref().unwrap_or_default();
        let text = match taut_syntax::json::reference_error(bad.as_bytes()) {
            _ if !log.is_as_reference() => {
                format!("{text}\nhelp: the launcher is a list of words as JSON: [\"env\", \"--\"]")
            }
            why if !why.is_empty() => format!("Command line parse error: {why}"),
            _ => format!("Command line parse error: {text}"),
        };
        return fail(Exit::Syntax, text);
    }
    without_effect(common, execution, log);
    if let Some(text) = zero_number(common, stores, execution, log.is_as_reference()) {
        return fail(Exit::Environment, text);
    }
    if let Some(text) = certificate_error(stores, log.is_as_reference()) {
        return fail(Exit::Environment, text);
    }
    if let Some(bad) = execution.remote_execution_property.iter().find(|property| !property.contains(':')) {
        let text = match log.is_as_reference() {
            true => format!("Adding platform property {} failed.", quoted(&bad)),
            false => format!("--remote-execution-property: expected KEY:VALUE, not {}", quoted(&bad)),
        };
        return fail(Exit::Environment, text);
    }
    if let Err(text) = remote_cache(common, execution, stores) {
        return fail(Exit::Environment, text);
    }
    // After the values: a wrong value is wrong also once the option is supported.
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

/// Warns of options that are accepted, as the reference accepts them, but do not do what they seem to.
fn without_effect(common: &Common, execution: &Execution, log: &Log) {
    if log.is_as_reference() {
        return;
    }
    if execution.build_jobs == Some(0) {
        log.say(Level::Warn, "-J 0 is ignored: as many actions run at once as --jobs says");
    }
    let cwd = std::env::current_dir().unwrap_or_default();
    if let Some(name) = common.main.as_ref().filter(|_| repositories::files(common, &cwd).is_empty()) {
        let text =
            "--main chooses nothing without a description of repositories: the workspace is repository";
        log.say(Level::Warn, format!("{text} {}", quoted(name)));
    }
}

/// The error for a number that must not be zero, and is.
fn zero_number(
    common: &Common,
    stores: &Stores,
    execution: &Execution,
    as_reference: bool,
) -> Option<String> {
    let retries = [
        (stores.max_attempts, "max number of attempts provided"),
        (stores.initial_backoff_seconds, "initial amount of seconds provided"),
        (stores.max_backoff_seconds, "max backoff provided"),
    ];
    if !as_reference {
        let options = [
            ("--jobs", common.jobs == Some(0)),
            ("--action-timeout", execution.action_timeout == Some(0)),
            ("--max-attempts", stores.max_attempts == Some(0)),
            ("--initial-backoff-seconds", stores.initial_backoff_seconds == Some(0)),
            ("--max-backoff-seconds", stores.max_backoff_seconds == Some(0)),
            ("--remote-cache-timeout", execution.remote_cache_timeout == Some(0)),
        ];
        let zero = options.iter().find(|(_, is_zero)| *is_zero);
        return zero.map(|(option, _)| format!("{option} has to be at least 1"));
    }
    match (common.jobs, execution.action_timeout) {
        (Some(0), _) => Some("Setting jobs failed.".to_owned()),
        (_, Some(0)) => Some("Setting action timeout failed.".to_owned()),
        _ => retries
            .iter()
            .find(|(number, _)| *number == Some(0))
            .map(|(_, what)| format!("Invalid {what}: 0.\nValue must be strictly greater than 0.")),
    }
}

/// The error for certificates that cannot be read or are incomplete. They are checked as the reference does, though no
/// service is used yet.
pub(crate) fn certificate_error(stores: &Stores, as_reference: bool) -> Option<String> {
    let files = [
        (&stores.tls_ca_cert, "CA certificate", "--tls-ca-cert"),
        (&stores.tls_client_cert, "client certificate", "--tls-client-cert"),
        (&stores.tls_client_key, "client key", "--tls-client-key"),
    ];
    for (path, what, option) in files {
        let Some(path) = path else { continue };
        if let Err(error) = taut_sys::Named::read(path) {
            return Some(match as_reference {
                true => format!("Could not read '{}' {what}.", path.display()),
                false => format!("{option}: {error}"),
            });
        }
    }
    let missing = match (&stores.tls_client_cert, &stores.tls_client_key) {
        (Some(_), None) => "tls-client-key",
        (None, Some(_)) => "tls-client-cert",
        _ => return None,
    };
    Some(match as_reference {
        true => format!("Please also provide {missing}"),
        false => format!("--tls-client-cert and --tls-client-key belong together: --{missing} is missing"),
    })
}
