//! Which answers of servers this process waits for: for displays, while nothing else happens.
//!
//! One list for all clients of the process, since a display shows what holds up the call, whichever part of it that is.
//! A wait begins with a question, and ends with the answer, or with the next piece of a stream; where attempts fail, it
//! goes on until one succeeds.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

/// An answer that is waited for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wait {
    /// The address of the server.
    pub server: Arc<str>,
    /// The call.
    pub call: &'static str,
    /// Since when.
    pub since: Instant,
}

// By number, since several waits may be equal in all else; numbers are never used twice.
struct Waits {
    last: u64,
    open: BTreeMap<u64, Wait>,
}

// Global: displays and clients are made in different places, and a process has one display. The lock is held for one
// operation on the map.
static WAITS: Mutex<Waits> = Mutex::new(Waits { last: 0, open: BTreeMap::new() });

fn waits() -> MutexGuard<'static, Waits> {
    WAITS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What has been waited for longest, if anything is.
pub fn longest_wait() -> Option<Wait> {
    waits().open.values().min_by_key(|wait| wait.since).cloned()
}

/// A wait that ends when this is dropped.
pub(crate) struct Waiting(u64);

impl Waiting {
    pub(crate) fn begin(server: &Arc<str>, call: &'static str, since: Instant) -> Waiting {
        let mut waits = waits();
        waits.last += 1;
        let number = waits.last;
        waits.open.insert(number, Wait { server: server.clone(), call, since });
        Waiting(number)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        waits().open.remove(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_longest_wait_is_the_one_that_began_first() {
        // Long before those of other tests in this process.
        let first = Instant::now().checked_sub(Duration::from_secs(9)).unwrap();
        let server: Arc<str> = "server:1".into();
        let long = Waiting::begin(&server, "Long", first);
        let longer = Waiting::begin(&server, "Longer", first.checked_sub(Duration::from_secs(9)).unwrap());
        assert_eq!(longest_wait().unwrap().call, "Longer");
        drop(longer);
        let wait = longest_wait().unwrap();
        assert_eq!((wait.call, &wait.server, wait.since), ("Long", &server, first));
        drop(long);
        assert!(longest_wait().is_none_or(|wait| wait.server != server));
    }
}
