//! Grouping of diagnostics that are equal but for their chains, for example an error in a rule that occurs in each
//! target of the rule: shown once, with the list of targets.

use std::collections::HashMap;

use super::{Diagnostic, Diagnostics, Location, Note, Severity};

/// Diagnostics that differ only in their chains. There is at least one.
pub struct Group<'d> {
    /// The one that was found first.
    pub first: &'d Diagnostic,
    /// The others.
    pub others: Vec<&'d Diagnostic>,
}

type GroupKey<'d> = (Severity, &'d str, &'d Option<Location>, &'d [Note]);

impl<'d> Group<'d> {
    /// The groups of a set, in the order in which they were found. A diagnostic without location is a group of its own.
    pub fn all(diagnostics: &'d Diagnostics) -> Vec<Group<'d>> {
        let mut groups: Vec<Group<'d>> = Vec::new();
        let mut known: HashMap<GroupKey<'d>, usize> = HashMap::new();
        for diagnostic in diagnostics.iter() {
            let Diagnostic { severity, message, location, notes, .. } = diagnostic;
            let next = groups.len();
            let at = *known.entry((*severity, message, location, notes)).or_insert(next);
            // Without a location, equal messages may be about different things.
            if at < next && location.is_some() {
                groups[at].others.push(diagnostic);
            } else {
                groups.push(Group { first: diagnostic, others: Vec::new() });
            }
        }
        groups
    }
}
