//! How long actions took in earlier calls, and which of them need which: what an estimate of a build's rest is made of.
//!
//! Read from the event logs of a workspace, latest first, within bounds: an estimate is worth some milliseconds, not
//! more. Nothing but the display of progress reads this.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use taut_syntax::json::{Document, Node};
use taut_value::{Id, Str};

use super::EventLogs;
use super::tasks::id_of;

/// How many logs are read at most.
const MAX_LOGS: usize = 8;

/// How many bytes of all of them together.
const MAX_TOTAL_BYTES: u64 = 16 << 20;

/// What earlier calls have recorded of actions.
#[derive(Debug, Default)]
pub struct Timings {
    /// By action.
    wall: HashMap<Id, Duration>,
    /// By target and number there, for actions that are defined differently now.
    by_origin: HashMap<Str, Duration>,
    /// The actions that take outputs of an action.
    needed_by: HashMap<Id, Vec<Id>>,
}

impl Timings {
    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.wall.is_empty() && self.by_origin.is_empty()
    }

    /// How long an action took when it last ran. `origin`: a target that defines it, and its number there.
    pub fn of(&self, action: &Id, origin: Option<&str>) -> Option<Duration> {
        self.wall.get(action).or_else(|| self.by_origin.get(origin?)).copied()
    }

    /// The actions that need outputs of these, directly or through others; without these.
    pub fn dependents(&self, of: impl IntoIterator<Item = Id>) -> HashSet<Id> {
        let roots: HashSet<Id> = of.into_iter().collect();
        let mut pending: Vec<Id> = roots.iter().copied().collect();
        let mut found = HashSet::new();
        while let Some(action) = pending.pop() {
            for dependent in self.needed_by.get(&action).into_iter().flatten() {
                if !roots.contains(dependent) && found.insert(*dependent) {
                    pending.push(*dependent);
                }
            }
        }
        found
    }

    /// Adds the durations in one log, for actions without a known duration.
    pub fn add(&mut self, log: &[u8]) {
        for line in log.split(|byte| *byte == b'\n') {
            // Parsing every line would cost most of the time, and the writer puts the event first
            // (`Line::begin`).
            if !line.starts_with(br#"{"event":"action","#) {
                continue;
            }
            if let Ok(document) = Document::parse("log", line.to_vec()) {
                self.add_action(document.root());
            }
        }
    }

    fn add_action(&mut self, line: Node<'_>) -> Option<()> {
        let id = line.get("action").and_then(id_of)?;
        if line.get("end")?.as_str()? == "ran" {
            let wall = Duration::try_from_secs_f64(line.get("wall")?.as_number()?).ok()?;
            // Logs are read latest first, so the first time that is found is the latest.
            self.wall.entry(id).or_insert(wall);
            if let Some(origin) = line.get("origin").and_then(Node::as_str) {
                self.by_origin.entry(origin.into()).or_insert(wall);
            }
        }
        // Also of actions that did not run: what they need is the same.
        for needed in line.get("needs")?.as_list()?.filter_map(id_of) {
            let dependents = self.needed_by.entry(needed).or_default();
            // A linear search: few actions are needed by more than a handful of others.
            if !dependents.contains(&id) {
                dependents.push(id);
            }
        }
        Some(())
    }
}

impl EventLogs {
    /// What earlier calls tell of how long actions take.
    pub fn timings(&self) -> Timings {
        let mut timings = Timings::default();
        let mut left = MAX_TOTAL_BYTES;
        for name in self.work().take(MAX_LOGS) {
            if left == 0 {
                break;
            }
            // What is cut off at the limit ends in a line that does not parse, and is passed over.
            let Some(log) = self.directory.read(&name, left) else { continue };
            left = left.saturating_sub(log.len() as u64);
            timings.add(&log);
        }
        timings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(action: &str, rest: &str) -> String {
        format!("{{\"event\":\"action\",\"at\":1,\"action\":\"{}\",{rest}}}\n", Id::of(action).to_hex())
    }

    #[test]
    fn the_latest_log_counts_and_dependents_are_transitive() {
        let needs = |of: &str| Id::of(of).to_hex();
        let latest = line("a", r#""origin":"t#0","end":"ran","needs":[],"wall":2.5"#)
            + &line("b", &format!(r#""end":"cached","needs":["{}"]"#, needs("a")))
            + &line("c", &format!(r#""end":"ran","needs":["{}"],"wall":1"#, needs("b")))
            + "{\"event\":\"action\",\"cut";
        let earlier = line("a", r#""end":"ran","needs":[],"wall":7"#);
        let mut timings = Timings::default();
        timings.add(latest.as_bytes());
        timings.add(earlier.as_bytes());
        assert_eq!(timings.of(&Id::of("a"), None), Some(Duration::from_millis(2500)));
        assert_eq!(timings.of(&Id::of("x"), Some("t#0")), Some(Duration::from_millis(2500)));
        assert_eq!(timings.of(&Id::of("b"), None), None);
        let dependents = timings.dependents([Id::of("a")]);
        assert_eq!(dependents, [Id::of("b"), Id::of("c")].into());
    }
}
