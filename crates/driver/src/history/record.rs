//! A call that had work to do, as read from its event log: what it executed, and why.
//!
//! Tasks are texts ([`Subject`]), not keys of the engine, so that a log can be read without the engine, by another
//! version of the program, and after the description changed.

use std::collections::{HashMap, HashSet};

use taut_exec::{Lacked, Missed};
use taut_value::{Id, Map, Str};

use super::Subject;
use crate::Targets;

/// Why something was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum RecordedReason {
    /// It was never done before.
    New,
    /// It is done in every build.
    Always,
    /// The settings of execution (launcher, timeout, properties) changed; or objects may have been collected.
    Settings,
    /// Another version of this program does it differently.
    Program,
    /// It is a leaf, and what it reads outside of the engine has changed.
    Changed,
    /// The result is known, but no longer stored.
    Lost,
    /// It had read something that is different now.
    Read {
        /// What it had read.
        what: Subject,
        /// The object that it was, if that is known.
        was: Option<Str>,
        /// The object that it is, if it is one.
        is: Option<Str>,
    },
    /// An action that a target defines in place of another one, and how they differ.
    Redefined {
        /// The target.
        target: Subject,
        /// How they differ, in lines.
        difference: Vec<Str>,
    },
}

impl RecordedReason {
    /// The reason, by the words of event logs.
    fn in_words(&self) -> String {
        match self {
            RecordedReason::New => "new".to_owned(),
            RecordedReason::Always => "always".to_owned(),
            RecordedReason::Settings => "settings".to_owned(),
            RecordedReason::Program => "program".to_owned(),
            RecordedReason::Changed => "changed".to_owned(),
            RecordedReason::Lost => "lost".to_owned(),
            RecordedReason::Read { what, .. } => format!("{} changed", what.in_words()),
            RecordedReason::Redefined { target, .. } => {
                format!("{} defines it differently", target.in_words())
            }
        }
    }
}

/// How an action ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ActionEnd {
    /// Its command was run.
    Ran,
    /// Another run of the same command on the same contents was known.
    Cached,
    /// A run of the same command was known that read the same of other inputs.
    Unread,
    /// Its command was run, and failed.
    Failed,
    /// Its command ran when the call was interrupted.
    Unfinished,
}

/// How a build ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum BuildEnd {
    /// Everything that was requested is there.
    Well,
    /// The description is wrong.
    InAnalysis,
    /// An action failed, or something else that is not a matter of the description.
    InExecution,
    /// A signal ended it.
    Interrupted,
}

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct RecordedTask {
    pub(crate) subject: Subject,
    pub(crate) why: RecordedReason,
}

/// What a log has of an action besides its end.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Logged {
    /// A target that defines it, by its name as JSON, and the action's number there.
    pub(crate) origin: Option<(Str, u64)>,
    /// What it made.
    pub(crate) outs: Vec<Str>,
    /// The actions that it takes outputs of.
    pub(crate) needs: Vec<Id>,
    /// How a server knows it that had no result: a remote cache, or the one that executed it.
    pub(crate) missed: Option<Missed>,
    /// What that server did not have of it before, if it executed it.
    pub(crate) lacked: Option<Lacked>,
    /// The server that executed it, or had its result, with its worker if it says that.
    pub(crate) executed_by: Option<Str>,
    /// The remote cache that had its result.
    pub(crate) cache: Option<Str>,
    /// Whether its result came from a server, in place of the action cache of the build root.
    pub(crate) is_from_server: bool,
    /// The digest of its `Action` message.
    pub(crate) inputs: Option<Str>,
}

/// A run of an action with certain outputs that a log of the build root has, of this checkout or another one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct EarlierRun {
    /// The call: seconds since 1970, subcommand and targets.
    pub(crate) when: u64,
    pub(crate) command: Str,
    pub(crate) targets: Targets,
    /// Whether it was a call for the same repositories.
    pub(crate) is_of_workspace: bool,
    /// What the log has of the action.
    pub(crate) logged: Logged,
}

/// A call that had work to do.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Record {
    /// Seconds since 1970.
    pub(crate) when: u64,
    /// The same in microseconds.
    pub(crate) began: u64,
    /// The subcommand.
    pub(crate) command: Str,
    pub(crate) targets: Targets,
    pub(crate) configuration: Map,
    /// The configuration of the call with work to do before, if that was another one.
    pub(crate) before: Option<Map>,
    pub(crate) ended: BuildEnd,
    /// How many targets were analysed.
    pub(crate) analysed: u64,
    /// The roots that were computed: which one it is, from what, and how many actions were run.
    pub(crate) roots: Vec<(Str, Str, u64)>,
    /// What was done.
    pub(crate) done: Vec<RecordedTask>,
    /// How actions ended.
    pub(crate) actions: HashMap<Id, ActionEnd>,
    /// All actions that the log names: those with lines, and those that took part with no need to be looked at.
    pub(crate) named: HashMap<Id, Logged>,
    /// How many lines were left out of the log, since it would be too long.
    pub(crate) left_out: u64,
}

impl Record {
    /// How many actions ended like this.
    pub(crate) fn count(&self, how: ActionEnd) -> usize {
        self.actions.values().filter(|known| **known == how).count()
    }

    /// Adds what other logs have of the actions that took part and have no line: an id always identifies the same
    /// definition. Returns whether all of them are known.
    pub(crate) fn name_up_to_date(&mut self, known: &HashMap<Id, Logged>) -> bool {
        let unnamed = |(id, logged): (&Id, &Logged)| logged.origin.is_none().then_some(*id);
        let mut pending: Vec<Id> = self.named.iter().filter_map(unnamed).collect();
        // The walk goes on after a miss, since what else is known is of use.
        let mut are_all_known = true;
        while let Some(id) = pending.pop() {
            let Some(logged) = known.get(&id) else {
                are_all_known = false;
                continue;
            };
            let is_new = |id: &Id| !self.named.contains_key(id);
            let below: Vec<Id> = logged.needs.iter().copied().filter(is_new).collect();
            // Named before they are looked up: an action that no log knows still counts as part of the build.
            self.named.extend(below.iter().map(|id| (*id, Logged::default())));
            self.named.insert(id, logged.clone());
            pending.extend(below);
        }
        are_all_known
    }

    /// The actions that the log names as those of a target, which is named by JSON.
    pub(crate) fn actions_of(&self, target: &str) -> impl Iterator<Item = Id> {
        let is_of = move |logged: &Logged| logged.origin.as_ref().is_some_and(|(of, _)| &**of == target);
        self.named.iter().filter(move |(_, logged)| is_of(logged)).map(|(id, _)| *id)
    }

    /// Whether it has something that a repetition had no need to do, and what: everything but what runs each time, and
    /// what follows from that.
    pub(crate) fn excess(&self) -> Option<String> {
        // What follows from a task that is due in each build is due as well.
        let mut due: HashSet<&Subject> = HashSet::new();
        for RecordedTask { subject, why } in &self.done {
            // Other settings invalidate the context that all actions read, so they are not a sign of a
            // lost record.
            let is_due = match why {
                RecordedReason::Always | RecordedReason::Settings => true,
                RecordedReason::Read { what, .. } => {
                    let action = match what {
                        Subject::Output { action, .. } => Subject::Action(*action),
                        other => other.clone(),
                    };
                    // Causes come in the order of execution, so what a task read was judged before it.
                    due.contains(&action)
                }
                _ => false,
            };
            if is_due {
                due.insert(subject);
            } else if !subject.is_reading() {
                return Some(format!("{} ({})", subject.in_words(), why.in_words()));
            }
        }
        None
    }
}
