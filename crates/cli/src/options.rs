//! The command line: words to options.
//!
//! Three habits of the reference's parser matter to scripts and are kept: the last occurrence of an
//! option wins (unless it accumulates), options and positional words may be interleaved, and an
//! option's value is the next word whatever it looks like (`--request-action-input -1`).

mod commands;
mod groups;
mod help;
pub(crate) mod page;
mod parse;
mod refused;
mod words;
mod wrong_words;

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

pub use commands::*;
pub use groups::*;
pub use parse::NoCommand;
pub(crate) use parse::definition;
pub(crate) use refused::is_refused;

/// A whole command line.
#[derive(Parser, Debug)]
#[command(
    name = "taut",
    about = "Builds the targets that TARGETS files describe, as justbuild 1.6 does, and runs only what a change invalidates",
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
    /// Write a small project that builds, tests and installs, or targets for existing sources
    Init(Init),
    /// Build a target
    Build(Build),
    /// Build a target and install its artifacts and runfiles
    Install(Install),
    /// Run the tests among targets and what these depend on; without targets, all tests
    Test(Test),
    /// Write how each C and C++ file is compiled, for editors
    CompileCommands(CompileCommands),
    /// Build targets, and again whenever one of their inputs changes
    Watch(Watch),
    /// Run all actions of a target again and compare with the cache
    Rebuild(Rebuild),
    /// Analyse a target: what would be built, and from what
    Analyse(Analyse),
    /// Describe a target: its rule, fields and documentation
    Describe(Describe),
    /// Show why something ran in the last build with work to do, or why it did not
    Explain(Question),
    /// Show what would be analysed and run, at most, if files changed; runs nothing
    WhatIf(WhatIf),
    /// Fetch an object from the content store
    InstallCas(InstallCas),
    /// Add a file or directory to the content store and print its identifier
    AddToCas(AddToCas),
    /// Build artifacts from a serialised action graph
    Traverse(Traverse),
    /// Remove from the build root what was not used recently
    Gc(Gc),
    /// Run an execution service (not supported yet)
    Execute(Words),
    /// Run a target-serving service (not supported yet)
    Serve(Words),
    /// Set up the repositories of a description, and print the path of the configuration
    Setup(SetUpRepositories),
    /// The same, but the root of the main repository is found by the working directory of each call
    SetupEnv(SetUpRepositories),
    /// Fetch the archives of a description into a directory, for set-ups without a network
    Fetch(FetchRepositories),
    /// Print the description with the newest commits of branches
    Update(UpdateRepositories),
    /// List the repositories of a description: what they are made from, and whether it is present
    Repos(ListRepositories),
    /// Remove repositories that were not used recently
    GcRepo(CollectRepositories),
    /// Set up the repositories, and call any subcommand
    Do(Words),
    /// Print the script with which a shell completes commands, options and names of targets
    Completions(Completions),
    /// Write the manual pages to a directory
    Man(Man),
    /// Print version information as JSON
    Version,
}

impl Command {
    /// The options about analysis, of the subcommands that have them.
    fn analysis_mut(&mut self) -> Option<&mut Analysis> {
        // By variant, since clap's derived structures share no trait.
        Some(match self {
            Command::Describe(o) => &mut o.analysis,
            Command::Analyse(o) => &mut o.analysis,
            Command::Build(o) => &mut o.analysis,
            Command::Install(o) => &mut o.build.analysis,
            Command::Rebuild(o) => &mut o.build.analysis,
            Command::Explain(o) => &mut o.analysis,
            Command::Watch(o) => &mut o.build.analysis,
            Command::Test(o) => &mut o.build.analysis,
            Command::CompileCommands(o) => &mut o.build.analysis,
            Command::WhatIf(o) => &mut o.question.analysis,
            _ => return None,
        })
    }

