//! Injection of faults into file access, and a count and log of it: for tests.
//!
//! Off by default, at the price of one relaxed load per call. Switched on by [`fail_nth`] or, for whole processes, by
//! an environment variable. `TAUT_TEST_FAULT=N:ERRNO` makes the N-th call of [`crate::At`], [`crate::Dir`] and
//! [`crate::File`] (counted from 1) fail with that error number. `TAUT_TEST_FAULT=OPERATION@PART:ERRNO` does so for all
//! calls of an operation (with `-` for blanks) at paths that contain the text PART. In place of the number, `panic`
//! makes the thread panic there. Others act on the file at that path before each call, like another program at the
//! wrong moment: `change` appends a byte, `link` gives it a second name. A number in parentheses is the number of such
//! calls that pass before the first fault: `open@/in:2(1)`; a second one, the number of faults, after which all calls
//! pass again: `open@/in:2(1+3)`. Several faults are separated by commas.
//!
//! What is not a call of the file layer, as the start of a process or a thread, has a [`point`] of its own for this,
//! which is neither counted nor logged.
//!
//! `TAUT_TEST_LIMIT=NAME:N` sets a [`limit`] that only large data or long waits reach; several are separated by commas.
//! `TAUT_TEST_SALT=TEXT` makes a process one of another kind of machine, or of another version ([`salt`]).
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
    path::{Path, PathBuf},
    sync::{
        Once, OnceLock,
        atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use crate::normal;

// In every build, not behind a feature: the binary of users is the one that is tested.
static ACTIVE: AtomicBool = AtomicBool::new(false);
static CALLS: AtomicU64 = AtomicU64::new(0);
static FAIL_AT: AtomicU64 = AtomicU64::new(0);
static ERRNO: AtomicI32 = AtomicI32::new(0);
static FAIL_WHERE: OnceLock<Vec<Faulty>> = OnceLock::new();
static LOG: OnceLock<fs::File> = OnceLock::new();
static FROM_ENVIRONMENT: Once = Once::new();

/// The calls that get a fault.
struct Faulty {
    op: String,
    part: String,
    effect: Effect,
    /// How many calls still pass.
    passing: AtomicU64,
    /// How many calls have the effect then.
    failing: AtomicU64,
}

/// What becomes of a call.
#[derive(Clone, Copy)]
enum Effect {
    Error(i32),
    Panic,
    Change,
    Link,
}

impl Faulty {
    /// Reads `OPERATION@PART:EFFECT`, with `(PASSING)` or `(PASSING+FAILING)` behind it.
    fn parse(text: &str) -> Option<Faulty> {
        let (place, effect) = text.rsplit_once(':')?;
        let (op, part) = place.split_once('@')?;
        let (effect, counts) = match effect.strip_suffix(')').and_then(|effect| effect.split_once('(')) {
            Some((effect, counts)) => (effect, counts),
            None => (effect, "0"),
        };
        let (passing, failing) = match counts.split_once('+') {
            Some((passing, failing)) => (passing.parse().ok()?, failing.parse().ok()?),
            None => (counts.parse().ok()?, u64::MAX),
        };
        let effect = match effect {
            "panic" => Effect::Panic,
            "change" => Effect::Change,
            "link" => Effect::Link,
            errno => Effect::Error(errno.parse().ok()?),
        };
        let (passing, failing) = (AtomicU64::new(passing), AtomicU64::new(failing));
        Some(Faulty { op: op.replace('-', " "), part: part.to_owned(), effect, passing, failing })
    }

    /// What becomes of this call, if it is one of those.
    fn effect(&self, op: &str, path: &Path) -> Option<Effect> {
        let is_meant = op == self.op && path.to_string_lossy().contains(&*self.part);
        let is_one_of =
            |left: &AtomicU64| left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok();
        (is_meant && !is_one_of(&self.passing) && is_one_of(&self.failing)).then_some(self.effect)
    }
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
    if text.contains('@') {
        // A fault that cannot be parsed is left out, and the test that expects it fails.
        let _ = FAIL_WHERE.set(text.split(',').filter_map(Faulty::parse).collect());
        fail_nth(0, 0);
    } else if let Some((nth, errno)) = text.split_once(':')
        && let (Ok(nth), Ok(errno)) = (nth.parse(), errno.parse())
    {
        fail_nth(nth, errno);
    }
}

/// A place that is not a call of the file layer and can fail by `TAUT_TEST_FAULT=OPERATION@PART:ERRNO`.
///
/// # Errors
/// It is to.
pub fn point(op: &'static str, path: &Path) -> io::Result<()> {
    FROM_ENVIRONMENT.call_once(read_environment);
    if ACTIVE.load(Relaxed) { fail_there(op, path) } else { Ok(()) }
}

#[cold]
#[allow(clippy::disallowed_methods, reason = "what another program does is not a call of this one")]
fn fail_there(op: &str, path: &Path) -> io::Result<()> {
    match FAIL_WHERE.get().into_iter().flatten().find_map(|faulty| faulty.effect(op, path)) {
        Some(Effect::Error(errno)) => Err(io::Error::from_raw_os_error(errno)),
        // Without what the panic hook prints: the number of the thread differs from run to run.
        Some(Effect::Panic) => {
            std::panic::resume_unwind(Box::new(format!("TAUT_TEST_FAULT: {op} {}", path.display())))
        }
        Some(Effect::Change) => fs::File::options().append(true).open(path)?.write_all(b"\n"),
        Some(Effect::Link) => {
            let mut second = path.as_os_str().to_owned();
            second.push(".second");
            match fs::hard_link(path, second) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
                linked => linked,
            }
        }
        None => Ok(()),
    }
}

/// A limit of the program, which only large data or long waits reach: the usual one, or what `TAUT_TEST_LIMIT` has for
/// it.
pub fn limit(name: &str, usual: u64) -> u64 {
    let Ok(text) = std::env::var("TAUT_TEST_LIMIT") else { return usual };
    let of_name = |part: &str| part.strip_prefix(name)?.strip_prefix(':')?.parse().ok();
    text.split(',').find_map(of_name).unwrap_or(usual)
}

/// [`limit`] of a time; in `TAUT_TEST_LIMIT` it is in milliseconds.
pub fn time_limit(name: &str, usual: Duration) -> Duration {
    Duration::from_millis(limit(name, usual.as_millis().try_into().unwrap_or(u64::MAX)))
}

/// What keeps results of actions on different machines apart: a version and a kind of machine, in place of which
/// `TAUT_TEST_SALT` has a text, with `%` for that kind.
pub fn salt(version: &str, machine: &str) -> String {
    match std::env::var("TAUT_TEST_SALT") {
        Ok(text) => text.replace('%', machine),
        Err(_) => format!("{version}{machine}"),
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
    // Relaxed: set by this thread, or by `read_environment`, which each thread has waited for (`check`).
    if call == FAIL_AT.load(Relaxed) {
        return Err(io::Error::from_raw_os_error(ERRNO.load(Relaxed)));
    }
    if FAIL_WHERE.get().is_some() { fail_there(op, &path()) } else { Ok(()) }
}
