//! The voice under the name `just`: every line as the reference has it, since scripts look for these lines.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use std::time::Duration;

use taut_digest::Digest;
use taut_driver::{
    ActionFailure, Added, Analysed, BuildFailure, Cause, EntryProblem, Export, Exports, NotExecuted,
    RepoConfig, Request, Results, Retry, RunResult, ServerFault, Sink, Unbuilt, Unreached, Unsent,
    cas::PathEnd,
    event::{Event, Failed, Finished},
};
use taut_store::Store;
use taut_syntax::quoted;
use taut_value::{ActionDescription, Id, JsonWriter};

use super::{
    ActionOrigins, AnalysisOutcome, AwaitedServer, BuildContext, BuildMessages, Compared, Delivered, Flaky,
    Snapshot, StartedAction, Voice,
};
use unreached::Receiver;

use crate::{
    log::{Level, Log},
    output::Stream,
    report,
    retry::{ShownLosses, nor_at},
};

/// When the first plain line about progress is due; later ones at intervals that grow by this factor.
const FIRST_LINE: Duration = Duration::from_secs(3);
// Nearly the square root of two.
const INTERVAL_FACTOR: f64 = 99.0 / 70.0;

/// How many running actions the live display shows.
const MAX_RUNNING_SHOWN: usize = 8;

/// How many errors of one kind are shown: what goes wrong in many places alike need not be read that often.
const MAX_SIMILAR_ERRORS: usize = 10;

pub(crate) mod unfetched;
pub(crate) mod unreached;

pub(crate) struct Just;

impl Voice for Just {
    fn requested(&self, request: &Request, log: &Log) {
        log.say(Level::Info, format!("Requested target is {}", request.target_text()));
    }

    fn turned_to_input(&self, action: &str, log: &Log) {
        log.say(Level::Info, format!("Request is input of action {action}"));
    }

    fn dumping(&self, announcement: &str, log: &Log) {
        log.say(Level::Info, announcement);
    }

    fn analysed(&self, found: &AnalysisOutcome<'_>, result: Option<&str>, log: &Log) {
        say_targets(found, log);
        if let Some(result) = result {
            log.say(Level::Info, result);
        }
    }

    fn unusable_entries(&self, problems: &[EntryProblem], _: &Analysed, log: &Log) {
        for EntryProblem { key, .. } in problems {
            log.say_about(
                Level::Warn,
                "TargetCache",
                format!("Reading entry for key {} failed", key.object()),
            );
        }
    }

    fn cached_exports(&self, added: &Added, _: &Analysed, log: &Log) {
        if added.targets > 0 {
            log.say(Level::Info, format!("Backing up artifacts of {} export targets", added.targets));
        }
        for EntryProblem { key, why } in &added.problems {
            let text = format!("Failed writing target cache entry for {}: {why}", key.object());
            log.say(Level::Warn, format!("While writing target cache entries:\n{text}"));
        }
    }

    fn write_strategy(&self, named: Option<&str>, log: &Log) {
        match named {
            None | Some("sync" | "split") => {}
            Some("disable") => {
                log.say(Level::Info, "Target-level cache writing of serve service is disabled.");
            }
            Some(name) => {
                let text =
                    format!("Ignoring unknown strategy {} to write target-level cache.", quoted(&name));
                log.say(Level::Warn, text);
            }
        }
    }

    fn tainted(&self, tainted: &[&str], log: &Log) {
        if !tainted.is_empty() {
            log.say(Level::Info, report::tainted(tainted));
        }
    }

    fn name_of_request(&self, request: &Request, _: &Log) -> String {
        request.target_text()
    }

    /// The reference removes nothing.
    fn removed(&self, _: &[String], _: &Log) {}

    fn not_in_result(&self, wanted: &str, _: &Results, log: &Log) {
        log.say(Level::Warn, format!("{wanted} not a logical path of the specified target"));
    }

    fn not_one_artifact(&self, _: &Results, log: &Log) {
        log.say(Level::Info, "Target does not have precisely one artifact.");
    }

    fn within_artifact(&self, wanted: &str, artifact: &str, way: &str, log: &Log) {
        let taken = format!("will take subobject '{way}' of '{artifact}'");
        log.say(
            Level::Info,
            format!("'{wanted}' not a direct logical path of the specified target; {taken}"),
        );
    }

    fn artifact_ends(&self, _: &str, _: &str, end: &PathEnd, log: &Log) {
        log.say(Level::Warn, end.to_string());
    }

