//! What analysis found before anything is built: warnings, and the action whose inputs are requested.

use std::sync::Arc;

use taut_driver::{Analysed, Analysis, Diagnostic, Diagnostics, Location, Request};
use taut_syntax::{Document, JsonPath, Kind, LocationPart, Span, did_you_mean, quoted};
use taut_value::{ActionDescription, EntityName, Str};

use crate::{
    diagnostics::{Inline, only_collect, report, report_with},
    exit::Exit,
    log::{Level, Log},
    options,
    reproduce::quoted as for_shell,
    voice,
};

/// Reports the warnings of analysis.
pub(crate) fn report_warnings(analysed: &Analysed, request: &Request, log: &Log) {
    let warnings = analysed.warnings(&request.repositories.roots);
    report(&warnings.below("While processing targets:"), Level::Warn, log);
    if voice::of(log).has_own_warnings() {
        report(&analysed.not_eligible_although_pinned(&request.repositories), Level::Warn, log);
    }
}

/// Collects the warnings that an earlier call has shown, for programs; gives how many there are.
pub(crate) fn count_warnings(
    analysed: &Analysed,
    request: &Request,
    words: &options::Analysis,
    log: &Log,
) -> usize {
    let of_files = only_collect(&analysed.warnings(&request.repositories.roots), &None, log);
    let unused = unused(analysed, request, words);
    let not_eligible = analysed.not_eligible_although_pinned(&request.repositories);
    let of_files = of_files + only_collect(&not_eligible, &None, log);
    of_files + unused.iter().map(|(inline, warnings)| only_collect(warnings, inline, log)).sum::<usize>()
}

/// Warns of variables that the command line sets and no target depends on.
pub(crate) fn warn_of_unused_variables(
    analysed: &Analysed,
    request: &Request,
    words: &options::Analysis,
    log: &Log,
) {
    if !voice::of(log).has_own_warnings() {
        return;
    }
    for (inline, warnings) in unused(analysed, request, words) {
        report_with(&warnings, &inline, Level::Warn, log);
    }
}

/// Warnings about variables whose text is a list or an object as JSON: `-D NAME=VALUE` sets a text, whatever that is.
pub(crate) fn values_as_texts(defines: &[options::Define]) -> Diagnostics {
    let mut all = Vec::new();
    for options::Define { json, .. } in defines {
        // What is wrong with it is reported elsewhere.
        let Ok(document) = Document::parse("-D", json.as_str()) else { continue };
        for (name, value) in document.root().entries() {
            let Some(value) = value.as_str() else { continue };
            let kind = match Document::parse("-D", value.to_owned()).map(|document| document.root().kind()) {
                Ok(Kind::List) => "list",
                Ok(Kind::Object) => "map",
                _ => continue,
            };
            let written = for_shell(&format!("{{{}: {}}}", quoted(name), value.trim()));
            all.push(
                Diagnostic::warning(format!(
                    "The variable {} is set to a text, not to a {kind}",
                    quoted(name)
                ))
                .help(format!("a {kind} is set by -D {written}")),
            );
        }
    }
    all.into_iter().collect()
}

/// Warnings about such variables, for each text of the command line.
fn unused(analysed: &Analysed, request: &Request, words: &options::Analysis) -> Vec<(Inline, Diagnostics)> {
    let mut all = Vec::new();
    // The label by which diagnostics name the text, as no file has it.
    let label: Arc<str> = "-D".into();
    let targets = request.targets.iter().map(|target| EntityName::Named(target.clone()).to_json());
    let targets = targets.collect::<Vec<_>>().join(", ");
    for options::Define { json, short_form } in &words.defines {
        // It was parsed for the request, and so does not fail here.
        let Ok(document) = Document::parse(label.clone(), json.as_str()) else { continue };
        let is_unused = |name: &&str| !analysed.vars.contains(name);
        let unused = document.root().entries().map(|(name, _)| name).filter(is_unused);
        let warnings = unused.map(|name| {
            let message =
                format!("Nothing that {targets} is made from depends on the variable {}", quoted(name));
            let warning = Diagnostic::warning(message).at(match short_form {
                Some(_) => name_in_short_form(label.clone(), name),
                None => Location::key(&*label, JsonPath::root().key(name)),
            });
            warning.suggest(did_you_mean(name, analysed.vars.iter().map(Str::as_str)))
        });
        // The excerpt is from what was typed.
        let typed = short_form.as_ref().unwrap_or(json).as_str();
        all.push((Some((label.clone(), typed.into())), warnings.collect()));
    }
    all
}

/// Where `NAME=VALUE` has the name.
fn name_in_short_form(label: Arc<str>, name: &str) -> Location {
    let end = u32::try_from(name.len()).unwrap_or(u32::MAX);
    Location { file: label, place: LocationPart::Text(Span { start: 0, end }) }
}

/// Replaces what is requested by the inputs of an action, with `--request-action-input`; returns the action and its
/// name.
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
    let wanted = voice::of(log).action_in_words(wanted);
    let (name, action) = analysis.turn_to_input_of(&wanted).map_err(|why| {
        log.say(Level::Error, voice::of(log).no_action(&why));
        Exit::AnalysisFailure
    })?;
    voice::of(log).turned_to_input(&name, log);
    Ok(Some((name, action)))
}
