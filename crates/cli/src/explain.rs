//! `explain`: why something ran in the last build with work to do, or why it did not.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use taut_driver::{Analyser, EventLogs, ExportCache, Question, Traces, UnresolvedRequest, explain};
use taut_store::Store;

use crate::{
    environment::{build_root, hash_function},
    exit::Exit,
    log::{Level, Log},
    options, request,
    roots::{RootOptions, Roots},
    settings::{analysis_options, properties},
    standard_streams::print,
    tool_name::Name,
};

/// Runs `explain`.
pub(crate) fn run(name: Name, o: &options::Question, log: &Arc<Log>) -> Exit {
    go(name, o, log).unwrap_or_else(|exit| exit)
}

fn go(name: Name, o: &options::Question, log: &Arc<Log>) -> Result<Exit, Exit> {
    request::check(&o.common, &o.stores, &o.execution, log)?;
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let of = RootOptions {
        name,
        common: &o.common,
        stores: &o.stores,
        analysis: &o.analysis,
        execution: &o.execution,
    };
    let roots = Roots::only_known(of, log);
    let (unresolved, kind) = question(o, &cwd, &roots, log)?;
    let root = build_root(name, &o.stores).map_err(|text| {
        log.say(Level::Error, text);
        Exit::Environment
    })?;
    let unusable = |why: String| {
        log.say(Level::Error, why);
        Exit::Environment
    };
    // A query does not create a build root.
    if taut_sys::if_exists(taut_sys::Named::stat(&root)).is_ok_and(|found| found.is_none()) {
        return Err(unusable(format!(
            "There is no build root {}: nothing was built with it.",
            root.display()
        )));
    }
    let store = Store::open(&root, hash_function(&o.stores))
        .map_err(|error| unusable(format!("Cannot use the build root: {error}")))?;
    let logs = EventLogs::of(&store, &unresolved.repositories)
        .map_err(|error| unusable(format!("Cannot read what was built: {error}")))?;
    let traces = if o.analysis.no_trace { Traces::none() } else { Traces::of(&store, &unresolved) };
    let exports = ExportCache::of(&store, &properties(&o.execution));
    let how = analysis_options(&o.common, &o.analysis, &o.stores);
    let analyser = Analyser::new(&unresolved.repositories, how, &traces, &exports);
    let question = match kind {
        Kind::Call => Question::Call,
        Kind::Action(prefix) => Question::Action(prefix),
        Kind::Named(path) => {
            let request = analyser.request(&unresolved).map_err(|error| roots.report(&error))?;
            Question::Named { target: request.targets.first().clone(), path }
        }
    };
    let explanation = explain(&question, &logs, &analyser, &cwd);
    match print(log.names().in_text(&explanation.text).as_bytes()) {
        // For scripts: there is no record of what was asked about.
        Exit::Success if !explanation.is_known => Ok(Exit::BuildFailure),
        exit => Ok(exit),
    }
}

/// What the words of the command line ask about.
enum Kind {
    Call,
    Action(String),
    /// A target; or the word as a path, as it was typed and absolute.
    Named(Option<(String, PathBuf)>),
}

/// The question that the words of the command line are.
fn question(
    o: &options::Question,
    cwd: &Path,
    roots: &Roots<'_>,
    log: &Log,
) -> Result<(UnresolvedRequest, Kind), Exit> {
    let mut words = o.analysis.target.clone();
    if words.is_empty() {
        // The event log has the targets; the description may be broken now.
        let request = request::quiet_request_for(&o.common, &o.analysis, &[String::new()], roots, log)?;
        return Ok((request, Kind::Call));
    }
    let action = match words.as_slice() {
        [word] => word.strip_prefix('%').map(str::to_owned),
        _ => None,
    };
    if action.is_some() {
        // Any target name serves: only the repositories matter.
        words = vec![String::new()];
    }
    let path = match words.as_slice() {
        [word] => Some((word.clone(), taut_sys::normal(&cwd.join(word)))),
        _ => None,
    };
    let request = request::quiet_request_for(&o.common, &o.analysis, &words, roots, log)?;
    Ok((request, action.map_or(Kind::Named(path), Kind::Action)))
}
