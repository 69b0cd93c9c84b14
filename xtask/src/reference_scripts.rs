//! `cargo xtask reference-scripts DIR`: the reference's own end-to-end scripts, run with taut in its place.
//!
//! The scripts are not part of this repository: `DIR` is a checkout of justbuild, or a git repository with it. What a
//! script needs is in the targets files beside it: its kind, which tools are in `bin`, and the targets whose files it
//! expects in its working directory. taut itself builds the latter, by the reference's rules. Scripts are started by
//! the runners that the reference's rules use, each in a directory of its own. One tool has to be compiled from the
//! reference's sources there, the maker of two archives; a short script takes its place.
//!
//! A failed script is run again with the reference, if that is here. If both fail, the cause is the machine (no
//! network, a missing program), and nothing is known about taut.

mod stage;

use crate::cargo;
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use stage::{Scripts, Side};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use taut_testkit::Tool;

/// What a script expects to be running beside it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Nothing.
    Plain,
    /// A server for remote execution, which is the reference.
    Remote,
    /// The same, and a server that sets up repositories.
    Serve,
}

impl Kind {
    const ALL: [(&str, Self); 3] = [("plain", Self::Plain), ("remote", Self::Remote), ("serve", Self::Serve)];

    /// The kind of script that a target of this type runs.
    fn of(rule: &Value) -> Option<Self> {
        match rule.as_array()?.last()?.as_str()? {
            // The last part of a rule's name in the reference's targets files.
            "script" => Some(Self::Plain),
            "with remote" => Some(Self::Remote),
            "with serve" => Some(Self::Serve),
            _ => None,
        }
    }
}

/// One script as its targets file describes it.
#[derive(Debug)]
struct Script {
    /// Its module and file, as `cli/pwd.sh`.
    name: String,
    module: String,
    /// What is started for it.
    kind: Kind,
    /// What it needs, started for it or by itself.
    server: Kind,
    /// Targets whose files lie in the working directory, as written.
    needs: Vec<Value>,
    /// Targets that are repositories of the server, as written.
    served: Vec<Value>,
    /// Files that the script writes, and directories, below its working directory: what has to be there first.
    writes: Vec<PathBuf>,
}

/// How a run of a script ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed,
    TimedOut,
    /// It was not started, since this failed.
    NotStarted(String),
}

/// What was asked for.
struct Options {
    dir: PathBuf,
    kinds: Vec<Kind>,
    words: Vec<String>,
    jobs: usize,
    limit: Duration,
    compatible: bool,
}

fn options(args: &[String]) -> Result<Options> {
    const USAGE: &str = "reference-scripts DIR [--only WORD]… [--kind plain|remote|serve]… [--jobs N] \
                         [--limit SECONDS] [--compatible]";
    let (mut dir, mut rest) = (None, args);
    let mut found = Options {
        dir: PathBuf::new(),
        kinds: Vec::new(),
        words: Vec::new(),
        jobs: 2,
        limit: Duration::from_secs(300),
        compatible: false,
    };
    while let [option, tail @ ..] = rest {
        rest = tail;
        match (option.as_str(), rest) {
            ("--compatible", _) => found.compatible = true,
            ("--only", [word, tail @ ..]) => {
                found.words.push(word.clone());
                rest = tail;
            }
            ("--kind", [word, tail @ ..]) => {
                let kind = Kind::ALL.iter().find(|(name, _)| name == word).context(USAGE)?;
                found.kinds.push(kind.1);
                rest = tail;
            }
            ("--jobs", [number, tail @ ..]) => (found.jobs, rest) = (number.parse()?, tail),
            ("--limit", [number, tail @ ..]) => {
                (found.limit, rest) = (Duration::from_secs(number.parse()?), tail);
            }
            (word, _) if dir.is_none() && !word.starts_with('-') => dir = Some(std::path::absolute(word)?),
            _ => bail!("{USAGE}"),
        }
    }
    found.dir = dir.context(USAGE)?;
    if found.kinds.is_empty() {
        found.kinds.push(Kind::Plain);
    }
    Ok(found)
}

