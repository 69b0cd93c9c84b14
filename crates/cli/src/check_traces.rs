//! `--check-traces`: checks that cached build state gives the right answers.
//!
//! The call is made three times, each by a process of its own: as usual; without cached build state (`--no-trace`),
//! which must give the same answer; and as usual again, which must execute nothing. A difference is a bug of taut, and
//! is reported. It serves developers of taut, and users that suspect the cache.
//!
//! A call that adds results of export targets to the target-level cache has changed what the next one is about: these
//! targets are known objects to it. So then the call is made once more before others are compared with it.

use std::{
    ffi::OsString,
    os::fd::AsFd,
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::Thread,
};

use taut_driver::{EventLogs, is_cache_warning};
use taut_store::Store;
use taut_sys::{
    At, Dir, FileKind, if_exists,
    process::{Command, HelperStart, Processes, Streams},
};

use crate::{
    environment::open_store,
    exit::Exit,
    log::{Level, Log},
    options, request,
    retry::{LOST_ROOTS, MADE_AGAIN},
    root_options::RootOptions,
    roots::Roots,
    standard_streams::{eprint_text, print},
    tool_name::Name,
    voice::differs_each_time,
};

/// The option, which is removed from the calls that are compared.
const WORD: &str = "--check-traces";

/// The options of the call that is checked.
pub(crate) struct Subject<'o> {
    pub(crate) common: &'o options::Common,
    pub(crate) analysis: &'o options::Analysis,
    pub(crate) stores: &'o options::Stores,
    /// Where it installs to.
    pub(crate) output_dir: Option<&'o Path>,
    /// Whether it runs actions, which may print something.
    pub(crate) runs_actions: bool,
    /// Whether it executes nothing at all.
    pub(crate) is_question: bool,
}

/// The exit code and output of a call.
struct Answer {
    code: i32,
    stdout: Vec<u8>,
    stderr: String,
}

/// Makes the call with these words, the first of which is the name of the tool, and checks it. The exit code is
/// that of the call, or 1 if the check fails.
pub(crate) fn run(name: Name, words: &[OsString], subject: &Subject<'_>, log: &Arc<Log>) -> Exit {
    check(name, words, subject, log).unwrap_or_else(|exit| exit)
}

fn check(name: Name, words: &[OsString], subject: &Subject<'_>, log: &Arc<Log>) -> Result<Exit, Exit> {
    let store = open_store(name, subject.stores, log).ok_or(Exit::Environment)?;
    // In the build root, which is emptied by `gc` if the process is killed.
    let scratch = store.temporary_directory("check").map_err(|error| failed(log, &error))?;
    let checked = Check { words, subject, scratch: &scratch, log };
    let logs = || {
        if subject.is_question {
            return None;
        }
        let execution = options::Execution::default();
        let Subject { common, stores, analysis, .. } = *subject;
        let of = RootOptions { name, common, stores, analysis, execution: &execution };
        let roots = Roots::only_known(of, log);
        let request = request::quiet_request(common, analysis, &roots, log).ok()?;
        EventLogs::of(&store, &request.repositories).ok()
    };
    let result = checked.run_command(&store, logs);
    scratch.remove();
    result
}

fn failed(log: &Log, error: &dyn std::fmt::Display) -> Exit {
    log.say(Level::Error, format!("Cannot check the cache: {error}"));
    Exit::Environment
}

struct Check<'o> {
    words: &'o [OsString],
    subject: &'o Subject<'o>,
    scratch: &'o Dir,
    log: &'o Log,
}

