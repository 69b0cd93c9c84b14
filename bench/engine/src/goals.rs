//! The goals, and how the figures of this run compare with them.
//!
//! A goal is a ratio to a peer, or a limit; both are written here once, as *bar* (has to hold on a quiet machine)
//! and *stretch*.

use crate::results::{Results, Sizes};
use serde_json::{Value, json};
use std::path::Path;

/// One comparison.
pub struct Row {
    goal: &'static str,
    what: String,
    figure: Option<f64>,
    unit: Unit,
    bar: Limit,
    stretch: Limit,
    /// What the figure comes from.
    from: String,
}

/// What kind of number it is.
#[derive(Clone, Copy)]
enum Unit {
    Ratio,
    Nanoseconds,
    Bytes,
    Count,
}

/// What the figure may be.
#[derive(Clone, Copy)]
enum Limit {
    No,
    Most(f64),
    Least(f64),
}

impl Limit {
    fn holds(self, figure: f64) -> Option<bool> {
        match self {
            Limit::No => None,
            Limit::Most(most) => Some(figure <= most),
            Limit::Least(least) => Some(figure >= least),
        }
    }

    fn show(self, unit: Unit) -> String {
        match self {
            Limit::No => String::new(),
            Limit::Most(most) => format!("<= {}", show(most, unit)),
            Limit::Least(least) => format!(">= {}", show(least, unit)),
        }
    }
}

fn show(figure: f64, unit: Unit) -> String {
    match unit {
        // Of small ratios the reciprocal is what one remembers.
        Unit::Ratio if figure > 0.0 && figure < 0.05 => format!("1/{:.0}", 1.0 / figure),
        Unit::Ratio => format!("{figure:.2}"),
        Unit::Nanoseconds if figure >= 1e6 => format!("{:.2} ms", figure / 1e6),
        Unit::Nanoseconds if figure >= 1e4 => format!("{:.1} us", figure / 1e3),
        Unit::Nanoseconds => format!("{figure:.0} ns"),
        Unit::Bytes => format!("{figure:.1} B"),
        Unit::Count => format!("{figure:.0}"),
    }
}

impl Row {
    /// For a report.
    pub fn json(&self) -> Value {
        let limit = |limit: Limit| match limit {
            Limit::No => Value::Null,
            Limit::Most(most) => json!({"most": most}),
            Limit::Least(least) => json!({"least": least}),
        };
        json!({
            "goal": self.goal, "what": self.what, "figure": self.figure, "from": self.from,
            "bar": limit(self.bar), "stretch": limit(self.stretch),
            "bar_holds": self.figure.and_then(|figure| self.bar.holds(figure)),
            "stretch_holds": self.figure.and_then(|figure| self.stretch.holds(figure)),
        })
    }
}

use Limit::{Least, Most, No};
use Unit::{Bytes, Count, Nanoseconds, Ratio};

