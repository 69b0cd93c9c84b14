//! Whether a server is asked for the result of an action before it gets the inputs.
//!
//! A server that executes an action looks for its result itself. To ask before is worth a call if there is a result,
//! since then no input has to be sent. After many unknown results in a row the next ones will probably be unknown, too:
//! then only some are asked for, to notice when that changes.

use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// So many results in a row have to be unknown.
const MAX_MISSES: u32 = 64;

/// From then on one of so many is asked for.
const ASK_INTERVAL: u32 = 16;

/// What is known of a server that was asked for results.
// Relaxed: which of several actions at a time is asked for does not matter.
#[derive(Default)]
pub(super) struct LookUps {
    /// How many results in a row the server turned out not to know.
    unknown: AtomicU32,
    /// How many actions there were since those are many.
    since: AtomicU32,
}

impl LookUps {
    /// Whether the server is asked for the result of the next action.
    pub(super) fn is_next_asked(&self) -> bool {
        // The counters may be a few too high or low by concurrent calls; the limits are rough anyway.
        self.unknown.load(Relaxed) < MAX_MISSES
            || self.since.fetch_add(1, Relaxed).is_multiple_of(ASK_INTERVAL)
    }

    /// The server did not know a result.
    pub(super) fn count_miss(&self) {
        self.unknown.fetch_add(1, Relaxed);
    }

    /// The server knew a result, when it was asked for it or when it was to execute the action.
    pub(super) fn count_hit(&self) {
        self.unknown.store(0, Relaxed);
        self.since.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_many_unknown_results_only_some_are_asked_for_until_one_is_known() {
        let look_ups = LookUps::default();
        // As long as there is no answer, it is not known that results are unknown.
        assert!((0..1000).all(|_| look_ups.is_next_asked()));
        (0..MAX_MISSES).for_each(|_| look_ups.count_miss());
        assert_eq!((0..320).filter(|_| look_ups.is_next_asked()).count(), 20);
        look_ups.count_hit();
        assert!((0..1000).all(|_| look_ups.is_next_asked()));
        (1..MAX_MISSES).for_each(|_| look_ups.count_miss());
        assert!((0..1000).all(|_| look_ups.is_next_asked()));
    }
}
