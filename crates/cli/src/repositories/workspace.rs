//! The repositories of a call under the name `taut`: a description is found and set up without being asked for.
//!
//! The file of `-C`, or the one that is found, may be a description of repositories (`repos.json` as for `just-mr`) or
//! a ready configuration; its content decides. A description is set up before anything else, and the configuration that
//! comes out is read like any other.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, OnceLock},
    time::Duration,
};

use taut_digest::HashFunction;
use taut_driver::{ConfigError, Diagnostic, Origin, Overrides, RULES, RepoConfig, SetupError};
use taut_setup::{
    AnchoredPath, Anchors, Cache, Description, Locations, Problem, Rc, RcFiles, Remark, RemoteCacheRc,
    Request, Session, weakly_canonical,
};
use taut_store::Store;
use taut_syntax::{Dialect, Document, Kind};
use taut_sys::Named;

use super::{Context, Messages, defaults, in_use::hold, options, report_remark};
use crate::{
    diagnostics,
    environment::build_root,
    log::{Level, Log},
    options::{Common, RcFile, SetUp, definition},
    remote_execution::server_of_set_ups,
    tool_name::Name,
};

/// The configuration of the repositories of a call.
#[derive(Default)]
pub(crate) struct Configured {
    /// Its file, if there is one.
    pub(crate) file: Option<PathBuf>,
    /// The description that it was set up from, if it was.
    pub(crate) origin: Option<Origin>,
    /// Without a file, the root of the workspace, if it was found: each directory is looked at once.
    pub(crate) workspace: Option<PathBuf>,
    /// Keeps the file from being collected before it is read.
    _store: Option<Store>,
}

/// How the files of a set-up are written: it is a part of calls under the name `taut` only.
const DIALECT: Dialect = Dialect::Extended;

impl Configured {
    /// The repositories.
    ///
    /// # Errors
    /// The configuration is wrong.
    pub(crate) fn read(&self, overrides: &Overrides, cwd: &Path) -> Result<RepoConfig, ConfigError> {
        match (&self.file, &self.origin) {
            (Some(file), Some(origin)) => RepoConfig::read_generated(file, origin, overrides, cwd),
            (file, _) => RepoConfig::read(file.as_deref(), overrides, cwd),
        }
    }
}

/// Whether there is the usual rc file. Looked at once: for the options in front of the call's, and for the set-up.
fn has_usual_rc() -> bool {
    static IS_THERE: OnceLock<bool> = OnceLock::new();
    *IS_THERE.get_or_init(|| RcFiles::usual_exists(&super::home()))
}

/// The configuration of the repositories of a call. If there is a description, it is set up. `verifies`: something of
/// the roots was found to be lost, so what is there is looked at, too.
///
/// # Errors
/// The description is wrong, or something could not be had. Of several errors all but the last one have been reported.
pub(crate) fn configured(
    common: &Common,
    verifies: bool,
    cwd: &Path,
    log: &Log,
) -> Result<Configured, SetupError> {
    let named = common.repository_config.clone();
    // Under the name `just` there is only the ready configuration.
    if !common.set_up.is_done {
        return Ok(Configured { file: named, ..Configured::default() });
    }
    let place = named.clone().map(|path| AnchoredPath { path: cwd.join(path), base: cwd.to_owned() });
    let workspace = Workspace::of(common, cwd);
    let (place, rc) = match place {
        // What the rc file says is a part of the words of the call already; this is for the warnings about it.
        Some(place) if Workspace::has_rc(&common.set_up.rc_file) => (place, Some(workspace.rc(log)?)),
        Some(place) => (place, None),
        None => {
            let rc = workspace.rc(log)?;
            match rc.description.clone() {
                Some(place) => (place, Some(rc)),
                None => {
                    workspace.check_for_stray()?;
                    let found = workspace.root().map(Path::to_owned);
                    return Ok(Configured { workspace: found, ..Configured::default() });
                }
            }
        }
    };
    let Some(document) = document(&place.path) else {
        // What is wrong with it is reported when it is read as a configuration.
        return Ok(Configured { file: named.or(Some(place.path)), ..Configured::default() });
    };
    // By its content and not by its name: a ready configuration may be named in the same way.
    if !Description::is_description(&document) {
        let is_configuration =
            document.root().get("repositories").is_some_and(|all| all.kind() == Kind::Object);
        // A file that was only found may be something else; one that was named has to be right.
        if named.is_none() && !is_configuration {
            let shown = taut_syntax::seen_from(&place.path.to_string_lossy(), &cwd.to_string_lossy());
            log.say(Level::Warn, format!("{shown} describes no repositories; it is not used."));
            return Ok(Configured::default());
        }
        return Ok(Configured { file: named.or(Some(place.path)), ..Configured::default() });
    }
    let rc = rc.map_or_else(|| workspace.rc(log), Ok)?;
    let absent = common.set_up.absent.as_ref().map(|path| cwd.join(path)).or(rc.absent.clone());
    let description =
        Description::of(DIALECT, document, &place.path, &place.base, absent.as_deref()).map_err(error)?;
    let description = Arc::new(description.with_provided(RULES));
    let request = Request { main: common.main.as_deref(), ..Request::default() };
    let context = Context { verifies, ..workspace.context(&rc, log)? };
    set_up(&workspace, &context, &description, &request, log)
}

