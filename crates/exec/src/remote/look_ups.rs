//! Whether a server is asked for the result of an action before it gets the inputs.
//!
//! A server that executes an action looks for its result itself. To ask before is worth a call where there is one, as then no
//! input has to be there. In a build where many in a row were not known, those to come will not be, either: then only some are
//! asked for, so that it is noticed when that changes.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// So many results in a row have to be unknown.
const MAX_MISSES: u32 = 64;

/// From then on one of so many is asked for.
const ASKED: u32 = 16;

/// What is known of a server that was asked for results.
// Relaxed: which of several actions at a time is asked for does not matter.
#[derive(Default)]
pub(super) struct LookUps {
    /// How many actions there were since the last known result.
    unknown: AtomicU32,
}

impl LookUps {
    /// Counts an action, and says whether the server is asked for its result.
    pub(super) fn is_next_asked(&self) -> bool {
        let unknown = self.unknown.fetch_add(1, Relaxed);
        unknown < MAX_MISSES || unknown.is_multiple_of(ASKED)
    }

    /// The server knew a result, when it was asked for it or when it was to execute the action.
    pub(super) fn count_hit(&self) {
        self.unknown.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_many_unknown_results_only_some_are_asked_for_until_one_is_known() {
        let look_ups = LookUps::default();
        let asked = |of: usize| (0..of).filter(|_| look_ups.is_next_asked()).count();
        assert_eq!(asked(64), 64);
        assert_eq!(asked(320), 20);
        look_ups.count_hit();
        assert_eq!(asked(64), 64);
        for _ in 0..1000 {
            assert!(look_ups.is_next_asked());
            look_ups.count_hit();
        }
    }
}
