//! The cost of a command: processor time of its whole process tree, wall time, peak memory.
//!
//! The command runs under a small process of its own (`xtask measure FILE COMMAND…`), for two reasons. The kernel
//! reports as peak memory of a child at least what its parent occupied when it forked, so the parent must be small. And
//! a build tool may leave processes behind that end after it (helpers, runners); as a sub-reaper the small process
//! inherits them, waits for all of them, and counts them.
//!
//! Waiting alone still misses processes whose parent ignores their end, and those that the kernel removes at the end of
//! a process namespace: their time is added to no parent. So the tree runs in a control group of its own where one can
//! be made (`cgroup`), and the larger of both figures counts. Polling `/proc` instead would miss short-lived processes.

mod cgroup;
pub(crate) mod statx_loop;

use anyhow::{Context as _, Result, bail};
use cgroup::Group;
use serde_json::{Value, json};
use std::ffi::CStr;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

/// How long processes may outlive the command that started them.
const MAX_SURVIVAL: Duration = Duration::from_secs(60);

/// User and system time, in milliseconds. The sum is exact; the kernel divides it by sampling at clock ticks,
/// so that the parts of a few milliseconds are rough.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Times {
    pub(crate) user: f64,
    pub(crate) system: f64,
}

impl Times {
    pub(crate) fn cpu(self) -> f64 {
        self.user + self.system
    }

    // Figures of two sources are subtracted, whose parts differ a little: below zero is zero.
    fn since(self, start: Self) -> Self {
        Self { user: (self.user - start.user).max(0.0), system: (self.system - start.system).max(0.0) }
    }
}

/// The cost of one run of a command.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cost {
    /// User and system time of the process and everything it started, in milliseconds.
    pub(crate) cpu: f64,
    /// The part of `cpu` that is user time.
    pub(crate) user: f64,
    /// The part of `cpu` that is system time.
    pub(crate) system: f64,
    /// The part of `cpu` that no parent waited for; 0 if there is no control group to measure it.
    pub(crate) unwaited: f64,
    /// From start to the end of the process itself, in milliseconds.
    pub(crate) wall: f64,
    /// How long its last process outlived it, in milliseconds.
    pub(crate) late: f64,
    /// The largest resident set of any single process of the tree, in KiB.
    pub(crate) peak: f64,
}

impl Cost {
    /// From the report of the process in between.
    fn of(report: &Value) -> Result<Self> {
        let number = |key: &str| report[key].as_f64().with_context(|| format!("no {key}"));
        Ok(Self {
            cpu: number("user")? + number("system")?,
            user: number("user")?,
            system: number("system")?,
            unwaited: number("unwaited")?,
            wall: number("wall")?,
            late: number("late")?,
            peak: number("peak")?,
        })
    }
}

/// Runs `command` with its output kept in a file only and measures it; `file` is a scratch file.
///
/// # Errors
///
/// If it cannot be started or does not exit with 0.
pub(crate) fn cost(command: &Command, file: &Path) -> Result<Cost> {
    let mut outer = Command::new(std::env::current_exe()?);
    outer.arg("measure").arg(file).arg(command.get_program()).args(command.get_args());
    if let Some(dir) = command.get_current_dir() {
        outer.current_dir(dir);
    }
    if !outer.stdin(Stdio::null()).status()?.success() {
        bail!("cannot measure {command:?}");
    }
    let report: Value = serde_json::from_slice(&fs::read(file)?)?;
    if report["code"] != 0 {
        let log = fs::read_to_string(file.with_extension("log")).unwrap_or_default();
        bail!("{command:?} exits with {}\n{log}", report["code"]);
    }
    Cost::of(&report)
}

/// The cost of a bare `statx` loop over the files in `list`, one per line; `file` is a scratch file.
///
/// # Errors
///
/// If a file does not exist.
pub(crate) fn statx_cost(list: &Path, file: &Path) -> Result<Cost> {
    let status = Command::new(std::env::current_exe()?).arg("statx-loop").args([list, file]).status()?;
    if !status.success() {
        bail!("cannot check the files that {} lists", list.display());
    }
    Cost::of(&serde_json::from_slice(&fs::read(file)?)?)
}

/// The process in between: starts the command, waits until no process of it is left, and writes a report.
///
/// # Errors
///
/// If the command cannot be started, or leaves a process that does not end.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let [file, program, rest @ ..] = args else { bail!("measure FILE COMMAND…") };
    let file = Path::new(file);
    // Before the command starts: what outlives its parents becomes a child of this process.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    // Entered by this process, so that all that it starts is in the group from the beginning.
    let group = Group::enter();
    let log = fs::File::create(file.with_extension("log"))?;
    let mut command = Command::new(program);
    command.args(rest).stdout(log.try_clone()?).stderr(log);
    let counted_before = group.as_ref().and_then(Group::times).unwrap_or_default();
    let own_before = own_times();
    let start = Instant::now();
    let child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    let (mut waited, mut peak, mut wall, mut code) = (Times::default(), 0_i64, None, -1);
    loop {
        // As long as the command runs, this process sleeps: polling would be counted as well.
        let ended = match wait_for_any(wall.is_none())? {
            Waited::Ended(ended) => ended,
            Waited::None => break,
            Waited::NotYet if wall.is_some_and(|wall| start.elapsed() > wall + MAX_SURVIVAL) => {
                bail!("{program} left a process that still runs {} s after it", MAX_SURVIVAL.as_secs());
            }
            Waited::NotYet => {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
        };
        waited.user += ended.times.user;
        waited.system += ended.times.system;
        peak = peak.max(ended.peak);
        if ended.pid == i64::from(child.id()) {
            wall = Some(start.elapsed());
            code = ended.code;
        }
    }
    let wall = wall.context("the command did not end")?;
    let late = start.elapsed().saturating_sub(wall);
    // The time of this process is counted in its group as well.
    let own = own_times().since(own_before);
    let counted = group.as_ref().and_then(Group::times).map(|times| times.since(counted_before).since(own));
    let (times, unwaited) = larger(waited, counted);
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let report = json!({
        "user": times.user, "system": times.system, "unwaited": unwaited,
        "wall": millis(wall), "late": millis(late), "peak": peak, "code": code,
    });
    fs::write(file, report.to_string())?;
    Ok(())
}

