//! What a command costs: processor time of its whole process tree, wall time, peak memory.
//!
//! The command runs under a small process of its own (`xtask measure FILE COMMAND…`), for two
//! reasons. The kernel reports as peak memory of a child at least what its parent occupied
//! when it forked, so the parent must be small. And a build tool may leave a process behind
//! that ends after it; as a subreaper the small process inherits it, waits for it, and counts
//! it. Polling `/proc` instead would miss short-lived processes, and cgroups need rights.

use anyhow::{Context as _, Result, bail};
use serde_json::json;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;
use std::{fs, io};

/// What one run of a command cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cost {
    /// User and system time of the process and everything it started, in milliseconds.
    pub(crate) cpu: f64,
    /// From start to the end of the process itself, in milliseconds.
    pub(crate) wall: f64,
    /// The largest resident set of any single process of the tree, in KiB.
    pub(crate) peak: f64,
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
    let report: serde_json::Value = serde_json::from_slice(&fs::read(file)?)?;
    if report["code"] != 0 {
        let log = fs::read_to_string(file.with_extension("log")).unwrap_or_default();
        bail!("{command:?} exits with {}\n{log}", report["code"]);
    }
    let number = |key: &str| report[key].as_f64().with_context(|| format!("no {key}"));
    Ok(Cost { cpu: number("cpu")?, wall: number("wall")?, peak: number("peak")? })
}

/// The process in between: starts the command, waits until nothing of it is left, reports.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let [file, program, rest @ ..] = args else { bail!("measure FILE COMMAND…") };
    let file = Path::new(file);
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    let log = fs::File::create(file.with_extension("log"))?;
    let start = Instant::now();
    let child = Command::new(program)
        .args(rest)
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
        .with_context(|| format!("cannot start {program}"))?;
    let (mut cpu, mut peak, mut wall, mut code) = (0.0, 0_i64, 0.0, -1);
    while let Some(ended) = wait_for_any()? {
        cpu += ended.cpu;
        peak = peak.max(ended.peak);
        if ended.pid == i64::from(child.id()) {
            wall = start.elapsed().as_secs_f64() * 1e3;
            code = ended.code;
        }
    }
    let report = json!({"cpu": cpu, "wall": wall, "peak": peak, "code": code});
    fs::write(file, report.to_string())?;
    Ok(())
}

struct Ended {
    pid: i64,
    code: i32,
    cpu: f64,
    peak: i64,
}

/// Waits for the next child to end; none if there is no child.
#[expect(unsafe_code, reason = "no safe binding reports the resource usage of a child")]
fn wait_for_any() -> Result<Option<Ended>> {
    let mut status = 0;
    // SAFETY: rusage consists of integers only, for which all zeros is a value.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    let pid = loop {
        // SAFETY: both pointers are to live locals of the types wait4 writes.
        let pid = unsafe { libc::wait4(-1, &raw mut status, 0, &raw mut usage) };
        if pid >= 0 {
            break pid;
        }
        match io::Error::last_os_error() {
            error if error.raw_os_error() == Some(libc::ECHILD) => return Ok(None),
            error if error.kind() == io::ErrorKind::Interrupted => {}
            error => return Err(error.into()),
        }
    };
    let millis = |t: libc::timeval| t.tv_sec as f64 * 1e3 + t.tv_usec as f64 / 1e3;
    let code = if libc::WIFEXITED(status) { libc::WEXITSTATUS(status) } else { 128 };
    Ok(Some(Ended {
        pid: i64::from(pid),
        code,
        cpu: millis(usage.ru_utime) + millis(usage.ru_stime),
        peak: usage.ru_maxrss,
    }))
}
