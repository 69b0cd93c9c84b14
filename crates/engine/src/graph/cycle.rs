//! A dependency cycle, as a failure reports it.

use std::fmt;

use crate::KeyRef;

/// A cycle: each task waits for the next, and the last for the first. Begins with the least key (by rule name, then by
/// encoded bytes), whatever the schedule was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cycle {
    pub(crate) keys: Vec<KeyRef>,
}

impl Cycle {
    /// The tasks, each once.
    pub fn keys(&self) -> &[KeyRef] {
        &self.keys
    }
}

impl fmt::Display for Cycle {
    /// `A(1) -> B(2) -> A(1)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.keys.iter().try_for_each(|key| write!(f, "{key} -> "))?;
        write!(f, "{}", self.keys[0])
    }
}
