//! The synchronisation primitives of the crate: the standard library's, or, with `--cfg shuttle`, those of `shuttle`,
//! which runs a test under many schedules (`tests/schedules.rs`).
//!
//! `OnceLock`, `Arc` and `Weak` stay the standard ones: the code that fills a `OnceLock` has no scheduling point of
//! `shuttle` in it, and no decision depends on reference counts.

#[cfg(not(shuttle))]
pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(not(shuttle))]
pub(crate) use std::{thread, thread_local};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{Condvar, Mutex, MutexGuard, atomic};
#[cfg(shuttle)]
pub(crate) use shuttle::{thread, thread_local};

pub(crate) use std::sync::{Arc, OnceLock, PoisonError, Weak};

/// Takes a lock; all code of the crate uses this. A poisoned lock still guards consistent data: the engine's own code
/// does not panic while it holds one. User code that runs under a lock either has its panics caught (the walk over a
/// file, decoding of values) or runs before anything is changed (`Rule::policy`, encoding of keys). The exception is a
/// commit, see [`crate::Engine::commit`].
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
