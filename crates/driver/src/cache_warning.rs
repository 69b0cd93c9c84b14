//! Warnings about cached build state that could not be read or written.
//!
//! No result is affected, but each call repeats work until the cause is removed. So there is a warning, of one line,
//! for the first problem of a call.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

/// The first problem of a call with cached build state, if there was one. Clones belong to the same call.
#[derive(Clone, Debug, Default)]
pub(crate) struct CacheWarning(Arc<Mutex<Option<String>>>);

impl CacheWarning {
    fn note(&self, text: impl FnOnce() -> String) {
        // Later ones mostly follow from the first.
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(text);
    }

    /// State that earlier calls wrote is damaged; it was removed, or is not used.
    pub(crate) fn damaged(&self, what: &str) {
        self.note(|| format!("{STATE} ({what}) is corrupt; rebuilding it"));
    }

    /// What earlier calls left cannot be read.
    pub(crate) fn unreadable(&self, error: impl Display) {
        self.note(|| format!("{STATE} cannot be read: {error}"));
    }

    /// What this call found out cannot be kept.
    pub(crate) fn not_written(&self, error: impl Display) {
        self.note(|| format!("{STATE} cannot be written; the next build will repeat the work: {error}"));
    }

    /// The event log of this call cannot be kept: only `explain` and the times that progress estimates depend on it.
    pub(crate) fn log_not_written(&self, error: impl Display) {
        self.note(|| format!("{LOG} cannot be written, so `explain` does not know this call: {error}"));
    }

    /// What went wrong; returned once.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

const STATE: &str = "cached build state";
const LOG: &str = "the event log";

/// Whether a line is such a warning: a call that ignores cached build state has none.
pub fn is_cache_warning(line: &str) -> bool {
    line.contains(STATE) || line.contains(LOG)
}
