//! `what-if`: what at most would be analysed and run if some files changed.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use taut_driver::{
    Analyser, EventLogs, ExportCache, Impact, Outcomes, Request, Targets, Traces, UnresolvedRequest,
    event::{Analysed, Event, Sink as _},
    what_if,
};
use taut_store::Store;
use taut_syntax::did_you_mean;
use taut_sys::{Dir, Named};
use taut_value::{ID_PREFIX_DIGITS, Map};

use crate::{
    environment::{build_root, build_root_exists, hash_function},
    exit::Exit,
    interruption::Interruption,
    log::{Level, Log, Names},
    options::{Question, WhatIf},
    remote_execution::remote_execution,
    reporting::{Reporting, reported},
    request,
    root_options::RootOptions,
    roots::Roots,
    settings::{analysis_options, properties},
    standard_streams::print,
    tool_name::Name,
};

/// Runs `what-if`.
pub(crate) fn run(name: Name, o: &WhatIf, log: &Arc<Log>) -> Exit {
    let uses_state = !o.question.analysis.no_trace;
    reported("what-if", uses_state, None, log, |reporting| run_command(name, o, log, reporting))
}

fn run_command(
    name: Name,
    WhatIf { question: o, of }: &WhatIf,
    log: &Arc<Log>,
    reporting: &Reporting,
) -> Result<Exit, Exit> {
    request::check(&o.common, &o.stores, &o.execution, log)?;
    Interruption::watch(log).finish_log_on_signal(&reporting.log);
    let words = of.as_deref().map(target_words).transpose().map_err(|text| {
        log.say(Level::Error, text);
        Exit::Syntax
    })?;
    let of_target = words.as_deref().unwrap_or(&[]);
    // A module without targets may still have files that the last build read.
    let of_roots = RootOptions {
        name,
        common: &o.common,
        stores: &o.stores,
        analysis: &o.analysis,
        execution: &o.execution,
    };
    // A question runs nothing: computed roots are taken as earlier calls left them.
    let roots = Roots::only_known(of_roots, log);
    let unresolved = request::quiet_request_for(&o.common, &o.analysis, of_target, &roots, log)?;
    // A query does not create a build root.
    let root = build_root(name, &o.stores).ok().filter(|root| build_root_exists(root));
    let store = root.and_then(|root| Store::open(&root, hash_function(&o.stores)).ok());
    let how = analysis_options(&o.common, &o.analysis, &o.stores);
    let EarlierCalls { traces, outcomes, exports, built } = match &store {
        Some(store) => {
            // Without --of the question is about what was built last here.
            let earlier = EarlierCalls::of(o, store, &unresolved, words.is_none(), log)?;
            reporting.keep_in(store);
            earlier
        }
        None => EarlierCalls::none(),
    };
    let analyser = Analyser::new(&unresolved.repositories, how, &traces, &exports);
    let is_configured = o.analysis.config.is_some() || !o.analysis.defines.is_empty();
    let mut built = built.into_iter().map(|(targets, configuration)| {
        let configuration = if is_configured { unresolved.configuration.clone() } else { configuration };
        unresolved.about(targets, configuration)
    });
    let mut request = match built.next() {
        Some(request) => request,
        None => analyser.request(&unresolved).map_err(|error| roots.report(&error))?,
    };
    reporting.requested(&request);
    log.names().set_main(&request.repositories.main);
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let paths: Vec<_> = o.analysis.target.iter().map(|path| taut_sys::normal(&cwd.join(path))).collect();
    let mut reach = what_if(&paths, &request, &analyser, &outcomes).map_err(|problems| {
        request::report_problems(&problems, &request, of_target, log);
        reporting.event(&Event::AnalysisFailed(&problems));
        Exit::AnalysisFailure
    })?;
    // The last build has no part of any of them: the latest that has a part of all, as `explain` does. What is wrong
    // with the description of another request is not a matter of the question.
    let earlier = (reach.unread.len() == paths.len()).then(|| {
        built.find_map(|request| {
            let reach = what_if(&paths, &request, &analyser, &outcomes).ok()?;
            reach.unread.is_empty().then_some((request, reach))
        })
    });
    let mut heading = String::new();
    if let Some((earlier, of_earlier)) = earlier.flatten() {
        let it = if paths.len() == 1 { "it" } else { "all of them" };
        let last = log.names().request(&request);
        heading = format!(
            "The last build with work to do, of {last}, reads nothing of that; an earlier one reads {it}.\n"
        );
        (request, reach) = (earlier, of_earlier);
    }
    let found = Analysed { actions: reach.all_actions, ..Analysed::default() };
    reporting.event(&Event::AnalysisFinished(found));
    let text = heading + &text(&reach, &request, &o.analysis.target, &paths, log.names());
    Ok(print(text.as_bytes()))
}

/// What earlier calls left in the build root, as far as the question needs it.
struct EarlierCalls {
    traces: Traces,
    outcomes: Outcomes,
    exports: ExportCache,
    /// What was built last, the newest first; nothing if the question names a target.
    built: Vec<(Targets, Map)>,
}

