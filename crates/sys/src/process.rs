//! Starting processes: cheaply, and so that nothing a build started outlives it.
//!
//! A build that forked from its own process would pay for its memory and threads with every start. So
//! the first [`Processes::spawn`] starts a *helper*: this program again ([`helper_main_if_requested`]),
//! small and with one thread. It forks *runners*, one for each process that runs at a time; a request to
//! start something goes straight to a runner that has nothing to do. Builds that start nothing have no
//! helper.
//!
//! What is guaranteed:
//! - Each process is the leader of a session of its own, so a Ctrl-C on the terminal reaches only the
//!   build, which decides what that means. It begins with all signals as they are by default, none
//!   blocked, umask 022, the limit of open files that the caller of the build had, and nothing open
//!   but the standard streams. All it is given is given as open descriptors ([`Streams`]).
//! - When the process that was asked for has ended, whatever it left behind is killed, and the end is
//!   reported only when that is gone. Each runner is the sub-reaper of its descendants, so this includes
//!   processes in sessions of their own, and never what another one started. What cannot be ended
//!   within ten seconds (another user's, or one that the system does not let go) is told:
//!   [`Exit::left_behind`].
//! - A process that is to end gets SIGTERM once, and SIGKILL after [`Command::grace`].
//! - When the build ends, in whatever way (the sockets close), runners and helper kill all and end
//!   themselves. A process that kills or stops its runner fails alone: the helper ends all that the runner
//!   had. If the helper is killed or stopped, this process ends all below it, and nothing more is started.
//! - Only what is held is signalled: a child of whose end no note was taken yet, the group of such a child, or
//!   what a pidfd stands for. A number is never signalled later.
//!
//! Rejected: a thread per process that waits (a hundred threads that do nothing); pid namespaces (not
//! everywhere allowed; they come with the sandbox); `PR_SET_PDEATHSIG` per process (lost by any
//! descendant, and `posix_spawn` cannot set it); one helper that runs everything (what is left behind by two
//! actions cannot be told apart, so neither result could count before both have ended).
//!
//! The only unsafe code is in `raw`.

mod channel;
mod client;
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
pub use helper::helper_main_if_requested;
pub use prepare::raise_open_file_limit;
pub use started_helper::HelperStart;
pub use termination::on_termination;

use std::ffi::{OsStr, OsString};
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Duration;

/// What to start. Nothing is inherited: the environment is exactly `env`, standard input is empty, and
/// apart from the standard streams no file is open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// File to execute; never looked up in `PATH`. If relative, then to the working directory. A file that the system
    /// does not know how to execute is read by the shell, as `execvp` has it.
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
pub const GRACE: Duration = Duration::from_millis(1000);

/// What a process works with, as open descriptors: paths could lead elsewhere by then.
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
    /// User and system time of it and of those of its descendants that it waited for; zero if it did not start.
    pub cpu: Duration,
    /// Whether it left processes behind that could not be ended. Then its directory must not be used again, and
    /// what it made may still change.
    pub left_behind: bool,
}
