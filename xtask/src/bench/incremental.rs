//! `cargo xtask bench incremental`: what it costs to build again, by what changed, beside `just`, `ninja` and n2.
//!
//! Each tool has its copy of the graph and keeps it through all phases; a phase changes all copies in the same
//! way, then every tool builds once, then all again (interleaved). Medians of processor time are compared. The
//! bars are what the project wants to reach; they are printed beside the ratios, and no verdict is drawn.

mod bounded;
mod disk;
mod phase;

use super::graph::{Graph, Shape};
use super::median;
use super::rival::Rival;
use crate::cargo;
use crate::measure::{self, Cost};
use anyhow::{Context as _, Result, bail};
use phase::{Bar, Phase};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

#[derive(Clone)]
struct Options {
    json: Option<PathBuf>,
    sizes: Vec<usize>,
    shapes: Vec<Shape>,
    rounds: usize,
    jobs: usize,
    only: Option<String>,
    /// How many random edits the store has to bear; 0: not measured.
    edits: usize,
}

/// From here on, one round is enough, and the reference would take too long.
const LARGE: usize = 100_000;

/// How long watching may take altogether.
const PATIENCE: Duration = Duration::from_secs(300);

/// Measures and prints; `args` are what follows `bench incremental`.
///
/// # Errors
///
/// If the words are wrong, or taut cannot be built or fails.
pub(super) fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    let rivals = Rival::all(cargo::taut(true)?);
    for missing in Rival::missing(&rivals) {
        println!("{missing} is not installed here: left out");
    }
    let mut report = Vec::new();
    for &shape in &options.shapes {
        for &size in &options.sizes {
            let at_all = |rival: &&Rival| size < LARGE || rival.name() != "just";
            let rivals: Vec<&Rival> = rivals.iter().filter(at_all).collect();
            Bench::new(shape, size, &rivals, &options)?.run(&mut report)?;
        }
    }
    if options.edits > 0 {
        bounded::bounded(&rivals[0], &options, &mut report)?;
    }
    if let Some(path) = &options.json {
        let text = serde_json::to_string_pretty(&json!({"jobs": options.jobs, "rows": report}))?;
        fs::write(path, text).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn options(args: &[String]) -> Result<Options> {
    let (json, only) = Default::default();
    let (sizes, shapes) = (vec![1_000, 10_000], vec![Shape::Layered, Shape::Headers]);
    let mut options = Options { json, sizes, shapes, rounds: 3, jobs: 2, only, edits: 0 };
    let mut rest = args;
    while let [option, value, tail @ ..] = rest {
        rest = tail;
        match option.as_str() {
            "--json" => options.json = Some(std::path::absolute(value)?),
            "--size" => options.sizes = vec![value.parse()?],
            "--rounds" => options.rounds = value.parse()?,
            "--edits" => options.edits = value.parse()?,
            "--jobs" => options.jobs = value.parse()?,
            "--only" => options.only = Some(value.clone()),
            "--shape" => {
                let shape = Shape::named(value);
                options.shapes =
                    vec![shape.with_context(|| format!("no shape {value}: {}", Shape::names()))?];
            }
            other => bail!("unknown option {other}"),
        }
    }
    let known = |only: &String| Phase::ALL.iter().any(|phase| phase.name() == only);
    match rest {
        [] if options.rounds > 0 && options.only.iter().all(known) => Ok(options),
        [] => bail!("--rounds is at least 1, --only one of {}", Phase::ALL.map(Phase::name).join(", ")),
        other => {
            bail!(
                "{other:?}: options are --json FILE, --size N, --shape S, --rounds N, --jobs N, --only P, --edits N"
            )
        }
    }
}

/// One graph, all tools.
struct Bench<'o> {
    graph: Graph,
    rivals: &'o [&'o Rival],
    options: &'o Options,
    rounds: usize,
    scratch: tempfile::TempDir,
    /// How often something was changed: no change comes twice unless it is meant to.
    changes: usize,
}

