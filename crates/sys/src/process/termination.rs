//! Handling of Ctrl-C and SIGTERM before the program ends.

use std::{
    io,
    path::Path,
    time::{Duration, Instant},
};

use super::raw;
use crate::{fault, on_own_thread};

/// For so long after the first signal, the same signal counts as a repetition: `timeout(1)` sends its signal to the
/// process and then to the process group, so the process gets it twice.
// A person does not press Ctrl-C twice within this time.
const REPETITION_INTERVAL: Duration = Duration::from_millis(100);

/// Calls `handle` with the signal's number, on a thread of its own, when the first of SIGINT, SIGTERM, SIGHUP arrives;
/// when a second one arrives meanwhile, the program exits at once with code 128 + n (the process helper then kills what
/// still runs). The same signal right after the first one does not count. A hang-up that is ignored stays ignored.
///
/// A handler typically ends all processes ([`super::Processes::end_all`]), waits for the build to notice, and exits
/// with 128 + n. To be called early: threads that were started before do not block the signals, and could receive them.
///
/// # Errors
/// No thread can be started.
pub fn on_termination(handle: impl FnOnce(i32) + Send + 'static) -> io::Result<()> {
    let mut signals = vec![libc::SIGINT, libc::SIGTERM];
    if !raw::is_ignored(libc::SIGHUP) {
        signals.push(libc::SIGHUP);
    }
    // Blocked in this thread and those that it starts, so that only the thread below, in `sigwait(3)`, gets them.
    fault::point("handle", Path::new("signals"))?;
    raw::block_signals(&signals)?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        let Ok(first) = raw::wait_for_signal(&signals) else { return };
        let since = Instant::now();
        // If no thread can be started, a later signal waits until this has been handled.
        on_own_thread("termination", move || handle(first));
        while let Ok(second) = raw::wait_for_signal(&signals) {
            if second == first && since.elapsed() < REPETITION_INTERVAL {
                continue;
            }
            // The helper notices the closed socket and kills what still runs.
            std::process::exit(128 + second);
        }
    })?;
    Ok(())
}
