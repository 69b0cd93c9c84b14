//! `cargo xtask bench exports`: the cost of building a project whose dependencies, each an export target of a pinned
//! repository, are all in the target-level cache, compared with `just`.
//!
//! Three situations: nothing changed; a file of the main repository changed, so its targets are analysed again; and
//! nothing that earlier calls recorded is used (`--no-trace`), so all entries are read. Runs are interleaved and
//! medians compared. The bar is the goal of the project for processor time, as a part of that of `just`.

use super::median;
use crate::cargo;
use crate::measure::{self, Cost};
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use taut_testkit::{GitRepository, Tool};

/// Processor time, as a part of that of `just`.
const CPU_BAR: f64 = 0.2;

struct Options {
    json: Option<PathBuf>,
    repositories: usize,
    rounds: usize,
}

/// One way to build.
struct Variant {
    name: &'static str,
    tool: PathBuf,
    arguments: &'static [&'static str],
    /// Whether a file changes before each run.
    edits: bool,
}

/// Measures and prints; `args` are the words behind `bench exports`.
///
/// # Errors
///
/// If the words are wrong, or taut cannot be built or fails.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    let taut = cargo::taut(true)?;
    let variant =
        |name, tool: &Path, arguments, edits| Variant { name, tool: tool.to_path_buf(), arguments, edits };
    let mut variants = vec![
        variant("taut null", &taut, [].as_slice(), false),
        variant("taut edit", &taut, &[], true),
        variant("taut --no-trace", &taut, &["--no-trace"], false),
    ];
    match Tool::reference() {
        Some(just) => variants.extend([
            variant("just null", just.path(), [].as_slice(), false),
            variant("just edit", just.path(), &[], true),
        ]),
        None => println!("just is not installed here: left out"),
    }
    let rows = measured(&variants, &options)?;
    if let Some(path) = &options.json {
        let report =
            json!({"repositories": options.repositories, "bars": {"cpu_per_just": CPU_BAR}, "rows": rows});
        fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options { json: None, repositories: 200, rounds: 7 };
    let mut words = args.iter();
    while let Some(option) = words.next() {
        let mut value = || words.next().with_context(|| format!("{option} needs a value"));
        match option.as_str() {
            "--quick" => (options.repositories, options.rounds) = (5, 1),
            "--json" => options.json = Some(std::path::absolute(value()?)?),
            "--rounds" => options.rounds = value()?.parse().context("--rounds")?,
            "--repositories" => options.repositories = value()?.parse().context("--repositories")?,
            other => bail!(
                "unknown option {other}: options are --json FILE, --quick, --repositories N, --rounds N"
            ),
        }
    }
    if options.rounds == 0 || options.repositories == 0 {
        bail!("--rounds and --repositories must be at least 1");
    }
    Ok(options)
}

/// Writes a project: each repository exports a target with ten outputs, which depends on that of the one before.
fn write(top: &Path, repositories: usize) -> Result<()> {
    // Trees of a git repository: only repositories with fixed content are eligible for the cache.
    let git = GitRepository::new(top.join("repository.git"));
    let mut all = serde_json::Map::new();
    let (mut bindings, mut dirs) = (serde_json::Map::new(), Vec::new());
    for number in 0..repositories {
        // Several outputs, so that an entry of the cache has some size.
        let outs: Vec<String> = (0..10).map(|out| format!("lib{number}/{out}")).collect();
        // A chain, so that each entry of the cache implies those below it.
        let deps = if number > 0 { vec![json!(["@", "below", "", "lib"])] } else { Vec::new() };
        let targets = json!({
            "lib": {"type": "export", "target": "made", "flexible_config": ["ARCH", "DEBUG"]},
            "made": {"type": "generic", "outs": outs, "deps": deps,
                     "cmds": [format!("for i in 0 1 2 3 4 5 6 7 8 9; do echo $i >lib{number}/$i; done")]},
        });
        let tree = git.tree(&[("100644", b"TARGETS", &git.blob(targets.to_string()))]);
        let below = if number > 0 { json!({"below": format!("r{}", number - 1)}) } else { json!({}) };
        let name = format!("r{number}");
        all.insert(
            name.clone(),
            json!({"workspace_root": ["git tree", tree, git.path()], "bindings": below}),
        );
        bindings.insert(name.clone(), json!(name));
        dirs.push(json!([["@", name, "", "lib"], name]));
    }
    let main = top.join("main");
    fs::create_dir_all(&main)?;
    all.insert("main".into(), json!({"workspace_root": ["file", main], "bindings": bindings}));
    fs::write(top.join("repos.json"), json!({"main": "main", "repositories": all}).to_string())?;
    let targets = json!({"all": {"type": "install", "deps": ["own"], "dirs": dirs}});
    fs::write(main.join("TARGETS"), targets.to_string())?;
    fs::write(main.join("own"), "own\n")?;
    Ok(())
}

