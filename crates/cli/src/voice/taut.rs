//! The voice under the name `taut`: silent about what was not done, one line for what was, and figures in it.
//!
//! A failed action is shown when it fails (`failure.rs`), and named once more in the last line. What an action printed
//! is shown when it ran, not each time that its result is replayed.

use std::{
    borrow::Cow,
    collections::{HashMap, HashSet},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use taut_digest::ID_DIGITS;
use taut_driver::{
    ActionFailure, Added, Analysed, BuildFailure, Cause, EntryProblem, Exports, MIN_ID_DIGITS, NoAction,
    RepoConfig, Request, ResultSource, Results, Retry, RunResult, Sink, Step, Traffic, Unbuilt,
    cas::PathEnd,
    event::{Event, Failed, Finished, Origin, Origins},
};
use taut_store::Store;
use taut_value::path::{join, normal_path};
use taut_value::{ActionDescription, Id, Map, quoted};

use super::{
    ActionOrigins, AnalysisOutcome, AwaitedServer, BuildContext, BuildMessages, Compared, Delivered,
    Snapshot, SoFar, Voice, command, count,
    figures::{set_time, some_of},
};
use crate::{
    environment::with_hint,
    log::{Escapes, Level, Log},
    output::Stream,
    reproduce::Reproduction,
    retry::{LOST_ROOTS, ShownLosses, nor_at},
};

mod binary_as_script;
mod cxx_modules;
mod failure;
mod missing_file;
mod missing_program;
mod not_executable;
mod progress;
mod summary;

/// How many things of a kind are named in a line.
pub(super) const MAX_NAMED: usize = 5;

/// How many errors of one kind are shown: an error that occurs in many places need not be shown for each.
const MAX_SIMILAR_ERRORS: usize = 10;

/// The shortest time for running actions to clean up after an interruption that is worth a message.
const MIN_REPORTED_GRACE: Duration = Duration::from_secs(5);

pub(crate) struct Taut;

impl Voice for Taut {
    fn requested(&self, request: &Request, log: &Log) {
        log.names().set_main(&request.repositories.main);
    }

    fn turned_to_input(&self, action: &str, log: &Log) {
        log.say(Level::Debug, format!("considering the inputs of action {}", short_action(action)));
    }

    /// Digits of an id need no mark, unless they may as well be a number.
    fn action_in_words<'w>(&self, words: &'w str) -> Cow<'w, str> {
        let is_number = words.trim_start_matches('-').chars().all(|c| c.is_ascii_digit());
        let is_marked = words.starts_with(['%', '#']);
        if is_marked || (is_number && words.len() < MIN_ID_DIGITS) {
            words.into()
        } else {
            format!("%{words}").into()
        }
    }

    fn no_action(&self, why: &NoAction) -> String {
        const FORMS: &str =
            "an action is named by %ID, as messages show it, or by #NUMBER, counted from 0 in its target";
        match why {
            NoAction::OutOfRange { number, count: 0 } => {
                format!("no action #{number}: the requested target defines no actions\nhelp: {FORMS}")
            }
            NoAction::OutOfRange { number, count: 1 } => {
                format!("no action #{number}: the requested target defines only #0\nhelp: {FORMS}")
            }
            NoAction::OutOfRange { number, count } => {
                format!(
                    "no action #{number}: the requested target defines #0 to #{}\nhelp: {FORMS}",
                    count - 1
                )
            }
            NoAction::Unknown(id) if !id.chars().all(|c| c.is_ascii_hexdigit()) => {
                format!("%{id} names no action\nhelp: {FORMS}")
            }
            NoAction::Unknown(id) if id.len() < MIN_ID_DIGITS => {
                format!(
                    "%{id} names no action: at least {MIN_ID_DIGITS} digits of its id are needed\nhelp: {FORMS}"
                )
            }
            NoAction::Unknown(id) => {
                format!("the requested target needs no action whose id begins with %{id}\nhelp: {FORMS}")
            }
            NoAction::Several { digits, ids } => {
                let ids: Vec<String> = ids.iter().map(|id| format!("%{id}")).collect();
                format!("several actions have an id that begins with %{digits}: {}", ids.join(", "))
            }
        }
    }

    fn dumping(&self, announcement: &str, log: &Log) {
        log.say(Level::Debug, announcement);
    }

    fn analysed(&self, found: &AnalysisOutcome<'_>, result: Option<&str>, log: &Log) {
        say_counts(found, log);
        if let Some(result) = result {
            log.say(Level::Info, result);
        }
    }

    fn unusable_entries(&self, problems: &[EntryProblem], analysed: &Analysed, log: &Log) {
        for (name, EntryProblem { why, .. }) in exports_of(problems, analysed, log) {
            log.say(
                Level::Warn,
                format!(
                    "the cached result of export target {name} cannot be used, so it is built again: {why}"
                ),
            );
        }
    }

    fn write_strategy(&self, named: Option<&str>, log: &Log) {
        if let Some(name) = named.filter(|name| !["sync", "split", "disable"].contains(name)) {
            log.say(
                Level::Warn,
                format!(
                    "--target-cache-write-strategy {name} is ignored: the strategies are sync, split and disable"
                ),
            );
        }
    }

    fn cached_exports(&self, added: &Added, analysed: &Analysed, log: &Log) {
        for (name, EntryProblem { why, .. }) in exports_of(&added.problems, analysed, log) {
            log.say(Level::Warn, format!("the result of export target {name} cannot be cached: {why}"));
        }
        if added.targets > added.problems.len() {
            let number = count(added.targets - added.problems.len(), "export target");
            log.say(Level::Debug, format!("cached the results of {number}"));
        }
    }

    fn tainted(&self, tainted: &[&str], log: &Log) {
        if !tainted.is_empty() {
            log.say(Level::Debug, format!("tainted: {}", tainted.join(", ")));
        }
    }

    fn name_of_request(&self, request: &Request, log: &Log) -> String {
        log.names().request(request)
    }

    fn removed(&self, paths: &[String], log: &Log) {
        let (files, named) = (count(paths.len(), "file"), some_of(paths, MAX_NAMED));
        log.say(Level::Info, format!("removed {files} no longer part of the result: {named}"));
    }

    fn not_in_result(&self, wanted: &str, results: &Results, log: &Log) {
        let text = format!("the result has nothing at {}{}", quoted(wanted), available_paths(results));
        log.say(Level::Warn, text);
    }

    fn not_one_artifact(&self, results: &Results, log: &Log) {
        let number = count(results.artifacts.len(), "artifact");
        log.say(
            Level::Warn,
            format!("the result has {number}, not precisely one{}", available_paths(results)),
        );
    }

    fn within_artifact(&self, wanted: &str, artifact: &str, way: &str, log: &Log) {
        log.say(Level::Debug, format!("{} is {} in {}", quoted(wanted), quoted(way), quoted(artifact)));
    }

    fn artifact_ends(&self, wanted: &str, artifact: &str, end: &PathEnd, log: &Log) {
        // The artifact itself, written in another way (`./a`).
        if end.at.is_empty() && end.name == "." {
            return;
        }
        let last = quoted(&normal_path(&join(artifact, &end.at)));
        let why = match end.is_tree {
            true => format!("the directory {last} has no {}", quoted(&end.name)),
            false => format!("{last} is not a directory"),
        };
        log.say(Level::Warn, format!("the result has nothing at {}: {why}; printing {last}", quoted(wanted)));
    }

    fn flaky(&self, flaky: &super::Flaky<'_>, log: &Log) {
        let mut text =
            format!("running an action again gave another result\n{}", shown_command(flaky.action, log));
        // The ids are needed only to fetch both contents.
        let has_ids = log.wants(Level::Debug);
        for (path, now, before) in &flaky.outputs {
            text += &match has_ids {
                true => format!("\n{path}: now {now}, in the cache {before}"),
                false => format!("\n{path} differs from that in the cache"),
            };
        }
        if has_ids {
            text += &format!("\naction {}", flaky.id);
        }
        // Of a tainted action another result is expected, so it is not worth a warning.
        let level = if flaky.is_tainted { Level::Debug } else { Level::Warn };
        log.say_about(level, &format!("action:{}", flaky.id), text);
    }

    fn progress_line(&self, now: &Snapshot<'_>) -> String {
        progress::line(now)
    }

    fn progress_frame(&self, now: &Snapshot<'_>) -> Vec<String> {
        progress::frame(now)
    }

    fn progress_pace(&self) -> (Duration, f64) {
        // In the log of a build machine a line each ten seconds shows that the call goes on.
        (Duration::from_secs(10), 1.0)
    }

    fn downloading(&self, bytes: u64, elapsed: Duration, waiting: Option<AwaitedServer>) -> Option<String> {
        Some(progress::downloading(bytes, elapsed, waiting.as_ref()))
    }

    fn interrupted_early(&self, log: &Log) {
        log.end_display();
        let time = super::seconds(log.begin().elapsed());
        log.say(Level::Info, format!("Interrupted after {time}, before anything was built"));
    }

    fn names_targets_of_graphs(&self) -> bool {
        true
    }

    fn ends_with_result(&self) -> bool {
        true
    }

    fn build(&self, of: BuildContext, begin: Instant, log: &Arc<Log>) -> Arc<dyn BuildMessages> {
        let to_see_all =
            format!("{} install-cas{}", of.again.tool(), of.build_root_option.unwrap_or_default());
        Arc::new(Messages {
            log: log.clone(),
            store: of.store,
            to_see_all,
            build_root: of.build_root,
            shows_cached_output: of.shows_cached_output || log.wants(Level::Debug),
            again: of.again,
            is_rebuild: of.is_rebuild,
            is_partial: of.is_partial,
            time_limit: of.time_limit,
            begin,
            shown_losses: ShownLosses::default(),
            state: Mutex::default(),
        })
    }
}