impl Check<'_> {
    fn run_command(&self, store: &Store, logs: impl Fn() -> Option<EventLogs>) -> Result<Exit, Exit> {
        // Entries before and after are compared, not counted: one may be replaced.
        let entries = || store.target_cache_entries().map_err(|error| failed(self.log, &error));
        let before = entries()?;
        let mut cached = self.call("cached", &[])?;
        // The answer is shown, whatever the check finds.
        eprint_text(&cached.stderr);
        print(&cached.stdout);
        // See the header: the first call is then not comparable with the second one.
        if entries()? != before {
            cached = self.call("again-cached", &[])?;
        }
        let elsewhere = self.scratch.path().join("installed");
        // Installed elsewhere, since installing over the first result would hide differences.
        let mut more: Vec<OsString> = vec!["--no-trace".into()];
        if self.subject.output_dir.is_some() {
            more.extend(["--output-dir".into(), elsewhere.clone().into_os_string()]);
        }
        let mut fresh = self.call("fresh", &more)?;
        if let Some(directory) = self.subject.output_dir {
            let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
            let (new, old) = (elsewhere.display().to_string(), directory.display().to_string());
            fresh.stderr = fresh.stderr.replace(&new, &old);
            fresh.stdout = String::from_utf8_lossy(&fresh.stdout).replace(&new, &old).into_bytes();
            if let Some(path) = self.installed_otherwise(directory)? {
                return self.wrong(format!(
                    "{} was installed with other content than without cached build state",
                    path.display()
                ));
            }
        }
        if cached.code != fresh.code {
            return self.wrong(format!(
                "the exit code is {}, but {} without cached build state",
                cached.code, fresh.code
            ));
        }
        if cached.stdout != fresh.stdout {
            return self.wrong("standard output differs from that without cached build state".to_owned());
        }
        let [cached_lines, fresh_lines] = [&cached, &fresh].map(|answer| comparable_lines(&answer.stderr));
        if let Some(text) = cached_lines.iter().find(|line| !fresh_lines.contains(line)) {
            return self.wrong(format!("only the call with cached build state printed:\n{text}"));
        }
        if let Some(text) = fresh_lines.iter().find(|line| !cached_lines.contains(line)) {
            return self.wrong(format!("only the call without cached build state printed:\n{text}"));
        }
        // A call that fails runs the failing actions again each time.
        if cached.code == 0 {
            let logs = logs();
            let before = logs.as_ref().map(EventLogs::now);
            let again = self.call("again", &[])?;
            let excess = logs.zip(before).and_then(|(logs, before)| logs.excess(&before));
            if let Some(excess) = excess {
                return self
                    .wrong(format!("a repeated call did work although nothing had changed: {excess}"));
            }
            if again.stdout != cached.stdout || comparable_lines(&again.stderr) != cached_lines {
                return self.wrong("a repeated call printed something else".to_owned());
            }
        }
        self.log.say(Level::Info, "Cache check passed.");
        Ok(exit_of(cached.code))
    }

    /// The first path that the call has installed below a directory with other content than the one without cached
    /// build state has it elsewhere.
    fn installed_otherwise(&self, directory: PathBuf) -> Result<Option<PathBuf>, Exit> {
        // Where a call installs nothing, it makes no directory.
        let open = |dir| if_exists(dir).map_err(|error| failed(self.log, &error));
        let would = open(self.scratch.at("installed").open_dir())?;
        let is = open(Dir::of_user(&directory))?;
        Ok(match (would, is) {
            (None, _) => None,
            (Some(_), None) => Some(directory),
            (Some(would), Some(is)) => first_difference(&would, &is),
        })
    }

    fn wrong(&self, what: String) -> Result<Exit, Exit> {
        self.log.say(Level::Error, format!("Cache check failed: {what}"));
        Err(Exit::BuildFailure)
    }

    /// Makes the call with more options.
    fn call(&self, name: &str, more: &[OsString]) -> Result<Answer, Exit> {
        let failed = |error: &dyn std::fmt::Display| failed(self.log, error);
        // What follows `--` are names, so options go before it.
        let end = self.words.iter().position(|word| word == "--").unwrap_or(self.words.len());
        let mut args: Vec<OsString> =
            self.words[..end].iter().filter(|word| *word != WORD).cloned().collect();
        args.extend_from_slice(more);
        if self.subject.runs_actions {
            // The set of those that run differs from call to call.
            args.push("--show-cached-output".into());
        }
        args.extend_from_slice(&self.words[end..]);
        let (stdout, stderr) = (format!("{name}.out"), format!("{name}.err"));
        // Into files rather than pipes: the output may be large, and nothing has to read it meanwhile.
        let (stdout, stderr) = (self.scratch.at(&stdout), self.scratch.at(&stderr));
        // Not by the name of the call, which may lead to another version by now.
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let command = Command { args, env: std::env::vars_os().collect(), ..Command::new(program) };
        let cwd = Dir::of_user(Path::new(".")).map_err(|error| failed(&error))?;
        let create = |at: At<'_>| Ok(at.create_new(0o600).map_err(|error| failed(&error))?.into_std());
        let (out, err) = (create(stdout)?, create(stderr)?);
        let streams = Streams { cwd: cwd.as_fd(), stdout: out.as_fd(), stderr: err.as_fd() };
        // With the umask of the user, as it would be in the call itself.
        let processes = Processes::new(HelperStart::this_program().keep_umask());
        let running = processes.spawn(&command, streams).map_err(|error| failed(&error))?;
        let exit = block_on(running).map_err(|error| failed(&error))?;
        let read = |at: At<'_>| at.read().map_err(|error| failed(&error));
        Ok(Answer {
            code: exit.status.code().unwrap_or(-1),
            stdout: read(stdout)?,
            stderr: String::from_utf8_lossy(&read(stderr)?).into_owned(),
        })
    }
}

