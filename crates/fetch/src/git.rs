//! Commits and trees that programs make: `git`, and commands of the description.

mod commit;
mod failure;
mod made_tree;
mod newest;
mod run;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use taut_digest::Hash;
use taut_git::Writer;
use taut_sys::{Dir, process::Processes};

use crate::{Progress, Result, Retries, Servers};

/// How `git` and other commands are run.
#[derive(Clone)]
pub struct Programs {
    /// Starts the processes, and ends them with this call.
    pub processes: Processes,
    /// The program `git`: a path, or a name that is searched in `search_path`.
    pub git: PathBuf,
    /// Where programs without a path are searched: `PATH` of the call, whatever the environment of the commands has. If
    /// it is absent, it is that of the system.
    pub search_path: Option<OsString>,
    /// The whole environment of the commands, but for what this crate sets so that `git` neither asks questions nor
    /// reads the configuration of another repository.
    pub environment: Vec<(OsString, OsString)>,
    /// How long a transfer by `git` may print no progress.
    pub stall_timeout: Duration,
    /// How often URLs are tried.
    pub retries: Retries,
    /// What is known of servers.
    pub servers: Servers,
}

/// The commit to fetch.
#[derive(Clone, Debug)]
pub struct CommitRequest<'r> {
    /// Where it may be, the best place first: URLs and paths as `git fetch` accepts them.
    pub urls: &'r [String],
    /// Its id.
    pub commit: Hash,
    /// The branch that has it, for servers that do not send commits by their ids.
    pub branch: Option<&'r str>,
}

/// A commit that is in the repository, with its whole tree.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fetched {
    /// The id of its tree.
    pub tree: Hash,
    /// Where it was fetched from.
    pub url: String,
    /// How many bytes of objects came: of packs and of single objects, deflated as they are stored.
    pub bytes: u64,
}

/// Fetches a commit with its tree, but without the commits before it if the server allows that, into a repository, and
/// protects it there from `git gc`. `scratch` is a directory on the same file system, in which a temporary repository
/// is made. What is fetched is moved from there only when it is complete and has the right ids. Each URL is tried, then
/// after a pause again those whose failure may pass.
///
/// # Errors
/// No URL has it.
pub fn fetch(
    programs: &Programs,
    request: &CommitRequest<'_>,
    into: &Writer,
    scratch: &Dir,
    progress: &dyn Progress,
) -> Result<Fetched> {
    commit::fetch(programs, request, into, scratch, progress)
}

/// A command that makes a tree.
#[derive(Clone, Debug)]
pub struct TreeCommand<'r> {
    /// The argument vector with the launcher in front. The program is a path, or a name that is searched in
    /// [`Programs::search_path`].
    pub command: &'r [OsString],
    /// The id of the tree.
    pub tree: Hash,
}

/// Runs a command in an empty directory below `scratch`, and stores the tree if that directory, or one anywhere below,
/// is it, whatever the exit code is. It is protected from `git gc`. Returns how many bytes the files in it have.
///
/// # Errors
/// The command cannot be run, or does not make the tree; [`crate::TriedUrl::url`] is the command then.
pub fn tree_of_command(
    programs: &Programs,
    request: &TreeCommand<'_>,
    into: &Writer,
    scratch: &Dir,
    progress: &dyn Progress,
) -> Result<u64> {
    made_tree::run(programs, request, into, scratch, progress)
}

/// What an annotated tag counts as.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tagged {
    /// The commit that it is of.
    Commit,
    /// The tag, which is an object of its own.
    Itself,
}

/// The newest commit of a branch at a URL; of a tag, if there is no such branch, or of `HEAD`. `cwd` is a directory
/// that is not a git repository.
///
/// # Errors
/// The URL does not answer, or has no such branch.
pub fn newest_commit(
    programs: &Programs,
    url: &str,
    branch: &str,
    tagged: Tagged,
    cwd: &Dir,
) -> std::result::Result<Hash, crate::Cause> {
    newest::newest(programs, url, branch, tagged, cwd)
}
