//! `analyse`: what a target is, and the dumps.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use taut_digest::HashFunction;
use taut_driver::{
    AnalysedTarget, Analyser, Analysis, AnalysisOptions, ConfiguredTarget, Meaning, Request, RequestKey,
    Runs, Survey, Traces,
};
use taut_store::Store;
use taut_sys::Named;

use crate::build::{build_options, meaning};
pub(crate) use crate::diagnostics::tell;
use crate::exit::Exit;
use crate::log::{Level, Log};
use crate::options::{self, Analyse};
use crate::profile::{Profile, with_profile};
use crate::recall::{self, Told};
use crate::surroundings::{Name, build_root};
use crate::{report, request};

/// Runs `analyse`.
pub(crate) fn run(name: Name, o: &Analyse, log: &Log) -> Exit {
    let profile = Profile::asked_for("analyse", &o.analysis, &o.execution);
    with_profile(profile, log, |profile| go(name, o, log, profile))
}

fn go(name: Name, o: &Analyse, log: &Log, profile: Option<&Arc<Profile>>) -> Result<Exit, Exit> {
    request::check(&o.common, &o.stores, &o.execution, log)?;
    let request = request::request(&o.common, &o.analysis, log)?;
    if let Some(profile) = profile {
        profile.requested(&request);
    }
    // Analysis itself needs no store: that there is none matters to nobody.
    let root = build_root(name, &o.stores).ok();
    let store = root.and_then(|root| Store::open(&root, HashFunction::GitSha1).ok());
    // What builds found out serves analysis, and the reverse.
    let how = build_options(&o.common, &o.execution, &options::Results::default(), false, log)?;
    let runs = store.as_ref().map(|store| recall::runs(&request, &o.analysis, store, &meaning(&how)));
    let analyser = Analyser::new(&request, options(&o.common, &o.analysis), &runs.unwrap_or_else(Runs::none));
    let place = store.and_then(|store| place(o, &request, &store, log));
    let known = place.as_ref().and_then(|(traces, key)| analyser.known(traces, *key));
    if let Some(told) = known.and_then(Told::decode) {
        recall::tell_trouble(analyser.trouble(), log);
        told.said.iter().for_each(|said| log.say_again(said));
        return Ok(Exit::Success);
    }
    log.record();
    let analysed = analyser.analyse(&request);
    let trouble = analyser.trouble();
    let mut analysis = analysed.map_err(|problems| {
        recall::tell_trouble(trouble.clone(), log);
        let errors = tell(&problems, Level::Error, log);
        if let Some(profile) = profile {
            profile.analysis_failed(errors);
        }
        Exit::AnalysisFailure
    })?;
    let mut target = request.target_text();
    if let Some(action) = tell_analysed(&mut analysis, &o.analysis, log)? {
        target = format!("input of action {action} of target {target}");
    }
    let target = &target;
    let result = &analysis.analysed.result;
    match analysis.too_long_as_text() {
        Some(why) => log.say(Level::Warn, format!("{why}; it is not shown.")),
        None => log.say(
            Level::Info,
            report::result_of_target(target, &result.artifacts, &result.provides, &result.runfiles),
        ),
    }
    let d = &o.dumps;
    if d.any_of_values() {
        check_size(&analysis, log)?;
    }
    let quoted = |what: String| move |path: &Path| format!("Dumping {what} to file '{}'.", path.display());
    dump(
        &d.dump_result,
        log,
        quoted(format!("result of target {target}")),
        format!("Result of target {target}:"),
        || analysis.dump_result(),
    )?;
    dump(
        &d.dump_actions,
        log,
        quoted(format!("actions for target {target}")),
        format!("Actions for target {target}:"),
        || report::actions(&analysis.analysed.actions),
    )?;
    dump(
        &d.dump_blobs,
        log,
        quoted(format!("blobs for target {target}")),
        format!("Blobs for target {target}:"),
        || analysis.dump_blobs(),
    )?;
    dump(
        &d.dump_trees,
        log,
        quoted(format!("trees for target {target}")),
        format!("Trees for target {target}:"),
        || analysis.dump_trees(),
    )?;
    dump(
        &d.dump_provides,
        log,
        quoted(format!("provides map for target {target}")),
        format!("Provides map for target {target}:"),
        || analysis.dump_provides(),
    )?;
    dump(
        &d.dump_vars,
        log,
        quoted(format!("variables for target {target}")),
        format!("Variables for target {target}:"),
        || analysis.dump_vars(),
    )?;
    dump(
        &d.dump_targets,
        log,
        quoted("list of analysed targets".into()),
        "List of analysed targets:".into(),
        || analysis.dump_targets(false),
    )?;
    dump(
        &d.dump_export_targets,
        log,
        quoted("list of analysed export targets".into()),
        "List of analysed export targets:".into(),
        || analysis.dump_targets(true),
    )?;
    dump(
        &d.dump_anonymous,
        log,
        quoted("list of anonymous target data".into()),
        "List of anonymous target data:".into(),
        || analysis.dump_anonymous(),
    )?;
    dump(
        &d.dump_nodes,
        log,
        quoted(format!("target nodes of target {target}")),
        format!("Target nodes of target {target}:"),
        || analysis.dump_nodes(),
    )?;
    if let Some(path) = &d.dump_targets_graph {
        log.say(Level::Info, format!("Dumping graph of configured-targets to file {}.", path.display()));
        write(path, &analysis.dump_targets_graph(), log)?;
    }
    dump_graphs(&analysis, &o.graph, log)?;
    tell_taint(&taint(&analysis.analysed), log);
    if let Some((traces, key)) = place {
        let told = Told { said: log.recorded(), ..Told::default() };
        analyser.keep(&traces, key, told.encode());
    }
    recall::tell_trouble(trouble.or(analyser.trouble()), log);
    analyser.leave(analysis);
    Ok(Exit::Success)
}