    fn flaky(&self, flaky: &Flaky<'_>, log: &Log) {
        let (word, level) = if flaky.is_tainted { ("tainted ", Level::Debug) } else { ("", Level::Warn) };
        let mut command = JsonWriter::compact();
        command.strings(&flaky.action.command);
        let command = command.finish();
        let mut text = format!("Found flaky {word}action:\n - id: {}\n - cmd: {command}", flaky.id);
        for (path, rebuilt, cached) in &flaky.outputs {
            text.push_str(&format!(
                "\n - output '{path}' differs:\n   - {rebuilt} (rebuilt)\n   - {cached} (cached)"
            ));
        }
        log.say(level, text);
    }

    fn progress_line(&self, now: &Snapshot<'_>) -> String {
        let open = now.open.len();
        let sample = now.open.values().next().map(|first| {
            let more = if open > 1 { ", ..." } else { "" };
            format!(" ({}{more})", name_of(first))
        });
        let (percent, sample) = (percent(now), sample.unwrap_or_default());
        format!("[{percent:3}%] {} cached, {} run, {open} processing{sample}.", now.cached, now.run)
    }

    fn progress_frame(&self, now: &Snapshot<'_>) -> Vec<String> {
        let running: Vec<(Duration, String)> = (now.open.values())
            .filter_map(|open| Some((now.at.saturating_duration_since(open.runs_since?), name_of(open))))
            .collect();
        let elapsed = now.elapsed().as_secs();
        let mut lines = vec![format!(
            "[{:3}%] {} cached, {} run, {} running, {} waiting, {}:{:02}",
            percent(now),
            now.cached,
            now.run,
            running.len(),
            now.open.len() - running.len(),
            elapsed / 60,
            elapsed % 60,
        )];
        for (time, name) in running.iter().take(MAX_RUNNING_SHOWN) {
            lines.push(format!("{:6.1}s  {name}", time.as_secs_f64()));
        }
        if running.len() > MAX_RUNNING_SHOWN {
            lines.push(format!("         and {} more", running.len() - MAX_RUNNING_SHOWN));
        }
        lines
    }

    fn progress_pace(&self) -> (Duration, f64) {
        (FIRST_LINE, INTERVAL_FACTOR)
    }

    fn downloading(&self, _: u64, _: Duration, _: Option<AwaitedServer>) -> Option<String> {
        None
    }

    fn interrupted_early(&self, _: &Log) {}

    fn names_targets_of_graphs(&self) -> bool {
        false
    }

    fn ends_with_result(&self) -> bool {
        false
    }

    fn build(&self, of: BuildContext, _: std::time::Instant, log: &Arc<Log>) -> Arc<dyn BuildMessages> {
        Arc::new(Messages {
            log: log.clone(),
            store: of.store,
            instance: of.instance,
            contents: AtomicUsize::default(),
            is_rebuild: of.is_rebuild,
            failures: Mutex::default(),
            outputs: Mutex::default(),
            shown: Mutex::default(),
            shown_losses: ShownLosses::default(),
        })
    }
}

fn percent(now: &Snapshot<'_>) -> usize {
    // The reference counts the actions of targets, and a graph from a file has no targets for it.
    let is_of_graph = now.open.values().next().is_some_and(|open| open.origin.is_none());
    let total = if is_of_graph { 0 } else { now.total };
    match total.saturating_sub(now.cached) {
        // Nothing to do is all done, also before anything is known.
        0 => 100,
        work => now.run * 100 / work,
    }
}

fn name_of(open: &StartedAction) -> String {
    let Some(origin) = &open.origin else { return format!("\"{}\"", open.id) };
    let mut quoted = JsonWriter::compact();
    quoted.string(open.output.rsplit('/').next().unwrap_or(&open.output));
    format!("{} {}", origin.numbered(), quoted.finish())
}

/// Reports the analysed targets, the state of export targets, and the taint.
fn say_targets(found: &AnalysisOutcome<'_>, log: &Log) {
    let AnalysisOutcome { request, analysed, limit } = found;
    say_exports(analysed, log);
    for target in request.targets.iter() {
        let shown = report::configured(&target.clone().into(), &request.configuration, *limit);
        log.say(Level::Info, format!("Analysed target {shown}"));
    }
    let Exports { cached, uncached, not_eligible, .. } = analysed.exports;
    if let Some(text) = report::export_targets(cached, None, uncached, not_eligible) {
        log.say(Level::Info, text);
    }
}