/// Measures all variants; returns the rows of the report.
fn measured(variants: &[Variant], options: &Options) -> Result<Vec<Value>> {
    let scratch = tempfile::tempdir()?;
    let (top, file) = (scratch.path(), scratch.path().join("cost"));
    write(top, options.repositories)?;
    let command = |number: usize, variant: &Variant| {
        let mut command = Command::new(&variant.tool);
        command.args(["build", "--log-limit", "1", "-C", "../repos.json", "--local-build-root"]);
        command.arg(top.join(format!("build-root-{number}")));
        command.args(variant.arguments).arg("all").current_dir(top.join("main"));
        command
    };
    let mut costs: BTreeMap<usize, Vec<Cost>> = BTreeMap::new();
    for round in 0..options.rounds + 2 {
        for (number, variant) in variants.iter().enumerate() {
            if variant.edits {
                let own = top.join("main/TARGETS");
                // Another text than in the round before, with the same meaning: analysed again, built not again.
                let blank = if round % 2 == 0 { " " } else { "" };
                let text = fs::read_to_string(&own)?;
                fs::write(&own, format!("{}{blank}", text.trim_end()))?;
            }
            let cost = measure::cost(&command(number, variant), &file)?;
            // The first two builds fill the cache, and take the targets from it.
            if round >= 2 {
                costs.entry(number).or_default().push(cost);
            }
        }
    }
    println!("\n{} repositories, each with an export target in the cache", options.repositories);
    let of = |number: usize, f: fn(&Cost) -> f64| median(costs[&number].iter().map(f).collect());
    let mut rows = Vec::new();
    for (number, variant) in variants.iter().enumerate() {
        let (cpu, wall, peak) = (of(number, |c| c.cpu), of(number, |c| c.wall), of(number, |c| c.peak));
        let mut row = json!({"variant": variant.name, "cpu_ms": cpu, "wall_ms": wall, "peak_kib": peak});
        let mut line = format!(
            "  {:16} cpu {cpu:8.1} ms  wall {wall:8.1} ms  peak {:7.1} MiB",
            variant.name,
            peak / 1024.0
        );
        // `--no-trace` is compared with a null build of the reference, which never has traces.
        let is_rival = |other: &Variant| other.name.starts_with("just") && other.edits == variant.edits;
        if let Some(rival) = variants.iter().position(is_rival).filter(|_| variant.name.starts_with("taut")) {
            let ratio = cpu / of(rival, |c| c.cpu);
            let verdict = if ratio <= CPU_BAR { "reached" } else { "NOT reached" };
            row["cpu_per_just"] = json!(ratio);
            line += &format!("  per just: cpu {ratio:.3} (bar {CPU_BAR}, {verdict})");
        }
        println!("{line}");
        rows.push(row);
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let of = |words: &[&str]| options(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["--repositories", "3"]).unwrap().repositories, 3);
        assert_eq!(of(&["--quick"]).unwrap().rounds, 1);
        assert!(of(&["--rounds", "0"]).is_err());
        assert!(of(&["--other"]).err().unwrap().to_string().contains("unknown option --other"));
    }
}