fn set_up(
    workspace: &Workspace<'_>,
    context: &Context,
    description: &Arc<Description>,
    request: &Request<'_>,
    log: &Log,
) -> Result<Configured, SetupError> {
    // Opened before the set-up and held to its end: the lock keeps what is found from being collected.
    let (store, cache) = workspace.open()?;
    let options = options(context);
    let messages = Messages::new(log, String::new());
    let session = Session::new(&options, &store, &cache, &messages);
    let done = messages.with_progress(&session, || session.set_up(description, request));
    let done = done.map_err(|problems| {
        let mut problems: Vec<Diagnostic> = problems.iter().cloned().collect();
        // The last one becomes the error of the call, which its caller reports; the others are
        // reported here, in order.
        let last = problems.pop().expect("a set-up that fails says why");
        if !problems.is_empty() {
            diagnostics::report(&problems.into_iter().collect(), Level::Error, log);
        }
        SetupError::from(last)
    })?;
    // It borrows the cache, which is held below until the call is over, so that no collection takes roots away.
    drop(session);
    hold(cache);
    let description = description.clone();
    let origin = Origin::new(move |path| description.written(path));
    Ok(Configured { file: Some(done.path), origin: Some(origin), workspace: None, _store: Some(store) })
}

/// The files that a configuration of repositories is read from: the description, or what is in its place.
pub(crate) fn files(common: &Common, cwd: &Path) -> Vec<PathBuf> {
    if let Some(named) = &common.repository_config {
        return vec![named.clone()];
    }
    if !common.set_up.is_done {
        return Vec::new();
    }
    let workspace = Workspace::of(common, cwd);
    let mut remarks = Vec::new();
    // Errors and remarks were reported by the set-up itself; here only names of files are wanted.
    let rc = workspace.read_rc(&mut remarks).ok();
    rc.and_then(|rc| rc.description).map(|place| place.path).into_iter().collect()
}

fn document(path: &Path) -> Option<Arc<Document>> {
    Description::parse(DIALECT, path, Named::read(path).ok()?).ok()
}

#[allow(clippy::boxed_local, reason = "errors are boxed")]
fn error(problem: Problem) -> SetupError {
    SetupError::from(*problem)
}

/// Warns of settings of an rc file about services that taut does not use.
fn warn_of_services(rc: &Rc, log: &Log) {
    if rc.serve_address.is_some() {
        let text = "The address of \"remote serve\" in the rc file is not used: roots are made here.";
        log.say(Level::Warn, text);
    }
}

/// Where a call looks for a description, and how it sets it up.
pub(crate) struct Workspace<'w> {
    anchors: Anchors,
    options: &'w SetUp,
    jobs: Option<usize>,
}

