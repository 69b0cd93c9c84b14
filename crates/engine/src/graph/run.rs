//! A kept run of a task (a *trace*): what it read, in order, and its result.

use crate::graph::ids::{AnyValue, NodeId, Seq};
use crate::graph::leaves::Leaves;
use crate::sync::Arc;
use crate::{Facets, Fail};

/// How a task read another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Mode {
    /// Its value.
    Value,
    /// Its hash only.
    Hash,
    /// Nothing: it was mentioned, and is kept for that ([`crate::Interned`]).
    Mention,
}

/// One read of a recorded run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
// Twelve bytes, since there is one for each read of each kept run.
pub(crate) struct Edge {
    pub(crate) dep: NodeId,
    pub(crate) seq: Seq,
    pub(crate) mode: Mode,
    /// The facets that were read.
    pub(crate) facets: Facets,
    /// The last of a group that was requested together: what follows was requested with these answers known.
    pub(crate) ends_group: bool,
}

/// A finished run: what was read, in order, and what came out. Immutable.
#[derive(Clone)]
pub(crate) struct Run {
    /// `Rule::VERSION` of the code that ran.
    pub(crate) version: u32,
    /// The epoch of the latest declared change that the run has seen (see [`crate::graph::node::Hist::stamp`]).
    pub(crate) stamp: u64,
    // Shared, and its address identifies the run: verification works on a copy while other threads record
    // (`Hist::used`).
    pub(crate) edges: Arc<[Edge]>,
    pub(crate) seq: Seq,
    /// What few runs have, apart so that the others stay small.
    // One pointer in place of five fields that are empty for most runs.
    rest: Option<Box<RareFields>>,
}

/// The rare fields of a run.
#[derive(Clone, Default)]
pub(crate) struct RareFields {
    /// The witness of a leaf: evidence of what it saw ([`crate::Cx::witness`]).
    pub(crate) witness: Option<Arc<[u8]>>,
    /// A deterministic failure, if that was the outcome.
    pub(crate) fail: Option<Fail>,
    /// The value, for constructive traces.
    pub(crate) value: Option<AnyValue>,
    /// The value as bytes, if the run was loaded from a file, or the value was packed.
    pub(crate) bytes: Option<Arc<[u8]>>,
    /// The leaves below, for tasks that are verified by them.
    pub(crate) leaves: Option<Arc<Leaves>>,
}

impl Run {
    pub(crate) fn new(version: u32, stamp: u64, edges: Arc<[Edge]>, seq: Seq, rest: RareFields) -> Run {
        let RareFields { witness, fail, value, bytes, leaves } = &rest;
        // Most runs have none of this, so they are one allocation less each.
        let is_plain =
            witness.is_none() && fail.is_none() && value.is_none() && bytes.is_none() && leaves.is_none();
        Run { version, stamp, edges, seq, rest: (!is_plain).then(|| Box::new(rest)) }
    }

    pub(crate) fn witness(&self) -> Option<&Arc<[u8]>> {
        self.rest.as_ref()?.witness.as_ref()
    }

    pub(crate) fn fail(&self) -> Option<&Fail> {
        self.rest.as_ref()?.fail.as_ref()
    }

    pub(crate) fn value(&self) -> Option<&AnyValue> {
        self.rest.as_ref()?.value.as_ref()
    }

    pub(crate) fn bytes(&self) -> Option<&Arc<[u8]>> {
        self.rest.as_ref()?.bytes.as_ref()
    }

    pub(crate) fn leaves(&self) -> Option<&Arc<Leaves>> {
        self.rest.as_ref()?.leaves.as_ref()
    }

    /// Sets the leaves below.
    pub(crate) fn set_leaves(&mut self, leaves: Arc<Leaves>) {
        self.rest.get_or_insert_default().leaves = Some(leaves);
    }

    /// Replaces the witness.
    pub(crate) fn set_witness(&mut self, witness: Arc<[u8]>) {
        self.rest.get_or_insert_default().witness = Some(witness);
    }

    /// Drops the value, but keeps it as bytes if it can be encoded.
    pub(crate) fn pack(&mut self, encode: impl FnOnce(&AnyValue) -> Option<Vec<u8>>) {
        let Some(rest) = &mut self.rest else { return };
        let Some(value) = rest.value.take() else { return };
        if rest.bytes.is_none() {
            rest.bytes = encode(&value).map(Arc::from);
        }
    }

    /// Drops the value, not its bytes.
    pub(crate) fn evict(&mut self) {
        if let Some(rest) = &mut self.rest {
            rest.value = None;
        }
    }
}

/// A kept run to be verified.
// A copy of what verification needs, so that the lock on the history is not held while other tasks are settled.
pub(crate) struct Candidate {
    pub(crate) edges: Arc<[Edge]>,
    pub(crate) seq: Seq,
    pub(crate) fail: Option<Fail>,
}

impl Candidate {
    pub(crate) fn new(run: &Run) -> Candidate {
        Candidate { edges: run.edges.clone(), seq: run.seq, fail: run.fail().cloned() }
    }

    pub(crate) fn edges(&self) -> &Arc<[Edge]> {
        &self.edges
    }

    pub(crate) fn seq(&self) -> Seq {
        self.seq
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.fail.is_some()
    }
}
