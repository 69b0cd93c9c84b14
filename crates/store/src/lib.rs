//! CAS, action cache, target cache, generations; checkout of trees.
//!
//! One [`Store`] is one build root with one hash function. The layout and all formats are the
//! reference's, so that a build root can be read by either tool (`docs/store.md`). Two rules keep it
//! right whenever a process dies: an object gets its final name only by a rename of a complete
//! temporary file, and a reference is written after what it refers to.
//!
//! A store may have servers behind it ([`Store::attach`]): what they have counts as present, and comes here when its
//! bytes are read.
//!
//! What this crate does not know: actions, targets, and why something is stored.

#![deny(missing_docs)]

mod action_cache;
mod arriving;
mod cas;
mod checkout;
mod copied;
mod discard;
mod epoch_dirs;
mod error;
mod fetched;
mod gc;
mod incoming;
mod layout;
mod lists;
mod memory_cache;
mod pending;
mod server_objects;
mod service;
mod shards;
mod splice;
mod standard_names;
mod store;
mod target_cache;
mod temporary;
mod trees;
mod uplink;
mod usage;
mod withheld;

pub use cas::AddMode;
pub use checkout::{Installer, MIN_COUNTED_PATHS};
pub use epoch_dirs::EpochDir;
pub use error::{Error, FailedCall, RemoteFault, Result};
pub use gc::{GcMode, gc};
pub use incoming::Incoming;
pub use server_objects::{MAX_SERVERS, ObjectServer};
pub use standard_names::StandardNames;
pub use store::Store;
pub use target_cache::{Formats, Lookup, References, TargetCache};
pub use temporary::TemporaryDir;
pub use usage::{Usage, usage};
