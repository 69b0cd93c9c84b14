//! Diagnostics that say the same in several contexts, for example a mistake in a rule in each target
//! that uses it: shown once, with the list of contexts.

use std::collections::HashMap;

use super::{Diagnostic, Diagnostics, Location, Note, Severity};

/// Diagnostics that differ only in the way that led to them. There is at least one.
pub struct Group<'d> {
    /// The one that was found first.
    pub first: &'d Diagnostic,
    /// The others.
    pub others: Vec<&'d Diagnostic>,
}

type Sameness<'d> = (Severity, &'d str, &'d Option<Location>, &'d [Note]);

impl<'d> Group<'d> {
    /// The problems of a set by what they say, in the order in which they were found. What has no place
    /// in a file is a group of its own.
    pub fn all(diagnostics: &'d Diagnostics) -> Vec<Group<'d>> {
        let mut groups: Vec<Group<'d>> = Vec::new();
        let mut known: HashMap<Sameness<'d>, usize> = HashMap::new();
        for diagnostic in diagnostics.iter() {
            let Diagnostic { severity, message, location, notes, .. } = diagnostic;
            let next = groups.len();
            let at = *known.entry((*severity, message, location, notes)).or_insert(next);
            if at < next && location.is_some() {
                groups[at].others.push(diagnostic);
            } else {
                groups.push(Group { first: diagnostic, others: Vec::new() });
            }
        }
        groups
    }
}
