//! Roots that need themselves: each computed root and each tree structure needs the root of one other repository.

use std::collections::{BTreeMap, BTreeSet};

use taut_syntax::{Diagnostic, Location, Note, quoted};

use crate::source::SourceOf;

/// The roots of a set-up that can never be there.
pub(crate) struct EndlessRoots<'t> {
    /// The repositories whose roots are, or lead to, one that needs itself.
    names: BTreeSet<&'t str>,
    /// Those that need themselves: from each name the next one leads to, the last one to the first. Each begins with
    /// its first name, and they are in the order of these.
    cycles: Vec<Vec<&'t str>>,
    places: BTreeMap<&'t str, Location>,
}

impl<'t> EndlessRoots<'t> {
    /// The cycles among some repositories, with what each is made from.
    pub(crate) fn of(
        repositories: impl Iterator<Item = (&'t str, &'t SourceOf<'t>)> + Clone,
    ) -> EndlessRoots<'t> {
        let needs: BTreeMap<&str, &str> =
            repositories.clone().filter_map(|(name, of)| Some((name, of.source.referenced()?))).collect();
        let mut found = EndlessRoots { names: BTreeSet::new(), cycles: Vec::new(), places: BTreeMap::new() };
        // What does not lead to a cycle: each name is walked over once, however long the chains are.
        let mut ending: BTreeSet<&str> = BTreeSet::new();
        for first in needs.keys().copied() {
            let (mut path, mut on_path) = (Vec::new(), BTreeMap::new());
            let mut at = first;
            let is_endless = loop {
                // A root that is left out, or is not a root of a root, needs nothing.
                let Some((&name, &next)) = needs.get_key_value(at).filter(|_| !ending.contains(at)) else {
                    break false;
                };
                if found.names.contains(name) {
                    break true;
                }
                if let Some(begin) = on_path.insert(name, path.len()) {
                    found.cycles.push(from_first(path[begin..].to_vec()));
                    break true;
                }
                path.push(name);
                at = next;
            };
            match is_endless {
                true => found.names.extend(path),
                false => ending.extend(path),
            }
        }
        found.cycles.sort();
        let endless = repositories.filter(|(name, _)| found.names.contains(name));
        found.places = endless.map(|(name, of)| (name, of.place())).collect();
        found
    }

    /// One error for each cycle.
    pub(crate) fn problems(&self) -> Vec<Diagnostic> {
        self.cycles.iter().map(|cycle| self.problem(cycle)).collect()
    }

    fn problem(&self, cycle: &[&str]) -> Diagnostic {
        let mut problem = Diagnostic::error(match cycle.len() {
            1 => "the root is computed from itself".to_owned(),
            count => format!("the roots are computed from each other, {count} in a cycle"),
        });
        problem.location = self.places.get(cycle[0]).cloned();
        for name in &cycle[1..] {
            let text = format!("which needs the root of repository {}", quoted(name));
            problem = problem.note(match self.places.get(name) {
                Some(place) => Note::at(text, place.clone()),
                None => Note::from(text),
            });
        }
        match cycle.len() {
            1 => problem,
            _ => problem.note(format!("which needs the root of repository {} again", quoted(cycle[0]))),
        }
    }

    /// The error of the reference, which waits for these roots, and says so when it has all others. It names them in an
    /// order that depends on its hashes and threads.
    pub(crate) fn reference(&self) -> Option<Diagnostic> {
        let first = self.cycles.first()?;
        let mut text = "Internal error, failed to evaluate pending setup:".to_owned();
        self.names.iter().for_each(|name| text += &format!("\n  {name}"));
        Some(self.problem(first).reference(text))
    }
}

/// A cycle that begins with the first name on it.
fn from_first(mut cycle: Vec<&str>) -> Vec<&str> {
    let first = (0..cycle.len()).min_by_key(|at| cycle[*at]).unwrap_or_default();
    cycle.rotate_left(first);
    cycle
}
