//! `cargo xtask diff`: random projects, taut and the reference side by side.
//!
//! Compared are exit codes, standard output, every dump and installed trees; texts on standard
//! error are ours to choose. A difference is shrunk to a small project and printed.

use crate::cargo;
use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;
use taut_testkit::{Case, Rng, Tool, Workspace, listing, random_case, random_expression, shrink};

const DUMPS: &[&str] = &[
    "graph",
    "plain-graph",
    "artifacts-to-build",
    "actions",
    "anonymous",
    "blobs",
    "export-targets",
    "nodes",
    "provides",
    "result",
    "targets",
    "targets-graph",
    "trees",
    "vars",
];

/// Compares `--cases N` projects (100), beginning at `--seed S` (0); `--out DIR` keeps what
/// differs as files, `--only analyse` builds nothing.
///
/// # Errors
///
/// If there is no reference here, or something differs.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut cases, mut seed, mut build) = (100_u64, 0_u64, true);
    let (mut out, mut rest) = (None::<PathBuf>, args);
    while let [option, value, tail @ ..] = rest {
        rest = tail;
        match option.as_str() {
            "--cases" => cases = value.parse()?,
            "--seed" => seed = value.parse()?,
            "--only" if value == "analyse" => build = false,
            "--out" => out = Some(PathBuf::from(value)),
            other => bail!("unknown option {other}"),
        }
    }
    if !rest.is_empty() {
        bail!("options are --cases N, --seed S, --out DIR, --only analyse");
    }
    let reference = Tool::reference()
        .context("the reference is not installed here: name its binary in TAUT_REFERENCE")?;
    let taut = Tool::at(cargo::taut(false)?);
    let (mut different, mut good) = (0, 0);
    for seed in seed..seed + cases {
        let case = random_case(&mut Rng::new(seed));
        let Some((_, exit)) = compare(&case, &taut, &reference, build) else { continue };
        good += u64::from(exit == 0);
        if difference(&case, &taut, &reference, build).is_none() {
            continue;
        }
        different += 1;
        let small =
            shrink(case.0, 400, |value| difference(&Case(value.clone()), &taut, &reference, build).is_some());
        let small = Case(small);
        let found = difference(&small, &taut, &reference, build).unwrap_or_default();
        let text = format!("# seed {seed}\n\n{}\n\n{found}\n", serde_json::to_string_pretty(&small.0)?);
        println!("{text}");
        if let Some(out) = &out {
            fs::write(out.join(format!("diff-{seed}.md")), text)?;
        }
    }
    println!("{cases} cases, {good} of them without error, {different} differ");
    if different > 0 {
        bail!("taut and the reference differ");
    }
    Ok(())
}

/// Prints a JSON list of random expressions, one a line; `args` are how many, and the seed.
///
/// # Errors
///
/// If the words are not two numbers.
pub(crate) fn print_expressions(args: &[String]) -> Result<()> {
    let [count, seed] = args else { bail!("expressions N SEED") };
    let (count, seed): (u64, u64) = (count.parse()?, seed.parse()?);
    let lines: Vec<String> = (seed..seed + count)
        .map(|seed| random_expression(&mut Rng::new(seed), 2 + seed as usize % 4).to_string())
        .collect();
    println!("[\n{}\n]", lines.join(",\n"));
    Ok(())
}

/// What differs, as text; none if nothing does, or the value is not a case.
fn difference(case: &Case, taut: &Tool, reference: &Tool, build: bool) -> Option<String> {
    compare(case, taut, reference, build)?.0
}

/// The difference, if any, and the reference's exit code.
fn compare(case: &Case, taut: &Tool, reference: &Tool, build: bool) -> Option<(Option<String>, i32)> {
    let workspace = case.write()?;
    let theirs = answers(case, &workspace, reference, "theirs", build)?;
    let ours = answers(case, &workspace, taut, "ours", build)?;
    let exit = theirs["analyse: exit"].parse().unwrap_or(-1);
    let mut text = String::new();
    for (question, their) in &theirs {
        let our = ours.get(question).map_or("", String::as_str);
        if our != their {
            text += &format!("## {question}\n\nreference:\n{their}\n\ntaut:\n{our}\n\n");
        }
    }
    if text.is_empty() {
        return Some((None, exit));
    }
    text += &format!("## reference's log\n\n{}\n\n", last_log(&workspace, "theirs"));
    text += &format!("## taut's log\n\n{}\n", last_log(&workspace, "ours"));
    Some((Some(text), exit))
}

/// What a log says apart from the expected.
fn last_log(workspace: &Workspace, who: &str) -> String {
    let log = fs::read_to_string(workspace.beside(&format!("{who}.log"))).unwrap_or_default();
    log.lines().filter(|line| !line.contains("INFO: Dumping ")).map(|l| format!("{l}\n")).collect()
}

/// What the tool answers to each question.
fn answers(
    case: &Case,
    workspace: &Workspace,
    tool: &Tool,
    who: &str,
    build: bool,
) -> Option<BTreeMap<String, String>> {
    let dumps = workspace.beside(&format!("{who}-dumps"));
    fs::create_dir_all(&dumps).ok()?;
    let build_root = workspace.beside(&format!("{who}-root")).display().to_string();
    let mut common = vec!["--local-build-root".to_owned(), build_root];
    common.extend(["-D".to_owned(), case.config(), "--plain-log".to_owned()]);
    let target = case.target()?;
    let mut answers = BTreeMap::new();

    let mut words = vec!["analyse".to_owned()];
    words.extend(common.clone());
    for dump in DUMPS {
        words.extend([format!("--dump-{dump}"), dumps.join(dump).display().to_string()]);
    }
    words.extend(target.clone());
    let ran = tool.run(&workspace.root(), &words);
    answers.insert("analyse: exit".to_owned(), ran.code.to_string());
    answers.insert("analyse: stdout".to_owned(), ran.stdout);
    let mut log = ran.stderr;
    for dump in DUMPS {
        let text = fs::read_to_string(dumps.join(dump)).unwrap_or_else(|_| "not there".to_owned());
        answers.insert(format!("analyse: --dump-{dump}"), text);
    }

    if !build {
        fs::write(workspace.beside(&format!("{who}.log")), log).ok()?;
        return Some(answers);
    }
    // The same place for both, since some outputs show it.
    let out = workspace.beside("out");
    let mut words = vec!["install".to_owned(), "-s".to_owned()];
    words.extend(common);
    words.extend(["-J".to_owned(), "1".to_owned(), "--dump-artifacts".to_owned()]);
    words.extend(["-".to_owned(), "-o".to_owned(), out.display().to_string()]);
    words.extend(target);
    let ran = tool.run(&workspace.root(), &words);
    answers.insert("install: exit".to_owned(), ran.code.to_string());
    answers.insert("install: stdout".to_owned(), ran.stdout);
    answers.insert("install: counts".to_owned(), counts(&ran.stderr));
    log += &ran.stderr;
    if ran.code == 0 {
        let tree = listing(&out).unwrap_or_default();
        let tree: Value = tree.into_iter().map(|(path, what)| json!([path, what])).collect();
        answers.insert("install: tree".to_owned(), format!("{tree:#}"));
    }
    let _ = fs::remove_dir_all(&out);
    fs::write(workspace.beside(&format!("{who}.log")), log).ok()?;
    Some(answers)
}

/// The lines of a log that count: how many actions there are and were run.
fn counts(log: &str) -> String {
    log.lines()
        .filter(|line| line.contains("Discovered ") || line.contains("Processed "))
        .map(|line| format!("{line}\n"))
        .collect()
}
