//! The repositories of the build root that this process reads: while it does, they are locked against collection.
//!
//! Roots are read at any time of a call, by several threads, so the lock belongs to the process and not to what opened
//! it.

use std::{
    path::Path,
    sync::{Mutex, PoisonError},
};

use taut_setup::Cache;

/// The lock, with what it protects.
static IN_USE: Mutex<Option<Cache>> = Mutex::new(None);

/// Keeps repositories that were opened from being collected.
pub(crate) fn hold(cache: Cache) {
    // A lock from before, as `watch` has it, is released only now that the new one is held.
    *IN_USE.lock().unwrap_or_else(PoisonError::into_inner) = Some(cache);
}

/// Keeps the repositories of a build root from being collected. They are made if need be.
///
/// # Errors
/// They cannot be made or locked.
pub(crate) fn hold_those_of(build_root: &Path) -> Result<(), String> {
    Cache::open(build_root).map(hold).map_err(|error| error.to_string())
}

/// Lets them be collected, since this process waits, and sets them up again before it goes on.
pub(crate) fn release() {
    // From here on a collection may remove them: nothing of the roots may be read before `hold`.
    *IN_USE.lock().unwrap_or_else(PoisonError::into_inner) = None;
}
