//! `cargo xtask bench incremental`: the cost of builds and incremental builds, by kind of change, compared with `just`,
//! `ninja`, n2 and a bare `statx` loop.
//!
//! Every round begins with new copies of the graph, one for each tool: a cold build and ten edits (`series`). The
//! copies of the last round are kept through all other phases; a phase changes all copies in the same way, then every
//! tool builds once, then all again (interleaved, each time beginning with another tool). Medians of processor time are
//! compared; the bars, and whether they are met, are printed at the end of each graph.

mod bars;
mod disk;
mod options;
mod phase;
mod rows;
mod series;
mod step;
mod store_growth;
mod syscalls;
mod watch;

use super::graph::{Graph, Shape};
use super::median;
use super::rival::Rival;
use crate::cargo;
use crate::measure::{self, Cost};
use anyhow::{Context as _, Result, bail};
use options::Options;
use phase::Phase;
use rows::{Measured, Rows, STATX};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The size from which on one round is enough, and the reference would take too long.
const ONE_ROUND_SIZE: usize = 100_000;

/// The report for programs.
#[derive(Default)]
struct Report {
    rows: Vec<Value>,
    bars: Vec<Value>,
}

/// Measures and prints; `args` are the words behind `bench incremental`.
///
/// # Errors
///
/// If the words are wrong, or taut cannot be built or fails.
pub(super) fn run(args: &[String]) -> Result<()> {
    let options = Options::parse(args)?;
    let mut rivals = Rival::all(cargo::taut(true)?);
    for missing in Rival::missing(&rivals) {
        println!("{missing} is not installed here: left out");
    }
    rivals.retain(|rival| rival.name() == "taut" || !options.without.iter().any(|name| name == rival.name()));
    let mut report = Report::default();
    for &shape in &options.shapes {
        for &size in &options.sizes {
            let at_all = |rival: &&Rival| size < ONE_ROUND_SIZE || rival.name() != "just";
            let rivals: Vec<&Rival> = rivals.iter().filter(at_all).collect();
            Bench::new(shape, size, &rivals, &options)?.run(&mut report)?;
        }
    }
    if options.edits > 0 {
        store_growth::measure(&rivals[0], &options, &mut report.rows)?;
    }
    if let Some(path) = &options.json {
        let report = json!({"jobs": options.jobs, "bars": report.bars, "rows": report.rows});
        let text = serde_json::to_string_pretty(&report)?;
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// One graph, all tools.
struct Bench<'o> {
    graph: Graph,
    /// taut first.
    rivals: &'o [&'o Rival],
    options: &'o Options,
    rounds: usize,
    scratch: tempfile::TempDir,
    /// The number of the copies that are built.
    copy: usize,
    /// The number of changes so far: each change is a different one, except where a phase repeats one.
    changes: usize,
}

