//! Which libraries of the system there are: pkg-config is asked, as actions of the rules in the box would do.

use std::{ffi::OsString, os::fd::AsFd, path::Path};

use taut_sys::{
    Dir,
    fault::point,
    is_program,
    process::{Command, HelperStart, Processes, Streams},
};

use crate::check_traces::block_on;

/// Where these actions look for programs, if no variable says otherwise.
const SEARCH_PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The program.
const PROGRAM: &str = "pkg-config";

/// Whether there is such a program.
pub(super) fn is_installed() -> bool {
    if point("find", Path::new(PROGRAM)).is_err() {
        return false;
    }
    SEARCH_PATH.split(':').any(|directory| is_program(&Path::new(directory).join(PROGRAM)))
}

/// Whether the program finds a library.
pub(super) fn has(library: &str) -> bool {
    if point("find", Path::new(library)).is_err() {
        return false;
    }
    // By a shell, which opens /dev/null: the process layer takes open streams only, and this call's are for people.
    let words = ["sh", "-c", r#"exec "$@" > /dev/null 2>&1"#, "sh", PROGRAM, "--cflags", "--libs", library];
    let command = Command {
        args: words.map(OsString::from).to_vec(),
        env: vec![("PATH".into(), SEARCH_PATH.into())],
        ..Command::new("/bin/sh")
    };
    let ask = || {
        let cwd = Dir::of_user(Path::new("/")).ok()?;
        let (out, err) = (std::io::stdout(), std::io::stderr());
        let streams = Streams { cwd: cwd.as_fd(), stdout: out.as_fd(), stderr: err.as_fd() };
        let processes = Processes::new(HelperStart::this_program());
        block_on(processes.spawn(&command, streams).ok()?).ok()
    };
    ask().is_some_and(|exit| exit.status.code() == Some(0))
}
