//! System calls for starting and ending processes that have no safe wrapper elsewhere.
//!
//! Programs are started by `posix_spawn(3)` and not by fork and exec: it shares the memory until the exec without the
//! danger of running our code there, and it reports a failed exec to the caller.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;
use std::time::Duration;

use super::{Command, Status};

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

fn signal_set(signals: &[i32]) -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set; the other call changes an initialised set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        for &signal in signals {
            libc::sigaddset(set.as_mut_ptr(), signal);
        }
        set.assume_init()
    }
}

/// Changes which signals are blocked in the calling thread (and in threads that it starts afterwards).
fn change_mask(how: libc::c_int, signals: &[i32]) -> io::Result<()> {
    let set = signal_set(signals);
    // SAFETY: `set` is initialised; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(how, &set, ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// Blocks these signals in addition.
pub(super) fn block_signals(signals: &[i32]) -> io::Result<()> {
    change_mask(libc::SIG_BLOCK, signals)
}

/// Unblocks these signals.
pub(super) fn unblock_signals(signals: &[i32]) -> io::Result<()> {
    change_mask(libc::SIG_UNBLOCK, signals)
}

/// Blocks these signals and no others.
pub(super) fn block_only(signals: &[i32]) -> io::Result<()> {
    change_mask(libc::SIG_SETMASK, signals)
}

/// What a signal does to this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Disposition {
    /// What the system does by default.
    Default,
    /// Nothing.
    Ignored,
}

/// Sets what a signal does.
pub(super) fn set_disposition(signal: i32, disposition: Disposition) {
    let handler = match disposition {
        Disposition::Default => libc::SIG_DFL,
        Disposition::Ignored => libc::SIG_IGN,
    };
    // SAFETY: neither of the two is a function of this program. It cannot fail for signals that exist.
    unsafe { libc::signal(signal, handler) };
}

/// Whether a signal is ignored.
pub(super) fn is_ignored(signal: i32) -> bool {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: without a new action, only `action` is written to; a zeroed one is valid.
    let action = unsafe {
        libc::sigaction(signal, ptr::null(), action.as_mut_ptr());
        action.assume_init()
    };
    action.sa_sigaction == libc::SIG_IGN
}

/// Forks this process: the child's number in the parent, `None` in the child.
///
/// Only for a process with one thread: locks that another thread holds would stay locked in the child for ever.
pub(super) fn fork() -> io::Result<Option<i32>> {
    // SAFETY: by the contract above there is one thread.
    Ok(Some(check(unsafe { libc::fork() })?).filter(|&pid| pid != 0))
}

/// Ends a process that [`fork`] made, without running exit handlers of its parent.
pub(super) fn exit_copy(code: i32) -> ! {
    // SAFETY: no memory is involved.
    unsafe { libc::_exit(code) }
}

