//! Why a path cannot be in a tree.

use std::fmt;

use taut_digest::ObjectType;

/// Why a path cannot be in a tree.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PathFault {
    /// A component is empty, `.`, `..`, or has a slash or a null character.
    BadName,
    /// What is at a path above is of this type, and no directory.
    Below(ObjectType),
    /// A component above is a submodule.
    BelowSubmodule,
    /// The path has no component.
    Empty,
}

impl fmt::Display for PathFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PathFault::BadName => {
                f.write_str("a component is empty, . or .., or has a slash or a null character")
            }
            // Callers have words of their own for these, or have seen to it that they do not occur.
            other => fmt::Debug::fmt(other, f),
        }
    }
}
