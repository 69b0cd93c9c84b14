//! The build's side: requests go out from any thread, one reader thread wakes who waits.

use std::collections::HashMap;
use std::future::Future;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::JoinHandle;

use super::wire::{Incoming, Report, Request};
use super::{Command, Exit, helper};

/// How the helper is started.
#[derive(Clone, Debug)]
pub struct HelperStart {
    args: Vec<String>,
    env: Vec<(String, String)>,
}

impl HelperStart {
    /// This program, whose `main` begins with [`super::helper_main_if_requested`].
    pub fn this_program() -> HelperStart {
        HelperStart { args: vec![helper::ARGUMENT.to_owned()], env: Vec::new() }
    }
}

/// Starts processes. Cheap to clone; the helper starts with the first process and ends, with all that
/// it started, when the last clone is dropped.
#[derive(Clone)]
pub struct Processes(Arc<Inner>);

struct Inner {
    start: HelperStart,
    link: OnceLock<Result<Link, (io::ErrorKind, String)>>,
}

struct Link {
    socket: UnixStream,
    sending: Mutex<()>,
    waiting: Arc<Mutex<Waiting>>,
    helper: Option<(Child, JoinHandle<()>)>,
}

#[derive(Default)]
struct Waiting {
    last: u64,
    ends: HashMap<u64, End>,
    /// The helper is gone; nothing will be reported any more.
    closed: bool,
}

enum End {
    Running(Option<Waker>),
    Ended(Exit),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing is left half-changed by a panic: each critical section is one insertion or removal.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Processes {
    /// No process is started yet, not even the helper.
    pub fn new(start: HelperStart) -> Processes {
        Processes(Arc::new(Inner { start, link: OnceLock::new() }))
    }

    /// Starts a process; the future waits for its end. Dropping the future ends the process
    /// (SIGTERM, after [`super::GRACE`] SIGKILL).
    ///
    /// # Errors
    /// The helper cannot be started or is gone. That the *command* cannot be started is no error
    /// here but an end, [`super::Status::NotStarted`].
    pub fn spawn(&self, command: &Command) -> io::Result<Running> {
        let link = self.link()?;
        let id = {
            let mut waiting = lock(&link.waiting);
            if waiting.closed {
                return Err(helper_gone());
            }
            waiting.last += 1;
            let id = waiting.last;
            waiting.ends.insert(id, End::Running(None));
            id
        };
        let running = Running { id, processes: self.clone(), done: false };
        link.send(&Request::spawn(id, command))?;
        Ok(running)
    }

    /// Ends all processes that run now. Their futures complete when they have ended.
    pub fn kill_all(&self) {
        if let Some(Ok(link)) = self.0.link.get() {
            let _ = link.send(&Request::kill_all()); // a helper that is gone has killed them
        }
    }

    fn link(&self) -> io::Result<&Link> {
        let describe = |error: io::Error| (error.kind(), format!("cannot start the process helper: {error}"));
        let link = self.0.link.get_or_init(|| Link::start(&self.0.start).map_err(describe));
        link.as_ref().map_err(|(kind, text)| io::Error::new(*kind, text.clone()))
    }
}

fn helper_gone() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the process helper was killed")
}

impl Link {
    #[allow(clippy::disallowed_methods)] // the one process that is not started by the helper
    fn start(start: &HelperStart) -> io::Result<Link> {
        let (ours, theirs) = UnixStream::pair()?;
        let child = std::process::Command::new("/proc/self/exe")
            .args(&start.args)
            .envs(start.env.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        let waiting = Arc::new(Mutex::new(Waiting::default()));
        let reader = {
            let (socket, waiting) = (ours.try_clone()?, waiting.clone());
            let thread = std::thread::Builder::new().name("processes".to_owned());
            thread.spawn(move || read_reports(socket, &waiting))?
        };
        Ok(Link { socket: ours, sending: Mutex::new(()), waiting, helper: Some((child, reader)) })
    }

    fn send(&self, frame: &[u8]) -> io::Result<()> {
        let _one_at_a_time = lock(&self.sending);
        (&self.socket).write_all(frame)
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Write);
        if let Some((mut child, reader)) = self.helper.take() {
            let _ = child.wait();
            // The last one to let go may be a future that the reader itself has just woken.
            if reader.thread().id() != std::thread::current().id() {
                let _ = reader.join();
            }
        }
    }
}

fn read_reports(mut socket: UnixStream, waiting: &Mutex<Waiting>) {
    let mut incoming = Incoming::default();
    let mut buffer = [0; 4096];
    loop {
        match socket.read(&mut buffer) {
            Ok(n @ 1..) => incoming.push(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(0) | Err(_) => break,
        }
        while let Some(Report(id, exit)) = incoming.next_frame().and_then(Report::decode) {
            let mut waiting = lock(waiting);
            let Some(end) = waiting.ends.get_mut(&id) else { continue }; // nobody waits any more
            if let End::Running(Some(waker)) = std::mem::replace(end, End::Ended(exit)) {
                drop(waiting);
                waker.wake();
            }
        }
    }
    let mut waiting = lock(waiting);
    waiting.closed = true;
    let wakers: Vec<Waker> = (waiting.ends.values_mut())
        .filter_map(|end| match end {
            End::Running(waker) => waker.take(),
            End::Ended(_) => None,
        })
        .collect();
    drop(waiting);
    wakers.into_iter().for_each(Waker::wake);
}

/// A process that was started; completes with its end.
pub struct Running {
    id: u64,
    processes: Processes,
    done: bool,
}

impl Running {
    fn waiting(&self) -> Option<MutexGuard<'_, Waiting>> {
        let link = self.processes.0.link.get()?.as_ref().ok()?;
        Some(lock(&link.waiting))
    }
}

impl Future for Running {
    type Output = io::Result<Exit>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<Exit>> {
        let result = {
            let Some(mut waiting) = self.waiting() else { return Poll::Ready(Err(helper_gone())) };
            match waiting.ends.remove(&self.id) {
                Some(End::Ended(exit)) => Ok(exit),
                Some(End::Running(_)) if !waiting.closed => {
                    waiting.ends.insert(self.id, End::Running(Some(cx.waker().clone())));
                    return Poll::Pending;
                }
                Some(End::Running(_)) | None => Err(helper_gone()),
            }
        };
        self.done = true;
        Poll::Ready(result)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let ended = match self.waiting() {
            Some(mut waiting) => matches!(waiting.ends.remove(&self.id), Some(End::Ended(_)) | None),
            None => true,
        };
        if !ended && let Some(Ok(link)) = self.processes.0.link.get() {
            let _ = link.send(&Request::kill(self.id));
        }
    }
}
