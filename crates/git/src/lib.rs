//! Objects of git repositories, read from their object databases: without a checkout, and without starting `git`.
//!
//! [`Repository`] finds the object database of a repository (bare or not, a linked worktree, a submodule) and reads
//! loose and packed objects by their ids, through alternates as well. What it returns has the hash that it was asked
//! for, so a damaged database yields errors and never wrong contents.
//!
//! The formats of the database are read by `gix-odb`, which is the part of gitoxide for just that. What this crate does
//! not know: references, the index, and what objects are used for.

#![deny(missing_docs)]

mod error;
mod locate;
mod repository;

pub use error::{Error, Result};
pub use repository::{Header, Kind, MAX_OBJECT_SIZE, Object, Repository};
