//! What the first failure does to everything that has not begun.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Whether new work may begin. What runs already runs to its end, so that its results are kept.
#[derive(Debug, Default)]
pub struct Halt {
    keep_going: bool,
    halted: AtomicBool,
}

impl Halt {
    /// Nothing has failed yet. With `keep_going`, failures change nothing.
    pub fn new(keep_going: bool) -> Halt {
        Halt { keep_going, ..Halt::default() }
    }

    /// Something failed.
    pub fn note_failure(&self) {
        if !self.keep_going {
            self.stop();
        }
    }

    /// Another build begins, in which nothing has failed yet.
    pub fn reset(&self) {
        self.halted.store(false, SeqCst);
    }

    /// Nothing new is to begin, whatever was said about failures.
    pub fn stop(&self) {
        self.halted.store(true, SeqCst);
    }

    /// Whether nothing new is to begin.
    pub fn is_halted(&self) -> bool {
        self.halted.load(SeqCst)
    }
}
