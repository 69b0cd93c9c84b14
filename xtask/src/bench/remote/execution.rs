//! `cargo xtask bench remote-execution`: what execution by a server costs, with a server that only pretends to execute.
//!
//! One project is built from nothing, then again from another build root with a server that knows all results, then
//! once more when there is nothing to do. Where the reference is here, it does the same, interleaved, in the same
//! protocol. Counted are processor time and memory of the client, and the calls that come to the server; none of them
//! may fetch an output, since nothing reads one, nor execute an action twice. Apart from that, a wide project is built
//! by a server with few cores at a distance: how much longer that takes than the cores need.
//!
//! With `--library`, a C library from Debian's sources is built here, and on a fresh machine with a cache that has all
//! of it: processor time, and bytes that pass.

use super::{Common, Runs, Server};
use crate::{
    apt,
    bench::{
        graph::{Graph, Shape},
        median,
        rival::Rival,
    },
    cargo,
    measure::{self, Cost},
};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};
use taut_testkit::{Proxy, Tool};

struct Options {
    common: Common,
    cores: usize,
    takes: Duration,
    is_standard: bool,
    library: bool,
}

/// What is measured of each tool, in this order.
const PHASES: [&str; 3] = ["execute", "take", "null"];

/// Of larger projects the reference is left out, which would take too long.
const MAX_REFERENCE_SIZE: usize = 10_000;

/// The size of the project that is built at a distance.
// Enough actions to fill the cores many times over, so that the beginning and the end of the build
// count for little.
const DISTANT_ACTIONS: usize = 1_000;

/// Measures and prints; `args` are the words behind `bench remote-execution`.
///
/// # Errors
///
/// If the words are wrong, or taut or the server cannot be built or fail.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    let taut = cargo::taut(true)?;
    let rivals: Vec<Rival> = [Some(Rival::Targets("taut", taut.clone()))]
        .into_iter()
        .chain([Tool::reference().map(|just| Rival::Targets("just", just.path().to_path_buf()))])
        .flatten()
        .collect();
    let mut rows = Vec::new();
    if options.library {
        rows.push(library(&taut, &options)?);
    } else {
        for &size in &options.common.sizes {
            rows.extend(near(&rivals, &Graph::new(Shape::Wide, size), &options)?);
        }
        rows.push(far(&rivals[0], &options)?);
    }
    options.common.report(&json!({"rows": rows}))
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options {
        common: Common::new(&[1_000, 10_000, 100_000]),
        cores: 16,
        takes: Duration::from_millis(100),
        is_standard: false,
        library: false,
    };
    let mut words = args.iter();
    while let Some(option) = words.next() {
        let mut value = || words.next().with_context(|| format!("{option} needs a value"));
        match option.as_str() {
            "--library" => options.library = true,
            "--standard" => options.is_standard = true,
            "--takes" => options.takes = Duration::from_millis(value()?.parse().context("--takes")?),
            "--cores" => options.cores = value()?.parse().context("--cores")?,
            _ if options.common.take(option, value)? => {}
            other => bail!(
                "unknown option {other}: options are --json FILE, --quick, --size N, --rounds N, --standard, --library, \
                 --cores N, --takes MS, --round-trip MS"
            ),
        }
    }
    if options.cores == 0 {
        bail!("--cores must be at least 1");
    }
    Ok(options)
}

impl Options {
    fn protocol(&self) -> &'static str {
        if self.is_standard { "standard" } else { "native" }
    }

    /// The command that builds a project with a server.
    fn command(&self, rival: &Rival, dir: &Path, address: &str) -> Command {
        // How many actions the server gets at once: as many as taut gives it by default.
        let mut command = rival.command(dir, 256);
        command.args(["-r", address]).args(self.is_standard.then_some("--compatible"));
        command
    }
}

