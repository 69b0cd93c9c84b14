//! `analyse`: what a target is, and the dumps.

use std::sync::Arc;

use taut_digest::HashFunction;
use taut_driver::{Analyser, Meaning, Request, RequestKey, Runs, Traces};
use taut_store::Store;

use crate::diagnostics::tell;
use crate::exit::Exit;
use crate::log::{Level, Log};
use crate::options::{self, Analyse};
use crate::profile::{Profile, with_profile};
use crate::recall::{self, Told};
use crate::settings::{analysis_options, build_options};
use crate::surroundings::{Name, build_root};
use crate::{dumps, findings, report, request};

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
    // Analysis itself needs no store: it goes on without one.
    let root = build_root(name, &o.stores).ok();
    let store = root.and_then(|root| Store::open(&root, HashFunction::GitSha1).ok());
    // What builds found out serves analysis, and the reverse.
    let how = build_options(&o.common, &o.execution, &options::Results::default(), false, log)?;
    let runs =
        store.as_ref().map(|store| recall::runs(&request, &o.analysis, store, &Meaning::of_build(&how)));
    let analyser =
        Analyser::new(&request, analysis_options(&o.common, &o.analysis), &runs.unwrap_or_else(Runs::none));
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
    if let Some(action) = findings::tell_analysed(&mut analysis, &o.analysis, log)? {
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
    dumps::of_values(&analysis, target, &o.dumps, log)?;
    dumps::of_graphs(&analysis, &o.graph, log)?;
    findings::tell_taint(&findings::taint(&analysis.analysed), log);
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
