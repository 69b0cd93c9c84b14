//! The facets of a configured target: the parts of its value on which dependents can depend separately.
//!
//! The definitions of a target (actions, contents, trees), its dependencies and its warnings belong to no facet: only
//! the request, and an `export` that takes over a whole target, read them.

use taut_engine::{Facets, Hash};
use taut_value::{Id, Map};

use crate::AnalysedTarget;

/// The artifacts.
pub(crate) const ARTIFACTS: Facets = Facets::of(0);
/// The runfiles.
pub(crate) const RUNFILES: Facets = Facets::of(1);
/// The variables it depends on, and what it is tainted with.
pub(crate) const CONFIGURATION: Facets = Facets::of(2);
/// The first of the facets that providers share.
const PROVIDERS: usize = 3;

/// Artifacts, runfiles and all providers.
pub(crate) const RESULT: Facets = {
    let (mut all, mut number) = (ARTIFACTS.and(RUNFILES), PROVIDERS);
    while number < Facets::MAX_COUNT {
        all = all.and(Facets::of(number));
        number += 1;
    }
    all
};

/// The facet that contains the provider of this name, possibly among others.
// Names of providers are free, and a value has a fixed number of facets, so providers share facets by a hash of their
// name. Two in one facet cost a re-evaluation at worst, never a stale result.
pub(crate) fn of_provider(name: &str) -> Facets {
    Facets::of(Facets::shared(PROVIDERS, name))
}

/// The hashes of all facets.
pub(crate) fn of(target: &AnalysedTarget) -> Vec<Hash> {
    // In the order of the map, which is sorted, so equal results have equal bytes.
    let mut shared: Vec<Vec<u8>> = vec![Vec::new(); Facets::MAX_COUNT - PROVIDERS];
    for (name, value) in target.result.provides.iter() {
        let facet = &mut shared[Facets::shared(PROVIDERS, name) - PROVIDERS];
        // The length separates name and value, and this provider from the next one.
        facet.extend((name.len() as u64).to_le_bytes());
        facet.extend(name.as_bytes());
        facet.extend(value.id().0);
    }
    if target.provides_null {
        // Shorter than any provider, so nothing else has this hash.
        shared[0].push(0);
    }
    let mut words = Vec::new();
    for set in [&target.vars, &target.tainted].into_iter().filter(|set| !set.is_empty()) {
        // Marks which of the two sets it is.
        words.push(u8::from(std::ptr::eq(set, &target.tainted)));
        for word in set {
            words.extend((word.len() as u64).to_le_bytes());
            words.extend(word.as_bytes());
        }
    }
    // Most facets of most targets are empty: these are not hashed.
    let stage = |stage: &Map| if stage.is_empty() { Hash::from(0) } else { Hash(stage.id().0) };
    let bytes = |bytes: &Vec<u8>| if bytes.is_empty() { Hash::from(0) } else { Hash(Id::of(bytes).0) };
    // In the order of the numbers above.
    let own = [stage(&target.result.artifacts), stage(&target.result.runfiles), bytes(&words)];
    own.into_iter().chain(shared.iter().map(bytes)).collect()
}
