//! The tool under the name `just-mr`: that tool's command line, messages and exit codes.

mod command_line;
mod invocation;
mod launch;
mod settings;
mod words;

use std::{ffi::OsString, path::Path, sync::Arc};

use taut_setup::{Anchors, Cache, Description, Problem, RcFiles, Remark, Request, Session, SetUp};
use taut_store::Store;
use taut_syntax::Dialect;
use taut_sys::Named;

use command_line::{CommandLine, NoCall, Subcommand};
use invocation::Invocation;
use launch::AcceptedOptions;
use settings::Settings;

use crate::{
    diagnostics,
    interruption::Interruption,
    log::{Level, Log},
    options::{Server, Stores},
    remote_execution::server_of_set_ups,
    repositories::{self, Messages, NotFetched, anchors, report_remark},
    request::wrong_about_servers,
    set_up_server::SetUpServer,
    standard_streams::{eprint_error, eprint_text, print},
    tool_name::Name,
    version,
};

/// The exit codes of `just-mr`; scripts depend on them.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum MrExit {
    /// All is done.
    Success,
    /// The build tool cannot be started.
    Exec,
    /// Something else failed.
    Generic,
    /// The command line is wrong.
    Arguments,
    /// A configuration file is wrong.
    Config,
    /// Fetching failed.
    Fetch,
    /// An update failed.
    Update,
    /// A set-up failed.
    SetUp,
    /// Collecting old repositories failed.
    BuiltIn,
}

impl MrExit {
    pub(crate) fn code(self) -> i32 {
        match self {
            MrExit::Success => 0,
            // The numbers of the reference, so they have gaps.
            MrExit::Exec => 64,
            MrExit::Generic => 65,
            MrExit::Arguments => 67,
            MrExit::Config => 68,
            MrExit::Fetch => 69,
            MrExit::Update => 70,
            MrExit::SetUp => 71,
            MrExit::BuiltIn => 72,
        }
    }
}

/// Whether the first word of a call is the name of that tool.
pub(crate) fn is_called(word: Option<&OsString>) -> bool {
    // By the last component: the tool is called by a path as well.
    word.and_then(|word| Path::new(word).file_name()).is_some_and(|name| name == "just-mr")
}

/// Runs one call. Returns the exit code.
pub(crate) fn run(words: &[OsString]) -> i32 {
    // There is no log yet: where messages go is known only when the rc files have been read as well.
    let line = match command_line::parse(words) {
        Ok(line) => line,
        Err(NoCall::Help(text)) => return print(text.as_bytes()).code(),
        Err(NoCall::Wrong(text)) => {
            eprint_text(&text);
            return MrExit::Arguments.code();
        }
        Err(NoCall::Error(text)) => {
            eprint_error(&text);
            return MrExit::Arguments.code();
        }
    };
    // Before the rc files: a wrong one must not keep the version from being printed.
    if line.subcommand == Subcommand::Version {
        return print(version::text(Name::Just).as_bytes()).code();
    }
    match configured(line) {
        Ok(call) => call.run().unwrap_or_else(|exit| exit).code(),
        Err(exit) => exit.code(),
    }
}

/// A call whose settings are known.
struct Call {
    settings: Settings,
    subcommand: Subcommand,
    log: Arc<Log>,
}

/// Reads the rc files of a call.
fn configured(line: CommandLine) -> Result<Call, MrExit> {
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let anchors = anchors(&cwd, None);
    let mut remarks = Vec::new();
    let rc = read_rc(&line, &anchors, &mut remarks);
    let rc = match rc {
        Ok(rc) => rc,
        Err(problem) => {
            // The rc files are of no use, so only the command line says where messages go.
            let log = open(&line.log)?;
            remarks.iter().for_each(|remark| report_remark(remark, &log));
            diagnostics::report(&(*problem).into(), Level::Error, &log);
            return Err(MrExit::Config);
        }
    };
    let (subcommand, line) = take_subcommand(line);
    let settings = Settings::of(line, rc, &anchors);
    let log = Arc::new(open(&settings.log)?);
    remarks.iter().for_each(|remark| report_remark(remark, &log));
    // Before anything else is read, as in the reference. Only a path of which nothing exists is still relative here.
    if !settings.build_root.is_absolute() {
        let path = settings.build_root.display();
        log.say(Level::Error, format!("Build root must be absolute path but got '{path}'."));
        log.say(Level::Error, "Failed to configure local build root.");
        return Err(MrExit::Generic);
    }
    // Signals are unblocked again in the program that `exec` starts.
    let _ = Interruption::watch(&log);
    Ok(Call { settings, subcommand, log })
}

