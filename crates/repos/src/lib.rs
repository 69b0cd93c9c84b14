//! Repository names to roots, roots to directory listings and file contents.
//!
//! What a repository consists of (its roots, file names, bindings) is configuration; what lies in a root
//! is asked of the file system by two leaf rules of the engine, [`DirRule`] and [`FileRule`].
//!
//! What this crate does not know: what the files mean.

mod config;
mod leaf;
mod open_dirs;

pub use config::{ConfigError, Overrides, RepoConfig, Repository, find_workspace_root};
pub use leaf::{DirRule, Entry, FileRule, Listing, Place, Root, RootName, Roots};
