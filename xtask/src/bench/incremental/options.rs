//! The options of `bench incremental`.

use super::super::graph::Shape;
use super::phase::Phase;
use anyhow::{Context as _, Result, bail};
use std::path::PathBuf;

/// The phases, sizes and rounds to measure.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Options {
    pub(super) json: Option<PathBuf>,
    pub(super) sizes: Vec<usize>,
    pub(super) shapes: Vec<Shape>,
    pub(super) rounds: usize,
    /// Whether to run quickly, as a check that everything works.
    pub(super) quick: bool,
    pub(super) jobs: usize,
    /// Only these phases; `None`: all.
    pub(super) only: Option<Vec<String>>,
    /// Tools to leave out.
    pub(super) without: Vec<String>,
    /// The number of random edits for the check of the store's size; 0: not measured.
    pub(super) edits: usize,
    /// Whether system calls are counted, too.
    pub(super) syscalls: bool,
}

/// The default sizes and shapes.
// The largest size takes long with all tools, so it has to be asked for.
const SIZES: [usize; 2] = [1_000, 10_000];
const SHAPES: [Shape; 2] = [Shape::Layered, Shape::C];

/// Small enough to take seconds; large enough for every phase to have some work.
const QUICK_SIZE: usize = 100;

impl Options {
    /// Whether a phase is to be measured.
    pub(super) fn wants(&self, phase: Phase) -> bool {
        self.only.as_ref().is_none_or(|only| only.iter().any(|name| name == phase.name()))
    }

    /// From the words of the command line.
    pub(super) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self {
            json: None,
            sizes: SIZES.to_vec(),
            shapes: SHAPES.to_vec(),
            rounds: 3,
            quick: false,
            jobs: 2,
            only: None,
            without: Vec::new(),
            edits: 0,
            syscalls: false,
        };
        let mut words = args.iter();
        while let Some(option) = words.next() {
            let mut value = || words.next().with_context(|| format!("{option} needs a value"));
            let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
            match option.as_str() {
                "--quick" => {
                    (options.sizes, options.rounds, options.quick) = (vec![QUICK_SIZE], 1, true);
                    // It takes longer than all others together.
                    options.without.push("just".to_owned());
                }
                "--syscalls" => options.syscalls = true,
                "--json" => options.json = Some(std::path::absolute(value()?)?),
                "--size" => options.sizes = vec![value()?.parse().context("--size")?],
                "--rounds" => options.rounds = value()?.parse().context("--rounds")?,
                "--edits" => options.edits = value()?.parse().context("--edits")?,
                "--jobs" => options.jobs = value()?.parse().context("--jobs")?,
                "--only" => options.only = Some(list(value()?)),
                "--without" => options.without = list(value()?),
                "--shape" => {
                    let name = value()?;
                    let shape = Shape::named(name);
                    options.shapes =
                        vec![shape.with_context(|| format!("no shape {name}: {}", Shape::names()))?];
                }
                other => bail!(
                    "unknown option {other}: options are --json FILE, --quick, --size N, --shape S, --rounds N, \
                     --jobs N, --only PHASE,…, --without TOOL,…, --edits N, --syscalls"
                ),
            }
        }
        // Checked here: a phase that is misspelt would silently measure nothing.
        let known = |name: &String| Phase::ALL.iter().any(|phase| phase.name() == name);
        if let Some(name) = options.only.iter().flatten().find(|name| !known(name)) {
            bail!("no phase {name}: {}", Phase::ALL.map(Phase::name).join(", "));
        }
        if options.rounds == 0 {
            bail!("--rounds is at least 1");
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(words: &str) -> Result<Options> {
        let words: Vec<String> = words.split_whitespace().map(str::to_owned).collect();
        Options::parse(&words)
    }

    #[test]
    fn options_with_and_without_values_are_distinguished() {
        let options = parse("--quick --only null,source --syscalls --without just --jobs 4").unwrap();
        assert_eq!((options.sizes.as_slice(), options.rounds, options.jobs), ([QUICK_SIZE].as_slice(), 1, 4));
        assert!(
            options.quick && options.syscalls && options.wants(Phase::Null) && !options.wants(Phase::Cold)
        );
        assert_eq!(options.without, ["just"]);
        assert_eq!(parse("").unwrap().sizes, SIZES);
    }

    #[test]
    fn wrong_words_are_named() {
        let error = |words| format!("{:#}", parse(words).unwrap_err());
        assert!(error("--only nul").contains("no phase nul: cold, "));
        assert!(error("--size").contains("--size needs a value"));
        assert!(error("--size many").contains("--size"));
        assert!(error("--shape round").contains("no shape round"));
        assert!(error("--slow").contains("unknown option --slow"));
        assert!(error("--rounds 0").contains("at least 1"));
    }
}
