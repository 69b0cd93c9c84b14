//! The options of each subcommand: groups, and those of its own.

use std::path::PathBuf;

use clap::{ArgAction, Args};

use super::{
    groups::{Analysis, Common, Execution, Graph, Log, RcFile, Results, Server, SetUp, Stores},
    words::number,
};

/// Options of `init`.
#[derive(Args, Debug)]
pub struct Init {
    /// What the project is written in
    #[arg(long, value_name = "LANGUAGE", default_value = "c", value_parser = crate::init::NAMES)]
    pub template: String,
    /// Propose targets for the sources in the directory instead
    #[arg(long, conflicts_with = "template")]
    pub from_sources: bool,
    /// Where to write it; default: the working directory
    #[arg(value_name = "DIR")]
    pub directory: Option<PathBuf>,
}

/// Options of `completions`.
#[derive(Args, Debug)]
pub struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", required = true, value_parser = crate::completion::SHELLS)]
    pub shell: String,
}

/// Options of `man`.
#[derive(Args, Debug)]
pub struct Man {
    /// The directory; the pages are written below man1 in it
    #[arg(value_name = "DIR", required = true)]
    pub directory: PathBuf,
}

/// Options of `describe`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Describe {
    /// Print the description as JSON
    #[arg(long)]
    pub json: bool,
    /// The name is that of a rule
    #[arg(long)]
    pub rule: bool,
    #[command(flatten)]
    pub analysis: Analysis,
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
}

/// Options of `analyse`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups and dumps; their types and help say what they are")]
pub struct Analyse {
    #[command(flatten)]
    pub analysis: Analysis,
    #[command(flatten)]
    pub execution: Execution,
    #[command(flatten)]
    pub dumps: Dumps,
    #[command(flatten)]
    pub graph: Graph,
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
}

/// Dumps of `analyse`; of each option the last one counts.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Dumps (- is standard output)")]
pub struct Dumps {
    /// Actions of the requested target
    #[arg(long, value_name = "PATH")]
    pub dump_actions: Option<PathBuf>,
    /// Blobs of the requested target
    #[arg(long, value_name = "PATH")]
    pub dump_blobs: Option<PathBuf>,
    /// Trees of the requested target
    #[arg(long, value_name = "PATH")]
    pub dump_trees: Option<PathBuf>,
    /// What the target provides
    #[arg(long, value_name = "PATH")]
    pub dump_provides: Option<PathBuf>,
    /// Artifacts, runfiles and provided data
    #[arg(long, value_name = "PATH")]
    pub dump_result: Option<PathBuf>,
    /// Configuration variables that the target depends on
    #[arg(long, value_name = "PATH")]
    pub dump_vars: Option<PathBuf>,
    /// All configured targets
    #[arg(long, value_name = "PATH")]
    pub dump_targets: Option<PathBuf>,
    /// All configured export targets
    #[arg(long, value_name = "PATH")]
    pub dump_export_targets: Option<PathBuf>,
    /// Which targets depend on which (never to standard output)
    #[arg(long, value_name = "PATH")]
    pub dump_targets_graph: Option<PathBuf>,
    /// Rule maps and nodes of anonymous targets
    #[arg(long, value_name = "PATH")]
    pub dump_anonymous: Option<PathBuf>,
    /// Nodes of the target
    #[arg(long, value_name = "PATH")]
    pub dump_nodes: Option<PathBuf>,
}

impl Dumps {
    /// Whether configurations, results or nodes are to be written, which may be too long as text.
    // Values share their parts, and a text repeats them, so these dumps may be exponentially long;
    // the others list identifiers and texts of actions, which cannot be.
    pub fn any_of_values(&self) -> bool {
        let of_values = [
            &self.dump_provides,
            &self.dump_result,
            &self.dump_targets,
            &self.dump_export_targets,
            &self.dump_targets_graph,
            &self.dump_anonymous,
            &self.dump_nodes,
        ];
        of_values.iter().any(|path| path.is_some())
    }

    /// The files that are to be written.
    // Field by field: clap keeps no list of the options that were given once they are typed.
    pub fn files(&self) -> [&Option<PathBuf>; 11] {
        [
            &self.dump_actions,
            &self.dump_blobs,
            &self.dump_trees,
            &self.dump_provides,
            &self.dump_result,
            &self.dump_vars,
            &self.dump_targets,
            &self.dump_export_targets,
            &self.dump_targets_graph,
            &self.dump_anonymous,
            &self.dump_nodes,
        ]
    }

    /// Whether anything is to be written.
    pub fn any(&self) -> bool {
        self.files().iter().any(|path| path.is_some())
    }
}

