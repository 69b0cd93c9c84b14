//! A runner: a process with one thread that runs one action at a time.
//!
//! It is the sub-reaper of what it starts. So whatever an action leaves behind, in whatever session, becomes a child of
//! the runner, and belongs to that action, since there is no other. The end of an action is reported when the runner
//! has no children left, which the system knows exactly.
//!
//! An action may kill or stop its runner (`kill -9 $PPID`); the helper then ends what is left.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::channel::{self, MAX_DESCRIPTORS};
use super::leftovers::{self, KILL_TIMEOUT, RemainingChildren};
use super::wire::{Incoming, Report, Request};
use super::{Command, Exit, Status, raw};

/// Limits of processes that are inherited from the caller, or set instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Inherited {
    /// The soft limit of open files.
    pub(super) open_files: Option<u64>,
    /// The bits that new files do not get; `None` for the caller's umask.
    pub(super) umask: Option<u32>,
}

/// Serves until the other end of the socket is closed.
///
/// To be called in a process just forked, with one thread.
pub(super) fn serve(socket: OwnedFd, inherited: Inherited) -> ! {
    let done = Runner::start(socket, inherited).is_some_and(|mut runner| {
        while let Some(()) = runner.serve_one() {}
        true
    });
    raw::exit_copy(i32::from(!done))
}

struct Runner {
    socket: OwnedFd,
    signals: OwnedFd,
    incoming: Incoming,
    /// The descriptors that came with the request that is being received.
    descriptors: Vec<OwnedFd>,
    // Kept from one action to the next, as the plan of the starter is.
    buffer: Vec<u8>,
    starter: raw::Starter,
}

/// What is done to an action at a certain time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TimedStep {
    /// Ask it to end: it has exceeded its time.
    TimeOut,
    /// Kill it.
    Kill,
    /// Stop waiting for it.
    GiveUp,
}

/// An action that was started and not reported yet.
struct Action {
    id: u64,
    pid: i32,
    grace: Duration,
    timed_out: bool,
    /// Whether SIGTERM was sent.
    is_ending: bool,
    /// What to do next, and when.
    next: Option<(Instant, TimedStep)>,
    /// How it ended. It is reaped then, its number may belong to another process, and only its leftovers are waited
    /// for.
    ended: Option<Status>,
    /// The processor time that it used; known when it has ended.
    cpu: Duration,
}

/// A step after a time; `None` if that is beyond what the clock can represent.
fn after(time: Duration, step: TimedStep) -> Option<(Instant, TimedStep)> {
    Some((Instant::now().checked_add(time)?, step))
}

impl Action {
    /// Sends SIGTERM; later calls change nothing.
    fn terminate(&mut self) {
        if !self.is_ending && self.ended.is_none() {
            self.is_ending = true;
            raw::signal_group_of(self.pid, libc::SIGTERM);
            self.next = after(self.grace, TimedStep::Kill);
        }
    }

    /// Does what is due by now. Returns whether to go on waiting.
    fn take_step(&mut self) -> bool {
        let Some((at, step)) = self.next else { return true };
        if at > Instant::now() {
            return true;
        }
        match step {
            TimedStep::TimeOut => {
                self.timed_out = true;
                self.terminate();
            }
            TimedStep::Kill => {
                raw::signal_group_of(self.pid, libc::SIGKILL);
                self.next = after(KILL_TIMEOUT, TimedStep::GiveUp);
            }
            TimedStep::GiveUp => return false,
        }
        true
    }

    /// Reaps ended children. The leader's process group is killed while the leader is still a zombie, so that the
    /// group's number is its own.
    fn reap_ended(&mut self) {
        while self.ended.is_none()
            && let Some((pid, status)) = raw::ended_child()
        {
            if pid == self.pid {
                // While the leader is a zombie its group cannot be that of another process.
                raw::signal_group_of(pid, libc::SIGKILL);
                self.ended = Some(status);
                self.next = after(KILL_TIMEOUT, TimedStep::GiveUp);
            }
            let cpu = raw::reap(pid);
            if pid == self.pid {
                self.cpu = cpu;
            }
        }
    }

    fn until_next(&self) -> Option<Timespec> {
        // One millisecond more, so that waking up a little early does not become a busy loop.
        let left =
            |(at, _): (Instant, _)| at.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        let wait = self.next.map(left);
        let wait = match self.ended {
            // SIGCHLD announces a child that ends, but not one that becomes ours because its parent ended: so look
            // again from time to time.
            Some(_) => Some(wait.unwrap_or(KILL_TIMEOUT).min(Duration::from_millis(100))),
            None => wait,
        };
        Timespec::try_from(wait?).ok()
    }
}

