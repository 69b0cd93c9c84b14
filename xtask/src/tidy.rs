//! The rules of the project that a program can check: crate dependencies, cycles of imports, file headers and
//! lengths, where `unsafe` may be, banned words, headings and links of pages, licences.
//!
//! The table in `docs/ARCHITECTURE.md` is the only list of allowed dependencies; this compares it with the workspace,
//! so that it is never out of date.

use crate::{cargo, import_cycles, licences, messages, pages, words};
use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

// Long enough for one idea with its tests; a longer file has more than one.
const MAX_LINES: usize = 800;

// The formatter wraps code only. Two files still fit side by side on a wide screen.
const MAX_COMMENT_COLUMNS: usize = 120;

/// Where the keyword may occur: system calls without a safe binding.
const MAY_BE_UNSAFE: &[&str] = &["crates/sys/src/", "xtask/src/measure.rs"];

/// The forms of the keyword; in two pieces, so that this file does not contain them.
const UNSAFE: &[&str] = &[
    concat!("uns", "afe {"),
    concat!("uns", "afe fn"),
    concat!("uns", "afe impl"),
    concat!("uns", "afe extern"),
    concat!("allow(uns", "afe_code"),
    concat!("expect(uns", "afe_code"),
];

/// Checks all rules.
///
/// # Errors
///
/// If one is broken; the error lists every violation.
pub(crate) fn run() -> Result<()> {
    let root = cargo::root();
    let map = fs::read_to_string(root.join("docs/ARCHITECTURE.md"))?;
    let table = table(&map)?;
    let all = cargo::metadata(true)?;
    // All violations in one run, not the first: a change is repaired in one go.
    let mut violations = directions(&table, &edges(&cargo::metadata(false)?)?);
    let sources = sources(&root)?;
    for file in &sources {
        let name = file.strip_prefix(&root)?.to_string_lossy().into_owned();
        violations.extend(file_violations(&name, &fs::read_to_string(file)?));
    }
    violations.extend(import_cycles::violations(&root, &sources)?);
    violations.extend(messages::violations(&root, &sources)?);
    violations.extend(words::violations(&root)?);
    violations.extend(pages::violations(&root)?);
    violations.extend(licences::violations(&all)?);
    if violations.is_empty() {
        return Ok(());
    }
    bail!("{} violations\n  {}", violations.len(), violations.join("\n  "))
}

/// One row of the table: the crate and the crates that it may use. Rows are in the order of the file.
type Row = (String, BTreeSet<String>);

/// The crates and allowed dependencies in the document.
fn table(document: &str) -> Result<Vec<Row>> {
    let names =
        |cell: &str| -> BTreeSet<String> { cell.split('`').skip(1).step_by(2).map(str::to_owned).collect() };
    let rows: Vec<Row> = document
        .lines()
        // Only rows of crates begin with a name in code marks; other tables of the page do not.
        .filter(|line| line.starts_with("| `"))
        .filter_map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split('|').collect();
            let [name, _, uses] = cells.as_slice() else { return None };
            Some((names(name).into_iter().next()?, names(uses)))
        })
        .collect();
    if rows.is_empty() {
        bail!("docs/ARCHITECTURE.md has no table of crates");
    }
    Ok(rows)
}

/// For each crate of the workspace the crates that it depends on, except for tests.
fn edges(metadata: &Value) -> Result<BTreeMap<String, BTreeSet<String>>> {
    let packages = metadata["packages"].as_array().context("no packages")?;
    let name = |value: &Value| crate_name(value["name"].as_str().unwrap_or("")).to_owned();
    let members: BTreeSet<String> = packages.iter().map(name).collect();
    let mut edges = BTreeMap::new();
    for package in packages {
        let dependencies = package["dependencies"].as_array().context("no dependencies")?;
        let used = dependencies
            .iter()
            // Dependencies of tests may point upwards: they are not part of what is linked.
            .filter(|d| d["path"].is_string() && d["kind"].as_str() != Some("dev"))
            .map(name)
            .filter(|name| members.contains(name))
            .collect();
        edges.insert(name(package), used);
    }
    Ok(edges)
}

/// The directory name of a package.
fn crate_name(package: &str) -> &str {
    match package {
        "taut" => "cli",
        other => other.strip_prefix("taut-").unwrap_or(other),
    }
}

fn directions(table: &[Row], edges: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let mut violations = Vec::new();
    let mut above = BTreeSet::new();
    for (name, allowed) in table {
        // The order of rows is the proof that there is no cycle.
        for used in allowed.difference(&above) {
            violations.push(format!("the map lets {name} use {used}, which is not a row above it"));
        }
        above.insert(name.clone());
        match edges.get(name) {
            None => violations.push(format!("the map has {name}, the workspace does not")),
            Some(used) => violations.extend(
                used.difference(allowed)
                    .map(|used| format!("{name} uses {used}, which the map does not allow")),
            ),
        }
    }
    for name in edges.keys().filter(|name| !above.contains(*name)) {
        violations.push(format!("the workspace has {name}, the map does not"));
    }
    violations
}

