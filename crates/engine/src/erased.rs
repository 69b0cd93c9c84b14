//! Rules with their types erased: what the engine's core calls, typed at the edge.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::engine::Core;
use crate::frame::Frame;
use crate::intern::Interner;
use crate::node::{AnyValue, NodeId, Unloaded};
use crate::{Agreement, Curr, Cx, Fail, Failure, Hash, HashCx, Policy, Rule};

/// What a task's computation ends with.
pub(crate) enum Made {
    Value(Result<AnyValue, Fail>),
    Hash(Result<Hash, Fail>),
}

/// A task's computation on the heap, so that no chain of tasks needs stack. What it needs there can be used for
/// one task after the other.
pub(crate) type Computation = Box<dyn Compute>;

pub(crate) trait Compute: Send {
    /// Sets it up for a task.
    fn begin(&mut self, key: &AnyKey, frame: &Arc<Frame>);
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Made>;
    /// Drops whatever is there of the last task.
    fn end(&mut self);
}

struct Computing<B, F> {
    begin: B,
    future: Pin<Box<Option<F>>>,
}

impl<B: Fn(AnyKey, Arc<Frame>) -> F + Send, F: Future<Output = Made> + Send> Compute for Computing<B, F> {
    fn begin(&mut self, key: &AnyKey, frame: &Arc<Frame>) {
        self.future.set(Some((self.begin)(key.clone(), frame.clone())));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Made> {
        self.future.as_mut().as_pin_mut().expect("polled between its begin and its end").poll(cx)
    }

    fn end(&mut self) {
        self.future.set(None);
    }
}

fn computing<F: Future<Output = Made> + Send + 'static>(
    begin: impl Fn(AnyKey, Arc<Frame>) -> F + Send + 'static,
) -> Computation {
    Box::new(Computing { begin, future: Box::pin(None) })
}

/// A key, its type erased.
pub(crate) type AnyKey = Arc<dyn Any + Send + Sync>;

/// What [`Rule::curr`] found, with the value's type erased.
pub(crate) struct Found {
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
    fn hash(&self, key: &AnyKey, frame: &Arc<Frame>) -> Option<Computation>;
    fn content_hash(&self, key: &AnyKey, value: &AnyValue) -> Option<Hash>;
    fn facets(&self, key: &AnyKey, value: &AnyValue) -> Vec<Hash>;
    fn modtime(&self, key: &AnyKey) -> Option<u128>;
    fn kin(&self, key: &AnyKey) -> Option<u64>;
    fn serves(&self, key: &AnyKey, other: &AnyKey, value: &AnyValue) -> bool;
    fn curr(&self, key: &AnyKey) -> Option<Found>;
    fn agrees(&self, key: &AnyKey, witness: &[u8], hash: Hash) -> Agreement;
    /// The key that the bytes stand for.
    fn decode(&self, key: &[u8]) -> Option<AnyKey>;
    /// The node of the key that the bytes stand for. `None`: they mean nothing.
    fn intern_bytes(&self, core: &Core, rule: u16, key: &[u8], place: Unloaded) -> Option<NodeId>;
    fn encode_value(&self, key: &AnyKey, value: &AnyValue) -> Option<Vec<u8>>;
    fn decode_value(&self, key: &AnyKey, bytes: &[u8]) -> Option<AnyValue>;
    fn decode_failure(&self, bytes: &[u8]) -> Option<Arc<dyn Failure>>;
    fn encode(&self, key: &AnyKey) -> Vec<u8>;
    /// Appends what [`ErasedRule::encode`] gives.
    fn encode_into(&self, key: &AnyKey, out: &mut Vec<u8>);
    fn debug(&self) -> fn(&dyn Any, &mut fmt::Formatter<'_>) -> fmt::Result;
    fn interner(&self) -> &(dyn Any + Send + Sync);
}

thread_local! {
    /// Set when a rule answers "by the store" before it computed anything: then there is nothing to run.
    static BY_STORE: Cell<bool> = const { Cell::new(false) };
}

/// Called by [`HashCx::by_store`].
pub(crate) fn leave_to_store() {
    BY_STORE.set(true);
}

pub(crate) struct Typed<R: Rule> {
    pub(crate) rule: Arc<R>,
    pub(crate) interner: Interner<R::Key>,
    pub(crate) kind: RuleKind,
}

/// Where a rule comes from.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RuleKind {
    /// From the user.
    Plain,
    /// From a [`crate::Part`].
    Part,
    /// From an [`crate::Interned`].
    Interned,
}

