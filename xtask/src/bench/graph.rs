//! The graphs that are built, in both formats.
//!
//! Every target has a source of its own, as targets of real projects do: with fewer, a null build would have little to
//! check. Except for the C trees, an action reads one number from each input and writes their sum plus one: a single
//! shell without further processes, so that the tool is measured and not the actions. Because of the sum, a changed
//! source changes everything above it, so no tool gains by early cutoff.

mod c;
mod change;
mod write;

use anyhow::{Context as _, Result};
use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use taut_testkit::Rng;

/// How many targets share a module, as the targets of a directory do.
const TARGETS_PER_MODULE: usize = 50;

/// How many layers the layered graph has.
const LAYERS: usize = 10;

/// The kinds of graph.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Ten layers; every target depends on its source and on three to five targets of the layer below. The request is
    /// the last layer.
    Layered,
    /// All targets depend on sources only; one more collects them.
    Wide,
    /// A chain; a tenth of the size, since nothing in it runs in parallel.
    Deep,
    /// C sources, each with a header of its own, that also include their module's header and three to five other
    /// headers, then a program; a tenth of the size, since compilers are slow.
    C,
    /// C sources that include many headers, since headers include headers that include headers; a tenth of the size.
    Headers,
}

impl Shape {
    pub(crate) const ALL: [Self; 5] = [Self::Layered, Self::Wide, Self::Deep, Self::C, Self::Headers];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Layered => "layered",
            Self::Wide => "wide",
            Self::Deep => "deep",
            Self::C => "c",
            Self::Headers => "headers",
        }
    }

    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shape| shape.name() == name)
    }

    pub(crate) fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }
}

/// One step: a name, which is also that of its output, inputs and the shell command.
struct GraphStep {
    name: String,
    /// The number of its module.
    module: usize,
    /// Earlier steps, by number.
    steps: Vec<usize>,
    /// Source files, by path.
    sources: Vec<String>,
    /// A suffix of the command without effect; may be empty.
    note: String,
}

/// A graph of steps.
pub(crate) struct Graph {
    pub(crate) shape: Shape,
    pub(crate) size: usize,
    steps: Vec<GraphStep>,
    /// The steps of the request.
    tops: Vec<usize>,
    /// Path and content of the sources.
    sources: Vec<(String, String)>,
    /// The source that is edited, by number.
    edited: usize,
    /// Whether a tenth of the targets depend on a configuration variable.
    configured: bool,
    /// Whether all targets have one rule, defined by the project, and how often it was edited.
    ruled: Option<usize>,
}

impl Graph {
    /// The graph of this shape and nominal size; always the same.
    pub(crate) fn new(shape: Shape, size: usize) -> Self {
        let (steps, sources, tops) = Default::default();
        let mut graph = Self { shape, size, steps, tops, sources, edited: 0, configured: false, ruled: None };
        match shape {
            Shape::Layered => graph.layered(size),
            Shape::Wide => graph.wide(size),
            Shape::Deep => graph.deep((size / 10).max(2)),
            Shape::C => graph.c((size / 10).max(2)),
            Shape::Headers => graph.headers((size / 10).max(2)),
        }
        if graph.tops.is_empty() {
            graph.tops = vec![graph.steps.len() - 1];
        }
        graph.edited = graph.best_to_edit();
        graph
    }

    /// How many actions a cold build runs.
    pub(crate) fn actions(&self) -> usize {
        self.steps.len()
    }

    fn layered(&mut self, size: usize) {
        let mut rng = Rng::new(size as u64);
        let width = (size / LAYERS).max(1);
        for number in 0..size {
            let (layer, mut steps) = (number / width, Vec::new());
            if layer > 0 {
                // The step straight below, so that every target is needed; and others, if there are any.
                steps.push(number - width);
                let fan_in = (3 + rng.below(3)).min(width);
                while steps.len() < fan_in {
                    let below = (layer - 1) * width + rng.below(width);
                    if !steps.contains(&below) {
                        steps.push(below);
                    }
                }
                steps.sort_unstable();
            }
            let source = self.number(number);
            self.push(steps, vec![source]);
        }
        self.tops = (size.saturating_sub(width)..size).collect();
    }

    fn wide(&mut self, size: usize) {
        for number in 0..size {
            let source = self.number(number);
            self.push(Vec::new(), vec![source]);
        }
        self.sum_of(0..size);
    }

    fn deep(&mut self, size: usize) {
        for number in 0..size {
            let source = self.number(number);
            self.push(number.checked_sub(1).into_iter().collect(), vec![source]);
        }
    }

    /// One last step over these steps.
    fn sum_of(&mut self, steps: std::ops::Range<usize>) {
        self.push(steps.collect(), Vec::new());
    }

    // A content of its own for each, so that no two actions have the same inputs and share a result.
    fn number(&mut self, number: usize) -> String {
        let path = format!("{}/s{number}", module(self.steps.len()));
        self.sources.push((path.clone(), format!("{number}\n")));
        path
    }

