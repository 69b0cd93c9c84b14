//! The subcommands about repositories under the name `taut`.

use std::sync::Arc;

use taut_driver::{BuildOptions, Diagnostics, SetupError};
use taut_setup::{Cache, Description, Rc, Request, Session, weakly_canonical};
use taut_store::Store;
use taut_value::Value;

use crate::{
    cancelled_set_up::until_signal,
    environment::build_root,
    exit::Exit,
    interruption::Interruption,
    log::{Level, Log},
    options::{
        CollectRepositories, Common, Execution, FetchRepositories, ListRepositories, Repositories, Results,
        Server, SetUp, SetUpRepositories, Stores, UpdateRepositories,
    },
    repositories::{Context, Fetch, List, MadeRoots, Messages, Update, Workspace, options},
    request::wrong_about_servers,
    settings::build_options,
    setup_error::report_error,
    standard_streams::{columns_of_output, print},
    tool_name::Name,
    voice::freed,
};

/// Runs `setup`, or `setup-env` with `without_root`.
pub(crate) fn set_up(o: &SetUpRepositories, without_root: bool, log: &Arc<Log>) -> Exit {
    with(&o.repositories, &o.server, log, |call| {
        let main = main(&o.repositories, o.main_repo.as_deref(), log);
        let request = Request { main, all: o.all, without_root, ..Request::default() };
        let messages = Messages::new(log, String::new());
        let Prepared { context, store, cache, description } = call.prepare(log)?;
        let options = options(&context);
        let session = Session::new(&options, &store, &cache, &messages);
        let done = messages.with_progress(&session, || session.set_up(&description, &request));
        let done = match done {
            Ok(done) => done,
            Err(problems) => return Ok(reported(&messages, &problems)),
        };
        Ok(print(format!("{}\n", done.path.display()).as_bytes()))
    })
}

/// Runs `fetch`.
pub(crate) fn fetch(o: &FetchRepositories, log: &Arc<Log>) -> Exit {
    with(&o.repositories, &o.server, log, |call| {
        let main = main(&o.repositories, o.main_repo.as_deref(), log);
        let Prepared { context, store, cache, description } = call.prepare(log)?;
        // Before anything is fetched: otherwise the error would come after minutes of transfers.
        if o.backup_to_remote && context.server.is_none() {
            log.say(Level::Error, "--backup-to-remote: no server is named\nhelp: -r HOST:PORT names one");
            return Ok(Exit::Environment);
        }
        let options = taut_setup::Options { backs_up: o.backup_to_remote, ..options(&context) };
        let fetch = Fetch {
            store: &store,
            cache: &cache,
            options: &options,
            description: &description,
            request: Request { main, all: o.all, ..Request::default() },
            directory: o.output_dir.as_deref(),
            wrong_about_servers: None,
            tool: "taut",
            log,
        };
        Ok(fetch.run().map_or(Exit::BuildFailure, |()| Exit::Success))
    })
}

/// Runs `update`.
pub(crate) fn update(o: &UpdateRepositories, log: &Arc<Log>) -> Exit {
    with(&o.repositories, &Server::default(), log, |call| {
        let Prepared { context, store, cache, description } = call.prepare(log)?;
        let options = options(&context);
        let (store, cache) = (&store, &cache);
        let update = Update { store, cache, options: &options, description: &description, tool: "taut", log };
        Ok(update.text(&o.names).map_or(Exit::BuildFailure, |text| print(text.as_bytes())))
    })
}

/// Runs `repos`.
pub(crate) fn list(o: &ListRepositories, log: &Arc<Log>) -> Exit {
    with(&o.repositories, &Server::default(), log, |call| {
        let main = main(&o.repositories, o.main_repo.as_deref(), log);
        let Prepared { context, store, cache, description } = call.prepare(log)?;
        let options = options(&context);
        let description = Arc::new(description);
        let messages = Messages::new(log, String::new());
        let session = Session::new(&options, &store, &cache, &messages);
        let request = Request { main, all: o.all, ..Request::default() };
        // Servers may not answer for a long time, so a signal has to end the question.
        match until_signal(session.cancellation(), || session.status(&description, &request, o.outdated)) {
            Ok(mut status) => {
                let Ok(build) = build_of(&call.rc, log) else { return Ok(Exit::Syntax) };
                let cwd = &std::env::current_dir().unwrap_or_else(|_| "/".into());
                let (store, cache) = (&store, &cache);
                MadeRoots { description, set_up: &options, store, cache, build, cwd }.note(&mut status);
                let list = List { status: &status, has_asked: o.outdated };
                let text = if o.json { list.to_json() } else { list.to_text(columns_of_output()) };
                Ok(print(text.as_bytes()))
            }
            Err(problems) => Ok(reported(&messages, &problems)),
        }
    })
}

