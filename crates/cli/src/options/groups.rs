//! Options that several subcommands share, in the groups of the reference: wrappers pass the same options to
//! all of them.

use std::{path::PathBuf, time::Duration};

use clap::{
    ArgAction, Args,
    builder::{StringValueParser, TypedValueParser as _},
};
use taut_syntax::Dialect;
use taut_value::Value;

use super::words::number;

/// Where the description lies and how much to do at once.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Repositories")]
pub struct Common {
    /// Path to the configuration file of multi-repository builds
    #[arg(short = 'C', long, value_name = "PATH")]
    pub repository_config: Option<PathBuf>,
    /// The repository to consider the main one
    #[arg(long, value_name = "NAME")]
    pub main: Option<String>,
    /// Path of the main repository's workspace root
    #[arg(short, long, value_name = "PATH")]
    pub workspace_root: Option<PathBuf>,
    /// How many jobs to run at once (default: number of cores)
    #[arg(short, long, value_name = "NUM", value_parser = number::<usize>)]
    pub jobs: Option<usize>,
    #[command(flatten)]
    #[allow(missing_docs, reason = "a group; its type says what it is")]
    pub set_up: SetUp,
}

/// How the repositories of a description (`repos.json`) are set up.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Set-up of repositories")]
pub struct SetUp {
    /// JSON list of the repositories that are absent, in place of those in the description
    #[arg(long, value_name = "PATH")]
    pub absent: Option<PathBuf>,
    /// File with checkout locations and mirrors; default ~/.just-local.json
    #[arg(long, value_name = "PATH")]
    pub checkout_locations: Option<PathBuf>,
    /// Directory to look for archives before they are fetched (accumulates); default ~/.distfiles
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub distdir: Vec<PathBuf>,
    /// Do not verify the certificates of servers that archives are fetched from
    #[arg(long)]
    pub no_fetch_ssl_verify: bool,
    /// Certificates to trust when archives are fetched
    #[arg(long, value_name = "PATH")]
    pub fetch_cacert: Option<PathBuf>,
    /// How often to try to fetch from a URL that cannot be reached; default 3
    #[arg(long, value_name = "NUM", value_parser = number::<u32>)]
    pub fetch_attempts: Option<u32>,
    /// How long a server may send nothing before an attempt to fetch from it has failed; default 60
    #[arg(long, value_name = "SECONDS", value_parser = number::<u32>)]
    pub fetch_timeout: Option<u32>,
    /// The git program; default git
    #[arg(long, value_name = "PATH")]
    pub git: Option<PathBuf>,
    /// Set up repositories that are absent as if they were not
    #[arg(long)]
    pub fetch_absent: bool,
    /// Which rc file counts.
    #[command(flatten)]
    pub rc_file: RcFile,
    /// Where to keep results, and the server that may have contents.
    #[arg(skip)]
    pub stores: Stores,
    /// Whether a description is looked for, and set up, if the configuration is one.
    #[arg(skip)]
    // Set by the name of the tool and not by a word: under the name `just`, a description is not looked for.
    pub is_done: bool,
}

impl SetUp {
    /// The names of its options, as clap has them.
    // Kept beside the fields; `parse.rs` hides them under the reference's name.
    pub(super) const OPTIONS: [&str; 11] = [
        "absent",
        "checkout_locations",
        "distdir",
        "no_fetch_ssl_verify",
        "fetch_cacert",
        "fetch_attempts",
        "fetch_timeout",
        "git",
        "fetch_absent",
        "rc",
        "norc",
    ];
}

/// The file that options of all calls come from.
#[derive(Args, Clone, Debug, Default)]
pub struct RcFile {
    /// The rc file of just-mr, with places and options; default ~/.just-mrrc
    #[arg(long, value_name = "PATH")]
    pub rc: Option<PathBuf>,
    /// Read no rc file
    #[arg(long)]
    pub norc: bool,
}

/// Which messages are written, and where.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Messages")]
pub struct Log {
    /// Also show the commands that run, counts, ids and all artifacts
    #[arg(short, long, overrides_with = "quiet")]
    // Each overrides the other, so that of `-q -v` the last one counts, as with an option that is repeated.
    pub verbose: bool,
    /// Show errors only
    #[arg(short, long, overrides_with = "verbose")]
    pub quiet: bool,
    /// Also write messages to a file (accumulates)
    #[arg(short = 'f', long, value_name = "PATH", action = ArgAction::Append)]
    pub log_file: Vec<PathBuf>,
    /// How much to log, from 0 (errors only) to 6 (everything); default 3
    #[arg(long, value_name = "NUM", value_parser = number::<u64>)]
    pub log_limit: Option<u64>,
    /// How much to print on standard error, if less than --log-limit
    #[arg(long, value_name = "NUM", value_parser = number::<u64>)]
    pub restrict_stderr_log_limit: Option<u64>,
    /// No colours and no live display on standard error
    #[arg(long)]
    pub plain_log: bool,
    /// Append to log files instead of replacing them
    #[arg(long)]
    pub log_append: bool,
    /// Write errors and warnings to a file as JSON, for programs; docs/diagnostics.md describes it
    #[arg(long, value_name = "PATH")]
    pub diagnostics: Option<PathBuf>,
    /// When to use colour: on a terminal, always, or never
    #[arg(long, value_name = "WHEN", value_parser = ["auto", "always", "never"])]
    pub color: Option<String>,
}

