//! `cargo xtask soak`: the long versions of tests whose short ones run with every change.

use crate::{cargo, diff};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use taut_testkit::Tool;

/// The factor by which the counts of a short run are multiplied: two hundred kills.
const SOAK_FACTOR: &str = "50";

/// The factor for the engine: a million random programs, tens of thousands of kill points and flipped bits.
const ENGINE_FACTOR: &str = "1000";

/// The factor for the schedules of its threads: a short run has some hundred for each test.
const SCHEDULES_FACTOR: &str = "20";

/// The path of the report of the last run: JSON, a number for each kind of case.
///
/// # Errors
///
/// If cargo does not report its target directory.
pub(crate) fn report_path() -> Result<PathBuf> {
    let metadata = cargo::metadata(false)?;
    let target = metadata["target_directory"].as_str().context("cargo metadata has no target directory")?;
    Ok(PathBuf::from(target).join("soak.json"))
}

/// The tests of the engine, optimised, since there are very many; records their number.
fn engine() -> Result<()> {
    let factor = std::env::var("TAUT_SOAK_ENGINE").unwrap_or_else(|_| ENGINE_FACTOR.to_owned());
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
        // Other flags mean other build results: in a directory of their own, so that the usual ones are kept.
        .args(["--target-dir", "target/shuttle"])
        .env("RUSTFLAGS", "--cfg shuttle")
        .env("TAUT_SOAK", SCHEDULES_FACTOR)
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

/// Tests of the `unsafe` code (`sys`, a few system calls) under the address sanitizer, which only nightly compilers
/// have.
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
        // With an explicit target, build scripts and procedural macros are not sanitized.
        .args(["--target", &format!("{}-unknown-linux-gnu", std::env::consts::ARCH)])
        .args(["--target-dir", "target/sanitized"])
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .status()?;
    if !status.success() {
        bail!("tests of sys fail under the address sanitizer");
    }
    Ok(())
}

/// The tests of what goes wrong with servers, a thousand seeds each: builds of both protocols and with a cache, through
/// the proxy with faults, with servers that answer badly or lose contents, and with a full disk here.
const SERVERS_SEEDS: u64 = 1_000;

/// Runs the tests of what goes wrong with servers; `args`: how many seeds, and which of the tests.
///
/// # Errors
///
/// If one fails.
fn servers(args: &[String]) -> Result<()> {
    let (seeds, only) = match args {
        [seeds, only @ ..] => {
            (seeds.parse().with_context(|| format!("not a number of seeds: {seeds}"))?, only)
        }
        [] => (SERVERS_SEEDS, args),
    };
    let first = std::env::var("TAUT_SEED").unwrap_or_else(|_| "0".to_owned());
    println!("== what goes wrong with servers: {seeds} seeds from {first} on");
    // Optimised, as most of what is not waiting is the work of taut. One test after the other: each runs many cases at
    // once.
    let status = cargo::cargo()
        .args(["test", "--release", "--package", "taut", "--locked"])
        .args([
            "--test",
            "remote_execution",
            "--test",
            "remote_cache",
            "--",
            "--test-threads",
            "1",
            "--nocapture",
        ])
        .args(only)
        .args(only.is_empty().then_some("faults::"))
        .env("TAUT_SEEDS", seeds.to_string())
        .status()?;
    if !status.success() {
        bail!("tests fail");
    }
    Ok(())
}

/// Runs the long tests; `TAUT_SOAK` overrides the factor of the counts.
///
/// # Errors
///
/// If one fails.
pub(crate) fn run(args: &[String]) -> Result<()> {
    match args {
        [] => {}
        [word, rest @ ..] if word == "servers" => return servers(rest),
        [other, ..] => bail!("unknown word {other}: only `servers [SEEDS [TEST…]]`"),
    }
    let factor = std::env::var("TAUT_SOAK").unwrap_or_else(|_| SOAK_FACTOR.to_owned());
    // The engine first: it is below all others, and its tests are the most.
    engine()?;
    sanitized()?;
    println!("== every test that knows TAUT_SOAK, {factor} times its counts");
    let status = cargo::cargo()
        .args(["test", "--workspace", "--exclude", "taut-engine", "--locked"])
        .env("TAUT_SOAK", &factor)
        // Read by property tests.
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
