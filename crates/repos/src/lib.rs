//! Repository names to roots, roots to directory listings and file contents.
//!
//! The configuration says what a repository consists of (its roots, file names, bindings); a root is anything that
//! implements [`SourceRoot`], and two leaf rules of the engine read it, [`DirRule`] and [`FileRule`].
//!
//! What this crate does not know: the meaning of the files.

mod config;
mod content_fixed;
mod directory;
mod embedded;
mod git_tree;
mod leaf;
mod leaf_read;
mod listing;
mod open_dirs;
mod root;
mod rules;

pub use config::{ConfigError, Overrides, RepoConfig, Repository, find_workspace_root};
pub use content_fixed::{ContentFixed, Obstacle};
pub use directory::DirectoryRoot;
pub use embedded::EmbeddedRoot;
pub use git_tree::{AbsentRoot, GitTreeRoot};
pub use leaf::{DirRule, FileRule, Place};
pub use leaf_read::{Handover, LeafRead};
pub use listing::{Entries, Entry, Listed, Listing};
pub use root::{
    Observation, Result, Root, RootError, RootName, Roots, Source, SourceFile, SourceRoot, Symlinks,
    stays_inside,
};
