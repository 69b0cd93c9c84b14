//! Repository names to roots, roots to directory listings and file contents.
//!
//! The configuration says what a repository consists of (its roots, file names, bindings); a root is anything that
//! implements [`SourceRoot`], and two leaf rules of the engine read it, [`DirRule`] and [`FileRule`].
//!
//! What this crate does not know: the meaning of the files.

mod computed_root;
mod computed_roots;
mod config;
mod config_error;
mod content_fixed;
mod directory;
mod embedded;
mod git_tree;
mod leaf;
mod leaf_read;
mod listing;
mod misspelt;
mod open_dirs;
mod origin;
mod plain_json;
mod read_computed_root;
mod renamed;
mod root;
mod rules;
mod unresolved_root;

pub use computed_root::{ComputedRoot, RootContent, UnresolvedRoot};
pub use computed_roots::{ComputedTrees, RootCycle};
pub use config::{Overrides, RepoConfig, Repository, WORKSPACE_MARKERS, find_workspace_root};
pub use config_error::ConfigError;
pub use content_fixed::{ContentFixed, Obstacle};
pub use directory::DirectoryRoot;
pub use embedded::EmbeddedRoot;
pub use git_tree::{AbsentRoot, GitTreeRoot};
pub use leaf::{DirRule, FileRule, RootPath};
pub use leaf_read::{Handover, LeafRead};
pub use listing::{Entries, Entry, Listed, Listing};
pub use origin::Origin;
pub use plain_json::plain_json;
pub use root::{
    Observation, Result, Root, RootError, RootName, Roots, Source, SourceFile, SourceRoot, Symlinks,
    stays_inside,
};
/// The name of the library of rules in the binary.
pub use taut_rules::NAME as RULES;
