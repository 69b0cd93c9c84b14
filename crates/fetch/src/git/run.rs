//! A command in a directory, with what it prints.

use std::{
    ffi::{OsStr, OsString},
    future::Future,
    io::{self, Read},
    os::{fd::AsFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
    time::{Duration, Instant},
};

use taut_sys::{
    At, Dir, Identity, fault, in_words, is_program,
    process::{Command, Exit, Status, Streams},
};

use super::Programs;
use crate::{Cause, Progress};

/// How many bytes of what a command prints are kept for messages: the last ones.
// Enough for the message of a compiler or of a remote hook; a message shows the last lines of it.
const MAX_KEPT: usize = 16 << 10;

/// How often a fetch is asked whether it is still wanted.
// A compromise: short enough for Ctrl-C to feel immediate, long enough to cost no time.
const TICK: Duration = Duration::from_millis(100);

/// Numbers the scratch directories of this process.
// Relaxed, where it is used: only that no two get the same number matters.
static NUMBER: AtomicU64 = AtomicU64::new(0);

/// A directory that is removed with all below it when it is dropped.
pub(super) struct Scratch<'d> {
    at: At<'d>,
    // So that only what was made here is removed, should another process have put something in its place.
    identity: Identity,
    pub(super) dir: Dir,
}

/// The name of a new scratch directory.
pub(super) fn scratch_name() -> OsString {
    format!("fetch-{}-{}", std::process::id(), NUMBER.fetch_add(1, Relaxed)).into()
}

impl<'d> Scratch<'d> {
    /// Makes an empty directory that no other user can read. What a process with the same number left is removed.
    pub(super) fn make(at: At<'d>) -> Result<Scratch<'d>, Cause> {
        let made = at.remove_all().and_then(|()| at.make_private_dir());
        let made = made.and_then(|dir| Ok(Scratch { at, identity: dir.identity()?, dir }));
        made.map_err(|error| Cause::File(error.to_string()))
    }
}

impl Drop for Scratch<'_> {
    fn drop(&mut self) {
        // What cannot be removed is in the directory for temporary files, which is emptied with the next `gc`.
        let _ = self.at.remove_made(self.identity);
    }
}

/// How a command is watched.
pub(super) struct CommandWatch<'w> {
    pub(super) progress: &'w dyn Progress,
    /// Receives each line, also those that end in a carriage return.
    pub(super) line: &'w (dyn Fn(&str) + Sync),
    /// How long it may print nothing; `None` for any time.
    pub(super) stall: Option<Duration>,
}

/// A command that was run to its end.
pub(super) struct CommandEnd {
    status: Status,
    /// The last of what it printed, without white space at the end.
    pub(super) printed: String,
}

impl CommandEnd {
    /// How it failed, if it did.
    pub(super) fn failure(&self) -> Option<String> {
        Some(match self.status {
            Status::Code(0) => return None,
            Status::Code(code) => format!("failed with exit code {code}"),
            Status::Signal(signal) => format!("was killed by signal {signal}"),
            Status::NotStarted(errno) => {
                format!("cannot be started: {}", in_words(&io::Error::from_raw_os_error(errno)))
            }
        })
    }

    /// Checks that it did not fail.
    ///
    /// # Errors
    /// It failed; `what` names it in the message.
    pub(super) fn succeeded(self, what: &str) -> Result<(), Cause> {
        let Some(failure) = self.failure() else { return Ok(()) };
        let printed = self.printed;
        let separator = if printed.is_empty() { "" } else { ": " };
        Err(Cause::Command(format!("{what} {failure}{separator}{printed}")))
    }
}

