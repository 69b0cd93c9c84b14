//! What analysis found before anything is built: warnings, and the action whose inputs are requested.

use std::sync::Arc;

use taut_driver::{Analysed, Analysis, Diagnostic, Location, MIN_ID_DIGITS, Request};
use taut_syntax::{Document, JsonPath, did_you_mean, quoted};
use taut_value::{ActionDescription, EntityName, Str};

use crate::{
    diagnostics::{report, report_with},
    exit::Exit,
    log::{Level, Log},
    options,
};

/// Reports the warnings of analysis.
pub(crate) fn report_warnings(analysed: &Analysed, request: &Request, log: &Log) {
    report(&analysed.warnings(&request.repositories.roots), Level::Warn, log);
}

/// Warns of variables that the command line sets and no target depends on. The reference does not.
pub(crate) fn warn_of_unused_variables(
    analysed: &Analysed,
    request: &Request,
    words: &options::Analysis,
    log: &Log,
) {
    if log.is_as_reference() {
        return;
    }
    let label: Arc<str> = "-D".into();
    let targets = request.targets.iter().map(|target| EntityName::Named(target.clone()).to_json());
    let targets = targets.collect::<Vec<_>>().join(", ");
    for text in &words.defines {
        let Ok(document) = Document::parse(label.clone(), text.as_str()) else { continue };
        let is_unused = |name: &&str| !analysed.vars.contains(name);
        let unused = document.root().entries().map(|(name, _)| name).filter(is_unused);
        let warnings = unused.map(|name| {
            let message =
                format!("Nothing that {targets} is made from depends on the variable {}", quoted(name));
            let warning = Diagnostic::warning(message).at(Location::key(&*label, JsonPath::root().key(name)));
            warning.suggest(did_you_mean(name, analysed.vars.iter().map(Str::as_str)))
        });
        report_with(&warnings.collect(), &Some((label.clone(), text.as_str().into())), Level::Warn, log);
    }
}

/// Replaces what is requested by the inputs of an action, with `--request-action-input`; returns the action and its name.
///
/// # Errors
///
/// The exit code; the errors have been reported.
pub(crate) fn turn_to_input(
    analysis: &mut Analysis,
    words: &options::Analysis,
    log: &Log,
) -> Result<Option<(String, Arc<ActionDescription>)>, Exit> {
    let Some(wanted) = &words.request_action_input else { return Ok(None) };
    let (name, action) = analysis.turn_to_input_of(wanted).map_err(|text| {
        log.say(Level::Error, if log.is_as_reference() { text } else { no_action(wanted, &text, analysis) });
        Exit::AnalysisFailure
    })?;
    log.voice().turned_to_input(&name, log);
    Ok(Some((name, action)))
}

/// Why an action that the command line names is not found; `several` is the reason if its id is ambiguous.
fn no_action(wanted: &str, several: &str, analysis: &Analysis) -> String {
    let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let of_target = analysis.own_actions().len();
    match wanted.strip_prefix('%') {
        Some(digits) if digits.is_empty() || !is_id(digits) => {
            format!("{} is no action: %ID has hexadecimal digits after %", quoted(wanted))
        }
        Some(digits) if digits.len() < MIN_ID_DIGITS => {
            format!("{wanted} is too short: an action is named by at least {MIN_ID_DIGITS} digits of its id")
        }
        Some(_) if several.starts_with("Several") => several.to_owned(),
        Some(_) => format!(
            "No action of the requested target or its dependencies has an id that begins with {wanted}"
        ),
        None if wanted.len() >= MIN_ID_DIGITS && is_id(wanted) => {
            format!("No action {wanted}; an id is written with % in front: %{wanted}")
        }
        None if of_target == 0 => format!("No action {wanted}: the requested target defines no actions"),
        None if of_target == 1 => format!("No action {wanted}: the only one of the requested target is #0"),
        None => {
            let last = of_target - 1;
            format!(
                "No action {wanted}: those of the requested target are #0 to #{last}, others are named %ID"
            )
        }
    }
}