/// What the target-level cache has of each export target.
fn say_exports(analysed: &Analysed, log: &Log) {
    // The list of all export targets is made only where it is written: it may be long.
    if !log.wants(Level::Performance) {
        return;
    }
    for (target, export) in analysed.exports.list() {
        let name = target.name.to_json();
        let state = match export {
            Export::NotEligible => "is not eligible for target caching".to_owned(),
            Export::Uncached(key) => format!("registered for caching: {}", key.object()),
            Export::Cached(key, entry) => format!("taken from cache: {} -> {entry}", key.object()),
        };
        log.say(Level::Performance, format!("Export target {name} {state}"));
    }
}

/// What an action printed.
#[derive(Clone, PartialEq, Debug)]
struct Output {
    /// The action, as messages name it.
    name: String,
    /// Its command and environment, as messages show them.
    command: String,
    stdout: Option<Digest>,
    stderr: Option<Digest>,
}

/// Outputs of actions are shown as they end; failures are kept, and shown last.
struct Messages {
    log: Arc<Log>,
    store: Store,
    /// The instance at servers that execute.
    instance: String,
    /// How many contents of files the description has: they are sent to a server before the build begins.
    contents: AtomicUsize,
    is_rebuild: bool,
    failures: Mutex<Vec<ActionFailure>>,
    outputs: Mutex<Vec<Output>>,
    /// What was shown before the call began anew.
    shown: Mutex<Vec<Output>>,
    shown_losses: ShownLosses,
}

impl Messages {
    fn failures(&self) -> MutexGuard<'_, Vec<ActionFailure>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What messages about an action are headed by.
    fn name_of(&self, id: &Id) -> String {
        let runs_for = if self.is_rebuild { "rebuild" } else { "action" };
        format!("{runs_for}:{id}")
    }

    fn has_contents(&self) -> bool {
        self.contents.load(Relaxed) > 0
    }

    fn show(&self, output: &Output) {
        // Compared by content: after a retry the same action may have printed something else.
        if self.shown.lock().unwrap_or_else(PoisonError::into_inner).contains(output) {
            return;
        }
        let stream = |digest| Stream::open(&self.store, digest);
        let (stdout, stderr) = (stream(&output.stdout), stream(&output.stderr));
        if stdout.is_none() && stderr.is_none() {
            return;
        }
        let heads = report::heads_of_output(&output.command, stdout.is_some(), stderr.is_some());
        self.log.say_in_pieces(Level::Info, &output.name, |give| {
            for (head, stream) in [(&heads.0, stdout), (&heads.1, stderr)] {
                if let Some(stream) = stream {
                    give(head);
                    stream.show(give);
                }
            }
        });
    }

    /// The first output that could not be collected. Its path is shown from the working directory.
    fn not_collected(&self, action: &ActionDescription, ran: &RunResult) {
        let Some((path, what, is_directory)) = &ran.not_collected else { return };
        // Relative to the directory in which the action ran, as the reference shows it.
        let cwd = taut_driver::normal_path(&action.cwd);
        let shown = taut_value::path::relative(path, if cwd == "." { "" } else { &cwd });
        let shown = shown.unwrap_or_else(|| path.to_string());
        let kind = if *is_directory { "dir" } else { "file" };
        const NAME: &str = "LocalExecution";
        // Two messages, as the reference has them: what is wrong, and that the output is missing because of
        // it.
        self.log.say_about(Level::Error, NAME, format!("{what} at {shown}"));
        self.log.say_about(Level::Error, NAME, format!("could not collect output {kind} or symlink {shown}"));
    }

    fn output(&self, id: &Id, action: &ActionDescription, ran: &RunResult) {
        if ran.stdout.is_none() && ran.stderr.is_none() || ran.leads_outwards {
            return;
        }
        let command = report::in_environment(&action.command, &action.env);
        let (stdout, stderr) = (ran.stdout, ran.stderr);
        let output = Output { name: self.name_of(id), command, stdout, stderr };
        self.show(&output);
        self.outputs.lock().unwrap_or_else(PoisonError::into_inner).push(output);
    }

