//! The record of the last build that executed something: what ran, and why.
//!
//! One file for each set of repositories, replaced as a whole, beside the traces. It holds words, not keys:
//! who reads it needs neither the engine nor the present description. Of what was never made before, of
//! which there is a lot in a first build and nothing to tell, it holds fingerprints only.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use taut_repos::RepoConfig;
use taut_store::{OwnDirectory, Store};
use taut_sys::At;
use taut_value::{Decoder, Encoder, Id, Map, Str};

use super::{Fingerprint, Subject};
use crate::{Targets, recent};

/// Why something was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Why {
    /// It was never done before.
    New,
    /// It is done in every build.
    Always,
    /// Another version of this program does it differently.
    Program,
    /// It looks at the outside world, which has changed.
    Changed,
    /// The result is known, but no longer stored.
    Lost,
    /// It had read something that is different now.
    Read { what: Subject, was: Option<Str>, is: Option<Str> },
    /// An action that a target defines in place of another one, and how they differ.
    Redefined { target: Subject, difference: Vec<Str> },
}

/// How an action came to its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum How {
    /// Its command was run.
    Ran,
    /// Another run of the same command on the same contents was known.
    Cached,
    /// Its command was run, and failed.
    Failed,
}

/// How a build ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ended {
    /// Everything that was asked for is there.
    Well,
    /// The description is wrong.
    InAnalysis,
    /// An action failed, or something else that is no matter of the description.
    InExecution,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Done {
    pub(crate) subject: Subject,
    pub(crate) why: Why,
}

/// A build that executed something.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Record {
    /// Seconds since 1970.
    pub(crate) when: u64,
    /// The subcommand.
    pub(crate) command: Str,
    pub(crate) targets: Targets,
    pub(crate) configuration: Map,
    /// The configuration of the build before, if that was another one.
    pub(crate) before: Option<Map>,
    pub(crate) ended: Ended,
    /// How many targets were analysed.
    pub(crate) analysed: u64,
    /// What was done, but for what was new.
    pub(crate) done: Vec<Done>,
    /// Fingerprints of what was done for the first time.
    pub(crate) new: HashSet<Fingerprint>,
    /// How many actions were run for the first time; they are among the new.
    pub(crate) ran_anew: u64,
    /// The other actions, by how they came to their results.
    pub(crate) actions: HashMap<Id, How>,
}

impl Record {
    /// How many actions came to their results like this.
    pub(crate) fn count(&self, how: How) -> usize {
        let anew = if how == How::Ran { self.ran_anew as usize } else { 0 };
        self.actions.values().filter(|known| **known == how).count() + anew
    }
}

/// The place of the record of some repositories.
#[derive(Clone, Debug)]
pub struct History {
    directory: Arc<OwnDirectory>,
    name: String,
}

/// How many records are kept, one for each set of repositories.
const MOST: usize = 64;

/// How many bytes they may have together, unless the latest alone has more.
const MOST_BYTES: u64 = 1 << 28;

const MAGIC: &[u8; 16] = b"taut history  03";

impl History {
    /// The place in a store.
    ///
    /// # Errors
    /// Nothing can be kept there.
    pub fn of(store: &Store, repositories: &RepoConfig) -> taut_store::Result<History> {
        let name = Id::of(repositories.identity()).to_hex();
        let directory = store.own_directory("history")?;
        directory.bring(&name)?;
        Ok(History { directory: Arc::new(directory), name })
    }