fn take_subcommand(mut line: CommandLine) -> (Subcommand, CommandLine) {
    let subcommand = std::mem::replace(&mut line.subcommand, Subcommand::Version);
    (subcommand, line)
}

fn read_rc(
    line: &CommandLine,
    anchors: &Anchors,
    remarks: &mut Vec<Remark>,
) -> Result<taut_setup::Rc, Problem> {
    let files = match line.options.norc {
        true => RcFiles::default(),
        false => RcFiles::read(Dialect::Strict, line.options.rc.as_deref(), anchors, remarks)?,
    };
    // Before the settings are read: it is of use especially when one of them is wrong.
    if let Some(path) = &line.options.dump_rc {
        let written =
            Named::of_user(path).and_then(|named| named.write(false)?.write_all(files.dump().as_bytes()));
        if let Err(error) = written {
            // As in the reference, the call goes on.
            eprint_error(&error.to_string());
        }
    }
    files.settings(anchors, remarks)
}

fn open(options: &crate::options::Log) -> Result<Log, MrExit> {
    Log::open(options, Name::Just).map_err(|text| {
        eprint_error(&text);
        MrExit::Generic
    })
}

/// The open parts of the build root.
struct BuildRoot {
    store: Store,
    cache: Cache,
}

impl Call {
    fn run(&self) -> Result<MrExit, MrExit> {
        let log = &self.log;
        match &self.subcommand {
            Subcommand::Version => Ok(MrExit::Success),
            Subcommand::CollectRepositories { drop_only } => {
                let collected = taut_setup::collect(&self.settings.build_root, *drop_only, || {});
                collected.map_err(|error| {
                    log.say(Level::Error, error.to_string());
                    MrExit::BuiltIn
                })?;
                Ok(MrExit::Success)
            }
            Subcommand::Launch { words, is_do } => self.launch(words, *is_do),
            Subcommand::Setup { without_root, all, main } => {
                let main = self.main(main.as_deref(), *all);
                let root = self.open_build_root()?;
                let description = self.description()?;
                let request = Request { main, all: *all, without_root: *without_root, ..Request::default() };
                let set_up = self.set_up(&root, &description, &request, None)?;
                log.say(Level::Info, "Setup completed");
                print(format!("{}\n", set_up.path.display()).as_bytes());
                Ok(MrExit::Success)
            }
            Subcommand::Update { repositories } => {
                let root = self.open_build_root()?;
                let description = self.description()?;
                let context = self.context()?;
                let options = repositories::options(&context);
                let update = repositories::Update {
                    store: &root.store,
                    cache: &root.cache,
                    options: &options,
                    description: &description,
                    tool: "just-mr",
                    log,
                };
                let text = update.text(repositories).ok_or(MrExit::Update)?;
                print(text.as_bytes());
                Ok(MrExit::Success)
            }
            Subcommand::Fetch { all, main, directory, backup } => {
                let main = self.main(main.as_deref(), *all);
                let root = self.open_build_root()?;
                let description = self.description()?;
                let context = self.context()?;
                let options = taut_setup::Options { backs_up: *backup, ..repositories::options(&context) };
                let fetch = repositories::Fetch {
                    store: &root.store,
                    cache: &root.cache,
                    options: &options,
                    description: &description,
                    request: Request { main, all: *all, ..Request::default() },
                    directory: directory.as_deref(),
                    wrong_about_servers: self.wrong_about_servers(),
                    tool: "just-mr",
                    log,
                };
                fetch.run().map_err(|why| match why {
                    NotFetched::Failed => MrExit::Fetch,
                    NotFetched::Servers => MrExit::Config,
                })?;
                Ok(MrExit::Success)
            }
        }
    }

