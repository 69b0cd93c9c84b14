//! To become another program, in the same process.

use std::{
    ffi::{OsStr, OsString},
    io,
    os::unix::process::CommandExt,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::{prepare::callers_open_files, raw};

/// Runs a program in place of this one, as `execvp(3)`: it is searched in `PATH` unless it has a `/`. It has the
/// environment, the standard streams and the working directory of this process, the limit of open files that this
/// process was started with, and all signals unblocked and with their default meaning. `args` begin with the program's
/// own name. Returns only if that fails.
#[allow(clippy::disallowed_methods, reason = "no process is started, this one becomes another")]
pub fn exec(program: &OsStr, args: &[OsString]) -> io::Error {
    let limit = getrlimit(Resource::Nofile);
    // What this process changed for itself is inherited by the program: limits, blocked and ignored signals. If
    // something cannot be set back, the program runs all the same.
    if let Some(current) = callers_open_files() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: Some(current), maximum: limit.maximum });
    }
    // Blocked by `prepare_tool`, as SIGXFSZ is ignored by it.
    let _ = raw::unblock_signals(&[libc::SIGCHLD]);
    raw::set_disposition(libc::SIGXFSZ, raw::Disposition::Default);
    let mut command = std::process::Command::new(program);
    if let Some((name, rest)) = args.split_first() {
        command.arg0(name).args(rest);
    }
    let error = command.exec();
    // The call goes on, if only to report this.
    let _ = setrlimit(Resource::Nofile, limit);
    error
}
