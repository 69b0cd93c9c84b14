//! The figures of a run, by measurement.

use crate::cost::median;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// Sizes of the graphs.
#[derive(Clone, Copy)]
pub struct Sizes {
    /// Shows whether a figure depends on the size.
    pub small: usize,
    /// The size of most goals.
    pub middle: usize,
    /// Also the length of the chain.
    pub big: usize,
    /// Files that are looked at.
    pub files: usize,
}

/// Figures by measurement (`what shape size`) and name: the medians.
#[derive(Default)]
pub struct Results {
    samples: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
    /// Results in which all measurements of a graph have to agree.
    checks: BTreeMap<String, (String, String)>,
    /// Measurements that failed.
    pub failures: BTreeMap<String, String>,
}

impl Results {
    /// The median of a figure.
    pub fn get(&self, what: &str, shape: &str, size: usize, name: &str) -> Option<f64> {
        let samples = self.samples.get(&format!("{what} {shape} {size}"))?.get(name)?;
        Some(median(samples.clone()))
    }

    /// Adds what one process reported about a graph.
    pub fn note(&mut self, what: &str, graph: &str, reported: &Map<String, Value>) {
        for (name, figure) in reported {
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
            // An engine that computes something else would be compared for nothing.
            assert_eq!(*known, value, "{what} and {by} disagree on {graph} {name}");
        }
    }

    /// For a report.
    pub fn json(&self) -> Value {
        let medians = |figures: &BTreeMap<String, Vec<f64>>| -> BTreeMap<String, f64> {
            figures.iter().map(|(name, samples)| (name.clone(), median(samples.clone()))).collect()
        };
        let all: BTreeMap<&String, _> =
            self.samples.iter().map(|(measurement, figures)| (measurement, medians(figures))).collect();
        json!({"nanoseconds_or_counts": all, "failures": self.failures})
    }
}