/// A measured build, and how many actions it ran, if the tool tells.
type Measured = (Cost, Option<u64>);

impl<'o> Bench<'o> {
    fn new(shape: Shape, size: usize, rivals: &'o [&'o Rival], options: &'o Options) -> Result<Self> {
        let mut graph = Graph::new(shape, size);
        graph.configure();
        let rounds = if size < LARGE { options.rounds } else { 1 };
        Ok(Self { graph, rivals, options, rounds, scratch: tempfile::tempdir()?, changes: 0 })
    }

    fn dir(&self, rival: &Rival) -> PathBuf {
        self.scratch.path().join(rival.name())
    }

    fn run(&mut self, report: &mut Vec<Value>) -> Result<()> {
        let (shape, size, jobs) = (self.graph.shape.name(), self.graph.size, self.options.jobs);
        let actions = self.graph.actions();
        println!("\n{shape} {size}, {actions} actions, -J {jobs}, medians of {}", self.rounds);
        self.cold(report)?;
        let mut null: Option<f64> = None;
        for phase in Phase::ALL {
            if let Some(why) = self.impossible(phase) {
                println!("  -- {}: {why}", phase.meaning());
                continue;
            }
            // Others are compared with a null build.
            let asked = self.options.only.as_ref().is_none_or(|only| phase.name() == only);
            if asked || phase == Phase::Null {
                let cpu = self.phase(phase, null, report)?;
                null = null.or(Some(cpu));
            }
        }
        self.watch(report)?;
        self.store(report)
    }

    /// Everything from the beginning; what is recorded costs the difference to a build that records nothing.
    fn cold(&self, report: &mut Vec<Value>) -> Result<()> {
        let bars: &[Bar] = if self.graph.shape == Shape::C { &[("ninja", 1.05)] } else { &[("ninja", 1.3)] };
        let mut costs: BTreeMap<&str, Measured> = BTreeMap::new();
        for rival in self.rivals {
            rival.write(&self.graph, &self.dir(rival))?;
            costs.insert(rival.name(), self.build(rival, &self.dir(rival), &[])?);
        }
        self.tell("cold", bars, &costs, None, report);
        // Who wants to know one phase need not wait for more cold builds.
        if self.options.only.is_none() { self.cold_shares(report) } else { Ok(()) }
    }

    /// What a cold build is made of.
    fn cold_shares(&self, report: &mut Vec<Value>) -> Result<()> {
        let taut = self.rivals[0];
        let dir = self.scratch.path().join("shares");
        taut.write(&self.graph, &dir)?;
        let (mut with, mut without) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            for (all, more) in [(&mut with, &[][..]), (&mut without, &["--no-trace"][..])] {
                let root = dir.join(format!("root-{round}-{}", more.len()));
                let root = root.to_string_lossy();
                let more = [&["--local-build-root", &*root], more].concat();
                all.push(self.build(taut, &dir, &more)?.0.cpu);
            }
        }
        let share = 1.0 - median(without) / median(with);
        println!("           recording is {:.1} % of it (bar 10 %)", share * 100.0);
        let analysis =
            self.cost(taut_command(taut, "analyse", &dir, &dir.join("other-root"), self.options.jobs)?)?;
        let per_target = analysis.peak * 1024.0 / self.graph.actions() as f64;
        println!(
            "           analysis alone: cpu {:.1} ms, peak {:.1} MiB, {per_target:.0} bytes a target (bar 3072)",
            analysis.cpu,
            analysis.peak / 1024.0
        );
        report.push(json!({
            "graph": self.graph.shape.name(), "size": self.graph.size, "phase": "cold shares",
            "recording": share, "analysis_cpu_ms": analysis.cpu, "analysis_peak_kib": analysis.peak,
        }));
        Ok(())
    }

    /// Why a phase tells nothing here.
    fn impossible(&self, phase: Phase) -> Option<&'static str> {
        // The magic number of file systems in memory.
        const TMPFS: rustix::fs::FsWord = 0x0102_1994;
        let is_in_memory = || rustix::fs::statfs(self.scratch.path()).is_ok_and(|fs| fs.f_type == TMPFS);
        match phase {
            Phase::Uncached if is_in_memory() => Some("not measured in a directory that lies in memory"),
            Phase::Rule if self.graph.shape != Shape::Layered => Some("measured on the layered graph"),
            _ => None,
        }
    }

    /// How many actions a change reaches, at most.
    fn cone(&self, phase: Phase) -> Result<Option<usize>> {
        Ok(match phase {
            Phase::Source => Some(self.graph.cone_of_source()?),
            Phase::Command => Some(self.graph.cone_of_command()),
            Phase::Revision => Some(self.graph.cone_of_revision()),
            _ => None,
        })
    }

    /// One phase; returns what it costs taut.
    fn phase(&mut self, phase: Phase, null: Option<f64>, report: &mut Vec<Value>) -> Result<f64> {
        let mut costs: BTreeMap<&str, Vec<Measured>> = BTreeMap::new();
        if phase == Phase::Rule {
            // Targets of another rule are other targets.
            self.graph.rule();
            for rival in self.rivals {
                self.one(phase, rival)?;
            }
        }
        for _ in 0..self.rounds {
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
            for rival in self.rivals {
                if phase.needs_store() && matches!(rival, Rival::Ninja(..)) {
                    continue;
                }
                costs.entry(rival.name()).or_default().push(self.one(phase, rival)?);
            }
            if phase == Phase::Null {
                costs.entry("statx").or_default().push((self.look()?, None));
            }
            // What was done to one copy was done to all.
            if matches!(phase, Phase::Back | Phase::Mended) {
                self.graph.note("");
            }
            if phase == Phase::First {
                self.graph.note_reader("")?;
            }
        }
        let medians = costs.into_iter().map(|(name, all)| {
            let of = |f: fn(&Cost) -> f64| median(all.iter().map(|(cost, _)| f(cost)).collect());
            let cost = Cost { cpu: of(|c| c.cpu), wall: of(|c| c.wall), peak: of(|c| c.peak) };
            (name, (cost, all.iter().filter_map(|(_, ran)| *ran).max()))
        });
        let medians: BTreeMap<&str, Measured> = medians.collect();
        let cone = self.cone(phase)?.map_or_else(String::new, |cone| format!("; it reaches {cone} actions"));
        println!("  -- {}{cone}", phase.meaning());
        self.tell(phase.name(), phase.bars(self.graph.size), &medians, null, report);
        let taut = medians["taut"].0;
        if phase == Phase::Null {
            let bytes = (taut.peak * 1024.0 - 20e6) / (self.graph.actions() as f64);
            println!("           peak beyond 20 MB: {:.0} bytes an action (bar 100)", bytes.max(0.0));
        }
        Ok(taut.cpu)
    }

    /// Changes one copy as the phase has it, and measures the build.
    fn one(&mut self, phase: Phase, rival: &Rival) -> Result<Measured> {
        let (dir, number) = (self.dir(rival), self.changes);
        let (source, ninja) = (rival.source(&dir), matches!(rival, Rival::Ninja(..)));
        match phase {
            Phase::Null => {}
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
            Phase::Revision => self.graph.revise(&source, Some(number))?,
            Phase::Mended => {
                self.graph.note("false");
                self.graph.describe(&source, ninja)?;
                self.graph.edit(&source, number)?;
                // It fails. How far it comes is a matter of chance.
                let root = dir.join("build-root");
                let before = disk::cached_actions(&root)?;
                let failed = self.command(rival, &dir, &[])?.stdin(Stdio::null()).output()?;
                let said = [failed.stdout, failed.stderr].concat();
                let before_failure = actions_run(&String::from_utf8_lossy(&said));
                self.graph.note("");
                self.graph.describe(&source, ninja)?;
                let (cost, after) = self.build(rival, &dir, &[])?;
                // The others do not tell how many actions a failed build ran.
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

    /// The time until the action that notes when it runs, as wall time.
    fn first(&self, rival: &Rival, dir: &Path) -> Result<Measured> {
        let probe = self.scratch.path().join("probe");
        let _ = fs::remove_file(&probe);
        let begin = std::time::SystemTime::now();
        let (cost, ran) = self.build(rival, dir, &[])?;
        let began = fs::metadata(&probe).context("no action noted when it ran")?.modified()?;
        let wall = began.duration_since(begin).unwrap_or_default().as_secs_f64() * 1e3;
        Ok((Cost { wall, ..cost }, ran))
    }

    /// A new directory with the same sources, and the build root of the old one.
    fn checkout(&self, rival: &Rival, dir: &Path) -> Result<Measured> {
        let new = self.scratch.path().join(format!("{}-checkout-{}", rival.name(), self.changes));
        fs::create_dir_all(&new)?;
        let copied = Command::new("cp").arg("-R").arg(rival.source(dir)).arg(rival.source(&new)).status()?;
        if !copied.success() {
            bail!("cannot copy {}", dir.display());
        }
        let root = dir.join("build-root");
        self.build(rival, &new, &["--local-build-root", &root.to_string_lossy()])
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

    fn cost(&self, command: Command) -> Result<Cost> {
        measure::cost(&command, &self.file())
    }

    fn file(&self) -> PathBuf {
        self.scratch.path().join("cost")
    }

    fn build(&self, rival: &Rival, dir: &Path, more: &[&str]) -> Result<Measured> {
        let cost = self.cost(self.command(rival, dir, more)?)?;
        let log = fs::read_to_string(self.file().with_extension("log")).unwrap_or_default();
        Ok((cost, actions_run(&log)))
    }

    /// A bare look at every source file: what nobody who looks at them can be faster than.
    fn look(&self) -> Result<Cost> {
        let list = self.scratch.path().join("list");
        let root = self.rivals[0].source(&self.dir(self.rivals[0]));
        let paths: String =
            self.graph.sources().map(|path| format!("{}\n", root.join(path).display())).collect();
        fs::write(&list, paths)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("look").arg(list);
        self.cost(command)
    }

    fn tell(
        &self,
        phase: &str,
        bars: &[Bar],
        costs: &BTreeMap<&str, Measured>,
        null: Option<f64>,
        report: &mut Vec<Value>,
    ) {
        for (name, (cost, ran)) in costs {
            let ran_text = ran.map_or_else(String::new, |ran| format!("  {ran} run"));
            let mut line = format!(
                "  {phase:8} {name:6} cpu {:9.1} ms  wall {:9.1} ms  peak {:7.1} MiB{ran_text}",
                cost.cpu,
                cost.wall,
                cost.peak / 1024.0
            );
            let mut row = json!({
                "graph": self.graph.shape.name(), "size": self.graph.size, "phase": phase, "tool": name,
                "cpu_ms": cost.cpu, "wall_ms": cost.wall, "peak_kib": cost.peak, "run": ran,
            });
            let by_wall = phase == Phase::First.name();
            if *name == "taut" {
                let of = |cost: &Cost| if by_wall { cost.wall } else { cost.cpu };
                let taut = of(cost);
                let others = costs.iter().filter(|(other, _)| **other != "taut");
                let mut ratios: Vec<(&str, f64)> =
                    others.map(|(other, (cost, _))| (*other, taut / of(cost).max(0.01))).collect();
                ratios.extend(null.filter(|_| !by_wall).map(|null| ("null", taut / null.max(0.01))));
                for (other, ratio) in ratios {
                    let bar = bars.iter().find(|(name, _)| *name == other).map(|(_, bar)| *bar);
                    let bar_text = bar.map_or_else(String::new, |bar| format!(" (bar {bar})"));
                    line += &format!("  {ratio:.3} x {other}{bar_text}");
                    row[format!("cpu_per_{other}")] = json!(ratio);
                    row[format!("bar_{other}")] = json!(bar);
                }
            }
            println!("{line}");
            report.push(row);
        }
    }

    /// Rounds under `watch` after a source was touched: what they cost must not depend on the size.
    fn watch(&self, report: &mut Vec<Value>) -> Result<()> {
        const ROUNDS: u32 = 10;
        let (taut, dir) = (self.rivals[0], self.dir(self.rivals[0]));
        let mut command = taut_command(taut, "watch", &dir, &dir.join("build-root"), self.options.jobs)?;
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).stdin(Stdio::null()).spawn()?;
        let pid = rustix::process::Pid::from_child(&child);
        let over = Arc::new(AtomicBool::new(false));
        let (late, patience) = (over.clone(), Instant::now() + PATIENCE);
        // Whoever waits for a word that never comes is to be told so.
        let guard = thread::spawn(move || {
            while !late.load(Relaxed) && Instant::now() < patience {
                thread::sleep(Duration::from_millis(100));
            }
            if !late.load(Relaxed) {
                let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        });
        let mut lines = BufReader::new(child.stderr.take().context("no standard error")?).lines();
        let mut until = |text: &str| -> Result<()> {
            loop {
                let line = lines.next().context("watch ended")??;
                if line.contains(text) {
                    return Ok(());
                }
            }
        };
        until("Interrupt to end.")?;
        let before = cpu_of(child.id())?;
        let begin = Instant::now();
        for _ in 0..ROUNDS {
            self.graph.touch(&taut.source(&dir))?;
            until("known to the action cache")?;
        }
        let wall = begin.elapsed().as_secs_f64() * 1e3 / f64::from(ROUNDS);
        let cpu = (cpu_of(child.id())? - before) / f64::from(ROUNDS);
        rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
        child.wait()?;
        over.store(true, Relaxed);
        // It only sleeps.
        let _ = guard.join();
        println!("  -- a source touched under watch");
        println!(
            "  watch    taut   cpu {cpu:9.1} ms  wall {wall:9.1} ms a round (of {ROUNDS}; clock ticks of 10 ms)"
        );
        report.push(json!({
            "graph": self.graph.shape.name(), "size": self.graph.size, "phase": "watch", "tool": "taut",
            "cpu_ms": cpu, "wall_ms": wall,
        }));
        Ok(())
    }

    /// What traces take on disk.
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

/// How many actions a build ran, by what it said.
fn actions_run(log: &str) -> Option<u64> {
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

/// The processor time of a process and of those that it waited for, in milliseconds.
fn cpu_of(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let rest = &stat[stat.rfind(')').context("no name")? + 1..];
    let ticks: f64 = rest.split_whitespace().skip(11).take(4).filter_map(|n| n.parse::<f64>().ok()).sum();
    Ok(ticks * 10.0)
}

/// Looks at every path that a file lists: `xtask look FILE`, started by the benchmark itself.
///
/// # Errors
///
/// If the list cannot be read, or something in it is not there.
pub(crate) fn look(args: &[String]) -> Result<()> {
    let [file] = args else { bail!("look FILE") };
    for path in fs::read_to_string(file)?.lines() {
        fs::symlink_metadata(path).with_context(|| path.to_owned())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::actions_run;

    #[test]
    fn tools_say_how_many_actions_they_ran() {
        assert_eq!(actions_run("INFO: Processed 12 actions, 10 cache hits.\n"), Some(2));
        assert_eq!(actions_run("[1/3] a\n[3/3] b\n"), Some(3));
        assert_eq!(actions_run("ninja: no work to do.\n"), Some(0));
        assert_eq!(actions_run(""), None);
    }
}
