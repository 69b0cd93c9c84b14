//! The tasks whose result another task may take over: those that executed, by the share key of their rule
//! ([`crate::Rule::share_key`]). `settle/siblings.rs` uses them.

use std::collections::HashMap;

use crate::graph::ids::NodeId;
use crate::graph::intern::BuildFastHasher;
use crate::sync::{Mutex, atomic::AtomicBool};

/// The tasks that executed, by rule and share key.
#[derive(Default)]
pub(crate) struct Siblings {
    // One lock for all rules: it is taken only by tasks that execute and have a share key.
    pub(crate) known: Mutex<HashMap<(u16, u64), Vec<NodeId>, BuildFastHasher>>,
    /// Whether there are any. Most engines have none: this spares them the lock for each task.
    pub(crate) any: AtomicBool,
}
