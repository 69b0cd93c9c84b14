//! Turns the engine's log of a build into events.
//!
//! A first build executes everything for the first time, which needs no explanation. So of new tasks only targets and
//! actions without a result have an event here: actions with a result have one already.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use taut_analysis::{CacheEntryRule, CacheKey, ConfiguredTarget, TargetRule};
use taut_engine::{Build, Content, Engine, Hash, KeyRef, Reason};
use taut_exec::{ActionKey, ArtifactKey, ArtifactRule};
use taut_graph::{Definition, DefinitionKey};
use taut_repos::RepoConfig;
use taut_value::{ActionDescription, Id, JsonWriter, Map, Str};

use super::{ActionEnd, RecordedReason, Subject};
use crate::event::{Event, Finished, Sink};

/// Records how actions end, and in which order.
#[derive(Default)]
pub(crate) struct ActionEnds(Mutex<HashMap<Id, (usize, ActionEnd)>>);

impl ActionEnds {
    fn note(&self, id: &Id, how: ActionEnd) {
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let next = ends.len();
        ends.entry(*id).or_insert((next, how)).1 = how;
    }

    pub(crate) fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn of(&self, id: &Id) -> Option<ActionEnd> {
        self.placed(id).map(|(_, how)| how)
    }

    /// The place in the order in which actions ended, and how this one did.
    pub(crate) fn placed(&self, id: &Id) -> Option<(usize, ActionEnd)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }
}

impl Sink for ActionEnds {
    fn event(&self, event: &Event<'_>) {
        match event {
            Event::ActionFinished(Finished { action, outcome, .. }) => {
                let how = match outcome.cached {
                    true if outcome.ran.by_reads => ActionEnd::Unread,
                    true => ActionEnd::Cached,
                    false => ActionEnd::Ran,
                };
                self.note(action.id, how);
            }
            Event::ActionFailed(failed) => {
                let how = if failed.was_ended { ActionEnd::Unfinished } else { ActionEnd::Failed };
                self.note(&failed.failure.id, how);
            }
            _ => {}
        }
    }
}

/// Sends an event for each task that a build executed, with the reason; none if it only read what is there, unless
/// tests are to be run, which are not in the engine's log: what was read is their reason.
pub(crate) fn report(
    sink: &dyn Sink,
    engine: &Engine,
    build: &Build,
    ends: &ActionEnds,
    repositories: &RepoConfig,
    has_tests: bool,
) {
    let mut log = build.log();
    // Tasks of requests, of runs and of leaves without a path have no event of their own. That the context of execution
    // changed is the reason of actions.
    // By the names of rules: these are in crates above and below this one, and names are stable (they are part of the
    // engine's file).
    log.retain(|ran| {
        let is_known = ran.key.downcast::<ActionKey>().is_some_and(|ActionKey(id)| {
            let is_of_context = matches!(&ran.reason, Reason::Read { dep, .. } if dep.rule() == "context");
            is_of_context && matches!(ends.of(id), Some(ActionEnd::Cached | ActionEnd::Unread))
        });
        !is_known
            && !matches!(
                ran.key.rule(),
                "analysis"
                    | "result"
                    | "run"
                    | "context"
                    | "each time"
                    | "log limit"
                    | "cache entry"
                    | "repository key"
            )
    });
    // Files were looked at again, and nothing else was done: no work to explain.
    if !has_tests && log.iter().all(|ran| Subject::of(&ran.key, repositories).is_reading()) {
        return;
    }
    let definitions = Definitions::of(log.iter().map(|ran| (&ran.key, &ran.reason)), engine);
    for ran in log {
        let subject = &Subject::of(&ran.key, repositories);
        let why = match ran.reason {
            Reason::New => match &subject {
                Subject::Action(id) => definitions.why(id),
                _ => RecordedReason::New,
            },
            Reason::Always => RecordedReason::Always,
            Reason::RuleChanged => RecordedReason::Program,
            Reason::Changed => RecordedReason::Changed,
            // No rule of taut compares times.
            Reason::Newer { dep } => {
                RecordedReason::Read { what: Subject::of(&dep, repositories), was: None, is: None }
            }
            Reason::ValueLost => RecordedReason::Lost,
            Reason::Read { dep, .. } if dep.rule() == "each time" => RecordedReason::Always,
            Reason::Read { dep, .. } if dep.rule() == "context" => RecordedReason::Settings,
            Reason::Read { dep, was, is } => {
                let (was, is) = (object(engine, &dep, was), object(engine, &dep, is));
                RecordedReason::Read { what: Subject::of(&dep, repositories), was, is }
            }
        };
        let is_reported = match (&why, subject) {
            (RecordedReason::New, Subject::Action(id)) => ends.of(id) != Some(ActionEnd::Ran),
            (RecordedReason::New, Subject::Target { .. }) => true,
            (RecordedReason::New, _) => false,
            _ => true,
        };
        if is_reported {
            sink.event(&Event::TaskRan { subject, why: &why });
        }
    }
}

