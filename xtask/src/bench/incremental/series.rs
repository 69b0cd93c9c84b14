//! The series at the beginning of every round, on new copies: a cold build, then ten edits of one source.
//!
//! Only new copies make the first edit a first one: otherwise tools would have recorded state of earlier ones.

use super::super::rival::Rival;
use super::phase::Phase;
use super::rows::Rows;
use super::{Bench, taut_command};
use crate::measure::Cost;
use anyhow::Result;
use serde_json::{Value, json};

/// How many edits follow each other.
// Enough to show a cost that grows with each edit, such as a file that is appended to.
const EDITS: usize = 10;

impl Bench<'_> {
    /// One round: new copies, built cold by every tool; then the edits. `self.copy` is the number of the copies.
    pub(super) fn series(&mut self, round: usize, rows: &mut Rows) -> Result<()> {
        self.copy = round;
        for rival in self.order(round) {
            rival.write(&self.graph, &self.dir(rival))?;
        }
        for rival in self.order(round) {
            rows.add(Phase::Cold, rival.name(), self.build(rival, &self.dir(rival), &[])?);
        }
        if self.options.wants(Phase::Analysis) {
            for rival in self.order(round) {
                if let Some(cost) = self.analysis(rival)? {
                    rows.add(Phase::Analysis, rival.name(), (cost, None));
                }
            }
        }
        if !self.options.wants(Phase::Source) && !self.options.wants(Phase::Tenth) {
            return Ok(());
        }
        for rival in self.rivals {
            // The call after a cold build finishes its clean-up; that is not measured.
            self.build(rival, &self.dir(rival), &[])?;
        }
        // All tools make the same edit before any makes the next, so that what slows the machine
        // down slows all down.
        for edit in 1..=EDITS {
            self.changes += 1;
            for rival in self.order(edit) {
                let dir = self.dir(rival);
                self.graph.edit(&rival.source(&dir), self.changes)?;
                let built = self.build(rival, &dir, &[])?;
                rows.add_edit(rival.name(), edit, &built.0);
                match edit {
                    1 => rows.add(Phase::Source, rival.name(), built),
                    EDITS => rows.add(Phase::Tenth, rival.name(), built),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Analysis without cached state; `None` for tools that have no analysis.
    fn analysis(&self, rival: &Rival) -> Result<Option<Cost>> {
        if matches!(rival, Rival::Ninja(..)) {
            return Ok(None);
        }
        let dir = self.dir(rival);
        let command = taut_command(rival, "analyse", &dir, &dir.join("analysis-root"), self.options.jobs)?;
        self.cost(&command).map(Some)
    }

    /// The part of a cold build that is spent on recording, and the memory that analysis takes.
    pub(super) fn shares(&self, rows: &Rows, report: &mut Vec<Value>) -> Result<()> {
        let taut = self.rivals[0];
        let dir = self.dir(taut);
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            // Interleaved, like all comparisons.
            for (all, more) in [(&mut with, &[][..]), (&mut without, &["--no-trace"][..])] {
                let root = self.scratch.path().join(format!("shares-{round}-{}", more.len()));
                let root = root.to_string_lossy();
                let more = [&["--local-build-root", &*root], more].concat();
                all.push(self.build(taut, &dir, &more)?.0.cpu);
            }
        }
        let share = 1.0 - super::median(without) / super::median(with);
        println!("           recording is {:.1} % of a cold build (bar 10 %)", share * 100.0);
        if let Some((analysis, _)) = rows.row(Phase::Analysis, "taut") {
            let per_target = analysis.peak * 1024.0 / self.graph.actions() as f64;
            println!("           analysis: peak of {per_target:.0} bytes a target (bar 3072)");
        }
        report.push(json!({
            "graph": self.graph.shape.name(), "size": self.graph.size, "phase": "cold shares",
            "recording": share,
        }));
        Ok(())
    }
}