fn file_violations(name: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    // Tests and examples need no header: their names say what they are for.
    let is_source = name.contains("/src/");
    if is_source && !text.starts_with("//!") {
        violations.push(format!("{name}: does not open with //! and a reason"));
    }
    let lines = text.lines().count();
    if lines > MAX_LINES {
        violations.push(format!("{name}: {lines} lines are more than one idea"));
    }
    for (number, line) in text.lines().enumerate() {
        let comment = line.trim_start();
        // A row of a table cannot be wrapped.
        let is_row = comment.starts_with("//! |") || comment.starts_with("/// |");
        if comment.starts_with("//") && !is_row && line.chars().count() > MAX_COMMENT_COLUMNS {
            violations
                .push(format!("{name}:{}: the comment has over {MAX_COMMENT_COLUMNS} columns", number + 1));
        }
    }
    // Otherwise the tests of thread schedules do not control it.
    if name.starts_with("crates/engine/src/") && !name.ends_with("/sync.rs") {
        // What is below belongs to the tests.
        let product = text.split("#[cfg(test)]").next().unwrap_or("");
        for waited in ["Mutex", "Condvar", "RwLock", "atomic"] {
            let is_direct = |line: &str| line.starts_with("use std::sync::") && line.contains(waited);
            if product.lines().any(is_direct) {
                violations.push(format!("{name}: {waited} comes from crate::sync"));
            }
        }
    }
    if !MAY_BE_UNSAFE.iter().any(|place| name.starts_with(place)) {
        for (number, line) in text.lines().enumerate() {
            // The word may be used in comments.
            let code = line.split("//").next().unwrap_or("");
            if UNSAFE.iter().any(|mark| code.contains(mark)) {
                violations.push(format!("{name}:{}: not a place for this keyword", number + 1));
            }
        }
    }
    violations
}

/// Every Rust file of the project, in a fixed order.
fn sources(root: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut open = vec![root.join("crates"), root.join("xtask")];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{MAX_COMMENT_COLUMNS, directions, file_violations, table};
    use std::collections::{BTreeMap, BTreeSet};

    const MAP: &str = "| crate | what | uses |\n|---|---|---|\n\
        | `low` | something | – |\n| `high` | something on `low` | `low` |\n";

    fn check(edges: &[(&str, &[&str])]) -> Vec<String> {
        let edges: BTreeMap<String, BTreeSet<String>> = edges
            .iter()
            .map(|(name, used)| ((*name).to_owned(), used.iter().map(|u| (*u).to_owned()).collect()))
            .collect();
        directions(&table(MAP).unwrap(), &edges)
    }

    #[test]
    fn edges_of_the_map_are_allowed() {
        assert_eq!(check(&[("low", &[]), ("high", &["low"])]), [] as [&str; 0]);
    }

    #[test]
    fn an_edge_upwards_is_a_violation() {
        let found = check(&[("low", &["high"]), ("high", &[])]);
        assert_eq!(found, ["low uses high, which the map does not allow"]);
    }

    #[test]
    fn map_and_workspace_list_the_same_crates() {
        let found = check(&[("low", &[]), ("other", &[])]);
        assert_eq!(
            found,
            ["the map has high, the workspace does not", "the workspace has other, the map does not"]
        );
    }

    #[test]
    fn a_map_whose_rows_point_downwards_is_a_violation_itself() {
        let wrong = "| `a` | x | `b` |\n| `b` | x | – |\n";
        let edges = [("a".to_owned(), BTreeSet::new()), ("b".to_owned(), BTreeSet::new())];
        let found = directions(&table(wrong).unwrap(), &edges.into_iter().collect());
        assert_eq!(found, ["the map lets a use b, which is not a row above it"]);
    }

    #[test]
    fn comments_are_wrapped_but_for_rows_of_tables() {
        let of = |text: &str| file_violations("crates/a/tests/b.rs", text).len();
        let long = "é".repeat(MAX_COMMENT_COLUMNS);
        assert_eq!(of(&format!("    // {}\n", &long[..2 * (MAX_COMMENT_COLUMNS - 7)])), 0);
        assert_eq!(of(&format!("    // {long}\n")), 1);
        assert_eq!(of(&format!("/// {long}\n")), 1);
        assert_eq!(of(&format!("//! | a | {long} |\n")), 0);
        assert_eq!(of(&format!("let a = \"{long}\";\n")), 0);
    }

    #[test]
    fn files_have_a_reason_and_no_forbidden_keyword() {
        assert_eq!(file_violations("crates/a/src/b.rs", "//! Why.\n"), [] as [&str; 0]);
        assert_eq!(file_violations("crates/a/src/b.rs", "fn f() {}\n").len(), 1);
        let bad = concat!("//! Why.\nfn f() { uns", "afe {} }\n");
        assert_eq!(file_violations("crates/a/src/b.rs", bad).len(), 1);
        assert_eq!(file_violations("crates/sys/src/b.rs", bad), [] as [&str; 0]);
        assert_eq!(file_violations("crates/a/src/b.rs", &"//!\n".repeat(801)).len(), 1);
        let direct = "//! Why.\nuse std::sync::{Arc, Mutex};\n";
        assert_eq!(file_violations("crates/engine/src/b.rs", direct).len(), 1);
        assert_eq!(file_violations("crates/a/src/b.rs", direct), [] as [&str; 0]);
    }
}