    /// The options about repositories, of the subcommands that have them, with those about the build root.
    fn repositories_mut(&mut self) -> Option<(&mut Common, &mut Stores)> {
        Some(match self {
            Command::Describe(o) => (&mut o.common, &mut o.stores),
            Command::Analyse(o) => (&mut o.common, &mut o.stores),
            Command::Build(o) => (&mut o.common, &mut o.stores),
            Command::Install(o) => (&mut o.build.common, &mut o.build.stores),
            Command::Rebuild(o) => (&mut o.build.common, &mut o.build.stores),
            Command::Explain(o) => (&mut o.common, &mut o.stores),
            Command::Watch(o) => (&mut o.build.common, &mut o.build.stores),
            Command::Test(o) => (&mut o.build.common, &mut o.build.stores),
            Command::CompileCommands(o) => (&mut o.build.common, &mut o.build.stores),
            Command::WhatIf(o) => (&mut o.question.common, &mut o.question.stores),
            Command::Traverse(o) => (&mut o.common, &mut o.stores),
            _ => return None,
        })
    }

    /// The options about set-ups, of the subcommands that have them.
    pub(crate) fn set_up(&self) -> Option<&SetUp> {
        Some(match self {
            Command::Describe(o) => &o.common.set_up,
            Command::Analyse(o) => &o.common.set_up,
            Command::Build(o) => &o.common.set_up,
            Command::Install(o) => &o.build.common.set_up,
            Command::Rebuild(o) => &o.build.common.set_up,
            Command::Explain(o) => &o.common.set_up,
            Command::Watch(o) => &o.build.common.set_up,
            Command::Test(o) => &o.build.common.set_up,
            Command::CompileCommands(o) => &o.build.common.set_up,
            Command::WhatIf(o) => &o.question.common.set_up,
            Command::Traverse(o) => &o.common.set_up,
            Command::Setup(o) | Command::SetupEnv(o) => &o.repositories.set_up,
            Command::Fetch(o) => &o.repositories.set_up,
            Command::Update(o) => &o.repositories.set_up,
            Command::Repos(o) => &o.repositories.set_up,
            _ => return None,
        })
    }

    /// The options about rc files, of the subcommands that have them.
    pub(crate) fn rc_file(&self) -> Option<&RcFile> {
        match self {
            Command::AddToCas(o) => Some(&o.rc_file),
            Command::Gc(o) => Some(&o.rc_file),
            Command::GcRepo(o) => Some(&o.rc_file),
            Command::InstallCas(o) => Some(&o.rc_file),
            _ => self.set_up().map(|set_up| &set_up.rc_file),
        }
    }

    /// Fills in what follows from other options and from the tool's name: the inputs of an action that is to be run
    /// again are requested, and names like `module:target` are taut's own.
    fn complete(&mut self, is_taut: bool) {
        let rerun = match self {
            Command::Build(o) => o.results.rerun.clone(),
            Command::Install(o) => o.build.results.rerun.clone(),
            _ => None,
        };
        let without_address = |server: &mut Server| {
            // No server, also if an rc file names one.
            server.remote_execution_address.take_if(|address| is_taut && address.is_empty());
        };
        match self {
            Command::AddToCas(o) => without_address(&mut o.stores.server),
            Command::InstallCas(o) => without_address(&mut o.stores.server),
            Command::Setup(o) | Command::SetupEnv(o) => without_address(&mut o.server),
            Command::Fetch(o) => without_address(&mut o.server),
            _ => {}
        }
        if let Some((common, stores)) = self.repositories_mut() {
            without_address(&mut stores.server);
            // Copied to where set-ups look for them: their code knows nothing of single subcommands.
            common.set_up.stores = stores.clone();
            common.set_up.is_done = is_taut;
        }
        if let Some(analysis) = self.analysis_mut() {
            analysis.has_typed_names = is_taut;
            analysis.request_action_input = rerun.or(analysis.request_action_input.take());
        }
    }
}

/// Any words, for subcommands that are known but not supported.
#[derive(Args, Debug)]
pub struct Words {
    /// Not looked at
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub words: Vec<OsString>,
}