/// Whether a line depends on more than the request and the sources: on what was cached, on times, or on the words of
/// the call. `--check-traces` does not compare such lines.
// By the words of this voice: `--check-traces` compares what calls print, and has nothing else to go by.
pub(crate) fn differs_each_time(line: &str) -> bool {
    // Progress, or a command that ran.
    let is_of_running = line.starts_with('[');
    is_of_running
        || line.starts_with("Built ")
        || line.starts_with("Computed the ")
        || line.starts_with("Rebuilt ")
        || line.contains(" up to date (")
        || ((line.starts_with("error: build of ") || line.starts_with("error: rebuild of "))
            && line.contains(" failed after "))
        || line.contains(" cannot be built, and are left out (")
        || line.starts_with("  reproduce: ")
}

/// The paths of a result, for a message about one that it does not have.
fn available_paths(results: &Results) -> String {
    let all = results.artifacts.iter().chain(&results.runfiles);
    let mut paths: Vec<&str> = all.map(|(path, _)| path.as_str()).collect();
    // Neighbours suffice: artifacts and runfiles are sorted each, and a path in both is listed
    // twice at worst.
    paths.dedup();
    if paths.is_empty() { String::new() } else { format!("; it has {}", some_of(&paths, MAX_NAMED)) }
}

/// How many actions, trees and so on analysis found (`-v`).
fn say_counts(found: &AnalysisOutcome<'_>, log: &Log) {
    let counts = &found.analysed.counts;
    let numbers = [
        (counts.targets, "target"),
        (counts.actions, "action"),
        (counts.trees, "tree"),
        (counts.overlays, "tree overlay"),
        (counts.blobs, "blob"),
    ];
    let numbers = numbers.into_iter().filter(|(number, _)| *number > 0);
    let mut numbers: Vec<String> = numbers.map(|(number, what)| count(number, what)).collect();
    let Exports { cached, uncached, not_eligible, .. } = found.analysed.exports;
    let states =
        [(cached, "cached"), (uncached, "not cached yet"), (not_eligible, "not eligible for caching")];
    let states = states.iter().filter(|(number, _)| *number > 0);
    let states: Vec<String> = states.map(|(number, state)| format!("{number} {state}")).collect();
    if !states.is_empty() {
        let all = count(found.analysed.exports.len(), "export target");
        numbers.push(format!("{all} ({})", states.join(", ")));
    }
    let numbers = numbers.join(", ");
    log.say(Level::Debug, format!("analysed {}: {numbers}", log.names().request(found.request)));
}