    /// The main repository that the call names. That of the subcommand wins.
    fn main<'m>(&'m self, of_subcommand: Option<&'m str>, all: bool) -> Option<&'m str> {
        let of_call = self.settings.main.as_deref();
        if let (Some(one), Some(other), false) = (of_call, of_subcommand, all)
            && one != other
        {
            let text = format!("Conflicting options for main repository, selecting {other}");
            self.log.say(Level::Warn, text);
        }
        of_subcommand.or(of_call)
    }

    fn open_build_root(&self) -> Result<BuildRoot, MrExit> {
        let failed = |error: String| {
            self.log.say(Level::Error, error);
            MrExit::Generic
        };
        let root = &self.settings.build_root;
        // The lock of the repositories before that of the store: every call takes them in this order.
        let cache = Cache::open(root).map_err(|error| failed(error.to_string()))?;
        let store = Store::open(root, taut_digest::HashFunction::GitSha1);
        Ok(BuildRoot { store: store.map_err(|error| failed(error.to_string()))?, cache })
    }

    fn description(&self) -> Result<Description, MrExit> {
        let Some(place) = &self.settings.description else {
            self.log.say(Level::Error, "Cannot find repository configuration.");
            return Err(MrExit::Config);
        };
        Description::read(Dialect::Strict, &place.path, &place.base, self.settings.absent.as_deref()).map_err(
            |problem| {
                diagnostics::report(&(*problem).into(), Level::Error, &self.log);
                MrExit::Config
            },
        )
    }

    fn context(&self) -> Result<repositories::Context, MrExit> {
        let settings = &self.settings;
        let mut remarks = Vec::new();
        let locations = settings.locations(&mut remarks);
        remarks.iter().for_each(|remark| report_remark(remark, &self.log));
        let locations = locations.map_err(|problem| {
            diagnostics::report(&(*problem).into(), Level::Error, &self.log);
            MrExit::Config
        })?;
        Ok(repositories::Context {
            locations,
            distdirs: settings.distdirs.clone(),
            git: settings.git.clone(),
            launcher: settings.launcher.clone(),
            jobs: settings.jobs,
            fetch_absent: settings.fetch_absent,
            is_strict: false,
            verifies: false,
            no_ssl_verify: settings.no_ssl_verify,
            ca_bundle: settings.ca_bundle.clone(),
            fetch_attempts: None,
            fetch_timeout: None,
            server: self.server(),
        })
    }

    fn set_up(
        &self,
        root: &BuildRoot,
        description: &Description,
        request: &Request<'_>,
        launches: Option<String>,
    ) -> Result<SetUp, MrExit> {
        let context = self.context()?;
        let options = taut_setup::Options { launches, ..repositories::options(&context) };
        self.log.say(Level::Info, "Performing repositories setup");
        let what = if request.without_root { "setup-env" } else { "setup" };
        let messages = Messages::new(&self.log, format!("While performing just-mr {what}:"));
        let session = Session::new(&options, &root.store, &root.cache, &messages);
        let failed = |problems| {
            messages.failed(&problems);
            MrExit::SetUp
        };
        // As in the reference, once it is known what is to be set up.
        if let Some(text) = self.wrong_about_servers() {
            session.announce(description, request).map_err(failed)?;
            self.log.say(Level::Error, text);
            return Err(MrExit::SetUp);
        }
        messages.with_progress(&session, || session.set_up(description, request)).map_err(failed)
    }

    /// The server of objects that the settings name; none if what they say is wrong, which is reported later.
    fn server(&self) -> Option<Arc<SetUpServer>> {
        server_of_set_ups(&self.stores(), &self.settings.build_root, &self.log).ok().flatten()
    }

