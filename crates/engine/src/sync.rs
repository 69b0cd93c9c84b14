//! What threads share, from one place: the standard library's, or, with `--cfg shuttle`, stand-ins that try many
//! schedules of the same test (`tests/schedules.rs`).
//!
//! Only what threads wait for, or see of each other, has a stand-in. A `OnceLock` here is never waited for by
//! code that may be interrupted while it fills one, and counting references decides nothing.

#[cfg(not(shuttle))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(shuttle))]
pub(crate) use std::{thread, thread_local};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(shuttle)]
pub(crate) use shuttle::{thread, thread_local};

pub(crate) use std::sync::{Arc, OnceLock, PoisonError, Weak};

/// The one way to take a lock here: the engine's own code does not panic while holding one, and user code runs under
/// none but that of the walk over a file, which is guarded; so a poisoned lock still guards consistent data.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
