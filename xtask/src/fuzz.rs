//! `cargo xtask fuzz`: a coverage-guided fuzzer on one target, without further tools.
//!
//! A small part of `cargo fuzz`: coverage and address sanitizer through the compiler's flags, a corpus that grows in
//! `fuzz/grown` (ignored by git) beside the committed one. Inputs that fail are in `fuzz/artifacts`; a shrunk copy
//! should be added to `fuzz/corpus`.

use crate::cargo;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::process::Command;

const FLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares -Zsanitizer=address -Ccodegen-units=1 -Cdebug-assertions";

/// Runs the target named by the first word, for the number of seconds in the second (60).
///
/// # Errors
///
/// If there is no nightly compiler or no such target, or an input fails.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (target, seconds) = match args {
        [target] => (target, 60),
        [target, seconds] => (target, seconds.parse::<u64>().context("how many seconds")?),
        _ => bail!("fuzz TARGET [SECONDS]"),
    };
    let fuzz = cargo::root().join("fuzz");
    let (grown, artifacts) = (fuzz.join("grown").join(target), fuzz.join("artifacts"));
    fs::create_dir_all(&grown)?;
    fs::create_dir_all(&artifacts)?;
    let host = Command::new("rustc").arg("-vV").output().context("rustc")?;
    let host = String::from_utf8_lossy(&host.stdout).into_owned();
    // A target that is named, even this one, keeps the sanitizer away from build scripts and procedural macros.
    let host = host.lines().find_map(|line| line.strip_prefix("host: ")).context("a host")?;
    let mut command = Command::new("cargo");
    command.args(["+nightly", "run", "--release", "--target", host, "--bin", target, "--"]);
    command.arg(&grown).arg(fuzz.join("corpus").join(target));
    command.arg(format!("-max_total_time={seconds}")).arg("-timeout=20").arg("-max_len=8192");
    command.arg(format!("-artifact_prefix={}/{target}-", artifacts.display()));
    // A toolchain that was chosen for this command would be passed on.
    command.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env("RUSTFLAGS", FLAGS).current_dir(&fuzz);
    fs::create_dir_all(fuzz.join("corpus").join(target))?;
    if !command.status().context("cargo with a nightly toolchain")?.success() {
        bail!("{target} fails, or cannot be built");
    }
    Ok(())
}
