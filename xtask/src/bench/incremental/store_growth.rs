//! A check that the store does not grow without bound when a project is built often.

use super::super::graph::Shape;
use super::super::rival::Rival;
use super::{Bench, Options, disk};
use anyhow::Result;
use serde_json::{Value, json};
use std::path::Path;

/// The size of the store after many edits of a small project, each followed by a build.
pub(super) fn measure(taut: &Rival, options: &Options, report: &mut Vec<Value>) -> Result<()> {
    // A small project: growth shows in the number of builds, not in the size of one.
    const SIZE: usize = 200;
    let options = Options { rounds: 1, ..options.clone() };
    let rivals = [taut];
    let mut bench = Bench::new(Shape::Layered, SIZE, &rivals, &options)?;
    let dir = bench.dir(taut);
    taut.write(&bench.graph, &dir)?;
    bench.build(taut, &dir, &[])?;
    let each =
        |dir: &Path| -> Result<f64> { Ok(disk::size_of(&dir.join("build-root/taut"))? as f64 / SIZE as f64) };
    println!("\nthe store over {} edits of a project of {SIZE} targets, bytes a target", options.edits);
    println!("  at first  {:6.0}", each(&dir)?);
    let (mut rng, source) = (taut_testkit::Rng::new(1), taut.source(&dir));
    for edit in 1..=options.edits {
        match rng.below(5) {
            0 => bench.graph.touch(&source)?,
            1 => bench.graph.restore(&source)?,
            2 => bench.graph.edit(&source, edit)?,
            3 => bench.graph.revise(&source, edit)?,
            _ => {
                // Twenty commands in turn, so that some come back: what is kept of earlier ones is
                // bounded, and that bound is looked at.
                bench.graph.note(&format!(": {}", rng.below(20)));
                bench.graph.describe(&source, false)?;
            }
        }
        bench.build(taut, &dir, &[])?;
        // Doubling intervals: a store that grows without bound shows as lines that keep growing.
        if edit.is_power_of_two() || edit == options.edits {
            let bytes = each(&dir)?;
            println!("  {edit:8}  {bytes:6.0}");
            report.push(json!({"phase": "bounded", "edits": edit, "bytes_per_target": bytes}));
        }
    }
    Ok(())
}
