//! `cargo xtask rulesets`: builds small projects with justbuild's own, unchanged rule sets.
//!
//! The rule sets are not part of this repository. `--rules` names a directory that has them; otherwise they come from
//! Debian's source package of justbuild. In `xtask/rulesets` there are the targets files with the tools for the rule
//! sets, a project with a module for each rule set, and requests with their expected results; then `test` and
//! `compile-commands` are called for the whole project. These results are determined by
//! the projects, so they hold for any version of the rules and of the compilers. If the reference is available, all its
//! results are compared, too.

use crate::answers::{Answers, Question};
use crate::{apt, cargo, proto};
use anyhow::{Context as _, Result, bail};
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use taut_testkit::Tool;

const PACKAGE: &str = "justbuild";

/// Files in which test runners record time and place: they differ in each run.
const VOLATILE: &[&str] = &["pwd", "time-start", "time-stop"];

/// Makes all requests.
///
/// # Errors
///
/// If the rule sets cannot be obtained (with `--if-available`, this is only a remark), or a result differs from the
/// expected one.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut rules, mut if_available, mut rest) = (None, false, args);
    while let [option, tail @ ..] = rest {
        rest = tail;
        match (option.as_str(), rest) {
            ("--if-available", _) => if_available = true,
            ("--rules", [dir, tail @ ..]) => (rules, rest) = (Some(std::path::absolute(dir)?), tail),
            _ => bail!("options are --rules DIR, --if-available"),
        }
    }
    let rules = match rules.map_or_else(obtain, Ok) {
        Ok(rules) => rules,
        Err(error) if if_available => {
            println!("LEFT OUT: the rule sets are not available here, nothing was checked.\n{error:#}");
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    if !rules.join("CC/RULES").is_file() {
        bail!("{} has no rule sets: no CC/RULES", rules.display());
    }
    check(&rules)
}

/// The rule sets of Debian's source package; kept below `target`.
fn obtain() -> Result<PathBuf> {
    let place = cargo::root().join("target/rulesets");
    let kept = place.join("rules");
    if !kept.exists() {
        println!("rule sets: from the source package {PACKAGE}");
        let sources = apt::source(PACKAGE, &place)
            .context("cannot obtain the rule sets; --rules DIR names a directory that has them")?;
        // Renamed last, so that what is there is complete.
        fs::rename(sources.join("rules"), &kept)?;
    }
    Ok(kept)
}

fn check(rules: &Path) -> Result<()> {
    // Under the reference's name, whose language and messages the rule sets are written for.
    let taut = Tool::at(cargo::taut(false)?).called("just");
    let reference = Tool::reference();
    let here = cargo::root().join("xtask/rulesets");
    let (project, scratch) = (here.join("project"), tempfile::tempdir()?);
    let repositories = scratch.path().join("repositories.json");
    fs::write(
        &repositories,
        json!({"main": "project", "repositories": {
            "project": {"workspace_root": ["file", project], "bindings": {"rules": "rules"}},
            "rules": {
                "workspace_root": ["file", rules],
                // The rule sets find their tools by targets files, which a user of them has to
                // write: those are ours.
                "target_root": ["file", here.join("defaults")],
                "rule_root": ["file", rules],
            },
        }})
        .to_string(),
    )?;
    let env = proto::tools()?;
    let requests: Vec<Value> = serde_json::from_slice(&fs::read(here.join("requests.json"))?)?;
    let mut failed = Vec::new();
    for request in &requests {
        let mut config = request["config"].as_object().cloned().unwrap_or_default();
        let name = format!("{} {}", request["target"], Value::Object(config.clone()));
        // After the name is made, which would be unreadable with it.
        config.insert("ENV".to_owned(), env.clone().into());
        let options = ["-C", &repositories.to_string_lossy(), "-D", &Value::Object(config).to_string()]
            .map(str::to_owned);
        let target: Vec<String> = serde_json::from_value(request["target"].clone())?;
        let question = Question {
            dir: &project,
            scratch: scratch.path(),
            options: &options,
            target: &target,
            rule: None,
            build: true,
        };
        let ours = question.ask(&taut, "ours")?;
        let mut wrong = unexpected(request, &ours);
        if !wrong.is_empty() {
            wrong.push(ours.log.clone());
        }
        // The same build by the reference: what a request does not expect explicitly is compared, too.
        if let Some(reference) = &reference {
            let theirs = question.ask(reference, "theirs")?;
            wrong.extend(comparable(theirs)?.difference(&comparable(ours)?));
        }
        println!("{} {name}", if wrong.is_empty() { "good" } else { "WRONG" });
        if !wrong.is_empty() {
            println!("{}", wrong.join("\n"));
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("not as expected:\n  {}", failed.join("\n  "));
    }
    let compared =
        if reference.is_some() { "the same as the reference" } else { "no reference to compare with" };
    println!("{} requests as expected; {compared}", requests.len());
    test_and_list(&project, &repositories, &env, scratch.path())
}

/// The tests of the project, with whether they pass.
const TESTS: [(&str, bool); 5] = [
    ("calc:bad", false),
    ("calc:good", true),
    ("scripts:bad", false),
    ("scripts:flag", false),
    ("scripts:good", true),
];

/// Runs the tests of the rule sets by `test`, and the commands that `compile-commands` finds in them.
fn test_and_list(
    project: &Path,
    repositories: &Path,
    env: &Map<String, Value>,
    scratch: &Path,
) -> Result<()> {
    let taut = Tool::at(cargo::taut(false)?);
    let config = json!({ "ENV": env }).to_string();
    let root = scratch.join("build-root");
    let call = |words: &[&str]| {
        let (root, repositories) = (root.to_string_lossy(), repositories.to_string_lossy());
        let common = ["--local-build-root", &root, "-C", &repositories, "-D", &config];
        taut.run(project, [&words[..1], &common[..], &words[1..]].concat())
    };
    let tests = call(&["test", "..."]);
    let text = format!("{}{}", tests.stdout, tests.stderr);
    for (name, passes) in TESTS {
        if !text.contains(&format!("{name} {}", if passes { "passed" } else { "failed" })) {
            bail!("the test {name} should {}\n{text}", if passes { "pass" } else { "fail" });
        }
    }
    let list = scratch.join("commands.json");
    let listed = call(&["compile-commands", "-o", &list.to_string_lossy()]);
    if listed.code != 0 {
        bail!("compile-commands exits with {}\n{}", listed.code, listed.stderr);
    }
    let commands: Vec<Value> = serde_json::from_slice(&fs::read(&list)?)?;
    for entry in &commands {
        let words: Vec<String> = serde_json::from_value(entry["arguments"].clone())?;
        let [program, rest @ ..] = words.as_slice() else { bail!("a command without words: {entry}") };
        let mut command = std::process::Command::new(program);
        // Nothing is written, but all that a command needs has to be found.
        command.args(rest).arg("-fsyntax-only").current_dir(entry["directory"].as_str().unwrap_or("."));
        for (name, value) in env {
            command.env(name, value.as_str().unwrap_or_default());
        }
        let output = command.output().with_context(|| format!("cannot start {program}"))?;
        if !output.status.success() {
            bail!("{entry}\n{}", String::from_utf8_lossy(&output.stderr));
        }
    }
    println!("{} tests and {} compile commands as expected", TESTS.len(), commands.len());
    Ok(())
}

/// The expected results of a request that are missing or different.
fn unexpected(request: &Value, answers: &Answers) -> Vec<String> {
    let mut wrong = Vec::new();
    let code = request["code"].as_i64().unwrap_or(0);
    if i64::from(answers.exit) != code {
        wrong.push(format!("exit code {} instead of {code}", answers.exit));
    }
    for (path, content) in request["shows"].as_object().into_iter().flatten() {
        // An entry of a listing has kind and permissions before the content.
        let found = answers.tree.get(path).map(|text| text.splitn(3, ' ').last().unwrap_or(""));
        match (found, content.as_str()) {
            (None, _) => wrong.push(format!("{path} is not there")),
            (Some(found), Some(content)) if found != content => {
                wrong.push(format!("{path} is {found:?}, not {content:?}"));
            }
            _ => {}
        }
    }
    wrong
}

/// The results without the parts that differ in each run, and without the order of the reference's hash tables.
fn comparable(mut answers: Answers) -> Result<Answers> {
    let volatile = |path: &str| VOLATILE.contains(&path.rsplit('/').next().unwrap_or(path));
    let before = answers.tree.len();
    answers.tree.retain(|path, _| !volatile(path));
    if answers.tree.len() < before {
        // It contains the ids of the volatile files, and of the trees with them.
        answers.by_question.remove("install: stdout");
    }
    if let Some(dump) = answers.by_question.get_mut("analyse: --dump-targets-graph") {
        let mut graph: Value = serde_json::from_str(dump).unwrap_or_default();
        for target in graph.as_object_mut().into_iter().flat_map(|graph| graph.values_mut()) {
            for list in target.as_object_mut().into_iter().flat_map(|target| target.values_mut()) {
                if let Some(list) = list.as_array_mut() {
                    list.sort_by_key(Value::to_string);
                }
            }
        }
        *dump = serde_json::to_string_pretty(&graph)?;
    }
    Ok(answers)
}