/// Measures each tool beside the server; returns the rows of the report.
fn near(rivals: &[Rival], graph: &Graph, options: &Options) -> Result<Vec<Value>> {
    let scratch = tempfile::tempdir()?;
    let file = scratch.path().join("cost");
    let mut runs: BTreeMap<(usize, usize), Runs> = BTreeMap::new();
    let rivals: Vec<&Rival> =
        (rivals.iter()).filter(|rival| rival.name() == "taut" || graph.size <= MAX_REFERENCE_SIZE).collect();
    // What takes long is measured once: it is there for its peak and its calls.
    let rounds = if graph.size > MAX_REFERENCE_SIZE { 1 } else { options.common.rounds };
    let mut roots: [PathBuf; 2] = Default::default();
    for round in 0..rounds {
        for (number, rival) in rivals.iter().enumerate() {
            // A new server for each tool and round: what one has stored must not help the next.
            let mut server = Server::start(&[options.protocol()])?;
            let address = server.address.to_string();
            // Build roots of this size would fill the disk if all were kept. Not at once, as that takes a while: those
            // of the last run go with `scratch`, when the figures are printed.
            for before in roots.iter().filter(|root| root.exists()) {
                fs::remove_dir_all(before)?;
            }
            // Two build roots: the second has nothing of its own, and so takes all results from the server.
            roots = ["first", "second"]
                .map(|name| scratch.path().join(format!("{round}-{}-{name}", rival.name())));
            let [first, second] = &roots;
            rival.write(graph, first)?;
            rival.write(graph, second)?;
            // Otherwise the write-back of what this benchmark has written counts for the tool that happens to start it:
            // taut does, before it reads files that have just changed (`sys/src/writeback.rs`).
            rustix::fs::syncfs(fs::File::open(scratch.path())?)?;
            for (phase, dir) in [first, second, second].into_iter().enumerate() {
                let command = options.command(rival, dir, &address);
                runs.entry((number, phase)).or_default().add(&command, &file, &mut server)?;
            }
        }
    }
    let actions = graph.actions();
    println!("\n{} {}, {actions} actions, {} protocol", graph.shape.name(), graph.size, options.protocol());
    let mut rows = Vec::new();
    for (phase, name) in PHASES.iter().enumerate() {
        let taut = &runs[&(0, phase)];
        for (number, rival) in rivals.iter().enumerate() {
            let own = &runs[&(number, phase)];
            let beside = match number {
                0 => String::new(),
                _ => format!(
                    "  taut has {:.2} of its processor time, {:.2} of its calls, {:.2} of its memory",
                    taut.cpu() / own.cpu(),
                    taut.calls() / own.calls().max(1.0),
                    taut.of(|cost| cost.peak) / own.of(|cost| cost.peak),
                ),
            };
            println!("  {name:8} {:5} {}{beside}", rival.name(), own.line(actions));
            let about = json!({
                "size": graph.size, "phase": name, "tool": rival.name(), "protocol": options.protocol(),
            });
            rows.push(own.row(about, actions));
        }
    }
    let fetched: u64 = (0..PHASES.len())
        .flat_map(|phase| {
            ["BatchReadBlobs", "Read"].map(|call| runs[&(0, phase)].calls.get(call).copied().unwrap_or(0))
        })
        .sum();
    if fetched > 0 {
        bail!("taut fetched outputs that nothing reads, in {fetched} calls");
    }
    let executed = runs[&(0, 0)].calls.get("Execute").copied().unwrap_or(0);
    if executed != actions as u64 {
        bail!("taut had {executed} executions for {actions} actions");
    }
    Ok(rows)
}

/// Builds a wide project by a server with few cores at a distance.
fn far(taut: &Rival, options: &Options) -> Result<Value> {
    let graph = Graph::new(Shape::Wide, DISTANT_ACTIONS);
    let scratch = tempfile::tempdir()?;
    let (cores, takes) = (options.cores.to_string(), options.takes.as_millis().to_string());
    let mut walls = Vec::new();
    for round in 0..options.common.rounds {
        let server = Server::start(&[options.protocol(), &cores, &takes])?;
        // Half in each direction.
        let proxy = Proxy::delaying(server.address, options.common.round_trip / 2)?;
        let dir = scratch.path().join(round.to_string());
        taut.write(&graph, &dir)?;
        let cost =
            measure::cost(&options.command(taut, &dir, &proxy.address()), &scratch.path().join("cost"))?;
        walls.push(cost.wall);
    }
    // What no client could be quicker than: the collecting action comes after all others.
    let rounds = (graph.actions() as f64 / options.cores as f64).ceil() + 1.0;
    let least = rounds * options.takes.as_millis() as f64;
    let ratio = median(walls) / least;
    println!(
        "\n{} actions of {takes} ms by {cores} cores at {} ms: {ratio:.2} times what the cores need",
        graph.actions(),
        options.common.round_trip.as_millis()
    );
    Ok(json!({"actions": graph.actions(), "cores": options.cores, "takes_ms": takes, "ratio": ratio}))
}

