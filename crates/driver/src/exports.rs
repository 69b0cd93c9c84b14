//! The export targets below a request, and what the target-level cache has of them.

use std::collections::{BTreeMap, HashSet};

use taut_analysis::{AnalysedTarget, ConfiguredTarget, Export, Finding, artifacts_of};
use taut_engine::Interned;
use taut_value::{Artifact, Decoder, Encoder};

use crate::reached::Order;

/// The export targets below a request, each once in its effective configuration.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Exports {
    /// How many were taken from the cache.
    pub cached: usize,
    /// How many were analysed, and are cached once they are built.
    pub uncached: usize,
    /// How many are in repositories whose content is not fixed.
    pub not_eligible: usize,
    /// All of them as bytes: a build that has nothing to report of them decodes none.
    // Bytes, since this is part of the value of each null build.
    list: Vec<u8>,
}

impl Exports {
    /// The exports of these targets, in the order of the targets' names.
    pub(crate) fn of(all: impl IntoIterator<Item = (ConfiguredTarget, Export)>) -> Exports {
        let in_order = all.into_iter().map(|(target, export)| (Order::of(&target), (target, export)));
        let in_order: BTreeMap<Order, (ConfiguredTarget, Export)> = in_order.collect();
        let mut exports = Exports::default();
        let mut e = Encoder::new();
        for (target, export) in in_order.into_values() {
            *match export {
                Export::Cached(..) => &mut exports.cached,
                Export::Uncached(_) => &mut exports.uncached,
                Export::NotEligible => &mut exports.not_eligible,
            } += 1;
            let mut bytes = Vec::new();
            Finding::Export(target, export).encode(&mut bytes);
            e.bytes(&bytes);
        }
        exports.list = e.finish();
        exports
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cached + self.uncached + self.not_eligible
    }

    /// Whether there is no such target.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Each of them.
    pub fn list(&self) -> Vec<(ConfiguredTarget, Export)> {
        let mut d = Decoder::new(&self.list);
        let all = (0..self.len()).map_while(|_| d.bytes());
        // A target whose configuration is nested too deeply to be decoded is only counted.
        let decoded = all.filter_map(|bytes| match Finding::decode(bytes)? {
            Finding::Export(target, export) => Some((target, export)),
            Finding::Warnings(..) => None,
        });
        decoded.collect()
    }

    /// The three numbers, and the bytes of the list.
    pub(crate) fn encode(&self, e: &mut Encoder) {
        [self.cached, self.uncached, self.not_eligible].iter().for_each(|number| e.number(*number as u64));
        e.bytes(&self.list);
    }

    pub(crate) fn decode(d: &mut Decoder<'_>) -> Option<Exports> {
        let mut number = || usize::try_from(d.number()?).ok();
        let (cached, uncached, not_eligible) = (number()?, number()?, number()?);
        Some(Exports { cached, uncached, not_eligible, list: d.bytes()?.to_vec() })
    }
}

/// The artifacts of those export targets among some targets whose results are to be cached: each once.
pub(crate) fn exported<'t>(targets: impl Iterator<Item = &'t AnalysedTarget>) -> Vec<Artifact> {
    let to_cache = targets.filter(|analysed| matches!(analysed.export, Some(Export::Uncached(_))));
    let mut seen = HashSet::new();
    let artifacts = to_cache.flat_map(|analysed| artifacts_of(&analysed.result));
    artifacts.filter(|artifact| seen.insert(artifact.clone())).collect()
}
