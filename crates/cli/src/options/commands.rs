//! The options of each subcommand: groups, and those of its own.

use std::path::PathBuf;

use clap::Args;

use super::groups::{Analysis, Common, Execution, Graph, Log, Results, Stores};

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

    /// Whether anything is to be written.
    pub fn any(&self) -> bool {
        self.dump_actions.is_some()
            || self.dump_blobs.is_some()
            || self.dump_trees.is_some()
            || self.dump_provides.is_some()
            || self.dump_result.is_some()
            || self.dump_vars.is_some()
            || self.dump_targets.is_some()
            || self.dump_export_targets.is_some()
            || self.dump_targets_graph.is_some()
            || self.dump_anonymous.is_some()
            || self.dump_nodes.is_some()
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
    /// Look at all files every two seconds instead of waiting for the system to report changes
    #[arg(long, alias = "look")]
    pub poll: bool,
}

/// What a question about builds is about; nothing is built for it.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct Question {
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

/// Options of `what-if`.
#[derive(Args, Debug)]
#[allow(missing_docs, reason = "groups; their types say what they are")]
pub struct WhatIf {
    #[command(flatten)]
    pub question: Question,
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
    /// Write a tree to standard output as it is stored
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
