//! Rounds that change what they read: by an action that writes into the sources, a build root or a log among them.
//!
//! Such rounds would follow each other for ever. They cannot be told from those that a user keeps busy, so they are
//! not stopped; but where each of several rounds in a row changed the same, the next ones wait, longer each time.

use std::{collections::HashSet, path::PathBuf, time::Duration};

/// How many rounds in a row may begin at once.
const AT_ONCE: u32 = 4;

/// For how long a round waits at most.
const MAX_PAUSE: Duration = Duration::from_secs(60);

/// How rounds follow each other.
#[derive(Default)]
pub(super) struct Pace {
    /// How many rounds in a row changed what made the next one begin.
    streak: u32,
    /// What all of these changed.
    paths: HashSet<PathBuf>,
}

impl Pace {
    /// Nothing happened for a while.
    pub(super) fn rest(&mut self) {
        *self = Pace::default();
    }

    /// A round is to begin since these paths changed during the last one. For how long it is to wait before, and
    /// whether it is the first that does.
    pub(super) fn step(&mut self, paths: &[PathBuf]) -> Option<(Duration, bool)> {
        let now: HashSet<PathBuf> = paths.iter().cloned().collect();
        let common: HashSet<PathBuf> = self.paths.intersection(&now).cloned().collect();
        if self.streak > 0 && common.is_empty() {
            self.rest();
        }
        self.paths = if self.streak == 0 { now } else { common };
        self.streak += 1;
        let late = self.streak.checked_sub(AT_ONCE)?;
        let pause = Duration::from_secs(1 << late.min(10)).min(MAX_PAUSE);
        Some((pause, late == 0))
    }

    /// What each of the rounds changed, in order.
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
        for _ in 1..AT_ONCE {
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
