//! Ending processes that are children of this one, however they came to be that.
//!
//! A sub-reaper becomes the parent of every descendant that lost its own, so "nothing is left" is the
//! system's answer to a wait for any child: there is none. `/proc` only serves to find out which
//! numbers to end. It is not trusted: it may show the numbers of another namespace. Each number is
//! turned into a handle, and the handle is signalled only if it is a child of ours.

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

/// How long ending a process may take after SIGKILL. The system ends a process when it gets to it: on a
/// machine that is short of memory, or when disks are slow, this takes seconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// What became of children.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// There is no child.
    Nothing,
    /// There are children that have not ended.
    Something,
}

/// Takes note of all children that have ended.
pub(super) fn reap_all() -> Left {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
            Ok(None) => return Left::Something,
            Err(_) => return Left::Nothing, // no children
        }
    }
}

/// Kills all children but the excepted, and takes note of those among them that have ended. Returns how
/// many have not.
pub(super) fn kill_children(is_excepted: impl Fn(i32) -> bool) -> usize {
    let mut seen_none = 0;
    loop {
        let found = listed().into_iter().filter(|&pid| !is_excepted(pid)).map(end_one);
        let (mut ended, mut left) = (0, 0);
        for child in found {
            ended += usize::from(child == One::Ended);
            left += usize::from(child == One::Left);
        }
        if left > 0 {
            return left;
        }
        // What ended after it was listed may have left children to us, and a list that is read while a
        // child ends may lack others.
        seen_none = if ended > 0 { 0 } else { seen_none + 1 };
        if seen_none == 2 {
            return 0;
        }
    }
}

/// What a number stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum One {
    /// A child that has ended; it is not any more.
    Ended,
    /// A child that has not.
    Left,
    /// Nothing of ours.
    Stranger,
}

/// Kills a child, if it is one.
fn end_one(pid: i32) -> One {
    let Some(pid) = Pid::from_raw(pid) else { return One::Stranger };
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => match waitid(WaitId::PidFd(handle.as_fd()), options) {
            Ok(None) => {
                let _ = pidfd_send_signal(&handle, Signal::KILL); // it may be another user's
                One::Left
            }
            Ok(Some(_)) => One::Ended,
            Err(_) => One::Stranger,
        },
        Err(rustix::io::Errno::SRCH) => One::Stranger,
        // No more descriptors. A child keeps its number until note is taken of its end, which only one
        // thread does at a time.
        Err(_) => match waitid(WaitId::Pid(pid), options) {
            Ok(None) => {
                let _ = kill_process(pid, Signal::KILL);
                One::Left
            }
            Ok(Some(_)) => One::Ended,
            Err(_) => One::Stranger,
        },
    }
}

/// Kills all descendants: killing a process makes its children ours, so this reaches all of them, however
/// deep and in whatever session. `signals` is a descriptor for SIGCHLD. Returns what is left when it takes
/// longer than it may.
pub(super) fn end_all(signals: impl AsFd, within: Duration) -> Left {
    let give_up = Instant::now() + within;
    loop {
        if reap_all() == Left::Nothing {
            return Left::Nothing;
        }
        if Instant::now() >= give_up {
            return Left::Something;
        }
        kill_children(|_| false);
        let mut ready = [PollFd::new(&signals, PollFlags::IN)];
        let _ = poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 }));
        raw::drain_signals(&signals);
    }
}

/// The children of all threads, as far as the system tells.
fn listed() -> Vec<i32> {
    let mut numbers = Vec::new();
    for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
        let text = std::fs::read_to_string(thread.path().join("children")).unwrap_or_default();
        numbers.extend(text.split_ascii_whitespace().filter_map(|number| number.parse::<i32>().ok()));
    }
    numbers
}

/// Whether this process has no children at all.
pub(super) fn has_no_children() -> bool {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    matches!(waitid(WaitId::All, options), Err(rustix::io::Errno::CHILD))
}

/// Makes this process the parent of its descendants that lose their own.
pub(super) fn become_sub_reaper() -> io::Result<()> {
    Ok(rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?)
}