impl<'w> Workspace<'w> {
    fn of(common: &'w Common, cwd: &Path) -> Workspace<'w> {
        let root = common.workspace_root.as_ref().map(|path| cwd.join(path));
        Workspace::new(&common.set_up, common.jobs, root, cwd)
    }

    /// `root`: the root of the workspace, if it is not to be found by the working directory.
    pub(crate) fn new(
        options: &'w SetUp,
        jobs: Option<usize>,
        root: Option<PathBuf>,
        cwd: &Path,
    ) -> Workspace<'w> {
        // Outside of a workspace a call under this name is as usual; only just-mr remarks on it.
        let anchors = Anchors { is_quiet: true, ..super::anchors(cwd, root) };
        Workspace { anchors, options, jobs }
    }

    /// The root of the workspace, if there is one.
    pub(crate) fn root(&self) -> Option<&Path> {
        self.anchors.workspace.as_deref()
    }

    /// Checks that there is no description, here or above, that is ignored because no file marks the root of a
    /// workspace.
    fn check_for_stray(&self) -> Result<(), SetupError> {
        if self.root().is_some() {
            return Ok(());
        }
        let is_file = |path: &PathBuf| Named::stat(path).is_ok_and(|stat| stat.is_file());
        // The nearest one upwards: it is the one that the user expects to be used.
        let stray = self.anchors.cwd.ancestors().find(|above| is_file(&above.join("repos.json")));
        let Some(directory) = stray else { return Ok(()) };
        let shown = |name: &str| {
            let path = directory.join(name);
            taut_syntax::seen_from(&path.to_string_lossy(), &self.anchors.cwd.to_string_lossy())
        };
        let (file, marker) = (shown("repos.json"), shown("ROOT"));
        let message = format!("{file} is not used: there is no ROOT, WORKSPACE or .git beside it or above");
        Err(SetupError::from(Diagnostic::error(message).help(format!(
            "create a file {marker}, which marks the root of the workspace; or pass -C {file}"
        ))))
    }

    /// Whether a call with these options has an rc file: one that it names, or the usual one.
    pub(crate) fn has_rc(options: &RcFile) -> bool {
        !options.norc && (options.rc.is_some() || has_usual_rc())
    }

    fn rc_files(&self, remarks: &mut Vec<Remark>) -> Result<RcFiles, Problem> {
        let path = self.options.rc_file.rc.as_ref().map(|path| self.anchors.cwd.join(path));
        match self.options.rc_file.norc || (path.is_none() && !has_usual_rc()) {
            true => Ok(RcFiles::default()),
            false => RcFiles::read(DIALECT, path.as_deref(), &self.anchors, remarks),
        }
    }

    fn read_rc(&self, remarks: &mut Vec<Remark>) -> Result<Rc, Problem> {
        self.rc_files(remarks)?.settings(&self.anchors, remarks)
    }

    /// The settings of rc files, without remarks about them; and apart from these, their settings about a cache that
    /// builds share.
    pub(crate) fn rc_in_silence(&self) -> Result<(Rc, RemoteCacheRc), SetupError> {
        let mut remarks = Vec::new();
        let files = self.rc_files(&mut remarks).map_err(error)?;
        let rc = files.settings(&self.anchors, &mut remarks).map_err(error)?;
        Ok((rc, files.remote_cache().map_err(error)?))
    }

    /// The settings of rc files.
    pub(crate) fn rc(&self, log: &Log) -> Result<Rc, SetupError> {
        let mut remarks = Vec::new();
        let rc = self.rc_files(&mut remarks).and_then(|files| {
            if Workspace::has_rc(&self.options.rc_file) {
                // Only if there is an rc file: the definition of the command line takes long to build,
                // compared with a null build.
                let definition = definition(Name::Taut.word());
                let subcommands: Vec<&str> =
                    definition.get_subcommands().map(clap::Command::get_name).collect();
                files.check(&subcommands, &mut remarks);
            }
            files.settings(&self.anchors, &mut remarks)
        });
        remarks.iter().for_each(|remark| report_remark(remark, log));
        let rc = rc.map_err(error)?;
        warn_of_services(&rc, log);
        Ok(rc)
    }