/// Options of `build`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Build {
    #[command(flatten)]
    pub analysis: Analysis,
    #[command(flatten)]
    pub execution: Execution,
    #[command(flatten)]
    pub results: Results,
    #[command(flatten)]
    pub graph: Graph,
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
}

/// Options of `install`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Install {
    /// Where to install to
    #[arg(short, long, value_name = "PATH", required = true)]
    pub output_dir: PathBuf,
    /// Remove what was installed there for this target before and is no longer part of it
    #[arg(long)]
    pub prune: bool,
    /// Also keep what is installed in the local store
    #[arg(long)]
    pub remember: bool,
    #[command(flatten)]
    pub build: Build,
}

/// Options of `rebuild`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Rebuild {
    /// Which cache to compare with: local, or a service's address
    #[arg(long, value_name = "local|HOST:PORT")]
    pub vs: Option<String>,
    /// Write which actions are flaky to a file, as JSON
    #[arg(long, value_name = "PATH")]
    pub dump_flaky: Option<PathBuf>,
    #[command(flatten)]
    pub build: Build,
}

/// Options of `test`.
#[derive(Args, Debug)]
#[command(next_help_heading = "Tests")]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Test {
    /// Only tests whose names contain this text, or match it if it has * or ?: as TARGET, or as MODULE:TARGET
    /// (accumulates)
    #[arg(long, value_name = "PATTERN", action = ArgAction::Append)]
    pub filter: Vec<String>,
    /// Run each test this number of times, without the cache; it passes if all runs pass
    #[arg(long, value_name = "NUM", value_parser = number::<u64>, conflicts_with = "flaky_attempts")]
    pub runs: Option<u64>,
    /// Run tests again and again, until one fails or --runs is reached
    #[arg(long, conflicts_with = "flaky_attempts")]
    pub until_fail: bool,
    /// Run a failing test at most this number of times; if it passes then, it is flaky, which is not a failure
    #[arg(long, value_name = "NUM", value_parser = number::<u64>)]
    pub flaky_attempts: Option<u64>,
    /// How long an action of a test may run (default: no limit but --action-timeout)
    #[arg(long, value_name = "SECONDS", value_parser = number::<u32>)]
    pub timeout: Option<u32>,
    /// Write the results to a file as JUnit has them, in XML; - is standard output
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
    #[command(flatten)]
    pub build: Build,
}

/// Options of `compile-commands`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct CompileCommands {
    /// The file to write; - is standard output; default: compile_commands.json in the root of the workspace
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    #[command(flatten)]
    pub build: Build,
}

/// Options of `watch`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Watch {
    /// Install the results of each build to this directory
    #[arg(short, long, value_name = "PATH")]
    pub output_dir: Option<PathBuf>,
    /// Remove from that directory what is no longer part of the result
    #[arg(long, requires = "output_dir")]
    pub prune: bool,
    /// Keep this compilation database current: how each C and C++ file is compiled, for editors (compile_commands.json)
    #[arg(long, value_name = "FILE")]
    pub compile_commands: Option<PathBuf>,
    /// Look at all files every two seconds instead of waiting for the system to report changes
    #[arg(long, alias = "look")]
    pub poll: bool,
    #[command(flatten)]
    pub build: Build,
}

/// What a question about builds is about; nothing is built for it.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
// Without options about results and graphs: what a build would leave behind does not apply to a question.
pub struct Question {
    #[command(flatten)]
    pub analysis: Analysis,
    #[command(flatten)]
    pub execution: Execution,
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
}

/// Options of `what-if`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct WhatIf {
    /// The target that would be built, a name or a JSON list like ["module", "target"]; default: what
    /// was last built here, else what a build without a target builds
    #[arg(long, value_name = "TARGET")]
    pub of: Option<String>,
    #[command(flatten)]
    pub question: Question,
}

/// Options of `install-cas`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct InstallCas {
    /// The object: HASH:SIZE:TYPE, in brackets or not; size and type may be left out
    #[arg(value_name = "OBJECT", required = true)]
    pub object_id: String,
    /// Where to install to; default: standard output
    #[arg(short, long, value_name = "PATH")]
    pub output_path: Option<PathBuf>,
    /// Take what lies at this path of the tree
    #[arg(short = 'P', long, value_name = "PATH")]
    pub sub_object_path: Option<String>,
    /// Write a tree as an archive
    #[arg(long)]
    pub archive: bool,
    /// Write a tree to standard output as it is stored
    #[arg(long)]
    pub raw_tree: bool,
    /// Also keep what is installed in the local store
    #[arg(long)]
    pub remember: bool,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub rc_file: RcFile,
}

