//! A server of objects beside the network: what it has need not be fetched from where it comes from, and it can be
//! given a copy of what was fetched. It is asked last before the network, and what is wrong with it only costs that.

use std::fmt::Debug;

use taut_digest::{Digest, Hash, ObjectInfo, ObjectType};

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
