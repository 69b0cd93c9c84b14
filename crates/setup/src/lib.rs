//! The multi-repository description: from `repos.json` to a configuration whose roots are there.
//!
//! A [`Description`] says where the contents of repositories come from. A [`Session`] sets them up
//! ([`Session::set_up`]): it finds out which repositories the main one reaches, looks for the root of each, makes those
//! that are missing, several at a time, and writes the configuration, byte for byte as just-mr 1.6 does.
//!
//! What was set up before costs one look-up for each repository ([`Cache`]). What is made comes from where the
//! reference takes it from, in its order: the store, the git repositories of the build root, directories of archives,
//! mirrors of this site, the network; before the network, a server of objects ([`Server`]) if there is one.
//!
//! What this crate does not know: targets, actions, and how messages are printed. It reads no environment variable.

#![deny(missing_docs)]

mod anchors;
mod cache;
mod cancellation;
mod check;
mod commits;
mod contents;
mod cycles;
mod description;
mod directories;
mod event;
mod fetch;
mod fields;
mod from_server;
mod locations;
mod misspelt;
mod needs;
mod newest;
mod origin;
mod output;
mod parse;
mod private_copy;
mod problem;
mod rc;
mod reachable;
mod root;
mod server;
mod session;
mod set_up;
mod source;
mod status;
mod store_trees;
mod trees;
mod update;

pub use anchors::{AnchoredPath, Anchors, canonical_if_begun, weakly_canonical};
pub use cache::{Cache, collect, remove_leftovers, usage};
pub use cancellation::Cancellation;
pub use description::Description;
pub use event::{Event, Observer};
pub use fetch::ToFetch;
pub use fields::{DESCRIPTION_FIELDS, ENTRY, Fields, Form, PRAGMA, SOURCES};
pub use locations::Locations;
pub use problem::Problem;
pub use rc::{InvocationLog, LOGGED_OPTIONS, Rc, RcFiles, RemoteCacheRc};
pub use reachable::{ReachedRepositories, Remark};
pub use root::Root;
pub use server::Server;
pub use session::{Options, Session};
pub use set_up::{Request, SetUp};
pub use source::{
    Archive, ArchiveKind, Commit, Computed, Content, Directory, Distdir, Distfile, ForeignFile, MadeTree,
    Source, SourceOf, Special, Subdir, TreeStructure,
};
pub use status::{BranchState, Presence, Status, complete};
pub use store_trees::{TakeError, take_from_git, take_from_repository};
/// How files are fetched: certificates, time limits, retries.
pub use taut_fetch::Options as Transfers;
