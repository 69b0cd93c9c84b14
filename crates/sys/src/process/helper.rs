//! The helper process: one thread, one loop over requests, ended children and deadlines.
#![allow(clippy::disallowed_methods, reason = "reads only /proc")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::wire::{Incoming, Report, Request};
use super::{Exit, GRACE, Status, raw};

/// The hidden first argument that makes this program a helper.
pub(super) const ARGUMENT: &str = "--serve-processes";

/// To be called first thing in `main`: if this process was started to be a helper, serves and never
/// returns. The socket is standard input.
///
/// It has to be called on the main thread before there is another: a test binary that starts processes
/// needs a `main` of its own.
pub fn helper_main_if_requested() {
    if std::env::args_os().nth(1).is_some_and(|arg| arg == ARGUMENT) {
        std::process::exit(match Helper::start().and_then(Helper::serve) {
            Ok(()) => 0,
            Err(_) => 1, // there is nobody to tell: the build notices that the socket is closed
        });
    }
}

/// A process that was asked for and whose end is not reported yet.
struct Process {
    id: u64,
    /// When to signal next, and what.
    deadline: Option<(Instant, i32)>,
    timed_out: bool,
    /// How it ended; now only what it left behind is waited for.
    ended: Option<Status>,
}

struct Helper {
    socket: BorrowedFd<'static>,
    signals: OwnedFd,
    /// `children` of each of our threads: one, and one more in a test binary.
    children: Vec<File>,
    incoming: Incoming,
    /// By process number, which is also the number of its session and group.
    processes: BTreeMap<i32, Process>,
    /// Our children in sessions that are nobody's: who may have started them.
    strays: HashMap<i32, BTreeSet<i32>>,
}

const HANDLED: [i32; 4] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

impl Helper {
    fn start() -> io::Result<Helper> {
        raw::close_all_but_standard_streams();
        // In a session of our own: signals to the build's group or terminal are the build's to handle.
        let _ = rustix::process::setsid();
        rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
        raw::block_signals(&HANDLED)?;
        let mut children = Vec::new();
        for thread in std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten() {
            // Without this file in the kernel, only process groups are cleaned up.
            children.extend(File::open(thread.path().join("children")).ok());
        }
        Ok(Helper {
            socket: rustix::stdio::stdin(),
            signals: raw::signal_fd(&HANDLED)?,
            children,
            incoming: Incoming::default(),
            processes: BTreeMap::new(),
            strays: HashMap::new(),
        })
    }

    fn serve(mut self) -> io::Result<()> {
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let timeout = self.until_deadline();
            let mut ready = [
                PollFd::from_borrowed_fd(self.socket, PollFlags::IN),
                PollFd::new(&self.signals, PollFlags::IN),
            ];
            match poll(&mut ready, timeout.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
            let (from_build, from_children) = (ready[0].revents(), ready[1].revents());
            if !from_children.is_empty() && !self.take_signals() {
                break;
            }
            if !from_build.is_empty() {
                match rustix::io::read(self.socket, &mut buffer) {
                    Ok(0) => break,
                    Ok(n) => self.incoming.push(&buffer[..n]),
                    Err(rustix::io::Errno::INTR) => {}
                    Err(_) => break,
                }
                if !self.take_requests() {
                    break;
                }
            }
            self.enforce_deadlines();
            if self.collect().is_err() {
                break;
            }
        }
        self.kill_everything();
        Ok(())
    }

    /// Reads pending signals; false if one of them asks the helper to end.
    fn take_signals(&self) -> bool {
        let mut go_on = true;
        let mut info = [0u8; size_of::<libc::signalfd_siginfo>()];
        while let Ok(n) = rustix::io::read(self.signals.as_fd(), &mut info) {
            if n < 4 {
                break;
            }
            let signal = u32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
            go_on &= signal == libc::SIGCHLD as u32;
        }
        go_on
    }

    /// Serves complete requests; false if the stream is not understood.
    fn take_requests(&mut self) -> bool {
        loop {
            let Some(frame) = self.incoming.next_frame() else { return true };
            match Request::decode(frame) {
                None => return false,
                Some(Request::Spawn(id, command)) => {
                    let deadline = command.timeout.map(|after| (Instant::now() + after, libc::SIGTERM));
                    match raw::spawn(&command) {
                        Ok(pid) => {
                            let process = Process { id, deadline, timed_out: false, ended: None };
                            self.processes.insert(pid, process);
                        }
                        Err(error) => {
                            let status = Status::NotStarted(error.raw_os_error().unwrap_or(libc::EINVAL));
                            let exit = Exit { status, timed_out: false, strays: false };
                            if self.report(Report(id, exit)).is_err() {
                                return false;
                            }
                        }
                    }
                }
                Some(Request::Kill(id)) => self.terminate(|process| process.id == id),
                Some(Request::KillAll) => self.terminate(|_| true),
            }
        }
    }