/// Options of `add-to-cas`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct AddToCas {
    /// File or directory to add
    #[arg(value_name = "PATH", required = true)]
    pub location: PathBuf,
    /// Add what a symbolic link at the location points to
    #[arg(long)]
    pub follow_symlinks: bool,
    /// What to do with special entries of directories: ignore, tree-upwards, tree-all or all
    #[arg(long, value_name = "HOW")]
    pub resolve_special: Option<String>,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub rc_file: RcFile,
}

/// Options of `traverse`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Traverse {
    /// Which artifacts to build: a JSON object
    #[arg(short, long, value_name = "JSON")]
    pub artifacts: Option<String>,
    /// File with the action graph
    #[arg(short, long, value_name = "PATH", required = true)]
    pub graph_file: PathBuf,
    /// A git repository with further objects
    #[arg(long, value_name = "PATH")]
    pub git_cas: Option<PathBuf>,
    /// Where to install to
    #[arg(short, long = "output-dir", value_name = "PATH", required = true)]
    pub output_directory: PathBuf,
    /// Also keep what is installed in the local store
    #[arg(long)]
    pub remember: bool,
    #[command(flatten)]
    pub execution: Execution,
    #[command(flatten)]
    pub results: Results,
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
}

/// Options of `gc`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Gc {
    /// Only clean up and split large objects; remove no generation
    #[arg(long, conflicts_with = "all")]
    pub no_rotate: bool,
    /// Remove everything
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub rc_file: RcFile,
}

/// Where a description of repositories is, and the build root that they are set up in.
#[derive(Args, Debug, Default)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
// Not `Common`: a set-up has no workspace root and no jobs of actions, and its `-C` is always a description.
pub struct Repositories {
    /// The description of the repositories; default: repos.json or etc/repos.json of the workspace, and others
    #[arg(short = 'C', long, value_name = "PATH")]
    pub repository_config: Option<PathBuf>,
    /// The repository to consider the main one
    #[arg(long, value_name = "NAME")]
    pub main: Option<String>,
    /// Where to keep what is set up; default ~/.cache/taut
    #[arg(long, value_name = "PATH")]
    pub local_build_root: Option<PathBuf>,
    /// How many repositories to set up at once (default: number of cores)
    #[arg(short, long, value_name = "NUM", value_parser = number::<usize>)]
    pub jobs: Option<usize>,
    #[command(flatten)]
    pub set_up: SetUp,
}

/// Options of `setup` and `setup-env`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct SetUpRepositories {
    /// All repositories of the description, not only those that the main one needs
    #[arg(long)]
    pub all: bool,
    /// The main repository
    #[arg(value_name = "MAIN")]
    pub main_repo: Option<String>,
    #[command(flatten)]
    pub repositories: Repositories,
    #[command(flatten)]
    pub server: Server,
    #[command(flatten)]
    pub log: Log,
}

/// Options of `fetch`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct FetchRepositories {
    /// All repositories of the description, not only those that the main one needs
    #[arg(long)]
    pub all: bool,
    /// The directory to write archives to; default: the first directory of archives that exists
    #[arg(short = 'o', long = "output-dir", value_name = "PATH")]
    pub output_dir: Option<PathBuf>,
    /// Store copies at the server of -r, too
    #[arg(long)]
    pub backup_to_remote: bool,
    /// The main repository
    #[arg(value_name = "MAIN")]
    pub main_repo: Option<String>,
    #[command(flatten)]
    pub repositories: Repositories,
    #[command(flatten)]
    pub server: Server,
    #[command(flatten)]
    pub log: Log,
}

/// Options of `update`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct UpdateRepositories {
    /// The repositories to update, of type git
    #[arg(value_name = "REPOSITORY")]
    pub names: Vec<String>,
    #[command(flatten)]
    pub repositories: Repositories,
    #[command(flatten)]
    pub log: Log,
}

/// Options of `repos`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct ListRepositories {
    /// Print the list as JSON
    #[arg(long)]
    pub json: bool,
    /// Ask the servers of git repositories whether branches have newer commits
    #[arg(long)]
    pub outdated: bool,
    /// All repositories of the description, not only those that the main one needs
    #[arg(long)]
    pub all: bool,
    /// The main repository
    #[arg(value_name = "MAIN")]
    pub main_repo: Option<String>,
    #[command(flatten)]
    pub repositories: Repositories,
    #[command(flatten)]
    pub log: Log,
}

/// Options of `gc-repo`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
// Its own build-root option: the repositories are not part of the store, so none of the options
// about servers apply.
pub struct CollectRepositories {
    /// Only remove what was not used since the last call; what is used now stays
    #[arg(long)]
    pub drop_only: bool,
    /// Where what was set up is kept; default ~/.cache/taut
    #[arg(long, value_name = "PATH")]
    pub local_build_root: Option<PathBuf>,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub rc_file: RcFile,
}
