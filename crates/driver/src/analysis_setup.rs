//! What sessions and analysers share: the workspace of their rules, how builds of the engine begin,
//! and how failures of targets become diagnostics.

use std::sync::Arc;

use taut_analysis::{ConfiguredTarget, CycleReport, ModuleRule, Problem, TargetCache, TargetRule, Workspace};
use taut_digest::HashFunction;
use taut_engine::{Begin, Build, Builder, Fail, Options};
use taut_repos::{RepoConfig, RootPath};
use taut_syntax::{Diagnostic, Diagnostics, NEXT_MESSAGE};

use crate::{Request, reached::ReachedTarget, targets_below::BelowRule, words::WordsRule};

/// How to analyse.
#[derive(Clone, Copy, Debug)]
pub struct AnalysisOptions {
    /// Threads to use; at least 1.
    pub jobs: usize,
    /// How many bytes of a value to show in messages.
    pub log_limit: usize,
    /// How contents are named.
    pub hash_function: HashFunction,
}

/// What the rules of analysis share.
pub(crate) fn workspace(repositories: &RepoConfig, options: AnalysisOptions) -> Arc<Workspace> {
    Arc::new(Workspace {
        repositories: repositories.clone(),
        hash_function: options.hash_function,
        log_limit: options.log_limit,
    })
}

/// Adds the rules of analysis to an engine, and those that find what words mean. Results of export targets are looked
/// up in `cache`.
pub(crate) fn register(builder: Builder, workspace: &Arc<Workspace>, cache: Arc<dyn TargetCache>) -> Builder {
    taut_analysis::register(builder, workspace, cache)
        .rule(WordsRule(workspace.clone()))
        .rule(BelowRule(workspace.clone()))
}

/// Begins a build in which failures do not keep independent tasks from being done: in analysis all
/// errors are wanted, and execution has its own means to stop.
pub(crate) fn begin(begin: Begin<'_>, jobs: usize) -> Build {
    begin.commit(Options { jobs: jobs.max(1), keep_going: true, ..Default::default() })
}

/// The step of analysing a request, in the words of the reference.
pub(crate) const PROCESSING: &str = "While processing targets:";

/// A cycle with the target that is requested, which the reference names first.
fn with_target(problems: &Diagnostics, target: &ConfiguredTarget) -> Diagnostics {
    const MAX_CONFIGURATION_BYTES: usize = 320;
    let shown = target.in_reference(MAX_CONFIGURATION_BYTES);
    let with_it = problems.iter().map(|problem| {
        let text = problem.reference_text().to_owned();
        let text = format!("Failed to analyse target: {shown}{NEXT_MESSAGE}{text}");
        problem.clone().reference(text)
    });
    with_it.collect()
}

/// The targets of a request, in its configuration, and what they are.
///
/// # Errors
/// Everything that is wrong with any of them.
pub(crate) fn analyse_targets(build: &Build, request: &Request) -> Result<Vec<ReachedTarget>, Diagnostics> {
    let targets = request.targets.in_configuration(&request.configuration);
    let answers = build.all::<TargetRule>(targets.iter().cloned());
    let (mut requested, mut wrong) = (Vec::with_capacity(targets.len()), Vec::new());
    for (target, answer) in targets.into_iter().zip(answers) {
        match answer {
            Ok(analysed) => requested.push(ReachedTarget { target, analysed }),
            Err(fail) => {
                // Other errors name the target in their chain; a cycle has no target of its own.
                let is_cycle = matches!(fail, Fail::Cycle(_));
                let problems = diagnostics(fail, build, &request.repositories);
                wrong.push(match is_cycle {
                    true => with_target(&problems, &target),
                    false => problems,
                });
            }
        }
    }
    if wrong.is_empty() { Ok(requested) } else { Err(Diagnostics::merge(&wrong)) }
}

/// What is wrong, in a build of a request.
pub(crate) fn diagnostics(fail: Fail, build: &Build, repositories: &RepoConfig) -> Diagnostics {
    if let Some(Problem(diagnostics)) = fail.downcast_ref() {
        return diagnostics.below(PROCESSING);
    }
    let text = match &fail {
        Fail::Cycle(cycle) => {
            // Analysis has read these files, so nothing new is read for a report.
            let module = |place: &RootPath| build.get::<ModuleRule>(place.clone()).ok();
            let report = CycleReport { repositories, module: &module };
            return report.diagnostic(cycle).into();
        }
        // Not shown: the call reports the interruption.
        Fail::Cancelled => "cancelled".to_owned(),
        Fail::Task(failure) | Fail::Transient(failure) => failure.to_string(),
    };
    Diagnostic::error(text).into()
}
