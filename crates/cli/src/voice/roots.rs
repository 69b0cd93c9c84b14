//! The messages while roots are computed, in both voices.

use taut_driver::{Request, Results, RootOutcome, UnresolvedRoot};

use super::{
    RootsProgress, Voice as _, count,
    figures::some_of,
    just::Just,
    taut::{MAX_NAMED, Taut},
};
use crate::{
    log::{Level, Log, Message},
    report,
};

/// The texts about computed roots. A root's build has a log of its own, nested in that of the call.
pub(crate) trait RootTexts {
    /// A repository needs so many roots that have to be computed first.
    fn needs_roots(&self, repository: &str, count: usize, log: &Log);

    /// A root was computed, or found.
    fn root_computed(&self, root: &UnresolvedRoot, outcome: &RootOutcome, log: &Log);

    /// How far the roots are, in one line.
    fn roots_progress(&self, now: &RootsProgress) -> String;

    /// Whether the messages of a root's build are kept as an object, which one line of the call names, in place of
    /// being shown.
    fn keeps_root_logs(&self) -> bool;

    /// Whether a message of a root's build is shown as one of the call. `is_cached`: the target-level cache had the
    /// target.
    fn is_of_call(&self, message: &Message, is_cached: bool) -> bool;

    /// The target of a root is about to be built.
    fn root_requested(&self, request: &Request, log: &Log);

    /// The target of a root could not be analysed.
    fn root_not_analysed(&self, request: &Request, log: &Log);

    /// The target of a root could not be built.
    fn root_not_built(&self, request: &Request, log: &Log);

    /// The target of a root was built.
    fn root_built(&self, results: &Results, log: &Log);
}

impl RootTexts for Just {
    fn needs_roots(&self, repository: &str, count: usize, log: &Log) {
        let repository = taut_value::quoted(repository);
        log.say(Level::Info, format!("Repository {repository} depends on {count} top-level computed roots"));
    }

    fn root_computed(&self, root: &UnresolvedRoot, outcome: &RootOutcome, log: &Log) {
        let (target, tree) = (taut_driver::root_as_configured(&root.root), outcome.tree.to_hex());
        log.say(
            Level::Performance,
            match &outcome.built {
                Some(built) => format!("Root {target} evaluated to {tree}, log {}", built.log),
                None => format!("Root {target} taken from cache to be {tree}"),
            },
        );
    }

    fn roots_progress(&self, now: &RootsProgress) -> String {
        let open = now.open.len();
        let sample = now.open.first().map(|root| {
            let more = if open > 1 { ", ..." } else { "" };
            format!(" ({}{more})", taut_driver::root_as_configured(&root.root))
        });
        let (known, built, sample) = (now.known, now.built, sample.unwrap_or_default());
        // Never served here; the form of the line stays, since scripts parse it.
        format!("Computed Roots: {known} cached, 0 served, {built} run, {open} processing{sample}.")
    }

    fn keeps_root_logs(&self) -> bool {
        true
    }

    /// Messages of the executor and about export targets are.
    fn is_of_call(&self, message: &Message, is_cached: bool) -> bool {
        // The reference writes these to the terminal and not to the log of the root.
        message.name.as_deref() == Some("LocalExecution")
            || (message.text.starts_with("Export target [") && !is_cached)
    }

    fn root_requested(&self, request: &Request, log: &Log) {
        self.requested(request, log);
    }

    fn root_not_analysed(&self, request: &Request, log: &Log) {
        log.say(Level::Warn, format!("Failed to analyse target {}", request.first_target_text()));
    }

    fn root_not_built(&self, request: &Request, log: &Log) {
        log.say(Level::Warn, format!("Build for target {} failed", request.first_target_text()));
    }

    fn root_built(&self, results: &Results, log: &Log) {
        let built: Vec<report::Built> = (results.artifacts.iter())
            .map(|(path, built)| report::Built {
                path: path.to_string(),
                object: built.info,
                failed: built.failed,
            })
            .collect();
        log.say(Level::Info, report::artifacts("Artifacts can be found in:", &built, 0));
    }
}

impl RootTexts for Taut {
    fn needs_roots(&self, _: &str, _: usize, _: &Log) {}

    fn root_computed(&self, root: &UnresolvedRoot, outcome: &RootOutcome, log: &Log) {
        let (shown, tree) = (taut_driver::shown_root(&root.root), outcome.tree.to_hex());
        // A root whose build ran nothing is as good as cached: it is not worth a line.
        if let Some(built) = outcome.built.as_ref().filter(|built| built.ran > 0) {
            let (time, ran) = (super::seconds(built.duration), count(built.ran, "action"));
            log.say(Level::Info, format!("Computed the {} from {shown} in {time}: {ran} run", root.what));
        }
        log.say(Level::Debug, format!("the {} is {shown}: tree {tree}", root.what));
    }

    fn roots_progress(&self, now: &RootsProgress) -> String {
        let open: Vec<String> = now.open.iter().map(|root| taut_driver::shown_root(&root.root)).collect();
        let done = now.known + now.built;
        format!("computing roots: {done} done, now {}", some_of(&open, MAX_NAMED))
    }

    fn keeps_root_logs(&self) -> bool {
        false
    }

    fn is_of_call(&self, _: &Message, _: bool) -> bool {
        true
    }

    fn root_requested(&self, _: &Request, _: &Log) {}

    fn root_not_analysed(&self, _: &Request, _: &Log) {}

    fn root_not_built(&self, _: &Request, _: &Log) {}

    fn root_built(&self, _: &Results, _: &Log) {}
}