/// Problems with entries of the target-level cache, with the export targets that they are of.
fn exports_of<'p>(
    problems: &'p [EntryProblem],
    analysed: &Analysed,
    log: &Log,
) -> Vec<(String, &'p EntryProblem)> {
    if problems.is_empty() {
        return Vec::new();
    }
    let exports = analysed.exports.list();
    let name = |problem: &EntryProblem| {
        // Only the key is known of an entry. The target is looked up in the list of exports, which
        // is decoded only for that.
        let of_key = exports.iter().find(|(_, export)| export.key() == Some(&problem.key));
        let named = of_key.map(|(target, _)| log.names().typed(&target.name, target.config.map()));
        named.unwrap_or_else(|| problem.key.object().to_string())
    };
    problems.iter().map(|problem| (name(problem), problem)).collect()
}

/// The command of an action in one line that fits below a message.
fn shown_command(action: &ActionDescription, log: &Log) -> String {
    command::to_read(action, log.width().saturating_sub(2))
}

/// What an action makes, as messages name it: its first output.
fn output_of(action: &ActionDescription) -> Cow<'_, str> {
    action.outs.iter().chain(&action.out_dirs).next().map_or("nothing".into(), |path| in_line(path))
}

/// A path within a line: in quotes if it has characters that would act on the terminal, the end of a line among them.
fn in_line(path: &str) -> Cow<'_, str> {
    match path.contains(char::is_control) {
        true => taut_syntax::quoted(path).to_string().into(),
        false => path.into(),
    }
}

