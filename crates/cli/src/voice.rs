//! The texts on standard error, in two voices: the one place where the names `just` and `taut` differ in messages.
//!
//! Under the name `just` every line is the reference's, since scripts look for these lines ([`just`]); under the name
//! `taut` the texts are ours ([`taut`]). Both render the same events and figures; what a call does, standard output,
//! dumps and exit codes do not depend on the voice. Commands give facts, and a voice words them, or is silent about
//! them.
//!
//! [`Voice`] has the texts of single steps. Those about one subject are in a file of their own, which has both voices
//! side by side: `arguments.rs`, `findings.rs`, `objects.rs`, `roots.rs`, `servers.rs`, `set_up.rs`. [`BuildMessages`]
//! has state: it renders the events of one build, and its steps.

use std::{
    borrow::Cow,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use taut_digest::ObjectInfo;
use taut_driver::{
    Added, Analysed, BuildFailure, DefinedAt, EntryProblem, NoAction, Origins, RepoConfig, Request, Results,
    Retry, Sink, cas::PathEnd, event::Origin, graph::ActionGraph,
};
use taut_store::Store;
use taut_value::{ActionDescription, EntityName, Id, Str, Value};

use crate::{
    environment::{build_root, build_root_option},
    log::Log,
    options,
    report::Built,
    reproduce::Reproduction,
    root_options::RootOptions,
    tool_name::Name,
};

mod arguments;
mod command;
pub(crate) mod figures;
mod findings;
mod gc_summary;
mod just;
mod objects;
mod roots;
mod roots_progress;
mod servers;
mod set_up;
mod snapshot;
mod taut;

use arguments::ArgumentTexts;
pub(crate) use arguments::{BadCertificate, Number};
pub(crate) use figures::{count, exit_code, seconds, some_of, time_limit};
use findings::FindingTexts;
pub(crate) use findings::{as_under_taut, renderer};
pub(crate) use gc_summary::freed;
pub(crate) use just::unreached::Receiver;
pub(crate) use objects::ObjectDestination;
use objects::ObjectTexts;
use roots::RootTexts;
pub(crate) use roots_progress::RootsProgress;
pub(crate) use servers::BadDispatch;
use servers::ServerTexts;
pub(crate) use set_up::SetUpProgress;
use set_up::SetUpTexts;
pub(crate) use snapshot::{AwaitedServer, Snapshot, StartedAction};
pub(crate) use taut::differs_each_time;

/// The texts of the call that writes to this log.
pub(crate) fn of(log: &Log) -> &'static dyn Voice {
    match log.tool() {
        // Without state: what a voice depends on is in the log and in the facts that it is given.
        Name::Taut => &taut::Taut,
        Name::Just => &just::Just,
    }
}

