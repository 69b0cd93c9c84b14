//! What becomes of links in the trees of repositories: the field `special` of a repository description.
//!
//! Source: `doc/concepts/symlinks.md` of justbuild, and experiments with just-mr 1.6.5 (`tests/special.rs`).

use std::fmt;

/// How links of a tree are treated.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Special {
    /// Symbolic links and submodules are dropped.
    Ignore,
    /// Links that lead upwards are replaced by what they lead to; others stay.
    ResolvePartially,
    /// All links are replaced by what they lead to.
    ResolveCompletely,
}

/// Why a link cannot be replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// It leads out of the tree; its target.
    Outside(String),
    /// It leads to itself, directly or through others, or contains itself.
    Cycle,
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkFault::Outside(target) => write!(f, "leads out of it: {target:?}"),
            LinkFault::Cycle => f.write_str("leads to itself, perhaps through other links"),
        }
    }
}
