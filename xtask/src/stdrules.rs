//! `cargo xtask stdrules`: Lua and Redis, described with nothing but the rules in the box, beside what their makefiles
//! build.
//!
//! The sources are Debian's, unmodified; the descriptions are in `xtask/stdrules`. Both results run the same scripts,
//! and have to say the same. Afterwards a header and a source are edited, and the actions that run are counted.

use crate::apt;
use crate::cargo;
use crate::realworld::processed;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A project.
pub(crate) struct Project {
    /// The name of its source package, and of the directory with its description.
    package: &'static str,
    pub(crate) directory: &'static str,
    /// The module of the target `all`.
    pub(crate) module: &'static str,
    /// Words after `make`.
    make: &'static [&'static str],
    /// Files, what is appended to each, and how many actions that runs: at least one, and at most so many.
    edits: &'static [(&'static str, &'static str, usize)],
}

pub(crate) const LUA: Project = Project {
    package: "lua5.4",
    directory: "lua",
    module: "src",
    make: &["linux"],
    // The sources of the library, the archive, and two programs, one of which has all headers, too. One source, the
    // archive and two programs.
    edits: &[
        ("src/lopcodes.h", "\n#define TAUT_WAS_HERE 1\n", 36),
        ("src/lstrlib.c", "\nint taut_was_here;\n", 4),
    ],
};

pub(crate) const REDIS: Project = Project {
    package: "redis",
    directory: "redis",
    module: "",
    make: &["MALLOC=libc", "OPTIMIZATION=-O2"],
    // One source and the program that it is in; also of the header that no other source includes. Then the sources of a
    // library that include the header, the archive, and the three programs.
    edits: &[
        ("src/t_hash.c", "\nint taut_was_here;\n", 2),
        ("src/geo.h", "\n#ifndef TAUT_WAS_HERE\n#define TAUT_WAS_HERE\nint taut_was_in_geo;\n#endif\n", 2),
        ("deps/hiredis/net.h", "\n#define TAUT 1\n", 11),
    ],
};

/// Builds and compares the projects, or those that are named.
///
/// # Errors
///
/// If there are no sources, a step fails, the programs differ, or an edit runs more actions than it should.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let taut = cargo::taut(false)?;
    for project in [LUA, REDIS] {
        if args.is_empty() || args.iter().any(|name| name == project.directory) {
            project.run(&taut).with_context(|| project.directory.to_owned())?;
        }
    }
    Ok(())
}

impl Project {
    fn run(&self, taut: &Path) -> Result<()> {
        let scratch = tempfile::tempdir()?;
        let work = self.workspace(scratch.path())?;
        let made = scratch.path().join("made");
        // make builds in a copy, since it writes beside the sources.
        succeed(Command::new("cp").arg("-r").arg(scratch.path().join("sources")).arg(&made))?;
        succeed(Command::new("make").args(self.make).arg("-j2").current_dir(&made))?;
        let out = scratch.path().join("out");
        let install = || -> Result<usize> {
            let mut command = Command::new(taut);
            command.args(["install", "--local-build-root"]).arg(scratch.path().join("build-root"));
            command.arg("-o").arg(&out).args(["-D", r#"{"BUILD_TYPE": "release", "CFLAGS": ["-w"]}"#]);
            let output = command.args([self.module, "all"]).current_dir(&work).output()?;
            let log = String::from_utf8_lossy(&output.stderr).into_owned();
            if !output.status.success() {
                bail!("taut exits with {}\n{log}", output.status);
            }
            let (actions, not_run) = processed(&log)?;
            Ok(actions - not_run)
        };
        let first = install()?;
        let [ours, theirs] = [&out, &made.join("src")].map(|programs| self.output(programs));
        let (ours, theirs) = (ours?, theirs?);
        if ours != theirs {
            bail!("the programs differ: those of taut say\n{ours}\nand those of make\n{theirs}");
        }
        let lines = ours.lines().count();
        println!("{}: {first} actions, {lines} lines of output as of make's programs", self.directory);
        let again = install()?;
        if again != 0 {
            bail!("a second build runs {again} actions");
        }
        for (file, more, most) in self.edits {
            let path = work.join(file);
            let text = fs::read_to_string(&path)?;
            fs::write(&path, text + more)?;
            let ran = install()?;
            // Fewer are right as well: what an edit does not change need not be run.
            if !(1..=*most).contains(&ran) {
                bail!("an edit of {file} runs {ran} actions, not 1 to {most}");
            }
            println!("{}: an edit of {file} runs {ran}", self.directory);
        }
        Ok(())
    }

    /// Fetches the sources into `sources` below a directory; returns a copy of them with the description.
    pub(crate) fn workspace(&self, scratch: &Path) -> Result<PathBuf> {
        let [sources, work] = ["sources", "work"].map(|name| scratch.join(name));
        fs::rename(apt::source(self.package, &scratch.join("apt"))?, &sources)?;
        succeed(Command::new("cp").arg("-r").arg(&sources).arg(&work))?;
        let description = cargo::root().join("xtask/stdrules").join(self.directory);
        succeed(Command::new("cp").arg("-r").arg(description.join(".")).arg(&work))?;
        fs::write(work.join("ROOT"), "")?;
        Ok(work)
    }

    /// What the script prints with the programs in a directory.
    fn output(&self, programs: &Path) -> Result<String> {
        let place = tempfile::tempdir()?;
        let script = cargo::root().join("xtask/stdrules").join(format!("{}.sh", self.directory));
        let mut shell = Command::new("sh");
        let output = shell.arg(script).arg(programs).current_dir(place.path()).output()?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // Two programs that do not start would say the same.
        if text.lines().count() < 10 {
            bail!(
                "the script with {} says too little\n{text}\n{}",
                programs.display(),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(text)
    }
}

fn succeed(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    }
    Ok(())
}
