//! Why a repository configuration cannot be used.

use std::fmt;

use taut_syntax::{Diagnostic, Location, Node};

/// Why a configuration cannot be used.
#[derive(Debug)]
pub struct ConfigError {
    /// The reason, and where.
    pub problem: Box<Diagnostic>,
}

impl ConfigError {
    pub(crate) fn at(node: Node<'_>, message: impl Into<String>) -> ConfigError {
        Diagnostic::error(message).at(place(node)).into()
    }
}

impl From<Diagnostic> for ConfigError {
    fn from(problem: Diagnostic) -> ConfigError {
        ConfigError { problem: Box::new(problem) }
    }
}

pub(crate) fn place(node: Node<'_>) -> Location {
    Location::value(node.document().label().clone(), node.path())
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for ConfigError {}
