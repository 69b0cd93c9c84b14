//! Rules with their types erased, so that the engine's core is compiled once, not for each rule.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::graph::ids::{AnyKey, AnyValue, NodeId};
use crate::{Agreement, Fail, Failure, Hash, Policy};

/// What a task's computation ends with.
// One type for both computations, so that a frame can poll either without a type parameter.
pub(crate) enum ErasedOutcome {
    Value(Result<AnyValue, Fail>),
    Hash(Result<Hash, Fail>),
}

/// A task's computation on the heap, so that no chain of tasks needs stack. What it needs there can be used for
/// one task after the other.
pub(crate) type Computation = Box<dyn Compute>;

/// What a computation runs in, its type erased: an [`Arc`] of a `settle::frame::Frame`.
pub(crate) type AnyFrame<'f> = &'f (dyn Any + Send + Sync);

pub(crate) trait Compute: Send {
    /// Sets it up for a task.
    fn begin(&mut self, key: &AnyKey, frame: AnyFrame<'_>);
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ErasedOutcome>;
    /// Drops whatever is there of the last task.
    fn end(&mut self);
}

/// What [`crate::Rule::curr`] found, with the value's type erased.
pub(crate) struct ErasedCurr {
    pub(crate) value: AnyValue,
    pub(crate) hash: Box<dyn FnOnce() -> Option<Hash> + Send>,
}

pub(crate) trait ErasedRule: Send + Sync {
    fn name(&self) -> &'static str;
    fn version(&self) -> u32;
    /// Made by the engine for a [`crate::Part`]; not mentioned in logs.
    fn is_part(&self) -> bool;
    /// Its tasks are contents ([`crate::Interned`]).
    fn is_interned(&self) -> bool;
    fn policy(&self, key: &AnyKey) -> Policy;
    /// The same, of a key that is no task's yet.
    fn policy_of(&self, key: &dyn Any) -> Policy;
    /// A computation of values, not begun.
    fn value(&self) -> Computation;
    /// A computation of hashes, not begun. `None`: for this key the rule leaves the hash to the store policy, that
    /// is, to the value.
    fn hash(&self, key: &AnyKey, frame: AnyFrame<'_>) -> Option<Computation>;
    fn content_hash(&self, key: &AnyKey, value: &AnyValue) -> Option<Hash>;
    fn facets(&self, key: &AnyKey, value: &AnyValue) -> Vec<Hash>;
    fn modtime(&self, key: &AnyKey) -> Option<u128>;
    fn share_key(&self, key: &AnyKey) -> Option<u64>;
    fn serves(&self, key: &AnyKey, other: &AnyKey, value: &AnyValue) -> bool;
    fn curr(&self, key: &AnyKey) -> Option<ErasedCurr>;
    fn agrees(&self, key: &AnyKey, witness: &[u8], hash: Hash) -> Agreement;
    /// The key that was encoded as these bytes.
    fn decode(&self, key: &[u8]) -> Option<AnyKey>;
    /// The node of the key that was encoded as these bytes; `fresh` makes one if it does not exist yet. `None`: they
    /// cannot be decoded.
    // Decoded and interned in one call: between two calls the typed key would have to be boxed.
    fn intern_bytes(&self, key: &[u8], fresh: &dyn Fn(AnyKey) -> NodeId) -> Option<NodeId>;
    fn encode_value(&self, key: &AnyKey, value: &AnyValue) -> Option<Vec<u8>>;
    fn decode_value(&self, key: &AnyKey, bytes: &[u8]) -> Option<AnyValue>;
    fn decode_failure(&self, bytes: &[u8]) -> Option<Arc<dyn Failure>>;
    fn encode(&self, key: &AnyKey) -> Vec<u8>;
    /// Appends what [`ErasedRule::encode`] gives.
    fn encode_into(&self, key: &AnyKey, out: &mut Vec<u8>);
    fn debug(&self) -> fn(&dyn Any, &mut fmt::Formatter<'_>) -> fmt::Result;
    fn interner(&self) -> &(dyn Any + Send + Sync);
}