impl<R: Rule> Typed<R> {
    fn key(key: &AnyKey) -> &R::Key {
        (**key).downcast_ref().expect("a node's key has its rule's type")
    }

    fn value(value: &AnyValue) -> &R::Value {
        (**value).downcast_ref().expect("a node's value has its rule's type")
    }
}

impl<R: Rule> ErasedRule for Typed<R> {
    fn name(&self) -> &'static str {
        R::NAME
    }

    fn version(&self) -> u32 {
        R::VERSION
    }

    fn is_part(&self) -> bool {
        self.kind == RuleKind::Part
    }

    fn is_interned(&self) -> bool {
        self.kind == RuleKind::Interned
    }

    fn policy(&self, key: &AnyKey) -> Policy {
        self.rule.policy(Self::key(key))
    }

    fn policy_of(&self, key: &dyn Any) -> Policy {
        self.rule.policy(key.downcast_ref().expect("a key of this rule"))
    }

    fn value(&self) -> Computation {
        let rule = self.rule.clone();
        computing(move |key, frame| {
            let rule = rule.clone();
            async move {
                let value = rule.value(Self::key(&key), Cx::new(frame)).await;
                Made::Value(value.map(|value| Arc::new(value) as AnyValue))
            }
        })
    }

    fn hash(&self, key: &AnyKey, frame: &Arc<Frame>) -> Option<Computation> {
        BY_STORE.set(false);
        drop(self.rule.hash(Self::key(key), HashCx::new(frame.clone())));
        if BY_STORE.take() {
            return None;
        }
        let rule = self.rule.clone();
        Some(computing(move |key, frame| {
            let rule = rule.clone();
            async move { Made::Hash(rule.hash(Self::key(&key), HashCx::new(frame)).await) }
        }))
    }

    fn content_hash(&self, key: &AnyKey, value: &AnyValue) -> Option<Hash> {
        self.rule.content_hash(Self::key(key), Self::value(value))
    }

    fn facets(&self, key: &AnyKey, value: &AnyValue) -> Vec<Hash> {
        self.rule.facets(Self::key(key), Self::value(value))
    }

    fn modtime(&self, key: &AnyKey) -> Option<u128> {
        self.rule.modtime(Self::key(key))
    }

    fn kin(&self, key: &AnyKey) -> Option<u64> {
        self.rule.kin(Self::key(key))
    }

    fn serves(&self, key: &AnyKey, other: &AnyKey, value: &AnyValue) -> bool {
        self.rule.serves(Self::key(key), Self::key(other), Self::value(value))
    }

    fn curr(&self, key: &AnyKey) -> Option<Found> {
        match self.rule.curr(Self::key(key)) {
            Curr::None => None,
            Curr::There { value, hash } => Some(Found { value: Arc::new(value), hash }),
        }
    }

    fn agrees(&self, key: &AnyKey, witness: &[u8], hash: Hash) -> Agreement {
        self.rule.agrees(Self::key(key), witness, hash)
    }

    fn decode(&self, key: &[u8]) -> Option<AnyKey> {
        let key: R::Key = crate::Key::decode(key)?;
        Some(Arc::new(key))
    }

    fn intern_bytes(&self, core: &Core, rule: u16, key: &[u8], place: Unloaded) -> Option<NodeId> {
        let key: R::Key = crate::Key::decode(key)?;
        Some(self.interner.intern(key, |key| core.add_stored(rule, key, place)))
    }

    fn encode_value(&self, key: &AnyKey, value: &AnyValue) -> Option<Vec<u8>> {
        self.rule.encode_value(Self::key(key), Self::value(value))
    }

    fn decode_value(&self, key: &AnyKey, bytes: &[u8]) -> Option<AnyValue> {
        let value: R::Value = self.rule.decode_value(Self::key(key), bytes)?;
        Some(Arc::new(value))
    }

    fn decode_failure(&self, bytes: &[u8]) -> Option<Arc<dyn Failure>> {
        self.rule.decode_failure(bytes)
    }

    fn encode(&self, key: &AnyKey) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.encode_into(key, &mut bytes);
        bytes
    }

    fn encode_into(&self, key: &AnyKey, out: &mut Vec<u8>) {
        crate::Key::encode(Self::key(key), out);
    }

    fn debug(&self) -> fn(&dyn Any, &mut fmt::Formatter<'_>) -> fmt::Result {
        |key, f| fmt::Debug::fmt(key.downcast_ref::<R::Key>().expect("a key of this rule"), f)
    }

    fn interner(&self) -> &(dyn Any + Send + Sync) {
        &self.interner
    }
}
