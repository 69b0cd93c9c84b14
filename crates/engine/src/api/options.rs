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
    /// Ask what would happen if all tasks but some were up to date.
    pub what_if: Option<WhatIf>,
}

impl Default for Options {
    /// One thread per core, keeps going, for real.
    fn default() -> Options {
        // The system is asked once: it answers by reading a dozen files.
        static CORES: OnceLock<usize> = OnceLock::new();
        let jobs = *CORES.get_or_init(|| std::thread::available_parallelism().map_or(1, usize::from));
        Options { jobs, keep_going: true, cancel: Cancel::default(), what_if: None }
    }
}

/// Assume that every task with a known run is as in its latest, except those named. The results of such a
/// build answer a question: nothing of them is recorded.
#[derive(Clone, Default)]
pub struct WhatIf {
    #[allow(clippy::type_complexity, reason = "a list of lookups in an engine not yet known")]
    pub(crate) suspects: Vec<Arc<dyn Fn(&Core) -> Option<NodeId> + Send + Sync>>,
}

impl WhatIf {
    /// Assume everything.
    pub fn new() -> WhatIf {
        WhatIf::default()
    }

    /// But not of this task: it is checked, and executed if need be.
    pub fn but<R: Rule>(mut self, key: R::Key) -> WhatIf {
        self.suspects.push(Arc::new(move |core| match core.traces {
            // Nobody may have asked for it yet in this process: its runs are in the file.
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
