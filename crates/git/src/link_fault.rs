//! Why a link cannot be replaced by what it leads to.

use std::fmt;

/// Why a link cannot be replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// It is absolute or leads out of the tree; its target.
    Outside(String),
    /// There is nothing where it leads; its target.
    Dangling(String),
    /// It leads to itself, to a directory in which it is, or to a link that does.
    Cycle,
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkFault::Outside(target) => write!(f, "leads out of it: {target:?}"),
            LinkFault::Dangling(target) => write!(f, "leads to nothing: {target:?}"),
            LinkFault::Cycle => {
                f.write_str("leads to itself or to a directory above it, perhaps through other links")
            }
        }
    }
}
