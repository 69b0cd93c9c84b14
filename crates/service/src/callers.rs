//! The number of callers that are about to ask a service. A batch waits a moment for their questions, and does not wait
//! if no other question can come.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The callers of a service that are about to ask it something. Callers that are not counted are answered, too, but
/// batches do not wait for them.
// Relaxed: a count that is a moment old costs a moment or a call, and nothing is published by it.
#[derive(Clone, Default, Debug)]
// A count, not a lock or a channel: a batch reads it when it decides whether to wait a moment longer.
pub struct Callers(Arc<AtomicUsize>);

/// A caller, counted until it is dropped.
#[derive(Debug)]
pub struct Caller(Callers);

impl Callers {
    /// Counts a caller that will ask one question after the other.
    pub fn enter(&self) -> Caller {
        self.0.fetch_add(1, Relaxed);
        Caller(self.clone())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Caller {
    /// Waits for something other than an answer. Meanwhile the caller does not count, since it cannot ask.
    pub async fn without_counting<T>(&self, what: impl Future<Output = T>) -> T {
        /// Counts it again, also if what it waits for is dropped.
        struct Uncounted<'c>(&'c Callers);
        impl Drop for Uncounted<'_> {
            fn drop(&mut self) {
                self.0.0.fetch_add(1, Relaxed);
            }
        }
        self.0.0.fetch_sub(1, Relaxed);
        let _uncounted = Uncounted(&self.0);
        what.await
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, ready};
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    #[test]
    fn a_caller_counts_except_while_it_waits_for_something_else() {
        let callers = Callers::default();
        let (first, second) = (callers.enter(), callers.enter());
        assert_eq!(callers.count(), 2);
        {
            let mut uncounted = pin!(first.without_counting(pending::<()>()));
            assert!(uncounted.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(callers.count(), 1);
        }
        assert_eq!(callers.count(), 2);
        crate::wait(second.without_counting(ready(())));
        drop(first);
        assert_eq!(callers.count(), 1);
        drop(second);
        assert_eq!(callers.count(), 0);
    }
}
