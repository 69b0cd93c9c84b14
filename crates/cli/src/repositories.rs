//! Set-ups of repositories, as both names of the tool make them.

pub(crate) mod defaults;
mod fetch;
mod in_use;
mod list;
mod made_roots;
mod observer;
mod update;
mod workspace;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use taut_driver::find_workspace_root;
use taut_setup::{Anchors, Locations, Options, Server, Transfers};

pub(crate) use fetch::{Fetch, NotFetched};
pub(crate) use in_use::{hold_those_of, release};
pub(crate) use list::List;
pub(crate) use made_roots::MadeRoots;
pub(crate) use observer::{Messages, report_remark};
pub(crate) use update::Update;
pub(crate) use workspace::{Workspace, configured, files};

use crate::set_up_server::SetUpServer;

/// The settings of a set-up, from the options of a call and rc files.
pub(crate) struct Context {
    pub(crate) locations: Locations,
    pub(crate) distdirs: Vec<PathBuf>,
    pub(crate) git: PathBuf,
    pub(crate) launcher: Vec<String>,
    /// How much is done at once; by default as much as there are processors.
    pub(crate) jobs: Option<usize>,
    pub(crate) fetch_absent: bool,
    /// Whether values that just-mr passes over are errors.
    pub(crate) is_strict: bool,
    /// Whether trees count as there only if all that is below them is intact.
    pub(crate) verifies: bool,
    pub(crate) no_ssl_verify: bool,
    pub(crate) ca_bundle: Option<PathBuf>,
    /// How often a URL is tried, and how long a server may send nothing; as usual if that is not given.
    pub(crate) fetch_attempts: Option<u32>,
    pub(crate) fetch_timeout: Option<Duration>,
    /// A server that may have objects.
    pub(crate) server: Option<Arc<SetUpServer>>,
}

/// The directories that locations in rc files are relative to, for a call made in a directory. `workspace`: the root of
/// the workspace, if it is not to be searched for.
pub(crate) fn anchors(cwd: &Path, workspace: Option<PathBuf>) -> Anchors {
    Anchors {
        // Without a workspace, locations relative to it are passed over.
        workspace: workspace.or_else(|| find_workspace_root(cwd).ok()),
        home: home(),
        cwd: cwd.to_owned(),
        is_quiet: false,
    }
}

/// The home directory.
fn home() -> PathBuf {
    let home = std::env::var_os("HOME").filter(|home| !home.is_empty());
    home.map_or_else(|| "/".into(), PathBuf::from)
}

/// How is fetched.
fn transfers(context: &Context) -> Transfers {
    let mut transfers = Transfers {
        verify_tls: !context.no_ssl_verify,
        ca_file: context.ca_bundle.clone(),
        ..Transfers::default()
    };
    transfers.retries.attempts = context.fetch_attempts.unwrap_or(transfers.retries.attempts);
    if let Some(timeout) = context.fetch_timeout {
        transfers.stall_timeout = timeout;
        // A connection is not waited for longer than silence: a short limit is meant for both.
        transfers.connect_timeout = transfers.connect_timeout.min(timeout);
    }
    transfers
}

/// How a set-up is done.
pub(crate) fn options(context: &Context) -> Options {
    let processors = || std::thread::available_parallelism().map_or(1, usize::from);
    Options {
        locations: context.locations.clone(),
        distdirs: context.distdirs.clone(),
        git: context.git.clone(),
        launcher: context.launcher.clone(),
        jobs: context.jobs.unwrap_or_else(processors).max(1),
        fetch_absent: context.fetch_absent,
        is_strict: context.is_strict,
        keeps_unusable: !context.is_strict,
        launches: None,
        verifies: context.verifies,
        transfers: transfers(context),
        server: context.server.clone().map(|server| server as Arc<dyn Server>),
        backs_up: false,
        // Read here, as only this crate reads the environment: `setup` gets it as a value.
        environment: std::env::vars_os().collect(),
    }
}
