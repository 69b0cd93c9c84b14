//! Ending processes that are children of this one, in whatever way they became so.
//!
//! A sub-reaper becomes the parent of every descendant whose parent dies. So when a wait for any child fails with
//! ECHILD, no descendant is left. `/proc` only serves to find the numbers of children. It is not trusted, since it may
//! show the numbers of another namespace: each number is turned into a pidfd, which is signalled only if it refers to a
//! child of this process.

#![allow(clippy::disallowed_methods, reason = "reads only /proc")]

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, WaitOptions, kill_process, pidfd_open, pidfd_send_signal,
    wait, waitid,
};

use super::raw;

/// How long ending a process may take after SIGKILL. The system ends a process when it next runs: on a machine that is
/// short of memory, or with slow disks, this takes seconds.
pub(super) const KILL_TIMEOUT: Duration = Duration::from_secs(10);

/// Whether there are children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RemainingChildren {
    /// There is no child.
    Nothing,
    /// There are children that have not ended.
    Something,
}

/// Reaps all children that have ended.
pub(super) fn reap_all() -> RemainingChildren {
    loop {
        // `WNOHANG`: returns 0 if there are children, none of which has ended, and ECHILD if there are no children.
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return RemainingChildren::Something,
            Err(_) => return RemainingChildren::Nothing, // no children
        }
    }
}

/// Kills all children except those that are excepted, and reaps those among them that have ended. Returns how many are
/// still alive.
// SIGKILL, not SIGTERM: the action had its time to end, and its result is fixed.
pub(super) fn kill_children(is_excepted: impl Fn(i32) -> bool) -> usize {
    let mut seen_none = 0;
    loop {
        let found = list_children().into_iter().filter(|&pid| !is_excepted(pid)).map(kill_if_child);
        let (mut ended, mut left) = (0, 0);
        for child in found {
            ended += usize::from(child == Child::Ended);
            left += usize::from(child == Child::Alive);
        }
        if left > 0 {
            return left;
        }
        // A child that ended after it was listed may have left children to this process, and a list that is read while
        // a child ends may lack others (proc(5), `/proc/pid/task/tid/children`). So the list counts as empty only if it
        // is so twice in a row.
        seen_none = if ended > 0 { 0 } else { seen_none + 1 };
        if seen_none == 2 {
            return 0;
        }
    }
}

/// What a process number refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Child {
    /// A child that had ended and is reaped now.
    Ended,
    /// A child that is still alive.
    Alive,
    /// No child of this process.
    NotOurs,
}

/// Kills a process, if it is a child.
fn kill_if_child(pid: i32) -> Child {
    let Some(pid) = Pid::from_raw(pid) else { return Child::NotOurs };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    match pidfd_open(pid, PidfdFlags::empty()) {
        // The pidfd fixes which process is meant, and `waitid` fails with ECHILD unless that is a child: only then it
        // is signalled.
        Ok(handle) => match waitid(WaitId::PidFd(handle.as_fd()), options) {
            Ok(None) => {
                let _ = pidfd_send_signal(&handle, Signal::KILL); // it may be another user's
                Child::Alive
            }
            Ok(Some(_)) => Child::Ended,
            Err(_) => Child::NotOurs,
        },
        Err(rustix::io::Errno::SRCH) => Child::NotOurs,
        // No descriptors are left. A child keeps its number until it is reaped, and only one thread reaps at a time, so
        // the number is safe, too.
        Err(_) => match waitid(WaitId::Pid(pid), options) {
            Ok(None) => {
                let _ = kill_process(pid, Signal::KILL);
                Child::Alive
            }
            Ok(Some(_)) => Child::Ended,
            Err(_) => Child::NotOurs,
        },
    }
}

/// Kills all descendants: when a process is killed, its children become those of this process, so this reaches all of
/// them, however deep and in whatever session. `signals` is a descriptor for SIGCHLD. Returns whether any are left when
/// the time is over.
pub(super) fn end_all(signals: impl AsFd, within: Duration) -> RemainingChildren {
    let give_up = Instant::now() + within;
    loop {
        if reap_all() == RemainingChildren::Nothing {
            return RemainingChildren::Nothing;
        }
        if Instant::now() >= give_up {
            return RemainingChildren::Something;
        }
        kill_children(|_| false);
        let mut ready = [PollFd::new(&signals, PollFlags::IN)];
        // With an interval: a process whose parent has ended becomes a child of this one without a signal.
        let _ = poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 }));
        raw::drain_signals(&signals);
    }
}

/// The children of all threads, as far as `/proc` shows them.
fn list_children() -> Vec<i32> {
    let mut numbers = Vec::new();
    // Children belong to the thread that forked or adopted them.
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        numbers.extend(text.split_ascii_whitespace().filter_map(|number| number.parse::<i32>().ok()));
    }
    numbers
}

/// Whether this process has no children at all.
pub(super) fn has_no_children() -> bool {
    // `NOWAIT` reaps nothing: a child of some library keeps its exit status.
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD))
}

/// Makes this process the parent of its descendants whose parent dies.
pub(super) fn become_sub_reaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}
