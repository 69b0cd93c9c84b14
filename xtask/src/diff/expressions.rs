//! Values of random expressions, hundreds in one project.
//!
//! Each expression is provided by a target. A first call of each tool shows which targets are in error; the values of
//! the others are requested together. So thousands of expressions take as many seconds as whole projects would take
//! minutes.

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use taut_testkit::{
    Case, ExpressionKind, Rng, Tool, expressions_case, random_config, random_expression, shrink,
};

/// The number of expressions in one project.
// Small enough for a readable log if one of them fails in a new way, and large enough to make the
// start of processes cheap.
const BATCH: u64 = 250;

/// A random expression of any kind and depth, by its number.
fn expression(seed: u64, place: ExpressionKind) -> Value {
    random_expression(&mut Rng::new(seed), place, 2 + seed as usize % 4)
}

/// Prints a JSON list of random expressions, one per line; `args` are their number, and the seed.
///
/// # Errors
///
/// If the words are not two numbers.
pub(crate) fn print_expressions(args: &[String]) -> Result<()> {
    let [count, seed] = args else { bail!("expressions N SEED") };
    let (count, seed): (u64, u64) = (count.parse()?, seed.parse()?);
    let lines: Vec<String> =
        (seed..seed + count).map(|seed| expression(seed, ExpressionKind::Anywhere).to_string()).collect();
    println!("[\n{}\n]", lines.join(",\n"));
    Ok(())
}

/// Compares `count` expressions.
pub(super) fn run(count: u64, seed: u64, taut: &Tool, reference: &Tool) -> Result<()> {
    let (mut good, mut different, mut begin) = (0, 0, seed);
    while begin < seed + count {
        let end = (begin + BATCH).min(seed + count);
        let all: Vec<Value> = (begin..end).map(|seed| expression(seed, ExpressionKind::Rule)).collect();
        let config = random_config(&mut Rng::new(begin));
        let wrong = batch(&all, &config, taut, reference)?;
        good += all.len() - wrong.errors;
        different += wrong.numbers.len();
        for number in wrong.numbers {
            // A candidate that makes a tool fail as a whole is not smaller in the same way, so an
            // error counts as no difference.
            let single = |expression: &Value| {
                let single = batch(std::slice::from_ref(expression), &config, taut, reference);
                single.is_ok_and(|wrong| !wrong.numbers.is_empty())
            };
            let small = shrink(all[number].clone(), 200, single);
            println!("# expression {}, in {config}\n\n{small}\n", begin + number as u64);
            let case = expressions_case(&[small], &config, &[]);
            for (label, tool) in [("reference", reference), ("taut", taut)] {
                let answer = answer(&case, tool)?;
                println!("{label}: {}\n{}\n", answer.values.unwrap_or_default(), answer.log);
            }
        }
        begin = end;
    }
    println!("{count} expressions, {good} of them with a value, {different} differ");
    if different > 0 {
        bail!("taut and the reference differ");
    }
    Ok(())
}

struct Wrong {
    /// The numbers of those with different results.
    numbers: Vec<usize>,
    /// The number of those without a value.
    errors: usize,
}

fn batch(all: &[Value], config: &Value, taut: &Tool, reference: &Tool) -> Result<Wrong> {
    let case = expressions_case(all, config, &[]);
    let (theirs, ours) = (answer(&case, reference)?, answer(&case, taut)?);
    // An error in one tool alone is a difference, whatever the texts are.
    let mut numbers: Vec<usize> = theirs.failed.symmetric_difference(&ours.failed).copied().collect();
    // Without those that are in error in either tool, so that both have values to compare.
    let without: Vec<usize> = theirs.failed.union(&ours.failed).copied().collect();
    let case = expressions_case(all, config, &without);
    let (theirs, ours) = (answer(&case, reference)?, answer(&case, taut)?);
    let errors = without.len();
    // By text: the order of keys and the notation of numbers are part of the answer.
    if theirs.values == ours.values && theirs.graph == ours.graph {
        return Ok(Wrong { numbers, errors });
    }
    let differs = |their: &Option<String>, our: &Option<String>| {
        let (their, our) = (their.as_deref().unwrap_or("none"), our.as_deref().unwrap_or("none"));
        let mut lines = their.lines().zip(our.lines());
        lines.find(|(their, our)| their != our).map(|(their, our)| format!("{their}\n{our}"))
    };
    let lines = differs(&theirs.values, &ours.values).or_else(|| differs(&theirs.graph, &ours.graph));
    let theirs: Vec<Value> = theirs.list()?;
    let ours: Vec<Value> = ours.list()?;
    // The list of values has the numbers that were kept, in their order.
    let kept = (0..all.len()).filter(|number| !without.contains(number));
    let differ = kept.zip(theirs.iter().zip(&ours)).filter(|(_, (their, our))| their != our);
    numbers.extend(differ.map(|(number, _)| number));
    if numbers.is_empty() {
        bail!("the values agree, but texts or definitions do not:\n{}", lines.unwrap_or_default());
    }
    Ok(Wrong { numbers, errors })
}

struct Answer {
    /// The text of the values.
    values: Option<String>,
    graph: Option<String>,
    /// The numbers of the targets in error.
    failed: BTreeSet<usize>,
    log: String,
}

impl Answer {
    fn list(&self) -> Result<Vec<Value>> {
        let values = self.values.as_deref().with_context(|| format!("no values:\n{}", self.log))?;
        let values: Value = serde_json::from_str(values)?;
        Ok(values["v"].as_array().context("no list of values")?.clone())
    }
}

fn answer(case: &Case, tool: &Tool) -> Result<Answer> {
    let workspace = case.write().context("a case")?;
    let build_root = workspace.beside("root").display().to_string();
    let at = |name: &str| workspace.beside(name).display().to_string();
    let mut words: Vec<String> = ["analyse", "--plain-log", "--local-build-root", &build_root]
        .iter()
        .map(|word| (*word).to_owned())
        .collect();
    words.extend([
        "--dump-provides".to_owned(),
        at("provides"),
        "--dump-plain-graph".to_owned(),
        at("graph"),
    ]);
    words.extend(case.config());
    words.push("all".to_owned());
    let ran = tool.run(&workspace.root(), &words);
    let read = |name: &str| fs::read_to_string(workspace.beside(name)).ok();
    // The names of failed targets are found in the log, since no other output has them.
    let mut failed = BTreeSet::new();
    let mark = json!(["@", "", "", "e"]).to_string();
    for part in ran.stderr.split(mark.trim_end_matches("\"]")).skip(1) {
        let digits: String = part.chars().take_while(char::is_ascii_digit).collect();
        failed.extend(digits.parse::<usize>().ok());
    }
    // Then names in the log are of no errors.
    if ran.code == 0 {
        failed.clear();
    }
    Ok(Answer { values: read("provides"), graph: read("graph"), failed, log: ran.stderr })
}