impl EarlierCalls {
    /// Where nothing was built.
    fn none() -> EarlierCalls {
        let (traces, outcomes) = (Traces::none(), Outcomes::none());
        EarlierCalls { traces, outcomes, exports: ExportCache::none(), built: Vec::new() }
    }

    /// The earlier calls in a store. `is_about_last`: whether the question is about the last build.
    fn of(
        o: &Question,
        store: &Store,
        unresolved: &UnresolvedRequest,
        is_about_last: bool,
        log: &Log,
    ) -> Result<EarlierCalls, Exit> {
        let how = analysis_options(&o.common, &o.analysis, &o.stores);
        let kept = Traces::of(store, unresolved);
        let properties = properties(&o.execution);
        let outcomes = Outcomes::of(store, &unresolved.repositories, how, &kept, &properties);
        let servers = remote_execution(&o.execution, &o.stores, log).map_err(|why| {
            log.say(Level::Error, why);
            Exit::Environment
        })?;
        let servers = servers.unwrap_or_default();
        // What servers have counts as present; nothing is asked.
        let _ = store.attach(servers.object_servers());
        let exports = ExportCache::of(store, &properties, &servers.backend);
        let logs = EventLogs::of(store, &unresolved.repositories).ok();
        let requests = logs.iter().filter(|_| is_about_last).flat_map(EventLogs::requests);
        let built = requests.take(MAX_REQUESTS).collect();
        // Only here: which actions have a valid result does not depend on the option.
        let traces = if o.analysis.no_trace { Traces::none() } else { kept };
        Ok(EarlierCalls { traces, outcomes, exports, built })
    }
}

/// How many builds are searched for one that reads a path.
// Enough for the targets that a person works on, and few, since each is analysed.
const MAX_REQUESTS: usize = 8;

/// A target as one word: its name, or a JSON list of the words that other subcommands take.
fn target_words(text: &str) -> Result<Vec<String>, String> {
    if !text.starts_with('[') {
        return Ok(vec![text.to_owned()]);
    }
    let wrong = || format!("--of: expected a name or a JSON list of strings, not {text}");
    let document = taut_syntax::json::Document::parse("--of", text).map_err(|_| wrong())?;
    let words = document
        .root()
        .as_list()
        .and_then(|items| items.map(|item| item.as_str().map(str::to_owned)).collect());
    words.ok_or_else(wrong)
}

/// The warning that a path does not exist, with a similar path beside it, in the form of the word.
fn if_absent(word: &str, path: &Path) -> String {
    if Named::stat(path).is_ok() {
        return String::new();
    }
    let typed = path.file_name().unwrap_or_default().to_string_lossy();
    let directory = path.parent().and_then(|directory| Dir::of_user(directory).ok());
    let beside = directory.and_then(|directory| directory.list().ok()).unwrap_or_default();
    let beside: Vec<&str> = beside.iter().filter_map(|(name, _)| name.to_str()).collect();
    match did_you_mean(&typed, beside) {
        Some(meant) => {
            let above = word.strip_suffix(&*typed).unwrap_or_default();
            format!(", which does not exist (did you mean {above}{meant}?)")
        }
        None => ", which does not exist".to_owned(),
    }
}

fn text(reach: &Impact, request: &Request, words: &[String], paths: &[PathBuf], typed: &Names) -> String {
    let Impact { targets, all_targets, actions, in_any_case, not_reading, all_actions, unread } = reach;
    let names = match words {
        [first, .., last] if words.len() == 2 => format!("{first} and {last}"),
        _ => words.join(", "),
    };
    let target = typed.request(request);
    let mut text = format!("If {names} changed, building {target} would\n");
    let _ = writeln!(text, "analyse at most {} of {all_targets} targets,", targets.len());
    for target in targets {
        let _ = writeln!(text, "  {}", typed.typed(&target.name, target.config.map()));
    }
    let _ = write!(text, "run at most {} of {all_actions} actions", actions.len());
    text += &match in_any_case.len() {
        0 => ".\n".to_owned(),
        count => format!(", {count} of them in any case: no valid result is recorded.\n"),
    };
    for (origin, outs, id) in actions {
        let anyway = if in_any_case.contains(id) { ", in any case" } else { "" };
        let (id, origin) = (&id.to_hex()[..ID_PREFIX_DIGITS], typed.in_text(origin));
        let outs = outs.join(", ");
        let _ = writeln!(text, "  %{id} ({origin}: {outs}){anyway}");
    }
    let it = if words.len() == 1 { "it" } else { "them" };
    text += &match not_reading.len() {
        0 => String::new(),
        1 => format!("1 action has {names} among its inputs and did not read {it}, as its depfile says.\n"),
        count => format!(
            "{count} actions have {names} among their inputs and did not read {it}, as their depfiles say.\n"
        ),
    };
    for (word, path) in words.iter().zip(paths) {
        if unread.contains(path) {
            let _ = writeln!(text, "Nothing reads {word}{}.", if_absent(word, path));
        }
    }
    text
}