/// All goals.
#[allow(clippy::too_many_lines, reason = "a table")]
pub fn rows(results: &Results, sizes: Sizes, soak: Option<&Path>) -> Vec<Row> {
    let Sizes { small, middle, big, files } = sizes;
    let get = |what: &str, shape: &str, size: usize, name: &str| results.get(what, shape, size, name);
    let mut rows = Vec::new();
    let mut row = |goal, what: String, figure: Option<f64>, unit, bar, stretch, from: String| {
        rows.push(Row { goal, what, figure, unit, bar, stretch, from });
    };
    let per = |a: Option<f64>, b: Option<f64>| Some(a? / b?);
    let pair = |a: Option<f64>, b: Option<f64>, unit| match (a, b) {
        (Some(a), Some(b)) => format!("{} : {}", show(a, unit), show(b, unit)),
        (Some(a), None) => format!("{} : nothing to compare with", show(a, unit)),
        _ => String::new(),
    };

    let null = |size| get("taut", "stencil", size, "null");
    let (a, b) = (null(big), null(small));
    row(
        "G1",
        format!("null, {big} : {small} tasks"),
        per(a, b),
        Ratio,
        Most(1.5),
        No,
        pair(a, b, Nanoseconds),
    );
    // The bars grow with the size: a null build must not depend on it, salsa's walks the graph.
    for (size, bar) in [(middle, 1.0 / 500.0), (big, 1.0 / 5000.0)] {
        let (a, b) = (null(size), get("salsa", "stencil", size, "null"));
        row(
            "G1",
            format!("null, {size}, of salsa"),
            per(a, b),
            Ratio,
            Most(bar),
            No,
            pair(a, b, Nanoseconds),
        );
    }
    row("G1", format!("null, {middle}"), null(middle), Nanoseconds, No, Most(2e3), String::new());

    let (a, b) = (get("taut", "stencil", middle, "cut"), get("salsa", "stencil", middle, "cut"));
    row(
        "G2",
        "one leaf, cut off, of salsa".into(),
        per(a, b),
        Ratio,
        Most(1.0 / 500.0),
        No,
        pair(a, b, Nanoseconds),
    );
    row("G2", "one leaf, cut off".into(), a, Nanoseconds, No, Most(1e4), String::new());

    let (a, b) = (get("taut", "stencil", middle, "one"), get("salsa", "stencil", middle, "one"));
    row(
        "G3",
        "one leaf, propagated, of salsa".into(),
        per(a, b),
        Ratio,
        Most(0.1),
        No,
        pair(a, b, Nanoseconds),
    );
    let b = get("incremental", "stencil", middle, "one");
    row(
        "G3",
        "the same, of Incremental".into(),
        per(a, b),
        Ratio,
        Most(4.0),
        Most(2.0),
        pair(a, b, Nanoseconds),
    );

    let (a, b) = (get("taut", "random", middle, "all"), get("salsa", "random", middle, "all"));
    row("G4", "all leaves, of salsa".into(), per(a, b), Ratio, Most(0.8), No, pair(a, b, Nanoseconds));
    let b = get("incremental", "random", middle, "all");
    row("G4", "all leaves, of Incremental".into(), per(a, b), Ratio, No, Most(1.0), pair(a, b, Nanoseconds));

    for shape in ["stencil", "random"] {
        let (a, b) = (get("taut", shape, middle, "first"), get("salsa", shape, middle, "first"));
        row(
            "G5",
            format!("first, {shape}, of salsa"),
            per(a, b),
            Ratio,
            Most(1.0),
            Most(0.7),
            pair(a, b, Nanoseconds),
        );
        let a = get("taut-durable", shape, middle, "first");
        row(
            "G5",
            format!("first, {shape}, durable, of salsa"),
            per(a, b),
            Ratio,
            Most(1.6),
            Most(1.2),
            pair(a, b, Nanoseconds),
        );
    }

    let cold = get("taut-cold", "stencil", middle, "cold");
    row("G6", format!("cold null, {middle}"), cold, Nanoseconds, Most(5e6), Most(2e6), String::new());
    for (peer, name, bar) in [("lmdb-cold", "an LMDB scan", 1.0), ("salsa-cold", "salsa's load", 1.0 / 35.0)]
    {
        let b = get(peer, "stencil", middle, "cold");
        row(
            "G6",
            format!("cold null, of {name}"),
            per(cold, b),
            Ratio,
            Most(bar),
            No,
            pair(cold, b, Nanoseconds),
        );
    }
    let a = get("taut-cold", "stencil", big, "cold");
    row("G6", format!("cold null, {big}"), a, Nanoseconds, No, Most(25e6), String::new());

    let (a, b) = (get("taut-files", "stencil", files, "cold"), get("files-loop", "stencil", files, "loop"));
    // Less what a cold null build costs without files, so that only looking at them is compared.
    let spent = a.map(|a| a - cold.unwrap_or(0.0));
    row(
        "G7",
        format!("cold null, {files} files looked at, less G6, of a bare loop"),
        per(spent, b),
        Ratio,
        Most(1.25),
        No,
        pair(a, b, Nanoseconds),
    );
    let a = get("taut-files", "stencil", files, "cold, wall");
    row("G7", "the same, wall, two threads".into(), per(a, b), Ratio, No, Most(0.7), pair(a, b, Nanoseconds));

    let memory = |name| get("taut-memory", "stencil", middle, name);
    let more = |name| memory(name).map_or(String::new(), |bytes| show(bytes, Bytes));
    let from = format!(
        "allocated; {} with values, {} after twenty mass changes",
        more("with values"),
        more("after twenty changes of everything")
    );
    let a = memory("bytes");
    row("G8", "memory for each task, all in, no values".into(), a, Bytes, Most(140.0), Most(112.0), from);
    let a = memory("hot columns");
    row(
        "G8",
        "memory for each task, hot columns".into(),
        a,
        Bytes,
        Most(80.0),
        Most(64.0),
        "reported by the engine".into(),
    );

    let a = get("taut-durable", "stencil", middle, "disk");
    row("G9", "disk for each task".into(), a, Bytes, Most(130.0), Most(96.0), String::new());
    let a = get("taut-durable", "stencil", middle, "disk, each further run");
    row(
        "G9",
        "disk for each further run, less the hash".into(),
        a,
        Bytes,
        Most(24.0),
        Most(16.0),
        String::new(),
    );

    for (name, layered) in [("first", "first"), ("one", "all")] {
        let tasks = (big + 1) as f64;
        let (a, b) = (get("taut", "chain", big, name), get("taut", "stencil", big, layered));
        let (a, b) = (a.map(|a| a / tasks), b.map(|b| b / tasks));
        row(
            "G10",
            format!("chain of {big} on 2 MB, {name}, for each task of layers"),
            per(a, b),
            Ratio,
            Most(2.0),
            No,
            pair(a, b, Nanoseconds),
        );
    }
    let (a, b) = (get("taut", "chain", big, "null"), null(big));
    row(
        "G10",
        format!("chain of {big}, null, of layers"),
        per(a, b),
        Ratio,
        Most(2.0),
        No,
        pair(a, b, Nanoseconds),
    );

    let durable = |name| get("taut-durable", "stencil", middle, name);
    let (a, b) = (durable("commit"), durable("append"));
    let (c, d) = (durable("commit, wall"), durable("append, wall"));
    let from = format!("{}; wall {}", pair(a, b, Nanoseconds), pair(c, d, Nanoseconds));
    row("G11", "commit of ten runs, of an append".into(), per(a, b), Ratio, Most(1.5), No, from);

    row(
        "G12",
        "each executed task, durable, all in".into(),
        durable("per executed task"),
        Nanoseconds,
        Most(1e3),
        Most(5e2),
        "all leaves".into(),
    );
    let each = get("taut", "stencil", middle, "one").zip(get("taut", "stencil", middle, "executed, one"));
    row(
        "G12",
        "each executed task, in memory".into(),
        each.map(|(all, tasks)| all / tasks),
        Nanoseconds,
        Most(1e3),
        Most(5e2),
        "one leaf".into(),
    );

    let branch = |name| get("taut-branch", "random", middle, name);
    let from = format!(
        "A {}, B {}",
        show(branch("A").unwrap_or(0.0), Count),
        show(branch("B").unwrap_or(0.0), Count)
    );
    row(
        "G13",
        "A to B to A: executed tasks, leaves apart".into(),
        branch("A again"),
        Count,
        Most(0.0),
        No,
        from,
    );

    let soaked = |name: &str| {
        let text = std::fs::read_to_string(soak?).ok()?;
        serde_json::from_str::<Value>(&text).ok()?[name].as_f64()
    };
    let from = "the last `cargo xtask soak` here".to_owned();
    row(
        "G14",
        "random programs, what ran as predicted".into(),
        soaked("oracle_cases"),
        Count,
        Least(1e6),
        No,
        from.clone(),
    );
    row("G15", "kill points without harm".into(), soaked("kill_points"), Count, Least(1e4), No, from.clone());
    row("G15", "byte flips without harm".into(), soaked("byte_flips"), Count, Least(1e4), No, from);

    let explain = |name| get("taut-explain", "stencil", middle, name);
    let (a, b) = (explain("explained"), explain("executed"));
    row(
        "G16",
        "executions whose first cause is named".into(),
        per(a, b),
        Ratio,
        Least(1.0),
        No,
        pair(a, b, Count),
    );

    let busy = |name| get("taut-parallel", "stencil", middle / 20, name);
    let (a, b) = (busy("one thread"), busy("two threads"));
    row(
        "G17",
        "tasks of 20 us, two threads, wall".into(),
        per(a, b),
        Ratio,
        Least(1.8),
        No,
        pair(a, b, Nanoseconds),
    );
    rows
}