/// A word that sets configuration variables.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Define {
    /// What it sets, as JSON.
    pub json: String,
    /// The word itself, if it is `NAME=VALUE`.
    pub short_form: Option<String>,
}

impl Define {
    /// A word that is JSON, or is to be reported as none.
    fn of_json(json: String) -> Define {
        Define { json, short_form: None }
    }

    /// A word that is `NAME=VALUE`, whose value is a text, or else JSON.
    pub(super) fn of_word(word: String) -> Define {
        match word.split_once('=') {
            // What begins like JSON is JSON, also if it has an equals sign within.
            Some((variable, value))
                if !variable.is_empty() && !variable.starts_with(['{', '[', '"', ' ']) =>
            {
                let [name, text] = [variable, value].map(|part| Value::string(part).to_json());
                Define { json: format!("{{{name}: {text}}}"), short_form: Some(word) }
            }
            _ => Define::of_json(word),
        }
    }
}

/// What is analysed.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Analysis")]
pub struct Analysis {
    /// Set configuration variables: a JSON object; overrides earlier values (accumulates)
    #[arg(
        short = 'D', long, value_name = "JSON", action = ArgAction::Append,
        value_parser = StringValueParser::new().map(Define::of_json)
    )]
    pub defines: Vec<Define>,
    /// File with the configuration, a JSON object
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Ignore cached build state: read, analyse and verify everything
    #[arg(long)]
    pub no_trace: bool,
    /// Run the call again with --no-trace, compare the results, and check that a third run does nothing
    #[arg(long, conflicts_with = "no_trace")]
    pub check_traces: bool,
    /// Write a profile of the call to a file, as JSON
    #[arg(long, value_name = "PATH")]
    pub profile: Option<PathBuf>,
    /// How many bytes of a value to show in messages; default 320
    #[arg(long, value_name = "NUM", value_parser = number::<usize>)]
    pub expression_log_limit: Option<usize>,
    /// Use the inputs of an action of the target instead of the target: %ID (at least 6 digits), #NUMBER, or ID or
    /// NUMBER without the mark
    #[arg(long, value_name = "ACTION")]
    pub request_action_input: Option<String>,
    /// Root for target files of the main repository
    #[arg(long, value_name = "PATH")]
    pub target_root: Option<PathBuf>,
    /// Root for rule files of the main repository
    #[arg(long, value_name = "PATH")]
    pub rule_root: Option<PathBuf>,
    /// Root for expression files of the main repository
    #[arg(long, value_name = "PATH")]
    pub expression_root: Option<PathBuf>,
    /// Name of target files; default TARGETS
    #[arg(long, value_name = "NAME")]
    pub target_file_name: Option<String>,
    /// Name of rule files; default RULES
    #[arg(long, value_name = "NAME")]
    pub rule_file_name: Option<String>,
    /// Name of expression files; default EXPRESSIONS
    #[arg(long, value_name = "NAME")]
    pub expression_file_name: Option<String>,
    /// File for the errors of a target-serving service (none are served yet)
    #[arg(long, value_name = "PATH")]
    pub serve_errors_log: Option<PathBuf>,
    /// Targets, each as MODULE:TARGET, :TARGET (root module), TARGET (of the current module),
    /// @REPOSITORY//MODULE:TARGET, the path of a source, or a pattern: ... (all), MODULE/... (all below), ./... (all
    /// below the current module); or the parts of any one target name: MODULE TARGET, @ REPOSITORY MODULE TARGET, FILE
    /// . NAME; default: the target "default" of the current module, else all of the workspace
    #[arg(value_name = "TARGET", help_heading = "Arguments")]
    pub target: Vec<String>,
    /// Whether a target may be named by one word like `module:target`.
    #[arg(skip)]
    pub has_typed_names: bool,
}

impl Analysis {
    /// How descriptions are written: the reference reads strict JSON.
    pub(crate) fn dialect(&self) -> Dialect {
        // Both are what the name `taut` has.
        if self.has_typed_names { Dialect::Extended } else { Dialect::Strict }
    }
}

/// Writing the action graph.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Action graph")]
pub struct Graph {
    /// Write the action graph to a file (accumulates)
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_graph: Vec<PathBuf>,
    /// Write the action graph without origins (accumulates)
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_plain_graph: Vec<PathBuf>,
    /// Write which artifacts are to be built (accumulates)
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_artifacts_to_build: Vec<PathBuf>,
}

impl Graph {
    /// Whether anything is to be written.
    pub fn any(&self) -> bool {
        !self.dump_graph.is_empty()
            || !self.dump_plain_graph.is_empty()
            || !self.dump_artifacts_to_build.is_empty()
    }
}

