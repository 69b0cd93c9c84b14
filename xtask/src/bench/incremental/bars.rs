//! The bars: the most that taut may cost, as a part of the cost of other tools; printed with the measured figures.
//!
//! The first group are the goals of the project for builds in which every target has a source of its own; the second
//! are older bars of single phases. A bar is meant for a certain size. It is printed at other sizes, too, with a
//! remark, since below that size the start of the process dominates.

use super::super::graph::Shape;
use super::phase::Phase;
use super::rows::{Rows, STATX};
use serde_json::{Value, json};

/// A figure of taut that a bar limits.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    /// Processor time, as a part of that of this tool.
    Cpu(&'static str),
    /// Processor time, of that of taut's own other phase.
    CpuOfPhase(Phase),
    /// Peak memory, as a part of that of this tool.
    Peak(&'static str),
    /// Peak memory in MB (10^6 bytes).
    PeakInMb,
}

struct Bar {
    shape: Shape,
    phase: Phase,
    figure: Figure,
    most: f64,
    /// The size that it is meant for.
    size: usize,
}

const LARGE: usize = 100_000;
const MIDDLE: usize = 10_000;

const fn bar(shape: Shape, phase: Phase, figure: Figure, most: f64, size: usize) -> Bar {
    Bar { shape, phase, figure, most, size }
}

// Data and no code: the goals are read here, and changed nowhere else.
const BARS: [Bar; 23] = {
    use Figure::{Cpu, CpuOfPhase, Peak, PeakInMb};
    use Phase::{
        Added, Analysis, Back, Checkout, Cold, Command, Configuration, Null, Source, Tenth, Touched,
    };
    use Shape::{C, Layered};
    [
        bar(Layered, Null, Cpu("ninja"), 0.3, MIDDLE),
        bar(Layered, Null, Cpu("ninja"), 0.2, LARGE),
        bar(Layered, Null, Cpu(STATX), 1.5, LARGE),
        bar(Layered, Source, Cpu("ninja"), 0.8, MIDDLE),
        bar(Layered, Source, Cpu("ninja"), 0.4, LARGE),
        bar(Layered, Tenth, Cpu("ninja"), 0.8, MIDDLE),
        bar(Layered, Tenth, Cpu("ninja"), 0.4, LARGE),
        bar(Layered, Tenth, CpuOfPhase(Source), 1.0, MIDDLE),
        bar(Layered, Tenth, CpuOfPhase(Source), 1.0, LARGE),
        bar(Layered, Command, Cpu("ninja"), 0.9, MIDDLE),
        bar(Layered, Added, Cpu("ninja"), 0.9, MIDDLE),
        bar(Layered, Cold, Cpu("ninja"), 1.1, MIDDLE),
        // A tree of 1,000 sources: the C trees have a tenth of the size.
        bar(C, Cold, Cpu("ninja"), 0.95, MIDDLE),
        bar(Layered, Cold, PeakInMb, 400.0, LARGE),
        bar(Layered, Analysis, Cpu("just"), 0.2, MIDDLE),
        bar(Layered, Analysis, Peak("just"), 0.25, MIDDLE),
        // Older bars.
        bar(Layered, Null, Cpu("n2"), 0.5, MIDDLE),
        bar(Layered, Null, Cpu("just"), 0.02, MIDDLE),
        bar(Layered, Touched, CpuOfPhase(Null), 1.1, MIDDLE),
        bar(Layered, Back, CpuOfPhase(Null), 3.0, MIDDLE),
        bar(Layered, Configuration, CpuOfPhase(Null), 3.0, MIDDLE),
        bar(Layered, Phase::Branch, CpuOfPhase(Null), 3.0, MIDDLE),
        bar(Layered, Checkout, Cpu("just"), 0.2, MIDDLE),
    ]
};

/// A bar with the measured figure.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    phase: Phase,
    what: String,
    bar: f64,
    /// `None`: it was not measured.
    figure: Option<f64>,
    /// The size that the bar is meant for, if that is another one.
    meant_for: Option<usize>,
}

impl Verdict {
    /// Whether the bar is met; `None` if there is no figure.
    pub(super) fn is_reached(&self) -> Option<bool> {
        self.figure.map(|figure| figure <= self.bar)
    }

    /// A line of text.
    pub(super) fn line(&self) -> String {
        let (figure, verdict) = match (self.figure, self.is_reached()) {
            (Some(figure), Some(true)) => (format!("{figure:.3}"), "reached"),
            (Some(figure), _) => (format!("{figure:.3}"), "NOT reached"),
            // A rival that is not installed leaves its bars open; they are neither met nor missed.
            (None, _) => ("-".to_owned(), "not measured"),
        };
        let meant = self.meant_for.map_or_else(String::new, |size| format!("  (bar for {size})"));
        format!(
            "  {:9} {:24} bar {:<6} figure {figure:>8}  {verdict}{meant}",
            self.phase.name(),
            self.what,
            self.bar
        )
    }