/// Waits until one of the signals, which must be blocked in all threads, arrives.
pub(super) fn wait_for_signal(signals: &[i32]) -> io::Result<i32> {
    let set = signal_set(signals);
    let mut signal = 0;
    // SAFETY: both pointers are to live, initialised objects.
    match unsafe { libc::sigwait(&set, &mut signal) } {
        0 => Ok(signal),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// A descriptor that becomes readable when one of the signals, which must be blocked, arrives.
pub(super) fn signal_fd(signals: &[i32]) -> io::Result<OwnedFd> {
    let set = signal_set(signals);
    // SAFETY: `set` is initialised; the new descriptor has no other owner.
    unsafe {
        let fd = check(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Reads the signals that have arrived at a descriptor of [`signal_fd`]. Returns their numbers.
pub(super) fn drain_signals(signals: impl AsFd) -> Vec<i32> {
    const SIZE: usize = size_of::<libc::signalfd_siginfo>();
    // None of these signals is queued twice, so there are never more than these.
    // An array of bytes, since the structure is read from its first field only, `ssi_signo`.
    let mut infos = [0u8; 8 * SIZE];
    let n = rustix::io::read(signals, &mut infos).unwrap_or(0);
    let number = |info: &[u8]| i32::from_ne_bytes([info[0], info[1], info[2], info[3]]);
    infos[..n].chunks_exact(SIZE).map(number).collect()
}

/// Closes every descriptor but the standard streams: those that leaked into the helper would leak into everything that
/// it starts.
///
/// Only for the start of the helper, when no object that owns a descriptor exists.
pub(super) fn close_all_but_standard_streams() {
    // SAFETY: by the contract above no object owns one of these descriptors.
    let closed = unsafe {
        // By its number, since older C libraries have no function for it.
        libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, 0 as libc::c_uint)
    };
    if closed == 0 {
        return;
    }
    // Kernels before 5.9, and sandboxes that filter the call.
    for number in open_descriptors().into_iter().filter(|number| *number > 2) {
        // SAFETY: as above. The one by which the list was read is closed already, which does no harm.
        unsafe { libc::close(number) };
    }
}

#[allow(clippy::disallowed_methods, reason = "reads only /proc")]
fn open_descriptors() -> Vec<libc::c_int> {
    let entries = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// A child that has ended and is still a zombie (`WNOWAIT`): its number and how it ended.
pub(super) fn ended_child() -> Option<(i32, Status)> {
    // SAFETY: a zeroed siginfo_t is valid and is what the system call leaves if nothing ended.
    let mut info: libc::siginfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
    // `WNOWAIT` leaves the zombie, so that its number and its group are not used again before `reap`.
    let options = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    // SAFETY: `info` is a live object of the right type.
    if unsafe { libc::waitid(libc::P_ALL, 0, &mut info, options) } != 0 {
        return None;
    }
    // SAFETY: for the events asked for, these fields of the union are the valid ones (or zero).
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let status = if info.si_code == libc::CLD_EXITED { Status::Code(status) } else { Status::Signal(status) };
    (pid != 0).then_some((pid, status))
}

/// Whether this child was stopped since the last call.
pub(super) fn has_stopped(pid: i32) -> bool {
    // SAFETY: a zeroed siginfo_t is valid and is what the system call leaves if nothing happened.
    let mut info: libc::siginfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
    let Ok(id) = libc::id_t::try_from(pid) else { return false };
    // SAFETY: `info` is a live object of the right type; the field is valid for the events asked for.
    unsafe {
        libc::waitid(libc::P_PID, id, &mut info, libc::WSTOPPED | libc::WNOHANG) == 0 && info.si_pid() != 0
    }
}

/// How a child changed, by [`next_change`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It has ended and was reaped: its number is free again.
    Ended,
    /// It was stopped by a signal.
    Stopped,
}

/// Reaps a child that has ended, or reports one that was stopped.
pub(super) fn next_change() -> Option<(i32, Change)> {
    let mut status = 0;
    // SAFETY: `status` is a live object of the right type.
    let pid = unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG | libc::WUNTRACED) };
    let change = if libc::WIFSTOPPED(status) { Change::Stopped } else { Change::Ended };
    (pid > 0).then_some((pid, change))
}

/// Reaps a child. Returns the user and system time of the process and of those of its descendants that were waited for.
pub(super) fn reap(pid: i32) -> Duration {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: a null status pointer is allowed; `usage` is a live object of the right type, valid when zeroed.
    let usage = unsafe {
        libc::wait4(pid, ptr::null_mut(), libc::WNOHANG, usage.as_mut_ptr());
        usage.assume_init()
    };
    let time = |time: libc::timeval| {
        let seconds = Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or_default());
        seconds + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or_default())
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// Signals the group that a child leads. The child must not have been reaped: until then no other process can have its
/// number.
pub(super) fn signal_group_of(child: i32, signal: i32) {
    // SAFETY: no memory is involved. 0 and 1 would mean something else entirely.
    if child > 1 {
        unsafe { libc::kill(-child, signal) };
    }
}

/// Kills a child, which must not have been reaped: until then no other process can have its number.
pub(super) fn kill_child(child: i32) {
    // SAFETY: no memory is involved. 0, 1 and negative numbers would mean something else entirely.
    if child > 1 {
        unsafe { libc::kill(child, libc::SIGKILL) };
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// The attributes and file actions of `posix_spawn`, freed when dropped.
struct Plan {
    actions: libc::posix_spawn_file_actions_t,
    attributes: libc::posix_spawnattr_t,
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: both were initialised before a `Plan` was made of them.
        unsafe {
            libc::posix_spawn_file_actions_destroy(&mut self.actions);
            libc::posix_spawnattr_destroy(&mut self.attributes);
        }
    }
}

/// Every signal there is, also those that `sigfillset` leaves out since the C library uses them itself: they could be
/// ignored in what is started.
fn all_signals() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: the type is an array of integers, of which any bits are valid; each signal is a bit.
    unsafe {
        ptr::write_bytes(set.as_mut_ptr(), 0xff, 1);
        set.assume_init()
    }
}

/// What is open in a process that is started.
pub(super) struct OpenFiles<'f> {
    pub(super) cwd: BorrowedFd<'f>,
    pub(super) stdout: BorrowedFd<'f>,
    pub(super) stderr: BorrowedFd<'f>,
}

/// The command as C strings.
struct Words {
    program: CString,
    args: Vec<CString>,
    env: Vec<CString>,
}

impl Words {
    fn of(command: &Command) -> io::Result<Words> {
        let entry = |(name, value): &(OsString, OsString)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            c_string(&entry)
        };
        Ok(Words {
            program: c_string(command.program.as_os_str())?,
            args: command.args.iter().map(|arg| c_string(arg)).collect::<io::Result<_>>()?,
            env: command.env.iter().map(entry).collect::<io::Result<_>>()?,
        })
    }

    /// The same command, run by the shell as a script.
    fn by_shell(mut self) -> Words {
        let shell = CString::from(c"/bin/sh");
        let rest = self.args.drain(..).skip(1);
        self.args = [shell.clone(), self.program].into_iter().chain(rest).collect();
        self.program = shell;
        self
    }
}

