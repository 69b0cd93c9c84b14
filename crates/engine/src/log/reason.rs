//! The log of a build with keys and hashes, for users: why a task executed, and what was not deterministic.

use std::fmt;

use crate::graph::core::Core;
use crate::graph::ids::NodeId;
use crate::log::entries::{Cause, Executed};
use crate::{Hash, KeyRef};

/// Why a task executed.
#[derive(Clone, PartialEq, Eq, Debug)]
// With keys and hashes in place of numbers, which mean nothing outside of the engine.
pub enum Reason {
    /// No run of it is known.
    New,
    /// Its policy keeps no runs.
    Always,
    /// `Rule::VERSION` is not that of the known runs.
    RuleChanged,
    /// It was declared changed, or is a leaf and stale, or is verified by leaves only
    /// ([`crate::Policy::only_by_leaves`]) and no kept run has valid ones.
    Changed,
    /// Something that it had read has changed: the first in the order of reading; everything
    /// read before it is unchanged. For a task that is verified by leaves only: the first leaf below it that changed.
    Read {
        /// What it had read, or the leaf.
        dep: KeyRef,
        /// The hash that it had then.
        was: Option<Hash>,
        /// Its hash now; `None` if it has none that could be compared.
        is: Option<Hash>,
    },
    /// Something it had read is newer than what lies in its place ([`crate::Rebuild::Times`]).
    Newer {
        /// What it had read.
        dep: KeyRef,
    },
    /// The result is known to be the same, but the value was wanted and is no longer kept.
    ValueLost,
}

// For users of the library; taut has its own words.
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::New => f.write_str("it was never made before"),
            Reason::Always => f.write_str("it is made in every build"),
            Reason::RuleChanged => f.write_str("the code of its rule changed"),
            Reason::Changed => f.write_str("it was declared changed"),
            Reason::Read { dep, .. } => write!(f, "{dep} changed"),
            Reason::Newer { dep } => write!(f, "{dep} is newer"),
            Reason::ValueLost => f.write_str("its value was needed and no longer at hand"),
        }
    }
}

/// An execution.
#[derive(Clone, PartialEq, Eq)]
pub struct ExecutedTask {
    /// The task.
    pub key: KeyRef,
    /// The computation that executed.
    pub what: Executed,
    /// Why it had to.
    pub reason: Reason,
}

impl fmt::Debug for ExecutedTask {
    /// `Rule(key)`, or `hash of Rule(key)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Executed::Value => write!(f, "{}", self.key),
            Executed::Hash => write!(f, "hash of {}", self.key),
        }
    }
}

impl fmt::Display for ExecutedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A task that executed again with the same inputs and had another result: its rule is not deterministic.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Differs {
    /// The task.
    pub key: KeyRef,
    /// The hash that was taken for good.
    pub was: Option<Hash>,
    /// The hash of the new result.
    pub is: Option<Hash>,
}

impl Core {
    /// An entry of the log.
    pub(crate) fn spelled(&self, node: NodeId, what: Executed, cause: Cause) -> ExecutedTask {
        ExecutedTask { key: self.key_ref(node), what, reason: self.reason(cause) }
    }

    pub(crate) fn reason(&self, cause: Cause) -> Reason {
        match cause {
            Cause::New => Reason::New,
            Cause::Always => Reason::Always,
            Cause::RuleChanged => Reason::RuleChanged,
            Cause::Changed => Reason::Changed,
            Cause::ValueLost => Reason::ValueLost,
            Cause::Newer { dep } => Reason::Newer { dep: self.key_ref(dep) },
            Cause::Read { dep, was, is } => Reason::Read {
                dep: self.key_ref(dep),
                was: self.hash_of(dep, was),
                is: self.hash_of(dep, is),
            },
        }
    }
}
