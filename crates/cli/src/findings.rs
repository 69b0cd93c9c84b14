//! Messages about what analysis found: the target, warnings, taint.

use taut_driver::{AnalysedTarget, Analysis, ConfiguredTarget, Survey};

use crate::{
    diagnostics::tell,
    exit::Exit,
    log::{Level, Log},
    options, report,
    settings::log_limit,
};

/// Tells what analysis found, and turns to the input of an action if that was asked for; then gives the
/// action's name.
///
/// # Errors
///
/// The exit code; what is wrong has been told.
pub(crate) fn tell_analysed(
    analysis: &mut Analysis,
    words: &options::Analysis,
    log: &Log,
) -> Result<Option<String>, Exit> {
    tell(&analysis.warnings(), Level::Warn, log);
    let mut action = None;
    if let Some(wanted) = &words.request_action_input {
        let name = analysis.turn_to_input_of(wanted).map_err(|text| {
            log.say(Level::Error, text);
            Exit::AnalysisFailure
        })?;
        log.say(Level::Info, format!("Request is input of action {name}"));
        action = Some(name);
    }
    tell_targets(analysis.asked.iter().map(|of| &of.target), analysis.export_targets(), words, log);
    Ok(action)
}

/// Tells which targets were analysed.
fn tell_targets<'t>(
    targets: impl IntoIterator<Item = &'t ConfiguredTarget>,
    exports: usize,
    words: &options::Analysis,
    log: &Log,
) {
    for target in targets {
        let shown = report::configured(&target.name, target.config.map(), log_limit(words));
        log.say(Level::Info, format!("Analysed target {shown}"));
    }
    if let Some(text) = report::export_targets(0, None, 0, exports) {
        log.say(Level::Info, text);
    }
}

/// Tells what a survey found.
pub(crate) fn tell_survey(survey: &Survey, words: &options::Analysis, log: &Log) {
    tell(&survey.warnings, Level::Warn, log);
    tell_targets(&survey.targets, survey.counts.exports, words, log);
}

/// Tells what the target is tainted with, if anything.
pub(crate) fn tell_taint(tainted: &[String], log: &Log) {
    if !tainted.is_empty() {
        let tainted: Vec<&str> = tainted.iter().map(String::as_str).collect();
        log.say(Level::Info, report::tainted(&tainted));
    }
}

/// What the target is tainted with.
pub(crate) fn taint(analysed: &AnalysedTarget) -> Vec<String> {
    analysed.tainted.iter().map(|taint| taint.to_string()).collect()
}
