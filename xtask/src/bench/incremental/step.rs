//! The change of one copy before a build of it is measured, and that build.

use super::super::rival::Rival;
use super::phase::Phase;
use super::rows::Measured;
use super::{Bench, actions_run, disk};
use crate::measure::Cost;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

impl Bench<'_> {
    /// Changes one copy as the phase requires, and measures the build.
    pub(super) fn one(&mut self, phase: Phase, rival: &Rival) -> Result<Measured> {
        let (dir, number) = (self.dir(rival), self.changes);
        let (source, ninja) = (rival.source(&dir), matches!(rival, Rival::Ninja(..)));
        match phase {
            Phase::Null | Phase::Cold | Phase::Analysis | Phase::Tenth => {}
            Phase::Touched => self.graph.touch(&source)?,
            Phase::Source => self.graph.edit(&source, number)?,
            Phase::Command | Phase::Added => self.graph.describe(&source, ninja)?,
            Phase::Back => {
                self.graph.note("");
                self.graph.describe(&source, ninja)?;
                self.graph.restore(&source)?;
                self.build(rival, &dir, &[])?;
                self.graph.note(&format!(": back {number}"));
                self.graph.describe(&source, ninja)?;
                self.graph.edit(&source, number)?;
                self.build(rival, &dir, &[])?;
                self.graph.note("");
                self.graph.describe(&source, ninja)?;
                self.graph.restore(&source)?;
            }
            Phase::Configuration => {
                self.build(rival, &dir, &["-D", &format!("{{\"V\": \"{number}\"}}")])?;
            }
            Phase::Branch => {
                self.graph.switch(&source, None)?;
                self.build(rival, &dir, &[])?;
                self.graph.switch(&source, Some(number))?;
                self.build(rival, &dir, &[])?;
                self.graph.switch(&source, None)?;
            }
            Phase::Revision => self.graph.revise(&source, number)?,
            Phase::Fixed => {
                self.graph.note("false");
                self.graph.describe(&source, ninja)?;
                self.graph.edit(&source, number)?;
                // The build fails; how many actions run before is a matter of chance.
                let root = dir.join("build-root");
                let before = disk::cached_actions(&root)?;
                let failed = self.command(rival, &dir, &[])?.stdin(Stdio::null()).output()?;
                let log = [failed.stdout, failed.stderr].concat();
                let before_failure = actions_run(&String::from_utf8_lossy(&log));
                self.graph.note("");
                self.graph.describe(&source, ninja)?;
                let (cost, after) = self.build(rival, &dir, &[])?;
                // The other tools do not report how many actions a failed build ran.
                let ran = match ninja {
                    true => before_failure.unwrap_or(0) + after.unwrap_or(0),
                    false => disk::cached_actions(&root)? - before,
                };
                return Ok((cost, Some(ran)));
            }
            Phase::Rule => self.graph.describe(&source, ninja)?,
            Phase::First => {
                self.graph.describe(&source, ninja)?;
                self.build(rival, &dir, &[])?;
                self.graph.edit(&source, number)?;
                return self.first(rival, &dir);
            }
            Phase::Uncached => {
                self.build(rival, &dir, &[])?;
                disk::forget(&source)?;
                disk::forget(&dir.join("build-root/taut"))?;
            }
            Phase::Checkout => return self.checkout(rival, &dir),
        }
        self.build(rival, &dir, &[])
    }

    /// The wall time until the first action, which records the time at which it runs.
    fn first(&self, rival: &Rival, dir: &Path) -> Result<Measured> {
        let probe = self.scratch.path().join("probe");
        let _ = fs::remove_file(&probe);
        let begin = std::time::SystemTime::now();
        let (cost, ran) = self.build(rival, dir, &[])?;
        // The time of a file and not a message: the action itself leaves it, without a word to the tool.
        let began = fs::metadata(&probe).context("no action noted when it ran")?.modified()?;
        let wall = began.duration_since(begin).unwrap_or_default().as_secs_f64() * 1e3;
        Ok((Cost { wall, ..cost }, ran))
    }

    /// A new directory with the same sources, and the build root of the old one.
    fn checkout(&self, rival: &Rival, dir: &Path) -> Result<Measured> {
        let new = self.scratch.path().join(format!("{}-checkout-{}", rival.name(), self.changes));
        fs::create_dir_all(&new)?;
        // Without times, as a new checkout has them.
        let copied = Command::new("cp").arg("-R").arg(rival.source(dir)).arg(rival.source(&new)).status()?;
        if !copied.success() {
            bail!("cannot copy {}", dir.display());
        }
        let root = dir.join("build-root");
        self.build(rival, &new, &["--local-build-root", &root.to_string_lossy()])
    }
}