    fn push(&mut self, steps: Vec<usize>, sources: Vec<String>) {
        let number = self.steps.len();
        let (name, note) = (format!("t{number}"), String::new());
        self.steps.push(GraphStep { name, module: number / TARGETS_PER_MODULE, steps, sources, note });
    }

    /// The source whose edit runs `EDIT_RUNS` actions, or nearly; of several the one nearest to the middle.
    fn best_to_edit(&self) -> usize {
        /// How many actions an edit should run: that of its target, and a few above.
        const EDIT_RUNS: usize = 5;
        let mut readers: HashMap<&str, Vec<usize>> = HashMap::new();
        let mut users: Vec<Vec<usize>> = vec![Vec::new(); self.steps.len()];
        for (number, step) in self.steps.iter().enumerate() {
            step.sources.iter().for_each(|path| readers.entry(path).or_default().push(number));
            step.steps.iter().for_each(|&below| users[below].push(number));
        }
        let runs = |path: &str| {
            let mut pending = readers.get(path).cloned().unwrap_or_default();
            let mut seen: HashSet<usize> = pending.iter().copied().collect();
            // A source that invalidates many more is not a candidate, and need not be followed.
            while let Some(step) = pending.pop().filter(|_| seen.len() < 4 * EDIT_RUNS) {
                pending.extend(users[step].iter().copied().filter(|user| seen.insert(*user)));
            }
            seen.len()
        };
        let middle = self.sources.len() / 2;
        let order = |&at: &usize| (runs(&self.sources[at].0).abs_diff(EDIT_RUNS), at.abs_diff(middle));
        // In the shape `headers`, a header is edited; in others, any source.
        let of_kind = |at: &usize| self.shape != Shape::Headers || self.sources[*at].0.ends_with(".h");
        (0..self.sources.len()).filter(of_kind).min_by_key(order).unwrap_or(middle)
    }
}

/// Writes a file, unless it has this content.
fn put(path: &Path, content: &str) -> Result<()> {
    // Not touched if it is right: a new time would mean more work for tools that go by times.
    if fs::read(path).ok().as_deref() != Some(content.as_bytes()) {
        fs::write(path, content).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

/// The module of the step with this number.
fn module(number: usize) -> String {
    format!("m{}", number / TARGETS_PER_MODULE)
}

#[cfg(test)]
mod tests {
    use super::{Graph, Shape};
    use std::collections::HashSet;

    #[test]
    fn every_target_has_a_source_of_its_own() {
        for shape in Shape::ALL {
            let graph = Graph::new(shape, 500);
            let mut seen = HashSet::new();
            let collects = |step: &super::GraphStep| step.sources.is_empty();
            for step in graph.steps.iter().filter(|step| !collects(step)) {
                assert!(step.sources.iter().any(|path| seen.insert(path)), "{}: {}", shape.name(), step.name);
            }
            assert!(graph.steps.iter().filter(|step| collects(step)).count() <= 1, "{}", shape.name());
        }
    }

    #[test]
    fn the_layered_graph_has_ten_layers_and_a_fan_in_of_three_to_five() {
        let graph = Graph::new(Shape::Layered, 1_000);
        assert_eq!((graph.actions(), graph.tops.len()), (1_000, 100));
        for (number, step) in graph.steps.iter().enumerate() {
            assert_eq!(step.module, number / 50);
            assert!(if number < 100 { step.steps.is_empty() } else { (3..=5).contains(&step.steps.len()) });
            assert!(step.steps.iter().all(|below| below / 100 + 1 == number / 100));
        }
        // Tools that build the request and those that build everything must have the same work.
        let used: HashSet<usize> =
            graph.steps.iter().flat_map(|step| step.steps.clone()).chain(graph.tops.clone()).collect();
        assert_eq!(used.len(), graph.steps.len());
    }

    #[test]
    fn an_edit_runs_five_actions() {
        for (shape, size) in [(Shape::Layered, 1_000), (Shape::Layered, 10_000), (Shape::C, 1_000)] {
            let cone = Graph::new(shape, size).cone_of_source();
            assert_eq!(cone, 5, "{} {size}", shape.name());
        }
    }

    #[test]
    fn an_added_target_belongs_to_an_existing_module() {
        let mut graph = Graph::new(Shape::Layered, 1_000);
        graph.add();
        assert_eq!(graph.actions(), 1_001);
        let added = graph.steps.last().unwrap();
        assert!(added.module < 20 && added.sources[0].starts_with(&format!("m{}/", added.module)));
        assert!(!added.steps.is_empty());
        assert_eq!(graph.tops.last(), Some(&1_000));
    }

    #[test]
    fn a_branch_changes_few_sources_and_does_not_invalidate_everything() {
        let graph = Graph::new(Shape::Layered, 10_000);
        let (branch, tenth) = (graph.cone_of_branch(), graph.cone_of_revision());
        assert!(branch > 100 && branch < 2_000, "{branch}");
        assert!(tenth > 5_000, "{tenth}");
        // A branch does not change headers, but must change something.
        let c = Graph::new(Shape::C, 500);
        assert!(c.cone_of_branch() > 1 && c.cone_of_revision() > 1);
    }
}
