//! What a program that starts processes settles first: what signals do, and how many files may be open.
//!
//! Both come from the caller, over `exec`. A caller that ignores SIGCHLD would have the system forget the ends
//! of children, and waits for them would never return.

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::raw::{self, Disposition};

/// First thing in the tool's `main`, before there is another thread.
pub(super) fn prepare_tool() {
    raw::set_disposition(libc::SIGCHLD, Disposition::Default);
    // To be read from a descriptor, see `started_helper`.
    let _ = raw::block_signals(&[libc::SIGCHLD]);
    // A limit on the size of files is an error of the write that exceeds it, which can be told.
    raw::set_disposition(libc::SIGXFSZ, Disposition::Ignored);
    // These end a call whatever the caller made of them; only an ignored hang-up is meant to stay
    // ignored (nohup).
    let mut ending = vec![libc::SIGINT, libc::SIGTERM];
    for &signal in &ending {
        raw::set_disposition(signal, Disposition::Default);
    }
    if !raw::is_ignored(libc::SIGHUP) {
        ending.push(libc::SIGHUP);
    }
    let _ = raw::unblock_signals(&ending);
}

/// The limit that [`raise_open_file_limit`] found.
static CALLERS_LIMIT: OnceLock<u64> = OnceLock::new();

/// Lets this process open as many files as it is allowed to. What it starts gets the limit that there was before:
/// programs that use `select` cannot cope with more.
pub fn raise_open_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else { return };
    if limit.maximum.is_some_and(|maximum| maximum <= current) {
        return;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        let _ = CALLERS_LIMIT.set(current);
    }
}

/// How many files the caller wanted to be open at most, if it was changed since.
pub(super) fn callers_open_files() -> Option<u64> {
    CALLERS_LIMIT.get().copied()
}
