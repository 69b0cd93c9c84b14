//! A build tool as its users see it: a binary with a command line, output and an exit code.
//!
//! The tool runs in a nearly empty environment (no `HOME` of the developer, no colour
//! variables), so that no machine's settings decide a test.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::io;
use std::ops::{Deref, DerefMut};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// A binary with taut's command line: taut itself, or the tool it is compatible with.
#[derive(Debug, Clone)]
pub struct Tool {
    path: PathBuf,
    /// The name by which it is called, if that is not its path.
    name: Option<&'static str>,
    /// Environment variables beside the usual ones.
    env: Vec<(Cow<'static, str>, OsString)>,
}

/// The result of a call of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolResult {
    /// The exit code; 128 + n if signal n ended the process.
    pub code: i32,
    /// Everything on standard output; bytes that are not UTF-8 are replaced.
    pub stdout: String,
    /// Everything on standard error; bytes that are not UTF-8 are replaced.
    pub stderr: String,
}

/// A call that was started. It ends with the test at the latest: one that fails leaves nothing running.
#[derive(Debug)]
pub struct StartedTool(Option<Child>);

impl StartedTool {
    /// As [`Child::wait_with_output`].
    ///
    /// # Errors
    /// As there.
    pub fn wait_with_output(mut self) -> io::Result<Output> {
        self.0.take().expect("it is there until it is dropped").wait_with_output()
    }
}

impl From<Child> for StartedTool {
    fn from(child: Child) -> StartedTool {
        StartedTool(Some(child))
    }
}

impl Deref for StartedTool {
    type Target = Child;

    fn deref(&self) -> &Child {
        self.0.as_ref().expect("it is there until it is dropped")
    }
}

impl DerefMut for StartedTool {
    fn deref_mut(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is there until it is dropped")
    }
}

