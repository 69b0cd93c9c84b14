//! Which roots that are made from other repositories are there already, for the list of repositories: those that a build would
//! not make again.
//!
//! Whether one is known depends on the contents of what it is made from, and on how its actions would be executed. So it is
//! asked for as a build asks, in a computer of roots that computes nothing. Only repositories that need no set-up are looked
//! at, so nothing is fetched for a list.

use std::{path::Path, sync::Arc};

use taut_driver::{
    BuildOptions, BuiltTarget, NotBuilt, Origin, Overrides, RepoConfig, Request, RootComputer, RootOutcome,
    RootTargets, UnresolvedRoot,
};
use taut_setup::{
    Cache, Description, Event, Observer, Options, Presence, ReachedRepositories, Session, Status,
};
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
        let needs_set_up = |status: &Status| {
            status.presence != Presence::Present
                && !(is_made_of_others(status) && status.presence == Presence::Offline)
        };
        let lacking: Vec<String> =
            all.iter().filter(|status| needs_set_up(status)).map(|status| status.name.clone()).collect();
        for status in all {
            if is_made_of_others(status)
                && status.presence == Presence::Offline
                && self.is_made(&status.name, &lacking) == Some(true)
            {
                status.presence = Presence::Present;
            }
        }
    }

    /// Whether the root of a repository is known; `None` if that is not known before a set-up.
    fn is_made(&self, name: &str, lacking: &[String]) -> Option<bool> {
        let (reached, _) = ReachedRepositories::from(&self.description, name).ok()?;
        if reached.set_up.iter().any(|name| lacking.contains(name)) {
            return None;
        }
        let session = Session::new(self.set_up, self.store, self.cache, &Silent);
        let request = taut_setup::Request { main: Some(name), ..taut_setup::Request::default() };
        let done = session.set_up(&self.description, &request).ok()?;
        let description = self.description.clone();
        let origin = Origin::new(move |path| description.written(path));
        let overrides = Overrides {
            main: Some(name.to_owned()),
            has_rules: true,
            dialect: Dialect::Extended,
            ..Overrides::default()
        };
        let config = RepoConfig::read_generated(&done.path, &origin, &overrides, self.cwd).ok()?;
        let root = config.repositories.get(name)?.workspace_root.source.unresolved()?.clone();
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
        Some(computer.compute(&config, &[Arc::new(root)]).is_ok())
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