    fn action_finished(&self, Finished { action, outcome, .. }: &Finished<'_>) {
        let (id, action) = (action.id, action.description);
        self.not_collected(action, &outcome.ran);
        self.output(id, action, &outcome.ran);
        if outcome.ran.exit_code != 0
            && let Some(message) = &action.may_fail
        {
            let mut text = format!("{message} (exit code {}); outputs:", outcome.ran.exit_code);
            for (path, info) in &outcome.ran.outputs {
                let mut quoted = JsonWriter::compact();
                quoted.string(path);
                text.push_str(&format!("\n - {} {info}", quoted.finish()));
            }
            self.log.say_about(Level::Warn, &self.name_of(id), text);
        }
    }

    fn action_failed(&self, Failed { failure, was_ended, .. }: &Failed<'_>) {
        // Outputs of an action that was ended by the tool are not errors of their own.
        if !was_ended {
            self.not_collected(&failure.action, &failure.ran);
        }
        self.output(&failure.id, &failure.action, &failure.ran);
        self.failures().push((*failure).clone());
    }

    /// Each failed action: how it ended, and the targets that ask for it.
    fn say_failures(&self, defined: &dyn ActionOrigins) {
        // In the order in which they failed.
        for failure in self.failures().iter() {
            let name = self.name_of(&failure.id);
            let action = &failure.action;
            match failure.not_executed() {
                Some(not_executed) => self.say_not_executed(&not_executed),
                None => self.log.say_about(Level::Error, &name, failure.as_reference()),
            }
            let command = report::in_environment(&action.command, &action.env);
            let failed = report::failed_command(&command, &defined.all_origins(&failure.id));
            self.log.say_about(Level::Error, &name, failed);
        }
    }

    fn say_not_executed(&self, NotExecuted { action, error, progress }: &NotExecuted) {
        const NAME: &str = "RemoteExecutionClient";
        for (level, text) in [(Level::Progress, progress), (Level::Error, error)] {
            if let Some(text) = text {
                self.log.say_about(level, NAME, text);
            }
        }
        let Digest { hash, size } = action;
        let failed = format!("Failed to execute action hash: \"{hash}\" size_bytes: {size}.");
        self.log.say_about(Level::Error, NAME, failed);
        self.log.say(Level::Warn, format!("Failed to execute action with execution id {hash}."));
    }

    /// A server that does not answer, and what has no result because of it.
    fn say_unreached(&self, server: &Unreached, unbuilt: &Unbuilt, defined: &dyn ActionOrigins) {
        unreached::say_not_sent(
            server,
            &Receiver { store: &self.store, instance: &self.instance },
            &self.log,
        );
        match &server.first {
            // It was sent before the build begins, and this is all that is reported then.
            _ if self.has_contents() => {}
            Some(Unsent::Input(artifact, _)) => {
                let (name, text) = unreached::of_input(artifact);
                self.log.say_about(Level::Error, &name, text);
            }
            Some(Unsent::Directory(_)) => {
                let Some((id, action)) = unbuilt.actions.first() else { return };
                let name = self.name_of(id);
                let text = "failed to create root digest for input artifacts.";
                self.log.say_about(Level::Error, &name, text);
                if self.is_rebuild {
                    // The result to compare with is asked for in the same way, at an instance of this name.
                    let to = Receiver { store: &self.store, instance: "remote-execution" };
                    unreached::say_not_sent(server, &to, &self.log);
                    self.log.say_about(Level::Error, &format!("cached:{id}"), text);
                }
                let command = report::in_environment(&action.command, &action.env);
                let failed = report::failed_command(&command, &defined.all_origins(id));
                self.log.say_about(Level::Error, &name, failed);
            }
            Some(Unsent::Result(_)) | None => {}
        }
    }

    fn say_unbuilt(&self, unbuilt: &Unbuilt, failure: &BuildFailure, defined: &dyn ActionOrigins) {
        if let Cause::Server(ServerFault { unreached: Some(server), .. }) = &unbuilt.cause {
            self.say_unreached(server, unbuilt, defined);
            return;
        }
        let mut text = unbuilt.cause.to_string();
        if unbuilt.cause.is_lost() {
            text += &nor_at(failure.losing_server.as_deref());
        }
        if let Cause::Conflict { overlay, .. } = &unbuilt.cause {
            text += &report::requested_by(&defined.of_overlay(overlay));
        }
        self.log.say(Level::Error, text);
    }
}

impl Sink for Messages {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::ActionFinished(finished) => self.action_finished(finished),
            Event::ActionFailed(failed) => self.action_failed(failed),
            _ => {}
        }
    }
}

impl BuildMessages for Messages {
    fn requested(&self, _: &RepoConfig, _: String) {}

