//! What the first failure, or an interruption, does to everything that has not begun.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Whether new work may begin. What runs already runs to its end, so that its results are kept.
#[derive(Debug, Default)]
pub struct Halt {
    keep_going: bool,
    halted: AtomicBool,
    interrupted: AtomicBool,
}

impl Halt {
    /// Nothing has failed yet. With `keep_going`, failures change nothing.
    pub fn new(keep_going: bool) -> Halt {
        Halt { keep_going, ..Halt::default() }
    }

    /// Something failed.
    pub fn note_failure(&self) {
        if !self.keep_going {
            self.halted.store(true, SeqCst);
        }
    }

    /// Another build begins, in which nothing has failed yet. An interruption lasts.
    pub fn reset(&self) {
        self.halted.store(false, SeqCst);
    }

    /// The call is to end: nothing new is to begin, and what runs is going to be ended. To be called before that.
    pub fn interrupt(&self) {
        self.interrupted.store(true, SeqCst);
    }

    /// Whether nothing new is to begin.
    pub fn is_halted(&self) -> bool {
        self.halted.load(SeqCst) || self.is_interrupted()
    }

    /// Whether the call is to end, so that what runs did not end by itself.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(SeqCst)
    }
}
