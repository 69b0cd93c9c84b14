//! The measurements: builds, summarised in one row for each phase and tool.

use super::super::median;
use super::phase::Phase;
use crate::measure::Cost;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A measured build, and how many actions it ran, if the tool reports that.
pub(super) type Measured = (Cost, Option<u64>);

/// The name of the `statx` loop among the tools.
pub(super) const STATX: &str = "statx";

/// All builds of one graph, by phase and tool.
#[derive(Default)]
pub(super) struct Rows {
    builds: BTreeMap<(Phase, &'static str), Vec<Measured>>,
    /// The processor time of each edit in a row, by tool and number of the edit.
    edits: BTreeMap<(&'static str, usize), Vec<f64>>,
}

impl Rows {
    pub(super) fn add(&mut self, phase: Phase, tool: &'static str, build: Measured) {
        self.builds.entry((phase, tool)).or_default().push(build);
    }

    /// One of several edits in a row.
    pub(super) fn add_edit(&mut self, tool: &'static str, number: usize, cost: &Cost) {
        self.edits.entry((tool, number)).or_default().push(cost.cpu);
    }

    /// The medians of the edits of a tool, in their order, which show whether later edits cost more.
    fn edits_of(&self, tool: &str) -> Vec<f64> {
        let edits = self.edits.iter().filter(|((of, _), _)| *of == tool);
        edits.map(|(_, each)| median(each.clone())).collect()
    }

    /// The medians of a row, and the most actions that one of its builds ran.
    pub(super) fn row(&self, phase: Phase, tool: &str) -> Option<Measured> {
        let ((_, _), builds) = self.builds.iter().find(|((p, t), _)| *p == phase && *t == tool)?;
        let of = |f: fn(&Cost) -> f64| median(builds.iter().map(|(cost, _)| f(cost)).collect());
        let cost = Cost {
            cpu: of(|c| c.cpu),
            user: of(|c| c.user),
            system: of(|c| c.system),
            unwaited: of(|c| c.unwaited),
            wall: of(|c| c.wall),
            late: of(|c| c.late),
            peak: of(|c| c.peak),
        };
        // The most, since a number of actions that varies is a fault, and a median would hide it.
        Some((cost, builds.iter().filter_map(|(_, ran)| *ran).max()))
    }

    /// The ratio of a figure of a phase to that of another row; `None` if either was not measured.
    pub(super) fn ratio(
        &self,
        figure: fn(&Cost) -> f64,
        (phase, tool): (Phase, &str),
        (other_phase, other): (Phase, &str),
    ) -> Option<f64> {
        let (this, against) = (self.row(phase, tool)?.0, self.row(other_phase, other)?.0);
        // A figure that rounds to zero is not a basis for a ratio.
        (figure(&against) > 0.0).then(|| figure(&this) / figure(&against))
    }

    /// The tools that a phase was measured with, taut first.
    fn tools(&self, phase: Phase) -> Vec<&'static str> {
        let mut tools: Vec<&str> =
            self.builds.keys().filter(|(p, _)| *p == phase).map(|(_, tool)| *tool).collect();
        // Stable, so the others stay in the order of their names.
        tools.sort_by_key(|tool| *tool != "taut");
        tools
    }

    /// The lines of text of a phase.
    pub(super) fn lines(&self, phase: Phase) -> Vec<String> {
        let mut lines = Vec::new();
        for tool in self.tools(phase) {
            let Some((cost, ran)) = self.row(phase, tool) else { continue };
            let mut line = format!(
                "  {:8} {tool:6} cpu {:9.1} ms (user {:8.1}, system {:8.1})  wall {:9.1} ms",
                phase.name(),
                cost.cpu,
                cost.user,
                cost.system,
                cost.wall,
            );
            // The loop has no memory worth comparing.
            if tool != STATX {
                line += &format!("  peak {:7.1} MB", cost.peak * 1024.0 / 1e6);
            }
            if let Some(ran) = ran {
                line += &format!("  {ran} run");
            }
            // Processor time that no parent waited for would be missed by a simpler measurement.
            if cost.unwaited > (cost.cpu / 50.0).max(2.0) {
                line += &format!("  ({:.1} ms not waited for)", cost.unwaited);
            }
            if tool == "taut" {
                for (name, ratio) in self.ratios(phase) {
                    line += &format!("  {ratio:.3} x {name}");
                }
            }
            lines.push(line);
        }
        if phase == Phase::Tenth {
            for tool in self.tools(phase) {
                let edits: Vec<String> = self.edits_of(tool).iter().map(|cpu| format!("{cpu:.1}")).collect();
                lines.push(format!("           each edit, {tool}: {} ms", edits.join(" ")));
            }
        }
        lines
    }

    /// The ratios of taut to the other tools, and to its own null build.
    fn ratios(&self, phase: Phase) -> Vec<(String, f64)> {
        // The first action begins while processes of the build are still running, so only the time
        // until then is defined.
        let by_wall = phase == Phase::First;
        let figure: fn(&Cost) -> f64 = if by_wall { |c| c.wall } else { |c| c.cpu };
        let others = self.tools(phase).into_iter().filter(|tool| *tool != "taut");
        let mut ratios: Vec<(String, Option<f64>)> = others
            .map(|other| (other.to_owned(), self.ratio(figure, (phase, "taut"), (phase, other))))
            .collect();
        // Phases before it have no null build to be compared with yet.
        if phase > Phase::Null && !by_wall {
            let null = self.ratio(figure, (phase, "taut"), (Phase::Null, "taut"));
            ratios.push(("null".to_owned(), null));
        }
        if phase == Phase::Tenth {
            let first = self.ratio(figure, (phase, "taut"), (Phase::Source, "taut"));
            ratios.push(("the first".to_owned(), first));
        }
        ratios.into_iter().filter_map(|(name, ratio)| Some((name, ratio?))).collect()
    }

    /// All rows, for programs: medians, ratios, and the processor time of each build in order.
    pub(super) fn report(&self, shape: &str, size: usize) -> Vec<Value> {
        let rows = self.builds.iter().filter_map(|((phase, tool), builds)| {
            let (cost, ran) = self.row(*phase, tool)?;
            // Single figures, too: a reader of the report can see how much they spread.
            let each: Vec<f64> = builds.iter().map(|(cost, _)| cost.cpu).collect();
            let mut row = json!({
                "graph": shape, "size": size, "phase": phase.name(), "tool": tool, "run": ran,
                "cpu_ms": cost.cpu, "user_ms": cost.user, "system_ms": cost.system,
                "unwaited_ms": cost.unwaited, "wall_ms": cost.wall, "late_ms": cost.late,
                "peak_kib": cost.peak, "each_cpu_ms": each,
            });
            if *phase == Phase::Tenth {
                row["edits_cpu_ms"] = json!(self.edits_of(tool));
            }
            if *tool == "taut" {
                let key = if *phase == Phase::First { "wall_per" } else { "cpu_per" };
                for (name, ratio) in self.ratios(*phase) {
                    row[format!("{key}_{}", name.replace(' ', "_"))] = json!(ratio);
                }
            }
            Some(row)
        });
        rows.collect()
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A build with this processor time and peak memory.
    pub(in super::super) fn build(cpu: f64, peak: f64) -> Measured {
        (Cost { cpu, user: cpu / 2.0, system: cpu / 2.0, peak, ..Cost::default() }, None)
    }

    #[test]
    fn rows_are_medians_and_ratios_are_of_medians() {
        let mut rows = Rows::default();
        for cpu in [10.0, 90.0, 20.0] {
            rows.add(Phase::Null, "taut", build(cpu, 0.0));
        }
        rows.add(Phase::Null, "ninja", build(40.0, 0.0));
        let half = rows.ratio(|c| c.cpu, (Phase::Null, "taut"), (Phase::Null, "ninja")).unwrap();
        assert!((half - 0.5).abs() < 1e-9);
        assert!(rows.ratio(|c| c.cpu, (Phase::Null, "taut"), (Phase::Null, "just")).is_none());
        assert!(rows.ratio(|c| c.peak, (Phase::Null, "taut"), (Phase::Null, "ninja")).is_none());
        let report = rows.report("layered", 1_000);
        let taut = report.iter().find(|row| row["tool"] == "taut").unwrap();
        assert_eq!((&taut["cpu_per_ninja"], &taut["cpu_ms"]), (&json!(0.5), &json!(20.0)));
        assert_eq!(taut["each_cpu_ms"], json!([10.0, 90.0, 20.0]));
    }

    #[test]
    fn the_tenth_edit_is_compared_with_the_first() {
        let mut rows = Rows::default();
        rows.add(Phase::Source, "taut", build(50.0, 0.0));
        rows.add(Phase::Tenth, "taut", build(60.0, 0.0));
        for (number, cpu) in [(1, 50.0), (2, 55.0), (10, 60.0)] {
            rows.add_edit("taut", number, &build(cpu, 0.0).0);
        }
        let [line, edits] = rows.lines(Phase::Tenth).try_into().unwrap();
        assert!(line.ends_with("1.200 x the first"), "{line}");
        assert_eq!(edits.trim(), "each edit, taut: 50.0 55.0 60.0 ms");
    }

    #[test]
    fn time_that_no_parent_waited_for_is_reported() {
        let mut rows = Rows::default();
        let (cost, ran) = build(50.0, 0.0);
        rows.add(Phase::Cold, "taut", (Cost { unwaited: 5.0, ..cost }, ran));
        assert!(rows.lines(Phase::Cold)[0].contains("(5.0 ms not waited for)"));
    }
}
