//! Which measurements there are, in which order they run, and their results.

use crate::goals;
use crate::results::{Results, Sizes};
use serde_json::{Map, Value, json};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

// The middle size is that of a large project; the others show how costs grow.
const FULL: Sizes = Sizes { small: 10_000, middle: 100_000, big: 1_000_000, files: 100_000 };
/// Whether everything works; the figures mean little.
const QUICK: Sizes = Sizes { small: 1_000, middle: 10_000, big: 20_000, files: 2_000 };

/// What the words of the command line ask for.
struct Request {
    json: Option<PathBuf>,
    sizes: Sizes,
    rounds: usize,
    /// Only measurements whose name contains this.
    only: String,
    soak: Option<PathBuf>,
}

fn request(words: &[&str]) -> Request {
    // Five rounds: the median of an odd number is one of the samples.
    let mut request = Request { json: None, sizes: FULL, rounds: 5, only: String::new(), soak: None };
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || *words.next().unwrap_or_else(|| panic!("{word} needs a value"));
        match *word {
            "--json" => request.json = Some(value().into()),
            "--quick" => (request.sizes, request.rounds) = (QUICK, 1),
            "--rounds" => request.rounds = value().parse().expect("a number of rounds"),
            "--only" => request.only = value().to_owned(),
            "--soak-report" => request.soak = Some(value().into()),
            other => {
                eprintln!("unknown option {other}; there are --json FILE, --quick, --rounds N, --only WORD");
                std::process::exit(2);
            }
        }
    }
    request
}

/// Measures everything and prints how it compares with the goals.
pub fn run(words: &[&str]) {
    let request = request(words);
    // Beside the program, where files are on a disk.
    let own = std::env::current_exe().expect("this program lies somewhere");
    let scratch = tempfile::tempdir_in(own.parent().expect("in a directory")).expect("a directory");
    let mut results = Results::default();
    let Sizes { small, middle, big, files } = request.sizes;
    // Round by round, not engine by engine: what else the machine does meanwhile hits all alike.
    for round in 0..request.rounds {
        eprintln!("round {} of {}", round + 1, request.rounds);
        let mut one = |what: &str, shape: &str, size: usize| {
            if what.contains(&request.only) || request.only.is_empty() {
                measure(&mut results, what, shape, size, scratch.path());
            }
        };
        for shape in ["stencil", "random"] {
            one("taut", shape, small);
            for size in [middle, big] {
                // More repetitions of the large ones do not change the median.
                if size == big && round >= 3 {
                    continue;
                }
                for what in ["floor", "incremental", "salsa", "taut"] {
                    one(what, shape, size);
                }
            }
            one("taut-durable", shape, middle);
            one("taut-cold", shape, middle);
        }
        for what in ["salsa-write", "salsa-cold", "lmdb-write", "lmdb-cold"] {
            one(what, "stencil", middle);
        }
        // Reading again what is read already: the files of the large graph come after those of the middle one.
        if round < 3 {
            one("taut-write", "stencil", big);
            one("taut-cold", "stencil", big);
            one("floor", "chain", big);
            one("taut", "chain", big);
        }
        one("taut-branch", "random", middle);
        if round == 0 {
            one("salsa", "chain", big);
            one("taut-memory", "stencil", middle);
            one("taut-explain", "stencil", middle);
            one("files-write", "stencil", files);
        }
        one("files-loop", "stencil", files);
        one("taut-files", "stencil", files);
        one("taut-parallel", "stencil", middle / 20);
    }
    let rows = goals::rows(&results, request.sizes, request.soak.as_deref());
    goals::print(&results, request.sizes, &rows);
    if let Some(path) = request.json {
        let report = json!({"goals": rows.iter().map(goals::Row::json).collect::<Vec<_>>(), "figures": results.json()});
        std::fs::write(path, serde_json::to_string_pretty(&report).expect("is JSON")).expect("written");
    }
}

/// Starts one process and records what it reports.
fn measure(results: &mut Results, what: &str, shape: &str, size: usize, dir: &Path) {
    let own = std::env::current_exe().expect("this program lies somewhere");
    let graph = format!("{shape} {size}");
    let begin = std::time::Instant::now();
    // What is written and what begins with it share a directory of their own.
    let dir = dir.join(&graph);
    std::fs::create_dir_all(&dir).expect("a directory");
    let output = Command::new(own)
        .args(["measure", what, shape, &size.to_string()])
        .arg(dir)
        // Kept, since the first line of a panic is the reason that is shown.
        .stderr(Stdio::piped())
        .output()
        .expect("starts");
    eprintln!("  {what} {graph}: {:.1} s", begin.elapsed().as_secs_f64());
    let text = String::from_utf8_lossy(&output.stdout);
    match serde_json::from_str::<Map<String, Value>>(text.trim()) {
        Ok(reported) if output.status.success() => results.note(what, &graph, &reported),
        _ => {
            let printed = String::from_utf8_lossy(&output.stderr);
            let first = printed.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            results.failures.insert(format!("{what} {graph}"), format!("{}: {first}", output.status));
        }
    }
}
