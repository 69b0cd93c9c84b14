//! The command line: the reference's words and options, and a few of our own.
//!
//! One struct per group of options, as the subcommands share them (man page `just(1)`). Where the
//! reference accepts an option several times without accumulating, the last occurrence wins.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

/// The whole command line.
#[derive(Parser, Debug)]
#[command(
    about = "A build system that never does the same thing twice.",
    args_override_self = true,
    disable_help_subcommand = true,
    max_term_width = 100
)]
pub(crate) struct CommandLine {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Print version information in JSON format.
    Version,
    /// Describe the rule generating a target.
    Describe(Box<Describe>),
    /// Analyse a target without building anything.
    #[command(alias = "analyze")]
    Analyse(Box<Analyse>),
    /// Build a target.
    Build(Box<Build>),
    /// Build a target and put the result into a directory.
    Install(Box<Install>),
    /// Run all actions of a target again and compare with the cache.
    Rebuild(Box<Rebuild>),
    /// Fetch an object from the content-addressed store.
    InstallCas(Box<InstallCas>),
    /// Add a file or directory to the content-addressed store.
    AddToCas(Box<AddToCas>),
    /// Build artifacts of a graph file.
    #[command(hide = true)]
    Traverse(Box<Traverse>),
    /// Collect garbage in the build root.
    Gc(Gc),
    /// Start an execution service (not part of taut yet).
    Execute(Foreign),
    /// Start a service for target-level caching (not part of taut yet).
    Serve(Foreign),
}