/// Texts of single steps.
// Traits and not a table of texts: many messages need figures and lists that one voice has and the
// other does not.
pub(crate) trait Voice:
    ArgumentTexts + FindingTexts + ObjectTexts + RootTexts + ServerTexts + SetUpTexts + Send + Sync
{
    /// The request is known.
    fn requested(&self, request: &Request, log: &Log);

    /// The inputs of an action are requested in place of the target.
    fn turned_to_input(&self, action: &str, log: &Log);

    /// An action in the words of the command line as `driver` takes them.
    // The defaults are those of the reference: `Taut` overrides them.
    fn action_in_words<'w>(&self, words: &'w str) -> Cow<'w, str> {
        words.into()
    }

    /// The error that words of the command line name no action.
    fn no_action(&self, why: &NoAction) -> String {
        why.to_string()
    }

    /// Requested data is about to be written, to standard output or to a file.
    fn dumping(&self, announcement: &str, log: &Log);

    /// What `analyse` found.
    fn analysed(&self, found: &AnalysisOutcome<'_>, result: Option<&str>, log: &Log);

    /// Entries of the target-level cache that could not be used: what they are of is analysed and built.
    fn unusable_entries(&self, problems: &[EntryProblem], analysed: &Analysed, log: &Log);

    /// Results of export targets were added to the target-level cache.
    fn cached_exports(&self, added: &Added, analysed: &Analysed, log: &Log);

    /// The option with the strategy for that, if it is given.
    fn write_strategy(&self, named: Option<&str>, log: &Log);

    /// How much of a result has come that is fetched from servers, if that is shown.
    fn downloading(&self, bytes: u64, elapsed: Duration, waiting: Option<AwaitedServer>) -> Option<String>;

    /// What targets are tainted with, if anything.
    fn tainted(&self, tainted: &[&str], log: &Log);

    /// How a request is named in texts.
    fn name_of_request(&self, request: &Request, log: &Log) -> String;

    /// Files that installing removed since they are no longer part of the result.
    fn removed(&self, paths: &[String], log: &Log);

    /// A request for the content at a path that the result does not have.
    fn not_in_result(&self, wanted: &str, results: &Results, log: &Log);

    /// A request for the only artifact of a result that has several, or none.
    fn not_one_artifact(&self, results: &Results, log: &Log);

    /// A request for the content at a path within an artifact.
    fn within_artifact(&self, wanted: &str, artifact: &str, way: &str, log: &Log);

    /// A request for the content at a path within an artifact that has only the beginning of it: the content of the
    /// last object on the way is printed.
    fn artifact_ends(&self, wanted: &str, artifact: &str, end: &PathEnd, log: &Log);

    /// An action with another result when it was run again.
    fn flaky(&self, flaky: &Flaky<'_>, log: &Log);

    /// How far a build is, in one line.
    fn progress_line(&self, now: &Snapshot<'_>) -> String;

    /// How far a build is, as lines that are drawn over each other. They are cut where the terminal ends.
    fn progress_frame(&self, now: &Snapshot<'_>) -> Vec<String>;

    /// The time to the first line about progress, and the factor by which the time to the next one grows.
    fn progress_pace(&self) -> (Duration, f64);

    /// A signal ended the call before anything was built.
    fn interrupted_early(&self, log: &Log);

    /// Whether messages name the targets that a graph from a file has of its actions.
    fn names_targets_of_graphs(&self) -> bool;

    /// Whether the line about what was built is the last one, so that warnings come before it.
    fn ends_with_result(&self) -> bool;

    /// The messages of one build, which began at `begin`.
    fn build(&self, of: BuildContext, begin: Instant, log: &Arc<Log>) -> Arc<dyn BuildMessages>;
}

/// An action with another result when it was run again.
pub(crate) struct Flaky<'f> {
    pub(crate) id: &'f Id,
    pub(crate) action: &'f ActionDescription,
    /// Whether it is tainted or never cached; then another result is expected.
    pub(crate) is_tainted: bool,
    /// Paths with the object that was made now, and the one that is in the cache.
    pub(crate) outputs: Vec<(Str, ObjectInfo, ObjectInfo)>,
}

/// What a rebuild found, in figures.
#[derive(Clone, Copy)]
pub(crate) struct Compared {
    /// How many actions were run again and compared with the action cache.
    pub(crate) compared: usize,
    /// How many of them gave another result.
    pub(crate) flaky: usize,
    /// How many of these are tainted.
    pub(crate) flaky_and_tainted: usize,
    /// How many actions were run that the action cache did not have.
    pub(crate) misses: usize,
}

/// What the messages about the builds of a call depend on.
#[derive(Clone)]
pub(crate) struct BuildContext {
    pub(crate) store: Store,
    /// The option with the build root, if it was given, as a word of a command line.
    pub(crate) build_root_option: Option<String>,
    pub(crate) build_root: PathBuf,
    /// Whether output of actions that did not run is shown, too.
    pub(crate) shows_cached_output: bool,
    pub(crate) again: Reproduction,
    /// Whether all actions that have a result are run again, to be compared.
    pub(crate) is_rebuild: bool,
    /// Whether what is built is of use without what fails: then failed actions are warnings.
    pub(crate) is_partial: bool,
    /// How long an action may run, before scaling.
    pub(crate) time_limit: Option<Duration>,
    /// The instance at servers that execute.
    pub(crate) instance: String,
}

impl BuildContext {
    /// The context of a call with these options that builds in `store`. `again`: what runs one of its actions alone.
    pub(crate) fn of_call(
        of: &RootOptions<'_>,
        results: &options::Results,
        store: &Store,
        again: Reproduction,
    ) -> BuildContext {
        BuildContext {
            store: store.clone(),
            build_root_option: build_root_option(of.stores),
            build_root: build_root(of.name, of.stores).unwrap_or_default(),
            shows_cached_output: results.show_cached_output,
            again,
            is_rebuild: false,
            is_partial: false,
            time_limit: of.execution.time_limit(),
            instance: of.stores.server.remote_instance_name.clone().unwrap_or_default(),
        }
    }
}

/// The messages of one build: about its events, and about the steps that are not events.
pub(crate) trait BuildMessages: Sink {
    /// The request, and where its targets are defined. `name`: how messages name it.
    fn requested(&self, repositories: &RepoConfig, name: String);

    /// Analysis succeeded.
    fn analysed(&self, found: &AnalysisOutcome<'_>);

    /// This many warnings of analysis were shown by an earlier call, and are not shown again.
    fn note_known_warnings(&self, _number: usize) {}

    /// Execution is about to begin. `name`: the request, as the reference shows it. `input_of`: the action whose inputs
    /// are requested instead.
    fn building(&self, name: &str, input_of: Option<&str>);

    /// The targets of the actions of tests, which run when execution of the request has ended, and how the tests have
    /// ended so far.
    fn will_run_tests(&self, _actions: Vec<(Id, Origin)>, _so_far: SoFar) {}

    /// The build is tried again from its beginning.
    fn on_retry(&self, why: Retry, server: Option<&str>);

    /// Execution has ended, with or without failures.
    fn executed(&self, defined: &dyn ActionOrigins);

    /// The build failed.
    fn failed(&self, failure: &BuildFailure, defined: &dyn ActionOrigins);

    /// Everything is built, and neither installed nor shown yet. `hits`: how many of these actions did not run.
    fn processed(&self, actions: usize, hits: usize, compared: Option<&Compared>);

    /// The results are installed, or shown.
    fn delivered(&self, delivered: &Delivered<'_>);

    /// What the targets are tainted with, and whether artifacts come from failed actions, after all else.
    fn ended(&self, tainted: &[&str], has_failed_artifacts: bool);

    /// A signal ends the build; running actions have this time to clean up.
    fn interrupting(&self, grace: Duration);

    /// A signal ended the build.
    fn interrupted(&self);
}

/// How tests have ended until now, as a message has it; `None` before the first.
pub(crate) type SoFar = Box<dyn Fn() -> Option<String> + Send + Sync>;

/// What analysis found.
pub(crate) struct AnalysisOutcome<'f> {
    pub(crate) request: &'f Request,
    pub(crate) analysed: &'f Analysed,
    /// How many bytes of a configuration are shown.
    pub(crate) limit: usize,
}

impl AnalysisOutcome<'_> {
    /// What the targets are tainted with.
    pub(crate) fn tainted(&self) -> Vec<&str> {
        self.analysed.tainted.iter().map(Str::as_str).collect()
    }
}

/// Finds the targets that define actions. To be used only after execution: it may need an analysis of all targets.
pub(crate) trait ActionOrigins {
    /// A target that defines an action, and the action's number there.
    fn origin(&self, action: &Id) -> Option<Origin>;

    /// The targets that define an action, as the reference names them.
    fn all_origins(&self, action: &Id) -> Vec<String>;

    /// A target that defines an overlay of trees.
    fn first_of_overlay(&self, _overlay: &Id) -> Option<Origin> {
        None
    }

    /// A named target that an anonymous one was made for.
    fn named_dependent(&self, _anonymous: &EntityName) -> Option<EntityName> {
        None
    }

    /// The targets that define an overlay of trees, as the reference names them.
    fn of_overlay(&self, overlay: &Id) -> Vec<String>;
}

impl ActionOrigins for Origins {
    fn origin(&self, action: &Id) -> Option<Origin> {
        self.first_of_all(action)
    }

    fn all_origins(&self, action: &Id) -> Vec<String> {
        self.of(action)
    }

    fn first_of_overlay(&self, overlay: &Id) -> Option<Origin> {
        Origins::first_of_overlay(self, overlay)
    }

    fn named_dependent(&self, anonymous: &EntityName) -> Option<EntityName> {
        Origins::named_dependent(self, anonymous)
    }

    fn of_overlay(&self, overlay: &Id) -> Vec<String> {
        Origins::of_overlay(self, overlay)
    }
}

/// A graph from a file has the targets that its actions come from, but not those of overlays.
impl ActionOrigins for ActionGraph {
    fn origin(&self, action: &Id) -> Option<Origin> {
        self.actions.get(action)?.origins.first().cloned()
    }

    fn all_origins(&self, action: &Id) -> Vec<String> {
        self.origins(action)
    }

    fn of_overlay(&self, _: &Id) -> Vec<String> {
        Vec::new()
    }
}

/// Results that are installed, or shown.
pub(crate) struct Delivered<'d> {
    /// Where they were installed, if they were.
    pub(crate) directory: Option<&'d Path>,
    /// The artifacts, and runfiles if these are shown, by the place where they are.
    pub(crate) built: &'d [Built],
    /// How many runfiles are not among them.
    pub(crate) omitted: usize,
    /// How many paths there are at all.
    pub(crate) paths: usize,
    /// How many of them were not in the directory already.
    pub(crate) written: usize,
}

/// Where the target that defines an action is defined, as a path from the working directory and a line.
fn place_of(origin: &Origin, repositories: &RepoConfig) -> Option<String> {
    // An anonymous target is defined by a rule, not at a place in a targets file.
    let Value::Name(target) = &origin.target else { return None };
    let DefinedAt { file, line } = taut_driver::defined_at(repositories, target)?;
    // Only `cli` knows the working directory, so paths become relative as late as here.
    let here = std::env::current_dir().unwrap_or_default();
    let shown = taut_syntax::seen_from(&file.to_string_lossy(), &here.to_string_lossy());
    Some(format!("{shown}:{line}"))
}
