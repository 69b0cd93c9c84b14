//! The fields of lines: their names and values, which `schemas/events.schema.json` specifies.

use std::time::Duration;

use taut_digest::Hash;
use taut_exec::{Lacked, Missed, ResultSource, RunResult, Traffic};
use taut_syntax::{Diagnostic, Severity, diagnostic::LocationPart};
use taut_value::{Id, Str};

use super::line::Line;
use super::{MAX_NEEDS, MAX_OUTPUTS};
use crate::Unbuilt;
use crate::event::Analysed;

/// The version of the schema. It changes when a reader of the version before would misunderstand a line; new kinds of
/// lines and new fields are not a reason, since readers pass over what they do not know.
pub(crate) const VERSION: u64 = 1;

/// What lines about actions begin with.
pub(crate) fn action<'l, 'b>(
    line: &'l mut Line<'b>,
    at: Duration,
    id: &Id,
    origin: Option<&str>,
) -> &'l mut Line<'b> {
    line.seconds("at", at).id("action", id);
    if let Some(origin) = origin {
        line.text("origin", origin);
    }
    line
}

/// What analysis found, and how much of each kind.
pub(crate) fn analysed(line: &mut Line<'_>, at: Duration, found: &Analysed) {
    line.seconds("at", at).bool("known", found.is_known);
    for (key, number) in [
        ("actions", found.actions),
        ("trees", found.trees),
        ("overlays", found.overlays),
        ("blobs", found.blobs),
    ] {
        line.number(key, number as u64);
    }
}

/// What an action was made from.
pub(crate) fn inputs(line: &mut Line<'_>, digest: Option<&Hash>, needs: &[Id]) {
    if let Some(digest) = digest {
        line.hash("inputs", digest);
    }
    // A link may need each object of a program: without a bound, one line could be as long as the rest of the log.
    line.ids("needs", &needs[..needs.len().min(MAX_NEEDS)]);
    if needs.len() > MAX_NEEDS {
        line.number("more_needs", (needs.len() - MAX_NEEDS) as u64);
    }
}

/// How an action ran, or what is known of an earlier run. `is_known`: it did not run in this call, so it has no times.
pub(crate) fn outcome(line: &mut Line<'_>, ran: &RunResult, is_known: bool) {
    if !is_known {
        line.seconds("wall", ran.duration);
        // Servers do not report it.
        if ran.executed_by.is_none() {
            line.seconds("cpu", ran.cpu);
        }
    }
    if let Some(server) = &ran.executed_by {
        line.text("executed_by", server);
        if !is_known {
            line.number("sent", ran.sent_bytes)
                .seconds("uploading", ran.uploading)
                .seconds("queued", ran.queued);
        }
    }
    if !is_known && ran.fetched_bytes > 0 {
        fetched(line, ran);
    }
    let mut outputs = line.object("outputs");
    for (path, info) in ran.outputs.iter().take(MAX_OUTPUTS) {
        outputs.shown(path, info);
    }
    drop(outputs);
    // The number is noted, so that a reader can distinguish a cut list from a complete one.
    if ran.outputs.len() > MAX_OUTPUTS {
        line.number("more_outputs", (ran.outputs.len() - MAX_OUTPUTS) as u64);
    }
    for (key, stream) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        if let Some(digest) = stream {
            line.file(key, digest);
        }
    }
    // Most actions end with 0, and there is a line for each: what is usual is left out.
    if ran.exit_code != 0 {
        line.number("exit_code", u64::try_from(ran.exit_code).unwrap_or_default());
    }
}

/// Where a result comes from that was not made in this call.
pub(crate) fn taken_from(line: &mut Line<'_>, ran: &RunResult) {
    match ran.taken_from {
        ResultSource::LocalCache => drop(line.shown("from", "local")),
        ResultSource::RemoteCache => {
            line.shown("from", "remote");
            if let Some(cache) = &ran.had_by {
                line.text("cache", cache);
            }
            fetched(line, ran);
        }
    }
}

/// What came from servers for an action, and how long it waited for that.
fn fetched(line: &mut Line<'_>, ran: &RunResult) {
    line.number("fetched", ran.fetched_bytes).seconds("downloading", ran.downloading);
}

/// The messages of an action at a server that had no result for it: a remote cache, or the server that executed it.
pub(crate) fn missed(line: &mut Line<'_>, missed: &Missed, lacked: Option<&Lacked>) {
    let mut object = line.object("missed");
    // Three digests are enough to look up the rest: at the server, or in the store of the build root.
    object.shown("action", missed.action).shown("command", missed.command).shown("inputs", missed.inputs);
    if missed.is_incomplete {
        object.bool("incomplete", true);
    }
    if let Some(Lacked { command, inputs, has_more }) = lacked {
        let mut lacked = object.object("lacked");
        lacked.bool("command", *command).texts("inputs", inputs.iter().map(String::as_str));
        if *has_more {
            lacked.bool("more", true);
        }
    }
}

/// What passed between a call and the remote cache.
pub(crate) fn traffic(line: &mut Line<'_>, traffic: &Traffic) {
    let mut remote = line.object("remote_cache");
    for (key, number) in [
        ("hits", traffic.hits),
        ("stored", traffic.stored),
        ("fetched", traffic.fetched_bytes),
        ("sent", traffic.sent_bytes),
    ] {
        remote.number(key, number);
    }
}

/// A cause of failure that is not an action's own, and what it affects. `origin`: a target of the first action.
pub(crate) fn unbuilt(line: &mut Line<'_>, at: Duration, unbuilt: &Unbuilt, origin: Option<&str>) {
    line.seconds("at", at).text("error", &unbuilt.cause.to_string());
    let ids: Vec<Id> = unbuilt.actions.iter().take(MAX_NEEDS).map(|(id, _)| *id).collect();
    line.ids("actions", &ids);
    if let Some(origin) = origin {
        line.text("origin", origin);
    }
    line.texts("paths", unbuilt.paths.iter().take(MAX_NEEDS).map(Str::as_str));
    let more = |count: usize| count.saturating_sub(MAX_NEEDS);
    match more(unbuilt.actions.len()) + more(unbuilt.paths.len()) {
        0 => {}
        more => drop(line.number("more", more as u64)),
    }
}

/// A warning or an error.
pub(crate) fn diagnostic(line: &mut Line<'_>, diagnostic: &Diagnostic) {
    let severity = match diagnostic.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    line.shown("severity", severity).text("message", &diagnostic.message);
    if let Some(location) = &diagnostic.location {
        line.text("file", &location.file);
        // Places by path stay right when other parts of the file are edited; those in bytes do not, and are left out.
        if let LocationPart::Value(path) | LocationPart::Key(path) = &location.place {
            line.text("path", &path.to_string());
        }
    }
}
