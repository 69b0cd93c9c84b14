//! Dependencies as the evaluation of a target sees them: each part that is read is a facet, by which the dependency is
//! checked later.

use std::sync::Arc;

use taut_engine::Faceted;
use taut_expr::Offer;
use taut_value::{EntityName, Map, TargetResult, Value};

use crate::{AnalysedTarget, StrSet, facets};

/// A dependency, analysed.
#[derive(Clone)]
pub(crate) struct Dep {
    pub(crate) name: EntityName,
    pub(crate) target: Faceted<Arc<AnalysedTarget>>,
}

impl Dep {
    /// The variables it depends on.
    pub(crate) fn vars(&self) -> &StrSet {
        // `at` records that this facet is read: a task that asks for variables is invalidated by another set of them.
        &self.target.at(facets::CONFIGURATION).vars
    }

    /// The words that it is tainted with.
    pub(crate) fn tainted(&self) -> &StrSet {
        &self.target.at(facets::CONFIGURATION).tainted
    }

    /// Its artifacts over its runfiles.
    pub(crate) fn artifacts_over_runfiles(&self) -> Map {
        // The right-hand side wins where both have a path, as in the reference.
        self.runfiles().union(self.artifacts())
    }

    /// All that it offers.
    pub(crate) fn result(&self) -> &TargetResult {
        &self.target.at(facets::RESULT).result
    }

    /// Whether what it provides is `null` in the reference.
    pub(crate) fn provides_null(&self) -> bool {
        self.target.at(facets::RESULT).provides_null
    }
}

impl Offer for Dep {
    fn artifacts(&self) -> &Map {
        &self.target.at(facets::ARTIFACTS).result.artifacts
    }

    fn runfiles(&self) -> &Map {
        &self.target.at(facets::RUNFILES).result.runfiles
    }

    fn provided(&self, provider: &str) -> Option<&Value> {
        self.target.at(facets::of_provider(provider)).result.provides.get(provider)
    }
}