/// Runs the scripts, and prints one line for each.
///
/// # Errors
///
/// If a script fails with taut and not with the reference; without the reference, if a script fails.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let options = options(args)?;
    let scratch = tempfile::tempdir()?;
    let checkout = checkout(&options.dir, scratch.path())?;
    // Counted, too: a summary that names only what ran would hide a kind that is never run.
    let (wanted, left_out): (Vec<Script>, Vec<Script>) =
        found(&checkout.join("test/end-to-end"))?.into_iter().partition(|script| {
            options.kinds.contains(&script.server)
                && (options.words.is_empty() || options.words.iter().any(|word| script.name.contains(word)))
        });
    if wanted.is_empty() {
        bail!("{} has no such scripts", options.dir.display());
    }
    let reference = reference_pair();
    // taut has no server: scripts that need one run against the reference's, whichever tool is tested.
    if reference.is_none() && options.kinds != [Kind::Plain] {
        bail!(
            "the scripts with a server need the reference: TAUT_REFERENCE names it, and just-mr is beside it"
        );
    }
    let taut = cargo::taut(false)?;
    let ours = Side { name: "taut", just: taut.clone(), just_mr: taut.clone() };
    let scripts = Scripts::new(&checkout, scratch.path(), &taut, options.compatible, options.limit)?;
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs.max(1) {
            scope.spawn(|| {
                // Each script has one taker in any ordering; the results are handed over by the mutex.
                while let Some(script) = wanted.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let server = reference.as_ref().map(|side| &*side.just);
                    let first = scripts.run(script, &ours, server);
                    let second = match (&first, &reference) {
                        // One that could not be started says nothing about the reference.
                        (Outcome::Failed | Outcome::TimedOut, Some(reference)) => {
                            Some(scripts.run(script, reference, server))
                        }
                        _ => None,
                    };
                    // Printed as they end, since all together take minutes.
                    println!("{}", line(script, &first, second.as_ref()));
                    outcomes.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((first, second));
                }
            });
        }
    });
    let outcomes = outcomes.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let passed = outcomes.iter().filter(|(first, _)| *first == Outcome::Passed).count();
    let fails = |outcome: &Outcome| *outcome != Outcome::Passed;
    let elsewhere = outcomes.iter().filter(|(_, second)| second.as_ref().is_some_and(fails)).count();
    let wrong = outcomes.len() - passed - elsewhere;
    println!(
        "{passed} of {} passed; {elsewhere} fail with the reference, too; {wrong} fail with taut only; \
         {} scripts left out",
        outcomes.len(),
        left_out.len()
    );
    if wrong > 0 {
        // Otherwise the logs would go with the directory.
        let kept = scratch.keep();
        bail!("the directories of the failed scripts are in {}", kept.display());
    }
    Ok(())
}

fn line(script: &Script, first: &Outcome, second: Option<&Outcome>) -> String {
    let name = &script.name;
    match (first, second) {
        (Outcome::Passed, _) => format!("pass  {name}"),
        (Outcome::NotStarted(why), _) => format!("SKIP  {name}: {why}"),
        (_, Some(Outcome::Passed)) => format!("FAIL  {name}: {first:?}, and passes with the reference"),
        (_, Some(second)) => format!("both  {name}: {first:?}, with the reference {second:?}"),
        (_, None) => format!("FAIL  {name}: {first:?}"),
    }
}

/// The reference's two programs, if they are here.
fn reference_pair() -> Option<Side> {
    let just = Tool::reference()?.path().to_owned();
    let just_mr = just.with_file_name("just-mr");
    just_mr.is_file().then_some(Side { name: "reference", just, just_mr })
}

