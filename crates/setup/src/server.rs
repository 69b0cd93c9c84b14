//! A server of objects beside the network: what it has need not be fetched from where it comes from, and it can be given a copy
//! of what was fetched. It is asked last before the network, and what is wrong with it only costs that.

use std::{fmt::Debug, sync::atomic::Ordering::Relaxed};

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};
use taut_syntax::Diagnostic;

use crate::{contents::ContentRequest, event::Event, session::Session};

/// A server of objects.
pub trait Server: Debug + Send + Sync {
    /// How messages name it.
    fn name(&self) -> &str;

    /// Brings an object into the store of the build root, with all that is below it. Returns whether the server has it.
    ///
    /// # Errors
    /// It does not answer.
    fn bring(&self, object: &ObjectInfo) -> Result<bool, String>;

    /// Sends an object of the store, with all that is below it.
    ///
    /// # Errors
    /// It does not answer, or refuses it.
    fn back_up(&self, object: &ObjectInfo) -> Result<(), String>;
}

/// An object of unknown size.
pub(crate) fn object(hash: Hash, object_type: ObjectType) -> ObjectInfo {
    ObjectInfo { digest: Digest { hash, size: 0 }, object_type }
}

impl Session<'_> {
    /// Brings an object from the server into the store, if there is a server and it has it.
    pub(crate) fn from_server(&self, object: &ObjectInfo, wanted: &ContentRequest<'_>) -> bool {
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
                if !self.has_warned_of_server.swap(true, Relaxed) {
                    let message =
                        format!("contents are not looked for at the server {}: {why}", server.name());
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
        let Err(why) = server.back_up(object) else { return };
        let id = object.digest.hash.to_hex();
        let message = format!("{what} {id} has no copy at the server {}: {why}", server.name());
        let reference = format!("Failed to back up {what} {id} from local CAS to remote");
        self.warn(Diagnostic::warning(message).reference(reference).at(wanted.place.clone()));
    }
}
