//! What a build did: which tasks executed, in which order, and why.

mod derivation;
mod history;

pub use derivation::Derivation;
pub use history::{Kept, TaskId};

use std::fmt;

use crate::engine::Core;
use crate::node::{NodeId, Seq};
use crate::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
    lock,
};
use crate::{Hash, KeyRef};

/// Which computation of a task executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Executed {
    /// `Rule::value`.
    Value,
    /// `Rule::hash`, where a rule has its own.
    Hash,
}

/// Why a task executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Reason {
    /// No run of it is known.
    New,
    /// Its policy keeps no runs.
    Always,
    /// `Rule::VERSION` is not that of the known runs.
    RuleChanged,
    /// It was declared changed, or is a leaf and was to be looked at again, or goes by leaves only
    /// ([`crate::Policy::only_by_leaves`]) and there are none by which a kept run could be good.
    Changed,
    /// It had read something that is different now. The first in the order of reading; everything
    /// read before it is the same. For a task that goes by leaves only: the first leaf below it that is different.
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
    /// The result is known to be the same, but the value was wanted and is no longer at hand.
    ValueLost,
}

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
pub struct Ran {
    /// The task.
    pub key: KeyRef,
    /// Which of its computations.
    pub what: Executed,
    /// Why it had to.
    pub reason: Reason,
}

impl fmt::Debug for Ran {
    /// `Rule(key)`, or `hash of Rule(key)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.what {
            Executed::Value => write!(f, "{}", self.key),
            Executed::Hash => write!(f, "hash of {}", self.key),
        }
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// A task that was made again from the same inputs and came out different.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Differs {
    /// The task.
    pub key: KeyRef,
    /// The hash that was taken as good.
    pub was: Option<Hash>,
    /// The hash of what was made now.
    pub is: Option<Hash>,
}

/// Why a task executed, in numbers: spelled out ([`Reason`]) only if somebody asks.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cause {
    New,
    Always,
    RuleChanged,
    Changed,
    Read { dep: NodeId, was: Seq, is: Seq },
    Newer { dep: NodeId },
    ValueLost,
}

/// A task, the hash it was taken to have, the hash it came out with.
type Versions = (NodeId, Option<Hash>, Option<Hash>);

/// What happened in a build so far.
#[derive(Default)]
pub(crate) struct Log {
    ran: Mutex<Vec<(NodeId, Executed, Cause)>>,
    differs: Mutex<Vec<Versions>>,
    replayed: AtomicU64,
}

impl Log {
    pub(crate) fn executes(&self, node: NodeId, what: Executed, cause: Cause) {
        lock(&self.ran).push((node, what, cause));
    }

    pub(crate) fn replayed(&self) {
        self.replayed.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn replayed_so_many(&self, tasks: u64) {
        self.replayed.fetch_add(tasks, Ordering::Relaxed);
    }

    pub(crate) fn count_replayed(&self) -> u64 {
        self.replayed.load(Ordering::Relaxed)
    }

    pub(crate) fn differs(&self, node: NodeId, was: Option<Hash>, is: Option<Hash>) {
        lock(&self.differs).push((node, was, is));
    }

    pub(crate) fn ran(&self, core: &Core) -> Vec<Ran> {
        let ran = lock(&self.ran).clone();
        let spelled = |(node, what, cause)| Ran { key: core.key_ref(node), what, reason: core.reason(cause) };
        ran.into_iter().map(spelled).collect()
    }

    /// Why the node executed first.
    pub(crate) fn cause(&self, node: NodeId) -> Option<Cause> {
        self.executed(node).map(|(_, cause)| cause)
    }

    /// What executed of the node first, and why.
    pub(crate) fn executed(&self, node: NodeId) -> Option<(Executed, Cause)> {
        lock(&self.ran).iter().find(|(ran, ..)| *ran == node).map(|(_, what, cause)| (*what, *cause))
    }

    pub(crate) fn all_that_differ(&self, core: &Core) -> Vec<Differs> {
        let differs = lock(&self.differs).clone();
        differs.into_iter().map(|(node, was, is)| Differs { key: core.key_ref(node), was, is }).collect()
    }
}

impl Core {
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
