//! What is being sent to a server: each object by one action, however many want it.

use std::{
    collections::{HashMap, HashSet, hash_map::Entry},
    future::poll_fn,
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
};

use taut_digest::Hash;

/// Whether it is a tree, and its hash.
pub(super) type Key = (bool, Hash);

/// The objects that are being sent, with those that wait for each.
#[derive(Default)]
pub(super) struct Claims(Mutex<HashMap<Key, Vec<Waker>>>);

/// Objects that one action sends. Those that are left when this is dropped are free again.
pub(super) struct Claimed<'c> {
    claims: &'c Claims,
    keys: HashSet<Key>,
}

impl Claims {
    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Vec<Waker>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Claims those of some objects that no other action sends.
    pub(super) fn claim(&self, wanted: impl Iterator<Item = Key>) -> Claimed<'_> {
        let mut all = self.lock();
        let mut keys = HashSet::new();
        for key in wanted {
            if let Entry::Vacant(free) = all.entry(key) {
                free.insert(Vec::new());
                keys.insert(key);
            }
        }
        Claimed { claims: self, keys }
    }

    /// Waits until no action sends an object, whether it arrived or not.
    pub(super) async fn wait(&self, key: Key) {
        poll_fn(|cx| match self.lock().get_mut(&key) {
            Some(waiting) => {
                // Under the lock under which `release` takes the wakers, so an end between the look-up and the
                // registration cannot be missed.
                waiting.push(cx.waker().clone());
                Poll::Pending
            }
            None => Poll::Ready(()),
        })
        .await;
    }

    fn release(&self, keys: impl Iterator<Item = Key>) {
        let mut wakers = Vec::new();
        let mut all = self.lock();
        for key in keys {
            wakers.extend(all.remove(&key).into_iter().flatten());
        }
        // Wakers may run code of executors, which must not meet the lock.
        drop(all);
        wakers.into_iter().for_each(Waker::wake);
    }
}

impl Claimed<'_> {
    pub(super) fn has(&self, key: &Key) -> bool {
        self.keys.contains(key)
    }

    /// Some of them are there now.
    pub(super) fn done(&mut self, keys: impl Iterator<Item = Key>) {
        let done: Vec<Key> = keys.filter(|key| self.keys.remove(key)).collect();
        self.claims.release(done.into_iter());
    }
}

impl Drop for Claimed<'_> {
    fn drop(&mut self) {
        self.claims.release(self.keys.drain());
    }
}

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context};

    use taut_digest::HashFunction;

    use super::*;

    fn is_ready(future: impl Future<Output = ()>) -> bool {
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    #[test]
    fn an_object_is_claimed_once_until_it_is_done_or_given_up() {
        let claims = Claims::default();
        let key = |text: &str| (false, HashFunction::GitSha1.blob(text.as_bytes()));
        let mut first = claims.claim([key("a"), key("b"), key("a")].into_iter());
        let second = claims.claim([key("b"), key("c")].into_iter());
        assert!(first.has(&key("a")) && first.has(&key("b")));
        assert!(!second.has(&key("b")) && second.has(&key("c")));
        assert!(!is_ready(claims.wait(key("b"))));
        first.done([key("b")].into_iter());
        assert!(is_ready(claims.wait(key("b"))) && !is_ready(claims.wait(key("a"))));
        drop(first);
        assert!(is_ready(claims.wait(key("a"))) && !is_ready(claims.wait(key("c"))));
    }
}
