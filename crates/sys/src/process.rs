//! Starting processes: cheaply, and so that no process of a build outlives it.
//!
//! A build that forked from its own process would pay for its memory and threads with every start. So the first
//! [`Processes::spawn`] starts a *helper*: this program again ([`helper_main_if_requested`]), small and with one
//! thread. It forks *runners*, one for each process that runs at a time; a request to start something goes directly to
//! an idle runner. Builds that start nothing have no helper.
//!
//! What is guaranteed:
//! - Each process is the leader of a session of its own, so Ctrl-C on the terminal reaches only the build, which
//!   decides what that means. It begins with all signals at their defaults, none blocked, umask 022, the limit of open
//!   files that the caller of the build had, and nothing open but the standard streams. All it gets is open descriptors
//!   ([`Streams`]).
//! - When the process has ended, whatever it left behind is killed, and its end is reported only when all that is gone.
//!   Each runner is the sub-reaper (`PR_SET_CHILD_SUBREAPER`, prctl(2)) of its descendants, so this includes processes
//!   in sessions of their own, and never a process of another action. What cannot be ended within ten seconds (a
//!   process of another user, or one in an uninterruptible system call) is reported: [`Exit::left_behind`].
//! - A process that is to end gets SIGTERM once, and SIGKILL after [`Command::grace`].
//! - When the build ends, in whatever way (the sockets close), runners and helper kill all that they started and end. A
//!   process that kills or stops its runner fails alone: the helper ends all that the runner had. If the helper is
//!   killed or stopped, this process ends all below it, and nothing more is started.
//! - A process is signalled only while its number cannot belong to another one: a child that has not been reaped, the
//!   group of such a child, or through a pidfd.
//!
//! Rejected: a thread per process that waits (a hundred idle threads); pid namespaces (not allowed everywhere; they
//! come with the sandbox); `PR_SET_PDEATHSIG` per process (lost by any descendant, and `posix_spawn` cannot set it);
//! one helper that runs everything (leftovers of two actions cannot be distinguished, so neither result could count
//! before both have ended).
//!
//! The only unsafe code is in `raw`.

mod channel;
mod client;
mod exec;
mod helper;
mod leftovers;
mod pool;
mod prepare;
mod raw;
mod runner;
mod started_helper;
mod termination;
mod wire;

pub use client::{Processes, Running};
pub use exec::exec;
pub use helper::helper_main_if_requested;
pub use prepare::raise_open_file_limit;
pub use started_helper::HelperStart;
pub use termination::on_termination;

use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

/// What to start. Nothing is inherited: the environment is exactly `env`, standard input is empty, and apart from the
/// standard streams no file is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// File to execute; never searched in `PATH`. If relative, then to the working directory. A file in a format that
    /// the system does not know is run by the shell, as `execvp(3)` does.
    pub program: PathBuf,
    /// The argument vector, the program's own name first.
    pub args: Vec<OsString>,
    /// The environment, in this order.
    pub env: Vec<(OsString, OsString)>,
    /// After this time the process group gets SIGTERM and, after `grace`, SIGKILL.
    pub timeout: Option<Duration>,
    /// Time between SIGTERM and SIGKILL, for a process that exceeded its time or is no longer wanted.
    pub grace: Duration,
}

/// The usual [`Command::grace`].
// Long enough for a compiler to remove its temporary files, short enough for a person at the terminal to wait.
pub const GRACE: Duration = Duration::from_millis(1000);

/// The files of a process, as open descriptors: a path could lead elsewhere by the time it is opened.
#[derive(Clone, Copy, Debug)]
pub struct Streams<'f> {
    /// The working directory.
    pub cwd: BorrowedFd<'f>,
    /// Receives standard output.
    pub stdout: BorrowedFd<'f>,
    /// Receives standard error.
    pub stderr: BorrowedFd<'f>,
}

impl Command {
    /// A command without environment.
    pub fn new(program: impl Into<PathBuf>) -> Command {
        let program = program.into();
        Command {
            args: vec![program.clone().into_os_string()],
            program,
            env: Vec::new(),
            timeout: None,
            grace: GRACE,
        }
    }

    /// Adds arguments.
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Command {
        self.args.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }
}

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
            // As POSIX shells report it in `$?`.
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
    /// Whether it was killed because its time limit was exceeded.
    pub timed_out: bool,
    /// User and system time of it and of those of its descendants that it waited for; zero if it did not start.
    pub cpu: Duration,
    /// Whether it left processes behind that could not be ended. Then its directory must not be used again, and its
    /// outputs may still change.
    pub left_behind: bool,
}
