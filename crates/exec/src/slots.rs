//! A bound on how many processes run at once, each with a place of its own.

use std::{
    collections::VecDeque,
    future::poll_fn,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// A fixed number of directories, lent out one at a time.
#[derive(Clone)]
pub(crate) struct Slots(Arc<Mutex<State>>);

struct State {
    free: Vec<PathBuf>,
    waiting: VecDeque<Waker>,
}

/// A directory lent out; given back when dropped.
pub(crate) struct Slot {
    pub(crate) directory: PathBuf,
    slots: Slots,
}

impl Slots {
    pub(crate) fn new(directories: Vec<PathBuf>) -> Slots {
        Slots(Arc::new(Mutex::new(State { free: directories, waiting: VecDeque::new() })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a free directory.
    pub(crate) async fn take(&self) -> Slot {
        let directory = poll_fn(|cx| {
            let mut state = self.state();
            match state.free.pop() {
                Some(directory) => Poll::Ready(directory),
                None => {
                    state.waiting.push_back(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        Slot { directory, slots: self.clone() }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.slots.state();
            state.free.push(std::mem::take(&mut self.directory));
            state.waiting.pop_front()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
