//! The files and directories that a call writes when it is over: whether they can be written is known before anything
//! is built.

use std::path::{Path, PathBuf};

use taut_driver::normal_path;
use taut_sys::{Dir, Named, normal};

use crate::{
    environment::build_root,
    exit::Exit,
    log::Log,
    options::{Build, Command, Graph, Stores},
    tool_name::Name,
    voice,
};

/// The files that a call writes.
#[derive(Default)]
pub(crate) struct OutputFiles {
    files: Vec<PathBuf>,
    /// The directories that results are installed into.
    directories: Vec<PathBuf>,
    /// The directories that the call makes if they do not exist: files may be below them.
    made: Vec<PathBuf>,
}

impl OutputFiles {
    /// The files that the options of a subcommand name. None under the name `just`: the reference fails at the end.
    pub(crate) fn of(name: Name, command: &Command) -> OutputFiles {
        let mut all = OutputFiles::default();
        if name == Name::Just {
            return all;
        }
        match command {
            Command::Describe(o) => all.add(&o.analysis.profile).made_by(name, &o.stores),
            Command::Analyse(o) => {
                o.dumps.files().into_iter().for_each(|file| all.files.extend(file.clone()));
                all.add(&o.analysis.profile).add_graph(&o.graph).made_by(name, &o.stores);
            }
            Command::Build(o) => all.add_build(name, o),
            Command::Install(o) => {
                all.directories.push(o.output_dir.clone());
                all.add_build(name, &o.build);
            }
            Command::Rebuild(o) => all.add(&o.dump_flaky).add_build(name, &o.build),
            Command::Test(o) => all.add(&o.junit).add_build(name, &o.build),
            Command::CompileCommands(o) => all.add(&o.output).add_build(name, &o.build),
            Command::Watch(o) => {
                all.directories.extend(o.output_dir.clone());
                all.add(&o.compile_commands).add_build(name, &o.build);
            }
            Command::Traverse(o) => {
                all.directories.push(o.output_directory.clone());
                all.files.extend_from_slice(&o.results.dump_artifacts);
                all.made_by(name, &o.stores);
            }
            _ => {}
        }
        all.made.extend_from_slice(&all.directories);
        all
    }

    fn add(&mut self, file: &Option<PathBuf>) -> &mut OutputFiles {
        self.files.extend(file.clone());
        self
    }

    fn add_graph(&mut self, o: &Graph) -> &mut OutputFiles {
        for files in [&o.dump_graph, &o.dump_plain_graph, &o.dump_artifacts_to_build] {
            self.files.extend_from_slice(files);
        }
        self
    }

    fn add_build(&mut self, name: Name, o: &Build) {
        self.files.extend_from_slice(&o.results.dump_artifacts);
        self.add(&o.analysis.profile).add_graph(&o.graph).made_by(name, &o.stores);
    }

    fn made_by(&mut self, name: Name, stores: &Stores) {
        self.made.extend(build_root(name, stores));
    }

    /// Reports the first file or directory that cannot be written, if there is one.
    ///
    /// # Errors
    /// The exit code; the error has been reported.
    pub(crate) fn check(&self, log: &Log) -> Result<(), Exit> {
        self.directories.iter().try_for_each(|directory| {
            // As it is made at the end.
            let path = directory.to_str().map_or_else(|| directory.clone(), |path| normal_path(path).into());
            let absolute = std::path::absolute(&path).unwrap_or(path);
            Dir::check_makeable(&absolute).map_err(|error| {
                voice::of(log).no_directory(&absolute, &error, log);
                Exit::BuildFailure
            })
        })?;
        self.files.iter().try_for_each(|file| self.check_one(file, log))
    }

    /// The same, of one file.
    ///
    /// # Errors
    /// The exit code; the error has been reported.
    pub(crate) fn check_one(&self, file: &Path, log: &Log) -> Result<(), Exit> {
        match Named::check_writable(file) {
            // Standard output, where the option has that; else a file in the working directory, found at the end.
            _ if file.as_os_str() == "-" => Ok(()),
            Err(error) if !(error.is_not_found() && self.is_in_made(file)) => {
                voice::of(log).not_written(file, &error, log);
                Err(Exit::Environment)
            }
            _ => Ok(()),
        }
    }

    fn is_in_made(&self, file: &Path) -> bool {
        // By text: links are resolved when there is something to resolve.
        let absolute = |path: &Path| std::path::absolute(path).map(|path| normal(&path)).ok();
        let file = absolute(file);
        let is_above = |made: &PathBuf| Some(file.as_ref()?.starts_with(absolute(made)?));
        self.made.iter().any(|made| is_above(made).unwrap_or(false))
    }
}