    fn terminate(&mut self, which: impl Fn(&Process) -> bool) {
        for (&pid, process) in &mut self.processes {
            if process.ended.is_none() && which(process) {
                raw::kill(-pid, libc::SIGTERM);
                process.deadline = Some((Instant::now() + GRACE, libc::SIGKILL));
            }
        }
    }

    fn until_deadline(&self) -> Option<Timespec> {
        let next = self.processes.values().filter_map(|process| process.deadline).min()?;
        // One millisecond more, so that waking up a little early does not become a busy loop.
        let wait = next.0.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        Timespec::try_from(wait).ok()
    }

    fn enforce_deadlines(&mut self) {
        let now = Instant::now();
        for (&pid, process) in &mut self.processes {
            match process.deadline {
                Some((at, signal)) if at <= now && process.ended.is_none() => {
                    raw::kill(-pid, signal);
                    process.timed_out |= signal == libc::SIGTERM;
                    process.deadline = (signal == libc::SIGTERM).then_some((now + GRACE, libc::SIGKILL));
                }
                _ => {}
            }
        }
    }

    /// Takes note of ended children and reports those that have left nothing behind.
    fn collect(&mut self) -> io::Result<()> {
        let mut news = false;
        while let Some((pid, status)) = raw::ended_child() {
            if let Some(process) = self.processes.get_mut(&pid) {
                // The zombie still holds the group's number, so nobody else can be hit.
                raw::kill(-pid, libc::SIGKILL);
                process.ended = Some(status);
                process.deadline = None;
            }
            self.strays.remove(&pid);
            raw::reap(pid);
            news = true;
        }
        if !news {
            return Ok(());
        }
        let waiting = self.kill_what_was_left();
        let gone: Vec<i32> = (self.processes.iter())
            .filter(|(pid, process)| process.ended.is_some() && !waiting.contains(pid))
            .map(|(&pid, _)| pid)
            .collect();
        for pid in gone {
            let Some(Process { id, timed_out, ended: Some(status), .. }) = self.processes.remove(&pid) else {
                continue;
            };
            let strays = self.strays.values().any(|candidates| candidates.contains(&pid));
            self.report(Report(id, Exit { status, timed_out, strays }))?;
        }
        Ok(())
    }

    /// Kills what ended processes left behind. Returns those whose remains are still there.
    fn kill_what_was_left(&mut self) -> BTreeSet<i32> {
        let mut waiting = BTreeSet::new();
        let children = self.list_children();
        self.strays.retain(|pid, _| children.contains(pid));
        for child in children {
            if self.processes.contains_key(&child) {
                continue;
            }
            let Some(session) = raw::session_of(child) else { continue };
            if let Some(owner) = self.processes.get(&session) {
                if owner.ended.is_some() {
                    raw::kill(child, libc::SIGKILL);
                    waiting.insert(session);
                }
                continue;
            }
            let everyone = || self.processes.keys().copied().collect();
            let candidates = self.strays.entry(child).or_insert_with(everyone);
            candidates.retain(|pid| self.processes.contains_key(pid));
            if candidates.iter().all(|pid| self.processes[pid].ended.is_some()) {
                raw::kill(child, libc::SIGKILL);
                waiting.extend(candidates.iter());
            }
        }
        waiting
    }

    /// Our children: what we started, and what lost its parent.
    fn list_children(&self) -> BTreeSet<i32> {
        let mut text = Vec::new();
        let mut buffer = [0; 4096];
        for file in &self.children {
            let mut offset = 0;
            while let Ok(n @ 1..) = file.read_at(&mut buffer, offset) {
                text.extend_from_slice(&buffer[..n]);
                offset += n as u64;
            }
            text.push(b' ');
        }
        let numbers = text.split(|byte| byte.is_ascii_whitespace());
        numbers.filter_map(|number| str::from_utf8(number).ok()?.parse().ok()).collect()
    }

    /// Kills all descendants. Killing a process makes its children ours, so the loop reaches everyone,
    /// however deep and in whatever session.
    fn kill_everything(&mut self) {
        // Those that have ended have no group any more: its number may already be somebody else's.
        self.processes.retain(|_, process| process.ended.is_none());
        loop {
            for &pid in self.processes.keys() {
                raw::kill(-pid, libc::SIGKILL);
            }
            for child in self.list_children() {
                raw::kill(child, libc::SIGKILL);
            }
            let mut reaped = false;
            while let Some((pid, _)) = raw::ended_child() {
                self.processes.remove(&pid);
                raw::reap(pid);
                reaped = true;
            }
            if !reaped {
                if self.processes.is_empty() && self.list_children().is_empty() {
                    return;
                }
                let mut ready = [PollFd::new(&self.signals, PollFlags::IN)];
                let _ = poll(&mut ready, Some(&Timespec { tv_sec: 0, tv_nsec: 20_000_000 }));
                self.take_signals();
            }
        }
    }

    fn report(&self, report: Report) -> io::Result<()> {
        let frame = report.encode();
        let mut rest = &frame[..];
        while !rest.is_empty() {
            match rustix::io::write(self.socket, rest) {
                Ok(n) => rest = &rest[n..],
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}
