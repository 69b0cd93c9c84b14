//! The system calls of the helper that have no safe wrapper elsewhere.
//!
//! `posix_spawn` and not fork and exec of our own: it shares the memory until the exec without the
//! danger of running our code there, and it reports a failed exec to the caller.
#![allow(unsafe_code)]

use std::ffi::{CString, OsStr};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::ptr;

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

/// Blocks the signals in the calling thread (and in threads it starts from now on).
pub(super) fn block_signals(signals: &[i32]) -> io::Result<()> {
    let set = signal_set(signals);
    // SAFETY: `set` is initialised; the old mask is not asked for.
    match unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &set, ptr::null_mut()) } {
        0 => Ok(()),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
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
    // SAFETY: `set` is initialised; the new descriptor belongs to nobody else.
    unsafe {
        let fd = check(libc::signalfd(-1, &set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?;
        Ok(OwnedFd::from_raw_fd(fd))
    }
}

/// Closes every descriptor but the standard streams: what leaked into the helper would leak into
/// everything it starts.
///
/// Only for the start of the helper, when no object that owns a descriptor exists.
pub(super) fn close_all_but_standard_streams() {
    // SAFETY: by the contract above nobody owns one of these descriptors. A kernel without the call
    // leaves them open, which is no worse than not trying.
    unsafe {
        libc::syscall(libc::SYS_close_range, 3 as libc::c_uint, libc::c_uint::MAX, 0 as libc::c_uint);
    }
}

/// A child that has ended and is still a zombie: its number and how it ended.
pub(super) fn ended_child() -> Option<(i32, Status)> {
    // SAFETY: a zeroed siginfo_t is valid and is what the system call leaves if nothing ended.
    let mut info: libc::siginfo_t = unsafe { MaybeUninit::zeroed().assume_init() };
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

/// Removes the zombie.
pub(super) fn reap(pid: i32) {
    // SAFETY: a null status pointer is allowed.
    unsafe { libc::waitpid(pid, ptr::null_mut(), libc::WNOHANG) };
}

/// Signals the process, or the whole group for a negative number. Processes that are gone are no error.
pub(super) fn kill(pid: i32, signal: i32) {
    // SAFETY: no memory is involved. 0, 1 and -1 would mean something else entirely.
    if pid.abs() > 1 {
        unsafe { libc::kill(pid, signal) };
    }
}

/// The session of a process; `None` if it is gone.
pub(super) fn session_of(pid: i32) -> Option<i32> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::getsid(pid) }).ok()
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))
}

/// The attributes and file actions of one start, freed when it is over.
struct Plan {
    actions: libc::posix_spawn_file_actions_t,
    attributes: libc::posix_spawnattr_t,
}

impl Drop for Plan {
    fn drop(&mut self) {
        // SAFETY: both were initialised by `spawn` before a `Plan` was made of them.
        unsafe {
            libc::posix_spawn_file_actions_destroy(&mut self.actions);
            libc::posix_spawnattr_destroy(&mut self.attributes);
        }
    }
}

/// Starts the command as leader of a session, with default signal handling and nothing blocked.
pub(super) fn spawn(command: &Command) -> io::Result<i32> {
    let program = c_string(command.program.as_os_str())?;
    let cwd = c_string(command.cwd.as_os_str())?;
    let stdin = c_string(command.stdin.as_os_str())?;
    let stdout = c_string(command.stdout.as_os_str())?;
    let stderr = c_string(command.stderr.as_os_str())?;
    let args = command.args.iter().map(|arg| c_string(arg)).collect::<io::Result<Vec<_>>>()?;
    let env = (command.env.iter())
        .map(|(name, value)| {
            let mut entry = name.clone();
            entry.push("=");
            entry.push(value);
            c_string(&entry)
        })
        .collect::<io::Result<Vec<_>>>()?;
    let pointers = |strings: &[CString]| -> Vec<*mut libc::c_char> {
        strings.iter().map(|s| s.as_ptr().cast_mut()).chain([ptr::null_mut()]).collect()
    };
    let (args_pointers, env_pointers) = (pointers(&args), pointers(&env));
    let ok = |errno| if errno == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(errno)) };

    // SAFETY: the two objects are initialised first thing and destroyed by `Plan`; all strings and
    // pointer arrays (null-terminated) live until the end of this function, and posix_spawn returns
    // only when the child no longer uses them. The arguments are not written to.
    unsafe {
        let mut actions = MaybeUninit::uninit();
        let mut attributes = MaybeUninit::uninit();
        ok(libc::posix_spawn_file_actions_init(actions.as_mut_ptr()))?;
        ok(libc::posix_spawnattr_init(attributes.as_mut_ptr()))?;
        let mut plan = Plan { actions: actions.assume_init(), attributes: attributes.assume_init() };

        let write = libc::O_WRONLY | libc::O_CREAT | libc::O_TRUNC;
        for (fd, path, flags) in [(0, &stdin, libc::O_RDONLY), (1, &stdout, write), (2, &stderr, write)] {
            ok(libc::posix_spawn_file_actions_addopen(&mut plan.actions, fd, path.as_ptr(), flags, 0o600))?;
        }
        ok(libc::posix_spawn_file_actions_addchdir_np(&mut plan.actions, cwd.as_ptr()))?;

        let flags = libc::POSIX_SPAWN_SETSID as libc::c_int
            | libc::POSIX_SPAWN_SETSIGMASK as libc::c_int
            | libc::POSIX_SPAWN_SETSIGDEF as libc::c_int;
        ok(libc::posix_spawnattr_setflags(&mut plan.attributes, flags as libc::c_short))?;
        ok(libc::posix_spawnattr_setsigmask(&mut plan.attributes, &signal_set(&[])))?;
        ok(libc::posix_spawnattr_setsigdefault(&mut plan.attributes, &signal_set(&[libc::SIGPIPE])))?;

        let mut pid = 0;
        ok(libc::posix_spawn(
            &mut pid,
            program.as_ptr(),
            &plan.actions,
            &plan.attributes,
            args_pointers.as_ptr(),
            env_pointers.as_ptr(),
        ))?;
        Ok(pid)
    }
}
