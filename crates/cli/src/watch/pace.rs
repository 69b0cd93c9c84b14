//! Rounds that change what they read: by an action that writes into the sources, or a build root or log file among
//! them.
//!
//! Such rounds would follow each other for ever. They cannot be distinguished from rounds after quick edits of a user,
//! so they are not stopped; but if several rounds in a row changed the same paths, the next ones wait, longer each
//! time.

use std::{collections::HashSet, path::PathBuf, time::Duration};

/// How many rounds in a row begin without waiting.
// More rounds in a row than a generated source needs to become stable.
const MAX_IMMEDIATE_ROUNDS: u32 = 4;

/// The longest time that a round waits.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// How many rounds in a row changed the same paths.
#[derive(Default)]
pub(super) struct Pace {
    /// How many rounds in a row changed what made the next one begin.
    streak: u32,
    /// The paths that all of these changed.
    paths: HashSet<PathBuf>,
}

impl Pace {
    /// Nothing changed for a while: the next rounds begin without waiting.
    pub(super) fn rest(&mut self) {
        *self = Pace::default();
    }

    /// Counts a round that begins since these paths changed during the last one. Returns how long it has to wait, if it
    /// has to, and whether it is the first that has to.
    pub(super) fn step(&mut self, paths: &[PathBuf]) -> Option<(Duration, bool)> {
        let now: HashSet<PathBuf> = paths.iter().cloned().collect();
        let common: HashSet<PathBuf> = self.paths.intersection(&now).cloned().collect();
        if self.streak > 0 && common.is_empty() {
            self.rest();
        }
        // Only paths that changed each time: edits of different files in quick succession end the streak.
        self.paths = if self.streak == 0 { now } else { common };
        self.streak += 1;
        let late = self.streak.checked_sub(MAX_IMMEDIATE_ROUNDS)?;
        // The exponent is bounded before the shift, which would overflow after some dozens of rounds otherwise.
        let pause = Duration::from_secs(1 << late.min(10)).min(MAX_PAUSE);
        Some((pause, late == 0))
    }

    /// The paths that each of the rounds changed, sorted.
    pub(super) fn paths(&self) -> Vec<PathBuf> {
        let mut paths: Vec<PathBuf> = self.paths.iter().cloned().collect();
        paths.sort();
        paths
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounds_that_change_the_same_wait_longer_each_time() {
        let mut pace = Pace::default();
        let paths = |names: &[&str]| names.iter().map(PathBuf::from).collect::<Vec<_>>();
        let seconds =
            |pace: &mut Pace, names: &[&str]| pace.step(&paths(names)).map(|(pause, _)| pause.as_secs());
        for _ in 1..MAX_IMMEDIATE_ROUNDS {
            assert_eq!(seconds(&mut pace, &["a", "b"]), None);
        }
        assert_eq!(pace.step(&paths(&["b", "c"])), Some((Duration::from_secs(1), true)));
        assert_eq!(pace.paths(), paths(&["b"]));
        assert_eq!(pace.step(&paths(&["b"])), Some((Duration::from_secs(2), false)));
        let last = (0..20).map(|_| seconds(&mut pace, &["b"])).last().unwrap();
        assert_eq!(last, Some(MAX_PAUSE.as_secs()));
        assert_eq!(seconds(&mut pace, &["d"]), None, "another path");
        pace.rest();
        assert_eq!(seconds(&mut pace, &["d"]), None);
    }
}