/// The output that messages name of an action that failed.
fn failed_output(failure: &ActionFailure) -> Cow<'_, str> {
    let missing = failure.ran.missing.first().filter(|_| failure.error.is_none());
    missing.map_or_else(|| output_of(&failure.action), |output| in_line(&output.path))
}

/// The name of an action, by number or id, with as many digits of the id as messages show.
fn short_action(action: &str) -> &str {
    if action.starts_with('%') { action.get(..=ID_DIGITS).unwrap_or(action) } else { action }
}

fn short(id: &Id) -> String {
    let mut digits = id.to_hex();
    digits.truncate(ID_DIGITS);
    digits
}

/// A message about an action, deferred until the target of the action is known.
// The session finds targets by an analysis of everything, which must not be loaded while actions run: so only what
// needs it waits.
enum Deferred {
    Output(Id, Arc<ActionDescription>, Arc<RunResult>),
    Tolerated(Id, Arc<ActionDescription>, Arc<RunResult>),
    Failure(ActionFailure),
}

impl Deferred {
    fn id(&self) -> &Id {
        match self {
            Deferred::Output(id, ..) | Deferred::Tolerated(id, ..) => id,
            Deferred::Failure(failure) => &failure.id,
        }
    }
}

/// What an action printed when it did not run in this call.
struct Replayed {
    id: Id,
    action: Arc<ActionDescription>,
    ran: Arc<RunResult>,
}

#[derive(Default)]
struct MessagesState {
    repositories: Option<RepoConfig>,
    /// The request as messages name it, and whether that is a plural.
    name: String,
    is_many: bool,
    /// The configuration that it was asked for in.
    configuration: Map,
    /// How many warnings of analysis an earlier call has shown.
    known_warnings: usize,
    origins: Option<Origins>,
    /// The targets of actions that were found after execution, or are needed then.
    found: HashMap<Id, Origin>,
    /// Messages about such actions.
    deferred: Vec<Deferred>,
    /// How many configured targets were analysed, in this call or an earlier one.
    targets: usize,
    /// How many actions there are.
    total: usize,
    /// How many have a result, at the end of the build.
    processed: usize,
    ran: usize,
    /// How many were known to the action cache.
    cached: usize,
    /// How many of them to the remote cache only.
    remote: usize,
    /// How many of those that ran were executed by servers.
    by_servers: usize,
    /// What passed between the build and other machines, if any takes part.
    traffic: Option<Traffic>,
    /// How many were ended since the call was interrupted.
    interrupted: usize,
    /// How tests have ended, which have lines of their own.
    tests: Option<SoFar>,
    /// The actions that failed, each with an output that it did not create.
    failed: Vec<(Id, String)>,
    /// The actions whose outputs those took as inputs.
    needed: HashSet<Id>,
    replayed: Vec<Replayed>,
    /// The actions whose output was shown: if the build is started again, its events come again.
    outputs_shown: HashSet<Id>,
    /// The actions whose failure was shown.
    // Apart from the outputs: an action that succeeds, and fails when its lost result is made again, has both.
    failures_shown: HashSet<Id>,
    /// The result of the comparison with the cache.
    compared: Option<Compared>,
}

