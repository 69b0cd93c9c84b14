//! Execution of actions as processes on this machine.
//!
//! Each runs in a stage (see `stage`), which holds private copies of its inputs. When the process and its leftovers
//! have ended, outputs become stored objects by a rename.

use std::{
    borrow::Cow,
    ffi::OsString,
    future::Future,
    os::fd::AsFd,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use taut_digest::{Digest, ObjectInfo, ObjectType};
use taut_engine::Fail;
use taut_store::{AddMode, Store, TemporaryDir};
use taut_sys::{
    Dir, Output, fault, in_words, is_program,
    process::{Command, Exit, Processes, Status, Streams},
};
use taut_value::path::{normal, normal_path};
use taut_value::{ActionDescription, Str};

use crate::{
    DepfileInputs, Events, Executor, MissingOutput, Phase, RunEnd, RunKey, RunResult, StopSwitch,
    collect::{Collector, OutputAtPath},
    lost, not_started, path_conflict,
    run::with_end,
    slots::{Slot, Slots},
    stage::{Stage, StageContent},
    trees::normalised_stage,
};

/// The configuration of local execution.
pub struct LocalSetup {
    /// Where inputs come from and outputs go.
    pub store: Store,
    /// Starts processes.
    pub processes: Processes,
    /// Where starts are reported.
    pub events: Arc<dyn Events>,
    /// Words in front of each command; `["env","--"]` by default.
    pub launcher: Vec<String>,
    /// The time limit that is enforced, before scaling.
    pub timeout: Option<Duration>,
    /// The time between SIGTERM and SIGKILL for an action that is to end.
    pub grace: Duration,
    /// How many actions run at once.
    pub jobs: usize,
    /// Whether anything new may begin.
    pub stop: Arc<StopSwitch>,
}

/// A directory and output files for one action at a time.
struct RunSlot {
    stage: Stage,
    stdout: Output,
    stderr: Output,
}

impl RunSlot {
    fn new(exec_root: &TemporaryDir, number: usize, fine_times: bool) -> taut_store::Result<RunSlot> {
        let directory = exec_root.at(&number.to_string()).make_dir()?;
        let output = || Ok::<_, taut_sys::Error>(Output::new(directory.try_clone()?));
        // Both files live as long as the slot, so an action creates no file for its output.
        let (stdout, stderr) = (output()?, output()?);
        Ok(RunSlot { stage: Stage::new(directory, fine_times)?, stdout, stderr })
    }
}

/// Runs actions on this machine.
pub struct LocalExecutor {
    setup: LocalSetup,
    /// Made for the first action; if that failed, the reason.
    // The error is kept as text, since every action that asks gets it, and errors of the system cannot be cloned.
    exec_root: OnceLock<Result<ExecRoot, String>>,
}

/// The directories in which actions run; removed when this is dropped.
struct ExecRoot {
    directory: TemporaryDir,
    fine_times: bool,
    slots: Slots<RunSlot>,
}

impl ExecRoot {
    fn new(setup: &LocalSetup) -> taut_store::Result<ExecRoot> {
        let exec_root = setup.store.temporary_directory("exec_root")?;
        // Found out once: all stages lie on one file system.
        let fine_times = exec_root.distinguishes_changes()? && exec_root.dates_all_writes();
        // One at least has to be there; where a further one cannot be made, the build goes on with fewer.
        let first = RunSlot::new(&exec_root, 0, fine_times)?;
        Ok(ExecRoot { slots: Slots::new(first, setup.jobs.max(1)), directory: exec_root, fine_times })
    }

    /// Waits for a directory that no action runs in.
    async fn slot(&self) -> Slot<RunSlot> {
        self.slots.take(|number| RunSlot::new(&self.directory, number, self.fine_times).ok()).await
    }

    fn remove(&self) {
        self.directory.remove();
    }
}

impl Drop for ExecRoot {
    fn drop(&mut self) {
        self.remove();
    }
}

impl LocalExecutor {
    /// Touches no file before there is an action to run.
    pub fn new(setup: LocalSetup) -> LocalExecutor {
        LocalExecutor { setup, exec_root: OnceLock::new() }
    }

    fn exec_root(&self) -> Result<&ExecRoot, Fail> {
        let exec_root =
            self.exec_root.get_or_init(|| ExecRoot::new(&self.setup).map_err(|error| error.to_string()));
        exec_root.as_ref().map_err(|error| Phase::Staging.failed(error))
    }

    async fn run_here(&self, key: &RunKey, end: &dyn RunEnd) -> Result<RunResult, Fail> {
        // Waiting here, not in a thread: a task that waits for a slot occupies no worker of the engine.
        let mut run_slot = self.exec_root()?.slot().await;
        // The build may have been stopped while this waited for a slot.
        if self.setup.stop.is_stopped() {
            return Err(Fail::Cancelled);
        }
        let ended = match self.run_in(&mut run_slot, key).await {
            Ok(ran) => with_end(ran, end).await,
            failed => failed,
        };
        // While this has the slot: the action that gets it next has to see the failure.
        self.setup.stop.note_end(&key.action, &ended);
        ended
    }

    async fn run_in(&self, run_slot: &mut RunSlot, key: &RunKey) -> Result<RunResult, Fail> {
        // Borrowed apart, since the process holds the files while the stage is changed.
        let RunSlot { stage, stdout, stderr } = run_slot;
        let store = &self.setup.store;
        let inputs = normalised_stage(&key.inputs).map_err(|error| Phase::Inputs.failed(error))?;
        let lost = |error| {
            let objects = key.inputs.iter().map(|(_, object)| *object);
            Phase::Staging.failed_in_store(lost(store, error, objects))
        };
        let wanted = self.wanted(key, &inputs).map_err(lost)?;
        if let Some(why) = path_conflict::reason(&wanted, &key.action, &inputs) {
            return Err(Phase::Inputs.failed(why));
        }
        stage.prepare(store, &wanted).map_err(lost)?;
        // After staging: the time that a display shows is that of the process.
        self.setup.events.started(&key.id, &key.action);
        let running = |error: taut_sys::Error| Phase::Running.failed(error);
        let cwd = match normal_path(&key.action.cwd).as_str() {
            "." => stage.root().try_clone(),
            // An input could be a link at that path; the action must not run outside of its directory.
            cwd => stage.root().sub(cwd, taut_sys::Links::Refused),
        };
        let cwd = cwd.map_err(running)?;
        // Files rather than pipes: nothing has to be read while the action runs, and large output needs no memory.
        let (out, err) = (stdout.writer().map_err(running)?, stderr.writer().map_err(running)?);
        let open = Streams { cwd: cwd.as_fd(), stdout: out.as_fd(), stderr: err.as_fd() };
        // Names in a depfile may be whole paths.
        let ran_in = key.depfile.as_ref().and_then(|_| stage.root().real_path().ok());
        let begin = Instant::now();
        // If this future is dropped before the process has ended, the stage stays lent, and the next action gets a new
        // directory.
        let lent = stage.lend();
        let (exit, not_started) = self.run_command(key, open, &cwd).await?;
        // The process has its own copies; these would keep the directory open.
        drop((cwd, out, err));
        let mut ran = RunResult {
            // Never shown by itself: `not_started` says then that no command ended.
            exit_code: exit.status.code().unwrap_or(1),
            run_as: Some(key.id),
            ran_in,
            is_seen_here: self.is_plain(),
            not_started,
            timed_out: exit.timed_out,
            duration: begin.elapsed(),
            cpu: exit.cpu,
            ..RunResult::default()
        };
        let collecting = |error| Phase::Collecting.failed_in_store(error);
        if !matches!(exit.status, Status::NotStarted(_)) {
            ran.stdout = self.stream(stdout).map_err(collecting)?;
            ran.stderr = self.stream(stderr).map_err(collecting)?;
        }
        // No process of the action is left, so nothing can write to its outputs: they become objects as they are.
        self.collect(key, stage.root(), AddMode::Move, &mut ran).map_err(collecting)?;
        if ran.exit_code != 0 && key.action.may_fail.is_none() {
            // A command that failed may have stopped before it wrote its outputs, so their absence is not a second
            // failure.
            ran.missing.clear();
            ran.invalid.clear();
        }
        // After the outputs were moved away, so that they are not removed as foreign files.
        stage.take_back(lent, store).map_err(collecting)?;
        Ok(ran)
    }

    /// Runs the command of an action: directly, if the launcher would only look it up, and else, or if that is refused,
    /// through the launcher. Returns also why it was not started, if it was not.
    async fn run_command(
        &self,
        key: &RunKey,
        open: Streams<'_>,
        cwd: &Dir,
    ) -> Result<(Exit, Option<String>), Fail> {
        let command = self.command(&key.action, key.limit);
        let exit = self.run_process(&command, open).await?;
        let Status::NotStarted(errno) = exit.status else { return Ok((exit, None)) };
        let reason = not_started::reason(&command, cwd, errno);
        // With more words than the action has, it was the launcher that was not started.
        if !self.is_plain() || command.args.len() != key.action.command.len() {
            return Ok((exit, Some(reason)));
        }
        // The launcher's own message and exit code are what the reference shows.
        let exit = self.run_process(&self.through_launcher(command), open).await?;
        // `env` exits with 126 or 127 if it cannot start the command; any other code is that of the command, which ran
        // this time.
        let is_refused = matches!(exit.status, Status::NotStarted(_) | Status::Code(126 | 127));
        Ok((exit, is_refused.then_some(reason)))
    }

    fn wanted(
        &self,
        key: &RunKey,
        inputs: &[(Cow<'_, str>, ObjectInfo)],
    ) -> taut_store::Result<StageContent> {
        let mut wanted = StageContent::new(&self.setup.store, inputs)?;
        let action = &*key.action;
        // Analysis has normal paths; a graph from a file may have others.
        action.outs.iter().for_each(|path| wanted.add_parents(normal(path).as_bytes()));
        action.out_dirs.iter().for_each(|path| wanted.add_directory(&normal(path)));
        // Parents of output files, output directories themselves, and the working directory are there before the
        // command runs, as the reference has them in native mode (`CreateDirectoryStructure`).
        wanted.add_directory(&normal_path(&action.cwd));
        Ok(wanted)
    }

    async fn run_process(&self, command: &Command, open: Streams<'_>) -> Result<Exit, Fail> {
        let refused = |error| Phase::Running.failed(in_words(&error));
        let running = self.setup.processes.spawn(command, open).map_err(refused)?;
        let exit = running.await.map_err(refused)?;
        // Its processes could still write to outputs, so the result cannot be trusted, and the stage is not taken back.
        if exit.left_behind || fault::point("end", Path::new("processes")).is_err() {
            return Err(Phase::Running.failed("it left processes behind that could not be ended"));
        }
        Ok(exit)
    }

    /// Whether the launcher only looks the command up in `PATH`: doing that here saves starting a program.
    fn is_plain(&self) -> bool {
        self.setup.launcher.iter().map(String::as_str).eq(["env", "--"])
    }

    /// The same command with the launcher's words in front.
    fn through_launcher(&self, command: Command) -> Command {
        let launcher = self.setup.launcher.iter().map(OsString::from);
        let args: Vec<OsString> = launcher.chain(command.args).collect();
        // The launcher is looked up in the `PATH` of this process; it looks the command up in that of the action.
        let own_path = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned());
        let first = args.first().and_then(|word| word.to_str()).unwrap_or_default();
        Command { program: look_up(first, &own_path).unwrap_or_else(|| first.into()), args, ..command }
    }

    fn command(&self, action: &ActionDescription, limit: Option<Duration>) -> Command {
        let direct = if self.is_plain() { look_up_for(action) } else { None };
        let env = action.env.iter().map(|(name, value)| {
            (
                OsString::from(name.as_str()),
                OsString::from(value.as_str().map(Str::as_str).unwrap_or_default()),
            )
        });
        let timeout = limit.or(self.setup.timeout).map(|limit| action.time_limit(limit));
        let command = Command {
            program: direct.clone().unwrap_or_default(),
            args: action.command.iter().map(|word| OsString::from(word.as_str())).collect(),
            env: env.collect(),
            // Scaled by the action: `timeout scaling` of the description.
            timeout,
            grace: self.setup.grace,
        };
        if direct.is_some() { command } else { self.through_launcher(command) }
    }

    fn stream(&self, output: &mut Output) -> taut_store::Result<Option<Digest>> {
        output.take(|file| {
            let at = file.at();
            // A copy, since the file is used again for the next action.
            self.setup.store.put_open_file(file, at, false, AddMode::Copy)
        })
    }

    /// Stores the outputs. After the first missing or invalid one, only the messages about further ones matter.
    fn collect(
        &self,
        key: &RunKey,
        root: &Dir,
        take: AddMode,
        ran: &mut RunResult,
    ) -> taut_store::Result<()> {
        let action = &key.action;
        // In the order of the definition, so messages about missing outputs have the order in which they are
        // declared.
        let files = action.outs.iter().map(|path| (path, normal_path(path), false));
        let directories = action.out_dirs.iter().map(|path| (path, normal_path(path), true));
        let all: Vec<(&Str, String, bool)> = files.chain(directories).collect();
        let paths = all.iter().map(|(_, normal, _)| normal.as_str());
        let collector = Collector::new(&self.setup.store, root, take, paths)?;
        for (path, normal, is_directory) in &all {
            let found = collector.output(normal, *is_directory)?;
            if ran.not_collected.is_none()
                && let Some(what) = found.in_reference(normal)
            {
                ran.not_collected = Some(((*path).clone(), what, *is_directory));
            }
            match found {
                OutputAtPath::Object(info) => {
                    if ran.is_complete() {
                        ran.outputs.insert((*path).clone(), info);
                    }
                }
                // A compiler that writes none: what the action read is not known, and nothing else is wrong.
                OutputAtPath::Missing(_) if key.depfile.as_ref() == Some(*path) => {
                    let digest = self.setup.store.put_blob(b"", false)?;
                    if ran.is_complete() {
                        let info = ObjectInfo { digest, object_type: ObjectType::File };
                        ran.outputs.insert((*path).clone(), info);
                    }
                }
                OutputAtPath::Missing(found) => {
                    ran.missing.push(MissingOutput { path: (*path).clone(), found });
                }
                OutputAtPath::Invalid(why) => ran.invalid.push(why),
            }
        }
        Ok(())
    }
}

impl Executor for LocalExecutor {
    fn run<'e>(
        &'e self,
        key: &'e RunKey,
        _: Option<&'e DepfileInputs<'e>>,
        end: &'e dyn RunEnd,
    ) -> Pin<Box<dyn Future<Output = Result<RunResult, Fail>> + Send + 'e>> {
        Box::pin(self.run_here(key, end))
    }

    fn close(&self) {
        if let Some(Ok(exec_root)) = self.exec_root.get() {
            exec_root.remove();
        }
    }
}

/// The directories in which commands are looked up if there is no `PATH` (execvp(3)).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The program that `env` would execute for the action; `None` where `env` itself has to report why not.
fn look_up_for(action: &ActionDescription) -> Option<PathBuf> {
    let command = action.command.first()?;
    // `env` would take a first word with `=` as an assignment.
    if command.contains('=') {
        return None;
    }
    let path = action.env.get("PATH").and_then(|path| path.as_str()).map_or(DEFAULT_PATH, Str::as_str);
    // A directory that is not absolute is one of the action's: `env` looks there, in its turn.
    if !command.contains('/') && path.split(':').any(|directory| !directory.starts_with('/')) {
        return None;
    }
    look_up(command, path)
}

fn look_up(command: &str, path: &str) -> Option<PathBuf> {
    if command.contains('/') {
        // A relative path with a slash depends on the working directory of the process, so it is left to what is
        // started there.
        return command
            .starts_with('/')
            .then(|| command.into())
            .filter(|program: &PathBuf| is_program(program));
    }
    let directories = path.split(':').filter(|directory| directory.starts_with('/'));
    directories.map(|directory| Path::new(directory).join(command)).find(|program| is_program(program))
}
