//! Why a server that executes actions had no result of one: what differs from the nearest run that this build root
//! knows of.
//!
//! Earlier runs are found in the event logs of all checkouts that use the build root, by their outputs. What an action
//! was, the server has, or the store.

use std::collections::{HashMap, HashSet};

use taut_digest::{Digest, HashFunction};
use taut_exec::{CommandPart, Difference, Missed, Nearest, command_parts, differences, nearest_executed};
use taut_value::{EntityName, Id, Str};

use super::missed::bare;
use super::{Explainer, MAX_SHOWN, many, time_since};
use crate::history::{ActionEnd, EarlierRun, Logged, RecordedReason, Subject};
use crate::targets::joined_first;

/// How many earlier runs an action is compared with.
// Each comparison may fetch directories from a server.
const MAX_COMPARED: usize = 8;

impl Explainer<'_> {
    /// Writes what is known in place of the result of an action that the server which executed it did not have.
    pub(super) fn missed_at_server(&mut self, id: &Id, missed: &Missed, logged: &Logged) {
        let Some(server) = logged.executed_by.as_deref().map(without_worker) else { return };
        let had = match missed.is_incomplete {
            true => {
                format!("  Server {server} had a result of it that could not be used: not all of it is there")
            }
            false => format!("  Server {server} had no result of it"),
        };
        let why = self.why(&Subject::Action(*id));
        // Where something that changed is named, the runs before the change are not an answer.
        let is_unexplained = matches!(why, None | Some(RecordedReason::New | RecordedReason::Settings));
        let earlier = self.earlier().get(&logged.outs).map(Vec::as_slice).unwrap_or_default().to_vec();
        // First what needs no server: equal digests of the `Action` messages mean the same action.
        if let Some(same) = earlier.iter().find(|run| run.logged.inputs == logged.inputs) {
            let run = self.run_in_words(same);
            return self.say(match same.logged.executed_by.as_deref().map(without_worker) {
                Some(other) if other == server && missed.is_incomplete => format!("{had}, of {run}."),
                Some(other) if other == server => {
                    format!("{had}, though it executed the same action for {run}: it has removed the result.")
                }
                Some(other) => format!("{had}. Server {other} had one, or executed the same action, for {run}."),
                None => format!("{had}. The same action was built on this machine by {run}; servers have results of their own."),
            });
        }
        let is_comparable =
            |run: &&EarlierRun| run.logged.executed_by.is_some() && (is_unexplained || !run.is_of_workspace);
        let comparable: Vec<&EarlierRun> = earlier.iter().filter(is_comparable).take(MAX_COMPARED).collect();
        let mut best: Option<(Vec<Difference>, Option<&EarlierRun>)> = None;
        let mut unknown = None;
        for run in &comparable {
            let Some(there) = &run.logged.missed else { continue };
            match differences(self.from.store, missed, there) {
                // Of equally near ones the first stays, which is the latest.
                Ok(Some(found)) if best.as_ref().is_none_or(|(best, _)| found.len() < best.len()) => {
                    best = Some((found, Some(*run)));
                }
                Ok(_) => {}
                // Kept for the case that nothing else is found: one server that does not answer hides no other
                // finding.
                Err(why) => drop(unknown.get_or_insert(why.to_string())),
            }
        }
        // What the server has executed for other machines, as their builds have reported in the standard protocol.
        let service = self.from.servers.iter().find(|service| service.name == server);
        if let Some(service) = service.filter(|_| self.from.store.hash_function() == HashFunction::Sha256) {
            let is_of_workspace = |run: &&EarlierRun| run.is_of_workspace && !is_unexplained;
            let own = earlier.iter().filter(is_of_workspace).filter_map(|run| run.logged.missed);
            let own: Vec<Digest> = own.map(|missed| missed.action.digest).collect();
            match nearest_executed(service, self.from.store, missed, &own) {
                Ok(Some(Nearest { differences: Some(found), .. }))
                    if best.as_ref().is_none_or(|(best, _)| found.len() < best.len()) =>
                {
                    best = Some((found, None));
                }
                Ok(_) => {}
                Err(why) => drop(unknown.get_or_insert(why)),
            }
        }
        let Some((found, nearest)) = best else {
            // Without the server that has them, other runs can still be compared.
            let may_compare = !comparable.is_empty() && self.from.store.object_servers().next().is_none();
            self.nothing_to_compare(&had, server, &comparable, earlier.is_empty(), unknown);
            if is_unexplained && !may_compare {
                self.lacked(logged, missed, server);
            }
            return;
        };
        let of = match nearest {
            Some(run) => format!("the nearest one that is known here, that of {}", self.run_in_words(run)),
            None => "the nearest one that it executed for another build".to_owned(),
        };
        self.say(format!("{had}. It differs from {of}:"));
        let other = nearest.and_then(|run| run.logged.executed_by.as_deref()).map(without_worker);
        if let Some(other) = other.filter(|other| *other != server) {
            self.say(format!("    - the server is {server} here, {other} there"));
        }
        self.differences(&found);
    }

    /// Writes that nothing was found that an action could be compared with, and why.
    fn nothing_to_compare(
        &mut self,
        had: &str,
        server: &str,
        comparable: &[&EarlierRun],
        is_first: bool,
        unknown: Option<String>,
    ) {
        let asked: Vec<&str> = self.from.store.object_servers().collect();
        let text = match (unknown, comparable.first()) {
            (Some(why), _) => format!("{had}. Why is not known: {why}."),
            (None, None) if is_first && asked.is_empty() => {
                format!("{had}; with -r ADDRESS, it is asked for others.")
            }
            (None, None) if is_first => {
                format!("{had}, and no earlier build with this build root made these outputs.")
            }
            (None, None) => format!("{had}."),
            (None, Some(latest)) => {
                let run = self.run_in_words(latest);
                let of = latest.logged.executed_by.as_deref().map_or(server, without_worker);
                match asked.is_empty() {
                    true => format!("{had}; -r ADDRESS compares it with that of {run}."),
                    false if asked.contains(&of) => {
                        format!(
                            "{had}. Why is not known: what the action was, then or before, is no longer there."
                        )
                    }
                    false => {
                        format!(
                            "{had}. Server {of}, which this call does not name, has what it was for {run}."
                        )
                    }
                }
            }
        };
        self.say(text);
    }

    /// Writes what a server did not have of an action before the build, in place of differences.
    fn lacked(&mut self, logged: &Logged, missed: &Missed, server: &str) {
        let Some(lacked) = &logged.lacked else { return };
        let made = self.executed_inputs(logged);
        if !lacked.command && lacked.inputs.is_empty() && made.is_empty() {
            return self.say(
                "  It had the command and all inputs before: the inputs were at other paths or not together, or the \
                 time limit was another one.",
            );
        }
        self.say("  New to that server:");
        if lacked.command {
            let service = self.from.servers.iter().find(|service| service.name == server);
            let parts = service.and_then(|service| command_parts(self.from.store, &*service.cas, missed));
            self.say(format!("    - the command{}", parts.map_or(String::new(), command_in_words)));
        }
        for path in &lacked.inputs {
            self.say(format!("    - the input {}", bare(path)));
        }
        if lacked.has_more {
            self.say("    - more inputs");
        }
        for action in made {
            self.say(format!("    - perhaps what {action} made, which was executed in this build, too"));
        }
    }

    /// The actions, in words, that made inputs of another one, and that a server executed in the same build.
    fn executed_inputs(&self, logged: &Logged) -> Vec<String> {
        let is_executed = |id: &&Id| {
            let has_run = self.record.actions.get(id) == Some(&ActionEnd::Ran);
            has_run && self.record.named.get(id).is_some_and(|of| of.missed.is_some())
        };
        let executed: Vec<&Id> = logged.needs.iter().filter(is_executed).collect();
        let mut made: Vec<String> = executed.iter().take(MAX_SHOWN).map(|id| self.action_words(id)).collect();
        made.sort_unstable();
        if executed.len() > MAX_SHOWN {
            made.push(many(executed.len() - MAX_SHOWN, "more action"));
        }
        made
    }

    /// Earlier runs of what servers had no result of.
    fn earlier(&self) -> &HashMap<Vec<Str>, Vec<EarlierRun>> {
        self.earlier.get_or_init(|| {
            let missed = self.record.named.values().filter(|logged| logged.missed.is_some());
            let outs: HashSet<&[Str]> =
                missed.filter(|logged| logged.executed_by.is_some()).map(|logged| &logged.outs[..]).collect();
            self.from.logs.runs_before(self.record.began, &outs)
        })
    }

    /// The call that an earlier run is of, in words.
    fn run_in_words(&self, run: &EarlierRun) -> String {
        let targets =
            joined_first(run.targets.iter().map(|target| EntityName::Named(target.clone()).to_json()));
        let of = if run.is_of_workspace { "" } else { " in another checkout" };
        format!("{} {targets}{of}, {}", run.command, time_since(run.when))
    }
}

/// What is new of a command, behind its name: a variable or property without which it is known, else all that it may
/// be.
fn command_in_words(parts: Vec<(CommandPart, bool)>) -> String {
    let named = |part: &CommandPart| match part {
        CommandPart::Variable(name) => format!("the variable {}", bare(name)),
        CommandPart::Property(name) => format!("the property {}", bare(name)),
    };
    let known: Vec<String> =
        parts.iter().filter(|(_, is_known)| *is_known).map(|(part, _)| named(part)).collect();
    if !known.is_empty() {
        return format!(": it had the same one without {}", known.join(" or "));
    }
    let mut all = vec!["its words".to_owned(), "outputs".to_owned()];
    all.extend(parts.iter().take(MAX_SHOWN).map(|(part, _)| named(part)));
    let last = if parts.len() > MAX_SHOWN {
        "more variables and properties".to_owned()
    } else {
        all.pop().unwrap_or_default()
    };
    format!(": {} or {last}", all.join(", "))
}

/// A server, of what the log says of it.
pub(super) fn without_worker(executed_by: &str) -> &str {
    // The worker is in brackets behind the server (`RunResult::executed_by`).
    executed_by.split_once(" (").map_or(executed_by, |(server, _)| server)
}
