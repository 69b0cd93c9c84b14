//! `cargo xtask bench setup`: the cost of setting up repositories, compared with `just-mr`.
//!
//! Two situations: the first set-up of archives and of a git repository with many files, each run in a new build root;
//! and the same again, when everything is there. The git repository is reached by a mirror, since one that is named by
//! its path is used where it is. Runs are interleaved and medians compared. The bar is the goal of the project for
//! processor time, as a part of that of `just-mr`.

use super::median;
use crate::cargo;
use crate::measure::{self, Cost};
use anyhow::{Context as _, Result, bail, ensure};
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use taut_testkit::{GitRepository, Tool};

/// Processor time of a first set-up, as a part of that of `just-mr`.
const CPU_BAR: f64 = 0.5;

/// How many files an archive has.
const FILES_OF_ARCHIVE: usize = 200;

/// How many files a directory of the git repository has.
const FILES_OF_DIRECTORY: usize = 100;

struct Options {
    json: Option<PathBuf>,
    archives: usize,
    files: usize,
    rounds: usize,
}

/// A tool that sets up.
struct SetUp {
    name: &'static str,
    tool: PathBuf,
    /// The costs of first and later set-ups.
    costs: [Vec<Cost>; 2],
}

/// Measures and prints; `args` are the words behind `bench setup`.
///
/// # Errors
///
/// If the words are wrong, or a tool cannot be built or fails.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    let tool = |name, tool| SetUp { name, tool, costs: [vec![], vec![]] };
    let mut tools = vec![tool("taut", cargo::taut(true)?)];
    // It is installed beside `just`.
    let rival = Tool::reference().map(|just| just.path().with_file_name("just-mr"));
    match rival.filter(|path| path.is_file()) {
        Some(path) => tools.push(tool("just-mr", path)),
        None => println!("just-mr is not installed here: left out"),
    }
    let rows = measured(&mut tools, &options)?;
    if let Some(path) = &options.json {
        let report = json!({"archives": options.archives, "files": options.files,
            "bars": {"cpu_per_just_mr": CPU_BAR}, "rows": rows});
        fs::write(path, serde_json::to_string_pretty(&report)?)
            .with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn options(args: &[String]) -> Result<Options> {
    let mut options = Options { json: None, archives: 50, files: 100_000, rounds: 5 };
    let mut words = args.iter();
    while let Some(option) = words.next() {
        let mut value = || words.next().with_context(|| format!("{option} needs a value"));
        match option.as_str() {
            "--quick" => (options.archives, options.files, options.rounds) = (3, 500, 1),
            "--json" => options.json = Some(std::path::absolute(value()?)?),
            "--rounds" => options.rounds = value()?.parse().context("--rounds")?,
            "--archives" => options.archives = value()?.parse().context("--archives")?,
            "--files" => options.files = value()?.parse().context("--files")?,
            other => bail!(
                "unknown option {other}: options are --archives N, --files N, --json FILE, --quick, --rounds N"
            ),
        }
    }
    if options.rounds == 0 || options.archives == 0 || options.files == 0 {
        bail!("--rounds, --archives and --files must be at least 1");
    }
    Ok(options)
}

/// A text of some lines that no other file has.
fn content(seed: usize) -> String {
    // Multiplicative hashing (Knuth, TAOCP 3, 6.4): neighbours get texts that do not compress into
    // each other.
    (0..20).map(|line| format!("{} {line} of file {seed}\n", seed.wrapping_mul(2_654_435_761) >> 7)).collect()
}

fn run_quietly(command: &mut Command) -> Result<()> {
    let output = command.output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// Writes archives and a repository, with a description of them, `repos.json`, and `locations.json`.
fn write(top: &Path, options: &Options) -> Result<()> {
    let git = GitRepository::new(top.join("served.git"));
    let mut all = serde_json::Map::new();
    let mut bindings = serde_json::Map::new();
    for number in 0..options.archives {
        let name = format!("archive{number}");
        let directory = top.join("made").join(&name);
        fs::create_dir_all(&directory)?;
        for file in 0..FILES_OF_ARCHIVE {
            fs::write(directory.join(format!("f{file}.c")), content(number * FILES_OF_ARCHIVE + file))?;
        }
        let archive = top.join(format!("{name}.tar.gz"));
        run_quietly(
            Command::new("tar").arg("-czf").arg(&archive).arg("-C").arg(top.join("made")).arg(&name),
        )?;
        // Only its id is wanted, not that it is in the repository.
        let id = git.blob(fs::read(&archive)?);
        let source = json!({"type": "archive", "content": id, "subdir": name,
            "fetch": format!("file://{}", archive.display())});
        all.insert(name.clone(), json!({"repository": source}));
        bindings.insert(name.clone(), json!(name));
    }
    // Never asked: the mirror below takes its place.
    let url = "https://example.org/large.git";
    let commit = large_commit(top, options.files)?;
    let source = json!({"type": "git", "repository": url, "branch": "main", "commit": commit});
    all.insert("large".into(), json!({"repository": source}));
    bindings.insert("large".into(), json!("large"));
    let main = json!({"repository": {"type": "file", "path": "main"}, "bindings": bindings});
    all.insert("main".into(), main);
    fs::create_dir_all(top.join("main"))?;
    fs::write(top.join("repos.json"), json!({"main": "main", "repositories": all}).to_string())?;
    let mirror = format!("file://{}", top.join("large").display());
    fs::write(top.join("locations.json"), json!({"local mirrors": {url: [mirror]}}).to_string())?;
    Ok(())
}

/// Makes a repository with a commit of many files; returns its id.
fn large_commit(top: &Path, files: usize) -> Result<String> {
    let large = top.join("large");
    for file in 0..files {
        let directory = large.join(format!("d{}", file / FILES_OF_DIRECTORY));
        if file % FILES_OF_DIRECTORY == 0 {
            fs::create_dir_all(&directory)?;
        }
        fs::write(directory.join(format!("f{file}.c")), content(usize::MAX / 2 + file))?;
    }
    let git = |words: &[&str]| {
        let mut command = Command::new("git");
        command.current_dir(&large).args(["-c", "user.name=a", "-c", "user.email=a@example.org"]).args(words);
        command
    };
    run_quietly(&mut git(&["init", "-q", "-b", "main"]))?;
    run_quietly(&mut git(&["add", "."]))?;
    run_quietly(&mut git(&["commit", "-q", "-m", "files"]))?;
    // As servers have their repositories: in one pack.
    run_quietly(&mut git(&["repack", "-q", "-a", "-d"]))?;
    let head = git(&["rev-parse", "HEAD"]).output()?;
    Ok(String::from_utf8_lossy(&head.stdout).trim().to_owned())
}

/// Measures all tools; returns the rows of the report.
fn measured(tools: &mut [SetUp], options: &Options) -> Result<Vec<Value>> {
    let scratch = tempfile::tempdir()?;
    let (top, file) = (scratch.path(), scratch.path().join("cost"));
    write(top, options)?;
    for round in 0..options.rounds {
        for of in &mut *tools {
            let root = top.join(format!("build-root-{}-{round}", of.name));
            for costs in &mut of.costs {
                let mut command = Command::new(&of.tool);
                // The options come before the subcommand: `just-mr` takes them only there.
                let options = ["--norc", "-C", "repos.json", "--checkout-locations", "locations.json"];
                match of.name {
                    "taut" => command.arg("setup").args(options).arg("main"),
                    _ => command.args(options),
                };
                command.arg("--local-build-root").arg(&root).current_dir(top);
                if of.name != "taut" {
                    command.args(["--log-limit", "1", "setup", "main"]);
                }
                costs.push(measure::cost(&command, &file)?);
            }
            fs::remove_dir_all(&root)?;
        }
    }
    println!("\n{} archives, and a git repository with {} files", options.archives, options.files);
    let of = |costs: &[Cost], f: fn(&Cost) -> f64| median(costs.iter().map(f).collect());
    let mut rows = Vec::new();
    for (situation, what) in ["first set-up", "set-up again"].into_iter().enumerate() {
        let cpu = |of_tool: &SetUp| of(&of_tool.costs[situation], |cost| cost.cpu);
        for tool in &*tools {
            let (cpu_ms, wall) = (cpu(tool), of(&tool.costs[situation], |cost| cost.wall));
            let mut row = json!({"tool": tool.name, "what": what, "cpu_ms": cpu_ms, "wall_ms": wall});
            let mut line = format!("  {what:12} {:8} cpu {cpu_ms:9.1} ms  wall {wall:9.1} ms", tool.name);
            if let Some(rival) = tools.iter().find(|other| other.name != "taut" && tool.name == "taut") {
                let ratio = cpu_ms / cpu(rival);
                row["cpu_per_just_mr"] = json!(ratio);
                line += &format!("  per just-mr: cpu {ratio:.3}");
                // The bar is about a first set-up; the second one is a look-up, in which the start
                // of the process dominates.
                if situation == 0 {
                    let verdict = if ratio <= CPU_BAR { "reached" } else { "NOT reached" };
                    line += &format!(" (bar {CPU_BAR}, {verdict})");
                }
            }
            println!("{line}");
            rows.push(row);
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_wrong_ones_named() {
        let of = |words: &[&str]| options(&words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["--archives", "3"]).unwrap().archives, 3);
        assert_eq!(of(&["--quick"]).unwrap().rounds, 1);
        assert!(of(&["--files", "0"]).is_err());
        assert!(of(&["--other"]).err().unwrap().to_string().contains("unknown option --other"));
    }
}
