//! The helper as its parent sees it: how it is started, found to be stopped, and ended.
//!
//! If a helper is killed, everything below it loses its parent. So this process is a sub-reaper, too, provided that it
//! has no child when it starts its first helper: whatever becomes its child later is then a helper or was left behind
//! by one. If it was started with children (`daemon & exec taut`), or is the first process of a container, a process
//! that becomes its child may be unrelated; there it adopts nothing, and relies on runners, which end what they started
//! when their sockets are closed. What a process leaves behind that ends its runner and the helper at once is not found
//! there.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{RecvFlags, recv};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use super::runner::Inherited;
use super::{channel, helper, leftovers, prepare, raw};

/// How the helper is started.
#[derive(Clone, Debug)]
pub struct HelperStart {
    umask: Option<u32>,
}

impl HelperStart {
    /// This program, whose `main` begins with [`super::helper_main_if_requested`]. What is started has the umask 022.
    pub fn this_program() -> HelperStart {
        HelperStart { umask: Some(0o022) }
    }

    /// The umask of this process is kept for what is started.
    pub fn keep_umask(self) -> HelperStart {
        HelperStart { umask: None }
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic leaves nothing half-changed: each critical section is one insertion or removal.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A helper that has not been reaped.
pub(super) struct StartedHelper {
    child: Mutex<Child>,
    // Beside the child, which is behind a lock: it is compared with numbers while that lock may be held.
    pid: i32,
    /// A pidfd, readable when it has ended; `None` if the kernel lacks pidfds (before 5.3).
    handle: Option<OwnedFd>,
    socket: UnixStream,
}

/// The helpers of this process. Its lock also ensures that one thread at a time waits for children: a thread that
/// reaped a child while another one is about to signal it would free its number.
// Of the process, not of a build: the children of a process are one set, whichever build started them.
static HELPERS: Mutex<Vec<Arc<StartedHelper>>> = Mutex::new(Vec::new());

/// Whether everything that becomes a child of this process was left behind by one of its helpers.
fn adopts() -> bool {
    static ADOPTS: OnceLock<bool> = OnceLock::new();
    *ADOPTS.get_or_init(|| {
        !rustix::process::getpid().is_init()
            && leftovers::has_no_children()
            && leftovers::become_sub_reaper().is_ok()
    })
}

impl StartedHelper {
    #[allow(clippy::disallowed_methods)] // the one process that is not started by a runner
    pub(super) fn start(start: &HelperStart) -> io::Result<Arc<StartedHelper>> {
        // Under the lock of the list, so that `adopts` decides before there is a helper, and no other thread waits for
        // children before the new one is in the list.
        let mut helpers = lock(&HELPERS);
        adopts();
        // A pair without a name, not a socket in the file system: nothing else can connect.
        let (ours, theirs) = UnixStream::pair()?;
        let inherited = Inherited { open_files: prepare::callers_open_files(), umask: start.umask };
        // `/proc/self/exe` is this very binary, even if the file was replaced by another version meanwhile.
        let child = std::process::Command::new("/proc/self/exe")
            .arg(helper::ARGUMENT)
            .args(inherited.to_words())
            // So that the helper keeps no directory of the user busy.
            .current_dir("/")
            .stdin(OwnedFd::from(theirs))
            .stdout(Stdio::null())
            .spawn()?;
        let pid = child.id() as i32;
        let handle = Pid::from_raw(pid).and_then(|pid| pidfd_open(pid, PidfdFlags::empty()).ok());
        let helper = Arc::new(StartedHelper { child: Mutex::new(child), pid, handle, socket: ours });
        helpers.push(helper.clone());
        Ok(helper)
    }

    /// Readable when the helper has ended.
    pub(super) fn socket(&self) -> &UnixStream {
        &self.socket
    }

    /// Asks the helper to start a runner that serves this end of a socket.
    pub(super) fn start_runner(&self, end: OwnedFd) -> io::Result<()> {
        channel::send(&self.socket, &[0], &[end.as_fd()])
    }

    pub(super) fn kill(&self) {
        let _ = lock(&self.child).kill(); // does nothing if it was reaped
    }

    fn ends_within(&self, time: Duration) -> bool {
        let Some(handle) = &self.handle else { return true };
        let timeout = Timespec::try_from(time).ok();
        matches!(poll(&mut [PollFd::new(handle, PollFlags::IN)], timeout.as_ref()), Ok(1..))
    }

    /// Whether the helper's socket is closed. The helper opened it before the sockets of runners that it keeps, and a
    /// process that ends closes its descriptors in ascending order, so this one is closed before those.
    pub(super) fn is_gone(&self) -> bool {
        // The helper never sends: EAGAIN means that it is there, and 0 bytes that its end is closed.
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        !matches!(
            recv(&self.socket, &mut [0; 1], flags),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR)
        )
    }

    /// Whether a helper whose socket is closed exited by itself: it does so when it has ended everything.
    pub(super) fn exited_successfully(&self) -> bool {
        // The sockets of a process that ends are closed a moment before it can be reaped.
        // A second is far more than that moment. If it passes, the helper counts as killed, and what is left is
        // looked for.
        self.ends_within(Duration::from_secs(1))
            && matches!(lock(&self.child).try_wait(), Ok(Some(status)) if status.success())
    }

    /// Reaps it; kills it if it does not end in time.
    pub(super) fn wait(&self, patience: Duration) {
        // Usually the helper ends at once, since its socket has been closed.
        if !self.ends_within(patience) {
            self.kill();
            self.ends_within(patience);
        }
        let mut helpers = lock(&HELPERS);
        // A helper that even SIGKILL has not ended by now waits in the kernel, perhaps for ever: it is not waited
        // for.
        let _ = lock(&self.child).try_wait();
        helpers.retain(|helper| helper.pid != self.pid);
    }
}

/// Kills helpers that were stopped, since a stopped helper ends nothing; its death is noticed by the pool.
pub(super) fn kill_stopped() {
    // Lock order, here and in `wait`: the list, then the child of one helper.
    for helper in &*lock(&HELPERS) {
        let mut child = lock(&helper.child);
        if matches!(child.try_wait(), Ok(None)) && raw::has_stopped(helper.pid) {
            let _ = child.kill();
        }
    }
}

/// Kills what killed helpers left behind. Returns how much of it is still alive.
pub(super) fn kill_adopted() -> usize {
    if !adopts() {
        return 0;
    }
    let helpers = lock(&HELPERS);
    leftovers::kill_children(|pid| helpers.iter().any(|helper| helper.pid == pid))
}