/// What an exit code of a call means.
fn exit_of(code: i32) -> Exit {
    match code {
        0 => Exit::Success,
        1 => Exit::BuildFailure,
        2 => Exit::FailedArtifacts,
        8 => Exit::AnalysisFailure,
        16 => Exit::Environment,
        32 => Exit::Syntax,
        other => Exit::Signal(other - 128),
    }
}

/// Blocks this thread until a future that another thread completes is ready.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Unpark>) {
            self.0.unpark();
        }
    }
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            // An unpark before this is not lost: the park returns at once then.
            Poll::Pending => std::thread::park(),
        }
    }
}

/// The lines of standard error that do not depend on cached build state, sorted. Left out are counts of what was
/// replayed, progress, objects that were lost since, how to repeat the call, and the names of directories of actions.
fn comparable_lines(stderr: &str) -> Vec<String> {
    let differs = |line: &&str| {
        differs_each_time(line)
            || [MADE_AGAIN, LOST_ROOTS].iter().any(|text| line.contains(text))
            || is_cache_warning(line)
    };
    let lines = stderr.lines().filter(|line| !differs(line));
    let mut lines: Vec<String> = lines.map(without_stage).collect();
    // The order of messages about actions depends on which of them ends first.
    lines.sort_unstable();
    // A call that starts the build again repeats its messages.
    lines.dedup();
    lines
}

/// A line without the names of directories that are made for one call.
fn without_stage(line: &str) -> String {
    // The names are random, and part of messages of compilers, which show paths.
    let Some((before, after)) = line.split_once("/exec_root/") else { return line.to_owned() };
    let after = after.splitn(3, '/').nth(2).unwrap_or_default();
    format!("{before}/exec_root/…/{after}")
}

/// The first path below the directory `would` that is not the same below `is`, in the order of names.
fn first_difference(would: &Dir, is: &Dir) -> Option<PathBuf> {
    // Only what the call without state installs is compared: the directory may well have other files.
    let mut pending = vec![PathBuf::new()];
    while let Some(path) = pending.pop() {
        let below = if path.as_os_str().is_empty() { would.try_clone() } else { would.at(&path).open_dir() };
        let mut entries = below.and_then(|below| below.list()).unwrap_or_default();
        // Backwards, since directories are taken from the end of the list.
        entries.sort_by(|a, b| b.0.cmp(&a.0));
        for (name, kind) in entries {
            let path = path.join(name);
            let (would, is) = (would.at(&path), is.at(&path));
            let same = match kind {
                FileKind::Directory => {
                    pending.push(path.clone());
                    is.lstat().is_ok_and(|found| found.is_dir())
                }
                FileKind::Symlink => would.read_link().ok() == is.read_link().ok(),
                _ => {
                    let mode = |at: At<'_>| at.lstat().ok().map(|found| found.mode());
                    mode(would) == mode(is) && would.read().ok() == is.read().ok()
                }
            };
            if !same {
                return Some(is.path());
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::comparable_lines;

    #[test]
    fn lines_that_differ_between_equal_calls_are_left_out() {
        let one = "b\nBuilt :t in 0.1 s: 1 action run\nerror: /x/exec_root/1-2-3/0/root: bad\n";
        let two = "error: /x/exec_root/4-5-6/7/root: bad\n:t is up to date (1 action, 0.01 s)\nb\n";
        assert_eq!(comparable_lines(one), comparable_lines(two));
        assert_ne!(comparable_lines("a"), comparable_lines("b"));
    }
}
