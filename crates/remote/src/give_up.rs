//! Giving a service up: once, for all that wait and all that come later.
//!
//! A build that asks a service which is gone would wait for each of its actions. So the first call that fails for good
//! ends all of them. A service that answers slowly is given up when slow look-ups and repeated calls have taken too
//! much time together. Calls at the same time count once, since the build waits for them at the same time.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use taut_service::{Error, Result};
use taut_sys::fault::time_limit;
use tokio::sync::watch;

/// How long a look-up may take before it counts as slow.
// Longer than the slowest sensible round trip, so that only a server under load, or a bad link, counts.
const SLOW_LOOK_UP: Duration = Duration::from_secs(1);

pub(crate) struct GiveUp {
    // A watch, since it wakes those that wait and is seen by those that come later; a notification alone would miss
    // the latter.
    given_up: watch::Sender<bool>,
    /// The error of the call that failed for good, if one is the reason.
    why: Mutex<Option<Error>>,
    /// How long the build has waited for what was slow, and up to when that is counted.
    // One lock for both numbers: each is meaningless without the other.
    slow: Mutex<(Duration, Option<Instant>)>,
    max_slow: Duration,
    slow_look_up: Duration,
}

impl GiveUp {
    pub(crate) fn new(max_slow: Duration) -> GiveUp {
        GiveUp {
            given_up: watch::Sender::new(false),
            why: Mutex::default(),
            slow: Mutex::default(),
            max_slow,
            slow_look_up: time_limit("slow-look-up", SLOW_LOOK_UP),
        }
    }

    pub(crate) fn give_up(&self) {
        // Not `send`, which does nothing as long as no call listens: the calls to come have to find it.
        self.given_up.send_replace(true);
    }

    /// Gives up because a call failed for good; returns its error.
    pub(crate) fn give_up_for(&self, error: Error) -> Error {
        // Before the switch: what sees the switch finds the reason.
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(|| error.clone());
        self.give_up();
        error
    }

    /// An answer with the reason in place of [`Error::Off`], if a call that failed is the reason.
    pub(crate) fn with_reason<T>(&self, answer: Result<T>) -> Result<T> {
        let why = || self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
        answer.map_err(|error| if error == Error::Off { why().unwrap_or(error) } else { error })
    }

    pub(crate) fn is_given_up(&self) -> bool {
        *self.given_up.borrow()
    }

    /// Begins to count anew what is slow.
    pub(crate) fn forget_slow(&self) {
        *self.slow.lock().unwrap_or_else(PoisonError::into_inner) = Default::default();
    }

    /// Runs a call, unless the service is given up, before or meanwhile.
    pub(crate) async fn or_off<T>(&self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let mut given_up = self.given_up.subscribe();
        tokio::select! {
            // The switch first: once it is set, no call begins, whatever is ready.
            biased;
            _ = given_up.wait_for(|given_up| *given_up) => Err(Error::Off),
            answer = call => answer,
        }
    }

    /// Counts a look-up that began at some time and ended now.
    ///
    /// # Errors
    /// It was one too many.
    pub(crate) fn count_look_up(&self, begin: Instant, now: Instant) -> Result<()> {
        if now.duration_since(begin) <= self.slow_look_up || self.count(begin, now) <= self.max_slow {
            return Ok(());
        }
        self.give_up();
        let (each, total) = (self.slow_look_up.as_secs(), self.max_slow.as_secs());
        let why = format!("look-ups take longer than {each} s each, more than {total} s by now");
        Err(Error::Final { call: "GetActionResult", why })
    }

    /// Counts a call whose attempts have failed so far; it began at some time.
    ///
    /// # Errors
    /// It was one too many.
    pub(crate) fn count_failed(&self, call: &'static str, begin: Instant, now: Instant) -> Result<()> {
        if self.count(begin, now) <= self.max_slow {
            return Ok(());
        }
        self.give_up();
        let why = format!("calls had to be tried again for more than {} s by now", self.max_slow.as_secs());
        Err(Error::Final { call, why })
    }

    /// Adds a time during which the build has waited, and returns the sum.
    fn count(&self, begin: Instant, now: Instant) -> Duration {
        let mut slow = self.slow.lock().unwrap_or_else(PoisonError::into_inner);
        let (total, until) = &mut *slow;
        // Times that overlap count once. `until` only grows, so of a call that began before it, only what is behind it
        // is added.
        let from = until.map_or(begin, |until| begin.max(until));
        *total += now.saturating_duration_since(from);
        *until = Some(until.map_or(now, |until| now.max(until)));
        *total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_look_ups_of_one_moment_count_once() {
        let give_up = GiveUp::new(Duration::from_secs(9));
        let zero = Instant::now();
        let at = |seconds| zero + Duration::from_secs(seconds);
        for _ in 0..100 {
            assert_eq!(give_up.count_look_up(at(0), at(4)), Ok(()));
            assert_eq!(give_up.count_look_up(at(0), at(1)), Ok(()));
        }
        assert_eq!(give_up.count_look_up(at(2), at(6)), Ok(()));
        assert_eq!(give_up.count_look_up(at(20), at(23)), Ok(()));
        assert!(give_up.count_look_up(at(40), at(42)).is_err());
        assert!(*give_up.given_up.borrow());
    }

    #[test]
    fn calls_that_are_tried_again_count_too() {
        let give_up = GiveUp::new(Duration::from_secs(9));
        let zero = Instant::now();
        let at = |seconds| zero + Duration::from_secs(seconds);
        assert_eq!(give_up.count_failed("call", at(0), at(3)), Ok(()));
        // The same call again, another one meanwhile, and a slow look-up after them.
        assert_eq!(give_up.count_failed("call", at(0), at(6)), Ok(()));
        assert_eq!(give_up.count_failed("call", at(2), at(6)), Ok(()));
        assert_eq!(give_up.count_look_up(at(10), at(13)), Ok(()));
        assert!(give_up.count_failed("call", at(20), at(21)).is_err());
        assert!(*give_up.given_up.borrow());
    }
}
