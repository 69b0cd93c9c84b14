//! The command line: words to options.
//!
//! The groups of options are those of the reference, since wrappers pass the same options to several
//! subcommands. Three habits of its parser matter to scripts and are kept: the last occurrence of an
//! option wins (unless it accumulates), options and positional words may be interleaved, and an
//! option's value is the next word whatever it looks like (`--request-action-input -1`).

use clap::{ArgAction, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use std::ffi::OsString;
use std::path::PathBuf;

/// A whole command line.
#[derive(Parser, Debug)]
#[command(
    name = "taut",
    about = "A build system: what you have is what you would get.",
    args_override_self = true,
    disable_help_subcommand = true,
    subcommand_required = true,
    arg_required_else_help = false
)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub subcommand: Command,
}

/// What to do, with its options.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Print version information as JSON
    Version,
    /// Describe a target: its rule, fields and documentation
    Describe(Describe),
    /// Analyse a target: what would be built, and from what
    Analyse(Analyse),
    /// Build a target
    Build(Build),
    /// Build a target and install its artifacts and runfiles
    Install(Install),
    /// Run all actions of a target again and compare with the cache
    Rebuild(Rebuild),
    /// Tell why something ran in the last call that executed something, or what spared it
    Explain(Explain),
    /// Build a target, and again whenever something changes that it is made from
    Watch(Watch),
    /// Tell what at most would be analysed and run if files changed; nothing is written
    WhatIf(WhatIf),
    /// Fetch an object from the content store
    InstallCas(InstallCas),
    /// Add a file or directory to the content store and print its identifier
    AddToCas(AddToCas),
    /// Build artifacts from a serialised action graph
    #[command(hide = true)]
    Traverse(Traverse),
    /// Remove from the build root what was not used recently
    Gc(Gc),
    /// Run an execution service (not supported yet)
    Execute(Words),
    /// Run a target-serving service (not supported yet)
    Serve(Words),
}

impl Command {
    /// The options about messages, of the subcommands that have them.
    fn log(&self) -> Option<&Log> {
        Some(match self {
            Command::Describe(o) => &o.log,
            Command::Analyse(o) => &o.log,
            Command::Build(o) => &o.log,
            Command::Install(o) => &o.build.log,
            Command::Rebuild(o) => &o.build.log,
            Command::Explain(o) => &o.log,
            Command::Watch(o) => &o.build.log,
            Command::WhatIf(o) => &o.log,
            Command::InstallCas(o) => &o.log,
            Command::AddToCas(o) => &o.log,
            Command::Traverse(o) => &o.log,
            Command::Gc(o) => &o.log,
            Command::Version | Command::Execute(_) | Command::Serve(_) => return None,
        })
    }
}

impl Command {
    /// A word of this call that the tool whose name may be used does not know, if there is one.
    fn own(&self) -> Option<&'static str> {
        let analysis = match self {
            Command::Explain(_) => return Some("explain"),
            Command::WhatIf(_) => return Some("what-if"),
            Command::Watch(_) => return Some("watch"),
            Command::Install(o) if o.prune => return Some("--prune"),
            Command::Analyse(o) => Some(&o.analysis),
            Command::Build(o) => Some(&o.analysis),
            Command::Install(o) => Some(&o.build.analysis),
            Command::Rebuild(o) => Some(&o.build.analysis),
            Command::Describe(o) => Some(&o.analysis),
            _ => None,
        };
        if analysis.is_some_and(|analysis| analysis.check_traces) {
            return Some("--check-traces");
        }
        self.log().is_some_and(|log| log.diagnostics.is_some()).then_some("--diagnostics")
    }
}

/// Any words, for subcommands that are known but not supported.
#[derive(Args, Debug)]
pub struct Words {
    /// Not looked at
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub words: Vec<OsString>,
}

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
    #[arg(short, long, value_name = "NUM")]
    pub jobs: Option<usize>,
}

