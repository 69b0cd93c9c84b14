//! Termination signals (Ctrl-C, SIGTERM, hang-up): running actions are ended, the build stops, and the exit code is 128
//! + n.
//!
//! The call ends in bounded time: if the main thread does not end it, the thread that handles the signal does.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicI32, Ordering::SeqCst},
        mpsc,
    },
    time::Duration,
};

use taut_driver::{EventLog, Interrupter, Session, event::Status, on_termination};
use taut_sys::{in_words, watch::Waker};

use crate::{
    cancelled_set_up::cancel_set_up,
    exit::Exit,
    log::{Level, Log},
    voice::{self, BuildMessages},
};

/// How long after the grace period of the actions the call ends at the latest.
// Divided below among what may still be waited for, so that the sum is bounded whatever hangs.
const MAX_WRAP_UP: Duration = Duration::from_secs(1);

/// Whether a signal has arrived, and what it has to stop.
#[derive(Clone)]
pub(crate) struct Interruption(Arc<InterruptionState>);

struct InterruptionState {
    // SeqCst for plainness: it is stored once in the life of a process, and what it has to be ordered with is behind
    // a lock.
    signal: AtomicI32,
    // Mutexes in place of atomics: signals arrive on a thread of their own (`on_termination`), not in a signal
    // handler.
    running: Mutex<Option<Interrupter>>,
    /// The builds of targets that roots are computed from.
    roots: Mutex<Vec<Interrupter>>,
    waiting: Mutex<Option<Waker>>,
    // Each is locked alone and for one assignment or copy, so no order among them can be wrong.
    log: Mutex<Option<Arc<EventLog>>>,
    /// The log of the call, which is all there is before a build has messages.
    call_log: Arc<Log>,
    messages: Mutex<Option<Arc<dyn BuildMessages>>>,
    /// Whether the message about the interruption was written, or is being written.
    // Swapped, so that of the main thread and that of the signal exactly one writes the message.
    is_reported: AtomicBool,
}

impl Interruption {
    /// Handles termination signals from now on.
    pub(crate) fn watch(log: &Arc<Log>) -> Interruption {
        let state = Interruption(Arc::new(InterruptionState {
            signal: AtomicI32::new(0),
            running: Mutex::default(),
            roots: Mutex::default(),
            waiting: Mutex::default(),
            log: Mutex::default(),
            call_log: log.clone(),
            messages: Mutex::default(),
            is_reported: AtomicBool::new(false),
        }));
        let noticed = state.clone();
        let handle = move |signal| noticed.handle(signal);
        // The call goes on: only its end by a signal is less orderly then.
        if let Err(error) = on_termination(handle) {
            log.say(Level::Warn, format!("Cannot handle signals: {}", in_words(&error)));
        }
        state
    }

    /// Stops the build; ends the process if that takes too long.
    fn handle(&self, signal: i32) {
        // Stored before `running` is read; `stop_on_signal` sets `running` before it loads the signal. So a session
        // that begins at this moment is either interrupted below, or finds the signal itself.
        self.0.signal.store(signal, SeqCst);
        // First, as a set-up has no session that could be interrupted.
        cancel_set_up(MAX_WRAP_UP);
        if let Some(waiting) = &*self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            waiting.wake();
        }
        // A session that begins from now on finds the signal in `stop_on_signal`.
        // Cloned, so that no lock is held while actions are ended, which takes time.
        let mut running = self.0.roots.lock().unwrap_or_else(PoisonError::into_inner).clone();
        running.extend(self.0.running.lock().unwrap_or_else(PoisonError::into_inner).clone());
        if let Some(grace) = running.iter().map(Interrupter::grace).max() {
            running.iter().for_each(Interrupter::interrupt);
            // A second signal does not get here: it ends the process at once (`on_termination`).
            self.report_begin(grace);
            // The main thread ends the call when the build has ended with its actions. If it does not, it is in the
            // middle of an expression, which nothing stops, or it hangs: the helper is stopped, or a disk does not
            // answer.
            std::thread::sleep(grace.saturating_add(MAX_WRAP_UP / 2));
            // The main thread may end the process during either wait; then nothing below happens.
            running.iter().for_each(|running| running.kill(MAX_WRAP_UP / 4));
            std::thread::sleep(MAX_WRAP_UP / 4);
        }
        let log = self.0.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(log) = log {
            // Before the message, which may never get through: the log is what later calls read.
            log.finish_at_once(Status::Interrupted(signal));
        }
        // On a thread of its own, since the main thread may hold a lock that the message needs, or standard error be
        // full.
        let (sender, written) = mpsc::channel();
        let state = self.clone();
        // If no thread can be started, the sender is gone, and the call ends without the message.
        let _ = std::thread::Builder::new().spawn(move || {
            state.report();
            let _ = sender.send(());
        });
        let _ = written.recv_timeout(MAX_WRAP_UP / 4);
        // Not by a return: the main thread may be blocked for good.
        std::process::exit(128 + signal);
    }

    /// From now on, a signal stops this session's build, and the process only if that takes too long.
    ///
    /// # Errors
    ///
    /// If a signal has arrived.
    pub(crate) fn stop_on_signal(&self, session: &Session) -> Result<(), Exit> {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.interrupter());
        self.check()
    }

    /// The same for one of several builds of targets that roots are computed from, until they are forgotten.
    ///
    /// # Errors
    ///
    /// If a signal has arrived.
    pub(crate) fn stop_root_on_signal(&self, session: &Session) -> Result<(), Exit> {
        self.0.roots.lock().unwrap_or_else(PoisonError::into_inner).push(session.interrupter());
        self.check()
    }

    /// The roots are computed.
    pub(crate) fn forget_roots(&self) {
        self.0.roots.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// From now on, a signal that ends the process is reported by these messages.
    pub(crate) fn report_by(&self, messages: &Arc<dyn BuildMessages>) {
        *self.0.messages.lock().unwrap_or_else(PoisonError::into_inner) = Some(messages.clone());
    }

    /// Ends the display of progress, and reports how long running actions may take to end. On a thread of its own,
    /// since standard error may be full, or a lock be held that the message needs.
    fn report_begin(&self, grace: Duration) {
        let messages = self.0.messages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(messages) = messages {
            // If no thread can be started, the call ends without this.
            let _ = std::thread::Builder::new().spawn(move || messages.interrupting(grace));
        }
    }

    /// Reports how far the call was, once, whichever thread ends it.
    fn report(&self) {
        // A swap, since the main thread and that of the signal may get here at the same time.
        if self.0.is_reported.swap(true, SeqCst) {
            return;
        }
        let messages = self.0.messages.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match messages {
            Some(messages) => messages.interrupted(),
            None => voice::of(&self.0.call_log).interrupted_early(&self.0.call_log),
        }
    }

    /// Reports how far the call was, if it ends because of a signal.
    pub(crate) fn reported<T>(&self, done: Result<T, Exit>) -> Result<T, Exit> {
        if let Err(Exit::Signal(_)) = done {
            self.report();
        }
        done
    }

    /// From now on, a signal that ends the process writes the end of this log.
    pub(crate) fn finish_log_on_signal(&self, log: &Arc<EventLog>) {
        *self.0.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(log.clone());
    }

    /// From now on, a signal also ends a wait of this waker.
    pub(crate) fn wake_on_signal(&self, waiting: Waker) {
        *self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) = Some(waiting);
    }

    /// Fails if a signal has arrived.
    pub(crate) fn check(&self) -> Result<(), Exit> {
        match self.0.signal.load(SeqCst) {
            0 => Ok(()),
            signal => Err(Exit::Signal(signal)),
        }
    }
}
