//! Calls that go on while a case makes others.

use std::{
    fs,
    io::Read as _,
    os::unix::process::ExitStatusExt as _,
    sync::{Arc, Mutex},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use taut_testkit::{StartedTool, Tool, without_colors};

use crate::Case;

/// How long a call is given to print a text; long, since a machine may be busy.
const MAX_WAIT: Duration = Duration::from_secs(120);

/// A call that has not ended.
pub(crate) struct Running {
    child: StartedTool,
    /// What it has printed on standard error.
    output: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
    /// How many bytes of that were returned.
    returned: usize,
}

impl Running {
    /// Starts a call that is to print a text or make a file.
    pub(crate) fn start(case: &Case<'_>, tool: &Tool, words: &[String], text: &str) -> Running {
        if !text.starts_with("$BUILD") {
            let _ = fs::remove_file(case.workspace.beside("made").join(text));
        }
        let mut child = case.workspace.start(tool, words);
        let mut stderr = child.stderr.take().unwrap();
        let output: Arc<Mutex<Vec<u8>>> = Arc::default();
        let kept = output.clone();
        let reader = thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = stderr.read(&mut buffer) {
                kept.lock().unwrap().extend(&buffer[..read]);
            }
        });
        Running { child, output, reader: Some(reader), returned: 0 }
    }

    /// Waits until it has printed a text or made a file; returns what it has printed until then: up to the end of the
    /// line with the text.
    pub(crate) fn printed(&mut self, case: &Case<'_>, text: &str) -> String {
        let made = case.workspace.beside("made").join(case.with_directories(text));
        let begin = Instant::now();
        loop {
            let is_made = made.exists();
            let output = self.rest();
            let end = output.find(text).and_then(|begin| Some(begin + output[begin..].find('\n')? + 1));
            if is_made || end.is_some() {
                let printed = &output[..end.unwrap_or(output.len())];
                self.returned += printed.len();
                return printed.to_owned();
            }
            let goes_on = self.child.try_wait().unwrap().is_none() && begin.elapsed() < MAX_WAIT;
            if !goes_on {
                let _ = self.child.kill();
                panic!("it did not come to {text:?}: {output}");
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// The exit code after SIGINT, and the rest of what it printed.
    pub(crate) fn interrupt(mut self) -> (i32, String) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
        let status = self.child.wait().unwrap();
        let code = status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or_default());
        let reader = self.reader.take().expect("it is joined here only");
        reader.join().unwrap();
        (code, self.rest())
    }

    /// What it has printed since then, without colours, which messages under the name `just` have in any case.
    fn rest(&self) -> String {
        without_colors(&String::from_utf8_lossy(&self.output.lock().unwrap())).split_off(self.returned)
    }
}
