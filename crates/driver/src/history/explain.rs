//! Why something ran in the last build with work to do, or why it did not.
//!
//! The record names each task that executed, with the first of its reads that differed. These reads are followed down
//! to the file or variable that changed. A task that is not in the record was up to date. What it is (an output, an
//! action of some target) is found by analysing the description in memory, in its present state, which is that of the
//! last build unless it was edited since. If the analysis fails, what the record names is explained without it.

mod at_server;
mod chain;
mod changes;
mod missed;
mod path;
mod words;

use std::cell::OnceCell;
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use taut_analysis::{Config, ConfiguredTarget, Export, TargetRule};
use taut_engine::Engine;
use taut_exec::SharedService;
use taut_repos::RepoConfig;
use taut_store::Store;
use taut_value::{ActionDescription, EntityName, Id, Map, NamedTarget, Str, json_as_typed};

use super::{ActionEnd, BuildEnd, EarlierRun, Record, RecordedReason, Subject, below_roots};
use crate::full_analysis::analyse_all;
use crate::targets::joined_first;
use crate::tests::results;
use crate::{Analyser, Analysis, EventLogs, ReachedTarget, Request, Targets};
use at_server::without_worker;
use words::{capitalized, logged_action, many};

/// A question about the last build with work to do.
#[derive(Clone, Debug)]
pub enum Question {
    /// What the call was for.
    Call,
    /// The action whose id begins like this.
    Action(String),
    /// A target; or, if no target has that name, what lies at this path.
    Named {
        /// The name.
        target: NamedTarget,
        /// The word as a path: as it was typed, and absolute.
        path: Option<(String, PathBuf)>,
    },
}

/// An answer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Explanation {
    /// Lines of text.
    pub text: String,
    /// Whether the subjects of all questions are known.
    pub is_known: bool,
}

/// How many of a kind are shown at most.
const MAX_SHOWN: usize = 12;

/// The usual one that has results of actions which did not run.
const LOCAL_CACHE: &str = "the action cache has";

/// Builds of how many other requests are searched for what the last one had no part in.
const MAX_OTHER_REQUESTS: usize = 8;

/// Answers questions about the last build with the repositories of an analyser that executed something, one after the
/// other. If it had no part in any of what is asked about, the answers are about the latest build that had a part in
/// all.
pub fn explain(
    questions: &[Question],
    from: Records<'_>,
    analyser: &Analyser,
    how: Presentation<'_>,
) -> Explanation {
    let logs = from.logs;
    let repositories = &analyser.workspace.repositories;
    let request = |targets: &Targets, configuration: &Map| Request {
        repositories: repositories.clone(),
        targets: targets.clone(),
        configuration: configuration.clone(),
    };
    // The reasons of a call are written when it ends, so a call that has not ended cannot be
    // explained, only named.
    let unfinished = logs.unfinished().map(|call| {
        let (target, ago) = (request(&call.targets, &call.configuration).target_text(), time_since(call.when));
        format!(
            "A later call ran actions and has not ended: {} {target}, {ago}. It was killed or is still running; why it \
             ran them is not known.",
            call.command
        )
    });
    let mut records = logs.records();
    let Some(latest) = records.next() else {
        let text = match logs.has_any() {
            false => "No build with work to do is recorded here.\n",
            true => {
                "The record of the last build with work to do is corrupt; the next build writes a new one.\n"
            }
        };
        let text = unfinished.map_or(text.to_owned(), |unfinished| format!("{text}{unfinished}\n"));
        return Explanation { text, is_known: false };
    };
    let mut tried = vec![(latest.targets.clone(), latest.configuration.clone())];
    let asked = Asked { questions, from, analyser, how };
    let about = |record: Record, which: ExplainedBuild| {
        let request = request(&record.targets, &record.configuration);
        asked.about(record, &request, which)
    };
    let (explanation, knows_any) = about(latest, ExplainedBuild::Last { unfinished });
    if knows_any {
        return explanation;
    }
    // Only builds of something else: of the same targets, they had no part in it, either.
    let others = records.filter(|record| {
        // Compared in full: the same targets in another configuration are another request.
        let of = (record.targets.clone(), record.configuration.clone());
        let is_new = !tried.contains(&of);
        tried.push(of);
        is_new
    });
    let mut explanations =
        others.take(MAX_OTHER_REQUESTS).map(|record| about(record, ExplainedBuild::Earlier).0);
    explanations.find(|earlier| earlier.is_known).unwrap_or(explanation)
}