    fn file(&self) -> At<'_> {
        self.directory.dir().at(&self.name)
    }

    /// Whether there is a record, be it one that can be read or not.
    pub(crate) fn is_there(&self) -> bool {
        !matches!(self.file().exists(), Ok(false))
    }

    /// What the last build that executed something was for: the targets, and their configuration.
    pub fn latest(&self) -> Option<(Targets, Map)> {
        self.read().map(|record| (record.targets, record.configuration))
    }

    /// Takes the record away, to be put back with [`History::put_back`].
    pub fn take(&self) -> Option<Vec<u8>> {
        let bytes = self.file().read().ok()?;
        self.file().remove_file().ok()?;
        Some(bytes)
    }

    /// Puts a record in place of what is there.
    pub fn put_back(&self, bytes: Option<Vec<u8>>) {
        // One that is not kept costs explanations, not more.
        let _ = match bytes {
            Some(bytes) => self.file().replace(&bytes),
            None => self.file().remove_file(),
        };
    }

    /// Whether the record is of something that a repetition had no need to do, and what: everything but what
    /// runs each time, and what follows from that.
    pub fn excess(&self) -> Option<String> {
        let record = self.read()?;
        let mut due: HashSet<&Subject> = HashSet::new();
        for Done { subject, why } in &record.done {
            let is_due = match why {
                Why::Always => true,
                Why::Read { what, .. } => {
                    let action = match what {
                        Subject::Output { action, .. } => Subject::Action(*action),
                        other => other.clone(),
                    };
                    due.contains(&action)
                }
                _ => false,
            };
            if is_due {
                due.insert(subject);
            } else if !subject.is_reading() {
                return Some(format!("{subject:?} was done ({why:?})"));
            }
        }
        (!record.new.is_empty()).then(|| format!("{} tasks were new", record.new.len()))
    }

    /// The record, if there is one that can be read.
    pub(crate) fn read(&self) -> Option<Record> {
        let bytes = self.file().read().ok()?;
        let (sealed, body) = bytes.strip_prefix(MAGIC)?.split_first_chunk::<32>()?;
        if Id::of(body).0 != *sealed {
            return None;
        }
        decode(body)
    }

    /// Writes the record, as a whole or not at all. One that is not kept costs explanations, not more.
    pub(crate) fn write(&self, record: &Record) {
        let body = encode(record);
        let bytes = [&MAGIC[..], &Id::of(&body).0, &body].concat();
        let is_new = self.file().lstat().is_err();
        let _ = self.file().replace(&bytes);
        if is_new {
            recent::drop_old(self.directory.dir(), MOST, MOST_BYTES);
        }
    }
}

fn encode(record: &Record) -> Vec<u8> {
    let mut e = Encoder::new();
    e.number(record.when);
    e.text(&record.command);
    record.targets.encode(&mut e);
    e.map(&record.configuration);
    e.bool(record.before.is_some());
    if let Some(before) = &record.before {
        e.map(before);
    }
    e.number(match record.ended {
        Ended::Well => 0,
        Ended::InAnalysis => 1,
        Ended::InExecution => 2,
    });
    e.number(record.analysed);
    let mut subjects = Subjects::default();
    e.number(record.done.len() as u64);
    for Done { subject, why } in &record.done {
        subjects.put(&mut e, subject);
        let tag = match why {
            Why::New => 0,
            Why::Always => 1,
            Why::Program => 2,
            Why::Changed => 3,
            Why::Lost => 4,
            Why::Read { .. } => 5,
            Why::Redefined { .. } => 6,
        };
        e.number(tag);
        match why {
            Why::Read { what, was, is } => {
                subjects.put(&mut e, what);
                for text in [was, is] {
                    e.bool(text.is_some());
                    if let Some(text) = text {
                        e.text(text);
                    }
                }
            }
            Why::Redefined { target, difference } => {
                subjects.put(&mut e, target);
                e.texts(difference);
            }
            _ => {}
        }
    }
    e.number(record.ran_anew);
    let mut new: Vec<&Fingerprint> = record.new.iter().collect();
    new.sort_unstable();
    e.number(new.len() as u64);
    // Four fingerprints have the size of an id.
    for four in new.chunks(4) {
        let mut id = Id([0; 32]);
        four.iter().enumerate().for_each(|(at, one)| id.0[at * 8..at * 8 + 8].copy_from_slice(&one[..]));
        e.id(&id);
    }
    let mut actions: Vec<(&Id, &How)> = record.actions.iter().collect();
    actions.sort_unstable_by_key(|(id, _)| id.0);
    e.number(actions.len() as u64);
    for (id, how) in actions {
        e.id(id);
        e.number(*how as u64);
    }
    e.finish()
}

