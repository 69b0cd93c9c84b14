//! Roots that are computed from other repositories of the configuration, before anything is analysed.
//!
//! A root is a task, `root`, which is named by its definition. It asks for the roots below it, so that independent ones
//! are computed in parallel and each once. What a root comes to follows from content alone: that is the value of a
//! second task, which outlives the call (`computed_tree.rs`, `tree_structure.rs`). These tasks are in an engine of
//! their own, whose file all workspaces of a build root share.
//!
//! The target of a root is a request like any other, made on a session of its own: the caller gives the function that
//! makes it ([`RootTargets`](crate::RootTargets)).
//!
//! Rejected: the tasks of all roots and of the main request in one engine. The trees of roots are part of the identity
//! of the workspace, by which the engine's file is found and records of another checkout are reused. And a root with
//! the same tree as before must not invalidate anything.

use std::{
    fmt,
    sync::{Arc, atomic::Ordering::Relaxed},
};

use taut_digest::Hash;
use taut_engine::{Cx, Engine, Fail, Failure, Key, Options, Policy, Rule};
use taut_repos::{ComputedTrees, RepoConfig, RootContent, SourceRoot, UnresolvedRoot};
use taut_syntax::{Diagnostic, did_you_mean};
use taut_value::quoted;

use crate::{
    RootComputer, Traces,
    computed_tree::{ComputedTreeRule, TreeKey},
    root_failure::{RootFailure, RootsFailed},
    root_work::{RootOutcome, Work, lock},
    tree_structure::{StructureKey, StructureRule},
};

impl RootComputer {
    /// The configuration with the given roots, and those below them, computed. A cached-state warning is returned
    /// beside it.
    ///
    /// # Errors
    /// Each root that cannot be computed.
    pub fn compute(
        self,
        config: &RepoConfig,
        roots: &[Arc<UnresolvedRoot>],
    ) -> Result<(RepoConfig, Option<String>), RootsFailed> {
        // The engine would find a cycle, too, but not the places in the configuration.
        // Before any root is computed: a cycle is a mistake of the configuration, not of one root.
        if let Some(cycle) = config.cycle_of_computed_roots(roots) {
            let places = config.all_computed_roots();
            return Err(RootsFailed::cycle(&cycle, &places).showing(config.clone()));
        }
        let traces = if self.is_cached { Traces::of_roots(&self.store) } else { Traces::none() };
        // As many at once as the reference computes: each may need many threads.
        // With n jobs, √n builds of √n threads each fill the machine.
        let at_once = (self.jobs as f64).sqrt().ceil().max(1.0) as usize;
        let work = Arc::new(Work::new(self, config.clone(), at_once));
        let builder = Engine::builder()
            .rule(RootRule(work.clone()))
            .rule(ComputedTreeRule(work.clone()))
            .rule(StructureRule(work.clone()));
        let engine = traces.open(builder);
        let options = Options { jobs: at_once, keep_going: true, ..Options::default() };
        let build = engine.begin().commit(options);
        let answers = build.all::<RootRule>(roots.iter().cloned().map(RootKey));
        // Otherwise there is nothing to record: a null build writes no file.
        if work.is_changed.load(Relaxed) {
            traces.commit(&engine);
        }
        let warning = traces.take_warning(&engine);
        // All that were computed, whether the request needs them by itself or not: messages show their files.
        let repositories = config.with_computed(&lock(&work.computed));
        if answers.iter().all(Result::is_ok) {
            return Ok((repositories, warning));
        }
        // Not from the answers: these only say that something below failed (`BelowFailed`).
        let failures = std::mem::take(&mut *lock(&work.failures));
        // Noted apart from the roots: one that is computed itself is made anew for each part of the configuration.
        let has_lost_roots = work.has_lost.load(Relaxed);
        let failed = RootsFailed { has_lost_roots, ..RootsFailed::of(failures, config, roots) };
        Err(failed.showing(repositories))
    }
}