/// Starts commands as leaders of sessions, with the standard input of this process, default signal handling and no
/// signal blocked.
#[derive(Default)]
pub(super) struct Starter {
    /// The plan of the last start, and its descriptors: their numbers are usually the same again.
    // Making a plan allocates several times, and a runner starts one action after the other with the same numbers.
    plan: Option<([RawFd; 3], Plan)>,
}

impl Starter {
    /// Starts a command.
    ///
    /// A file that may be executed, but is in a format that the system does not know (`ENOEXEC`), is run as a shell
    /// script, as `execvp(3)` and therefore `env(1)` do.
    pub(super) fn spawn(&mut self, command: &Command, open: &OpenFiles<'_>) -> io::Result<i32> {
        let words = Words::of(command)?;
        let numbers = [open.cwd.as_raw_fd(), open.stdout.as_raw_fd(), open.stderr.as_raw_fd()];
        let plan = match self.plan.take() {
            Some((planned, plan)) if planned == numbers => plan,
            _ => Plan::new(numbers)?,
        };
        let started = match plan.spawn(&words) {
            Err(error) if error.raw_os_error() == Some(libc::ENOEXEC) => plan.spawn(&words.by_shell()),
            result => result,
        };
        self.plan = Some((numbers, plan));
        started
    }
}

fn ok(errno: libc::c_int) -> io::Result<()> {
    if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) }
}

impl Plan {
    /// Makes these descriptors working directory, standard output and standard error.
    fn new([cwd, stdout, stderr]: [RawFd; 3]) -> io::Result<Plan> {
        // SAFETY: the two objects are initialised first thing, and destroyed by `Plan`.
        unsafe {
            let mut actions = MaybeUninit::uninit();
            let mut attributes = MaybeUninit::uninit();
            ok(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
            ok(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
            let mut plan = Plan { actions: actions.assume_init(), attributes: attributes.assume_init() };

            ok(libc::posix_spawn_file_actions_adddup2(&mut plan.actions, stdout, 1))?;
            ok(libc::posix_spawn_file_actions_adddup2(&mut plan.actions, stderr, 2))?;
            // The descriptors were received close-on-exec, so the originals vanish by themselves.
            ok(libc::posix_spawn_file_actions_addfchdir_np(&mut plan.actions, cwd))?;

            // A new session is also a new process group; the mask and the dispositions are not to depend on the caller.
            let flags = libc::POSIX_SPAWN_SETSID as libc::c_int
                | libc::POSIX_SPAWN_SETSIGMASK as libc::c_int
                | libc::POSIX_SPAWN_SETSIGDEF as libc::c_int;
            ok(libc::posix_spawnattr_setflags(&mut plan.attributes, flags as libc::c_short))?;
            ok(libc::posix_spawnattr_setsigmask(&mut plan.attributes, &signal_set(&[])))?;
            ok(libc::posix_spawnattr_setsigdefault(&mut plan.attributes, &all_signals()))?;
            Ok(plan)
        }
    }

    fn spawn(&self, words: &Words) -> io::Result<i32> {
        let pointers = |strings: &[CString]| -> Vec<*mut libc::c_char> {
            strings.iter().map(|s| s.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
        };
        let (args, env) = (pointers(&words.args), pointers(&words.env));
        let mut pid = 0;
        // SAFETY: all strings and pointer arrays (null-terminated) live until the end of this function, and
        // posix_spawn returns only when the child no longer uses them. The arguments are not written to.
        ok(unsafe {
            libc::posix_spawn(
                &mut pid,
                words.program.as_ptr(),
                &self.actions,
                &self.attributes,
                args.as_ptr(),
                env.as_ptr(),
            )
        })?;
        Ok(pid)
    }
}