struct Messages {
    log: Arc<Log>,
    store: Store,
    /// The command that shows all of an output, up to the object's name.
    to_see_all: String,
    build_root: PathBuf,
    shows_cached_output: bool,
    again: Reproduction,
    is_rebuild: bool,
    is_partial: bool,
    /// How long an action may run, before scaling.
    time_limit: Option<Duration>,
    begin: Instant,
    shown_losses: ShownLosses,
    // Not held while a target is looked up, which locks it, too.
    state: Mutex<MessagesState>,
}

impl Messages {
    fn state(&self) -> MutexGuard<'_, MessagesState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bold(&self, text: &str) -> String {
        if self.log.color() { format!("\x1b[1m{text}\x1b[0m") } else { text.to_owned() }
    }

    /// A target that defines an action.
    fn origin(&self, action: &Id) -> Option<Origin> {
        // Both are taken out first: `origins` calls into the engine, and must not be called with
        // the state locked.
        let (found, origins) = {
            let state = self.state();
            (state.found.get(action).cloned(), state.origins.clone())
        };
        found.or_else(|| origins.and_then(|origins| origins(action)))
    }

    /// Finds the target of an action, after execution.
    fn find(&self, action: &Id, defined: &dyn ActionOrigins) {
        if !self.state().found.contains_key(action)
            && let Some(origin) = defined.origin(action)
        {
            self.state().found.insert(*action, origin);
        }
    }

    /// Prints a message about an action: now if its target is known, else after execution, when it can be found.
    fn show_or_defer(&self, of: Deferred) {
        if self.origin(of.id()).is_some() { self.show_deferred(&of) } else { self.state().deferred.push(of) }
    }

    fn show_deferred(&self, of: &Deferred) {
        match of {
            Deferred::Output(id, action, ran) => self.show_output(id, action, ran),
            Deferred::Tolerated(id, action, ran) => self.show_tolerated(id, action, ran),
            Deferred::Failure(failure) => self.show_failure(failure),
        }
    }

    /// The target of an action, as messages name it.
    fn target_of(&self, id: &Id) -> String {
        let origin = self.origin(id);
        origin.map_or_else(|| format!("action {}", short(id)), |origin| self.log.names().origin(&origin))
    }

    /// An output of an action, whose colours end with it: the long ones in part, unless `-v` asks for all.
    fn give_output(&self, stream: Stream, give: &mut dyn FnMut(&str)) {
        let to_see_all = Some(&*self.to_see_all).filter(|_| !self.log.wants(Level::Debug));
        // An output may end within a colour; without the end, the next message would have it, too.
        let mut escapes = Escapes::new(true);
        stream.show_lines(to_see_all, &mut |piece| give(&escapes.pass(piece)));
        give(escapes.end());
    }

    /// What an action printed, below its target and output.
    fn show_output(&self, id: &Id, action: &ActionDescription, ran: &RunResult) {
        // Both are opened before the head is printed, so that there is no head without an output.
        let streams = [&ran.stdout, &ran.stderr].map(|digest| Stream::open_unless_blank(&self.store, digest));
        if streams.iter().all(Option::is_none) || !self.log.wants(Level::Info) {
            return;
        }
        let head = self.bold(&format!("{}: output of building {}:", self.target_of(id), output_of(action)));
        self.log.say_in_pieces(Level::Info, &format!("action:{id}"), |give| {
            give(&head);
            for stream in streams.into_iter().flatten() {
                give("\n");
                self.give_output(stream, give);
            }
        });
    }

    fn action_finished(&self, finished: &Finished<'_>) {
        let Finished { action, outcome, is_replayed, .. } = finished;
        let (id, action, ran) = (action.id, action.description, &outcome.ran);
        let is_remote = outcome.cached && ran.taken_from == ResultSource::RemoteCache;
        // What was printed on another machine has not been shown here yet.
        let is_new = !is_replayed && (!outcome.cached || is_remote);
        if !is_replayed {
            let mut state = self.state();
            *(if outcome.cached { &mut state.cached } else { &mut state.ran }) += 1;
            state.remote += usize::from(is_remote);
            state.by_servers += usize::from(!outcome.cached && ran.executed_by.is_some());
        }
        let has_output = ran.stdout.is_some() || ran.stderr.is_some();
        let has_failed = ran.exit_code != 0 && action.may_fail.is_some();
        // Inserted in the same step as it is checked: events come from several threads.
        if !(has_output || has_failed) || !self.state().outputs_shown.insert(*id) {
            return;
        }
        if has_failed {
            self.show_or_defer(Deferred::Tolerated(*id, action.clone(), ran.clone()));
        } else if is_new || self.shows_cached_output {
            self.show_or_defer(Deferred::Output(*id, action.clone(), ran.clone()));
        } else {
            // Kept for the case that an action fails that took its outputs.
            self.state().replayed.push(Replayed { id: *id, action: action.clone(), ran: ran.clone() });
        }
    }

    fn action_failed(&self, failed: &Failed<'_>) {
        let failure = failed.failure;
        // It did not fail by itself, so it is counted and not shown.
        if failed.was_ended {
            self.state().interrupted += 1;
            return;
        }
        {
            let mut state = self.state();
            state.failed.push((failure.id, failed_output(failure).into_owned()));
            state.needed.extend(failed.needs());
        }
        // When the build is started again, the event comes again.
        if self.state().failures_shown.insert(failure.id) {
            self.show_or_defer(Deferred::Failure(failure.clone()));
        }
    }

    /// The output of actions that did not run and whose outputs failed ones took: their warnings may be the reason of
    /// the failure.
    fn show_inputs_of_failed(&self, defined: &dyn ActionOrigins) {
        let (needed, replayed) = {
            let mut state = self.state();
            (std::mem::take(&mut state.needed), std::mem::take(&mut state.replayed))
        };
        for Replayed { id, action, ran } in replayed {
            if needed.contains(&id) {
                self.find(&id, defined);
                self.show_output(&id, &action, &ran);
            }
        }
    }

    fn say_unbuilt(&self, unbuilt: &Unbuilt, failure: &BuildFailure, defined: &dyn ActionOrigins) {
        let mut text = match &unbuilt.cause {
            Cause::Conflict { overlay, path } => {
                let origin = defined.first_of_overlay(overlay);
                let place = origin.as_ref().and_then(|origin| self.place_of(origin)).unwrap_or_default();
                let target = origin.map(|origin| format!("{}: ", self.log.names().origin(&origin)));
                let (target, path) = (target.unwrap_or_default(), quoted(path));
                let mut text = format!("{place}{target}the trees of a disjoint overlay conflict at {path}");
                if self.log.wants(Level::Debug) {
                    text += &format!("\noverlay {overlay}");
                }
                text
            }
            cause @ Cause::Lost(_) => format!("{cause}{}", nor_at(failure.losing_server.as_deref())),
            cause => with_hint(cause.to_string(), &self.build_root),
        };
        if let Some((id, action)) = unbuilt.actions.first() {
            let more = match unbuilt.actions.len() - 1 {
                0 => String::new(),
                more => format!(", and by {}", count(more, "more action")),
            };
            self.find(id, defined);
            let target = self.target_of(id);
            text += &format!("\nneeded by {target} to build {}{more}", output_of(action));
            text += &format!("\n{}", shown_command(action, &self.log));
            return self.log.say_about(Level::Error, &format!("action:{id}"), text);
        }
        if !unbuilt.paths.is_empty() {
            text += &format!("\nneeded for {} of {}", some_of(&unbuilt.paths, MAX_NAMED), self.state().name);
        }
        self.log.say_about(Level::Error, "build", text);
    }
}