/// How answers are written.
#[derive(Clone, Copy)]
pub struct Presentation<'p> {
    /// What paths are shown relative to.
    pub cwd: &'p Path,
    /// Whether all targets and actions are listed.
    pub is_verbose: bool,
}

/// What answers come from.
#[derive(Clone, Copy)]
pub struct Records<'r> {
    /// The event logs of the repositories.
    pub logs: &'r EventLogs,
    /// The build root.
    pub store: &'r Store,
    /// A remote cache, if one is named: what is asked for actions like those that it had no result of.
    pub cache: Option<&'r SharedService>,
    /// Servers that execute, if some are named: what is asked for actions like those that they had to execute.
    pub servers: &'r [SharedService],
}

/// The build, with work to do, that answers are about.
enum ExplainedBuild {
    Last {
        /// The text about a later call that has not ended.
        unfinished: Option<String>,
    },
    Earlier,
}

/// What is asked, the same for each build that answers may be about.
struct Asked<'a> {
    questions: &'a [Question],
    from: Records<'a>,
    analyser: &'a Analyser,
    how: Presentation<'a>,
}

impl Asked<'_> {
    /// The answers about one build. Also returns whether it had a part in anything of what is asked about.
    fn about(&self, mut record: Record, request: &Request, which: ExplainedBuild) -> (Explanation, bool) {
        let Analyser { engine, build, workspace, .. } = self.analyser;
        // What is wrong with the description is for a build to report. Nothing is committed: a question changes no
        // cached state.
        let analysis = analyse_all(build, request).ok();
        if analysis.is_none() {
            // Analysis would have their names; without it, only earlier logs do.
            self.from.logs.name_up_to_date(&mut record);
        }
        let repositories = &workspace.repositories;
        let mut explainer =
            Explainer::new((&record, self.from), engine, analysis.as_ref(), repositories, self.how);
        explainer.heading(request, which);
        let (mut knows_all, mut knows_any) = (true, false);
        for (at, question) in self.questions.iter().enumerate() {
            if at > 0 {
                explainer.say("");
            }
            let is_known = explainer.answer(question);
            knows_all &= is_known;
            knows_any |= is_known;
        }
        (Explanation { text: explainer.text, is_known: knows_all }, knows_any)
    }
}

struct Explainer<'r> {
    record: &'r Record,
    /// Has the kept runs.
    engine: &'r Engine,
    /// Has earlier calls.
    from: Records<'r>,
    analysis: Option<&'r Analysis>,
    repositories: &'r RepoConfig,
    cwd: &'r Path,
    is_verbose: bool,
    /// What was done.
    done: HashMap<&'r Subject, &'r RecordedReason>,
    /// The actions of the description as it is now.
    defined: HashMap<Id, DefinedAction<'r>>,
    /// The actions that `test` runs if they are not known to pass: nothing is recorded of their earlier runs.
    tests: BTreeSet<Id>,
    /// Earlier runs of what servers had no result of, by outputs; searched for once.
    earlier: OnceCell<HashMap<Vec<Str>, Vec<EarlierRun>>>,
    text: String,
}

/// How an action ended, what says most about a build first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
// The order of the variants is the order in which actions are listed.
enum Rank {
    Failed,
    Ran,
    NotStarted,
    FromCache,
    Replayed,
}

/// An action, with the target that defines it.
struct DefinedAction<'a> {
    action: &'a Arc<ActionDescription>,
    name: &'a EntityName,
    place: usize,
}

