//! `cargo xtask edits`: random edits of a real project, whose builds have to give what a build from nothing gives.
//!
//! The rules in the box compile a source again only for what it read. Whether that is ever wrong shows in such a run:
//! headers and sources get and lose lines, headers come that shadow others and go again, files are as they were before.
//! After each edit there is a build; after each batch of edits there is another one with an empty build root, and what
//! both install is compared byte by byte. A build that fails has to fail in both; then all files become what they were.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use taut_testkit::Rng;

use crate::cargo;
use crate::realworld::processed;
use crate::stdrules::{LUA, Project, REDIS};

/// Runs the edits, until the time is over.
///
/// # Errors
///
/// If there are no sources, or two builds of the same sources differ.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut project, mut edits, mut batch, mut seconds, mut seed) = (LUA, 200, 1, 1200, 1);
    let mut words = args.iter();
    while let Some(word) = words.next() {
        let mut number = || number_after(word, words.next());
        match word.as_str() {
            "lua" => project = LUA,
            "redis" => project = REDIS,
            "--edits" => edits = number()?,
            "--batch" => batch = number()?.max(1),
            "--seconds" => seconds = number()?,
            "--seed" => seed = number()?,
            other => bail!("unknown word {other}"),
        }
    }
    let scratch = tempfile::tempdir()?;
    let workspace = project.workspace(scratch.path())?;
    let mut run = Run {
        taut: cargo::taut(false)?,
        files: sources(&workspace)?,
        original: BTreeMap::new(),
        rng: Rng::new(seed),
        project,
        workspace,
        scratch: scratch.path().to_owned(),
    };
    run.all(edits, batch, Duration::from_secs(seconds))
}

/// The number that belongs to an option.
pub(crate) fn number_after(option: &str, value: Option<&String>) -> Result<u64> {
    value.and_then(|value| value.parse().ok()).with_context(|| format!("{option} wants a number"))
}

struct Run {
    taut: PathBuf,
    project: Project,
    workspace: PathBuf,
    scratch: PathBuf,
    /// The sources and headers that are edited.
    files: Vec<PathBuf>,
    /// The first content of the files that were changed; nothing of one that was not there.
    original: BTreeMap<PathBuf, Option<Vec<u8>>>,
    rng: Rng,
}

/// What a build installed: nothing if it failed.
type Installed = Option<BTreeMap<PathBuf, Vec<u8>>>;

impl Run {
    fn all(&mut self, edits: u64, batch: u64, time: Duration) -> Result<()> {
        let start = Instant::now();
        let kept = self.scratch.join("kept");
        let (_, cold) = self.build(&kept)?;
        let (mut done, mut compared, mut failed, mut ran) = (0, 0, 0, 0);
        while done < edits && start.elapsed() < time {
            let what = self.edit(done)?;
            let (now, actions) = self.build(&kept)?;
            ran += actions;
            failed += u64::from(now.is_none());
            done += 1;
            // The last batch may be incomplete, and is compared too.
            let is_last = done == edits || start.elapsed() >= time;
            if done % batch == 0 || is_last {
                let (fresh, _) = self.build(&self.scratch.join("fresh"))?;
                if fresh != now {
                    bail!(
                        "after edit {done} ({what}) a build from nothing differs; of these files: {:?}",
                        differing(&now, &fresh)
                    );
                }
                fs::remove_dir_all(self.scratch.join("fresh"))?;
                compared += 1;
            }
            println!("{done}: {what}: {actions} actions");
            if now.is_none() {
                // Otherwise most of the next builds would fail, too.
                while !self.original.is_empty() {
                    self.undo()?;
                }
            }
        }
        println!(
            "{}: {done} edits ran {ran} actions ({cold} from nothing), {failed} of them did not compile; {compared} builds from \
             nothing gave the same",
            self.project.directory
        );
        Ok(())
    }

