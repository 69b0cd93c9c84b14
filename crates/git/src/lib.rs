//! Objects of git repositories, read and written in their object databases: without a checkout, and without starting
//! `git`.
//!
//! [`Repository`] finds the object database of a repository (bare or not, a linked worktree, a submodule) and reads
//! loose and packed objects by their ids, through alternates as well. What it returns has the hash that it was asked
//! for, so a damaged database yields errors and never wrong objects.
//!
//! [`Writer`] makes a bare repository and writes to it: objects in a [`Batch`], which appear together and only when all
//! are complete, and tags that protect trees from `git gc`. [`TreeBuilder`] puts a tree together path by path.
//!
//! The formats of the database are read by `gix-odb`, which is the part of gitoxide for just that. What this crate does
//! not know: branches, the index, and what objects are used for.

#![deny(missing_docs)]

mod adopt;
mod batch;
mod encode;
mod error;
mod head;
mod import;
mod keep;
mod leftovers;
mod link_fault;
mod locate;
mod loose;
mod pack;
mod path_fault;
mod repair;
mod repository;
mod sink;
mod special;
mod temporary;
mod tree_builder;
mod verify;
mod walk;
mod writer;

pub use batch::Batch;
pub use error::{Error, Result};
pub use head::{Enclosing, Head, enclosing, head};
pub use import::{SpecialFiles, import};
pub use leftovers::remove_leftovers;
pub use link_fault::LinkFault;
pub use path_fault::PathFault;
pub use repository::{Header, Kind, MAX_OBJECT_SIZE, Object, Repository};
pub use sink::{HashOnly, ObjectSink};
pub use special::Special;
pub use tree_builder::{Node, TreeBuilder};
pub use writer::Writer;
