//! From the options of a subcommand to a request, and the check for options that are not supported.

use std::path::Path;

use taut_driver::{Diagnostics, Overrides, Request, SetupError, UnresolvedRequest, Words};

use crate::diagnostics;
use crate::environment::not_supported;
use crate::exit::Exit;
use crate::findings;
use crate::log::{Level, Log};
use crate::options::{Analysis, Common, Execution, Stores};
use crate::remote_cache::remote_cache;
use crate::remote_execution::{JOBS, remote_execution};
use crate::repositories;
use crate::retry::LOST_ROOTS;
use crate::roots::Roots;
use crate::settings::launcher;
use crate::text_file;
use crate::voice::{self, BadCertificate, Number};
use taut_syntax::quoted;
use taut_sys::{fault, in_words};

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
    let here = fault::point("getcwd", Path::new("working directory")).and_then(|()| std::env::current_dir());
    if let Err(error) = here {
        let why = in_words(&error);
        log.say(Level::Warn, format!("Cannot determine the working directory ({why}): taking / for it."));
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
        // Once: what is lost again within one call is not repaired by a third try.
        Err(error) if error.has_lost_roots && roots.repairs() => {
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
        // An empty path means no file, as in the reference.
        config: analysis.config.clone().filter(|path| !path.as_os_str().is_empty()),
        defines: analysis.defines.iter().map(|define| define.json.clone()).collect(),
        target: target.to_vec(),
        has_typed_names: analysis.has_typed_names,
    };
    let request = UnresolvedRequest::new(&words, cwd, roots)?;
    // The reference passes over what they are about.
    if analysis.has_typed_names {
        diagnostics::report(&request.repositories.warnings, Level::Warn, roots.log());
        diagnostics::report(&findings::values_as_texts(&analysis.defines), Level::Warn, roots.log());
    }
    Ok(request)
}

/// Reports why analysis failed, and returns the exit code. If roots are not there, that is the reason. In errors about
/// the target that the command line names, names are in the form of the command line.
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
    diagnostics::report(&voice::of(log).about_words(problems, request, words), Level::Error, log);
    Exit::AnalysisFailure
}

/// Reports the errors of targets that a call leaves out.
pub(crate) fn report_left_out(problems: &Diagnostics, request: &Request, words: &[String], log: &Log) {
    diagnostics::report(&voice::of(log).about_words(problems, request, words), Level::Warn, log);
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
    let voice = voice::of(log);
    if let Some(given) = &execution.local_launcher
        && let Err(why) = launcher(given)
    {
        return fail(Exit::Syntax, voice.bad_launcher(given, why));
    }
    warn_of_options_without_effect(common, stores, execution, log);
    if let Some(number) = zero_number(common, stores, execution) {
        return fail(Exit::Environment, voice.is_zero(number));
    }
    if let Err(bad) = check_certificates(stores) {
        return fail(Exit::Environment, voice.bad_certificate(&bad, log));
    }
    if let Some(bad) = execution.remote_execution_property.iter().find(|property| !property.contains(':')) {
        return fail(Exit::Environment, voice.bad_property(bad));
    }
    if let Err(text) = remote_cache(execution, stores) {
        return fail(Exit::Environment, text);
    }
    if let Err(text) = remote_execution(execution, stores, log) {
        return fail(Exit::Environment, text);
    }
    // After the values: a wrong value is wrong also once the option is supported.
    if let Some(text) = not_supported(stores) {
        return fail(Exit::Environment, text);
    }
    Ok(())
}

/// Warns of options that are accepted, as the reference accepts them, but do not do what they seem to.
fn warn_of_options_without_effect(common: &Common, stores: &Stores, execution: &Execution, log: &Log) {
    if !voice::of(log).has_own_warnings() {
        return;
    }
    if execution.build_jobs == Some(0) {
        let is_remote =
            stores.server.remote_execution_address.is_some() || execution.endpoint_configuration.is_some();
        let jobs = match is_remote {
            true => format!("{JOBS} actions are given to servers at once"),
            false => "as many actions run at once as --jobs says".to_owned(),
        };
        log.say(Level::Warn, format!("-J 0 is ignored: {jobs}"));
    }
    let cwd = std::env::current_dir().unwrap_or_default();
    if let Some(name) = common.main.as_ref().filter(|_| repositories::files(common, &cwd).is_empty()) {
        let text =
            "--main chooses nothing without a description of repositories: the workspace is repository";
        log.say(Level::Warn, format!("{text} {}", quoted(name)));
    }
}

/// The first of these numbers that is zero.
fn zero_number(common: &Common, stores: &Stores, execution: &Execution) -> Option<Number> {
    let numbers = [
        (Number::Jobs, common.jobs == Some(0)),
        (Number::ActionTimeout, execution.action_timeout == Some(0)),
    ];
    let cache_timeout = (Number::RemoteCacheTimeout, execution.remote_cache_timeout == Some(0));
    // In the order in which the reference looks at them: of several that are zero, it reports the first.
    let numbers = numbers.into_iter().chain(attempts(stores)).chain([cache_timeout]);
    first_zero(numbers)
}

/// The numbers about attempts to reach a server, in the order in which the reference looks at them, and which are zero.
fn attempts(stores: &Stores) -> [(Number, bool); 3] {
    [
        (Number::InitialBackoff, stores.server.initial_backoff_seconds == Some(0)),
        (Number::MaxBackoff, stores.server.max_backoff_seconds == Some(0)),
        (Number::MaxAttempts, stores.server.max_attempts == Some(0)),
    ]
}

fn first_zero(numbers: impl IntoIterator<Item = (Number, bool)>) -> Option<Number> {
    numbers.into_iter().find(|(_, is_zero)| *is_zero).map(|(number, _)| number)
}

/// Checks the options about servers before one is needed, as the reference does. Returns what is wrong.
pub(crate) fn wrong_about_servers(stores: &Stores, log: &Log) -> Option<String> {
    let voice = voice::of(log);
    if let Err(bad) = check_certificates(stores) {
        return Some(voice.bad_certificate(&bad, log));
    }
    first_zero(attempts(stores)).map(|number| voice.is_zero(number))
}

/// Checks the files of certificates as the reference does, also where no service is used.
///
/// # Errors
///
/// The first thing that is wrong.
fn check_certificates(stores: &Stores) -> Result<(), BadCertificate<'_>> {
    let files = [
        (&stores.server.tls_ca_cert, "CA certificate", "--tls-ca-cert"),
        (&stores.server.tls_client_cert, "client certificate", "--tls-client-cert"),
        (&stores.server.tls_client_key, "client key", "--tls-client-key"),
    ];
    for (path, what, option) in files {
        let Some(path) = path else { continue };
        taut_sys::Named::read(path).map_err(|why| BadCertificate::Unreadable { option, what, path, why })?;
    }
    match (&stores.server.tls_client_cert, &stores.server.tls_client_key) {
        (Some(_), None) => Err(BadCertificate::Incomplete { missing: "tls-client-key" }),
        (None, Some(_)) => Err(BadCertificate::Incomplete { missing: "tls-client-cert" }),
        _ => Ok(()),
    }
}