/// The directory with the sources: `dir`, or what the last commit of a repository without a checkout contains.
fn checkout(dir: &Path, scratch: &Path) -> Result<PathBuf> {
    if dir.join("test/end-to-end").is_dir() {
        return Ok(dir.to_owned());
    }
    let (archive, sources) = (scratch.join("sources.tar"), scratch.join("sources"));
    fs::create_dir(&sources)?;
    let steps = [
        Command::new("git")
            .arg("--git-dir")
            .arg(dir)
            // Of a bare repository there is no checkout; `git archive` needs none.
            .arg("archive")
            .arg("-o")
            .arg(&archive)
            .arg("HEAD")
            .status(),
        Command::new("tar").arg("-xf").arg(&archive).arg("-C").arg(&sources).status(),
    ];
    for step in steps {
        if !step?.success() {
            bail!("{} is neither a checkout of justbuild nor a repository with it", dir.display());
        }
    }
    Ok(sources)
}

/// The server that a script starts itself: `"${JUST}" serve …` or `${JUST} execute …`.
fn started_by(script: &str) -> Kind {
    let starts = |subcommand: &str| {
        script.lines().any(|line| {
            // A command at the beginning of a line; in other places a subcommand is an argument of something else.
            let mut words = line.split_whitespace().map(|word| word.trim_matches('"'));
            words.next().is_some_and(|tool| matches!(tool, "${JUST}" | "$JUST"))
                && words.next() == Some(subcommand)
        })
    };
    match () {
        () if starts("serve") => Kind::Serve,
        () if starts("execute") => Kind::Remote,
        () => Kind::Plain,
    }
}

/// All scripts below `dir`, by name.
fn found(dir: &Path) -> Result<Vec<Script>> {
    let (mut scripts, mut left) = (Vec::new(), vec![String::new()]);
    while let Some(module) = left.pop() {
        let here = dir.join(&module);
        let within =
            |name: &str| if module.is_empty() { name.to_owned() } else { format!("{module}/{name}") };
        for entry in fs::read_dir(&here)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                left.push(within(&entry.file_name().to_string_lossy()));
            }
        }
        let Ok(text) = fs::read(here.join("TARGETS")) else { continue };
        let targets: Value =
            serde_json::from_slice(&text).with_context(|| format!("{}/TARGETS", here.display()))?;
        for target in targets.as_object().into_iter().flat_map(|targets| targets.values()) {
            let (Some(kind), Some(file)) = (Kind::of(&target["type"]), target["test"][0].as_str()) else {
                continue;
            };
            let list = |field: &str| target[field].as_array().cloned().unwrap_or_default();
            let text = fs::read_to_string(here.join(file))
                .with_context(|| format!("{}, which {}/TARGETS names", file, here.display()))?;
            scripts.push(Script {
                name: within(file),
                module: module.clone(),
                kind,
                // A plain script may start a server itself, which the targets file does not show.
                server: if kind == Kind::Plain { started_by(&text) } else { kind },
                needs: list("deps"),
                served: list("repos"),
                writes: [list("keep"), list("keep-dirs")]
                    .iter()
                    .flatten()
                    .filter_map(|path| Some(Path::new(path.as_str()?).parent()?.to_owned()))
                    .collect(),
            });
        }
    }
    // The order of directories would differ from one file system to another.
    scripts.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(scripts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_that_starts_a_server_itself_needs_one() {
        for (script, kind) in [
            ("\"${JUST}\" serve .just-servec 2>&1 &\n", Kind::Serve),
            ("  ${JUST} execute --info-file \"$INFO\" \\\n", Kind::Remote),
            ("\"${JUST}\" execute a &\n\"${JUST}\" serve b &\n", Kind::Serve),
            ("# Make it available by 'just serve'.\n\"${JUST}\" build serve\n", Kind::Plain),
            ("echo \"${JUST}\" execute\n", Kind::Plain),
        ] {
            assert_eq!(started_by(script), kind, "{script}");
        }
    }
}
