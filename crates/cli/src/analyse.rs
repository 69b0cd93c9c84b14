//! `analyse`: analyses a target and shows its artifacts, runfiles and provides, or those of one action's inputs; writes
//! the dumps. No action runs.

use std::sync::Arc;

use taut_driver::{Analyser, Analysis, Diagnostics, ExportCache, Traces, too_long_as_text};
use taut_store::Store;
use taut_syntax::diagnostic::Author;

use crate::environment::{build_root, hash_function};
use crate::exit::Exit;
use crate::interruption::Interruption;
use crate::log::{Level, Log};
use crate::options::Analyse;
use crate::profile::Profile;
use crate::remote_execution::backend;
use crate::reporting::{Reporting, reported, warn_of_cache};
use crate::root_options::RootOptions;
use crate::roots::Roots;
use crate::settings::{analysis_options, log_limit, properties};
use crate::setup_error::report_error;
use crate::voice::{self, AnalysisOutcome};
use crate::{dumps, findings, report, request, tool_name::Name};

/// Runs `analyse`.
pub(crate) fn run(name: Name, o: &Analyse, log: &Arc<Log>) -> Exit {
    let profile = Profile::from_options("analyse", &o.analysis, &o.execution, &o.stores, log);
    reported("analyse", !o.analysis.no_trace, profile, log, |reporting| run_command(name, o, log, reporting))
}

fn run_command(name: Name, o: &Analyse, log: &Arc<Log>, reporting: &Reporting) -> Result<Exit, Exit> {
    request::check(&o.common, &o.stores, &o.execution, log)?;
    let of = RootOptions {
        name,
        common: &o.common,
        stores: &o.stores,
        analysis: &o.analysis,
        execution: &o.execution,
    };
    let interruption = Interruption::watch(log);
    let roots = Roots::new(of, Some(&interruption), log).reported_to(reporting);
    roots.with_lost_made_again(&interruption, || analyse(name, o, log, reporting, &interruption, &roots))
}

/// Analyses the request once. `None`: a part of its roots is lost, and can be restored before another attempt.
fn analyse(
    name: Name,
    o: &Analyse,
    log: &Arc<Log>,
    reporting: &Reporting,
    interruption: &Interruption,
    roots: &Roots<'_>,
) -> Result<Option<Exit>, Exit> {
    let unresolved = request::request(&o.common, &o.analysis, roots, log)?;
    interruption.finish_log_on_signal(&reporting.log);
    // Analysis needs no store; without one there are no records.
    let root = build_root(name, &o.stores).ok();
    let store = root.and_then(|root| Store::open(&root, hash_function(&o.stores)).ok());
    if let Some(store) = &store {
        reporting.keep_in(store);
    }
    let at = backend(&o.execution, &o.stores, log).map_err(|why| {
        log.say(Level::Error, why);
        Exit::Environment
    })?;
    let exports = store
        .as_ref()
        .map_or_else(ExportCache::none, |store| ExportCache::of(store, &properties(&o.execution), &at));
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
    voice::of(log).requested(&request, log);
    reporting.requested(&request);
    let failed = |problems: &Diagnostics| {
        warn_of_cache(analyser.cache_warning(), log);
        request::report_problems(problems, &request, &o.analysis.target, log)
    };
    let analysed = analyser.analyse(&request, reporting, reporting.uses_state);
    if analysed.is_err() && is_lost() {
        return Ok(None);
    }
    let analysed = analysed.map_err(|problems| failed(&problems))?;
    // The analysis of all targets is loaded only if it is needed: loading takes most of the time of a null analysis.
    let needs_all = o.analysis.request_action_input.is_some() || o.dumps.any() || o.graph.any();
    let mut whole = match needs_all {
        true => Some(analyser.whole_analysis(&request).map_err(|problems| failed(&problems))?),
        false => None,
    };
    voice::of(log).unusable_entries(&exports.take_problems(), &analysed, log);
    findings::report_warnings(&analysed, &request, log);
    findings::warn_of_unused_variables(&analysed, &request, &o.analysis, log);
    let found = AnalysisOutcome { request: &request, analysed: &analysed, limit: log_limit(&o.analysis) };
    show(&found, whole.as_mut(), o, log)?;
    voice::of(log).tainted(&found.tainted(), log);
    // Last, so that what is written is the state of an analysis that was reported as a whole.
    analyser.commit();
    warn_of_cache(analyser.cache_warning(), log);
    analyser.forget();
    Ok(Some(Exit::Success))
}

/// Shows the result of a target, or of the inputs of one of its actions, and writes the dumps. `whole`: the analysis of
/// all targets, if that is needed.
fn show(
    found: &AnalysisOutcome<'_>,
    whole: Option<&mut Analysis>,
    o: &Analyse,
    log: &Log,
) -> Result<(), Exit> {
    let target = voice::of(log).name_of_request(found.request, log);
    let mut subject = format!("target {target}");
    let mut result = found.analysed.result.clone();
    let mut analysis = whole;
    if let Some(analysis) = &mut analysis
        && let Some((action, _)) = findings::turn_to_input(analysis, &o.analysis, log)?
    {
        subject = voice::of(log).input_of(&action, &target);
        result = analysis.analysed.result.clone();
    }
    // Values share their parts, so a small result may be gigabytes of text.
    let too_long = too_long_as_text(&result, found.request);
    let text = too_long
        .is_none()
        .then(|| report::result_of(&subject, &result.artifacts, &result.provides, &result.runfiles));
    voice::of(log).analysed(found, text.as_deref(), log);
    if let Some(why) = too_long {
        let text = format!("{why}; it is not shown.");
        log.say(Level::Warn, voice::of(log).text_of_diagnostic(&text, Author::Program, &log.names().main()));
    }
    if let Some(analysis) = &analysis {
        dumps::of_values(analysis, &target, &o.dumps, log)?;
        dumps::of_graphs(analysis, &o.graph, log)?;
    }
    Ok(())
}
