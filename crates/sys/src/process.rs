//! Starting processes: cheaply, and so that nothing a build started outlives it.
//!
//! A build that forked from its own process would pay for its memory and threads with every start. So
//! the first [`Processes::spawn`] starts a *helper*: this program again ([`helper_main_if_requested`]),
//! small and with one thread, which starts everything else on request over a socket. Builds that start
//! nothing have no helper.
//!
//! What the helper guarantees:
//! - Each process is the leader of a session of its own, so a Ctrl-C on the terminal reaches only the
//!   build, which decides what that means.
//! - When the process that was asked for has ended, whatever it left behind is killed, and the end is
//!   reported only when that is gone. The helper is the sub-reaper of its descendants, so this includes
//!   processes that made themselves sessions of their own. Where several requests run at once and such
//!   a process may belong to any of them, it is killed when the last of them ends; [`Exit::strays`] says so.
//! - When the build ends, in whatever way (the socket closes), the helper kills all and ends itself.
//!
//! Rejected: a thread per process that waits (a hundred threads that do nothing); pid namespaces (not
//! everywhere allowed; they come with the sandbox); `PR_SET_PDEATHSIG` per process (lost by any
//! descendant, and `posix_spawn` cannot set it).
//!
//! The only unsafe code is in `raw`.

mod client;
mod helper;
mod raw;
mod termination;
mod wire;

pub use client::{HelperStart, Processes, Running};
pub use helper::helper_main_if_requested;
pub use termination::on_termination;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

/// What to start. Nothing is inherited: the environment is exactly `env`, and apart from the standard
/// streams no file is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// File to execute; never looked up in `PATH`. If relative, then to `cwd`.
    pub program: PathBuf,
    /// The argument vector, the program's own name first.
    pub args: Vec<OsString>,
    /// The environment, in this order.
    pub env: Vec<(OsString, OsString)>,
    /// Absolute path of the working directory.
    pub cwd: PathBuf,
    /// Absolute path of the file that is standard input.
    pub stdin: PathBuf,
    /// Absolute path of the file that receives standard output; created if missing, else emptied.
    pub stdout: PathBuf,
    /// The same for standard error.
    pub stderr: PathBuf,
    /// After this time the process group gets SIGTERM and, after [`GRACE`], SIGKILL.
    pub timeout: Option<Duration>,
}

impl Command {
    /// A command without environment, with empty input and discarded output, in the directory `/`.
    pub fn new(program: impl Into<PathBuf>) -> Command {
        let program = program.into();
        Command {
            args: vec![program.clone().into_os_string()],
            program,
            env: Vec::new(),
            cwd: "/".into(),
            stdin: "/dev/null".into(),
            stdout: "/dev/null".into(),
            stderr: "/dev/null".into(),
            timeout: None,
        }
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Command {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }
}

/// Time between SIGTERM and SIGKILL, for a process that exceeded its time or is no longer wanted.
pub const GRACE: Duration = Duration::from_millis(1000);

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It exited with this code.
    Code(i32),
    /// It was killed by the signal of this number.
    Signal(i32),
    /// It could not be started; the system's error number.
    NotStarted(i32),
}

impl Status {
    /// The exit code as a shell would give it: 128 + n for signal n. `None` if it was not started.
    pub fn code(self) -> Option<i32> {
        match self {
            Status::Code(code) => Some(code),
            Status::Signal(signal) => Some(128 + signal),
            Status::NotStarted(_) => None,
        }
    }
}

/// The end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// How it ended.
    pub status: Status,
    /// Whether it was killed because its time was over.
    pub timed_out: bool,
    /// Whether a process that it may have left behind still runs. Then its directory must not be used again.
    pub strays: bool,
}