    /// How the set-up is done.
    pub(crate) fn context(&self, rc: &Rc, log: &Log) -> Result<Context, SetupError> {
        let (options, cwd) = (self.options, &self.anchors.cwd);
        let locations = options.checkout_locations.as_ref().map(|path| cwd.join(path));
        let locations = locations.or(rc.checkout_locations.clone());
        let locations = locations.or_else(|| defaults::checkout_locations(&self.anchors));
        let mut remarks = Vec::new();
        let locations = locations
            .map_or_else(|| Ok(Locations::default()), |path| Locations::read(DIALECT, &path, &mut remarks));
        remarks.iter().for_each(|remark| report_remark(remark, log));
        let server = match options.stores.server.remote_execution_address {
            Some(_) => server_of_set_ups(&options.stores, &self.build_root()?, log)
                .map_err(|why| SetupError::from(Diagnostic::error(why)))?,
            None => None,
        };
        let given = options.distdir.iter().map(|path| cwd.join(path));
        Ok(Context {
            locations: locations.map_err(error)?,
            distdirs: defaults::distdirs(rc.distdirs.clone(), given, &self.anchors),
            git: options.git.clone().or(rc.git.clone()).unwrap_or_else(defaults::git),
            launcher: rc.local_launcher.clone().unwrap_or_else(defaults::launcher),
            jobs: self.jobs,
            fetch_absent: options.fetch_absent,
            is_strict: true,
            verifies: false,
            no_ssl_verify: options.no_fetch_ssl_verify,
            ca_bundle: options.fetch_cacert.as_ref().map(|path| cwd.join(path)),
            fetch_attempts: options.fetch_attempts,
            // A second at least: with none, nothing could be fetched.
            fetch_timeout: options.fetch_timeout.map(|seconds| Duration::from_secs(seconds.max(1).into())),
            server,
        })
    }

    fn build_root(&self) -> Result<PathBuf, SetupError> {
        let failed = |why: String| SetupError::from(Diagnostic::error(why));
        Ok(weakly_canonical(&build_root(Name::Taut, &self.options.stores).map_err(failed)?))
    }

    /// The store and the repositories of the build root.
    pub(crate) fn open(&self) -> Result<(Store, Cache), SetupError> {
        let failed = |why: String| SetupError::from(Diagnostic::error(why));
        let root = self.build_root()?;
        let unusable = |why: String| failed(format!("Cannot use build root {}: {why}", root.display()));
        // First the lock of the repositories, then the store's: the same order in all calls that need both.
        let cache = Cache::open(&root).map_err(|error| unusable(error.to_string()))?;
        let store = Store::open(&root, HashFunction::GitSha1).map_err(|error| unusable(error.to_string()))?;
        Ok((store, cache))
    }

    /// The description of repositories that a call is about.
    ///
    /// # Errors
    /// It does not exist, or it is wrong.
    pub(crate) fn description(&self, named: Option<&Path>, rc: &Rc) -> Result<Description, SetupError> {
        let cwd = &self.anchors.cwd;
        let place = named.map(|path| AnchoredPath { path: cwd.join(path), base: cwd.clone() });
        let Some(place) = place.or(rc.description.clone()) else {
            self.check_for_stray()?;
            let problem = Diagnostic::error("there is no description of repositories here");
            return Err(SetupError::from(
                problem.help("write one, repos.json in the root of the workspace, or name one with -C FILE"),
            ));
        };
        let absent = self.options.absent.as_ref().map(|path| cwd.join(path)).or(rc.absent.clone());
        let description =
            Description::read(DIALECT, &place.path, &place.base, absent.as_deref()).map_err(error)?;
        let description = description.with_provided(RULES);
        let is_ready = !Description::is_description(description.document())
            && description.names().is_ok_and(|names| !names.is_empty());
        if is_ready {
            let problem = Diagnostic::error(
                "this is a ready configuration, and no description of repositories",
            )
            .at(taut_syntax::Location::file(description.document().label().clone()))
            .help("in a description each repository has a \"repository\", which says where it comes from");
            return Err(SetupError::from(problem));
        }
        Ok(description)
    }
}
