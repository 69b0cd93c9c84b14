//! What a program that starts processes sets up first: signals, and the limit of open files.
//!
//! Both are inherited over `exec`. If the caller ignores SIGCHLD, the system discards the exit status of children, and
//! waits for them would never return (sigaction(2), NOTES).

use std::sync::OnceLock;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::raw::{self, Disposition};

/// To be called first in the tool's `main`, before there is another thread.
pub(super) fn prepare_tool() {
    raw::set_disposition(libc::SIGCHLD, Disposition::Default);
    // It is read from a descriptor, see `started_helper`, for which it has to be blocked.
    let _ = raw::block_signals(&[libc::SIGCHLD]);
    // So that exceeding the file size limit is an error of `write`, which can be reported, and not the death of this
    // process.
    raw::set_disposition(libc::SIGXFSZ, Disposition::Ignored);
    // These signals end a call, whatever the caller did to them; only a hang-up that is ignored stays ignored, as
    // `nohup` intends.
    let mut ending = vec![libc::SIGINT, libc::SIGTERM];
    for &signal in &ending {
        raw::set_disposition(signal, Disposition::Default);
    }
    if !raw::is_ignored(libc::SIGHUP) {
        ending.push(libc::SIGHUP);
    }
    let _ = raw::unblock_signals(&ending);
}

/// The limit before [`raise_open_file_limit`].
static CALLERS_OPEN_FILES: OnceLock<u64> = OnceLock::new();

/// Raises the limit of open files to the maximum that is allowed. Processes that are started get the old limit, since
/// programs that use `select(2)` cannot cope with descriptors above 1023.
pub fn raise_open_file_limit() {
    let limit = getrlimit(Resource::Nofile);
    let Some(current) = limit.current else { return };
    if limit.maximum.is_some_and(|maximum| maximum <= current) {
        return;
    }
    // The soft limit only: the hard one could not be set back.
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if setrlimit(Resource::Nofile, raised).is_ok() {
        let _ = CALLERS_OPEN_FILES.set(current);
    }
}

/// The caller's limit of open files, if it was changed since.
pub(super) fn callers_open_files() -> Option<u64> {
    CALLERS_OPEN_FILES.get().copied()
}
