//! `cargo xtask soak`: the long versions of tests whose short ones run with every change.

use crate::{cargo, diff};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use taut_testkit::Tool;

/// How many times the counts of a short run: two hundred kills.
const FACTOR: &str = "50";

/// The same for the engine: a million random programs, tens of thousands of kill points and flipped bits.
const ENGINE: &str = "1000";

/// The same for the schedules of its threads: some hundred for each test otherwise.
const SCHEDULES: &str = "20";

/// Where the last run says how much it tried: JSON, a number for each kind of case.
///
/// # Errors
///
/// If cargo does not say where it writes.
pub(crate) fn report_path() -> Result<PathBuf> {
    let metadata = cargo::metadata(false)?;
    let target = metadata["target_directory"].as_str().context("cargo metadata has no target directory")?;
    Ok(PathBuf::from(target).join("soak.json"))
}

/// The tests of the engine, optimised, for there are very many; notes how many there were.
fn engine() -> Result<()> {
    let factor = std::env::var("TAUT_SOAK_ENGINE").unwrap_or_else(|_| ENGINE.to_owned());
    println!("== the tests of the engine, {factor} times their counts");
    let counts = tempfile::tempdir()?;
    let status = cargo::cargo()
        .args(["test", "--release", "--package", "taut-engine", "--locked"])
        .env("TAUT_SOAK", &factor)
        .env("TAUT_SOAK_REPORT", counts.path())
        .status()?;
    if !status.success() {
        bail!("tests of the engine fail");
    }
    println!("== the engine's threads under many schedules");
    let status = cargo::cargo()
        .args(["test", "--package", "taut-engine", "--locked", "--test", "schedules"])
        // Other flags, other results of compiling: beside the usual ones, not in place of them.
        .args(["--target-dir", "target/shuttle"])
        .env("RUSTFLAGS", "--cfg shuttle")
        .env("TAUT_SOAK", SCHEDULES)
        .status()?;
    if !status.success() {
        bail!("a schedule was found on which the engine fails");
    }
    let mut report = serde_json::Map::new();
    for entry in std::fs::read_dir(counts.path())? {
        let entry = entry?;
        let count: u64 = std::fs::read_to_string(entry.path())?.parse()?;
        println!("== {}: {count}", entry.file_name().display());
        report.insert(entry.file_name().to_string_lossy().into_owned(), count.into());
    }
    std::fs::write(report_path()?, serde_json::Value::Object(report).to_string())?;
    Ok(())
}

/// What is `unsafe` (`sys`, a few system calls), under the address sanitizer, which only nightly compilers have.
fn sanitized() -> Result<()> {
    let nightly = || {
        let mut cargo = std::process::Command::new("cargo");
        cargo.arg("+nightly");
        cargo
    };
    let is_there = nightly().arg("--version").output().is_ok_and(|output| output.status.success());
    if !is_there {
        println!("== no nightly toolchain here: nothing is run under the address sanitizer");
        return Ok(());
    }
    println!("== the tests of sys under the address sanitizer");
    let status = nightly()
        .args(["test", "--package", "taut-sys", "--locked"])
        // With a target named, what runs while compiling is not sanitized.
        .args(["--target", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH)])
        .args(["--target-dir", "target/sanitized"])
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .status()?;
    if !status.success() {
        bail!("tests of sys fail under the address sanitizer");
    }
    Ok(())
}

/// Runs them; `TAUT_SOAK` overrides the factor by which counts are multiplied.
///
/// # Errors
///
/// If one fails.
pub(crate) fn run() -> Result<()> {
    let factor = std::env::var("TAUT_SOAK").unwrap_or_else(|_| FACTOR.to_owned());
    engine()?;
    sanitized()?;
    println!("== every test that knows TAUT_SOAK, {factor} times its counts");
    let status = cargo::cargo()
        .args(["test", "--workspace", "--exclude", "taut-engine", "--locked"])
        .env("TAUT_SOAK", &factor)
        // Property tests read this one.
        .env("PROPTEST_CASES", "10000")
        .status()?;
    if !status.success() {
        bail!("tests fail");
    }
    if Tool::reference().is_none() {
        println!("== the reference is not installed here: no comparison with it");
        return Ok(());
    }
    println!("== random expressions beside the reference");
    diff::run(&["--expressions".to_owned(), "20000".to_owned()])?;
    println!("== random projects beside the reference");
    diff::run(&["--cases".to_owned(), "2000".to_owned()])
}