/// What is told, and where.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Messages")]
pub struct Log {
    /// Write messages to a file, too (accumulates)
    #[arg(short = 'f', long, value_name = "PATH", action = ArgAction::Append)]
    pub log_file: Vec<PathBuf>,
    /// How much to log, from 0 (errors only) to 6 (everything); default 3
    #[arg(long, value_name = "NUM")]
    pub log_limit: Option<i64>,
    /// How much to print on standard error, if less than --log-limit
    #[arg(long, value_name = "NUM")]
    pub restrict_stderr_log_limit: Option<i64>,
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

/// What is analysed.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Analysis")]
pub struct Analysis {
    /// How many characters of an expression to show in messages; default 320
    #[arg(long, value_name = "NUM")]
    pub expression_log_limit: Option<usize>,
    /// Set configuration variables: a JSON object, laid over what came before (accumulates)
    #[arg(short = 'D', long, value_name = "JSON", action = ArgAction::Append)]
    pub defines: Vec<String>,
    /// File with the configuration, a JSON object
    #[arg(short, long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Consider the inputs of an action of the target instead: %ID, #NUMBER, or either without mark
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
    /// File for the errors of a target-serving service (no effect yet)
    #[arg(long, value_name = "PATH")]
    pub serve_errors_log: Option<PathBuf>,
    /// Believe no earlier call: read, analyse and verify everything anew
    #[arg(long)]
    pub no_trace: bool,
    /// Make the call a second time with --no-trace, compare the answers, and see that a third does nothing
    #[arg(long, conflicts_with = "no_trace")]
    pub check_traces: bool,
    /// Write a profile of the call to a file, as JSON
    #[arg(long, value_name = "PATH")]
    pub profile: Option<PathBuf>,
    /// TARGET, or MODULE TARGET, or the parts of any target name
    #[arg(value_name = "TARGET", help_heading = "Arguments")]
    pub target: Vec<String>,
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

/// Where results are kept, and whom to ask for them.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Stores and services")]
pub struct Stores {
    /// Where to keep results; default ~/.cache/taut
    #[arg(long, value_name = "PATH")]
    pub local_build_root: Option<PathBuf>,
    /// Address of a remote-execution service (not supported yet)
    #[arg(short = 'r', long, value_name = "HOST:PORT")]
    pub remote_execution_address: Option<String>,
    /// Instance name at the remote-execution service
    #[arg(long, value_name = "NAME")]
    pub remote_instance_name: Option<String>,
    /// Address of a target-serving service (not supported yet)
    #[arg(short = 'R', long, value_name = "HOST:PORT")]
    pub remote_serve_address: Option<String>,
    /// Certificate of the authority to trust
    #[arg(long, value_name = "PATH")]
    pub tls_ca_cert: Option<PathBuf>,
    /// Certificate of this client
    #[arg(long, value_name = "PATH")]
    pub tls_client_cert: Option<PathBuf>,
    /// Key of this client
    #[arg(long, value_name = "PATH")]
    pub tls_client_key: Option<PathBuf>,
    /// Identify contents by SHA-256, as remote-execution services do (not supported yet)
    #[arg(long)]
    pub compatible: bool,
    /// How often to try again a failed call of a service
    #[arg(long, value_name = "NUM")]
    pub max_attempts: Option<u32>,
    /// How long to wait before the second attempt
    #[arg(long, value_name = "SECONDS")]
    pub initial_backoff_seconds: Option<u32>,
    /// How long to wait between attempts at most
    #[arg(long, value_name = "SECONDS")]
    pub max_backoff_seconds: Option<u32>,
}

/// How actions run.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Execution")]
pub struct Execution {
    /// How many actions to run at once (default: --jobs)
    #[arg(short = 'J', long, value_name = "NUM")]
    pub build_jobs: Option<usize>,
    /// How long an action may run (default: no limit)
    #[arg(long, value_name = "SECONDS")]
    pub action_timeout: Option<u64>,
    /// Command that starts local actions, a JSON list; default ["env","--"]
    #[arg(short = 'L', long, value_name = "JSON")]
    pub local_launcher: Option<String>,
    /// Property of the executing platform (accumulates)
    #[arg(long, value_name = "KEY:VAL", action = ArgAction::Append)]
    pub remote_execution_property: Vec<String>,
    /// File that assigns services to properties (not supported yet)
    #[arg(long, value_name = "PATH")]
    pub endpoint_configuration: Option<PathBuf>,
}

/// What of a build is shown, and what is kept.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Results")]
pub struct Results {
    /// Write which artifacts were built, with identifiers; - is standard output (accumulates)
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_artifacts: Vec<PathBuf>,
    /// Show runfiles, too
    #[arg(short, long)]
    pub show_runfiles: bool,
    /// Print the content at this path of the result to standard output
    #[arg(short = 'P', long, value_name = "PATH")]
    pub print_to_stdout: Option<String>,
    /// Print the artifact's content to standard output, if there is precisely one
    #[arg(short, long)]
    pub print_unique_artifact: bool,
    /// How target-level cache entries are written: sync, split or disable
    #[arg(long, value_name = "STRATEGY")]
    pub target_cache_write_strategy: Option<String>,
    /// After a failure go on with everything that does not depend on it
    #[arg(long)]
    pub keep_going: bool,
}

/// Options of `describe`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Describe {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub analysis: Analysis,
    #[command(flatten)]
    pub stores: Stores,
    /// Print the description as JSON
    #[arg(long)]
    pub json: bool,
    /// The name is that of a rule
    #[arg(long)]
    pub rule: bool,
}

/// Options of `analyse`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups and dumps; their types and help say what they are")]
pub struct Analyse {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub analysis: Analysis,
    #[command(flatten)]
    pub graph: Graph,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub execution: Execution,
    #[command(flatten)]
    pub dumps: Dumps,
}

/// Dumps of `analyse`; each option accumulates.
#[derive(Args, Debug, Default)]
#[command(next_help_heading = "Dumps (- is standard output)")]
pub struct Dumps {
    /// Actions of the requested target
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_actions: Vec<PathBuf>,
    /// Blobs of the requested target
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_blobs: Vec<PathBuf>,
    /// Trees of the requested target
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_trees: Vec<PathBuf>,
    /// What the target provides
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_provides: Vec<PathBuf>,
    /// Artifacts, runfiles and provided data
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_result: Vec<PathBuf>,
    /// Configuration variables that the target depends on
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_vars: Vec<PathBuf>,
    /// All configured targets
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_targets: Vec<PathBuf>,
    /// All configured export targets
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_export_targets: Vec<PathBuf>,
    /// Which targets depend on which (never to standard output)
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_targets_graph: Vec<PathBuf>,
    /// Rule maps and nodes of anonymous targets
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_anonymous: Vec<PathBuf>,
    /// Nodes of the target
    #[arg(long, value_name = "PATH", action = ArgAction::Append)]
    pub dump_nodes: Vec<PathBuf>,
}

impl Dumps {
    /// Whether anything is to be written.
    pub fn any(&self) -> bool {
        !self.dump_actions.is_empty()
            || !self.dump_blobs.is_empty()
            || !self.dump_trees.is_empty()
            || !self.dump_provides.is_empty()
            || !self.dump_result.is_empty()
            || !self.dump_vars.is_empty()
            || !self.dump_targets.is_empty()
            || !self.dump_export_targets.is_empty()
            || !self.dump_targets_graph.is_empty()
            || !self.dump_anonymous.is_empty()
            || !self.dump_nodes.is_empty()
    }
}

/// Options of `build`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Build {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub analysis: Analysis,
    #[command(flatten)]
    pub graph: Graph,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub execution: Execution,
    #[command(flatten)]
    pub results: Results,
}