impl Sink for Messages {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::BuildBegan { actions, origins } => {
                let mut state = self.state();
                (state.total, state.origins) = (*actions, Some((*origins).clone()));
            }
            Event::ActionStarted(action) | Event::ActionRemote { action, step: Step::Given, .. }
                if self.log.wants(Level::Debug) =>
            {
                // Not cut, as this level is for the analysis of a problem.
                let command = command::in_one_line(action.description, usize::MAX);
                let (target, id) = (self.target_of(action.id), short(action.id));
                self.log.say(Level::Debug, format!("[{id}] {target}: {command}"));
            }
            Event::ActionFinished(finished) => self.action_finished(finished),
            Event::ActionFailed(failed) => self.action_failed(failed),
            Event::RemoteCacheFailed(why) => self.log.say(Level::Warn, *why),
            Event::BuildFinished(built) => {
                let mut state = self.state();
                state.traffic = built.traffic;
                // After a complete build `processed` is called, with the number for all.
                if !built.is_complete {
                    state.processed = built.processed;
                }
            }
            _ => {}
        }
    }
}

impl BuildMessages for Messages {
    fn requested(&self, repositories: &RepoConfig, name: String) {
        self.log.names().set_main(&repositories.main);
        let mut state = self.state();
        (state.repositories, state.name) = (Some(repositories.clone()), name);
    }

