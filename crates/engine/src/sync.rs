//! The one way to take a lock here: the engine's own code does not panic while holding one, and user code
//! never runs under one, so a poisoned lock still guards consistent data.

use std::sync::{Mutex, MutexGuard, PoisonError};

pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
