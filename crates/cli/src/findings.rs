//! Messages about what analysis found: the targets, warnings, taint.

use std::sync::Arc;

use taut_driver::{Analysed, Analysis, Diagnostic, Location, Request};
use taut_syntax::{Document, JsonPath, did_you_mean, quoted};
use taut_value::{EntityName, Str};

use crate::{
    diagnostics::{tell, tell_with},
    exit::Exit,
    log::{Level, Log},
    options, report,
    settings::log_limit,
};

/// Tells what is probably not meant.
pub(crate) fn tell_warnings(analysed: &Analysed, request: &Request, log: &Log) {
    tell(&analysed.warnings(&request.repositories.roots), Level::Warn, log);
}

/// Tells which variables that the command line sets are looked at by nothing. The reference does not.
pub(crate) fn tell_unused(analysed: &Analysed, request: &Request, words: &options::Analysis, log: &Log) {
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
        tell_with(&warnings.collect(), &Some((label.clone(), text.as_str().into())), Level::Warn, log);
    }
}

/// Turns to the input of an action if that was asked for; then gives the action's name.
///
/// # Errors
///
/// The exit code; what is wrong has been told.
pub(crate) fn turn_to_input(
    analysis: &mut Analysis,
    words: &options::Analysis,
    log: &Log,
) -> Result<Option<String>, Exit> {
    let Some(wanted) = &words.request_action_input else { return Ok(None) };
    let name = analysis.turn_to_input_of(wanted).map_err(|text| {
        log.say(Level::Error, text);
        Exit::AnalysisFailure
    })?;
    log.say(Level::Info, format!("Request is input of action {name}"));
    Ok(Some(name))
}

/// Tells which targets were analysed, and of what export targets there are.
pub(crate) fn tell_targets(analysed: &Analysed, request: &Request, words: &options::Analysis, log: &Log) {
    for target in request.targets.iter() {
        let shown = report::configured(&target.clone().into(), &request.configuration, log_limit(words));
        log.say(Level::Info, format!("Analysed target {shown}"));
    }
    if let Some(text) = report::export_targets(0, None, 0, analysed.counts.exports) {
        log.say(Level::Info, text);
    }
}

/// Tells what the targets are tainted with, if anything.
pub(crate) fn tell_taint<'t>(tainted: impl IntoIterator<Item = &'t Str>, log: &Log) {
    let tainted: Vec<&str> = tainted.into_iter().map(Str::as_str).collect();
    if !tainted.is_empty() {
        log.say(Level::Info, report::tainted(&tainted));
    }
}
