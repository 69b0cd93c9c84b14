//! The runners of a build, what each of them runs, and the one thread that reads what they report.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::leftovers::PATIENCE;
use super::started_helper::{self, StartedHelper, lock};
use super::wire::{Incoming, Report, Request};
use super::{Exit, channel, raw};

/// Why nothing is known of the end of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// Its runner was killed.
    Runner,
    /// The helper was killed, and so was all below it.
    Helper,
}

impl From<Lost> for io::Error {
    fn from(lost: Lost) -> io::Error {
        io::Error::other(match lost {
            Lost::Runner => "the process that ran it was killed or stopped",
            Lost::Helper => "the process helper was killed or stopped",
        })
    }
}

/// What is known of a process that was started.
pub(super) enum Known {
    Running { runner: u64, waker: Option<Waker> },
    Ended(Result<Exit, Lost>),
}

/// Our end of a runner's socket.
struct Runner {
    socket: UnixStream,
    sending: Mutex<()>,
}

struct Slot {
    runner: Arc<Runner>,
    /// What it runs.
    running: Option<u64>,
}

#[derive(Default)]
struct State {
    runners: HashMap<u64, Slot>,
    /// Those that run nothing; the one that did last comes last.
    idle: Vec<u64>,
    processes: HashMap<u64, Known>,
    /// The last number given to a runner or process.
    last: u64,
    is_helper_gone: bool,
    /// Something could not be ended.
    has_left_behind: bool,
    /// Nothing will be reported any more.
    is_over: bool,
}

/// The runners below one helper.
pub(super) struct Pool {
    helper: Arc<StartedHelper>,
    epoll: OwnedFd,
    signals: OwnedFd,
    state: Mutex<State>,
    over: Condvar,
}

/// What events are of, besides the numbers of runners.
const HELPER: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;