impl Work {
    /// The tree of a root. Those below it are computed.
    async fn tree(
        &self,
        unresolved: &UnresolvedRoot,
        trees: &ComputedTrees,
        cx: &Cx,
    ) -> Result<Hash, RootFailure> {
        let root = &unresolved.root;
        let part = self.config.part(&root.repository).with_computed(trees);
        let Some(repository) = part.repositories.get(&root.repository) else {
            return Err(self.unknown_repository(unresolved));
        };
        let failed = |fail: Fail| match fail.downcast_ref::<RootFailure>() {
            Some(failure) => failure.clone(),
            None => RootFailure::of(Diagnostic::error(fail.to_string())),
        };
        let RootContent::Artifacts { .. } = &root.taken else {
            let source = repository.workspace_root.source.clone();
            let Some(tree) = source.fixed_content().and_then(|id| Hash::from_hex(&id).ok()) else {
                return Err(RootFailure::no_tree(root, &source.shown("")));
            };
            let tree = cx
                .call::<StructureRule>(StructureKey { tree, source, root: root.clone() })
                .await
                .map_err(failed)?;
            // A service would have to have it.
            return if root.is_absent { Err(RootFailure::structure_without_service(root)) } else { Ok(tree) };
        };
        let key = TreeKey::new(unresolved, &part, &self.computer.context)?;
        let bytes = key.bytes.clone();
        let tree = cx.call::<ComputedTreeRule>(key).await.map_err(failed)?;
        let built = lock(&self.built).get(&*bytes).cloned().filter(|built| !built.is_cached);
        let is_new = built.is_some();
        self.computer.targets.computed(unresolved, &RootOutcome { tree, built });
        // One that is known is used as if it were not absent.
        if root.is_absent && is_new { Err(RootFailure::without_service(root)) } else { Ok(tree) }
    }

    fn unknown_repository(&self, unresolved: &UnresolvedRoot) -> RootFailure {
        let repository = &unresolved.root.repository;
        let meant = did_you_mean(repository, self.config.repositories.keys().map(|name| name.as_str()));
        let warning = Diagnostic::warning("").reference(format!(
            "Ignoring unknown repository {} while determining the derived roots to compute",
            quoted(repository)
        ));
        let reference = match unresolved.root.taken {
            RootContent::Structure => format!("Failed to get referenced repository for {}", unresolved.root),
            RootContent::Artifacts { .. } => {
                let text = format!("Cannot determine root or JSON file name for repository {repository}.");
                RootFailure::see_log(&self.computer.targets.log_of(&text))
            }
        };
        let problem = Diagnostic::error(format!("There is no repository {}", quoted(repository)));
        let problem = match meant {
            Some(meant) => problem.help(format!("did you mean {}?", quoted(meant))),
            None => problem,
        };
        RootFailure::of(problem.reference(reference)).after(warning)
    }
}

/// A root by its definition.
#[derive(Clone, Debug)]
struct RootKey(Arc<UnresolvedRoot>);

impl PartialEq for RootKey {
    fn eq(&self, other: &RootKey) -> bool {
        self.0.root == other.0.root
    }
}

impl Eq for RootKey {}

impl std::hash::Hash for RootKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.root.hash(state);
    }
}

impl Key for RootKey {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend(self.0.identity());
    }

    // What a root comes to depends on the configuration, so nothing is kept by this key.
    fn decode(_: &[u8]) -> Option<RootKey> {
        None
    }
}

/// A root below another one failed, which is reported of that one.
#[derive(Debug)]
struct BelowFailed;

impl fmt::Display for BelowFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Failure for BelowFailed {}

/// Computes the roots of a configuration.
struct RootRule(Arc<Work>);

impl Rule for RootRule {
    type Key = RootKey;
    type Value = Hash;
    const NAME: &'static str = "root";

    fn policy(&self, _: &RootKey) -> Policy {
        // In each call: it notes its tree for the configuration. What it asks for is recorded.
        Policy::always()
    }

    async fn value(&self, key: &RootKey, cx: Cx) -> Result<Hash, Fail> {
        let (work, unresolved) = (&*self.0, &*key.0);
        // Before the target is looked at, whether it needs them or not: the key of the repository has their trees.
        let below = work.config.computed_roots(&unresolved.root.repository);
        let answers = cx.all::<RootRule>(below.iter().cloned().map(RootKey).collect()).await;
        let mut trees = ComputedTrees::in_repository(work.repository.clone());
        for (root, answer) in below.iter().zip(answers) {
            trees.add(root.root.clone(), answer?);
        }
        match work.tree(unresolved, &trees, &cx).await {
            Ok(tree) => {
                lock(&work.computed).add(unresolved.root.clone(), tree);
                Ok(tree)
            }
            Err(failure) => {
                lock(&work.failures).insert(unresolved.root.clone(), failure);
                // The reason is noted above, once; dependents fail with this and report nothing of their own.
                Err(Fail::transient(BelowFailed))
            }
        }
    }
}
