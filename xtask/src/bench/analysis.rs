//! `cargo xtask bench analysis`: the cost of analysing a project without cached state, compared with `just`.
//!
//! Every run has a local build root of its own, so that no run finds results of an earlier one; writing results for
//! later runs is part of the cost, and a run without it shows how much. Runs are interleaved and medians compared, as
//! for builds. Bars are the goals of the project: they are printed beside the figures, with whether they are met.

use super::descriptions::Workload;
use super::median;
use crate::cargo;
use crate::measure::{self, Cost};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use taut_testkit::Tool;

/// Processor time, as a part of that of `just`.
const CPU_BAR: f64 = 0.2;
/// Peak memory, as a part of that of `just`.
const PEAK_BAR: f64 = 0.25;
/// Wall time, as a part of that of `just`.
const WALL_BAR: f64 = 1.0;

struct Options {
    json: Option<PathBuf>,
    workloads: Vec<Workload>,
    rounds: Option<usize>,
    /// Where to write the projects, if they are not to be measured.
    write: Option<PathBuf>,
}

/// One variant of the analysis.
struct Variant {
    name: &'static str,
    tool: PathBuf,
    arguments: &'static [&'static str],
}

/// Measures and prints; `args` are the words behind `bench analysis`.
///
/// # Errors
///
/// If the words are wrong, or taut cannot be built or fails.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    if let Some(dir) = &options.write {
        // For other measurements of the same projects, with a profiler for example.
        return options.workloads.iter().try_for_each(|workload| workload.write(&dir.join(workload.name())));
    }
    let taut = cargo::taut(true)?;
    let variant = |name, tool: &Path, arguments| Variant { name, tool: tool.to_path_buf(), arguments };
    let mut variants = vec![
        variant("taut -J1", &taut, ["-J", "1"].as_slice()),
        variant("taut -J2", &taut, &["-J", "2"]),
        // Without records: the difference to the first variant is what recording costs.
        variant("taut -J1 --no-trace", &taut, &["-J", "1", "--no-trace"]),
    ];
    match Tool::reference() {
        Some(just) => variants.extend([
            variant("just -J1", just.path(), ["-J", "1"].as_slice()),
            variant("just -J2", just.path(), &["-J", "2"]),
        ]),
        None => println!("just is not installed here: left out"),
    }
    let mut report = Vec::new();
    for workload in &options.workloads {
        report.extend(one(*workload, &variants, &options)?);
    }
    if let Some(path) = &options.json {
        let bars = json!({"cpu_per_just": CPU_BAR, "peak_per_just": PEAK_BAR, "wall_per_just": WALL_BAR});
        let text = serde_json::to_string_pretty(&json!({"bars": bars, "rows": report}))?;
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options { json: None, workloads: Workload::ALL.to_vec(), rounds: None, write: None };
    let mut words = args.iter();
    while let Some(option) = words.next() {
        let mut value = || words.next().with_context(|| format!("{option} needs a value"));
        match option.as_str() {
            "--quick" => (options.workloads, options.rounds) = (vec![Workload::Layered(1_000)], Some(1)),
            "--json" => options.json = Some(std::path::absolute(value()?)?),
            "--write" => options.write = Some(std::path::absolute(value()?)?),
            "--rounds" => options.rounds = Some(value()?.parse().context("--rounds")?),
            "--workload" => {
                let name = value()?;
                let found = Workload::ALL.into_iter().find(|workload| workload.name() == name);
                let names = Workload::ALL.map(Workload::name).join(", ");
                options.workloads = vec![found.with_context(|| format!("no workload {name}: {names}"))?];
            }
            other => bail!(
                "unknown option {other}: options are --json FILE, --quick, --workload W, --rounds N, --write DIR"
            ),
        }
    }
    if options.rounds == Some(0) {
        bail!("--rounds must be at least 1");
    }
    Ok(options)
}

/// Measures one project in all variants; returns the rows of the report.
fn one(workload: Workload, variants: &[Variant], options: &Options) -> Result<Vec<Value>> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("cost");
    let source = scratch.path().join("src");
    workload.write(&source)?;
    let mut costs: BTreeMap<usize, Vec<Cost>> = BTreeMap::new();
    // Long runs vary less, so a median of fewer is enough.
    let rounds = options.rounds.unwrap_or(if workload == Workload::Layered(100_000) { 3 } else { 5 });
    for round in 0..rounds {
        for (number, variant) in variants.iter().enumerate() {
            let mut command = Command::new(&variant.tool);
            // No lines about progress, which would be measured too.
            command.args(["analyse", "--log-limit", "1", "--local-build-root"]);
            command.arg(scratch.path().join(format!("build-root-{number}-{round}")));
            command.args(variant.arguments).current_dir(&source);
            costs.entry(number).or_default().push(measure::cost(&command, &file)?);
        }
    }
    println!("\n{}", workload.name());
    let of = |number: usize, f: fn(&Cost) -> f64| median(costs[&number].iter().map(f).collect());
    let mut rows = Vec::new();
    for (number, variant) in variants.iter().enumerate() {
        let (cpu, wall, peak) = (of(number, |c| c.cpu), of(number, |c| c.wall), of(number, |c| c.peak));
        let (user, system) = (of(number, |c| c.user), of(number, |c| c.system));
        let mut row = json!({
            "workload": workload.name(), "variant": variant.name, "cpu_ms": cpu, "user_ms": user, "system_ms": system,
            "wall_ms": wall, "peak_kib": peak,
        });
        let mut line = format!(
            "  {:19} cpu {cpu:8.1} ms (user {user:8.1}, system {system:8.1})  wall {wall:8.1} ms  peak {:7.1} MiB",
            variant.name,
            peak / 1024.0
        );
        // taut is compared with `just` on the same number of threads.
        let threads = variant.arguments[1];
        let rival = variants
            .iter()
            .position(|other| other.name.starts_with("just") && other.arguments[1] == threads)
            .filter(|_| variant.name.starts_with("taut"));
        if let Some(rival) = rival {
            let (cpu, wall) = (cpu / of(rival, |c| c.cpu), wall / of(rival, |c| c.wall));
            let peak = peak / of(rival, |c| c.peak);
            line += "  per just:";
            let ratios = [("cpu", cpu, CPU_BAR), ("wall", wall, WALL_BAR), ("peak", peak, PEAK_BAR)];
            for (name, ratio, bar) in ratios {
                row[format!("{name}_per_just")] = json!(ratio);
                row[format!("{name}_reached")] = json!(ratio <= bar);
                let verdict = if ratio <= bar { "reached" } else { "NOT reached" };
                line += &format!(" {name} {ratio:.3} (bar {bar}, {verdict})");
            }
        }
        println!("{line}");
        rows.push(row);
    }
    Ok(rows)
}
