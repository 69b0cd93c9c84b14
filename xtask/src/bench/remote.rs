//! `cargo xtask bench remote`: the cost of a remote cache, with a server that answers from memory.
//!
//! One project is built from nothing without a cache; with one that has nothing, to which results are stored; with one that
//! has everything; and the same with a delay between both. What the cache costs is the difference to the build without it,
//! and for each action the number of calls. Runs are interleaved, medians compared.

use super::{
    graph::{Graph, Shape},
    median,
    rival::Rival,
};
use crate::{
    cargo,
    measure::{self, Cost},
};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};
use taut_testkit::Proxy;

struct Options {
    json: Option<PathBuf>,
    sizes: Vec<usize>,
    rounds: usize,
    jobs: usize,
    round_trip: Duration,
}

/// What is measured, in this order.
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
    for &size in &options.sizes {
        rows.extend(one(&taut, &Graph::new(Shape::Wide, size), &options)?);
    }
    if let Some(path) = &options.json {
        let report = json!({"jobs": options.jobs, "round_trip_ms": options.round_trip.as_millis() as u64, "rows": rows});
        fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options {
        json: None,
        sizes: vec![1_000, 10_000],
        rounds: 3,
        jobs: 2,
        round_trip: Duration::from_millis(50),
    };
    let mut words = args.iter();
    while let Some(option) = words.next() {
        let mut value = || words.next().with_context(|| format!("{option} needs a value"));
        match option.as_str() {
            "--quick" => (options.sizes, options.rounds) = (vec![50], 1),
            "--json" => options.json = Some(std::path::absolute(value()?)?),
            "--size" => options.sizes = vec![value()?.parse().context("--size")?],
            "--rounds" => options.rounds = value()?.parse().context("--rounds")?,
            "--jobs" => options.jobs = value()?.parse().context("--jobs")?,
            "--round-trip" => {
                options.round_trip = Duration::from_millis(value()?.parse().context("--round-trip")?);
            }
            other => bail!(
                "unknown option {other}: options are --json FILE, --quick, --size N, --rounds N, --jobs N, --round-trip MS"
            ),
        }
    }
    if options.rounds == 0 {
        bail!("--rounds must be at least 1");
    }
    Ok(options)
}

/// The server as a process of its own, so that its cost is not counted.
pub(super) struct Server {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    pub(super) address: SocketAddr,
}

impl Server {
    /// `words`: what it does, as `memory_server` reads it. `TAUT_MEMORY_SERVER` names a binary to use instead.
    pub(super) fn start(words: &[&str]) -> Result<Server> {
        let mut command = match std::env::var_os("TAUT_MEMORY_SERVER") {
            Some(binary) => Command::new(binary),
            None => Server::by_cargo(),
        };
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let questions = process.stdin.take().context("no standard input")?;
        let mut answers = BufReader::new(process.stdout.take().context("no standard output")?);
        let mut address = String::new();
        answers.read_line(&mut address)?;
        let address = address.trim().parse().context("the server did not start")?;
        Ok(Server { process, questions, answers, address })
    }

    fn by_cargo() -> Command {
        let mut command = cargo::cargo();
        command.args(["run", "--quiet", "--release", "-p", "taut-remote", "--features", "server"]);
        command.args(["--example", "memory_server", "--"]);
        command
    }

    /// How often each method was called since the last time.
    pub(super) fn calls(&mut self) -> Result<BTreeMap<String, u64>> {
        self.questions.write_all(b"calls\n")?;
        let mut answer = String::new();
        self.answers.read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It ends with its input, at the latest when it is killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Measures one project; returns the rows of the report.
fn one(taut: &Rival, graph: &Graph, options: &Options) -> Result<Vec<Value>> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("cost");
    let mut costs: BTreeMap<usize, Vec<Cost>> = BTreeMap::new();
    let mut calls: BTreeMap<usize, BTreeMap<String, u64>> = BTreeMap::new();
    for round in 0..options.rounds {
        let mut server = Server::start(&[])?;
        let far = Proxy::delaying(server.address, options.round_trip / 2)?;
        for (phase, name) in PHASES.iter().enumerate() {
            let dir = scratch.path().join(format!("{round}-{phase}"));
            taut.write(graph, &dir)?;
            let mut command = taut.command(&dir, options.jobs);
            match *name {
                "without" => {}
                "take, far" => drop(command.args(["--remote-cache", &far.address()])),
                _ => drop(command.args(["--remote-cache", &server.address.to_string()])),
            }
            command.args((*name == "store").then_some("--remote-cache-write"));
            costs.entry(phase).or_default().push(measure::cost(&command, &file)?);
            calls.insert(phase, server.calls()?);
        }
    }
    let actions = graph.actions() as f64;
    println!(
        "\n{} {}, {} actions, -J {}, far: {} ms",
        graph.shape.name(),
        graph.size,
        graph.actions(),
        options.jobs,
        options.round_trip.as_millis()
    );
    let of = |phase: usize, f: fn(&Cost) -> f64| median(costs[&phase].iter().map(f).collect());
    let mut rows = Vec::new();
    for (phase, name) in PHASES.iter().enumerate() {
        let (cpu, wall, peak) = (of(phase, |c| c.cpu), of(phase, |c| c.wall), of(phase, |c| c.peak));
        let total: u64 = calls[&phase].values().sum();
        println!(
            "  {name:10} cpu {cpu:8.1} ms ({:6.1} us an action, {:+6.1} us to without)  wall {wall:8.1} ms  peak {:7.1} MiB  {:.2} calls an action {:?}",
            1000.0 * cpu / actions,
            1000.0 * (cpu - of(0, |c| c.cpu)) / actions,
            peak / 1024.0,
            total as f64 / actions,
            calls[&phase]
        );
        rows.push(json!({
            "size": graph.size, "actions": graph.actions(), "phase": name, "cpu_ms": cpu, "wall_ms": wall,
            "peak_kib": peak, "calls": calls[&phase], "calls_per_action": total as f64 / actions,
        }));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let of = |words: &[&str]| options(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["--size", "3", "--round-trip", "7"]).unwrap().round_trip, Duration::from_millis(7));
        assert_eq!(of(&["--quick"]).unwrap().sizes, [50]);
        assert!(of(&["--rounds", "0"]).is_err());
        assert!(of(&["--other"]).err().unwrap().to_string().contains("unknown option --other"));
    }
}