    /// What is wrong with the settings about servers, also where none is used.
    fn wrong_about_servers(&self) -> Option<String> {
        let stores = self.stores();
        let address = || server_of_set_ups(&stores, &self.settings.build_root, &self.log).err();
        wrong_about_servers(&stores, &self.log).or_else(address)
    }

    /// The settings about servers.
    fn stores(&self) -> Stores {
        let settings = &self.settings;
        let server = Server {
            remote_execution_address: settings.remote_address.clone(),
            remote_instance_name: settings.remote_instance_name.clone(),
            compatible: settings.compatible,
            tls_ca_cert: settings.tls_ca_cert.clone(),
            tls_client_cert: settings.tls_client_cert.clone(),
            tls_client_key: settings.tls_client_key.clone(),
            max_attempts: settings.max_attempts,
            initial_backoff_seconds: settings.initial_backoff_seconds,
            max_backoff_seconds: settings.max_backoff_seconds,
        };
        Stores { server, ..Stores::default() }
    }

    /// Becomes the build tool.
    fn launch(&self, words: &[OsString], is_do: bool) -> Result<MrExit, MrExit> {
        let (settings, log) = (&self.settings, &self.log);
        let (first, rest) = match words.split_first() {
            Some((first, rest)) => (Some(first.to_string_lossy().into_owned()), rest),
            None => (None, words),
        };
        let subcommand = first.as_deref();
        // The accepted options are known for each subcommand; any other word gets none.
        let takes = AcceptedOptions::of(subcommand.unwrap_or_default());
        let mut root = None;
        let mut set_up = None;
        if takes.config {
            let opened = self.open_build_root()?;
            let description = self.description()?;
            let request = Request { main: settings.main.as_deref(), ..Request::default() };
            let call = format!("{} {}", settings.just.display(), subcommand.unwrap_or_default());
            // With `do` the reference does not know what it launches.
            let launches = (!is_do).then(|| call.clone());
            set_up = Some(self.set_up(&opened, &description, &request, launches).inspect_err(|_| {
                log.say(Level::Error, format!("Failed to setup config for calling \"{call}\""));
            })?);
            root = Some(opened);
        }
        let wrong = |text: String| {
            log.say(Level::Error, text);
            MrExit::Arguments
        };
        let config = set_up.as_ref().map(|set_up| set_up.path.as_path());
        let mut call = launch::words(settings, subcommand, config).map_err(wrong)?;
        let logged = settings.invocation_log.as_ref();
        let invocation = logged.map(|of| Invocation::begin(of, log)).transpose().map_err(wrong)?;
        if let (Some(of), Some(Invocation { directory: Some(directory), .. })) = (logged, &invocation) {
            call.extend(launch::logged(of, directory, subcommand).map_err(wrong)?);
        }
        // Last, so that what the user wrote overrides rc files and settings.
        call.extend(rest.iter().cloned());
        if let (Some(of), Some(invocation)) = (logged, &invocation) {
            let id = set_up.as_ref().map(|set_up| &set_up.id);
            invocation.describe(of, &call, id, log).map_err(wrong)?;
        }
        log.say(Level::Info, format!("Setup finished, exec {}", launch::as_json(&call)));
        // The build tool inherits the locks: what was set up must not be collected before it has been read.
        let kept = root.map(|BuildRoot { store, cache }| {
            let kept = store.keep_lock_over_exec().map_err(|error| error.to_string());
            let lock = cache.into_lock();
            let kept = kept.and_then(|()| lock.keep_over_exec().map_err(|error| error.to_string()));
            (kept, store, lock)
        });
        if let Some((Err(error), ..)) = &kept {
            log.say(Level::Warn, error);
        }
        // Returns only if it fails: the process is the build tool then, with its exit code and its signals.
        let error = taut_sys::process::exec(settings.just.as_os_str(), &call);
        drop(kept);
        log.say(Level::Error, format!("execvp failed with:\n{}", taut_sys::in_words(&error)));
        Ok(MrExit::Exec)
    }
}
