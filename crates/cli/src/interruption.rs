//! Ctrl-C and its like: actions are ended, the build notices, and the exit code is 128 + n.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering::SeqCst},
    },
    time::Duration,
};

use taut_driver::{EventLog, Interrupter, Session, event::Status, on_termination};
use taut_sys::watch::Waker;

use crate::{
    exit::Exit,
    log::{Level, Log},
};

/// How long after the time that actions have to end the call is over, whatever happens.
const WRAP_UP: Duration = Duration::from_secs(1);

/// Whether the call is to end, and what has to end before.
#[derive(Clone)]
pub(crate) struct Interruption(Arc<State>);

struct State {
    signal: AtomicI32,
    running: Mutex<Option<Interrupter>>,
    waiting: Mutex<Option<Waker>>,
    log: Mutex<Option<Arc<EventLog>>>,
}

impl Interruption {
    /// From now on, signals that ask a process to end are noticed.
    pub(crate) fn watch(log: &Log) -> Interruption {
        let state = Interruption(Arc::new(State {
            signal: AtomicI32::new(0),
            running: Mutex::default(),
            waiting: Mutex::default(),
            log: Mutex::default(),
        }));
        let noticed = state.clone();
        let handle = move |signal| noticed.end(signal);
        if let Err(error) = on_termination(handle) {
            log.say(Level::Warn, format!("Cannot handle signals: {error}"));
        }
        state
    }

    /// Has everything end, by itself if it does so in time.
    fn end(&self, signal: i32) {
        self.0.signal.store(signal, SeqCst);
        if let Some(waiting) = &*self.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
            waiting.wake();
        }
        // What begins to run from now on finds that a signal has arrived.
        let running = self.0.running.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(running) = running {
            running.interrupt();
            // The main thread ends the call when the build has ended with its actions. If it does not, something
            // hangs: the helper is stopped, or a disk does not answer.
            std::thread::sleep(running.grace().saturating_add(WRAP_UP / 2));
            running.kill(WRAP_UP / 4);
            std::thread::sleep(WRAP_UP / 4);
        }
        let log = self.0.log.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(log) = log {
            log.finish_at_once(Status::Interrupted(signal));
        }
        std::process::exit(128 + signal);
    }

    /// From now on, a signal ends this session's build, and not the call.
    pub(crate) fn ends(&self, session: &Session) -> Result<(), Exit> {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.interrupter());
        self.check()
    }

    /// From now on, a call that a signal ends at once has this log to end.
    pub(crate) fn ends_log(&self, log: &Arc<EventLog>) {
        *self.0.log.lock().unwrap_or_else(PoisonError::into_inner) = Some(log.clone());
    }

    /// From now on, a signal also ends waits.
    pub(crate) fn wakes(&self, waiting: Waker) {
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