/// Builds a C library here, and takes it from a cache on a fresh machine.
fn library(taut: &Path, options: &Options) -> Result<Value> {
    let scratch = tempfile::tempdir()?;
    // Real sources, as generated ones compress and repeat unlike those that people write.
    let sources = apt::source("lua5.4", &scratch.path().join("apt"))?;
    let work = scratch.path().join("work");
    let objects = describe(&sources.join("src"), &work)?;
    let file = scratch.path().join("cost");
    let (mut here, mut fresh, mut bytes) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..options.common.rounds {
        let server = Server::start(&[])?;
        let proxy = Proxy::delaying(server.address, Duration::ZERO)?;
        let build = |name: &str, words: &[&str]| {
            let mut command = Command::new(taut);
            command.args(["install", "--log-limit", "1", "--local-build-root"]);
            command.arg(scratch.path().join(format!("{name}-{round}"))).arg("-o");
            command.arg(scratch.path().join(format!("{name}-{round}-installed"))).args(words).arg("all");
            command.current_dir(&work);
            measure::cost(&command, &file)
        };
        here.push(build("here", &[])?);
        let address = proxy.address();
        build("first", &["--remote-cache", &address, "--remote-cache-write"])?;
        // Only the bytes of the fresh machine count, not those of the build that filled the cache.
        let before = proxy.bytes();
        fresh.push(build("fresh", &["--remote-cache", &address])?);
        let after = proxy.bytes();
        bytes.push((after.0 - before.0, after.1 - before.1));
    }
    let of = |costs: &[Cost], f: fn(&Cost) -> f64| median(costs.iter().map(f).collect());
    let installed = size(&scratch.path().join("here-0-installed"))?;
    let (cpu, wall) = (
        of(&fresh, |cost| cost.cpu) / of(&here, |cost| cost.cpu),
        of(&fresh, |cost| cost.wall) / of(&here, |cost| cost.wall),
    );
    // The same in each round, since the same objects pass.
    let (up, down) = bytes[0];
    println!(
        "\nlua, {objects} objects: with a cache that has all of it {cpu:.3} of the processor time of a build here and {wall:.3} \
         of its time; {up} bytes up and {down} down, where {installed} are installed"
    );
    Ok(json!({"objects": objects, "cpu": cpu, "wall": wall, "up": up, "down": down, "installed": installed}))
}

/// How many bytes the files below a directory have.
fn size(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        sum += if entry.file_type()?.is_dir() { size(&entry.path())? } else { entry.metadata()?.len() };
    }
    Ok(sum)
}

/// Copies the sources of lua, and describes its library and its interpreter; returns the number of objects.
fn describe(sources: &Path, work: &Path) -> Result<usize> {
    fs::create_dir_all(work)?;
    fs::write(work.join("ROOT"), "")?;
    let (mut units, mut headers) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(sources).with_context(|| sources.display().to_string())? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        // Both have a `main`, and are programs of their own.
        let is_unit = name.ends_with(".c") && !["lua.c", "luac.c"].contains(&name.as_str());
        if is_unit {
            units.push(name.clone());
        } else if name.ends_with(".h") || name.ends_with(".hpp") {
            headers.push(name.clone());
        } else if name != "lua.c" {
            continue;
        }
        fs::copy(entry.path(), work.join(name))?;
    }
    units.sort();
    headers.sort();
    let targets = json!({
        "lua": {"type": ["@", "std", "cc", "library"], "name": ["lua"], "srcs": units, "hdrs": headers},
        "interpreter": {
            "type": ["@", "std", "cc", "binary"], "name": ["lua"], "srcs": ["lua.c"], "deps": ["lua"], "libs": ["-lm"],
        },
        "all": {"type": "install", "dirs": [["lua", "library"], ["interpreter", "bin"]]},
    });
    fs::write(work.join("TARGETS"), serde_json::to_string_pretty(&targets)?)?;
    Ok(units.len() + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let of = |words: &[&str]| options(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        let read = of(&["--size", "3", "--standard", "--takes", "9"]).unwrap();
        assert_eq!(
            (read.common.sizes, read.is_standard, read.takes),
            (vec![3], true, Duration::from_millis(9))
        );
        assert!(of(&["--cores", "0"]).is_err());
        assert!(of(&["--other"]).err().unwrap().to_string().contains("unknown option --other"));
    }
}