/// The figure that counts, and how much of it no parent waited for.
///
/// The group can miss time, too: a tool that makes groups of its own for its actions moves these out of it.
fn larger(waited: Times, counted: Option<Times>) -> (Times, f64) {
    match counted {
        Some(counted) if counted.cpu() > waited.cpu() => (counted, counted.cpu() - waited.cpu()),
        _ => (waited, 0.0),
    }
}

struct ProcessEnd {
    pid: i64,
    code: i32,
    times: Times,
    peak: i64,
}

enum Waited {
    Ended(ProcessEnd),
    /// Children are left; none has ended.
    NotYet,
    /// No child is left.
    None,
}

fn times_of(usage: &libc::rusage) -> Times {
    let millis = |t: libc::timeval| t.tv_sec as f64 * 1e3 + t.tv_usec as f64 / 1e3;
    Times { user: millis(usage.ru_utime), system: millis(usage.ru_stime) }
}

/// The processor time of this process itself so far.
#[expect(unsafe_code, reason = "no safe binding reports the resource usage of a process")]
pub(crate) fn own_times() -> Times {
    // SAFETY: rusage consists of integers only, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    // SAFETY: the pointer is to a live local of the type that getrusage writes.
    unsafe { libc::getrusage(libc::RUSAGE_SELF, &raw mut usage) };
    times_of(&usage)
}

/// One `statx` relative to an open directory. It is called directly, since xtask is seldom compiled with optimisation:
/// a wrapper would slow the loop down, and make what is compared with it look better.
#[expect(unsafe_code, reason = "the bare system call is what is to be measured")]
fn look_at(dir: BorrowedFd<'_>, name: &CStr) -> io::Result<()> {
    let mut found = MaybeUninit::<libc::statx>::uninit();
    let (flags, mask) = (libc::AT_SYMLINK_NOFOLLOW, libc::STATX_BASIC_STATS);
    // SAFETY: the name ends with a zero byte, and the last pointer is to a live local of the type that statx writes.
    let result = unsafe { libc::statx(dir.as_raw_fd(), name.as_ptr(), flags, mask, found.as_mut_ptr()) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The next child that ended; waits for one if `wait`.
#[expect(unsafe_code, reason = "no safe binding reports the resource usage of a child")]
fn wait_for_any(wait: bool) -> Result<Waited> {
    let mut status = 0;
    // SAFETY: rusage consists of integers only, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let options = if wait { 0 } else { libc::WNOHANG };
    let pid = loop {
        // SAFETY: both pointers are to live locals of the types wait4 writes.
        let pid = unsafe { libc::wait4(-1, &raw mut status, options, &raw mut usage) };
        match pid {
            0 => return Ok(Waited::NotYet),
            1.. => break pid,
            _ => {}
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(Waited::None),
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error.into()),
        }
    };
    let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 };
    Ok(Waited::Ended(ProcessEnd {
        pid: i64::from(pid),
        code,
        times: times_of(&usage),
        peak: usage.ru_maxrss,
    }))
}

#[cfg(test)]
mod tests {
    use super::{Cost, Times, larger};
    use serde_json::json;

    #[test]
    fn the_larger_of_waited_and_group_time_counts() {
        let waited = Times { user: 3.0, system: 2.0 };
        let more = Times { user: 4.0, system: 3.0 };
        assert_eq!(larger(waited, Some(more)), (more, 2.0));
        assert_eq!(larger(waited, Some(Times { user: 1.0, system: 1.0 })), (waited, 0.0));
        assert_eq!(larger(waited, None), (waited, 0.0));
    }

    #[test]
    fn a_cost_is_read_from_a_complete_report_only() {
        let mut report = json!({
            "user": 3.0, "system": 2.0, "unwaited": 0.5, "wall": 9.0, "late": 1.0, "peak": 7, "code": 0,
        });
        let cost = Cost::of(&report).unwrap();
        assert_eq!(
            [cost.cpu, cost.user, cost.system, cost.peak].map(f64::to_bits),
            [5.0_f64, 3.0, 2.0, 7.0].map(f64::to_bits)
        );
        report["peak"] = json!(null);
        assert!(Cost::of(&report).unwrap_err().to_string().contains("no peak"));
    }
}
