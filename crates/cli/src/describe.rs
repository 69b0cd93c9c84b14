//! `describe`: what a target or rule is for.

use taut_digest::HashFunction;
use taut_driver::{Analyser, DescribeOptions, Meaning, Runs};
use taut_store::Store;

use crate::{
    diagnostics,
    exit::Exit,
    log::{Level, Log},
    options::{Describe, Execution},
    profile::{Profile, with_profile},
    recall::{self, Told},
    request,
    settings::analysis_options,
    standard_streams::print,
    surroundings::{Name, build_root, is_there},
};

/// Runs `describe`.
pub(crate) fn run(name: Name, o: &Describe, log: &Log) -> Exit {
    let asked = Profile::asked_for("describe", &o.analysis, &Execution::default());
    with_profile(asked, log, |_| go(name, o, log))
}

fn go(name: Name, o: &Describe, log: &Log) -> Result<Exit, Exit> {
    request::check(&o.common, &o.stores, &Execution::default(), log)?;
    let request = request::quiet_request(&o.common, &o.analysis, log)?;
    // A question makes no build root.
    let root = build_root(name, &o.stores).ok().filter(|root| is_there(root));
    let store = root.and_then(|root| Store::open(&root, HashFunction::GitSha1).ok());
    // Nothing is evaluated: there are no runs to be believed, but what was read may be as it was.
    let analyser = Analyser::new(&request, analysis_options(&o.common, &o.analysis), &Runs::none());
    let options = DescribeOptions { rule: o.rule, json: o.json };
    let meaning = Meaning::of_description(options);
    let place = store.and_then(|store| recall::place(&request, &o.analysis, &store, log, &meaning));
    let known = place.as_ref().and_then(|(traces, key)| analyser.known(traces, *key));
    recall::tell_trouble(analyser.trouble(), log);
    if let Some(told) = known.and_then(Told::decode) {
        told.said.iter().for_each(|said| log.say_again(said));
        return Ok(print(told.text.as_bytes()));
    }
    log.record();
    let (description, told) = analyser.describe(&request, options);
    for warning in &description.warnings {
        log.say(Level::Warn, warning);
    }
    let printed = print(description.text.as_bytes());
    if let Err(problems) = told {
        diagnostics::tell(&problems, Level::Error, log);
        return Err(Exit::AnalysisFailure);
    }
    if printed == Exit::Success && description.is_reference {
        return Ok(Exit::AnalysisFailure);
    }
    if let Some((traces, key)) = place {
        let told = Told { said: log.recorded(), text: description.text, ..Told::default() };
        analyser.keep(&traces, key, told.encode());
        recall::tell_trouble(analyser.trouble(), log);
    }
    Ok(printed)
}
