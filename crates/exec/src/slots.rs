//! A limit on how many processes run at once, each with a directory of its own.

use std::{
    collections::VecDeque,
    future::poll_fn,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// A fixed number of values, lent out one at a time.
pub(crate) struct Slots<T>(Arc<Mutex<State<T>>>);

struct State<T> {
    free: Vec<T>,
    waiting: VecDeque<Waker>,
}

/// A value lent out; given back when dropped.
pub(crate) struct Slot<T> {
    /// Taken only by `drop`.
    lent: Option<T>,
    slots: Arc<Mutex<State<T>>>,
}

fn lock<T>(state: &Mutex<State<T>>) -> MutexGuard<'_, State<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Slots<T> {
    pub(crate) fn new(free: Vec<T>) -> Slots<T> {
        Slots(Arc::new(Mutex::new(State { free, waiting: VecDeque::new() })))
    }

    /// Waits for a free value; the one given back last is taken first, since its files are most likely in the page
    /// cache.
    pub(crate) async fn take(&self) -> Slot<T> {
        let lent = poll_fn(|cx| {
            let mut state = lock(&self.0);
            match state.free.pop() {
                Some(lent) => Poll::Ready(lent),
                None => {
                    // Under the lock under which values are given back, so a value cannot become free unnoticed. A
                    // waker may be in the queue twice if the future is polled again; waking it in vain is harmless.
                    state.waiting.push_back(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
        .await;
        Slot { lent: Some(lent), slots: self.0.clone() }
    }
}

impl<T> Deref for Slot<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.lent.as_ref().expect("lent until dropped")
    }
}

impl<T> DerefMut for Slot<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.lent.as_mut().expect("lent until dropped")
    }
}

impl<T> Drop for Slot<T> {
    fn drop(&mut self) {
        let waker = {
            let mut state = lock(&self.slots);
            // Added to `free` before the waiter is woken, under the lock that the waiter takes: so the value cannot be
            // missed. A waiter that finds it taken by another task registers again.
            state.free.extend(self.lent.take());
            state.waiting.pop_front()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
