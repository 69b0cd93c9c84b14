//! The helper process: starts runners, and ends what killed or stopped runners leave behind.
//!
//! It has one thread and takes no part in what runners do. It is the sub-reaper above them: if a runner dies, all its
//! descendants become children of the helper. Until they are gone, the helper keeps the runner's end of the socket
//! open, so the build learns of the runner's death only then.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags};

use super::leftovers::{self, KILL_TIMEOUT};
use super::runner::{self, Inherited};
use super::wire::Report;
use super::{Exit, Status, channel, prepare, raw};

/// The hidden first argument that makes this program a helper; [`Inherited::to_words`] follows.
pub(super) const ARGUMENT: &str = "--serve-processes";

/// To be called first in `main`, in every program that starts processes: sets up signals (see `prepare`), and if this
/// process was started as a helper, serves and never returns.
///
/// It has to be called on the main thread before there is another one: a test binary that starts processes needs a
/// `main` of its own.
pub fn helper_main_if_requested() {
    let mut words = std::env::args_os().skip(1);
    if words.next().is_none_or(|word| word != ARGUMENT) {
        return prepare::prepare_tool();
    }
    let words: Vec<String> = words.filter_map(|word| word.into_string().ok()).collect();
    std::process::exit(match Helper::start(Inherited::from_words(&words)).and_then(Helper::serve) {
        Ok(()) => 0,
        Err(_) => 1, // the build notices that the socket is closed
    });
}

impl Inherited {
    /// As arguments of the helper.
    pub(super) fn to_words(self) -> [String; 2] {
        let word = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
        [word(self.open_files), word(self.umask.map(u64::from))]
    }

    fn from_words(words: &[String]) -> Inherited {
        let number = |at: usize| words.get(at).and_then(|word| word.parse().ok());
        Inherited { open_files: number(0), umask: number(1).and_then(|bits: u64| bits.try_into().ok()) }
    }
}

struct Helper {
    socket: OwnedFd,
    signals: OwnedFd,
    inherited: Inherited,
    /// The runners, by process number, with their ends of their sockets.
    // By number: a child that is not in it was left behind.
    runners: BTreeMap<i32, OwnedFd>,
    /// The sockets of runners that died, until everything is gone that they may have left behind.
    closing: Vec<OwnedFd>,
    /// When to stop waiting for that.
    give_up: Option<Instant>,
}

const HANDLED: [i32; 4] = [libc::SIGCHLD, libc::SIGTERM, libc::SIGINT, libc::SIGHUP];

impl Helper {
    #[allow(clippy::disallowed_methods, reason = "/dev/null is the system's")]
    fn start(inherited: Inherited) -> io::Result<Helper> {
        // An ignored SIGCHLD is inherited over `exec`, and would make the kernel reap children by itself.
        raw::set_disposition(libc::SIGCHLD, raw::Disposition::Default);
        raw::close_all_but_standard_streams();
        // In a session of its own: signals to the build's process group or terminal are for the build to handle.
        let _ = rustix::process::setsid();
        // Before the first fork, so that no descendant can escape to init.
        leftovers::become_sub_reaper()?;
        raw::block_only(&HANDLED)?;
        // The socket came as standard input, and is replaced by what actions get as theirs.
        let socket = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
        let nothing = rustix::fs::open("/dev/null", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        rustix::stdio::dup2_stdin(nothing)?;
        Ok(Helper {
            socket,
            signals: raw::signal_fd(&HANDLED)?,
            inherited,
            runners: BTreeMap::new(),
            closing: Vec::new(),
            give_up: None,
        })
    }

    fn serve(mut self) -> io::Result<()> {
        loop {
            // While leftovers are being ended, the children are listed again from time to time: a child that becomes
            // ours because its parent died is not announced.
            // 50 ms.
            let again = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
            let timeout = self.give_up.map(|_| &again);
            let mut ready =
                [PollFd::new(&self.socket, PollFlags::IN), PollFd::new(&self.signals, PollFlags::IN)];
            match poll(&mut ready, timeout) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
            let (from_build, from_children) =
                (!ready[0].revents().is_empty(), !ready[1].revents().is_empty());
            if from_children {
                if raw::drain_signals(&self.signals).iter().any(|&signal| signal != libc::SIGCHLD) {
                    break;
                }
                self.reap_runners();
            }
            if self.give_up.is_some() {
                self.end_leftovers();
            }
            if from_build {
                match self.requested() {
                    Some(end) => self = self.start_runner(end),
                    None => break,
                }
            }
        }
        // Runners end by themselves when their sockets close; whatever they leave, and they themselves, are killed
        // here.
        leftovers::end_all(&self.signals, KILL_TIMEOUT);
        Ok(())
    }

    /// The runner's end of the socket for a new runner. `None` if the build is gone or wants no more.
    fn requested(&self) -> Option<OwnedFd> {
        let mut descriptors = Vec::new();
        match channel::receive(&self.socket, &mut [0], &mut descriptors) {
            Ok(1..) => descriptors.pop(),
            _ => None,
        }
    }

    fn start_runner(mut self, end: OwnedFd) -> Helper {
        match raw::fork() {
            Ok(None) => {
                let inherited = self.inherited;
                // The runner must not hold ends of other sockets, which would then stay open when the helper closes
                // them.
                drop(self);
                runner::serve(end, inherited)
            }
            Ok(Some(pid)) => {
                self.runners.insert(pid, end);
            }
            Err(error) => {
                // The first request was sent to the socket already; its sender gets an answer.
                let status = Status::NotStarted(error.raw_os_error().unwrap_or(libc::EAGAIN));
                let exit = Exit { status, timed_out: false, cpu: Duration::ZERO, left_behind: false };
                let _ = channel::send(&end, &Report(Report::LAST_REQUESTED, exit).encode(), &[]);
            }
        }
        self
    }

    /// Kills runners that were stopped, since they would never report anything. For those that died, begins to end what
    /// they left behind.
    fn reap_runners(&mut self) {
        while let Some((pid, change)) = raw::next_change() {
            if !self.runners.contains_key(&pid) {
                continue;
            }
            match change {
                raw::Change::Stopped => raw::kill_child(pid),
                raw::Change::Ended => {
                    self.closing.extend(self.runners.remove(&pid));
                    self.give_up = Some(Instant::now() + KILL_TIMEOUT);
                }
            }
        }
    }

    /// A child that is not a runner was left behind by a runner that died.
    fn end_leftovers(&mut self) {
        let is_over = self.give_up.is_some_and(|at| at <= Instant::now());
        let left = leftovers::kill_children(|pid| self.runners.contains_key(&pid));
        if left == 0 || is_over {
            self.closing.clear();
            self.give_up = None;
        }
    }
}