fn decode(body: &[u8]) -> Option<Record> {
    let d = &mut Decoder::new(body);
    let (when, command) = (d.number()?, d.text()?);
    let (targets, configuration) = (Targets::decode(d)?, d.map()?);
    let before = if d.bool()? { Some(d.map()?) } else { None };
    let ended = match d.number()? {
        0 => Ended::Well,
        1 => Ended::InAnalysis,
        2 => Ended::InExecution,
        _ => return None,
    };
    let analysed = d.number()?;
    let mut subjects: Vec<Subject> = Vec::new();
    let mut done = Vec::new();
    for _ in 0..d.number()? {
        let subject = Subjects::get(&mut subjects, d)?;
        let why = match d.number()? {
            0 => Why::New,
            1 => Why::Always,
            2 => Why::Program,
            3 => Why::Changed,
            4 => Why::Lost,
            5 => {
                let what = Subjects::get(&mut subjects, d)?;
                let was = if d.bool()? { Some(d.text()?) } else { None };
                let is = if d.bool()? { Some(d.text()?) } else { None };
                Why::Read { what, was, is }
            }
            6 => {
                let target = Subjects::get(&mut subjects, d)?;
                Why::Redefined { target, difference: d.texts()? }
            }
            _ => return None,
        };
        done.push(Done { subject, why });
    }
    let ran_anew = d.number()?;
    let mut new = HashSet::new();
    let mut left = d.number()?;
    while left > 0 {
        let four = d.id()?.0;
        new.extend(four.as_chunks::<8>().0.iter().take(left.min(4) as usize));
        left -= left.min(4);
    }
    let mut actions = HashMap::new();
    for _ in 0..d.number()? {
        let id = d.id()?;
        let how = match d.number()? {
            0 => How::Ran,
            1 => How::Cached,
            2 => How::Failed,
            _ => return None,
        };
        actions.insert(id, how);
    }
    d.is_done().then_some(Record {
        when,
        command,
        targets,
        configuration,
        before,
        ended,
        analysed,
        done,
        new,
        ran_anew,
        actions,
    })
}

/// Subjects by number, written where they first occur: most are what something else had read.
#[derive(Default)]
struct Subjects<'r>(HashMap<&'r Subject, u64>);

impl<'r> Subjects<'r> {
    fn put(&mut self, e: &mut Encoder, subject: &'r Subject) {
        if let Some(number) = self.0.get(subject) {
            return e.number(number + 1);
        }
        e.number(0);
        subject.encode(e);
        self.0.insert(subject, self.0.len() as u64);
    }

    fn get(known: &mut Vec<Subject>, d: &mut Decoder<'_>) -> Option<Subject> {
        if let Some(number) = d.number()?.checked_sub(1) {
            return known.get(usize::try_from(number).ok()?).cloned();
        }
        let subject = Subject::decode(d)?;
        known.push(subject.clone());
        Some(subject)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_survives_as_bytes_and_damage_does_not_pass_for_one() {
        let target = Subject::Target { name: "[\"@\",\"\",\"\",\"t\"]".into(), config: "{}".into() };
        let entry = Subject::Entry { file: "/w/TARGETS".into(), name: "t".into() };
        let action = Id::of("a");
        let done = vec![
            Done { subject: Subject::File("/w/TARGETS".into()), why: Why::Changed },
            Done { subject: target.clone(), why: Why::Read { what: entry, was: None, is: Some("x".into()) } },
            Done {
                subject: Subject::Action(action),
                why: Why::Redefined { target, difference: vec!["its command".into()] },
            },
        ];
        let record = Record {
            when: 7,
            command: "build".into(),
            targets: taut_value::NamedTarget::new("", "", "t").into(),
            configuration: Map::default(),
            before: Some(Map::default()),
            ended: Ended::InExecution,
            analysed: 1,
            done,
            new: (0..5).map(|n| [n; 8]).collect(),
            ran_anew: 2,
            actions: [(action, How::Failed)].into(),
        };
        let bytes = encode(&record);
        assert_eq!(decode(&bytes).as_ref(), Some(&record));
        assert!((0..bytes.len()).all(|end| decode(&bytes[..end]).is_none()));
    }
}
