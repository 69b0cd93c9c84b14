//! Which tasks were made by themselves, so that their kin may have their results.

use std::collections::HashMap;

use crate::graph::ids::NodeId;
use crate::graph::intern::BuildMix;
use crate::sync::{Mutex, atomic::AtomicBool};

/// The tasks that were made by themselves, by rule and kinship.
#[derive(Default)]
pub(crate) struct Kinships {
    pub(crate) known: Mutex<HashMap<(u16, u64), Vec<NodeId>, BuildMix>>,
    /// Whether there are any: most engines have none, and need not look for each task.
    pub(crate) any: AtomicBool,
}
