//! A limit on how many processes run at once, each with a directory of its own.

use std::{
    collections::VecDeque,
    future::poll_fn,
    ops::{Deref, DerefMut},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

/// A limited number of values, lent out one at a time. Each is made when it is wanted and no other is free, since the
/// limit may be any number.
pub(crate) struct Slots<T>(Arc<Mutex<SlotsState<T>>>);

struct SlotsState<T> {
    free: Vec<T>,
    /// How many there are, lent or free; at least one.
    made: usize,
    /// How many there may be.
    limit: usize,
    // In order of arrival, so no action waits while later ones run again and again.
    waiting: VecDeque<Waker>,
}

/// A value lent out; given back when dropped.
pub(crate) struct Slot<T> {
    /// Taken only by `drop`.
    lent: Option<T>,
    slots: Arc<Mutex<SlotsState<T>>>,
}

fn lock<T>(state: &Mutex<SlotsState<T>>) -> MutexGuard<'_, SlotsState<T>> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T> Slots<T> {
    pub(crate) fn new(first: T, limit: usize) -> Slots<T> {
        let state = SlotsState { free: vec![first], made: 1, limit, waiting: VecDeque::new() };
        Slots(Arc::new(Mutex::new(state)))
    }

    /// Waits for a free value; the one given back last is taken first, since its files are most likely in the page
    /// cache. Values are made by number; where one cannot be made, there is no further one.
    pub(crate) async fn take(&self, make: impl Fn(usize) -> Option<T>) -> Slot<T> {
        let lent = poll_fn(|cx| {
            let mut state = lock(&self.0);
            if let Some(lent) = state.free.pop() {
                return Poll::Ready(lent);
            }
            if state.made < state.limit {
                match make(state.made) {
                    Some(new) => {
                        state.made += 1;
                        return Poll::Ready(new);
                    }
                    // With fewer the build is slower, not wrong.
                    None => state.limit = state.made,
                }
            }
            // Under the lock under which values are given back, so a value cannot become free unnoticed. A waker may be
            // in the queue twice if the future is polled again; waking it in vain is harmless.
            state.waiting.push_back(cx.waker().clone());
            Poll::Pending
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

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::Future, pin::pin, task::Context};

    use super::*;

    /// What a future yields if it does not have to wait.
    fn now<T>(future: impl Future<Output = T>) -> Option<T> {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        }
    }

    #[test]
    fn values_are_made_when_they_are_wanted() {
        let slots = Slots::new(0, usize::MAX);
        let made = Cell::new(0);
        let make = |number| {
            made.set(made.get() + 1);
            Some(number)
        };
        drop(now(slots.take(make)).unwrap());
        let first = now(slots.take(make)).unwrap();
        assert_eq!((*first, made.get()), (0, 0));
        let second = now(slots.take(make)).unwrap();
        assert_eq!((*second, made.get()), (1, 1));
        drop(first);
        assert_eq!(*now(slots.take(make)).unwrap(), 0);
    }

    #[test]
    fn no_more_are_lent_than_the_limit_or_than_can_be_made() {
        let slots = Slots::new(0, 2);
        let lent = [now(slots.take(Some)).unwrap(), now(slots.take(Some)).unwrap()];
        assert!(now(slots.take(Some)).is_none());
        drop(lent);
        assert!(now(slots.take(Some)).is_some());

        let slots = Slots::new(0, 3);
        let only = now(slots.take(|_| None)).unwrap();
        assert!(now(slots.take(|_| None)).is_none());
        drop(only);
        assert!(now(slots.take(|_| None)).is_some());
    }
}
