//! `cargo xtask soak`: the long versions of tests whose short ones run with every change.

use crate::{cargo, diff};
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;
use taut_testkit::Tool;

/// How many times the counts of a short run: two hundred kills.
const FACTOR: &str = "50";

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

/// Runs them; `TAUT_SOAK` overrides the factor by which counts are multiplied.
///
/// # Errors
///
/// If one fails.
pub(crate) fn run() -> Result<()> {
    let factor = std::env::var("TAUT_SOAK").unwrap_or_else(|_| FACTOR.to_owned());
    println!("== every test that knows TAUT_SOAK, {factor} times its counts");
    let status = cargo::cargo()
        .args(["test", "--workspace", "--locked"])
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
    println!("== random projects beside the reference");
    diff::run(&["--cases".to_owned(), "2000".to_owned()])
}