    /// The line for programs.
    pub(super) fn report(&self, shape: &str, size: usize) -> Value {
        json!({
            "graph": shape, "size": size, "phase": self.phase.name(), "what": self.what,
            "bar": self.bar, "figure": self.figure, "reached": self.is_reached(),
            "meant_for": self.meant_for.unwrap_or(size),
        })
    }
}

/// The bars of a graph of this shape and size, with the measured figures.
pub(super) fn verdicts(shape: Shape, size: usize, rows: &Rows) -> Vec<Verdict> {
    // The bars of the largest size that is not larger; for smaller graphs, those of the smallest size.
    let applicable = if size >= LARGE { LARGE } else { MIDDLE };
    let bars = BARS.iter().filter(|bar| bar.shape == shape && bar.size == applicable);
    bars.map(|bar| {
        let this = (bar.phase, "taut");
        let (what, figure) = match bar.figure {
            Figure::Cpu(other) => {
                (format!("cpu, of {other}"), rows.ratio(|c| c.cpu, this, (bar.phase, other)))
            }
            Figure::CpuOfPhase(phase) => {
                (format!("cpu, of own {}", phase.name()), rows.ratio(|c| c.cpu, this, (phase, "taut")))
            }
            Figure::Peak(other) => {
                (format!("peak memory, of {other}"), rows.ratio(|c| c.peak, this, (bar.phase, other)))
            }
            Figure::PeakInMb => {
                let peak = rows.row(bar.phase, "taut").map(|(cost, _)| cost.peak * 1024.0 / 1e6);
                ("peak memory, MB".to_owned(), peak)
            }
        };
        let meant_for = (bar.size != size).then_some(bar.size);
        Verdict { phase: bar.phase, what, bar: bar.most, figure, meant_for }
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::super::rows::tests::build;
    use super::*;

    fn find(verdicts: Vec<Verdict>, phase: Phase, what: &str) -> Verdict {
        verdicts.into_iter().find(|v| v.phase == phase && v.what == what).unwrap()
    }

    #[test]
    fn a_bar_is_met_by_figures_that_are_not_above_it() {
        let mut rows = Rows::default();
        rows.add(Phase::Null, "ninja", build(100.0, 0.0));
        for (cpu, reached) in [(30.0, true), (31.0, false)] {
            let mut rows_of_one = Rows::default();
            rows_of_one.add(Phase::Null, "taut", build(cpu, 0.0));
            rows_of_one.add(Phase::Null, "ninja", build(100.0, 0.0));
            let verdict = find(verdicts(Shape::Layered, 10_000, &rows_of_one), Phase::Null, "cpu, of ninja");
            assert_eq!((verdict.bar.to_bits(), verdict.is_reached()), (0.3_f64.to_bits(), Some(reached)));
            assert_eq!(verdict.line().contains("NOT reached"), !reached);
        }
        // Nothing of taut was measured here.
        let verdict = find(verdicts(Shape::Layered, 10_000, &rows), Phase::Null, "cpu, of ninja");
        assert_eq!(verdict.is_reached(), None);
        assert!(verdict.line().contains("not measured"));
        assert_eq!(verdict.report("layered", 10_000)["reached"], json!(null));
    }

    #[test]
    fn each_size_has_its_bars() {
        let mut rows = Rows::default();
        rows.add(Phase::Cold, "taut", build(1.0, 400.0 * 1e6 / 1024.0));
        let peak = find(verdicts(Shape::Layered, 100_000, &rows), Phase::Cold, "peak memory, MB");
        assert_eq!((peak.is_reached(), peak.meant_for), (Some(true), None));
        assert!(verdicts(Shape::Layered, 10_000, &rows).iter().all(|v| v.what != "peak memory, MB"));
        let small = find(verdicts(Shape::Layered, 1_000, &rows), Phase::Cold, "cpu, of ninja");
        assert_eq!(small.meant_for, Some(10_000));
        assert!(small.line().ends_with("(bar for 10000)"));
        let c = verdicts(Shape::C, 10_000, &rows);
        assert_eq!((c.len(), c[0].bar.to_bits()), (1, 0.95_f64.to_bits()));
    }

    #[test]
    fn the_tenth_edit_may_cost_no_more_than_the_first() {
        let mut rows = Rows::default();
        rows.add(Phase::Source, "taut", build(50.0, 0.0));
        rows.add(Phase::Tenth, "taut", build(51.0, 0.0));
        let tenth = find(verdicts(Shape::Layered, 10_000, &rows), Phase::Tenth, "cpu, of own source");
        assert_eq!(tenth.is_reached(), Some(false));
    }
}
