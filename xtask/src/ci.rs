//! All checks that a change must pass, the quickest ones first.
//!
//! All checks run even if an early one fails: a report that names three problems saves two
//! rounds.

use crate::{cargo, tidy};
use anyhow::{Result, bail};
use std::time::Instant;

/// A name and the arguments of cargo.
type Step = (&'static str, &'static [&'static str]);

const STEPS: &[Step] = &[
    ("format", &["fmt", "--all", "--check"]),
    ("clippy", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("documentation", &["doc", "--workspace", "--no-deps", "--locked", "--document-private-items"]),
    ("tests", &["test", "--workspace", "--locked"]),
];

/// Runs every check, or those that `wanted` names, with the options that a build machine uses.
///
/// # Errors
///
/// If a name is not that of a check; if a check fails: the error names all that did.
pub(crate) fn run(wanted: &[String]) -> Result<()> {
    let names: Vec<_> = ["tidy"].into_iter().chain(STEPS.iter().map(|(name, _)| *name)).collect();
    if let Some(unknown) = wanted.iter().find(|name| !names.contains(&name.as_str())) {
        bail!("unknown check {unknown}; there are {}", names.join(", "));
    }
    let mut failed = Vec::new();
    let mut step = |name: &'static str, check: &mut dyn FnMut() -> Result<bool>| {
        if !wanted.is_empty() && !wanted.iter().any(|one| one == name) {
            return;
        }
        println!("== {name}");
        let start = Instant::now();
        match check() {
            Ok(true) => println!("== {name}: good, {:.0} s", start.elapsed().as_secs_f64()),
            Ok(false) => failed.push(name),
            Err(error) => {
                println!("{error:#}");
                failed.push(name);
            }
        }
    };
    step("tidy", &mut || tidy::run().map(|()| true));
    for (name, args) in STEPS {
        step(name, &mut || {
            let mut command = cargo::cargo();
            // `cargo doc` takes no option for it; a broken link would be only a warning.
            Ok(command.args(*args).env("RUSTDOCFLAGS", "-D warnings").status()?.success())
        });
    }
    if failed.is_empty() {
        println!("== all checks are good");
        Ok(())
    } else {
        bail!("failed: {}", failed.join(", "))
    }
}