impl<'o> Bench<'o> {
    fn new(shape: Shape, size: usize, rivals: &'o [&'o Rival], options: &'o Options) -> Result<Self> {
        let mut graph = Graph::new(shape, size);
        graph.configure();
        let rounds = if size < ONE_ROUND_SIZE { options.rounds } else { 1 };
        let scratch = tempfile::tempdir()?;
        Ok(Self { graph, rivals, options, rounds, scratch, copy: 0, changes: 0 })
    }

    fn dir(&self, rival: &Rival) -> PathBuf {
        self.scratch.path().join(format!("{}-{}", rival.name(), self.copy))
    }

    /// The tools in the order of this round: each round begins with another one.
    fn order(&self, round: usize) -> impl Iterator<Item = &'o Rival> + use<'o> {
        let rivals = self.rivals;
        // Rotated: whichever runs first in a round finds colder caches of the system.
        (0..rivals.len()).map(move |at| rivals[(at + round) % rivals.len()])
    }

    fn run(&mut self, report: &mut Report) -> Result<()> {
        let (shape, size, jobs) = (self.graph.shape, self.graph.size, self.options.jobs);
        let actions = self.graph.actions();
        println!("\n{} {size}, {actions} actions, -J {jobs}, medians of {}", shape.name(), self.rounds);
        let mut rows = Rows::default();
        for round in 0..self.rounds {
            self.series(round, &mut rows)?;
        }
        for phase in Phase::ALL.into_iter().filter(|phase| phase.is_of_series()) {
            self.print(phase, &rows);
        }
        // A single phase needs no further cold builds.
        if self.options.only.is_none() {
            self.shares(&rows, &mut report.rows)?;
        }
        for phase in Phase::ALL.into_iter().filter(|phase| !phase.is_of_series()) {
            // The other phases are compared with a null build.
            if self.options.wants(phase) || phase == Phase::Null {
                match self.impossible(phase) {
                    Some(why) => println!("  -- {}: {why}", phase.meaning()),
                    None => self.phase(phase, &mut rows)?,
                }
            }
        }
        if self.options.syscalls {
            self.syscalls(&mut report.rows)?;
        }
        if self.options.only.is_none() {
            self.watch(&mut report.rows)?;
            self.store(&mut report.rows)?;
        }
        let verdicts = bars::verdicts(shape, size, &rows);
        if !verdicts.is_empty() {
            println!("  -- bars, {} {size}", shape.name());
        }
        for verdict in verdicts {
            println!("{}", verdict.line());
            report.bars.push(verdict.report(shape.name(), size));
        }
        report.rows.extend(rows.report(shape.name(), size));
        Ok(())
    }

    fn print(&self, phase: Phase, rows: &Rows) {
        let lines = rows.lines(phase);
        if !lines.is_empty() {
            let cone = self
                .invalidated_count(phase)
                .map_or_else(String::new, |cone| format!("; it reaches {cone} actions"));
            println!("  -- {}{cone}", phase.meaning());
            lines.iter().for_each(|line| println!("{line}"));
        }
    }

    /// Why a phase cannot be measured here.
    fn impossible(&self, phase: Phase) -> Option<&'static str> {
        // The magic number of tmpfs (statfs(2)).
        const TMPFS: rustix::fs::FsWord = 0x0102_1994;
        let is_in_memory = || rustix::fs::statfs(self.scratch.path()).is_ok_and(|fs| fs.f_type == TMPFS);
        match phase {
            Phase::Uncached if is_in_memory() => Some("not measured in a directory that lies in memory"),
            // This phase waits for the disk.
            Phase::Uncached if self.options.quick => Some("not measured with --quick"),
            Phase::Rule if self.graph.shape != Shape::Layered => Some("measured on the layered graph"),
            _ => None,
        }
    }

    /// How many actions a change invalidates at most.
    fn invalidated_count(&self, phase: Phase) -> Option<usize> {
        match phase {
            Phase::Source | Phase::Tenth => Some(self.graph.cone_of_source()),
            Phase::Command => Some(self.graph.cone_of_command()),
            Phase::Revision => Some(self.graph.cone_of_revision()),
            Phase::Branch => Some(self.graph.cone_of_branch()),
            _ => None,
        }
    }

    /// One phase on the copies of the last round.
    fn phase(&mut self, phase: Phase, rows: &mut Rows) -> Result<()> {
        if phase == Phase::Rule {
            // Targets of another rule are different targets.
            self.graph.rule();
            for rival in self.rivals {
                self.one(phase, rival)?;
            }
        }
        if phase == Phase::Null {
            // The call after a build finishes its clean-up, whatever changed; that is not measured.
            for rival in self.rivals {
                self.one(phase, rival)?;
            }
        }
        let rounds = if phase.is_short() && !self.options.quick { self.rounds.max(5) } else { self.rounds };
        for round in 0..rounds {
            self.changes += 1;
            match phase {
                Phase::Command => self.graph.note(&format!(": {}", self.changes)),
                Phase::Added => self.graph.add(),
                Phase::Rule => self.graph.rule(),
                Phase::First => {
                    let probe = self.scratch.path().join("probe");
                    self.graph.note_reader(&format!(": > {}", probe.display()))?;
                }
                _ => {}
            }
            for rival in self.order(round) {
                if !phase.needs_store() || !matches!(rival, Rival::Ninja(..)) {
                    let built = self.one(phase, rival)?;
                    rows.add(phase, rival.name(), built);
                }
            }
            if phase == Phase::Null {
                rows.add(phase, STATX, (self.statx_loop()?, None));
            }
            // Every copy has been changed in the same way.
            if matches!(phase, Phase::Back | Phase::Fixed) {
                self.graph.note("");
            }
            if phase == Phase::First {
                self.graph.note_reader("")?;
            }
        }
        self.print(phase, rows);
        Ok(())
    }

    fn command(&self, rival: &Rival, dir: &Path, more: &[&str]) -> Result<Command> {
        let mut command = match rival {
            Rival::Targets(..) => {
                taut_command(rival, "build", dir, &dir.join("build-root"), self.options.jobs)?
            }
            Rival::Ninja(_, path) => {
                let mut command = Command::new(path);
                command.current_dir(rival.source(dir)).args(["-j", &self.options.jobs.to_string()]);
                command
            }
        };
        command.args(more);
        Ok(command)
    }

    fn cost(&self, command: &Command) -> Result<Cost> {
        measure::cost(command, &self.file())
    }

    fn file(&self) -> PathBuf {
        self.scratch.path().join("cost")
    }

    fn build(&self, rival: &Rival, dir: &Path, more: &[&str]) -> Result<Measured> {
        let cost = self.cost(&self.command(rival, dir, more)?)?;
        let log = fs::read_to_string(self.file().with_extension("log")).unwrap_or_default();
        Ok((cost, actions_run(&log)))
    }

    /// A bare `statx` loop over the files that a null build checks: the least that checking can cost.
    fn statx_loop(&self) -> Result<Cost> {
        // Paths from a file, so that making the list is not part of what is measured.
        let list = self.scratch.path().join("list");
        let root = self.rivals[0].source(&self.dir(self.rivals[0]));
        let paths: String =
            self.graph.files().iter().map(|path| format!("{}\n", root.join(path).display())).collect();
        fs::write(&list, paths)?;
        measure::statx_cost(&list, &self.file())
    }

    /// The size of the engine's files on disk.
    fn store(&self, report: &mut Vec<Value>) -> Result<()> {
        let own = self.dir(self.rivals[0]).join("build-root/taut");
        let cold = self.scratch.path().join("size");
        self.rivals[0].write(&self.graph, &cold)?;
        self.build(self.rivals[0], &cold, &[])?;
        let (after_all, after_cold) = (disk::size_of(&own)?, disk::size_of(&cold.join("build-root/taut"))?);
        // One action for each target.
        let each = |bytes: u64| bytes as f64 / self.graph.actions() as f64;
        println!(
            "  -- traces on disk: {:.0} bytes for a target with its action after a cold build (bar 600), {:.0} after all of the above",
            each(after_cold),
            each(after_all)
        );
        report.push(json!({
            "graph": self.graph.shape.name(), "size": self.graph.size, "phase": "store",
            "bytes_per_target": each(after_cold), "bytes_per_target_after_all": each(after_all),
        }));
        Ok(())
    }
}

