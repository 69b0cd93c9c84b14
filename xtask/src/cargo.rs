//! Calls of cargo: the root of the repository, its packages, and the path of the binary.

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::path::PathBuf;
use std::process::Command;

/// The root of the repository this command was compiled from.
pub(crate) fn root() -> PathBuf {
    let mut root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    root.pop();
    root
}

/// cargo, to be run in the root of the repository.
pub(crate) fn cargo() -> Command {
    // The cargo that runs this command: another one might be of another toolchain.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// The output of `cargo metadata`, with all dependencies if `all`.
pub(crate) fn metadata(all: bool) -> Result<Value> {
    let mut command = cargo();
    command.args(["metadata", "--format-version", "1", "--locked"]);
    if !all {
        command.arg("--no-deps");
    }
    let output = command.output().context("cannot start cargo")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(serde_json::from_slice(&output.stdout)?)
}

/// Builds taut, optimised if `release`, and returns the path of the binary. The environment variable `TAUT` names
/// another binary to use instead.
pub(crate) fn taut(release: bool) -> Result<PathBuf> {
    if let Some(path) = std::env::var_os("TAUT") {
        return Ok(std::path::absolute(path)?);
    }
    let mut command = cargo();
    command.args(["build", "--quiet", "--package", "taut", "--bin", "taut"]);
    if release {
        command.arg("--release");
    }
    if !command.status()?.success() {
        bail!("taut does not compile");
    }
    let target = metadata(false)?["target_directory"]
        .as_str()
        .context("cargo metadata has no target directory")?
        .to_owned();
    let profile = if release { "release" } else { "debug" };
    Ok(PathBuf::from(target).join(profile).join("taut"))
}
