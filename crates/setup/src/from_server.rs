//! What set-ups take from a server of objects, and give it.

use std::sync::atomic::Ordering::Relaxed;

use taut_digest::ObjectInfo;
use taut_syntax::Diagnostic;

use crate::{contents::ContentRequest, event::Event, session::Session};

impl Session<'_> {
    /// Brings an object from the server into the store, if there is a server and it has it.
    pub(crate) fn taken_from_server(&self, object: &ObjectInfo, wanted: &ContentRequest<'_>) -> bool {
        let Some(server) = &self.options.server else { return false };
        let (hash, object_type) = (&object.digest.hash, object.object_type);
        match server.bring(object) {
            // The store is asked, too: what comes from the server is in it, or it is of no use.
            Ok(is_there) if is_there && self.store.contains(hash, object_type).unwrap_or(false) => {
                let bytes = self.store.size(hash, object_type).ok().flatten().unwrap_or(0);
                self.observer.event(Event::Fetched {
                    repository: wanted.repository,
                    from: server.name(),
                    bytes,
                });
                true
            }
            Ok(_) => false,
            Err(why) => {
                // Once: it is the same for all that is missing.
                // Relaxed: several threads may get here, and only that one of them sees `false` matters.
                if !self.has_warned_of_server.swap(true, Relaxed) {
                    let message =
                        format!("objects are not looked for at the server {}: {why}", server.name());
                    let reference = "Failed to obtain Capabilities. Falling back to default values.";
                    self.warn(Diagnostic::warning(message).reference(reference));
                }
                false
            }
        }
    }

    /// Gives the server a copy of an object of the store. `what`: how the reference names it.
    pub(crate) fn back_up(&self, object: &ObjectInfo, what: &str, wanted: &ContentRequest<'_>) {
        let Some(server) = self.options.server.as_ref().filter(|_| self.options.backs_up) else { return };
        if server.back_up(object).is_ok() {
            return;
        }
        // The reference does not say why; nothing but `just-mr` has that option.
        let id = object.digest.hash.to_hex();
        let message = format!("Failed to back up {what} {id} from local CAS to remote");
        self.warn(Diagnostic::warning(message).at(wanted.place.clone()));
    }
}