    /// Builds with a build root; returns what is installed, and how many actions ran.
    fn build(&self, root: &Path) -> Result<(Installed, usize)> {
        let out = self.scratch.join("out");
        // What an earlier build installed must not be taken for what this one did.
        let _ = fs::remove_dir_all(&out);
        let mut command = Command::new(&self.taut);
        command.args(["install", "--local-build-root"]).arg(root).arg("-o").arg(&out);
        // Random edits cause warnings by the hundred, which say nothing here.
        command.args(["-D", r#"{"CFLAGS": ["-w"]}"#, self.project.module, "all"]);
        let output = command.current_dir(&self.workspace).output()?;
        // A failed action: the compiler refuses what an edit made. Any other failure is one of taut.
        if output.status.code() == Some(1) {
            return Ok((None, 0));
        }
        let log = String::from_utf8_lossy(&output.stderr);
        if !output.status.success() {
            bail!("taut exits with {}\n{log}", output.status);
        }
        let (actions, not_run) = processed(&log)?;
        let mut files = BTreeMap::new();
        for entry in fs::read_dir(&out)? {
            let path = entry?.path();
            files.insert(PathBuf::from(path.file_name().unwrap_or_default()), fs::read(&path)?);
        }
        Ok((Some(files), actions - not_run))
    }

    /// Changes a file; returns what was done.
    fn edit(&mut self, number: u64) -> Result<String> {
        let file = self.rng.pick(&self.files).clone();
        let shown = file.strip_prefix(&self.workspace).unwrap_or(&file).display().to_string();
        let text = fs::read(&file).unwrap_or_default();
        let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
        let (what, content) = match self.rng.below(10) {
            // Weighted: most edits change something that few sources notice, as most edits of people do.
            0..=2 => (
                format!("a macro more in {shown}"),
                [&text[..], format!("\n#define TAUT_{number} {number}\n").as_bytes()].concat(),
            ),
            3 | 4 => (
                format!("a declaration more in {shown}"),
                [&text[..], format!("\nextern int taut_{number}(void);\n").as_bytes()].concat(),
            ),
            5 => (format!("a line before {shown}"), [b"\n", &text[..]].concat()),
            6 => {
                let gone = self.rng.below(lines.len().max(1));
                let left: Vec<&[u8]> =
                    lines.iter().enumerate().filter(|(at, _)| *at != gone).map(|(_, line)| *line).collect();
                (format!("line {} of {shown} is gone", gone + 1), left.concat())
            }
            7 => {
                // A header that shadows one of the directory above or of the system, for the sources that can see it.
                let name = *self.rng.pick(&["string.h", "stdio.h", "sds.h", "lua.h", "config.h"]);
                let path = file.with_file_name(name);
                if path.exists() {
                    return self.undo();
                }
                // What is undone is the state before the first change, however many follow.
                self.original.entry(path.clone()).or_insert(None);
                fs::write(&path, format!("#pragma once\n#include_next <{name}>\n"))?;
                return Ok(format!("a file {name} beside {shown}"));
            }
            _ => return self.undo(),
        };
        self.original.entry(file.clone()).or_insert(Some(text));
        fs::write(&file, content)?;
        Ok(what)
    }

    /// Makes a changed file what it was at first.
    fn undo(&mut self) -> Result<String> {
        let changed: Vec<PathBuf> = self.original.keys().cloned().collect();
        if changed.is_empty() {
            return Ok("nothing".to_owned());
        }
        let file = self.rng.pick(&changed).clone();
        match self.original.remove(&file).flatten() {
            Some(text) => fs::write(&file, text)?,
            None => fs::remove_file(&file)?,
        }
        Ok(format!("{} as at first", file.strip_prefix(&self.workspace).unwrap_or(&file).display()))
    }
}

/// The names of files that differ.
fn differing(one: &Installed, other: &Installed) -> Vec<PathBuf> {
    match (one, other) {
        (Some(one), Some(other)) => one
            .iter()
            .filter(|(name, content)| other.get(*name) != Some(*content))
            .map(|(name, _)| name.clone())
            .collect(),
        _ => vec![PathBuf::from("one of both builds failed")],
    }
}

/// All C sources and headers of a workspace, in order.
fn sources(workspace: &Path) -> Result<Vec<PathBuf>> {
    let mut left = vec![workspace.to_owned()];
    let mut all = Vec::new();
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let path = entry.path();
            if entry.file_type()?.is_dir() {
                let is_other =
                    // Sources of other programs, which the description does not build.
                    ["jemalloc", "tests", "utils", "examples"].iter().any(|name| path.ends_with(name));
                if !is_other {
                    left.push(path);
                }
            } else if path.extension().is_some_and(|ending| ending == "c" || ending == "h") {
                all.push(path);
            }
        }
    }
    // The generator picks by position, so that a seed means the same edits on each machine.
    all.sort();
    Ok(all)
}