/// How a build executes the actions of computed roots if the call says nothing of it.
fn build_of(rc: &Rc, log: &Log) -> Result<BuildOptions, Exit> {
    let launcher = rc.local_launcher.as_ref().map(|words| Value::list(words.iter().map(Value::string)));
    let execution = Execution {
        // As the option has it, a JSON text: from there on it takes the same way as one of a command line.
        local_launcher: launcher.map(|launcher| launcher.to_json()),
        remote_execution_property: rc.properties.clone(),
        ..Execution::default()
    };
    build_options(&Common::default(), (&execution, &Stores::default()), &Results::default(), false, log)
}

/// Runs `gc-repo`.
pub(crate) fn collect(o: &CollectRepositories, log: &Arc<Log>) -> Exit {
    let stores = Stores { local_build_root: o.local_build_root.clone(), ..Stores::default() };
    let root = match build_root(Name::Taut, &stores) {
        Ok(root) => weakly_canonical(&root),
        Err(text) => {
            log.say(Level::Error, text);
            return Exit::Environment;
        }
    };
    let busy = || {
        let text = format!("Waiting for the processes that use the repositories in {}", root.display());
        log.say(Level::Info, text);
    };
    // Without the lock: figures in a message need not be exact while other processes write.
    let before = taut_setup::usage(&root).ok();
    match taut_setup::collect(&root, o.drop_only, busy) {
        Ok(()) => {
            if let Some((before, left)) = before.zip(taut_setup::usage(&root).ok()) {
                let next = match o.drop_only {
                    true => "",
                    false => "the next gc-repo removes what no call has used by then",
                };
                log.say(Level::Info, freed(before, left, "no repositories are left", next));
            }
            Exit::Success
        }
        Err(error) => {
            log.say(Level::Error, error.to_string());
            Exit::Environment
        }
    }
}

/// What a subcommand about repositories works with.
struct Call<'c> {
    workspace: Workspace<'c>,
    rc: Rc,
    repositories: &'c Repositories,
}

/// What every set-up, fetch or question needs.
struct Prepared {
    context: Context,
    store: Store,
    cache: Cache,
    description: Description,
}

impl Call<'_> {
    /// Opens the build root, and reads the description.
    fn prepare(&self, log: &Arc<Log>) -> Result<Prepared, SetupError> {
        let context = self.workspace.context(&self.rc, log)?;
        let (store, cache) = self.workspace.open()?;
        let path = self.repositories.repository_config.as_deref();
        let description = self.workspace.description(path, &self.rc)?;
        Ok(Prepared { context, store, cache, description })
    }
}

fn with(
    repositories: &Repositories,
    server: &Server,
    log: &Arc<Log>,
    run: impl FnOnce(&Call<'_>) -> Result<Exit, SetupError>,
) -> Exit {
    let cwd = std::env::current_dir().unwrap_or_else(|_| "/".into());
    let (local_build_root, server) = (repositories.local_build_root.clone(), server.clone());
    let stores = Stores { local_build_root, server, ..Stores::default() };
    // First of all: an option about servers that is wrong is an error even if no server is needed.
    if let Some(text) = wrong_about_servers(&stores, log) {
        log.say(Level::Error, text);
        return Exit::Environment;
    }
    let set_up = SetUp { stores, ..repositories.set_up.clone() };
    // These subcommands have no `-w`: the workspace is found by the working directory.
    let workspace = Workspace::new(&set_up, repositories.jobs, None, &cwd);
    let rc = match workspace.rc(log) {
        Ok(rc) => rc,
        Err(error) => return report_error(&error, log),
    };
    let call = Call { workspace, rc, repositories };
    // From here on a signal ends the call in an orderly way; before, there is nothing to clean up.
    let _ = Interruption::watch(log);
    run(&call).unwrap_or_else(|error| report_error(&error, log))
}

fn reported(messages: &Messages<'_>, problems: &Diagnostics) -> Exit {
    messages.failed(problems);
    Exit::BuildFailure
}

/// The main repository that a call names; that of the subcommand wins.
fn main<'m>(repositories: &'m Repositories, named: Option<&'m str>, log: &Arc<Log>) -> Option<&'m str> {
    let of_option = repositories.main.as_deref();
    if let (Some(one), Some(other)) = (of_option, named)
        && one != other
    {
        log.say(Level::Warn, format!("--main names another repository; {other} is the main one."));
    }
    named.or(of_option)
}
