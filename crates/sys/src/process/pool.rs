//! The runners of a build, what each of them runs, and the one thread that reads their reports.
//!
//! Locks: `state` protects what is known of runners and processes; `Runner::sending` makes one request at a time be
//! written to a socket. A request to a runner is written without `state`, so a runner that reads nothing blocks only
//! the thread that sends to it. With `state` held, only a message of one byte goes to the helper, which always reads.

use std::collections::HashMap;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::task::Waker;
use std::time::{Duration, Instant};

use rustix::event::{Timespec, epoll};

use super::leftovers::KILL_TIMEOUT;
use super::started_helper::{self, StartedHelper, lock};
use super::wire::{Incoming, Report, Request};
use super::{Exit, channel, raw};

/// Why the end of a process is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LossReason {
    /// Its runner was killed.
    Runner,
    /// The helper was killed, and with it everything below it.
    Helper,
}

impl From<LossReason> for io::Error {
    fn from(lost: LossReason) -> io::Error {
        io::Error::other(match lost {
            LossReason::Runner => "the process that ran it was killed or stopped",
            LossReason::Helper => "the process helper was killed or stopped",
        })
    }
}

/// The state of a process that was started.
pub(super) enum ProcessState {
    Running { runner: u64, waker: Option<Waker> },
    Ended(Result<Exit, LossReason>),
}

/// The build's end of a runner's socket.
struct Runner {
    socket: UnixStream,
    sending: Mutex<()>,
}

struct Slot {
    runner: Arc<Runner>,
    /// The number of the process that it runs.
    running: Option<u64>,
}

#[derive(Default)]
struct PoolState {
    runners: HashMap<u64, Slot>,
    /// The runners without a process; the one that became idle last comes last, and is used first.
    idle: Vec<u64>,
    processes: HashMap<u64, ProcessState>,
    /// The last number given to a runner or process. Numbers are never used again, so 0 is free for
    /// [`Report::LAST_REQUESTED`].
    last: u64,
    is_helper_gone: bool,
    /// Whether a process could not be ended.
    has_left_behind: bool,
    /// Whether the reader thread has ended: no more reports will come.
    is_over: bool,
}

/// The runners below one helper.
pub(super) struct Pool {
    helper: Arc<StartedHelper>,
    epoll: OwnedFd,
    signals: OwnedFd,
    state: Mutex<PoolState>,
    over: Condvar,
}

/// The data of events of other descriptors than those of runners.
// The highest numbers: those of runners count up from 1.
const HELPER: u64 = u64::MAX;
const SIGNALS: u64 = u64::MAX - 1;

impl Pool {
    pub(super) fn new(helper: Arc<StartedHelper>) -> io::Result<Pool> {
        // Level-triggered: a descriptor with unread data is reported again, so no event can be lost between two waits.
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let signals = raw::signal_fd(&[libc::SIGCHLD])?;
        epoll::add(&epoll, helper.socket(), epoll::EventData::new_u64(HELPER), epoll::EventFlags::IN)?;
        epoll::add(&epoll, &signals, epoll::EventData::new_u64(SIGNALS), epoll::EventFlags::IN)?;
        Ok(Pool { helper, epoll, signals, state: Mutex::default(), over: Condvar::new() })
    }

