//! Actions as processes of this machine.
//!
//! Each runs in a directory of its own, in which its inputs lie as private copies: an action that changes
//! an input, even as root, changes nothing that anybody else will see. When the process, and whatever it
//! left behind, has ended, outputs become stored objects by a rename.

use std::{
    ffi::OsString,
    future::Future,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use taut_digest::{Digest, ObjectInfo, ObjectType};
use taut_engine::Fail;
use taut_store::{Permissions, Store, Take};
use taut_sys::{
    fs,
    process::{Command, Processes, Status},
};
use taut_value::{ActionDescription, Str};

use crate::{
    Events, Executor, Ran, RunKey,
    collect::{self, Found},
    slots::Slots,
    transient,
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
    /// How many actions run at once.
    pub jobs: usize,
    /// Whether actions are started after one has failed.
    pub keep_going: bool,
}

/// Runs actions on this machine.
pub struct LocalExecutor {
    setup: LocalSetup,
    slots: Slots,
    home: PathBuf,
    failed: AtomicBool,
}

impl LocalExecutor {
    /// Makes the directories that actions run in; they go with the executor.
    ///
    /// # Errors
    /// The build root cannot be written to.
    pub fn new(setup: LocalSetup) -> taut_store::Result<LocalExecutor> {
        let home = setup.store.temporary_directory("exec_root")?;
        let mut directories = Vec::new();
        for job in 0..setup.jobs.max(1) {
            let directory = home.join(job.to_string());
            fs::create_dir(&directory)?;
            directories.push(directory);
        }
        directories.reverse();
        Ok(LocalExecutor { setup, slots: Slots::new(directories), home, failed: AtomicBool::new(false) })
    }

    async fn run_here(&self, key: &RunKey) -> Result<Ran, Fail> {
        let slot = self.slots.take().await;
        if !self.setup.keep_going && self.failed.load(Relaxed) {
            return Err(Fail::Cancelled);
        }
        let root = slot.directory.join("root");
        self.stage(&key.action, &key.inputs, &root).map_err(transient)?;
        self.setup.events.started(&key.id, &key.action);
        let (stdout, stderr) = (slot.directory.join("stdout"), slot.directory.join("stderr"));
        let command = self.command(&key.action, &root, &stdout, &stderr);
        let begin = Instant::now();
        let running = self.setup.processes.spawn(&command).map_err(transient)?;
        let exit = running.await.map_err(transient)?;
        let mut ran = Ran {
            exit_code: exit.status.code().unwrap_or(1),
            timed_out: exit.timed_out,
            duration: begin.elapsed(),
            ..Ran::default()
        };
        let take = if exit.strays { Take::Copy } else { Take::Move };
        if !matches!(exit.status, Status::NotStarted(_)) {
            ran.stdout = self.stream(&stdout, take).map_err(transient)?;
            ran.stderr = self.stream(&stderr, take).map_err(transient)?;
        }
        if ran.exit_code == 0 || key.action.may_fail.is_some() {
            self.collect(&key.action, &root, take, &mut ran).map_err(transient)?;
        }
        let fails = ran.exit_code != 0 && key.action.may_fail.is_none();
        if fails || !ran.missing.is_empty() || !ran.invalid.is_empty() {
            self.failed.store(true, Relaxed);
        }
        fs::remove_all(&root).map_err(transient)?;
        Ok(ran)
    }

    fn stage(&self, action: &ActionDescription, inputs: &Digest, root: &Path) -> taut_store::Result<()> {
        fs::remove_all(root)?;
        let tree = ObjectInfo { digest: *inputs, object_type: ObjectType::Tree };
        self.setup.store.checkout(&tree, root, Permissions::Staged)?;
        let above = |path: &Str| path.rsplit_once('/').map(|(above, _)| above.to_owned());
        let directories =
            action.outs.iter().filter_map(above).chain(action.out_dirs.iter().map(Str::to_string));
        for directory in directories.chain([action.cwd.to_string()]).filter(|path| !path.is_empty()) {
            fs::create_dir_all(&root.join(directory))?;
        }
        Ok(())
    }

    fn command(&self, action: &ActionDescription, root: &Path, stdout: &Path, stderr: &Path) -> Command {
        let words = action.command.iter().map(|word| OsString::from(word.as_str()));
        let cwd = if action.cwd.is_empty() { root.to_owned() } else { root.join(action.cwd.as_str()) };
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
        Command {
            program,
            args,
            env: env.collect(),
            cwd,
            stdin: "/dev/null".into(),
            stdout: stdout.to_owned(),
            stderr: stderr.to_owned(),
            timeout,
        }
    }

    fn stream(&self, path: &Path, take: Take) -> taut_store::Result<Option<Digest>> {
        let Some(metadata) = fs::if_exists(fs::lstat(path))? else { return Ok(None) };
        if metadata.len() == 0 {
            return Ok(None);
        }
        self.setup.store.put_file(path, false, take).map(Some)
    }

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
            let found = if is_directory {
                collect::directory(store, &place, path, take)?
            } else {
                collect::file(store, &place, path, take)?
            };
            match found {
                Found::Object(info) => {
                    ran.outputs.insert(path.clone(), info);
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
}

impl Drop for LocalExecutor {
    fn drop(&mut self) {
        // What cannot be removed is left to the next garbage collection.
        let _ = fs::remove_all(&self.home);
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