impl Pool {
    pub(super) fn new(helper: Arc<StartedHelper>) -> io::Result<Pool> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let signals = raw::signal_fd(&[libc::SIGCHLD])?;
        epoll::add(&epoll, helper.socket(), epoll::EventData::new_u64(HELPER), epoll::EventFlags::IN)?;
        epoll::add(&epoll, &signals, epoll::EventData::new_u64(SIGNALS), epoll::EventFlags::IN)?;
        Ok(Pool { helper, epoll, signals, state: Mutex::default(), over: Condvar::new() })
    }

    /// Has a runner start a process: one that is idle, or a new one. `frame` is the request for a process of the given
    /// number.
    pub(super) fn start(
        &self,
        frame: impl FnOnce(u64) -> Vec<u8>,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> io::Result<u64> {
        let (id, runner) = {
            let mut state = lock(&self.state);
            if state.is_helper_gone {
                return Err(Lost::Helper.into());
            }
            let key = match state.idle.pop() {
                Some(key) => key,
                None => self.start_runner(&mut state)?,
            };
            state.last += 1;
            let id = state.last;
            let Some(slot) = state.runners.get_mut(&key) else { return Err(Lost::Runner.into()) };
            slot.running = Some(id);
            let runner = slot.runner.clone();
            state.processes.insert(id, Known::Running { runner: key, waker: None });
            (id, runner)
        };
        let _one_at_a_time = lock(&runner.sending);
        // A runner that is gone is noticed by the reader, which then knows the end of this.
        let _ = channel::send(&runner.socket, &frame(id), descriptors);
        Ok(id)
    }

    fn start_runner(&self, state: &mut State) -> io::Result<u64> {
        let (ours, theirs) = UnixStream::pair()?;
        state.last += 1;
        let key = state.last;
        epoll::add(&self.epoll, &ours, epoll::EventData::new_u64(key), epoll::EventFlags::IN)?;
        self.helper.start_runner(theirs.into())?;
        let runner = Arc::new(Runner { socket: ours, sending: Mutex::new(()) });
        state.runners.insert(key, Slot { runner, running: None });
        Ok(key)
    }

    /// Has a process end that runs.
    pub(super) fn end(&self, id: u64) {
        let runner = {
            let state = lock(&self.state);
            let Some(Known::Running { runner, .. }) = state.processes.get(&id) else { return };
            state.runners.get(runner).map(|slot| slot.runner.clone())
        };
        self.send_end(runner, id);
    }

    fn send_end(&self, runner: Option<Arc<Runner>>, id: u64) {
        let Some(runner) = runner else { return };
        // Where the request to start it is still being sent, the sender finds that it is to end: this
        // must not wait for a runner that reads nothing.
        if let Ok(_one_at_a_time) = runner.sending.try_lock() {
            let _ = channel::send(&runner.socket, &Request::end(id), &[]);
        }
    }

    /// Has all processes end.
    pub(super) fn end_all(&self) {
        let running: Vec<(u64, Arc<Runner>)> = {
            let state = lock(&self.state);
            let running = state.runners.values();
            running.filter_map(|slot| Some((slot.running?, slot.runner.clone()))).collect()
        };
        for (id, runner) in running {
            self.send_end(Some(runner), id);
        }
    }

    /// What is known of a process; once its end is told, nothing more is. Else `waker` is woken.
    pub(super) fn poll(&self, id: u64, waker: &Waker) -> Option<Result<Exit, Lost>> {
        let mut state = lock(&self.state);
        match state.processes.remove(&id) {
            Some(Known::Ended(end)) => Some(end),
            Some(Known::Running { .. }) | None if state.is_over => Some(Err(Lost::Helper)),
            None => Some(Err(Lost::Runner)),
            Some(Known::Running { runner, .. }) => {
                state.processes.insert(id, Known::Running { runner, waker: Some(waker.clone()) });
                None
            }
        }
    }

    /// The end of a process is of no interest any more: it is to end.
    pub(super) fn forget(&self, id: u64) {
        let known = lock(&self.state).processes.remove(&id);
        if let Some(Known::Running { runner, .. }) = known {
            let runner = lock(&self.state).runners.get(&runner).map(|slot| slot.runner.clone());
            self.send_end(runner, id);
        }
    }

    /// Closes all sockets: runners and the helper end everything, and themselves.
    fn hang_up(&self) {
        let state = lock(&self.state);
        for slot in state.runners.values() {
            let _ = slot.runner.socket.shutdown(Shutdown::Write);
        }
        let _ = self.helper.socket().shutdown(Shutdown::Write);
    }

    /// Kills everything, and waits until it is gone, but not for long.
    pub(super) fn kill_now(&self, within: Duration) {
        self.helper.kill();
        let state = lock(&self.state);
        let _ = self
            .over
            .wait_timeout_while(state, within, |state| !state.is_over)
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// Reads what runners report, until the helper and all runners are gone.
    pub(super) fn read_reports(&self) {
        let mut events = Vec::with_capacity(64);
        let mut give_up: Option<Instant> = None;
        let mut is_broken = false;
        loop {
            let again = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let timeout = give_up.map(|_| &again);
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(_) => break,
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    SIGNALS => {
                        raw::drain_signals(&self.signals);
                        started_helper::kill_stopped();
                    }
                    HELPER => {
                        // It never says anything: this is its end.
                        let _ = epoll::delete(&self.epoll, self.helper.socket());
                        lock(&self.state).is_helper_gone = true;
                        self.hang_up();
                        is_broken = !self.helper.has_ended_well();
                        give_up = Some(Instant::now() + PATIENCE);
                    }
                    runner => self.read_report(runner),
                }
            }
            if let Some(at) = give_up {
                let adopted = if is_broken { started_helper::kill_adopted() } else { 0 };
                let is_gone = adopted == 0 && lock(&self.state).runners.is_empty();
                if is_gone || at <= Instant::now() {
                    break;
                }
            }
        }
        self.fail_all();
    }

    fn read_report(&self, key: u64) {
        let Some(runner) = lock(&self.state).runners.get(&key).map(|slot| slot.runner.clone()) else {
            return;
        };
        // A report is sent at once, and there is one at a time.
        let (mut buffer, mut incoming) = ([0; 64], Incoming::default());
        let n = rustix::io::read(&runner.socket, &mut buffer).unwrap_or(0);
        incoming.push(&buffer[..n]);
        let report = incoming.next_frame().and_then(Report::decode);
        let mut state = lock(&self.state);
        let Some(slot) = state.runners.get_mut(&key) else { return };
        let running = slot.running.take();
        let end = match report {
            Some(Report(id, exit)) if running.is_some_and(|r| id == r || id == Report::WHATEVER_RUNS) => {
                Ok(exit)
            }
            _ => Err(Lost::Runner),
        };
        match end {
            Ok(exit) if !exit.left_behind => state.idle.push(key),
            // What is left behind would be taken for the next action's.
            end => {
                state.has_left_behind |= end.is_ok();
                let _ = epoll::delete(&self.epoll, &runner.socket);
                state.runners.remove(&key);
                state.idle.retain(|&idle| idle != key);
            }
        }
        if end.is_err() && self.helper.is_gone() {
            return; // told when all that is gone, too, that the helper would have ended
        }
        // It may be that the end is of no interest any more.
        let Some(known) = running.and_then(|id| state.processes.get_mut(&id)) else { return };
        if let Known::Running { waker: Some(waker), .. } = std::mem::replace(known, Known::Ended(end)) {
            drop(state);
            waker.wake();
        }
    }

    fn fail_all(&self) {
        let mut state = lock(&self.state);
        state.is_over = true;
        state.is_helper_gone = true;
        let wakers: Vec<Waker> = (state.processes.values_mut())
            .filter_map(|known| match known {
                Known::Running { waker, .. } => waker.take(),
                Known::Ended(_) => None,
            })
            .collect();
        drop(state);
        self.over.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Closes all, and waits until the helper has ended, and with it all there was.
    pub(super) fn close(&self) {
        self.hang_up();
        // What could not be ended so far is not waited for a second time.
        let has_left_behind = lock(&self.state).has_left_behind;
        self.helper.wait(if has_left_behind { Duration::from_secs(1) } else { PATIENCE });
    }
}