/// Runs a command to its end. Its processes are gone when this returns.
///
/// # Errors
/// It cannot be started, prints nothing for too long, or the fetch is cancelled.
pub(super) fn run(
    programs: &Programs,
    command: &[OsString],
    extra_environment: &[(&str, &str)],
    cwd: &Dir,
    watch: &CommandWatch<'_>,
) -> Result<CommandEnd, Cause> {
    let Some((name, arguments)) = command.split_first() else {
        return Err(Cause::Command("the command is empty".to_owned()));
    };
    let mut env = programs.environment.clone();
    for (variable, value) in extra_environment {
        // A variable that occurs twice would be taken from the first place by some programs, from the last by others.
        env.retain(|(name, _)| name != variable);
        env.push((variable.into(), value.into()));
    }
    let mut process = Command::new(find_program(name, programs.search_path.as_deref())?).args(arguments);
    // The name as it was written, not the path: programs that are several in one file go by it.
    process.args[0] = name.clone();
    process.env = env;
    // One pipe for both streams keeps the order of what is printed.
    let pipe = fault::point("make", Path::new("pipe")).and_then(|()| io::pipe());
    let pipe = pipe.map_err(|error| Cause::Command(format!("cannot make a pipe: {}", in_words(&error))))?;
    let (mut reader, writer) = pipe;
    let printed = Mutex::new(Output::default());
    let started = Instant::now();
    let exit = std::thread::scope(|scope| {
        let running = {
            let streams = Streams { cwd: cwd.as_fd(), stdout: writer.as_fd(), stderr: writer.as_fd() };
            programs.processes.spawn(&process, streams)
        };
        // The reader sees the end when the processes have closed their copies.
        drop(writer);
        let running =
            running.map_err(|error| Cause::Command(format!("cannot start it: {}", in_words(&error))))?;
        // It runs beside the wait: a full pipe would block the command.
        let read = || read_lines(&mut reader, &printed, watch.line, started);
        fault::point("start", Path::new("thread"))
            .and_then(|()| std::thread::Builder::new().spawn_scoped(scope, read))
            .map_err(|error| Cause::Command(format!("cannot start a thread: {}", in_words(&error))))?;
        wait(running, || {
            if watch.progress.is_cancelled() {
                return Some(Cause::Cancelled);
            }
            let silent = started.elapsed().saturating_sub(lock(&printed).last);
            let stall = watch.stall.filter(|stall| silent > *stall)?;
            let why = format!("no progress for {} s", stall.as_secs_f32());
            let has_printed = !lock(&printed).last.is_zero();
            // What has never printed anything may be a server that is down (`servers.rs`); one that stops in the
            // middle is there.
            Some(if has_printed { Cause::Connection(why) } else { Cause::Unreachable(why) })
        })
    })?;
    let printed = lock(&printed).text().trim_end().to_owned();
    Ok(CommandEnd { status: exit.status, printed })
}

/// Where programs are searched if the call has no `PATH`, as `execvp` does.
const USUAL_SEARCH_PATH: &str = "/bin:/usr/bin";

/// The file of a program: a path as it is, a name from the directories of a search path.
fn find_program(name: &OsStr, search_path: Option<&OsStr>) -> Result<PathBuf, Cause> {
    if name.as_bytes().contains(&b'/') {
        return Ok(name.into());
    }
    let found = std::env::split_paths(search_path.unwrap_or(OsStr::new(USUAL_SEARCH_PATH)))
        // A relative directory of `PATH` would be one in the scratch directory.
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|file| is_program(file));
    found.ok_or_else(|| Cause::Command(format!("the program {} is not in PATH", name.display())))
}

#[derive(Default)]
struct Output {
    kept: Vec<u8>,
    /// When something was printed last, since the start.
    // Since the start, not a time of day: the clock of the system may be set meanwhile.
    last: Duration,
}

impl Output {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.kept).into_owned()
    }
}

