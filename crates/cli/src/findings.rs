//! What analysis found before anything is built: warnings, and the action whose inputs are asked for.

use std::sync::Arc;

use taut_driver::{Analysed, Analysis, Request};
use taut_value::ActionDescription;

use crate::{
    diagnostics::tell,
    exit::Exit,
    log::{Level, Log},
    options,
};

/// Tells what is probably not meant.
pub(crate) fn tell_warnings(analysed: &Analysed, request: &Request, log: &Log) {
    tell(&analysed.warnings(&request.repositories.roots), Level::Warn, log);
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
