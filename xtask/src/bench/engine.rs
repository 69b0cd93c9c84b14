//! `cargo xtask bench engine`: the engine compared with salsa, Incremental, an LMDB scan and bare loops, by its goals.
//!
//! The peers have many dependencies, so the measuring program is a workspace of its own (`bench/engine`, with its own
//! lock file) that no check of the project compiles. This compiles it, optimised, and runs it.

use crate::{cargo, soak};
use anyhow::{Result, bail};

/// Compiles the measuring program and runs it; `args` are its own.
///
/// # Errors
///
/// If it does not compile, or fails.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let status = cargo::cargo()
        .args(["run", "--release", "--quiet", "--locked", "--manifest-path", "bench/engine/Cargo.toml", "--"])
        .arg("--soak-report")
        .arg(soak::report_path()?)
        .args(args)
        .status()?;
    if !status.success() {
        bail!("measuring the engine failed");
    }
    Ok(())
}