/// Words of a subcommand that exists in the reference only.
#[derive(Args, Debug)]
pub(crate) struct Foreign {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub(crate) words: Vec<String>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Common {
    /// Path to configuration file for multi-repository builds.
    #[arg(short = 'C', long, value_name = "PATH")]
    pub(crate) repository_config: Option<PathBuf>,
    /// The repository to take the target from.
    #[arg(long, value_name = "NAME")]
    pub(crate) main: Option<String>,
    /// Path of the workspace's root directory.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) workspace_root: Option<PathBuf>,
    /// Number of jobs to run [default: number of cores].
    #[arg(short, long, value_name = "NUM")]
    pub(crate) jobs: Option<usize>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Log {
    /// Path to a log file; several are written side by side.
    #[arg(short = 'f', long, value_name = "PATH", action = ArgAction::Append)]
    pub(crate) log_file: Vec<PathBuf>,
    /// Log limit, from 0 (errors) to 6 (everything) [default: 3].
    #[arg(long, value_name = "NUM", allow_negative_numbers = true)]
    pub(crate) log_limit: Option<i64>,
    /// Show no more than this on the console, whatever goes to log files.
    #[arg(long, value_name = "NUM", allow_negative_numbers = true)]
    pub(crate) restrict_stderr_log_limit: Option<i64>,
    /// Do not use ANSI escape sequences to highlight messages.
    #[arg(long)]
    pub(crate) plain_log: bool,
    /// Append messages to log files instead of overwriting them.
    #[arg(long)]
    pub(crate) log_append: bool,
    /// When to highlight messages.
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub(crate) color: Color,
}

/// When to use colour.
#[derive(ValueEnum, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Color {
    /// On a terminal, unless the environment says no.
    #[default]
    Auto,
    Always,
    Never,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Analysis {
    /// Maximal size for showing a single expression in error messages.
    #[arg(long, value_name = "NUM", default_value_t = 320)]
    pub(crate) expression_log_limit: usize,
    /// Overlay configuration as a JSON object; several overlay each other.
    #[arg(short = 'D', long, value_name = "JSON", action = ArgAction::Append, allow_hyphen_values = true)]
    pub(crate) defines: Vec<String>,
    /// Path to configuration file.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) config: Option<PathBuf>,
    /// Instead of the target's result, request the input of this action.
    #[arg(long, value_name = "ACTION", allow_hyphen_values = true)]
    pub(crate) request_action_input: Option<String>,
    /// Module and name of the target.
    #[arg(value_name = "TARGET")]
    pub(crate) target: Vec<String>,
    /// Root directory of target files [default: as --workspace-root].
    #[arg(long, value_name = "PATH")]
    pub(crate) target_root: Option<PathBuf>,
    /// Root directory of rule files [default: as --target-root].
    #[arg(long, value_name = "PATH")]
    pub(crate) rule_root: Option<PathBuf>,
    /// Root directory of expression files [default: as --rule-root].
    #[arg(long, value_name = "PATH")]
    pub(crate) expression_root: Option<PathBuf>,
    /// Name of the targets files.
    #[arg(long, value_name = "NAME")]
    pub(crate) target_file_name: Option<String>,
    /// Name of the rules files.
    #[arg(long, value_name = "NAME")]
    pub(crate) rule_file_name: Option<String>,
    /// Name of the expressions files.
    #[arg(long, value_name = "NAME")]
    pub(crate) expression_file_name: Option<String>,
    /// Where to dump the blob identifiers of errors of the serve service.
    #[arg(long, value_name = "PATH")]
    pub(crate) serve_errors_log: Option<PathBuf>,
    /// Where to write the profile.
    #[arg(long, value_name = "PATH")]
    pub(crate) profile: Option<PathBuf>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct GraphDumps {
    /// Write the action graph to a file (- for stdout).
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub(crate) dump_graph: Vec<PathBuf>,
    /// Write the action graph without origins to a file (- for stdout).
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub(crate) dump_plain_graph: Vec<PathBuf>,
    /// Write the definitions of the artifacts to build to a file (- for stdout).
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub(crate) dump_artifacts_to_build: Vec<PathBuf>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Cache {
    /// Root for local CAS, cache, and build directories.
    #[arg(long, value_name = "PATH")]
    pub(crate) local_build_root: Option<PathBuf>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Remote {
    /// Address of the remote-execution service (not supported yet).
    #[arg(short, long, value_name = "NAME:PORT")]
    pub(crate) remote_execution_address: Option<String>,
    /// Instance name of the remote-execution service.
    #[arg(long, value_name = "STRING")]
    pub(crate) remote_instance_name: Option<String>,
    /// Be compatible with the original remote-execution protocol (not supported yet).
    #[arg(long)]
    pub(crate) compatible: bool,
    /// A CA certificate that is trusted to sign the server's.
    #[arg(long, value_name = "PATH")]
    pub(crate) tls_ca_cert: Option<PathBuf>,
    /// The TLS client certificate.
    #[arg(long, value_name = "PATH")]
    pub(crate) tls_client_cert: Option<PathBuf>,
    /// The TLS client key.
    #[arg(long, value_name = "PATH")]
    pub(crate) tls_client_key: Option<PathBuf>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Serve {
    /// Address of the serve service (not supported yet).
    #[arg(short = 'R', long, value_name = "NAME:PORT")]
    pub(crate) remote_serve_address: Option<String>,
    /// File with dispatch instructions for several remote-execution services (not supported yet).
    #[arg(long, value_name = "PATH")]
    pub(crate) endpoint_configuration: Option<PathBuf>,
    /// Property that the executing platform must have; several accumulate.
    #[arg(long, value_name = "KEY:VAL", action = ArgAction::Append)]
    pub(crate) remote_execution_property: Vec<String>,
    /// Number of attempts for a remote call.
    #[arg(long, value_name = "NUM")]
    pub(crate) max_attempts: Option<u32>,
    /// Time before the second attempt.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) initial_backoff_seconds: Option<u32>,
    /// Longest time between two attempts.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) max_backoff_seconds: Option<u32>,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Execution {
    /// JSON array with the words that start a local action [default: ["env","--"]].
    #[arg(short = 'L', long, value_name = "JSON")]
    pub(crate) local_launcher: Option<String>,
    /// Time limit of an action; local actions have none unless this is given.
    #[arg(long, value_name = "SECONDS")]
    pub(crate) action_timeout: Option<u64>,
    /// Number of actions to run at once [default: as --jobs].
    #[arg(short = 'J', long, value_name = "NUM")]
    pub(crate) build_jobs: Option<usize>,
    /// After a failure, go on with everything that does not depend on it.
    #[arg(short = 'k', long)]
    pub(crate) keep_going: bool,
}

#[derive(Args, Debug, Default)]
pub(crate) struct Report {
    /// Write the built artifacts to a file (- for stdout).
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub(crate) dump_artifacts: Vec<PathBuf>,
    /// Do not omit runfiles in the report.
    #[arg(short, long)]
    pub(crate) show_runfiles: bool,
    /// After building, print this artifact to stdout.
    #[arg(short = 'P', long, value_name = "LOGICAL_PATH")]
    pub(crate) print_to_stdout: Option<String>,
    /// After building, print the only artifact, if there is just one, to stdout.
    #[arg(short = 'p', long)]
    pub(crate) print_unique_artifact: bool,
    /// How to write the target-level cache: sync, split or disable.
    #[arg(long, value_name = "STRATEGY")]
    pub(crate) target_cache_write_strategy: Option<String>,
}

/// The groups that all of analyse, build, install and rebuild have.
#[derive(Args, Debug, Default)]
pub(crate) struct Shared {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(flatten)]
    pub(crate) analysis: Analysis,
    #[command(flatten)]
    pub(crate) graph: GraphDumps,
    #[command(flatten)]
    pub(crate) cache: Cache,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) serve: Serve,
    #[command(flatten)]
    pub(crate) execution: Execution,
}

#[derive(Args, Debug)]
pub(crate) struct Analyse {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(flatten)]
    pub(crate) dumps: AnalysisDumps,
}

/// Each writes one aspect of the analysed target to a file, `-` being stdout.
#[derive(Args, Debug, Default)]
pub(crate) struct AnalysisDumps {
    /// Dump the target's actions.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_actions: Option<PathBuf>,
    /// Dump the target's trees.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_trees: Option<PathBuf>,
    /// Dump the target's blobs.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_blobs: Option<PathBuf>,
    /// Dump the provided data.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_provides: Option<PathBuf>,
    /// Dump the names of the variables of the effective configuration.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_vars: Option<PathBuf>,
    /// Dump all configured targets.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_targets: Option<PathBuf>,
    /// Dump all configured export targets.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_export_targets: Option<PathBuf>,
    /// Dump the graph of configured targets (always to a file).
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_targets_graph: Option<PathBuf>,
    /// Dump all anonymous targets.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_anonymous: Option<PathBuf>,
    /// Dump the nodes of the target.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_nodes: Option<PathBuf>,
    /// Dump the target's result.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_result: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(flatten)]
    pub(crate) report: Report,
}

#[derive(Args, Debug)]
pub(crate) struct Install {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(flatten)]
    pub(crate) report: Report,
    /// Where to put the result.
    #[arg(short, long, value_name = "PATH", required = true)]
    pub(crate) output_dir: PathBuf,
    /// Copy objects to the local CAS first.
    #[arg(long)]
    pub(crate) remember: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    pub(crate) shared: Shared,
    #[command(flatten)]
    pub(crate) report: Report,
    /// Cache endpoint to compare with ("local" for the local cache).
    #[arg(long, value_name = "NAME:PORT|\"local\"")]
    pub(crate) vs: Option<String>,
    /// Dump flaky actions to a file.
    #[arg(long, value_name = "PATH")]
    pub(crate) dump_flaky: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct Describe {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(flatten)]
    pub(crate) analysis: Analysis,
    #[command(flatten)]
    pub(crate) cache: Cache,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) serve: Serve,
    /// Describe in JSON format.
    #[arg(long)]
    pub(crate) json: bool,
    /// The positional arguments name a rule.
    #[arg(long)]
    pub(crate) rule: bool,
}

#[derive(Args, Debug)]
pub(crate) struct InstallCas {
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(flatten)]
    pub(crate) cache: Cache,
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// Object identifier of the form [<hash>:<size>:<type>].
    #[arg(value_name = "OBJECT_ID")]
    pub(crate) object_id: String,
    /// Where to put the object; without it, it is printed.
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output_path: Option<PathBuf>,
    /// Select what is at this path of a tree.
    #[arg(short = 'P', long, value_name = "PATH")]
    pub(crate) sub_object_path: Option<String>,
    /// Write a tree as one archive.
    #[arg(long)]
    pub(crate) archive: bool,
    /// Print a tree as it is stored.
    #[arg(long)]
    pub(crate) raw_tree: bool,
    /// Copy the object to the local CAS first.
    #[arg(long)]
    pub(crate) remember: bool,
}