    fn analysed(&self, found: &AnalysisOutcome<'_>) {
        say_targets(found, &self.log);
        Just.tainted(&found.tainted(), &self.log);
        let counts = &found.analysed.counts;
        // Relaxed: it is read when the build has failed.
        self.contents.store(counts.blobs, Relaxed);
        let discovered = report::discovered(counts.actions, counts.overlays, counts.trees, counts.blobs);
        self.log.say(Level::Info, discovered);
    }

    fn building(&self, name: &str, input_of: Option<&str>) {
        let word = if self.is_rebuild { "Rebuilding" } else { "Building" };
        let input = input_of.map(|action| format!(" input of action {action} of")).unwrap_or_default();
        self.log.say(Level::Info, format!("{word}{input} {name}."));
    }

    /// Failures before that do not count, and what was shown once is not shown again.
    fn on_retry(&self, why: Retry, server: Option<&str>) {
        self.failures().clear();
        // Only now: within one try, equal outputs of two events are both shown.
        let outputs = std::mem::take(&mut *self.outputs.lock().unwrap_or_else(PoisonError::into_inner));
        self.shown.lock().unwrap_or_else(PoisonError::into_inner).extend(outputs);
        match why {
            Retry::Undefined => {
                let text = "Something that the build needs is no longer defined: it is analysed again.";
                self.log.say(Level::Info, text);
            }
            Retry::Lost => {
                if let Some(text) = self.shown_losses.next(server) {
                    self.log.say(Level::Warn, format!("{text}."));
                }
            }
            // The reference reports what it cannot read; so roots are not repaired under its name.
            Retry::LostRoots => {}
        }
    }

    fn executed(&self, _: &dyn ActionOrigins) {}

    fn failed(&self, failure: &BuildFailure, defined: &dyn ActionOrigins) {
        self.say_failures(defined);
        let (of_store, others): (Vec<_>, Vec<_>) = failure
            .unbuilt
            .iter()
            .partition(|unbuilt| matches!(unbuilt.cause, Cause::Store(_) | Cause::Server(_)));
        // A store that fails once fails for everything, with a path of its own each time.
        for (all, limit) in [(others, MAX_SIMILAR_ERRORS), (of_store, 1)] {
            all.iter().take(limit).for_each(|unbuilt| self.say_unbuilt(unbuilt, failure, defined));
            if all.len() > limit {
                let text = format!("There are {} more errors like these.", all.len() - limit);
                self.log.say(Level::Error, text);
            }
        }
        let is_unreached = |unbuilt: &Unbuilt| {
            matches!(unbuilt.cause, Cause::Server(ServerFault { unreached: Some(_), .. }))
        };
        if !(self.has_contents() && failure.unbuilt.iter().any(is_unreached)) {
            self.log.say(Level::Error, "Build failed.");
        }
    }

    fn processed(&self, actions: usize, hits: usize, compared: Option<&Compared>) {
        match compared {
            Some(compared) => self.log.say(Level::Info, summary(*compared)),
            None => self.log.say(Level::Info, report::processed(actions, hits)),
        }
    }

    fn delivered(&self, delivered: &Delivered<'_>) {
        let heading = match delivered.directory {
            Some(_) => "Artifacts can be found in:",
            None => "Artifacts built, logical paths are:",
        };
        let Delivered { built, omitted, .. } = *delivered;
        self.log.say(Level::Info, report::artifacts(heading, built, omitted));
        // Listed once more, as in the reference.
        let failed: Vec<report::Built> = built.iter().filter(|built| built.failed).cloned().collect();
        if !failed.is_empty() {
            self.log.say(Level::Info, report::artifacts("Failed artifacts:", &failed, 0));
        }
    }

    fn ended(&self, tainted: &[&str], has_failed_artifacts: bool) {
        Just.tainted(tainted, &self.log);
        if has_failed_artifacts {
            self.log.say(Level::Warn, "Build result contains failed artifacts.");
        }
    }

    fn interrupting(&self, _: Duration) {
        self.log.end_display();
    }

    fn interrupted(&self) {}
}

/// The summary of a rebuild.
fn summary(compared: Compared) -> String {
    let Compared { compared, flaky, flaky_and_tainted, misses } = compared;
    let mut text = format!("{compared} actions compared with cache");
    if flaky > 0 {
        text += &format!(", {flaky} flaky actions found ({flaky_and_tainted} of which tainted)");
    }
    if misses > 0 {
        text += &format!(", no cache entry found for {misses} actions");
    }
    text + "."
}
