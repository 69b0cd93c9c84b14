//! `cargo xtask bench engine`: the engine beside salsa, Incremental, an LMDB scan and bare loops, by its goals.
//!
//! The peers are heavy, so what measures is a workspace of its own (`bench/engine`, with its own lock file) that
//! no check of the project compiles. This starts it, optimised.

use crate::{cargo, soak};
use anyhow::{Result, bail};

/// Compiles the measuring program and lets it run; `args` are its own.
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
