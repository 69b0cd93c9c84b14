//! What servers cost their client, with one that answers from memory: a cache (`bench remote`), and execution (`bench
//! remote-execution`). Here is what both need: the server, common options, and the figures of runs of one kind.

mod cache;
mod execution;

use super::median;
use crate::{
    cargo,
    measure::{self, Cost},
};
use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

pub(super) use cache::run as cache;
pub(super) use execution::run as execution;

/// The options that both benchmarks have.
struct Common {
    json: Option<PathBuf>,
    sizes: Vec<usize>,
    rounds: usize,
    round_trip: Duration,
}

impl Common {
    fn new(sizes: &[usize]) -> Common {
        Common { json: None, sizes: sizes.to_vec(), rounds: 3, round_trip: Duration::from_millis(50) }
    }

    /// Takes an option that both have; returns whether it is one.
    fn take<'w>(&mut self, option: &str, mut value: impl FnMut() -> Result<&'w String>) -> Result<bool> {
        match option {
            "--quick" => (self.sizes, self.rounds) = (vec![50], 1),
            "--json" => self.json = Some(std::path::absolute(value()?)?),
            "--size" => self.sizes = vec![value()?.parse().context("--size")?],
            "--rounds" => self.rounds = value()?.parse().context("--rounds")?,
            "--round-trip" => {
                self.round_trip = Duration::from_millis(value()?.parse().context("--round-trip")?);
            }
            _ => return Ok(false),
        }
        anyhow::ensure!(self.rounds > 0, "--rounds must be at least 1");
        Ok(true)
    }

    /// Writes the report, if that is wanted.
    fn report(&self, report: &Value) -> Result<()> {
        let Some(path) = &self.json else { return Ok(()) };
        fs::write(path, serde_json::to_string_pretty(report)?).with_context(|| path.display().to_string())
    }
}

/// Runs of one kind: what they cost, and the calls of the last one.
#[derive(Default)]
struct Runs {
    costs: Vec<Cost>,
    calls: BTreeMap<String, u64>,
}

impl Runs {
    /// Makes another run.
    fn add(&mut self, command: &Command, file: &Path, server: &mut Server) -> Result<()> {
        self.costs.push(measure::cost(command, file)?);
        // Of the last run only: the calls do not vary as times do.
        self.calls = server.calls()?;
        Ok(())
    }

    fn of(&self, figure: fn(&Cost) -> f64) -> f64 {
        // Of medians one slow run, for a reason outside of the tool, changes nothing.
        median(self.costs.iter().map(figure).collect())
    }

    /// In milliseconds.
    fn cpu(&self) -> f64 {
        self.of(|cost| cost.cpu)
    }

    fn calls(&self) -> f64 {
        self.calls.values().sum::<u64>() as f64
    }

    fn line(&self, actions: usize) -> String {
        let actions = actions as f64;
        format!(
            "cpu {:7.1} us an action  wall {:8.1} ms  peak {:7.1} MiB  {:.2} calls an action {:?}",
            1000.0 * self.cpu() / actions,
            self.of(|cost| cost.wall),
            self.of(|cost| cost.peak) / 1024.0,
            self.calls() / actions,
            self.calls
        )
    }

    /// The figures as a row of the report, which begins with what they are about.
    fn row(&self, mut about: Value, actions: usize) -> Value {
        about["actions"] = actions.into();
        about["cpu_ms"] = self.cpu().into();
        about["wall_ms"] = self.of(|cost| cost.wall).into();
        about["peak_kib"] = self.of(|cost| cost.peak).into();
        about["calls"] = json!(self.calls);
        about["calls_per_action"] = (self.calls() / actions as f64).into();
        about
    }
}

/// The server as a process of its own, so that its cost is not counted.
struct Server {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
    address: SocketAddr,
}

impl Server {
    /// `words`: what it does, as `memory_server` reads it. `TAUT_MEMORY_SERVER` names a binary to use instead.
    fn start(words: &[&str]) -> Result<Server> {
        // On a build machine, the server may have been compiled before, by another step.
        let mut command = match std::env::var_os("TAUT_MEMORY_SERVER") {
            Some(binary) => Command::new(binary),
            None => Server::by_cargo(),
        };
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn()?;
        let questions = process.stdin.take().context("no standard input")?;
        let mut answers = BufReader::new(process.stdout.take().context("no standard output")?);
        let mut address = String::new();
        // The port is chosen by the system, so that runs at the same time do not collide.
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
    fn calls(&mut self) -> Result<BTreeMap<String, u64>> {
        // Over the pipes of the process and not over its network interface, whose calls are what is counted.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn common_options_are_read_and_wrong_values_named() {
        let of = |words: &[&str]| -> Result<Common> {
            let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            let (mut common, mut rest) = (Common::new(&[7]), words.iter());
            while let Some(option) = rest.next() {
                let value = || rest.next().with_context(|| format!("{option} needs a value"));
                assert!(common.take(option, value)?, "{option}");
            }
            Ok(common)
        };
        let read = of(&["--size", "3", "--round-trip", "9"]).unwrap();
        assert_eq!((read.sizes, read.round_trip, read.rounds), (vec![3], Duration::from_millis(9), 3));
        assert_eq!(of(&["--quick"]).unwrap().sizes, [50]);
        for (words, why) in [
            (&["--rounds", "0"][..], "--rounds must be at least 1"),
            (&["--size", "x"], "--size"),
            (&["--json"], "--json needs a value"),
        ] {
            assert!(of(words).err().unwrap().to_string().contains(why), "{why}");
        }
    }
}
