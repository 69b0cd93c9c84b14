//! The end of a set-up by a signal: its processes end, transfers stop, and nothing of what it began is left.
//!
//! What was begun lies in temporary directories of the build root. As a rule the threads of the set-up remove these on
//! their way out; those that do not get there in time, since a server does not answer, are not waited for.

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    time::Duration,
};

use taut_store::{Result, Store, TemporaryDir};
use taut_sys::process::{HelperStart, Processes};

/// Ends a set-up, from another thread.
#[derive(Clone, Default)]
pub struct Cancellation(Arc<CancellationState>);

#[derive(Default)]
struct CancellationState {
    // SeqCst, as for all that a signal sets in motion: cancelling happens once, so nothing is gained by a weaker
    // ordering, and the order of this and the starting of processes is what `cancel` relies on.
    is_cancelled: AtomicBool,
    processes: Mutex<Option<Processes>>,
    // Weak, so that a directory is removed when its owner is done, and not only with the set-up.
    scratch: Mutex<Vec<Weak<TemporaryDir>>>,
    /// How many calls of the set-up are under way.
    running: Mutex<usize>,
    ended: Condvar,
}

impl Cancellation {
    /// Whether the set-up is no longer wanted.
    pub fn is_cancelled(&self) -> bool {
        self.0.is_cancelled.load(SeqCst)
    }

    /// Ends the set-up: waits until it has removed what it began, at most for the given time, and removes the rest.
    pub fn cancel(&self, within: Duration) {
        // Before the processes are ended: those that are started from now on find it.
        self.0.is_cancelled.store(true, SeqCst);
        let processes = lock(&self.0.processes).clone();
        if let Some(processes) = processes {
            // Ended first, as a thread that waits for `git` gets on only with its end.
            processes.end_all();
        }
        let running = lock(&self.0.running);
        // The time is bounded: a thread may be in a system call that does not return, as one on a file system of a
        // network.
        let waited = self.0.ended.wait_timeout_while(running, within, |running| *running > 0);
        drop(waited);
        // Held to the end of the process, so that no thread makes another one.
        let scratch = lock(&self.0.scratch);
        scratch.iter().filter_map(Weak::upgrade).for_each(|directory| directory.remove());
        std::mem::forget(scratch);
    }

    /// A call of the set-up is under way until what this returns is dropped.
    pub(crate) fn begin(&self) -> Running<'_> {
        *lock(&self.0.running) += 1;
        Running(self)
    }

    pub(crate) fn processes(&self) -> Processes {
        // The helper process starts with the first command: a set-up that runs none starts none.
        lock(&self.0.processes).get_or_insert_with(|| Processes::new(HelperStart::this_program())).clone()
    }

    /// A fresh directory of a store for temporary files.
    pub(crate) fn scratch(&self, store: &Store, kind: &str) -> Result<Scratch> {
        // Held while the directory is made, so that `cancel` either sees it or prevents it.
        let mut all = lock(&self.0.scratch);
        let made = Arc::new(store.temporary_directory(kind)?);
        // Bounded by the directories that are in use, however many a set-up makes.
        all.retain(|directory| directory.strong_count() > 0);
        all.push(Arc::downgrade(&made));
        Ok(Scratch(made))
    }
}

/// See [`Cancellation::begin`].
pub(crate) struct Running<'c>(&'c Cancellation);

impl Drop for Running<'_> {
    fn drop(&mut self) {
        *lock(&self.0.0.running) -= 1;
        self.0.0.ended.notify_all();
    }
}

/// A directory for temporary files that is removed when this is dropped.
pub(crate) struct Scratch(Arc<TemporaryDir>);

impl std::ops::Deref for Scratch {
    type Target = TemporaryDir;

    fn deref(&self) -> &TemporaryDir {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.0.remove();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
