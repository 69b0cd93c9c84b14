//! Why a build has no results, told: the reason, what has none because of it, and the targets that define that.
//!
//! Actions that failed themselves are told by the printer. Everything else is a [`Unbuilt`]: one cause, told once
//! however much it affects.

use taut_driver::{BuildFailure, Cause, Unbuilt};
use taut_value::Id;

use crate::{log::Level, printer::Printer, report, reproduce::Reproduction};

/// How many errors of one kind are told: what goes wrong in many places alike need not be read that often.
const MAX_TOLD: usize = 10;

/// Where things are defined, for messages.
pub(crate) struct Defined<'d> {
    /// The targets that ask for an action.
    pub(crate) action: &'d dyn Fn(&Id) -> Vec<String>,
    /// The targets that define an overlay of trees.
    pub(crate) overlay: &'d dyn Fn(&Id) -> Vec<String>,
    /// What the wanted paths belong to.
    pub(crate) requested: String,
}

/// Tells why there are no results. `keep_going`: whether what was not built is listed.
pub(crate) fn tell(
    failure: &BuildFailure,
    defined: &Defined<'_>,
    printer: &Printer,
    by_hand: &Reproduction,
    keep_going: bool,
) {
    let log = printer.log();
    printer.tell_failures(defined.action, by_hand);
    let (of_store, others): (Vec<_>, Vec<_>) =
        failure.unbuilt.iter().partition(|unbuilt| matches!(unbuilt.cause, Cause::Store(_)));
    // A store that fails once fails for everything, with a path of its own each time.
    for (all, limit) in [(others, MAX_TOLD), (of_store, 1)] {
        all.iter().take(limit).for_each(|unbuilt| tell_one(unbuilt, defined, printer));
        if all.len() > limit {
            log.say(Level::Error, format!("There are {} more errors like these.", all.len() - limit));
        }
    }
    if keep_going && !failure.not_built.is_empty() {
        let paths: Vec<String> = failure.not_built.iter().map(|path| format!("\n  {path}")).collect();
        let (failed, other) = (printer.count_of_failures(), failure.unbuilt.len());
        let more = if other > 0 { format!(" and {other} other errors") } else { String::new() };
        let text = format!("{failed} failed actions{more}; not built because of that:{}", paths.concat());
        log.say(Level::Error, text);
    }
    log.say(Level::Error, "Build failed.");
}

fn tell_one(unbuilt: &Unbuilt, defined: &Defined<'_>, printer: &Printer) {
    let mut text = printer.with_hint(unbuilt.cause.to_string());
    let mut is_located = false;
    if let Cause::Conflict { overlay, .. } = &unbuilt.cause {
        let origins = (defined.overlay)(overlay);
        is_located = !origins.is_empty();
        if is_located || printer.is_as_reference() {
            text += &report::requested_by(&origins);
        }
    }
    if printer.is_as_reference() {
        return printer.log().say(Level::Error, text);
    }
    if !is_located {
        text += &of_wanted(unbuilt, &defined.requested);
    }
    text += &of_actions(unbuilt, defined, printer);
    match unbuilt.actions.first() {
        Some((id, _)) => printer.log().say_about(Level::Error, &format!("action:{id}"), text),
        None => printer.log().say(Level::Error, text),
    }
}

/// The wanted paths that have no result.
fn of_wanted(unbuilt: &Unbuilt, requested: &str) -> String {
    let Some(path) = unbuilt.paths.first() else { return String::new() };
    let more = match unbuilt.paths.len() - 1 {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("\nneeded for {:?}{more} of {requested}", path.as_str())
}

/// The first action that has no result, with its command and the targets that ask for it; how many others.
fn of_actions(unbuilt: &Unbuilt, defined: &Defined<'_>, printer: &Printer) -> String {
    let Some((id, action)) = unbuilt.actions.first() else { return String::new() };
    let output = action.outs.iter().chain(&action.out_dirs).next();
    let output = output.map_or_else(|| format!("action %{id}"), |path| format!("{:?}", path.as_str()));
    let command = report::in_environment(&action.command, &action.env);
    let mut text = format!("\nneeded to build {output} by command {}", printer.shown(&command));
    match unbuilt.actions.len() - 1 {
        0 => {}
        1 => text += ", and for another action",
        more => text += &format!(", and for {more} other actions"),
    }
    let origins = (defined.action)(id);
    if !origins.is_empty() {
        text += &report::requested_by(&origins);
    }
    text
}
