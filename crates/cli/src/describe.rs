//! `describe`: what a target or rule is for.

use taut_driver::{DescribeOptions, describe};

use crate::{
    analyse, diagnostics,
    exit::Exit,
    log::{Level, Log},
    options::{Describe, Execution},
    profile::{Profile, with_profile},
    request,
};

/// Runs `describe`.
pub(crate) fn run(o: &Describe, log: &Log) -> Exit {
    let execution = Execution::default();
    with_profile(Profile::asked_for("describe", &o.analysis, &execution), log, |_| {
        request::check(&o.stores, &execution, log)?;
        let request = request::quiet_request(&o.common, &o.analysis, log)?;
        let options = DescribeOptions { rule: o.rule, json: o.json };
        let how = analyse::options(&o.common, &o.analysis);
        let (description, told) = describe(&request, how, options);
        for warning in &description.warnings {
            log.say(Level::Warn, warning);
        }
        let printed = crate::print(description.text.as_bytes());
        if let Err(problems) = told {
            diagnostics::tell(&problems, Level::Error, log);
            return Err(Exit::AnalysisFailure);
        }
        match printed {
            Exit::Success if description.is_reference => Ok(Exit::AnalysisFailure),
            exit => Ok(exit),
        }
    })
}
