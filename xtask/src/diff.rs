//! `cargo xtask diff`: random projects, taut and the reference side by side.
//!
//! Exit codes, standard output, every dump and installed trees are compared; texts on standard error are not. A
//! difference is shrunk to a small project and printed.
//!
//! `--repositories` makes several repositories of each project, with roots of all kinds.
//!
//! `--expressions` compares values of expressions instead, hundreds in one project. `--messages` compares standard
//! error in all situations of `crates/cli/tests/diagnostics` and records what the reference says.

mod expressions;

pub(crate) use expressions::print_expressions;

use crate::answers::Question;
use crate::cargo;
use anyhow::{Context as _, Result, bail};
use std::fs;
use std::path::PathBuf;
use taut_testkit::{Case, Rng, Tool, random_case, random_repositories, shrink};

/// Compares `--cases N` projects (100), `--repositories N` projects of several repositories, or `--expressions N`
/// expressions, beginning at `--seed S` (0); `--out DIR` writes the differences to files, `--only analyse` builds
/// nothing, `--shrink N` limits the attempts to shrink a difference (400).
///
/// # Errors
///
/// If there is no reference here, or a difference is found.
pub(crate) fn run(args: &[String]) -> Result<()> {
    if let [option] = args
        && option == "--messages"
    {
        return messages();
    }
    let (mut cases, mut seed, mut build, mut tries) = (100_u64, 0_u64, true, 400);
    let (mut out, mut rest, mut single) = (None::<PathBuf>, args, None::<u64>);
    let mut random: fn(&mut Rng) -> Case = random_case;
    // Options of all calls.
    let mut mode: &[&str] = &[];
    while let [option, value, tail @ ..] = rest {
        rest = tail;
        match option.as_str() {
            "--cases" => cases = value.parse()?,
            "--repositories" => (cases, random) = (value.parse()?, random_repositories),
            "--seed" => seed = value.parse()?,
            "--shrink" => tries = value.parse()?,
            "--only" if value == "analyse" => build = false,
            "--mode" if value == "compatible" => mode = &["--compatible"],
            "--expressions" => single = Some(value.parse()?),
            "--out" => out = Some(PathBuf::from(value)),
            other => bail!("unknown option {other}"),
        }
    }
    if !rest.is_empty() {
        bail!(
            "options are --cases N, --repositories N, --expressions N, --seed S, --out DIR, --only analyse, --mode compatible, --shrink N"
        );
    }
    let reference = Tool::reference()
        .context("the reference is not installed here: name its binary in TAUT_REFERENCE")?;
    // Called as the reference, since each name has answers of its own.
    let taut = Tool::at(cargo::taut(false)?).called("just");
    if let Some(count) = single {
        return expressions::run(count, seed, &taut, &reference);
    }
    let (mut different, mut good) = (0, 0);
    for seed in seed..seed + cases {
        let case = random(&mut Rng::new(seed));
        let Some((found, exit)) = compare(&case, &taut, &reference, (build, mode)) else { continue };
        good += u64::from(exit == 0);
        if found.is_none() {
            continue;
        }
        different += 1;
        // The small case may show another difference than the one that was found, which is as good.
        let small = shrink(case.0, tries, |value| {
            difference(&Case(value.clone()), &taut, &reference, (build, mode)).is_some()
        });
        let small = Case(small);
        let found = difference(&small, &taut, &reference, (build, mode)).unwrap_or_default();
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

/// Compares messages: the test of the recorded ones records them, and prints how many are equal and which are not.
fn messages() -> Result<()> {
    Tool::reference().context("the reference is not installed here: name its binary in TAUT_REFERENCE")?;
    let mut test = cargo::cargo();
    test.args([
        "test",
        "--quiet",
        "--package",
        "taut",
        "--test",
        "diagnostics",
        "reference",
        "--",
        "--nocapture",
    ]);
    if !test.env("TAUT_RECORD", "1").status()?.success() {
        bail!("the messages cannot be compared");
    }
    Ok(())
}

/// Whether targets are built, and more options of all calls.
type CallOptions<'h> = (bool, &'h [&'h str]);

/// The difference as text; `None` if there is no difference, or the value is not a case.
fn difference(case: &Case, taut: &Tool, reference: &Tool, how: CallOptions<'_>) -> Option<String> {
    compare(case, taut, reference, how)?.0
}

/// The difference, if any, and the exit code of the reference's analysis.
fn compare(
    case: &Case,
    taut: &Tool,
    reference: &Tool,
    (build, mode): CallOptions<'_>,
) -> Option<(Option<String>, i32)> {
    let workspace = case.write()?;
    let (dir, scratch) = (workspace.root(), workspace.beside("answers"));
    let (mut options, target) = (case.config(), case.target()?);
    options.extend(mode.iter().map(|option| (*option).to_owned()));
    let question = Question {
        dir: &dir,
        scratch: &scratch,
        options: &options,
        target: &target,
        // The first rule of random projects, where they have rules of their own.
        rule: Some("r0"),
        build,
    };
    let theirs = question.ask(reference, "theirs").ok()?;
    // The reference aborts: 128 + 6, SIGABRT.
    if theirs.by_question.values().any(|answer| answer.starts_with("134")) {
        return None;
    }
    let ours = question.ask(taut, "ours").ok()?;
    let exit = theirs.by_question["analyse: exit"].parse().unwrap_or(-1);
    Some((theirs.difference(&ours), exit))
}