/// Options of `install`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Install {
    #[command(flatten)]
    pub build: Build,
    /// Where to install to
    #[arg(short, long, value_name = "PATH", required = true)]
    pub output_dir: PathBuf,
    /// Remove what was installed there for this target before and is no longer part of it
    #[arg(long)]
    pub prune: bool,
    /// Keep what is installed in the local store, too
    #[arg(long)]
    pub remember: bool,
}

/// Options of `rebuild`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Rebuild {
    #[command(flatten)]
    pub build: Build,
    /// Which cache to compare with: local, or a service's address
    #[arg(long, value_name = "local|HOST:PORT")]
    pub vs: Option<String>,
    /// Write which actions are flaky to a file, as JSON
    #[arg(long, value_name = "PATH")]
    pub dump_flaky: Option<PathBuf>,
}

/// Options of `explain`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Explain {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub analysis: Analysis,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub execution: Execution,
}

/// Options of `watch`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Watch {
    #[command(flatten)]
    pub build: Build,
    /// Install to this directory whenever the result is there
    #[arg(short, long, value_name = "PATH")]
    pub output_dir: Option<PathBuf>,
    /// Remove from that directory what is no longer part of the result
    #[arg(long, requires = "output_dir")]
    pub prune: bool,
    /// Do not rely on being told of changes: look at everything every two seconds
    #[arg(long)]
    pub look: bool,
}

