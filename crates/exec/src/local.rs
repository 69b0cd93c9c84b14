//! Actions as processes of this machine.
//!
//! Each runs in a stage (see `stage`), where its inputs lie as private copies. When the process, and
//! whatever it left behind, has ended, outputs become stored objects by a rename.

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

use taut_digest::{Digest, ObjectInfo};
use taut_engine::Fail;
use taut_store::{Store, Take};
use taut_sys::{
    fs,
    process::{Command, Processes, Status, Streams},
    streams::{self, Output},
};
use taut_value::{ActionDescription, Str};

use crate::{
    Events, Executor, Halt, Ran, RunKey,
    collect::{self, Found},
    lost,
    slots::Slots,
    stage::{Stage, Wanted},
    transient,
    trees::laid_out,
};

/// How local actions are run.
pub struct LocalSetup {
    /// Where inputs come from and outputs go.
    pub store: Store,
    /// Starts processes.
    pub processes: Processes,
    /// Who is told of starts.
    pub events: Arc<dyn Events>,
    /// Words in front of each command; `["env","--"]` by default.
    pub launcher: Vec<String>,
    /// The time limit that is enforced, before scaling.
    pub timeout: Option<Duration>,
    /// How long an action that is to end may take before it is killed.
    pub grace: Duration,
    /// How many actions run at once.
    pub jobs: usize,
    /// Whether anything new may begin.
    pub halt: Arc<Halt>,
}

/// A directory for one action at a time.
struct Place {
    stage: Stage,
    stdout: Output,
    stderr: Output,
}

/// Runs actions on this machine.
pub struct LocalExecutor {
    setup: LocalSetup,
    /// Made for the first action; if that is not possible, why.
    home: OnceLock<Result<Home, String>>,
}

/// The directories that actions run in; they go with it.
struct Home {
    directory: PathBuf,
    slots: Slots<Place>,
}

impl Home {
    fn new(setup: &LocalSetup) -> taut_store::Result<Home> {
        let home = setup.store.temporary_directory("exec_root")?;
        let fine_times = fs::tells_changes_apart(&home)?;
        let mut places = Vec::new();
        for job in 0..setup.jobs.max(1) {
            let directory = home.join(job.to_string());
            fs::create_dir(&directory)?;
            let stage = Stage::new(&directory, fine_times)?;
            places.push(Place { stage, stdout: Output::new(&directory), stderr: Output::new(&directory) });
        }
        places.reverse();
        Ok(Home { slots: Slots::new(places), directory: home })
    }

    fn remove(&self) {
        // What cannot be removed is left to the next garbage collection.
        let _ = fs::remove_all(&self.directory);
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        self.remove();
    }
}

impl LocalExecutor {
    /// Touches nothing before there is an action to run.
    pub fn new(setup: LocalSetup) -> LocalExecutor {
        LocalExecutor { setup, home: OnceLock::new() }
    }

    fn slots(&self) -> Result<&Slots<Place>, Fail> {
        let home = self.home.get_or_init(|| Home::new(&self.setup).map_err(|error| error.to_string()));
        home.as_ref().map(|home| &home.slots).map_err(transient)
    }

    async fn run_here(&self, key: &RunKey) -> Result<Ran, Fail> {
        let mut place = self.slots()?.take().await;
        if self.setup.halt.is_halted() {
            return Err(Fail::Cancelled);
        }
        let Place { stage, stdout, stderr } = &mut *place;
        let store = &self.setup.store;
        let inputs = laid_out(&key.inputs).map_err(transient)?;
        let lost = |error| {
            let objects = key.inputs.iter().map(|(_, object)| *object);
            transient(lost(store, &self.setup.halt, error, objects))
        };
        let wanted = self.wanted(key, &inputs).map_err(lost)?;
        stage.prepare(store, &wanted).map_err(lost)?;
        self.setup.events.started(&key.id, &key.action);
        let command = self.command(&key.action);
        let cwd = key.action.cwd.as_str();
        let cwd = if cwd.is_empty() { stage.root().to_owned() } else { stage.root().join(cwd) };
        let cwd = streams::open_directory(&cwd).map_err(transient)?;
        let (out, err) = (stdout.writer().map_err(transient)?, stderr.writer().map_err(transient)?);
        let begin = Instant::now();
        // Should this future be dropped before the process has ended, the stage has no owner any more.
        let lent = stage.lend();
        let open = Streams { cwd: cwd.as_fd(), stdout: out.as_fd(), stderr: err.as_fd() };
        let failed = |error: &dyn std::fmt::Display| {
            self.setup.halt.note_failure();
            transient(error)
        };
        let running = self.setup.processes.spawn(&command, open).map_err(|error| failed(&error))?;
        drop((cwd, out, err));
        let exit = running.await.map_err(|error| failed(&error))?;
        if exit.left_behind {
            return Err(failed(&"it left processes behind that could not be ended"));
        }
        let mut ran = Ran {
            exit_code: exit.status.code().unwrap_or(1),
            timed_out: exit.timed_out,
            duration: begin.elapsed(),
            ..Ran::default()
        };
        if !matches!(exit.status, Status::NotStarted(_)) {
            ran.stdout = self.stream(stdout).map_err(transient)?;
            ran.stderr = self.stream(stderr).map_err(transient)?;
        }
        self.collect(&key.action, stage.root(), Take::Move, &mut ran).map_err(transient)?;
        if ran.exit_code != 0 && key.action.may_fail.is_none() {
            // What failed need not have got as far as that.
            ran.missing.clear();
            ran.invalid.clear();
        }
        stage.take_back(lent, store).map_err(transient)?;
        Ok(ran)
    }

