//! How a build is to be run.

use std::fmt;

use crate::graph::core::Core;
use crate::graph::ids::NodeId;
use crate::sync::{Arc, OnceLock};
use crate::{Cancel, Rule};

/// How a build is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Threads that run tasks, the calling one among them. At least 1.
    pub jobs: usize,
    /// Go on starting tasks after a failure that may not happen again ([`crate::Fail::Transient`]). Failures that
    /// follow from the inputs never stop anything: they are results.
    pub keep_going: bool,
    /// Ends the build early, from another thread.
    pub cancel: Cancel,
    /// What would happen if all tasks but some were up to date (a what-if build).
    pub what_if: Option<WhatIf>,
}

impl Default for Options {
    /// One thread per core, keeps going, for real.
    fn default() -> Options {
        // Determined once: the system reads a dozen files for it.
        static CORES: OnceLock<usize> = OnceLock::new();
        let jobs = *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
        Options { jobs, keep_going: true, cancel: Cancel::default(), what_if: None }
    }
}

/// A what-if build: assumes that every task with a kept run is as in its latest one, except those named. Nothing of
/// such a build is recorded.
#[derive(Clone, Default)]
pub struct WhatIf {
    #[allow(clippy::type_complexity, reason = "a list of lookups in an engine not yet known")]
    // Functions, since a key has its rule's type, and options are made before any engine is known.
    pub(crate) suspects: Vec<Arc<dyn Fn(&Core) -> Option<NodeId> + Send + Sync>>,
}

impl WhatIf {
    /// Assume everything.
    pub fn new() -> WhatIf {
        WhatIf::default()
    }

    /// Does not assume it of this task: it is verified, and executed if need be.
    pub fn except<R: Rule>(mut self, key: R::Key) -> WhatIf {
        self.suspects.push(Arc::new(move |core| match core.traces {
            // It may have no node in this process yet, while its runs are in the file.
            Some(_) => Some(core.intern::<R>(key.clone())),
            None => core.find::<R>(&key),
        }));
        self
    }
}

impl fmt::Debug for WhatIf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "WhatIf {{ {} suspects }}", self.suspects.len())
    }
}