impl<'r> Explainer<'r> {
    fn new(
        (record, from): (&'r Record, Records<'r>),
        engine: &'r Engine,
        analysis: Option<&'r Analysis>,
        repositories: &'r RepoConfig,
        Presentation { cwd, is_verbose }: Presentation<'r>,
    ) -> Explainer<'r> {
        let mut done = HashMap::new();
        for known in &record.done {
            // If steps were repeated, the first reason is the one for which the work began.
            done.entry(&known.subject).or_insert(&known.why);
        }
        let mut defined = HashMap::new();
        for reached in analysis.iter().flat_map(|analysis| &analysis.reached) {
            for (place, id) in reached.analysed.defined.actions.iter().enumerate() {
                let name = &reached.target.name;
                let Some(action) = analysis.and_then(|analysis| analysis.action(id)) else { continue };
                defined.entry(*id).or_insert(DefinedAction { action, name, place });
            }
        }
        // Only `test` runs the actions of tests; in other calls they are actions like any other.
        let reached = analysis.iter().filter(|_| &*record.command == "test").flat_map(|all| &all.reached);
        let tests = reached.flat_map(|reached| results(&reached.analysed)).map(|(_, id, _)| *id).collect();
        let text = String::new();
        Explainer {
            record,
            engine,
            from,
            analysis,
            repositories,
            cwd,
            is_verbose,
            done,
            defined,
            tests,
            earlier: OnceCell::new(),
            text,
        }
    }

    /// Why something was done, if it was.
    fn why(&self, subject: &Subject) -> Option<RecordedReason> {
        self.done.get(subject).map(|why| (*why).clone())
    }

    fn say(&mut self, text: impl AsRef<str>) {
        self.text.push_str(text.as_ref());
        self.text.push('\n');
    }

    fn heading(&mut self, request: &Request, which: ExplainedBuild) {
        let record = self.record;
        let ended = match record.ended {
            BuildEnd::Well => "it succeeded",
            BuildEnd::InAnalysis => "analysis failed",
            BuildEnd::InExecution => "it failed",
            BuildEnd::Interrupted => "it was interrupted",
        };
        let (ago, target) = (time_since(record.when), request.target_text());
        let (begin, unfinished) = match which {
            ExplainedBuild::Last { unfinished } => ("Last build with work to do", unfinished),
            ExplainedBuild::Earlier => ("Not in the last build with work to do, but in an earlier one", None),
        };
        self.say(format!("{begin}: {} {target}, {ago}; {ended}.", record.command));
        // An unread input leads to the action cache as well, only by another key.
        let cached = record.count(ActionEnd::Cached) + record.count(ActionEnd::Unread);
        let (failed, stopped) = (record.count(ActionEnd::Failed), record.count(ActionEnd::Unfinished));
        let of_these: Vec<String> = [(failed, "failed"), (stopped, "stopped by the interruption")]
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let of_these =
            if of_these.is_empty() { String::new() } else { format!(" ({})", of_these.join(", ")) };
        self.say(format!(
            "{} analysed, {} run{of_these}, {cached} from cache.",
            many(record.analysed as usize, "target"),
            // `Ran` counts those that succeeded, but the others were run, too.
            many(record.count(ActionEnd::Ran) + failed + stopped, "action"),
        ));
        for (what, from, ran) in &record.roots {
            let actions = many(*ran as usize, "action");
            let from = json_as_typed(from);
            self.say(format!("Before that the {what} was computed from {from}: {actions} run."));
        }
        if record.left_out > 0 {
            let lines = record.left_out;
            self.say(format!(
                "Its log was cut: {lines} lines are missing. What follows may say that something was not done, or done \
                 for the first time, because its line is missing."
            ));
        }
        if self.analysis.is_none() {
            self.say(
                "The description as it is now cannot be analysed: what follows is from event logs alone.",
            );
        }
        if let Some(unfinished) = unfinished {
            self.say(unfinished);
        }
        self.say("");
    }

    fn answer(&mut self, question: &Question) -> bool {
        match question {
            Question::Call => {
                if self.all_by_changes() {
                    return true;
                }
                let all = || self.record.targets.iter();
                let with_work: Vec<&NamedTarget> = all().filter(|target| self.had_work(target)).collect();
                // Of several targets, those say most for which something was done.
                let shown = if with_work.is_empty() { all().collect() } else { with_work };
                for (at, target) in shown.into_iter().enumerate() {
                    if at > 0 {
                        self.say("");
                    }
                    self.target(target);
                }
                self.actions_below();
                true
            }
            Question::Action(prefix) => {
                let prefix = prefix.to_ascii_lowercase();
                let known = self.record.named.keys().chain(self.defined.keys());
                let mut ids: Vec<Id> = known.copied().filter(|id| id.to_hex().starts_with(&prefix)).collect();
                ids.sort_unstable_by_key(|id| id.0);
                // The log and the description may both have it.
                ids.dedup();
                // All of them: they were asked for by their ids.
                self.actions(&ids, usize::MAX);
                !ids.is_empty() || self.unknown_action(&prefix)
            }
            Question::Named { target, path } => {
                let path = path.as_ref();
                // The target first, as on the command line: a file of the same name is found only
                // if there is no such target.
                let known = self.target(target)
                    || path
                        .is_some_and(|(typed, full)| self.path(typed, &below_roots(self.repositories, full)));
                match known {
                    true => self.where_actions_are(target),
                    false => self.unknown(target, path.map(|(typed, _)| typed.as_str())),
                }
                known
            }
        }
    }

    /// Writes where what ran is explained, if a target was requested that only collects results of others.
    fn where_actions_are(&mut self, target: &NamedTarget) {
        let name = EntityName::Named(target.clone());
        let is_requested = self.record.targets.iter().any(|requested| requested == target);
        let has_actions = self.record.actions_of(&name.to_json()).next().is_some()
            || self.defined.values().any(|defined| *defined.name == name);
        let begun = self.record.actions.keys().filter(|id| matches!(self.rank(id), Rank::Failed | Rank::Ran));
        let count = begun.count();
        if is_requested && !has_actions && count > 0 {
            let ran = many(count, "action");
            self.say(format!(
                "\nIt defines no action. {ran} of other targets ran: explain without a target shows them."
            ));
        }
    }

    /// Writes that the build has no action whose id begins like this; and what earlier builds know of one. Returns
    /// whether they know one.
    fn unknown_action(&mut self, prefix: &str) -> bool {
        self.say(format!("No action has an id that begins with %{prefix}."));
        self.cached_exports();
        let Some(earlier) = self.from.logs.earlier_with_action(prefix) else { return false };
        // Sorted, since a hash map has them in another order in each call.
        let mut ids: Vec<&Id> = earlier.named.keys().filter(|id| id.to_hex().starts_with(prefix)).collect();
        ids.sort_unstable_by_key(|id| id.0);
        let targets = earlier.targets.iter().map(|target| EntityName::Named(target.clone()).to_json());
        let (command, targets) = (&earlier.command, joined_first(targets));
        self.say(format!("An earlier build had one: {command} {targets}, {}.", time_since(earlier.when)));
        for id in ids.into_iter().take(MAX_SHOWN) {
            self.say(format!("  {}", logged_action(id, &earlier.named[id])));
        }
        true
    }

    /// Writes which targets were not looked below, since the target-level cache has them.
    fn cached_exports(&mut self) {
        let Some(analysis) = self.analysis else { return };
        let cached = analysis.exports().list().into_iter();
        let cached = cached.filter(|(_, export)| matches!(export, Export::Cached(..)));
        let mut names: Vec<String> = cached.map(|(target, _)| target.name.to_json()).collect();
        names.dedup();
        let Some(first) = names.first() else { return };
        let others = match names.len() {
            1 => String::new(),
            count => format!(", and of {}", many(count - 1, "other")),
        };
        self.say(format!(
            "Nothing is known of what is below export target {first}{others}: the target-level cache has the result."
        ));
    }

    /// Writes that nothing is known of a target, nor of what lies at a path.
    fn unknown(&mut self, target: &NamedTarget, path: Option<&str>) {
        let name = EntityName::Named(target.clone()).to_json();
        if self.analysis.is_none() {
            let or = path.map(|typed| format!(", nor {typed}")).unwrap_or_default();
            self.say(format!(
                "No event log names target {name}{or}. If the build had it, nothing was done for it."
            ));
            return;
        }
        let or = path.map(|typed| format!(", and nothing at {typed}")).unwrap_or_default();
        let meant = self.meant(target).map(|meant| format!(" Did you mean {meant}?"));
        self.say(format!(
            "The last build with work to do had no target {name}{or}.{}",
            meant.unwrap_or_default()
        ));
        self.cached_exports();
    }

    /// What is named like a target, of all that the call had in its module, or made.
    fn meant(&self, target: &NamedTarget) -> Option<String> {
        let of_module = |reached: &'r ReachedTarget| {
            let name = reached.target.name.as_named()?;
            let is_near = (&name.repository, &name.module) == (&target.repository, &target.module);
            (is_near && name.name != target.name).then_some(name.name.as_str())
        };
        let targets = || self.analysis.iter().flat_map(|analysis| &analysis.reached).filter_map(of_module);
        // Outputs as well: a question is often about a file, not about the target that makes it.
        let outputs = self.defined.values().flat_map(|defined| &defined.action.outs).map(|out| out.as_str());
        let meant = taut_syntax::did_you_mean(&target.name, targets().chain(outputs))?;
        Some(match targets().any(|name| name == meant) {
            true => {
                let named = NamedTarget::new(target.repository.clone(), target.module.clone(), meant);
                EntityName::Named(named).to_json()
            }
            false => meant.to_owned(),
        })
    }

    /// Explains a target in all its configurations; `false` if no target has that name.
    fn target(&mut self, target: &NamedTarget) -> bool {
        let name = EntityName::Named(target.clone());
        let json = name.to_json();
        let mut variants: Vec<Subject> = Vec::new();
        for done in &self.record.done {
            if matches!(&done.subject, Subject::Target { name, .. } if **name == *json) {
                variants.push(done.subject.clone());
            }
        }
        // Sets in a fixed order, so that the text is the same in each call.
        let mut present = BTreeSet::new();
        let reached = self.analysis.iter().flat_map(|analysis| &analysis.reached);
        let mut up_to_date = 0;
        for reached in reached.filter(|reached| reached.target.name == name && reached.analysed.is_defined) {
            present.extend(reached.analysed.defined.actions.iter().copied());
            let subject = Subject::target(&reached.target);
            // The log has the configuration that a target was asked for in, while `reached` has the
            // variables that it depends on. Of a requested target the former is the configuration
            // of the call.
            let full = Subject::Target { name: json.as_str().into(), config: self.record_config() };
            if let Some(new) = [subject, full].into_iter().find(|s| self.why(s).is_some()) {
                if !variants.contains(&new) {
                    variants.push(new);
                }
            } else {
                up_to_date += 1;
            }
        }
        let logged: BTreeSet<Id> = self.record.actions_of(&json).collect();
        let is_requested = self.record.targets.iter().any(|requested| requested == target);
        if variants.is_empty() && up_to_date == 0 && logged.is_empty() && !is_requested {
            return false;
        }
        for variant in &variants {
            let why = self.why(variant).unwrap_or(RecordedReason::New);
            let words = capitalized(&self.words(variant));
            if self.is_first(variant) {
                self.say(format!("{words} was analysed for the first time."));
            } else {
                let again = if why == RecordedReason::New { "for the first time" } else { "again" };
                self.say(format!("{words} was analysed {again}:"));
                self.chain(variant);
            }
        }
        if variants.is_empty() {
            self.say(match self.same_result(&name) {
                Some(same) => format!(
                    "Target {json} was not analysed in this configuration: it has the result of {same}, since it depends on no variable that \
                     differs."
                ),
                None => format!(
                    "Target {json} was not analysed again: nothing that it reads has changed."
                ),
            });
        }
        self.actions_of_target(logged, present);
        true
    }

    /// Explains the actions that ran or failed for the dependencies of the requested targets: a target that only
    /// collects results, such as a suite, defines no action itself.
    fn actions_below(&mut self) {
        let requested: BTreeSet<String> =
            self.record.targets.iter().map(|target| EntityName::Named(target.clone()).to_json()).collect();
        let logged: BTreeSet<Id> = requested.iter().flat_map(|json| self.record.actions_of(json)).collect();
        let is_of_requested = |id: &Id| {
            let defined = self.defined.get(id);
            logged.contains(id) || defined.is_some_and(|of| requested.contains(&*of.name.to_json()))
        };
        let has_begun = |id: &Id| matches!(self.rank(id), Rank::Failed | Rank::Ran);
        let begun = self.record.actions.keys().copied().filter(|id| has_begun(id) && !is_of_requested(id));
        let mut below: Vec<Id> = begun.collect();
        if below.is_empty() {
            return;
        }
        self.first_what_ran(&mut below);
        self.say(format!("\n{} of other targets ran.", many(below.len(), "action")));
        self.actions(&below, MAX_SHOWN);
    }

    /// Explains the actions of a target: those that the log names, and those that it defines now. If these are others,
    /// only the ones that the log names belong to the call.
    fn actions_of_target(&mut self, logged: BTreeSet<Id>, mut present: BTreeSet<Id>) {
        let is_as_it_was = self.analysis.is_some() && logged.is_subset(&present);
        // An action that the description defines only now did not take part in that call.
        if !is_as_it_was {
            present.retain(|id| self.record.named.contains_key(id));
        }
        let mut actions: Vec<Id> = logged.union(&present).copied().collect();
        self.first_what_ran(&mut actions);
        if actions.is_empty() {
            return;
        }
        let count = many(actions.len(), "action");
        self.say(match is_as_it_was {
            true => format!("\nIt defines {count}."),
            false => format!("\nThe event log names {count} of it."),
        });
        self.actions(&actions, MAX_SHOWN);
    }

    /// The target of the same name whose result one in the call's configuration took over, if it did.
    fn same_result(&self, name: &EntityName) -> Option<String> {
        let config = Config::new(self.record.configuration.clone());
        let key = ConfiguredTarget { name: name.clone(), config };
        let reads = self.engine.reads_of(self.engine.task::<TargetRule>(key))?;
        // A target that took over a result has read nothing but the target that it took it from.
        let [read] = reads.as_slice() else { return None };
        let key = self.engine.key_of(*read);
        let same = key.downcast::<ConfiguredTarget>().filter(|same| same.name == *name)?;
        Some(same.to_string())
    }

    /// The configuration of the call, as targets have it.
    fn record_config(&self) -> taut_value::Str {
        Config::new(self.record.configuration.clone()).without_nulls().to_label().into()
    }

    /// Puts actions that failed first, then those that ran, and those with nothing to do last; of one kind, in the
    /// order of their names, since they are collected in no fixed one.
    fn first_what_ran(&self, actions: &mut [Id]) {
        actions.sort_by_cached_key(|id| (self.rank(id), self.action_words(id)));
    }

    fn rank(&self, id: &Id) -> Rank {
        match self.record.actions.get(id) {
            Some(ActionEnd::Failed) => Rank::Failed,
            // What was running at the interruption had begun, so it ranks with what ran.
            Some(ActionEnd::Ran | ActionEnd::Unfinished) => Rank::Ran,
            Some(ActionEnd::Cached | ActionEnd::Unread) => Rank::FromCache,
            None if self.why(&Subject::Action(*id)).is_some() => Rank::NotStarted,
            None => Rank::Replayed,
        }
    }

    /// What had the result of an action that did not run.
    fn had_result(&self, id: &Id) -> String {
        let logged = self.record.named.get(id).filter(|logged| logged.is_from_server);
        match logged.map(|logged| (&logged.cache, &logged.executed_by)) {
            Some((Some(cache), _)) => format!("the remote cache {cache} had"),
            Some((None, Some(server))) => format!("server {} had", without_worker(server)),
            _ => LOCAL_CACHE.to_owned(),
        }
    }

    fn actions(&mut self, ids: &[Id], most: usize) {
        let most = if self.is_verbose { usize::MAX } else { most };
        for id in ids.iter().take(most) {
            let subject = Subject::Action(*id);
            let words = capitalized(&self.action_words(id));
            match (self.record.actions.get(id), self.why(&subject)) {
                // No end and no reason: the engine did not execute the task of the action, so its
                // run was replayed.
                (None, None) => {
                    self.say(format!(
                        "{words} did not run: its recorded run was replayed, since none of its inputs changed."
                    ));
                    continue;
                }
                (Some(ActionEnd::Cached), why) => {
                    let had = self.had_result(id);
                    let words =
                        format!("{words} did not run: {had} a result of the same command on the same inputs");
                    if why.is_none() || self.is_first(&subject) {
                        self.say(format!("{words}."));
                        continue;
                    }
                    let looked = if why == Some(RecordedReason::New) { "" } else { " again" };
                    self.say(format!("{words}. It was looked up{looked}"));
                    self.chain(&subject);
                }
                (Some(ActionEnd::Unread), _) => {
                    let had = match self.had_result(id) {
                        had if had == LOCAL_CACHE => String::new(),
                        had => format!("; {had} the result"),
                    };
                    self.say(format!(
                        "{words} did not run: none of the inputs that it read has changed, as its depfile says{had}. It \
                         was looked up again"
                    ));
                    self.chain(&subject);
                }
                (Some(ActionEnd::Failed), _) => {
                    self.done_since(&format!("{words} ran, and failed"), &subject)
                }
                (Some(ActionEnd::Unfinished), _) => {
                    self.done_since(&format!("{words} was running when the call was interrupted"), &subject);
                }
                (Some(ActionEnd::Ran), _) => self.done_since(&format!("{words} ran"), &subject),
                // A reason without an end: the build ended before the action had a place to run in.
                (None, Some(_)) => {
                    self.done_since(&format!("{words} was scheduled but not started"), &subject)
                }
            }
            self.missed(id);
        }
        if ids.len() > most {
            self.say(format!("And {}: -v shows which.", many(ids.len() - most, "more action")));
        }
    }
}

/// How long ago a time is that counts the seconds since 1970.
fn time_since(when: u64) -> String {
    // A clock that was set back since counts as no time at all.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    match now.saturating_sub(when) {
        0..60 => "just now".to_owned(),
        seconds @ 60..7_200 => format!("{} ago", many(seconds as usize / 60, "minute")),
        seconds @ 7_200..172_800 => format!("{} ago", many(seconds as usize / 3_600, "hour")),
        seconds => format!("{} ago", many(seconds as usize / 86_400, "day")),
    }
}
