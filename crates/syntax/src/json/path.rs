//! Paths of values in a document, which do not change when the file is re-formatted.

use std::{fmt, sync::Arc};

/// One step from a container to a child.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PathStep {
    /// To the item of a list.
    Index(u32),
    /// To the value at a key.
    Key(Arc<str>),
}

/// The steps from the outermost value of a document to one inside. Prints as `.key[0]."odd key"`.
// Shared: errors of one file have paths with common beginnings, and are cloned along chains of targets.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct JsonPath(Arc<[PathStep]>);

impl JsonPath {
    /// The outermost value.
    pub fn root() -> JsonPath {
        JsonPath(Arc::from([]))
    }

    /// A path of the given steps.
    pub fn from_steps(steps: impl Into<Arc<[PathStep]>>) -> JsonPath {
        JsonPath(steps.into())
    }

    /// The steps, outermost first.
    pub fn steps(&self) -> &[PathStep] {
        &self.0
    }

    /// This path and one more step to a key.
    pub fn key(&self, key: impl AsRef<str>) -> JsonPath {
        self.then(PathStep::Key(Arc::from(key.as_ref())))
    }

    /// This path and one more step to an item.
    pub fn index(&self, index: usize) -> JsonPath {
        self.then(PathStep::Index(index as u32))
    }

    fn then(&self, step: PathStep) -> JsonPath {
        JsonPath(self.0.iter().cloned().chain([step]).collect())
    }

    /// This path and the steps of another one.
    pub fn join(&self, below: &JsonPath) -> JsonPath {
        JsonPath(self.0.iter().chain(below.0.iter()).cloned().collect())
    }
}

impl Default for JsonPath {
    fn default() -> Self {
        JsonPath::root()
    }
}

impl fmt::Display for JsonPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in self.0.iter() {
            match step {
                PathStep::Index(index) => write!(f, "[{index}]")?,
                PathStep::Key(key)
                    if !key.is_empty() && key.chars().all(|c| c.is_alphanumeric() || c == '_') =>
                {
                    write!(f, ".{key}")?;
                }
                PathStep::Key(key) => write!(f, ".{}", crate::quoted(key))?,
            }
        }
        Ok(())
    }
}
