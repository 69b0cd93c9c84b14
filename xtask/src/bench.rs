//! `cargo xtask bench build`: the cost of builds, compared with `just` and `ninja`.
//!
//! Runs are interleaved (every tool once, then all again), so that a machine that gets slower
//! or faster in between does so for all; medians are compared. It prints figures and ratios; the
//! bars are with `bench incremental` and `bench analysis`. Only processor time is steady enough
//! on shared machines to be compared at all, and only within one run.

mod analysis;
mod descriptions;
mod engine;
mod exports;
mod graph;
pub(crate) mod incremental;
mod remote;
mod rival;
mod setup;

use crate::cargo;
use crate::measure::{self, Cost};
use anyhow::{Context as _, Result, bail};
use graph::{Graph, Shape};
use rival::Rival;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The phases, in this order, on one copy of the project.
const PHASES: [&str; 3] = ["cold", "null", "edit"];

struct Options {
    json: Option<PathBuf>,
    sizes: Vec<usize>,
    shapes: Vec<Shape>,
    rounds: Option<usize>,
    jobs: usize,
}

/// Measures and prints; `args` are the words behind `bench`.
///
/// # Errors
///
/// If the words are wrong, or taut cannot be built or fails.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if let Some((what, rest)) = args.split_first() {
        match what.as_str() {
            "analysis" => return analysis::run(rest),
            "engine" => return engine::run(rest),
            "exports" => return exports::run(rest),
            "remote" => return remote::cache(rest),
            "remote-execution" => return remote::execution(rest),
            "setup" => return setup::run(rest),
            "incremental" => return incremental::run(rest),
            // `build`, or a word that `options` refuses.
            _ => {}
        }
    }
    let options = options(args)?;
    // taut optimised, as it is installed; a debug build would measure something that is never used.
    let rivals = Rival::all(cargo::taut(true)?);
    for missing in Rival::missing(&rivals) {
        println!("{missing} is not installed here: left out");
    }
    let mut report = Vec::new();
    for shape in &options.shapes {
        for &size in &options.sizes {
            let graph = Graph::new(*shape, size);
            report.extend(one(&graph, &rivals, &options)?);
        }
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&json!({"jobs": options.jobs, "rows": report}))?;
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options {
        json: None,
        sizes: vec![1_000, 10_000],
        shapes: Shape::ALL.to_vec(),
        rounds: None,
        jobs: 2,
    };
    let Some((what, rest)) = args.split_first() else {
        bail!("bench build|analysis|engine|exports|incremental|remote|remote-execution|setup [OPTIONS]")
    };
    if what != "build" {
        bail!(
            "there is no benchmark {what}; there are: build, analysis, engine, exports, incremental, remote, remote-execution, setup"
        );
    }
    let mut words = rest.iter();
    while let Some(option) = words.next() {
        let mut value = || words.next().with_context(|| format!("{option} needs a value"));
        match option.as_str() {
            "--quick" => (options.sizes, options.rounds) = (vec![50], Some(1)),
            "--json" => options.json = Some(std::path::absolute(value()?)?),
            "--size" => options.sizes = vec![value()?.parse().context("--size")?],
            "--rounds" => options.rounds = Some(value()?.parse().context("--rounds")?),
            "--jobs" => options.jobs = value()?.parse().context("--jobs")?,
            "--shape" => {
                let name = value()?;
                let shape = Shape::named(name);
                options.shapes = vec![shape.with_context(|| format!("no shape {name}: {}", Shape::names()))?];
            }
            other => bail!(
                "unknown option {other}: options are --json FILE, --quick, --size N, --shape S, --rounds N, --jobs N"
            ),
        }
    }
    if options.rounds == Some(0) {
        bail!("--rounds must be at least 1");
    }
    Ok(options)
}

