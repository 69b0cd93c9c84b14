//! Injection of faults into file access, and a count and log of it: for tests.
//!
//! Off by default, at the price of one relaxed load per call. Switched on either by [`fail_nth`] or, for whole
//! processes, by the environment variable `TAUT_TEST_FAULT=N:ERRNO`, which makes the N-th call of [`crate::At`],
//! [`crate::Dir`] and [`crate::File`] (counted from 1) fail with that error number, or
//! `TAUT_TEST_FAULT=OPERATION@PART:ERRNO`, which does so to all calls of an operation (with `-` for blanks) at paths that
//! contain a text.
//!
//! All atomics are relaxed: a test sets them before it calls, and counts after its threads have been joined.
//!
//! `TAUT_TEST_CALLS=FILE` appends a line to a file for each such call: how it names the file (`name` or `descriptor`),
//! the operation, and the path, separated by blanks. So a test counts how often a process looks at each file.

use std::{
    ffi::OsString,
    fs,
    io::{self, Write},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    sync::{
        Once, OnceLock,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed},
    },
};

use crate::normal;

static ACTIVE: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static FAIL_AT: AtomicU64 = AtomicU64::new(0);
static ERRNO: AtomicI32 = AtomicI32::new(0);
static FAIL_WHERE: OnceLock<Faulty> = OnceLock::new();
static LOG: OnceLock<fs::File> = OnceLock::new();
static FROM_ENVIRONMENT: Once = Once::new();

/// Which calls fail.
struct Faulty {
    op: String,
    part: String,
}

/// How a call names its file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NamedBy {
    Name,
    Descriptor,
}

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

/// Every function of the file layer calls this first.
#[inline]
pub(crate) fn check(by: NamedBy, op: &'static str, path: impl Fn() -> PathBuf) -> io::Result<()> {
    FROM_ENVIRONMENT.call_once(read_environment);
    // The only cost in normal operation.
    if ACTIVE.load(Relaxed) { count_and_maybe_fail(by, op, path) } else { Ok(()) }
}

fn read_environment() {
    if let Some(path) = std::env::var_os("TAUT_TEST_CALLS") {
        log_to(path);
    }
    let Ok(text) = std::env::var("TAUT_TEST_FAULT") else { return };
    let Some((which, errno)) = text.rsplit_once(':') else { return };
    let Ok(errno) = errno.parse() else { return };
    if let Some((op, part)) = which.split_once('@') {
        let _ = FAIL_WHERE.set(Faulty { op: op.replace('-', " "), part: part.to_owned() });
        fail_nth(0, errno);
    } else if let Ok(nth) = which.parse() {
        fail_nth(nth, errno);
    }
}

/// Logs all calls from now on, to the end of a file.
#[allow(clippy::disallowed_methods, reason = "the log does not log itself")]
fn log_to(path: OsString) {
    if let Ok(file) = fs::File::options().append(true).create(true).open(path) {
        let _ = LOG.set(file);
        ACTIVE.store(true, Relaxed);
    }
}

#[cold]
fn count_and_maybe_fail(by: NamedBy, op: &'static str, path: impl Fn() -> PathBuf) -> io::Result<()> {
    if let Some(mut log) = LOG.get() {
        let by = if by == NamedBy::Name { "name" } else { "descriptor" };
        let op = op.replace(' ', "-");
        // One write per line, so that lines of threads and processes do not mix; a lost line fails the test that
        // counts.
        let line = [by.as_bytes(), b" ", op.as_bytes(), b" ", normal(&path()).as_os_str().as_bytes(), b"\n"]
            .concat();
        let _ = log.write_all(&line);
    }
    let call = CALLS.fetch_add(1, Relaxed) + 1;
    let is_faulty = |faulty: &Faulty| op == faulty.op && path().to_string_lossy().contains(&*faulty.part);
    // Relaxed: set by this thread, or by `read_environment`, which each thread has waited for (`check`).
    if call == FAIL_AT.load(Relaxed) || FAIL_WHERE.get().is_some_and(is_faulty) {
        return Err(io::Error::from_raw_os_error(ERRNO.load(Relaxed)));
    }
    Ok(())
}