impl Drop for StartedTool {
    fn drop(&mut self) {
        if let Some(child) = &mut self.0 {
            // Of one that has ended and was waited for, this does nothing.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

impl Tool {
    /// The tool at `path`, usually `env!("CARGO_BIN_EXE_taut")`.
    #[must_use]
    pub fn at(path: impl AsRef<Path>) -> Self {
        Self { path: path.as_ref().to_path_buf(), name: None, env: Vec::new() }
    }

    /// The same tool, called by another name: taut talks as the tool of that name does.
    #[must_use]
    pub fn called(self, name: &'static str) -> Self {
        Self { name: Some(name), ..self }
    }

    /// The same tool with another environment variable.
    #[must_use]
    pub fn with_env(mut self, name: impl Into<Cow<'static, str>>, value: impl Into<OsString>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// The reference implementation, if this machine has it: the binary that the
    /// environment variable `TAUT_REFERENCE` names, else `just` or `justbuild` on the
    /// search path.
    ///
    /// Another, better known tool is called `just` too; one that does not answer
    /// `version` as the reference does is not taken.
    #[must_use]
    pub fn reference() -> Option<Self> {
        let named = std::env::var_os("TAUT_REFERENCE").map(PathBuf::from);
        // If one is named, no other is tried: a wrong name must not lead to comparisons with another version.
        let candidates = match named {
            Some(path) => vec![path],
            None => ["just", "justbuild"].iter().filter_map(find).collect(),
        };
        candidates.into_iter().find_map(|path| {
            let answer = Command::new(&path).arg("version").output().ok()?;
            let version: serde_json::Value = serde_json::from_slice(&answer.stdout).ok()?;
            version.get("version")?.as_array()?;
            Some(Self::at(path))
        })
    }

    /// The path of the binary.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the tool is the reference, or called by one of its names.
    fn is_reference(&self) -> bool {
        let path = || self.path.file_name().and_then(OsStr::to_str);
        self.name.or_else(path).is_some_and(|name| name.starts_with("just"))
    }

    /// A call of the tool that is not started yet: in `dir`, with only `PATH`, `HOME`
    /// (= `dir`) and what [`Tool::with_env`] adds, standard input empty, both outputs kept.
    pub fn command(&self, dir: &Path) -> Command {
        let mut command = Command::new(&self.path);
        if let Some(name) = self.name {
            command.arg0(name);
        }
        command
            .current_dir(dir)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", dir)
            // Last, so that a test can replace `PATH` and `HOME` too.
            .envs(self.env.iter().map(|(name, value)| (&**name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Calls the tool in `dir` and waits for its answer.
    ///
    /// # Panics
    ///
    /// If the binary cannot be started.
    pub fn run<S: AsRef<OsStr>>(&self, dir: &Path, args: impl IntoIterator<Item = S>) -> ToolResult {
        let output = self
            .command(dir)
            .args(args)
            .output()
            .unwrap_or_else(|error| panic!("cannot start {}: {error}", self.path.display()));
        let stderr = String::from_utf8_lossy(&output.stderr);
        // The reference writes colours to files, too, and tests are about the text.
        let stderr = if self.is_reference() { without_colors(&stderr) } else { stderr.into_owned() };
        ToolResult {
            code: code(output.status),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr,
        }
    }
}

/// A text without the codes of colours.
#[must_use]
pub fn without_colors(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let parameters = part.bytes().take_while(|byte| byte.is_ascii_digit() || *byte == b';').count();
        match part[parameters..].strip_prefix('m') {
            Some(rest) => plain += rest,
            None => plain.extend(["\x1b[", part]),
        }
    }
    plain
}

impl ToolResult {
    /// This result, provided that the exit code is `code`.
    ///
    /// # Panics
    ///
    /// If it is another one; the message shows both outputs.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert!(
            self.code == code,
            "exit code {} instead of {code}\n--- stdout\n{}--- stderr\n{}",
            self.code,
            self.stdout,
            self.stderr
        );
        self
    }
}

/// A text with `just now` for each age of a call, which depends on how busy the machine is.
#[must_use]
pub fn without_ages(text: &str) -> String {
    let mut parts = text.split(" ago");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        // `, 2 seconds ago;`, or at the end of a sentence or before a list.
        match out.rfind(", ").filter(|_| part.starts_with([';', '.', ':'])) {
            Some(begin) => {
                out.truncate(begin);
                out += ", just now";
            }
            None => out += " ago",
        }
        out += part;
    }
    out
}

/// How many actions a build was about, and how many of them did not run, from the last line that taut prints of it;
/// `None` if there is no such line.
#[must_use]
pub fn processed(stderr: &str) -> Option<(usize, usize)> {
    let line = stderr.lines().rfind(|line| line.starts_with("Built ") || line.contains(" up to date ("))?;
    let number = |text: &str| text.split(' ').next().and_then(|number| number.parse::<usize>().ok());
    if let Some((_, figures)) = line.split_once(" up to date (") {
        let all = number(figures).or(figures.starts_with("no actions").then_some(0))?;
        return Some((all, all));
    }
    let figures = line.split("; installed").next().unwrap_or_default().rsplit(" s: ").next()?;
    let (mut all, mut hits) = (0, 0);
    for part in figures.split(", ") {
        let count = number(part)?;
        all += count;
        hits += if part.ends_with(" run") { 0 } else { count };
    }
    Some((all, hits))
}

fn code(status: std::process::ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt as _;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn find(name: &&str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(name)).find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use super::{Tool, processed, without_ages};
    use std::path::Path;

    #[test]
    fn a_call_reports_exit_code_and_both_outputs() {
        let ran = Tool::at("/bin/sh").run(Path::new("/"), ["-c", "echo out; echo err >&2; exit 3"]);
        assert_eq!((ran.code, ran.stdout.as_str(), ran.stderr.as_str()), (3, "out\n", "err\n"));
    }

    #[test]
    fn death_by_a_signal_is_128_and_its_number() {
        assert_eq!(Tool::at("/bin/sh").run(Path::new("/"), ["-c", "kill -9 $$"]).code, 137);
    }

    #[test]
    fn the_figures_of_a_build_are_in_its_last_line() {
        for (line, figures) in [
            (":t is up to date (3 actions, 0.01 s)", Some((3, 3))),
            ("the inputs of action #0 of :t are up to date (1 action, 0.01 s)", Some((1, 1))),
            (":t is up to date (no actions, 0.01 s); installed 1 artifact in x", Some((0, 0))),
            ("warning: x\nBuilt :t in 0.1 s: 2 actions run, 3 from cache, 4 up to date", Some((9, 7))),
            ("Built :t in 0.1 s: 1 action from cache; installed 2 artifacts in out", Some((1, 1))),
            ("error: build of :t failed after 0.1 s", None),
        ] {
            assert_eq!(processed(line), figures, "{line}");
        }
    }

    #[test]
    fn the_environment_of_the_developer_is_not_passed_on() {
        let ran = Tool::at("/usr/bin/env").run(Path::new("/"), [] as [&str; 0]);
        let names: Vec<_> = ran.stdout.lines().filter_map(|l| l.split('=').next()).collect();
        assert_eq!(names, ["HOME", "PATH"]);
    }

    #[test]
    fn ages_are_replaced() {
        assert_eq!(without_ages("a, b, 3 seconds ago; c, just now; d"), "a, b, just now; c, just now; d");
    }
}
