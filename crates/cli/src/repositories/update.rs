//! `update`: a description with the newest commits of branches.

use taut_setup::{Cache, Description, Options, Session};
use taut_store::Store;

use super::Messages;
use crate::{cancelled_set_up::until_signal, log::Log, voice};

/// What an update works with.
pub(crate) struct Update<'u> {
    pub(crate) store: &'u Store,
    pub(crate) cache: &'u Cache,
    pub(crate) options: &'u Options,
    pub(crate) description: &'u Description,
    pub(crate) tool: &'u str,
    pub(crate) log: &'u Log,
}

impl Update<'_> {
    /// The text of the description with newer commits for some repositories. `None` if that failed, which was reported.
    pub(crate) fn text(&self, names: &[String]) -> Option<String> {
        let Update { log, .. } = *self;
        let voice = voice::of(log);
        voice.update_begins(log);
        let messages = Messages::new(log, format!("While performing {} update:", self.tool));
        let session = Session::new(self.options, self.store, self.cache, &messages);
        let updated = until_signal(session.cancellation(), || session.update(self.description, names));
        voice.update_ended(names.len(), updated.is_ok(), log);
        updated.map_err(|problems| messages.failed(&problems)).ok()
    }
}