/// Where the report of the call is kept: nowhere if it asks for more than messages.
fn place(o: &Analyse, request: &Request, store: &Store, log: &Log) -> Option<(Traces, RequestKey)> {
    if o.dumps.any() || o.graph.any() {
        return None;
    }
    recall::place(request, &o.analysis, store, log, &Meaning::of_analysis())
}

/// How many jobs to run.
pub(crate) fn jobs(common: &options::Common) -> usize {
    // The system is asked once: it answers by reading a dozen files.
    static CORES: OnceLock<usize> = OnceLock::new();
    let cores = || *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
    common.jobs.unwrap_or_else(cores)
}

/// How much of a value messages show, in bytes.
pub(crate) fn log_limit(words: &options::Analysis) -> usize {
    words.expression_log_limit.unwrap_or(320)
}

/// How to analyse.
pub(crate) fn options(common: &options::Common, words: &options::Analysis) -> AnalysisOptions {
    AnalysisOptions { jobs: jobs(common), log_limit: log_limit(words), hash_function: HashFunction::GitSha1 }
}

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

/// Refuses to dump what has no end as text.
fn check_size(analysis: &Analysis, log: &Log) -> Result<(), Exit> {
    match analysis.too_long_to_dump() {
        Some(why) => {
            log.say(Level::Error, format!("Cannot write dumps: {why}."));
            Err(Exit::Environment)
        }
        None => Ok(()),
    }
}

/// Writes the graph dumps.
///
/// # Errors
///
/// The exit code; what is wrong has been told.
pub(crate) fn dump_graphs(analysis: &Analysis, o: &options::Graph, log: &Log) -> Result<(), Exit> {
    if !o.dump_graph.is_empty() {
        check_size(analysis, log)?;
    }
    // As in the reference, `-` is a file like any other here.
    for (paths, with_origins) in [(&o.dump_graph, true), (&o.dump_plain_graph, false)] {
        for path in paths {
            log.say(Level::Info, format!("Dumping action graph to file {}.", path.display()));
            write(path, &analysis.graph().to_json(with_origins), log)?;
        }
    }
    for path in &o.dump_artifacts_to_build {
        write(path, &analysis.dump_artifacts_to_build(), log)?;
    }
    Ok(())
}

/// Writes a dump, if it is asked for; `-` is standard output.
fn dump(
    path: &Option<PathBuf>,
    log: &Log,
    to_file: impl Fn(&Path) -> String,
    to_stdout: String,
    text: impl Fn() -> String,
) -> Result<(), Exit> {
    if let Some(path) = path {
        if path.as_os_str() == "-" {
            log.say(Level::Info, &to_stdout);
            match crate::print(text().as_bytes()) {
                Exit::Success => {}
                exit => return Err(exit),
            }
        } else {
            log.say(Level::Info, to_file(path));
            write(path, &text(), log)?;
        }
    }
    Ok(())
}

/// Writes a text to a file, or to standard output for `-`.
///
/// # Errors
///
/// The exit code; what is wrong has been told.
pub(crate) fn dump_text(path: &Path, text: &str, log: &Log) -> Result<(), Exit> {
    if path.as_os_str() != "-" {
        return write(path, text, log);
    }
    match crate::print(text.as_bytes()) {
        Exit::Success => Ok(()),
        exit => Err(exit),
    }
}

/// Writes a text to a file.
///
/// # Errors
///
/// The exit code; what is wrong has been told.
pub(crate) fn write(path: &Path, text: &str, log: &Log) -> Result<(), Exit> {
    let written = Named::of_user(path).and_then(|named| named.write(false)?.write_all(text.as_bytes()));
    written.map_err(|error| {
        log.say(Level::Error, error.to_string());
        Exit::Environment
    })
}