/// Reads until all writers are closed. A carriage return directly before the end of a line belongs to it, as ssh writes
/// it; other lines that end in one are states that the next one replaces, and are not kept.
fn read_lines(
    reader: &mut impl Read,
    output: &Mutex<Output>,
    take: &(dyn Fn(&str) + Sync),
    started: Instant,
) {
    let mut buffer = vec![0; 1 << 14];
    let mut line: Vec<u8> = Vec::new();
    // Whether the line ended in a carriage return, and so was taken already: what comes next says whether it is kept.
    let mut is_returned = false;
    loop {
        let read = match reader.read(&mut buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            // An error of the pipe loses output only; the exit status decides about success.
            Ok(0) | Err(_) => break,
            Ok(read) => read,
        };
        lock(output).last = started.elapsed();
        // Byte by byte, since a line may end in either character, and one read may have the end of one and the
        // beginning of another.
        for byte in &buffer[..read] {
            match byte {
                b'\r' | b'\n' => {
                    if !is_returned {
                        take(&String::from_utf8_lossy(&line));
                    }
                    is_returned = *byte == b'\r';
                    if !is_returned {
                        line.push(b'\n');
                        keep(output, &mut line);
                    }
                }
                byte => {
                    if std::mem::take(&mut is_returned) {
                        line.clear();
                    }
                    line.push(*byte);
                    // A line without an end would otherwise grow without bound.
                    if line.len() >= MAX_KEPT {
                        keep(output, &mut line);
                    }
                }
            }
        }
    }
    if !is_returned {
        keep(output, &mut line);
    }
}

fn keep(output: &Mutex<Output>, line: &mut Vec<u8>) {
    let mut output = lock(output);
    output.kept.append(line);
    // `drain` moves at most 16 KiB, and only when a line comes: a ring would be more code for nothing.
    let excess = output.kept.len().saturating_sub(MAX_KEPT);
    output.kept.drain(..excess);
}

/// Waits for the end of a process, or until there is a reason to end it.
fn wait(
    running: impl Future<Output = io::Result<Exit>>,
    reason: impl Fn() -> Option<Cause>,
) -> Result<Exit, Cause> {
    // A waker for one thread: this is the only future here, and no runtime is worth it.
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut context = Context::from_waker(&waker);
    let mut running = pin!(running);
    loop {
        // Before the reasons to end it: a process that has ended is not reported as stalled or cancelled.
        if let Poll::Ready(exit) = running.as_mut().poll(&mut context) {
            return exit.map_err(|error| Cause::Command(error.to_string()));
        }
        if let Some(cause) = reason() {
            // The process is ended when the future is dropped.
            return Err(cause);
        }
        // An unpark between the poll and here is not lost: it makes the next park return at once.
        std::thread::park_timeout(TICK);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes one by one, so that the end of a line comes apart.
    struct Slow<'b>(&'b [u8]);

    impl Read for Slow<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let Some((first, rest)) = self.0.split_first() else { return Ok(0) };
            (buffer[0], self.0) = (*first, rest);
            Ok(1)
        }
    }

    #[test]
    fn a_carriage_return_at_the_end_of_a_line_belongs_to_it_and_a_lone_one_replaces_the_line() {
        for (printed, kept, taken) in [
            ("a\nb\n", "a\nb\n", &["a", "b"][..]),
            ("a\r\nb\r\n", "a\nb\n", &["a", "b"]),
            ("a\r\r\nb", "a\nb", &["a"]),
            ("1%\r2%\r100%, done.\nb\r\n", "100%, done.\nb\n", &["1%", "2%", "100%, done.", "b"]),
            ("1%\r", "", &["1%"]),
            ("1%\r\n\r\n", "1%\n\n", &["1%", ""]),
        ] {
            for at_once in [true, false] {
                let (output, lines) = (Mutex::new(Output::default()), Mutex::new(Vec::new()));
                let take = |line: &str| lines.lock().unwrap().push(line.to_owned());
                let mut bytes = printed.as_bytes();
                match at_once {
                    true => read_lines(&mut bytes, &output, &take, Instant::now()),
                    false => read_lines(&mut Slow(bytes), &output, &take, Instant::now()),
                }
                assert_eq!(lock(&output).text(), kept, "{printed:?}");
                assert_eq!(*lines.lock().unwrap(), taken, "{printed:?}");
            }
        }
    }
}