/// Prints the figures by graph, then the goals.
pub fn print(results: &Results, sizes: Sizes, rows: &[Row]) {
    println!("milliseconds of processor time (floor: arrays and loops, no engine)\n");
    for (shape, size) in [
        ("stencil", sizes.middle),
        ("random", sizes.middle),
        ("stencil", sizes.big),
        ("random", sizes.big),
        ("chain", sizes.big),
    ] {
        println!(
            "{shape} {size:<12}{:>12}{:>12}{:>12}{:>12}{:>12}{:>12}",
            "first", "null", "cut", "one", "all", "B/task"
        );
        for what in ["floor", "incremental", "salsa", "taut"] {
            let ms = |name| match results.get(what, shape, size, name) {
                Some(figure) if name == "bytes" => format!("{figure:.1}"),
                Some(figure) => format!("{:.4}", figure / 1e6),
                None => "-".to_owned(),
            };
            let [first, null, cut, one, all, bytes] = ["first", "null", "cut", "one", "all", "bytes"].map(ms);
            println!("  {what:<18}{first:>12}{null:>12}{cut:>12}{one:>12}{all:>12}{bytes:>12}");
        }
    }
    println!("\n{:<4} {:<68} {:>10} {:>10} {:>11}", "goal", "", "bar", "stretch", "figure");
    for row in rows {
        let figure = row.figure.map_or("-".to_owned(), |figure| show(figure, row.unit));
        let holds = |limit: Limit| row.figure.and_then(|figure| limit.holds(figure));
        let verdict = match (holds(row.bar), holds(row.stretch)) {
            (Some(false), _) => "BAR MISSED",
            (_, Some(true)) => "stretch",
            (Some(true), _) => "bar",
            (None, Some(false)) => "not stretch",
            (None, None) => "not measured",
        };
        let (bar, stretch) = (row.bar.show(row.unit), row.stretch.show(row.unit));
        println!(
            "{:<4} {:<68} {bar:>10} {stretch:>10} {figure:>11}  {verdict:<12} {}",
            row.goal, row.what, row.from
        );
    }
    println!("\nShake: {}", shake());
    for (what, how) in &results.failures {
        println!("{what}: {how}");
    }
}

/// Why there are no figures of Shake.
fn shake() -> &'static str {
    match std::process::Command::new("ghc-pkg").args(["latest", "shake"]).output() {
        Ok(output) if output.status.success() => "is installed, but this program does not measure it yet",
        _ => "not installed here, left out",
    }
}
