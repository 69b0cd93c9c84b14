//! Messages about builds that are started again.

use std::{
    collections::HashSet,
    sync::{Mutex, PoisonError},
};

/// The end of each warning of [`lost_objects`].
pub(crate) const MADE_AGAIN: &str = ": they are made again";

/// The warning when objects of the store are lost, or `server` does not have what it should.
pub(crate) fn lost_objects(server: Option<&str>) -> String {
    match server {
        Some(server) => format!("Server {server} lost objects, or has wrong ones{MADE_AGAIN}"),
        None => format!("Objects in the build root were lost or damaged{MADE_AGAIN}"),
    }
}

/// The warnings of [`lost_objects`] that a build has shown, by server. Losses may be found in several attempts; each
/// server gets one warning.
#[derive(Default)]
pub(crate) struct ShownLosses(Mutex<HashSet<Option<String>>>);

impl ShownLosses {
    /// The warning, unless it was shown before.
    pub(crate) fn next(&self, server: Option<&str>) -> Option<String> {
        let mut shown = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        shown.insert(server.map(str::to_owned)).then(|| lost_objects(server))
    }
}

/// What is added to the error that an object is not in the store, if `server` had it.
pub(crate) fn nor_at(server: Option<&str>) -> String {
    server.map(|server| format!(", nor at server {server}")).unwrap_or_default()
}

/// The warning when something of the roots of repositories is lost.
pub(crate) const LOST_ROOTS: &str = "Contents of repositories were lost or damaged: they are set up again";
