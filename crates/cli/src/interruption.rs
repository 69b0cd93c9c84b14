//! Ctrl-C and its like: actions are ended, the build notices, and the exit code is 128 + n.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI32, Ordering::SeqCst},
    },
    time::Duration,
};

use taut_driver::{Interrupter, Session, on_termination};
use taut_sys::watch::Waker;

use crate::{
    exit::Exit,
    log::{Level, Log},
};

/// Whether the call is to end, and what has to end before.
#[derive(Clone)]
pub(crate) struct Interruption(Arc<State>);

struct State {
    signal: AtomicI32,
    running: Mutex<Option<Interrupter>>,
    waiting: Mutex<Option<Waker>>,
}

impl Interruption {
    /// From now on, signals that ask a process to end are noticed.
    pub(crate) fn watch(log: &Log) -> Interruption {
        let state = Interruption(Arc::new(State {
            signal: AtomicI32::new(0),
            running: Mutex::default(),
            waiting: Mutex::default(),
        }));
        let noticed = state.clone();
        let handle = move |signal| {
            noticed.0.signal.store(signal, SeqCst);
            loop {
                if let Some(waiting) = &*noticed.0.waiting.lock().unwrap_or_else(PoisonError::into_inner) {
                    waiting.wake();
                }
                let running = noticed.0.running.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match running {
                    // The build ends with its actions; whoever does not want to wait can kill us.
                    Some(running) => running.interrupt(),
                    None => std::process::exit(128 + signal),
                }
                std::thread::sleep(Duration::from_millis(100));
            }
        };
        if let Err(error) = on_termination(handle) {
            log.say(Level::Warn, format!("Cannot handle signals: {error}"));
        }
        state
    }

    /// From now on, a signal ends this session's build, and not the call.
    pub(crate) fn ends(&self, session: &Session) -> Result<(), Exit> {
        *self.0.running.lock().unwrap_or_else(PoisonError::into_inner) = Some(session.interrupter());
        self.check()
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