    fn wanted(&self, key: &RunKey, inputs: &[(Cow<'_, str>, ObjectInfo)]) -> taut_store::Result<Wanted> {
        let mut wanted = Wanted::new(&self.setup.store, inputs)?;
        let action = &*key.action;
        action.outs.iter().for_each(|path| wanted.add_parents(path.as_bytes()));
        action.out_dirs.iter().for_each(|path| wanted.add_directory(path));
        wanted.add_directory(&action.cwd);
        Ok(wanted)
    }

    fn command(&self, action: &ActionDescription) -> Command {
        let words = action.command.iter().map(|word| OsString::from(word.as_str()));
        // `env -- command` only looks the command up: doing that here saves starting a program.
        let plain = self.setup.launcher.iter().map(String::as_str).eq(["env", "--"]);
        let direct = if plain { look_up_for(action) } else { None };
        let (program, args) = match direct {
            Some(program) => (program, words.collect()),
            None => {
                let launcher = self.setup.launcher.iter().map(OsString::from);
                let args: Vec<OsString> = launcher.chain(words).collect();
                let own_path = std::env::var("PATH").unwrap_or_else(|_| DEFAULT_PATH.to_owned());
                let first = args.first().and_then(|word| word.to_str()).unwrap_or_default();
                (look_up(first, &own_path).unwrap_or_else(|| first.into()), args)
            }
        };
        let env = action.env.iter().map(|(name, value)| {
            (
                OsString::from(name.as_str()),
                OsString::from(value.as_str().map(Str::as_str).unwrap_or_default()),
            )
        });
        let timeout = self.setup.timeout.map(|limit| limit.mul_f64(action.timeout_scale.clamp(0.0, 1e9)));
        Command { program, args, env: env.collect(), timeout, grace: self.setup.grace }
    }

    fn stream(&self, output: &mut Output) -> taut_store::Result<Option<Digest>> {
        let content = output.take()?;
        if content.is_empty() { Ok(None) } else { self.setup.store.put_blob(&content, false).map(Some) }
    }

    /// Takes the outputs. After the first one that is not as it should be only the paths of others like it matter.
    fn collect(
        &self,
        action: &ActionDescription,
        root: &Path,
        take: Take,
        ran: &mut Ran,
    ) -> taut_store::Result<()> {
        let store = &self.setup.store;
        let files = action.outs.iter().map(|path| (path, false));
        for (path, is_directory) in files.chain(action.out_dirs.iter().map(|path| (path, true))) {
            let place = root.join(path.as_str());
            let found = if !collect::lies_within(root, path)? {
                Found::Missing
            } else if is_directory {
                collect::directory(store, &place, path, take)?
            } else {
                collect::file(store, &place, path, take)?
            };
            match found {
                Found::Object(info) => {
                    if ran.is_complete() {
                        ran.outputs.insert(path.clone(), info);
                    }
                }
                Found::Missing => ran.missing.push(path.clone()),
                Found::Invalid(why) => ran.invalid.push(why),
            }
        }
        Ok(())
    }
}

impl Executor for LocalExecutor {
    fn run<'e>(&'e self, key: &'e RunKey) -> Pin<Box<dyn Future<Output = Result<Ran, Fail>> + Send + 'e>> {
        Box::pin(self.run_here(key))
    }

    fn close(&self) {
        if let Some(Ok(home)) = self.home.get() {
            home.remove();
        }
    }
}

/// Where commands are looked up without `PATH`, as the C library has it.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The program that `env` would execute for the action; `None` where `env` itself has to say why not.
fn look_up_for(action: &ActionDescription) -> Option<PathBuf> {
    let command = action.command.first()?;
    // An assignment would be taken as one by `env`.
    if command.contains('=') {
        return None;
    }
    let path = action.env.get("PATH").and_then(|path| path.as_str());
    look_up(command, path.map_or(DEFAULT_PATH, Str::as_str))
}

fn look_up(command: &str, path: &str) -> Option<PathBuf> {
    if command.contains('/') {
        return command
            .starts_with('/')
            .then(|| command.into())
            .filter(|program: &PathBuf| is_program(program));
    }
    let directories = path.split(':').filter(|directory| directory.starts_with('/'));
    directories.map(|directory| Path::new(directory).join(command)).find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    fs::stat(path).is_ok_and(|metadata| {
        metadata.is_file() && std::os::unix::fs::MetadataExt::mode(&metadata) & 0o111 != 0
    })
}
