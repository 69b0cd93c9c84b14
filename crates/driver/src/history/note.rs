//! From the log of a build to its record.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use taut_analysis::{ConfiguredTarget, TargetRule};
use taut_engine::{Build, Engine, Hash, KeyRef, Reason};
use taut_exec::{ActionFailure, ActionOutcome, ArtifactKey, ArtifactRule, Events, KeepKey};
use taut_value::{ActionDescription, Id, JsonWriter, Map, Str};

use super::{Done, Ended, History, How, Record, Subject, Why};
use crate::Request;

/// Notes how actions come to their results.
#[derive(Default)]
pub(crate) struct Ends(Mutex<HashMap<Id, How>>);

impl Ends {
    fn note(&self, id: &Id, how: How) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(*id, how);
    }

    pub(crate) fn reset(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn of(&self, id: &Id) -> Option<How> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied()
    }
}

impl Events for Ends {
    fn finished(&self, id: &Id, _: &Arc<ActionDescription>, outcome: &ActionOutcome) {
        self.note(id, if outcome.cached { How::Cached } else { How::Ran });
    }

    fn failed(&self, failure: &ActionFailure) {
        self.note(&failure.id, How::Failed);
    }
}

/// Leaves the record of a build, if it executed anything that is worth telling.
pub(crate) fn note(
    history: &History,
    engine: &Engine,
    build: &Build,
    ends: &Ends,
    request: &Request,
    command: &str,
    ended: Ended,
) {
    let mut log = build.log();
    // To look after what is there is no news.
    log.retain(|ran| ran.key.downcast::<KeepKey>().is_none());
    let repositories = &request.repositories;
    if log.iter().all(|ran| Subject::of(&ran.key, repositories).is_reading()) {
        return;
    }
    let (mut done, mut new, mut actions) = (Vec::new(), HashSet::new(), HashMap::new());
    let (mut analysed, mut ran_anew) = (0, 0);
    let definitions = Definitions::of(log.iter().map(|ran| (&ran.key, &ran.reason)), engine);
    // What an action runs in is told with the action.
    for ran in log.into_iter().filter(|ran| ran.key.rule() != "run") {
        let subject = Subject::of(&ran.key, repositories);
        let mut end = None;
        match &subject {
            Subject::Target { .. } => analysed += 1,
            Subject::Action(id) => end = ends.of(id),
            _ => {}
        }
        let why = match ran.reason {
            Reason::New => match &subject {
                Subject::Action(id) => definitions.why(id),
                _ => Why::New,
            },
            Reason::Always => Why::Always,
            Reason::RuleChanged => Why::Program,
            Reason::Changed => Why::Changed,
            // No rule of ours goes by times.
            Reason::Newer { dep } => Why::Read { what: Subject::of(&dep, repositories), was: None, is: None },
            Reason::ValueLost => Why::Lost,
            Reason::Read { dep, was, is } => {
                let (was, is) = (object(engine, &dep, was), object(engine, &dep, is));
                Why::Read { what: Subject::of(&dep, repositories), was, is }
            }
        };
        match (&why, &subject) {
            (Why::New, Subject::Action(_)) if end == Some(How::Ran) => {
                new.insert(subject.fingerprint());
                ran_anew += 1;
                continue;
            }
            (Why::New, Subject::Target { .. }) => {
                new.insert(subject.fingerprint());
                continue;
            }
            (_, Subject::Action(id)) => {
                actions.extend(end.map(|how| (*id, how)));
            }
            (Why::New, _) => continue,
            _ => {}
        }
        done.push(Done { subject, why });
    }
    let before = history.read().map(|record| record.configuration);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    history.write(&Record {
        when: since.as_secs(),
        command: command.into(),
        targets: request.targets.clone(),
        configuration: request.configuration.clone(),
        before: before.filter(|before| *before != request.configuration),
        ended,
        analysed,
        done,
        new,
        ran_anew,
        actions,
    });
}

/// The object that an artifact was when it had a hash, if that is known.
fn object(engine: &Engine, key: &KeyRef, hash: Option<Hash>) -> Option<Str> {
    let built = engine.value_with::<ArtifactRule>(key.downcast::<ArtifactKey>()?, hash?)?;
    Some(built.info.to_string().into())
}

/// The actions of targets that were analysed again, and what they were before.
struct Definitions {
    of: HashMap<Id, Definition>,
}

struct Definition {
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
            let Some(now) = kept.next().flatten() else { continue };
            let before = kept.next().flatten();
            for (place, action) in now.actions.iter().enumerate() {
                let known = before.as_ref().map_or(&[][..], |before| &before.actions[..]);
                // The one that made the same is the one that it takes the place of.
                let same = |other: &&Arc<ActionDescription>| {
                    other.outs == action.outs && other.out_dirs == action.out_dirs
                };
                let was = known.iter().find(same).or(known.get(place)).cloned();
                let new = Definition { target: Subject::target(target), was, is: action.clone() };
                of.insert(action.id(), new);
            }
        }
        Definitions { of }
    }

    /// Why an action ran that never did before.
    fn why(&self, id: &Id) -> Why {
        let Some(Definition { target, was, is }) = self.of.get(id) else { return Why::New };
        let difference = was.as_ref().map(|was| difference(was, is)).unwrap_or_default();
        Why::Redefined { target: target.clone(), difference }
    }
}

/// How a definition differs from the one before, in words.
fn difference(was: &ActionDescription, is: &ActionDescription) -> Vec<Str> {
    let mut said = Vec::new();
    let texts = |texts: &[Str]| {
        let mut writer = JsonWriter::compact();
        writer.strings(texts);
        writer.finish()
    };
    let mut compare = |what: &str, was: String, is: String| {
        if was != is {
            said.push(format!("its {what} was {was}").into());
            said.push(format!("{} is {is}", " ".repeat(what.len() + 4)).into());
        }
    };
    compare("command", texts(&was.command), texts(&is.command));
    compare("environment", was.env.to_label(), is.env.to_label());
    compare("working directory", was.cwd.to_string(), is.cwd.to_string());
    compare("outputs", texts(&was.outs), texts(&is.outs));
    compare("output directories", texts(&was.out_dirs), texts(&is.out_dirs));
    inputs(&was.inputs, &is.inputs, &mut said);
    said
}

/// How many inputs are named at most.
const SHOWN: usize = 6;

fn inputs(was: &Map, is: &Map, said: &mut Vec<Str>) {
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
    let more = all.len().saturating_sub(SHOWN);
    said.extend(all.into_iter().take(SHOWN).map(Str::from));
    if more > 0 {
        said.push(format!("and {more} more inputs differ").into());
    }
}

/// Whether both are the same output of an action and of the one in its place.
fn moved(a: &taut_value::Artifact, b: &taut_value::Artifact) -> bool {
    use taut_value::Artifact::Action;
    matches!((a, b), (Action { path: a, .. }, Action { path: b, .. }) if a == b)
}
