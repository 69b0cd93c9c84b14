//! The fixture of these tests: a directory for a process to run in, and waiting for its end.

use std::fs::File;
use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use taut_sys::process::{Command, Exit, HelperStart, Processes, Running, Status, Streams};

pub(crate) fn processes() -> Processes {
    Processes::new(HelperStart::this_program())
}

/// A directory to run in, with a file for each output.
pub(crate) struct TestDir {
    directory: tempfile::TempDir,
    cwd: File,
    out: File,
    err: File,
}

impl TestDir {
    pub(crate) fn new() -> TestDir {
        let directory = tempfile::tempdir().unwrap();
        let open = |name| File::create(directory.path().join(name)).unwrap();
        let (out, err) = (open("out"), open("err"));
        TestDir { cwd: File::open(directory.path()).unwrap(), out, err, directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn root(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    pub(crate) fn start(&self, processes: &Processes, command: &Command) -> io::Result<Running> {
        let TestDir { cwd, out, err, .. } = self;
        processes.spawn(command, Streams { cwd: cwd.as_fd(), stdout: out.as_fd(), stderr: err.as_fd() })
    }

    pub(crate) fn run(&self, processes: &Processes, command: &Command) -> Exit {
        exit_of(self.start(processes, command).unwrap())
    }

    /// The line that a process writes to a file here.
    pub(crate) fn written(&self, name: &str) -> String {
        written(&self.path(name))
    }
}

pub(crate) fn wait<F: Future>(future: F) -> F::Output {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// How a process ends, without the time that it used.
pub(crate) fn exit_of(running: Running) -> Exit {
    Exit { cpu: Duration::ZERO, ..wait(running).unwrap() }
}

pub(crate) fn sh(script: &str) -> Command {
    let mut command = Command::new("/bin/sh").args(["-c", script, "sh"]);
    command.env = vec![("PATH".into(), "/usr/bin:/bin".into())];
    command
}

pub(crate) fn exited(status: Status) -> Exit {
    Exit { status, timed_out: false, cpu: Duration::ZERO, left_behind: false }
}

pub(crate) fn alive(pid: &str) -> bool {
    // A zombie that has not been reaped yet is no longer running.
    std::fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'))
}

/// Polls for something that must become true; a long limit only so that a failure is not a hang.
pub(crate) fn eventually(condition: impl Fn() -> bool) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        if condition() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    false
}

pub(crate) fn written(path: &Path) -> String {
    assert!(eventually(|| std::fs::read_to_string(path).is_ok_and(|text| text.ends_with('\n'))));
    std::fs::read_to_string(path).unwrap()
}
