//! `describe`: what a target or rule is for.

use std::sync::Arc;

use taut_driver::{
    Analyser, DescribeOptions, ExportCache, Traces,
    event::{Analysed, Event, Sink as _},
};
use taut_store::Store;
use taut_syntax::seen_from;

use crate::{
    diagnostics,
    environment::{build_root, build_root_exists, hash_function},
    exit::Exit,
    interruption::Interruption,
    log::{Level, Log},
    options::{Describe, Execution},
    profile::Profile,
    remote_execution::backend,
    reporting::{Reporting, reported, warn_of_cache},
    request,
    root_options::RootOptions,
    roots::Roots,
    settings::analysis_options,
    setup_error::report_error,
    standard_streams::print,
    tool_name::Name,
};

/// Runs `describe`.
pub(crate) fn run(name: Name, o: &Describe, log: &Arc<Log>) -> Exit {
    let asked = Profile::from_options("describe", &o.analysis, &Execution::default(), &o.stores, log);
    reported("describe", !o.analysis.no_trace, asked, log, |reporting| run_command(name, o, log, reporting))
}

fn run_command(name: Name, o: &Describe, log: &Arc<Log>, reporting: &Reporting) -> Result<Exit, Exit> {
    request::check(&o.common, &o.stores, &Execution::default(), log)?;
    let execution = Execution::default();
    let of = RootOptions {
        name,
        common: &o.common,
        stores: &o.stores,
        analysis: &o.analysis,
        execution: &execution,
    };
    let interruption = Interruption::watch(log);
    interruption.finish_log_on_signal(&reporting.log);
    let roots = Roots::new(of, Some(&interruption), log).reported_to(reporting);
    roots.with_lost_made_again(&interruption, || describe(name, o, log, reporting, &roots))
}

/// Describes once. `None`: something of the roots is lost that can be made again.
fn describe(
    name: Name,
    o: &Describe,
    log: &Arc<Log>,
    reporting: &Reporting,
    roots: &Roots<'_>,
) -> Result<Option<Exit>, Exit> {
    let unresolved = request::quiet_request(&o.common, &o.analysis, roots, log)?;
    // A query does not create a build root.
    let root = build_root(name, &o.stores).ok().filter(|root| build_root_exists(root));
    let store = root.and_then(|root| Store::open(&root, hash_function(&o.stores)).ok());
    if let Some(store) = &store {
        reporting.keep_in(store);
    }
    let at = backend(&Execution::default(), &o.stores, log).map_err(|why| {
        log.say(Level::Error, why);
        Exit::Environment
    })?;
    let exports = store.as_ref().map_or_else(ExportCache::none, |store| ExportCache::of(store, &[], &at));
    let traces = match store.filter(|_| !o.analysis.no_trace) {
        Some(store) => Traces::of(&store, &unresolved),
        None => Traces::none(),
    };
    let how = analysis_options(&o.common, &o.analysis, &o.stores);
    let analyser = Analyser::new(&unresolved.repositories, how, &traces, &exports);
    let is_lost = || roots.repairs() && unresolved.repositories.roots.has_lost();
    let request = match analyser.request(&unresolved) {
        Ok(request) => request,
        Err(_) if is_lost() => return Ok(None),
        Err(error) => return Err(report_error(&error, log)),
    };
    reporting.requested(&request);
    if let Some(problem) = request.targets_are_absent().filter(|_| !o.rule) {
        diagnostics::report(&problem.into(), Level::Error, log);
        return Err(Exit::Environment);
    }
    let options = DescribeOptions { rule: o.rule, json: o.json, as_reference: name == Name::Just };
    let (descriptions, outcome) = analyser.describe(&request, options);
    if outcome.is_err() && is_lost() {
        return Ok(None);
    }
    analyser.commit();
    warn_of_cache(analyser.cache_warning(), log);
    for warning in descriptions.iter().flat_map(|description| &description.warnings) {
        let warning = if name == Name::Just { warning.into() } else { log.names().in_text(warning) };
        log.say(Level::Warn, warning);
    }
    // What could be described is printed, also if something else failed.
    let here = std::env::current_dir().unwrap_or_default();
    let mut printed = Exit::Success;
    for description in &descriptions {
        // Each target as a whole, where it is defined first: a terminal shows both streams in this order.
        let more = description.more_with_files(|file| seen_from(file, &here.to_string_lossy()));
        if !more.is_empty() {
            // Behind the first line are values of fields, which stay as they are written.
            let (first, rest) = more.split_once('\n').unwrap_or((&more, ""));
            log.say(Level::Info, format!("{}\n{rest}", log.names().in_text(first)).trim_end());
        }
        if printed == Exit::Success {
            printed = print(description.text.as_bytes());
        }
    }
    if let Err(problems) = outcome {
        let exit = request::report_problems(&problems, &request, &o.analysis.target, log);
        reporting.event(&Event::AnalysisFailed(&problems));
        return Err(exit);
    }
    if printed == Exit::Success && descriptions.iter().any(|description| description.is_reference) {
        return Ok(Some(Exit::AnalysisFailure));
    }
    let is_known = analyser.is_described(&request, options);
    reporting.event(&Event::AnalysisFinished(Analysed { is_known, ..Default::default() }));
    Ok(Some(printed))
}
