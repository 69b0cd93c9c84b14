//! Configured targets in the closure of a request, and the order in which they are shown.

use std::{cmp::Ordering, sync::Arc};

use taut_analysis::{AnalysedTarget, ConfiguredTarget};
use taut_value::{Value, json_order};

/// A configured target that was needed.
#[derive(Clone)]
pub struct ReachedTarget {
    /// Its name, and the variables it depends on; unset ones are null.
    pub target: ConfiguredTarget,
    /// What it is.
    pub analysed: Arc<AnalysedTarget>,
}

impl ReachedTarget {
    /// The same, in the configuration without variables that are null.
    pub(crate) fn without_nulls(self) -> ReachedTarget {
        let ConfiguredTarget { name, config } = self.target;
        ReachedTarget { target: ConfiguredTarget { name, config: config.without_nulls() }, ..self }
    }
}

/// By what targets are ordered, effective configurations included.
// The name as JSON: that is the order in which the reference writes its dumps.
#[derive(PartialEq)]
pub(crate) struct Order(String, Value);

impl Order {
    pub(crate) fn of(target: &ConfiguredTarget) -> Order {
        Order(target.name.to_json(), Value::Map(target.config.map().clone()))
    }
}

impl Eq for Order {}

impl PartialOrd for Order {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Order {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0).then_with(|| json_order(&self.1, &other.1))
    }
}
