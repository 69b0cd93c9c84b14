//! Analysis of a request, with its events: the first step of a build, and all that `analyse` does.

use std::sync::Arc;

use taut_engine::{Build, Engine};
use taut_syntax::Diagnostics;
use taut_value::NamedTarget;

use crate::{
    Analysed, Closure, Event, Request, Sink, Targets, Traces,
    analysis::{AnalysisRule, analyse_request},
    event,
    history::{self, ActionEnds},
    request_key::RequestKey,
};

/// What analysis of a request is done with.
pub(crate) struct AnalysisPass<'p> {
    pub(crate) engine: &'p Engine,
    pub(crate) build: &'p Build,
    pub(crate) traces: &'p Traces,
    /// How actions ended so far.
    pub(crate) ends: &'p ActionEnds,
    pub(crate) sink: &'p dyn Sink,
    /// Whether cached build state is used and written.
    pub(crate) is_cached: bool,
}

impl AnalysisPass<'_> {
    /// Analyses the targets of a request. The runs of a failed analysis are committed, too.
    ///
    /// # Errors
    /// Everything that is wrong with the description; at least one diagnostic.
    pub(crate) fn analyse(&self, request: &Request) -> Result<Arc<Analysed>, Diagnostics> {
        let AnalysisPass { engine, build, traces, sink, .. } = *self;
        sink.event(&Event::AnalysisBegan);
        let analysed = analyse_request(build, request).inspect_err(|problems| {
            traces.commit(engine);
            self.report_tasks(request);
            sink.event(&Event::AnalysisFailed(problems));
        })?;
        let counts = &analysed.counts;
        let found = event::Analysed {
            is_known: build.explain::<AnalysisRule>(&RequestKey::of(request)).is_none(),
            actions: counts.actions,
            trees: counts.trees,
            overlays: counts.overlays,
            blobs: counts.blobs,
        };
        sink.event(&Event::Warned(&analysed.warnings(&request.repositories.roots)));
        sink.event(&Event::AnalysisFinished(found));
        Ok(analysed)
    }

    /// Analyses the targets of a request one by one, with everything below them. If something is wrong and
    /// `may_leave_out` says so, the targets that cannot be analysed are left out, if others can: then what is left of
    /// the request is given, too, with everything that is wrong. The runs of a failed analysis are committed, too.
    ///
    /// # Errors
    /// Everything that is wrong with the description; at least one diagnostic.
    pub(crate) fn closure(
        &self,
        request: &Request,
        may_leave_out: impl FnOnce() -> bool,
    ) -> Result<(Closure, Option<(Request, Diagnostics)>), Diagnostics> {
        let AnalysisPass { engine, build, traces, sink, .. } = *self;
        sink.event(&Event::AnalysisBegan);
        let whole = Closure::of(build, request).map(|closure| (closure, None));
        let found = whole.or_else(|problems| {
            let part = may_leave_out().then(|| part_of(build, request)).flatten();
            part.map(|(closure, part)| (closure, Some((part, problems.clone())))).ok_or(problems)
        });
        let found = found.inspect_err(|problems| {
            traces.commit(engine);
            self.report_tasks(request);
            sink.event(&Event::AnalysisFailed(problems));
        })?;
        // There is no task of the request here, so it was replayed if no task at all was executed.
        let is_known = build.ran().is_empty();
        sink.event(&Event::Warned(&found.0.warnings(&request.repositories.roots)));
        let actions = found.0.number_of_actions();
        sink.event(&Event::AnalysisFinished(event::Analysed { is_known, actions, ..Default::default() }));
        Ok(found)
    }

    /// Sends an event for each task that was executed, with the reason; without cached build state there are no
    /// reasons.
    pub(crate) fn report_tasks(&self, request: &Request) {
        self.report(request, false);
    }

    /// [`AnalysisPass::report_tasks`] before tests are run.
    pub(crate) fn report_tasks_before_tests(&self, request: &Request) {
        self.report(request, true);
    }

    fn report(&self, request: &Request, has_tests: bool) {
        if self.is_cached {
            let AnalysisPass { engine, build, ends, sink, .. } = *self;
            history::report(sink, engine, build, ends, &request.repositories, has_tests);
        }
    }
}

/// The part of a request that can be analysed, if there is any, with everything below it.
fn part_of(build: &Build, request: &Request) -> Option<(Closure, Request)> {
    let part = |targets| Request { targets, ..request.clone() };
    // One by one: of several targets together it is not known which of them is wrong. All that can be analysed is
    // settled already.
    let is_fine = |target: &&NamedTarget| Closure::of(build, &part((*target).clone().into())).is_ok();
    let part = part(Targets::new(request.targets.iter().filter(is_fine).cloned())?);
    Some((Closure::of(build, &part).ok()?, part))
}
