//! The number of callers that are about to ask a service. A batch waits a moment for their questions, and does not wait
//! if no other question can come.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

/// The askers of a service that are about to ask it something. Callers that are not counted are answered, too, but
/// batches do not wait for them.
// Relaxed: a count that is a moment old costs a moment or a call, and nothing is published by it.
#[derive(Clone, Default, Debug)]
// A count, not a lock or a channel: a batch reads it when it decides whether to wait a moment longer.
pub struct Askers(Arc<AtomicUsize>);

/// An asker, counted until it is dropped.
#[derive(Debug)]
pub struct Asker(Askers);

impl Askers {
    /// Counts an asker that will ask one question after the other.
    pub fn enter(&self) -> Asker {
        self.0.fetch_add(1, Relaxed);
        Asker(self.clone())
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.load(Relaxed)
    }
}

impl Asker {
    /// Waits for something other than an answer. Meanwhile the asker does not count, since it cannot ask.
    pub async fn apart<T>(&self, what: impl Future<Output = T>) -> T {
        /// Counts it again, also if what it waits for is dropped.
        struct Apart<'c>(&'c Askers);
        impl Drop for Apart<'_> {
            fn drop(&mut self) {
                self.0.0.fetch_add(1, Relaxed);
            }
        }
        self.0.0.fetch_sub(1, Relaxed);
        let _apart = Apart(&self.0);
        what.await
    }
}

impl Drop for Asker {
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
    fn an_asker_counts_except_while_it_waits_for_something_else() {
        let askers = Askers::default();
        let (first, second) = (askers.enter(), askers.enter());
        assert_eq!(askers.count(), 2);
        {
            let mut apart = pin!(first.apart(pending::<()>()));
            assert!(apart.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
            assert_eq!(askers.count(), 1);
        }
        assert_eq!(askers.count(), 2);
        crate::wait(second.apart(ready(())));
        drop(first);
        assert_eq!(askers.count(), 1);
        drop(second);
        assert_eq!(askers.count(), 0);
    }
}
