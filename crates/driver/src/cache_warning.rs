//! What kept a call from using cached build state, or from leaving any.
//!
//! None of it changes an answer: it costs time, in each call again unless something is done about it. So there is a warning,
//! of one line, for the first of it.

use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};

/// The first thing that went wrong with what outlives a call, if anything did. Clones are about the same call.
#[derive(Clone, Debug, Default)]
pub(crate) struct CacheWarning(Arc<Mutex<Option<String>>>);

impl CacheWarning {
    fn note(&self, text: impl FnOnce() -> String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(text);
    }

    /// Something that earlier calls left is damaged; it is not there any more, or not looked at.
    pub(crate) fn damaged(&self, what: &str) {
        self.note(|| format!("{STATE} ({what}) is corrupt; rebuilding it"));
    }

    /// What earlier calls left cannot be read.
    pub(crate) fn unreadable(&self, error: impl Display) {
        self.note(|| format!("{STATE} cannot be read: {error}"));
    }

    /// What this call found out cannot be kept.
    pub(crate) fn unkept(&self, error: impl Display) {
        self.note(|| format!("{STATE} cannot be written; the next build will repeat the work: {error}"));
    }

    /// What went wrong, to be told once.
    pub(crate) fn take(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

const STATE: &str = "cached build state";

/// Whether a line is such a warning: a call that ignores cached build state has none.
pub fn is_about_traces(line: &str) -> bool {
    line.contains(STATE)
}
