//! `cargo xtask soak`: the long versions of tests whose short ones run with every change.

use crate::{cargo, diff};
use anyhow::{Result, bail};
use taut_testkit::Tool;

/// How many times the counts of a short run: two hundred kills.
const FACTOR: &str = "50";

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