    /// Starts a process on an idle runner, or on a new one. `frame` makes the request for a process of the given
    /// number.
    pub(super) fn start(
        &self,
        frame: impl FnOnce(u64) -> Vec<u8>,
        descriptors: &[std::os::fd::BorrowedFd<'_>],
    ) -> io::Result<u64> {
        let (id, runner) = {
            let mut state = lock(&self.state);
            if state.is_helper_gone {
                return Err(LossReason::Helper.into());
            }
            // The runner that became idle last: its memory is most likely still in the processor's caches.
            let key = match state.idle.pop() {
                Some(key) => key,
                None => self.start_runner(&mut state)?,
            };
            state.last += 1;
            let id = state.last;
            // Entered before the request is sent: its report may arrive at once.
            // Only the reader thread removes runners, under the same lock, and takes them off `idle` with that.
            let Some(slot) = state.runners.get_mut(&key) else { return Err(LossReason::Runner.into()) };
            slot.running = Some(id);
            let runner = slot.runner.clone();
            state.processes.insert(id, ProcessState::Running { runner: key, waker: None });
            (id, runner)
        };
        let _sending = lock(&runner.sending);
        // If the runner is gone, the reader thread notices that, and reports the end of this process.
        let _ = channel::send(&runner.socket, &frame(id), descriptors);
        Ok(id)
    }

    fn start_runner(&self, state: &mut PoolState) -> io::Result<u64> {
        let (ours, theirs) = UnixStream::pair()?;
        state.last += 1;
        let key = state.last;
        // Registered before the runner exists: if it dies at once, the closed socket is reported.
        epoll::add(&self.epoll, &ours, epoll::EventData::new_u64(key), epoll::EventFlags::IN)?;
        // `theirs` is closed in this process with the message, so the socket reports its end when runner and helper
        // have closed theirs.
        self.helper.start_runner(theirs.into())?;
        let runner = Arc::new(Runner { socket: ours, sending: Mutex::new(()) });
        state.runners.insert(key, Slot { runner, running: None });
        Ok(key)
    }

    /// Asks for the end of a process.
    pub(super) fn end(&self, id: u64) {
        // The runner is cloned so that nothing is sent with `state` held.
        let runner = {
            let state = lock(&self.state);
            let Some(ProcessState::Running { runner, .. }) = state.processes.get(&id) else { return };
            state.runners.get(runner).map(|slot| slot.runner.clone())
        };
        self.send_end(runner, id);
    }

    fn send_end(&self, runner: Option<Arc<Runner>>, id: u64) {
        let Some(runner) = runner else { return };
        // `try_lock`: if a request is being sent at the moment, its sender checks afterwards whether to end the
        // process. Waiting here would hang on a runner that reads nothing.
        if let Ok(_sending) = runner.sending.try_lock() {
            let _ = channel::send(&runner.socket, &Request::end(id), &[]);
        }
    }

    /// Asks for the end of all processes.
    pub(super) fn end_all(&self) {
        // A process that is entered after this snapshot sees `is_ending` in its own thread (`client.rs`).
        let running: Vec<(u64, Arc<Runner>)> = {
            let state = lock(&self.state);
            let running = state.runners.values();
            running.filter_map(|slot| Some((slot.running?, slot.runner.clone()))).collect()
        };
        for (id, runner) in running {
            self.send_end(Some(runner), id);
        }
    }

    /// The end of a process, which is forgotten once it was returned. Otherwise `waker` is woken when it is known.
    pub(super) fn poll(&self, id: u64, waker: &Waker) -> Option<Result<Exit, LossReason>> {
        let mut state = lock(&self.state);
        match state.processes.remove(&id) {
            Some(ProcessState::Ended(end)) => Some(end),
            // After the reader thread has ended, no report can arrive: everything without an end is lost.
            Some(ProcessState::Running { .. }) | None if state.is_over => Some(Err(LossReason::Helper)),
            // Its end was returned before; no future polls again after that.
            None => Some(Err(LossReason::Runner)),
            Some(ProcessState::Running { runner, .. }) => {
                state.processes.insert(id, ProcessState::Running { runner, waker: Some(waker.clone()) });
                None
            }
        }
    }

    /// Ends a process whose result is no longer of interest.
    pub(super) fn forget(&self, id: u64) {
        let known = lock(&self.state).processes.remove(&id);
        if let Some(ProcessState::Running { runner, .. }) = known {
            let runner = lock(&self.state).runners.get(&runner).map(|slot| slot.runner.clone());
            // With the number of the process: a runner that runs another one by now ignores it.
            self.send_end(runner, id);
        }
    }

    /// Closes the sockets: runners and the helper then end everything that they started, and themselves.
    fn close_sockets(&self) {
        let state = lock(&self.state);
        for slot in state.runners.values() {
            // Only the writing side: reports of what is ended now can still be read.
            let _ = slot.runner.socket.shutdown(Shutdown::Write);
        }
        let _ = self.helper.socket().shutdown(Shutdown::Write);
    }

    /// Kills everything, and waits until it is gone, at most for the given time.
    pub(super) fn kill_now(&self, within: Duration) {
        // A killed helper closes its socket, which the reader thread takes as the sign to end everything below.
        self.helper.kill();
        let state = lock(&self.state);
        let _ = self
            .over
            .wait_timeout_while(state, within, |state| !state.is_over)
            .unwrap_or_else(PoisonError::into_inner);
    }

    /// Reads the reports of runners, until the helper and all runners are gone.
    pub(super) fn read_reports(&self) {
        // More events than this are returned by the next call.
        let mut events = Vec::with_capacity(64);
        let mut give_up: Option<Instant> = None;
        let mut is_broken = false;
        loop {
            // Once the helper is gone, its descendants are looked for again and again until none is left: the death of
            // a process that is not a child of this one is not announced by a signal.
            // 10 ms, only while something is being ended.
            let again = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };
            let timeout = give_up.map(|_| &again);
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), timeout) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                // Only a fault in this program makes the call fail (a closed descriptor): then all processes count as
                // lost.
                Err(_) => break,
            }
            for event in events.drain(..) {
                match event.data.u64() {
                    SIGNALS => {
                        raw::drain_signals(&self.signals);
                        // SIGCHLD also announces that a child was stopped.
                        started_helper::kill_stopped();
                    }
                    HELPER => {
                        // The helper sends nothing: readable means that it has ended.
                        // A closed socket would be reported for ever.
                        let _ = epoll::delete(&self.epoll, self.helper.socket());
                        lock(&self.state).is_helper_gone = true;
                        self.close_sockets();
                        is_broken = !self.helper.exited_successfully();
                        give_up = Some(Instant::now() + KILL_TIMEOUT);
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
        // A report is shorter than the socket's buffer and written by one call, and a runner sends the next one only
        // after another request: so one read gets all of it.
        // A frame of a report has 37 bytes (`Report::encode`).
        let (mut buffer, mut incoming) = ([0; 64], Incoming::default());
        // 0 bytes, or an error: the runner is gone, which `decode` of nothing reports as lost.
        let n = rustix::io::read(&runner.socket, &mut buffer).unwrap_or(0);
        incoming.push(&buffer[..n]);
        let report = incoming.next_frame().and_then(Report::decode);
        let mut state = lock(&self.state);
        let Some(slot) = state.runners.get_mut(&key) else { return };
        let running = slot.running.take();
        let end = match report {
            Some(Report(id, exit)) if running.is_some_and(|r| id == r || id == Report::LAST_REQUESTED) => {
                Ok(exit)
            }
            _ => Err(LossReason::Runner),
        };
        match end {
            Ok(exit) if !exit.left_behind => state.idle.push(key),
            // A runner that has leftovers is not used again, since they would count as those of the next action.
            end => {
                state.has_left_behind |= end.is_ok();
                let _ = epoll::delete(&self.epoll, &runner.socket);
                state.runners.remove(&key);
                state.idle.retain(|&idle| idle != key);
            }
        }
        if end.is_err() && self.helper.is_gone() {
            return; // reported by `fail_all`, when the descendants of the helper are gone, too
        }
        // The future may have been dropped meanwhile.
        let Some(known) = running.and_then(|id| state.processes.get_mut(&id)) else { return };
        if let ProcessState::Running { waker: Some(waker), .. } =
            std::mem::replace(known, ProcessState::Ended(end))
        {
            // Woken without the lock: the future may be polled at once, by this thread.
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
                ProcessState::Running { waker, .. } => waker.take(),
                ProcessState::Ended(_) => None,
            })
            .collect();
        drop(state);
        self.over.notify_all();
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Closes the sockets, and waits until the helper has ended, and everything that it started.
    pub(super) fn close(&self) {
        self.close_sockets();
        // Processes that could not be ended within the time limit before are not waited for that long again.
        let has_left_behind = lock(&self.state).has_left_behind;
        self.helper.wait(if has_left_behind { Duration::from_secs(1) } else { KILL_TIMEOUT });
    }
}
