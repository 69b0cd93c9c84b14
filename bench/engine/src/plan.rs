//! Which measurements there are, in which order they run, and what became of them.

use crate::cost::median;
use crate::goals;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Sizes of the graphs.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// For the question whether something depends on the size.
    pub small: usize,
    /// What most goals are about.
    pub middle: usize,
    /// Also the length of the chain.
    pub big: usize,
    /// Files that are looked at.
    pub files: usize,
}

const FULL: Sizes = Sizes { small: 10_000, middle: 100_000, big: 1_000_000, files: 100_000 };
/// Whether everything works; the figures mean little.
const QUICK: Sizes = Sizes { small: 1_000, middle: 10_000, big: 20_000, files: 2_000 };

/// Figures by measurement (`what shape size`) and name: the medians.
#[derive(Default)]
pub struct Results {
    samples: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
    /// Results in which all measurements of a graph have to agree.
    checks: BTreeMap<String, (String, String)>,
    /// What did not work.
    pub failures: BTreeMap<String, String>,
}

impl Results {
    /// The median of a figure.
    pub fn get(&self, what: &str, shape: &str, size: usize, name: &str) -> Option<f64> {
        let samples = self.samples.get(&format!("{what} {shape} {size}"))?.get(name)?;
        Some(median(samples.clone()))
    }

    fn note(&mut self, what: &str, graph: &str, told: &Map<String, Value>) {
        for (name, figure) in told {
            if let Some(figure) = figure.as_f64() {
                let figures = self.samples.entry(format!("{what} {graph}")).or_default();
                figures.entry(name.clone()).or_default().push(figure);
                continue;
            }
            let value = figure.as_str().unwrap_or_default().to_owned();
            let (known, by) = self
                .checks
                .entry(format!("{graph} {name}"))
                .or_insert_with(|| (value.clone(), what.to_owned()));
            assert_eq!(*known, value, "{what} and {by} disagree on {graph} {name}");
        }
    }

    fn json(&self) -> Value {
        let medians = |figures: &BTreeMap<String, Vec<f64>>| -> BTreeMap<String, f64> {
            figures.iter().map(|(name, samples)| (name.clone(), median(samples.clone()))).collect()
        };
        let all: BTreeMap<&String, _> =
            self.samples.iter().map(|(measurement, figures)| (measurement, medians(figures))).collect();
        json!({"nanoseconds_or_counts": all, "failures": self.failures})
    }
}

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
                // Repeating the large ones often tells nothing more.
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

/// Starts one process and takes down what it tells.
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
        .stderr(Stdio::piped())
        .output()
        .expect("starts");
    eprintln!("  {what} {graph}: {:.1} s", begin.elapsed().as_secs_f64());
    let text = String::from_utf8_lossy(&output.stdout);
    match serde_json::from_str::<Map<String, Value>>(text.trim()) {
        Ok(told) if output.status.success() => results.note(what, &graph, &told),
        _ => {
            let said = String::from_utf8_lossy(&output.stderr);
            let said = said.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
            results.failures.insert(format!("{what} {graph}"), format!("{}: {said}", output.status));
        }
    }
}
