//! Chains of reasons: from a task that was executed down to what had changed, one reason a line.

use std::collections::{BTreeSet, HashSet};
use std::fmt::Write as _;

use taut_value::{Map, Value};

use super::{Explainer, words::short_ids};
use crate::history::{RecordedReason, Subject};

/// How many links of a chain are shown at most.
const MAX_SHOWN_LINKS: usize = 24;

impl Explainer<'_> {
    /// From something that was done down to what had changed; each with why it was done, if it was.
    fn follow(&self, subject: &Subject) -> Vec<(Subject, Option<RecordedReason>)> {
        let (mut links, mut seen) = (Vec::new(), HashSet::new());
        let mut next = Some(subject.clone());
        // A log may be damaged, or of a build whose steps were repeated: its links can form a cycle.
        while let Some(subject) = next.take().filter(|subject| seen.insert(subject.clone())) {
            next = self.next(&subject);
            let why = self.why(&of_action(&subject));
            links.push((subject, why));
        }
        links
    }

    /// What came before something in a chain.
    pub(super) fn next(&self, subject: &Subject) -> Option<Subject> {
        match *self.done.get(&of_action(subject))? {
            RecordedReason::Read { what, .. } => Some(what.clone()),
            RecordedReason::Redefined { target, .. } => Some(target.clone()),
            // Tests are not in the engine's records, so the chain goes on with what they read.
            RecordedReason::New => self.input_of_test(subject),
            _ => None,
        }
    }

    /// The first input of a test that was run which had been done again, too.
    fn input_of_test(&self, test: &Subject) -> Option<Subject> {
        let Subject::Action(id) = of_action(test) else { return None };
        let action = self.defined.get(&id).filter(|_| self.tests.contains(&id))?.action;
        let artifacts = action.inputs.iter().filter_map(|(_, value)| value.as_artifact());
        let mut inputs = artifacts.map(|artifact| Subject::of_artifact(artifact, self.repositories));
        inputs.find(|input| self.why(&of_action(input)).is_some_and(|why| why != RecordedReason::New))
    }

    /// Whether there is no reason to show: it was done for the first time.
    pub(super) fn is_first(&self, subject: &Subject) -> bool {
        let has_reason = matches!(subject, Subject::Target { .. }) && self.record.before.is_some();
        let is_test = matches!(subject, Subject::Action(id) if self.tests.contains(id));
        self.why(&of_action(subject)) == Some(RecordedReason::New) && !has_reason && !is_test
    }

    /// Says that something was done, and why: each line is the reason for the one above.
    pub(super) fn done_since(&mut self, done: &str, subject: &Subject) {
        match self.is_first(subject) {
            true => self.say(format!("{done}: no earlier run of it is recorded.")),
            false => {
                self.say(format!("{done}:"));
                self.chain(subject);
            }
        }
    }

    /// Explains why something was done.
    pub(super) fn chain(&mut self, subject: &Subject) {
        let mut lines: Vec<String> = Vec::new();
        let mut changed: Option<String> = None;
        for (subject, why) in self.follow(subject) {
            if let Some(changed) = changed.take() {
                lines.push(format!("since {} {changed}", self.words(&subject)));
            }
            match why {
                Some(RecordedReason::New) if matches!(&subject, Subject::Action(id) if self.tests.contains(id)) => {
                    match self.input_of_test(&subject) {
                        Some(Subject::Output { .. }) => changed = Some("was made again".to_owned()),
                        Some(_) => changed = Some("changed".to_owned()),
                        None => lines.push("since it is not known to pass with these inputs".to_owned()),
                    }
                }
                Some(RecordedReason::New) => {
                    if let (Subject::Target { .. }, Some(before)) = (&subject, &self.record.before) {
                        lines.push(differing_variables(before, &self.record.configuration));
                    }
                }
                Some(RecordedReason::Always) => {
                    lines.push("since it runs each time: it may fail, or is not to be cached".into())
                }
                Some(RecordedReason::Settings) => lines.push(
                    "since it is run with other settings, or objects were collected since: its result was looked up".into(),
                ),
                Some(RecordedReason::Program) => {
                    lines.push("since taut itself changed".into())
                }
                Some(RecordedReason::Lost) => {
                    lines.push("since its result, though known to be the same, is no longer stored".into());
                }
                Some(RecordedReason::Changed) | None => {}
                Some(RecordedReason::Read { what, was, is }) => {
                    let verb = match &what {
                        Subject::Target { .. } => "came out differently",
                        Subject::Output { .. } | Subject::Tree(_) | Subject::Inputs(_) => "differs",
                        Subject::Rule(_) | Subject::Expression(_) => "is defined differently",
                        _ => "changed",
                    };
                    changed = Some(match (was, is) {
                        (Some(was), Some(is)) => format!("{verb}: {} before, now {}", short_ids(&was), short_ids(&is)),
                        (None, Some(is)) => format!("{verb}: it is {} now", short_ids(&is)),
                        _ => verb.to_owned(),
                    });
                }
                Some(RecordedReason::Redefined { difference, .. }) => {
                    lines.extend(difference.iter().map(|line| format!("- {line}")));
                    changed = Some("defines it differently".to_owned());
                }
            }
        }
        let left_out = lines.len().saturating_sub(MAX_SHOWN_LINKS);
        // A line that says so takes one line itself.
        if left_out > 1 {
            // Beginning and end are kept: what was asked about, and what was changed.
            let half = MAX_SHOWN_LINKS / 2;
            lines.splice(half..half + left_out, [format!("… {left_out} more reasons of that kind …")]);
        }
        let mut depth = 0;
        for line in lines {
            // What differs belongs to the line above it.
            let indent = if line.starts_with('-') {
                depth + 1
            } else {
                depth += 1;
                depth
            };
            let indent = "  ".repeat(indent.min(12));
            self.say(format!("{indent}{}", line.replace('\n', &format!("\n{indent}"))));
        }
    }
}

/// An output is as its action is.
fn of_action(subject: &Subject) -> Subject {
    match subject {
        Subject::Output { action, .. } => Subject::Action(*action),
        other => other.clone(),
    }
}

/// How two configurations differ.
fn differing_variables(was: &Map, is: &Map) -> String {
    let mut text =
        String::from("since no run in this configuration is recorded; the build before had another one:");
    let names: BTreeSet<&str> = was.iter().chain(is.iter()).map(|(name, _)| name.as_str()).collect();
    let shown = |map: &Map, name: &str| map.get(name).map_or_else(|| "unset".to_owned(), Value::to_json);
    for name in names.into_iter().filter(|name| was.get(name) != is.get(name)) {
        let _ = write!(text, "\n  {name} was {}, now it is {}", shown(was, name), shown(is, name));
    }
    text
}