#[derive(Args, Debug)]
pub(crate) struct AddToCas {
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(flatten)]
    pub(crate) cache: Cache,
    #[command(flatten)]
    pub(crate) remote: Remote,
    /// What to add.
    #[arg(value_name = "PATH")]
    pub(crate) location: PathBuf,
    /// If the location is a symbolic link, add what it points to.
    #[arg(long)]
    pub(crate) follow_symlinks: bool,
    /// How to treat special entries of directories: ignore, tree-upwards, tree-all or all.
    #[arg(long, value_name = "METHOD")]
    pub(crate) resolve_special: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct Traverse {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(flatten)]
    pub(crate) cache: Cache,
    #[command(flatten)]
    pub(crate) remote: Remote,
    #[command(flatten)]
    pub(crate) serve: Serve,
    #[command(flatten)]
    pub(crate) execution: Execution,
    #[command(flatten)]
    pub(crate) report: Report,
    /// JSON object: path to the definition of the artifact to build.
    #[arg(short, long, value_name = "JSON")]
    pub(crate) artifacts: Option<String>,
    /// File with the action graph.
    #[arg(short, long, value_name = "PATH", required = true)]
    pub(crate) graph_file: PathBuf,
    /// Git repository with blobs that may be missing.
    #[arg(long, value_name = "PATH")]
    pub(crate) git_cas: Option<PathBuf>,
    /// Where to put the result.
    #[arg(short, long, value_name = "PATH", required = true)]
    pub(crate) output_dir: PathBuf,
    /// Copy objects to the local CAS first.
    #[arg(long)]
    pub(crate) remember: bool,
}

#[derive(Args, Debug)]
pub(crate) struct Gc {
    #[command(flatten)]
    pub(crate) log: Log,
    #[command(flatten)]
    pub(crate) cache: Cache,
    /// Only clean up what can be cleaned up without losing cache.
    #[arg(long, conflicts_with = "all")]
    pub(crate) no_rotate: bool,
    /// Remove all cache generations at once.
    #[arg(long)]
    pub(crate) all: bool,
}
