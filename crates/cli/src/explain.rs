//! `explain`: why something ran in the last build with work to do, or why it did not.

use std::{path::Path, sync::Arc};

use taut_driver::{
    Analyser, EventLogs, ExportCache, Presentation, Question, Records, RemoteExecution, SetupError,
    SharedService, Traces, UnresolvedRequest, explain,
};
use taut_store::Store;
use taut_value::NamedTarget;

use crate::{
    environment::{build_root, hash_function},
    exit::Exit,
    log::{Level, Log},
    options,
    remote_cache::remote_cache,
    remote_execution::{backend, remote_execution},
    request,
    root_options::RootOptions,
    roots::Roots,
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
    let mut words: Vec<String> =
        o.analysis.target.iter().filter(|word| action(word).is_none()).cloned().collect();
    if words.is_empty() {
        // Any target name serves: only the repositories matter. The event log has the targets of the call; the
        // description may be broken now.
        words.push(String::new());
    }
    let unresolved = request::quiet_request_for(&o.common, &o.analysis, &words, &roots, log)?;
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
    // What actions were that servers executed, these have.
    let servers = remote_execution(&o.execution, &o.stores, log).map_err(unusable)?;
    let endpoints = servers.as_ref().map(|servers| &servers.endpoints[..]).unwrap_or_default();
    let standard = endpoints.iter().filter(|_| o.stores.server.compatible).map(|endpoint| SharedService {
        name: endpoint.name.to_string(),
        cas: endpoint.cas.clone(),
        results: endpoint.results.clone(),
        may_write: false,
    });
    let standard: Vec<SharedService> = standard.collect();
    let servers = servers.as_ref().map(RemoteExecution::object_servers).unwrap_or_default();
    store.attach(servers).map_err(|error| unusable(format!("Cannot use the build root: {error}")))?;
    let logs = EventLogs::of(&store, &unresolved.repositories)
        .map_err(|error| unusable(format!("Cannot read what was built: {error}")))?;
    let traces = if o.analysis.no_trace { Traces::none() } else { Traces::of(&store, &unresolved) };
    let at = backend(&o.execution, &o.stores, log).map_err(|why| {
        log.say(Level::Error, why);
        Exit::Environment
    })?;
    let exports = ExportCache::of(&store, &properties(&o.execution), &at);
    let options = analysis_options(&o.common, &o.analysis, &o.stores);
    let analyser = Analyser::new(&unresolved.repositories, options, &traces, &exports);
    let questions =
        questions(&o.analysis.target, &unresolved, &analyser, &cwd).map_err(|error| roots.report(&error))?;
    let service = remote_cache(&o.execution, &o.stores).map_err(unusable)?;
    let how = Presentation { cwd: &cwd, is_verbose: log.wants(Level::Debug) };
    let records = Records { logs: &logs, store: &store, cache: service.as_ref(), servers: &standard };
    let explanation = explain(&questions, records, &analyser, how);
    match print(log.names().in_text(&explanation.text).as_bytes()) {
        // For scripts: there is no record of what was asked about.
        Exit::Success if !explanation.is_known => Ok(Exit::BuildFailure),
        exit => Ok(exit),
    }
}

/// The beginning of an action's id, if a word is one.
fn action(word: &str) -> Option<&str> {
    word.strip_prefix('%')
}

/// The questions that the words of the command line are, each about something else. `unresolved`: what the words name
/// that are not actions.
fn questions(
    words: &[String],
    unresolved: &UnresolvedRequest,
    analyser: &Analyser,
    cwd: &Path,
) -> Result<Vec<Question>, SetupError> {
    if words.is_empty() {
        return Ok(vec![Question::Call]);
    }
    let as_action = |word: &String| action(word).map(|prefix| Question::Action(prefix.to_owned()));
    let actions = words.iter().filter_map(as_action);
    if actions.clone().count() == words.len() {
        return Ok(actions.collect());
    }
    let mut alone = unresolved.word_by_word().into_iter();
    // A word in brackets is several.
    if alone.len() != 1 {
        // One of several words may be the path of a result instead of a target.
        let is_one_name = match analyser.request(unresolved) {
            Ok(request) if request.targets.iter().len() == 1 => Some(request),
            Err(error) if alone.len() == 0 => return Err(error),
            _ => None,
        };
        if let Some(request) = is_one_name {
            let named = Question::Named { target: request.targets.first().clone(), path: None };
            return Ok(actions.chain([named]).collect());
        }
    }
    let named = |(word, unresolved): (String, UnresolvedRequest)| -> Result<Vec<Question>, SetupError> {
        let targets = analyser.request(&unresolved)?.targets;
        let full = taut_sys::normal(&cwd.join(&word));
        // A word that names several targets is a pattern, and no path.
        let path = (targets.iter().len() == 1).then_some((word, full));
        let named = |target: &NamedTarget| Question::Named { target: target.clone(), path: path.clone() };
        Ok(targets.iter().map(named).collect())
    };
    let mut questions = Vec::new();
    for word in words {
        match as_action(word) {
            Some(action) => questions.push(action),
            None => questions.extend(alone.next().map(named).transpose()?.into_iter().flatten()),
        }
    }
    for rest in alone {
        questions.extend(named(rest)?);
    }
    Ok(questions)
}