/// Options of `what-if`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct WhatIf {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub analysis: Analysis,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub execution: Execution,
    /// The target whose build is asked about, a name or a JSON list like ["module", "target"]; default: what
    /// was last built here, else the first target of the module
    #[arg(long, value_name = "TARGET", help_heading = "Analysis")]
    pub of: Option<String>,
}

/// Options of `install-cas`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct InstallCas {
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
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
    /// Write a tree as it is stored
    #[arg(long)]
    pub raw_tree: bool,
    /// Keep what is installed in the local store, too
    #[arg(long)]
    pub remember: bool,
}

/// Options of `add-to-cas`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct AddToCas {
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
    /// File or directory to add
    #[arg(value_name = "PATH", required = true)]
    pub location: PathBuf,
    /// Add what a symbolic link at the location points to
    #[arg(long)]
    pub follow_symlinks: bool,
    /// What to do with special entries of directories: ignore, tree-upwards, tree-all or all
    #[arg(long, value_name = "HOW")]
    pub resolve_special: Option<String>,
}

/// Options of `traverse`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Traverse {
    #[command(flatten)]
    pub common: Common,
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
    #[command(flatten)]
    pub execution: Execution,
    #[command(flatten)]
    pub results: Results,
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
    /// Keep what is installed in the local store, too
    #[arg(long)]
    pub remember: bool,
}

/// Options of `gc`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Gc {
    #[command(flatten)]
    pub log: Log,
    #[command(flatten)]
    pub stores: Stores,
    /// Only clean up and compact; forget nothing
    #[arg(long, conflicts_with = "all")]
    pub no_rotate: bool,
    /// Forget everything
    #[arg(long)]
    pub all: bool,
}

/// What is wrong with a command line, or the help it asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum NoCommand {
    /// Help was asked for: to be printed on standard output.
    Help(String),
    /// The words make no command line: to be printed on standard error.
    Wrong(String),
}

impl CommandLine {
    /// Reads the words of a call; the first is the name of the tool.
    ///
    /// # Errors
    ///
    /// [`NoCommand`], with the text to print.
    pub fn parse_words(name: &str, words: &[OsString]) -> Result<CommandLine, NoCommand> {
        let name: &'static str = Box::leak(name.to_owned().into_boxed_str());
        let mut command = CommandLine::command().name(name).bin_name(name).mut_subcommands(|subcommand| {
            // What the reference does not have is not offered under its name.
            let subcommand = match subcommand.get_name() {
                "explain" => subcommand.hide(name == "just").mut_arg("target", |arg| {
                    arg.value_name("TARGET|%ACTION|PATH")
                        .help("A target, the beginning of an action's id after %, or the path of a source or result")
                }),
                "watch" => subcommand.hide(name == "just"),
                "what-if" => subcommand.hide(name == "just").mut_arg("target", |arg| {
                    arg.value_name("PATH").required(true).help("Files, there or not, or directories with all that is in them")
                }),
                _ => subcommand,
            };
            subcommand.mut_args(|arg| {
                let is_own = ["diagnostics", "check_traces", "prune"].iter().any(|own| arg.get_id() == own);
                let arg = if name == "just" && is_own { arg.hide(true) } else { arg };
                let takes_value = arg.get_action().takes_values() && !arg.is_positional();
                if takes_value { arg.allow_hyphen_values(true) } else { arg }
            })
        });
        command
            .try_get_matches_from_mut(words)
            .and_then(|matches| CommandLine::from_arg_matches(&matches))
            .map_err(NoCommand::from)
            .and_then(|line| match line.subcommand.own().filter(|_| name == "just") {
                Some(word) => {
                    let text = format!("error: unexpected argument '{word}' found");
                    Err(NoCommand::Wrong(format!("{text}\nRun with --help for more information.\n")))
                }
                None => Ok(line),
            })
    }
}

