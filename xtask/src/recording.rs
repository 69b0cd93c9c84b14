//! The picture in the README: the first calls of a new user, recorded on a terminal.

use std::fs;

use anyhow::{Context as _, Result};
use taut_testkit::terminal::first_steps;

use crate::cargo;

/// Records the calls with an optimised binary, and writes the picture.
pub(crate) fn run() -> Result<()> {
    let steps = first_steps(&cargo::taut(true)?).context("the calls of the recording")?;
    let path = cargo::root().join("docs/first-steps.svg");
    fs::write(&path, steps.picture())?;
    println!("{}\nwritten: {}", steps.screen().text(), path.display());
    Ok(())
}