/// Measures one graph with all tools; returns the rows of the report.
fn one(graph: &Graph, rivals: &[Rival], options: &Options) -> Result<Vec<Value>> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("cost");
    let mut costs: BTreeMap<(usize, usize), Vec<Cost>> = BTreeMap::new();
    println!("\n{} {}, {} actions, -J {}", graph.shape.name(), graph.size, graph.actions(), options.jobs);
    // Long runs vary less, so a median of fewer is enough.
    let rounds = options.rounds.unwrap_or(if graph.actions() > 2_000 { 3 } else { 5 });
    for round in 0..rounds {
        for (number, rival) in rivals.iter().enumerate() {
            let dir = scratch.path().join(format!("{}-{round}", rival.name()));
            rival.write(graph, &dir)?;
            for (phase, name) in PHASES.iter().enumerate() {
                if *name == "edit" {
                    graph.edit(&rival.source(&dir), round)?;
                }
                // The first phase finds nothing, the second what the first left: their order is what makes them
                // phases.
                let cost = measure::cost(&rival.command(&dir, options.jobs), &file)?;
                costs.entry((phase, number)).or_default().push(cost);
            }
            // Nothing is removed before the end: on some file systems (ext4) creating inodes is slow for minutes after
            // others were freed, which would be charged to the next tool.
        }
    }
    let mut rows = Vec::new();
    for (phase, name) in PHASES.iter().enumerate() {
        let median_of =
            |number: usize, f: fn(&Cost) -> f64| median(costs[&(phase, number)].iter().map(f).collect());
        for (number, rival) in rivals.iter().enumerate() {
            let cpu = median_of(number, |c| c.cpu);
            let wall = median_of(number, |c| c.wall);
            let peak = median_of(number, |c| c.peak);
            let (user, system) = (median_of(number, |c| c.user), median_of(number, |c| c.system));
            let mut row = json!({
                "graph": graph.shape.name(), "size": graph.size, "actions": graph.actions(),
                "phase": name, "tool": rival.name(),
                "cpu_ms": cpu, "user_ms": user, "system_ms": system, "wall_ms": wall, "peak_kib": peak,
            });
            let mut line = format!(
                "  {name:5} {:6} cpu {cpu:9.1} ms (user {user:8.1}, system {system:8.1})  wall {wall:9.1} ms  peak {:7.1} MiB",
                rival.name(),
                peak / 1024.0
            );
            for (other, against) in rivals.iter().enumerate().filter(|(o, _)| *o != number) {
                // Never divided by zero: almost nothing counts as a hundredth of a millisecond.
                let ratio = cpu / median_of(other, |c| c.cpu).max(0.01);
                row[format!("cpu_per_{}", against.name())] = json!(ratio);
                if number == 0 {
                    line += &format!("  {ratio:.2} x {}", against.name());
                }
            }
            println!("{line}");
            rows.push(row);
        }
    }
    Ok(rows)
}

fn median(mut numbers: Vec<f64>) -> f64 {
    // A total order also for NaN, which a division by zero may leave.
    numbers.sort_by(f64::total_cmp);
    let half = numbers.len() / 2;
    if numbers.len() % 2 == 1 { numbers[half] } else { f64::midpoint(numbers[half - 1], numbers[half]) }
}

#[cfg(test)]
mod tests {
    use super::{median, options};

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let parse = |words: &str| options(&words.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let quick = parse("build --quick --jobs 3").unwrap();
        assert_eq!((quick.sizes.as_slice(), quick.rounds, quick.jobs), ([50].as_slice(), Some(1), 3));
        for (words, complaint) in [
            ("built", "there is no benchmark built"),
            ("build --rounds 0", "at least 1"),
            ("build --size", "--size needs a value"),
            ("build --slow", "unknown option --slow"),
        ] {
            let error = parse(words).err().unwrap();
            assert!(format!("{error:#}").contains(complaint), "{error:#}");
        }
    }

    #[test]
    fn a_median_is_the_middle_value_or_the_mean_of_the_two_middle_ones() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]).to_bits(), 2.0_f64.to_bits());
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]).to_bits(), 2.5_f64.to_bits());
    }
}
