//! What analysis found before anything is built: warnings, and the action whose inputs are asked for.

use std::sync::Arc;

use taut_driver::{Analysed, Analysis, Diagnostic, Location, Request};
use taut_syntax::{Document, JsonPath, did_you_mean, quoted};
use taut_value::{ActionDescription, EntityName, Str};

use crate::{
    diagnostics::{tell, tell_with},
    exit::Exit,
    log::{Level, Log},
    options,
};

/// Tells what is probably not meant.
pub(crate) fn tell_warnings(analysed: &Analysed, request: &Request, log: &Log) {
    let warnings = analysed.warnings(&request.repositories.roots);
    tell(&warnings.below("While processing targets:"), Level::Warn, log);
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

/// Turns to the input of an action if that was asked for; then gives the action, and its name.
///
/// # Errors
///
/// The exit code; what is wrong has been told.
pub(crate) fn turn_to_input(
    analysis: &mut Analysis,
    words: &options::Analysis,
    log: &Log,
) -> Result<Option<(String, Arc<ActionDescription>)>, Exit> {
    let Some(wanted) = &words.request_action_input else { return Ok(None) };
    let (name, action) = analysis.turn_to_input_of(wanted).map_err(|text| {
        log.say(Level::Error, text);
        Exit::AnalysisFailure
    })?;
    log.voice().turned_to_input(&name, log);
    Ok(Some((name, action)))
}