/// Where results are kept, and the services that may have them.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Stores and services")]
pub struct Stores {
    /// Where to keep results; default ~/.cache/taut
    #[arg(long, value_name = "PATH")]
    pub local_build_root: Option<PathBuf>,
    /// The server that executes, or has objects
    #[command(flatten)]
    pub server: Server,
    /// Address of a target-serving service (not supported yet)
    #[arg(short = 'R', long, value_name = "HOST:PORT")]
    pub remote_serve_address: Option<String>,
}

/// A server, and how it is reached.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Stores and services")]
// Apart from `Stores`, since set-ups use the server but not the target-serving service.
pub struct Server {
    /// Server that executes actions: HOST:PORT, or grpcs://HOST:PORT for an encrypted connection
    #[arg(short = 'r', long, value_name = "HOST:PORT")]
    pub remote_execution_address: Option<String>,
    /// Instance name at the server that executes, or the remote cache
    #[arg(long, value_name = "NAME")]
    pub remote_instance_name: Option<String>,
    /// Certificate of the authority to trust
    #[arg(long, value_name = "PATH")]
    pub tls_ca_cert: Option<PathBuf>,
    /// Certificate of this client
    #[arg(long, value_name = "PATH")]
    pub tls_client_cert: Option<PathBuf>,
    /// Key of this client
    #[arg(long, value_name = "PATH")]
    pub tls_client_key: Option<PathBuf>,
    /// Identify objects by SHA-256, as remote-execution services do
    #[arg(long)]
    pub compatible: bool,
    /// How often to try again a failed call of a service
    #[arg(long, value_name = "NUM", value_parser = number::<u32>)]
    pub max_attempts: Option<u32>,
    /// How long to wait before the second attempt
    #[arg(long, value_name = "SECONDS", value_parser = number::<u32>)]
    pub initial_backoff_seconds: Option<u32>,
    /// How long to wait between attempts at most
    #[arg(long, value_name = "SECONDS", value_parser = number::<u32>)]
    pub max_backoff_seconds: Option<u32>,
}

/// How actions run.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Execution")]
pub struct Execution {
    /// How many actions to run at once (default: --jobs; with servers that execute, 256)
    #[arg(short = 'J', long, value_name = "NUM", value_parser = number::<usize>)]
    pub build_jobs: Option<usize>,
    /// How long an action may run (default: no limit)
    #[arg(long, value_name = "SECONDS", value_parser = number::<u32>)]
    pub action_timeout: Option<u32>,
    /// How long actions may take to end after Ctrl-C or --action-timeout before they are killed; default 1
    #[arg(long, value_name = "SECONDS", value_parser = number::<u32>)]
    pub termination_grace: Option<u32>,
    /// Command that starts local actions, a JSON list; default ["env","--"]
    #[arg(short = 'L', long, value_name = "JSON")]
    pub local_launcher: Option<String>,
    /// Property of the executing platform (accumulates)
    #[arg(long, value_name = "KEY:VAL", action = ArgAction::Append)]
    pub remote_execution_property: Vec<String>,
    /// Cache that is shared with other builds: grpc://HOST:PORT, grpcs://HOST:PORT (encrypted) or HOST:PORT; actions
    /// run here
    #[arg(long, value_name = "ADDRESS")]
    pub remote_cache: Option<String>,
    /// Also store results of actions in the remote cache
    #[arg(long)]
    pub remote_cache_write: bool,
    /// How long the remote cache may take for an answer; default 10
    #[arg(long, value_name = "SECONDS", value_parser = number::<u32>)]
    pub remote_cache_timeout: Option<u32>,
    /// File that assigns servers to properties of actions: a JSON list of [{KEY: VAL}, "HOST:PORT"]
    #[arg(long, value_name = "PATH")]
    pub endpoint_configuration: Option<PathBuf>,
}

impl Execution {
    /// How long an action may run, before scaling.
    pub(crate) fn time_limit(&self) -> Option<Duration> {
        self.action_timeout.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

/// What of a build is shown, and what is kept.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Results")]
pub struct Results {
    /// Write which artifacts were built, with identifiers; - is standard output (accumulates)
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_artifacts: Vec<PathBuf>,
    /// Also show what actions printed that did not have to run
    #[arg(long)]
    pub show_cached_output: bool,
    /// Run this action again, alone, and show what it prints: %ID, of which six digits are enough, or #NUMBER
    #[arg(long, value_name = "ACTION")]
    pub rerun: Option<String>,
    /// Also show runfiles
    #[arg(short, long)]
    pub show_runfiles: bool,
    /// Print the content at this path of the result to standard output
    #[arg(short = 'P', long, value_name = "PATH")]
    pub print_to_stdout: Option<String>,
    /// Print the content of the artifact to standard output, if there is exactly one
    #[arg(short, long)]
    pub print_unique_artifact: bool,
    /// How target-level cache entries are written: sync, split or disable
    #[arg(long, value_name = "STRATEGY")]
    pub target_cache_write_strategy: Option<String>,
    /// After a failure, build everything that does not depend on it
    #[arg(long)]
    pub keep_going: bool,
}
