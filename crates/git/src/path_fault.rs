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
        f.write_str(match self {
            PathFault::BadName => "a component is empty, . or .., or has a slash or a null character",
            PathFault::Below(ObjectType::Symlink) => "it leads through a symbolic link",
            PathFault::Below(ObjectType::Tree) => "it leads into a tree that is stored already",
            PathFault::Below(_) => "it leads through a file",
            PathFault::BelowSubmodule => "it leads through a submodule",
            PathFault::Empty => "it is empty",
        })
    }
}
