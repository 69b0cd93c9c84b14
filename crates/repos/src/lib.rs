//! Repository names to roots, roots to directory listings and file contents.
//!
//! What a repository consists of (its roots, file names, bindings) is configuration; a root is whatever answers
//! [`SourceRoot`], and what lies in it is asked for by two leaf rules of the engine, [`DirRule`] and [`FileRule`].
//!
//! What this crate does not know: what the files mean.

mod config;
mod directory;
mod leaf;
mod listing;
mod observed;
mod open_dirs;
mod root;

pub use config::{ConfigError, Overrides, RepoConfig, Repository, find_workspace_root};
pub use directory::DirectoryRoot;
pub use leaf::{DirRule, FileRule, Place};
pub use listing::{Entry, Listed, Listing};
pub use observed::{Handover, Seen};
pub use root::{Look, Observed, Result, Root, RootError, RootName, Roots, Source, SourceFile, SourceRoot};
