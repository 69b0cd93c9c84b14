//! `cargo xtask bench remote`: the cost of a remote cache.
//!
//! One project is built from nothing: without a cache, with an empty cache to which results are stored, and with a full
//! cache; each also with a network delay. What the cache costs is the difference to the build without it, and for each
//! action the number of calls. Runs are interleaved, medians compared.

use super::{Common, Runs, Server};
use crate::{
    bench::{
        graph::{Graph, Shape},
        rival::Rival,
    },
    cargo,
};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use taut_testkit::Proxy;

struct Options {
    common: Common,
    jobs: usize,
}

/// What is measured, in this order.
// Each phase needs what the one before has left at the server.
const PHASES: [&str; 4] = ["without", "store", "take", "take, far"];

/// Measures and prints; `args` are the words behind `bench remote`.
///
/// # Errors
///
/// If the words are wrong, or taut or the server cannot be built or fail.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    let taut = Rival::Targets("taut", cargo::taut(true)?);
    let mut rows = Vec::new();
    for &size in &options.common.sizes {
        rows.extend(one(&taut, &Graph::new(Shape::Wide, size), &options)?);
    }
    let round_trip = options.common.round_trip.as_millis() as u64;
    options.common.report(&json!({"jobs": options.jobs, "round_trip_ms": round_trip, "rows": rows}))
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options { common: Common::new(&[1_000, 10_000]), jobs: 2 };
    let mut words = args.iter();
    while let Some(option) = words.next() {
        let mut value = || words.next().with_context(|| format!("{option} needs a value"));
        match option.as_str() {
            "--jobs" => options.jobs = value()?.parse().context("--jobs")?,
            _ if options.common.take(option, value)? => {}
            other => bail!(
                "unknown option {other}: options are --json FILE, --quick, --size N, --rounds N, --jobs N, --round-trip MS"
            ),
        }
    }
    Ok(options)
}

/// Measures one project; returns the rows of the report.
fn one(taut: &Rival, graph: &Graph, options: &Options) -> Result<Vec<Value>> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("cost");
    let mut runs: BTreeMap<usize, Runs> = BTreeMap::new();
    for round in 0..options.common.rounds {
        let mut server = Server::start(&[])?;
        let far = Proxy::delaying(server.address, options.common.round_trip / 2)?;
        for (phase, name) in PHASES.iter().enumerate() {
            // A directory and a build root of its own, as on a machine that has nothing.
            let dir = scratch.path().join(format!("{round}-{phase}"));
            taut.write(graph, &dir)?;
            let mut command = taut.command(&dir, options.jobs);
            match *name {
                "without" => {}
                "take, far" => drop(command.args(["--remote-cache", &far.address()])),
                _ => drop(command.args(["--remote-cache", &server.address.to_string()])),
            }
            command.args((*name == "store").then_some("--remote-cache-write"));
            runs.entry(phase).or_default().add(&command, &file, &mut server)?;
        }
    }
    let actions = graph.actions();
    println!(
        "\n{} {}, {actions} actions, -J {}, far: {} ms",
        graph.shape.name(),
        graph.size,
        options.jobs,
        options.common.round_trip.as_millis()
    );
    let mut rows = Vec::new();
    for (phase, name) in PHASES.iter().enumerate() {
        // In microseconds: the figures are milliseconds.
        let more = 1000.0 * (runs[&phase].cpu() - runs[&0].cpu()) / actions as f64;
        println!("  {name:10} {}  {more:+6.1} us to without", runs[&phase].line(actions));
        rows.push(runs[&phase].row(json!({"size": graph.size, "phase": name}), actions));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let of = |words: &[&str]| options(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let read = of(&["--jobs", "3", "--size", "5"]).unwrap();
        assert_eq!((read.jobs, read.common.sizes), (3, vec![5]));
        assert!(of(&["--other"]).err().unwrap().to_string().contains("unknown option --other"));
    }
}