    fn analysed(&self, found: &AnalysisOutcome<'_>) {
        {
            let mut state = self.state();
            state.is_many = found.request.targets.iter().nth(1).is_some();
            state.configuration = found.request.configuration.clone();
            state.targets = found.analysed.counts.targets;
        }
        say_counts(found, &self.log);
        Taut.tainted(&found.tainted(), &self.log);
    }

    fn note_known_warnings(&self, number: usize) {
        self.state().known_warnings = number;
    }

    fn building(&self, _: &str, input_of: Option<&str>) {
        if let Some(action) = input_of {
            let mut state = self.state();
            // The inputs of an action are a plural, whatever the request was, and no target is built.
            (state.is_many, state.targets) = (true, 0);
            state.name = format!("the inputs of action {} of {}", short_action(action), state.name);
        }
    }

    fn will_run_tests(&self, actions: Vec<(Id, Origin)>, so_far: SoFar) {
        let mut state = self.state();
        state.found.extend(actions);
        state.tests = Some(so_far);
    }

    fn on_retry(&self, why: Retry, server: Option<&str>) {
        {
            let mut state = self.state();
            // What was shown stays noted; only the figures begin anew.
            state.failed.clear();
            (state.needed, state.replayed) = Default::default();
        }
        match why {
            Retry::Undefined => {
                self.log
                    .say(Level::Info, "something that the build needs is no longer defined; analysing again");
            }
            Retry::Lost => {
                if let Some(text) = self.shown_losses.next(server) {
                    self.log.say(Level::Warn, text);
                }
            }
            Retry::LostRoots => self.log.say(Level::Warn, LOST_ROOTS),
        }
    }

    fn executed(&self, defined: &dyn ActionOrigins) {
        let deferred = {
            let mut state = self.state();
            // It refers to the session, which refers to its sinks: a cycle.
            state.origins = None;
            std::mem::take(&mut state.deferred)
        };
        for of in &deferred {
            self.find(of.id(), defined);
            self.show_deferred(of);
        }
    }

    fn failed(&self, failure: &BuildFailure, defined: &dyn ActionOrigins) {
        self.show_inputs_of_failed(defined);
        let (of_store, others): (Vec<_>, Vec<_>) = failure
            .unbuilt
            .iter()
            .partition(|unbuilt| matches!(unbuilt.cause, Cause::Store(_) | Cause::Server(_)));
        // An error of the store, for example a full disk, occurs for many paths; one of them is shown.
        for (all, limit) in [(others, MAX_SIMILAR_ERRORS), (of_store, 1)] {
            all.iter().take(limit).for_each(|unbuilt| self.say_unbuilt(unbuilt, failure, defined));
            if all.len() > limit {
                self.log.say(Level::Error, format!("{} like these", count(all.len() - limit, "more error")));
            }
        }
        self.say_failed(failure, defined);
    }

    fn processed(&self, actions: usize, _: usize, compared: Option<&Compared>) {
        let mut state = self.state();
        state.processed = actions;
        state.compared = compared.copied();
    }

    fn delivered(&self, delivered: &Delivered<'_>) {
        for built in delivered.built {
            let failed = if built.failed { ", of a failed action" } else { "" };
            self.log.say(Level::Debug, format!("  {} {}{failed}", built.path, built.object));
        }
        let failed: Vec<&str> =
            delivered.built.iter().filter(|built| built.failed).map(|built| &*built.path).collect();
        if !failed.is_empty() {
            let named = some_of(&failed, MAX_NAMED);
            self.log.say(Level::Warn, format!("the result has artifacts of failed actions: {named}"));
        }
        self.say_built(delivered);
    }

    fn ended(&self, _: &[&str], _: bool) {}

    fn interrupting(&self, grace: Duration) {
        self.log.end_display();
        // Shorter times are over before the message is read.
        if grace >= MIN_REPORTED_GRACE {
            self.log.say(
                Level::Info,
                format!(
                    "Interrupted; actions have {} to end (interrupt again to kill them)",
                    set_time(grace)
                ),
            );
        }
    }

    fn interrupted(&self) {
        self.say_interrupted();
    }
}
