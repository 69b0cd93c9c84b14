//! A real example, built with taut: the first of the two commands in the README.

use crate::cargo;
use anyhow::{Context as _, Result, bail};
use std::path::Path;
use std::process::Command;

/// Builds taut and with it `examples/hello`; installs the result below `target/demo` and runs the program that was
/// built. The build root is there, too, so that a second call shows cache hits.
pub(crate) fn run() -> Result<()> {
    let taut = cargo::taut(false)?;
    let place = cargo::root().join("target/demo");
    let example = cargo::root().join("examples/hello");
    let taut = |words: &[&str]| {
        println!("$ taut {}", words.join(" "));
        let mut command = Command::new(&taut);
        command
            .current_dir(&example)
            // The build root comes after the subcommand and before targets.
            .args(&words[..1])
            .arg("--local-build-root")
            .arg(place.join("build-root"))
            .args(&words[1..]);
        succeed(&mut command)
    };
    let out = place.join("installed");
    taut(&["test"])?;
    taut(&["install", "-o", &out.to_string_lossy()])?;
    let program = out.join("bin/hello");
    println!("$ {}", shown(&program));
    succeed(&mut Command::new(&program))?;
    println!("\nInstalled in {}; examples/hello/README.md says what to try next.", shown(&out));
    Ok(())
}

fn shown(path: &Path) -> String {
    path.strip_prefix(cargo::root()).unwrap_or(path).display().to_string()
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(())
}
