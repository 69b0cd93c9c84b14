//! Which roots that are made from other repositories are there already, for the list of repositories: those that a
//! build would not make again.
//!
//! Whether one is known depends on the contents of what it is made from, and on how its actions would be executed. So
//! it is asked for as a build asks, in a computer of roots that computes nothing. Only repositories that need no set-up
//! are looked at, so nothing is fetched for a list.

use std::{collections::BTreeSet, path::Path, sync::Arc};

use taut_driver::{
    BuildOptions, BuiltTarget, NotBuilt, Origin, Overrides, RepoConfig, Request, RootComputer, RootOutcome,
    RootTargets, UnresolvedRoot,
};
use taut_setup::{Cache, Description, Event, Observer, Options, Presence, Session, Status, complete};
use taut_store::Store;
use taut_syntax::Dialect;

/// What the roots of a description are looked up with.
pub(crate) struct MadeRoots<'m> {
    pub(crate) description: Arc<Description>,
    pub(crate) set_up: &'m Options,
    pub(crate) store: &'m Store,
    pub(crate) cache: &'m Cache,
    pub(crate) build: BuildOptions,
    pub(crate) cwd: &'m Path,
}

impl MadeRoots<'_> {
    /// Notes for repositories that are `offline` since they are made from others whether they are made.
    pub(crate) fn note(&self, all: &mut [Status]) {
        // A root may be made from one that is made itself, so `offline` ones among them are not an obstacle.
        let is_made_of_others = |status: &Status| matches!(status.type_name, "computed" | "tree structure");
        let is_asked = |status: &Status| is_made_of_others(status) && status.presence == Presence::Offline;
        let needs_set_up = |status: &Status| status.presence != Presence::Present && !is_asked(status);
        if !all.iter().any(is_asked) {
            return;
        }
        let complete = complete(all, &self.description, needs_set_up);
        let asked = all.iter().filter(|status| is_asked(status) && complete.contains(&status.name));
        let made = self.made(&asked.map(|status| status.name.clone()).collect::<Vec<_>>());
        for status in all.iter_mut().filter(|status| is_asked(status)) {
            if made.as_ref().is_some_and(|made| made.contains(&status.name)) {
                status.presence = Presence::Present;
            }
        }
    }

    /// Of some repositories, those whose roots are known; `None` if that is not known before a set-up. All are asked
    /// for together: each root is looked at once, however many others are made from it.
    fn made(&self, names: &[String]) -> Option<BTreeSet<String>> {
        let (main, others) = names.split_first()?;
        let session = Session::new(self.set_up, self.store, self.cache, &Silent);
        let request = taut_setup::Request { main: Some(main), others, ..taut_setup::Request::default() };
        let done = session.set_up(&self.description, &request).ok()?;
        let description = self.description.clone();
        let origin = Origin::new(move |path| description.written(path));
        let overrides = Overrides {
            main: Some(main.clone()),
            has_rules: true,
            dialect: Dialect::Extended,
            ..Overrides::default()
        };
        let config = RepoConfig::read_generated(&done.path, &origin, &overrides, self.cwd).ok()?;
        let computer = RootComputer {
            store: self.store.clone(),
            repository: self.cache.git(),
            jobs: self.build.jobs,
            context: self.build.root_context(),
            is_cached: true,
            // This is what makes it a question: what would have to be built is an error.
            computes: false,
            verifies: false,
            targets: Arc::new(NoBuilds),
        };
        let resolved = match computer.compute(&config, &config.all_computed_roots()) {
            Ok((resolved, _)) => resolved,
            // With the roots that are known in place.
            Err(failed) => failed.repositories,
        };
        let is_known = |name: &&String| {
            let repository = resolved.repositories.get(name.as_str());
            repository.is_some_and(|found| found.workspace_root.source.unresolved().is_none())
        };
        Some(names.iter().filter(is_known).cloned().collect())
    }
}

/// Builds nothing: what is not known is not there.
struct NoBuilds;

impl RootTargets for NoBuilds {
    fn build(&self, _: &UnresolvedRoot, _: &Request, _: usize) -> Result<BuiltTarget, NotBuilt> {
        Err(NotBuilt::Stopped)
    }

    fn computed(&self, _: &UnresolvedRoot, _: &RootOutcome) {}

    fn log_of(&self, _: &str) -> String {
        String::new()
    }
}

/// Ignores what the look-ups report: the list shows it.
struct Silent;

impl Observer for Silent {
    fn event(&self, _: Event<'_>) {}
}
