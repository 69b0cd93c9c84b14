//! The build's side: any thread can start processes, and waits for them as futures.

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Duration;

use super::pool::Pool;
use super::started_helper::{HelperStart, StartedHelper};
use super::wire::Request;
use super::{Command, Exit, Streams};
use crate::{fault, in_words};

/// Starts processes. Cheap to clone; the helper starts with the first process and ends, with all that
/// it started, when the last clone is dropped.
#[derive(Clone)]
pub struct Processes(Arc<Inner>);

struct Inner {
    start: HelperStart,
    /// Set when all processes are to end: no more are started.
    is_ending: AtomicBool,
    // The error, too, is kept: a helper that could not be started is not tried again for each action. As a text,
    // since `io::Error` is not `Clone`.
    link: OnceLock<Result<Link, (io::ErrorKind, String)>>,
}

struct Link {
    pool: Arc<Pool>,
    reader: Option<JoinHandle<()>>,
}

impl Processes {
    /// Starts nothing yet, not even the helper.
    pub fn new(start: HelperStart) -> Processes {
        Processes(Arc::new(Inner { start, is_ending: AtomicBool::new(false), link: OnceLock::new() }))
    }

    /// Starts a process; the future waits for its end, and for the end of all that it leaves behind.
    /// Dropping the future ends the process (SIGTERM, after [`Command::grace`] SIGKILL).
    ///
    /// # Errors
    /// The helper cannot be started or is gone, or [`Processes::end_all`] was called. That the *command*
    /// cannot be started is not an error here but an end, [`super::Status::NotStarted`].
    pub fn spawn(&self, command: &Command, streams: Streams<'_>) -> io::Result<Running> {
        if self.0.is_ending.load(SeqCst) {
            return Err(ending());
        }
        let pool = self.link()?.pool.clone();
        fault::point("start", Path::new(&command.program))?;
        let Streams { cwd, stdout, stderr } = streams;
        let id = pool.start(|id| Request::start(id, command), &[cwd, stdout, stderr])?;
        let running = Running { id, processes: self.clone(), done: false };
        // `end_all` sets the flag first and then ends what it finds in the pool; this thread enters the process first
        // and then looks at the flag. With sequentially consistent order at least one of the two sees the other, so no
        // process is missed.
        if self.0.is_ending.load(SeqCst) {
            pool.end(id);
        }
        Ok(running)
    }

    /// Ends all processes that run now (SIGTERM, after [`Command::grace`] SIGKILL), and starts no more. Futures
    /// complete when the processes have ended. Calling this again changes nothing.
    pub fn end_all(&self) {
        if !self.0.is_ending.swap(true, SeqCst)
            && let Some(Ok(link)) = self.0.link.get()
        {
            // If the helper has not been started yet, there is nothing to end, and from now on `spawn` starts none.
            link.pool.end_all();
        }
    }

    /// Kills everything, the helper included, whatever state it is in, and waits until it is gone, at most for the
    /// given time.
    pub fn kill_now(&self, within: Duration) {
        self.0.is_ending.store(true, SeqCst);
        if let Some(Ok(link)) = self.0.link.get() {
            link.pool.kill_now(within);
        }
    }

    fn link(&self) -> io::Result<&Link> {
        let describe = |error: io::Error| {
            (error.kind(), format!("cannot start the process helper: {}", in_words(&error)))
        };
        let start = || fault::point("start", Path::new("helper")).and_then(|()| Link::start(&self.0.start));
        let link = self.0.link.get_or_init(|| start().map_err(describe));
        link.as_ref().map_err(|(kind, text)| io::Error::new(*kind, text.clone()))
    }
}

/// Only seen by work that is being cancelled, whose errors are not shown.
fn ending() -> io::Error {
    io::ErrorKind::Interrupted.into()
}

impl Link {
    fn start(start: &HelperStart) -> io::Result<Link> {
        let pool = Arc::new(Pool::new(StartedHelper::start(start)?)?);
        let reader = {
            let pool = pool.clone();
            let thread = std::thread::Builder::new().name("processes".to_owned());
            thread.spawn(move || pool.read_reports())?
        };
        Ok(Link { pool, reader: Some(reader) })
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.pool.close();
        // The last clone may be dropped by a future that the reader thread itself has just woken: a thread cannot join
        // itself.
        if let Some(reader) = self.reader.take()
            && reader.thread().id() != std::thread::current().id()
        {
            let _ = reader.join();
        }
    }
}

/// A process that was started; completes with its end.
// It keeps the pool alive, so a process never outlives what would end it.
pub struct Running {
    id: u64,
    processes: Processes,
    done: bool,
}

impl Running {
    fn pool(&self) -> Option<&Arc<Pool>> {
        Some(&self.processes.0.link.get()?.as_ref().ok()?.pool)
    }
}

impl Future for Running {
    type Output = io::Result<Exit>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Exit>> {
        let Some(end) = self.pool().and_then(|pool| pool.poll(self.id, cx.waker())) else {
            return Poll::Pending;
        };
        self.done = true;
        Poll::Ready(end.map_err(io::Error::from))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.done
            && let Some(pool) = self.pool()
        {
            pool.forget(self.id);
        }
    }
}
