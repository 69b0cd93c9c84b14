//! What a whole build did, by what had changed: the answer to `explain` without words.

use std::collections::{BTreeMap, HashMap};

use taut_value::{EntityName, NamedTarget};

use super::{Explainer, MAX_SHOWN, Rank, words::many};
use crate::history::{RecordedReason, Subject};

impl Explainer<'_> {
    /// Writes for each source that changed what was done because of that. Returns `false`, and writes nothing, if
    /// something was done for another reason.
    pub(super) fn all_by_changes(&mut self) -> bool {
        let Some(sources) = self.sources_behind_all() else { return false };
        let most = if self.is_verbose { usize::MAX } else { MAX_SHOWN };
        for (at, source) in sources.iter().take(most).enumerate() {
            if at > 0 {
                self.say("");
            }
            self.because_of(source);
        }
        if sources.len() > most {
            let more = many(sources.len() - most, "more change");
            self.say(format!("\nAnd {more}: -v shows which."));
        }
        true
    }

    /// Whether anything was done for a target that was asked for: analysed, or an action of it run or looked up.
    pub(super) fn had_work(&self, target: &NamedTarget) -> bool {
        let json = EntityName::Named(target.clone()).to_json();
        let is_target =
            |subject: &Subject| matches!(subject, Subject::Target { name, .. } if **name == *json);
        self.record.done.iter().any(|done| is_target(&done.subject))
            || self.record.actions_of(&json).any(|id| self.rank(&id) != Rank::Replayed)
    }

    /// The sources that changed and that everything done leads to, in the order of their names; `None` if something
    /// does not lead to one.
    fn sources_behind_all(&self) -> Option<Vec<Subject>> {
        // Chains share links: where one leads is followed once, else this would be quadratic.
        let mut ends: HashMap<Subject, Subject> = HashMap::new();
        // By name, since the order in a log is that in which threads came to them.
        let mut sources: BTreeMap<String, Subject> = BTreeMap::new();
        let work = self.record.done.iter().map(|done| &done.subject);
        for subject in work.filter(|subject| !subject.is_reading()) {
            let (mut at, mut links) = (subject.clone(), Vec::new());
            let end = loop {
                if let Some(end) = ends.get(&at) {
                    break end.clone();
                }
                // Ends a cycle of links, until the answer is known.
                ends.insert(at.clone(), at.clone());
                let next = self.next(&at);
                links.push(at.clone());
                match next {
                    Some(next) => at = next,
                    None => break at,
                }
            };
            ends.extend(links.into_iter().map(|link| (link, end.clone())));
            let has_changed = match end {
                // Recorded only as what others read.
                Subject::Entry { .. } => true,
                Subject::Source(_) | Subject::File(_) | Subject::Directory(_) => {
                    self.why(&end) == Some(RecordedReason::Changed)
                }
                _ => false,
            };
            if !has_changed {
                return None;
            }
            sources.entry(self.words(&end)).or_insert(end);
        }
        (!sources.is_empty()).then(|| sources.into_values().collect())
    }
}
