//! Adapter from [`Rule`], with its types, to the type-erased interface that the engine's core calls.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::graph::erased::{AnyFrame, Computation, Compute, ErasedCurr, ErasedOutcome, ErasedRule};
use crate::graph::ids::{AnyKey, AnyValue, NodeId};
use crate::graph::intern::Interner;
use crate::settle::frame::Frame;
use crate::{Agreement, Curr, Cx, Failure, Hash, HashCx, Policy, Rule};

/// The frame that a computation runs in.
fn typed(frame: AnyFrame<'_>) -> Arc<Frame> {
    frame.downcast_ref::<Arc<Frame>>().expect("computations run in frames").clone()
}

// One allocation for a future and what makes it, whatever the rule.
struct Computing<B, F> {
    begin: B,
    // Pinned once for all tasks of the rule that use this allocation: `Pin::set` drops the old future in place.
    future: Pin<Box<Option<F>>>,
}

impl<B: Fn(AnyKey, Arc<Frame>) -> F + Send, F: Future<Output = ErasedOutcome> + Send> Compute
    for Computing<B, F>
{
    fn begin(&mut self, key: &AnyKey, frame: AnyFrame<'_>) {
        // In the allocation of the last computation of the rule: most tasks are done after one poll, so that
        // allocating would be a large part of their time.
        self.future.set(Some((self.begin)(key.clone(), typed(frame))));
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<ErasedOutcome> {
        self.future.as_mut().as_pin_mut().expect("polled between its begin and its end").poll(cx)
    }

    fn end(&mut self) {
        // Dropped at its end, not at the next begin: locals of a rule must not live as long as the cached allocation.
        self.future.set(None);
    }
}

fn computing<F: Future<Output = ErasedOutcome> + Send + 'static>(
    begin: impl Fn(AnyKey, Arc<Frame>) -> F + Send + 'static,
) -> Computation {
    Box::new(Computing { begin, future: Box::pin(None) })
}

thread_local! {
    /// Set when a rule's hash function is the default, which takes the hash from the value: then there is no future to
    /// run.
    // By thread: the call that sets it returns before anything else runs on this thread.
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
                ErasedOutcome::Value(value.map(|value| Arc::new(value) as AnyValue))
            }
        })
    }

    fn hash(&self, key: &AnyKey, frame: AnyFrame<'_>) -> Option<Computation> {
        // The only way to learn whether the rule has a hash function of its own is to call it: the default notes that
        // it was called, and nothing runs before the future is polled.
        BY_STORE.set(false);
        drop(self.rule.hash(Self::key(key), HashCx::new(typed(frame))));
        if BY_STORE.take() {
            return None;
        }
        let rule = self.rule.clone();
        Some(computing(move |key, frame| {
            let rule = rule.clone();
            async move { ErasedOutcome::Hash(rule.hash(Self::key(&key), HashCx::new(frame)).await) }
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

    fn share_key(&self, key: &AnyKey) -> Option<u64> {
        self.rule.share_key(Self::key(key))
    }

    fn serves(&self, key: &AnyKey, other: &AnyKey, value: &AnyValue) -> bool {
        self.rule.serves(Self::key(key), Self::key(other), Self::value(value))
    }

    fn curr(&self, key: &AnyKey) -> Option<ErasedCurr> {
        match self.rule.curr(Self::key(key)) {
            Curr::None => None,
            Curr::There { value, hash } => Some(ErasedCurr { value: Arc::new(value), hash }),
        }
    }

    fn agrees(&self, key: &AnyKey, witness: &[u8], hash: Hash) -> Agreement {
        self.rule.agrees(Self::key(key), witness, hash)
    }

    fn decode(&self, key: &[u8]) -> Option<AnyKey> {
        let key: R::Key = crate::Key::decode(key)?;
        Some(Arc::new(key))
    }

    fn intern_bytes(&self, key: &[u8], fresh: &dyn Fn(AnyKey) -> NodeId) -> Option<NodeId> {
        let key: R::Key = crate::Key::decode(key)?;
        Some(self.interner.intern(key, |key| fresh(key)))
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
