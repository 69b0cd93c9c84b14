//! Grouping of diagnostics that differ only in their chains, for example an error in a rule that occurs in each target
//! of the rule: shown once, with the list of targets.

use std::collections::{HashMap, HashSet};

use super::{Diagnostic, Diagnostics, Location, Note, Severity};

/// Diagnostics that differ only in their chains. There is at least one.
pub struct Group<'d> {
    /// The one that was found first.
    pub first: &'d Diagnostic,
    /// The others.
    pub others: Vec<&'d Diagnostic>,
}

// Without suggestion and help: these follow from the message and its place.
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

    /// If more than three groups report the same about different things, only the first, with the number of the others.
    pub fn without_alike(groups: Vec<Group<'d>>) -> Vec<(Group<'d>, usize)> {
        let shapes: Vec<String> = groups.iter().map(|group| shape(&group.first.message)).collect();
        let mut count: HashMap<&str, usize> = HashMap::new();
        for shape in &shapes {
            *count.entry(shape).or_default() += 1;
        }
        let mut seen: HashSet<&str> = HashSet::new();
        let mut kept = Vec::new();
        for (group, shape) in groups.into_iter().zip(&shapes) {
            match count[shape.as_str()] {
                1..=MAX_SIMILAR_GROUPS => kept.push((group, 0)),
                all if seen.insert(shape) => kept.push((group, all - 1)),
                _ => {}
            }
        }
        kept
    }
}

/// How many groups that say the same of different things are shown one by one.
const MAX_SIMILAR_GROUPS: usize = 3;

/// A message without what it is about: quoted texts, and names as JSON lists.
fn shape(message: &str) -> String {
    let mut shape = String::new();
    // Read character by character: a message is not JSON, only what it quotes is.
    let (mut depth, mut is_quoted, mut is_escaped) = (0usize, false, false);
    for c in message.chars() {
        match c {
            _ if std::mem::take(&mut is_escaped) => {}
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            c if depth == 0 => shape.push(c),
            _ => {}
        }
    }
    shape
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_that_say_the_same_of_different_things_the_first_is_kept() {
        let message = |n: usize| format!(r#"["@","m","a]\"",{n}] has no "x{n}""#);
        let shown = |number: usize| {
            let all: Diagnostics = (0..number)
                .map(|n| Diagnostic::warning(message(n)))
                .chain([Diagnostic::warning("another"), Diagnostic::warning("one more")])
                .collect();
            let kept = Group::without_alike(Group::all(&all));
            kept.into_iter().map(|(group, more)| (group.first.message.clone(), more)).collect::<Vec<_>>()
        };
        let rest = [("another".to_owned(), 0), ("one more".to_owned(), 0)];
        let few = [(message(0), 0), (message(1), 0), (message(2), 0)];
        assert_eq!(shown(3), [&few[..], &rest].concat());
        assert_eq!(shown(200), [&[(message(0), 199)][..], &rest].concat());
    }
}
