//! What the first failure does to everything that has not begun.

use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// Whether new work may begin. What runs already runs to its end, so that its results are kept.
#[derive(Debug, Default)]
pub struct Halt {
    keep_going: bool,
    halted: AtomicBool,
    undefined: AtomicBool,
    lost: AtomicBool,
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

    /// Something was to be built of which there is no definition. What can be built all the same is of use to the next
    /// try.
    pub fn note_undefined(&self) {
        self.undefined.store(true, SeqCst);
    }

    /// Whether that was so.
    pub fn is_undefined(&self) -> bool {
        self.undefined.load(SeqCst)
    }

    /// Something that was taken to be in the store is not there, or damaged, and counts as absent from now on.
    pub fn note_lost(&self) {
        self.lost.store(true, SeqCst);
    }

    /// Whether that was so.
    pub fn is_lost(&self) -> bool {
        self.lost.load(SeqCst)
    }

    /// Another build begins, in which nothing has failed yet.
    pub fn reset(&self) {
        self.halted.store(false, SeqCst);
        self.undefined.store(false, SeqCst);
        self.lost.store(false, SeqCst);
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