impl Runner {
    fn start(socket: OwnedFd, inherited: Inherited) -> Option<Runner> {
        // In a group of its own: a signal that an action sends to its runner's group reaches one runner only.
        let _ = rustix::process::setsid();
        leftovers::become_sub_reaper().ok()?;
        if let Some(bits) = inherited.umask {
            rustix::process::umask(Mode::from_bits_truncate(bits));
        }
        if let Some(current) = inherited.open_files {
            let limit = Rlimit { current: Some(current), ..getrlimit(Resource::Nofile) };
            let _ = setrlimit(Resource::Nofile, limit);
        }
        // All other signals at their defaults: an action that sends SIGTERM to its runner fails by that, and the helper
        // ends the rest.
        raw::block_only(&[libc::SIGCHLD]).ok()?;
        let signals = raw::signal_fd(&[libc::SIGCHLD]).ok()?;
        // Large enough for the command lines of most actions in one read.
        let (incoming, descriptors, buffer) = (Incoming::default(), Vec::new(), vec![0; 64 * 1024]);
        let starter = raw::Starter::default();
        Some(Runner { socket, signals, incoming, descriptors, buffer, starter })
    }

    /// Runs the next action. `None` if the build is gone: then everything that was started has been ended, as far as
    /// possible.
    fn serve_one(&mut self) -> Option<()> {
        let (id, command) = loop {
            match self.request()? {
                Some(Request::Start(id, command)) => break (id, command),
                Some(Request::End(_)) => {} // it has ended, and its report was on the way
                None => self.receive()?,
            }
        };
        let mut action = match self.start_action(&command) {
            Ok(pid) => Action {
                id,
                pid,
                grace: command.grace,
                timed_out: false,
                is_ending: false,
                next: command.timeout.and_then(|limit| after(limit, TimedStep::TimeOut)),
                ended: None,
                cpu: Duration::ZERO,
            },
            Err(error) => {
                let status = Status::NotStarted(error.raw_os_error().unwrap_or(libc::EINVAL));
                let exit = Exit { status, timed_out: false, cpu: Duration::ZERO, left_behind: false };
                return self.report(id, exit);
            }
        };
        if let Some(left) = self.wait_for_end(&mut action) {
            let Action { id, timed_out, ended, cpu, .. } = action;
            // It was signalled so and did not end: this is what it will end by.
            let status = ended.unwrap_or(Status::Signal(libc::SIGKILL));
            return self.report(
                id,
                Exit { status, timed_out, cpu, left_behind: left == RemainingChildren::Something },
            );
        }
        leftovers::end_all(&self.signals, KILL_TIMEOUT);
        None
    }

    fn start_action(&mut self, command: &Command) -> std::io::Result<i32> {
        // If no more descriptors may be open, some of those that were sent are lost.
        // Closed with this function: the runner must not keep an output or a directory of an action open.
        let descriptors = std::mem::take(&mut self.descriptors);
        let [cwd, stdout, stderr] = &descriptors[..] else {
            return Err(std::io::Error::from_raw_os_error(libc::EMFILE));
        };
        let open = raw::OpenFiles { cwd: cwd.as_fd(), stdout: stdout.as_fd(), stderr: stderr.as_fd() };
        self.starter.spawn(command, &open)
    }

    /// Waits until nothing is left of the action, or until that took too long. `None` if the build is gone.
    fn wait_for_end(&mut self, action: &mut Action) -> Option<RemainingChildren> {
        loop {
            let timeout = action.until_next();
            let mut ready =
                [PollFd::new(&self.signals, PollFlags::IN), PollFd::new(&self.socket, PollFlags::IN)];
            match poll(&mut ready, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => return None,
            }
            let (signalled, requested) = (!ready[0].revents().is_empty(), !ready[1].revents().is_empty());
            if signalled {
                raw::drain_signals(&self.signals);
                action.reap_ended();
            }
            if requested {
                self.receive()?;
                while let Some(request) = self.request()? {
                    if matches!(request, Request::End(id) if id == action.id) {
                        action.terminate();
                    }
                }
            }
            if action.ended.is_some() {
                // The only proof that nothing is left: the kernel has no child for this process, which is the
                // sub-reaper of all descendants.
                if leftovers::reap_all() == RemainingChildren::Nothing {
                    return Some(RemainingChildren::Nothing);
                }
                leftovers::kill_children(|_| false);
            }
            if !action.take_step() {
                return Some(RemainingChildren::Something);
            }
        }
    }

    /// Waits for bytes. `None` if the other end is closed.
    fn receive(&mut self) -> Option<()> {
        let n = channel::receive(&self.socket, &mut self.buffer, &mut self.descriptors).ok()?;
        self.incoming.push(&self.buffer[..n]);
        // More descriptors than come with one request were not sent by the build.
        self.descriptors.truncate(MAX_DESCRIPTORS);
        (n > 0).then_some(())
    }

    /// The next complete request, if there is one. The outer `None`: it is malformed.
    fn request(&mut self) -> Option<Option<Request>> {
        match self.incoming.next_frame() {
            None => Some(None),
            Some(frame) => Request::decode(frame).map(Some),
        }
    }

    fn report(&self, id: u64, exit: Exit) -> Option<()> {
        channel::send(&self.socket, &Report(id, exit).encode(), &[]).ok()
    }
}
