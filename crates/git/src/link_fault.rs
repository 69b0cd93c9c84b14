//! Why a link cannot be replaced by what it leads to.

use std::fmt;

/// Why a link cannot be replaced.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkFault {
    /// It is absolute or leads out of the tree; its target.
    Outside(String),
    /// There is nothing where it leads; its target.
    Dangling(String),
    /// It leads to itself or to a directory in which it is; the links on the way there, in the order in which they are
    /// followed, itself last.
    Cycle(Vec<String>),
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LinkFault::Outside(target) => write!(f, "leads out of it: {target:?}"),
            LinkFault::Dangling(target) => write!(f, "leads to nothing: {target:?}"),
            LinkFault::Cycle(links) => {
                f.write_str("leads to itself or to a directory above it")?;
                // A single one is the link that the message is about.
                if links.len() > 1 {
                    f.write_str(", by the links ")?;
                    for (at, link) in links.iter().enumerate() {
                        let separator = if at == 0 { "" } else { ", " };
                        write!(f, "{separator}{link:?}")?;
                    }
                }
                Ok(())
            }
        }
    }
}