/// The object that an artifact was when it had a hash, if that is known; or whether an entry was there.
fn object(engine: &Engine, key: &KeyRef, hash: Option<Hash>) -> Option<Str> {
    if key.downcast::<CacheKey>().is_some() {
        return Some(if CacheEntryRule::is_absent(hash?) { "absent" } else { "there" }.into());
    }
    let built = engine.value_with::<ArtifactRule>(key.downcast::<ArtifactKey>()?, hash?)?;
    Some(built.info.to_string().into())
}

/// The actions of targets that were analysed again, and what they were before.
struct Definitions {
    of: HashMap<Id, Redefined>,
}

struct Redefined {
    target: Subject,
    was: Option<Arc<ActionDescription>>,
    is: Arc<ActionDescription>,
}

impl Definitions {
    fn of<'l>(log: impl Iterator<Item = (&'l KeyRef, &'l Reason)>, engine: &Engine) -> Definitions {
        let mut of = HashMap::new();
        for (key, reason) in log {
            let Some(target) = key.downcast::<ConfiguredTarget>().filter(|_| *reason != Reason::New) else {
                continue;
            };
            let mut kept = engine.kept::<TargetRule>(target).into_iter().map(|kept| kept.value);
            // Latest first: the run of this build, then the one before.
            let Some(now) = kept.next().flatten() else { continue };
            let before = kept.next().flatten();
            let definition = |id: &Id| {
                let name = DefinitionKey::action(id).0;
                let kept = engine.kept::<Content<Definition>>(&name).into_iter().next()?;
                kept.value?.as_action().cloned()
            };
            let actions = |ids: &[Id]| -> Vec<_> { ids.iter().filter_map(definition).collect() };
            let known = before.map(|before| actions(&before.defined.actions)).unwrap_or_default();
            for (place, action) in actions(&now.defined.actions).iter().enumerate() {
                // The one that made the same is the one that it takes the place of.
                let same = |other: &&Arc<ActionDescription>| {
                    other.outs == action.outs && other.out_dirs == action.out_dirs
                };
                // Otherwise the action with the same number: a rule that renames an output still defines its actions in
                // the same order.
                let was = known.iter().find(same).or(known.get(place)).cloned();
                let new = Redefined { target: Subject::target(target), was, is: action.clone() };
                of.insert(action.id(), new);
            }
        }
        Definitions { of }
    }

    /// Why an action ran that never did before.
    fn why(&self, id: &Id) -> RecordedReason {
        let Some(Redefined { target, was, is }) = self.of.get(id) else { return RecordedReason::New };
        let difference = was.as_ref().map(|was| difference(was, is)).unwrap_or_default();
        RecordedReason::Redefined { target: target.clone(), difference }
    }
}

/// How a definition differs from the one before, in words.
fn difference(was: &ActionDescription, is: &ActionDescription) -> Vec<Str> {
    let mut lines = Vec::new();
    let texts = |texts: &[Str]| {
        let mut writer = JsonWriter::compact();
        writer.strings(texts);
        writer.finish()
    };
    let mut compare = |what: &str, was: String, is: String| {
        if was != is {
            let (past, present) = if what.ends_with('s') { ("were", "are") } else { ("was", "is") };
            lines.push(format!("its {what} {past} {was}").into());
            let indent = " ".repeat(what.len() + 4 + past.len() - present.len());
            lines.push(format!("{indent} {present} {is}").into());
        }
    };
    compare("command", texts(&was.command), texts(&is.command));
    compare("environment", was.env.to_label(), is.env.to_label());
    // The top of the action's directory is the empty path.
    let directory = |cwd: &str| if cwd.is_empty() { ".".to_owned() } else { cwd.to_owned() };
    compare("working directory", directory(&was.cwd), directory(&is.cwd));
    compare("outputs", texts(&was.outs), texts(&is.outs));
    compare("output directories", texts(&was.out_dirs), texts(&is.out_dirs));
    inputs(&was.inputs, &is.inputs, &mut lines);
    lines
}

/// How many inputs are named at most.
const MAX_SHOWN_INPUTS: usize = 6;

fn inputs(was: &Map, is: &Map, lines: &mut Vec<Str>) {
    let mut all: Vec<String> = Vec::new();
    for (path, now) in is.iter() {
        match was.get(path) {
            None => all.push(format!("it has a new input {path}")),
            Some(before) if before != now => {
                let renamed =
                    matches!((before.as_artifact(), now.as_artifact()), (Some(a), Some(b)) if moved(a, b));
                let what = if renamed {
                    "comes from an action that is defined differently"
                } else {
                    "is another artifact"
                };
                all.push(format!("its input {path} {what}"));
            }
            Some(_) => {}
        }
    }
    let gone = was.iter().filter(|(path, _)| is.get(path).is_none());
    all.extend(gone.map(|(path, _)| format!("it no longer has the input {path}")));
    let more = all.len().saturating_sub(MAX_SHOWN_INPUTS);
    lines.extend(all.into_iter().take(MAX_SHOWN_INPUTS).map(Str::from));
    if more > 0 {
        lines.push(format!("and {more} more inputs differ").into());
    }
}

/// Whether both are the same output of an action and of the one in its place.
fn moved(a: &taut_value::Artifact, b: &taut_value::Artifact) -> bool {
    use taut_value::Artifact::Action;
    matches!((a, b), (Action { path: a, .. }, Action { path: b, .. }) if a == b)
}
