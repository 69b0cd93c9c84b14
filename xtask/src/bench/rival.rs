//! The tools that are measured: where they are, how they are called, their format.

use super::graph::Graph;
use anyhow::Result;
use std::path::{Path, PathBuf};
use std::process::Command;
use taut_testkit::Tool;

/// A tool that can build the graphs.
pub(crate) enum Rival {
    /// taut or the reference: a name and a binary.
    Targets(&'static str, PathBuf),
    /// ninja, or another tool that reads its files: a name and a binary.
    Ninja(&'static str, PathBuf),
}

impl Rival {
    /// taut at `taut`, and the other tools that this machine has.
    pub(crate) fn all(taut: PathBuf) -> Vec<Self> {
        let mut all = vec![Self::Targets("taut", taut)];
        if let Some(just) = Tool::reference() {
            all.push(Self::Targets("just", just.path().to_path_buf()));
        }
        for (name, variable) in [("ninja", "NINJA"), ("n2", "N2")] {
            let binary = std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from);
            // Whether it runs, not whether the file exists: a wrapper without its program would
            // fail in the middle of a measurement.
            let answers = Command::new(&binary).arg("--version").output();
            if answers.is_ok_and(|output| output.status.success()) {
                all.push(Self::Ninja(name, binary));
            }
        }
        all
    }

    /// The names of those that are not among `found`.
    pub(crate) fn missing(found: &[Self]) -> Vec<&'static str> {
        let has = |name: &str| found.iter().any(|rival| rival.name() == name);
        ["just", "ninja", "n2"].into_iter().filter(|name| !has(name)).collect()
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Targets(name, _) | Self::Ninja(name, _) => name,
        }
    }

    /// Writes the project into the new directory `dir`.
    pub(crate) fn write(&self, graph: &Graph, dir: &Path) -> Result<()> {
        match self {
            Self::Targets(..) => graph.write_targets(&self.source(dir)),
            Self::Ninja(..) => graph.write_ninja(&self.source(dir)),
        }
    }

    /// The directory of the sources within a directory that was written for this tool.
    pub(crate) fn source(&self, dir: &Path) -> PathBuf {
        // Beside the build root, so that a tool never lists what it has written itself.
        dir.join("src")
    }

    /// The command that brings everything up to date.
    pub(crate) fn command(&self, dir: &Path, jobs: usize) -> Command {
        let jobs = jobs.to_string();
        let mut command = match self {
            Self::Targets(_, path) => {
                let mut command = Command::new(path);
                command.args(["build", "--log-limit", "1", "-J", &jobs, "--local-build-root"]);
                command.arg(dir.join("build-root"));
                command
            }
            Self::Ninja(name, path) => {
                let mut command = Command::new(path);
                // n2 has no option for it.
                command.args((*name == "ninja").then_some("--quiet")).args(["-j", &jobs]);
                command
            }
        };
        command.current_dir(self.source(dir));
        command
    }
}