impl From<clap::Error> for NoCommand {
    fn from(error: clap::Error) -> NoCommand {
        let text = error.render().to_string();
        if !error.use_stderr() {
            return NoCommand::Help(text);
        }
        let text = text.trim_end();
        let text = match text.rfind("\n\nFor more information") {
            Some(end) => &text[..end],
            None => text,
        };
        NoCommand::Wrong(format!("{text}\nRun with --help for more information.\n"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &[&str]) -> Result<Command, NoCommand> {
        let words: Vec<OsString> =
            std::iter::once("taut").chain(words.iter().copied()).map(Into::into).collect();
        CommandLine::parse_words("taut", &words).map(|line| line.subcommand)
    }

    fn build(words: &[&str]) -> Build {
        match parse(words) {
            Ok(Command::Build(build)) => build,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        CommandLine::command().debug_assert();
    }

    #[test]
    fn the_last_occurrence_of_an_option_wins_unless_it_accumulates() {
        let build = build(&["build", "-J", "1", "-J2", "-D", "{}", "-D", "[]", "--main=a", "--main", "b"]);
        assert_eq!(build.execution.build_jobs, Some(2));
        assert_eq!(build.analysis.defines, ["{}", "[]"]);
        assert_eq!(build.common.main.as_deref(), Some("b"));
    }

    #[test]
    fn options_and_names_may_be_interleaved() {
        let build = build(&["build", "m", "-J", "1", "t", "-s", "--", "-x"]);
        assert_eq!(build.analysis.target, ["m", "t", "-x"]);
        assert!(build.results.show_runfiles);
    }

    #[test]
    fn a_value_may_look_like_an_option() {
        let build = build(&["build", "--request-action-input", "-1", "-P", "--odd"]);
        assert_eq!(build.analysis.request_action_input.as_deref(), Some("-1"));
        assert_eq!(build.results.print_to_stdout.as_deref(), Some("--odd"));
    }

    #[test]
    fn wrong_words_are_answered_with_advice() {
        for words in
            [&["buld"][..], &[], &["build", "--no-such"], &["install"], &["gc", "--all", "--no-rotate"]]
        {
            let Err(NoCommand::Wrong(text)) = parse(words) else { panic!("{words:?} is accepted") };
            assert!(text.ends_with("\nRun with --help for more information.\n"), "{text}");
        }
        let Err(NoCommand::Wrong(text)) = parse(&["buld"]) else { panic!("buld is accepted") };
        assert!(text.contains("'build'"), "{text}");
    }

    #[test]
    fn under_the_name_of_the_other_tool_its_words_are_all_there_are() {
        for words in [
            &["just", "explain", "t"][..],
            &["just", "what-if", "f"],
            &["just", "watch"],
            &["just", "install", "-o", "d", "--prune"],
            &["just", "build", "--check-traces"],
            &["just", "build", "--diagnostics", "f"],
        ] {
            let parse = |name| {
                let words: Vec<OsString> = words.iter().map(Into::into).collect();
                CommandLine::parse_words(name, &words)
            };
            assert!(parse("taut").is_ok(), "{words:?}");
            let Err(NoCommand::Wrong(text)) = parse("just") else { panic!("{words:?} is accepted") };
            assert!(text.contains("unexpected argument"), "{text}");
        }
    }

    #[test]
    fn help_is_no_error() {
        assert!(
            matches!(parse(&["build", "--help"]), Err(NoCommand::Help(text)) if text.contains("Analysis:"))
        );
    }
}
