//! `explain`: why something ran in the last build with work to do, or why it did not.

use std::{path::Path, sync::Arc};

use taut_digest::HashFunction;
use taut_driver::{EventLogs, ExportCache, Question, Request, Traces, explain, is_one_name};
use taut_store::Store;

use crate::{
    environment::build_root,
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
    let (request, questions) = questions(o, &cwd, &roots, log)?;
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
    let store = Store::open(&root, HashFunction::GitSha1)
        .map_err(|error| unusable(format!("Cannot use the build root: {error}")))?;
    let logs = EventLogs::of(&store, &request.repositories)
        .map_err(|error| unusable(format!("Cannot read what was built: {error}")))?;
    let traces = if o.analysis.no_trace { Traces::none() } else { Traces::of(&store, &request) };
    let exports = ExportCache::of(&store, &properties(&o.execution));
    let how = analysis_options(&o.common, &o.analysis);
    let explanation = explain(&questions, &logs, &request.repositories, how, (&traces, &exports), &cwd);
    match print(taut_value::names_as_typed(&explanation.text).as_bytes()) {
        // For scripts: there is no record of what was asked about.
        Exit::Success if !explanation.is_known => Ok(Exit::BuildFailure),
        exit => Ok(exit),
    }
}

/// The questions that the words of the command line are, each about something else.
fn questions(
    o: &options::Question,
    cwd: &Path,
    roots: &Roots<'_>,
    log: &Log,
) -> Result<(Request, Vec<Question>), Exit> {
    let is_action = |word: &&String| word.starts_with('%');
    let all = &o.analysis.target;
    let words: Vec<String> = all.iter().filter(|word| !is_action(word)).cloned().collect();
    let action = |word: &String| word.strip_prefix('%').map(|prefix| Question::Action(prefix.to_owned()));
    let actions = all.iter().filter_map(action);
    if words.is_empty() {
        // Any target name serves: only the repositories matter. The event log has the targets of the call; the description
        // may be broken now.
        let request = request::quiet_request_for(&o.common, &o.analysis, &[String::new()], roots, log)?;
        let questions = if all.is_empty() { vec![Question::Call] } else { actions.collect() };
        return Ok((request, questions));
    }
    let request = request::request_in(cwd, &o.common, &o.analysis, &words, roots);
    let (request, is_one_name) = match request {
        Ok(request) => {
            let is_one_name = words.len() > 1 && request.targets.iter().len() == 1;
            (request, is_one_name)
        }
        // One of several words may be no target, but the path of a result.
        Err(_) if words.len() > 1 && !is_one_name(&words) => {
            (request::quiet_request_for(&o.common, &o.analysis, &words[..1], roots, log)?, false)
        }
        Err(error) => return Err(roots.report(&error)),
    };
    log.shows_texts_of(&request);
    if is_one_name {
        let named = Question::Named { target: request.targets.first().clone(), path: None };
        let questions = actions.chain([named]).collect();
        return Ok((request, questions));
    }
    let mut questions = Vec::new();
    for word in all {
        if let Some(action) = action(word) {
            questions.push(action);
            continue;
        }
        let targets = request.targets_named(word, cwd).map_err(|error| roots.report(&error))?;
        // A word that names several targets is a pattern, and no path.
        let path = (targets.iter().len() == 1).then(|| (word.clone(), taut_sys::normal(&cwd.join(word))));
        questions.extend(
            targets.iter().map(|target| Question::Named { target: target.clone(), path: path.clone() }),
        );
    }
    Ok((request, questions))
}
