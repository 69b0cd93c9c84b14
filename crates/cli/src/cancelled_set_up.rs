//! Ends the set-up of repositories when a signal arrives.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use taut_setup::Cancellation;

/// The set-up of repositories that is under way.
// Global, since the thread that handles signals is started before there is a set-up, and one is under way at a time.
static SET_UP: Mutex<Option<Cancellation>> = Mutex::new(None);

/// Runs a task of a set-up that a signal may end. If a signal does, this does not return: the thread that handles the
/// signal ends the process, and unfinished work is not reported as an error.
pub(crate) fn until_signal<T>(cancellation: Cancellation, task: impl FnOnce() -> T) -> T {
    let set = |cancellation| *SET_UP.lock().unwrap_or_else(PoisonError::into_inner) = cancellation;
    set(Some(cancellation.clone()));
    let done = task();
    while cancellation.is_cancelled() {
        // `park` may return without a reason, so the loop.
        std::thread::park();
    }
    set(None);
    done
}

/// Ends the set-up that is under way, if there is one, and removes what it began. Waits for it, at most for the given
/// time.
pub(crate) fn cancel_set_up(within: Duration) {
    let set_up = SET_UP.lock().unwrap_or_else(PoisonError::into_inner).clone();
    if let Some(set_up) = set_up {
        set_up.cancel(within);
    }
}
