//! An engine that can analyse, and nothing more: for calls that need no store.

use std::sync::Arc;

use taut_analysis::{Workspace, located};
use taut_engine::{Build, Engine};
use taut_repos::{RepoConfig, Roots};
use taut_syntax::Diagnostics;

use crate::analysis_setup::{AnalysisOptions, begin, diagnostics, register, workspace};
use crate::describe::{DescribeKey, DescribeRule, StoredDescriptions};
use crate::history::ActionEnds;
use crate::{
    Analysed, Analysis, DescribeOptions, Description, ExportCache, Request, SetupError, Sink, Traces,
    UnresolvedRequest,
};
use crate::{
    analysis::AnalysisRule, analysis_pass::AnalysisPass, full_analysis::analyse_all, request_key::RequestKey,
};

/// An engine that can analyse, and nothing more.
pub struct Analyser {
    pub(crate) engine: Engine,
    pub(crate) build: Build,
    pub(crate) workspace: Arc<Workspace>,
    traces: Traces,
}

impl Analyser {
    /// For some repositories; nothing is read yet. Results of export targets are looked up in `exports`, and none is
    /// added.
    pub fn new(
        repositories: &RepoConfig,
        options: AnalysisOptions,
        traces: &Traces,
        exports: &ExportCache,
    ) -> Analyser {
        let workspace = workspace(repositories, options);
        let builder = register(Engine::builder(), &workspace, exports.lookups());
        // There are no rules of execution: this engine runs no action, whatever is asked of it.
        let builder = builder.rule(AnalysisRule).rule(DescribeRule(workspace.clone()));
        let engine = traces.open(builder);
        let build = begin(engine.begin(), options.jobs);
        Analyser { engine, build, workspace, traces: traces.clone() }
    }

    /// The request that a call asks for.
    ///
    /// # Errors
    /// Its words name no target.
    pub fn request(&self, unresolved: &UnresolvedRequest) -> Result<Request, SetupError> {
        unresolved.resolve(&self.build)
    }

    /// What went wrong with cached build state, if anything; returned once.
    pub fn cache_warning(&self) -> Option<String> {
        self.traces.take_warning(&self.engine)
    }

    /// Analyses the targets of the request, with its events. `is_cached`: whether cached build state is used and
    /// written.
    ///
    /// # Errors
    /// Everything that is wrong; at least one diagnostic.
    pub fn analyse(
        &self,
        request: &Request,
        sink: &dyn Sink,
        is_cached: bool,
    ) -> Result<Arc<Analysed>, Diagnostics> {
        let Analyser { engine, build, traces, .. } = self;
        // No action can end here, so nothing reads the ends.
        let pass = AnalysisPass { engine, build, traces, ends: &ActionEnds::default(), sink, is_cached };
        let analysed = pass.analyse(request)?;
        // Also in calls that only analyse: `explain` reads the reasons from their logs.
        pass.report_tasks(request);
        Ok(analysed)
    }

    /// Appends the new runs to the engine's file. If that fails, there is a warning, and later builds repeat the work.
    pub fn commit(&self) {
        self.traces.commit(&self.engine);
    }

    /// The result of analysis for every target in the closure of the request: decodes all of them.
    ///
    /// # Errors
    /// Everything that is wrong; at least one diagnostic.
    pub fn whole_analysis(&self, request: &Request) -> Result<Analysis, Diagnostics> {
        analyse_all(&self.build, request)
    }

    /// Ends the session without freeing its memory, in a process that is about to exit.
    pub fn forget(self) {
        // Freeing thousands of values takes time that no later step needs.
        std::mem::forget(self);
    }

    /// Whether a description that [`Analyser::describe`] returned was replayed from an earlier call.
    pub fn is_described(&self, request: &Request, options: DescribeOptions) -> bool {
        let key = DescribeKey { request: RequestKey::of(request), options };
        self.build.explain::<DescribeRule>(&key).is_none()
    }

    /// Describes the targets of the request, or the rules of these names, as far as that is possible.
    ///
    /// # Errors
    /// Beside the description, what is wrong with the files that define them, or that one is not defined.
    pub fn describe(
        &self,
        request: &Request,
        options: DescribeOptions,
    ) -> (Vec<Description>, Result<(), Diagnostics>) {
        let key = DescribeKey { request: RequestKey::of(request), options };
        match self.build.get::<DescribeRule>(key) {
            Ok(described) => {
                let StoredDescriptions { descriptions, problems } = &*described;
                let roots: &Roots = &self.workspace.repositories.roots;
                let outcome = if problems.is_empty() { Ok(()) } else { Err(located(problems, roots)) };
                (descriptions.iter().map(|description| description.located(roots)).collect(), outcome)
            }
            Err(fail) => (Vec::new(), Err(diagnostics(fail, &self.build, &request.repositories))),
        }
    }
}
