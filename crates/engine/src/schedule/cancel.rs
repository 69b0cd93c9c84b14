//! Cancellation of builds from another thread.

use std::fmt;

use crate::sync::{
    Arc, Mutex, Weak,
    atomic::{AtomicBool, Ordering},
    lock,
};

/// A build, as something that can be cancelled.
pub(crate) trait Cancellable: Send + Sync {
    /// Ends everything that is not done.
    fn end(self: Arc<Self>);
}

/// A switch that ends builds. Clones are the same switch.
#[derive(Clone, Default)]
pub struct Cancel {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_cancelled: AtomicBool,
    // Weak: a switch may live longer than its builds, and must not keep them.
    builds: Mutex<Vec<Weak<dyn Cancellable>>>,
}

impl Cancel {
    /// Ends all builds that have this switch: running computations are dropped where they wait (or when their
    /// present step returns), every open request is answered [`crate::Fail::Cancelled`]. Not for signal handlers.
    pub fn cancel(&self) {
        // The flag first: a build that is registered after the list was read finds it set.
        self.shared.is_cancelled.store(true, Ordering::Release);
        // Copied, so that no lock is held while builds end, which runs code of rules when futures are dropped.
        let builds = lock(&self.shared.builds).clone();
        builds.iter().filter_map(Weak::upgrade).for_each(|build| build.end());
    }

    /// Registers a build that has this switch.
    pub(crate) fn note(&self, build: Weak<dyn Cancellable>) {
        let mut builds = lock(&self.shared.builds);
        // Here, since a process may make one build after the other with the same switch.
        builds.retain(|build| build.strong_count() > 0);
        builds.push(build);
    }

    /// Whether [`Cancel::cancel`] was called.
    pub fn is_cancelled(&self) -> bool {
        self.shared.is_cancelled.load(Ordering::Acquire)
    }
}

impl fmt::Debug for Cancel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cancel({})", self.is_cancelled())
    }
}