/// A call of taut or of the reference.
fn taut_command(rival: &Rival, subcommand: &str, dir: &Path, root: &Path, jobs: usize) -> Result<Command> {
    let Rival::Targets(_, path) = rival else { bail!("{} has no subcommands", rival.name()) };
    let mut command = Command::new(path);
    command.current_dir(rival.source(dir)).arg(subcommand);
    command.args(["--log-limit", "3", "-J", &jobs.to_string(), "--local-build-root"]).arg(root);
    Ok(command)
}

/// How many actions a build ran, by its log.
fn actions_run(log: &str) -> Option<u64> {
    // Three forms of logs: of taut, of the reference, and of ninja and n2.
    if let Some((all, known)) = taut_testkit::processed(log) {
        return Some((all - known) as u64);
    }
    if let Some(at) = log.rfind("Processed ") {
        let mut numbers = log[at..].split(|c: char| !c.is_ascii_digit()).filter(|word| !word.is_empty());
        let (all, known): (u64, u64) = (numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?);
        return all.checked_sub(known);
    }
    if log.contains("no work to do") {
        return Some(0);
    }
    // [12/12] …
    let at = log.rfind('[')?;
    log[at + 1..].split('/').next()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::actions_run;

    #[test]
    fn the_number_of_actions_is_read_from_the_log_of_each_tool() {
        assert_eq!(actions_run("INFO: Processed 12 actions, 10 cache hits.\n"), Some(2));
        assert_eq!(actions_run("Built :t in 0.1 s: 2 actions run, 10 up to date\n"), Some(2));
        assert_eq!(actions_run("[1/3] a\n[3/3] b\n"), Some(3));
        assert_eq!(actions_run("ninja: no work to do.\n"), Some(0));
        assert_eq!(actions_run(""), None);
    }
}
