//! Faults to inject into file access, and its count: for tests.
//!
//! Off by default, at the price of one relaxed load a call. Switched on either by [`fail_nth`] or, for
//! whole processes, by the environment variable `TAUT_TEST_FAULT=N:ERRNO`, which makes the N-th call of
//! [`crate::At`], [`crate::Dir`] and [`crate::File`] (counted from 1) fail with that error number.

use std::{
    io,
    sync::{
        Once,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed},
    },
};

static ACTIVE: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static FAIL_AT: AtomicU64 = AtomicU64::new(0);
static ERRNO: AtomicI32 = AtomicI32::new(0);
static FROM_ENVIRONMENT: Once = Once::new();

/// Counts calls from now on and lets the `nth` one (from 1; 0 for none) fail with error number `errno`.
pub fn fail_nth(nth: u64, errno: i32) {
    CALLS.store(0, Relaxed);
    FAIL_AT.store(nth, Relaxed);
    ERRNO.store(errno, Relaxed);
    ACTIVE.store(true, Relaxed);
}

/// How many calls there were since [`fail_nth`].
pub fn calls() -> u64 {
    CALLS.load(Relaxed)
}

/// Every function of the file layer passes here first.
#[inline]
pub(crate) fn check() -> io::Result<()> {
    FROM_ENVIRONMENT.call_once(read_environment);
    if ACTIVE.load(Relaxed) { counted() } else { Ok(()) }
}

fn read_environment() {
    let Ok(text) = std::env::var("TAUT_TEST_FAULT") else { return };
    if let Some((nth, errno)) = text.split_once(':')
        && let (Ok(nth), Ok(errno)) = (nth.parse(), errno.parse())
    {
        fail_nth(nth, errno);
    }
}

#[cold]
fn counted() -> io::Result<()> {
    let call = CALLS.fetch_add(1, Relaxed) + 1;
    if call == FAIL_AT.load(Relaxed) {
        return Err(io::Error::from_raw_os_error(ERRNO.load(Relaxed)));
    }
    Ok(())
}
